from __future__ import annotations

import csv
import io
import json
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from curvet import texts
from curvet.archive import Row
from curvet.causes import CAUSES, sign_of, title_of
from curvet.diagnosis import Check, Diagnosis, Evidence
from curvet.errors import CurvetError
from curvet.report import as_csv, as_json, as_picture, as_text
from curvet.report.lines import pad, width_of, wrap
from curvet.run import Curve, Run
from curvet.texts import use_language

NASTY = [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x1b]0;title\x07name", "name"),
    ("\x1b]0;never ended", ""),
    ("\x9b2Jcleared", "cleared"),
    ("\x90device\x9cname", "name"),
    ("\x1bcreset", "reset"),
    ("two\nlines\r\tand a tab", "two lines  and a tab"),
    ("bell\x07 back\x08space\x7f\x00", "bell backspace"),
    ("right\u202eleft", "rightleft"),
    ("half \udcff letter", "half \N{REPLACEMENT CHARACTER} letter"),
    ("plain, [bold]not markup[/bold] \u00e9\u7248", "plain, [bold]not markup[/bold] \u00e9\u7248"),
]

DIAGNOSIS = Diagnosis(
    run_id="7",
    source="runs/7/metrics.csv",
    probabilities={
        "lr_too_high": 0.83,
        "exploding_gradients": 0.1,
        "bad_data_batch": 0.06,
        "healthy": 0.01,
    },
    cause="lr_too_high",
    likely=("lr_too_high", "exploding_gradients"),
    reason="",
    evidence=(
        Evidence(
            "first_nonfinite",
            {"series": "training", "value": "nan", "step": 1200.0, "count": 9, "total": 400},
            (1200.0,),
            "for",
        ),
        Evidence("still_falling", {"share": 0.25, "every": 90.0}, (300.0, 900.0), "against"),
        Evidence("fallen", {"start": 2.5, "end": 0.5}),
    ),
    channels=("loss", "val", "grad_norm"),
    n_points=400,
    bundle="default",
    checks=(
        Check(
            "look_at_batch",
            (("faulty", ("exploding_gradients",)), ("sound", ("lr_too_high",))),
            {"step": 1200.0},
        ),
    ),
)
EARLY = replace(
    DIAGNOSIS,
    run_id="8",
    source="",
    probabilities={},
    cause=None,
    likely=(),
    reason="too early to tell: 6 points",
    evidence=(),
    channels=("loss",),
    n_points=6,
    checks=(),
)
ROWS = [
    Row("7", "runs/7/metrics.csv", "table", "ok", DIAGNOSIS, ""),
    Row("8", "", "python", "ok", EARLY, ""),
    Row("9.csv", "runs/9.csv", "", "error", None, "runs/9.csv: an empty file"),
    Row("net.py", "runs/net.py", "", "skipped", None, "runs/net.py: a Python script"),
]


def run_of(loss: Any, name: str = "7", **others: Any) -> Run:
    curves = {"loss": Curve.of("loss", loss)}
    curves |= {tag: Curve.of(tag, value) for tag, value in others.items()}
    return Run(name, "", curves)


@pytest.mark.parametrize(("text", "safe"), NASTY)
def test_clean_leaves_nothing_that_a_terminal_obeys(text: str, safe: str) -> None:
    assert as_text.clean(text) == safe


