"""Draw the simulated runs that ship for `curvet retrain`: data/simulated.jsonl.xz.

They are of the rounds on which the shipped predictor was calibrated, none of which its classifiers
were trained on, drawn so that the causes have the prior, each logged as the corpus logs it and
without the channels that real logs often lack.
"""

from __future__ import annotations

import argparse
import json
import lzma
from pathlib import Path

import numpy as np

from curvet.causes import CAUSES
from curvet.classifiers.nets import DROP
from curvet.labelled import load_labelled, split
from curvet.prior import PRIOR
from curvet.roles import assign
from curvet.simulate.corpus import list_rounds, read_round

OUT = Path(__file__).parents[1] / "data" / "simulated.jsonl.xz"
DIGITS = 5
TAGS = {"loss": "train_loss", "val": "val_loss", "grad_norm": "grad_norm", "lr": "lr"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="folder of the shipped predictor's corpus")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="that the predictor was trained with")
    chosen = parser.parse_args()
    held = set(split(load_labelled(chosen.corpus, workers=2), chosen.seed)[1].group.tolist())
    found = [
        example
        for each in list_rounds(chosen.corpus)
        for example in read_round(chosen.corpus, *each, True)
        if example.family in held and not example.training.also
    ]
    share = np.array([PRIOR[example.cause] for example in found])
    count = {key: sum(example.cause == key for example in found) for key in CAUSES}
    share /= np.array([count[example.cause] for example in found])
    rng = np.random.default_rng((chosen.seed, 5))
    rows = rng.choice(len(found), chosen.runs, replace=False, p=share / share.sum())
    with lzma.open(OUT, "wt", encoding="utf-8", preset=9) as file:
        for row in np.sort(rows).tolist():
            channels, kept = assign(found[row].run), {}
            for role, tag in TAGS.items():
                curve = getattr(channels, role)
                if curve is not None and rng.random() >= DROP.get(role, 0.0):
                    kept[tag] = {"step": _short(curve.step), "value": _short(curve.value)}
            line = {"base": found[row].training.base, "cause": found[row].cause, "curves": kept}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
    print(f"{OUT.name}: {len(rows)} of {len(found)} runs, {OUT.stat().st_size / 1e6:.2f} MB")


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


if __name__ == "__main__":
    main()
