"""Corpus -> labelled inputs, and splits that keep the runs of one round together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .causes import CAUSES
from .classifiers import Inputs
from .errors import CorpusError
from .predictor import make_inputs
from .roles import assign
from .simulate.corpus import Example, load_corpus, read_manifest
from .simulate.loggers import to_run
from .standardise import standardise

HEALTHY_SHARE = 0.25
"""Prior probability of a healthy run: more than any fault, but people ask about suspect runs."""

PRIOR = {
    key: HEALTHY_SHARE if key == "healthy" else (1 - HEALTHY_SHARE) / (len(CAUSES) - 1)
    for key in CAUSES
}
"""Prior probability of each cause, which training and calibration assume."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Runs with their causes.

    Parameters
    ----------
    inputs : Inputs
        Of n runs.
    y : array of shape (n,), int64
        Position in `causes.CAUSES`.
    group : array of shape (n,), str
        Round of the corpus: runs of one round stay on one side of every split.
    examples : sequence of Example
        Where they come from.
    """

    inputs: Inputs
    y: NDArray[np.int64]
    group: NDArray[np.str_]
    examples: Sequence[Example]

    def part(self, rows: NDArray[np.int64]) -> Labelled:
        """Return some of the runs."""
        return Labelled(
            self.inputs[rows], self.y[rows], self.group[rows], [self.examples[i] for i in rows]
        )

    @property
    def base(self) -> NDArray[np.str_]:
        """Base of each run, (n,): runs of one base share task, net and seed."""
        return np.array([example.base for example in self.examples])

    @property
    def weight(self) -> NDArray[np.float64]:
        """Weights under which the runs have the prior, (n,), mean 1."""
        counts = np.bincount(self.y, minlength=len(CAUSES))
        share = np.array([PRIOR[key] for key in CAUSES])
        weight = share[self.y] / counts[self.y]
        return np.asarray(weight / weight.mean())


def load_labelled(corpus: Path) -> Labelled:
    """Read a corpus into the form that the classifiers see."""
    examples = load_corpus(corpus)
    keys = list(CAUSES)
    runs = [standardise(assign(to_run(e.trace, e.base))) for e in examples]
    return Labelled(
        make_inputs(runs),
        np.array([keys.index(e.cause) for e in examples]),
        np.array([e.family for e in examples]),
        examples,
    )


def corpus_seed(corpus: Path) -> int:
    """Read from which seed a corpus was made."""
    return int(read_manifest(corpus)["seed"])


def split(labelled: Labelled, seed: int) -> tuple[Labelled, Labelled, Labelled]:
    """Split by rounds into runs to fit (80 %), to calibrate (10 %) and to score (10 %)."""
    groups = np.random.default_rng(seed).permutation(np.unique(labelled.group))
    if len(groups) < 10:
        raise CorpusError(
            f"a corpus of {len(groups)} rounds is too small to calibrate on unseen bases; "
            "simulate at least 1,000 runs"
        )
    ends = [round(0.8 * len(groups)), round(0.9 * len(groups))]
    parts = np.split(groups, ends)
    fit, calibrate, score = (
        labelled.part(np.flatnonzero(np.isin(labelled.group, part))) for part in parts
    )
    return fit, calibrate, score
