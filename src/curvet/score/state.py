"""What has been scored, in an SQLite file beside the output, so that work is never done twice.

Killed at any moment, the file holds whole batches: SQLite's transactions see to it.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ScoreError

STATE_FORMAT = 1
_FETCH = 2048
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS logs (
    id INTEGER PRIMARY KEY,
    name TEXT UNIQUE,       -- of the unit
    place TEXT,             -- JSON: reader, path, files
    stamp TEXT,             -- sizes and times of change of the files
    digest TEXT,            -- hash of their content when they were scored
    bundle TEXT,            -- predictor that scored them, and in which language
    done INTEGER,
    search INTEGER,         -- number of the search that met it last
    position INTEGER,       -- in that search
    batch INTEGER,          -- what is scored together
    changed INTEGER         -- number of the search that scored it last
);
CREATE INDEX IF NOT EXISTS by_position ON logs (search, position);
CREATE TABLE IF NOT EXISTS rows (
    log INTEGER, place INTEGER, run_id TEXT, status TEXT, cause TEXT, kind TEXT, record BLOB,
    PRIMARY KEY (log, place)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Met:
    """A log as a search has met it; see the table `logs`."""

    name: str
    place: str
    stamp: str
    batch: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A log that waits to be scored."""

    id: int
    name: str
    place: str
    digest: str
    batch: int


@dataclass(frozen=True, slots=True)
class Known:
    """A log that has been scored, and a run that was in it.

    Parameters
    ----------
    run_id : str
        As in the table.
    name, place, stamp : str
        See the table `logs`.
    """

    run_id: str
    name: str
    place: str
    stamp: str


def known_runs(path: Path) -> list[Known]:
    """List the runs of a state file without changing it; those met last come last.

    Parameters
    ----------
    path : Path
        The file beside a table of scores. One of another version has no runs.

    Raises
    ------
    ScoreError
        Not there, in use, or damaged.
    """
    query = """
        SELECT run_id, name, logs.place, stamp FROM logs JOIN rows ON rows.log = logs.id
        WHERE (SELECT value FROM meta WHERE key = 'format') = ? ORDER BY search
    """
    # Without a log of changes nobody has it open: then nothing need be written beside it.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", 0.2, uri=True)
        ) as database:
            return [Known(*values) for values in database.execute(query, (str(STATE_FORMAT),))]
    except sqlite3.Error as error:
        raise ScoreError(f"{path}: cannot be read ({error})") from error


Record = Mapping[str, Any]
"""See `report.columns.to_record`; the key "kind" beside it is the kind of an error."""


