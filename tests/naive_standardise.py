"""The slow, obvious twin of `curvet.standardise`: one run at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvet.roles import Channels
from curvet.run import Curve
from curvet.standardise import IMAGE_CHANNELS, N_STEPS, Standardised

from .naive_traits import measure_traits, running_median

Array = NDArray[np.float64]


def standardise(channels: Channels) -> Standardised:
    """Put the channels of one run on a common footing.

    Parameters
    ----------
    channels : Channels
        Training loss with any number of points, in the order written.

    Returns
    -------
    Standardised
        Losses as log10 of their ratio to the start of the training loss, within -4 to 4;
        gradient norms as log10, within -10 to 10; the rate as log10 of its share of the highest.
    """
    loss = _bounded(channels.loss)
    finite = np.isfinite(loss.value)
    where = _progress(len(loss))
    start, floor = _start_and_floor(loss.value[finite])
    series: dict[str, Array] = {}
    rewound = np.diff(loss.step, prepend=loss.step[:1]) < 0
    rows: dict[str, Array] = {
        "nonfinite": _bin_max((~finite).astype(float)),
        "rewound": _bin_max(rewound.astype(float)),
    }
    if finite.any():
        ratio = _log_ratio(loss.value[finite], start, floor)
        x, y = _bins(where[finite], ratio)
        series["loss"] = y
        series["shape"] = _shape(y)
        series["noise"] = _noise(ratio)
        rows["loss"] = _on_grid(x, y) / 2
        rows["shape"] = _on_grid(x, series["shape"])
        rows["noise"] = _on_grid(_progress(len(series["noise"])), series["noise"]) * 2
    if channels.val is not None:
        _add_validation(series, rows, loss, _bounded(channels.val), start, floor)
    if channels.grad_norm is not None:
        _add_grad_norm(series, rows, channels.grad_norm)
    if channels.lr is not None:
        _add_lr(series, rows, channels.lr)
    scalars = _scalars(channels, loss.value, finite, start)
    scalars |= _traits(channels, loss, start, floor)
    for row, name, unit in _CONSTANT_ROWS:
        rows[row] = np.full(N_STEPS, scalars[name] / unit)
    image = np.zeros((len(IMAGE_CHANNELS), N_STEPS), np.float32)
    for i, name in enumerate(IMAGE_CHANNELS):
        if name in rows:
            image[i] = rows[name]
        elif name.startswith("has_") and name[4:] in series:
            image[i] = 1.0
    return Standardised(series, scalars, image)


def _add_validation(
    series: dict[str, Array],
    rows: dict[str, Array],
    loss: Curve,
    val: Curve,
    start: float,
    floor: float,
) -> None:
    finite = np.isfinite(val.value)
    if not finite.any() or not np.isfinite(loss.value).any():
        return
    at = _val_progress(loss, val)[finite]
    x, y = _bins(at, _log_ratio(val.value[finite], start, floor))
    good = np.isfinite(loss.value)
    below = np.interp(
        x, _progress(len(loss))[good], _smooth(_log_ratio(loss.value[good], start, floor))
    )
    series["val"], series["val_shape"] = y, _shape(y)
    series["gap"] = y - below
    rows["val"] = _on_grid(x, y) / 2
    rows["gap"] = _on_grid(x, series["gap"])


def _add_grad_norm(series: dict[str, Array], rows: dict[str, Array], norm: Curve) -> None:
    finite = np.isfinite(norm.value)
    if not finite.any():
        return
    logs = np.clip(np.log10(np.abs(norm.value[finite]) + 1e-10), -10, 10)
    x, y = _bins(_progress(len(norm))[finite], logs)
    rows["grad_nonfinite"] = _bin_max((~finite).astype(float))
    series["grad_norm"], series["grad_shape"] = y, y - np.median(y)
    rows["grad_norm"] = _on_grid(x, y) / 4
    rows["grad_shape"] = _on_grid(x, series["grad_shape"]) / 2


def _add_lr(series: dict[str, Array], rows: dict[str, Array], lr: Curve) -> None:
    good = np.isfinite(lr.value) & (lr.value >= 0)
    if not good.any() or lr.value[good].max() <= 0:
        return
    share = np.log10(np.clip(lr.value[good] / lr.value[good].max(), 1e-4, 1))
    x, y = _bins(_progress(len(lr))[good], share)
    series["lr"] = y
    rows["lr"] = _on_grid(x, y) / 4


def _scalars(
    channels: Channels, value: Array, finite: NDArray[np.bool_], start: float
) -> dict[str, float]:
    n = len(finite)
    bad = np.flatnonzero(~finite)
    val, norm = channels.val, channels.grad_norm
    changed = np.abs(np.diff(value[finite])) > 0
    step = channels.loss.step
    between = np.diff(step)
    return {
        "decimals": _decimals(value[finite]),
        "counts_epochs": float(n <= 400 and n > 1 and float(np.median(between)) == 1.0),
        "fractions": float(np.any(step != np.round(step))),
        "rewound_share": float(np.mean(between < 0)) if len(between) else 0.0,
        "repeated_share": float(np.mean(between == 0)) if len(between) else 0.0,
        "val_share": float(np.log10(max(1, len(val)) / max(1, n))) if val is not None else np.nan,
        "log_points": float(np.log10(max(1, n))),
        "log_start": float(np.clip(np.log10(max(abs(start), 1e-12)), -4, 8)),
        "nonfinite_share": float(len(bad) / max(1, n)),
        "first_nonfinite": float(bad[0] / n) if len(bad) else 1.0,
        "ends_nonfinite": float(n > 0 and not finite[-1]),
        "negative_share": float(np.mean(value[finite] < 0)) if finite.any() else 0.0,
        "changed_share": float(changed.mean()) if len(changed) else np.nan,
        "val_log_points": float(np.log10(max(1, len(val)))) if val is not None else np.nan,
        "val_nonfinite_share": (
            float(np.mean(~np.isfinite(val.value))) if val is not None and len(val) else np.nan
        ),
        "grad_norm_nonfinite_share": (
            float(np.mean(~np.isfinite(norm.value))) if norm is not None and len(norm) else np.nan
        ),
    }


def _traits(channels: Channels, loss: Curve, start: float, floor: float) -> dict[str, float]:
    where, ratio_val = np.empty(0), np.empty(0)
    if channels.val is not None:
        val = _bounded(channels.val)
        finite = np.isfinite(val.value)
        if finite.any():
            where = _val_progress(loss, val)[finite]
            ratio_val = _log_ratio(val.value[finite], start, floor)
    ratio = _log_ratio(loss.value[np.isfinite(loss.value)], start, floor)
    return measure_traits(channels, loss.value, start, where, ratio, ratio_val)


_CONSTANT_ROWS = (
    ("length", "log_points", 3.0),
    ("level", "log_start", 3.0),
    ("decimals", "decimals", 8.0),
    ("counts_epochs", "counts_epochs", 1.0),
)
"""Row of the image, the scalar that it holds, and what that is divided by."""


def _decimals(values: Array) -> float:
    """Count the decimals that were logged, 8 at most: rounding tells a tracker's format."""
    small = values[np.abs(values) < 1e6][:400]
    for digits in range(8):
        if float(np.abs(small - small.round(digits)).max(initial=0.0)) < 1e-9:
            return float(digits)
    return 8.0


