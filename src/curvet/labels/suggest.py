"""Which runs to label next: those that teach a predictor most come first.

The order of `teaching_order` depends on the scores alone and takes seconds for 100,000 rows;
`arrange` fits it to what has been labelled, at once. Rows without probabilities are left out.
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from ..page.table import Score
from .label import Label, Labels, by_run

REASONS = ("uncertain", "novel", "disagreement", "cluster")
"""Why a run is suggested; the words are ``label_page.why_<reason>``."""

MAX_CLUSTERS = 50
SAMPLED = 10_000  # rows on which clusters are found, where there are more
FLOOR = 1e-4  # smaller probabilities are all one: noise would tell them apart otherwise
OVERLAP = 10  # every so manieth suggestion is a run that somebody else has labelled
APART = 20.0  # places by which those who work at once are moved apart


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A run to label.

    Parameters
    ----------
    place : int
        Of its row among the scores.
    why : str
        One of `REASONS`.
    """

    place: int
    why: str


def suggest(
    scores: Sequence[Score], labels: Labels, annotator: str, seed: int = 0
) -> list[Suggestion]:
    """List the runs that one annotator may label, those that teach most first.

    Parameters
    ----------
    scores : sequence of Score
        All rows.
    labels : Labels
        What has been said so far, of these runs and of others.
    annotator : str
        Who is to label; what that person has labelled is left out.
    seed : int
        Of the clusters. With the same seed the answer is the same.
    """
    return arrange(teaching_order(scores, seed), scores, labels, annotator)


# --- by the scores --------------------------------------------------------------------------------


def teaching_order(scores: Sequence[Score], seed: int = 0) -> list[Suggestion]:
    """Order rows by what their labels would teach, whoever has labelled what.

    The rows are clustered by the logarithms of their probabilities. In turns, the largest cluster
    first, each cluster gives its most representative row, then its most uncertain one, its most
    novel one, and so on.
    """
    places = [place for place, score in enumerate(scores) if score.probabilities]
    if not places:
        return []
    chances = probabilities([scores[place] for place in places])
    groups, distances = clusters(np.log(chances.clip(FLOOR)), seed)
    uncertain = entropy(chances)
    novel = np.array([_novelty(scores[place]) for place in places])
    turns: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        turns[group].append(row)
    largest = sorted(turns, key=lambda group: (-len(turns[group]), group))
    queues = [in_turns(turns[group], distances, uncertain, novel) for group in largest]
    return [
        Suggestion(places[row], why)
        for turn in zip_longest(*queues)
        for row, why in filter(None, turn)
    ]


def probabilities(scores: Sequence[Score]) -> NDArray[np.float64]:
    """Return the probabilities of rows; a cause that a row does not name has 0.

    Returns
    -------
    array of shape (row, cause)
    """
    causes = sorted({cause for score in scores for cause in score.probabilities})
    return np.array([[score.probabilities.get(cause, 0.0) for cause in causes] for score in scores])


