"""What is trained and scored on, and how a score is put together."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from curvet.causes import CAUSES
from curvet.classifiers import Inputs
from curvet.classifiers.base import without
from curvet.errors import CorpusError
from curvet.evaluate import VIEWS, intervals, score
from curvet.labelled import Labelled, load_labelled, split
from curvet.predictor import make_inputs
from curvet.roles import Channels, assign
from curvet.simulate.corpus import LOGS_PER_RUN, list_rounds, read_round
from curvet.standardise import MIN_POINTS, standardise
from curvet.trials import read_trial

from .base import KEYS, ROOT, Array, Ask, note
from .model import Model, fit, lean

SHOWN = ("all channels", "training loss alone")
"""Views of `evaluate.VIEWS` that a row is scored with."""


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """Runs to be scored on.

    Parameters
    ----------
    runs : Labelled
        With their images.
    weight : array of shape (run,)
        How much each counts.
    channels : callable
        The same runs as they were logged.
    """

    runs: Labelled
    weight: Array
    channels: Callable[[], list[Channels]]


def marks(exam: Exam, ask: Ask) -> dict[str, Any]:
    """Score with all channels and with the training loss alone."""
    return {view: figures(exam, ask(seen(exam.runs.inputs, view))) for view in SHOWN}


def seen(inputs: Inputs, view: str) -> Inputs:
    """Take away the channels that a view lacks."""
    for channel in VIEWS[view]:
        inputs = without(inputs, channel, np.ones(len(inputs), bool))
    return inputs


def figures(exam: Exam, p: Array) -> dict[str, Any]:
    """Compute the figures of one view from probabilities or scores, (run, cause)."""
    y, weight = exam.runs.y, exam.weight
    full = score(p, np.ones(p.shape, bool), y, weight, KEYS)
    out: dict[str, Any] = {name: full[name] for name in ("runs", "top1", "top3", "macro_f1")}
    out["intervals"] = intervals(p.argmax(1), y, weight, exam.runs.base)
    return out


class Bench:
    """Everything that rows share, read or trained when it is first needed.

    Parameters
    ----------
    corpus, field, cache : Path
        The corpus; the field trial; a folder for the features of the corpus, which take minutes.
    seed : int
        That of `curvet train`, so that both hold the same rounds out.
    size : int
        Labelled runs in every comparison.
    workers : int
        Processes that read the corpus.
    """

    def __init__(
        self, corpus: Path, field: Path, cache: Path, seed: int, size: int, workers: int
    ) -> None:
        self.corpus, self.field, self.cache = corpus, field, cache
        self.seed, self.size, self.workers = seed, size, workers
        self._models: dict[str, Model] = {}

    @cached_property
    def parts(self) -> tuple[Labelled, Labelled, Labelled]:
        """Return what `train` fits on, calibrates on, and never sees."""
        return split(self._load(styled=True), self.seed)

    @cached_property
    def plain(self) -> Labelled:
        """Return the corpus logged at every step, as it is."""
        return self._load(styled=False)

    @cached_property
    def workshop(self) -> Labelled:
        """Return the real trainings that ship."""
        return load_labelled(ROOT / "data" / "workshop")

    def _load(self, styled: bool) -> Labelled:
        """Read a corpus, or what an earlier call kept of it."""
        path = self.cache / f"{self.corpus.resolve().name}-{'styled' if styled else 'plain'}.npz"
        digest = _digest(self.corpus)
        if path.is_file():
            with np.load(path) as kept:
                if str(kept["digest"]) == digest:
                    inputs = Inputs(kept["table"], kept["image"])
                    return Labelled(inputs, *(kept[name] for name in _COLUMNS))
        began = time.monotonic()

        def progress(done: int, total: int) -> None:
            if done % max(1, total // 10) == 0:
                passed = time.monotonic() - began
                note(f"reading {self.corpus}: {done} of {total} rounds, {passed:.0f} s")

        labelled = load_labelled(self.corpus, progress, styled, self.workers)
        labelled = labelled.part(~labelled.both)
        if not styled:
            rest = (getattr(labelled, name) for name in _COLUMNS)
            labelled = Labelled(lean(labelled.inputs), *rest)
        columns = {name: getattr(labelled, name) for name in _COLUMNS}
        self.cache.mkdir(parents=True, exist_ok=True)
        inputs = labelled.inputs
        np.savez(path, digest=digest, table=inputs.table, image=inputs.image, **columns)
        return labelled

    def subset(self, labelled: Labelled, n_runs: int | None = None) -> Labelled:
        """Take whole rounds, in one fixed random order, until there are enough runs."""
        names = np.unique(labelled.group)
        order = sorted(names, key=lambda name: _place_of(str(name), self.seed))
        chosen, logs = [], 0
        for name in order:
            if n_runs is not None and logs >= LOGS_PER_RUN * n_runs:
                break
            chosen.append(name)
            logs += int((labelled.group == name).sum())
        return labelled.part(np.flatnonzero(np.isin(labelled.group, chosen)))

    @cached_property
    def population(self) -> Labelled:
        """Return the runs that the comparisons at one size train on."""
        return self.subset(self.parts[0], self.size)

    def model(self, name: str, labelled: Labelled) -> Model:
        """Train, or return what was trained under this name."""
        if name not in self._models:
            self._models[name] = fit(labelled, self.seed)
        return self._models[name]

    @cached_property
    def exams(self) -> dict[str, Exam]:
        """Return what every row is scored on."""
        return {"simulated": self.simulated(self.parts[2]), **self.trial}

    def simulated(self, runs: Labelled) -> Exam:
        """Make an exam of simulated runs of whole rounds."""
        return Exam(runs, runs.weight, lambda: _channels_of(self.corpus, runs))

    @cached_property
    def trial(self) -> dict[str, Exam]:
        """Read the field trial, per step and per epoch; causes that nobody knows are left out."""
        tasks = _tasks_of(self.field)
        by_style: dict[str, list[tuple[Channels, int, str, str]]] = {}
        for trial in read_trial(self.field):
            channels = assign(trial.run)
            enough = len(channels.loss) >= MIN_POINTS and np.isfinite(channels.loss.value).any()
            if trial.cause in CAUSES and enough:
                task = tasks.get(trial.run.id.rpartition("/")[0], trial.base)
                row = (channels, KEYS.index(trial.cause), trial.base, task)
                by_style.setdefault(trial.group, []).append(row)
        return {style: _field_exam(style, rows) for style, rows in by_style.items()}


_COLUMNS = [each.name for each in fields(Labelled)[1:]]  # all but the inputs


def _digest(corpus: Path) -> str:
    """Tell one corpus, and one way to compute features, from another."""
    package = ROOT / "src" / "curvet"
    names = ("roles", "robust", "recipe", "standardise", "kernels", "features", "traits")
    files = [package / f"{name}.py" for name in (*names, "labelled", "run")]
    for folder in ("compiled", "simulate", "causes"):
        files += sorted(package.glob(f"{folder}/*.py"))
    content = [path.read_bytes() for path in [corpus / "corpus.json", *files]]
    return hashlib.sha256(b"".join(content)).hexdigest()


def _place_of(group: str, seed: int) -> float:
    """Draw a round's place in the order, whatever other rounds there are."""
    return float(np.random.default_rng((seed, int(group), 7)).random())


