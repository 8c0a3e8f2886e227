"""Run -> Diagnosis."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bundle import Bundle, find_bundle, load_bundle
from .classifiers import Inputs
from .coerce import to_run
from .diagnosis import Diagnosis
from .errors import CurveError
from .evidence import measure, weigh
from .features import extract_features
from .limits import limits_of
from .lookalikes import choose_checks
from .prior import estimate_prior, parse_prior, reweigh
from .roles import Channels, accuracy_in, assign
from .run import Run
from .standardise import MIN_POINTS, OPTIONAL, Batch, Standardised, standardise_many
from .texts import say, say_count

Array = NDArray[np.float64]


def make_inputs(runs: Sequence[Standardised]) -> Inputs:
    """Put standardised runs into the form that the classifiers see."""
    batch = Batch.of(runs)
    return Inputs(extract_features(batch), batch.image)


class Verdict(NamedTuple):
    """What follows from the probabilities of one run; see `Diagnosis`."""

    probabilities: Mapping[str, float]
    cause: str | None
    likely: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A loaded bundle that answers.

    Parameters
    ----------
    bundle : Bundle
        See `bundle.load_bundle`.
    prior : array of shape (cause,) or None
        How common each cause is; None: as the bundle was trained, or, with the name "archive",
        as the runs of an archive say (see `under_own_prior`).
    prior_name : str
        What was asked for.
    coverage : float
        Share of runs whose `likely` shall hold the true cause.
    """

    bundle: Bundle
    prior: Array | None = None
    prior_name: str = "default"
    coverage: float = 0.9

    @classmethod
    def load(
        cls, bundle: Path | None = None, prior: str = "default", coverage: float = 0.9
    ) -> Predictor:
        """Load a bundle from its folder.

        Parameters
        ----------
        bundle : Path, optional
            A bundle, or a home of bundles; see `bundle.find_bundle` for both, and for none.
        prior : str
            See `prior.ACCEPTED`.
        coverage : float
            0.5 to 0.99.

        Raises
        ------
        BundleError, PriorError
            Of no use.
        """
        loaded = load_bundle(bundle)
        if prior == "default":
            return cls(loaded, coverage=coverage)
        shares = parse_prior(prior, loaded.causes, loaded.prior)
        return cls(loaded, shares, prior, coverage)

    def diagnose(self, run: Run) -> Diagnosis:
        """Diagnose one run and keep it for `Diagnosis.plot`; see `diagnose_many`."""
        return replace(self.diagnose_many([run])[0], run=run)

    def diagnose_many(self, runs: Sequence[Run]) -> list[Diagnosis]:
        """Diagnose runs; a run's answer does not depend on its neighbours.

        Parameters
        ----------
        runs : sequence of Run
            Any runs.

        Returns
        -------
        list of Diagnosis
            In the same order. A run with fewer than `standardise.MIN_POINTS` finite points, one
            with an accuracy in place of the loss, one whose conformal set is long, and one that
            is unlike all that the bundle knows have no cause, but a reason.

        Raises
        ------
        NoLossError
            A run has no curve for the training loss.
        CurveError
            A training loss without a single finite value.
        """
        channels = [_usable(assign(run), run) for run in runs]
        reasons = [_no_answer(c) for c in channels]
        ready = [i for i, reason in enumerate(reasons) if not reason]
        answers: dict[int, Diagnosis] = {}
        if ready:
            inputs = make_inputs(standardise_many([channels[i] for i in ready]))
            probabilities = self.probabilities(inputs)
            novelty = self.bundle.novelty.rank(inputs.table).tolist()
            verdicts = self.judge(probabilities, novelty)
            for i, verdict, far in zip(ready, verdicts, novelty, strict=True):
                measured = self._measured(runs[i], channels[i])
                limits = limits_of(runs[i], channels[i], verdict.likely)
                answers[i] = _settled(replace(measured, novelty=far, limits=limits), verdict)
        for i, reason in enumerate(reasons):
            if reason:
                measured = self._measured(runs[i], channels[i])
                limits = limits_of(runs[i], channels[i])
                answers[i] = replace(measured, reason=reason, limits=limits)
        return [answers[i] for i in range(len(runs))]

    def probabilities(self, inputs: Inputs) -> Array:
        """Return calibrated probabilities, shape (run, cause), in the order of the bundle."""
        p = self.bundle.probabilities(inputs)
        return p if self.prior is None else reweigh(p, self.trained_prior, self.prior)

    def judge(self, probabilities: Array, novelty: Sequence[float | None]) -> list[Verdict]:
        """Say what follows from probabilities: a cause, or a reason for none.

        Parameters
        ----------
        probabilities : array of shape (run, cause)
            Calibrated, in the order of the bundle.
        novelty : sequence of float or None
            Of each run: share of known runs that are nearer to the others.
        """
        causes = self.bundle.causes
        order = np.argsort(-probabilities, axis=1, kind="stable")
        inside = self.bundle.calibration.likely(probabilities, self.coverage)
        unlike, undecided = doubts(inside, np.array(novelty, np.float64))
        verdicts = []
        for run, (p, ranked, likely) in enumerate(
            zip(probabilities.tolist(), order.tolist(), inside.tolist(), strict=True)
        ):
            reason = ""
            if unlike[run]:
                reason = say("reasons.unlike", share=novelty[run])
            elif undecided[run]:
                reason = say("reasons.undecided", count=sum(likely))
            verdicts.append(
                Verdict(
                    {causes[k]: p[k] for k in ranked},
                    None if reason else causes[ranked[0]],
                    tuple(causes[k] for k in ranked if likely[k]),
                    reason,
                )
            )
        return verdicts

    def under_own_prior(self, diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
        """Answer again under the prior that the answers of an archive's runs show.

        Parameters
        ----------
        diagnoses : sequence of Diagnosis
            Of one archive, all from this predictor.

        Returns
        -------
        list of Diagnosis
            In the same order; see `prior.estimate_prior`.
        """
        causes, old = self.bundle.causes, self.trained_prior
        asked = [d for d in diagnoses if d.probabilities]
        p = np.array([[d.probabilities[key] for key in causes] for d in asked])
        p = p.reshape(len(asked), len(causes))
        answers = reweigh(p, old, estimate_prior(p, old, self.healthy))
        verdicts = iter(self.judge(answers, [d.novelty for d in asked]))
        return [_settled(d, next(verdicts)) if d.probabilities else d for d in diagnoses]

    @property
    def trained_prior(self) -> Array:
        """How common each cause is in the answers of the bundle itself, (cause,)."""
        return self.bundle.prior

    @property
    def healthy(self) -> int | None:
        """Place of healthy runs among the causes of the bundle; None if it does not know them."""
        causes = self.bundle.causes
        return causes.index("healthy") if "healthy" in causes else None

    def _measured(self, run: Run, channels: Channels) -> Diagnosis:
        """Make a diagnosis that has no answer yet."""
        return Diagnosis(
            run.id,
            run.source,
            {},
            None,
            (),
            "",
            measure(channels),
            _found(channels),
            len(channels.loss),
            self.bundle.name,
            self.coverage,
            None,
            self.prior_name,
        )


UNLIKE = 0.99
"""Share of known runs that are nearer from which a run is unlike all that is known."""

LONGEST = 1 / 3
"""Share of all causes that a conformal set may hold and still be an answer."""


def doubts(
    likely: NDArray[np.bool_], novelty: Array
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which runs get no verdict.

    Parameters
    ----------
    likely : array of shape (run, cause)
        Conformal sets.
    novelty : array of shape (run,)
        Share of known runs that are nearer; NaN where nobody knows.

    Returns
    -------
    unlike, undecided : arrays of shape (run,)
        Those that are unlike all that is known, and those of which too many causes are likely.
    """
    return novelty > UNLIKE, likely.sum(1) > LONGEST * likely.shape[1]


def _settled(measured: Diagnosis, verdict: Verdict) -> Diagnosis:
    """Give a diagnosis its verdict, and what follows from that."""
    checks = choose_checks(verdict.likely, measured.evidence, measured.channels)
    evidence = weigh(measured.evidence, verdict.cause)
    return replace(measured, **verdict._asdict(), evidence=evidence, checks=checks)


def predict_cause(
    curve: ArrayLike | Mapping[str, Any] | Run | str | os.PathLike[str],
    *,
    val: ArrayLike | None = None,
    grad_norm: ArrayLike | None = None,
    lr: ArrayLike | None = None,
    bundle: Predictor | str | os.PathLike[str] | None = None,
    prior: str = "default",
    coverage: float = 0.9,
) -> Diagnosis:
    """Say why a training run went wrong.

    Parameters
    ----------
    curve : array-like of shape (n,), mapping, DataFrame, Run, or path
        The training loss; or all channels by name, as Keras's ``History.history`` has them; or a
        log file with one run.
    val, grad_norm, lr : array-like, optional
        Further channels, of any length: validation loss, gradient norm before clipping,
        learning rate. They win over those of the same role in `curve`.
    bundle : Predictor or path, optional
        Another predictor than the one that ships with curvet: a bundle, or a home of bundles for
        its champion. When left out, what the environment variable ``CURVET_BUNDLE`` names.
    prior : str
        How common each cause is where the run comes from: "default" (as trained: healthy is by
        far the commonest), "uniform", "healthy=0.8", or a JSON file of shares.
    coverage : float
        Share of runs whose `likely` shall hold the true cause, 0.5 to 0.99.

    Returns
    -------
    Diagnosis
        Prints itself for a person; `to_dict` gives plain types.

    Raises
    ------
    CurvetError
        Not a curve, no training loss, or an unreadable file.

    Examples
    --------
    >>> loss = [2.3, 2.1, 1.9, 1.8, 1.75, 1.72, 9.4, float("nan"), float("nan")]
    >>> predict_cause(loss).probabilities["healthy"] < 0.5
    True
    """
    predictor = bundle if isinstance(bundle, Predictor) else _predictor(bundle, prior, coverage)
    return predictor.diagnose(to_run(curve, val=val, grad_norm=grad_norm, lr=lr))


_loaded: dict[tuple[Path, str, float], Predictor] = {}


def _predictor(bundle: str | os.PathLike[str] | None, prior: str, coverage: float) -> Predictor:
    """Load each bundle once in a process."""
    place = find_bundle(None if bundle is None else Path(bundle))
    key = (place.resolve(), prior, coverage)
    if key not in _loaded:
        _loaded[key] = Predictor.load(place, prior, coverage)
    return _loaded[key]


def _usable(channels: Channels, run: Run) -> Channels:
    loss = channels.loss
    if len(loss) and not np.isfinite(loss.value).any():
        raise CurveError(
            f"{run.source or run.id}: all {len(loss)} values of {loss.tag!r} are NaN or infinite, "
            "so there is no course to judge; check the loss function and the first batch"
        )
    return channels


def _no_answer(channels: Channels) -> str:
    """Say why a run allows no answer: too few points, or no loss at all; "" if it does."""
    n = int(np.isfinite(channels.loss.value).sum())
    diverged = n < len(channels.loss) and len(channels.loss) >= MIN_POINTS
    if n >= MIN_POINTS or (diverged and n >= 1):
        accuracy = accuracy_in(channels.loss)
        return "" if accuracy is None else say("reasons.accuracy", **accuracy)
    return say("reasons.too_short", points=say_count("counts.points", n), least=MIN_POINTS)


def _found(channels: Channels) -> tuple[str, ...]:
    optional = [name for name in OPTIONAL if getattr(channels, name) is not None]
    return ("loss", *optional)
