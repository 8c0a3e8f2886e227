"""How each cause bends the curves of a healthy sketch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .sketch import Rng, Sketch, draw_fall


def _place(s: Sketch, rng: Rng, low: float = 0.08, high: float = 0.95) -> int:
    return int(rng.uniform(low, high) * len(s.t))


def _level_off(s: Sketch, rng: Rng, low: float, high: float) -> None:
    """Keep only a share of the drop."""
    kept = rng.uniform(low, high)
    s.loss = s.start - kept * (s.start - s.loss)
    s.val = s.start - kept * (s.start - s.val)


def _bump(s: Sketch, at: int, height: float, decay: float) -> None:
    """Add a spike of loss at a position, which decays over `decay` steps, and one of the norm."""
    after = np.arange(len(s.t) - at)
    s.loss[at:] += height * np.exp(-after / decay)
    s.val[at:] += height * np.exp(-(after + 1) / decay) * 0.7
    s.norm[at:] *= 1 + 3 * height / s.drop * np.exp(-after / max(1.0, decay / 2))


def _stay(s: Sketch, rng: Rng) -> None:
    """Leave a healthy run as it is."""


def _lr_too_high(s: Sketch, rng: Rng) -> None:
    face = rng.choice(["diverges", "level", "waves"], p=[0.45, 0.35, 0.2])
    if face == "diverges":
        at = _place(s, rng, 0.01, 0.5)
        growth = rng.uniform(2, 60) * np.maximum(s.t - s.t[at], 0)
        s.loss = s.loss + 0.05 * s.drop * (np.exp(np.minimum(growth, 25)) - 1)
        s.val = s.val + 0.05 * s.drop * (np.exp(np.minimum(growth, 25)) - 1)
        s.norm = s.norm * np.exp(np.minimum(growth, 12))
        if rng.random() < 0.6:
            s.nan_from = min(len(s.t), at + 1 + int(rng.exponential(0.2) * len(s.t)))
    else:
        _level_off(s, rng, 0.02, 0.7)
        s.noise = s.noise + s.drop * rng.uniform(0.05, 0.4)
        s.norm = s.norm * 10 ** rng.uniform(0, 1.5)
    if face == "waves":
        s.loss += s.drop * rng.uniform(0.1, 0.5) * np.sin(s.t * rng.uniform(20, 300))


def _lr_too_low(s: Sketch, rng: Rng) -> None:
    line = rng.uniform(0.01, 0.4) * s.t ** rng.uniform(0.7, 1.2)
    s.loss = s.start - s.drop * line
    s.val = s.loss + s.drop * rng.uniform(-0.02, 0.02)
    s.noise = s.noise * rng.uniform(0.2, 1.0)
    s.norm = np.full_like(s.norm, s.norm[0]) * (1 - 0.5 * line)


def _exploding_gradients(s: Sketch, rng: Rng) -> None:
    s.noise = s.noise + s.drop * rng.uniform(0.01, 0.1)
    for _ in range(int(rng.integers(2, 15))):
        at = _place(s, rng, 0.02)
        _bump(s, at, s.drop * 10 ** rng.uniform(-0.5, 1.5), rng.uniform(1, 0.08 * len(s.t) + 2))
        s.norm[at] *= 10 ** rng.uniform(1, 4)
    if rng.random() < 0.6:
        s.nan_from = _place(s, rng, 0.02)
        near = slice(max(0, s.nan_from - 5), s.nan_from)
        s.norm[near] *= 10 ** np.linspace(0.5, 4, s.nan_from - near.start)


def _vanishing_gradients(s: Sketch, rng: Rng) -> None:
    wakes = rng.uniform(0.35, 2.0)
    fall = 1 / (1 + np.exp((s.t - wakes) / rng.uniform(0.02, 0.08)))
    s.loss = s.start - s.drop * (1 - fall / max(fall[0], 1e-9))
    s.val, s.noise = s.loss.copy(), s.noise * rng.uniform(0.1, 0.8)
    s.norm = 10 ** rng.uniform(-7, -2) * (1 + 300 * (1 - fall))


def _bad_data_batch(s: Sketch, rng: Rng) -> None:
    at = s.onset = _place(s, rng)
    height, decay = s.drop * 10 ** rng.uniform(-0.3, 1.3), rng.uniform(0.3, 0.06 * len(s.t) + 1)
    again = rng.random() < 0.2 and len(s.t) > 3 * s.epoch > 24
    for place in range(at, len(s.t), s.epoch) if again else [at]:
        _bump(s, place, height, decay)
    if rng.random() < 0.08:
        s.nan_from = at + 1


def _overfitting(s: Sketch, rng: Rng) -> None:
    best, rise = rng.uniform(0.03, 0.75), s.drop * rng.uniform(0.15, 2.5)
    s.loss = s.start * np.maximum(draw_fall(s.t, rng), rng.uniform(1e-4, 0.05))
    floor = s.start * rng.uniform(0.4, 0.9)
    s.val = floor + (s.start - floor) * np.exp(-s.t / (best / 3))
    s.val = s.val + rise * np.maximum(s.t - best, 0) ** rng.uniform(0.7, 1.5)
    s.noise = s.start * 10 ** rng.uniform(-2.5, -1.2) * (0.1 + s.loss / s.start)


def _under_capacity(s: Sketch, rng: Rng) -> None:
    _level_off(s, rng, 0.1, 0.6)


def _over_regularisation(s: Sketch, rng: Rng) -> None:
    _level_off(s, rng, 0.05, 0.6)
    s.val = s.loss - s.drop * rng.uniform(0, 0.25) * np.minimum(1, 5 * s.t)
    s.noise = s.noise * rng.uniform(1, 2.5)
    if rng.random() < 0.25:  # the penalty is part of the logged loss, and shrinks first
        penalty = s.drop * rng.uniform(0.5, 5) * np.exp(-s.t / rng.uniform(0.01, 0.2))
        s.loss, s.val = s.loss + penalty, s.val + penalty


def _noisy_labels(s: Sketch, rng: Rng) -> None:
    if rng.random() < 0.5:
        _level_off(s, rng, 0.15, 0.6)
        s.val = s.loss - s.drop * rng.uniform(-0.05, 0.3) * np.minimum(1, 5 * s.t)
        return
    best = rng.uniform(0.03, 0.4)
    s.loss = s.start - s.drop * (0.4 * np.minimum(1, s.t / best) + 0.5 * np.maximum(s.t - best, 0))
    rise = rng.uniform(0.1, 0.8) * np.maximum(s.t - best, 0)
    s.val = s.start - s.drop * (0.4 * np.minimum(1, s.t / best) - rise)


def _unshuffled_data(s: Sketch, rng: Rng) -> None:
    n = len(s.t)
    s.epoch = max(3, round(n / rng.uniform(2, 25)))
    phase = (np.arange(n) % s.epoch) / s.epoch
    blocks = np.floor(phase * int(rng.integers(2, 11)))
    wave = rng.standard_normal(12)[blocks.astype(int)] + rng.uniform(-2, 2) * phase
    s.loss = np.maximum(s.loss + s.drop * rng.uniform(0.1, 0.6) * wave, 0.0)
    s.val = s.val + s.drop * rng.uniform(0, 1.5)
    s.norm = s.norm * 10 ** (0.3 * wave)


def _unsuitable_optimizer(s: Sketch, rng: Rng) -> None:
    if rng.random() < 0.5:  # too much momentum: slow waves that die away
        wave = np.cos(s.t * rng.uniform(8, 60)) * np.exp(-s.t / rng.uniform(0.1, 1.0))
        s.loss = s.loss + s.drop * rng.uniform(0.15, 0.8) * wave
    else:  # rates that starve
        s.loss = s.start - s.drop * rng.uniform(0.2, 0.7) * (1 - (1 + 200 * s.t) ** -0.3)
    s.val = s.loss + s.drop * rng.uniform(-0.02, 0.1) * s.t


def _batch_too_small(s: Sketch, rng: Rng) -> None:
    _level_off(s, rng, 0.5, 0.9)
    s.noise = s.noise + s.drop * rng.uniform(0.15, 0.7)
    s.norm = s.norm * 10 ** (0.4 * rng.standard_normal(len(s.t)))


def _batch_too_large(s: Sketch, rng: Rng) -> None:
    line = rng.uniform(0.1, 0.7) * (1 - np.exp(-s.t / rng.uniform(0.5, 3)))
    s.loss = s.start - s.drop * line
    s.val = s.loss + s.drop * rng.uniform(-0.02, 0.03) * s.t
    s.noise, s.epoch = s.noise * 0.05, int(rng.integers(1, 4))


def _unnormalised_inputs(s: Sketch, rng: Rng) -> None:
    height = s.start * 10 ** rng.uniform(0.6, 4)
    _level_off(s, rng, 0.1, 0.8)
    fall = np.exp(-s.t / 10 ** rng.uniform(-2.5, -0.8))
    s.loss, s.val = s.loss + height * fall, s.val + height * fall
    s.noise = s.noise + 0.3 * height * fall
    s.norm = s.norm * (1 + 10 ** rng.uniform(1, 4) * fall)
    if rng.random() < 0.2:
        s.nan_from = 1 + int(rng.exponential(0.05) * len(s.t))


def _wrong_loss(s: Sketch, rng: Rng) -> None:
    if rng.random() < 0.5:
        s.loss = s.start - s.start * 10 ** rng.uniform(0.3, 4) * s.t ** rng.uniform(1, 3)
        s.val = s.loss.copy()
        s.norm = s.norm * (1 + 10 ** rng.uniform(0, 2) * s.t)
        if rng.random() < 0.3:
            s.nan_from = _place(s, rng, 0.2)
        return
    _level_off(s, rng, 0.0, 0.5)
    s.val = s.loss.copy()


def _train_val_mismatch(s: Sketch, rng: Rng) -> None:
    share = rng.uniform(-0.6, 0.4)  # how much of training's fall validation follows
    s.val = s.start + s.drop * rng.uniform(0, 2) - share * (s.start - s.loss)


def _train_val_leak(s: Sketch, rng: Rng) -> None:
    s.loss = s.start * np.maximum(draw_fall(s.t, rng), rng.uniform(1e-4, 0.03))
    s.val = s.loss * rng.uniform(0.9, 1.3)
    s.noise = s.noise * (0.1 + s.loss / s.start)


def _resume_state_lost(s: Sketch, rng: Rng) -> None:
    at = s.onset = _place(s, rng, 0.3, 0.9)
    after = np.arange(len(s.t) - at)
    jump = s.drop * rng.uniform(0.1, 0.8) * rng.choice([1, 1, 1, -0.3])
    bend = jump * np.exp(-after / rng.uniform(2, 0.3 * len(s.t) + 3))
    s.loss[at:] += bend
    s.val[at:] += bend
    if rng.random() < 0.5:
        s.step[at:] -= int(rng.uniform(0, 0.15) * at)
    if rng.random() < 0.7:
        s.lr[at:] = s.lr[: len(after)]


def _precision_overflow(s: Sketch, rng: Rng) -> None:
    if rng.random() < 0.65:
        s.nan_from = _place(s, rng, 0.02)
        return
    _level_off(s, rng, 0.0, 0.3)
    s.norm = np.full_like(s.norm, rng.choice([np.nan, np.inf, 0.0]))


BENDS: Mapping[str, Callable[[Sketch, Rng], None]] = {
    "healthy": _stay,
    "lr_too_high": _lr_too_high,
    "lr_too_low": _lr_too_low,
    "exploding_gradients": _exploding_gradients,
    "vanishing_gradients": _vanishing_gradients,
    "bad_data_batch": _bad_data_batch,
    "overfitting": _overfitting,
    "under_capacity": _under_capacity,
    "over_regularisation": _over_regularisation,
    "noisy_labels": _noisy_labels,
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
}
