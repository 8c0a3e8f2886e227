"""Trackio's SQLite database, <project>.db: one row a step, its metrics as JSON.

A run is called by its name, or by its id where the project has several of that name. Trackio
writes NaN and infinity as words; nested metrics are named "train/loss".
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ReadError
from ..run import Run
from .base import Reader
from .habits import stored
from .series import Series
from .sqlite import columns, opened
from .text import value

_TABLES = frozenset({"metrics.run_name", "metrics.step", "metrics.metrics"})


def _matches(path: Path, head: bytes) -> bool:
    return columns(path, head) >= _TABLES


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    for path in paths:
        with opened(path) as connection:
            rows = connection.execute("SELECT * FROM metrics LIMIT 0")
            names = {column for column, *_ in rows.description}
            key = "run_id" if "run_id" in names else "run_name"  # before 2026 without ids
            runs = connection.execute(
                f"SELECT CAST({key} AS TEXT), CAST(min(run_name) AS TEXT) FROM metrics "
                f"WHERE {key} IS NOT NULL GROUP BY {key} ORDER BY min(rowid)"
            ).fetchall()
            count = Counter(name for _, name in runs)
            for run_id, name in runs:
                curves = _series(path, connection, key, run_id).curves()
                yield Run(name if name and count[name] == 1 else run_id, str(path), curves)
        if not runs:
            raise ReadError(path, "a Trackio database without any run", "logged runs are read")


def _series(path: Path, connection: sqlite3.Connection, key: str, run_id: str) -> Series:
    series = Series()
    rows = connection.execute(
        f"SELECT COALESCE(CAST(step AS REAL), 0), metrics FROM metrics WHERE {key} = ? "
        "ORDER BY rowid",
        (run_id,),
    ).fetchall()
    for step, text in rows:
        try:
            metrics = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            found = f"run {run_id!r}, step {step:g}: metrics that are no JSON ({error!s:.100})"
            raise ReadError(path, found, "Trackio writes an object of numbers") from error
        if isinstance(metrics, dict):
            _add(series, step, "", metrics)
    return series


def _add(series: Series, step: float, prefix: str, metrics: Mapping[str, Any]) -> None:
    if "_type" in metrics:
        return  # a picture or a table
    for name, inner in metrics.items():
        if isinstance(inner, dict):
            _add(series, step, f"{prefix}{name}/", inner)
        elif (number := value(inner)) is not None:
            series.add(f"{prefix}{name}", step, number)


READER = Reader(
    name="trackio",
    accepts="Trackio's SQLite database (<project>.db)",
    matches=_matches,
    read=_read,
    logging=stored("https://huggingface.co/docs/trackio, trackio.log"),
)
