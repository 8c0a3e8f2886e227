"""What the neural classifiers share: how they are trained, asked, saved and loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

DROP = {"val": 0.3, "grad_norm": 0.5, "lr": 0.5}
"""How often a channel is taken away in training: real logs often lack it."""


@dataclass(frozen=True, slots=True)
class NetTraining:
    """Settings of a training with AdamW and a one-cycle rate.

    Parameters
    ----------
    members : int
        Nets of different seeds whose probabilities are averaged.
    """

    epochs: int
    lr: float
    members: int
    batch_size: int = 128
    weight_decay: float = 0.02
    label_smoothing: float = 0.05

    def fit(
        self,
        make: Callable[[], torch.nn.Module],
        x: NDArray[np.float32],
        dropped: Callable[[torch.Tensor, torch.Generator], torch.Tensor],
        y: NDArray[np.int64],
        weight: NDArray[np.float64],
        seed: int,
        progress: Callable[[int, int], None],
    ) -> list[torch.nn.Module]:
        """Train all members.

        Parameters
        ----------
        make : callable () -> Module
            A new net.
        x : array of shape (run, ...)
            What the net sees.
        dropped : callable (rows of x, Generator) -> Tensor
            Takes channels away from a batch, anew each time.
        y, weight : arrays of shape (run,)
            Class, and how much a run counts.
        seed : int
            Of the first member.
        progress : callable (done, total)
            In epochs.
        """
        import torch

        nets = []
        for member in range(self.members):

            def advance(epoch: int, before: int = member * self.epochs) -> None:
                progress(before + epoch, self.epochs * self.members)

            with torch.random.fork_rng():  # the caller's random state is not ours
                nets.append(self._fit_one(make, x, dropped, y, weight, seed + member, advance))
        return nets

    def _fit_one(
        self,
        make: Callable[[], torch.nn.Module],
        x: NDArray[np.float32],
        dropped: Callable[[torch.Tensor, torch.Generator], torch.Tensor],
        y: NDArray[np.int64],
        weight: NDArray[np.float64],
        seed: int,
        progress: Callable[[int], None],
    ) -> torch.nn.Module:
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed)
        net = make().to(device)
        seen, target = torch.from_numpy(x), torch.from_numpy(y)
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
                batch = dropped(seen[rows], generator).to(device)
                loss = loss_of(net(batch), target[rows].to(device)) * importance[rows].to(device)
                optimiser.zero_grad()
                loss.mean().backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                schedule.step()
            progress(epoch + 1)
        return net.eval().cpu()


def mean_probability(
    nets: Sequence[torch.nn.Module], x: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Average the members' probabilities, (run, cause)."""
    import torch

    seen = torch.from_numpy(np.ascontiguousarray(x))
    with torch.inference_mode():
        p = torch.stack([net(seen).double().softmax(1) for net in nets]).mean(0)
    return np.asarray(p.numpy())


def save_nets(
    path: Path, nets: Sequence[torch.nn.Module], more: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write the weights of all members, and more arrays, as safetensors."""
    import torch
    from safetensors.torch import save_file

    tensors = {
        f"{member}.{key}": value.contiguous()
        for member, net in enumerate(nets)
        for key, value in net.state_dict().items()
    }
    save_file(tensors | {name: torch.from_numpy(value) for name, value in more.items()}, path)


def load_nets(
    path: Path, make: Callable[[Sequence[tuple[int, ...]]], torch.nn.Module], more: Sequence[str]
) -> tuple[list[torch.nn.Module], list[NDArray[np.float32]]]:
    """Read what `save_nets` wrote.

    Parameters
    ----------
    path : Path
        The file.
    make : callable (shapes of the matrices, first to last) -> Module
        A net of that size.
    more : sequence of str
        Names of the other arrays, which are returned in this order.
    """
    from safetensors.torch import load_file

    tensors = load_file(path)
    others = [tensors.pop(name).numpy() for name in more]
    nets = []
    for member in sorted({int(key.split(".")[0]) for key in tensors}):
        own = {
            key.split(".", 1)[1]: value
            for key, value in tensors.items()
            if key.startswith(f"{member}.")
        }
        net = make([tuple(value.shape) for value in own.values() if value.ndim == 2])
        net.load_state_dict(own)
        nets.append(net.eval())
    return nets, others
