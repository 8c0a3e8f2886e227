"""Seeds to labelled runs: rounds of bases, each with healthy twins and faulty variants.

One round is one shard. A round depends on the seed and its number alone, so that a corpus can be
made by any number of workers, killed and resumed, and is always the same.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..causes import CAUSES
from ..errors import CorpusError
from ..recipe import Norm, Recipe, Task, Trace
from .loggers import draw_logger, in_other_unit, log
from .tasks import is_classification

CORPUS_FORMAT = 1
BASES_PER_ROUND = 4
LOGS_PER_RUN = 2
"""Ways in which every labelled run is logged."""

# Draws for each base. Causes whose injection often does no harm are tried more often.
_DRAWS = {
    "healthy": 5,
    "lr_too_high": 3,
    "lr_too_low": 2,
    "exploding_gradients": 4,
    "vanishing_gradients": 3,
    "bad_data_batch": 4,
    "overfitting": 3,
    "under_capacity": 3,
    "over_regularisation": 3,
    "noisy_labels": 2,
    "unshuffled_data": 3,
}
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


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A labelled run of a corpus.

    Parameters
    ----------
    trace : Trace
        The run as logged.
    cause : str
        Key of the injected cause.
    base : str
        Task, net and seed; runs of one base must stay on one side of every split.
    family : str
        Round of the base: bases of one round share net and optimiser.
    task, net, style : str
        Kind of task and net, and how it was logged.
    """

    trace: Trace
    cause: str
    base: str
    family: str
    task: str
    net: str
    style: str


