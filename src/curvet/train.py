"""Corpus -> bundle: fit, calibrate on unseen bases, score on others, save."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bundle import save_bundle
from .calibrate import COVERAGES, Calibration, conformal_thresholds, fit_combination
from .causes import CAUSES
from .classifiers import CLASSIFIERS, Classifier, Inputs, Mlp, Tabular, predict_raw
from .classifiers.base import without
from .classifiers.nets import DROP
from .errors import CorpusError
from .evaluate import score_pairs, score_views
from .labelled import Labelled, join, load_splits
from .novelty import Novelty, fit_novelty
from .prior import PRIOR
from .simulate.corpus import read_manifest
from .standardise import OPTIONAL

CLASSES = ("teacher", "clusters", "parity", "classes")
"""Tasks that are classification; the others are regression and sequences."""

_PRIOR = tuple(PRIOR[key] for key in CAUSES)


def drop_channels(inputs: Inputs, rng: np.random.Generator) -> Inputs:
    """Take optional channels away at random, as real logs lack them."""
    for channel in OPTIONAL:
        inputs = without(inputs, channel, rng.random(len(inputs)) < DROP[channel])
    return inputs


def train(
    corpora: Sequence[Path],
    out: Path,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int = 1,
) -> None:
    """Train a predictor on one corpus or several and save it as a bundle.

    Parameters
    ----------
    corpora : sequence of Path
        Written by `simulate.corpus.simulate`; the first one's held-out rounds give the scores.
    out : Path
        Folder of the bundle.
    seed : int
        Same corpus and seed, same bundle.
    progress : callable (done, total)
        In hundredths.
    workers : int
        Processes that read the corpus.

    Raises
    ------
    CorpusError
        No corpus, or one too small to calibrate on unseen bases.
    """
    progress(0, 100)
    splits = load_splits(corpora, seed, lambda done, total: progress(done // 10, 100), workers)
    fit, held = (join([parts[k] for parts in splits]).under_each() for k in (0, 1))
    test = splits[0][2]
    lacking = [key for i, key in enumerate(CAUSES) if not (fit.y == i).any()]
    if lacking:
        raise CorpusError(
            f"{corpora[0]}: too few runs to learn {', '.join(lacking)}; simulate more"
        )
    progress(10, 100)
    classifiers = fit_classifiers(
        fit.inputs,
        fit.y,
        fit.weight,
        len(CAUSES),
        seed,
        lambda done: progress(10 + round(75 * done), 100),
    )
    calibration = calibrate(classifiers, held, seed, shift_to_new_kinds(fit, held, seed))
    novelty = novelty_among([fit, held], seed)
    progress(95, 100)
    described = [_described(*each) for each in zip(corpora, splits, strict=True)]
    made = {
        "corpus": described[0],
        "beside": described[1:],
        "seed": seed,
        "prior": PRIOR,
        "commands": [*(_made_by(corpus) for corpus in corpora), _trained_by(corpora, out, seed)],
        **_scores(classifiers, calibration, novelty, test),
    }
    save_bundle(out, list(CAUSES), classifiers, calibration, novelty, made)
    progress(100, 100)


def _described(corpus: Path, parts: Sequence[Labelled]) -> dict[str, Any]:
    y, manifest = np.concatenate([part.y for part in parts]), read_manifest(corpus)
    return {
        "seed": int(manifest["seed"]),
        "real": bool(manifest.get("real")),
        "runs": int(manifest["runs"]),
        "logs": len(y),
        "rounds": sum(len(np.unique(part.group)) for part in parts),
        "causes": {k: int((y == i).sum()) for i, k in enumerate(CAUSES)},
    }


def _made_by(corpus: Path) -> str:
    """Return the command that made a corpus."""
    manifest = read_manifest(corpus)
    maker = "python scripts/make_workshop.py" if manifest.get("real") else "curvet simulate"
    return f"{maker} --runs {manifest['runs']} --out {_shown(corpus)} --seed {manifest['seed']}"


def _trained_by(corpora: Sequence[Path], out: Path, seed: int) -> str:
    given = " ".join(f"--corpus {_shown(corpus)}" for corpus in corpora)
    return f"curvet train {given} --out {_shown(out)} --seed {seed}"


def _shown(path: Path) -> str:
    """Write a path without telling where on this machine it lies."""
    return path.name if path.is_absolute() else path.as_posix()


def novelty_among(parts: Sequence[Labelled], seed: int) -> Novelty:
    """Learn where the runs of all parts lie, each training as often as any other."""
    # Without their images, of which a second copy would fill a gigabyte and more.
    tables = [Inputs(part.inputs.table, part.inputs.image[:, :0]) for part in parts]
    known = join([replace(part, inputs=each) for part, each in zip(parts, tables, strict=True)])
    often = known.as_often(seed)
    return fit_novelty(known.inputs.table[often], known.group[often], seed)


def fit_classifiers(
    inputs: Inputs,
    y: NDArray[np.int64],
    weight: NDArray[np.float64],
    n_causes: int,
    seed: int,
    progress: Callable[[float], object],
) -> list[Classifier]:
    """Fit every classifier to runs (run,) of class `y`, the trees beside the nets.

    The nets come one after the other, since they share PyTorch's random state; they drop channels
    themselves, anew in each batch.
    """
    dropped = drop_channels(inputs, np.random.default_rng(seed))
    shares = dict.fromkeys(CLASSIFIERS, 0.0)

    def fit_one(kind: type[Classifier]) -> Classifier:
        def advance(done: int, total: int) -> None:
            shares[kind] = done / total
            progress(sum(shares.values()) / len(shares))

        seen = dropped if kind is Tabular else inputs
        return kind().fit(seen, y, weight, n_causes, seed, advance)

    with ThreadPoolExecutor(1) as pool:
        trees = pool.submit(fit_one, Tabular)
        nets = {kind: fit_one(kind) for kind in CLASSIFIERS if kind is not Tabular}
        return [trees.result() if kind is Tabular else nets[kind] for kind in CLASSIFIERS]


class Shift(NamedTuple):
    """What changes between kinds of runs that were trained on and kinds that were not.

    Parameters
    ----------
    temperature : float
        Factor on the temperature, at least 1.
    thresholds : array of shape (coverage,)
        Factors on the thresholds of the conformal set, at most 1.
    """

    temperature: float
    thresholds: NDArray[np.float64]


def shift_to_new_kinds(fit: Labelled, held: Labelled, seed: int) -> Shift:
    """Measure how much surer a classifier is than it should be on kinds never trained on.

    The bases of `held` are new, but their kinds of nets and tasks are not; a user's may be. So
    `Mlp`, the quickest, of one member, is trained on fully connected nets alone, on all others, on
    classification alone and on all others, and tried on held-out bases of its own kind and of the
    opposite one.

    Returns
    -------
    Shift
        None at all (factors of 1) where the corpus has not all causes of each kind.
    """
    tried: dict[bool, list[Answers]] = {True: [], False: []}
    for is_of, side in product((_is_mlp, _is_class), (True, False)):
        few = fit.part(np.flatnonzero(is_of(fit) == side))
        if len(np.unique(few.y)) < len(CAUSES):
            return Shift(1.0, np.ones(len(COVERAGES)))
        model = Mlp(training=replace(Mlp().training, members=1))
        model.fit(few.inputs, few.y, few.weight, len(CAUSES), seed, _silent)
        for own in (True, False):
            some = held.part(np.flatnonzero((is_of(held) == side) == own))
            inputs = drop_channels(some.inputs, np.random.default_rng((seed, 2)))
            if len(some.y):
                raw = predict_raw([model], inputs, list(CAUSES))[0]
                tried[own].append(Answers(raw, some.y, some.weight))
    if not (tried[True] and tried[False]):
        return Shift(1.0, np.ones(len(COVERAGES)))
    usual, new = (_calibrated_alone(tried[own]) for own in (True, False))
    share = np.divide(new[1], usual[1], out=np.ones(len(COVERAGES)), where=usual[1] > 0)
    return Shift(max(1.0, new[0] / usual[0]), np.minimum(share, 1.0))


class Answers(NamedTuple):
    """Raw probabilities (run, cause), true causes (run,) and weights (run,) of some runs."""

    raw: NDArray[np.float64]
    y: NDArray[np.int64]
    weight: NDArray[np.float64]


def _calibrated_alone(parts: Sequence[Answers]) -> tuple[float, NDArray[np.float64]]:
    """Return temperature and thresholds of one classifier on runs of all parts."""
    raw, y, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    weights, temperature = fit_combination([raw], y, weight, _PRIOR)
    p = Calibration(weights, temperature, _PRIOR, ()).combine([raw])
    return temperature, np.array(conformal_thresholds(p, y, weight))


def _is_class(labelled: Labelled) -> NDArray[np.bool_]:
    return np.isin(labelled.task, CLASSES)


def _is_mlp(labelled: Labelled) -> NDArray[np.bool_]:
    return np.char.startswith(labelled.net, "mlp")


def _silent(done: int, total: int) -> None:
    pass


def calibrate(
    classifiers: Sequence[Classifier], held: Labelled, seed: int, shift: Shift
) -> Calibration:
    """Fit combination, temperature and the conformal set to unseen rounds.

    The set's thresholds come from each half of the rounds under a combination fitted to the other
    half; the combination that is kept is fitted to all of them (Vovk, Cross-conformal predictors,
    Annals of Mathematics and Artificial Intelligence 2015).

    Parameters
    ----------
    classifiers : sequence of Classifier
        Trained.
    held : Labelled
        Rounds that none of them has seen.
    seed : int
        Draws the halves and the channels that are dropped.
    shift : Shift
        How much less sure to be on kinds that nobody has seen.
    """
    rng = np.random.default_rng((seed, 1))
    groups = rng.permutation(np.unique(held.group))
    inputs, weight = drop_channels(held.inputs, rng), held.weight
    raw = predict_raw(classifiers, inputs, list(CAUSES))

    def combination(rows: NDArray[np.bool_]) -> Calibration:
        weights, temperature = fit_combination(
            [p[rows] for p in raw], held.y[rows], weight[rows], _PRIOR
        )
        return Calibration(weights, temperature * shift.temperature, _PRIOR, ())

    halves = [np.isin(held.group, part) for part in np.array_split(groups, 2) if len(part)]
    combined = np.empty_like(raw[0])
    for half, other in zip(halves, reversed(halves), strict=True):
        combined[half] = combination(other).combine([p[half] for p in raw])
    thresholds = conformal_thresholds(combined, held.y, weight)
    lowered = np.array(thresholds) * shift.thresholds
    whole = combination(np.ones(len(held.y), bool))
    return replace(whole, thresholds=tuple(float(t) for t in lowered))


def _scores(
    classifiers: Sequence[Classifier], calibration: Calibration, novelty: Novelty, test: Labelled
) -> dict[str, Any]:
    def probabilities_of(inputs: Inputs) -> NDArray[np.float64]:
        return calibration.combine(predict_raw(classifiers, inputs, list(CAUSES)))

    one = test.part(~test.both)
    views = score_views(
        probabilities_of,
        calibration,
        novelty,
        one.inputs,
        one.y,
        one.weight,
        list(CAUSES),
        one.base,
    )
    if not test.both.any():
        return {"scores": views}
    p = probabilities_of(test.inputs)
    return {"scores": views, "pairs": score_pairs(p, calibration.likely(p), test)}
