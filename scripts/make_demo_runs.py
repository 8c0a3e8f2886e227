"""Train the demo archive: small real runs by real frameworks, most with one injected fault.

Every faulty run has a healthy twin (same task, same net, same seed) that is trained too; the
run is kept only where it is worse than its twin by that cause's own sign. The logs stay as the
framework wrote them; only the host in the name of TensorBoard files becomes "demo".

    pip install torch transformers accelerate lightning tensorboard tensorflow-cpu scikit-learn
    python scripts/make_demo_runs.py                         # all runs into data/demo
    python scripts/make_demo_runs.py --only torch/digits-mlp-02 --out elsewhere

One thread, fixed seeds: the same versions on the same machine give the same numbers.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

for _threads in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_threads, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Floats = NDArray[np.float64]
DATA = Path(__file__).resolve().parents[1] / "data"


@dataclass(frozen=True, slots=True)
class Setting:
    """All that decides one training; a fault is a change of some of these.

    Parameters
    ----------
    task, net : str
        Keys of `TASKS` and of the nets.
    epochs, batch, width, depth : int
        Passes over the data, rows of a batch, units of a layer, number of hidden layers.
    gain : float
        Factor on the initial hidden weights.
    clip : float
        Largest gradient norm; 0 for no limit.
    n_train : int
        Training rows used; 0 for all.
    label_noise : float
        Share of training labels that are drawn anew.
    bad_step : int
        Step whose batch arrives unscaled (0 to 255 instead of 0 to 1); -1 for none.
    warmup : int
        Steps of rising learning rate (Hugging Face only).
    """

    task: str
    net: str
    epochs: int
    lr: float
    optimiser: str = "adam"
    schedule: str = "constant"
    batch: int = 32
    width: int = 64
    depth: int = 2
    activation: str = "relu"
    gain: float = 1.0
    dropout: float = 0.0
    weight_decay: float = 0.0
    clip: float = 0.0
    n_train: int = 0
    label_noise: float = 0.0
    sorted_by_class: bool = False
    bad_step: int = -1
    warmup: int = 20
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """One task: integer `y` is classified, real `y` is regressed on.

    Parameters
    ----------
    x, y, x_val, y_val : array of shape (row, ...)
        Training and validation rows.
    n_out : int
        Classes, or outputs of the regression.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    x_val: NDArray[Any]
    y_val: NDArray[Any]
    n_out: int


@dataclass(slots=True, eq=False)
class Trace:
    """What a training did, for judging it: the log itself is on disk.

    Parameters
    ----------
    loss, val, grad_norm : list of float
        Training loss in the order of training, validation loss, gradient norm.
    period : int
        Points of `loss` in one epoch.
    """

    period: int = 1
    loss: list[float] = field(default_factory=list)
    val: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)


# --- tasks -----------------------------------------------------------------------------------


def docs_text() -> str:
    """Return the language reference that comes with Python (about 700,000 characters)."""
    from pydoc_data.topics import topics

    return "\n".join(topics[key] for key in sorted(topics))


def windows(text: str, length: int, n_train: int, n_val: int, seed: int) -> Data:
    """Cut text into windows of characters; the target is the next character.

    Parameters
    ----------
    text : str
        Validation windows come from the last tenth, training windows from the rest.
    length : int
        Characters of a window.
    n_train, n_val : int
        Windows of each kind.
    seed : int
        Decides where the windows start.
    """
    symbols = sorted(set(text))
    codes = np.array([symbols.index(c) for c in text], dtype=np.int64)
    rng = np.random.default_rng(seed)
    cut = len(codes) * 9 // 10
    starts = rng.integers(0, cut - length - 1, n_train)
    starts_val = rng.integers(cut, len(codes) - length - 1, n_val)
    grid = np.arange(length + 1)
    rows, rows_val = codes[starts[:, None] + grid], codes[starts_val[:, None] + grid]
    return Data(rows[:, :-1], rows[:, 1:], rows_val[:, :-1], rows_val[:, 1:], len(symbols))


