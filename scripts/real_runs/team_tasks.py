"""Tasks of teams that the trial does not have, drawn or bundled, in two halves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .data import LANGUAGE, SERIES, TABLE, Array, Data, bundled, classes, cut, regression, standard
from .plan import Rng


@dataclass(frozen=True, slots=True)
class Task:
    """A task of a team.

    Parameters
    ----------
    half : str
        "a" or "b": a team has the tasks of one half.
    kind : str
        "classes", "values", "series" or "language": what projects are made of.
    nets : tuple of str
        Nets that suit it.
    load : callable
        Returns the rows.
    learned : float
        Training loss below which a run has learned it, as a share of the first one.
    """

    half: str
    kind: str
    nets: tuple[str, ...]
    load: Callable[[], Data]
    learned: float = 0.75


def _checkerboard() -> Data:
    """Tell black from white on a board of 3 x 3 with blurred edges."""
    rng = np.random.default_rng(21)
    x = rng.uniform(0, 3, (2000, 2))
    seen = np.floor(x + rng.normal(0, 0.08, x.shape)).astype(np.int64).sum(1) % 2
    return cut(standard(x)[0], seen, 2)


def _quantiles() -> Data:
    """Tell which shell of a Gaussian a blurred point is from."""
    options = {"n_features": 6, "n_classes": 4, "random_state": 0}
    x, y = bundled("make_gaussian_quantiles", n_samples=2000, **options)
    blurred = x + np.random.default_rng(22).normal(0, 0.3, x.shape)
    return cut(standard(blurred)[0], y.astype(np.int64), 4)


def _rings() -> Data:
    """Tell which of four rings a point is from."""
    rng = np.random.default_rng(23)
    ring = rng.integers(0, 4, 2000)
    radius, angle = 1 + ring + rng.normal(0, 0.25, 2000), rng.uniform(0, 2 * np.pi, 2000)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return cut(standard(x)[0], ring, 4)


def _hastie() -> Data:
    """Tell whether ten numbers lie outside of a ball."""
    x, y = bundled("make_hastie_10_2", n_samples=2600, random_state=0)
    blurred = x + np.random.default_rng(24).normal(0, 0.3, x.shape)
    return cut(standard(blurred)[0], (y > 0).astype(np.int64), 2)


def _factors() -> Data:
    """Regress two values on a table of 30 columns and rank 5."""
    rng = np.random.default_rng(25)
    parts = rng.normal(size=(1800, 5))
    x = parts @ rng.normal(size=(5, 30)) + rng.normal(0, 0.3, (1800, 30))
    y = np.tanh(parts @ rng.normal(0, 0.6, (5, 2))) + rng.normal(0, 0.35, (1800, 2))
    return cut(standard(x)[0], standard(y)[0], 2, y[:, 0])


def _swiss_roll() -> Data:
    """Regress the place along a rolled sheet."""
    x, y = bundled("make_swiss_roll", n_samples=1800, noise=1.3, random_state=0)
    return cut(standard(x)[0], standard(y[:, None])[0], 1, y)


def _windows(wave: Array, group: Array) -> Data:
    """Forecast the last of each row of values."""
    rows = (wave / wave.std()).astype(np.float32)
    return cut(rows[:, :-1, None], rows[:, -1:], 1, group)


def _times(rng: Rng, n: int, length: int) -> Array:
    return np.arange(length)[None] + rng.uniform(0, 30, (n, 1))


def _chirp() -> Data:
    """Forecast a noisy tone whose frequency rises; grouped by how fast it does."""
    rng = np.random.default_rng(26)
    rate = rng.uniform(0.0005, 0.01, 1800)
    t = _times(rng, 1800, 25)
    phase = rng.uniform(0, 2 * np.pi, (1800, 1))
    wave = np.sin(2 * np.pi * (0.03 * t + rate[:, None] * t**2 / 2) + phase)
    return _windows(wave + rng.normal(0, 0.2, t.shape), rate)


def _pendulum() -> Data:
    """Forecast a swing that dies away; grouped by its period."""
    rng = np.random.default_rng(27)
    period, loss = rng.uniform(4, 20, (1600, 1)), rng.uniform(0, 0.08, (1600, 1))
    t = _times(rng, 1600, 19)
    size = rng.uniform(0.5, 2, (1600, 1)) * np.exp(-loss * np.arange(19))
    wave = size * np.cos(2 * np.pi * t / period) + rng.normal(0, 0.2, t.shape)
    return _windows(wave, period[:, 0])


def _autoregression() -> Data:
    """Forecast an autoregressive series of order 3; grouped by its last level."""
    rng = np.random.default_rng(28)
    x = rng.normal(0, 1, (1800, 60))
    for t in range(3, 60):
        x[:, t] = 1.5 * x[:, t - 1] - 0.9 * x[:, t - 2] + 0.2 * x[:, t - 3] + 0.3 * x[:, t]
    return _windows(x[:, -21:], x[:, -2])


def _steps() -> Data:
    """Forecast a noisy square wave; grouped by its period."""
    rng = np.random.default_rng(29)
    period = rng.integers(4, 15, 1800)
    t = rng.integers(0, 30, (1800, 1)) + np.arange(31)
    sign = np.sign((t % period[:, None]) * 2 - period[:, None] + 0.5)
    wave = rng.uniform(0.5, 1.5, (1800, 1)) * sign
    return _windows(wave + rng.normal(0, 0.25, t.shape), period)


def _brackets() -> Data:
    """Say the next symbol of balanced brackets of three kinds; grouped by the first one."""
    rng = np.random.default_rng(30)
    rows = np.zeros((1600, 21), np.int64)
    for row in rows:
        open_: list[int] = []
        for i in range(len(row)):
            must_close = len(open_) + 1 >= len(row) - i
            if open_ and (must_close or rng.random() < 0.25 + 0.1 * len(open_)):
                row[i] = 4 + open_.pop()
            elif len(row) - i > 1:
                open_.append(int(rng.choice(3, p=[0.55, 0.3, 0.15])))
                row[i] = 1 + open_[-1]
    return cut(rows[:, :-1], rows[:, 1:], 7, rows[:, 0], n_symbols=7)


def _reverse() -> Data:
    """Say five symbols, some misheard, in reverse once all are known; grouped by the first."""
    rng = np.random.default_rng(31)
    word = rng.integers(1, 6, (2200, 5))
    heard = np.where(rng.random(word.shape) < 0.06, rng.integers(1, 6, word.shape), word)
    blank = np.zeros_like(word)
    x, y = np.hstack([word, blank]), np.hstack([blank, heard[:, ::-1]])
    return cut(x, y, 6, word[:, 0], n_symbols=6)


def _chain() -> Data:
    """Say the next symbol of a chain of order 2 over eight symbols; grouped by the first one."""
    rng = np.random.default_rng(32)
    table = rng.dirichlet(np.full(8, 0.25), (8, 8)).cumsum(2)
    rows = rng.integers(0, 8, (1800, 19))
    for t in range(2, 19):
        reached = table[rows[:, t - 2], rows[:, t - 1]] < rng.random((1800, 1))
        rows[:, t] = np.minimum(reached.sum(1), 7)
    return cut(rows[:, :-1], rows[:, 1:], 8, rows[:, 0], n_symbols=8)


def _running_most() -> Data:
    """Say the largest number so far, sometimes misread; grouped by the last one."""
    rng = np.random.default_rng(33)
    x = np.minimum(rng.geometric(0.3, (1800, 14)) - 1, 9)
    y = np.maximum.accumulate(x, 1)
    y = np.where(rng.random(y.shape) < 0.05, rng.integers(0, 10, y.shape), y)
    return cut(x, y, 10, y[:, -1], n_symbols=10)


TEAM_TASKS: dict[str, Task] = {
    "iris": Task("a", "classes", TABLE, lambda: classes("load_iris")),
    "checkerboard": Task("a", "classes", TABLE, _checkerboard),
    "quantiles": Task("a", "classes", TABLE, _quantiles),
    "friedman2": Task("a", "values", TABLE, lambda: regression(
        "make_friedman2", n_samples=1800, noise=150, random_state=0)),
    "factors": Task("a", "values", TABLE, _factors),
    "chirp": Task("a", "series", SERIES, _chirp),
    "pendulum": Task("a", "series", SERIES, _pendulum),
    "brackets": Task("a", "language", LANGUAGE, _brackets),
    "reverse": Task("a", "language", LANGUAGE, _reverse, learned=0.35),
    "hastie": Task("b", "classes", TABLE, _hastie),
    "rings": Task("b", "classes", TABLE, _rings),
    "blobs": Task("b", "classes", TABLE, lambda: classes(
        "make_blobs", n_samples=2000, n_features=5, centers=9, cluster_std=3.0, random_state=0)),
    "friedman3": Task("b", "values", TABLE, lambda: regression(
        "make_friedman3", n_samples=1800, noise=0.15, random_state=0)),
    "swiss_roll": Task("b", "values", TABLE, _swiss_roll),
    "autoregression": Task("b", "series", SERIES, _autoregression),
    "steps": Task("b", "series", SERIES, _steps),
    "chain": Task("b", "language", LANGUAGE, _chain),
    "running_most": Task("b", "language", LANGUAGE, _running_most),
}  # fmt: skip
