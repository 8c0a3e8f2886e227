"""label: work through runs on a page and say what is wrong with each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ..terminal import complain
from .options import LANG, PATH, examples


@click.command(
    epilog=examples(
        "curvet label scores.parquet",
        "curvet label scores.parquet --labels team.db --annotator ada",
        "curvet label scores.parquet --labels postgresql://ada:secret@db.example/labels",
        "curvet label scores.parquet --order random --no-browser --port 8765",
    )
)
@click.argument("scores", type=PATH)
@click.option(
    "--labels",
    metavar="FILE|URL",
    help="Where labels go: an SQLite file, which is made, or postgresql://USER:PASSWORD@HOST/NAME."
    "  [default: labels.db beside SCORES]",
)
@click.option(
    "--annotator",
    metavar="NAME",
    help="Who labels. Each browser asks once.  [default: the name of the login]",
)
@click.option(
    "--order",
    type=click.Choice(["suggested", "random", "table"]),
    default="suggested",
    show_default=True,
    help="Which runs are offered first: those that teach most, any, or as in the table.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Of this machine; it cannot be reached from others.  [default: one that is free]",
)
@click.option("--no-browser", is_flag=True, help="Print the address, open nothing.")
@LANG
def label(
    scores: Path,
    labels: str | None,
    annotator: str | None,
    order: str,
    port: int,
    no_browser: bool,
) -> None:
    """Label the runs of a table on a page, one key each.

    SCORES is what curvet score has written. A label is in the file as soon as the page goes on to
    the next run; stopped at any moment, the same command goes on where it was. Several people may
    label into the same file or database at once.
    """
    from ..labels.web.serve import prepare
    from ..labels.web.work import ORDERS
    from ..report.as_text import clean

    page = prepare(
        scores,
        labels,
        annotator=annotator,
        port=port,
        order=next(known for known in ORDERS if known == order),
        complain=complain,
    )
    for note in page.notes:
        click.echo(f"note: {clean(note)}", err=True)
    click.echo(f"runs: {page.runs:,} of {clean(str(scores))}", err=True)
    click.echo(f"labels: {clean(page.store.source)}", err=True)
    click.echo(f"page: {page.url}", err=True)
    click.echo("It is for this machine only; Ctrl-C ends it, and nothing is lost.", err=True)
    if not no_browser and _has_screen():
        click.launch(page.once)
    try:
        page.run()
    except KeyboardInterrupt:
        click.echo("ended", err=True)


def _has_screen() -> bool:
    """Tell whether a browser can show something; on a server it would take the terminal."""
    return sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
