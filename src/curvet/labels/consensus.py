"""Labels -> what the annotators of a run say together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .label import UNSURE, Label, Labels, by_run


@dataclass(frozen=True, slots=True)
class Consensus:
    """All that is said of one run.

    Parameters
    ----------
    run_id : str
        Which run.
    shares : mapping of cause to float
        Of the votes, most first; sums to 1. Empty if nobody could tell.
    annotators : tuple of str
        Who gave a vote.
    unsure : tuple of str
        Who could not tell.
    curve_hashes : tuple of str
        Of the curves that were looked at, each once; several if the run has changed meanwhile.
    notes : tuple of str
        Those that are not empty.
    """

    run_id: str
    shares: Mapping[str, float]
    annotators: tuple[str, ...]
    unsure: tuple[str, ...]
    curve_hashes: tuple[str, ...]
    notes: tuple[str, ...]


def consensus(labels: Labels) -> dict[str, Consensus]:
    """Count the votes on each run.

    Each annotator has one vote, as heavy as the confidence, or 1 where none is given; two causes
    share it. Who cannot tell gives none.

    Parameters
    ----------
    labels : Labels
        Those that count are used: see `Labels.current`.

    Returns
    -------
    dict of run id to Consensus
        In the order in which the runs were first labelled.

    Examples
    --------
    >>> from datetime import datetime
    >>> said = [("ann", ("lr_too_high", "exploding_gradients")), ("bob", ("lr_too_high",))]
    >>> rows = tuple(Label("run 7", causes, who, datetime(2026, 1, 31)) for who, causes in said)
    >>> consensus(Labels(rows))["run 7"].shares
    {'lr_too_high': 0.75, 'exploding_gradients': 0.25}
    """
    return {run_id: _count(run_id, given) for run_id, given in by_run(labels.current()).items()}


def _count(run_id: str, given: list[Label]) -> Consensus:
    votes = [label for label in given if label.causes != (UNSURE,)]
    weights = [1.0 if label.confidence is None else label.confidence for label in votes]
    if not any(weights):  # all of them were guessing: their votes weigh the same
        weights = [1.0] * len(votes)
    parts: dict[str, list[float]] = defaultdict(list)
    for label, weight in zip(votes, weights, strict=True):
        for cause in label.causes:
            parts[cause].append(weight / math.fsum(weights) / len(label.causes))
    # Exact sums: the order of the rows must not show in the last digit.
    shares = {cause: math.fsum(each) for cause, each in parts.items()}
    ranked = sorted(shares.items(), key=lambda share: -share[1])
    return Consensus(
        run_id,
        {cause: share for cause, share in ranked if share},
        tuple(label.annotator for label in votes),
        tuple(label.annotator for label in given if label.causes == (UNSURE,)),
        _once(label.curve_hash for label in given),
        _once(label.note for label in given),
    )


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
