"""Two bundles on the same runs: figures against slow twins, and what follows from the draws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, precision_score, recall_score

from curvet.calibrate import Calibration, expected_calibration_error
from curvet.causes import CAUSES
from curvet.classifiers import Inputs
from curvet.compare import FIGURES, FLOOR, answers_of, compare_answers, compare_on_trial
from curvet.errors import CorpusError
from curvet.features import FEATURES
from curvet.predictor import Predictor, doubts
from curvet.standardise import IMAGE_CHANNELS

REAL = Path(__file__).parents[1] / "data" / "real"
KEYS = ["healthy", "lr_too_high", "overfitting", "repeated_shard"]
N = 240


class Fixed:
    """Answers what stands in the first columns of the table."""

    name = "fixed"

    def __init__(self, first: int, n: int) -> None:
        self.columns = slice(first, first + n)

    def predict_proba(self, inputs: Inputs) -> np.ndarray:
        return inputs.table[:, self.columns].astype(float)


def compare(
    old: Predictor,
    new: Predictor,
    inputs: Inputs,
    target: np.ndarray,
    causes: Sequence[str],
    group: np.ndarray,
) -> dict[str, Any]:
    both = answers_of(old, inputs), answers_of(new, inputs)
    return compare_answers(*both, target, causes, group)


def fixed(predictor: Predictor, causes: Sequence[str], first: int, name: str) -> Predictor:
    n = len(causes)
    bundle = replace(
        predictor.bundle,
        name=name,
        causes=tuple(causes),
        classes=tuple(causes),
        classifiers=[Fixed(first, n)],  # type: ignore[list-item]
        calibration=Calibration((1.0,), 1.0, (1 / n,) * n, (0.2,) * 50),
    )
    return Predictor(bundle)


@pytest.fixture(scope="module")
def runs() -> tuple[Inputs, np.ndarray, np.ndarray]:
    """Return inputs, soft targets over KEYS, and groups; the second predictor is the better."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, len(KEYS), N)
    target = np.eye(len(KEYS))[y]
    torn = rng.random(N) < 0.3
    target[torn] = 0.6 * target[torn] + 0.4 * np.eye(len(KEYS))[rng.integers(0, 4, N)][torn]
    table = np.zeros((N, len(FEATURES)), np.float32)
    old = rng.dirichlet(np.ones(3), N) + 0.5 * np.eye(4)[y][:, :3]
    new = rng.dirichlet(np.ones(4), N) + 0.8 * np.eye(4)[y]
    table[:, :3] = old / old.sum(1, keepdims=True)
    table[:, 3:7] = new / new.sum(1, keepdims=True)
    group = np.array([f"g{number // 6}" for number in range(N)])
    return Inputs(table, np.zeros((N, len(IMAGE_CHANNELS), 1), np.float32)), target, group


@pytest.fixture(scope="module")
def pair(predictor: Predictor) -> tuple[Predictor, Predictor]:
    """One that knows a cause less, and one with a cause of a team's own."""
    return fixed(predictor, KEYS[:3], 0, "old-1"), fixed(predictor, KEYS, 3, "new-2")


