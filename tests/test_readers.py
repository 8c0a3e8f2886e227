"""Every reader, by the logs in archives/<reader>/<case>/ and by what goes wrong with logs."""

from __future__ import annotations

import contextlib
import decimal
import gzip
import json
import math
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import curvet.readers
import curvet.readers.table
from curvet.errors import NoLossError, ReadError, UnknownFormatError
from curvet.readers import (
    READERS,
    SERVERS,
    Unit,
    find,
    json_table,
    local,
    read,
    sqlite,
    tensorboard,
    text,
    wandb,
)
from curvet.readers import parquet as readers_parquet
from curvet.readers.habits import MMCV
from curvet.roles import assign
from curvet.run import Run

ARCHIVES = Path(__file__).parent / "archives"
CASES = sorted(path.parent for path in ARCHIVES.glob("*/*/expected.json"))
HELPERS = {  # they read no format
    "base",
    "content",
    "decimals",
    "describe",
    "habits",
    "layout",
    "line_patterns",
    "local",
    "locations",
    "packed",
    "protobuf",
    "rows",
    "series",
    "sqlite",
    "text",
    "units",
    "walk",
}


def runs_of(path: Path) -> tuple[list[Run], list[ReadError]]:
    errors: list[ReadError] = []
    return list(read(path, on_error=errors.append)), errors


def one(path: Path) -> Run:
    (run,) = read(path)
    return run


def log(folder: Path) -> Path:
    """The case without what the test expects of it."""
    (entry,) = (path for path in folder.iterdir() if path.name != "expected.json")
    return entry


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def same(a: Run, b: Run) -> bool:
    return (a.id, a.source, a.format, list(a.curves)) == (
        b.id,
        b.source,
        b.format,
        list(b.curves),
    ) and all(
        np.array_equal(a.curves[tag].step, b.curves[tag].step, equal_nan=True)
        and np.array_equal(a.curves[tag].value, b.curves[tag].value, equal_nan=True)
        for tag in a.curves
    )


# --- the registry ---------------------------------------------------------------------------


def test_registry_and_files_agree() -> None:
    files = {path.stem for path in Path(curvet.readers.__file__).parent.glob("*.py")}
    names = [reader.name for reader in READERS]
    assert len(set(names)) == len(names)
    servers = {server.name for server in SERVERS}
    assert set(names) == files - HELPERS - servers - {"__init__"}


def test_every_reader_has_a_case_and_every_case_a_reader() -> None:
    assert {case.parent.name for case in CASES} == {reader.name for reader in READERS}


def test_the_general_formats_come_last() -> None:
    names = [reader.name for reader in READERS]
    assert names[-3:] == ["json_table", "table", "text_log"]


# --- the archives ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
class TestArchive:
    def test_reads_what_the_tool_wrote(self, case: Path) -> None:
        expected = json.loads((case / "expected.json").read_text())["runs"]
        runs = list(read(log(case)))
        assert [run.id for run in runs] == [_below(entry["id"], log(case)) for entry in expected]
        for run, entry in zip(runs, expected, strict=True):
            assert run.format == case.parent.name
            for tag, curve in entry["curves"].items():
                np.testing.assert_allclose(run.curves[tag].step, curve["step"], rtol=1e-3)
                np.testing.assert_allclose(run.curves[tag].value, curve["value"], rtol=1e-6)
            channels = assign(run)
            found = {
                role: None if (curve := getattr(channels, role)) is None else curve.tag
                for role in entry["roles"]
            }
            assert found == entry["roles"]

    def test_leaves_the_input_alone(self, case: Path, tmp_path: Path) -> None:
        copy = tmp_path / log(case).name
        (shutil.copytree if log(case).is_dir() else shutil.copy)(log(case), copy)
        files = [copy] if copy.is_file() else sorted(p for p in copy.rglob("*") if p.is_file())
        before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        list(read(copy))
        assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755)

    def test_says_the_same_twice(self, case: Path) -> None:
        first, second = list(read(log(case))), list(read(log(case)))
        assert len(first) == len(second)
        assert all(same(a, b) for a, b in zip(first, second, strict=True))

    def test_survives_a_cut_at_the_end(self, case: Path, tmp_path: Path) -> None:
        """Cut off anywhere in the last quarter, a log gives a clear error or its first values."""
        source = log(case)
        if source.is_dir():
            source = sorted(path for path in source.rglob("*") if path.is_file())[-1]
        content = source.read_bytes()
        whole = {run.id: run for run in read(source)}
        for size in range(len(content) * 3 // 4, len(content), max(1, len(content) // 40)):
            cut = write(tmp_path / str(size) / source.parent.name / source.name, content[:size])
            runs, _ = runs_of(cut)
            for run in runs:
                for tag, curve in run.curves.items():
                    if run.id in whole and tag in whole[run.id].curves:
                        value = whole[run.id].curves[tag].value[: len(curve)]
                        np.testing.assert_array_equal(curve.value[:-1], value[:-1])


def _below(run_id: str, entry: Path) -> str:
    """Run ids of a folder are below it."""
    return run_id.removeprefix(f"{entry.name}/") if entry.is_dir() else run_id


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "log"])
def test_results_that_are_no_numbers_are_kept(tmp_path: Path, suffix: str, value: float) -> None:
    form = {
        "csv": "step,loss\n0,2.0\n1,{}\n2,1.0\n",
        "jsonl": '{{"step": 0, "loss": 2}}\n{{"step": 1, "loss": {}}}\n{{"step": 2, "loss": 1}}\n',
        "log": "step 0: loss 2.0\nstep 1: loss {}\nstep 2: loss 1.0\n",
    }[suffix]
    written = json.dumps(value) if suffix == "jsonl" else str(value)
    content = form.replace("{{", "{").replace("}}", "}").replace("{}", written)
    run = one(write(tmp_path / f"a.{suffix}", content))
    np.testing.assert_array_equal(run.curves["loss"].value, [2.0, value, 1.0])


# --- folders --------------------------------------------------------------------------------


def test_a_folder_is_read_in_order_and_hidden_files_are_not(tmp_path: Path) -> None:
    for name in ("b/log.csv", "a/log.csv", "c.csv", ".hidden/log.csv", "a/.log.csv"):
        write(tmp_path / name, "step,loss\n0,1.0\n")
    assert [run.id for run in read(tmp_path)] == ["a/log.csv", "b/log.csv", "c.csv"]


def test_links_neither_loop_nor_double(tmp_path: Path) -> None:
    write(tmp_path / "runs/one/log.csv", "step,loss\n0,1.0\n")
    write(tmp_path / "elsewhere/log.csv", "step,loss\n0,2.0\n")
    (tmp_path / "runs/one/up").symlink_to(tmp_path / "runs")
    (tmp_path / "runs/all").symlink_to("/")
    (tmp_path / "runs/latest").symlink_to(tmp_path / "runs/one")
    (tmp_path / "runs/a.csv").symlink_to(tmp_path / "runs/one/log.csv")
    (tmp_path / "runs/other").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "runs/gone").symlink_to(tmp_path / "nothing")
    runs, errors = runs_of(tmp_path / "runs")
    assert [run.id for run in runs] == ["one/log.csv", "other/log.csv"]
    assert [str(error) for error in errors] == [
        f"{tmp_path}/runs/gone: a link to a file that does not exist"
    ]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "loss.csv")
    _, errors = runs_of(tmp_path)
    assert [error.found for error in errors] == ["a pipe"]


def test_problems_are_raised_or_handed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "step,loss\n0,1.0\n")
    write(tmp_path / "b.json", '{"loss": [')
    write(tmp_path / "c.csv", "step,loss\n0,2.0\n")
    runs = read(tmp_path)
    assert next(runs).id == "a.csv"
    with pytest.raises(ReadError, match=r"b\.json: "):
        next(runs)
    assert [run.id for run in runs_of(tmp_path)[0]] == ["a.csv", "c.csv"]


def test_a_picture_beside_the_logs_is_passed_over_or_handed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "step,loss\n0,1.0\n")
    picture = write(tmp_path / "b.png", b"\x89PNG\r\n\x1a\n\0\0")
    assert [run.id for run in read(tmp_path)] == ["a.csv"]
    _, errors = runs_of(tmp_path)
    assert [type(error) for error in errors] == [UnknownFormatError]
    with pytest.raises(UnknownFormatError, match=r"b\.png: a PNG picture; curvet reads .*Tensor"):
        list(read(picture))
    (tmp_path / "a.csv").unlink()
    with pytest.raises(UnknownFormatError, match="a folder without any training log"):
        list(read(tmp_path))


def test_ids_are_unique_where_two_loggers_share_a_folder(tmp_path: Path) -> None:
    shutil.copytree(ARCHIVES / "lightning_csv/trainer/lightning_logs", tmp_path / "logs")
    events = next((ARCHIVES / "tensorboard/torch_resumed/run").iterdir())
    shutil.copy(events, tmp_path / "logs/version_0")
    assert sorted(run.id for run in read(tmp_path)) == [
        "logs/version_0",
        "logs/version_0#lightning_csv",
    ]


