"""Rows of a table of scores -> their logs, found again and read again."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnosis import Evidence
from ..errors import CurvetError, ReadError, ScoreError
from ..evidence import measure, weigh
from ..readers import Unit, find
from ..readers.units import Log
from ..report.thin import HUGE, thin
from ..roles import assign
from ..run import Curve, Run
from ..score.state import Known, known_runs
from ..score.work import read_place
from ..texts import say
from .table import Score

N_BINS = {"loss": 120, "val": 60, "grad_norm": 50, "lr": 20}
"""Each bin gives its lowest and highest value: 240 points of the training loss, 500 in all."""
N_BAD = 25  # steps without a finite value that are marked
DIGITS, MOST_DIGITS = 4, 9
EXACT = 1e15  # numbers below can be counted in ones
LATEST = 2.5e11  # seconds: the last year of four digits


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn of one run.

    Parameters
    ----------
    curves : mapping of role to dict
        See `encode`; empty if there is nothing to draw.
    facts : tuple of Evidence
        Measured on the whole curves.
    note : str
        What there is to know about them: why there are none, or that the log has changed.
    """

    curves: Mapping[str, dict[str, Any]]
    facts: tuple[Evidence, ...] = ()
    note: str = ""


def choose(scores: Sequence[Score], n: int) -> list[int]:
    """Choose whose curves are shown: in turn the surest of each verdict.

    Parameters
    ----------
    scores : sequence of Score
        Rows that are errors have no curves.
    n : int
        How many at most.

    Returns
    -------
    list of int
        Places of the chosen rows, ascending.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for place, score in enumerate(scores):
        if score.status == "ok":
            groups[score.cause or ""].append(place)
    turns: list[tuple[int, int]] = []
    for group in groups.values():
        group.sort(key=lambda place: -(scores[place].probability or 0.0))
        turns += enumerate(group)
    return sorted(place for _, place in sorted(turns)[:n])


def changed(score: Score, known: Known | None) -> float | None:
    """Return when a log changed last, in seconds since 1970; None where nobody knows."""
    found = re.findall(r"(?:^|,)\d+:([\d.e+]+):", known.stamp) if known else []
    times = [float(text) for text in found]
    if not any(times):
        with suppress(OSError, ValueError):
            times = [Path(score.source).stat().st_mtime]
    return next((time for time in sorted(times, reverse=True) if 0 < time < LATEST), None)


def find_known(table: Path) -> tuple[Mapping[str, Known], tuple[str, ...]]:
    """Look up where the logs of a table lie, by the state file beside it.

    Parameters
    ----------
    table : Path
        Of scores.

    Returns
    -------
    mapping of run id to Known, tuple of str
        Empty where there is no such file, or none that can be used: then the latter says so.
    """
    state = table.with_name(f"{table.name}.state")
    if not state.is_file():
        return {}, ()
    try:
        return {known.run_id: known for known in known_runs(state)}, ()
    except ScoreError as error:
        return {}, (f"{error}; the logs are looked for where the table says",)


def read_drawings(
    scores: Sequence[Score],
    chosen: Sequence[int],
    known: Mapping[str, Known],
    progress: Callable[[int, int | None], object],
    draw: Callable[[Run, Score], Drawing] | None = None,
) -> dict[int, Drawing]:
    """Read the logs of some rows again; what cannot be read is a drawing with a note.

    Parameters
    ----------
    scores : sequence of Score
        All rows.
    chosen : sequence of int
        Places of the rows in question.
    known : mapping of run id to Known
        Where their logs lie. A run that is not in it is looked for at the row's source.
    progress : callable (done, total)
        Called after each log.
    draw : callable (run, its row) -> Drawing, optional
        What is made of a run; `draw_run`, if it is left out.
    """
    draw = draw or draw_run
    logs: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place in chosen:
        log = known.get(scores[place].run_id)
        key = (log.name, log.place) if log else (scores[place].source, "")
        logs[key].append(place)
    drawings: dict[int, Drawing] = {}
    for (name, where), places in logs.items():
        waiting = {scores[place].run_id: place for place in places}
        note = say("report_page.run_gone")
        try:
            found = _runs(name, where) if where else _runs_at(name, [scores[p] for p in places])
            for run_id, run in found:
                if run_id in waiting:
                    drawings[waiting[run_id]] = draw(run, scores[waiting[run_id]])
                    del waiting[run_id]
                if not waiting:
                    break
        except CurvetError as error:
            note = str(error)
        except Exception as error:  # one log that we stumble over must not cost the page
            note = f"{name}: {type(error).__name__}: {error!s:.200}"
        for place in waiting.values():
            drawings[place] = Drawing({}, note=note)
        progress(len(drawings), len(chosen))
    return drawings


def _runs(name: str, place: str) -> Iterator[tuple[str, Run]]:
    """Read the runs of a log whose place is known, with their ids in the table."""
    return ((run.id, run) for run in read_place(name, place).read())


def _runs_at(source: str, rows: Sequence[Score]) -> Iterator[tuple[str, Run]]:
    """Read what lies at a source; the end of a run's id tells which of several runs it is."""
    for unit in find(source, keep_unknown=False):
        if isinstance(unit, ReadError):
            raise unit
        if unit.format not in {row.format for row in rows} or not _is_at(unit, source):
            continue
        for run in unit.read():
            end = run.id.removeprefix(unit.name)
            yield next((r.run_id for r in rows if r.run_id.endswith(end)), ""), run


