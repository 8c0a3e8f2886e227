"""What the command line does to files, stdout and stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from .compiled import before_compiling
from .texts import say
from .whole import whole

PIPED_WIDTH = 160  # columns of a table that goes to no terminal
Progress = Callable[[int, int | None], None]


def complain(text: str) -> None:
    """Write one line to stderr, free of anything that a terminal would obey."""
    from .report.as_text import clean

    click.echo(f"error: {clean(text)}", err=True)


def announce_compiling() -> None:
    """Say on a terminal, once, that the first call takes longer."""
    if sys.stderr.isatty():
        before_compiling(lambda: click.echo(say("notices.compiling"), err=True))


@contextmanager
def sink(out: Path | None) -> Iterator[TextIO]:
    """Open stdout, or a file that takes its name only when it is complete.

    Parameters
    ----------
    out : Path or None
        The file; its folder is made. None: stdout.
    """
    if out is None:
        yield sys.stdout
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole(out) as unfinished,
        unfinished.open("w", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        yield stream


def table_lines(make: Callable[[int], Iterable[object]], *, to_file: bool) -> list[str]:
    """Draw what rich can draw, in colour only for a terminal.

    Parameters
    ----------
    make : callable (width) -> iterable
        Gives what to draw for so many columns.
    to_file : bool
        Whether it goes to a file.

    Returns
    -------
    list of str
        Without empty lines around them.
    """
    from rich.console import Console

    plain = to_file or not sys.stdout.isatty()
    width = PIPED_WIDTH if plain and "COLUMNS" not in os.environ else None
    console = Console(width=width, color_system=None if plain else "auto")
    with console.capture() as capture:
        for each in make(console.width):
            console.print(each)
    return [line.rstrip() for line in capture.get().rstrip().lstrip("\n").splitlines()]


@contextmanager
def progress(unit: str, *, hidden: bool = False) -> Iterator[Progress]:
    """Show done, rate and time left on stderr.

    Without a terminal, a job of known length writes a line for each tenth.

    Parameters
    ----------
    unit : str
        What is counted, in the plural.
    hidden : bool
        Show nothing, because something else is written to the terminal meanwhile.
    """
    if hidden:
        yield lambda done, total: None
    elif not sys.stderr.isatty():
        yield _tenths(unit)
    else:
        with _bar(unit) as show:
            yield show


def _tenths(unit: str) -> Progress:
    told = 0

    def show(done: int, total: int | None) -> None:
        nonlocal told
        if total and (tenth := 10 * done // total) > told:
            told = tenth
            click.echo(f"{done} of {total} {unit}", err=True)

    return show


@contextmanager
def _bar(unit: str) -> Iterator[Progress]:
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.SpinnerColumn(),
        bars.BarColumn(),
        bars.TextColumn("{task.completed:.0f} {task.fields[of]}" + unit),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:

        def show(done: int, total: int | None) -> None:
            of = f"of {total} " if total else ""
            if not shown.tasks:  # a resumed job starts here; what was done before has no rate
                shown.add_task("", total=total, completed=done, of=of, rate="")
            task = shown.tasks[0]
            rate = f"{task.speed:.1f}/s" if task.speed else ""
            shown.update(task.id, completed=done, total=total, of=of, rate=rate)

        yield show
