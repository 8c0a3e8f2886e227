"""Labels -> how far they can be trusted: agreement, conflicts, probable errors, gaps.

Agreement is Krippendorff's alpha for nominal data, of the main causes; who cannot tell is missing
(Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"). Probable errors are found by
confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068) and, where there are
several annotators, by CROWDLAB (Goh et al. 2022, https://arxiv.org/abs/2210.06812).
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError
from .label import UNSURE, Label, Labels

if TYPE_CHECKING:
    from ..page.table import Score

ODD_RUNS = 5  # runs shared with others before an annotator can be at odds with them
ODD_SHARE = 0.5  # of these, agreed on by fewer
ONE_SIDED = 0.8  # share of one cause of all labels
ONE_SIDED_LABELS = 10  # fewer say nothing about shares

KINDS = {
    "conflict": "annotators who disagree",
    "same_curve_conflict": "copies of one curve that are labelled differently",
    "changed_curve": "runs whose curve changed between two labels",
    "label_error": "labels that are probably wrong",
    "annotator_at_odds": "annotators who mostly disagree with the others",
    "gone": "labelled runs that are not in the scores",
    "unchecked": "labels that the scores cannot check",
    "same_curve": "copies of one curve under several ids",
    "one_example": "causes with one run",
    "one_sided": "a cause with nearly all labels",
}
"""What can be found, worst first."""

CONFLICTS = ("conflict", "same_curve_conflict")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should look at.

    Parameters
    ----------
    kind : str
        See `KINDS`.
    text : str
        In words.
    run_ids, causes, annotators : tuple of str
        Whom it concerns.
    score : float or None
        How good a label is, 0 to 1, or the share that is meant.
    """

    kind: str
    text: str
    run_ids: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    annotators: tuple[str, ...] = ()
    score: float | None = None


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
        return sum(finding.kind in CONFLICTS for finding in self.findings)


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
    by_run = _by_run(current)
    spoken = {(label.run_id, label.annotator) for label in labels.rows}
    errors, checked = _label_errors(by_run, scores) if scores is not None else ([], 0)
    votes = _votes(current)
    found = [
        *_conflicts(by_run),
        *_same_curves(current),
        *_changed_curves(by_run),
        *errors,
        *_at_odds(votes),
        *(_gone(by_run, scores) if scores is not None else ()),
        *_shares(current),
    ]
    order = list(KINDS)
    return Check(
        rows=len(labels.rows),
        superseded=len(labels.rows) - len(spoken),
        withdrawn=len(spoken) - len(current),
        labels=len(current),
        unsure=sum(label.causes == (UNSURE,) for label in current),
        runs=len(by_run),
        shared=sum(len(given) > 1 for given in by_run.values()),
        causes=dict(_count(current).most_common()),
        annotators=dict(Counter(label.annotator for label in current).most_common()),
        alpha=_alpha(votes),
        pairs=tuple(_pairs(votes)),
        checked=checked,
        findings=tuple(sorted(found, key=lambda finding: order.index(finding.kind))),
    )


Votes = dict[str, dict[str, str]]
"""Run id, annotator, main cause; without those who cannot tell."""


def _by_run(current: Sequence[Label]) -> dict[str, list[Label]]:
    by_run: dict[str, list[Label]] = defaultdict(list)
    for label in current:
        by_run[label.run_id].append(label)
    return by_run


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
        raise _missing(error) from error
    units = [list(said.values()) for said in votes.values() if len(said) > 1]
    keys = sorted({cause for unit in units for cause in unit})
    if len(keys) < 2:
        return None
    counts = np.array([[unit.count(key) for key in keys] for unit in units])  # (unit, cause)
    alpha = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    return float(alpha)


def _missing(error: ModuleNotFoundError) -> LabelError:
    return LabelError(
        f"labels are checked with the package {error.name}; pip install 'curvet[label]'"
    )


