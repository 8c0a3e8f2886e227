"""Scoring archives: every test runs the real thing, in processes that are really killed."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pyarrow.parquet as pq
import pytest

from curvet.archive import diagnose_paths, under_own_prior
from curvet.bundle import default_path
from curvet.errors import ScoreError, SelectionError
from curvet.predictor import Predictor
from curvet.prior import estimate_prior
from curvet.score.engine import open_engine
from curvet.score.job import Options, run_tasks, score
from curvet.score.settle import prior_of
from curvet.score.work import Setting, Task, score_batch, write_place
from curvet.texts import language

ONE = Options(workers=1)
MANY = 1500


def write_log(path: Path, seed: int = 0, n: int = 60) -> Path:
    rng = np.random.default_rng(seed)
    losses = 2 * np.exp(-np.arange(n) / 20) + 0.1 + 0.02 * rng.random(n)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{step},{loss:.5f}" for step, loss in enumerate(losses)]
    path.write_text("\n".join(["step,loss", *lines, ""]))
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(5):
        write_log(tmp_path / f"runs/team{number % 2}/{number}/log.csv", number)
    (tmp_path / "runs/team0/empty.csv").touch()
    (tmp_path / "runs/team0/notes.md").write_text("# nothing\n")
    return tmp_path / "runs"


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "curvet", "score", *map(str, arguments)]


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# --- the table --------------------------------------------------------------------------------


def test_the_rows_are_those_of_diagnose(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    summary = score([archive], out, ONE)
    rows = {row["run_id"]: row for row in rows_of(out)}
    expected = [r for r in diagnose_paths([archive], Predictor.load()) if r.status != "skipped"]
    assert list(rows) == [row.run_id for row in expected]
    assert (summary.rows, summary.skipped, summary.known) == (6, 1, 0)
    for row in expected:
        found = rows[row.run_id]
        assert (found["status"], found["error"], found["format"]) == (
            row.status,
            row.error,
            row.format,
        )
        if row.diagnosis is not None:
            assert found["cause"] == row.diagnosis.cause
            assert tuple(found["likely"]) == row.diagnosis.likely
            for cause, chance in row.diagnosis.probabilities.items():
                assert found[f"p_{cause}"] == pytest.approx(chance, abs=1e-6)


def test_all_formats_say_the_same_to_all_readers(archive: Path, tmp_path: Path) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    paths = {end: tmp_path / f"scores.{end}" for end in ("parquet", "csv", "jsonl")}
    for path in paths.values():
        score([archive], path, ONE)
    frames = [
        pd.read_parquet(paths["parquet"]),
        pd.read_csv(paths["csv"]),
        pd.read_json(paths["jsonl"], lines=True),
        pl.read_parquet(paths["parquet"]).to_pandas(),
        pl.read_csv(paths["csv"]).to_pandas(),
        pl.read_ndjson(paths["jsonl"]).to_pandas(),
        *(duckdb.sql(f"SELECT * FROM '{path}'").df() for path in paths.values()),
    ]
    first = frames[0]
    assert first["schema_version"].eq(1).all()
    for frame in frames[1:]:
        assert sorted(frame.columns) == sorted(first.columns)
        assert frame["run_id"].tolist() == first["run_id"].tolist()
        np.testing.assert_allclose(
            frame["p_healthy"].astype(float), first["p_healthy"].astype(float), rtol=1e-6
        )


def test_parquet_says_what_its_columns_mean(archive: Path, tmp_path: Path) -> None:
    score([archive], tmp_path / "s.parquet", ONE)
    schema = pq.read_schema(tmp_path / "s.parquet")
    assert schema.metadata[b"curvet.schema_version"] == b"1"
    assert all(schema.field(name).metadata[b"meaning"] for name in schema.names)


@pytest.mark.parametrize("name", ["scores.xlsx", "scores"])
def test_an_unknown_ending_is_refused_before_any_work(archive: Path, name: str) -> None:
    with pytest.raises(ScoreError, match=r"names no format; accepted: \.csv, \.jsonl, \.parquet"):
        score([archive], archive.parent / name)


def test_nothing_to_score(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/notes.md").write_text("# nothing\n")
    with pytest.raises(ScoreError, match="runs: no training log"):
        score([tmp_path / "runs"], tmp_path / "s.csv", ONE)


def test_names_that_hurt(tmp_path: Path) -> None:
    names = ['a "quoted" name', "two\nlines", "emoji \U0001f600", "=1+1", "comma, and ; semicolon"]
    for number, name in enumerate(names):
        write_log(tmp_path / "runs" / name / "log.csv", number)
    write_log(tmp_path / "runs" / "bytes \udcff" / "log.csv")
    for end in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"s.{end}"
        score([tmp_path / "runs"], out, ONE)
        found = [row["run_id"].removesuffix("/log.csv").lstrip("'") for row in rows_of(out)]
        assert sorted(found) == sorted([*names, "bytes \ufffd"])


# --- again, and again -------------------------------------------------------------------------


def scored_in(out: Path) -> dict[str, int]:
    """The number of the call that scored each log."""
    with closing(sqlite3.connect(f"{out}.state")) as database:
        return dict(database.execute("SELECT name, changed FROM logs"))


def test_only_what_is_new_or_has_changed_is_scored(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    score([archive], out, ONE)
    before = out.stat().st_mtime_ns
    assert not score([archive], out, ONE).written
    assert out.stat().st_mtime_ns == before

    os.utime(archive / "team0/0/log.csv")  # another time, the same content
    write_log(archive / "team0/2/log.csv", seed=9)
    (archive / "team1/1/log.csv").unlink()
    write_log(archive / "team1/7/log.csv", seed=7)
    summary = score([archive], out, ONE)
    assert summary.written
    call = scored_in(out)
    assert {name: n for name, n in call.items() if n == 3}.keys() == {
        "team0/2/log.csv",
        "team1/7/log.csv",
    }
    fresh = tmp_path / "fresh.csv"
    score([archive], fresh, ONE)
    assert [row["run_id"] for row in rows_of(out)] == [row["run_id"] for row in rows_of(fresh)]
    for one, other in zip(rows_of(out), rows_of(fresh), strict=True):
        assert one["cause"] == other["cause"]


def test_another_predictor_scores_everything_anew(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    score([archive], out, ONE)
    shutil.copytree(default_path(), tmp_path / "own")
    assert score([archive], out, Options(workers=1, bundle=tmp_path / "own")).known == 0
    assert {row["bundle"].partition("-")[0] for row in rows_of(out) if row["bundle"]} == {"own"}


def test_another_language_scores_everything_anew(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curvet.score.job.BATCH_LOGS", 2)  # work for two processes
    out = tmp_path / "s.csv"
    score([archive], out, ONE)
    english = rows_of(out)
    two = Options(workers=2, lang="zh")
    assert score([archive], out, two).known == 0
    assert language() == "en"
    chinese = rows_of(out)
    assert [row["cause"] for row in chinese] == [row["cause"] for row in english]
    for ours, theirs in zip(english, chinese, strict=True):
        assert ours["evidence"].isascii()
        assert "\u635f\u5931" in theirs["evidence"] or not ours["evidence"]
    assert score([archive], out, two).known == 6


def test_another_prior_or_coverage_is_written_without_reading_a_log(
    archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s.jsonl"
    score([archive], out, ONE)
    usual, calls = out.read_bytes(), scored_in(out)
    for prior, coverage in (("healthy=0.95", 0.9), ("default", 0.5), ("archive", 0.8)):
        summary = score([archive], out, Options(workers=1, prior=prior, coverage=coverage))
        assert summary.written
        assert scored_in(out) == calls
        predictor = Predictor.load(prior=prior, coverage=coverage)
        expected = list(diagnose_paths([archive], predictor))
        if prior == "archive":
            expected = under_own_prior(expected, predictor)
        answers = {row.run_id: row.diagnosis for row in expected if row.diagnosis}
        assert len(answers) == 5
        for row in rows_of(out):
            if (answer := answers.get(row["run_id"])) is None:
                continue
            assert (row["cause"], row["reason"]) == (answer.cause, answer.reason)
            assert tuple(row["likely"]) == answer.likely
            assert (row["prior"], row["coverage"]) == (prior, coverage)
            for cause, chance in answer.probabilities.items():
                assert row[f"p_{cause}"] == pytest.approx(chance, abs=1e-6)
        verdicts = Counter(answer.cause or "" for answer in answers.values())
        assert Counter(dict(summary.causes)) == verdicts
        assert not score([archive], out, Options(workers=1, prior=prior, coverage=coverage)).written
    score([archive], out, ONE)
    assert out.read_bytes() == usual


@pytest.mark.parametrize("asked", [1, 3, 7, 100])
def test_the_prior_of_a_large_archive_rests_on_an_even_share(
    asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curvet.score.settle.ASKED", asked)
    predictor = Predictor.load()
    causes = predictor.bundle.causes
    p = np.random.default_rng(0).dirichlet(np.ones(len(causes)), 20)
    records = [{f"p_{key}": value for key, value in zip(causes, row, strict=True)} for row in p]
    parts = [records[:5], records[5:6], records[6:13], [], records[13:]]
    every = max(1, 20 // asked)
    expected = estimate_prior(p[::every], predictor.trained_prior)
    np.testing.assert_allclose(prior_of(parts, predictor, 20), expected)


def test_a_table_that_was_deleted_is_written_again(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    score([archive], out, ONE)
    content = out.read_bytes()
    out.unlink()
    assert score([archive], out, ONE).known == 6
    assert out.read_bytes() == content


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(MANY):
        write_log(folder / f"{number:04d}.csv", number, n=30)
    return folder


@pytest.fixture(scope="module")
def whole(many: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What an uninterrupted call writes."""
    out = tmp_path_factory.mktemp("whole") / "s.csv"
    score([many], out, ONE)
    return out.read_bytes()


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start scoring in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        command(*arguments), start_new_session=True, stderr=subprocess.PIPE, text=True
    )


