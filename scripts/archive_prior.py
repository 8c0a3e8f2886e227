"""How far the answers about an archive may move the prior: how `curvet.prior.DOUBT` was chosen.

    python scripts/archive_prior.py corpus      # writes docs/archive_prior.md, ten minutes

Real trainings of a third of the workshop's tasks are asked about by two nets: one has learnt from
the other tasks and from simulated runs, the other from simulated runs alone, so that much more is
new to it. Archives of many mixes are drawn from the answers, and answered again under the prior
that is estimated from each; what top-1 and log-loss gain over the default prior decides.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablations.base import KEYS
from ablations.model import lean
from blocks import table
from curvet.labelled import join, load_labelled
from curvet.prior import DOUBT, PRIOR, estimate_prior, reweigh
from uncertainty import figures_of, mix
from workshop_curve import answers_of, fit_net, folds_of, load_workshop

DOCS = Path(__file__).resolve().parents[1] / "docs"
OLD = np.array([PRIOR[key] for key in KEYS])
SIZES = (20, 100, 1000)
N_ARCHIVES = 12
DOUBTS = (0.0, 1.0, 2.0, 4.0)
LEAST: Mapping[str, float | None] = {"raised or lowered": 0.0, "raised alone": None}
"""The least share of healthy runs, by what that allows; None for that of the default prior."""

Array = NDArray[np.float64]


def mixes() -> Iterator[Mapping[str, float]]:
    """Yield shares of the causes: more or fewer healthy runs, or half of all with one fault."""
    for healthy in (0.9, 0.7, 0.5, 0.3, 0.1):
        yield mix(healthy)
    for key in KEYS[1:]:
        usual = mix(0.3, of=0.5)
        yield {**usual, key: usual[key] + 0.5}


def gains(p: Array, y: NDArray[np.int64], doubt: float, least: float | None) -> Array:
    """Return the gain in top-1 and in log-loss, means over archives, (mix and size, 2)."""
    found = []
    for shares in mixes():
        weight = np.array([shares[key] for key in KEYS])[y] / np.bincount(y)[y]
        for size in SIZES:
            rng, each = np.random.default_rng(0), []
            for _ in range(N_ARCHIVES):
                drawn = rng.choice(len(y), size, p=weight / weight.sum())
                new = estimate_prior(p[drawn], OLD, doubt=doubt, least_healthy=least)
                usual = figures_of(p[drawn], y[drawn])
                own = figures_of(reweigh(p[drawn], OLD, new), y[drawn])
                each.append([own[0] - usual[0], usual[1] - own[1]])
            found.append(np.mean(each, axis=0))
    return np.array(found)


def main() -> None:
    """Train two nets, try every doubt, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="made by `curvet simulate`")
    parser.add_argument("--out", type=Path, default=DOCS / "archive_prior.md", help="the page")
    chosen = parser.parse_args()
    runs, task = load_workshop()
    left_out = folds_of(task) == 0
    simulated = load_labelled(chosen.corpus, workers=2)
    simulated = replace(simulated, inputs=lean(simulated.inputs)).part(~simulated.both)
    asked = runs.part(left_out)
    nets = {
        "other tasks known": join([runs.part(~left_out), simulated]),
        "simulated runs alone": simulated,
    }
    answers = {name: answers_of(fit_net(known), asked) for name, known in nets.items()}
    rows = []
    for (name, least), doubt in product(LEAST.items(), DOUBTS):
        chosen_one = doubt == DOUBT and least is None
        row = [f"{name}, {doubt:g}" + (" (chosen)" if chosen_one else "")]
        for p in answers.values():
            found = gains(p, asked.y, doubt, least)
            row += [f"{v:+.3f}" for v in (*found.mean(0), *found.min(0))]
        rows.append(row)
    head = ["share of healthy runs, doubt about faults"]
    head += [
        f"{name}: {figure}"
        for name in answers
        for figure in ("top-1", "log-loss", "least top-1", "least log-loss")
    ]
    page = [
        "# The prior of an archive\n",
        f"`python scripts/archive_prior.py corpus`: {len(asked.y)} logs of "
        f"{len(np.unique(asked.base))} bases. "
        + (__doc__ or "").split("\n\n")[2].replace("\n", " "),
        f"\nGain of the prior that is estimated from an archive over the default one, mean over "
        f"{len(list(mixes()))} mixes, archives of {', '.join(map(str, SIZES))} runs and "
        f"{N_ARCHIVES} draws of each; least: of the mix and size that gain least. Where much is "
        "new, healthy runs look faulty, and all faults a little like one.\n",
        *table(head, rows),
    ]
    chosen.out.write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
