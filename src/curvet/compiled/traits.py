"""The numbers of `curvet.traits`, of one run after the other; it says what each group holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel, part, sums
from .curves import interpolated, median, middle, quantile, spread

Array = NDArray[np.float64]


@part
def _log(value: float) -> float:
    """log10 of the magnitude, at least -8."""
    size = abs(value)
    return float(np.log10(1e-8 if size < 1e-8 else size))


@part
def _clip(value: float, low: float, high: float) -> float:
    """Keep a value within limits; NaN stays."""
    if value < low:
        return low
    return high if value > high else value


@part
def _level(value: float) -> float:
    """log10 of a loss, within -4 to 8."""
    return _clip(_log(value), -4.0, 8.0)


@part
def _first(x: Array, value: float) -> int:
    for i in range(len(x)):
        if x[i] == value:
            return i
    return 0


@sums
def _mean(x: Array) -> float:
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total / len(x)


@sums
def _product(x: Array, y: Array) -> float:
    total = 0.0
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@sums
def _covariance(x: Array, y: Array) -> float:
    """Sum the products of distances from the means."""
    mean_x, mean_y, total = _mean(x), _mean(y), 0.0
    for i in range(len(x)):
        total += (x[i] - mean_x) * (y[i] - mean_y)
    return total


@part
def _correlation(x: Array, y: Array) -> float:
    return float(_covariance(x, y) / np.sqrt(_covariance(x, x) * _covariance(y, y)))


@sums
def _slope(y: Array) -> float:
    """Slope of the least-squares line through values that stand evenly between 0 and 1."""
    last = len(y) - 1
    xy, xx = 0.0, 0.0
    for i in range(len(y)):
        x = i / last - 0.5
        xy += x * y[i]
        xx += x * x
    return xy / xx


@part
def _share(whole: float, fallen: float) -> float:
    return _clip(fallen / (0.01 if whole < 0.01 else whole), -10.0, 10.0)


@sums
def _alike(rest: Array) -> tuple[float, float]:
    """Autocorrelation of neighbours, and of those with one between them."""
    n, mean = len(rest), _mean(rest)
    zero, one, two = 0.0, 0.0, 0.0
    for i in range(n):
        zero += (rest[i] - mean) * (rest[i] - mean)
    for i in range(n - 1):
        one += (rest[i] - mean) * (rest[i + 1] - mean)
    for i in range(n - 2):
        two += (rest[i] - mean) * (rest[i + 2] - mean)
    variance = zero / n
    return one / (n - 1) / variance, two / (n - 2) / variance


@sums
def _rest(x: Array, height: float, shape: Array) -> float:
    total = 0.0
    for i in range(len(x)):
        rest = x[i] - height * shape[i]
        total += rest * rest
    return total


@kernel("float64[:,::1], float64[:,::1], float64[::1]", "float64[:,:]")
def levels(value: Array, ordered: Array, start: Array, out: Array) -> None:
    """Measure finite losses, (run, k), which come once more in order."""
    few = max(1, value.shape[1] // 20)
    for run in range(len(value)):
        x = value[run]
        out[run, 0] = _level(median(x[-few:]))
        out[run, 1] = _level(quantile(ordered[run], 0.02))
        out[run, 2] = _level(ordered[run, -1])
        out[run, 3] = _clip(_log(x[0] / start[run]), -4.0, 4.0)


@kernel(
    "float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], "
    "float64[:,::1], float64[:,::1]",
    "float64[:,:]",
)
def course(
    y: Array,
    smooth: Array,
    residual: Array,
    ordered: Array,
    change: Array,
    early: Array,
    late: Array,
    out: Array,
) -> None:
    """Measure noise and spikes of logarithmic curves, (run, n).

    Parameters
    ----------
    y, smooth, residual, ordered : arrays of shape (run, n)
        The curves, their level, what is left, and that in order.
    change, early, late : arrays of shape (run, any)
        Changes from point to point in order: all, those of the first third, of the last.
    out : array of shape (run, any)
        The first 14 are filled.
    """
    n = y.shape[1]
    for run in range(len(y)):
        found, rest, order = out[run], residual[run], ordered[run]
        noise = 1.4826 * spread(change[run]) / np.sqrt(2.0)
        noise_early, noise_late = _log(spread(early[run])), _log(spread(late[run]))
        drop = max(y[run, 0], smooth[run, : max(1, n // 30)].max()) - smooth[run].min()
        found[0], found[1], found[2] = _log(noise), noise_early, noise_late
        found[3], found[4] = noise_late - noise_early, noise_late - _log(drop)
        q05, q50, q95 = quantile(order, 0.05), quantile(order, 0.5), quantile(order, 0.95)
        wide = quantile(order, 0.99) - quantile(order, 0.01)
        found[5] = _log(wide / (quantile(order, 0.75) - quantile(order, 0.25)))
        found[6] = (q95 + q05 - 2 * q50) / (q95 - q05)
        found[7] = _log(order[-1] / max(noise, 1e-4))
        found[8] = _log(-order[0] / max(noise, 1e-4))
        found[9] = _first(rest, order[-1]) / n
        limit, begun, high = max(6 * noise, 0.02), 0, 0
        for i in range(n):
            high += rest[i] > limit
        for i in range(1, n):
            begun += (rest[i] > limit) & (rest[i - 1] <= limit)
        found[10], found[11] = begun, high / n
        found[12], found[13] = _alike(rest)


@kernel("float64[:,::1], float64[:,::1], float64[:,::1]", "float64[:,:]")
def periods(rest: Array, power: Array, alike: Array, out: Array) -> None:
    """Look for swings of one period.

    Parameters
    ----------
    rest : array of shape (run, m)
        What a slow trend leaves, less its mean.
    power : array of shape (run, m // 2 + 1)
        Its windowed power spectrum.
    alike : array of shape (run, at least m)
        Its autocorrelation, not yet divided by its sum of squares.
    out : array of shape (run, 6)
        Is filled.
    """
    m, n = rest.shape[1], power.shape[1] - 2
    for run in range(len(rest)):
        found, strength = out[run], power[run, 2:]
        total, peak = strength.sum(), strength.argmax()
        share = strength[peak]
        if peak > 0:
            share += strength[peak - 1]
        if peak < n - 1:
            share += strength[peak + 1]
        found[0] = share / total
        found[1], found[2] = np.log10((peak + 2) / m), np.log10(peak + 2.0)
        entropy = 0.0
        for i in range(n):
            entropy -= strength[i] / total * np.log(strength[i] / total + 1e-12)
        found[3] = entropy / np.log(n + 1.0)
        whole = max(_product(rest[run], rest[run]), 1e-30)
        faded, first, most = m, m, -np.inf
        for i in range(m):
            value = alike[run, i] / whole
            if faded == m and value < 1 / np.e:
                faded = i
            if first == m and value < 0:
                first = i
            if i >= first and i <= m // 2:
                most = max(most, value)
        found[4], found[5] = faded / m, most if first < m // 2 else 0.0


@kernel(
    "float64[:,::1], float64[::1], float64[::1], float64[:,:,::1], float64[:,::1], "
    "float64[::1], float64[:,:,::1], float64[:,::1]",
    "float64[:,:]",
)
def decay(
    centred: Array,
    mean: Array,
    end: Array,
    heights: Array,
    size: Array,
    rates: Array,
    shapes: Array,
    means: Array,
    out: Array,
) -> None:
    """Choose among fits of floor + height * decay(rate * t) that of least error.

    Parameters
    ----------
    centred : array of shape (run, n)
        Curves without their furthest points, less their means.
    mean, end : arrays of shape (run,)
        Those means, and the levels at the end.
    heights : array of shape (run, decay, rate)
        Of the fits.
    size : array of shape (decay, rate)
        Sums of the squares of `shapes`.
    rates, shapes, means
        See `traits._decays`.
    out : array of shape (run, 4 * decay)
        Is filled.
    """
    for run in range(len(centred)):
        x = centred[run]
        whole = _product(x, x)
        for d in range(len(means)):
            best, at = -1.0, 0
            for r in range(len(rates)):
                explained = heights[run, d, r] ** 2 * size[d, r]  # the more, the less error
                if explained > best:
                    best, at = explained, r
            height = heights[run, d, at]
            floor = mean[run] - height * means[d, at]
            left = (end[run] - floor) / max(abs(height), 1e-6)
            out[run, 4 * d] = _log(_rest(x, height, shapes[d, at]) / whole)
            out[run, 4 * d + 1] = np.log10(rates[at])
            out[run, 4 * d + 2] = _clip(floor, -5.0, 5.0)
            out[run, 4 * d + 3] = _clip(left, -5.0, 5.0)


@kernel("float64[:,::1], float64[::1]", "float64[:,:]")
def fallen(level: Array, shares: Array, out: Array) -> None:
    """Tell when smooth levels, (run, n), have made shares of their fall, (run, share)."""
    n = level.shape[1]
    for run in range(len(level)):
        fall, at = level[run, 0] - level[run].min(), 0
        for k in range(len(shares)):  # ascending
            limit = level[run, 0] - shares[k] * fall
            while at < n and level[run, at] > limit:
                at += 1
            out[run, k] = np.log10(((at if at < n else 0) + 1) / n) if fall > 0 else np.nan


@kernel("float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1]", "float64[:,:]")
def jump(y: Array, ordered: Array, change: Array, ordered_change: Array, out: Array) -> None:
    """Measure the largest rise from one point to the next, and what is left of it later.

    Parameters
    ----------
    y, ordered : arrays of shape (run, n)
        Curves, and the same in order.
    change, ordered_change : arrays of shape (run, n - 1)
        Changes from point to point, and the same in order.
    out : array of shape (run, 12)
        Is filled.
    """
    n = y.shape[1]
    few, third = max(2, n // 20), max(3, n // 3)
    for run in range(len(y)):
        found, x = out[run], y[run]
        most = ordered_change[run, -1]
        at = _first(change[run], most)
        level = median(x[max(0, at - few) : at + 1])
        height = x[at + 1] - level
        found[0], found[1] = height, at / n
        for k in range(2):
            later = at + 1 + n // (20 - 12 * k)
            found[2 + k] = np.nan
            if later < n:
                found[2 + k] = (median(x[later : later + few]) - level) / max(height, 0.01)
        found[4] = _log(height / max(spread(ordered_change[run]), 1e-4))
        found[5] = ordered_change[run, -2] / max(most, 1e-6)
        found[6] = np.nan
        if at >= 3:
            before = x[max(0, at - 10) : at + 1]
            found[6] = _slope(before) / (len(before) - 1)
        found[7] = median(x[-max(1, n // 20) :]) - quantile(ordered[run], 0.02)
        up = up_late = 0
        for i in range(n - 1):
            up += change[run, i] > 0
        ends = change[run, -third:]
        for i in range(len(ends)):
            up_late += ends[i] > 0
        found[8], found[9] = up / (n - 1), up_late / len(ends)
        found[10], found[11] = x[-1] - x[-min(5, n)], x[-1] - x[-min(20, n)]


@kernel("float64[:,::1], float64[:,::1]", "float64[:,:]")
def norms(y: Array, ordered: Array, out: Array) -> None:
    """Measure logarithmic gradient norms, (run, n), which come once more in order."""
    n = y.shape[1]
    few = max(1, n // 20)
    for run in range(len(y)):
        x, found = y[run], out[run]
        start, mid, end = median(x[:few]), middle(ordered[run]), median(x[-few:])
        found[0], found[1], found[2] = start, end, end - start
        found[3] = ordered[run, -1] - mid
        found[4] = _first(x, ordered[run, -1]) / n
        found[5] = x[: max(1, n // 5)].max() - mid
        found[6] = x[-1] - x[-min(5, n)]


@kernel(
    "float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1]",
    "float64[:,:]",
)
def norms_beside_loss(
    y: Array, rest: Array, per_loss: Array, loss: Array, loss_rest: Array, out: Array
) -> None:
    """Set gradient norms beside the loss at the same points, all (run, n).

    Parameters
    ----------
    y, rest : arrays
        Logarithmic gradient norms, and what their level leaves.
    per_loss : array
        The same less the logarithmic loss.
    loss, loss_rest : arrays
        Logarithmic losses, and what their level leaves.
    out : array of shape (run, 8)
        Is filled.
    """
    n = y.shape[1]
    few = max(1, n // 20)
    for run in range(len(y)):
        found, mine, others = out[run], rest[run], loss_rest[run]
        for k in range(3):
            at = (0, n // 2, n - few)[k]
            found[k] = _clip(median(per_loss[run, at : at + few]), -12.0, 12.0)
        squares = _covariance(loss[run], loss[run])
        moves = np.sqrt(squares / n) > 1e-6
        slope = _covariance(loss[run], y[run]) / squares
        found[3] = _clip(slope, -10.0, 10.0) if moves else np.nan
        found[4] = _correlation(loss[run], y[run]) if moves else np.nan
        found[5] = _correlation(others, mine)
        found[6] = found[7] = np.nan
        if n > 6:
            found[6] = _correlation(mine[:-1], others[1:])
            found[7] = _correlation(mine[1:], others[:-1])


@kernel(
    "float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[::1]",
    "float64[:,:]",
)
def validation(
    y: Array,
    below: Array,
    level: Array,
    level_below: Array,
    change: Array,
    loss_noise: Array,
    out: Array,
) -> None:
    """Set validation beside the smoothed training loss at the same times.

    Parameters
    ----------
    y, below : arrays of shape (run, m)
        Logarithms of both.
    level, level_below : arrays of shape (run, m)
        Both.
    change : array of shape (run, m - 1)
        Changes of y from point to point, in order.
    loss_noise : array of shape (run,)
        Logarithm of the noise of the training loss.
    out : array of shape (run, any)
        The first 14 are filled, but for the fifth.
    """
    m = y.shape[1]
    for run in range(len(y)):
        found, x, b = out[run], y[run], below[run]
        gap = x - b
        noise = 1.4826 * spread(change[run]) / np.sqrt(2.0)
        low = x.min()
        rise = median(x[-max(1, m // 10) :]) - low
        found[0], found[1] = _log(noise), _log(noise) - loss_noise[run]
        found[2], found[3] = rise, _log(rise / max(noise, 1e-3))
        fall, linear = x[0] - x[-1], level[run, 0] - level[run, -1]
        found[5] = x[0] - low
        found[6] = _share(b[0] - b[-1], fall)
        found[7] = _share(level_below[run, 0] - level_below[run, -1], linear)
        early, late = _mean(gap[: max(1, m // 5)]), _mean(gap[-max(1, m // 3) :])
        found[8], found[9], found[10] = early, late, late - early
        found[11] = _clip(level[run, -1] - level_below[run, -1], -10.0, 50.0)
        found[12] = _log(np.sqrt(_covariance(gap, gap) / m))
        negative = 0
        for i in range(m):
            negative += gap[i] < 0
        found[13] = negative / m


@kernel("float64[:,::1], float64[:,::1], float64[:,::1], float64[::1]", "float64[:,:]")
def rate(lr: Array, spent: Array, smooth: Array, parts: Array, out: Array) -> None:
    """Measure schedules, and the loss after shares of the sum of all rates.

    Parameters
    ----------
    lr : array of shape (run, n)
        Rates, finite and not negative.
    spent, smooth : arrays of shape (run, k)
        Sum of all rates up to each finite loss as a share of the whole, and the loss's level.
    parts : array of shape (part,)
        Shares after which to look.
    out : array of shape (run, 4 + part)
        Is filled but for the fourth column; not of a run whose rates are all 0.
    """
    n = lr.shape[1]
    for run in range(len(lr)):
        x, found = lr[run], out[run]
        highest, total = x.max(), x.sum()
        if not highest > 0:
            continue
        found[0], found[1] = x[-1] / highest, total / n / highest
        found[2] = _first(x, highest) / n
        for k in range(len(parts)):
            found[4 + k] = interpolated(parts[k], spent[run], smooth[run])