def _channels_of(corpus: Path, runs: Labelled) -> list[Channels]:
    """Log the runs of some rounds again, in the order in which `load_labelled` has them."""
    wanted, counted = list(dict.fromkeys(runs.group)), dict(list_rounds(corpus))
    out: list[Channels] = []
    causes: list[int] = []
    for group in wanted:
        for example in read_round(corpus, int(group), counted[int(group)]):
            if not example.training.also:
                out.append(assign(example.run))
                causes.append(KEYS.index(example.cause))
    if causes != runs.y.tolist():
        raise CorpusError(f"{corpus}: runs are not logged as they were; delete the --cache")
    return out


def _tasks_of(field: Path) -> dict[str, str]:
    """Read the task of each run where the trial tells it."""
    path = field / "labels.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["id"]: row["task"] for row in csv.DictReader(file)}


def _field_exam(style: str, rows: Sequence[tuple[Channels, int, str, str]]) -> Exam:
    channels, y, base, task = (list(column) for column in zip(*rows, strict=True))
    inputs = make_inputs([standardise(c) for c in channels])
    tasks, styles = np.array(task), np.full(len(y), style)
    one, times = np.full(len(y), -1), np.ones(len(y))
    rest = (np.array(base), tasks, tasks, styles, styles, times)
    labelled = Labelled(inputs, np.array(y), one, *rest)
    return Exam(labelled, np.ones(len(y)), lambda: channels)
