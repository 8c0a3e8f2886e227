"""A team and its sweeps: other tasks and sizes than the trial's, and one cause of its own."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from make_demo_runs import last

from .bases import train
from .faults import variants
from .feed import bad_steps
from .log import Judged, Log
from .plan import Plan, Rng, between, power
from .signs import shows
from .tasks import load
from .team_log import Logging, draw_logging
from .team_tasks import TEAM_TASKS

# Shares of 600 runs, of the cause that no other has among them.
MIX = {
    "healthy": 210, "repeated_shard": 70, "lr_too_high": 45, "lr_too_low": 35, "overfitting": 45,
    "bad_data_batch": 35, "noisy_labels": 30, "unshuffled_data": 30, "exploding_gradients": 15,
    "vanishing_gradients": 20, "under_capacity": 20, "over_regularisation": 20,
    "unnormalised_inputs": 15, "train_val_mismatch": 10,
}  # fmt: skip
_NAMES = {
    "classes": ("triage", "sorter", "fraud"),
    "values": ("pricing", "yield", "quotes"),
    "series": ("demand", "sensors", "load"),
    "language": ("parser", "ranker", "dialog"),
}
_SHARE = {"classes": 3, "values": 2, "series": 2, "language": 2}
TRIES = 16  # trainings of faults in one sweep at most


@dataclass(frozen=True, slots=True)
class TeamPlan(Plan):
    """A plan whose loader can get stuck.

    Parameters
    ----------
    stuck : tuple of (first, end)
        Updates between which the loader repeats one shard.
    shard : (low, high)
        Where the shard begins and ends, as shares of the rows.
    """

    stuck: tuple[tuple[int, int], ...] = ()
    shard: tuple[float, float] = (0.0, 1.0)

    def repeats(self) -> tuple[tuple[int, int, float, float], ...]:
        """Return the spans in which the loader is stuck, and its shard."""
        return tuple((first, end, *self.shard) for first, end in self.stuck)


@dataclass(frozen=True, slots=True)
class Team:
    """What a seed decides about a team.

    Parameters
    ----------
    seed : int
        Decides all draws.
    project_of : dict of str to str
        Task -> project.
    logs : dict of str to Logging
        Project -> how it logs.
    wanted : dict of str to int
        Runs wanted of each cause.
    n_sweeps : int
        Sweeps that they shall come from.
    """

    seed: int
    project_of: dict[str, str]
    logs: dict[str, Logging]
    wanted: dict[str, int]
    n_sweeps: int


def draw_team(seed: int, half: str, n_runs: int, n_sweeps: int, vary: float) -> Team:
    """Draw a team: its projects, how they log, and how common each cause is with it.

    Parameters
    ----------
    seed : int
        Decides all draws.
    half : str
        "a" or "b": which half of the tasks.
    n_runs, n_sweeps : int
        Size of the archive.
    vary : float
        Spread of the logarithm of the factors on the counts in `MIX`; 0 for those counts.
    """
    rng = np.random.default_rng([seed, 1])
    names = {kind: str(rng.choice(of)) for kind, of in _NAMES.items()}
    if rng.random() < 0.5:
        names["values"] = names["classes"]  # one project for all tables
    tasks = {name: task for name, task in TEAM_TASKS.items() if task.half == half}
    project_of = {name: names[task.kind] for name, task in tasks.items()}
    projects = list(dict.fromkeys(project_of.values()))
    logs = dict(zip(projects, draw_logging(rng, len(projects)), strict=True))
    shares = {cause: n * float(np.exp(rng.normal(0, vary))) for cause, n in MIX.items()}
    scale = n_runs / sum(shares.values())
    wanted = {cause: round(n * scale) for cause, n in shares.items()}
    wanted["healthy"] += n_runs - sum(wanted.values())
    return Team(seed, project_of, logs, wanted, n_sweeps)


def draw_plan(team: Team, number: int, done: Sequence[dict[str, Any]]) -> TeamPlan:
    """Draw a sweep's base, of a task that has had few sweeps so far."""
    rng = np.random.default_rng([team.seed, 2, number])
    often: defaultdict[str, float] = defaultdict(float)
    for sweep in done:
        often[sweep["task"]] += 1 if sweep["runs"] else 0.4
    task = min(team.project_of, key=lambda name: (often[name], rng.random()))
    net = str(rng.choice(TEAM_TASKS[task].nets))
    long = net in ("rnn", "transformer")
    plan = TeamPlan(
        task, net, "torch",
        n_steps=int(rng.integers(170, 300) if long else rng.integers(200, 480)),
        batch=int(rng.choice([5, 10, 15] if task == "iris" else [12, 20, 24, 40, 48])),
        schedule=str(rng.choice(["constant", "constant", "cosine", "linear", "steps", "warmup"])),
        optimiser=str(rng.choice(["adam", "adam", "adamw", "sgd", "rmsprop"])),
        weight_decay=float(rng.choice([0, 0, 1e-4])),
        dropout=float(rng.choice([0, 0, 0.05, 0.15])),
        activation=str(rng.choice(["relu", "relu", "gelu", "tanh"])),
        seed=1000 * team.seed + 10 * number,
    )  # fmt: skip
    plan = _sized(plan, rng)
    rows = min(len(load(task).x), max(60, plan.batch * plan.n_steps // int(rng.integers(7, 18))))
    half_epoch = max(3, rows // plan.batch // 2)
    every = team.logs[team.project_of[task]].val_every or half_epoch
    return replace(plan, n_train=rows, val_every=every)


def _sized(plan: TeamPlan, rng: Rng) -> TeamPlan:
    """Draw sizes and a rate that suit the net."""
    deep = rng.random() < 0.35 and plan.net == "mlp"
    if plan.net == "mlp":
        depth = int(rng.integers(6, 9)) if deep else int(rng.integers(1, 4))
        width = int(rng.choice([20, 28, 40] if deep else [40, 80, 120, 160]))
        lr = power(rng, -3.0, -2.6) if deep else power(rng, -2.5, -1.9)
        norm = "none" if deep else str(rng.choice(["none", "none", "batch", "layer"]))
        plan = replace(plan, depth=depth, width=width, lr=lr, norm=norm)
    elif plan.net == "cnn1d":
        sizes = int(rng.integers(1, 4)), int(rng.choice([10, 16, 20]))
        plan = replace(plan, depth=sizes[0], width=sizes[1], lr=power(rng, -2.7, -2.1))
    else:
        cell = str(rng.choice(["gru", "gru", "lstm", "relu"]))
        plan = replace(
            plan, cell=cell, gain=0.5 if cell == "relu" and plan.net == "rnn" else 1.0, clip=1.0,
            depth=1 if plan.net == "rnn" else int(rng.integers(1, 3)), norm="layer",
            width=int(rng.choice([20, 28, 36, 48])), lr=power(rng, -2.4, -1.9),
        )  # fmt: skip
    if plan.optimiser == "sgd":  # with momentum
        factor = 8 if deep or plan.net == "cnn1d" else 12
        plan = replace(plan, lr=float(f"{plan.lr * factor:.3g}"))
    return plan


def _again(plan: TeamPlan, rng: Rng, place: int) -> TeamPlan:
    """Return the base with another seed and a slightly other rate."""
    lr = float(f"{plan.lr * power(rng, -0.2, 0.2):.3g}")
    return replace(plan, seed=plan.seed + place, lr=lr)


def _repeated_shard(plan: TeamPlan, rng: Rng) -> TeamPlan:
    """Let the loader get stuck: to the end, for some epochs, from the start on, or repeatedly."""
    n, epoch = plan.n_steps, max(1, plan.n_train // plan.batch)
    kind = str(rng.choice(["stays", "recovers", "start", "several"], p=[0.45, 0.25, 0.12, 0.18]))
    first = 0 if kind == "start" else int(n * rng.uniform(0.1, 0.7))
    spans = [(first, n)]
    if kind == "start" and rng.random() < 0.4:
        spans = [(0, int(n * rng.uniform(0.3, 0.7)))]
    if kind == "recovers":
        spans = [(first, min(n, first + int(epoch * rng.uniform(3, 9))))]
    if kind == "several":
        starts = sorted(int(n * x) for x in rng.uniform(0.1, 0.85, int(rng.integers(2, 4))))
        ends = [min(n, start + int(epoch * rng.uniform(2, 5))) for start in starts]
        nexts = [start - max(4, epoch // 2) for start in starts[1:]] + [n]
        cut = [(a, min(b, c)) for a, b, c in zip(starts, ends, nexts, strict=True)]
        spans = [(a, b) for a, b in cut if b > a + 2]
    size = between(rng, 0.05, 0.25)
    low = float(rng.uniform(0, 1 - size))
    shard = round(low, 4), round(low + size, 4)
    return replace(plan, stuck=tuple(spans), shard=shard)


def faulty(cause: str, plan: TeamPlan, rng: Rng) -> TeamPlan | None:
    """Draw a fault; None where it does not fit."""
    symbols = bool(load(plan.task).n_symbols)
    if cause == "repeated_shard":
        return _repeated_shard(plan, rng)
    if cause == "unnormalised_inputs" and symbols:
        return None
    if cause == "train_val_mismatch" and symbols:
        return replace(plan, val_fault="labels")
    found = variants(cause, plan, rng)
    if not found:
        return None
    changed = cast(TeamPlan, found[0])
    if plan.net == "transformer" and changed.width % 2:
        changed = replace(changed, width=changed.width + 1)
    return replace(changed, val_every=plan.val_every)  # as the project validates


def _shown(cause: str, plan: TeamPlan, log: Log, twin: Judged) -> bool:
    marks = tuple(bad_steps(plan, log.period))
    if plan.stuck:
        marks = tuple(step for span in plan.stuck for step in span)
    if not log.series["loss"] or not log.series["val"]:
        return False
    return shows(cause, log.judged(marks), twin)


def _learned(plan: TeamPlan, log: Log) -> bool:
    """Tell whether a run may be called healthy."""
    run = log.judged()
    share = TEAM_TASKS[plan.task].learned
    return shows("healthy", run, run) and last(run.loss) < share * float(np.median(run.loss[:3]))


def make_sweep(team: Team, number: int, done: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Train one sweep: healthy runs, and faulty ones of the causes that are most in arrears.

    Parameters
    ----------
    team : Team
        What is wanted.
    number : int
        Of the sweep; decides the draws, together with the sweeps before it.
    done : sequence of dict
        The sweeps so far, as this function returned them.

    Returns
    -------
    dict
        Number, name, task and runs; without runs where the base trained badly.
    """
    plan = draw_plan(team, number, done)
    rng = np.random.default_rng([team.seed, 3, number])
    sweep = {"number": number, "task": plan.task, "sweep": f"{plan.task}-{plan.net}-{number:03d}"}
    base = train(plan)
    if not _learned(plan, base):
        return {**sweep, "runs": [], "tried": {}}
    twin = base.judged()
    runs = [_record(team, "healthy", plan, plan, base)]
    have = Counter(run["cause"] for other in done for run in other["runs"])
    good = 1 + sum(bool(other["runs"]) for other in done)
    share = min(1.0, good / team.n_sweeps)
    owed = {cause: n * share - have[cause] for cause, n in team.wanted.items()}
    for place in range(1, 3 + max(2, round(owed["healthy"]))):
        if len(runs) >= max(2, round(owed["healthy"])):
            break
        other = _again(plan, rng, place)
        log = train(other)
        if _learned(other, log):
            runs.append(_record(team, "healthy", other, plan, log))
    tried: Counter[str] = Counter()
    faults = {c: o + float(rng.uniform(0, 1)) for c, o in owed.items() if c != "healthy"}
    for _ in range(TRIES):
        cause = max(faults, key=lambda c: faults[c] - 0.7 * tried[c])
        if round(sum(owed[c] for c in faults)) < 1:
            break
        if tried[cause] >= 5 or owed[cause] <= -0.6:
            faults[cause] = -9.0
            continue
        tried[cause] += 1
        changed = faulty(cause, plan, rng)
        if changed is None:
            faults[cause] -= 0.5
            continue
        log = train(changed)
        if _shown(cause, changed, log, twin):
            runs.append(_record(team, cause, changed, plan, log))
            owed[cause] -= 1
            faults[cause] -= 1
    order = rng.permutation(len(runs))
    for run, place in zip(runs, order, strict=True):
        run["name"] = f"run-{number:03d}-{place + 1:02d}"
    return {**sweep, "runs": runs, "tried": dict(tried)}


def _record(team: Team, cause: str, plan: TeamPlan, base: TeamPlan, log: Log) -> dict[str, Any]:
    names = TeamPlan.__dataclass_fields__
    changed = {k: getattr(plan, k) for k in names if getattr(plan, k) != getattr(base, k)}
    return {
        "project": team.project_of[plan.task],
        "task": plan.task,
        "net": plan.net,
        "cause": cause,
        "changed": json.dumps(changed),
        "batch": plan.batch,
        "n_steps": plan.n_steps,
        "every": log.every,
        "series": log.per_step(),
    }
