"""How long `curvet retrain` takes for 1,000 labelled runs.

Usage: python scripts/bench_retrain.py [--runs 100 --runs 1000 ...] [--workers 2] [--out FILE]

The team's 596 runs that ship, and beyond those the per-step runs of the field trial, written out
as CSV logs into a temporary folder with the causes they have. The field trial is what a new bundle
is judged on, so what is learned from them here says nothing: they only make the work as long as
it is for so many runs. The command is timed as a whole in a process of its own, then its
steps are once more in this one. Writes the figures as JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from curvet.bundle import default_path, load_bundle
from curvet.labels.files import read_causes, read_labels
from curvet.retrain import job, publish
from curvet.retrain.gate import Tolerance
from curvet.trials import default_trial

DATA = Path(__file__).resolve().parents[1] / "data"
STEPS = {
    "reading": ((job, "read_team_runs"),),
    "fits": ((job, "cross_fit"), (job, "choose_strength")),
    "comparison": (
        (publish, "unseen_answers"),
        (publish, "compare_answers"),
        (publish, "on_trial"),
        (publish, "chance_of_luck"),
    ),
    "saving": (
        (publish, "_save_held_out"),
        (publish, "save_bundle"),
        (publish, "write_comparison"),
    ),
}
"""The functions that are timed as one step; what is left is loading and asking bundles."""


def make_archive(folder: Path, n_runs: int) -> tuple[Path, Path]:
    """Write logs of n runs below a folder, and labels for them beside it; return the labels."""
    with (DATA / "team" / "truth.csv").open(encoding="utf-8", newline="") as file:
        labels = {row["run_id"]: row["cause"] for row in csv.DictReader(file)}
    names = [name.removeprefix("runs.zip/") for name in list(labels)[:n_runs]]
    with zipfile.ZipFile(DATA / "team" / "runs.zip") as packed:
        packed.extractall(folder / "runs", names)
    rows = [(name, labels[f"runs.zip/{name}"]) for name in names]
    with lzma.open(DATA / "real" / "runs.jsonl.xz", "rt", encoding="utf-8") as lines:
        for _, line in zip(range(n_runs - len(rows)), lines, strict=False):
            record = json.loads(line)
            name = f"real/{record['base']}/{record['id']}.csv"
            write_log(folder / "runs" / name, record["per_step"])
            rows.append((name, record["cause"]))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run_id", "cause", "annotator", "labelled_at"])
        writer.writerows((*row, "bench", "2026-01-31T12:00:00+00:00") for row in rows)
    words = {"repeated_shard": {"title": "Shard read again"}}
    (folder / "causes.json").write_text(json.dumps(words), encoding="utf-8")
    return folder / "labels.csv", folder / "causes.json"


def write_log(path: Path, curves: dict[str, dict[str, list[float]]]) -> None:
    """Write the curves of a run as a CSV log, a row for each step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells: dict[float, dict[str, float]] = {}
    for tag, curve in curves.items():
        for step, value in zip(curve["step"], curve["value"], strict=True):
            cells.setdefault(step, {})["val_loss" if tag == "val" else tag] = value
    names = ["val_loss" if tag == "val" else tag for tag in curves]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["step", *names])
        writer.writeheader()
        writer.writerows({"step": step, **cells[step]} for step in sorted(cells))


def by_step(folder: Path, labels: Path, causes: Path, workers: int) -> dict[str, float]:
    """Retrain in this process; return the seconds of each step."""
    spent: dict[str, float] = defaultdict(float)
    kept = [(place, name, getattr(place, name)) for of in STEPS.values() for place, name in of]
    for step, functions in STEPS.items():
        for place, name in functions:
            setattr(place, name, timed(getattr(place, name), step, spent))
    began = time.monotonic()
    try:
        base = load_bundle(default_path())
        given = read_labels(labels, causes=read_causes(causes))
        lesson = job.learn(base, given, [folder / "runs"], workers=workers)
        publish.publish(lesson, folder / "again", field=default_trial(), tolerance=Tolerance())
    finally:
        for place, name, function in kept:
            setattr(place, name, function)
    spent["rest"] = time.monotonic() - began - sum(spent.values())
    return {step: round(seconds, 1) for step, seconds in spent.items()}


def timed(function: Callable[..., Any], step: str, spent: dict[str, float]) -> Callable[..., Any]:
    """Add the seconds that a function takes to those of a step."""

    @wraps(function)
    def call(*words: Any, **named: Any) -> Any:
        began = time.monotonic()
        try:
            return function(*words, **named)
        finally:
            spent[step] += time.monotonic() - began

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, action="append", help="labelled runs; repeatable")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("docs/retrain_speed.json"))
    arguments = parser.parse_args()
    found = []
    for n_runs in arguments.runs or [100, 300, 1000]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            labels, causes = make_archive(folder, n_runs)
            options = ["--labels", labels, "--causes", causes, "--runs", folder / "runs"]
            options += ["--out", folder / "team", "--workers", arguments.workers]
            began, used = time.monotonic(), os.times()
            done = subprocess.run([sys.executable, "-m", "curvet", "retrain", *map(str, options)])
            seconds, now = time.monotonic() - began, os.times()
            if done.returncode not in (0, 1):  # 1: made, but not installed
                sys.exit(done.returncode)
            busy = now.children_user + now.children_system
            row = {
                "runs": n_runs,
                "workers": arguments.workers,
                "cores": len(os.sched_getaffinity(0)),
                "load": round(os.getloadavg()[0], 1),
                "command_seconds": round(seconds, 1),
                "command_cpu_seconds": round(busy - used.children_user - used.children_system, 1),
                "steps_seconds": by_step(folder, labels, causes, arguments.workers),
            }
        print(json.dumps(row), flush=True)
        found.append(row)
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
