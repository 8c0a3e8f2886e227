"""Labels from and to other tools: a real server of MLflow, offline runs of W&B, Label Studio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from curvet.causes import CAUSES
from curvet.causes.team import TeamCause
from curvet.cli import main
from curvet.errors import LabelError, ReadError
from curvet.labels import Label, Labels, curve_hash
from curvet.labels.exchange import EXCHANGES, Options, label_studio, mlflow, wandb
from curvet.labels.files import read_labels, write_labels
from curvet.readers import read
from curvet.readers.wandb import read_tags

pytestmark = pytest.mark.filterwarnings("ignore")  # of the other packages
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SHARD = TeamCause("repeated_shard", 'Shard read <twice> & "more"')
STUDIO = Path(__file__).parent / "labels" / "label_studio.json"


def label(run_id: str, *causes: str, by: str = "ann", hour: int = 0, **more: Any) -> Label:
    return Label(run_id, causes, by, NOON + timedelta(hours=hour), **more)


def curvet(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_registry_and_files_agree() -> None:
    folder = Path(mlflow.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base"}
    assert [each.name for each in EXCHANGES] == ["mlflow", "wandb", "label_studio"]
    assert {each.name for each in EXCHANGES} == files


# --- MLflow


@pytest.fixture(scope="module")
def tracked(mlflow_server: str) -> tuple[str, list[str]]:
    """Address of an experiment, and its runs: one was labelled by hand."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_server)
    experiment = client.create_experiment("vision")
    runs = []
    for number in range(4):
        run_id = client.create_run(experiment).info.run_id
        for step in range(20):
            client.log_metric(run_id, "train/loss", 2.0 / (1 + step + number), step=step)
        client.set_terminated(run_id, end_time=1_700_000_000_000 + number)
        runs.append(run_id)
    client.set_tag(runs[3], "curvet.cause", "overfitting")
    client.set_tag(runs[3], "team", "north")
    return f"mlflow:{mlflow_server}#vision", runs


def tags(address: str, run_id: str) -> dict[str, str]:
    from mlflow import MlflowClient

    found = MlflowClient(address.removeprefix("mlflow:").partition("#")[0]).get_run(run_id)
    return {k: v for k, v in found.data.tags.items() if not k.startswith("mlflow.")}


def test_labels_go_to_mlflow_and_come_back(tracked: tuple[str, list[str]], tmp_path: Path) -> None:
    address, runs = tracked
    odd = "Änn <ann@example.org> \U0001f469"
    rows = (
        label(runs[0], "lr_too_high", "exploding_gradients", confidence=0.5, note="two\nlines; =1"),
        label(runs[1], "overfitting", curve_hash="0" * 32),
        label(runs[1], "unknown", by=odd, hour=1),
        label(runs[2], "healthy"),
        label(runs[3], "noisy_labels"),
        label("elsewhere", "healthy"),
    )
    sheet, store = tmp_path / "labels.jsonl", tmp_path / "labels.db"
    write_labels(Labels(rows), sheet)
    assert curvet("labels", "import", sheet, "--into", store).exit_code == 0
    done = curvet("labels", "export", store, "--out", address)
    assert done.exit_code == 0, done.output
    assert f"labels: {address}, 4 runs" in done.stderr
    assert "1 runs are not on the server: elsewhere" in done.stderr
    assert f"somebody else, which is kept; import it first to count it: {runs[3]}" in done.stderr

    assert tags(address, runs[0]) == {
        "curvet.cause": "lr_too_high;exploding_gradients",
        "curvet.annotator": "ann",
        "curvet.labelled_at": "2026-01-31T12:00:00.000000+00:00",
        "curvet.confidence": "0.5",
        "curvet.note": "two\nlines; =1",
        "curvet.taxonomy": "1",
    }
    both = tags(address, runs[1])
    assert (both["curvet.cause"], both["curvet.annotator"]) == ("unknown", odd), "the latest"
    assert both["curvet.cause.ann"] == "overfitting"
    assert both[f"curvet.annotator.{mlflow.slug(odd)}"] == odd
    theirs = tags(address, runs[3])
    assert (theirs["curvet.cause"], theirs["curvet.cause.ann"]) == ("overfitting", "noisy_labels")
    assert theirs["team"] == "north"

    again = read_labels(address)
    by_hand = Label(
        runs[3], ("overfitting",), "imported", datetime.fromtimestamp(1.7e9 + 0.003, UTC)
    )
    assert sorted(again.rows, key=str) == sorted([*rows[:5], by_hand], key=str)
    new = curvet("labels", "import", address, "--into", store)
    assert "added: 1 labels of 4 runs, 5 were there already" in new.stderr
    assert curvet("labels", "export", store, "--out", address).exit_code == 0
    assert tags(address, runs[3])["curvet.cause"] == "noisy_labels", "now all of it is known"


