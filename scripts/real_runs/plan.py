"""All that decides one real training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides one training; a fault is a change of some of these.

    Parameters
    ----------
    task, net, framework : str
        Keys of `TASKS`, of the nets and of `FRAMEWORKS`.
    n_steps, batch, n_train : int
        Updates, rows of a batch, training rows.
    val_every : int
        Updates between validations; 0 for once an epoch.
    momentum : float
        Of SGD; the first decay rate of Adam.
    gain, bias : float
        Factor on the initial hidden weights; initial hidden biases.
    init : str
        "" for the usual one of the activation; "default" for PyTorch's own; "zero" or "constant"
        hidden weights.
    penalty : float
        L2 penalty that is part of the loss (weight_decay acts in the optimiser).
    clip : float
        Largest gradient norm; 0 for no limit.
    warm : int
        Updates on other rows of the task, not logged, before the training: 0 for none, below 0
        for as many and a new last layer.
    objective : str
        "" for squared error, or cross-entropy of classes; else a key of `objectives`.
    augment : str
        What is done to the training rows alone: "" for nothing, "noise", "holes" or "mixed".
    label_noise : float
        Share of wrong training targets; those of validation too if `noisy_val`.
    order : str
        "shuffled"; "sorted" by group; "shards" sorted, shuffled in a small buffer;
        "blocks" sorted, with the blocks in a new order each epoch.
    bad_kind : str
        What is wrong with the batches bad_step to bad_step + bad_length - 1 (and, if `bad_again`,
        with those at the same place of the later epochs): "scale" of all inputs, "outlier" (a few
        rows), "target", "class" (one class only), "empty" inputs, "nan".
    bad_size : float
        Factor on inputs or targets.
    units : str
        Scale of the inputs: "" for normalised, "raw" as collected, "spread" (a scale for each
        feature), "offset" (a shift for all), "bytes" (times 255).
    wrong_loss : str
        "" for the right one; else a key of the losses' faults.
    val_fault : str
        "" for none; "scale", "offset", "noise" or "turned" inputs, "labels" mapped wrongly,
        "source" (another part of the data), "leak" (rows of the training data).
    val_size : float
        Factor or share of the fault in validation.
    resumes : tuple of int
        Updates before which the training is saved, ended and started again from the checkpoint.
    lost : str
        What the checkpoint or its reader left out, of "optimiser", "schedule", "data", joined
        by "+".
    half : str
        "" for single precision; "autocast", "bfloat16" (autocast), "weights" (all in half
        precision), "log" (autocast, and the logarithm of the softmax taken in half precision).
    loss_scale, growth, growth_factor : float
        Scale of the loss, steps until it grows, by what.
    checked : bool
        Steps whose gradients are not finite are left out.
    """

    task: str
    net: str
    framework: str = "torch"
    n_steps: int = 300
    batch: int = 32
    n_train: int = 800
    val_every: int = 0
    lr: float = 1e-3
    optimiser: str = "adam"
    momentum: float = 0.9
    schedule: str = "constant"
    width: int = 32
    depth: int = 2
    activation: str = "relu"
    norm: str = "none"
    cell: str = "gru"
    dropout: float = 0.0
    weight_decay: float = 0.0
    penalty: float = 0.0
    clip: float = 0.0
    gain: float = 1.0
    bias: float = 0.0
    init: str = ""
    warm: int = 0
    objective: str = ""
    augment: str = ""
    label_noise: float = 0.0
    noisy_val: bool = False
    order: str = "shuffled"
    bad_kind: str = ""
    bad_step: int = -1
    bad_length: int = 1
    bad_again: bool = False
    bad_size: float = 1.0
    units: str = ""
    wrong_loss: str = ""
    val_fault: str = ""
    val_size: float = 1.0
    resumes: tuple[int, ...] = ()
    lost: str = ""
    half: str = ""
    loss_scale: float = 1.0
    growth: int = 10_000
    growth_factor: float = 2.0
    checked: bool = True
    seed: int = 0

    def segments(self) -> list[tuple[int, int]]:
        """Return first and last update (exclusive) of each start of the training."""
        cuts = [0, *self.resumes, self.n_steps]
        return list(pairwise(cuts))

    def repeats(self) -> tuple[tuple[int, int, float, float], ...]:
        """Return (first update, end, first and last place of the shard as shares of the rows).

        Between these updates the training sees one shard of its rows alone; none in the trial.
        """
        return ()

    def keeps(self, part: str) -> bool:
        """Tell whether a resumed training gets this part of the checkpoint."""
        return part not in self.lost.split("+")


def rate_of(plan: Plan) -> Callable[[int], float]:
    """Return step -> factor on the learning rate; a plateau schedule is the framework's own."""
    n, warm = plan.n_steps, max(1, plan.n_steps // 10)

    def cosine(step: int) -> float:
        return 0.5 + 0.5 * math.cos(math.pi * min(step / n, 1))

    def one_cycle(step: int) -> float:
        rise = 0.3 * n
        if step < rise:
            return 0.04 + 0.96 * (0.5 - 0.5 * math.cos(math.pi * step / rise))
        return 0.5 + 0.5 * math.cos(math.pi * min((step - rise) / (n - rise), 1)) + 1e-4

    rates: dict[str, Callable[[int], float]] = {
        "constant": lambda _: 1.0,
        "plateau": lambda _: 1.0,
        "cosine": cosine,
        "linear": lambda s: max(0.0, 1 - s / n),
        "steps": lambda s: 0.2 ** int(3 * s / n),
        "decay": lambda s: 0.02 ** (s / n),
        "warmup": lambda s: min((s + 1) / warm, cosine(s)),
        "one_cycle": one_cycle,
        "restarts": lambda s: 0.5 + 0.5 * math.cos(math.pi * (3 * s / n % 1)),
    }
    return rates[plan.schedule]


def between(rng: Rng, low: float, high: float) -> float:
    """Draw from low to high, evenly in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def power(rng: Rng, low: float, high: float) -> float:
    """Draw from 10 ** low to 10 ** high, three digits."""
    return float(f"{10 ** rng.uniform(low, high):.3g}")
