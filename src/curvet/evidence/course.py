"""The course as a whole: how far the loss fell, where it lay flat, rose, or left its course."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import exp, log

import numpy as np

from ..diagnosis import Evidence
from ..robust import median
from .breaks import noisier_from, rises_from
from .jumps import Jump
from .looked_at import LookedAt
from .series import Array, Series, binned
from .spikes import AT_THE_END

CLASSES = (*range(2, 11), 20, 26, 50, 62, 100, 101, 200, 256, 365, 1000)
VOCABULARIES = (10000, 30522, 32000, 32128, 50257, 50304, 65536, 100277, 128256, 151936)
CHANCE = 0.004
"""How far, in relative terms, a level may lie from the logarithm of a number of classes."""

FLAT = 0.03
"""What a flat loss moves relative to all that it fell, or to its size."""

LONG = 0.25
"""Share of the run that a flat stretch takes, at least."""

AGAIN = 0.01
"""Share by which the loss still falls from one tenth of the run to the next."""

N_BINS = 128


def course(run: LookedAt) -> Iterator[Evidence]:
    """From where to where the loss went."""
    series = run.series
    if series is None:
        return
    tail = max(1, len(series) // 10)
    start, end = series.typical(0, tail), series.typical(len(series) - tail, len(series))
    first = float(series.value[0])
    start = first if first >= series.value.max() else start  # a steep start is part of the fall
    size = max(abs(start), abs(end))
    change = abs(float(median(series.y[-tail:]) - median(series.y[:tail])))
    in_noise = start != first and change <= 4 * float(median(series.noise)) / np.sqrt(tail)
    if abs(end / 2 - start / 2) <= FLAT / 2 * size or in_noise:
        if not _moves(series):
            kind, classes = _at_chance(end)
            yield Evidence(f"flat{kind}", {"start": start, "end": end, **classes})
    elif end > start:
        yield Evidence("risen", {"start": start, "end": end})
    else:
        yield Evidence("fallen", {"start": start, "end": end})
    least = int(series.value.argmin())
    if series.value[least] < 0:
        found = {"least": float(series.value[least]), "step": series.at(least)}
        yield Evidence("negative", found, (series.at(least),))


def steep_start(run: LookedAt) -> Iterator[Evidence]:
    """Tell where a loss begins many times above where it is a moment later."""
    series = run.series
    if series is None or not series.log or len(series) < 20:
        return
    soon = max(5, len(series) // 20)
    first, then = float(series.value[:2].max()), series.typical(soon, 2 * soon)
    if first / 10 > then:
        found = {"first": first, "then": then, "step": series.at(soon)}
        yield Evidence("steep_start", found, (series.at(0), series.at(soon)))


def left_course(run: LookedAt) -> Iterator[Evidence]:
    """Where the loss rose or jumped and did not come back, or grew noisier."""
    series = run.series
    if series is None:
        return
    n = len(series)
    last = series.at(n - 1)
    end = series.typical(n - max(1, n // 10), n)
    stayed = [jump for jump in run.jumps if jump.back is None and n - jump.at > AT_THE_END]
    if stayed and not _rises_on(series, stayed[0]):
        yield _level_shift(series, stayed[0], end)
    elif (begin := _rise(series, stayed)) is not None:
        found = {"step": series.at(begin), "least": float(series.value[begin]), "end": end}
        yield Evidence("left_course", found, (series.at(begin), last))
    elif (noisier := noisier_from(series)) is not None:
        at, factor = noisier
        found = {"step": series.at(at), "factor": factor}
        yield Evidence("noisier", found, (series.at(at), last))


def _rise(series: Series, stayed: list[Jump]) -> int | None:
    """Find the last point before the rise; a slow one is noticed late as a jump."""
    known = [jump.at - 1 for jump in stayed[:1]]
    begin = rises_from(series)
    return min(known if begin is None else [*known, begin], default=None)


def _rises_on(series: Series, jump: Jump) -> bool:
    """Tell a rise that goes on from a new level."""
    n = len(series)
    soon = float(median(series.share[jump.at : jump.at + max(3, n // 50)]))
    late = float(median(series.share[-max(1, n // 10) :]))
    return late - soon > 0.5 * max(soon - jump.base, jump.height / 2)


def _level_shift(series: Series, jump: Jump, end: float) -> Evidence:
    n = len(series)
    at = series.at(jump.at)
    found = {
        "step": at,
        "before": series.typical(jump.at - max(3, n // 20), jump.at),
        "after": series.typical(jump.at, jump.at + max(3, n // 50)),
        "end": end,
    }
    return Evidence("level_shift", found, (at, series.at(n - 1)))


def plateau(run: LookedAt) -> Iterator[Evidence]:
    """Find the longest stretch in which a loss that moves elsewhere does not move."""
    series = run.series
    if series is None or len(series) < 20 or not _moves(series):
        return
    group = -(-len(series) // N_BINS)
    level = binned(series.level, group)
    span = max(series.drop, _spread(series.y))
    size = 1.0 if series.log else float(median(np.abs(level)))
    first, last = _longest_flat(level, FLAT * min(span, size) + 2 * series.least)
    if last - first < LONG * len(level):
        return
    begin, end = first * group, min(last * group, len(series) - 1)
    value, start = series.typical(begin, end), series.typical(0, max(3, len(series) // 50))
    at_start = begin < len(series) // 20 and abs(value - start) <= 0.05 * abs(start)
    to_the_end = last >= len(level) - 1 and _fall(series)[0] < AGAIN
    if not at_start and not to_the_end:
        return  # a pause on the way down tells nothing
    chance, classes = _at_chance(value) if value <= 1.05 * start else ("", {})
    kind = f"plateau{chance}" if chance else "plateau_at_start" if at_start else "levels_off"
    share = value / start if start > 0 and value > 0 else 0.0
    found = {"level": value, "step": series.at(begin), "share": share, **classes}
    yield Evidence(kind, found, (series.at(begin), series.at(end)))


def still_falling(run: LookedAt) -> Iterator[Evidence]:
    """How fast the loss falls at the end, in the unit that the log can tell."""
    series = run.series
    if series is None or len(series) < 10:
        return
    share, span = _fall(series)
    if share < AGAIN:
        return
    first = len(series) - max(2, len(series) // 5)
    # Between the middles of the two halves of the last fifth lies half of it.
    rate, kind, every = _per_unit(series, 2 * share / span)
    found: dict[str, float | str] = {"share": 1 - exp(-rate), "every": every}
    yield Evidence(kind, found, (series.at(first), series.at(len(series) - 1)))


def _fall(series: Series) -> tuple[float, float]:
    """How far the loss falls from one half of the last fifth to the other, and its length.

    Returns
    -------
    share, span : float
        A share of the level, 0 where it does not fall beyond doubt; steps of the last fifth.
    """
    n = len(series)
    fifth = max(2, n // 5)
    parts = [series.y[n - fifth : n - fifth // 2], series.y[n - fifth // 2 :]]
    fall = float(median(parts[0]) - median(parts[1]))
    unsure = 1.25 * float(series.noise[-1]) * np.sqrt(2 / len(parts[1]))
    # Differences of logarithms are shares of the level, others are made so.
    level = 1.0 if series.log else abs(float(median(parts[1])))
    span = abs(series.at(n - 1) - series.at(n - fifth))
    if fall <= 3 * unsure or not 0 < span < np.inf:
        return 0.0, span
    return fall / max(level, series.drop / 10, 1e-12), span


def _per_unit(series: Series, per_step: float) -> tuple[float, str, float]:
    """Express a rate of fall by the epoch, by a round number of steps, or by a tenth."""
    step = series.step
    run = float(step.max() - step.min())
    if bool((step != np.floor(step)).any()) and per_step >= 0.001 and 2 <= run < 1e4:
        return per_step, "still_falling_epoch", 1.0
    gap = float(median(np.abs(np.diff(step))))
    if run >= 1000 and (gap > 1 or len(step) > 1000):
        every = 10.0 ** np.floor(np.log10(run / 10))
        return per_step * every, "still_falling_steps", float(every)
    return per_step * run / 10, "still_falling", run / 10


def _spread(y: Array) -> float:
    """Distance between the lowest and the highest twentieth."""
    ordered = np.sort(y)
    twentieth = len(y) // 20
    return float(ordered[len(y) - 1 - twentieth] - ordered[twentieth])


def _moves(series: Series) -> bool:
    """Tell whether the level ever leaves the middle."""
    middle = float(median(series.level))
    away = float(np.abs(series.level - middle).max())
    return away > 6 * series.least + 3 * float(median(series.noise))


def _at_chance(level: float) -> tuple[str, dict[str, float]]:
    """Name the number of classes whose logarithm a level is."""
    for kind, numbers in (("_at_chance", CLASSES), ("_at_chance_tokens", VOCABULARIES)):
        for number in numbers:
            if abs(level - log(number)) <= CHANCE * log(number):
                return kind, {"classes": float(number), "logarithm": log(number)}
    return "", {}


def _longest_flat(level: Array, band: float) -> tuple[int, int]:
    """Find the longest stretch whose values lie within a band: first, and one past the last."""
    values = level.tolist()
    best, first = (0, 0), 0
    # Positions since `first` that may yet be the highest or the lowest of a stretch.
    highs: deque[int] = deque()
    lows: deque[int] = deque()
    for last, value in enumerate(values):
        while highs and values[highs[-1]] <= value:
            highs.pop()
        while lows and values[lows[-1]] >= value:
            lows.pop()
        highs.append(last)
        lows.append(last)
        while values[highs[0]] - values[lows[0]] > band:
            first += 1
            for extremes in (highs, lows):
                if extremes[0] < first:
                    extremes.popleft()
        if last + 1 - first > best[1] - best[0]:
            best = first, last + 1
    return best
