"""What people hand in by mistake: a sensible answer, or an error that says what to do.

Everything goes through the public doors: `predict_cause`, and the command line on files.
"""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from curvet import CurvetError, Diagnosis, predict_cause
from curvet.cli import main
from curvet.errors import CurveError, NoLossError, ReadError
from curvet.roles import accuracy_in
from curvet.run import Curve
from curvet.trials import read_trial

N = 60
LOSS = np.round(0.2 + 2 * np.exp(-np.arange(N) / 15) + 0.02 * np.sin(np.arange(N) ** 2), 6)
ACCURACY = np.round(1 - 0.9 * np.exp(-np.arange(N) / 12), 6)
DATES = [datetime.datetime(2024, 1, 1, 10, minute) for minute in range(N)]
PLAIN = predict_cause(LOSS)


def table(path: Path, header: Sequence[str], *columns: Iterable[Any], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([header, *zip(*columns, strict=True)])
    return path


def command(path: Path) -> dict[str, Any]:
    """Diagnose one log on the command line."""
    result = CliRunner().invoke(main, ["diagnose", str(path), "--format", "json"])
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)["runs"]
    return dict(record)


def refused(path: Path) -> str:
    """Return the one line with which the command line refuses a log."""
    result = CliRunner().invoke(main, ["diagnose", str(path)])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    return result.output


def same(found: Diagnosis, expected: Diagnosis = PLAIN, atol: float = 1e-9) -> bool:
    keys = expected.probabilities
    return found.n_points == expected.n_points and all(
        abs(found.probabilities[key] - keys[key]) <= atol for key in keys
    )


def kinds(found: Diagnosis) -> set[str]:
    return {fact.kind for fact in (*found.evidence, *found.limits)}


# --- courses that no training should take ---------------------------------------------------


@pytest.mark.parametrize("level", [0.6931, 2.302585, 0.0, 1e-9, 5e8, -3.0])
def test_a_constant_loss_has_an_answer_that_says_so(level: float) -> None:
    found = predict_cause([level] * N)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert any(kind.startswith("flat") for kind in kinds(found))
    assert next(iter(found.probabilities)) != "bad_data_batch"
    (fact,) = (fact for fact in found.limits if fact.kind == "hides_in_constant_loss")
    assert fact.text.startswith(f"the loss is the same at all 60 points ({level:.4g})")


def test_one_spike_and_nothing_else() -> None:
    loss = [0.5] * N
    loss[30] = 9.0
    found = predict_cause(loss)
    (fact,) = (fact for fact in found.evidence if fact.kind.startswith("spike"))
    assert fact.steps == (30.0,)
    assert found.probabilities["bad_data_batch"] > found.probabilities["overfitting"]


def test_negative_losses_are_losses() -> None:
    found = predict_cause(LOSS - 5)
    assert found.cause is not None
    assert "fallen" in kinds(found)
    down = predict_cause(-np.exp(np.arange(N) / 20.0))
    assert down.cause is not None


def test_validation_longer_than_training() -> None:
    found = predict_cause(LOSS[:20], val=LOSS)
    assert found.channels == ("loss", "val")
    assert found.n_points == 20


# --- an accuracy in place of the loss -------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "most"), [(1, "0.1 to 0.9919 and stays within 0 and 1"),
                        (100, "10 to 99.19 and stays within 0 and 100")],
)  # fmt: skip
def test_an_accuracy_is_recognised_by_its_course(scale: float, most: str, tmp_path: Path) -> None:
    for curve in (scale * ACCURACY, {"loss": scale * ACCURACY}, pd.Series(scale * ACCURACY)):
        found = predict_cause(curve)
        assert found.cause is None
        assert found.probabilities == {}
        assert found.reason == (
            f"this looks like an accuracy, not a loss: it rises from {most}; pass the training loss"
        )
    path = table(tmp_path / "log.csv", ["step", "value"], range(N), scale * ACCURACY)
    record = command(path)
    assert (record["cause"], record["reason"]) == (None, found.reason)


def test_an_accuracy_by_name_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "log.csv", ["step", "accuracy"], range(N), ACCURACY)
    words = (
        r"no training loss among accuracy; accepted names: loss, train/loss, .*; "
        "pass or log the loss that is trained"
    )
    with pytest.raises(NoLossError, match=rf"run: {words}"):
        predict_cause({"accuracy": ACCURACY})
    with pytest.raises(NoLossError, match=rf"log\.csv: {words}"):
        predict_cause(path)
    assert "log.csv: no training loss among accuracy; accepted names: loss" in refused(path)


