"""The Cause record: all that a cause of bad training has to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..recipe import Recipe, Trace

Inject = Callable[[Recipe, np.random.Generator], Recipe]
Shows = Callable[[Trace, Trace], bool]


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of bad training.

    Parameters
    ----------
    key : str
        File name, label and JSON key; never renamed.
    title : str
        For people.
    sign : str
        What the curves show.
    remedies : tuple of str
        Most likely to help first.
    inject : callable (healthy Recipe, rng) -> faulty Recipe
        How the simulator brings the fault about.
    shows : callable (trace, healthy twin's trace) -> bool
        Whether the fault did its harm; without harm there is no label.
    may_diverge : bool
        Whether the harm may be a loss that ends as NaN or inf. A run that ends so has no other
        cause.
    """

    key: str
    title: str
    sign: str
    remedies: tuple[str, ...]
    inject: Inject
    shows: Shows
    may_diverge: bool = False
