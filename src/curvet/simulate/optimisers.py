"""Optimisers and schedules for a whole population: formulas as in torch.optim."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..recipe import Recipe


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


class Optimiser:
    """One optimiser for a whole population: state has the shape of the weights.

    Formulas as in torch.optim; momentum of SGD and weight decay are one number a net. In place
    throughout: the weights of a population do not fit the processor's cache twice.
    """

    def __init__(self, recipes: Sequence[Recipe], weights: Tensor) -> None:
        self.kind = recipes[0].optimiser
        self.momentum = column([r.momentum for r in recipes], weights.device)
        self.decay = column([r.weight_decay for r in recipes], weights.device)
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


def column(values: Sequence[float], device: torch.device) -> Tensor:
    """Put one number a net into a column, (net, 1)."""
    return torch.tensor(values, device=device).unsqueeze(1)