def entropy(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how uncertain each row is: 0 for one sure cause, ln K for K equal ones.

    Examples
    --------
    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).round(3).tolist()
    [0.0, 0.693]
    """
    safe = np.where(chances > 0, chances, 1.0)
    return np.asarray(-(chances * np.log(safe)).sum(axis=1) + 0.0)


def clusters(
    points: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Group rows that are alike: about the square root of their number of groups.

    Returns
    -------
    arrays of shape (row,)
        The number of each row's cluster, and its distance to the centre of it.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    n_clusters = min(MAX_CLUSTERS, max(1, round(math.sqrt(len(points)))))
    model = KMeans(n_clusters, n_init=1, max_iter=50, random_state=seed)
    sample = points
    if len(points) > SAMPLED:
        rng = np.random.default_rng(seed)
        sample = points[rng.choice(len(points), SAMPLED, replace=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters
        groups = model.fit(sample).predict(points)
    distances = np.linalg.norm(points - model.cluster_centers_[groups], axis=1)
    # The last digits differ from machine to machine, the order of equal rows must not.
    return groups.astype(np.int64), distances.round(6)


def in_turns(
    rows: Sequence[int],
    distances: NDArray[np.float64],
    uncertain: NDArray[np.float64],
    novel: NDArray[np.float64],
) -> Iterator[tuple[int, str]]:
    """Yield the rows of one cluster: the nearest to its centre, then by turns."""
    first = min(rows, key=lambda row: (distances[row], row))
    yield first, "cluster"
    given = {first}
    waiting = {"uncertain": iter(_highest(rows, uncertain))}
    if np.isfinite(novel[list(rows)]).any():
        waiting["novel"] = iter(_highest(rows, novel))
    while len(given) < len(rows):
        for why, queue in waiting.items():
            row = next((row for row in queue if row not in given), None)
            if row is not None:
                given.add(row)
                yield row, why


def _highest(rows: Sequence[int], values: NDArray[np.float64]) -> list[int]:
    return sorted(rows, key=lambda row: (-values[row], row))


def _novelty(score: Score) -> float:
    return -math.inf if score.novelty is None else score.novelty


# --- by what has been labelled --------------------------------------------------------------------


def arrange(
    order: Sequence[Suggestion], scores: Sequence[Score], labels: Labels, annotator: str
) -> list[Suggestion]:
    """Fit an order to what has been said of the runs.

    Runs on which two others disagree come first, then those that nobody has labelled; every
    tenth is one that somebody has, so that agreement can be measured; the others of these come
    last.

    Parameters
    ----------
    order : sequence of Suggestion
        Of rows with or without labels.
    scores, labels, annotator
        See `suggest`.
    """
    said = by_annotator(labels.current())
    disputed, fresh, shared = [], [], []
    n_own = 0
    for each in order:
        of_run = said.get(scores[each.place].run_id)
        if of_run is None:
            fresh.append(each)
        elif annotator in of_run:
            n_own += 1
        elif disagree(of_run.values()):
            disputed.append(Suggestion(each.place, "disagreement"))
        else:
            shared.append(each)
    if any(annotator not in of_run for of_run in said.values()):
        fresh = apart(fresh, annotator)
    return disputed + mixed(fresh, shared, n_own + len(disputed))


def by_annotator(labels: Sequence[Label]) -> dict[str, dict[str, Label]]:
    """Return run -> annotator -> label."""
    return {
        run_id: {label.annotator: label for label in given}
        for run_id, given in by_run(labels).items()
    }


def disagree(labels: Iterable[Label]) -> bool:
    """Tell whether labels of one run name different causes."""
    return len({frozenset(label.causes) for label in labels}) > 1


def apart(order: Sequence[Suggestion], annotator: str) -> list[Suggestion]:
    """Move each a little, differently for each annotator: two who work at once rarely meet."""
    salt = zlib.crc32(annotator.encode("utf-8", "replace"))
    moved = np.random.default_rng(salt).random(len(order)) * APART + np.arange(len(order))
    return [order[place] for place in np.argsort(moved, kind="stable").tolist()]


def mixed(
    fresh: Sequence[Suggestion], shared: Sequence[Suggestion], n_before: int
) -> list[Suggestion]:
    """Put one that is shared at every tenth place, counted from the annotator's first label.

    Examples
    --------
    >>> fresh, shared = [Suggestion(n, "novel") for n in range(12)], [Suggestion(99, "novel")]
    >>> [each.place for each in mixed(fresh, shared, 7)]
    [0, 1, 99, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    """
    rest = iter(shared)
    found: list[Suggestion] = []
    for each in fresh:
        if (n_before + len(found)) % OVERLAP == OVERLAP - 1:
            found += [one for one in (next(rest, None),) if one]
        found.append(each)
    return [*found, *rest]
