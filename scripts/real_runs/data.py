"""What a task consists of, and how tables become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TABLE = ("mlp",)
IMAGE = ("cnn", "resnet", "mlp")
SERIES = ("mlp", "cnn1d", "rnn", "transformer")
LANGUAGE = ("rnn", "transformer")
ITSELF = ("autoencoder", "vae")
"""Nets that suit a kind of task; the last is to draw its inputs again."""


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """One task's rows, in random order.

    Parameters
    ----------
    x, y, x_val, y_val : array of shape (row, ...)
        Integer targets are classified, real ones regressed on.
    n_out : int
        Classes or symbols, or outputs of a regression.
    group, group_val : array of shape (row,)
        What unshuffled data would be sorted by.
    n_symbols : int
        Symbols of an integer input; 0 for real inputs.
    raw_mean, raw_scale : array of shape (feature,)
        Inputs as they were collected are x * raw_scale + raw_mean.
    """

    x: Array
    y: Array
    x_val: Array
    y_val: Array
    n_out: int
    group: Array
    group_val: Array
    n_symbols: int = 0
    raw_mean: Array | float = 0.0
    raw_scale: Array | float = 1.0


Tasks = dict[str, tuple[Callable[[], Data], tuple[str, ...]]]
"""How each task is made, and the nets that suit it."""


def cut(x: Array, y: Array, n_out: int, group: Array | None = None, **rest: Any) -> Data:
    """Put rows in random order and keep three tenths of them for validation."""
    order = np.random.default_rng(11).permutation(len(x))
    x, y = x[order], y[order]
    group = y if group is None else group[order]
    n = len(x) * 7 // 10
    return Data(x[:n], y[:n], x[n:], y[n:], n_out, group[:n], group[n:], **rest)


def validated_on(data: Data, rows: int) -> Data:
    """Keep few rows for validation: it is measured often."""
    few = slice(None, rows)
    return replace(
        data, x_val=data.x_val[few], y_val=data.y_val[few], group_val=data.group_val[few]
    )


def spelled(rows: list[str], group: Array) -> Data:
    """Let every place of texts of one length be followed by its next symbol."""
    symbols = sorted(set("".join(rows)))
    code = {symbol: i for i, symbol in enumerate(symbols)}
    row = np.array([[code[symbol] for symbol in text] for text in rows])
    return cut(row[:, :-1], row[:, 1:], len(symbols), group, n_symbols=len(symbols))


def standard(x: Array) -> tuple[NDArray[np.float32], dict[str, Array]]:
    """Return columns of mean 0 and variance 1, and what undoes that."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    return ((x - mean) / scale).astype(np.float32), {"raw_mean": mean, "raw_scale": scale}


def bundled(name: str, **options: Any) -> tuple[Array, Array]:
    """Call one of scikit-learn's loaders or makers of data."""
    from sklearn import datasets

    loaded = getattr(datasets, name)(**options)
    return loaded if isinstance(loaded, tuple) else (loaded.data, loaded.target)


def classes(name: str, **options: Any) -> Data:
    """Return a classification of scikit-learn."""
    return classified(*bundled(name, **options))


def classified(x: Array, y: Array) -> Data:
    """Return a table whose rows have a class each, from 0 on."""
    x, raw = standard(x)
    return cut(x, y.astype(np.int64), int(y.max()) + 1, **raw)


def regression(name: str, **options: Any) -> Data:
    """Return a regression of scikit-learn."""
    x, y = bundled(name, **options)
    x, raw = standard(x)
    target, _ = standard(y[:, None])
    return cut(x, target, 1, target[:, 0], **raw)
