"""The taxonomy: every cause that curvet knows, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..remedies import REMEDIES, Remedy, Source
from ..texts import say
from . import (
    bad_data_batch,
    batch_too_large,
    batch_too_small,
    exploding_gradients,
    healthy,
    lr_too_high,
    lr_too_low,
    noisy_labels,
    over_regularisation,
    overfitting,
    precision_overflow,
    resume_state_lost,
    train_val_leak,
    train_val_mismatch,
    under_capacity,
    unnormalised_inputs,
    unshuffled_data,
    unsuitable_optimizer,
    vanishing_gradients,
    wrong_loss,
)
from .base import Cause
from .team import TeamCause


def _by_key(*causes: Cause) -> Mapping[str, Cause]:
    known = {cause.key: cause for cause in causes}
    if len(known) < len(causes):
        raise ValueError("two causes share a key")
    return MappingProxyType(known)


CAUSES = _by_key(
    healthy.CAUSE,
    lr_too_high.CAUSE,
    lr_too_low.CAUSE,
    exploding_gradients.CAUSE,
    vanishing_gradients.CAUSE,
    bad_data_batch.CAUSE,
    overfitting.CAUSE,
    under_capacity.CAUSE,
    over_regularisation.CAUSE,
    noisy_labels.CAUSE,
    unshuffled_data.CAUSE,
    unsuitable_optimizer.CAUSE,
    batch_too_small.CAUSE,
    batch_too_large.CAUSE,
    unnormalised_inputs.CAUSE,
    wrong_loss.CAUSE,
    train_val_mismatch.CAUSE,
    train_val_leak.CAUSE,
    resume_state_lost.CAUSE,
    precision_overflow.CAUSE,
)
"""Cause by key, in the order in which people are shown them."""


_TEAM: dict[str, TeamCause] = {}


def know_team_causes(causes: Mapping[str, TeamCause]) -> None:
    """Learn the words of causes that a team has added; a bundle tells them when it is loaded."""
    _TEAM.update(causes)


def team_cause(key: str) -> TeamCause | None:
    """Return what a team says of a cause of its own; None of any other."""
    return None if key in CAUSES else _TEAM.get(key)


def title_of(key: str) -> str:
    """Return the name of a cause for people; an unknown key stands for itself.

    Examples
    --------
    >>> title_of("lr_too_high"), title_of("gremlins")
    ('Learning rate too high', 'gremlins')
    """
    if own := team_cause(key):
        return own.title
    return say(f"causes.{key}.title") if key in CAUSES else key


def sign_of(key: str) -> str:
    """Return what the curves of a cause show; "" for an unknown key."""
    if own := team_cause(key):
        return own.sign
    return say(f"causes.{key}.sign") if key in CAUSES else ""


def remedies_of(key: str) -> tuple[Remedy, ...]:
    """Return what to try against a cause, most likely to help first; nothing for an unknown key.

    Examples
    --------
    >>> remedies_of("overfitting")[0].sources[0].url.startswith("https://")
    True
    """
    if own := team_cause(key):
        source = Source(say("report.the_team"), "")
        return tuple(
            Remedy(f"{key}.{number}", (source,), text)
            for number, text in enumerate(own.remedies, start=1)
        )
    return tuple(REMEDIES[name] for name in CAUSES[key].remedies) if key in CAUSES else ()


__all__ = [
    "CAUSES",
    "Cause",
    "TeamCause",
    "know_team_causes",
    "remedies_of",
    "sign_of",
    "team_cause",
    "title_of",
]
