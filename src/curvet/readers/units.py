"""What is read together: the files of one run, or one file that holds several."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from ..errors import ReadError, UnknownFormatError
from ..run import Run
from .base import Reader, Server
from .content import hand_on
from .describe import describe
from .habits import logging_of
from .locations import (
    ARCHIVES_OPEN,
    PACKED,
    archive_kind,
    close_archives,
    is_local,
    list_files,
    members,
    refused,
    unreadable_errors,
)
from .text import HEAD

_LOG_NAMES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".log", ".out"})
_Key = tuple[str, Path]  # name of the reader, path of the unit


@dataclass(frozen=True, slots=True)
class Unit:
    """Files that one reader reads together.

    Parameters
    ----------
    reader : Reader
        Reads them.
    path : Path
        The file, or the folder of the files.
    files : tuple of Path
        Sorted by name.
    name : str
        Below the root that was searched; occurs once in a search.
    named : bool
        Whether it was asked for itself, not found in a folder: then it has to be a log.
    """

    reader: Reader
    path: Path
    files: tuple[Path, ...]
    name: str
    named: bool = False

    @property
    def format(self) -> str:
        """Name of the reader."""
        return self.reader.name

    @property
    def source(self) -> str:
        """Path or URL of the file, or of the folder where there are several files."""
        return str(self.files[0] if len(self.files) == 1 else self.path)

    def read(self) -> Iterator[Run]:
        """Yield the runs, each with a name that occurs once.

        Raises
        ------
        ReadError
            A file is damaged or cannot be opened. Runs may have been yielded before.
        """
        taken: set[str] = set()
        try:
            for run in self.reader.read(self.files):
                name = f"{self.name}#{run.id}" if run.id else self.name
                unique, logging = _unique(printable(name), taken), logging_of(run, self.reader)
                yield Run(unique, run.source, run.curves, self.reader.name, logging)
        except ReadError:
            raise
        except unreadable_errors(self.path) as error:
            culprit = getattr(error, "filename", None) or self.files[0]
            raise refused(Path(culprit) if isinstance(culprit, str) else culprit, error) from error


@dataclass(frozen=True, slots=True)
class ServerRun:
    """A run on a tracking server, which is read like a `Unit`.

    Parameters
    ----------
    server : Server
        Reads it.
    address, key : str
        Which server and which of its runs.
    name : str
        Occurs once in a search.
    fingerprint : str
        Changes when the log of the run may have changed.
    """

    server: Server
    address: str
    key: str
    name: str
    fingerprint: str
    named: bool = True

    @property
    def format(self) -> str:
        """Name of the server's kind."""
        return self.server.name

    @property
    def source(self) -> str:
        """Address and key."""
        return f"{self.server.scheme}:{self.address}/{self.key}"

    def read(self) -> Iterator[Run]:
        """Yield the run.

        Raises
        ------
        ReadError
            The server does not give it.
        """
        for run in self.server.read(self.address, self.key):
            logging = logging_of(run, self.server)
            yield Run(self.name, run.source, run.curves, self.format, logging)


Log = Unit | ServerRun


@dataclass(slots=True)
class _Building:
    """A unit whose files are still being found; all of them lie in the folder `scope`."""

    reader: Reader
    path: Path
    scope: Path
    files: list[Path] = field(default_factory=list)

    def finished(self, name: str, taken: set[int]) -> Unit:
        """Make the unit."""
        return _finish(self.reader, self.path, tuple(sorted(self.files)), name, taken)


def find_units(root: Path, readers: Sequence[Reader], accepted: str) -> Iterator[Unit | ReadError]:
    """Search a path for logs, however many there are.

    Zip, tar and compressed files are searched as folders. A unit of several files comes when its
    folder has been walked to its end.

    Parameters
    ----------
    root : Path
        A file or folder, wherever it lies.
    readers : sequence of Reader
        The first that matches a file reads it.
    accepted : str
        What is read, in words.

    Yields
    ------
    Unit or ReadError
        Errors are files that cannot be read, or, as UnknownFormatError, that no reader knows.
    """
    search = _Search(readers, accepted)
    if archive_kind(root) is not None and _is_file(root):
        yield from search.inside(root, printable(root.name), set())
    else:
        yield from search.below(root)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except unreadable_errors(path):
        return False


