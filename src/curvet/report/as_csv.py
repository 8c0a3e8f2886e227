"""Rows -> CSV, one flat line for each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..causes import CAUSES
from .as_json import row_to_dict

if TYPE_CHECKING:
    from ..archive import Row

_PLAIN = ("run_id", "source", "format", "status", "error", "cause", "probability")
_JOINED = ("likely", "channels")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows_to_csv(rows: Sequence[Row]) -> str:
    """Return a header and one line per row; ``p_<cause>`` columns hold the probabilities.

    Parameters
    ----------
    rows : sequence of Row
        Of any status.

    Returns
    -------
    str
        A text cell that a spreadsheet would take for a formula starts with an apostrophe.
    """
    records = [row_to_dict(row) for row in rows]
    known = dict.fromkeys(
        [*CAUSES, *(key for record in records for key in record["probabilities"])]
    )
    header = [*_PLAIN, *_JOINED, "reason", "evidence", "n_points", "bundle"]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*header, *(f"p_{key}" for key in known)])
    for record in records:
        flat = {key: record[key] for key in (*_PLAIN, "reason", "n_points", "bundle")}
        flat |= {key: ";".join(record[key]) for key in _JOINED}
        flat["evidence"] = "; ".join(fact["text"] for fact in record["evidence"])
        chances = [record["probabilities"].get(key) for key in known]
        writer.writerow(
            [_cell(flat[key]) for key in header] + [_cell(chance) for chance in chances]
        )
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return "" if value is None else value
    # A file name need not be UTF-8; its stray bytes must not stop the output.
    text = value.encode("utf-8", "backslashreplace").decode("utf-8")
    guarded = f"'{text}" if text.startswith(_FORMULA) else text
    return guarded.replace("\r", "\n")  # csv before Python 3.13 does not quote a lone "\r"
