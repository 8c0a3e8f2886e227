"""Every cause of the registry: its texts, its injection, and the harm that it does to real nets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

import curvet.causes
from curvet.causes import CAUSES, sign_of, title_of
from curvet.causes.base import Cause
from curvet.recipe import (
    BadBatch,
    HalfPrecision,
    Recipe,
    Resume,
    Task,
    Trace,
    Unnormalised,
    Validation,
)
from curvet.simulate.population import train_population
from curvet.texts import LANGUAGES, use_language

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


CALM = replace(
    BASE,
    task=replace(BASE.task, kind="regression", n_outputs=1, n_pool=4000),
    init="lecun_uniform",
    optimiser="adam",
    lr=0.03,
    batch_size=64,
    n_steps=240,
    n_train=4000,
)
"""Less noise: what it hides on the other base shows."""
BASE_OF = dict.fromkeys(("batch_too_small", "resume_state_lost"), CALM)


@pytest.fixture(scope="module")
def traces() -> Mapping[str, list[Trace]]:
    """By cause: injected runs trained for real; under "twin" and "calm twin", the bases."""
    recipes = {
        key: [replace(injected(key, s, BASE_OF.get(key, BASE)), seed=s) for s in range(DRAWS)]
        for key in CAUSES
    }
    recipes |= {"twin": [BASE], "calm twin": [CALM]}
    made = iter(train_population([recipe for some in recipes.values() for recipe in some]))
    return {key: [next(made) for _ in some] for key, some in recipes.items()}


def test_the_list_names_every_file() -> None:
    folder = Path(curvet.causes.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "base", "team"} == set(CAUSES)


@pytest.mark.parametrize("key", CAUSES)
def test_a_cause_is_its_file(key: str) -> None:
    cause = CAUSES[key]
    assert cause.key == key
    assert cause.inject.__module__ == cause.shows.__module__ == f"curvet.causes.{key}"


@pytest.mark.parametrize("key", CAUSES)
def test_texts_are_written(key: str) -> None:
    assert sign_of(key).endswith(".")
    assert sign_of(key)[0].isupper()
    assert title_of(key)[0].isupper()
    assert not title_of(key).endswith(".")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_causes_read_alike(language: str) -> None:
    use_language(language)
    assert len({title_of(key) for key in CAUSES}) == len(CAUSES)
    assert len({sign_of(key) for key in CAUSES}) == len(CAUSES)


def test_a_cause_of_another_taxonomy_stands_for_itself() -> None:
    assert (title_of("gremlins"), sign_of("gremlins")) == ("gremlins", "")


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


REGRESSION = replace(
    BASE, task=replace(BASE.task, kind="regression", n_outputs=2), lr=0.02, optimiser="adam"
)
BASES = {
    **{net: replace(BASE, net=net) for net in ("mlp", "conv", "rnn", "gru", "lstm", "attention")},
    "regression": REGRESSION,
    "small batches": replace(BASE, batch_size=4, norm="batch", optimiser="rmsprop"),
    "few steps": replace(BASE, n_steps=60, n_train=600, accumulation=2),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("key", CAUSES)
def test_an_injection_changes_the_recipe_and_not_the_data(key: str, base: str) -> None:
    healthy = BASES[base]
    for seed in range(20):
        recipe = injected(key, seed, healthy)
        assert recipe != healthy
        assert recipe.task == healthy.task
        assert (recipe.net, recipe.accumulation) == (healthy.net, healthy.accumulation)
        assert key == "unsuitable_optimizer" or recipe.optimiser == healthy.optimiser
        if key not in ("batch_too_large", "batch_too_small"):
            assert (recipe.n_steps, recipe.batch_size) == (healthy.n_steps, healthy.batch_size)
        assert 1 <= recipe.batch_size <= recipe.n_train <= recipe.task.n_pool
        assert recipe.n_steps >= 2
        assert recipe.width >= 1
        assert np.isfinite(recipe.lr)
        assert recipe.lr > 0
        assert 0 <= recipe.momentum < 1
        assert 0 <= recipe.dropout < 1
        assert 0 <= recipe.label_smoothing < 1
        assert 0 <= recipe.validation.relabelled <= 1
        assert 0 <= recipe.validation.leaked <= 1
        for bad in recipe.bad_batches:
            assert 0 <= bad.start < recipe.n_steps
            assert bad.length >= 1
        if recipe.resume is not None:
            assert 0 <= recipe.resume.back < recipe.resume.at < recipe.n_steps
            assert recipe.resume.optimiser or recipe.resume.schedule or recipe.resume.data
        if recipe.half is not None:
            assert recipe.half.scale > 0
            assert recipe.half.largest > 0


HINTS = get_type_hints(Recipe)


@pytest.mark.parametrize("key", CAUSES)
def test_an_injected_recipe_is_made_of_plain_values(key: str) -> None:
    """Words are among those that the field allows, numbers are Python's own."""
    for seed in range(20):
        recipe = injected(key, seed)
        hash(recipe.family)
        for field in fields(recipe):
            value, hint = getattr(recipe, field.name), HINTS[field.name]
            words = [word for word in get_args(hint) if isinstance(word, str)]
            if words:
                assert value in words
            elif hint is float:
                assert isinstance(value, float)
            elif hint in (int, bool):
                assert type(value) is hint, field.name
        parts = (recipe.unnormalised, recipe.resume, recipe.half, recipe.validation)
        for part in (*recipe.bad_batches, *(part for part in parts if part is not None)):
            for name, value in asdict(part).items():
                assert type(value) in (int, float, bool) or name == "kind", (name, value)


