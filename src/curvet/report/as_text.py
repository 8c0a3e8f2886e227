"""Diagnosis -> plain text for people, and rows -> a table for the terminal."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from ..causes import CAUSES
from ..diagnosis import TOO_EARLY

if TYPE_CHECKING:
    from rich.table import Table

    from ..archive import Row
    from ..causes.base import Cause
    from ..diagnosis import Diagnosis, Evidence

WIDTH = 88
BAR_WIDTH = 30
N_BARS = 5
NAME_WIDTH = 24  # the longest run name that a narrow table keeps in one line
MARKS = {"for": "+", "against": "-", "": "\N{MIDDLE DOT}"}
"""How a fact speaks for the cause that was named; a middle dot for neither."""

MENTIONED = 0.05  # less probable causes are no candidates worth a look

_ESCAPE = re.compile(
    r"""
      (?: \x1b[\]PX^_] | [\x9d\x90\x98\x9e\x9f] ) .*? (?: \x07 | \x1b\\ | \x9c | \Z )  # OSC, DCS
    | (?: \x1b\[ | \x9b ) [0-?]* [\ -/]* [@-~]                                         # CSI
    | \x1b [\ -/]* [0-~]                                                               # the rest
    """,
    re.VERBOSE | re.DOTALL,
)


def clean(text: str) -> str:
    r"""Make text of unknown origin safe to print: one line, nothing a terminal obeys.

    Parameters
    ----------
    text : str
        For example a run name, which is whatever a folder may be called.

    Examples
    --------
    >>> clean("\x1b[31mred\x1b[0m\nline two")
    'red line two'
    """
    kept = []
    for letter in _ESCAPE.sub("", text):
        if letter.isspace():
            kept.append(" ")
            continue
        category = unicodedata.category(letter)
        if category == "Cs":  # half a letter, from a file name that is no UTF-8
            kept.append("\N{REPLACEMENT CHARACTER}")
        elif category not in ("Cc", "Cf"):
            kept.append(letter)
    return "".join(kept).strip()


def title_of(key: str) -> str:
    """Return the cause's title; a key of another taxonomy stands for itself."""
    return CAUSES[key].title if key in CAUSES else key


def percent(probability: float) -> str:
    """Write a probability for people, never as a certainty.

    Examples
    --------
    >>> percent(0.831), percent(0.9991), percent(0.0004)
    ('83 %', '>99 %', '<1 %')
    """
    if probability > 0.995:
        return ">99 %"
    return "<1 %" if probability < 0.005 else f"{100 * probability:.0f} %"


def verdict(diagnosis: Diagnosis) -> str:
    """Return the title of the cause, or that there is none."""
    return TOO_EARLY if diagnosis.cause is None else title_of(diagnosis.cause)


def diagnosis_to_text(diagnosis: Diagnosis) -> str:
    """Write one diagnosis out in full, without escape codes.

    Parameters
    ----------
    diagnosis : Diagnosis
        With or without a cause.

    Returns
    -------
    str
        Lines of at most 88 letters where words allow it; no newline at the end.
    """
    name, source = clean(diagnosis.run_id) or "(no name)", clean(diagnosis.source)
    lines = [f"{name}  ({source})" if source and source != name else name, ""]
    if diagnosis.probability is None:
        lines += _wrap(clean(diagnosis.reason) or TOO_EARLY, "  ")
    else:
        lines.append(f"  {verdict(diagnosis)}, {percent(diagnosis.probability)}")
    lines += _bars(diagnosis)
    if diagnosis.likely:
        likely = ", ".join(title_of(key) for key in diagnosis.likely)
        lines += ["", *_wrap(f"The true cause is, with 90 %, among: {likely}", "  ")]
    cause = CAUSES.get(diagnosis.cause or "")
    if cause is not None:
        lines += ["", "  What such curves show", *_wrap(cause.sign, "    ")]
    if diagnosis.evidence:
        lines += ["", "  Measured in this run"]
        for fact in diagnosis.evidence:
            lines += _listed([fact_to_text(fact)], MARKS[fact.speaks])
    if cause is not None and cause.remedies:
        lines += ["", "  What to try, most likely to help first", *_listed(cause.remedies)]
    found = ", ".join(diagnosis.channels) or "nothing"
    points = "point" if diagnosis.n_points == 1 else "points"
    basis = f"From {diagnosis.n_points} {points} of training loss; found: {found}."
    by = f" Predictor: {clean(diagnosis.bundle)}." if diagnosis.bundle else ""
    return "\n".join([*lines, "", *_wrap(basis + by, "  ")])


def cause_to_text(cause: Cause) -> str:
    """Describe one cause: its key, what the curves show, what to try."""
    lines = [f"{cause.key}: {cause.title}", *_wrap(cause.sign, "  "), *_listed(cause.remedies)]
    return "\n".join(lines)


def skipped_to_text(sources: Sequence[str]) -> str:
    """Count files that are no log by their ending, in one line.

    Examples
    --------
    >>> skipped_to_text(["a/net.py", "a/notes.md", "a/loss.py", "a/LICENSE"])
    'skipped 4 files that are no log: 2 .py, 1 .md, 1 without ending'
    """
    endings = Counter(clean(PurePath(source).suffix) or "without ending" for source in sources)
    counts = ", ".join(f"{count} {ending}" for ending, count in endings.most_common())
    return f"skipped {len(sources)} file{'s' if len(sources) > 1 else ''} that are no log: {counts}"


def fact_to_text(fact: Evidence) -> str:
    """Return the fact with its steps, unless its words name them already.

    Examples
    --------
    >>> from curvet.diagnosis import Evidence
    >>> fact_to_text(Evidence("flat", {"start": 2.5, "end": 2.48}, (120.0, 900.0)))
    'training loss ends where it began: 2.5 to 2.48 (steps 120 to 900)'
    """
    text = clean(fact.text)
    steps = [_step(step) for step in fact.steps]
    if not steps or all(re.search(rf"(?<![\d.]){re.escape(step)}(?!\d)", text) for step in steps):
        return text
    return f"{text} (step{'s' if len(steps) > 1 else ''} {' to '.join(steps)})"


def table(rows: Sequence[Row], width: int) -> Table:
    """Return the rows as a table, one line or a few for each.

    Parameters
    ----------
    rows : sequence of Row
        Skipped files are listed like the rest; leave them out before if unwanted.
    width : int
        Columns of the terminal; a narrow one gets the first and most telling columns only.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    longest = max((len(clean(row.run_id)) for row in rows), default=0)
    grid.add_column("run", overflow="fold", min_width=min(longest, NAME_WIDTH))
    grid.add_column("verdict", min_width=12)
    grid.add_column("prob.", justify="right", no_wrap=True)
    grid.add_column("evidence", min_width=20)
    if width >= 100:
        grid.add_column("next candidates", min_width=15)
    if width >= 120:
        grid.add_column("channels", min_width=9)
    for row in rows:
        styled = list(zip(_cells(row), _styles(row), strict=True))[: len(grid.columns)]
        # Text, not str: brackets in a name are no markup.
        grid.add_row(*(Text(cell, style) for cell, style in styled))
    return grid


def totals(rows: Sequence[Row]) -> str:
    """Return how often each verdict was given, in one line.

    Parameters
    ----------
    rows : sequence of Row
        All rows; files that are no log are left out of the count.
    """
    given = Counter(verdict(row.diagnosis) for row in rows if row.diagnosis is not None)
    failed = sum(row.status == "error" for row in rows)
    parts = [f"{title} ({count})" for title, count in given.most_common()]
    n_runs = sum(given.values())
    line = f"{n_runs} run{'' if n_runs == 1 else 's'}: {', '.join(parts)}" if parts else "no runs"
    return line + (f"; {failed} could not be diagnosed" if failed else "")


def _bars(diagnosis: Diagnosis) -> list[str]:
    shown = sorted(diagnosis.probabilities.items(), key=lambda item: -item[1])[:N_BARS]
    shown = [(key, probability) for key, probability in shown if probability >= 0.005]
    if not shown:
        return []
    width = max(len(title_of(key)) for key, _ in shown)
    return [
        "",
        *(
            f"  {percent(probability):>5}  {title_of(key):<{width}}  "
            + "#" * max(1, round(BAR_WIDTH * probability))
            for key, probability in shown
        ),
    ]


def _wrap(text: str, indent: str) -> list[str]:
    """Wrap to the width; further lines stand under the first one's text."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent)
    ) or [indent.rstrip()]


