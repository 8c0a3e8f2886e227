"""Write docs/accuracy.md: the figures of the shipped predictor, with the commands behind them.

python scripts/accuracy.py [--field DIR]   # DIR: further real runs, with an index.csv
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import confusions
import evidence_truth
import uncertainty
from ablations.render import as_markdown
from curvet.bundle import load_bundle
from curvet.causes import CAUSES
from curvet.evaluate import evaluate
from curvet.simulate.corpus import LOGS_PER_REAL_RUN, LOGS_PER_RUN

ROOT = Path(__file__).parents[1]
VIEWS_PER_CAUSE = ("all channels", "no validation")
CONFUSIONS = ROOT / "docs" / "confusions.json"
EVIDENCE = ROOT / "docs" / "evidence.json"
UNCERTAINTY = ROOT / "docs" / "uncertainty.json"
FIRST_ELEVEN = tuple(CAUSES)[:11]
"""The causes of the first release, of which figures are given apart."""


def overall(views: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "| channels | runs | top-1 | top-3 | macro-F1 (95 %) | first eleven | healthy as healthy | "
        "faulty as healthy | log-loss | ECE | in likely set | its size | answered | top-1 of those "
        "| unlike |"
    )
    yield "| --- |" + " --- |" * 14
    for view, f in views.items():
        low, high = f["intervals"]["macro_f1"]
        healthy = f["causes"].get("healthy")
        cells = [
            str(f["runs"]),
            f"{f['top1']:.3f}",
            f"{f['top3']:.3f}",
            f"{f['macro_f1']:.3f} ({low:.3f} to {high:.3f})",
            f"{first_eleven(f):.3f}",
            f"{healthy['recall']:.3f}" if healthy else "",
            f"{f['false_healthy']:.3f}",
            f"{f['log_loss']:.3f}",
            f"{f['calibration_error']:.3f}",
            f"{f['coverage']:.3f}",
            f"{f['set_size']:.1f}",
            f"{f['answered']:.3f}",
            f"{f['top1_answered']:.3f}",
            f"{f['unlike']:.3f}",
        ]
        yield f"| {view} | " + " | ".join(cells) + " |"
    yield ""


def first_eleven(figures: Mapping[str, Any]) -> float:
    """Macro-F1 over those of the first causes that occur, all verdicts allowed."""
    found = [f["f1"] for key, f in figures["causes"].items() if key in FIRST_ELEVEN]
    return float(sum(found) / max(1, len(found)))


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


def two_causes(pairs: Mapping[str, Any] | None) -> Iterator[str]:
    """Write how often both of two injected causes are found."""
    if pairs is None:
        return
    low, high = pairs["interval"]
    yield "### Two causes at once\n"
    yield (
        f"{pairs['runs']} logs of unseen runs with two injected causes, each of which does harm by "
        "itself and makes the harm of the other one worse: both are ranked before all others in "
        f"{pairs['both_first']:.1%} ({low:.1%} to {high:.1%}), both among the first three in "
        f"{pairs['both_in_three']:.1%}, both in the likely set in {pairs['both_likely']:.1%}; the "
        f"verdict is one of them in {pairs['names_one']:.1%}. The second cause adds little to the "
        "difficulty: if each was found as often as in runs of the same base that have it alone, "
        f"both would be in {pairs['alone_first']:.1%}; of the {pairs['easy']} logs both of whose "
        f"causes are always found alone, both are first in {pairs['both_first_of_easy']:.1%}. "
        "How often they can be told at all, by nets that know that every run has two, is in "
        "[pairs.md](pairs.md). Tried and of no use: a net with one yes or no for each cause, and "
        "116 real trainings with two faults.\n"
    )


def early(name: str, prefixes: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Write the figures of runs that are cut off."""
    yield (
        f"| logged {name}, share seen | too short | answered | top-1 of those | top-1 of all | "
        "top-3 | ECE | in likely set | its size |"
    )
    yield "| --- |" + " --- |" * 8
    names = ("too_short", "answered", "top1_answered", "top1", "top3", "calibration_error")
    for share, f in prefixes.items():
        cells = [f"{f[n]:.3f}" if n in f else "" for n in (*names, "coverage")]
        size = f"{f['set_size']:.1f}" if "set_size" in f else ""
        yield f"| {float(share):.0%} | " + " | ".join([*cells, size]) + " |"
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
    beside = "".join(
        f", and {other['runs']} real trainings of {other['rounds']} bases, each in "
        f"{LOGS_PER_REAL_RUN}"
        for other in bundle.manifest.get("beside", ())
    )
    yield (
        f"from {corpus['runs']} simulated runs of {corpus['rounds']} rounds, each logged in "
        f"{LOGS_PER_RUN} ways{beside}. Macro-F1 is the mean over the causes that occur; ECE is the "
        "expected calibration error over 15 bins; intervals are bootstraps over bases. "
        '"First eleven" is macro-F1 over the causes of the first release, with all twenty allowed '
        "as verdicts. Simulated runs count with the prior (three in ten healthy), real ones count "
        "alike.\n"
    )
    yield "## Simulated rounds that training did not see\n"
    yield from overall(bundle.manifest["scores"])
    yield from per_cause(bundle.manifest["scores"])
    yield from two_causes(bundle.manifest.get("pairs"))
    evaluated = evaluate(field=ROOT / "data" / "real")
    trial = evaluated["field"]
    yield "## The field trial: real trainings, `data/real`\n"
    yield (
        "`curvet evaluate --field data/real`. Tasks that the training has not, by six frameworks, "
        "of which it knows PyTorch. The real trainings among it share the trial's code of nets and "
        "faults, but no task, setting, severity or rule by which a label is kept: see "
        "data/README.md.\n"
    )
    for name in ("per step", "per epoch"):
        yield f"### Logged {name}\n"
        yield from overall(trial[name])
        yield from per_cause(trial[name])
    if CONFUSIONS.is_file():
        yield from confusions.as_markdown(json.loads(CONFUSIONS.read_text(encoding="utf-8")))
    yield "### While they are still going\n"
    yield (
        "The same runs, cut off after a share of their points. No verdict is given where the "
        "likely set holds more than a third of all causes, where the curve is unlike all known "
        "ones, or where there are fewer than five points.\n"
    )
    for name in ("per step", "per epoch"):
        yield from early(name, evaluated["early"][name])
    if UNCERTAINTY.is_file():
        yield from uncertainty.as_markdown(json.loads(UNCERTAINTY.read_text(encoding="utf-8")))
    if EVIDENCE.is_file():
        yield from evidence_truth.as_markdown(json.loads(EVIDENCE.read_text(encoding="utf-8")))
    ablation = ROOT / "docs" / "ablation.json"
    if ablation.is_file():
        yield "## What it rests on\n"
        yield (
            "`python scripts/ablation.py corpus`: the feature classifier alone, trained each time "
            "on the same number of runs, and yardsticks.\n"
        )
        yield from as_markdown(json.loads(ablation.read_text(encoding="utf-8")))
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
