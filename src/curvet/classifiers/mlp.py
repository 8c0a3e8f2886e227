"""A fully connected net on the feature table, each feature on the scale of its own ranks.

The numbers of `traits` are seen on a second scale, too: a spike may be a hundred times as high as
another one, and only some ranks above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..features import FEATURES
from ..standardise import OPTIONAL
from .base import Inputs, columns_of
from .nets import (
    DROP,
    Layers,
    NetTraining,
    Weights,
    load_nets,
    mean_probability,
    save_nets,
    without_norm,
)
from .ranks import fit_distances, fit_scores, to_scores

if TYPE_CHECKING:
    import torch

_MANY = 64  # runs for which it pays to copy weights
_TRAITS = np.flatnonzero([name.startswith("run__") for name in FEATURES])
_COLUMNS = np.append(np.arange(len(FEATURES)), _TRAITS)  # of the table, for each input of the nets
_TRAINING = NetTraining(epochs=20, lr=2e-3, members=3)


@dataclass(slots=True, eq=False)
class Mlp:
    """Two hidden layers on normal scores and distances; a missing feature is 0, the median.

    Parameters
    ----------
    hidden : int
        Units of each layer.
    dropout, input_dropout : float
        Of hidden units, of features: a third of these, since each training is seen in several logs
        and would else be learnt by heart.
    training : NetTraining
        Its settings.
    """

    name: str = "mlp"
    hidden: int = 256
    dropout: float = 0.3
    input_dropout: float = 0.35
    training: NetTraining = _TRAINING
    knots_: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    scores_: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    nets_: list[Weights] = field(default_factory=list)
    layers_: list[Layers] = field(default_factory=list)

    def fit(
        self,
        inputs: Inputs,
        y: NDArray[np.int64],
        weight: NDArray[np.float64],
        n_causes: int,
        seed: int,
        progress: Callable[[int, int], None],
    ) -> Self:
        """Train; channels are dropped at random anew in every batch."""
        import torch

        scales = fit_scores(inputs.table), fit_distances(inputs.table[:, _TRAITS])
        self.knots_, self.scores_ = (np.concatenate(parts) for parts in zip(*scales, strict=True))
        x = self._prepare(inputs.table, np.arange(len(_COLUMNS)), _has(inputs.table))
        keep = torch.ones(len(OPTIONAL), x.shape[1])
        for row, channel in enumerate(OPTIONAL):
            keep[row, _inputs_of(channel)] = 0.0
            keep[row, x.shape[1] - len(OPTIONAL) + row] = 0.0
        share = torch.tensor([DROP[channel] for channel in OPTIONAL])

        def dropped(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            gone = torch.rand(len(rows), len(OPTIONAL), generator=generator) < share
            return rows * torch.where(gone[:, :, None], keep, 1.0).prod(1)

        def make() -> torch.nn.Module:
            return self._make(x.shape[1], n_causes)

        self.nets_ = self.training.fit(make, x, dropped, y, weight, seed, progress)
        return self

    def _make(self, n_inputs: int, n_causes: int) -> torch.nn.Module:
        from torch import nn

        layers: list[nn.Module] = [nn.Dropout(self.input_dropout)]
        for width in (n_inputs, self.hidden):
            layers += [
                nn.Linear(width, self.hidden),
                nn.BatchNorm1d(self.hidden),
                nn.ReLU(),
                nn.Dropout(self.dropout),
            ]
        return nn.Sequential(*layers, nn.Linear(self.hidden, n_causes))

    def _prepare(
        self, table: NDArray[np.float32], places: NDArray[np.int64], has: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Table -> some inputs of the nets, and which optional channels are there."""
        knots, scores = self.knots_[places], self.scores_[places]
        x = to_scores(table, _COLUMNS[places], knots, scores, more=len(OPTIONAL))
        x[:, len(places) :] = has
        return x

    def _seen(self, table: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[Layers]]:
        """Prepare a table, and nets for it: what no run has logged is 0, so it is left out."""
        self.layers_ = self.layers_ or [_layers(net) for net in self.nets_]
        there, has = np.ones(len(_COLUMNS), bool), _has(table)
        if len(table) >= _MANY:
            for place, channel in enumerate(OPTIONAL):
                there[_inputs_of(channel)] = has[:, place].any()
        places = np.flatnonzero(there)
        x = self._prepare(table, places, has)
        if there.all():
            return x, self.layers_
        inputs = np.append(places, len(there) + np.arange(len(OPTIONAL)))
        return x, [[(first[inputs], bias), *rest] for (first, bias), *rest in self.layers_]

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return raw probabilities; see `base.Classifier.predict_proba`."""
        x, layers = self._seen(inputs.table)
        return mean_probability([_forward(one, x) for one in layers])

    def activations(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return what the last hidden layers say of runs, (run, units of all members).

        It is what the nets have learned to see in curves; who has few runs learns from it
        rather than from the features (Donahue et al., DeCAF, ICML 2014).
        """
        x, layers = self._seen(inputs.table)
        seen = [np.maximum(_forward(one[:-1], x), 0) for one in layers]
        return np.concatenate(seen, axis=1, dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write ``mlp.safetensors``."""
        more = {"knots": self.knots_, "scores": self.scores_}
        save_nets(folder / f"{self.name}.safetensors", self.nets_, more)

    def load(self, folder: Path) -> Self:
        """Read ``mlp.safetensors``."""
        path = folder / f"{self.name}.safetensors"
        self.nets_, (self.knots_, self.scores_) = load_nets(path, ("knots", "scores"))
        self.hidden = len(self.nets_[0]["1.weight"])
        return self


@cache
def _inputs_of(channel: str) -> NDArray[np.int64]:
    """Find the inputs of the nets that need an optional channel."""
    return np.flatnonzero(np.isin(_COLUMNS, columns_of(channel)))


def _has(table: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which runs have logged which optional channels, (run, channel)."""
    each = [np.isfinite(table[:, columns_of(channel)]).any(1) for channel in OPTIONAL]
    return np.stack(each, axis=1)


def _layers(weights: Weights) -> Layers:
    """Make matrices (input, output) of a trained net; see `Mlp._make` for its layers."""
    folded = [without_norm(weights, layer, layer + 1) for layer in (1, 5)]
    every = [*folded, (weights["9.weight"], weights["9.bias"])]
    return [(np.ascontiguousarray(weight.T), bias) for weight, bias in every]


def _forward(layers: Layers, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ask a net, (run, input) -> (run, cause)."""
    for number, (weight, bias) in enumerate(layers):
        x = (np.maximum(x, 0) if number else x) @ weight + bias
    return x
