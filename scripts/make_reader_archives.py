"""Write small real logs with the real tools: tests/archives/<reader>/<case>/.

Usage: python scripts/make_reader_archives.py [CASE ...]

Each case is written anew together with expected.json, which holds what was handed to the logger
and not what curvet reads. Needs torch, tensorboard, tensorflow (with keras), transformers,
accelerate, lightning, pandas, visualdl, paddlepaddle, paddleformers, catboost, xgboost, lightgbm,
spacy, dvclive, mmengine, ultralytics, yolov5, detectron2 (0.5, by its source: PyPI has no wheel),
espnet, wandb, mlflow, trackio, tqdm, tbparse, orjson and buildNanoGPT, each for its own cases. The
older ones need company:

- keras_2: tensorflow-cpu 2.15.
- fairseq 0.12, mmcv 1.7 (MMCV_WITH_OPS=0) and deepobs 1.1: Python 3.10, torch 1.12, torchvision
  0.13, torchaudio 0.12, numpy 1.23, setuptools 65, tensorboardX; deepobs, installed without what it
  asks for, takes tensorflow-cpu 2.10, matplotlib2tikz 0.6, pandas, seaborn and scipy.
- paddlenlp 2.8: huggingface_hub 0, datasets 3.2, pyarrow 18 and aistudio_sdk 0.2.
- paddledet 2.6: installed without what it asks for, beside opencv-python-headless, pycocotools,
  motmetrics, imgaug, typeguard and their like.
- megatron: megatron-core 0.16 and megatron-bridge 0.3, installed without what they ask for.

Cases of the name "hand_*" in tests/archives were typed: a page of W&B's server exports the two
tables, and nanoGPT is a script and no package.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

ARCHIVES = Path(__file__).resolve().parents[1] / "tests" / "archives"
Curves = dict[str, tuple[Sequence[float], Sequence[float]]]  # tag -> steps, values
NONE: dict[str, str | None] = {"loss": None, "val": None, "lr": None, "grad_norm": None}


def expect(
    folder: Path, run_id: str, curves: Curves, loss: str | None, **roles: str | None
) -> None:
    """Write expected.json for a case, or add one more run to it; its limits are added by hand."""
    run = {
        "id": run_id,
        "curves": {tag: {"step": s, "value": v} for tag, (s, v) in curves.items()},
        "roles": {**NONE, "loss": loss, **roles},
    }
    path = folder / "expected.json"
    whole = json.loads(path.read_text()) if path.exists() else {"limits": [], "runs": []}
    whole["runs"].append(run)
    path.write_text(json.dumps(whole, indent=1) + "\n")


def falling(n: int, seed: int, end: float = 0.3) -> list[float]:
    """Make up a loss that falls from about 2.3."""
    rng = np.random.default_rng(seed)
    return [end + 2 * math.exp(-3 * i / n) + 0.02 * float(rng.normal()) for i in range(n)]


def tensorboard_torch(folder: Path) -> None:
    """Scalars with NaN and inf, beside a text, a histogram and hyper-parameters."""
    from torch.utils.tensorboard import SummaryWriter

    steps = list(range(0, 200, 10))
    loss, rate = falling(20, 0), [0.1 * 0.9**i for i in range(20)]
    loss[17:] = [math.inf, math.nan, math.nan]
    with SummaryWriter(str(folder / "run")) as writer:
        writer.add_text("config", "lr=0.1")
        for step, a, b in zip(steps, loss, rate, strict=True):
            writer.add_scalar("train/loss", a, step)
            writer.add_scalar("lr", b, step, new_style=True)
            if step % 50 == 0:
                writer.add_scalar("val/loss", a + 0.1, step, new_style=True, double_precision=True)
                writer.add_histogram("weights", np.arange(5.0), step)
        writer.add_hparams({"lr": 0.1}, {"hparam/accuracy": 0.5})
    curves: Curves = {
        "train/loss": (steps, loss),
        "lr": (steps, rate),
        "val/loss": (steps[::5], [a + 0.1 for a in loss[::5]]),
    }
    expect(folder, "run", curves, "train/loss", val="val/loss", lr="lr")


def tensorboard_torch_add_scalars(folder: Path) -> None:
    """Make the sub-folders Loss_train and Loss_val of one run."""
    from torch.utils.tensorboard import SummaryWriter

    loss, val = falling(12, 1), falling(12, 2, end=0.6)
    with SummaryWriter(str(folder / "exp1")) as writer:
        for step in range(12):
            writer.add_scalars("Loss", {"train": loss[step], "val": val[step]}, step)
            writer.add_scalar("lr", 0.01, step)
    steps = [float(step) for step in range(12)]
    curves: Curves = {
        "Loss/train": (steps, loss),
        "Loss/val": (steps, val),
        "lr": (steps, [0.01] * 12),
    }
    expect(folder, "exp1", curves, "Loss/train", val="Loss/val", lr="lr")


def tensorboard_torch_resumed(folder: Path) -> None:
    """Two event files; the second one repeats steps after a resume."""
    import time

    from torch.utils.tensorboard import SummaryWriter

    loss, steps = falling(25, 3), [*range(15), *range(10, 20)]
    for part in (slice(0, 15), slice(15, 25)):
        with SummaryWriter(str(folder / "run")) as writer:
            for step, number in zip(steps[part], loss[part], strict=True):
                writer.add_scalar("loss", number, step)
        time.sleep(1.1)  # the name of an event file is its second
    expect(folder, "run", {"loss": ([float(s) for s in steps], loss)}, "loss")


def _keras_model() -> Any:
    keras: Any = import_module("keras")

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "relu"),
                              keras.layers.Dense(1)])  # fmt: skip
    model.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"])
    return model


def _keras_data(seed: int, n: int = 64) -> tuple[Any, Any]:
    x = np.random.default_rng(seed).normal(size=(n, 4)).astype("float32")
    return x, (x @ np.array([1.0, -2.0, 0.5, 0.0], dtype="float32"))[:, None]


def _keras_fit(*callbacks: Any, epochs: int = 6, verbose: int = 0) -> dict[str, list[float]]:
    model = _keras_model()
    history = model.fit(
        *_keras_data(0),
        validation_data=_keras_data(1),
        epochs=epochs,
        verbose=verbose,
        batch_size=16,
        callbacks=list(callbacks),
    )
    return {tag: [float(v) for v in values] for tag, values in history.history.items()}


def _loaders() -> list[Any]:
    import torch

    return [
        torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(*map(torch.tensor, _keras_data(seed, 80))), batch_size=8
        )
        for seed in (0, 1)
    ]


def tensorboard_keras(folder: Path) -> None:
    """train/ and validation/ beside each other."""
    keras: Any = import_module("keras")

    logger = keras.callbacks.TensorBoard(str(folder / "logs"), write_graph=False, profile_batch=0)
    history = _keras_fit(logger)
    steps = [float(step) for step in range(6)]
    curves: Curves = {
        "train/epoch_loss": (steps, history["loss"]),
        "validation/epoch_loss": (steps, history["val_loss"]),
        "train/epoch_mae": (steps, history["mae"]),
    }
    expect(folder, "logs", curves, "train/epoch_loss", val="validation/epoch_loss",
           lr="train/epoch_learning_rate")  # fmt: skip


def keras_csv_logger(folder: Path) -> None:
    """CSVLogger of a plain training."""
    keras: Any = import_module("keras")

    history = _keras_fit(keras.callbacks.CSVLogger(str(folder / "training.csv")))
    steps = [float(step) for step in range(6)]
    curves: Curves = {tag: (steps, values) for tag, values in history.items()}
    expect(folder, "training.csv", curves, "loss", val="val_loss")


def keras_csv_no_validation(folder: Path) -> None:
    """Validate in every second epoch only: CSVLogger fills the others with NA."""
    keras: Any = import_module("keras")

    model = _keras_model()
    history = model.fit(
        *_keras_data(0), validation_data=_keras_data(1), epochs=6, verbose=0,
        validation_freq=2, callbacks=[keras.callbacks.CSVLogger(str(folder / "training.csv"))],
    ).history  # fmt: skip
    steps = [float(step) for step in range(6)]
    text = (folder / "training.csv").read_text()
    wrote_val = "val_loss" in text
    curves: Curves = {"loss": (steps, [float(v) for v in history["loss"]])}
    if wrote_val:
        curves["val_loss"] = (steps[1::2], [float(v) for v in history["val_loss"]])
    expect(folder, "training.csv", curves, "loss", val="val_loss" if wrote_val else None)


def text_log_keras(folder: Path) -> None:
    """Keep what Keras prints, with its colours and carriage returns."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        history = _keras_fit(verbose=1)
    (folder / "stdout.txt").write_text(out.getvalue())
    steps = [float(step) for step in range(1, 7)]
    curves: Curves = {tag: (steps, [float(f"{v:.4f}") for v in history[tag]])
                      for tag in ("loss", "val_loss")}  # fmt: skip
    expect(folder, "stdout.txt", curves, "loss", val="val_loss")


def json_table_keras_history(folder: Path) -> None:
    """History.history as json.dump writes it, with the bare NaN of Python."""
    history = _keras_fit()
    history["loss"][4:] = [math.nan, math.nan]
    (folder / "history.json").write_text(json.dumps(history))
    steps = [float(step) for step in range(6)]
    curves: Curves = {tag: (steps, history[tag]) for tag in ("loss", "val_loss")}
    expect(folder, "history.json", curves, "loss", val="val_loss")


def json_table_pandas(folder: Path) -> None:
    """DataFrame.to_json: a column is an object by row number."""
    import pandas as pd

    loss = falling(8, 4)
    pd.DataFrame({"loss": loss, "acc": 0.5}).to_json(folder / "log.json", double_precision=15)
    expect(folder, "log.json", {"loss": ([float(i) for i in range(8)], loss)}, "loss")


def json_table_pandas_records(folder: Path) -> None:
    """DataFrame.to_json by lines: NaN becomes null."""
    import pandas as pd

    loss = falling(8, 4)
    table = pd.DataFrame({"step": range(0, 80, 10), "train_loss": loss, "val_loss": math.nan})
    table.loc[table.step == 70, "val_loss"] = 0.5
    table.to_json(folder / "log.jsonl", orient="records", lines=True, double_precision=15)
    steps = [float(step) for step in range(0, 80, 10)]
    curves: Curves = {"train_loss": (steps, loss), "val_loss": ([70.0], [0.5])}
    expect(folder, "log.jsonl", curves, "train_loss", val="val_loss")


def table_pandas(folder: Path) -> None:
    """DataFrame.to_csv: an index without a name, and NaN to the end as blanks."""
    import pandas as pd

    loss = falling(10, 5)
    diverged = [*loss[:6], math.nan, math.nan, math.nan, math.nan]
    table = pd.DataFrame({"loss": diverged, "accuracy": [i / 10 for i in range(10)]})
    table.to_csv(folder / "log.csv")
    expect(folder, "log.csv", {"loss": ([float(i) for i in range(10)], diverged)}, "loss")


def table_numpy(folder: Path) -> None:
    """numpy.savetxt: spaces, and the header as a comment."""
    loss = falling(10, 6)
    np.savetxt(folder / "log.txt", np.c_[np.arange(10) * 5, loss], header="iteration loss")
    expect(folder, "log.txt", {"loss": ([5.0 * i for i in range(10)], loss)}, "loss")


def _trainer(folder: Path) -> Any:
    import torch

    transformers: Any = import_module("transformers")

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, x: Any, labels: Any) -> Any:
            out = self.layer(x)
            return {"loss": ((out - labels) ** 2).mean(), "logits": out}

    class Data(torch.utils.data.Dataset[Any]):
        def __init__(self, seed: int) -> None:
            self.x, self.y = _keras_data(seed, 80)

        def __len__(self) -> int:
            return len(self.x)

        def __getitem__(self, place: int) -> Any:
            return {"x": self.x[place], "labels": self.y[place]}

    torch.manual_seed(0)
    arguments = transformers.TrainingArguments(
        str(folder), max_steps=30, per_device_train_batch_size=8, logging_steps=5, eval_steps=10,
        eval_strategy="steps", save_steps=10, learning_rate=0.05, report_to="none", seed=0,
        use_cpu=True, disable_tqdm=True, save_only_model=True,
    )  # fmt: skip
    return transformers.Trainer(
        model=Net(), args=arguments, train_dataset=Data(0), eval_dataset=Data(1)
    )


