"""What a log cannot show: by the tool that wrote it, and by the curves themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from curvet import predict_cause
from curvet.causes import CAUSES
from curvet.limits import HIDES, limits_of
from curvet.readers import READERS, SERVERS, Reader, Server, read, wandb
from curvet.readers.habits import HUGGING_FACE, LIGHTNING, logging_of
from curvet.roles import assign
from curvet.run import UNKNOWN, Curve, Logging, Run
from curvet.texts import catalogue

ARCHIVES = Path(__file__).parent / "archives"
CASES = sorted(path.parent for path in ARCHIVES.glob("*/*/expected.json"))
BY_CHANNELS = {  # of any log with such curves, whatever the tool
    "hides_without_validation",
    "hides_without_gradient_norm",
    "hides_in_few_points",
    "hides_in_joined_runs",
    "hides_in_rounding",
    "hides_in_constant_loss",
}
FALL = 0.3 + np.exp(-np.arange(40) / 10) + 1e-7 * np.sin(np.arange(40.0) ** 2)


def run_of(
    loss: object, *, step: object = None, logging: Logging = UNKNOWN, **others: object
) -> Run:
    curves = {"loss": Curve.of("loss", loss, step)}  # type: ignore[arg-type]
    for tag, value in others.items():
        curves[tag] = Curve.of(tag, value)  # type: ignore[arg-type]
    return Run("a", "", curves, logging=logging)


def kinds(run: Run, *likely: str) -> list[str]:
    return [fact.kind for fact in limits_of(run, assign(run), likely)]


# --- the registries -------------------------------------------------------------------------


@pytest.mark.parametrize("reader", [*READERS, *SERVERS], ids=lambda reader: reader.name)
def test_every_reader_says_how_its_logs_were_made_or_why_nobody_knows(
    reader: Reader | Server,
) -> None:
    assert reader.logging.source != UNKNOWN.source
    says = reader.logging != Logging(reader.logging.source)
    assert says == any(mark in reader.logging.source for mark in ("https://", ".py"))


def test_kinds_causes_and_words_agree() -> None:
    written = {key.removeprefix("evidence.") for key in catalogue("en") if "hides_" in key}
    assert set(HIDES) == written
    assert {cause for causes in HIDES.values() for cause in causes} <= set(CAUSES)


# --- logs of real tools ---------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_what_the_log_of_a_tool_hides(case: Path) -> None:
    (log,) = (path for path in case.iterdir() if path.name != "expected.json")
    run = next(read(log))
    assert run.logging != UNKNOWN
    found = [kind for kind in kinds(run) if kind not in BY_CHANNELS]
    assert found == json.loads((case / "expected.json").read_text())["limits"]


def test_hugging_face_is_known_in_any_tracker() -> None:
    (run,) = read(ARCHIVES / "trainer_state/huggingface/out")
    curves = {f"train/{tag}": curve for tag, curve in run.curves.items() if "eval" not in tag}
    curves["train/epoch"] = Curve.of("train/epoch", [1.0, 2.0])
    assert logging_of(Run("a", "", curves), wandb.READER) == HUGGING_FACE
    assert logging_of(Run("a", "", {}), wandb.READER) == wandb.READER.logging


# --- by the curves --------------------------------------------------------------------------


def test_numbers_from_python_say_nothing_of_the_tool() -> None:
    assert kinds(run_of(FALL)) == ["hides_without_validation", "hides_without_gradient_norm"]
    norm = np.ones(40)
    assert kinds(run_of(FALL, val_loss=FALL[::4], grad_norm=norm)) == []
    assert kinds(run_of(FALL, val_loss=FALL, grad_norm=norm)) == ["hides_between_evaluations"]
    assert kinds(run_of(FALL, step=np.arange(40) * 50, val_loss=FALL, grad_norm=norm)) == [
        "hides_between_steps"
    ]
    assert kinds(run_of(FALL[:19]))[-1] == "hides_in_few_points"


def test_the_name_of_a_series_may_say_that_it_is_a_mean() -> None:
    run = Run("a", "", {"train_loss_epoch": Curve.of("train_loss_epoch", FALL)})
    assert kinds(run)[0] == "hides_epoch_means"


def test_a_log_every_k_steps_may_still_be_one_an_epoch() -> None:
    steps = 391 * np.arange(1, 41) - 1
    rare = run_of(FALL, step=steps, logging=LIGHTNING)
    assert kinds(rare)[0] == "hides_between_points"
    curves = {**rare.curves, "val_loss": Curve.of("val_loss", FALL, steps)}
    run = Run("a", "", curves, logging=LIGHTNING)
    assert kinds(run)[0] == "hides_between_evaluations"


def test_only_a_loss_that_looks_finite_may_hide_nan() -> None:
    for nonfinite in ("replaced", "dropped"):
        logging = Logging("a tool", nonfinite=nonfinite)  # type: ignore[arg-type]
        assert f"hides_{nonfinite}_nonfinite" in kinds(run_of(FALL, logging=logging))
        seen = run_of([*FALL, np.nan], logging=logging)
        assert f"hides_{nonfinite}_nonfinite" not in kinds(seen)


def test_signs_of_a_loss_that_was_nan() -> None:
    (fact,) = (
        fact
        for run in [run_of([*FALL[:10], 0.0, 0.0, *FALL[10:]])]
        for fact in limits_of(run, assign(run))
        if fact.kind == "hides_nonfinite_as_zero"
    )
    assert (fact.steps, fact.values) == ((10.0,), {"count": 2, "step": 10.0})
    assert "exactly 0 at 2 points, first at 10" in fact.text
    assert "hides_nonfinite_as_zero" in kinds(run_of([2.1, *[0.0] * 20]))
    fitted = np.maximum(1 - np.arange(40) / 30, 0.0)
    assert "hides_nonfinite_as_zero" not in kinds(run_of(fitted))
    assert "hides_nonfinite_as_zero" not in kinds(run_of([0.0] * 40))
    norm = np.where(np.arange(40) == 7, np.nan, 1.0)
    assert "hides_nonfinite_beside_norm" in kinds(run_of(FALL, grad_norm=norm))
    assert "hides_nonfinite_beside_norm" not in kinds(
        run_of(np.where(np.arange(40) == 7, np.nan, FALL), grad_norm=norm)
    )


def test_rounding_hides_a_slow_fall() -> None:
    slow = 0.693 - 1e-5 * np.arange(60)
    run = run_of(np.round(slow, 3))
    (fact,) = (f for f in limits_of(run, assign(run)) if f.kind == "hides_in_rounding")
    assert fact.values == {"digits": 3, "resolution": 0.001}
    assert "hides_in_rounding" not in kinds(run_of(slow))
    assert "hides_in_rounding" not in kinds(run_of(np.round(FALL, 2)))


def test_steps_that_go_back_may_be_several_runs() -> None:
    run = run_of([*FALL, *FALL], step=[*range(40), *range(40)])
    assert "hides_in_joined_runs" in kinds(run)


def test_only_what_could_be_is_worth_a_word() -> None:
    run = run_of(FALL[:10])
    assert kinds(run, "healthy", "overfitting") == kinds(run)
    assert kinds(run, "overfitting") == ["hides_without_validation"]
    assert kinds(run, "bad_data_batch", "exploding_gradients") == [
        "hides_without_gradient_norm",
        "hides_in_few_points",
    ]
    assert kinds(run, "wrong_loss") == []


def test_a_diagnosis_says_what_its_log_hides() -> None:
    found = predict_cause(ARCHIVES / "keras_csv/csv_logger/training.csv")
    assert found.limits
    assert all(set(HIDES[fact.kind]) & set(found.likely) for fact in found.limits) or (
        "healthy" in found.likely
    )
    early = predict_cause([2.0, 1.5])
    assert [fact.kind for fact in early.limits] == [
        "hides_without_validation",
        "hides_without_gradient_norm",
        "hides_in_few_points",
    ]
    assert early.limits[-1].text == "only 2 points: noise and short events cannot be judged"
