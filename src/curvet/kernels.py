"""tsfresh's features for many series of one length at once.

Every kernel takes an array of shape (series, point), float64 and finite, and returns the columns
that tsfresh's calculator of the same name gives for each row, in the order of `KERNELS`; a test
compares each with tsfresh itself. A column that tsfresh leaves out or cannot compute is NaN.

Source of the definitions: tsfresh 0.21, ``tsfresh.feature_extraction.feature_calculators``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parameters = Sequence[Mapping[str, Any]]
Kernel = Callable[[Array, Parameters], Sequence[Array]]


def compute(name: str, parameters: Parameters, x: Array) -> Array:
    """Compute the columns of one tsfresh calculator.

    Parameters
    ----------
    name : str
        Of the calculator; one without a kernel is left to tsfresh itself, which is slow.
    parameters : sequence of mapping
        As tsfresh takes them; ``[{}]`` for none.
    x : array of shape (series, point)
        Finite; at least two points.

    Returns
    -------
    array of shape (series, len(parameters))
    """
    if name not in KERNELS:
        return np.array([_by_tsfresh(name, parameters, row) for row in x])
    with np.errstate(all="ignore"):
        return np.stack([np.broadcast_to(c, len(x)) for c in KERNELS[name](x, parameters)], axis=1)


def _by_tsfresh(name: str, parameters: Parameters, row: Array) -> list[float]:
    """Ask tsfresh's own calculator, for what has no kernel: one series, (point,)."""
    from tsfresh.feature_extraction import feature_calculators

    calculator = getattr(feature_calculators, name)
    if calculator.fctype == "combiner":
        return [float(value) for _, value in calculator(row, list(parameters))]
    return [float(calculator(row, **p)) for p in parameters]


def _each(function: Callable[..., Any]) -> Kernel:
    """Make a kernel of a function that gives one column for one set of parameters."""

    def kernel(x: Array, parameters: Parameters) -> Sequence[Array]:
        return [np.asarray(function(x, **p), np.float64) for p in parameters]

    return kernel


def _centred_moments(x: Array, *orders: int) -> list[Array]:
    centred = x - x.mean(1, keepdims=True)
    return [(centred**order).sum(1) for order in orders]


def _skewness(x: Array) -> Array:
    """Compute the adjusted Fisher-Pearson skewness, as pandas has it."""
    n = x.shape[1]
    if n < 3:
        return np.full(len(x), np.nan)
    m2, m3 = _centred_moments(x, 2, 3)
    value = n * (n - 1) ** 0.5 / (n - 2) * m3 / m2**1.5
    return np.where(_constant(x), np.nan, value)


def _kurtosis(x: Array) -> Array:
    """Bias-corrected excess kurtosis, as pandas has it."""
    n = x.shape[1]
    if n < 4:
        return np.full(len(x), np.nan)
    m2, m4 = _centred_moments(x, 2, 4)
    excess = 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    value = n * (n + 1) * (n - 1) * m4 / ((n - 2) * (n - 3) * m2**2) - excess
    return np.where(_constant(x), np.nan, value)


def _constant(x: Array) -> NDArray[np.bool_]:
    return np.asarray(x.max(1) == x.min(1))


def _longest_strike(hit: NDArray[np.bool_]) -> Array:
    """Length of the longest run of True in each row."""
    count = np.cumsum(hit, axis=1)
    before = np.maximum.accumulate(np.where(hit, 0, count), axis=1)
    return np.asarray((count - before).max(1), np.float64)


def _distinct_share(x: Array) -> Array:
    ordered = np.sort(x, axis=1)
    return np.asarray(((np.diff(ordered, axis=1) != 0).sum(1) + 1) / x.shape[1])


def _mean_n_absolute_max(x: Array, number_of_maxima: int) -> Array:
    if x.shape[1] <= number_of_maxima:
        return np.full(len(x), np.nan)
    return np.asarray(np.sort(np.abs(x), axis=1)[:, -number_of_maxima:].mean(1))


def _quantile(x: Array, parameters: Parameters) -> Sequence[Array]:
    return list(np.quantile(x, [p["q"] for p in parameters], axis=1))