def simulate(
    out: Path,
    n_runs: int,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Fill a folder with labelled runs; goes on where an earlier call was stopped.

    Parameters
    ----------
    out : Path
        The corpus: shards and `corpus.json`.
    n_runs : int
        Labelled runs; each is logged in `LOGS_PER_RUN` ways.
    seed : int
        Same seed, same corpus, whatever the number of workers.
    device : str
        A torch device.
    workers : int
        Processes, one thread each.
    progress : callable (done, total)
        Called after every round.

    Raises
    ------
    CorpusError
        The folder holds a corpus of another seed or format.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    out.mkdir(parents=True, exist_ok=True)
    _claim(out, seed)
    counts: list[int] = []
    chunk = 2 * workers
    try:
        with Parallel(n_jobs=workers) as parallel:
            while sum(counts) < n_runs:
                rounds = range(len(counts), len(counts) + chunk)
                jobs = (
                    delayed(_make_round)(out, seed, number, device, os.getpid())
                    for number in rounds
                )
                counts += parallel(jobs)
                progress(min(sum(counts), n_runs), n_runs)
    except KeyboardInterrupt:
        if workers > 1:
            get_reusable_executor().shutdown(wait=False, kill_workers=True)
        raise
    kept, total = 0, 0
    while total < n_runs:
        total, kept = total + counts[kept], kept + 1
    manifest = {"format": CORPUS_FORMAT, "seed": seed, "rounds": kept, "runs": n_runs}
    _write(out / "corpus.json", json.dumps(manifest, indent=1).encode())


def load_corpus(folder: Path) -> list[Example]:
    """Read all labelled runs of a corpus, in the order of the rounds.

    Raises
    ------
    CorpusError
        The folder holds no finished corpus.
    """
    manifest_file = folder / "corpus.json"
    if not manifest_file.is_file():
        raise CorpusError(f"{folder}: no corpus.json; make a corpus with `curvet simulate`")
    manifest = json.loads(manifest_file.read_text())
    if manifest.get("format") != CORPUS_FORMAT or "rounds" not in manifest:
        raise CorpusError(
            f"{folder}: an unfinished corpus or one of another format; run `curvet simulate` again"
        )
    examples: list[Example] = []
    runs = 0
    for number in range(manifest["rounds"]):
        shard = _read_shard(_shard_path(folder, number))
        room = manifest["runs"] - runs
        examples += shard[: room * LOGS_PER_RUN]
        runs += min(room, len(shard) // LOGS_PER_RUN)
    return examples


def _claim(out: Path, seed: int) -> None:
    manifest_file = out / "corpus.json"
    if manifest_file.is_file():
        manifest = json.loads(manifest_file.read_text())
        if (manifest.get("format"), manifest.get("seed")) != (CORPUS_FORMAT, seed):
            raise CorpusError(
                f"{out}: holds a corpus of seed {manifest.get('seed')} and format "
                f"{manifest.get('format')}; asked for seed {seed}, format {CORPUS_FORMAT}; "
                "choose another folder"
            )
    else:
        manifest = {"format": CORPUS_FORMAT, "seed": seed}
        _write(manifest_file, json.dumps(manifest).encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.write_bytes(content)
    temporary.replace(path)


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"round-{number:05d}.npz"


def _make_round(out: Path, seed: int, number: int, device: str, owner: int) -> int:
    """Make one shard unless it is there; return its number of labelled runs."""
    path = _shard_path(out, number)
    if path.is_file():
        with np.load(path, allow_pickle=False) as shard:
            return len(shard["cause"]) // LOGS_PER_RUN
    _end_with(owner)
    import torch

    if device == "cpu":
        torch.set_num_threads(1)
    examples = list(simulate_round(seed, number, device))
    _write_shard(path, examples)
    return len(examples) // LOGS_PER_RUN


@lru_cache(maxsize=1)
def _end_with(owner: int) -> None:
    """End this worker once the process that started it is gone, however that ended."""
    if os.getpid() == owner:
        return

    def watch() -> None:
        while os.getppid() == owner:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def simulate_round(seed: int, number: int, device: str = "cpu") -> Iterator[Example]:
    """Train one round and yield its labelled runs, each logged in `LOGS_PER_RUN` ways.

    Parameters
    ----------
    seed, number : int
        The round depends on these alone.
    device : str
        A torch device.
    """
    from .population import train_population

    rng = np.random.default_rng((seed, number))
    bases = _tuned(_draw_bases(rng), rng, device)
    healthy = [recipe for base in bases for recipe in _variants(base, "healthy", rng)]
    made = train_population(healthy, device)
    per_base = len(made) // len(bases)
    families = [
        _Family(f"{number}-{b}", base, healthy[at : at + per_base], made[at : at + per_base])
        for b, (base, at) in enumerate(zip(bases, range(0, len(made), per_base), strict=True))
    ]
    # A base that cannot be learnt tells nothing about causes.
    families = [f for f in families if CAUSES["healthy"].shows(f.twin, f.twin)]
    jobs = [
        (family, key, recipe)
        for family in families
        for key in CAUSES
        if key != "healthy"
        for recipe in _variants(family.base, key, rng)
    ]
    traces = train_population([recipe for _, _, recipe in jobs], device)
    for family in families:
        for recipe, trace in zip(family.recipes, family.traces, strict=True):
            yield from _label("healthy", recipe, trace, family, rng)
    for (family, key, recipe), trace in zip(jobs, traces, strict=True):
        yield from _label(key, recipe, trace, family, rng)


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """A base and its healthy trainings, of which the best is the twin of every faulty one."""

    name: str
    base: Recipe
    recipes: Sequence[Recipe]
    traces: Sequence[Trace]

    @property
    def twin(self) -> Trace:
        return min(self.traces, key=lambda trace: trace.end)


def _variants(base: Recipe, key: str, rng: np.random.Generator) -> list[Recipe]:
    """Inject a cause into a base as often as `_DRAWS` says, each time with a seed of its own."""
    drawn = [CAUSES[key].inject(base, rng) for _ in range(_DRAWS[key])]
    if key == "healthy":
        drawn[0] = base
    return [replace(recipe, seed=int(rng.integers(2**62))) for recipe in drawn]


def _label(
    key: str, recipe: Recipe, trace: Trace, family: _Family, rng: np.random.Generator
) -> Iterator[Example]:
    """Log a run in several ways, if its fault did harm; all or nothing."""
    cause = CAUSES[key]
    if not cause.shows(trace, family.twin):
        return
    logged: list[Example] = []
    for _ in range(4 * LOGS_PER_RUN):  # some ways of logging hide the harm: draw others
        logger = draw_logger(trace, rng)
        kept = log(trace, logger)
        if len(kept.loss) >= 2 and cause.shows(kept, log(family.twin, logger)):
            if not is_classification(recipe.task):
                kept = in_other_unit(kept, 10 ** rng.uniform(-2, 3))
            net = f"{recipe.net}{recipe.depth}"
            number = family.name.split("-")[0]
            logged.append(
                Example(kept, key, family.name, number, recipe.task.kind, net, logger.style)
            )
        if len(logged) == LOGS_PER_RUN:
            yield from logged
            return


def _draw_bases(rng: np.random.Generator) -> list[Recipe]:
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
        init_gain=1.0,
        optimiser=optimiser,
        lr=1e-3,
        momentum=0.9,
        schedule="constant",
        warmup=0.0,
        clip=float("inf"),
        weight_decay=0.0,
        penalty_in_loss=False,
        dropout=float(rng.choice([0.0, 0.1, 0.2, 0.35, 0.5], p=[0.6, 0.12, 0.12, 0.08, 0.08])),
        label_smoothing=0.0,
        batch_size=batch,
        n_steps=n_steps,
        n_train=pool,
        order="shuffled",
        label_noise=0.0,
        val_noise=False,
        input_scale=1.0,
        bad_batches=(),
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


def _tuned(bases: Sequence[Recipe], rng: np.random.Generator, device: str) -> list[Recipe]:
    """Give every base the rate that serves it best in a pilot of half the length.

    Without it a rate that merely suits the default badly would pass for healthy, and a multiple
    of it for too high.
    """
    from .population import train_population

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


_SERIES = ("step", "loss", "grad_norm", "lr", "val_step", "val")
_LABELS = ("cause", "base", "family", "task", "net", "style")


def _write_shard(path: Path, examples: Sequence[Example]) -> None:
    import io

    arrays: dict[str, Any] = {
        name: np.array([getattr(example, name) for example in examples]) for name in _LABELS
    }
    arrays["steps_per_epoch"] = np.array([e.trace.steps_per_epoch for e in examples])
    for name in _SERIES:
        parts = [getattr(example.trace, name) for example in examples]
        with np.errstate(over="ignore"):
            flat = np.concatenate(parts) if parts else np.empty(0)
            arrays[name] = flat.astype(np.float32)
        arrays[f"{name}_length"] = np.array([len(part) for part in parts], np.int64)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    _write(path, buffer.getvalue())


def _read_shard(path: Path) -> list[Example]:
    try:
        with np.load(path, allow_pickle=False) as shard:
            data = {name: shard[name] for name in shard.files}
    except (OSError, ValueError, KeyError) as error:
        raise CorpusError(
            f"{path}: damaged shard ({error}); delete it and simulate again"
        ) from error
    n = len(data["cause"])
    series = {
        name: np.split(data[name].astype(np.float64), np.cumsum(data[f"{name}_length"])[:-1])
        for name in _SERIES
    }
    return [
        Example(
            Trace(
                **{name: series[name][i] for name in _SERIES},
                steps_per_epoch=int(data["steps_per_epoch"][i]),
            ),
            *(str(data[name][i]) for name in _LABELS),
        )
        for i in range(n)
    ]