def test_the_last_checkpoint_counts(tmp_path: Path) -> None:
    shutil.copytree(ARCHIVES / "trainer_state/huggingface/out", tmp_path / "out")
    shutil.move(tmp_path / "out/checkpoint-30", tmp_path / "out/checkpoint-100")
    run = one(tmp_path)
    assert run.id == "out"
    assert run.source.endswith("checkpoint-100/trainer_state.json")
    assert run.curves["loss"].step.tolist() == [5, 10, 15, 20, 25, 30]
    assert "train_loss" not in run.curves


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"log_history": [], "global_step": 0}', "a trainer state without any logged row"),
        ('{"log_history": [{"train_runtime": 1, "train_loss": 2, "step": 5}]}', "any logged row"),
        ('{"global_step": 0}', "JSON without a list log_history"),
    ],
)
def test_a_trainer_state_without_rows(tmp_path: Path, content: str, found: str) -> None:
    with pytest.raises(ReadError, match=found):
        list(read(write(tmp_path / "trainer_state.json", content)))


def test_an_algoperf_trial_is_one_run_beside_its_settings(tmp_path: Path) -> None:
    rows = "global_step,grad_norm,loss,train/loss,validation/loss\n0,1.5,2.5,,\n1,,,2.4,2.6\n"
    write(tmp_path / "trial_1/measurements.csv", rows)
    write(tmp_path / "trial_1/eval_measurements.csv", "global_step,train/loss\n1,2.4\n")
    write(tmp_path / "trial_1/hparams.json", '{"learning_rate": 0.1}')
    (run,), (error,) = runs_of(tmp_path)
    assert run.id == "trial_1/measurements.csv"
    assert isinstance(error, UnknownFormatError)
    assert assign(run).loss.tag == "train/loss"
    alone = one(tmp_path / "trial_1/eval_measurements.csv")
    assert alone.curves["train/loss"].value.tolist() == [2.4]


# --- one run, many runs, many readers ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "epoch,loss\n" + "0,3\n1,2\n2,1\n" * 3),
        ("a.csv", "epoch,step,loss\n" + "0,5,3\n1,6,2\n2,7,1\n" * 3),
        ("a.csv", "fold,epoch,loss\n" + "".join(f"{f},0,3\n{f},1,2\n{f},2,1\n" for f in "abc")),
        (
            "a.jsonl",
            '{"epoch": 0, "loss": 3}\n{"epoch": 1, "loss": 2}\n{"epoch": 2, "loss": 1}\n' * 3,
        ),
        ("a.log", "epoch 0 loss 3\nepoch 1 loss 2\nepoch 2 loss 1\n" * 3),
        ("training.log", "epoch,accuracy,loss\n" + "0,0.5,3\n1,0.5,2\n2,0.5,1\n" * 3),
    ],
)
def test_epochs_that_begin_anew_are_another_run(tmp_path: Path, name: str, content: str) -> None:
    runs = list(read(write(tmp_path / name, content)))
    assert [run.id for run in runs] == [f"{name}#{number}" for number in (1, 2, 3)]
    assert all(run.curves["loss"].value.tolist() == [3, 2, 1] for run in runs)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "epoch,loss\n0,4\n1,3\n2,2\n1,3\n2,2\n3,1\n"),  # resumed
        ("a.csv", "epoch,step,loss\n0,5,4\n1,6,3\n2,7,2\n0,8,3\n1,9,2\n2,10,1\n"),  # steps go on
        ("a.csv", "epoch,tag,value\n0,loss,3\n1,loss,2\n2,loss,1\n0,acc,3\n1,acc,2\n2,acc,1\n"),
        ("a.csv", "epoch,loss\n0,4\n1,3\n0,4\n1,3\n"),  # too short to tell from a resumed run
        ("a.jsonl", '{"epoch": 1, "loss": 3}\n{"epoch": 3, "loss": 2}\n{"epoch": 2, "loss": 1}\n'),
    ],
)
def test_what_goes_back_for_another_reason_stays_one_run(
    tmp_path: Path, name: str, content: str
) -> None:
    assert one(write(tmp_path / name, content)).id == name


def test_a_run_that_is_written_several_times_is_read_once(tmp_path: Path) -> None:
    for case in ("catboost/pool/catboost_info", "mmengine/runner/work", "mmengine/mmcv/work",
                 "dvclive/live/dvclive"):  # fmt: skip
        folder = tmp_path / case
        shutil.copytree(ARCHIVES / case, folder)
        assert len(list(read(folder))) == 1


@pytest.mark.parametrize("kept", ["_error.tsv", ".json", "tfevents"])
def test_any_one_of_catboosts_logs_will_do(tmp_path: Path, kept: str) -> None:
    whole = one(shutil.copytree(ARCHIVES / "catboost/pool/catboost_info", tmp_path / "whole"))
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    for path in (tmp_path / "part").rglob("*"):
        if path.is_file() and not path.name.endswith(kept):
            path.unlink()
    part = one(tmp_path / "part")
    assert set(part.curves) == set(whole.curves)
    for tag, curve in whole.curves.items():
        np.testing.assert_array_equal(part.curves[tag].step, curve.step)
        np.testing.assert_allclose(part.curves[tag].value, curve.value, rtol=1e-6)


def test_catboosts_tables_are_read_while_its_json_is_not_finished(tmp_path: Path) -> None:
    folder = shutil.copytree(ARCHIVES / "catboost/pool/catboost_info", tmp_path / "info")
    document = folder / "catboost_training.json"
    document.write_bytes(document.read_bytes()[:-40])
    assert len(one(folder).curves["learn/Logloss"]) == 15
    for path in folder.glob("*.tsv"):
        path.unlink()
    assert len(one(folder).curves["learn/Logloss"]) == 15
    shutil.rmtree(folder / "learn")
    shutil.rmtree(folder / "test")
    with pytest.raises(ReadError, match=r"training\.json: no valid JSON"):
        list(read(folder))


@pytest.mark.parametrize("kept", ["scalars.json", "0.json", ".log"])
def test_any_one_of_mmengines_logs_will_do(tmp_path: Path, kept: str) -> None:
    folder = shutil.copytree(ARCHIVES / "mmengine/runner/work", tmp_path / "work")
    (stem,) = (path.name for path in folder.iterdir())
    kept = kept.replace("0.json", f"{stem}.json")
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.endswith(kept):
            path.unlink()
    channels = assign(one(folder))
    assert channels.val is not None
    assert channels.loss.step.tolist() == [5, 10, 15, 20, 25, 30]
    assert channels.val.step.tolist() == [10, 20, 30]


@pytest.mark.parametrize("kept", [".log.json", ".log"])
def test_either_of_mmcvs_logs_will_do(tmp_path: Path, kept: str) -> None:
    folder = shutil.copytree(ARCHIVES / "mmengine/mmcv/work", tmp_path / "work")
    for path in folder.iterdir():
        if not path.name.endswith(kept):
            path.unlink()
    run = one(folder)
    assert run.logging == MMCV
    channels = assign(run)
    assert channels.val is not None
    assert channels.loss.step.tolist() == [5, 10, 15, 20, 25, 30]
    assert channels.val.step.tolist() == [10, 20, 30]


def test_mmcvs_log_by_iterations_is_known_by_its_lines(tmp_path: Path) -> None:
    form = "2022-01-01 10:00:00,123 - mmseg - INFO - Iter [{}/15]\tlr: 5.000e-02, loss: {}\n"
    content = form.format(5, 2.5) + form.format(10, 2.0)
    run = one(write(tmp_path / "20220101_100000.log", content))
    assert (run.format, run.logging) == ("mmengine", MMCV)
    assert run.curves["loss"].step.tolist() == [5, 10]


def test_a_series_alone_in_a_file_is_called_by_the_file(tmp_path: Path) -> None:
    assert assign(one(write(tmp_path / "train_loss.csv", "step,value\n0,2\n1,1\n"))).loss.tag == (
        "train_loss"
    )
    val = one(write(tmp_path / "val_loss.csv", "step,value\n0,2\n1,1\n"))
    with pytest.raises(NoLossError, match="only a validation loss"):
        assign(val)


@pytest.mark.parametrize(
    ("name", "content", "reader"),
    [
        ("metrics.csv", "epoch,step,loss\n0,0,2\n0,1,1\n", "lightning_csv"),
        ("log.csv", "epoch,step,loss\n0,0,2\n0,1,1\n", "table"),
        ("log.csv", "epoch,accuracy,loss\n0,0,2\n1,1,1\n", "keras_csv"),
        ("log.csv", "epoch,loss,accuracy\n0,0,2\n1,1,1\n", "table"),
        ("trainer_state.json", '{"log_history": [{"step": 1, "loss": 2}]}', "trainer_state"),
        ("history.json", '{"log_history": [{"step": 1, "loss": 2}]}', "json_table"),
        ("run.log", '{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n', "json_table"),
        ("run.log", 'start\n{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n', "text_log"),
        ("run.log", "step loss\n1 2\n2 1\n3 1\n", "table"),
        ("run.log", "step 1 loss 2\nstep 2 loss 1\nstep 3 loss 1\n", "text_log"),
        ("20240101_000000.json", '{"iter": 1, "loss": 2, "step": 1}\n', "mmengine"),
        ("metrics.json", '{"iteration": 1, "total_loss": 2}\n{"iteration": 2, "total_loss": 1}\n',
         "json_table"),
        ("a/plots/metrics/loss.tsv", "step\tloss\n0\t2\n1\t1\n", "dvclive"),
        ("a/plots/loss.tsv", "step\tloss\n0\t2\n1\t1\n", "table"),
        ("catboost_info/learn_error.tsv", "iter\tRMSE\n0\t2\n1\t1\n", "catboost"),
        ("learn_error.tsv", "step\tRMSE\n0\t2\n1\t1\n", "table"),
    ],
)  # fmt: skip
def test_who_reads_what_two_formats_claim(
    tmp_path: Path, name: str, content: str, reader: str
) -> None:
    assert one(write(tmp_path / name, content)).format == reader


