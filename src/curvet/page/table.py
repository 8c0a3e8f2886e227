"""A table of scores, as `curvet score` writes it -> its rows."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..causes import TeamCause
from ..errors import LabelError, ScoreError
from ..report.as_csv import without_guard
from ..report.columns import SCHEMA_VERSION
from ..score.outputs import TEAM_CAUSES

_NEEDED = ("run_id", "source", "status", "cause", "probability", "evidence")


@dataclass(frozen=True, slots=True)
class Score:
    """One row of a table of scores; see `report.columns` for what the fields mean.

    Parameters
    ----------
    run_id, source, format, status, error, reason, evidence, bundle : str
        "" where the table has nothing.
    cause : str or None
        None without a verdict.
    probability : float or None
        Of the cause.
    likely : tuple of str
        Keys of causes.
    n_points : int
        Of the training loss.
    probabilities : mapping of cause to float
        All of them; empty without a verdict.
    novelty : float or None
        Share of known runs that are less strange.
    limits : str
        What the log cannot show.
    """

    run_id: str
    source: str
    format: str
    status: str
    error: str
    cause: str | None
    probability: float | None
    likely: tuple[str, ...]
    reason: str
    evidence: str
    n_points: int
    bundle: str
    probabilities: Mapping[str, float]
    novelty: float | None = None
    limits: str = ""


def read_scores(path: Path) -> list[Score]:
    """Read a table of scores.

    Parameters
    ----------
    path : Path
        Ends in .parquet, .csv or .jsonl.

    Raises
    ------
    ScoreError
        Not there, damaged, no table of scores, or of a newer version.
    """
    reader = _READERS.get(path.suffix.casefold())
    if reader is None:
        raise ScoreError(
            f"{path}: the ending {path.suffix!r} names no table of scores; accepted: "
            f"{', '.join(sorted(_READERS))}, as `curvet score --out` writes them"
        )
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise ScoreError(f"{path}: {found}; give the table that `curvet score --out` has written")
    try:
        records = list(reader(path))
        _check(path, records)
        chances = {name: name[2:] for name in records[0] if name.startswith("p_")}
        return [_score(record, chances) for record in records]
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise ScoreError(
            f"{path}: cannot be read as a table of scores ({type(error).__name__}: "
            f"{error!s:.200}); accepted is what `curvet score --out` writes"
        ) from error


def read_team_causes(path: Path) -> dict[str, TeamCause]:
    """Read a team's words for causes of its own from a table; only parquet has any.

    Parameters
    ----------
    path : Path
        A table that `read_scores` could read.

    Raises
    ------
    ScoreError
        Words that are none.
    """
    if path.suffix.casefold() != ".parquet":
        return {}
    import pyarrow.parquet as pq

    told = (pq.read_schema(path).metadata or {}).get(TEAM_CAUSES.encode(), b"{}")
    try:
        return {key: TeamCause.of(key, plain) for key, plain in json.loads(told).items()}
    except (LabelError, ValueError, TypeError, AttributeError) as error:
        raise ScoreError(f"{path}: its words for a team's causes are damaged ({error})") from error


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            names = batch.schema.names
            columns = [column.to_pylist() for column in batch.columns]
            for values in zip(*columns, strict=True):  # faster than batch.to_pylist()
                yield dict(zip(names, values, strict=True))


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8", newline="") as stream:
        for record in csv.DictReader(stream, strict=True):
            yield {name: without_guard(text) for name, text in record.items()}


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        yield from (json.loads(line) for line in stream if line.strip())


_READERS: dict[str, Callable[[Path], Iterable[Mapping[str, Any]]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}


def _check(path: Path, records: list[Mapping[str, Any]]) -> None:
    if not records:
        raise ScoreError(f"{path}: a table without rows; score some runs first")
    missing = [name for name in _NEEDED if name not in records[0]]
    if missing:
        raise ScoreError(
            f"{path}: no table of scores, for it has no column {', '.join(missing)}; accepted is "
            "what `curvet score --out` writes"
        )
    version = _number(records[0].get("schema_version")) or 0
    if version > SCHEMA_VERSION:
        raise ScoreError(
            f"{path}: a table of schema version {version:.0f}, this curvet reads up to "
            f"{SCHEMA_VERSION}; install the newer curvet that wrote it"
        )


def _score(record: Mapping[str, Any], causes: Mapping[str, str]) -> Score:
    chances = {
        cause: chance
        for name, cause in causes.items()
        if (chance := _number(record.get(name))) is not None
    }
    likely = record.get("likely") or []
    return Score(
        run_id=_text(record["run_id"]),
        source=_text(record["source"]),
        format=_text(record.get("format")),
        status=_text(record["status"]),
        error=_text(record.get("error")),
        cause=_text(record["cause"]) or None,
        probability=_number(record["probability"]),
        likely=tuple(likely.split(";") if isinstance(likely, str) else likely),
        reason=_text(record.get("reason")),
        evidence=_text(record["evidence"]),
        n_points=int(_number(record.get("n_points")) or 0),
        bundle=_text(record.get("bundle")),
        probabilities=chances,
        novelty=_number(record.get("novelty")),
        limits=_text(record.get("limits")),
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    number = value if type(value) is float else float(value)
    return number if math.isfinite(number) else None
