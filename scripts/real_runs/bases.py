"""Healthy plans, and each one's family: the healthy run and the faulty ones."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from make_demo_runs import last

from .faults import INJECT, hurried, variants
from .feed import bad_steps
from .log import Judged, Log
from .plan import Plan, Rng, power
from .signs import shows
from .tasks import TASKS, load


@dataclass(frozen=True, slots=True)
class Framework:
    """What trains a plan.

    Parameters
    ----------
    needs : tuple of str
        Modules that have to be there.
    share : float
        Of the bases.
    nets, schedules : tuple of str
        What it has.
    pace : float
        Share of the causes that are tried in a base: less where a training takes long.
    """

    needs: tuple[str, ...]
    share: float
    nets: tuple[str, ...]
    schedules: tuple[str, ...]
    pace: float = 1.0


_ALL = ("constant", "constant", "cosine", "linear", "steps", "decay", "warmup", "one_cycle",
        "restarts")  # fmt: skip
_NETS = ("mlp", "cnn", "resnet", "autoencoder", "vae", "rnn", "transformer")
FRAMEWORKS: dict[str, Framework] = {
    "torch": Framework(("torch",), 0.38, _NETS, (*_ALL, "plateau")),
    "lightning": Framework(("lightning",), 0.22, _NETS, _ALL),
    "keras": Framework(
        ("keras", "tensorflow"), 0.09, ("mlp", "cnn", "autoencoder", "rnn"), (*_ALL, "plateau"),
        pace=0.45,
    ),
    "sklearn": Framework(("sklearn",), 0.07, ("mlp",), ("constant",)),
    "huggingface": Framework(
        ("transformers", "accelerate"), 0.08, ("transformer",),
        ("constant", "linear", "cosine", "restarts"),
    ),
    "paddle": Framework(
        ("paddle", "visualdl"), 0.16, ("mlp", "cnn", "autoencoder", "rnn"), _ALL
    ),
}  # fmt: skip

# How often a cause is tried in a base, and how many draws it gets: from the yields of a first
# hundred bases, so that the causes come out about equally often.
CHANCE: dict[str, tuple[float, int]] = {
    "healthy": (1.0, 1),
    "lr_too_high": (0.6, 1),
    "lr_too_low": (0.6, 1),
    "exploding_gradients": (1.0, 3),
    "vanishing_gradients": (0.9, 2),
    "bad_data_batch": (0.8, 3),
    "overfitting": (0.8, 2),
    "under_capacity": (0.6, 1),
    "over_regularisation": (0.6, 1),
    "noisy_labels": (0.6, 1),
    "unshuffled_data": (0.6, 1),
    "unsuitable_optimizer": (0.9, 2),
    "batch_too_small": (0.9, 2),
    "batch_too_large": (0.8, 1),
    "unnormalised_inputs": (0.9, 3),
    "wrong_loss": (0.7, 1),
    "train_val_mismatch": (0.7, 1),
    "train_val_leak": (0.7, 1),
    "resume_state_lost": (1.0, 3),
    "precision_overflow": (1.0, 3),
}


def here(framework: str) -> bool:
    """Tell whether the interpreter has what a framework needs."""
    return all(importlib.util.find_spec(name) for name in FRAMEWORKS[framework].needs)


def train(plan: Plan) -> Log:
    """Train with the plan's framework, floating-point warnings silenced: they are the subject."""
    trainer = importlib.import_module(f".with_{plan.framework}", __package__)
    with np.errstate(all="ignore"):
        log: Log = trainer.train(plan)
    return log


