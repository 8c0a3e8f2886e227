"""tsfresh's features for many series of one length at once.

A compiled kernel computes those in `compiled.series.COLUMNS`; tsfresh itself is asked for any
other. A test compares the kernel with tsfresh. What tsfresh leaves out or cannot compute is NaN.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .compiled.series import Calculator

Array = NDArray[np.float64]


def compute(calculators: tuple[Calculator, ...], x: Array) -> Array:
    """Compute features of series.

    Parameters
    ----------
    calculators : tuple of (name, parameters)
        tsfresh's name of each, and its parameters as pairs in alphabetical order; one without
        a kernel is left to tsfresh itself, which is slow.
    x : array of shape (series, point)
        Finite; at least two points.

    Returns
    -------
    array of shape (series, calculator)
    """
    from .compiled.series import COLUMNS, measure

    x = np.ascontiguousarray(x)
    every = np.empty((len(x), len(COLUMNS)))
    spectrum = np.fft.rfft(x, axis=1).view(np.float64)
    measure(x, np.sort(x, axis=1), spectrum, x.mean(1), every)
    places = _places(calculators)
    out = every[:, places]
    for column in np.flatnonzero(places < 0):
        name, parameters = calculators[column]
        out[:, column] = [_by_tsfresh(name, dict(parameters), row) for row in x]
    return out


@lru_cache(maxsize=8)
def _places(calculators: tuple[Calculator, ...]) -> NDArray[np.intp]:
    """Find the kernel's column of each; -1 where it has none."""
    from .compiled.series import COLUMNS

    return np.array([COLUMNS.index(one) if one in COLUMNS else -1 for one in calculators])


def _by_tsfresh(name: str, parameters: dict[str, Any], row: Array) -> float:
    """Ask tsfresh's own calculator, for what has no kernel: one series, (point,)."""
    from tsfresh.feature_extraction import feature_calculators

    calculator = getattr(feature_calculators, name)
    if calculator.fctype == "combiner":
        return float(next(iter(calculator(row, [parameters])))[1])
    return float(calculator(row, **parameters))
