"""Trains many small nets side by side: recipes in, one trace each out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..recipe import Recipe, Task, Trace
from .nets import list_maps, make_nets
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
        the rounding of batched matrix products and the draws of dropout.
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
            made = _train_family([recipes[i] for i in some], datasets, torch.device(device))
            traces.update(zip(some, made, strict=True))
    return [traces[index] for index in range(len(recipes))]


def _group_size(recipes: Sequence[Recipe], device: str) -> int:
    width = max(recipe.width for recipe in recipes)
    parameters = sum((m.n_in + 1) * m.n_out for m in list_maps(recipes[0], width))
    budget = 600_000 if device == "cpu" else 2_000_000_000
    return int(np.clip(budget // max(1, parameters), 16, 64 if device == "cpu" else 4096))


def lr_schedule(recipe: Recipe) -> NDArray[np.float64]:
    """Compute the learning rate at each step, shape (step,)."""
    n = recipe.n_steps
    progress = np.arange(n) / max(1, n - 1)
    shape = np.ones(n)
    if recipe.schedule == "cosine":
        shape = 0.5 * (1 + np.cos(np.pi * progress))
    elif recipe.schedule == "linear":
        shape = 1 - progress
    elif recipe.schedule == "step":
        shape = 0.1 ** ((progress > 0.5).astype(float) + (progress > 0.8))
    elif recipe.schedule == "restarts":
        shape = 0.5 * (1 + np.cos(np.pi * (progress * 3.999 % 1)))
    elif recipe.schedule == "one_cycle":
        shape = np.interp(progress, [0, 0.3, 0.9, 1], [0.1, 1.0, 0.1, 0.01])
    warm = max(1, int(recipe.warmup * n))
    shape[:warm] *= np.arange(1, warm + 1) / warm
    return recipe.lr * np.maximum(shape, 1e-4)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Which samples each net sees at each step.

    Parameters
    ----------
    sample, target : arrays of shape (step, net, batch)
        Rows of the task's inputs and of its targets; they differ where labels are wrong.
    gain : array of shape (step, net)
        Factor on the inputs (and on a regression's targets): outliers.
    """

    sample: NDArray[np.int64]
    target: NDArray[np.int64]
    gain: NDArray[np.float32]


def _plan_batches(
    recipe: Recipe, data: Dataset
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Decide one net's batches: samples and targets (step, batch), gains (step,)."""
    rng = np.random.default_rng((recipe.seed, 1))
    n, size, batch = recipe.n_steps, recipe.n_train, recipe.batch_size
    key = data.y[:size] if data.y.ndim == 1 else data.y[:size, 0]
    by_target = np.argsort(key, kind="stable")
    if recipe.order == "blocks":  # a few sorted shards, as when files are read one by one
        shards = np.array_split(by_target, min(size, 8))
        by_target = np.concatenate([shards[i] for i in rng.permutation(len(shards))])
    need, rows = n * batch, []
    while need > 0:
        if recipe.order == "shuffled":
            rows.append(rng.permutation(size))
        elif recipe.order == "replacement":
            rows.append(rng.integers(0, size, size))
        else:
            rows.append(by_target)
        need -= size
    sample = np.concatenate(rows)[: n * batch].reshape(n, batch)
    owner = np.arange(size)
    wrong = rng.random(size) < recipe.label_noise
    owner[wrong] = rng.integers(0, size, int(wrong.sum()))
    target, gain = owner[sample], np.ones(n, np.float32)
    for bad in recipe.bad_batches:
        where = slice(bad.start, bad.start + bad.length)
        if bad.kind == "outlier":
            gain[where] = bad.strength
        elif bad.kind == "wrong_labels":
            target[where] = rng.integers(0, size, target[where].shape)
        else:
            at = int(rng.integers(0, size))
            same = by_target[np.arange(at, at + batch) % size]
            sample[where], target[where] = same, owner[same]
    return sample, target, gain


def _make_plan(recipes: Sequence[Recipe], datasets: dict[Task, Dataset]) -> _Plan:
    plans = [_plan_batches(recipe, datasets[recipe.task]) for recipe in recipes]
    sample, target, gain = (np.stack(parts, axis=1) for parts in zip(*plans, strict=True))
    return _Plan(sample, target, gain)


class _Optimiser:
    """One optimiser for a whole population: state has the shape of the weights.

    Formulas as in torch.optim; momentum of SGD and weight decay are one number a net. In place
    throughout: the weights of a population do not fit the processor's cache twice.
    """

    def __init__(self, recipes: Sequence[Recipe], weights: Tensor) -> None:
        self.kind = recipes[0].optimiser
        self.momentum = _column([r.momentum for r in recipes], weights.device)
        self.decay = _column([r.weight_decay for r in recipes], weights.device)
        self.decays = any(r.weight_decay for r in recipes)
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)
        self.count = 0

    def step(self, weights: Tensor, grad: Tensor, lr: Tensor) -> None:
        """Move `weights` (net, parameter) in place by `grad` at rates `lr` (net, 1)."""
        self.count += 1
        if self.decays and self.kind == "adamw":
            weights.mul_(1 - lr * self.decay)
        elif self.decays:
            grad.addcmul_(weights, self.decay)
        if self.kind in ("sgd", "nesterov"):
            self.first.mul_(self.momentum).add_(grad)
            update = self.first
            if self.kind == "nesterov":
                update = grad.addcmul_(self.first, self.momentum)
            weights.addcmul_(update, lr, value=-1)
            return
        if self.kind == "adagrad":
            self.second.addcmul_(grad, grad)
            update, scale = grad, lr
        elif self.kind == "rmsprop":
            self.second.mul_(0.99).addcmul_(grad, grad, value=0.01)
            update, scale = grad, lr
        else:
            self.first.lerp_(grad, 0.1)
            self.second.mul_(0.999).addcmul_(grad, grad, value=0.001)
            correction = (1 - 0.999**self.count) ** 0.5 / (1 - 0.9**self.count)
            update, scale = self.first, lr * correction
        weights.addcmul_(update / self.second.sqrt().add_(1e-8), scale, value=-1)


