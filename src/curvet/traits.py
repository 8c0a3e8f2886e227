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

from .robust import count, interpolate, median, quantiles, running_median

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

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
    from .compiled import traits

    out = np.full((len(runs.loss), len(TRAITS)), np.nan)
    ratio, smooth = np.ascontiguousarray(runs.ratio), runs.smooth
    k = ratio.shape[1]
    if k < 3:
        return out
    value = np.ascontiguousarray(select(runs.loss, runs.finite))
    traits.levels(value, np.sort(value, axis=1), runs.start, _part(out, "log_end"))
    ordered = np.sort(ratio, axis=1)
    if k >= 5:
        change = ratio[:, 1:] - ratio[:, :-1]
        traits.jump(ratio, ordered, change, np.sort(change, axis=1), _part(out, "jump"))
    if k >= 6:
        _course(ratio, smooth, _part(out, f"loss_{_OF_CURVE[0]}"))
        _decay(ratio, ordered, _part(out, "decay_exp_rest"))
    traits.fallen(10.0**smooth, np.array(_FALLEN), _part(out, f"fallen_{_FALLEN[0]}"))
    if runs.grad_norm is not None:
        _grad_norm(runs.grad_norm, runs, out)
    if runs.val is not None and runs.val.values.shape[1] >= 3:
        _validation(runs.val, interpolate(runs.val.where, _places(runs.finite), smooth), out)
        out[:, TRAITS.index("val_log_end")] = _level(runs.val.values[:, -1])
    if runs.lr is not None and runs.lr.shape[1] == runs.loss.shape[1]:
        _rate(runs.lr, runs.finite, smooth, _part(out, "lr_end"))
    out[~np.isfinite(out)] = np.nan
    return out


def _part(out: Array, first: str) -> Array:
    """Return the columns from the one of this name on."""
    return out[:, TRAITS.index(first) :]


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


