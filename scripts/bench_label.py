"""How quickly the page of `curvet label` starts, saves and goes on.

Usage: python scripts/bench_label.py [--runs 1000 --runs 100000 ...] [--page docs/label.md]

The scores of data/demo are repeated to tables of many rows, all with logs that can be read. Each
is served, Chromium labels 40 runs by a key each, and 20,000 labels of others are added in between.
Times are the middle ones; a label's is from the key to the next run on the screen. Fills in the
page's table.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blocks import filled

GOES = 20
OTHERS = 20_000  # labels
ROOT = Path(__file__).parents[1]
NEXT = """async (key) => {
    const title = document.getElementById('run-title');
    const before = title.textContent;
    const began = performance.now();
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    while (title.textContent === before) await new Promise((resolve) => setTimeout(resolve, 1));
    document.body.offsetHeight;
    return performance.now() - began;
}"""


def make_table(folder: Path, n_runs: int) -> Path:
    """Repeat the scores of the demo archive, with a little noise in the probabilities."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from curvet.score.job import Options, score

    small = folder / "demo.parquet"
    if not small.is_file():
        score([ROOT / "data/demo"], small, Options(workers=1))
    demo = pq.read_table(small)
    rng = np.random.default_rng(0)
    rows = demo.take(pa.array(np.arange(n_runs) % len(demo)))
    names = pa.array([f"copy{n // len(demo)}/{n % len(demo)}" for n in range(n_runs)])
    rows = rows.set_column(rows.schema.get_field_index("run_id"), "run_id", names)
    for place, name in enumerate(rows.column_names):
        if name.startswith("p_"):
            noisy = rows.column(name).to_numpy() * rng.uniform(0.5, 1, n_runs)
            rows = rows.set_column(place, name, pa.array(noisy, from_pandas=True))
    out = folder / f"scores{n_runs}.parquet"
    pq.write_table(rows, out)
    return out


def measure(folder: Path, n_runs: int) -> list[str]:
    """Return a row of the page's table."""
    from playwright.sync_api import sync_playwright

    from curvet.labels import Label, open_store
    from curvet.labels.web.serve import prepare

    table, labels = make_table(folder, n_runs), folder / f"labels{n_runs}.db"
    began = time.perf_counter()
    page = prepare(table, labels)
    start = time.perf_counter() - began
    times: list[list[float]] = []
    with page.running() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page()
        tab.goto(url)
        tab.locator("#name-field").fill("bench")
        began = time.perf_counter()
        tab.keyboard.press("Enter")
        tab.wait_for_selector("html[data-ready]")
        opened = time.perf_counter() - began
        for _ in range(2):
            times.append([tab.evaluate(NEXT, "a") for _ in range(GOES)])
            store = open_store(labels)
            at = datetime(2026, 1, 1, tzinfo=UTC)
            store.add(
                Label(
                    f"copy{n % n_runs // 21}/{n % n_runs % 21}",
                    ("healthy",),
                    f"other{n // n_runs}",
                    at + timedelta(seconds=n),
                )
                for n in range(OTHERS)
            )
            store.close()
            tab.wait_for_timeout(5000)  # until the page has seen them
        browser.close()
    first, later = (f"{statistics.median(found):.0f} ms" for found in times)
    return [f"{n_runs:,}", f"{start:.1f} s", f"{opened:.1f} s", first, later]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, action="append")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/label.md")
    options = parser.parse_args()
    head = ["runs", "start", "opens", "next run", f"next run, {OTHERS:,} labels"]
    rows = [head, ["---"] * len(head)]
    with tempfile.TemporaryDirectory() as folder:
        rows += [measure(Path(folder), n) for n in options.runs or [1000, 10_000, 100_000]]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    print("\n".join(lines))
    page = filled(options.page.read_text(encoding="utf-8"), "speed", lines)
    options.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
