"""Diagnosis -> plain text for people, and rows -> a table for the terminal."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from ..causes import remedies_of, sign_of, title_of
from ..texts import as_step, say, say_count
from .lines import pad, width_of, wrap

if TYPE_CHECKING:
    from rich.table import Table

    from ..archive import Row
    from ..diagnosis import Diagnosis, Evidence
    from ..remedies import Remedy

WIDTH = 88
BAR_WIDTH = 30
N_BARS = 5
N_SOURCES = 2  # of a remedy; `curvet causes KEY` has all of them
NAME_WIDTH = 24  # the longest run name that a narrow table keeps in one line
MARKS = {"for": "+", "against": "-", "": "*"}
"""How a fact speaks for the cause that was named; an asterisk for neither."""

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


def percent(probability: float) -> str:
    """Write a probability for people, never as a certainty.

    Examples
    --------
    >>> percent(0.831), percent(0.9991), percent(0.0004)
    ('83 %', '>99 %', '<1 %')
    """
    number = f"{100 * probability:.0f}"
    if probability > 0.995:
        number = ">99"
    elif probability < 0.005:
        number = "<1"
    return say("report.percent", number=number)


def verdict(diagnosis: Diagnosis) -> str:
    """Return the title of the cause, or that there is none."""
    return say("report.no_verdict") if diagnosis.cause is None else title_of(diagnosis.cause)


def diagnosis_to_text(diagnosis: Diagnosis) -> str:
    """Write one diagnosis out in full, without escape codes.

    Parameters
    ----------
    diagnosis : Diagnosis
        With or without a cause.

    Returns
    -------
    str
        Lines of at most 88 cells where words allow it; no newline at the end.
    """
    name, source = clean(diagnosis.run_id) or say("report.no_name"), clean(diagnosis.source)
    lines = [f"{name}  ({source})" if source and source != name else name, ""]
    lines += _wrap(_answer(diagnosis), "  ")
    lines += _bars(diagnosis)
    for caveat in _caveats(diagnosis):
        lines += ["", *_wrap(caveat, "  ")]
    if sign := sign_of(diagnosis.cause or ""):
        lines += _section("sign", _wrap(sign, "    "))
    if facts := diagnosis.evidence:
        speaking = any(fact.speaks for fact in facts)
        lines += _section("measured_speaking" if speaking else "measured", _facts(facts))
    if diagnosis.limits:
        lines += _section("limits", _facts(diagnosis.limits))
    if diagnosis.checks:
        lines += _section("checks", _numbered(check.text for check in diagnosis.checks))
    if diagnosis.remedies:
        lines += _section("remedies", _numbered(map(_remedy, diagnosis.remedies)))
    return "\n".join([*lines, "", *_wrap(_basis(diagnosis), "  ")])


def cause_to_text(key: str, *, with_links: bool = False) -> str:
    """Describe one cause: its key, what the curves show, what to try.

    Parameters
    ----------
    key : str
        Of the cause.
    with_links : bool
        Tell of each remedy where it comes from and where that can be read.
    """
    lines = [f"{key}: {title_of(key)}", *_wrap(sign_of(key), "  ")]
    for number, remedy in enumerate(remedies_of(key), start=1):
        lines += _wrap(remedy.text, f"    {number}. ")
        if with_links:
            lines += [f"       {s.title}  {s.url}".rstrip() for s in remedy.sources]
    return "\n".join(lines)


def skipped_to_text(sources: Sequence[str]) -> str:
    """Count files that are no log by their ending, in one line.

    Examples
    --------
    >>> skipped_to_text(["a/net.py", "a/notes.md", "a/loss.py", "a/LICENSE"])
    'skipped 4 files that are no log: 2 .py, 1 .md, 1 without ending'
    """
    nameless = say("report.without_ending")
    endings = Counter(clean(PurePath(source).suffix) or nameless for source in sources)
    counts = _joined(f"{count} {ending}" for ending, count in endings.most_common())
    return say_count("report.skipped_files", len(sources), endings=counts)


def fact_to_text(fact: Evidence) -> str:
    """Return the fact with its steps, unless its words name them already.

    Examples
    --------
    >>> from curvet.diagnosis import Evidence
    >>> fact_to_text(Evidence("fallen", {"start": 2.3, "end": 0.31}, (300.0, 900.0)))
    'training loss fell from 2.3 to 0.31 (steps 300 to 900)'
    """
    text, steps = clean(fact.text), fact.steps
    if all(re.search(rf"(?<![\d.]){re.escape(as_step(step))}(?!\d)", text) for step in steps):
        return text
    if len(steps) == 1:
        return say("report.at_step", text=text, step=steps[0])
    return say("report.at_steps", text=text, first=steps[0], last=steps[-1])


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
    longest = max((width_of(clean(row.run_id)) for row in rows), default=0)
    grid.add_column(say("report.run"), overflow="fold", min_width=min(longest, NAME_WIDTH))
    grid.add_column(say("report.verdict_column"), min_width=12)
    grid.add_column(say("report.probability"), justify="right", no_wrap=True)
    grid.add_column(say("report.evidence"), min_width=20)
    if width >= 100:
        grid.add_column(say("report.candidates"), min_width=15)
    if width >= 120:
        grid.add_column(say("report.channels"), min_width=9)
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
    line = say("report.no_runs")
    if given:
        parts = (say("report.total", title=title, count=n) for title, n in given.most_common())
        runs = say_count("counts.runs", sum(given.values()))
        line = say("report.totals", runs=runs, verdicts=_joined(parts))
    if failed:
        line += say("report.semicolon") + say("report.failed", count=failed)
    return line


def _answer(diagnosis: Diagnosis) -> str:
    """Say what the diagnosis is, or why there is none."""
    if diagnosis.probability is None:
        return clean(diagnosis.reason) or verdict(diagnosis)
    probability = percent(diagnosis.probability)
    return say("report.verdict", title=verdict(diagnosis), probability=probability)


def _bars(diagnosis: Diagnosis) -> list[str]:
    shown = sorted(diagnosis.probabilities.items(), key=lambda item: -item[1])[:N_BARS]
    shown = [(key, probability) for key, probability in shown if probability >= 0.005]
    if not shown:
        return []
    width = max(width_of(title_of(key)) for key, _ in shown)
    return [
        "",
        *(
            f"  {percent(probability):>5}  {pad(title_of(key), width)}  "
            + "#" * max(1, round(BAR_WIDTH * probability))
            for key, probability in shown
        ),
    ]


def _caveats(diagnosis: Diagnosis) -> Iterator[str]:
    """Say how far the probabilities are to be trusted."""
    if diagnosis.likely:
        causes = _joined(map(title_of, diagnosis.likely))
        yield say("report.likely", coverage=percent(diagnosis.coverage), causes=causes)
    if diagnosis.prior != "default":
        yield say("report.prior", prior=clean(diagnosis.prior))


def _basis(diagnosis: Diagnosis) -> str:
    """Say what the diagnosis rests on."""
    points = say_count("counts.points", diagnosis.n_points)
    found = _joined(diagnosis.channels) or say("report.found_nothing")
    if not diagnosis.bundle:
        return say("report.basis", points=points, found=found)
    bundle = clean(diagnosis.bundle)
    return say("report.basis_and_bundle", points=points, found=found, bundle=bundle)


def _section(name: str, lines: Iterable[str]) -> list[str]:
    return ["", f"  {say(f'report.{name}')}", *lines]


def _facts(facts: Iterable[Evidence]) -> Iterator[str]:
    for fact in facts:
        yield from _wrap(fact_to_text(fact), f"    {MARKS[fact.speaks]} ")


def _numbered(items: Iterable[str]) -> Iterator[str]:
    for number, item in enumerate(items, start=1):
        yield from _wrap(item, f"    {number}. ")


def _remedy(remedy: Remedy) -> str:
    sources = _joined(source.title for source in remedy.sources[:N_SOURCES])
    return f"{remedy.text} [{sources}]"


def _wrap(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, indent)


def _joined(items: Iterable[str]) -> str:
    return say("report.comma").join(items)


def _cells(row: Row) -> tuple[str, str, str, str, str, str]:
    name = clean(row.run_id) or clean(row.source) or say("report.no_name")
    if row.diagnosis is None:
        # The name stands beside it, and what else could be read is no help in a list.
        found = row.error.removeprefix(f"{row.source}: ").partition("; ")[0]
        return name, say(f"report.{row.status}"), "", clean(found), "", ""
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
        clean(diagnosis.reason) if diagnosis.cause is None else "".join(facts[:1]),
        _joined(others[:2]),
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
