"""Measured facts: found at the step at which they were put in, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvet.causes import CAUSES
from curvet.diagnosis import Evidence
from curvet.evidence import MOST, measure, weigh
from curvet.evidence.weigh import SIGNS
from curvet.roles import Channels
from curvet.run import Curve
from curvet.texts import catalogue


def facts(
    loss: Any, step: Any = None, *, val: Curve | None = None, grad_norm: Any = None
) -> dict[str, Evidence]:
    norm = None if grad_norm is None else Curve.of("grad_norm", grad_norm)
    found = measure(Channels(Curve.of("loss", loss, step), val, norm, None))
    goes_back = step is not None and bool((np.diff(step) < 0).any())
    for fact in found:
        assert fact.text
        assert "nan" not in fact.text.replace("NaN", "")
        assert "inf " not in fact.text
        assert all(np.isfinite(fact.steps))
        assert list(fact.steps) == sorted(fact.steps) or goes_back
    assert len(found) <= MOST
    return {fact.kind: fact for fact in found}


def falling(n: int = 200, seed: int = 0) -> Any:
    return 0.3 + 2 * np.exp(-np.arange(n) / (n / 6)) + 0.01 * np.random.default_rng(seed).random(n)


STEPS = np.arange(200) * 50.0 + 50


def test_a_sound_run_has_nothing_to_show() -> None:
    val = Curve.of("val", falling(20) + 0.05, STEPS[9::10])
    found = facts(falling(), STEPS, val=val, grad_norm=np.ones(200))
    assert (
        {"fallen", "gap"}
        <= set(found)
        <= {"fallen", "gap", "levels_off", "still_falling_steps", "smooth"}
    )
    assert "from 2.3" in found["fallen"].text
    assert "to 0.31" in found["fallen"].text


@pytest.mark.parametrize("at", [5, 50, 120, 198])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_spike_is_found_at_its_step(at: int, scale: float) -> None:
    loss = falling()
    loss[at] += 3
    found = facts(scale * loss, STEPS)["spike"]
    assert found.steps == (STEPS[at],)
    assert f"spike at {STEPS[at]:g}: {scale * loss[at]:.4g} over a level of " in found.text
    assert found.text.endswith(" times the noise), back after 50 (in points: 1)")


def test_several_spikes_are_counted_and_named() -> None:
    loss = falling()
    loss[[40, 41, 90, 150]] += [2, 2, 4, 2]  # the first two are one place
    found = facts(loss, STEPS)["spikes"]
    assert found.steps == (STEPS[40], STEPS[90], STEPS[150])
    assert found.text.startswith("3 spikes, the farthest out of the noise at 4550 (4.")
    assert found.text.endswith(", 2050 and 7550")


def test_a_jump_that_stays_is_no_recovered_spike() -> None:
    loss = falling()
    loss[150:] += 5
    found = facts(loss)
    assert found["level_shift"].steps == (150, 199)
    assert "jumps from 0.33" in found["level_shift"].text
    assert {"risen"} <= set(found)
    assert not {"spike", "left_course"} & set(found)


def test_the_steep_start_is_no_spike() -> None:
    loss = falling()
    loss[0] = 50
    assert "spike" not in facts(loss)


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_no_spike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert "spike" not in facts(falling() + 0.05 * rng.standard_normal(200))


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinite")])
@pytest.mark.parametrize("at", [0, 77, 199])
def test_the_first_nan_is_found_at_its_step(bad: float, word: str, at: int) -> None:
    loss = falling()
    loss[at:] = bad
    if at:
        found = facts(loss, STEPS)["first_nonfinite"]
    else:
        loss[at + 1 :] = 1.0
        found = facts(loss, STEPS)["some_nonfinite"]
    assert found.steps == (STEPS[at],)
    rest = "and stays so" if at else "(1 of 200 points)"
    assert found.text == f"training loss turns {word} at {STEPS[at]:g} {rest}"


def test_nan_here_and_there() -> None:
    loss = falling()
    loss[[30, 60, 199]] = np.nan
    found = facts(loss, STEPS)["some_nonfinite"]
    assert found.steps == (STEPS[30],)
    assert found.text.endswith("(3 of 200 points)")


def test_nan_in_validation() -> None:
    val = Curve.of("val", [1.0, np.nan, 0.5, np.inf], [10, 20, 30, 40])
    assert facts(falling(), val=val)["some_nonfinite"].text == (
        "validation loss turns NaN at 20 (2 of 4 points)"
    )


@pytest.mark.parametrize("best", [3, 8, 14])
def test_the_turn_of_the_validation_loss(best: int) -> None:
    value = 1 + 0.05 * np.abs(np.arange(20.0) - best)
    val = Curve.of("val", value, np.arange(20) * 100 + 100)
    found = facts(falling(), val=val)["validation_rises"]
    assert found.steps == (100 * best + 100, 2000)
    rise = np.mean(value[-2:]) - 1
    assert found.text == (
        f"validation loss is best at {100 * best + 100} (1), ends {100 * rise:.0f} % higher"
    )


@pytest.mark.parametrize("val", [np.geomspace(2, 1, 20), np.ones(20), 1 + 0.001 * np.arange(20)])
def test_validation_that_does_not_rise(val: Any) -> None:
    assert "validation_rises" not in facts(falling(), val=Curve.of("val", val))


def test_the_gap() -> None:
    loss = np.r_[np.ones(90), np.full(10, 0.5)]
    val = Curve.of("val", [1, 1, 0.75], [10, 50, 99])
    found = facts(loss, val=val)["gap"]
    assert found.text == "at the end: training 0.5, validation 0.75"


def test_a_burst_of_the_gradient_is_found_at_its_step() -> None:
    norm = np.ones(200)
    norm[123] = 400.0
    found = facts(falling(), grad_norm=norm)["gradient_burst"]
    assert found.steps == (123,)
    assert found.text == "gradient norm reaches 400 at 123, usually 1"
    norm[123] = 10
    assert "gradient_burst" not in facts(falling(), grad_norm=norm)
    norm[0] = 100  # as most runs start
    assert "gradient_burst" not in facts(falling(), grad_norm=norm)
    norm[0] = 1000
    assert "gradient_burst" in facts(falling(), grad_norm=norm)


def test_tiny_gradients() -> None:
    found = facts(falling(), grad_norm=np.full(50, 1e-7))
    assert found["tiny_gradients"].text == "gradient norm is tiny: 1e-07 in the median"
    assert "tiny_gradients" not in facts(falling(), grad_norm=np.full(50, 0.01))
    assert "tiny_gradients" not in facts(falling(), grad_norm=np.full(50, np.nan))


def test_the_course() -> None:
    up = np.linspace(1, 3, 50)
    assert facts(up)["risen"].text == "training loss rose from 1.082 to 2.918"
    assert facts(up)["left_course"].steps in [(step, 49) for step in range(5)]
    down = facts(up[::-1])
    assert down["fallen"].text == "training loss fell from 3 to 1.082"
    assert down["still_falling"].text == "still falling at the end: 19 % in a tenth of the run"
    assert down["still_falling"].steps == (40, 49)
    valley = np.r_[np.geomspace(4, 1, 60), np.geomspace(1, 3.5, 40)]
    found = facts(valley)["left_course"]
    assert found.steps in [(step, 99) for step in range(58, 66)]
    assert ") and rose to 3." in found.text


def test_a_loss_that_does_not_move() -> None:
    rng = np.random.default_rng(0)
    found = facts(2.4 + 0.001 * rng.standard_normal(100))
    assert found["flat"].text.startswith("training loss ends where it began: 2.")


@pytest.mark.parametrize("number", [2, 10, 100, 1000, 32000, 50257])
def test_a_flat_loss_is_held_against_a_guess(number: int) -> None:
    noise = 0.002 * np.random.default_rng(0).standard_normal(200)
    flat = facts(np.log(number) + noise)
    (kind,) = set(flat) - {"noisy"}
    words = "tokens" if number > 1000 else "classes"
    assert kind.startswith("flat_at_chance")
    assert flat[kind].text.endswith(f": a guess among {number} {words}")
    stuck = facts(np.r_[np.full(150, np.log(number)), np.linspace(0.9, 0.1, 50)])
    assert any(kind.startswith("plateau_at_chance") for kind in stuck)


def test_a_loss_that_levels_off() -> None:
    found = facts(np.r_[np.linspace(3, 1, 80), np.full(120, 1.0)])
    assert found["levels_off"].values["level"] == 1.0
    assert 70 <= found["levels_off"].steps[0] <= 85
    assert "still_falling" not in found


@pytest.mark.parametrize(
    ("step", "kind", "words"),
    [
        (np.arange(200), "still_falling", "in a tenth of the run"),
        (np.arange(200) / 10, "still_falling_epoch", "an epoch"),
        (np.arange(200) * 50, "still_falling_steps", "in 100 steps"),
    ],
)
def test_the_slope_at_the_end(step: Any, kind: str, words: str) -> None:
    text = facts(np.geomspace(3, 1, 200), step)[kind].text
    assert text.endswith(words)


def test_noise_that_grows() -> None:
    rng = np.random.default_rng(0)
    loss = falling(400) + 0.02 * rng.standard_normal(400)
    loss[250:] += 0.2 * np.sin(np.arange(150) * 2.4)
    assert 240 <= facts(loss)["noisier"].steps[0] <= 260


@pytest.mark.parametrize("begin", [200, 250, 300])
def test_where_a_slow_rise_began(begin: int) -> None:
    loss = falling(400)
    loss[begin:] += np.linspace(0, 1.5, 400 - begin)
    assert abs(facts(loss)["left_course"].steps[0] - begin) <= 16


@pytest.mark.parametrize("length", [8, 16, 25])
def test_the_period_of_a_swing(length: int) -> None:
    n = np.arange(400)
    swing = 0.2 * np.sin(2 * np.pi * n / length)
    found = facts(falling(400) + swing, n * 10)["period"]
    assert abs(float(found.values["period"]) - 10 * length) <= 10
    epochs = facts(falling(400) + swing, n / length)["period_epochs"]
    assert "a period of 1 epochs" in epochs.text
    val = Curve.of("val", np.ones(20), np.arange(20) * 10 * length)
    assert "period_of_validation" in facts(falling(400) + swing, n * 10, val=val)


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_period(seed: int) -> None:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(400)
    assert not [kind for kind in facts(falling(400) + noise) if kind.startswith("period")]


def test_spikes_at_the_same_distance() -> None:
    loss = falling(400)
    loss[50::60] += 2
    found = facts(loss, np.arange(400) * 10)["periodic_spikes"]
    assert found.values["period"] == 600
    assert "one every 600," in found.text


def test_a_dip() -> None:
    loss = 1 + 0.05 * np.random.default_rng(0).standard_normal(400)
    loss[200:212] = 0.2
    found = facts(loss)["dip"]
    assert found.steps == (200, 212)


@pytest.mark.parametrize(("rises", "kind"), [(True, "rose"), (False, "calm")])
def test_the_gradient_before_nan(rises: bool, kind: str) -> None:
    loss, norm = falling(), np.ones(200)
    loss[150:], norm[150:] = np.nan, np.nan
    if rises:
        norm[140:150] = np.geomspace(1, 1e4, 10)
    found = facts(loss, grad_norm=norm)
    assert f"gradients_{kind}_first" in found
    if rises:
        assert "rose 1e+04-fold over 8 points" in found["gradients_rose_first"].text
    assert not [kind for kind in facts(loss) if kind.startswith("gradients")]


def test_a_learning_rate_that_starts_anew() -> None:
    rate = np.r_[np.linspace(1, 0.1, 120), np.linspace(1, 0.1, 80)]
    channels = Channels(Curve.of("loss", falling()), None, None, Curve.of("lr", rate))
    (fact,) = [fact for fact in measure(channels) if fact.kind == "rate_starts_anew"]
    assert fact.steps == (120,)


def test_a_jump_at_a_resume() -> None:
    step = np.r_[np.arange(120), np.arange(100, 180)]
    loss = falling()
    loss[120:] += 0.6
    assert facts(loss, step)["resume_shift"].steps == (100,)


def test_validation_that_does_not_follow() -> None:
    val = Curve.of("val", 5 + 0.01 * np.arange(20.0), STEPS[9::10])
    assert "validation_apart" in facts(falling(), STEPS, val=val)


def test_steps_that_go_back() -> None:
    step = np.r_[np.arange(50), np.arange(30, 80), np.arange(70, 170)]
    found = facts(falling(), step)["step_goes_back"]
    assert found.steps == (30,)
    assert "goes back 2 times, first to 30" in found.text


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_points_show_no_course(n: int) -> None:
    assert facts(np.linspace(3, 1, n)) == {}
    assert set(facts(np.r_[np.linspace(3, 1, n), np.nan])) == {"first_nonfinite"}


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 1e30, 1e-30])
@pytest.mark.parametrize("n", [5, 10, 200])
def test_a_constant_is_flat_and_nothing_else(value: float, n: int) -> None:
    val = Curve.of("val", np.full(5, value))
    found = facts(np.full(n, value), val=val, grad_norm=np.ones(n))
    assert set(found) - {"negative", "gap", "gap_below"} == {"flat"}


def test_negative_losses() -> None:
    loss = falling() - 5
    loss[100] += 3
    found = facts(loss, STEPS)
    assert found["fallen"].text.startswith("training loss fell from -")
    assert found["spike"].steps == (STEPS[100],)
    val = Curve.of("val", [-1.0, -3.0, -2.9, -2.0, -1.5], [1, 2, 3, 4, 5])
    assert facts(loss, val=val)["validation_rises"].steps == (2, 5)
    assert facts(loss, val=val)["validation_rises"].text.endswith("ends 50 % higher")


def test_the_order_is_fixed() -> None:
    loss = falling()
    loss[100] += 3
    loss[150] = np.nan
    val = Curve.of("val", [1.0, 0.5, 0.9], [50, 100, 199])
    norm = Curve.of("grad_norm", np.r_[np.ones(199), 1e4])
    found = measure(Channels(Curve.of("loss", loss), val, norm, None))
    assert [fact.kind for fact in found] == [
        *("some_nonfinite", "gradients_calm_first", "spike", "gradient_burst"),
        *("validation_rises", "fallen", "still_falling", "gap"),
    ]


numbers = st.one_of(
    st.floats(-1.7e308, 1.7e308),
    st.floats(0, 1e-300),
    st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(numbers, min_size=1, max_size=60),
    st.lists(numbers, min_size=1, max_size=8),
    st.sampled_from([1, 3, 7]),
)
def test_any_run_can_be_measured(loss: list[float], other: list[float], turn: int) -> None:
    step = np.arange(len(loss)) % (len(loss) // turn + 1)
    val = Curve.of("val", other)
    facts(np.repeat(loss, turn), np.repeat(step, turn), val=val, grad_norm=other)


@pytest.mark.parametrize("scale", [1e300, 1e-300, -1e300])
def test_any_size_can_be_measured(scale: float) -> None:
    loss = falling()
    loss[100] += 3
    loss[180:] = np.nan
    assert "spike" in facts(abs(scale) * loss)
    facts(scale * loss, val=Curve.of("val", scale * loss))


def test_a_million_points() -> None:
    rng = np.random.default_rng(0)
    n = np.arange(10**6)
    loss = 0.3 + 2 * np.exp(-n / 1e5) + 0.05 * rng.standard_normal(10**6)
    loss[654_321] += 3
    assert facts(loss)["spike"].steps == (654_321,)


def test_the_table_of_signs_names_what_there_is() -> None:
    kinds = {key.removeprefix("evidence.") for key in catalogue("en") if key[:9] == "evidence."}
    assert set(SIGNS) == set(CAUSES)
    assert {sign.kind for signs in SIGNS.values() for sign in signs} <= kinds


def test_facts_are_weighed() -> None:
    val = Curve.of("val", [1.0, 0.5, 0.9], [50, 100, 199])
    found = measure(Channels(Curve.of("loss", falling()), val, None, None))
    marked = {fact.kind: fact.speaks for fact in weigh(found, "overfitting")}
    assert marked["validation_rises"] == marked["gap"] == "for"
    assert marked["fallen"] == ""
    assert weigh(found, "overfitting")[0].speaks == "for"
    assert {f.kind: f.speaks for f in weigh(found, "healthy")}["validation_rises"] == "against"
    assert weigh(found, None) == weigh(found, "gremlins") == found
