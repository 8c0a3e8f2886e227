"""A long curve -> the points of it that a picture can show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..run import Curve

HUGE = 1e100


def thin(curve: Curve, n_bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keep the ends, and the lowest and highest value of each bin, so that no spike is lost.

    Parameters
    ----------
    curve : Curve
        Of any length.
    n_bins : int
        Bins of a long curve.

    Returns
    -------
    step, value : arrays of shape (m,), m at most 2 * n_bins + 2
        Non-finite values are left out; what no axis can hold becomes +-1e100.

    Examples
    --------
    >>> from curvet.run import Curve
    >>> thin(Curve.of("loss", [5, 5, 9, 5, 1, 5, 5, 5, 5]), 2)[1].tolist()
    [5.0, 9.0, 1.0, 5.0, 5.0]
    """
    finite = np.isfinite(curve.value) & np.isfinite(curve.step)
    step, value = curve.step[finite], curve.value[finite].clip(-HUGE, HUGE)
    if len(value) <= 2 * n_bins:
        return step, value
    kept = {0, len(value) - 1}
    for members in np.array_split(np.arange(len(value)), n_bins):
        kept |= {int(members[value[members].argmin()]), int(members[value[members].argmax()])}
    order = sorted(kept)
    return step[order], value[order]
