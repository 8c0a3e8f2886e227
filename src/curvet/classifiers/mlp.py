"""A fully connected net on the feature table, each feature on the scale of its own ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..standardise import OPTIONAL
from .base import Inputs, columns_of
from .cnn import DROP

if TYPE_CHECKING:
    import torch

_SHARES = np.linspace(0.005, 0.995, 64)


@dataclass(slots=True, eq=False)
class Mlp:
    """Two hidden layers on normal scores; a missing feature is 0, the median.

    Parameters
    ----------
    hidden : int
        Units of each layer.
    epochs, batch_size, lr, weight_decay, dropout, input_dropout, label_smoothing
        Settings of the training with AdamW and a one-cycle rate.
    members : int
        Nets of different seeds whose probabilities are averaged.
    """

    name: str = "mlp"
    hidden: int = 256
    epochs: int = 30
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    input_dropout: float = 0.1
    label_smoothing: float = 0.05
    members: int = 3
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
        total = self.epochs * self.members
        self.nets_ = []
        for member in range(self.members):

            def advance(epoch: int, before: int = member * self.epochs) -> None:
                progress(before + epoch, total)

            with torch.random.fork_rng():  # the caller's random state is not ours
                self.nets_.append(self._fit_one(x, y, weight, n_causes, seed + member, advance))
        return self

    def _fit_one(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.int64],
        weight: NDArray[np.float64],
        n_causes: int,
        seed: int,
        progress: Callable[[int], None],
    ) -> torch.nn.Module:
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed)
        net = self._make(x.shape[1], n_causes).to(device)
        table, target = torch.from_numpy(x), torch.from_numpy(y)
        importance = torch.from_numpy(weight.astype(np.float32))
        steps = self.epochs * (len(y) // self.batch_size + 1)
        optimiser = torch.optim.AdamW(net.parameters(), self.lr, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.lr, total_steps=steps + 1)
        loss_of = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=self.label_smoothing)
        generator = torch.Generator().manual_seed(seed)
        keep = torch.ones(len(OPTIONAL), x.shape[1])
        for row, channel in enumerate(OPTIONAL):
            keep[row, columns_of(channel)] = 0.0
            keep[row, x.shape[1] - len(OPTIONAL) + row] = 0.0
        share = torch.tensor([DROP[channel] for channel in OPTIONAL])
        for epoch in range(self.epochs):
            net.train()
            order = torch.randperm(len(y), generator=generator)
            for rows in torch.split(order, self.batch_size):
                if len(rows) < 2:
                    continue  # batch normalisation needs two
                gone = torch.rand(len(rows), len(OPTIONAL), generator=generator) < share
                seen = torch.where(gone[:, :, None], keep, 1.0).prod(1)
                batch = (table[rows] * seen).to(device)
                loss = loss_of(net(batch), target[rows].to(device)) * importance[rows].to(device)
                optimiser.zero_grad()
                loss.mean().backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                schedule.step()
            progress(epoch + 1)
        return net.eval().cpu()

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
        import torch

        x = torch.from_numpy(self._prepare(inputs.table))
        with torch.inference_mode():
            p = torch.stack([net(x).double().softmax(1) for net in self.nets_]).mean(0)
        return np.asarray(p.numpy())

    def save(self, folder: Path) -> None:
        """Write ``mlp.safetensors``."""
        import torch
        from safetensors.torch import save_file

        tensors = {
            f"{member}.{key}": value.contiguous()
            for member, net in enumerate(self.nets_)
            for key, value in net.state_dict().items()
        }
        tensors["knots"] = torch.from_numpy(self.knots_)
        tensors["scores"] = torch.from_numpy(self.scores_)
        save_file(tensors, folder / f"{self.name}.safetensors")

    def load(self, folder: Path) -> Self:
        """Read ``mlp.safetensors``."""
        from safetensors.torch import load_file

        tensors = load_file(folder / f"{self.name}.safetensors")
        self.knots_ = tensors.pop("knots").numpy()
        self.scores_ = tensors.pop("scores").numpy()
        self.nets_ = []
        for member in sorted({int(key.split(".")[0]) for key in tensors}):
            own = {
                key.split(".", 1)[1]: value
                for key, value in tensors.items()
                if key.startswith(f"{member}.")
            }
            matrices = [value for value in own.values() if value.ndim == 2]
            self.hidden = matrices[0].shape[0]
            net = self._make(matrices[0].shape[1], matrices[-1].shape[0])
            net.load_state_dict(own)
            self.nets_.append(net.eval())
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
