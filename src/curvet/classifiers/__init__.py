"""Array -> raw probabilities, one file a model."""

from __future__ import annotations

from .base import Classifier, Inputs, predict_raw
from .cnn import Cnn
from .mlp import Mlp
from .tabular import Tabular

CLASSIFIERS: tuple[type[Classifier], ...] = (Tabular, Mlp, Cnn)
"""Every classifier whose answers are combined."""

__all__ = ["CLASSIFIERS", "Classifier", "Cnn", "Inputs", "Mlp", "Tabular", "predict_raw"]
