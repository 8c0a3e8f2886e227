"""VisualDL's vdlrecords.*.log: records of a length and a protocol buffer, without checksums.

One folder is one run; its files follow each other by the time of their first value. Paddle's
callback counts training by steps but evaluation by epochs. The records of one file stand in the
order of time, so such an evaluation is put at the last training step before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ReadError
from ..run import Curve, Run
from .base import Reader
from .habits import stored
from .protobuf import Message, WireError, fields, signed
from .rows import evaluates

ACCEPTED = "vdlrecords files with scalars are read"
RECORD_LIMIT = 64 * 2**20  # bytes; larger records hold pictures and are passed over
_FIRST = b"meta_data_tag"  # every file begins with a record of this tag
_BY_EPOCHS = 2  # how many times more training steps than evaluations tell the two counts apart


@dataclass(slots=True)
class _Series:
    """One tag, as far as it is read."""

    step: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    reached: list[float] = field(default_factory=list)  # the last training step at that time


@dataclass(slots=True)
class _Log:
    """What the files so far said."""

    series: dict[str, _Series] = field(default_factory=dict)
    reached: float = 0.0

    def add(self, tag: str, step: float, value: float) -> None:
        """Add one scalar."""
        one = self.series.setdefault(tag, _Series())
        if not evaluates(tag):
            self.reached = step
        one.step.append(step)
        one.value.append(value)
        one.reached.append(self.reached)

    def curves(self) -> dict[str, Curve]:
        """Make the curves, evaluations on the steps of the training."""
        trained = max((s.step[-1] for tag, s in self.series.items() if not evaluates(tag)),
                      default=0.0)  # fmt: skip
        found = {}
        for tag, one in self.series.items():
            counts = one.step == [one.step[0] + place for place in range(len(one.step))]
            by_epochs = evaluates(tag) and counts and trained > _BY_EPOCHS * (one.step[-1] + 1)
            found[tag] = Curve.of(tag, one.value, one.reached if by_epochs else one.step)
        return found


def _records(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    with path.open("rb") as file:
        while len(frame := file.read(8)) == 8:
            (length,) = struct.unpack("<Q", frame)
            if length > size - file.tell():
                return  # cut off while it was written
            if length > RECORD_LIMIT:
                file.seek(length, 1)
            else:
                yield file.read(length)


def _scalars(record: bytes) -> Iterator[tuple[float, str, float, float]]:
    """Yield (time in milliseconds, tag, step, value)."""
    for number, _, content in fields(record):
        if number != 1 or not isinstance(content, bytes):
            continue
        message = Message.of(content)
        tag, cell = message.text(2), message.fixed(4)
        if inner := message.last(14):  # add_scalars: one of several series below the tag
            part = Message.of(inner)
            name = part.text(1)
            # A protocol buffer leaves zeros out.
            tag, cell = f"{tag}/{name}" if name else tag, part.fixed(2) or 0.0
        if cell is not None:
            yield float(message.integer(3)), tag, float(signed(message.integer(1))), cell


def _first_time(path: Path) -> float:
    try:
        times = (time for record in _records(path) for time, *_ in _scalars(record))
        return next(times, 0.0)
    except WireError:
        return 0.0  # its damage is told when it is read


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    log = _Log()
    error: ReadError | None = None
    for path in sorted(paths, key=lambda path: (_first_time(path), path.name)):
        try:
            for record in _records(path):
                for _, tag, step, value in _scalars(record):
                    log.add(tag, step, value)
        except WireError as damage:
            found = f"a damaged record ({damage}); the values before it are read"
            error = error or ReadError(path, found, ACCEPTED)
    if log.series:
        source = paths[0] if len(paths) == 1 else paths[0].parent
        yield Run("", str(source), log.curves())
    elif error is None:
        raise ReadError(paths[0], "a vdlrecords file without any scalar", ACCEPTED)
    if error is not None:
        raise error


def _matches(path: Path, head: bytes) -> bool:
    return bool(head) and ("vdlrecords" in path.name or _FIRST in head[8:40])


def _unit(path: Path) -> Path:
    return path.parent


READER = Reader(
    name="visualdl",
    accepts="VisualDL records (vdlrecords.*.log)",
    matches=_matches,
    read=_read,
    logging=stored("https://github.com/PaddlePaddle/VisualDL, LogWriter.add_scalar"),
    unit=_unit,
)
