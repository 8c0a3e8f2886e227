"""Optimisers and schedules for a whole population: formulas as in torch.optim."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..recipe import Recipe


def lr_schedule(recipe: Recipe) -> NDArray[np.float64]:
    """Compute the learning rate at each step, shape (step,).

    That of "plateau" is where it starts: what it becomes depends on the loss, see `Plateau`.
    """
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
    rate = recipe.lr * np.maximum(shape, 1e-4)
    if recipe.resume is None:
        return rate
    at, back, begin = recipe.resume.at, recipe.resume.back, 0
    if not recipe.resume.schedule:
        begin = at - back
    return np.concatenate([rate[:at], rate[begin : begin + n - at]])


class Plateau:
    """Lower the rate of nets whose loss has stopped falling, as ReduceLROnPlateau does.

    Parameters
    ----------
    recipes : sequence of Recipe
        Those with another schedule keep a factor of 1.
    device : torch.device
        Where the losses are.
    """

    FACTOR, PATIENCE, CHECKS, THRESHOLD = 0.3, 3, 40, 0.01

    def __init__(self, recipes: Sequence[Recipe], device: torch.device) -> None:
        self.used = any(r.schedule == "plateau" for r in recipes)
        self.mine = torch.tensor([r.schedule == "plateau" for r in recipes], device=device)
        self.every = max(2, recipes[0].n_steps // self.CHECKS)
        self.factor = torch.ones(len(recipes), device=device)
        # Not inf: inf - 1 % of inf is NaN, and nothing would ever be better.
        self.best = torch.full((len(recipes),), torch.finfo(torch.float32).max, device=device)
        self.waited = torch.zeros(len(recipes), device=device)

    def check(self, losses: Tensor, step: int) -> None:
        """Look at the losses so far, (step, net), once in a while."""
        if not self.used or (step + 1) % self.every:
            return
        mean = losses[step + 1 - self.every : step + 1].mean(0)
        better = mean < self.best - self.THRESHOLD * self.best.abs()
        self.best = torch.where(better, mean, self.best)
        self.waited = torch.where(better, 0.0, self.waited + 1)
        due = self.mine & (self.waited >= self.PATIENCE)
        self.factor = torch.where(due, self.factor * self.FACTOR, self.factor)
        self.waited = torch.where(due, 0.0, self.waited)


class Optimiser:
    """One optimiser for a whole population: state has the shape of the weights.

    Formulas as in torch.optim; momentum and weight decay are one number a net. In place
    throughout: the weights of a population do not fit the processor's cache twice.
    """

    def __init__(self, recipes: Sequence[Recipe], weights: Tensor) -> None:
        self.kind = recipes[0].optimiser
        self.momentum = column([r.momentum for r in recipes], weights.device)
        self.decay = column([r.weight_decay for r in recipes], weights.device)
        self.decays = any(r.weight_decay for r in recipes)
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)
        self.count = torch.zeros(len(recipes), 1, device=weights.device)
        self.scratch = torch.empty_like(weights)

    def state(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what a checkpoint holds, each with a leading axis over the nets."""
        return self.first, self.second, self.count

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
        update, scale = grad, lr
        if self.kind == "adagrad":
            self.second.addcmul_(grad, grad)
        elif self.kind == "rmsprop":
            self.second.mul_(0.99).addcmul_(grad, grad, value=0.01)
        else:
            self.first.lerp_(grad, (1 - self.momentum).expand_as(grad))
            self.second.mul_(0.999).addcmul_(grad, grad, value=0.001)
            correction = (1 - 0.999**self.count).sqrt() / (1 - self.momentum**self.count)
            update, scale = self.first, lr * correction
        torch.sqrt(self.second, out=self.scratch)
        torch.div(update, self.scratch.add_(1e-8), out=self.scratch)
        weights.addcmul_(self.scratch, scale, value=-1)


def column(values: Sequence[float], device: torch.device) -> Tensor:
    """Put one number a net into a column, (net, 1)."""
    return torch.tensor(values, device=device).unsqueeze(1)
