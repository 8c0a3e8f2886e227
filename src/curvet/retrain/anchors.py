"""Simulated runs beside which a team's are learned from, so that what they teach is not unlearned.

They ship with the package (`scripts/make_anchors.py` draws them): logs of the rounds on which the
shipped predictor was calibrated, and which its classifiers have not seen.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..classifiers import Inputs
from ..errors import CorpusError
from ..predictor import make_inputs
from ..roles import assign
from ..run import Curve, Run
from ..shipped import shipped
from ..standardise import standardise_many

NAME = "simulated.jsonl.xz"


def anchors_path() -> Path:
    """Find the simulated runs that ship with the package: in a checkout, or in the wheel."""
    return shipped(f"data/{NAME}")


def read_anchors(path: Path | None = None) -> tuple[Inputs, NDArray[np.str_]]:
    """Read the simulated runs.

    Parameters
    ----------
    path : Path, optional
        Those that ship, when left out.

    Returns
    -------
    Inputs
        Of n runs.
    array of shape (n,), str
        Keys of their causes.

    Raises
    ------
    CorpusError
        Not there, or damaged.
    """
    path = path or anchors_path()
    try:
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        runs = [
            Run(
                str(number),
                str(path),
                {t: Curve.of(t, c["value"], c["step"]) for t, c in record["curves"].items()},
                "simulated",
            )
            for number, record in enumerate(records)
        ]
        causes = np.array([record["cause"] for record in records])
    except (OSError, EOFError, lzma.LZMAError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(
            f"{path}: the simulated runs that ship cannot be read ({error!r:.120}); install "
            "curvet again"
        ) from error
    return make_inputs(standardise_many([assign(run) for run in runs])), causes
