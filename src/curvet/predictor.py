"""Run -> Diagnosis."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .bundle import Bundle, load_bundle
from .classifiers import Inputs, predict_raw
from .coerce import to_run
from .diagnosis import TOO_EARLY, Diagnosis
from .errors import CurveError
from .evidence import measure, weigh
from .features import extract_features
from .roles import Channels, assign
from .run import Run
from .standardise import MIN_POINTS, OPTIONAL, Standardised, standardise_many


def make_inputs(runs: Sequence[Standardised]) -> Inputs:
    """Put standardised runs into the form that the classifiers see."""
    images = [run.image for run in runs]
    return Inputs(extract_features(runs), np.stack(images))


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A loaded bundle that answers.

    Parameters
    ----------
    bundle : Bundle
        See `bundle.load_bundle`.
    """

    bundle: Bundle

    @classmethod
    def load(cls, bundle: Path | None = None) -> Predictor:
        """Load a bundle from its folder; the shipped one when left out."""
        return cls(load_bundle(bundle))

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
            In the same order. A run with fewer than `standardise.MIN_POINTS` finite points has
            no cause, but a reason.

        Raises
        ------
        NoLossError
            A run has no curve for the training loss.
        CurveError
            A training loss without a single finite value.
        """
        channels = [_usable(assign(run), run) for run in runs]
        ready = [i for i, c in enumerate(channels) if _too_short(c) == ""]
        answers: dict[int, Diagnosis] = {}
        if ready:
            probabilities = self.probabilities(
                make_inputs(standardise_many([channels[i] for i in ready]))
            )
            sets = self.bundle.calibration.likely(probabilities)
            for i, p, inside in zip(ready, probabilities, sets, strict=True):
                answers[i] = self._answer(runs[i], channels[i], p, inside)
        return [answers.get(i) or self._too_early(run, channels[i]) for i, run in enumerate(runs)]

    def probabilities(self, inputs: Inputs) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return calibrated probabilities, shape (run, cause), in the order of the bundle."""
        raw = predict_raw(self.bundle.classifiers, inputs, self.bundle.causes)
        return self.bundle.calibration.combine(raw)

    def _answer(self, run: Run, channels: Channels, p: ArrayLike, inside: ArrayLike) -> Diagnosis:
        probabilities = np.asarray(p, np.float64)
        order = np.argsort(-probabilities, kind="stable")
        causes = self.bundle.causes
        return Diagnosis(
            run.id,
            run.source,
            {causes[k]: float(probabilities[k]) for k in order},
            causes[order[0]],
            tuple(causes[k] for k in order if np.asarray(inside)[k]),
            "",
            weigh(measure(channels), causes[order[0]]),
            _found(channels),
            len(channels.loss),
            self.bundle.name,
        )

    def _too_early(self, run: Run, channels: Channels) -> Diagnosis:
        return Diagnosis(
            run.id,
            run.source,
            {},
            None,
            (),
            _too_short(channels),
            measure(channels),
            _found(channels),
            len(channels.loss),
            self.bundle.name,
        )


def predict_cause(
    curve: ArrayLike | Mapping[str, Any] | Run | str | os.PathLike[str],
    *,
    val: ArrayLike | None = None,
    grad_norm: ArrayLike | None = None,
    lr: ArrayLike | None = None,
    bundle: Predictor | str | os.PathLike[str] | None = None,
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
        Another predictor than the one that ships with curvet.

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
    predictor = bundle if isinstance(bundle, Predictor) else _predictor(bundle)
    return predictor.diagnose(to_run(curve, val=val, grad_norm=grad_norm, lr=lr))


_loaded: dict[Path | None, Predictor] = {}


def _predictor(bundle: str | os.PathLike[str] | None) -> Predictor:
    """Load each bundle once in a process."""
    key = None if bundle is None else Path(bundle).resolve()
    if key not in _loaded:
        _loaded[key] = Predictor.load(key)
    return _loaded[key]


def _usable(channels: Channels, run: Run) -> Channels:
    loss = channels.loss
    if len(loss) and not np.isfinite(loss.value).any():
        raise CurveError(
            f"{run.source or run.id}: all {len(loss)} values of {loss.tag!r} are NaN or infinite, "
            "so there is no course to judge; check the loss function and the first batch"
        )
    return channels


def _too_short(channels: Channels) -> str:
    """Say why a run has too few points for an answer; "" if it has enough."""
    n = int(np.isfinite(channels.loss.value).sum())
    diverged = n < len(channels.loss) and len(channels.loss) >= MIN_POINTS
    if n >= MIN_POINTS or (diverged and n >= 1):
        return ""
    points = "point" if n == 1 else "points"
    return f"{TOO_EARLY}: {n} {points} of training loss, at least {MIN_POINTS} are needed"


def _found(channels: Channels) -> tuple[str, ...]:
    optional = [name for name in OPTIONAL if getattr(channels, name) is not None]
    return ("loss", *optional)
