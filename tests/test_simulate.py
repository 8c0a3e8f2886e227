"""The simulator: against plain PyTorch, whoever trains beside, however it is stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curvet.causes import CAUSES
from curvet.errors import CorpusError
from curvet.recipe import BadBatch, Recipe, Task, Trace
from curvet.roles import assign
from curvet.simulate import bases, corpus
from curvet.simulate.corpus import LOGS_PER_RUN, load_corpus, simulate
from curvet.simulate.loggers import Logger, draw_logger, in_other_unit, log, to_run
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
    "scaled inputs": {"input_scale": 3.0},
    "few samples": {"n_train": 24},
    "scheduled": {"schedule": "one_cycle", "warmup": 0.2},
    "regression": {"task": Task("regression", 12, 2, 200, 48, 0.5, 0.1, 1), "lr": 0.01},
    "regression, outliers": {
        "task": Task("regression", 12, 2, 200, 48, 0.5, 0.1, 1),
        "lr": 0.001,
        "bad_batches": (BadBatch("outlier", 4, 2, 3.0),),
    },
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
}
FAMILIES = ("sgd", "batch norm", "layer norm", "convolution", "recurrent", "gru", "lstm")


def assert_same(found: Trace, expected: Trace, rtol: float = 2e-3, atol: float = 1e-4) -> None:
    for name in ("step", "lr", "val_step"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("loss", "grad_norm", "val"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol, atol, err_msg=name
        )
    assert found.steps_per_epoch == expected.steps_per_epoch


@pytest.mark.parametrize("name", CASES)
def test_training_equals_plain_pytorch(name: str) -> None:
    recipe = replace(BASE, **CASES[name])
    (found,) = train_population([recipe])
    assert_same(found, naive.train(recipe))
    assert np.ptp(found.loss) > 0


@pytest.mark.parametrize("name", [*FAMILIES, "attention"])
def test_a_net_ignores_its_neighbours(name: str) -> None:
    recipe = replace(BASE, **CASES[name])
    neighbours = [
        replace(recipe, seed=11, lr=1e3),  # diverges
        replace(recipe, seed=12, label_noise=0.5, n_train=40, weight_decay=0.1),
        replace(recipe, seed=13, task=replace(recipe.task, seed=99, n_pool=350), clip=0.1),
        replace(recipe, seed=14, input_scale=5.0, label_smoothing=0.2),
    ]
    together = train_population([*neighbours[:2], recipe, *neighbours[2:]])
    (alone,) = train_population([recipe])
    assert_same(together[2], alone, 1e-3, 1e-5)


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


@pytest.mark.parametrize("init", ["he", "xavier", "lecun_uniform", "zero", "constant", "dead"])
def test_initial_weights(init: Any) -> None:
    wide = replace(BASE, init=init, width=64, init_gain=0.5, depth=3)
    (weight, bias), (hidden, _), *_, (last, last_bias) = naive.initial(wide)
    assert weight.shape == (12, 64)
    assert last.shape == (64, 3)
    scale = {
        "he": 0.5 * (2 / 64) ** 0.5,
        "xavier": 0.5 * (2 / 128) ** 0.5,
        "lecun_uniform": 0.5 * (1 / (3 * 64)) ** 0.5,
        "zero": 0.0,
        "constant": 0.0,
        "dead": 0.5 * (2 / 64) ** 0.5,
    }[init]
    assert float(hidden.std()) == pytest.approx(scale, rel=0.1, abs=1e-8)
    assert float(hidden.mean()) == pytest.approx(0.05 if init == "constant" else 0.0, abs=0.01)
    assert bool((bias == -1.5).all()) == (init == "dead")
    assert init == "lecun_uniform" or not last_bias.any()


@pytest.mark.parametrize("kind", ["teacher", "clusters", "regression", "autoencode", "next_token"])
def test_a_task_is_its_data(kind: Any) -> None:
    task = Task(kind, 12, {"autoencode": 12, "next_token": 4}.get(kind, 3), 300, 50, 0.5, 0.1, 7)
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


# Loggers


def trace_of(loss: Any, epoch: int = 10) -> Trace:
    loss = np.asarray(loss, float)
    n = len(loss)
    at = np.arange(0, n, 2)
    return Trace(
        np.arange(n, dtype=float),
        loss,
        loss + 1000,
        np.linspace(1, 0.5, n),
        at.astype(float),
        at + 500.0,
        epoch,
    )


PLAIN = Logger("step", 1, False, 0, 60, "kept", 1.0)


def test_every_step_is_kept_as_it_is() -> None:
    trace = trace_of(np.arange(40) ** 2)
    kept = log(trace, PLAIN)
    for name in ("step", "loss", "grad_norm", "lr", "val_step", "val"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(trace, name))


@pytest.mark.parametrize("offset", [False, True])
def test_thinning_keeps_every_kth(offset: bool) -> None:
    kept = log(trace_of(np.arange(23) + 0.5), replace(PLAIN, style="thin", every=5, offset=offset))
    expected = [4, 9, 14, 19] if offset else [0, 5, 10, 15, 20]
    assert kept.step.tolist() == expected
    assert kept.loss.tolist() == [step + 0.5 for step in expected]
    assert kept.grad_norm.tolist() == [step + 1000.5 for step in expected]
    np.testing.assert_allclose(kept.lr, 1 - 0.5 * np.array(expected) / 22)


@pytest.mark.parametrize(("style", "reduce"), [("mean", np.mean), ("median", np.median)])
def test_windows(style: Any, reduce: Any) -> None:
    loss = np.random.default_rng(0).random(23)
    kept = log(trace_of(loss), replace(PLAIN, style=style, every=5))
    assert kept.step.tolist() == [4, 9, 14, 19]
    np.testing.assert_allclose(kept.loss, [reduce(loss[i : i + 5]) for i in (0, 5, 10, 15)])
    epochs = log(trace_of(loss), replace(PLAIN, style="epoch", every=10))
    np.testing.assert_allclose(epochs.loss, [loss[:10].mean(), loss[10:20].mean()])


@pytest.mark.parametrize(("n", "keep"), [(100, 0.9), (400, 0.97)])
def test_moving_average(n: int, keep: float) -> None:
    loss = np.random.default_rng(0).random(n)
    smooth, expected = loss[0], []
    for value in loss:
        smooth = keep * smooth + (1 - keep) * value
        expected.append(smooth)
    np.testing.assert_allclose(log(trace_of(loss), replace(PLAIN, style="ema")).loss, expected)


def test_nan() -> None:
    loss = np.arange(20, dtype=float)
    loss[[8, 9, 15]] = [np.nan, np.inf, np.nan]
    kept = log(trace_of(loss), PLAIN)
    np.testing.assert_array_equal(kept.loss, loss)
    halted = log(trace_of(loss), replace(PLAIN, nonfinite="halted"))
    np.testing.assert_array_equal(halted.loss, loss[:9])
    assert halted.val_step.tolist() == [0, 2, 4, 6, 8]
    hidden = log(trace_of(loss), replace(PLAIN, nonfinite="hidden"))
    assert hidden.loss[[7, 8, 9, 10, 14, 15, 16]].tolist() == [7, 7, 7, 10, 14, 14, 16]
    means = log(trace_of(loss), replace(PLAIN, style="mean", every=4))
    np.testing.assert_array_equal(means.loss, [1.5, 5.5, np.nan, np.nan, 17.5])


def test_nan_from_the_first_step_on() -> None:
    trace = trace_of(np.full(20, np.nan))
    for nonfinite in ("kept", "halted", "hidden"):
        kept = log(trace, replace(PLAIN, nonfinite=nonfinite))
        assert len(kept.loss) >= 1
        assert np.isnan(kept.loss).all()
    assert len(log(trace, replace(PLAIN, nonfinite="halted")).loss) == 1


def test_a_run_that_is_still_going() -> None:
    kept = log(trace_of(np.arange(40)), replace(PLAIN, share=0.5))
    assert kept.step.tolist() == list(range(20))
    assert kept.val_step.max() == 18


def test_rounding() -> None:
    trace = trace_of(np.random.default_rng(0).random(20))
    kept = log(trace, replace(PLAIN, digits=3))
    np.testing.assert_array_equal(kept.loss, trace.loss.round(3))
    np.testing.assert_array_equal(kept.grad_norm, trace.grad_norm.round(3))


def test_validation_points() -> None:
    trace = trace_of(np.arange(100))
    few = log(trace, replace(PLAIN, n_val=5))
    assert few.val_step.tolist() == [0, 24, 48, 74, 98]
    np.testing.assert_array_equal(few.val, few.val_step + 500)
    each = log(trace, replace(PLAIN, style="epoch", every=10, n_val=0))
    np.testing.assert_array_equal(each.val_step, each.step)
    assert np.abs(each.val - 500 - each.step).max() <= 1


@pytest.mark.parametrize("n", [1, 2, 7, 60, 700])
def test_any_logger_suits_any_length(n: int) -> None:
    rng = np.random.default_rng(n)
    trace = trace_of(rng.random(n), epoch=max(1, n // 6))
    styles = set()
    for _ in range(60):
        logger = draw_logger(trace, rng)
        styles.add(str(logger.style))
        kept, again = log(trace, logger), log(trace, logger)
        assert 1 <= len(kept.loss) == len(kept.grad_norm) == len(kept.lr) == len(kept.step) <= n
        assert len(kept.val) == len(kept.val_step)
        for name in ("step", "loss", "grad_norm", "lr", "val_step", "val"):
            np.testing.assert_array_equal(getattr(kept, name), getattr(again, name))
    assert styles == {"step", "thin", "mean", "epoch", "ema", "median"}


def test_same_draws_same_logger() -> None:
    trace = trace_of(np.arange(90))
    first, second = (
        [draw_logger(trace, rng) for _ in range(5)]
        for rng in (np.random.default_rng(4), np.random.default_rng(4))
    )
    assert first == second


def test_a_trace_is_a_run_with_every_channel() -> None:
    trace = trace_of(np.arange(30))
    run = to_run(trace, "one")
    channels = assign(run)
    assert (run.id, run.format) == ("one", "simulated")
    assert channels.val is not None
    assert channels.grad_norm is not None
    assert channels.lr is not None
    np.testing.assert_array_equal(channels.loss.value, trace.loss)
    np.testing.assert_array_equal(channels.val.value, trace.val)
    np.testing.assert_array_equal(channels.val.step, trace.val_step)
    np.testing.assert_array_equal(channels.grad_norm.value, trace.grad_norm)
    np.testing.assert_array_equal(channels.lr.value, trace.lr)
    unvalidated = replace(trace, val=np.empty(0), val_step=np.empty(0))
    assert assign(to_run(unvalidated, "two")).val is None


def test_another_unit() -> None:
    trace = trace_of([1.0, np.nan, 3.0])
    found = in_other_unit(trace, 100.0)
    for name in ("loss", "grad_norm", "val"):
        np.testing.assert_array_equal(getattr(found, name), 100 * getattr(trace, name))
    for name in ("step", "lr", "val_step"):
        np.testing.assert_array_equal(getattr(found, name), getattr(trace, name))


# Corpora


SMALL = """
from dataclasses import replace
from curvet.simulate import bases, corpus

