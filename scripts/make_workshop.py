"""Train the workshop: real PyTorch trainings that the default predictor learns from.

It is a corpus like those of `curvet simulate`, with one base to a round; the tasks are neither
the trial's nor a team's: drawn ones first (`real_runs.workshop_tasks`), then tables, pictures and
texts that were found (`real_runs.workshop_found`), then also ones with plenty of rows
(`real_runs.workshop_plenty`), then ones without noise (`real_runs.workshop_easy`), then other
losses than squared error and cross-entropy (`real_runs.objectives`), and last tasks that are drawn
for one base each (`real_runs.workshop_drawn`).

    pip install torch scikit-learn statsmodels matplotlib
    python scripts/make_workshop.py --workers 2

Each call goes on where an earlier one stopped; a round depends on the seed and its number alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import Progress

from curvet.simulate.corpus import simulate
from make_demo_runs import DATA
from real_runs.workshop import make_round


def main() -> None:
    """Train rounds until there are as many labelled runs as asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15989, help="labelled runs in all")
    parser.add_argument("--out", type=Path, default=DATA / "workshop", help="folder of the corpus")
    parser.add_argument("--seed", type=int, default=2028)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    chosen = parser.parse_args()
    with Progress() as progress:
        task = progress.add_task("runs", total=chosen.runs)
        simulate(
            chosen.out,
            chosen.runs,
            chosen.seed,
            workers=chosen.workers,
            progress=lambda done, total: progress.update(task, completed=done),
            make=make_round,
        )


if __name__ == "__main__":
    main()
