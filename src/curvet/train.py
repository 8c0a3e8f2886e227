"""Corpus -> bundle: fit, calibrate on unseen bases, score on others, save."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bundle import save_bundle
from .calibrate import Calibration, conformal_quantile, fit_combination
from .causes import CAUSES
from .classifiers import CLASSIFIERS, Classifier, Inputs, Mlp, Tabular, predict_raw
from .classifiers.base import without
from .classifiers.nets import DROP
from .errors import CorpusError
from .evaluate import score_views
from .labelled import PRIOR, Labelled, corpus_seed, load_labelled, split
from .simulate.corpus import read_manifest
from .standardise import OPTIONAL

COVERAGE = 0.9


def drop_channels(inputs: Inputs, rng: np.random.Generator) -> Inputs:
    """Take optional channels away at random, as real logs lack them."""
    for channel in OPTIONAL:
        inputs = without(inputs, channel, rng.random(len(inputs)) < DROP[channel])
    return inputs


def train(
    corpus: Path,
    out: Path,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int = 1,
) -> None:
    """Train a predictor on a corpus and save it as a bundle.

    Parameters
    ----------
    corpus : Path
        Written by `simulate.corpus.simulate`.
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
    labelled = load_labelled(
        corpus, lambda done, total: progress(10 * done // total, 100), workers=workers
    )
    fit, held, test = split(labelled, seed)
    lacking = [key for i, key in enumerate(CAUSES) if not (fit.y == i).any()]
    if lacking:
        raise CorpusError(f"{corpus}: too few runs to learn {', '.join(lacking)}; simulate more")
    progress(10, 100)
    classifiers = fit_classifiers(fit, seed, lambda done: progress(10 + round(75 * done), 100))
    temperature = temperature_of_new_nets(fit, held, seed)
    calibration = calibrate(classifiers, held, seed, temperature)
    progress(95, 100)
    runs = int(read_manifest(corpus)["runs"])
    made = {
        "corpus": {
            "seed": corpus_seed(corpus),
            "runs": runs,
            "logs": len(labelled.y),
            "rounds": len(np.unique(labelled.group)),
            "causes": {k: int((labelled.y == i).sum()) for i, k in enumerate(CAUSES)},
        },
        "seed": seed,
        "prior": PRIOR,
        "commands": [
            f"curvet simulate --runs {runs} --out {_shown(corpus)} --seed {corpus_seed(corpus)}",
            f"curvet train --corpus {_shown(corpus)} --out {_shown(out)} --seed {seed}",
        ],
        "scores": _scores(classifiers, calibration, test),
    }
    save_bundle(out, list(CAUSES), classifiers, calibration, made)
    progress(100, 100)


def _shown(path: Path) -> str:
    """Write a path without telling where on this machine it lies."""
    return path.name if path.is_absolute() else path.as_posix()


def fit_classifiers(
    fit: Labelled, seed: int, progress: Callable[[float], None]
) -> list[Classifier]:
    """Fit every classifier, the trees beside the nets.

    The nets come one after the other, since they share PyTorch's random state; they drop channels
    themselves, anew in each batch.
    """
    dropped = drop_channels(fit.inputs, np.random.default_rng(seed))
    shares = dict.fromkeys(CLASSIFIERS, 0.0)

    def fit_one(kind: type[Classifier]) -> Classifier:
        def advance(done: int, total: int) -> None:
            shares[kind] = done / total
            progress(sum(shares.values()) / len(shares))

        inputs = dropped if kind is Tabular else fit.inputs
        return kind().fit(inputs, fit.y, fit.weight, len(CAUSES), seed, advance)

    with ThreadPoolExecutor(1) as pool:
        trees = pool.submit(fit_one, Tabular)
        nets = {kind: fit_one(kind) for kind in CLASSIFIERS if kind is not Tabular}
        return [trees.result() if kind is Tabular else nets[kind] for kind in CLASSIFIERS]


def temperature_of_new_nets(fit: Labelled, held: Labelled, seed: int) -> float:
    """Fit the temperature that a classifier takes on kinds of nets never trained on.

    The bases of `held` are new, but their kinds of nets are not; a user's are. So one is trained
    on fully connected nets and tried on all others, and the other way round: `Mlp`, the quickest.

    Returns
    -------
    float
        1 where the corpus does not have both.
    """
    raw, y, weight = [], [], []
    mlp_fit, mlp_held = _is_mlp(fit), _is_mlp(held)
    for trained, tried in ((mlp_fit, ~mlp_held), (~mlp_fit, mlp_held)):
        few = fit.part(np.flatnonzero(trained))
        if len(np.unique(few.y)) < len(CAUSES) or not tried.any():
            return 1.0
        rng = np.random.default_rng((seed, 2))
        model = Mlp().fit(few.inputs, few.y, few.weight, len(CAUSES), seed, _silent)
        some = held.part(np.flatnonzero(tried))
        raw += predict_raw([model], drop_channels(some.inputs, rng), list(CAUSES))
        y.append(some.y)
        weight.append(some.weight)
    _, temperature = fit_combination(
        [np.concatenate(raw)], np.concatenate(y), np.concatenate(weight)
    )
    return temperature


def _is_mlp(labelled: Labelled) -> NDArray[np.bool_]:
    return np.char.startswith(labelled.net, "mlp")


def _silent(done: int, total: int) -> None:
    pass


def calibrate(
    classifiers: Sequence[Classifier], held: Labelled, seed: int, shifted: float
) -> Calibration:
    """Fit combination and temperature on one half of unseen rounds, the set on the other.

    Parameters
    ----------
    classifiers : sequence of Classifier
        Trained.
    held : Labelled
        Rounds that none of them has seen.
    seed : int
        Draws the halves and the channels that are dropped.
    shifted : float
        Temperature that `Mlp` takes on kinds of nets that it has never seen.
    """
    rng = np.random.default_rng((seed, 1))
    groups = rng.permutation(np.unique(held.group))
    first = np.isin(held.group, groups[: max(1, len(groups) // 2)])
    inputs, weight = drop_channels(held.inputs, rng), held.weight
    raw = predict_raw(classifiers, inputs, list(CAUSES))
    truth, counts = held.y[first], weight[first]
    weights, temperature = fit_combination([p[first] for p in raw], truth, counts)
    alone = [c.name for c in classifiers].index(Mlp().name)
    _, usual = fit_combination([raw[alone][first]], truth, counts)
    temperature *= max(1.0, shifted / usual)
    combined = Calibration(weights, temperature, 0.0, COVERAGE).combine(raw)
    rest = ~first if (~first).any() else first
    quantile = conformal_quantile(combined[rest], held.y[rest], weight[rest], COVERAGE)
    return Calibration(weights, temperature, quantile, COVERAGE)


def _scores(
    classifiers: Sequence[Classifier], calibration: Calibration, test: Labelled
) -> dict[str, Any]:
    return score_views(
        lambda inputs: calibration.combine(predict_raw(classifiers, inputs, list(CAUSES))),
        calibration,
        test.inputs,
        test.y,
        test.weight,
        list(CAUSES),
        test.base,
    )
