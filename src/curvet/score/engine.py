"""Who does the work: this process, a pool of processes, or a cluster, through joblib."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import FrameType
from typing import Any

from ..errors import ScoreError

Call = Callable[..., Any]
Run = Callable[[Call, Sequence[tuple[Any, ...]]], Iterator[tuple[int, Any]]]
"""(function, arguments of each call) -> (number of the call, its result), in any order."""


Engine = Callable[[], AbstractContextManager[tuple[Run, int]]]
"""Makes ready whatever does the work; see `open_engine`."""
_STREAMED: Any = {"return_as": "generator_unordered", "pre_dispatch": "all", "batch_size": 1}


@contextmanager
def open_engine(engine: str | None, workers: int) -> Iterator[tuple[Run, int]]:
    """Make ready whatever does the work.

    Parameters
    ----------
    engine : str or None
        None for processes of this machine; "dask://HOST:PORT" for the scheduler of a Dask
        cluster; "joblib" for the backend that `joblib.parallel_config` has set, which may be
        that of Ray or Spark.
    workers : int
        Processes of this machine; with 1, this process does the work itself.

    Yields
    ------
    tuple of callable and int
        What runs calls, and how many it runs at once.

    Raises
    ------
    ScoreError
        An engine that is not known, not installed or not there.
    """
    import joblib

    with ExitStack() as stack:
        if engine is None:
            if workers == 1:
                yield _serial, 1
                return
            pool = joblib.Parallel(workers, backend="loky", **_STREAMED)
        elif engine == "joblib":
            pool = joblib.Parallel(pre_dispatch="all", batch_size=1)  # not all backends stream
        elif engine.startswith("dask://"):
            stack.enter_context(_dask(engine.removeprefix("dask://")))
            pool = joblib.Parallel(-1, **_STREAMED)
        else:
            raise ScoreError(
                f"--engine {engine!r} is not known; give dask://HOST:PORT, or leave it out to use "
                "the cores of this machine"
            )
        parallel = stack.enter_context(pool)

        def run(call: Call, arguments: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
            calls = (joblib.delayed(_numbered)(n, call, given) for n, given in enumerate(arguments))
            if pool.return_generator:
                with _deaf_to_interrupts():  # processes are started here
                    results = parallel(calls)
            else:
                results = parallel(calls)
            yield from results

        stack.enter_context(_quiet_interrupt())
        yield run, max(1, joblib.effective_n_jobs(pool.n_jobs) if engine else workers)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that never hear Ctrl-C.

    A terminal sends it to every process, but it is for the one that started the others. They take
    over what is ignored, so it is, for a moment.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _quiet_interrupt() -> Iterator[None]:
    """Keep joblib's threads from telling a user who interrupts what they lost by it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hush(number: int, frame: FrameType | None) -> None:
        warnings.simplefilter("ignore")
        threading.excepthook = lambda _: None
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, hush)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serial(call: Call, arguments: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
    for number, given in enumerate(arguments):
        yield _numbered(number, call, given)


def _numbered(number: int, call: Call, given: tuple[Any, ...]) -> tuple[int, Any]:
    return number, call(*given)


@contextmanager
def _dask(address: str) -> Iterator[None]:
    import joblib

    try:
        from distributed import Client
    except ImportError as error:
        raise ScoreError("--engine dask://... needs Dask; pip install 'curvet[dask]'") from error
    try:
        client: Any = Client(f"tcp://{address}", timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ScoreError(
            f"dask://{address}: no scheduler answers there ({error!s:.200}); start one with "
            "`dask scheduler` and name its host and port"
        ) from error
    with client, joblib.parallel_config("dask", client=client, wait_for_workers_timeout=60):
        yield
