"""How long until something happens: imports, one run from a shell, one run in a warm process."""

from __future__ import annotations

from pathlib import Path

from curvet import predict_cause
from curvet.readers import read

from .clock import cpu, process


def measure(log: Path) -> dict[str, float]:
    """CPU seconds of new processes, and of a call that has been made before."""
    (run,) = read(log)
    predict_cause(run)
    return {
        "warm predict_cause": cpu(lambda: predict_cause(run), 30)[0],
        "cold curvet diagnose": process(["-m", "curvet", "diagnose", str(log)]),
        "import tsfresh": process(["-c", "import tsfresh"], 3),
        "import curvet": process(["-c", "import curvet"]),
        "import numpy": process(["-c", "import numpy"]),
    }
