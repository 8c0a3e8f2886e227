"""Where logs lie: the disk, a file system behind a URL, a zip or tar file, a compressed file.

Everything is a path: `pathlib.Path` on the disk, else `upath.UPath`, which is used like one and
reads through fsspec. Members of a zip or tar file are read as streams; nothing is unpacked.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from ..errors import ReadError
from . import walk

PACKED = "packed"
"""The kind of an archive that holds one file, which is called like it."""
_ARCHIVES = {
    ".zip": "zip",
    ".tar": "tar",
    ".tar.gz": "tar",
    ".tgz": "tar",
    ".tar.bz2": "tar",
    ".tbz2": "tar",
    ".tar.xz": "tar",
    ".txz": "tar",
    ".gz": PACKED,  # behind those of tar files, which have a .gz, too
    ".bz2": PACKED,
    ".xz": PACKED,
}
_ENDS = tuple(_ARCHIVES)
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "http": "https", "https": "https"}
ARCHIVES_OPEN = 8
"""After how many archives `close_archives` should be called."""


def locate(place: Path | str) -> Path:
    """Turn what a user names into a path that can be opened.

    Parameters
    ----------
    place : Path or str
        A path of the disk, or a URL such as ``s3://bucket/runs`` and
        ``zip://runs::https://host/runs.zip``.

    Raises
    ------
    ReadError
        A kind of URL that is not known, or whose extra is not installed.

    Examples
    --------
    >>> locate("runs/7").parts
    ('runs', '7')
    """
    text = str(place)
    if isinstance(place, Path) or "://" not in text:
        return Path(place)
    from upath import UPath

    from . import packed as _  # whose file system has to be known

    try:
        path: Any = UPath(text)
        _ = path.fs  # loads the file system, opens an archive
    except ImportError as error:
        extra = _EXTRAS.get(text.partition("://")[0])
        how = f"pip install 'curvet[{extra}]'" if extra else f"install what it needs ({error})"
        raise ReadError(text, "a URL whose file system is not installed", how) from error
    except (ValueError, TypeError) as error:
        known = "s3://, gs://, https://, memory://, zip:// and tar:// are known"
        raise ReadError(text, f"a URL that cannot be used ({error})", known) from error
    except Exception as error:
        raise refused(text, error) from error
    return cast(Path, path)


def is_local(path: Path) -> bool:
    """Tell whether a path lies on the disk as itself."""
    return isinstance(path, Path)


def archive_kind(path: Path) -> str | None:
    """Return "zip", "tar" or `PACKED` for the name of an archive, else None.

    Examples
    --------
    >>> [archive_kind(Path(name)) for name in ("runs.tar.gz", "metrics.csv.gz", "model.npz")]
    ['tar', 'packed', None]
    """
    name = path.name.casefold()
    if not name.endswith(_ENDS):
        return None
    return next(kind for end, kind in _ARCHIVES.items() if name.endswith(end))


def list_files(root: Path, on_error: Callable[[ReadError], object]) -> Iterator[Path]:
    """Yield the files below a path, sorted by name; hidden ones are left out.

    Parameters
    ----------
    root : Path
        A file or folder, wherever it lies.
    on_error : callable (ReadError) -> object
        Receives what cannot be listed.
    """
    if is_local(root):
        yield from walk.files(root, on_error)
        return
    fs, inner = cast(Any, root).fs, cast(Any, root).path
    try:
        if fs.isfile(inner):
            yield root
            return
        # One listing of everything: a request for each folder would take hours on object stores.
        found = [path for path in fs.find(inner) if not _hidden(path, inner)]
    except unreadable_errors(root) as error:
        on_error(refused(root, error))
        return
    if not found and inner and not fs.exists(inner):
        on_error(ReadError(root, "no such file or folder", "check the address"))
    # A tar file is read from its start to its end: going back would unpack it again and again.
    for path in found if "tar" in fs.protocol else sorted(found, key=lambda name: name.split("/")):
        yield cast(Any, root).with_segments(path)


def members(archive: Path, on_error: Callable[[ReadError], object]) -> tuple[Path, list[Path]]:
    """List the files inside a zip or tar file, or the one in a compressed file.

    Returns
    -------
    tuple of Path and list of Path
        The top folder inside, and the files below it.
    """
    whole = archive.absolute() if is_local(archive) else archive  # a worker may stand elsewhere
    kind = archive_kind(archive)
    problems: list[ReadError] = []
    try:
        top = locate(f"{kind}://::{whole}")
        inside = list(list_files(top, problems.append))
    except ReadError as error:
        problems.append(error)
        top, inside = archive, []
    for problem in problems:
        on_error(ReadError(archive, f"a damaged {kind} file ({problem.found})", "copy it again"))
    return top, inside


def unreadable_errors(path: Path) -> tuple[type[Exception], ...]:
    """Return what listing, opening or reading a path may raise for no fault of a reader's.

    File systems behind URLs and in archives have errors of their own: of the network, of a
    password that is missing, of a damaged member.
    """
    return (OSError,) if is_local(path) else (Exception,)


def close_archives() -> None:
    """Close all zip and tar files; those that are read again are opened again.

    Each stays open otherwise, and with its listing in memory, as long as the process runs.
    """
    from fsspec.implementations.tar import TarFileSystem
    from fsspec.implementations.zip import ZipFileSystem

    ZipFileSystem.clear_instance_cache()
    TarFileSystem.clear_instance_cache()
    gc.collect()  # they hold themselves


def refused(path: Path | str, error: BaseException) -> ReadError:
    """Put what a file system said into words."""
    if isinstance(error, FileNotFoundError | PermissionError) or (
        isinstance(error, OSError) and error.strerror
    ):
        return walk.unreadable(Path(path) if isinstance(path, str) else path, error)
    text = " ".join(str(error).split()) or type(error).__name__
    return ReadError(path, f"cannot be read ({text:.200})")


def _hidden(path: str, root: str) -> bool:
    below = path.removeprefix(root).split("/")
    return any(part.startswith(".") or part == "__MACOSX" for part in below if part)
