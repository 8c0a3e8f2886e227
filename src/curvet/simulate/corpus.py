"""Seeds to labelled runs: rounds of bases, each with healthy twins and faulty variants.

One round is one shard. A round depends on the seed and its number alone, so that a corpus can be
made by any number of workers, killed and resumed, and is always the same.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from io import BytesIO
from itertools import islice
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from ..causes import CAUSES
from ..errors import CorpusError
from ..recipe import Recipe, Trace
from ..run import Run
from .bases import draw_bases, tune
from .jobs import Job, draw_jobs, draw_pairs
from .loggers import Logger, draw_length, draw_logger, in_other_unit, log
from .population import train_population

CORPUS_FORMAT = 3
LOGS_PER_RUN = 2
"""Ways in which every labelled run is logged."""
LOGS_PER_REAL_RUN = 8
"""The same for real trainings, of which there are fewer: each is worth being seen in many ways."""


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """One net of a round: what was injected, and what came of it.

    Parameters
    ----------
    trace : Trace
        At every step.
    cause, also : str
        Key of the injected cause, and of a second one beside it, mostly ""; whether it did harm
        is not said here, see `label`.
    base : str
        Task, net and seed; runs of one base must stay on one side of every split.
    task, net : str
        Kind of task; kind of net and its depth.
    recipe : str
        All its settings, as JSON.
    """

    trace: Trace
    cause: str
    also: str
    base: str
    task: str
    net: str
    recipe: str


MakeRound = Callable[[int, int, str], list[Training]]
"""Seed, number and device -> the trainings of one round."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A labelled run of a corpus.

    Parameters
    ----------
    run : Run
        As logged.
    training : Training
        What was logged.
    style : str
        How it was logged.
    """

    run: Run
    training: Training
    style: str

    @property
    def cause(self) -> str:
        """Key of the cause."""
        return self.training.cause

    @property
    def family(self) -> str:
        """Round of the base: bases of one round share net and optimiser."""
        return self.training.base.partition("-")[0]


def simulate(
    out: Path,
    n_runs: int,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
    make: MakeRound | None = None,
) -> None:
    """Fill a folder with labelled runs; goes on where an earlier call was stopped.

    Parameters
    ----------
    out : Path
        The corpus: shards and `corpus.json`.
    n_runs : int
        Labelled runs; each is logged in `LOGS_PER_RUN` ways, a real one in `LOGS_PER_REAL_RUN`.
    seed : int
        Same seed, same corpus, whatever the number of workers.
    device : str
        A torch device.
    workers : int
        Processes, one thread each.
    progress : callable (done, total)
        Called after every round.
    make : callable (seed, number, device), optional
        What trains a round in place of the simulator: a function that other processes can import.
        Its runs count as real trainings, see `labelled.REAL`.

    Raises
    ------
    CorpusError
        The folder holds a corpus of another seed or format.
    """
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, seed)
    total = rounds = last = 0
    with closing(_round_counts(out, seed, device, workers, make or simulate_round)) as counts:
        for count in counts:
            last = min(count, n_runs - total)
            total, rounds = total + count, rounds + 1
            progress(min(total, n_runs), n_runs)
            if total >= n_runs:
                break
    manifest = {
        "format": CORPUS_FORMAT,
        "seed": seed,
        "runs": n_runs,
        "rounds": rounds,
        "last": last,
        "real": make is not None,
    }
    _write(out / "corpus.json", json.dumps(manifest, indent=1).encode())


def _round_counts(
    out: Path, seed: int, device: str, workers: int, make: MakeRound
) -> Generator[int, None, None]:
    """Make round after round and yield the labelled runs in each, without end."""
    if workers == 1:
        for number in itertools.count():
            yield _make_round(out, seed, number, device, os.getpid(), make)
    before = set(active_children())
    executor = ProcessPoolExecutor(workers, get_context("spawn"), _ignore_interrupt)
    numbers = itertools.count()

    def submit() -> Future[int]:
        number = next(numbers)
        return executor.submit(_make_round, out, seed, number, device, os.getpid(), make)

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


def read_corpus(folder: Path, styled: bool = True) -> Iterator[Example]:
    """Label and log all runs of a corpus, in the order of the rounds.

    Parameters
    ----------
    folder : Path
        Written by `simulate`.
    styled : bool
        Whether runs are logged as trackers do, in several ways; or once, at every step.

    Yields
    ------
    Example
        The same ones in every call.

    Raises
    ------
    CorpusError
        The folder holds no finished corpus.
    """
    for number, n_runs in list_rounds(folder):
        yield from read_round(folder, number, n_runs, styled)


def list_rounds(folder: Path) -> list[tuple[int, int | None]]:
    """List the rounds of a corpus, each with how many labelled runs count; None for all.

    Raises
    ------
    CorpusError
        The folder holds no finished corpus.
    """
    if not (folder / "corpus.json").is_file():
        raise CorpusError(f"{folder}: no corpus.json; make a corpus with `curvet simulate`")
    manifest = read_manifest(folder)
    if manifest.get("format") != CORPUS_FORMAT or not {"rounds", "last"} <= set(manifest):
        raise CorpusError(
            f"{folder}: an unfinished corpus or one of another format; run `curvet simulate` again"
        )
    last = manifest["rounds"] - 1
    return [(n, manifest["last"] if n == last else None) for n in range(manifest["rounds"])]


def read_round(
    folder: Path, number: int, n_runs: int | None = None, styled: bool = True
) -> Iterator[Example]:
    """Label and log the first runs of one round; see `read_corpus`."""
    manifest = read_manifest(folder)
    ways = LOGS_PER_REAL_RUN if manifest.get("real") else LOGS_PER_RUN
    rng = np.random.default_rng((manifest["seed"], number, 1))
    for training, twin in islice(read_trainings(folder, number), n_runs):
        yield from _log(training, twin, ways, rng) if styled else [_plain(training)]


def read_trainings(folder: Path, number: int) -> Iterator[tuple[Training, Trace]]:
    """Yield the labelled trainings of one round at every step, each with its healthy twin."""
    yield from label(_read_shard(_shard_path(folder, number)))


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


def _make_round(out: Path, seed: int, number: int, device: str, owner: int, make: MakeRound) -> int:
    """Make one shard unless it is there; return its number of labelled runs."""
    path = _shard_path(out, number)
    if not path.is_file():
        _end_with(owner)
        if device == "cpu":
            torch.set_num_threads(1)
        _keep_memory()
        _write_shard(path, make(seed, number, device))
    # As it is read later: a shard holds single precision, and labels stand on bounds.
    return sum(1 for _ in label(_read_shard(path)))


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


@lru_cache(maxsize=1)
def _keep_memory() -> None:
    """Let glibc keep what is freed: large arrays come and go at every step.

    Giving their pages back and getting them again took a fifth of the time. No effect elsewhere.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # malloc.h
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 1 << 30)


