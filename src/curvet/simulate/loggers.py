"""What a tracker keeps of a training: thinning, means, epochs, smoothing, rounding, lost NaN.

A classifier trained on clean per-step series misreads the logs that people have, so every
simulated run is logged again in ways that real tools use (Lightning and Hugging Face log every
k steps, Keras running means per epoch, detectron2 a median window, dashboards export an EMA).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..recipe import Trace
from ..run import Curve, Run

Style = Literal["step", "thin", "mean", "epoch", "ema", "median"]
NonFinite = Literal["kept", "halted", "hidden"]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Logger:
    """How a run is logged.

    Parameters
    ----------
    style : str
        Every step; every k-th; mean or median since the last log; epoch means; EMA.
    every : int
        Steps between two logged points.
    offset : bool
        Whether the first point comes only after `every` steps.
    digits : int
        Decimals kept; 0 for all.
    n_val : int
        Validation points; 0 for one at each logged point.
    nonfinite : str
        Kept as they are; training halts at the first; or replaced by the recent mean.
    share : float
        Part of the run that has been logged so far.
    """

    style: Style
    every: int
    offset: bool
    digits: int
    n_val: int
    nonfinite: NonFinite
    share: float


def draw_logger(trace: Trace, rng: np.random.Generator) -> Logger:
    """Draw one of the ways in which a run of this length may be logged."""
    n = len(trace.loss)
    style: Style = rng.choice(
        ["step", "thin", "mean", "epoch", "ema", "median"], p=[0.2, 0.15, 0.17, 0.38, 0.06, 0.04]
    )
    points = int(np.exp(rng.uniform(np.log(6), np.log(max(7, min(300, n))))))
    every = max(1, n // points)
    if style in ("step", "ema") and rng.random() < 0.6:
        every = 1
    if style == "epoch":
        epoch = trace.steps_per_epoch
        # Where epochs are too long to give a curve, a logged "epoch" is some part of the data.
        every = epoch * max(1, round(every / epoch)) if n >= 5 * epoch else every
    return Logger(
        style,
        every,
        bool(rng.random() < 0.5),
        int(rng.choice([0, 3, 4, 5], p=[0.65, 0.07, 0.2, 0.08])),
        0 if style == "epoch" or rng.random() < 0.3 else int(rng.integers(4, 61)),
        rng.choice(["kept", "halted", "hidden"], p=[0.6, 0.3, 0.1]),
        1.0 if rng.random() < 0.8 else float(rng.uniform(0.3, 1.0)),
    )


def log(trace: Trace, logger: Logger) -> Trace:
    """Log a full-resolution trace as a tracker would.

    Parameters
    ----------
    trace : Trace
        Every step.
    logger : Logger
        The same logger keeps the same steps of a run and of its twin.

    Returns
    -------
    Trace
        With at least one point.
    """
    n = max(1, round(len(trace.loss) * logger.share))
    loss, norm = trace.loss[:n], trace.grad_norm[:n]
    if logger.nonfinite == "halted":
        bad = np.flatnonzero(~np.isfinite(loss))
        if len(bad):
            n = int(bad[0]) + 1
            loss, norm = loss[:n], norm[:n]
    elif logger.nonfinite == "hidden":
        loss = _hide(loss)
    if logger.style == "ema":
        loss = _ema(loss, 0.9 if n < 200 else 0.97)
    every = min(logger.every, n)
    ends = np.arange(every - 1 if logger.offset or logger.style in _WINDOWED else 0, n, every)
    if logger.style in _WINDOWED:
        reduce = np.median if logger.style == "median" else np.mean
        windows = loss[: len(ends) * every].reshape(len(ends), every)
        with np.errstate(invalid="ignore", over="ignore"):
            loss_kept = reduce(windows, axis=1)
    else:
        loss_kept = loss[ends]
    step = trace.step[ends]
    inside = trace.val_step <= trace.step[n - 1]
    val_step, val = trace.val_step[inside], trace.val[inside]
    if logger.n_val == 0:
        at = np.abs(val_step[None, :] - step[:, None]).argmin(1) if len(val) else []
        val_step, val = step[: len(at)], val[at]
    elif len(val) > logger.n_val:
        at = np.unique(np.linspace(0, len(val) - 1, logger.n_val).round().astype(int))
        val_step, val = val_step[at], val[at]
    return Trace(
        step,
        _round(loss_kept, logger.digits),
        _round(norm[ends], logger.digits),
        trace.lr[:n][ends],
        val_step,
        _round(val, logger.digits),
        trace.steps_per_epoch,
    )


_WINDOWED = ("mean", "epoch", "median")


def in_other_unit(trace: Trace, factor: float) -> Trace:
    """Express the losses of a regression in another unit; gradients scale with them."""
    with np.errstate(over="ignore"):
        return replace(
            trace,
            loss=trace.loss * factor,
            grad_norm=trace.grad_norm * factor,
            val=trace.val * factor,
        )


def to_run(trace: Trace, run_id: str) -> Run:
    """Make a Run of a trace, with the tags of the Hugging Face Trainer."""
    curves = {
        "loss": Curve("loss", trace.step, trace.loss),
        "grad_norm": Curve("grad_norm", trace.step, trace.grad_norm),
        "learning_rate": Curve("learning_rate", trace.step, trace.lr),
    }
    if len(trace.val):
        curves["eval_loss"] = Curve("eval_loss", trace.val_step, trace.val)
    return Run(run_id, "", curves, "simulated")


def _hide(loss: Array) -> Array:
    """Replace non-finite values by the last finite one, as loggers that filter NaN do."""
    finite = np.isfinite(loss)
    if not finite.any():
        return loss
    last = np.maximum.accumulate(np.where(finite, np.arange(len(loss)), -1))
    return np.where(last >= 0, loss[np.maximum(last, 0)], loss)


def _ema(loss: Array, keep: float) -> Array:
    out, smooth = np.empty_like(loss), loss[0]
    for i, value in enumerate(loss):
        smooth = keep * smooth + (1 - keep) * value
        out[i] = smooth
    return out


def _round(values: Array, digits: int) -> Array:
    return values.round(digits) if digits else values
