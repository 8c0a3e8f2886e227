"""Corpus and a team's runs -> classifiers trained anew, where there are thousands of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..bundle import Bundle
from ..calibrate import Calibration, conformal_thresholds, fit_combination
from ..causes import CAUSES
from ..classifiers import Inputs, predict_raw
from ..errors import LabelError
from ..labelled import Labelled, join, load_splits
from ..train import drop_channels, fit_classifiers, novelty_among
from .runs import TeamRuns

Array = NDArray[np.float64]

TEAM_SHARE = 0.3
"""Weight of the team's runs among all that is trained on."""


def refit(
    base: Bundle,
    corpora: Sequence[Path],
    runs: TeamRuns,
    seed: int,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Bundle:
    """Train all classifiers on one corpus or several and on runs of a team.

    Parameters
    ----------
    base : Bundle
        What has been in use; it lends the prior of the causes that it knows.
    corpora : sequence of Path
        Written by `simulate.corpus.simulate`.
    runs : TeamRuns
        Those that may be learned from: none that is held out.
    seed : int
        Of splits and nets.
    workers : int
        Processes that read the corpora.
    progress : callable (done, total)
        In hundredths.

    Raises
    ------
    CorpusError
        No corpus, or one that is too small.
    LabelError
        Neither the corpus nor the team has a run of some cause.
    """
    splits = load_splits(corpora, seed, lambda done, total: progress(done // 10, 100), workers)
    fit, held = (join([parts[k] for parts in splits]) for k in (0, 1))
    place = np.array([runs.causes.index(key) if key in runs.causes else -1 for key in CAUSES])
    fit, held = (_of_causes(part.under_each(), place) for part in (fit, held))
    run, cause = np.nonzero(runs.shares)
    votes = runs.shares[run, cause]
    inputs = Inputs(
        np.concatenate([fit.inputs.table, runs.inputs.table[run]]),
        np.concatenate([fit.inputs.image, runs.inputs.image[run]]),
    )
    y = np.concatenate([place[fit.y], cause])
    theirs = votes * fit.weight.sum() / votes.sum() * TEAM_SHARE / (1 - TEAM_SHARE)
    weight = np.concatenate([fit.weight, theirs])
    n = len(runs.causes)
    if lacking := [key for k, key in enumerate(runs.causes) if not (y == k).any()]:
        raise LabelError(
            f"no run to learn {lacking[0]!r} from, neither in {corpora[0]} nor labelled"
        )
    classifiers = fit_classifiers(
        inputs,
        y,
        weight / weight.mean(),
        n,
        seed,
        lambda done: progress(10 + round(85 * done), 100),
    )
    prior = np.bincount(y, weight, n) / weight.sum()
    calibration = _calibrate(
        predict_raw(classifiers, drop_channels(held.inputs, _rng(seed, 1)), runs.causes),
        place[held.y],
        held.weight,
        prior,
    )
    novelty = novelty_among([fit, held], seed)
    progress(100, 100)
    return replace(
        base,
        causes=runs.causes,
        classifiers=classifiers,
        calibration=calibration,
        novelty=novelty.knowing(runs.inputs.table),
        classes=runs.causes,
    )


def _rng(seed: int, use: int) -> np.random.Generator:
    return np.random.default_rng((seed, use))


def _of_causes(labelled: Labelled, place: NDArray[np.int64]) -> Labelled:
    """Leave out the runs of causes that the team does not use."""
    return labelled.part(place[labelled.y] >= 0)


def _calibrate(raw: list[Array], y: NDArray[np.int64], weight: Array, prior: Array) -> Calibration:
    """Combine as on the corpus alone; the team's own held-out runs adapt it afterwards."""
    shares = tuple(prior.tolist())
    weights, temperature = fit_combination(raw, y, weight, shares)
    combined = Calibration(weights, temperature, shares, ()).combine(raw)
    thresholds = conformal_thresholds(combined, y, weight)
    return Calibration(weights, temperature, shares, thresholds)
