"""Keras's CSVLogger: a column "epoch", then the metrics by name; "NA" where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..run import Run
from .base import Reader
from .habits import KERAS
from .table import SUFFIXES, read_table
from .text import first_line


def _matches(path: Path, head: bytes) -> bool:
    header = first_line(head).strip()
    if not header.startswith("epoch"):
        return False
    delimiter = max(",;\t", key=header.count)  # CSVLogger(separator=...)
    first, *metrics = header.split(delimiter)
    return (
        first == "epoch"
        and "loss" in metrics
        and "step" not in metrics
        and sorted(metrics) == metrics
    )


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    for path in paths:
        yield from read_table(path)


READER = Reader(
    name="keras_csv",
    accepts="tables of Keras's CSVLogger",
    matches=_matches,
    read=_read,
    logging=KERAS,
    suffixes=SUFFIXES | {".log", ".txt"},
)
