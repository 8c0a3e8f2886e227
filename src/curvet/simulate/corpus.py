"""Seeds to labelled runs: rounds of bases, each with healthy twins and faulty variants.

One round is one shard. A round depends on the seed and its number alone, so that a corpus can be
made by any number of workers, killed and resumed, and is always the same.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from ..causes import CAUSES
from ..errors import CorpusError
from ..recipe import Recipe, Trace
from .bases import draw_bases, tune
from .loggers import draw_logger, in_other_unit, log
from .population import train_population
from .tasks import is_classification

CORPUS_FORMAT = 1
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
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, seed)
    total = rounds = 0
    with closing(_round_counts(out, seed, device, workers)) as counts:
        for count in counts:
            total, rounds = total + count, rounds + 1
            progress(min(total, n_runs), n_runs)
            if total >= n_runs:
                break
    manifest = {"format": CORPUS_FORMAT, "seed": seed, "rounds": rounds, "runs": n_runs}
    _write(out / "corpus.json", json.dumps(manifest, indent=1).encode())


def _round_counts(out: Path, seed: int, device: str, workers: int) -> Generator[int, None, None]:
    """Make round after round and yield the labelled runs in each, without end."""
    if workers == 1:
        for number in itertools.count():
            yield _make_round(out, seed, number, device, os.getpid())
    before = set(active_children())
    executor = ProcessPoolExecutor(workers, get_context("spawn"), _ignore_interrupt)
    numbers = itertools.count()

    def submit() -> Future[int]:
        return executor.submit(_make_round, out, seed, next(numbers), device, os.getpid())

    try:
        # Some rounds ahead, so that a long one does not keep the other workers waiting.
        pending = deque(submit() for _ in range(3 * workers))
        while True:
            pending.append(submit())
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise CorpusError(
            f"{out}: a worker process was ended from outside (out of memory?); "
            "the same command goes on where this one stopped, perhaps with fewer --workers"
        ) from error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in set(active_children()) - before:
            worker.kill()  # later rounds are still under way, and nobody waits for them


def _ignore_interrupt() -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the one that started them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
    manifest = read_manifest(folder)
    if manifest.get("format") != CORPUS_FORMAT or not {"rounds", "runs"} <= set(manifest):
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


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read `corpus.json`.

    Raises
    ------
    CorpusError
        Not readable as JSON.
    """
    try:
        return dict(json.loads((folder / "corpus.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CorpusError(
            f"{folder / 'corpus.json'}: damaged ({error}); delete it and simulate again"
        ) from error


def _claim(out: Path, seed: int) -> None:
    manifest_file = out / "corpus.json"
    if manifest_file.is_file():
        manifest = read_manifest(out)
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
        return len(_read_arrays(path)["cause"]) // LOGS_PER_RUN
    _end_with(owner)
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
    rng = np.random.default_rng((seed, number))
    bases = tune(draw_bases(rng), rng, device)
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


_SERIES = ("step", "loss", "grad_norm", "lr", "val_step", "val")
_LABELS = ("cause", "base", "family", "task", "net", "style")


def _write_shard(path: Path, examples: Sequence[Example]) -> None:
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
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    _write(path, buffer.getvalue())


def _read_arrays(path: Path) -> dict[str, Any]:
    try:
        # From memory: numpy leaves a file open that turns out to be no archive.
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as shard:
            return {name: shard[name] for name in shard.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise CorpusError(
            f"{path}: damaged shard ({error}); delete it and simulate again"
        ) from error


def _read_shard(path: Path) -> list[Example]:
    data = _read_arrays(path)
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