class State:
    """An open state file; nobody else can open it meanwhile.

    Parameters
    ----------
    path : Path
        The file; made if it is not there.
    scorer : str
        The predictor in use, and the language of its words: what another one has scored is scored
        again.

    Raises
    ------
    ScoreError
        In use, damaged, or of another version.
    """

    def __init__(self, path: Path, scorer: str) -> None:
        self.path, self.scorer = path, scorer
        with self._told():
            self._database = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            # One process at a time; the lock ends with the process, however that ends.
            self._database.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            made_by = self._meta("format")
            if made_by not in ("", str(STATE_FORMAT)):
                raise ScoreError(
                    f"{path}: a state file of format {made_by}, this curvet writes {STATE_FORMAT}; "
                    "delete it to score everything anew"
                )
            self.search = int(self._meta("search") or 0) + 1
            self._set_meta("format", str(STATE_FORMAT))
            self._set_meta("search", str(self.search))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Put what SQLite says into words."""
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "locked" in text:
                found = "in use by another `curvet score`; wait for it or choose another --out"
            elif "full" in text or "I/O" in text:
                found = (
                    f"cannot be written ({text}); make room on the disk, and the same command "
                    "goes on where this one stopped"
                )
            else:
                found = f"cannot be used ({text}); check that its folder can be written to"
            raise ScoreError(f"{self.path}: {found}") from error
        except sqlite3.DatabaseError as error:
            raise ScoreError(
                f"{self.path}: a damaged state file ({error}); delete it to score everything anew"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            self._database.execute("BEGIN")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _meta(self, key: str) -> str:
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return "" if row is None else str(row[0])

    def _set_meta(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def meet(self, logs: Sequence[Met], first: int) -> None:
        """Note logs that the search has met at the positions from `first` on.

        What has other files, another time of change or another scorer than when it was scored
        waits again.
        """
        with self._transaction() as database:
            database.executemany(
                """
                INSERT INTO logs (name, place, stamp, digest, bundle, done, search, position, batch)
                VALUES (?, ?, ?, '', ?, 0, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET
                    done = done AND stamp = excluded.stamp AND place = excluded.place
                           AND bundle = excluded.bundle,
                    digest = CASE WHEN bundle = excluded.bundle AND place = excluded.place
                                  THEN digest ELSE '' END,
                    place = excluded.place, stamp = excluded.stamp, bundle = excluded.bundle,
                    search = excluded.search, position = excluded.position, batch = excluded.batch
                """,
                [
                    (m.name, m.place, m.stamp, self.scorer, self.search, first + i, m.batch)
                    for i, m in enumerate(logs)
                ],
            )

    def forget_others(self) -> None:
        """Drop the logs that this search has not met: they are gone."""
        with self._transaction() as database:
            others = "SELECT id FROM logs WHERE search <> ?"
            database.execute(f"DELETE FROM rows WHERE log IN ({others})", (self.search,))
            database.execute("DELETE FROM logs WHERE search <> ?", (self.search,))

    def count(self) -> tuple[int, int]:
        """Count the logs that this search has met, and those of them that wait."""
        with self._told():
            total, done = self._database.execute(
                "SELECT count(*), coalesce(sum(done), 0) FROM logs WHERE search = ?", (self.search,)
            ).fetchone()
        return total, total - done

    def known(self) -> int:
        """Count the logs of this search whose rows an earlier call made."""
        with self._told():
            (count,) = self._database.execute(
                "SELECT count(*) FROM logs WHERE search = ? AND changed < ?",
                (self.search, self.search),
            ).fetchone()
        return int(count)

    def without_rows(self) -> int:
        """Count what looked like a log of this search, but was none."""
        with self._told():
            (count,) = self._database.execute(
                "SELECT count(*) FROM logs WHERE search = ? AND done "
                "AND NOT EXISTS (SELECT 1 FROM rows WHERE rows.log = logs.id)",
                (self.search,),
            ).fetchone()
        return int(count)

    def pending(self, after: int, batches: int) -> list[list[Pending]]:
        """Return the logs that wait, batch by batch.

        Parameters
        ----------
        after : int
            Batches up to this number are left out.
        batches : int
            How many at most.
        """
        query = """
            SELECT id, name, place, digest, batch FROM logs
            WHERE search = ? AND done = 0 AND batch > ? ORDER BY position
        """
        found: dict[int, list[Pending]] = {}
        with self._told():
            for values in self._database.execute(query, (self.search, after)):
                one = Pending(*values)
                if one.batch not in found and len(found) == batches:
                    break
                found.setdefault(one.batch, []).append(one)
        return list(found.values())

    def keep(self, results: Iterable[tuple[int, str, Sequence[Record] | None]]) -> None:
        """Keep what came of some logs: all of it or, if the process ends now, nothing.

        Parameters
        ----------
        results : iterable of (id, digest, records)
            Records are None where the content is what was scored before.
        """
        with self._transaction() as database:
            for log, digest, records in results:
                database.execute("UPDATE logs SET done = 1, digest = ? WHERE id = ?", (digest, log))
                if records is not None:
                    self._write_rows(log, records)

    def keep_failures(self, failures: Iterable[tuple[str, Record]]) -> None:
        """Keep the rows of files that the search could not read, by the names of their logs."""
        with self._transaction() as database:
            for name, record in failures:
                log, done = database.execute(
                    "SELECT id, done FROM logs WHERE name = ?", (name,)
                ).fetchone()
                if not done:
                    database.execute("UPDATE logs SET done = 1 WHERE id = ?", (log,))
                    self._write_rows(log, [record])

    def _write_rows(self, log: int, records: Sequence[Record]) -> None:
        self._database.execute("UPDATE logs SET changed = ? WHERE id = ?", (self.search, log))
        self._database.execute("DELETE FROM rows WHERE log = ?", (log,))
        self._database.executemany(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    log,
                    place,
                    record["run_id"],
                    record["status"],
                    record["cause"],
                    record["kind"],
                    zlib.compress(json.dumps(record).encode(), 1),
                )
                for place, record in enumerate(records)
            ],
        )

    def records(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the records of this search in its order, those of some thousand logs at a time."""
        for part in self._parts():
            yield [json.loads(zlib.decompress(blob)) for _, _, _, blob in part]

    def settle(
        self, judge: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the records as `judge` has them, and note their causes for the summary."""
        for part in self._parts():
            settled = judge([json.loads(zlib.decompress(blob)) for _, _, _, blob in part])
            changed = [
                (record["cause"], log, place)
                for (log, place, cause, _), record in zip(part, settled, strict=True)
                if record["cause"] != cause
            ]
            with self._transaction() as database:
                database.executemany(
                    "UPDATE rows SET cause = ? WHERE log = ? AND place = ?", changed
                )
            yield settled

    def _parts(self) -> Iterator[list[tuple[int, int, str | None, bytes]]]:
        """Yield log, place, cause and record of the rows, by position in the search."""
        query = """
            SELECT log, rows.place, cause, record FROM logs JOIN rows ON rows.log = logs.id
            WHERE search = ? AND position >= ? AND position < ? AND done
            ORDER BY position, rows.place
        """
        with self._told():
            (last,) = self._database.execute(
                "SELECT max(position) FROM logs WHERE search = ?", (self.search,)
            ).fetchone()
        for first in range(0, (last or 0) + 1, _FETCH):
            with self._told():
                part = self._database.execute(
                    query, (self.search, first, first + _FETCH)
                ).fetchall()
            if part:
                yield part

    def is_written(self, out: Path, asked: str) -> bool:
        """Tell whether a table holds these very rows already, with the verdicts asked for."""
        with self._told():
            return out.is_file() and self._meta("written") == self._written(out, asked)

    def set_written(self, out: Path, asked: str) -> None:
        """Note that a table holds these rows."""
        with self._told():
            self._set_meta("written", self._written(out, asked))

    def _written(self, out: Path, asked: str) -> str:
        """Return a text that differs for other rows, another order, or an edited table."""
        rows = self._database.execute(
            "SELECT count(*), sum(id * (position + 1) % 1000003), max(changed) FROM logs "
            "WHERE search = ?",
            (self.search,),
        ).fetchone()
        status = out.stat()
        return json.dumps([asked, str(out.absolute()), status.st_size, status.st_mtime_ns, *rows])

    def select(self, what: str) -> list[tuple[Any, ...]]:
        """Query the rows of this search: ``SELECT {what}`` over `rows`."""
        source = "(SELECT rows.* FROM rows JOIN logs ON rows.log = logs.id WHERE search = ?)"
        with self._told():
            return self._database.execute(
                f"SELECT {what.replace('FROM rows', f'FROM {source}')}", (self.search,)
            ).fetchall()
