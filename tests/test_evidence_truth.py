"""Facts are held against what was injected: runs whose recipe is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curvet.causes import CAUSES
from curvet.evidence import measure
from curvet.recipe import BadBatch, BadBatchKind, Recipe, Resume, Task, Trace
from curvet.roles import assign
from curvet.simulate.loggers import Logger, log
from curvet.simulate.population import train_population

BASE = Recipe(
    task=Task("clusters", 12, 6, 400, 48, 0.3, 0.0, 1),
    net="mlp",
    depth=2,
    width=16,
    activation="relu",
    norm="none",
    init="he",
    optimiser="adam",
    lr=0.005,
    momentum=0.9,
    schedule="constant",
    batch_size=32,
    n_steps=400,
    n_train=400,
    seed=3,
)
AT = [round(at) for at in np.linspace(40, 370, 12)]
NEAR = 0.02 * BASE.n_steps


def named(trace: Trace, *kinds: str) -> list[float]:
    """Steps that facts of some kinds name."""
    facts = measure(assign(log(trace, Logger("step", 1))))
    return [step for fact in facts if fact.kind in kinds for step in fact.steps]


def found(cause: str, recipes: list[Recipe], at: list[int], *kinds: str) -> list[bool]:
    """Tell of each run whose fault did harm whether a fact names the place."""
    twin, *traces = train_population([BASE, *recipes])
    return [
        any(abs(step - trace.step[truth]) <= NEAR for step in named(trace, *kinds))
        for trace, truth in zip(traces, at, strict=True)
        if CAUSES[cause].shows(trace, twin)
    ]


@pytest.mark.parametrize("kind", ["outlier", "wrong_labels"])
def test_bad_batches_are_found(kind: BadBatchKind) -> None:
    bad = [BadBatch(kind, at, 3, 100.0) for at in AT]
    recipes = [replace(BASE, seed=at, bad_batches=(b,)) for at, b in zip(AT, bad, strict=True)]
    kinds = ("spike", "two_spikes", "spikes", "dip", "level_shift", "left_course")
    hits = found("bad_data_batch", recipes, AT, *kinds)
    assert len(hits) >= 4
    assert np.mean(hits) >= 0.9


def test_a_loss_that_turns_nan_is_found() -> None:
    """What a bad batch did to a net without bounds: it never came back."""
    bad = [BadBatch("outlier", at, 2, 1e30) for at in AT]
    recipes = [replace(BASE, seed=at, bad_batches=(b,)) for at, b in zip(AT, bad, strict=True)]
    kinds = ("first_nonfinite", "some_nonfinite", "left_course", "level_shift", "spike")
    hits = found("bad_data_batch", recipes, AT, *kinds)
    assert len(hits) >= 10
    assert np.mean(hits) >= 0.9


def test_where_a_resume_went_back_is_found() -> None:
    recipes = [replace(BASE, seed=at, resume=Resume(at, 20, True, False, False)) for at in AT]
    for trace, at in zip(train_population(recipes), AT, strict=True):
        assert trace.step[at] in named(trace, "step_goes_back", "resume_shift")


@pytest.mark.parametrize("n_seeds", [12])
def test_sound_runs_do_not_leave_their_course(n_seeds: int) -> None:
    traces = train_population([replace(BASE, seed=seed) for seed in range(n_seeds)])
    for trace in traces:
        assert named(trace, "left_course", "level_shift", "noisier", "first_nonfinite") == []
