"""An archive of CSV files: curvet's route beside pandas, tsfresh and scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curvet.archive import diagnose_paths
from curvet.features import extract_features
from curvet.predictor import Predictor, make_inputs
from curvet.readers import read
from curvet.roles import assign
from curvet.standardise import standardise_many
from curvet.trials import read_trial

from .clock import cpu, wall


def write_archive(folder: Path, field: Path, n_runs: int, n_points: int) -> list[Path]:
    """Write real runs as CSV files of one length: step, training and validation loss."""
    folder.mkdir(parents=True)
    runs = [trial.run for trial in read_trial(field) if trial.group == "per step"]
    paths = []
    for number in range(n_runs):
        curves = runs[number % len(runs)].curves
        at = np.linspace(0, 1, n_points)
        columns = []
        for tag in ("loss", "val"):
            value = curves[tag].value if tag in curves else curves["loss"].value
            columns.append(np.interp(at, np.linspace(0, 1, len(value)), value))
        rows = [
            f"{step},{train:.7g},{val:.7g}"
            for step, (train, val) in enumerate(zip(*columns, strict=True))
        ]
        paths.append(folder / f"{number:06d}.csv")
        paths[-1].write_text("\n".join(["step,train_loss,val_loss", *rows, ""]), encoding="utf-8")
    return paths


def by_curvet(folder: Path, predictor: Predictor, n: int) -> dict[str, float]:
    """CPU seconds per 1,000 runs of each part, on one thread."""
    parse, runs = cpu(lambda: list(read(folder)), 3)
    features, inputs = cpu(lambda: make_inputs(standardise_many([assign(r) for r in runs])), 3)
    models, _ = cpu(lambda: predictor.probabilities(inputs), 3)
    whole, _ = cpu(lambda: list(diagnose_paths([folder], predictor)), 3)
    parts = {"parse": parse, "features": features, "models": models}
    parts["route"] = parse + features + models
    parts["diagnoses, with evidence"] = whole
    return {name: seconds / n * 1000 for name, seconds in parts.items()}


def off_the_shelf(paths: Sequence[Path]) -> dict[str, float]:
    """Measure the same for pandas, tsfresh and scikit-learn."""
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier
    from tsfresh import extract_features as tsfresh_extract
    from tsfresh.feature_extraction import EfficientFCParameters
    from tsfresh.utilities.dataframe_functions import impute

    def table() -> Any:
        every = pd.concat([pd.read_csv(path).assign(id=i) for i, path in enumerate(paths)])
        return every.replace([np.inf, -np.inf], np.nan).dropna()  # tsfresh refuses both

    def features() -> Any:
        return tsfresh_extract(
            frame,
            column_id="id",
            column_sort="step",
            default_fc_parameters=EfficientFCParameters(),
            n_jobs=0,
            disable_progressbar=True,
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parse, frame = cpu(table)
        extraction, found = cpu(features)
        imputing, filled = cpu(lambda: impute(found))
        x = np.tile(filled.to_numpy(), (max(1, 200 // len(filled)), 1))
        y = np.arange(len(x)) % 20
        model = HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=16).fit(x, y)
        models, _ = cpu(lambda: model.predict_proba(x))
    n = len(paths)
    parts = {
        "parse": parse / n,
        "features": (extraction + imputing) / n,
        "models": models / len(x) * 16,  # of 160 iterations, as curvet's
    }
    return {name: 1000 * s for name, s in {**parts, "route": sum(parts.values())}.items()}


def long_runs(field: Path, folder: Path, n_points: int) -> dict[str, float]:
    """CPU seconds per 1,000 runs of many points: features by curvet and by tsfresh."""
    paths = write_archive(folder, field, 20, n_points)
    runs = [assign(run) for run in read(folder)]
    curvet, _ = cpu(lambda: extract_features(standardise_many(runs)), 2)
    theirs = off_the_shelf(paths[1:2])
    return {"curvet": curvet / len(runs) * 1000, "tsfresh": theirs["features"]}


def all_cores(paths: Sequence[Path], few: Sequence[Path], cores: int) -> dict[str, float]:
    """Wall seconds per 1,000 runs when every core has its share."""
    import joblib

    def share(part: Sequence[Path]) -> int:
        return len(list(diagnose_paths(part, Predictor.load())))

    def spread(work: Any, files: Sequence[Path]) -> float:
        with joblib.Parallel(cores) as pool:
            parts = [files[i::cores] for i in range(cores)]
            # What only some runs need is imported, too: change points take half a second.
            pool(joblib.delayed(work)(part[:20]) for part in parts)
            return wall(lambda: pool(joblib.delayed(work)(part) for part in parts))[0]

    return {
        "curvet": spread(share, paths) / len(paths) * 1000,
        "off the shelf": spread(off_the_shelf, few) / len(few) * 1000,
    }
