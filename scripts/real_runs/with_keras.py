"""Keras: the batch losses its callbacks get, and its CSVLogger for the log of epochs."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_demo_runs  # noqa: F401 - sets TensorFlow's threads before it is imported

from .feed import Feed, prepare
from .log import Log
from .nets import hidden_widths
from .plan import Plan, rate_of


def train(plan: Plan) -> Log:
    """Train with Keras; the loss that it logs of a batch is the mean since the epoch's start."""
    import keras

    keras.utils.set_random_seed(plan.seed)
    policy = {"autocast": "mixed_float16", "weights": "float16", "bfloat16": "mixed_bfloat16"}
    keras.config.set_dtype_policy(policy.get(plan.half, "float32"))
    feed = prepare(plan)
    log = Log(feed.period, feed.every)
    with tempfile.TemporaryDirectory() as folder:
        table, saved = Path(folder) / "log.csv", Path(folder) / "net.keras"
        for first, end in plan.segments():
            net = _start(plan, feed, saved)
            net.fit(
                _stream(feed, first), steps_per_epoch=feed.every, verbose=0,
                epochs=max(1, (end - first) // feed.every),
                callbacks=_callbacks(plan, feed, log, table, first),
                validation_data=(feed.x_val, feed.y_val), validation_batch_size=len(feed.x_val),
            )  # fmt: skip
            net.save(saved)
        rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    names = {"loss": "loss", "val_loss": "val", "learning_rate": "lr"}
    log.by_epoch = {
        name: [float(row[column]) for row in rows]
        for column, name in names.items()
        if rows and column in rows[0]
    }
    keras.backend.clear_session()
    return log


def _start(plan: Plan, feed: Feed, saved: Path) -> Any:
    """Return a net ready for training: new, loaded whole, or with nothing but its weights."""
    import keras

    if saved.exists() and plan.keeps("optimiser"):
        return keras.saving.load_model(saved)
    net = _net(plan, feed)
    if saved.exists():
        net.set_weights(keras.saving.load_model(saved, compile=False).get_weights())
    right = keras.losses.SparseCategoricalCrossentropy(from_logits=True) if feed.classify else "mse"
    honest = "sparse_categorical_crossentropy" if feed.classify else "mse"
    loss = _wrong_loss(plan, feed) if plan.wrong_loss else right
    metrics = [_honest_metric(honest)] if plan.wrong_loss else []
    net.compile(_optimiser(plan), loss, metrics=metrics, jit_compile=False)
    return net


def _optimiser(plan: Plan) -> Any:
    import keras

    clip = {"global_clipnorm": plan.clip} if plan.clip else {}
    kinds: dict[str, Any] = {
        "sgd": lambda: keras.optimizers.SGD(plan.lr, plan.momentum, **clip),
        "rmsprop": lambda: keras.optimizers.RMSprop(plan.lr, **clip),
        "adagrad": lambda: keras.optimizers.Adagrad(plan.lr, **clip),
        "adam": lambda: keras.optimizers.Adam(plan.lr, plan.momentum, **clip),
    }
    optimiser = kinds.get(plan.optimiser, kinds["adam"])()
    if plan.half == "autocast":
        return keras.optimizers.LossScaleOptimizer(
            optimiser, initial_scale=plan.loss_scale, dynamic_growth_steps=plan.growth
        )
    return optimiser


def _honest_metric(name: str) -> Any:
    """Return the right loss as a metric, named "honest"."""
    import keras

    if name == "mse":
        return keras.metrics.MeanSquaredError(name="honest")
    return keras.metrics.SparseCategoricalCrossentropy(name="honest", from_logits=True)


def _wrong_loss(plan: Plan, feed: Feed) -> Any:
    import keras
    from keras import ops

    def entropy(y: Any, out: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(y, out, from_logits=True)

    def right(y: Any, out: Any) -> Any:
        return entropy(y, out) if feed.classify else keras.losses.mean_squared_error(y, out)

    def unbounded(y: Any, out: Any) -> Any:
        return -ops.sum(out * ops.one_hot(ops.cast(y, "int32"), out.shape[-1]), -1)

    losses = {
        "sign": lambda y, out: -right(y, out),
        "softmax": lambda y, out: entropy(y, ops.softmax(out)),
        "sigmoid": lambda y, out: entropy(y, ops.sigmoid(out)),
        "nll": unbounded,
        "broadcast": lambda y, out: ops.mean((out - y[:, 0]) ** 2),
        "product": lambda y, out: -ops.mean(out * y),
    }
    return losses[plan.wrong_loss]


def _net(plan: Plan, feed: Feed) -> Any:
    import keras
    from keras import layers

    usual = keras.initializers.VarianceScaling(2.0 * plan.gain**2, "fan_in", seed=plan.seed)
    start = {"zero": "zeros", "constant": keras.initializers.Constant(0.01)}.get(plan.init, usual)
    decay = keras.regularizers.L2(plan.penalty) if plan.penalty else None
    net = keras.Sequential([keras.Input(feed.x.shape[1:])])
    widths = hidden_widths(plan)
    if plan.net == "cnn":
        side = math.isqrt(feed.x.shape[1])
        net.add(layers.Reshape((side, side, 1)))
        net.add(layers.Conv2D(plan.width, 3, activation=plan.activation))
        net.add(layers.MaxPooling2D())
        net.add(layers.Flatten())
        net.add(layers.Dropout(plan.dropout))
    if plan.net == "rnn":
        if feed.n_symbols:
            net.add(layers.Embedding(feed.n_symbols, plan.width))
        kinds = {"gru": layers.GRU, "lstm": layers.LSTM}
        cell = kinds.get(plan.cell, layers.SimpleRNN)
        net.add(cell(plan.width, return_sequences=feed.classify))
        widths = []
    for width in widths:
        net.add(layers.Dense(width, plan.activation, True, start, kernel_regularizer=decay))
        net.add(layers.Dropout(plan.dropout))
    net.add(layers.Dense(feed.n_out, kernel_regularizer=decay, dtype="float32"))
    return net


def _stream(feed: Feed, first: int) -> Iterator[Any]:
    for rows in feed.batches[first:]:
        yield feed.x[rows], feed.y[rows]


def _callbacks(plan: Plan, feed: Feed, log: Log, table: Path, first: int) -> list[Any]:
    """Return Keras's own loggers, and one that notes what Keras hands to callbacks."""
    import keras

    shift = first if plan.keeps("schedule") else 0  # from where a resumed schedule goes on
    rate = rate_of(plan)

    class Note(keras.callbacks.Callback):  # type: ignore[misc, unused-ignore]
        step = first

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if plan.schedule not in ("constant", "plateau"):
                place = self.step - first + shift
                self.model.optimizer.learning_rate = plan.lr * rate(place)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            lr = float(self.model.optimizer.learning_rate)
            log.add(self.step, loss=logs["loss"], lr=lr)
            self.step += 1

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            log.add(self.step - 1, val=logs["val_loss"])
            if plan.wrong_loss:
                log.honest.append(logs["val_honest"])
            elif plan.val_fault:
                rows = (feed.x_honest, feed.y_honest)
                log.honest.append(self.model.evaluate(*rows, verbose=0, batch_size=len(rows[0])))
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)

    noted: list[Any] = [Note()]
    if plan.schedule == "plateau":
        noted.append(keras.callbacks.ReduceLROnPlateau(factor=0.3, patience=1))
    return [*noted, keras.callbacks.CSVLogger(str(table), append=True)]
