"""Whatever a user has at hand in Python -> Run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import CurveError
from .roles import assign
from .run import Curve, Run

_TAGS = {"val": "val_loss", "grad_norm": "grad_norm", "lr": "learning_rate"}


def to_run(curve: Any, **channels: ArrayLike | None) -> Run:
    """Make a Run of lists, arrays, a mapping, a DataFrame, a Run or a path.

    Parameters
    ----------
    curve : Any
        See `predictor.predict_cause`.
    **channels : array-like or None
        "val", "grad_norm", "lr": they win over those in `curve`.

    Raises
    ------
    CurvetError
        Not numbers, no training loss beside given channels, or not one run.
    """
    if isinstance(curve, (str, os.PathLike)):
        run = _only_run(curve if isinstance(curve, str) else Path(curve))
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
    kept = {"loss": Curve("loss", found.loss.step, found.loss.value)}
    for name, tag in _TAGS.items():
        old: Curve | None = getattr(found, name)
        if tag in given:
            kept[tag] = _series(tag, given[tag])
        elif old is not None:
            kept[tag] = Curve(tag, old.step, old.value)
    return Run(run.id, run.source, kept, run.format, run.logging)


def _columns(table: Any) -> dict[str, Curve]:
    """Read a mapping or a DataFrame: a column a channel, one of them perhaps the steps."""
    from .readers.rows import step_rank

    names = [str(name) for name in getattr(table, "columns", table)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CurveError(f"run: several columns are called {twice[0]!r}; rename all but one")
    columns = {str(name): table[name] for name in getattr(table, "columns", table)}
    ranked = sorted((rank, name) for name in columns if (rank := step_rank(name)) is not None)
    step = _steps(ranked[0][1], columns[ranked[0][1]]) if ranked else None
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
        if step is not None and not isinstance(values, Curve):
            series = Curve.of(tag, series.value, step)
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


def _steps(name: str, values: Any) -> NDArray[np.float64]:
    """Return the steps; dates count in milliseconds."""
    if getattr(getattr(values, "dtype", None), "kind", "") == "M":  # of numpy or pandas
        return np.asarray(values, "datetime64[ms]").astype(np.float64)
    if isinstance(values, list) and all(isinstance(cell, datetime) for cell in values):
        return np.array([1000.0 * cell.timestamp() for cell in values])
    return _series(name, values).value


def _series(tag: str, values: Any) -> Curve:
    if isinstance(values, Curve):
        return Curve(tag, values.step, values.value)
    if not hasattr(values, "to_numpy"):
        return Curve.of(tag, values)
    if not hasattr(values, "index"):  # of another library than pandas
        return Curve.of(tag, values.to_numpy())
    index = values.index  # of a pandas Series: it counts the steps
    numeric = getattr(index, "is_unique", False) and index.dtype.kind in "iuf"
    return Curve.of(tag, values.to_numpy(), index.to_numpy() if numeric else None)


def _only_run(path: Path | str) -> Run:
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
