"""The story of docs/team.md: a team labels its runs, retrains, is refused, goes back.

596 real runs of data/team; half of the sweeps are labelled from, the other half is what the bundles
are asked about. Three annotators label each run, and on a tenth of the runs one of them says
something else than the other two. Fills the tables of docs/team.md and writes docs/team.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blocks import filled
from curvet.bundle import Bundle, default_path, load_bundle
from curvet.causes import TeamCause
from curvet.compare import Answers, compare_answers
from curvet.labels import Label, Labels, open_store
from curvet.labels.suggest import suggest
from curvet.page.table import Score, read_scores
from curvet.predictor import make_inputs
from curvet.readers import read
from curvet.retrain.job import Lesson, learn
from curvet.roles import assign
from curvet.standardise import standardise_many

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "data" / "team" / "runs.zip"
TRUTH = ROOT / "data" / "team" / "truth.csv"
PAGE = ROOT / "docs" / "team.md"
FIGURES = ROOT / "docs" / "team.json"
SPEED = ROOT / "docs" / "retrain_speed.json"

ANNOTATORS = ("ann", "bob", "eve")
DISAGREE = 0.1
"""Share of the runs on which one annotator says something else."""

SIZES = (20, 50, 150)
TOLD = (20, 150)
"""After how many labels the team of the story retrains."""
SPLITS = 5
OWN = TeamCause(
    "repeated_shard",
    "The loader repeats a shard",
    "From one step on training loss falls faster while validation loss gets worse.",
    ("Log which shard each batch comes from.", "Seed the sampler anew after a worker restarts."),
)
SHOWN = 24  # lines of what a command says
PROGRESS = re.compile(r"\d+ of \d+ ")
_START = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Team:
    """What is known of the team's runs.

    Parameters
    ----------
    cause, sweep : mapping of run id to str
        The truth, and which runs belong together.
    """

    cause: Mapping[str, str]
    sweep: Mapping[str, str]

    def halves(self, seed: int) -> tuple[list[str], list[str]]:
        """Split by sweeps into runs to label and runs to be asked about."""
        sweeps = sorted(set(self.sweep.values()))
        first = set(np.random.default_rng(seed).permutation(sweeps)[: len(sweeps) // 2].tolist())
        ids = sorted(self.cause)
        return [i for i in ids if self.sweep[i] in first], [
            i for i in ids if self.sweep[i] not in first
        ]


def read_team() -> Team:
    """Read data/team/truth.csv."""
    with TRUTH.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Team({r["run_id"]: r["cause"] for r in rows}, {r["run_id"]: r["sweep"] for r in rows})


def annotate(team: Team, run_ids: Sequence[str], seed: int) -> Labels:
    """Let three people label runs; on a tenth of the runs one of them is of another opinion."""
    rng = np.random.default_rng((seed, 1))
    causes = sorted(set(team.cause.values()))
    rows = []
    for number, run_id in enumerate(run_ids):
        odd = int(rng.integers(len(ANNOTATORS))) if rng.random() < DISAGREE else -1
        others = [key for key in causes if key != team.cause[run_id]]
        other = others[int(rng.integers(len(others)))]
        for place, name in enumerate(ANNOTATORS):
            said = other if place == odd else team.cause[run_id]
            at = _START + timedelta(minutes=number, seconds=place)
            rows.append(Label(run_id, (said,), name, at))
    return Labels(tuple(rows), {OWN.key: OWN}, "the team's labels")


def shuffled(labels: Labels, seed: int) -> Labels:
    """Return the same labels for other runs."""
    ids = list(dict.fromkeys(label.run_id for label in labels.rows))
    mixed = np.random.default_rng((seed, 2)).permutation(ids).tolist()
    other = dict(zip(ids, mixed, strict=True))
    rows = (
        Label(other[label.run_id], label.causes, label.annotator, label.labelled_at)
        for label in labels.rows
    )
    return Labels(tuple(rows), labels.causes, "shuffled labels")


def suggested(scores: Sequence[Score], run_ids: Sequence[str]) -> list[str]:
    """Return runs in the order in which `curvet label` offers them."""
    asked = set(run_ids)
    some = [score for score in scores if score.run_id in asked]
    return [some[each.place].run_id for each in suggest(some, Labels(()), ANNOTATORS[0])]


def keep(labels: Labels, path: Path) -> Path:
    """Write labels into a store, as the labelling page does."""
    store = open_store(path)
    for cause in labels.causes.values():
        store.add_cause(cause, ANNOTATORS[0])
    store.add(labels.rows)
    store.close()
    return path


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The runs of data/team, ready to ask any bundle about."""

    run_ids: list[str]
    inputs: Any

    @classmethod
    def all(cls) -> Asked:
        """Read them."""
        runs = {run.id: run for run in read(RUNS)}
        ids = sorted(runs)
        return cls(ids, make_inputs(standardise_many([assign(runs[i]) for i in ids])))

    def answers(self, bundle: Bundle, rows: NDArray[np.int64]) -> Answers:
        """Ask about some of them."""
        p = bundle.probabilities(self.inputs[rows])
        return Answers(bundle.name, bundle.causes, p, bundle.calibration.likely(p))


