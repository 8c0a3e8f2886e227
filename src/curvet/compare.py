"""Two bundles on the same runs: figures, their differences, and how sure those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .classifiers import Inputs
from .errors import CorpusError
from .predictor import Predictor, doubts
from .trials import usable_trials

FLOOR = 1e-3
"""Least probability that counts in a log-loss: a cause that a bundle does not know costs this."""

COVERAGE = 0.9
"""Share of runs whose conformal set shall hold the true cause."""

DRAWS = 400
BINS = 10
FIGURES = ("top1", "top3", "log_loss", "calibration_error", "coverage", "set_size", "answered")
PER_CAUSE = ("recall", "precision", "log_loss")

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a bundle, or what stands for one, answers for n runs.

    Parameters
    ----------
    bundle : str
        Its name.
    causes : tuple of str
        Those it knows, in the order of its answers.
    probabilities : array of shape (n, cause)
        Rows sum to 1.
    likely : array of shape (n, cause), bool
        Conformal sets at 90 %.
    answered : array of shape (n,), bool, optional
        Which runs get a verdict; None where nobody knows.
    """

    bundle: str
    causes: tuple[str, ...]
    probabilities: Array
    likely: NDArray[np.bool_]
    answered: NDArray[np.bool_] | None = None

    def part(self, rows: NDArray[np.bool_]) -> Answers:
        """Return those for some of the runs."""
        return replace(
            self,
            probabilities=self.probabilities[rows],
            likely=self.likely[rows],
            answered=None if self.answered is None else self.answered[rows],
        )


def answers_of(predictor: Predictor, inputs: Inputs) -> Answers:
    """Ask a predictor, under its own prior."""
    novelty = predictor.bundle.novelty.rank(inputs.table)
    return answers_from(predictor, predictor.probabilities(inputs), novelty)


def answers_from(predictor: Predictor, probabilities: Array, novelty: Array) -> Answers:
    """Say what follows from probabilities (n, cause) and novelty (n,), given or as if given."""
    bundle = predictor.bundle
    likely = bundle.calibration.likely(probabilities, COVERAGE)
    unlike, undecided = doubts(likely, novelty)
    return Answers(bundle.name, bundle.causes, probabilities, likely, ~(unlike | undecided))


def compare_answers(
    old: Answers,
    new: Answers,
    target: Array,
    causes: Sequence[str],
    group: NDArray[np.str_] | NDArray[np.int64],
) -> dict[str, Any]:
    """Compare answers for the same labelled runs.

    Intervals are bootstrap intervals of 95 % over groups (400 draws from seed 0); both sides
    see the same draws, so that the interval of a difference is a paired one.

    Parameters
    ----------
    old, new : Answers
        For n runs that neither has learned from; they may know different causes.
    target : array of shape (n, cause)
        Soft labels: the share of the votes for each of `causes`; each row is divided by its sum.
    causes : sequence of str
        At least all that `target` speaks of.
    group : array of shape (n,), str
        Runs of one group (an experiment, a sweep) are no independent evidence: whole groups are
        drawn.

    Returns
    -------
    dict
        Plain types, ready for JSON. runs, groups, draws, floor, coverage_asked; under ``old`` and
        ``new``: bundle, unknown (causes of the runs that it does not know), figures and
        reliability; ``difference``: new - old of each figure; and ``causes``: for each cause with
        votes, runs (their sum), old, new and difference.

        A figure is {"value", "low", "high"}, of a difference also "below", the share of the draws
        in which the new one is lower; one that cannot be had is None. top1 is the mean
        share of the votes for the most probable cause, top3 for the three most probable;
        log_loss in nats with probabilities of at least `FLOOR`, so that a cause which a bundle
        does not know costs 6.9; calibration_error over 10 bins of confidence; coverage and
        set_size of the conformal set at 90 %; answered, the share of runs that get a verdict. Of
        a cause: recall (share of its votes in runs in which it is most probable), precision
        (share of the votes for it where it is most probable), log_loss (of its votes).

    Raises
    ------
    CorpusError
        No runs.
    ValueError
        Shapes that do not fit, or a run without votes.
    """
    target = np.asarray(target, np.float64)
    n = len(old.probabilities)
    shapes = target.shape, len(group), len(new.probabilities)
    if shapes != ((n, len(causes)), n, n):
        raise ValueError(
            f"target is expected to have the shape ({n}, {len(causes)}) and group ({n},), got "
            f"{target.shape} and ({len(group)},), and as many answers from both bundles"
        )
    if not n:
        raise CorpusError("no runs to compare bundles on")
    total = target.sum(1, keepdims=True)
    if not (np.isfinite(total).all() and (total > 0).all() and (target >= 0).all()):
        raise ValueError("each run needs votes, none of them negative")
    known = dict.fromkeys([*causes, *old.causes, *new.causes])
    votes = np.zeros((len(target), len(known)))
    votes[:, : len(causes)] = target / total
    names, member = np.unique(np.asarray(group), return_inverse=True)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(names), (DRAWS, len(names)))
    times = np.stack([np.bincount(draw, minlength=len(names)) for draw in draws]).astype(float)
    whole = np.vstack([np.ones(len(names)), times])  # (1 + draw, group); first: as they are
    sides = {
        "old": _Side.of(old, votes, list(known), member, whole),
        "new": _Side.of(new, votes, list(known), member, whole),
    }
    voted = [k for k, key in enumerate(known) if votes[:, k].sum() > 0]
    keys = list(known)
    return {
        "runs": len(target),
        "groups": len(names),
        "draws": DRAWS,
        "floor": FLOOR,
        "coverage_asked": COVERAGE,
        **{
            name: {
                "bundle": answers.bundle,
                "unknown": [keys[k] for k in voted if keys[k] not in answers.causes],
                "figures": {figure: _figure(sides[name].figures[figure]) for figure in FIGURES},
                "reliability": sides[name].reliability,
            }
            for name, answers in (("old", old), ("new", new))
        },
        "difference": _difference(sides["old"].figures, sides["new"].figures),
        "causes": {
            keys[k]: {
                "runs": float(votes[:, k].sum()),
                **{
                    name: {figure: _figure(side.causes[k][figure]) for figure in PER_CAUSE}
                    for name, side in sides.items()
                },
                "difference": _difference(sides["old"].causes[k], sides["new"].causes[k]),
            }
            for k in voted
        },
    }


