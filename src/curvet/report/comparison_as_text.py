"""A comparison of two bundles as plain tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..compare import FIGURES
from ..texts import say
from .lines import pad, pad_left, width_of


def comparison_to_text(record: Mapping[str, Any]) -> str:
    """Write what `page.comparison.render_comparison` takes: a table for each part.

    Parameters
    ----------
    record : mapping
        With held_out, field, or both.
    """
    parts = dict(record.get("field") or {})
    if record.get("held_out"):
        parts = {say("comparison_page.held_out"): record["held_out"], **parts}
    lines = []
    for name, result in parts.items():
        lines += [*_part(name, result), ""]
    if parts:
        floor = next(iter(parts.values()))["floor"]
        lines.append(say("comparison_page.floor", floor=floor))
    return "\n".join(lines) + "\n"


def _part(name: str, result: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name}: " + say(
        "comparison_page.short_basis", runs=result["runs"], groups=result["groups"]
    )
    rows = [["", *(say(f"comparison_page.{side}") for side in ("old", "new", "difference"))]]
    for figure in FIGURES:
        cells = [_figure(result[side]["figures"][figure], "") for side in ("old", "new")]
        cells.append(_figure(result["difference"][figure], "+"))
        rows.append([say(f"comparison_page.{figure}"), *cells])
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [pad_left(cell, width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join(["  " + pad(first, widths[0]), *cells])


def _figure(figure: Mapping[str, float] | None, sign: str) -> str:
    if figure is None:
        return "-"
    value, low, high = (f"{figure[part]:{sign}.3f}" for part in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
