"""Curves of any length, one run after the other -> series of bounded length and rows of an image.

Runs lie one behind the other; what is made of them is put into arrays with a row for each run,
which are filled up to the longest. Logarithms and orders are left to numpy, which is quicker.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel, part
from .curves import between, median, running, running_room

Array = NDArray[np.float64]
Count = NDArray[np.int64]
Image = NDArray[np.float32]

LOSS, SHAPE, NOISE, VAL, GAP, VAL_SHAPE, NORM, NORM_SHAPE, RATE = range(9)
"""Places of the series."""

POINTS, START, BAD, FIRST_BAD, ENDS_BAD, NEGATIVE, CHANGED, DECIMALS, EPOCHS = range(9)
FRACTIONS, REWOUND, REPEATED, VAL_SHARE, VAL_POINTS, VAL_BAD, NORM_BAD, N_NUMBERS = range(9, 17)
"""Places of the numbers."""

ROWS = ("nonfinite", "rewound", "grad_nonfinite")
"""Rows of the image that mark points, in the order in which their places are handed in."""

_FEW, _SMALL, _DIGITS = 400, 1e6, 8
_LARGEST = 1e150  # sums and ratios of what is smaller are finite, too


@part
def _mark(hit: NDArray[np.bool_], row: Image) -> None:
    """Mark on a grid the bins in which something is; few points are stretched to it."""
    n, places = len(hit), len(row)
    if n > places:
        for j in range(places):
            found = False
            for i in range(j * n // places, (j + 1) * n // places):
                found |= hit[i]
            row[j] = found
    elif n > 0:
        step = (n - 1) / (places - 1)
        for j in range(places - 1):
            row[j] = hit[int(np.rint(j * step))]
        row[places - 1] = hit[n - 1]


@part
def _decimals(x: Array, n: int) -> int:
    """Count the decimals that were logged, 8 at most: rounding tells a tracker's format."""
    scale, i, seen, digits = 1.0, 0, 0, 0
    while i < n and seen < _FEW:
        if abs(x[i]) < _SMALL:
            while digits < _DIGITS and not abs(x[i] - np.rint(x[i] * scale) / scale) < 1e-9:
                digits += 1
                scale *= 10.0
            if digits == _DIGITS:
                return digits
            seen += 1
        i += 1
    return digits


@part
def _count_epochs(step: Array) -> bool:
    """Tell whether steps are mostly 1 apart, of few."""
    n = len(step)
    if n < 2 or n > _FEW:
        return False
    same, finite = True, np.isfinite(step[0])
    for i in range(1, n):
        same &= step[i] - step[i - 1] == 1.0
        finite &= np.isfinite(step[i])
    return finite and (same or median(step[1:] - step[: n - 1]) == 1.0)


@part
def _level(x: Array, n: int) -> float:
    """Median of the first values."""
    return median(x[: max(1, int(np.rint(0.03 * n)))])


@part
def _low(x: Array, n: int) -> float:
    low = x[0]
    for i in range(1, n):
        low = min(low, x[i])
    return float(low)


