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
        step = float(curve.step[bad[0]])
        found: dict[str, float | str] = {
            "series": name,
            "value": "nan" if np.isnan(curve.value[bad[0]]) else "infinite",
            "step": step,
            "count": len(bad),
            "total": len(curve),
        }
        stays = len(bad) == len(curve) - bad[0]
        yield Evidence("first_nonfinite" if stays else "some_nonfinite", found, (step,))


def _course(loss: Curve) -> Iterator[Evidence]:
    step, value = _finite(loss)
    if len(value) < 5:
        return
    tail = max(1, len(value) // 10)
    start, end = float(median(value[:tail])), float(median(value[-tail:]))
    low = int(value.argmin())
    last = float(step[-1])
    if abs(end - start) <= 0.03 * max(abs(start), 1e-12):
        yield Evidence("flat", {"start": start, "end": end})
    elif end > start:
        yield Evidence("risen", {"start": start, "end": end})
    else:
        yield Evidence("fallen", {"start": start, "end": end})
        half = value[len(value) // 2 :]
        late = float(median(half[: max(1, len(half) // 5)])) - end
        share = late / max(start - end, 1e-12)
        if share > 0.1:
            half_way = float(step[len(value) // 2])
            yield Evidence("still_falling", {"share": share}, (half_way, last))
    if end > 1.5 * abs(float(value[low])) + 1e-12 and low < 0.8 * len(value):
        since = float(step[low])
        found = {"step": since, "least": float(value[low]), "end": end}
        yield Evidence("left_course", found, (since, last))


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
    found: dict[str, float | str] = {
        "step": float(step[top]),
        "value": float(value[top]),
        "level": float(level[top]),
        "recovery": "recovered" if recovered else "not_recovered",
        "count": groups,
    }
    yield Evidence("spikes" if groups > 1 else "spike", found, (float(step[top]),))


def _gradients(channels: Channels) -> Iterator[Evidence]:
    norm = channels.grad_norm
    if norm is None:
        return
    step, value = _finite(norm)
    if len(value) < 5:
        return
    usual, top = float(median(value)), int(value.argmax())
    if value[top] > 20 * max(usual, 1e-12):
        at = float(step[top])
        found = {"value": float(value[top]), "step": at, "usual": usual}
        yield Evidence("gradient_burst", found, (at,))
    elif usual < 1e-4:
        yield Evidence("tiny_gradients", {"usual": usual})


def _validation(channels: Channels) -> Iterator[Evidence]:
    if channels.val is None:
        return
    step, value = _finite(channels.val)
    if len(value) < 3:
        return
    best, end = int(value.argmin()), float(np.mean(value[-max(1, len(value) // 10) :]))
    rise = (end - float(value[best])) / max(abs(float(value[best])), 1e-12)
    if rise > 0.03 and best < 0.9 * len(value):
        at = float(step[best])
        found = {"step": at, "least": float(value[best]), "rise": rise}
        yield Evidence("validation_rises", found, (at, float(step[-1])))
    train = channels.loss.value[np.isfinite(channels.loss.value)]
    if len(train):
        last = float(np.mean(train[-max(1, len(train) // 10) :]))
        yield Evidence("gap", {"training": last, "validation": end})


def _resumes(loss: Curve) -> Iterator[Evidence]:
    back = np.flatnonzero(np.diff(loss.step) < 0)
    if len(back):
        first = float(loss.step[back[0] + 1])
        yield Evidence("step_goes_back", {"count": len(back), "step": first}, (first,))


def _finite(curve: Curve) -> tuple[Array, Array]:
    good = np.isfinite(curve.value)
    return curve.step[good], curve.value[good]
