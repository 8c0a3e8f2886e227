"""diagnose, score, report: what is wrong with runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..terminal import complain, progress, sink, table_lines
from .options import (
    BUNDLE,
    COVERAGE,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_LIMIT,
    LANG,
    OUT,
    PATH,
    PRIOR,
    examples,
)

# Whatever is slow to import is imported by the command that needs it: --help must be instant.
if TYPE_CHECKING:
    from ..archive import Row
    from ..diagnosis import Diagnosis
    from ..run import Run


@click.command(
    epilog=examples(
        "curvet diagnose runs/",
        "curvet diagnose runs/7/metrics.csv --plot run7.png",
        "curvet diagnose runs/ --format jsonl --out verdicts.jsonl",
        "curvet diagnose runs/ --fail-on exploding_gradients --fail-on lr_too_high:0.8",
        "curvet diagnose runs/ --prior archive --coverage 0.8",
        "curvet diagnose runs/ --lang zh",
    )
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["table", "json", "jsonl", "csv"]),
    default="table",
    help="How to print; one run alone is written out in full as a table.  [default: table]",
)
@click.option(
    "--fail-on",
    "limits",
    multiple=True,
    metavar="CAUSE[:P]",
    help="Exit with 1 if a run's verdict is CAUSE, or if P or more speaks for CAUSE. Repeatable.",
)
@OUT
@BUNDLE
@PRIOR
@COVERAGE
@click.option("--plot", type=PATH, metavar="FILE", help="Draw the runs too: .png, .pdf or .svg.")
@click.option("--show-skipped", is_flag=True, help="List files that are no log as well.")
@click.option("--strict", is_flag=True, help="Exit with 2 if any log could not be diagnosed.")
@LANG
@click.pass_context
def diagnose(
    ctx: click.Context,
    paths: Sequence[str],
    layout: str,
    limits: Sequence[str],
    out: Path | None,
    bundle: Path | None,
    prior: str,
    coverage: float,
    plot: Path | None,
    show_skipped: bool,
    strict: bool,
) -> None:
    """Say what is wrong with each run that is logged in files or folders."""
    from ..archive import diagnose_paths, under_own_prior
    from ..predictor import Predictor
    from ..prior import ARCHIVE
    from ..report import as_json, as_picture

    if plot is not None:
        as_picture.check_suffix(plot)
    predictor = Predictor.load(bundle, prior, coverage)
    causes = predictor.bundle.causes
    parsed = [_limit(text, causes) for text in limits]
    drawn: list[tuple[Run, Diagnosis]] = []

    def keep(run: Run, diagnosis: Diagnosis) -> None:
        if plot is not None and len(drawn) < as_picture.MAX_PANELS:
            drawn.append((run, diagnosis))

    rows: list[Row] = []
    at_once = layout == "jsonl" and prior != ARCHIVE
    quiet = at_once and out is None and sys.stdout.isatty()  # lines would tear the bar
    with sink(out) as stream, progress("runs", hidden=quiet) as show:
        for row in diagnose_paths(paths, predictor, keep=keep):
            rows.append(row)
            show(len(rows), None)
            if at_once and (show_skipped or row.status != "skipped"):
                stream.write(as_json.row_to_jsonl(row))
        if prior == ARCHIVE:
            rows = under_own_prior(rows, predictor)
            answers = [row.diagnosis for row in rows if row.diagnosis is not None]
            drawn = [(run, answer) for (run, _), answer in zip(drawn, answers, strict=False)]
        if not at_once:
            stream.write(_render(rows, layout, causes, show_skipped, to_file=out is not None))
    if drawn and plot is not None:
        as_picture.draw(drawn, plot, sum(row.status == "ok" for row in rows))
        click.echo(f"picture: {plot}", err=True)
        if as_picture.lacks_font():
            click.echo(f"note: {as_picture.NO_FONT}", err=True)
    ctx.exit(_conclude(rows, parsed, strict))


@click.command(
    epilog=examples(
        "curvet score runs/ --out scores.parquet",
        "curvet score runs.zip s3://bucket/runs --out scores.csv --workers 8",
        "curvet score runs/ --out scores.parquet --since 7d --where \"run_id LIKE 'vision/%'\"",
        "curvet score runs/ --out scores.parquet --prior archive",
        "curvet score runs/ --out scores.parquet --watch",
        "curvet score /shared/runs --out scores.parquet --engine dask://scheduler:8786",
    )
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--out",
    type=PATH,
    required=True,
    metavar="FILE",
    help="Table to write: .parquet, .csv or .jsonl. FILE.state beside it keeps what is done.",
)
@BUNDLE
@PRIOR
@COVERAGE
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@click.option(
    "--engine",
    metavar="URL",
    help="A cluster in place of processes of this machine: dask://HOST:PORT.",
)
@click.option(
    "--where",
    metavar="SQL",
    help="Only logs for which this holds of run_id, source, format, bytes, modified.",
)
@click.option(
    "--since", metavar="WHEN", help="Only logs that changed since: 2026-01-31, 90m, 12h, 7d, 4w."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N logs.")
@click.option(
    "--watch",
    is_flag=False,
    flag_value=30.0,
    type=click.FloatRange(0.1),
    metavar="[SECONDS]",
    help="Go on for ever: look for new and changed runs every so often.  [default: 30]",
)
@click.option("--strict", is_flag=True, help="Exit with 2 if any log could not be diagnosed.")
@LANG
@click.pass_context
def score(
    ctx: click.Context,
    paths: Sequence[str],
    out: Path,
    bundle: Path | None,
    prior: str,
    coverage: float,
    workers: int | None,
    engine: str | None,
    where: str | None,
    since: str | None,
    limit: int | None,
    watch: float | None,
    strict: bool,
) -> None:
    """Score every run of an archive: one row each in a table.

    Paths are files, folders, zip and tar files, and URLs. Stopped half-way, the same command goes
    on where it was; called again, it reads only what is new or has changed.
    """
    from ..score.job import Options
    from ..score.job import score as score_archive
    from ..score.summary import summary_to_text

    options = Options(
        bundle=bundle,
        workers=workers,
        engine=engine,
        where=where,
        since=since,
        limit=limit,
        prior=prior,
        coverage=coverage,
    )
    while True:
        try:
            with progress("logs found") as found, progress("logs") as scored:
                summary = score_archive(paths, out, options, found=found, scored=scored)
        except KeyboardInterrupt:
            complain("interrupted; the same command goes on where this one stopped")
            ctx.exit(EXIT_INTERRUPTED)
        if watch is None or summary.written:
            click.echo(summary_to_text(summary), nl=False, err=True)
            click.echo(f"scores: {out}", err=True)
        if watch is None:
            break
        try:
            time.sleep(watch)
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)
    if strict and summary.errors:
        complain(f"{sum(summary.errors.values())} could not be diagnosed, and --strict was given")
        ctx.exit(EXIT_INPUT)


@click.command(
    epilog=examples(
        "curvet report scores.parquet --out report.html",
        "curvet report scores.parquet --out report.html --title 'Vision, spring' --open",
        "curvet report scores.csv --out all.html --curves 0",
    )
)
@click.argument("scores", type=PATH)
@click.option("--out", type=PATH, required=True, metavar="FILE", help="Page to write: .html.")
@click.option(
    "--curves",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    metavar="N",
    help="Draw at most N runs, in turn the surest of each verdict; 0 reads no log.",
)
@click.option("--title", metavar="TEXT", help="Of the page.  [default: the name of the table]")
@click.option(
    "--bundle",
    type=PATH,
    metavar="DIR",
    help="Bundle with a team's words for causes of its own; parquet has them in itself.",
)
@click.option("--open", "opened", is_flag=True, help="Show the page in the browser.")
@LANG
def report(
    scores: Path, out: Path, curves: int, title: str | None, bundle: Path | None, opened: bool
) -> None:
    """Make one HTML page of a table of scores: overview, table, curves.

    SCORES is what curvet score has written. The logs that it names are read again for their
    curves; a log that is gone leaves a row without. The page needs no network and no other file.
    """
    from ..bundle import ENVIRONMENT, load_bundle
    from ..page.build import write_page
    from ..report.as_text import clean

    if bundle is not None or os.environ.get(ENVIRONMENT):
        load_bundle(bundle)  # tells its words

    with progress("logs") as show:
        made = write_page(scores, out, curves=curves, title=title, progress=show)
    for note in made.notes:
        click.echo(f"note: {clean(note)}", err=True)
    click.echo(
        f"page: {out}, {made.rows:,} runs, {made.curves:,} with curves, {made.size / 1e6:.1f} MB",
        err=True,
    )
    if opened:
        click.launch(str(out))


def _limit(text: str, causes: Sequence[str]) -> tuple[str, float | None]:
    """Read ``CAUSE[:P]`` of a cause that the predictor knows."""
    from ..errors import UnknownCauseError

    cause, colon, number = text.partition(":")
    if cause not in causes:
        raise UnknownCauseError(cause, causes)
    if not colon:
        return cause, None
    try:
        least = float(number)
    except ValueError:
        least = -1.0
    if not 0 < least <= 1:
        raise click.BadParameter(
            f"{number!r} is no probability above 0 and at most 1", param_hint="'--fail-on'"
        )
    return cause, least


def _render(
    rows: Sequence[Row], layout: str, causes: Sequence[str], show_skipped: bool, *, to_file: bool
) -> str:
    from ..report import as_csv, as_json, as_text

    shown = [row for row in rows if show_skipped or row.status != "skipped"]
    if layout == "json":
        return as_json.rows_to_json(shown)
    if layout == "jsonl":
        return "".join(map(as_json.row_to_jsonl, shown))
    if layout == "csv":
        return as_csv.rows_to_csv(shown, causes)
    if len(shown) == 1:  # a single failure is told on stderr
        diagnosis = shown[0].diagnosis
        return "" if diagnosis is None else as_text.diagnosis_to_text(diagnosis) + "\n"
    if not shown:
        return ""
    lines = table_lines(lambda width: [as_text.table(shown, width)], to_file=to_file)
    return "\n".join([*lines, "", as_text.totals(rows), ""])


def _conclude(rows: Sequence[Row], limits: Sequence[tuple[str, float | None]], strict: bool) -> int:
    """Say on stderr what went wrong and return the exit code."""
    from ..readers import ACCEPTED
    from ..report.as_text import skipped_to_text

    if skipped := [row.source for row in rows if row.status == "skipped"]:
        click.echo(skipped_to_text(skipped), err=True)
    failed = [row for row in rows if row.status == "error"]
    if not any(row.status == "ok" for row in rows):
        if len(failed) == 1:
            complain(failed[0].error)
        else:
            complain("no run could be diagnosed" if failed else f"no training log; {ACCEPTED}")
        return EXIT_INPUT
    met = [
        f"{cause}: {row.run_id}"
        for cause, least in limits
        for row in rows
        if row.diagnosis is not None and _meets(row.diagnosis, cause, least)
    ]
    for line in met:
        complain(f"--fail-on {line}")
    if strict and failed:
        complain(f"{len(failed)} could not be diagnosed, and --strict was given")
        return EXIT_INPUT
    return EXIT_LIMIT if met else 0


def _meets(diagnosis: Diagnosis, cause: str, least: float | None) -> bool:
    if least is None:
        return diagnosis.cause == cause
    return diagnosis.cause is not None and diagnosis.probabilities.get(cause, 0.0) >= least
