"""tsfresh's features of one series after the other.

Source of the definitions: tsfresh 0.21, ``tsfresh.feature_extraction.feature_calculators``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import kernel, part, sums
from .curves import middle, place_of, quantile

Array = NDArray[np.float64]

_QUANTILES = (0.05, 0.1, 0.25, 0.75, 0.9, 0.95)
_SIGMAS = (1, 2, 3, 5)
_LAGS = (1, 2, 3, 5, 8, 16)
_FEW_LAGS = (1, 3)
_LARGEST = 7
_SUPPORTS = (1, 5)
_BINS = 10
_CHUNKS = 5
_COEFFICIENTS = (1, 2, 3, 5, 8)

Calculator = tuple[str, tuple[tuple[str, Any], ...]]
"""tsfresh's name of a calculator, and its parameters in alphabetical order."""


def calculator(name: str, **parameters: Any) -> Calculator:
    """Name a calculator of tsfresh with its parameters."""
    return name, tuple(sorted(parameters.items()))


COLUMNS: tuple[Calculator, ...] = (
    # _order
    calculator("minimum"),
    calculator("maximum"),
    calculator("median"),
    *(calculator("quantile", q=q) for q in _QUANTILES),
    calculator("ratio_value_number_to_time_series_length"),
    calculator("mean_n_absolute_max", number_of_maxima=_LARGEST),
    calculator("binned_entropy", max_bins=_BINS),
    calculator("first_location_of_maximum"),
    calculator("last_location_of_maximum"),
    calculator("first_location_of_minimum"),
    calculator("last_location_of_minimum"),
    calculator("mean_change"),
    calculator("mean_second_derivative_central"),
    # _moments
    calculator("mean"),
    calculator("standard_deviation"),
    calculator("skewness"),
    calculator("kurtosis"),
    *(calculator("linear_trend", attr=attr) for attr in ("slope", "rvalue", "stderr")),
    *(calculator("ratio_beyond_r_sigma", r=r) for r in _SIGMAS),
    calculator("longest_strike_above_mean"),
    calculator("longest_strike_below_mean"),
    *(calculator("autocorrelation", lag=lag) for lag in _LAGS),
    # _changes
    calculator("mean_abs_change"),
    calculator("absolute_sum_of_changes"),
    calculator("cid_ce", normalize=True),
    calculator("cid_ce", normalize=False),
    calculator("count_above", t=0),
    calculator("number_crossing_m", m=0),
    calculator("permutation_entropy", dimension=3, tau=1),
    *(calculator("number_peaks", n=n) for n in _SUPPORTS),
    # _products
    calculator("root_mean_square"),
    *(
        calculator("energy_ratio_by_chunks", num_segments=_CHUNKS, segment_focus=i)
        for i in range(_CHUNKS)
    ),
    *(calculator("c3", lag=lag) for lag in _FEW_LAGS),
    *(calculator("time_reversal_asymmetry_statistic", lag=lag) for lag in _FEW_LAGS),
    # _frequencies
    *(calculator("fft_coefficient", attr="abs", coeff=c) for c in _COEFFICIENTS),
    calculator("fft_aggregated", aggtype="centroid"),
    calculator("fft_aggregated", aggtype="variance"),
    calculator("fft_aggregated", aggtype="skew"),
    calculator("fft_aggregated", aggtype="kurtosis"),
)
"""What each column holds: first what `_order` fills, then `_moments`, and so on."""

_MOMENTS = [name for name, _ in COLUMNS].index("mean")
_CHANGES = [name for name, _ in COLUMNS].index("mean_abs_change")
_PRODUCTS = [name for name, _ in COLUMNS].index("root_mean_square")
_FREQUENCIES = [name for name, _ in COLUMNS].index("fft_coefficient")


@part
def _order(x: Array, ordered: Array, out: Array) -> None:
    n = len(x)
    low, high = ordered[0], ordered[n - 1]
    out[0], out[1] = low, high
    out[2] = middle(ordered)
    for k in range(len(_QUANTILES)):
        out[3 + k] = quantile(ordered, _QUANTILES[k])
    at = 3 + len(_QUANTILES)
    distinct = 1
    for i in range(1, n):
        distinct += ordered[i] != ordered[i - 1]
    out[at] = distinct / n
    out[at + 1] = _mean_of_largest(ordered)
    out[at + 2] = _binned_entropy(ordered)
    out[at + 3], out[at + 4] = place_of(x, high) / n, _last(x, high) / n
    out[at + 5], out[at + 6] = place_of(x, low) / n, _last(x, low) / n
    out[at + 7], out[at + 8] = (x[n - 1] - x[0]) / (n - 1), np.nan
    if n > 2:
        out[at + 8] = ((x[n - 1] - x[n - 2]) - (x[1] - x[0])) / (2 * (n - 2))


