"""Change points: where a loss that fell began to rise, or grew noisier.

Both are looked for only where a cheap comparison says that something changed, since the library
takes a second to load.
"""

from __future__ import annotations

import numpy as np

from ..robust import median
from .series import Array, Series, binned

N_BINS = 256
N_SEGMENTS = 4
NOISIER = 4.0
"""Factor from which noise is another one."""


def rises_from(series: Series) -> int | None:
    """Find from where on the loss rose for good without a jump; None where it did not.

    Returns
    -------
    int or None
        Position of the last point on the course that the loss had taken until then.
    """
    n = len(series)
    group = -(-n // N_BINS)
    bins = binned(series.y, group)
    calm = binned(series.level, group)
    end = float(median(bins[-max(3, len(bins) // 10) :]))
    noise = float(median(series.noise))
    rise = end - float(calm.min())
    if rise <= max(0.1 * series.drop, 3 * noise, 6 * series.least):
        return None
    above = bins - np.minimum.accumulate(calm)
    edges = [0, *change_points(above, min(N_SEGMENTS, len(bins) // 4) - 1), len(bins)]
    begin = len(edges) - 2
    while begin > 0 and median(above[edges[begin - 1] : edges[begin]]) > rise / 3:
        begin -= 1
    # Within the segment, back to the last point that was still as low as any before.
    until = min(edges[begin + 1] * group, n)
    course = np.minimum.accumulate(series.level)
    tolerance = max(noise, 0.05 * rise)
    on_course = np.flatnonzero(series.y[:until] <= course[:until] + tolerance)
    return int(on_course[-1]) if len(on_course) else 0


def noisier_from(series: Series) -> tuple[int, float] | None:
    """Find from where on the loss is far noisier than before.

    Returns
    -------
    (position, factor) or None
    """
    n = len(series)
    group = -(-n // N_BINS)
    if n < 60:
        return None
    # On a log scale noise that stays the same would grow as the loss falls.
    away = np.abs(series.share - (np.exp(series.level) if series.log else series.level))
    bins = binned(away, group)
    eighth = max(6, len(bins) // 8)
    late, early = float(median(bins[-2 * eighth :])), float(median(bins[eighth : -2 * eighth]))
    early = max(early, 1e-12)
    least = 0.01 * float(np.ptp(binned(series.share, group)))
    if late <= max(NOISIER * early, least):
        return None
    signal = np.log(np.maximum(bins, early / 10))
    (at, *_) = [*change_points(signal, 1), 0]
    if not eighth <= at <= len(bins) - eighth:
        return None
    before, after = float(median(bins[:at])), float(median(bins[at:]))
    if after <= max(NOISIER * before, least) or before <= 1e-9:
        return None
    return at * group, after / before


def change_points(signal: Array, count: int) -> list[int]:
    """Split a signal of at most `N_BINS` points into segments of constant mean.

    Parameters
    ----------
    signal : array of shape (n,)
        Finite.
    count : int
        Change points.

    Returns
    -------
    list of int
        Where each segment but the first begins.

    References
    ----------
    Truong, Oudre and Vayatis, Selective review of offline change point detection methods,
    Signal Processing 2020.
    """
    if count < 1 or len(signal) < 4 * (count + 1) or np.ptp(signal) == 0:
        return []
    from ruptures import KernelCPD

    found = KernelCPD(kernel="linear", min_size=2).fit(signal[:, None]).predict(n_bkps=count)
    return [int(place) for place in found[:-1]]
