"""A fully connected net on the feature table, each feature on the scale of its own ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..standardise import OPTIONAL
from .base import Inputs, columns_of
from .nets import DROP, NetTraining, load_nets, mean_probability, save_nets

if TYPE_CHECKING:
    import torch

_TRAINING = NetTraining(epochs=30, lr=2e-3, members=3)
_SHARES = np.linspace(0.005, 0.995, 64)


@dataclass(slots=True, eq=False)
class Mlp:
    """Two hidden layers on normal scores; a missing feature is 0, the median.

    Parameters
    ----------
    hidden : int
        Units of each layer.
    dropout, input_dropout : float
        Of hidden units, of features.
    training : NetTraining
        Its settings.
    """

    name: str = "mlp"
    hidden: int = 256
    dropout: float = 0.3
    input_dropout: float = 0.1
    training: NetTraining = _TRAINING
    knots_: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    scores_: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    nets_: list[Any] = field(default_factory=list)

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

        self.knots_, self.scores_ = _fit_scores(inputs.table)
        x = self._prepare(inputs.table)
        keep = torch.ones(len(OPTIONAL), x.shape[1])
        for row, channel in enumerate(OPTIONAL):
            keep[row, columns_of(channel)] = 0.0
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

    def _prepare(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
        """Table -> normal scores, and which optional channels are there."""
        parts = [
            _to_scores(table[i : i + 256], self.knots_, self.scores_)
            for i in range(0, len(table), 256)
        ]
        there = [np.isfinite(table[:, columns_of(channel)]).any(1) for channel in OPTIONAL]
        return np.concatenate([np.concatenate(parts), np.stack(there, 1)], axis=1, dtype=np.float32)

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return raw probabilities; see `base.Classifier.predict_proba`."""
        return mean_probability(self.nets_, self._prepare(inputs.table))

    def save(self, folder: Path) -> None:
        """Write ``mlp.safetensors``."""
        more = {"knots": self.knots_, "scores": self.scores_}
        save_nets(folder / f"{self.name}.safetensors", self.nets_, more)

    def load(self, folder: Path) -> Self:
        """Read ``mlp.safetensors``."""

        def make(shapes: Sequence[tuple[int, ...]]) -> torch.nn.Module:
            self.hidden = shapes[0][0]
            return self._make(shapes[0][1], shapes[-1][0])

        path = folder / f"{self.name}.safetensors"
        self.nets_, (self.knots_, self.scores_) = load_nets(path, make, ("knots", "scores"))
        return self


def _fit_scores(table: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find values of each feature and their normal scores, both (feature, knot).

    Equal values share the mean of their ranks; rows are filled up with inf and the last score.
    """
    normal = NormalDist()
    knots = np.full((table.shape[1], len(_SHARES)), np.inf, np.float32)
    scores = np.zeros(knots.shape, np.float32)
    for column, values in enumerate(table.T):
        finite = values[np.isfinite(values)]
        if len(finite) < 50 or finite.min() == finite.max():
            continue  # stays 0
        quantiles = np.quantile(finite, _SHARES).astype(np.float32)
        value, which = np.unique(quantiles, return_inverse=True)
        rank = np.bincount(which, _SHARES) / np.bincount(which)
        score = np.array([normal.inv_cdf(r) for r in rank])
        if len(value) < 2:
            value, score = np.array([finite.min(), finite.max()]), np.array([-1.0, 1.0])
        knots[column, : len(value)] = value
        scores[column] = score[-1]
        scores[column, : len(value)] = score
    return knots, scores


def _to_scores(
    x: NDArray[np.float32], knots: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate between knots, (run, feature) -> (run, feature); NaN becomes 0."""
    passed = (x[:, :, None] >= knots).sum(2)
    below = np.clip(passed - 1, 0, knots.shape[1] - 1)
    above = np.minimum(below + 1, knots.shape[1] - 1)
    column = np.arange(x.shape[1])
    low, high = knots[column, below], knots[column, above]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(np.isfinite(high) & (high > low), (x - low) / (high - low), 0.0)
    share = np.clip(share, 0.0, 1.0)
    score = scores[column, below] + share * (scores[column, above] - scores[column, below])
    return np.where(np.isfinite(x), score, 0.0).astype(np.float32)