def _ratio_beyond_r_sigma(x: Array, parameters: Parameters) -> Sequence[Array]:
    distance, sigma = np.abs(x - x.mean(1, keepdims=True)), x.std(1, keepdims=True)
    return [(distance > p["r"] * sigma).mean(1) for p in parameters]


def _autocorrelation(x: Array, parameters: Parameters) -> Sequence[Array]:
    n, centred, variance = x.shape[1], x - x.mean(1, keepdims=True), x.var(1)
    usable = ~np.isclose(variance, 0)
    columns = []
    for p in parameters:
        lag = p["lag"]
        if n < lag:
            columns.append(np.full(len(x), np.nan))
            continue
        product = (centred[:, : n - lag] * centred[:, lag:]).sum(1)
        columns.append(np.where(usable, product / ((n - lag) * variance), np.nan))
    return columns


def _c3(x: Array, lag: int) -> Array:
    n = x.shape[1]
    if 2 * lag >= n:
        return np.zeros(len(x))
    return np.asarray((x[:, 2 * lag :] * x[:, lag : n - lag] * x[:, : n - 2 * lag]).mean(1))


def _time_reversal(x: Array, lag: int) -> Array:
    n = x.shape[1]
    if 2 * lag >= n:
        return np.zeros(len(x))
    now, one, two = x[:, : n - 2 * lag], x[:, lag : n - lag], x[:, 2 * lag :]
    return np.asarray((two * two * one - one * now * now).mean(1))


def _cid_ce(x: Array, normalize: bool) -> Array:
    length = np.sqrt(np.square(np.diff(x, axis=1)).sum(1))
    if not normalize:
        return np.asarray(length)
    sigma = x.std(1)
    return np.where(sigma != 0, length / sigma, 0.0)


def _number_peaks(x: Array, n: int) -> Array:
    if x.shape[1] <= 2 * n:
        return np.zeros(len(x))
    middle = x[:, n:-n]
    peak = np.ones(middle.shape, bool)
    for i in range(1, n + 1):
        peak &= middle > x[:, n - i : -n - i]
        peak &= middle > x[:, n + i : x.shape[1] - n + i]
    return np.asarray(peak.sum(1), np.float64)


def _binned_entropy(x: Array, max_bins: int) -> Array:
    low, high = x.min(1, keepdims=True), x.max(1, keepdims=True)
    low, high = np.where(low == high, low - 0.5, low), np.where(low == high, high + 0.5, high)
    edges = low + (high - low) * np.arange(1, max_bins) / max_bins
    bins = (x[:, :, None] >= edges[:, None, :]).sum(2)
    share = (bins[:, :, None] == np.arange(max_bins)).mean(1)
    return np.asarray(-(share * np.log(np.where(share == 0, 1.0, share))).sum(1))


def _linear_trend(x: Array, parameters: Parameters) -> Sequence[Array]:
    n = x.shape[1]
    t = np.arange(n) - (n - 1) / 2
    tt, centred = np.square(t).sum(), x - x.mean(1, keepdims=True)
    xx, tx = np.square(centred).sum(1), centred @ t
    slope = tx / tt
    rvalue = np.where(_constant(x), np.nan, np.clip(tx / np.sqrt(tt * xx), -1, 1))
    stderr = np.sqrt((1 - rvalue**2) * xx / tt / (n - 2)) if n > 2 else np.zeros(len(x))
    found = {"slope": slope, "rvalue": rvalue, "stderr": stderr}
    return [found[p["attr"]] for p in parameters]


def _energy_ratio_by_chunks(x: Array, parameters: Parameters) -> Sequence[Array]:
    total = np.square(x).sum(1)
    return [
        np.where(
            total > 0,
            np.square(np.array_split(x, p["num_segments"], axis=1)[p["segment_focus"]]).sum(1)
            / total,
            np.nan,
        )
        for p in parameters
    ]


def _fft_coefficient(x: Array, parameters: Parameters) -> Sequence[Array]:
    spectrum = np.abs(np.fft.rfft(x, axis=1))
    return [
        spectrum[:, p["coeff"]] if p["coeff"] < spectrum.shape[1] else np.full(len(x), np.nan)
        for p in parameters
    ]


