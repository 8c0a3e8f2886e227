"""Labels and an archive -> the labelled runs, ready to learn from."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..archive import Row, find_in
from ..classifiers import Inputs
from ..errors import CurvetError, LabelError
from ..labels.consensus import Consensus
from ..labels.label import curve_hash
from ..predictor import make_inputs
from ..readers.units import Log
from ..roles import assign
from ..run import Run
from ..standardise import MIN_POINTS, Standardised, standardise_many

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


GONE, MOVED, CHANGED = "not in the archive", "found under another id", "changed since the label"
SHORT, BROKEN, SILENT = "too few points", "cannot be read", "no vote for a cause"


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
        There is no archive.
    """
    wanted = {run_id: vote for run_id, vote in votes.items() if vote.shares}
    notes: dict[str, list[str]] = {SILENT: sorted(set(votes) - set(wanted))}
    found: dict[str, tuple[Standardised, str]] = {}

    def keep(run_id: str, run: Run) -> None:
        try:
            channels = assign(run)
            digest = curve_hash(run)
            if len(channels.loss) < MIN_POINTS or not np.isfinite(channels.loss.value).any():
                notes.setdefault(SHORT, []).append(run_id)
                return
            prepared = standardise_many([channels])[0]
        except CurvetError:
            notes.setdefault(BROKEN, []).append(run_id)
            return
        if wanted[run_id].curve_hashes and digest not in wanted[run_id].curve_hashes:
            notes.setdefault(CHANGED, []).append(run_id)
        found[run_id] = (prepared, digest)
        progress(len(found), len(wanted))

    others = []
    for unit, near in _units(paths, sorted(wanted)):
        if not near:
            others.append(unit)
            continue
        for run in _runs(unit):
            if run.id in wanted and run.id not in found:
                keep(run.id, run)
    used = {*found, *notes.get(SHORT, ()), *notes.get(BROKEN, ())}
    by_hash = {
        digest: run_id
        for run_id, vote in wanted.items()
        if run_id not in used
        for digest in vote.curve_hashes
    }
    for run in (run for unit in (others if by_hash else ()) for run in _runs(unit)):
        try:
            run_id = by_hash.pop(curve_hash(run), None)
        except CurvetError:
            continue
        if run_id is not None:
            notes.setdefault(MOVED, []).append(run_id)
            keep(run_id, run)
        if not by_hash:
            break
    notes[GONE] = sorted(set(wanted) - {*found, *notes.get(SHORT, ()), *notes.get(BROKEN, ())})
    if not found:
        raise LabelError(
            f"none of the {len(wanted)} labelled runs was found in {', '.join(map(str, paths))} "
            f"(for example {next(iter(wanted), '')!r:.120}); name the archive as it was named for "
            "`curvet score`, since run ids are paths below it"
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


def _units(paths: Sequence[Path | str], wanted: Sequence[str]) -> Iterator[tuple[Log, bool]]:
    """Yield the logs of an archive, and whether a wanted run may be in it by its name."""
    for unit in find_in(paths):
        if isinstance(unit, Row):
            continue
        place = bisect.bisect_left(wanted, unit.name)
        yield unit, place < len(wanted) and wanted[place].startswith(unit.name)


def _runs(unit: Log) -> Iterable[Run]:
    try:
        yield from unit.read()
    except CurvetError:
        return
    except Exception:  # one log that we stumble over must not cost the others
        return
