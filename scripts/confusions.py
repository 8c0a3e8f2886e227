"""Show what the predictor mixes up, and whether it could be told: docs/confusions.json and .png.

python scripts/confusions.py    # ten minutes; the field trial and the workshop

For the pairs of causes that are mixed up most, specialists for the two alone are trained on real
runs, the task held out: on the curves alone, and on the curves beside those of the healthy twin,
which no user has. What no specialist tells apart is not in the log; what the twin alone tells is
in the comparison, not in the curves. `scripts/accuracy.py` writes it into docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score

from blocks import table
from curvet.causes import CAUSES
from curvet.evaluate import score
from curvet.labelled import load_labelled
from curvet.predictor import Predictor
from curvet.trials import usable_trials

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "confusions.json"
KEYS = list(CAUSES)
N_PAIRS = 12
N_TREES = 400
N_DRAWS = 400

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The field trial in one style of logging, n runs.

    Parameters
    ----------
    table, twin : arrays of shape (n, feature)
        Features of the runs, and of a healthy run of the same base; NaN where there is none.
    p : array of shape (n, cause)
        What the predictor says.
    y : array of shape (n,)
        Position of the true cause in `KEYS`.
    base, task : arrays of shape (n,), str
    """

    table: Array
    twin: Array
    p: Array
    y: NDArray[np.int64]
    base: NDArray[np.str_]
    task: NDArray[np.str_]

    @property
    def has_twin(self) -> Rows:
        """Which runs have one, (n,)."""
        return np.asarray(np.isfinite(self.twin).any(1))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Runs of each true cause by verdict, (cause, cause)."""
        said = self.p.argmax(1)
        return np.array(
            [np.bincount(said[self.y == k], minlength=len(KEYS)) for k in range(len(KEYS))]
        )

    def part(self, rows: Rows) -> Trial:
        """Return some of the runs."""
        return Trial(*(getattr(self, each.name)[rows] for each in fields(self)))


def read_trial(predictor: Predictor) -> dict[str, Trial]:
    """Read the field trial, each run beside its healthy twin, by style of logging."""
    folder = ROOT / "data" / "real"
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    healthy: dict[str, list[str]] = {}
    for row in rows.values():
        if row["cause"] == "healthy":
            healthy.setdefault(row["base"], []).append(row["id"])

    def twin_of(run: str) -> str:
        row = rows[run]
        others = [other for other in healthy[row["base"]] if other != run]
        return row["twin"] if row["twin"] != run else others[0] if others else ""

    trials = usable_trials(folder, KEYS)
    names = [run.id.rpartition("/")[0] for run in trials.runs]
    ids = zip(trials.group.tolist(), names, strict=True)
    place = {each: i for i, each in enumerate(ids)}
    features = trials.inputs.table.astype(float)
    twin = np.full_like(features, np.nan)
    for i, (group, name) in enumerate(zip(trials.group, names, strict=True)):
        at = place.get((group, twin_of(name)))
        if at is not None:
            twin[i] = features[at]
    p = predictor.probabilities(trials.inputs)
    y = np.array([KEYS.index(cause) for cause in trials.cause])
    task = np.array([rows[name]["task"] for name in names])
    every = (features, twin, p, y, trials.base, task)
    return {
        str(style): Trial(*(column[trials.group == style] for column in every))
        for style in dict.fromkeys(trials.group)
    }


def most_confused(trial: Trial) -> list[tuple[int, int]]:
    """List pairs of causes, those first of which one is most often called the other."""
    share = trial.counts / trial.counts.sum(1, keepdims=True)
    pairs = combinations(range(len(KEYS)), 2)
    return sorted(pairs, key=lambda pair: -(share[pair] + share[pair[::-1]]))[:N_PAIRS]


def answer_left_out(
    x: Array, y: NDArray[np.int64], task: NDArray[np.str_], more: tuple[Array, NDArray[np.int64]]
) -> Array:
    """Ask trees about the runs of each task that were trained on all others, (run, class).

    Parameters
    ----------
    x, y, task : arrays of shape (run, feature), (run,), (run,)
    more : (array, array)
        Features and classes of further runs to train on, of other tasks.
    """
    p = np.zeros((len(y), int(y.max()) + 1))
    for left_out in np.unique(task):
        mine = task == left_out
        trees = ExtraTreesClassifier(
            N_TREES, min_samples_leaf=2, class_weight="balanced", random_state=0, n_jobs=-1
        )
        trees.fit(np.concatenate([x[~mine], more[0]]), np.concatenate([y[~mine], more[1]]))
        p[np.ix_(mine, trees.classes_)] = trees.predict_proba(x[mine])
    return p


def ask_left_out(
    some: Trial, y: NDArray[np.int64], more: tuple[Array, NDArray[np.int64]]
) -> dict[str, Array]:
    """Ask who sees the curves alone, and who sees how they differ from the twin's, too.

    Parameters
    ----------
    some : Trial
        Runs that have a twin.
    y : array of shape (run,)
        Class of each.
    more : (array, array)
        Further runs for the first, which have no twin; see `answer_left_out`.
    """
    wide = np.hstack([some.table, some.table - some.twin])
    return {
        "curves": answer_left_out(some.table, y, some.task, more),
        "twin": answer_left_out(wide, y, some.task, nothing(wide)),
    }


def nothing(x: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return no further runs with the features of some."""
    return np.empty((0, x.shape[1])), np.empty(0, np.int64)


