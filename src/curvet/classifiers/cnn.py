"""A small 1D convolutional net on the standardised channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..standardise import IMAGE_CHANNELS, OPTIONAL
from .base import Inputs, rows_of
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

if TYPE_CHECKING:
    import torch

_TRAINING = NetTraining(epochs=24, lr=3e-3, members=1)
_BLOCK = 8  # runs whose layers stay in the cache


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
        self.layers_ = self.layers_ or [_layers(net) for net in self.nets_]
        parts = [inputs.image[i : i + _BLOCK] for i in range(0, len(inputs), _BLOCK)]
        return mean_probability(
            [np.concatenate([_forward(layers, x) for x in parts]) for layers in self.layers_]
        )

    def save(self, folder: Path) -> None:
        """Write ``cnn.safetensors``."""
        save_nets(folder / f"{self.name}.safetensors", self.nets_, {})

    def load(self, folder: Path) -> Self:
        """Read ``cnn.safetensors``."""
        self.nets_, _ = load_nets(folder / f"{self.name}.safetensors", ())
        return self


def _layers(weights: Weights) -> Layers:
    """Make matrices (tap * input, output) of a trained net; see `Cnn._make` for its layers."""
    layers: Layers = []
    layer = 0
    while f"{layer + 1}.running_mean" in weights:
        weight, bias = without_norm(weights, layer, layer + 1)  # weight (output, input, tap)
        layers.append((weight.transpose(2, 1, 0).reshape(-1, len(weight)), bias))
        layer += 3
    last = weights[f"{layer + 2}.weight"].T, weights[f"{layer + 2}.bias"]
    return [*layers, last]


def _forward(layers: Layers, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ask a net, (run, channel, step) -> (run, cause)."""
    x = image.transpose(0, 2, 1)  # (run, step, channel)
    for weight, bias in layers[:-1]:
        n, length, channels = x.shape
        size = len(weight) // channels
        half = size // 2
        padded = np.zeros((n, length + 2 * half, channels), np.float32)
        padded[:, half:-half] = x
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::2]
        seen = windows.transpose(0, 1, 3, 2).reshape(-1, len(weight))  # (run * step, tap * input)
        x = seen @ weight
        x += bias
        x = np.maximum(x, 0, out=x).reshape(n, -1, len(bias))
    pooled = np.concatenate([x.mean(1), x.max(1)], axis=1)
    return np.asarray(pooled @ layers[-1][0] + layers[-1][1])


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
