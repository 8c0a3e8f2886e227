"""Boosted trees, all asked at once for many runs.

No tree is walked. Each inner node clears, in a bit mask of its tree's leaves, those that its left
branch holds, if the run does not go there; the first leaf left over is the run's (QuickScorer:
Lucchese et al., SIGIR 2015). So the same few operations on small integers serve all runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .ranks import count_reached, pad_knots

MAX_LEAVES = 64
_ALWAYS = 2**15 - 1  # a limit that every rank keeps


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees as masks.

    Parameters
    ----------
    knots : array of shape (column, knot), float32
        For each threshold of a column the least value above it.
    row, limit, clears : arrays of shape (inner node, tree)
        The node's column, further down if a missing value goes to the right; the highest rank
        that goes to the left; and the leaves that are out if a run goes to the right.
    leaves : array of shape (tree, leaf)
        Values, from left to right.
    """

    knots: NDArray[np.float32]
    row: NDArray[np.intp]
    limit: NDArray[np.int16]
    clears: NDArray[np.signedinteger[Any]]
    leaves: NDArray[np.float64]

    @classmethod
    def of(cls, nodes: Mapping[str, NDArray[Any]], roots: NDArray[np.int64], n: int) -> Self:
        """Make masks of scikit-learn's nodes, which stand from left to right within each tree.

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
        if width > MAX_LEAVES:
            raise ValueError(f"trees of {width} leaves, but {MAX_LEAVES} at most")
        leaves = np.zeros((len(roots), width))
        leaves[tree[leaf], place[leaf]] = nodes["value"][leaf]
        column, above = nodes["feature_idx"][inner], _least_above(nodes["num_threshold"][inner])
        knots, rank = _knots(column, above, n)
        shape = (max(1, width - 1), len(roots))
        node = inner - roots[tree[inner]] - place[inner], tree[inner]
        row, limit = np.zeros(shape, np.intp), np.full(shape, _ALWAYS, np.int16)
        bits = next(bits for bits in (16, 32, 64) if width <= bits)  # the last leaf needs none
        clears = np.zeros(shape, f"i{bits // 8}")
        row[node] = column + n * (nodes["missing_go_to_left"][inner] == 0)
        limit[node] = rank
        one = np.int64(1)
        clears[node] = (one << place[nodes["right"][inner]]) - (one << place[inner])
        return cls(knots, row, limit, clears, leaves)

    def values(self, table: NDArray[np.float32]) -> NDArray[np.float64]:
        """Find the leaf that each run falls into, (run, column) -> (run, tree)."""
        x = np.ascontiguousarray(table.T)
        rank = count_reached(x, self.knots).astype(np.int16)
        ranks = np.concatenate([rank, np.where(np.isnan(x), _ALWAYS, rank)], dtype=np.int16)
        shift = 8 * self.clears.itemsize - 1
        out = np.zeros((len(self.leaves), len(table)), self.clears.dtype)
        for row, limit, clears in zip(self.row, self.limit, self.clears, strict=True):
            beyond = (limit[:, None] - ranks.take(row, 0)).astype(out.dtype, copy=False)
            beyond >>= shift  # -1, all bits, where the rank is higher
            beyond &= clears[:, None]
            out |= beyond
        first = ~out & (out + 1)  # the lowest bit that is not set
        leaf = np.bitwise_count(first - 1)
        start = np.arange(len(self.leaves)) * self.leaves.shape[1]
        return np.asarray(self.leaves.reshape(-1).take(leaf + start[:, None])).T


def _least_above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Find the least value of single precision above each threshold; NaN where there is none."""
    near = threshold.astype(np.float32)
    above = np.where(near > threshold, near, np.nextafter(near, np.float32(np.inf)))
    return np.where(np.isinf(near), np.float32(np.nan), above)


def _knots(
    column: NDArray[np.int32], above: NDArray[np.float32], n: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Sort the values of each column, (column, knot), and tell the place of each, (node,)."""
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
    return pad_knots(knots), rank