def simulate_round(seed: int, number: int, device: str = "cpu") -> list[Training]:
    """Train the healthy and the faulty nets of one round.

    Parameters
    ----------
    seed, number : int
        The round depends on these alone.
    device : str
        A torch device.
    """
    rng = np.random.default_rng((seed, number))
    shared = (seed, number)
    bases = tune(draw_bases(rng), rng, device)
    starts = {f"{number}-{b}": [base] for b, base in enumerate(bases)}
    tried = draw_jobs(["healthy"], starts, shared, rng)
    made = _train(tried, device)
    # Faults are injected into what proved healthy. A base that cannot be learnt tells nothing.
    healthy = {id(training) for training, _ in label(made)}
    sound: dict[str, list[Recipe]] = {}
    for job, training in zip(tried, made, strict=True):
        if id(training) in healthy:
            sound.setdefault(job.base, []).append(job.recipe)
    made = [training for training in made if training.base in sound]
    jobs = draw_jobs([key for key in CAUSES if key != "healthy"], sound, shared, rng)
    faulty = _train(jobs, device)
    harmed = {id(training) for training, _ in label([*made, *faulty])}
    harmful = [job for job, training in zip(jobs, faulty, strict=True) if id(training) in harmed]
    return [*made, *faulty, *_train(draw_pairs(harmful, shared), device)]


def _train(jobs: Sequence[Job], device: str) -> list[Training]:
    traces = train_population([job.recipe for job in jobs], device)
    return [
        Training(
            trace,
            job.cause,
            job.also,
            job.base,
            job.recipe.task.kind,
            f"{job.recipe.net}{job.recipe.depth}",
            _as_json(job.recipe),
        )
        for job, trace in zip(jobs, traces, strict=True)
    ]


def _as_json(recipe: Recipe) -> str:
    return json.dumps(asdict(recipe), default=str, separators=(",", ":"))


def _twins(trainings: Sequence[Training]) -> dict[str, tuple[Trace, Trace]]:
    """Find the best and the worst healthy training of each base that learns.

    Healthy is what ends near the best one. Faults are held to the worst, since the seed alone
    makes that much of a difference.
    """
    drawn: dict[str, list[Trace]] = {}
    for training in trainings:
        if training.cause == "healthy":
            drawn.setdefault(training.base, []).append(training.trace)
    twins = {}
    for base, traces in drawn.items():
        sound = [trace for trace in traces if CAUSES["healthy"].shows(trace, trace)]
        if sound:
            best = min(sound, key=lambda trace: trace.end)
            healthy = [trace for trace in sound if CAUSES["healthy"].shows(trace, best)]
            twins[base] = (best, max(healthy, key=lambda trace: trace.end))
    return twins


