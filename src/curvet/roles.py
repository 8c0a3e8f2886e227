"""Logged tag -> training loss, validation loss, gradient norm, learning rate.

Tags are compared by their words: case, "/", "-", "_", "." and spaces make no difference. Among
several training losses the order is

1. a total before the parts of a loss;
2. one that says "train" before a bare "loss" (who logs both evaluates the first like the
   validation loss) and either before the loss of single batches;
3. the one with the most points, so ``train_loss_step`` before ``train_loss_epoch``;
4. the one logged first.

Parts without a total (box, cls, dfl) are added up if they stand on the same steps. A log without
any "loss" may name it by its formula, as boosting does: "train-logloss", "valid_0's l2". XGBoost's
scikit-learn interface numbers the sets of `eval_set`: of two or more the first is the training set,
as in its documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import NoLossError
from .run import Curve, Run

ACCEPTED = (
    "loss, train/loss, train_loss, training_loss, Loss/train, total_loss, lm loss, "
    "reduced_train_loss, epoch_loss, nll_loss, train/box_loss and other parts"
)


def _vocabulary(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TRAIN = frozenset({"train", "training", "trn", "tr", "learn"})
_VAL = {  # lower is better: a test set is the last choice
    **dict.fromkeys(("val", "valid", "validation", "cv"), 0),
    **dict.fromkeys(("eval", "evaluation"), 1),
    **dict.fromkeys(("dev", "heldout", "holdout"), 2),
    **dict.fromkeys(("test", "testing"), 3),
}
_LOSS = frozenset({"loss", "losses", "nll"})
_FORMULAS = _vocabulary(
    "logloss mlogloss entropy multiclass mse rmse rmsle mae mape smape l1 l2 huber quantile "
    "poisson tweedie nloglik"
)
# Words that leave a loss a total.
_PLAIN = _vocabulary(
    "total lm reduced overall all combined sum main mean avg average averaged running iter "
    "iteration global value scalar metrics metric logs log model set on for at of the end"
)
_NUMBERED = re.compile(r"validation_(\d+)[-/]")  # the sets of XGBoost's `eval_set`
_COARSE, _FINE = frozenset({"epoch", "epochs"}), frozenset({"step", "steps"})
_BATCH = frozenset({"batch", "minibatch", "mini", "microbatch", "micro"})
# Words beside which "loss" is something else: a scale, a weight, a best value, a copy.
_NO_LOSS = _vocabulary(
    "final last scale scaler scaling weight weights coef coefficient lambda ratio time best "
    "lowest min max std var variance diff delta gap change improvement count num number "
    "samples vs ppl perplexity acc accuracy norm grad gradient rate percent threshold patience stop"
)
# Words of series that are never a loss, not even as the only one in a log.
_OTHER = _NO_LOSS | _vocabulary(
    "lr learning momentum acc accuracy accuracies top top1 top5 f1 fscore auc auroc map ap recall "
    "precision iou dice bleu rouge wer cer psnr ssim r2 reward return score epoch step time "
    "timestamp second seconds sec runtime memory mem gpu cpu mfu throughput tokens samples eta "
    "date duration wall size id seed index index0 err error errors correct"
)


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """The curves that a diagnosis is made from.

    Parameters
    ----------
    loss : Curve
        Training loss; a sum of parts carries all their tags, joined by " + ".
    val, grad_norm, lr : Curve or None
        Validation loss, gradient norm and learning rate, where they were logged.
    """

    loss: Curve
    val: Curve | None
    grad_norm: Curve | None
    lr: Curve | None


@dataclass(frozen=True, slots=True)
class _Loss:
    """What the words of one loss tag say."""

    split: str  # "train", "val" or "" where the tag does not say
    val_rank: int
    part: str  # "" for a total
    batch: bool
    coarse: bool
    total: bool
    repeats: bool  # "train/train_loss": the mean over the run that Hugging Face adds


def assign(run: Run) -> Channels:
    """Decide which curve of a run is what.

    Parameters
    ----------
    run : Run
        Tags of any logger.

    Returns
    -------
    Channels
        With the curves as they are in the run; rows that stand in no order are sorted.

    Raises
    ------
    NoLossError
        No curve that can be taken for the training loss, or parts of one that cannot be added.
        A validation loss alone is no training loss.

    Examples
    --------
    >>> run = Run("a", "", {tag: Curve.of(tag, [1.0]) for tag in ["acc", "loss", "val_loss", "lr"]})
    >>> channels = assign(run)
    >>> channels.loss.tag, channels.val.tag, channels.grad_norm, channels.lr.tag
    ('loss', 'val_loss', None, 'lr')
    """
    curves = [curve for curve in run.curves.values() if len(curve.value) > 0]
    chosen = _choose(tuple([(curve.tag, len(curve.value)) for curve in curves]))
    if isinstance(chosen, str):
        raise NoLossError(f"{run.id}: {chosen}")
    found = [_sum([curves[place] for place in places]) if places else None for places in chosen]
    if found[0] is None:
        tags = _some(curves[place].tag for place in chosen.loss)
        raise NoLossError(
            f"{run.id}: found parts of a loss on different steps ({tags}) and no total; "
            "log their sum as train/loss"
        )
    # The curves of a table share their steps, which are looked at once.
    steps = {id(curve.step): curve.step for curve in found if curve is not None}
    orders = {key: _order(step) for key, step in steps.items()}
    loss, *others = [
        None if curve is None else _sorted(curve, orders[id(curve.step)]) for curve in found
    ]
    assert loss is not None
    return Channels(loss, *others)


class _Series(NamedTuple):
    """What is looked at of a curve to decide what it is."""

    place: int  # among the curves of the run
    tag: str
    points: int


class _Chosen(NamedTuple):
    """Places of the curves of each channel: of several the sum is meant, of none there is none."""

    loss: tuple[int, ...]
    val: tuple[int, ...]
    grad_norm: tuple[int, ...]
    lr: tuple[int, ...]


@lru_cache(maxsize=256)  # the runs of one archive have the same tags
def _choose(curves: tuple[tuple[str, int], ...]) -> _Chosen | str:
    """Decide by tags and numbers of points, or say why there is no training loss."""
    series = [_Series(place, tag, points) for place, (tag, points) in enumerate(curves)]
    losses = [(one, loss) for one in series if (loss := _loss(one.tag)) is not None]
    train = [(one, loss) for one, loss in losses if loss.split != "val"]
    val = [(one, loss) for one, loss in losses if loss.split == "val"]
    if not losses:
        train, val = _formulas(series)
    totals = [(one, loss) for one, loss in train if not loss.part]
    parts: dict[str, _Series] = {}
    if totals:
        best = [_best_total(totals)]
    elif train:
        parts = _parts(train)
        best = sorted(parts.values())  # in the order of the log
    else:
        only = _only_series(series, val)
        if isinstance(only, str):
            return only
        best = [only]
    validation = _validation([(one, loss) for one, loss in val if one not in best], list(parts))
    norm, lr = _least(series, _grad_norm_rank), _least(series, _lr_rank)
    return _Chosen(*(tuple(one.place for one in each) for each in (best, validation, norm, lr)))


def accuracy_in(curve: Curve) -> dict[str, float] | None:
    """Recognise an accuracy that was handed in as a loss, by its course alone.

    It stays within 0 and 1, or 0 and 100, and rises: from its lowest values, fast at first, over
    a large part of what is above it, up to its highest values. So do 240 of 283 accuracies in
    logs of real runs and none of 3,316 losses; of 41,926 simulated losses, 4.

    Parameters
    ----------
    curve : Curve
        Any series.

    Returns
    -------
    dict or None
        "start" and "end" of the rise and "most", 1 or 100; None for any other course.

    Examples
    --------
    >>> accuracy_in(Curve.of("a", [0.1, 0.5, 0.7, 0.8, 0.85, 0.86]))
    {'start': 0.1, 'end': 0.86, 'most': 1.0}
    """
    value = curve.value
    if len(value) < 5 or not value[-1] > value[0] or not np.isfinite(value).all():
        return None
    if value.min() < 0 or value.max() > 100:
        return None
    most = 1.0 if value.max() <= 1 else 100.0
    start, end = float(value[0]), float(np.median(value[-max(1, len(value) // 10) :]))
    low, high = float(value.min()), float(value.max())
    margin = 0.15 * (high - low)
    far = end - start >= 0.3 * most or end - start >= 0.5 * (most - start)
    ends = start - low <= margin and high - end <= margin and end >= 0.5 * most
    bends = float(value.mean()) > 0.4 * start + 0.6 * end
    return {"start": start, "end": end, "most": most} if far and ends and bends else None


def _order(step: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Sort rows that stand in any order: no step twice, and too often back for a resumed run."""
    back = np.count_nonzero(step[1:] < step[:-1])
    if back < 3 or back <= 0.1 * len(step) or len(np.unique(step)) < len(step):
        return None
    return np.argsort(step)


