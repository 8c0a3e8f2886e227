"""Priors: every accepted form, and archives whose mix is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from curvet.errors import PriorError
from curvet.prior import PRIOR, estimate_prior, parse_prior, reweigh

CAUSES = ["healthy", "a", "b", "c"]
DEFAULT = [0.4, 0.3, 0.2, 0.1]
OLD = np.array(DEFAULT)
Array = NDArray[np.float64]


def archive(n: int, mix: Array, seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Answers calibrated under `OLD` for runs whose causes have another mix."""
    rng = np.random.default_rng(seed)
    y = rng.choice(4, n, p=mix)
    # What is seen of a run: one of twelve signs, each with its own chances under each cause.
    chances = np.random.default_rng(99).dirichlet(np.full(12, 0.3), 4)  # (cause, sign)
    sign = np.array([rng.choice(12, p=chances[k]) for k in y])
    p = OLD * chances[:, sign].T
    return p / p.sum(1, keepdims=True), y


def test_the_default_is_a_prior_and_healthy_the_commonest() -> None:
    assert sum(PRIOR.values()) == pytest.approx(1)
    assert max(PRIOR, key=PRIOR.__getitem__) == "healthy"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default", [0.4, 0.3, 0.2, 0.1]),
        ("uniform", [0.25, 0.25, 0.25, 0.25]),
        ("healthy=0.7", [0.7, 0.15, 0.1, 0.05]),
        ("healthy=0.7, a=0.3", [0.7, 0.3, 0, 0]),
        ("a=0", [4 / 7, 0, 2 / 7, 1 / 7]),
        ("healthy=0.1,a=0.2,b=0.3,c=0.4", [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_every_form_of_a_prior(text: str, expected: list[float]) -> None:
    np.testing.assert_allclose(parse_prior(text, CAUSES, DEFAULT), expected, atol=1e-12)


def test_the_prior_of_an_archive_needs_its_runs() -> None:
    assert parse_prior("archive", CAUSES, DEFAULT) is None


def test_a_prior_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "shares.json"
    path.write_text(json.dumps({"healthy": 0.7}))
    np.testing.assert_allclose(parse_prior(str(path), CAUSES, DEFAULT), [0.7, 0.15, 0.1, 0.05])
    path.write_text("[1, 2]")
    with pytest.raises(PriorError, match=r"shares\.json: no JSON object of causes and shares"):
        parse_prior(str(path), CAUSES, DEFAULT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("often", "neither a known prior nor a file; accepted: default, uniform, archive"),
        ("lr=0.5", "unknown cause 'lr'; known: healthy, a, b, c"),
        ("healthy=much", "'much' is no number"),
        ("healthy=0.8,a=0.3", "must lie within 0 and 1 and not exceed 1 in all"),
        ("healthy=-0.1", "must lie within 0 and 1"),
        ("healthy=nan", "must lie within 0 and 1"),
    ],
)
def test_what_is_no_prior_is_refused(text: str, message: str) -> None:
    with pytest.raises(PriorError, match=message):
        parse_prior(text, CAUSES, DEFAULT)


def test_reweighing_is_bayes() -> None:
    p, _ = archive(200, OLD, 0)
    new = np.array([0.1, 0.1, 0.1, 0.7])
    found = reweigh(p, OLD, new)
    for row, answer in zip(p, found, strict=True):
        odds = [x * n / o for x, n, o in zip(row, new, OLD, strict=True)]
        np.testing.assert_allclose(answer, np.array(odds) / sum(odds))
    np.testing.assert_allclose(reweigh(found, new, OLD), p)
    np.testing.assert_allclose(reweigh(p, OLD, OLD), p)


def test_a_prior_that_leaves_nothing_changes_nothing() -> None:
    p = np.array([[0.0, 1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(reweigh(p, OLD, np.array([1.0, 0, 0, 0])), p)


@pytest.mark.parametrize(
    "mix", [[0.9, 0.05, 0.03, 0.02], [0.1, 0.1, 0.1, 0.7], [0.25, 0.25, 0.25, 0.25]]
)
def test_the_mix_of_an_archive_is_found(mix: list[float]) -> None:
    p, y = archive(5000, np.array(mix), 1)
    true = np.bincount(y, minlength=4) / len(y)
    # Answers that are as right as they say need no doubt.
    trusted = estimate_prior(p, OLD, doubt=0.1, least_healthy=0.0)
    assert np.abs(trusted - true).sum() <= 0.3 * np.abs(OLD - true).sum() + 0.06
    # Those about real runs lean: then the faults go a part of the way, and not past the truth.
    found = estimate_prior(p, OLD)
    assert found.sum() == pytest.approx(1)
    if true[0] > OLD[0]:
        assert abs(found[0] - true[0]) < 0.1 * abs(OLD[0] - true[0])
    else:
        assert found[0] == pytest.approx(OLD[0])
    usual, shares, truth = (each[1:] / each[1:].sum() for each in (OLD, found, true))
    most = np.abs(truth - usual).argmax()
    assert 0.1 < (shares - usual)[most] / (truth - usual)[most] < 1
    right = [(reweigh(p, OLD, prior).argmax(1) == y).mean() for prior in (OLD, found)]
    assert right[1] >= right[0] - 0.005


def test_a_few_runs_do_not_move_the_prior_far() -> None:
    np.testing.assert_allclose(estimate_prior(np.empty((0, 4)), OLD), OLD)
    one = estimate_prior(np.array([[0.97, 0.01, 0.01, 0.01]]), OLD)
    assert 0.4 < one[0] < 0.45
    p, _ = archive(3, np.array([0, 0, 0, 1.0]), 2)
    assert estimate_prior(p, OLD)[3] < 0.3
