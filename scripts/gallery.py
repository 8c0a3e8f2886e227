"""Draw 12 random simulated runs of every cause, one page each, to be looked at.

python scripts/gallery.py CORPUS OUT [--seed S]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from curvet.causes import CAUSES
from curvet.simulate.corpus import Example, load_corpus

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes


def draw(ax: Axes, example: Example) -> None:
    trace = example.trace
    ax.plot(trace.step, trace.loss, "k-", lw=0.9, label="training")
    ax.plot(trace.val_step, trace.val, "C1--", lw=1.2, label="validation")
    finite = trace.loss[np.isfinite(trace.loss)]
    if len(finite) and finite.min() > 0 and finite.max() > 8 * finite.min():
        ax.set_yscale("log")
    twin = ax.twinx()
    twin.semilogy(trace.step, np.maximum(trace.grad_norm, 1e-12), "C0-", lw=0.4, alpha=0.6)
    twin.tick_params(labelsize=5)
    ax.tick_params(labelsize=5)
    text = f"{example.task} {example.net} {example.style} n={len(trace.loss)}"
    if len(finite) < len(trace.loss):
        text += f" ({len(trace.loss) - len(finite)} not finite)"
    ax.set_title(text, fontsize=7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    examples = load_corpus(args.corpus)
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    for key, cause in CAUSES.items():
        some = [example for example in examples if example.cause == key]
        chosen = rng.choice(len(some), min(12, len(some)), replace=False)
        figure, axes = plt.subplots(3, 4, figsize=(15, 9))
        for ax, index in zip(axes.flat, chosen, strict=False):
            draw(ax, some[index])
        figure.suptitle(f"{cause.title} ({len(some)} runs)")
        figure.tight_layout()
        figure.savefig(args.out / f"{key}.png", dpi=70)
        plt.close(figure)


if __name__ == "__main__":
    main()
