"""How the cells of a text table stand: its delimiter and its header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ReadError
from .rows import plain
from .text import number

ACCEPTED = "a table has a header and numbers, one row a step (or step, tag, value)"
_DELIMITERS = "\t;,|"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the cells of one table stand.

    Parameters
    ----------
    delimiter : str
        "" for any white space.
    header : sequence of str
        Column names without padding; made up where the file has none.
    named : bool
        Whether the first line is the header (and no comment).
    unnamed : str or None
        The made-up name of a first column without a name.
    written : sequence of str
        The header as it stands in the file.
    """

    delimiter: str
    header: Sequence[str]
    named: bool
    unnamed: str | None
    written: Sequence[str]

    def is_header(self, row: Sequence[str]) -> bool:
        """Tell whether a row repeats the header."""
        return (
            self.named
            and row[0].strip() == self.written[0]
            and [cell.strip() for cell in row[: len(self.written)]] == self.written
        )

    def index(self, names: frozenset[str]) -> int | None:
        """Return the place of the one column with one of the names."""
        found = [place for place, name in enumerate(self.header) if plain(name) in names]
        return found[0] if len(found) == 1 else None


def find_layout(path: Path, first: list[str]) -> Layout:
    """Find out how a table stands from its first lines.

    Parameters
    ----------
    path : Path
        Its name decides about tabs.
    first : list of str
        Lines that are not blank, comments among them.

    Raises
    ------
    ReadError
        No row, or two columns of one name.
    """
    if not first:
        raise ReadError(path, "a table without any row", ACCEPTED)
    comment = ""
    while len(first) > 1 and first[0].startswith("#"):
        comment, *first = first
    delimiter = _delimiter(path, first)
    width = len(split_cells(first[0], delimiter))
    named = not comment or len(split_cells(comment.lstrip("# "), delimiter)) != width
    line = first[0] if named else comment.lstrip("# ")  # numpy writes its header as a comment
    header = [cell.strip() for cell in split_cells(line, delimiter)]
    while len(header) > 1 and not header[-1]:
        header.pop()  # a delimiter at the end of the line
    if all(is_number(cell) for cell in header):
        counted = len(header) > 1 and _counts(first, delimiter)
        names = [f"column {place}" for place in range(1, len(header) + 1)]
        names = ["value"] if len(names) == 1 else ["step", *names[1:]] if counted else names
        return Layout(delimiter, names, False, None, header)
    written, unnamed = list(header), None
    for place, name in enumerate(header):
        if not name or re.fullmatch(r"Unnamed: \d+", name):
            header[place] = f"column {place + 1}"
            unnamed = header[0] if place == 0 else unnamed
    for name, count in Counter(header).items():
        if count > 1:
            places = [str(place) for place, other in enumerate(header, 1) if other == name]
            found = f"columns {' and '.join(places)} are both called {name!r}"
            raise ReadError(path, found, "rename one")
    return Layout(delimiter, header, named, unnamed, written)


def _delimiter(path: Path, first: Sequence[str]) -> str:
    if path.suffix.casefold() == ".tsv":
        return "\t"
    best = (0, 0, ",")
    for delimiter in _DELIMITERS:
        if (width := len(split_cells(first[0], delimiter))) > 1:
            like = sum(len(split_cells(line, delimiter)) == width for line in first)
            best = max(best, (like, width, delimiter))
    if best[0] > 0:
        return best[2]
    counts = [len(line.split()) for line in first]
    # Words apart by spaces are a table only if there are as many numbers below each.
    return "" if counts[0] > 1 and len(set(counts)) == 1 and len(counts) > 1 else ","


def _counts(first: Sequence[str], delimiter: str) -> bool:
    """Tell whether the first cells are whole numbers that grow."""
    try:
        cells = [float(split_cells(line, delimiter)[0]) for line in first]
    except (ValueError, IndexError):
        return False
    return all(cell.is_integer() for cell in cells) and sorted(set(cells)) == cells


def split_cells(line: str, delimiter: str) -> list[str]:
    """Split one line by a delimiter, or by white space where it is "".

    Examples
    --------
    >>> split_cells('1,"2,5"', ","), split_cells("1  2.5", "")
    (['1', '2,5'], ['1', '2.5'])
    """
    if not delimiter:
        return line.split()
    if '"' not in line and "\r" not in line:
        return line.removesuffix("\n").split(delimiter)
    return next(csv.reader([line], delimiter=delimiter))


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number."""
    try:
        return number(cell) is not None
    except ValueError:
        return False
