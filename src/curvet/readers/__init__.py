"""Archive -> Runs, one file per format.

`READERS` is in order of precedence: the first reader that matches a file reads it, so that a
format with rules of its own stands before the general one whose files look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ReadError, UnknownFormatError
from ..run import Run
from . import (
    json_table,
    keras_csv,
    lightning_csv,
    mlflow_files,
    mlflow_server,
    mlflow_sqlite,
    parquet,
    table,
    tensorboard,
    text_log,
    trackio,
    trainer_state,
    wandb,
    wandb_server,
)
from .base import Reader, Server
from .describe import describe
from .text import HEAD
from .walk import files, unreadable

__all__ = ["READERS", "SERVERS", "Reader", "Server", "read"]

READERS: tuple[Reader, ...] = (
    wandb.READER,  # first: all files of its run folder are one run, whatever their format
    mlflow_files.READER,  # before all others for the same reason
    tensorboard.READER,
    trainer_state.READER,  # before json_table: of all checkpoints only the last counts
    lightning_csv.READER,  # before table: the run is called by its folder
    keras_csv.READER,  # before table
    trackio.READER,  # the databases are told apart by their tables
    mlflow_sqlite.READER,  # after trackio: a damaged database is named by this one
    parquet.READER,
    json_table.READER,  # before text_log: a log of nothing but records
    table.READER,  # before text_log: columns, whatever the name of the file
    text_log.READER,
)
SERVERS: tuple[Server, ...] = (mlflow_server.SERVER, wandb_server.SERVER)
ACCEPTED = "curvet reads " + "; ".join(reader.accepts for reader in READERS)
_LOG_NAMES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".log", ".out"})


@dataclass(slots=True)
class _Unit:
    """Files that one reader reads together."""

    reader: Reader
    path: Path
    files: list[Path] = field(default_factory=list)


def read(
    path: Path | str, *, on_error: Callable[[ReadError], object] | None = None
) -> Iterator[Run]:
    """Read the training runs of a file or a folder.

    Parameters
    ----------
    path : Path or str
        A log, or a folder that is searched for logs, hidden files left out.
    on_error : callable (ReadError) -> object, optional
        Receives each problem, and reading goes on; files that no reader knows come as
        `UnknownFormatError`. Without it the first problem is raised, but for files of a folder
        that are no log at all: notes, pictures and weights lie beside most logs.

    Yields
    ------
    Run
        Sorted by path. The id is the path below the given folder ("#name" is added where one
        file holds several runs) and occurs once.

    Raises
    ------
    ReadError
        The first log that is damaged or unreadable, a named file of an unknown format, or a
        folder without any log, unless `on_error` is given.

    Examples
    --------
    >>> for run in read("no_such_folder", on_error=print):
    ...     pass
    no_such_folder: no such file or folder; check the path
    """
    root = Path(path)
    report = on_error or _raise
    taken: set[str] = set()
    empty = True
    for entry in _entries(root):
        if isinstance(entry, ReadError):
            beside = isinstance(entry, UnknownFormatError) and Path(entry.path) != root
            if on_error is not None or not beside:
                empty = False
                report(entry)
            continue
        empty = False
        try:
            for run in entry.reader.read(sorted(entry.files)):
                run_id = _unique(_name(entry.path, root, run.id), entry.reader, taken)
                yield replace(run, id=run_id, format=entry.reader.name)
        except ReadError as error:
            report(error)
        except OSError as error:
            report(unreadable(Path(error.filename or entry.path), error))
    if empty:
        report(UnknownFormatError(root, "a folder without any training log", ACCEPTED))


def _entries(root: Path) -> list[_Unit | ReadError]:
    """List what to read and what cannot be read, in the order of the files."""
    entries: list[_Unit | ReadError] = []
    units: dict[tuple[str, Path], _Unit] = {}
    for path in files(root, entries.append):
        try:
            with path.open("rb") as file:
                head = file.read(HEAD)
            reader = next((r for r in READERS if r.matches(path, head)), None)
            if reader is None or not head:
                entries.append(_unknown(path, head))
                continue
            key = (reader.name, reader.unit(path))
        except OSError as error:
            entries.append(unreadable(path, error))
            continue
        if key not in units:
            units[key] = _Unit(reader, key[1])
            entries.append(units[key])
        units[key].files.append(path)
    return entries


def _unknown(path: Path, head: bytes) -> ReadError:
    if head:
        return UnknownFormatError(path, describe(path, head), ACCEPTED)
    is_log = path.suffix.casefold() in _LOG_NAMES or "tfevents" in path.name
    kind = ReadError if is_log else UnknownFormatError
    return kind(path, "an empty file", ACCEPTED)


def _name(unit: Path, root: Path, part: str) -> str:
    below = unit.relative_to(root).as_posix() if unit.is_relative_to(root) else "."
    name = unit.absolute().name if below == "." else below
    name = f"{name}#{part}" if part else name
    return name.encode(errors="surrogateescape").decode(errors="replace")  # for any output


def _unique(name: str, reader: Reader, taken: set[str]) -> str:
    """Tell two loggers in one folder apart by the format, as in "version_0#tensorboard"."""
    candidates = [name, f"{name}#{reader.name}"]
    unique = next((candidate for candidate in candidates if candidate not in taken), None)
    counter = 2
    while unique is None:
        candidate = f"{name}#{counter}"
        unique = candidate if candidate not in taken else None
        counter += 1
    taken.add(unique)
    return unique


def _raise(error: ReadError) -> None:
    raise error