def wait_until_done(process: subprocess.Popen[str], least: int) -> None:
    """Read what a process tells of its progress until it has done some."""
    assert process.stderr is not None
    for line in process.stderr:
        if (told := re.match(r"(\d+) of \d+ logs", line)) and int(told[1]) >= least:
            return
    raise AssertionError("it ended before")


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_started_again_it_writes_the_same(
    many: Path, whole: bytes, tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "s.csv"
    for least in (1, 600):
        process = start(many, "--out", out, "--workers", str(workers))
        wait_until_done(process, least)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not out.exists()
    with closing(sqlite3.connect(f"{out}.state")) as database:
        (before,) = database.execute("SELECT count(*) FROM logs WHERE done").fetchone()
    assert 600 <= before < MANY
    assert score([many], out, ONE).known == before
    assert out.read_bytes() == whole
    assert not list(tmp_path.glob(".*unfinished"))


def test_ctrl_c_loses_nothing(many: Path, whole: bytes, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    process = start(many, "--out", out, "--workers", "2")
    wait_until_done(process, 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on where this one stopped" in told
    assert "Traceback" not in told
    score([many], out, ONE)
    assert out.read_bytes() == whole


def test_two_at_a_time_are_told_apart(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    line = command(archive, "--out", out, "--watch", "60", "--workers", "1")
    first = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(out.exists)
        # It holds the file while it works, not while it sleeps.
        assert score([archive], out, ONE).known == 6
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)
    from curvet.score.state import State

    state = State(out.with_name("s.csv.state"), "a bundle")
    with pytest.raises(ScoreError, match="in use by another `curvet score`"):
        score([archive], out, ONE)
    state.close()


def test_watch_keeps_up(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    line = command(archive, "--out", out, "--watch", "0.2", "--workers", "1")
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: out.exists() and len(rows_of(out)) == 6)
        write_log(archive / "team2/8/log.csv", 8)
        wait_for(lambda: len(rows_of(out)) == 7)
        with (archive / "team0/0/log.csv").open("a") as file:
            file.writelines(f"{step},9.5\n" for step in range(60, 80))
        wait_for(
            lambda: {r["run_id"]: r for r in rows_of(out)}["team0/0/log.csv"]["n_points"] == 80
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


# --- what goes wrong --------------------------------------------------------------------------


def test_a_full_disk_is_told_and_nothing_is_lost(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"

    def bounded(size: int) -> str:
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # noqa: E731
        line = command(many, "--out", out, "--workers", "1")
        done = subprocess.run(line, preexec_fn=limit, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert not out.exists()
        return done.stderr

    assert "s.jsonl.state: cannot be written" in bounded(600_000)
    score([many], out, ONE)
    content = out.read_bytes()
    assert content.count(b"\n") == MANY
    out.unlink()
    # The state is written to before the table is, but less than that is long.
    assert "s.jsonl: cannot be written" in bounded(len(content) * 2 // 3)
    score([many], out, ONE)
    assert out.read_bytes() == content


def test_a_damaged_state_file_is_told(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "s.csv.state").write_bytes(b"no database at all" * 100)
    with pytest.raises(ScoreError, match=r"damaged state file .* delete it"):
        score([archive], tmp_path / "s.csv", ONE)


def test_an_output_that_cannot_be_written(archive: Path) -> None:
    with pytest.raises(ScoreError, match=r"/proc/none/s\.csv: its folder cannot be made"):
        score([archive], "/proc/none/s.csv", ONE)


# Its workers need not be able to import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def dies_on_one(task: Task, setting: Setting) -> Any:
    if any("deadly" in name for _, name, _, _ in task):
        os.kill(os.getpid(), signal.SIGKILL)
    return score_batch(task, setting)


def test_a_log_that_ends_its_process_is_one_error_row(tmp_path: Path) -> None:
    from curvet.readers import Unit, find

    for number in range(6):
        write_log(tmp_path / f"{number}{'deadly' if number == 2 else ''}.csv", number)
    units = [unit for unit in find(tmp_path) if isinstance(unit, Unit)]
    tasks: list[Task] = [
        [(i, unit.name, write_place(unit), "") for i, unit in enumerate(units)][part : part + 3]
        for part in (0, 3)
    ]
    setting = Setting(Predictor.load().bundle.name, None, "en")
    results = [
        one
        for result in run_tasks(partial(open_engine, None, 2), tasks, setting, dies_on_one)
        for one in result
    ]
    rows = {records[0]["run_id"]: records[0] for _, _, records in results if records}
    assert len(rows) == 6
    assert [name for name, row in rows.items() if row["status"] == "error"] == ["2deadly.csv"]
    assert "ended from outside" in rows["2deadly.csv"]["error"]


def test_a_killed_worker_process_costs_nothing(many: Path, whole: bytes, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    process = start(many, "--out", out, "--workers", "2")
    wait_until_done(process, 1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [
        pid
        for pid in children
        if b"loky" in Path(f"/proc/{pid}/cmdline").read_bytes()
        and b"tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(int(workers[0]), signal.SIGKILL)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert [row["status"] for row in rows_of(out)] == ["ok"] * MANY
    assert [r["cause"] for r in rows_of(out)] == [
        r["cause"] for r in csv.DictReader(whole.decode().splitlines())
    ]


def test_a_log_that_grows_while_it_is_read(tmp_path: Path) -> None:
    out, path = tmp_path / "s.jsonl", tmp_path / "runs/a.csv"
    write_log(path)
    done = threading.Event()

    def grow() -> None:
        with path.open("a", buffering=1) as file:
            for step in range(60, 100_000):
                file.write(f"{step},")  # half a row may be read
                file.write("0.5\n")
                if done.is_set():
                    return

    writer = threading.Thread(target=grow)
    writer.start()
    seen = []
    try:
        for _ in range(5):
            score([tmp_path / "runs"], out, ONE)
            (row,) = rows_of(out)
            assert (row["status"], row["error"]) == ("ok", "")
            seen.append(row["n_points"])
    finally:
        done.set()
        writer.join()
    assert seen == sorted(seen)
    score([tmp_path / "runs"], out, ONE)
    (row,) = rows_of(out)
    assert row["n_points"] == len(path.read_text().splitlines()) - 1


def test_ten_runs_in_one_file_and_one_run_in_two(tmp_path: Path) -> None:
    lines = [f"{run},{s},{2 - s / 50 + run / 9}" for run in range(10) for s in range(30)]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/ten.csv").write_text("\n".join(["run,step,loss", *lines, ""]))
    events = Path(__file__).parent / "archives/tensorboard/torch_resumed/run"
    shutil.copytree(events, tmp_path / "runs/one")
    assert len(list(events.iterdir())) > 1
    out = tmp_path / "s.jsonl"
    score([tmp_path / "runs"], out, ONE)
    assert [row["run_id"] for row in rows_of(out)] == ["one", *(f"ten.csv#{n}" for n in range(10))]
    assert {row["status"] for row in rows_of(out)} == {"ok"}


def test_a_log_that_vanishes_is_an_error_row(tmp_path: Path) -> None:
    from curvet.readers import Unit, find

    path = write_log(tmp_path / "a.csv")
    (unit,) = find(tmp_path)
    assert isinstance(unit, Unit)
    path.unlink()
    setting = Setting(Predictor.load().bundle.name, None, "en")
    ((_, digest, records),) = score_batch([(1, unit.name, write_place(unit), "")], setting)
    assert digest == ""
    assert records is not None
    assert [row["status"] for row in records] == ["error"]
    assert "no such file" in records[0]["error"]


def test_strict_and_error_rows(archive: Path, tmp_path: Path) -> None:
    line = command(archive, "--out", tmp_path / "s.csv", "--workers", "1")
    assert subprocess.run(line, capture_output=True, check=False).returncode == 0
    done = subprocess.run([*line, "--strict"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "1 could not be diagnosed, and --strict was given" in done.stderr
    assert "1 damaged or unreadable" in done.stderr


# --- a choice of logs -------------------------------------------------------------------------


def chosen(archive: Path, out: Path, options: Options) -> list[str]:
    score([archive], out, options)
    return [row["run_id"] for row in rows_of(out)]


def test_where_since_and_limit(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    old = archive / "team1/1/log.csv"
    os.utime(old, (1e9, 1e9))
    team1 = ["team1/1/log.csv", "team1/3/log.csv"]
    where = "run_id LIKE 'team1/%' AND format = 'table' AND bytes > 100"
    assert chosen(archive, out, Options(workers=1, where=where)) == team1
    young = chosen(archive, out, Options(workers=1, since="1h"))
    assert "team1/1/log.csv" not in young
    assert len(young) == 5
    where = "modified BETWEEN '2001' AND '2002'"
    assert chosen(archive, out, Options(workers=1, where=where)) == team1[:1]
    assert len(chosen(archive, out, Options(workers=1, limit=2))) == 2
    assert len(chosen(archive, out, ONE)) == 6
    with pytest.raises(ScoreError, match="that --where, --since and --limit let through"):
        chosen(archive, out, Options(workers=1, where="bytes > 1e9"))


@pytest.mark.parametrize(
    "where", ["nonsense", "1; DROP TABLE logs", "load_extension('x')", "(SELECT 1 FROM logs)", "'"]
)
def test_a_condition_that_is_none(archive: Path, where: str) -> None:
    with pytest.raises(SelectionError, match="give SQL over run_id, source, format, bytes"):
        score([archive], archive.parent / "s.csv", Options(workers=1, where=where))


def test_a_date_that_is_none(archive: Path) -> None:
    with pytest.raises(SelectionError, match="give 2026-01-31"):
        score([archive], archive.parent / "s.csv", Options(workers=1, since="yesterday"))


# --- beyond one machine -----------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[int, list[subprocess.Popen[bytes]]]]:
    port = free_port()
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    program = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    scheduler = subprocess.Popen([*program, "--host", "127.0.0.1", "--port", str(port)], **quiet)
    start: Sequence[str] = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-dashboard"]
    workers = [
        subprocess.Popen(
            [*start, f"tcp://127.0.0.1:{port}", "--nthreads", "1", "--no-nanny"], **quiet
        )
        for _ in range(2)
    ]
    yield port, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_loses_no_run(
    many: Path, whole: bytes, tmp_path: Path, cluster: tuple[int, list[subprocess.Popen[bytes]]]
) -> None:
    port, workers = cluster
    out = tmp_path / "s.csv"
    process = start(many, "--out", out, "--engine", f"dask://127.0.0.1:{port}")
    wait_until_done(process, 1)
    workers[0].kill()
    _, told = process.communicate(timeout=180)
    assert process.returncode == 0, told
    assert out.read_bytes() == whole


def test_a_cluster_that_is_not_there(archive: Path, tmp_path: Path) -> None:
    engine = f"dask://127.0.0.1:{free_port()}"
    with pytest.raises(ScoreError, match="no scheduler answers there"):
        score([archive], tmp_path / "s.csv", Options(engine=engine))


def test_an_engine_that_is_not_known(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="is not known; give dask://HOST:PORT"):
        score([archive], tmp_path / "s.csv", Options(engine="slurm"))


def test_any_backend_of_joblib_does_the_work(many: Path, whole: bytes, tmp_path: Path) -> None:
    import joblib

    out = tmp_path / "s.csv"
    with joblib.parallel_config("threading", n_jobs=2):
        score([many], out, Options(engine="joblib"))
    assert out.read_bytes() == whole


def test_the_state_is_small(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    score([many], out, ONE)
    with closing(sqlite3.connect(f"{out}.state")) as database:
        blobs = [blob for (blob,) in database.execute("SELECT record FROM rows")]
    assert json.loads(zlib.decompress(blobs[0]))["run_id"] == "0000.csv"
    assert np.mean([len(blob) for blob in blobs]) < 1500