def test_what_is_withdrawn_leaves_mlflow(tracked: tuple[str, list[str]]) -> None:
    address, runs = tracked
    first, second = label(runs[2], "healthy"), label(runs[2], "lr_too_low", by="bob", hour=1)
    (exchange,) = (each for each in EXCHANGES if each.matches(address))
    exchange.write(Labels((first, second)), address, Options())
    assert {"curvet.cause.ann", "curvet.cause.bob"} <= tags(address, runs[2]).keys()
    rows = (first, second, second.withdrawn(NOON + timedelta(hours=2)))
    exchange.write(Labels(rows), address, Options())
    left = tags(address, runs[2])
    assert (left["curvet.cause"], left["curvet.annotator"]) == ("healthy", "ann")
    assert "curvet.cause.bob" not in left
    exchange.write(Labels((*rows, first.withdrawn(NOON + timedelta(hours=3)))), address, Options())
    assert tags(address, runs[2]) == {}


def test_ids_are_those_of_the_scores(tracked: tuple[str, list[str]], tmp_path: Path) -> None:
    from curvet.score.job import Options as ScoreOptions
    from curvet.score.job import score

    address, runs = tracked
    out = tmp_path / "scores.jsonl"
    score([address], out, ScoreOptions(workers=1))
    scored = [json.loads(line)["run_id"] for line in out.read_text().splitlines()]
    assert sorted(scored) == sorted(runs)
    assert {row.run_id for row in read_labels(address).rows} <= set(scored)


def test_an_mlflow_tag_that_is_no_label(tracked: tuple[str, list[str]]) -> None:
    from mlflow import MlflowClient

    address, _ = tracked
    uri = address.removeprefix("mlflow:").partition("#")[0]
    client = MlflowClient(uri)
    run_id = client.create_run(client.create_experiment("typo")).info.run_id
    client.set_tag(run_id, "curvet.cause", "overfiting")
    with pytest.raises(LabelError, match=f"^the tag curvet.cause of the run {run_id}: .*unknown"):
        read_labels(f"mlflow:{uri}#typo")
    notes: list[str] = []
    client.create_experiment("none")
    assert read_labels(f"mlflow:{uri}#none", tell=notes.append).rows == ()
    assert notes == [f"mlflow:{uri}#none: no run has a tag curvet.cause"]
    with pytest.raises(ReadError, match=r"no experiment 'nope'; there are: .*vision"):
        read_labels(f"mlflow:{uri}#nope")


@given(st.text(min_size=1, max_size=150))
def test_names_become_keys_that_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_tag_name

    _validate_tag_name(f"curvet.labelled_at.{mlflow.slug(name)}")


# --- W&B