@pytest.mark.parametrize("name", ["a\nb.csv", 'it\'s "q".csv', "🚀.csv", "a;b,c.csv", "#.csv"])
def test_names_of_all_kinds(tmp_path: Path, name: str) -> None:
    write(tmp_path / "runs" / name, "step,loss\n0,1.0\n")
    assert one(tmp_path / "runs").id == name
    tag = f"train/loss {name}"
    line = json.dumps({"step": 1, tag: 2.0})
    assert list(one(write(tmp_path / "a.jsonl", f"{line}\n{line}\n")).curves) == [tag]


def test_a_run_that_crashed_at_once_does_not_spoil_those_beside_it(tmp_path: Path) -> None:
    with event_file(tmp_path / "b").open("rb") as file:
        version = file.read(40)
    event_file(tmp_path / "a/train")
    write(tmp_path / "a/validation/events.out.tfevents.0000000001.host.0.0", version)
    write(tmp_path / "aa/events.out.tfevents.0000000001.host.0.0", version)
    runs, errors = runs_of(tmp_path)
    assert [run.id for run in runs] == ["a", "b"]
    assert [error.found for error in errors] == ["an event file without any scalar"]


# --- VisualDL -------------------------------------------------------------------------------


def test_a_vdlrecords_file_cut_anywhere_keeps_what_was_whole(tmp_path: Path) -> None:
    source = next((ARCHIVES / "visualdl/paddle/vdl").iterdir())
    content = source.read_bytes()
    last = 0
    for size in range(1, len(content), 7):
        runs, errors = runs_of(write(tmp_path / "cut/vdlrecords.1.log", content[:size]))
        points = len(runs[0].curves["train/loss"]) if runs else 0
        assert bool(errors) == (points == 0)
        assert points >= last
        last = points
    assert last == 30


@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_no_byte_of_a_vdlrecords_file_makes_another_error(place: int, byte: int) -> None:
    content = bytearray(next((ARCHIVES / "visualdl/paddle/vdl").iterdir()).read_bytes())
    content[place] = byte
    with tempfile.TemporaryDirectory() as folder:
        runs_of(write(Path(folder) / "vdlrecords.1.log", bytes(content)))


# --- tables ---------------------------------------------------------------------------------


def test_a_long_table_that_stays_blank_went_on_with_nan(tmp_path: Path) -> None:
    content = "step,tag,value\n0,loss,2\n0,val,\n1,loss,\n1,val,3\n2,loss,\n2,val,\n"
    curves = one(write(tmp_path / "a.csv", content)).curves
    np.testing.assert_array_equal(curves["loss"].value, [2, math.nan, math.nan])
    assert curves["loss"].step.tolist() == [0, 1, 2]
    assert curves["val"].value.tolist() == [3]


@pytest.mark.parametrize(
    ("content", "step", "value"),
    [
        ("loss\n3\n2\n", [0, 1], [3, 2]),
        ("3\n2\n1\n", [0, 1, 2], [3, 2, 1]),
        ("10,3\n20,2\n30,1\n", [10, 20, 30], [3, 2, 1]),
        (",loss\n5,3\n6,2\n", [5, 6], [3, 2]),
        (",step,loss\n0,5,3\n1,6,2\n", [5, 6], [3, 2]),
        (" Step , loss \r\n 5 , 3 \r\n 6 , 2 \r\n", [5, 6], [3, 2]),
        ('"step","loss"\n"5","3.0"\n"6","1,234.5"\n', [5, 6], [3, 1234.5]),
        ("step,loss,\n5,3,\n6,2,\n", [5, 6], [3, 2]),
        ("step,loss,acc\n5,3\n6,2,0.5\n", [5, 6], [3, 2]),
        ("step,loss\n0,3\n100,2\n50,2.5\n100,1\n", [0, 100, 50, 100], [3, 2, 2.5, 1]),
        ("step,loss,note\n5,3,warm\n6,2,\n", [5, 6], [3, 2]),
        ("step,loss\n5,NA\n6,2\n7,null\n8,None\n9,nan\n", [6, 9], [2, math.nan]),
        (
            "step,loss\n5,-nan(ind)\n6,1.#QNAN\n7,-1.#INF\n8,#N/A\n9,+inf\n",
            [5, 6, 7, 9],
            [math.nan, math.nan, -math.inf, math.inf],
        ),
        ("epoch,iter,loss\n1,1,4\n1,2,3\n2,1,2\n2,2,1\n", [0, 1, 2, 3], [4, 3, 2, 1]),
        ("# made by hand\n# more\nstep,loss\n5,3\n6,2\n", [5, 6], [3, 2]),
        ("step loss\n5 3\n6 2\n", [5, 6], [3, 2]),
        ("step,loss\n\n5,3\n\n6,2\n", [5, 6], [3, 2]),
        ("step,loss\r5,3\r6,2\r", [5, 6], [3, 2]),
        (",step,loss\n0,5,3\n,step,loss\n1,6,2\n", [5, 6], [3, 2]),
        ("step,loss\n5,tensor(3.0)\n6,\"tensor(2., device='cuda:0')\"\n", [5, 6], [3, 2]),
    ],
)
def test_tables_of_all_kinds(
    tmp_path: Path, content: str, step: list[float], value: list[float]
) -> None:
    loss = assign(one(write(tmp_path / "a.csv", content))).loss
    np.testing.assert_array_equal(loss.step, step)
    np.testing.assert_array_equal(loss.value, value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("step,loss,loss\n1,2,3\n", "columns 2 and 3 are both called 'loss'"),
        ("step,loss\n1,2\n2,3,4\n", "line 3 has 3 cells, but there are 2 columns"),
        ("step,loss\n1,2\n2,oops\n3,1\n", "line 3, column 'loss': 'oops' is no number"),
        ("step,name\n1,a\n2,b\n", r"a table without any column of numbers \(name: .a.\)"),
        ("step,loss\n", "a table without any column of numbers"),
        ('step,loss\n1,"' + "x" * 200_000, "a table that cannot be parsed"),
    ],
)
def test_tables_that_need_a_guess_are_refused(tmp_path: Path, content: str, found: str) -> None:
    with pytest.raises(ReadError, match=found):
        list(read(write(tmp_path / "a.csv", content)))


def test_a_column_that_ends_blank_was_nan_but_a_closing_row_is_no_loss(tmp_path: Path) -> None:
    diverged = "step,loss,acc\n0,2,0.1\n1,9,0.1\n2,,0.1\n3,,0.1\n"
    closed = "step,loss,acc\n0,2,0.1\n1,1,0.2\n1,,0.3\n"
    other_rows = "step,loss,acc,test\n0,2,0.1,\n1,1,0.2,\n2,,,0.3\n3,,,0.3\n"
    np.testing.assert_array_equal(
        one(write(tmp_path / "a.csv", diverged)).curves["loss"].value, [2, 9, math.nan, math.nan]
    )
    for content in (closed, other_rows):
        curve = one(write(tmp_path / "b.csv", content)).curves["loss"]
        assert curve.value.tolist() == [2, 1]


def test_the_last_row_counts_as_far_as_it_is_whole(tmp_path: Path) -> None:
    run = one(write(tmp_path / "a.csv", "step,loss,acc\n0,2.0,0.5\n1,1.0,0.5\n2,0.5,0."))
    assert run.curves["loss"].value.tolist() == [2.0, 1.0, 0.5]
    run = one(write(tmp_path / "a.csv", "step,loss,acc\n0,2.0,0.5\n1,1.0,0.5\n2,0."))
    assert run.curves["loss"].value.tolist() == [2.0, 1.0]
    run = one(write(tmp_path / "a.csv", "step,loss\n0,2.0\n1,1.0\n2,1e-"))
    assert run.curves["loss"].value.tolist() == [2.0, 1.0]


def test_thousands_of_columns(tmp_path: Path) -> None:
    names = [f"layer{i}/norm" for i in range(5000)]
    header, row = ",".join(["step", "loss", *names]), ",".join(["{}", "2.0", *["1"] * 5000])
    path = write(tmp_path / "a.csv", "\n".join([header, row.format(0), row.format(1)]))
    run = one(path)
    assert len(run.curves) == 5001
    assert assign(run).grad_norm is None


