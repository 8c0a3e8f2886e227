"""The numbers of `curvet.traits`, of one run after the other; it says what each group holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel, part, sums
from .channels import below
from .curves import between, interpolated, median, middle, place_of, quantile, spread

Array = NDArray[np.float64]
Count = NDArray[np.int64]


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


@kernel(
    "float64[:,::1], float64[:,::1], int64[::1]",
    "float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1]",
)
def differences(
    y: Array, smooth: Array, count: Count, residual: Array, change: Array, early: Array, late: Array
) -> None:
    """Fill in what a level leaves, and changes from point to point.

    Parameters
    ----------
    y, smooth : arrays of shape (run, most)
        Curves and their level.
    count : array of shape (run,)
        Points of each.
    residual, change, early, late : arrays of shape (run, any)
        Are filled up to inf: all changes, those of the first third, of the last.
    """
    for run in range(len(y)):
        n = count[run]
        third = min(max(2, n // 3), max(n - 1, 0))
        for i in range(residual.shape[1]):
            residual[run, i] = y[run, i] - smooth[run, i] if i < n else np.inf
        for i in range(change.shape[1]):
            change[run, i] = y[run, i + 1] - y[run, i] if i < n - 1 else np.inf
        for i in range(early.shape[1]):
            early[run, i] = change[run, i] if i < third else np.inf
            late[run, i] = change[run, n - 1 - third + i] if i < third else np.inf


@kernel("float64[:,::1], float64[:,::1], int64[::1], float64[:,::1]", "float64[:,:]")
def levels(value: Array, ordered: Array, count: Count, start: Array, out: Array) -> None:
    """Measure finite losses, (run, most), which come once more in order."""
    for run in range(len(value)):
        n = count[run]
        if n < 3:
            continue
        x = value[run, :n]
        out[run, 0] = _level(median(x[n - max(1, n // 20) :]))
        out[run, 1] = _level(quantile(ordered[run, :n], 0.02))
        out[run, 2] = _level(ordered[run, n - 1])
        out[run, 3] = _clip(_log(x[0] / start[run, 0]), -4.0, 4.0)


@part
def _final_slope(y: Array, found: Array) -> None:
    """Fill in the slope of a curve's end, and that in units of its error."""
    n, slope, mean, squares = len(y), _slope(y), 0.0, 0.0
    for i in range(n):
        mean += (y[i] - slope * (i / (n - 1))) / n
    for i in range(n):
        squares += (y[i] - slope * (i / (n - 1)) - mean) ** 2
    error = max(np.sqrt(squares / n), 1e-4) * np.sqrt(12 / n)
    found[0], found[1] = slope, _clip(slope / error, -1e3, 1e3)


