"""Calibration: on answers whose fault is known, and against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from curvet.calibrate import (
    COVERAGES,
    Calibration,
    conformal_thresholds,
    expected_calibration_error,
    fit_combination,
    log_loss,
)

from . import naive

Array = NDArray[np.float64]


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def made_up(n: int, seed: int, n_causes: int = 5) -> tuple[Array, NDArray[np.int64]]:
    """Probabilities that are right, and causes drawn from them."""
    rng = np.random.default_rng(seed)
    p = softmax(2 * rng.standard_normal((n, n_causes)))
    y = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    return p, np.minimum(y, n_causes - 1)


@pytest.mark.parametrize("fault", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_a_known_fault(fault: float) -> None:
    p, y = made_up(20_000, 0)
    wrong = softmax(np.log(p) * fault)  # too sure of itself where the fault is above 1
    weights, temperature = fit_combination([wrong], y, np.ones(len(y)))
    assert weights == (1.0,)
    assert temperature == pytest.approx(fault, rel=0.03)
    mended = Calibration(weights, temperature, ()).combine([wrong])
    np.testing.assert_allclose(mended, p, atol=0.02)
    assert expected_calibration_error(mended, y, np.ones(len(y))) < 0.015
    if fault != 1:
        assert expected_calibration_error(wrong, y, np.ones(len(y))) > 0.1


def test_the_better_classifier_weighs_more() -> None:
    p, y = made_up(8000, 1)
    noise = softmax(np.random.default_rng(2).standard_normal(p.shape))
    weight = np.ones(len(y))
    for raw, good in (([p, noise], 0), ([noise, p], 1)):
        weights, temperature = fit_combination(raw, y, weight)
        assert sum(weights) == pytest.approx(1)
        assert weights[good] > 0.95
        found = Calibration(weights, temperature, ()).combine(raw)
        assert log_loss(found, y, weight) <= log_loss(p, y, weight) + 1e-3


def test_two_views_of_one_run_are_better_than_either() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 4, 4000)
    true = np.eye(4)[y]
    raw = [softmax(2 * true + rng.standard_normal(true.shape)) for _ in range(2)]
    weight = np.ones(len(y))
    both = log_loss(Calibration(*fit_combination(raw, y, weight), ()).combine(raw), y, weight)
    for p in raw:
        one = Calibration(*fit_combination([p], y, weight), ()).combine([p])
        assert both < log_loss(one, y, weight) - 0.05


def test_runs_of_no_weight_do_not_count() -> None:
    p, y = made_up(3000, 4)
    weight = (np.arange(3000) < 1500).astype(float)
    spoilt = np.where(weight == 1, y, 0)
    whole = fit_combination([p], spoilt, weight)
    half = fit_combination([p[:1500]], y[:1500], np.ones(1500))
    assert whole[1] == pytest.approx(half[1], rel=1e-2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_tempering_equals_its_twin(temperature: float) -> None:
    p, _ = made_up(50, 5)
    found = Calibration((1.0,), temperature, ()).combine([p])
    np.testing.assert_allclose(found, naive.temper(p, temperature), rtol=1e-9)
    mean = Calibration((0.5, 0.5), temperature, ()).combine([p, p])
    np.testing.assert_allclose(mean, found, rtol=1e-9)


def test_combining_keeps_rows_apart_and_survives_zeros() -> None:
    p, _ = made_up(20, 6)
    q = np.eye(5)[np.arange(20) % 5]  # sure of itself, probability 0 for all else
    fitted = Calibration((0.7, 0.3), 1.3, ())
    together = fitted.combine([p, q])
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together.sum(1), 1)
    alone = np.concatenate([fitted.combine([p[i : i + 1], q[i : i + 1]]) for i in range(20)])
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_log_loss_equals_its_twin() -> None:
    p, y = made_up(200, 7)
    weight = np.random.default_rng(0).random(200)
    assert log_loss(p, y, weight) == pytest.approx(naive.log_loss(p, y, weight))
    assert log_loss(np.full((3, 4), 0.25), np.array([0, 1, 2]), np.ones(3)) == pytest.approx(
        np.log(4)
    )
    assert np.isfinite(log_loss(np.eye(2), np.array([1, 0]), np.ones(2)))


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_the_calibration_error_equals_its_twin(bins: int) -> None:
    rng = np.random.default_rng(8)
    p, y = made_up(300, 8)
    p[:5] = np.eye(5)  # a confidence of exactly 1
    for weight in (np.ones(300), rng.random(300)):
        found = expected_calibration_error(p, y, weight, bins)
        assert found == pytest.approx(naive.expected_calibration_error(p, y, weight, bins))


def test_the_calibration_error_of_known_answers() -> None:
    sure = np.tile([1.0, 0.0], (10, 1))
    ones = np.ones(10)
    assert expected_calibration_error(sure, np.zeros(10, int), ones) == 0
    assert expected_calibration_error(sure, np.ones(10, int), ones) == 1
    assert expected_calibration_error(sure, np.arange(10) % 2, ones) == pytest.approx(0.5)
    weight = np.where(np.arange(10) % 2, 3.0, 1.0)
    assert expected_calibration_error(sure, np.arange(10) % 2, weight) == pytest.approx(0.75)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("wrong", [False, True])
def test_sets_hold_the_true_cause_as_often_as_they_say(coverage: float, wrong: bool) -> None:
    """Also where the probabilities are wrong: that is what the sets are for."""
    p, y = made_up(12_000, 9)
    p = softmax(np.log(p) * 2.5) if wrong else p
    held, fresh = slice(0, 6000), slice(6000, None)
    thresholds = conformal_thresholds(p[held], y[held], np.ones(6000))
    likely = Calibration((1.0,), 1.0, thresholds).likely(p[fresh], coverage)
    covered = likely[np.arange(6000), y[fresh]].mean()
    # A set holds at least the first cause, so that coverage can only be above.
    first = (p[fresh].argmax(1) == y[fresh]).mean()
    assert covered >= coverage - 0.02
    assert covered <= max(coverage, first) + 0.05


def test_coverage_holds_on_average_for_small_sets() -> None:
    rates = []
    for seed in range(300):
        p, y = made_up(60, 100 + seed)
        thresholds = conformal_thresholds(p[:30], y[:30], np.ones(30))
        likely = Calibration((1.0,), 1.0, thresholds).likely(p[30:], 0.9)
        rates.append(likely[np.arange(30), y[30:]].mean())
    assert np.mean(rates) >= 0.89


def test_coverage_follows_the_weights() -> None:
    p, y = made_up(20_000, 10)
    hard = np.random.default_rng(0).random(len(y)) < 0.5
    p[hard] = softmax(np.log(p[hard]) * 0.2)  # half of the runs are unsure
    weight = np.where(hard, 1.0, 1e-9)
    thresholds = conformal_thresholds(p, y, weight)
    expected = conformal_thresholds(p[hard], y[hard], np.ones(hard.sum()))
    assert thresholds == pytest.approx(expected, abs=1e-3)


def test_more_coverage_asks_for_longer_sets() -> None:
    p, y = made_up(4000, 11)
    thresholds = conformal_thresholds(p, y, np.ones(len(y)))
    assert len(thresholds) == len(COVERAGES)
    assert list(thresholds) == sorted(thresholds, reverse=True)
    fitted = Calibration((1.0,), 1.0, thresholds)
    sizes = [fitted.likely(p, coverage).sum() for coverage in (0.5, 0.7, 0.905, 0.99)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_too_few_runs_leave_no_cause_out() -> None:
    p, y = made_up(5, 13)
    thresholds = conformal_thresholds(p, y, np.ones(5))
    assert thresholds[-1] == 0.0
    assert Calibration((1.0,), 1.0, thresholds).likely(p, 0.9).all()


@pytest.mark.parametrize("coverage", [0.0, 0.49, 1.0, 90])
def test_a_coverage_that_cannot_be_given_is_refused(coverage: float) -> None:
    p, _ = made_up(5, 13)
    fitted = Calibration((1.0,), 1.0, (0.1,) * len(COVERAGES))
    with pytest.raises(ValueError, match=f"within 0.5 and 0.99, got {coverage}"):
        fitted.likely(p, coverage)


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.9, 1.0, 2.0])
def test_sets_are_never_empty(quantile: float) -> None:
    p, _ = made_up(100, 12)
    p[0] = 0.2  # all alike
    likely = Calibration((1.0,), 1.0, (quantile,) * len(COVERAGES)).likely(p)
    assert likely.dtype == bool
    assert likely.any(1).all()
    assert likely[np.arange(100), p.argmax(1)].all()
    expected = p >= quantile
    expected[np.arange(100), p.argmax(1)] = True
    np.testing.assert_array_equal(likely, expected)
    if quantile == 0:
        assert likely.all()