@given(
    st.lists(
        st.one_of(st.none(), st.floats(width=32), st.just(math.nan)), min_size=3, max_size=30
    ).filter(lambda cells: any(cell is not None for cell in cells[-2:]))
)
def test_any_column_comes_back_as_it_was_written(cells: list[float | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = "\n".join(f"{i},{'' if c is None else repr(c)},1" for i, c in enumerate(cells))
        run = one(write(Path(folder) / "a.csv", f"step,loss,other\n{rows}\n"))
    logged = [(i, cell) for i, cell in enumerate(cells) if cell is not None]
    np.testing.assert_array_equal(run.curves["loss"].step, [i for i, _ in logged])
    np.testing.assert_array_equal(run.curves["loss"].value, [cell for _, cell in logged])


# --- JSON -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "step", "value"),
    [
        ("[3, 2, 1]", [0, 1, 2], [3, 2, 1]),
        ('{"loss": [3, null, NaN]}', [0, 1, 2], [3, math.nan, math.nan]),
        ('{"loss": ["3.0", "2"], "step": [10, 20]}', [10, 20], [3, 2]),
        ('{"epoch": [1, 2], "loss": [3, 2]}', [1, 2], [3, 2]),
        ('{"train": {"loss": [3, 2]}, "lr": 0.1}', [0, 1], [3, 2]),
        ('{"loss": {"steps": [5, 6], "values": [3, 2]}}', [5, 6], [3, 2]),
        ('{"loss": {"0": 3, "1": 2}}', [0, 1], [3, 2]),
        ('{"1": {"loss": 3}, "2": {"loss": 2}}', [1, 2], [3, 2]),
        ('{"history": [{"step": 5, "loss": 3}, {"step": 6, "loss": null}]}', [5], [3]),
        ('[{"step": 5, "loss": 3}, {"step": 6, "loss": "NaN"}]', [5, 6], [3, math.nan]),
        ('{"loss": [[5, 3], [6, 2]]}', [5, 6], [3, 2]),
        ("[[1700000000.5, 5, 3], [1700000001.5, 6, 2]]", [5, 6], [3, 2]),
        ('{"step": 5, "loss": 3}\n\n{"step": 6, "loss": 2, "extra": {"a": 1}}\n', [5, 6], [3, 2]),
        ('{"step": 5, "metric": "loss", "value": 3}\n' * 2, [5, 5], [3, 3]),
        ('{"loss": [1e400, -1e400]}', [0, 1], [math.inf, -math.inf]),
    ],
)
def test_json_of_all_kinds(
    tmp_path: Path, content: str, step: list[float], value: list[float]
) -> None:
    loss = assign(one(write(tmp_path / "a.json", content))).loss
    np.testing.assert_array_equal(loss.step, step)
    np.testing.assert_array_equal(loss.value, value)


def test_json_of_several_runs(tmp_path: Path) -> None:
    histories = '[{"loss": [2, 1]}, {"loss": [3, 2]}]'
    assert [run.id for run in read(write(tmp_path / "a.json", histories))] == [
        "a.json#0",
        "a.json#1",
    ]
    records = '{"run": "x", "loss": 2}\n{"run": "y", "loss": 3}\n'
    assert [run.id for run in read(write(tmp_path / "a.jsonl", records))] == [
        "a.jsonl#x",
        "a.jsonl#y",
    ]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"lr": 0.1, "name": "x"}', "a JSON document without any series of numbers"),
        ('{"loss": [1, 2', "JSON that is cut off at the end"),
        ('{"loss": [1, 2}', "no valid JSON"),
        ("[" * 200_000, "JSON that is nested too deeply"),
        ('{"a":' * 900 + "[1,2]" + "}" * 900, ""),
        ('{"step": 1, "loss": 2}\noops\n{"step": 2, "loss": 1}\n', "line 2 is no valid JSON"),
        ('{"loss": [' + "9" * 5000 + "]}", "no valid JSON"),
    ],
)
def test_json_that_is_no_log_is_refused(tmp_path: Path, content: str, found: str) -> None:
    runs, errors = runs_of(write(tmp_path / "a.json", content))
    assert (not runs and found in errors[0].found) if found else len(runs) + len(errors) == 1


def test_a_huge_document_is_refused_by_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_table, "SIZE_LIMIT", 2**20)
    path = write(tmp_path / "a.json", "[" + "1, " * 700_000 + "1]")
    with pytest.raises(ReadError, match="a JSON document of 2 MiB; up to 1 MiB are read"):
        list(read(path))


# --- TensorBoard ----------------------------------------------------------------------------


def event_file(folder: Path, steps: int = 5) -> Path:
    writer = pytest.importorskip("torch.utils.tensorboard").SummaryWriter(str(folder))
    for step in range(steps):
        writer.add_scalar("loss", 2.0 - step / 10, step)
    writer.close()
    return next(folder.glob("events*"))


@pytest.mark.parametrize(
    "case", sorted((ARCHIVES / "tensorboard").iterdir()), ids=lambda case: case.name
)
def test_values_equal_those_of_tensorboard(case: Path) -> None:
    loader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_file_loader"
    ).LegacyEventFileLoader
    util = pytest.importorskip("tensorboard.util.tensor_util")
    run = one(log(case))
    theirs: list[tuple[float, float]] = []
    for path in sorted(log(case).rglob("*tfevents*")):
        for event in loader(str(path)).Load():
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                if value.HasField("simple_value"):
                    theirs.append((float(event.step), value.simple_value))
                elif value.HasField("tensor") and plugin == "scalars":
                    theirs.append((float(event.step), float(util.make_ndarray(value.tensor))))
    ours = [
        pair
        for curve in run.curves.values()
        for pair in zip(curve.step.tolist(), curve.value.tolist(), strict=True)
    ]
    assert sorted(map(repr, ours)) == sorted(map(repr, theirs))


@pytest.mark.filterwarnings("ignore")  # of the other package
def test_all_points_come_not_ten_thousand(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    path = event_file(tmp_path / "run", steps=12_000)
    theirs = accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0})
    theirs.Reload()
    curve = one(tmp_path).curves["loss"]
    assert curve.step.tolist() == [event.step for event in theirs.Scalars("loss")]
    assert curve.value.tolist() == [event.value for event in theirs.Scalars("loss")]


def test_an_event_file_cut_anywhere_keeps_what_was_whole(tmp_path: Path) -> None:
    content = event_file(tmp_path / "whole").read_bytes()
    last = 0
    for size in range(1, len(content)):
        runs, errors = runs_of(write(tmp_path / "cut/events.tfevents", content[:size]))
        points = len(runs[0].curves["loss"]) if runs else 0
        assert bool(errors) == (points == 0)
        assert points >= last
        last = points
    assert last == 4


def test_a_damaged_length_neither_allocates_nor_hangs(tmp_path: Path) -> None:
    content = bytearray(event_file(tmp_path / "whole").read_bytes())
    records = list(tensorboard.records(write(tmp_path / "a.tfevents", bytes(content))))
    third = sum(len(record) + 16 for record in records[:3])
    content[third : third + 8] = struct.pack("<Q", 2**62)
    path = write(tmp_path / "damaged/events.tfevents", bytes(content))
    runs = read(path)
    assert len(next(runs).curves["loss"]) == 2
    with pytest.raises(ReadError, match=f"damaged at byte {third} of"):
        next(runs)


@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_no_byte_makes_another_error(place: int, byte: int) -> None:
    source = next((ARCHIVES / "tensorboard/torch_resumed/run").iterdir())
    content = bytearray(source.read_bytes())
    content[place % len(content)] = byte
    with tempfile.TemporaryDirectory() as folder:
        runs_of(write(Path(folder) / "events.tfevents", bytes(content)))


def test_an_empty_companion_file_is_fine_but_nothing_else_is_not(tmp_path: Path) -> None:
    path = event_file(tmp_path / "run")
    with path.open("rb") as file:
        version = file.read(40)
    write(tmp_path / "run/events.out.tfevents.0000000001.host.0.0", version)
    assert len(one(tmp_path).curves["loss"]) == 5
    write(tmp_path / "none/events.out.tfevents.0000000001.host.0.0", version)
    with pytest.raises(ReadError, match="an event file without any scalar; event files with"):
        list(read(tmp_path / "none"))


