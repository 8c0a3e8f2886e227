"""One run through every door gives one answer; what is no run is refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import curvet
from curvet import Curve, CurvetError, Diagnosis, Run, predict_cause
from curvet.causes import CAUSES, title_of
from curvet.cli import main
from curvet.errors import CurveError, NoLossError, ReadError
from curvet.predictor import LONGEST, UNLIKE, Predictor
from curvet.standardise import MIN_POINTS

from .test_bundle import make_bundle

RNG = np.random.default_rng(0)
N = 60
LOSS = np.round(0.2 + 2 * np.exp(-np.arange(N) / 15) + 0.05 * RNG.random(N), 6)
VAL = np.round(LOSS + 0.1 + np.linspace(0, 0.3, N), 6)
NORM = np.round(1 + RNG.random(N), 6)
LR = np.linspace(0.1, 0.01, N)
STEP = np.arange(N) * 10.0
CHANNELS = {"loss": LOSS, "val_loss": VAL, "grad_norm": NORM, "learning_rate": LR}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle of this curvet: its answers differ from run to run, which is enough here."""
    folder = tmp_path_factory.mktemp("bundles") / "small"
    make_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def ask(bundle: Path) -> Callable[..., Diagnosis]:
    loaded = Predictor.load(bundle)
    return lambda curve, **others: predict_cause(curve, bundle=loaded, **others)


def assert_same(found: Diagnosis, expected: Diagnosis, atol: float = 1e-6) -> None:
    assert found.cause == expected.cause
    assert found.likely == expected.likely
    assert set(found.probabilities) == set(expected.probabilities)
    for key, probability in expected.probabilities.items():
        assert found.probabilities[key] == pytest.approx(probability, abs=atol)
    assert found.n_points == expected.n_points
    assert found.channels == expected.channels


