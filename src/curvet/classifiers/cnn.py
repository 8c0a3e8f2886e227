"""A small 1D convolutional net on the standardised channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..standardise import IMAGE_CHANNELS, OPTIONAL
from .base import Inputs, rows_of
from .nets import DROP, NetTraining, load_nets, mean_probability, save_nets

if TYPE_CHECKING:
    import torch

_TRAINING = NetTraining(epochs=24, lr=3e-3, members=1)


@dataclass(slots=True, eq=False)
class Cnn:
    """Four strided convolutions, pooled by mean and by maximum, and a linear layer.

    Parameters
    ----------
    widths : tuple of int
        Filters of each layer.
    dropout : float
        Of what is pooled.
    training : NetTraining
        Its settings.
    """

    name: str = "cnn"
    widths: tuple[int, ...] = (48, 64, 96, 128)
    dropout: float = 0.3
    training: NetTraining = _TRAINING
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

        def make() -> torch.nn.Module:
            return self._make(n_causes)

        self.nets_ = self.training.fit(
            make, inputs.image, _drop_channels, y, weight, seed, progress
        )
        return self

    def _make(self, n_causes: int) -> torch.nn.Module:
        from torch import nn

        layers: list[nn.Module] = []
        n = len(IMAGE_CHANNELS)
        for i, width in enumerate(self.widths):
            size = 7 if i == 0 else 5
            layers += [
                nn.Conv1d(n, width, size, stride=2, padding=size // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            n = width
        return nn.Sequential(
            *layers, _pooling(), nn.Dropout(self.dropout), nn.Linear(2 * n, n_causes)
        )

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return raw probabilities; see `base.Classifier.predict_proba`."""
        parts = [inputs.image[i : i + 256] for i in range(0, len(inputs), 256)]
        return np.concatenate([mean_probability(self.nets_, part) for part in parts])

    def save(self, folder: Path) -> None:
        """Write ``cnn.safetensors``."""
        save_nets(folder / f"{self.name}.safetensors", self.nets_, {})

    def load(self, folder: Path) -> Self:
        """Read ``cnn.safetensors``."""

        def make(shapes: Sequence[tuple[int, ...]]) -> torch.nn.Module:
            return self._make(shapes[-1][0])

        self.nets_, _ = load_nets(folder / f"{self.name}.safetensors", make, ())
        return self


def _pooling() -> torch.nn.Module:
    import torch

    class MeanAndMaximum(torch.nn.Module):
        """Pool over steps: (run, filter, step) -> (run, 2 * filter)."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Put the mean and the maximum of each filter side by side."""
            return torch.cat([x.mean(2), x.amax(2)], dim=1)

    return MeanAndMaximum()


def _drop_channels(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Take optional channels away from some runs of a batch, (run, channel, step)."""
    import torch

    image = image.clone()
    for channel in OPTIONAL:
        gone = torch.rand(len(image), generator=generator) < DROP[channel]
        for row in rows_of(channel):
            image[gone, row] = 0.0
    return image
