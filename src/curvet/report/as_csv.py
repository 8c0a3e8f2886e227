"""Rows -> CSV, one flat line for each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ..causes import CAUSES
from .columns import Column, columns, to_record

if TYPE_CHECKING:
    from ..archive import Row

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows_to_csv(rows: Sequence[Row], causes: Iterable[str] = CAUSES) -> str:
    """Return a header and one line per row; ``p_<cause>`` columns hold the probabilities.

    Parameters
    ----------
    rows : sequence of Row
        Of any status.
    causes : iterable of str
        Those that the predictor knows; others that a row has follow them.

    Returns
    -------
    str
        A text cell that a spreadsheet would take for a formula starts with an apostrophe.
    """
    records = [to_record(row) for row in rows]
    found = (key[2:] for record in records for key in record if key.startswith("p_"))
    stream = io.StringIO()
    table = columns(dict.fromkeys([*causes, *found]))
    write_header(stream, table)
    write_records(stream, table, records)
    return stream.getvalue()


def write_header(stream: TextIO, table: Sequence[Column]) -> None:
    """Write the names of the columns."""
    csv.writer(stream, lineterminator="\n").writerow([column.name for column in table])


def write_records(
    stream: TextIO, table: Sequence[Column], records: Iterable[Mapping[str, Any]]
) -> None:
    """Write one line per record; see `columns.to_record`."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_cell(record.get(column.name)) for column in table] for record in records)


def without_guard(text: Any) -> Any:
    """Take off the apostrophe that keeps a spreadsheet from taking a text for a formula.

    Examples
    --------
    >>> without_guard("'=1"), without_guard("'til")
    ('=1', "'til")
    """
    guarded = isinstance(text, str) and text.startswith("'") and _needs_guard(text)
    return text[1:] if guarded else text


def _needs_guard(text: str) -> bool:
    """Tell formulas, and also those with apostrophes before them, so that one can be taken off."""
    return text.lstrip("'").startswith(_FORMULA)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = ";".join(value)
    if not isinstance(value, str):
        return "" if value is None else value
    # A file name need not be UTF-8; its stray bytes must not stop the output.
    text = value.encode("utf-8", "backslashreplace").decode("utf-8")
    guarded = f"'{text}" if _needs_guard(text) else text
    return guarded.replace("\r", "\n")  # csv before Python 3.13 does not quote a lone "\r"