def test_runs_below_a_run_stay_apart(tmp_path: Path) -> None:
    for name in ("runs", "runs/a", "runs/b"):
        event_file(tmp_path / name)
    assert sorted(run.id for run in read(tmp_path)) == ["runs", "runs/a", "runs/b"]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("float32", 0.5), ("float64", 1e-300), ("float16", 0.5), ("int32", -3), ("int64", -(2**40)),
     ("uint8", 200), ("bool", 1.0), ("bfloat16", 0.5), ("uint64", 2.0**63)],
)  # fmt: skip
@pytest.mark.parametrize("loose", [False, True])
def test_tensors_of_every_type(tmp_path: Path, dtype: str, value: float, loose: bool) -> None:
    summary_pb2 = pytest.importorskip("tensorboard.compat.proto.summary_pb2")
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    tensor_util = pytest.importorskip("tensorboard.util.tensor_util")
    types_pb2 = pytest.importorskip("tensorboard.compat.proto.types_pb2")
    writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    if dtype == "bfloat16":
        tensor = pytest.importorskip("tensorboard.compat.proto.tensor_pb2").TensorProto()
        tensor.dtype = types_pb2.DT_BFLOAT16
        bits = struct.unpack("<I", struct.pack("<f", value))[0] >> 16
        if loose:
            tensor.half_val.append(bits)
        else:
            tensor.tensor_content = struct.pack("<H", bits)
    else:
        tensor = tensor_util.make_tensor_proto(np.array(value, dtype=dtype))
        if not loose:
            tensor.ClearField(tensor_util_field(dtype))
            tensor.tensor_content = np.array(value, dtype=dtype).tobytes()
    summary = summary_pb2.Summary()
    summary.value.add(tag="x", tensor=tensor)
    writer = writer.EventFileWriter(str(tmp_path))
    writer.add_event(event_pb2.Event(step=-7, summary=summary))
    writer.close()
    curve = one(tmp_path).curves["x"]
    assert (curve.step.tolist(), curve.value.tolist()) == ([-7.0], [value])


def tensor_util_field(dtype: str) -> str:
    fields = {"float32": "float_val", "float64": "double_val", "float16": "half_val",
              "int64": "int64_val", "bool": "bool_val", "uint64": "uint64_val"}  # fmt: skip
    return fields.get(dtype, "int_val")


# --- W&B ------------------------------------------------------------------------------------

WANDB = sorted((ARCHIVES / "wandb").glob("*/wandb/*/*.wandb"))


@pytest.mark.filterwarnings("ignore")  # of the other package
@pytest.mark.parametrize("source", WANDB, ids=lambda path: path.parts[-4])
def test_rows_equal_those_that_wandb_finds_in_its_records(source: Path) -> None:
    pb2 = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    theirs = []
    for content in wandb.records(source):
        record = pb2.Record.FromString(content)
        for item in record.history.item:
            name = ".".join(item.nested_key) or item.key
            parsed = json.loads(item.value_json)
            if name == "_step":
                continue
            if isinstance(parsed, dict):
                (name, parsed), *_ = ((f"{name}.{k}", v) for k, v in parsed.items())
            if not name.startswith("_") and type(parsed) in (int, float):
                step = next(i for i in record.history.item if "_step" in (i.key, *i.nested_key))
                theirs.append((name, float(step.value_json), float(parsed)))
    ours = [
        (tag, *point)
        for tag, curve in one(source).curves.items()
        for point in zip(curve.step.tolist(), curve.value.tolist(), strict=True)
    ]
    assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
    assert len(ours) == 45


@pytest.mark.slow
def test_a_run_of_the_installed_wandb(tmp_path: Path) -> None:
    """Guards against a release that writes another form."""
    pytest.importorskip("wandb")
    script = f"""
import wandb
with wandb.init(project="demo", dir={str(tmp_path)!r}) as run:
    for step in range(300):
        run.log({{"loss": 1 / (1 + step), "deep": {{"er": {{"x": step}}}}, "text": "x" * 500}})
"""
    settings = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, **settings})
    runs, errors = runs_of(tmp_path / "wandb")
    assert ([run.format for run in runs], errors) == (["wandb"], [])
    assert runs[0].curves["loss"].value.tolist() == [1 / (1 + step) for step in range(300)]
    assert runs[0].curves["deep.er.x"].step.tolist() == list(range(300))


@pytest.mark.parametrize("source", WANDB, ids=lambda path: path.parts[-4])
def test_a_wandb_file_cut_anywhere_keeps_what_was_whole(tmp_path: Path, source: Path) -> None:
    content = source.read_bytes()
    whole = one(source).curves["train/loss"].value
    counts = []
    for size in [*range(8, 2000, 53), *range(2000, len(content), 997)]:
        runs, errors = runs_of(write(tmp_path / "a.wandb", content[:size]))
        value = runs[0].curves["train/loss"].value if runs else whole[:0]
        np.testing.assert_array_equal(value, whole[: len(value)])
        assert bool(errors) == (len(value) == 0)
        counts.append(len(value))
    assert counts == sorted(counts)
    assert counts[-1] == len(whole) == 20


@pytest.mark.parametrize("source", WANDB, ids=lambda path: path.parts[-4])
def test_a_wandb_file_that_ends_in_zeros_or_is_damaged(tmp_path: Path, source: Path) -> None:
    content = source.read_bytes()
    place = content.index(b"Infinity")
    zeros = write(tmp_path / "zeros.wandb", content[:place] + bytes(100_000))
    runs, errors = runs_of(zeros)
    assert len(runs[0].curves["train/loss"]) == 17
    assert "damaged at byte" in errors[0].found, "the record itself was cut by zeros"
    (run,), errors = runs_of(write(tmp_path / "b.wandb", content + bytes(100_000)))
    assert (len(run.curves["train/loss"]), errors) == (20, [])
    runs = read(write(tmp_path / "c.wandb", content.replace(b"Infinity", b"Infinitx", 1)))
    run = next(runs)
    assert run.id == "c.wandb"
    assert len(run.curves["train/loss"]) == 17
    with pytest.raises(ReadError, match=r"damaged at byte \d+ of \d+; the values before it are"):
        next(runs)


@given(place=st.integers(7, 3000), byte=st.integers(0, 255))
def test_no_byte_of_a_wandb_file_makes_another_error(place: int, byte: int) -> None:
    content = bytearray(WANDB[0].read_bytes()[:3000])
    content[place % len(content)] = byte
    with tempfile.TemporaryDirectory() as folder:
        runs_of(write(Path(folder) / "a.wandb", bytes(content)))


def test_all_files_of_a_wandb_run_are_one_run(tmp_path: Path) -> None:
    folder = tmp_path / "wandb" / WANDB[0].parent.name
    shutil.copytree(WANDB[0].parent, folder)
    write(folder / "files/output.log", "step 1: loss 2.0\nstep 2: loss 1.0\n" * 9)
    write(folder / "files/wandb-summary.json", '{"h": {"_type": "histogram", "bins": [1, 2]}}')
    write(folder / "logs/debug.log", "MainThread: started\n")
    (run,), errors = runs_of(tmp_path)
    assert (run.id, errors) == (f"wandb/{folder.name}", [])
    assert run.source.endswith("demo0001.wandb")
    assert one(folder / "files/output.log").curves.keys() == run.curves.keys()
    (folder / WANDB[0].name).unlink()
    alone = one(folder / "files/output.log")
    assert alone.format == "text_log", "without the log, the console output is read"


def test_a_wandb_run_that_logged_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wandb", b":W&B\xe1\xbe\0")
    with pytest.raises(ReadError, match="a W&B file without any logged number; W&B files with"):
        list(read(path))


# --- MLflow and Trackio ---------------------------------------------------------------------

MLFLOW_RUN = next((ARCHIVES / "mlflow_files/client/mlruns").glob("*/*/metrics")).parent


def mlflow_run(folder: Path, **metrics: str) -> Path:
    """A run folder after the one that MLflow wrote."""
    run = folder / "mlruns/0" / ("0" * 32)
    run.mkdir(parents=True)
    shutil.copy(MLFLOW_RUN / "meta.yaml", run)
    for name, content in metrics.items():
        write(run / "metrics" / name, content)
    return run


def test_all_files_of_an_mlflow_run_are_one_run(tmp_path: Path) -> None:
    run = mlflow_run(tmp_path, loss="1 2.0 0\n2 1.0 1\n")
    write(run / "artifacts/metrics.csv", "step,loss\n0,5.0\n")
    write(run / "params/optimizer", "step 1: loss 2.0\nstep 2: loss 1.0\n" * 9)
    write(run / "tags/mlflow.note.content", "epoch,loss\n1,2\n")
    (read_run,), errors = runs_of(tmp_path)
    assert (read_run.id, list(read_run.curves)) == (f"mlruns/0/{'0' * 32}", ["loss"])
    assert errors == []
    assert one(run).id == one(run / "metrics/loss").id == one(run / "meta.yaml").id == "0" * 32


def test_an_mlflow_metric_cut_or_of_an_old_form(tmp_path: Path) -> None:
    run = mlflow_run(tmp_path, loss="1 2.0\n2 nan\n3 -inf\n", acc="1 .5 0\n2 .6 10 data 12\n3 .")
    curves = one(run).curves
    np.testing.assert_array_equal(curves["loss"].step, [0, 1, 2])
    np.testing.assert_array_equal(curves["loss"].value, [2, math.nan, -math.inf])
    assert curves["acc"].step.tolist() == [0, 10]
    write(run / "metrics/acc", "1 .5 0\nhello\n")
    with pytest.raises(ReadError, match=r"acc: line 2 \('hello'\) is no metric; lines of the form"):
        list(read(run))


@pytest.mark.parametrize("name", ["a/b/c d.e", "50% \N{ROCKET} 'q\"", "x:y=z"])
def test_names_of_mlflow_metrics(tmp_path: Path, name: str) -> None:
    assert list(one(mlflow_run(tmp_path, **{name: "1 2.0 0\n"})).curves) == [name]


