"""The shipped archives: every demo run is readable and true to its label; the trial is whole."""

import csv
import json
import lzma
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from curvet.causes import CAUSES
from curvet.errors import CurvetError
from curvet.readers import read
from curvet.roles import assign
from curvet.run import Run

DATA = Path(__file__).parents[1] / "data"
DEMO = DATA / "demo"
LABELS = list(csv.DictReader((DATA / "demo_labels.csv").read_text(encoding="utf-8").splitlines()))
FOLDERS = sorted(f"{run.parent.name}/{run.name}" for run in DEMO.glob("*/*"))
FORMATS = {
    "torch": "tensorboard",
    "hf": "trainer_state",
    "lightning": "lightning_csv",
    "keras": "keras_csv",
    "keras-tb": "tensorboard",
}


def only_run(folder: str) -> Run:
    problems: list[CurvetError] = []
    runs = list(read(DEMO / folder, on_error=problems.append))
    assert all("hparams.yaml" in str(problem) for problem in problems)
    assert len(runs) == 1
    return runs[0]


def test_labels_and_folders_agree() -> None:
    assert sorted(row["run"] for row in LABELS) == FOLDERS


def test_many_causes_are_there_and_healthy_three_times() -> None:
    counts = Counter(row["cause"] for row in LABELS)
    assert set(counts) <= set(CAUSES)
    assert len(counts) >= 11
    assert counts["healthy"] >= 3
    assert {row["run"].split("/")[0] for row in LABELS} == set(FORMATS)


@pytest.mark.parametrize("row", LABELS, ids=[row["run"] for row in LABELS])
def test_run_is_read_and_ends_where_its_label_says(row: dict[str, str]) -> None:
    run = only_run(row["run"])
    assert run.format == FORMATS[row["run"].split("/")[0]]
    channels = assign(run)
    assert len(channels.loss) >= 25
    assert channels.val is not None
    end = channels.loss.value[-max(1, len(channels.loss) // 10) :]
    if math.isfinite(float(row["final_loss"])):
        # the label's figure is of every step, some loggers keep fewer
        assert np.median(end) == pytest.approx(float(row["final_loss"]), rel=0.1, abs=0.02)
    else:
        assert not np.isfinite(end).all()


def test_archive_is_small_and_names_no_machine() -> None:
    files = [path for path in DEMO.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    for path in files:
        content = path.read_bytes()
        assert not any(place in content for place in (b"/tmp/", b"/home/", b"/work/", b"/root/"))
        if "tfevents" in path.name:
            assert path.name.split(".")[4] == "demo"


def test_readme_names_every_run() -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    assert [row["run"] for row in LABELS if f"`{row['run']}`" not in text] == []


def test_trial_agrees_with_its_labels() -> None:
    rows = csv.DictReader((DATA / "real" / "labels.csv").read_text(encoding="utf-8").splitlines())
    with lzma.open(DATA / "real" / "runs.jsonl.xz", "rt", encoding="utf-8") as file:
        runs = [json.loads(line) for line in file]
    assert [(run["id"], run["cause"]) for run in runs] == [(r["id"], r["cause"]) for r in rows]
    assert len({run["id"] for run in runs}) == len(runs)
    assert {run["cause"] for run in runs} == set(CAUSES)
    healthy = {run["base"] for run in runs if run["id"].endswith("-00")}
    assert {run["base"] for run in runs} == healthy
    for run in runs:
        for style in ("per_step", "per_epoch"):
            assert all(len(c["step"]) == len(c["value"]) > 0 for c in run[style].values())
            assert "loss" in run[style]
