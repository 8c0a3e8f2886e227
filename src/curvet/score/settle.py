"""Records -> the same under another prior or coverage, without reading a log again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..prior import estimate_prior, reweigh

if TYPE_CHECKING:
    from ..predictor import Array, Predictor

ASKED = 100_000
"""Runs that an archive's prior is estimated from: more of them would not change it."""

Record = dict[str, Any]


def prior_of(parts: Iterable[Sequence[Record]], predictor: Predictor, n_records: int) -> Array:
    """Estimate the prior of an archive from its records, or from an even share of many.

    Parameters
    ----------
    parts : iterable of sequence of Record
        Answers under the prior that the bundle was trained with.
    predictor : Predictor
        Whose answers they are.
    n_records : int
        How many there are in all.
    """
    every, first = max(1, n_records // ASKED), 0
    answers = [np.empty((0, len(predictor.bundle.causes)))]
    for part in parts:  # of which nothing else is held
        answers.append(_answers(part[first::every], predictor)[1])
        first = (first - len(part)) % every
    return estimate_prior(np.concatenate(answers), predictor.trained_prior, predictor.healthy)


def settle(records: Sequence[Record], predictor: Predictor, prior: Array | None) -> list[Record]:
    """Give records the verdicts that they have under a prior, and sets of the asked coverage.

    Parameters
    ----------
    records : sequence of Record
        Answers under the prior that the bundle was trained with.
    predictor : Predictor
        With the name of the prior and the coverage.
    prior : array of shape (cause,) or None
        None: as they are.
    """
    asked, p = _answers(records, predictor)
    if prior is not None:
        p = reweigh(p, predictor.trained_prior, prior)
    verdicts = predictor.judge(p, [record["novelty"] for record in asked])
    for record, verdict in zip(asked, verdicts, strict=True):
        sure = None if verdict.cause is None else verdict.probabilities[verdict.cause]
        record |= {
            "cause": verdict.cause,
            "probability": sure,
            "likely": list(verdict.likely),
            "reason": verdict.reason,
            "prior": predictor.prior_name,
            "coverage": predictor.coverage,
            **{f"p_{key}": value for key, value in verdict.probabilities.items()},
        }
    return list(records)


def _answers(records: Sequence[Record], predictor: Predictor) -> tuple[list[Record], Array]:
    """Find the records with an answer, and their probabilities (record, cause)."""
    names = [f"p_{key}" for key in predictor.bundle.causes]
    asked = [record for record in records if record.get(names[0]) is not None]
    p = np.array([[record[name] for name in names] for record in asked], np.float64)
    return asked, p.reshape(len(asked), len(names))
