"""The slow, obvious twin of `curvet.traits`: one run and one number at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from curvet.roles import Channels
from curvet.run import Curve
from curvet.traits import TRAITS

Array = NDArray[np.float64]

_DECAYS: Mapping[str, Callable[[Array, Array], Array]] = {
    "exp": lambda k, t: np.exp(-k * t),
    "pow": lambda k, t: 1 / np.sqrt(1 + 4 * k * t),
    "inv": lambda k, t: 1 / (1 + 3 * k * t),
}
_FALLEN = (0.25, 0.5, 0.75, 0.9, 0.97)
_RATE_SHARES = (0.05, 0.2, 0.5, 0.8)


def measure_traits(
    channels: Channels, loss: Array, start: float, where_val: Array, ratio: Array, ratio_val: Array
) -> dict[str, float]:
    """Measure a run.

    Parameters
    ----------
    channels : Channels
        Of the run.
    loss : array of shape (n,)
        Training loss, bounded; may hold non-finite values.
    start : float
        Level of the loss at its start.
    where_val : array of shape (m,)
        Share of the run at which each finite validation loss was logged.
    ratio, ratio_val : arrays of shape (finite values of loss,) and (m,)
        Finite losses as log10 of their ratio to the start.

    Returns
    -------
    dict
        By the names in `TRAITS`, NaN where there is too little to measure.
    """
    found = dict.fromkeys(TRAITS, np.nan)
    if len(ratio) < 3:
        return found
    with np.errstate(all="ignore"):
        finite = np.isfinite(loss)
        smooth = _smooth(ratio)
        found |= _levels(loss[finite], start)
        found |= {f"loss_{k}": v for k, v in _curve(ratio, smooth).items()}
        found |= _decay(np.clip(10.0**ratio, 0, 20))
        found |= _fallen(smooth)
        found |= _jump(ratio)
        if channels.grad_norm is not None:
            found |= _grad_norm(channels.grad_norm.value, loss, ratio)
        if channels.val is not None and len(ratio_val) >= 3:
            values = channels.val.value
            found["val_log_end"] = _level(values[np.isfinite(values)][-1])
            below = np.interp(where_val, np.flatnonzero(finite) / max(1, len(loss) - 1), smooth)
            found |= _validation(ratio_val, below, found["loss_noise"])
        if channels.lr is not None and len(channels.lr) == len(loss):
            found |= _rate(channels.lr, finite, smooth)
    return {k: float(v) if np.isfinite(v) else np.nan for k, v in found.items()}


def _levels(value: Array, start: float) -> dict[str, float]:
    end = np.median(value[-max(1, len(value) // 20) :])
    return {
        "log_end": _level(end),
        "log_low": _level(np.quantile(value, 0.02)),
        "log_max": _level(value.max()),
        "first_over_start": float(np.clip(_log(value[0] / start), -4, 4)),
    }


def _smooth(y: Array) -> Array:
    return running_median(y, len(y) // 20 + 3)


def _curve(y: Array, smooth: Array) -> dict[str, float]:
    """Measure noise, spikes, periods and the final slope of one logarithmic curve, (n,)."""
    n = len(y)
    if n < 6:
        return {}
    residual, change = y - smooth, np.diff(y)
    third = max(2, n // 3)
    noise = noise_level(change) / np.sqrt(2)
    early, late = _log(_spread(change[:third])), _log(_spread(change[-third:]))
    drop = max(y[0], smooth[: max(1, n // 30)].max()) - smooth.min()
    q01, q05, q25, q50, q75, q95, q99 = np.quantile(
        residual, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    )
    spike = residual > max(6 * noise, 0.02)
    z = (residual - residual.mean()) / residual.std()
    found = {
        "noise": _log(noise),
        "noise_early": early,
        "noise_late": late,
        "noise_growth": late - early,
        "noise_per_drop": late - _log(drop),
        "tail": _log((q99 - q01) / (q75 - q25)),
        "skew": (q95 + q05 - 2 * q50) / (q95 - q05),
        "spike_up": _log(residual.max() / max(noise, 1e-4)),
        "spike_down": _log(-residual.min() / max(noise, 1e-4)),
        "spike_at": residual.argmax() / n,
        "n_spikes": (~spike[:-1] & spike[1:]).sum(),
        "spike_share": spike.mean(),
        "residual_lag_1": (z[1:] * z[:-1]).mean(),
        "residual_lag_2": (z[2:] * z[:-2]).mean(),
    }
    for share in (25, 50):
        x = np.linspace(0, 1, max(4, n * share // 100))
        offset, slope = np.polynomial.polynomial.polyfit(x, y[-len(x) :], 1)
        error = max((y[-len(x) :] - offset - slope * x).std(), 1e-4) * np.sqrt(12 / len(x))
        found[f"end_slope_{share}"] = slope
        found[f"end_t_{share}"] = np.clip(slope / error, -1e3, 1e3)
    return found | _periods(y)


def _periods(y: Array) -> dict[str, float]:
    """Look for swings of one period in what a slow trend leaves, past the first fifth."""
    n = len(y)
    t = np.arange(n)
    rest = (y - np.polynomial.Polynomial.fit(t, y, min(4, n - 2))(t))[n // 5 :]
    m = len(rest)
    if m < 8:
        return {}
    rest = rest - rest.mean()
    power = np.square(np.abs(np.fft.rfft(rest * np.hanning(m))))[2:]
    peak, share = int(power.argmax()), power / power.sum()
    alike = np.fft.irfft(np.square(np.abs(np.fft.rfft(rest, 2 * m))))[:m]
    alike = alike / max(np.square(rest).sum(), 1e-30)
    faded, negative = np.flatnonzero(alike < 1 / np.e), np.flatnonzero(alike < 0)
    again = len(negative) > 0 and negative[0] < m // 2
    return {
        "peak_share": share[max(0, peak - 1) : peak + 2].sum(),
        "peak_frequency": np.log10((peak + 2) / m),
        "peak_cycles": np.log10(peak + 2),
        "spectral_entropy": -(share * np.log(share + 1e-12)).sum() / np.log(len(share) + 1),
        "correlation_time": (faded[0] if len(faded) else m) / m,
        "correlation_peak": alike[negative[0] : m // 2 + 1].max() if again else 0.0,
    }


def _decay(level: Array) -> dict[str, float]:
    """Fit floor + height * decay(rate * t) by least squares over a grid of rates."""
    n = len(level)
    if n < 6:
        return {}
    low, high = np.quantile(level, [0.02, 0.98])
    margin = 0.2 * (high - low)
    level = np.clip(level, low - margin, high + margin)
    centred = level - level.mean()
    rates, t = np.logspace(-0.5, 2.5, 16), np.arange(n) / (n - 1)
    found: dict[str, float] = {}
    for name, decay in _DECAYS.items():
        curves = decay(rates[:, None], t)
        shape = curves - curves.mean(1, keepdims=True)
        height = (shape @ centred) / np.square(shape).sum(1)
        errors = np.square(centred - height[:, None] * shape).sum(1)
        best = int(errors.argmin())
        floor = level.mean() - height[best] * curves[best].mean()
        left = np.median(level[-max(1, n // 20) :]) - floor
        found |= {
            f"decay_{name}_rest": _log(errors[best] / np.square(centred).sum()),
            f"decay_{name}_rate": np.log10(rates[best]),
            f"decay_{name}_floor": np.clip(floor, -5, 5),
            f"decay_{name}_left": np.clip(left / max(abs(height[best]), 1e-6), -5, 5),
        }
    found["decay_pow_over_exp"] = found["decay_pow_rest"] - found["decay_exp_rest"]
    return found


def _fallen(smooth: Array) -> dict[str, float]:
    """Time, as log10 of a share of the run, by which the loss has made a share of its fall."""
    level = 10.0**smooth
    fall = level[0] - level.min()
    if fall <= 0:
        return {}
    first = {share: int((level <= level[0] - share * fall).argmax()) for share in _FALLEN}
    return {f"fallen_{share}": np.log10((i + 1) / len(level)) for share, i in first.items()}


def _jump(y: Array) -> dict[str, float]:
    """Measure the largest rise from one point to the next, and what is left of it later."""
    n, change = len(y), np.diff(y)
    if n < 5:
        return {}
    at, few = int(change.argmax()), max(2, n // 20)
    before = y[max(0, at - 10) : at + 1]
    level = np.median(y[max(0, at - few) : at + 1])
    height = y[at + 1] - level
    second, first = np.sort(change)[-2:]
    found = {
        "jump": height,
        "jump_at": at / n,
        "jump_per_noise": _log(height / max(_spread(change), 1e-4)),
        "jump_second": second / max(first, 1e-6),
        "jump_slope_before": _slope(np.arange(len(before), dtype=float), before)
        if at >= 3
        else np.nan,
        "end_over_low": np.median(y[-max(1, n // 20) :]) - np.quantile(y, 0.02),
        "up_share": (change > 0).mean(),
        "up_share_late": (change[-max(3, n // 3) :] > 0).mean(),
        "last_5": y[-1] - y[-min(5, n)],
        "last_20": y[-1] - y[-min(20, n)],
    }
    for part in (20, 8):
        later = at + 1 + n // part
        if later < n:
            kept = np.median(y[later : later + few]) - level
            found[f"jump_kept_{part}"] = kept / max(height, 0.01)
    return found


def _grad_norm(norm: Array, loss: Array, ratio: Array) -> dict[str, float]:
    """Measure the gradient norm, alone and beside the loss where each point has both."""
    paired = len(norm) == len(loss)
    good = np.isfinite(norm) & np.isfinite(loss) if paired else np.isfinite(norm)
    y = np.clip(np.log10(np.abs(norm[good]) + 1e-10), -10, 10)
    n, few = len(y), max(1, len(y) // 20)
    if n < 4:
        return {}
    start, middle, end = np.median(y[:few]), np.median(y), np.median(y[-few:])
    smooth = _smooth(y)
    found = _curve(y, smooth) | {
        "start": start,
        "end": end,
        "change": end - start,
        "max": y.max() - middle,
        "max_at": y.argmax() / n,
        "max_early": y[: max(1, n // 5)].max() - middle,
        "last_5": y[-1] - y[-min(5, n)],
    }
    if paired:
        other = ratio[good[np.isfinite(loss)]]
        per_loss = y - np.log10(np.maximum(np.abs(loss[good]), 1e-12))
        for name, at in (("start", 0), ("middle", n // 2), ("end", n - few)):
            value = np.median(per_loss[at : at + few])
            found[f"per_loss_{name}"] = np.clip(value, -12, 12)
        rest, other_rest = y - smooth, other - _smooth(other)
        if other.std() > 1e-6:
            found["loss_slope"] = np.clip(_slope(other, y), -10, 10)
            found["loss_correlation"] = _correlation(other, y)
        found["residual_correlation"] = _correlation(other_rest, rest)
        if n > 6:
            found["residual_leads"] = _correlation(rest[:-1], other_rest[1:])
            found["residual_lags"] = _correlation(rest[1:], other_rest[:-1])
    return {f"grad_norm_{name}": value for name, value in found.items()}


def _validation(y: Array, below: Array, loss_noise: float) -> dict[str, float]:
    """Set validation beside the smoothed training loss at the same times, both (m,)."""
    m, gap = len(y), y - below
    noise = noise_level(np.diff(y)) / np.sqrt(2)
    rise = np.median(y[-max(1, m // 10) :]) - y.min()
    level, level_below = 10.0**y, 10.0**below
    early, late = gap[: max(1, m // 5)].mean(), gap[-max(1, m // 3) :].mean()
    found = {
        "noise": _log(noise),
        "noise_over_loss": _log(noise) - loss_noise,
        "rise": rise,
        "rise_per_noise": _log(rise / max(noise, 1e-3)),
        "drop": y[0] - y.min(),
        "drop_share": _share(y[0] - y[-1], below[0] - below[-1]),
        "drop_share_linear": _share(level[0] - level[-1], level_below[0] - level_below[-1]),
        "gap_early": early,
        "gap_late": late,
        "gap_growth": late - early,
        "gap_end_linear": np.clip(level[-1] - level_below[-1], -10, 50),
        "gap_spread": _log(gap.std()),
        "gap_negative": (gap < 0).mean(),
    }
    if m >= 4:
        half = max(2, m // 2)
        x = np.linspace(0, 1, half)
        slope, slope_below = _slope(x, y[-half:]), _slope(x, below[-half:])
        found |= {
            "correlation": _correlation(y, below),
            "correlation_late": _correlation(y[-half:], below[-half:]),
            "slope_late": slope,
            "loss_slope_late": slope_below,
            "slope_gap": slope - slope_below,
        }
    return {f"val_{name}": value for name, value in found.items()}


def _rate(lr: Curve, finite: NDArray[np.bool_], smooth: Array) -> dict[str, float]:
    """Measure the schedule, and the loss after shares of the sum of all rates."""
    rate = np.where(np.isfinite(lr.value), lr.value, 0.0)
    good = np.isfinite(lr.value) & (lr.value >= 0)
    if good.sum() < 3 or rate[good].max() <= 0:
        return {}
    share = rate[good] / rate[good].max()
    spent = np.cumsum(np.maximum(rate, 0.0))
    half = np.searchsorted(np.cumsum(share) / share.sum(), 0.5)
    return {
        "lr_end": share[-1],
        "lr_mean": share.mean(),
        "lr_max_at": share.argmax() / len(share),
        "lr_half_at": half / len(share),
        **{
            f"lr_loss_at_{at}": np.interp(at, spent[finite] / spent[-1], smooth)
            for at in _RATE_SHARES
        },
    }


def _spread(y: Array) -> float:
    return float(np.median(np.abs(y - np.median(y))))


def _log(value: float) -> float:
    """log10 of the magnitude, at least -8."""
    return float(np.log10(max(abs(value), 1e-8)))


def _level(value: float) -> float:
    """log10 of a loss, within -4 to 8."""
    return float(np.clip(_log(value), -4, 8))


def _slope(x: Array, y: Array) -> float:
    """Slope of the least-squares line."""
    x = x - x.mean()
    return float(x @ y / (x @ x))


def _share(part: float, whole: float) -> float:
    return float(np.clip(part / max(whole, 0.01), -10, 10))


def _correlation(a: Array, b: Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def running_median(values: Array, width: int) -> Array:
    """Take the median around each value; of wide windows every few neighbours."""
    half = min(width // 2, len(values) - 1)
    if half < 1:
        return values
    padded = np.pad(values, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    windows = windows[:, half % max(1, half // 64) :: max(1, half // 64)]
    return np.asarray(np.median(windows, axis=1), np.float64)


def noise_level(residuals: Array) -> float:
    return 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