def _trainer_curves(history: list[dict[str, float]]) -> Curves:
    curves: Curves = {}
    for tag in ("loss", "eval_loss", "learning_rate", "grad_norm"):
        rows = [row for row in history if tag in row]
        curves[tag] = ([row["step"] for row in rows], [row[tag] for row in rows])
    return curves


def trainer_state_huggingface(folder: Path) -> None:
    """Three checkpoints of one run: the last one holds all rows."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        trainer = _trainer(Path(scratch))
        trainer.train()
        for state in Path(scratch).glob("checkpoint-*/trainer_state.json"):
            (folder / "out" / state.parent.name).mkdir(parents=True)
            shutil.copy(state, folder / "out" / state.parent.name)
    roles = {"val": "eval_loss", "lr": "learning_rate", "grad_norm": "grad_norm"}
    expect(folder, "out", _trainer_curves(trainer.state.log_history), "loss", **roles)


def trainer_state_saved(folder: Path) -> None:
    """trainer.save_state() beside the checkpoints, closed by a row of means."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        trainer = _trainer(Path(scratch))
        trainer.train()
        trainer.save_state()
        for state in Path(scratch).rglob("trainer_state.json"):
            inside = folder / "out" / state.relative_to(scratch)
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(state, inside)
    roles = {"val": "eval_loss", "lr": "learning_rate", "grad_norm": "grad_norm"}
    expect(folder, "out", _trainer_curves(trainer.state.log_history), "loss", **roles)


def text_log_huggingface(folder: Path) -> None:
    """Keep the dictionaries that the Trainer prints; they count by epochs."""
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(out):
        trainer = _trainer(Path(scratch))
        trainer.train()
    (folder / "stdout.log").write_text(out.getvalue())
    rows = [row for row in trainer.state.log_history if "loss" in row]
    printed = [float(f"{row['loss']:.4g}") for row in rows]
    curves: Curves = {"loss": ([row["epoch"] for row in rows], printed)}
    roles = {"val": "eval_loss", "lr": "learning_rate", "grad_norm": "grad_norm"}
    expect(folder, "stdout.log", curves, "loss", **roles)


def lightning_csv_trainer(folder: Path) -> None:
    """CSVLogger: training and validation in rows of their own, by step and by epoch."""
    import torch

    lightning: Any = import_module("lightning")
    loggers: Any = import_module("lightning.pytorch.loggers")

    class Net(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)
            self.seen: dict[str, tuple[list[float], list[float]]] = {
                "train_loss_step": ([], []),
                "val_loss": ([], []),
            }

        def _loss(self, batch: Any) -> Any:
            return ((self.layer(batch[0]) - batch[1]) ** 2).mean()

        def training_step(self, batch: Any, place: int) -> Any:
            loss = self._loss(batch)
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            if (self.global_step + 1) % 5 == 0:
                self.seen["train_loss_step"][0].append(float(self.global_step))
                self.seen["train_loss_step"][1].append(float(loss.detach()))
            return loss

        def validation_step(self, batch: Any, place: int) -> None:
            self.log("val_loss", self._loss(batch))

        def on_validation_epoch_end(self) -> None:
            if not self.trainer.sanity_checking:
                self.seen["val_loss"][0].append(float(self.global_step - 1))
                self.seen["val_loss"][1].append(float(self.trainer.callback_metrics["val_loss"]))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.05)

    torch.manual_seed(0)
    loaders = _loaders()
    net = Net()
    trainer = lightning.Trainer(
        max_epochs=3, logger=loggers.CSVLogger(str(folder)), log_every_n_steps=5, accelerator="cpu",
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(net, *loaders)
    expect(folder, "lightning_logs/version_0", dict(net.seen), "train_loss_step", val="val_loss")


def visualdl_writer(folder: Path) -> None:
    """Two files of a resumed run, with NaN, a histogram, and an evaluation counted by epochs."""
    import time

    visualdl: Any = import_module("visualdl")
    reader: Any = import_module("visualdl.reader.reader")

    loss = np.array(falling(50, 7), dtype=np.float32).tolist()
    loss[48:] = [math.inf, math.nan]
    steps, val = [*range(30), *range(20, 40)], [0.75, 0.5, 0.25]
    for part in (range(30), range(30, 50)):
        with visualdl.LogWriter(logdir=str(folder / "vdl")) as writer:
            for place in part:
                writer.add_scalar("train/loss", loss[place], steps[place])
                writer.add_scalar("lr", 0.125, steps[place])
                if place in (9, 19, 39):
                    epoch = (9, 19, 39).index(place)
                    writer.add_scalar("eval/loss", val[epoch], epoch)
                    writer.add_histogram("weights", np.arange(5.0), steps[place])
                    writer.add_scalars("acc", {"train": 0.5, "eval": 0.0}, steps[place])
        time.sleep(1.1)  # the name of a file is its second
    theirs: list[float] = []
    for path in sorted((folder / "vdl").iterdir()):
        theirs += [
            v.value for v in reader.LogReader(file_path=str(path)).get_data("scalar", "train/loss")
        ]
    np.testing.assert_array_equal(theirs, loss)
    curves: Curves = {
        "train/loss": ([float(step) for step in steps], loss),
        "eval/loss": ([9.0, 19.0, 29.0], val),
        "acc/eval": ([9.0, 19.0, 29.0], [0.0, 0.0, 0.0]),
    }  # fmt: skip
    expect(folder, "vdl", curves, "train/loss", val="eval/loss", lr="lr")


def _table_data(n: int = 200) -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(n, 4))
    return x, (x @ np.array([1.0, -2.0, 0.5, 0.0]) > 0).astype(int)


def catboost_pool(folder: Path) -> None:
    """Keep what CatBoost writes beside a training, with a metric beside the loss."""
    catboost: Any = import_module("catboost")

    x, y = _table_data()
    model = catboost.CatBoostClassifier(
        iterations=15, learning_rate=0.2, depth=2, random_seed=0, custom_metric=["Accuracy"],
        train_dir=str(folder / "catboost_info"), metric_period=1,
    )  # fmt: skip
    model.fit(x[:150], y[:150], eval_set=(x[150:], y[150:]), verbose=False)
    found = model.get_evals_result()
    steps = [float(step) for step in range(15)]
    curves: Curves = {
        "learn/Logloss": (steps, found["learn"]["Logloss"]),
        "test/Logloss": (steps, found["validation"]["Logloss"]),
        "learn/Accuracy": (steps, found["learn"]["Accuracy"]),
    }
    shutil.rmtree(folder / "catboost_info" / "tmp", ignore_errors=True)
    expect(folder, "catboost_info", curves, "learn/Logloss", val="test/Logloss")


def text_log_xgboost(folder: Path) -> None:
    """Keep what xgboost.train prints for two sets."""
    xgboost: Any = import_module("xgboost")

    x, y = _table_data()
    sets = {"train": xgboost.DMatrix(x[:150], y[:150]), "valid": xgboost.DMatrix(x[150:], y[150:])}
    out, found = io.StringIO(), {}  # type: ignore[var-annotated]
    with contextlib.redirect_stdout(out):
        xgboost.train({"objective": "binary:logistic", "max_depth": 2}, sets["train"], 12,
                      [(data, name) for name, data in sets.items()],
                      evals_result=found)  # fmt: skip
    (folder / "boost.log").write_text(out.getvalue())
    steps = [float(step) for step in range(12)]
    curves: Curves = {
        f"{name}-logloss": (steps, [float(f"{v:.5f}") for v in found[name]["logloss"]])
        for name in sets
    }
    expect(folder, "boost.log", curves, "train-logloss", val="valid-logloss")


def _xgboost_fitted() -> tuple[str, dict[str, dict[str, list[float]]]]:
    """Fit XGBoost's scikit-learn estimator: what it prints, and its evals_result()."""
    xgboost: Any = import_module("xgboost")

    x, y = _table_data()
    model = xgboost.XGBClassifier(n_estimators=12, max_depth=2, eval_metric=["error", "logloss"])
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        model.fit(x[:150], y[:150], eval_set=[(x[:150], y[:150]), (x[150:], y[150:])])
    return out.getvalue(), model.evals_result()


def text_log_xgboost_fit(folder: Path) -> None:
    """Keep what XGBoost's scikit-learn estimator prints: its sets have numbers."""
    printed, found = _xgboost_fitted()
    (folder / "boost.log").write_text(printed)
    steps = [float(step) for step in range(12)]
    curves: Curves = {
        f"{name}-logloss": (steps, [float(f"{v:.5f}") for v in scores["logloss"]])
        for name, scores in found.items()
    }
    expect(folder, "boost.log", curves, "validation_0-logloss", val="validation_1-logloss")


def json_table_xgboost_fit(folder: Path) -> None:
    """Keep evals_result() of XGBoost's scikit-learn estimator."""
    _, found = _xgboost_fitted()
    (folder / "evals.json").write_text(json.dumps(found))
    steps = [float(step) for step in range(12)]
    curves: Curves = {f"{name}/logloss": (steps, s["logloss"]) for name, s in found.items()}
    expect(folder, "evals.json", curves, "validation_0/logloss", val="validation_1/logloss")


