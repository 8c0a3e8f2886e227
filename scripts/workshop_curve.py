"""Measure what more real trainings bring to tasks that none of them has: data/README.md.

python scripts/workshop_curve.py

The workshop's tasks are cut into three folds. The feature net, of one member, learns from a part
of the runs of two folds, which is drawn, and is asked about the third; its temperature is fitted
to the other half of the bases there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablations.base import KEYS
from ablations.model import fit_net, lean
from blocks import filled, table
from curvet.calibrate import Calibration, fit_combination
from curvet.classifiers import Mlp
from curvet.evaluate import score
from curvet.labelled import Labelled, load_labelled
from curvet.prior import PRIOR
from curvet.simulate.corpus import list_rounds, read_trainings

ROOT = Path(__file__).parents[1]
WORKSHOP = ROOT / "data" / "workshop"
PAGE = ROOT / "data" / "README.md"
FOLDS = 3
_PRIOR = tuple(PRIOR[key] for key in KEYS)

Rng = np.random.Generator
Chosen = NDArray[np.bool_]


def some_of(names: NDArray[np.str_], share: float, rng: Rng) -> Chosen:
    """Choose the rows of a share of the names."""
    every = rng.permutation(np.unique(names))
    return np.isin(names, every[: max(1, round(share * len(every)))])


PARTS: dict[str, Callable[[Labelled, NDArray[np.str_], Rng], Chosen]] = {
    "an eighth of the bases": lambda runs, task, rng: some_of(runs.base, 1 / 8, rng),
    "a quarter of the bases": lambda runs, task, rng: some_of(runs.base, 1 / 4, rng),
    "half of the bases": lambda runs, task, rng: some_of(runs.base, 1 / 2, rng),
    "all bases of half of the tasks": lambda runs, task, rng: some_of(task, 1 / 2, rng),
    "all bases, half of the logs": lambda runs, task, rng: rng.random(len(runs.y)) < 1 / 2,
    "all": lambda runs, task, rng: np.ones(len(runs.y), bool),
}


def tasks_of(runs: Labelled) -> NDArray[np.str_]:
    """Return the task of each run, (run,)."""
    names = {}
    for number, _ in list_rounds(WORKSHOP):
        for training, _ in read_trainings(WORKSHOP, number):
            names[f"real {training.base}"] = json.loads(training.recipe)["task"]
            break
    return np.array([names[base] for base in runs.base])


def folds_of(task: NDArray[np.str_]) -> NDArray[np.int64]:
    """Cut the tasks into `FOLDS`; return the fold of each run, (run,)."""
    drawn = np.random.default_rng(1).permutation(np.unique(task))
    fold = {name: number % FOLDS for number, name in enumerate(drawn)}
    return np.array([fold[name] for name in task])


def answers_of(net: Mlp, left_out: Labelled) -> NDArray[np.float64]:
    """Ask a net, its temperature fitted to the other half of the bases, (run, cause)."""
    raw, weight = net.predict_proba(left_out.inputs), left_out.weight
    first = some_of(left_out.base, 0.5, np.random.default_rng(3))
    p = np.empty_like(raw)
    for half in (first, ~first):
        fitted = fit_combination([raw[~half]], left_out.y[~half], weight[~half], _PRIOR)
        p[half] = Calibration(*fitted, _PRIOR, ()).combine([raw[half]])
    return p


def tried(part: Labelled, left_out: Labelled) -> tuple[float, float, float]:
    """Train on a part; log-loss, top-1 and macro-F1 on the tasks that are left out."""
    p = answers_of(fit_net(part.inputs, part.y, part.weight), left_out)
    figures = score(p, p > 0, left_out.y, left_out.weight, KEYS)
    return figures["log_loss"], figures["top1"], figures["macro_f1"]


def load_single(corpus: Path) -> Labelled:
    """Read the runs of a corpus that have one cause, without images."""
    runs = load_labelled(corpus, workers=2)
    return replace(runs, inputs=lean(runs.inputs)).part(~runs.both)


def lines() -> Iterator[str]:
    runs = load_single(WORKSHOP)
    task = tasks_of(runs)
    place = folds_of(task)
    rows = []
    for name, choose in PARTS.items():
        found, counts = [], []
        for left_out in range(FOLDS):
            rng = np.random.default_rng((0, left_out))
            known = place != left_out
            others = runs.part(known)
            part = others.part(choose(others, task[known], rng))
            counts.append([len(np.unique(part.base)), len(part.y)])
            found.append(tried(part, runs.part(~known)))
            print(name, counts[-1], found[-1], flush=True)
        n_bases, n_logs = np.mean(counts, 0).round().astype(int)
        loss, top1, f1 = np.transpose(found)
        rows.append([
            name, f"{n_bases:,}", f"{n_logs:,}", " / ".join(f"{v:.3f}" for v in loss),
            f"{top1.mean():.3f}", f"{f1.mean():.3f}",
        ])  # fmt: skip
    head = ["learned from", "bases", "logs", "log-loss, each fold", "top-1", "macro-F1"]
    yield from table(head, rows)


if __name__ == "__main__":
    measured = list(lines())[:-1]  # before the page is read: it takes long, and the page may change
    page = filled(PAGE.read_text(encoding="utf-8"), "workshop curve", measured)
    PAGE.write_text(page, encoding="utf-8")
