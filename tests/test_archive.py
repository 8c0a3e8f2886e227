from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from curvet import archive
from curvet.archive import Row, diagnose_paths
from curvet.diagnosis import Diagnosis
from curvet.errors import CurveError
from curvet.run import Run

if TYPE_CHECKING:
    from curvet.predictor import Predictor


def write_log(path: Path, seed: int = 0, name: str = "train_loss") -> Path:
    rng = np.random.default_rng(seed)
    losses = 2 * np.exp(-np.arange(120) / 40) + 0.1 + 0.02 * rng.random(120)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{step},{loss:.5f}" for step, loss in enumerate(losses)]
    path.write_text("\n".join([f"step,{name}", *lines, ""]))
    return path


def found(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.run_id, row.status) for row in rows]


def test_every_file_of_a_folder_is_a_row(tmp_path: Path, predictor: Predictor) -> None:
    write_log(tmp_path / "a.csv")
    (tmp_path / "b.csv").touch()
    (tmp_path / "c.py").write_text("import torch\n")
    write_log(tmp_path / "d" / "accuracy.csv", name="val_accuracy")
    write_log(tmp_path / "d" / "loss.csv", seed=1)
    rows = list(diagnose_paths([tmp_path], predictor))
    assert found(rows) == [
        ("a.csv", "ok"),
        ("b.csv", "error"),
        ("c.py", "skipped"),
        ("d/accuracy.csv", "error"),
        ("d/loss.csv", "ok"),
    ]
    assert [row.format for row in rows] == ["table", "", "", "table", "table"]
    for row in rows:
        assert (row.diagnosis is None) == bool(row.error) == (row.status != "ok")
        assert row.source.endswith(row.run_id)
    assert "val_accuracy" in rows[3].error


def test_a_named_file_that_is_no_log_is_an_error(tmp_path: Path, predictor: Predictor) -> None:
    script = tmp_path / "net.py"
    script.write_text("import torch\n")
    assert found(list(diagnose_paths([script], predictor))) == [("net.py", "error")]


@pytest.mark.parametrize("kind", ["missing", "empty folder"])
def test_a_path_without_anything_is_an_error(
    kind: str, tmp_path: Path, predictor: Predictor
) -> None:
    path = tmp_path / kind
    if kind == "empty folder":
        path.mkdir()
    (row,) = diagnose_paths([path], predictor)
    assert (row.run_id, row.status) == (kind, "error")
    assert str(path) in row.error


def test_runs_of_several_paths_have_names_of_their_own(
    tmp_path: Path, predictor: Predictor
) -> None:
    paths = [write_log(tmp_path / name / "loss.csv") for name in "ab"]
    rows = list(diagnose_paths([*paths, tmp_path / "c", tmp_path / "b"], predictor))
    assert [row.run_id for row in rows[:3]] == [
        path.as_posix() for path in (*paths, tmp_path / "c")
    ]
    assert rows[0].diagnosis is not None
    assert rows[0].diagnosis.run_id == rows[0].run_id


def test_a_path_named_twice_is_read_once(tmp_path: Path, predictor: Predictor) -> None:
    path = write_log(tmp_path / "loss.csv")
    assert found(list(diagnose_paths([path, path], predictor))) == [("loss.csv", "ok")]


def test_batches_do_not_show(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        write_log(tmp_path / f"{number}.csv", seed=number)
    (tmp_path / "3b.csv").touch()
    whole = list(diagnose_paths([tmp_path], predictor))
    monkeypatch.setattr(archive, "BATCH_SIZE", 3)
    parts = list(diagnose_paths([tmp_path], predictor))
    assert found(parts) == found(whole)
    for one, other in zip(parts, whole, strict=True):
        if one.diagnosis is not None and other.diagnosis is not None:
            assert one.diagnosis.probabilities == pytest.approx(other.diagnosis.probabilities)


def test_kept_are_the_diagnosed_runs(tmp_path: Path, predictor: Predictor) -> None:
    write_log(tmp_path / "a.csv")
    (tmp_path / "b.csv").touch()
    kept: list[tuple[Run, Diagnosis]] = []
    rows = list(diagnose_paths([tmp_path], predictor, keep=lambda *pair: kept.append(pair)))
    assert [(run.id, diagnosis) for run, diagnosis in kept] == [("a.csv", rows[0].diagnosis)]


class Picky:
    """The predictor, but for one run in whose numbers it finds a fault."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def diagnose(self, run: Run) -> Diagnosis:
        if run.id == "b.csv":
            raise CurveError("b.csv: a fault")
        return self.predictor.diagnose(run)

    def diagnose_many(self, runs: list[Run]) -> list[Diagnosis]:
        return [self.diagnose(run) for run in runs]


def test_one_bad_run_spoils_only_its_own_row(tmp_path: Path, predictor: Predictor) -> None:
    for name in "abc":
        write_log(tmp_path / f"{name}.csv")
    rows = list(diagnose_paths([tmp_path], Picky(predictor)))
    assert found(rows) == [("a.csv", "ok"), ("b.csv", "error"), ("c.csv", "ok")]
    assert rows[1].error == "b.csv: a fault"
