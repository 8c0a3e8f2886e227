"""Whether a new bundle may take the place of the old one, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compare import compare_on_trial
from ..predictor import Predictor
from ..texts import say
from .fit import soft_log_loss

Array = NDArray[np.float64]

N_SHUFFLES = 400
SURE = 0.9
"""Share of bootstrap draws in which a new bundle has to be better on the team's runs."""

LUCK = 0.05
"""Chance of luck above which labels are taken for random."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a new bundle may lose on the field trial, under the old bundle's prior.

    Parameters
    ----------
    log_loss : float
        Rise of the mean, in nats.
    top1 : float
        Fall of the share of runs whose most probable cause is the true one.
    """

    log_loss: float = 0.1
    top1: float = 0.03


def chance_of_luck(held_out: Array, shares: Array, seed: int) -> float:
    """Tell how often shuffled labels would fit the held-out answers as well: a permutation test.

    Parameters
    ----------
    held_out, shares : arrays of shape (run, cause)
        Answers for runs that they were not fitted to, and the votes.
    seed : int
        Of the shuffling.

    Returns
    -------
    float
        Share of `N_SHUFFLES` shuffles, and the truth, that fit at least as well as the labels.
    """
    rng = np.random.default_rng(seed)
    true = float(soft_log_loss(held_out, shares).mean())
    shuffled = [
        float(soft_log_loss(held_out, shares[rng.permutation(len(shares))]).mean())
        for _ in range(N_SHUFFLES)
    ]
    return (1 + sum(cost <= true for cost in shuffled)) / (1 + N_SHUFFLES)


def on_trial(old: Predictor, new: Predictor, folder: Path) -> dict[str, Any]:
    """Compare two bundles on the field trial, the new one under the old one's prior.

    The trial has its own mix of causes; that a team's differs is no fault of the team's bundle.
    """
    return compare_on_trial(old, _under_prior_of(old, new), folder)


def _under_prior_of(old: Predictor, new: Predictor) -> Predictor:
    usual = dict(zip(old.bundle.causes, old.trained_prior.tolist(), strict=True))
    shares = np.array([usual.get(key, 0.0) for key in new.bundle.causes])
    return Predictor(new.bundle, shares / shares.sum(), "old")


def judge(
    held_out: Mapping[str, Any],
    trial: Mapping[str, Any] | None,
    luck: float,
    tolerance: Tolerance,
) -> dict[str, Any]:
    """Decide.

    Parameters
    ----------
    held_out : mapping
        Comparison on the team's runs; see `compare.compare_answers`.
    trial : mapping or None
        Comparisons on the field trial; see `compare.compare_on_trial`. None: there is none here.
    luck : float
        See `chance_of_luck`.
    tolerance : Tolerance
        On the field trial.

    Returns
    -------
    dict
        passed, forced (False), luck, tolerance, reasons: what speaks for and against in words,
        what speaks against first.
    """
    against, speaking = [], []
    cost = held_out["difference"]["log_loss"]
    told = {"change": cost["value"], "low": cost["low"], "high": cost["high"], "sure": SURE}
    if luck > LUCK:
        against.append(say("gate.luck", chance=luck))
    if cost["value"] < 0 and cost["below"] >= SURE:
        speaking.append(say("gate.better", **told))
    else:
        against.append(say("gate.no_better", **told))
    if trial is None:
        speaking.append(say("gate.no_trial"))
    else:
        change = trial["all sources"]["difference"]
        rise, top1 = change["log_loss"]["value"], change["top1"]["value"]
        told = {
            "rise": rise,
            "top1": top1,
            "most_rise": tolerance.log_loss,
            "most_fall": tolerance.top1,
        }
        worse = rise > tolerance.log_loss or -top1 > tolerance.top1
        (against if worse else speaking).append(
            say("gate.trial_worse" if worse else "gate.trial_kept", **told)
        )
    return {
        "passed": not against,
        "forced": False,
        "luck": luck,
        "tolerance": {"log_loss": tolerance.log_loss, "top1": tolerance.top1},
        "reasons": [*against, *speaking],
    }
