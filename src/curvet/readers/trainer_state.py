"""Hugging Face's and PaddleNLP's trainer_state.json: the rows of `log_history`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ReadError
from ..run import Run
from .base import Reader
from .habits import HUGGING_FACE
from .json_table import parse, record_runs

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def _matches(path: Path, head: bytes) -> bool:
    return path.name == "trainer_state.json" or (
        path.suffix == ".json" and b'"log_history"' in head and b'"global_step"' in head
    )


def _unit(path: Path) -> Path:
    """Return the run folder: every checkpoint repeats the rows of the one before."""
    if path.name != "trainer_state.json":
        return path
    folder = path.parent
    return folder.parent if _CHECKPOINT.fullmatch(folder.name) else folder


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    path = max(paths, key=_progress)
    state = parse(path)
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list):
        raise ReadError(path, "JSON without a list log_history", "trainer_state.json has one")
    # The closing row holds means over the whole run: its train_loss is no point of the curve.
    rows = [row for row in history if isinstance(row, dict) and "train_runtime" not in row]
    runs = list(record_runs(path, rows))
    if not runs:
        raise ReadError(path, "a trainer state without any logged row", "train past logging_steps")
    yield from runs


def _progress(path: Path) -> float:
    """Order by checkpoint; the file beside the checkpoints was written after all of them."""
    number = _CHECKPOINT.fullmatch(path.parent.name)
    return int(number[1]) if number else float("inf")


READER = Reader(
    name="trainer_state",
    accepts="trainer_state.json of Hugging Face or PaddleNLP",
    matches=_matches,
    read=_read,
    logging=HUGGING_FACE,
    unit=_unit,
    suffixes=frozenset({".json"}),
)