def test_text_in_full() -> None:
    text = as_text.diagnosis_to_text(DIAGNOSIS)
    lines = text.splitlines()
    assert lines[:10] == [
        "7  (runs/7/metrics.csv)",
        "",
        "  Learning rate too high, 83 %",
        "",
        "   83 %  Learning rate too high  #########################",
        "   10 %  Exploding gradients     ###",
        "    6 %  Bad data batch          ##",
        "    1 %  Healthy                 #",
        "",
        "  The true cause is, with 90 %, among: Learning rate too high, Exploding gradients",
    ]
    words = " ".join(text.split())
    assert len(DIAGNOSIS.remedies) == len(CAUSES["lr_too_high"].remedies)
    for remedy in DIAGNOSIS.remedies:
        assert f"{remedy.text} [{remedy.sources[0].title}" in words
    assert sign_of("lr_too_high") in words
    assert "  Measured in this run (+ speaks for the verdict, - against it)\n" in text
    assert "    + training loss turns NaN at 1200 and stays so\n" in text
    assert "    - still falling at the end: 25 % in a tenth of the run (steps 300 to 900)\n" in text
    assert "    * training loss fell from 2.5 to 0.5\n" in text
    assert (
        "1. Look at the data of step 1200. Outliers, NaN or wrong labels: Exploding gradients; "
        "nothing unusual: Learning rate too high."
    ) in words
    assert "From 400 points of training loss; found: loss, val, grad_norm." in words


def test_text_tells_how_far_to_trust_it() -> None:
    plain = as_text.diagnosis_to_text(DIAGNOSIS)
    assert "prior" not in plain
    assert "cannot show" not in plain
    odd = replace(
        DIAGNOSIS,
        coverage=0.8,
        prior="uniform",
        limits=(Evidence("tiny_gradients", {"usual": 1e-9}),),
    )
    words = " ".join(as_text.diagnosis_to_text(odd).split())
    assert "The true cause is, with 80 %, among: " in words
    assert "another prior than the default: uniform" in words
    assert "What this log cannot show * gradient norm is tiny" in words


def test_an_abstention_shows_its_candidates() -> None:
    unsure = replace(DIAGNOSIS, cause=None, reason="none stands out")
    lines = as_text.diagnosis_to_text(unsure).splitlines()
    assert lines[2] == "  none stands out"
    assert lines[4].startswith("   83 %  Learning rate too high")
    assert "  What would separate them" in lines
    assert not any("What to try" in line for line in lines)
    assert as_text.verdict(unsure) == "no verdict"
    assert unsure.remedies == ()


def test_text_without_a_verdict() -> None:
    assert as_text.diagnosis_to_text(EARLY).splitlines() == [
        "8",
        "",
        "  too early to tell: 6 points",
        "",
        "  From 6 points of training loss; found: loss. Predictor: default.",
    ]


@pytest.mark.parametrize("key", CAUSES)
def test_text_of_every_cause_fits(key: str) -> None:
    text = str(replace(DIAGNOSIS, cause=key, probabilities={key: 1.0}, run_id="\x1b[2J" + "x" * 60))
    assert max(map(len, text.splitlines())) <= as_text.WIDTH
    assert text.isprintable() or set(filter(lambda c: not c.isprintable(), text)) == {"\n"}
    assert ">99 %" in text
    assert title_of(key) in text


@pytest.mark.parametrize("key", CAUSES)
def test_chinese_text_of_every_cause_fits(key: str) -> None:
    use_language("zh")
    chances = dict.fromkeys((key, *CAUSES), 0.05)
    text = str(replace(DIAGNOSIS, cause=key, probabilities=chances, likely=tuple(CAUSES)))
    assert max(map(width_of, text.splitlines())) <= as_text.WIDTH
    assert title_of(key) in text
    for line in text.splitlines():
        assert line.strip()[:1] not in set("\uff0c\u3002\uff1b\uff1a\uff09\u3001")


def test_chinese_bars_are_aligned() -> None:
    use_language("zh")
    lines = str(DIAGNOSIS).splitlines()
    bars = [line for line in lines if line.endswith("#")]
    assert len(bars) == 4
    assert len({width_of(line.rstrip("#")) for line in bars}) == 1


@given(
    st.text(alphabet="ab \u635f\u5931\uff0c\uff08\uff09\u3002%-", max_size=80), st.integers(8, 30)
)
def test_wrapped_text_is_whole_and_fits(text: str, width: int) -> None:
    lines = wrap(text, width, "- ")
    assert max(map(width_of, lines)) <= width
    assert "".join("".join(lines).split())[1:] == "".join(text.split())
    assert all(line.startswith("  ") for line in lines[1:])


