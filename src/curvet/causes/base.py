"""The Cause record: what a cause of bad training does."""

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

    Its words are ``causes.<key>.title`` and ``causes.<key>.sign`` in the catalogues of `texts`.

    Parameters
    ----------
    key : str
        File name, label and JSON key; never renamed.
    remedies : tuple of str
        Keys of `remedies.REMEDIES`, most likely to help first.
    inject : callable (healthy Recipe, rng) -> faulty Recipe
        How the simulator brings the fault about.
    shows : callable (trace, healthy twin's trace) -> bool
        Whether the fault did its harm; without harm there is no label.
    may_diverge : bool
        Whether the harm may be a loss that ends as NaN or inf. A run that ends so has no other
        cause.
    """

    key: str
    remedies: tuple[str, ...]
    inject: Inject
    shows: Shows
    may_diverge: bool = False
