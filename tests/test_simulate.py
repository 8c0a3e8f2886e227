"""Simulated trainings: against plain PyTorch, and whoever trains beside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

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
from curvet.simulate.nets import count_parameters, make_nets
from curvet.simulate.population import lr_schedule, train_population
from curvet.simulate.tasks import make_dataset

from . import naive

BASE = Recipe(
    task=Task("teacher", 12, 3, 200, 48, 0.5, 0.0, 1),
    net="mlp",
    depth=2,
    width=8,
    activation="relu",
    norm="none",
    init="he",
    optimiser="sgd",
    lr=0.05,
    momentum=0.9,
    schedule="constant",
    batch_size=16,
    n_steps=30,
    n_train=200,
    seed=3,
)
DECAY = {"weight_decay": 0.02}
REGRESSION = Task("regression", 12, 2, 200, 48, 0.5, 0.1, 1)
CASES: dict[str, dict[str, Any]] = {
    **{
        name: {"optimiser": name, **DECAY, "lr": lr}
        for name, lr in {
            "sgd": 0.05,
            "nesterov": 0.05,
            "rmsprop": 0.003,
            "adam": 0.01,
            "adamw": 0.01,
            "adagrad": 0.05,
        }.items()
    },
    "no momentum": {"momentum": 0.0},
    **{name: {"activation": name} for name in ("leaky_relu", "gelu", "tanh", "sigmoid")},
    "layer norm": {"norm": "layer"},
    "batch norm": {"norm": "batch"},
    "residual": {"depth": 4, "residual": True},
    "linear": {"depth": 0},
    "clipped": {"clip": 0.5},
    "smoothed": {"label_smoothing": 0.3},
    "penalty logged": {**DECAY, "penalty_in_loss": True},
    "wrong labels": {"label_noise": 0.5},
    "outliers": {"bad_batches": (BadBatch("outlier", 4, 2, 4.0), BadBatch("outlier", 20, 1, 9.0))},
    "label noise, validated": {"label_noise": 0.5, "val_noise": True},
    "few samples": {"n_train": 24},
    "scheduled": {"schedule": "one_cycle", "warmup": 0.2},
    "plateau": {"schedule": "plateau", "lr": 0.002, "n_steps": 120},
    "plateau, learning": {"schedule": "plateau", "lr": 0.05, "n_steps": 120},
    "plateau, warm": {"schedule": "plateau", "lr": 0.002, "n_steps": 120, "warmup": 0.1},
    "regression": {"task": REGRESSION, "lr": 0.01},
    "regression, outliers": {
        "task": REGRESSION,
        "lr": 0.001,
        "bad_batches": (BadBatch("outlier", 4, 2, 3.0),),
    },
    "parity": {"task": Task("parity", 12, 2, 200, 48, 0.7, 0.1, 1)},
    "clusters": {"task": Task("clusters", 6, 4, 200, 48, 0.5, 0.1, 1)},
    "autoencode": {"task": Task("autoencode", 12, 12, 200, 48, 0.5, 0.1, 1)},
    "next token": {"task": Task("next_token", 18, 6, 200, 48, 0.5, 0.0, 1)},
    "convolution": {"net": "conv"},
    "convolution, batch norm": {"net": "conv", "norm": "batch", "residual": True, "depth": 3},
    "recurrent": {"net": "rnn", "activation": "tanh"},
    "recurrent, relu": {"net": "rnn", "depth": 1},
    "gru": {"net": "gru"},
    "lstm": {"net": "lstm"},
    "attention": {"net": "attention", "norm": "layer", "residual": True},
    "attention, bare": {"net": "attention", "residual": True, "lr": 0.01},
    **{f"{name}, slow": {"optimiser": name, "momentum": 0.99} for name in ("sgd", "nesterov")},
    **{
        f"{name}, slow": {"optimiser": name, "momentum": 0.99, "lr": 0.01}
        for name in ("adam", "adamw")
    },
    "orthogonal": {"init": "orthogonal", "init_gain": 0.7},
    "orthogonal gates": {"init": "orthogonal", "net": "gru", "n_steps": 10},
    **{
        f"accumulated, {name}": {"accumulation": n, "optimiser": name, "clip": 1.0, **DECAY}
        for n, name in ((2, "sgd"), (3, "adam"), (4, "adamw"))
    },
    "one scale": {"unnormalised": Unnormalised(5.0, 0.0, 0.0), "lr": 0.01},
    "off centre": {"unnormalised": Unnormalised(1.0, 3.0, 0.0), "lr": 0.01},
    "own units": {"unnormalised": Unnormalised(1.0, 0.5, 0.5), "lr": 0.01},
    "own units, outliers": {
        "unnormalised": Unnormalised(0.5, 0.5, 0.3),
        "lr": 0.01,
        "bad_batches": (BadBatch("outlier", 4, 2, 3.0),),
    },
    **{f"order: {order}": {"order": order} for order in ("sorted", "blocks", "replacement")},
    "relabelled batches": {"bad_batches": (BadBatch("wrong_labels", 4, 3, 1.0),)},
    "batches of one class": {
        "bad_batches": (BadBatch("one_class", 4, 3, 1.0), BadBatch("one_class", 20, 2, 1.0)),
        "label_noise": 0.2,
    },
    **{
        f"loss: {kind}": {"loss": kind, "lr": 0.02}
        for kind in ("negated", "softmax_twice", "unbounded")
    },
    "loss: softmax twice, smoothed": {"loss": "softmax_twice", "label_smoothing": 0.2},
    **{
        f"regression, loss: {kind}": {"loss": kind, "task": REGRESSION, "lr": 0.002}
        for kind in ("negated", "broadcast", "unbounded")
    },
    **{
        f"validation: {name}": {"validation": other}
        for name, other in {
            "scaled": Validation(scale=4.0),
            "shifted": Validation(shift=-2.0),
            "noisy": Validation(noise=1.5),
            "relabelled": Validation(relabelled=0.7),
            "leaked": Validation(leaked=0.6),
            "mixed": Validation(2.0, 1.0, 0.5, 1.0, 0.3),
        }.items()
    },
    "regression, validation: relabelled": {
        "task": REGRESSION,
        "lr": 0.01,
        "validation": Validation(relabelled=0.4, leaked=0.3),
    },
    "own units, validation: scaled": {
        "unnormalised": Unnormalised(2.0, 1.0, 0.2),
        "validation": Validation(scale=3.0),
        "lr": 0.01,
    },
    **{
        f"resumed: {name}": {
            "resume": resume,
            "schedule": "cosine",
            "optimiser": "adam",
            "lr": 0.01,
        }
        for name, resume in {
            "nothing lost": Resume(20, 5, False, False, False),
            "without moments": Resume(20, 0, True, False, False),
            "without schedule": Resume(20, 0, False, True, False),
            "without data": Resume(20, 0, False, False, True),
            "without anything": Resume(15, 4, True, True, True),
        }.items()
    },
    "resumed: momentum": {"resume": Resume(20, 3, True, False, False)},
    "resumed: batch norm": {"resume": Resume(20, 10, True, True, False), "norm": "batch"},
    "resumed: warm": {"resume": Resume(12, 2, False, True, True), "warmup": 0.3, "lr": 0.1},
    "half: wide enough": {"half": HalfPrecision(np.inf, 8.0, False)},
    "half: static, overflow": {
        "half": HalfPrecision(25.0, 1.0, False),
        "bad_batches": (BadBatch("outlier", 9, 1, 40.0),),
    },
    "half: dynamic, overflow": {
        "half": HalfPrecision(25.0, 1.0, True),
        "bad_batches": (BadBatch("outlier", 9, 2, 40.0),),
        "optimiser": "adam",
        "lr": 0.01,
    },
    "half: static, scale": {
        "half": HalfPrecision(np.inf, 4e3, False),
        "bad_batches": (BadBatch("outlier", 9, 1, 40.0),),
    },
    "half: dynamic, scale": {"half": HalfPrecision(np.inf, 1e8, True), "n_steps": 140},
    "half: underflow": {"half": HalfPrecision(np.inf, 2e-6, False), "lr": 0.5},
    "half: dynamic, underflow": {"half": HalfPrecision(np.inf, 2e-6, True), "n_steps": 140},
    "half: accumulated": {
        "half": HalfPrecision(25.0, 1.0, True),
        "bad_batches": (BadBatch("outlier", 8, 1, 40.0),),  # the first of two batches
        "accumulation": 2,
    },
}
FAMILIES = (
    "sgd",
    "adam",
    "batch norm",
    "layer norm",
    "convolution",
    "convolution, batch norm",
    "recurrent",
    "gru",
    "lstm",
    "attention",
    "accumulated, sgd",
    "next token",
    "regression",
)


def assert_same(found: Trace, expected: Trace, rtol: float = 2e-3, atol: float = 1e-4) -> None:
    for name in ("step", "val_at"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_allclose(found.lr, expected.lr, 1e-6)
    for name in ("loss", "grad_norm", "val"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol, atol, err_msg=name
        )
    assert (found.steps_per_epoch, found.onset) == (expected.steps_per_epoch, expected.onset)


@pytest.mark.parametrize("name", CASES)
def test_training_equals_plain_pytorch(name: str) -> None:
    recipe = replace(BASE, **CASES[name])
    (found,) = train_population([recipe])
    assert_same(found, naive.train(recipe))
    assert np.ptp(found.loss[np.isfinite(found.loss)]) > 0
    assert (found.val_at == np.arange(recipe.n_steps)[found.val_at]).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_net_ignores_its_neighbours(name: str) -> None:
    recipe = replace(BASE, **CASES[name])
    neighbours = [
        replace(recipe, seed=11, lr=1e3),  # diverges
        replace(recipe, seed=12, label_noise=0.5, n_train=40, weight_decay=0.1, width=5),
        replace(recipe, seed=13, task=replace(recipe.task, seed=99, n_pool=350), clip=0.1),
        replace(recipe, seed=14, unnormalised=Unnormalised(5.0, 1.0, 0.2), width=13),
        replace(recipe, seed=15, label_smoothing=0.2, init="orthogonal", width=3),
        replace(recipe, seed=16, loss="unbounded", schedule="plateau", momentum=0.5),
        replace(recipe, seed=17, resume=Resume(9, 3, True, True, True), input_noise=1.0),
        replace(recipe, seed=18, half=HalfPrecision(0.5, 1.0, False), val_noise=True),  # NaN
        replace(recipe, seed=19, half=HalfPrecision(0.5, 1.0, True), loss="negated"),
        replace(recipe, seed=20, validation=Validation(3.0, 1.0, 1.0, 0.5, 0.5), order="sorted"),
    ]
    together = train_population([*neighbours[:2], recipe, *neighbours[2:]])
    (alone,) = train_population([recipe])
    assert_same(together[2], alone, 1e-3, 1e-5)
    assert not np.isfinite(together[8].loss[-5:]).any()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("init", ["he", "lecun_uniform", "orthogonal", "constant", "dead"])
def test_weights_are_those_of_a_net_alone(init: Any, name: str) -> None:
    recipe = replace(BASE, **{**CASES[name], "init": init})
    wide = make_nets([replace(recipe, width=13, seed=1), recipe], torch.device("cpu"))
    x = torch.from_numpy(make_dataset(recipe.task).x[:20])
    twin = naive.Net(recipe)
    with torch.no_grad():
        generator = torch.Generator()
        (_, found) = wide.forward(x.expand(2, -1, -1), True, generator)
        torch.testing.assert_close(found, twin(x), rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for p in twin.parameters()) == count_parameters(recipe, recipe.width)


def test_traces_come_in_the_order_of_the_recipes() -> None:
    recipes = [replace(BASE, depth=depth, seed=seed) for seed in (1, 2, 3) for depth in (1, 2)]
    for trace, recipe in zip(train_population(recipes, group_size=2), recipes, strict=True):
        assert_same(trace, train_population([recipe])[0], 1e-3, 1e-5)


def test_dropout_only_while_training() -> None:
    plain, dropped = train_population([BASE, replace(BASE, dropout=0.5)])
    assert np.abs(plain.loss - dropped.loss).max() > 0.01
    # With a rate of zero only dropout can move the loss; validation does not drop.
    still, shaken = train_population([replace(BASE, lr=0.0), replace(BASE, lr=0.0, dropout=0.5)])
    np.testing.assert_allclose(still.val, still.val[0], rtol=1e-5)
    np.testing.assert_allclose(shaken.val, still.val, rtol=1e-5)
    assert np.abs(shaken.loss - still.loss).max() > 0.01


def test_input_noise_only_while_training() -> None:
    still = replace(BASE, lr=0.0)
    plain, noisy = train_population([still, replace(still, input_noise=2.0)])
    np.testing.assert_allclose(noisy.val, plain.val, rtol=1e-5)
    assert np.abs(noisy.loss - plain.loss).min() > 1e-4


@pytest.mark.parametrize(
    "noise",
    [{"dropout": 0.4}, {"input_noise": 1.0}],
    ids=["dropout", "input noise"],
)
def test_noise_is_as_strong_as_in_plain_pytorch(noise: dict[str, Any]) -> None:
    recipe = replace(BASE, **noise, lr=0.0, n_steps=200, init_gain=1.5)
    torch.manual_seed(0)
    (found,), expected = train_population([recipe]), naive.train(recipe)
    (plain,) = train_population([replace(recipe, dropout=0.0, input_noise=0.0)])
    added, wanted = found.loss - plain.loss, expected.loss - plain.loss
    error = wanted.std() / 200**0.5
    assert wanted.mean() > 8 * error
    assert added.mean() == pytest.approx(wanted.mean(), abs=6 * error)
    assert added.std() == pytest.approx(wanted.std(), rel=0.3)


def test_a_plateau_lowers_the_rate_of_nets_that_learn_nothing_more() -> None:
    learning = replace(BASE, schedule="plateau", lr=0.02, n_steps=400, n_train=16)
    stuck = replace(learning, lr=1e-6)
    plain = replace(stuck, schedule="constant")
    learns, rests, stays = (t.lr for t in train_population([learning, stuck, plain]))
    every = 400 // 40
    assert (learns[: 10 * every] == learns[0]).all()
    # The first check sets the mark; after three more without progress the rate falls.
    assert np.flatnonzero(np.diff(rests))[:3].tolist() == [39, 69, 99]
    np.testing.assert_allclose(rests[[0, 40, 70]], [1e-6, 3e-7, 9e-8], rtol=1e-5)
    assert (stays == stays[0]).all()


FULL = replace(BASE, n_train=16, momentum=0.0, n_steps=40)
"""Every batch is all of the data, so that steps differ by the weights alone."""


def test_a_static_overflow_is_the_end() -> None:
    bad = (BadBatch("outlier", 9, 1, 40.0),)
    plain, lost = train_population(
        [
            replace(BASE, bad_batches=bad),
            replace(BASE, bad_batches=bad, half=HalfPrecision(25.0, 1.0, False)),
        ]
    )
    assert np.isfinite(plain.loss).all()
    np.testing.assert_allclose(lost.loss[:9], plain.loss[:9], rtol=1e-5)
    for series in (lost.loss[9:], lost.grad_norm[9:], lost.val[9:]):
        assert np.isnan(series).all()


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adagrad"])
def test_a_skipped_step_keeps_the_weights(optimiser: Any) -> None:
    still = replace(FULL, optimiser=optimiser, momentum=0.9, lr=0.01)
    half = HalfPrecision(25.0, 1.0, True)
    plain, skipped = train_population(
        [still, replace(still, half=half, bad_batches=(BadBatch("outlier", 9, 3, 60.0),))]
    )
    assert np.flatnonzero(~np.isfinite(skipped.loss)).tolist() == [9, 10, 11]
    assert np.flatnonzero(~np.isfinite(skipped.grad_norm)).tolist() == [9, 10, 11]
    np.testing.assert_array_equal(skipped.val[9:12], np.repeat(skipped.val[8], 3))
    # Moments and their count are kept, too: the run goes on as if nothing had been.
    np.testing.assert_allclose(skipped.loss[12:], plain.loss[9:-3], rtol=1e-3)


def test_a_dynamic_scale_halves_until_gradients_fit() -> None:
    scales = [1e7 * 2**k for k in (0, 1, 4)]
    traces = train_population(
        [replace(FULL, half=HalfPrecision(np.inf, scale, True)) for scale in scales]
    )
    skipped = [int(np.isnan(trace.grad_norm).sum()) for trace in traces]
    assert np.diff(skipped).tolist() == [1, 3]
    assert skipped[0] > 0
    for trace, n in zip(traces, skipped, strict=True):
        assert np.isnan(trace.grad_norm[:n]).all()
        assert np.isfinite(trace.loss).all()
        np.testing.assert_allclose(trace.loss[: n + 1], trace.loss[0], rtol=1e-6)
        assert trace.loss[n + 1] < trace.loss[n]


def test_gradients_below_the_range_are_none() -> None:
    (trace,) = train_population([replace(FULL, half=HalfPrecision(np.inf, 1e-9, False))])
    assert not trace.grad_norm.any()
    assert np.ptp(trace.loss) < 1e-6


def test_a_resumed_run_goes_back_to_its_checkpoint() -> None:
    lost = Resume(20, 6, False, False, False)
    plain, resumed = train_population([BASE, replace(BASE, resume=lost)])
    assert resumed.step.tolist() == [*range(20), *range(14, 24)]
    assert resumed.onset == 20
    # With nothing lost it does the same steps again.
    np.testing.assert_allclose(resumed.loss[20:26], resumed.loss[14:20], rtol=1e-4)
    np.testing.assert_allclose(resumed.loss[20:], plain.loss[14:24], rtol=1e-4)


@pytest.mark.parametrize("kind", ["sorted", "blocks"])
def test_an_order_repeats_in_every_epoch(kind: Any) -> None:
    epoch = BASE.n_train // 20
    recipe = replace(BASE, order=kind, batch_size=20, lr=0.0, n_steps=3 * epoch)
    loss = train_population([recipe])[0].loss.reshape(3, epoch)
    np.testing.assert_allclose(loss[0], loss[1], rtol=1e-5)
    np.testing.assert_allclose(loss[0], loss[2], rtol=1e-5)
    shuffled = train_population([replace(recipe, order="shuffled")])[0].loss.reshape(3, epoch)
    np.testing.assert_allclose(shuffled.mean(1), loss.mean(1), rtol=1e-4)
    assert np.abs(shuffled[0] - shuffled[1]).max() > 0.01
    assert loss[0].std() > shuffled.std()


@pytest.mark.parametrize("kind", ["outlier", "wrong_labels", "one_class"])
def test_a_bad_batch_changes_its_steps_alone(kind: Any) -> None:
    still = replace(BASE, lr=0.0)
    bad = replace(still, bad_batches=(BadBatch(kind, 7, 2, 50.0),))
    clean, spoilt = (train_population([recipe])[0].loss for recipe in (still, bad))
    changed = np.abs(clean - spoilt) > 1e-4
    assert changed[7:9].all()
    assert not changed[:7].any()
    assert not changed[9:].any()


def test_wrong_validation_labels() -> None:
    noisy = replace(BASE, label_noise=0.8, lr=0.0)
    clean, wrong = train_population([noisy, replace(noisy, val_noise=True)])
    np.testing.assert_array_equal(clean.loss, wrong.loss)
    assert np.abs(clean.val - wrong.val).min() > 1e-3


@pytest.mark.parametrize(
    "init", ["he", "xavier", "lecun_uniform", "orthogonal", "zero", "constant", "dead"]
)
def test_initial_weights(init: Any) -> None:
    wide = replace(BASE, init=init, width=64, init_gain=0.5, depth=3)
    (weight, bias), (hidden, _), *_, (last, last_bias) = naive.initial(wide)
    assert weight.shape == (12, 64)
    assert last.shape == (64, 3)
    scale = {
        "he": 0.5 * (2 / 64) ** 0.5,
        "xavier": 0.5 * (2 / 128) ** 0.5,
        "lecun_uniform": 0.5 * (1 / (3 * 64)) ** 0.5,
        "orthogonal": 0.5 * (2 / 64) ** 0.5,
        "zero": 0.0,
        "constant": 0.0,
        "dead": 0.5 * (2 / 64) ** 0.5,
    }[init]
    assert float(hidden.std()) == pytest.approx(scale, rel=0.1, abs=1e-8)
    assert float(hidden.mean()) == pytest.approx(0.05 if init == "constant" else 0.0, abs=0.01)
    assert bool((bias == -1.5).all()) == (init == "dead")
    assert init == "lecun_uniform" or not last_bias.any()
    if init == "orthogonal":
        torch.testing.assert_close(hidden @ hidden.T, 0.5 * torch.eye(64), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(last.T @ last, 0.25 * torch.eye(3), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(weight @ weight.T, 0.5 * torch.eye(12), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "kind", ["teacher", "clusters", "parity", "regression", "autoencode", "next_token"]
)
def test_a_task_is_its_data(kind: Any) -> None:
    task = Task(
        kind,
        12,
        {"autoencode": 12, "next_token": 4, "parity": 2}.get(kind, 3),
        300,
        50,
        0.5,
        0.1,
        7,
    )
    first, again, other = (make_dataset(t) for t in (task, task, replace(task, seed=8)))
    for name in ("x", "y", "x_val", "y_val"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.x, other.x)
    assert first.x.shape == (300, 12)
    assert first.x_val.shape == (50, 12)
    assert len(first.y) == 300
    assert len(first.y_val) == 50
    assert 0.5 < first.x.std() < 2
    assert np.isfinite(first.x).all()
    assert not {x.tobytes() for x in first.x} & {x.tobytes() for x in first.x_val} or (
        kind == "next_token"  # windows of few tokens repeat
    )
    if first.y.dtype == np.int64:
        assert set(np.unique(first.y)) <= set(range(task.n_outputs))
    else:
        assert first.y.shape == (300, task.n_outputs)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", (1, 1, 1, 1, 1)),
        ("cosine", (1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4, 1e-4)),
        ("linear", (1, 0.75, 0.5, 0.25, 1e-4)),
        ("step", (1, 1, 1, 0.1, 0.01)),
        ("one_cycle", (0.1, 0.85, 0.7, 0.325, 0.01)),
    ],
)
def test_schedules(schedule: Any, shares: tuple[float, ...]) -> None:
    rate = lr_schedule(replace(BASE, schedule=schedule, n_steps=101, lr=0.3))
    np.testing.assert_allclose(rate[[0, 25, 50, 75, 100]], 0.3 * np.array(shares))


def test_restarts() -> None:
    rate = lr_schedule(replace(BASE, schedule="restarts", n_steps=401, lr=1.0))
    up = np.flatnonzero(np.diff(rate) > 0.5)
    assert len(up) == 3
    np.testing.assert_allclose(rate[[0, *(up + 1)]], 1.0, atol=0.01)


def test_warm_up() -> None:
    rate = lr_schedule(replace(BASE, warmup=0.1, n_steps=50, lr=2.0))
    np.testing.assert_allclose(rate[:6], [0.4, 0.8, 1.2, 1.6, 2.0, 2.0])
    assert (lr_schedule(replace(BASE, warmup=0.0)) == BASE.lr).all()
    assert (lr_schedule(replace(BASE, schedule="linear", n_steps=1)) > 0).all()


def test_a_parity_is_told_by_no_input_alone() -> None:
    data = make_dataset(Task("parity", 8, 2, 4000, 10, 0.9, 0.0, 3))
    signs, y = np.sign(data.x), 2 * data.y - 1
    assert np.abs((signs * y[:, None]).mean(0)).max() < 0.08
    pairs = [(i, j, k) for i in range(8) for j in range(i) for k in range(j)]
    told = [abs((signs[:, i] * signs[:, j] * signs[:, k] * y).mean()) for i, j, k in pairs]
    assert max(told) > 0.99
    assert sum(share > 0.2 for share in told) == 1


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_a_plateau_is_planned_as_constant(schedule: Any) -> None:
    assert (lr_schedule(replace(BASE, schedule=schedule)) == BASE.lr).all()


def test_a_lost_schedule_begins_anew() -> None:
    recipe = replace(BASE, schedule="linear", n_steps=100)
    whole = lr_schedule(recipe)
    kept = lr_schedule(replace(recipe, resume=Resume(60, 10, True, False, True)))
    np.testing.assert_array_equal(kept, [*whole[:60], *whole[50:90]])
    lost = lr_schedule(replace(recipe, resume=Resume(60, 10, False, True, False)))
    np.testing.assert_array_equal(lost, [*whole[:60], *whole[:40]])


def test_training_leaves_the_processors_arithmetic_alone() -> None:
    train_population([BASE])
    assert np.float64(5e-324) / 1 > 0
    assert np.float32(1e-38) * np.float32(0.1) > 0
