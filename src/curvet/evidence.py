"""Run -> measured facts with their steps; nothing here is inferred by a model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .diagnosis import Evidence
from .robust import median, noise_level, running_median
from .roles import Channels
from .run import Curve

Array = NDArray[np.float64]

SPIKE = 8.0
"""Noise levels above its surroundings from which a point is a spike."""


def measure(channels: Channels) -> tuple[Evidence, ...]:
    """Measure what a person would point at.

    Parameters
    ----------
    channels : Channels
        At least one finite training loss.

    Returns
    -------
    tuple of Evidence
        In a fixed order; only facts that hold.
    """
    facts = [*_nonfinite(channels), *_course(channels.loss), *_spikes(channels.loss)]
    facts += [*_gradients(channels), *_validation(channels), *_resumes(channels.loss)]
    return tuple(facts)


def _nonfinite(channels: Channels) -> Iterator[Evidence]:
    for name, curve in (("training", channels.loss), ("validation", channels.val)):
        if curve is None:
            continue
        bad = np.flatnonzero(~np.isfinite(curve.value))
        if len(bad) == 0:
            continue
        kind = "NaN" if np.isnan(curve.value[bad[0]]) else "infinite"
        step = float(curve.step[bad[0]])
        stays = len(bad) == len(curve) - bad[0]
        rest = "and stays so" if stays else f"({len(bad)} of {len(curve)} points)"
        yield Evidence("first_nonfinite", f"{name} loss turns {kind} at {step:g} {rest}", (step,))


def _course(loss: Curve) -> Iterator[Evidence]:
    step, value = _finite(loss)
    if len(value) < 5:
        return
    tail = max(1, len(value) // 10)
    start, end = float(median(value[:tail])), float(median(value[-tail:]))
    low = int(value.argmin())
    last = float(step[-1])
    if abs(end - start) <= 0.03 * max(abs(start), 1e-12):
        yield Evidence("flat", f"training loss ends where it began: {start:.4g} to {end:.4g}")
    elif end > start:
        yield Evidence("risen", f"training loss rose from {start:.4g} to {end:.4g}")
    else:
        yield Evidence("fallen", f"training loss fell from {start:.4g} to {end:.4g}")
        half = value[len(value) // 2 :]
        late = float(median(half[: max(1, len(half) // 5)])) - end
        share = late / max(start - end, 1e-12)
        if share > 0.1:
            text = f"still falling: {share:.0%} of the whole drop came in the last half"
            yield Evidence("still_falling", text, (float(step[len(value) // 2]), last))
    if end > 1.5 * abs(float(value[low])) + 1e-12 and low < 0.8 * len(value):
        text = (
            f"training loss was lowest at {step[low]:g} ({value[low]:.4g}), then rose to {end:.4g}"
        )
        yield Evidence("left_course", text, (float(step[low]), last))


def _spikes(loss: Curve) -> Iterator[Evidence]:
    step, value = _finite(loss)
    if len(value) < 10:
        return
    level = running_median(value, 2 * (len(value) // 20) + 5)
    excess = value - level
    drop = float(value.max() - value.min())
    if excess.max() <= 0.05 * drop:
        return
    limit = max(SPIKE * float(noise_level(excess)), 0.05 * drop)
    high = np.flatnonzero(excess > limit)
    high = high[high > len(value) // 50]  # the first points fall, they do not spike
    if len(high) == 0:
        return
    top = int(high[excess[high].argmax()])
    groups = 1 + int((np.diff(high) > max(2, len(value) // 50)).sum())
    after = value[top + 1 :]
    recovered = bool((after <= level[top] + limit / 2).any())
    text = (
        f"spike at {step[top]:g}: {value[top]:.4g} over a level of {level[top]:.4g}, "
        + ("recovered" if recovered else "not recovered")
        + (f"; {groups} such places" if groups > 1 else "")
    )
    yield Evidence("spike", text, (float(step[top]),))


def _gradients(channels: Channels) -> Iterator[Evidence]:
    norm = channels.grad_norm
    if norm is None:
        return
    step, value = _finite(norm)
    if len(value) < 5:
        return
    usual, top = float(median(value)), int(value.argmax())
    if value[top] > 20 * max(usual, 1e-12):
        text = f"gradient norm reaches {value[top]:.3g} at {step[top]:g}, usually {usual:.3g}"
        yield Evidence("gradient_burst", text, (float(step[top]),))
    elif usual < 1e-4:
        yield Evidence("tiny_gradients", f"gradient norm is tiny: {usual:.2g} in the median")


def _validation(channels: Channels) -> Iterator[Evidence]:
    if channels.val is None:
        return
    step, value = _finite(channels.val)
    if len(value) < 3:
        return
    best, end = int(value.argmin()), float(np.mean(value[-max(1, len(value) // 10) :]))
    rise = (end - float(value[best])) / max(abs(float(value[best])), 1e-12)
    if rise > 0.03 and best < 0.9 * len(value):
        text = (
            f"validation loss is best at {step[best]:g} ({value[best]:.4g}), ends {rise:.0%} higher"
        )
        yield Evidence("validation_rises", text, (float(step[best]), float(step[-1])))
    train = channels.loss.value[np.isfinite(channels.loss.value)]
    if len(train):
        last = float(np.mean(train[-max(1, len(train) // 10) :]))
        text = f"at the end: training {last:.4g}, validation {end:.4g}"
        yield Evidence("gap", text)


def _resumes(loss: Curve) -> Iterator[Evidence]:
    back = np.flatnonzero(np.diff(loss.step) < 0)
    if len(back):
        first = float(loss.step[back[0] + 1])
        text = f"the step goes back {len(back)} times, first to {first:g}: resumed, or several runs"
        yield Evidence("step_goes_back", text, (first,))


def _finite(curve: Curve) -> tuple[Array, Array]:
    good = np.isfinite(curve.value)
    return curve.step[good], curve.value[good]
