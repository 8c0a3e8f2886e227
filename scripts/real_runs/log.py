"""What a training logged."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from make_demo_runs import Trace

Series = dict[str, dict[str, list[float]]]


@dataclass(slots=True, eq=False)
class Judged(Trace):
    """What the signs look at: a trace, and what only the experimenter knows.

    Parameters
    ----------
    honest : list of float
        Validation loss by the right loss on sound, unseen rows; not shipped as validation loss.
    marks : tuple of int
        Points of `loss` where the fault acts (a bad batch, a resume).
    """

    honest: list[float] = field(default_factory=list)
    marks: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class Log:
    """What was logged: series of (step, value).

    Parameters
    ----------
    period, every : int
        Updates in an epoch, and between two validations (the pace of the coarse log).
    honest : list of float
        See `Judged`; empty where the logged validation loss is honest.
    by_epoch : dict
        Series of the framework's own log of epochs, if it has one.
    """

    period: int
    every: int
    series: dict[str, list[tuple[int, float]]] = field(
        default_factory=lambda: {"loss": [], "val": [], "grad_norm": [], "lr": []}
    )
    honest: list[float] = field(default_factory=list)
    by_epoch: dict[str, list[float]] = field(default_factory=dict)

    def add(self, step: int, **values: float) -> None:
        """Append one value to each named series."""
        for name, value in values.items():
            self.series[name].append((step, float(value)))

    def judged(self, marks: tuple[int, ...] = ()) -> Judged:
        """Return what the signs look at; marks are given in updates."""
        loss, val, norm = ([v for _, v in self.series[k]] for k in ("loss", "val", "grad_norm"))
        stride = max(1, round((self.series["loss"][-1][0] + 1) / len(loss)))
        return Judged(
            max(1, self.period // stride),
            loss,
            val,
            norm,
            honest=self.honest or val,
            marks=tuple(mark // stride for mark in marks),
        )

    def per_epoch(self) -> Series:
        """Return the log of a tracker that writes once an epoch: means, and the last rate."""
        if self.by_epoch:
            return {
                name: {"step": [float(e) for e in range(len(v))], "value": [short(x) for x in v]}
                for name, v in self.by_epoch.items()
            }
        coarse: Series = {}
        for name, points in self.series.items():
            steps, values = [], []
            for epoch, group in groupby(points, lambda point: point[0] // self.every):
                inside = [value for _, value in group]
                mean = name in ("loss", "grad_norm")
                values.append(short(float(np.mean(inside)) if mean else inside[-1]))
                steps.append(float(epoch))
            if points:
                coarse[name] = {"step": steps, "value": values}
        return coarse

    def per_step(self) -> Series:
        """Return the log as it was written."""
        return {
            name: {"step": [s for s, _ in points], "value": [short(v) for _, v in points]}
            for name, points in self.series.items()
            if points
        }


def short(value: float) -> float:
    """Round to five digits, which is what most logs keep."""
    return float(f"{value:.5g}")
