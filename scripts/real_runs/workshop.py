"""The workshop: trainings in plain PyTorch, a round of a corpus for each base.

A base is a task, a net and settings that train well. It is trained healthy with other seeds and
rates, and with faults whose severity is drawn more widely than the trial's. The fault's harm is
judged by the package itself when it reads the corpus (`curvet.causes`), not by the trial's signs.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from curvet.causes import CAUSES
from curvet.recipe import Trace
from curvet.simulate.corpus import Training

from .bases import train
from .data import Tasks
from .faults import variants
from .feed import bad_steps
from .log import Log
from .plan import Plan, Rng, between, power
from .tasks import load
from .workshop_easy import EASY_TASKS
from .workshop_found import FOUND_TASKS
from .workshop_plenty import PLENTY_TASKS
from .workshop_tasks import WORKSHOP_TASKS

DRAWN = 123
"""Rounds whose tasks are drawn; those of later ones are found, see `workshop_found`."""

MIXED = 212
"""From this round on tasks are drawn, found, or have plenty of rows (`workshop_plenty`), which are
seen but a few times; some trainings are long, and some nets start with PyTorch's own weights."""

HEALTHY = 3
"""Healthy trainings of a base beside the first."""

DRAWS: dict[str, float] = {
    "lr_too_high": 2.0, "lr_too_low": 1.3, "exploding_gradients": 4.0, "vanishing_gradients": 2.0,
    "bad_data_batch": 1.6, "overfitting": 1.8, "under_capacity": 1.3, "over_regularisation": 1.2,
    "noisy_labels": 1.2, "unshuffled_data": 1.5, "unsuitable_optimizer": 1.4,
    "batch_too_small": 1.0, "batch_too_large": 1.7, "unnormalised_inputs": 1.4, "wrong_loss": 1.2,
    "train_val_mismatch": 1.2, "train_val_leak": 1.3, "resume_state_lost": 2.4,
    "precision_overflow": 1.4,
}  # fmt: skip
"""How often a fault is drawn in an early base, on average: often where it seldom does harm."""

EVENED = 265
"""From this round on faults are drawn so that all leave about as many runs."""

WARM = 310
"""From this round on some nets are fine-tuned: trained before on other rows of their task."""

EASY = 409
"""From this round on half of the bases have a task without noise (`workshop_easy`)."""

_EVENLY = DRAWS | {
    "lr_too_high": 1.2, "lr_too_low": 1.0, "exploding_gradients": 6.0, "vanishing_gradients": 3.2,
    "bad_data_batch": 1.3, "unshuffled_data": 2.4, "batch_too_small": 1.6, "batch_too_large": 4.2,
    "unnormalised_inputs": 2.0, "wrong_loss": 1.0, "train_val_leak": 0.8, "resume_state_lost": 4.8,
}  # fmt: skip

_SCHEDULES = ("constant", "constant", "constant", "cosine", "linear", "steps", "decay", "warmup",
              "one_cycle", "restarts", "plateau")  # fmt: skip
_PICTURES = ("gratings", "displays", "counting", "stripes_again", "letters", "letters_again",
             "turned", "photo", "patches_again")  # fmt: skip
_COLLECTED = ("prices", "marriage", "party", "travel", "schools", "visits")
_LONG = ("rnn", "transformer")


@dataclass(frozen=True, slots=True)
class _Task:
    """What a fault has to know of a task."""

    symbols: bool
    places: bool  # each place of a row has a target
    classify: bool
    rows: int


def _task(plan: Plan) -> _Task:
    data = load(plan.task)
    symbols, classify = bool(data.n_symbols), data.y.dtype.kind == "i"
    return _Task(symbols, classify and data.y.ndim > 1, classify, len(data.x))


def _draw_tasks(rng: Rng, number: int) -> Tasks:
    """Draw from which tasks a round has its own."""
    if number < MIXED:
        return WORKSHOP_TASKS if number < DRAWN else FOUND_TASKS
    kinds = (WORKSHOP_TASKS, FOUND_TASKS, PLENTY_TASKS)
    tasks = kinds[int(rng.choice(3, p=(0.3, 0.25, 0.45)))]
    return EASY_TASKS if number >= EASY and rng.random() < 0.5 else tasks


