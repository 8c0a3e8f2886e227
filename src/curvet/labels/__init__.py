"""What people say of runs: labels, where they are kept, and what they are worth."""

from __future__ import annotations

from .consensus import Consensus, consensus
from .label import TAXONOMY, UNSURE, Label, Labels, curve_hash
from .store import Store, open_store

__all__ = [
    "TAXONOMY",
    "UNSURE",
    "Consensus",
    "Label",
    "Labels",
    "Store",
    "consensus",
    "curve_hash",
    "open_store",
]
