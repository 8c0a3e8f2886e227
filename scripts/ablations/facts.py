"""What somebody reads off the curves of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from curvet.robust import noise_level, running_median
from curvet.roles import Channels

from .base import Array


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What somebody reads off the curves; shares are of the training loss's whole drop.

    Parameters
    ----------
    start, end, low : float
        Medians of the first 3 % and of the last tenth; lowest level.
    negative : float
        Share of the losses below zero.
    first_bad : float
        Share of the run before the first NaN or inf; 1 without one.
    surged : bool
        Whether the loss was already rising when it was lost.
    early : float
        Level after a tenth of the run.
    late : float
        Share of the drop that came in the second half.
    noise : float
        Of the second half.
    steady : float
        Correlation of the loss with time.
    waves : int
        Turns of the smoothed loss by a tenth of the drop or more.
    spikes, back : int, bool
        Places where the loss leaps out of its noise; whether it came back from the highest.
    period : float
        Autocorrelation of what is left without the trend, at its best lag.
    jump : float
        Leap of the level where steps go back or the rate starts anew; 0 without such a place.
    norm, burst, bursts, norm_lost : float, float, int, float
        Median gradient norm; its maximum over the median; places above ten times the median;
        share that is 0 or not finite. NaN, 0, 0, 0 where it was not logged.
    val_first, val_low, val_end, val_best : float
        Validation loss: first, lowest, at the end, and the share of the run at the lowest. NaN
        where it was not logged.
    """

    start: float
    end: float
    low: float
    negative: float
    first_bad: float
    surged: bool
    early: float
    late: float
    noise: float
    steady: float
    waves: int
    spikes: int
    back: bool
    period: float
    jump: float
    norm: float
    burst: float
    bursts: int
    norm_lost: float
    val_first: float
    val_low: float
    val_end: float
    val_best: float

    @property
    def drop(self) -> float:
        """How far the training loss fell."""
        return max(self.start - self.low, 1e-12)

    @property
    def learnt(self) -> float:
        """Share of the start that is gone at the end."""
        return (self.start - self.end) / max(abs(self.start), 1e-12)

    @property
    def flat(self) -> bool:
        """Whether the loss ends about where it began."""
        return abs(self.learnt) < 0.05

    @property
    def gap(self) -> float:
        """How far validation ends above training, as a share of the drop."""
        return (self.val_end - self.end) / self.drop


