"""Train the field trial: a thousand and more small real runs, for evaluation only.

Nothing is trained on them, and nothing here knows the package's simulator: tasks, nets, faults
and the signs by which a label is kept are those of `real_runs` (and make_demo_runs) alone. A
*base* is a task, a net, a framework and settings that train well. It gives one healthy run and
faulty ones whose severity is drawn at random; a label is kept only where the run is worse than
its healthy twin by that cause's own sign.

    pip install torch transformers accelerate lightning tensorflow-cpu scikit-learn
    python scripts/make_real_runs.py --bases 170
    pip install paddlepaddle==3.3.1 visualdl scikit-learn      # in an environment of its own
    python scripts/make_real_runs.py --bases 170 --frameworks paddle

Each call trains the bases of the frameworks that its interpreter has, leaves out those already
in out/real_runs_SEED.jsonl, and writes data/real anew from all: `runs.jsonl.xz` (one run a line:
curves as logged each step, and once more per epoch), `labels.csv` and a README with the counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from make_demo_runs import DATA
from real_runs.archive import resume, write_archive
from real_runs.bases import FRAMEWORKS, draw_base, here, make_base, more_of
from real_runs.faults import INJECT


def main() -> None:
    """Train bases up to the number asked for, one after the other, and write the archive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bases", type=int, default=170, help="how many bases in all")
    known = f"of {', '.join(FRAMEWORKS)}; default: all that are installed"
    parser.add_argument("--frameworks", nargs="+", choices=list(FRAMEWORKS), help=known)
    parser.add_argument("--out", type=Path, default=DATA / "real", help="folder of the archive")
    parser.add_argument("--seed", type=int, default=2027)
    parser.add_argument("--minutes", type=float, default=1e9, help="start no base after that")
    parser.add_argument("--least", type=int, default=35, help="runs wanted of each cause")
    chosen = parser.parse_args()
    end = time.monotonic() + 60 * chosen.minutes
    wanted = chosen.frameworks or [name for name in FRAMEWORKS if here(name)]
    progress = DATA.parent / "out" / f"real_runs_{chosen.seed}.jsonl"
    progress.parent.mkdir(exist_ok=True)
    done = {base["base"] for base in resume(progress)}
    for number in range(chosen.bases):
        plan = draw_base(number, chosen.seed)
        if number not in done and plan.framework in wanted and time.monotonic() < end:
            runs, tried = make_base(number, chosen.seed)
            note(progress, number, runs, tried)
            print(number, plan.framework, plan.task, plan.net, len(runs), flush=True)
    top_up(progress, wanted, chosen.seed, chosen.least, end)
    bases = resume(progress)
    write_archive(bases, chosen.out)
    print(dict(Counter(run["cause"] for base in bases for run in base["runs"])))


def top_up(progress: Path, wanted: list[str], seed: int, least: int, end: float) -> None:
    """Try causes that lag once more, in the bases that lack them."""
    bases = resume(progress)
    counts = Counter(run["cause"] for base in bases for run in base["runs"])
    for cause in INJECT:
        for base in bases:
            runs = base["runs"]
            known = cause in base["again"] or cause in {run["cause"] for run in runs}
            if not runs or known or runs[0]["framework"] not in wanted:
                continue
            if counts[cause] < least and time.monotonic() < end:
                found, tried = more_of(cause, runs, seed, draws=4)
                note(progress, base["base"], found, tried, again=[cause])
                runs += found
                counts[cause] += len(found)
                print(base["base"], cause, len(found), flush=True)


def note(
    progress: Path,
    number: int,
    runs: list[dict[str, Any]],
    tried: dict[str, int] | None,
    again: Sequence[str] = (),
) -> None:
    """Append runs of a base to the progress file."""
    line = {"base": number, "tried": tried, "again": again, "runs": runs}
    with progress.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
