"""Channels of runs -> unitless series of bounded length, and one array for the CNN.

Losses come in any unit, at any length and with any gaps. Both classifiers see them as
logarithms of ratios to the run's own start, over the fraction of the run that has passed.

Runs of one shape (as many points, as many of them finite, in the same channels) are put into
arrays with a row for each, and go through all steps together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .robust import count, interpolate, median, running_median
from .roles import Channels
from .run import Curve
from .traits import TRAITS, Measured, Validation, measure_traits, select, smoothed

N_STEPS = 256
"""Grid points; longer series are averaged in as many bins."""

MIN_POINTS = 5
"""Points of training loss below which there is nothing to be read from a shape."""

IMAGE_CHANNELS = (
    "loss",
    "shape",
    "noise",
    "nonfinite",
    "rewound",
    "val",
    "gap",
    "grad_norm",
    "grad_shape",
    "grad_nonfinite",
    "lr",
    "has_val",
    "has_grad_norm",
    "has_lr",
    "length",
    "level",
    "decimals",
    "counts_epochs",
)
"""Rows of the CNN's input; the last four, one number each, say how the run was logged."""

OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "val": ("val", "gap", "val_shape"),
    "grad_norm": ("grad_norm", "grad_shape", "grad_nonfinite"),
    "lr": ("lr",),
}
"""Series that are there only if the run logged the channel."""

SCALARS = (
    "log_points",
    "log_start",
    "nonfinite_share",
    "first_nonfinite",
    "ends_nonfinite",
    "negative_share",
    "changed_share",
    "decimals",
    "counts_epochs",
    "fractions",
    "rewound_share",
    "repeated_share",
    "val_share",
    "val_log_points",
    "val_nonfinite_share",
    "grad_norm_nonfinite_share",
    *TRAITS,
)
"""Numbers of a run that no series shows."""

_BLOCK = (
    2**15
)  # points that are looked at together: they and what is made of them stay in the cache

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Standardised:
    """One run, ready for the classifiers.

    Parameters
    ----------
    series : mapping of name to array of shape (at most N_STEPS,)
        Finite values only.
    scalars : mapping of name to float
        Counts, shares and the numbers of `traits`; NaN where they do not apply.
    image : array of shape (len(IMAGE_CHANNELS), N_STEPS), float32
        The same on a common grid.
    """

    series: Mapping[str, Array]
    scalars: Mapping[str, float]
    image: NDArray[np.float32]


def standardise(channels: Channels) -> Standardised:
    """Put the channels of one run on a common footing; see `standardise_many`."""
    return standardise_many([channels])[0]