def _fft_aggregated(x: Array, parameters: Parameters) -> Sequence[Array]:
    spectrum = np.abs(np.fft.rfft(x, axis=1))
    index, total = np.arange(spectrum.shape[1], dtype=np.float64), spectrum.sum(1)
    m1, m2, m3, m4 = (spectrum @ index**k / total for k in (1, 2, 3, 4))
    variance = m2 - m1**2
    wide = variance >= 0.5
    found = {
        "centroid": m1,
        "variance": variance,
        "skew": np.where(wide, (m3 - 3 * m1 * variance - m1**3) / variance**1.5, np.nan),
        # tsfresh subtracts 3 * m1, not 3 * m1**4; its values are what the name stands for.
        "kurtosis": np.where(
            wide, (m4 - 4 * m1 * m3 + 6 * m2 * m1**2 - 3 * m1) / variance**2, np.nan
        ),
    }
    return [found[p["aggtype"]] for p in parameters]


def _permutation_entropy(x: Array, tau: int, dimension: int) -> Array:
    count = (x.shape[1] - dimension) // tau + 1
    if count <= 0:
        return np.full(len(x), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(x, dimension, axis=1)[:, ::tau]
    ranks = np.argsort(np.argsort(windows, axis=2, kind="stable"), axis=2, kind="stable")
    code = ranks @ dimension ** np.arange(dimension)
    share = np.stack([(code == value).mean(1) for value in np.unique(code)], axis=1)
    return np.asarray(-(share * np.log(np.where(share == 0, 1.0, share))).sum(1))


KERNELS: Mapping[str, Kernel] = {
    "mean": _each(lambda x: x.mean(1)),
    "median": _each(lambda x: np.median(x, axis=1)),
    "standard_deviation": _each(lambda x: x.std(1)),
    "skewness": _each(_skewness),
    "kurtosis": _each(_kurtosis),
    "minimum": _each(lambda x: x.min(1)),
    "maximum": _each(lambda x: x.max(1)),
    "first_location_of_maximum": _each(lambda x: x.argmax(1) / x.shape[1]),
    "last_location_of_maximum": _each(lambda x: 1.0 - x[:, ::-1].argmax(1) / x.shape[1]),
    "first_location_of_minimum": _each(lambda x: x.argmin(1) / x.shape[1]),
    "last_location_of_minimum": _each(lambda x: 1.0 - x[:, ::-1].argmin(1) / x.shape[1]),
    "mean_abs_change": _each(lambda x: np.abs(np.diff(x, axis=1)).mean(1)),
    "mean_change": _each(lambda x: (x[:, -1] - x[:, 0]) / (x.shape[1] - 1)),
    "mean_second_derivative_central": _each(
        lambda x: (
            (x[:, -1] - x[:, -2] - x[:, 1] + x[:, 0]) / (2 * (x.shape[1] - 2))
            if x.shape[1] > 2
            else np.nan
        )
    ),
    "root_mean_square": _each(lambda x: np.sqrt(np.square(x).mean(1))),
    "longest_strike_above_mean": _each(lambda x: _longest_strike(x > x.mean(1, keepdims=True))),
    "longest_strike_below_mean": _each(lambda x: _longest_strike(x < x.mean(1, keepdims=True))),
    "ratio_value_number_to_time_series_length": _each(_distinct_share),
    "absolute_sum_of_changes": _each(lambda x: np.abs(np.diff(x, axis=1)).sum(1)),
    "mean_n_absolute_max": _each(_mean_n_absolute_max),
    "count_above": _each(lambda x, t: (x >= t).mean(1)),
    "quantile": _quantile,
    "ratio_beyond_r_sigma": _ratio_beyond_r_sigma,
    "autocorrelation": _autocorrelation,
    "c3": _each(_c3),
    "time_reversal_asymmetry_statistic": _each(_time_reversal),
    "cid_ce": _each(_cid_ce),
    "number_crossing_m": _each(lambda x, m: (np.diff(x > m, axis=1)).sum(1)),
    "number_peaks": _each(_number_peaks),
    "binned_entropy": _each(_binned_entropy),
    "linear_trend": _linear_trend,
    "energy_ratio_by_chunks": _energy_ratio_by_chunks,
    "fft_coefficient": _fft_coefficient,
    "fft_aggregated": _fft_aggregated,
    "permutation_entropy": _each(_permutation_entropy),
}
"""Kernel by the name of tsfresh's calculator."""