def draw_base(rng: Rng, seed: int, number: int) -> Plan:
    """Draw a task, a net and settings that should train well, for the round of that number."""
    tasks = _draw_tasks(rng, number)
    task = str(rng.choice(list(tasks)))
    net = str(rng.choice(tasks[task][1]))
    slow = net in (*_LONG, "cnn", "resnet")
    plan = Plan(
        task, net,
        n_steps=int(between(rng, 120, 400 if slow else 1200)),
        batch=int(rng.choice([4, 8, 10, 16, 20, 32, 32, 50, 64, 64, 100, 128])),
        schedule=str(rng.choice(_SCHEDULES)),
        optimiser=str(rng.choice(["adam", "adam", "adamw", "sgd", "sgd", "rmsprop"])),
        activation=str(rng.choice(["relu", "relu", "gelu", "tanh"])),
        weight_decay=float(rng.choice([0, 0, 1e-4, 1e-2])),
        dropout=float(rng.choice([0, 0, 0, 0.05, 0.1, 0.2])),
        seed=seed,
    )  # fmt: skip
    plan = _sized(plan, rng)
    fewest, most = 6.0, 100.0
    if number >= MIXED:
        plan = replace(plan, init=str(rng.choice(["", "default"])))
        if plan.net in ("mlp", "autoencoder") and rng.random() < 0.2:
            steps = int(between(rng, 1200, 4000))
            plan = replace(plan, n_steps=steps, batch=int(rng.choice([4, 8, 16])))
    if number >= DRAWN and _task(plan).places:  # of texts much is seen once or twice
        plan = replace(plan, batch=min(plan.batch, 32), width=min(plan.width, 32))
        fewest, most = 0.8, 30.0
    if task in PLENTY_TASKS:
        fewest, most = 0.7, 8.0
    epochs = between(rng, fewest, most)
    rows = int(np.clip(plan.batch * plan.n_steps / epochs, max(60, plan.batch), _task(plan).rows))
    if task in EASY_TASKS:
        rows = min(rows, int(between(rng, max(100, plan.batch), 1000)))
    left = _task(plan).rows - rows
    if number >= WARM and rng.random() < 0.4 and left > 500 and plan.net != "vae":
        warm = int(between(rng, 50, 400)) * int(rng.choice([-1, 1, 1]))
        plan = replace(plan, warm=warm, lr=float(f"{plan.lr * power(rng, -1.2, 0):.3g}"))
    every = 0 if rng.random() < 0.7 else min(int(rng.choice([5, 10, 20, 50])), plan.n_steps // 5)
    if task in PLENTY_TASKS:  # an epoch may be all of the training
        every = max(1, plan.n_steps // int(rng.integers(8, 50)))
    return replace(plan, n_train=rows, val_every=every)


def _sized(plan: Plan, rng: Rng) -> Plan:
    """Draw sizes and a rate that suit the net."""
    deep = rng.random() < 0.45 and plan.net in ("mlp", "cnn", "autoencoder")
    rate, steeper = (-3.1, -2.1), 15.0
    if plan.net in _LONG:
        cell = str(rng.choice(["gru", "gru", "lstm", "tanh", "relu", "relu"]))
        wild = cell == "relu" and plan.net == "rnn"
        plan = replace(
            plan, cell=cell, gain=0.5 if wild else 1.0, clip=float(rng.choice([0.5, 1.0, 5.0])),
            width=int(rng.choice([16, 24, 32, 48])), norm="layer",
            depth=1 if plan.net == "rnn" else int(rng.integers(1, 4)),
        )  # fmt: skip
        rate = (-2.8, -1.9)
    elif plan.net in ("cnn", "resnet", "cnn1d"):
        norm = "batch" if plan.net == "resnet" else str(rng.choice(["none", "none", "batch"]))
        depth = int(rng.integers(5, 9)) if deep else int(rng.integers(1, 4))
        plan = replace(plan, depth=depth, width=int(rng.choice([6, 8, 12])), norm=norm)
    else:
        depth = int(rng.integers(5, 12)) if deep else int(rng.integers(1, 4))
        norm = str(rng.choice(["none", "none", "batch", "layer"]))
        width = int(rng.choice([16, 32, 64, 128]))
        norm = "none" if deep or plan.net != "mlp" else norm
        plan = replace(plan, depth=depth, width=width, norm=norm)
    if deep:
        rate, steeper = (-3.4, -2.7), 8.0
    lr = power(rng, *rate) * (steeper if plan.optimiser == "sgd" else 1.0)
    clip = plan.clip or float(rng.choice([0, 0, 0, 1.0, 5.0]))
    return replace(plan, lr=float(f"{lr:.3g}"), clip=clip)


def _healthy(plan: Plan, rng: Rng, place: int) -> Plan:
    """Return a base with another seed and rate, some resumed with all state, some in half."""
    other = replace(
        plan,
        seed=plan.seed + place,
        lr=float(f"{plan.lr * power(rng, -0.4, 0.2):.3g}"),
        schedule=str(rng.choice([plan.schedule, plan.schedule, "constant", "cosine"])),
    )
    kind = rng.random()
    if kind < 0.12:
        every = plan.val_every or max(1, plan.n_train // plan.batch)
        at = round(plan.n_steps * rng.uniform(0.3, 0.8) / every) * every
        return replace(other, resumes=(at,)) if 0 < at < plan.n_steps - every else other
    if kind < 0.24:
        return replace(other, half="bfloat16")
    return other


def _noisier(plan: Plan, rng: Rng) -> Plan | None:
    if plan.net in ("autoencoder", "vae"):
        return None
    share = float(rng.uniform(0.15, 0.95))
    return replace(plan, label_noise=share, noisy_val=bool(rng.random() < 0.5))


def _regularised(plan: Plan, rng: Rng) -> Plan:
    kind = rng.choice(["dropout", "dropout", "penalty", "decay"])
    if kind == "dropout" and plan.net not in ("autoencoder", "vae"):
        return replace(plan, dropout=float(rng.uniform(0.45, 0.95)))
    if kind == "decay":
        strength = power(rng, 0.3, 2.0) if plan.optimiser == "adamw" else power(rng, -2.2, 0)
        return replace(plan, weight_decay=strength)
    return replace(plan, penalty=power(rng, -3, 0))


def _few_rows(plan: Plan, rng: Rng) -> Plan:
    rows = int(between(rng, 16, 300))
    return replace(
        plan,
        n_train=rows,
        batch=min(plan.batch, max(4, rows // int(rng.integers(2, 8)))),
        val_every=0 if rng.random() < 0.6 else plan.val_every,
        width=plan.width * int(rng.choice([1, 1, 2, 4])),
        dropout=float(rng.choice([0, plan.dropout])),
        weight_decay=0.0,
        n_steps=int(plan.n_steps * rng.uniform(0.7, 1.8)),
    )


def _inputs(plan: Plan, rng: Rng) -> Plan | None:
    if _task(plan).symbols:
        return None
    kinds = ["spread", "offset", "bytes"]
    if plan.task in _PICTURES:
        kinds = ["raw", "bytes", "offset"]
    if plan.task in _COLLECTED:
        kinds = ["raw", "raw", "offset"]
    return replace(plan, units=str(rng.choice(kinds)))


def _loss(plan: Plan, rng: Rng) -> Plan:
    task = _task(plan)
    kinds = ["softmax", "softmax", "sigmoid", "sign", "nll"]
    if plan.net in ("autoencoder", "vae"):
        kinds = ["sign", "divergence"] if plan.net == "vae" else ["sign", "product"]
    elif not task.classify:
        kinds = ["broadcast", "broadcast", "product", "sign"]
    elif task.places:
        kinds += ["ahead", "same"]
    return replace(plan, wrong_loss=str(rng.choice(kinds)))


def _mismatch(plan: Plan, rng: Rng) -> Plan:
    kinds = ["labels", "source"]
    if not _task(plan).symbols:
        kinds += ["scale", "offset", "noise"]
    if plan.net in ("autoencoder", "vae"):
        kinds.remove("labels")
    if plan.task in _PICTURES:
        kinds.append("turned")
    kind = str(rng.choice(kinds))
    size = between(rng, 1.3, 30)
    return replace(
        plan, val_fault=kind, val_size=1 / size if kind == "scale" and rng.random() < 0.5 else size
    )


def _narrow(plan: Plan, rng: Rng) -> Plan:
    """Take width away, or depth as well."""
    width = int(rng.integers(1, 5))
    width += width % 2 if plan.net == "transformer" else 0
    return replace(plan, width=width, depth=plan.depth if rng.random() < 0.7 else 1)


_OWN: dict[str, Callable[[Plan, Rng], Plan | None]] = {
    "lr_too_high": lambda plan, rng: replace(plan, lr=plan.lr * power(rng, 0.5, 4.2)),
    "lr_too_low": lambda plan, rng: replace(plan, lr=plan.lr * power(rng, -3.8, -0.8)),
    "overfitting": _few_rows,
    "under_capacity": _narrow,
    "over_regularisation": _regularised,
    "noisy_labels": _noisier,
    "unnormalised_inputs": _inputs,
    "wrong_loss": _loss,
    "train_val_mismatch": _mismatch,
}
"""Faults whose severity is drawn otherwise than in the trial, or that depend on the task."""


def faulty(cause: str, plan: Plan, rng: Rng) -> list[Plan]:
    """Draw a fault: plans of which the one that ends lowest counts; none where it does not fit."""
    if cause == "precision_overflow" and plan.net == "rnn" and plan.cell == "lstm":
        return []  # PyTorch has no LSTM in half precision on the CPU
    if cause in _OWN:
        found = _OWN[cause](plan, rng)
        return [replace(found, n_train=min(found.n_train, _task(plan).rows))] if found else []
    return [
        replace(each, width=each.width + each.width % 2) if plan.net == "transformer" else each
        for each in variants(cause, plan, rng)
    ]


def trace_of(plan: Plan, log: Log) -> Trace:
    """Return what was logged as the package's simulator holds it."""
    place = {step: i for i, (step, _) in enumerate(log.series["loss"])}
    known = [(place[step], value) for step, value in log.series["val"] if step in place]
    marks = plan.resumes if plan.lost else tuple(bad_steps(plan, log.period))
    step, loss = np.array(log.series["loss"], float).reshape(-1, 2).T
    norm, rate = (np.array([v for _, v in log.series[key]], float) for key in ("grad_norm", "lr"))
    return Trace(
        step,
        loss,
        norm,
        rate,
        np.array([at for at, _ in known], np.int64),
        np.array([value for _, value in known], float),
        log.period,
        marks[0] if marks and marks[0] < len(loss) else -1,
    )


def make_round(seed: int, number: int, device: str) -> list[Training]:
    """Train one base that learns, and its faults; see `curvet.simulate.corpus.simulate`.

    Parameters
    ----------
    seed, number : int
        Decide all draws: a round does not depend on those before it.
    device : str
        Not looked at: these nets are trained on the CPU.
    """
    for attempt in itertools.count():
        rng = np.random.default_rng([seed, number, attempt])
        base = draw_base(rng, 1000 * number + 10 * attempt, number)
        first = _trained("healthy", base, number)
        if CAUSES["healthy"].shows(first.trace, first.trace):
            break
    made = [first]
    made += [_trained("healthy", _healthy(base, rng, i + 1), number) for i in range(HEALTHY)]
    for cause, often in (DRAWS if number < EVENED else _EVENLY).items():
        for _ in range(int(often + rng.random())):
            tried = [_trained(cause, plan, number) for plan in faulty(cause, base, rng)]
            tried = [training for training in tried if len(training.trace.loss) > 4]
            if tried:
                made.append(min(tried, key=lambda training: training.trace.end))
    return made


def _trained(cause: str, plan: Plan, number: int) -> Training:
    task = _task(plan)
    kind = "sequence" if task.places else "classes" if task.classify else "regression"
    if plan.net in ("autoencoder", "vae"):
        kind = "autoencode"
    recipe = json.dumps(asdict(plan), separators=(",", ":"))
    trace = trace_of(plan, train(plan))
    return Training(trace, cause, "", f"{number}-0", kind, f"{plan.net}{plan.depth}", recipe)
