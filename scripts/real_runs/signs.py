"""By which signs a label is kept: the run against its healthy twin.

The signs of eleven causes are those of the demo runs; here are those of the others, and stricter
ones where a mark tells when the fault acts. A person shown run and twin should agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from make_demo_runs import SIGNS as DEMO_SIGNS
from make_demo_runs import behind, last, learns, plateaus

from .log import Judged

CUT_SHORT = ("lr_too_high", "exploding_gradients", "precision_overflow", "wrong_loss",
             "unnormalised_inputs", "bad_data_batch")  # fmt: skip


def _middle(values: list[float]) -> float:
    return float(np.median(values)) if values else math.inf


def _late(values: list[float]) -> float:
    """Return the median of the last quarter of a short series."""
    return _middle(values[-max(1, len(values) // 4) :])


def _worse_val(run: Judged, twin: Judged, share: float) -> bool:
    return _late(run.val) > _late(twin.val) + share * learns(twin)


def _roughness(run: Judged) -> float:
    """Return the spread of the loss from point to point in the second half."""
    return float(np.std(np.diff(run.loss[len(run.loss) // 2 :]))) / math.sqrt(2)


def _smooth(run: Judged, width: int) -> list[float]:
    return [_middle(run.loss[i : i + width]) for i in range(0, len(run.loss) - width + 1, width)]


def _bad_data_batch(run: Judged, twin: Judged) -> bool:
    """Find a spike where the bad batch is, none before; what it leaves behind may last."""
    place = run.marks[0] if run.marks else 0
    if not 5 <= place < len(run.loss) - 5:
        return False
    before = np.asarray(run.loss[:place]) - np.asarray(twin.loss[:place])
    if before.max() > 0.2 * learns(twin):
        return False
    after = np.asarray(run.loss[place : place + 12])
    usual = max(twin.loss[max(0, place - 10) : place + 12])
    return bool((after > usual + 0.25 * learns(twin)).any() or not np.isfinite(after).all())


def _unsuitable_optimizer(run: Judged, twin: Judged) -> bool:
    """Find slow waves, or a loss that creeps or starves; it does not diverge at once."""
    if not np.isfinite(run.loss).all() or behind(run, twin) < 0.15:
        return False
    smooth = np.asarray(_smooth(run, max(3, len(run.loss) // 40)))
    climbs = float((smooth[3:] - np.minimum.accumulate(smooth)[3:]).max())
    waves = climbs > 0.15 * learns(twin) and max(run.loss) < 10 * run.loss[0]
    creeps = max(run.loss) < 1.5 * max(run.loss[:3])
    return (waves or creeps) and _worse_val(run, twin, 0.15)


def _batch_too_small(run: Judged, twin: Judged) -> bool:
    rough = _roughness(run) > 2 * _roughness(twin)
    return rough and _worse_val(run, twin, 0.08)


def _batch_too_large(run: Judged, twin: Judged) -> bool:
    n = len(run.loss)
    falling = _middle(run.loss[n // 2 : n // 2 + max(1, n // 10)]) > last(run.loss)
    few = n < 0.4 * len(twin.loss)
    return few and falling and behind(run, twin) > 0.2 and _worse_val(run, twin, 0.1)


def _unnormalised_inputs(run: Judged, twin: Judged) -> bool:
    return behind(run, twin) > 0.15 and _worse_val(run, twin, 0.1)


def _wrong_loss(run: Judged, twin: Judged) -> bool:
    """Find a loss below zero, on a floor, or too good to be true, and a bad honest one."""
    honest = _late(run.honest)
    if math.isfinite(honest) and honest < _late(twin.val) + 0.2 * learns(twin):
        return False
    lowest = np.nanmin(run.loss)
    runs_off = lowest < -0.3 and min(twin.loss) > -0.1
    floor = behind(run, twin) > 0.15 and plateaus(run.loss)
    too_good = last(run.loss) < 0.5 * last(twin.loss)
    return bool(runs_off or floor or too_good)


def _train_val_mismatch(run: Judged, twin: Judged) -> bool:
    """Find validation bad from early on, where training is as good as the twin's."""
    early = run.val[max(1, len(run.val) // 5) :]
    apart = min(early) > _late(twin.val) + 0.25 * learns(twin)
    return apart and behind(run, twin) < 0.1 and _late(run.honest) < min(early)


def _train_val_leak(run: Judged, twin: Judged) -> bool:
    """Find a validation loss that follows a memorising net down, far below that of sound rows."""
    seen, unseen = _late(run.val), _late(run.honest)
    memorised = last(run.loss) < 0.35 * run.loss[0] and seen < last(run.loss) + 0.1 * learns(twin)
    return memorised and seen < 0.5 * unseen and unseen - seen > 0.15 * learns(twin)


def _resume_state_lost(run: Judged, twin: Judged) -> bool:
    """Find a jump where the training was resumed, or a run that stays worse from there on."""
    places = [m for m in run.marks if 20 <= m < len(run.loss) - 12]
    jumped = any(
        _jump(run, m)
        > max(0.04 * learns(twin), 3 * float(np.std(run.loss[m - 20 : m])), 2 * _jump(twin, m))
        for m in places
    )
    again_and_again = len(run.marks) > 3 and _worse_val(run, twin, 0.1)
    return jumped or again_and_again or (behind(run, twin) > 0.1 and _worse_val(run, twin, 0.08))


def _jump(run: Judged, place: int) -> float:
    """Return by how much the loss rises soon after a place: three points in a row."""
    after = max(_middle(run.loss[i : i + 3]) for i in range(place, place + 10))
    return after - _middle(run.loss[place - 20 : place])


def _repeated_shard(run: Judged, twin: Judged) -> bool:
    """Find training loss below the twin's and validation worse while the loader is stuck."""
    spans = zip(run.marks[::2], run.marks[1::2], strict=True)
    return any(_learns_by_heart(run, twin, first, end) for first, end in spans)


def _learns_by_heart(run: Judged, twin: Judged, first: int, end: int) -> bool:
    n = min(len(run.loss), len(twin.loss))
    late = slice(first + (end - first) // 2, min(end, n))
    here, usual = _middle(run.loss[late]), _middle(twin.loss[late])
    seen = [i for i in range(len(run.val)) if late.start < n * (i + 1) // len(run.val) <= late.stop]
    if len(run.val) != len(twin.val) or not seen:
        return False
    worse, known = (_middle([r.val[i] for i in seen]) for r in (run, twin))
    memorises = here < 0.8 * usual and usual - here > 0.03 * learns(twin)
    return memorises and worse > 1.12 * known and worse - known > 0.04 * learns(twin)


def _precision_overflow(run: Judged, twin: Judged) -> bool:
    """Find what is not finite, or steps left out, so that validation stands still."""
    finite = np.isfinite(run.loss)
    if not finite.all():
        return int(finite.sum()) >= 8  # a run that is NaN at once tells nobody why
    norms = np.asarray(run.grad_norm)
    overflows = len(norms) > 0 and float((~np.isfinite(norms)).mean()) > 0.1
    frozen = len(run.val) > 4 and len(set(run.val[-4:])) == 1
    zero = last(run.loss) == 0 and overflows  # what the Hugging Face Trainer logs of NaN
    return zero or ((overflows or frozen) and (behind(run, twin) > 0.1))


def _unshuffled_data(run: Judged, twin: Judged) -> bool:
    """Find a loss that repeats with the epoch, or that wanders within it from block to block."""
    if DEMO_SIGNS["unshuffled_data"](run, twin):
        return True
    if run.period < 12 or not np.isfinite(run.loss).all():
        return False
    width = max(2, run.period // 6)  # six blocks an epoch
    wander, usual = (float(np.std(np.diff(_smooth(r, width)[6:]))) for r in (run, twin))
    return wander > 2 * usual and wander > 0.08 * learns(twin)


SIGNS: dict[str, Callable[[Judged, Judged], bool]] = {
    **DEMO_SIGNS,
    "bad_data_batch": _bad_data_batch,
    "unshuffled_data": _unshuffled_data,
    "unsuitable_optimizer": _unsuitable_optimizer,
    "batch_too_small": _batch_too_small,
    "batch_too_large": _batch_too_large,
    "unnormalised_inputs": _unnormalised_inputs,
    "wrong_loss": _wrong_loss,
    "train_val_mismatch": _train_val_mismatch,
    "train_val_leak": _train_val_leak,
    "resume_state_lost": _resume_state_lost,
    "precision_overflow": _precision_overflow,
    "repeated_shard": _repeated_shard,
}


def shows(cause: str, run: Judged, twin: Judged) -> bool:
    """Tell whether a run bears the sign of a cause; one too short to judge does not."""
    whole = len(run.val) >= 2 and bool(np.isfinite(run.val).all())
    least = 12 if cause == "batch_too_large" else 30
    if cause in CUT_SHORT:
        whole, least = True, 5
    if not whole or len(run.loss) < least:
        return False
    if cause == "healthy":  # settled, and not far better on the rows it has seen
        gap = run.val[-1] - last(run.loss)
        steady = bool(np.isfinite(run.loss).all()) and max(run.loss) < 2.5 * run.loss[0]
        return steady and settled(run) and gap < 0.35 * run.loss[0] and SIGNS[cause](run, twin)
    return bool(SIGNS[cause](run, twin))


def settled(run: Judged) -> bool:
    """Tell whether the last third brought less than a third of the whole drop."""
    cut = 2 * len(run.loss) // 3
    middle = float(np.median(run.loss[cut : cut + max(1, len(run.loss) // 10)]))
    return middle - last(run.loss) < 0.33 * (run.loss[0] - last(run.loss))