def _listed(items: Iterable[str], mark: str = "") -> list[str]:
    """Write a list, one item a paragraph, numbered unless a mark is given."""
    return [
        line
        for number, item in enumerate(items, start=1)
        for line in _wrap(item, f"    {mark or f'{number}.'} ")
    ]


def _step(step: float) -> str:
    return str(int(step)) if step == step // 1 else f"{step:.4g}"


def _cells(row: Row) -> tuple[str, str, str, str, str, str]:
    name = clean(row.run_id) or clean(row.source) or "(no name)"
    if row.diagnosis is None:
        # The name stands beside it, and what else could be read is no help in a list.
        found = row.error.removeprefix(f"{row.source}: ").partition("; ")[0]
        return name, row.status, "", clean(found), "", ""
    diagnosis = row.diagnosis
    ranked = sorted(diagnosis.probabilities.items(), key=lambda item: -item[1])
    others = [
        f"{title_of(key)} {percent(probability)}"
        for key, probability in ranked
        if key != diagnosis.cause and probability >= MENTIONED
    ]
    facts = [fact_to_text(fact) for fact in diagnosis.evidence]
    return (
        name,
        verdict(diagnosis),
        "" if diagnosis.probability is None else percent(diagnosis.probability),
        clean(diagnosis.reason).removeprefix(f"{TOO_EARLY}: ")
        if diagnosis.cause is None
        else "".join(facts[:1]),
        ", ".join(others[:2]),
        " ".join(diagnosis.channels),
    )


def _styles(row: Row) -> tuple[str, str, str, str, str, str]:
    if row.diagnosis is None:
        colour = "magenta" if row.status == "error" else "dim"
    elif row.diagnosis.cause is None:
        colour = "yellow"
    else:
        colour = "green" if row.diagnosis.cause == "healthy" else "bold red"
    return "bold", colour, colour, "", "", "dim"
