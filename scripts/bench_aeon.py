"""Score aeon's time series classifiers on the field trial, beside curvet's own.

Two steps, since aeon pins other versions of what curvet needs. Where curvet is installed:

    python scripts/bench_aeon.py export --corpus corpus --out aeon.npz

and in an environment of its own (pip install aeon tsfresh):

    python scripts/bench_aeon.py compare aeon.npz --out docs/aeon.json

All see the same simulated runs, drawn so that the causes occur as often as curvet's prior says,
and the same real ones. curvet's row "same runs" is its feature classifier trained on those alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SLOW_CHANNELS = ("loss", "noise", "val", "gap", "grad_norm")
"""What FreshPRINCE sees: tsfresh takes some 50 ms for each channel of a run."""


def export(corpus: Path, out: Path, n_runs: int, seed: int) -> None:
    """Write standardised arrays of simulated and of real runs, and what curvet says of these."""
    from curvet.causes import CAUSES
    from curvet.classifiers import Tabular, predict_raw
    from curvet.predictor import Predictor, make_inputs
    from curvet.prior import PRIOR
    from curvet.roles import assign
    from curvet.simulate.corpus import read_round
    from curvet.standardise import IMAGE_CHANNELS, standardise
    from curvet.trials import read_trial

    causes = list(CAUSES)
    rounds = sorted(int(path.stem.split("-")[1]) for path in corpus.glob("round-*.npz"))
    read = (e for number in rounds for e in read_round(corpus, number))
    examples = [e for e in read if not e.training.also]
    every = np.array([causes.index(e.cause) for e in examples])
    weight = np.array([PRIOR[key] for key in causes])[every] / np.bincount(every)[every]
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(every), min(n_runs, len(every)), False, weight / weight.sum())
    trials = [t for t in read_trial(ROOT / "data" / "real") if t.group == "per step"]
    field = make_inputs([standardise(assign(t.run)) for t in trials])
    fit = make_inputs([standardise(assign(examples[i].run)) for i in drawn])
    y = every[drawn]
    begin = time.process_time()
    alone = Tabular().fit(fit, y, np.ones(len(y)), len(causes), seed, lambda done, total: None)
    seconds = time.process_time() - begin
    shipped = Predictor.load()
    np.savez_compressed(
        out,
        causes=causes,
        channels=IMAGE_CHANNELS,
        x=fit.image,
        y=y,
        group=[examples[i].training.base for i in drawn],
        x_field=field.image,
        y_field=[causes.index(t.cause) for t in trials],
        group_field=[t.base for t in trials],
        same_runs=predict_raw([alone], field, causes)[0].argmax(1),
        same_runs_seconds=seconds,
        shipped=shipped.probabilities(field).argmax(1),
    )
    print(f"{out}: {len(y)} simulated and {len(trials)} real runs")


def classifiers(seed: int) -> Mapping[str, tuple[Callable[[], Any], int, tuple[str, ...] | None]]:
    """Name -> (how it is made, most runs that it is trained on, its channels; None for all)."""
    from aeon.classification.convolution_based import (
        MiniRocketClassifier,
        MultiRocketHydraClassifier,
    )
    from aeon.classification.feature_based import FreshPRINCEClassifier
    from aeon.classification.interval_based import QUANTClassifier

    def fresh_prince() -> Any:
        return FreshPRINCEClassifier("efficient", n_estimators=100, random_state=seed)

    return {
        "QUANT": (lambda: QUANTClassifier(random_state=seed), 10**9, None),
        "MiniRocket": (lambda: MiniRocketClassifier(random_state=seed), 10**9, None),
        "MultiRocketHydra": (lambda: MultiRocketHydraClassifier(random_state=seed), 4000, None),
        "FreshPRINCE": (fresh_prince, 400, SLOW_CHANNELS),
    }


def compare(file: Path, out: Path, names: list[str], seed: int) -> None:
    """Train aeon's classifiers, score all, print a table and write it as JSON."""
    with np.load(file) as arrays:
        data = dict(arrays)
    y, known = data["y_field"], len(data["y"])
    rows = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    rows["curvet, shipped"] = score(data["shipped"], y)
    rows["curvet, same runs"] = score(data["same_runs"], y) | {
        "fitted_runs": known,
        "fit_seconds": float(data["same_runs_seconds"]),
    }
    for name, (make, most, wanted) in classifiers(seed).items():
        if name not in names:
            continue
        at = [i for i, c in enumerate(data["channels"]) if wanted is None or c in wanted]
        x, x_field = data["x"][:most, at], data["x_field"][:, at]
        begin = time.process_time()
        model = make().fit(x, data["y"][:most])
        fitted = time.process_time()
        said = model.predict(x_field)
        rows[name] = score(said, y) | {
            "fitted_runs": len(x),
            "channels": len(at),
            "fit_seconds": fitted - begin,
            "ask_seconds_per_1000": (time.process_time() - fitted) / len(y) * 1000,
        }
        print(name, rows[name], flush=True)
        out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(rows)))


def score(said: NDArray[np.int64], y: NDArray[np.int64]) -> dict[str, float]:
    """Top-1, and macro-F1 over the causes that occur."""
    f1 = [
        2 * float((said[y == k] == k).sum()) / float((y == k).sum() + (said == k).sum())
        for k in np.unique(y)
    ]
    return {"macro_f1": float(np.mean(f1)), "top1": float(np.mean(said == y))}


def table(rows: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    figures = ("macro_f1", "top1", "fitted_runs", "fit_seconds", "ask_seconds_per_1000")
    yield "| classifier | " + " | ".join(figures) + " |"
    yield "| --- |" + " --- |" * len(figures)
    for name, row in rows.items():
        yield (
            f"| {name} | " + " | ".join(f"{row[f]:.4g}" if f in row else "" for f in figures) + " |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    first = steps.add_parser("export", help="with curvet: corpus and data/real -> .npz")
    first.add_argument("--corpus", type=Path, required=True)
    first.add_argument("--out", type=Path, required=True)
    first.add_argument("--runs", type=int, default=4000)
    second = steps.add_parser("compare", help="with aeon: .npz -> scores")
    second.add_argument("file", type=Path)
    second.add_argument("--out", type=Path, required=True)
    names = ["QUANT", "MiniRocket", "MultiRocketHydra", "FreshPRINCE"]
    second.add_argument("--only", nargs="+", choices=names, default=names)
    for step in (first, second):
        step.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.step == "export":
        export(args.corpus, args.out, args.runs, args.seed)
    else:
        compare(args.file, args.out, args.only, args.seed)


if __name__ == "__main__":
    main()