def test_mlflow_runs_without_metrics_and_deleted_ones(tmp_path: Path) -> None:
    run = mlflow_run(tmp_path)
    with pytest.raises(ReadError, match=f"{run}: an MLflow run without any metric; logged"):
        list(read(run))
    write(run / "metrics/loss", "1 2.0 0\n")
    meta = (run / "meta.yaml").read_text()
    write(run / "meta.yaml", meta.replace("lifecycle_stage: active", "lifecycle_stage: deleted"))
    assert runs_of(tmp_path) == ([], [])


def mlflow_database(path: Path, **options: str) -> sqlite3.Connection:
    """A copy of the database that MLflow wrote, opened for writing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ARCHIVES / "mlflow_sqlite/client/mlflow.db", path)
    connection = sqlite3.connect(path)
    for option, setting in options.items():
        connection.execute(f"PRAGMA {option} = {setting}")
    return connection


def add_metric(connection: sqlite3.Connection, run_id: str, key: str, value: float) -> None:
    connection.execute(
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
        "VALUES (?, ?, 1, ?, 0, 0)",
        (key, value, run_id),
    )


def test_a_database_that_is_being_written_to(tmp_path: Path) -> None:
    """What is committed is read, also while it stands in the log beside the database."""
    path = tmp_path / "mlflow.db"
    writer = mlflow_database(path, journal_mode="WAL")
    run_id = writer.execute("SELECT min(run_uuid) FROM runs").fetchone()[0]
    add_metric(writer, run_id, "committed", 1.0)
    writer.commit()
    add_metric(writer, run_id, "open", 1.0)  # not committed yet
    (run, _), _ = runs_of(path)
    assert run.id == f"mlflow.db#{run_id}"
    assert "committed" in run.curves
    assert "open" not in run.curves
    writer.commit()
    writer.close()
    assert "open" in runs_of(path)[0][0].curves


def test_reading_does_not_hold_up_a_training_that_logs(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    writer = mlflow_database(path)
    runs = read(path)
    first = next(runs)
    writer.execute("PRAGMA busy_timeout = 0")
    add_metric(writer, first.id.split("#")[1], "late", 1.0)
    writer.commit()  # would fail if the reader held a lock between two runs
    assert len(list(runs)) == 1
    writer.close()


def test_a_database_that_was_locked_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAIT", 0.05)
    path = tmp_path / "demo.db"
    shutil.copy(ARCHIVES / "trackio/project/demo.db", path)
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = DELETE")
    writer.execute("BEGIN EXCLUSIVE")
    _, errors = runs_of(path)
    assert "locked for 0.05 seconds" in errors[0].found
    writer.close()
    assert [run.format for run in read(path)] == ["trackio", "trackio"]


def test_a_locked_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAIT", 0.1)
    path = tmp_path / "mlflow.db"
    writer = mlflow_database(path, locking_mode="EXCLUSIVE")
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ReadError, match=r"locked for 0.1 seconds; wait until the program that"):
        list(read(path))
    writer.close()
    assert len(runs_of(path)[0]) == 2


def test_what_a_program_that_died_left_beside_a_database(tmp_path: Path) -> None:
    """A transaction log is taken in, an unfinished transaction is rolled back: in a copy."""
    script = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE metrics SET value = 7")
connection.execute("UPDATE runs SET name = printf('%.9999c', 'x')")
if sys.argv[2] == "WAL":
    connection.execute("COMMIT")
os._exit(0)
"""
    for mode, kept in (("WAL", True), ("DELETE", False)):
        path = tmp_path / mode / "mlflow.db"
        mlflow_database(path).close()
        subprocess.run([sys.executable, "-c", script, str(path), mode], check=True)
        left = sorted(path.parent.iterdir())
        assert len(left) > 1
        if mode == "WAL":
            path.with_name("mlflow.db-shm").unlink()  # gone with another machine
        before = {file: file.read_bytes() for file in path.parent.iterdir()}
        run = next(read(path))
        assert (run.curves["train/loss"].value[0] == 7) == kept
        assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_metric_of_any_name_and_many_runs(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    writer = mlflow_database(path)
    names = ['a"b', "a'b; DROP TABLE runs", "\N{ROCKET}", "two\nlines", "%s {0} \\"]
    run_id, columns = "f" * 32, "experiment_id, lifecycle_stage, status"
    writer.execute(
        f"INSERT INTO runs (run_uuid, {columns}) SELECT ?, {columns} FROM runs LIMIT 1", (run_id,)
    )
    for name in names:
        add_metric(writer, run_id, name, 1.0)
    for place in range(2500):
        writer.execute(
            f"INSERT INTO runs (run_uuid, {columns}) SELECT ?, {columns} FROM runs LIMIT 1",
            (f"{place:032x}",),
        )
    writer.commit()
    writer.close()
    runs = list(read(path))
    assert sorted(runs[-1].curves) == sorted(names)
    assert len({run.id for run in runs}) == len(runs) == 2503
    assert not runs[0].curves, "a run that logged nothing is a run without curves"


@pytest.mark.parametrize("table", ["", "CREATE TABLE metrics (a, b)", "CREATE TABLE runs (step)"])
def test_a_database_of_another_program(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
        connection.execute(table)
        connection.commit()
    with pytest.raises(UnknownFormatError, match="an SQLite database without runs of MLflow or"):
        list(read(path))


def test_databases_without_runs(tmp_path: Path) -> None:
    with contextlib.closing(mlflow_database(tmp_path / "mlflow.db")) as connection:
        connection.execute("DELETE FROM runs")
        connection.commit()
    shutil.copy(ARCHIVES / "trackio/project/demo.db", tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "demo.db")) as connection:
        connection.execute("DELETE FROM metrics")
        connection.commit()
    _, errors = runs_of(tmp_path)
    assert [error.found for error in errors] == [
        "a Trackio database without any run",
        "an MLflow database without any run",
    ]


def test_a_damaged_database(tmp_path: Path) -> None:
    content = (ARCHIVES / "mlflow_sqlite/client/mlflow.db").read_bytes()
    for damaged in (content[:5000], content[:100], content[:100] + bytes(len(content) - 100)):
        path = write(tmp_path / "mlflow.db", damaged)
        with pytest.raises(ReadError, match=r"a damaged or cut off SQLite database \(.*copy it ag"):
            list(read(path))


@pytest.mark.parametrize("case", ["mlflow_sqlite/client/mlflow.db", "trackio/project/demo.db"])
def test_no_bytes_of_a_database_make_another_error(tmp_path: Path, case: str) -> None:
    whole, rng = (ARCHIVES / case).read_bytes(), np.random.default_rng(0)
    for count in (1, 5, 50) * 20:
        content = np.frombuffer(whole, dtype=np.uint8).copy()
        places = rng.integers(16, len(content), count)
        content[places] = rng.integers(0, 256, count)
        runs_of(write(tmp_path / Path(case).name, content.tobytes()))


def test_trackio_runs_of_one_name_and_what_is_no_number(tmp_path: Path) -> None:
    shutil.copy(ARCHIVES / "trackio/project/demo.db", tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "demo.db")) as connection:
        for step, metrics in enumerate(
            ['{"loss": 2, "b": true, "n": null, "s": "NaN", "table": {"_type": "t", "x": 1}}', "[]"]
        ):
            connection.execute(
                "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) "
                "VALUES ('id3', '', 'calm sea', ?, ?)", (step, metrics),
            )  # fmt: skip
        connection.commit()
        runs = list(read(tmp_path / "demo.db"))
        assert [len(run.id.split("#")[1]) for run in runs] == [32, len("proud sun"), 3]
        assert list(runs[-1].curves) == ["loss", "s"]
        connection.execute("UPDATE metrics SET metrics = 'oops' WHERE run_id = 'id3'")
        connection.commit()
    _, errors = runs_of(tmp_path)
    assert errors[0].found.startswith("run 'id3', step 0: metrics that are no JSON (Expecting")


