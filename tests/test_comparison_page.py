"""The page of a comparison, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from curvet.causes import CAUSES
from curvet.compare import FIGURES
from curvet.page.comparison import PROVENANCE, render_comparison, write_comparison
from curvet.texts import catalogue, use_language

NASTY = '</title><script>alert(1)</script>"><img src=x onerror=alert(1)> $title {x} \u202e'


def figure(value: float, spread: float = 0.04) -> dict[str, float]:
    return {"value": value, "low": value - spread, "high": value + spread}


def compared(runs: int, seed: int) -> dict[str, Any]:
    """Make up what `compare.compare` returns."""
    rng = np.random.default_rng(seed)
    keys = [*CAUSES, "repeated_shard"]

    def side(name: str, better: float) -> dict[str, Any]:
        chance = np.linspace(0.15, 0.95, 9)
        right = np.clip(chance - 0.15 + better + 0.05 * rng.standard_normal(9), 0, 1)
        values = {"log_loss": 1.4 - better, "set_size": 3.2 - better, "coverage": 0.86 + better / 4}
        return {
            "bundle": name,
            "unknown": ["repeated_shard"] if better == 0 else [],
            "figures": {key: figure(values.get(key, 0.6 + better)) for key in FIGURES},
            "reliability": [
                {"confidence": float(c), "right": float(r), "runs": runs // 9}
                for c, r in zip(chance, right, strict=True)
            ],
        }

    causes: dict[str, Any] = {}
    for key in keys:
        recall = float(rng.uniform(0.2, 0.8))
        old = {
            "recall": figure(recall),
            "precision": figure(recall),
            "log_loss": figure(1.3 - recall),
        }
        new = {name: figure(f["value"] + 0.1) for name, f in old.items()}
        difference: dict[str, Any] = {name: figure(0.1, 0.15) for name in old}
        if key == "repeated_shard":
            old |= {"recall": figure(0, 0), "precision": None}  # type: ignore[dict-item]
            difference["precision"] = None
        causes[key] = {"runs": runs / 21, "old": old, "new": new, "difference": difference}
    return {
        "runs": runs,
        "groups": runs // 4,
        "draws": 400,
        "floor": 0.001,
        "coverage_asked": 0.9,
        "old": side("default-1a2b3c4d", 0.0),
        "new": side("team-0002-5e6f7a8b", 0.1),
        "difference": {
            key: figure(-0.1 if key in ("log_loss", "set_size", "calibration_error") else 0.1)
            for key in FIGURES
        }
        | {"answered": figure(0.001, 0.02), "top3": figure(-0.08, 0.02)},
        "causes": causes,
    }


def record(**others: Any) -> dict[str, Any]:
    parts = ("all sources", "per epoch", "per step", "one", "two")
    return {
        "old": "shipped",
        "new": "0002",
        "gate": {"passed": True, "forced": False, "reasons": ["log-loss fell by 0.1", NASTY]},
        "held_out": compared(180, 0),
        "field": {name: compared(1075, n) for n, name in enumerate(parts, 1)},
        "provenance": {
            "labels": {
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "annotators": ["ada", NASTY],
                "runs": 12345,
                "causes": {"healthy": 40, "repeated_shard": 22},
                "not_used": {},
            },
            "seed": 0,
            "something_else": 1.5,
        },
        **others,
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "comparison.html"
    write_comparison(out, record())
    return out


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page; whatever it complains about or asks a network for is an error in the end."""
    trouble: list[str] = []
    contexts = []

    def open_(path: Path, *, width: int = 1200, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:")) else trouble.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_axe_finds_nothing(
    width: int, dark: bool, written: Path, show: Callable[..., Page]
) -> None:
    page = show(written, width=width, dark=dark)
    for summary in page.locator("summary").all():
        summary.click()
    every: Any = {"resultTypes": ["violations", "incomplete"]}
    found = Axe().run(page, options=every)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_the_page_says(written: Path, show: Callable[..., Page]) -> None:
    page = show(written)
    expect(page.locator("h1")).to_have_text("Bundle 0002 compared with the one that ships")
    expect(page.locator(".verdict.passed p")).to_have_text("Better: the gate let it pass.")
    expect(page.locator(".verdict li")).to_have_count(2)
    first = page.locator("table").first
    row = first.locator("tbody tr", has_text="Most probable cause is right")
    assert row.locator("td").all_inner_texts() == [
        "60.0 %\n56.0 % to 64.0 %",
        "70.0 %\n66.0 % to 74.0 %",
        "+10.0 better\n+6.0 to +14.0",
    ]
    cells = [row.inner_text() for row in first.locator("tbody tr").all()]
    assert "\u22120.100 better" in cells[2]  # a lower log-loss
    assert "\u22128.0 worse" in cells[1]
    assert "+0.1\n" in cells[6]  # its interval holds 0
    assert "better" not in cells[4]  # of the coverage nothing is better
    assert "default-1a2b3c4d does not know: repeated_shard." in page.inner_text("main")
    expect(page.locator("details")).to_have_count(3)  # two of causes, one part of the trial
    provenance = page.locator("section").last.inner_text()
    for words in (
        "Labelled by",
        "ada",
        "12,345",
        "something else",
        "1.5",
        "repeated shard",
        "Healthy",
    ):
        assert words in provenance


def test_bars_are_as_long_as_the_recall(written: Path, show: Callable[..., Page]) -> None:
    page = show(written)
    whole = record()["held_out"]["causes"]["overfitting"]
    row = page.locator("tr", has_text="Overfitting").first
    svg = row.locator("svg").bounding_box()
    assert svg is not None
    for side in ("old", "new"):
        bar = row.locator(f".bar-{side}").bounding_box()
        assert bar is not None
        assert bar["width"] / svg["width"] == pytest.approx(
            whole[side]["recall"]["value"], abs=0.02
        )
    label = row.locator("svg").get_attribute("aria-label")
    assert label is not None
    assert re.fullmatch(r"old \d+\.\d %, new \d+\.\d %", label)
    expect(page.locator("section").first.locator("circle")).to_have_count(18)


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (
            {"passed": False, "reasons": ["worse"], "forced": False},
            "In use stays the one that ships.",
        ),
        ({"passed": False, "reasons": [], "forced": True}, "Installed by force"),
        (None, ""),
    ],
)
def test_verdicts(gate: dict[str, Any] | None, said: str) -> None:
    page = render_comparison({"old": "shipped", "new": "0001", "gate": gate})
    assert said in page
    assert ("verdict" in page.split("</style>")[1]) == (gate is not None)
    assert "<section" not in page


def test_it_is_one_file_that_runs_nothing(written: Path) -> None:
    text = written.read_text()
    assert "<script" not in text
    assert " style=" not in text.split("</style>")[1]
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'; style-src 'sha256-" in text
    assert list(written.parent.iterdir()) == [written]


def test_in_chinese(tmp_path: Path, show: Callable[..., Page]) -> None:
    use_language("zh")
    write_comparison(tmp_path / "zh.html", record())
    page = show(tmp_path / "zh.html", width=400)
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator("h2").first).to_have_text(catalogue("zh")["comparison_page.held_out"])
    assert "Coverage" not in page.inner_text("body")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_was_not_learned_is_no_word_of_python() -> None:
    strength = {"slope": 5.0, "intercept": 0.3, "weights": None}
    page = render_comparison({"old": "a", "new": "b", "provenance": {"strength": strength}})
    assert "What the nets see</dt><dd>none</dd>" in page
    assert "None" not in page


def test_every_provenance_has_a_name() -> None:
    assert all(f"comparison_page.{key}" in catalogue("en") for key in PROVENANCE)
