"""Rules of thumb that a practitioner writes, with their sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from curvet.roles import Channels

from .base import KEYS, Array
from .facts import Facts, look


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of thumb: if it holds, the cause is named. The first that holds is the verdict."""

    cause: str
    sign: str
    source: str
    holds: Callable[[Facts], bool]


_PLAYBOOK = "Godbole et al., Deep Learning Tuning Playbook (2023)"
_RECIPE = "Karpathy, A Recipe for Training Neural Networks (2019)"
_CS231N = "CS231n notes, Neural Networks 3: babysitting the learning process"
_CRASH = "Google, Machine Learning Crash Course: interpreting loss curves"
_GOODFELLOW = "Goodfellow, Bengio, Courville, Deep Learning (2016)"

# Thresholds are round numbers with a reason, not fitted. After one look at the verdicts on 840
# simulated logs two definitions were mended: the lowest level is a smoothed one, and a mismatch is
# told by the first validation loss. No real run was looked at.
RULES: tuple[Rule, ...] = (
    Rule(
        "wrong_loss",
        "losses below zero: neither cross-entropy nor a squared error can be",
        _RECIPE + ": verify the loss at the start",
        lambda f: f.start > 0 and f.negative > 0.1,
    ),
    Rule(
        "unnormalised_inputs",
        "starts ten times above its level after a tenth of the run, and above ln(50,000)",
        "LeCun et al., Efficient BackProp (1998), 4.3; CS231n notes 2: data preprocessing",
        lambda f: f.start > 11 and f.start > 10 * abs(f.early),
    ),
    Rule(
        "exploding_gradients",
        "lost to NaN while the gradient norm was ten times its median",
        _GOODFELLOW + ", 10.11; Pascanu et al. (2013)",
        lambda f: f.first_bad < 1 and f.burst > 10,
    ),
    Rule(
        "lr_too_high",
        "lost to NaN after rising, or within the first twentieth of the run",
        _CS231N + "; cases 13, 38 to 41",
        lambda f: f.first_bad < 1 and (f.surged or f.first_bad < 0.05),
    ),
    Rule(
        "precision_overflow",
        "lost to NaN out of the blue, or gradients that are zero or not finite",
        "Hugging Face, Debugging: underflow and overflow; Micikevicius et al. (2018); cases 12, 26",
        lambda f: f.first_bad < 1 or f.norm_lost > 0.3,
    ),
    Rule(
        "resume_state_lost",
        "the level leaps where steps go back or the rate starts anew",
        "cases 64 to 68",
        lambda f: f.jump > 0.1,
    ),
    Rule(
        "unshuffled_data",
        "swings with a period",
        _CRASH + ": repetitive batches; cases 60 to 63",
        lambda f: f.period > 0.5 and f.noise > 0.03,
    ),
    Rule(
        "bad_data_batch",
        "one spike or two out of a quiet loss, and back",
        _CRASH + ": sharp jump; cases 3, 33 to 37",
        lambda f: 1 <= f.spikes <= 2 and f.back,
    ),
    Rule(
        "exploding_gradients",
        "many bursts of the gradient norm, with cliffs in the loss",
        _GOODFELLOW + ", 8.2.4",
        lambda f: f.bursts >= 3 and f.spikes >= 2,
    ),
    Rule(
        "lr_too_high",
        "ends above its start or far above its best, spikes often, or stays high and noisy",
        _CS231N + "; " + _PLAYBOOK + "; case 49",
        lambda f: (
            f.learnt < -0.05
            or f.end > f.low + 0.5 * f.drop + 3 * f.noise * f.drop
            or f.spikes > 4
            or (f.noise > 0.2 and f.learnt < 0.3)
        ),
    ),
    Rule(
        "lr_too_low",
        "hardly moves, but steadily downwards",
        _CS231N + ": with low rates improvements are linear; cases 46, 47",
        lambda f: f.learnt < 0.3 and f.steady < -0.9 and f.late > 0.3,
    ),
    Rule(
        "vanishing_gradients",
        "flat at its start, for good or for a third of the run, with tiny gradients if known",
        _GOODFELLOW + ", 8.2.5; Glorot and Bengio (2010); cases 51, 52",
        lambda f: (
            not f.norm > 1e-2 and (f.flat or f.early > f.start - 0.05 * f.drop) and f.noise < 0.5
        ),
    ),
    Rule(
        "wrong_loss",
        "flat at its start although gradients flow",
        "Karpathy, most common neural net mistakes (2018): softmaxed outputs to a loss of logits",
        lambda f: f.flat and f.norm > 1e-2,
    ),
    Rule(
        "train_val_mismatch",
        "validation is off before anything can be learnt by heart, or follows training nowhere",
        "Zinkevich, Rules of Machine Learning, rule 37; cases 53, 54",
        lambda f: (
            f.learnt > 0.3
            and (f.val_first > f.start + 0.2 * f.drop or f.val_low > f.start - 0.05 * f.drop)
        ),
    ),
    Rule(
        "noisy_labels",
        "validation turns early while training is still high and creeps down",
        "Arpit et al., A Closer Look at Memorization (2017)",
        lambda f: _val_turns(f) and f.val_best < 0.4 and f.end > 0.3 * f.start,
    ),
    Rule(
        "overfitting",
        "validation rises while training falls",
        _PLAYBOOK + ": problematic overfitting; " + _GOODFELLOW + ", 11.4",
        lambda f: _val_turns(f),
    ),
    Rule(
        "train_val_leak",
        "validation follows training down to almost nothing",
        "Kaufman et al., Leakage in Data Mining (2012): too good to be true",
        lambda f: f.end < 0.02 * f.start and abs(f.gap) < 0.02,
    ),
    Rule(
        "over_regularisation",
        "training stays high, above validation: dropout and penalties act in training alone",
        "Keras FAQ: why is my training loss much higher than my testing loss?",
        lambda f: f.gap < -0.05 and f.learnt < 0.7,
    ),
    Rule(
        "unsuitable_optimizer",
        "slow waves",
        "Goh, Why Momentum Really Works, Distill (2017)",
        lambda f: f.waves >= 3,
    ),
    Rule(
        "batch_too_small",
        "very noisy all along",
        _CS231N + ": the wiggle is related to the batch size; " + _PLAYBOOK + ": batch variance",
        lambda f: f.noise > 0.1,
    ),
    Rule(
        "batch_too_large",
        "perfectly smooth and still falling: too few updates",
        "Keskar et al. (2017); Goyal et al. (2017)",
        lambda f: f.late > 0.15 and f.noise < 0.003 and f.learnt < 0.8,
    ),
    Rule(
        "lr_too_low",
        "still falling at the end",
        _PLAYBOOK + ": are the trials still improving at the end of training?",
        lambda f: f.late > 0.2,
    ),
    Rule(
        "under_capacity",
        "levels off high, training and validation together",
        _CS231N + ": validation tracks training; " + _GOODFELLOW + ", 11.4",
        lambda f: f.learnt < 0.5 and f.late < 0.1 and not abs(f.gap) > 0.1,
    ),
)