def text_log_spacy(folder: Path) -> None:
    """Keep what spacy train prints, colours included; its JSON lines say what the table rounds."""
    spacy: Any = import_module("spacy")
    docbin: Any = import_module("spacy.tokens").DocBin

    people, places = ["Anna", "Boris", "Carla", "David"], ["Paris", "Rome", "Oslo", "Lima"]
    rng, language = np.random.default_rng(0), spacy.blank("en")
    with tempfile.TemporaryDirectory() as work:
        for name, n in (("train", 60), ("dev", 20)):
            found = docbin()
            for _ in range(n):
                person, place = str(rng.choice(people)), str(rng.choice(places))
                doc = language(f"{person} went to {place} today .")
                begin = doc.text.index(place)
                doc.ents = [doc.char_span(0, len(person), "PERSON"),
                            doc.char_span(begin, begin + len(place), "GPE")]  # fmt: skip
                found.add(doc)
            found.to_disk(Path(work) / f"{name}.spacy")
        spacy_ = [sys.executable, "-m", "spacy"]
        subprocess.run([*spacy_, "init", "config", "c.cfg", "--pipeline", "ner"],
                       cwd=work, check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        done = subprocess.run(
            [*spacy_, "train", "c.cfg", "--paths.train", "train.spacy", "--paths.dev", "dev.spacy",
             "--training.max_steps", "60", "--training.eval_frequency", "5",
             "--training.logger.@loggers", "spacy.ConsoleLogger.v2",
             "--training.logger.output_file", "truth.jsonl"],
            cwd=work, check=True, capture_output=True, text=True)  # fmt: skip
        truth = [json.loads(line) for line in (Path(work) / "truth.jsonl").open()]
    (folder / "spacy.log").write_text(done.stdout)
    steps = [float(row["step"]) for row in truth]
    curves: Curves = {
        f"LOSS {part.upper()}": (steps, [round(row["losses"][part], 2) for row in truth])
        for part in ("tok2vec", "ner")
    }
    expect(folder, "spacy.log", curves, "LOSS TOK2VEC + LOSS NER")


def _tones(root: Path) -> None:
    """Say words of three tones, in the folders that ESPnet reads."""
    soundfile: Any = import_module("soundfile")

    rng, tones, moments = np.random.default_rng(0), {"a": 440, "b": 880, "c": 1320}, np.arange(2400)
    for part, count in (("train", 24), ("valid", 6)):
        (root / part).mkdir()
        lines: dict[str, list[str]] = {"wav.scp": [], "text": [], "shape": []}
        for number in range(count):
            word = "".join(rng.choice(list(tones), 3))
            wave = np.concatenate([0.3 * np.sin(moments * tones[tone] / 1273) for tone in word])
            wave += 0.01 * rng.normal(size=len(wave))
            soundfile.write(str(root / part / f"{number}.wav"), wave, 8000)
            for name, what in (("wav.scp", f"{part}/{number}.wav"), ("text", word),
                               ("shape", len(wave))):  # fmt: skip
                lines[name].append(f"u{number:02} {what}\n")
        for name, written in lines.items():
            (root / part / name).write_text("".join(written))
    (root / "tokens.txt").write_text("<blank>\n<unk>\na\nb\nc\n<sos/eos>\n")


def text_log_espnet(folder: Path) -> None:
    """Keep what asr_train logs; TensorBoard and the checkpoint say what the log rounds.

    The machine's name and the paths of Python and of ESPnet are put out of the way beforehand.
    """
    torch: Any = import_module("torch")
    events: Any = import_module("tensorboard.backend.event_processing.event_accumulator")

    program = (
        "import os, sys; of = os.uname(); "
        "os.uname = lambda: os.uname_result((of[0], 'node', *of[2:])); "
        "from espnet2.bin.asr_train import main; "
        "sys.executable, sys.argv[0] = 'python3', 'asr_train.py'; main()"
    )
    flags = [
        *("--max_epoch", "3", "--log_interval", "5", "--num_workers", "0", "--num_att_plot", "0"),
        *("--token_type", "char", "--token_list", "tokens.txt", "--output_dir", "exp"),
        *("--batch_type", "unsorted", "--batch_size", "2", "--frontend_conf", "fs=8k"),
        *("--normalize", "utterance_mvn", "--encoder", "transformer", "--decoder", "transformer"),
        *("--encoder_conf", "output_size=16", "--model_conf", "ctc_weight=0.3"),
        *("--optim", "adam", "--optim_conf", "lr=0.01", "--scheduler", "warmuplr"),
        *("--scheduler_conf", "warmup_steps=10"),
    ]
    for part in ("encoder", "decoder"):
        for size in ("attention_heads=2", "linear_units=16", "num_blocks=1"):
            flags += [f"--{part}_conf", size]
    for part in ("train", "valid"):
        flags += [f"--{part}_shape_file", f"{part}/shape"]
        for what in ("wav.scp,speech,sound", "text,text,text"):
            flags += [f"--{part}_data_path_and_name_and_type", f"{part}/{what}"]
    with tempfile.TemporaryDirectory() as work:
        _tones(Path(work))
        with (folder / "train.log").open("w") as log:
            subprocess.run([sys.executable, "-W", "ignore", "-c", program, *flags],
                           cwd=work, check=True, stdout=log, stderr=log)  # fmt: skip
        found = events.EventAccumulator(f"{work}/exp/tensorboard/train").Reload()
        names = ("loss", "loss_ctc", "loss_att", "acc", "grad_norm", "optim0_lr0")
        points = {name: [(point.step, point.value) for point in found.Scalars(name)]
                  for name in names}  # fmt: skip
        kept = torch.load(f"{work}/exp/checkpoint.pth", weights_only=False)["reporter"]["stats"]
    ends = [float(kept[epoch]["train"]["total_count"]) for epoch in kept]
    curves: Curves = {}
    for name, series in points.items():
        inside = [(float(step), value) for step, value in series if step not in ends]
        curves[name] = ([step for step, _ in inside], [_as_espnet(value) for _, value in inside])
    for part, prefix in (("train", "epoch"), ("valid", "valid")):
        for name in ("loss", "loss_ctc", "acc"):
            values = [_as_espnet(kept[epoch][part][name]) for epoch in kept]
            curves[f"{prefix}/{name}"] = (ends, values)
    expect(folder, "train.log", curves, "loss", val="valid/loss", lr="optim0_lr0",
           grad_norm="grad_norm")  # fmt: skip


def _as_espnet(value: float) -> float:
    return float(f"{value:.3f}" if 1e-3 < abs(value) < 1e3 else f"{value:.3e}")


def _fairseq_trained(log_format: str, path: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Train a tiny language model with fairseq-train, keep what it logs; TensorBoard says more."""
    events: Any = import_module("tensorboard.backend.event_processing.event_accumulator")

    rng = np.random.default_rng(0)
    run = [sys.executable, "-W", "ignore", "-c"]
    flags = [
        *("data", "--task", "language_modeling", "--arch", "transformer_lm", "--cpu"),
        *("--decoder-layers", "1", "--decoder-embed-dim", "16", "--decoder-ffn-embed-dim", "16"),
        *("--decoder-attention-heads", "2", "--tokens-per-sample", "16", "--batch-size", "4"),
        *("--optimizer", "adam", "--lr", "0.01", "--clip-norm", "1", "--max-epoch", "3"),
        *("--lr-scheduler", "inverse_sqrt", "--warmup-updates", "10", "--num-workers", "0"),
        *("--log-format", log_format, "--log-interval", "5", "--tensorboard-logdir", "truth"),
        *("--save-dir", "checkpoints", "--no-save"),
    ]
    with tempfile.TemporaryDirectory() as work:
        for name, count in (("train", 60), ("valid", 20)):
            walks = (rng.integers(0, 5) + rng.integers(0, 2, 15).cumsum() for _ in range(count))
            lines = [" ".join("abcdefgh"[place % 8] for place in walk) for walk in walks]
            (Path(work) / name).write_text("\n".join(lines) + "\n")
        subprocess.run(
            [*run, "from fairseq_cli.preprocess import cli_main; cli_main()", "--only-source",
             "--trainpref", "train", "--validpref", "valid", "--destdir", "data"],
            cwd=work, check=True, capture_output=True)  # fmt: skip
        done = subprocess.run([*run, "from fairseq_cli.train import cli_main; cli_main()", *flags],
                              cwd=work, check=True, capture_output=True, text=True)  # fmt: skip
        found = {part: events.EventAccumulator(f"{work}/truth/{part}").Reload()
                 for part in ("train_inner", "valid", "train")}  # fmt: skip
    # Above them stand the settings and the machine.
    lines = done.stdout.splitlines(keepends=True)
    begin = next(i for i, line in enumerate(lines) if "begin training epoch 1" in line)
    path.write_text("".join(lines[begin:]))
    return {
        f"{part}/{tag}": ([float(point.step) for point in events],
                          [float(f"{point.value:g}") for point in events])
        for part, kept in found.items()
        for tag in kept.Tags()["scalars"]
        for events in [kept.Scalars(tag)]
    }  # fmt: skip


def text_log_fairseq(folder: Path) -> None:
    """Keep what fairseq-train logs as JSON: since the last log, of an epoch, of a validation."""
    seen = _fairseq_trained("json", folder / "fairseq.log")
    curves: Curves = {tag: seen[f"train_inner/{tag}"] for tag in ("loss", "gnorm", "lr")}
    curves |= {"valid_loss": seen["valid/loss"], "epoch/loss": seen["train/loss"]}
    expect(folder, "fairseq.log", curves, "loss", val="valid_loss", lr="lr", grad_norm="gnorm")


def text_log_fairseq_simple(folder: Path) -> None:
    """Keep what fairseq-train logs into a file unasked: lines of words."""
    seen = _fairseq_trained("simple", folder / "fairseq.log")
    curves: Curves = {tag: seen[f"train_inner/{tag}"] for tag in ("loss", "gnorm", "lr")}
    curves |= {"valid/loss": seen["valid/loss"], "epoch/loss": seen["train/loss"]}
    expect(folder, "fairseq.log", curves, "loss", val="valid/loss", lr="lr", grad_norm="gnorm")


def text_log_buildnanogpt(folder: Path) -> None:
    """Keep what buildNanoGPT prints of a tiny GPT; its log.txt says the same.

    What it would fetch from the network is put out of the way.
    """
    from unittest import mock

    import torch

    others = {name: mock.MagicMock() for name in ("datasets", "requests", "tiktoken",
                                                  "transformers")}  # fmt: skip
    with mock.patch.dict(sys.modules, others):
        tool, model = import_module("buildNanoGPT.train"), import_module("buildNanoGPT.model")
    rng = np.random.default_rng(0)

    class Walks:
        B, T = 4, 16

        def reset(self) -> None:
            pass

        def next_batch(self) -> Any:
            walks = rng.integers(0, 32, (4, 1)) + rng.integers(0, 2, (4, 17)).cumsum(axis=1)
            tokens = torch.tensor(walks % 32)
            return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    out = io.StringIO()
    torch.manual_seed(0)
    with (
        tempfile.TemporaryDirectory() as scratch,
        contextlib.redirect_stdout(out),
        mock.patch.multiple(tool, hellaswag_eval=mock.Mock(), generate_text=mock.Mock()),
        mock.patch.object(torch, "save"),
    ):
        size = {"block_size": 16, "vocab_size": 32, "n_layer": 1, "n_head": 2, "n_embd": 16}
        settings = tool.TrainingConfig(total_batch_size=64, B=4, T=16, max_lr=0.02, max_steps=25,
                                       warmup_steps=5, val_check_steps=10)  # fmt: skip
        tool.train_GPT(model.GPT(master_process=True, config=model.GPTConfig(**size)), Walks(),
                       Walks(), settings, tool.DDPConfig(), log_dir=scratch)  # fmt: skip
        truth = [line.split() for line in (Path(scratch) / "log.txt").open()]
    (folder / "train.log").write_text(out.getvalue())
    points = {part: [(float(step), float(loss)) for step, kind, loss in truth if kind == part]
              for part in ("train", "val")}  # fmt: skip
    losses, judged = points["train"], points["val"]
    # A validation comes before the step that it belongs to: it stands at the step before.
    curves: Curves = {
        "loss": ([step for step, _ in losses], [loss for _, loss in losses]),
        "validation loss": ([step - 1 for step, _ in judged[1:]], [loss for _, loss in judged[1:]]),
    }
    expect(folder, "train.log", curves, "loss", val="validation loss", lr="lr", grad_norm="norm")


def text_log_megatron(folder: Path) -> None:
    """Keep what Megatron-Bridge's own functions print of numbers, as it trains on GPUs only.

    What they import beside, and do not need to print, is put out of the way.
    """
    from importlib.metadata import distribution
    from types import ModuleType, SimpleNamespace
    from unittest import mock

    import torch

    found = str(distribution("megatron-bridge").locate_file("megatron/bridge"))
    others: dict[str, Any] = {
        f"megatron.bridge.{name}": mock.MagicMock()
        for name in (
            "data", "data.finetuning", "data.iterator_utils", "training.callbacks",
            "training.config", "training.fault_tolerance", "training.state",
            "training.forward_step_func_types", "training.utils.flop_utils",
            "training.utils.mlflow_utils", "training.utils.pg_utils",
            "training.utils.theoretical_memory_utils",
        )
    }  # fmt: skip
    for name in ("", ".training", ".training.utils", ".utils"):
        package = others[f"megatron.bridge{name}"] = ModuleType(f"megatron.bridge{name}")
        package.__path__ = [f"{found}{name.replace('.', '/')}"]
    with mock.patch.dict(sys.modules, others):
        tool: Any = import_module("megatron.bridge.training.utils.train_utils")
        judge: Any = import_module("megatron.bridge.training.eval")
    tool.get_num_microbatches = lambda: 1
    tool.num_floating_point_operations = lambda *_: 1e12
    tool.print_rank_0 = print
    tool.reduce_max_stat_across_model_parallel_group = lambda stat, mp_group: stat

    state, config, totals = mock.MagicMock(), mock.MagicMock(), {}  # type: ignore[var-annotated]
    state.train_state = SimpleNamespace(step=0, consumed_train_samples=0, skipped_train_samples=0)
    state.tensorboard_logger = state.wandb_logger = state.mlflow_logger = None
    state.energy_monitor = config.profiling = None
    state.timers.return_value.elapsed.return_value = 31.7
    config.model.num_moe_experts = config.model.mtp_num_layers = None
    config.logger.timing_log_level, config.logger.log_interval = 0, 10
    config.logger.log_timers_to_tensorboard = config.logger.log_throughput = False
    config.train.micro_batch_size, config.train.train_iters, config.data_parallel_size = 4, 60, 1

    # In half precision the first steps are skipped until the scale of the loss fits.
    losses = [round(1024 * 4 * number) / 1024 for number in falling(60, 24)]
    rates = [3e-5 * min(step, 30) for step in range(1, 61)]
    norms = [*falling(60, 25)[:49], math.nan, *falling(60, 26)[:10]]
    valid = {20: 8.5, 40: 5.25, 60: 2.75}
    seen: dict[str, tuple[list[float], list[float]]] = {
        name: ([], [])
        for name in ("lm loss", "grad norm", "learning rate", "loss scale",
                     "validation/lm loss value")
    }  # fmt: skip
    kept: list[float] = []
    out, tensor = io.StringIO(), torch.tensor

    def note(name: str, step: int, number: float) -> None:
        seen[name][0].append(float(step))
        seen[name][1].append(number)

    with (
        contextlib.redirect_stdout(out),
        mock.patch.object(torch, "tensor", lambda *a, device=None, **k: tensor(*a, **k)),
    ):
        for step, loss in enumerate(losses, 1):
            skipped = step <= 12 or 25 < step <= 28
            scale = 2.0 ** (32 - step) if step <= 12 else 2.0**20
            norm = None if skipped else norms[step - 1]
            state.train_state.step, state.train_state.consumed_train_samples = step, 4 * step
            kept += [] if skipped else [loss]
            tool.training_log(
                {"lm loss": tensor([math.nan if skipped else loss])}, totals, rates[step - 1],
                None, scale, False, int(skipped), norm, None, None, config, state, [], [],
            )  # fmt: skip
            if step % 10 == 0:
                note("learning rate", step, float(f"{rates[step - 1]:.6E}"))
                note("loss scale", step, float(f"{scale:.1f}"))
                if kept:
                    note("lm loss", step, float(f"{np.mean(kept):.6E}"))
                if norm is not None:
                    note("grad norm", step, float(f"{norm:.3f}"))
                kept = []
            if step in valid:
                loss = valid[step]
                judge.evaluate = mock.Mock(return_value=({"lm loss": tensor(loss)}, None, False))
                judge.evaluate_and_print_results(
                    state, f"iteration {step}", None, None, [], config,
                    callback_manager=mock.MagicMock(),
                )  # fmt: skip
                note("validation/lm loss value", step, loss)
    (folder / "rank.out").write_text(out.getvalue())
    expect(folder, "rank.out", dict(seen), "lm loss", val="validation/lm loss value",
           lr="learning rate", grad_norm="grad norm")  # fmt: skip


def text_log_lightgbm(folder: Path) -> None:
    """Keep what lightgbm.train prints, closed by the best iteration over again."""
    lightgbm: Any = import_module("lightgbm")

    x, y = _table_data()
    train = lightgbm.Dataset(x[:150], y[:150])
    out, found = io.StringIO(), {}  # type: ignore[var-annotated]
    with contextlib.redirect_stdout(out):
        lightgbm.train(
            {"objective": "binary", "metric": ["auc", "binary_logloss"], "num_leaves": 4},
            train, 12, valid_sets=[train, lightgbm.Dataset(x[150:], y[150:], reference=train)],
            valid_names=["training", "valid_0"],
            callbacks=[lightgbm.log_evaluation(2), lightgbm.record_evaluation(found),
                       lightgbm.early_stopping(50)],
        )  # fmt: skip
    (folder / "boost.log").write_text(out.getvalue())
    steps = [float(step) for step in range(2, 13, 2)]
    curves: Curves = {
        f"{name}'s binary_logloss": (
            steps, [float(f"{v:g}") for v in found[name]["binary_logloss"]][1::2])
        for name in ("training", "valid_0")
    }  # fmt: skip
    expect(folder, "boost.log", curves, "training's binary_logloss",
           val="valid_0's binary_logloss")  # fmt: skip


def json_table_xgboost(folder: Path) -> None:
    """Keep evals_result of XGBoost, which LightGBM's record_evaluation looks like, too."""
    xgboost: Any = import_module("xgboost")

    x, y = _table_data()
    sets = {"train": xgboost.DMatrix(x[:150], y[:150]), "valid": xgboost.DMatrix(x[150:], y[150:])}
    found: dict[str, Any] = {}
    xgboost.train({"objective": "binary:logistic", "max_depth": 2}, sets["train"], 12,
                  [(data, name) for name, data in sets.items()], evals_result=found,
                  verbose_eval=False)  # fmt: skip
    (folder / "evals.json").write_text(json.dumps(found))
    steps = [float(step) for step in range(12)]
    curves: Curves = {f"{name}/logloss": (steps, found[name]["logloss"]) for name in sets}
    expect(folder, "evals.json", curves, "train/logloss", val="valid/logloss")


def dvclive_live(folder: Path) -> None:
    """One file a metric, in folders by the parts of its name."""
    dvclive: Any = import_module("dvclive")

    loss = falling(10, 8)
    loss[8:] = [math.nan, math.inf]
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):  # apart from git
        with dvclive.Live("dvclive", save_dvc_exp=False, dvcyaml=None) as live:
            for step in range(10):
                live.log_metric("train/loss", loss[step])
                live.log_metric("lr", 0.1)
                if step % 3 == 0:
                    live.log_metric("eval/loss", 0.5 + step)
                live.next_step()
        shutil.copytree("dvclive", folder / "dvclive")
    steps = [float(step) for step in range(10)]
    curves: Curves = {
        "train/loss": (steps, loss),
        "eval/loss": (steps[::3], [0.5 + step for step in steps[::3]]),
    }
    expect(folder, "dvclive", curves, "train/loss", val="eval/loss", lr="lr")


def _mmengine_trained(
    scratch: str, score: str, judge: Callable[[Any], Any], **settings: Any
) -> tuple[str, Curves]:
    """Train with mmengine's Runner; return its time, losses and scores, the means of `judge`."""
    import torch

    base_model: Any = import_module("mmengine.model").BaseModel
    base_metric: Any = import_module("mmengine.evaluator").BaseMetric
    base_hook: Any = import_module("mmengine.hooks").Hook
    seen: Curves = {"loss": ([], []), f"val/{score}": ([], [])}

    class Net(base_model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, x: Any, y: Any, mode: str = "loss") -> Any:
            wrong = self.layer(x) - y
            return {"loss": (wrong**2).mean()} if mode == "loss" else [float(judge(wrong))]

    class Score(base_metric):  # type: ignore[misc]
        def process(self, batch: Any, samples: Any) -> None:
            self.results += samples

        def compute_metrics(self, results: Any) -> dict[str, float]:
            return {score: float(np.mean(results))}

    class Keep(base_hook):  # type: ignore[misc]
        def after_train_iter(
            self, runner: Any, batch_idx: int, data_batch: Any, outputs: Any
        ) -> None:
            if (runner.iter + 1) % 5 == 0:
                cast(list[float], seen["loss"][0]).append(float(runner.iter + 1))
                cast(list[float], seen["loss"][1]).append(float(outputs["loss"]))

        def after_val_epoch(self, runner: Any, metrics: Any) -> None:
            cast(list[float], seen[f"val/{score}"][0]).append(float(runner.iter))
            cast(list[float], seen[f"val/{score}"][1]).append(metrics[score])

    torch.manual_seed(0)
    loaders = _loaders()
    with contextlib.redirect_stdout(io.StringIO()):
        runner = import_module("mmengine.runner").Runner(
            model=Net(), work_dir=scratch, train_dataloader=loaders[0],
            val_dataloader=loaders[1], val_evaluator=[Score()], val_cfg={},
            train_cfg={"by_epoch": True, "max_epochs": 3, "val_interval": 1},
            optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.05}, **settings},
            default_hooks={"logger": {"type": "LoggerHook", "interval": 5}},
            log_processor={"window_size": 1}, custom_hooks=[Keep()],
        )  # fmt: skip
        runner.train()
    return runner.timestamp, seen


