"""TensorBoard event files, read without TensorBoard: TFRecord frames around protocol buffers.

One folder is one run. Joined to it are the sub-folders that loggers make for the same run:
"train" and "validation" of Keras, those of torch's ``add_scalars`` and ``add_hparams``.

- Files follow each other by the time of their first event; values stay as written, also where a
  resumed run repeats steps.
- A last record that was cut off ends the file. A damaged record ends it, too, with an error after
  the values before it were given. The checksums of the contents are not verified.
- Only scalars are read: pictures, texts and histograms are passed over.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import ReadError
from ..run import Curve, Run
from .base import Reader
from .protobuf import Message, WireError, fields, packed, signed
from .text import HEAD

RECORD_LIMIT = 64 * 2**20  # bytes; larger records hold graphs or pictures and are passed over
_SPLITS = frozenset({"train", "validation", "eval", "val", "valid", "test"})
_HPARAMS = re.compile(r"\d{9,}\.\d+")  # add_hparams calls its folder by the time
ACCEPTED = "event files with scalars are read"


@dataclass(slots=True)
class _Series:
    """One tag of one folder, as far as it is read."""

    step: array[float] = field(default_factory=lambda: array("d"))
    value: array[float] = field(default_factory=lambda: array("d"))


def _checksum(data: bytes) -> int:
    """Masked CRC-32C, bit by bit: for the 8 bytes of a length that is fast enough."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path) -> Iterator[bytes]:
    """Yield the contents of the records of one event file.

    Raises
    ------
    ReadError
        A record whose length does not agree with its checksum.
    """
    size = path.stat().st_size
    checked: dict[bytes, int] = {}  # few lengths occur in one file
    with path.open("rb") as file:
        while len(frame := file.read(12)) == 12:
            length = int.from_bytes(frame[:8], "little")
            if frame[:8] not in checked:
                checked[frame[:8]] = _checksum(frame[:8])
            if checked[frame[:8]] != int.from_bytes(frame[8:], "little"):
                raise ReadError(
                    path,
                    f"damaged at byte {file.tell() - 12} of {size}; the values before it are read",
                    "write or copy the file again",
                )
            if length + 4 > size - file.tell():
                return  # cut off while it was written
            if length > RECORD_LIMIT:
                file.seek(length + 4, 1)
                continue
            yield file.read(length)
            file.seek(4, 1)


def _read_file(path: Path, series: dict[str, _Series], ignored: set[str]) -> None:
    for record in records(path):
        try:
            step, summaries = 0.0, []
            for number, _, content in fields(record):
                if number == 2 and isinstance(content, int):
                    step = float(signed(content))
                elif number == 5 and isinstance(content, bytes):
                    summaries.append(content)
            for summary in summaries:
                for number, _, content in fields(summary):
                    if number == 1 and isinstance(content, bytes):
                        _add_value(content, step, series, ignored)
        except WireError as error:
            raise ReadError(
                path, f"a damaged record ({error}); the values before it are read", ACCEPTED
            ) from error


def _add_value(content: bytes, step: float, series: dict[str, _Series], ignored: set[str]) -> None:
    message = Message.of(content)
    tag = message.text(1)
    if metadata := message.last(9):
        plugin = Message.of(Message.of(metadata).last(1) or b"").text(1)
        if plugin not in ("", "scalars"):
            ignored.add(tag)  # only the first value of a tag names its plug-in
    if tag in ignored:
        return
    simple, tensor = message.fixed(2), message.last(8)
    number = simple if simple is not None else _scalar(tensor) if tensor else None
    if number is not None:
        one = series.setdefault(tag, _Series())
        one.step.append(step)
        one.value.append(number)


# TensorProto: dtype -> (numpy type of tensor_content, number of the field with loose values)
_TENSORS: dict[int, tuple[str, int]] = {
    1: ("<f4", 5),
    2: ("<f8", 6),
    3: ("<i4", 7),
    4: ("u1", 7),
    5: ("<i2", 7),
    6: ("i1", 7),
    9: ("<i8", 10),
    10: ("?", 11),
    14: ("bfloat16", 13),
    17: ("<u2", 7),
    19: ("<f2", 13),
    22: ("<u4", 16),
    23: ("<u8", 17),
}


