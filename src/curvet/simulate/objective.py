"""What a population minimises: the right loss, or a wrong one, and what is logged of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..recipe import LossKind, Recipe
from .tasks import is_classification


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The loss of every net of a family.

    Parameters
    ----------
    smoothing : Tensor of shape (net,) or None
        Label smoothing; None where no net has any.
    penalty : Tensor of shape (net,)
        Half the weight decay where the logged loss includes it, else 0.
    penalised : bool
        Whether any net has a penalty.
    wrong : mapping of kind to Tensor of shape (net,), bool
        Nets with a wrong loss; only kinds that occur.
    """

    smoothing: Tensor | None
    penalty: Tensor
    penalised: bool
    wrong: dict[LossKind, Tensor]

    def losses(self, outputs: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Compute the mean loss of each net, (net,).

        Parameters
        ----------
        outputs : Tensor of shape (net, sample, output)
            Logits or predictions.
        targets : Tensor of shape (net, sample) of int64, or (net, sample, output)
            Cross-entropy for classes, squared error for numbers.
        training : bool
            Whether labels are smoothed.
        """
        smoothing = self.smoothing if training else None
        twice = self.wrong.get("softmax_twice")
        classes = targets.dtype == torch.int64
        if twice is not None and classes:
            outputs = torch.where(twice[:, None, None], outputs.softmax(-1), outputs)
        loss = (_cross_entropy if classes else _squared_error)(outputs, targets, smoothing)
        for kind, mine in self.wrong.items():
            if kind == "negated":
                loss = torch.where(mine, -loss, loss)
            elif kind == "unbounded":
                loss = torch.where(mine, _unbounded(outputs, targets), loss)
            elif kind == "broadcast" and not classes:
                loss = torch.where(mine, _all_pairs(outputs, targets), loss)
        return loss

    def with_penalty(self, loss: Tensor, weights: Tensor) -> Tensor:
        """Add the weight penalty to losses (net,) that are logged with it."""
        return loss + self.penalty * weights.square().sum(1) if self.penalised else loss


def make_objective(recipes: Sequence[Recipe], device: torch.device) -> Objective:
    """Collect what the losses of nets of one family are made of."""
    smooths = is_classification(recipes[0].task) and any(r.label_smoothing for r in recipes)
    smoothing = torch.tensor([r.label_smoothing for r in recipes], device=device)
    penalty = [r.weight_decay * r.penalty_in_loss / 2 for r in recipes]
    wrong: dict[LossKind, Tensor] = {
        kind: torch.tensor([r.loss == kind for r in recipes], device=device)
        for kind in dict.fromkeys(r.loss for r in recipes)
        if kind != "plain"
    }
    return Objective(
        smoothing if smooths else None, torch.tensor(penalty, device=device), any(penalty), wrong
    )


def _cross_entropy(outputs: Tensor, targets: Tensor, smoothing: Tensor | None) -> Tensor:
    log_p = functional.log_softmax(outputs, dim=-1)
    hit = -log_p.gather(2, targets.unsqueeze(-1)).squeeze(-1).mean(1)
    if smoothing is None:
        return hit
    return (1 - smoothing) * hit - smoothing * log_p.mean((1, 2))


def _squared_error(outputs: Tensor, targets: Tensor, smoothing: Tensor | None) -> Tensor:
    return (outputs - targets).square().mean((1, 2))


def _unbounded(outputs: Tensor, targets: Tensor) -> Tensor:
    """Reward what points the right way, without the part that bounds it."""
    if targets.dtype == torch.int64:
        return -outputs.gather(2, targets.unsqueeze(-1)).squeeze(-1).mean(1)
    return -(outputs * targets).mean((1, 2))


def _all_pairs(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared error of every output against every target of the batch.

    What a column of outputs minus a row of targets gives: the best answer is their mean.
    """
    spread = outputs.square().mean(1) + targets.square().mean(1)
    return (spread - 2 * outputs.mean(1) * targets.mean(1)).mean(1)
