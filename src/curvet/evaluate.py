"""Score a predictor on runs whose cause is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calibrate import Calibration, expected_calibration_error, log_loss
from .causes import CAUSES
from .classifiers import Inputs
from .classifiers.base import without
from .errors import CorpusError
from .labelled import Labelled, load_labelled, split
from .novelty import Novelty
from .predictor import Predictor, doubts
from .run import Curve, Run
from .simulate.corpus import read_manifest
from .trials import usable_trials

VIEWS: Mapping[str, tuple[str, ...]] = {
    "all channels": (),
    "no gradient norm": ("grad_norm", "lr"),
    "no validation": ("val",),
    "training loss alone": ("val", "grad_norm", "lr"),
}
"""Channels taken away before scoring."""

PREFIXES = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of a run after which it is diagnosed while it is still going."""

Array = NDArray[np.float64]


def evaluate(
    bundle: Path | None = None, corpus: Path | None = None, field: Path | None = None
) -> dict[str, Any]:
    """Score a bundle on simulated and on real runs.

    Parameters
    ----------
    bundle : Path, optional
        The shipped one when left out.
    corpus : Path, optional
        The rounds that training with the bundle's seed held out are scored, if the bundle was
        trained on this corpus; all of a corpus of another seed.
    field : Path, optional
        Real runs with known causes, see `trials.read_trial`.

    Returns
    -------
    dict
        By source, group and view: figures from 0 to 1, log-loss in nats, counts.

    Raises
    ------
    CorpusError
        Neither `corpus` nor `field`, no labelled run in them, or a corpus that the bundle has
        learned from beside its first.
    """
    if corpus is None and field is None:
        raise CorpusError("nothing to score on; name --corpus, --field or both")
    predictor = Predictor.load(bundle)
    out: dict[str, Any] = {"bundle": predictor.bundle.name}
    if corpus is not None:
        out["simulated"] = _on_corpus(predictor, corpus)
    if field is not None:
        out["field"], out["early"] = _on_field(predictor, field)
    return out


def score_views(
    probabilities_of: Callable[[Inputs], Array],
    calibration: Calibration,
    novelty: Novelty,
    inputs: Inputs,
    y: NDArray[np.int64],
    weight: Array,
    causes: Sequence[str],
    bases: NDArray[np.str_],
) -> dict[str, Any]:
    """Score with all channels and with some taken away.

    Parameters
    ----------
    probabilities_of : callable
        Inputs of n runs -> calibrated probabilities (n, cause).
    calibration, novelty
        Of the bundle: they decide which runs get a cause.
    inputs, y, weight
        The runs, their causes (n,) as positions in `causes`, and how much each counts.
    bases : array of shape (n,)
        Which runs belong together; see `intervals`.
    """
    out: dict[str, Any] = {}
    rank = novelty.rank(inputs.table)
    for view, gone in VIEWS.items():
        seen = inputs
        for channel in gone:
            seen = without(seen, channel, np.ones(len(seen), bool))
        p = probabilities_of(seen)
        likely = calibration.likely(p)
        unlike, undecided = doubts(likely, rank)
        answered = ~(unlike | undecided)
        out[view] = score(p, likely, y, weight, causes)
        out[view] |= {
            "unlike": float(np.average(unlike, weights=weight)),
            "top1_unlike": _share(p.argmax(1)[unlike] == y[unlike], weight[unlike]),
            "answered": float(np.average(answered, weights=weight)),
            "top1_answered": _share(p.argmax(1)[answered] == y[answered], weight[answered]),
        }
        out[view]["intervals"] = intervals(p.argmax(1), y, weight, bases)
    return out


def score(
    p: Array,
    likely: NDArray[np.bool_],
    y: NDArray[np.int64],
    weight: Array,
    causes: Sequence[str],
) -> dict[str, Any]:
    """Compute the figures of one view.

    Parameters
    ----------
    p, likely : arrays of shape (run, cause)
        Probabilities and conformal sets.
    y, weight : arrays of shape (run,)
        True causes and how much each run counts.

    Returns
    -------
    dict
        top1, top3, macro_f1 (over the causes that occur), log_loss, calibration_error, coverage,
        set_size, runs; false_healthy (share of faulty runs called healthy); and under ``causes``
        recall, precision, top3, f1, mean log-loss and calibration error of each.
    """
    top, rank = p.argmax(1), (-p).argsort(1)
    in_three = (rank[:, :3] == y[:, None]).any(1)
    covered = likely[np.arange(len(y)), y]
    per: dict[str, Any] = {}
    for k in np.unique(y):
        mine, said = y == k, top == k
        recall = float(np.average(said[mine], weights=weight[mine]))
        precision = float(np.average(mine[said], weights=weight[said])) if said.any() else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        per[causes[k]] = {
            "runs": int(mine.sum()),
            "recall": recall,
            "precision": precision,
            "f1": f1,
            "top3": float(np.average(in_three[mine], weights=weight[mine])),
            "log_loss": log_loss(p[mine], y[mine], weight[mine]),
            "calibration_error": _error_of_cause(p[:, k], mine, weight),
            "coverage": float(np.average(covered[mine], weights=weight[mine])),
        }
    faulty = y != list(causes).index("healthy") if "healthy" in causes else y >= 0
    called = np.array([causes[k] == "healthy" for k in top])
    return {
        "runs": len(y),
        "false_healthy": _share(called[faulty], weight[faulty]),
        "top1": float(np.average(top == y, weights=weight)),
        "top3": float(np.average(in_three, weights=weight)),
        "macro_f1": float(np.mean([figures["f1"] for figures in per.values()])),
        "log_loss": log_loss(p, y, weight),
        "calibration_error": expected_calibration_error(p, y, weight),
        "coverage": float(np.average(covered, weights=weight)),
        "set_size": float(np.average(likely.sum(1), weights=weight)),
        "causes": per,
    }


