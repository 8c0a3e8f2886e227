"""Labels that speak against the probabilities of a table of scores.

Confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068) finds them, and, where
there are several annotators, CROWDLAB (Goh et al. 2022, https://arxiv.org/abs/2210.06812) says what
they hold together. Both are cleanlab's. A label is suspected as well if the scores are `SURE` of
another cause.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .findings import Finding, finding, missing, said
from .label import UNSURE, Label

if TYPE_CHECKING:
    from ..page.table import Score

SURE = 0.8  # probability of another cause that speaks against a label by itself


def find_suspects(
    by_run: Mapping[str, list[Label]], scores: Sequence[Score]
) -> tuple[list[Finding], int]:
    """Find labels that are probably wrong, and those that cannot be checked.

    Parameters
    ----------
    by_run : mapping of run id to list of Label
        Those that count.
    scores : sequence of Score
        Rows whose predictor did not learn from these labels.

    Returns
    -------
    tuple of list of Finding and int
        And how many runs were checked.

    Raises
    ------
    LabelError
        cleanlab is not installed.
    """
    chances = {score.run_id: score.probabilities for score in scores if score.probabilities}
    keys = list(dict.fromkeys(key for each in chances.values() for key in each))
    without = {score.run_id for score in scores} - set(chances)
    given: dict[str, list[Label]] = {}
    unknown: dict[str, list[Label]] = defaultdict(list)
    silent: list[Label] = []
    for run_id, labels in by_run.items():
        told = [label for label in labels if label.causes != (UNSURE,)]
        if run_id not in chances:
            silent += told if run_id in without else []
            continue
        for label in told:
            if label.causes[0] in keys:
                given.setdefault(run_id, []).append(label)
            else:
                unknown[label.causes[0]].append(label)
    findings = [
        finding(
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
        findings.append(finding("unchecked", text, silent, runs))
    if not given:
        return findings, 0
    table = np.array([[chances[run_id].get(key, 0.0) for key in keys] for run_id in given])
    # No chance is 0, and no two are the same: cleanlab draws lots between equals, and fails where
    # it finds nothing but ties.
    table = np.maximum(table, 1e-6) + 1e-9 * np.arange(len(keys))  # (run, cause)
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
        raise missing(error) from error
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
            common = quality["consensus_label"].to_numpy().astype(int)
            score = quality["consensus_quality_score"].to_numpy()
        else:
            common = np.array([place[labels[0].causes[0]] for labels in given])
            score = get_label_quality_scores(common, table)
        wrong = np.zeros(len(common), bool)
        if len(np.unique(common)) > 1:  # of one cause alone there is nothing to compare
            wrong = find_label_issues(common, table, filter_by="confident_learning", n_jobs=1)
    # Of causes that nobody has named yet confident learning knows no threshold.
    wrong |= (table.max(axis=1) >= SURE) & (table.argmax(axis=1) != common)
    findings = []
    for row in np.flatnonzero(wrong)[np.argsort(score[wrong], kind="stable")]:
        labels, other = given[row], keys[int(table[row].argmax())]
        if any(other in label.causes for label in labels):
            continue  # somebody has said so: a conflict, or the second of two causes
        text = (
            f"{said(labels)}; the scores say {other} with {table[row].max():.2f} and "
            f"{keys[common[row]]} with {table[row, common[row]]:.2f}"
        )
        findings.append(
            finding("label_error", text, labels, (labels[0].run_id,), float(score[row]))
        )
    return findings
