"""What all parts share: the order of the causes, types, and how progress is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curvet.causes import CAUSES
from curvet.classifiers import Inputs

ROOT = Path(__file__).parents[2]
KEYS = list(CAUSES)

Array = NDArray[np.float64]
Ask = Callable[[Inputs], Array]
"""Inputs of n runs -> probabilities or other scores, (n, cause), in the order of `KEYS`."""


def note(text: str) -> None:
    """Say on stderr what is going on."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
