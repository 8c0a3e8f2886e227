"""The Exchange record: all that a tool which keeps labels of its own has to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..label import Labels, by_run
from ..rows import Entry, Progress, Tell, show_nothing, tell_nobody


@dataclass(frozen=True, slots=True)
class Options:
    """What an export may need besides the labels.

    Parameters
    ----------
    runs : str or None
        Where the logs are; see `readers.read`. Label Studio shows their curves.
    scores : Path or None
        Table of scores; Label Studio shows its verdicts as predictions.
    tell : callable (str) -> object
        Receives what there is to know besides.
    progress : callable (done, total) -> object
        Called as runs are done.
    """

    runs: str | None = None
    scores: Path | None = None
    tell: Tell = tell_nobody
    progress: Progress = show_nothing


@dataclass(frozen=True, slots=True)
class Exchange:
    """A tool that labels come from and go to.

    Parameters
    ----------
    name : str
        Of the tool.
    accepts : str
        Its addresses in words, for error messages.
    matches : callable (address) -> bool
        Decides by the address alone, and by what is on the disk.
    read : callable (address, tell) -> iterator of Entry
        Rows of labels; see `rows.collect`. Raises CurvetError.
    write : callable (labels, address, options) -> int
        Writes the labels that count; returns of how many runs. Raises CurvetError.
    """

    name: str
    accepts: str
    matches: Callable[[str], bool]
    read: Callable[[str, Tell], Iterator[Entry]]
    write: Callable[[Labels, str, Options], int]


def per_run(labels: Labels) -> dict[str, Labels]:
    """Return all that is said of each run."""
    return {
        run_id: Labels(tuple(rows), labels.causes, labels.source)
        for run_id, rows in by_run(labels.rows).items()
    }


def some(names: list[str], most: int = 5) -> str:
    """Name a few of many.

    Examples
    --------
    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
