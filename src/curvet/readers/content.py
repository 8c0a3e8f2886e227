"""The first bytes of a file; a small one is opened once, by whoever looks at it first."""

from __future__ import annotations

import os
from pathlib import Path

from .locations import is_local

_Stamp = tuple[int, int]  # size and time of the last change

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)

_handed: tuple[Path, bytes, _Stamp | None] | None = None


def start_of(path: Path, most: int) -> bytes:
    """Return the first bytes of a file.

    Parameters
    ----------
    path : Path
        Wherever it lies. What `hand_on` kept of this very object is taken, if the file has not
        changed on the disk since; it is given once.
    most : int
        Bytes.
    """
    content = handed(path)
    return content if content is not None and len(content) < most else _read(path, most)[0]


def handed(path: Path) -> bytes | None:
    """Return all of a file where `hand_on` kept it; see `start_of`."""
    global _handed
    kept, _handed = _handed, None
    if kept is None or kept[0] is not path:
        return None
    _, content, stamp = kept
    return content if stamp is None or stamp == _stamp(os.stat(path)) else None


def hand_on(path: Path, most: int) -> bytes:
    """Return the first bytes of a file, and keep them for its reader where that is all of it.

    Parameters
    ----------
    path, most
        As for `start_of`. One file is kept at a time.
    """
    global _handed
    content, stamp = _read(path, most)
    _handed = (path, content, stamp) if len(content) < most else None
    return content


def _read(path: Path, most: int) -> tuple[bytes, _Stamp | None]:
    if is_local(path):
        file = os.open(path, _READ)
        try:
            status = os.fstat(file)
            # As much memory as the file has bytes; some do not say how many, and some grow.
            content = os.read(file, min(most, status.st_size + 1))
            while status.st_size < len(content) < most and (more := os.read(file, most)):
                content += more
            return content[:most], _stamp(status)
        finally:
            os.close(file)
    parts = []
    with path.open("rb") as opened:
        while most > 0 and (part := opened.read(most)):
            parts.append(part)
            most -= len(part)
    return b"".join(parts), None


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_size, status.st_mtime_ns
