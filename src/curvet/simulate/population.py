"""Trains many small nets side by side: recipes in, one trace each out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..recipe import Recipe, Task, Trace
from .batches import make_batches
from .nets import Nets, count_parameters, make_nets
from .objective import make_objective
from .optimisers import Optimiser, Plateau, column, lr_schedule
from .precision import Precision
from .tasks import Dataset, make_dataset

N_VALIDATIONS = 80
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
        In the order of the recipes. A net's trace does not depend on its neighbours, but for the
        rounding of batched matrix products and the draws of dropout and of input noise. The same
        recipes give the same traces.
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
    parameters = count_parameters(recipes[0], max(recipe.width for recipe in recipes))
    budget = 600_000 if device == "cpu" else 2_000_000_000
    return int(np.clip(budget // max(1, parameters), 16, 64 if device == "cpu" else 4096))


def validation_steps(n_steps: int) -> NDArray[np.int64]:
    """Choose the steps after which validation is measured."""
    return np.unique(np.linspace(0, n_steps - 1, min(n_steps, N_VALIDATIONS)).astype(np.int64))


def _train_family(
    recipes: Sequence[Recipe], datasets: dict[Task, Dataset], device: torch.device
) -> list[Trace]:
    """Train nets of one family; the heart of the simulator."""
    n_steps, n_nets = recipes[0].n_steps, len(recipes)
    nets, batches = make_nets(recipes, device), make_batches(recipes, datasets, device)
    objective, weights = make_objective(recipes, device), nets.weights.requires_grad_()
    optimiser, plateau = Optimiser(recipes, weights), Plateau(recipes, device)
    precision, checkpoints = Precision(recipes, device), _Checkpoints(recipes)
    generator = torch.Generator(device=device).manual_seed(recipes[0].seed % 2**63)
    rates = np.stack([lr_schedule(recipe) for recipe in recipes], axis=1)  # (step, net)
    planned = torch.from_numpy(rates.astype(np.float32)).to(device)
    clip = column([r.clip for r in recipes], device)
    clips = any(np.isfinite(r.clip) for r in recipes)
    accumulation = recipes[0].accumulation
    val_at = validation_steps(n_steps)
    losses = torch.empty(n_steps, n_nets, device=device)
    norms, used = torch.empty_like(losses), torch.empty_like(losses)
    vals = torch.empty(len(val_at), n_nets, device=device)
    total = torch.zeros_like(weights)
    norm = torch.zeros(n_nets, 1, device=device)
    for step in range(n_steps):
        checkpoints.pass_step(step, nets, optimiser)
        x, y = batches.at(step, generator)
        outputs = nets.forward(x, True, generator)
        loss = objective.losses(outputs, y, training=True)
        (grad,) = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            used[step] = planned[step] * plateau.factor
            loss, grad = precision.limit(outputs, objective.with_penalty(loss, weights), grad)
            losses[step] = loss
            if accumulation > 1:
                total.add_(grad, alpha=1 / accumulation)
                grad = total
            if (step + 1) % accumulation == 0:
                norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
                if clips:
                    grad.mul_(torch.clamp(clip / (norm + 1e-12), max=1.0))
                precision.step(optimiser, weights, grad, used[step].unsqueeze(1))
                total.zero_()
            norms[step] = norm.squeeze(1)
            plateau.check(losses, step)
            if step in val_at:
                outputs = nets.forward(batches.x_val, False, generator)
                val = objective.losses(outputs, batches.y_val, training=False)
                val = objective.with_penalty(val, weights)
                vals[int(np.searchsorted(val_at, step))] = precision.shown(outputs, val)
    logged = [series.double().cpu().numpy() for series in (losses, norms, used, vals)]
    return [
        Trace(
            _steps(recipe),
            logged[0][:, i],
            logged[1][:, i],
            logged[2][:, i],
            val_at,
            logged[3][:, i],
            recipe.steps_per_epoch,
            recipe.onset,
        )
        for i, recipe in enumerate(recipes)
    ]


def _steps(recipe: Recipe) -> NDArray[np.float64]:
    """Count the steps as the training does: back to the checkpoint where it resumed."""
    steps = np.arange(recipe.n_steps, dtype=np.float64)
    if recipe.resume is not None:
        steps[recipe.resume.at :] -= recipe.resume.back
    return steps


class _Checkpoints:
    """Save and load the nets that are resumed, each at its own steps."""

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        self.saves: dict[int, list[int]] = {}
        self.loads: dict[int, list[int]] = {}
        self.saved: dict[int, list[Tensor]] = {}
        self.loses_state = [r.resume is not None and r.resume.optimiser for r in recipes]
        for net, recipe in enumerate(recipes):
            if recipe.resume is not None:
                at = recipe.resume.at
                self.saves.setdefault(at - recipe.resume.back, []).append(net)
                self.loads.setdefault(at, []).append(net)

    def pass_step(self, step: int, nets: Nets, optimiser: Optimiser) -> None:
        """Do what is due before a step."""
        statistics = [part for pair in nets.statistics.values() for part in pair]
        kept, moments = [nets.weights, *statistics], optimiser.state()
        with torch.no_grad():
            for net in self.saves.get(step, ()):
                self.saved[net] = [part[net].clone() for part in (*kept, *moments)]
            for net in self.loads.get(step, ()):
                for i, part in enumerate((*kept, *moments)):
                    lost = i >= len(kept) and self.loses_state[net]
                    part[net] = 0 if lost else self.saved[net][i]
