"""Can two causes at once be told apart at all? The feature net, told more than a user can tell it.

    python scripts/pairs.py corpus        # writes docs/pairs.md, about ten minutes of a core

All nets see the same rounds of a simulated corpus; what they are asked about are the logs with two
causes of its other rounds. One net learns from all runs, as the shipped predictor does (whose own
figures, of three classifiers and fewer rounds, are in accuracy.md); one from runs with two causes
alone, so that it knows that every run has two; one has a class for each pair of causes instead of
one for each cause. What the last two miss is hardly in the features.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablations.base import KEYS, ROOT, Array
from ablations.model import fit_net
from blocks import table
from curvet.classifiers import Inputs, Mlp
from curvet.evaluate import score_pairs
from curvet.labelled import Labelled, join, load_labelled, split


def fit_each(runs: Labelled, seed: int, times: float = 1.0) -> Mlp:
    """Train on runs of one cause, and on those of two under each, which count so many times."""
    each = runs.under_each()
    weight = each.weight * np.where(each.both, times, 1.0)
    return fit_net(each.inputs, each.y, weight, seed=seed)


def ask_by_pair(fitted: Labelled, asked: Inputs, seed: int) -> Array:
    """Train a class for each pair of causes; return what each cause's pairs add up to."""
    pairs = np.sort(np.stack([fitted.y, fitted.also], axis=1), axis=1)
    known, which = np.unique(pairs, axis=0, return_inverse=True)
    net = fit_net(fitted.inputs, which.reshape(-1), np.ones(len(which)), len(known), seed)
    holds = (known[:, :, None] == np.arange(len(KEYS))).any(1)
    return np.asarray(net.predict_proba(asked) @ holds)


def ranks(p: Array, causes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at which place each of a run's causes (run, 2) is ranked, from 0 on."""
    return np.take_along_axis((-p).argsort(1).argsort(1), causes, axis=1)


def shares(p: Array, runs: Labelled) -> list[str]:
    """Return how often both causes are first, with an interval, and by less."""
    found = score_pairs(p, p > 0, runs)
    low, high = found["interval"]
    return [
        f"{found['both_first']:.3f} ({low:.3f} to {high:.3f})",
        f"{found['both_in_three']:.3f}",
        f"{found['names_one']:.3f}",
    ]


def by_partner(p: Array, alone: Array, runs: Labelled, one: Labelled) -> Iterator[list[str]]:
    """Yield, for each cause, how often it is among the first two beside another, and alone."""
    place = ranks(p, np.stack([runs.y, runs.also], axis=1))
    first = ranks(alone, one.y[:, None])[:, 0]
    for k, key in enumerate(KEYS):
        beside = np.stack([runs.y, runs.also], axis=1) == k
        if beside.any() and (one.y == k).any():
            shown = place[beside] < 2
            single = first[one.y == k] < 2
            yield [f"`{key}`", f"{beside.sum()}", f"{shown.mean():.2f}", f"{single.mean():.2f}"]


def main() -> None:
    """Train, ask and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="made by `curvet simulate`")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pairs.md", help="the page")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that read the corpus")
    chosen = parser.parse_args()
    fitted, *others = split(load_labelled(chosen.corpus, workers=chosen.workers), chosen.seed)
    held = join(others)
    two, one, pairs = held.part(held.both), held.part(~held.both), fitted.part(fitted.both)
    usual, only = fit_each(fitted, chosen.seed), fit_each(pairs, chosen.seed)
    often = fit_each(fitted, chosen.seed, 4.0)
    p = only.predict_proba(two.inputs)
    answers = {
        "all runs, as the shipped one": usual.predict_proba(two.inputs),
        "all runs, two causes count four times": often.predict_proba(two.inputs),
        "runs with two causes alone": p,
        "the same, a class for each pair of causes": ask_by_pair(pairs, two.inputs, chosen.seed),
    }
    rows = [[name, *shares(each, two)] for name, each in answers.items()]
    beside = list(by_partner(p, usual.predict_proba(one.inputs), two, one))
    text = [
        "# Two causes at once: what is there to be found\n",
        f"`python scripts/pairs.py corpus`: {len(pairs.y)} logs with two causes to learn from, "
        f"{len(two.y)} of other rounds to ask about. 95 % intervals by bootstrap over bases.\n",
        (__doc__ or "").split("\n\n")[2].replace("\n", " ").strip() + "\n",
        *table(["learnt from", "both first", "both among three", "one of them first"], rows),
        "The share of logs in which a cause is among the first two: beside another one, by the "
        "net that learnt from two causes alone, and by itself, by the usual net. Where the first "
        "is lower, other causes hide it.\n",
        *table(["cause", "logs of two", "beside another", "by itself"], beside),
    ]
    chosen.out.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