def runs(n: int, seed: int = 1) -> list[Run]:
    """Runs of many lengths and channels."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        length = int(rng.choice([5, 20, 90, 400]))
        loss = 0.3 + np.exp(-rng.uniform(0, 6) * np.linspace(0, 1, length))
        loss += 0.1 * rng.random(length) ** 2
        curves = {"loss": Curve.of("loss", loss)}
        if rng.random() < 0.5:
            curves["val_loss"] = Curve.of("val_loss", loss[::2] * 1.2)
        if rng.random() < 0.5:
            curves["grad_norm"] = Curve.of("grad_norm", rng.random(length))
        made.append(Run(f"run {number}", "", curves))
    return made


# What an answer is made of


def test_an_answer(ask: Callable[..., Diagnosis], bundle: Path) -> None:
    for run in runs(20):
        found = ask(run)
        p = list(found.probabilities.values())
        assert set(found.probabilities) == set(CAUSES)
        assert sum(p) == pytest.approx(1, abs=1e-9)
        assert p == sorted(p, reverse=True)
        assert all(0 <= value <= 1 for value in p)
        assert found.likely == tuple(found.probabilities)[: len(found.likely)]
        assert found.likely
        assert found.novelty is not None
        unlike, undecided = found.novelty > UNLIKE, len(found.likely) > LONGEST * len(CAUSES)
        if unlike or undecided:
            begins = "unlike anything" if unlike else "too early to tell: "
            assert (found.cause, found.probability) == (None, None)
            assert found.reason.startswith(begins)
            assert found.reason in " ".join(str(found).split())
        else:
            assert (found.cause, found.probability) == (next(iter(found.probabilities)), p[0])
            assert found.reason == ""
            assert title_of(next(iter(found.probabilities))) in str(found)
        assert found.run_id == run.id
        assert found.n_points == len(run.curves["loss"])
        assert found.bundle.startswith("small-")
        json.dumps(found.to_dict(), allow_nan=False)


def test_batch_and_single_agree(bundle: Path) -> None:
    predictor, some = Predictor.load(bundle), runs(30)
    together = predictor.diagnose_many(some)
    assert len({repr(found.probabilities) for found in together}) > 10
    for run, found in zip(some, together, strict=True):
        assert_same(found, predictor.diagnose(run))
        assert found.run_id == run.id
    for found, again in zip(together[::-1], predictor.diagnose_many(some[::-1]), strict=True):
        assert_same(again, found)


def test_a_batch_with_runs_that_are_too_short(bundle: Path) -> None:
    predictor, (one, two) = Predictor.load(bundle), runs(2)
    short = Run("short", "", {"loss": Curve.of("loss", [1.0, 0.9])})
    found = predictor.diagnose_many([short, one, short, two])
    assert [answer.run_id for answer in found] == ["short", one.id, "short", two.id]
    assert [answer.cause is None for answer in found] == [True, False, True, False]
    assert_same(found[1], predictor.diagnose(one))
    assert_same(found[3], predictor.diagnose(two))


def test_no_runs_no_answers(bundle: Path) -> None:
    assert Predictor.load(bundle).diagnose_many([]) == []


# What can be handed in


@pytest.mark.parametrize(
    "curve",
    [
        LOSS.tolist(),
        tuple(LOSS),
        LOSS,
        LOSS.astype(object),
        pd.Series(LOSS),
        pd.Series(LOSS, index=[f"row {i}" for i in range(N)]),
        pd.Series(LOSS, dtype="Float64"),
        {"loss": LOSS},
        {"train_loss": LOSS.tolist()},
        pd.DataFrame({"loss": LOSS}),
        Run("one", "", {"loss": Curve.of("loss", LOSS)}),
    ],
    ids=lambda curve: type(curve).__name__,
)
def test_a_loss_in_any_form(curve: Any, ask: Callable[..., Diagnosis]) -> None:
    assert_same(ask(curve), ask(Run("x", "", {"loss": Curve.of("loss", LOSS)})), 1e-12)


@pytest.mark.parametrize(
    "curve",
    [
        pd.Series(LOSS, index=STEP),
        pd.DataFrame({"step": STEP, "train/loss": LOSS}),
        {"step": STEP, "loss": LOSS},
    ],
    ids=lambda curve: type(curve).__name__,
)
def test_a_loss_with_steps_in_any_form(curve: Any, ask: Callable[..., Diagnosis]) -> None:
    assert_same(ask(curve), ask({"loss": Curve.of("loss", LOSS, STEP)}), 1e-12)


def test_torch_and_float32(ask: Callable[..., Diagnosis]) -> None:
    import torch

    assert_same(ask(torch.tensor(LOSS)), ask(LOSS), 1e-12)
    assert_same(ask(LOSS.astype(np.float32)), ask(LOSS), 1e-3)


@pytest.mark.parametrize(
    "curve",
    [
        CHANNELS,
        {key: value.tolist() for key, value in CHANNELS.items()},
        {"loss": LOSS, "val": VAL, "grad_norm": NORM, "lr": LR},
        {**CHANNELS, "accuracy": np.linspace(0, 1, N), "note": ["words"] * N},
        pd.DataFrame(CHANNELS),
        Run("x", "", {key: Curve.of(key, value) for key, value in CHANNELS.items()}),
    ],
    ids=lambda curve: type(curve).__name__,
)
def test_all_channels_in_any_form(curve: Any, ask: Callable[..., Diagnosis]) -> None:
    expected = ask(LOSS, val=VAL, grad_norm=NORM, lr=LR)
    assert expected.channels == ("loss", "val", "grad_norm", "lr")
    assert_same(ask(curve), expected, 1e-12)
    assert expected.probabilities != ask(LOSS).probabilities


@pytest.mark.parametrize(
    "curve",
    [
        {"step": STEP, **CHANNELS},
        pd.DataFrame({"step": STEP, **CHANNELS, "note": "words"}),
        pd.DataFrame({"epoch": STEP, "iteration": STEP, **CHANNELS}),
    ],
    ids=lambda curve: type(curve).__name__,
)
def test_all_channels_with_steps_in_any_form(curve: Any, ask: Callable[..., Diagnosis]) -> None:
    curves = {key: Curve.of(key, value, STEP) for key, value in CHANNELS.items()}
    assert_same(ask(curve), ask(Run("x", "", curves)), 1e-12)


def test_what_keras_remembers(ask: Callable[..., Diagnosis]) -> None:
    history = {
        "accuracy": np.linspace(0.1, 0.9, N).tolist(),
        "loss": LOSS.tolist(),
        "val_accuracy": np.linspace(0.1, 0.8, N).tolist(),
        "val_loss": VAL.tolist(),
        "lr": LR.tolist(),
    }
    assert_same(ask(history), ask(LOSS, val=VAL, lr=LR), 1e-12)


def test_the_steps_of_a_table_are_those_of_the_facts(ask: Callable[..., Diagnosis]) -> None:
    loss = LOSS.copy()
    loss[40:] = np.nan
    for table in ({"step": STEP, "loss": loss}, pd.DataFrame({"step": STEP, "loss": loss})):
        (fact,) = [fact for fact in ask(table).evidence if fact.kind == "first_nonfinite"]
        assert fact.steps == (400,)
    (fact,) = [
        fact for fact in ask(pd.Series(loss, index=STEP)).evidence if fact.kind == "first_nonfinite"
    ]
    assert fact.steps == (400,)


def test_cells_left_empty_were_not_logged(ask: Callable[..., Diagnosis]) -> None:
    rare = np.where(np.arange(N) % 5 == 4, VAL, np.nan)
    table = pd.DataFrame({"step": STEP, "loss": LOSS, "val_loss": rare})
    expected = Run(
        "x",
        "",
        {
            "loss": Curve.of("loss", LOSS, STEP),
            "val_loss": Curve.of("val_loss", VAL[4::5], STEP[4::5]),
        },
    )
    assert_same(ask(table), ask(expected), 1e-12)
    alternating = pd.DataFrame(
        {
            "step": np.repeat(STEP, 2),
            "loss": np.c_[LOSS, np.full(N, np.nan)].ravel(),
            "val_loss": np.c_[np.full(N, np.nan), VAL].ravel(),
        }
    )
    both = {tag: Curve.of(tag, value, STEP) for tag, value in (("loss", LOSS), ("val_loss", VAL))}
    assert_same(ask(alternating), ask(Run("x", "", both)), 1e-12)


def test_a_loss_that_turned_nan_stays_nan(ask: Callable[..., Diagnosis]) -> None:
    loss = np.where(np.arange(N) < 40, LOSS, np.nan)
    expected = ask(loss, val=VAL)
    assert expected.n_points == N
    assert_same(ask(pd.DataFrame({"loss": loss, "val_loss": VAL})), expected, 1e-12)
    assert_same(ask(pd.DataFrame({"loss": loss})), ask(loss), 1e-12)


def test_further_channels_win(ask: Callable[..., Diagnosis]) -> None:
    whole = ask(LOSS, val=VAL, grad_norm=NORM)
    assert_same(ask({"loss": LOSS, "val_loss": LOSS, "grad_norm": NORM}, val=VAL), whole, 1e-12)
    run = Run("named", "there", {"loss": Curve.of("loss", LOSS)})
    found = ask(run, val=VAL.tolist(), grad_norm=pd.Series(NORM))
    assert_same(found, whole, 1e-12)
    assert (found.run_id, found.source) == ("named", "there")
    assert_same(ask(LOSS, val=VAL[::7]), ask({"loss": LOSS, "val": VAL[::7]}), 1e-12)


def test_what_is_handed_in_is_left_alone(ask: Callable[..., Diagnosis]) -> None:
    table = pd.DataFrame({"step": STEP, **CHANNELS})
    before = table.copy()
    ask(table)
    pd.testing.assert_frame_equal(table, before)
    loss = LOSS.copy()
    loss.flags.writeable = False
    ask(loss)


# One run through all doors


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "log.csv"
    pd.DataFrame({"step": STEP, **CHANNELS}).to_csv(path, index=False)
    return path


def test_file_python_and_command_line_agree(
    log: Path, bundle: Path, ask: Callable[..., Diagnosis]
) -> None:
    expected = ask(pd.read_csv(log))
    (run,) = curvet.read(log)
    by_name = predict_cause(str(log), bundle=str(bundle))
    for found in (ask(log), ask(str(log)), ask(run), by_name):
        assert_same(found, expected)
        assert found.source == str(log)
    words = ["diagnose", str(log), "--format", "json", "--bundle", str(bundle)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)["runs"]
    assert record["cause"] == expected.cause
    assert record["likely"] == list(expected.likely)
    for key, probability in expected.probabilities.items():
        assert record["probabilities"][key] == pytest.approx(probability, abs=1e-6)
    assert record["evidence"] == expected.to_dict()["evidence"]
    assert record["bundle"] == expected.bundle == by_name.bundle


def test_a_file_of_another_format_agrees(tmp_path: Path, ask: Callable[..., Diagnosis]) -> None:
    lines = [
        json.dumps({"step": int(step), **{name: float(x[i]) for name, x in CHANNELS.items()}})
        for i, step in enumerate(STEP)
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    expected = ask(pd.DataFrame({"step": STEP, **CHANNELS}))
    assert_same(ask(tmp_path / "log.jsonl"), expected)


def test_a_bundle_by_path_is_loaded_once(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curvet.predictor._loaded", {})
    first = predict_cause(LOSS, bundle=bundle)
    monkeypatch.setattr(
        "curvet.predictor.load_bundle", lambda folder: pytest.fail(f"loads {folder} again")
    )
    assert_same(predict_cause(LOSS, bundle=str(bundle)), first, 0)


# What is refused


@pytest.mark.parametrize("n", range(1, MIN_POINTS))
def test_too_early_to_tell(n: int, ask: Callable[..., Diagnosis]) -> None:
    found = ask(LOSS[:n], val=VAL[:n])
    points = "1 point" if n == 1 else f"{n} points"
    assert found.reason == (
        f"too early to tell: {points} of training loss, at least {MIN_POINTS} are needed"
    )
    assert found.cause is found.probability is None
    assert found.probabilities == {}
    assert found.likely == ()
    assert found.n_points == n
    assert found.reason in str(found)
    json.dumps(found.to_dict(), allow_nan=False)
    assert ask(LOSS[:MIN_POINTS]).cause is not None


def test_early_nan_is_not_too_early(ask: Callable[..., Diagnosis]) -> None:
    assert "at least" not in ask([2.0, 2.1, *[np.nan] * 8]).reason
    assert "at least 5" in ask([2.0, np.nan]).reason


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
def test_nothing_but_nan(bad: Any, ask: Callable[..., Diagnosis]) -> None:
    with pytest.raises(CurveError, match="run: all 12 values of 'loss' are NaN or infinite, so"):
        ask([bad] * 12)


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (["low", "lower"], "loss: expected numbers, but found"),
        ([[1.0, 2.0], [3.0, 4.0]], r"loss: expected one dimension, but found shape \(2, 2\)"),
        (3.0, r"expected one dimension, but found shape \(\)"),
        ([[1.0], [2.0, 3.0]], "loss: expected numbers"),
        (None, "loss: expected numbers, but found None; pass one number a step"),
        ([1 + 2j, 2.0], "loss: expected numbers"),
        ({"loss": "falling"}, "loss: expected numbers"),
        ({"loss": LOSS, "val": ["a", "b"]}, "val_loss: expected numbers"),
        ({"step": ["a", "b"], "loss": [1.0, 2.0]}, "step: expected numbers"),
    ],
)
def test_what_is_no_curve(curve: Any, message: str, ask: Callable[..., Diagnosis]) -> None:
    with pytest.raises(CurveError, match=message):
        ask(curve)


@pytest.mark.parametrize("name", ["val", "grad_norm", "lr"])
def test_a_further_channel_that_is_no_curve(name: str, ask: Callable[..., Diagnosis]) -> None:
    for bad in ("text", [["a"]], np.ones((2, 2)), 1.0):
        with pytest.raises(CurveError, match="expected"):
            ask(LOSS, **{name: bad})


def test_lengths_that_differ() -> None:
    with pytest.raises(CurveError, match="loss: 3 values but 2 steps; give one step per value"):
        Curve.of("loss", [1, 2, 3], [1, 2])


def test_channels_may_have_lengths_of_their_own(ask: Callable[..., Diagnosis]) -> None:
    found = ask({"loss": LOSS, "val_loss": VAL[:7], "grad_norm": NORM[:1], "lr": []})
    assert found.channels == ("loss", "val", "grad_norm")


@pytest.mark.parametrize("curve", [[], {}, {"loss": []}, {"val_loss": VAL}, pd.DataFrame()])
def test_no_training_loss(curve: Any, ask: Callable[..., Diagnosis]) -> None:
    with pytest.raises(NoLossError, match=r"run: .*accepted names: loss, train/loss, "):
        ask(curve)


def test_files_that_are_no_run(tmp_path: Path, ask: Callable[..., Diagnosis]) -> None:
    with pytest.raises(ReadError, match=r"nowhere\.csv"):
        ask(tmp_path / "nowhere.csv")
    with pytest.raises(CurvetError, match="nowhere"):
        ask("nowhere/at all")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(CurvetError, match=r"empty\.csv"):
        ask(tmp_path / "empty.csv")
    for name in ("a.csv", "b.csv"):
        pd.DataFrame({"step": STEP, "loss": LOSS}).to_csv(tmp_path / name, index=False)
    (tmp_path / "empty.csv").unlink()
    with pytest.raises(CurveError, match=r"holds several runs \(a\.csv, b\.csv, \.\.\.\)"):
        ask(tmp_path)


def test_one_bad_run_stops_a_batch(bundle: Path) -> None:
    bad = Run("bad", "", {"accuracy": Curve.of("accuracy", [0.1, 0.2])})
    with pytest.raises(NoLossError, match="bad: "):
        Predictor.load(bundle).diagnose_many([*runs(2), bad])


# The shipped bundle


def diverging() -> NDArray[np.float64]:
    loss = 2.3 - 0.2 * np.arange(80) / 80
    loss[20:] *= np.exp(np.arange(60) / 6)
    return loss


def test_a_diverging_run_is_not_healthy() -> None:
    loss = diverging()
    for curve in (loss, np.where(np.arange(80) > 60, np.nan, loss), loss[:40]):
        found = predict_cause(curve)
        assert found.cause != "healthy"
        assert found.probabilities["healthy"] < 0.3


def test_a_sound_run_is_rather_healthy_than_diverging() -> None:
    sound = predict_cause(LOSS, val=LOSS + 0.02)
    assert sound.probabilities["healthy"] > predict_cause(diverging()).probabilities["healthy"]


def test_answers_to_one_run_are_equal_objects(ask: Callable[..., Diagnosis]) -> None:
    assert ask(LOSS) == ask(LOSS)
    assert replace(ask(LOSS), run_id="other") != ask(LOSS)


def test_a_loss_that_ends_as_nan_has_no_cause_that_cannot_do_that() -> None:
    loss = [*np.exp(-np.arange(40) / 10), *[np.nan] * 10]
    found = predict_cause(loss).probabilities
    calm = [key for key, cause in CAUSES.items() if not cause.may_diverge]
    assert "healthy" in calm
    assert sum(found[key] for key in calm) < 1e-5
    once = predict_cause([*loss[:20], np.nan, *loss[20:40]]).probabilities
    assert sum(once[key] for key in calm) > 0.01


def test_a_step_column_of_another_length_is_refused() -> None:
    with pytest.raises(CurveError, match=r"30 values but 10 steps"):
        predict_cause({"step": list(range(10)), "loss": [1.0] * 30})


def test_losses_that_are_tensors_with_gradients_are_refused() -> None:
    import torch

    losses = [torch.ones(1, requires_grad=True).sum() for _ in range(8)]
    with pytest.raises(CurveError, match="expected numbers"):
        predict_cause(losses)  # type: ignore[arg-type]


def test_values_near_the_largest_number_are_no_trouble() -> None:
    found = predict_cause([1.0, 1e308, -1e308, 1.0, 1.0, 1.0]).probabilities
    assert sum(found.values()) == pytest.approx(1)


def test_one_diagnosis_holds_its_run_and_many_do_not(predictor: Predictor) -> None:
    run = Run("a", "", {"loss": Curve.of("loss", np.geomspace(3, 1, 50))})
    assert predictor.diagnose(run).run is run
    assert predictor.diagnose_many([run])[0].run is None
    assert predictor.diagnose(run) == predictor.diagnose_many([run])[0]
