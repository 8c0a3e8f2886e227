"""Tracking servers: a real one of MLflow, and what goes wrong with addresses and networks."""

from __future__ import annotations

import http.server
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curvet.errors import ReadError
from curvet.readers import READERS, SERVERS, mlflow_server, mlflow_sqlite, read, wandb_server
from curvet.readers.series import Series
from curvet.run import Curve

pytestmark = pytest.mark.filterwarnings("ignore")  # of the other packages
STEPS, LOSS = [0, 10, 20, 30, 40], [2.0, math.inf, 1.0, math.nan, -math.inf]


def test_registry_and_files_agree() -> None:
    folder = Path(mlflow_server.__file__).parent
    names = [server.name for server in SERVERS]
    assert sorted(names) == sorted(path.stem for path in folder.glob("*_server.py"))
    assert len({server.scheme for server in SERVERS}) == len(SERVERS)
    assert not {reader.name for reader in READERS} & set(names)


@pytest.fixture(scope="module")
def folder(mlflow_folder: Path) -> Path:
    return mlflow_folder


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> str:
    """A server of MLflow with one experiment of five runs, one deleted, and one without any."""
    uri = str(request.getfixturevalue("mlflow_server"))  # whose name is that of the reader here
    fill(uri)
    return uri


def fill(uri: str) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient(tracking_uri=uri)
    client.create_experiment("empty")
    experiment = client.create_experiment('my "experiment" 1/2')
    for place in range(6):
        run_id = client.create_run(experiment, run_name=f"run {place}").info.run_id
        points = [Metric("train/loss", v, 1000 + s, s) for s, v in zip(STEPS, LOSS, strict=True)]
        client.log_batch(run_id, [*points, Metric("val loss", place, 1000, 5)])
        for value in (3.0, 2.0):
            client.log_metric(run_id, "no_step", value)
        if place == 0:
            for start in range(0, 30_000, 1000):  # more than one page of the server
                many = [Metric("long", s, 1000 + s, s) for s in range(start, start + 1000)]
                client.log_batch(run_id, many)
        if place == 5:
            client.delete_run(run_id)
        elif place != 4:
            client.set_terminated(run_id)


def address(server: str) -> str:
    return f'{server}#my "experiment" 1/2'


def test_runs_of_a_server_come_page_by_page(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_server, "PAGE", 2)
    keys = [key for key, _ in mlflow_server.SERVER.runs(address(server))]
    assert len(set(keys)) == len(keys) == 5
    assert [key for key, _ in mlflow_server.SERVER.runs(server)] == keys, "of all experiments"
    for place, key in enumerate(keys):
        (run,) = mlflow_server.SERVER.read(address(server), key)
        assert run.id == ""
        assert run.source.startswith(f"mlflow:{server}#")
        assert run.source.endswith(f"/{key}")
        np.testing.assert_array_equal(run.curves["train/loss"].step, STEPS)
        np.testing.assert_array_equal(run.curves["train/loss"].value, LOSS)
        assert run.curves["val loss"].value.tolist() == [place]
        assert run.curves["no_step"].step.tolist() == [0, 1]
        assert ("long" in run.curves) == (place == 0)


def test_a_long_metric_comes_in_full(server: str) -> None:
    key, _ = next(mlflow_server.SERVER.runs(address(server)))
    (run,) = mlflow_server.SERVER.read(address(server), key)
    np.testing.assert_array_equal(run.curves["long"].step, np.arange(30_000))
    np.testing.assert_array_equal(run.curves["long"].value, np.arange(30_000))


def test_a_server_and_its_database_say_the_same(server: str, folder: Path) -> None:
    theirs = {run.id: run.curves for run in mlflow_sqlite.READER.read([folder / "mlflow.db"])}
    for key, _ in mlflow_server.SERVER.runs(address(server)):
        (run,) = mlflow_server.SERVER.read(address(server), key)
        assert run.curves.keys() == theirs[key].keys()
        for tag, curve in run.curves.items():
            np.testing.assert_array_equal(curve.value, theirs[key][tag].value)


def test_the_fingerprint_changes_with_the_log(server: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=server)
    before = list(mlflow_server.SERVER.runs(address(server)))
    assert list(mlflow_server.SERVER.runs(address(server))) == before
    key = before[4][0]
    client.log_metric(key, "val loss", 4.0, step=5)  # the same value and step once more
    time.sleep(0.01)
    after = list(mlflow_server.SERVER.runs(address(server)))
    assert [a == b for a, b in zip(before, after, strict=True)] == [True] * 4 + [False]


def test_an_experiment_that_is_not_there_or_empty(server: str) -> None:
    with pytest.raises(
        ReadError, match=r"no experiment 'nope'; there are: .*my \"experiment\" 1/2"
    ):
        list(mlflow_server.SERVER.runs(f"{server}#nope"))
    assert list(mlflow_server.SERVER.runs(f"{server}#empty")) == []
    with pytest.raises(ReadError, match=r"no such run or experiment .*deleted meanwhile"):
        list(mlflow_server.SERVER.read(address(server), "0" * 32))


