"""Archive -> Runs, one file per format.

`READERS` is in order of precedence: the first reader that matches a file reads it, so that a
format with rules of its own stands before the general one whose files look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import ReadError, UnknownFormatError
from ..run import Run
from . import (
    catboost,
    dvclive,
    json_table,
    keras_csv,
    lightning_csv,
    mlflow_files,
    mlflow_server,
    mlflow_sqlite,
    mmengine,
    parquet,
    table,
    tensorboard,
    text_log,
    trackio,
    trainer_state,
    visualdl,
    wandb,
    wandb_server,
)
from .base import Reader, Server
from .locations import locate
from .units import Log, ServerRun, Unit, find_units, printable

__all__ = ["READERS", "SERVERS", "Reader", "Server", "ServerRun", "Unit", "find", "read"]

READERS: tuple[Reader, ...] = (
    wandb.READER,  # first: all files of its run folder are one run, whatever their format
    mlflow_files.READER,  # before all others for the same reason
    catboost.READER,  # before tensorboard and table: its event files hold the same again
    tensorboard.READER,
    visualdl.READER,
    mmengine.READER,  # before json_table and text_log: three files of one run
    trainer_state.READER,  # before json_table: of all checkpoints only the last counts
    lightning_csv.READER,  # before table: the run is called by its folder
    keras_csv.READER,  # before table
    dvclive.READER,  # before table: a file for each series of a run
    trackio.READER,  # the databases are told apart by their tables
    mlflow_sqlite.READER,  # after trackio: a damaged database is named by this one
    parquet.READER,
    json_table.READER,  # before text_log: a log of nothing but records
    table.READER,  # before text_log: columns, whatever the name of the file
    text_log.READER,
)
SERVERS: tuple[Server, ...] = (mlflow_server.SERVER, wandb_server.SERVER)
ACCEPTED = "curvet reads " + "; ".join(reader.accepts for reader in READERS)


def read(
    path: Path | str, *, on_error: Callable[[ReadError], object] | None = None
) -> Iterator[Run]:
    """Read the training runs of a file or a folder.

    Parameters
    ----------
    path : Path or str
        A log; a folder, zip or tar file that is searched for logs, hidden files left out; the
        URL of one, such as "s3://bucket/runs"; or runs on a server, such as
        "mlflow:http://host:5000#experiment" and "wandb:entity/project".
    on_error : callable (ReadError) -> object, optional
        Receives each problem, and reading goes on; files that no reader knows come as
        `UnknownFormatError`. Without it the first problem is raised, but for files of a folder
        that are no log at all: notes, pictures and weights lie beside most logs.

    Yields
    ------
    Run
        Sorted by path; a run of several files comes after all else in its folder. The id is the
        path below the given folder ("#name" is added where one file holds several runs) and
        occurs once.

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
    report = on_error or _raise
    no_log: ReadError | None = None
    found = False
    for log in find(path, keep_unknown=on_error is not None):
        if isinstance(log, ReadError):
            report(log)
            continue
        try:
            for run in log.read():
                found = True
                yield run
        except UnknownFormatError as error:
            if on_error is None and not log.named:
                no_log = error
            else:
                report(error)
        except ReadError as error:
            report(error)
    if no_log is not None and not found:
        raise no_log


def find(path: Path | str, *, keep_unknown: bool = True) -> Iterator[Log | ReadError]:
    """Search a file, a folder or a server for logs without reading them; see `read`.

    Parameters
    ----------
    path : Path or str
        As for `read`.
    keep_unknown : bool
        Whether files of a folder that are no log are reported as well.

    Yields
    ------
    Unit, ServerRun or ReadError
        At least one: nothing found is an error, too.
    """
    empty = True
    try:
        logs = _on_server(path) or _in_files(path, keep_unknown)
        for log in logs:
            empty = False
            yield log
    except ReadError as error:
        empty = False
        yield error
    if empty:
        yield UnknownFormatError(str(path), "a folder without any training log", ACCEPTED)


def _on_server(path: Path | str) -> Iterator[Log] | None:
    scheme, _, address = str(path).partition(":")
    server = next((s for s in SERVERS if s.scheme == scheme), None)
    if server is None or isinstance(path, Path):
        return None
    return (
        ServerRun(server, address, key, printable(key), fingerprint)
        for key, fingerprint in server.runs(address)
    )


def _in_files(path: Path | str, keep_unknown: bool) -> Iterator[Log | ReadError]:
    root = locate(path)
    for unit in find_units(root, READERS, ACCEPTED):
        if isinstance(unit, Unit):
            yield replace(unit, named=True) if unit.path == root else unit
        elif keep_unknown or not isinstance(unit, UnknownFormatError) or unit.path == str(root):
            yield unit


def _raise(error: ReadError) -> None:
    raise error
