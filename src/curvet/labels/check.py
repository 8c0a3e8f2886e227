"""Labels -> how far they can be trusted: agreement, conflicts, probable errors, gaps.

Agreement is Krippendorff's alpha for nominal data, of the main causes; who cannot tell is missing
(Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"). Probable errors: suspects.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from .findings import CONFLICTS, KINDS, Finding, finding, missing, said
from .label import UNSURE, Label, Labels, by_run
from .suspects import find_suspects

if TYPE_CHECKING:
    from ..page.table import Score

ODD_RUNS = 5  # runs shared with others before an annotator can be at odds with them
ODD_SHARE = 0.5  # of these, agreed on by fewer
ONE_SIDED = 0.8  # share of one cause of all labels
ONE_SIDED_LABELS = 10  # fewer say nothing about shares


@dataclass(frozen=True, slots=True)
class Pair:
    """How two annotators agree.

    Parameters
    ----------
    annotators : tuple of str
        The two.
    runs : int
        On which both said a cause.
    agreed : float
        Share of them with the same main cause.
    alpha : float or None
        Krippendorff's; None where it is not defined.
    """

    annotators: tuple[str, str]
    runs: int
    agreed: float
    alpha: float | None


@dataclass(frozen=True, slots=True)
class Check:
    """All that is to be said of a set of labels.

    Parameters
    ----------
    rows : int
        That were ever added.
    superseded : int
        Of them, replaced by a later one of the same annotator and run.
    withdrawn : int
        Runs and annotators whose last word is that they take it back.
    labels, unsure : int
        That count; of them, those that cannot tell.
    runs, shared : int
        With a label that counts; with those of several annotators.
    causes : mapping of str to int
        Labels that name each, most first.
    annotators : mapping of str to int
        Labels of each, most first.
    alpha : float or None
        Krippendorff's; 1 is full agreement, 0 what chance gives. None where it is not defined: no
        run with two annotators, or one cause alone.
    pairs : tuple of Pair
        Of annotators who share runs, most runs first.
    checked : int
        Runs whose labels were compared with scores.
    findings : tuple of Finding
        Worst first.
    """

    rows: int
    superseded: int
    withdrawn: int
    labels: int
    unsure: int
    runs: int
    shared: int
    causes: Mapping[str, int]
    annotators: Mapping[str, int]
    alpha: float | None
    pairs: tuple[Pair, ...]
    checked: int
    findings: tuple[Finding, ...]

    @property
    def conflicts(self) -> int:
        """How many findings are conflicts."""
        return sum(found.kind in CONFLICTS for found in self.findings)


def check_labels(labels: Labels, scores: Sequence[Score] | None = None) -> Check:
    """Check labels.

    Parameters
    ----------
    labels : Labels
        Any; those that count are checked.
    scores : sequence of Score, optional
        Rows of a table of scores; without it no probable error is looked for. Its predictor must
        not have learned from these labels.

    Raises
    ------
    LabelError
        A package of the extra `label` is not installed.
    """
    current = labels.current()
    of_runs = by_run(current)
    spoken = {(label.run_id, label.annotator) for label in labels.rows}
    errors, checked = find_suspects(of_runs, scores) if scores is not None else ([], 0)
    votes = _votes(current)
    found = [
        *_conflicts(of_runs),
        *_same_curves(current),
        *_changed_curves(of_runs),
        *errors,
        *_at_odds(votes),
        *(_gone(of_runs, scores) if scores is not None else ()),
        *_shares(current),
    ]
    order = list(KINDS)
    return Check(
        rows=len(labels.rows),
        superseded=len(labels.rows) - len(spoken),
        withdrawn=len(spoken) - len(current),
        labels=len(current),
        unsure=sum(label.causes == (UNSURE,) for label in current),
        runs=len(of_runs),
        shared=sum(len(given) > 1 for given in of_runs.values()),
        causes=dict(_count(current).most_common()),
        annotators=dict(Counter(label.annotator for label in current).most_common()),
        alpha=_alpha(votes),
        pairs=tuple(_pairs(votes)),
        checked=checked,
        findings=tuple(sorted(found, key=lambda each: order.index(each.kind))),
    )


Votes = dict[str, dict[str, str]]
"""Run id, annotator, main cause; without those who cannot tell."""


def _votes(current: Sequence[Label]) -> Votes:
    votes: Votes = defaultdict(dict)
    for label in current:
        if label.causes != (UNSURE,):
            votes[label.run_id][label.annotator] = label.causes[0]
    return votes


def _count(current: Sequence[Label]) -> Counter[str]:
    return Counter(cause for label in current for cause in label.causes if cause != UNSURE)


def _alpha(votes: Votes) -> float | None:
    """Return Krippendorff's alpha; None if it is not defined."""
    try:
        import krippendorff
    except ModuleNotFoundError as error:
        raise missing(error) from error
    units = [list(cast.values()) for cast in votes.values() if len(cast) > 1]
    keys = sorted({cause for unit in units for cause in unit})
    if len(keys) < 2:
        return None
    counts = np.array([[unit.count(key) for key in keys] for unit in units])  # (unit, cause)
    alpha = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    return float(alpha)


