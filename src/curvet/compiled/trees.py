"""Trees asked for many runs at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel, part
from .ranks import reached

_BLOCK = 256  # runs that go through the trees side by side
_MISSING = 2**15 - 1

Short = NDArray[np.int16]


@part
def _rank(
    table: NDArray[np.float32],
    begin: int,
    columns: NDArray[np.int64],
    knots: NDArray[np.float32],
    counts: NDArray[np.int64],
    ranks: Short,
) -> None:
    """Fill in the ranks of a block of runs, and once more with the missing ones at the right."""
    n = len(columns)
    for c in range(n):
        mine = knots[c, : counts[c]]
        for j in range(min(len(table) - begin, ranks.shape[1])):
            value = table[begin + j, columns[c]]
            rank = np.int16(reached(value, mine))
            ranks[c, j] = rank
            ranks[n + c, j] = np.int16(_MISSING) if np.isnan(value) else rank


@kernel(
    "float32[:,::1], int64[::1], float32[:,::1], int64[::1], int32[:,::1], int16[:,:,::1], "
    "float64[:,::1]",
    "float64[:,::1]",
)
def add_leaves(
    table: NDArray[np.float32],
    columns: NDArray[np.int64],
    knots: NDArray[np.float32],
    counts: NDArray[np.int64],
    row: NDArray[np.int32],
    nodes: Short,
    leaves: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Add up the leaves that each run falls into.

    Parameters
    ----------
    table : array of shape (run, any)
        Features.
    columns, knots, counts, row, nodes, leaves
        See `classifiers.trees.Forest`.
    out : array of shape (run, score)
        Is filled: each tree adds to the score whose turn it is.
    """
    n_scores, n_nodes = out.shape[1], row.shape[1]
    width = min(_BLOCK, max(16, (len(table) + 15) // 16 * 16))
    ranks = np.zeros((2 * len(columns), width), np.int16)
    leaf, totals = np.empty(width, np.int16), np.empty((n_scores, width))
    for begin in range(0, len(table), width):
        _rank(table, begin, columns, knots, counts, ranks)
        here = min(len(table) - begin, width)
        totals[:] = 0.0
        for tree in range(len(row)):
            for j in range(width):
                leaf[j] = 0
            for node in range(n_nodes):
                rank = ranks[row[tree, node]]
                limit, first = nodes[tree, node, 0], nodes[tree, node, 1]
                further = nodes[tree, node, 2]
                for j in range(width):
                    leaf[j] += further if (leaf[j] == first) & (rank[j] > limit) else np.int16(0)
            value, total = leaves[tree], totals[tree % n_scores]
            for j in range(width):  # unsigned: else each costs a look whether it is negative
                total[j] += value[np.uint16(leaf[j])]
        for j in range(here):
            for score in range(n_scores):
                out[begin + j, score] = totals[score, j]
