"""How far a run is from all that a predictor was trained on.

Probabilities cannot tell: a curve that is like no training at all may get a high one. So the
features of its training loss are compared with those of known runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .classifiers.ranks import fit_scores, to_scores
from .features import FEATURES, channel_of

Array = NDArray[np.float64]
Table = NDArray[np.float32]

FILE = "novelty.npz"
N_AXES = 24
N_KNOWN = 4000
NEAREST = 5
_BLOCK = 256  # runs that are compared at once
_COLUMNS = np.flatnonzero([channel_of(name) is None for name in FEATURES])
_SHARES = np.append(np.linspace(0, 0.99, 100), [0.995, 0.999, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """Known runs in a space of few dimensions, and how far those of other groups usually are.

    Parameters
    ----------
    knots, scores : arrays of shape (feature, knot)
        See `classifiers.ranks.fit_scores`; features of the training loss alone, since the
        other channels are often missing.
    centre : array of shape (feature,)
        Mean score of each feature.
    axes : array of shape (feature, axis)
        Principal axes, in units of the spread along them.
    known : array of shape (run, axis)
        Some of the runs trained on.
    distances : array of shape (quantile,)
        Of runs to the nearest known ones of other groups, ascending.
    """

    knots: Table
    scores: Table
    centre: Table
    axes: Table
    known: Table
    distances: Array

    def rank(self, table: Table) -> Array:
        """Tell what share of unseen runs of known kinds is nearer to the known ones, (run,).

        Parameters
        ----------
        table : array of shape (run, feature)
            See `features.extract_features`.
        """
        return np.asarray(np.interp(self.distance(table), self.distances, _SHARES))

    def distance(self, table: Table) -> Array:
        """Mean distance to the nearest known runs, (run,).

        Source: Angiulli & Pizzuti, Fast Outlier Detection in High Dimensional Spaces, PKDD 2002.
        """
        return self.distance_at(self.place(table))

    def distance_at(self, at: Table) -> Array:
        """Measure the same of runs that have been placed, (run, axis)."""
        blocks = [at[begin : begin + _BLOCK] for begin in range(0, len(at), _BLOCK)]
        return np.concatenate([self._to_nearest(block) for block in blocks] or [np.empty(0)])

    def place(self, table: Table) -> Table:
        """Put runs into the space, (run, axis)."""
        x = to_scores(table, _COLUMNS, self.knots, self.scores)
        return np.asarray((x - self.centre) @ self.axes)

    def _to_nearest(self, at: Table) -> Array:
        squares = (at**2).sum(1)[:, None] - 2 * at @ self.known.T + (self.known**2).sum(1)
        near = min(NEAREST, len(self.known))
        nearest = np.partition(squares, near - 1, axis=1)[:, :near]
        return np.asarray(np.sqrt(np.maximum(nearest, 0.0)).mean(1, dtype=np.float64))

    def knowing(self, table: Table) -> Novelty:
        """Return a copy to which more runs are known, (run, feature)."""
        return replace(self, known=np.concatenate([self.known, self.place(table)]))

    def save(self, folder: Path) -> None:
        """Write ``novelty.npz``."""
        np.savez_compressed(folder / FILE, **{name: getattr(self, name) for name in _PARTS})

    @classmethod
    def load(cls, folder: Path) -> Novelty:
        """Read ``novelty.npz``."""
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            return cls(*(arrays[name] for name in _PARTS))


_PARTS = ("knots", "scores", "centre", "axes", "known", "distances")


def fit_novelty(table: Table, group: NDArray[np.str_], seed: int) -> Novelty:
    """Learn where known runs lie, and how far a run of a new group is from those of others.

    Every run is asked about with those of its own group left out, so that few odd groups among
    the ones that happen to be held out do not decide what is far.

    Parameters
    ----------
    table : array of shape (run, feature)
        Features of known runs.
    group : array of shape (run,), str
        At least two; runs of one group are alike for more than being trainings.
    seed : int
        Draws the known runs that are kept.
    """
    knots, scores = fit_scores(table[:, _COLUMNS])
    x = to_scores(table, _COLUMNS, knots, scores)
    centre = x.mean(0)
    variance, axes = np.linalg.eigh(np.cov(x.T))  # ascending
    most = np.maximum(variance[: -N_AXES - 1 : -1], 1e-6)  # few runs span few axes
    whitened = axes[:, : -N_AXES - 1 : -1] / np.sqrt(most)
    kept = np.random.default_rng(seed).permutation(len(table))[:N_KNOWN]
    none = np.empty((0, N_AXES), np.float32)
    model = Novelty(knots, scores, centre, whitened.astype(np.float32), none, np.empty(0))
    at = model.place(table)
    distances = np.empty(len(at))
    for name in np.unique(group):
        of_group = group == name
        others = replace(model, known=at[kept[~of_group[kept]]])
        distances[of_group] = others.distance_at(at[of_group])
    return replace(model, known=at[kept], distances=np.quantile(distances, _SHARES))
