"""A tiny GPT-2 by the Hugging Face Trainer, and its log history."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from make_demo_runs import seed_everything

from .data import Array
from .feed import Feed, prepare
from .log import Log
from .plan import Plan
from .torch_parts import loss_of

_SCHEDULES = {
    "constant": "constant_with_warmup",
    "linear": "linear",
    "restarts": "cosine_with_restarts",
}
_OPTIMISERS = {"sgd": "sgd", "adagrad": "adagrad", "rmsprop": "rmsprop"}


def train(plan: Plan) -> Log:
    """Train with the Trainer; a resume goes by its own checkpoint folder."""
    seed_everything(plan.seed)
    feed = prepare(plan)
    log = Log(feed.period, feed.every)
    with tempfile.TemporaryDirectory() as folder:
        saved = None
        for _, end in plan.segments():
            if saved is not None and plan.lost and plan.lost != "data":
                (saved / "optimizer.pt").unlink()  # the Trainer then starts the schedule anew too
            trainer = _trainer(plan, feed, log, Path(folder), end)
            trainer.train(resume_from_checkpoint=str(saved) if saved else None)
            saved = Path(folder) / f"checkpoint-{end}"
    names = {"loss": "loss", "eval_loss": "val", "grad_norm": "grad_norm", "learning_rate": "lr"}
    for row in trainer.state.log_history:
        log.add(row["step"] - 1, **{n: row[k] for k, n in names.items() if k in row})
    return log


def _model(plan: Plan, feed: Feed) -> Any:
    import transformers

    config = transformers.GPT2Config(
        vocab_size=feed.n_out, n_positions=40, n_embd=plan.width, n_layer=plan.depth,
        n_head=2, resid_pdrop=plan.dropout, embd_pdrop=plan.dropout, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    return model.half() if plan.half == "weights" else model


def _rows(x: Array, y: Array) -> list[dict[str, Any]]:
    """Return rows as the Trainer wants them: the model shifts its labels itself."""
    labels = np.hstack([x[:, :1], y[:, :-1]])
    return [{"input_ids": a, "labels": b} for a, b in zip(x, labels, strict=True)]


def _trainer(plan: Plan, feed: Feed, log: Log, folder: Path, end: int) -> Any:
    import torch
    import transformers

    order = np.concatenate(feed.batches).tolist()

    class Trainer(transformers.Trainer):  # type: ignore[misc, unused-ignore]
        def _get_train_sampler(self, *_: Any) -> Any:
            return order

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **rest: Any
        ) -> Any:
            if not plan.wrong_loss:
                return super().compute_loss(model, inputs, return_outputs, **rest)
            loss = _shifted_loss(plan, feed, model)(inputs["input_ids"], inputs["labels"])
            return (loss, {"logits": loss[None]}) if return_outputs else loss

    class Side(transformers.TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
            if state.global_step == end and end < plan.n_steps:
                control.should_save = control.should_training_stop = True

        def on_evaluate(self, _: Any, __: Any, ___: Any, model: Any, **____: Any) -> None:
            if plan.wrong_loss or plan.val_fault:
                x, y = (torch.from_numpy(a[:300]) for a in (feed.x_honest, feed.y_honest))
                labels = torch.cat([x[:, :1], y[:, :-1]], 1)
                with torch.no_grad():
                    log.honest.append(float(_shifted_loss(plan, feed, model, True)(x, labels)))

    arguments = transformers.TrainingArguments(
        str(folder), max_steps=plan.n_steps, learning_rate=plan.lr, weight_decay=plan.weight_decay,
        per_device_train_batch_size=plan.batch, per_device_eval_batch_size=150,
        lr_scheduler_type=_SCHEDULES.get(plan.schedule, "cosine"), optim=_OPTIMISERS.get(
            plan.optimiser, "adamw_torch"
        ),
        adam_beta1=plan.momentum, warmup_steps=plan.n_steps // 20,
        max_grad_norm=plan.clip or 1.0, logging_steps=3, eval_strategy="steps",
        eval_steps=max(10, plan.n_steps // 10), save_strategy="no", report_to="none",
        use_cpu=True, bf16=plan.half == "bfloat16", seed=plan.seed, disable_tqdm=True,
        dataloader_drop_last=True,
    )  # fmt: skip
    trainer = Trainer(
        _model(plan, feed), arguments, train_dataset=_rows(feed.x, feed.y),
        eval_dataset=_rows(feed.x_val[:300], feed.y_val[:300]), callbacks=[Side()],
    )  # fmt: skip
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def _shifted_loss(plan: Plan, feed: Feed, model: Any, right: bool = False) -> Any:
    """Return (input, label) -> loss by a plan's own function, labels shifted as the model does."""

    def logits(x: Any) -> Any:
        return model(input_ids=x).logits.transpose(1, 2)  # (B, symbol, T)

    loss = loss_of(plan, feed, logits, right)
    return lambda x, labels: loss(x[:, :-1], labels[:, 1:])
