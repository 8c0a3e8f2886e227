"""The wire format of protocol buffers: just enough to read event files."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Content = int | bytes  # a varint, or the bytes of anything else


class WireError(ValueError):
    """Bytes that are no protocol buffer."""


def spans(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (field number, wire type, where its content begins, where it ends) of one message.

    Raises
    ------
    WireError
        A field that goes past the end, or of an unknown kind.
    """
    place = begin
    while place < end:
        key, place = _varint(data, place, end)
        wire = key & 7
        if wire == 0:
            start, (_, place) = place, _varint(data, place, end)
            yield key >> 3, wire, start, place
            continue
        if wire == 2:
            size, place = _varint(data, place, end)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise WireError(f"wire type {wire}")
        if size > end - place:
            raise WireError("a field past the end of its record")
        yield key >> 3, wire, place, place + size
        place += size


def fields(data: bytes) -> Iterator[tuple[int, int, Content]]:
    """Yield (field number, wire type, content) of one message; see `spans`."""
    for number, wire, start, stop in spans(data, 0, len(data)):
        content = _varint(data, start, stop)[0] if wire == 0 else data[start:stop]
        yield number, wire, content


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    result = shift = 0
    while shift < 70:
        if place >= end:
            break
        byte = data[place]
        place += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, place
        shift += 7
    raise WireError("an integer past the end of its record")


def signed(integer: int) -> int:
    """Read an unsigned 64-bit integer as a signed one.

    Examples
    --------
    >>> signed(2**64 - 1)
    -1
    """
    integer &= 2**64 - 1
    return integer - 2**64 if integer >= 2**63 else integer


def packed(contents: Sequence[Content], kind: str) -> list[float]:
    """Return the numbers of a repeated field, whether packed or one by one.

    Parameters
    ----------
    contents : sequence of int or bytes
        All occurrences of the field.
    kind : str
        "<f4" and "<f8" are written as they are, all else as varints.
    """
    numbers: list[float] = []
    unsigned = kind == "<u8"
    for content in contents:
        if isinstance(content, int):
            numbers.append(float(content if unsigned else signed(content)))
        elif kind in ("<f4", "<f8"):
            code, size = ("<f", 4) if kind == "<f4" else ("<d", 8)
            usable = content[: len(content) // size * size]
            numbers += [number for (number,) in struct.iter_unpack(code, usable)]
        else:
            place = 0
            while place < len(content):
                integer, place = _varint(content, place, len(content))
                numbers.append(float(integer if unsigned else signed(integer)))
    return numbers


@dataclass(frozen=True, slots=True)
class Message:
    """The fields of one small message."""

    found: Sequence[tuple[int, int, Content]]

    @classmethod
    def of(cls, data: bytes) -> Message:
        """Parse all fields."""
        return cls(tuple(fields(data)))

    def has(self, number: int) -> bool:
        """Tell whether a field is there."""
        return any(field == number for field, _, _ in self.found)

    def every(self, number: int) -> list[Content]:
        """Return all contents of a field."""
        return [content for field, _, content in self.found if field == number]

    def last(self, number: int) -> bytes | None:
        """Return the last content of a field of bytes."""
        contents = [content for content in self.every(number) if isinstance(content, bytes)]
        return contents[-1] if contents else None

    def text(self, number: int) -> str:
        """Return a field as text, "" where it is not there."""
        return (self.last(number) or b"").decode("utf-8", errors="replace")

    def integer(self, number: int) -> int:
        """Return a field as an integer, 0 where it is not there."""
        contents = [content for content in self.every(number) if isinstance(content, int)]
        return contents[-1] if contents else 0

    def fixed(self, number: int) -> float | None:
        """Return a field of 4 bytes as a float."""
        for field, wire, content in self.found:
            if field == number and wire == 5 and isinstance(content, bytes):
                return float(struct.unpack("<f", content)[0])
        return None
