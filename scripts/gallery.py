"""Draw 12 random simulated runs of every cause, one page each, to be looked at.

Above each run: the settings in which it differs from the first healthy run of its base.

python scripts/gallery.py CORPUS OUT [--seed S]
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np

from curvet.causes import CAUSES, title_of
from curvet.simulate.corpus import Example, read_corpus

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes


def draw(ax: Axes, example: Example, healthy: Mapping[str, object]) -> None:
    curves, twin = example.run.curves, ax.twinx()
    loss, norm = curves["loss"], curves["grad_norm"]
    ax.plot(loss.step, loss.value, "k-", lw=0.9, label="training")
    if "eval_loss" in curves:
        ax.plot(curves["eval_loss"].step, curves["eval_loss"].value, "C1--", lw=1.2)
    finite = loss.value[np.isfinite(loss.value)]
    if len(finite) and finite.min() > 0 and finite.max() > 8 * finite.min():
        ax.set_yscale("log")
    twin.semilogy(norm.step, np.maximum(norm.value, 1e-12), "C0-", lw=0.4, alpha=0.6)
    twin.tick_params(labelsize=5)
    ax.tick_params(labelsize=5)
    training = example.training
    text = f"{training.task} {training.net} {example.style} n={len(loss)}"
    if len(finite) < len(loss):
        text += f" ({len(loss) - len(finite)} not finite)"
    changed = ", ".join(
        f"{name} {_short(value)}"
        for name, value in json.loads(training.recipe).items()
        if name != "seed" and healthy.get(name, value) != value
    )
    ax.set_title(f"{text}\n{textwrap.shorten(changed, 90)}", fontsize=6)


def _short(value: object) -> str:
    """Write a setting in few characters."""
    if isinstance(value, dict):
        return " ".join(f"{name}={_short(part)}" for name, part in value.items())
    if isinstance(value, list):
        return f"{len(value)}x {_short(value[0])}" if value else "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def healthy_recipes(corpus: Path) -> dict[str, dict[str, object]]:
    """Read the settings of every base: those of its first healthy training."""
    found: dict[str, dict[str, object]] = {}
    for example in read_corpus(corpus, styled=False):
        if example.cause == "healthy":
            found.setdefault(example.training.base, json.loads(example.training.recipe))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    examples, healthy = list(read_corpus(args.corpus)), healthy_recipes(args.corpus)
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    for key, cause in CAUSES.items():
        some = [example for example in examples if example.cause == key]
        chosen = rng.choice(len(some), min(12, len(some)), replace=False)
        figure, axes = plt.subplots(3, 4, figsize=(15, 9))
        for ax, index in zip(axes.flat, chosen, strict=False):
            draw(ax, some[index], healthy.get(some[index].training.base, {}))
        figure.suptitle(f"{title_of(cause.key)} ({len(some)} runs)")
        figure.tight_layout()
        figure.savefig(args.out / f"{key}.png", dpi=70)
        plt.close(figure)


if __name__ == "__main__":
    main()
