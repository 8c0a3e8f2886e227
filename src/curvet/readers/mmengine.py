"""mmengine's <time>/ and mmcv's <time>.log.json: one training, written two or three times over.

Of vis_data/scalars.json, <time>.json and <time>.log the first one is read. Training counts
iterations; an evaluation counts epochs, and is put at the last iteration logged before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ReadError, UnknownFormatError
from ..run import Run
from . import text_log
from .base import Reader
from .habits import MMCV, MMENGINE
from .json_table import line_records
from .rows import Rows, evaluates
from .text import first_line, head_lines, value

ACCEPTED = "JSON lines of a training with mmengine or mmcv are read"
_TIME = re.compile(r"\d{8}_\d{6}")
_LOGGER = re.compile(r" - (?:mm\w{1,20}|mim) - (?:INFO|WARNING)")
_SCALARS = "scalars.json"


def _matches(path: Path, head: bytes) -> bool:
    stem, _, suffix = path.name.partition(".")
    if suffix == "log" and _TIME.fullmatch(stem):
        return any(_LOGGER.search(line) for line in head_lines(head[:4096]))
    if suffix not in ("json", "log.json"):
        return False
    timed = path.name == _SCALARS or bool(_TIME.fullmatch(stem))
    first = first_line(head)
    # mmcv alone ends a name so; what it is told of the training stands in the first line.
    known = suffix == "log.json" or any(key in first for key in ('"iter"', '"step"'))
    return timed and first.startswith("{") and known


def _unit(path: Path) -> Path:
    stem = path.name.partition(".")[0]
    if path.parent.name == "vis_data":
        return path.parent.parent
    twins = (path.with_name(f"{stem}.log"), path.with_name(f"{stem}.log.json"))  # of mmcv
    beside = path.parent.name == stem or all(twin.exists() for twin in twins)
    return path.parent if beside else path


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    groups: dict[str, list[Path]] = {}
    for path in sorted(paths, key=_order):
        # scalars.json is of the training that its folder is named after.
        stem = _unit(path).name if path.name == _SCALARS else path.name.partition(".")[0]
        groups.setdefault(stem, []).append(path)
    errors: list[ReadError] = []
    found = 0
    for stem in sorted(groups):
        try:
            run = _training(groups[stem])
            found += 1
            yield replace(run, id=stem if len(groups) > 1 else "")
        except ReadError as error:
            errors.append(error)
    # A configuration that failed at once leaves a log of settings beside the others.
    serious = [error for error in errors if not isinstance(error, UnknownFormatError)]
    if serious or not found:
        raise (serious or errors)[0]


def _order(path: Path) -> tuple[bool, bool, str]:
    return path.suffix == ".log", path.name != _SCALARS, path.name


def _training(paths: Sequence[Path]) -> Run:
    error: ReadError | None = None
    for path in paths:
        try:
            if path.suffix == ".log":
                return next(iter(text_log.READER.read([path])))
            rows = _rows(path)
            if curves := rows.curves():
                logging = MMCV if path.name.endswith(".log.json") else MMENGINE
                return Run("", str(path), curves, logging=logging)
            raise UnknownFormatError(path, "no row of a training", ACCEPTED)
        except ReadError as problem:
            error = error or problem
    raise error or ReadError(paths[0], "no row of a training", ACCEPTED)


def _rows(path: Path) -> Rows:
    rows, state = Rows(), _State()
    for record in line_records(path):
        if row := state.row(record):
            rows.add(row.items())
    return rows


class _State:
    """Where the training is, as far as its records were read."""

    def __init__(self) -> None:
        self.epoch = 0.0
        self.inner = 0.0
        self.before = 0.0  # iterations of the epochs before, where each epoch counts anew
        self.step = 0.0

    def row(self, record: Mapping[str, Any]) -> dict[str, float]:
        """Turn a record into a row of one global step."""
        cells = {name: number for name, cell in record.items()
                 if (number := value(cell)) is not None}  # fmt: skip
        inner, epoch = cells.pop("iter", None), cells.pop("epoch", None)
        step = cells.pop("step", None)
        mode = str(record.get("mode", "train" if inner is not None else "val"))
        if not cells:
            return {}
        if mode == "train":
            self._advance(step, inner, epoch)
            place = self.step
        else:
            # An evaluation counted by iterations is never behind the training.
            place = step if step is not None and step >= self.step else self.step
            cells = {n if evaluates(n) else f"val/{n}": cell for n, cell in cells.items()}
        at_epoch = {} if epoch is None else {"epoch": epoch}
        return {"step": place, **at_epoch, **cells}

    def _advance(self, step: float | None, inner: float | None, epoch: float | None) -> None:
        if step is not None:
            self.step = step
            return
        if inner is None:
            return
        if epoch is not None and epoch > self.epoch and inner < self.inner:
            self.before += self.inner
        self.epoch, self.inner = epoch or self.epoch, inner
        self.step = self.before + inner


READER = Reader(
    name="mmengine",
    accepts="logs of mmengine and mmcv (scalars.json, <time>.json, <time>.log.json)",
    matches=_matches,
    read=_read,
    logging=MMENGINE,
    unit=_unit,
    suffixes=frozenset({".json", ".log"}),
)