def test_figures_equal_those_computed_run_by_run(
    runs: tuple[Inputs, np.ndarray, np.ndarray], pair: tuple[Predictor, Predictor]
) -> None:
    inputs, target, group = runs
    result = compare(*pair, inputs, target, KEYS, group)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    for name, predictor in zip(("old", "new"), pair, strict=True):
        p = predictor.probabilities(inputs)
        inside = p >= 0.2
        top1 = top3 = loss = covered = size = answered = 0.0
        unlike, undecided = doubts(inside, predictor.bundle.novelty.rank(inputs.table))
        for i in range(N):
            ranked = sorted(range(p.shape[1]), key=lambda k: -p[i, k])
            top1 += target[i, ranked[0]]
            top3 += sum(target[i, k] for k in ranked[:3])
            for k in range(len(KEYS)):
                chance = p[i, k] if k < p.shape[1] else 0.0
                loss -= target[i, k] * np.log(max(chance, FLOOR))
                covered += target[i, k] * (k < p.shape[1] and inside[i, k])
            size += inside[i].sum()
            answered += not (unlike[i] or undecided[i])
        slow = [top1, top3, loss, covered, size, answered]
        names = ["top1", "top3", "log_loss", "coverage", "set_size", "answered"]
        figures = result[name]["figures"]
        assert [figures[n]["value"] for n in names] == pytest.approx([v / N for v in slow])
        assert set(figures) == set(FIGURES)
    assert result["old"]["unknown"] == ["repeated_shard"]
    assert result["new"]["unknown"] == []
    assert (result["runs"], result["groups"], result["old"]["bundle"]) == (N, 40, "old-1")


def test_hard_labels_give_scikit_learns_figures(
    runs: tuple[Inputs, np.ndarray, np.ndarray], pair: tuple[Predictor, Predictor]
) -> None:
    inputs, target, group = runs
    y = target.argmax(1)
    result = compare(*pair, inputs, np.eye(4)[y], KEYS, group)
    p = pair[1].probabilities(inputs)
    p = np.maximum(p, FLOOR)
    figures = result["new"]["figures"]
    assert figures["log_loss"]["value"] == pytest.approx(
        np.mean([-np.log(p[i, k]) for i, k in enumerate(y)])
    )
    assert log_loss(y, p / p.sum(1, keepdims=True)) == pytest.approx(
        figures["log_loss"]["value"], rel=0.01
    )
    assert figures["calibration_error"]["value"] == pytest.approx(
        expected_calibration_error(pair[1].probabilities(inputs), y, np.ones(N), bins=10)
    )
    recalls = recall_score(y, p.argmax(1), average=None)
    precisions = precision_score(y, p.argmax(1), average=None)
    for key, recall, precision in zip(KEYS, recalls, precisions, strict=True):
        mine = result["causes"][key]["new"]
        assert mine["recall"]["value"] == pytest.approx(recall)
        assert mine["precision"]["value"] == pytest.approx(precision)
    bins = result["new"]["reliability"]
    assert sum(b["runs"] for b in bins) == N
    gap = sum(b["runs"] * abs(b["confidence"] - b["right"]) for b in bins) / N
    assert gap == pytest.approx(figures["calibration_error"]["value"])


def test_a_cause_that_one_does_not_know(
    runs: tuple[Inputs, np.ndarray, np.ndarray], pair: tuple[Predictor, Predictor]
) -> None:
    inputs, target, group = runs
    cause = compare(*pair, inputs, target, KEYS, group)["causes"]["repeated_shard"]
    assert cause["old"]["recall"]["value"] == 0
    assert cause["old"]["precision"] is None
    assert cause["old"]["log_loss"]["value"] == pytest.approx(-np.log(FLOOR))
    assert cause["difference"]["precision"] is None
    assert cause["difference"]["log_loss"]["high"] < 0
    assert cause["runs"] == pytest.approx(target[:, 3].sum())


def test_differences_are_paired_and_turn_round(
    runs: tuple[Inputs, np.ndarray, np.ndarray], pair: tuple[Predictor, Predictor]
) -> None:
    inputs, target, group = runs
    forth = compare(*pair, inputs, target, KEYS, group)
    back = compare(*pair[::-1], inputs, target, KEYS, group)
    for name in FIGURES:
        there, here = forth["difference"][name], back["difference"][name]
        assert there["value"] == pytest.approx(-here["value"])
        assert there["low"] == pytest.approx(-here["high"])
        assert there["value"] == pytest.approx(
            forth["new"]["figures"][name]["value"] - forth["old"]["figures"][name]["value"]
        )
    assert forth["difference"]["top1"]["low"] > 0
    same = compare(pair[0], pair[0], inputs, target, KEYS, group)["difference"]
    assert all(same[name] == {"value": 0, "low": 0, "high": 0, "below": 0} for name in FIGURES)


