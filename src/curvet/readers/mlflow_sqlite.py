"""MLflow's SQLite store, mlflow.db, read without MLflow.

- Every active run is a run, called by its uuid; deleted ones are left out.
- MLflow stores NaN as 0 with a mark, and infinity as the largest number: they are turned back.
- Points come in the order in which they were stored. Where no steps were logged, MLflow stores
  0: such points are counted.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ReadError
from ..run import Run
from .base import Reader
from .habits import stored
from .series import Series
from .sqlite import columns, opened

_PAGE = 1000  # runs whose names are held at once
_TABLES = frozenset({"runs.run_uuid", "metrics.run_uuid", "metrics.is_nan"})


def _matches(path: Path, head: bytes) -> bool:
    found = columns(path, head)
    return found >= _TABLES or "" in found  # a damaged one is named when it is read


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    for path in paths:
        empty = True
        with opened(path) as connection:
            for run_id in _run_ids(connection):
                empty = False
                yield Run(
                    run_id, str(path), _series(connection, run_id).curves(zero_is_no_step=True)
                )
        if empty:
            raise ReadError(path, "an MLflow database without any run", "active runs are read")


def _run_ids(connection: sqlite3.Connection) -> Iterator[str]:
    last = ""
    while page := connection.execute(
        "SELECT CAST(run_uuid AS TEXT) FROM runs WHERE run_uuid > ? AND lifecycle_stage = 'active' "
        "ORDER BY run_uuid LIMIT ?",
        (last, _PAGE),
    ).fetchall():
        for (last,) in page:
            yield last


def _series(connection: sqlite3.Connection, run_id: str) -> Series:
    series = Series()
    rows = connection.execute(
        "SELECT CAST(key AS TEXT), COALESCE(CAST(step AS REAL), 0), CAST(value AS REAL), is_nan "
        "FROM metrics WHERE run_uuid = ? ORDER BY rowid",
        (run_id,),
    ).fetchall()
    for key, step, value, is_nan in rows:
        series.add(key, step, math.nan if is_nan or value is None else unbounded(value))
    return series


def unbounded(value: float) -> float:
    """Turn the largest number back into the infinity that it stands for.

    Examples
    --------
    >>> unbounded(-1.7976931348623157e308), unbounded(2.0)
    (-inf, 2.0)
    """
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value


READER = Reader(
    name="mlflow_sqlite",
    accepts="MLflow's SQLite database (mlflow.db)",
    matches=_matches,
    read=_read,
    logging=stored("https://mlflow.org/docs/latest/ml/tracking, log_metric"),
)
