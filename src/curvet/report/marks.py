"""Measured facts -> marks on a panel: a point, a line or a stretch, each with its number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evidence import SPIKES
from ..texts import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..diagnosis import Evidence
    from ..roles import Channels
    from ..run import Curve

POINTS: Mapping[str, str] = {
    **dict.fromkeys(SPIKES, "loss"),
    "validation_rises": "val",
    "negative": "loss",
}
"""Facts that lie at points of a curve."""

_LOWEST = {"validation_rises": "picture.best", "negative": "picture.lowest"}

STRETCHES = (
    "plateau_at_start",
    "plateau_at_chance",
    "plateau_at_chance_tokens",
    "levels_off",
    "still_falling",
    "still_falling_epoch",
    "still_falling_steps",
    "dip",
    "steep_start",
    "gradients_rose_first",
)
"""Facts that lie between two steps; all others begin at a step."""

_APART = 0.035  # of the panel's width, between two numbers beside each other
_ROW = 0.075  # of the panel's height
_N_ROWS = 8
_LINE: dict[str, Any] = {"color": "black", "linestyle": "-.", "linewidth": 0.8}
_BROKEN: dict[str, Any] = {"color": "black", "linestyle": "-", "linewidth": 1.2}
_SPAN: dict[str, Any] = {
    "facecolor": "#F6F6F6",
    "edgecolor": "#D0D0D0",
    "hatch": "//",
    "linewidth": 0.4,
    "zorder": 0.1,
}
_NUMBER: dict[str, Any] = {
    "fontsize": 7,
    "horizontalalignment": "center",
    "verticalalignment": "center",
    "bbox": {"boxstyle": "round,pad=0.2", "facecolor": "white", "linewidth": 0.6},
    "zorder": 5,
}


def mark(
    axes: Axes, channels: Channels, facts: Sequence[Evidence], *, numbered: bool
) -> dict[str, Any]:
    """Mark facts where they lie.

    Parameters
    ----------
    axes : Axes
        With the curves drawn, on their scales.
    channels : Channels
        What is drawn.
    facts : sequence of Evidence
        Numbered from 1 in this order; a fact about the whole run has no place.
    numbered : bool
        Whether the numbers are written.

    Returns
    -------
    dict of label to artist
        What the legend needs.
    """
    handles: dict[str, Any] = {}
    numbers: list[tuple[float, str]] = []
    left, right = axes.get_xlim()
    for number, fact in enumerate(facts, start=1):
        steps = [step for step in fact.steps if math.isfinite(step)]
        if "logarithm" in fact.values:
            handles |= _chance(axes, fact)
        curve = getattr(channels, POINTS.get(fact.kind, ""), None)
        if not steps:
            continue
        if curve is not None and curve.step.size:
            told = steps[:1] if fact.kind in _LOWEST else steps
            label = say(_LOWEST.get(fact.kind, "picture.spike"))
            handles[label] = _points(axes, curve, fact, told, str(number) if numbered else "")
            continue
        if fact.kind in STRETCHES and len(steps) > 1:
            begin, end = min(steps), max(steps)
            handles[say("picture.span")] = axes.axvspan(begin, end, **_SPAN)
            numbers.append(((begin + end) / 2, str(number)))
            continue
        style = _BROKEN if fact.kind.endswith("nonfinite") else _LINE
        handles[say("picture.place")] = axes.axvline(steps[0], **style)
        numbers.append((steps[0], str(number)))
    if numbered:
        _write(axes, numbers, left, right)
    return handles


def _points(axes: Axes, curve: Curve, fact: Evidence, steps: Sequence[float], number: str) -> Any:
    highest = fact.kind not in _LOWEST
    found = [_point(curve, step, highest) for step in steps]
    x, y = [p[0] for p in found], [p[1] for p in found]
    style: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": "black", "zorder": 4}
    artist = axes.plot(x, y, linestyle="none", marker="v" if highest else "s", ms=6, **style)[0]
    for place in zip(x, y, strict=True):
        if number and np.isfinite(place).all():
            above = (0, 13) if highest else (0, -13)
            axes.annotate(number, place, above, textcoords="offset points", **_NUMBER)
    return artist


def _point(curve: Curve, step: float, highest: bool) -> tuple[float, float]:
    """Find the point of a step, or the highest of the few that follow it."""
    at = int(np.nanargmin(np.abs(curve.step - step)))
    following = np.where(np.isfinite(curve.value), curve.value, -np.inf)[at:]
    ahead = following[: 1 + (len(curve) // 50 if highest else 0)]
    top = at + int(ahead.argmax())
    return float(curve.step[top]), float(np.clip(curve.value[top], -1e100, 1e100))


def _chance(axes: Axes, fact: Evidence) -> dict[str, Any]:
    label = say("picture.chance", **fact.values)
    style: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.0}
    return {label: axes.axhline(float(fact.values["logarithm"]), label=label, **style)}


def _write(axes: Axes, numbers: list[tuple[float, str]], left: float, right: float) -> None:
    """Write numbers at the bottom, the next row up where one would cover another."""
    rows: list[float] = [-math.inf] * _N_ROWS
    width = (right - left) or 1.0
    for step, number in sorted(numbers):
        place = (step - left) / width
        row = next((k for k, last in enumerate(rows) if place - last >= _APART), _N_ROWS - 1)
        rows[row] = place
        y = 0.035 + _ROW * row
        axes.text(step, y, number, transform=axes.get_xaxis_transform(), **_NUMBER)
