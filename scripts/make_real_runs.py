"""Train the field trial: a thousand and more small real runs, for evaluation only.

Nothing is trained on them, and nothing here knows the package's simulator: tasks, nets, faults
and the signs by which a label is kept are this script's (and make_demo_runs') own. A *base* is a
task, a net, a framework and settings that train well. It gives one healthy run and faulty ones
whose severity is drawn at random; a label is kept only where the run is worse than its healthy
twin by that cause's own sign.

    pip install torch transformers accelerate lightning tensorflow-cpu scikit-learn
    python scripts/make_real_runs.py --bases 260         # resumes where it was stopped

Writes into data/real: `runs.jsonl.xz` (one run a line: curves as logged each step, and once more
per epoch) and `labels.csv`. One core, about 20 minutes for 100 bases.
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from make_demo_runs import DATA, SIGNS, Trace, docs_text, last, seed_everything, shapes

Array = NDArray[Any]
CAUSES = tuple(SIGNS)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides one training; a fault is a change of some of these.

    Parameters
    ----------
    task, net, framework : str
        Keys of `TASKS`, `NETS` and `FRAMEWORKS`.
    n_steps, batch, n_train : int
        Updates, rows of a batch, training rows.
    gain, bias : float
        Factor on the initial hidden weights; initial hidden biases.
    penalty : float
        L2 penalty that is part of the loss (weight_decay acts in the optimiser).
    clip : float
        Largest gradient norm; 0 for no limit.
    label_noise : float
        Share of wrong training targets; those of validation too if `noisy_val`.
    bad_kind : str
        What is wrong with the batches bad_step to bad_step + bad_length - 1: "scale" or "target".
    """

    task: str
    net: str
    framework: str = "torch"
    n_steps: int = 300
    batch: int = 32
    n_train: int = 800
    lr: float = 1e-3
    optimiser: str = "adam"
    schedule: str = "constant"
    width: int = 32
    depth: int = 2
    activation: str = "relu"
    norm: str = "none"
    cell: str = "gru"
    dropout: float = 0.0
    weight_decay: float = 0.0
    penalty: float = 0.0
    clip: float = 0.0
    gain: float = 1.0
    bias: float = 0.0
    label_noise: float = 0.0
    noisy_val: bool = False
    in_order: bool = False
    bad_kind: str = ""
    bad_step: int = -1
    bad_length: int = 1
    bad_size: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """One task's rows, those for training first seen in random order.

    Parameters
    ----------
    x, y, x_val, y_val : array of shape (row, ...)
        Integer targets are classified, real ones regressed on.
    n_out : int
        Classes or symbols, or outputs of a regression.
    group : array of shape (row,)
        What unshuffled data would be sorted by.
    n_symbols : int
        Symbols of an integer input; 0 for real inputs.
    """

    x: Array
    y: Array
    x_val: Array
    y_val: Array
    n_out: int
    group: Array
    n_symbols: int = 0


