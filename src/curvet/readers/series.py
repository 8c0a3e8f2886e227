"""Curves in the making: for logs in which every value says its own tag and step."""

from __future__ import annotations

from array import array

import numpy as np

from ..run import Curve


class Series:
    """Points by tag, in the order in which they come; repeated steps and NaN are kept.

    Examples
    --------
    >>> series = Series()
    >>> series.add("loss", 10, 2.0)
    >>> series.add("loss", 20, 1.5)
    >>> series.curves()["loss"].value.tolist()
    [2.0, 1.5]
    """

    def __init__(self) -> None:
        self._points: dict[str, tuple[array[float], array[float]]] = {}

    def __bool__(self) -> bool:
        return bool(self._points)

    def add(self, tag: str, step: float, value: float) -> None:
        """Append one point."""
        points = self._points.get(tag)
        if points is None:
            points = self._points[tag] = (array("d"), array("d"))
        points[0].append(step)
        points[1].append(value)

    def curves(self) -> dict[str, Curve]:
        """Make a curve of each tag, in the order of their first points."""
        return {
            tag: Curve(tag, np.array(steps), np.array(values))
            for tag, (steps, values) in self._points.items()
        }
