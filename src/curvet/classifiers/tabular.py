"""Gradient-boosted trees of scikit-learn on the feature table.

The trees are kept as plain arrays, so that a bundle holds no pickle and an answer needs no
scikit-learn; a test holds the two to the same probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..features import FEATURES
from .base import Inputs
from .trees import Forest

_FIELDS = (
    "feature_idx",
    "num_threshold",
    "missing_go_to_left",
    "left",
    "right",
    "value",
    "is_leaf",
)


@dataclass(slots=True, eq=False)
class Tabular:
    """Histogram gradient boosting (scikit-learn's), flattened.

    Parameters
    ----------
    iterations, learning_rate, leaves, min_leaf, l2, feature_share
        Settings of `sklearn.ensemble.HistGradientBoostingClassifier`.
    n_features : int
        Features of series kept: of each the most important ones of extremely randomised trees.
        The numbers of a run are all kept.
    """

    name: str = "tabular"
    iterations: int = 160
    learning_rate: float = 0.08
    leaves: int = 16
    min_leaf: int = 25
    l2: float = 2.0
    feature_share: float = 0.25
    n_features: int = 300
    columns_: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    nodes_: dict[str, NDArray[Any]] = field(default_factory=dict)
    roots_: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 0), np.int64))
    baseline_: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    forest_: Forest | None = None

    def fit(
        self,
        inputs: Inputs,
        y: NDArray[np.int64],
        weight: NDArray[np.float64],
        n_causes: int,
        seed: int,
        progress: Callable[[int, int], None],
    ) -> Self:
        """Train; see `base.Classifier.fit`."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        if len(np.unique(y)) != n_causes:
            raise ValueError("every cause needs at least one run")
        self.columns_ = _most_important(inputs.table, y, weight, self.n_features, seed)
        model = HistGradientBoostingClassifier(
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.min_leaf,
            l2_regularization=self.l2,
            max_features=self.feature_share,
            early_stopping=False,
            random_state=seed,
        )
        progress(0, 1)
        model.fit(inputs.table[:, self.columns_], y, sample_weight=weight)
        progress(1, 1)
        self._flatten(model)
        return self

    def _flatten(self, model: Any) -> None:
        trees = [tree.nodes for step in model._predictors for tree in step]
        starts = np.concatenate([[0], np.cumsum([len(nodes) for nodes in trees])])
        self.nodes_ = {name: np.concatenate([nodes[name] for nodes in trees]) for name in _FIELDS}
        offset = np.repeat(starts[:-1], np.diff(starts))
        for side in ("left", "right"):
            self.nodes_[side] = (self.nodes_[side] + offset).astype(np.int32)
        self.nodes_["feature_idx"] = self.nodes_["feature_idx"].astype(np.int32)
        self.roots_ = starts[:-1].reshape(len(model._predictors), -1)
        self.baseline_ = np.asarray(model._baseline_prediction).reshape(-1)

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return raw probabilities; see `base.Classifier.predict_proba`."""
        scores = self._scores(inputs.table)
        if scores.shape[1] == 1:  # two causes need one score
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return np.asarray(scores / scores.sum(1, keepdims=True))

    def _scores(self, table: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sum the leaves that each run falls into, (run, cause)."""
        n_scores = self.roots_.shape[1]
        return self.baseline_ + self._forest().scores(table, self.columns_, n_scores)

    def _forest(self) -> Forest:
        if self.forest_ is None:
            self.forest_ = Forest.of(self.nodes_, self.roots_.reshape(-1), len(self.columns_))
        return self.forest_

    def save(self, folder: Path) -> None:
        """Write ``tabular.npz``."""
        arrays: dict[str, Any] = {
            "columns": self.columns_,
            "roots": self.roots_,
            "baseline": self.baseline_,
            **self.nodes_,
        }
        np.savez_compressed(folder / f"{self.name}.npz", **arrays)

    def load(self, folder: Path) -> Self:
        """Read ``tabular.npz``."""
        # From memory: numpy leaves a file open that turns out to be no archive.
        content = BytesIO((folder / f"{self.name}.npz").read_bytes())
        with np.load(content, allow_pickle=False) as data:
            self.columns_ = data["columns"]
            self.roots_, self.baseline_ = data["roots"], data["baseline"]
            self.nodes_ = {name: data[name] for name in _FIELDS}
        return self


def _most_important(
    table: NDArray[np.float32],
    y: NDArray[np.int64],
    weight: NDArray[np.float64],
    n: int,
    seed: int,
) -> NDArray[np.int64]:
    """Keep the same number of features of every series, those that take most impurity away.

    Series compete only with themselves: a channel that half of the runs lack would lose against
    one that all have, though it decides where it is there.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    series = np.array([name.partition("__")[0] for name in FEATURES])
    names = list(dict.fromkeys(series[series != "run"]))
    kept = [int(i) for i in np.flatnonzero(series == "run")]
    for name in names:
        columns = np.flatnonzero(series == name)
        rows = np.flatnonzero(~np.isnan(table[:, columns]).all(1))
        rows = np.random.default_rng(seed).permutation(rows)[:5000]
        trees = ExtraTreesClassifier(40, min_samples_leaf=5, random_state=seed)
        filled = np.nan_to_num(table[np.ix_(rows, columns)], nan=-1e3)
        trees.fit(filled, y[rows], sample_weight=weight[rows])
        best = np.argsort(-trees.feature_importances_, kind="stable")[: n // len(names)]
        kept.extend(int(i) for i in columns[best])
    return np.sort(np.array(kept))
