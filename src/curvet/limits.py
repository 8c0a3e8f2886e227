"""Run -> what its log cannot show, because of how it was sampled, smoothed and filtered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from .diagnosis import Evidence
from .robust import median
from .roles import Channels, words
from .run import Curve, Logging, Run

_SHORT = ("bad_data_batch", "exploding_gradients", "batch_too_small")
_DIVERGING = ("precision_overflow", "exploding_gradients", "lr_too_high", "bad_data_batch")

HIDES: Mapping[str, tuple[str, ...]] = {
    "hides_epoch_means": (*_SHORT, "unshuffled_data"),
    "hides_between_evaluations": (*_SHORT, "unshuffled_data"),
    "hides_interval_means": _SHORT,
    "hides_means": _SHORT,
    "hides_running_mean": _SHORT,
    "hides_median": _SHORT,
    "hides_between_points": _SHORT,
    "hides_between_steps": _SHORT,
    "hides_replaced_nonfinite": _DIVERGING,
    "hides_dropped_nonfinite": _DIVERGING,
    "hides_nonfinite_as_zero": _DIVERGING,
    "hides_nonfinite_beside_norm": _DIVERGING,
    "hides_nan_or_unlogged": _DIVERGING,
    "hides_without_validation": ("overfitting", "train_val_leak", "train_val_mismatch"),
    "hides_without_gradient_norm": (
        "exploding_gradients",
        "vanishing_gradients",
        "lr_too_high",
        "precision_overflow",
    ),
    "hides_in_few_points": (*_SHORT, "unshuffled_data", "noisy_labels"),
    "hides_in_joined_runs": ("resume_state_lost", "lr_too_high", "bad_data_batch"),
    "hides_in_constant_loss": (
        "exploding_gradients",
        "vanishing_gradients",
        "unnormalised_inputs",
        "lr_too_high",
        "lr_too_low",
        "wrong_loss",
    ),
    "hides_in_rounding": (
        "lr_too_low",
        "vanishing_gradients",
        "under_capacity",
        "over_regularisation",
        "wrong_loss",
    ),
}
"""What each kind of limit hides: the causes that it makes hard to see or to tell apart."""

FEW_POINTS = 20
"""Points of training loss below which noise and short events cannot be judged."""

_FARTHEST = 10_000
"""Steps between two points above which a log counts samples, tokens or milliseconds."""

_DIGITS = 5
"""Decimals from which on rounding hides nothing that matters."""


def limits_of(run: Run, channels: Channels, likely: Collection[str] = ()) -> tuple[Evidence, ...]:
    """Say what the log of a run cannot show.

    Parameters
    ----------
    run : Run
        With what is known about the tool that logged it.
    channels : Channels
        Of the same run.
    likely : collection of str
        The causes that could be, as far as there is an answer: then only limits count that hide
        one of them. A run that may be healthy may have any fault that its log hides.

    Returns
    -------
    tuple of Evidence
        Of the kinds in `HIDES`, in a fixed order.
    """
    facts = [*_averaged(run.logging, channels), *_nonfinite(run.logging, channels)]
    facts += [*_missing(channels), *_points(channels.loss)]
    if not likely or "healthy" in likely:
        return tuple(facts)
    return tuple(fact for fact in facts if not set(likely).isdisjoint(HIDES[fact.kind]))


def _averaged(logging: Logging, channels: Channels) -> Iterator[Evidence]:
    """Tell what lies between the points; by the curves alone where the log does not say."""
    loss, window = channels.loss, {"window": logging.window}
    interval = _interval(loss)
    between = {"interval": interval or 0.0}
    if logging.interval == "epoch" or not {"epoch", "epochs"}.isdisjoint(words(loss.tag)):
        yield Evidence("hides_epoch_means", {})
    elif logging.smoothing == "median":
        yield Evidence("hides_median", window)
    elif logging.smoothing == "running_mean":
        yield Evidence("hides_running_mean", window)
    elif logging.smoothing == "mean" and interval is None:
        yield Evidence("hides_means", {})
    elif logging.smoothing == "mean" and between["interval"] > 1:
        yield Evidence("hides_interval_means", between)
    elif logging.smoothing == "mean" or logging.interval == "step":
        return
    elif _evaluated_together(channels):
        yield Evidence("hides_between_evaluations", {"count": len(loss)})
    elif between["interval"] > 1:
        alone = logging.smoothing == "none"
        yield Evidence("hides_between_points" if alone else "hides_between_steps", between)


def _interval(curve: Curve) -> float | None:
    """Return the usual distance of two points, None where it does not count updates."""
    step = curve.step[np.isfinite(curve.step)]
    if len(step) < 3 or (step != np.round(step)).any():
        return None  # fractions of an epoch, seconds
    ways = step[1:] - step[:-1]
    ahead = ways[ways > 0]
    usual = float(median(ahead)) if len(ahead) else np.inf
    return usual if usual <= _FARTHEST else None


def _evaluated_together(channels: Channels) -> bool:
    """Tell whether each point of training loss has one of validation beside it."""
    val = channels.val
    return val is not None and len(val) > 2 and np.array_equal(val.step, channels.loss.step)


def _nonfinite(logging: Logging, channels: Channels) -> Iterator[Evidence]:
    loss, norm = channels.loss, channels.grad_norm
    if not np.isfinite(loss.value).all():  # this log keeps them
        yield from _beside_validation(channels)
        return
    if logging.nonfinite in ("replaced", "dropped"):
        yield Evidence(f"hides_{logging.nonfinite}_nonfinite", {})
    zero = np.flatnonzero(loss.value == 0.0)
    if len(zero) and _far_from_zero(loss, int(zero[0])):
        step = float(loss.step[zero[0]])
        yield Evidence("hides_nonfinite_as_zero", {"count": len(zero), "step": step}, (step,))
    if norm is not None and np.isnan(norm.value).any():
        step = float(norm.step[np.isnan(norm.value)][0])
        count = int(np.isnan(norm.value).sum())
        yield Evidence("hides_nonfinite_beside_norm", {"count": count, "step": step}, (step,))


def _beside_validation(channels: Channels) -> Iterator[Evidence]:
    """Doubt NaN to the end where the validation loss stays finite: tables are filled up with it."""
    loss, val = channels.loss, channels.val
    last = int(np.flatnonzero(np.isfinite(loss.value))[-1])
    if val is None or last == len(loss) - 1 or not np.isnan(loss.value[last + 1 :]).all():
        return
    after = np.isfinite(val.value[val.step > loss.step[last]])
    if len(after) > 1 and after.all():
        step = float(loss.step[last + 1])
        count = len(loss) - 1 - last
        yield Evidence("hides_nan_or_unlogged", {"count": count, "step": step}, (step,))


def _far_from_zero(loss: Curve, place: int) -> bool:
    """Tell whether a loss of 0 comes out of the blue: no fit gets there in one step."""
    others = np.abs(loss.value[loss.value != 0.0])
    if len(others) == 0:
        return False
    usual = float(median(others))
    before = abs(float(loss.value[place - 1])) if place else usual
    return before > 0.1 * usual


def _missing(channels: Channels) -> Iterator[Evidence]:
    if channels.val is None:
        yield Evidence("hides_without_validation", {})
    if channels.grad_norm is None:
        yield Evidence("hides_without_gradient_norm", {})


def _points(loss: Curve) -> Iterator[Evidence]:
    value = loss.value[np.isfinite(loss.value)]
    if len(value) < FEW_POINTS:
        yield Evidence("hides_in_few_points", {"count": len(value)})
    if len(back := np.flatnonzero(loss.step[1:] < loss.step[:-1])):
        step = float(loss.step[back[0] + 1])
        yield Evidence("hides_in_joined_runs", {"count": len(back), "step": step}, (step,))
    if len(value) == len(loss) > 2 and value.min() == value.max():
        yield Evidence("hides_in_constant_loss", {"count": len(value), "value": float(value[0])})
    repeats = value[1:] == value[:-1]
    if len(repeats) > 1 and repeats.mean() > 0.3 and (digits := _decimals(value)) is not None:
        yield Evidence("hides_in_rounding", {"digits": digits, "resolution": 10.0**-digits})


def _decimals(value: NDArray[np.float64]) -> int | None:
    """Count the decimals that all values are rounded to, None for `_DIGITS` or more."""
    small = value[np.abs(value) < 1e9]  # larger ones are whole as far as they are exact
    return next((n for n in range(_DIGITS) if np.array_equal(small, np.round(small, n))), None)
