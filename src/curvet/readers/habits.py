"""How known tools sample, smooth and filter the training loss that they log, each with its source.

A reader names the habits of its format. Formats that many tools write hold what the tool left of
the values, so the tool is looked for in the names of the series; see `logging_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import lru_cache

from ..run import UNKNOWN, Logging, Run
from .base import Reader, Server

HUGGING_FACE = Logging(
    "Trainer logs the mean since the last log (logging_steps) and puts the recent mean in place of "
    "NaN and infinity (logging_nan_inf_filter, on by default): "
    "https://huggingface.co/docs/transformers/main_classes/trainer",
    interval="steps",
    smoothing="mean",
    nonfinite="replaced",
)
PADDLENLP = Logging(
    "Trainer logs the mean since the last log: paddlenlp/trainer/trainer.py, "
    "_maybe_log_save_evaluate",
    interval="steps",
    smoothing="mean",
)
KERAS = Logging(
    "the loss of an epoch is a metric: the mean over its batches, NaN if one of them was: "
    "https://keras.io/api/metrics/base_metric and https://keras.io/api/callbacks/csv_logger",
    interval="epoch",
    smoothing="mean",
    nonfinite="kept",
)
LIGHTNING = Logging(
    "a training step logs its own value, every log_every_n_steps steps: "
    "https://lightning.ai/docs/pytorch/stable/extensions/logging.html",
    interval="steps",
    smoothing="none",
    nonfinite="kept",
)
YOLOV5 = Logging(
    "a row of results.csv holds the mean over the epoch: yolov5/train.py, mloss",
    interval="epoch",
    smoothing="mean",
    nonfinite="kept",
)
ULTRALYTICS = Logging(
    "a row of results.csv holds the mean over the epoch, and an epoch whose loss is NaN begins "
    "again from the last checkpoint: ultralytics/engine/trainer.py",
    interval="epoch",
    smoothing="mean",
    nonfinite="dropped",
)
DETECTRON2 = Logging(
    "metrics.json holds medians: detectron2/utils/events.py, JSONWriter(window_size=20); a loss "
    "that is no number is not logged but ends the training: detectron2/engine/train_loop.py",
    interval="steps",
    smoothing="median",
    window=20,
    nonfinite="dropped",
)
PADDLEDETECTION = Logging(
    "the log holds medians since the last log: ppdet/utils/stats.py, TrainingStats(log_iter)",
    interval="steps",
    smoothing="median",
    window=20,
)
MMENGINE = Logging(
    "LogProcessor(window_size=10): "
    "https://mmengine.readthedocs.io/en/latest/advanced_tutorials/logging.html",
    interval="steps",
    smoothing="running_mean",
    window=10,
    nonfinite="kept",
)
MMCV = Logging(
    "the mean since the last log: mmcv/runner/hooks/logger, LogBuffer.average(interval)",
    interval="steps",
    smoothing="mean",
    nonfinite="kept",
)
MEGATRON = Logging(
    "the mean over the iterations of the interval that were not skipped; those with NaN are "
    "counted apart: megatron/training/training.py, training_log",
    interval="steps",
    smoothing="mean",
    nonfinite="dropped",
)
SPACY = Logging(
    "the sum over the steps since the last evaluation (eval_frequency): spacy/training/loop.py, "
    "train_while_improving",
    interval="steps",
    smoothing="mean",
    nonfinite="kept",
)
ESPNET = Logging(
    "the mean over the batches since the last log: espnet2/train/reporter.py, log_message",
    interval="steps",
    smoothing="mean",
)
FAIRSEQ = Logging(
    "train_inner is averaged since the last log: fairseq_cli/train.py, "
    'metrics.reset_meters("train_inner")',
    interval="steps",
    smoothing="mean",
)
BOOSTING = Logging(
    "the whole set is evaluated after each round: "
    "https://xgboost.readthedocs.io/en/stable/python/python_intro.html, "
    "https://lightgbm.readthedocs.io/en/latest/pythonapi/lightgbm.train.html, "
    "https://catboost.ai/docs/en/concepts/output-data_training-log",
    interval="step",
    smoothing="none",
    nonfinite="kept",
)


def stored(source: str) -> Logging:
    """Describe a tracker that stores what the training hands over, NaN and infinity with it."""
    return Logging(f"stores each value as it is handed over: {source}", nonfinite="kept")


def unknown(source: str) -> Logging:
    """Describe a format that says nothing about the tool that wrote it."""
    return Logging(source)


def _named(*tags: str) -> Callable[[Set[str]], bool]:
    return set(tags).issubset


def _forked(tags: Set[str]) -> bool:
    return any(tag.endswith("_step") and f"{tag[:-5]}_epoch" in tags for tag in tags)


def _boosted(tags: Set[str]) -> bool:
    return any(tag.endswith("logloss") for tag in tags)


_SIGNS: tuple[tuple[Callable[[Set[str]], bool], Logging], ...] = (
    (_named("interval_steps_per_second"), PADDLENLP),  # before Hugging Face, whose names it has
    (_named("train/interval_steps_per_second"), PADDLENLP),
    (_named("train/loss", "train/learning_rate", "train/epoch"), HUGGING_FACE),
    (_named("loss", "learning_rate", "eval_samples_per_second"), HUGGING_FACE),
    (_named("total_loss", "data_time", "lr"), DETECTRON2),
    (_named("loss", "batch_cost", "data_cost"), PADDLEDETECTION),
    (_named("lr/pg0"), ULTRALYTICS),
    (_named("x/lr0"), YOLOV5),
    (_named("lm loss"), MEGATRON),
    (_named("lm-loss-training/lm loss"), MEGATRON),
    (_named("loss", "gnorm"), FAIRSEQ),
    (_named("epoch_loss"), KERAS),
    (_named("train/epoch_loss"), KERAS),
    (_forked, LIGHTNING),  # it alone logs x_step and x_epoch
    (_boosted, BOOSTING),  # XGBoost and LightGBM alone call it that
)
"""Series that stand together in the logs of one tool alone, and its habits."""


def logging_of(run: Run, reader: Reader | Server) -> Logging:
    """Tell how a run was logged: as it says itself, by the names of its series, by its format."""
    if run.logging is not UNKNOWN and run.logging != UNKNOWN:
        return run.logging
    return _by_names(tuple(run.curves)) or reader.logging


@lru_cache(maxsize=256)  # the runs of one archive have the same series
def _by_names(tags: tuple[str, ...]) -> Logging | None:
    every = set(tags)
    return next((logging for sign, logging in _SIGNS if sign(every)), None)
