"""What people say of runs: labels, where they are kept, and what they are worth."""

from __future__ import annotations

from .label import TAXONOMY, UNSURE, Label, curve_hash
from .store import Labels, Store, open_store

__all__ = ["TAXONOMY", "UNSURE", "Label", "Labels", "Store", "curve_hash", "open_store"]
