from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from curvet.texts import use_language

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from curvet.predictor import Predictor

# The cores are shared by the test processes: one thread each. Read when torch is loaded.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it for its own output
os.environ.pop("CURVET_LANG", None)  # of whoever runs the tests
os.environ.pop("CURVET_BUNDLE", None)

hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Leave no test in the language that another one has chosen."""
    yield
    use_language(None)


@pytest.fixture(autouse=True, scope="module")
def no_team() -> None:
    """Begin without the words for causes that the bundles of other tests have taught."""
    from curvet import causes

    causes._TEAM.clear()


@pytest.fixture(scope="session")
def root() -> Path:
    """Root of the repository."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def demo(root: Path) -> Path:
    """Real runs that ship."""
    return root / "data" / "demo"


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    """The shipped predictor."""
    from curvet.predictor import Predictor

    return Predictor.load()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the Chromium that .ci/run installs."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail(
            "the pages are tested in Chromium, which is not installed: `apt-get install "
            "chromium`, as .ci/run does"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def free_port() -> int:
    with contextlib.closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True)
class Postgres:
    """A server of PostgreSQL on loopback, in a folder of its own.

    Its files belong to the user postgres where the tests run as root, whom initdb refuses.
    """

    folder: Path
    programs: Path
    port: int
    password: str = "se/cret"

    def call(self, name: str, *arguments: str) -> None:
        command = [str(self.programs / name), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=300, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}"

    def make(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
        self.call("initdb", "-D", "data", "-U", "team", "-A", "scram-sha-256", "-E", "UTF8",
                  "--locale=C", "--no-sync", "--pwfile=password")  # fmt: skip

    def start(self) -> None:
        # Nothing here has to survive a power cut.
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self.call("pg_ctl", "-D", "data", "-w", "-t", "120", "-o", options, "-l", "log", "start")

    def stop(self) -> None:
        self.call("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def url(self, database: str = "postgres") -> str:
        password = self.password.replace("/", "%2F")
        return f"postgresql://team:{password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database and return its URL."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of PostgreSQL; each test process has its own."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    programs = found[-1] if found else shutil.which("initdb")
    if not programs:
        pytest.fail(
            "labels are tested in PostgreSQL, which is not installed: `apt-get install postgresql`,"
            " as .ci/run does"
        )
    # Not below pytest's own folder, which nobody but its user may enter.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder), Path(programs).parent, free_port())
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of `mlflow_server` keeps its files."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def mlflow_server(mlflow_folder: Path) -> Iterator[str]:
    """A server of MLflow without any run."""
    pytest.importorskip("mlflow.server")
    folder, port = mlflow_folder, free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri",
               f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts",
               "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true",
                 "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
    try:
        uri = f"http://127.0.0.1:{port}"
        for _ in range(600):  # a busy machine takes minutes
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{uri}/health") as answer:
                if answer.status == 200:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.5)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nothing listens, kept so that nothing can begin to."""
    with contextlib.closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])