def _val_turns(f: Facts) -> bool:
    rise = f.val_end - f.val_low
    return rise > 0.1 * abs(f.val_low) and f.val_best < 0.8 and f.learnt > 0.05


def verdicts(channels: Channels) -> list[str]:
    """Name the causes whose rules hold, in the order of the rules, "healthy" last."""
    facts = look(channels)
    return list(dict.fromkeys([*(r.cause for r in RULES if r.holds(facts)), "healthy"]))


def diagnose_by_rules(channels: Channels) -> str:
    """Name one cause, as somebody with the usual rules of thumb would.

    Parameters
    ----------
    channels : Channels
        With at least one finite training loss.

    Examples
    --------
    >>> from curvet.run import Curve
    >>> loss = Curve.of("loss", [2.3, 2.0, 1.8, 1.7, 1.65, float("nan")])
    >>> diagnose_by_rules(Channels(loss, None, None, None))
    'precision_overflow'
    """
    return verdicts(channels)[0]


def ask_rules(runs: Sequence[Channels]) -> Array:
    """Turn verdicts into scores, (run, cause): first 1, then ever less, others nothing."""
    p = np.zeros((len(runs), len(KEYS)))
    for row, channels in zip(p, runs, strict=True):
        for place, key in enumerate(verdicts(channels)):
            row[KEYS.index(key)] = 1 / (1 + place)
    return p
