"""A resumed run lost its optimiser, its schedule or its place in the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Resume, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Go on from a checkpoint without the moments, the schedule or the data's place."""
    at = int(rng.uniform(0.3, 0.9) * recipe.n_steps)
    back = 0 if rng.random() < 0.4 else int(rng.uniform(0, 0.15) * at)
    lost = [bool(rng.random() < share) for share in (0.7, 0.85, 0.4)]
    if not any(lost):
        lost[1] = True
    schedule = recipe.schedule
    if lost[1] and schedule in ("constant", "plateau", "restarts"):
        schedule = rng.choice(["cosine", "linear", "step", "one_cycle"])
    warmup = max(recipe.warmup, 0.02) if rng.random() < 0.5 else 0.0
    resume = Resume(max(1, at), back, *lost)
    # At a slow rate nothing would be lost with the state.
    fast = 10 ** rng.uniform(0, 0.7)
    return replace(
        recipe, lr=recipe.lr * fast, resume=resume, schedule=schedule, warmup=warmup, clip=np.inf
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Sound until the checkpoint, where it jumps away from its level."""
    at = trace.onset
    width = max(3, len(trace.loss) // 40)
    if at < width or at + width > len(trace.loss) or not np.isfinite(trace.loss[:at]).all():
        return False
    if trace.until(at).end > twin.until(at).end + 0.15 * max(twin.drop, 0.0):
        return False
    after = trace.loss[at : at + 4 * width]
    if not np.isfinite(after).all():
        return True
    back = int(trace.step[at - 1] + 1 - trace.step[at])
    before = trace.loss[max(0, at - back - 2 * width) : max(width, at - back)]
    level, noise = float(np.median(before)), max(float(np.std(before)), trace.noise)
    begins = range(0, min(2 * width, len(after)), 2)
    jump = max(abs(float(np.median(after[i : i + width])) - level) for i in begins)
    sure = 5 * noise / np.sqrt(width)
    return bool(jump > max(sure, 0.05 * max(twin.drop, 0.0)))


CAUSE = Cause(
    key="resume_state_lost",
    remedies=("save_all_state", "skip_seen_batches", "warm_up"),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
