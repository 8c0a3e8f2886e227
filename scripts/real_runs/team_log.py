"""How a team logs, and its archive: tables of its own columns in a zip, and the truth beside."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .plan import Rng

_COLUMNS = (
    ("train/loss_avg", "valid/loss", "lr", "train/grad_norm"),
    ("loss_smooth", "val_loss", "learning_rate", "grad_norm"),
    ("train_loss", "dev_loss", "lr", "gnorm_total"),
    ("running_loss", "eval/loss", "lr", "grad_norm"),
    ("train.loss", "validation.loss", "opt.lr", "opt.grad_norm"),
)
TRUTH = ("run_id", "sweep", "project", "task", "net", "cause")


@dataclass(frozen=True, slots=True)
class Logging:
    """How one project logs.

    Parameters
    ----------
    every : int
        Updates between two logged points.
    smoothing : float
        0 for the mean since the last point; else the share of the newest loss in a moving average.
    columns : tuple of str
        Names of training loss, validation loss, learning rate and gradient norm.
    has_lr, has_norm : bool
        Which of the last two are logged.
    decimals : int
        0 for six significant digits.
    val_every : int
        Updates between validations; 0 for twice an epoch of the sweep.
    """

    every: int
    smoothing: float
    columns: tuple[str, ...]
    has_lr: bool
    has_norm: bool
    decimals: int
    val_every: int


def draw_logging(rng: Rng, n_projects: int) -> list[Logging]:
    """Draw how each project logs: one its rate, one its gradient norm, one to four decimals."""
    columns = rng.permutation(len(_COLUMNS))[:n_projects]
    with_lr, with_norm, rounded = (int(rng.integers(n_projects)) for _ in range(3))
    averaged = rng.permutation([0.0, float(rng.choice([0.05, 0.1])), 0.0, 0.2])
    found = []
    for i in range(n_projects):
        every = int(rng.choice([2, 3, 4, 5, 5]))
        found.append(
            Logging(
                every, float(averaged[i]), _COLUMNS[columns[i]], i == with_lr, i == with_norm,
                4 * int(i == rounded), every * int(rng.choice([0, 2, 3])),
            )
        )  # fmt: skip
    return found


def table(logging: Logging, run: dict[str, Any]) -> str:
    """Return the table that a team would have of a run."""
    series, batch, n = run["series"], run["batch"], run["n_steps"]
    names = ["loss", "val"] + ["lr"] * logging.has_lr + ["grad_norm"] * logging.has_norm
    by_place = dict(zip(("loss", "val", "lr", "grad_norm"), logging.columns, strict=True))
    loss = _to_the_end(series["loss"]["value"], n)
    others = {k: _to_the_end(series[k]["value"], n) for k in ("lr", "grad_norm")}
    validated = dict(zip(series["val"]["step"], series["val"]["value"], strict=True))
    for step in range(run["every"] - 1, n, run["every"]):
        validated.setdefault(step, math.nan)  # a diverged run goes on
    smooth = _smoothed(loss, logging)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["examples", *(by_place[name] for name in names)])
    for step in range(n):
        logged = (step + 1) % logging.every == 0
        if logged or step in validated:
            cells = {k: others[k][step] for k in others} | {"loss": smooth[step]} if logged else {}
            cells |= {"val": validated[step]} if step in validated else {}
            written = [_written(cells[k], k, logging) if k in cells else "" for k in names]
            writer.writerow([(step + 1) * batch, *written])
    return out.getvalue()


def _has_course(logging: Logging, run: dict[str, Any]) -> bool:
    """Tell whether a log shows three finite losses: one that is NaN at once tells nobody why."""
    logged = _smoothed(run["series"]["loss"]["value"], logging)[logging.every - 1 :: logging.every]
    return int(np.isfinite(logged).sum()) >= 3


def _to_the_end(values: list[float], n: int) -> list[float]:
    return [*values, *[math.nan] * (n - len(values))]


def _smoothed(loss: list[float], logging: Logging) -> list[float]:
    """Return the mean since the last point, or a moving average without a bias to zero."""
    share, found, total, weight = logging.smoothing, [], 0.0, 0.0
    with np.errstate(all="ignore"):
        for step, value in enumerate(loss):
            if not share:
                begin = step - step % logging.every
                found.append(float(np.mean(loss[begin : step + 1])))
                continue
            total = share * value + (1 - share) * total
            weight = share + (1 - share) * weight
            found.append(total / weight)
    return found


def _written(value: float, name: str, logging: Logging) -> str:
    if logging.decimals and name != "lr":
        return f"{value:.{logging.decimals}f}"
    return f"{value:.6g}"


def write_team(
    sweeps: list[dict[str, Any]], logs: dict[str, Logging], out: Path, command: str
) -> None:
    """Write runs.zip, truth.csv and README.md, each replaced in one go."""
    out.mkdir(parents=True, exist_ok=True)
    tables, truth = {}, []
    for sweep in sweeps:
        for run in sweep["runs"]:
            if not _has_course(logs[run["project"]], run):
                continue
            path = f"{run['project']}/{sweep['sweep']}/{run['name']}.csv"
            tables[path] = table(logs[run["project"]], run)
            truth.append({**run, "run_id": f"runs.zip/{path}", "sweep": sweep["sweep"]})
    packed = out / "runs.zip.part"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(tables):
            archive.writestr(zipfile.ZipInfo(path), tables[path], zipfile.ZIP_DEFLATED, 9)
    rows = io.StringIO()
    writer = csv.DictWriter(rows, TRUTH, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(truth, key=lambda row: str(row["run_id"])))
    (out / "truth.csv.part").write_text(rows.getvalue(), encoding="utf-8")
    (out / "README.md").write_text(counted(truth, logs, command), encoding="utf-8")
    packed.replace(out / "runs.zip")
    (out / "truth.csv.part").replace(out / "truth.csv")


def counted(truth: list[dict[str, Any]], logs: dict[str, Logging], command: str) -> str:
    """Return the README of the archive: how many runs there are of what, and how they log."""
    lines = [
        "# A team's own runs",
        "",
        f"{len(truth)} runs of {len({row['sweep'] for row in truth})} sweeps. What the files hold "
        "and how they were made: [data/README.md](../README.md). Made by",
        "",
        f"    {command}",
        "",
        "| project | columns after `examples` | training loss | validation |",
        "| --- | --- | --- | --- |",
    ]
    for project, logging in sorted(logs.items()):
        shown = (True, True, logging.has_lr, logging.has_norm)
        columns = [f"`{c}`" for c, has in zip(logging.columns, shown, strict=True) if has]
        kind = f"moving average, {logging.smoothing:g} of it new" if logging.smoothing else "mean"
        digits = f", {logging.decimals} decimals" if logging.decimals else ""
        often = f"every {logging.val_every} steps" if logging.val_every else "twice an epoch"
        lines.append(
            f"| {project} | {', '.join(columns)} | {kind}, every {logging.every} steps{digits} "
            f"| {often} |"
        )
    projects = sorted(logs)
    lines += ["", f"| cause | runs | {' | '.join(projects)} |", "| --- |" + " ---: |" * (
        1 + len(projects))]  # fmt: skip
    causes = Counter(str(row["cause"]) for row in truth)
    for cause, n in causes.most_common():
        inside = Counter(str(row["project"]) for row in truth if row["cause"] == cause)
        lines.append(f"| {cause} | {n} | {' | '.join(str(inside[p]) for p in projects)} |")
    for column in ("task", "net"):
        found = Counter(str(row[column]) for row in truth).most_common()
        lines += ["", f"Runs by {column}: {', '.join(f'{name} {n}' for name, n in found)}."]
    return "\n".join(lines) + "\n"
