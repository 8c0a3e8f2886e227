"""What the workshop's faults change, where that is drawn otherwise than in the trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .faults import variants
from .objectives import OF_INPUTS, wrong_ways
from .plan import Plan, Rng, between, power
from .tasks import load

_PICTURES = ("gratings", "displays", "counting", "stripes_again", "letters", "letters_again",
             "turned", "photo", "patches_again")  # fmt: skip
_COLLECTED = ("prices", "marriage", "party", "travel", "schools", "visits")
"""Tasks that rounds before `workshop.KINDS` take for pictures, and for tables with units."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What has to be known of a task.

    Parameters
    ----------
    symbols, places, classify : bool
        Inputs are symbols; each place of a row has a target; targets are classes or symbols.
    rows : int
        Of training.
    picture, collected : bool
        Inputs are a picture; its columns have units.
    """

    symbols: bool
    places: bool
    classify: bool
    rows: int
    picture: bool
    collected: bool


def facts(plan: Plan) -> Facts:
    """Look at the task of a plan."""
    data = load(plan.task)
    symbols, classify = bool(data.n_symbols), data.y.dtype.kind == "i"
    picture = bool(np.all(np.equal(data.raw_scale, 255)))
    collected = np.size(data.raw_scale) > 1
    places = classify and data.y.ndim > 1
    return Facts(symbols, places, classify, len(data.x), picture, collected)


def _noisier(plan: Plan, rng: Rng) -> Plan | None:
    if plan.net in ("autoencoder", "vae") or plan.objective in OF_INPUTS:
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
    if facts(plan).symbols:
        return None
    kinds = ["spread", "offset", "bytes"]
    if plan.task in _PICTURES:
        kinds = ["raw", "bytes", "offset"]
    if plan.task in _COLLECTED:
        kinds = ["raw", "raw", "offset"]
    return replace(plan, units=str(rng.choice(kinds)))


def _any_inputs(plan: Plan, rng: Rng) -> Plan | None:
    task = facts(plan)
    if task.symbols:
        return None
    kinds = ["bytes" if task.picture else "spread", "offset"]
    kinds += ["raw", "raw"] if task.picture or task.collected else []
    return replace(plan, units=str(rng.choice(kinds)))


def _loss(plan: Plan, rng: Rng) -> Plan:
    task = facts(plan)
    kinds = ["softmax", "softmax", "sigmoid", "sign", "nll"]
    if plan.net in ("autoencoder", "vae"):
        kinds = ["sign", "divergence"] if plan.net == "vae" else ["sign", "product"]
    elif not task.classify:
        one = load(plan.task).n_out == 1  # (B, 1) beside (B,)
        kinds = ["broadcast", "broadcast", "product", "sign"] if one else ["product", "sign"]
    elif task.places:
        kinds += ["ahead", "same"]
    return replace(plan, wrong_loss=str(rng.choice(wrong_ways(plan, kinds))))


def _mismatch(plan: Plan, rng: Rng, picture: bool) -> Plan:
    kinds = ["labels", "source"]
    if not facts(plan).symbols:
        kinds += ["scale", "offset", "noise"]
    if plan.net in ("autoencoder", "vae"):
        kinds.remove("labels")
    if picture:
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
    "train_val_mismatch": lambda plan, rng: _mismatch(plan, rng, plan.task in _PICTURES),
}
"""Faults whose severity is drawn otherwise than in the trial, or that depend on the task."""


def _bad_batch(plan: Plan, rng: Rng) -> Plan | None:
    """Spoil a batch; more often than in the trial by what is not a number."""
    (spoilt,) = variants("bad_data_batch", plan, rng) or (None,)
    if spoilt is None or facts(plan).symbols or rng.random() > 0.2:
        return spoilt
    return replace(spoilt, bad_kind="nan")


_WIDER = _OWN | {
    "bad_data_batch": _bad_batch,
    "lr_too_high": lambda plan, rng: replace(plan, lr=plan.lr * power(rng, 0.5, 6)),
    "lr_too_low": lambda plan, rng: replace(plan, lr=plan.lr * power(rng, -5, -0.8)),
    "unnormalised_inputs": _any_inputs,
    "train_val_mismatch": lambda plan, rng: _mismatch(plan, rng, facts(plan).picture),
}
"""The same in later rounds: rates go farther, and all tasks have their units."""


def faulty(cause: str, plan: Plan, rng: Rng, wider: bool = False) -> list[Plan]:
    """Draw a fault: plans of which the one that ends lowest counts; none where it does not fit."""
    own = _WIDER if wider else _OWN
    if cause == "precision_overflow" and plan.net == "rnn" and plan.cell == "lstm":
        return []  # PyTorch has no LSTM in half precision on the CPU
    if cause in own:
        found = own[cause](plan, rng)
        return [replace(found, n_train=min(found.n_train, facts(plan).rows))] if found else []
    found = variants(cause, plan, rng)
    if plan.objective == "hinge":  # which PyTorch does not compute of halves on the CPU
        found = tuple(each for each in found if each.half != "weights")
    return [
        replace(each, width=each.width + each.width % 2) if plan.net == "transformer" else each
        for each in found
    ]
