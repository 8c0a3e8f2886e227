"""What a tracker keeps of a training: thinning, means, epochs, smoothing, rounding, lost NaN.

A classifier trained on clean per-step series misreads the logs that people have, so every
simulated run is logged in ways that real tools use: Lightning and Hugging Face log every k steps,
Keras means of an epoch, detectron2 a median window, dashboards export an EMA; Hugging Face counts
in fractions of an epoch, MLflow writes the largest number for inf, and a resumed run repeats steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..recipe import Trace
from ..run import Curve, Run

Style = Literal["step", "thin", "mean", "epoch", "evaluated", "ema", "median"]
NonFinite = Literal["kept", "halted", "hidden", "dropped", "zero", "largest"]
Counter = Literal["step", "epoch", "fraction"]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Logger:
    """How a run is logged.

    Parameters
    ----------
    style : str
        Every step; every k-th; mean or median since the last log; epoch means; the training set
        evaluated before training and after each epoch; EMA.
    every : int
        Steps between two logged points.
    offset : bool
        Whether the first point comes only after `every` steps.
    digits : int
        Decimals kept; 0 for all.
    significant : bool
        Whether `digits` counts significant digits in place of decimals.
    n_val : int
        Validation points; 0 for one at each logged point, as far as it was measured.
    val_first : bool
        Whether validation is measured before training, too.
    nonfinite : str
        Kept as they are; training halts at the first; replaced by the recent value, by 0 or by
        the largest number; or the points are left out.
    counter : str
        What the logged steps count: updates, epochs, or epochs with their fraction.
    mean_norm : bool
        Whether windows hold the mean of the gradient norm, too, or its last value.
    crash : float
        Share of the run after which it crashed and was resumed without loss from an earlier
        checkpoint, so that steps are logged twice; 0 for never.
    """

    style: Style
    every: int
    offset: bool = False
    digits: int = 0
    significant: bool = False
    n_val: int = 0
    val_first: bool = True
    nonfinite: NonFinite = "kept"
    counter: Counter = "step"
    mean_norm: bool = False
    crash: float = 0.0


def draw_logger(trace: Trace, rng: np.random.Generator) -> Logger:
    """Draw one of the ways in which a run of this length may be logged."""
    n = len(trace.loss)
    style: Style = rng.choice(
        ["step", "thin", "mean", "epoch", "evaluated", "ema", "median"],
        p=[0.22, 0.12, 0.14, 0.32, 0.12, 0.05, 0.03],
    )
    # Many logs have few points: an epoch each, and fewer epochs than steps.
    most = min(int(rng.choice([30, 100, 300])), n)
    points = int(np.exp(rng.uniform(np.log(9), np.log(max(10, most)))))
    every = max(1, n // points)
    if style in ("step", "ema") and rng.random() < 0.7:
        every = 1
    if style in ("epoch", "evaluated"):
        epoch = trace.steps_per_epoch
        # Where epochs are too long to give a curve, a logged "epoch" is some part of the data.
        every = epoch * max(1, round(every / epoch)) if n >= 5 * epoch else every
    counter = rng.choice(["step", "epoch", "fraction"], p=[0.75, 0.05, 0.2])
    return Logger(
        style=style,
        every=every,
        offset=bool(rng.random() < 0.5),
        digits=int(rng.choice([0, 3, 4, 5, 6], p=[0.5, 0.08, 0.22, 0.15, 0.05])),
        significant=bool(rng.random() < 0.4),
        n_val=0
        if style in ("epoch", "evaluated") or rng.random() < 0.2
        else int(rng.integers(4, 61)),
        val_first=bool(rng.random() < 0.25),
        nonfinite=rng.choice(
            ["kept", "halted", "hidden", "dropped", "zero", "largest"],
            p=[0.43, 0.22, 0.08, 0.05, 0.17, 0.05],  # 0 is what the Hugging Face Trainer logs
        ),
        counter="epoch" if style in ("epoch", "evaluated") and rng.random() < 0.8 else counter,
        mean_norm=bool(rng.random() < 0.7),
        crash=float(rng.uniform(0.2, 0.9)) if rng.random() < 0.06 else 0.0,
    )


def draw_length(trace: Trace, rng: np.random.Generator) -> int:
    """Draw how many steps there are so far: all, part of them, or until it was stopped early."""
    n = len(trace.loss)
    fate = rng.random()
    if fate < 0.12:
        return max(2, round(n * rng.uniform(0.3, 1.0)))
    if fate < 0.24 and len(trace.val) > 4 and np.isfinite(trace.val).all():
        last = int(trace.val.argmin()) + int(rng.integers(2, max(3, len(trace.val) // 4)))
        return n if last >= len(trace.val) else max(n // 4, int(trace.val_at[last]) + 1)
    return n


def log(trace: Trace, logger: Logger, run_id: str = "") -> Run:
    """Log a training as a tracker would.

    Parameters
    ----------
    trace : Trace
        Every step.
    logger : Logger
        How.
    run_id : str
        Of the result.

    Returns
    -------
    Run
        With the tags of the Hugging Face Trainer; perhaps without any point, where `logger`
        leaves out values that are not finite.
    """
    bad = np.flatnonzero(~np.isfinite(trace.loss))
    if logger.nonfinite == "halted" and len(bad):
        trace = trace.until(int(bad[0]) + 1)
    seen = _order(len(trace.loss), logger)
    loss, norm = _replaced(trace.loss, logger.nonfinite)[seen], trace.grad_norm[seen]
    if logger.style == "ema":
        loss = _ema(loss, 0.9 if len(loss) < 200 else 0.97)
    every = min(logger.every, len(loss))
    windowed = logger.style in ("mean", "epoch", "median")
    begin = every - 1 if (logger.offset or windowed) and logger.style != "evaluated" else 0
    ends = np.arange(begin, len(loss), every)
    if windowed:
        loss = _by_window(loss, every, len(ends), logger.style == "median")
        mean = logger.mean_norm
        norm = _by_window(norm, every, len(ends), False) if mean else norm[ends]
    else:
        loss = _evaluated(loss, every) if logger.style == "evaluated" else loss[ends]
        norm = norm[ends]
    step, lr = _count(trace, seen[ends], logger), trace.lr[seen[ends]]
    val_step, val = _validation(trace, seen[ends], step, logger)
    if logger.nonfinite == "dropped":
        kept = np.isfinite(loss)
        step, loss, norm, lr = step[kept], loss[kept], norm[kept], lr[kept]
        val_step, val = val_step[np.isfinite(val)], val[np.isfinite(val)]
    loss, norm, val = (_round(x, logger) for x in (loss, norm, val))
    if logger.nonfinite == "largest":  # means and rounding may have left the range again
        loss = _replaced(loss, "largest")
    curves = {
        "loss": Curve("loss", step, loss),
        "grad_norm": Curve("grad_norm", step, norm),
        "learning_rate": Curve("learning_rate", step, lr),
    }
    if len(val):
        curves["eval_loss"] = Curve("eval_loss", val_step, val)
    return Run(run_id, "", curves, "simulated")


def in_other_unit(trace: Trace, factor: float) -> Trace:
    """Express the losses of a regression in another unit; gradients scale with them."""
    with np.errstate(over="ignore"):
        return replace(
            trace,
            loss=trace.loss * factor,
            grad_norm=trace.grad_norm * factor,
            val=trace.val * factor,
        )


def _order(n: int, logger: Logger) -> NDArray[np.int64]:
    """List the positions in the order in which they were logged: some twice after a crash."""
    at = round(n * logger.crash)
    if at < 2:
        return np.arange(n)
    return np.concatenate([np.arange(at), np.arange(at - max(1, n // 20, at // 10), n)]).clip(0)


def _count(trace: Trace, position: NDArray[np.int64], logger: Logger) -> Array:
    """Say what the tracker calls these positions."""
    step = trace.step[position]
    if logger.counter == "step":
        return step
    epoch = (step + 1) / trace.steps_per_epoch
    if logger.counter == "epoch" and logger.style in ("epoch", "evaluated"):
        return np.round((step + 1) / logger.every)  # a logged epoch may be part of one
    return np.floor(epoch) if logger.counter == "epoch" else epoch.round(2)


def _validation(
    trace: Trace, logged: NDArray[np.int64], step: Array, logger: Logger
) -> tuple[Array, Array]:
    """Choose the validation points and their steps."""
    if len(trace.val) == 0 or len(logged) == 0:
        return np.empty(0), np.empty(0)
    if logger.n_val == 0:
        return _beside(trace, logged, step, logger)
    n = min(logger.n_val + (not logger.val_first), len(trace.val))
    at = np.unique(np.linspace(0, len(trace.val) - 1, n).round().astype(int))
    if len(at) > 1 and not logger.val_first:
        at = at[1:]
    return _count(trace, trace.val_at[at], logger), trace.val[at]


def _beside(
    trace: Trace, logged: NDArray[np.int64], step: Array, logger: Logger
) -> tuple[Array, Array]:
    """Put each measured value to the nearest logged point, which gets one at most."""
    far = np.abs(trace.val_at[:, None] - logged[None, :])
    place, least = far.argmin(1), far.min(1)
    nearest = np.lexsort((least, place))
    place, first = np.unique(place[nearest], return_index=True)
    val = trace.val[nearest[first]]
    if logger.style != "evaluated":
        return step[place], val
    # The first point comes before the first step, after which the net may be lost already. Until
    # then it knows as little of the validation data as of its first batch.
    place, val = place[place > 0], val[place > 0]
    if logger.val_first:
        place, val = np.append(0, place), np.append(trace.loss[0], val)
    return step[place], val


def _evaluated(loss: Array, every: int) -> Array:
    """Estimate the loss of all training data before every `every`-th step by the steps to come.

    By all of them until the next such step where nothing is learnt meanwhile, so that a net that
    stands still has one loss; else by a few.
    """
    few = max(1, min(every, len(loss) // 50))
    whole = len(loss) // every * every
    parts = [loss[:whole].reshape(-1, every)]
    parts += [loss[None, whole:]] if whole < len(loss) else []
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.concatenate([_before(windows, few) for windows in parts])
        # A first step that is too far makes another net of it at once.
        same = np.abs(loss[:every] - loss[0]) <= np.abs(loss[0])
        if not same.all():
            found[0] = loss[:few][same[:few]].mean() if same[0] else loss[0]
    return found


def _before(windows: Array, few: int) -> Array:
    """Give the mean of each window without drift or spike, or that of its first few."""
    n, mean, spread = windows.shape[1], windows.mean(1), windows.std(1)
    drift = np.abs(windows[:, : n // 2 + 1].mean(1) - windows[:, n // 2 :].mean(1))
    spike = np.abs(windows - mean[:, None]).max(1)
    steady = (drift <= 4 * spread / np.sqrt(n)) & (spike <= 5 * spread)
    return np.asarray(np.where(steady, mean, windows[:, :few].mean(1)), np.float64)


def _by_window(values: Array, every: int, n: int, median: bool) -> Array:
    windows = values[: n * every].reshape(n, every)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray((np.median if median else np.mean)(windows, axis=1))


def _replaced(loss: Array, how: NonFinite) -> Array:
    """Put in the place of values that are not finite what a tracker puts there."""
    finite = np.isfinite(loss)
    if finite.all() or how in ("kept", "halted", "dropped"):
        return loss
    if how == "zero":
        return np.where(finite, loss, 0.0)
    if how == "largest":
        return np.where(np.isinf(loss), np.copysign(np.finfo(float).max, loss), loss)
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


def _round(values: Array, logger: Logger) -> Array:
    """Round as a format string does, unless decimals would leave nothing to be seen."""
    digits = logger.digits
    if not digits:
        return values
    finite = np.abs(values[np.isfinite(values)])
    if logger.significant:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            unit = 10.0 ** (digits - 1 - np.floor(np.log10(np.abs(values))))
            rounded = np.round(values * unit) / unit
        return np.where(np.isfinite(rounded), rounded, values)
    coarse = len(finite) == 0 or float(np.median(finite)) < 10 * 10.0**-digits
    with np.errstate(over="ignore"):
        return values if coarse else values.round(digits)
