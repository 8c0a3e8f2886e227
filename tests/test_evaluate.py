"""Scores against scikit-learn's, and the two layouts of real runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score

from curvet.causes import CAUSES
from curvet.classifiers import Inputs
from curvet.errors import CorpusError
from curvet.evaluate import (
    VIEWS,
    _prefix,
    evaluate,
    intervals,
    score,
    score_pairs,
    score_prefixes,
)
from curvet.labelled import Labelled
from curvet.predictor import Predictor
from curvet.report.scores_as_text import scores_to_text
from curvet.run import Curve, Run
from curvet.trials import read_trial

REAL = Path(__file__).parents[1] / "data" / "real"
KEYS = list(CAUSES)


def test_figures_equal_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, len(KEYS), 400)
    p = rng.dirichlet(np.ones(len(KEYS)), 400)
    p[np.arange(400), y] += 0.3
    p /= p.sum(1, keepdims=True)
    weight = rng.uniform(0.5, 2, 400)
    top = p.argmax(1)
    figures = score(p, p >= 0.1, y, weight, KEYS)
    assert figures["macro_f1"] == pytest.approx(
        f1_score(y, top, average="macro", sample_weight=weight)
    )
    assert figures["log_loss"] == pytest.approx(log_loss(y, p, sample_weight=weight))
    recalls = recall_score(y, top, average=None, sample_weight=weight)
    precisions = precision_score(y, top, average=None, sample_weight=weight)
    for key, recall, precision in zip(KEYS, recalls, precisions, strict=True):
        assert figures["causes"][key]["recall"] == pytest.approx(recall)
        assert figures["causes"][key]["precision"] == pytest.approx(precision)
    assert figures["top1"] <= figures["top3"] <= 1


def test_intervals_hold_the_figures_and_widen_with_fewer_bases() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 600)
    top = np.where(rng.random(600) < 0.7, y, rng.integers(0, 4, 600))
    weight = np.ones(600)
    many = intervals(top, y, weight, np.arange(600).astype(str))
    few = intervals(top, y, weight, (np.arange(600) // 60).astype(str))
    macro = f1_score(y, top, average="macro")
    for found in (many, few):
        assert found["top1"][0] <= (top == y).mean() <= found["top1"][1]
        assert found["macro_f1"][0] <= macro <= found["macro_f1"][1]
    assert many["top1"][1] - many["top1"][0] == pytest.approx(4 * 0.42 / 600**0.5, rel=0.3)
    same = intervals(
        np.repeat([0, 1], 50), np.repeat([0, 0], 50), np.ones(100), np.repeat(["a", "b"], 50)
    )
    assert same["top1"] == (0.0, 1.0)


def made_up_pairs(y: list[int], also: list[int], base: list[str]) -> Labelled:
    none = Inputs(np.empty((len(y), 0), np.float32), np.empty((len(y), 0, 0), np.float32))
    text = np.array(base)
    return Labelled(none, np.array(y), np.array(also), *[text] * 5, np.ones(len(y)))


def test_both_causes_have_to_be_first() -> None:
    p = np.zeros((7, len(KEYS)))
    p[:, 5] = 0.2
    p[0, [1, 2]] = 0.5, 0.3  # both first
    p[1, [2, 1]] = 0.5, 0.3  # the other way round: both first, too
    p[2, [1, 2]] = 0.7, 0.1  # the second one is third
    p[3, [7, 8]] = 0.4, 0.3  # neither
    p[4, 1], p[5, 2], p[6, 3] = 0.9, 0.9, 0.9  # with one cause: found, found, not found
    bases = ["a", "a", "b", "c", "a", "a", "a"]
    labelled = made_up_pairs([1, 1, 1, 1, 1, 2, 2], [2, 2, 2, 2, -1, -1, -1], bases)
    found = score_pairs(p, p >= 0.3, labelled)
    assert found["runs"] == 4
    assert found["both_first"] == 0.5
    assert found["both_in_three"] == 0.75
    assert found["both_likely"] == 0.5
    assert found["names_one"] == 0.75
    assert found["interval"] == [0.0, 1.0]
    # Alone on base "a", cause 1 is always found, cause 2 in half; on the others nobody knows.
    assert found["alone_first"] == (0.5 + 0.5 + 0 + 0) / 4
    assert found["easy"] == 0
    sure = made_up_pairs([1, 1, 1, 1, 1, 2, 3], [2, 2, 2, 2, -1, -1, -1], bases)
    again = score_pairs(p, p >= 0.3, sure)
    assert (again["easy"], again["both_first_of_easy"], again["alone_first"]) == (2, 1.0, 0.5)


def test_a_prefix_is_diagnosed_as_far_as_the_run_had_come() -> None:
    predictor = Predictor.load()
    loss = 0.3 + 2 * np.exp(-np.linspace(0, 5, 200))
    run = Run(
        "a", "", {"loss": Curve.of("loss", loss), "val_loss": Curve.of("val_loss", loss[::9])}
    )
    short = Run("b", "", {"loss": Curve.of("loss", loss[:12])})
    y = np.array([KEYS.index("healthy")] * 2)
    found = score_prefixes(predictor, [run, short], y)
    assert list(found) == ["0.05", "0.1", "0.2", "0.5", "1"]
    assert found["0.05"]["too_short"] == 0.5  # of 12 points one is seen
    assert found["1"]["too_short"] == 0.0
    whole = predictor.diagnose_many([run, short])
    verdicts = [d.cause for d in whole]
    assert found["1"]["answered"] == np.mean([cause is not None for cause in verdicts])
    half = predictor.diagnose(
        Run("a", "", {"l": Curve.of("loss", loss[:100]), "v": Curve.of("val_loss", loss[::9][:12])})
    )
    assert predictor.diagnose(_prefix(run, 0.5)).probabilities == half.probabilities
    assert half.channels == whole[0].channels == ("loss", "val")


def test_the_field_trial_is_read_in_two_styles() -> None:
    trial = read_trial(REAL)
    labels = (REAL / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert Counter(t.group for t in trial) == dict.fromkeys(
        ("per step", "per epoch"), len(labels) - 1
    )
    assert {t.cause for t in trial} <= set(CAUSES)
    assert all("loss" in t.run.curves for t in trial)


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """Return a folder with an index, one sure label of three, and a NaN that must be kept."""
    lines = ["step,train_loss,val_loss,lr,grad_norm"]
    lines += [f"{i},{2.5 / (i + 1):.4f},{'' if i % 2 else 3 / (i + 1)},," for i in range(30)]
    lines += ["30,nan,,,"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    rows = ["id,repo,cause_label,confidence,curve_csv"]
    rows += ["a,x/y,healthy,high,a.csv", "b,x/y,unknown,high,a.csv", "c,x/y,healthy,low,a.csv"]
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_a_folder_of_curves_is_read_by_its_index(collected: Path) -> None:
    known, unknown = read_trial(collected)
    assert (known.cause, known.group, unknown.cause) == ("healthy", "x/y", "unknown")
    loss = known.run.curves["train_loss"]
    assert len(loss) == 31
    assert np.isnan(loss.value[-1])
    assert len(known.run.curves["val_loss"]) == 15
    assert set(known.run.curves) == {"train_loss", "val_loss"}


def test_evaluate_scores_known_causes_in_every_view(collected: Path) -> None:
    scores = evaluate(field=collected)
    assert set(scores["field"]) == {"all sources", "x/y"}
    assert set(scores["field"]["x/y"]) == set(VIEWS)
    assert scores["field"]["x/y"]["all channels"]["runs"] == 1
    text = scores_to_text(scores)
    assert "REAL: x/y" in text
    assert "healthy" in text


def test_nothing_to_score_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="name --corpus, --field or both"):
        evaluate()
    with pytest.raises(CorpusError, match=r"no labelled runs; expected runs\.jsonl\.xz or"):
        evaluate(field=tmp_path)