@kernel(
    "float64[::1], float64[::1], int64[::1], int64[::1], int64[::1]",
    "float64[:,::1], float64[:,::1], float64[:,::1], int64[::1], float64[:,::1], float64[:,::1], "
    "float32[:,:,::1]",
)
def losses(
    step: Array,
    value: Array,
    begin: Count,
    to: Count,
    rows: Count,
    where: Array,
    known: Array,
    ratio: Array,
    count: Count,
    start: Array,
    numbers: Array,
    image: Image,
) -> None:
    """Set losses in relation to the run's own start, and count.

    Parameters
    ----------
    step, value : arrays of shape (point,)
        Of all runs.
    begin : array of shape (run + 1,)
        Where each run begins.
    to : array of shape (run,)
        Row of `numbers` and `image` of each.
    rows : array of shape (3,)
        Places of `ROWS` in the image.
    where, known, ratio : arrays of shape (run, most)
        Are filled: share of the run that has passed at each finite loss, that loss, bounded,
        and its ratio to the start; after the last, inf, and ratios of 1.
    count : array of shape (run,)
        Is filled: finite losses.
    start : array of shape (run, 2)
        Is filled: the level at the start, and what was added so that logarithms exist.
    numbers : array of shape (any, at least N_NUMBERS)
        Is filled up to `VAL_SHARE`.
    image : array of shape (any, row, step)
        Gets its marks.
    """
    for run in range(len(to)):
        steps, x = step[begin[run] : begin[run + 1]], value[begin[run] : begin[run + 1]]
        out, mine, n, k = numbers[to[run]], known[run], len(x), 0
        hit = np.empty(n, np.bool_)
        for i in range(n):
            hit[i] = not np.isfinite(x[i])
            if not hit[i]:
                mine[k] = min(max(x[i], -_LARGEST), _LARGEST)
                where[run, k] = i / max(1, n - 1)
                k += 1
        count[run] = k
        if k < n:
            _mark(hit, image[to[run], rows[0]])
        out[FIRST_BAD], out[ENDS_BAD] = 1.0, n > 0 and hit[n - 1]
        for i in range(n - 1, -1, -1):
            if hit[i]:
                out[FIRST_BAD] = i / n
        rewound = repeated = fractions = 0
        for i in range(n):
            hit[i] = i > 0 and steps[i] < steps[i - 1]
            rewound += hit[i]
            repeated += i > 0 and steps[i] == steps[i - 1]
            fractions += steps[i] != np.rint(steps[i])
        if rewound:
            _mark(hit, image[to[run], rows[1]])
        level, shift, negative, changed = 1.0, 0.0, 0, 0
        if k > 0:
            level, low = _level(mine, k), _low(mine, k)
            if low <= 0:
                shift = -low + 0.01 * max(max(level - low, abs(level)), 1e-12)
            level += shift
        for i in range(k):
            negative += mine[i] < 0
            changed += i > 0 and mine[i] != mine[i - 1]
            ratio[run, i] = max((mine[i] + shift) / level, 1e-12)
        for i in range(k, len(mine)):
            where[run, i], mine[i], ratio[run, i] = np.inf, np.inf, 1.0
        start[run, 0], start[run, 1] = level, shift
        out[POINTS] = np.log10(max(1, n))
        out[START] = min(max(np.log10(max(abs(level), 1e-12)), -4.0), 8.0)
        out[BAD], out[NEGATIVE] = (n - k) / max(1, n), negative / max(1, k)
        out[CHANGED] = changed / (k - 1) if k > 1 else np.nan
        out[DECIMALS], out[EPOCHS] = _decimals(mine, k), _count_epochs(steps)
        out[FRACTIONS] = fractions > 0
        out[REWOUND], out[REPEATED] = rewound / max(1, n - 1), repeated / max(1, n - 1)


@part
def below(at: float, x: Array, n: int, guess: int) -> int:
    """Find the last of n ascending values that is at most `at`, from a guess on; -1 if none is."""
    if guess >= 0 and x[guess] > at:
        guess = -1
    while guess < n - 1 and x[guess + 1] <= at:
        guess += 1
    return guess


@part
def _alike(steps: Array, val: Array) -> bool:
    """Tell whether validation counts as the loss does, whose steps never go back."""
    n = len(steps)
    if n == 0 or not np.isfinite(steps[0]):
        return False
    for i in range(1, n):
        if not steps[i] >= steps[i - 1]:
            return False
    low, high, last = steps[0], steps[n - 1], val[0]
    for i in range(len(val)):
        if np.isnan(val[i]):
            return False
        last = max(last, val[i])
    last -= low
    return bool(high > low and 0.5 * (high - low) <= last and last <= 1.2 * (high - low))