def _split(x: NDArray[Any], y: NDArray[Any], n_out: int, share: float = 0.7) -> Data:
    order = np.random.default_rng(7).permutation(len(x))
    cut = int(share * len(x))
    a, b = order[:cut], order[cut:]
    return Data(x[a], y[a], x[b], y[b], n_out)


def _bundled(name: str, n_out: int) -> Data:
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = (x - x.mean(0)) / (x.std(0) + 1e-9)
    y = y.astype(np.int64) if n_out > 1 else ((y - y.mean()) / y.std())[:, None]
    return _split(x.astype(np.float32), y if n_out > 1 else y.astype(np.float32), n_out)


def _digits() -> Data:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return _split((x / 16).astype(np.float32), y.astype(np.int64), 10)


def shapes(n: int, size: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw discs, squares, triangles and crosses of random place, size and brightness.

    Parameters
    ----------
    n, size : int
        Number of images, pixels a side.
    seed : int
        Decides all draws.

    Returns
    -------
    images of shape (n, size * size) in 0 to 1, and labels 0 to 3 of shape (n,)
    """
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[:size, :size][:, None] + np.zeros((1, n, 1, 1))
    kind = rng.integers(0, 4, n)
    r = rng.uniform(size / 6, size / 3, n)[:, None, None]
    dx = u - rng.uniform(size / 3, 2 * size / 3, n)[:, None, None]
    dy = v - rng.uniform(size / 3, 2 * size / 3, n)[:, None, None]
    disc = dx**2 + dy**2 < r**2
    square = np.maximum(abs(dx), abs(dy)) < r * 0.85
    triangle = (dy < r * 0.8) & (abs(dx) < (dy + r) * 0.55)
    cross = (np.minimum(abs(dx), abs(dy)) < r * 0.3) & (np.maximum(abs(dx), abs(dy)) < r)
    ink = np.stack([disc, square, triangle, cross])[kind, np.arange(n)]
    image = ink * rng.uniform(0.4, 1, n)[:, None, None] + rng.normal(0, 0.15, (n, size, size))
    return np.clip(image, 0, 1).reshape(n, -1).astype(np.float32), kind.astype(np.int64)


def _shapes() -> Data:
    x, y = shapes(1500, 16, seed=3)
    return _split(x, y, 4)


TASKS: dict[str, Callable[[], Data]] = {
    "digits": _digits,
    "wine": lambda: _bundled("wine", 3),
    "breast_cancer": lambda: _bundled("breast_cancer", 2),
    "diabetes": lambda: _bundled("diabetes", 1),
    "shapes": _shapes,
    "docs": lambda: windows(docs_text(), 48, 3000, 300, seed=5),
}


def prepare(setting: Setting) -> Data:
    """Load the task and do to the training rows what the setting asks for."""
    data = TASKS[setting.task]()
    rng = np.random.default_rng(setting.seed + 1)
    x, y = data.x, data.y
    if setting.n_train:
        x, y = x[: setting.n_train], y[: setting.n_train]
    if setting.label_noise:
        wrong = rng.random(len(y)) < setting.label_noise
        y = np.where(wrong, rng.permutation(y), y)
    if setting.sorted_by_class:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    return replace(data, x=x, y=y)


# --- nets and plain PyTorch --------------------------------------------------------------------


def seed_everything(seed: int) -> None:
    """Fix the seeds of PyTorch and numpy, one thread, repeatable algorithms."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the frameworks draw from it


def make_net(setting: Setting, data: Data) -> Any:
    """Return the untrained PyTorch net of a setting."""
    from torch import nn

    act = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[setting.activation]
    if setting.net == "rnn":
        return make_rnn(setting, data.n_out)
    layers: list[nn.Module] = []
    n_in = data.x.shape[1]
    if setting.net == "cnn":
        side = math.isqrt(n_in)
        layers = [nn.Unflatten(1, (1, side, side))]
        for n_from, n_to in ((1, setting.width), (setting.width, 2 * setting.width)):
            layers += [nn.Conv2d(n_from, n_to, 3, padding=1), act(), nn.MaxPool2d(2)]
        layers.append(nn.Flatten())
        n_in = 2 * setting.width * (side // 4) ** 2
    else:
        for _ in range(setting.depth):
            linear = nn.Linear(n_in, setting.width)
            if setting.activation == "tanh":
                nn.init.xavier_normal_(linear.weight, gain=5 / 3)
            linear.weight.data.mul_(setting.gain)
            layers += [linear, act(), nn.Dropout(setting.dropout)]
            n_in = setting.width
    return nn.Sequential(*layers, nn.Linear(n_in, data.n_out))


def make_rnn(setting: Setting, n_symbols: int) -> Any:
    """Return a character model with a plain recurrent net; `gain` scales its recurrent weights."""
    import torch
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(n_symbols, 24)
            kind = setting.activation
            self.core = nn.RNN(24, setting.width, batch_first=True, nonlinearity=kind)
            self.head = nn.Linear(setting.width, n_symbols)
            recurrent: Any = self.core.weight_hh_l0
            nn.init.orthogonal_(recurrent, gain=setting.gain)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.head(self.core(self.embed(x))[0])
            return y.transpose(1, 2)  # (B, symbol, T)

    return Recurrent()


def make_optimiser(setting: Setting, net: Any, n_steps: int) -> tuple[Any, Any]:
    """Return optimiser and schedule of a setting."""
    import torch

    if setting.optimiser == "sgd":
        optimiser: Any = torch.optim.SGD(
            net.parameters(), setting.lr, momentum=0.9, weight_decay=setting.weight_decay
        )
    else:
        optimiser = torch.optim.AdamW(
            net.parameters(), setting.lr, weight_decay=setting.weight_decay
        )
    rates: dict[str, Callable[[int], float]] = {
        "constant": lambda _: 1.0,
        "cosine": lambda s: 0.5 + 0.5 * math.cos(math.pi * min(s / n_steps, 1)),
        "steps": lambda s: 0.1 ** int(3 * s / n_steps),
    }
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rates[setting.schedule])


def loss_of(data: Data) -> Any:
    """Return cross-entropy for integer targets, the mean squared error for real ones."""
    from torch import nn

    return nn.CrossEntropyLoss() if data.y.dtype.kind == "i" else nn.MSELoss()


def batches(data: Data, setting: Setting, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each batch of one epoch."""
    n = len(data.x)
    order = np.arange(n) if setting.sorted_by_class else rng.permutation(n)
    for start in range(0, n - setting.batch + 1, setting.batch):
        yield order[start : start + setting.batch]


def train_torch(setting: Setting, folder: Path) -> Trace:
    """Train with a plain PyTorch loop that logs to TensorBoard by SummaryWriter."""
    import torch
    from torch.utils.tensorboard import SummaryWriter

    seed_everything(setting.seed)
    data = prepare(setting)
    net, loss_fn = make_net(setting, data), loss_of(data)
    trace = Trace(period=len(data.x) // setting.batch)
    optimiser, schedule = make_optimiser(setting, net, setting.epochs * trace.period)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    x_val, y_val = torch.from_numpy(data.x_val), torch.from_numpy(data.y_val)
    rng = np.random.default_rng(setting.seed)
    writer: Any = SummaryWriter(str(folder))
    for _ in range(setting.epochs):
        net.train()
        for rows in batches(data, setting, rng):
            step = len(trace.loss)
            scale = 255.0 if step == setting.bad_step else 1.0
            loss = loss_fn(net(x[rows] * scale if scale > 1 else x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(net.parameters(), setting.clip or math.inf)
            writer.add_scalar("loss/train", loss.item(), step)
            writer.add_scalar("grad_norm", norm.item(), step)
            writer.add_scalar("lr", schedule.get_last_lr()[0], step)
            optimiser.step()
            schedule.step()
            trace.loss.append(loss.item())
            trace.grad_norm.append(norm.item())
        net.eval()
        with torch.no_grad():
            trace.val.append(loss_fn(net(x_val), y_val).item())
        writer.add_scalar("loss/val", trace.val[-1], len(trace.loss) - 1)
    writer.close()
    return trace


# --- Lightning, Hugging Face, Keras ------------------------------------------------------------


def train_lightning(setting: Setting, folder: Path) -> Trace:
    """Train with Lightning and its CSVLogger."""
    import lightning
    import torch
    from lightning.pytorch.callbacks import LearningRateMonitor
    from lightning.pytorch.loggers import CSVLogger
    from torch.utils.data import DataLoader, TensorDataset

    seed_everything(setting.seed)
    data = prepare(setting)
    trace = Trace(period=len(data.x) // setting.batch)

    class Module(lightning.LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self, **settings: Any) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net, self.loss = make_net(setting, data), loss_of(data)

        def training_step(self, batch: Any, _: int) -> Any:
            loss = self.loss(self.net(batch[0]), batch[1])
            self.log("train_loss", loss)
            trace.loss.append(loss.item())
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            loss = self.loss(self.net(batch[0]), batch[1])
            self.log("val_loss", loss)
            trace.val.append(loss.item())

        def on_before_optimizer_step(self, _: Any) -> None:
            norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
            norm = torch.stack(norms).norm()
            self.log("grad_norm", norm)
            trace.grad_norm.append(norm.item())

        def configure_optimizers(self) -> Any:
            n_steps = setting.epochs * trace.period
            optimiser, schedule = make_optimiser(setting, self, n_steps)
            return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    rows = TensorDataset(torch.from_numpy(data.x), torch.from_numpy(data.y))
    rows_val = TensorDataset(torch.from_numpy(data.x_val), torch.from_numpy(data.y_val))
    trainer = lightning.Trainer(
        max_epochs=setting.epochs,
        logger=CSVLogger(folder.parent, name=folder.name, version=0),
        callbacks=[LearningRateMonitor()],
        log_every_n_steps=2,
        num_sanity_val_steps=0,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    kept = ("net", "width", "depth", "activation", "dropout", "lr", "batch")
    trainer.fit(
        Module(**{key: getattr(setting, key) for key in kept}),
        DataLoader(rows, setting.batch, shuffle=not setting.sorted_by_class, drop_last=True),
        DataLoader(rows_val, len(data.x_val)),
    )
    return trace


def train_huggingface(setting: Setting, folder: Path) -> Trace:
    """Train with the Hugging Face Trainer; of the checkpoint only trainer_state.json is kept."""
    import torch
    import transformers

    seed_everything(setting.seed)
    data = prepare(setting)
    config = transformers.GPT2Config(
        vocab_size=data.n_out, n_positions=64, n_embd=setting.width, n_layer=setting.depth,
        n_head=2, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip

    def rows(x: NDArray[Any]) -> list[dict[str, Any]]:
        return [{"input_ids": row, "labels": row} for row in x]  # the model shifts its labels

    schedule = {"constant": "constant_with_warmup"}.get(setting.schedule, setting.schedule)
    trace = Trace(period=len(data.x) // setting.batch)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = transformers.TrainingArguments(
            output_dir=scratch, num_train_epochs=setting.epochs, learning_rate=setting.lr,
            per_device_train_batch_size=setting.batch, per_device_eval_batch_size=100,
            lr_scheduler_type=schedule, warmup_steps=setting.warmup, logging_steps=5,
            weight_decay=setting.weight_decay, max_grad_norm=setting.clip or 1.0,
            eval_strategy="steps", eval_steps=20, save_strategy="epoch", save_total_limit=1,
            report_to="none", use_cpu=True, seed=setting.seed, disable_tqdm=True,
            dataloader_drop_last=True, logging_first_step=True,
        )  # fmt: skip
        trainer = transformers.Trainer(
            model=transformers.GPT2LMHeadModel(config), args=arguments,
            train_dataset=rows(data.x), eval_dataset=rows(data.x_val),
        )  # fmt: skip
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        (state,) = Path(scratch).glob("checkpoint-*/trainer_state.json")
        kept = folder / state.parent.name
        kept.mkdir(parents=True)
        shutil.copy(state, kept)
    for row in trainer.state.log_history:
        trace.loss += [row["loss"]] if "loss" in row else []
        trace.val += [row["eval_loss"]] if "eval_loss" in row else []
        trace.grad_norm += [float(row["grad_norm"])] if "grad_norm" in row else []
    trace.period = max(1, trace.period // 5)
    torch.set_grad_enabled(True)
    return trace


def train_keras(setting: Setting, folder: Path, tensorboard: bool = False) -> Trace:
    """Train with Keras and its CSVLogger, or its TensorBoard callback."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(setting.seed)
    tf.config.experimental.enable_op_determinism()
    data = prepare(setting)
    decay = keras.regularizers.L2(setting.weight_decay) if setting.weight_decay else None
    net = keras.Sequential([keras.Input((data.x.shape[1],))])
    if setting.net == "cnn":
        side = math.isqrt(data.x.shape[1])
        net.add(keras.layers.Reshape((side, side, 1)))
        for width in (setting.width, 2 * setting.width):
            net.add(keras.layers.Conv2D(width, 3, padding="same", activation="relu"))
            net.add(keras.layers.MaxPooling2D())
        net.add(keras.layers.Flatten())
        net.add(keras.layers.Dropout(setting.dropout))
    for _ in range(setting.depth if setting.net == "mlp" else 1):
        net.add(keras.layers.Dense(setting.width, setting.activation, kernel_regularizer=decay))
        net.add(keras.layers.Dropout(setting.dropout))
    net.add(keras.layers.Dense(data.n_out, kernel_regularizer=decay))
    net.compile(
        keras.optimizers.Adam(setting.lr),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    folder.mkdir(parents=True)
    cosine = keras.optimizers.schedules.CosineDecay(setting.lr, setting.epochs)
    callbacks: list[Any] = [keras.callbacks.LearningRateScheduler(lambda e: float(cosine(e)))]
    if setting.schedule == "constant":
        callbacks = []
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(folder), write_graph=False))
    else:
        callbacks.append(keras.callbacks.CSVLogger(str(folder / "training.csv")))
    history = net.fit(
        data.x, data.y, setting.batch, setting.epochs, 0, callbacks,
        validation_data=(data.x_val, data.y_val), shuffle=not setting.sorted_by_class,
    ).history  # fmt: skip
    return Trace(1, list(history["loss"]), list(history["val_loss"]))


def train_keras_tensorboard(setting: Setting, folder: Path) -> Trace:
    """Train with Keras and its TensorBoard callback (folders train and validation)."""
    return train_keras(setting, folder, tensorboard=True)


# --- did the fault do its harm? ----------------------------------------------------------------


def _median(values: Sequence[float] | Floats) -> float:
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return float(np.median(finite)) if len(finite) else math.inf


def last(values: Sequence[float]) -> float:
    """Return the median of the last tenth; infinite when the run ended that way."""
    tail = np.asarray(values[-max(1, len(values) // 10) :])
    return _median(tail) if np.isfinite(tail).all() else math.inf


def behind(run: Trace, twin: Trace) -> float:
    """Return by how much of the twin's whole drop the run ends above its twin."""
    return (last(run.loss) - last(twin.loss)) / max(_median(twin.loss[:3]) - last(twin.loss), 1e-9)


def plateaus(values: Sequence[float], share: float = 0.1) -> bool:
    """Tell whether the last third brings less than `share` of the whole drop."""
    cut = 2 * len(values) // 3
    width = max(1, len(values) // 10)
    gain = _median(values[cut : cut + width]) - last(values)
    return gain < share * abs(_median(values[:3]) - last(values)) + 0.01 * abs(last(values))


def detrended(run: Trace) -> Floats:
    """Return what the training loss does beside its trend over one epoch."""
    x = np.asarray(run.loss[run.period :])
    trend = np.convolve(x, np.ones(run.period) / run.period, mode="same")
    return (x - trend)[run.period : -run.period]


def learns(run: Trace) -> float:
    """Return the whole drop of the training loss."""
    return max(_median(run.loss[:3]) - last(run.loss), 1e-9)


def _healthy(run: Trace, twin: Trace) -> bool:
    learned = last(run.loss) < 0.75 * _median(run.loss[:3])
    steady = max(run.loss[len(run.loss) // 5 :]) < 1.5 * max(run.loss[:3])
    rise = run.val[-1] - min(run.val)
    return learned and steady and rise < max(0.08 * min(run.val), 0.01 * learns(run))


def _lr_too_high(run: Trace, twin: Trace) -> bool:
    peak = max(run.loss[1:]) if np.isfinite(run.loss).all() else math.inf
    return peak > 3 * run.loss[0] or behind(run, twin) > 0.15


def _lr_too_low(run: Trace, twin: Trace) -> bool:
    n = len(run.loss)
    falling = _median(run.loss[n // 2 : 6 * n // 10]) > last(run.loss)
    return behind(run, twin) > 0.25 and falling and max(run.loss) < 1.5 * max(run.loss[:3])


def _exploding_gradients(run: Trace, twin: Trace) -> bool:
    usual = float(np.quantile(twin.grad_norm, 0.99))
    late = np.asarray(run.grad_norm[len(run.grad_norm) // 3 :])  # a large start is no explosion
    bursts = not np.isfinite(late).all() or int((late > 10 * usual).sum()) >= 3
    return bursts and (behind(run, twin) > 0.08 or max(run.loss) > 1.5 * run.loss[0])


def _vanishing_gradients(run: Trace, twin: Trace) -> bool:
    third = len(run.loss) // 3
    stuck = _median(run.loss[:3]) - _median(run.loss[third : third + 9])
    early = max(3, third // 4)
    weak = _median(run.grad_norm[:third]) < 0.3 * _median(twin.grad_norm[:early])
    return (weak or not run.grad_norm) and stuck < 0.1 * learns(twin)


def _bad_data_batch(run: Trace, twin: Trace) -> bool:
    usual = np.array([max(twin.loss[max(0, i - 10) : i + 10]) for i in range(len(run.loss))])
    excess = np.asarray(run.loss) - usual[: len(run.loss)]
    spikes = bool((excess[len(excess) // 10 :] > 0.25 * learns(twin)).any())
    return spikes and behind(run, twin) < 0.3


def _overfitting(run: Trace, twin: Trace) -> bool:
    best = int(np.argmin(run.val))
    point = len(run.loss) * (best + 1) // len(run.val)
    memorised = last(run.loss) < 0.7 * _median(run.loss[max(0, point - 5) : point + 5])
    rise = run.val[-1] - run.val[best]
    rises = rise > 0.08 * run.val[best] and rise > 0.02 * learns(twin)
    return best < 0.7 * len(run.val) and rises and memorised


def _under_capacity(run: Trace, twin: Trace) -> bool:
    gap = (run.val[-1] - last(run.loss)) / last(run.loss)
    return behind(run, twin) > 0.15 and plateaus(run.loss) and gap < 0.2


def _over_regularisation(run: Trace, twin: Trace) -> bool:
    return behind(run, twin) > 0.2 and plateaus(run.loss) and run.val[-1] > twin.val[-1]


def _noisy_labels(run: Trace, twin: Trace) -> bool:
    worse = run.val[-1] > 1.3 * twin.val[-1]
    return worse and (behind(run, twin) > 0.15 or run.val[-1] > 1.08 * min(run.val))


def _unshuffled_data(run: Trace, twin: Trace) -> bool:
    if run.period < 4 or len(run.loss) < 6 * run.period or not np.isfinite(run.loss).all():
        return False
    rest, usual = detrended(run), detrended(twin)
    repeats = float(np.corrcoef(rest[: -run.period], rest[run.period :])[0, 1])
    return repeats > 0.4 and float(rest.std()) > 1.3 * float(usual.std())


SIGNS: dict[str, Callable[[Trace, Trace], bool]] = {
    "healthy": _healthy,
    "lr_too_high": _lr_too_high,
    "lr_too_low": _lr_too_low,
    "exploding_gradients": _exploding_gradients,
    "vanishing_gradients": _vanishing_gradients,
    "bad_data_batch": _bad_data_batch,
    "overfitting": _overfitting,
    "under_capacity": _under_capacity,
    "over_regularisation": _over_regularisation,
    "noisy_labels": _noisy_labels,
    "unshuffled_data": _unshuffled_data,
}


# --- the archive -------------------------------------------------------------------------------

FRAMEWORKS: dict[str, tuple[str, Callable[[Setting, Path], Trace]]] = {
    "torch": ("PyTorch, SummaryWriter", train_torch),
    "lightning": ("Lightning, CSVLogger", train_lightning),
    "hf": ("Hugging Face Trainer", train_huggingface),
    "keras": ("Keras, CSVLogger", train_keras),
    "keras-tb": ("Keras, TensorBoard callback", train_keras_tensorboard),
}


@dataclass(frozen=True, slots=True)
class Demo:
    """One run of the archive.

    Parameters
    ----------
    path : str
        Folder inside data/demo; its first part is a key of `FRAMEWORKS`.
    cause : str
        A key of `SIGNS`.
    what : str
        The task and the net, for people.
    healthy : Setting
        How the healthy twin is trained.
    fault : dict
        What the fault changes.
    """

    path: str
    cause: str
    what: str
    healthy: Setting
    fault: dict[str, Any] = field(default_factory=dict)


_DIGITS = Setting("digits", "mlp", epochs=15, lr=0.05, optimiser="sgd")
_FADED = replace(_DIGITS, epochs=20, schedule="cosine")
_SHAPES = Setting("shapes", "cnn", epochs=16, lr=4e-3, width=8)
_TABLE = Setting("diabetes", "mlp", 20, 4e-3, "sgd", width=32, depth=6, gain=2.0)
_DOCS = Setting("docs", "rnn", 4, 0.03, "sgd", width=96, gain=0.5, clip=1.0)
_DOCS_OK = replace(_DOCS, lr=0.2, schedule="cosine")
_DEEP = Setting("digits", "mlp", 30, 1e-3, batch=128, width=32, depth=10, activation="tanh")
_SORTED = Setting("digits", "mlp", epochs=14, lr=1e-3, width=48)
_GPT = Setting("docs", "gpt2", 2, 2e-3, schedule="cosine", batch=16, width=48, warmup=120)
_PAGE = replace(_GPT, lr=5e-3, width=64, warmup=20)
_CANCER = Setting("breast_cancer", "mlp", epochs=40, lr=5e-4, dropout=0.3)
_WINE = Setting("wine", "mlp", epochs=60, lr=2e-3, width=24, batch=16, dropout=0.1)
_KERAS = Setting("digits", "mlp", 40, 2e-3, "adam", "cosine", width=48, activation="tanh")
_KSHAPES = Setting("shapes", "cnn", epochs=25, lr=2e-3, width=8, dropout=0.1)

DEMOS = (
    Demo("torch/digits-mlp-01", "healthy", "digits, MLP", _FADED),
    Demo("torch/digits-mlp-02", "lr_too_high", "digits, MLP", _DIGITS, {"lr": 0.3}),
    Demo("torch/digits-mlp-03", "noisy_labels", "digits, MLP", _FADED, {"label_noise": 0.4}),
    Demo("torch/digits-deep-01", "vanishing_gradients", "digits, deep MLP", _DEEP, {"gain": 0.03}),
    Demo("torch/shapes-cnn-01", "bad_data_batch", "drawn shapes, CNN", _SHAPES, {"bad_step": 330}),
    Demo("torch/diabetes-mlp-01", "exploding_gradients", "diabetes, MLP", _TABLE, {"gain": 3.5}),
    Demo(
        "torch/docs-rnn-01", "exploding_gradients", "characters of Python's documentation, RNN",
        _DOCS, {"gain": 1.4, "clip": 0.0},
    ),
    Demo("torch/docs-rnn-02", "healthy", "characters of Python's documentation, RNN", _DOCS_OK),
    Demo("hf/docs-gpt2-01", "healthy", "characters of Python's documentation, GPT-2", _GPT),
    Demo(
        "hf/docs-gpt2-02", "lr_too_high", "characters of Python's documentation, GPT-2",
        _GPT, {"lr": 0.7},
    ),
    Demo(
        "hf/docs-gpt2-03", "lr_too_low", "characters of Python's documentation, GPT-2",
        replace(_GPT, schedule="constant", warmup=20), {"lr": 2e-5},
    ),
    Demo(
        "hf/docs-gpt2-04", "overfitting", "characters of Python's documentation, GPT-2",
        _PAGE, {"n_train": 96, "epochs": 60},
    ),
    Demo(
        "lightning/digits-deep-01", "vanishing_gradients", "digits, MLP of 10 layers",
        _DEEP, {"activation": "sigmoid"},
    ),
    Demo("lightning/digits-deep-02", "healthy", "digits, MLP of 10 layers", _DEEP),
    Demo(
        "lightning/digits-mlp-01", "unshuffled_data", "digits, MLP",
        _SORTED, {"sorted_by_class": True},
    ),
    Demo("keras/wine-mlp-01", "healthy", "wine, MLP", _WINE),
    Demo(
        "keras/cancer-mlp-01", "overfitting", "breast cancer, MLP",
        _CANCER, {"n_train": 48, "dropout": 0.0, "epochs": 240},
    ),
    Demo("keras/digits-mlp-01", "under_capacity", "digits, MLP", _KERAS, {"width": 2}),
    Demo("keras/digits-mlp-02", "over_regularisation", "digits, MLP", _KERAS, {"dropout": 0.85}),
    Demo("keras-tb/shapes-cnn-01", "healthy", "drawn shapes, CNN", _KSHAPES),
    Demo(
        "keras-tb/shapes-cnn-02", "over_regularisation", "drawn shapes, CNN",
        _KSHAPES, {"weight_decay": 0.3},
    ),
)  # fmt: skip


def hide_host(folder: Path) -> None:
    """Put "demo" in the place of this machine's name in the names of TensorBoard files."""
    for file in folder.rglob("events.out.tfevents.*"):
        head = re.match(r"(events\.out\.tfevents\.\d+\.)(.*?)(\.\d+\.\d+(?:\.v2)?)$", file.name)
        if head:
            file.rename(file.with_name(f"{head[1]}demo{head[3]}"))


def make(demo: Demo, out: Path) -> dict[str, str]:
    """Train one run and its twin; keep the run's log.

    Returns
    -------
    dict
        The run's row of demo_labels.csv.

    Raises
    ------
    SystemExit
        The fault did no harm.
    """
    name, train = FRAMEWORKS[demo.path.split("/")[0]]
    folder = out / demo.path
    shutil.rmtree(folder, ignore_errors=True)
    trace = train(replace(demo.healthy, **demo.fault), folder)
    hide_host(folder)
    twin = trace
    if demo.fault:
        with tempfile.TemporaryDirectory() as scratch:
            twin = train(demo.healthy, Path(scratch) / "twin")
    for cause, run in (("healthy", twin), (demo.cause, trace)):
        if not SIGNS[cause](run, twin):
            shutil.rmtree(folder)
            sys.exit(
                f"{demo.path}: {cause} does not show; ends at {last(trace.loss):.4g}, "
                f"its healthy twin at {last(twin.loss):.4g}. Change the setting in DEMOS."
            )
    return {
        "run": demo.path,
        "cause": demo.cause,
        "framework": name,
        "task": demo.what,
        "twin_final_loss": f"{last(twin.loss):.4g}",
        "final_loss": f"{last(trace.loss):.4g}",
    }


def write_labels(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the table of runs and causes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def main() -> None:
    """Train all demo runs, or those named, and write demo_labels.csv beside the archive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="RUN", help="such as torch/digits-mlp-02")
    parser.add_argument("--out", type=Path, default=DATA / "demo", help="folder of the archive")
    chosen = parser.parse_args()
    unknown = set(chosen.only or ()) - {demo.path for demo in DEMOS}
    if unknown:
        parser.error(f"unknown: {sorted(unknown)}; known: {[demo.path for demo in DEMOS]}")
    labels = chosen.out.with_name(f"{chosen.out.name}_labels.csv")
    rows: dict[str, dict[str, str]] = {}
    if labels.exists():
        with labels.open(encoding="utf-8", newline="") as file:
            rows = {row["run"]: row for row in csv.DictReader(file)}
    for demo in DEMOS:
        if not chosen.only or demo.path in chosen.only:
            rows[demo.path] = make(demo, chosen.out)
            print(*rows[demo.path].values(), sep="  ", flush=True)
            write_labels(labels, [rows[other.path] for other in DEMOS if other.path in rows])


if __name__ == "__main__":
    main()
