"""What a tracker keeps of a training: steps, windows, numbers that are none, crashes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from curvet.recipe import Trace
from curvet.roles import assign
from curvet.run import Run
from curvet.simulate.loggers import (
    Counter,
    Logger,
    NonFinite,
    Style,
    draw_length,
    draw_logger,
    in_other_unit,
    log,
)

PLAIN = Logger("step", 1)
SERIES = ("step", "loss", "grad_norm", "lr", "val_at", "val")


def trace_of(loss: Any, epoch: int = 10, every: int = 2) -> Trace:
    """Make a trace whose validation loss at position i is i + 500, and its norm loss + 1000."""
    loss = np.asarray(loss, float)
    n = len(loss)
    at = np.arange(0, n, every)
    lr = np.linspace(1, 0.5, n)
    return Trace(np.arange(n, dtype=float), loss, loss + 1000, lr, at, at + 500.0, epoch)


def values(run: Run, tag: str = "loss") -> NDArray[np.float64]:
    return run.curves[tag].value


def steps(run: Run, tag: str = "loss") -> list[float]:
    return [float(step) for step in run.curves[tag].step]


def same(one: Run, other: Run) -> bool:
    return list(one.curves) == list(other.curves) and all(
        np.array_equal(a.step, b.step) and np.array_equal(a.value, b.value, equal_nan=True)
        for a, b in zip(one.curves.values(), other.curves.values(), strict=True)
    )


def test_every_step_is_kept_as_it_is() -> None:
    trace = trace_of(np.arange(40) ** 2)
    run = log(trace, PLAIN, "one")
    assert (run.id, run.format) == ("one", "simulated")
    assert list(run.curves) == ["loss", "grad_norm", "learning_rate", "eval_loss"]
    for tag, series in (("loss", trace.loss), ("grad_norm", trace.grad_norm)):
        np.testing.assert_array_equal(values(run, tag), series)
        assert steps(run, tag) == list(range(40))
    np.testing.assert_array_equal(values(run, "learning_rate"), trace.lr)
    np.testing.assert_array_equal(values(run, "eval_loss"), trace.val)
    assert steps(run, "eval_loss") == trace.val_at.tolist()


def test_every_channel_is_known_by_its_tag() -> None:
    trace = trace_of(np.arange(30))
    channels = assign(log(trace, PLAIN))
    assert channels.val is not None
    assert channels.grad_norm is not None
    assert channels.lr is not None
    np.testing.assert_array_equal(channels.val.value, trace.val)
    unvalidated = replace(trace, val=np.empty(0), val_at=np.empty(0, int))
    assert assign(log(unvalidated, PLAIN)).val is None


@pytest.mark.parametrize("offset", [False, True])
def test_thinning_keeps_every_kth(offset: bool) -> None:
    run = log(trace_of(np.arange(23) + 0.5), replace(PLAIN, style="thin", every=5, offset=offset))
    expected = [4, 9, 14, 19] if offset else [0, 5, 10, 15, 20]
    assert steps(run) == steps(run, "learning_rate") == expected
    assert values(run).tolist() == [step + 0.5 for step in expected]
    assert values(run, "grad_norm").tolist() == [step + 1000.5 for step in expected]
    np.testing.assert_allclose(values(run, "learning_rate"), 1 - 0.5 * np.array(expected) / 22)


@pytest.mark.parametrize(
    ("style", "reduce"), [("mean", np.mean), ("epoch", np.mean), ("median", np.median)]
)
@pytest.mark.parametrize("mean_norm", [False, True])
def test_windows(style: Any, reduce: Any, mean_norm: bool) -> None:
    loss = np.random.default_rng(0).random(23)
    run = log(trace_of(loss), replace(PLAIN, style=style, every=5, mean_norm=mean_norm))
    assert steps(run) == [4, 9, 14, 19]
    windows = [loss[i : i + 5] for i in (0, 5, 10, 15)]
    np.testing.assert_allclose(values(run), [reduce(window) for window in windows])
    norms = [1000 + (window.mean() if mean_norm else window[-1]) for window in windows]
    np.testing.assert_allclose(values(run, "grad_norm"), norms)


def test_an_evaluation_comes_before_the_first_step() -> None:
    loss = np.linspace(2, 1, 200) + 0.01 * np.random.default_rng(0).random(200)
    logger = Logger("evaluated", 50, offset=True, counter="epoch")
    run = log(trace_of(loss, epoch=50), logger)
    assert steps(run) == [0, 1, 2, 3]
    np.testing.assert_allclose(values(run), [loss[i : i + 4].mean() for i in (0, 50, 100, 150)])
    whole = log(trace_of(loss), replace(logger, every=1))
    np.testing.assert_array_equal(values(whole), loss)


def test_a_net_that_stands_still_is_evaluated_alike_after_each_epoch() -> None:
    one_epoch = 1 + np.random.default_rng(0).random(50)
    loss = np.concatenate([np.linspace(9, 3, 50), *[np.roll(one_epoch, i) for i in range(3)]])
    logger = Logger("evaluated", 50, counter="epoch")
    steady = values(log(trace_of(loss, epoch=50), logger))[1:]
    np.testing.assert_allclose(steady, one_epoch.mean())
    spoilt = np.where(np.arange(200) == 120, 1e3, loss)  # a batch that is read past
    few = spoilt[100:104].mean()
    found = values(log(trace_of(spoilt, epoch=50), logger))[1:]
    np.testing.assert_allclose(found, [one_epoch.mean(), few, one_epoch.mean()])


def test_a_net_that_its_first_step_loses_was_sound_before_it() -> None:
    loss = np.full(200, np.nan)
    loss[:4] = 2.0, 2.2, 90.0, np.inf
    run = log(trace_of(loss), Logger("evaluated", 50, val_first=True))
    np.testing.assert_allclose(values(run), [2.1, np.nan, np.nan, np.nan])
    assert values(run, "eval_loss")[0] == 2.0
    lost = log(trace_of(np.full(200, np.nan)), Logger("evaluated", 50))
    assert np.isnan(values(lost)).all()


@pytest.mark.parametrize("val_first", [False, True])
def test_an_evaluation_belongs_to_the_logged_step_that_is_nearest(val_first: bool) -> None:
    trace = trace_of(np.arange(100) + 7.0)
    rare = replace(trace, val_at=np.array([24, 49, 74, 99]), val=np.array([4.0, 3, 2, 1]))
    each = log(rare, replace(PLAIN, val_first=val_first))
    assert steps(each, "eval_loss") == [24, 49, 74, 99]
    coarse = log(rare, replace(PLAIN, style="thin", every=20))
    assert steps(coarse, "eval_loss") == [20, 40, 80]  # of two for step 80 the nearer one
    assert values(coarse, "eval_loss").tolist() == [4, 3, 2]
    logger = Logger("evaluated", 25, val_first=val_first, counter="epoch")
    by_epoch = log(replace(rare, steps_per_epoch=25), logger)
    first = [0] if val_first else []
    assert steps(by_epoch, "eval_loss") == [*first, 1, 2, 3]
    assert values(by_epoch, "eval_loss").tolist() == [7.0] * val_first + [4, 3, 2]


def test_a_run_shorter_than_a_window_is_one_point() -> None:
    run = log(trace_of([1.0, 2.0, 6.0]), replace(PLAIN, style="mean", every=50))
    assert values(run).tolist() == [3.0]


@pytest.mark.parametrize(("n", "keep"), [(100, 0.9), (400, 0.97)])
def test_moving_average(n: int, keep: float) -> None:
    loss = np.random.default_rng(0).random(n)
    smooth, expected = loss[0], []
    for value in loss:
        smooth = keep * smooth + (1 - keep) * value
        expected.append(smooth)
    np.testing.assert_allclose(values(log(trace_of(loss), replace(PLAIN, style="ema"))), expected)


# Numbers that are none

BROKEN = np.arange(20, dtype=float)
BROKEN[[8, 9, 15, 17]] = [np.nan, np.inf, np.nan, -np.inf]
MAX = np.finfo(float).max


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("kept", BROKEN),
        ("halted", BROKEN[:9]),
        ("hidden", [*range(8), 7, 7, 10, 11, 12, 13, 14, 14, 16, 16, 18, 19]),
        ("dropped", [*range(8), 10, 11, 12, 13, 14, 16, 18, 19]),
        ("zero", [*range(8), 0, 0, 10, 11, 12, 13, 14, 0, 16, 0, 18, 19]),
        ("largest", [*range(8), np.nan, MAX, 10, 11, 12, 13, 14, np.nan, 16, -MAX, 18, 19]),
    ],
)
def test_what_becomes_of_nan_and_inf(how: Any, expected: Any) -> None:
    run = log(trace_of(BROKEN), replace(PLAIN, nonfinite=how))
    np.testing.assert_array_equal(values(run), expected)
    kept = np.flatnonzero(np.isfinite(BROKEN)) if how == "dropped" else np.arange(len(expected))
    assert steps(run) == steps(run, "grad_norm") == kept.tolist()
    finite = log(trace_of(np.arange(20)), replace(PLAIN, nonfinite=how))
    assert same(finite, log(trace_of(np.arange(20)), PLAIN))


def test_nan_of_the_validation() -> None:
    trace = trace_of(np.arange(8))
    trace.val[1] = np.nan
    kept = values(log(trace, PLAIN), "eval_loss")
    np.testing.assert_array_equal(kept, [500, np.nan, 504, 506])
    dropped = log(trace, replace(PLAIN, nonfinite="dropped"))
    assert steps(dropped, "eval_loss") == [0, 4, 6]
    assert len(values(dropped)) == 8


def test_nothing_is_validated_after_a_halt() -> None:
    halted = log(trace_of(BROKEN), replace(PLAIN, nonfinite="halted"))
    assert steps(halted, "eval_loss") == [0, 2, 4, 6, 8]


def test_a_window_with_nan_is_nan() -> None:
    run = log(trace_of(BROKEN), replace(PLAIN, style="mean", every=4))
    np.testing.assert_array_equal(values(run), [1.5, 5.5, np.nan, np.nan, -np.inf])


@pytest.mark.parametrize(
    ("how", "n"), [("kept", 20), ("halted", 1), ("hidden", 20), ("dropped", 0), ("largest", 20)]
)
def test_nan_from_the_first_step_on(how: Any, n: int) -> None:
    run = log(trace_of(np.full(20, np.nan)), replace(PLAIN, nonfinite=how))
    assert len(values(run)) == len(values(run, "grad_norm")) == n
    assert np.isnan(values(run)).all()


@pytest.mark.parametrize("significant", [False, True])
@pytest.mark.parametrize("style", ["step", "mean", "median", "ema"])
def test_the_largest_number_survives_windows_and_rounding(style: Any, significant: bool) -> None:
    loss = np.where(np.arange(40) < 30, 1.23456, np.inf)
    logger = replace(PLAIN, style=style, digits=4, significant=significant, nonfinite="largest")
    run = log(trace_of(loss), replace(logger, every=1 if style in ("step", "ema") else 5))
    assert np.isfinite(values(run)).all()
    assert values(run)[-1] > 1e307


# What the steps count


def test_counters() -> None:
    trace = trace_of(np.arange(40), epoch=8)
    count = {
        counter: steps(log(trace, replace(PLAIN, style="thin", every=5, counter=counter)))
        for counter in ("step", "epoch", "fraction")
    }
    at = np.arange(0, 40, 5)
    assert count["step"] == at.tolist()
    assert count["epoch"] == [(i + 1) // 8 for i in at]
    assert count["fraction"] == [round((i + 1) / 8, 2) for i in at]
    epochs = log(trace, replace(PLAIN, style="epoch", every=8, counter="epoch"))
    assert steps(epochs) == [1, 2, 3, 4, 5]
    parts = log(trace, replace(PLAIN, style="epoch", every=4, counter="epoch"))
    assert steps(parts) == list(range(1, 11))


@pytest.mark.parametrize("counter", ["step", "epoch", "fraction"])
@pytest.mark.parametrize("n_val", [0, 7])
def test_validation_counts_as_training_does(counter: Any, n_val: int) -> None:
    trace = trace_of(np.arange(40), epoch=8)
    run = log(trace, replace(PLAIN, counter=counter, n_val=n_val))
    at = values(run, "eval_loss") - 500
    names = dict(enumerate(steps(run)))
    assert steps(run, "eval_loss") == [names[i] for i in at]


def test_a_crash_repeats_steps() -> None:
    trace = trace_of(np.arange(40) + 0.5)
    run = log(trace, replace(PLAIN, crash=0.5))
    back = 20 - int(steps(run)[20])
    assert back > 0
    assert steps(run) == [*range(20), *range(20 - back, 40)]
    np.testing.assert_array_equal(values(run), trace.loss[np.array(steps(run), int)])
    # Steps are repeated, a validation is not.
    assert steps(run, "eval_loss") == trace.val_at.tolist()
    assert steps(log(trace, replace(PLAIN, crash=0.01))) == list(range(40))


def test_a_resumed_training_is_logged_with_its_own_steps() -> None:
    trace = trace_of(np.arange(30))
    trace.step[20:] -= 6
    run = log(trace, PLAIN)
    assert steps(run) == [*range(20), *range(14, 24)]
    np.testing.assert_array_equal(values(run), np.arange(30))
    assert steps(run, "eval_loss") == [*range(0, 20, 2), *range(14, 24, 2)]
    epochs = log(trace, replace(PLAIN, style="epoch", every=10, counter="epoch"))
    assert steps(epochs) == [1, 2, 2]


# Validation


def test_validation_points() -> None:
    few = log(trace_of(np.arange(100)), replace(PLAIN, n_val=5))
    assert steps(few, "eval_loss") == [0, 24, 48, 74, 98]
    np.testing.assert_array_equal(values(few, "eval_loss"), np.array([0, 24, 48, 74, 98]) + 500)
    each = log(trace_of(np.arange(100)), replace(PLAIN, style="epoch", every=10))
    assert steps(each, "eval_loss") == steps(each)
    assert np.abs(values(each, "eval_loss") - 500 - steps(each)).max() <= 1


@pytest.mark.parametrize("crash", [0.0, 0.7])
@pytest.mark.parametrize("every", [1, 3, 10, 60])
@pytest.mark.parametrize("n_val", [0, 3, 60])
def test_a_validation_is_logged_once(n_val: int, every: int, crash: float) -> None:
    trace = trace_of(np.arange(100), every=9)
    run = log(trace, replace(PLAIN, style="thin", every=every, n_val=n_val, crash=crash))
    logged = values(run, "eval_loss")
    assert 1 <= len(logged) <= len(trace.val)
    assert len(set(logged.tolist())) == len(logged)
    assert set(logged) <= set(trace.val)
    assert n_val == 0 or len(logged) == min(n_val, len(trace.val))


def test_rounding() -> None:
    trace = trace_of(10 ** np.random.default_rng(0).uniform(-2, 2, 50))
    run = log(trace, replace(PLAIN, digits=3))
    np.testing.assert_array_equal(values(run), trace.loss.round(3))
    np.testing.assert_array_equal(values(run, "grad_norm"), trace.grad_norm.round(3))
    significant = log(trace, replace(PLAIN, digits=3, significant=True))
    np.testing.assert_allclose(values(significant), [float(f"{x:.3g}") for x in trace.loss])
    tiny = trace_of(np.linspace(1e-6, 2e-6, 20))
    np.testing.assert_array_equal(values(log(tiny, replace(PLAIN, digits=3))), tiny.loss)
    zero = log(trace_of(np.zeros(20)), replace(PLAIN, digits=3, significant=True))
    assert not values(zero).any()


# Draws


@pytest.mark.parametrize("n", [1, 2, 7, 60, 700])
@pytest.mark.parametrize("broken", [False, True])
def test_any_logger_suits_any_length(n: int, broken: bool) -> None:
    rng = np.random.default_rng(n)
    trace = trace_of(rng.random(n), epoch=max(1, n // 6))
    if broken:
        trace.loss[n // 2 :] = np.inf
        trace.loss[n // 2] = np.nan
        trace.val[len(trace.val) // 2 :] = np.nan
    drawn: dict[str, set[str]] = {"style": set(), "nonfinite": set(), "counter": set()}
    for _ in range(150):
        so_far = trace.until(draw_length(trace, rng))
        logger = draw_logger(so_far, rng)
        for name, seen in drawn.items():
            seen.add(str(getattr(logger, name)))
        run = log(so_far, logger)
        assert same(run, log(so_far, logger))
        most = n + (n * logger.crash > 0) * n
        assert (logger.nonfinite != "dropped") <= len(run.curves["loss"]) <= most
        for curve in run.curves.values():
            assert len(curve.step) == len(curve.value)
            assert np.isfinite(curve.step).all()
    for name, kinds in (("style", Style), ("nonfinite", NonFinite), ("counter", Counter)):
        assert drawn[name] == set(get_args(kinds))


def test_same_draws_same_logger() -> None:
    trace = trace_of(np.arange(90))
    first, second = (
        [(draw_length(trace, rng), draw_logger(trace, rng)) for _ in range(5)]
        for rng in (np.random.default_rng(4), np.random.default_rng(4))
    )
    assert first == second


def test_most_runs_are_whole_and_some_were_stopped() -> None:
    n, best = 400, 150
    trace = trace_of(np.arange(n))
    trace.val[:] = np.abs(trace.val_at - best)  # turns at half: stopped early soon after
    rng = np.random.default_rng(0)
    lengths = np.array([draw_length(trace, rng) for _ in range(2000)])
    assert lengths.min() >= 2
    assert lengths.max() == n
    assert 0.6 < (lengths == n).mean() < 0.95
    falling = replace(trace, val=-trace.val_at.astype(float))  # never turns: never stopped early
    fewer = np.array([draw_length(falling, np.random.default_rng(k)) for k in range(2000)])
    assert (fewer == n).mean() > (lengths == n).mean() + 0.05
    stopped = lengths[(lengths < n) & (lengths > best)]
    assert len(stopped) > 100


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_a_length_is_one_of_the_run(n: int) -> None:
    trace, rng = trace_of(np.arange(n), every=1), np.random.default_rng(n)
    for _ in range(100):
        length = draw_length(trace, rng)
        assert length >= 1
        assert len(trace.until(length).loss) == min(n, length)


def test_a_trace_is_cut() -> None:
    trace = replace(trace_of(np.arange(40)), onset=25)
    cut = trace.until(25)
    for name in ("step", "loss", "grad_norm", "lr"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(trace, name)[:25])
    assert cut.val_at.tolist() == list(range(0, 25, 2))
    np.testing.assert_array_equal(cut.val, cut.val_at + 500)
    assert (cut.onset, trace.until(26).onset) == (-1, 25)
    assert cut.steps_per_epoch == trace.steps_per_epoch


def test_another_unit() -> None:
    trace = trace_of([1.0, np.nan, 3.0])
    found = in_other_unit(trace, 100.0)
    for name in ("loss", "grad_norm", "val"):
        np.testing.assert_array_equal(getattr(found, name), 100 * getattr(trace, name))
    for name in ("step", "lr", "val_at"):
        np.testing.assert_array_equal(getattr(found, name), getattr(trace, name))


def test_noise_is_that_around_the_trend() -> None:
    rng = np.random.default_rng(0)
    trend = np.exp(-np.linspace(0, 3, 600))
    noisy = replace(trace_of(trend), loss=trend + 0.1 * rng.standard_normal(600))
    assert noisy.noise == pytest.approx(0.1, rel=0.2)
    assert trace_of(trend).noise < 0.002
    spiked = noisy.loss.copy()
    spiked[[400, 500]] = 50.0
    assert replace(noisy, loss=spiked).noise == pytest.approx(noisy.noise, rel=0.05)
    assert trace_of(np.where(np.arange(60) == 50, np.nan, 1.0)).noise == 0.0