def test_padding_counts_cells() -> None:
    assert pad("\u635f\u5931", 6) == "\u635f\u5931  "
    assert pad("loss", 6) == "loss  "


def test_an_unknown_cause_stands_for_itself() -> None:
    other = replace(DIAGNOSIS, cause="gremlins", probabilities={"gremlins": 1.0}, likely=())
    assert "gremlins, >99 %" in str(other)


def test_json_has_the_same_keys_for_every_row() -> None:
    document = json.loads(as_json.rows_to_json(ROWS), parse_constant=pytest.fail)
    assert document["schema_version"] == 1
    first, early, failed, skipped = document["runs"]
    assert list(first) == list(early) == list(failed) == list(skipped)
    assert first["cause"] == "lr_too_high"
    assert first["evidence"][1]["steps"] == [300.0, 900.0]
    assert first["checks"][0]["separates"] == ["exploding_gradients", "lr_too_high"]
    assert first["checks"][0]["outcomes"]["sound"] == ["lr_too_high"]
    assert [remedy["key"] for remedy in first["remedies"]] == list(CAUSES["lr_too_high"].remedies)
    assert first["remedies"][0]["sources"][0] == {
        "title": "Smith 2017",
        "url": "https://arxiv.org/abs/1506.01186",
    }
    assert early["cause"] is None
    assert early["reason"] == "too early to tell: 6 points"
    assert failed["status"] == "error"
    assert failed["error"] == "runs/9.csv: an empty file"


def test_json_survives_odd_numbers_and_names() -> None:
    fact = Evidence("negative", {"least": -1.0, "step": 3.0}, (float("nan"), float("inf")))
    odd = replace(ROWS[0], run_id="a\nb\udcff", diagnosis=replace(DIAGNOSIS, evidence=(fact,)))
    line = as_json.row_to_jsonl(odd)
    assert line.count("\n") == 1
    assert line.isascii()
    record = json.loads(line, parse_constant=pytest.fail)
    assert record["evidence"][0]["steps"] == [None, None]
    assert record["run_id"] == "a\nb\udcff"


