"""One label as one row of a table, whatever the table is written in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ..causes.team import TeamCause
from ..errors import LabelError
from ..report.columns import Column
from .label import TAXONOMY, UNSURE, Label, Labels, check_causes

COLUMNS = (
    Column("run_id", "text", "which run, as in the table of scores"),
    Column(
        "cause",
        "text",
        'keys, the main one first, joined by ";"; unknown: cannot tell; empty: withdrawn',
    ),
    Column("annotator", "text", "who says so"),
    Column("labelled_at", "text", "when: ISO 8601, in UTC where it names no zone"),
    Column("confidence", "number", "how sure, 0 to 1; empty if not said"),
    Column("note", "text", "free text"),
    Column("curve_hash", "text", "hash of the losses that were looked at; empty if not known"),
    Column("taxonomy", "whole", "version of the keys of the causes"),
)
NAMES = tuple(column.name for column in COLUMNS)
NEEDED = ("run_id", "cause")
IMPORTED = "imported"
"""Who says so where nobody is named."""

MAX_ROWS = 1_000_000
_AT_ONCE = 1000

Entry = tuple[str, Mapping[str, Any]]
"""Where a row stands, for messages, and its cells."""

Tell = Callable[[str], object]
OnBad = Callable[[LabelError], object]
Progress = Callable[[int, int | None], object]


def tell_nobody(note: str) -> None:
    """Receive what there is to know, where nobody asks."""


def show_nothing(done: int, total: int | None) -> None:
    """Receive progress, where nobody looks."""


def to_record(label: Label) -> dict[str, Any]:
    """Return the cells of a label."""
    return {
        "run_id": label.run_id,
        "cause": ";".join(label.causes),
        "annotator": label.annotator,
        "labelled_at": label.labelled_at.isoformat(timespec="microseconds"),
        "confidence": label.confidence,
        "note": label.note,
        "curve_hash": label.curve_hash,
        "taxonomy": label.taxonomy,
    }


def collect(
    entries: Iterable[Entry],
    source: str,
    at: datetime,
    *,
    annotator: str | None = None,
    causes: Mapping[str, TeamCause] | None = None,
    on_bad: OnBad | None = None,
    tell: Tell = tell_nobody,
    progress: Progress = show_nothing,
) -> Labels:
    """Make labels of rows.

    Parameters
    ----------
    entries : iterable of Entry
        A cell that is not there counts as empty.
    source : str
        Where they come from.
    at : datetime
        When a label was given that does not say so itself.
    annotator : str, optional
        Who gave a label that does not say so itself; `IMPORTED` by default.
    causes : mapping of key to TeamCause
        Those of the team.
    on_bad : callable (LabelError) -> object, optional
        Receives each row that cannot be a label, and reading goes on; without it, it is raised.
    tell : callable (str) -> object
        Receives what there is to know besides.
    progress : callable (done, total) -> object
        Called now and then, with the number of rows.

    Raises
    ------
    LabelError
        A row that cannot be a label: names the place, what was found and what is accepted.
    """
    team = dict(causes or {})
    labels: list[Label] = []
    waiting = 0
    for number, (place, record) in enumerate(entries):
        if number % _AT_ONCE == 0:
            progress(number, None)
        if number == MAX_ROWS:
            raise LabelError(f"{source}: more than {MAX_ROWS:,} rows; split it into several files")
        try:
            if missing := [name for name in NEEDED if name not in record]:
                raise LabelError(f"no {' and no '.join(missing)}; accepted are {', '.join(NAMES)}")
            if not record.get("cause") and not record.get("labelled_at"):
                waiting += 1  # of a table that a person is still filling in
                continue
            label = _label(record, annotator or IMPORTED, at)
            check_causes(label, team)
            labels.append(label)
        except LabelError as error:
            refuse(LabelError(f"{place}: {error}"), on_bad)
    if waiting:
        tell(f"{source}: {waiting} rows without cause and labelled_at are no labels yet; left out")
    return Labels(tuple(labels), team, source)


def refuse(bad: LabelError, on_bad: OnBad | None) -> None:
    """Raise an error, or hand it over where somebody collects them."""
    if on_bad is None:
        raise bad
    on_bad(bad)


def _label(record: Mapping[str, Any], annotator: str, at: datetime) -> Label:
    return Label(
        run_id=_text(record, "run_id"),
        causes=_causes(record.get("cause")),
        annotator=_text(record, "annotator").strip() or annotator,
        labelled_at=_time(record.get("labelled_at"), at),
        confidence=_number(record, "confidence"),
        note=_text(record, "note"),
        curve_hash=_text(record, "curve_hash").strip().lower(),
        taxonomy=_taxonomy(record),
    )


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and name != "note":
        return str(value)  # a spreadsheet, or JSON, takes the run 7 for a number
    if not isinstance(value, str):
        raise _refused(name, value, "a text")
    return value


def _causes(value: Any) -> tuple[str, ...]:
    parts = value.split(";") if isinstance(value, str) else value or []
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise _refused("cause", value, f'keys of causes joined by ";", or {UNSURE}')
    return tuple(part.strip() for part in parts if part.strip())


def _time(value: Any, at: datetime) -> datetime:
    if value is None or value == "":
        return at
    if isinstance(value, datetime):
        return value
    accepted = "a time as in 2026-01-31T12:00:00+00:00"
    if not isinstance(value, str):
        raise _refused("labelled_at", value, accepted)
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise _refused("labelled_at", value, accepted) from error


def _number(record: Mapping[str, Any], name: str) -> float | None:
    value = record.get(name)
    if value is None or value == "":
        return None
    accepted = "a number from 0 to 1 with a point, or nothing"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _refused(name, value, accepted)
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise _refused(name, value, accepted) from error
    if not 0 <= number <= 1:
        raise _refused(name, value, accepted)
    return number


def _taxonomy(record: Mapping[str, Any]) -> int:
    value = record.get("taxonomy")
    if value is None or value == "":
        return TAXONOMY
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not number.is_integer():
        raise _refused("taxonomy", value, "a whole number, or nothing")
    return int(number)


def _refused(name: str, value: Any, accepted: str) -> LabelError:
    return LabelError(f"the {name} {value!r:.120}; accepted: {accepted}")