@dataclass(slots=True, eq=False)
class Log:
    """What was logged: series of (step, value), and the steps of one epoch."""

    period: int
    series: dict[str, list[tuple[int, float]]] = field(
        default_factory=lambda: {"loss": [], "val": [], "grad_norm": [], "lr": []}
    )

    def add(self, step: int, **values: float) -> None:
        """Append one value to each named series."""
        for name, value in values.items():
            self.series[name].append((step, float(value)))

    def trace(self) -> Trace:
        """Return what the signs look at."""
        loss, val, norm = ([v for _, v in self.series[k]] for k in ("loss", "val", "grad_norm"))
        stride = max(1, round((self.series["loss"][-1][0] + 1) / len(loss)))
        return Trace(max(1, self.period // stride), loss, val, norm)

    def per_epoch(self) -> dict[str, dict[str, list[float]]]:
        """Return the log of a tracker that writes once an epoch: means, and the last rate."""
        coarse: dict[str, dict[str, list[float]]] = {}
        for name, points in self.series.items():
            epochs: dict[int, list[float]] = {}
            for step, value in points:
                epochs.setdefault(step // self.period, []).append(value)
            if points:
                pick = np.mean if name in ("loss", "grad_norm") else lambda v: v[-1]
                values = [_short(float(pick(epochs[e]))) for e in epochs]
                coarse[name] = {"step": [float(e) for e in epochs], "value": values}
        return coarse

    def per_step(self) -> dict[str, dict[str, list[float]]]:
        """Return the log as it was written."""
        return {
            name: {"step": [s for s, _ in points], "value": [_short(v) for _, v in points]}
            for name, points in self.series.items()
            if points
        }


def _short(value: float) -> float:
    return float(f"{value:.5g}")


# --- tasks -------------------------------------------------------------------------------------


def _cut(x: Array, y: Array, n_out: int, group: Array | None = None, n_symbols: int = 0) -> Data:
    order = np.random.default_rng(11).permutation(len(x))
    x, y = x[order], y[order]
    group = y if group is None else group[order]
    n = len(x) * 7 // 10
    return Data(x[:n], y[:n], x[n:], y[n:], n_out, group[:n], n_symbols)


def _standard(x: Array) -> NDArray[np.float32]:
    standard: NDArray[np.float32] = ((x - x.mean(0)) / (x.std(0) + 1e-9)).astype(np.float32)
    return standard


def _classes(name: str, **options: Any) -> Data:
    from sklearn import datasets

    loaded = getattr(datasets, name)(**options)
    x, y = loaded if isinstance(loaded, tuple) else (loaded.data, loaded.target)
    return _cut(_standard(x), y.astype(np.int64), int(y.max()) + 1)


def _regression(name: str, **options: Any) -> Data:
    from sklearn import datasets

    loaded = getattr(datasets, name)(**options)
    x, y = loaded if isinstance(loaded, tuple) else (loaded.data, loaded.target)
    y = _standard(y[:, None])
    return _cut(_standard(x), y, 1, y[:, 0])


def _spirals() -> Data:
    rng = np.random.default_rng(1)
    arm = rng.integers(0, 3, 1500)
    t = rng.uniform(0.3, 3, 1500)
    angle = t * 1.5 + arm * 2 * np.pi / 3
    x = np.stack([t * np.cos(angle), t * np.sin(angle)], 1) + rng.normal(0, 0.08, (1500, 2))
    return _cut(_standard(x), arm, 3)


def _digits(itself: bool) -> Data:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    return _cut(x, x, 64, y) if itself else _cut(x, y.astype(np.int64), 10)


def _shapes() -> Data:
    x, y = shapes(1700, 12, seed=3)
    return _cut(x, y, 4)


def _sine() -> Data:
    """Forecast the next value of a noisy sum of two sines; grouped by the first's period."""
    rng = np.random.default_rng(2)
    period = rng.uniform(5, 25, 1600)
    t = np.arange(21)[None] + rng.uniform(0, 50, (1600, 1))
    second = 0.5 * np.sin(2 * np.pi * t / rng.uniform(3, 8, (1600, 1)))
    wave = np.sin(2 * np.pi * t / period[:, None]) + second + rng.normal(0, 0.1, t.shape)
    wave = wave.astype(np.float32)
    return _cut(wave[:, :-1, None], wave[:, -1:], 1, period)


def _addition() -> Data:
    """Add the two marked of twelve numbers; grouped by the sum."""
    rng = np.random.default_rng(3)
    number = rng.random((2200, 12))
    mark = np.zeros((2200, 12))
    mark[np.arange(2200), rng.integers(0, 6, 2200)] = 1
    mark[np.arange(2200), rng.integers(6, 12, 2200)] = 1
    total = (number * mark).sum(1, keepdims=True).astype(np.float32) * 2 - 2
    x = np.stack([number * 2 - 1, mark], 2).astype(np.float32)
    return _cut(x, total, 1, total[:, 0])


def _copy() -> Data:
    """Repeat five symbols after they have all been seen; grouped by the first symbol."""
    rng = np.random.default_rng(4)
    word = rng.integers(1, 7, (2200, 5))
    blank = np.zeros_like(word)
    return _cut(np.hstack([word, blank]), np.hstack([blank, word]), 7, word[:, 0], 7)


@cache
def _sources() -> list[str]:
    import _pydecimal
    import argparse as prose_like
    import inspect

    docs = docs_text()
    return [docs[:60_000], inspect.getsource(prose_like)[:60_000], inspect.getsource(_pydecimal)]


def _text() -> Data:
    """Next character, of documentation and of two modules' source; grouped by source."""
    symbols = sorted(set("".join(_sources())))
    code = {c: i for i, c in enumerate(symbols)}
    rng = np.random.default_rng(5)
    rows, group = [], []
    for number, text in enumerate(_sources()):
        codes = np.array([code[c] for c in text])
        starts = rng.integers(0, len(codes) - 33, 700)
        rows.append(codes[starts[:, None] + np.arange(33)])
        group.append(np.full(700, number))
    row = np.concatenate(rows)
    return _cut(row[:, :-1], row[:, 1:], len(symbols), np.concatenate(group), len(symbols))


TASKS: dict[str, tuple[Callable[[], Data], tuple[str, ...]]] = {
    "digits": (lambda: _digits(False), ("mlp", "cnn", "resnet")),
    "wine": (lambda: _classes("load_wine"), ("mlp",)),
    "breast_cancer": (lambda: _classes("load_breast_cancer"), ("mlp",)),
    "moons": (lambda: _classes("make_moons", n_samples=1500, noise=0.2, random_state=0), ("mlp",)),
    "spirals": (_spirals, ("mlp",)),
    "clusters": (
        lambda: _classes(
            "make_classification", n_samples=4000, n_features=20, n_informative=12,
            n_classes=20, n_clusters_per_class=1, class_sep=2.0, random_state=0,
        ),
        ("mlp",),
    ),
    "diabetes": (lambda: _regression("load_diabetes"), ("mlp",)),
    "friedman": (
        lambda: _regression("make_friedman1", n_samples=1500, noise=0.5, random_state=0), ("mlp",),
    ),
    "shapes": (_shapes, ("cnn", "resnet")),
    "digits_again": (lambda: _digits(True), ("autoencoder", "vae")),
    "sine": (_sine, ("rnn", "transformer")),
    "addition": (_addition, ("rnn", "transformer")),
    "copy": (_copy, ("rnn", "transformer")),
    "text": (_text, ("rnn", "transformer")),
}  # fmt: skip


@cache
def load(task: str) -> Data:
    """Load or draw a task's rows."""
    return TASKS[task][0]()


def prepare(plan: Plan) -> Data:
    """Do to the training rows what the plan asks for."""
    data, rng = load(plan.task), np.random.default_rng(plan.seed + 1)
    x, y, group = data.x[: plan.n_train], data.y[: plan.n_train], data.group[: plan.n_train]
    y_val = data.y_val
    if plan.label_noise:
        y = _mixed(y, plan.label_noise, rng)
        y_val = _mixed(y_val, plan.label_noise, rng) if plan.noisy_val else y_val
    if plan.in_order:
        order = np.argsort(group, kind="stable")
        x, y, group = x[order], y[order], group[order]
    return replace(data, x=x, y=y, y_val=y_val, group=group)


def _mixed(y: Array, share: float, rng: np.random.Generator) -> Array:
    """Give a share of the targets those of other rows."""
    mixed: Array = np.where(rng.random(y.shape) < share, rng.permutation(y), y)
    return mixed


def batches(plan: Plan, n: int, rng: np.random.Generator) -> Iterator[Array]:
    """Yield the rows of all batches of a training, epoch after epoch."""
    for _ in range(-(-plan.n_steps // (n // plan.batch))):
        order = np.arange(n) if plan.in_order else rng.permutation(n)
        for start in range(0, n - plan.batch + 1, plan.batch):
            yield order[start : start + plan.batch]


def spoilt(plan: Plan, data: Data, x: Array, y: Array, rng: np.random.Generator) -> Any:
    """Return a bad batch: inputs out of scale (or symbols at random), or wrong targets."""
    if plan.bad_kind == "scale":
        noise = rng.integers(0, data.n_symbols, x.shape) if data.n_symbols else x * plan.bad_size
        return noise.astype(x.dtype), y
    if y.dtype.kind == "i":
        return x, (y + 1 + rng.integers(0, data.n_out - 1)) % data.n_out
    return x, (y * -plan.bad_size).astype(y.dtype)


# --- nets --------------------------------------------------------------------------------------


def make_net(plan: Plan, data: Data) -> Any:
    """Return the untrained PyTorch net of a plan, its hidden weights set as the plan asks."""
    from torch import nn

    makers = {"rnn": _sequence_net, "transformer": _sequence_net, "vae": _vae}
    net = makers.get(plan.net, _feed_forward)(plan, data)
    hidden = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)][:-1]
    for layer in hidden if plan.net not in ("rnn", "transformer") else ():
        if plan.activation in ("relu", "gelu"):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif plan.activation == "tanh":
            nn.init.xavier_normal_(layer.weight, 5 / 3)
        nn.init.constant_(layer.bias, plan.bias)  # type: ignore[arg-type]
    scaled = [layer.weight for layer in hidden]
    for name, weight in net.named_parameters():
        if "weight_hh" in name:
            for gate in weight.data.chunk(len(weight) // plan.width):
                nn.init.orthogonal_(gate)
            scaled.append(weight)
    for weight in scaled:
        weight.data.mul_(plan.gain)
    return net


def _activation(plan: Plan) -> Any:
    from torch import nn

    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}
    return kinds[plan.activation]()


def _dense(plan: Plan, widths: list[int]) -> list[Any]:
    from torch import nn

    layers: list[Any] = []
    for n_in, n_to in pairwise(widths):
        layers.append(nn.Linear(n_in, n_to))
        if plan.norm != "none":
            layers.append(nn.BatchNorm1d(n_to) if plan.norm == "batch" else nn.LayerNorm(n_to))
        layers += [_activation(plan), nn.Dropout(plan.dropout)]
    return layers


def _feed_forward(plan: Plan, data: Data) -> Any:
    from torch import nn

    n_in = int(np.prod(data.x.shape[1:]))
    if plan.net == "autoencoder":
        half = [plan.width] * max(1, plan.depth // 2)
        widths = [n_in, *half, max(1, plan.width // 4), *half]
    elif plan.net == "mlp":
        widths = [n_in] + [plan.width] * plan.depth
    else:
        return _convolutional(plan, data, math.isqrt(n_in))
    return nn.Sequential(nn.Flatten(), *_dense(plan, widths), nn.Linear(widths[-1], data.n_out))


def _convolutional(plan: Plan, data: Data, side: int) -> Any:
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(*_convolution(plan, plan.width, plan.width))

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)

    layers: list[Any] = [nn.Unflatten(1, (1, side, side)), *_convolution(plan, 1, plan.width)]
    layers.append(nn.MaxPool2d(2))
    for _ in range(plan.depth - 1):
        layers += [Block()] if plan.net == "resnet" else _convolution(plan, plan.width, plan.width)
    layers += [nn.Flatten(), nn.Dropout(plan.dropout)]
    return nn.Sequential(*layers, nn.Linear(plan.width * (side // 2) ** 2, data.n_out))


def _convolution(plan: Plan, n_in: int, n_to: int) -> list[Any]:
    from torch import nn

    norm = [nn.BatchNorm2d(n_to)] if plan.norm != "none" else []
    return [nn.Conv2d(n_in, n_to, 3, padding=1), *norm, _activation(plan)]


def _sequence_net(plan: Plan, data: Data) -> Any:
    import torch
    from torch import nn

    length, width = data.x.shape[1], plan.width
    each_step = data.y.dtype.kind == "i"

    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            symbols = data.n_symbols
            self.into = nn.Embedding(symbols, width) if symbols else nn.Linear(2, width)
            if not symbols and data.x.shape[2] == 1:
                self.into = nn.Linear(1, width)
            if plan.net == "transformer":
                self.place = nn.Parameter(torch.randn(length, width) * 0.1)
                layer = nn.TransformerEncoderLayer(
                    width, 2 if width % 2 == 0 else 1, 2 * width, plan.dropout,
                    batch_first=True, norm_first=plan.norm != "none",
                )  # fmt: skip
                self.core: Any = nn.TransformerEncoder(
                    layer, plan.depth, enable_nested_tensor=False
                )
            else:
                kinds: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM}
                other = {} if plan.cell in kinds else {"nonlinearity": plan.cell}
                kind = kinds.get(plan.cell, nn.RNN)
                self.core = kind(width, width, plan.depth, batch_first=True, **other)
            self.drop = nn.Dropout(plan.dropout)
            self.head = nn.Linear(width, data.n_out)

        def forward(self, x: Any) -> Any:
            h = self.into(x)  # (B, T, width)
            if plan.net == "transformer":
                mask = torch.triu(torch.full((length, length), -math.inf), 1)
                h = self.core(h + self.place, mask)
            else:
                h = self.core(h)[0]
            y = self.head(self.drop(h if each_step else h[:, -1]))
            return y.transpose(1, 2) if each_step else y  # (B, symbol, T) or (B, output)

    return Sequence()


def _vae(plan: Plan, data: Data) -> Any:
    import torch
    from torch import nn

    code = max(1, plan.width // 4)
    widths = [plan.width] * max(1, plan.depth // 2)

    class Variational(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Sequential(
                *_dense(plan, [64, *widths]), nn.Linear(plan.width, 2 * code)
            )
            self.decode = nn.Sequential(*_dense(plan, [code, *widths]), nn.Linear(plan.width, 64))

        def forward(self, x: Any) -> Any:
            mean, log_var = self.encode(x).chunk(2, 1)
            noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
            divergence = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1).mean()
            return self.decode(mean + noise * (0.5 * log_var).exp()), divergence

    return Variational()


def loss_of(plan: Plan, data: Data, net: Any) -> Callable[[Any, Any], Any]:
    """Return (x, y) -> loss of the net on a batch."""
    from torch.nn import functional

    def loss(x: Any, y: Any) -> Any:
        if plan.net == "vae":
            picture, divergence = net(x)
            return 10 * ((picture - y) ** 2).sum(1).mean() + divergence
        if data.y.dtype.kind == "i":
            return functional.cross_entropy(net(x), y)
        return functional.mse_loss(net(x), y)

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
        "sgd": partial(torch.optim.SGD, momentum=0.9),
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
    }
    optimiser = kinds[plan.optimiser](net.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    n, warm = plan.n_steps, max(1, plan.n_steps // 10)
    rates: dict[str, Callable[[int], float]] = {
        "constant": lambda _: 1.0,
        "cosine": lambda s: 0.5 + 0.5 * math.cos(math.pi * min(s / n, 1)),
        "steps": lambda s: 0.2 ** int(3 * s / n),
        "warmup": lambda s: min((s + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * min(s / n, 1))),
    }
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rates[plan.schedule])


# --- frameworks --------------------------------------------------------------------------------


def train_torch(plan: Plan) -> Log:
    """Train in a plain PyTorch loop."""
    import torch

    seed_everything(plan.seed)
    data = prepare(plan)
    net = make_net(plan, data)
    loss_fn = loss_of(plan, data, net)
    optimiser, schedule = make_optimiser(plan, net)
    log = Log(len(data.x) // plan.batch)
    x_val, y_val = torch.from_numpy(data.x_val), torch.from_numpy(data.y_val)
    rng, spoil = np.random.default_rng(plan.seed), np.random.default_rng(plan.seed)
    patience = 40  # steps that the loop goes on after the first loss that is not finite
    for step, rows in enumerate(batches(plan, len(data.x), rng)):
        x, y = data.x[rows], data.y[rows]
        if plan.bad_step <= step < plan.bad_step + plan.bad_length:
            x, y = spoilt(plan, data, x, y, spoil)
        net.train()
        loss = penalised(plan, net, loss_fn(torch.from_numpy(x), torch.from_numpy(y)))
        optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), plan.clip or math.inf)
        log.add(step, loss=loss.item(), grad_norm=norm.item(), lr=schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
        if (step + 1) % log.period == 0:
            net.eval()
            with torch.no_grad():
                log.add(step, val=loss_fn(x_val, y_val).item())
        patience -= not math.isfinite(loss.item())
        if patience < 0 and log.series["val"]:
            break
    return log


def train_lightning(plan: Plan) -> Log:
    """Train with Lightning and read its CSVLogger's file."""
    import lightning
    import torch
    from lightning.pytorch.callbacks import LearningRateMonitor
    from lightning.pytorch.loggers import CSVLogger
    from torch.utils.data import DataLoader, TensorDataset

    seed_everything(plan.seed)
    data = prepare(plan)

    class Module(lightning.LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.net = make_net(plan, data)
            self.loss = loss_of(plan, data, self.net)

        def training_step(self, batch: Any, _: int) -> Any:
            loss = penalised(plan, self.net, self.loss(*batch))
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("val_loss", self.loss(*batch))

        def on_before_optimizer_step(self, _: Any) -> None:
            norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
            self.log("grad_norm", torch.stack(norms).norm())

        def configure_optimizers(self) -> Any:
            optimiser, schedule = make_optimiser(plan, self)
            return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    rows = TensorDataset(torch.from_numpy(data.x), torch.from_numpy(data.y))
    rows_val = TensorDataset(torch.from_numpy(data.x_val), torch.from_numpy(data.y_val))
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_steps=plan.n_steps, logger=CSVLogger(folder, name="", version=""),
            callbacks=[LearningRateMonitor()], log_every_n_steps=1, num_sanity_val_steps=0,
            gradient_clip_val=plan.clip or None, accelerator="cpu", enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        loader = DataLoader(rows, plan.batch, shuffle=not plan.in_order, drop_last=True)
        trainer.fit(Module(), loader, DataLoader(rows_val, len(data.x_val)))
        table = (Path(folder) / "metrics.csv").read_text(encoding="utf-8").splitlines()
    log = Log(len(data.x) // plan.batch)
    for row in csv.DictReader(table):
        for name, column in (
            ("loss", "train_loss"),
            ("val", "val_loss"),
            ("grad_norm", "grad_norm"),
        ):
            if row.get(column):
                log.add(int(row["step"]), **{name: float(row[column])})
        rate = [v for k, v in row.items() if k.startswith("lr-") and v]
        if rate:
            log.add(int(row["step"]), lr=float(rate[0]))
    return log


def train_keras(plan: Plan) -> Log:
    """Train with Keras; the loss that it logs of a batch is the mean since the epoch's start."""
    import keras

    keras.utils.set_random_seed(plan.seed)
    data = prepare(plan)
    decay = keras.regularizers.L2(plan.penalty) if plan.penalty else None
    start = keras.initializers.VarianceScaling(2.0 * plan.gain**2, "fan_in")
    net = keras.Sequential([keras.Input(data.x.shape[1:])])
    if plan.net == "cnn":
        side = math.isqrt(data.x.shape[1])
        net.add(keras.layers.Reshape((side, side, 1)))
        net.add(keras.layers.Conv2D(plan.width, 3, activation=plan.activation))
        net.add(keras.layers.MaxPooling2D())
        net.add(keras.layers.Flatten())
        net.add(keras.layers.Dropout(plan.dropout))
    for _ in range(plan.depth):
        net.add(
            keras.layers.Dense(plan.width, plan.activation, True, start, kernel_regularizer=decay)
        )
        net.add(keras.layers.Dropout(plan.dropout))
    net.add(keras.layers.Dense(data.n_out, kernel_regularizer=decay))
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kinds = {"sgd": lambda lr: keras.optimizers.SGD(lr, 0.9), "rmsprop": keras.optimizers.RMSprop}
    optimiser = kinds.get(plan.optimiser, keras.optimizers.Adam)(plan.lr)
    net.compile(optimiser, sparse if data.y.dtype.kind == "i" else "mse")
    log = Log(len(data.x) // plan.batch)
    steps: list[int] = []

    def on_batch(_: int, logs: dict[str, float]) -> None:
        log.add(len(steps), loss=logs["loss"], lr=float(plan.lr))
        steps.append(0)

    def on_epoch(_: int, logs: dict[str, float]) -> None:
        log.add(len(steps) - 1, val=logs["val_loss"])

    n = log.period * plan.batch
    net.fit(
        data.x[:n], data.y[:n], plan.batch, max(2, plan.n_steps // log.period), 0,
        [keras.callbacks.LambdaCallback(on_epoch_end=on_epoch, on_train_batch_end=on_batch)],
        validation_data=(data.x_val, data.y_val), shuffle=not plan.in_order,
    )  # fmt: skip
    return log


def train_sklearn(plan: Plan) -> Log:
    """Train scikit-learn's MLP batch by batch; it knows no gradient norm."""
    import warnings

    from sklearn.metrics import log_loss, mean_squared_error
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    data = prepare(plan)
    classify = data.y.dtype.kind == "i"
    net = (MLPClassifier if classify else MLPRegressor)(
        hidden_layer_sizes=[plan.width] * plan.depth,
        activation={"sigmoid": "logistic"}.get(plan.activation, plan.activation),
        solver="sgd" if plan.optimiser == "sgd" else "adam",
        alpha=plan.penalty,
        learning_rate_init=plan.lr,
        random_state=plan.seed,
    )
    log = Log(len(data.x) // plan.batch)
    rng, spoil = np.random.default_rng(plan.seed), np.random.default_rng(plan.seed)
    known: dict[str, Any] = {"classes": np.arange(data.n_out)} if classify else {}
    for step, rows in enumerate(batches(plan, len(data.x), rng)):
        x, y = data.x[rows], data.y[rows]
        if plan.bad_step <= step < plan.bad_step + plan.bad_length:
            x, y = spoilt(plan, data, x, y, spoil)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                net.partial_fit(x, y if classify else y[:, 0], **known)
                log.add(step, loss=net.loss_, lr=plan.lr)
                if (step + 1) % log.period == 0 and classify:
                    log.add(step, val=log_loss(data.y_val, net.predict_proba(data.x_val)))
                elif (step + 1) % log.period == 0:
                    log.add(step, val=mean_squared_error(data.y_val, net.predict(data.x_val)) / 2)
        except ValueError as error:  # scikit-learn stops at weights that are not finite
            if not any(word in str(error) for word in ("finite", "infinity", "NaN")):
                raise
            break
    return log


def train_huggingface(plan: Plan) -> Log:
    """Train a tiny GPT-2 with the Hugging Face Trainer and read its log history."""
    import torch
    import transformers

    seed_everything(plan.seed)
    data = prepare(plan)
    config = transformers.GPT2Config(
        vocab_size=data.n_out, n_positions=40, n_embd=plan.width, n_layer=plan.depth,
        n_head=2, resid_pdrop=plan.dropout, embd_pdrop=plan.dropout, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip

    class Trainer(transformers.Trainer):  # type: ignore[misc, unused-ignore]
        def _get_train_sampler(self, *_: Any) -> Any:
            shuffled = super()._get_train_sampler()
            return torch.utils.data.SequentialSampler(data.x) if plan.in_order else shuffled

    def rows(x: Array, y: Array) -> list[dict[str, Any]]:
        first = x[:, :1]  # the model shifts its labels itself
        return [
            {"input_ids": a, "labels": b}
            for a, b in zip(x, np.hstack([first, y[:, :-1]]), strict=True)
        ]

    log = Log(len(data.x) // plan.batch)
    seen, unseen = rows(data.x, data.y), rows(data.x_val[:300], data.y_val[:300])
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, max_steps=plan.n_steps, learning_rate=plan.lr, weight_decay=plan.weight_decay,
            per_device_train_batch_size=plan.batch, per_device_eval_batch_size=150,
            lr_scheduler_type="linear" if plan.schedule == "constant" else "cosine",
            warmup_steps=plan.n_steps // 20, max_grad_norm=plan.clip or 1.0, logging_steps=3,
            eval_strategy="steps", eval_steps=max(10, plan.n_steps // 10), save_strategy="no",
            report_to="none", use_cpu=True, seed=plan.seed, disable_tqdm=True,
            dataloader_drop_last=True,
        )  # fmt: skip
        model = transformers.GPT2LMHeadModel(config)
        trainer = Trainer(model, arguments, train_dataset=seen, eval_dataset=unseen)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    names = {"loss": "loss", "eval_loss": "val", "grad_norm": "grad_norm", "learning_rate": "lr"}
    for row in trainer.state.log_history:
        log.add(row["step"] - 1, **{n: row[k] for k, n in names.items() if k in row})
    return log


FRAMEWORKS: dict[str, Callable[[Plan], Log]] = {
    "torch": train_torch,
    "lightning": train_lightning,
    "keras": train_keras,
    "sklearn": train_sklearn,
    "huggingface": train_huggingface,
}


# --- bases and faults --------------------------------------------------------------------------

_SHARES = {"torch": 0.6, "lightning": 0.12, "keras": 0.1, "sklearn": 0.12, "huggingface": 0.06}
_NETS = {
    "keras": ("mlp", "cnn"),
    "sklearn": ("mlp",),
    "huggingface": ("transformer",),
    "lightning": ("mlp", "cnn", "resnet", "autoencoder", "rnn", "transformer", "vae"),
}
Rng = np.random.Generator


def _power(rng: Rng, low: float, high: float) -> float:
    """Draw from 10 ** low to 10 ** high, three digits."""
    return float(f"{10 ** rng.uniform(low, high):.3g}")


def draw_base(number: int, seed: int) -> Plan:
    """Draw a task, a net and settings that should train well."""
    rng = np.random.default_rng([seed, number])
    framework = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    fitting = [
        (task, net)
        for task, (_, nets) in TASKS.items()
        for net in nets
        if net in _NETS.get(framework, (net,)) and (framework != "huggingface" or task == "text")
    ]
    tasks = sorted({task for task, _ in fitting})
    task = str(rng.choice(tasks))
    net = str(rng.choice([n for t, n in fitting if t == task]))
    rows = len(load(task).x)
    plan = Plan(
        task, net, framework,
        n_steps=int(rng.integers(200, 500)),
        batch=int(rng.choice([8, 16] if rows < 200 else [16, 32, 64])),
        schedule=str(rng.choice(["constant", "constant", "cosine", "steps", "warmup"])),
        optimiser=str(rng.choice(["adam", "adam", "adamw", "sgd", "sgd", "rmsprop"])),
        weight_decay=float(rng.choice([0, 0, 1e-4])),
        dropout=float(rng.choice([0, 0, 0.1])),
        seed=number,
    )  # fmt: skip
    if framework in ("keras", "sklearn"):
        plan = replace(plan, schedule="constant", weight_decay=0.0)
    return _sized(plan, rng)


def _sized(plan: Plan, rng: Rng) -> Plan:
    """Draw size, activation and learning rate to suit the net."""
    deep = rng.random() < 0.6 and plan.net in ("mlp", "cnn", "autoencoder")
    activation = str(rng.choice(["relu", "relu", "tanh", "gelu"]))
    if plan.framework == "sklearn" and activation == "gelu":
        activation = "relu"
    if plan.net in ("rnn", "transformer"):
        cell = str(rng.choice(["gru", "lstm", "tanh", "relu", "relu"]))
        plan = replace(
            plan, n_steps=int(rng.integers(150, 320)), width=int(rng.choice([24, 32, 40])),
            depth=1 if plan.net == "rnn" else int(rng.integers(1, 3)), clip=1.0, cell=cell,
            gain=0.5 if cell == "relu" and plan.net == "rnn" else 1.0,
            lr=_power(rng, -2.7, -2.1), norm="layer",
        )  # fmt: skip
    elif plan.net in ("cnn", "resnet"):
        depth = int(rng.integers(6, 9)) if deep else int(rng.integers(2, 4))
        norm = "batch" if plan.net == "resnet" else str(rng.choice(["none", "none", "batch"]))
        width = int(rng.choice([6, 8])) if deep else int(rng.choice([8, 12]))
        plan = replace(plan, depth=depth, width=width, norm=norm, lr=_power(rng, -3.1, -2.4))
    else:
        depth = int(rng.integers(6, 11)) if deep else int(rng.integers(1, 4))
        norm = str(rng.choice(["none", "none", "batch", "layer"]))
        plan = replace(
            plan, depth=depth, width=int(rng.choice([24, 32, 48, 64])),
            norm="none" if deep or plan.net != "mlp" else norm,
            lr=_power(rng, -3.3, -2.8) if deep else _power(rng, -3.0, -2.2),
        )  # fmt: skip
    if plan.optimiser == "sgd":  # with momentum
        plan = replace(plan, lr=float(f"{plan.lr * (8 if deep else 20):.3g}"))
    epochs = int(rng.integers(6, 13) if plan.task == "text" else rng.integers(10, 31))
    rows = min(len(load(plan.task).x), plan.batch * plan.n_steps // epochs)
    return replace(plan, activation=activation, n_train=rows)


def _exploding(plan: Plan, rng: Rng) -> Plan | None:
    if plan.framework not in ("torch", "lightning"):
        return None
    gain = plan.gain * (_power(rng, 0.2, 0.9) if plan.depth > 3 else _power(rng, 0.5, 1.2))
    return replace(plan, gain=gain, clip=0.0, norm="none")


def _vanishing(plan: Plan, rng: Rng) -> Plan | None:
    if plan.framework in ("sklearn", "keras"):
        deep = plan.depth >= 3 and plan.net == "mlp"
        return replace(plan, activation="sigmoid") if deep else None
    if plan.framework == "huggingface" or plan.net in ("rnn", "transformer"):
        return None
    kind = rng.choice(["sigmoid", "tiny", "dead"] if plan.depth > 3 else ["tiny", "dead"])
    plain = replace(plan, norm="none")
    if kind == "sigmoid":
        return replace(plain, activation="sigmoid")
    if kind == "tiny":
        return replace(plain, gain=_power(rng, -2.5, -0.7 if plan.depth > 3 else -1.5))
    return replace(plain, bias=-float(rng.uniform(1, 6)), activation="relu")


def _bad_batch(plan: Plan, rng: Rng) -> Plan | None:
    if plan.framework not in ("torch", "sklearn"):
        return None
    return replace(
        plan,
        bad_kind=str(rng.choice(["scale", "target"])),
        bad_step=int(plan.n_steps * rng.uniform(0.15, 0.85)),
        bad_length=int(rng.choice([1, 1, 1, 2, 4])),
        bad_size=_power(rng, 0.7, 2.4),
    )


def _overfitted(plan: Plan, rng: Rng) -> Plan:
    rows = int(rng.integers(20, 140))
    return replace(
        plan,
        n_train=rows,
        batch=min(plan.batch, max(4, rows // 4)),
        width=plan.width * int(rng.choice([1, 2, 3])),
        dropout=0.0,
        weight_decay=0.0,
        n_steps=int(plan.n_steps * rng.uniform(1, 1.6)),
    )


def _regularised(plan: Plan, rng: Rng) -> Plan:
    kind = rng.choice(["dropout", "penalty", "decay"])
    if plan.framework == "sklearn":
        return replace(plan, penalty=_power(rng, -0.5, 2))
    if kind == "penalty" and plan.framework != "huggingface":
        return replace(plan, penalty=_power(rng, -2.3, -0.3))
    if kind == "decay" and plan.framework != "keras":
        if plan.optimiser == "adamw" or plan.framework == "huggingface":
            return replace(plan, weight_decay=_power(rng, 0.8, 2.2))
        return replace(plan, weight_decay=_power(rng, -1.7, 0))
    return replace(plan, dropout=float(rng.uniform(0.6, 0.93)))


def _mislabelled(plan: Plan, rng: Rng) -> Plan | None:
    if plan.net in ("autoencoder", "vae"):
        return None
    wrong = float(rng.uniform(0.25, 0.85))
    return replace(plan, label_noise=wrong, noisy_val=bool(rng.random() < 0.5))


INJECT: dict[str, Callable[[Plan, Rng], Plan | None]] = {
    "healthy": lambda plan, rng: replace(
        plan, seed=plan.seed + 10_000, lr=plan.lr * _power(rng, -0.2, 0.2)
    ),
    "lr_too_high": lambda plan, rng: replace(plan, lr=plan.lr * _power(rng, 0.8, 2.8)),
    "lr_too_low": lambda plan, rng: replace(plan, lr=plan.lr * _power(rng, -3.5, -1.1)),
    "exploding_gradients": _exploding,
    "vanishing_gradients": _vanishing,
    "bad_data_batch": _bad_batch,
    "overfitting": _overfitted,
    "under_capacity": lambda plan, rng: replace(
        plan, width=2 if plan.framework == "huggingface" else int(rng.integers(1, 4))
    ),
    "over_regularisation": _regularised,
    "noisy_labels": _mislabelled,
    "unshuffled_data": lambda plan, rng: replace(plan, in_order=True),
}


def shows(cause: str, run: Trace, twin: Trace) -> bool:
    """Tell whether a run bears the sign of a cause; one too short to judge does not."""
    if cause in ("lr_too_high", "exploding_gradients"):
        return len(run.loss) >= 3 and SIGNS[cause](run, twin)
    whole = len(run.loss) >= 30 and len(run.val) >= 2 and np.isfinite(run.val).all()
    if cause == "healthy" and whole:  # settled, and not far better on the rows it has seen
        gap = run.val[-1] - last(run.loss)
        return settled(run) and gap < 0.35 * run.loss[0] and SIGNS[cause](run, twin)
    return bool(whole and SIGNS[cause](run, twin))


def settled(run: Trace) -> bool:
    """Tell whether the last third brought less than a third of the whole drop."""
    cut = 2 * len(run.loss) // 3
    middle = float(np.median(run.loss[cut : cut + max(1, len(run.loss) // 10)]))
    return middle - last(run.loss) < 0.33 * (run.loss[0] - last(run.loss))


def record(name: str, cause: str, plan: Plan, base: Plan, log: Log) -> dict[str, Any]:
    """Return one run as a line of the archive."""
    names = Plan.__dataclass_fields__
    changed = {k: getattr(plan, k) for k in names if getattr(plan, k) != getattr(base, k)}
    settings = {k: getattr(base, k) for k in names}
    return {
        "id": name,
        "base": name.split("-")[0],
        "task": plan.task,
        "net": plan.net,
        "framework": plan.framework,
        "cause": cause,
        "changed": changed,
        "settings": settings,
        "period": log.period,
        "per_step": log.per_step(),
        "per_epoch": log.per_epoch(),
    }


def train(plan: Plan) -> Log:
    """Train with the plan's framework, floating-point warnings silenced: they are the subject."""
    with np.errstate(all="ignore"):
        return FRAMEWORKS[plan.framework](plan)


def make_base(number: int, seed: int, counts: Counter[str]) -> tuple[list[dict[str, Any]], Any]:
    """Train one base and its variants.

    Parameters
    ----------
    number, seed : int
        Decide all draws.
    counts : Counter
        Runs so far by cause: a cause that lags is tried up to three times.

    Returns
    -------
    the runs that are kept, and how often each cause was tried (None: the base trained badly)
    """
    rng = np.random.default_rng([seed, number, 1])
    base = draw_base(number, seed)
    healthy = train(base)
    twin = healthy.trace()
    if not shows("healthy", twin, twin):
        return [], None
    runs = [record(f"{number:04d}-00", "healthy", base, base, healthy)]
    tried: Counter[str] = Counter()
    average = sum(counts.values()) / len(CAUSES)
    for cause, inject in INJECT.items():
        for _ in range(3 if counts[cause] < 0.6 * average else 1):
            plan = inject(base, rng)
            if plan is None:
                continue
            tried[cause] += 1
            log = train(plan)
            if log.series["loss"] and shows(cause, log.trace(), twin):
                name = f"{number:04d}-{len(runs):02d}"
                runs.append(record(name, cause, plan, base, log))
                break
    return runs, dict(tried)


# --- archive -----------------------------------------------------------------------------------


def resume(path: Path) -> list[dict[str, Any]]:
    """Return the finished bases of an earlier start; a line cut short ends the list."""
    bases = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            bases.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return bases


def write_archive(bases: list[dict[str, Any]], out: Path) -> None:
    """Write runs.jsonl.xz and labels.csv."""
    out.mkdir(parents=True, exist_ok=True)
    runs = [run for base in bases for run in base["runs"]]
    with lzma.open(out / "runs.jsonl.xz", "wt", encoding="utf-8", preset=6) as file:
        file.writelines(json.dumps(run, separators=(",", ":")) + "\n" for run in runs)
    columns = ("id", "base", "task", "net", "framework", "cause")
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*columns, "changed", "final_loss", "healthy_final_loss"])
        for base in bases:
            final = [last(run["per_step"]["loss"]["value"]) for run in base["runs"]]
            for run, loss in zip(base["runs"], final, strict=True):
                fixed = [run[column] for column in columns]
                table.writerow(
                    [*fixed, json.dumps(run["changed"]), f"{loss:.5g}", f"{final[0]:.5g}"]
                )


def main() -> None:
    """Train bases up to the number asked for, one after the other, and write the archive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bases", type=int, default=260, help="how many bases in all")
    parser.add_argument("--out", type=Path, default=DATA / "real", help="folder of the archive")
    parser.add_argument("--seed", type=int, default=2026)
    chosen = parser.parse_args()
    progress = DATA.parent / "out" / f"real_runs_{chosen.seed}.jsonl"
    progress.parent.mkdir(exist_ok=True)
    bases = resume(progress)
    with progress.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(base) + "\n" for base in bases)
    counts = Counter(run["cause"] for base in bases for run in base["runs"])
    for number in range(len(bases), chosen.bases):
        runs, tried = make_base(number, chosen.seed, counts)
        bases.append({"base": number, "tried": tried, "runs": runs})
        with progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(bases[-1]) + "\n")
        counts.update(run["cause"] for run in runs)
        plan = draw_base(number, chosen.seed)
        print(
            number, plan.framework, plan.task, plan.net, len(runs), sum(counts.values()), flush=True
        )
    write_archive(bases, chosen.out)
    print(dict(counts))


if __name__ == "__main__":
    main()
