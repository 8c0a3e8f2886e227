"""MLflow's file store: mlruns/<experiment>/<run>/metrics/<name>, a line "time value step" a point.

The folder of a run is one run, and everything in it belongs to it: parameters, tags, artifacts.
The file about an experiment holds no run.
A name with "/" is a path of folders. Deleted runs and logged models are left out. Where no steps
were logged, MLflow stores 0: such points are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from ..errors import ReadError
from ..run import Run
from .base import Reader
from .habits import stored
from .series import Series
from .text import lines

ACCEPTED = "lines of the form: time in ms, value, step"
_INSIDE = frozenset({"metrics", "params", "tags", "artifacts", "inputs", "outputs", "meta.yaml"})
_DEPTH = 12  # folders that a metric's name may make
_LINE = 4096  # bytes; a point takes less than 100
_RUN = re.compile(r"(?:m-)?[0-9a-f]{32}")  # "m-": a logged model
_DELETED = re.compile(r"^lifecycle_stage: deleted\s*$")


def _folder(path: Path) -> Path | None:
    """Return the folder of the run that a file belongs to, None outside of one."""
    names = path.parts[: -_DEPTH - 1 : -1]  # upwards
    if _INSIDE.isdisjoint(names):
        return None
    for place, (inside, name) in enumerate(pairwise(names)):
        if inside in _INSIDE and _RUN.fullmatch(name):
            folder = path.parents[place]
            return folder if (folder / "meta.yaml").exists() else None
    return None


def _is_experiment(path: Path, head: bytes) -> bool:
    return path.name == "meta.yaml" and b"experiment_id: " in head and b"run_id: " not in head


def _matches(path: Path, head: bytes) -> bool:
    return bool(head) and (_is_experiment(path, head) or _folder(path) is not None)


def _unit(path: Path) -> Path:
    return _folder(path) or path


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    folder = _unit(paths[0])
    if folder == paths[0] or folder.name.startswith("m-") or _is_deleted(folder):
        return  # an experiment, whose runs are units of their own, or what is left out
    metrics = folder / "metrics"
    files = [path for path in paths if path.is_relative_to(metrics)]
    series = Series()
    for path in files or sorted(path for path in metrics.rglob("*") if path.is_file()):
        _read_metric(path, path.relative_to(metrics).as_posix(), series)
    if not series:
        raise ReadError(folder, "an MLflow run without any metric", "logged metrics are read")
    yield Run("", str(folder), series.curves(zero_is_no_step=True))


def _is_deleted(folder: Path) -> bool:
    texts = lines(folder / "meta.yaml", strict=False)
    return any(_DELETED.match(line) for line in texts)


def _read_metric(path: Path, tag: str, series: Series) -> None:
    with path.open("rb") as file:
        for place in range(1, 2**62):
            line = file.readline(_LINE)
            cells = line.split()
            if not line.endswith(b"\n") and len(line) < _LINE:
                return  # the end, or a last line that was cut off while it was written
            if not cells:
                continue
            try:
                series.add(tag, float(cells[2]) if len(cells) > 2 else 0.0, float(cells[1]))
            except (IndexError, ValueError):
                text = line.strip().decode("utf-8", errors="replace")
                found = f"line {place} ({text!r:.60}) is no metric"
                raise ReadError(path, found, ACCEPTED) from None


READER = Reader(
    name="mlflow_files",
    accepts="MLflow's file store (mlruns/<experiment>/<run>/)",
    matches=_matches,
    read=_read,
    logging=stored("https://mlflow.org/docs/latest/ml/tracking, log_metric"),
    unit=_unit,
)