@kernel(
    "float64[::1], int64[::1], float64[::1], float64[::1], int64[::1], int64[::1], float64[:,::1]",
    "float64[:,::1], float64[:,::1], float64[:,::1], int64[::1], float64[:,::1]",
)
def validations(
    loss_step: Array,
    loss_begin: Count,
    step: Array,
    value: Array,
    begin: Count,
    to: Count,
    start: Array,
    where: Array,
    known: Array,
    ratio: Array,
    count: Count,
    numbers: Array,
) -> None:
    """Do the same for validation, which is placed within the run; see `losses`.

    By step where both count alike, else by index. A run without validation has no points.
    """
    for run in range(len(to)):
        x, val = value[begin[run] : begin[run + 1]], step[begin[run] : begin[run + 1]]
        steps = loss_step[loss_begin[run] : loss_begin[run + 1]]
        n, m, out = len(steps), len(x), numbers[to[run]]
        k, at = 0, -1
        if m > 0:
            out[VAL_SHARE], out[VAL_POINTS] = np.log10(m / max(1, n)), np.log10(m)
            alike, level, shift = _alike(steps, val), start[run, 0], start[run, 1]
            for i in range(m):
                if not np.isfinite(x[i]):
                    continue
                where[run, k] = (i + 1) / m
                if alike:
                    at = below(val[i], steps, n, at)
                    here = max(at, 0) / max(1, n - 1)
                    if 0 <= at < n - 1 and steps[at] < val[i]:  # not logged with a loss
                        first, last = at / max(1, n - 1), (at + 1) / max(1, n - 1)
                        rise = (last - first) / (steps[at + 1] - steps[at])
                        here = rise * (val[i] - steps[at]) + first
                    where[run, k] = here
                known[run, k] = min(max(x[i], -_LARGEST), _LARGEST)
                ratio[run, k] = max((known[run, k] + shift) / level, 1e-12)
                k += 1
            out[VAL_BAD] = (m - k) / m
        count[run] = k
        for i in range(k, ratio.shape[1]):
            where[run, i], known[run, i], ratio[run, i] = np.inf, np.inf, 1.0


@kernel(
    "float64[::1], int64[::1], int64[::1], int64[::1]",
    "float64[:,::1], float64[:,::1], int64[::1], float64[:,::1], float32[:,:,::1]",
)
def norms(
    value: Array,
    begin: Count,
    to: Count,
    rows: Count,
    where: Array,
    known: Array,
    count: Count,
    numbers: Array,
    image: Image,
) -> None:
    """Collect the sizes of gradient norms that are finite; see `losses`."""
    for run in range(len(to)):
        x, k = value[begin[run] : begin[run + 1]], 0
        n = len(x)
        hit = np.empty(n, np.bool_)
        for i in range(n):
            hit[i] = not np.isfinite(x[i])
            if not hit[i]:
                where[run, k], known[run, k] = i / max(1, n - 1), abs(x[i]) + 1e-10
                k += 1
        if n > 0:
            numbers[to[run], NORM_BAD] = (n - k) / n
        if 0 < k < n:
            _mark(hit, image[to[run], rows[2]])
        count[run] = k
        for i in range(k, known.shape[1]):
            where[run, i], known[run, i] = np.inf, 1.0


@kernel(
    "float64[::1], int64[::1]",
    "float64[:,::1], float64[:,::1], int64[::1]",
)
def rates(value: Array, begin: Count, where: Array, share: Array, count: Count) -> None:
    """Set learning rates in relation to the highest; none where none is above 0."""
    for run in range(len(count)):
        x, k, highest = value[begin[run] : begin[run + 1]], 0, 0.0
        n = len(x)
        for i in range(n):
            if np.isfinite(x[i]) and x[i] >= 0:
                where[run, k], share[run, k] = i / max(1, n - 1), x[i]
                highest = max(highest, x[i])
                k += 1
        if highest == 0:
            k = 0
        count[run] = k
        for i in range(k):
            share[run, i] = min(max(share[run, i] / highest, 1e-4), 1.0)
        for i in range(k, share.shape[1]):
            where[run, i], share[run, i] = np.inf, 1.0


@part
def _bins(x: Array, n: int, out: Array) -> None:
    """Average neighbours so that no more points are left than there is room for."""
    places = len(out)
    if n <= places:
        for i in range(n):
            out[i] = x[i]
        return
    for j in range(places):
        first, last, total = j * n // places, (j + 1) * n // places, 0.0
        for i in range(first, last):
            total += x[i]
        out[j] = total / (last - first)


@part
def _shape(y: Array, n: int, out: Array) -> None:
    """Scale from the lowest value (0) to the first (1), within -1 to 4."""
    low = _low(y, n)
    height = max(_level(y, n) - low, 0.02)
    for i in range(n):
        out[i] = min(max((y[i] - low) / height, -1.0), 4.0)


