"""Where the files are that ship with the package beside its code."""

from __future__ import annotations

from pathlib import Path


def shipped(name: str) -> Path:
    """Find what ships: in a checkout, or in the installed wheel.

    Parameters
    ----------
    name : str
        Path in the repository, as in "data/real".
    """
    here = Path(__file__).resolve().parent
    checkout = here.parents[1] / name
    return checkout if checkout.exists() else here / name