@part
def _mean_of_largest(ordered: Array) -> float:
    """Mean of the largest magnitudes, which stand at either end of the order."""
    if len(ordered) <= _LARGEST:
        return np.nan
    begin, end, total = 0, len(ordered) - 1, 0.0
    for _ in range(_LARGEST):
        if abs(ordered[begin]) > abs(ordered[end]):
            total += abs(ordered[begin])
            begin += 1
        else:
            total += abs(ordered[end])
            end -= 1
    return total / _LARGEST


@part
def _binned_entropy(ordered: Array) -> float:
    n = len(ordered)
    low, high = ordered[0], ordered[n - 1]
    if low == high:
        low, high = low - 0.5, high + 0.5
    found, before = 0.0, 0
    for k in range(1, _BINS + 1):
        below = n
        if k < _BINS:
            edge, below = low + (high - low) * k / _BINS, before
            while below < n and ordered[below] < edge:
                below += 1
        found += _surprise((below - before) / n)
        before = below
    return found


@part
def _surprise(share: float) -> float:
    return -share * np.log(share) if share > 0 else 0.0


@part
def _last(x: Array, value: float) -> int:
    """Return the place after the last that holds a value."""
    last = -1
    for i in range(len(x)):
        last = max(last, i if x[i] == value else -1)
    return last + 1 if last >= 0 else len(x)


@sums
def _moments(x: Array, mean: float, constant: bool, centred: Array, out: Array) -> None:
    n = len(x)
    m2, m3, m4, tx = 0.0, 0.0, 0.0, 0.0
    middle = (n - 1) / 2
    for i in range(n):
        c = x[i] - mean
        centred[i] = c
        square = c * c
        m2 += square
        m3 += square * c
        m4 += square * square
        tx += (i - middle) * c
    variance = m2 / n
    sigma = np.sqrt(variance)
    out[0], out[1] = mean, sigma
    out[2] = out[3] = np.nan
    if n > 2 and not constant:
        out[2] = n * (n - 1) ** 0.5 / (n - 2) * m3 / m2**1.5
    if n > 3 and not constant:  # bias-corrected, as pandas has it
        scale = (n - 2.0) * (n - 3)
        out[3] = n * (n + 1) * (n - 1) * m4 / (scale * m2 * m2) - 3 * (n - 1) ** 2 / scale
    tt = n * (float(n) * n - 1) / 12
    out[4] = tx / tt
    out[5] = np.nan if constant else min(max(tx / np.sqrt(tt * m2), -1.0), 1.0)
    out[6] = np.sqrt((1 - out[5] ** 2) * m2 / tt / (n - 2)) if n > 2 else 0.0
    for k in range(len(_SIGMAS)):
        beyond, limit = 0, _SIGMAS[k] * sigma
        for i in range(n):
            beyond += abs(centred[i]) > limit
        out[7 + k] = beyond / n
    at = 7 + len(_SIGMAS)
    above = below = most_above = most_below = 0
    for i in range(n):
        above = above + 1 if centred[i] > 0 else 0
        below = below + 1 if centred[i] < 0 else 0
        most_above, most_below = max(most_above, above), max(most_below, below)
    out[at], out[at + 1] = most_above, most_below
    for k in range(len(_LAGS)):
        lag, product = _LAGS[k], 0.0
        for i in range(n - lag):
            product += centred[i] * centred[i + lag]
        usable = n >= lag and variance > 1e-8  # as np.isclose has it
        out[at + 2 + k] = product / ((n - lag) * variance) if usable else np.nan


@sums
def _changes(x: Array, sigma: float, room: Array, out: Array) -> None:
    n = len(x)
    total, squares, crossings = 0.0, 0.0, 0
    for i in range(n - 1):
        change = x[i + 1] - x[i]
        total += abs(change)
        squares += change * change
        crossings += (x[i + 1] > 0) != (x[i] > 0)
    above = 0
    for i in range(n):
        above += x[i] >= 0
    length = np.sqrt(squares)
    out[0], out[1] = total / (n - 1), total
    out[2] = length / sigma if sigma != 0 else 0.0
    out[3] = length
    out[4] = above / n
    out[5] = crossings
    out[6] = _permutation_entropy(x)
    for k in range(len(_SUPPORTS)):
        out[7 + k] = _peaks(x, _SUPPORTS[k], room)


@part
def _permutation_entropy(x: Array) -> float:
    """Compute the entropy of the orders of three neighbours; of equal ones the later is larger."""
    windows = len(x) - 2
    if windows <= 0:
        return np.nan
    rising = middle_low = last_middle = first_middle = middle_high = 0
    for i in range(windows):
        a, b, c = x[i] > x[i + 1], x[i] > x[i + 2], x[i + 1] > x[i + 2]
        rising += not (a | b | c)
        middle_high += c & (not b)
        last_middle += c & b & (not a)
        middle_low += a & (not b)
        first_middle += a & b & (not c)
    found = _surprise(rising / windows)
    found += _surprise(middle_high / windows)
    found += _surprise(last_middle / windows)
    found += _surprise(middle_low / windows)
    found += _surprise(first_middle / windows)
    falling = windows - rising - middle_high - last_middle - middle_low - first_middle
    return found + _surprise(falling / windows)