@part
def _grid(image: Image) -> Array:
    """Return the shares of a run at which an image has its places."""
    last = image.shape[2] - 1
    grid = np.empty(last + 1)
    for j in range(last + 1):
        grid[j] = j / last
    return grid


@part
def _find(grid: Array, x: Array, n: int, found: Count) -> None:
    """Find after which of n points each place of a grid comes, as `between` has it."""
    place = -1
    for j in range(len(grid)):
        place = below(grid[j], x, n, place)
        found[j] = place


@part
def _draw(grid: Array, found: Count, x: Array, y: Array, n: int, scale: float, row: Image) -> None:
    """Interpolate on the grid of the image; see `_find`."""
    for j in range(len(grid)):
        row[j] = between(grid[j], x, y, n, found[j]) * scale


@part
def _averages(y: Array, n: int, width: int, at: Count, out: Array) -> None:
    """Average so many neighbours of each place; beyond either end the last value repeats."""
    begin, weight, m, beside = width // 2, 1 / width, len(at), True
    for i in range(m):
        beside &= at[i] == at[0] + i
    out[:] = 0.0
    for k in range(width):  # several places at once, which is quicker than one by one
        if beside:  # the more so where they stand beside each other
            first = at[0] + k - begin
            low, high = min(max(-first, 0), m), max(min(n - first, m), 0)
            before, within, after = out[:low], out[low:high], out[max(low, high) :]
            values = y[first + low : first + high]
            for i in range(len(before)):
                before[i] += y[0] * weight
            for i in range(len(within)):
                within[i] += values[i] * weight
            for i in range(len(after)):
                after[i] += y[n - 1] * weight
        else:
            for i in range(m):
                out[i] += y[min(max(at[i] + k - begin, 0), n - 1)] * weight