def test_a_database_on_another_file_system(tmp_path: Path) -> None:
    """A path that is no file of the disk is copied for the time of reading."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(ARCHIVES / "trackio/project/demo.db", "demo.db")
    member = zipfile.Path(path, "demo.db")
    with local.local_file(cast(Path, member)) as copy:
        assert copy.read_bytes() == (ARCHIVES / "trackio/project/demo.db").read_bytes()
    assert not copy.exists()
    with local.local_file(path) as same_path:
        assert same_path is path


# --- Parquet --------------------------------------------------------------------------------


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize(
    ("columns", "step", "value"),
    [
        ({"loss": [3.0, 2.0]}, [0, 1], [3, 2]),
        ({"step": [5, 6, 7], "loss": [3.0, None, math.nan]}, [5, 7], [3, math.nan]),
        (
            {"epoch": [1, 2], "loss": [3, 2], "name": ["a", "b"], "ok": [True, False]},
            [1, 2],
            [3, 2],
        ),
        ({"iter": [1, 2], "loss": pa.array([3, 2], pa.float16())}, [1, 2], [3, 2]),
        ({"loss": [decimal.Decimal("3.5"), None]}, [0], [3.5]),
        ({"loss": pa.array([2**63, 1], pa.uint64())}, [0, 1], [2.0**63, 1]),
        ({"loss": [[3.0, None, math.nan]]}, [0, 1, 2], [3, math.nan, math.nan]),
        ({"loss": [[3.0, 2.0]], "step": [[5, 6]], "seed": [1]}, [5, 6], [3, 2]),
        ({"loss": pa.array([[3, 2]], pa.list_(pa.int8(), 2))}, [0, 1], [3, 2]),
        ({"metric": ["loss", "lr", "loss"], "step": [5, 5, 6], "value": [3, 1, 2]}, [5, 6], [3, 2]),
        ({"train": pa.array([{"loss": 3.0}, None, {"loss": 2.0}])}, [0, 2], [3, 2]),
    ],
)
def test_parquet_of_all_kinds(
    tmp_path: Path, columns: dict[str, Any], step: list[float], value: list[float]
) -> None:
    loss = assign(one(parquet(tmp_path / "a.parquet", columns))).loss
    np.testing.assert_array_equal(loss.step, step)
    np.testing.assert_array_equal(loss.value, value)


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (
            {"note": ["a"]},
            r"a Parquet file without any column of numbers \(note\); columns of numb",
        ),
        ({"loss": pa.array([], pa.float64())}, "a Parquet file without rows"),
        ({"loss": pa.array([None], pa.float64())}, "a Parquet file without any column of numbers"),
        ({"run": ["a", "a"], "loss": [[1.0], [2.0]]}, "two rows hold the list 'loss' of run 'a'"),
        ({"a.loss": [1.0], "a": pa.array([{"loss": 1.0}])}, "two columns are called 'a.loss'"),
    ],
)
def test_parquet_that_is_no_log_is_refused(
    tmp_path: Path, columns: dict[str, Any], found: str
) -> None:
    with pytest.raises(ReadError, match=found):
        list(read(parquet(tmp_path / "a.parquet", columns)))


@pytest.mark.parametrize("case", ["long", "lists", "wandb_history"])
def test_a_damaged_parquet_file(tmp_path: Path, case: str) -> None:
    content = log(ARCHIVES / "parquet" / case).read_bytes()
    path = write(tmp_path / "a.parquet", content[:-1])
    with pytest.raises(ReadError, match=r"a damaged or cut off Parquet file \(.*; its columns are"):
        list(read(path))
    for place in range(4, len(content), 29):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        runs_of(write(path, bytes(damaged)))  # a ReadError or numbers, nothing else


def test_runs_of_a_parquet_file_stay_apart_in_any_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    run, step = np.repeat(np.arange(40), 50), np.tile(np.arange(50), 40)
    value = rng.normal(size=2000)
    order = rng.permutation(2000)
    order = order[np.argsort(step[order], kind="stable")]  # each run in its order, all mixed
    for place, rows in enumerate([np.arange(2000), order]):
        columns = {"run_id": run[rows], "step": step[rows], "loss": value[rows]}
        path = parquet(tmp_path / f"{place}.parquet", columns, row_group_size=333)
        runs = {run.id.split("#")[1]: run.curves["loss"] for run in read(path)}
        assert len(runs) == 40
        for name, curve in runs.items():
            assert curve.step.tolist() == list(range(50))
            np.testing.assert_array_equal(curve.value, value[run == int(name)])


def test_a_parquet_file_that_is_too_large_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers_parquet, "CELL_LIMIT", 1000)
    steps = list(range(600))
    found = "with more than 0 million cells that are not sorted by run; sort its rows by a column"
    for columns in (
        {"step": steps, "loss": steps},
        {"run": [0, 1] * 300, "loss": steps},
        {"tag": ["loss", "lr"], "step": [steps, steps], "value": [steps, steps]},
    ):
        with pytest.raises(ReadError, match=found):
            list(read(parquet(tmp_path / "a.parquet", columns)))
    sorted_runs = {"run": [0] * 300 + [1] * 300, "step": steps, "loss": steps, "note": ["x"] * 600}
    assert len(list(read(parquet(tmp_path / "a.parquet", sorted_runs)))) == 2


def test_a_parquet_file_is_read_run_by_run(tmp_path: Path) -> None:
    """Many long runs in one file take the memory of few: each is 8 MB here, 40 of them."""
    path = tmp_path / "a.parquet"
    schema = pa.schema([("run", pa.string()), ("loss", pa.list_(pa.float64()))])
    loss = pa.ListArray.from_arrays([0, 1_000_000], np.random.default_rng(0).random(1_000_000))
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for place in range(40):
            writer.write_table(pa.table({"run": [f"r{place}"], "loss": loss}, schema=schema))
    script = f"""
