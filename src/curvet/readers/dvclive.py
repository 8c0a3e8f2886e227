"""DVCLive: plots/metrics/<tag>.tsv, one series a file, all of them one run.

metrics.json beside them holds the last values over again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ReadError, UnknownFormatError
from ..run import Curve, Run
from .base import Reader
from .habits import stored
from .rows import step_rank
from .table import read_table
from .text import first_line

_BELOW = ("plots", "metrics")
_LAST = "metrics.json"


def _metrics(path: Path) -> Path | None:
    """Return the folder plots/metrics that a file is in."""
    inside = (p for p in path.parents if (p.parent.name, p.name) == _BELOW)
    return next(inside, None)


def _matches(path: Path, head: bytes) -> bool:
    if path.name == _LAST:
        return path.parent.joinpath(*_BELOW).exists()
    if path.suffix.casefold() != ".tsv" or _metrics(path) is None:
        return False
    header = first_line(head).rstrip().split("\t")
    return "step" in header and len(header) > 1


def _unit(path: Path) -> Path:
    if path.name == _LAST:
        return path.parent
    folder = _metrics(path)
    return path if folder is None else folder.parent.parent


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    curves: dict[str, Curve] = {}
    errors: list[ReadError] = []
    for path in paths:
        if path.name == _LAST:
            continue
        folder = _metrics(path) or path.parent
        tag = path.relative_to(folder).with_suffix("").as_posix()
        try:
            for run in read_table(path):
                named = [c for name, c in run.curves.items() if step_rank(name) is None]
                if named:
                    curves[tag] = Curve(tag, named[-1].step, named[-1].value)
        except UnknownFormatError:
            continue  # a header alone: nothing was logged yet
        except ReadError as error:
            errors.append(error)
    if curves:
        source = paths[0] if len(paths) == 1 else _unit(paths[0])
        yield Run("", str(source), curves)
    if errors:
        raise errors[0]
    if not curves:
        raise ReadError(paths[0], "no series of a metric", "DVCLive's folder plots/metrics is read")


READER = Reader(
    name="dvclive",
    accepts="DVCLive's plots/metrics",
    matches=_matches,
    read=_read,
    logging=stored("https://doc.dvc.org/dvclive/live/log_metric"),
    unit=_unit,
    suffixes=frozenset({".tsv", ".json"}),
)
