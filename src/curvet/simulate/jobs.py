"""What is trained in a round: causes, and pairs of them, injected into sound recipes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ..causes import CAUSES
from ..recipe import Recipe

DRAWS = {
    "healthy": 4,
    "lr_too_high": 1.2,
    "lr_too_low": 1,
    "exploding_gradients": 2.5,
    "vanishing_gradients": 1.3,
    "bad_data_batch": 1.8,
    "overfitting": 2.2,
    "under_capacity": 1.6,
    "over_regularisation": 1.2,
    "noisy_labels": 1,
    "unshuffled_data": 1.8,
    "unsuitable_optimizer": 1.6,
    "batch_too_small": 1.6,
    "batch_too_large": 1.3,
    "unnormalised_inputs": 1.1,
    "wrong_loss": 1,
    "train_val_mismatch": 1.3,
    "train_val_leak": 1.6,
    "resume_state_lost": 3,
    "precision_overflow": 3,
}
"""Draws for each base, on average. Causes whose injection often does no harm are tried more."""

PAIRS = 40
"""Pairs of causes for each round."""

# Faults at a step of the run, and faults that change how many steps it has, do not combine.
_TIMED = {"bad_batches": "n_steps", "resume": "n_steps", "batch_size": "n_steps"}


class Job(NamedTuple):
    """One training to do.

    Parameters
    ----------
    base : str
        Name of the base.
    cause, also : str
        What is injected; `also` is the second of two causes, else "".
    draw : int
        Number of the draw of `cause`, which all bases of a round share.
    start, recipe : Recipe
        Before and after the injection.
    """

    base: str
    cause: str
    also: str
    draw: int
    start: Recipe
    recipe: Recipe


def draw_jobs(
    keys: Iterable[str],
    starts: Mapping[str, Sequence[Recipe]],
    shared: tuple[int, int],
    rng: np.random.Generator,
) -> list[Job]:
    """Inject causes into every base, each time into one of its recipes.

    All bases get the same draw of a cause: what then shares a family is trained side by side.

    Parameters
    ----------
    keys : iterable of str
        Causes.
    starts : mapping of base to sequence of Recipe
        Sound ones.
    shared : (int, int)
        Seed and number of the round.
    rng : numpy Generator
        Draws all that the bases do not share.
    """
    jobs = []
    for key in keys:
        for draw in range(int(DRAWS[key] + rng.random())):
            for name, recipes in starts.items():
                start = recipes[int(rng.integers(len(recipes)))]
                recipe = _inject(key, draw, start, shared)
                seed = int(rng.integers(2**62))
                jobs.append(Job(name, key, "", draw, start, replace(recipe, seed=seed)))
    return jobs


def draw_pairs(harmful: Sequence[Job], shared: tuple[int, int]) -> list[Job]:
    """Inject two causes at once, each of which did harm to the base by itself.

    Parameters
    ----------
    harmful : sequence of Job
        Those of one cause whose training showed its harm.
    shared : (int, int)
        Seed and number of the round.
    """
    rng = np.random.default_rng((*shared, 3))
    by_draw: dict[tuple[str, int], dict[str, Job]] = {}
    for job in harmful:
        by_draw.setdefault((job.cause, job.draw), {})[job.base] = job
    found = []
    for (one, first), (other, second) in combinations(by_draw.items(), 2):
        shared_bases = [base for base in first if base in second]
        pairs = [_both(first[base], other, shared) for base in shared_bases]
        if one[0] != other[0] and (possible := [job for job in pairs if job is not None]):
            found.append(possible)
    if not found:
        return []
    # Where many bases are harmed, many are trained side by side.
    counts = np.array([len(jobs) for jobs in found], float)
    chosen = rng.choice(len(found), min(PAIRS, len(found)), replace=False, p=counts / counts.sum())
    return [
        job._replace(recipe=replace(job.recipe, seed=int(rng.integers(2**62))))
        for place in chosen
        for job in found[place]
    ]


def _both(job: Job, other: tuple[str, int], shared: tuple[int, int]) -> Job | None:
    """Inject a second cause, unless the two change the same settings."""
    key, draw = other
    changes = _changes(job.start, _inject(key, draw, job.start, shared))
    if _touched(changes) & _touched(_changes(job.start, job.recipe)):
        return None
    recipe = replace(job.recipe, **changes)
    return job._replace(also=key, recipe=recipe)


def _inject(key: str, draw: int, start: Recipe, shared: tuple[int, int]) -> Recipe:
    same = np.random.default_rng((*shared, 2, list(CAUSES).index(key), draw))
    return CAUSES[key].inject(start, same)


def _changes(start: Recipe, recipe: Recipe) -> dict[str, Any]:
    names = (field.name for field in fields(Recipe) if field.name != "seed")
    return {
        name: getattr(recipe, name)
        for name in names
        if getattr(recipe, name) != getattr(start, name)
    }


def _touched(changes: Mapping[str, Any]) -> set[str]:
    return {_TIMED.get(name, name) for name in changes}
