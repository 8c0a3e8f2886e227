"""Channels of runs -> named numbers that a person would measure on the curves.

tsfresh's features know one series at a time and no full-resolution noise. These relate channels to
each other and set changes in relation to noise: how noise grows or fades, spikes and what comes
after them, decay fits, the slope at the end in units of noise, and the gap to validation.

Runs of one shape are measured together: arrays have a row for each run, and a measure that cannot
be taken of a run is NaN there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .robust import count, interpolate, median, quantiles, running_median, spread

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Found = dict[str, Array]

_OF_CURVE = (
    "noise",
    "noise_early",
    "noise_late",
    "noise_growth",
    "noise_per_drop",
    "tail",
    "skew",
    "spike_up",
    "spike_down",
    "spike_at",
    "n_spikes",
    "spike_share",
    "residual_lag_1",
    "residual_lag_2",
    "peak_share",
    "peak_frequency",
    "peak_cycles",
    "spectral_entropy",
    "correlation_time",
    "correlation_peak",
    "end_slope_25",
    "end_t_25",
    "end_slope_50",
    "end_t_50",
)
_DECAYS: Mapping[str, Callable[[Array, Array], Array]] = {
    "exp": lambda k, t: np.exp(-k * t),
    "pow": lambda k, t: 1 / np.sqrt(1 + 4 * k * t),
    "inv": lambda k, t: 1 / (1 + 3 * k * t),
}
_FALLEN = (0.25, 0.5, 0.75, 0.9, 0.97)
_RATE_SHARES = (0.05, 0.2, 0.5, 0.8)

TRAITS = (
    "log_end",
    "log_low",
    "log_max",
    "first_over_start",
    *(f"loss_{name}" for name in _OF_CURVE),
    *(f"decay_{d}_{name}" for d in _DECAYS for name in ("rest", "rate", "floor", "left")),
    "decay_pow_over_exp",
    *(f"fallen_{share}" for share in _FALLEN),
    "jump",
    "jump_at",
    "jump_kept_20",
    "jump_kept_8",
    "jump_per_noise",
    "jump_second",
    "jump_slope_before",
    "end_over_low",
    "up_share",
    "up_share_late",
    "last_5",
    "last_20",
    *(f"grad_norm_{name}" for name in _OF_CURVE),
    "grad_norm_start",
    "grad_norm_end",
    "grad_norm_change",
    "grad_norm_max",
    "grad_norm_max_at",
    "grad_norm_max_early",
    "grad_norm_last_5",
    "grad_norm_per_loss_start",
    "grad_norm_per_loss_middle",
    "grad_norm_per_loss_end",
    "grad_norm_loss_slope",
    "grad_norm_loss_correlation",
    "grad_norm_residual_correlation",
    "grad_norm_residual_leads",
    "grad_norm_residual_lags",
    "val_noise",
    "val_noise_over_loss",
    "val_rise",
    "val_rise_per_noise",
    "val_log_end",
    "val_drop",
    "val_drop_share",
    "val_drop_share_linear",
    "val_gap_early",
    "val_gap_late",
    "val_gap_growth",
    "val_gap_end_linear",
    "val_gap_spread",
    "val_gap_negative",
    "val_correlation",
    "val_correlation_late",
    "val_slope_late",
    "val_loss_slope_late",
    "val_slope_gap",
    "lr_end",
    "lr_mean",
    "lr_max_at",
    "lr_half_at",
    *(f"lr_loss_at_{share}" for share in _RATE_SHARES),
)
"""Names of all numbers; those of an optional channel begin with its name."""


_PLACES = {name: place for place, name in enumerate(TRAITS)}


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Finite validation losses, all arrays (run, m).

    Parameters
    ----------
    where : array
        Share of the run at which each was logged.
    values, ratio : arrays
        The losses, and log10 of their ratio to the start of the training loss.
    """

    where: Array
    values: Array
    ratio: Array


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Runs of one shape: their curves have the same numbers of points, of which as many are finite.

    Parameters
    ----------
    loss : array of shape (run, n)
        Training losses, bounded; may hold non-finite values.
    finite : array of shape (run, n)
        Where they are finite: at k places in each run.
    start : array of shape (run,)
        Levels of the losses at their start.
    ratio : array of shape (run, k)
        Finite losses as log10 of their ratio to the start.
    smooth : array of shape (run, k)
        The same without noise: see `smoothed`.
    val : Validation or None
        Finite validation losses.
    grad_norm : array of shape (run, any), or None
        As logged; as many finite where the loss is finite as well in each run.
    lr : array of shape (run, any), or None
        As logged; as many finite and not negative in each run.
    """

    loss: Array
    finite: Mask
    start: Array
    ratio: Array
    smooth: Array
    val: Validation | None
    grad_norm: Array | None
    lr: Array | None


def measure_traits(runs: Measured) -> Array:
    """Measure runs.

    Returns
    -------
    array of shape (run, trait)
        In the order of `TRAITS`, NaN where there is too little to measure.
    """
    out = np.full((len(runs.loss), len(TRAITS)), np.nan)
    ratio, smooth = runs.ratio, runs.smooth
    k = ratio.shape[1]
    if k < 3:
        return out
    with np.errstate(all="ignore"):
        found = _levels(select(runs.loss, runs.finite), runs.start)
        change = _Change.of(ratio)
        found |= {f"loss_{name}": v for name, v in _curve(ratio, smooth, change).items()}
        found |= _decay(np.clip(10.0**ratio, 0, 20))
        found |= _fallen(smooth)
        found |= _jump(ratio, change)
        if runs.grad_norm is not None:
            found |= _grad_norm(runs.grad_norm, runs)
        if runs.val is not None and runs.val.values.shape[1] >= 3:
            found["val_log_end"] = _level(runs.val.values[:, -1])
            below = interpolate(runs.val.where, _places(runs.finite), smooth)
            noise = found.get("loss_noise", np.full(len(out), np.nan))
            found |= _validation(runs.val.ratio, below, noise)
        if runs.lr is not None and runs.lr.shape[1] == runs.loss.shape[1]:
            found |= _rate(runs.lr, runs.finite, smooth)
    for name, values in found.items():
        out[:, _PLACES[name]] = values
    out[~np.isfinite(out)] = np.nan
    return out


def smoothed(ratio: Array) -> Array:
    """Take the level around each point, (run, k)."""
    return running_median(ratio, ratio.shape[1] // 20 + 3)


def select(values: Array, where: Mask) -> Array:
    """Keep what is marked: the same number in each row, (run, n) -> (run, marked)."""
    return values if where.all() else values[where].reshape(len(values), -1)


def _places(finite: Mask) -> Array:
    """Share of the run that has passed at each finite loss, (run, k)."""
    n = finite.shape[1]
    passed = np.broadcast_to(np.arange(n) / max(1, n - 1), finite.shape)
    return select(passed, finite)


def _levels(value: Array, start: Array) -> Found:
    ordered = np.sort(value, axis=1)
    return {
        "log_end": _level(median(value[:, -max(1, value.shape[1] // 20) :])),
        "log_low": _level(quantiles(ordered, [0.02])[0]),
        "log_max": _level(ordered[:, -1]),
        "first_over_start": np.clip(_log(value[:, 0] / start), -4, 4),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """From each point to the next, (run, k - 1), and their median absolute deviation, (run,)."""

    values: Array
    spread: Array

    @classmethod
    def of(cls, y: Array) -> _Change:
        values = y[:, 1:] - y[:, :-1]
        return cls(values, spread(values))


def _curve(y: Array, smooth: Array, change: _Change) -> Found:
    """Measure noise, spikes, periods and the final slope of logarithmic curves, (run, n)."""
    n = y.shape[1]
    if n < 6:
        return {}
    residual = y - smooth
    ordered = np.sort(residual, axis=1)
    third = max(2, n // 3)
    noise = 1.4826 * change.spread / np.sqrt(2)
    early, late = (_log(spread(c)) for c in (change.values[:, :third], change.values[:, -third:]))
    drop = np.maximum(y[:, 0], smooth[:, : max(1, n // 30)].max(1)) - smooth.min(1)
    q01, q05, q25, q50, q75, q95, q99 = quantiles(
        ordered, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    )
    spike = residual > np.maximum(6 * noise, 0.02)[:, None]
    z = residual - residual.mean(1, keepdims=True)
    variance = np.vecdot(z, z) / n
    found = {
        "noise": _log(noise),
        "noise_early": early,
        "noise_late": late,
        "noise_growth": late - early,
        "noise_per_drop": late - _log(drop),
        "tail": _log((q99 - q01) / (q75 - q25)),
        "skew": (q95 + q05 - 2 * q50) / (q95 - q05),
        "spike_up": _log(ordered[:, -1] / np.maximum(noise, 1e-4)),
        "spike_down": _log(-ordered[:, 0] / np.maximum(noise, 1e-4)),
        "spike_at": residual.argmax(1) / n,
        "n_spikes": count(~spike[:, :-1] & spike[:, 1:]).astype(float),
        "spike_share": count(spike) / n,
        "residual_lag_1": np.vecdot(z[:, 1:], z[:, :-1]) / (n - 1) / variance,
        "residual_lag_2": np.vecdot(z[:, 2:], z[:, :-2]) / (n - 2) / variance,
    }
    for share in (25, 50):
        x = np.linspace(0, 1, max(4, n * share // 100))
        end = y[:, -len(x) :]
        slope = _slope(x, end)
        rest = end - slope[:, None] * x
        error = np.maximum(rest.std(1), 1e-4) * np.sqrt(12 / len(x))
        found[f"end_slope_{share}"] = slope
        found[f"end_t_{share}"] = np.clip(slope / error, -1e3, 1e3)
    return found | _periods(y)


@lru_cache(maxsize=8)
def _slow(n: int) -> Array:
    """Return orthonormal polynomials up to the fourth degree, (n, 5)."""
    t = np.linspace(-1, 1, n)
    found = [np.full(n, n**-0.5)]
    while len(found) < 5:
        further = t * found[-1]
        for other in found[-2:]:
            further = further - (further @ other) * other
        found.append(further / np.sqrt(further @ further))
    return np.stack(found, axis=1)


def _periods(y: Array) -> Found:
    """Look for swings of one period in what a slow trend leaves, past the first fifth."""
    n = y.shape[1]
    slow = _slow(n)
    rest = (y - (y @ slow) @ slow.T)[:, n // 5 :]
    m = rest.shape[1]
    if m < 8:
        return {}
    rest = rest - rest.mean(1, keepdims=True)
    power = np.square(np.abs(np.fft.rfft(rest * np.hanning(m), axis=1)))[:, 2:]
    peak, share = power.argmax(1), power / power.sum(1, keepdims=True)
    around = np.pad(share, ((0, 0), (1, 1)))
    width = 2 ** int(2 * m - 1).bit_length()  # no lag meets the other end
    alike = np.fft.irfft(np.square(np.abs(np.fft.rfft(rest, width, axis=1))), axis=1)[:, :m]
    alike = alike / np.maximum(np.vecdot(rest, rest), 1e-30)[:, None]
    faded, negative = alike < 1 / np.e, alike < 0
    first = negative.argmax(1)
    again = negative.any(1) & (first < m // 2)
    lag = np.arange(m // 2 + 1)
    later = np.where(lag >= first[:, None], alike[:, : m // 2 + 1], -np.inf).max(1)
    row = np.arange(len(y))
    return {
        "peak_share": around[row, peak] + around[row, peak + 1] + around[row, peak + 2],
        "peak_frequency": np.log10((peak + 2) / m),
        "peak_cycles": np.log10(peak + 2),
        "spectral_entropy": -(share * np.log(share + 1e-12)).sum(1) / np.log(share.shape[1] + 1),
        "correlation_time": np.where(faded.any(1), faded.argmax(1), m) / m,
        "correlation_peak": np.where(again, later, 0.0),
    }


@lru_cache(maxsize=8)
def _decays(n: int) -> tuple[Array, Array, Array]:
    """Return the grid of rates, and for each decay and rate the curve less its mean, and that.

    Shapes: (rate,), (decay, rate, n), (decay, rate).
    """
    rates, t = np.logspace(-0.5, 2.5, 16), np.arange(n) / (n - 1)
    curves = np.stack([decay(rates[:, None], t) for decay in _DECAYS.values()])
    means = curves.mean(2)
    return rates, curves - means[:, :, None], means


def _decay(level: Array) -> Found:
    """Fit floor + height * decay(rate * t) by least squares over a grid of rates."""
    n = level.shape[1]
    if n < 6:
        return {}
    low, high = quantiles(np.sort(level, axis=1), [0.02, 0.98])
    margin = 0.2 * (high - low)
    level = np.clip(level, (low - margin)[:, None], (high + margin)[:, None])
    mean = level.mean(1)
    centred = level - mean[:, None]
    whole = np.vecdot(centred, centred)
    end = median(level[:, -max(1, n // 20) :])
    rates, shapes, means = _decays(n)
    size = np.vecdot(shapes, shapes)  # (decay, rate)
    heights = (centred @ shapes.reshape(-1, n).T).reshape(-1, *size.shape) / size
    best = (np.square(heights) * size).argmax(2)  # the more explained, the less error
    found: Found = {}
    for place, name in enumerate(_DECAYS):
        at = best[:, place]
        height = heights[np.arange(len(level)), place, at]
        rest = centred - height[:, None] * shapes[place, at]
        floor = mean - height * means[place, at]
        left = (end - floor) / np.maximum(np.abs(height), 1e-6)
        found |= {
            f"decay_{name}_rest": _log(np.vecdot(rest, rest) / whole),
            f"decay_{name}_rate": np.log10(rates[at]),
            f"decay_{name}_floor": np.clip(floor, -5, 5),
            f"decay_{name}_left": np.clip(left, -5, 5),
        }
    found["decay_pow_over_exp"] = found["decay_pow_rest"] - found["decay_exp_rest"]
    return found


def _fallen(smooth: Array) -> Found:
    """Time, as log10 of a share of the run, by which the loss has made a share of its fall."""
    level = 10.0**smooth
    first = level[:, 0]
    fall = first - level.min(1)
    found = {}
    for share in _FALLEN:
        at = (level <= (first - share * fall)[:, None]).argmax(1)
        found[f"fallen_{share}"] = np.where(fall > 0, np.log10((at + 1) / level.shape[1]), np.nan)
    return found


def _jump(y: Array, change: _Change) -> Found:
    """Measure the largest rise from one point to the next, and what is left of it later."""
    n, few = y.shape[1], max(2, y.shape[1] // 20)
    if n < 5:
        return {}
    at = change.values.argmax(1)
    before, there = _window(y, at - 10, 11)
    x = np.broadcast_to(np.arange(11.0), before.shape)
    level = _median_of(*_window(y, at - few, few + 1))
    height = y[np.arange(len(y)), at + 1] - level
    first, second = _two_largest(change.values)
    third = change.values[:, -max(3, n // 3) :]
    end = median(y[:, -max(1, n // 20) :])
    found = {
        "jump": height,
        "jump_at": at / n,
        "jump_per_noise": _log(height / np.maximum(change.spread, 1e-4)),
        "jump_second": second / np.maximum(first, 1e-6),
        "jump_slope_before": np.where(at >= 3, _slope_of(x, before, there), np.nan),
        "end_over_low": end - quantiles(np.sort(y, axis=1), [0.02])[0],
        "up_share": count(change.values > 0) / (n - 1),
        "up_share_late": count(third > 0) / third.shape[1],
        "last_5": y[:, -1] - y[:, -min(5, n)],
        "last_20": y[:, -1] - y[:, -min(20, n)],
    }
    for part in (20, 8):
        later = at + 1 + n // part
        kept = _median_of(*_window(y, later, few)) - level
        share = kept / np.maximum(height, 0.01)
        found[f"jump_kept_{part}"] = np.where(later < n, share, np.nan)
    return found


def _grad_norm(norm: Array, runs: Measured) -> Found:
    """Measure the gradient norm, alone and beside the loss where each point has both."""
    paired = norm.shape[1] == runs.loss.shape[1]
    good = np.isfinite(norm) & runs.finite if paired else np.isfinite(norm)
    y = np.clip(np.log10(np.abs(select(norm, good)) + 1e-10), -10, 10)
    n, few = y.shape[1], max(1, y.shape[1] // 20)
    if n < 4:
        return {}
    start, mid, end = median(y[:, :few]), median(y), median(y[:, -few:])
    smooth = smoothed(y)
    found = _curve(y, smooth, _Change.of(y)) | {
        "start": start,
        "end": end,
        "change": end - start,
        "max": y.max(1) - mid,
        "max_at": y.argmax(1) / n,
        "max_early": y[:, : max(1, n // 5)].max(1) - mid,
        "last_5": y[:, -1] - y[:, -min(5, n)],
    }
    if paired:
        other = select(runs.ratio, good[runs.finite].reshape(len(good), -1))
        per_loss = y - np.log10(np.maximum(np.abs(select(runs.loss, good)), 1e-12))
        for name, at in (("start", 0), ("middle", n // 2), ("end", n - few)):
            found[f"per_loss_{name}"] = np.clip(median(per_loss[:, at : at + few]), -12, 12)
        rest, other_rest = y - smooth, other - smoothed(other)
        moves = other.std(1) > 1e-6
        found["loss_slope"] = np.where(moves, np.clip(_slope(other, y), -10, 10), np.nan)
        found["loss_correlation"] = np.where(moves, _correlation(other, y), np.nan)
        found["residual_correlation"] = _correlation(other_rest, rest)
        if n > 6:
            found["residual_leads"] = _correlation(rest[:, :-1], other_rest[:, 1:])
            found["residual_lags"] = _correlation(rest[:, 1:], other_rest[:, :-1])
    return {f"grad_norm_{name}": value for name, value in found.items()}


def _validation(y: Array, below: Array, loss_noise: Array) -> Found:
    """Set validation beside the smoothed training loss at the same times, both (run, m)."""
    m, gap, low = y.shape[1], y - below, y.min(1)
    noise = 1.4826 * _Change.of(y).spread / np.sqrt(2)
    rise = median(y[:, -max(1, m // 10) :]) - low
    level, level_below = 10.0**y, 10.0**below
    early, late = gap[:, : max(1, m // 5)].mean(1), gap[:, -max(1, m // 3) :].mean(1)
    found = {
        "noise": _log(noise),
        "noise_over_loss": _log(noise) - loss_noise,
        "rise": rise,
        "rise_per_noise": _log(rise / np.maximum(noise, 1e-3)),
        "drop": y[:, 0] - low,
        "drop_share": _share(y[:, 0] - y[:, -1], below[:, 0] - below[:, -1]),
        "drop_share_linear": _share(
            level[:, 0] - level[:, -1], level_below[:, 0] - level_below[:, -1]
        ),
        "gap_early": early,
        "gap_late": late,
        "gap_growth": late - early,
        "gap_end_linear": np.clip(level[:, -1] - level_below[:, -1], -10, 50),
        "gap_spread": _log(gap.std(1)),
        "gap_negative": count(gap < 0) / m,
    }
    if m >= 4:
        half = max(2, m // 2)
        x = np.linspace(0, 1, half)
        slope, slope_below = _slope(x, y[:, -half:]), _slope(x, below[:, -half:])
        found |= {
            "correlation": _correlation(y, below),
            "correlation_late": _correlation(y[:, -half:], below[:, -half:]),
            "slope_late": slope,
            "loss_slope_late": slope_below,
            "slope_gap": slope - slope_below,
        }
    return {f"val_{name}": value for name, value in found.items()}


def _rate(lr: Array, finite: Mask, smooth: Array) -> Found:
    """Measure the schedule, and the loss after shares of the sum of all rates."""
    known = np.isfinite(lr)
    rate, good = np.where(known, lr, 0.0), known & (lr >= 0)
    share = select(lr, good)
    if share.shape[1] < 3:
        return {}
    share = share / share.max(1, keepdims=True)  # NaN if the highest rate is 0
    n = share.shape[1]
    spent = np.cumsum(np.maximum(rate, 0.0), axis=1)
    passed = np.cumsum(share, axis=1) / share.sum(1, keepdims=True)
    half = n - count(passed >= 0.5)
    at = np.broadcast_to(_RATE_SHARES, (len(lr), len(_RATE_SHARES)))
    there = interpolate(at, select(spent / spent[:, -1:], finite), smooth)
    found = {
        "lr_end": share[:, -1],
        "lr_mean": share.mean(1),
        "lr_max_at": share.argmax(1) / n,
        "lr_half_at": half / n,
        **{f"lr_loss_at_{s}": there[:, i] for i, s in enumerate(_RATE_SHARES)},
    }
    moves = select(lr, good).max(1) > 0
    return {name: np.where(moves, values, np.nan) for name, values in found.items()}


def _window(y: Array, begin: NDArray[np.intp], size: int) -> tuple[Array, Mask]:
    """Cut a window out of each row, (run, size), and tell which of it lies within the row."""
    at = begin[:, None] + np.arange(size)
    there = (at >= 0) & (at < y.shape[1])
    inside = np.minimum(np.maximum(at, 0), y.shape[1] - 1)
    return y[np.arange(len(y))[:, None], inside], there


def _median_of(values: Array, there: Mask) -> Array:
    """Take the median of what is there; NaN where nothing is."""
    ordered, n = np.sort(np.where(there, values, np.inf), axis=1), there.sum(1)
    row = np.arange(len(values))
    two = (
        ordered[row, np.maximum(n - 1, 0) // 2]
        + ordered[row, np.minimum(n // 2, len(there[0]) - 1)]
    )
    return np.where(n > 0, two / 2, np.nan)


def _two_largest(values: Array) -> tuple[Array, Array]:
    two = np.partition(values, values.shape[1] - 2, axis=1)[:, -2:]
    return two[:, 1], two[:, 0]


def _log(value: Array) -> Array:
    """log10 of the magnitude, at least -8."""
    return np.log10(np.maximum(np.abs(value), 1e-8))


def _level(value: Array) -> Array:
    """log10 of a loss, within -4 to 8."""
    return np.clip(_log(value), -4, 8)


def _slope(x: Array, y: Array) -> Array:
    """Slope of the least-squares line through (n,) or (run, n) and (run, n)."""
    x = x - x.mean(-1, keepdims=True)
    return np.asarray(np.vecdot(x, y) / np.vecdot(x, x))


def _slope_of(x: Array, y: Array, there: Mask) -> Array:
    """Slope of the least-squares line through what is there."""
    n = there.sum(1, keepdims=True)
    x = np.where(there, x - np.where(there, x, 0.0).sum(1, keepdims=True) / n, 0.0)
    return np.asarray(np.vecdot(x, y) / np.vecdot(x, x))


def _share(part: Array, whole: Array) -> Array:
    return np.clip(part / np.maximum(whole, 0.01), -10, 10)


def _correlation(a: Array, b: Array) -> Array:
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    return np.asarray(np.vecdot(a, b) / np.sqrt(np.vecdot(a, a) * np.vecdot(b, b)))