def tell_apart(
    trial: Trial, pair: tuple[int, int], workshop: tuple[Array, NDArray[np.int64]]
) -> dict[str, Any]:
    """Score who tells two causes apart: area under the curve, a half by guessing."""
    some = trial.part(np.isin(trial.y, pair) & trial.has_twin)
    y = (some.y == pair[1]).astype(np.int64)
    known = np.isin(workshop[1], pair)
    taught = workshop[0][known], (workshop[1][known] == pair[1]).astype(np.int64)
    log_p = np.log(some.p)
    asked = {"predictor": log_p[:, pair[1]] - log_p[:, pair[0]]}
    asked |= {who: p[:, 1] for who, p in ask_left_out(some, y, taught).items()}
    return {
        "pair": [KEYS[k] for k in pair],
        "runs": [int((y == 0).sum()), int((y == 1).sum())],
        "area": {who: _area(y, said, some.base) for who, said in asked.items()},
    }


def _area(y: NDArray[np.int64], said: Array, base: NDArray[np.str_]) -> list[float]:
    """Area under the curve with its 95 % bootstrap interval over bases."""
    rng = np.random.default_rng(0)
    names, member = np.unique(base, return_inverse=True)
    drawn: list[float] = []
    while len(drawn) < N_DRAWS:
        times = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[member]
        if len(np.unique(y[times > 0])) == 2:
            drawn.append(roc_auc_score(y, said, sample_weight=times))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return [float(roc_auc_score(y, said)), float(low), float(high)]


def all_causes(trial: Trial) -> dict[str, Any]:
    """Score models of all causes trained on the trial itself, with and without the twin."""
    some = trial.part(trial.has_twin)
    asked = {"predictor": some.p} | ask_left_out(some, some.y, nothing(some.table))
    out: dict[str, Any] = {"runs": len(some.y)}
    for who, p in asked.items():
        figures = score(p, np.ones(p.shape, bool), some.y, np.ones(len(p)), KEYS)
        out[who] = {figure: figures[figure] for figure in ("top1", "top3", "macro_f1")}
    return out


