"""Channels of runs -> named numbers that a person would measure on the curves.

tsfresh's features know one series at a time and no full-resolution noise. These relate channels to
each other and set changes in relation to noise: how noise grows or fades, spikes and what comes
after them, decay fits, the slope at the end in units of noise, and the gap to validation.

Runs are measured together: arrays have a row for each, filled up to the longest, and a measure that
cannot be taken of a run is NaN there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Count = NDArray[np.int64]

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
class Flat:
    """One channel of several runs, as logged, one behind the other.

    Parameters
    ----------
    step, value : arrays of shape (point,)
        Of all runs.
    begin : array of shape (run + 1,)
        Where each run begins; one without the channel has no points.
    """

    step: Array
    value: Array
    begin: Count

    @property
    def most(self) -> int:
        """Points of the longest."""
        return int(np.diff(self.begin).max(initial=0))


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Finite losses of several runs, in rows that are filled up to the longest.

    Parameters
    ----------
    where, value : arrays of shape (run, most)
        Share of the run at which each was logged, and the losses, bounded; then inf.
    ratio : array of shape (run, most)
        log10 of their ratio to the start of the training loss.
    count : array of shape (run,)
        How many they are.
    """

    where: Array
    value: Array
    ratio: Array
    count: Count


def measure_traits(
    loss: Losses, start: Array, smooth: Array, val: Losses | None, flat: tuple[Flat, Flat, Flat]
) -> Array:
    """Measure runs; a run does not depend on its neighbours.

    Parameters
    ----------
    loss : Losses
        Training losses.
    start : array of shape (run, any)
        First their levels at the start.
    smooth : array of shape (run, most)
        Their ratios without noise: see `smoothed`.
    val : Losses or None
        Validation losses.
    flat : tuple of Flat
        Training loss, gradient norm and learning rate as logged.

    Returns
    -------
    array of shape (run, trait)
        In the order of `TRAITS`, NaN where there is too little to measure.
    """
    from .compiled import traits

    out, ratio, count = np.full((len(start), len(TRAITS)), np.nan), loss.ratio, loss.count
    if loss.ratio.shape[1] < 3:
        return out
    traits.levels(loss.value, np.sort(loss.value, axis=1), count, start, _part(out, "log_end"))
    ordered = _ordered(ratio, count)
    change = _course(ratio, smooth, count, _part(out, f"loss_{_OF_CURVE[0]}"))
    traits.jump(ratio, ordered, count, change, _part(out, "jump"))
    _decay(10.0**ratio, ordered, count, _part(out, "decay_exp_rest"))
    traits.fallen(10.0**smooth, count, np.array(_FALLEN), _part(out, f"fallen_{_FALLEN[0]}"))
    logged, norm, lr = flat
    if norm.most >= 4:
        _grad_norm(norm, logged, loss, out)
    if val is not None and val.ratio.shape[1] >= 3:
        traits.validation(
            val.where,
            val.value,
            val.ratio,
            _changes(val.ratio, val.count),
            val.count,
            loss.where,
            smooth,
            count,
            out[:, TRAITS.index("loss_noise")],
            _part(out, "val_noise"),
        )
    if lr.most >= 3:
        shares, of_rate = np.array(_RATE_SHARES), _part(out, "lr_end")
        traits.rate(lr.value, lr.begin, logged.value, logged.begin, smooth, count, shares, of_rate)
    out[(count < 3)[:, None] | ~np.isfinite(out)] = np.nan
    return out


def _part(out: Array, first: str) -> Array:
    """Return the columns from the one of this name on."""
    return out[:, TRAITS.index(first) :]


