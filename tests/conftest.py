from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from curvet.texts import use_language

if TYPE_CHECKING:
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
