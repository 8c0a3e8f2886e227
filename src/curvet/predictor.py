"""Run -> Diagnosis."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .bundle import Bundle, load_bundle
from .classifiers import Inputs
from .diagnosis import Diagnosis
from .errors import CurveError
from .evidence import measure
from .features import extract_features
from .roles import Channels, assign
from .run import Curve, Run
from .standardise import MIN_POINTS, Standardised, standardise


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
        """Diagnose one run; see `diagnose_many`."""
        return self.diagnose_many([run])[0]

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
                make_inputs([standardise(channels[i]) for i in ready])
            )
            sets = self.bundle.calibration.likely(probabilities)
            for i, p, inside in zip(ready, probabilities, sets, strict=True):
                answers[i] = self._answer(runs[i], channels[i], p, inside)
        return [answers.get(i) or self._too_early(run, channels[i]) for i, run in enumerate(runs)]

    def probabilities(self, inputs: Inputs) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return calibrated probabilities, shape (run, cause), in the order of the bundle."""
        return self.bundle.calibration.combine(
            [classifier.predict_proba(inputs) for classifier in self.bundle.classifiers]
        )

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
            measure(channels),
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
    return predictor.diagnose(_to_run(curve, val=val, grad_norm=grad_norm, lr=lr))


_loaded: dict[Path | None, Predictor] = {}


def _predictor(bundle: str | os.PathLike[str] | None) -> Predictor:
    """Load each bundle once in a process."""
    key = None if bundle is None else Path(bundle).resolve()
    if key not in _loaded:
        _loaded[key] = Predictor.load(key)
    return _loaded[key]


_TAGS = {"val": "val_loss", "grad_norm": "grad_norm", "lr": "learning_rate"}


def _to_run(curve: Any, **channels: ArrayLike | None) -> Run:
    """Make a Run of whatever a user has at hand."""
    if isinstance(curve, (str, os.PathLike)):
        run = _only_run(Path(curve))
    elif isinstance(curve, Run):
        run = curve
    elif isinstance(curve, Mapping) or hasattr(curve, "columns"):
        run = Run("run", "", _columns(curve))
    else:
        run = Run("run", "", {"loss": _series("loss", curve)})
    given = {_TAGS[name]: v for name, v in channels.items() if v is not None}
    if not given:
        return run
    found = assign(run)
    kept = {"loss": found.loss}
    for name, tag in _TAGS.items():
        old: Curve | None = getattr(found, name)
        if tag in given:
            kept[tag] = _series(tag, given[tag])
        elif old is not None:
            kept[tag] = Curve(tag, old.step, old.value)
    kept["loss"] = Curve("loss", found.loss.step, found.loss.value)
    return Run(run.id, run.source, kept, run.format)


def _columns(table: Any) -> dict[str, Curve]:
    """Read a mapping or a DataFrame: a column a channel, one of them perhaps the steps."""
    from .readers.rows import step_rank

    columns = {str(name): table[name] for name in table}
    ranked = sorted((rank, name) for name in columns if (rank := step_rank(name)) is not None)
    step = _series(ranked[0][1], columns[ranked[0][1]]).value if ranked else None
    curves: dict[str, Curve] = {}
    for name, values in columns.items():
        if step_rank(name) is not None:
            continue
        tag = "val_loss" if name == "val" and "val_loss" not in columns else name
        try:
            series = _series(tag, values)
        except CurveError:
            if name in ("loss", *_TAGS):
                raise
            continue  # a column of text beside the curves
        if step is not None and len(step) == len(series) and not isinstance(values, Curve):
            series = Curve(tag, step, series.value)
        curves[tag] = series
    return _without_gaps(curves) if hasattr(table, "columns") else curves


def _without_gaps(curves: dict[str, Curve]) -> dict[str, Curve]:
    """Drop the cells of a DataFrame that were left empty, but not a loss that was NaN.

    Evaluation rows have no training loss, and the other way round. A row without any number, and
    a column that is full first and empty to the end, were NaN.
    """
    if not curves:
        return curves
    cells = {tag: ~np.isnan(curve.value) for tag, curve in curves.items()}
    empty = ~np.any(list(cells.values()), axis=0)
    fullest = max(cells, key=lambda tag: int(cells[tag].sum()))
    out: dict[str, Curve] = {}
    for tag, curve in curves.items():
        logged = cells[tag] | (empty if tag == fullest else False)
        end = int(np.argmin(cells[tag]))
        if end > 0 and not cells[tag][end:].any():
            logged = np.ones_like(logged)
        out[tag] = Curve(tag, curve.step[logged], curve.value[logged])
    return out


def _series(tag: str, values: Any) -> Curve:
    if isinstance(values, Curve):
        return Curve(tag, values.step, values.value)
    if hasattr(values, "to_numpy"):  # a pandas Series: its index counts the steps
        index = values.index
        numeric = getattr(index, "is_unique", False) and index.dtype.kind in "iuf"
        return Curve.of(tag, values.to_numpy(), index.to_numpy() if numeric else None)
    return Curve.of(tag, values)


def _only_run(path: Path) -> Run:
    from .readers import read

    runs = read(path)
    first = next(runs, None)
    if first is None:
        raise CurveError(f"{path}: no training run in it")
    second = next(runs, None)
    if second is not None:
        raise CurveError(
            f"{path}: holds several runs ({first.id}, {second.id}, ...); "
            "use curvet.read and predict_cause on each, or `curvet diagnose`"
        )
    return first


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
    return f"too early to tell: {n} {points} of training loss, at least {MIN_POINTS} are needed"


def _found(channels: Channels) -> tuple[str, ...]:
    optional = [name for name in _TAGS if getattr(channels, name) is not None]
    return ("loss", *optional)