def _pairs(votes: Votes) -> list[Pair]:
    shared: dict[tuple[str, str], Votes] = defaultdict(dict)
    for run_id, cast in votes.items():
        for first, second in combinations(sorted(cast), 2):
            shared[first, second][run_id] = {first: cast[first], second: cast[second]}
    pairs = []
    for names, both in shared.items():
        agreed = sum(len(set(cast.values())) == 1 for cast in both.values()) / len(both)
        pairs.append(Pair(names, len(both), agreed, _alpha(both)))
    return sorted(pairs, key=lambda pair: -pair.runs)


def _conflicts(of_runs: Mapping[str, list[Label]]) -> Iterator[Finding]:
    """Find runs whose annotators say different things; who cannot tell contradicts nobody."""
    for run_id, given in of_runs.items():
        told = [label for label in given if label.causes != (UNSURE,)]
        if len({frozenset(label.causes) for label in told}) > 1:
            yield finding("conflict", said(told), told, (run_id,))


def _same_curves(current: Sequence[Label]) -> Iterator[Finding]:
    by_hash: dict[str, list[Label]] = defaultdict(list)
    for label in current:
        if label.curve_hash:
            by_hash[label.curve_hash].append(label)
    for given in by_hash.values():
        run_ids = tuple(dict.fromkeys(label.run_id for label in given))
        if len(run_ids) < 2:
            continue
        told = [label for label in given if label.causes != (UNSURE,)]
        kind = "same_curve"
        if len({frozenset(label.causes) for label in told}) > 1:
            kind = "same_curve_conflict"
        text = "; ".join(f"{label.run_id} by {said([label])}" for label in given)
        yield finding(kind, text, given, run_ids)


def _changed_curves(of_runs: Mapping[str, list[Label]]) -> Iterator[Finding]:
    for run_id, given in of_runs.items():
        hashes = {label.curve_hash for label in given if label.curve_hash}
        if len(hashes) > 1:
            text = f"{len(hashes)} different curves were looked at; {said(given)}"
            yield finding("changed_curve", text, given, (run_id,))


def _at_odds(votes: Votes) -> Iterator[Finding]:
    """Find annotators who agree with few of what the others say of the same runs."""
    shares: dict[str, list[float]] = defaultdict(list)
    for cast in votes.values():
        for who, cause in cast.items():
            if others := [other for name, other in cast.items() if name != who]:
                shares[who].append(others.count(cause) / len(others))
    if len(shares) < 3:  # of two who disagree neither is the odd one
        return
    for who, agreed in sorted(shares.items()):
        share = sum(agreed) / len(agreed)
        if len(agreed) >= ODD_RUNS and share < ODD_SHARE:
            text = f"{who} agrees with {share:.0%} of what others say of {len(agreed)} runs"
            yield Finding("annotator_at_odds", text, annotators=(who,), score=share)


def _gone(of_runs: Mapping[str, list[Label]], scores: Sequence[Score]) -> Iterator[Finding]:
    known = {score.run_id for score in scores}
    for run_id, given in of_runs.items():
        if run_id not in known:
            yield finding("gone", said(given), given, (run_id,))


def _shares(current: Sequence[Label]) -> Iterator[Finding]:
    counts = _count(current)
    runs: dict[str, set[str]] = defaultdict(set)
    for label in current:
        for cause in label.causes:
            runs[cause].add(label.run_id)
    for cause in sorted(counts):
        if len(runs[cause]) == 1:
            text = f"{cause} is the cause of one run only, which teaches little"
            yield Finding("one_example", text, tuple(runs[cause]), (cause,))
    total = sum(counts.values())
    for cause, count in counts.items():
        if total >= ONE_SIDED_LABELS and count / total >= ONE_SIDED:
            text = f"{cause} has {count} of {total} labels; the others are hardly seen"
            yield Finding("one_sided", text, (), (cause,), score=count / total)
