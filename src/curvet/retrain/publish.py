"""A lesson -> a new version in a home of bundles, compared with the old one and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle import default_path, load_bundle, save_bundle
from ..compare import Answers, answers_from, compare_answers
from ..errors import BundleError, LabelError
from ..home import SHIPPED, champion, history, install, is_home, next_version, number_of, refuse
from ..labels.consensus import consensus
from ..labels.label import Labels
from ..page.comparison import write_comparison
from ..predictor import Predictor
from ..texts import say
from ..whole import whole
from .gate import Tolerance, chance_of_luck, judge, on_trial
from .groups import group_runs
from .job import STEPS, Lesson, Progress
from .runs import TeamRuns, read_team_runs

Array = NDArray[np.float64]

HELD_OUT = "held_out.npz"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a lesson.

    Parameters
    ----------
    version : Path
        Folder of the new bundle.
    installed : bool
        Whether it is in use now.
    comparison : mapping
        All that its comparison.json says: see `page.comparison.render_comparison`.
    """

    version: Path
    installed: bool
    comparison: Mapping[str, Any]


def publish(
    lesson: Lesson,
    home: Path,
    *,
    field: Path | None,
    tolerance: Tolerance,
    force: bool = False,
    progress: Progress = lambda step, done, total: None,
) -> Outcome:
    """Save a lesson as the next version of a home, and put it to use if it passes the gate.

    Parameters
    ----------
    lesson : Lesson
        What was learned.
    home : Path
        Made if it is not there. What is in use there, else the bundle that ships, is the old one.
    field : Path or None
        The field trial; None: there is none here.
    tolerance : Tolerance
        On the field trial.
    force : bool
        Put it to use whatever the gate says.
    progress : callable (step, done, total)
        See `job.learn`.

    Raises
    ------
    BundleError
        The home is damaged or cannot be written to.
    """
    place = _in_use(home)
    old = Predictor(load_bundle(place))
    version, made = next_version(home), lesson.base.manifest
    with _removed_on_error(version):
        novelty = unseen_novelty(lesson)
        _save_held_out(version, lesson, novelty)
        save_bundle(
            version,
            lesson.causes,
            lesson.base.classifiers,
            lesson.calibration,
            lesson.novelty,
            {
                **{key: made[key] for key in ("corpus", "seed") if key in made},
                "team": {**lesson.made, "before": old.bundle.name},
            },
            lesson.team_causes,
            lesson.adaptation,
            lesson.base.classes,
        )
        new = Predictor(load_bundle(version))
        while True:
            comparison = _compared(
                place, old, version, new, lesson, novelty, field, tolerance, force, progress
            )
            reason = comparison["gate"]["reasons"][0]
            installed = bool(comparison["gate"]["passed"] or force)
            if not installed:
                refuse(home, version, reason)
                break
            try:
                install(home, version, reason, instead_of=number_of(place) or SHIPPED)
                break
            except BundleError:
                if _in_use(home) in (place, version):
                    raise
                # Somebody was quicker; what is in use now is to be compared with.
                place = _in_use(home)
                old = Predictor(load_bundle(place))
    return Outcome(version, installed, comparison)


def _in_use(home: Path) -> Path:
    return (champion(home) if is_home(home) else None) or default_path()


@contextmanager
def _removed_on_error(version: Path) -> Iterator[None]:
    """Leave no version behind that nobody has judged."""
    try:
        yield
    except BaseException:
        with suppress(BundleError):
            if version.name not in {event.version for event in history(version.parent)}:
                rmtree(version, ignore_errors=True)
        raise


