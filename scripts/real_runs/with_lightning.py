"""Lightning and its CSVLogger."""

from __future__ import annotations

import csv
import logging
import tempfile
from pathlib import Path
from typing import Any

from make_demo_runs import seed_everything

from .feed import Feed, prepare
from .log import Log
from .nets import make_net
from .plan import Plan
from .torch_parts import as_input, loss_of, make_optimiser, penalised, scaler_of


def train(plan: Plan) -> Log:
    """Train with Lightning and read its CSVLogger's files, one of each start."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    seed_everything(plan.seed)
    feed = prepare(plan)
    log = Log(feed.period, feed.every)
    state: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (first, end) in enumerate(plan.segments()):
            module = _module(plan, feed, log, state)
            trainer = _trainer(plan, feed, Path(folder) / str(number), end - first)
            trainer.fit(module, *_loaders(plan, feed, first, end))
            state = _saved(trainer, Path(folder) / f"{number}.ckpt")
            _read(Path(folder) / str(number) / "metrics.csv", log, first)
    return log


def _module(plan: Plan, feed: Feed, log: Log, state: dict[str, Any]) -> Any:
    """Return the module; the parts of a checkpoint that the plan keeps are put back into it."""
    import lightning
    import torch

    class Module(lightning.LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.net = make_net(plan, feed)
            self.loss = loss_of(plan, feed, self.net)
            self.right_loss = loss_of(plan, feed, self.net, right=True)

        def on_train_start(self) -> None:
            if state and plan.keeps("optimiser"):
                self.trainer.optimizers[0].load_state_dict(state["optimizer_states"][0])
            if state and plan.keeps("schedule"):
                schedule = self.trainer.lr_scheduler_configs[0].scheduler
                schedule.load_state_dict(state["lr_schedulers"][0])

        def training_step(self, batch: Any, _: int) -> Any:
            loss = penalised(plan, self.net, self.loss(*batch))
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            x, y, x_honest, y_honest = batch
            self.log("val_loss", self.loss(x, y))
            if plan.wrong_loss or plan.val_fault:
                log.honest.append(float(self.right_loss(x_honest, y_honest)))

        def on_before_optimizer_step(self, _: Any) -> None:
            norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
            self.log("grad_norm", torch.stack(norms).norm())

        def configure_optimizers(self) -> Any:
            optimiser, schedule = make_optimiser(plan, self)
            return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    module = Module()
    if state:
        module.load_state_dict(state["state_dict"])
    return module


def _trainer(plan: Plan, feed: Feed, folder: Path, n_steps: int) -> Any:
    import lightning
    from lightning.pytorch.callbacks import LearningRateMonitor
    from lightning.pytorch.loggers import CSVLogger
    from lightning.pytorch.plugins import MixedPrecision

    amp = plan.half == "autocast"
    return lightning.Trainer(
        max_steps=n_steps, logger=CSVLogger(folder, name="", version=""),
        callbacks=[LearningRateMonitor()], log_every_n_steps=1, num_sanity_val_steps=0,
        val_check_interval=min(feed.every, n_steps), gradient_clip_val=plan.clip or None,
        accelerator="cpu", enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[MixedPrecision("16-mixed", "cpu", scaler_of(plan))] if amp else None,
        precision={"weights": "16-true", "bfloat16": "bf16-mixed"}.get(plan.half),
    )  # fmt: skip


def _loaders(plan: Plan, feed: Feed, first: int, end: int) -> tuple[Any, Any]:
    from torch.utils.data import DataLoader, TensorDataset

    rows = TensorDataset(as_input(plan, feed.x), as_input(plan, feed.y))
    parts = (feed.x_val, feed.y_val, feed.x_honest, feed.y_honest)
    shortest = min(len(part) for part in parts)
    rows_val = TensorDataset(*(as_input(plan, part[:shortest]) for part in parts))
    batches: Any = [batch.tolist() for batch in feed.batches[first:end]]
    return DataLoader(rows, batch_sampler=batches), DataLoader(rows_val, shortest)


def _saved(trainer: Any, path: Path) -> dict[str, Any]:
    """Save the checkpoint and read it back."""
    import torch

    trainer.save_checkpoint(path)
    state: dict[str, Any] = torch.load(path, weights_only=False)
    return state


def _read(path: Path, log: Log, first: int) -> None:
    """Read the table that CSVLogger wrote, whose steps each start counts from 0."""
    columns = {"loss": "train_loss", "val": "val_loss", "grad_norm": "grad_norm"}
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        rates = {column: "lr" for column in row if column.startswith("lr-")}
        names = {column: name for name, column in columns.items()} | rates
        values = {name: float(row[column]) for column, name in names.items() if row.get(column)}
        log.add(first + int(row["step"]), **values)
