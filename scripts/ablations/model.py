"""The feature classifier, trained on some runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curvet.classifiers import Inputs, Mlp, Tabular, predict_raw
from curvet.labelled import Labelled
from curvet.standardise import IMAGE_CHANNELS
from curvet.train import drop_channels

from .base import KEYS, Array


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The feature classifier trained on some runs, which may lack some causes."""

    trees: Tabular
    known: NDArray[np.int64]

    def __call__(self, inputs: Inputs) -> Array:
        """Return probabilities, (run, cause); 0 for causes that it has never seen."""
        p = np.zeros((len(inputs), len(KEYS)))
        p[:, self.known] = predict_raw([self.trees], inputs, [KEYS[k] for k in self.known])[0]
        return p


def fit(labelled: Labelled, seed: int) -> Model:
    """Train the feature classifier as `train.fit_classifiers` does."""
    known = np.unique(labelled.y)
    inputs = drop_channels(lean(labelled.inputs), np.random.default_rng(seed))
    y = np.searchsorted(known, labelled.y)
    trees = Tabular().fit(inputs, y, labelled.weight, len(known), seed, lambda done, total: None)
    return Model(trees, known)


def fit_net(
    inputs: Inputs, y: NDArray[np.int64], weight: Array, n_classes: int = len(KEYS), seed: int = 0
) -> Mlp:
    """Train one member of the shipped feature net, which takes a minute and not several."""
    net = Mlp(training=replace(Mlp().training, members=1))
    return net.fit(inputs, y, weight, n_classes, seed, lambda done, total: None)


def lean(inputs: Inputs) -> Inputs:
    """Leave the images out, which the feature classifier never looks at: most of the memory."""
    return Inputs(inputs.table, np.zeros((len(inputs), len(IMAGE_CHANNELS), 1), np.float32))