def standardise_many(runs: Sequence[Channels]) -> list[Standardised]:
    """Put the channels of runs on a common footing; a run does not depend on its neighbours.

    Parameters
    ----------
    runs : sequence of Channels
        Training losses with any number of points, in the order written.

    Returns
    -------
    list of Standardised
        In the same order. Losses as log10 of their ratio to the start of the training loss,
        within -4 to 4; gradient norms as log10, within -10 to 10; the rate as log10 of its share
        of the highest.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, channels in enumerate(runs):
        groups.setdefault(_form(channels), []).append(place)
    out: dict[int, Standardised] = {}
    for form, places in groups.items():
        size = max(1, _BLOCK // max(1, *form))
        for begin in range(0, len(places), size):
            some = places[begin : begin + size]
            out.update(zip(some, _standardise([runs[i] for i in some]), strict=True))
    return [out[place] for place in range(len(runs))]


def _form(channels: Channels) -> tuple[int, ...]:
    """Count what has to agree between runs that go into the same arrays."""
    loss, val, norm, lr = channels.loss, channels.val, channels.grad_norm, channels.lr
    finite = np.isfinite(loss.value)
    form = [len(loss), int(finite.sum())]
    form += [-1, -1] if val is None else [len(val), int(np.isfinite(val.value).sum())]
    if norm is None:
        form += [-1, -1, -1]
    else:
        known = np.isfinite(norm.value)
        both = known & finite if len(norm) == len(loss) else known
        form += [len(norm), int(known.sum()), int(both.sum())]
    form += [-1, -1] if lr is None else [len(lr), int(_usable_rate(lr.value).sum())]
    return tuple(form)


@dataclass(slots=True, eq=False)
class _Made:
    """What becomes of runs of one form: names -> arrays with a row for each run."""

    series: dict[str, Array] = field(default_factory=dict)
    rows: dict[str, Array] = field(default_factory=dict)


def _standardise(runs: Sequence[Channels]) -> list[Standardised]:
    """Standardise runs of one form."""
    loss, made = _Curves.of([run.loss for run in runs]).bounded(), _Made()
    val = _Curves.of([run.val for run in runs if run.val is not None])
    norm = _Curves.of([run.grad_norm for run in runs if run.grad_norm is not None])
    lr = _Curves.of([run.lr for run in runs if run.lr is not None])
    value = select(loss.value, loss.finite)  # (run, k)
    start, floor = _start_and_floor(value)
    ratio = _log_ratio(value, start, floor)
    smooth = smoothed(ratio) if ratio.shape[1] else ratio
    made.rows["nonfinite"] = _bin_max((~loss.finite).astype(float))
    made.rows["rewound"] = _bin_max(np.diff(loss.step, prepend=loss.step[:, :1], axis=1) < 0)
    if ratio.shape[1]:
        _add_loss(made, loss, ratio, smooth)
    validation = None
    if val.finite.any():
        where = select(_val_progress(loss, val), val.finite)
        values = select(val.bounded().value, val.finite)
        validation = Validation(where, values, _log_ratio(values, start, floor))
        if ratio.shape[1]:
            _add_validation(made, loss, ratio, validation)
    if norm.finite.any():
        _add_grad_norm(made, norm)
    if len(lr.value):
        _add_lr(made, lr)
    measured = Measured(
        loss.value,
        loss.finite,
        start,
        ratio,
        smooth,
        validation,
        norm.value if len(norm.value) else None,
        lr.value if len(lr.value) else None,
    )
    scalars = np.concatenate(
        [_scalars(loss, value, start, val, norm), measure_traits(measured)], axis=1
    )
    return _split(made, scalars)


def _split(made: _Made, scalars: Array) -> list[Standardised]:
    """Give each run its own."""
    for row, name, unit in _CONSTANT_ROWS:
        made.rows[row] = scalars[:, SCALARS.index(name), None] / unit
    image = np.zeros((len(scalars), len(IMAGE_CHANNELS), N_STEPS), np.float32)
    for i, name in enumerate(IMAGE_CHANNELS):
        if name in made.rows:
            image[:, i] = made.rows[name]
        elif name.startswith("has_") and name[4:] in made.series:
            image[:, i] = 1.0
    has_lr = IMAGE_CHANNELS.index("has_lr")
    out = []
    for run, numbers in enumerate(scalars.tolist()):
        series = {name: values[run] for name, values in made.series.items()}
        if "lr" in series and np.isnan(series["lr"][0]):  # no rate above 0
            del series["lr"]
            image[run, [IMAGE_CHANNELS.index("lr"), has_lr]] = 0.0
        out.append(Standardised(series, dict(zip(SCALARS, numbers, strict=True)), image[run]))
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """One channel of several runs, all arrays (run, point)."""

    step: Array
    value: Array
    finite: Mask

    @classmethod
    def of(cls, curves: Sequence[Curve]) -> _Curves:
        if not curves:
            return cls(np.empty((0, 0)), np.empty((0, 0)), np.empty((0, 0), bool))
        value = np.stack([curve.value for curve in curves])
        return cls(np.stack([curve.step for curve in curves]), value, np.isfinite(value))

    @property
    def n(self) -> int:
        return int(self.value.shape[1])

    def bounded(self) -> _Curves:
        """Keep finite values where sums and ratios of them are finite, too."""
        clipped = np.clip(self.value, -1e150, 1e150)
        return _Curves(self.step, np.where(self.finite, clipped, self.value), self.finite)

    def progress(self) -> Array:
        """Share of the run that has passed at each finite point, (run, finite)."""
        return select(np.broadcast_to(_progress(self.n), self.value.shape), self.finite)


def _add_loss(made: _Made, loss: _Curves, ratio: Array, smooth: Array) -> None:
    x, y = _bins(loss.progress(), ratio)
    noise = _noise(ratio, smooth)
    made.series |= {"loss": y, "shape": _shape(y), "noise": noise}
    made.rows["loss"] = _on_grid(x, y) / 2
    made.rows["shape"] = _on_grid(x, made.series["shape"])
    passed = np.broadcast_to(_progress(noise.shape[1]), noise.shape)
    made.rows["noise"] = _on_grid(passed, noise) * 2


def _add_validation(made: _Made, loss: _Curves, ratio: Array, val: Validation) -> None:
    x, y = _bins(val.where, val.ratio)
    gap = y - interpolate(x, loss.progress(), _smooth(ratio))
    made.series |= {"val": y, "val_shape": _shape(y), "gap": gap}
    made.rows["val"] = _on_grid(x, y) / 2
    made.rows["gap"] = _on_grid(x, gap)


def _add_grad_norm(made: _Made, norm: _Curves) -> None:
    logs = np.clip(np.log10(np.abs(select(norm.value, norm.finite)) + 1e-10), -10, 10)
    x, y = _bins(norm.progress(), logs)
    shape = y - median(y)[:, None]
    made.series |= {"grad_norm": y, "grad_shape": shape}
    made.rows["grad_nonfinite"] = _bin_max((~norm.finite).astype(float))
    made.rows["grad_norm"] = _on_grid(x, y) / 4
    made.rows["grad_shape"] = _on_grid(x, shape) / 2


def _add_lr(made: _Made, lr: _Curves) -> None:
    """Add the rate; NaN in runs in which it is never above 0."""
    good = _usable_rate(lr.value)
    rate = select(lr.value, good)
    if not rate.shape[1]:
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.log10(np.clip(rate / rate.max(1, keepdims=True), 1e-4, 1))
    x, y = _bins(_Curves(lr.step, lr.value, good).progress(), share)
    made.series["lr"] = y
    made.rows["lr"] = _on_grid(x, y) / 4


def _usable_rate(lr: Array) -> Mask:
    return np.isfinite(lr) & (lr >= 0)


def _scalars(loss: _Curves, value: Array, start: Array, val: _Curves, norm: _Curves) -> Array:
    """Count and compare, (run, scalar): the first of `SCALARS`."""
    n, k, b = loss.n, value.shape[1], len(start)
    step, bad, nan = loss.step, ~loss.finite, np.full(b, np.nan)
    between = step[:, 1:] - step[:, :-1]
    epochs = np.zeros(b)
    if 1 < n <= 400:
        epochs = (median(between) == 1.0) & np.isfinite(step).all(1)
    changed = value[:, 1:] != value[:, :-1]
    m = max(1, val.n)
    columns = (
        np.log10(max(1, n)),
        np.clip(np.log10(np.maximum(np.abs(start), 1e-12)), -4, 8),
        count(bad) / max(1, n),
        np.where(bad.any(1), bad.argmax(1) / n, 1.0) if n else 1.0,
        bad[:, -1] if n else 0.0,
        count(value < 0) / max(1, k),
        count(changed) / (k - 1) if k > 1 else nan,
        _decimals(value),
        epochs,
        (step != np.round(step)).any(1),
        count(between < 0) / max(1, n - 1),
        count(between == 0) / max(1, n - 1),
        np.log10(m / max(1, n)) if len(val.value) else nan,
        np.log10(m) if len(val.value) else nan,
        count(~val.finite) / val.n if val.n else nan,
        count(~norm.finite) / norm.n if norm.n else nan,
    )
    out = np.empty((b, len(columns)))
    for place, column in enumerate(columns):
        out[:, place] = column
    return out


_CONSTANT_ROWS = (
    ("length", "log_points", 3.0),
    ("level", "log_start", 3.0),
    ("decimals", "decimals", 8.0),
    ("counts_epochs", "counts_epochs", 1.0),
)
"""Row of the image, the scalar that it holds, and what that is divided by."""


def _decimals(values: Array) -> Array:
    """Count the decimals that were logged, 8 at most: rounding tells a tracker's format."""
    small = np.abs(values) < 1e6
    if values.shape[1] > 400:
        small &= np.cumsum(small, axis=1) <= 400
        values, small = values[:, : int(small.any(0).sum())], small[:, : int(small.any(0).sum())]
    values, found = np.where(small, values, 0.0), np.full(len(values), 8.0)
    open_ = np.arange(len(values))
    for digits in range(8):
        rest = values[open_]
        exact = (np.abs(rest - rest.round(digits)) < 1e-9).all(1)
        found[open_[exact]] = digits
        open_ = open_[~exact]
    return found


