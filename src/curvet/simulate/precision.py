"""What sixteen-bit numbers do to a training: overflow, underflow, and a loss scale.

Source: Micikevicius et al., Mixed Precision Training, ICLR 2018; the dynamic scale as in
torch.amp.GradScaler.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..recipe import HalfPrecision, Recipe
from .optimisers import Optimiser

LARGEST, SMALLEST = 65504.0, 6e-8
"""Range of float16; gradients are within it after they are scaled."""

GROWTH_INTERVAL = 50
"""Good steps after which a dynamic scale doubles; scaled down from 2000 as the runs are."""


class Precision:
    """The nets of a family that are trained in half precision; costs nothing without one."""

    def __init__(self, recipes: Sequence[Recipe], device: torch.device) -> None:
        self.used = any(r.half is not None for r in recipes)
        full = HalfPrecision(torch.inf, 1.0, False)
        halves = [r.half or full for r in recipes]
        self.mine = torch.tensor([r.half is not None for r in recipes], device=device)
        self.largest = torch.tensor([h.largest for h in halves], device=device)
        self.scale = torch.tensor([h.scale for h in halves], device=device)
        self.dynamic = torch.tensor([h.dynamic for h in halves], device=device)
        self.good = torch.zeros(len(recipes), device=device)
        self.skipped = torch.zeros(len(recipes), dtype=torch.bool, device=device)

    def limit(self, outputs: Tensor, loss: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Do to a step's loss (net,) and gradient (net, parameter) what half precision does."""
        if not self.used:
            return loss, grad
        loss = self.shown(outputs, loss)
        scaled = grad.abs() * self.scale[:, None]
        lost = ~torch.isfinite(loss) | (scaled.amax(1) > LARGEST) | scaled.isnan().any(1)
        lost &= self.mine
        grad = torch.where(self.mine[:, None] & (scaled < SMALLEST), 0.0, grad)
        self.skipped = self.skipped | (lost & self.dynamic)  # any batch of an update
        return loss, torch.where(lost[:, None], torch.nan, grad)

    def shown(self, outputs: Tensor, loss: Tensor) -> Tensor:
        """Return the losses (net,) with NaN where an output (net, sample, unit) overflows."""
        if not self.used:
            return loss
        return torch.where(outputs.abs().amax((1, 2)) > self.largest, torch.nan, loss)

    def step(self, optimiser: Optimiser, weights: Tensor, grad: Tensor, lr: Tensor) -> None:
        """Update the weights of the nets whose step is not skipped, and the scales."""
        if not self.used:
            optimiser.step(weights, grad, lr)
            return
        skipped = self.skipped.nonzero().squeeze(1)
        before = [part[skipped].clone() for part in (weights, *optimiser.state())]
        optimiser.step(weights, grad, lr)
        for part, old in zip((weights, *optimiser.state()), before, strict=True):
            part[skipped] = old
        self.good = torch.where(self.skipped, 0.0, self.good + 1)
        grown = self.dynamic & (self.good >= GROWTH_INTERVAL)
        self.scale = torch.where(grown, self.scale * 2, self.scale)
        self.scale = torch.where(self.skipped, self.scale / 2, self.scale)
        self.good = torch.where(grown, 0.0, self.good)
        self.skipped = torch.zeros_like(self.skipped)
