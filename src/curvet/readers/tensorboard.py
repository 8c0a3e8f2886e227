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
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from ..run import Curve, Run
from .base import Reader
from .content import handed
from .habits import stored
from .protobuf import Message, WireError, fields, packed, signed, spans
from .text import HEAD

RECORD_LIMIT = 64 * 2**20  # bytes; larger records hold graphs or pictures and are passed over
_IN_MEMORY = 2**26  # bytes up to which a whole file is read
_SMALL = 1024  # bytes; records up to here may be read together
_LOOK = 16  # records after which it is looked whether their lengths repeat
_SPLITS = frozenset({"train", "validation", "eval", "val", "valid", "test"})
_HPARAMS = re.compile(r"\d{9,}\.\d+")  # add_hparams calls its folder by the time
ACCEPTED = "event files with scalars are read"


@dataclass(slots=True)
class _Series:
    """One tag of one folder, as far as it is read."""

    step: array[float] = field(default_factory=lambda: array("d"))
    value: array[float] = field(default_factory=lambda: array("d"))


@lru_cache(maxsize=4096)  # the same lengths come again in every file
def _checksum(data: bytes) -> int:
    """Masked CRC-32C, bit by bit: for the 8 bytes of a length that is fast enough."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@dataclass(slots=True)
class _Frames:
    """Where the records of a file begin and end, and the damage that ends them."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    damage: ReadError | None = None

    @classmethod
    def of(cls, path: Path, data: bytes | mmap, most: int = 2**62) -> _Frames:
        """Go from record to record: up to one whose length does not agree with its checksum."""
        begins, lengths = array("q"), array("q")
        damage, place, size = None, 0, len(data)
        known: dict[bytes, int] = {}  # few lengths occur in one file
        tried = 0  # records when it was last looked whether they repeat
        while place + 12 <= size and len(begins) < most:
            frame = data[place : place + 12]
            length = known.get(frame)
            if length is None:
                length = known[frame] = int.from_bytes(frame[:8], "little")
                if _checksum(frame[:8]) != int.from_bytes(frame[8:], "little"):
                    where = f"damaged at byte {place} of {size}; the values before it are read"
                    damage = ReadError(path, where, "write or copy the file again")
                    break
            begin, place = place + 12, place + 16 + length
            if place > size:
                break  # cut off while it was written
            if length > RECORD_LIMIT:
                continue
            begins.append(begin)
            lengths.append(length)
            if len(lengths) >= tried + _LOOK:
                if period := _period(lengths[-2 * _LOOK :]):
                    _follow_on(data, begins, lengths, period)
                    place = begins[-1] + lengths[-1] + 4
                tried = len(lengths)
        at = np.array(begins, dtype=np.int64)
        return cls(at, at + np.array(lengths, dtype=np.int64), damage)


def _period(lengths: array[int]) -> int:
    """Return after how many records the lengths come again, 0 where they do not."""
    n = len(lengths) // 2
    return next((p for p in range(1, n + 1) if lengths[-p:] == lengths[-2 * p : -p]), 0)