@lru_cache(maxsize=64)
def _progress(n: int) -> Array:
    """Share of the run that has passed at each of n points: 0 to 1."""
    return np.arange(n) / max(1, n - 1)


def _val_progress(loss: _Curves, val: _Curves) -> Array:
    """Place validation points within the run: by step where both count alike, else by index."""
    low, high = loss.step.min(1), loss.step.max(1)
    last = val.step.max(1) - low
    alike = (high > low) & (0.5 * (high - low) <= last) & (last <= 1.2 * (high - low))
    alike &= (loss.step[:, 1:] >= loss.step[:, :-1]).all(1)
    at = np.broadcast_to((np.arange(val.n) + 1) / val.n, val.value.shape).copy()
    if alike.any():
        passed = np.broadcast_to(_progress(loss.n), loss.step.shape)
        at[alike] = interpolate(val.step[alike], loss.step[alike], passed[alike])
    return at


def _start_and_floor(values: Array) -> tuple[Array, Array]:
    """Level at the start, and what to add so that logarithms exist (negative losses)."""
    b, k = values.shape
    if k == 0:
        return np.ones(b), np.zeros(b)
    start, low = median(values[:, : max(1, round(0.03 * k))]), values.min(1)
    least = np.maximum(np.maximum(start - low, np.abs(start)), 1e-12)
    shift = np.where(low > 0, 0.0, -low + 0.01 * least)
    return start + shift, shift


