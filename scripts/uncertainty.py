"""Measure how well the predictor knows what it does not know: docs/uncertainty.json and .png.

python scripts/uncertainty.py corpus    # the corpus that the shipped predictor was trained on

Held-out causes, curves of no training, archives of other mixes, and the chart of calibration and
coverage. `scripts/accuracy.py` writes what it finds into docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blocks import table
from curvet.calibrate import Calibration, conformal_thresholds, fit_combination
from curvet.causes import CAUSES
from curvet.classifiers import Inputs, Mlp, predict_raw
from curvet.classifiers.nets import NetTraining
from curvet.labelled import Labelled, load_labelled, split
from curvet.novelty import fit_novelty
from curvet.predictor import UNLIKE, Predictor, doubts, make_inputs
from curvet.prior import estimate_prior, reweigh
from curvet.roles import Channels
from curvet.run import Curve
from curvet.standardise import standardise_many
from curvet.train import drop_channels
from curvet.trials import usable_trials

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "uncertainty.json"
KEYS = list(CAUSES)
COVERAGE = 0.9
N_ODD = 100
N_ARCHIVES = 40
SIZES = (20, 100, 1000)
MIXES: Mapping[str, Callable[[], Mapping[str, float]]] = {
    "nine in ten healthy": lambda: mix(0.9),
    "half healthy": lambda: mix(0.5),
    "one in ten healthy": lambda: mix(0.1),
    "half overfitting": lambda: half_of("overfitting"),
    "half too high a rate": lambda: half_of("lr_too_high"),
}
"""Shares of the causes in archives, rest alike."""

Array = NDArray[np.float64]


def mix(healthy: float, of: float = 1.0) -> dict[str, float]:
    """Share out healthy runs, and what they leave of the whole to all faults alike."""
    return {key: healthy if key == "healthy" else (of - healthy) / 19 for key in KEYS}


def half_of(fault: str) -> dict[str, float]:
    """Share out three tenths of healthy runs, two of all faults alike, and half of one fault."""
    usual = mix(0.3, of=0.5)
    return {**usual, fault: usual[fault] + 0.5}


def odd_curves(seed: int = 0) -> Iterator[tuple[str, list[Channels]]]:
    """Draw curves that no training gives, each kind at 20 to 2,000 points."""
    rng = np.random.default_rng(seed)

    def noise(t: Array) -> Array:
        return np.abs(1 + rng.normal(0, 0.3, len(t)))

    def sine(t: Array) -> Array:
        return 2 + np.sin(2 * np.pi * rng.uniform(2, 20) * t)

    def walk(t: Array) -> Array:
        return np.abs(5 + np.cumsum(rng.normal(0, 0.1, len(t))))

    def accuracy(t: Array) -> Array:
        rise = 0.95 * (1 - np.exp(-t * rng.uniform(2, 10)))
        return np.clip(rise + rng.normal(0, 0.01, len(t)), 0, 1)

    def square(t: Array) -> Array:
        return np.where(np.sin(2 * np.pi * rng.uniform(2, 8) * t) > 0, 3.0, 1.0)

    def saw(t: Array) -> Array:
        return 1 + (rng.uniform(2, 10) * t) % 1

    def line(t: Array) -> Array:
        return 1 + rng.uniform(1, 20) * t

    def episode_return(t: Array) -> Array:
        return -200 + 180 * t + rng.normal(0, 25, len(t))

    def rate_test(t: Array) -> Array:
        falls = 2.3 - 2 * t + rng.normal(0, 0.03, len(t))
        return np.where(t < 0.6, falls, 1.1 * np.exp(6 * (t - 0.6)))

    named = {
        "white noise": noise,
        "sine": sine,
        "random walk": walk,
        "an accuracy": accuracy,
        "square wave": square,
        "sawtooth": saw,
        "straight line upwards": line,
        "returns of episodes": episode_return,
        "learning-rate range test": rate_test,
    }
    for name, draw in named.items():
        lengths = np.exp(rng.uniform(np.log(20), np.log(2000), N_ODD)).astype(int)
        runs = [Curve.of("loss", draw(np.linspace(0, 1, n))) for n in lengths]
        yield name, [Channels(loss, None, None, None) for loss in runs]


def on_odd_curves(predictor: Predictor) -> dict[str, Any]:
    out = {}
    for name, runs in odd_curves():
        inputs = make_inputs(standardise_many(runs))
        out[name] = _doubts(predictor.bundle.novelty.rank(inputs.table), _sets(predictor, inputs))
    return out


def _sets(predictor: Predictor, inputs: Inputs) -> NDArray[np.bool_]:
    return predictor.bundle.calibration.likely(predictor.probabilities(inputs), COVERAGE)


def _doubts(rank: Array, likely: NDArray[np.bool_]) -> dict[str, float]:
    unlike, undecided = doubts(likely, rank)
    return {
        "unlike": float(unlike.mean()),
        "no_verdict": float((unlike | undecided).mean()),
    }


def on_held_out_causes(fit: Labelled, held: Labelled, n_runs: int) -> dict[str, Any]:
    """Train without each cause in turn, and ask about runs of it and of the others."""
    rng = np.random.default_rng(0)
    some = fit.part(rng.permutation(len(fit.y))[:n_runs])
    out = {}
    for cause, key in enumerate(KEYS):
        known, calibrating = some.part(some.y != cause), held.part(held.y != cause)
        places = np.array([place for place in range(len(KEYS)) if place != cause])
        y = np.searchsorted(places, known.y)
        model = Mlp(training=NetTraining(epochs=15, lr=2e-3, members=1))
        inputs = drop_channels(known.inputs, rng)
        model.fit(inputs, y, known.weight, len(places), 0, lambda done, total: None)
        asked = drop_channels(held.inputs, rng)
        others = held.y != cause
        raw = predict_raw([model], asked, [KEYS[place] for place in places])
        y = np.searchsorted(places, calibrating.y)
        prior = np.bincount(y, calibrating.weight, len(places)) / calibrating.weight.sum()
        fitted = fit_combination([raw[0][others]], y, calibrating.weight, prior)
        p = Calibration(*fitted, tuple(prior), ()).combine(raw)
        thresholds = conformal_thresholds(p[others], y, calibrating.weight)
        likely = Calibration(*fitted, tuple(prior), thresholds).likely(p, COVERAGE)
        rank = fit_novelty(inputs.table, known.group, 0).rank(asked.table)
        out[key] = {
            "held out": _doubts(rank[~others], likely[~others]) | _sureness(p[~others]),
            "known": _doubts(rank[others], likely[others]) | _sureness(p[others]),
        }
        print(key, out[key], flush=True)
    return out


def _sureness(p: Array) -> dict[str, float]:
    return {"runs": len(p), "top_probability": float(p.max(1).mean())}


def on_mixes(p: Array, y: NDArray[np.int64], old: Array) -> dict[str, Any]:
    """Draw archives of other mixes from answered runs; score with and without their own prior."""
    out = {}
    for name, shares in MIXES.items():
        true = np.array([shares()[key] for key in KEYS])
        true[np.bincount(y, minlength=len(KEYS)) == 0] = 0.0
        true /= true.sum()
        for size in SIZES:
            rows = []
            for answers, truth in draw_archives(p, y, true, size, N_ARCHIVES):
                estimated = estimate_prior(answers, old)
                rows.append(
                    [
                        figure
                        for new in (old, estimated, true)
                        for figure in figures_of(reweigh(answers, old, new), truth)
                    ]
                )
            names = [f"{f} {prior}" for prior in _PRIORS for f in FIGURES]
            means = np.mean(rows, axis=0)
            gain = np.array(rows)[:, 2] - np.array(rows)[:, 0]
            out[f"{name}, {size} runs"] = {
                **{n: float(v) for n, v in zip(names, means, strict=True)},
                "gain_interval": [float(np.quantile(gain, q)) for q in (0.025, 0.975)],
            }
    return out


def draw_archives(
    p: Array, y: NDArray[np.int64], shares: Array, size: int, n: int
) -> Iterator[tuple[Array, NDArray[np.int64]]]:
    """Draw answers and true causes of archives whose causes have these shares, (cause,)."""
    weight = shares[y] / np.bincount(y, minlength=len(KEYS))[y]
    rng = np.random.default_rng(0)
    for _ in range(n):
        drawn = rng.choice(len(y), size, p=weight / weight.sum())
        yield p[drawn], y[drawn]


FIGURES = ("top1", "log_loss")


def figures_of(p: Array, y: NDArray[np.int64]) -> tuple[float, float]:
    """Return `FIGURES` of answers."""
    hit = np.maximum(p[np.arange(len(y)), y], 1e-9)
    return float((p.argmax(1) == y).mean()), float(-np.log(hit).mean())


def real_runs() -> dict[str, tuple[Inputs, NDArray[np.int64]]]:
    """Read the field trial, as logged per step and per epoch."""
    trials = usable_trials(ROOT / "data" / "real", KEYS)
    y = np.array([KEYS.index(cause) for cause in trials.cause])
    styles = dict.fromkeys(trials.group.tolist())
    return {s: (trials.inputs[trials.group == s], y[trials.group == s]) for s in styles}


def draw_chart(
    answers: Mapping[str, tuple[Array, NDArray[np.bool_], NDArray[np.int64]]], path: Path
) -> None:
    """Draw reliability and coverage per cause, one line style for each set of runs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1, 1.7]})
    styles = [("#000000", "o", "-"), ("#0072B2", "s", "--"), ("#D55E00", "^", ":")]
    left.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    for (name, (p, likely, y)), (colour, marker, line) in zip(answers.items(), styles, strict=True):
        sure, right_ = p.max(1), p.argmax(1) == y
        edges = np.quantile(sure, np.linspace(0, 1, 11))
        bins = np.clip(np.searchsorted(edges, sure, side="right") - 1, 0, 9)
        x = [sure[bins == b].mean() for b in range(10)]
        shares = [right_[bins == b].mean() for b in range(10)]
        look = {"color": colour, "marker": marker, "linestyle": line, "markersize": 5}
        left.plot(x, shares, label=f"{name} ({len(y)})", **look)
        covered = likely[np.arange(len(y)), y]
        per = [covered[y == k].mean() if (y == k).any() else np.nan for k in range(len(KEYS))]
        look["linestyle"] = "none"
        right.plot(range(len(KEYS)), per, label=name, **look)
    left.set(xlabel="probability of the verdict", ylabel="share that is right", xlim=(0, 1))
    left.set_title("Reliability, tenths of the runs by sureness", fontsize=10)
    left.legend(fontsize=8)
    right.axhline(COVERAGE, color="#999999", linewidth=1)
    right.set_xticks(range(len(KEYS)), KEYS, rotation=60, ha="right", fontsize=8)
    right.set_ylim(-0.02, 1.02)
    right.set_title("Share of runs whose likely set holds the true cause", fontsize=10)
    right.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=100)


