"""Real runs with a known cause, for evaluation only: nothing trains on them.

Two layouts are read: the archive that `scripts/make_real_runs.py` writes (``runs.jsonl.xz``), and
a folder of collected curves with an ``index.csv``.
"""

from __future__ import annotations

import csv
import json
import lzma
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .classifiers import Inputs
from .errors import CorpusError
from .predictor import make_inputs
from .roles import assign
from .run import Curve, Run
from .shipped import shipped
from .standardise import MIN_POINTS, standardise_many


@dataclass(frozen=True, slots=True, eq=False)
class TrialRun:
    """A real run and the truth about it.

    Parameters
    ----------
    run : Run
        As logged.
    cause : str
        Key of the cause.
    group : str
        Where it comes from; figures are given for each group.
    base : str
        Runs of one base (or sweep) are no independent evidence; intervals resample bases.
    """

    run: Run
    cause: str
    group: str
    base: str


def default_trial() -> Path:
    """Find the field trial that ships with the package: in a checkout, or in the wheel."""
    return shipped("data/real")


def check_trial(folder: Path) -> None:
    """Refuse a folder without real runs: before the work that ends with them.

    Raises
    ------
    CorpusError
        See `read_trial`.
    """
    if not any((folder / name).is_file() for name in _LAYOUTS):
        raise CorpusError(f"{folder}: no labelled runs; expected {' or '.join(_LAYOUTS)} in it")


def read_trial(folder: Path) -> list[TrialRun]:
    """Read the real runs of a folder.

    Parameters
    ----------
    folder : Path
        With `runs.jsonl.xz`, or with `index.csv` and the curves it names.

    Raises
    ------
    CorpusError
        Neither is there.
    """
    check_trial(folder)
    reader = next(reader for name, reader in _LAYOUTS.items() if (folder / name).is_file())
    return list(reader(folder))


def _from_archive(folder: Path) -> Iterator[TrialRun]:
    """Read every training twice: as logged each step, and once an epoch."""
    with lzma.open(folder / "runs.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            for style in ("per_step", "per_epoch"):
                curves = {tag: _curve(tag, series) for tag, series in record[style].items()}
                run = Run(f"{record['id']}/{style}", str(folder), curves, "trial")
                yield TrialRun(run, record["cause"], style.replace("_", " "), record["base"])


def _curve(tag: str, series: Mapping[str, Any]) -> Curve:
    return Curve.of("val_loss" if tag == "val" else tag, series["value"], series["step"])


def _from_index(folder: Path) -> Iterator[TrialRun]:
    """Read collected curves whose label has medium or high confidence."""
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["confidence"] in ("medium", "high"):
                curves = read_curves(folder / row["curve_csv"])
                run = Run(row["id"], str(folder / row["curve_csv"]), curves, "trial")
                base = row.get("sweep_group") or row["id"]
                yield TrialRun(run, row["cause_label"], row["repo"], base)


def read_curves(path: Path) -> dict[str, Curve]:
    """Read a collected curve file: a cell left empty was not logged, NaN and inf are kept.

    Parameters
    ----------
    path : Path
        CSV with step, train_loss, val_loss, lr, grad_norm.

    Returns
    -------
    dict of column to Curve
        Without the columns that were not logged at all.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curves: dict[str, Curve] = {}
    for tag in ("train_loss", "val_loss", "lr", "grad_norm"):
        logged = [(float(row["step"]), float(row[tag])) for row in rows if row.get(tag)]
        if logged:
            step, value = zip(*logged, strict=True)
            curves[tag] = Curve.of(tag, value, step)
    return curves


_LAYOUTS: Mapping[str, Callable[[Path], Iterator[TrialRun]]] = {
    "runs.jsonl.xz": _from_archive,
    "index.csv": _from_index,
}


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Real runs that can be scored.

    Parameters
    ----------
    runs : sequence of Run
        Whole, as logged.
    inputs : Inputs
        Of the same n runs.
    cause, group, base : arrays of shape (n,), str
        See `TrialRun`.
    """

    runs: Sequence[Run]
    inputs: Inputs
    cause: NDArray[np.str_]
    group: NDArray[np.str_]
    base: NDArray[np.str_]

    def parts(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield all of them, then each group: its name and its rows."""
        yield "all sources", np.ones(len(self.runs), bool)
        for name in sorted(set(self.group.tolist())):
            yield name, self.group == name


def usable_trials(field: Path, causes: Collection[str]) -> Trials:
    """Read the real runs with one of some causes that are long enough for an answer.

    Parameters
    ----------
    field : Path
        See `read_trial`.
    causes : collection of str
        Keys.

    Raises
    ------
    CorpusError
        None of them.
    """
    kept, channels = [], []
    for trial in read_trial(field):
        found = assign(trial.run)
        finite = np.isfinite(found.loss.value).any()
        if trial.cause in causes and len(found.loss) >= MIN_POINTS and finite:
            kept.append(trial)
            channels.append(found)
    if not kept:
        raise CorpusError(f"{field}: no run with a cause that the predictor knows")
    return Trials(
        [trial.run for trial in kept],
        make_inputs(standardise_many(channels)),
        np.array([trial.cause for trial in kept]),
        np.array([trial.group for trial in kept]),
        np.array([trial.base for trial in kept]),
    )