def _bounded(curve: Curve) -> Curve:
    """Keep finite values where sums and ratios of them are finite, too."""
    finite = np.isfinite(curve.value)
    clipped = np.where(finite, np.clip(curve.value, -1e150, 1e150), curve.value)
    return Curve(curve.tag, curve.step, clipped)


def _progress(n: int) -> Array:
    """Share of the run that has passed at each of n points: 0 to 1."""
    return np.arange(n) / max(1, n - 1)


def _val_progress(loss: Curve, val: Curve) -> Array:
    """Place validation points within the run: by step where both count alike, else by index."""
    low, high = loss.step.min(), loss.step.max()
    alike = high > low and 0.5 * (high - low) <= val.step.max() - low <= 1.2 * (high - low)
    if alike and (np.diff(loss.step) >= 0).all():
        return np.interp(val.step, loss.step, _progress(len(loss)))
    return (np.arange(len(val)) + 1) / len(val)


def _start_and_floor(values: Array) -> tuple[float, float]:
    """Level at the start, and what to add so that logarithms exist (negative losses)."""
    if len(values) == 0:
        return 1.0, 0.0
    first = values[: max(1, round(0.03 * len(values)))]
    start, low = float(np.median(first)), float(values.min())
    if low > 0:
        return start, 0.0
    shift = -low + 0.01 * max(start - low, abs(start), 1e-12)
    return start + shift, shift


def _log_ratio(values: Array, start: float, floor: float) -> Array:
    with np.errstate(over="ignore"):
        return np.clip(np.log10(np.maximum((values + floor) / start, 1e-12)), -4, 4)


def _shape(y: Array) -> Array:
    """Scale from the lowest value (0) to the first (1), within -1 to 4."""
    low = float(y.min())
    first = float(np.median(y[: max(1, round(0.03 * len(y)))]))
    return np.asarray(np.clip((y - low) / max(first - low, 0.02), -1, 4))


def _noise(y: Array) -> Array:
    """Distance from the running median, largest in each bin."""
    return _bin_max(np.abs(y - running_median(y, 2 * (len(y) // 40) + 3)), grid=False)


def _smooth(y: Array) -> Array:
    width = max(1, len(y) // 40)
    if width == 1:
        return y
    padded = np.pad(y, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")


def _bins(x: Array, y: Array) -> tuple[Array, Array]:
    """Average neighbours so that at most N_STEPS points are left."""
    if len(y) <= N_STEPS:
        return x, y
    edges = np.linspace(0, len(y), N_STEPS + 1).astype(int)
    counts = np.diff(edges)
    return np.add.reduceat(x, edges[:-1]) / counts, np.add.reduceat(y, edges[:-1]) / counts


def _bin_max(y: Array, grid: bool = True) -> Array:
    """Keep the largest of each bin; short series are stretched to the grid, or left alone."""
    if len(y) > N_STEPS:
        edges = np.linspace(0, len(y), N_STEPS + 1).astype(int)
        return np.asarray(np.maximum.reduceat(y, edges[:-1]))
    if not grid or len(y) == 0:
        return y if len(y) else np.zeros(N_STEPS)
    return np.asarray(y[np.linspace(0, len(y) - 1, N_STEPS).round().astype(int)])


def _on_grid(x: Array, y: Array) -> Array:
    return np.asarray(np.interp(_progress(N_STEPS), x, y), np.float64)