def _follow_on(data: bytes | mmap, begins: array[int], lengths: array[int], period: int) -> None:
    """Add the records that follow in the same order of lengths as the last ones."""
    most = 256 // period + 1
    while len(found := _repeated(data, begins[-period:], lengths[-period:], most)):
        begins.frombytes(found.tobytes())
        lengths.extend(lengths[-period:] * (len(found) // period))
        if len(found) < most * period:
            return
        most = min(4 * most, 2**16)


def _repeated(
    data: bytes | mmap, begins: array[int], lengths: array[int], most: int
) -> NDArray[np.int64]:
    """Find the records that follow some, several times, in the same order of lengths.

    Returns
    -------
    array of shape (record,)
        Where their contents begin; of whole repeats only, up to any other frame.
    """
    at = np.array(begins, dtype=np.int64)
    stride = sum(lengths) + 16 * len(lengths)
    end = int(at[-1]) + lengths[-1] + 4
    if end - int(at[0]) + 12 != stride:  # a record that is passed over lies between
        return at[:0]
    times = min(most, (len(data) - end) // stride)
    frames = np.ndarray((len(data) - 11,), "V12", data, strides=(1,))
    every = at + stride * np.arange(1, times + 1)[:, None]  # (repeat, record)
    parts = frames[every - 12].view(np.uint32).reshape(times, len(at), 3)
    same = (parts == frames[at - 12].view(np.uint32).reshape(len(at), 3)).all(axis=(1, 2))
    n = times if same.all() else int(np.argmin(same))
    return every[:n].ravel()


@contextmanager
def _content(path: Path) -> Iterator[bytes | mmap]:
    """Open a file as if it was in memory."""
    if (small := handed(path)) is not None:
        yield small
        return
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        yield mmap(file.fileno(), 0, access=ACCESS_READ) if size > _IN_MEMORY else file.read()


def records(path: Path, most: int = 2**62) -> Iterator[bytes]:
    """Yield the contents of the first records of one event file.

    Raises
    ------
    ReadError
        A record whose length does not agree with its checksum.
    """
    with _content(path) as data:
        frames = _Frames.of(path, data, most)
        for begin, end in zip(frames.begins, frames.ends, strict=True):
            yield data[begin:end]
        if frames.damage is not None:
            raise frames.damage


@dataclass(slots=True)
class _Found:
    """Scalars of one tag in one file, each as number of its record, step and value."""

    together: list[NDArray[np.float64]] = field(default_factory=list)  # (3, any)
    alone: list[tuple[float, float, float]] = field(default_factory=list)

    def every(self) -> NDArray[np.float64]:
        """Put all into the order in which they were written, (3, n)."""
        alone = np.array(self.alone).reshape(-1, 3).T
        both = np.concatenate([alone, *self.together], axis=1)
        ordered = bool((both[0, 1:] >= both[0, :-1]).all())
        return both if ordered else both[:, np.argsort(both[0], kind="stable")]


def _read_file(path: Path, series: dict[str, _Series], ignored: set[str]) -> None:
    """Add the scalars of one file, those alike all at once."""
    with _content(path) as data:
        frames, found = _Frames.of(path, data), dict[str, _Found]()
        rest = _alike(data, frames, found)
        last, error = len(frames.ends), frames.damage  # the first record that is not read
        hidden = dict.fromkeys(ignored, -1)  # tag -> record from which it is no scalar
        for number in rest:
            try:
                record = data[frames.begins[number] : frames.ends[number]]
                _read_record(record, int(number), found, hidden)
            except WireError as damage:
                last = int(number) + 1  # its values before the damage count
                error = ReadError(
                    path, f"a damaged record ({damage}); the values before it are read", ACCEPTED
                )
                error.__cause__ = damage
                break
    ignored.update(hidden)
    _in_order(found, hidden, last, series)
    if error is not None:
        raise error


def _in_order(
    found: dict[str, _Found], hidden: dict[str, int], last: int, series: dict[str, _Series]
) -> None:
    """Add what was found to the series, in the order in which it was written."""
    ready = []
    for tag, one in found.items():
        record, step, value = one.every()
        n = int(np.searchsorted(record, min(last, hidden.get(tag, last))))
        if n:
            ready.append((record[0], tag, step[:n], value[:n]))
    for _, tag, step, value in sorted(ready, key=lambda one: float(one[0])):
        one_series = series.setdefault(tag, _Series())
        one_series.step.frombytes(step.tobytes())
        one_series.value.frombytes(value.tobytes())


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Where the parts of an event with one scalar stand, as (begin, end) in its record."""

    tag: str
    time: tuple[int, int]
    step: tuple[int, int]
    value: tuple[int, int]


def _alike(data: bytes | mmap, frames: _Frames, found: dict[str, _Found]) -> NDArray[np.int64]:
    """Read scalars whose records differ in time, step and value alone.

    Returns
    -------
    array
        Numbers of the records that are left.
    """
    begins, left = frames.begins, []
    sizes = frames.ends - begins
    for size in sorted(set(sizes.tolist())):
        numbers = np.flatnonzero(sizes == size)
        if not 0 < size <= _SMALL:
            left.append(numbers)
            continue
        windows = np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))
        rows = windows[begins[numbers]].view(np.uint8).reshape(-1, size)  # (record, byte)
        while len(numbers):
            pattern = _pattern(rows[0].tobytes())
            if pattern is None:
                left.append(numbers[:1])
                numbers, rows = numbers[1:], rows[1:]
                continue
            same = _follow(rows, pattern)
            value = np.ascontiguousarray(rows[same, slice(*pattern.value)]).view("<f4")[:, 0]
            step = _steps(rows[same, slice(*pattern.step)])
            one = found.setdefault(pattern.tag, _Found())
            one.together.append(np.stack([numbers[same], step, value.astype(np.float64)]))
            numbers, rows = numbers[~same], rows[~same]
    return np.sort(np.concatenate(left)) if left else np.empty(0, np.int64)


def _follow(rows: NDArray[np.uint8], pattern: _Pattern) -> NDArray[np.bool_]:
    """Tell which records have the pattern of the first one."""
    fixed = np.ones(rows.shape[1], bool)
    for part in (pattern.time, pattern.step, pattern.value):
        fixed[slice(*part)] = False
    begin, end = pattern.step
    goes_on = rows[:, begin:end] >= 0x80  # of a varint, all bytes but the last
    ends = goes_on[:, :-1].all(1) & ~goes_on[:, -1]
    return np.asarray(((rows == rows[0]) | ~fixed).all(1) & ends)


def _steps(rows: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Read varints of one length, (record, byte), as signed numbers."""
    steps = np.zeros(len(rows), np.uint64)
    for place, column in enumerate(rows.T):
        steps |= (column & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return steps.view(np.int64).astype(np.float64)


def _pattern(record: bytes) -> _Pattern | None:
    """Find the parts of an event with one plain scalar; None for any other."""
    try:
        event = list(spans(record, 0, len(record)))
        if [part[:2] for part in event] != [(1, 1), (2, 0), (5, 2)]:
            return None
        (value,) = spans(record, *event[2][2:])
        tag, number = spans(record, *value[2:])
    except (WireError, ValueError):
        return None
    plain = value[:2] == (1, 2) and tag[:2] == (1, 2) and number[:2] == (2, 5)
    if not plain or event[1][3] - event[1][2] > 9:  # a negative step takes ten bytes
        return None
    name = record[slice(*tag[2:])].decode("utf-8", errors="replace")
    return _Pattern(name, event[0][2:], event[1][2:], number[2:])


def _read_record(
    record: bytes, number: int, found: dict[str, _Found], hidden: dict[str, int]
) -> None:
    step, summaries = 0.0, []
    for key, _, content in fields(record):
        if key == 2 and isinstance(content, int):
            step = float(signed(content))
        elif key == 5 and isinstance(content, bytes):
            summaries.append(content)
    for summary in summaries:
        for key, _, content in fields(summary):
            if key == 1 and isinstance(content, bytes):
                tag, value = _read_value(content, number, hidden)
                if value is not None:
                    found.setdefault(tag, _Found()).alone.append((number, step, value))


def _read_value(content: bytes, number: int, hidden: dict[str, int]) -> tuple[str, float | None]:
    message = Message.of(content)
    tag = message.text(1)
    if metadata := message.last(9):
        plugin = Message.of(Message.of(metadata).last(1) or b"").text(1)
        if plugin not in ("", "scalars"):
            hidden.setdefault(tag, number)  # only the first value of a tag names its plug-in
    if tag in hidden:
        return tag, None
    simple, tensor = message.fixed(2), message.last(8)
    return tag, simple if simple is not None else _scalar(tensor) if tensor else None


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
    for record in records(path, 1):
        for number, wire, content in fields(record):
            if number == 1 and wire == 1 and isinstance(content, bytes):
                return float(struct.unpack("<d", content)[0])
    return 0.0


def _sorted_by_time(paths: Sequence[Path]) -> list[Path]:
    if len(paths) == 1:
        return list(paths)
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
    logging=stored("https://docs.pytorch.org/docs/stable/tensorboard.html, add_scalar"),
    unit=_unit,
)