@pytest.mark.parametrize("key", CAUSES)
def test_an_injected_recipe_can_be_trained(key: str) -> None:
    short = [replace(base, n_steps=12, n_train=400) for base in BASES.values()]
    for base, trace in zip(
        short, train_population([injected(key, 3, base) for base in short]), strict=True
    ):
        assert len(trace.loss) >= 2
        assert len(trace.val) == len(trace.val_at) > 0
        assert np.isfinite(trace.lr).all()
        assert key != "healthy" or np.isfinite(trace.loss).all(), base


def test_a_healthy_run_has_no_harm(traces: Mapping[str, list[Trace]]) -> None:
    for twin in (*traces["twin"], *traces["calm twin"]):
        assert CAUSES["healthy"].shows(twin, twin)
        assert [key for key in FAULTS if CAUSES[key].shows(twin, twin)] == []


@pytest.mark.parametrize("key", CAUSES)
def test_an_injection_shows_on_trained_nets(key: str, traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["calm twin" if key in BASE_OF else "twin"]
    answers = [CAUSES[key].shows(trace, twin) for trace in traces[key]]
    assert all(isinstance(answer, (bool, np.bool_)) for answer in answers)
    assert any(answers), f"none of {DRAWS} injections does any harm"


def test_a_weak_injection_has_no_label(traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    barely = {
        "lr_too_high": replace(BASE, lr=BASE.lr * 1.1),
        "lr_too_low": replace(BASE, lr=BASE.lr / 1.1),
        "over_regularisation": replace(BASE, weight_decay=1e-4),
        "noisy_labels": replace(BASE, label_noise=0.005),
        "overfitting": replace(BASE, n_train=1400),
        "vanishing_gradients": replace(BASE, init_gain=0.95),
        "exploding_gradients": replace(BASE, init_gain=1.05),
        "under_capacity": replace(BASE, width=22),
        "unsuitable_optimizer": replace(BASE, momentum=0.91),
        "batch_too_small": replace(BASE, batch_size=14),
        "batch_too_large": replace(BASE, batch_size=18, n_steps=142),
        "unnormalised_inputs": replace(BASE, unnormalised=Unnormalised(1.1, 0.05, 0.0)),
        "train_val_mismatch": replace(BASE, validation=Validation(scale=1.05)),
        "train_val_leak": replace(BASE, validation=Validation(leaked=0.02)),
        "resume_state_lost": replace(BASE, resume=Resume(80, 0, False, False, True)),
        "precision_overflow": replace(BASE, half=HalfPrecision(np.inf, 8.0, True)),
        "bad_data_batch": replace(BASE, bad_batches=(BadBatch("outlier", 80, 1, 1.01),)),
        "unshuffled_data": replace(BASE, order="replacement"),
    }
    assert {"wrong_loss"} == set(FAULTS) - set(barely)  # a loss is right or wrong
    for key, trace in zip(barely, train_population(list(barely.values())), strict=True):
        assert not CAUSES[key].shows(trace, twin), key


def spoilt(twin: Trace) -> dict[str, Trace]:
    """Traces as logs may be: cut short, without validation, with NaN here and there."""
    n = len(twin.loss)
    late = np.arange(n) > 100
    nothing = np.full(n, np.nan)
    return {
        **{f"{k} steps": twin.until(k) for k in (1, 2, 3, 5, 9)},
        **{f"{k} steps, resumed": replace(twin.until(k), onset=k - 1) for k in (1, 2, 3, 5, 9)},
        "unvalidated": replace(twin, val=np.empty(0), val_at=np.empty(0, np.int64)),
        "late NaN": replace(twin, loss=np.where(late, np.nan, twin.loss)),
        "late inf": replace(twin, loss=np.where(late, np.inf, twin.loss), onset=110),
        "one NaN": replace(twin, loss=np.where(np.arange(n) == 80, np.nan, twin.loss), onset=80),
        "negative": replace(twin, loss=-twin.loss, val=-twin.val),
        "zero": replace(twin, loss=0 * twin.loss, val=0 * twin.val, grad_norm=0 * twin.loss),
        "huge": replace(twin, loss=1e30 * twin.loss, val=1e30 * twin.val),
        "NaN": replace(twin, loss=nothing, grad_norm=nothing, val=np.nan * twin.val),
        "NaN norm": replace(twin, grad_norm=nothing),
        "NaN validation": replace(twin, val=np.nan * twin.val),
        "onset at the end": replace(twin, onset=n - 1),
        "onset at once": replace(twin, onset=0),
    }


@pytest.mark.parametrize("key", CAUSES)
def test_harm_is_judged_on_any_log(key: str, traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    some = spoilt(twin)
    short = [twin.until(k) for k in (1, 2, 3, 5, 9)]
    for (name, trace), other in product(some.items(), (twin, *short)):
        for seen in (other, trace):
            answer = CAUSES[key].shows(trace, seen)
            assert isinstance(answer, (bool, np.bool_)), name
    if not CAUSES[key].may_diverge:
        assert not CAUSES[key].shows(some["late NaN"], twin)
        assert not CAUSES[key].shows(some["late inf"], twin)


def test_nan_before_a_bad_batch_is_not_its_doing(traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    shows = CAUSES["bad_data_batch"].shows
    position = np.arange(len(twin.loss))
    lost = replace(twin, loss=np.where(position >= 60, np.nan, twin.loss))
    assert shows(replace(lost, onset=60), twin)
    assert not shows(replace(lost, onset=130), twin)
    assert not shows(replace(lost, onset=59 - 20), twin)  # nor long after it
    assert not shows(replace(lost, onset=-1), twin)


def test_a_spike_elsewhere_is_no_bad_batch(traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    spike = replace(twin, loss=twin.loss + 20.0 * (np.arange(len(twin.loss)) == 90))
    shows = CAUSES["bad_data_batch"].shows
    found = [at for at in range(5, 160, 5) if shows(replace(spike, onset=at), twin)]
    assert 90 in found
    assert all(80 <= at <= 90 for at in found)


def test_a_burst_or_a_spike_is_not_healthy(traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    shows, at = CAUSES["healthy"].shows, np.arange(len(twin.loss))
    burst, spike, tremor = (
        replace(twin, loss=twin.loss + change)
        for change in (
            50 * ((at > 0) & (at < 4)),
            3 * twin.drop * (at == 90),
            2 * twin.noise * (at % 7 == 0),
        )
    )
    assert shows(twin, twin)
    assert shows(tremor, tremor)
    assert not shows(burst, twin)
    assert not shows(spike, twin)


def test_large_gradients_that_stay_are_an_explosion(traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    shows, begins = CAUSES["exploding_gradients"].shows, np.arange(len(twin.loss)) < 5
    large = np.full(len(twin.loss), 200 * np.median(twin.grad_norm))
    worse = replace(twin, loss=30 * twin.loss, grad_norm=large)
    assert shows(worse, twin)
    assert not shows(replace(twin, grad_norm=large), twin)
    only_at_first = np.where(begins, large, twin.grad_norm)
    assert not shows(replace(worse, grad_norm=only_at_first), twin)


def test_numbers_lost_at_once_tell_of_precision_after_a_sound_start(
    traces: Mapping[str, list[Trace]],
) -> None:
    (twin,) = traces["twin"]
    shows, at = CAUSES["precision_overflow"].shows, np.arange(len(twin.loss))
    lost = replace(twin, loss=np.where(at < 1, twin.loss, np.nan))
    assert shows(lost, twin)
    assert not shows(replace(lost, loss=np.where(at < 1, 50 * twin.loss, np.nan)), twin)
    assert not shows(replace(lost, loss=np.full(len(at), np.nan)), twin)


@pytest.mark.parametrize("back", [0, 10])
def test_a_resumed_run_shows_by_its_jump(back: int, traces: Mapping[str, list[Trace]]) -> None:
    (twin,) = traces["twin"]
    shows, position = CAUSES["resume_state_lost"].shows, np.arange(len(twin.loss))
    again = np.where(position < 100, position, position - back)
    smooth = replace(twin, step=again.astype(float), loss=twin.loss[again], onset=100)
    assert not shows(smooth, twin)
    raised = np.where((position >= 100) & (position < 115), smooth.loss + 1.0, smooth.loss)
    assert shows(replace(smooth, loss=raised), twin)
    assert not shows(replace(smooth, loss=raised, onset=-1), twin)
    elsewhere = np.where((position >= 20) & (position < 30), smooth.loss + 1.0, smooth.loss)
    assert not shows(replace(smooth, loss=elsewhere), twin)


def test_a_leak_whose_validation_turns_and_rises_shows_overfitting(
    traces: Mapping[str, list[Trace]],
) -> None:
    (twin,) = traces["twin"]
    key, changes = FACES["leaked"]
    (leaked,) = train_population([replace(BASE, **changes, seed=5)])
    rises = np.linspace(1, 1.15, len(leaked.val) // 2) * leaked.val.min()
    turned = replace(leaked, val=np.concatenate([leaked.val[: -len(rises)], rises]))
    below = replace(leaked, loss=0.5 * leaked.loss, val=turned.val)
    for trace, turns in ((leaked, False), (turned, True), (below, True)):
        assert trace.val_turns == turns
        assert CAUSES[key].shows(trace, twin) != turns
    assert CAUSES["overfitting"].shows(below, twin)


FACES: dict[str, tuple[str, dict[str, Any]]] = {
    "leaked": ("train_val_leak", {"n_train": 48, "width": 48, "validation": Validation(leaked=1)}),
    "scaled": ("train_val_mismatch", {"validation": Validation(scale=8.0)}),
    "relabelled": ("train_val_mismatch", {"validation": Validation(relabelled=1.0)}),
    "large inputs": ("unnormalised_inputs", {"unnormalised": Unnormalised(200.0, 0.0, 0.0)}),
    "softmax twice": ("wrong_loss", {"loss": "softmax_twice"}),
    "negated": ("wrong_loss", {"loss": "negated"}),
    "unbounded": ("wrong_loss", {"loss": "unbounded"}),
    "overflow": ("precision_overflow", {"half": HalfPrecision(4.0, 1.0, False)}),
    "no gradient": ("precision_overflow", {"half": HalfPrecision(np.inf, 1e-8, False)}),
    "few updates": ("batch_too_large", {"batch_size": 1024, "n_steps": 12}),
    "momentum": ("unsuitable_optimizer", {"momentum": 0.999, "lr": 0.05}),
}


def test_each_face_shows(traces: Mapping[str, list[Trace]]) -> None:
    """Strong faults, one of a kind, on a base that learns well."""
    (twin,) = traces["twin"]
    made = train_population([replace(BASE, **changes, seed=5) for _, changes in FACES.values()])
    for (name, (key, _)), trace in zip(FACES.items(), made, strict=True):
        assert CAUSES[key].shows(trace, twin), name
