"""Scores of a predictor as plain tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..texts import say
from .lines import pad, pad_left, width_of

_OVERALL = ("runs", "top1", "top3", "macro_f1", "log_loss", "calibration_error", "coverage")
_PER_CAUSE = ("runs", "recall", "precision", "f1", "top3", "log_loss", "calibration_error")


def scores_to_text(scores: Mapping[str, Any]) -> str:
    """Write what `evaluate.evaluate` returns: one table a source, then one a view and cause.

    Parameters
    ----------
    scores : mapping
        Nested; leaves are figures.
    """
    lines = [say("scores.bundle", name=scores["bundle"])]
    if "simulated" in scores:
        lines += ["", say("scores.simulated"), *_views(scores["simulated"])]
    for source, views in scores.get("field", {}).items():
        lines += ["", say("scores.real", source=source), *_views(views)]
    return "\n".join(lines) + "\n"


def _views(views: Mapping[str, Any]) -> Iterator[str]:
    yield from _table("", _OVERALL, views)
    for view, figures in views.items():
        yield ""
        yield from _table(view, _PER_CAUSE, figures["causes"])


def _table(corner: str, columns: Sequence[str], rows: Mapping[str, Any]) -> Iterator[str]:
    width = max(map(width_of, (corner, *rows)))
    heads = [pad_left(say(f"scores.{name}"), 9) for name in columns]
    yield "  ".join([pad(corner, width), *heads])
    for name, figures in rows.items():
        cells = [f"{figures[c]:9d}" if c == "runs" else f"{figures[c]:9.3f}" for c in columns]
        yield "  ".join([pad(name, width), *cells, *_interval(figures)])


def _interval(figures: Mapping[str, Any]) -> Iterator[str]:
    if "intervals" in figures:
        low, high = figures["intervals"]["macro_f1"]
        yield say("scores.interval", low=low, high=high)
