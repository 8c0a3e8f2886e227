"""Which facts speak for a cause and which against it.

Only what was measured is weighed: that a fact is missing says nothing, since the log may not
show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..diagnosis import Evidence
from .spikes import SPIKES

Values = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Sign:
    """A kind of fact that speaks for a cause or against it.

    Parameters
    ----------
    kind : str
        Of the fact.
    speaks : "for" or "against"
        What it says of the cause.
    holds : callable (values of the fact) -> bool, optional
        With which numbers; any, when left out.
    """

    kind: str
    speaks: Literal["for", "against"]
    holds: Callable[[Values], bool] = lambda values: True


def weigh(facts: Sequence[Evidence], cause: str | None) -> tuple[Evidence, ...]:
    """Mark the facts that speak for a cause or against it; those for it come first.

    Parameters
    ----------
    facts : sequence of Evidence
        As measured.
    cause : str or None
        Key of the cause; without one, or of another taxonomy, nothing is marked.
    """
    marked = [replace(fact, speaks=_speaks(fact, cause)) for fact in facts]
    return tuple(sorted(marked, key=lambda fact: fact.speaks != "for"))


def _speaks(fact: Evidence, cause: str | None) -> Literal["for", "against", ""]:
    for sign in SIGNS.get(cause or "", ()):
        if sign.kind == fact.kind and sign.holds(fact.values):
            return sign.speaks
    return ""


def _number(values: Values, name: str) -> float:
    return float(values[name])


def _training(values: Values) -> bool:
    return values["series"] == "training"


def _wide_gap(values: Values) -> bool:
    """Tell whether validation is far above training, by the size of the latter."""
    training, validation = _number(values, "training"), _number(values, "validation")
    return validation / 2 - training / 2 > 0.1 * abs(training)


def _narrow_gap(values: Values) -> bool:
    return not _wide_gap(values)


def _half_left(values: Values) -> bool:
    """Tell whether at that level nearly a third of the start, or more, is left."""
    return _number(values, "share") > 0.3


def _fell_far(values: Values) -> bool:
    return _number(values, "end") < 0.3 * _number(values, "start")


def _for(*kinds: str, holds: Callable[[Values], bool] | None = None) -> tuple[Sign, ...]:
    return tuple(Sign(kind, "for", holds or (lambda values: True)) for kind in kinds)


def _against(*kinds: str, holds: Callable[[Values], bool] | None = None) -> tuple[Sign, ...]:
    return tuple(Sign(kind, "against", holds or (lambda values: True)) for kind in kinds)


_FLAT = ("flat", "flat_at_chance", "flat_at_chance_tokens")
_STUCK = (*_FLAT, "plateau_at_start", "plateau_at_chance", "plateau_at_chance_tokens")
_FALLING = ("still_falling", "still_falling_epoch", "still_falling_steps")
_PERIOD = ("period", "period_epochs", "period_of_validation")
_BROKEN = ("first_nonfinite", "some_nonfinite")
_LEFT = ("left_course", "level_shift", "risen")

SIGNS: Mapping[str, tuple[Sign, ...]] = {
    "healthy": (
        *_for("fallen"),
        *_against(*_BROKEN, *_LEFT, *_STUCK, *SPIKES, "noisier", "resume_shift"),
        *_against("validation_rises", "validation_apart", "gradient_burst", "tiny_gradients"),
    ),
    "lr_too_high": (
        *_for(*_LEFT, "noisier", "noisy", "spikes", "gradient_burst", "gradients_rose_first"),
        *_for(*_BROKEN, holds=_training),
        *_against(*_FALLING, "smooth", "tiny_gradients"),
    ),
    "lr_too_low": (
        *_for(*_FALLING, "smooth", "flat"),
        *_against(*_LEFT, *SPIKES, *_BROKEN, "levels_off", "noisier", "gradient_burst"),
    ),
    "exploding_gradients": (
        *_for("gradient_burst", "gradients_rose_first", *_LEFT),
        *_for(*_BROKEN, holds=_training),
        *_against("gradients_calm_first", "tiny_gradients"),
    ),
    "vanishing_gradients": (
        *_for(*_STUCK, "tiny_gradients"),
        *_against(*_BROKEN, *_LEFT, "gradient_burst"),
        *_against("fallen", holds=_fell_far),
    ),
    "bad_data_batch": (*_for(*SPIKES, "dip", "level_shift"), *_against(*_FLAT)),
    "overfitting": (
        *_for("validation_rises", "validation_apart"),
        *_for("gap", holds=_wide_gap),
        *_against("gap", holds=_narrow_gap),
        *_against("gap_below", *_FLAT, "risen"),
    ),
    "under_capacity": (
        *_for("levels_off", holds=_half_left),
        *_for("gap", holds=_narrow_gap),
        *_against("validation_rises", *_FALLING),
    ),
    "over_regularisation": (
        *_for("gap_below"),
        *_for("levels_off", holds=_half_left),
        *_for("gap", holds=_narrow_gap),
        *_against("validation_rises"),
    ),
    "noisy_labels": (
        *_for("levels_off", holds=_half_left),
        *_for("validation_rises"),
        *_against(*_FLAT),
    ),
    "unshuffled_data": (*_for(*_PERIOD, "periodic_spikes", "dip"), *_against("smooth")),
    "unsuitable_optimizer": _for(*_FALLING, "plateau_at_start"),
    "batch_too_small": (*_for("noisy"), *_against("smooth")),
    "batch_too_large": (*_for("smooth", *_FALLING), *_against("noisy", *SPIKES)),
    "unnormalised_inputs": _for("steep_start", "gradient_burst"),
    "wrong_loss": (*_for("negative", *_STUCK, "risen"), *_against("fallen", holds=_fell_far)),
    "train_val_mismatch": (
        *_for("validation_apart"),
        *_for("gap", holds=_wide_gap),
        *_against("gap", holds=_narrow_gap),
        *_against("gap_below"),
    ),
    "train_val_leak": (
        *_for("gap_below"),
        *_for("gap", holds=_narrow_gap),
        *_against("gap", holds=_wide_gap),
        *_against("validation_rises", "validation_apart"),
    ),
    "resume_state_lost": _for(
        "resume_shift", "step_goes_back", "rate_starts_anew", "level_shift", "spike"
    ),
    "precision_overflow": (
        *_for(*_BROKEN, holds=_training),
        *_for("gradients_calm_first"),
        *_against("gradients_rose_first"),
    ),
}
"""Cause -> the kinds of facts that speak for it or against it."""