draw = corpus.draw_bases
bases.BASES_PER_ROUND = 2
corpus._DRAWS = {key: 1 for key in corpus._DRAWS}
corpus.draw_bases = lambda rng: [
    replace(base, net="mlp", depth=1, norm="none", residual=False, n_steps=60, batch_size=8)
    for base in draw(rng)
]
"""
"""Rounds of half a second."""


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make rounds small, in this process and in those that it starts."""
    site = tmp_path_factory.mktemp("site")
    unless = 'import sys\nif "resource_tracker" not in str(sys.orig_argv):'
    body = SMALL.replace("\n", "\n    ")
    (site / "sitecustomize.py").write_text(f"{unless}{body}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        for module, name in ((bases, "BASES_PER_ROUND"), (corpus, "_DRAWS")):
            patch.setattr(module, name, getattr(module, name))  # to be put back
        patch.setattr(corpus, "draw_bases", corpus.draw_bases)
        exec(SMALL, {})
        yield


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("round-*.npz"))}


def same_examples(one: Path, other: Path) -> bool:
    pairs = zip(load_corpus(one), load_corpus(other), strict=True)
    names = ("step", "loss", "grad_norm", "lr", "val_step", "val")
    return all(
        (a.cause, a.base, a.family, a.task, a.net, a.style)
        == (b.cause, b.base, b.family, b.task, b.net, b.style)
        and all(getattr(a.trace, n).tobytes() == getattr(b.trace, n).tobytes() for n in names)
        for a, b in pairs
    )


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_same_seed_same_corpus_whatever_the_workers(tmp_path: Path) -> None:
    simulate(tmp_path / "one", 10, seed=4)
    simulate(tmp_path / "two", 10, seed=4, workers=2)
    one, two = shards(tmp_path / "one"), shards(tmp_path / "two")
    assert one
    assert all(two[name] == content for name, content in one.items())
    assert same_examples(tmp_path / "one", tmp_path / "two")
    examples = load_corpus(tmp_path / "one")
    assert len(examples) == 10 * LOGS_PER_RUN
    for first, second in zip(examples[::2], examples[1::2], strict=True):
        assert (first.cause, first.base) == (second.cause, second.base)
        assert first.cause in CAUSES
        assert first.base.split("-")[0] == first.family
        assert len(first.trace.loss) >= 2
    assert all(np.isfinite(e.trace.loss).all() for e in examples if e.cause == "healthy")


