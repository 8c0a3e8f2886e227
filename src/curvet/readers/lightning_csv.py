"""Lightning's CSVLogger: version_N/metrics.csv, training and validation in rows of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..run import Run
from .base import Reader
from .habits import LIGHTNING
from .table import read_table
from .text import first_line


def _matches(path: Path, head: bytes) -> bool:
    if path.name != "metrics.csv":
        return False
    header = {cell.strip() for cell in first_line(head).split(",")}
    return {"epoch", "step"} <= header


def _unit(path: Path) -> Path:
    return path.parent


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    for path in paths:
        yield from read_table(path)


READER = Reader(
    name="lightning_csv",
    accepts="Lightning's metrics.csv",
    matches=_matches,
    read=_read,
    logging=LIGHTNING,
    unit=_unit,
    suffixes=frozenset({".csv"}),
)
