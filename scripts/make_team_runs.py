"""Train a team's own runs: sweeps of tasks that the field trial does not have, for evaluation.

A team has projects, each with a log of its own, and one cause that no bundle knows:
`repeated_shard`, a data loader that gets stuck and repeats one shard of the rows. A *sweep* is a
task, a net and settings that train well; it gives healthy runs of several seeds and rates, and
faulty ones. A label is kept only where the run is worse than its healthy twin by that cause's own
sign, as in the trial (`real_runs`).

    pip install torch scikit-learn
    python scripts/make_team_runs.py

Each call goes on from out/team_runs_SEED_TASKS.jsonl and writes runs.zip (the logs as the team
has them, PROJECT/SWEEP/RUN.csv), truth.csv (what was done to each) and a README with the counts.
Other seeds are other teams: other projects, logs and, with --vary, another mix of causes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from make_demo_runs import DATA
from real_runs.team import draw_team, make_sweep
from real_runs.team_log import write_team

PACE = 90  # seconds between two archives while training


def main() -> None:
    """Train sweeps up to the number asked for, one after the other, and write the archive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=600, help="how many runs in all")
    parser.add_argument("--sweeps", type=int, default=60, help="from about how many sweeps")
    parser.add_argument("--tasks", choices=["a", "b"], default="a", help="half of the tasks")
    parser.add_argument("--vary", type=float, default=0.0, help="spread of the mix of causes")
    parser.add_argument("--out", type=Path, default=DATA / "team", help="folder of the archive")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--minutes", type=float, default=1e9, help="start no sweep after that")
    chosen = parser.parse_args()
    end = time.monotonic() + 60 * chosen.minutes
    team = draw_team(chosen.seed, chosen.tasks, chosen.runs, chosen.sweeps, chosen.vary)
    command = (
        f"python scripts/make_team_runs.py --seed {chosen.seed} --tasks {chosen.tasks} "
        f"--runs {chosen.runs} --sweeps {chosen.sweeps}"
    ) + (f" --vary {chosen.vary}" if chosen.vary else "")
    progress = DATA.parent / "out" / f"team_runs_{chosen.seed}_{chosen.tasks}.jsonl"
    progress.parent.mkdir(exist_ok=True)
    sweeps = resume(progress)
    written = time.monotonic()
    while count(sweeps) < chosen.runs - 3 and time.monotonic() < end:
        sweep = make_sweep(team, len(sweeps), sweeps)
        with progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(sweep) + "\n")
        sweeps.append(sweep)
        print(sweep["sweep"], len(sweep["runs"]), sweep["tried"], count(sweeps), flush=True)
        if time.monotonic() > written + PACE:
            write_team(sweeps, team.logs, chosen.out, command)
            written = time.monotonic()
    write_team(sweeps, team.logs, chosen.out, command)
    print(dict(Counter(run["cause"] for sweep in sweeps for run in sweep["runs"])))


def count(sweeps: list[dict[str, Any]]) -> int:
    """Return how many runs the sweeps have."""
    return sum(len(sweep["runs"]) for sweep in sweeps)


def resume(path: Path) -> list[dict[str, Any]]:
    """Return the finished sweeps of earlier calls; a line cut short is taken out of the file."""
    lines = path.read_text(encoding="utf-8").splitlines(True) if path.exists() else []
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
        path.write_text("".join(lines), encoding="utf-8")
    return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
