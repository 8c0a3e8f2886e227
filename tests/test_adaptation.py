"""The answer of a predictor -> that for a team: what holds of every fit, and what is learned."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.optimize
from numpy.typing import NDArray

from curvet.adaptation import (
    FILE,
    LEARN,
    N_AXES,
    NO_AXES,
    RECALIBRATE,
    Adaptation,
    Strength,
    activations,
    find_axes,
    fit_adaptation,
    start,
)
from curvet.classifiers import Inputs
from curvet.predictor import Predictor, make_inputs
from curvet.readers import read
from curvet.retrain.fit import FLOOR, Sample, choose_strength, cross_fit, soft_log_loss
from curvet.roles import assign
from curvet.standardise import standardise_many

from . import naive

TEAM = Path(__file__).parents[1] / "data" / "team"
OWN = "repeated_shard"
Array = NDArray[np.float64]


def made_up(n: int = 40, n_old: int = 5, units: int = 7, seed: int = 0) -> Sample:
    """Runs of which the nets see something of the cause; the last cause is the team's own."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_old + 1, n)
    seen = rng.normal(size=(n, units)) + np.eye(n_old + 1, units)[y]
    p = rng.dirichlet(np.ones(n_old), n)
    p[::9, 2] = 0.0  # ruled out
    p /= p.sum(1, keepdims=True)
    known = np.append(np.arange(n_old), -1)
    shares = 0.8 * np.eye(n_old + 1)[y] + 0.2 / (n_old + 1)
    return Sample(start(p, known), seen, shares, known, np.full(n_old, 1 / n_old))


@pytest.fixture(scope="module")
def sample() -> Sample:
    return made_up()


@pytest.mark.parametrize("strength", [*LEARN, *RECALIBRATE])
def test_rows_sum_to_one_and_what_is_ruled_out_stays_so(strength: Strength, sample: Sample) -> None:
    p = sample.fit(strength).of(sample.log_p, sample.seen)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-12)
    assert (p[::9, 2] == 0).all()
    assert (np.delete(p, slice(None, None, 9), 0) > 0).all()
    assert np.isfinite(p).all()


def test_a_run_of_which_all_is_ruled_out_gets_an_answer(sample: Sample) -> None:
    log_p = start(np.array([[0.0, 0.0, 0.3], [0.5, 0.5, 0.0]]), np.array([0, 1]))
    assert log_p[0].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(np.exp(log_p[1]), [0.5, 0.5])


def test_held_infinitely_firmly_it_is_the_predictor_itself() -> None:
    # Of the intercept an inf times 0 would be NaN; 1e12 is as firm as it gets.
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(6), 30)
    known = np.arange(6)
    one = Sample(start(p, known), rng.normal(size=(30, 4)), np.eye(6)[[0] * 30], known, p.mean(0))
    fitted = one.fit(Strength(1e12, 1e12, np.inf))
    np.testing.assert_allclose(fitted.of(one.log_p, one.seen), p, atol=1e-9)
    fitted = one.fit(Strength(1e12, 1e12, 1e12))
    np.testing.assert_allclose(fitted.of(one.log_p, one.seen), p, atol=1e-9)


def test_without_labels_the_predictor_is_left_as_it_is() -> None:
    one = made_up()
    no_votes = Sample(one.log_p, one.seen, np.zeros_like(one.shares), one.known, one.old_prior)
    fitted = no_votes.fit(LEARN[0])
    assert fitted.slope == 1
    assert not fitted.intercept.any()
    assert not fitted.weights.any()
    old = np.exp(one.log_p)
    np.testing.assert_allclose(fitted.of(one.log_p, one.seen), old / old.sum(1, keepdims=True))
    usual = np.append(one.old_prior, 0.02)
    told = fitted.with_prior(one.old_prior, one.log_p, one.seen)
    np.testing.assert_allclose(told.prior, usual / usual.sum())


