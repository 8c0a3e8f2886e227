"""Which logs of an archive are scored: a condition, a date."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta

from ..errors import SelectionError

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a condition can ask of a log before it is read.

    Parameters
    ----------
    run_id, source, format : str
        As in the table of scores.
    bytes : int
        Size of all its files.
    modified : str
        When the last of its files changed, as "2026-01-31 23:59:59" in UTC; "" where unknown.
    """

    run_id: str
    source: str
    format: str
    bytes: int
    modified: str


def parse_since(text: str, now: datetime) -> datetime:
    """Read "2026-01-31", "2026-01-31T12:00" or an age such as "7d" (m, h, d, w).

    Raises
    ------
    SelectionError
        Neither.

    Examples
    --------
    >>> parse_since("36h", datetime(2026, 1, 3, tzinfo=UTC)).isoformat()
    '2026-01-01T12:00:00+00:00'
    """
    if age := re.fullmatch(r"(\d{1,6})([mhdw])", text.strip()):
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise SelectionError(
            f"--since {text!r} is no date; give 2026-01-31, 2026-01-31T12:00, or an age such as "
            "90m, 12h, 7d or 4w"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def compile_where(condition: str) -> Callable[[Candidate], bool]:
    """Make a test of an SQL condition over the fields of `Candidate`.

    SQLite evaluates it in a database of its own that holds nothing; it may read the fields and
    call functions, no more.

    Raises
    ------
    SelectionError
        No valid condition.

    Examples
    --------
    >>> keep = compile_where("format = 'tensorboard' AND run_id LIKE 'vision/%'")
    >>> keep(Candidate("vision/7", "runs/vision/7", "tensorboard", 4000, "2026-01-31 00:00:00"))
    True
    """
    names = [field.name for field in fields(Candidate)]
    database = sqlite3.connect(":memory:")
    given = ", ".join(f":{name} AS {name}" for name in names)
    query = f"SELECT ({condition}) FROM (SELECT {given})"
    database.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
    )

    def keep(candidate: Candidate) -> bool:
        try:
            (kept,) = database.execute(query, asdict(candidate)).fetchone()
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise SelectionError(
                f"--where {condition!r} is no condition ({error}); give SQL over "
                f"{', '.join(names)}, such as \"format = 'tensorboard' AND bytes < 1e6\""
            ) from error
        return bool(kept)

    keep(Candidate("", "", "", 0, ""))
    return keep
