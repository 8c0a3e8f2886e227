"""What each cause changes in a plan that trains well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .plan import Plan, Rng, power
from .tasks import load

SEQUENCES = ("rnn", "transformer")
IMAGES = ("digits", "shapes", "digits_again")


def _healthy(plan: Plan, rng: Rng) -> Plan:
    """Another seed and rate; some resumed with all state, some in half precision that holds."""
    kind = rng.choice(["again", "again", "resumed", "half"])
    other = replace(plan, seed=plan.seed + 10_000, lr=plan.lr * power(rng, -0.2, 0.2))
    if kind == "resumed" and plan.framework in ("torch", "paddle", "lightning", "keras"):
        return replace(other, resumes=_resumes(plan, rng))
    if kind == "half" and plan.framework == "torch":
        half = str(rng.choice(["bfloat16", "autocast"]))
        return replace(other, half=half, loss_scale=2.0 ** int(rng.integers(6, 11)), growth=60)
    return other


def _exploding(plan: Plan, rng: Rng) -> Plan | None:
    if plan.framework not in ("torch", "lightning", "paddle"):
        return None
    free = replace(plan, clip=0.0, norm="none")
    if plan.net == "rnn" and rng.random() < 0.7:  # a plain cell, its weights beyond the edge
        return replace(free, cell="relu", gain=power(rng, 0.02, 0.4))
    if plan.net == "rnn" or plan.depth > 3:
        return replace(free, gain=plan.gain * power(rng, 0.2, 0.9))
    return None


def _vanishing(plan: Plan, rng: Rng) -> Plan | None:
    if plan.framework == "huggingface" or plan.net in SEQUENCES:
        return None
    if plan.framework == "sklearn":
        return replace(plan, activation="sigmoid") if plan.depth >= 3 else None
    deep = plan.depth > 3
    kinds = ["tiny", "dead", "zero", "constant"]
    kind = str(rng.choice(["sigmoid", "sigmoid", "tiny", *kinds] if deep else kinds))
    plain = replace(plan, norm="none")
    if kind == "sigmoid":
        return replace(plain, activation="sigmoid")
    if kind == "tiny":
        return replace(plain, gain=power(rng, -2.5, -0.7 if deep else -1.5))
    if kind in ("zero", "constant"):
        return replace(plain, init=kind)
    return replace(plain, bias=-float(rng.uniform(1, 6)), activation="relu")


def _bad_batch(plan: Plan, rng: Rng) -> Plan | None:
    kinds = ["scale", "outlier", "target", "class", "empty"]
    kind = "nan" if rng.random() < 0.06 else str(rng.choice(kinds, p=[0.25, 0.25, 0.25, 0.15, 0.1]))
    if kind == "nan" and (plan.task in ("text", "copy") or plan.framework == "sklearn"):
        return None
    lengths = [4, 8, 16] if kind in ("class", "empty") else [1, 1, 1, 2, 4, 8]
    again = bool(rng.random() < 0.2)
    epochs = plan.n_steps // max(1, plan.n_train // plan.batch)
    first = rng.uniform(0.08, 0.2) if again and epochs > 4 else rng.uniform(0.15, 0.85)
    return replace(
        plan,
        bad_kind=kind,
        bad_step=int(plan.n_steps * first),
        bad_length=1 if again else int(rng.choice(lengths)),
        bad_again=again,
        bad_size=power(rng, 0.7, 2.4),
    )


def _few_rows(plan: Plan, rng: Rng) -> Plan:
    rows = int(rng.integers(20, 140))
    return replace(
        plan,
        n_train=rows,
        batch=min(plan.batch, max(4, rows // 4)),
        val_every=0,
        width=plan.width * int(rng.choice([1, 2, 3])),
        dropout=0.0,
        weight_decay=0.0,
        n_steps=int(plan.n_steps * rng.uniform(1, 1.6)),
    )


def _regularised(plan: Plan, rng: Rng) -> Plan:
    kind = rng.choice(["dropout", "penalty", "decay"])
    if plan.framework == "sklearn":
        return replace(plan, penalty=power(rng, -0.5, 2))
    if kind == "penalty" and plan.framework != "huggingface":
        return replace(plan, penalty=power(rng, -2.3, -0.3))
    if kind == "decay" and plan.framework != "keras":
        if plan.optimiser == "adamw" or plan.framework == "huggingface":
            return replace(plan, weight_decay=power(rng, 0.8, 2.2))
        return replace(plan, weight_decay=power(rng, -1.7, 0))
    return replace(plan, dropout=float(rng.uniform(0.6, 0.93)))


def _mislabelled(plan: Plan, rng: Rng) -> Plan | None:
    if plan.net in ("autoencoder", "vae"):
        return None
    wrong = float(rng.uniform(0.25, 0.85))
    return replace(plan, label_noise=wrong, noisy_val=bool(rng.random() < 0.5))


def _out_of_order(plan: Plan, rng: Rng) -> Plan | None:
    if plan.n_train < 4 * plan.batch:
        return None
    return replace(plan, order=str(rng.choice(["sorted", "sorted", "shards", "blocks"])))


def _optimiser(plan: Plan, rng: Rng) -> Plan | tuple[Plan, ...]:
    """Too much momentum; or plain SGD or Adagrad, the best of three rates: no rate helps."""
    kinds = ["momentum", "adagrad"]
    if plan.net in (*SEQUENCES, "vae") or plan.depth > 5 or plan.units:
        kinds += ["plain", "plain"]  # elsewhere plain SGD does as well
    kind = str(rng.choice(kinds))
    plain = replace(plan, schedule="constant" if plan.schedule == "plateau" else plan.schedule)
    if kind == "momentum" or plan.framework == "sklearn":
        slow = replace(plain, momentum=1 - power(rng, -3.2, -1.7))
        if plan.optimiser == "sgd" or (plan.optimiser == "adam" and rng.random() < 0.4):
            return slow
        return replace(slow, optimiser="sgd", lr=power(rng, -2.4, -1.2))
    if kind == "plain":
        lr = power(rng, -2.6, -1.8)
        start = replace(plain, optimiser="sgd", momentum=0.0)
        return tuple(replace(start, lr=lr * factor) for factor in (1, 6, 36))
    lr = power(rng, -3.4, -2.4)
    start = replace(plain, optimiser="adagrad")
    return tuple(replace(start, lr=lr * factor) for factor in (1, 3))


def _small_batch(plan: Plan, rng: Rng) -> Plan | None:
    if plan.batch < 8:
        return None
    batch = int(rng.choice([2, 3] if plan.norm == "batch" else [1, 1, 2]))
    slow = plan.framework in ("keras", "huggingface", "lightning")
    longer = 1.0 if slow else float(rng.uniform(1, 3))
    every = max(1, plan.n_train // plan.batch)
    steps = int(plan.n_steps * longer)
    return replace(plan, batch=batch, n_steps=steps, val_every=every)


def _large_batch(plan: Plan, rng: Rng) -> Plan | None:
    updates = int(rng.choice([1, 2, 3]))
    epochs = plan.n_steps * plan.batch // plan.n_train
    if plan.n_train < 6 * plan.batch or epochs * updates < 20:
        return None
    batch = plan.n_train // updates
    return replace(plan, batch=batch, n_steps=epochs * updates, val_every=0)


def _raw_inputs(plan: Plan, rng: Rng) -> Plan | None:
    if plan.task in ("text", "copy") or plan.units:
        return None
    if plan.task in IMAGES:
        return replace(plan, units=str(rng.choice(["raw", "bytes", "offset"])))
    collected = ("wine", "breast_cancer", "diabetes")
    kinds = ["raw", "raw", "raw", "offset"] if plan.task in collected else ["spread", "offset"]
    return replace(plan, units=str(rng.choice(kinds)))


def _loss(plan: Plan, rng: Rng) -> Plan | None:
    if plan.framework == "sklearn":
        return None  # it brings its own loss
    kinds = ["softmax", "softmax", "sigmoid", "sign", "nll"]
    if plan.net == "vae":
        kinds = ["sign", "divergence"]
    elif plan.net == "autoencoder":
        kinds = ["sign", "product"]
    elif plan.task in ("diabetes", "friedman", "sine", "addition"):
        kinds = ["broadcast", "broadcast", "product", "sign"]
    elif plan.task in ("text", "copy") and plan.framework != "keras":
        kinds += ["ahead", "same", "same"] if plan.task == "text" else ["ahead"]
    return replace(plan, wrong_loss=str(rng.choice(kinds)))


def _mismatch(plan: Plan, rng: Rng) -> Plan:
    kinds = ["labels", "scale", "offset", "noise"]
    if plan.task in ("text", "copy"):
        kinds = ["labels", "source"] if plan.task == "text" else ["labels"]
    elif plan.net in ("autoencoder", "vae"):
        kinds = ["scale", "offset", "noise"]
    if plan.task in IMAGES:
        kinds += ["turned"]
    if plan.task == "sine":
        kinds += ["source"]
    kind = str(rng.choice(kinds))
    sizes = {
        "scale": power(rng, 0.4, 2.4) ** float(rng.choice([-1, 1])),
        "offset": float(rng.uniform(0.5, 4)),
        "noise": float(rng.uniform(0.3, 3)),
        "labels": float(rng.uniform(2, 10)),  # targets in another unit
    }
    return replace(plan, val_fault=kind, val_size=sizes.get(kind, 1.0))


def _leak(plan: Plan, rng: Rng) -> Plan:
    few = _few_rows(plan, rng)
    share = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.9, 1))
    dropout = float(rng.choice([0, 0.1, 0.3]))
    return replace(few, val_fault="leak", val_size=share, dropout=dropout)


def _resumes(plan: Plan, rng: Rng) -> tuple[int, ...]:
    """Draw one to three updates before which a training is resumed, at the end of an epoch."""
    every = plan.val_every or max(1, plan.n_train // plan.batch)
    places = rng.uniform(0.3, 0.8, int(rng.choice([1, 1, 1, 2, 3])))
    found = {max(1, round(place * plan.n_steps / every)) * every for place in places}
    return tuple(sorted(int(step) for step in found if step < plan.n_steps - every))


def hurried(plan: Plan, rng: Rng) -> Plan | None:
    """Return a plan with an adaptive optimiser and high rates: there a lost state can do harm.

    None where the framework has no schedules.
    """
    if plan.framework == "sklearn":
        return None
    lr = plan.lr / (8 if plan.depth > 3 else 20) if plan.optimiser == "sgd" else plan.lr
    kind = "adamw" if plan.framework == "huggingface" else str(rng.choice(["adam", "rmsprop"]))
    lr = float(f"{lr * (rng.uniform(1, 2) if kind == 'rmsprop' else rng.uniform(3, 8)):.4g}")
    if plan.framework == "huggingface":
        return replace(plan, lr=lr, schedule="cosine", seed=plan.seed + 20_000)
    return replace(
        plan,
        lr=lr,
        optimiser=kind,
        schedule=str(rng.choice(["warmup", "cosine", "one_cycle", "linear"])),
        seed=plan.seed + 20_000,
    )


def _state_lost(plan: Plan, rng: Rng) -> Plan | None:
    if plan.framework == "sklearn" or plan.schedule == "plateau":
        return None  # scikit-learn pickles the whole estimator
    period = plan.n_train // plan.batch
    if plan.framework in ("torch", "paddle") and period >= 12 and rng.random() < 0.25:
        # ended again and again before an epoch is over: the later rows are never seen
        often = int(period * rng.uniform(0.3, 0.6))
        places = tuple(range(often, plan.n_steps, often))
        return replace(plan, resumes=places, lost=str(rng.choice(["data", "optimiser+data"])))
    places = _resumes(plan, rng)
    if not places:
        return None
    lost = ["optimiser"]
    if plan.schedule != "constant":
        lost = ["optimiser", "schedule", "schedule", "optimiser+schedule"]
    if plan.framework == "huggingface":
        lost = ["optimiser+schedule"]
    return replace(plan, resumes=places, lost=str(rng.choice(lost)))


def _overflow(plan: Plan, rng: Rng) -> Plan | None:
    """Half precision with too large a scale, no look at infinite gradients, or none at all."""
    kinds = {
        "torch": ["static", "growing", "growing", "skipped", "skipped", "weights", "log"],
        "lightning": ["skipped", "weights"],
        "keras": ["weights"],
        "huggingface": ["weights"],
    }.get(plan.framework)
    if kinds is None:
        return None
    kind = str(rng.choice(kinds))
    plain = replace(plan, schedule="constant" if plan.schedule == "plateau" else plan.schedule)
    if kind == "weights":
        if plan.framework == "keras" and plan.clip:
            return None  # Keras cannot clip gradients of half precision
        return replace(plain, half="weights")
    if kind == "static":  # 2 ** 16 is PyTorch's own first scale
        scale = 2.0 ** int(rng.integers(12, 22))
        return replace(plain, half="autocast", loss_scale=scale, checked=False)
    if kind == "growing":
        growth = max(2, int(plan.n_steps * rng.uniform(0.02, 0.07)))
        scale = 2.0 ** int(rng.integers(6, 13))
        return replace(plain, half="autocast", loss_scale=scale, growth=growth, checked=False)
    if kind == "skipped":
        factor = 2.0 ** int(rng.integers(3, 9))
        return replace(plain, half="autocast", loss_scale=2.0**16, growth=1, growth_factor=factor)
    if plan.net == "vae" or plan.task not in ("digits", "clusters", "shapes", "text", "copy"):
        return None
    return replace(plain, half="log", checked=bool(rng.random() < 0.5))


INJECT: dict[str, Callable[[Plan, Rng], Plan | tuple[Plan, ...] | None]] = {
    "healthy": _healthy,
    "lr_too_high": lambda plan, rng: replace(plan, lr=plan.lr * power(rng, 0.8, 2.8)),
    "lr_too_low": lambda plan, rng: replace(plan, lr=plan.lr * power(rng, -3.5, -1.1)),
    "exploding_gradients": _exploding,
    "vanishing_gradients": _vanishing,
    "bad_data_batch": _bad_batch,
    "overfitting": _few_rows,
    "under_capacity": lambda plan, rng: replace(
        plan, width=2 if plan.framework == "huggingface" else int(rng.integers(1, 4))
    ),
    "over_regularisation": _regularised,
    "noisy_labels": _mislabelled,
    "unshuffled_data": _out_of_order,
    "unsuitable_optimizer": _optimiser,
    "batch_too_small": _small_batch,
    "batch_too_large": _large_batch,
    "unnormalised_inputs": _raw_inputs,
    "wrong_loss": _loss,
    "train_val_mismatch": _mismatch,
    "train_val_leak": _leak,
    "resume_state_lost": _state_lost,
    "precision_overflow": _overflow,
}


def variants(cause: str, plan: Plan, rng: Rng) -> tuple[Plan, ...]:
    """Return a cause's faulty plans, of which the best is judged; none where it does not fit."""
    faulty = INJECT[cause](plan, rng)
    if faulty is None:
        return ()
    plans = faulty if isinstance(faulty, tuple) else (faulty,)
    rows = len(load(plan.task).x)
    return tuple(replace(p, n_train=min(p.n_train, rows), lr=float(f"{p.lr:.4g}")) for p in plans)
