"""tsfresh's features for many series of one length at once.

Every kernel takes series and returns the columns that tsfresh's calculator of the same name gives
for each; a test compares them with tsfresh itself. A column that tsfresh leaves out or cannot
compute is NaN. What several kernels need (order, spectrum, ...) is computed once, by `Block`.

Source of the definitions: tsfresh 0.21, ``tsfresh.feature_extraction.feature_calculators``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .robust import count, middle, quantiles

Array = NDArray[np.float64]
Parameters = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Block:
    """Series of one length.

    Parameters
    ----------
    x : array of shape (series, point)
        Finite; at least two points.
    """

    x: Array

    @property
    def n(self) -> int:
        """Points of each series."""
        return int(self.x.shape[1])

    @cached_property
    def centred(self) -> Array:
        """Each series less its mean."""
        return np.asarray(self.x - self.x.mean(1, keepdims=True))

    @cached_property
    def sigma(self) -> Array:
        """Standard deviation, (series,)."""
        return np.sqrt(self.variance)

    @cached_property
    def variance(self) -> Array:
        """Mean square of what is centred, (series,)."""
        return np.asarray(np.square(self.centred).mean(1))

    @cached_property
    def change(self) -> Array:
        """From each point to the next, (series, point - 1)."""
        return np.diff(self.x, axis=1)

    @cached_property
    def distance(self) -> Array:
        """From the mean, without sign."""
        return np.abs(self.centred)

    @cached_property
    def ordered(self) -> Array:
        """Each series from its lowest to its highest value."""
        return np.sort(self.x, axis=1)

    @cached_property
    def constant(self) -> NDArray[np.bool_]:
        """Whether all values are the same, (series,)."""
        return np.asarray(self.ordered[:, 0] == self.ordered[:, -1])

    @cached_property
    def spectrum(self) -> Array:
        """Magnitudes of the Fourier transform, (series, n // 2 + 1)."""
        return np.abs(np.fft.rfft(self.x, axis=1))


Kernel = Callable[[Block, Parameters], Sequence[Array]]


def compute(name: str, parameters: Parameters, block: Block) -> Array:
    """Compute the columns of one tsfresh calculator.

    Parameters
    ----------
    name : str
        Of the calculator; one without a kernel is left to tsfresh itself, which is slow.
    parameters : sequence of mapping
        As tsfresh takes them; ``[{}]`` for none.
    block : Block
        Of n series.

    Returns
    -------
    array of shape (n, len(parameters))
    """
    if name not in KERNELS:
        return np.array([_by_tsfresh(name, parameters, row) for row in block.x])
    with np.errstate(all="ignore"):
        columns = KERNELS[name](block, parameters)
    out = np.empty((len(block.x), len(columns)))
    for place, column in enumerate(columns):
        out[:, place] = column
    return out


def _by_tsfresh(name: str, parameters: Parameters, row: Array) -> list[float]:
    """Ask tsfresh's own calculator, for what has no kernel: one series, (point,)."""
    from tsfresh.feature_extraction import feature_calculators

    calculator = getattr(feature_calculators, name)
    if calculator.fctype == "combiner":
        return [float(value) for _, value in calculator(row, list(parameters))]
    return [float(calculator(row, **p)) for p in parameters]


def _each(function: Callable[..., Any]) -> Kernel:
    """Make a kernel of a function that gives one column for one set of parameters."""

    def kernel(block: Block, parameters: Parameters) -> Sequence[Array]:
        return [function(block, **p) for p in parameters]

    return kernel


def _missing(block: Block) -> Array:
    return np.full(len(block.x), np.nan)


def _skewness(block: Block) -> Array:
    """Compute the adjusted Fisher-Pearson skewness, as pandas has it."""
    n, square = block.n, np.square(block.centred)
    if n < 3:
        return _missing(block)
    m2, m3 = square.sum(1), np.vecdot(square, block.centred)
    value = n * (n - 1) ** 0.5 / (n - 2) * m3 / m2**1.5
    return np.where(block.constant, np.nan, value)


def _kurtosis(block: Block) -> Array:
    """Bias-corrected excess kurtosis, as pandas has it."""
    n, square = block.n, np.square(block.centred)
    if n < 4:
        return _missing(block)
    m2, m4 = square.sum(1), np.vecdot(square, square)
    excess = 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    value = n * (n + 1) * (n - 1) * m4 / ((n - 2) * (n - 3) * m2**2) - excess
    return np.where(block.constant, np.nan, value)


def _longest_strike(hit: NDArray[np.bool_]) -> Array:
    """Length of the longest run of True in each row."""
    passed = np.cumsum(hit, axis=1, dtype=np.int32)
    before = np.maximum.accumulate(np.where(hit, np.int32(0), passed), axis=1)
    return np.asarray((passed - before).max(1), np.float64)


def _distinct_share(block: Block) -> Array:
    ordered = block.ordered
    return np.asarray((count(ordered[:, 1:] != ordered[:, :-1]) + 1) / block.n)


def _mean_n_absolute_max(block: Block, number_of_maxima: int) -> Array:
    if block.n <= number_of_maxima:
        return _missing(block)
    # The largest magnitudes stand at either end of the order.
    k = number_of_maxima
    ends = np.concatenate([block.ordered[:, :k], block.ordered[:, -k:]], axis=1)
    if block.n < 2 * k:
        ends = block.ordered
    return np.asarray(np.sort(np.abs(ends), axis=1)[:, -k:].mean(1))


def _quantile(block: Block, parameters: Parameters) -> Sequence[Array]:
    return quantiles(block.ordered, [p["q"] for p in parameters])


def _ratio_beyond_r_sigma(block: Block, parameters: Parameters) -> Sequence[Array]:
    sigma = block.sigma[:, None]
    return [count(block.distance > p["r"] * sigma) / block.n for p in parameters]


def _autocorrelation(block: Block, parameters: Parameters) -> Sequence[Array]:
    n, centred, variance = block.n, block.centred, block.variance
    usable = ~np.isclose(variance, 0)
    columns = []
    for p in parameters:
        lag = p["lag"]
        if n < lag:
            columns.append(_missing(block))
            continue
        product = np.vecdot(centred[:, : n - lag], centred[:, lag:])
        columns.append(np.where(usable, product / ((n - lag) * variance), np.nan))
    return columns


def _c3(block: Block, lag: int) -> Array:
    n, x = block.n, block.x
    if 2 * lag >= n:
        return np.zeros(len(x))
    outer = x[:, 2 * lag :] * x[:, : n - 2 * lag]
    return np.asarray(np.vecdot(outer, x[:, lag : n - lag]) / (n - 2 * lag))


def _time_reversal(block: Block, lag: int) -> Array:
    n, x = block.n, block.x
    if 2 * lag >= n:
        return np.zeros(len(x))
    square = np.square(x)
    difference = square[:, 2 * lag :] - square[:, : n - 2 * lag]
    return np.asarray(np.vecdot(difference, x[:, lag : n - lag]) / (n - 2 * lag))


def _cid_ce(block: Block, normalize: bool) -> Array:
    length = np.sqrt(np.vecdot(block.change, block.change))
    if not normalize:
        return np.asarray(length)
    return np.where(block.sigma != 0, length / block.sigma, 0.0)


def _number_peaks(block: Block, n: int) -> Array:
    x = block.x
    if block.n <= 2 * n:
        return np.zeros(len(x))
    middle = x[:, n:-n]
    peak = np.ones(middle.shape, bool)
    for i in range(1, n + 1):
        peak &= middle > x[:, n - i : -n - i]
        peak &= middle > x[:, n + i : block.n - n + i]
    return count(peak).astype(np.float64)


def _binned_entropy(block: Block, max_bins: int) -> Array:
    low, high = block.ordered[:, :1], block.ordered[:, -1:]
    low, high = np.where(low == high, low - 0.5, low), np.where(low == high, high + 0.5, high)
    edges = low + (high - low) * np.arange(1, max_bins) / max_bins  # (series, edge)
    least = np.zeros((len(edges), max_bins + 1), np.int64)  # points from each edge on
    least[:, 0] = block.n
    for place in range(1, max_bins):
        least[:, place] = count(block.x >= edges[:, place - 1 : place])
    return _entropy((least[:, :-1] - least[:, 1:]) / block.n)


def _entropy(share: Array) -> Array:
    return np.asarray(-(share * np.log(np.where(share == 0, 1.0, share))).sum(1))


def _linear_trend(block: Block, parameters: Parameters) -> Sequence[Array]:
    n = block.n
    t = np.arange(n) - (n - 1) / 2
    tt, xx, tx = np.square(t).sum(), block.variance * n, block.centred @ t
    slope = tx / tt
    rvalue = np.where(block.constant, np.nan, np.clip(tx / np.sqrt(tt * xx), -1, 1))
    stderr = np.sqrt((1 - rvalue**2) * xx / tt / (n - 2)) if n > 2 else np.zeros(len(block.x))
    found = {"slope": slope, "rvalue": rvalue, "stderr": stderr}
    return [found[p["attr"]] for p in parameters]


def _energy_ratio_by_chunks(block: Block, parameters: Parameters) -> Sequence[Array]:
    square = np.square(block.x)
    total = square.sum(1)
    columns = []
    for p in parameters:
        size, more = divmod(block.n, p["num_segments"])  # the first chunks are longer by one
        begin, end = (k * size + min(k, more) for k in (p["segment_focus"], p["segment_focus"] + 1))
        columns.append(np.where(total > 0, square[:, begin:end].sum(1) / total, np.nan))
    return columns


def _fft_coefficient(block: Block, parameters: Parameters) -> Sequence[Array]:
    spectrum = block.spectrum
    return [
        spectrum[:, p["coeff"]] if p["coeff"] < spectrum.shape[1] else _missing(block)
        for p in parameters
    ]


def _fft_aggregated(block: Block, parameters: Parameters) -> Sequence[Array]:
    spectrum = block.spectrum
    index, total = np.arange(spectrum.shape[1], dtype=np.float64), spectrum.sum(1)
    powers = index[:, None] ** np.arange(1, 5)
    m1, m2, m3, m4 = (spectrum @ powers / total[:, None]).T
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


def _permutation_entropy(block: Block, tau: int, dimension: int) -> Array:
    windows = (block.n - dimension) // tau + 1
    if windows <= 0:
        return _missing(block)
    values = [block.x[:, i : i + (windows - 1) * tau + 1 : tau] for i in range(dimension)]
    # An order is told by which of any two values is the larger; of equal ones the later.
    pairs = [(a, b) for b in range(dimension) for a in range(b)]
    code = np.zeros(values[0].shape, np.min_scalar_type(2 ** len(pairs) - 1))
    for place, (a, b) in enumerate(pairs):
        code |= (values[a] > values[b]).astype(code.dtype) << code.dtype.type(place)
    codes = np.unique(code) if len(pairs) > 3 else range(2 ** len(pairs))
    return _entropy(np.stack([count(code == c) for c in codes], axis=1) / windows)


KERNELS: Mapping[str, Kernel] = {
    "mean": _each(lambda b: b.x.mean(1)),
    "median": _each(lambda b: middle(b.ordered)),
    "standard_deviation": _each(lambda b: b.sigma),
    "skewness": _each(_skewness),
    "kurtosis": _each(_kurtosis),
    "minimum": _each(lambda b: b.ordered[:, 0]),
    "maximum": _each(lambda b: b.ordered[:, -1]),
    "first_location_of_maximum": _each(lambda b: b.x.argmax(1) / b.n),
    "last_location_of_maximum": _each(lambda b: 1.0 - b.x[:, ::-1].argmax(1) / b.n),
    "first_location_of_minimum": _each(lambda b: b.x.argmin(1) / b.n),
    "last_location_of_minimum": _each(lambda b: 1.0 - b.x[:, ::-1].argmin(1) / b.n),
    "mean_abs_change": _each(lambda b: np.abs(b.change).mean(1)),
    "mean_change": _each(lambda b: (b.x[:, -1] - b.x[:, 0]) / (b.n - 1)),
    "mean_second_derivative_central": _each(
        lambda b: (b.change[:, -1] - b.change[:, 0]) / (2 * (b.n - 2)) if b.n > 2 else np.nan
    ),
    "root_mean_square": _each(lambda b: np.sqrt(np.vecdot(b.x, b.x) / b.n)),
    "longest_strike_above_mean": _each(lambda b: _longest_strike(b.centred > 0)),
    "longest_strike_below_mean": _each(lambda b: _longest_strike(b.centred < 0)),
    "ratio_value_number_to_time_series_length": _each(_distinct_share),
    "absolute_sum_of_changes": _each(lambda b: np.abs(b.change).sum(1)),
    "mean_n_absolute_max": _each(_mean_n_absolute_max),
    "count_above": _each(lambda b, t: count(b.x >= t) / b.n),
    "quantile": _quantile,
    "ratio_beyond_r_sigma": _ratio_beyond_r_sigma,
    "autocorrelation": _autocorrelation,
    "c3": _each(_c3),
    "time_reversal_asymmetry_statistic": _each(_time_reversal),
    "cid_ce": _each(_cid_ce),
    "number_crossing_m": _each(lambda b, m: count((b.x[:, 1:] > m) != (b.x[:, :-1] > m))),
    "number_peaks": _each(_number_peaks),
    "binned_entropy": _each(_binned_entropy),
    "linear_trend": _linear_trend,
    "energy_ratio_by_chunks": _energy_ratio_by_chunks,
    "fft_coefficient": _fft_coefficient,
    "fft_aggregated": _fft_aggregated,
    "permutation_entropy": _each(_permutation_entropy),
}
"""Kernel by the name of tsfresh's calculator."""
