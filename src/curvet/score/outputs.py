"""Records -> a file of the asked-for format, complete or not there at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..causes import TeamCause
from ..errors import ScoreError
from ..report.as_csv import write_header, write_records
from ..report.columns import SCHEMA_VERSION, Column, schema_of
from ..whole import whole

TEAM_CAUSES = "curvet.team_causes"
"""Key of the metadata of a parquet file: a team's words for causes of its own, as JSON."""

Write = Callable[[Sequence[Mapping[str, Any]]], None]
Words = Mapping[str, TeamCause]


def prepare(path: Path) -> None:
    """Make the folder of an output.

    Raises
    ------
    ScoreError
        The name's ending names no format, or the folder cannot be made.
    """
    if path.suffix.casefold() not in _WRITERS:
        raise ScoreError(
            f"{path}: the ending {path.suffix!r} names no format; accepted: "
            f"{', '.join(sorted(_WRITERS))}"
        )
    if path.is_dir():
        raise ScoreError(f"{path}: a folder; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScoreError(
            f"{path}: its folder cannot be made ({error.strerror}); choose another"
        ) from error


def write(
    path: Path,
    table: Sequence[Column],
    parts: Iterable[Sequence[Mapping[str, Any]]],
    team_causes: Mapping[str, TeamCause] = MappingProxyType({}),
) -> None:
    """Write records part by part.

    Parameters
    ----------
    path : Path
        Takes its name only when it is complete.
    table : sequence of Column
        What is written of each record.
    parts : iterable of sequence of mappings
        Records; one part at a time is held.
    team_causes : mapping of str to TeamCause
        A team's words for causes of its own, which parquet keeps beside its columns.

    Raises
    ------
    ScoreError
        The file cannot be written: a full disk, no permission.
    """
    writer = _WRITERS[path.suffix.casefold()]
    try:
        with whole(path) as unfinished, writer(unfinished, table, team_causes) as add:
            for part in parts:
                add(part)
    except OSError as error:
        raise ScoreError(
            f"{path}: cannot be written ({error.strerror or error}); nothing that was scored is "
            "lost: make room or choose a folder that can be written to, and repeat the command"
        ) from error


@contextmanager
def _csv(path: Path, table: Sequence[Column], words: Words) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_header(stream, table)
        yield lambda records: write_records(stream, table, records)


@contextmanager
def _jsonl(path: Path, table: Sequence[Column], words: Words) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", errors="backslashreplace") as stream:

        def add(records: Sequence[Mapping[str, Any]]) -> None:
            for record in records:
                line = {column.name: record.get(column.name) for column in table}
                stream.write(json.dumps(line, allow_nan=False) + "\n")

        yield add


@contextmanager
def _parquet(path: Path, table: Sequence[Column], words: Words) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = {key: cause.to_dict() for key, cause in words.items()}
    told = {TEAM_CAUSES: json.dumps(plain)} if plain else {}
    schema = schema_of(table, {"curvet.schema_version": str(SCHEMA_VERSION), **told})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def add(records: Sequence[Mapping[str, Any]]) -> None:
            whole = [{c.name: _text(record.get(c.name)) for c in table} for record in records]
            writer.write_table(pa.Table.from_pylist(whole, schema))

        yield add


def _text(value: Any) -> Any:
    """Make the texts UTF-8, as parquet wants them; a file name need not be."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value


_WRITERS = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