def draw_base(number: int, seed: int) -> Plan:
    """Draw a framework, a task, a net and settings that should train well."""
    rng = np.random.default_rng([seed, number])
    framework = str(rng.choice(list(FRAMEWORKS), p=[f.share for f in FRAMEWORKS.values()]))
    has = FRAMEWORKS[framework]
    fitting = [
        (task, net)
        for task, (_, nets) in TASKS.items()
        for net in nets
        if net in has.nets and (framework != "huggingface" or task in ("text", "copy"))
    ]
    task = str(rng.choice(sorted({task for task, _ in fitting})))
    net = str(rng.choice([n for t, n in fitting if t == task]))
    rows = len(load(task).x)
    optimisers = ["adam", "adam", "adamw", "sgd", "sgd", "rmsprop"]
    plan = Plan(
        task, net, framework,
        n_steps=int(rng.integers(180, 360)),
        batch=int(rng.choice([4, 8, 16] if rows < 200 else [4, 8, 16, 32, 32, 64, 64, 128])),
        schedule=str(rng.choice(has.schedules)),
        optimiser="adamw" if framework == "huggingface" else str(rng.choice(optimisers)),
        weight_decay=float(rng.choice([0, 0, 1e-4])) if framework == "torch" else 0.0,
        dropout=float(rng.choice([0, 0, 0.1])),
        seed=number,
    )  # fmt: skip
    plan = _sized(plan, rng)
    adaptive = plan.optimiser in ("adam", "adamw", "rmsprop") and plan.net == "mlp"
    if adaptive and framework != "sklearn" and rng.random() < 0.2:
        plan = replace(plan, units="spread")  # badly scaled, which this optimiser can bear
    if plan.net == "mlp" and rng.random() < 0.05:
        whole = min(rows, 400)  # a full batch
        plan = replace(plan, batch=whole, n_train=whole, val_every=10)
    return plan