import resource
from curvet.readers import read
runs = read({str(path)!r})
print(len(next(runs).curves["loss"]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(1 for run in runs))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    points, others, grown = map(int, done.stdout.split())
    assert (points, others) == (1_000_000, 39)
    assert grown < 150 * 1024  # KiB


# --- text logs ------------------------------------------------------------------------------


def test_text_without_two_losses_is_no_log(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "To train, run it.\nstep 1: loss 2.0\nThen wait.\n")
    with pytest.raises(UnknownFormatError, match="text without lines of a training log; at least"):
        list(read(path))


def test_a_line_that_tempts_patterns_costs_little(tmp_path: Path) -> None:
    evil = ["epoch " * 4000 + "loss", "loss " + "a" * 9000, "loss {" * 3000, "loss 1" * 3000,
            "loss 1" + " " * 8000 + "(", "loss val " * 1500, "[0]\t" + "loss:1 " * 1500,
            "loss lr(" * 1500, "step " + "1/1 " * 2500 + "loss", "1%|" * 3000 + "loss",
            "0/0 0G " + "1 " * 4000, "Test: [ " * 1500 + "loss", "0: " + "step " * 2000 + "loss",
            "epoch 1 " + "[ " * 4000 + "loss", "loss: " + "1." * 4000, "loss'" * 3000]  # fmt: skip
    good = "step 1: loss 2.0\nstep 2: loss 1.0\n"
    start = time.process_time()
    runs_of(write(tmp_path / "a.log", good + "\n".join(evil * 5)))
    assert time.process_time() - start < 5


# --- bad input ------------------------------------------------------------------------------

UTF16 = "step,loss\n0,2.0\n1,1.0\n" * 20

BAD: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.csv", b"", "an empty file"),
    "binary": ("a.csv", bytes(range(256)) * 9, "binary data"),
    "picture": ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG picture"),
    "gzip": ("a.csv", gzip.compress(b"step,loss\n0,1\n"), "a gzip file; unpack it first"),
    "zip": ("a.zip", b"PK\x03\x04" + bytes(50), "a damaged zip file"),
    "pickle": ("a.pkl", b"\x80\x04\x95" + bytes(50), "which is not opened because it can run"),
    "utf16": ("a.csv", UTF16.encode("utf-16"), "text in UTF-16; save it as UTF-8"),
    "utf16 bare": ("a.csv", UTF16.encode("utf-16-le"), "text in UTF-16 without a mark"),
    "latin1": ("a.csv", "step,précision\n0,1\n".encode("latin-1"),
               "line 1 holds bytes that are no UTF-8 text (0xe9 at place 8)"),
    "source code": ("train.py", b"loss = 2\nstep = 1\n", "text that is no training log (a .py"),
    "no event file": ("events.out.tfevents.1.h", b"hello, world, this is text", "damaged at byte"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_with_what_was_found(tmp_path: Path, name: str) -> None:
    file, content, found = BAD[name]
    path = write(tmp_path / file, content)
    runs, errors = runs_of(path)
    assert not runs
    assert len(errors) == 1
    assert str(errors[0]).startswith(f"{path}: ")
    assert found in str(errors[0])
    assert ";" in str(errors[0]), "says what is accepted"
    with pytest.raises(ReadError):
        list(read(path))


@pytest.mark.parametrize("content", ["step,loss\n0,2.0\n", "step,loss\n0,nan\n1,nan\n"])
def test_short_and_empty_curves_are_still_read(tmp_path: Path, content: str) -> None:
    run = one(write(tmp_path / "a.csv", content))
    assert len(run.curves["loss"]) == content.count("\n") - 1


@pytest.mark.parametrize("path", ["nowhere", "not/nowhere"])
def test_a_path_that_is_not_there(path: str) -> None:
    with pytest.raises(ReadError, match="nowhere: no such file or folder; check the path"):
        list(read(path))


def test_a_folder_without_logs(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="a folder without any training log; curvet reads"):
        list(read(tmp_path))


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "step,loss\n0,2.0\n")
    (unit,) = find(tmp_path)
    assert isinstance(unit, Unit)
    path.unlink()
    with pytest.raises(ReadError, match="no such file or folder"):
        list(unit.read())


def test_no_permission(tmp_path: Path) -> None:
    write(tmp_path / "runs/a.csv", "step,loss\n0,2.0\n").chmod(0)
    write(tmp_path / "runs/b/c.csv", "step,loss\n0,2.0\n")
    (tmp_path / "runs/b").chmod(0)
    write(tmp_path / "runs/d.csv", "step,loss\n0,2.0\n")
    script = f"""
import os
from pathlib import Path
from curvet.readers import read
list(read(Path({str(tmp_path / "runs/d.csv")!r})))  # load what is loaded late
if os.getuid() == 0:
    os.setuid(65534)
for run in read(Path({str(tmp_path / "runs")!r}), on_error=print):
    print(run.id)
"""
    _open_to_all(tmp_path)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    (tmp_path / "runs/b").chmod(0o755)
    assert done.stderr == ""
    words = "no permission to read it; grant read access"
    assert done.stdout.splitlines() == [
        f"{tmp_path}/runs/a.csv: {words}",
        f"{tmp_path}/runs/b: {words}",
        "d.csv",
    ]


def _open_to_all(folder: Path) -> None:
    """Let another user pass through the folders that pytest makes for one user only."""
    for parent in [folder, *folder.parents]:
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o055)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.csv", "step,loss\n" + "0,2.0\n" * 20_000),
        ("a.jsonl", '{"step": 0, "loss": 2.0}\n' * 5_000),
        ("a.log", "step 0: loss 2.0\n" * 10_000),
    ],
)
def test_a_line_of_300_megabytes_is_refused_not_held(tmp_path: Path, name: str, head: str) -> None:
    path = write(tmp_path / name, head)
    with path.open("r+b") as file:
        file.truncate(300 * 2**20)  # sparse: takes no room
    script = f"""
import resource
from curvet.readers import read
from curvet.errors import ReadError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    list(read({str(path)!r}))
except ReadError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    message, grown = done.stdout.splitlines()
    assert "longer than" in message
    assert int(grown) < 100 * 1024  # KiB


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
@given(head=st.binary(max_size=300))
def test_recognising_a_format_never_fails(reader: Any, head: bytes) -> None:
    for name in ("a.csv", "a.txt", "a.json", "metrics.csv", "events.tfevents", "a", "a.log"):
        assert reader.matches(Path(name), head) in (True, False)


@given(content=st.text(max_size=200))
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.log", "a.txt"])
def test_any_text_is_read_or_refused(name: str, content: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs, errors = runs_of(write(Path(folder) / name, content.encode()))
    assert bool(runs) or len(errors) == 1


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
NAMES = st.sampled_from(["loss", "step", "epoch", "tag", "value", "run", "train", "1", "2", ""])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4)
)


@given(content=JSON)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "trainer_state.json"])
def test_any_json_is_read_or_refused(name: str, content: Any) -> None:
    content = {"log_history": content} if name.startswith("trainer") else content
    with tempfile.TemporaryDirectory() as folder:
        runs, errors = runs_of(write(Path(folder) / name, json.dumps(content)))
    assert bool(runs) or len(errors) == 1


@given(
    rows=st.lists(
        st.lists(
            st.sampled_from(["", "1", "2.5", "nan", "loss", "step", "run", "x", "#", '"', "tag"]),
            min_size=1,
            max_size=4,
        ),
        max_size=6,
    ),
    delimiter=st.sampled_from([",", ";", "\t", " "]),
)
@pytest.mark.parametrize("name", ["a.csv", "a.txt", "metrics.csv"])
def test_any_table_is_read_or_refused(name: str, rows: list[list[str]], delimiter: str) -> None:
    content = "\n".join(delimiter.join(row) for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        runs, errors = runs_of(write(Path(folder) / name, content))
    assert bool(runs) or len(errors) == 1


def test_numbers_as_loggers_write_them() -> None:
    for cell in ("1_0", "abc", "1.2.3", "tensor(x)"):
        with pytest.raises(ValueError, match=r"number|convert"):
            text.number(cell)


WRITTEN = st.one_of(
    st.floats().map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(
        ["", " 1.5 ", "nan", "-inf", "NA", "1_0", "adam", "1e400", "+.5", "\u0663", "5%"]
    ),
)


@given(
    st.lists(st.lists(WRITTEN, min_size=2, max_size=4), min_size=1, max_size=12),
    st.sampled_from(
        ["step,loss", "loss,step,val", "run,loss", "tag,value,step", "a;b", "x\ty", ""]
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_a_table_read_in_one_go_is_as_cell_by_cell(
    rows: list[list[str]], header: str, newline: str, whole: bool
) -> None:
    mark = next((m for m in ";\t" if m in header), ",")
    content = newline.join([header, *(mark.join(row) for row in rows)]) + newline * whole
    _both_ways(content)


@given(st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=12))
def test_numbers_alone_are_read_in_one_go(rows: list[list[float]]) -> None:
    content = "step,loss,val_loss\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows)
    assert _both_ways(content)


@pytest.mark.parametrize(
    "content",
    [
        "step,loss\n1,2\n2,1\nstep,loss\n1,3\n2,2\n",
        "step,loss\n1,2\n\n2,1\n",
        "step,loss\n1,2\n2,1.2",
        "step,loss\n1,2\n2\n",
        "step,loss\n1,2,3\n2,3,4\n",
        "step,loss,\n1,2,\n2,3,\n",
        "# comment\nstep,loss\n1,2\n2,3\n",
        '"step","loss"\n1,2\n2,3\n',
        "1,2\n2,3\n3,4\n",
        "\ufeffstep,loss\n1,2\n2,3\n",
        "\nstep,loss\n1,2\n2,3\n",
        "loss\n2\n1\n",
        ",loss\n0,2\n1,1\n",
        "epoch,step,loss\n0,1,2\n0,2,1\n1,1,0.5\n",
        "step,loss\r1,2\r2,3\r",
    ],
)
def test_traps_are_the_same_both_ways(content: str) -> None:
    _both_ways(content)


def _both_ways(content: str) -> bool:
    """Compare the three ways to read a table; tell whether the quick ones could."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = write(Path(folder) / "a.csv", content.encode())
        patch.setattr(curvet.readers.decimals, "_WORTH", 2**62)
        simple = runs_of(path)
        patch.setattr(curvet.readers.decimals, "_WORTH", -1)
        quick = curvet.readers.table._all_numbers(path) is not None
        found = runs_of(path)
        patch.setattr(curvet.readers.table, "_all_numbers", lambda path: None)
        expected = runs_of(path)
    for runs, errors in (found, simple):
        assert [str(error) for error in errors] == [str(error) for error in expected[1]]
        assert len(runs) == len(expected[0])
        assert all(same(a, b) for a, b in zip(runs, expected[0], strict=True))
    return quick


def test_scalars_of_many_kinds_in_one_file(tmp_path: Path) -> None:
    """Alike or not, hidden by a plug-in or not, each keeps its place."""

    def event(step: int, *values: bytes) -> bytes:
        summary = b"".join(_part(1, value) for value in values)
        count = b"\x10" + _varint(step % 2**64)
        return _frame(b"\x09" + struct.pack("<d", 5.0) + count + _part(5, summary))

    def scalar(tag: str, value: float) -> bytes:
        return _part(1, tag.encode()) + b"\x15" + struct.pack("<f", value)

    plugin = _part(9, _part(1, _part(1, b"text")))
    content = b"".join(
        [
            *(event(s, scalar("a", s), scalar("b", -s)) for s in (0, 1)),
            *(event(s, scalar("a", s)) for s in (2, 127, 128, 300, -1, 5, 5)),
            event(6, scalar("c", 1)),
            event(7, scalar("c", 2) + plugin),
            event(8, scalar("c", 3)),
            *(event(s, scalar("b", s)) for s in (9, 70_000)),
        ]
    )
    curves = one(write(tmp_path / "x.tfevents.1", content)).curves
    assert list(curves) == ["a", "b", "c"]
    assert curves["a"].step.tolist() == [0, 1, 2, 127, 128, 300, -1, 5, 5]
    assert curves["a"].value.tolist() == [0, 1, 2, 127, 128, 300, -1, 5, 5]
    assert curves["b"].step.tolist() == [0, 1, 9, 70_000]
    assert curves["b"].value.tolist() == [0, -1, 9, 70_000]
    assert curves["c"].step.tolist() == [6]
    assert curves["c"].value.tolist() == [1]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _part(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _frame(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + struct.pack("<I", tensorboard._checksum(length)) + content + bytes(4)


@given(st.data())
def test_records_that_repeat_are_found_as_one_by_one(data: st.DataObject) -> None:
    lengths: list[int] = []
    patterns = st.lists(st.sampled_from([0, 3, 40, 41, 300]), min_size=1, max_size=20)
    for pattern in data.draw(st.lists(patterns, max_size=4)):
        lengths += pattern * data.draw(st.sampled_from([1, 3, 40, 300]))
    content = b"".join(_frame(bytes(length)) for length in lengths)
    content = content[: data.draw(st.integers(len(content) - 50, len(content)))]
    begins, place = [], 0
    for length in lengths:
        if place + 16 + length <= len(content):
            begins.append(place + 12)
        place += 16 + length
    frames = curvet.readers.tensorboard._Frames.of(Path("a"), content)
    assert frames.damage is None
    assert frames.begins.tolist() == begins
    assert (frames.ends - frames.begins).tolist() == lengths[: len(begins)]