def mmengine_runner(folder: Path) -> None:
    """vis_data/scalars.json, <time>.json and <time>.log of one training by epochs."""
    with tempfile.TemporaryDirectory() as scratch:
        name, seen = _mmengine_trained(scratch, "loss", lambda wrong: (wrong**2).mean())
        shutil.copytree(Path(scratch) / name, folder / "work" / name)
    text = folder / "work" / name / f"{name}.log"
    # Above them stand the machine and its paths.
    lines = [line for line in text.read_text().splitlines(keepends=True)
             if "INFO - Epoch(" in line]  # fmt: skip
    text.write_text("".join(lines))
    (folder / "work" / name / "vis_data" / "config.py").unlink(missing_ok=True)
    expect(folder, f"work/{name}", seen, "loss", val="val/loss", lr="lr")


def mmengine_no_loss_in_validation(folder: Path) -> None:
    """<time>.json alone: gradient norms, and a validation that knows the accuracy only."""
    with tempfile.TemporaryDirectory() as scratch:
        name, seen = _mmengine_trained(
            scratch, "accuracy/top1", lambda wrong: 100 * (abs(wrong) < 1).mean(dtype=float),
            clip_grad={"max_norm": 100},
        )  # fmt: skip
        shutil.copy(Path(scratch) / name / "vis_data" / f"{name}.json", folder)
    expect(folder, f"{name}.json", seen, "loss", lr="lr", grad_norm="grad_norm")


