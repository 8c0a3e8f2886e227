"""What was logged, unchanged: Curve and Run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import CurveError


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no single truth value
class Curve:
    """One logged series, in the order in which it was written.

    Parameters
    ----------
    tag : str
        The name in the log, as written.
    step : array of shape (n,), float64
        Whatever the log counts by: steps, epochs or fractions of an epoch. Repeats and goes
        back after a resume.
    value : array of shape (n,), float64
        NaN and inf are kept: they are evidence.
    """

    tag: str
    step: NDArray[np.float64]
    value: NDArray[np.float64]

    @classmethod
    def of(cls, tag: str, value: ArrayLike, step: ArrayLike | None = None) -> Curve:
        """Make a curve of anything that numpy can turn into numbers.

        Parameters
        ----------
        tag : str
            Name of the series.
        value : array-like of shape (n,)
            None becomes NaN.
        step : array-like of shape (n,), optional
            0, 1, 2, ... when left out.

        Raises
        ------
        CurveError
            Not numbers, more than one dimension, or lengths that differ.

        Examples
        --------
        >>> Curve.of("loss", [2.0, 1.5, None]).value.tolist()
        [2.0, 1.5, nan]
        """
        values = _numbers(tag, value)
        steps = (
            np.arange(len(values), dtype=np.float64)
            if step is None
            else _numbers(f"the steps of {tag}", step)
        )
        if len(steps) != len(values):
            raise CurveError(
                f"{tag}: {len(values)} values but {len(steps)} steps; give one step per value"
            )
        return cls(tag, steps, values)

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training run as its log holds it.

    Parameters
    ----------
    id : str
        Tells the run from others of the same archive.
    source : str
        Path or URI of the log; "" for numbers handed in from Python.
    curves : mapping of tag to Curve
        All series, by the tag in the log.
    format : str
        Name of the reader that read it.
    """

    id: str
    source: str
    curves: Mapping[str, Curve] = field(repr=False)
    format: str = "python"


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor that requires grad, too
        raise CurveError(f"{name}: expected numbers, but found {values!r:.60}") from error
    if array.ndim != 1:
        raise CurveError(f"{name}: expected one dimension, but found shape {array.shape}")
    return array
