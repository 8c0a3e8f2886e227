"""Which files a path stands for: the file itself, or all files of a folder in a fixed order."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import ReadError

Identity = tuple[int, int]  # device and inode: the same file under whatever name


def files(root: Path, on_error: Callable[[ReadError], object]) -> Iterator[Path]:
    """Yield the regular files under a path, sorted by name.

    Hidden files and folders are left out, links come last, and what was met under one name
    is not met again under another: so links in a circle end, and a link named "latest" does
    not double a run.

    Parameters
    ----------
    root : Path
        A file or a folder. A hidden name is fine here: it was asked for.
    on_error : callable (ReadError) -> object
        Receives what cannot be listed or is no regular file.
    """
    links: list[Path] = []
    seen: set[Identity] = set()
    for folder in root.resolve().parents:  # met again, they would hold the root without end
        with contextlib.suppress(OSError):
            seen.add((folder.stat().st_dev, folder.stat().st_ino))
    yield from _below(root, seen, links, on_error)
    for link in links:  # grows while it is walked
        yield from _below(link, seen, links, on_error)


def _below(
    root: Path,
    seen: set[Identity],
    links: list[Path],
    on_error: Callable[[ReadError], object],
) -> Iterator[Path]:
    pending = [root]
    while pending:
        path = pending.pop()
        try:
            status = path.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                continue
            seen.add(identity)
            if stat.S_ISDIR(status.st_mode):
                names = sorted(name for name in os.listdir(path) if not name.startswith("."))
            elif stat.S_ISREG(status.st_mode):
                yield path
                continue
            else:
                on_error(ReadError(path, _kind(status.st_mode), "copy its content to a file"))
                continue
        except OSError as error:
            on_error(unreadable(path, error))
            continue
        children = [path / name for name in names]
        linked = [child.is_symlink() for child in children]
        links += [child for child, link in zip(children, linked, strict=True) if link]
        pending += [c for c, link in zip(children[::-1], linked[::-1], strict=True) if not link]


def unreadable(path: Path, error: OSError) -> ReadError:
    """Put an error of the operating system into words."""
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return ReadError(path, "a link to a file that does not exist")
        return ReadError(path, "no such file or folder", "check the path")
    if isinstance(error, PermissionError):
        return ReadError(path, "no permission to read it", "grant read access")
    return ReadError(path, f"cannot be opened ({error.strerror or error})")


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"