def _column(values: Sequence[float], device: torch.device) -> Tensor:
    """Put one number a net into a column, (net, 1)."""
    return torch.tensor(values, device=device).unsqueeze(1)


def _losses(outputs: Tensor, targets: Tensor, smoothing: Tensor | None) -> Tensor:
    """Mean loss of each net, (net,): cross-entropy for classes, squared error for numbers."""
    if targets.dtype != torch.int64:
        return (outputs - targets).square().mean((1, 2))
    log_p = functional.log_softmax(outputs, dim=-1)
    hit = -log_p.gather(2, targets.unsqueeze(-1)).squeeze(-1).mean(1)
    if smoothing is None:
        return hit
    return (1 - smoothing) * hit - smoothing * log_p.mean((1, 2))


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """The data sets of a family on the device, and which one each net uses."""

    x: Tensor  # (task, sample, input)
    y: Tensor
    x_val: Tensor  # (net, sample, input)
    y_val: Tensor
    task: Tensor  # (net, 1)


def _gather_data(
    recipes: Sequence[Recipe], datasets: dict[Task, Dataset], device: torch.device
) -> _Data:
    tasks = list(dict.fromkeys(recipe.task for recipe in recipes))
    pool = max(task.n_pool for task in tasks)

    def stack(arrays: Sequence[NDArray[Any]]) -> Tensor:
        out = np.zeros((len(arrays), pool, *arrays[0].shape[1:]), arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(out).to(device)

    x_val, y_val = [], []
    for recipe in recipes:
        data = datasets[recipe.task]
        rows = np.arange(recipe.task.n_val)
        if recipe.val_noise:
            rng = np.random.default_rng((recipe.seed, 2))
            wrong = rng.random(len(rows)) < recipe.label_noise
            rows[wrong] = rng.integers(0, len(rows), int(wrong.sum()))
        x_val.append(data.x_val * np.float32(recipe.input_scale))
        y_val.append(data.y_val[rows])
    return _Data(
        stack([datasets[task].x for task in tasks]),
        stack([datasets[task].y for task in tasks]),
        torch.from_numpy(np.stack(x_val)).to(device),
        torch.from_numpy(np.stack(y_val)).to(device),
        torch.tensor([[tasks.index(r.task)] for r in recipes], device=device),
    )


def _train_family(
    recipes: Sequence[Recipe], datasets: dict[Task, Dataset], device: torch.device
) -> list[Trace]:
    """Train nets of one family; the heart of the simulator."""
    torch.set_flush_denormal(True)  # weights that vanish would slow the processor down
    n_steps = recipes[0].n_steps
    nets, data = make_nets(recipes, device), _gather_data(recipes, datasets, device)
    plan = _make_plan(recipes, datasets)
    weights = nets.weights.requires_grad_()
    optimiser = _Optimiser(recipes, weights)
    generator = torch.Generator(device=device).manual_seed(recipes[0].seed % 2**63)
    rates = np.stack([lr_schedule(recipe) for recipe in recipes], axis=1)  # (step, net)
    lr = torch.from_numpy(rates.astype(np.float32)).to(device)
    scale = torch.tensor([[[r.input_scale]] for r in recipes], device=device)
    clip = _column([r.clip for r in recipes], device)
    clips = any(np.isfinite(r.clip) for r in recipes)
    smoothing = (
        torch.tensor([r.label_smoothing for r in recipes], device=device)
        if is_classification(recipes[0].task) and any(r.label_smoothing for r in recipes)
        else None
    )
    penalised = any(r.penalty_in_loss for r in recipes)
    penalty = torch.tensor([r.weight_decay * r.penalty_in_loss / 2 for r in recipes], device=device)
    sample, target = torch.from_numpy(plan.sample).to(device), torch.from_numpy(plan.target)
    target, gain = target.to(device), torch.from_numpy(plan.gain).to(device)
    val_at = np.unique(np.linspace(0, n_steps - 1, min(n_steps, N_VALIDATIONS)).astype(int))
    losses, norms = torch.empty(n_steps, len(recipes)), torch.empty(n_steps, len(recipes))
    vals = torch.empty(len(val_at), len(recipes))
    val_row = 0
    for step in range(n_steps):
        x = data.x[data.task, sample[step]] * scale * gain[step, :, None, None]
        y = data.y[data.task, target[step]]
        if y.dtype != torch.int64:
            y = y * gain[step, :, None, None]
        loss = _losses(nets.forward(x, True, generator), y, smoothing)
        (grad,) = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
            extra = penalty * weights.square().sum(1) if penalised else 0.0
            losses[step] = loss + extra
            norms[step] = norm.squeeze(1)
            if clips:
                grad.mul_(torch.clamp(clip / (norm + 1e-12), max=1.0))
            optimiser.step(weights, grad, lr[step].unsqueeze(1))
            if step == val_at[val_row]:
                outputs = nets.forward(data.x_val, False, generator)
                vals[val_row] = _losses(outputs, data.y_val, None) + penalty * weights.square().sum(
                    1
                )
                val_row = min(val_row + 1, len(val_at) - 1)
    return [
        Trace(
            np.arange(n_steps, dtype=np.float64),
            losses[:, i].double().numpy(),
            norms[:, i].double().numpy(),
            rates[:, i],
            val_at.astype(np.float64),
            vals[:, i].double().numpy(),
            recipe.steps_per_epoch,
        )
        for i, recipe in enumerate(recipes)
    ]
