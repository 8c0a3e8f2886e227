"""Measure how fast curvet is, beside what people use, and write docs/speed.json and speed.md.

python scripts/bench.py [--runs 4000] [--tbparse PYTHON]

All figures are CPU seconds on one thread, but for those of all cores, which are wall seconds; quote
the ratios. tbparse needs other versions than curvet: name a Python that has it.
"""

from __future__ import annotations

import os

from benchmarks.clock import ONE_THREAD

os.environ.update(ONE_THREAD)  # before numpy is loaded

import argparse
import json
import platform
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import events, starts, tables
from curvet.predictor import Predictor

ROOT = Path(__file__).parents[1]
FIELD = ROOT / "data" / "real"
AEON = ROOT / "docs" / "aeon.json"  # written by scripts/bench_aeon.py
TARGETS = (
    ("CSV archive, one core: off the shelf / curvet", "archive", "off the shelf", "curvet", 500),
    ("Runs of 20,000 points, features: tsfresh / curvet", "long", "tsfresh", "curvet", 100),
    ("Event files: tbparse / curvet", "events", "tbparse", "curvet", 20),
    (
        "Cold: import tsfresh / curvet diagnose",
        "starts",
        "import tsfresh",
        "cold curvet diagnose",
        2,
    ),
    ("import numpy / import curvet", "starts", "import numpy", "import curvet", 1 / 1.2),
)
"""What is compared, where it stands, and the least ratio that is aimed at."""


def measure(work: Path, args: argparse.Namespace) -> dict[str, Any]:
    paths = tables.write_archive(work / "csv", FIELD, args.runs, 256)
    few = paths[: args.few]
    predictor = Predictor.load()
    predictor.diagnose_many([])
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine()}
    found["parts"] = {
        "curvet": tables.by_curvet(work / "csv", predictor, len(paths)),
        "off the shelf": tables.off_the_shelf(few),
    }
    found["archive"] = {name: parts["route"] for name, parts in found["parts"].items()}
    found["long"] = tables.long_runs(FIELD, work / "long", 20_000)
    events.write_archive(work / "events", 25, 1000)
    found["events"] = events.compare(work / "events", 25 * 1000 * len(events.TAGS), args.tbparse)
    found["starts"] = starts.measure(paths[0])
    cores = len(os.sched_getaffinity(0))
    found["cores"] = cores
    found["all cores"] = tables.all_cores(paths, few, cores)
    return found


def page(found: Mapping[str, Any]) -> Iterator[str]:
    yield "# Speed\n"
    yield (
        "Written by `python scripts/bench.py`: CPU seconds on one thread, measured in one run; "
        "the ratios matter. The archive is of runs of 256 points with training and validation "
        "loss, made of the field trial; off the shelf is pandas, tsfresh's "
        "`extract_features(EfficientFCParameters, n_jobs=0)`, `impute`, and scikit-learn's "
        "gradient boosting.\n"
    )
    yield "| what | ratio | aim |"
    yield "| --- | --- | --- |"
    for title, group, slow, fast, aim in TARGETS:
        if slow in found[group]:
            ratio = found[group][slow] / found[group][fast]
            shown = f"{ratio:.3g}" if ratio < 1000 else f"{ratio:,.0f}"
            yield f"| {title} | {shown} | {aim:.3g} |"
    warm = found["starts"]["warm predict_cause"]
    yield f"| `predict_cause` on one run, warm | {1000 * warm:.2g} ms | 5 ms |"
    both = found["all cores"]
    ratio = both["off the shelf"] / both["curvet"]
    route = f"CSV archive, {found['cores']} cores, with evidence"
    yield f"| {route}: off the shelf / curvet | {ratio:.3g} | |\n"
    yield "| seconds per 1,000 runs | parse | features | models | together |"
    yield "| --- | --- | --- | --- | --- |"
    for name, parts in found["parts"].items():
        cells = [f"{parts[part]:.3g}" for part in ("parse", "features", "models", "route")]
        yield f"| {name} | " + " | ".join(cells) + " |"
    whole = found["parts"]["curvet"]["diagnoses, with evidence"]
    yield f"\nWith evidence and one `Diagnosis` a run: {whole:.3g} s per 1,000 runs."
    if AEON.is_file():
        yield from beside_aeon(json.loads(AEON.read_text(encoding="utf-8")))


def beside_aeon(found: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Beside aeon's classifiers\n"
    fitted = max(row.get("fitted_runs", 0) for row in found.values())
    yield (
        f"`python scripts/bench_aeon.py`: trained on up to {fitted:,} simulated runs, drawn so "
        "that the causes occur as the prior says, and scored on the runs of data/real, logged per "
        'step. "curvet, same runs" is the feature classifier alone.\n'
    )
    yield "| classifier | trained on | macro-F1 | top-1 | CPU seconds to fit | 1,000 answers |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, row in found.items():
        fit, ask = row.get("fit_seconds"), row.get("ask_seconds_per_1000")
        cells = ["" if value is None else f"{value:.3g}" for value in (fit, ask)]
        scores = f"{row['macro_f1']:.3f} | {row['top1']:.3f}"
        runs = row.get("fitted_runs", "all")
        yield f"| {name} | {runs} | {scores} | {cells[0]} | {cells[1]} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=4000, help="runs of the CSV archive")
    parser.add_argument("--few", type=int, default=40, help="of them, for the slow route")
    parser.add_argument(
        "--tbparse", metavar="PYTHON", help="a Python in which tbparse is installed"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), args)
    text = "\n".join(page(found)) + "\n"
    (args.out / "speed.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (args.out / "speed.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