def as_markdown(found: Mapping[str, Any]) -> Iterator[str]:
    """Write what was measured as the sections of a page."""
    yield "## How sure it is\n"
    yield (
        f"`python scripts/uncertainty.py corpus`, on the predictor `{found['bundle']}`. Simulated "
        "runs are of rounds that it was not trained on, with channels left out at random; here "
        "all runs count alike.\n"
    )
    yield "![Reliability, and coverage of each cause](uncertainty.png)\n"
    yield "### Coverage that is asked for, and that is had\n"
    sets = found["coverage"]
    asked = list(next(iter(sets.values())))
    yield from table(
        ["runs", *(f"{float(c):.0%} asked" for c in asked)],
        ([name, *(f"{row[c]:.3f}" for c in asked)] for name, row in sets.items()),
    )
    yield "### Curves of no training\n"
    yield (
        f'Made up, {N_ODD} of each. "Unlike" is said of a run farther from all known ones than '
        f"{UNLIKE:.0%} of known runs are from those of other bases; no verdict is given then, nor "
        "where more than a third of all causes are likely.\n"
    )
    yield from table(
        ["curve", "unlike", "no verdict"],
        (
            [name, f"{f['unlike']:.2f}", f"{f['no_verdict']:.2f}"]
            for name, f in found["odd"].items()
        ),
    )
    yield "### Causes held out of training\n"
    yield (
        "A small classifier (`Mlp`) trained without one cause, and the known runs without it: what "
        "it says of unseen runs of that cause, and of all others.\n"
    )
    yield from table(
        ["cause", "runs", "unlike", "others unlike", "no verdict", "others", "sureness", "others"],
        (
            [
                f"`{key}`",
                str(f["held out"]["runs"]),
                *(
                    f"{f[kind][figure]:.2f}"
                    for figure in ("unlike", "no_verdict", "top_probability")
                    for kind in ("held out", "known")
                ),
            ]
            for key, f in found["held_out"].items()
        ),
    )
    yield "### Archives of another mix\n"
    yield (
        f"Means over {N_ARCHIVES} archives drawn from answered runs; top-1 and log-loss with the "
        "default prior, with the one estimated from the archive itself (`--prior archive`), and "
        "with the true one; gain in top-1 of the estimated one with its 95 % range over archives. "
        "How far the answers are believed was chosen on other runs: "
        "[archive_prior.md](archive_prior.md).\n"
    )
    for name, mixes in found["mixes"].items():
        yield f"{name.capitalize()}:\n"
        yield from table(
            ["archive", "top-1", "archive", "true", "gain", "log-loss", "archive", "true"],
            (
                [
                    mix,
                    *(f"{f[f'top1 {prior}']:.3f}" for prior in _PRIORS),
                    f"{f['top1 archive'] - f['top1 default']:+.3f} "
                    f"({f['gain_interval'][0]:+.2f} to {f['gain_interval'][1]:+.2f})",
                    *(f"{f[f'log_loss {prior}']:.3f}" for prior in _PRIORS),
                ]
                for mix, f in mixes.items()
            ),
        )


