"""What a healthy training may look like: nets, tasks, optimisers and rates to draw from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..recipe import Norm, Recipe, Task
from .population import train_population

BASES_PER_ROUND = 4

_DEPTHS: dict[str, tuple[Sequence[int], None, bool, Sequence[float]]] = {
    "mlp": ((1, 2, 3, 4, 6, 9), None, True, (0.25, 0.25, 0.2, 0.14, 0.1, 0.06)),
    "conv": ((1, 2, 3, 5), None, True, (0.2, 0.35, 0.3, 0.15)),
    "attention": ((1, 2, 3), None, True, (0.5, 0.35, 0.15)),
    **dict.fromkeys(("rnn", "gru", "lstm"), ((1, 2), None, True, (0.75, 0.25))),
}
_WIDTHS: dict[bool, Sequence[int]] = {True: (16, 24, 32, 48, 64), False: (12, 16, 24, 32)}
_NORMS: dict[str, Norm] = {"rnn": "none", "gru": "none", "lstm": "none", "attention": "layer"}
_RATES = {  # where a usable rate may lie, log10; measured on tasks of this size
    "sgd": (-3.0, 0.3),
    "nesterov": (-3.0, 0.3),
    "rmsprop": (-4.0, -1.5),
    "adam": (-3.7, -1.0),
    "adamw": (-3.7, -1.0),
    "adagrad": (-3.0, -0.3),
}


def draw_bases(rng: np.random.Generator) -> list[Recipe]:
    """Draw bases that share a family: the same net and optimiser on tasks of one shape."""
    kind = rng.choice(
        ["teacher", "clusters", "regression", "autoencode", "next_token"],
        p=[0.25, 0.25, 0.22, 0.13, 0.15],
    )
    n_outputs = int(rng.choice([2, 3, 5, 10, 20, 50], p=[0.25, 0.1, 0.15, 0.3, 0.1, 0.1]))
    n_inputs = int(rng.choice([6, 12, 24, 40]))
    if kind == "next_token":
        n_outputs = int(rng.choice([6, 12, 20]))
        n_inputs = 3 * n_outputs
    elif kind == "regression":
        n_outputs = int(rng.choice([1, 1, 2, 4]))
    elif kind == "autoencode":
        n_outputs = n_inputs
    n_steps = int(np.exp(rng.uniform(np.log(120), np.log(1500))))
    batch = int(rng.choice([8, 16, 32, 64], p=[0.15, 0.25, 0.4, 0.2]))
    net = rng.choice(
        ["mlp", "conv", "rnn", "gru", "lstm", "attention"], p=[0.45, 0.16, 0.14, 0.08, 0.04, 0.13]
    )
    depth = int(rng.choice(*_DEPTHS[net]))
    if net != "mlp":
        # Sequences cost several times as much a step: shorter runs on smaller batches.
        n_steps = int(np.exp(rng.uniform(np.log(120), np.log(700))))
        batch = int(rng.choice([8, 16, 32], p=[0.35, 0.5, 0.15]))
        if kind == "next_token":
            n_inputs = n_outputs * int(rng.choice([6, 8, 12]))
    norm = rng.choice(["none", "layer", "batch"], p=[0.5, 0.25, 0.25])
    epochs = np.exp(rng.uniform(np.log(0.8), np.log(40)))
    pool = int(np.clip(n_steps * batch / epochs, 600, 2048 if kind == "autoencode" else 12000))
    optimiser = rng.choice(
        ["sgd", "nesterov", "rmsprop", "adam", "adamw", "adagrad"],
        p=[0.27, 0.08, 0.08, 0.34, 0.18, 0.05],
    )
    shared = Recipe(
        task=Task(kind, n_inputs, n_outputs, pool, 256 if net == "mlp" else 128, 0.5, 0.0, 0),
        net=net,
        depth=depth,
        width=int(rng.choice(_WIDTHS[net == "mlp" and depth <= 4])),
        activation=rng.choice(
            ["relu", "leaky_relu", "gelu", "tanh", "sigmoid"], p=_activations(net, depth)
        ),
        norm=_NORMS.get(net, norm),
        residual=bool(depth >= 3 and rng.random() < 0.4) or net == "attention",
        init=rng.choice(["he", "xavier", "lecun_uniform"]),
        optimiser=optimiser,
        lr=1e-3,
        momentum=0.9,
        schedule="constant",
        dropout=float(rng.choice([0.0, 0.1, 0.2, 0.35, 0.5], p=[0.6, 0.12, 0.12, 0.08, 0.08])),
        batch_size=batch,
        n_steps=n_steps,
        n_train=pool,
        seed=0,
    )
    return [_vary_base(shared, rng) for _ in range(BASES_PER_ROUND)]


def _activations(net: str, depth: int) -> Sequence[float]:
    """Give the shares of ReLU, leaky ReLU, GELU, tanh and sigmoid among nets of a kind."""
    if net == "rnn":
        return (0.3, 0.0, 0.0, 0.7, 0.0)
    if depth < 4:
        return (0.4, 0.1, 0.25, 0.2, 0.05)
    return (0.45, 0.15, 0.3, 0.1, 0.0)


def _vary_base(shared: Recipe, rng: np.random.Generator) -> Recipe:
    """Give a base its own data, schedule and regularisation."""
    sgd = shared.optimiser in ("sgd", "nesterov")
    return replace(
        shared,
        task=replace(
            shared.task,
            difficulty=float(rng.uniform(0, 1)),
            noise=float(rng.choice([0.0, rng.uniform(0, 0.15), rng.uniform(0, 0.4)])),
            seed=int(rng.integers(2**62)),
        ),
        momentum=float(rng.choice([0.0, 0.9])) if sgd else 0.9,
        schedule=rng.choice(
            ["constant", "cosine", "linear", "step", "restarts", "one_cycle"],
            p=[0.42, 0.2, 0.1, 0.12, 0.08, 0.08],
        ),
        warmup=float(rng.choice([0.0, rng.uniform(0.01, 0.15)])),
        clip=float(rng.choice([np.inf, np.inf, 1.0, 5.0])),
        weight_decay=float(rng.choice([0.0, 10 ** rng.uniform(-6, -2.5)])),
        label_smoothing=float(rng.choice([0.0, 0.0, 0.0, 0.0, 0.1])),
        penalty_in_loss=bool(rng.random() < 0.3),
        order=rng.choice(["shuffled", "replacement"], p=[0.8, 0.2]),
    )


def tune(bases: Sequence[Recipe], rng: np.random.Generator, device: str) -> list[Recipe]:
    """Give every base the rate that serves it best in a pilot of half the length.

    Without it a rate that merely suits the default badly would pass for healthy, and a multiple
    of it for too high.
    """
    low, high = _RATES[bases[0].optimiser]
    rates = 10 ** np.linspace(low, high, 7)
    pilots = [
        replace(base, lr=float(rate), n_steps=max(60, base.n_steps // 2), seed=base.task.seed)
        for base in bases
        for rate in rates
    ]
    ends = np.array([t.end for t in train_population(pilots, device)]).reshape(len(bases), -1)
    best = rates[ends.argmin(1)]
    return [
        replace(base, lr=float(rate * 10 ** rng.uniform(-0.5, 0.05)))
        for base, rate in zip(bases, best, strict=True)
    ]