def _pairs(votes: Votes) -> list[Pair]:
    shared: dict[tuple[str, str], Votes] = defaultdict(dict)
    for run_id, said in votes.items():
        for first, second in combinations(sorted(said), 2):
            shared[first, second][run_id] = {first: said[first], second: said[second]}
    pairs = []
    for names, both in shared.items():
        agreed = sum(len(set(said.values())) == 1 for said in both.values()) / len(both)
        pairs.append(Pair(names, len(both), agreed, _alpha(both)))
    return sorted(pairs, key=lambda pair: -pair.runs)


def _said(given: Sequence[Label]) -> str:
    """Write who said what."""
    return ", ".join(f"{label.annotator}: {' and '.join(label.causes)}" for label in given)


def _conflicts(by_run: Mapping[str, list[Label]]) -> Iterator[Finding]:
    """Find runs whose annotators say different things; who cannot tell contradicts nobody."""
    for run_id, given in by_run.items():
        told = [label for label in given if label.causes != (UNSURE,)]
        if len({frozenset(label.causes) for label in told}) > 1:
            yield _finding("conflict", _said(told), told, (run_id,))


def _finding(
    kind: str,
    text: str,
    given: Sequence[Label],
    run_ids: tuple[str, ...],
    score: float | None = None,
) -> Finding:
    causes = dict.fromkeys(cause for label in given for cause in label.causes)
    annotators = dict.fromkeys(label.annotator for label in given)
    return Finding(kind, text, run_ids, tuple(causes), tuple(annotators), score)


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
        text = "; ".join(f"{label.run_id} by {_said([label])}" for label in given)
        yield _finding(kind, text, given, run_ids)


def _changed_curves(by_run: Mapping[str, list[Label]]) -> Iterator[Finding]:
    for run_id, given in by_run.items():
        hashes = {label.curve_hash for label in given if label.curve_hash}
        if len(hashes) > 1:
            text = f"{len(hashes)} different curves were looked at; {_said(given)}"
            yield _finding("changed_curve", text, given, (run_id,))


def _at_odds(votes: Votes) -> Iterator[Finding]:
    """Find annotators who agree with few of what the others say of the same runs."""
    shares: dict[str, list[float]] = defaultdict(list)
    for said in votes.values():
        for who, cause in said.items():
            if others := [other for name, other in said.items() if name != who]:
                shares[who].append(others.count(cause) / len(others))
    if len(shares) < 3:  # of two who disagree neither is the odd one
        return
    for who, agreed in sorted(shares.items()):
        share = sum(agreed) / len(agreed)
        if len(agreed) >= ODD_RUNS and share < ODD_SHARE:
            text = f"{who} agrees with {share:.0%} of what others say of {len(agreed)} runs"
            yield Finding("annotator_at_odds", text, annotators=(who,), score=share)


def _gone(by_run: Mapping[str, list[Label]], scores: Sequence[Score]) -> Iterator[Finding]:
    known = {score.run_id for score in scores}
    for run_id, given in by_run.items():
        if run_id not in known:
            yield _finding("gone", _said(given), given, (run_id,))


def _shares(current: Sequence[Label]) -> Iterator[Finding]:
    counts = _count(current)
    runs: dict[str, set[str]] = defaultdict(set)
    for label in current:
        for cause in label.causes:
            runs[cause].add(label.run_id)
    for cause in sorted(counts):
        if len(runs[cause]) == 1:
            text = f"{cause} is the cause of one run only; nothing can be learned from one"
            yield Finding("one_example", text, tuple(runs[cause]), (cause,))
    total = sum(counts.values())
    for cause, count in counts.items():
        if total >= ONE_SIDED_LABELS and count / total >= ONE_SIDED:
            text = f"{cause} has {count} of {total} labels; the others are hardly seen"
            yield Finding("one_sided", text, (), (cause,), score=count / total)