_PRIORS = ("default", "archive", "true")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--runs", type=int, default=10000, help="to train on without a cause  [10000]"
    )
    args = parser.parse_args()
    predictor = Predictor.load()
    seed = predictor.bundle.manifest["seed"]
    fit, held, test = split(load_labelled(args.corpus, workers=args.workers), seed)
    test = test.part(~test.both)
    old = predictor.trained_prior
    asked = {"simulated": (drop_channels(test.inputs, np.random.default_rng(0)), test.y)}
    asked |= {f"real, {group}": runs for group, runs in real_runs().items()}
    answers = {}
    for name, (inputs, y) in asked.items():
        p = predictor.probabilities(inputs)
        answers[name] = (p, predictor.bundle.calibration.likely(p, COVERAGE), y)
    draw_chart(answers, OUT.with_suffix(".png"))
    found = {
        "bundle": predictor.bundle.name,
        "odd": on_odd_curves(predictor),
        "mixes": {name: on_mixes(p, y, old) for name, (p, _, y) in answers.items()},
        "coverage": {
            name: {
                f"{c:.2f}": float(
                    predictor.bundle.calibration.likely(p, c)[range(len(y)), y].mean()
                )
                for c in (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
            }
            for name, (p, _, y) in answers.items()
        },
        "held_out": on_held_out_causes(fit.part(~fit.both), held.part(~held.both), args.runs),
    }
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
