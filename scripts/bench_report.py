"""How large the page of `curvet report` is, and how quickly a browser shows it.

Usage: python scripts/bench_report.py [--runs 1000 --runs 100000 ...] [--folder DIR] [--out FILE]

Archives of CSV logs (those of bench_score.py) are scored and made into a page by the commands
themselves; then Chromium opens the page headless and times what a reader does, in the page, up to
the new layout. The middle of five goes. With --folder, archives and tables are kept there and used
again. Writes the figures as JSON, and a page's table beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_score import make_archive
from blocks import filled

GOES = 5
READY = "performance.getEntriesByName('ready')[0].startTime"
CURVES = """async () => {
    const waits = () => document.querySelector('#table td.curve:empty');
    while (waits()) await new Promise(requestAnimationFrame);
    return performance.now();
}"""
TIMED = """async ([what, value]) => {
    const began = performance.now();
    if (what === 'cause') {
        const field = document.getElementById('cause');
        field.value = value;
        field.dispatchEvent(new Event('input', { bubbles: true }));
    } else if (what === 'text') {
        const before = document.getElementById('count').textContent;
        const field = document.getElementById('q');
        field.value = value;
        field.dispatchEvent(new Event('input', { bubbles: true }));
        while (document.getElementById('count').textContent === before) {
            await new Promise((resolve) => setTimeout(resolve, 1));
        }
    } else document.querySelector(what).click();
    document.body.offsetHeight;
    return performance.now() - began;
}"""


def make_page(folder: Path, n_runs: int) -> tuple[Path, float]:
    """Make what is not there yet; return the page, and the seconds that `curvet report` took."""
    table, page = folder / "scores.parquet", folder / "report.html"
    curvet = [sys.executable, "-m", "curvet"]
    if not table.is_file():
        make_archive(folder / "logs", n_runs)
        subprocess.run([*curvet, "score", str(folder / "logs"), "--out", str(table)], check=True)
    began = time.monotonic()
    subprocess.run([*curvet, "report", str(table), "--out", str(page)], check=True)
    return page, time.monotonic() - began


def watch(page: Path, chromium: str) -> dict[str, float]:
    """Open a page and use it; all times in milliseconds."""
    from playwright.sync_api import sync_playwright

    goes: list[dict[str, float]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(GOES):
            tab = browser.new_page(viewport={"width": 1400, "height": 1000})
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]")

            def timed(what: str, value: str = "", tab: Any = tab) -> float:
                return float(tab.evaluate(TIMED, [what, value]))

            goes.append(
                {
                    "open": tab.evaluate(READY),
                    "curves": tab.evaluate(CURVES),
                    "next_page": timed("#pager button:nth-last-child(2)"),
                    "sort": timed("#table [data-name=run]"),
                    "sort_again": timed("#table [data-name=run]"),
                    "cause": timed("cause", "healthy"),
                    "text": timed("text", "run01"),
                    "heap_mb": tab.evaluate("performance.memory.usedJSHeapSize") / 1e6,
                }
            )
            tab.close()
        browser.close()
    return {name: round(statistics.median(go[name] for go in goes)) for name in goes[0]}


def fill_page(found: list[dict[str, float]], page: Path) -> None:
    """Write the figures between the two marks of a page."""
    lines = [
        "| runs | page | made in | opens in | with curves | next 50 | sort by name, again | "
        "filter by verdict | by text | memory |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['runs']:,} | {row['page_mb']} MB | {row['seconds']:,.0f} s | "
            f"{row['open']:,} ms | {row['curves']:,} ms | {row['next_page']} ms | "
            f"{row['sort']:,} ms, {row['sort_again']:,} ms | {row['cause']} ms | "
            f"{row['text']:,} ms | {row['heap_mb']} MB |"
            for row in found
        ),
    ]
    page.write_text(filled(page.read_text(encoding="utf-8"), "speed", lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, action="append", help="size of an archive; repeatable")
    parser.add_argument("--folder", type=Path, help="where archives and tables are kept")
    parser.add_argument("--out", type=Path, default=Path("docs/report.json"))
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    arguments = parser.parse_args()
    known = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
    for n_runs in arguments.runs or [1_000, 10_000, 100_000]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = (arguments.folder or Path(scratch)) / str(n_runs)
            folder.mkdir(parents=True, exist_ok=True)
            page, seconds = make_page(folder, n_runs)
            row = {
                "runs": n_runs,
                "page_mb": round(page.stat().st_size / 1e6, 1),
                "seconds": round(seconds, 1),
                **watch(page.absolute(), arguments.chromium),
            }
        print(json.dumps(row), flush=True)
        known = sorted([r for r in known if r["runs"] != n_runs] + [row], key=lambda r: r["runs"])
        arguments.out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    if (page := arguments.out.with_suffix(".md")).is_file():
        fill_page(known, page)


if __name__ == "__main__":
    main()