@pytest.mark.parametrize("strength", [LEARN[0], LEARN[-1]])
def test_loss_and_gradient_equal_those_of_a_slow_twin(
    strength: Strength, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made_up(n=12, n_old=3, units=4)
    axes = find_axes(one.seen)
    caught: list[Any] = []
    real = scipy.optimize.minimize

    def catch(fun: Callable[[Array], tuple[float, Array]], first: Array, **how: Any) -> Any:
        caught.append(fun)
        return real(fun, first, **how)

    monkeypatch.setattr(scipy.optimize, "minimize", catch)
    fitted = one.fit(strength, axes)
    learns = np.isfinite(strength.weights)
    x = (one.seen - axes.centre) @ axes.axes if learns else np.empty((12, 0))
    n, d = 4, x.shape[1]

    def slow(v: Array) -> float:
        return naive.adaptation_loss(
            v[0],
            v[1 : 1 + n],
            v[1 + n :].reshape(d, n),
            one.log_p,
            x,
            one.shares,
            strength,
            (one.known < 0).tolist(),
        )

    rng = np.random.default_rng(3)
    for v in (np.eye(1 + n + d * n)[0], rng.normal(size=1 + n + d * n)):
        value, gradient = caught[0](v)
        # A vote for what is ruled out costs nothing; the twin leaves it out likewise.
        assert value == pytest.approx(slow(v), rel=1e-9)
        steps = 1e-6 * np.eye(len(v))
        differences = [(slow(v + step) - slow(v - step)) / 2e-6 for step in steps]
        np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-5)
    best = np.concatenate([[fitted.slope], fitted.intercept, fitted.weights.ravel()])
    for _ in range(20):  # the loss is convex: nothing near is better
        assert slow(best) <= slow(best + 0.01 * rng.normal(size=len(best))) + 1e-9


def test_soft_labels_equal_repeated_rows() -> None:
    one = made_up(n=30)
    votes = np.zeros_like(one.shares)
    votes[np.arange(30), one.shares.argmax(1)] = 0.75
    votes[np.arange(30), (one.shares.argmax(1) + 1) % 6] = 0.25
    soft = Sample(one.log_p, one.seen, votes, one.known, one.old_prior)
    rows, causes = np.nonzero(votes)
    hard = Sample(
        one.log_p[rows],
        one.seen[rows],
        np.eye(6)[causes] * votes[rows, causes][:, None],
        one.known,
        one.old_prior,
    )
    axes = find_axes(one.seen)
    for strength in (LEARN[1], RECALIBRATE[0]):
        a, b = soft.fit(strength, axes), hard.fit(strength, axes)
        np.testing.assert_allclose(a.of(one.log_p, one.seen), b.of(one.log_p, one.seen), atol=1e-4)
        np.testing.assert_allclose(a.prior, b.prior)


def test_weights_double_what_doubled_rows_say() -> None:
    one = made_up(n=30)
    axes = find_axes(one.seen)
    twice = fit_adaptation(
        np.tile(one.log_p, (2, 1)),
        np.tile(one.seen, (2, 1)),
        np.tile(one.shares, (2, 1)),
        one.known,
        LEARN[1],
        axes,
    )
    heavy = fit_adaptation(one.log_p, one.seen, 2 * one.shares, one.known, LEARN[1], axes)
    np.testing.assert_allclose(
        twice.of(one.log_p, one.seen), heavy.of(one.log_p, one.seen), atol=1e-4
    )