def taught(base: Bundle, lesson: Lesson) -> Bundle:
    """Put a lesson into a bundle without saving it."""
    return Bundle(
        "team",
        lesson.causes,
        base.classifiers,
        lesson.calibration,
        lesson.novelty,
        {},
        lesson.team_causes,
        lesson.adaptation,
        base.classes,
    )


def measure(team: Team, asked: Asked, bundle: Bundle, run_ids: Sequence[str]) -> dict[str, Any]:
    """Compare a bundle with the shipped one on runs of known cause."""
    rows = np.flatnonzero(np.isin(asked.run_ids, list(run_ids)))
    causes = sorted(set(team.cause.values()))
    target = np.eye(len(causes))[[causes.index(team.cause[asked.run_ids[r]]) for r in rows]]
    sweep = np.array([team.sweep[asked.run_ids[row]] for row in rows])
    shipped = load_bundle(default_path())
    return compare_answers(
        asked.answers(shipped, rows), asked.answers(bundle, rows), target, causes, sweep
    )


def brief(comparison: Mapping[str, Any], side: str) -> dict[str, float]:
    """Keep what the page shows of one side."""
    figures = comparison[side]["figures"]
    recalls = [each[side]["recall"]["value"] for each in comparison["causes"].values()]
    return {
        **{
            name: figures[name]["value"]
            for name in ("top1", "top3", "log_loss", "calibration_error", "coverage", "set_size")
        },
        "mean_recall": float(np.mean(recalls)),
        "own_recall": comparison["causes"][OWN.key][side]["recall"]["value"],
    }


def learning_curves(team: Team, asked: Asked, scores: Sequence[Score], workers: int) -> Any:
    """Retrain on 20, 50 and 150 labels by the suggested order and at random, of `SPLITS` splits."""
    base = load_bundle(default_path())
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(SPLITS):
        pool, held = team.halves(seed)
        orders = {
            "suggested": suggested(scores, pool),
            "random": np.random.default_rng((seed, 3)).permutation(pool).tolist(),
        }
        for order, run_ids in orders.items():
            for size in SIZES:
                labels = annotate(team, run_ids[:size], seed)
                lesson = learn(base, labels, [RUNS], workers=workers)
                compared = measure(team, asked, taught(base, lesson), held)
                found.setdefault("before", []).append(brief(compared, "old"))
                found.setdefault(f"{order} {size}", []).append(brief(compared, "new"))
                print(seed, order, size, found[f"{order} {size}"][-1], flush=True)
    return {
        name: {
            figure: {
                "mean": float(np.mean([each[figure] for each in every])),
                "sd": float(np.std([each[figure] for each in every], ddof=1)),
            }
            for figure in every[0]
        }
        for name, every in found.items()
    }


