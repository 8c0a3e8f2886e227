"""What the loss does around its level: noise, and a period."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..diagnosis import Evidence
from ..robust import median
from .looked_at import LookedAt
from .series import Array, Series

STRONG = 0.45
"""Correlation with itself, one period later, from which a swing is periodic."""

MOST = 4096
NOISY, SMOOTH = 0.15, 0.0005


def noise(run: LookedAt) -> Iterator[Evidence]:
    """Noise from point to point, where it is large or hardly there."""
    series = run.series
    if series is None or len(series) < 50 or series.drop <= 4 * series.least:
        return
    share = 1.4826 * float(median(np.abs(series.y - series.level))) / series.drop
    if share > NOISY:
        yield Evidence("noisy", {"share": share})
    elif share < SMOOTH and len(np.unique(series.value)) > len(series) // 2:
        yield Evidence("smooth", {"share": share})


def period(run: LookedAt) -> Iterator[Evidence]:
    """Find the period of a swing around the level, if there is a strong one."""
    series = run.series
    if series is None or len(series) < 40 or series.drop <= 0:
        return
    n = min(len(series), MOST)  # the last points: whatever is periodic goes on
    gaps = np.diff(series.step[-n:])
    gap = float(median(gaps))
    if gap <= 0 or (np.abs(gaps - gap) > 0.01 * gap).mean() > 0.02:
        return
    around = series.y[-n:] - series.level[-n:]
    spread = 1.4826 * float(median(np.abs(around)))
    if spread <= max(0.01 * series.drop, series.least):
        return
    lag, strength = _periodic(np.clip(around, -4 * spread, 4 * spread))
    if lag == 0:
        return
    found = {"period": lag * gap, "strength": strength}
    yield Evidence(_unit(series, run, lag * gap), found)


def _periodic(around: Array) -> tuple[int, float]:
    """Find the lag of the first strong peak of the autocorrelation; 0 without one."""
    n = len(around)
    around = around - around.mean()
    power = np.abs(np.fft.rfft(around, 2 * n)) ** 2
    half = n // 4
    raw = np.fft.irfft(power)[: half + 1]
    if raw[0] <= 0:
        return 0, 0.0
    same = raw / raw[0] * n / (n - np.arange(half + 1))
    inner = same[1:-1]
    peaks = np.flatnonzero((inner >= same[:-2]) & (inner >= same[2:])) + 1
    peaks = peaks[(peaks >= 3) & (same[peaks] > max(STRONG, 4 / np.sqrt(n)))]
    if len(peaks) == 0:
        return 0, 0.0
    lag = int(peaks[same[peaks] > 0.9 * same[peaks].max()][0])
    # A correlation that only fades is no swing: it must have been gone in between.
    dip = float(same[1:lag].min())
    return (lag, float(min(same[lag], 1.0))) if dip < 0.3 * same[lag] else (0, 0.0)


def _unit(series: Series, run: LookedAt, length: float) -> str:
    """Say what the period is counted in, or that it is that of the validation."""
    if bool((series.step != np.floor(series.step)).any()):
        return "period_epochs"
    val = run.channels.val
    if val is not None and len(val) > 3:
        between = np.diff(val.step)
        if np.isfinite(between).all() and np.ptp(between) <= 0.02 * abs(float(between[0])):
            ratio = length / float(between[0]) if between[0] else 0.0
            if abs(ratio - 1) < 0.05:
                return "period_of_validation"
    return "period"
