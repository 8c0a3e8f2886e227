"""Which samples every net of a population sees at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..recipe import Recipe, Task
from .tasks import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """The data of a family on the device, and who sees what when.

    Parameters
    ----------
    x, y : Tensors of shape (task, sample, ...)
        Inputs and targets of the different tasks.
    x_val, y_val : Tensors of shape (net, sample, ...)
        What each net is validated on.
    task : Tensor of shape (net, 1)
        Which task each net learns.
    sample, target : Tensors of shape (step, net, batch)
        Rows of the inputs and of the targets; they differ where labels are wrong.
    gain : Tensor of shape (step, net, 1, 1)
        Factor on the inputs (and on a regression's targets): outliers.
    scale : Tensor of shape (net, 1, 1)
        Factor on all inputs of a net.
    """

    x: Tensor
    y: Tensor
    x_val: Tensor
    y_val: Tensor
    task: Tensor
    sample: Tensor
    target: Tensor
    gain: Tensor
    scale: Tensor

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs (net, batch, input) and targets (net, batch, ...) of one step."""
        x = self.x[self.task, self.sample[step]] * self.scale * self.gain[step]
        y = self.y[self.task, self.target[step]]
        return x, y if y.dtype == torch.int64 else y * self.gain[step]


def make_batches(
    recipes: Sequence[Recipe], datasets: Mapping[Task, Dataset], device: torch.device
) -> Batches:
    """Plan the batches of nets of one family; each depends on its own recipe alone.

    Parameters
    ----------
    recipes : sequence of Recipe
        Of one family.
    datasets : mapping of Task to Dataset
        All tasks of the recipes.
    device : torch.device
        Where the data go.
    """
    tasks = list(dict.fromkeys(recipe.task for recipe in recipes))
    pool = max(task.n_pool for task in tasks)

    def stack(arrays: Sequence[NDArray[Any]]) -> Tensor:
        out = np.zeros((len(arrays), pool, *arrays[0].shape[1:]), arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(out).to(device)

    validation = [_validation(recipe, datasets[recipe.task]) for recipe in recipes]
    x_val, y_val = (np.stack(parts) for parts in zip(*validation, strict=True))
    plans = [_plan_batches(recipe, datasets[recipe.task]) for recipe in recipes]
    sample, target, gain = (np.stack(parts, axis=1) for parts in zip(*plans, strict=True))
    return Batches(
        x=stack([datasets[task].x for task in tasks]),
        y=stack([datasets[task].y for task in tasks]),
        x_val=torch.from_numpy(x_val).to(device),
        y_val=torch.from_numpy(y_val).to(device),
        task=torch.tensor([[tasks.index(r.task)] for r in recipes], device=device),
        sample=torch.from_numpy(sample).to(device),
        target=torch.from_numpy(target).to(device),
        gain=torch.from_numpy(gain).to(device)[:, :, None, None],
        scale=torch.tensor([[[r.input_scale]] for r in recipes], device=device),
    )


def _validation(recipe: Recipe, data: Dataset) -> tuple[NDArray[Any], NDArray[Any]]:
    rows = np.arange(recipe.task.n_val)
    if recipe.val_noise:
        rng = np.random.default_rng((recipe.seed, 2))
        wrong = rng.random(len(rows)) < recipe.label_noise
        rows[wrong] = rng.integers(0, len(rows), int(wrong.sum()))
    return data.x_val * np.float32(recipe.input_scale), data.y_val[rows]


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