def test_intervals_widen_with_fewer_groups_and_come_again(
    runs: tuple[Inputs, np.ndarray, np.ndarray], pair: tuple[Predictor, Predictor]
) -> None:
    inputs, target, group = runs
    few = compare(*pair, inputs, target, KEYS, np.array([g[:2] for g in group]))
    many = compare(*pair, inputs, target, KEYS, np.arange(N).astype(str))
    assert many == compare(*pair, inputs, target, KEYS, np.arange(N).astype(str))
    assert few["groups"] == 10
    one = compare(*pair, inputs, target, KEYS, np.full(N, "all"))["new"]["figures"]["top1"]
    assert one["low"] == one["value"] == one["high"]
    wide = [r["new"]["figures"]["top1"] for r in (many, few)]
    assert all(f["low"] < f["value"] < f["high"] for f in wide)


def test_more_causes_than_the_bundles_know_and_in_another_order(
    runs: tuple[Inputs, np.ndarray, np.ndarray], pair: tuple[Predictor, Predictor]
) -> None:
    inputs, target, group = runs
    usual = compare(*pair, inputs, target, KEYS, group)
    order = ["gremlins", "repeated_shard", "overfitting", "healthy", "lr_too_high"]
    turned = np.zeros((N, 5))
    for place, key in enumerate(KEYS):
        turned[:, order.index(key)] = 3 * target[:, place]  # votes, not shares
    other = compare(*pair, inputs, turned, order, group)
    for name in FIGURES:
        for side in ("old", "new"):
            assert other[side]["figures"][name] == pytest.approx(usual[side]["figures"][name])
    assert "gremlins" not in other["causes"]


def test_what_cannot_be_compared(
    runs: tuple[Inputs, np.ndarray, np.ndarray], pair: tuple[Predictor, Predictor]
) -> None:
    inputs, target, group = runs
    with pytest.raises(ValueError, match=r"shape \(240, 3\) and group \(240,\), got \(240, 4\)"):
        compare(*pair, inputs, target, KEYS[:3], group)
    with pytest.raises(ValueError, match="each run needs votes"):
        compare(*pair, inputs, np.zeros((N, 4)), KEYS, group)
    some = answers_of(pair[0], inputs)
    with pytest.raises(ValueError, match="as many answers from both"):
        compare_answers(some, answers_of(pair[1], inputs[:9]), target, KEYS, group)
    unsure = compare_answers(some, replace(some, answered=None), target, KEYS, group)
    assert unsure["new"]["figures"]["answered"] is unsure["difference"]["answered"] is None
    with pytest.raises(CorpusError, match="no runs to compare"):
        compare(*pair, inputs[:0], target[:0], KEYS, group[:0])


def test_on_the_field_trial(predictor: Predictor, tmp_path: Path) -> None:
    import lzma

    with lzma.open(REAL / "runs.jsonl.xz", "rt") as lines:
        some = [line for number, line in enumerate(lines) if number % 40 == 0]
    with lzma.open(tmp_path / "runs.jsonl.xz", "wt") as out:
        out.writelines(some)
    halved = replace(predictor.bundle, calibration=replace(predictor.bundle.calibration))
    result = compare_on_trial(predictor, Predictor(halved), tmp_path)
    assert list(result) == ["all sources", "per epoch", "per step"]
    whole = result["all sources"]
    assert whole["runs"] == result["per epoch"]["runs"] + result["per step"]["runs"]
    assert set(whole["causes"]) <= set(CAUSES)
    assert whole["difference"]["log_loss"] == {"value": 0, "low": 0, "high": 0, "below": 0}
    assert 0 < whole["new"]["figures"]["top1"]["value"] < 1
