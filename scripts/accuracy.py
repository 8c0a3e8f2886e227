"""Write docs/accuracy.md: the figures of the shipped predictor, with the commands behind them.

python scripts/accuracy.py [--field DIR]   # DIR: further real runs, with an index.csv
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from curvet.bundle import load_bundle
from curvet.causes import CAUSES
from curvet.evaluate import evaluate

ROOT = Path(__file__).parents[1]
VIEWS_PER_CAUSE = ("all channels", "no validation")


def overall(views: Mapping[str, Any]) -> Iterator[str]:
    yield "| channels | runs | top-1 | top-3 | macro-F1 (95 %) | log-loss | ECE | in likely set |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for view, f in views.items():
        low, high = f["intervals"]["macro_f1"]
        yield (
            f"| {view} | {f['runs']} | {f['top1']:.3f} | {f['top3']:.3f} | {f['macro_f1']:.3f} "
            f"({low:.3f} to {high:.3f}) | {f['log_loss']:.3f} | {f['calibration_error']:.3f} | "
            f"{f['coverage']:.3f} |"
        )
    yield ""


def per_cause(views: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "| cause | runs | "
        + " | ".join(
            f"{figure}, {view}"
            for view in VIEWS_PER_CAUSE
            for figure in ("recall", "precision", "top-3", "log-loss", "ECE")
        )
        + " |"
    )
    yield "| --- | --- |" + " --- |" * 10
    for key in CAUSES:
        if key not in views[VIEWS_PER_CAUSE[0]]["causes"]:
            continue
        cells = []
        for view in VIEWS_PER_CAUSE:
            f = views[view]["causes"][key]
            names = ("recall", "precision", "top3", "log_loss", "calibration_error")
            cells += [f"{f[name]:.2f}" for name in names]
        runs = views[VIEWS_PER_CAUSE[0]]["causes"][key]["runs"]
        yield f"| `{key}` | {runs} | " + " | ".join(cells) + " |"
    yield ""


def page(field: Path | None) -> Iterator[str]:
    bundle = load_bundle()
    corpus = bundle.manifest["corpus"]
    yield "# Accuracy\n"
    yield (
        f"Figures of the shipped predictor `{bundle.name}`, written by `python scripts/accuracy.py`"
        ". It was made by\n"
    )
    yield "```console"
    yield from (f"$ {command}" for command in bundle.manifest["commands"])
    yield "```\n"
    yield (
        f"from {corpus['runs']} labelled runs of {corpus['rounds']} rounds, each logged in two "
        "ways. Macro-F1 is the mean over the causes that occur; ECE is the expected calibration "
        "error over 15 bins; intervals are bootstraps over bases. Simulated runs count with the "
        "prior (a quarter healthy), real ones count alike.\n"
    )
    yield "## Simulated rounds that training did not see\n"
    yield from overall(bundle.manifest["scores"])
    yield from per_cause(bundle.manifest["scores"])
    trial = evaluate(field=ROOT / "data" / "real")["field"]
    yield "## The field trial: real trainings, `data/real`\n"
    yield "`curvet evaluate --field data/real`. Tasks and frameworks that no simulation has.\n"
    for name in ("per step", "per epoch"):
        yield f"### Logged {name}\n"
        yield from overall(trial[name])
        yield from per_cause(trial[name])
    if field is not None:
        yield "## Runs by others, from public repositories\n"
        yield (
            "Collected logs with labels of medium and high confidence; not part of this "
            "project. Grouped by source, since most are of one grid of learning rates.\n"
        )
        for name, views in evaluate(field=field)["field"].items():
            yield f"### {name}\n"
            yield from overall(views)
            yield from per_cause(views)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--field", type=Path)
    args = parser.parse_args()
    out = ROOT / "docs" / "accuracy.md"
    out.parent.mkdir(exist_ok=True)
    out.write_text("\n".join(page(args.field)).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