def _is_at(unit: Log, source: str) -> bool:
    """Tell whether a unit is that of a source, not one of a folder below."""
    return not isinstance(unit, Unit) or source in (str(unit.path), unit.source)


def draw_run(run: Run, score: Score) -> Drawing:
    """Write down the curves of a run and what is measured on them, weighed by its row's verdict."""
    channels = assign(run)
    curves = {
        role: encode(curve, n_bins)
        for role, n_bins in N_BINS.items()
        if (curve := getattr(channels, role)) is not None and len(curve)
    }
    stale = score.n_points and len(channels.loss) != score.n_points
    facts = weigh(measure(channels), score.cause)
    return Drawing(curves, facts, say("report_page.log_changed") if stale else "")


def encode(curve: Curve, n_bins: int) -> dict[str, Any]:
    """Write a curve down in few digits.

    Parameters
    ----------
    curve : Curve
        Of any length.
    n_bins : int
        See `thin`.

    Returns
    -------
    dict
        ``n``, ``finite``: points that were logged, and those with a finite value; ``unit``,
        ``steps``: the first step and the way to each next one, in that unit; ``values``;
        ``bad``: steps whose value is no finite number.

    Examples
    --------
    >>> encode(Curve.of("loss", [2.5, float("nan"), 1.23456], [10, 20, 30]), 100)
    {'n': 3, 'finite': 2, 'unit': 1, 'steps': [10, 20], 'values': [2.5, 1.235], 'bad': [20.0]}
    """
    step, value = thin(curve, n_bins)
    step = step.clip(-HUGE, HUGE)
    size, spread = (float(np.abs(step).max()), float(np.ptp(step))) if len(step) else (0.0, 0.0)
    whole = size < EXACT and bool((step == np.round(step)).all())
    unit = 1 if whole else float(f"{max(spread / 1e5, size / EXACT):.6g}") or 1
    finite = np.isfinite(curve.value)
    bad = curve.step[~finite & np.isfinite(curve.step)]
    return {
        "n": len(curve),
        "finite": int(finite.sum()),
        "unit": unit,
        "steps": np.diff(np.round(step / unit), prepend=0).astype(np.int64).tolist(),
        "values": _rounded(value.tolist()),
        "bad": bad[:: max(1, -(-len(bad) // N_BAD))].clip(-HUGE, HUGE).tolist(),
    }


def _rounded(values: Sequence[float]) -> list[float]:
    """Round to the digits that tell the values apart on a screen."""
    if not values:
        return []
    spread, size = max(values) - min(values), max(map(abs, values))
    more = int(np.log10(size / spread)) if 0 < spread < size else 0
    digits = min(DIGITS + more, MOST_DIGITS)
    return [_short(value, digits) for value in values]


def _short(value: float, digits: int) -> float:
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if abs(rounded) < 1e6 and rounded == int(rounded) else rounded
