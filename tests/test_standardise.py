"""Standardised runs: any unit, any length, any gap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvet.roles import Channels
from curvet.run import Curve
from curvet.standardise import (
    IMAGE_CHANNELS,
    N_STEPS,
    OPTIONAL,
    SCALARS,
    Standardised,
    standardise,
    standardise_many,
)

from . import naive_standardise

UNITS = {
    *("level", "decimals", "log_start", "log_end", "log_low", "log_max", "val_log_end"),
    *(f"grad_norm_per_loss_{part}" for part in ("start", "middle", "end")),
}
"""What tells in which unit the loss is; all else must not depend on it."""


def channels(loss: Any, step: Any = None, **others: Any) -> Channels:
    curves = {name: Curve.of(name, value) for name, value in others.items()}
    return Channels(Curve.of("loss", loss, step), *map(curves.get, ("val", "grad_norm", "lr")))


def falling(n: int, seed: int = 0) -> Channels:
    rng = np.random.default_rng(seed)
    loss = 0.2 + np.exp(-np.linspace(0, 4, n)) + 0.02 * rng.random(n)
    lr = np.linspace(0.1, 0.01, n)
    return channels(loss, val=loss[:: max(1, n // 20)] + 0.1, grad_norm=1 + rng.random(n), lr=lr)


def row(found: Standardised, name: str) -> Any:
    return found.image[IMAGE_CHANNELS.index(name)]


def assert_sound(found: Standardised) -> None:
    assert found.image.shape == (len(IMAGE_CHANNELS), N_STEPS)
    assert found.image.dtype == np.float32
    assert np.isfinite(found.image).all()
    assert np.abs(found.image).max() <= 16
    for name, series in found.series.items():
        assert 1 <= len(series) <= N_STEPS, name
        assert np.isfinite(series).all(), name
        assert np.abs(series).max() <= 20, name
    assert not any(np.isinf(value) for value in found.scalars.values())


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 10, 39, 40, 255, 256, 257, 511, 1000, 2000])
def test_any_length(n: int) -> None:
    found = standardise(falling(n))
    assert_sound(found)
    assert set(found.series) == {
        *("loss", "shape", "noise", "val", "val_shape", "gap", "grad_norm", "grad_shape", "lr")
    }
    assert len(found.series["loss"]) == min(n, N_STEPS)
    assert found.scalars["log_points"] == pytest.approx(np.log10(n))


@pytest.mark.parametrize("n", [1, 6, 300])
@pytest.mark.parametrize("factor", [1e-6, 1000.0, 2.0**40])
def test_any_unit(n: int, factor: float) -> None:
    one = falling(n)
    assert one.val is not None
    other = replace(
        one,
        loss=Curve("loss", one.loss.step, one.loss.value * factor),
        val=Curve("val", one.val.step, one.val.value * factor),
    )
    a, b = standardise(one), standardise(other)
    for name in a.series:
        np.testing.assert_allclose(b.series[name], a.series[name], atol=1e-9, err_msg=name)
    for name in set(IMAGE_CHANNELS) - UNITS:
        np.testing.assert_allclose(row(b, name), row(a, name), atol=1e-5, err_msg=name)
    for name in set(a.scalars) - UNITS:
        np.testing.assert_allclose(b.scalars[name], a.scalars[name], err_msg=name)


def test_the_rate_has_no_unit_and_the_step_none() -> None:
    one = falling(100)
    assert one.lr is not None
    other = replace(
        one,
        lr=Curve("lr", one.lr.step, one.lr.value * 37),
        loss=Curve("loss", one.loss.step * 50 + 7, one.loss.value),
    )
    a, b = standardise(one), standardise(other)
    for name in set(IMAGE_CHANNELS) - {"counts_epochs"}:  # whose steps are 1 apart
        np.testing.assert_allclose(row(b, name), row(a, name), atol=1e-6, err_msg=name)
    assert (a.scalars["counts_epochs"], b.scalars["counts_epochs"]) == (1, 0)


def test_how_a_run_was_logged() -> None:
    one = falling(100)
    rounded = replace(one, loss=Curve("loss", one.loss.step, one.loss.value.round(3)))
    assert standardise(rounded).scalars["decimals"] == 3
    assert (row(standardise(rounded), "decimals") == 3 / 8).all()
    step = np.concatenate([np.arange(60), np.arange(50, 90)]).astype(float)
    resumed = standardise(replace(one, loss=Curve("loss", step, one.loss.value)))
    assert row(standardise(one), "rewound").max() == 0
    assert np.flatnonzero(row(resumed, "rewound")).mean() == pytest.approx(0.6 * N_STEPS, abs=4)
    assert resumed.scalars["rewound_share"] == 1 / 99
    fractions = standardise(replace(one, loss=Curve("loss", step / 7, one.loss.value)))
    assert (fractions.scalars["fractions"], resumed.scalars["fractions"]) == (1, 0)


def test_values() -> None:
    found = standardise(channels([10.0, 10.0, 1.0, 0.1, 0.1]))
    np.testing.assert_allclose(found.series["loss"], [0, 0, -1, -2, -2], atol=1e-12)
    np.testing.assert_allclose(found.series["shape"], [1, 1, 0.5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(row(found, "loss")[[0, 128, -1]], [0, -0.5, -1], atol=0.01)
    rate = standardise(channels([1.0, 1.0], lr=[0.5, 0.05, 0.0]))
    np.testing.assert_allclose(rate.series["lr"], [0, -1, -4])
    norm = standardise(channels([1.0, 1.0], grad_norm=[10.0, 1.0, 0.1]))
    np.testing.assert_allclose(norm.series["grad_norm"], [1, 0, -1], atol=1e-9)
    np.testing.assert_allclose(norm.series["grad_shape"], [1, 0, -1], atol=1e-9)


def test_long_runs_are_averaged() -> None:
    loss = 10.0 ** np.random.default_rng(0).uniform(-1, 1, 4 * N_STEPS)
    loss[:200] = 1.0  # the start
    found = standardise(channels(loss))
    expected = [np.log10(loss[4 * i : 4 * i + 4]).mean() for i in range(N_STEPS)]
    np.testing.assert_allclose(found.series["loss"], expected, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_marked_where_it_is(bad: float) -> None:
    loss = np.exp(-np.linspace(0, 3, N_STEPS))
    clean = standardise(channels(loss))
    loss[[40, 41, 200]] = bad
    found = standardise(channels(loss))
    assert_sound(found)
    assert np.flatnonzero(row(found, "nonfinite")).tolist() == [40, 41, 200]
    assert len(found.series["loss"]) == N_STEPS - 3
    np.testing.assert_allclose(row(found, "loss"), row(clean, "loss"), atol=1e-3)
    assert found.scalars["nonfinite_share"] == 3 / N_STEPS
    assert found.scalars["first_nonfinite"] == 40 / N_STEPS
    assert found.scalars["ends_nonfinite"] == 0
    assert clean.scalars["first_nonfinite"] == 1
    assert not row(clean, "nonfinite").any()


def test_one_nan_of_a_long_run_is_not_averaged_away() -> None:
    loss = np.ones(5000)
    loss[-1] = np.nan
    found = standardise(channels(loss))
    assert row(found, "nonfinite")[-1] == 1
    assert row(found, "nonfinite").sum() == 1
    assert found.scalars["ends_nonfinite"] == 1


def test_nan_from_the_first_step_on() -> None:
    found = standardise(channels(np.full(20, np.nan), val=[1.0, 2.0], grad_norm=[np.nan] * 3))
    assert_sound(found)
    assert found.series == {}
    assert (row(found, "nonfinite") == 1).all()
    assert found.scalars["nonfinite_share"] == 1
    assert found.scalars["grad_norm_nonfinite_share"] == 1


@pytest.mark.parametrize("loss", [[-1.0, -2.0, -3.0], [3.0, 0.0, -5.0], [0.0] * 6, [0.0, -1e9]])
def test_negative_and_zero_losses(loss: list[float]) -> None:
    found = standardise(channels(loss, val=loss))
    assert_sound(found)
    assert found.scalars["negative_share"] == pytest.approx(np.mean(np.array(loss) < 0))
    assert (np.diff(found.series["loss"]) <= 0).all()  # order is kept


def test_missing_channels_leave_zeros() -> None:
    whole = standardise(falling(50))
    for channel, names in OPTIONAL.items():
        found = standardise(replace(falling(50), **{channel: None}))
        assert not set(names) & set(found.series)
        for name in IMAGE_CHANNELS:
            if name in names or name == f"has_{channel}":
                assert not row(found, name).any()
            else:
                np.testing.assert_array_equal(row(found, name), row(whole, name))
        assert (row(whole, f"has_{channel}") == 1).all()


def test_a_channel_without_a_finite_value_is_missing() -> None:
    lost = standardise(channels([1.0, 2.0], val=[np.nan], grad_norm=[np.inf], lr=[np.nan, -1.0]))
    assert_sound(lost)
    assert set(lost.series) == {"loss", "shape", "noise"}
    assert not row(lost, "has_val").any()
    assert standardise(channels([1.0, 2.0], lr=[0.0, 0.0])).series.keys() == lost.series.keys()


def test_validation_lies_where_its_steps_say() -> None:
    loss = channels(np.ones(101), step=np.arange(101) * 10.0).loss
    val = Curve.of("val", [1.0, 10.0, 1.0], [0, 250, 1000])
    found = row(standardise(Channels(loss, val, None, None)), "val")
    assert abs(int(found.argmax()) - 0.25 * (N_STEPS - 1)) <= 1


def test_validation_counted_otherwise_is_spread_evenly() -> None:
    loss = channels(np.ones(100), step=np.arange(100) * 10.0).loss
    val = Curve.of("val", [1.0, 10.0, 1.0, 1.0], [0, 1, 2, 3])  # epochs
    found = row(standardise(Channels(loss, val, None, None)), "val")
    assert abs(int(found.argmax()) - 0.5 * (N_STEPS - 1)) <= 1


def test_steps_that_go_back_do_not_disturb() -> None:
    step = np.r_[np.arange(50), np.arange(30, 80)]
    resumed = channels(np.ones(100), step=step).loss
    val = Curve.of("val", [1.0, 10.0], [40, 79])
    assert_sound(standardise(Channels(resumed, val, None, None)))


def test_the_gap_is_validation_over_training() -> None:
    loss = np.geomspace(1, 0.1, 40)
    found = standardise(channels(loss, val=loss * 10))
    assert found.series["gap"][-1] == pytest.approx(1, abs=0.06)


def test_a_spike_is_noise_where_it_is() -> None:
    loss = np.ones(N_STEPS)
    loss[100] = 100.0
    noise = standardise(channels(loss)).series["noise"]
    assert noise.argmax() == 100
    assert noise.max() == pytest.approx(2)
    assert np.delete(noise, 100).max() < 1e-9


numbers = st.one_of(st.floats(-1e100, 1e100), st.sampled_from([np.nan, np.inf, -np.inf]))


@settings(max_examples=60)
@given(
    st.lists(numbers, min_size=1, max_size=40),
    st.lists(numbers, min_size=1, max_size=10),
)
def test_anything_gives_bounded_numbers(loss: list[float], other: list[float]) -> None:
    assert_sound(standardise(channels(loss, val=other, grad_norm=other, lr=other)))


def test_the_run_is_left_alone() -> None:
    one = falling(30)
    before = one.loss.value.copy()
    standardise(one)
    np.testing.assert_array_equal(one.loss.value, before)


RNG = np.random.default_rng(3)
WALK = np.exp(0.1 * RNG.standard_normal(300).cumsum())
HARD = {
    "ties": np.round(2 * np.exp(-np.arange(90) / 30) + 0.1 * RNG.random(90), 1),
    "steps": np.repeat([3.0, 2.0, 2.5, 1.0], 20) + 1e-3 * RNG.random(80),
    "spikes": np.where(RNG.random(200) < 0.03, 30.0, 1 + np.exp(-np.arange(200) / 40)),
    "gaps": np.where(RNG.random(256) < 0.2, np.nan, WALK[:256]),
    "ends in nan": np.append(WALK[:100], [np.inf, np.nan, np.nan]),
    "negative": RNG.standard_normal(150).cumsum(),
    "huge": np.append(WALK[:60], [1e300, 1e280]),
    "walk": WALK,
    "longer than the grid": np.exp(-np.arange(1000) / 300) * np.exp(0.1 * RNG.random(1000)),
    "long": 0.5 + np.exp(-np.arange(20_000) / 4000) + 0.1 * RNG.random(20_000),
    **{f"{n} points": 1 + RNG.random(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 20, 41)},
}
FLAT = {"constant": np.full(40, 0.7), "zeros": np.zeros(30), "falls once": np.eye(1, 60)[0]}
NOISE = ("rate", "t_25", "t_50", "slope", "share", "entropy", "time", "peak", "cycles", "frequency")
"""Traits that are rounding errors where nothing moves: the two ways round differently."""


def hard_runs(losses: dict[str, Any]) -> dict[str, Channels]:
    runs = {}
    for name, loss in losses.items():
        n, known = len(loss), np.where(np.isfinite(loss), loss, 1.0)
        val = 1.1 * np.abs(known[:: max(1, n // 30)]) + 0.01
        step = 10.0 * np.arange(n)
        norm = np.where(np.arange(n) % 50 == 7, np.nan, 0.1 + np.abs(known))
        lr = np.linspace(0.1, 0.0, n)
        runs[f"{name}, alone"] = channels(loss)
        runs[f"{name}, all"] = channels(loss, val=val, grad_norm=norm, lr=lr)
        runs[f"{name}, val by step"] = Channels(
            Curve.of("loss", loss, step), Curve.of("val", val[::-1], step[:: max(1, n // 30)]),
            Curve.of("grad_norm", norm[: n // 2]), Curve.of("lr", np.zeros(n)),
        )  # fmt: skip
    return runs


def assert_twins(found: Standardised, one: Channels, name: str, exact: bool) -> None:
    expected = naive_standardise.standardise(one)
    np.testing.assert_allclose(found.image, expected.image, rtol=1e-6, atol=1e-9, err_msg=name)
    assert set(found.series) == set(expected.series), name
    for key, series in expected.series.items():
        np.testing.assert_allclose(found.series[key], series, rtol=1e-9, atol=1e-12, err_msg=name)
    assert set(found.scalars) == set(expected.scalars) == set(SCALARS)
    for key, value in expected.scalars.items():
        if exact or not any(part in key for part in NOISE):
            np.testing.assert_allclose(
                found.scalars[key], value, rtol=1e-8, atol=1e-8, err_msg=f"{key} of {name}"
            )


@pytest.mark.parametrize("exact", [True, False], ids=["hard", "flat"])
def test_many_at_once_are_as_one_by_one(exact: bool) -> None:
    runs = hard_runs(HARD if exact else FLAT)
    for (name, one), found in zip(runs.items(), standardise_many(list(runs.values())), strict=True):
        assert_twins(found, one, name, exact)


def test_a_run_does_not_depend_on_its_neighbours() -> None:
    some = [falling(n, seed) for seed in range(40) for n in (6, 30, 300)]
    runs = [*some, *hard_runs(HARD).values()]
    for one, found in zip(runs, standardise_many(runs), strict=True):
        alone = standardise(one)
        np.testing.assert_array_equal(found.image, alone.image)
        np.testing.assert_allclose(
            list(found.scalars.values()), list(alone.scalars.values()), rtol=1e-9, atol=1e-9
        )