def compare_on_trial(old: Predictor, new: Predictor, folder: Path) -> dict[str, Any]:
    """Compare two predictors on real runs that nothing is trained on.

    Parameters
    ----------
    old, new : Predictor
        Runs with a cause that both of them know are compared: what a team has left out of its
        own bundle is no mistake of it.
    folder : Path
        See `trials.read_trial`; whole bases are drawn.

    Returns
    -------
    dict of str to dict
        See `compare_answers`; for "all sources" and each group, such as "per step" and "per epoch".

    Raises
    ------
    CorpusError
        No such run.
    """
    causes = [key for key in old.bundle.causes if key in new.bundle.causes]
    trials = usable_trials(folder, causes)
    target = np.eye(len(causes))[[causes.index(key) for key in trials.cause]]
    before, after = answers_of(old, trials.inputs), answers_of(new, trials.inputs)
    out = {}
    for name, rows in trials.parts():
        out[name] = compare_answers(
            before.part(rows), after.part(rows), target[rows], causes, trials.base[rows]
        )
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """Figures of one predictor, each of shape (1 + draw,): of all groups, then of each draw."""

    figures: Mapping[str, Array]
    causes: Sequence[Mapping[str, Array]]
    reliability: list[dict[str, float]]

    @classmethod
    def of(
        cls,
        answers: Answers,
        votes: Array,
        causes: list[str],
        member: NDArray[np.int64],
        times: Array,
    ) -> _Side:
        """Sum over each draw; `member` (run,) is the group of each run, `times` (draw, group)."""
        columns = [causes.index(key) for key in answers.causes]
        p = np.full(votes.shape, -1.0)  # below all that it knows
        p[:, columns] = answers.probabilities
        likely = np.zeros(votes.shape, bool)
        likely[:, columns] = answers.likely
        top = p.argmax(1)
        said = np.eye(len(causes))[top]
        right = (votes * said).sum(1)
        confidence = p.max(1)
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        three = np.argsort(-p, axis=1, kind="stable")[:, :3]
        losses = -votes * np.log(np.maximum(p, FLOOR))

        def summed(of_runs: Array) -> Array:
            """Sum over the runs of each draw, (draw, ...)."""
            by_group = np.zeros((times.shape[1], *of_runs.shape[1:]))
            np.add.at(by_group, member, of_runs)
            return np.asarray(times @ by_group)

        count = summed(np.ones(len(votes)))
        in_bin = np.eye(BINS)[bins]
        gaps = np.abs(summed(in_bin * (confidence - right)[:, None])).sum(1)
        of_runs = {
            "top1": right,
            "top3": np.take_along_axis(votes, three, 1).sum(1),
            "log_loss": losses.sum(1),
            "coverage": (votes * likely).sum(1),
            "set_size": likely.sum(1).astype(float),
            "answered": np.full(len(votes), np.nan)
            if answers.answered is None
            else answers.answered.astype(float),
        }
        figures = {name: summed(values) / count for name, values in of_runs.items()}
        figures["calibration_error"] = gaps / count
        hit, voted, named, lost = (summed(of) for of in (votes * said, votes, said, losses))
        return cls(
            figures,
            [
                {
                    "recall": _ratio(hit[:, k], voted[:, k]),
                    "precision": _ratio(hit[:, k], named[:, k]),
                    "log_loss": _ratio(lost[:, k], voted[:, k]),
                }
                for k in range(len(causes))
            ],
            [
                {
                    "confidence": float(confidence[bins == b].mean()),
                    "right": float(right[bins == b].mean()),
                    "runs": int((bins == b).sum()),
                }
                for b in np.unique(bins)
            ],
        )


def _ratio(part: Array, whole: Array) -> Array:
    """Divide; NaN where there is nothing to divide by."""
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _difference(old: Mapping[str, Array], new: Mapping[str, Array]) -> dict[str, Any]:
    """Subtract; ``below`` is the share of the draws in which the new one is lower."""
    out: dict[str, Any] = {}
    for name in old:
        change = new[name] - old[name]
        if (figure := _figure(change)) is not None:
            drawn = change[1:][np.isfinite(change[1:])]
            figure["below"] = float((drawn < 0).mean())
        out[name] = figure
    return out


def _figure(values: Array) -> dict[str, float] | None:
    """Put the value of all groups and the quantiles of the draws into plain types."""
    drawn = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or not len(drawn):
        return None
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": float(values[0]), "low": float(low), "high": float(high)}
