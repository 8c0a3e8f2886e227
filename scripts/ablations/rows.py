"""The rows: what each trains, and on what it is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvet.bundle import Bundle, load_bundle
from curvet.classifiers import CLASSIFIERS, Inputs, predict_raw
from curvet.errors import CorpusError
from curvet.labelled import Labelled, corpus_seed, join
from curvet.roles import Channels
from curvet.simulate.corpus import LOGS_PER_REAL_RUN, LOGS_PER_RUN

from .base import KEYS, Array, Ask, note
from .drawn import draw_labelled
from .exams import SHOWN, Bench, figures, marks, seen
from .model import fit
from .rules import ask_rules

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Parameters
    ----------
    table : str
        Heading of its table.
    text : str
        What was trained on.
    make : callable
        Computes it.
    """

    table: str
    text: str
    make: Callable[[Bench], Result]


def trained(labelled: Labelled, scores: Mapping[str, Any], runs: int | None = None) -> Result:
    """Put together what a row with training runs tells."""
    logs = len(labelled.y)
    real = int(labelled.real.sum())
    counted = real // LOGS_PER_REAL_RUN + (logs - real) // LOGS_PER_RUN
    return {
        "runs": counted if runs is None else runs,
        "logs": logs,
        "rounds": len(np.unique(labelled.group)),
        "scores": scores,
    }


def _score_all(bench: Bench, ask: Ask) -> dict[str, Any]:
    return {name: marks(exam, ask) for name, exam in bench.exams.items()}


def _of_population(bench: Bench, n_runs: int | None) -> Result:
    some = bench.subset(bench.parts[0], n_runs)
    return trained(some, _score_all(bench, bench.model(f"population {n_runs}", some)))


def _of_drawn(bench: Bench) -> Result:
    # As many of each cause as the population of that size has.
    drawn = draw_labelled(bench.population.y[::LOGS_PER_RUN], bench.seed)
    return trained(drawn, _score_all(bench, fit(drawn, bench.seed)))


def _of_mlps(bench: Bench) -> Result:
    mlps = np.char.startswith(bench.parts[0].net, "mlp")
    some = bench.subset(bench.parts[0].part(mlps), bench.size)
    return trained(some, _score_all(bench, fit(some, bench.seed)))


def _of_plain_logs(bench: Bench) -> Result:
    mine = np.isin(bench.plain.group, np.unique(bench.population.group))
    some = bench.plain.part(mine)
    return trained(some, _score_all(bench, fit(some, bench.seed)), len(some.y))


def _of_single_logs(bench: Bench) -> Result:
    """Keep every other log: one of each run, but where a tracker kept nothing of the other."""
    some = bench.population.part(np.arange(0, len(bench.population.y), LOGS_PER_RUN))
    return trained(some, _score_all(bench, fit(some, bench.seed)), len(some.y))


def _of_workshop(bench: Bench, beside: bool) -> Result:
    """Train on real trainings, alone or beside the population."""
    some = join([bench.population, bench.workshop]) if beside else bench.workshop
    return trained(some, _score_all(bench, fit(some, bench.seed)))


KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "convolutional nets": ("net", ("conv",)),
    "recurrent nets": ("net", ("rnn", "gru", "lstm")),
    "attention nets": ("net", ("attention",)),
    "next-token tasks": ("task", ("next_token",)),
    "regressions": ("task", ("regression",)),
}
"""Kinds that are held out: the column of `Labelled` that tells, and what it starts with."""


def _without_kind(bench: Bench, kind: str) -> Result:
    """Train without a kind and score on its rounds; they are new to the reference, too."""
    column, names = KINDS[kind]

    def of_kind(labelled: Labelled) -> NDArray[np.bool_]:
        values = getattr(labelled, column)
        return np.array([str(value).startswith(names) for value in values])

    # Nothing here is calibrated, so that the rounds for calibration are free to be scored on.
    tests = [part.part(of_kind(part)) for part in bench.parts[1:]]
    test = join(tests)
    if len(np.unique(test.y)) < 2:
        raise CorpusError(f"too few held-out runs of {kind}; simulate more")
    exam = bench.simulated(test)
    some = bench.subset(bench.parts[0].part(~of_kind(bench.parts[0])), bench.size)
    model = fit(some, bench.seed)
    known = bench.model(f"population {bench.size}", bench.population)
    scores = {"simulated": marks(exam, model), "same, kind known": marks(exam, known)}
    return trained(some, scores | {n: marks(e, model) for n, e in bench.trial.items()})


