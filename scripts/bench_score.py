"""How much time and memory `curvet score` takes for archives of growing size.

Usage: python scripts/bench_score.py [--runs 10000 --runs 100000 ...] [--workers 2] [--out FILE]

Each archive is made anew of CSV logs with 100 points of training and validation loss, one folder a
run, a thousand runs a project. Scored are they by the command itself in processes of its own, once
from nothing and once again with nothing new. Memory is the sum of the proportional set sizes of all
its processes, the largest of ten looks a second. Writes the figures as JSON, a page's table and a
picture beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.progress import track

from blocks import filled

POINTS = 100


def make_archive(folder: Path, n_runs: int) -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(POINTS)
    for number in track(range(n_runs), f"{n_runs:,} logs", disable=not sys.stderr.isatty()):
        loss = 2 * np.exp(-steps / rng.uniform(10, 200)) + 0.05 * rng.random(POINTS)
        val = loss + rng.uniform(0, 0.5) * steps / POINTS
        path = folder / f"project{number // 1000:04d}/run{number % 1000:03d}/metrics.csv"
        path.parent.mkdir(parents=True)
        rows = [f"{s},{a:.5g},{b:.5g}" for s, a, b in zip(steps, loss, val, strict=True)]
        path.write_text("\n".join(["step,loss,val_loss", *rows, ""]), encoding="ascii")


def memory_of(pid: int) -> int:
    """Proportional set size of a process and all below it, bytes."""
    total, pending = 0, [pid]
    while pending:
        one = pending.pop()
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii")
            total += 1024 * int(rollup.split("Pss:")[1].split()[0])
            for task in Path(f"/proc/{one}/task").iterdir():
                pending += map(int, (task / "children").read_text(encoding="ascii").split())
        except (OSError, IndexError):
            continue  # it has just ended
    return total


def score(archive: Path, out: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "curvet", "score", str(archive), "--out", str(out)]
    began, peak, looks = time.monotonic(), 0, []
    with subprocess.Popen([*command, "--workers", str(workers)], stderr=subprocess.DEVNULL) as job:
        while job.poll() is None:
            looks.append(memory_of(job.pid))
            peak = max(peak, looks[-1])
            time.sleep(0.1)
    if job.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {job.returncode}")
    return {"seconds": round(time.monotonic() - began, 1), "peak_mib": round(peak / 2**20)}


def measure(n_runs: int, workers: int, place: Path | None) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        archive, out = Path(scratch) / "runs", Path(scratch) / "scores.parquet"
        make_archive(archive, n_runs)
        first = score(archive, out, workers)
        again = score(archive, out, workers)
        found = {
            "runs": n_runs,
            "workers": workers,
            **first,
            "runs_per_second": round(n_runs / first["seconds"]),
            "again_seconds": again["seconds"],
            "again_peak_mib": again["peak_mib"],
            "table_mib": round(out.stat().st_size / 2**20, 1),
            "state_mib": round(Path(f"{out}.state").stat().st_size / 2**20, 1),
        }
        shutil.rmtree(archive)
    return found


def draw(found: list[dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    runs = [row["runs"] for row in found]
    axes.plot(runs, [row["peak_mib"] for row in found], "o-k", label="scoring")
    axes.plot(runs, [row["again_peak_mib"] for row in found], "s--", color="0.5", label="again")
    axes.axhline(2048, color="0.7", linewidth=1)
    axes.text(runs[0], 2080, "2 GiB", va="bottom", fontsize=8)
    axes.set(xscale="log", xlabel="runs", ylabel="peak memory, MiB", ylim=(0, 2400))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def fill_page(found: list[dict[str, float]], page: Path) -> None:
    """Write the figures between the two marks of a page."""
    lines = [
        "| runs | time | runs a second | most memory | again, nothing new | table | state |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['runs']:,} | {row['seconds']:,.0f} s | {row['runs_per_second']:,} | "
            f"{row['peak_mib']:,} MiB | {row['again_seconds']:,.0f} s, "
            f"{row['again_peak_mib']:,} MiB | {row['table_mib']:,} MiB | "
            f"{row['state_mib']:,} MiB |"
            for row in found
        ),
    ]
    page.write_text(filled(page.read_text(encoding="utf-8"), "scale", lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, action="append", help="size of an archive; repeatable")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("docs/scores.json"))
    parser.add_argument("--scratch", type=Path, help="folder for the archives")
    arguments = parser.parse_args()
    known = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
    for n_runs in arguments.runs or [1_000, 10_000, 100_000]:
        row = measure(n_runs, arguments.workers, arguments.scratch)
        print(json.dumps(row), flush=True)
        known = sorted([r for r in known if r["runs"] != n_runs] + [row], key=lambda r: r["runs"])
        arguments.out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    draw(known, arguments.out.with_suffix(".png"))
    if (page := arguments.out.with_suffix(".md")).is_file():
        fill_page(known, page)


if __name__ == "__main__":
    main()
