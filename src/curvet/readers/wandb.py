"""W&B's transaction log, run-<id>.wandb: what was logged, offline or on its way to the server.

The file is a LevelDB log (blocks of 32 KiB, records cut into pieces) of protocol buffers.

- The folder that W&B makes for a run is one run, and everything in it belongs to it: the console
  output and the summary repeat what the log holds.
- A last record that was cut off ends the file, and so do zeros. A damaged record ends it, too,
  with an error after the values before it were given.
- Only numbers are read; W&B's own clocks, pictures, tables and histograms are passed over.
- A resumed run has a folder for each part, and each is a run here.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ReadError
from ..run import Run
from .base import Reader
from .habits import stored
from .protobuf import Message, WireError, fields, signed
from .series import Series
from .text import value

HEADER = b":W&B\xe1\xbe\0"
BLOCK = 32 * 1024  # bytes
ACCEPTED = "W&B files with logged numbers are read"
_FOLDER = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(.+)")
_DEPTH = 8  # folders that may lie between a file and that of its run
_SHORT_NAMES = frozenset(bytes([tag, size]) for tag in (0x0A, 0x12) for size in range(0x80))
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
CLOCKS = frozenset({"_step", "_runtime", "_timestamp", "_wandb"})


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of one file, put together from their pieces.

    Raises
    ------
    ReadError
        A piece whose checksum is wrong, or pieces that do not fit.
    """
    with path.open("rb") as file:
        start, parts = 0, list[bytes]()
        while block := file.read(BLOCK):
            place = len(HEADER) if start == 0 else 0
            while place + 7 <= len(block):
                checksum, size, kind = struct.unpack_from("<IHB", block, place)
                end = place + 7 + size
                if kind == 0 and size == 0:
                    break  # room that was reserved and not written
                if end > len(block):
                    if len(block) < BLOCK:
                        return  # cut off while it was written
                    raise _damaged(path, start + place)
                piece = block[place + 7 : end]
                fits = kind in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST))
                if not fits or zlib.crc32(block[place + 6 : end]) != checksum:
                    raise _damaged(path, start + place)
                parts.append(piece)
                if kind in (_WHOLE, _LAST):
                    yield b"".join(parts)
                    parts.clear()
                place = end
            start += len(block)


def read_tags(path: Path) -> tuple[tuple[str, ...], float]:
    """Return the tags of a run, as they were set last, and when it began, in seconds since 1970.

    Raises
    ------
    ReadError
        A damaged file.
    """
    tags: tuple[str, ...] = ()
    began = 0.0
    try:
        for record in records(path):
            for number, _, content in fields(record):
                if number == 17 and isinstance(content, bytes):
                    run = Message.of(content)
                    named = [tag for tag in run.every(10) if isinstance(tag, bytes)]
                    tags = tuple(tag.decode("utf-8", errors="replace") for tag in named)
                    began = _seconds(run.last(17)) or began
    except WireError as error:
        raise ReadError(path, f"a damaged record ({error})", "copy the file again") from error
    return tags, began


def _seconds(stamp: bytes | None) -> float:
    message = Message.of(stamp or b"")
    return message.integer(1) + message.integer(2) / 1e9


def _damaged(path: Path, place: int) -> ReadError:
    return ReadError(
        path,
        f"damaged at byte {place} of {path.stat().st_size}; the values before it are read",
        "copy the file again",
    )


def _add_history(content: bytes, series: Series) -> None:
    """Add one row: a HistoryRecord with its items."""
    step: float | None = None
    cells: list[tuple[str, float]] = []
    for number, _, inner in fields(content):
        if number == 1 and isinstance(inner, bytes):
            key, text = _item(inner)
            if key == "_step":
                step = _number(text)
            elif key not in CLOCKS:
                cells += _cells(key, text)
        elif number == 2 and isinstance(inner, bytes) and step is None:
            step = next((float(signed(n)) for f, _, n in fields(inner) if f == 1 and
                         isinstance(n, int)), 0.0)  # fmt: skip
    for key, cell in cells:
        series.add(key, 0.0 if step is None else step, cell)


def _item(content: bytes) -> tuple[str, bytes]:
    """Return the name and the JSON of a HistoryItem; releases differ in where the name is."""
    if len(content) < 0x80 and content[:2] in _SHORT_NAMES:  # nearly all: one name, one value
        end = 2 + content[1]
        if content[end : end + 3] == bytes((0x82, 0x01, max(0, len(content) - end - 3))):
            return content[2:end].decode("utf-8", errors="replace"), content[end + 3 :]
    names, text = [], b""
    for number, _, inner in fields(content):
        if number == 16 and isinstance(inner, bytes):
            text = inner
        elif number in (1, 2) and isinstance(inner, bytes):
            names.append(inner.decode("utf-8", errors="replace"))
    return ".".join(names), text


def _cells(key: str, text: bytes) -> Iterator[tuple[str, float]]:
    number = _number(text)
    if number is not None:
        yield key, number
    elif text.startswith(b"{"):
        try:
            yield from nested(key, json.loads(text))
        except (ValueError, RecursionError):
            return


def _number(text: bytes) -> float | None:
    """Read a JSON number, also NaN and Infinity, also as a string; None for all else."""
    try:
        return float(text)
    except ValueError:
        quoted = len(text) < 100 and text.startswith(b'"') and text.endswith(b'"')
        return value(text[1:-1].decode("utf-8", errors="replace")) if quoted else None


def nested(key: str, item: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Name nested numbers as W&B does, "train.loss"; what has a type is a picture or the like."""
    if "_type" in item:
        return
    for name, inner in item.items():
        if isinstance(inner, dict):
            yield from nested(f"{key}.{name}", inner)
        elif (number := value(inner)) is not None:
            yield f"{key}.{name}", number


def _folder(path: Path) -> Path | None:
    """Return the folder that W&B made for the run of a file, None outside of one."""
    if "run-" not in str(path):  # most files
        return None
    for place, name in enumerate(path.parts[-2 : -_DEPTH - 2 : -1]):  # upwards
        if named := _FOLDER.fullmatch(name):
            folder = path.parents[place]
            return folder if (folder / f"run-{named[1]}.wandb").exists() else None
    return None


def _matches(path: Path, head: bytes) -> bool:
    return head.startswith(HEADER) or (bool(head) and _folder(path) is not None)


def _unit(path: Path) -> Path:
    return _folder(path) or path


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    folder = _folder(paths[0])
    logs = [path for path in paths if path.suffix == ".wandb" or folder is None]
    for path in logs or sorted(folder.glob("run-*.wandb") if folder else ()):
        yield from _read_log(path)


def _read_log(path: Path) -> Iterator[Run]:
    series = Series()
    failed: ReadError | None = None
    try:
        for record in records(path):
            for number, _, content in fields(record):
                if number == 2 and isinstance(content, bytes):
                    _add_history(content, series)
    except WireError as error:
        found = f"a damaged record ({error}); the values before it are read"
        failed = ReadError(path, found, ACCEPTED)
    except ReadError as error:
        failed = error
    if series:
        yield Run("", str(path), series.curves())
    if failed:
        raise failed
    if not series:
        raise ReadError(path, "a W&B file without any logged number", ACCEPTED)


READER = Reader(
    name="wandb",
    accepts="W&B files (run-*.wandb)",
    matches=_matches,
    read=_read,
    logging=stored("https://docs.wandb.ai/guides/track/log"),
    unit=_unit,
)