def _label_errors(
    by_run: Mapping[str, list[Label]], scores: Sequence[Score]
) -> tuple[list[Finding], int]:
    """Find labels that speak against the probabilities, and count the runs that were checked."""
    chances = {score.run_id: score.probabilities for score in scores if score.probabilities}
    keys = list(dict.fromkeys(key for each in chances.values() for key in each))
    without = {score.run_id for score in scores} - set(chances)
    given: dict[str, list[Label]] = {}
    unknown: dict[str, list[Label]] = defaultdict(list)
    silent: list[Label] = []
    for run_id, said in by_run.items():
        told = [label for label in said if label.causes != (UNSURE,)]
        if run_id not in chances:
            silent += told if run_id in without else []
            continue
        for label in told:
            if label.causes[0] in keys:
                given.setdefault(run_id, []).append(label)
            else:
                unknown[label.causes[0]].append(label)
    findings = [
        _finding(
            "unchecked",
            f"{len(labels)} labels {cause}: the scores have no column p_{cause}, since their "
            "predictor does not know it",
            labels,
            tuple(dict.fromkeys(label.run_id for label in labels)),
        )
        for cause, labels in unknown.items()
    ]
    if silent:
        text = f"{len(silent)} labels of runs that have no probabilities in the scores"
        runs = tuple(dict.fromkeys(label.run_id for label in silent))
        findings.append(_finding("unchecked", text, silent, runs))
    if not given:
        return findings, 0
    table = np.array([[chances[run_id].get(key, 0.0) for key in keys] for run_id in given])
    table = np.maximum(table, 1e-6)  # (run, cause)
    table /= table.sum(axis=1, keepdims=True)
    suspected = _suspects(list(given.values()), keys, table)
    return [*suspected, *findings], len(given)


def _suspects(
    given: list[list[Label]], keys: list[str], table: NDArray[np.float64]
) -> list[Finding]:
    """Ask cleanlab.

    Parameters
    ----------
    given : list of list of Label
        Of each run, at least one.
    keys : list of str
        Causes.
    table : array of shape (run, cause)
        Their probabilities; rows sum to 1.
    """
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.multiannotator import get_label_quality_multiannotator
        from cleanlab.rank import get_label_quality_scores
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    if table.shape[1] < 2:
        return []
    place = {key: number for number, key in enumerate(keys)}
    with warnings.catch_warnings():  # of classes with few examples, which are told otherwise
        warnings.simplefilter("ignore")
        if max(map(len, given)) > 1:
            names = sorted({label.annotator for labels in given for label in labels})
            matrix = np.full((len(given), len(names)), np.nan)  # (run, annotator)
            for row, labels in enumerate(given):
                for label in labels:
                    matrix[row, names.index(label.annotator)] = place[label.causes[0]]
            matrix = matrix[:, ~np.isnan(matrix).all(axis=0)]
            quality = get_label_quality_multiannotator(
                matrix, table, return_annotator_stats=False, verbose=False
            )["label_quality"]
            said = quality["consensus_label"].to_numpy().astype(int)
            score = quality["consensus_quality_score"].to_numpy()
        else:
            said = np.array([place[labels[0].causes[0]] for labels in given])
            score = get_label_quality_scores(said, table)
        wrong = find_label_issues(said, table, filter_by="confident_learning", n_jobs=1)
    findings = []
    for row in np.flatnonzero(wrong)[np.argsort(score[wrong], kind="stable")]:
        labels, other = given[row], keys[int(table[row].argmax())]
        if any(other in label.causes for label in labels):
            continue  # somebody has said so: a conflict, or the second of two causes
        text = (
            f"{_said(labels)}; the scores say {other} with {table[row].max():.2f} and "
            f"{keys[said[row]]} with {table[row, said[row]]:.2f}"
        )
        findings.append(
            _finding("label_error", text, labels, (labels[0].run_id,), float(score[row]))
        )
    return findings
