"""A plan's data: the rows, and which of them each update sees. The same for every framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Array, Data
from .plan import Plan, Rng
from .tasks import load


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """What a training is fed with.

    Parameters
    ----------
    x, y : array of shape (row, ...)
        Training rows; behind them, those of the bad batches.
    batches : list of arrays of shape (batch,)
        Rows of each update of the whole training.
    period, every : int
        Updates in an epoch, and between two validations.
    x_val, y_val, x_honest, y_honest : array of shape (row, ...)
        Validation rows as the training sees them, and sound ones.
    n_out, n_symbols : int
        As in `Data`.
    """

    x: Array
    y: Array
    batches: list[NDArray[np.int64]]
    period: int
    every: int
    x_val: Array
    y_val: Array
    x_honest: Array
    y_honest: Array
    n_out: int
    n_symbols: int

    @property
    def classify(self) -> bool:
        """Tell whether the targets are classes or symbols."""
        return bool(self.y.dtype.kind == "i")


def prepare(plan: Plan) -> Feed:
    """Do to the rows and to their order what the plan asks for."""
    data, rng = load(plan.task), np.random.default_rng(plan.seed + 1)
    known = ~_elsewhere(data.group, data.group_val) if plan.val_fault == "source" else slice(None)
    x, y, group = (rows[known][: plan.n_train] for rows in (data.x, data.y, data.group))
    n = len(x)
    y_honest = data.y_val
    if plan.label_noise:
        y = _mixed(y, plan.label_noise, rng)
        y_honest = _mixed(y_honest, plan.label_noise, rng) if plan.noisy_val else y_honest
    if plan.order != "shuffled":
        order = np.argsort(group, kind="stable")
        x, y, group = x[order], y[order], group[order]
    x_val, y_val = _validation(plan, data, x, y, y_honest, rng)
    x, x_val, x_honest = (in_units(plan, data, rows) for rows in (x, x_val, data.x_val))
    batches = _stuck(plan, _batches(plan, n, np.random.default_rng(plan.seed)), n)
    period = n // plan.batch
    x, y, batches = _with_bad_batches(plan, x, y, batches, period, data)
    every = plan.val_every or period
    return Feed(
        x, y, batches, period, every, x_val, y_val, x_honest, y_honest, data.n_out, data.n_symbols
    )


def _mixed(y: Array, share: float, rng: Rng) -> Array:
    """Give a share of the targets those of other rows."""
    mixed: Array = np.where(rng.random(y.shape) < share, rng.permutation(y), y)
    return mixed


def in_units(plan: Plan, data: Data, x: Array) -> Array:
    """Return inputs in the units of the plan: the same for training and validation."""
    if not plan.units or data.n_symbols:
        return x
    features = x.shape[-1]
    rng = np.random.default_rng(plan.seed + 2)
    if plan.units == "raw":
        raw: Array = (x * data.raw_scale + data.raw_mean).astype(np.float32)
        return raw
    change: Array | float = 0.0
    scale: Array | float = 255.0 if plan.units == "bytes" else 1.0
    if plan.units == "spread":
        scale = 10 ** rng.uniform(-1.5, 1.5, features)
    if plan.units == "offset":
        change = 10 ** rng.uniform(1, 2.5) * rng.choice([-1, 1], features)
    return np.asarray(x * scale + change, np.float32)


def _validation(
    plan: Plan, data: Data, x: Array, y: Array, y_honest: Array, rng: Rng
) -> tuple[Array, Array]:
    """Return the validation rows of a plan: sound ones, other ones, or rows of the training."""
    rows, size = data.x_val, plan.val_size
    if plan.val_fault == "leak":
        leaked = rng.random(len(rows)) < size
        pick = rng.integers(0, len(x), len(rows))
        x_mixed, y_mixed = rows.copy(), y_honest.copy()
        x_mixed[leaked], y_mixed[leaked] = x[pick[leaked]], y[pick[leaked]]
        return x_mixed, y_mixed
    if plan.val_fault == "labels":
        if y_honest.dtype.kind == "i":
            table = np.random.default_rng(plan.seed).permutation(data.n_out)
            return rows, table[y_honest]
        return rows, (y_honest * size + (size - 1)).astype(np.float32)
    if plan.val_fault == "source":
        chosen = _elsewhere(data.group_val, data.group_val)
        return rows[chosen], y_honest[chosen]
    if plan.val_fault == "scale":
        return (rows * size).astype(rows.dtype), y_honest
    if plan.val_fault == "offset":
        return (rows + size).astype(rows.dtype), y_honest
    if plan.val_fault == "noise":
        return (rows + rng.normal(0, size, rows.shape)).astype(rows.dtype), y_honest
    if plan.val_fault == "turned":
        return np.flip(rows, axis=1).copy(), y_honest
    return rows, y_honest


def _elsewhere(group: Array, group_val: Array) -> NDArray[np.bool_]:
    """Return which rows belong to the part of the data that only validation sees."""
    elsewhere: NDArray[np.bool_] = group >= np.quantile(group_val, 0.8)
    return elsewhere


def _batches(plan: Plan, n: int, rng: Rng) -> list[NDArray[np.int64]]:
    """Return the rows of each update; a data stream that a resume restarts begins again."""
    found: list[NDArray[np.int64]] = []
    while len(found) < plan.n_steps:
        order = _order(plan, n, rng)
        found += [order[i : i + plan.batch] for i in range(0, n - plan.batch + 1, plan.batch)]
    if plan.keeps("data"):
        return found[: plan.n_steps]
    return [rows for first, end in plan.segments() for rows in found[: end - first]]


def _order(plan: Plan, n: int, rng: Rng) -> NDArray[np.int64]:
    """Return the order of the rows in one epoch."""
    if plan.order == "shuffled":
        return rng.permutation(n)
    if plan.order == "sorted":
        return np.arange(n)
    if plan.order == "shards":  # a shuffle buffer of a tenth of the rows
        return np.argsort(np.arange(n) + rng.uniform(0, n / 10, n))
    blocks = np.array_split(np.arange(n), 6)
    return np.concatenate([rng.permutation(blocks[i]) for i in rng.permutation(6)])


def _stuck(plan: Plan, batches: list[Any], n: int) -> list[Any]:
    """Let the updates of each stuck loader see one shard again and again, shuffled each time."""
    for first, end, low, high in plan.repeats():
        shard = np.arange(int(low * n), max(int(low * n) + 2, int(high * n)))
        rng = np.random.default_rng([plan.seed, first])
        times = -(-plan.batch * (end - first) // len(shard))
        stream = np.concatenate([rng.permutation(shard) for _ in range(times)])
        for step in range(first, end):
            place = (step - first) * plan.batch
            batches[step] = stream[place : place + plan.batch]
    return batches


def bad_steps(plan: Plan, period: int) -> list[int]:
    """Return the updates that get a bad batch."""
    if not plan.bad_kind:
        return []
    starts = range(plan.bad_step, plan.n_steps, period if plan.bad_again else plan.n_steps)
    steps = [start + i for start in starts for i in range(plan.bad_length)]
    return [step for step in steps if step < plan.n_steps]


def _with_bad_batches(
    plan: Plan, x: Array, y: Array, batches: list[Any], period: int, data: Data
) -> tuple[Array, Array, list[Any]]:
    """Append the rows of the bad batches and let the updates see them."""
    rng = np.random.default_rng(plan.seed)
    rows_x, rows_y, n = [x], [y], len(x)
    for step in bad_steps(plan, period):
        rows = batches[step]
        if plan.bad_kind == "class":
            rows = np.argsort(-data.group[: len(x)], kind="stable")[: plan.batch]
        bad_x, bad_y = spoilt(plan, data, x[rows], y[rows], rng)
        rows_x.append(bad_x)
        rows_y.append(bad_y)
        batches[step] = np.arange(n, n + len(rows))
        n += len(rows)
    return np.concatenate(rows_x), np.concatenate(rows_y), batches


def spoilt(plan: Plan, data: Data, x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    """Return a bad batch: inputs out of scale (or symbols at random), or wrong targets."""
    if plan.bad_kind == "target":
        if y.dtype.kind == "i":
            return x, (y + 1 + rng.integers(0, data.n_out - 1)) % data.n_out
        return x, (y * -plan.bad_size).astype(y.dtype)
    if plan.bad_kind == "class":
        return x, y
    if data.n_symbols:
        noise = rng.integers(0, data.n_symbols, x.shape)
        return (noise if plan.bad_kind != "empty" else np.zeros_like(x)), y
    factor = {"empty": 0.0, "nan": np.nan}.get(plan.bad_kind, plan.bad_size)
    bad = x.copy()
    few = slice(max(1, len(x) // 8)) if plan.bad_kind == "outlier" else slice(None)
    bad[few] = x[few] * np.float32(factor)
    return bad, y