@pytest.mark.usefixtures("small")
def test_another_seed_is_another_corpus_and_not_this_folder(tmp_path: Path) -> None:
    simulate(tmp_path / "a", 1, seed=4)
    before = shards(tmp_path / "a")
    with pytest.raises(CorpusError, match=r"a: holds a corpus of seed 4 .* asked for seed 5"):
        simulate(tmp_path / "a", 1, seed=5)
    assert shards(tmp_path / "a") == before
    simulate(tmp_path / "b", 1, seed=5)
    assert shards(tmp_path / "b")["round-00000.npz"] != before["round-00000.npz"]


@pytest.mark.usefixtures("small")
def test_a_finished_corpus_is_not_made_again_but_can_grow(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    simulate(tmp_path, 3, seed=4, progress=lambda *done: calls.append(done))
    assert calls[-1] == (3, 3)
    assert len(load_corpus(tmp_path)) == 3 * LOGS_PER_RUN
    first = load_corpus(tmp_path)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("round-*")}
    simulate(tmp_path, 5, seed=4)
    for name, when in times.items():
        assert (tmp_path / name).stat().st_mtime_ns == when
    grown = load_corpus(tmp_path)
    assert len(grown) == 5 * LOGS_PER_RUN
    for a, b in zip(first, grown, strict=False):
        assert a.trace.loss.tobytes() == b.trace.loss.tobytes()


