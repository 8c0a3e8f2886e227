"""Novelty: against a slow twin, and on curves that are like no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curvet.features import FEATURES, channel_of
from curvet.novelty import NEAREST, fit_novelty
from curvet.predictor import UNLIKE, Predictor, make_inputs, predict_cause
from curvet.roles import Channels
from curvet.run import Curve
from curvet.standardise import standardise_many

LOSS = np.flatnonzero([channel_of(name) is None for name in FEATURES])


def tables(n: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Features in which a few hidden numbers show."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 30))
    mixing = np.random.default_rng(7).standard_normal((30, len(FEATURES)))
    return np.asarray(hidden @ mixing, np.float32)


def each(n: int) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """A group for every run."""
    return np.arange(n).astype(str)


def test_the_distance_is_that_to_the_nearest_known_runs() -> None:
    model = fit_novelty(tables(600, 0), each(600), 0)
    asked = tables(40, 2)
    at = model.place(asked)
    for here, found in zip(at, model.distance(asked), strict=True):
        far = sorted(float(np.linalg.norm(here - known)) for known in model.known)
        assert found == pytest.approx(np.mean(far[:NEAREST]), rel=1e-3)


def test_ranks_are_uniform_on_runs_of_known_kinds() -> None:
    model = fit_novelty(tables(1500, 0), each(1500), 0)
    rank = model.rank(tables(1500, 2))
    assert np.quantile(rank, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.06)
    assert model.rank(20 * tables(200, 5)).mean() > 0.9


def test_what_is_far_is_measured_between_groups() -> None:
    """Copies of one run in a group are near to each other and no nearer to new groups."""
    rng = np.random.default_rng(3)
    few = np.repeat(tables(200, 0), 8, axis=0)
    few = few + 0.01 * rng.standard_normal(few.shape).astype(np.float32)
    model = fit_novelty(few, np.repeat(each(200), 8), 0)
    assert 0.3 < np.median(model.rank(tables(1000, 2))) < 0.7
    assert np.median(fit_novelty(few, each(1600), 0).rank(tables(1000, 2))) == 1.0


def test_other_channels_and_neighbours_do_not_matter(tmp_path: Path) -> None:
    model = fit_novelty(tables(300, 0), each(300), 0)
    asked = tables(50, 2)
    whole = model.rank(asked)
    other = asked.copy()
    other[:, np.setdiff1d(np.arange(len(FEATURES)), LOSS)] = np.nan
    np.testing.assert_array_equal(model.rank(other), whole)
    alone = np.concatenate([model.rank(asked[i : i + 1]) for i in range(len(asked))])
    np.testing.assert_allclose(alone, whole, atol=1e-4)
    model.save(tmp_path)
    np.testing.assert_array_equal(type(model).load(tmp_path).rank(asked), whole)
    assert model.rank(asked[:0]).shape == (0,)


@pytest.mark.parametrize("n", [2, 7, 30])
def test_few_runs_are_enough_to_fit(n: int) -> None:
    model = fit_novelty(tables(n, 0), each(n), 0)
    assert np.isfinite(model.rank(tables(5, 2))).all()


T = np.linspace(0, 1, 400)
ODD = {
    "square wave": 1 + 2.0 * (np.sin(40 * T) > 0),
    "learning-rate range test": np.where(T < 0.6, 2.3 - 2 * T, 1.1 * np.exp(6 * (T - 0.6))),
}


@pytest.mark.parametrize("name", ODD)
def test_the_shipped_predictor_knows_no_such_training(name: str) -> None:
    found = predict_cause(ODD[name])
    assert found.novelty is not None
    assert found.novelty > UNLIKE
    assert found.cause is None
    assert found.reason.startswith("unlike anything")
    assert found.probabilities


def test_the_shipped_predictor_knows_plain_trainings() -> None:
    rng = np.random.default_rng(0)
    runs = [
        Channels(Curve.of("loss", loss + 0.02 * rng.random(len(loss))), None, None, None)
        for loss in (0.2 + 2 * np.exp(-5 * T[::k]) for k in (1, 2, 5, 10))
    ]
    table = make_inputs(standardise_many(runs)).table
    assert (Predictor.load().bundle.novelty.rank(table) < UNLIKE).all()
