"""The page of `curvet report`, in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner, Result
from playwright.sync_api import Browser, Page, expect

import curvet.score.job as job
import curvet.score.work as work
from curvet.causes import CAUSES
from curvet.cli import main
from curvet.errors import ScoreError
from curvet.evidence import measure, weigh
from curvet.page.build import BLOCK, render, write_page
from curvet.page.curves import N_BINS, Drawing, changed, choose, encode, read_drawings
from curvet.page.table import Score, read_scores
from curvet.report.thin import thin
from curvet.roles import assign
from curvet.run import Curve
from curvet.score.state import Known, known_runs
from curvet.texts import catalogue

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'+alert(1)+'",
    "</script><!--<script>",
    "{title}&amp;$title",
    "two\nlines",
    "\U0001f469\u200d\U0001f52c \u05e9\u05dc\u05d5\u05dd \u202eright to left",
    "=1+1",
    "\u2028\u2029",
]


def write_log(path: Path, seed: int = 0, n: int = 60, text: str = "") -> Path:
    rng = np.random.default_rng(seed)
    losses = 2 * np.exp(-np.arange(n) / 20) + 0.1 + 0.02 * rng.random(n)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{step},{loss:.5f},{loss + 0.1:.5f}" for step, loss in enumerate(losses)]
    path.write_text("\n".join(["step,loss,val_loss", *lines, text]))
    return path


Scored = Callable[[Path, Path], Path]


@pytest.fixture(scope="module")
def scored() -> Scored:
    """Score a folder."""

    def score(folder: Path, out: Path) -> Path:
        job.score([folder], out, job.Options(workers=1))
        return out

    return score


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of sound logs, one that is none, and names that try to get out."""
    folder = tmp_path_factory.mktemp("archive") / "runs"
    for number in range(120):
        path = write_log(folder / f"team{number % 3}/{number}/log.csv", number)
        os.utime(path, (1.7e9 + 86400 * number,) * 2)
    (folder / "team0/empty.csv").touch()
    for place, name in enumerate(NASTY):
        write_log(folder / "names" / name.replace("/", "\u2215") / "log.csv", 1000 + place)
    spiky = np.exp(-np.arange(400) / 100) + 0.1
    spiky[250] = 9.0
    spiky[300] = np.nan
    lines = [f"{step * 10},{loss}" for step, loss in enumerate(spiky)]
    (folder / "spiky.csv").write_text("\n".join(["step,loss", *lines, ""]))
    walk = np.abs(3 + 0.1 * np.random.default_rng(2).standard_normal(200).cumsum())
    (folder / "walk.csv").write_text(
        "\n".join(["step,loss", *(f"{step},{loss}" for step, loss in enumerate(walk)), ""])
    )
    for path in folder.rglob("*"):
        if path.stat().st_mtime > 1.75e9:
            os.utime(path, (1.7e9, 1.7e9))
    return folder


@pytest.fixture(scope="module")
def table(archive: Path, scored: Scored) -> Path:
    return scored(archive, archive.parent / "scores.parquet")


