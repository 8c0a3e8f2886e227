"""SQLite databases, read without changing, creating or blocking anything beside them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache
from pathlib import Path

from ..errors import ReadError
from .local import copied, local_file

HEADER = b"SQLite format 3\0"
WAIT = 5.0  # seconds for a program that writes; each of its transactions takes much less
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR")
_NEEDS_WRITING = ("SQLITE_CANTOPEN", "SQLITE_READONLY")
_BESIDE = ("-wal", "-journal")  # transactions that are not in the database yet


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading; fetch all rows of a query at once.

    A cursor that is left open would hold up the training that writes to the database.

    Raises
    ------
    ReadError
        Also for errors in the block: a damaged database, or one that stays locked.
    """
    try:
        with local_file(path, beside=_BESIDE) as local, _connected(local) as connection:
            connection.text_factory = _text
            yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter in the words of the former
        raise _in_words(path, error) from error


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    with ExitStack() as stack:
        mode = _mode(path)
        if not mode:
            # What a program that died left beside it has to be put into it: into a copy.
            path, mode = stack.enter_context(copied(path, beside=_BESIDE)), "mode=rw"
        yield stack.enter_context(closing(_connect(path, mode)))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=WAIT)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _mode(path: Path) -> str:
    """Tell how to open a database so that nothing is written; "" where there is no way."""
    with path.open("rb") as file:
        head = file.read(20)
    if head[18:20] == b"\2\2":  # transactions go to a log beside it
        if not path.with_name(f"{path.name}-wal").exists():
            return "mode=ro&immutable=1"
        if not path.with_name(f"{path.name}-shm").exists():
            return ""
    try:
        _connect(path, "mode=ro").close()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith(_NEEDS_WRITING):
            return ""
        raise
    return "mode=ro"


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def columns(path: Path, head: bytes) -> frozenset[str]:
    """Name the columns of all tables, "metrics.step"; "" alone: it cannot be opened.

    Parameters
    ----------
    path : Path
        Any file.
    head : bytes
        Its first bytes; where they are not those of a database, nothing is opened.
    """
    if not head.startswith(HEADER):
        return frozenset()
    try:
        files = [path, path.with_name(f"{path.name}-wal")]
        states = [file.stat() for file in files if file.exists()]
        return _columns(path, tuple((state.st_mtime, state.st_size) for state in states))
    except (ReadError, OSError):
        return frozenset({""})


@lru_cache(maxsize=16)  # asked by one reader after the other; failures are not kept
def _columns(path: Path, states: tuple[tuple[float, int], ...]) -> frozenset[str]:
    with opened(path) as connection:
        rows = connection.execute(
            "SELECT lower(t.name || '.' || c.name) "
            "FROM sqlite_master t JOIN pragma_table_info(t.name) c "
            "WHERE t.type IN ('table', 'view')"
        ).fetchall()
    return frozenset(name for (name,) in rows)


def _in_words(path: Path, error: Exception) -> ReadError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ReadError(
            path,
            f"an SQLite database that was locked for {WAIT:g} seconds",
            "wait until the program that writes to it is done, or stop it",
        )
    if isinstance(error, UnicodeDecodeError) or name.startswith(_DAMAGED):
        found = f"a damaged or cut off SQLite database ({error})"
        return ReadError(path, found, "copy it again, or repair it with sqlite3 .recover")
    return ReadError(path, f"an SQLite database that cannot be read ({error})", "copy it again")
