"""Lines of plain numbers, all at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FOREIGN = b'"#_\r\t;|,'  # not in a plain cell, though Python's float bears some of them
_WORTH = 2**23  # bytes from which on compiled code is loaded: it saves as much time as that takes

_seen = 0


def rows_of_numbers(body: bytes, mark: bytes, width: int) -> NDArray[np.float64] | None:
    r"""Read lines whose cells are all numbers.

    Parameters
    ----------
    body : bytes
        Lines that end in "\n".
    mark : bytes
        The character between two cells: a comma or a tab.
    width : int
        Cells in each line.

    Returns
    -------
    array of shape (column, row) or None
        Each number as Python's float reads it. None where a line has another width, or a cell is
        no number or holds quotes, underscores, or what stands between the cells of other tables.

    Examples
    --------
    >>> rows_of_numbers(b"0,2.5\n1,nan\n", b",", 2)
    array([[0. , 1. ],
           [2.5, nan]])
    >>> rows_of_numbers(b"0,2.5\n1\n", b",", 2) is None
    True
    """
    global _seen
    if not body.endswith(b"\n"):
        return None
    _seen += len(body)
    read = _compiled if _seen > _WORTH else _simple
    try:
        return read(body, mark, width)
    except ValueError:
        return None


def _simple(body: bytes, mark: bytes, width: int) -> NDArray[np.float64] | None:
    if any(sign in body for sign in _FOREIGN.replace(mark, b"")):
        return None
    n, characters = body.count(b"\n"), np.frombuffer(body, np.uint8)
    ends = np.flatnonzero((characters == mark[0]) | (characters == ord("\n")))
    if len(ends) != n * width or not (characters[ends[width - 1 :: width]] == ord("\n")).all():
        return None
    cells = map(float, body[:-1].replace(b"\n", mark).split(mark))
    return np.fromiter(cells, np.float64, n * width).reshape(n, width).T.copy()


def _compiled(body: bytes, mark: bytes, width: int) -> NDArray[np.float64] | None:
    from ..compiled.decimals import EXACT, POWERS, lines, rows

    characters, count = np.frombuffer(body, np.uint8), np.empty(1, np.int64)
    lines(characters, count)
    n = int(count[0])
    cells, left = np.empty((width, n)), np.empty((width * n, 4), np.int64)
    rows(characters, mark[0], POWERS, EXACT, cells, left, count)
    found = int(count[0])
    for column, row, begin, end in left[: max(found, 0)].tolist():
        cells[column, row] = _number(body[begin:end])
    return None if found < 0 else cells


def _number(cell: bytes) -> float:
    if any(sign in cell for sign in _FOREIGN):
        raise ValueError("no plain number")
    return float(cell)
