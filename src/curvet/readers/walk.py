"""Which files a path stands for: the file itself, or all files of a folder in a fixed order."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import ReadError

Identity = tuple[int, int]  # device and inode: the same file under whatever name


def files(root: Path, on_error: Callable[[ReadError], object]) -> Iterator[Path]:
    """Yield the regular files under a local path, sorted by name, depth first.

    Hidden files and folders are left out, links come last, and what was met under one name
    is not met again under another: so links in a circle end, and a link named "latest" does
    not double a run. The names of one folder at a time are held, however many files there are.

    Parameters
    ----------
    root : Path
        A file or a folder. A hidden name is fine here: it was asked for.
    on_error : callable (ReadError) -> object
        Receives what cannot be listed or is no regular file.
    """
    top = root.resolve()
    links: list[Path] = []
    seen: set[Identity] = set()  # only of what can have a second name
    yield from _below(root, seen, links, on_error, linked=False)
    for link in links:  # grows while it is walked
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):
            on_error(ReadError(link, "a link to a file that does not exist"))
            continue
        if not _met_on_the_way(target, top):
            yield from _below(link, seen, links, on_error, linked=True)


def _met_on_the_way(target: Path, top: Path) -> bool:
    """Tell whether the target of a link was walked by its own name, or holds the root itself."""
    if top.is_relative_to(target):
        return True
    return target.is_relative_to(top) and not any(
        part.startswith(".") for part in target.relative_to(top).parts
    )


def _below(
    root: Path,
    seen: set[Identity],
    links: list[Path],
    on_error: Callable[[ReadError], object],
    *,
    linked: bool,
) -> Iterator[Path]:
    """Walk one tree; `linked` says that it may be reached by several names."""
    pending = [(root.parent, [root.name])] if root.name else [(root, [""])]  # "." has no name
    below = False  # the root itself may be a link
    while pending:
        folder, names = pending[-1]
        if not names:
            pending.pop()
            continue
        path = folder / names.pop()
        try:
            status = os.lstat(path) if below else os.stat(path)
            below = True
            if stat.S_ISLNK(status.st_mode):
                links.append(path)
                continue
            if linked or (status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)):
                identity = (status.st_dev, status.st_ino)
                if identity in seen:
                    continue
                seen.add(identity)
            if stat.S_ISDIR(status.st_mode):
                inside = [name for name in os.listdir(path) if not name.startswith(".")]
                pending.append((path, sorted(inside, reverse=True)))
            elif stat.S_ISREG(status.st_mode):
                yield path
            else:
                on_error(ReadError(path, _kind(status.st_mode), "copy its content to a file"))
        except OSError as error:
            on_error(unreadable(path, error))


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
