"""The curves of a healthy training, drawn by a formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Array

Rng = np.random.Generator


@dataclass(slots=True, eq=False)
class Sketch:
    """A training as somebody would draw it, at every step; each cause bends a healthy one.

    Parameters
    ----------
    t : array of shape (n,)
        Share of the run that has passed.
    start, drop : float
        Level of the loss at the start; how far a healthy loss falls.
    loss, val : arrays of shape (n,)
        Levels without noise.
    noise : array of shape (n,)
        Standard deviation of the training loss.
    norm, lr : arrays of shape (n,)
        Gradient norm without noise, learning rate.
    step : array of shape (n,)
        As the training counts.
    epoch : int
        Steps of an epoch.
    nan_from : int
        Position of the first NaN; n for none.
    onset : int
        See `Trace.onset`.
    """

    t: Array
    start: float
    drop: float
    loss: Array
    val: Array
    noise: Array
    norm: Array
    lr: Array
    step: Array
    epoch: int
    nan_from: int
    onset: int = -1


def draw_healthy(rng: Rng) -> Sketch:
    """Draw a run without a fault."""
    n = int(np.exp(rng.uniform(np.log(60), np.log(2000))))
    t = np.arange(n) / (n - 1)
    start = float(rng.choice([np.log(rng.integers(2, 60)), 10 ** rng.uniform(-1, 1)]))
    drop = start * rng.uniform(0.25, 0.99)
    fall = draw_fall(t, rng)
    loss = start - drop * (1 - fall)
    noise = drop * 10 ** rng.uniform(-2.6, -0.9) * (0.4 + 0.6 * fall)
    gap = drop * rng.uniform(-0.04, 0.12) * np.sqrt(t)
    norm = 10 ** rng.uniform(-1.2, 1.2) * (0.05 + fall) ** rng.uniform(-0.3, 0.9)
    lr = 10 ** rng.uniform(-4, -0.5) * _schedule(t, rng)
    epoch = max(1, round(n / np.exp(rng.uniform(np.log(1), np.log(40)))))
    step = np.arange(n, dtype=np.float64)
    return Sketch(t, start, drop, loss, loss + gap, noise, norm, lr, step, epoch, n)


def draw_fall(t: Array, rng: Rng) -> Array:
    """From 1 to about 0: a power law, an exponential, both, or a late sigmoid."""
    power = (1 + t / 10 ** rng.uniform(-2.5, -0.6)) ** -rng.uniform(0.3, 1.6)
    power = (power - power[-1]) / (1 - power[-1])
    rapid = np.exp(-t / rng.uniform(0.02, 0.35))
    late = 1 / (1 + np.exp((t - rng.uniform(0.1, 0.4)) / rng.uniform(0.02, 0.08)))
    share = rng.uniform(0, 1)
    kinds = [power, rapid, share * power + (1 - share) * rapid, late / late[0]]
    return np.asarray(kinds[int(rng.choice(4, p=[0.35, 0.25, 0.3, 0.1]))])


def _schedule(t: Array, rng: Rng) -> Array:
    cosine = 0.5 * (1 + np.cos(np.pi * t))
    steps = 0.1 ** ((t > 0.5).astype(float) + (t > 0.8))
    shape = [np.ones_like(t), cosine, 1 - t, steps][int(rng.choice(4, p=[0.45, 0.25, 0.15, 0.15]))]
    warm = rng.uniform(0.01, 0.15) if rng.random() < 0.4 else 0.0
    return np.maximum(shape * np.minimum(1, t / warm if warm else 1.0), 1e-4)
