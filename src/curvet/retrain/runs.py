"""Labels and an archive -> the labelled runs, ready to learn from."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..archive import BATCH_POINTS, BATCH_SIZE, Row, find_in
from ..classifiers import Inputs
from ..errors import CurvetError, LabelError, ReadError
from ..labels.consensus import Consensus
from ..labels.label import curve_hash, hash_of
from ..predictor import make_inputs
from ..readers.units import Log
from ..roles import Channels, accuracy_in, assign
from ..run import Run
from ..standardise import MIN_POINTS, Standardised, standardise_many
from ..texts import say

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TeamRuns:
    """Labelled runs of a team.

    Parameters
    ----------
    inputs : Inputs
        Of n runs, sorted by id.
    shares : array of shape (run, cause)
        Share of the votes for each cause; rows sum to 1.
    causes : tuple of str
        Keys, in the order of `shares`.
    run_ids, hashes : tuples of str
        Which runs, and the hashes of their curves.
    notes : mapping of str to tuple of str
        What could not be used, by the reason: ids of runs.
    """

    inputs: Inputs
    shares: Array
    causes: tuple[str, ...]
    run_ids: tuple[str, ...]
    hashes: tuple[str, ...]
    notes: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.run_ids)

    def part(self, rows: NDArray[np.int64]) -> TeamRuns:
        """Return some of the runs."""
        return replace(
            self,
            inputs=self.inputs[rows],
            shares=self.shares[rows],
            run_ids=tuple(self.run_ids[row] for row in rows),
            hashes=tuple(self.hashes[row] for row in rows),
        )

    def without(self, causes: Collection[str]) -> TeamRuns:
        """Return those with votes for other causes, and these votes alone."""
        kept = [place for place, key in enumerate(self.causes) if key not in causes]
        shares = self.shares[:, kept]
        told = shares.sum(1) > 0
        lost = [run_id for run_id, tells in zip(self.run_ids, told, strict=True) if not tells]
        notes = {**self.notes, SILENT: (*self.notes.get(SILENT, ()), *lost)}
        return replace(
            self.part(np.flatnonzero(told)),
            shares=shares[told] / shares[told].sum(1, keepdims=True),
            causes=tuple(self.causes[place] for place in kept),
            notes={reason: ids for reason, ids in notes.items() if ids},
        )


GONE, MOVED, CHANGED, SHORT = "gone", "moved", "changed", "short"
BROKEN, SILENT, ACCURACY = "broken", "silent", "accuracy"
REASONS = (GONE, MOVED, CHANGED, SHORT, BROKEN, SILENT, ACCURACY)
"""What there may be to tell of labelled runs; the words are ``labelled_runs.<reason>``."""

USED = (MOVED, CHANGED)
"""What is told of runs that are learned from nevertheless."""


def read_team_runs(
    votes: Mapping[str, Consensus],
    paths: Sequence[Path | str],
    causes: Sequence[str],
    progress: Callable[[int, int | None], object] = lambda done, total: None,
) -> TeamRuns:
    """Read the runs that have labels.

    Parameters
    ----------
    votes : mapping of run id to Consensus
        What the annotators say.
    paths : sequence of Path or str
        The archive, named as it was for `curvet score`, so that the ids are the same. A run that
        is not found by its id is looked for by the hash of its curve.
    causes : sequence of str
        Taxonomy of the answer.
    progress : callable (done, total)
        In labelled runs.

    Raises
    ------
    LabelError
        Not one of the labelled runs is there.
    ReadError
        A path is not there, or holds no log.
    """
    wanted = {run_id: vote for run_id, vote in votes.items() if vote.shares}
    reading = _Reading(wanted, progress)
    others = _read_by_name(reading, paths)
    if reading.lost():
        _read_by_hash(reading, others)
    reading.prepare()
    found = reading.found
    notes = {SILENT: sorted(set(votes) - set(wanted)), **reading.notes, GONE: reading.lost()}
    if not found:
        raise LabelError(
            f"none of the {len(wanted)} labelled runs can be used in {', '.join(map(str, paths))} "
            f"({told_of(notes)}; for example {next(iter(wanted), '')!r:.120}); name the archive as "
            "it was named for `curvet score`, since run ids are paths below it"
        )
    run_ids = tuple(sorted(found))
    column = {key: place for place, key in enumerate(causes)}
    shares = np.zeros((len(run_ids), len(causes)))
    for row, run_id in enumerate(run_ids):
        for key, share in wanted[run_id].shares.items():
            shares[row, column[key]] = share
    return TeamRuns(
        make_inputs([found[run_id][0] for run_id in run_ids]),
        shares,
        tuple(causes),
        run_ids,
        tuple(found[run_id][1] for run_id in run_ids),
        {reason: tuple(ids) for reason, ids in notes.items() if ids},
    )


def told_of(notes: Mapping[str, Sequence[str]]) -> str:
    """Count what could not be used, in words; "" if all could."""
    lost = {reason: ids for reason, ids in notes.items() if ids and reason not in USED}
    return "; ".join(say(f"labelled_runs.{key}", count=len(ids)) for key, ids in lost.items())


@dataclass(slots=True, eq=False)
class _Reading:
    """Labelled runs that have been found so far.

    Parameters
    ----------
    wanted : mapping of run id to Consensus
        Runs with votes.
    progress : callable (done, total)
        In labelled runs.
    notes : dict of str to list of str
        See `TeamRuns`.
    found : dict of run id to (Standardised, hash)
        Ready to learn from.
    waiting : list of (run id, Channels, hash)
        Not yet standardised: many are at once, much quicker than one by one.
    """

    wanted: Mapping[str, Consensus]
    progress: Callable[[int, int | None], object]
    notes: dict[str, list[str]] = field(default_factory=dict)
    found: dict[str, tuple[Standardised, str]] = field(default_factory=dict)
    waiting: list[tuple[str, Channels, str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    points: int = 0

    def lost(self) -> list[str]:
        """List those that were not come across."""
        return sorted(set(self.wanted) - self.seen)

    def note(self, reason: str, run_id: str) -> None:
        """Note why a run is not used, or what is odd about it."""
        self.seen.add(run_id)
        self.notes.setdefault(reason, []).append(run_id)

    def take(self, run_id: str, run: Run) -> None:
        """Keep a run, if it can be learned from."""
        self.seen.add(run_id)
        try:
            channels = assign(run)
            digest = hash_of(channels)
        except CurvetError:
            self.note(BROKEN, run_id)
            return
        if len(channels.loss) < MIN_POINTS or not np.isfinite(channels.loss.value).any():
            self.note(SHORT, run_id)
            return
        if accuracy_in(channels.loss) is not None:
            self.note(ACCURACY, run_id)
            return
        if self.wanted[run_id].curve_hashes and digest not in self.wanted[run_id].curve_hashes:
            self.note(CHANGED, run_id)
        self.waiting.append((run_id, channels, digest))
        self.points += sum(map(len, run.curves.values()))
        if self.points >= BATCH_POINTS or len(self.waiting) >= BATCH_SIZE:
            self.prepare()
        self.progress(len(self.found) + len(self.waiting), len(self.wanted))

    def prepare(self) -> None:
        """Standardise those that wait."""
        ready = standardise_many([channels for _, channels, _ in self.waiting])
        for (run_id, _, digest), run in zip(self.waiting, ready, strict=True):
            self.found[run_id] = (run, digest)
        self.waiting, self.points = [], 0


def _read_by_name(reading: _Reading, paths: Sequence[Path | str]) -> list[Log]:
    """Read what may hold wanted runs by its name; return the logs that hold others, too."""
    wanted = sorted(reading.wanted)
    others, named = [], set(map(str, paths))
    for unit in find_in(paths):
        if isinstance(unit, Row):
            if unit.source in named:
                raise ReadError(unit.source, unit.error.removeprefix(f"{unit.source}: "))
            if unit.run_id in reading.wanted:
                reading.note(BROKEN, unit.run_id)
            continue
        place = bisect.bisect_left(wanted, unit.name)
        if place == len(wanted) or not wanted[place].startswith(unit.name):
            others.append(unit)
            continue
        strange = False
        try:
            for run in unit.read():
                strange |= run.id not in reading.wanted
                if run.id in reading.wanted and run.id not in reading.seen:
                    reading.take(run.id, run)
        except Exception:  # one log that we stumble over must not cost the others
            for run_id in reading.lost():
                if run_id == unit.name or run_id.startswith(f"{unit.name}#"):
                    reading.note(BROKEN, run_id)
        if strange:
            others.append(unit)
    return others


def _read_by_hash(reading: _Reading, others: Iterable[Log]) -> None:
    """Look in logs of other names for the curves of runs that were not come across."""
    by_hash: dict[str, list[str]] = {}
    for run_id in reversed(reading.lost()):
        for digest in reading.wanted[run_id].curve_hashes:
            by_hash.setdefault(digest, []).append(run_id)
    for run in (run for unit in others if by_hash for run in _runs(unit)):
        if run.id in reading.wanted:
            continue
        try:
            digest = curve_hash(run)
        except CurvetError:
            continue
        same = [run_id for run_id in by_hash.get(digest, ()) if run_id not in reading.seen]
        if same:
            reading.note(MOVED, same[-1])
            reading.take(same[-1], run)
        if len(same) <= 1:
            by_hash.pop(digest, None)


def _runs(unit: Log) -> Iterable[Run]:
    try:
        yield from unit.read()
    except Exception:  # one log that we stumble over must not cost the others
        return