@dataclass(slots=True)
class _Search:
    readers: Sequence[Reader]
    accepted: str
    archives: int = 0
    suited: Callable[[str], list[Reader]] = field(init=False)

    def __post_init__(self) -> None:
        self.suited = lru_cache(maxsize=64)(self._suited)

    def below(self, root: Path) -> Iterator[Unit | ReadError]:
        """Walk a folder and let go of each unit once the walk has left its folder."""
        taken: set[int] = set()  # hashes of the names: a million names would fill the memory
        problems: list[ReadError] = []
        pending: dict[_Key, _Building] = {}
        folder: Path | None = None
        for path in list_files(root, problems.append):
            if problems:
                yield from _drain(problems)
            beside = path.parent if pending else None  # else there is nothing to let go of
            if beside != folder:
                folder = beside
                for key in [k for k in pending if not path.is_relative_to(pending[k].scope)]:
                    yield pending.pop(key).finished(_below(key[1], root), taken)
            if archive_kind(path) is not None:
                yield from self.inside(path, _below(path, root), taken)
                continue
            found = self._recognised(path)
            if isinstance(found, ReadError):
                yield found
                continue
            reader, unit = found
            if unit is path and not pending:  # most files: nothing else can belong to it
                yield _finish(reader, path, (path,), _below(path, root), taken)
                continue
            building = _added(path, reader, unit, pending)
            if unit == path:  # a file that joins the unit of another one comes before it
                del pending[reader.name, unit]
                yield building.finished(_below(path, root), taken)
        yield from _drain(problems)
        for building in pending.values():
            yield building.finished(_below(building.path, root), taken)

    def inside(self, archive: Path, name: str, taken: set[int]) -> Iterator[Unit | ReadError]:
        """Search an archive; its members need not stand in the order of their names."""
        problems: list[ReadError] = []
        top, inside = members(archive, problems.append)
        packed = archive_kind(archive) == PACKED
        yield from _drain(problems)
        pending: dict[_Key, _Building] = {}
        for path in inside:
            found = self._recognised(path)
            if isinstance(found, ReadError):
                yield found
            else:
                _added(path, *found, pending)
        for building in pending.values():
            below = _below(building.path, top)
            itself = packed or below == "."
            yield building.finished(name if itself else f"{name}/{below}", taken)
        if packed:
            return  # it is not kept open
        self.archives += 1
        if self.archives % ARCHIVES_OPEN == 0:
            close_archives()

    def _recognised(self, path: Path) -> tuple[Reader, Path] | ReadError:
        """Find the reader of a file and its unit."""
        try:
            head = hand_on(path, HEAD)
            for reader in self.suited(path.suffix.casefold()) if head else ():
                if reader.matches(path, head):
                    return reader, reader.unit(path)
        except unreadable_errors(path) as error:
            return refused(path, error)
        return self._unknown(path, head)

    def _suited(self, suffix: str) -> list[Reader]:
        """Choose the readers of files whose names end so."""
        return [r for r in self.readers if r.suffixes is None or suffix in r.suffixes]

    def _unknown(self, path: Path, head: bytes) -> ReadError:
        if head:
            return UnknownFormatError(path, describe(path, head), self.accepted)
        is_log = path.suffix.casefold() in _LOG_NAMES or "tfevents" in path.name
        kind = ReadError if is_log else UnknownFormatError
        return kind(path, "an empty file", self.accepted)


def _added(path: Path, reader: Reader, unit: Path, pending: dict[_Key, _Building]) -> _Building:
    """Add a file to its unit."""
    building = pending.get((reader.name, unit))
    if building is None:
        scope = unit if unit is not path and path.is_relative_to(unit) else unit.parent
        building = pending[reader.name, unit] = _Building(reader, unit, scope)
    building.files.append(path)
    return building


def _finish(
    reader: Reader, path: Path, files: tuple[Path, ...], name: str, taken: set[int]
) -> Unit:
    """Name a unit; two loggers in one folder are told apart by the format."""
    if name == ".":  # what was named itself
        name = (path.absolute() if is_local(path) else path).name or str(path)
    name = unique = printable(name)
    counter = 1
    while (known := hash(unique)) in taken:
        unique = f"{name}#{reader.name if counter == 1 else counter}"
        counter += 1
    taken.add(known)
    return Unit(reader, path, files, unique)


def _below(path: Path, root: Path) -> str:
    """Write a path below the root; "." for the root itself and what lies above it."""
    text, top = str(path), str(root) + os.sep
    if is_local(path) and text.startswith(top):
        return text[len(top) :]
    if not path.is_relative_to(root):
        return "."
    below = str(path.relative_to(root)) if is_local(path) else _inner(path, root)
    return below or "."


def _inner(path: Path, root: Path) -> str:
    one, other = (str(cast(Any, place).path) for place in (path, root))
    return one.removeprefix(other).strip("/")


def _unique(name: str, taken: set[str]) -> str:
    unique, counter = name, 1
    while unique in taken:
        counter += 1
        unique = f"{name}#{counter}"
    taken.add(unique)
    return unique


def printable(name: str) -> str:
    """Replace the bytes of a file name that are no text, for any output."""
    return (
        name if name.isascii() else name.encode(errors="surrogateescape").decode(errors="replace")
    )


def _drain(problems: list[ReadError]) -> Iterator[ReadError]:
    yield from problems
    problems.clear()
