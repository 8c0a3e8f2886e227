"""Boosted trees, all asked at once for many runs.

No tree is walked. A run starts at the leftmost leaf of a tree; then each inner node, from the root
on, moves the runs that stand at its own leftmost leaf and do not go to the left to the first leaf
on its right. So the same few operations on small integers serve all runs (a relative of
QuickScorer: Lucchese et al., SIGIR 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_ALWAYS = 2**15 - 1  # a limit that every rank keeps


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees as a list of moves.

    Parameters
    ----------
    knots : array of shape (column, knot), float32
        For each threshold of a column the least value above it; NaN from `counts` on.
    counts : array of shape (column,), int64
        Knots of each column.
    row : array of shape (tree, inner node), int32
        The node's column, further down if a missing value goes to the right.
    nodes : array of shape (tree, inner node, 3), int16
        The highest rank that goes to the left, the node's leftmost leaf, and how many leaves
        are on its left; a node comes after its parent.
    leaves : array of shape (tree, leaf)
        Values, from left to right.
    """

    knots: NDArray[np.float32]
    counts: NDArray[np.int64]
    row: NDArray[np.int32]
    nodes: NDArray[np.int16]
    leaves: NDArray[np.float64]

    @classmethod
    def of(cls, nodes: Mapping[str, NDArray[Any]], roots: NDArray[np.int64], n: int) -> Self:
        """Make moves of scikit-learn's nodes, which stand from left to right within each tree.

        Parameters
        ----------
        nodes : mapping of field to array of shape (node,)
            See `tabular`.
        roots : array of shape (tree,)
            First node of each tree, ascending.
        n : int
            Columns.
        """
        is_leaf = nodes["is_leaf"].astype(bool)
        tree = np.repeat(np.arange(len(roots)), np.diff(roots, append=len(is_leaf)))
        before = np.cumsum(is_leaf) - is_leaf  # leaves further to the left, (node,)
        place = before - before[roots][tree]
        inner, leaf = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
        width = int(place.max()) + 1
        leaves = np.zeros((len(roots), width))
        leaves[tree[leaf], place[leaf]] = nodes["value"][leaf]
        column, above = nodes["feature_idx"][inner], _least_above(nodes["num_threshold"][inner])
        knots, counts, rank = _knots(column, above, n)
        shape = (len(roots), max(1, width - 1))
        at = tree[inner], inner - roots[tree[inner]] - place[inner]
        row, moves = np.zeros(shape, np.int32), np.full((*shape, 3), _ALWAYS, np.int16)
        row[at] = column + n * (nodes["missing_go_to_left"][inner] == 0)
        left = place[nodes["right"][inner]] - place[inner]
        moves[at] = np.stack([rank, place[inner], left], axis=1)
        return cls(knots, counts, row, moves, leaves)

    def scores(
        self, table: NDArray[np.float32], columns: NDArray[np.int64], n: int
    ) -> NDArray[np.float64]:
        """Add up the leaves that each run falls into.

        Parameters
        ----------
        table : array of shape (run, any)
            Features.
        columns : array of shape (column,)
            Which of them the trees know.
        n : int
            Scores, to which the trees belong in turn.

        Returns
        -------
        array of shape (run, n)
        """
        from ..compiled.trees import add_leaves

        out = np.empty((len(table), n))
        table = np.ascontiguousarray(table)
        parts = self.knots, self.counts, self.row, self.nodes, self.leaves
        add_leaves(table, columns, *parts, out)
        return out


def _least_above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Find the least value of single precision above each threshold; NaN where there is none."""
    near = threshold.astype(np.float32)
    above = np.where(near > threshold, near, np.nextafter(near, np.float32(np.inf)))
    return np.where(np.isinf(near), np.float32(np.nan), above)


def _knots(
    column: NDArray[np.int32], above: NDArray[np.float32], n: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.intp]]:
    """Sort the values of each column, (column, knot), count them, and tell the place of each."""
    order = np.lexsort((above, column))
    column_, above_ = column[order], above[order]
    new = np.ones(len(order), bool)
    new[1:] = (column_[1:] != column_[:-1]) | (above_[1:] != above_[:-1])
    number = np.cumsum(new) - 1  # of each distinct value
    counts = np.bincount(column_[new], minlength=n)
    place = number - (np.cumsum(counts) - counts)[column_]
    knots = np.full((n, max(1, int(counts.max(initial=0)))), np.nan, np.float32)
    knots[column_, place] = above_
    rank = np.empty(len(order), np.intp)
    rank[order] = place
    return knots, counts, rank