@pytest.mark.parametrize(
    "loss",
    [
        0.1 * np.exp(np.linspace(0, 2.2, N)),  # diverges ever faster
        0.1 + 0.8 * np.linspace(0, 1, N),  # rises steadily
        np.where(np.arange(N) < 20, 0.6 - 0.02 * np.arange(N), 0.9),  # falls, then breaks out
        np.r_[0.1, 0.3, np.full(N, 1.2)],  # leaves the range
        np.r_[ACCURACY, np.nan],
        1 - ACCURACY,
        LOSS,
        0.7 + 0.01 * ACCURACY,
    ],
)
def test_what_is_no_accuracy(loss: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    assert accuracy_in(Curve.of("loss", loss)) is None
    assert predict_cause(loss).probabilities


def test_no_real_training_loss_is_mistaken_for_an_accuracy(root: Path) -> None:
    runs = [trial.run for trial in read_trial(root / "data" / "real")]
    taken = [run.id for run in runs if accuracy_in(run.curves["loss"]) is not None]
    assert len(runs) > 2000
    assert taken == []


# --- steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["time", "timestamp", "wall_time", "Wall time", "seconds"])
@pytest.mark.parametrize(
    "clock",
    [
        1_700_000_000 + 13.0 * np.arange(N),  # seconds
        1_700_000_000_000 + 13_000.0 * np.arange(N),  # milliseconds
        13.2 * np.arange(N),
        [date.isoformat() for date in DATES],
        DATES,
    ],
    ids=["unix", "milliseconds", "seconds", "iso", "dates"],
)
def test_a_clock_is_no_step_but_rows_keep_their_order(
    name: str, clock: Sequence[Any], tmp_path: Path
) -> None:
    assert same(predict_cause({name: list(clock), "loss": LOSS}))
    assert same(predict_cause(pd.DataFrame({name: clock, "loss": LOSS})))
    path = table(tmp_path / "log.csv", [name, "loss"], clock, LOSS)
    assert same(predict_cause(path))
    assert command(path)["cause"] == PLAIN.cause


def test_steps_may_be_dates_or_a_clock(tmp_path: Path) -> None:
    zoned = pd.DatetimeIndex(DATES, tz="Asia/Shanghai")
    tables = [pd.DataFrame({"step": steps, "loss": LOSS}) for steps in (DATES, zoned)]
    for table_ in (*tables, {"step": DATES, "loss": LOSS}):
        found = predict_cause(table_)
        assert found.n_points == N
        assert not {"hides_between_steps", "step_goes_back"} & kinds(found)
    assert same(predict_cause(pd.Series(LOSS, index=pd.DatetimeIndex(DATES))))
    path = table(tmp_path / "log.csv", ["step", "loss"], [d.isoformat() for d in DATES], LOSS)
    assert same(predict_cause(path))
    path = table(tmp_path / "ms.csv", ["step", "loss"], 1_700_000_000_000 + 13_000 * np.arange(N),
                 LOSS)  # fmt: skip
    assert "hides_between_steps" not in kinds(predict_cause(path))


def test_rows_in_any_order_are_sorted_by_their_steps(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(N)
    for rows in (order, np.arange(N)[::-1]):
        path = table(tmp_path / "log.csv", ["step", "loss"], rows, LOSS[rows])
        sound = predict_cause({"step": np.arange(N), "loss": LOSS})
        for found in (predict_cause(path), predict_cause({"step": rows, "loss": LOSS[rows]})):
            assert same(found, sound)
            assert "step_goes_back" not in kinds(found)
    again = [*range(40), *range(30, 50)]
    resumed = predict_cause({"step": again, "loss": LOSS})
    assert "step_goes_back" in kinds(resumed)


def test_steps_that_are_missing(tmp_path: Path) -> None:
    gaps = np.where(np.arange(N) % 3 == 1, np.nan, np.arange(N))
    assert predict_cause({"step": gaps, "loss": LOSS}).n_points == N
    path = table(tmp_path / "log.csv", ["step", "loss"], gaps, LOSS)
    assert predict_cause(path).n_points == N
    assert predict_cause({"step": [np.nan] * N, "loss": LOSS}).n_points == N


# --- numbers as people write them -----------------------------------------------------------


def german(number: float) -> str:
    return f"{number:,.6f}".replace(",", " ").replace(".", ",").replace(" ", ".")


@pytest.mark.parametrize(
    ("written", "factor", "delimiter"),
    [
        (lambda x: f"{100 * x:.4f}%", 100, ","),
        (lambda x: f"{100 * x:.4f} %", 100, ","),
        (lambda x: f"{x:.6f}".replace(".", ","), 1, ";"),
        (lambda x: german(x + 1000), None, ";"),
        (lambda x: f"{x + 1000:,.6f}", None, ","),
        (lambda x: f"{x + 1000:,.6f}", None, ";"),
        (lambda x: f"tensor({x:.6f})", 1, ";"),
    ],
    ids=["percent", "percent apart", "comma", "both", "thousands", "thousands;", "tensor"],
)
def test_numbers_as_people_write_them(
    written: Any, factor: float | None, delimiter: str, tmp_path: Path
) -> None:
    cells = [written(number) for number in LOSS]
    path = table(tmp_path / "log.csv", ["step", "loss"], range(N), cells, delimiter=delimiter)
    expected = LOSS + 1000 if factor is None else factor * LOSS
    assert same(predict_cause(path), predict_cause({"step": range(N), "loss": expected}), 1e-6)


def test_a_decimal_comma_between_commas_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n0,2,5\n1,2,25\n2,2,0\n")
    with pytest.raises(ReadError, match=r"log\.csv: line 2 has 3 cells, but there are 2 columns"):
        predict_cause(path)


def test_columns_of_one_name(tmp_path: Path) -> None:
    path = table(tmp_path / "log.csv", ["step", "loss", "loss"], range(N), LOSS, LOSS)
    words = r"columns 2 and 3 are both called 'loss'; rename one"
    with pytest.raises(ReadError, match=rf"log\.csv: {words}"):
        predict_cause(path)
    assert "columns 2 and 3 are both called 'loss'; rename one" in refused(path)
    frame = pd.DataFrame(np.c_[LOSS, LOSS], columns=["loss", "loss"])
    with pytest.raises(CurveError, match="several columns are called 'loss'; rename all but one"):
        predict_cause(frame)


def test_columns_of_words_are_named_with_what_stands_there(tmp_path: Path) -> None:
    path = table(tmp_path / "log.csv", ["step", "loss"], range(N), LOSS > 1)
    assert "log.csv: a table without any column of numbers (loss: 'True')" in refused(path)


# --- lengths --------------------------------------------------------------------------------


def test_lists_of_different_lengths_under_one_step_column() -> None:
    steps = list(range(N))
    with pytest.raises(CurveError, match="val_loss: 30 values but 60 steps; give one step per"):
        predict_cause({"step": steps, "loss": LOSS, "val_loss": LOSS[:30]})
    with pytest.raises(CurveError, match="loss: 60 values but 10 steps; give one step per value"):
        predict_cause({"step": steps[:10], "loss": LOSS})
    assert predict_cause({"loss": LOSS, "val_loss": LOSS[:30]}).channels == ("loss", "val")


def test_a_loss_that_ends_before_the_validation_may_be_nan_or_not_logged(tmp_path: Path) -> None:
    loss = np.r_[LOSS, np.full(20, np.nan)]
    val = np.r_[LOSS, LOSS[:20]] + 0.1
    path = table(tmp_path / "log.csv", ["step", "loss", "val_loss"], range(80),
                 ["" if np.isnan(x) else x for x in loss], val)  # fmt: skip
    for found in (predict_cause(pd.DataFrame({"loss": loss, "val_loss": val})),
                  predict_cause(path)):  # fmt: skip
        (fact,) = (fact for fact in found.limits if fact.kind == "hides_nan_or_unlogged")
        assert fact.text == (
            "the loss is NaN from 60 on while the validation loss stays finite: "
            "if it was only not logged there, leave these 20 values out"
        )
    both = np.where(np.isnan(loss), np.nan, val)
    assert "hides_nan_or_unlogged" not in kinds(predict_cause(loss, val=both))


# --- values of every type -------------------------------------------------------------------


class Jaxlike:
    """An array of another library."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(LOSS, dtype)


class Polarslike:
    """A series of a library whose series have no index."""

    def to_numpy(self) -> Any:
        return LOSS


@pytest.mark.parametrize(
    "curve",
    [
        [Decimal(str(number)) for number in LOSS],
        [str(number) for number in LOSS],
        [np.float64(number) for number in LOSS],
        Jaxlike(),
        Polarslike(),
        pd.Series(LOSS, dtype="Float64"),
        pd.Series(LOSS, dtype=object),
        np.ma.masked_array(LOSS, mask=False),  # type: ignore[no-untyped-call]
    ],
    ids=lambda curve: type(curve).__name__,
)
def test_numbers_of_any_type(curve: Any) -> None:
    assert same(predict_cause(curve))


def test_gaps_of_any_type() -> None:
    gaps = np.arange(N) == 7
    expected = predict_cause(np.where(gaps, np.nan, LOSS))
    nullable = pd.Series(LOSS, dtype="Float64")
    nullable[7] = pd.NA
    masked = np.ma.masked_array(LOSS, mask=gaps)  # type: ignore[no-untyped-call]
    for curve in (
        [None if gap else x for x, gap in zip(LOSS, gaps, strict=True)],
        nullable,
        masked,
    ):
        assert same(predict_cause(curve), expected)


def test_tensors() -> None:
    import torch

    assert same(predict_cause(torch.tensor(LOSS)))
    assert same(predict_cause([torch.tensor(number) for number in LOSS]))
    with pytest.raises(CurveError, match=r"found Tensor of torch\.float64; pass tensor\.detach"):
        predict_cause(torch.tensor(LOSS, requires_grad=True))


def test_whole_numbers() -> None:
    assert same(predict_cause(list(range(N, 0, -1))), predict_cause(np.arange(N, 0, -1.0)))


@pytest.mark.parametrize(
    ("curve", "found"),
    [
        (["low", "lower"], r"numbers, but found \['low', 'lower'\]; pass one number a step"),
        ([True, False] * 10, r"numbers, but found \[True, False, True"),
        (np.ones(20, dtype=bool), "numbers, but found ndarray of bool; pass one number a step"),
        ([1 + 1j] * 8, r"numbers, but found \[\(1\+1j\), "),
        (np.ones(8) + 1j, "numbers, but found ndarray of complex128"),
        (DATES, r"numbers, but found \[datetime\.datetime\(2024, 1, 1"),
        (np.array(DATES, dtype="datetime64[s]"), r"numbers, but found ndarray of datetime64\[s\]"),
        (np.ones(8, dtype="timedelta64[s]"), r"numbers, but found ndarray of timedelta64\[s\]"),
        (np.zeros(8, dtype=[("loss", float)]), "numbers, but found ndarray of "),
        ([10**400] * 8, r"numbers, but found \[1000"),
        ((number for number in LOSS), "numbers, but found generator; pass one number a step"),
        ({1.0, 2.0}, "numbers, but found set; pass one number a step"),
        (None, "numbers, but found None; pass one number a step"),
        (b"2.0 1.0", "numbers, but found bytes"),
        ({"loss": {"a": [1.0]}}, r"numbers, but found \{'a': \[1\.0\]\}"),
        (3.0, r"one dimension, but found shape \(\); pass a list or array with one number a step"),
        ({"loss": 5.0}, r"one dimension, but found shape \(\)"),
        (np.ones((3, 4)), r"one dimension, but found shape \(3, 4\)"),
        (LOSS[:, None], r"one dimension, but found shape \(60, 1\)"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_no_loss(curve: Any, found: str) -> None:
    with pytest.raises(CurveError, match=f"loss: expected {found}"):
        predict_cause(curve)


@pytest.mark.parametrize("curve", [[], (), {}, {"loss": []}, pd.DataFrame(), np.array([])])
def test_nothing_at_all(curve: Any) -> None:
    with pytest.raises(NoLossError, match="run: no training loss among no series with a point"):
        predict_cause(curve)


@pytest.mark.parametrize("content", ["", "step,loss\n", "step,loss\n0,\n1,\n"])
def test_files_with_nothing_in_them(content: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(content)
    with pytest.raises(CurvetError, match=r"log\.csv: "):
        predict_cause(path)
    assert refused(path).startswith("error: ")
