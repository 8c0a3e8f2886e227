"""Causes that a team has added: known by its labels alone, never simulated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import LabelError

KEY = re.compile(r"[a-z][a-z0-9_]{1,39}")
"""What the key of a cause looks like."""

MAX_TEXT = 500  # letters of a title, a sign or a remedy


@dataclass(frozen=True, slots=True)
class TeamCause:
    """A cause of bad training that a team has named.

    Parameters
    ----------
    key : str
        Label, column and JSON key; small letters, digits and underscores.
    title : str
        For people, in the team's own language.
    sign : str
        What the curves show.
    remedies : tuple of str
        What to try, most likely to help first.

    Raises
    ------
    LabelError
        No such key, no title, or texts that are too long.
    """

    key: str
    title: str
    sign: str = ""
    remedies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not KEY.fullmatch(self.key):
            raise LabelError(
                f"{self.key!r:.80} is no key of a cause; accepted are 2 to 40 small letters, "
                "digits and underscores, a letter first, as in repeated_shard"
            )
        texts = (self.title, self.sign, *self.remedies)
        if not self.title.strip() or max(map(len, texts)) > MAX_TEXT:
            raise LabelError(
                f"the cause {self.key!r} needs a title, and no text of it may have more than "
                f"{MAX_TEXT} letters"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain types, ready for JSON."""
        return {**asdict(self), "remedies": list(self.remedies)}

    @classmethod
    def of(cls, key: str, plain: Mapping[str, Any]) -> TeamCause:
        """Read what `to_dict` gives.

        Raises
        ------
        LabelError
            Anything else.
        """
        remedies = plain.get("remedies", [])
        if not isinstance(remedies, list):
            found = "one text, not a list" if isinstance(remedies, str) else f"{remedies!r:.60}"
            raise LabelError(
                f"the remedies of {key!r:.60} are {found}; they are expected to be a list of texts"
            )
        texts = [plain.get("title", ""), plain.get("sign", ""), *remedies]
        if not all(isinstance(text, str) for text in texts):
            raise LabelError(f"the cause {key!r} has a title, a sign or a remedy that is no text")
        return cls(key, texts[0], texts[1], tuple(texts[2:]))


def by_key(causes: Iterable[TeamCause]) -> dict[str, TeamCause]:
    """Return causes by their keys; of several with one key the last counts."""
    return {cause.key: cause for cause in causes}