def mmengine_mmcv(folder: Path) -> None:
    """<time>.log.json and <time>.log of mmcv 1: epochs count anew, a growing rate ends in NaN."""
    import time

    import torch

    runners: Any = import_module("mmcv.runner")
    parallel: Any = import_module("mmcv.parallel").MMDataParallel
    utils: Any = import_module("mmcv.utils")
    seen: dict[bool, list[dict[str, float]]] = {True: [], False: []}

    class Net(runners.BaseModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def train_step(self, batch: Any, optimizer: Any) -> Any:
            near, far = ((self.layer(batch[0]) - batch[1]) ** 2).sort(dim=0).values.chunk(2)
            parts = {"loss_near": near.mean() / 2, "loss_far": far.mean() / 2}
            loss = sum(parts.values())
            losses = {name: float(part) for name, part in {**parts, "loss": loss}.items()}
            seen[self.training].append(losses)
            return {"loss": loss, "log_vars": losses, "num_samples": len(batch[0])}

        val_step = train_step

    torch.manual_seed(0)
    net, stamp = Net(), time.strftime("%Y%m%d_%H%M%S")
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        runner = runners.EpochBasedRunner(
            parallel(net, device_ids=[-1]), work_dir=scratch, max_epochs=3,
            optimizer=torch.optim.SGD(net.parameters(), 0.001), meta={"seed": 0, "exp_name": "net"},
            logger=utils.get_logger("mmcv", f"{scratch}/{stamp}.log"),
        )  # fmt: skip
        runner.timestamp = stamp
        runner.register_training_hooks(
            {"policy": "Exp", "gamma": 2, "by_epoch": False}, {"grad_clip": {"max_norm": math.inf}},
            log_config={"interval": 5, "hooks": [{"type": "TextLoggerHook"}]},
        )  # fmt: skip
        runner.run(_loaders(), [("train", 1), ("val", 1)])
        (folder / "work").mkdir()
        for suffix in ("log", "log.json"):
            shutil.copy(f"{scratch}/{stamp}.{suffix}", folder / "work")
    text = folder / "work" / f"{stamp}.log"
    # Above them stand the machine and its paths.
    text.write_text("".join(line for line in text.read_text().splitlines(keepends=True)
                            if "INFO - Epoch" in line))  # fmt: skip

    def means(rows: list[dict[str, float]], tag: str, count: int) -> list[float]:
        return [round(float(np.mean([row[tag] for row in rows[place : place + count]])), 5)
                for place in range(0, 30, count)]  # fmt: skip

    steps, ends = [5.0 * place for place in range(1, 7)], [10.0, 20.0, 30.0]
    curves: Curves = {tag: (steps, means(seen[True], tag, 5)) for tag in ("loss", "loss_far")}
    curves["val/loss"] = (ends, means(seen[False], "loss", 10))
    expect(folder, "work", curves, "loss", val="val/loss", lr="lr", grad_norm="grad_norm")


def _paddle_fit(*callbacks: Any, verbose: int) -> tuple[str, Curves]:
    """Train with Paddle's Model.fit; return what it printed and the losses it handed over."""
    paddle: Any = import_module("paddle")
    seen: Curves = {"train": ([], []), "eval": ([], [])}
    steps = [0.0]

    class Keep(paddle.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, step: int, logs: Any = None) -> None:
            steps[0] += 1
            cast(list[float], seen["train"][0]).append(steps[0])
            cast(list[float], seen["train"][1]).append(float(logs["loss"][0]))

        def on_eval_end(self, logs: Any = None) -> None:
            cast(list[float], seen["eval"][0]).append(steps[0])
            cast(list[float], seen["eval"][1]).append(float(logs["loss"][0]))

    paddle.seed(0)
    net = paddle.nn.Linear(4, 1)
    model = paddle.Model(net)
    model.prepare(paddle.optimizer.SGD(0.05, parameters=net.parameters()), paddle.nn.MSELoss())
    data = [paddle.io.TensorDataset([paddle.to_tensor(part) for part in _keras_data(seed, 80)])
            for seed in (0, 1)]  # fmt: skip
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        model.fit(*data, batch_size=8, epochs=3, verbose=verbose, log_freq=4, shuffle=False,
                  callbacks=[*callbacks, Keep()])  # fmt: skip
    return out.getvalue(), seen


def text_log_paddle(folder: Path) -> None:
    """Keep the progress bars of Paddle's Model.fit, with backspaces and an evaluation each."""
    text, seen = _paddle_fit(verbose=1)
    (folder / "stdout.txt").write_text(text)
    places = [place for place in range(30) if (place % 10 + 1) in (4, 8, 10)]
    curves: Curves = {
        "loss": ([seen["train"][0][place] for place in places],
                 [float(f"{seen['train'][1][place]:.4f}") for place in places]),
        "eval/loss": (seen["eval"][0], [float(f"{v:.4f}") for v in seen["eval"][1]]),
    }  # fmt: skip
    expect(folder, "stdout.txt", curves, "loss", val="eval/loss")


def visualdl_paddle(folder: Path) -> None:
    """Paddle's callback: training by steps, evaluation by epochs."""
    paddle: Any = import_module("paddle")

    _, seen = _paddle_fit(paddle.callbacks.VisualDL(str(folder / "vdl")), verbose=0)
    curves: Curves = {"train/loss": seen["train"], "eval/loss": seen["eval"]}
    expect(folder, "vdl", curves, "train/loss", val="eval/loss")


def _paddle_trained(tool: str, output: str, growth: float = 0.0, **settings: Any) -> Curves:
    """Train with PaddleNLP or PaddleFormers, maybe at a growing rate; return what was logged."""
    paddle: Any = import_module("paddle")
    trainer: Any = import_module(f"{tool}.trainer")
    seen: Curves = {"loss": ([], []), "eval_loss": ([], [])}

    class Net(paddle.nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = paddle.nn.Linear(4, 1)

        def forward(self, x: Any, labels: Any) -> Any:
            out = self.layer(x)
            return ((out - labels) ** 2).mean(), out

    class Data(paddle.io.Dataset):  # type: ignore[misc]
        def __init__(self, seed: int) -> None:
            self.x, self.y = _keras_data(seed, 80)

        def __len__(self) -> int:
            return len(self.x)

        def __getitem__(self, place: int) -> Any:
            return {"x": self.x[place], "labels": self.y[place]}

    class Keep(trainer.TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            for tag in seen:
                if tag in logs:
                    cast(list[float], seen[tag][0]).append(float(state.global_step))
                    cast(list[float], seen[tag][1]).append(float(logs[tag]))

    paddle.seed(0)
    arguments = trainer.TrainingArguments(
        output, max_steps=30, per_device_train_batch_size=8, logging_steps=5, eval_steps=10,
        evaluation_strategy="steps", report_to=[], seed=0, device="cpu", disable_tqdm=True,
        do_train=True, amp_master_grad=False, **settings,
    )  # fmt: skip
    net, steered = Net(), (None, None)
    if growth:
        rate = paddle.optimizer.lr.LambdaDecay(0.001, lambda step: growth**step)
        steered = (paddle.optimizer.SGD(rate, parameters=net.parameters()), rate)
    trainer.Trainer(model=net, args=arguments, train_dataset=Data(0), eval_dataset=Data(1),
                    callbacks=[Keep()], optimizers=steered).train()  # fmt: skip
    return seen


def text_log_paddleformers(folder: Path) -> None:
    """Keep the coloured lines of PaddleFormers' Trainer, which PaddleNLP's look like, too."""
    import logging

    logger = import_module("paddleformers.utils.log").logger.logger
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.handlers[0].formatter)
    logger.addHandler(handler)
    with tempfile.TemporaryDirectory() as scratch:
        seen = _paddle_trained("paddleformers", scratch, save_strategy="no", learning_rate=0.05)
    # Above them stand the settings with the paths of the machine.
    text = "".join(line for line in lines.getvalue().splitlines(keepends=True)
                   if "loss: " in line and "INFO" in line)  # fmt: skip
    (folder / "train.log").write_text(text)
    expect(folder, "train.log", seen, "loss", val="eval_loss", lr="learning_rate")


def trainer_state_paddlenlp(folder: Path) -> None:
    """Three checkpoints of a test of learning rates: infinity and NaN stay what they are."""
    with tempfile.TemporaryDirectory() as scratch:
        seen = _paddle_trained("paddlenlp", scratch, growth=2.0, save_steps=10, max_grad_norm=0.0)
        for state in Path(scratch).glob("checkpoint-*/trainer_state.json"):
            (folder / "out" / state.parent.name).mkdir(parents=True)
            shutil.copy(state, folder / "out" / state.parent.name)
    expect(folder, "out", seen, "loss", val="eval_loss", lr="learning_rate")


def text_log_lightning(folder: Path) -> None:
    """Keep Lightning's progress bar, which shows old numbers until it is drawn again."""
    import torch

    lightning: Any = import_module("lightning")
    callbacks: Any = import_module("lightning.pytorch.callbacks")
    seen: Curves = {"train_loss": ([], []), "val_loss": ([], [])}

    class Net(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, place: int) -> Any:
            loss = ((self.layer(batch[0]) - batch[1]) ** 2).mean()
            self.log("train_loss", loss, prog_bar=True)
            if (self.global_step + 1) % 5 == 0:
                cast(list[float], seen["train_loss"][0]).append(self.global_step + 1)
                cast(list[float], seen["train_loss"][1]).append(float(f"{float(loss):.3g}"))
            return loss

        def validation_step(self, batch: Any, place: int) -> None:
            self.log("val_loss", ((self.layer(batch[0]) - batch[1]) ** 2).mean(), prog_bar=True)

        def on_validation_epoch_end(self) -> None:
            if not self.trainer.sanity_checking:
                loss = float(self.trainer.callback_metrics["val_loss"])
                cast(list[float], seen["val_loss"][0]).append(float(self.global_step))
                cast(list[float], seen["val_loss"][1]).append(float(f"{loss:.3g}"))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.05)

    torch.manual_seed(0)
    loaders = _loaders()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        lightning.Trainer(
            max_epochs=3, logger=False, accelerator="cpu", enable_checkpointing=False,
            enable_model_summary=False, log_every_n_steps=1,
            callbacks=[callbacks.TQDMProgressBar(refresh_rate=5)],
        ).fit(Net(), *loaders)  # fmt: skip
    (folder / "stdout.txt").write_text(out.getvalue())
    expect(folder, "stdout.txt", seen, "train_loss", val="val_loss")


def text_log_keras_lines(folder: Path) -> None:
    """One line an epoch (verbose=2), without validation, and an evaluation at the end."""
    model = _keras_model()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        history = model.fit(*_keras_data(0), epochs=4, verbose=2, batch_size=16).history
        model.evaluate(*_keras_data(1, 160), verbose=2, batch_size=16)
    (folder / "stdout.txt").write_text(out.getvalue())
    curves: Curves = {"loss": ([1.0, 2.0, 3.0, 4.0], [float(f"{v:.4f}") for v in history["loss"]])}
    expect(folder, "stdout.txt", curves, "loss")


def text_log_keras_2(folder: Path) -> None:
    """Keep the bars of Keras 2, drawn over with backspaces, and two evaluations at the end.

    The one on the training set has as many batches as an epoch.
    """
    model = _keras_model()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        history = model.fit(*_keras_data(0), validation_data=_keras_data(1), epochs=4,
                            batch_size=16).history  # fmt: skip
        model.evaluate(*_keras_data(0), batch_size=16)
        model.evaluate(*_keras_data(2, 160), batch_size=16)
    (folder / "cell.stdout.txt").write_text(out.getvalue())
    curves: Curves = {tag: ([1.0, 2.0, 3.0, 4.0], [float(f"{v:.4f}") for v in history[tag]])
                      for tag in ("loss", "val_loss")}  # fmt: skip
    expect(folder, "cell.stdout.txt", curves, "loss", val="val_loss")


def _classifier() -> tuple[Callable[..., tuple[float, int]], list[Any]]:
    """Make a function that trains or tests on a batch, and batches to do both with."""
    import torch

    torch.manual_seed(0)
    net = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    x, y = (torch.tensor(part) for part in _table_data(240))
    data = [torch.utils.data.TensorDataset(x[part].float(), y[part])
            for part in (slice(160), slice(160, None))]  # fmt: skip

    def run(batch: Any, *, train: bool) -> tuple[float, int]:
        out = net(batch[0])
        loss: Any = torch.nn.functional.cross_entropy(out, batch[1])
        if train:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item(), int((out.argmax(1) == batch[1]).sum())

    return run, [torch.utils.data.DataLoader(part, batch_size=8) for part in data]


def text_log_pytorch_mnist(folder: Path) -> None:
    """Keep what a training prints with the words of PyTorch's example for MNIST.

    A test is put at the last step that was printed before it.
    """
    run, (train, test) = _classifier()
    seen: dict[str, tuple[list[float], list[float]]] = {
        "Loss": ([], []), "Test/Average loss": ([], [])
    }  # fmt: skip
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for epoch in (1, 2, 3):
            for place, batch in enumerate(train):
                loss, _ = run(batch, train=True)
                if place % 5 == 0:
                    share = 100 * place / len(train)
                    print(f"Train Epoch: {epoch} [{place * 8}/160 ({share:.0f}%)]\t"
                          f"Loss: {loss:.6f}")  # fmt: skip
                    seen["Loss"][0].append(160.0 * (epoch - 1) + 8 * place)
                    seen["Loss"][1].append(float(f"{loss:.6f}"))
            losses, right = zip(*(run(batch, train=False) for batch in test), strict=True)
            loss, share = float(np.mean(losses)), 100 * sum(right) / 80
            print(f"\nTest set: Average loss: {loss:.4f}, Accuracy: {sum(right)}/80 "
                  f"({share:.0f}%)\n")  # fmt: skip
            seen["Test/Average loss"][0].append(seen["Loss"][0][-1])
            seen["Test/Average loss"][1].append(float(f"{loss:.4f}"))
    (folder / "slurm-17.out").write_text(out.getvalue())
    expect(folder, "slurm-17.out", dict(seen), "Loss", val="Test/Average loss")


def text_log_pytorch_tutorial(folder: Path) -> None:
    """Keep what a training prints with the words of PyTorch's tutorial on transfer learning."""
    run, loaders = _classifier()
    seen: dict[str, tuple[list[float], list[float]]] = {
        "train Loss": ([], []), "val Loss": ([], [])
    }  # fmt: skip
    best, out = 0.0, io.StringIO()
    with contextlib.redirect_stdout(out):
        for epoch in range(5):
            print(f"Epoch {epoch}/4")
            print("-" * 10)
            for phase, batches in zip(("train", "val"), loaders, strict=True):
                found = [run(batch, train=phase == "train") for batch in batches]
                loss, share = (float(np.mean(part)) for part in zip(*found, strict=True))
                print(f"{phase} Loss: {loss:.4f} Acc: {share / 8:.4f}")
                seen[f"{phase} Loss"][0].append(float(epoch))
                seen[f"{phase} Loss"][1].append(float(f"{loss:.4f}"))
                best = max(best, share / 8) if phase == "val" else best
            print()
        print("Training complete in 0m 0s")
        print(f"Best val Acc: {best:4f}")
    (folder / "console.txt").write_text(out.getvalue())
    expect(folder, "console.txt", dict(seen), "train Loss", val="val Loss")


def _regression(rate: float, growth: float = 1.0) -> list[tuple[float, float, float]]:
    """Train at a rate that grows; return each epoch's loss, validation loss and share of hits."""
    weight: Any = np.zeros((4, 1), dtype="float32")
    rows: list[tuple[float, float, float]] = []
    (x, y), (u, v) = _keras_data(0), _keras_data(1)
    with np.errstate(all="ignore"):
        for epoch in range(8):
            wrong = x @ weight - y
            weight = weight - rate * growth**epoch * 2 * x.T @ wrong / len(x)
            judged = u @ weight - v
            rows.append((float((wrong**2).mean()), float((judged**2).mean()),
                         float((abs(judged) < 1).mean())))  # fmt: skip
    return rows


def text_log_printed(folder: Path) -> None:
    """Keep what a training prints by print and by logging, till it diverges."""
    import logging

    rows, out = _regression(0.1, 300.0), io.StringIO()
    best = math.inf
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("training")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    with contextlib.redirect_stdout(out):
        logger.info("Starting training")
        for epoch, (loss, val, share) in enumerate(rows, 1):
            print(f"Epoch {epoch}/8, Train Loss: {loss:.4f}, Val Loss: {val:.4f}, "
                  f"Val Acc: {share:.2%}")  # fmt: skip
            if val < best:
                print(f"Epoch {epoch}: val_loss improved from {best:.5f} to {val:.5f}, saving")
                best = val
        logger.info("Finished")
    (folder / "train.txt").write_text(out.getvalue())
    steps = [float(epoch) for epoch in range(1, 9)]
    curves: Curves = {
        "Train Loss": (steps, [float(f"{row[0]:.4f}") for row in rows]),
        "Val Loss": (steps, [float(f"{row[1]:.4f}") for row in rows]),
        "Val Acc": (steps, [round(100 * row[2], 2) for row in rows]),
    }
    expect(folder, "train.txt", curves, "Train Loss", val="Val Loss")


def json_table_orjson_sweep(folder: Path) -> None:
    """Keep the histories of a sweep by name, as orjson writes them: NaN and infinity are null."""
    orjson: Any = import_module("orjson")

    sweep = {"lr=0.1": _regression(0.1), "lr=10": _regression(10, 1e10)}
    steps = [float(epoch) for epoch in range(8)]
    logs: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name, rows in sweep.items():
        parts = {part: [row[place] for row in rows] for place, part in enumerate(("train", "val"))}
        logs[name] = {part: {"loss": series} for part, series in parts.items()}
        curves: Curves = {
            f"{part}/loss": (steps, [x if math.isfinite(x) else math.nan for x in series])
            for part, series in parts.items()
        }
        expect(folder, f"sweep.json#{name}", curves, "train/loss", val="val/loss")
    (folder / "sweep.json").write_bytes(orjson.dumps(logs))


def text_log_tqdm(folder: Path) -> None:
    """Keep the coloured bars of tqdm, which show a loss before its batch is counted."""
    tqdm: Any = import_module("tqdm").tqdm
    run, (train, _) = _classifier()
    losses: list[float] = []
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
    with contextlib.redirect_stderr(out):
        for epoch in range(3):
            bar = tqdm(train, desc=f"Epoch {epoch}", colour="green", miniters=5, mininterval=0)
            for batch in bar:
                losses.append(run(batch, train=True)[0])
                bar.set_postfix(loss=losses[-1])
    out.seek(0)
    (folder / "console.log").write_bytes(out.buffer.read())
    curves: Curves = {"loss": ([float(step) for step in range(5, 61, 5)],
                               [float(f"{loss:.3g}") for loss in losses[4::5]])}  # fmt: skip
    expect(folder, "console.log", curves, "loss")


def table_csv_long(folder: Path) -> None:
    """One row a value, as the csv module of Python writes it: NaN is a word."""
    import csv

    rows = _long_rows(folder, "log.csv")
    with (folder / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def table_pandas_appended(folder: Path) -> None:
    """DataFrame.to_csv after each part of a training: resumed once, then another run."""
    import pandas as pd

    loss, accuracy = [*falling(9, 30), *falling(4, 31)], [2.5 * place for place in range(13)]
    loss[12] = math.nan
    steps = [*(10.0 * place for place in range(9)), 0.0, 10.0, 20.0, 30.0]
    for part in (slice(4), slice(4, 9), slice(9, 13)):
        table = pd.DataFrame({"step": steps[part], "loss": loss[part], "acc": accuracy[part]})
        table["acc"] = table["acc"].map("{}%".format)
        table.astype({"step": int}).to_csv(folder / "log.tsv", mode="a", sep="\t", index=False,
                                           na_rep="NaN")  # fmt: skip
    for number, part in enumerate((slice(9), slice(9, 13)), 1):
        curves: Curves = {"loss": (steps[part], loss[part]), "acc": (steps[part], accuracy[part])}
        expect(folder, f"log.tsv#{number}", curves, "loss")


def table_tensorboard_export(folder: Path) -> None:
    """Take from a running TensorBoard what its button downloads, under the name it proposes."""
    import time
    from urllib.request import urlopen

    from torch.utils.tensorboard import SummaryWriter

    program: Any = import_module("tensorboard.program")
    loss = [float(np.float32(number)) for number in falling(12, 21)]
    loss[10:] = [math.inf, math.nan]
    steps = [100.0 * place for place in range(12)]
    with tempfile.TemporaryDirectory() as scratch:
        with SummaryWriter(f"{scratch}/exp1") as writer:
            for step, number in zip(steps, loss, strict=True):
                writer.add_scalar("train_loss", number, int(step))
        board = program.TensorBoard()
        board.configure(argv=["tensorboard", "--logdir", scratch, "--port", "0"])
        ask = "data/plugin/scalars/scalars?run=exp1&tag=train_loss&format=csv"
        address, text = board.launch(), b""
        while text.count(b"\n") < 13:
            time.sleep(1)
            with contextlib.suppress(OSError), urlopen(f"{address}{ask}") as answer:
                text = answer.read()
    name = "run-exp1-tag-train_loss.csv"
    (folder / name).write_bytes(text)
    expect(folder, name, {"train_loss": (steps, loss)}, "train_loss")


def table_tbparse(folder: Path) -> None:
    """Keep the long table that tbparse makes of event files; pandas writes their NaN as a blank."""
    from torch.utils.tensorboard import SummaryWriter

    tbparse: Any = import_module("tbparse")
    steps = [10.0 * place for place in range(8)]
    with tempfile.TemporaryDirectory() as scratch:
        for run, seed in (("calm", 27), ("proud", 29)):
            loss, val = (np.asarray(falling(8, seed + part), dtype=np.float32).tolist()
                         for part in (0, 1))  # fmt: skip
            if run == "proud":
                loss[5:] = [math.inf, math.nan, math.nan]
            with SummaryWriter(f"{scratch}/{run}") as writer:
                for place, step in enumerate(steps):
                    writer.add_scalar("train/loss", loss[place], int(step))
                    if place % 3 == 0:
                        writer.add_scalar("val/loss", val[place], int(step))
            curves: Curves = {"train/loss": (steps, loss), "val/loss": (steps[::3], val[::3])}
            expect(folder, f"scalars.csv#{run}", curves, "train/loss", val="val/loss")
        found = tbparse.SummaryReader(scratch, extra_columns={"dir_name", "wall_time"})
        found.scalars.to_csv(folder / "scalars.csv", index=False)


def table_pandas_semicolon(folder: Path) -> None:
    """DataFrame.to_csv as a German spreadsheet wants it: semicolons, decimal commas and a BOM."""
    import pandas as pd

    loss, val = falling(8, 22), falling(8, 23, end=0.6)
    rates, steps = [0.001 * 0.4**place for place in range(8)], [float(i) for i in range(1, 9)]
    table = pd.DataFrame({"Epoch": range(1, 9), "Train Loss": loss, "Val Loss": val, "LR": rates})
    table.loc[1::2, "Val Loss"] = math.nan
    table.to_csv(folder / "verlauf.csv", sep=";", decimal=",", index=False, encoding="utf-8-sig")
    curves: Curves = {"Train Loss": (steps, loss), "Val Loss": (steps[::2], val[::2]),
                      "LR": (steps, rates)}  # fmt: skip
    expect(folder, "verlauf.csv", curves, "Train Loss", val="Val Loss", lr="LR")


def table_ultralytics(folder: Path) -> None:
    """Keep results.csv of a tiny detector."""
    cv2: Any = import_module("cv2")
    yolo: Any = import_module("ultralytics").YOLO
    rng, seen = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as scratch:
        for split in ("train", "val"):
            for kind in ("images", "labels"):
                (Path(scratch) / kind / split).mkdir(parents=True)
            for number in range(8):
                picture = rng.integers(0, 60, (64, 64, 3)).astype("uint8")
                x, y = (int(place) for place in rng.integers(5, 40, 2))
                picture[y : y + 20, x : x + 20] = 220
                cv2.imwrite(f"{scratch}/images/{split}/{number}.png", picture)
                box = f"0 {(x + 10) / 64} {(y + 10) / 64} {20 / 64} {20 / 64}\n"
                (Path(scratch) / "labels" / split / f"{number}.txt").write_text(box)
        data = Path(scratch) / "data.yaml"
        data.write_text(f"path: {scratch}\ntrain: images/train\nval: images/val\nnames: [box]\n")
        model = yolo("yolov8n.yaml")
        model.add_callback("on_fit_epoch_end", lambda trainer: seen.append(
            {**trainer.label_loss_items(trainer.tloss), **trainer.metrics}))  # fmt: skip
        model.train(data=str(data), epochs=4, imgsz=64, batch=8, workers=0, device="cpu",
                    project=scratch, name="run", plots=False, amp=False)  # fmt: skip
        shutil.copy(Path(scratch) / "run" / "results.csv", folder / "results.csv")
    parts = {split: [f"{split}/{part}_loss" for part in ("box", "cls", "dfl")]
             for split in ("train", "val")}  # fmt: skip
    steps = [1.0, 2.0, 3.0, 4.0]
    curves: Curves = {
        tag: (steps, [float(f"{row[tag]:.6g}") for row in seen[:4]])
        for tags in parts.values()
        for tag in tags
    }
    expect(folder, "results.csv", curves, " + ".join(parts["train"]),
           val=" + ".join(parts["val"]), lr="lr/pg1")  # fmt: skip


def _boxes(root: Path) -> Path:
    """Draw pictures of dark and of bright boxes with their labels, as YOLO wants them."""
    cv2: Any = import_module("cv2")

    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(8):
            picture = rng.integers(0, 60, (64, 64, 3)).astype("uint8")
            x, y = (int(place) for place in rng.integers(5, 40, 2))
            picture[y : y + 20, x : x + 20] = (110, 220)[number % 2]
            cv2.imwrite(str(root / "images" / split / f"{number}.png"), picture)
            box = f"{number % 2} {(x + 10) / 64} {(y + 10) / 64} {20 / 64} {20 / 64}\n"
            (root / "labels" / split / f"{number}.txt").write_text(box)
    data = root / "data.yaml"
    data.write_text(f"path: {root}\ntrain: images/train\nval: images/val\nnames: [dark, bright]\n")
    return data


def table_yolov5(folder: Path) -> None:
    """Keep results.csv of a tiny YOLOv5, at a rate that makes NaN of its validation losses."""
    train: Any = import_module("yolov5.train")
    seen: list[list[float]] = []
    callbacks = import_module("yolov5.utils.callbacks").Callbacks()
    callbacks.register_action("on_fit_epoch_end", callback=lambda values, *_: seen.append(
        [float(value) for value in values]))  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        options = train.parse_opt(True)
        rates = Path(options.hyp).read_text().replace("lr0: 0.01", "lr0: 1000")
        (Path(scratch) / "hyp.yaml").write_text(rates)
        vars(options).update(
            data=str(_boxes(Path(scratch) / "data")), hyp=f"{scratch}/hyp.yaml", weights="",
            cfg="yolov5n.yaml", epochs=4, imgsz=64, batch_size=8, workers=0, device="cpu",
            project=scratch, name="run", noplots=True,
        )  # fmt: skip
        train.main(options, callbacks)
        shutil.copy(Path(scratch) / "run" / "results.csv", folder / "results.csv")
    parts = {split: [f"{split}/{part}_loss" for part in ("box", "obj", "cls")]
             for split in ("train", "val")}  # fmt: skip
    places = dict(zip([*parts["train"], *parts["val"], "x/lr0", "x/lr1"],
                      [0, 1, 2, 7, 8, 9, 10, 11], strict=True))  # fmt: skip
    steps = [float(step) for step in range(len(seen))]
    curves: Curves = {
        tag: (steps, [float(f"{row[place]:.5g}") for row in seen]) for tag, place in places.items()
    }
    expect(folder, "results.csv", curves, " + ".join(parts["train"]),
           val=" + ".join(parts["val"]), lr="x/lr1")  # fmt: skip


def text_log_paddledetection(folder: Path) -> None:
    """Keep what the Trainer of PaddleDetection logs of a YOLOv3: medians since the last log."""
    import logging

    cv2: Any = import_module("cv2")
    engine: Any = import_module("ppdet.engine")
    merge: Any = import_module("ppdet.core.workspace").merge_config
    names, seen = ("loss", "loss_obj", "loss_cls"), []

    class Keep(import_module("ppdet.engine.callbacks").Callback):  # type: ignore[misc]
        def on_step_end(self, status: Any) -> None:
            found = status["training_staus"].meters
            seen.append([status["learning_rate"], *(float(found[name].value) for name in names)])

    def annotations(root: Path) -> dict[str, Any]:
        pictures, boxes = [], []
        for path in sorted((root / "labels" / "train").iterdir()):
            kind, x, y, *_ = (float(word) for word in path.read_text().split())
            name, number = f"{path.stem}.png", int(path.stem)
            height, width = cv2.imread(str(root / "images" / "train" / name)).shape[:2]
            pictures.append({"id": number, "file_name": name, "height": height, "width": width})
            boxes.append({"id": number, "image_id": number, "category_id": int(kind), "area": 400,
                          "bbox": [x * 64 - 10, y * 64 - 10, 20, 20], "iscrowd": 0})  # fmt: skip
        kinds = [{"id": number, "name": name} for number, name in enumerate(("dark", "bright"))]
        return {"images": pictures, "annotations": boxes, "categories": kinds}

    logger, lines = logging.getLogger("ppdet.engine"), io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.handlers[0].formatter)
    logger.addHandler(handler)
    with tempfile.TemporaryDirectory() as scratch:
        _boxes(Path(scratch))
        (Path(scratch) / "boxes.json").write_text(json.dumps(annotations(Path(scratch))))
        data = import_module("ppdet.data").COCODataSet(
            dataset_dir=scratch, image_dir="images/train", anno_path="boxes.json",
            data_fields=["image", "gt_bbox", "gt_class"],
        )  # fmt: skip
        anchors = {"anchors": [[10, 10], [14, 14], [20, 20]], "anchor_masks": [[0, 1, 2]]}
        reader = {
            "sample_transforms": [
                {"Decode": {}},
                {"Resize": {"target_size": [64, 64], "keep_ratio": False}},
                {"NormalizeBox": {}}, {"PadBox": {"num_max_boxes": 4}}, {"BboxXYXY2XYWH": {}},
                {"NormalizeImage": {"mean": [0.5] * 3, "std": [0.25] * 3, "is_scale": True}},
                {"Permute": {}},
            ],
            "batch_transforms": [{"Gt2YoloTarget": {**anchors, "downsample_ratios": [32]}}],
            "batch_size": 1, "shuffle": True, "drop_last": True,
        }  # fmt: skip
        rate = {"base_lr": 0.0005, "schedulers": [
            {"name": "PiecewiseDecay", "gamma": 0.1, "milestones": [4]},
            {"name": "LinearWarmup", "start_factor": 0.1, "steps": 20}]}  # fmt: skip
        config = merge({
            "architecture": "YOLOv3", "TrainDataset": data, "TrainReader": reader,
            "TestReader": {"sample_transforms": reader["sample_transforms"]},
            "YOLOv3": {"backbone": "MobileNet", "neck": "YOLOv3FPN", "yolo_head": "YOLOv3Head",
                       "post_process": None},
            "MobileNet": {"feature_maps": [13]}, "YOLOv3Head": anchors,
            "LearningRate": rate,
            "OptimizerBuilder": {"optimizer": {"type": "Momentum", "momentum": 0.9},
                                 "regularizer": None},
            "num_classes": 2, "norm_type": "bn", "use_gpu": False, "epoch": 5, "log_iter": 4,
            "snapshot_epoch": 9, "save_dir": scratch, "worker_num": 0, "metric": "COCO",
            "filename": "yolov3",
        })  # fmt: skip
        trainer = engine.Trainer(config, mode="train")
        trainer.register_callbacks([Keep(trainer)])
        trainer.train()
    (folder / "ppdet.log").write_text(lines.getvalue())
    steps = range(0, len(seen), 4)
    at, rates = [float(step) for step in steps], [seen[step][0] for step in steps]
    curves: Curves = {"learning_rate": (at, [float(f"{rate:.6f}") for rate in rates])}
    for place, name in enumerate(names, 1):
        series = np.array([row[place] for row in seen], dtype=np.float32)
        medians = [float(np.median(series[max(0, step - 3) : step + 1])) for step in steps]
        curves[name] = (at, [float(f"{number:.6f}") for number in medians])
    expect(folder, "ppdet.log", curves, "loss", lr="learning_rate")


def json_table_detectron2(folder: Path) -> None:
    """Keep metrics.json of a tiny RetinaNet, whose losses are medians of 20 steps."""
    config, trainer = import_module("detectron2.config"), import_module("detectron2.engine")
    data: Any = import_module("detectron2.data")
    boxes: Any = import_module("detectron2.structures").BoxMode
    names, seen = ("total_loss", "loss_cls", "loss_box_reg"), []

    class Keep(trainer.HookBase):  # type: ignore[misc, name-defined]
        def after_step(self) -> None:
            latest = self.trainer.storage.latest()
            seen.append([latest[name][0] for name in (*names, "lr")])

    def pictures(root: Path) -> list[dict[str, Any]]:
        found = []
        for path in sorted((root / "labels" / "train").iterdir()):
            kind, x, y, *_ = (float(word) for word in path.read_text().split())
            box = {"bbox": [x * 64 - 10, y * 64 - 10, 20, 20], "bbox_mode": boxes.XYWH_ABS,
                   "category_id": int(kind)}  # fmt: skip
            picture = root / "images" / "train" / f"{path.stem}.png"
            found.append({"file_name": str(picture), "height": 64, "width": 64,
                          "image_id": int(path.stem), "annotations": [box]})  # fmt: skip
        return found

    cfg = config.get_cfg()
    cfg.merge_from_list([
        "MODEL.META_ARCHITECTURE", "RetinaNet", "MODEL.WEIGHTS", "", "MODEL.DEVICE", "cpu",
        "MODEL.BACKBONE.NAME", "build_retinanet_resnet_fpn_backbone", "MODEL.RESNETS.DEPTH", 18,
        "MODEL.RESNETS.RES2_OUT_CHANNELS", 64, "MODEL.RESNETS.NORM", "BN",
        "MODEL.RESNETS.OUT_FEATURES", ["res3", "res4", "res5"],
        "MODEL.FPN.IN_FEATURES", ["res3", "res4", "res5"], "MODEL.FPN.OUT_CHANNELS", 32,
        "MODEL.BACKBONE.FREEZE_AT", 0, "MODEL.RETINANET.NUM_CLASSES", 2,
        "MODEL.RETINANET.NUM_CONVS", 1, "MODEL.ANCHOR_GENERATOR.SIZES",
        [[8], [16], [32], [64], [128]], "DATASETS.TRAIN", ["boxes"], "DATASETS.TEST", [],
        "DATALOADER.NUM_WORKERS", 0, "INPUT.MIN_SIZE_TRAIN", [64], "SOLVER.IMS_PER_BATCH", 2,
        "SOLVER.MAX_ITER", 90, "SOLVER.STEPS", [60], "SOLVER.WARMUP_ITERS", 30, "SEED", 0,
    ])  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        _boxes(Path(scratch) / "data")
        data.DatasetCatalog.register("boxes", lambda: pictures(Path(scratch) / "data"))
        data.MetadataCatalog.get("boxes").thing_classes = ["dark", "bright"]
        cfg.OUTPUT_DIR = scratch
        tool = trainer.DefaultTrainer(cfg)
        tool.register_hooks([Keep()])
        tool.train()
        shutil.copy(Path(scratch) / "metrics.json", folder / "metrics.json")
    steps = [19, 39, 59, 79, 89]  # the last ones are written once more at the end
    medians = {name: [float(np.median([row[i] for row in seen[max(0, step - 19) : step + 1]]))
                      for step in steps] for i, name in enumerate(names)}  # fmt: skip
    curves: Curves = {name: (steps, values) for name, values in medians.items()}
    curves["lr"] = (steps, [seen[step][3] for step in steps])
    expect(folder, "metrics.json", curves, "total_loss", lr="lr")


def json_table_deepobs(folder: Path) -> None:
    """Diverge with DeepOBS, which fills the epochs that are left with the first values."""
    import torch

    runner: Any = import_module("deepobs.pytorch.runners").StandardRunner
    seen: dict[str, list[float]] = {}

    class Keep(runner):  # type: ignore[misc]
        def training(self, *args: Any, **settings: Any) -> Any:
            output = super().training(*args, **settings)
            seen.update(output)
            return output

    del sys.argv[1:]  # the runner would read them
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        Keep(torch.optim.SGD, {"lr": {"type": float}}).run(
            testproblem="quadratic_deep", hyperparams={"lr": 0.1}, num_epochs=6, batch_size=128,
            output_dir=scratch, train_log_interval=1, no_logs=False, random_seed=42,
            print_train_iter=False,
        )  # fmt: skip
        (log,) = Path(scratch).rglob("*.json")
        shutil.copy(log, folder)
    names = ("train_losses", "valid_losses", "test_losses", "minibatch_train_losses")
    curves: Curves = {name: (list(map(float, range(len(seen[name])))), seen[name])
                      for name in names}  # fmt: skip
    expect(folder, log.name, curves, "train_losses", val="valid_losses")


def wandb_offline(folder: Path) -> None:
    """Log an offline run with NaN, inf, nested names and a record longer than a block.

    The release of wandb that is installed writes it; the case's name says which one it was.
    """
    import os

    os.environ |= {
        "WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off",
        "WANDB_HOST": "demo", "WANDB_DISABLE_CODE": "true", "WANDB_DISABLE_GIT": "true",
        "WANDB_X_DISABLE_META": "true", "WANDB_X_DISABLE_STATS": "true",
        "WANDB_X_DISABLE_MACHINE_INFO": "true", "WANDB__DISABLE_META": "true",
        "WANDB__DISABLE_STATS": "true", "WANDB__DISABLE_MACHINE_INFO": "true",
    }  # fmt: skip
    wandb: Any = import_module("wandb")

    steps = [float(step) for step in range(0, 200, 10)]
    loss, val = falling(20, 7), falling(20, 8, end=0.6)
    loss[17:] = [math.inf, math.nan, -math.inf]
    with tempfile.TemporaryDirectory() as scratch:
        with wandb.init(project="demo", id="demo0001", name="demo", dir=scratch) as run:
            for place, step in enumerate(steps):
                run.log({"train/loss": loss[place], "lr": 0.1, "note": "text"}, step=int(step))
                if place % 5 == 0:
                    run.log({"eval": {"loss": val[place]}, "ok": True}, step=int(step))
            run.log({'\U0001f600 "quoted"\n': 1.0, "page": "x" * 40_000}, step=200)
        (log,) = Path(scratch).glob("wandb/offline-run-*/*.wandb")
        if scratch.encode() in log.read_bytes():
            raise SystemExit("the log names a folder of this machine")
        inside = folder / "wandb" / log.parent.name
        inside.mkdir(parents=True)
        shutil.copy(log, inside)
    curves: Curves = {
        "train/loss": (steps, loss),
        "lr": (steps, [0.1] * 20),
        "eval.loss": (steps[::5], val[::5]),
        '\U0001f600 "quoted"\n': ([200.0], [1.0]),
    }
    expect(folder, f"wandb/{inside.name}", curves, "train/loss", val="eval.loss", lr="lr")


def _mlflow_runs(folder: Path, uri: str, prefix: str) -> None:
    """Log two runs that stay and one that is deleted; expect the two in the order of their ids."""
    import os

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    mlflow: Any = import_module("mlflow")
    entities: Any = import_module("mlflow.entities")

    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("demo", artifact_location="mlflow-artifacts:/demo")
    steps, logged = [float(step) for step in range(0, 120, 10)], {}
    for seed in (9, 10, 11):
        run_id = client.create_run(experiment, run_name=f"seed {seed}").info.run_id
        loss = falling(12, seed)
        loss[9:] = [math.inf, -math.inf, math.nan]
        curves: Curves = {
            "train/loss": (steps, loss),
            "val loss": (steps[::5], [number + 0.1 for number in loss[::5]]),
            "grad_norm": (steps, falling(12, seed + 1)),
        }
        for tag, (at, values) in curves.items():
            points = zip(at, values, strict=True)
            client.log_batch(
                run_id, [entities.Metric(tag, v, int(1.7e12 + s), int(s)) for s, v in points]
            )
        for number in loss[:4]:
            client.log_metric(run_id, "no_step", number)
        client.log_param(run_id, "lr", 0.1)
        client.set_terminated(run_id)
        logged[run_id] = {**curves, "no_step": ([0.0, 1.0, 2.0, 3.0], loss[:4])}
    client.delete_run(run_id)
    del logged[run_id]
    for run_id in sorted(logged):
        part = f"{prefix}{experiment}/{run_id}" if prefix.endswith("/") else f"{prefix}#{run_id}"
        expect(folder, part, logged[run_id], "train/loss", val="val loss", grad_norm="grad_norm")


def mlflow_files(folder: Path) -> None:
    """Log to the file store: NaN and inf, a name with a slash, a deleted run."""
    _mlflow_runs(folder, (folder / "mlruns").as_uri(), "mlruns/")
    shutil.rmtree(folder / "mlruns" / "0")  # the empty default experiment names this machine
    for path in sorted((folder / "mlruns").rglob("*")):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()  # git keeps no empty folders


def mlflow_sqlite(folder: Path) -> None:
    """Log to the SQLite store; the many empty tables are then written as small pages."""
    import sqlite3

    _mlflow_runs(folder, f"sqlite:///{folder}/mlflow.db", "mlflow.db")
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        # The default experiment names a folder of this machine.
        connection.execute("UPDATE experiments SET artifact_location = 'mlflow-artifacts:/demo'")
        connection.commit()
        connection.executescript("PRAGMA page_size = 512; VACUUM;")


def trackio_database(folder: Path) -> None:
    """Log two runs; NaN and inf are words in JSON."""
    import os
    import sqlite3

    logged: list[tuple[str, Curves]] = []
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        os.environ |= {"TRACKIO_DIR": scratch, "HF_HUB_OFFLINE": "1"}
        trackio: Any = import_module("trackio")
        for name, seed in (("calm sea", 12), ("proud sun", 13)):
            trackio.init(project="demo", name=name, auto_log_gpu=False)
            loss, val = falling(15, seed), falling(15, seed + 1, end=0.6)
            loss[12:] = [math.inf, math.nan, -math.inf]
            for place in range(15):
                row = {"train": {"loss": loss[place]}, "lr": 0.1, "note": "text"}
                if place % 5 == 0:
                    row["val_loss"] = val[place]
                trackio.log(row, step=place * 10)
            trackio.finish()
            steps = [10.0 * place for place in range(15)]
            curves: Curves = {
                "train/loss": (steps, loss),
                "val_loss": (steps[::5], val[::5]),
                "lr": (steps, [0.1] * 15),
            }
            logged.append((name, curves))
        shutil.copy(Path(scratch) / "demo.db", folder)
    with contextlib.closing(sqlite3.connect(folder / "demo.db")) as connection:
        small = "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM;"
        connection.executescript(f"{small} PRAGMA journal_mode = WAL;")
    for name, curves in logged:
        expect(folder, f"demo.db#{name}", curves, "train/loss", val="val_loss", lr="lr")


def parquet_pandas(folder: Path) -> None:
    """DataFrame.to_parquet: NaN becomes null, the index without a name a column."""
    import pandas as pd

    loss = falling(12, 14)
    diverged = [*loss[:9], math.nan, math.nan, math.nan]
    table = pd.DataFrame({"loss": diverged, "acc": [i / 12 for i in range(12)], "note": "text"})
    table.index += 5
    table.to_parquet(folder / "log.parquet", index=True)
    steps = [float(step) for step in range(5, 17)]
    expect(folder, "log.parquet", {"loss": (steps, diverged)}, "loss")


def parquet_history(folder: Path) -> None:
    """Write what W&B exports as the history of a run: a column a metric, null between them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    loss, val = falling(15, 15), falling(15, 16, end=0.6)
    loss[12:] = [math.inf, math.nan, -math.inf]
    steps = [10.0 * place for place in range(15)]
    rows = [
        {"_step": int(step), "_runtime": step / 7, "_timestamp": 1.7e9 + step, "lr": 0.1,
         "train/loss": loss[place], "eval": {"loss": val[place] if place % 5 == 0 else None}}
        for place, step in enumerate(steps)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "0000.parquet")
    curves: Curves = {
        "train/loss": (steps, loss),
        "eval.loss": (steps[::5], val[::5]),
        "lr": (steps, [0.1] * 15),
    }
    expect(folder, "0000.parquet", curves, "train/loss", val="eval.loss", lr="lr")


def _long_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """Make rows of one value each, those of two runs mixed, and expect them of a file."""
    steps = [10.0 * place for place in range(12)]
    loss = {"b": falling(12, 17), "a": [*falling(12, 18)[:10], math.nan, math.inf]}
    val = {"b": falling(12, 19), "a": falling(12, 20)}
    for run in loss:
        curves: Curves = {"loss": (steps, loss[run]), "val_loss": (steps, val[run])}
        expect(folder, f"{name}#{run}", curves, "loss", val="val_loss")
    return [
        {"run_id": run, "tag": tag, "step": int(step), "value": series[run][place]}
        for place, step in enumerate(steps)
        for run in loss
        for tag, series in (("loss", loss), ("val_loss", val))
    ]


def parquet_long(folder: Path) -> None:
    """Write one row a value, the rows of two runs mixed, in several row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = _long_rows(folder, "metrics.parquet")
    pq.write_table(pa.Table.from_pylist(rows), folder / "metrics.parquet", row_group_size=7)


def parquet_lists(folder: Path) -> None:
    """Write one row a run and tag, with its steps and values as lists of different lengths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for run, length in (("first", 9), ("second", 13)):
        loss, steps = falling(length, length), [5.0 * place for place in range(length)]
        loss[-1] = math.nan
        val, at = falling(length, length + 1, end=0.6)[::4], steps[::4]
        rows.append({"run_id": run, "tag": "loss", "step": steps, "value": loss})
        rows.append({"run_id": run, "tag": "val_loss", "step": at, "value": val})
        curves: Curves = {"loss": (steps, loss), "val_loss": (at, val)}
        expect(folder, f"runs.parquet#{run}", curves, "loss", val="val_loss")
    pq.write_table(pa.Table.from_pylist(rows), folder / "runs.parquet")


CASES: dict[str, Callable[[Path], None]] = {
    "wandb/release_0_31": wandb_offline,
    "wandb/release_0_17": wandb_offline,
    "mlflow_files/client": mlflow_files,
    "mlflow_sqlite/client": mlflow_sqlite,
    "trackio/project": trackio_database,
    "parquet/pandas": parquet_pandas,
    "parquet/wandb_history": parquet_history,
    "parquet/long": parquet_long,
    "parquet/lists": parquet_lists,
    "tensorboard/torch": tensorboard_torch,
    "tensorboard/torch_add_scalars": tensorboard_torch_add_scalars,
    "tensorboard/torch_resumed": tensorboard_torch_resumed,
    "tensorboard/keras": tensorboard_keras,
    "trainer_state/huggingface": trainer_state_huggingface,
    "trainer_state/huggingface_saved": trainer_state_saved,
    "trainer_state/paddlenlp": trainer_state_paddlenlp,
    "lightning_csv/trainer": lightning_csv_trainer,
    "keras_csv/csv_logger": keras_csv_logger,
    "keras_csv/rare_validation": keras_csv_no_validation,
    "json_table/keras_history": json_table_keras_history,
    "json_table/pandas": json_table_pandas,
    "json_table/pandas_records": json_table_pandas_records,
    "table/pandas": table_pandas,
    "table/numpy": table_numpy,
    "table/pandas_semicolon": table_pandas_semicolon,
    "table/tbparse": table_tbparse,
    "table/csv_long": table_csv_long,
    "table/pandas_appended": table_pandas_appended,
    "table/tensorboard_export": table_tensorboard_export,
    "text_log/pytorch_mnist": text_log_pytorch_mnist,
    "text_log/pytorch_tutorial": text_log_pytorch_tutorial,
    "text_log/tqdm": text_log_tqdm,
    "text_log/printed": text_log_printed,
    "text_log/keras": text_log_keras,
    "text_log/huggingface": text_log_huggingface,
    "text_log/xgboost": text_log_xgboost,
    "text_log/lightgbm": text_log_lightgbm,
    "json_table/xgboost": json_table_xgboost,
    "text_log/xgboost_fit": text_log_xgboost_fit,
    "json_table/xgboost_fit": json_table_xgboost_fit,
    "text_log/spacy": text_log_spacy,
    "text_log/espnet": text_log_espnet,
    "text_log/megatron": text_log_megatron,
    "text_log/buildnanogpt": text_log_buildnanogpt,
    "text_log/fairseq": text_log_fairseq,
    "text_log/fairseq_simple": text_log_fairseq_simple,
    "text_log/lightning": text_log_lightning,
    "text_log/paddle": text_log_paddle,
    "text_log/paddleformers": text_log_paddleformers,
    "text_log/paddledetection": text_log_paddledetection,
    "text_log/keras_lines": text_log_keras_lines,
    "text_log/keras_2": text_log_keras_2,
    "table/ultralytics": table_ultralytics,
    "table/yolov5": table_yolov5,
    "json_table/detectron2": json_table_detectron2,
    "json_table/deepobs": json_table_deepobs,
    "json_table/orjson_sweep": json_table_orjson_sweep,
    "visualdl/writer": visualdl_writer,
    "visualdl/paddle": visualdl_paddle,
    "catboost/pool": catboost_pool,
    "dvclive/live": dvclive_live,
    "mmengine/runner": mmengine_runner,
    "mmengine/no_loss_in_validation": mmengine_no_loss_in_validation,
    "mmengine/mmcv": mmengine_mmcv,
}


def main(names: list[str]) -> None:
    for name in names or CASES:
        folder = ARCHIVES / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        CASES[name](folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{name}: {size / 1024:.1f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