def _course(y: Array, smooth: Array, out: Array) -> None:
    """Fill in noise, spikes, periods and the final slope of logarithmic curves, (run, n)."""
    from .compiled import traits

    residual, change, third = y - smooth, y[:, 1:] - y[:, :-1], max(2, y.shape[1] // 3)
    every, early, late = (
        np.sort(c, axis=1) for c in (change, change[:, :third], change[:, -third:])
    )
    traits.course(y, smooth, residual, np.sort(residual, axis=1), every, early, late, out)
    for place, share in ((-4, 25), (-2, 50)):
        at, n = len(_OF_CURVE) + place, max(4, y.shape[1] * share // 100)
        x, end = np.linspace(0, 1, n), y[:, -n:]
        slope = _slope(x, end)
        error = np.maximum((end - slope[:, None] * x).std(1), 1e-4) * np.sqrt(12 / n)
        out[:, at], out[:, at + 1] = slope, np.clip(slope / error, -1e3, 1e3)
    _periods(y, out[:, _OF_CURVE.index("peak_share") :])


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


def _periods(y: Array, out: Array) -> None:
    """Look for swings of one period in what a slow trend leaves, past the first fifth."""
    from .compiled import traits

    n = y.shape[1]
    m = n - n // 5
    if m < 8:
        return
    slow = _slow(n)
    rest = (y - (y @ slow) @ slow.T)[:, n // 5 :]
    rest = rest - rest.mean(1, keepdims=True)
    power = np.square(np.abs(np.fft.rfft(rest * np.hanning(m), axis=1)))
    width = 2 ** int(2 * m - 1).bit_length()  # no lag meets the other end
    alike = np.fft.irfft(np.square(np.abs(np.fft.rfft(rest, width, axis=1))), axis=1)
    traits.periods(rest, power, alike, out)


@lru_cache(maxsize=8)
def _decays(n: int) -> tuple[Array, Array, Array]:
    """Return the grid of rates, and for each decay and rate the curve less its mean, and that.

    Shapes: (rate,), (decay, rate, n), (decay, rate).
    """
    rates, t = np.logspace(-0.5, 2.5, 16), np.arange(n) / (n - 1)
    curves = np.stack([decay(rates[:, None], t) for decay in _DECAYS.values()])
    means = curves.mean(2)
    return rates, curves - means[:, :, None], means


def _decay(ratio: Array, ordered: Array, out: Array) -> None:
    """Fit floor + height * decay(rate * t) by least squares over a grid of rates."""
    from .compiled import traits

    level, ordered = (np.clip(10.0**y, 0, 20) for y in (ratio, ordered))
    low, high = quantiles(ordered, [0.02, 0.98])
    margin = 0.2 * (high - low)
    level = np.clip(level, (low - margin)[:, None], (high + margin)[:, None])
    mean, n = level.mean(1), level.shape[1]
    centred = level - mean[:, None]
    end = np.ascontiguousarray(median(level[:, -max(1, n // 20) :]))
    rates, shapes, means = _decays(n)
    products = (centred @ shapes.reshape(-1, n).T).reshape(-1, *means.shape)
    size = np.vecdot(shapes, shapes)
    traits.decay(centred, mean, end, products / size, size, rates, shapes, means, out)
    at, names = 4 * len(_DECAYS), list(_DECAYS)
    exp, power = (4 * names.index(name) for name in ("exp", "pow"))
    out[:, at] = out[:, power] - out[:, exp]


def _grad_norm(norm: Array, runs: Measured, out: Array) -> None:
    """Measure the gradient norm, alone and beside the loss where each point has both."""
    from .compiled import traits

    paired = norm.shape[1] == runs.loss.shape[1]
    good = np.isfinite(norm) & runs.finite if paired else np.isfinite(norm)
    y = np.clip(np.log10(np.abs(select(norm, good)) + 1e-10), -10, 10)
    if y.shape[1] < 4:
        return
    smooth = smoothed(y)
    if y.shape[1] >= 6:
        _course(y, smooth, _part(out, f"grad_norm_{_OF_CURVE[0]}"))
    traits.norms(y, np.sort(y, axis=1), _part(out, "grad_norm_start"))
    if paired:
        other = select(runs.ratio, good[runs.finite].reshape(len(good), -1))
        per_loss = y - np.log10(np.maximum(np.abs(select(runs.loss, good)), 1e-12))
        traits.norms_beside_loss(
            y,
            y - smooth,
            per_loss,
            np.ascontiguousarray(other),
            other - smoothed(other),
            _part(out, "grad_norm_per_loss_start"),
        )


def _validation(val: Validation, below: Array, out: Array) -> None:
    """Set validation beside the smoothed training loss at the same times, (run, m)."""
    from .compiled import traits

    y = np.ascontiguousarray(val.ratio)
    change = np.sort(y[:, 1:] - y[:, :-1], axis=1)
    noise = np.ascontiguousarray(out[:, TRAITS.index("loss_noise")])
    traits.validation(y, below, 10.0**y, 10.0**below, change, noise, _part(out, "val_noise"))
    if y.shape[1] >= 4:
        half = max(2, y.shape[1] // 2)
        x, late, late_below = np.linspace(0, 1, half), y[:, -half:], below[:, -half:]
        slope, slope_below = _slope(x, late), _slope(x, late_below)
        with np.errstate(invalid="ignore", divide="ignore"):
            both = _correlation(y, below), _correlation(late, late_below)
        first = TRAITS.index("val_correlation")
        found = (*both, slope, slope_below, slope - slope_below)
        out[:, first : first + len(found)] = np.stack(found, axis=1)


def _rate(lr: Array, finite: Mask, smooth: Array, out: Array) -> None:
    """Measure the schedule, and the loss after shares of the sum of all rates."""
    from .compiled import traits

    known = np.isfinite(lr)
    share = select(lr, known & (lr >= 0))
    if share.shape[1] < 3:
        return
    spent = np.cumsum(np.maximum(np.where(known, lr, 0.0), 0.0), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        passed = np.ascontiguousarray(select(spent / spent[:, -1:], finite))
        share = np.ascontiguousarray(share)
        of_highest = share / share.max(1, keepdims=True)
        half = count(np.cumsum(of_highest, axis=1) / of_highest.sum(1, keepdims=True) < 0.5)
    traits.rate(share, passed, smooth, np.array(_RATE_SHARES), out)
    out[:, 3] = np.where(share.max(1) > 0, half / share.shape[1], np.nan)


def _log(value: Array) -> Array:
    """log10 of the magnitude, at least -8."""
    return np.log10(np.maximum(np.abs(value), 1e-8))


def _level(value: Array) -> Array:
    """log10 of a loss, within -4 to 8."""
    return np.clip(_log(value), -4, 8)


def _slope(x: Array, y: Array) -> Array:
    """Slope of the least-squares line through (n,) and (run, n)."""
    x = x - x.mean(-1, keepdims=True)
    return np.asarray(np.vecdot(x, y) / np.vecdot(x, x))


def _correlation(a: Array, b: Array) -> Array:
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    return np.asarray(np.vecdot(a, b) / np.sqrt(np.vecdot(a, a) * np.vecdot(b, b)))
