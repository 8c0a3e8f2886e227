"""MLflow's tracking server, through its client: mlflow:URI#experiment.

- The URI is what MLflow itself takes: http(s)://, databricks, a database of the full package.
- Every point of every metric is fetched, sorted by time as the server gives them; NaN and
  infinity come as they are, also from a server that stores them as numbers.
- Where no steps were logged, MLflow stores 0: such points are counted.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ReadError
from ..run import Run
from .base import Server
from .habits import stored
from .mlflow_sqlite import unbounded
from .series import Series

ACCEPTED = "mlflow:http://host:5000#experiment"
PAGE = 500  # runs asked for at once
_SETTINGS = {  # where the user has set none
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # MLflow's own keep a mistyped address for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
    "MLFLOW_DISABLE_TELEMETRY": "true",  # reading tells nobody
}
_DENIED = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})


def _runs(address: str) -> Iterator[tuple[str, str]]:
    uri, name = parts(address)
    with in_words(address):
        client = connect(uri)
        experiments = experiments_of(client, address, name)
        # New runs come last, so that they do not shift the pages.
        for run in all_pages(client.search_runs, experiments, order_by=["start_time ASC"]):
            yield run.info.run_id, _fingerprint(run)


def _read(address: str, key: str) -> Iterator[Run]:
    uri, _ = parts(address)
    series = Series()
    with in_words(address):
        client = connect(uri)
        run = client.get_run(key)
        for tag in sorted(run.data.metrics):
            for point in client.get_metric_history(key, tag):
                series.add(tag, float(point.step), unbounded(point.value))
    source = f"mlflow:{_masked(uri)}#{run.info.experiment_id}/{key}"
    yield Run("", source, series.curves(zero_is_no_step=True))


def parts(address: str) -> tuple[str, str]:
    """Split an address into the server's URI and the experiment, "" for all of them."""
    uri, _, name = address.partition("#")
    if not re.match(r"[a-z+-]+:/|databricks", uri):
        found = "no address of a server" if not uri else "an address without http:// or https://"
        raise ReadError(f"mlflow:{_masked(address)}", found, f"accepted: {ACCEPTED}")
    return uri, name


def connect(uri: str) -> Any:
    """Return MLflow's client."""
    for variable, setting in _SETTINGS.items():
        os.environ.setdefault(variable, setting)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def all_pages(search: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[Any]:
    """Yield what a search of the client finds, page after page."""
    token = None
    while True:
        page = search(*arguments, max_results=PAGE, page_token=token, **options)
        yield from page
        token = page.token
        if not token:
            return


def experiments_of(client: Any, address: str, name: str) -> list[str]:
    """Return the id of the named experiment, or those of all where none is named."""
    found = [(each.name, each.experiment_id) for each in all_pages(client.search_experiments)]
    ids = [key for title, key in found if not name or name in (title, key)]
    if not ids:
        titles = ", ".join(title for title, _ in found[:20]) or "none"
        raise ReadError(
            f"mlflow:{_masked(address)}", f"no experiment {name!r}", f"there are: {titles}"
        )
    return ids


def _fingerprint(run: Any) -> str:
    """Change with the state of a run and with the last point of any of its metrics."""
    state = (run.info.status, run.info.end_time)
    last = sorted((m.key, m.timestamp, m.step, repr(m.value)) for m in run.data.to_proto().metrics)
    return hashlib.sha256(repr((state, last)).encode(errors="replace")).hexdigest()[:32]


def _masked(text: str) -> str:
    """Hide a password in an address.

    Examples
    --------
    >>> _masked("http://me:secret@host:5000#demo")
    'http://***@host:5000#demo'
    """
    return re.sub(r"//[^/@\s]*@", "//***@", text)


@contextmanager
def in_words(address: str) -> Iterator[None]:
    """Turn what the client raises into what the user can do about it."""
    named = f"mlflow:{_masked(address)}"
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "mlflow").split(".")[0]
        remedy = "pip install 'curvet[mlflow]'"
        if package != "mlflow":  # a database instead of a server
            remedy = "pip install mlflow, or name an SQLite file by its path"
        raise ReadError(named, f"needs the package {package}", remedy) from error
    except ReadError:
        raise
    except Exception as error:  # MLflow's own, and those of the libraries that it calls
        found, remedy = _finding(error)
        raise ReadError(named, found, remedy) from error


def _finding(error: Exception) -> tuple[str, str]:
    message = _masked(" ".join(str(error).split()))
    code = str(getattr(error, "error_code", ""))
    if code in _DENIED or re.search(r"error code 40[13]\b", message):
        return (
            f"no permission ({message:.200})",
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    if re.search(r"failed with (timeout )?exception", message):
        parts = re.findall(r"[^\[\]():'\"]{12,}", message)
        reason = parts[-1].strip() if parts else message
        return (
            f"cannot be reached ({reason:.200})",
            "check the address, and that the server runs",
        )
    if code == "RESOURCE_DOES_NOT_EXIST":
        return f"no such run or experiment ({message:.200})", "it may have been deleted meanwhile"
    return f"cannot be read ({type(error).__name__}: {message:.200})", f"accepted: {ACCEPTED}"


SERVER = Server(
    name="mlflow_server",
    scheme="mlflow",
    accepts=f"runs on an MLflow server ({ACCEPTED})",
    runs=_runs,
    read=_read,
    logging=stored("https://mlflow.org/docs/latest/ml/tracking, log_metric"),
)