def _sized(plan: Plan, rng: Rng) -> Plan:
    """Draw size, activation and learning rate to suit the net."""
    deep = rng.random() < 0.6 and plan.net in ("mlp", "cnn", "autoencoder")
    activation = str(rng.choice(["relu", "relu", "tanh", "gelu"]))
    if plan.framework == "sklearn" and activation == "gelu":
        activation = "relu"
    if plan.net in ("rnn", "transformer"):
        plan = _sequence_sized(plan, rng)
    elif plan.net in ("cnn", "resnet"):
        deep = deep and plan.framework in ("torch", "lightning")
        depth = int(rng.integers(6, 9)) if deep else int(rng.integers(2, 4))
        norm = "batch" if plan.net == "resnet" else str(rng.choice(["none", "none", "batch"]))
        width = int(rng.choice([6, 8])) if deep else int(rng.choice([8, 12]))
        if plan.framework == "keras":
            width, depth, norm = 16, 1, "none"
        plan = replace(plan, depth=depth, width=width, norm=norm, lr=power(rng, -3.1, -2.4))
    else:
        depth = int(rng.integers(6, 11)) if deep else int(rng.integers(1, 4))
        norm = str(rng.choice(["none", "none", "batch", "layer"]))
        plan = replace(
            plan, depth=depth, width=int(rng.choice([24, 32, 48, 64])),
            norm="none" if deep or plan.net != "mlp" else norm,
            lr=power(rng, -3.3, -2.8) if deep else power(rng, -3.0, -2.2),
        )  # fmt: skip
    if plan.optimiser == "sgd":  # with momentum
        plan = replace(plan, lr=float(f"{plan.lr * (8 if deep else 20):.3g}"))
    epochs = int(rng.integers(6, 13) if plan.task == "text" else rng.integers(10, 31))
    rows = min(len(load(plan.task).x), max(64, plan.batch * plan.n_steps // epochs))
    return replace(plan, activation=activation, n_train=rows)


def _sequence_sized(plan: Plan, rng: Rng) -> Plan:
    cell = str(rng.choice(["gru", "lstm", "tanh", "relu", "relu"]))
    return replace(
        plan,
        n_steps=int(rng.integers(150, 320)),
        width=int(rng.choice([24, 32, 40])),
        depth=1 if plan.net == "rnn" else int(rng.integers(1, 3)),
        clip=1.0,
        cell=cell,
        gain=0.5 if cell == "relu" and plan.net == "rnn" else 1.0,
        lr=power(rng, -2.7, -2.1),
        norm="layer",
    )


def record(name: str, cause: str, plan: Plan, log: Log, base: Plan, twin: str) -> dict[str, Any]:
    """Return one run as a line of the archive; `twin` ends the id of its healthy twin."""
    names = Plan.__dataclass_fields__
    changed = {k: getattr(plan, k) for k in names if getattr(plan, k) != getattr(base, k)}
    if len(changed.get("resumes", ())) > 6:  # evenly spaced
        changed["resumes"] = f"every {changed['resumes'][0]}"
    return {
        "id": name,
        "base": name.split("-")[0],
        "task": plan.task,
        "net": plan.net,
        "framework": plan.framework,
        "cause": cause,
        "twin": f"{name.split('-')[0]}-{twin}",
        "changed": changed,
        "settings": {k: getattr(base, k) for k in names},
        "period": log.period,
        "per_step": log.per_step(),
        "per_epoch": log.per_epoch(),
    }


# Copying: a net that only knows where the blanks are ends at half of ln 6.
_LEARNED = {"copy": 0.7}


def _trained_well(plan: Plan, run: Judged) -> bool:
    """Tell whether a run may be a healthy twin."""
    return shows("healthy", run, run) and last(run.loss) < _LEARNED.get(plan.task, math.inf)


def _attempt(cause: str, base: Plan, rng: Rng) -> tuple[Plan, Log] | None:
    """Train a fault; of several settings, the one that ends lowest counts."""
    best: tuple[Plan, Log] | None = None
    least = math.inf
    for plan in variants(cause, base, rng):
        log = train(plan)
        values = [v for _, v in log.series["loss"]]
        final = last(values) if values else math.inf
        if values and (best is None or final < least):
            best, least = (plan, log), final
    return best


def make_base(number: int, seed: int) -> tuple[list[dict[str, Any]], dict[str, int] | None]:
    """Train one base and its variants.

    Parameters
    ----------
    number, seed : int
        Decide all draws: a base does not depend on those before it.

    Returns
    -------
    the runs that are kept, and how often each cause was tried (None: the base trained badly)
    """
    base = draw_base(number, seed)
    healthy = train(base)
    twin = healthy.judged()
    if not _trained_well(base, twin):
        return [], None
    runs = [record(f"{number:04d}-00", "healthy", base, healthy, base, "00")]
    tried: Counter[str] = Counter()
    for place, cause in enumerate(INJECT):
        rng = np.random.default_rng([seed, number, place])
        chance, draws = CHANCE[cause]
        if rng.random() > chance * FRAMEWORKS[base.framework].pace:
            continue
        start, judge, twin_id = base, twin, "00"
        if cause == "resume_state_lost" and (other := hurried(base, rng)):
            log = train(other)
            if _trained_well(other, log.judged()):
                start, judge, twin_id = other, log.judged(), f"{len(runs):02d}"
                name = f"{number:04d}-{twin_id}"
                runs.append(record(name, "healthy", other, log, base, twin_id))
        found = _harmed(cause, start, judge, rng, draws, tried)
        if found:
            name = f"{number:04d}-{len(runs):02d}"
            runs.append(record(name, cause, *found, base, twin_id))
    return runs, dict(tried)


def more_of(
    cause: str, runs: list[dict[str, Any]], seed: int, draws: int
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Try a cause again in a base that lacks it.

    Parameters
    ----------
    cause : str
        A key of `INJECT`.
    runs : list of dict
        The base's runs in the archive; the last healthy one in single precision is the twin.
    seed, draws : int
        Decide the draws, and how many there are.

    Returns
    -------
    the run that is kept, if any, and how often the cause was tried
    """
    usual = [run for run in runs if run["cause"] == "healthy" and "half" not in run["changed"]]
    twin = usual[-1 if cause == "resume_state_lost" else 0]
    base = Plan(**twin["settings"])
    changed = {k: v for k, v in twin["changed"].items() if k != "resumes"}
    log = Log(twin["period"], twin["period"])
    for name, series in twin["per_step"].items():
        log.series[name] = list(zip(series["step"], series["value"], strict=True))
    rng = np.random.default_rng([seed, int(twin["base"]), list(INJECT).index(cause), 1])
    tried: Counter[str] = Counter()
    found = _harmed(cause, replace(base, **changed), log.judged(), rng, draws, tried)
    kept = []
    if found:
        name = f"{twin['base']}-{len(runs):02d}"
        kept = [record(name, cause, *found, base, twin["id"].split("-")[1])]
    return kept, dict(tried)


def _harmed(
    cause: str, start: Plan, twin: Judged, rng: Rng, draws: int, tried: Counter[str]
) -> tuple[Plan, Log] | None:
    """Draw faults until one does the harm by which its label is kept."""
    for _ in range(draws):
        found = _attempt(cause, start, rng)
        if found is None:
            continue
        tried[cause] += 1
        plan, log = found
        marks = plan.resumes or tuple(bad_steps(plan, log.period))
        if shows(cause, log.judged(marks), twin):
            return found
    return None