def _of_bundle(bench: Bench, which: str) -> Result:
    """Ask the shipped bundle: one of its classifiers, or all as they are combined."""
    bundle = load_bundle()
    _refuse_other_split(bundle, bench)
    chosen = [c for c in bundle.classifiers if which in ("all", c.name)]
    place = [KEYS.index(key) for key in bundle.causes]

    def ask(inputs: Inputs) -> Array:
        raw = predict_raw(chosen, inputs, bundle.causes)
        p = np.zeros((len(inputs), len(KEYS)))
        p[:, place] = bundle.calibration.combine(raw) if which == "all" else raw[0]
        return p

    made = bundle.manifest["corpus"]
    fitted = bench.parts[0]
    return trained(fitted, _score_all(bench, ask)) | {
        "bundle": bundle.name,
        "of_runs": made["runs"],
    }


def _refuse_other_split(bundle: Bundle, bench: Bench) -> None:
    made, rounds = bundle.manifest["corpus"], sum(len(np.unique(p.group)) for p in bench.parts)
    theirs = (made["seed"], made["rounds"], bundle.manifest["seed"])
    ours = (corpus_seed(bench.corpus), rounds, bench.seed)
    if theirs != ours:
        raise CorpusError(
            f"{bundle.name}: made from (corpus seed, rounds, seed) {theirs}, but these are {ours}; "
            "it may have been trained on the rounds to be scored: name its corpus and its seed"
        )


def _by_rules(bench: Bench) -> Result:
    scores: dict[str, Any] = {}
    for name, exam in bench.exams.items():
        whole = exam.channels()
        alone = [Channels(c.loss, None, None, None) for c in whole]
        scores[name] = {
            view: figures(exam, ask_rules(runs))
            for view, runs in zip(SHOWN, (whole, alone), strict=True)
        }
    return {"runs": 0, "logs": 0, "rounds": 0, "scores": scores}


def _leave_task_out(bench: Bench) -> Result:
    """Train on the trial itself, both logs, with all runs of one task held out in turn."""
    exams = bench.trial
    both = join([exam.runs for exam in exams.values()])
    answers = {view: np.zeros((len(both.y), len(KEYS))) for view in SHOWN}
    tasks = np.unique(both.task)
    for number, task in enumerate(tasks):
        note(f"leave-task-out: {task}, {number + 1} of {len(tasks)}")
        out = np.flatnonzero(both.task == task)
        model = fit(both.part(both.task != task), bench.seed)
        for view, p in answers.items():
            p[out] = model(seen(both.inputs[out], view))
    scores = {
        style: {view: figures(exam, p[both.style == style]) for view, p in answers.items()}
        for style, exam in exams.items()
    }
    return {"runs": len(both.y) // len(exams), "logs": len(both.y), "rounds": 0, "scores": scores}


_DATA, _SIZE, _KINDS = "What is trained on", "How much is trained on", "Kinds held out"
_SHIPPED, _YARDSTICKS = "The shipped classifiers", "Yardsticks"
_TRIAL = "Trained on the field trial itself, the task held out"


def list_rows(size: int, available: int) -> dict[str, Row]:
    """List every row by name, the cheap and telling ones first.

    Parameters
    ----------
    size : int
        Labelled runs in every comparison.
    available : int
        Labelled runs of the rounds that may be trained on.
    """
    rows = {
        "rules": Row(_YARDSTICKS, "rules of thumb, nothing trained", _by_rules),
        "population": Row(_DATA, "the population, re-logged", partial(_of_population, n_runs=size)),
        "drawn curves": Row(_DATA, "curves drawn by a formula for each cause", _of_drawn),
        "MLPs only": Row(_DATA, "the population's MLPs alone, re-logged", _of_mlps),
        "not re-logged": Row(_DATA, "the population, logged at every step", _of_plain_logs),
        "one log": Row(_DATA, "the population, re-logged in one way each", _of_single_logs),
        "workshop": Row(
            _DATA, "real trainings, data/workshop", partial(_of_workshop, beside=False)
        ),
        "both": Row(_DATA, "the population and data/workshop", partial(_of_workshop, beside=True)),
    }
    for name in (kind().name for kind in CLASSIFIERS):
        rows[f"shipped: {name}"] = Row(_SHIPPED, f"`{name}` alone", partial(_of_bundle, which=name))
    rows["shipped: all"] = Row(_SHIPPED, "all combined", partial(_of_bundle, which="all"))
    for kind in KINDS:
        rows[f"without {kind}"] = Row(_KINDS, f"without {kind}", partial(_without_kind, kind=kind))
    rows["trial, leave-task-out"] = Row(_TRIAL, "all other tasks of the trial", _leave_task_out)
    n = max(1, size // 4)
    while n < 0.9 * available:
        rows[f"{n} runs"] = Row(
            _SIZE,
            f"about {n:,} runs of the population",
            partial(_of_population, n_runs=n),
        )
        n *= 2
    rows["all runs"] = Row(
        _SIZE, "all runs of the population", partial(_of_population, n_runs=None)
    )
    return rows
