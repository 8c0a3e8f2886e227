"""A small 1D convolutional net on the standardised channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..standardise import IMAGE_CHANNELS, OPTIONAL
from .base import Inputs, rows_of
from .nets import (
    DROP,
    NetTraining,
    Weights,
    load_nets,
    mean_probability,
    save_nets,
    without_norm,
)

if TYPE_CHECKING:
    import torch

_TRAINING = NetTraining(epochs=16, lr=3e-3, members=1)
_BLOCK = 16  # runs whose layers stay in the cache


@dataclass(slots=True, eq=False)
class Cnn:
    """Four strided convolutions, pooled by mean and by maximum, and a linear layer.

    The first is pooled by maximum in pairs of steps: that halves the work of all others, and a
    spike stays a spike.

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
    widths: tuple[int, ...] = (40, 56, 80, 112)
    dropout: float = 0.3
    training: NetTraining = _TRAINING
    nets_: list[Weights] = field(default_factory=list)
    layers_: list[_Layers] = field(default_factory=list)

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
                *([nn.MaxPool1d(2)] if i == 0 else []),
            ]
            n = width
        return nn.Sequential(
            *layers, _pooling(), nn.Dropout(self.dropout), nn.Linear(2 * n, n_causes)
        )

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return raw probabilities; see `base.Classifier.predict_proba`."""
        self.layers_ = self.layers_ or [_layers(net) for net in self.nets_]
        rows = _logged_rows(inputs.image)
        parts = [inputs.image[i : i + _BLOCK, rows] for i in range(0, len(inputs), _BLOCK)]
        nets = [
            ([first.only(rows), *rest], weight, bias)
            for (first, *rest), weight, bias in self.layers_
        ]
        return mean_probability([np.concatenate([_forward(net, x) for x in parts]) for net in nets])

    def save(self, folder: Path) -> None:
        """Write ``cnn.safetensors``."""
        save_nets(folder / f"{self.name}.safetensors", self.nets_, {})

    def load(self, folder: Path) -> Self:
        """Read ``cnn.safetensors``."""
        self.nets_, _ = load_nets(folder / f"{self.name}.safetensors", ())
        return self


@dataclass(frozen=True, slots=True, eq=False)
class _Convolution:
    """A layer, ready for the products that `compiled.convolution` tells of.

    Parameters
    ----------
    margin : int
        Steps of padding on either side.
    groups : array of shape (group, 2)
        Place of the first tap, and how many taps.
    first, both, cross, last : arrays of shape (input, filter)
        What is multiplied for P, Q, R and S.
    bias : array of shape (filter,)
        Of each filter.
    pooled : bool
        Whether the greater answer of each pair of steps is kept.
    """

    margin: int
    groups: NDArray[np.int64]
    first: NDArray[np.float32]
    both: NDArray[np.float32]
    cross: NDArray[np.float32]
    last: NDArray[np.float32]
    bias: NDArray[np.float32]
    pooled: bool

    @classmethod
    def of(cls, weight: NDArray[np.float32], bias: NDArray[np.float32], pooled: bool) -> Self:
        """Prepare a layer whose weights have the shape (filter, input, tap)."""
        taps = weight.transpose(2, 1, 0).astype(np.float64)  # (tap, input, filter)
        size = len(taps)
        groups: list[tuple[int, int]] = []
        for begin in (0, 1):
            while begin < size:
                left = (size - begin + 1) // 2  # every second tap from here on
                take = 3 if left == 3 or left > 4 else 2
                groups.append((begin, take))
                begin += 2 * take
        first, both, cross, last = [], [], [], []
        for begin, take in groups:
            mine = taps[begin : begin + 2 * take : 2]
            first.append(mine[0])
            last.append(mine[-1])
            both.append(mine.sum(0) / (take - 1))
            if take == 3:
                cross.append((mine[0] - mine[1] + mine[2]) / 2)
        parts = [np.concatenate(p).astype(np.float32) for p in (first, both, cross, last)]
        return cls(
            size // 2, np.array(groups), parts[0], parts[1], parts[2], parts[3], bias, pooled
        )

    def only(self, inputs: NDArray[np.int64]) -> Self:
        """Return the layer for some of its inputs, where all others are 0."""
        per_tap = len(self.first) // len(self.groups)
        if len(inputs) == per_tap:
            return self
        first, both, cross, last = (
            part.reshape(-1, per_tap, len(self.bias))[:, inputs].reshape(-1, len(self.bias))
            for part in (self.first, self.both, self.cross, self.last)
        )
        return replace(self, first=first, both=both, cross=cross, last=last)


_Layers = tuple[list[_Convolution], NDArray[np.float32], NDArray[np.float32]]
"""Convolutions, then weight (input, cause) and bias of the last layer."""


def _logged_rows(image: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find the rows of images that are not 0 because no run has logged the channel."""
    there = np.ones(image.shape[1], bool)
    for channel in OPTIONAL:
        there[rows_of(channel)] = image[:, IMAGE_CHANNELS.index(f"has_{channel}"), 0].any()
    return np.flatnonzero(there)


def _layers(weights: Weights) -> _Layers:
    """Prepare a trained net; see `Cnn._make` for its layers."""
    convolutions = []
    layer = 0
    while f"{layer + 1}.running_mean" in weights:
        # A norm and a ReLU follow, and perhaps a pooling, which older bundles lack.
        pooled = f"{layer + 5}.running_mean" in weights
        weight, bias = without_norm(weights, layer, layer + 1)
        convolutions.append(_Convolution.of(weight, bias, pooled))
        layer += 4 if pooled else 3
    return convolutions, weights[f"{layer + 2}.weight"].T, weights[f"{layer + 2}.bias"]


def _forward(layers: _Layers, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ask a net, (run, channel, step) -> (run, cause)."""
    from ..compiled.convolution import finish, prepare

    convolutions, weight, bias = layers
    margins = [convolution.margin for convolution in convolutions] + [0]
    x = _padded(len(image), image.shape[2], image.shape[1], margins[0])
    x[:, margins[0] : margins[0] + image.shape[2]] = image.transpose(0, 2, 1)
    for convolution, margin in zip(convolutions, margins[1:], strict=True):
        pairs = (x.shape[1] - 2 * convolution.margin) // 4
        parts = convolution.first, convolution.both, convolution.cross, convolution.last
        seen = [np.empty((len(x), pairs, len(part)), np.float32) for part in parts]
        prepare(x, convolution.groups, *seen)
        # One product for all runs, rather than one for each.
        p, q, r, s = (
            (a.reshape(-1, len(part)) @ part).reshape(len(x), pairs, -1)
            for a, part in zip(seen, parts, strict=True)
        )
        steps = pairs if convolution.pooled else 2 * pairs
        x = _padded(len(x), steps, len(convolution.bias), margin)
        finish(p, q, r, s, convolution.bias, margin, convolution.pooled, x)
    pooled = np.concatenate([x.mean(1), x.max(1)], axis=1)
    return np.asarray(pooled @ weight + bias)


def _padded(runs: int, steps: int, channels: int, margin: int) -> NDArray[np.float32]:
    """Make room for a layer, (run, step, channel), with zeros on either side."""
    out = np.empty((runs, steps + 2 * margin, channels), np.float32)
    out[:, :margin] = out[:, steps + margin :] = 0.0
    return out


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
