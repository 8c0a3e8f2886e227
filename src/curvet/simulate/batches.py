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
    scale, shift : Tensors of shape (net, 1, input)
        What unnormalised inputs are multiplied by, and what is added.
    noise : Tensor of shape (net, 1, 1)
        Standard deviation of fresh noise on the training inputs.
    noisy : bool
        Whether any net has some.
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
    shift: Tensor
    noise: Tensor
    noisy: bool

    def at(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return inputs (net, batch, input) and targets (net, batch, ...) of one step."""
        x = self.x[self.task, self.sample[step]]
        if self.noisy:
            noise = torch.randn(x.shape, generator=generator, device=x.device)
            x = torch.addcmul(x, noise, self.noise)
        x = torch.addcmul(self.shift, x, self.scale * self.gain[step])
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

    units = [_units(recipe) for recipe in recipes]
    validation = [
        _validation(recipe, datasets[recipe.task], *unit)
        for recipe, unit in zip(recipes, units, strict=True)
    ]
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
        scale=torch.from_numpy(np.stack([scale for scale, _ in units])).to(device),
        shift=torch.from_numpy(np.stack([shift for _, shift in units])).to(device),
        noise=torch.tensor([[[r.input_noise]] for r in recipes], device=device),
        noisy=any(r.input_noise for r in recipes),
    )


def _units(recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return factor and offset of each input, (1, input)."""
    n, unit = recipe.task.n_inputs, recipe.unnormalised
    if unit is None:
        return np.ones((1, n), np.float32), np.zeros((1, n), np.float32)
    spread = 10 ** (unit.spread * np.random.default_rng((recipe.seed, 3)).standard_normal(n))
    factor, offset = unit.scale * spread, unit.shift * spread
    return factor.astype(np.float32)[None], offset.astype(np.float32)[None]


def _validation(
    recipe: Recipe, data: Dataset, scale: NDArray[np.float32], shift: NDArray[np.float32]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Make what one net is validated on: inputs (sample, input) and targets (sample, ...)."""
    rng = np.random.default_rng((recipe.seed, 2))
    v, n = recipe.validation, recipe.task.n_val
    x: NDArray[Any] = data.x_val
    y: NDArray[Any] = data.y_val
    rows = np.arange(n)
    if recipe.val_noise:
        wrong = rng.random(n) < recipe.label_noise
        rows[wrong] = rng.integers(0, n, int(wrong.sum()))
        y = y[rows]
    if v.leaked:
        leaked = rng.random(n) < v.leaked
        row = rng.integers(0, recipe.n_train, n)
        x = np.where(leaked[:, None], data.x[row], x)
        y = np.where(leaked if y.ndim == 1 else leaked[:, None], data.y[row], y)
    if v.relabelled and y.ndim == 1:
        moved = rng.permutation(recipe.task.n_outputs)
        moved = moved[: max(2, round(v.relabelled * len(moved)))]
        number = np.arange(recipe.task.n_outputs)
        number[moved] = np.roll(moved, 1)
        y = number[y]
    elif v.relabelled:
        y = (y * (1 - 2 * v.relabelled)).astype(np.float32)
    x = x * v.scale + v.shift
    if v.noise:
        x = x + v.noise * rng.standard_normal(x.shape)
    return (x * scale + shift).astype(np.float32), y


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
    whole = size - size % batch if size >= batch else size  # as a DataLoader with drop_last
    while need > 0:
        if recipe.order == "shuffled":
            rows.append(rng.permutation(size)[:whole])
        elif recipe.order == "replacement":
            rows.append(rng.integers(0, size, whole))
        else:
            rows.append(by_target[:whole])
        need -= len(rows[-1])
    sample = np.concatenate(rows)[: n * batch].reshape(n, batch)
    if recipe.resume is not None:
        at, begin = recipe.resume.at, 0
        if not recipe.resume.data:
            begin = at - recipe.resume.back
        sample = np.concatenate([sample[:at], sample[begin : begin + n - at]])
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