def test_csv_is_flat() -> None:
    records = list(csv.DictReader(io.StringIO(as_csv.rows_to_csv(ROWS))))
    assert [record["status"] for record in records] == ["ok", "ok", "error", "skipped"]
    assert records[0]["p_lr_too_high"] == "0.83"
    assert records[0]["likely"] == "lr_too_high;exploding_gradients"
    assert records[1]["p_lr_too_high"] == ""
    assert [f"p_{key}" for key in CAUSES] == [name for name in records[0] if name[:2] == "p_"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_cells_are_no_formulas(start: str) -> None:
    row = replace(ROWS[2], run_id=f"{start}1+1", error=f"{start}cmd", source=f"{start}\udcff")
    text = as_csv.rows_to_csv([row])
    text.encode("utf-8")
    record = next(csv.DictReader(io.StringIO(text, newline="")))
    assert record["run_id"] == f"'{start}1+1".replace("\r", "\n")
    assert record["error"] == f"'{start}cmd".replace("\r", "\n")


def table_text(rows: list[Row], width: int = 160) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(as_text.table(rows, width))
    return capture.get()


def test_table_has_a_line_for_each_row() -> None:
    lines = table_text(ROWS).splitlines()
    assert any(
        re.search(r"7 .*Learning rate too high .*83 %.*NaN .*Exploding", line) for line in lines
    )
    assert any(re.search(r"8 .*no verdict .*too early to tell: 6 points", line) for line in lines)
    assert any(re.search(r"9\.csv .*error +an empty file$", line.rstrip()) for line in lines)


def test_a_narrow_table_leaves_columns_out() -> None:
    assert max(map(len, table_text(ROWS, 70).splitlines())) <= 70
    assert "channels" in table_text(ROWS, 120)
    assert "channels" not in table_text(ROWS, 110)
    assert "next candidates" not in table_text(ROWS, 90)


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize(("text", "safe"), NASTY)
def test_table_prints_names_as_they_are(text: str, safe: str, width: int) -> None:
    shown = table_text([replace(ROWS[0], run_id=text), replace(ROWS[2], error=text)], width)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert safe[:5].strip() in shown


def test_totals() -> None:
    assert as_text.totals(ROWS) == (
        "2 runs: Learning rate too high (1), no verdict (1); 1 could not be diagnosed"
    )
    assert as_text.totals(ROWS[2:3]) == "no runs; 1 could not be diagnosed"


def pictured(path: Path, pairs: list[tuple[Run, Diagnosis]], n_runs: int | None = None) -> str:
    """Text of a picture, which an SVG keeps."""
    with mpl.rc_context({"svg.fonttype": "none"}):
        as_picture.draw(pairs, path, n_runs)
    return path.read_text(encoding="utf-8")


def test_picture_of_one_run_shows_everything(tmp_path: Path) -> None:
    losses = np.r_[np.geomspace(9, 0.1, 300), np.full(100, np.nan)]
    run = run_of(losses, val_loss=losses[::10] + 1, grad_norm=np.geomspace(1, 1e6, 400))
    shown = pictured(tmp_path / "new folder" / "one.svg", [(run, DIAGNOSIS)])
    for words in ("training loss", "validation loss", "gradient norm", "NaN or inf"):
        assert words in shown
    assert "Learning rate too high, 83 %" in shown
    assert "probability of each cause" in shown
    assert "still falling at the end: 25 % in a tenth of the run (steps 300 to 900)" in shown


def test_the_picture_marks_facts_where_they_lie() -> None:
    loss = 0.3 + 2 * np.exp(-np.arange(200) / 30)
    loss[100] += 3
    spike = {"step": 100.0, "value": 3.4, "level": 0.4, "noises": 9.0, "after": 1.0, "width": 1.0}
    facts = (
        Evidence("spike", spike, (100.0,), "for"),
        Evidence("levels_off", {"level": 0.3, "step": 120.0}, (120.0, 199.0), "against"),
        Evidence("rate_starts_anew", {"step": 119.0, "before": 0.1, "after": 1.0}, (119.0,)),
        Evidence("fallen", {"start": 2.3, "end": 0.3}),
    )
    run = run_of(loss)
    figure = replace(DIAGNOSIS, evidence=facts, run=run).plot()
    panel = figure.axes[0]
    places = {text.get_text(): text.get_position() for text in panel.texts}
    assert {"1", "2", "3"} <= set(places)
    assert "4" not in places  # a fact about the whole run
    assert places["2"][0] == 159.5
    assert panel.get_yscale() == "log"  # 0.3 to 3.4
    listed = {text.get_text(): text.get_fontweight() for text in figure.texts}
    assert [weight for line, weight in listed.items() if line.startswith("1.  +  spike")] == [
        "bold"
    ]
    assert any(line.startswith("2.  -  ") for line in listed)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_numbers_do_not_cover_each_other() -> None:
    facts = tuple(
        Evidence("rate_starts_anew", {"step": at, "before": 0.1, "after": 1.0}, (at,))
        for at in (100.0, 101.0, 102.0, 103.0)
    )
    figure = replace(DIAGNOSIS, evidence=facts, run=run_of(np.geomspace(9, 1, 200))).plot()
    heights = [text.get_position()[1] for text in figure.axes[0].texts if text.get_text() in "1234"]
    assert len(set(heights)) == 4


def test_plot_writes_a_file(tmp_path: Path) -> None:
    found = replace(DIAGNOSIS, run=run_of(np.geomspace(9, 1, 200)))
    found.plot(tmp_path / "new" / "one.png")
    assert (tmp_path / "new" / "one.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(CurvetError, match="must end in one of"):
        found.plot(tmp_path / "one.txt")


def test_plot_needs_the_run() -> None:
    with pytest.raises(CurvetError, match="7: this diagnosis was made without keeping its curves"):
        DIAGNOSIS.plot()


def test_a_picture_without_letters_for_the_language_is_english(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(as_picture, "_font", lambda: None)
    found = replace(DIAGNOSIS, evidence=(), run=run_of(np.geomspace(9, 1, 200)))
    texts.use_language("zh")
    try:
        assert as_picture.lacks_font()
        with pytest.warns(UserWarning, match="the picture is in English: no font"):
            figure = found.plot()
        assert texts.language() == "zh"
    finally:
        texts.use_language(None)
    assert figure.axes[0].get_xlabel() == "step, as logged"
    assert not as_picture.lacks_font()


def test_picture_of_several_runs_names_each(tmp_path: Path) -> None:
    pairs = [(run_of(np.arange(1.0, 9.0), name=f"run {n}"), DIAGNOSIS) for n in range(5)]
    shown = pictured(tmp_path / "grid.svg", pairs, n_runs=300)
    assert all(f"run {n}" in shown for n in range(5))
    assert shown.count("Learning rate too high, 83 %") == 5
    assert "5 of 300 runs" in shown


def test_picture_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_picture, "MAX_PANELS", 2)
    pairs = [(run_of([2.0, 1.0], name=f"run {n}"), EARLY) for n in range(4)]
    shown = pictured(tmp_path / "grid.svg", pairs)
    assert "run 1" in shown
    assert "run 2" not in shown
    assert "2 of 4 runs" in shown


@pytest.mark.parametrize(
    "losses",
    [
        [1.0],
        [np.nan] * 9,
        [0.0, -1.0, np.inf, 3.0],
        [1e-300, 1e300],
        np.full(50, 2.0),
    ],
    ids=["one point", "no number", "signs", "far apart", "constant"],
)
def test_picture_of_odd_curves(losses: list[float], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_picture.draw([(run_of(losses), DIAGNOSIS)], tmp_path / "odd.png")
    assert (tmp_path / "odd.png").read_bytes().startswith(b"\x89PNG")


def test_picture_of_odd_names(tmp_path: Path) -> None:
    name = "$\\frac{1}$ \x1b[31m\u7248\u672c \udcff" + "long " * 30
    odd = replace(
        DIAGNOSIS,
        evidence=(Evidence("negative", {"least": -1.0, "step": 3.0}, (float("nan"), 3.0)),),
    )
    as_picture.draw([(run_of([2.0, 1.0], name=name), odd)], tmp_path / "one.png")
    as_picture.draw([(run_of([2.0, 1.0], name=name), odd)] * 2, tmp_path / "two.pdf")


def test_picture_keeps_a_single_spike_of_a_long_curve() -> None:
    values = np.ones(100_000)
    values[54_321], values[67_890] = 50.0, 0.01
    values[5], values[6] = np.nan, np.inf
    step, value = as_picture.thin(Curve.of("loss", values), as_picture.N_DRAWN)
    assert len(value) <= 2 * as_picture.N_DRAWN + 2
    assert step[value.argmax()] == 54_321
    assert step[value.argmin()] == 67_890
    assert (np.diff(step) > 0).all()


@pytest.mark.parametrize("name", ["picture", "picture.jpeg", "picture.html"])
def test_picture_refuses_other_endings(name: str, tmp_path: Path) -> None:
    with pytest.raises(CurvetError, match=r"must end in one of \.png, \.pdf, \.svg"):
        as_picture.draw([(run_of([1.0]), EARLY)], tmp_path / name)


def test_picture_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(CurvetError, match="no diagnosed run"):
        as_picture.draw([], tmp_path / "none.png")
