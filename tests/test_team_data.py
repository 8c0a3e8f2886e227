"""The team's own runs: archive and truth agree, and no name gives a cause away."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from curvet.causes import CAUSES
from curvet.readers import read
from curvet.roles import assign
from curvet.run import Run

TEAM = Path(__file__).parents[1] / "data" / "team"
TRUTH = list(csv.DictReader((TEAM / "truth.csv").read_text(encoding="utf-8").splitlines()))
OWN = "repeated_shard"


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {run.id: run for run in read(TEAM / "runs.zip")}


def test_runs_and_truth_agree(runs: dict[str, Run]) -> None:
    assert [row["run_id"] for row in TRUTH] == sorted(runs)
    assert 590 <= len(runs) <= 610


def test_causes_are_known_but_for_the_team_s_own() -> None:
    counts = Counter(row["cause"] for row in TRUTH)
    assert set(counts) - set(CAUSES) == {OWN}
    assert counts["healthy"] >= 180
    assert counts[OWN] >= 60


def test_names_say_task_and_net_and_no_cause() -> None:
    words = {word for key in (*CAUSES, OWN) for word in key.split("_")}
    for row in TRUTH:
        _, project, sweep, run = row["run_id"].split("/")
        assert (project, sweep) == (row["project"], row["sweep"])
        assert sweep.startswith(f"{row['task']}-{row['net']}-")
        assert re.fullmatch(r"run-\d{3}-\d{2}\.csv", run)
        assert words.isdisjoint(re.findall(r"[a-z]+", row["run_id"].removesuffix(".csv")))


def test_every_run_has_training_and_validation_loss(runs: dict[str, Run]) -> None:
    for run in runs.values():
        channels = assign(run)
        assert 30 <= len(channels.loss) <= 400, run.id
        assert channels.val is not None, run.id
        assert len(channels.val) >= 2, run.id


def test_each_project_logs_its_own_way(runs: dict[str, Run]) -> None:
    tags: dict[str, set[frozenset[str]]] = {}
    for row in TRUTH:
        tags.setdefault(row["project"], set()).add(frozenset(runs[row["run_id"]].curves))
    assert 3 <= len(tags) <= 4
    assert len(set.union(*tags.values())) == len(tags)  # one set of columns a project