def _log_ratio(values: Array, start: Array, floor: Array) -> Array:
    with np.errstate(over="ignore"):
        ratio = (values + floor[:, None]) / start[:, None]
        return np.clip(np.log10(np.maximum(ratio, 1e-12)), -4, 4)


def _shape(y: Array) -> Array:
    """Scale from the lowest value (0) to the first (1), within -1 to 4."""
    low = y.min(1, keepdims=True)
    first = median(y[:, : max(1, round(0.03 * y.shape[1]))])[:, None]
    return np.asarray(np.clip((y - low) / np.maximum(first - low, 0.02), -1, 4))


def _noise(y: Array, smooth: Array) -> Array:
    """Distance from the running median, largest in each bin."""
    n = y.shape[1]
    width = 2 * (n // 40) + 3
    level = smooth if width // 2 == (n // 20 + 3) // 2 else running_median(y, width)
    return _bin_max(np.abs(y - level), grid=False)


def _smooth(y: Array) -> Array:
    width = max(1, y.shape[1] // 40)
    if width == 1:
        return y
    padded = np.pad(y, ((0, 0), (width // 2, width - 1 - width // 2)), mode="edge")
    return np.stack([np.convolve(row, np.full(width, 1 / width), mode="valid") for row in padded])


@lru_cache(maxsize=64)
def _edges(n: int) -> NDArray[np.intp]:
    return np.linspace(0, n, N_STEPS + 1).astype(int)


def _bins(x: Array, y: Array) -> tuple[Array, Array]:
    """Average neighbours so that at most N_STEPS points are left."""
    if y.shape[1] <= N_STEPS:
        return x, y
    edges = _edges(y.shape[1])
    begin, counts = edges[:-1], np.diff(edges)
    return np.add.reduceat(x, begin, axis=1) / counts, np.add.reduceat(y, begin, axis=1) / counts


def _bin_max(y: Array | Mask, grid: bool = True) -> Array:
    """Keep the largest of each bin; short series are stretched to the grid, or left alone."""
    n = y.shape[1]
    if n > N_STEPS:
        return np.asarray(np.maximum.reduceat(y, _edges(n)[:-1], axis=1))
    if not grid or n == 0:
        return np.asarray(y) if n else np.zeros((len(y), N_STEPS))
    return np.asarray(y[:, _stretched(n)])


@lru_cache(maxsize=64)
def _stretched(n: int) -> NDArray[np.intp]:
    """Find the nearest of n points to each place of the grid."""
    return np.linspace(0, n - 1, N_STEPS).round().astype(int)


def _on_grid(x: Array, y: Array) -> Array:
    return interpolate(np.broadcast_to(_progress(N_STEPS), (len(y), N_STEPS)), x, y)