def draw_tables(trials: Mapping[str, Trial], path: Path) -> None:
    """Draw a table of truth against verdict for each style of logging, in shares of the truth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(17, 9), layout="constrained")
    for axis, (style, trial) in zip(figure.subplots(1, 2), trials.items(), strict=True):
        counts = trial.counts
        share = counts / counts.sum(1, keepdims=True)
        axis.imshow(share, cmap="Greys", vmin=0, vmax=1)
        for truth, verdict in np.argwhere(counts):
            ink = "white" if share[truth, verdict] > 0.5 else "black"
            text = str(counts[truth, verdict])
            axis.text(verdict, truth, text, ha="center", va="center", fontsize=7, color=ink)
        axis.set_xticks(range(len(KEYS)), KEYS, rotation=60, ha="right", fontsize=8)
        axis.set_yticks(range(len(KEYS)), KEYS, fontsize=8)
        axis.set(xlabel="verdict", ylabel="truth")
        axis.set_title(f"logged {style}, all channels: runs", fontsize=10)
    figure.savefig(path, dpi=80)


def as_markdown(found: Mapping[str, Any]) -> Iterator[str]:
    """Write what was found as a section of a page."""
    yield "### What it mixes up, and whether it could be told\n"
    yield (f"`python scripts/confusions.py`, on the predictor `{found['bundle']}`, all channels.\n")
    yield "![Truth against verdict](confusions.png)\n"
    yield (
        "The pairs that are mixed up most, and the area under the curve of telling one from the "
        "other (guessing is 0.5), with 95 % bootstraps over bases: by the predictor; by a "
        f"specialist for the two alone ({N_TREES} extremely randomised trees on the same features, "
        "trained on the workshop and on the trial's other tasks); and by a specialist (the trial's "
        "other tasks) that also sees how each feature differs from that of a healthy run of the "
        "same task and net, which a user does not have. A label says what was done and that it "
        "did harm against that twin: where only the last tells, the harm is there, but not in the "
        "log of the one run; where none does, two causes did the same to the curves.\n"
    )
    for style, pairs in found["pairs"].items():
        yield f"Logged {style}:\n"
        yield from table(
            ["pair", "runs", "predictor", "specialist", "specialist that sees the twin"],
            (
                [
                    " / ".join(f"`{key}`" for key in f["pair"]),
                    f"{f['runs'][0]} + {f['runs'][1]}",
                    *(
                        f"{f['area'][who][0]:.2f} ({f['area'][who][1]:.2f} to "
                        f"{f['area'][who][2]:.2f})"
                        for who in _WHO
                    ),
                ]
                for f in pairs
            ),
        )
    yield (
        "As read for `default-2b8848a4`: in one pair of 24 the specialist is better than the "
        "predictor (a bad batch and a lost state, per epoch, well within the intervals), and the "
        "twin brings up to a quarter of the scale: one run's curves do not hold it. A batch that "
        "is too large shows beside the twin by its fewer steps alone.\n"
    )
    yield (
        "All twenty causes, same runs: the predictor, which has seen none of the trial, beside the "
        "same trees trained on the trial's other tasks, without and with the twin.\n"
    )
    yield from table(
        ["logged", "who", "runs", "top-1", "top-3", "macro-F1"],
        (
            [style, text, str(f["runs"]), *(f"{value:.3f}" for value in f[who].values())]
            for style, f in found["all"].items()
            for who, text in _WHO.items()
        ),
    )


_WHO = {
    "predictor": "the predictor",
    "curves": "trained on the trial, the curves alone",
    "twin": "trained on the trial, beside the twin",
}


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    # scikit-learn's own threads, now and then; the answers are the same.
    warnings.filterwarnings("ignore", message=".*sklearn.utils.parallel")
    predictor = Predictor.load()
    trials = read_trial(predictor)
    draw_tables(trials, OUT.with_suffix(".png"))
    labelled = load_labelled(ROOT / "data" / "workshop")
    labelled = labelled.part(labelled.as_often(0))
    workshop = labelled.inputs.table.astype(float), labelled.y
    pairs: dict[str, Sequence[Any]] = {}
    for style, trial in trials.items():
        pairs[style] = [tell_apart(trial, pair, workshop) for pair in most_confused(trial)]
        for each in pairs[style]:
            print(style, each, flush=True)
    found = {
        "bundle": predictor.bundle.name,
        "pairs": pairs,
        "all": {style: all_causes(trial) for style, trial in trials.items()},
    }
    print(found["all"])
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
