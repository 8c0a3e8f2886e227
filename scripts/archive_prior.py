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
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablations.base import KEYS, ROOT, Array
from ablations.model import fit_net
from blocks import table
from curvet.labelled import join
from curvet.prior import DOUBT, PRIOR, estimate_prior, reweigh
from uncertainty import SIZES, draw_archives, figures_of, half_of, mix
from workshop_curve import WORKSHOP, answers_of, folds_of, load_single, tasks_of

OLD = np.array([PRIOR[key] for key in KEYS])
N_ARCHIVES = 12
DOUBTS = (0.0, 1.0, 2.0, 4.0)
LEAST: Mapping[str, float | None] = {"raised or lowered": 0.0, "raised alone": None}
"""The least share of healthy runs, by what that allows; None for that of the default prior."""
CHOICES = tuple(product(LEAST.items(), DOUBTS))


def mixes() -> Iterator[Mapping[str, float]]:
    """Yield shares of the causes: more or fewer healthy runs, or half of all with one fault."""
    for healthy in (0.9, 0.7, 0.5, 0.3, 0.1):
        yield mix(healthy)
    for key in KEYS[1:]:
        yield half_of(key)


def gains(p: Array, y: NDArray[np.int64]) -> Array:
    """Return the gain in top-1 and in log-loss, means over archives, (choice, mix and size, 2)."""
    found = []
    for shares, size in product(mixes(), SIZES):
        each = []
        for answers, truth in draw_archives(
            p, y, np.array([shares[key] for key in KEYS]), size, N_ARCHIVES
        ):
            top1, loss = figures_of(answers, truth)
            own = [
                figures_of(
                    reweigh(answers, OLD, estimate_prior(answers, OLD, 0, doubt, least)), truth
                )
                for (_, least), doubt in CHOICES
            ]
            each.append([(its_top1 - top1, loss - its_loss) for its_top1, its_loss in own])
        found.append(np.mean(each, axis=0))
    return np.array(found).swapaxes(0, 1)


def main() -> None:
    """Train two nets, try every doubt, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="made by `curvet simulate`")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "archive_prior.md", help="the page"
    )
    chosen = parser.parse_args()
    runs, simulated = load_single(WORKSHOP), load_single(chosen.corpus)
    left_out = folds_of(tasks_of(runs)) == 0
    asked = runs.part(left_out)
    nets = {
        "other tasks known": join([runs.part(~left_out), simulated]),
        "simulated runs alone": simulated,
    }
    found = {}
    for name, known in nets.items():
        net = fit_net(known.inputs, known.y, known.weight)
        found[name] = gains(answers_of(net, asked), asked.y)
    rows = []
    for place, ((name, least), doubt) in enumerate(CHOICES):
        chosen_one = doubt == DOUBT and least is None
        row = [f"{name}, {doubt:g}" + (" (chosen)" if chosen_one else "")]
        for its in found.values():
            row += [f"{v:+.3f}" for v in (*its[place].mean(0), *its[place].min(0))]
        rows.append(row)
    head = ["share of healthy runs, doubt about faults"]
    head += [
        f"{name}: {figure}"
        for name in nets
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