class Refusing(http.server.BaseHTTPRequestHandler):
    """A server that wants a password, or is none of MLflow's."""

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        status = int(self.server.status)  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"<html>a page</html>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "found"),
    [(401, "no permission"), (403, "no permission"), (404, "cannot be read"), (200, "cannot be")],
)
def test_a_server_that_refuses(status: int, found: str) -> None:
    pytest.importorskip("mlflow")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        refusing.status = status  # type: ignore[attr-defined]
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        uri = f"http://me:secret@127.0.0.1:{refusing.server_port}"
        with pytest.raises(ReadError, match=found) as caught:
            list(mlflow_server.SERVER.runs(f"{uri}#demo"))
        refusing.shutdown()
    assert "secret" not in str(caught.value)
    if status < 404 and status > 400:
        assert "MLFLOW_TRACKING_TOKEN" in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "where", "found"),
    [
        ("mlflow", "", "no address of a server; accepted: mlflow:http"),
        ("mlflow", "localhost:5000#demo", "an address without http:// or https://; accepted"),
        ("wandb", "project", "no address of a project or a run; accepted: wandb:entity/project"),
        ("wandb", "a/b/c/d", "no address of a project or a run"),
        ("wandb", "a//c", "no address of a project or a run"),
    ],
)
def test_addresses_that_are_none(scheme: str, where: str, found: str) -> None:
    (server,) = (server for server in SERVERS if server.scheme == scheme)
    with pytest.raises(ReadError, match=f"^{scheme}:{where}: {found}"):
        list(server.runs(where))


def call(server: str, where: str, before: str = "", **env: str) -> str:
    """The error of a call in a process of its own, without what this one has set."""
    script = f"""
import sys
{before}
from curvet.errors import ReadError
from curvet.readers import {server}
try:
    list({server}.SERVER.runs({where!r}))
except ReadError as error:
    print(error)
"""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "MLFLOW"))}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**kept, **env},
        stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("scheme", "where"), [("mlflow", "http://localhost:1#demo"), ("wandb", "entity/project")]
)
def test_a_package_that_is_not_installed(scheme: str, where: str) -> None:
    error = call(f"{scheme}_server", where, f"sys.modules[{scheme!r}] = None")
    assert error == f"{scheme}:{where}: needs the package {scheme}; pip install 'curvet[{scheme}]'"


def test_an_mlflow_server_that_does_not_answer(closed_port: int) -> None:
    pytest.importorskip("mlflow")
    where = f"http://me:secret@127.0.0.1:{closed_port}#demo"
    error = call("mlflow_server", where, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert "secret" not in error
    assert error.endswith(
        "cannot be reached (Connection refused); check the address, and that the server runs"
    )


def test_wandb_without_a_key(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    error = call("wandb_server", "entity/project", HOME=str(tmp_path))
    assert "wandb:entity/project: no API key (" in error
    assert error.endswith("; run wandb login, or set WANDB_API_KEY")


@pytest.mark.slow  # its client gives up after seconds, now and then after two minutes
def test_wandb_without_a_network(tmp_path: Path, closed_port: int) -> None:
    pytest.importorskip("wandb")
    error = call(
        "wandb_server", "entity/project", HOME=str(tmp_path), WANDB_API_KEY="a" * 40,
        WANDB_HTTP_TIMEOUT="2", WANDB_BASE_URL=f"http://127.0.0.1:{closed_port}",
    )  # fmt: skip
    assert "wandb:entity/project: cannot be reached (" in error
    assert error.endswith("; check the connection, and WANDB_BASE_URL for a server of your own")
    assert "aaaa" not in error


def test_rows_as_wandb_gives_them() -> None:
    """Its client turns JSON into rows of this form; no server of W&B can be run here."""
    series = Series()
    for row in (
        {"_step": 5, "_runtime": 1.5, "_timestamp": 1.7e9, "loss": 2, "eval": {"loss": 3.5}},
        {"_step": 7, "loss": "NaN", "note": "text", "ok": True, "lr": None},
        {"_step": 9, "loss": "-Infinity", "h": {"_type": "histogram", "values": [1]}},
    ):
        wandb_server._add(series, row)
    curves: dict[str, Curve] = series.curves()
    assert list(curves) == ["loss", "eval.loss"]
    assert curves["loss"].step.tolist() == [5, 7, 9]
    np.testing.assert_array_equal(curves["loss"].value, [2, math.nan, -math.inf])


def test_a_server_is_scored_as_a_folder_is(server: str, tmp_path: Path) -> None:
    from curvet.score.job import Options, score

    out, one = tmp_path / "s.jsonl", Options(workers=1)
    where = f"mlflow:{address(server)}"
    assert score([where], out, one).rows == 5
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["run_id"] for row in rows] == [
        key for key, _ in mlflow_server.SERVER.runs(address(server))
    ]
    assert {(row["format"], row["status"]) for row in rows} == {("mlflow_server", "ok")}
    assert {run.id for run in read(where)} == {row["run_id"] for row in rows}
    assert score([where], out, one).known == 5

    from mlflow import MlflowClient

    MlflowClient(tracking_uri=server).log_metric(rows[4]["run_id"], "train/loss", 1.5, step=99)
    assert score([where], out, one).known == 4
    with pytest.raises(ReadError, match="nothing"):
        list(read(f"mlflow:{server}#nothing"))
