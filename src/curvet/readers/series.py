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

    def curves(self, *, zero_is_no_step: bool = False) -> dict[str, Curve]:
        """Make a curve of each tag, in the order of their first points.

        Parameters
        ----------
        zero_is_no_step : bool
            Count the points of a tag 0, 1, 2, ... where all its steps are 0: so does a logger
            that does not ask for steps store them.
        """
        curves = {}
        for tag, (steps, values) in self._points.items():
            step = np.array(steps)
            if zero_is_no_step and not step.any():
                step = np.arange(len(step), dtype=np.float64)
            curves[tag] = Curve(tag, step, np.array(values))
        return curves