LOGGED = """
import sys, wandb
for number, tags in enumerate(eval(sys.argv[1])):
    with wandb.init(project="vision", id=f"run{number}", tags=tags, dir=sys.argv[2]) as run:
        for step in range(20):
            run.log({"train/loss": 2 / (1 + step + number)}, step=step)
        if number == 0:
            run.tags += ("annotator:bob",)
"""
OFFLINE = [
    ["cause:lr_too_high", "cause:exploding_gradients", "baseline", "annotator:ann"],
    ["cause:healthy/ann", "cause:overfitting/b/o b"],
    ["cause:unknown"],
    [],
]


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that the wandb package has logged."""
    pytest.importorskip("wandb")
    folder = tmp_path_factory.mktemp("offline")
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    subprocess.run(
        [sys.executable, "-c", LOGGED, repr(OFFLINE), str(folder)], check=True, timeout=300,
        capture_output=True, env={**env, "WANDB_MODE": "offline", "HOME": str(folder)},
    )  # fmt: skip
    return folder / "wandb"


def test_tags_of_offline_runs(offline: Path, tmp_path: Path) -> None:
    labels = read_labels(offline, annotator="jane").rows
    ids = {run.id for run in read(offline)}
    assert {row.run_id for row in labels} < ids, "as they are scored"
    said = [(row.run_id[-4:], row.causes, row.annotator) for row in labels]
    two = ("lr_too_high", "exploding_gradients")
    assert sorted(said) == [
        ("run0", two, "ann"),
        ("run0", two, "bob"),  # set when the run was going on
        ("run1", ("healthy",), "ann"),
        ("run1", ("overfitting",), "b/o b"),
        ("run2", ("unknown",), "jane"),
    ]
    assert all(abs((row.labelled_at - datetime.now(UTC)).total_seconds()) < 900 for row in labels)
    store = tmp_path / "labels.db"
    assert curvet("labels", "import", offline, "--into", store).exit_code == 0
    assert "5 were there already" in curvet("labels", "import", offline, "--into", store).stderr
    (one,) = offline.glob("*-run2/*.wandb")
    assert read_labels(one).rows[0].causes == ("unknown",)


@pytest.mark.parametrize("release", ["release_0_17", "release_0_31"])
def test_old_runs_without_tags(release: str, root: Path) -> None:
    (path,) = (root / "tests/archives/wandb" / release).rglob("*.wandb")
    found, began = read_tags(path)
    assert found == ()
    assert datetime.fromtimestamp(began, UTC).year == 2026


def test_damaged_and_missing_runs(offline: Path, tmp_path: Path) -> None:
    (path,) = offline.glob("*-run1/*.wandb")
    damaged = tmp_path / path.parent.name / path.name
    damaged.parent.mkdir()
    content = bytearray(path.read_bytes())
    content[60:70] = b"\xff" * 10
    damaged.write_bytes(content)
    with pytest.raises(ReadError, match="damaged"):
        read_tags(damaged)
    notes: list[str] = []
    with pytest.raises(LabelError, match="no run of W&B; accepted"):
        read_labels(tmp_path, tell=notes.append)
    assert any("damaged" in note for note in notes)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(LabelError, match=r"no run of W&B; accepted: runs on W&B's server \(wandb:"):
        read_labels(empty)


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
SAID = st.dictionaries(
    NAMES,
    st.lists(st.sampled_from(list(CAUSES)), min_size=1, max_size=2, unique=True).map(tuple),
    max_size=4,
)


@given(SAID)
def test_tags_say_what_the_labels_say(said: dict[str, tuple[str, ...]]) -> None:
    labels = [label("run", *causes, by=name) for name, causes in said.items()]
    back = wandb.said(wandb.tags_of(labels)) if labels else []
    assert {name: set(cause.split(";")) for cause, name in back} == {
        name: set(causes) for name, causes in said.items()
    }


class Project:
    """What `wandb.Api` gives, as far as it is used; no server of W&B can be run here."""

    def __init__(self, runs: dict[str, Sequence[str]]) -> None:
        self.stored: dict[str, list[str]] = {}
        made = NOON.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.all = [
            SimpleNamespace(
                id=key, tags=list(tags), created_at=made, update=lambda key=key: self.keep(key)
            )
            for key, tags in runs.items()
        ]

    def keep(self, key: str) -> None:
        self.stored[key] = next(run.tags for run in self.all if run.id == key)

    def runs(self, path: str, per_page: int) -> list[Any]:
        assert path == "entity/project"
        return self.all


def test_tags_that_a_server_would_get(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project({
        "a": ["baseline", "cause:healthy", "annotator:ann"],
        "b": [],
        "c": ["cause:overfitting"],
        "d": [],
    })  # fmt: skip
    monkeypatch.setattr(wandb, "connect", lambda: project)
    rows = (
        label("a", "lr_too_high"),
        label("b", "lr_too_high"),
        label("b", "healthy", by="bob"),
        label("c", "healthy"),
        label("d", "healthy", by="x" * 100),
        label("elsewhere", "healthy"),
    )
    notes: list[str] = []
    (exchange,) = (each for each in EXCHANGES if each.name == "wandb")
    assert exchange.write(Labels(rows), "wandb:entity/project", Options(tell=notes.append)) == 3
    assert project.stored == {
        "a": ["baseline", "cause:lr_too_high", "annotator:ann"],
        "b": ["cause:lr_too_high/ann", "cause:healthy/bob"],
        "d": ["cause:healthy"],
    }
    assert [note.partition(":")[0] for note in notes] == [
        "1 runs are not in the project",
        "1 runs have a tag cause",
        "tags of more than 64 letters were left out",
    ]
    back = read_labels("wandb:entity/project").rows
    assert len(back) == 5
    assert {row.labelled_at for row in back} == {NOON}


def test_errors_of_the_server_are_in_words(tmp_path: Path, closed_port: int) -> None:
    pytest.importorskip("wandb")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    sheet = tmp_path / "labels.csv"
    sheet.write_text("run_id,cause\na,healthy\n")
    out = "wandb:entity/project"
    into = tmp_path / "labels.db"
    for words in (["import", out, "--into", into], ["export", sheet, "--out", out]):
        done = subprocess.run(
            [sys.executable, "-m", "curvet", "labels", *map(str, words)], capture_output=True,
            text=True, env={**kept, "HOME": str(tmp_path)}, stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip
        assert done.returncode == 2
        assert "wandb:entity/project: no API key (" in done.stderr
        assert "Traceback" not in done.stderr
    assert curvet("labels", "export", sheet, "--out", "wandb:project").exit_code == 2
    refused = curvet("labels", "import", f"mlflow:http://me:secret@127.0.0.1:{closed_port}",
                     "--into", into)  # fmt: skip
    assert refused.exit_code == 2
    assert "secret" not in refused.output


# --- Label Studio


def test_an_export_of_label_studio() -> None:
    """Label Studio 1.23.2 wrote it; the last task was labelled on its page, others by its API."""
    bad: list[LabelError] = []
    labels = read_labels(STUDIO, causes={SHARD.key: SHARD}, on_bad=bad.append).rows
    assert [(row.run_id, row.causes, row.annotator) for row in labels] == [
        ("r0.csv", ("lr_too_high",), "label-studio-1"),
        ("r1.csv", ("overfitting", "repeated_shard"), "label-studio-1"),
    ]
    assert (labels[0].confidence, labels[0].note) == (0.8, "swings from the start")
    assert len(labels[0].curve_hash) == 32
    assert "task 3: the label of 'r2.csv'" in str(bad[0])
    assert "unknown beside a cause" in str(bad[0])
    with pytest.raises(LabelError, match=r"label_studio\.json, task 2: .*'repeated_shard'"):
        read_labels(STUDIO)


def write_runs(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(3):
        rows = ["step,loss,val_loss" if number else "step,loss"]
        for step in range(60):
            loss = "nan" if step == 50 else f"{2 / (1 + step) + 0.1 * rng.random():.5f}"
            val = "" if step % 10 else f"{2 / (1 + step):.5f}"
            rows.append(f"{step},{loss},{val}" if number else f"{step},{loss}")
        rows += rows[41:61] if number == 2 else []  # resumed
        (folder / f"r{number}.csv").write_text("\n".join(rows))
    (folder / "notes.md").write_text("no log")
    return folder


def test_tasks_for_label_studio(tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs")
    labels = tmp_path / "labels.json"
    rows = (
        label("r1.csv", "lr_too_high", "repeated_shard", confidence=0.5),
        label("r1.csv", "healthy", by="bob"),
        label("gone.csv", "healthy"),
    )
    write_labels(Labels(rows, {SHARD.key: SHARD}), labels)
    scores = tmp_path / "scores.csv"
    assert curvet("score", runs, "--out", scores, "--workers", 1).exit_code == 0
    out = tmp_path / "tasks"
    done = curvet("labels", "export", labels, "--out", f"label-studio:{out}", "--runs", runs,
                  "--scores", scores)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "1 labelled runs are not in" in done.stderr
    tasks = json.loads((out / "tasks.json").read_text())
    assert [task["data"]["run_id"] for task in tasks] == ["r0.csv", "r1.csv", "r2.csv"]
    for task, run in zip(tasks, read(runs), strict=True):
        data = task["data"]
        step, loss, val = (np.array(data["curves"][name]) for name in ("step", "loss", "val_loss"))
        assert (np.diff(step) > 0).all(), "Label Studio demands it"
        assert np.isfinite([loss, val]).all()
        assert len(step) in (59, 60)
        assert data["curve_hash"] == curve_hash(run)
        assert (val == 0).all() == ("no validation loss" in data["title"])
    labelled = [each["model_version"] for each in tasks[1]["predictions"]]
    assert labelled[:2] == ["label of ann", "label of bob"]
    assert tasks[1]["predictions"][0]["result"][0]["value"] == {
        "choices": ["lr_too_high", "repeated_shard"]
    }
    config = ElementTree.parse(out / "config.xml").getroot()
    aliases = [choice.get("alias") for choice in config.iter("Choice")]
    assert aliases == [*CAUSES, SHARD.key, "unknown"]
    assert {choice.get("value") for choice in config.iter("Choice")} >= {SHARD.title, "Overfitting"}

    missing = curvet("labels", "export", labels, "--out", f"label-studio:{out}")
    assert missing.exit_code == 2
    assert "add --runs PATH" in missing.stderr


@pytest.mark.parametrize(
    ("tasks", "found"),
    [
        ([{"annotations": []}], "task 1: without data or annotations"),
        ([{"data": {"run_id": "r"}}], "task 1: without data or annotations"),  # never annotated
        ([{"annotations": [], "data": {"text": "x"}}], "its data names no run_id, but text"),
        ([{"annotations": [3], "data": {"run_id": "r"}}], "the annotation 3 is none of Label"),
        ([{"run_id": "r", "cause": "x", "annotation_id": 1}], r"not JSON-MIN\)"),
        ([{"annotations": [], "data": {"run_id": "r"}}, 5], "task 2: without data"),
        (
            [{"data": {"run_id": "r"}, "annotations": [{"result": [
                {"from_name": "cause", "value": {"choices": ["Gremlins"]}}]}]}],
            "unknown cause 'Gremlins'",
        ),
    ],
)  # fmt: skip
def test_what_label_studio_did_not_export(tasks: Any, found: str, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    with pytest.raises(LabelError, match=found):
        read_labels(path)


def test_people_and_titles_of_label_studio(tmp_path: Path) -> None:
    def said(user: Any, *choices: str, **more: Any) -> dict[str, Any]:
        result = [{"from_name": "cause", "value": {"choices": list(choices)}}]
        return {
            "completed_by": user,
            "result": result,
            "created_at": "2026-01-31T12:00:00Z",
            **more,
        }

    given = [
        said({"id": 3, "email": "ann@example.org"}, "Overfitting"),
        said(4, "healthy"),
        said(None, "lr_too_low"),
        said(5, "healthy", was_cancelled=True),
        {"completed_by": 6, "result": []},
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"data": {"run_id": "r"}, "annotations": given}]))
    assert [(row.annotator, row.causes) for row in read_labels(path).rows] == [
        ("ann@example.org", ("overfitting",)),
        ("label-studio-4", ("healthy",)),
        ("imported", ("lr_too_low",)),
    ]
    with pytest.raises(LabelError, match=r"import the \.json file"):
        read_labels("label-studio:tasks/")
    assert label_studio.is_export([]) is False
