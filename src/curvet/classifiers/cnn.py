"""A small 1D convolutional net on the standardised channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..standardise import IMAGE_CHANNELS, OPTIONAL
from .base import Inputs, rows_of

if TYPE_CHECKING:
    import torch


@dataclass(slots=True, eq=False)
class Cnn:
    """Four strided convolutions, pooled by mean and by maximum, and a linear layer.

    Parameters
    ----------
    widths : tuple of int
        Filters of each layer.
    epochs, batch_size, lr, weight_decay, dropout, label_smoothing
        Settings of the training with AdamW and a one-cycle rate.
    members : int
        Nets of different seeds whose probabilities are averaged.
    """

    name: str = "cnn"
    widths: tuple[int, ...] = (48, 64, 96, 128)
    epochs: int = 24
    batch_size: int = 128
    lr: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    label_smoothing: float = 0.05
    members: int = 1
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

        total = self.epochs * self.members
        self.nets_ = []
        for member in range(self.members):

            def advance(epoch: int, before: int = member * self.epochs) -> None:
                progress(before + epoch, total)

            with torch.random.fork_rng():  # the caller's random state is not ours
                self.nets_.append(
                    self._fit_one(inputs, y, weight, n_causes, seed + member, advance)
                )
        return self

    def _fit_one(
        self,
        inputs: Inputs,
        y: NDArray[np.int64],
        weight: NDArray[np.float64],
        n_causes: int,
        seed: int,
        progress: Callable[[int], None],
    ) -> torch.nn.Module:
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed)
        net = self._make(n_causes).to(device)
        image, target = torch.from_numpy(inputs.image), torch.from_numpy(y)
        importance = torch.from_numpy(weight.astype(np.float32))
        steps = self.epochs * (len(y) // self.batch_size + 1)
        optimiser = torch.optim.AdamW(net.parameters(), self.lr, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.lr, total_steps=steps + 1)
        loss_of = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=self.label_smoothing)
        generator = torch.Generator().manual_seed(seed)
        for epoch in range(self.epochs):
            net.train()
            order = torch.randperm(len(y), generator=generator)
            for rows in torch.split(order, self.batch_size):
                if len(rows) < 2:
                    continue  # batch normalisation needs two
                x = _drop_channels(image[rows], generator).to(device)
                loss = loss_of(net(x), target[rows].to(device)) * importance[rows].to(device)
                optimiser.zero_grad()
                loss.mean().backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                schedule.step()
            progress(epoch + 1)
        return net.eval().cpu()

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
        import torch

        parts = []
        with torch.inference_mode():
            for i in range(0, len(inputs), 256):
                x = torch.from_numpy(np.ascontiguousarray(inputs.image[i : i + 256]))
                p = torch.stack([net(x).double().softmax(1) for net in self.nets_]).mean(0)
                parts.append(p.numpy())
        return np.concatenate(parts)

    def save(self, folder: Path) -> None:
        """Write ``cnn.safetensors``."""
        from safetensors.torch import save_file

        tensors = {
            f"{member}.{key}": value.contiguous()
            for member, net in enumerate(self.nets_)
            for key, value in net.state_dict().items()
        }
        save_file(tensors, folder / f"{self.name}.safetensors")

    def load(self, folder: Path) -> Self:
        """Read ``cnn.safetensors``."""
        from safetensors.torch import load_file

        tensors = load_file(folder / f"{self.name}.safetensors")
        members = sorted({int(key.split(".")[0]) for key in tensors})
        self.nets_ = []
        for member in members:
            own = {
                key.split(".", 1)[1]: value
                for key, value in tensors.items()
                if key.startswith(f"{member}.")
            }
            net = self._make(next(v for v in own.values() if v.ndim == 2).shape[0])
            net.load_state_dict(own)
            self.nets_.append(net.eval())
        return self


def _pooling() -> torch.nn.Module:
    import torch

    class MeanAndMaximum(torch.nn.Module):
        """Pool over steps: (run, filter, step) -> (run, 2 * filter)."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Put the mean and the maximum of each filter side by side."""
            return torch.cat([x.mean(2), x.amax(2)], dim=1)

    return MeanAndMaximum()


DROP = {"val": 0.3, "grad_norm": 0.5, "lr": 0.5}
"""How often a channel is taken away in training: real logs often lack it."""


def _drop_channels(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Take optional channels away from some runs of a batch, (run, channel, step)."""
    import torch

    image = image.clone()
    for channel in OPTIONAL:
        gone = torch.rand(len(image), generator=generator) < DROP[channel]
        for row in rows_of(channel):
            image[gone, row] = 0.0
    return image
