"""W&B's server, through its client: wandb:entity/project, or wandb:entity/project/run.

- Every logged row is fetched, not a sample; the steps are W&B's own.
- A run that was resumed at a lower step has lost those rows: W&B's server drops them.
- On a terminal W&B itself asks for an API key where none is set.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ReadError
from ..run import Run
from .base import Server
from .habits import stored
from .series import Series
from .text import value
from .wandb import CLOCKS, nested

ACCEPTED = "wandb:entity/project, or wandb:entity/project/run"
PAGE = 100  # runs asked for at once
_PAGE_ROWS = 1000


def _runs(address: str) -> Iterator[tuple[str, str]]:
    entity, project, key = parts(address)
    with in_words(address):
        api = connect()
        runs = [api.run(address)] if key else api.runs(f"{entity}/{project}", per_page=PAGE)
        for run in runs:
            yield run.id, _fingerprint(run)


def _read(address: str, key: str) -> Iterator[Run]:
    entity, project, _ = parts(address)
    named = f"{entity}/{project}/{key}"
    series = Series()
    with in_words(named):
        run = connect().run(named)
        for row in run.scan_history(**_whole(run)):
            _add(series, row)
    yield Run("", f"wandb:{named}", series.curves())


def parts(address: str) -> tuple[str, str, str]:
    """Split an address into entity, project and run, "" for all of them."""
    parts = address.strip("/").split("/")
    if len(parts) not in (2, 3) or not all(parts):
        found = "no address of a project or a run"
        raise ReadError(f"wandb:{address}", found, f"accepted: {ACCEPTED}")
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""


def connect() -> Any:
    """Return W&B's client."""
    # Where the user has set nothing: reading tells nobody, and waits for no report to be sent.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb.Api()


def _whole(run: Any) -> dict[str, Any]:
    """Return what makes a scan give all rows, as they are now, in few pages.

    A page is a range of steps: where few of them were logged, it has to be wider.
    """
    rows = max(1, getattr(run, "historyLineCount", None) or 1)
    options: dict[str, Any] = {
        "page_size": max(_PAGE_ROWS, _PAGE_ROWS * (run.lastHistoryStep + 1) // rows)
    }
    if "use_cache" in inspect.signature(run.scan_history).parameters:
        options["use_cache"] = False
    return options


def _add(series: Series, row: dict[str, Any]) -> None:
    step = value(row.get("_step")) or 0.0
    for name, cell in row.items():
        if name in CLOCKS:
            continue
        if isinstance(cell, dict):
            for tag, number in nested(name, cell):
                series.add(tag, step, number)
        elif (number_ := value(cell)) is not None:
            series.add(name, step, number_)


def _fingerprint(run: Any) -> str:
    """Change with the state of a run, its last sign of life and its number of rows."""
    names = ("state", "heartbeatAt", "historyLineCount")
    state = repr([getattr(run, name, None) for name in names])
    return hashlib.sha256(state.encode()).hexdigest()[:32]


@contextmanager
def in_words(address: str) -> Iterator[None]:
    """Turn what the client raises into what the user can do about it."""
    named = f"wandb:{address}"
    try:
        yield
    except ModuleNotFoundError as error:
        found = f"needs the package {(error.name or 'wandb').split('.')[0]}"
        raise ReadError(named, found, "pip install 'curvet[wandb]'") from error
    except ReadError:
        raise
    except Exception as error:  # W&B's own, and those of the libraries that it calls
        message = " ".join(str(error).split())
        for pattern, found, remedy in _FINDINGS:
            if re.search(pattern, message, re.IGNORECASE):
                raise ReadError(named, f"{found} ({message:.200})", remedy) from error
        found = f"cannot be read ({type(error).__name__}: {message:.200})"
        raise ReadError(named, found, f"accepted: {ACCEPTED}") from error


_FINDINGS = (
    ("no api key|api_key not configured", "no API key", "run wandb login, or set WANDB_API_KEY"),
    (
        r"api key|permission|unauthor|forbidden|not logged in|\b40[13]\b",
        "no permission",
        "run wandb login with an account that may see the project",
    ),
    (
        r"could not find|not found|\b404\b",
        "no such project or run",
        "check entity and project: they are in the address of its page",
    ),
    (
        "verify credentials|did not respond|connect|timed? ?out|resolve|network|service process",
        "cannot be reached",
        "check the connection, and WANDB_BASE_URL for a server of your own",
    ),
)

SERVER = Server(
    name="wandb_server",
    scheme="wandb",
    accepts=f"runs on W&B's server ({ACCEPTED})",
    runs=_runs,
    read=_read,
    logging=stored("https://docs.wandb.ai/guides/track/log, scan_history gives every row"),
)
