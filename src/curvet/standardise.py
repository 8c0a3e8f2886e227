"""Channels of runs -> unitless series of bounded length, and one array for the CNN.

Losses come in any unit, at any length and with any gaps. Both classifiers see them as
logarithms of ratios to the run's own start, over the fraction of the run that has passed.

Runs of about one length go through all steps together, in arrays whose rows are filled up to the
longest of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

from .roles import Channels
from .run import Curve
from .traits import TRAITS, Flat, Losses, measure_traits, smoothed

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

SERIES = ("loss", "shape", "noise", "val", "gap", "val_shape", "grad_norm", "grad_shape", "lr")
"""Series of a run, in the order of `compiled.channels`."""

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

_BLOCK = 2**15  # points looked at together: they and what is made of them stay in the cache

Array = NDArray[np.float64]
Count = NDArray[np.int64]


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


class Batch(Sequence[Standardised]):
    """Standardised runs, whose arrays lie in one piece.

    Parameters
    ----------
    values : array of shape (run, series, N_STEPS)
        Series in the order of `SERIES`, each from its first place on.
    counts : array of shape (run, series)
        Points of each; 0 where there is none.
    numbers : array of shape (run, scalar)
        In the order of `SCALARS`.
    image : array of shape (run, len(IMAGE_CHANNELS), N_STEPS), float32
        As the CNN sees them.
    """

    def __init__(
        self, values: Array, counts: Count, numbers: Array, image: NDArray[np.float32]
    ) -> None:
        self.values, self.counts, self.numbers, self.image = values, counts, numbers, image

    @classmethod
    def empty(cls, n: int) -> Self:
        """Make room for so many runs."""
        return cls(
            np.empty((n, len(SERIES), N_STEPS)),
            np.zeros((n, len(SERIES)), np.int64),
            np.full((n, len(SCALARS)), np.nan),
            np.zeros((n, len(IMAGE_CHANNELS), N_STEPS), np.float32),
        )

    @classmethod
    def of(cls, runs: Sequence[Standardised]) -> Batch:
        """Put the arrays of runs into one piece."""
        if isinstance(runs, Batch):
            return runs
        batch = cls.empty(len(runs))
        for row, run in enumerate(runs):
            for place, name in enumerate(SERIES):
                if name in run.series:
                    n = len(run.series[name])
                    batch.values[row, place, :n] = run.series[name]
                    batch.counts[row, place] = n
            batch.numbers[row] = [run.scalars[name] for name in SCALARS]
            batch.image[row] = run.image
        return batch

    def __len__(self) -> int:
        return len(self.image)

    @overload
    def __getitem__(self, at: int) -> Standardised: ...

    @overload
    def __getitem__(self, at: slice) -> Batch: ...

    def __getitem__(self, at: int | slice) -> Standardised | Batch:
        if isinstance(at, slice):
            return Batch(self.values[at], self.counts[at], self.numbers[at], self.image[at])
        points = zip(SERIES, self.values[at], self.counts[at].tolist(), strict=True)
        return Standardised(
            {name: series[:n] for name, series, n in points if n},
            dict(zip(SCALARS, self.numbers[at].tolist(), strict=True)),
            self.image[at],
        )


def standardise(channels: Channels) -> Standardised:
    """Put the channels of one run on a common footing; see `standardise_many`."""
    return standardise_many([channels])[0]


def standardise_many(runs: Sequence[Channels]) -> Batch:
    """Put the channels of runs on a common footing; a run does not depend on its neighbours.

    Parameters
    ----------
    runs : sequence of Channels
        Training losses with any number of points, in the order written.

    Returns
    -------
    Batch
        In the same order. Losses as log10 of their ratio to the start of the training loss,
        within -4 to 4; gradient norms as log10, within -10 to 10; the rate as log10 of its share
        of the highest.
    """
    points = np.array([_points(channels) for channels in runs], np.int64).reshape(-1, 5)
    longest = points[:, :4].max(1, initial=1)
    batch, begin = Batch.empty(len(runs)), 0
    # Rows are filled up to the longest, so alike ones come together, and so do those with as many
    # finite losses: what only their number decides is then worked out once for all of them.
    order = np.lexsort((points[:, 4], longest))
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * longest[order[end]] <= _BLOCK:
            end += 1
        some = order[begin:end]
        _standardise([runs[i] for i in some.tolist()], points[some, :4], some, batch)
        begin = end
    for row, name, unit in _CONSTANT_ROWS:
        batch.image[:, IMAGE_CHANNELS.index(row)] = (
            batch.numbers[:, SCALARS.index(name), None] / unit
        )
    for channel in OPTIONAL:
        known = batch.counts[:, SERIES.index(channel)] > 0
        batch.image[known, IMAGE_CHANNELS.index(f"has_{channel}")] = 1.0
    return batch


def _points(channels: Channels) -> tuple[int, int, int, int, int]:
    """Count the points of each channel, and the losses that are finite."""
    loss, val, norm, lr = channels.loss, channels.val, channels.grad_norm, channels.lr
    return (
        len(loss.value),
        0 if val is None else len(val.value),
        0 if norm is None else len(norm.value),
        0 if lr is None else len(lr.value),
        int(np.count_nonzero(np.isfinite(loss.value))),
    )


def _standardise(runs: Sequence[Channels], points: Count, to: Count, batch: Batch) -> None:
    """Standardise runs of about one length, and put them into these rows of a batch.

    `points` has the shape (run, 4): so many of each channel.
    """
    from .compiled import channels

    filled = batch.values, batch.counts, batch.image
    logged = _flat([run.loss for run in runs], points[:, 0])
    (where, value, ratio), count = _room(logged, 3)
    start = np.empty((len(runs), 2))
    channels.losses(
        logged.step, logged.value, logged.begin, to, _MARKS,
        where, value, ratio, count, start, batch.numbers, batch.image,
    )  # fmt: skip
    loss = Losses(where, value, _logarithm(ratio, -4, 4), count)
    smooth = smoothed(loss.ratio, count)
    channels.draw_losses(to, _ROWS, where, loss.ratio, smooth, count, *filled)
    beside = all(run.val is not None and run.val.step is run.loss.step for run in runs)
    steps = logged.step if beside else None  # as in most tables
    val, logged_val = None, _flat([run.val for run in runs], points[:, 1], steps)
    if logged_val.most:
        (at, values, ratios), n = _room(logged_val, 3)
        channels.validations(
            logged.step, logged.begin, logged_val.step, logged_val.value, logged_val.begin, to,
            start, at, values, ratios, n, batch.numbers,
        )  # fmt: skip
        val = Losses(at, values, _logarithm(ratios, -4, 4), n)
        channels.draw_validations(to, _ROWS, at, val.ratio, n, where, loss.ratio, count, *filled)
    norm = _flat([run.grad_norm for run in runs], points[:, 2])
    if norm.most:
        (at, size), n = _room(norm, 2)
        channels.norms(norm.value, norm.begin, to, _MARKS, at, size, n, batch.numbers, batch.image)
        size = _logarithm(size, -10, 10)
        channels.draw_others(to, _ROWS, channels.NORM, 0.25, at, size, n, *filled)
    lr = _flat([run.lr for run in runs], points[:, 3])
    if lr.most:
        (at, share), n = _room(lr, 2)
        channels.rates(lr.value, lr.begin, at, share, n)
        channels.draw_others(to, _ROWS, channels.RATE, 0.25, at, np.log10(share), n, *filled)
    traits = measure_traits(loss, start, smooth, val, (logged, norm, lr))
    batch.numbers[to, len(SCALARS) - len(TRAITS) :] = traits


def _flat(curves: Sequence[Curve | None], points: Count, step: Array | None = None) -> Flat:
    """Put the curves of a channel one behind the other, of so many points each.

    `step` holds their steps where another channel has had the same.
    """
    begin = np.zeros(len(curves) + 1, np.int64)
    np.cumsum(points, out=begin[1:])
    if not begin[-1]:
        return Flat(np.empty(0), np.empty(0), begin)
    there = [curve for curve in curves if curve is not None]
    if step is None:
        step = np.concatenate([curve.step for curve in there], dtype=np.float64)
    return Flat(step, np.concatenate([curve.value for curve in there], dtype=np.float64), begin)


def _room(channel: Flat, arrays: int) -> tuple[Array, Count]:
    """Make arrays with a row for each run of a channel, (array, run, most), and for counts."""
    runs = len(channel.begin) - 1
    return np.empty((arrays, runs, channel.most)), np.empty(runs, np.int64)


def _logarithm(values: Array, least: float, most: float) -> Array:
    """Take log10 within bounds, in place."""
    np.log10(values, out=values)
    return np.clip(values, least, most, out=values)


_CONSTANT_ROWS = (
    ("length", "log_points", 3.0),
    ("level", "log_start", 3.0),
    ("decimals", "decimals", 8.0),
    ("counts_epochs", "counts_epochs", 1.0),
)
"""Row of the image, the scalar that it holds, and what that is divided by."""

_ROWS = np.array([IMAGE_CHANNELS.index(n) if n in IMAGE_CHANNELS else -1 for n in SERIES])
_MARKS = np.array([IMAGE_CHANNELS.index(n) for n in ("nonfinite", "rewound", "grad_nonfinite")])