def look(channels: Channels) -> Facts:
    """Read the facts off the curves; NaN where a channel was not logged."""
    finite = np.isfinite(channels.loss.value)
    bad = np.flatnonzero(~finite)
    y = np.clip(channels.loss.value[finite], -1e150, 1e150)
    n = len(y)
    start, end = float(np.median(y[: max(1, n // 30)])), float(np.median(y[-max(1, n // 10) :]))
    level = running_median(y, n // 10 + 3)
    drop = max(start - float(level.min()), 1e-12)
    rest = y - level
    noise = float(noise_level(rest[n // 2 :]))
    out = np.flatnonzero(rest > max(8 * float(noise_level(rest)), 0.2 * drop))
    out = out[out > n // 20]
    at = int(out[rest[out].argmax()]) if len(out) else 0
    lost = int(bad[0]) if len(bad) else n
    before = y[max(0, lost - 5) : lost]
    usual = y[max(0, lost - n // 5 - 5) : max(1, lost - 5)]
    norm = _norm_facts(channels)
    val = _val_facts(channels)
    return Facts(
        start=start,
        end=end,
        low=float(level.min()),
        negative=float(np.mean(y < 0)),
        first_bad=lost / len(finite) if len(bad) else 1.0,
        surged=len(before) > 0 and float(before.max()) > float(np.median(usual)) + 0.3 * drop,
        early=float(level[n // 10]),
        late=float(level[n // 2] - level[-1]) / drop,
        noise=noise / drop,
        steady=float(np.corrcoef(np.arange(n), y)[0, 1]) if n > 2 and np.ptp(y) > 0 else 0.0,
        waves=_turns(level, 0.1 * drop),
        spikes=int(1 + (np.diff(out) > max(2, n // 50)).sum()) if len(out) else 0,
        back=bool((y[at + 1 :] <= level[at] + 0.1 * drop).any()),
        period=_period(y),
        jump=_jump(channels, y, drop, noise) if len(y) == len(finite) else 0.0,
        **norm,
        **val,
    )


def _norm_facts(channels: Channels) -> dict[str, Any]:
    if channels.grad_norm is None:
        return {"norm": np.nan, "burst": 0.0, "bursts": 0, "norm_lost": 0.0}
    value = channels.grad_norm.value
    good = value[np.isfinite(value) & (value > 0)]
    usual = float(np.median(good)) if len(good) else 0.0
    high = np.flatnonzero(good > 10 * usual)
    return {
        "norm": usual,
        "burst": float(good.max()) / usual if usual else 0.0,
        "bursts": int((np.diff(high, prepend=-9) > 2).sum()),
        "norm_lost": 1 - len(good) / max(1, len(value)),
    }


def _val_facts(channels: Channels) -> dict[str, Any]:
    value = np.empty(0) if channels.val is None else channels.val.value
    value = np.clip(value[np.isfinite(value)], -1e150, 1e150)
    if len(value) < 3:
        return dict.fromkeys(("val_first", "val_low", "val_end", "val_best"), np.nan)
    return {
        "val_first": float(value[0]),
        "val_low": float(value.min()),
        "val_end": float(np.mean(value[-max(1, len(value) // 10) :])),
        "val_best": float(value.argmin() / (len(value) - 1)),
    }


def _turns(level: Array, size: float) -> int:
    """Count the times that a series turns by `size` or more."""
    turns, way, edge = 0, 0, float(level[0])
    for value in level:
        if way >= 0 and value < edge - size:
            turns, way, edge = turns + (way > 0), -1, float(value)
        elif way <= 0 and value > edge + size:
            turns, way, edge = turns + (way < 0), 1, float(value)
        edge = max(edge, float(value)) if way >= 0 else min(edge, float(value))
    return turns


def _period(y: Array) -> float:
    """Find the highest autocorrelation past the first trough, for periods that occur four times."""
    y = y[len(y) // 10 :]
    if len(y) > 1000:  # means of blocks: a period of the data is longer than that
        y = np.array([block.mean() for block in np.array_split(y, 1000)])
    n = len(y)
    if n < 20:
        return 0.0
    rest = y - running_median(y, n // 4)
    rest = rest - rest.mean()
    power = np.abs(np.fft.rfft(rest, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[: n // 4] / max(float((rest**2).sum()), 1e-300)
    below = np.flatnonzero(correlation < 0)
    return float(correlation[below[0] :].max()) if len(below) else 0.0


def _jump(channels: Channels, y: Array, drop: float, noise: float) -> float:
    """Measure how far the level leaps where a run seems to have resumed."""
    n = len(y)
    places = np.flatnonzero(np.diff(channels.loss.step) < 0) + 1
    if channels.lr is not None and len(channels.lr) == n:
        lr = channels.lr.value
        anew = np.flatnonzero((lr[1:] > 2 * lr[:-1]) | (lr[1:] < 0.1 * lr[:-1])) + 1
        anew = anew[anew > n // 5]
        # Several restarts are a schedule; a fall in steps is one, too.
        places = np.append(places, anew[lr[anew] > lr[anew - 1]] if len(anew) == 1 else [])
    width = max(2, n // 40)
    leaps = [
        abs(float(np.mean(y[at : at + width])) - float(np.mean(y[at - width : at])))
        for at in places.astype(int)
        if width <= at <= n - width
    ]
    sure = 4 * noise / np.sqrt(width)
    return max((leap / drop for leap in leaps if leap > sure), default=0.0)
