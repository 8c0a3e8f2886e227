"""Every cause of the registry: its texts, its injection, and the harm that it does to real nets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import curvet.causes
from curvet.causes import CAUSES
from curvet.causes.base import Cause
from curvet.recipe import Recipe, Task, Trace
from curvet.simulate.population import train_population

BASE = Recipe(
    task=Task("teacher", 12, 5, 1500, 128, 0.5, 0.0, 1),
    net="mlp",
    depth=2,
    width=24,
    activation="relu",
    norm="none",
    init="he",
    optimiser="sgd",
    lr=0.05,
    momentum=0.9,
    schedule="cosine",
    weight_decay=1e-5,
    batch_size=16,
    n_steps=160,
    n_train=1500,
    seed=3,
)
DRAWS = 8
FAULTS = [key for key in CAUSES if key != "healthy"]


def injected(key: str, seed: int, base: Recipe = BASE) -> Recipe:
    return CAUSES[key].inject(base, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def traces() -> Mapping[str, list[Trace]]:
    """By cause: injected runs trained for real; under "twin", the base itself."""
    recipes = {
        key: [replace(injected(key, seed), seed=seed) for seed in range(DRAWS)] for key in CAUSES
    }
    recipes["twin"] = [BASE]
    made = iter(train_population([recipe for some in recipes.values() for recipe in some]))
    return {key: [next(made) for _ in some] for key, some in recipes.items()}


def test_the_list_names_every_file() -> None:
    folder = Path(curvet.causes.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "base"} == set(CAUSES)


@pytest.mark.parametrize("key", CAUSES)
def test_a_cause_is_its_file(key: str) -> None:
    cause = CAUSES[key]
    assert cause.key == key
    assert cause.inject.__module__ == cause.shows.__module__ == f"curvet.causes.{key}"


@pytest.mark.parametrize("key", CAUSES)
def test_texts_are_written(key: str) -> None:
    cause = CAUSES[key]
    for text in (cause.sign, *cause.remedies):
        assert text.endswith(".")
        assert text[0].isupper()
    assert cause.title[0].isupper()
    assert not cause.title.endswith(".")
    assert cause.remedies
    assert len(set(cause.remedies)) == len(cause.remedies)


def test_no_two_causes_read_alike() -> None:
    assert len({cause.title for cause in CAUSES.values()}) == len(CAUSES)
    assert len({cause.sign for cause in CAUSES.values()}) == len(CAUSES)


def test_two_causes_of_one_key_are_refused() -> None:
    one: Cause = CAUSES["healthy"]
    with pytest.raises(ValueError, match="share a key"):
        curvet.causes._by_key(one, replace(CAUSES["overfitting"], key="healthy"))


def test_the_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CAUSES["healthy"] = CAUSES["overfitting"]


@pytest.mark.parametrize("key", CAUSES)
def test_same_seed_same_injection(key: str) -> None:
    for seed in range(20):
        assert injected(key, seed) == injected(key, seed)
    assert len({repr(injected(key, seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize("net", ["mlp", "conv", "rnn", "gru", "lstm", "attention"])
@pytest.mark.parametrize("key", CAUSES)
def test_an_injection_changes_the_recipe_and_not_the_data(key: str, net: str) -> None:
    base = replace(BASE, net=net)
    for seed in range(20):
        recipe = injected(key, seed, base)
        assert recipe != base
        assert recipe.task == base.task
        assert (recipe.net, recipe.n_steps, recipe.batch_size, recipe.optimiser) == (
            net,
            base.n_steps,
            base.batch_size,
            base.optimiser,
        )
        assert recipe.batch_size <= recipe.n_train <= recipe.task.n_pool
        assert recipe.width >= 1
        assert 0 <= recipe.dropout < 1
        assert 0 <= recipe.label_smoothing < 1
        for bad in recipe.bad_batches:
            assert 0 <= bad.start < base.n_steps
            assert bad.length >= 1


@pytest.mark.parametrize("key", FAULTS)
def test_an_injected_recipe_is_made_of_plain_values(key: str) -> None:
    for seed in range(5):
        recipe = injected(key, seed)
        for field in fields(recipe):
            value, old = getattr(recipe, field.name), getattr(BASE, field.name)
            assert isinstance(value, type(old) if not isinstance(old, float) else (int, float))


def test_a_healthy_run_has_no_harm(traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    assert CAUSES["healthy"].shows(twin, twin)
    shown = [key for key in FAULTS if CAUSES[key].shows(twin, twin)]
    assert shown == []


@pytest.mark.parametrize("key", CAUSES)
def test_an_injection_shows_on_trained_nets(key: str, traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    answers = [CAUSES[key].shows(trace, twin) for trace in traces[key]]
    assert all(isinstance(answer, (bool, np.bool_)) for answer in answers)
    assert any(answers), f"none of {DRAWS} injections does any harm"


def test_a_weak_injection_has_no_label(traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    barely = {
        "lr_too_high": replace(BASE, lr=BASE.lr * 1.1, seed=5),
        "lr_too_low": replace(BASE, lr=BASE.lr / 1.1, seed=5),
        "over_regularisation": replace(BASE, weight_decay=1e-4, seed=5),
        "noisy_labels": replace(BASE, label_noise=0.005, seed=5),
        "overfitting": replace(BASE, n_train=1400, seed=5),
        "vanishing_gradients": replace(BASE, init_gain=0.95, seed=5),
        "exploding_gradients": replace(BASE, init_gain=1.05, seed=5),
        "under_capacity": replace(BASE, width=22, seed=5),
    }
    for key, trace in zip(barely, train_population(list(barely.values())), strict=True):
        assert not CAUSES[key].shows(trace, twin), key


@pytest.mark.parametrize("key", CAUSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_harm_is_judged_on_any_log(key: str, bad: float, traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    lost = np.where(np.arange(len(twin.loss)) > 100, bad, twin.loss)
    broken = replace(twin, loss=lost, grad_norm=np.where(np.isnan(lost), bad, twin.grad_norm))
    empty = replace(twin, val=np.empty(0), val_step=np.empty(0))
    short = replace(twin, step=twin.step[:2], loss=twin.loss[:2], grad_norm=twin.grad_norm[:2])
    for trace in (broken, empty, short):
        for other in (twin, trace):
            assert CAUSES[key].shows(trace, other) in (True, False)
    if key not in ("lr_too_high", "exploding_gradients", "bad_data_batch", "unshuffled_data"):
        assert not CAUSES[key].shows(broken, twin)
