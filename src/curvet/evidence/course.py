"""The course as a whole: how far the loss fell, where it lay flat, rose, or left its course."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..diagnosis import Evidence
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
LONG = 0.25
N_BINS = 128


def course(run: LookedAt) -> Iterator[Evidence]:
    """From where to where the loss went."""
    series = run.series
    if series is None:
        return
    tail = max(1, len(series) // 10)
    start, end = series.typical(0, tail), series.typical(len(series) - tail, len(series))
    size = max(abs(start), abs(end))
    if abs(end / 2 - start / 2) <= FLAT / 2 * size:
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
    """A loss that begins many times above where it is a moment later."""
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
    if stayed:
        yield _stayed(series, stayed[0], end)
    elif (begin := rises_from(series)) is not None:
        found = {"step": series.at(begin), "least": float(series.value[begin]), "end": end}
        yield Evidence("left_course", found, (series.at(begin), last))
    elif (noisier := noisier_from(series)) is not None:
        at, factor = noisier
        found = {"step": series.at(at), "factor": factor}
        yield Evidence("noisier", found, (series.at(at), last))


def _stayed(series: Series, jump: Jump, end: float) -> Evidence:
    """Tell a new level from a rise that goes on."""
    n = len(series)
    before = series.typical(jump.at - max(3, n // 20), jump.at)
    at, last = series.at(jump.at), series.at(n - 1)
    soon = float(np.median(series.share[jump.at : jump.at + max(3, n // 50)]))
    late = float(np.median(series.share[-max(1, n // 10) :]))
    rises_on = late - soon > 0.5 * max(soon - jump.base, jump.height / 2)
    if rises_on:
        return Evidence("left_course", {"step": at, "least": before, "end": end}, (at, last))
    after = series.typical(jump.at, jump.at + max(3, n // 50))
    found = {"step": at, "before": before, "after": after, "end": end}
    return Evidence("level_shift", found, (at, last))


def plateau(run: LookedAt) -> Iterator[Evidence]:
    """The longest stretch in which a loss that moves elsewhere does not move."""
    series = run.series
    if series is None or len(series) < 20 or not _moves(series):
        return
    group = -(-len(series) // N_BINS)
    level = binned(series.level, group)
    span = max(series.drop, float(np.ptp(np.quantile(series.y, [0.05, 0.95]))))
    first, last = _longest_flat(level, max(FLAT * span, 2 * series.least))
    if last - first < LONG * len(level):
        return
    begin, end = first * group, min(last * group, len(series) - 1)
    value = series.typical(begin, end)
    kind, classes = _at_chance(value)
    start = series.typical(0, max(3, len(series) // 50))
    at_start = abs(value - start) <= 0.05 * abs(start) or begin < len(series) // 20
    to_the_end = last >= len(level) - 1
    kind = f"plateau{kind}" if kind or not to_the_end else "levels_off"
    if kind == "plateau" and at_start:
        kind = "plateau_at_start"
    elif kind == "plateau":
        return  # a pause on the way down tells nothing
    share = (value / start if start > 0 and value > 0 else 0.0)
    found = {"level": value, "step": series.at(begin), "share": share, **classes}
    yield Evidence(kind, found, (series.at(begin), series.at(end)))


def still_falling(run: LookedAt) -> Iterator[Evidence]:
    """How fast the loss falls at the end, in the unit that the log can tell."""
    series = run.series
    if series is None or len(series) < 10:
        return
    n = len(series)
    fifth = max(2, n // 5)
    parts = [series.y[n - fifth : n - fifth // 2], series.y[n - fifth // 2 :]]
    early, late = (float(np.median(part)) for part in parts)
    fall = early - late
    unsure = 1.25 * float(series.noise[-1]) * np.sqrt(2 / len(parts[1]))
    # Of a log scale differences are shares of the level, of others they are made so.
    level = abs(late) if not series.log else 1.0
    share = fall / max(level, series.drop / 10, 1e-12)
    span = abs(series.at(n - 1) - series.at(n - fifth))
    if share < 0.01 or fall <= 3 * unsure or not 0 < span < np.inf:
        return
    # Between the middles of the two parts lies half the span.
    rate, unit, every = _per_unit(series, 2 * share / span)
    found: dict[str, float | str] = {"share": rate, "every": every}
    yield Evidence(unit, found, (series.at(n - fifth), series.at(n - 1)))


def _per_unit(series: Series, per_step: float) -> tuple[float, str, float]:
    """Express a rate of fall by the epoch, by a round number of steps, or by a tenth."""
    step = series.step
    run = float(step.max() - step.min())
    if bool((step != np.floor(step)).any()) and per_step >= 0.001 and 2 <= run < 1e4:
        return per_step, "still_falling_epoch", 1.0
    gap = float(np.median(np.abs(np.diff(step))))
    if run >= 1000 and (gap > 1 or len(step) > 1000):
        every = 10.0 ** np.floor(np.log10(run / 10))
        return per_step * every, "still_falling_steps", float(every)
    return per_step * run / 10, "still_falling", run / 10


def _moves(series: Series) -> bool:
    """Tell whether the level ever leaves the middle."""
    middle = float(np.median(series.level))
    away = float(np.abs(series.level - middle).max())
    return away > 6 * series.least + 3 * float(np.median(series.noise))


def _at_chance(level: float) -> tuple[str, dict[str, float]]:
    """Name the number of classes whose logarithm a level is."""
    for kind, numbers in (("_at_chance", CLASSES), ("_at_chance_tokens", VOCABULARIES)):
        for number in numbers:
            if abs(level - np.log(number)) <= CHANCE * np.log(number):
                return kind, {"classes": float(number), "logarithm": float(np.log(number))}
    return "", {}


def _longest_flat(level: Array, band: float) -> tuple[int, int]:
    """Find the longest stretch whose values lie within a band: first, and one past the last."""
    best, first = (0, 0), 0
    for last in range(len(level)):
        while np.ptp(level[first : last + 1]) > band:
            first += 1
        if last + 1 - first > best[1] - best[0]:
            best = first, last + 1
    return best
