"""A check of labels -> text, JSON or CSV."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..report.as_csv import write_header, write_records
from ..report.as_text import clean
from ..report.columns import Column
from .check import Check
from .findings import KINDS

if TYPE_CHECKING:
    from rich.table import Table

CHECK_VERSION = 1  # goes up when a key is renamed, removed or changes its meaning
SHOWN = 20  # findings of one kind that a screen shows

_COLUMNS = (
    Column("kind", "text", "what was found"),
    Column("run_ids", "texts", "which runs"),
    Column("causes", "texts", "which causes"),
    Column("annotators", "texts", "who"),
    Column("score", "number", "how good the label is, or the share that is meant, 0 to 1"),
    Column("text", "text", "in words"),
)


def check_to_json(check: Check) -> str:
    """Return all of it as one JSON object."""
    content = {"check_version": CHECK_VERSION, **asdict(check)}
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def check_to_csv(check: Check) -> str:
    """Return one line for each finding."""
    stream = io.StringIO()
    write_header(stream, _COLUMNS)
    lines = [asdict(finding) for finding in check.findings]
    texts = [column.name for column in _COLUMNS if column.kind == "texts"]
    for line in lines:
        line |= {name: list(line[name]) for name in texts}
    write_records(stream, _COLUMNS, lines)
    return stream.getvalue()


def check_to_text(check: Check) -> str:
    """Return the numbers in words, as lines."""
    lines = [
        f"{check.labels:,} labels of {check.runs:,} runs by {_names(check.annotators)}"
        + (f", {check.unsure} cannot tell" if check.unsure else ""),
    ]
    if check.superseded or check.withdrawn:
        lines.append(f"{check.superseded} replaced by a later one, {check.withdrawn} withdrawn")
    if check.causes:
        named = [f"{cause} {count}" for cause, count in check.causes.items()]
        lines.append("causes: " + ", ".join(named))
    if check.runs:
        lines.append(
            f"several annotators: {check.shared} runs ({check.shared / check.runs:.0%}), "
            f"Krippendorff's alpha {_number(check.alpha)}"
        )
    if check.checked:
        lines.append(f"compared with scores: {check.checked:,} runs")
    found = Counter(finding.kind for finding in check.findings)
    lines += [f"{found[kind]:4}  {words}" for kind, words in KINDS.items() if found[kind]]
    if not found:
        lines.append("nothing was found that speaks against them")
    return "\n".join(map(_clean_line, lines))


def _clean_line(line: str) -> str:
    """Clean a line but for the spaces at its start."""
    return line[: len(line) - len(line.lstrip(" "))] + clean(line)


def tables(check: Check) -> list[Table]:
    """Make tables for a terminal: pairs of annotators, and findings, worst first.

    Parameters
    ----------
    check : Check
        Any.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    def table(*columns: str) -> Table:
        made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in columns:
            made.add_column(name, overflow="fold")
        return made

    made = []
    if check.pairs:
        pairs = table("annotators", "runs", "agreed", "alpha")
        for pair in check.pairs[:SHOWN]:
            names = Text(clean(" and ".join(pair.annotators)))
            pairs.add_row(names, str(pair.runs), f"{pair.agreed:.0%}", _number(pair.alpha))
        made.append(pairs)
    if check.findings:
        found = table("kind", "run", "what")
        for kind in KINDS:
            some = [finding for finding in check.findings if finding.kind == kind]
            for finding in some[:SHOWN]:
                runs = Text(clean(_first(finding.run_ids)))
                found.add_row(kind, runs, Text(clean(finding.text)))
            if len(some) > SHOWN:
                found.add_row(kind, "", f"and {len(some) - SHOWN} more: --format csv has them all")
        made.append(found)
    return made


def _names(annotators: Mapping[str, int]) -> str:
    return f"{len(annotators)} annotators" if len(annotators) != 1 else next(iter(annotators))


def _first(run_ids: Sequence[str]) -> str:
    if not run_ids:
        return ""
    return run_ids[0] if len(run_ids) == 1 else f"{run_ids[0]} and {len(run_ids) - 1} more"


def _number(number: float | None) -> str:
    return "not defined" if number is None else f"{number:.2f}"