def label(trainings: Sequence[Training]) -> Iterator[tuple[Training, Trace]]:
    """Yield the trainings of a round whose fault did harm, each with its healthy twin.

    Of two faults each must do harm by itself, and must make the other one's harm worse: who could
    see neither of them in the curves cannot be asked to name both.
    """
    twins = _twins(trainings)
    alone: dict[tuple[str, str], Trace] = {}  # the worst of each base and cause
    for training in trainings:
        trace, base = training.trace, training.base
        if base not in twins:
            continue
        twin = twins[base][training.cause != "healthy"]
        if not _shows(training, trace, twin):
            continue
        if training.also:
            one, other = alone.get((base, training.cause)), alone.get((base, training.also))
            if one is None or other is None or not _both_show(training, one, other):
                continue
        elif (worst := alone.get((base, training.cause))) is None or trace.end > worst.end:
            alone[base, training.cause] = trace
        yield training, twin


def _shows(training: Training, trace: Trace, twin: Trace) -> bool:
    """Tell whether a trace shows the harm of all that was injected."""
    injected = (training.cause, training.also) if training.also else (training.cause,)
    return all(CAUSES[key].shows(trace, twin) for key in injected)


def _both_show(training: Training, one: Trace, other: Trace) -> bool:
    """Tell whether each of two faults shows beside the other, held to runs with one alone."""
    return CAUSES[training.cause].shows(training.trace, other) and CAUSES[training.also].shows(
        training.trace, one
    )


def _log(training: Training, twin: Trace, ways: int, rng: np.random.Generator) -> Iterator[Example]:
    """Log a labelled training in several ways.

    A log that hides the harm keeps its label: such logs are met, and the answer has to be unsure
    of them. But what was logged must have done harm by then.
    """
    trace = training.trace
    for _ in range(ways):
        so_far = trace.until(draw_length(trace, rng))
        share = len(so_far.loss) / len(trace.loss)
        if not _shows(training, so_far, twin.until(round(share * len(twin.loss)))):
            so_far = trace
        if training.task in ("regression", "autoencode"):  # whose losses come in any unit
            so_far = in_other_unit(so_far, 10 ** rng.uniform(-2, 3))
        for _ in range(4):  # a tracker that leaves out values that are not finite may log nothing
            logger = draw_logger(so_far, rng)
            run = log(so_far, logger, training.base)
            logged = run.curves["loss"].value
            known = np.isfinite(so_far.loss).any() and np.isfinite(logged).any()
            if known and len(logged) > 1:
                yield Example(run, training, logger.style)
                break


def _plain(training: Training) -> Example:
    """Log every step as it is."""
    return Example(log(training.trace, Logger("step", 1), training.base), training, "step")


_SERIES = ("step", "loss", "grad_norm", "lr", "val_at", "val")
_LABELS = ("cause", "also", "base", "task", "net", "recipe")
_NUMBERS = ("steps_per_epoch", "onset")
_PARTS = {*_SERIES, *_LABELS, *_NUMBERS, *(f"{name}_length" for name in _SERIES)}


def _write_shard(path: Path, trainings: Sequence[Training]) -> None:
    arrays: dict[str, Any] = {
        name: np.array([getattr(training, name) for training in trainings], np.str_)
        for name in _LABELS
    }
    for name in _NUMBERS:
        arrays[name] = np.array([getattr(training.trace, name) for training in trainings])
    for name in _SERIES:
        parts = [getattr(training.trace, name) for training in trainings]
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
            arrays = {name: shard[name] for name in shard.files}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise CorpusError(
            f"{path}: damaged shard ({error}); delete it and simulate again"
        ) from error
    if missing := _PARTS - set(arrays):
        raise CorpusError(
            f"{path}: damaged shard (without {min(missing)}); delete it and simulate again"
        )
    return arrays


def _read_shard(path: Path) -> list[Training]:
    data = _read_arrays(path)
    series: dict[str, list[Any]] = {
        name: np.split(data[name].astype(np.float64), np.cumsum(data[f"{name}_length"])[:-1])
        for name in _SERIES
    }
    series["val_at"] = [at.astype(np.int64) for at in series["val_at"]]
    return [
        Training(
            Trace(
                *(series[name][i] for name in _SERIES),
                *(int(data[name][i]) for name in _NUMBERS),
            ),
            *(str(data[name][i]) for name in _LABELS),
        )
        for i in range(len(data["cause"]))
    ]