def _compared(
    place: Path,
    old: Predictor,
    version: Path,
    new: Predictor,
    lesson: Lesson,
    novelty: Array,
    field: Path | None,
    tolerance: Tolerance,
    force: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Compare with what is in use, judge, and write that beside the new bundle."""
    progress(STEPS[-1], 0, 2)
    shares = lesson.runs.shares
    held_out = compare_answers(
        unseen_answers(place, old, lesson.runs),
        answers_from(new, lesson.held_out, novelty),
        shares,
        lesson.causes,
        lesson.groups,
    )
    progress(STEPS[-1], 1, 2)
    trial = None if field is None else on_trial(old, new, field)
    progress(STEPS[-1], 2, 2)
    luck = chance_of_luck(lesson.held_out, shares, int(lesson.made["seed"]))
    gate = judge(held_out, trial, luck, tolerance)
    gate["forced"] = force and not gate["passed"]
    comparison = {
        "old": old.bundle.name,
        "new": new.bundle.name,
        "gate": gate,
        "held_out": held_out,
        "field": trial,
        "provenance": lesson.made,
    }
    with whole(version / "comparison.json") as unfinished:
        unfinished.write_text(json.dumps(comparison, indent=1) + "\n", encoding="utf-8")
    write_comparison(version / "comparison.html", comparison)
    return comparison


def outcome_to_text(outcome: Outcome, home: Path) -> str:
    """Say what the gate found, and what is in use now."""
    gate = outcome.comparison["gate"]
    lines = list(gate["reasons"])
    if gate["passed"]:
        lines.append(say("gate.installed", version=outcome.version, home=home))
    elif gate["forced"]:
        lines.append(say("gate.forced", version=outcome.version, home=home))
    else:
        lines.append(say("gate.refused", version=outcome.version))
    lines.append(say("gate.comparison", page=outcome.version / "comparison.html"))
    return "".join(f"{line}\n" for line in lines)


def unseen_novelty(lesson: Lesson) -> Array:
    """Tell how novel each run is to who knows the runs of the other groups, (run,)."""
    table = lesson.runs.inputs.table
    rank = np.empty(len(table))
    for group in np.unique(lesson.groups):
        held = lesson.groups == group
        rank[held] = lesson.base.novelty.knowing(table[~held]).rank(table[held])
    return rank


def _save_held_out(version: Path, lesson: Lesson, novelty: Array) -> None:
    """Keep what was said of each run before it was learned from, for comparisons to come.

    To the bit: a threshold of the likely set is one of these numbers.
    """
    np.savez_compressed(
        version / HELD_OUT,
        hashes=np.array(lesson.runs.hashes),
        probabilities=lesson.held_out,
        novelty=novelty,
    )


def unseen_answers(place: Path, predictor: Predictor, runs: TeamRuns) -> Answers:
    """Ask a bundle; of runs that it has learned from, what it said before it did.

    Parameters
    ----------
    place : Path
        The bundle's folder.
    predictor : Predictor
        The bundle itself.
    runs : TeamRuns
        Any; those that it has learned from are known by the hashes of their curves.
    """
    p = predictor.probabilities(runs.inputs)
    novelty = predictor.bundle.novelty.rank(runs.inputs.table)
    path = place / HELD_OUT
    if path.is_file():
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            row_of = {str(digest): row for row, digest in enumerate(kept["hashes"])}
            before, far = kept["probabilities"], kept["novelty"]
        for row, digest in enumerate(runs.hashes):
            if digest in row_of:
                p[row], novelty[row] = before[row_of[digest]], far[row_of[digest]]
    return answers_from(predictor, p, novelty)


def compare_on_runs(
    places: tuple[Path, Path],
    labels: Labels,
    paths: Sequence[Path | str],
    group: str = "auto",
    progress: Progress = lambda step, done, total: None,
) -> dict[str, Any]:
    """Compare two bundles on a team's labelled runs, none of which counts as it was learned.

    Parameters
    ----------
    places : two of Path
        Folders of the old and of the new bundle.
    labels, paths, group, progress
        See `job.learn`.

    Returns
    -------
    dict
        See `compare.compare_answers`.

    Raises
    ------
    LabelError
        None of the labelled runs is there, or a label names a cause that neither bundle knows.
    """
    old, new = (Predictor(load_bundle(place)) for place in places)
    causes = tuple(dict.fromkeys([*old.bundle.causes, *new.bundle.causes]))
    votes = consensus(labels)
    for vote in votes.values():
        if unknown := [key for key in vote.shares if key not in causes]:
            raise LabelError(
                f"{labels.source}: the cause {unknown[0]!r}, which neither bundle knows; they know "
                f"{', '.join(causes)}"
            )
    runs = read_team_runs(votes, paths, causes, lambda d, n: progress(STEPS[0], d, n))
    groups, _ = group_runs(runs.run_ids, runs.hashes, group)
    before, after = (
        unseen_answers(place, each, runs) for place, each in zip(places, (old, new), strict=True)
    )
    return compare_answers(before, after, runs.shares, causes, groups)
