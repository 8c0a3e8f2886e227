"""Losses, optimisers and half precision in PyTorch, for the plain loop and Lightning."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

from .feed import Feed
from .objectives import OF_INPUTS, Loss, loss_on_inputs, loss_on_outputs
from .plan import Plan, rate_of


def loss_of(plan: Plan, feed: Feed, net: Any, right: bool = False) -> Loss:
    """Return (x, y) -> loss of the net on a batch; `right` for the loss that should be used."""
    from torch.nn import functional

    wrong = "" if right else plan.wrong_loss
    away = -1 if wrong == "sign" else 1
    judge = loss_on_outputs(plan, feed)

    def loss(x: Any, y: Any) -> Any:
        if plan.objective in OF_INPUTS:
            return away * loss_on_inputs(plan, net, x)
        out = net(x)
        if plan.net == "vae":
            picture, divergence = out
            distance = 10 * ((picture - y) ** 2).sum(1).mean()
            return {"sign": -distance + divergence, "divergence": distance - divergence}.get(
                wrong, distance + divergence
            )
        if not feed.classify:
            if wrong == "broadcast":  # (B, 1) beside (B,) is (B, B)
                y = y[:, 0].expand(len(out), len(out))
                out = out.expand_as(y)
            return -(out * y).mean() if wrong == "product" else away * judge(out, y)
        if wrong == "ahead":  # shifted once by the data and once more by the loss
            out, y = out[..., :-1], y[..., 1:]
        if wrong == "nll":
            return functional.nll_loss(out, y)  # of logits, not of log-probabilities
        if wrong in ("softmax", "sigmoid"):
            out = functional.softmax(out, 1) if wrong == "softmax" else out.sigmoid()
        if wrong == "same":
            y = x
        if plan.half == "log":
            chosen = functional.softmax(out.half(), 1).gather(1, y.unsqueeze(1))
            return -chosen.log().mean()
        return away * judge(out, y)

    return loss


def penalised(plan: Plan, net: Any, loss: Any) -> Any:
    """Add the plan's L2 penalty to a training loss."""
    if not plan.penalty:
        return loss
    return loss + plan.penalty * sum((weight**2).sum() for weight in net.parameters())


def make_optimiser(plan: Plan, net: Any) -> tuple[Any, Any]:
    """Return optimiser and learning-rate schedule."""
    import torch

    kinds: dict[str, Any] = {
        "sgd": partial(torch.optim.SGD, momentum=plan.momentum),
        "adam": partial(torch.optim.Adam, betas=(plan.momentum, 0.999)),
        "adamw": partial(torch.optim.AdamW, betas=(plan.momentum, 0.999)),
        "rmsprop": torch.optim.RMSprop,
        "adagrad": torch.optim.Adagrad,
    }
    optimiser = kinds[plan.optimiser](net.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    if plan.schedule == "plateau":
        return optimiser, torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser, factor=0.3, patience=1
        )
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate_of(plan))


def casting(plan: Plan) -> Any:
    """Return the context in which the forward pass runs."""
    import torch

    if plan.half in ("autocast", "log"):
        return torch.autocast("cpu", dtype=torch.float16)
    if plan.half == "bfloat16":
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()


def scaler_of(plan: Plan) -> Any:
    """Return PyTorch's own loss scaler, switched off where the plan has none."""
    import torch

    return torch.amp.GradScaler(
        "cpu",
        init_scale=plan.loss_scale,
        growth_factor=plan.growth_factor,
        growth_interval=plan.growth,
        enabled=plan.half in ("autocast", "log") and plan.checked,
    )


def as_input(plan: Plan, rows: Any) -> Any:
    """Return rows as a tensor, real ones in half precision where the weights are."""
    import torch

    tensor = torch.from_numpy(rows)
    return tensor.half() if plan.half == "weights" and rows.dtype.kind == "f" else tensor
