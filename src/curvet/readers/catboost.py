"""CatBoost's catboost_info: one training, written three times over.

learn_error.tsv and test_error.tsv are read first, then catboost_training.json, which is no whole
JSON before the training has ended, then the event files in learn/ and test/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ReadError
from ..run import Curve, Run
from . import tensorboard
from .base import Reader
from .habits import BOOSTING
from .json_table import parse
from .rows import Rows
from .table import read_table
from .text import first_line, value

ACCEPTED = "learn_error.tsv with a column of iterations is read"
_TABLE = re.compile(r"(learn|test\w{0,20})_error\.tsv")
_FOLDER = re.compile(r"learn|test\w{0,20}")
_CLOCK = "time_left.tsv"  # milliseconds alone
_DOCUMENT = "catboost_training.json"


def _matches(path: Path, head: bytes) -> bool:
    name = path.name
    if name == _DOCUMENT:
        return True
    if name == _CLOCK or _TABLE.fullmatch(name):
        return first_line(head).startswith("iter\t")
    return name == "events.out.tfevents" and bool(_FOLDER.fullmatch(path.parent.name))


def _unit(path: Path) -> Path:
    return path.parent.parent if "tfevents" in path.name else path.parent


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    tables = [path for path in paths if _TABLE.fullmatch(path.name)]
    documents = [path for path in paths if path.name == _DOCUMENT]
    events = [path for path in paths if "tfevents" in path.name]
    clocks = [path for path in paths if path.name == _CLOCK]
    curves: dict[str, Curve] = {}
    error: ReadError | None = None
    for source, given in (
        (_of_tables, tables),
        (_of_document, documents),
        (_of_events, events),
        (_of_clock, clocks),
    ):
        try:
            curves = curves or (source(given) if given else {})
        except ReadError as problem:
            error = error or problem
    if not curves:
        raise error or ReadError(paths[0], "no table of the losses of a training", ACCEPTED)
    yield Run("", str(paths[0] if len(paths) == 1 else _unit(paths[0])), curves)


def _of_tables(paths: Sequence[Path]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for path in paths:
        if match := _TABLE.fullmatch(path.name):
            for run in read_table(path):
                curves |= _below(match[1], run.curves)
    return curves


def _of_clock(paths: Sequence[Path]) -> dict[str, Curve]:
    return {tag: curve for run in read_table(paths[0]) for tag, curve in run.curves.items()}


def _of_events(paths: Sequence[Path]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for path in paths:
        for run in tensorboard.READER.read([path]):
            curves |= _below(path.parent.name, run.curves)
    return curves


def _of_document(paths: Sequence[Path]) -> dict[str, Curve]:
    document = parse(paths[0])
    meta = document.get("meta") if isinstance(document, dict) else None
    found = document.get("iterations") if isinstance(document, dict) else None
    if not isinstance(meta, dict) or not isinstance(found, list):
        raise ReadError(paths[0], "JSON without meta and iterations", ACCEPTED)
    sets = {"learn": _names(meta, "learn_metrics")}
    for name in meta.get("test_sets") or ():
        sets[str(name)] = _names(meta, "test_metrics")
    rows = Rows()
    for row in found:
        if isinstance(row, dict):
            rows.add(_cells(row, sets))
    return rows.curves()


def _names(meta: Mapping[str, Any], key: str) -> list[str]:
    metrics = meta.get(key)
    entries = metrics if isinstance(metrics, list) else []
    return [str(entry.get("name")) for entry in entries if isinstance(entry, dict)]


def _cells(row: Mapping[str, Any], sets: Mapping[str, list[str]]) -> list[tuple[str, float]]:
    cells = [("iteration", row.get("iteration"))]
    for part, names in sets.items():
        numbers = row.get(part)
        if isinstance(numbers, list):  # left out where only every tenth is evaluated
            cells += [(f"{part}/{name}", cell) for name, cell in zip(names, numbers, strict=False)]
    return [(name, number) for name, cell in cells if (number := value(cell)) is not None]


def _below(part: str, curves: Mapping[str, Curve]) -> dict[str, Curve]:
    return {f"{part}/{tag}": Curve(f"{part}/{tag}", c.step, c.value) for tag, c in curves.items()}


READER = Reader(
    name="catboost",
    accepts="CatBoost's catboost_info",
    matches=_matches,
    read=_read,
    logging=BOOSTING,
    unit=_unit,
    suffixes=frozenset({".tsv", ".json", ".tfevents"}),
)