def test_save_and_load_agree_and_same_inputs_give_the_same_bytes(
    sample: Sample, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        made_up().fit(LEARN[0]).save(folder)
    assert len({(folder / FILE).read_bytes() for folder in folders}) == 1
    loaded = Adaptation.load(folders[0])
    assert loaded is not None
    first = sample.fit(LEARN[0]).of(sample.log_p, sample.seen)
    assert (loaded.of(sample.log_p, sample.seen) == first).all()
    assert Adaptation.load(tmp_path) is None


def test_an_answer_does_not_depend_on_its_neighbours(sample: Sample) -> None:
    fitted = sample.fit(LEARN[0])
    together = fitted.of(sample.log_p, sample.seen)
    alone = [
        fitted.of(sample.log_p[row : row + 1], sample.seen[row : row + 1])[0] for row in range(40)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@pytest.mark.parametrize(("n_runs", "n_units"), [(30, 200), (200, 30)])
def test_axes_are_those_of_a_singular_value_decomposition(n_runs: int, n_units: int) -> None:
    seen = np.random.default_rng(0).normal(size=(n_runs, n_units)) * np.linspace(3, 0.1, n_units)
    axes = find_axes(seen)
    sides, size, _ = np.linalg.svd(seen - seen.mean(0), full_matrices=False)
    placed = (seen - axes.centre) @ axes.axes
    n = min(n_runs - 1, n_units)
    expected = sides[:, :n] * size[:n] * np.sqrt(n_runs) / size[0]
    np.testing.assert_allclose(np.abs(placed), np.abs(expected), atol=1e-6)
    assert find_axes(np.random.default_rng(0).normal(size=(90, 100))).axes.shape == (100, N_AXES)
    assert find_axes(np.ones((20, 5))).axes.shape == (5, 0)  # runs that are all alike
    assert NO_AXES.axes.size == 0


def test_one_strange_label_costs_no_more_than_the_floor() -> None:
    p = np.array([[1.0, 0.0], [0.5, 0.5]])
    np.testing.assert_allclose(
        soft_log_loss(p, np.array([[0.0, 1.0], [0.5, 0.5]])), [-np.log(FLOOR), np.log(2)]
    )


def test_held_out_answers_have_seen_nothing_of_their_fold() -> None:
    one = made_up(n=40)
    folds = np.arange(40) % 4
    before = cross_fit(one, folds, LEARN[:2])
    changed = one.shares.copy()
    changed[folds == 1] = np.roll(changed[folds == 1], 1, axis=1)
    other = Sample(one.log_p, one.seen, changed, one.known, one.old_prior)
    after = cross_fit(other, folds, LEARN[:2])
    assert (before[folds == 1] == after[folds == 1]).all()
    assert not np.allclose(before[folds == 0], after[folds == 0])


def test_the_strength_is_the_firmest_within_an_error_of_the_best() -> None:
    one = made_up(n=40)
    folds = np.arange(40) % 4
    costs = np.empty((len(LEARN), 40))
    for place, strength in enumerate(LEARN):
        for fold in range(4):
            rest, held = one.part(folds != fold), one.part(folds == fold)
            p = rest.fit(strength).of(held.log_p, held.seen)
            costs[place, folds == fold] = soft_log_loss(p, held.shares)
    best = costs[costs.mean(1).argmin()]
    for strength, cost in zip(LEARN, costs, strict=True):
        error = np.sqrt(np.mean((cost - best - np.mean(cost - best)) ** 2) / 40)
        if np.mean(cost - best) <= error:
            expected = strength
    assert choose_strength(one, folds, LEARN) == expected
    assert choose_strength(one, folds, LEARN[:1]) == LEARN[0]


def test_labels_that_say_nothing_are_held_the_firmest() -> None:
    one = made_up(n=60)
    rng = np.random.default_rng(5)
    nothing = Sample(one.log_p, one.seen, one.shares[rng.permutation(60)], one.known, one.old_prior)
    assert choose_strength(nothing, np.arange(60) % 5, LEARN).weights >= 10


def test_processes_do_not_change_the_answer() -> None:
    one = made_up(n=40)
    folds = np.arange(40) % 4
    assert (cross_fit(one, folds, LEARN, 1) == cross_fit(one, folds, LEARN, 2)).all()


# On real features


class Team(NamedTuple):
    """Runs of data/team."""

    inputs: Inputs
    cause: NDArray[np.str_]
    sweep: NDArray[np.str_]


@pytest.fixture(scope="module")
def team() -> Team:
    with (TEAM / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["run_id"]: row for row in csv.DictReader(file)}
    runs = list(read(TEAM / "runs.zip"))
    inputs = make_inputs(standardise_many([assign(run) for run in runs]))
    truth = [rows[run.id] for run in runs]
    return Team(
        inputs,
        np.array([row["cause"] for row in truth]),
        np.array([row["sweep"] for row in truth]),
    )


def test_a_cause_of_the_team_is_learned_from_thirty_examples(
    team: Team, predictor: Predictor
) -> None:
    causes = [*predictor.bundle.causes, OWN]
    known = np.append(np.arange(len(causes) - 1), -1)
    log_p = start(predictor.probabilities(team.inputs), known)
    shares = np.eye(len(causes))[[causes.index(cause) for cause in team.cause]]
    seen = activations(predictor.bundle.classifiers, team.inputs)
    sample = Sample(log_p, seen, shares, known, predictor.bundle.prior)
    sweeps = np.random.default_rng(0).permutation(np.unique(team.sweep))
    own = team.cause == OWN
    for n_sweeps in range(1, len(sweeps)):
        learned = np.isin(team.sweep, sweeps[:n_sweeps])
        if (own & learned).sum() >= 30:
            break
    assert (own & learned).sum() <= 36
    fitted = sample.part(learned).fit(LEARN[0])
    p = fitted.of(log_p[~learned], seen[~learned])
    told, true = p.argmax(1) == len(causes) - 1, own[~learned]
    recall, precision = told[true].mean(), true[told].mean()
    assert recall >= 0.6
    assert precision >= 0.6


def test_apply_equals_its_parts(team: Team, predictor: Predictor) -> None:
    some = team.inputs[np.arange(25)]
    known = np.arange(len(predictor.bundle.causes))
    p, seen = predictor.probabilities(some), activations(predictor.bundle.classifiers, some)
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(len(known)), 25)
    fitted = Sample(start(p, known), seen, shares, known, predictor.bundle.prior).fit(LEARN[1])
    whole = fitted.apply(p, predictor.bundle.classifiers, some)
    assert (whole == fitted.of(start(p, known), seen)).all()
    one = some[np.array([7])]
    alone = fitted.apply(predictor.probabilities(one), predictor.bundle.classifiers, one)
    np.testing.assert_allclose(alone[0], whole[7], atol=1e-5)  # single precision of the nets
