"""Corpus -> labelled inputs, and splits that keep the runs of one round together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .causes import CAUSES
from .classifiers import Inputs
from .errors import CorpusError
from .features import FEATURES
from .predictor import make_inputs
from .prior import LOST, PRIOR
from .roles import assign
from .simulate.corpus import (
    LOGS_PER_REAL_RUN,
    LOGS_PER_RUN,
    list_rounds,
    read_manifest,
    read_round,
)
from .standardise import standardise_many

REAL = 7.0
"""How many simulated runs one real training stands for: between 5 and 15 it made no difference to
real runs of other tasks."""

_REAL = "real "  # before the names of bases and rounds of real trainings


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Runs with their causes.

    Parameters
    ----------
    inputs : Inputs
        Of n runs.
    y : array of shape (n,), int64
        Position in `causes.CAUSES`.
    also : array of shape (n,), int64
        The second cause of runs that have two; -1 for all others.
    base : array of shape (n,), str
        Runs of one base share task, net and seed.
    group : array of shape (n,), str
        Round of the corpus: runs of one round stay on one side of every split.
    task, net, style : arrays of shape (n,), str
        Kind of task, kind of net, and how it was logged.
    times : array of shape (n,)
        How many logs of simulated runs each stands for in training.
    """

    inputs: Inputs
    y: NDArray[np.int64]
    also: NDArray[np.int64]
    base: NDArray[np.str_]
    group: NDArray[np.str_]
    task: NDArray[np.str_]
    net: NDArray[np.str_]
    style: NDArray[np.str_]
    times: NDArray[np.float64]

    def part(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Labelled:
        """Return some of the runs."""
        return Labelled(*(getattr(self, each.name)[rows] for each in fields(self)))

    @property
    def weight(self) -> NDArray[np.float64]:
        """Weights under which the runs have the prior and `LOST`, (n,), mean 1."""
        part = np.where(self.both, 0.5, 1.0) * self.times
        ends_lost = self.inputs.table[:, FEATURES.index("run__ends_nonfinite")] > 0
        for key, lost_share in LOST.items():
            of_cause = self.y == list(CAUSES).index(key)
            faces = [of_cause & ends_lost, of_cause & ~ends_lost]
            counts = np.array([part[face].sum() for face in faces])
            if counts.all():
                for face, factor in zip(faces, (lost_share, 1 - lost_share) / counts, strict=True):
                    part[face] *= factor * counts.sum()
        share = np.array([PRIOR[key] for key in CAUSES])
        weight = part * share[self.y] / np.bincount(self.y, part, len(CAUSES))[self.y]
        return np.asarray(weight / weight.mean())

    @property
    def both(self) -> NDArray[np.bool_]:
        """Which runs have two causes, (n,)."""
        return np.asarray(self.also >= 0)

    @property
    def real(self) -> NDArray[np.bool_]:
        """Which logs are of real trainings, (n,)."""
        return np.asarray(np.char.startswith(self.group, _REAL))

    def as_often(self, seed: int) -> NDArray[np.bool_]:
        """Choose as many logs of a real training as there are of a simulated one, (n,).

        What is measured by distances must not take eight logs of one training for eight runs.
        """
        share = np.where(self.real, LOGS_PER_RUN / LOGS_PER_REAL_RUN, 1.0)
        return np.asarray(np.random.default_rng((seed, 3)).random(len(self.y)) < share)

    def under_each(self) -> Labelled:
        """Return the runs with those of two causes twice: under the one and under the other."""
        whole = self.part(np.concatenate([np.arange(len(self.y)), np.flatnonzero(self.both)]))
        n = len(self.y)
        whole.y[n:], whole.also[n:] = whole.also[n:].copy(), whole.y[n:].copy()
        return whole


def join(parts: Sequence[Labelled]) -> Labelled:
    """Put runs of several parts together."""
    inputs = Inputs(
        np.concatenate([part.inputs.table for part in parts]),
        np.concatenate([part.inputs.image for part in parts]),
    )
    rest = [each.name for each in fields(Labelled)[1:]]
    return Labelled(
        inputs, *(np.concatenate([getattr(part, name) for part in parts]) for name in rest)
    )


def load_labelled(
    corpus: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    styled: bool = True,
    workers: int = 1,
) -> Labelled:
    """Read a corpus into the form that the classifiers see.

    Parameters
    ----------
    corpus : Path
        Written by `simulate.corpus.simulate`.
    progress : callable (done, total)
        In rounds.
    styled : bool
        See `simulate.corpus.read_corpus`.
    workers : int
        Processes.
    """
    import joblib

    rounds = list_rounds(corpus)
    jobs = (joblib.delayed(_load_round)(corpus, *each, styled) for each in rounds)
    parts = []
    for part in joblib.Parallel(workers, return_as="generator")(jobs):
        parts += [part] if part else []
        progress(len(parts), len(rounds))
    if not parts:
        raise CorpusError(f"{corpus}: no labelled run; simulate more")
    inputs, labels = zip(*parts, strict=True)
    cause, also, base, group, task, net, style = np.concatenate(labels).T
    keys = ["", *CAUSES]
    if real := bool(read_manifest(corpus).get("real")):  # apart from the simulated ones
        base, group = np.char.add(_REAL, base), np.char.add(_REAL, group)
    return Labelled(
        Inputs(
            np.concatenate([p.table for p in inputs]), np.concatenate([p.image for p in inputs])
        ),
        np.array([keys.index(key) - 1 for key in cause]),
        np.array([keys.index(key) - 1 for key in also]),
        base,
        group,
        task,
        net,
        style,
        np.full(len(cause), REAL * LOGS_PER_RUN / LOGS_PER_REAL_RUN if real else 1.0),
    )


def _load_round(
    corpus: Path, number: int, n_runs: int | None, styled: bool
) -> tuple[Inputs, NDArray[np.str_]] | None:
    """Return inputs and labels (run, label) of one round; None without a labelled run."""
    examples = list(read_round(corpus, number, n_runs, styled))
    if not examples:
        return None
    labels = [
        (e.cause, t.also, t.base, e.family, t.task, t.net, e.style)
        for e in examples
        for t in [e.training]
    ]
    return make_inputs(standardise_many([assign(e.run) for e in examples])), np.array(labels)


def corpus_seed(corpus: Path) -> int:
    """Read from which seed a corpus was made."""
    return int(read_manifest(corpus)["seed"])


def load_splits(
    corpora: Sequence[Path],
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int = 1,
) -> list[tuple[Labelled, Labelled, Labelled]]:
    """Read corpora and split each by itself, see `split`; the first alone is scored.

    Parameters
    ----------
    corpora : sequence of Path
        At least one.
    seed : int
        Of the splits.
    progress : callable (done, total)
        In hundredths.
    workers : int
        Processes.
    """
    found = []
    for place, corpus in enumerate(corpora):

        def advance(done: int, total: int, before: int = place) -> None:
            progress(100 * (before * total + done) // (total * len(corpora)), 100)

        labelled = load_labelled(corpus, advance, workers=workers)
        found.append(split(labelled, seed, scored=place == 0))
    return found


def split(
    labelled: Labelled, seed: int, scored: bool = True
) -> tuple[Labelled, Labelled, Labelled]:
    """Split by rounds into runs to fit (80 %), to calibrate (10 %) and to score (10 %).

    Where none are scored, those are fitted, too.
    """
    groups = np.random.default_rng(seed).permutation(np.unique(labelled.group))
    if len(groups) < 10:
        raise CorpusError(
            f"a corpus of {len(groups)} rounds is too small to calibrate on unseen bases; "
            "simulate at least 1,000 runs"
        )
    ends = [0.8, 0.9] if scored else [0.9, 1.0]
    parts = np.split(groups, [round(end * len(groups)) for end in ends])
    fit, calibrate, score = (
        labelled.part(np.flatnonzero(np.isin(labelled.group, part))) for part in parts
    )
    return fit, calibrate, score
