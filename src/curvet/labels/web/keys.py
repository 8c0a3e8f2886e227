"""One key of the keyboard per cause."""

from __future__ import annotations

from collections.abc import Iterable

from ...causes import CAUSES
from ..label import UNSURE

UNSURE_STROKE = "z"
STROKES = "abdefghijkmopqrtvwxy"
"""For curvet's own causes, in the order of the taxonomy; c, l, n, s and u do other things."""
TEAM_STROKES = "456789"
"""For causes that a team has added, in the order in which it did; 1 to 3 say how sure."""


def strokes(team: Iterable[str]) -> dict[str, str]:
    """Give each cause its key; "" for those of a team for which none is left.

    Parameters
    ----------
    team : iterable of str
        Causes that the team has added, the oldest first.

    Examples
    --------
    >>> found = strokes(["repeated_shard"])
    >>> found["healthy"], found["lr_too_high"], found["repeated_shard"], found["unknown"]
    ('a', 'b', '4', 'z')
    """
    free = iter(STROKES[len(CAUSES) :] + TEAM_STROKES)
    own = {key: STROKES[place : place + 1] for place, key in enumerate(CAUSES)}
    return own | {key: next(free, "") for key in team} | {UNSURE: UNSURE_STROKE}