def _sorted(curve: Curve, order: NDArray[np.intp] | None) -> Curve:
    return curve if order is None else Curve(curve.tag, curve.step[order], curve.value[order])


@lru_cache(maxsize=4096)  # the runs of one archive have the same tags
def words(tag: str) -> tuple[str, ...]:
    """Split a tag into its words.

    Examples
    --------
    >>> words("Loss/train"), words("valLoss"), words("lr-AdamW/pg1")
    (('loss', 'train'), ('val', 'loss'), ('lr', 'adam', 'w', 'pg1'))
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", tag)
    joined = {"trainloss": "train loss", "valloss": "val loss", "testloss": "test loss"}
    plain = [w for w in re.split(r"[\W_]+", spaced.casefold()) if w]
    return tuple(" ".join(joined.get(word, word) for word in plain).split())


@lru_cache(maxsize=4096)
def _loss(tag: str) -> _Loss | None:
    """Read a tag as the name of a loss, or None where it is none."""
    found = words(tag)
    if not _LOSS & set(found) or _NO_LOSS & set(found):
        return None
    last = max(place for place, word in enumerate(found) if word in _LOSS)
    # The split nearest before the last "loss" decides ("eval/train_loss" is a training loss).
    splits = [w for w in found[last::-1] if w in _TRAIN or w in _VAL]
    splits += [w for w in found[last:] if w in _TRAIN or w in _VAL]
    split = "" if not splits else "train" if splits[0] in _TRAIN else "val"
    known = _TRAIN | set(_VAL) | _LOSS | _PLAIN | _COARSE | _FINE | _BATCH
    return _Loss(
        split=split,
        val_rank=_VAL.get(splits[0], 0) if splits else 0,
        part=" ".join(word for word in found if word not in known),
        batch=bool(_BATCH & set(found)),
        coarse=bool(_COARSE & set(found)),
        total=bool({"total", "overall", "combined"} & set(found)),
        repeats=sum(word in _TRAIN for word in found) > 1 and found[-1] in _LOSS,
    )


_Candidate = tuple[_Series, _Loss]


def _formulas(
    series: list[_Series],
) -> tuple[list[_Candidate], list[_Candidate]]:
    """Find losses that are named by their formula; of several metrics the first one is trained."""
    found = [
        (formula, one, loss)
        for one in series
        if (formula := _formula(one.tag)) and (loss := _loss(f"{one.tag} loss")) is not None
    ]
    numbered = {match[1] for _, one, _ in found if (match := _NUMBERED.match(one.tag))}
    if {"0", "1"} <= numbered and all(loss.split == "val" for _, _, loss in found):
        found = [
            (formula, one, replace(loss, split="train" if match[1] == "0" else "val"))
            for formula, one, loss in found
            if (match := _NUMBERED.match(one.tag))
        ]
    trained = [formula for formula, _, loss in found if loss.split != "val"]
    same = [(one, replace(loss, part="")) for f, one, loss in found if f in trained[:1]]
    return [c for c in same if c[1].split != "val"], [c for c in same if c[1].split == "val"]


def _formula(tag: str) -> str:
    joined = re.sub(r"(?i)multi[\W_]?class", "multiclass", tag)
    return next((word for word in words(joined) if word in _FORMULAS), "")


def _best_total(totals: list[_Candidate]) -> _Series:
    # One point beside whole curves is a summary ("train_loss" at the end of a run).
    lasting = [candidate for candidate in totals if candidate[0].points > 1] or totals
    return min(lasting, key=_train_order)[0]


def _train_order(candidate: _Candidate) -> tuple[bool, bool, bool, bool, bool, int]:
    one, loss = candidate
    nll = "nll" in words(one.tag)  # fairseq logs it beside the loss that is trained
    return loss.batch, loss.repeats, loss.split != "train", nll, not loss.total, -one.points


def _val_order(candidate: _Candidate) -> tuple[int, bool, bool, int]:
    one, loss = candidate
    fine = loss.batch or bool(_FINE & set(words(one.tag)))
    return loss.val_rank, fine, not loss.total, -one.points


def _parts(train: list[_Candidate]) -> dict[str, _Series]:
    """Choose the parts of a loss that are added up."""
    if any(loss.split == "train" for _, loss in train):
        train = [(one, loss) for one, loss in train if loss.split == "train"]
    return _by_part(sorted(train, key=_train_order))


def _validation(val: list[_Candidate], parts: list[str]) -> list[_Series]:
    """Choose the total, or the parts that the training loss was made of."""
    totals = [candidate for candidate in val if not candidate[1].part]
    if totals and not parts:
        return [min(totals, key=_val_order)[0]]
    for rank in sorted({loss.val_rank for _, loss in val}):
        same = [(one, loss) for one, loss in val if loss.val_rank == rank]
        by_part = _by_part(sorted(same, key=_val_order))
        if parts and set(parts) <= set(by_part):
            return [by_part[part] for part in parts]
    if totals:
        return [min(totals, key=_val_order)[0]]
    return [val[0][0]] if len(val) == 1 and not parts else []


def _by_part(candidates: list[_Candidate]) -> dict[str, _Series]:
    """Keep the first series of each part."""
    parts: dict[str, _Series] = {}
    for one, loss in candidates:
        parts.setdefault(loss.part, one)
    return parts


def _sum(curves: list[Curve]) -> Curve | None:
    """Add curves on the same steps; None where the steps differ.

    Of a last row that was cut off while it was written the first parts alone are there.
    """
    if len(curves) == 1:
        return curves[0]
    first = min(curves, key=len)
    n = len(first)
    if not all(
        len(curve) <= n + 1 and np.array_equal(curve.step[:n], first.step) for curve in curves
    ):
        return None
    value = np.sum([curve.value[:n] for curve in curves], axis=0)  # (n,)
    return Curve(" + ".join(curve.tag for curve in curves), first.step, value)


def _only_series(series: list[_Series], val: list[_Candidate]) -> _Series | str:
    """Take the one series of a log that names no loss, unless it is known to be another thing."""
    others = [one for one in series if not _OTHER & set(words(one.tag))]
    if len(others) == 1 and not val:
        return others[0]
    found = _some(one.tag for one in series) or "no series with a point"
    only = "only a validation loss" if val else "no training loss"
    return f"{only} among {found}; accepted names: {ACCEPTED}; pass or log the loss that is trained"


@lru_cache(maxsize=4096)
def _lr_rank(tag: str) -> int | None:
    """Tell how plain a learning rate a tag names (0 is best), or None where it names none."""
    # YOLOv5 and Ultralytics number their parameter groups: "x/lr0" and "lr/pg0". The second is of
    # weights in all versions, the first or the last of biases, whose rate begins high.
    found = [re.sub(r"lr\d", "lr", word) for word in words(tag)]
    if {"learning", "rate"} <= set(found):
        extra = set(found) - {"learning", "rate"}
    elif "lr" in found:
        extra = set(found) - {"lr"}
    else:
        return None
    if extra & (_NO_LOSS | {"decay", "multiplier", "mult", "factor"} | _LOSS):
        return None
    biases = re.search(r"\b(?:x/lr|lr/pg)[02]$", tag) is not None
    return len(extra - _TRAIN - _PLAIN - _COARSE - _FINE - _BATCH) + biases


@lru_cache(maxsize=4096)
def _grad_norm_rank(tag: str) -> int | None:
    """Do the same for the norm of the gradient of all parameters."""
    found = set(words(tag))
    if found - _TRAIN - _PLAIN == {"norm"}:  # as nanoGPT's successors print it
        return 9
    joined = {"gnorm", "gradnorm"} & found
    if not joined and not (
        {"norm"} <= found and {"grad", "gradient", "gradients", "grads"} & found
    ):
        return None
    named = {"gnorm", "gradnorm", "norm", "grad", "gradient", "gradients", "grads"}
    neutral = {"l2", "2", "0", "pre", "before", "unclipped", "optim", "optimizer", "clip"}
    extra = found - named - neutral - _TRAIN - _PLAIN - _COARSE - _FINE - _BATCH
    if extra - {"clipped", "post", "after", "clipping"}:
        return None  # the norm of one layer, or something counted about norms
    return len(extra)


def _least(series: Iterable[_Series], rank_of: Callable[[str], int | None]) -> list[_Series]:
    """Choose the series of least rank, and of those the one with the most points, if any."""
    ranked = [(rank, -one.points, one) for one in series if (rank := rank_of(one.tag)) is not None]
    return [min(ranked)[2]] if ranked else []


def _some(tags: Iterable[str]) -> str:
    listed = list(tags)
    return ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")