@pytest.fixture(scope="module")
def written(table: Path) -> Path:
    out = table.with_name("report.html")
    write_page(
        table, out, curves=1000, title="Archive <b>&\u2028</b></title><script>alert(2)</script>"
    )
    return out


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page; whatever it complains about or asks a network for is an error in the end."""
    trouble: list[str] = []
    contexts = []

    def watch(page: Page) -> None:
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:")) else trouble.append(request.url)
            ),
        )

    def open_(path: Path, address: str = "", *, width: int = 1400, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        watch(page)
        page.goto(path.as_uri() + address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not trouble


def curvet(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def names(page: Page) -> list[str]:
    return page.locator("#table tbody a").all_text_contents()


def count(page: Page) -> str:
    return page.locator("#count").text_content() or ""


def open_run(page: Page, run_id: str) -> None:
    page.evaluate("(hash) => { location.hash = hash; }", f"run={quote(run_id)}")
    expect(page.locator("#run-title")).to_have_text(run_id)


# --- the table that is read -----------------------------------------------------------------------


def test_all_formats_are_read_alike(
    archive: Path, table: Path, scored: Scored, tmp_path: Path
) -> None:
    scores = read_scores(table)
    assert len(scores) == 123 + len(NASTY)
    for ending in ("csv", "jsonl"):
        assert read_scores(scored(archive, tmp_path / f"scores.{ending}")) == scores


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("scores.xlsx", "", "names no table of scores; accepted: .csv, .jsonl, .parquet"),
        ("missing.csv", None, "no such file; give the table that `curvet score --out` has written"),
        ("scores.parquet", "words", "cannot be read as a table of scores"),
        ("scores.jsonl", "{", "cannot be read as a table of scores"),
        ("scores.jsonl", "[1]\n", "no table of scores"),
        ("scores.csv", "run_id,cause\na,b\n", "it has no column source, status, probability"),
        ("scores.csv", "", "a table without rows"),
        (
            "scores.csv",
            "run_id,source,status,cause,probability,evidence,schema_version\na,b,ok,,,,99\n",
            "a table of schema version 99, this curvet reads up to 1",
        ),
    ],
)
def test_what_is_no_table_is_refused_by_name(
    name: str, content: str | None, found: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ScoreError, match=re.escape(found)) as caught:
        read_scores(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").mkdir()
    with pytest.raises(ScoreError, match="a folder; give the table"):
        read_scores(tmp_path / "scores.csv")


# --- the curves -----------------------------------------------------------------------------------


def test_no_extreme_is_lost() -> None:
    value = np.random.default_rng(0).standard_normal(10_000).cumsum()
    step, kept = thin(Curve.of("loss", value), 50)
    assert len(kept) <= 102
    assert kept[0] == value[0]
    assert kept[-1] == value[-1]
    assert (np.diff(step) > 0).all()
    for part in np.array_split(value, 50):
        assert {part.min(), part.max()} <= set(kept)


@pytest.mark.parametrize("step", [np.arange(300.0), np.linspace(0, 3, 300), -np.arange(300.0)])
@pytest.mark.parametrize("low", [0.0, 1e-5, 1000.0, -3.0])
def test_few_digits_are_enough_for_a_screen(step: Any, low: float) -> None:
    value = low + np.random.default_rng(0).random(300)
    curve = Curve.of("loss", value, step)
    found = encode(curve, 50)
    expected_step, expected = thin(curve, 50)
    steps = np.cumsum(found["steps"]) * found["unit"]
    assert np.abs(np.array(found["values"]) - expected).max() < np.ptp(value) / 1000
    assert np.abs(steps - expected_step).max() <= np.ptp(step) / 1e5
    assert max(len(str(number)) for number in found["values"]) <= 9


def test_huge_and_tiny_numbers_are_written_down() -> None:
    for step in ([0.0, 1e300], [-1e308, 1e308], [1e18, 1e18 + 1000], [0.1, 0.1], [0.0, 1e-300]):
        found = encode(Curve.of("loss", [1e300, -1e300], step), 100)
        steps = np.cumsum(found["steps"]) * found["unit"]
        expected = np.clip(step, -1e100, 1e100)
        assert np.abs(steps - expected).max() <= max(np.ptp(expected) / 1e5, 1e-15 * expected.max())
        assert found["values"] == [1e100, -1e100]
    assert encode(Curve.of("loss", []), 100)["values"] == []


def some(number: int = 0, **fields: Any) -> Score:
    plain = Score(
        run_id=f"team{number % 7}/run{number}",
        source=f"/archive/team{number % 7}/run{number}/log.csv",
        format="table",
        status="ok",
        error="",
        cause="healthy",
        probability=0.9,
        likely=("healthy",),
        reason="",
        evidence=f"training loss fell from {number} to 0.1",
        n_points=100,
        bundle="stand-in",
        probabilities={"healthy": 0.9, "overfitting": 0.1},
    )
    return replace(plain, **fields)


def test_the_surest_of_each_verdict_come_in_turn() -> None:
    scores = [
        some(probability=0.5),
        some(probability=0.9),
        some(probability=0.8),
        some(cause="overfitting", probability=0.4),
        some(cause=None, probability=None),
        some(status="error", cause=None, probability=None),
    ]
    assert choose(scores, 3) == [1, 3, 4]
    assert choose(scores, 4) == [1, 2, 3, 4]
    assert choose(scores, 99) == [0, 1, 2, 3, 4]
    assert choose(scores, 0) == []


def drawings(scores: list[Score], known: dict[str, Known] | None = None) -> list[Drawing]:
    chosen = list(range(len(scores)))
    found = read_drawings(scores, chosen, known or {}, lambda done, total: None)
    return [found[place] for place in chosen]


def test_curves_are_found_by_the_state_and_by_the_source(
    archive: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [score for score in read_scores(table) if "log.csv" in score.run_id][:20]
    known = {one.run_id: one for one in known_runs(Path(f"{table}.state"))}
    assert {score.run_id for score in scores} <= set(known)
    by_source = drawings(scores)
    assert all(set(drawing.curves) == {"loss", "val"} for drawing in by_source)
    assert drawings([replace(score, source="gone") for score in scores], known) == by_source
    monkeypatch.chdir(archive)
    relative = [
        replace(score, source=str(Path(score.source).relative_to(archive))) for score in scores
    ]
    assert drawings(relative) == by_source


def test_the_state_is_not_touched(table: Path) -> None:
    state = Path(f"{table}.state")
    before = (state.read_bytes(), sorted(state.parent.iterdir()))
    assert known_runs(state)
    assert (state.read_bytes(), sorted(state.parent.iterdir())) == before


def test_several_runs_of_one_log_are_told_apart(scored: Scored, tmp_path: Path) -> None:
    lines = [
        json.dumps({"run": name, "step": step, "loss": base + 1 / (step + 1)})
        for name, base in (("a", 1), ("b", 2))
        for step in range(30)
    ]
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/all.csv").write_text(
        "\n".join(["run,step,loss", *(",".join(map(str, json.loads(t).values())) for t in lines)])
    )
    scores = read_scores(scored(tmp_path / "runs", tmp_path / "scores.csv"))
    known = {one.run_id: one for one in known_runs(tmp_path / "scores.csv.state")}
    assert len(scores) == 2
    by_state, by_source = drawings(scores, known), drawings(scores)
    assert by_state == by_source
    assert sorted(drawing.curves["loss"]["values"][0] for drawing in by_state) == [2, 3]


def test_what_has_become_of_a_log_is_told(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv")
    score = some(source=str(log), run_id="log.csv", n_points=60)
    assert drawings([score])[0].note == ""
    assert "has changed since" in drawings([replace(score, n_points=59)])[0].note
    (other,) = drawings([replace(score, format="keras_csv")])
    assert other == Drawing({}, note="this run is not in its log any more")
    log.write_text("words\n")
    (damaged,) = drawings([score])
    assert damaged.curves == {}
    assert str(log) in damaged.note
    log.unlink()
    assert "no such file" in drawings([score])[0].note


def test_the_time_is_that_of_the_last_change(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv")
    os.utime(log, (1e9, 1e9))
    score = some(source=str(log))
    assert changed(score, None) == 1e9
    known = Known("log.csv", "log.csv", "[]", "12:1500000000.5:,7:1400000000.25:tag")
    assert changed(score, known) == 1500000000.5
    assert changed(score, replace(known, stamp="gone")) == 1e9
    assert changed(score, replace(known, stamp="1:9e99:,1:0.0:")) is None
    assert changed(some(source="wandb:team/project/7"), replace(known, stamp="abc")) is None


def test_a_state_that_cannot_be_used_is_told_and_done_without(
    archive: Path, table: Path, tmp_path: Path
) -> None:
    copy = tmp_path / table.name
    shutil.copy(table, copy)
    Path(f"{copy}.state").write_text("words")
    made = write_page(copy, tmp_path / "report.html", curves=5)
    assert made.curves == 5
    assert made.notes == (
        f"{copy}.state: cannot be read (file is not a database); the logs are looked for where the "
        "table says",
    )


def test_a_state_in_use_can_be_read_or_done_without(table: Path, tmp_path: Path) -> None:
    copy = tmp_path / table.name
    shutil.copy(table, copy)
    shutil.copy(f"{table}.state", f"{copy}.state")
    with closing(sqlite3.connect(f"{copy}.state", isolation_level=None)) as database:
        database.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;")
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT OR REPLACE INTO meta VALUES ('x', 'y')")
        database.execute("COMMIT")
        assert write_page(copy, tmp_path / "report.html", curves=5).curves == 5


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_it_made(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "report.html"
    result = curvet("report", table, "--out", out, "--curves", 7, "--title", "Spring")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert re.search(
        rf"page: {re.escape(str(out))}, 132 runs, 7 with curves, 0.\d MB\n$", result.stderr
    )
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    assert "<title>Spring</title>" in out.read_text(encoding="utf-8")


def test_lost_logs_are_counted(archive: Path, scored: Scored, tmp_path: Path) -> None:
    shutil.copytree(archive / "team1", tmp_path / "runs")
    copy = scored(tmp_path / "runs", tmp_path / "scores.jsonl")
    shutil.rmtree(tmp_path / "runs")
    result = curvet("report", copy, "--out", tmp_path / "r.html")
    assert result.exit_code == 0, result.output
    assert "note: 40 logs could not be read again, the first: 1/log.csv: " in result.stderr
    assert "40 runs, 0 with curves" in result.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["scores.txt", "--out", "r.html"], "scores.txt: the ending '.txt' names no table"),
        (["scores.csv", "--out", "r.html"], "scores.csv: no such file"),
        (
            ["scores.csv", "--out", "r.pdf"],
            "r.pdf: the ending '.pdf' is no page's; accepted: .html",
        ),
    ],
)
def test_errors_are_one_line(words: list[str], found: str) -> None:
    result = curvet("report", *words)
    assert result.exit_code == 2
    assert re.fullmatch(r"error: .*\n", result.stderr)
    assert found in result.stderr


def test_what_score_writes_can_be_reported(demo: Path, tmp_path: Path) -> None:
    assert curvet("score", demo, "--out", tmp_path / "s.parquet", "--workers", 1).exit_code == 0
    result = curvet("report", tmp_path / "s.parquet", "--out", tmp_path / "r.html")
    assert "21 runs, 21 with curves" in result.stderr


# --- the page -------------------------------------------------------------------------------------


def test_words_are_those_of_the_catalogue() -> None:
    package = Path(work.__file__).parents[1]
    sources = [path for path in (package / "page").iterdir() if path.is_file()]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    known = {
        key.removeprefix("report_page.")
        for key in catalogue("en")
        if key.startswith("report_page.")
    }
    said = set(re.findall(r'(?:(?<!_)say\(|data-say=)"(\w+)[")]', text))
    said |= set(re.findall(r"report_page\.(\w+)", text))
    listed = set(re.findall(r'"(\w+)"', text))
    made = {key for key in known if re.match(r"over_time_\w+|speaks_\w+", key)}
    assert known <= said | listed | made
    assert said <= known


def test_nothing_runs_and_nothing_is_fetched_but_the_page(
    written: Path, show: Callable[..., Page]
) -> None:
    text = written.read_text(encoding="utf-8")
    assert "default-src 'none'; script-src 'sha256-" in text
    assert "unsafe" not in text.partition("<title>")[0]
    assert not re.search(r"alert\(1\)", text)  # names stand in the packed data only
    page = show(written)
    assert page.locator("h1").text_content() == (
        "Archive <b>&\u2028</b></title><script>alert(2)</script>"
    )
    assert page.evaluate("[...document.scripts].filter((script) => !script.type).length") == 1


def test_the_policy_is_in_force(written: Path, browser: Browser) -> None:
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(written.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate(
        """document.body.insertAdjacentHTML("beforeend",
            '<img src=x onerror="window.hit = 1"><p id=x style="color:red">')"""
    )
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), "
        "{ text: 'window.hit = 2' }))"
    )
    assert page.evaluate("fetch('https://example.org').catch(() => 'refused')") == "refused"
    assert page.evaluate("window.hit") is None
    assert len(refused) >= 4
    assert all("Content Security Policy" in text for text in refused)
    page.close()


@pytest.mark.parametrize("name", NASTY)
def test_names_stay_text(name: str, written: Path, show: Callable[..., Page]) -> None:
    page = show(written, "#project=names")
    assert count(page) == f"{len(NASTY)} of 132 runs"
    run_id = f"names/{name.replace('/', chr(0x2215))}/log.csv"
    assert run_id in names(page)
    open_run(page, run_id)
    assert page.locator(".plots .panel").count() == 1
    assert page.locator("#run-title").text_content() == run_id
    assert page.locator("img, iframe, object, embed").count() == 0


def test_runs_are_counted_and_filtered(
    table: Path, written: Path, show: Callable[..., Page]
) -> None:
    scores = read_scores(table)
    page = show(written)
    assert count(page) == "132 of 132 runs"
    assert len(names(page)) == 50
    shown = page.locator("#by-cause button").all()
    counts = {
        button.locator(".name").text_content(): button.locator(".number").text_content()
        for button in shown
    }
    assert counts["Could not be diagnosed"] == "1"
    page.locator("#project").select_option("team1")
    assert count(page) == "40 of 132 runs"
    assert page.locator("#by-project button").count() == 1
    cause = next(s.cause for s in scores if s.run_id.startswith("team1/") and s.cause)
    page.locator("#cause").select_option(cause)
    fits = [s for s in scores if s.run_id.startswith("team1/") and s.cause == cause]
    assert sorted(names(page)) == sorted(s.run_id for s in fits)
    assert f"cause={cause}" in page.url
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert sorted(names(page)) == sorted(s.run_id for s in fits)
    assert page.locator("#cause").input_value() == cause
    page.locator("button[type=reset]").click()
    assert count(page) == "132 of 132 runs"
    page.locator("#least").fill("80")
    expect(page.locator("#count")).to_have_text(
        f"{sum(round(s.probability or 0, 3) >= 0.8 for s in scores)} of 132 runs"
    )
    page.locator("#least").fill("")
    page.locator("#status").select_option("error")
    expect(page.locator("#count")).to_have_text("1 of 132 runs")
    assert names(page) == ["team0/empty.csv"]
    assert "an empty file" in (page.locator("#table td.text").text_content() or "")
    page.locator("#q").fill("nobody is called so")
    expect(page.locator("#nothing")).to_be_visible()


def test_what_the_address_asks_for_need_not_be_there(
    written: Path, show: Callable[..., Page]
) -> None:
    for address in ("#cause=nonsense", "#project=nowhere", "#status=lost", "#q=%00%F0"):
        assert count(show(written, address)) == "0 of 132 runs"
    page = show(written, "#sort=constructor&page=-7&least=x&run=nobody&other=1")
    assert count(page) == "132 of 132 runs"
    assert len(names(page)) == 50


def test_an_older_browser_unpacks_by_itself(written: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.add_init_script("delete Uint8Array.fromBase64")
    page.goto(written.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert count(page) == "132 of 132 runs"
    page.close()


def test_a_browser_that_cannot_unpack_is_told(written: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(written.as_uri())
    expect(page.locator("body > p").first).to_contain_text("it needs a browser of 2023 or later")
    page.close()


def test_a_bar_is_a_filter(written: Path, show: Callable[..., Page]) -> None:
    page = show(written)
    bar = page.locator("#by-project button", has_text="team2")
    bar.click()
    assert count(page) == "40 of 132 runs"
    assert bar.get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        "team2: 40"
    )
    bar.click()
    assert count(page) == "132 of 132 runs"


@pytest.mark.parametrize("column", ["run", "verdict", "chance", "text", "points", "time"])
def test_every_column_sorts_both_ways(
    column: str, table: Path, written: Path, show: Callable[..., Page]
) -> None:
    page = show(written, "#project=team0&sort=none")
    order = [score.run_id for score in read_scores(table) if score.run_id.startswith("team0/")]
    assert names(page) == order
    button = page.locator(f"#table [data-name={column}]")
    directions = []
    for _ in range(2):
        button.click()
        head = page.locator(f"#table th.{column}").first
        directions.append(head.get_attribute("aria-sort"))
        cells = page.locator(f"#table tbody .{column}").all_text_contents()
        values = [cell for cell in cells if cell]  # what is missing comes last
        assert cells[: len(values)] == values
        if column in ("chance", "points"):
            numbers = [float(re.sub(r"\D", "", cell)) for cell in values]
            assert numbers == sorted(numbers, reverse=directions[-1] == "descending")
        elif column in ("time", "text"):
            assert values == sorted(values, reverse=directions[-1] == "descending")
        elif column == "run" and directions[-1] == "ascending":
            assert values[:3] == ["team0/0/log.csv", "team0/3/log.csv", "team0/6/log.csv"]
        assert sorted(names(page)) == sorted(order)
        assert button.evaluate("button => button === document.activeElement")
    assert sorted(filter(None, directions)) == ["ascending", "descending"]


def test_the_table_is_shown_page_by_page(written: Path, show: Callable[..., Page]) -> None:
    page = show(written, "#sort=run")
    first = names(page)
    page.locator("#pager button", has_text="Next").click()
    assert "page=2" in page.url
    assert not set(first) & set(names(page))
    page.locator("#pager button", has_text="Last").click()
    assert len(names(page)) == 32
    assert page.locator("#pager button", has_text="Next").is_disabled()
    page.locator("#q").fill("team")
    expect(page.locator("#count")).to_have_text("121 of 132 runs")
    assert "page=" not in page.url


def test_the_overview_has_a_table_of_the_same_figures(
    written: Path, show: Callable[..., Page]
) -> None:
    page = show(written, "#project=team1")
    page.locator("summary").click()
    cells = page.locator("#over-time-table td").all_text_contents()
    assert sum(map(int, cells)) == 40
    assert page.locator("#over-time .column").count() == 18  # weeks from first to last run
    assert page.locator("#over-time-title").text_content() == (
        "Runs by week of the log's last change"
    )


def test_small_curves_are_drawn(written: Path, show: Callable[..., Page]) -> None:
    page = show(written, "#project=team1")
    expect(page.locator("#table svg.spark")).to_have_count(40)
    assert page.locator("#table svg.spark path.val").count() == 40


# --- an opened run --------------------------------------------------------------------------------


def test_a_run_is_opened_and_left_by_keyboard(written: Path, show: Callable[..., Page]) -> None:
    page = show(written)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("team1 fell")
    expect(page.locator("#count")).to_have_text("40 of 132 runs")
    assert "q=team1+fell" in page.url
    page.locator("#table a").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    chosen = names(page)[1]
    assert page.evaluate("document.activeElement.textContent") == chosen
    page.keyboard.press("Enter")
    expect(page.locator("#run-title")).to_have_text(chosen)
    assert quote(chosen, safe="") in page.url
    page.locator("dialog button", has_text="Next run").click()
    expect(page.locator("#run-title")).to_have_text(names(page)[2])
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("run="))
    assert page.evaluate("document.activeElement.textContent") == chosen


def test_everything_can_be_reached_by_tab(written: Path, show: Callable[..., Page]) -> None:
    page = show(written, "#q=spiky")
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid" or "<body" in seen[-1]
    text = "".join(seen)
    for part in (
        'id="q"',
        'id="cause"',
        'id="least"',
        "reset",
        "aria-pressed",
        "data-name",
        "#q=spiky",
    ):
        assert part in text


def test_the_evidence_is_marked_where_it_lies(
    archive: Path, table: Path, written: Path, show: Callable[..., Page]
) -> None:
    from curvet.readers import read

    (run,) = read(archive / "spiky.csv")
    cause = next(score.cause for score in read_scores(table) if score.run_id == "spiky.csv")
    facts = weigh(measure(assign(run)), cause)
    said = {"for": " (speaks for the verdict)", "against": " (speaks against the verdict)", "": ""}
    assert {"spike", "some_nonfinite"} <= {fact.kind for fact in facts}
    page = show(written, "#run=spiky.csv")
    expect(page.locator("dialog .panel")).to_have_count(1)
    listed = page.locator(".facts li").all()
    assert [(item.locator("span").last.text_content()) for item in listed] == [
        f.text + said[f.speaks] for f in facts
    ]
    for number, fact in enumerate(facts, start=1):
        marks = page.locator(f".mark[data-fact='{number}']").all()
        found = [float(mark.get_attribute("data-step") or "nan") for mark in marks]
        assert found == list(dict.fromkeys([*fact.steps[:1], *fact.steps[-1:]]))
    # The spike's mark stands where the curve is highest.
    spike = next(n for n, fact in enumerate(facts, start=1) if fact.kind == "spike")
    at = page.locator(f".mark[data-fact='{spike}']").get_attribute("x1")
    points = re.findall(
        r"[ML]([\d.]+) ([\d.]+)", page.locator(".plots path.loss").last.get_attribute("d")
    )
    top = min(points, key=lambda point: float(point[1]))
    assert float(at or "nan") == pytest.approx(float(top[0]), abs=0.1)
    assert page.locator(".plots text.bad").count() == 1


def ticks(page: Page) -> list[float]:
    texts = page.locator(".plots .panel").first.locator("text[text-anchor=middle]:not([class])")
    return [float(text) for text in texts.all_text_contents()]


def test_curves_are_zoomed_by_keys_and_by_dragging(
    written: Path, show: Callable[..., Page]
) -> None:
    page = show(written, "#run=spiky.csv")
    plots = page.locator(".plots")
    expect(plots.locator(".panel")).to_have_count(1)
    whole = ticks(page)
    assert (whole[0], whole[-1]) == (0, 3500)
    plots.focus()
    page.keyboard.press("+")
    assert 900 <= ticks(page)[0] <= 1200
    assert 2500 <= ticks(page)[-1] <= 3000
    page.keyboard.press("ArrowRight")
    assert ticks(page)[0] > 1200
    page.keyboard.press("0")
    assert ticks(page) == whole
    box = plots.locator(".panel").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 100, steps=4)
    assert "training loss" in (page.locator(".readout").text_content() or "")
    page.mouse.up()
    assert ticks(page)[0] > 2000
    assert ticks(page)[-1] < 3000
    plots.dblclick()
    assert ticks(page) == whole
    page.locator(".facts button").last.click()
    assert ticks(page) != whole
    page.locator("button", has_text="Whole run").click()
    log = page.locator("button", has_text="Log scale")
    before = log.get_attribute("aria-pressed")
    path = plots.locator("path.loss").last.get_attribute("d")
    plots.focus()
    page.keyboard.press("l")
    assert log.get_attribute("aria-pressed") != before
    assert plots.locator("path.loss").last.get_attribute("d") != path


def test_a_run_without_curves_says_why(table: Path, show: Callable[..., Page]) -> None:
    out = table.with_name("few.html")
    write_page(table, out, curves=1)
    page = show(out, "#run=team0%2Fempty.csv")
    expect(page.locator("dialog .note")).to_contain_text("an empty file")
    open_run(page, "team1/1/log.csv")
    expect(page.locator("dialog .note")).to_contain_text("not in this page")
    assert "curvet diagnose '" in (page.locator("dialog code").text_content() or "")


def test_a_run_without_a_verdict_says_why(
    table: Path, written: Path, show: Callable[..., Page]
) -> None:
    run_id = next(s.run_id for s in read_scores(table) if s.status == "ok" and not s.cause)
    page = show(written, f"#run={quote(run_id, safe='')}")
    expect(page.locator("dialog .note")).to_have_text(re.compile("^too early to tell: .* likely$"))
    expect(page.locator("dialog .said")).to_have_text("No verdict")


def test_steps_that_go_back_and_a_single_point(tmp_path: Path, show: Callable[..., Page]) -> None:
    back = Curve.of("loss", [3.0, 2, 1, 2.5, 1.5], [0, 10, 20, 10, 20])
    point = Curve.of("loss", [1.0], [5])
    none = Curve.of("loss", [float("nan")] * 3, [0, 1, 2])
    names_of = {"back": back, "point": point, "none": none}
    scores = [some(run_id=name) for name in names_of]
    drawn = {
        place: Drawing({"loss": encode(curve, 100)})
        for place, curve in enumerate(names_of.values())
    }
    out = tmp_path / "page.html"
    out.write_text(render("x", scores, [None] * 3, drawn), encoding="utf-8")
    page = show(out, "#run=back")
    path = page.locator(".plots path.loss").last
    expect(path).to_have_attribute("d", re.compile(r"^M[\d.]+ [\d.]+(L[\d.]+ [\d.]+){4}$"))
    open_run(page, "point")
    expect(page.locator(".plots circle:not(.badge)")).to_have_count(1)
    open_run(page, "none")
    expect(page.locator(".plots text.bad")).to_have_count(3)


# --- for everybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_axe_finds_nothing(
    width: int, dark: bool, written: Path, show: Callable[..., Page]
) -> None:
    page = show(written, width=width, dark=dark)
    expect(page.locator("#table svg.spark").first).to_be_visible()
    page.locator("summary").click()
    every: Any = {"resultTypes": ["violations", "incomplete"]}
    found = Axe().run(page, options=every)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    open_run(page, "spiky.csv")
    expect(page.locator("dialog .panel")).to_have_count(1)
    found = Axe().run(page, options=every)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.querySelector('dialog').scrollWidth <= innerWidth")


# --- size -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_thousand_real_runs_are_small_and_quick(
    demo: Path,
    scored: Scored,
    tmp_path: Path,
    show: Callable[..., Page],
) -> None:
    for number in range(48):
        shutil.copytree(demo, tmp_path / f"runs/project{number % 5}/{number}")
    table = scored(tmp_path / "runs", tmp_path / "scores.parquet")
    made = write_page(table, tmp_path / "report.html", curves=1000)
    assert (made.rows, made.curves) == (1008, 1000)
    assert made.size < 3_000_000
    page = show(tmp_path / "report.html")
    took = page.evaluate("performance.getEntriesByName('ready')[0].startTime")
    assert took < 5000, "a second on a computer that does nothing else; docs/report.md"


def test_a_thousand_of_the_worst_curves_stay_small() -> None:
    rng = np.random.default_rng(0)
    noise = {
        place: Drawing(
            {role: encode(Curve.of(role, 1 + rng.random(5000)), n) for role, n in N_BINS.items()}
        )
        for place in range(BLOCK)
    }
    page, frame = (
        len(render("x", [some(n) for n in range(rows)], [1e9] * rows, noise)) for rows in (BLOCK, 1)
    )
    assert frame + 1000 / BLOCK * (page - frame) < 3_000_000


@pytest.mark.slow
def test_a_hundred_thousand_rows_stay_usable(tmp_path: Path, show: Callable[..., Page]) -> None:
    n = 100_000
    keys = list(CAUSES)
    scores = [
        some(number, cause=keys[number % 20], probability=number % 997 / 1000)
        for number in range(n)
    ]
    out = tmp_path / "report.html"
    out.write_text(render("x", scores, [1.7e9 + 60 * i for i in range(n)], {}), encoding="utf-8")
    assert out.stat().st_size < 10_000_000
    page = show(out)
    assert count(page) == "100,000 of 100,000 runs"
    assert page.locator("#table tbody tr").count() == 50
    assert page.evaluate("document.querySelectorAll('body *').length") < 3000 + n / BLOCK
    began = time.monotonic()
    page.locator("#cause").select_option(keys[3])
    expect(page.locator("#count")).to_have_text("5,000 of 100,000 runs")
    page.locator("#q").fill("run99983")
    expect(page.locator("#count")).to_have_text("1 of 100,000 runs")
    assert time.monotonic() - began < 10
    open_run(page, "team2/run99983")