@part
def _noise(y: Array, smooth: Array, room: Array, out: Array) -> int:
    """Keep the distance from the running median, largest in each bin; returns how many."""
    n, places = len(y), len(out)
    width = 2 * (n // 40) + 3
    level = smooth
    if width // 2 != (n // 20 + 3) // 2:
        level = room[: len(y)]
        running(y, width, room[len(y) :], level)
    for j in range(min(n, places)):
        first, last = j, j + 1
        if n > places:
            first, last = j * n // places, (j + 1) * n // places
        most = 0.0
        for i in range(first, last):
            most = max(most, abs(y[i] - level[i]))
        out[j] = most
    return min(n, places)


@kernel(
    "int64[::1], int64[::1], float64[:,::1], float64[:,::1], float64[:,::1], int64[::1]",
    "float64[:,:,::1], int64[:,::1], float32[:,:,::1]",
)
def draw_losses(
    to: Count,
    rows: Count,
    where: Array,
    ratio: Array,
    smooth: Array,
    count: Count,
    series: Array,
    counts: Count,
    image: Image,
) -> None:
    """Make the series of the loss, and their rows.

    Parameters
    ----------
    to : array of shape (run,)
        Row of what is filled.
    rows : array of shape (9,)
        Row of the image for each series; -1 for none.
    where, ratio, smooth : arrays of shape (run, most)
        Share that has passed, log10 of the ratio to the start, and that without noise.
    count : array of shape (run,)
        Points of each.
    series : array of shape (any, 9, step)
        Is filled.
    counts : array of shape (any, 9)
        Is filled: points of each series; 0 where there is none.
    image : array of shape (any, row, step)
        Is filled.
    """
    places = image.shape[2]
    room, x = np.empty(ratio.shape[1] + running_room(ratio.shape[1])), np.empty(places)
    grid, at = _grid(image), np.empty(places, np.int64)
    for run in range(len(to)):
        n, mine, drawn = count[run], series[to[run]], image[to[run]]
        if n == 0:
            continue
        k = min(n, places)
        _bins(where[run], n, x)
        _bins(ratio[run], n, mine[LOSS])
        _shape(mine[LOSS], k, mine[SHAPE])
        _find(grid, x, k, at)
        _draw(grid, at, x, mine[LOSS], k, 0.5, drawn[rows[LOSS]])
        _draw(grid, at, x, mine[SHAPE], k, 1.0, drawn[rows[SHAPE]])
        found = _noise(ratio[run, :n], smooth[run, :n], room, mine[NOISE])
        for i in range(found):
            x[i] = i / max(1, found - 1)
        _find(grid, x, found, at)
        _draw(grid, at, x, mine[NOISE], found, 2.0, drawn[rows[NOISE]])
        counts[to[run], LOSS], counts[to[run], SHAPE], counts[to[run], NOISE] = k, k, found


@kernel(
    "int64[::1], int64[::1], float64[:,::1], float64[:,::1], int64[::1], float64[:,::1], "
    "float64[:,::1], int64[::1]",
    "float64[:,:,::1], int64[:,::1], float32[:,:,::1]",
)
def draw_validations(
    to: Count,
    rows: Count,
    where: Array,
    ratio: Array,
    count: Count,
    loss_where: Array,
    loss: Array,
    loss_count: Count,
    series: Array,
    counts: Count,
    image: Image,
) -> None:
    """Make the series of validation, and their rows; see `draw_losses`."""
    places = image.shape[2]
    x, before = np.empty(places), np.empty(places, np.int64)
    low, high = np.empty(places), np.empty(places)  # levels of the loss on either side
    grid, found = _grid(image), np.empty(places, np.int64)
    for run in range(len(to)):
        n, mine, drawn = count[run], series[to[run]], image[to[run]]
        n_loss, passed = loss_count[run], loss_where[run]
        if n == 0 or n_loss == 0:
            continue
        k, width, at, apart = min(n, places), max(1, n_loss // 40), -1, False
        _bins(where[run], n, x)
        _bins(ratio[run], n, mine[VAL])
        _shape(mine[VAL], k, mine[VAL_SHAPE])
        for i in range(k):
            at = below(x[i], passed, n_loss, at)
            before[i] = max(at, 0)
            apart |= passed[before[i]] < x[i]
        _averages(loss[run], n_loss, width, before[:k], low[:k])
        if apart:  # not where each was logged with a loss
            _averages(loss[run], n_loss, width, before[:k] + 1, high[:k])
        for i in range(k):
            at, level = before[i], low[i]
            if at < n_loss - 1 and passed[at] < x[i]:
                level += (high[i] - low[i]) / (passed[at + 1] - passed[at]) * (x[i] - passed[at])
            mine[GAP, i] = mine[VAL, i] - level
        _find(grid, x, k, found)
        _draw(grid, found, x, mine[VAL], k, 0.5, drawn[rows[VAL]])
        _draw(grid, found, x, mine[GAP], k, 1.0, drawn[rows[GAP]])
        counts[to[run], VAL], counts[to[run], GAP], counts[to[run], VAL_SHAPE] = k, k, k


@kernel(
    "int64[::1], int64[::1], int64, float64, float64[:,::1], float64[:,::1], int64[::1]",
    "float64[:,:,::1], int64[:,::1], float32[:,:,::1]",
)
def draw_others(
    to: Count,
    rows: Count,
    which: int,
    scale: float,
    where: Array,
    value: Array,
    count: Count,
    series: Array,
    counts: Count,
    image: Image,
) -> None:
    """Make the series of another channel, and of the norm its shape; see `draw_losses`."""
    places = image.shape[2]
    x, grid, found = np.empty(places), _grid(image), np.empty(places, np.int64)
    for run in range(len(to)):
        n, mine, drawn = count[run], series[to[run]], image[to[run]]
        if n == 0:
            continue
        k = min(n, places)
        _bins(where[run], n, x)
        _bins(value[run], n, mine[which])
        _find(grid, x, k, found)
        _draw(grid, found, x, mine[which], k, scale, drawn[rows[which]])
        counts[to[run], which] = k
        if which == NORM:
            middle = median(mine[NORM, :k])
            for i in range(k):
                mine[NORM_SHAPE, i] = mine[NORM, i] - middle
            _draw(grid, found, x, mine[NORM_SHAPE], k, 0.5, drawn[rows[NORM_SHAPE]])
            counts[to[run], NORM_SHAPE] = k
