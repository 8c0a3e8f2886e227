"""Rows of a log, gathered by column: where the readers of tables agree on what a step is."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..run import Curve

# What counts the steps, best first. An epoch is the last choice: a log with both counts more
# finely by the other.
STEP_NAMES = (
    "step",
    "globalstep",
    "trainerglobalstep",
    "iteration",
    "iter",
    "it",
    "iterations",
    "iters",
    "steps",
    "trainingstep",
    "trainstep",
    "numupdates",
    "update",
    "updates",
    "batch",
    "examples",
    "samples",
    "epoch",
    "epochs",
)
_EPOCHS = ("epoch", "epochs")
_AGAIN = 2  # epochs that a run must have got on before epochs that begin anew are another one
RUN_NAMES = frozenset({"run", "runid", "runname", "runuuid", "trialid", "dirname"})
TAG_NAMES = frozenset({"tag", "metric", "metricname", "name", "key", "variable"})
VALUE_NAMES = frozenset({"value", "metricvalue", "scalarvalue"})
EVALUATIONS = frozenset(
    {"val", "valid", "validation", "eval", "evaluation", "dev", "test", "testing"}
)
Block = tuple[int, list[tuple[str, NDArray[np.int64], NDArray[np.float64]]]]
"""Number of rows, and (column, which rows have a cell, the cells)."""


@lru_cache(maxsize=4096)  # the lines of a log, and the files of an archive, have the same names
def plain(name: str) -> str:
    """Write a column name in the one form in which names are compared.

    Examples
    --------
    >>> plain(" Global_Step"), plain("trainer/global_step")
    ('globalstep', 'trainerglobalstep')
    """
    return re.sub(r"[\s_\-./]+", "", name).casefold()


@lru_cache(maxsize=4096)
def evaluates(name: str) -> bool:
    """Tell whether a name says that it is of an evaluation.

    Examples
    --------
    >>> evaluates("val/loss"), evaluates("Test_Acc"), evaluates("interval")
    (True, True, False)
    """
    return not EVALUATIONS.isdisjoint(re.split(r"[\W_]+", name.casefold()))


@lru_cache(maxsize=4096)
def step_rank(name: str) -> int | None:
    """Tell how good a step a column is (0 is best), or None where it is none."""
    form = plain(name)
    return STEP_NAMES.index(form) if form in STEP_NAMES else None


@lru_cache(maxsize=256)
def _counters(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose the columns that count steps, best first, and those that count epochs."""
    ranked = sorted((rank, name) for name in names if (rank := step_rank(name)) is not None)
    return tuple(name for _, name in ranked), tuple(n for n in names if plain(n) in _EPOCHS)