@part
def _peaks(x: Array, support: int, highest: Array) -> int:
    """Count the values that are higher than so many neighbours on either side."""
    n = len(x) - 2 * support
    if n <= 0:
        return 0
    middle, before, after = x[support:], x, x[2 * support :]
    for i in range(n):
        highest[i] = max(before[i], after[i])
    for k in range(1, support):
        before, after = x[k:], x[2 * support - k :]
        for i in range(n):
            highest[i] = max(highest[i], max(before[i], after[i]))
    found = 0
    for i in range(n):
        found += middle[i] > highest[i]
    return found


@sums
def _products(x: Array, out: Array) -> None:
    n = len(x)
    total = 0.0
    for i in range(n):
        total += x[i] * x[i]
    out[0] = np.sqrt(total / n)
    size, more = n // _CHUNKS, n % _CHUNKS  # the first chunks are longer by one
    for k in range(_CHUNKS):
        energy = 0.0
        for i in range(k * size + min(k, more), (k + 1) * size + min(k + 1, more)):
            energy += x[i] * x[i]
        out[1 + k] = energy / total if total > 0 else np.nan
    at = 1 + _CHUNKS
    for k in range(len(_FEW_LAGS)):
        lag, c3, asymmetry = _FEW_LAGS[k], 0.0, 0.0
        for i in range(n - 2 * lag):
            first, middle, last = x[i], x[i + lag], x[i + 2 * lag]
            c3 += first * middle * last
            asymmetry += (last * last - first * first) * middle
        windows = max(n - 2 * lag, 1)
        out[at + k] = c3 / windows
        out[at + len(_FEW_LAGS) + k] = asymmetry / windows


@sums
def _frequencies(spectrum: Array, out: Array) -> None:
    n = len(spectrum) // 2
    total = m1 = m2 = m3 = m4 = 0.0
    for i in range(n):
        size = np.sqrt(spectrum[2 * i] ** 2 + spectrum[2 * i + 1] ** 2)
        total += size
        m1 += size * i
        m2 += size * (i * i)
        m3 += size * (float(i) * i * i)
        m4 += size * (float(i) * i * i * i)
    for k in range(len(_COEFFICIENTS)):
        c = _COEFFICIENTS[k]
        out[k] = np.hypot(spectrum[2 * c], spectrum[2 * c + 1]) if c < n else np.nan
    m1, m2, m3, m4 = m1 / total, m2 / total, m3 / total, m4 / total
    at = len(_COEFFICIENTS)
    variance = m2 - m1 * m1
    out[at], out[at + 1] = m1, variance
    out[at + 2] = out[at + 3] = np.nan
    if variance >= 0.5:
        skew = m3 - 3 * m1 * variance - m1 * m1 * m1
        # Where all frequencies are alike, only rounding errors are left, of either sign.
        out[at + 2] = skew / variance**1.5 if abs(skew) > 1e-13 * m3 else 0.0
        # tsfresh subtracts 3 * m1, not 3 * m1**4; its values are what the name stands for.
        out[at + 3] = (m4 - 4 * m1 * m3 + 6 * m2 * m1 * m1 - 3 * m1) / (variance * variance)


@kernel("float64[:,::1], float64[:,::1], float64[:,::1], float64[::1]", "float64[:,::1]")
def measure(x: Array, ordered: Array, spectrum: Array, mean: Array, out: Array) -> None:
    """Measure series of one length.

    Parameters
    ----------
    x, ordered : arrays of shape (series, n)
        Finite, at least two points; and the same from the lowest to the highest.
    spectrum : array of shape (series, 2 * (n // 2 + 1))
        Real and imaginary parts of the Fourier transform in turn.
    mean : array of shape (series,)
        As numpy rounds it: by that tsfresh tells whether a constant series is above its mean.
    out : array of shape (series, len(COLUMNS))
        Is filled.
    """
    n = x.shape[1]
    room = np.empty(n)
    for s in range(len(x)):
        _order(x[s], ordered[s], out[s, :_MOMENTS])
        constant = ordered[s, 0] == ordered[s, n - 1]
        _moments(x[s], mean[s], constant, room, out[s, _MOMENTS:_CHANGES])
        _changes(x[s], out[s, _MOMENTS + 1], room, out[s, _CHANGES:_PRODUCTS])
        _products(x[s], out[s, _PRODUCTS:_FREQUENCIES])
        _frequencies(spectrum[s], out[s, _FREQUENCIES:])


@kernel("float64[:,::1], int64[::1], int64", "float64[:,::1]")
def levels(x: Array, centres: NDArray[np.int64], half: int, out: Array) -> None:
    """Average so many points on either side of each centre; fills (series, centre)."""
    n = x.shape[1]
    for s in range(len(x)):
        for k in range(len(centres)):
            out[s, k] = x[s, max(0, centres[k] - half) : min(n, centres[k] + half + 1)].mean()
