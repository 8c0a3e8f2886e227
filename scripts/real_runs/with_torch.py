"""A plain PyTorch loop with a log of its own."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from make_demo_runs import seed_everything

from .feed import Feed, prepare
from .log import Log
from .nets import make_net
from .objectives import augmenting
from .plan import Plan
from .tasks import load
from .torch_parts import as_input, casting, loss_of, make_optimiser, penalised, scaler_of

PATIENCE = 40  # steps that a loop goes on after the first loss that is not finite


def train(plan: Plan) -> Log:
    """Train in a plain PyTorch loop; a resume saves, builds everything anew and loads."""
    import torch

    seed_everything(plan.seed)
    feed = prepare(plan)
    log = Log(feed.period, feed.every)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "checkpoint.pt"
        for first, end in plan.segments():
            net = make_net(plan, feed)
            if plan.warm and not saved.exists():
                _warm_up(plan, feed, net)
            if plan.half == "weights":
                net.half()
            optimiser, schedule = make_optimiser(plan, net)
            parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
            if saved.exists():
                state = torch.load(saved, weights_only=False)
                for name, part in parts.items():
                    if plan.keeps(name):
                        part.load_state_dict(state[name])
            if not _run(plan, feed, log, (first, end), net, optimiser, schedule):
                break
            torch.save({name: part.state_dict() for name, part in parts.items()}, saved)
    return log


def _warm_up(plan: Plan, feed: Feed, net: Any) -> None:
    """Train the net on rows that the training does not see, as a net is that is fine-tuned."""
    import torch

    data, rng = load(plan.task), np.random.default_rng(plan.seed + 3)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    loss_fn = loss_of(plan, feed, net, right=True)
    last = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][-1]
    fresh = {name: value.clone() for name, value in last.state_dict().items()}
    net.train()
    for _ in range(abs(plan.warm)):
        rows = rng.integers(plan.n_train, len(data.x), 32)
        optimiser.zero_grad()
        loss_fn(torch.from_numpy(data.x[rows]), torch.from_numpy(data.y[rows])).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    if plan.warm < 0:
        last.load_state_dict(fresh)


def _run(
    plan: Plan,
    feed: Feed,
    log: Log,
    steps: tuple[int, int],
    net: Any,
    optimiser: Any,
    schedule: Any,
) -> bool:
    """Do the updates of one start; False where the loss has long not been finite."""
    import torch

    loss_fn = augmenting(plan, feed, loss_of(plan, feed, net))
    scaler, patience = scaler_of(plan), PATIENCE
    for step in range(*steps):
        rows = feed.batches[step]
        net.train()
        with casting(plan):
            loss = loss_fn(as_input(plan, feed.x[rows]), as_input(plan, feed.y[rows]))
        loss = penalised(plan, net, loss)
        optimiser.zero_grad()
        if plan.half and not plan.checked:  # a scaler made at home
            scale = plan.loss_scale * plan.growth_factor ** (step // plan.growth)
            (loss * scale).backward()
            for weight in net.parameters():
                weight.grad = None if weight.grad is None else weight.grad / scale
        else:
            scaler.scale(loss).backward()
            scaler.unscale_(optimiser)
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), plan.clip or math.inf)
        log.add(step, loss=loss.item(), grad_norm=norm.item(), lr=optimiser.param_groups[0]["lr"])
        scaler.step(optimiser)
        scaler.update()
        if plan.schedule != "plateau":
            schedule.step()
        if (step + 1) % feed.every == 0:
            log.add(step, val=_validate(plan, feed, log, net))
            if plan.schedule == "plateau":
                schedule.step(log.series["val"][-1][1])
        patience -= not math.isfinite(loss.item()) and not scaler.is_enabled()
        if patience < 0 and log.series["val"]:
            return False
    return True


def _validate(plan: Plan, feed: Feed, log: Log, net: Any) -> float:
    """Return the validation loss as the plan computes it; note the honest one."""
    import torch

    net.eval()
    with torch.no_grad(), casting(plan):
        x, y = as_input(plan, feed.x_val), as_input(plan, feed.y_val)
        val = float(loss_of(plan, feed, net)(x, y))
        if plan.wrong_loss or plan.val_fault:
            x, y = as_input(plan, feed.x_honest), as_input(plan, feed.y_honest)
            log.honest.append(float(loss_of(plan, feed, net, right=True)(x, y)))
    return val
