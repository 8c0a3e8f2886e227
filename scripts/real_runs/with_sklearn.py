"""scikit-learn's MLP, batch by batch, and its own loss curve."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .feed import prepare
from .log import Log
from .plan import Plan


def train(plan: Plan) -> Log:
    """Train scikit-learn's MLP; it knows neither gradient norm nor schedules by the step."""
    from sklearn.metrics import log_loss, mean_squared_error
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    feed = prepare(plan)
    net = (MLPClassifier if feed.classify else MLPRegressor)(
        hidden_layer_sizes=[plan.width] * plan.depth,
        activation={"sigmoid": "logistic"}.get(plan.activation, plan.activation),
        solver="sgd" if plan.optimiser == "sgd" else "adam",
        alpha=plan.penalty,
        batch_size=plan.batch,
        learning_rate_init=plan.lr,
        momentum=plan.momentum,
        beta_1=plan.momentum,
        random_state=plan.seed,
    )
    log = Log(feed.period, feed.every)
    known: dict[str, Any] = {"classes": np.arange(feed.n_out)} if feed.classify else {}

    def validation(x: Any, y: Any) -> float:
        if feed.classify:
            return float(log_loss(y, net.predict_proba(x), labels=np.arange(feed.n_out)))
        return float(mean_squared_error(y, net.predict(x)) / 2)  # half of it is what it trains on

    for step, rows in enumerate(feed.batches):
        x, y = feed.x[rows], feed.y[rows]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                net.partial_fit(x, y if feed.classify else y[:, 0], **known)
                log.add(step, loss=net.loss_curve_[-1], lr=plan.lr)
                if (step + 1) % feed.every == 0:
                    log.add(step, val=validation(feed.x_val, feed.y_val))
                    if plan.val_fault:
                        log.honest.append(validation(feed.x_honest, feed.y_honest))
        except ValueError as error:  # scikit-learn stops at weights that are not finite
            if not any(word in str(error) for word in ("finite", "infinity", "NaN")):
                raise
            break
    return log
