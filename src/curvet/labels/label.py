"""The Label record, what one person says of one run, and Labels, all that several say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from ..causes import CAUSES
from ..causes.team import TeamCause
from ..errors import LabelError
from ..roles import Channels, assign
from ..run import Run

TAXONOMY = 1
"""Version of the keys in `causes.CAUSES`; goes up when one is renamed or changes its meaning."""

UNSURE = "unknown"
"""Said of a run of which a person cannot tell the cause."""

MAX_NOTE = 2000  # letters
MAX_RUN_ID, MAX_NAME = 4096, 200  # letters
_HASH = re.compile(r"[0-9a-f]{0,64}")
_MAX_TAXONOMY = 2**31 - 1
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Label:
    """What one annotator says of one run.

    Parameters
    ----------
    run_id : str
        As in the table of scores: the run's path below the scored folder.
    causes : tuple of str
        Keys, the main one first; ``("unknown",)`` if the annotator cannot tell; empty if an
        earlier label is withdrawn.
    annotator : str
        Who says so.
    labelled_at : datetime
        In UTC. Of several labels of one run by one annotator the latest counts.
    confidence : float or None
        How sure, 0 to 1; None if not said.
    note : str
        Free text.
    curve_hash : str
        See `curve_hash`; "" if not known.
    taxonomy : int
        See `TAXONOMY`.

    Raises
    ------
    LabelError
        What cannot be a label: no run or annotator, a cause twice, a text that is too long.
    """

    run_id: str
    causes: tuple[str, ...]
    annotator: str
    labelled_at: datetime
    confidence: float | None = None
    note: str = ""
    curve_hash: str = ""
    taxonomy: int = TAXONOMY

    def __post_init__(self) -> None:
        where = f"the label of {self.run_id!r:.120} by {self.annotator!r:.60}"
        if not self.run_id or not self.annotator.strip():
            raise LabelError(f"{where}: a label needs a run_id and an annotator")
        if len(set(self.causes)) < len(self.causes) or (
            UNSURE in self.causes and len(self.causes) > 1
        ):
            raise LabelError(
                f"{where}: {';'.join(self.causes)} names a cause twice, or {UNSURE} beside a cause"
            )
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise LabelError(f"{where}: a confidence of {self.confidence}; accepted: 0 to 1")
        for name, text, most in (
            ("run_id", self.run_id, MAX_RUN_ID),
            ("annotator", self.annotator, MAX_NAME),
            ("note", self.note, MAX_NOTE),
        ):
            if len(text) > most:
                raise LabelError(f"{where}: a {name} of {len(text)} letters; at most {most}")
            if _UNWRITABLE.search(text):  # no database keeps these
                raise LabelError(f"{where}: the {name} holds a letter that is none (NUL or half)")
        if not _HASH.fullmatch(self.curve_hash):
            raise LabelError(
                f"{where}: {self.curve_hash!r:.80} is no curve_hash; accepted are up to 64 digits "
                "from 0 to 9 and a to f, or nothing"
            )
        if not 1 <= self.taxonomy <= _MAX_TAXONOMY:
            raise LabelError(f"{where}: a taxonomy of {self.taxonomy}; accepted: 1 and above")
        if self.labelled_at.tzinfo is None:
            object.__setattr__(self, "labelled_at", self.labelled_at.replace(tzinfo=UTC))
        try:
            object.__setattr__(self, "labelled_at", self.labelled_at.astimezone(UTC))
        except OverflowError as error:
            raise LabelError(f"{where}: the time {self.labelled_at} is none in UTC") from error

    def withdrawn(self, at: datetime) -> Label:
        """Return the label that takes this one back."""
        return replace(self, causes=(), labelled_at=at, confidence=None, note="")


@dataclass(frozen=True, slots=True)
class Labels:
    """All that a store or a file of labels holds.

    Parameters
    ----------
    rows : tuple of Label
        In the order in which they were added.
    causes : mapping of key to TeamCause
        Those that the team has added.
    source : str
        Where they come from, for messages.
    """

    rows: tuple[Label, ...]
    causes: dict[str, TeamCause] = field(default_factory=dict)
    source: str = ""

    def current(self) -> list[Label]:
        """Return of each run and annotator the label that counts: the latest, if it is not empty.

        Of several of the same moment the one added last counts.
        """
        latest: dict[tuple[str, str], Label] = {}
        for label in self.rows:
            key = (label.run_id, label.annotator)
            if key not in latest or label.labelled_at >= latest[key].labelled_at:
                latest[key] = label
        return [label for label in latest.values() if label.causes]


def by_run(labels: Iterable[Label]) -> dict[str, list[Label]]:
    """Put the labels of each run together, in their order."""
    found: dict[str, list[Label]] = {}
    for label in labels:
        found.setdefault(label.run_id, []).append(label)
    return found


def check_causes(label: Label, team: Collection[str]) -> None:
    """Refuse a label of causes that nobody has defined.

    Parameters
    ----------
    label : Label
        Any.
    team : collection of str
        Keys of the causes that the team has added.

    Raises
    ------
    LabelError
        An unknown cause, or a label of a newer taxonomy.
    """
    where = f"the label of {label.run_id!r:.120} by {label.annotator!r:.60}"
    if label.taxonomy > TAXONOMY:
        raise LabelError(
            f"{where} is of taxonomy version {label.taxonomy}, this curvet knows {TAXONOMY}; "
            "install the newer curvet that wrote it"
        )
    for key in label.causes:
        if key in CAUSES or key in team or key == UNSURE:
            continue
        known = ", ".join([*CAUSES, *team, UNSURE])
        raise LabelError(
            f"{where} names the unknown cause {key!r:.60}; known: {known}. Add "
            "a cause of your own on the page of `curvet label`, or define it in a file for --causes"
        )


def curve_hash(run: Run) -> str:
    """Return a hash of the training and the validation loss, 32 hexadecimal digits.

    Two copies of a log have the same one, wherever they lie and whatever the tags are called.

    Parameters
    ----------
    run : Run
        Any that has a training loss.
    """
    return hash_of(assign(run))


def hash_of(channels: Channels) -> str:
    """Return the `curve_hash` of a run whose curves have their roles."""
    digest = hashlib.sha256()
    for curve in (channels.loss, channels.val):
        for numbers in (curve.step, curve.value) if curve is not None else ():
            sound = np.where(np.isnan(numbers), np.nan, numbers) + 0.0  # one NaN, one zero
            digest.update(np.ascontiguousarray(sound, dtype="<f8").tobytes() + b"|")
    return digest.hexdigest()[:32]
