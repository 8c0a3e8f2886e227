"""Labels and an archive -> a bundle of the team's own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..adaptation import LEARN, RECALIBRATE, Adaptation, activations, start
from ..bundle import Bundle
from ..calibrate import Calibration, conformal_thresholds
from ..causes import TeamCause
from ..classifiers import Inputs
from ..errors import LabelError
from ..labels.consensus import Consensus, consensus
from ..labels.label import UNSURE, Labels
from ..novelty import Novelty
from ..report.as_text import clean
from ..texts import say
from .anchors import read_anchors
from .fit import Sample, choose_strength, cross_fit
from .groups import folds_of, group_runs
from .refit import refit
from .runs import USED, TeamRuns, read_team_runs, told_of

Array = NDArray[np.float64]
Progress = Callable[[str, int, int | None], None]

LEAST = 20
"""Labelled runs below which nothing is learned."""

FEW = 30
"""Labelled runs below which the answers alone are recalibrated."""

MANY = 2000
"""Labelled runs from which all classifiers are trained anew, if there is a corpus."""

DEPTHS = ("recalibration", "features", "all")
"""How much is learned: the answers alone, what the nets see in the curves, too, or all anew."""

N_SHOWN = 5  # ids of runs that could not be used

LEAST_OF_CAUSE = 2
"""Runs with votes for a cause of the team below which it is not learned."""

MOST_OF_ONE = 0.95
"""Share of the votes for one cause above which labels cannot teach what tells causes apart."""

N_FOLDS = 5

STEPS = ("labelled runs", "hundredths of the training", "held-out fits", "comparisons")
"""What `Progress` is told of."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What was learned from labelled runs.

    Parameters
    ----------
    base : Bundle
        What was adapted: one that ships, or one whose classifiers have been trained anew.
    runs : TeamRuns
        What it was adapted to.
    groups : array of shape (run,), int64
        Runs of one group were on one side of every split.
    causes : tuple of str
        Taxonomy of the answer.
    team_causes : mapping of str to TeamCause
        Those among them that the team has added.
    calibration : Calibration
        The old one with new thresholds of the conformal set.
    adaptation : Adaptation
        Fitted to all runs.
    novelty : Novelty
        To which the team's runs are known, too.
    held_out : array of shape (run, cause)
        What was answered for each run by a fit to the runs of other groups.
    made : mapping
        How it was learned, for the manifest.
    """

    base: Bundle
    runs: TeamRuns
    groups: NDArray[np.int64]
    causes: tuple[str, ...]
    team_causes: Mapping[str, TeamCause]
    calibration: Calibration
    adaptation: Adaptation
    novelty: Novelty
    held_out: Array
    made: Mapping[str, Any]


def learn(
    base: Bundle,
    labels: Labels,
    paths: Sequence[Path | str],
    *,
    leave_out: Sequence[str] = (),
    group: str = "auto",
    depth: str = "auto",
    corpora: Sequence[Path] = (),
    seed: int = 0,
    workers: int = 1,
    progress: Progress = lambda step, done, total: None,
) -> Lesson:
    """Adapt a bundle to what a team says of its runs.

    Parameters
    ----------
    base : Bundle
        One that is not adapted itself.
    labels : Labels
        Of some runs of the archive.
    paths : sequence of Path or str
        The archive, see `runs.read_team_runs`.
    leave_out : sequence of str
        Causes that the team does not use.
    group : str
        See `groups.group_runs`.
    depth : str
        One of `DEPTHS`, or "auto": as the number of labelled runs allows.
    corpora : sequence of Path
        Runs with known causes, without which not all can be trained anew.
    seed : int
        Deals groups to folds.
    workers : int
        Processes.
    progress : callable (step, done, total)
        In words, and how far it is.

    Raises
    ------
    LabelError
        Too few labels, or labels that teach nothing.
    """
    _depth(depth, 0, corpora)  # told before the work
    votes = consensus(labels)
    causes, own = _taxonomy(base, labels, votes, leave_out)
    learned = _without_unlearned(votes, causes)
    n_rare = sum(bool(vote.shares) and not learned[key].shares for key, vote in votes.items())
    usable = [vote.shares for vote in learned.values() if vote.shares]
    _expect_enough(usable, labels, len(usable) + n_rare)
    runs = read_team_runs(
        learned, paths, causes, lambda done, total: progress(STEPS[0], done, total)
    )
    n_labelled = len(runs) + n_rare
    counts = (runs.shares > 0).sum(0)
    rare = {k: int(n) for k, n in zip(causes, counts, strict=True) if k in own}
    rare = {key: count for key, count in rare.items() if count < LEAST_OF_CAUSE}
    if rare:  # labelled often enough, but not in this archive
        runs, own = runs.without(rare), {key: own[key] for key in own if key not in rare}
        causes = runs.causes
    _expect_enough(
        [dict(zip(causes, row, strict=True)) for row in runs.shares.tolist()],
        labels,
        n_labelled,
        told_of(runs.notes),
    )
    groups, rule = group_runs(runs.run_ids, runs.hashes, group)
    folds = _folds(groups, rule, seed)
    depth = _depth(depth, n_labelled, corpora)
    made = {
        "base": base.name,
        "seed": seed,
        "code": code_digest(),
        "learned": depth,
        "labels": {
            "sha256": labels_digest(labels),
            "runs": n_labelled,
            "annotators": len({who for vote in learned.values() for who in vote.annotators}),
            "causes": _counts(runs),
            "groups": int(groups.max()) + 1,
            "group_rule": rule,
            "not_used": {r: len(ids) for r, ids in runs.notes.items() if r not in USED},
        },
        "left_out": sorted(leave_out),
        "not_learned": {
            key: rare.get(key, _named(votes)[key]) for key in sorted(set(labels.causes) - set(own))
        },
    }
    if depth == "all":
        taught = runs.part(np.flatnonzero(folds != 0))
        base = refit(
            base,
            corpora,
            taught,
            seed,
            workers,
            lambda done, total: progress(STEPS[1], done, total),
        )
        # What the classifiers have seen cannot tell how sure they may be of what they have not.
        rows = np.flatnonzero(folds == 0)
        runs, groups = runs.part(rows), groups[rows]
        folds = _folds(groups, rule, seed)
    anchors = _anchors(base, causes)
    sample = replace(_sample(base, causes, runs.inputs, runs.shares), anchors=anchors)
    tried = LEARN if depth == "features" else RECALIBRATE
    held_out = cross_fit(
        sample, folds, tried, workers, lambda done, total: progress(STEPS[2], done, total)
    )
    strength = choose_strength(sample, folds, tried)
    return Lesson(
        base,
        runs,
        groups,
        causes,
        own,
        replace(base.calibration, thresholds=_thresholds(held_out, runs.shares)),
        sample.fit(strength).with_prior(base.prior, sample.log_p, sample.seen),
        base.novelty.knowing(runs.inputs.table),
        held_out,
        {
            **made,
            "strength": {k: v if np.isfinite(v) else None for k, v in strength._asdict().items()},
        },
    )


def _folds(groups: NDArray[np.int64], rule: str, seed: int) -> NDArray[np.int64]:
    """Deal groups to folds, of which there must be two at least."""
    folds = folds_of(groups, N_FOLDS, seed)
    if len(np.unique(folds)) < 2:
        raise LabelError(
            f"all {len(groups)} labelled runs are of one group by the rule {rule!r}, so that none "
            "can be held out; label runs of other sweeps, or choose another --group"
        )
    return folds


def lesson_to_text(lesson: Lesson) -> str:
    """Say what was learned from how much, and what could not be used."""
    count = lesson.made["labels"]["runs"]
    lines = [say(f"gate.{lesson.made['learned']}", runs=count, few=FEW)]
    for reason, ids in lesson.runs.notes.items():
        shown = ", ".join(ids[:N_SHOWN]) + (", ..." if len(ids) > N_SHOWN else "")
        lines.append(f"{say(f'labelled_runs.{reason}', count=len(ids))}: {clean(shown)}")
    for key, count in lesson.made["not_learned"].items():
        lines.append(say("gate.not_learned", cause=key, runs=count, least=LEAST_OF_CAUSE))
    return "".join(f"{line}\n" for line in lines)


def _taxonomy(
    base: Bundle, labels: Labels, votes: Mapping[str, Consensus], leave_out: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, TeamCause]]:
    """Return the causes of the answer, and those of the team among them."""
    if unknown := [key for key in leave_out if key not in base.causes]:
        raise LabelError(
            f"--leave-out {unknown[0]}: no cause of {base.name}; known: {', '.join(base.causes)}"
        )
    if "healthy" in leave_out:
        raise LabelError(
            "--leave-out healthy: every answer needs a healthy run to tell faults from"
        )
    named = _named(votes)
    for key, count in named.items():
        if key in leave_out:
            raise LabelError(
                f"--leave-out {key}: {count} labels name it; change those, or do not leave it out"
            )
        if key not in base.causes and key not in labels.causes:
            raise LabelError(
                f"{labels.source}: unknown cause {key!r}; known: "
                f"{', '.join([*base.causes, *labels.causes, UNSURE])}"
            )
    own = {k: c for k, c in labels.causes.items() if named.get(k, 0) >= LEAST_OF_CAUSE}
    return (*(key for key in base.causes if key not in leave_out), *own), own


def _named(votes: Mapping[str, Consensus]) -> Counter[str]:
    """Count the runs with votes for each cause."""
    return Counter(key for vote in votes.values() for key in vote.shares)


def _without_unlearned(
    votes: Mapping[str, Consensus], causes: Sequence[str]
) -> dict[str, Consensus]:
    """Leave out the votes for causes of the team that are too rare to be learned."""
    kept = {}
    for run_id, vote in votes.items():
        shares = {key: share for key, share in vote.shares.items() if key in causes}
        total = sum(shares.values())
        kept[run_id] = replace(vote, shares={k: s / total for k, s in shares.items()})
    return kept


def _expect_enough(
    shares: Sequence[Mapping[str, float]], labels: Labels, n_labelled: int, lost: str = ""
) -> None:
    """Refuse too few runs, or those of one cause.

    Of the labelled ones some may have votes only for causes that are too rare to learn; `lost` says
    what became of the others.
    """
    if n_labelled < LEAST:
        raise LabelError(
            f"{labels.source}: {n_labelled} labelled runs can be used, at least {LEAST} are needed"
            f"{f' (of the others: {lost})' if lost else ''}; label more with `curvet label`"
        )
    total: Counter[str] = Counter()
    for each in shares:
        total.update(each)
    (most, votes), *_ = total.most_common(1)
    if votes > MOST_OF_ONE * len(shares):
        raise LabelError(
            f"{labels.source}: {100 * votes / len(shares):.0f} % of the votes are for {most!r}, "
            "which cannot teach what tells it from other causes; label runs of other causes, too"
        )


def _depth(asked: str, n_labelled: int, corpora: Sequence[Path]) -> str:
    """Decide how much is learned."""
    if asked == "auto":
        many = n_labelled >= MANY and len(corpora) > 0
        return "all" if many else "features" if n_labelled >= FEW else "recalibration"
    if asked not in DEPTHS:
        raise LabelError(f"--learn {asked}: unknown; accepted: auto, {', '.join(DEPTHS)}")
    if asked == "all" and not corpora:
        raise LabelError(
            "--learn all: the classifiers are trained on simulated runs as well as on yours; make "
            "some with `curvet simulate` and name them with --corpus"
        )
    return asked


def _sample(base: Bundle, causes: Sequence[str], inputs: Inputs, shares: Array) -> Sample:
    """Prepare runs to be learned from."""
    known = np.array([base.causes.index(key) if key in base.causes else -1 for key in causes])
    log_p = start(base.probabilities(inputs), known)
    return Sample(log_p, activations(base.classifiers, inputs), shares, known, base.prior)


def _anchors(base: Bundle, causes: Sequence[str]) -> Sample:
    """Prepare the simulated runs that are learned from beside the team's."""
    inputs, keys = read_anchors()
    rows = np.isin(keys, causes)
    shares = np.eye(len(causes))[[list(causes).index(key) for key in keys[rows]]]
    return _sample(base, causes, inputs[rows], shares)


def _thresholds(held_out: Array, shares: Array) -> tuple[float, ...]:
    run, cause = np.nonzero(shares)
    return conformal_thresholds(held_out[run], cause, shares[run, cause])


def _counts(runs: TeamRuns) -> dict[str, float]:
    total = runs.shares.sum(0)
    return {k: round(float(n), 2) for k, n in zip(runs.causes, total, strict=True) if n}


def labels_digest(labels: Labels) -> str:
    """Return a hash of the labels that count and of the team's causes, whatever their order."""
    rows = sorted(
        json.dumps(
            [
                label.run_id,
                list(label.causes),
                label.annotator,
                label.labelled_at.isoformat(),
                label.confidence,
                label.curve_hash,
            ]
        )
        for label in labels.current()
    )
    causes = {key: cause.to_dict() for key, cause in sorted(labels.causes.items())}
    return hashlib.sha256(json.dumps([rows, causes]).encode()).hexdigest()


def code_digest() -> str:
    """Return a hash of the package's own source, for who made a bundle from a checkout."""
    digest = hashlib.sha256()
    own = Path(str(files(__package__.partition(".")[0])))
    for path in sorted(own.rglob("*.py")):
        digest.update(path.relative_to(own).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