@pytest.mark.usefixtures("small")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_corpus_is_resumed(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    script = (
        "from pathlib import Path; from curvet.simulate.corpus import simulate; "
        f"simulate(Path({str(killed)!r}), 10**6, seed=6)"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        limit = time.monotonic() + 120
        while len(shards(killed)) < 2 and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    made = shards(killed)
    assert len(made) >= 2
    with pytest.raises(CorpusError, match="unfinished"):
        load_corpus(killed)
    n_runs = sum(len(np.load(killed / name)["cause"]) for name in made) // LOGS_PER_RUN + 4
    simulate(killed, n_runs, seed=6)
    simulate(whole, n_runs, seed=6)
    resumed, made_whole = shards(killed), shards(whole)
    assert all(resumed[name] == content for name, content in made.items())
    for name in set(resumed) & set(made_whole):
        one, two = np.load(killed / name), np.load(whole / name)
        assert set(one.files) == set(two.files)
        for key in one.files:
            assert one[key].dtype == two[key].dtype
            assert one[key].tobytes() == two[key].tobytes(), (name, key)
    assert same_examples(killed, whole)
    assert (killed / "corpus.json").read_bytes() == (whole / "corpus.json").read_bytes()


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpus\.json; make a corpus with `curvet simulate`"):
        load_corpus(tmp_path)


def test_a_corpus_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "corpus.json").write_text(json.dumps({"format": 99, "seed": 0, "rounds": 1}))
    with pytest.raises(CorpusError, match="another format"):
        load_corpus(tmp_path)
    with pytest.raises(CorpusError, match="format 99"):
        simulate(tmp_path, 1)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("content", [None, b"words", b"", b"PK\x03\x04 cut short"])
def test_a_damaged_shard_is_named(content: bytes | None, tmp_path: Path) -> None:
    manifest = {"format": corpus.CORPUS_FORMAT, "seed": 0, "rounds": 1, "runs": 1}
    (tmp_path / "corpus.json").write_text(json.dumps(manifest))
    if content is not None:
        (tmp_path / "round-00000.npz").write_bytes(content)
    with pytest.raises(CorpusError, match=r"round-00000\.npz: damaged shard .* simulate again"):
        load_corpus(tmp_path)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "corpus.json").write_text("{")
    for use in (load_corpus, lambda folder: simulate(folder, 1)):
        with pytest.raises(CorpusError, match=r"corpus\.json: damaged"):
            use(tmp_path)


def test_training_leaves_the_processors_arithmetic_alone() -> None:
    train_population([BASE])
    assert np.float64(5e-324) / 1 > 0
    assert np.float32(1e-38) * np.float32(0.1) > 0
