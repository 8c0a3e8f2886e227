"""Files of labels -> rows: CSV, JSON lines, JSON and parquet.

They may come from anybody: sizes are limited before anything is parsed.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..causes.team import TeamCause, by_key
from ..errors import LabelError
from ..report.as_csv import without_guard
from .exchange import label_studio
from .rows import NAMES, NEEDED, Entry, OnBad, Tell, refuse

MAX_BYTES = 100_000_000
MAX_LINE = 1_000_000  # letters
JSON_FORMAT = 1
_KNOWN = {b"PK": "a zip file or a spreadsheet", b"\x80": "a pickle", b"\x1f\x8b": "a gzip file"}


def read_text(path: Path) -> str:
    """Read a text file.

    Raises
    ------
    LabelError
        No text, or none in UTF-8.
    """
    data = path.read_bytes()
    head = next((words for magic, words in _KNOWN.items() if data.startswith(magic)), "")
    if not head and data.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = "UTF-16 text"
    if not head and b"\0" in data:
        head = "a file with NUL bytes, so no text"
    if head:
        raise LabelError(f"{path}: {head}; accepted is text in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LabelError(
            f"{path}, line {line}: byte {data[error.start]:#04x} is no UTF-8; accepted is text in "
            'UTF-8: from a spreadsheet, save as "CSV UTF-8"'
        ) from error


Found = tuple[Iterator[Entry], dict[str, TeamCause]]


def _csv(path: Path, on_bad: OnBad | None, tell: Tell) -> Found:
    text = read_text(path)
    return _csv_entries(path, text, on_bad, tell), {}


def _csv_entries(path: Path, text: str, on_bad: OnBad | None, tell: Tell) -> Iterator[Entry]:
    first = text.partition("\n")[0].rstrip("\r")
    if len(first) > MAX_LINE:
        raise LabelError(
            f"{path}, line 1: {len(first):,} letters; accepted is a line that names the columns "
            f"{' and '.join(NEEDED)}"
        )
    headers = {mark: _header(first, mark) for mark in (",", ";", "\t")}
    mark = next((mark for mark, names in headers.items() if set(NEEDED) <= set(names)), None)
    if mark is None:
        raise LabelError(
            f"{path}, line 1: {first!r:.200} does not name the columns {' and '.join(NEEDED)}; "
            f"accepted is a first line with names of {', '.join(NAMES)} in any order, between "
            "commas, semicolons or tabs"
        )
    names = headers[mark]
    if twice := {name for name in names if name in NAMES and names.count(name) > 1}:
        raise LabelError(f"{path}, line 1: the column {min(twice)} is there twice; keep one")
    if others := [name for name in names if name not in NAMES]:
        tell(f"{path}: columns that are not part of a label are left out: {', '.join(others):.300}")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    next(reader)
    while True:
        place = f"{path}, line {reader.line_num + 1}"
        try:
            cells = next(reader, None)
        except csv.Error as error:
            bad = LabelError(
                f"{place}: no row of a table ({error}); accepted are cells between {mark!r}, in "
                'quotes where they hold one, and not longer than 131,072 letters; "" for a quote'
            )
            refuse(bad, on_bad)
            continue
        if cells is None:
            return
        if not any(cells):
            continue
        if len(cells) < len(names) or any(cells[len(names) :]):
            bad = LabelError(
                f"{place}: {len(cells)} cells; accepted are {len(names)}, as in the first line"
            )
            refuse(bad, on_bad)
            continue
        pairs = zip(names, map(without_guard, cells), strict=False)
        yield place, {name: cell for name, cell in pairs if name in NAMES}


def _header(line: str, mark: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=mark), [])
    except csv.Error:
        return []
    return [cell.strip().casefold() for cell in cells]


def _jsonl(path: Path, on_bad: OnBad | None, tell: Tell) -> Found:
    text = read_text(path)
    return _known(_json_lines(path, text, on_bad), path, tell), {}


def _json_lines(path: Path, text: str, on_bad: OnBad | None) -> Iterator[Entry]:
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise ValueError(f"a line of {len(line):,} letters, at most {MAX_LINE:,}")
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError(f"a {type(record).__name__}")
        except (ValueError, RecursionError) as error:
            bad = LabelError(
                f"{place}: {line.strip()[:80]!r} is no JSON object ({error!s:.120}); accepted is "
                'one object a line, as in {"run_id": "7", "cause": "lr_too_high"}'
            )
            refuse(bad, on_bad)
            continue
        yield place, record


def _json(path: Path, on_bad: OnBad | None, tell: Tell) -> Found:
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: no JSON ({error!s:.200}); copy or export it again") from error
    if label_studio.is_export(content):
        return label_studio.entries(str(path), content, on_bad), {}
    rows = content.get("labels") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise LabelError(
            f"{path}: neither a list of labels nor an object with the key labels; accepted is what "
            "`curvet labels export` writes, or Label Studio's export as JSON"
        )
    own: dict[str, TeamCause] = {}
    if isinstance(content, dict):
        made_by = content.get("curvet_labels", JSON_FORMAT)
        if made_by != JSON_FORMAT:
            raise LabelError(
                f"{path}: labels of format {made_by!r:.40}, this curvet reads {JSON_FORMAT}; "
                "install the newer curvet that wrote them"
            )
        own = causes_of(path, content.get("causes", {}))
    return _known(_json_rows(path, rows, on_bad), path, tell), own


def _json_rows(path: Path, rows: list[Any], on_bad: OnBad | None) -> Iterator[Entry]:
    for number, row in enumerate(rows, 1):
        if isinstance(row, dict):
            yield f"{path}, label {number}", row
            continue
        bad = LabelError(f"{path}, label {number}: {row!r:.80}; accepted: an object with run_id")
        refuse(bad, on_bad)


def _known(entries: Iterator[Entry], path: Path, tell: Tell) -> Iterator[Entry]:
    """Leave out what is no part of a label, and tell its names once, at the end."""
    others: dict[str, None] = {}
    for place, record in entries:
        if len(others) < 20:
            others |= dict.fromkeys(str(name) for name in record if name not in NAMES)
        yield place, {name: record[name] for name in NAMES if name in record}
    if others:
        tell(f"{path}: keys that are not part of a label are left out: {', '.join(others):.300}")


def _parquet(path: Path, on_bad: OnBad | None, tell: Tell) -> Found:
    return _parquet_entries(path, tell), {}


def _parquet_entries(path: Path, tell: Tell) -> Iterator[Entry]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if missing := [name for name in NEEDED if name not in names]:
                found = f"without the column {' and '.join(missing)}"
                raise LabelError(f"{path}: {found}; accepted are {', '.join(NAMES)}")
            if others := [name for name in names if name not in NAMES]:
                told = ", ".join(others)
                tell(f"{path}: columns that are not part of a label are left out: {told:.300}")
            number = size = 0
            kept = [name for name in names if name in NAMES]
            for batch in file.iter_batches(batch_size=256, columns=kept):
                size += sum(_unpacked(path, *column) for column in zip(kept, batch, strict=True))
                if size > MAX_BYTES:
                    raise LabelError(f"{path}: more than {MAX_BYTES / 1e6:,.0f} MB once unpacked")
                for record in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", record
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LabelError(f"{path}: no readable parquet file ({error!s:.200})") from error


def _unpacked(path: Path, name: str, column: Any) -> int:
    """Return the bytes of some cells of a column; a small file may stand for a large table."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        if pa.types.is_primitive(kind) or pa.types.is_null(kind):
            return int(column.nbytes)
        raise LabelError(f"{path}: the column {name} holds {kind}; accepted are texts and numbers")
    sizes = pc.binary_length(getattr(column, "dictionary", column))
    if (pc.max(sizes).as_py() or 0) > MAX_LINE:
        raise LabelError(f"{path}: a {name} of more than {MAX_LINE:,} bytes")
    if pa.types.is_dictionary(column.type):
        sizes = sizes.take(column.indices)
    return int(pc.sum(sizes).as_py() or 0)


def causes_of(path: Path, content: Any) -> dict[str, TeamCause]:
    """Return the causes of a team that JSON describes.

    Raises
    ------
    LabelError
        Anything else.
    """
    accepted = '{"repeated_shard": {"title": "...", "sign": "...", "remedies": ["..."]}}'
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise LabelError(f"{path}: no causes of a team; accepted: {accepted}")
    try:
        return by_key(TeamCause.of(key, plain) for key, plain in content.items())
    except (LabelError, TypeError) as error:
        raise LabelError(f"{path}: {error}; accepted: {accepted}") from error


PARSERS: dict[str, Callable[[Path, OnBad | None, Tell], Found]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
}
"""By the ending of the file: gives its rows, and the causes of the team that it defines."""
