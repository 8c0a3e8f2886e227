"""The workshop: trainings in plain PyTorch, a round of a corpus for each base.

A base is a task, a net and settings that train well. It is trained healthy with other seeds and
rates, and with faults whose severity is drawn more widely than the trial's. The fault's harm is
judged by the package itself when it reads the corpus (`curvet.causes`), not by the trial's signs.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from curvet.causes import CAUSES
from curvet.recipe import Trace
from curvet.simulate.corpus import Training, label

from .bases import train
from .data import Tasks
from .feed import bad_steps
from .log import Log
from .objectives import draw_augment, fitting
from .plan import Plan, Rng, between, power
from .workshop_drawn import DRAWN_KINDS, PLAIN_KINDS, TOY_KINDS, Kinds, draw_task, is_drawn
from .workshop_easy import EASY_TASKS
from .workshop_faults import facts, faulty
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

KINDS = 443
"""From this round on nets are trained for more than squared error and cross-entropy
(`objectives`), the training rows may be augmented, dropout may be strong, rates too high or too low
go farther, and two faults that each do harm are injected together."""

UNUSUAL = 526
"""From this round on targets are numbers or the inputs themselves, and objectives those of which
earlier rounds have few: likelihoods, which may fall below zero, counts, quantiles, noise."""

BROAD = 553
"""From this round on all tasks and objectives are drawn again."""

OWN = 558
"""From this round on most bases have a task of their own (`workshop_drawn`)."""

LASTING = 582
"""From this round on a fifth of the MLPs with a task of their own train for thousands of steps,
until hardly anything is left to be learnt, as in most logs; so fewer faults are drawn there."""

LONGER = 643
"""From this round on more than half of these do, and some other nets; most have a usual objective,
and a net that is to tell rows apart gets enough of them at once."""

OFTEN = 681
"""From this round on still more do, mostly for tens of epochs, or are validated tens of times in
fewer: logged by epoch, half of the earlier trainings show fewer than fourteen validations."""

PLAIN = 807
"""From this round on many tasks are plain (`workshop_drawn.PLAIN_KINDS`), and most are trained for
tens of epochs on thousands of rows: there validation follows training all the way, as it does in
most of what people train, and that is no sign of a leak."""

TOYS = 860
"""From this round on nearly half of the tasks are toys: few rows that are soon learnt, as of the
data that come with libraries, and half of their trainings are short."""

_LASTING_SHARES = {
    LASTING: {"mlp": 0.2},
    LONGER: {
        "mlp": 0.6, "autoencoder": 0.5, "vae": 0.3, "cnn1d": 0.3, "cnn": 0.15, "rnn": 0.15
    },
    OFTEN: {
        "mlp": 0.8, "autoencoder": 0.6, "vae": 0.5, "cnn1d": 0.5, "cnn": 0.25, "rnn": 0.25,
        "resnet": 0.15, "transformer": 0.15,
    },
    PLAIN: {
        "mlp": 0.9, "autoencoder": 0.7, "vae": 0.6, "cnn1d": 0.6, "cnn": 0.5, "rnn": 0.4,
        "resnet": 0.4, "transformer": 0.4,
    },
    TOYS: {
        "mlp": 0.5, "autoencoder": 0.5, "vae": 0.5, "cnn1d": 0.5, "cnn": 0.5, "rnn": 0.4,
        "resnet": 0.4, "transformer": 0.4,
    },
}  # fmt: skip

PAIRS = 4
"""Trainings of such a base with two faults."""

_EVENLY = DRAWS | {
    "lr_too_high": 1.2, "lr_too_low": 1.0, "exploding_gradients": 6.0, "vanishing_gradients": 3.2,
    "bad_data_batch": 1.3, "unshuffled_data": 2.4, "batch_too_small": 1.6, "batch_too_large": 4.2,
    "unnormalised_inputs": 2.0, "wrong_loss": 1.0, "train_val_leak": 0.8, "resume_state_lost": 4.8,
}  # fmt: skip

_SCHEDULES = ("constant", "constant", "constant", "cosine", "linear", "steps", "decay", "warmup",
              "one_cycle", "restarts", "plateau")  # fmt: skip
_LONG = ("rnn", "transformer")
_RARE = ("gaussian", "poisson", "quantile", "denoised")


def _draw_tasks(rng: Rng, number: int) -> Tasks:
    """Draw from which tasks a round has its own."""
    if number < MIXED:
        return WORKSHOP_TASKS if number < DRAWN else FOUND_TASKS
    kinds = (WORKSHOP_TASKS, FOUND_TASKS, PLENTY_TASKS)
    if number >= KINDS:
        return (*kinds, EASY_TASKS)[int(rng.choice(4, p=(0.25, 0.25, 0.35, 0.15)))]
    tasks = kinds[int(rng.choice(3, p=(0.3, 0.25, 0.45)))]
    return EASY_TASKS if number >= EASY and rng.random() < 0.5 else tasks


def _drawn_kinds(number: int) -> Kinds:
    """Return of which kinds the tasks are that are drawn for one base each."""
    if number < PLAIN:
        return DRAWN_KINDS
    return PLAIN_KINDS if number < TOYS else TOY_KINDS


def _is_unusual(number: int) -> bool:
    """Tell whether the round of that number has rare objectives alone."""
    return UNUSUAL <= number < BROAD


def _draw_task(rng: Rng, number: int) -> tuple[str, str]:
    """Draw a task and a net that suits it."""
    if number >= OWN and rng.random() < 0.85:
        return draw_task(rng, _drawn_kinds(number))
    while True:
        tasks = _draw_tasks(rng, number)
        task = str(rng.choice(list(tasks)))
        net = str(rng.choice(tasks[task][1]))
        if not _is_unusual(number):
            return task, net
        if not (facts(Plan(task, net)).classify or net in (*_LONG, "vae")):
            return task, net


def _lasts(plan: Plan) -> bool:
    """Tell whether a plan trains for so long that fewer faults are drawn."""
    return plan.n_steps >= 2000


def _share_lasting(plan: Plan, number: int) -> float:
    """Return how many of the bases with such a task and net train for thousands of steps."""
    begun = [shares for first, shares in _LASTING_SHARES.items() if number >= first]
    return begun[-1].get(plan.net, 0.0) if begun and is_drawn(plan.task) else 0.0


def _lengthened(plan: Plan, rng: Rng, number: int) -> Plan:
    """Draw for how many steps a base trains that trains for long, and on how many rows at once."""
    bounds: tuple[int, int] = (2000, 8000) if number < OFTEN else (1000, 6000)
    batches = [4, 8, 16, 32]
    if number >= PLAIN:
        slow = plan.net in (*_LONG, "cnn", "resnet", "cnn1d")
        bounds = (1000, 2000) if slow else (1000, 4000)
        batches = [16, 32, 64] if slow else [16, 32, 64, 64, 128, 256]
        batches = [min(batch, facts(plan).rows // 4) for batch in batches]
    steps, batch = int(between(rng, *bounds)), int(rng.choice(batches))
    depth, width = min(plan.depth, 3), min(plan.width, 64)
    return replace(plan, n_steps=steps, batch=batch, depth=depth, width=width)


def _bounds_of_epochs(plan: Plan, rng: Rng, number: int, often: bool) -> tuple[float, float]:
    """Return between how many epochs a base of a round trains."""
    if often and number >= PLAIN:
        return 5.0, 70.0
    if often:
        return (20.0, 120.0) if rng.random() < 0.6 else (0.8, 20.0)
    if is_drawn(plan.task):
        return 0.8, 120.0 if number >= LONGER and _lasts(plan) else 60.0
    if plan.task in PLENTY_TASKS:
        return 0.7, 8.0
    if number >= DRAWN and facts(plan).places:  # of texts much is seen once or twice
        return 0.8, 30.0
    return 6.0, 100.0


def draw_base(rng: Rng, seed: int, number: int) -> Plan:
    """Draw a task, a net and settings that should train well, for the round of that number."""
    task, net = _draw_task(rng, number)
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
    if number >= MIXED:
        plan = replace(plan, init=str(rng.choice(["", "default"])))
        if plan.net in ("mlp", "autoencoder") and rng.random() < 0.2:
            steps = int(between(rng, 1200, 4000))
            plan = replace(plan, n_steps=steps, batch=int(rng.choice([4, 8, 16])))
    lasting = _share_lasting(plan, number)
    if lasting and rng.random() < lasting:
        plan = _lengthened(plan, rng, number)
    if number >= DRAWN and facts(plan).places:
        plan = replace(plan, batch=min(plan.batch, 32), width=min(plan.width, 32))
    often = number >= OFTEN and bool(lasting) and plan.n_steps >= 1000
    epochs = between(rng, *_bounds_of_epochs(plan, rng, number, often))
    rows = int(np.clip(plan.batch * plan.n_steps / epochs, max(60, plan.batch), facts(plan).rows))
    if task in EASY_TASKS:
        rows = min(rows, int(between(rng, max(100, plan.batch), 1000)))
    left = facts(plan).rows - rows
    if number >= WARM and rng.random() < 0.4 and left > 500 and plan.net != "vae":
        warm = int(between(rng, 50, 400)) * int(rng.choice([-1, 1, 1]))
        plan = replace(plan, warm=warm, lr=float(f"{plan.lr * power(rng, -1.2, 0):.3g}"))
    if number >= KINDS:
        plan = _of_a_kind(plan, rng, number)
    every = 0 if rng.random() < 0.7 else min(int(rng.choice([5, 10, 20, 50])), plan.n_steps // 5)
    scarce = is_drawn(task) and plan.n_steps * plan.batch < 10 * rows
    if task in PLENTY_TASKS or scarce:  # an epoch may be all of the training
        every = max(1, plan.n_steps // int(rng.integers(8, 50)))
    if often and plan.n_steps * plan.batch < 20 * rows:
        every = plan.n_steps // int(rng.integers(20, 120))
    return replace(plan, n_train=rows, val_every=every)


def _of_a_kind(plan: Plan, rng: Rng, number: int) -> Plan:
    """Draw what the net is trained for, and what is done to its training rows."""
    task, unusual = facts(plan), _is_unusual(number)
    rare = 0.65 if number < LONGER else 0.4 if number < PLAIN else 0.25
    if plan.net != "vae":
        plan = replace(plan, augment=draw_augment(task.symbols, rng))
        if number >= PLAIN and rng.random() < 0.5:
            plan = replace(plan, augment="")
        if unusual or rng.random() < rare:
            kinds = fitting(plan, task.classify, task.symbols)
            if unusual:
                kinds = [kind for kind in kinds if kind in _RARE]
            plan = replace(plan, objective=str(rng.choice(kinds)))
    if plan.objective == "views" and number >= LONGER:
        plan = replace(plan, batch=max(plan.batch, 32))
    if plan.objective == "denoised":  # through a bottleneck hardly anything of it is learnt
        plan = replace(plan, net="mlp", width=max(plan.width, 64))
    if plan.net != "autoencoder" and rng.random() < 0.2:
        plan = replace(plan, dropout=float(rng.uniform(0.3, 0.6)))
    if plan.objective == "summed" and plan.optimiser == "sgd":
        plan = replace(plan, lr=float(f"{plan.lr / plan.batch:.3g}"))
    return plan


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
    share = 0.5 if number >= LASTING and _lasts(base) else 1.0
    for cause, often in (DRAWS if number < EVENED else _EVENLY).items():
        for _ in range(int(share * often + rng.random())):
            plans = faulty(cause, base, rng, wider=number >= KINDS)
            tried = [_trained(cause, plan, number) for plan in plans]
            tried = [training for training in tried if len(training.trace.loss) > 4]
            if tried:
                made.append(min(tried, key=lambda training: training.trace.end))
    return made + (_two_faults(made, base, rng, number) if number >= KINDS else [])


def _two_faults(made: list[Training], base: Plan, rng: Rng, number: int) -> list[Training]:
    """Train with two faults at once that each did harm and change other settings."""
    sound = _settings(json.dumps(asdict(base)))
    changed = [
        (training.cause, {k: v for k, v in _settings(training.recipe).items() if v != sound[k]})
        for training, _ in label(made)
        if training.cause != "healthy"
    ]
    apart = [
        (one, other, first | second)
        for (one, first), (other, second) in itertools.combinations(changed, 2)
        if one != other and not set(first) & set(second)
    ]
    found = []
    for place in rng.permutation(len(apart))[:PAIRS]:
        one, other, settings = apart[place]
        plan = replace(base, **settings, seed=base.seed + 9)
        if plan.batch <= plan.n_train and max(plan.resumes, default=0) < plan.n_steps:
            found.append(replace(_trained(one, plan, number), also=other))
    return [training for training in found if len(training.trace.loss) > 4]


def _settings(recipe: str) -> dict[str, Any]:
    """Return a plan's settings without its seed."""
    settings = json.loads(recipe)
    return {**settings, "resumes": tuple(settings["resumes"]), "seed": 0}


def _trained(cause: str, plan: Plan, number: int) -> Training:
    task = facts(plan)
    kind = "sequence" if task.places else "classes" if task.classify else "regression"
    if plan.net in ("autoencoder", "vae") or plan.objective == "denoised":
        kind = "autoencode"
    if plan.objective == "ranked":
        kind = "classes"  # of two rows, one is the better
    recipe = json.dumps(asdict(plan), separators=(",", ":"))
    trace = trace_of(plan, train(plan))
    return Training(trace, cause, "", f"{number}-0", kind, f"{plan.net}{plan.depth}", recipe)