@kernel(
    "float64[:,::1], float64[:,::1], int64[::1], float64[:,::1], float64[:,::1], "
    "float64[:,::1], float64[:,::1]",
    "float64[:,:]",
)
def course(
    y: Array,
    smooth: Array,
    count: Count,
    ordered: Array,
    change: Array,
    early: Array,
    late: Array,
    out: Array,
) -> None:
    """Measure noise, spikes and the final slope of logarithmic curves.

    Parameters
    ----------
    y, smooth : arrays of shape (run, most)
        The curves and their level.
    count : array of shape (run,)
        Points of each; fewer than 6 are not looked at.
    ordered, change, early, late : arrays of shape (run, any)
        See `differences`, each in order.
    out : array of shape (run, any)
        The first 14 are filled, and 4 more after what `periods` fills.
    """
    room = np.empty(y.shape[1])
    for run in range(len(y)):
        n = count[run]
        if n < 6:
            continue
        found, rest, order, third = out[run], room[:n], ordered[run, :n], max(2, n // 3)
        top, bottom = y[run, 0], smooth[run, 0]
        for i in range(n):
            rest[i] = y[run, i] - smooth[run, i]
            bottom = min(bottom, smooth[run, i])
            if i < max(1, n // 30):
                top = max(top, smooth[run, i])
        noise = 1.4826 * spread(change[run, : n - 1]) / np.sqrt(2.0)
        noise_early = _log(spread(early[run, :third]))
        noise_late = _log(spread(late[run, :third]))
        found[0], found[1], found[2] = _log(noise), noise_early, noise_late
        found[3], found[4] = noise_late - noise_early, noise_late - _log(top - bottom)
        q05, q50, q95 = quantile(order, 0.05), quantile(order, 0.5), quantile(order, 0.95)
        wide = quantile(order, 0.99) - quantile(order, 0.01)
        found[5] = _log(wide / (quantile(order, 0.75) - quantile(order, 0.25)))
        found[6] = (q95 + q05 - 2 * q50) / (q95 - q05)
        found[7] = _log(order[n - 1] / max(noise, 1e-4))
        found[8] = _log(-order[0] / max(noise, 1e-4))
        found[9] = place_of(rest, order[n - 1]) / n
        limit, begun, high = max(6 * noise, 0.02), 0, 0
        for i in range(n):
            high += rest[i] > limit
        for i in range(1, n):
            begun += (rest[i] > limit) & (rest[i - 1] <= limit)
        found[10], found[11] = begun, high / n
        found[12], found[13] = _alike(rest)
        _final_slope(y[run, n - max(4, n * 25 // 100) : n], found[20:22])
        _final_slope(y[run, n - max(4, n * 50 // 100) : n], found[22:24])


@kernel(
    "float64[:,::1], int64[::1], float64[:,::1], float64[::1]", "float64[:,::1], float64[:,::1]"
)
def detrend(
    y: Array, members: Count, slow: Array, window: Array, rest: Array, windowed: Array
) -> None:
    """Take a slow trend away from curves of one length, past the first fifth.

    Parameters
    ----------
    y : array of shape (any, most)
        Curves.
    members : array of shape (run,)
        Which of them.
    slow : array of shape (degree, n)
        See `traits._slow`.
    window : array of shape (m,)
        Of a Fourier transform.
    rest, windowed : arrays of shape (run, m)
        Are filled: what is left, less its mean, and that seen through the window.
    """
    n, m = slow.shape[1], len(window)
    for run in range(len(members)):
        x, out, mean = y[members[run], :n], rest[run], 0.0
        for i in range(m):
            out[i] = x[n - m + i]
        for degree in range(len(slow)):
            share = _product(x, slow[degree])
            for i in range(m):
                out[i] -= share * slow[degree, n - m + i]
        for i in range(m):
            mean += out[i] / m
        for i in range(m):
            out[i] -= mean
            windowed[run, i] = out[i] * window[i]


@kernel(
    "float64[:,::1], int64[::1], float64[:,::1], float64[:,::1]",
    "float64[:,:]",
)
def periods(rest: Array, members: Count, spectrum: Array, alike: Array, out: Array) -> None:
    """Look for swings of one period.

    Parameters
    ----------
    rest : array of shape (run, m)
        What a slow trend leaves, less its mean.
    members : array of shape (run,)
        Rows that are filled.
    spectrum : array of shape (run, 2 * (m // 2 + 1))
        Real and imaginary parts of its Fourier transform, windowed.
    alike : array of shape (run, at least m)
        Its autocorrelation, not yet divided by its sum of squares.
    out : array of shape (any, 6)
        Is filled.
    """
    m, n = rest.shape[1], spectrum.shape[1] // 2 - 2
    strength = np.empty(n)
    for run in range(len(rest)):
        found, total, peak = out[members[run]], 0.0, 0
        for i in range(n):
            real, imaginary = spectrum[run, 2 * i + 4], spectrum[run, 2 * i + 5]
            strength[i] = real * real + imaginary * imaginary
            total += strength[i]
            if strength[i] > strength[peak]:
                peak = i
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
            if i > m // 2 and faded < m:
                break
            if i >= first and i <= m // 2:
                most = max(most, value)
        found[4], found[5] = faded / m, most if first < m // 2 else 0.0


@part
def _power_quantile(ordered: Array, share: float) -> float:
    """Interpolate between powers of ten; see `curves.quantile`."""
    last = len(ordered) - 1
    below = int(share * last)
    low = _clip(10.0 ** ordered[below], 0.0, 20.0)
    high = _clip(10.0 ** ordered[min(below + 1, last)], 0.0, 20.0)
    t = share * last - below
    return low + (high - low) * t if t < 0.5 else high - (high - low) * (1 - t)


@kernel(
    "float64[:,::1], float64[:,::1], int64[::1], float64[:,::1], float64[::1], "
    "float64[:,:,::1], float64[:,::1]",
    "float64[:,:]",
)
def decay(
    level: Array,
    ordered: Array,
    members: Count,
    size: Array,
    rates: Array,
    shapes: Array,
    means: Array,
    out: Array,
) -> None:
    """Choose among fits of floor + height * decay(rate * t) that of least error.

    Parameters
    ----------
    level : array of shape (any, most)
        Curves.
    ordered : array of shape (any, most)
        Their logarithms in order.
    members : array of shape (run,)
        Which of them: those of one length.
    size : array of shape (decay, rate)
        Sums of the squares of `shapes`.
    rates, shapes, means
        See `traits._decays`.
    out : array of shape (any, at least 4 * decay)
        Is filled.
    """
    n = shapes.shape[2]
    x = np.empty(n)
    for run in members:
        low, high = _power_quantile(ordered[run, :n], 0.02), _power_quantile(ordered[run, :n], 0.98)
        margin = 0.2 * (high - low)
        for i in range(n):
            x[i] = _clip(_clip(level[run, i], 0.0, 20.0), low - margin, high + margin)
        first, end = x[0], median(x[n - max(1, n // 20) :])
        for i in range(n):
            x[i] -= first
        mean = _mean(x)  # exactly 0 where nothing moves
        for i in range(n):
            x[i] -= mean
        mean += first
        whole = _product(x, x)
        for d in range(len(means)):
            best, at, height = -1.0, 0, 0.0
            for r in range(len(rates)):
                fitted = _product(x, shapes[d, r]) / size[d, r]
                explained = fitted * fitted * size[d, r]  # the more, the less error
                if explained > best:
                    best, at, height = explained, r, fitted
            floor = mean - height * means[d, at]
            left = (end - floor) / max(abs(height), 1e-6)
            out[run, 4 * d] = _log(_rest(x, height, shapes[d, at]) / whole)
            out[run, 4 * d + 1] = np.log10(rates[at])
            out[run, 4 * d + 2] = _clip(floor, -5.0, 5.0)
            out[run, 4 * d + 3] = _clip(left, -5.0, 5.0)


@kernel("float64[:,::1], int64[::1], float64[::1]", "float64[:,:]")
def fallen(level: Array, count: Count, shares: Array, out: Array) -> None:
    """Tell when smooth levels, (run, most), have made shares of their fall, (run, share)."""
    for run in range(len(level)):
        n, at, low = count[run], 0, level[run, 0]
        if n < 3:
            continue
        for i in range(n):
            low = min(low, level[run, i])
        fall = level[run, 0] - low
        for k in range(len(shares)):  # ascending
            limit = level[run, 0] - shares[k] * fall
            while at < n and level[run, at] > limit:
                at += 1
            out[run, k] = np.log10(((at if at < n else 0) + 1) / n) if fall > 0 else np.nan


@kernel("float64[:,::1], float64[:,::1], int64[::1], float64[:,::1]", "float64[:,:]")
def jump(y: Array, ordered: Array, count: Count, ordered_change: Array, out: Array) -> None:
    """Measure the largest rise from one point to the next, and what is left of it later.

    Parameters
    ----------
    y, ordered : arrays of shape (run, most)
        Curves, and the same in order.
    count : array of shape (run,)
        Points of each; fewer than 5 are not looked at.
    ordered_change : array of shape (run, most - 1)
        Changes from point to point in order.
    out : array of shape (run, 12)
        Is filled.
    """
    for run in range(len(y)):
        n = count[run]
        if n < 5:
            continue
        few, third = max(2, n // 20), min(max(3, n // 3), n - 1)
        found, x = out[run], y[run, :n]
        most, at, up, up_late = ordered_change[run, n - 2], 0, 0, 0
        for i in range(n - 2, -1, -1):
            change = x[i + 1] - x[i]
            if change == most:
                at = i
            up += change > 0
            if i >= n - 1 - third:
                up_late += change > 0
        level = median(x[max(0, at - few) : at + 1])
        height = x[at + 1] - level
        found[0], found[1] = height, at / n
        for k in range(2):
            later = at + 1 + n // (20 - 12 * k)
            found[2 + k] = np.nan
            if later < n:
                found[2 + k] = (median(x[later : later + few]) - level) / max(height, 0.01)
        found[4] = _log(height / max(spread(ordered_change[run, : n - 1]), 1e-4))
        found[5] = ordered_change[run, n - 3] / max(most, 1e-6)
        found[6] = np.nan
        if at >= 3:
            before = x[max(0, at - 10) : at + 1]
            found[6] = _slope(before) / (len(before) - 1)
        found[7] = median(x[n - max(1, n // 20) :]) - quantile(ordered[run, :n], 0.02)
        found[8], found[9] = up / (n - 1), up_late / third
        found[10], found[11] = x[n - 1] - x[n - min(5, n)], x[n - 1] - x[n - min(20, n)]


@part
def _bounded(loss: float) -> float:
    return min(max(abs(loss), 1e-12), 1e150)


@kernel(
    "float64[::1], int64[::1], float64[::1], int64[::1], float64[:,::1]",
    "float64[:,::1], float64[:,::1], float64[:,::1], int64[:,::1]",
)
def pairs(
    norm: Array,
    begin: Count,
    loss: Array,
    loss_begin: Count,
    ratio: Array,
    size: Array,
    loss_size: Array,
    other: Array,
    counts: Count,
) -> None:
    """Collect gradient norms where the loss is finite as well, if each point has both.

    Parameters
    ----------
    norm, begin, loss, loss_begin : arrays
        All runs one behind the other, and where each begins.
    ratio : array of shape (run, most)
        Logarithms of the finite losses.
    size, loss_size, other : arrays of shape (run, any)
        Are filled: sizes of both, and the logarithm of the loss.
    counts : array of shape (run, 2)
        Is filled: of how many points, and of how many pairs.
    """
    for run in range(len(counts)):
        x, y = norm[begin[run] : begin[run + 1]], loss[loss_begin[run] : loss_begin[run + 1]]
        k, at, paired = 0, 0, len(x) == len(y)
        for i in range(len(x)):
            good = not paired or np.isfinite(y[i])
            if good and np.isfinite(x[i]):
                size[run, k] = abs(x[i]) + 1e-10
                if paired:
                    loss_size[run, k], other[run, k] = _bounded(y[i]), ratio[run, at]
                k += 1
            at += good
        counts[run, 0], counts[run, 1] = k, k if paired else 0
        for i in range(k, size.shape[1]):
            size[run, i] = 1.0
        for i in range(counts[run, 1], size.shape[1]):
            loss_size[run, i], other[run, i] = 1.0, 0.0


@kernel("float64[:,::1], float64[:,::1], int64[::1]", "float64[:,:]")
def norms(y: Array, ordered: Array, count: Count, out: Array) -> None:
    """Measure logarithmic gradient norms, (run, most), which come once more in order."""
    for run in range(len(y)):
        n = count[run]
        if n < 4:
            continue
        few = max(1, n // 20)
        x, found, order = y[run, :n], out[run], ordered[run, :n]
        start, mid, end, early = median(x[:few]), middle(order), median(x[n - few :]), x[0]
        for i in range(max(1, n // 5)):
            early = max(early, x[i])
        found[0], found[1], found[2] = start, end, end - start
        found[3] = order[n - 1] - mid
        found[4] = place_of(x, order[n - 1]) / n
        found[5] = early - mid
        found[6] = x[n - 1] - x[n - min(5, n)]


@kernel(
    "float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], int64[:,::1]",
    "float64[:,:]",
)
def norms_beside_loss(
    y: Array,
    smooth: Array,
    loss_size: Array,
    loss: Array,
    loss_smooth: Array,
    counts: Count,
    out: Array,
) -> None:
    """Set gradient norms beside the loss at the same points, all (run, most).

    Parameters
    ----------
    y, smooth : arrays
        Logarithmic gradient norms, and their level.
    loss_size : array
        Logarithms of the losses' sizes.
    loss, loss_smooth : arrays
        Logarithmic losses, and their level.
    counts : array of shape (run, 2)
        See `pairs`.
    out : array of shape (run, 8)
        Is filled.
    """
    room = np.empty((3, y.shape[1]))
    for run in range(len(y)):
        n = counts[run, 1]
        if n < 4:
            continue
        few = max(1, n // 20)
        per_loss, mine, others = room[0, :n], room[1, :n], room[2, :n]
        norm, other = y[run, :n], loss[run, :n]
        for i in range(n):
            per_loss[i] = norm[i] - loss_size[run, i]
            mine[i], others[i] = norm[i] - smooth[run, i], other[i] - loss_smooth[run, i]
        found = out[run]
        for k in range(3):
            at = (0, n // 2, n - few)[k]
            found[k] = _clip(median(per_loss[at : at + few]), -12.0, 12.0)
        squares = _covariance(other, other)
        moves = np.sqrt(squares / n) > 1e-6
        slope = _covariance(other, norm) / squares
        found[3] = _clip(slope, -10.0, 10.0) if moves else np.nan
        found[4] = _correlation(other, norm) if moves else np.nan
        found[5] = _correlation(others, mine)
        found[6] = found[7] = np.nan
        if n > 6:
            found[6] = _correlation(mine[: n - 1], others[1:])
            found[7] = _correlation(mine[1:], others[: n - 1])


@kernel(
    "float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1], int64[::1], "
    "float64[:,::1], float64[:,::1], int64[::1], float64[:]",
    "float64[:,:]",
)
def validation(
    where: Array,
    value: Array,
    y: Array,
    ordered_change: Array,
    count: Count,
    loss_where: Array,
    loss_smooth: Array,
    loss_count: Count,
    loss_noise: Array,
    out: Array,
) -> None:
    """Set validation beside the smoothed training loss at the same times.

    Parameters
    ----------
    where, value, y : arrays of shape (run, most)
        Share of the run that has passed, validation losses, and their logarithms.
    ordered_change : array of shape (run, most - 1)
        Changes of y from point to point, in order.
    count : array of shape (run,)
        Points of each; fewer than 3 are not looked at.
    loss_where, loss_smooth : arrays of shape (run, any)
        The same for the training loss.
    loss_count, loss_noise : arrays of shape (run,)
        Its points, and the logarithm of its noise.
    out : array of shape (run, 19)
        Is filled.
    """
    room = np.empty((2, y.shape[1]))
    for run in range(len(y)):
        m, n = count[run], loss_count[run]
        if m < 3 or n < 3:
            continue
        found, x, b, gap = out[run], y[run, :m], room[0, :m], room[1, :m]
        low, negative, at = x[0], 0, -1
        for i in range(m):
            at = below(where[run, i], loss_where[run], n, at)
            b[i] = between(where[run, i], loss_where[run], loss_smooth[run], n, at)
            gap[i] = x[i] - b[i]
            negative += gap[i] < 0
            low = min(low, x[i])
        noise = 1.4826 * spread(ordered_change[run, : m - 1]) / np.sqrt(2.0)
        rise = median(x[m - max(1, m // 10) :]) - low
        found[0], found[1] = _log(noise), _log(noise) - loss_noise[run]
        found[2], found[3] = rise, _log(rise / max(noise, 1e-3))
        found[4] = _level(value[run, m - 1])
        found[5] = x[0] - low
        found[6] = _share(b[0] - b[m - 1], x[0] - x[m - 1])
        end, end_below = 10.0 ** x[m - 1], 10.0 ** b[m - 1]
        found[7] = _share(10.0 ** b[0] - end_below, 10.0 ** x[0] - end)
        early, late = _mean(gap[: max(1, m // 5)]), _mean(gap[m - max(1, m // 3) :])
        found[8], found[9], found[10] = early, late, late - early
        found[11] = _clip(end - end_below, -10.0, 50.0)
        found[12] = _log(np.sqrt(_covariance(gap, gap) / m))
        found[13] = negative / m
        if m >= 4:
            half = m - max(2, m // 2)
            found[14], found[15] = _correlation(x, b), _correlation(x[half:], b[half:])
            found[16], found[17] = _slope(x[half:]), _slope(b[half:])
            found[18] = found[16] - found[17]


@kernel(
    "float64[::1], int64[::1], float64[::1], int64[::1], float64[:,::1], int64[::1], float64[::1]",
    "float64[:,:]",
)
def rate(
    lr: Array,
    begin: Count,
    loss: Array,
    loss_begin: Count,
    smooth: Array,
    count: Count,
    parts: Array,
    out: Array,
) -> None:
    """Measure schedules, and the loss after shares of the sum of all rates.

    Parameters
    ----------
    lr, begin, loss, loss_begin : arrays
        All runs one behind the other, and where each begins; a run with other numbers of rates
        than of losses is not looked at.
    smooth : array of shape (run, most)
        Level of the finite losses.
    count : array of shape (run,)
        How many they are; fewer than 3 are not looked at.
    parts : array of shape (part,)
        Shares after which to look.
    out : array of shape (run, 4 + part)
        Is filled; not of a run whose rates are all 0.
    """
    room = np.empty((2, smooth.shape[1]))
    for run in range(len(count)):
        x, y = lr[begin[run] : begin[run + 1]], loss[loss_begin[run] : loss_begin[run + 1]]
        if len(x) != len(y) or count[run] < 3:
            continue
        found, highest, total, whole, last, n, first, k = out[run], 0.0, 0.0, 0.0, 0.0, 0, 0, 0
        for i in range(len(x)):
            if np.isfinite(x[i]) and x[i] >= 0:
                total += x[i]
                last = x[i]
                if x[i] > highest:
                    highest, first = x[i], n
                n += 1
            if np.isfinite(y[i]):
                room[0, k] = total
                k += 1
        if n < 3 or not highest > 0:
            continue
        for i in range(len(x)):
            if np.isfinite(x[i]) and x[i] >= 0:
                whole += x[i] / highest
        half, so_far = 0, 0.0
        for i in range(len(x)):
            if np.isfinite(x[i]) and x[i] >= 0:
                so_far += x[i] / highest
                half += so_far / whole < 0.5
        spent = room[0, :k]
        for i in range(k):
            spent[i] /= total
        found[0], found[1] = last / highest, total / n / highest
        found[2], found[3] = first / n, half / n
        for j in range(len(parts)):
            found[4 + j] = interpolated(parts[j], spent, smooth[run, :k])