def _share(which: NDArray[np.bool_], weight: Array) -> float:
    return float(np.average(which, weights=weight)) if len(which) else 0.0


def intervals(
    top: NDArray[np.int64], y: NDArray[np.int64], weight: Array, bases: NDArray[np.str_]
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % intervals of top1 and macro_f1 over bases, 400 draws from seed 0.

    Parameters
    ----------
    top, y, weight : arrays of shape (run,)
        Verdicts, truth, and how much each run counts.
    bases : array of shape (run,)
        Whole bases are drawn: their runs share task, net and seed.
    """
    rng = np.random.default_rng(0)
    names, member = np.unique(bases, return_inverse=True)
    top1, macro_f1 = [], []
    for _ in range(400):
        w = (
            weight
            * np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[member]
        )
        true, said = np.bincount(y, w), np.bincount(top, w, minlength=int(y.max()) + 1)
        right = np.bincount(y, w * (top == y))
        there = true > 0
        f1 = 2 * right / np.maximum(true + said[: len(true)], 1e-12)
        top1.append(right.sum() / max(w.sum(), 1e-12))
        macro_f1.append(f1[there].mean() if there.any() else 0.0)
    return {
        name: (float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975)))
        for name, draws in (("top1", top1), ("macro_f1", macro_f1))
    }


def _error_of_cause(p: Array, true: NDArray[np.bool_], weight: Array) -> float:
    """Calibration error of one cause against all others."""
    both = np.stack([1 - p, p], axis=1)
    index = np.minimum((p * 15).astype(int), 14)
    gaps = [
        weight[index == i].sum()
        * abs(float(np.average(both[index == i, 1] - true[index == i], weights=weight[index == i])))
        for i in np.unique(index)
    ]
    return float(sum(gaps) / weight.sum())


def _on_corpus(predictor: Predictor, corpus: Path) -> dict[str, Any]:
    bundle = predictor.bundle
    if any(_is_of(each, corpus) for each in bundle.manifest.get("beside", [])):
        raise CorpusError(
            f"{corpus}: the predictor has learned from it and kept none of it back for scores; "
            "score it on another corpus, or on real runs with --field"
        )
    labelled = load_labelled(corpus)
    if _is_of(bundle.manifest.get("corpus", {}), corpus):
        labelled = split(labelled, bundle.manifest["seed"])[2]
    # A bundle may know other causes than are simulated, and fewer of those.
    places = {key: place for place, key in enumerate(bundle.causes)}
    place = np.array([places.get(key, -1) for key in CAUSES])
    labelled = labelled.part(~labelled.both & (place[labelled.y] >= 0))
    if not len(labelled.y):
        raise CorpusError(f"{corpus}: no run with a cause that the predictor knows")
    return score_views(
        predictor.probabilities,
        bundle.calibration,
        bundle.novelty,
        labelled.inputs,
        place[labelled.y],
        labelled.weight,
        bundle.causes,
        labelled.base,
    )


def _is_of(described: Mapping[str, Any], corpus: Path) -> bool:
    """Tell whether a bundle's manifest describes this corpus."""
    known = read_manifest(corpus)
    real = bool(known.get("real"))
    return bool(described.get("seed") == known["seed"] and described.get("real", real) == real)


def score_pairs(p: Array, likely: NDArray[np.bool_], labelled: Labelled) -> dict[str, Any]:
    """Tell how often both causes of runs with two are found.

    Parameters
    ----------
    p, likely : arrays of shape (run, cause)
        Probabilities and conformal sets.
    labelled : Labelled
        Runs with one cause and with two.

    Returns
    -------
    dict
        runs: those with two; both_first: both are ranked before all others, with its 95 %
        bootstrap interval over bases; both_in_three; both_likely; names_one: the verdict is one
        of them. And by their runs of the same base with one of the causes: alone_first, how often
        both would be found if each was found as often as it is alone; easy, runs both of whose
        causes are always found when alone, and both_first_of_easy.
    """
    rank = (-p).argsort(1).argsort(1)
    two = np.flatnonzero(labelled.both)
    y, also, base = labelled.y[two], labelled.also[two], labelled.base[two]
    worse = np.maximum(rank[two, y], rank[two, also])
    both = worse < 2
    _, member = np.unique(base, return_inverse=True)
    rng, shares, n_bases = np.random.default_rng(0), [], int(member.max(initial=0)) + 1
    for _ in range(400):
        times = np.bincount(rng.integers(0, n_bases, n_bases), minlength=n_bases)[member]
        shares.append(float((both * times).sum() / max(times.sum(), 1)))
    found: dict[tuple[str, int], list[bool]] = {}
    for i in np.flatnonzero(~labelled.both):
        key = (str(labelled.base[i]), int(labelled.y[i]))
        found.setdefault(key, []).append(bool(rank[i, labelled.y[i]] == 0))
    alone = np.array(
        [
            [float(np.mean(found.get((str(b), int(k)), [False]))) for k in causes]
            for b, causes in zip(base, zip(y, also, strict=True), strict=True)
        ]
    )
    easy = (alone == 1).all(1)
    return {
        "runs": len(two),
        "both_first": float(both.mean()),
        "interval": [float(np.quantile(shares, q)) for q in (0.025, 0.975)],
        "names_one": float((np.minimum(rank[two, y], rank[two, also]) == 0).mean()),
        "both_in_three": float((worse < 3).mean()),
        "both_likely": float((likely[two, y] & likely[two, also]).mean()),
        "alone_first": float(alone.prod(1).mean()),
        "easy": int(easy.sum()),
        "both_first_of_easy": float(both[easy].mean()) if easy.any() else 0.0,
    }


def score_prefixes(
    predictor: Predictor, runs: Sequence[Run], y: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Diagnose runs after a share of their points, as if they were still going.

    Parameters
    ----------
    predictor : Predictor
        Gives the diagnoses.
    runs : sequence of Run
        Whole runs.
    y : array of shape (run,)
        Their causes, as positions in the bundle's.

    Returns
    -------
    dict of share to figures
        answered: share of runs that get a cause; too_short: too few points for probabilities; and
        of those with probabilities top1, top3, calibration_error, coverage and set_size;
        top1_answered: of those that get a cause.
    """
    causes = predictor.bundle.causes
    out: dict[str, dict[str, float]] = {}
    for share in PREFIXES:
        found = predictor.diagnose_many([_prefix(run, share) for run in runs])
        known = np.array([bool(d.probabilities) for d in found])
        p = np.array([[d.probabilities[key] for key in causes] for d in found if d.probabilities])
        likely = np.array([[key in d.likely for key in causes] for d in found if d.probabilities])
        answered = np.array([d.cause is not None for d in found])
        right = np.array([d.cause == causes[k] for d, k in zip(found, y, strict=True)])
        figures = {"answered": answered.mean(), "too_short": (~known).mean()}
        if answered.any():
            figures["top1_answered"] = right[answered].mean()
        if known.any():
            whole = score(p, likely, y[known], np.ones(len(p)), causes)
            names = ("top1", "top3", "calibration_error", "coverage", "set_size")
            figures |= {name: whole[name] for name in names}
        out[f"{share:g}"] = {name: float(value) for name, value in figures.items()}
    return out


def _prefix(run: Run, share: float) -> Run:
    """Keep the first points of every curve, as far as the run had come; at least one of each."""
    curves = {
        name: Curve(c.tag, c.step[:n], c.value[:n])
        for name, c in run.curves.items()
        for n in [max(1, round(share * len(c)))]
    }
    return replace(run, curves=curves)


def _on_field(predictor: Predictor, field: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score whole runs by source and view, and runs that are still going by source."""
    causes = list(predictor.bundle.causes)
    trials = usable_trials(field, causes)
    y = np.array([causes.index(key) for key in trials.cause])
    out: dict[str, Any] = {}
    early: dict[str, Any] = {}
    for name, rows in trials.parts():
        out[name] = score_views(
            predictor.probabilities,
            predictor.bundle.calibration,
            predictor.bundle.novelty,
            trials.inputs[rows],
            y[rows],
            np.ones(int(rows.sum())),
            causes,
            trials.base[rows],
        )
        some = [trials.runs[row] for row in np.flatnonzero(rows).tolist()]
        early[name] = score_prefixes(predictor, some, y[rows])
    return out, early
