"""The archive on disk: finished bases while it is made, runs and labels when it is written."""

from __future__ import annotations

import csv
import json
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

from make_demo_runs import last

from .faults import INJECT


def resume(path: Path) -> list[dict[str, Any]]:
    """Return the finished bases of earlier calls; a line cut short is taken out of the file.

    A base of several lines (a cause was tried again later) becomes one.
    """
    bases: dict[int, dict[str, Any]] = {}
    lines = path.read_text(encoding="utf-8").splitlines(True) if path.exists() else []
    for line in lines:
        if not line.endswith("\n"):
            path.write_text("".join(lines[:-1]), encoding="utf-8")
            break
        found = json.loads(line)
        blank = {"base": found["base"], "tried": {}, "again": [], "runs": []}
        known = bases.setdefault(found["base"], blank)
        known["runs"] += found["runs"]
        known["again"] += found.get("again", [])
        known["tried"] = dict(Counter(known["tried"]) + Counter(found["tried"] or {}))
    return list(bases.values())


def write_archive(bases: list[dict[str, Any]], out: Path) -> None:
    """Write runs.jsonl.xz, labels.csv and README.md, in the order of the bases' numbers."""
    out.mkdir(parents=True, exist_ok=True)
    bases = sorted(bases, key=lambda base: int(base["base"]))
    runs = [run for base in bases for run in base["runs"]]
    with lzma.open(out / "runs.jsonl.xz", "wt", encoding="utf-8", preset=6) as file:
        file.writelines(json.dumps(run, separators=(",", ":")) + "\n" for run in runs)
    (out / "README.md").write_text(counted(runs), encoding="utf-8")
    columns = ("id", "base", "task", "net", "framework", "cause")
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*columns, "changed", "final_loss", "twin_final_loss", "twin"])
        for base in bases:
            final = {run["id"]: last(run["per_step"]["loss"]["value"]) for run in base["runs"]}
            for run in base["runs"]:
                losses = [f"{final[run[key]]:.5g}" for key in ("id", "twin")]
                fixed = [run[column] for column in columns]
                table.writerow([*fixed, json.dumps(run["changed"]), *losses, run["twin"]])


def counted(runs: list[dict[str, Any]]) -> str:
    """Return the README of the archive: how many runs there are of what."""
    frameworks = sorted({run["framework"] for run in runs})
    lines = [
        "# The field trial",
        "",
        f"{len(runs)} runs of {len({run['base'] for run in runs})} bases. What the files hold and "
        "how they were made: [data/README.md](../README.md).",
        "",
        f"| cause | runs | {' | '.join(frameworks)} |",
        "| --- |" + " ---: |" * (1 + len(frameworks)),
    ]
    for cause in INJECT:
        with_it = [run["framework"] for run in runs if run["cause"] == cause]
        cells = [str(with_it.count(name)) for name in frameworks]
        lines.append(f"| {cause} | {len(with_it)} | {' | '.join(cells)} |")
    for column in ("framework", "task", "net"):
        found = Counter(run[column] for run in runs).most_common()
        counts = ", ".join(f"{name} {n}" for name, n in found)
        lines += ["", f"Runs by {column}: {counts}."]
    return "\n".join(lines) + "\n"
