"""Measured facts: found at the step at which they were put in, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvet.diagnosis import Evidence
from curvet.evidence import measure
from curvet.roles import Channels
from curvet.run import Curve


def facts(
    loss: Any, step: Any = None, *, val: Curve | None = None, grad_norm: Any = None
) -> dict[str, Evidence]:
    norm = None if grad_norm is None else Curve.of("grad_norm", grad_norm)
    found = measure(Channels(Curve.of("loss", loss, step), val, norm, None))
    for fact in found:
        assert fact.text
        assert "nan" not in fact.text.replace("NaN", "")
        assert "inf " not in fact.text
        assert all(np.isfinite(fact.steps))
        assert list(fact.steps) == sorted(fact.steps) or fact.kind == "left_course"
    return {fact.kind: fact for fact in found}


def falling(n: int = 200, seed: int = 0) -> Any:
    return 0.3 + 2 * np.exp(-np.arange(n) / (n / 6)) + 0.01 * np.random.default_rng(seed).random(n)


STEPS = np.arange(200) * 50.0 + 50


def test_a_sound_run_has_nothing_to_show() -> None:
    val = Curve.of("val", falling(20) + 0.05, STEPS[9::10])
    found = facts(falling(), STEPS, val=val, grad_norm=np.ones(200))
    assert set(found) == {"fallen", "gap"}
    assert "from 1.8" in found["fallen"].text
    assert "to 0.31" in found["fallen"].text


@pytest.mark.parametrize("at", [5, 50, 120, 198])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_spike_is_found_at_its_step(at: int, scale: float) -> None:
    loss = falling()
    loss[at] += 3
    found = facts(scale * loss, STEPS)["spike"]
    assert found.steps == (STEPS[at],)
    assert f"spike at {STEPS[at]:g}: {scale * loss[at]:.4g} over a level of " in found.text
    assert found.text.endswith(", recovered")


def test_several_spikes_are_counted_and_the_highest_named() -> None:
    loss = falling()
    loss[[40, 41, 90, 150]] += [2, 2, 4, 2]  # the first two are one place
    found = facts(loss, STEPS)["spikes"]
    assert found.steps == (STEPS[90],)
    assert found.text.endswith("; 3 such places")


def test_a_jump_that_stays_is_no_recovered_spike() -> None:
    loss = falling()
    loss[150:] += 5
    found = facts(loss, STEPS)
    assert "spike" not in found or found["spike"].values["recovery"] == "not_recovered"
    assert {"risen", "left_course"} <= set(found)


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


def test_tiny_gradients() -> None:
    found = facts(falling(), grad_norm=np.full(50, 1e-7))
    assert found["tiny_gradients"].text == "gradient norm is tiny: 1e-07 in the median"
    assert "tiny_gradients" not in facts(falling(), grad_norm=np.full(50, 0.01))
    assert "tiny_gradients" not in facts(falling(), grad_norm=np.full(50, np.nan))


def test_the_course() -> None:
    up = np.linspace(1, 3, 50)
    assert facts(up)["risen"].text == "training loss rose from 1.082 to 2.918"
    assert facts(up)["left_course"].steps == (0, 49)
    down = facts(up[::-1])
    assert down["fallen"].text == "training loss fell from 2.918 to 1.082"
    assert down["still_falling"].text.startswith("still falling: 4")
    assert down["still_falling"].steps == (25, 49)
    valley = np.r_[np.geomspace(4, 1, 60), np.geomspace(1, 3.5, 40)]
    found = facts(valley)["left_course"]
    assert found.steps == (60, 99) or found.steps == (59, 99)
    assert "(1), then rose to 3." in found.text


def test_a_loss_that_does_not_move() -> None:
    rng = np.random.default_rng(0)
    found = facts(2.3 + 0.001 * rng.standard_normal(100))
    assert found["flat"].text.startswith("training loss ends where it began: 2.3")


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
    assert set(facts(np.full(n, value), val=val, grad_norm=np.ones(n))) == {"flat", "gap"}


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
        *("first_nonfinite", "fallen", "spike", "gradient_burst", "validation_rises", "gap")
    ]


numbers = st.one_of(st.floats(-1e100, 1e100), st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))


@settings(max_examples=80)
@given(st.lists(numbers, min_size=1, max_size=30), st.lists(numbers, min_size=1, max_size=8))
def test_any_run_can_be_measured(loss: list[float], other: list[float]) -> None:
    facts(loss, val=Curve.of("val", other), grad_norm=other)
