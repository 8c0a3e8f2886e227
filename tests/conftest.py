from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from curvet.predictor import Predictor

# The cores are shared by the test processes: one thread each. Read when torch is loaded.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it for its own output

hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("steady")


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
