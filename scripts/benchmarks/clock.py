"""How long something takes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


def cpu(work: Callable[[], T], repeats: int = 1) -> tuple[float, T]:
    """Return the least CPU seconds of some repeats, and the last result."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        result = work()
        best = min(best, time.process_time() - begin)
    return best, result


def wall(work: Callable[[], T]) -> tuple[float, T]:
    """Return wall seconds, and the result."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def process(words: Sequence[str], repeats: int = 5) -> float:
    """Return the least CPU seconds of a new Python process with these arguments."""
    path = os.pathsep.join([str(Path(__file__).parents[2] / "src"), *sys.path[1:]])
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": path}
    best = float("inf")
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, spent)
    return best
