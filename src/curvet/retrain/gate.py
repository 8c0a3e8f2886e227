"""Whether a new bundle may take the place of the old one, and why not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fit import soft_log_loss

Array = NDArray[np.float64]

N_SHUFFLES = 400


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

    log_loss: float = 0.05
    top1: float = 0.02


def chance_of_luck(held_out: Array, shares: Array, groups: NDArray[np.int64], seed: int) -> float:
    """Tell how often shuffled labels would fit the held-out answers as well: a permutation test.

    Parameters
    ----------
    held_out, shares : arrays of shape (run, cause)
        Answers for runs that they were not fitted on, and the votes.
    groups : array of shape (run,)
        Not used for the shuffling itself, which is over runs; see `groups.group_runs`.
    seed : int
        Of the shuffling.

    Returns
    -------
    float
        Share of `N_SHUFFLES` shuffles (and the truth) that fit as well as the labels do.
    """
    rng = np.random.default_rng(seed)
    true = soft_log_loss(held_out, shares).mean()
    lucky = sum(
        soft_log_loss(held_out, shares[rng.permutation(len(shares))]).mean() <= true
        for _ in range(N_SHUFFLES)
    )
    return (1 + lucky) / (1 + N_SHUFFLES)
