"""Measure how near the facts come to the truth: the step of an injected spike or divergence.

python scripts/evidence_truth.py corpus   # a corpus of `curvet simulate`

Writes docs/evidence.json, which `scripts/accuracy.py` puts into docs/accuracy.md.

Every faulty run of the corpus with a fault of a known step is measured as it was at every step,
and once more as a tracker may have logged it. What counts as truth:

spike           the bad batches of the recipe, where the loss came back
divergence      the bad batch or the resume of the recipe, where the loss did not come back: it
                turned NaN, or ended above all that its healthy twin shows from there on
level shift     the resume of the recipe, where the loss came back or fell
from the start  for faults that act from the start: the last step at which the loss was still
                within what its healthy twin shows from there to the end. Of runs that nine times
                in ten were within it until then and end NaN or above their start; of runs that
                turn NaN, the first such step if it comes earlier

A step is found if a fact that names a place names one within 2 % of the run. Of healthy runs the
share is given that are said to spike or to leave their course.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from curvet.diagnosis import Evidence
from curvet.evidence import SPIKES, measure
from curvet.recipe import Trace
from curvet.roles import assign
from curvet.run import Run
from curvet.simulate.corpus import Training, list_rounds, read_trainings
from curvet.simulate.loggers import Logger, draw_logger, log

OUT = Path(__file__).parents[1] / "docs" / "evidence.json"
NEAR = 0.02
OUTLIERS = {*SPIKES, "dip"}
LEFT = {"left_course", "level_shift", "noisier", "risen"}
PLACES = {*OUTLIERS, *LEFT, "first_nonfinite", "some_nonfinite", "resume_shift", "step_goes_back"}
PLACES.add("rate_starts_anew")
EACH = "each step"
FROM_THE_START = ("lr_too_high", "exploding_gradients", "precision_overflow")


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Interval of 95 % for a share (Wilson, JASA 1927)."""
    if total == 0:
        return 0.0, 1.0
    z, p = 1.96, hits / total
    middle = p + z * z / (2 * total)
    width = z * np.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return (middle - width) / (1 + z * z / total), (middle + width) / (1 + z * z / total)


def truths(training: Training, twin: Trace) -> tuple[str, list[int]]:
    """Say what was injected, and at which positions; ("", []) where no step is known."""
    trace, at = training.trace, training.trace.onset
    if training.cause == "bad_data_batch":
        starts = [bad["start"] for bad in json.loads(training.recipe)["bad_batches"]]
        stays = not trace.finite or _above(trace, twin, at) is not None
        return ("divergence" if stays else "spike"), starts
    if training.cause == "resume_state_lost":
        stays = not trace.finite or _above(trace, twin, at) is not None
        return ("divergence" if stays else "level shift"), [at]
    if training.cause in FROM_THE_START and (not trace.finite or trace.end > trace.start):
        last = _departure(trace, twin)
        return ("from the start", [last]) if last is not None else ("", [])
    return "", []


