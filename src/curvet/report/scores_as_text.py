"""Scores of a predictor as plain tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_OVERALL = ("runs", "top1", "top3", "macro_f1", "log_loss", "calibration_error", "coverage")
_PER_CAUSE = ("runs", "recall", "precision", "f1", "top3", "log_loss", "calibration_error")
_HEADS = {"calibration_error": "ece", "macro_f1": "macro-F1", "log_loss": "log-loss"}


def scores_to_text(scores: Mapping[str, Any]) -> str:
    """Write what `evaluate.evaluate` returns: one table a source, then one a view and cause.

    Parameters
    ----------
    scores : mapping
        Nested; leaves are figures.
    """
    lines = [f"bundle {scores['bundle']}"]
    if "simulated" in scores:
        lines += ["", "SIMULATED", *_views(scores["simulated"])]
    for source, views in scores.get("field", {}).items():
        lines += ["", f"REAL: {source}", *_views(views)]
    return "\n".join(lines) + "\n"


def _views(views: Mapping[str, Any]) -> Iterator[str]:
    yield from _table("", _OVERALL, views)
    for view, figures in views.items():
        yield ""
        yield from _table(view, _PER_CAUSE, figures["causes"])


def _table(corner: str, columns: Sequence[str], rows: Mapping[str, Any]) -> Iterator[str]:
    width = max(len(corner), *(len(name) for name in rows))
    heads = [_HEADS.get(name, name) for name in columns]
    yield "  ".join([corner.ljust(width), *(head.rjust(9) for head in heads)])
    for name, figures in rows.items():
        cells = [f"{figures[c]:9d}" if c == "runs" else f"{figures[c]:9.3f}" for c in columns]
        yield "  ".join([name.ljust(width), *cells, *_interval(figures)])


def _interval(figures: Mapping[str, Any]) -> Iterator[str]:
    if "intervals" in figures:
        low, high = figures["intervals"]["macro_f1"]
        yield f"(macro-F1 {low:.3f} to {high:.3f})"
