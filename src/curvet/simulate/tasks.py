"""Data sets made from a seed: labels by a teacher or a rule, clusters, numbers, text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..recipe import Task, TaskKind

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One task's data.

    Parameters
    ----------
    x, x_val : arrays of shape (sample, input)
        Inputs of about unit variance.
    y, y_val : arrays of shape (sample,) of int64, or (sample, target) of float32
        Classes or targets.
    """

    x: Array
    y: NDArray[np.int64] | Array
    x_val: Array
    y_val: NDArray[np.int64] | Array


def is_classification(task: Task) -> bool:
    """Tell whether the task's loss is cross-entropy (else mean squared error)."""
    return task.kind in ("teacher", "clusters", "parity", "next_token")


def sequence_shape(task: Task) -> tuple[int, int]:
    """Tell how sequence nets read a task's inputs: (time, channel)."""
    if task.kind == "next_token":
        return task.n_inputs // task.n_outputs, task.n_outputs
    channels = 2 if task.n_inputs <= 12 else 3 if task.n_inputs <= 24 else 4
    return task.n_inputs // channels, channels


def make_dataset(task: Task) -> Dataset:
    """Draw the data of a task.

    Parameters
    ----------
    task : Task
        Same task, same data.
    """
    rng = np.random.default_rng(task.seed)
    n = task.n_pool + task.n_val
    x, y = _MAKERS[task.kind](task, n, rng)
    return Dataset(x[: task.n_pool], y[: task.n_pool], x[task.n_pool :], y[task.n_pool :])


def _inputs(task: Task, n: int, rng: np.random.Generator) -> Array:
    """Gaussian inputs whose covariance has eigenvalues that fall off as a power."""
    scale = np.arange(1, task.n_inputs + 1) ** -rng.uniform(0.0, 2.0)
    mixing = np.linalg.qr(rng.standard_normal((task.n_inputs, task.n_inputs)))[0]
    x = rng.standard_normal((n, task.n_inputs)) * scale @ mixing
    return np.asarray((x - x.mean(0)) / (x.std(0) + 1e-6), np.float32)


def _teacher(x: Array, n_outputs: int, gain: float, rng: np.random.Generator) -> Array:
    """Compute the outputs of a random network with one hidden layer, each of unit variance."""
    hidden = int(rng.integers(4, 48))
    w1 = rng.standard_normal((x.shape[1], hidden)) * gain / np.sqrt(x.shape[1])
    w2 = rng.standard_normal((hidden, n_outputs)) / np.sqrt(hidden)
    out = np.tanh(x @ w1 + 0.3 * rng.standard_normal(hidden)) @ w2
    return np.asarray((out - out.mean(0)) / (out.std(0) + 1e-6), np.float32)


def _spoil(y: NDArray[np.int64], task: Task, rng: np.random.Generator) -> NDArray[np.int64]:
    """Redraw a share of the labels: the part of the loss that nobody can learn."""
    wrong = rng.random(len(y)) < task.noise
    return np.where(wrong, rng.integers(0, task.n_outputs, len(y)), y)


def _labels_by_teacher(
    task: Task, n: int, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64]]:
    x = _inputs(task, n, rng)
    scores = _teacher(x, task.n_outputs, 0.3 + 2.7 * task.difficulty, rng)
    return x, _spoil(scores.argmax(1), task, rng)


def _clusters(task: Task, n: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
    per_class = int(rng.integers(1, 4))
    spread = 0.25 + 1.5 * task.difficulty
    centres = rng.standard_normal((task.n_outputs, per_class, task.n_inputs))
    y = rng.integers(0, task.n_outputs, n)
    x = centres[y, rng.integers(0, per_class, n)]
    x = x + spread * rng.standard_normal((n, task.n_inputs))
    return np.asarray(x / x.std(), np.float32), _spoil(y, task, rng)


def _parity(task: Task, n: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
    """Whether the product of some inputs is positive: no part of them alone tells anything."""
    x = rng.choice([-1.0, 1.0], (n, task.n_inputs)) + 0.2 * rng.standard_normal((n, task.n_inputs))
    chosen = rng.choice(task.n_inputs, 2 if task.difficulty < 0.6 else 3, replace=False)
    y = (np.prod(np.sign(x[:, chosen]), axis=1) > 0).astype(np.int64)
    return np.asarray(x, np.float32), _spoil(y, task, rng)


def _regression(task: Task, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    x = _inputs(task, n, rng)
    y = _teacher(x, task.n_outputs, 0.3 + 2.2 * task.difficulty, rng)
    y = np.asarray(y + task.noise * rng.standard_normal(y.shape), np.float32)
    # A regression's targets come in any unit.
    return x, np.asarray(y * 10 ** rng.uniform(-0.5, 0.7) + rng.normal(0, 0.5), np.float32)


def _autoencode(task: Task, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    latent = rng.standard_normal((n, max(2, task.n_inputs // 4)))
    x = np.tanh(_teacher(np.asarray(latent, np.float32), task.n_inputs, 1.0, rng))
    x = x + 0.3 * task.noise * rng.standard_normal(x.shape)
    x = np.asarray(x, np.float32)
    return x, x


def _next_token(task: Task, n: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
    """Windows of a second-order Markov chain over `n_outputs` tokens, one-hot."""
    k, window = task.n_outputs, task.n_inputs // task.n_outputs
    logits = rng.standard_normal((k, k, k)) * (4.0 - 3.0 * task.difficulty)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    cumulative = np.cumsum(weights / weights.sum(-1, keepdims=True), axis=-1)
    tokens = rng.integers(0, k, (n, window + 1))
    for t in range(2, window + 1):
        draws = rng.random((n, 1))
        row = cumulative[tokens[:, t - 2], tokens[:, t - 1]]
        tokens[:, t] = np.minimum((draws > row).sum(1), k - 1)
    x = np.eye(k, dtype=np.float32)[tokens[:, :window]].reshape(n, -1)
    x = np.pad(x, ((0, 0), (0, task.n_inputs - x.shape[1])))
    return np.asarray(x * np.sqrt(k), np.float32), tokens[:, window]


_MAKERS: dict[TaskKind, Callable[[Task, int, np.random.Generator], tuple[Array, Any]]] = {
    "teacher": _labels_by_teacher,
    "clusters": _clusters,
    "parity": _parity,
    "regression": _regression,
    "autoencode": _autoencode,
    "next_token": _next_token,
}