def _departure(trace: Trace, twin: Trace) -> int | None:
    """Position at which a run left, for good, a course that it had held until then."""
    n = min(len(trace.loss), len(twin.loss))
    within = np.isfinite(trace.loss[:n]) & (trace.loss[:n] <= _worst(twin, n))
    bad = np.flatnonzero(~np.isfinite(trace.loss[:n]))
    last = int(bad[0]) if len(bad) else int(np.flatnonzero(within)[-1]) if within.any() else 0
    if len(bad) and last and not within[:last].all():  # it had left the course before
        last = int(np.flatnonzero(within[:last])[-1]) if within[:last].any() else 0
    learnt = last >= max(5, n // 50) and float(within[:last].mean()) >= 0.9
    return last if learnt and last < n - max(5, n // 50) else None


def _worst(twin: Trace, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Highest loss of the twin from each step to the end."""
    return np.maximum.accumulate(twin.loss[:n][::-1])[::-1]


def _above(trace: Trace, twin: Trace, since: int) -> int | None:
    """Last position at which the loss was within what the twin shows from there on."""
    n = min(len(trace.loss), len(twin.loss))
    within = np.flatnonzero(trace.loss[:n] <= _worst(twin, n))
    last = int(within[-1]) if len(within) else 0
    return last if last < n - max(5, n // 50) and last >= since - n // 50 else None


def found(facts: Sequence[Evidence], at: Sequence[float], run: float) -> bool:
    """Tell whether a fact names a place near one of these steps."""
    steps = [
        step
        for fact in facts
        if fact.kind in PLACES
        for step in (fact.steps if fact.kind in SPIKES else fact.steps[:1])
    ]
    return any(abs(step - truth) <= NEAR * run for step in steps for truth in at)


def logs(trace: Trace, rng: np.random.Generator) -> Iterator[tuple[str, Run, int]]:
    """Log a training at every step, and as a tracker may have: style, run, steps between points."""
    yield EACH, log(trace, Logger("step", 1)), 1
    drawn = replace(draw_logger(trace, rng), counter="step", crash=0.0)
    yield "logged", log(trace, drawn), drawn.every


def figures(folder: Path, n_rounds: int, seed: int, show: bool) -> list[dict[str, Any]]:
    """Measure the share found of each kind of truth, and the false facts of healthy runs."""
    hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    near: dict[tuple[str, str], list[bool]] = defaultdict(list)
    rng = np.random.default_rng(seed)
    for number, _ in list_rounds(folder)[:n_rounds]:
        for training, twin in read_trainings(folder, number):
            if training.also:
                continue
            kind, at = truths(training, twin)
            healthy = training.cause == "healthy"
            if not kind and not healthy:
                continue
            trace = training.trace
            for style, run, every in logs(trace, rng):
                if int(np.isfinite(run.curves["loss"].value).sum()) < 9:
                    continue
                facts = measure(assign(run))
                kinds = {fact.kind for fact in facts}
                if healthy:
                    hits["healthy: false spike", style].append(bool(kinds & OUTLIERS))
                    hits["healthy: false left course", style].append(bool(kinds & LEFT))
                    if show and style == EACH and kinds & (OUTLIERS | LEFT):
                        print("healthy", number, training.base, *(f.text for f in facts), sep=" | ")
                    continue
                steps = [float(trace.step[i]) for i in at if i < len(trace.step)]
                length = float(np.ptp(trace.step))
                hits[kind, style].append(found(facts, steps, length))
                near[kind, style].append(found(facts, steps, max(length, every / NEAR)))
                if show and style == EACH and not hits[kind, style][-1]:
                    named = [(f.kind, f.steps[0]) for f in facts if f.steps]
                    print(kind, training.cause, number, training.base, steps[:3], named, sep=" | ")
    return [
        {
            "truth": truth,
            "style": style,
            "runs": len(outcomes),
            "share": float(np.mean(outcomes)),
            "interval": wilson(sum(outcomes), len(outcomes)),
            "near": float(np.mean(near[truth, style])) if (truth, style) in near else None,
        }
        for (truth, style), outcomes in sorted(hits.items())
    ]


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Write what was measured as a section of a page."""
    yield "## The steps that the evidence names\n"
    yield (
        "`python scripts/evidence_truth.py corpus`: runs of the corpus whose recipe tells the step "
        'of the fault. "Found" is a fact that names a step within 2 % of the run; in brackets, of '
        "runs as a tracker logged them, within 2 % or one logged point. Thresholds were chosen on "
        "an earlier corpus of the same simulator. Below, healthy runs with a fact that has "
        "no fault behind it. Intervals are Wilson's, 95 %.\n"
    )
    yield "| truth | logged | runs | share |"
    yield "| --- | --- | ---: | --- |"
    for row in rows:
        low, high = row["interval"]
        near = f" ({row['near']:.1%})" if row["near"] is not None and row["style"] != EACH else ""
        share = f"{row['share']:.1%}{near}, {low:.1%} to {high:.1%}"
        yield f"| {row['truth']} | {row['style']} | {row['runs']} | {share} |"
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="folder written by `curvet simulate`")
    parser.add_argument("--rounds", type=int, default=10**6, help="of the corpus (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="draws the loggers (default: 0)")
    parser.add_argument("--show", action="store_true", help="list what was missed or made up")
    options = parser.parse_args()
    rows = figures(options.corpus, options.rounds, options.seed, options.show)
    print("\n".join(as_markdown(rows)))
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
