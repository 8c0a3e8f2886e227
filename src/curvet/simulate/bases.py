"""What a healthy training may look like: nets, tasks, optimisers and rates to draw from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..recipe import Norm, Recipe, Task, TaskKind, Unnormalised
from .population import train_population

BASES_PER_ROUND = 8

LONG = 0.12
"""Share of the rounds of shallow MLPs that train for thousands of steps, which takes minutes each.

Logs that people have show hundreds or thousands of updates as one point: most is learnt between the
first two, and all that is left is a long tail.
"""

_DEPTHS: dict[str, tuple[Sequence[int], None, bool, Sequence[float]]] = {
    "mlp": (
        (0, 1, 2, 3, 4, 6, 9, 12, 16),
        None,
        True,
        (0.05, 0.21, 0.24, 0.2, 0.12, 0.08, 0.05, 0.03, 0.02),
    ),
    "conv": ((1, 2, 3, 5), None, True, (0.25, 0.4, 0.25, 0.1)),
    "attention": ((1, 2, 3), None, True, (0.6, 0.3, 0.1)),
    **dict.fromkeys(("rnn", "gru", "lstm"), ((1, 2), None, True, (0.8, 0.2))),
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
    net = rng.choice(
        ["mlp", "conv", "rnn", "gru", "lstm", "attention"], p=[0.58, 0.11, 0.12, 0.07, 0.03, 0.09]
    )
    kind, n_inputs, n_outputs = _draw_shape(net, rng)
    depth = int(rng.choice(*_DEPTHS[net]))
    if net == "mlp":
        n_steps = int(np.exp(rng.uniform(np.log(80), np.log(2500))))
        batch = int(rng.choice((4, 8, 16, 32, 64, 128), p=(0.04, 0.08, 0.17, 0.31, 0.26, 0.14)))
    else:
        # Sequences cost several times as much a step: shorter runs on smaller batches.
        n_steps = int(np.exp(rng.uniform(np.log(60), np.log(700))))
        batch = int(rng.choice((4, 8, 16, 32), p=(0.08, 0.25, 0.42, 0.25)))
    n_steps = min(n_steps, 64_000 // batch)
    long = net == "mlp" and depth < 4 and rng.random() < LONG
    if long:  # which must be cheap
        n_steps, batch = int(2000 * 25 ** (rng.random() ** 2)), int(rng.choice((4, 4, 8, 16)))
    norm = rng.choice(["none", "layer", "batch"], p=[0.5, 0.25, 0.25])
    # One pass or a few, as language models see their data; mostly many.
    fewest, most = (0.8, 5) if rng.random() < 0.2 else (5, 60)
    epochs = np.exp(rng.uniform(np.log(fewest), np.log(most)))
    pool = int(np.clip(n_steps * batch / epochs, 250, 2048 if kind == "autoencode" else 12000))
    optimiser = rng.choice(
        ["sgd", "nesterov", "rmsprop", "adam", "adamw", "adagrad"],
        p=[0.27, 0.08, 0.08, 0.34, 0.18, 0.05],
    )
    init = ["he", "xavier", "lecun_uniform", "orthogonal"]
    shared = Recipe(
        task=Task(kind, n_inputs, n_outputs, pool, 128 if net == "mlp" else 80, 0.5, 0.0, 0),
        net=net,
        depth=depth,
        width=int(rng.choice(_WIDTHS[net == "mlp" and depth <= 4 and not long])),
        activation=rng.choice(
            ["relu", "leaky_relu", "gelu", "tanh", "sigmoid"], p=_activations(net, depth)
        ),
        norm=_NORMS.get(net, "layer" if batch < 8 and norm == "batch" else norm),
        residual=bool(depth >= 3 and rng.random() < 0.4) or net == "attention",
        init=rng.choice(init, p=[0.15, 0.3, 0.45, 0.1]),
        optimiser=optimiser,
        lr=1e-3,
        momentum=0.9,
        schedule="constant",
        dropout=float(rng.choice([0.0, 0.1, 0.2, 0.35, 0.5], p=[0.76, 0.14, 0.06, 0.02, 0.02])),
        batch_size=batch,
        accumulation=int(rng.choice([1, 2, 4], p=[0.92, 0.05, 0.03])),
        n_steps=n_steps,
        n_train=pool,
        seed=0,
    )
    return [_vary_base(shared, rng) for _ in range(BASES_PER_ROUND)]


def _draw_shape(net: str, rng: np.random.Generator) -> tuple[TaskKind, int, int]:
    """Draw the kind of task and its numbers of inputs and outputs."""
    kind: TaskKind = rng.choice(
        ["teacher", "clusters", "parity", "regression", "autoencode", "next_token"],
        p=[0.24, 0.24, 0.03, 0.22, 0.12, 0.15],
    )
    few = net == "mlp" and kind in ("teacher", "clusters", "regression") and rng.random() < 0.3
    n_inputs = int(rng.choice([1, 2, 3] if few else [6, 12, 24, 40]))
    if kind == "next_token":
        tokens = int(rng.choice([6, 12, 20]))
        return kind, tokens * (3 if net == "mlp" else int(rng.choice([6, 8, 12]))), tokens
    if kind == "regression":
        return kind, n_inputs, int(rng.choice([1, 1, 2, 4]))
    if kind == "parity":
        return kind, min(n_inputs, 12), 2
    if kind == "autoencode":
        return kind, n_inputs, n_inputs
    classes = int(rng.choice([2, 3, 5, 10, 20, 50], p=[0.25, 0.1, 0.15, 0.3, 0.1, 0.1]))
    return kind, n_inputs, min(classes, 3) if few else classes


def _activations(net: str, depth: int) -> Sequence[float]:
    """Give the shares of ReLU, leaky ReLU, GELU, tanh and sigmoid among nets of a kind."""
    if net == "rnn":
        return (0.3, 0.0, 0.0, 0.7, 0.0)
    if depth < 4:
        return (0.4, 0.1, 0.25, 0.2, 0.05)
    return (0.45, 0.15, 0.3, 0.1, 0.0)


def _vary_base(shared: Recipe, rng: np.random.Generator) -> Recipe:
    """Give a base its own data, schedule and regularisation.

    Three in ten have few samples that are easy to learn, as many real data sets have: seen again
    and again, and learnt to a loss near zero, which validation follows.
    """
    sgd = shared.optimiser in ("sgd", "nesterov")
    pool, small = shared.task.n_pool, rng.random() < 0.3
    if small:
        least = max(60, shared.batch_size)
        few = int(np.exp(rng.uniform(np.log(least), np.log(max(pool, 2 * least)))))
        pool = min(few, pool)
    # Mostly easy: real tasks that are kept are learnt, by validation too.
    difficulty = rng.uniform(0, 0.3) if small else rng.uniform(0, 1) ** 2
    # Mostly little: where much of a healthy loss cannot be learnt, no harm can be told.
    noise = rng.choice([0.0, rng.uniform(0, 0.1), rng.uniform(0, 0.3)], p=[0.6, 0.3, 0.1])
    return replace(
        shared,
        task=replace(
            shared.task,
            n_pool=pool,
            difficulty=float(difficulty),
            noise=0.0 if small else float(noise),
            seed=int(rng.integers(2**62)),
        ),
        n_train=pool,
        # Centred inputs of unit variance, or, for some, numbers from about 0 to 1.
        unnormalised=Unnormalised(float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.2, 0.6)), 0.0)
        if rng.random() < 0.25 and shared.task.kind != "next_token"
        else None,
        momentum=float(rng.choice([0.0, 0.9])) if sgd else 0.9,
        schedule=rng.choice(
            ["constant", "cosine", "linear", "step", "restarts", "one_cycle", "plateau"],
            p=[0.46, 0.18, 0.1, 0.09, 0.06, 0.06, 0.05],
        ),
        warmup=float(rng.choice([0.0, rng.uniform(0.01, 0.15)])),
        clip=float(rng.choice([np.inf, np.inf, 1.0, 5.0])),
        weight_decay=float(rng.choice([0.0, 10 ** rng.uniform(-6, -2.5)])),
        label_smoothing=float(rng.choice([0.0, 0.1], p=[0.92, 0.08])),
        penalty_in_loss=bool(rng.random() < 0.15),
        input_noise=float(rng.choice([0.0, rng.uniform(0.02, 0.3)], p=[0.88, 0.12])),
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
        replace(base, lr=float(rate * 10 ** rng.uniform(-0.9, 0.05)))
        for base, rate in zip(bases, best, strict=True)
    ]
