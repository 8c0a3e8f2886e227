"""Paddle, logged by VisualDL's LogWriter and read back by its LogReader."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .feed import Feed, prepare
from .log import Log
from .nets import hidden_widths
from .plan import Plan, rate_of

PATIENCE = 40  # steps that the loop goes on after the first loss that is not finite


def train(plan: Plan) -> Log:
    """Train in a Paddle loop; a resume saves with paddle.save, builds anew and loads."""
    import paddle

    paddle.set_device("cpu")
    paddle.seed(plan.seed)
    feed = prepare(plan)
    log = Log(feed.period, feed.every)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "checkpoint.pdparams"
        for number, steps in enumerate(plan.segments()):
            place = Path(folder) / str(number)
            with paddle.utils.unique_name.guard():  # an optimiser's state goes by names
                _start(plan, feed, log, steps, saved, place)
            _read(place, log)
    return log


def _start(
    plan: Plan, feed: Feed, log: Log, steps: tuple[int, int], saved: Path, place: Path
) -> None:
    """Build everything, load what the plan keeps of a checkpoint, do the updates, save."""
    import paddle

    net = _net(plan, feed)
    rate = paddle.optimizer.lr.LambdaDecay(plan.lr, rate_of(plan))
    optimiser = _optimiser(plan, net, rate)
    if saved.exists():
        state = paddle.load(str(saved))
        net.set_state_dict(state["net"])
        of_schedule = state["optimiser"].pop("LR_Scheduler")
        if plan.keeps("optimiser"):
            optimiser.set_state_dict(state["optimiser"])
        if plan.keeps("schedule"):
            rate.set_state_dict(of_schedule)
    _run(plan, feed, log, steps, net, optimiser, rate, place)
    paddle.save({"net": net.state_dict(), "optimiser": optimiser.state_dict()}, str(saved))


def _optimiser(plan: Plan, net: Any, rate: Any) -> Any:
    import paddle

    clip = paddle.nn.ClipGradByGlobalNorm(plan.clip) if plan.clip else None
    rest: dict[str, Any] = {"parameters": net.parameters(), "grad_clip": clip}
    if plan.weight_decay:
        rest["weight_decay"] = plan.weight_decay
    kinds: dict[str, Callable[[], Any]] = {
        "sgd": lambda: paddle.optimizer.Momentum(rate, plan.momentum, **rest),
        "adam": lambda: paddle.optimizer.Adam(rate, plan.momentum, **rest),
        "adamw": lambda: paddle.optimizer.AdamW(rate, plan.momentum, **rest),
        "rmsprop": lambda: paddle.optimizer.RMSProp(rate, **rest),
        "adagrad": lambda: paddle.optimizer.Adagrad(rate, **rest),
    }
    return kinds[plan.optimiser]()


def _run(
    plan: Plan,
    feed: Feed,
    log: Log,
    steps: tuple[int, int],
    net: Any,
    optimiser: Any,
    rate: Any,
    place: Path,
) -> None:
    """Do the updates of one start and write them with LogWriter."""
    import paddle
    from visualdl import LogWriter

    loss_fn, patience = _loss_of(plan, feed, net), PATIENCE
    right = _loss_of(plan, feed, net, right=True)
    with LogWriter(str(place)) as writer:
        for step in range(*steps):
            rows = feed.batches[step]
            net.train()
            loss = loss_fn(feed.x[rows], feed.y[rows])
            if plan.penalty:
                loss = loss + plan.penalty * sum((w**2).sum() for w in net.parameters())
            loss.backward()
            squares = sum((w.grad**2).sum() for w in net.parameters() if w.grad is not None)
            writer.add_scalar("train/loss", float(loss), step)
            writer.add_scalar("train/grad_norm", math.sqrt(float(squares)), step)
            writer.add_scalar("train/lr", optimiser.get_lr(), step)
            optimiser.step()
            optimiser.clear_grad()
            rate.step()
            if (step + 1) % feed.every == 0:
                net.eval()
                with paddle.no_grad():
                    val = float(loss_fn(feed.x_val, feed.y_val))
                    writer.add_scalar("eval/loss", val, step)
                    if plan.wrong_loss or plan.val_fault:
                        log.honest.append(float(right(feed.x_honest, feed.y_honest)))
            patience -= not math.isfinite(float(loss))
            if patience < 0:
                break


def _read(place: Path, log: Log) -> None:
    from visualdl import LogReader

    reader = LogReader(file_path=str(next(place.glob("vdlrecords.*"))))
    tags = {"loss": "train/loss", "val": "eval/loss", "grad_norm": "train/grad_norm"}
    written = reader.get_tags()["scalar"]
    for name, tag in (tags | {"lr": "train/lr"}).items():
        for point in reader.get_data("scalar", tag) if tag in written else ():
            log.add(point.id, **{name: point.value})


def _loss_of(plan: Plan, feed: Feed, net: Any, right: bool = False) -> Callable[[Any, Any], Any]:
    """Return (x, y) -> loss of the net on rows; `right` for the loss that should be used."""
    import paddle
    from paddle.nn import functional

    wrong = "" if right else plan.wrong_loss

    def loss(x: Any, y: Any) -> Any:
        out, target = net(paddle.to_tensor(x)), paddle.to_tensor(y)
        if not feed.classify:
            if wrong == "broadcast":
                return ((out - target[:, 0]) ** 2).mean()  # (B, 1) - (B,) is (B, B)
            if wrong == "product":
                return -(out * target).mean()
            return functional.mse_loss(out, target) * (-1 if wrong == "sign" else 1)
        if wrong == "ahead":
            out, target = out[:, :-1], target[:, 1:]
        if wrong == "same":
            target = paddle.to_tensor(x)
        if wrong == "nll":
            return -(out * functional.one_hot(target, feed.n_out)).sum(-1).mean()
        if wrong in ("softmax", "sigmoid"):
            out = functional.softmax(out) if wrong == "softmax" else functional.sigmoid(out)
        return functional.cross_entropy(out, target) * (-1 if wrong == "sign" else 1)

    return loss


def _net(plan: Plan, feed: Feed) -> Any:
    """Return the untrained net: an MLP, an autoencoder, a CNN or a recurrent net."""
    from paddle import nn

    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}
    rng = np.random.default_rng(plan.seed)

    def dense(n_in: int, n_to: int) -> Any:
        gain = {"relu": 2.0, "gelu": 2.0, "tanh": 25 / 9}.get(plan.activation, 1.0)
        spread = plan.gain * math.sqrt(gain / n_in)
        start = nn.initializer.Assign(rng.normal(0, spread, (n_in, n_to)).astype(np.float32))
        if plan.init:
            start = nn.initializer.Constant(0.0 if plan.init == "zero" else 0.01)
        return nn.Linear(n_in, n_to, start, nn.initializer.Constant(plan.bias))

    if plan.net == "rnn":
        return _recurrent(plan, feed)
    n_in = int(np.prod(feed.x.shape[1:]))
    layers: list[Any] = [nn.Flatten()]
    widths = [n_in, *hidden_widths(plan)]
    if plan.net == "cnn":
        side = math.isqrt(n_in)
        layers = [nn.Flatten(), nn.Unflatten(1, [1, side, side])]
        n_from = 1
        for _ in range(plan.depth):
            weights = rng.normal(
                0, plan.gain * math.sqrt(2 / n_from / 9), (plan.width, n_from, 3, 3)
            )
            start = nn.initializer.Assign(weights.astype(np.float32))
            layers += [nn.Conv2D(n_from, plan.width, 3, padding=1, weight_attr=start)]
            layers += [kinds[plan.activation]()]
            n_from = plan.width
        layers += [nn.MaxPool2D(2), nn.Flatten()]
        widths = [plan.width * (side // 2) ** 2]
    for n_from, n_to in pairwise(widths):
        layers.append(dense(n_from, n_to))
        if plan.norm != "none":
            layers.append(nn.BatchNorm1D(n_to) if plan.norm == "batch" else nn.LayerNorm(n_to))
        layers += [kinds[plan.activation](), nn.Dropout(plan.dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], feed.n_out))


def _recurrent(plan: Plan, feed: Feed) -> Any:
    from paddle import nn

    class Sequence(nn.Layer):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            symbols = feed.n_symbols
            self.into = (
                nn.Embedding(symbols, plan.width)
                if symbols
                else nn.Linear(feed.x.shape[2], plan.width)
            )
            cells: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM}
            other = {} if plan.cell in cells else {"activation": plan.cell}
            self.core = cells.get(plan.cell, nn.SimpleRNN)(plan.width, plan.width, **other)
            for name, weight in self.core.named_parameters():
                if "weight_hh" in name:
                    weight.set_value(weight * plan.gain)
            self.drop = nn.Dropout(plan.dropout)
            self.head = nn.Linear(plan.width, feed.n_out)

        def forward(self, x: Any) -> Any:
            h = self.core(self.into(x))[0]  # (B, T, width)
            return self.head(self.drop(h if feed.classify else h[:, -1]))

    return Sequence()
