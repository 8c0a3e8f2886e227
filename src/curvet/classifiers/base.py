"""What a classifier sees and what it must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..causes import CAUSES
from ..features import FEATURES, channel_of
from ..standardise import IMAGE_CHANNELS, OPTIONAL


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Many runs, ready for any classifier.

    Parameters
    ----------
    table : array of shape (run, feature), float32
        In the order of `features.FEATURES`.
    image : array of shape (run, channel, step), float32
        In the order of `standardise.IMAGE_CHANNELS`.
    """

    table: NDArray[np.float32]
    image: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Inputs:
        return Inputs(self.table[rows], self.image[rows])


@cache
def columns_of(channel: str) -> NDArray[np.int64]:
    """Find the columns of the table that need an optional channel."""
    return np.flatnonzero([channel_of(name) == channel for name in FEATURES])


def rows_of(channel: str) -> NDArray[np.int64]:
    """Find the rows of the image that need an optional channel."""
    needed = (*OPTIONAL[channel], f"has_{channel}")
    return np.flatnonzero([name in needed for name in IMAGE_CHANNELS])


def without(inputs: Inputs, channel: str, which: NDArray[np.bool_]) -> Inputs:
    """Return a copy in which some runs have not logged an optional channel.

    Parameters
    ----------
    inputs : Inputs
        Left unchanged.
    channel : str
        "val", "grad_norm" or "lr".
    which : array of shape (run,), bool
        The runs that lose it.
    """
    table, image = inputs.table.copy(), inputs.image.copy()
    table[np.ix_(which, columns_of(channel))] = np.nan
    image[np.ix_(which, rows_of(channel))] = 0.0
    return Inputs(table, image)


def predict_raw(
    classifiers: Sequence[Classifier], inputs: Inputs, causes: Sequence[str]
) -> list[NDArray[np.float64]]:
    """Ask every classifier, and rule out what a run's end rules out by definition.

    Parameters
    ----------
    classifiers : sequence of Classifier
        Trained.
    inputs : Inputs
        Of n runs.
    causes : sequence of str
        Keys in the order of the probabilities; one that is not in `causes.CAUSES` is never
        ruled out.

    Returns
    -------
    list of arrays of shape (n, cause)
        One for each classifier; rows sum to 1. A cause that does not make a loss diverge has no
        probability in a run that ends as NaN or inf.
    """
    diverged = inputs.table[:, FEATURES.index("run__ends_nonfinite")] > 0
    calm = np.array([key in CAUSES and not CAUSES[key].may_diverge for key in causes])
    out = []
    for classifier in classifiers:
        p = np.where(diverged[:, None] & calm, 0.0, classifier.predict_proba(inputs))
        out.append(p / p.sum(1, keepdims=True))
    return out


class Classifier(Protocol):
    """A model that turns runs into raw probabilities.

    A run's answer must not depend on its neighbours, and `load(save(...))` must give the same.
    """

    name: str

    def fit(
        self,
        inputs: Inputs,
        y: NDArray[np.int64],
        weight: NDArray[np.float64],
        n_causes: int,
        seed: int,
        progress: Callable[[int, int], None],
    ) -> Self:
        """Train on runs (run,) of class `y`, each counted `weight` times."""
        ...

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return raw probabilities, shape (run, cause); rows sum to 1."""
        ...

    def save(self, folder: Path) -> None:
        """Write files named after the classifier; data only."""
        ...

    def load(self, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...
