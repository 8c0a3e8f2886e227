"""Labels from and to other tools, one file each."""

from __future__ import annotations

from . import label_studio, mlflow, wandb
from .base import Exchange, Options

__all__ = ["EXCHANGES", "Exchange", "Options"]

EXCHANGES: tuple[Exchange, ...] = (mlflow.EXCHANGE, wandb.EXCHANGE, label_studio.EXCHANGE)