def _scalar(tensor: bytes) -> float | None:
    """Return the number of a tensor without dimensions, else None."""
    message = Message.of(tensor)
    dtype = message.integer(1)
    if dtype not in _TENSORS or Message.of(message.last(2) or b"").has(2):
        return None
    kind, loose = _TENSORS[dtype]
    raw = message.last(4)
    if raw is None:
        values = packed(message.every(loose), kind)
        if not values:
            return 0.0  # a protocol buffer leaves zeros out
        if kind in ("bfloat16", "<f2"):
            raw = struct.pack("<H", int(values[0]) & 0xFFFF)
        else:
            return values[0]
    if kind == "bfloat16":
        raw, kind = b"\0\0" + raw, "<f4"
    array_ = np.frombuffer(raw, dtype=kind) if len(raw) == np.dtype(kind).itemsize else None
    return None if array_ is None else float(array_[0])


def _first_time(path: Path) -> float:
    """Return the wall time of the first event, or that in the file name."""
    for record in records(path):
        for number, wire, content in fields(record):
            if number == 1 and wire == 1 and isinstance(content, bytes):
                return float(struct.unpack("<d", content)[0])
        break
    return 0.0


def _sorted_by_time(paths: Sequence[Path]) -> list[Path]:
    times = []
    for path in paths:
        try:
            times.append((_first_time(path), path.name, path))
        except (ReadError, WireError):
            times.append((0.0, path.name, path))  # its damage is told when it is read
    return [path for _, _, path in sorted(times)]


def _first_tag(folder: Path) -> str | None:
    """Return the tag of the first scalar within the first bytes of a folder's event files."""
    for path in sorted(folder.glob("*tfevents*")):
        series: dict[str, _Series] = {}
        try:
            if path.stat().st_size <= HEAD * 16:
                _read_file(path, series, set())
        except (ReadError, OSError):
            pass
        if series:
            return next(iter(series)) if len(series) == 1 else None
    return None


def _split_prefix(folder: Path) -> str:
    """Return what a sub-folder adds to the tags of its run: "train/", or "" for a run's own."""
    if folder.name == "train":
        return "train/"
    if folder.name in _SPLITS and (_has_events(folder.parent / "train") or
                                   _has_events(folder.parent)):  # fmt: skip
        return f"{folder.name}/"
    return ""


def _scalars_tag(folder: Path) -> str:
    """Return "Loss/val" for a folder "Loss_val" that ``add_scalars("Loss", ...)`` made."""
    if not _has_events(folder.parent):
        return ""
    tag = _first_tag(folder)
    if tag is None:
        return ""
    start = tag.replace("/", "_") + "_"
    return f"{tag}/{folder.name[len(start) :]}" if folder.name.startswith(start) else ""


def _has_events(folder: Path) -> bool:
    return _has_events_now(folder, folder.stat().st_mtime_ns) if folder.is_dir() else False


@lru_cache(maxsize=1024)  # a folder of ten thousand runs is not listed ten thousand times
def _has_events_now(folder: Path, changed: int) -> bool:
    return next(folder.glob("*tfevents*"), None) is not None


def _unit(path: Path) -> Path:
    folder = path.parent
    joined = (
        _split_prefix(folder)
        or (_HPARAMS.fullmatch(folder.name) and _has_events(folder.parent))
        or _scalars_tag(folder)
    )
    return folder.parent if joined else folder


def _matches(path: Path, head: bytes) -> bool:
    return bool(head) and ("tfevents" in path.name or head[12:60].find(b"brain.Event:") >= 0)


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    curves: dict[str, Curve] = {}
    errors: list[ReadError] = []
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    units = {_unit(path) for path in paths}
    for folder, inside in folders.items():
        series: dict[str, _Series] = {}
        ignored: set[str] = set()
        for path in _sorted_by_time(inside):
            try:
                _read_file(path, series, ignored)
            except ReadError as error:
                errors.append(error)
        prefix = "" if folder in units else _split_prefix(folder)
        scalars = "" if folder in units or prefix else _scalars_tag(folder)
        for tag, one in series.items():
            name = scalars or prefix + tag
            curves[name] = Curve(name, np.array(one.step), np.array(one.value))
    if curves:
        yield Run("", str(paths[0] if len(paths) == 1 else next(iter(units))), curves)
    if errors:
        raise errors[0]
    if not curves:
        raise _no_scalars(paths)


def _no_scalars(paths: Sequence[Path]) -> ReadError:
    many = f"{len(paths)} event files" if len(paths) > 1 else "an event file"
    return ReadError(paths[0], f"{many} without any scalar", ACCEPTED)


READER = Reader(
    name="tensorboard",
    accepts="TensorBoard event files (*tfevents*)",
    matches=_matches,
    read=_read,
    unit=_unit,
)
