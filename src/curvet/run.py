"""What was logged, unchanged: Curve and Run; and how it came to be logged: Logging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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


@dataclass(frozen=True, slots=True)
class Logging:
    """What the tool that wrote a log does to the training loss before it is logged.

    Parameters
    ----------
    source : str
        Where that is documented, or why it cannot be known.
    interval : "step", "steps", "epoch" or "unknown"
        A point for each step, for every k-th step, or for each epoch.
    smoothing : "none", "mean", "running_mean", "median" or "unknown"
        A point is the value of one step; the mean since the point before; or the mean or the
        median of the last `window` steps, which may reach beyond the point before.
    window : int
        Steps that a running mean or a median looks at; 0 where the log does not say.
    nonfinite : "kept", "dropped", "replaced" or "unknown"
        What becomes of NaN and infinity: logged, left out of means and log, or made a number.
    """

    source: str = "numbers without the tool that logged them"
    interval: Literal["step", "steps", "epoch", "unknown"] = "unknown"
    smoothing: Literal["none", "mean", "running_mean", "median", "unknown"] = "unknown"
    window: int = 0
    nonfinite: Literal["kept", "dropped", "replaced", "unknown"] = "unknown"


UNKNOWN = Logging()


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
    logging : Logging
        What the tool that logged it did to the values.
    """

    id: str
    source: str
    curves: Mapping[str, Curve] = field(repr=False)
    format: str = "python"
    logging: Logging = UNKNOWN


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    try:
        array = np.asarray(values)
        # numpy would turn truth values, dates and complex numbers into numbers that mean nothing.
        if array.dtype.kind not in "bcmMV" and values is not None:
            array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # of tensors, too
        raise _no_numbers(name, values) from error
    if array.dtype != np.float64:
        raise _no_numbers(name, values)
    if array.ndim != 1:
        raise CurveError(
            f"{name}: expected one dimension, but found shape {array.shape}; "
            "pass a list or array with one number a step"
        )
    return array


def _no_numbers(name: str, values: Any) -> CurveError:
    kind = type(values).__name__
    found = f"{values!r:.60}" if isinstance(values, (list, tuple, str, dict, type(None))) else kind
    found += f" of {values.dtype}" if hasattr(values, "dtype") else ""
    first = values[0] if isinstance(values, (list, tuple)) and values else values
    remedy = "tensor.detach()" if hasattr(first, "detach") else "one number a step, NaN for a gap"
    return CurveError(f"{name}: expected numbers, but found {found}; pass {remedy}")
