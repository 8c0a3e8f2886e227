"""Which curve is the training loss, the validation loss, the learning rate, the gradient norm."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvet.errors import NoLossError
from curvet.roles import assign, words
from curvet.run import Curve, Run


def run_of(*tags: str, **lengths: int) -> Run:
    curves = {tag: Curve.of(tag, np.arange(10.0)) for tag in tags}
    curves |= {tag: Curve.of(tag, np.arange(float(n))) for tag, n in lengths.items()}
    return Run("the run", "", curves)


@pytest.mark.parametrize(
    "tag",
    ["loss", "train/loss", "train_loss", "train_loss_step", "train_loss_epoch", "training_loss",
     "Loss/train", "total_loss", "lm loss", "lm-loss-training/lm loss", "reduced_train_loss",
     "epoch_loss", "train/epoch_loss", "nll_loss", "TRAIN_LOSS", "trainLoss", "Train Loss",
     "losses", "train.loss", "trainloss", "metrics/train/loss", "train/ce_loss", "batch_loss"],
)  # fmt: skip
def test_names_of_the_training_loss(tag: str) -> None:
    assert assign(run_of("accuracy", tag)).loss.tag == tag


@pytest.mark.parametrize(
    "tag",
    ["val_loss", "val/loss", "eval_loss", "eval/loss", "valid_loss", "validation/loss",
     "test_loss", "dev_loss", "Loss/val", "lm loss validation", "validation/epoch_loss",
     "lm-loss-validation/lm loss validation", "valLoss", "DEV_LOSS", "val_loss_epoch",
     "validation/lm loss value", "Val. Loss"],
)  # fmt: skip
def test_names_of_the_validation_loss(tag: str) -> None:
    channels = assign(run_of(tag, "loss"))
    assert channels.val is not None
    assert (channels.loss.tag, channels.val.tag) == ("loss", tag)


@pytest.mark.parametrize(
    "tag",
    ["learning_rate", "lr", "train/learning_rate", "lr-Adam", "lr-AdamW/pg1", "lr/pg0",
     "learning rate", "learning-rate/learning-rate", "x/lr0", "LR", "train/epoch_learning_rate"],
)  # fmt: skip
def test_names_of_the_learning_rate(tag: str) -> None:
    channels = assign(run_of("loss", tag))
    assert channels.lr is not None
    assert channels.lr.tag == tag


@pytest.mark.parametrize("name", ["x/lr", "lr/pg"])
def test_the_rate_of_the_weights_goes_before_that_of_the_biases(name: str) -> None:
    channels = assign(run_of("loss", *(f"{name}{group}" for group in range(3))))
    assert channels.lr is not None
    assert channels.lr.tag == f"{name}1"


@pytest.mark.parametrize(
    "tag",
    ["grad_norm", "train/grad_norm", "gnorm", "grad norm", "grad-norm/grad-norm",
     "gradient_norm", "grad_2.0_norm_total", "optim/total_grad_norm", "norm", "train/norm"],
)  # fmt: skip
def test_names_of_the_gradient_norm(tag: str) -> None:
    channels = assign(run_of("loss", tag))
    assert channels.grad_norm is not None
    assert channels.grad_norm.tag == tag


@pytest.mark.parametrize("tag", ["weight_norm", "layer_norm", "batch norm", "norm_first"])
def test_norms_of_something_else(tag: str) -> None:
    assert assign(run_of("loss", tag)).grad_norm is None
    assert assign(run_of("loss", "norm", "grad_norm")).grad_norm.tag == "grad_norm"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "tag",
    ["loss_scale", "loss scale", "final_loss", "accuracy", "train_accuracy", "best_loss",
     "loss_weight", "train_error",
     "lm loss vs samples", "lm loss validation ppl", "train/perplexity", "time", "epoch",
     "evaluation_loss_vs_iterations", "loss_std", "val_loss", "learning_rate", "grad_norm",
     "train/f1", "reward", "samples/sec", "Wall time", "train_acc", "top1"],
)  # fmt: skip
def test_what_is_never_the_training_loss(tag: str) -> None:
    assert assign(run_of(tag, "loss")).loss.tag == "loss"
    with pytest.raises(NoLossError):
        assign(run_of(tag))


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [
        (["loss", "train/loss", "validation/loss"], "train/loss"),
        (["minibatch_train_losses", "train_losses", "test_losses"], "train_losses"),
        (["loss_cls", "loss_box_reg", "total_loss"], "total_loss"),
        (["loss_xy", "loss_cls", "loss"], "loss"),
        (["loss", "nll_loss"], "loss"),
        (["train/train_loss", "train/loss"], "train/loss"),
        (["batch_loss", "epoch_loss"], "epoch_loss"),
        (["train/ce_loss", "loss"], "loss"),
        (["eval/train_loss", "eval/val_loss"], "eval/train_loss"),
    ],
)
def test_among_several_training_losses(tags: list[str], chosen: str) -> None:
    assert assign(run_of(*tags)).loss.tag == chosen
    assert assign(run_of(*tags[::-1])).loss.tag == chosen


def test_the_finer_of_step_and_epoch_is_taken() -> None:
    assert assign(run_of(train_loss_step=50, train_loss_epoch=5)).loss.tag == "train_loss_step"
    assert assign(run_of(train_loss_step=2, train_loss_epoch=5)).loss.tag == "train_loss_epoch"


def test_a_closing_mean_is_no_curve() -> None:
    assert assign(run_of(train_loss=1, loss=20)).loss.tag == "loss"


def test_a_test_loss_is_the_last_choice_for_validation() -> None:
    channels = assign(run_of("loss", "test_loss", "eval_loss", "val_loss"))
    assert channels.val is not None
    assert channels.val.tag == "val_loss"
    channels = assign(run_of("loss", "val_loss_step", "val_loss_epoch"))
    assert channels.val is not None
    assert channels.val.tag == "val_loss_epoch"


def test_parts_without_a_total_are_added() -> None:
    tags = [f"{split}/{part}_loss" for split in ("train", "val") for part in ("box", "cls", "dfl")]
    channels = assign(run_of(*tags, "metrics/mAP50(B)"))
    assert channels.loss.tag == "train/box_loss + train/cls_loss + train/dfl_loss"
    assert channels.loss.value.tolist() == (3 * np.arange(10.0)).tolist()
    assert channels.val is not None
    assert channels.val.tag == "val/box_loss + val/cls_loss + val/dfl_loss"


def test_a_missing_part_stays_missing_in_the_sum() -> None:
    curves = [Curve.of("a_loss", [1.0, math.nan]), Curve.of("b_loss", [1.0, 1.0])]
    loss = assign(Run("r", "", {curve.tag: curve for curve in curves})).loss
    np.testing.assert_array_equal(loss.value, [2.0, math.nan])


def test_parts_on_different_steps_are_not_added() -> None:
    with pytest.raises(NoLossError, match=r"the run: found parts of a loss on different steps \(d"):
        assign(run_of(d_loss=5, g_loss=7))


def test_parts_of_a_last_row_that_was_cut_off_are_left_out() -> None:
    assert len(assign(run_of(box_loss=6, cls_loss=5)).loss) == 5


@pytest.mark.parametrize(
    ("tags", "loss", "val"),
    [
        (["train-auc", "train-logloss", "valid-logloss"], "train-logloss", "valid-logloss"),
        (["training's l2", "valid_0's l2", "valid_0's auc"], "training's l2", "valid_0's l2"),
        (["learn/MultiClass", "test/MultiClass"], "learn/MultiClass", "test/MultiClass"),
        (["learn/RMSE", "learn/MAE", "test/MAE", "test/RMSE"], "learn/RMSE", "test/RMSE"),
        (["mae", "loss", "val_mae"], "loss", None),
        (  # the order of XGBoost's eval_set
            ["validation_0-auc", "validation_0-rmse", "validation_1-auc", "validation_1-rmse"],
            "validation_0-rmse",
            "validation_1-rmse",
        ),
        (["validation_1/mae", "validation_0/mae", "train/mae"], "train/mae", "validation_1/mae"),
    ],
)
def test_a_loss_may_be_named_by_its_formula(tags: list[str], loss: str, val: str | None) -> None:
    channels = assign(run_of(*tags))
    assert channels.loss.tag == loss
    assert (channels.val and channels.val.tag) == val


def test_two_sets_of_which_none_is_the_training_are_not_guessed_at() -> None:
    with pytest.raises(NoLossError, match="valid_0's l2, valid_1's l2"):
        assign(run_of("valid_0's l2", "valid_1's l2"))
    with pytest.raises(NoLossError, match="validation_1-rmse, validation_2-rmse"):
        assign(run_of("validation_1-rmse", "validation_2-rmse"))


def test_validation_of_other_parts_is_left_out() -> None:
    assert assign(run_of("loss", "eval_en_loss", "eval_de_loss")).val is None
    assert assign(run_of("train/box_loss", "train/cls_loss", "val/box_loss")).val is None


@pytest.mark.parametrize("tags", [["value"], ["column 1"], ["objective", "time", "lr"], ["0"]])
def test_a_single_series_is_the_loss(tags: list[str]) -> None:
    assert assign(run_of(*tags)).loss.tag == tags[0]


def test_the_error_names_run_tags_and_what_is_accepted() -> None:
    with pytest.raises(
        NoLossError,
        match=r"the run: no training loss among accuracy, f1; accepted names: loss, train/loss",
    ):
        assign(run_of("accuracy", "f1"))
    with pytest.raises(NoLossError, match="the run: only a validation loss among val_loss, acc"):
        assign(run_of("val_loss", "acc"))
    with pytest.raises(NoLossError, match="no training loss among no series with a point"):
        assign(Run("r", "", {"loss": Curve.of("loss", [])}))
    with pytest.raises(NoLossError, match="among column 1, column 2"):
        assign(run_of("column 1", "column 2"))


@given(st.lists(st.text(max_size=20), max_size=6, unique=True))
def test_any_tags_give_channels_or_the_one_error(tags: list[str]) -> None:
    run = run_of(*tags)
    try:
        channels = assign(run)
    except NoLossError:
        return
    assert channels.loss.tag in run.curves or " + " in channels.loss.tag
    assert all(isinstance(word, str) and word for tag in tags for word in words(tag))
