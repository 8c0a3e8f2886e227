"""What else nets are trained for than squared error and cross-entropy, in PyTorch.

Where such a loss starts, how low it can get and how noisy it is says nothing of faults: some start
at ln 2, some are sums over a batch, and some fall below zero when all is well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .feed import Feed
from .plan import Plan, Rng

Loss = Callable[[Any, Any], Any]
"""A batch's inputs, or what the net makes of them, and its targets -> the loss."""

VIEWS = 16
"""Outputs of a net that is trained to tell rows apart."""

OF_INPUTS = ("views", "denoised")
"""Objectives for which the inputs are their own targets."""


def fitting(plan: Plan, classify: bool, symbols: bool) -> list[str]:
    """List the objectives that suit a plan's task and net, which is no variational autoencoder."""
    if plan.net == "autoencoder":
        return ["absolute", "summed", "denoised", "denoised"]
    if not classify:
        return ["absolute", "huber", "summed", "gaussian", "quantile", "ranked", "poisson"]
    found = ["smoothed", "focal", "weighted", "summed", "each", "hinge"]
    return found[:4] if symbols else [*found, "views", "views"]


def wrong_ways(plan: Plan, kinds: list[str]) -> list[str]:
    """Keep the mistakes that can be made in a loss with the plan's objective."""
    if plan.objective in ("", "smoothed", "focal", "weighted", "summed"):
        return kinds
    some = {"absolute": "broadcast product", "huber": "broadcast product", "each": "softmax"}
    possible = ["sign", *some.get(plan.objective, "").split()]
    return [kind for kind in kinds if kind in possible]


def n_outputs(plan: Plan, feed: Feed) -> int:
    """Return how many outputs the net has."""
    return {"gaussian": 2 * feed.n_out, "views": VIEWS}.get(plan.objective, feed.n_out)


def loss_on_outputs(plan: Plan, feed: Feed) -> Loss:
    """Return (outputs, targets) -> loss, for objectives that need no more than these."""
    import torch
    from torch.nn import functional

    def gaussian(out: Any, y: Any) -> Any:
        mean, log_var = out.chunk(2, 1)
        log_var = log_var.clamp(-12, 12)
        return 0.5 * (log_var + (y - mean) ** 2 / log_var.exp()).mean()

    def quantile(out: Any, y: Any) -> Any:
        above = y - out
        return torch.maximum(0.9 * above, -0.1 * above).mean()

    def ranked(out: Any, y: Any) -> Any:
        better = (y - y.roll(1, 0)).sign()
        return functional.softplus(-better * (out - out.roll(1, 0))).mean()

    def focal(out: Any, y: Any) -> Any:
        each = functional.cross_entropy(out, y, reduction="none")
        return ((1 - (-each).exp()) ** 2 * each).mean()

    def each(out: Any, y: Any) -> Any:
        hot = functional.one_hot(y, feed.n_out).to(out.dtype)
        return functional.binary_cross_entropy_with_logits(out, hot)

    def summed(out: Any, y: Any) -> Any:  # validation is the mean over its batches
        if feed.classify:
            return functional.cross_entropy(out, y, reduction="sum") * (plan.batch / len(out))
        return functional.mse_loss(out, y, reduction="sum") / len(out)

    def weighted(out: Any, y: Any) -> Any:
        weight = torch.linspace(0.2, 3, feed.n_out, dtype=out.dtype)
        return functional.cross_entropy(out, y, weight)

    usual = functional.cross_entropy if feed.classify else functional.mse_loss
    kinds: dict[str, Loss] = {
        "absolute": functional.l1_loss,
        "huber": partial(functional.huber_loss, delta=0.5),
        "gaussian": gaussian,
        "quantile": quantile,
        "ranked": ranked,
        "poisson": lambda out, y: functional.poisson_nll_loss(out, y.clamp(-3, 3).exp()),
        "smoothed": partial(functional.cross_entropy, label_smoothing=0.1),
        "focal": focal,
        "weighted": weighted,
        "summed": summed,
        "each": each,
        "hinge": functional.multi_margin_loss,
    }
    return kinds.get(plan.objective, usual)


def loss_on_inputs(plan: Plan, net: Any, x: Any) -> Any:
    """Return the loss of a net whose targets are made of its inputs, see `OF_INPUTS`."""
    import torch
    from torch.nn import functional

    if plan.objective == "denoised":  # as in diffusion: all strengths of noise in one batch
        share = torch.rand(len(x), *(1 for _ in x.shape[1:]), dtype=x.dtype)
        noise = torch.randn_like(x)
        return functional.mse_loss(net(share.sqrt() * noise + (1 - share).sqrt() * x), noise)
    whole = [part for part in x.split(plan.batch) if len(part) == min(plan.batch, len(x))]
    return sum(_told_apart(net, part) for part in whole) / len(whole)


def _told_apart(net: Any, x: Any) -> Any:
    """Ask which of a batch's rows a noisy view of it belongs to, by another noisy view."""
    import torch
    from torch.nn import functional

    first, second = (
        functional.normalize(net(x + 0.3 * x.std() * torch.randn_like(x)), dim=1) for _ in range(2)
    )
    return functional.cross_entropy(first @ second.T / 0.2, torch.arange(len(x)))


def augmenting(plan: Plan, feed: Feed, loss: Loss) -> Loss:
    """Return a loss on a batch as the training alone sees it: noisy, with holes, or mixed."""
    import torch

    def noisy(x: Any, y: Any) -> Any:
        return loss(x + 0.4 * x.std() * torch.randn_like(x), y)

    def holed(x: Any, y: Any) -> Any:
        empty = torch.randint_like(x, feed.n_symbols) if feed.n_symbols else torch.zeros_like(x)
        return loss(torch.where(torch.rand(x.shape) < 0.15, empty, x), y)

    def mixed(x: Any, y: Any) -> Any:
        share = float(torch.rand(()))
        both = share * x + (1 - share) * x.roll(1, 0)
        return share * loss(both, y) + (1 - share) * loss(both, y.roll(1, 0))

    return {"noise": noisy, "holes": holed, "mixed": mixed}.get(plan.augment, loss)


def draw_augment(symbols: bool, rng: Rng) -> str:
    """Draw what is done to the rows that a net is trained on, mostly nothing."""
    if symbols:
        return str(rng.choice(["", "", "holes"]))
    return str(rng.choice(["", "", "", "noise", "holes", "mixed"]))
