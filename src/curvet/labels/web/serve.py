"""Listen on this machine, and say where."""

from __future__ import annotations

import getpass
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import LabelError
from ...page.curves import find_known
from ...page.table import read_scores
from ..store import Store, open_store
from .app import make_app
from .guard import Guard
from .work import Order, Work

HOST = "127.0.0.1"
_PATIENCE = 3  # seconds that requests in progress have at the end


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A page that is ready to be served.

    Parameters
    ----------
    url : str
        Where it is, with the token.
    once : str
        An address that opens it one time.
    store : Store
        Where labels go.
    runs : int
        How many can be labelled.
    notes : tuple of str
        What went less well than it could have.
    server : uvicorn.Server
        Not yet running.
    listening : socket
        Its own.
    """

    url: str
    once: str
    store: Store
    runs: int
    notes: tuple[str, ...]
    server: Any
    listening: socket.socket

    def run(self) -> None:
        """Answer requests until interrupted."""
        try:
            self.server.run(sockets=[self.listening])
        finally:
            self.close()

    def close(self) -> None:
        """Give the port and the store back."""
        self.listening.close()
        self.store.close()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Answer requests in a thread, for the length of a block."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield self.url
        finally:
            self.server.should_exit = True
            thread.join()


def default_labels(table: Path) -> Path:
    """Return where labels go unless told otherwise: ``labels.db`` beside the table."""
    return table.with_name("labels.db")


def default_annotator() -> str:
    """Return the name under which one is logged in, or "" if there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def prepare(
    table: Path,
    labels: str | Path | None = None,
    *,
    annotator: str | None = None,
    port: int = 0,
    order: Order = "suggested",
    complain: Callable[[str], object] = lambda text: None,
) -> Page:
    """Read a table, open the labels and take a port.

    Parameters
    ----------
    table : Path
        As `curvet score` writes it.
    labels : str or Path, optional
        See `open_store`; `default_labels`, if it is left out.
    annotator : str, optional
        Who labels; each browser is asked once, and offered `default_annotator` if it is left out.
    port : int
        0: one that is free.
    order : str
        In which runs are offered.
    complain : callable (text)
        Told of what should not have gone wrong while the page is served.

    Raises
    ------
    LabelError
        The extra `label` is not installed, the port is taken, or labels cannot be written.
    ScoreError
        No table of scores.
    """
    try:
        import jinja2  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn
    except ModuleNotFoundError as error:
        raise LabelError(
            f"the labelling page needs the package {error.name}; pip install 'curvet[label]'"
        ) from error
    with ExitStack() as undo:
        listening = undo.enter_context(_listen(port))  # first: the rest may take seconds
        scores = read_scores(table)
        known, notes = find_known(table)
        store = undo.enter_context(
            closing(open_store(default_labels(table) if labels is None else labels))
        )
        store.check_writable()
        work = Work(scores, known, store, order)
        undo.pop_all()
    token, port = secrets.token_urlsafe(), listening.getsockname()[1]
    app = make_app(
        work,
        table.stem,
        annotator or default_annotator(),
        ask=annotator is not None,
        complain=complain,
    )
    guard = Guard(app, port, token)
    config = uvicorn.Config(
        guard,
        access_log=False,  # it would hold the token
        log_config=None,
        log_level="error",
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE,
    )
    address = f"http://{HOST}:{port}/?token="
    return Page(
        address + token,
        address + guard.ticket(),
        store,
        len(work.place_of),
        notes,
        uvicorn.Server(config),
        listening,
    )


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise LabelError(
            f"port {port} of this machine cannot be used ({error.strerror}); leave --port out to "
            "get one that is free"
        ) from error
    return listening