class Rows:
    """Columns of numbers with gaps, filled row by row.

    A cell that is not added was not logged in that row; NaN that is added is kept.

    Examples
    --------
    >>> rows = Rows()
    >>> rows.add([("step", 10), ("loss", 2.0)])
    >>> rows.add([("step", 20), ("val_loss", 2.5)])
    >>> {tag: curve.step.tolist() for tag, curve in rows.curves().items()}
    {'loss': [10.0], 'val_loss': [20.0]}
    """

    def __init__(self) -> None:
        self.length = 0
        self._columns: dict[str, tuple[array[int], array[float]]] = {}
        self._full: dict[str, NDArray[np.float64]] = {}  # instead, of rows without gaps

    @classmethod
    def full(cls, names: Sequence[str], cells: NDArray[np.float64]) -> Rows:
        """Make rows without gaps of an array (column, row); no more can be added."""
        rows = cls()
        rows.length = cells.shape[1]
        rows._full = {name: cells[place] for place, name in enumerate(names)}
        return rows

    def add(self, cells: Iterable[tuple[str, float]]) -> None:
        """Append one row of (column, number)."""
        for name, cell in cells:
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = (array("q"), array("d"))
            column[0].append(self.length)
            column[1].append(cell)
        self.length += 1

    def add_block(self, block: Block) -> None:
        """Append many rows at once."""
        length, columns = block
        for name, places, cells in columns:
            if not len(places):
                continue
            column = self._columns.setdefault(name, (array("q"), array("d")))
            column[0].frombytes((places + self.length).astype(np.int64).tobytes())
            column[1].frombytes(cells.astype(np.float64).tobytes())
        self.length += length

    def nan_for_blank_tails(self) -> None:
        """Read a column that stays blank after a full start as NaN to the end.

        pandas writes NaN as a blank, so a diverged loss ends like that. It is told from "not
        logged here" by three signs: the column is filled in every row up to a last one, at least
        two rows follow (one may be a closing summary), and these hold nothing that the rows
        before did not.
        """
        last = {name: rows[-1] for name, (rows, _) in self._columns.items()}
        for name, (rows, cells) in self._columns.items():
            end = len(rows)
            if not 0 < end < self.length - 1 or last[name] != end - 1:
                continue
            if any(end <= other[0] for other, _ in self._columns.values()):
                continue  # another kind of row begins
            rows.extend(range(end, self.length))
            cells.extend([float("nan")] * (self.length - end))

    def curves(self, *, unnamed: str | None = None) -> dict[str, Curve]:
        """Make one curve a column, on the steps of the best step column.

        Parameters
        ----------
        unnamed : str, optional
            A first column without a name: the steps, if no other column is.

        Returns
        -------
        dict of tag to Curve
            Without the step column. Rows are counted 0, 1, 2, ... where there is none.
        """
        chosen = self._step_column(unnamed)
        steps = (
            np.arange(self.length, dtype=np.float64) if chosen is None else self._carried(chosen)
        )  # (rows,)
        curves = {}
        for name in self._names():
            if name in (chosen, unnamed):
                continue
            if name in self._full:
                curves[name] = Curve(name, steps, self._full[name])
            else:
                rows, cells = self._columns[name]
                at = steps[np.array(rows, dtype=np.int64)]
                curves[name] = Curve(name, at, np.array(cells, dtype=np.float64))
        return curves

    def runs(self) -> list[Rows]:
        """Split the rows where the epochs begin anew, as a training does that appends to a log.

        The epoch goes back to the first one or before it from at least two epochs on, and the
        steps go back with it. Smaller ways back are those of a resumed run.

        Examples
        --------
        >>> rows = Rows()
        >>> for epoch in (0, 1, 2, 0, 1, 2, 1, 2):
        ...     rows.add([("epoch", epoch), ("loss", 1.0)])
        >>> [run.curves()["loss"].step.tolist() for run in rows.runs()]
        [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 1.0, 2.0]]
        """
        _, epochs = _counters(self._names())
        if not epochs:
            return [self]
        epoch = self._carried(epochs[0])
        chosen = self._step_column(None)
        back = np.ones(self.length, dtype=bool)
        if chosen not in (None, epochs[0]):
            back[1:] = np.diff(self._carried(chosen)) < 0
        starts = [0]
        for row in np.flatnonzero(np.diff(epoch) <= -_AGAIN) + 1:
            if back[row] and epoch[row] <= epoch[starts[-1]]:
                starts.append(int(row))
        ends = [*starts[1:], self.length]
        return [self._between(a, b) for a, b in zip(starts, ends, strict=True)]

    def _names(self) -> tuple[str, ...]:
        return tuple(self._full or self._columns)

    def _between(self, start: int, end: int) -> Rows:
        part = Rows()
        part.length = end - start
        part._full = {name: cells[start:end] for name, cells in self._full.items()}
        for name, (rows, cells) in self._columns.items():
            a, b = bisect_left(rows, start), bisect_left(rows, end)
            if a < b:
                part._columns[name] = array("q", (row - start for row in rows[a:b])), cells[a:b]
        return part

    def _column(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """Return a column with a place for each row, and which are finite; None for all."""
        if name in self._full:
            column = self._full[name]
        else:
            rows, cells = self._columns[name]
            column = np.full(self.length, np.nan)
            column[np.array(rows, dtype=np.int64)] = np.array(cells, dtype=np.float64)
        finite = np.isfinite(column)
        every = np.count_nonzero(finite) == len(finite)  # in a part of the time that `all` takes
        return column, None if every else finite

    def _dense(self, name: str) -> NDArray[np.float64]:
        """Return a column with NaN wherever it has no finite number; not to be written to."""
        column, finite = self._column(name)
        return column if finite is None else np.where(finite, column, np.nan)  # (rows,)

    def _carried(self, name: str) -> NDArray[np.float64]:
        """Fill the gaps of a column with the last number before them (at the start: the first)."""
        column, finite = self._column(name)
        if finite is None:
            return column
        known = np.flatnonzero(finite)
        if len(known) == 0:
            return np.arange(len(column), dtype=np.float64)
        place = np.searchsorted(known, np.arange(len(column)), side="right") - 1
        return column[known[np.maximum(place, 0)]]  # (rows,)

    def _step_column(self, unnamed: str | None) -> str | None:
        counters, counting_epochs = _counters(self._names())
        names = list(counters)
        if unnamed is not None and unnamed in self._names():
            names.append(unnamed)
        # Two counters in one log: the one with fewer gaps, then the finer one.
        if len(names) > 1:
            names.sort(key=lambda name: int(np.isnan(self._dense(name)).sum()))
        epochs = [name for name in names if name in counting_epochs]
        for name in names:
            if name in epochs or not epochs:
                return name
            if not _counts_inside(self._dense(name), self._dense(epochs[0])):
                return name
            return None  # both start again: only the row number grows
        return None


def _counts_inside(inner: NDArray[np.float64], epoch: NDArray[np.float64]) -> bool:
    """Tell whether a counter starts again with every new epoch, and only then."""
    both = np.isfinite(inner) & np.isfinite(epoch)
    back = np.diff(inner[both]) < 0
    new = np.diff(epoch[both]) > 0
    return bool(back.any() and not (back & ~new).any())
