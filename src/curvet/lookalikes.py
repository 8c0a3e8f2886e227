"""Causes that look alike -> the cheapest experiments that separate them.

An experiment separates two causes if it has an outcome for each, and not the same. A cause for
which its outcome would be open is left out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType

from .causes import CAUSES
from .diagnosis import Check, Evidence
from .evidence import SPIKES

READING, EVALUATING, STEPS, TRAINING = 1, 3, 6, 40
"""What an experiment costs: a look at the log, a checkpoint evaluated, some hundred steps of
training, a whole training."""

N_AMONG_THEMSELVES = 4
"""So many of the most probable causes are separated from each other, the rest from the first."""

_JUMPS = (*SPIKES, "level_shift", "gradient_burst", "first_nonfinite", "some_nonfinite")
"""Kinds of evidence at whose step the data are worth a look, the most telling first."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What could be tried, and what would come of it.

    Parameters
    ----------
    key : str
        Its words are ``checks.<key>`` in the catalogues of `texts`.
    effort : int
        See `READING`.
    outcomes : mapping of str to tuple of str
        Outcome -> the causes that bring it about.
    needs, lacks : str
        Channel, or "step" of a jump, without or with which it makes no sense.
    """

    key: str
    effort: int
    outcomes: Mapping[str, tuple[str, ...]]
    needs: str = ""
    lacks: str = ""


def _all_but(*left_out: str) -> tuple[str, ...]:
    return tuple(key for key in CAUSES if key not in left_out)


EXPERIMENTS = (
    Experiment(
        "look_for_resume",
        READING,
        {"yes": ("resume_state_lost",), "no": _all_but("resume_state_lost")},
    ),
    Experiment(
        "look_at_batch_size",
        READING,
        {
            "few": ("batch_too_small",),
            "many": ("batch_too_large",),
            "ordinary": _all_but("batch_too_small", "batch_too_large"),
        },
    ),
    Experiment(
        "compare_epochs",
        READING,
        {
            "same": ("unshuffled_data",),
            "other": (
                "healthy",
                "lr_too_high",
                "exploding_gradients",
                "unsuitable_optimizer",
                "batch_too_small",
                "resume_state_lost",
                "precision_overflow",
            ),
        },
    ),
    Experiment(
        "look_at_grad_norm",
        READING,
        {
            "tiny": ("vanishing_gradients",),
            "leaps": ("exploding_gradients",),
            "one_leap": ("bad_data_batch", "resume_state_lost"),
            "lost": ("precision_overflow",),
            # A rate that is too high, large inputs and a wrong loss may do any of these.
            "ordinary": _all_but(
                "vanishing_gradients",
                "exploding_gradients",
                "bad_data_batch",
                "resume_state_lost",
                "precision_overflow",
                "lr_too_high",
                "unnormalised_inputs",
                "wrong_loss",
            ),
        },
        needs="grad_norm",
    ),
    Experiment(
        "look_at_first_loss",
        READING,
        {
            "far_above": ("unnormalised_inputs",),
            # Large initial weights raise the first loss, too; a loss that is wrong has any level.
            "alike": _all_but(
                "unnormalised_inputs", "exploding_gradients", "lr_too_high", "wrong_loss"
            ),
        },
    ),
    Experiment(
        "look_at_batch",
        EVALUATING,
        {
            "faulty": ("bad_data_batch",),
            "sound": _all_but("bad_data_batch", "noisy_labels", "unnormalised_inputs"),
        },
        needs="step",
    ),
    Experiment(
        "scan_data",
        EVALUATING,
        {
            "faulty": ("bad_data_batch",),
            "sound": _all_but("bad_data_batch", "noisy_labels", "unnormalised_inputs"),
        },
        lacks="step",
    ),
    Experiment(
        "log_validation",
        EVALUATING,
        {
            "rises": ("overfitting",),
            "high": ("train_val_mismatch",),
            "follows": _all_but(
                "overfitting", "train_val_mismatch", "noisy_labels", "unshuffled_data"
            ),
        },
        lacks="val",
    ),
    Experiment(
        "evaluate_on_training",
        EVALUATING,
        {
            "as_validation": ("train_val_mismatch",),
            "as_training": ("healthy", "overfitting", "noisy_labels", "train_val_leak"),
        },
        needs="val",
    ),
    Experiment(
        "review_labels",
        EVALUATING,
        {
            "many": ("noisy_labels",),
            "few": ("bad_data_batch",),
            "right": _all_but("noisy_labels", "bad_data_batch"),
        },
    ),
    Experiment(
        "find_shared_samples",
        EVALUATING,
        {"some": ("train_val_leak",), "none": _all_but("train_val_leak")},
    ),
    Experiment(
        "look_at_inputs",
        EVALUATING,
        {"far": ("unnormalised_inputs",), "near": _all_but("unnormalised_inputs")},
    ),
    Experiment(
        "loss_by_hand",
        EVALUATING,
        {"differs": ("wrong_loss",), "agrees": _all_but("wrong_loss")},
    ),
    Experiment(
        "lower_lr",
        STEPS,
        {
            "better": ("lr_too_high",),
            # It would help against these as well, though it does not mend them.
            "no_better": _all_but(
                "lr_too_high",
                "exploding_gradients",
                "unsuitable_optimizer",
                "unnormalised_inputs",
                "batch_too_small",
            ),
        },
    ),
    Experiment(
        "raise_lr",
        STEPS,
        {
            "faster": ("lr_too_low",),
            "same": (
                "vanishing_gradients",
                "under_capacity",
                "over_regularisation",
                "noisy_labels",
                "wrong_loss",
            ),
            "worse": (
                "healthy",
                "lr_too_high",
                "exploding_gradients",
                "bad_data_batch",
                "overfitting",
                "unshuffled_data",
                "batch_too_small",
                "unnormalised_inputs",
                "train_val_mismatch",
                "train_val_leak",
                "resume_state_lost",
                "precision_overflow",
            ),
        },
    ),
    Experiment(
        "clip_gradients",
        STEPS,
        {
            "calmer": ("exploding_gradients",),
            "same": _all_but("exploding_gradients", "bad_data_batch", "unnormalised_inputs"),
        },
    ),
    Experiment(
        "log_layers",
        STEPS,
        {
            "vanishes": ("vanishing_gradients",),
            "grows": ("exploding_gradients",),
            "alike": _all_but("vanishing_gradients", "exploding_gradients"),
        },
    ),
    Experiment(
        "shuffle",
        STEPS,
        {"gone": ("unshuffled_data",), "same": _all_but("unshuffled_data")},
    ),
    Experiment(
        "use_float32",
        STEPS,
        {"finite": ("precision_overflow",), "same": _all_but("precision_overflow")},
    ),
    Experiment(
        "drop_regularisation",
        STEPS,
        {"lower": ("over_regularisation",), "same": _all_but("over_regularisation")},
    ),
    Experiment(
        "overfit_batch",
        STEPS,
        {
            "zero": (
                "healthy",
                "bad_data_batch",
                "overfitting",
                "noisy_labels",
                "unshuffled_data",
                "batch_too_small",
                "batch_too_large",
                "train_val_mismatch",
                "train_val_leak",
            ),
            "stuck": ("vanishing_gradients", "under_capacity", "wrong_loss"),
        },
    ),
    Experiment(
        "accumulate",
        STEPS,
        {
            "calmer": ("batch_too_small",),
            "same": _all_but("batch_too_small", "lr_too_high", "noisy_labels"),
        },
    ),
    Experiment(
        "smaller_batch",
        STEPS,
        # More updates help against a low rate, too.
        {"lower": ("batch_too_large",), "same": _all_but("batch_too_large", "lr_too_low")},
    ),
    Experiment(
        "split_anew",
        STEPS,
        {
            "follows": ("train_val_mismatch",),
            "same": _all_but("train_val_mismatch", "train_val_leak", "unshuffled_data"),
        },
    ),
    Experiment(
        "try_optimisers",
        3 * STEPS,
        {
            "adamw": ("unsuitable_optimizer",),
            "rate": ("lr_too_high", "lr_too_low"),
            "no_better": _all_but(
                "unsuitable_optimizer",
                "lr_too_high",
                "lr_too_low",
                "exploding_gradients",
                "unnormalised_inputs",
            ),
        },
    ),
    Experiment(
        "train_longer",
        TRAINING,
        {
            "falls": ("lr_too_low", "batch_too_large"),
            "level": ("healthy", "under_capacity", "over_regularisation", "wrong_loss"),
            "rises": ("overfitting",),
        },
    ),
    Experiment(
        "widen",
        TRAINING,
        {
            "lower": ("under_capacity",),
            # A larger net may learn wrong labels by heart.
            "same": _all_but("under_capacity", "noisy_labels", "overfitting"),
        },
    ),
    Experiment(
        "halve_data",
        TRAINING,
        {
            "worse": ("overfitting",),
            "same": _all_but("overfitting", "noisy_labels", "train_val_leak"),
        },
    ),
    Experiment(
        "other_seed",
        TRAINING,
        {
            "same_samples": ("bad_data_batch",),
            "elsewhere": (
                "healthy",
                "lr_too_high",
                "exploding_gradients",
                "unsuitable_optimizer",
                "batch_too_small",
                "unnormalised_inputs",
            ),
        },
    ),
)
"""What could be tried; of equally telling ones, the earlier is preferred."""

Pair = frozenset[str]


def separated_by(experiment: Experiment) -> frozenset[Pair]:
    """Return the pairs of causes that an experiment tells apart."""
    return frozenset(
        frozenset(pair)
        for some, others in combinations(experiment.outcomes.values(), 2)
        for one in some
        for pair in ((one, other) for other in others)
    )


_SEPARATED = MappingProxyType({each.key: separated_by(each) for each in EXPERIMENTS})


def choose_checks(
    likely: Sequence[str], evidence: Sequence[Evidence], channels: Sequence[str]
) -> tuple[Check, ...]:
    """Choose few, cheap experiments that separate the causes of an answer.

    Parameters
    ----------
    likely : sequence of str
        Causes, most probable first. One of another taxonomy is separated from none.
    evidence : sequence of Evidence
        Where the run jumps.
    channels : sequence of str
        Which of "loss", "val", "grad_norm", "lr" were logged.

    Returns
    -------
    tuple of Check
        Those that separate most for their cost first; only the outcomes that speak for a likely
        cause. Empty if there is nothing to separate.
    """
    jumps = (fact for kind in _JUMPS for fact in evidence if fact.kind == kind)
    steps = [fact.steps[0] for fact in jumps if fact.steps]
    values = {"step": steps[0]} if steps else {}
    chosen = _choose(tuple(likely), frozenset([*channels, *values]))
    return tuple(
        Check(each.key, _among(each, likely), values if each.needs == "step" else {})
        for each in chosen
    )


@lru_cache(maxsize=4096)
def _choose(likely: tuple[str, ...], at_hand: frozenset[str]) -> tuple[Experiment, ...]:
    """Choose, again and again, what separates most of the pairs left for what it costs."""
    possible = [e for e in EXPERIMENTS if _makes_sense(e, at_hand)]
    pairs = left = _pairs(likely)
    chosen: list[Experiment] = []
    while left:
        gains = [len(left & _SEPARATED[e.key]) / e.effort for e in possible]
        if not any(gains):  # causes of another taxonomy are left
            break
        chosen.append(possible[gains.index(max(gains))])
        left -= _SEPARATED[chosen[-1].key]
    return _fewest(chosen, pairs)


def _fewest(chosen: list[Experiment], pairs: frozenset[Pair]) -> tuple[Experiment, ...]:
    """Leave out what later, more telling experiments have made needless."""
    kept = list(chosen)
    for one in chosen:
        others = [_SEPARATED[each.key] for each in kept if each is not one]
        if pairs & _SEPARATED[one.key] <= frozenset().union(*others):
            kept.remove(one)
    return tuple(kept)


def _makes_sense(experiment: Experiment, at_hand: Iterable[str]) -> bool:
    return experiment.needs in ("", *at_hand) and experiment.lacks not in at_hand


def _pairs(likely: Sequence[str]) -> frozenset[Pair]:
    """Pair the first cause with each other one, and the first few among themselves."""
    among = combinations(likely[:N_AMONG_THEMSELVES], 2)
    return frozenset(map(frozenset, (*among, *((likely[0], other) for other in likely[1:]))))


def _among(
    experiment: Experiment, likely: Sequence[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Leave only the likely causes, most probable first, and the outcomes that have any."""
    found = (
        (outcome, tuple(cause for cause in likely if cause in causes))
        for outcome, causes in experiment.outcomes.items()
    )
    return tuple((outcome, causes) for outcome, causes in found if causes)
