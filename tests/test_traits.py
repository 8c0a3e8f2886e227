"""Numbers that a person would measure: right on curves whose truth is known, safe on any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from curvet.coerce import to_run
from curvet.roles import assign
from curvet.standardise import standardise
from curvet.traits import TRAITS

Array = NDArray[np.float64]
N = 400
T = np.arange(N) / (N - 1)
NOISE = np.random.default_rng(0).normal(0, 1, N)


def traits(loss: Any, **channels: Any) -> dict[str, float]:
    scalars = standardise(assign(to_run({"loss": loss, **channels}))).scalars
    return {name: scalars[name] for name in TRAITS}


@pytest.mark.parametrize("rate", [1.0, 6.0, 30.0])
def test_an_exponential_decay_is_recognised(rate: float) -> None:
    found = traits(0.4 + 2 * np.exp(-rate * T))
    assert 10 ** found["decay_exp_rate"] == pytest.approx(rate, rel=0.5)
    assert found["decay_exp_rest"] < found["decay_inv_rest"]
    if rate > 1:
        assert found["decay_exp_floor"] == pytest.approx(0.4 / 2.4, abs=0.08)


def test_noise_and_its_growth() -> None:
    calm = traits(np.exp(0.01 * NOISE) * (1 + np.exp(-5 * T)))
    loud = traits(np.exp(0.10 * NOISE) * (1 + np.exp(-5 * T)))
    assert loud["loss_noise"] - calm["loss_noise"] == pytest.approx(1.0, abs=0.15)
    growing = traits(np.exp(0.1 * T * NOISE) * (1 + np.exp(-5 * T)))
    assert growing["loss_noise_growth"] > 0.3 > abs(loud["loss_noise_growth"])


def test_a_spike_has_a_place_and_a_height() -> None:
    loss = (1 + np.exp(-5 * T)) * np.exp(0.01 * NOISE)
    loss[250] *= 6
    found = traits(loss)
    assert found["loss_spike_at"] == pytest.approx(250 / N, abs=0.01)
    assert found["loss_n_spikes"] == 1
    assert found["jump_at"] == pytest.approx(249 / N, abs=0.01)
    assert found["jump"] == pytest.approx(np.log10(6), abs=0.1)
    assert found["jump_kept_8"] < 0.2
    stays = (1 + np.exp(-5 * T)) * np.where(T > 0.6, 6, 1)
    assert traits(stays)["jump_kept_8"] > 0.8


def test_a_period_is_counted() -> None:
    found = traits((2 - T) * np.exp(0.2 * np.sin(2 * np.pi * 20 * T)))
    cycles = 10 ** found["loss_peak_cycles"]
    assert cycles == pytest.approx(16, abs=2)  # 20 periods, of which the first fifth is left out
    assert found["loss_peak_share"] > 0.7 > traits((2 - T) * np.exp(0.2 * NOISE))["loss_peak_share"]


def test_validation_against_training() -> None:
    loss = 0.1 + np.exp(-4 * T)
    at = np.arange(0, N, 10)
    follows = traits(loss, val=loss[at] * 1.02)
    turns = traits(loss, val=0.1 + np.exp(-4 * T[at]) + 1.5 * T[at])
    assert turns["val_rise"] > 0.2 > follows["val_rise"]
    assert turns["val_gap_growth"] > follows["val_gap_growth"] + 0.5
    assert follows["val_correlation"] > 0.99


def test_gradient_norm_against_loss() -> None:
    loss = 0.1 + np.exp(-4 * T)
    with_it = traits(loss, grad_norm=loss**2)
    against = traits(loss, grad_norm=1 / loss)
    assert with_it["grad_norm_loss_slope"] == pytest.approx(2, abs=0.1)
    assert against["grad_norm_loss_correlation"] < -0.9
    assert np.isnan(traits(loss)["grad_norm_start"])


def test_the_unit_of_the_loss_changes_its_level_alone() -> None:
    loss = (0.3 + np.exp(-4 * T)) * np.exp(0.05 * NOISE)
    one, other = traits(loss), traits(loss * 1000)
    for name in TRAITS:
        if name in ("log_end", "log_low", "log_max"):
            assert other[name] - one[name] == pytest.approx(3, abs=1e-6)
        else:
            np.testing.assert_allclose(other[name], one[name], atol=1e-6, err_msg=name)


HARD = {
    "constant": np.ones(50),
    "zeros": np.zeros(50),
    "two values": np.tile([1.0, 2.0], 30),
    "five": np.array([3.0, 2.0, 1.5, 1.2, 1.1]),
    "negative": -(np.arange(60.0) ** 3),
    "huge": np.append(np.linspace(2, 1, 40), [1e300, 1.7e308]),
    "mostly nan": np.where(np.arange(60) % 7 == 0, 1.0 + np.arange(60), np.nan),
    "inf at the end": np.append(np.linspace(3, 1, 30), [np.inf, np.inf]),
    "one finite": np.append(1.0, np.full(20, np.nan)),
}


@pytest.mark.parametrize("name", HARD)
def test_any_curve_gives_numbers_or_nan(name: str, recwarn: pytest.WarningsRecorder) -> None:
    loss = HARD[name]
    for channels in ({}, {"val": loss[::-1]}, {"grad_norm": loss, "lr": np.abs(loss)}):
        found = traits(loss, **channels)
        assert set(found) == set(TRAITS)
        assert all(isinstance(value, float) and not np.isinf(value) for value in found.values())
    assert [str(w.message) for w in recwarn] == []
