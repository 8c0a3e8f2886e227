"""The columns of a table of rows: one schema for CSV, JSON lines and parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .as_json import row_to_dict

if TYPE_CHECKING:
    from pyarrow import Schema

    from ..archive import Row

SCHEMA_VERSION = 1  # goes up when a column is renamed, removed or changes its meaning


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    name : str
        The same in every format.
    kind : str
        Of its values; text in CSV joins several strings by ";".
    meaning : str
        In words.
    """

    name: str
    kind: Literal["text", "whole", "number", "texts"]
    meaning: str


_COLUMNS = (
    Column("run_id", "text", "which run: its path below the scored folder; occurs once"),
    Column("source", "text", "file, folder or URL of its log"),
    Column("format", "text", "which reader read it; empty where none could"),
    Column("status", "text", "ok or error"),
    Column("error", "text", "why there is no answer, or what of the log could not be read"),
    Column("cause", "text", "the most probable cause; empty where there is none"),
    Column("probability", "number", "of that cause, 0 to 1"),
    Column(
        "likely",
        "texts",
        "the causes that together hold the true one; how surely: coverage",
    ),
    Column("channels", "texts", "which of loss, val, grad_norm, lr were found"),
    Column("reason", "text", "why a run that could be read has no cause"),
    Column("evidence", "text", "facts measured on the curves, with their steps"),
    Column("n_points", "whole", "points of training loss"),
    Column("bundle", "text", "which trained predictor answered"),
    Column("coverage", "number", "share of runs whose likely causes hold the true one, 0 to 1"),
    Column("novelty", "number", "share of known runs that are less strange than this, 0 to 1"),
    Column("prior", "text", "prior over the causes: default, uniform, archive, or a file's name"),
    Column("limits", "text", "what the log cannot show, as it was sampled or smoothed"),
    Column("schema_version", "whole", "version of these columns"),
)


def schema_of(table: Iterable[Column], metadata: Mapping[str, str] | None = None) -> Schema:
    """Return the columns as parquet has them, with what they mean."""
    import pyarrow as pa

    kinds = {
        "text": pa.string(),
        "whole": pa.int64(),
        "number": pa.float64(),
        "texts": pa.list_(pa.string()),
    }
    return pa.schema(
        [pa.field(c.name, kinds[c.kind], metadata={"meaning": c.meaning}) for c in table],
        metadata=metadata,
    )


def columns(causes: Iterable[str]) -> tuple[Column, ...]:
    """List the columns of a table whose predictor knows some causes.

    Examples
    --------
    >>> [column.name for column in columns(["healthy"])][-2:]
    ['schema_version', 'p_healthy']
    """
    chances = (Column(f"p_{key}", "number", f"probability of {key}, 0 to 1") for key in causes)
    return (*_COLUMNS, *chances)


def to_record(row: Row) -> dict[str, Any]:
    """Put a row into the columns; what it has no value for is None, or [] for several texts."""
    whole = row_to_dict(row, advice=False)
    record = {column.name: whole[column.name] for column in _COLUMNS if column.name in whole}
    for name in ("evidence", "limits"):
        record[name] = "; ".join(fact["text"] for fact in whole[name])
    record["schema_version"] = SCHEMA_VERSION
    return record | {f"p_{key}": value for key, value in whole["probabilities"].items()}