def smoothed(ratio: Array, count: Count) -> Array:
    """Take the level around each of so many points, (run, most)."""
    from .compiled import curves

    out = np.zeros(ratio.shape)
    curves.running_median(ratio, count, count // 20 + 3, out)
    return out


def _ordered(values: Array, count: Count) -> Array:
    """Put so many values of each row in order, (run, most), and inf after them."""
    if (count == values.shape[1]).all():
        return np.sort(values, axis=1)
    return np.sort(np.where(np.arange(values.shape[1]) < count[:, None], values, np.inf), axis=1)


def _changes(values: Array, count: Count) -> Array:
    """Put the changes from one to the next of so many values in order, (run, most - 1)."""
    return _ordered(values[:, 1:] - values[:, :-1], count - 1)


def _alike(count: Count, least: int) -> Iterator[tuple[int, Count]]:
    """Yield each number of points from the least on, and which runs have so many."""
    for n in np.unique(count[count >= least]).tolist():
        yield n, np.flatnonzero(count == n)


def _course(y: Array, smooth: Array, count: Count, out: Array) -> Array:
    """Fill in noise, spikes, periods and the final slope of logarithmic curves, (run, most).

    Returns the changes from point to point, in order.
    """
    from .compiled import traits

    runs, most = y.shape
    third = max(2, most // 3)
    parts = [np.empty((runs, n)) for n in (most, most - 1, third, third)]
    residual, change, early, late = parts
    traits.differences(y, smooth, count, residual, change, early, late)
    for part in parts:
        part.sort(axis=1)
    traits.course(y, smooth, count, residual, change, early, late, out)
    for n, members in _alike(count, 6):
        _periods(y, n, members, out[:, _OF_CURVE.index("peak_share") :])
    return change


@lru_cache(maxsize=8)
def _slow(n: int) -> Array:
    """Return orthonormal polynomials up to the fourth degree, (5, n)."""
    t = np.linspace(-1, 1, n)
    found = [np.full(n, n**-0.5)]
    while len(found) < 5:
        further = t * found[-1]
        for other in found[-2:]:
            further = further - (further @ other) * other
        found.append(further / np.sqrt(further @ further))
    return np.stack(found)


def _periods(y: Array, n: int, members: Count, out: Array) -> None:
    """Look for swings of one period in what a slow trend leaves, past the first fifth."""
    from .compiled import traits

    m = n - n // 5
    if m < 8:
        return
    rest, windowed = np.empty((len(members), m)), np.empty((len(members), m))
    traits.detrend(y, members, _slow(n), _window(m), rest, windowed)
    spectrum = np.fft.rfft(windowed, axis=1).view(np.float64)
    width = 2 ** int(2 * m - 1).bit_length()  # no lag meets the other end
    wide = np.fft.rfft(rest, width, axis=1)
    wide *= wide.conj()
    traits.periods(rest, members, spectrum, np.fft.irfft(wide, axis=1), out)


@lru_cache(maxsize=8)
def _window(n: int) -> Array:
    return np.hanning(n)


@lru_cache(maxsize=8)
def _decays(n: int) -> tuple[Array, Array, Array, Array]:
    """Return of each decay and rate the sum of squares, the curve less its mean, and that.

    Shapes: (decay, rate), (rate,) for the grid of rates, (decay, rate, n), (decay, rate).
    """
    rates, t = np.logspace(-0.5, 2.5, 16), np.arange(n) / (n - 1)
    curves = np.stack([decay(rates[:, None], t) for decay in _DECAYS.values()])
    means = curves.mean(2)
    shapes = curves - means[:, :, None]
    return np.vecdot(shapes, shapes), rates, shapes, means


def _decay(level: Array, ordered: Array, count: Count, out: Array) -> None:
    """Fit floor + height * decay(rate * t) by least squares over a grid of rates."""
    from .compiled import traits

    for n, members in _alike(count, 6):
        traits.decay(level, ordered, members, *_decays(n), out)
    at, names = 4 * len(_DECAYS), list(_DECAYS)
    exp, power = (4 * names.index(name) for name in ("exp", "pow"))
    out[:, at] = out[:, power] - out[:, exp]


def _grad_norm(norm: Flat, logged: Flat, loss: Losses, out: Array) -> None:
    """Measure the gradient norm, alone and beside the loss where each point has both."""
    from .compiled import traits

    shape = len(out), norm.most
    size, loss_size, other = np.empty(shape), np.empty(shape), np.empty(shape)
    counts = np.empty((len(out), 2), np.int64)
    traits.pairs(
        norm.value,
        norm.begin,
        logged.value,
        logged.begin,
        loss.ratio,
        size,
        loss_size,
        other,
        counts,
    )
    y, count = np.clip(np.log10(size), -10, 10), np.ascontiguousarray(counts[:, 0])
    smooth = smoothed(y, count)
    _course(y, smooth, count, _part(out, f"grad_norm_{_OF_CURVE[0]}"))
    traits.norms(y, _ordered(y, count), count, _part(out, "grad_norm_start"))
    if counts[:, 1].max(initial=0) >= 4:
        other_smooth = smoothed(other, np.ascontiguousarray(counts[:, 1]))
        traits.norms_beside_loss(
            y,
            smooth,
            np.log10(loss_size),
            other,
            other_smooth,
            counts,
            _part(out, "grad_norm_per_loss_start"),
        )
