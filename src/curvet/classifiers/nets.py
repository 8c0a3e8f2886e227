"""What the neural classifiers share: how they are trained, asked, saved and loaded.

They are trained by torch. To ask them takes a few products of matrices, which numpy does as fast
without the second that it takes to import torch; a test holds the two to the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

EPSILON = 1e-5  # torch's own, of a batch normalisation

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
    ) -> list[Weights]:
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
                net = self._fit_one(make, x, dropped, y, weight, seed + member, advance)
            nets.append(weights_of(net))
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


Weights = Mapping[str, NDArray[np.float32]]


def weights_of(net: torch.nn.Module) -> Weights:
    """Return parameters and buffers by the names that torch gives them."""
    return {name: value.numpy() for name, value in net.state_dict().items()}


def without_norm(weights: Weights, layer: int, norm: int) -> tuple[NDArray[np.float32], ...]:
    """Fold a trained batch normalisation into the layer before it.

    Returns
    -------
    weight, bias
        Of one layer that does what both did; the weight as it was, first axis the outputs.
    """
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
    weight = weights[f"{layer}.weight"]
    bias = weights.get(f"{layer}.bias", np.float32(0)) - weights[f"{norm}.running_mean"]
    return (
        weight * scale.reshape(-1, *[1] * (weight.ndim - 1)),
        bias * scale + weights[f"{norm}.bias"],
    )


Layers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Weight and bias of each layer, ready to multiply with."""


def mean_probability(scores: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Average the members' probabilities; scores and result have shape (run, cause)."""
    every = np.stack(scores).astype(np.float64)
    p = np.exp(every - every.max(2, keepdims=True))
    return np.asarray((p / p.sum(2, keepdims=True)).mean(0))


def save_nets(path: Path, nets: Sequence[Weights], more: Weights) -> None:
    """Write the weights of all members, and more arrays, as safetensors."""
    from safetensors.numpy import save

    every = {f"{m}.{key}": value for m, net in enumerate(nets) for key, value in net.items()}
    # save_file would keep the file from all others, and a home of bundles is read by a team.
    path.write_bytes(save({k: np.ascontiguousarray(v) for k, v in (every | dict(more)).items()}))


def load_nets(path: Path, more: Sequence[str]) -> tuple[list[Weights], list[NDArray[np.float32]]]:
    """Read what `save_nets` wrote.

    Parameters
    ----------
    path : Path
        The file.
    more : sequence of str
        Names of the other arrays, which are returned in this order.
    """
    from safetensors.numpy import load_file

    tensors = load_file(path)
    others = [tensors.pop(name) for name in more]
    nets: dict[int, dict[str, NDArray[np.float32]]] = {}
    for name, value in tensors.items():
        member, _, key = name.partition(".")
        nets.setdefault(int(member), {})[key] = value
    return [nets[member] for member in sorted(nets)], others
