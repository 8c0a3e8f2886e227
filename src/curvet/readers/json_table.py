"""JSON and JSON lines: lists of numbers by name, or one record a step.

- In a record, null was not logged. In a list it holds a place, so it becomes NaN. Bare NaN and
  Infinity, and numbers written as strings, are read as what they say.
- Names of nested objects are joined: ``{"train": {"loss": [...]}}`` becomes "train/loss".
- Each list keeps its own length; its steps are a list "step" or "epoch" of that length beside it,
  else 0, 1, 2, ...
- Several runs: a list of histories, an object of histories by name, or records with a "run".
- A last line that was cut off while it was written is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError, UnknownFormatError
from ..run import Curve, Run
from .base import Reader
from .habits import unknown
from .rows import RUN_NAMES, TAG_NAMES, VALUE_NAMES, Rows, plain, step_rank
from .text import first_line, head_lines, lines, value

SIZE_LIMIT = 256 * 2**20  # bytes; a document is held as a whole, so this bounds the memory
ACCEPTED = "lists of numbers by name, or records with a step and numbers"
_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
_MAYBE = frozenset({"", ".txt", ".log", ".out"})
_SPLITS = ("train", "training", "val", "valid", "validation", "eval", "dev", "test", "testing")


def parse(path: Path) -> Any:
    """Parse one JSON document.

    Raises
    ------
    ReadError
        Larger than `SIZE_LIMIT`, cut off, nested too deeply, or no JSON.
    """
    size = path.stat().st_size
    if size > SIZE_LIMIT:
        raise ReadError(
            path,
            f"a JSON document of {size // 2**20} MiB",
            f"up to {SIZE_LIMIT // 2**20} MiB are read; write JSON lines or CSV",
        )
    try:
        return json.loads(path.read_bytes())
    except RecursionError:
        raise ReadError(path, "JSON that is nested too deeply", ACCEPTED) from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip())
        found = "JSON that is cut off at the end" if cut else f"no valid JSON ({error})"
        raise ReadError(path, found, ACCEPTED) from error
    except ValueError as error:  # bytes that are no text, or an integer of thousands of digits
        raise ReadError(path, f"no valid JSON ({error!s:.100})", ACCEPTED) from error


def record_runs(
    path: Path, records: Iterable[Mapping[str, Any]], *, whole: bool = False
) -> Iterator[Run]:
    """Make runs of records, one a step.

    Parameters
    ----------
    path : Path
        Where they come from.
    records : iterable of mappings
        Of the form {"step": 1, "loss": 2.0, ...} or {"step": 1, "tag": "loss", "value": 2.0}.
    whole : bool
        Whether epochs that begin anew are of the same run.

    Yields
    ------
    Run
        Several, named by it, where the records have a "run".
    """
    runs: dict[str, Rows] = {}
    long = False
    for record in records:
        cells = dict(_flat(record, ""))
        names = {plain(name): name for name in cells}
        run = next((str(cells[names[key]]) for key in names if key in RUN_NAMES), "")
        tag = next((cells[names[key]] for key in names if key in TAG_NAMES), None)
        inner = next((names[key] for key in names if key in VALUE_NAMES), None)
        numbers = {
            name: number
            for name, cell in cells.items()
            if (number := value(cell)) is not None and plain(name) not in RUN_NAMES
        }
        if isinstance(tag, str) and inner in numbers:
            steps = {name: n for name, n in numbers.items() if step_rank(name) is not None}
            numbers, long = {**steps, tag: numbers[inner]}, True
        runs.setdefault(run, Rows()).add(numbers.items())
    for name, rows in runs.items():
        stacked = [rows] if long or whole else rows.runs()  # one series may stand below the other
        for number, one in enumerate(stacked, 1):
            if curves := one.curves():
                parts = [name] * (len(runs) > 1) + [str(number)] * (len(stacked) > 1)
                yield Run(".".join(parts), str(path), curves)


def _flat(item: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, inner in item.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", inner


def line_records(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a file with one a line; a last line that is cut off is left out.

    Raises
    ------
    ReadError
        A line that is no JSON.
    """
    for number, line in enumerate(lines(path), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if not line.endswith("\n"):
                return  # cut off while it was written
            raise ReadError(path, f"line {number} is no valid JSON ({error})", ACCEPTED) from error
        if isinstance(record, dict):
            yield record


def _document_runs(path: Path, item: Any) -> Iterator[Run]:
    source = str(path)
    if isinstance(item, dict):
        counted = _counted("value", item) if _is_counted(item) else {}
        runs = {"": counted} if counted else _named_runs(item) or {"": _curves(item)}
    elif isinstance(item, list) and item and all(isinstance(entry, dict) for entry in item):
        runs = {str(place): _curves(entry) for place, entry in enumerate(item)}
        if not any(runs.values()):
            yield from record_runs(path, item)
            return
        runs = {"": runs["0"]} if len(runs) == 1 else runs
    else:
        curve = _curve("value", item)
        runs = {"": {"value": curve} if curve else {}}
    for name, curves in runs.items():
        if curves:
            yield Run(name, source, curves)


def _named_runs(item: Mapping[str, Any]) -> dict[str, dict[str, Curve]]:
    """Tell {"run 1": {"loss": [...]}, "run 2": {"loss": [...]}} from series in groups."""
    if len(item) < 2 or not all(isinstance(inner, dict) for inner in item.values()):
        return {}
    sets = [plain(key).rstrip("0123456789") for key in item]  # boosting has valid_0, valid_1
    if any(name in _SPLITS or "loss" in name for name in sets) or _is_counted(item):
        return {}
    runs = {key: _curves(inner) for key, inner in item.items()}
    tags = {frozenset(curves) for curves in runs.values()}
    alike = len(tags) == 1 and any("loss" in plain(tag) for tag in next(iter(tags)))
    return runs if alike else {}


def _curves(item: Mapping[str, Any], prefix: str = "") -> dict[str, Curve]:
    """Gather the series below one object; anything else beside them is left out."""
    curves: dict[str, Curve] = {}
    lists = {key: list_ for key, inner in item.items() if (list_ := _numbers(inner)) is not None}
    ranked = sorted((rank, key) for key in lists if (rank := step_rank(key)) is not None)
    single = prefix and len(lists) - len(ranked) == 1 and len(ranked) > 0
    for key, inner in item.items():
        tag = f"{prefix}/{key}" if prefix else key
        if key in lists:
            if step_rank(key) is not None and len(lists) > len(ranked):
                continue
            steps = [lists[name] for _, name in ranked if len(lists[name]) == len(lists[key])]
            if single and plain(key).rstrip("s") in VALUE_NAMES:
                tag = prefix
            curves[tag] = Curve.of(tag, lists[key], steps[0] if steps else None)
        elif isinstance(inner, dict):
            curves |= _counted(tag, inner) if _is_counted(inner) else _curves(inner, tag)
        elif isinstance(inner, list) and inner and all(isinstance(row, dict) for row in inner):
            found = _record_curves(inner)
            curves |= {n if n not in curves else f"{tag}/{n}": c for n, c in found.items()}
        elif curve := _curve(tag, inner):
            curves[tag] = curve
    return curves


def _record_curves(records: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    runs = list(record_runs(Path(), records, whole=True))
    return dict(runs[0].curves) if len(runs) == 1 else {}


def _is_counted(item: Mapping[str, Any]) -> bool:
    return len(item) > 0 and all(key.isdecimal() for key in item)


def _counted(tag: str, item: Mapping[str, Any]) -> dict[str, Curve]:
    """Read {"0": 2.0, "1": 1.5}, as pandas writes a column, or {"0": {"loss": 2.0}, ...}."""
    if all(isinstance(inner, dict) for inner in item.values()):
        return _record_curves([{"step": int(key), **inner} for key, inner in item.items()])
    values = _numbers(list(item.values()))
    if values is None:
        return {}
    return {tag: Curve.of(tag, values, [float(key) for key in item])}


def _curve(tag: str, item: Any) -> Curve | None:
    """Read a list of numbers, of [step, value], or of TensorBoard's [wall time, step, value]."""
    if (flat := _numbers(item)) is not None:
        return Curve.of(tag, flat)
    if not isinstance(item, list) or not item:
        return None
    rows = [_numbers(row) for row in item]
    widths = {len(row) if row is not None else 0 for row in rows}
    if widths not in ({2}, {3}):
        return None
    table = np.array(rows, dtype=np.float64)  # (rows, 2 or 3)
    return Curve.of(tag, table[:, -1], table[:, -2])


def _numbers(item: Any) -> list[float] | None:
    """Return a list of numbers with NaN for null, or None where it is no such list."""
    if not isinstance(item, list) or not item:
        return None
    numbers = [float("nan") if entry is None else value(entry) for entry in item]
    if any(entry is None for entry in numbers) or all(entry is None for entry in item):
        return None
    return [entry for entry in numbers if entry is not None]


def _is_lines(path: Path) -> bool:
    if path.suffix.casefold() in {".jsonl", ".ndjson"}:
        return True
    with path.open("rb") as file:
        first, *others = head_lines(file.read(65_536)) or [""]
    try:
        return isinstance(json.loads(first), dict) and bool(others)
    except (ValueError, RecursionError):
        return False


def _matches(path: Path, head: bytes) -> bool:
    suffix = path.suffix.casefold()
    if suffix in _SUFFIXES:
        return bool(first_line(head))
    # A text log may hold records, too; a log of nothing but records is for this reader.
    if suffix not in _MAYBE or not (first := first_line(head).strip()).startswith("{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    for path in paths:
        runs = 0
        records = _is_lines(path)
        try:
            found = record_runs(path, line_records(path)) if records else None
            for run in found or _document_runs(path, parse(path)):
                runs += 1
                yield run
        except RecursionError:
            raise ReadError(path, "JSON that is nested too deeply", ACCEPTED) from None
        if not runs:
            kind = "JSON lines" if records else "a JSON document"
            raise UnknownFormatError(path, f"{kind} without any series of numbers", ACCEPTED)


READER = Reader(
    name="json_table",
    accepts="JSON or JSON lines with lists of numbers or records (.json, .jsonl)",
    matches=_matches,
    read=_read,
    logging=unknown("a table does not say which tool wrote it"),
    suffixes=_SUFFIXES | _MAYBE,
)
