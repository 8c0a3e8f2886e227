"""Where values lie among sorted knots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel, part

Table = NDArray[np.float32]

_BLOCK = 32  # runs for which the knots of a feature stay in the cache


@part
def reached(value: np.float32, knots: Table) -> np.int64:
    """Count the knots that are at most a value; NaN neither reaches any nor is it reached.

    With a few hundred knots, to compare with all, several at once, is quicker than to search. At
    most 255 are counted: so many bins do trees tell apart, and a small count makes more at once.
    """
    count = np.uint8(0)
    for k in range(len(knots)):
        count = np.uint8(count + np.uint8(value >= knots[k]))
    return np.int64(count)


@kernel("float32[:,::1], int64[::1], float32[:,::1], float32[:,::1]", "float32[:,:]")
def interpolate(
    table: Table, columns: NDArray[np.int64], knots: Table, scores: Table, out: Table
) -> None:
    """Interpolate between knots.

    Parameters
    ----------
    table : array of shape (run, any)
        Features; what is not finite gives 0.
    columns : array of shape (feature,)
        Which of them.
    knots, scores : arrays of shape (feature, knot)
        Values, ascending and filled up with inf, and what stands for each.
    out : array of shape (run, feature)
        Is filled.
    """
    none, one = np.float32(0), np.float32(1)
    for begin in range(0, len(table), _BLOCK):
        for feature in range(len(columns)):
            column, mine, score = columns[feature], knots[feature], scores[feature]
            for run in range(begin, min(len(table), begin + _BLOCK)):
                value = table[run, column]
                if not np.isfinite(value):
                    out[run, feature] = none
                    continue
                count = reached(value, mine)
                below = min(max(count - 1, 0), len(score) - 1)
                above = min(max(count, 1), len(score) - 1)
                low, high = mine[below], mine[above]
                share = none
                if high > low:
                    share = min(max((value - low) / (high - low), none), one)
                out[run, feature] = score[below] + share * (score[above] - score[below])
