"""Corpus -> bundle, end to end on a small scale."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import curvet.train
from curvet.bundle import load_bundle
from curvet.causes import CAUSES, TeamCause
from curvet.classifiers import Cnn, Inputs, Mlp, Tabular
from curvet.classifiers.nets import NetTraining
from curvet.errors import CorpusError, LabelError
from curvet.evaluate import VIEWS, evaluate
from curvet.features import FEATURES
from curvet.labelled import (
    REAL,
    Labelled,
    corpus_seed,
    join,
    load_labelled,
    load_splits,
    split,
)
from curvet.labels import Label, Labels
from curvet.predictor import Predictor, predict_cause
from curvet.prior import LOST, PRIOR
from curvet.recipe import Trace
from curvet.retrain.gate import Tolerance
from curvet.retrain.job import STEPS, learn, lesson_to_text
from curvet.retrain.publish import publish
from curvet.simulate import bases, corpus, jobs
from curvet.simulate.corpus import (
    CORPUS_FORMAT,
    LOGS_PER_REAL_RUN,
    LOGS_PER_RUN,
    Example,
    Training,
    read_corpus,
    simulate,
)
from curvet.simulate.loggers import Logger, log
from curvet.standardise import IMAGE_CHANNELS, OPTIONAL
from curvet.train import drop_channels, train

N_ROUNDS = 15
LABEL, LOG = corpus.label, corpus._log


def made_up(cause: int, rng: np.random.Generator) -> Trace:
    """Make a trace whose shape depends on the cause."""
    n = int(rng.choice([10, 40, 130]))
    loss = 0.1 + np.exp(-0.5 * cause * np.linspace(0, 1, n)) + 0.03 * rng.random(n)
    loss[n // 2 :] *= 1 + cause % 3
    step, at = np.arange(n, dtype=float), np.arange(0, n, 3)
    norm = 1 + cause * rng.random(n)
    return Trace(step, loss, norm, np.linspace(1, 0.1, n), at, 1.1 * loss[at], 7)


def write_corpus(folder: Path, n_rounds: int = N_ROUNDS, real: bool = False) -> Path:
    """Write rounds of made-up runs: one base, every cause."""
    folder.mkdir()
    for number in range(n_rounds):
        rng = np.random.default_rng(number)
        net = "mlp2" if number % 2 else "gru1"
        trainings = [
            Training(made_up(k, rng), key, "", f"{number}-0", "teacher", net, "{}")
            for k, key in enumerate(CAUSES)
        ]
        corpus._write_shard(corpus._shard_path(folder, number), trainings)
    manifest = {"format": CORPUS_FORMAT, "seed": 5, "runs": n_rounds * len(CAUSES)}
    manifest |= {"rounds": n_rounds, "last": len(CAUSES), "real": real}
    (folder / "corpus.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(autouse=True, scope="module")
def every_run_is_labelled() -> Iterator[None]:
    """Made-up runs do no harm that a cause would know; they are labelled and logged alike."""

    def log_alike(training: Training, twin: Trace, ways: int, rng: object) -> Iterator[Example]:
        run = log(training.trace, Logger("step", 1), training.base)
        yield from [Example(run, training, "step")] * ways

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "label", lambda trainings: [(t, t.trace) for t in trainings])
        patch.setattr(corpus, "_log", log_alike)
        yield


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpora") / "small")


@pytest.fixture(scope="module")
def labelled(small_corpus: Path) -> Labelled:
    return load_labelled(small_corpus)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the classifiers small: seconds in place of an hour."""
    tabular = partial(Tabular, iterations=4, min_leaf=4, leaves=6, n_features=60)
    cnn = partial(Cnn, training=NetTraining(1, 3e-3, 1))
    mlp = partial(Mlp, training=NetTraining(2, 2e-3, 1), hidden=32)
    monkeypatch.setattr(curvet.train, "CLASSIFIERS", (tabular, mlp, cnn))
    monkeypatch.setattr(curvet.train, "Tabular", tabular)
    monkeypatch.setattr(curvet.train, "Mlp", mlp)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_corpus_becomes_a_bundle(small_corpus: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    train([small_corpus], tmp_path / "a" / "mine", 3, lambda *done: calls.append(done))
    assert calls[0] == (0, 100)
    assert calls[-1] == (100, 100)
    assert calls == sorted(calls)

    train([small_corpus], tmp_path / "b" / "mine", 3)
    assert hashes(tmp_path / "a" / "mine") == hashes(tmp_path / "b" / "mine")
    train([small_corpus], tmp_path / "c", 4)
    other = hashes(tmp_path / "c")
    for name in ("tabular.npz", "mlp.safetensors", "cnn.safetensors", "novelty.npz"):
        assert other[name] != hashes(tmp_path / "a" / "mine")[name]

    bundle = load_bundle(tmp_path / "a" / "mine")
    manifest = bundle.manifest
    assert bundle.causes == tuple(CAUSES)
    assert manifest["seed"] == 3
    assert manifest["corpus"] == {
        "seed": 5,
        "real": False,
        "runs": N_ROUNDS * len(CAUSES),
        "logs": N_ROUNDS * len(CAUSES) * LOGS_PER_RUN,
        "rounds": N_ROUNDS,
        "causes": dict.fromkeys(CAUSES, N_ROUNDS * LOGS_PER_RUN),
    }
    assert manifest["prior"] == pytest.approx(PRIOR)
    assert manifest["commands"] == [
        f"curvet simulate --runs {N_ROUNDS * len(CAUSES)} --out small --seed 5",
        "curvet train --corpus small --out mine --seed 3",
    ]
    fitted = bundle.calibration
    assert sum(fitted.weights) == pytest.approx(1)
    assert fitted.temperature > 0
    assert all(0 <= threshold <= 1 for threshold in fitted.thresholds)
    assert set(manifest["scores"]) == set(VIEWS)
    for figures in manifest["scores"].values():
        assert figures["runs"] == len(CAUSES) * LOGS_PER_RUN  # one round
        for name in ("top1", "top3", "macro_f1", "calibration_error", "coverage"):
            assert 0 <= figures[name] <= 1
    # More than chance, on rounds that no part of the training has seen.
    assert manifest["scores"]["all channels"]["top3"] > 1.2 * 3 / len(CAUSES)

    scored = evaluate(tmp_path / "a" / "mine", corpus=small_corpus)
    assert scored["bundle"] == bundle.name
    found, expected = scored["simulated"], manifest["scores"]
    for view, figures in expected.items():
        for name in ("runs", "top1", "log_loss", "coverage", "set_size"):
            assert found[view][name] == pytest.approx(figures[name]), (view, name)

    found = predict_cause(np.geomspace(1, 0.1, 40), bundle=Predictor(bundle))
    assert sum(found.probabilities.values()) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_real_trainings_are_learned_from_beside_simulated_ones(
    small_corpus: Path, tmp_path: Path
) -> None:
    real = write_corpus(tmp_path / "real", n_rounds=11, real=True)
    train([small_corpus, real], tmp_path / "both", 3)
    manifest = load_bundle(tmp_path / "both").manifest
    assert manifest["corpus"]["rounds"] == N_ROUNDS
    (beside,) = manifest["beside"]
    assert (beside["rounds"], beside["logs"]) == (11, 11 * len(CAUSES) * LOGS_PER_REAL_RUN)
    assert (
        manifest["commands"][-1] == "curvet train --corpus small --corpus real --out both --seed 3"
    )
    # The scores are of simulated rounds alone: of the real ones none is kept back.
    assert manifest["scores"]["all channels"]["runs"] == len(CAUSES) * LOGS_PER_RUN
    with pytest.raises(CorpusError, match="has learned from it"):
        evaluate(tmp_path / "both", real)
    scored = evaluate(tmp_path / "both", small_corpus)["simulated"]
    assert scored["all channels"]["runs"] == len(CAUSES) * LOGS_PER_RUN


def test_a_real_training_counts_as_many_simulated_ones(small_corpus: Path, tmp_path: Path) -> None:
    real = write_corpus(tmp_path / "real", n_rounds=10, real=True)
    splits = load_splits([small_corpus, real], 3)
    both = join([parts[0] for parts in splits])
    of_real = both.real
    assert of_real.sum() == 9 * len(CAUSES) * LOGS_PER_REAL_RUN
    assert [len(set(part.group)) for part in splits[1]] == [9, 1, 0]
    assert not set(both.base[of_real]) & set(both.base[~of_real])
    for key, cause in enumerate(CAUSES):
        mine = both.y == key
        assert both.weight[mine].sum() / both.weight.sum() == pytest.approx(PRIOR[cause])
        ratio = both.weight[mine & of_real].mean() / both.weight[mine & ~of_real].mean()
        assert ratio * LOGS_PER_REAL_RUN == pytest.approx(REAL * LOGS_PER_RUN)


def test_of_real_trainings_as_many_logs_can_be_chosen(small_corpus: Path, tmp_path: Path) -> None:
    real = load_labelled(write_corpus(tmp_path / "real", n_rounds=10, real=True))
    both = join([load_labelled(small_corpus), real])
    chosen, of_real = both.as_often(0), both.real
    assert of_real.sum() == len(real.y)
    assert chosen[~of_real].all()
    assert chosen[of_real].mean() == pytest.approx(LOGS_PER_RUN / LOGS_PER_REAL_RUN, abs=0.05)
    np.testing.assert_array_equal(chosen, both.as_often(0))


@pytest.mark.usefixtures("quick")
def test_a_corpus_too_small_to_calibrate_is_refused(tmp_path: Path) -> None:
    few = write_corpus(tmp_path / "few", n_rounds=9)
    with pytest.raises(CorpusError, match=r"9 rounds is too small .* at least 1,000 runs"):
        train([few], tmp_path / "out")
    with pytest.raises(CorpusError, match=r"no corpus\.json"):
        train([tmp_path / "nowhere"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_corpus_is_read_as_it_is(small_corpus: Path) -> None:
    calls: list[tuple[int, int]] = []
    labelled = load_labelled(small_corpus, lambda *done: calls.append(done))
    examples = list(read_corpus(small_corpus))
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1] > 0
    n = N_ROUNDS * len(CAUSES) * LOGS_PER_RUN
    assert len(labelled.inputs) == len(labelled.y) == len(labelled.group) == len(examples) == n
    assert [list(CAUSES)[k] for k in labelled.y] == [example.cause for example in examples]
    assert labelled.group.tolist() == [example.family for example in examples]
    has = [f"has_{channel}" for channel in OPTIONAL]
    rows = [IMAGE_CHANNELS.index(name) for name in has]
    assert (labelled.inputs.image[:, rows] == 1).all()
    assert corpus_seed(small_corpus) == 5
    part = labelled.part(np.array([4, 1]))
    for name, value in (
        ("group", [e.family for e in examples]),
        ("base", [e.training.base for e in examples]),
        ("task", [e.training.task for e in examples]),
        ("net", [e.training.net for e in examples]),
        ("style", [e.style for e in examples]),
    ):
        assert getattr(labelled, name).tolist() == value
        assert getattr(part, name).tolist() == [value[4], value[1]]
    assert set(labelled.net) == {"mlp2", "gru1"}
    np.testing.assert_array_equal(part.inputs.table[0], labelled.inputs.table[4])


@pytest.mark.parametrize("seed", range(4))
def test_the_runs_of_a_round_stay_on_one_side(seed: int, labelled: Labelled) -> None:
    parts = split(labelled, seed)
    groups = [set(part.group) for part in parts]
    assert [len(some) for some in groups] == [12, 2, 1]
    assert set.union(*groups) == set(labelled.group)
    assert sum(len(part.y) for part in parts) == len(labelled.y)
    for again, part in zip(split(labelled, seed), parts, strict=True):
        np.testing.assert_array_equal(again.group, part.group)
    assert set(split(labelled, seed + 10)[0].group) != groups[0]


def test_weights_give_every_cause_its_prior(labelled: Labelled) -> None:
    some = labelled.part(np.flatnonzero((labelled.y != 2) | (np.arange(len(labelled.y)) % 3 == 0)))
    weight = some.weight
    assert weight.mean() == pytest.approx(1)
    assert sum(PRIOR.values()) == pytest.approx(1)
    for k, share in enumerate(PRIOR.values()):
        assert weight[some.y == k].sum() / weight.sum() == pytest.approx(share)


def test_runs_that_end_in_nan_count_as_often_as_they_are_met(labelled: Labelled) -> None:
    table = labelled.inputs.table.copy()
    lost = np.arange(len(table)) % 3 == 0
    table[:, FEATURES.index("run__ends_nonfinite")] = lost
    some = replace(labelled, inputs=Inputs(table, labelled.inputs.image))
    for k, (cause, share) in enumerate(PRIOR.items()):
        mine = some.y == k
        assert some.weight[mine].sum() / some.weight.sum() == pytest.approx(share)
        ended = some.weight[mine & lost].sum() / some.weight[mine].sum()
        assert ended == pytest.approx(LOST.get(cause, (mine & lost).sum() / mine.sum()))


def test_runs_of_two_causes_count_half_under_each(labelled: Labelled) -> None:
    also = np.where(np.arange(len(labelled.y)) % 5 == 0, (labelled.y + 3) % len(CAUSES), -1)
    some = replace(labelled, also=also)
    each = some.under_each()
    n, n_two = len(some.y), int(some.both.sum())
    assert len(each.y) == n + n_two
    np.testing.assert_array_equal(each.y[:n], some.y)
    np.testing.assert_array_equal(each.y[n:], also[some.both])
    np.testing.assert_array_equal(each.also[n:], some.y[some.both])
    np.testing.assert_array_equal(each.inputs.table[n:], some.inputs.table[some.both])
    np.testing.assert_array_equal(labelled.also, -1)
    weight = each.weight
    for k, share in enumerate(PRIOR.values()):
        mine = each.y == k
        assert weight[mine].sum() / weight.sum() == pytest.approx(share)
        if each.both[mine].any():
            one, two = weight[mine & ~each.both].mean(), weight[mine & each.both].mean()
            assert two == pytest.approx(one / 2)


def test_channels_are_dropped_by_chance_and_the_same_again(labelled: Labelled) -> None:
    inputs = labelled.inputs
    before = inputs.table.copy()
    one, two = (drop_channels(inputs, np.random.default_rng(0)) for _ in range(2))
    np.testing.assert_array_equal(one.table, two.table)
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(inputs.table, before)
    for channel in OPTIONAL:
        kept = one.image[:, IMAGE_CHANNELS.index(f"has_{channel}")].mean()
        assert 0.3 < kept < 0.85


def test_plain_runs_are_there_once(labelled: Labelled, small_corpus: Path) -> None:
    plain = load_labelled(small_corpus, styled=False)
    assert len(plain.y) * LOGS_PER_RUN == len(labelled.y)
    assert set(plain.style) == {"step"}


def test_simulated_runs_can_be_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "BASES_PER_ROUND", 1)
    monkeypatch.setattr(jobs, "DRAWS", dict.fromkeys(CAUSES, 1))
    monkeypatch.setattr(corpus, "label", LABEL)
    monkeypatch.setattr(corpus, "_log", LOG)
    draw = corpus.draw_bases
    monkeypatch.setattr(
        corpus,
        "draw_bases",
        lambda rng: [replace(base, n_steps=60, batch_size=8) for base in draw(rng)],
    )
    simulate(tmp_path, 4, seed=1)
    labelled = load_labelled(tmp_path)
    assert len(labelled.y) == 4 * LOGS_PER_RUN
    assert np.isfinite(labelled.inputs.table).any(1).all()
    assert np.isfinite(labelled.inputs.image).all()
    assert set(labelled.y) <= set(range(len(CAUSES)))


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_classifiers_are_trained_anew_on_a_team_s_runs_too(
    root: Path, small_corpus: Path, tmp_path: Path
) -> None:
    archive = root / "data" / "team" / "runs.zip"
    with (root / "data" / "team" / "truth.csv").open(newline="") as file:
        truth = {row["run_id"]: row["cause"] for row in csv.DictReader(file)}
    own = TeamCause("repeated_shard", "The loader repeats a shard")
    rows = tuple(
        Label(run_id, (cause,), "ann", datetime(2026, 1, 5, tzinfo=UTC))
        for run_id, cause in list(truth.items())[::3]
    )
    labels = Labels(rows, {own.key: own}, "labels")
    base = load_bundle()
    told: list[tuple[str, int, int | None]] = []
    lesson = learn(
        base,
        labels,
        [archive],
        leave_out=["precision_overflow"],
        depth="all",
        corpora=[small_corpus],
        progress=lambda *done: told.append(done),
    )
    assert lesson.made["learned"] == "all"
    assert {step for step, _, _ in told} == set(STEPS[:3])
    assert "all classifiers are trained anew" in lesson_to_text(lesson)
    assert lesson.base.classes == lesson.causes
    assert own.key in lesson.causes
    assert "precision_overflow" not in lesson.causes
    # A fifth of the runs is held out of the classifiers, by whole sweeps, and compared on.
    assert 0.1 < len(lesson.runs) / len(rows) < 0.3
    assert len(np.unique(lesson.groups)) > 5
    outcome = publish(lesson, tmp_path / "team", field=None, tolerance=Tolerance(), force=True)
    bundle = load_bundle(tmp_path / "team")
    assert outcome.installed
    p = bundle.probabilities(lesson.runs.inputs)
    assert p.shape == (len(lesson.runs), len(CAUSES))
    assert np.allclose(p.sum(1), 1)
    again = learn(
        base,
        labels,
        [archive],
        depth="all",
        corpora=[small_corpus],
        leave_out=["precision_overflow"],
    )
    assert np.array_equal(again.held_out, lesson.held_out)


def test_all_cannot_be_learned_without_a_corpus(root: Path) -> None:
    for depth, message in (("all", "make some with `curvet simulate`"), ("more", "accepted: auto")):
        with pytest.raises(LabelError, match=message):
            learn(load_bundle(), Labels(()), [root / "data" / "team"], depth=depth)