def call(*arguments: str | Path, code: int | None = 0) -> str:
    """Run curvet as a person would; return what it says. A refusal (1) is fine with code None."""
    command = [sys.executable, "-m", "curvet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in ((0, 1) if code is None else (code,)):
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    lines = (line for line in done.stderr.splitlines() if not PROGRESS.match(line))
    return done.stdout + "".join(f"{line}\n" for line in lines)


def tell(team: Team, asked: Asked, folder: Path) -> dict[str, Any]:
    """Live through the story by the command line, and measure each champion on the other half."""
    table, home = folder / "scores.parquet", folder / "models" / "team"
    call("score", RUNS, "--out", table)
    pool, held = team.halves(0)
    run_ids = suggested(read_scores(table), pool)
    told: dict[str, Any] = {"runs": len(pool), "held_out": len(held), "versions": {}}
    for size in TOLD:
        labels = keep(annotate(team, run_ids[:size], 0), folder / f"labels{size}.db")
        said = call("retrain", "--labels", labels, "--runs", RUNS, "--out", home, code=None)
        compared = measure(team, asked, load_bundle(home), held)
        told["versions"][str(size)] = {"said": said, "compared": compared}
    told["check"] = call("labels", "check", folder / "labels150.db", "--scores", table)
    wrong = keep(shuffled(annotate(team, run_ids[:150], 0), 0), folder / "shuffled.db")
    told["refused"] = call("retrain", "--labels", wrong, "--runs", RUNS, "--out", home, code=1)
    told["list"] = call("bundles", "list", home)
    told["rollback"] = call("bundles", "rollback", home)
    told["after"] = load_bundle(home).name
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--page", action="store_true", help="fill the page from docs/team.json alone"
    )
    arguments = parser.parse_args()
    if arguments.page:
        write_page(json.loads(FIGURES.read_text(encoding="utf-8")))
        return
    team, asked = read_team(), Asked.all()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = tell(team, asked, folder)
        scores = read_scores(folder / "scores.parquet")
        curves = learning_curves(team, asked, scores, arguments.workers)
        text = json.dumps({"curves": curves, "story": told}, indent=1).replace(f"{folder}/", "")
    FIGURES.write_text(text.replace(f"{ROOT}/", "") + "\n", encoding="utf-8")
    write_page(json.loads(FIGURES.read_text(encoding="utf-8")))


def write_page(found: Mapping[str, Any]) -> None:
    """Fill the blocks of docs/team.md."""
    page = PAGE.read_text(encoding="utf-8")
    page = filled(page, "curves", _curves(found["curves"]))
    for name in ("check", "refused", "list", "rollback"):
        lines = [line.rstrip() for line in found["story"][name].strip().splitlines()]
        page = filled(page, name, ["```text", *_cut(lines), "```"])
    last = found["story"]["versions"][str(TOLD[-1])]
    page = filled(page, "retrained", ["```text", last["said"].strip(), "```"])
    page = filled(page, "causes", _causes(last["compared"]))
    page = filled(page, "speed", _speed(json.loads(SPEED.read_text(encoding="utf-8"))))
    PAGE.write_text(page, encoding="utf-8")


def _cut(lines: list[str]) -> list[str]:
    """Leave out what a long table repeats."""
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"... {len(lines) - SHOWN} lines"]


_COLUMNS = {
    "top1": "top-1",
    "top3": "top-3",
    "mean_recall": "mean recall",
    "own_recall": "recall of `repeated_shard`",
    "log_loss": "log-loss",
    "calibration_error": "ECE",
    "coverage": "likely set holds",
}


def _curves(curves: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    head = f"| labelled runs | {' | '.join(_COLUMNS.values())} |"
    lines = [head, "| --- |" + " ---: |" * len(_COLUMNS)]
    for name, figures in curves.items():
        cells = (f"{figures[c]['mean']:.3f} ± {figures[c]['sd']:.3f}" for c in _COLUMNS)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _speed(measured: Sequence[Mapping[str, Any]]) -> list[str]:
    steps = list(measured[0]["steps_seconds"])
    lines = [f"| labelled runs | whole command | {' | '.join(steps)} |"]
    lines.append("| ---: |" + " ---: |" * (1 + len(steps)))
    for each in measured:
        cells = (f"{each['steps_seconds'][step]:.1f} s" for step in steps)
        lines.append(
            f"| {each['runs']:,} | {each['command_seconds']:.0f} s | {' | '.join(cells)} |"
        )
    return lines


def _causes(compared: Mapping[str, Any]) -> list[str]:
    lines = ["| cause | runs | recall before | recall after |", "| --- | ---: | ---: | ---: |"]
    for key, each in sorted(compared["causes"].items(), key=lambda pair: -pair[1]["runs"]):
        before, after = (each[side]["recall"]["value"] for side in ("old", "new"))
        lines.append(f"| `{key}` | {each['runs']:.0f} | {before:.2f} | {after:.2f} |")
    return lines


if __name__ == "__main__":
    main()
