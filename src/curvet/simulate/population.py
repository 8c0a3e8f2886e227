"""Trains many small nets side by side: recipes in, one trace each out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..recipe import Recipe, Task, Trace
from .batches import make_batches
from .nets import list_maps, make_nets
from .optimisers import Optimiser, column, lr_schedule
from .tasks import Dataset, is_classification, make_dataset

N_VALIDATIONS = 60
"""Times that the validation loss is measured during a run, at most."""


def train_population(
    recipes: Sequence[Recipe], device: str = "cpu", group_size: int | None = None
) -> list[Trace]:
    """Train every recipe, those of one family together.

    Parameters
    ----------
    recipes : sequence of Recipe
        Any mixture of families.
    device : str
        A torch device.
    group_size : int
        Nets trained together at most; by default what fits the processor's cache, or a GPU.

    Returns
    -------
    list of Trace
        In the order of the recipes. A net's trace does not depend on its neighbours, but for
        the width of the widest (initial weights are drawn for that), the rounding of batched
        matrix products, and the draws of dropout. The same recipes give the same traces.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, recipe in enumerate(recipes):
        groups.setdefault(recipe.family, []).append(index)
    traces: dict[int, Trace] = {}
    datasets: dict[Task, Dataset] = {}
    for members in groups.values():
        size = group_size or _group_size([recipes[index] for index in members], device)
        for begin in range(0, len(members), size):
            some = members[begin : begin + size]
            for index in some:
                task = recipes[index].task
                if task not in datasets:
                    datasets[task] = make_dataset(task)
            with _denormals_flushed():
                made = _train_family([recipes[i] for i in some], datasets, torch.device(device))
            traces.update(zip(some, made, strict=True))
    return [traces[index] for index in range(len(recipes))]


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Count numbers below 1e-38 as 0: weights that vanish would slow the processor down."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)  # a mode of the processor, not of torch alone


def _group_size(recipes: Sequence[Recipe], device: str) -> int:
    width = max(recipe.width for recipe in recipes)
    parameters = sum((m.n_in + 1) * m.n_out for m in list_maps(recipes[0], width))
    budget = 600_000 if device == "cpu" else 2_000_000_000
    return int(np.clip(budget // max(1, parameters), 16, 64 if device == "cpu" else 4096))


@dataclass(frozen=True, slots=True, eq=False)
class _Objective:
    """What the nets minimise and what is logged of it.

    Parameters
    ----------
    smoothing : Tensor of shape (net,) or None
        Label smoothing; None where no net has any.
    penalty : Tensor of shape (net,)
        Half the weight decay where the logged loss includes it, else 0.
    penalised : bool
        Whether any net has a penalty.
    """

    smoothing: Tensor | None
    penalty: Tensor
    penalised: bool

    def with_penalty(self, loss: Tensor, weights: Tensor) -> Tensor:
        """Add the weight penalty to losses (net,) that are logged with it."""
        return loss + self.penalty * weights.square().sum(1) if self.penalised else loss


def _make_objective(recipes: Sequence[Recipe], device: torch.device) -> _Objective:
    smooths = is_classification(recipes[0].task) and any(r.label_smoothing for r in recipes)
    smoothing = torch.tensor([r.label_smoothing for r in recipes], device=device)
    penalty = [r.weight_decay * r.penalty_in_loss / 2 for r in recipes]
    return _Objective(
        smoothing if smooths else None, torch.tensor(penalty, device=device), any(penalty)
    )


def _losses(outputs: Tensor, targets: Tensor, smoothing: Tensor | None) -> Tensor:
    """Mean loss of each net, (net,): cross-entropy for classes, squared error for numbers."""
    if targets.dtype != torch.int64:
        return (outputs - targets).square().mean((1, 2))
    log_p = functional.log_softmax(outputs, dim=-1)
    hit = -log_p.gather(2, targets.unsqueeze(-1)).squeeze(-1).mean(1)
    if smoothing is None:
        return hit
    return (1 - smoothing) * hit - smoothing * log_p.mean((1, 2))


def _train_family(
    recipes: Sequence[Recipe], datasets: dict[Task, Dataset], device: torch.device
) -> list[Trace]:
    """Train nets of one family; the heart of the simulator."""
    n_steps, n_nets = recipes[0].n_steps, len(recipes)
    nets, batches = make_nets(recipes, device), make_batches(recipes, datasets, device)
    objective, weights = _make_objective(recipes, device), nets.weights.requires_grad_()
    optimiser = Optimiser(recipes, weights)
    generator = torch.Generator(device=device).manual_seed(recipes[0].seed % 2**63)
    rates = np.stack([lr_schedule(recipe) for recipe in recipes], axis=1)  # (step, net)
    lr = torch.from_numpy(rates.astype(np.float32)).to(device).unsqueeze(2)
    clip = column([r.clip for r in recipes], device)
    clips = any(np.isfinite(r.clip) for r in recipes)
    val_at = np.unique(np.linspace(0, n_steps - 1, min(n_steps, N_VALIDATIONS)).astype(int))
    losses = torch.empty(n_steps, n_nets, device=device)
    norms, vals = torch.empty_like(losses), torch.empty(len(val_at), n_nets, device=device)
    for step in range(n_steps):
        x, y = batches.at(step)
        loss = _losses(nets.forward(x, True, generator), y, objective.smoothing)
        (grad,) = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
            losses[step] = objective.with_penalty(loss, weights)
            norms[step] = norm.squeeze(1)
            if clips:
                grad.mul_(torch.clamp(clip / (norm + 1e-12), max=1.0))
            optimiser.step(weights, grad, lr[step])
            if step in val_at:
                outputs = nets.forward(batches.x_val, False, generator)
                val = objective.with_penalty(_losses(outputs, batches.y_val, None), weights)
                vals[int(np.searchsorted(val_at, step))] = val
    logged = [series.double().cpu().numpy() for series in (losses, norms, vals)]
    return [
        Trace(
            np.arange(n_steps, dtype=np.float64),
            logged[0][:, i],
            logged[1][:, i],
            rates[:, i],
            val_at.astype(np.float64),
            logged[2][:, i],
            recipe.steps_per_epoch,
        )
        for i, recipe in enumerate(recipes)
    ]
