"""Labels in a database: rows are added, none is changed or removed.

SQLite for one machine, PostgreSQL for a team. Each label is a transaction of its own, so that a
process may be killed at any moment and several may write at once. docs/labels.md describes the
tables.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..causes import CAUSES
from ..causes.team import TeamCause, by_key
from ..errors import LabelError
from ..readers.sqlite import HEADER
from .label import UNSURE, Label, Labels, check_causes
from .rows import Progress, show_nothing, to_record

STORE_FORMAT = 1
_PATIENCE = 30.0  # seconds to wait for another writer
_ANSWER = 10  # seconds to wait for a server
_TRIES = 5  # of several processes that make the tables at once all but one fail
_TEXTS = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx"})
_AT_ONCE = 1000  # rows sent to the database


def is_url(where: str) -> bool:
    """Tell the URL of a database from the path of a file."""
    return "://" in where


def open_store(where: str | Path, *, create: bool = True) -> Store:
    """Open a store; one that is not there is made.

    Parameters
    ----------
    where : str or Path
        Path of an SQLite file, or URL of a database: postgresql://USER:PASSWORD@HOST/NAME.
    create : bool
        False: one that is not there is an error, and so is a database without labels.

    Raises
    ------
    LabelError
        The extra `label` is not installed; no store; one made by a newer curvet; a database that
        cannot be reached.
    """
    try:
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    except ModuleNotFoundError as error:
        raise LabelError(
            f"labels in a database need the package {error.name}; pip install 'curvet[label]'"
        ) from error
    text = str(where)
    if is_url(text):
        try:
            url = make_url(text)
        except ArgumentError as error:
            raise LabelError(f"{masked(text)}: no URL of a database; {_ACCEPTED}") from error
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
    else:
        _check_file(Path(text), create)
        url = make_url("sqlite://").set(database=text)
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": _PATIENCE}
    elif url.drivername == "postgresql+psycopg" and "connect_timeout" not in url.query:
        options["connect_args"] = {"connect_timeout": _ANSWER}
    try:
        engine = create_engine(url, **options)
    except NoSuchModuleError as error:
        raise LabelError(f"{masked(text)}: an unknown kind of database; {_ACCEPTED}") from error
    except ModuleNotFoundError as error:
        if url.get_backend_name() != "postgresql":
            raise LabelError(
                f"{masked(text)}: a kind of database not used here; {_ACCEPTED}"
            ) from error
        raise LabelError(
            f"{masked(text)}: needs the package {error.name}; pip install 'curvet[postgresql]'"
        ) from error
    store = Store(masked(text), engine)
    try:
        store.prepare(create=create)
    except BaseException:
        store.close()
        raise
    return store


_ACCEPTED = "accepted: the path of an SQLite file, or postgresql://USER:PASSWORD@HOST/NAME"


def masked(where: str) -> str:
    """Hide the passwords in a URL.

    Examples
    --------
    >>> masked("postgresql://me:secret@host/labels")
    'postgresql://me:***@host/labels'
    >>> masked("postgresql://host/labels?user=me&password=secret")
    'postgresql://host/labels?user=me&password=***'
    """
    where = re.sub(r"(?i)([?&][^=&]*pass[^=&]*=)[^&]*", r"\1***", where)
    scheme, found, rest = where.partition("://")
    user, at, host = rest.rpartition("@")
    if not found or not at:
        return where
    return f"{scheme}://{user.partition(':')[0]}{':***' if ':' in user else ''}@{host}"


def _check_file(path: Path, create: bool) -> None:
    if path.is_dir():
        raise LabelError(f"{path}: a folder; give the name of a file for the labels")
    if not path.exists() and path.suffix.casefold() in _TEXTS:
        raise LabelError(
            f"{path}: a database of labels is no {path.suffix} file; give it another ending, as in "
            "labels.db"
        )
    if not create and not path.exists():
        raise LabelError(f"{path}: no such file; {_ACCEPTED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") if path.exists() else _nothing() as file:
            head = file.read(len(HEADER)) if file else b""
    except OSError as error:
        raise LabelError(f"{path}: cannot be opened ({error.strerror})") from error
    if head and head != HEADER:
        raise LabelError(
            f"{path}: no SQLite file; {_ACCEPTED}. To take labels out of a CSV or JSON file, use "
            "`curvet labels import`"
        )


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """An open store; safe to use from several threads and processes.

    Parameters
    ----------
    source : str
        Where it lies, without a password.
    engine : sqlalchemy.Engine
        How to reach it.
    """

    source: str
    engine: Any

    def prepare(self, *, create: bool = True) -> None:
        """Make the tables where they are missing, and refuse those of a newer curvet.

        Parameters
        ----------
        create : bool
            Whether tables may be made; without, a database that has none is an error.
        """
        tables, ours = self._tables(), set(_tables().metadata.tables)
        if not tables & ours:
            self._check_new(tables, create)
        elif _tables().meta.name in tables:
            self._check_format()
        for _ in range(_TRIES):
            if tables >= ours:
                break
            with suppress(LabelError), self._transaction() as connection:
                _tables().metadata.create_all(connection, checkfirst=True)
            tables = self._tables()
        else:
            with self._transaction() as connection:  # says why
                _tables().metadata.create_all(connection, checkfirst=True)
        self._check_format()

    def _tables(self) -> set[str]:
        from sqlalchemy import inspect

        with self._transaction() as connection:
            return set(inspect(connection).get_table_names())

    def _check_new(self, tables: set[str], create: bool) -> None:
        if not create:
            raise LabelError(
                f"{self.source}: a database without labels; accepted is one that `curvet label` or "
                "`curvet labels import` has made"
            )
        if tables and self.engine.dialect.name == "sqlite":  # others are shared as a matter of fact
            raise LabelError(
                f"{self.source}: a database of something else (with the tables "
                f"{', '.join(sorted(tables)[:5])}); choose another file for the labels"
            )

    def _check_format(self) -> None:
        meta = _tables().meta
        with self._transaction() as connection:
            found = connection.execute(meta.select()).mappings().all()
        values = {row["key"]: row["value"] for row in found}
        if not values:
            with self._transaction() as connection:
                row = {"key": "format", "value": str(STORE_FORMAT)}
                connection.execute(_insert_once(connection, meta), [row])
        elif values.get("format") != str(STORE_FORMAT):
            raise LabelError(
                f"{self.source}: labels of format {values.get('format', '?')}, this curvet "
                f"reads {STORE_FORMAT}; install the newer curvet that wrote them"
            )

    def add(
        self,
        labels: Iterable[Label],
        *,
        progress: Progress = show_nothing,
    ) -> int:
        """Add labels, all or none; one that is there already is left out.

        Parameters
        ----------
        labels : iterable of Label
            In the order in which they were given.
        progress : callable (done, total) -> object
            Called now and then where there are many.

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        LabelError
            An unknown cause; nothing is added.
        """
        labels = list(labels)
        known = self.causes()
        for label in labels:
            check_causes(label, known)
        added = 0
        with self._transaction() as connection:
            table = _tables().labels
            insert = _insert_once(connection, table).returning(table.c.id)
            for place in range(0, len(labels), _AT_ONCE):
                rows = [_record(label) for label in labels[place : place + _AT_ONCE]]
                added += len(connection.execute(insert, rows).all())
                if len(labels) > _AT_ONCE:
                    progress(place + len(rows), len(labels))
        return added

    def add_cause(self, cause: TeamCause, annotator: str) -> None:
        """Add a cause of the team, or new words for it.

        Raises
        ------
        LabelError
            The key of a cause that curvet itself knows.
        """
        if cause.key in CAUSES or cause.key == UNSURE:
            raise LabelError(f"the cause {cause.key!r} is known already; choose another key")
        row = {
            "key": cause.key,
            "title": cause.title,
            "sign": cause.sign,
            "remedies": "\n".join(cause.remedies),
            "annotator": annotator,
            "added_at": datetime.now(UTC).isoformat(),
        }
        with self._transaction() as connection:
            connection.execute(_tables().causes.insert(), [row])

    def causes(self) -> dict[str, TeamCause]:
        """Return the causes of the team by key, in their latest words."""
        table = _tables().causes
        with self._transaction() as connection:
            rows = connection.execute(table.select().order_by(table.c.id)).mappings().all()
        return by_key(
            TeamCause(
                row["key"],
                row["title"],
                row["sign"],
                tuple(text for text in row["remedies"].split("\n") if text),
            )
            for row in rows
        )

    def labels(self) -> Labels:
        """Return all that was ever added."""
        table = _tables().labels
        with self._transaction() as connection:
            rows = connection.execute(table.select().order_by(table.c.id)).mappings().all()
        try:
            labels = tuple(_label(row) for row in rows)
        except (LabelError, ValueError, TypeError, AttributeError) as error:
            raise LabelError(
                f"{self.source}: holds what curvet did not write ({error!s:.300}); take the labels "
                "from a copy of it"
            ) from error
        return Labels(labels, self.causes(), self.source)

    def counts(self) -> tuple[int, int]:
        """Count the rows of labels and causes: none is ever removed, so more means new ones."""
        from sqlalchemy import func, select
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.engine.connect() as connection:
                labels, causes = (
                    int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                    for table in (_tables().labels, _tables().causes)
                )
        except SQLAlchemyError as error:
            raise LabelError(
                f"{self.source}: the labels cannot be read ({self._reason(error):.200})"
            ) from error
        return labels, causes

    def check_writable(self) -> None:
        """Refuse a store that can be read only, before anybody has worked in vain.

        Raises
        ------
        LabelError
            Nothing can be written to it.
        """
        from sqlalchemy.exc import SQLAlchemyError

        meta = _tables().meta
        try:
            with self.engine.begin() as connection:
                connection.execute(meta.update().values(value=meta.c.value))
        except SQLAlchemyError as error:
            raise LabelError(
                f"{self.source}: labels cannot be written there ({self._reason(error):.200}); name "
                "another place with --labels"
            ) from error

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, UnicodeError) as error:
            raise LabelError(
                f"{self.source}: the labels cannot be read or written "
                f"({self._reason(error):.300}); what was added before is not lost. Check the "
                "address, the permissions and the disk"
            ) from error

    def _reason(self, error: Exception) -> str:
        """Return what the database says: in a line, without how it was asked, and no password."""
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        for secret in (self.engine.url.password, self.engine.url.query.get("password")):
            reason = reason.replace(str(secret), "***") if secret else reason
        return reason


@dataclass(frozen=True, slots=True)
class _Tables:
    metadata: Any
    meta: Any
    labels: Any
    causes: Any


_made: list[_Tables] = []


def _tables() -> _Tables:
    """Describe the tables; once, since SQLAlchemy is imported late."""
    if _made:
        return _made[0]
    from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text

    metadata = MetaData()
    tables = _Tables(
        metadata,
        Table(
            "curvet_meta",
            metadata,
            Column("key", String(40), primary_key=True),
            Column("value", Text, nullable=False),
        ),
        Table(
            "curvet_labels",
            metadata,
            Column("id", Integer, primary_key=True, autoincrement=True),
            # Of run_id, annotator, labelled_at and cause: imported or sent twice, a label is there
            # once. The texts themselves are too long for an index of PostgreSQL.
            Column("digest", String(32), nullable=False, unique=True),
            Column("run_id", Text, nullable=False),
            Column("cause", Text, nullable=False),
            Column("annotator", Text, nullable=False),
            Column("labelled_at", String(40), nullable=False),
            Column("confidence", Float),
            Column("note", Text, nullable=False),
            Column("curve_hash", String(64), nullable=False),
            Column("taxonomy", Integer, nullable=False),
            sqlite_autoincrement=True,
        ),
        Table(
            "curvet_causes",
            metadata,
            Column("id", Integer, primary_key=True, autoincrement=True),
            Column("key", String(40), nullable=False),
            Column("title", Text, nullable=False),
            Column("sign", Text, nullable=False),
            Column("remedies", Text, nullable=False),
            Column("annotator", Text, nullable=False),
            Column("added_at", String(40), nullable=False),
            sqlite_autoincrement=True,
        ),
    )
    _made.append(tables)
    return tables


def _insert_once(connection: Any, table: Any) -> Any:
    """Return the statement that inserts rows unless they are there."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql(table).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(table).on_conflict_do_nothing()


def _record(label: Label) -> dict[str, Any]:
    record = to_record(label)
    names = ("run_id", "annotator", "labelled_at", "cause")
    whole = "\0".join(record[name] for name in names)
    return record | {"digest": hashlib.sha256(whole.encode()).hexdigest()[:32]}


def _label(row: Any) -> Label:
    return Label(
        row["run_id"],
        tuple(filter(None, row["cause"].split(";"))),
        row["annotator"],
        datetime.fromisoformat(row["labelled_at"]),
        row["confidence"],
        row["note"],
        row["curve_hash"],
        row["taxonomy"],
    )
