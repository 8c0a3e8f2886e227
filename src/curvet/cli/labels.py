"""labels import, export, check: what people say of runs, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..terminal import complain, progress, sink, table_lines
from .options import EXIT_INPUT, EXIT_LIMIT, OUT, PATH, examples

if TYPE_CHECKING:
    from ..causes.team import TeamCause
    from ..errors import LabelError
    from ..labels.check import Check

CAUSES = click.option(
    "--causes",
    "causes_file",
    type=PATH,
    metavar="FILE",
    help="Causes of your own: JSON, {key: {title, sign, remedies}}.",
)


@click.group(
    epilog=examples(
        "curvet labels import labels.csv --into labels.db",
        "curvet labels check labels.db --scores scores.parquet",
        "curvet labels export labels.db --out labels.jsonl",
    ),
)
def labels() -> None:
    """Bring labels in and out, and check them.

    A label is what one person says of one run: a cause, several, or that the curves cannot tell.
    LABELS is an SQLite file, or the URL of a database, postgresql://USER:PASSWORD@HOST/NAME.
    """


@labels.command(
    "import",
    epilog=examples(
        "curvet labels import labels.csv --into labels.db",
        "curvet labels import sheet.csv --into labels.db --annotator jane --skip-bad",
        "curvet labels import mlflow:http://host:5000#vision --into labels.db",
        "curvet labels import wandb/ --into labels.db",
        "curvet labels import project-1.json --into labels.db --causes causes.json",
        "curvet labels import labels.db --into postgresql://jane@host/labels",
    ),
)
@click.argument("source")
@click.option("--into", required=True, metavar="LABELS", help="Database to add them to.")
@click.option(
    "--annotator", metavar="NAME", help="Who gave those that name nobody.  [default: imported]"
)
@CAUSES
@click.option("--skip-bad", is_flag=True, help="Leave out rows that are no label, and list them.")
@click.pass_context
def import_(
    ctx: click.Context,
    source: str,
    into: str,
    annotator: str | None,
    causes_file: Path | None,
    skip_bad: bool,
) -> None:
    """Add labels to a database: all of a source, or none.

    SOURCE is a file (.csv, .jsonl, .json, .parquet; Label Studio's JSON export), another database,
    a folder of offline runs of W&B, or an address: mlflow:URI#experiment, wandb:entity/project.
    What is there already is not added again.
    """
    from ..labels import open_store
    from ..labels.files import read_labels

    bad: list[LabelError] = []
    notes: list[str] = []  # told when the bar is gone
    store = open_store(into)
    try:
        known = store.causes()
        with progress("rows read") as show:
            found = read_labels(
                source,
                annotator=annotator,
                causes=known | _causes(causes_file),
                on_bad=bad.append if skip_bad else None,
                tell=notes.append,
                progress=show,
            )
        for note in (*notes, *(f"skipped: {error}" for error in bad)):
            _note(note)
        if bad and not found.rows:
            complain(f"{source}: none of {len(bad)} rows is a label; nothing was added")
            ctx.exit(EXIT_INPUT)
        for key, cause in found.causes.items():
            if known.get(key) != cause:
                store.add_cause(cause, annotator or "imported")
        with progress("labels") as show:
            added = store.add(found.rows, progress=show)
    finally:
        store.close()
    there = len(found.rows) - added
    click.echo(
        f"added: {added:,} labels of {len({label.run_id for label in found.rows}):,} runs"
        + (f", {there:,} were there already" if there else "")
        + (f", {len(bad):,} skipped" if bad else "")
        + f"; {store.source}",
        err=True,
    )


@labels.command(
    epilog=examples(
        "curvet labels export labels.db --out labels.csv",
        "curvet labels export labels.db --out labels.jsonl --causes causes.json",
        "curvet labels export labels.db --out mlflow:http://host:5000#vision",
        "curvet labels export labels.db --out wandb:entity/project",
        "curvet labels export labels.db --out label-studio:tasks/ --runs runs/",
    ),
)
@click.argument("labels_", metavar="LABELS")
@click.option(
    "--out",
    required=True,
    metavar="WHERE",
    help="A file (.csv, .jsonl, .json, .parquet), mlflow:URI#experiment, wandb:entity/project, or "
    "label-studio:FOLDER.",
)
@click.option(
    "--causes",
    "causes_file",
    type=PATH,
    metavar="FILE",
    help="Write the team's own causes there as well: JSON.",
)
@click.option("--runs", metavar="PATH", help="Where the logs are; Label Studio shows their curves.")
@click.option(
    "--scores",
    type=PATH,
    metavar="FILE",
    help="A table of scores; Label Studio shows its verdicts.",
)
def export(
    labels_: str, out: str, causes_file: Path | None, runs: str | None, scores: Path | None
) -> None:
    """Write labels to a file, or as tags to the runs of a tracker.

    A file gets all labels that were ever given; a tracker those that count, and tags of others
    stay. To move labels to another database, import them there.
    """
    from ..errors import LabelError
    from ..labels.exchange import EXCHANGES, Options
    from ..labels.files import read_labels, write_causes, write_labels
    from ..labels.store import is_url, masked

    found = read_labels(labels_, tell=_note)
    exchange = next((each for each in EXCHANGES if each.matches(out)), None)
    if exchange is not None:
        notes: list[str] = []  # told when the bar is gone
        with progress("runs") as show:
            written = exchange.write(found, out, Options(runs, scores, notes.append, show))
        for note in notes:
            _note(note)
        click.echo(f"labels: {masked(out)}, {written:,} runs", err=True)
    elif is_url(out):
        raise LabelError(
            f"{masked(out)}: a database; use `curvet labels import {labels_} --into` with it"
        )
    else:
        write_labels(found, Path(out))
        click.echo(f"labels: {out}, {len(found.rows):,} labels", err=True)
    if causes_file is not None:
        write_causes(found.causes, causes_file)
        click.echo(f"causes: {causes_file}, {len(found.causes)} of your own", err=True)


@labels.command(
    epilog=examples(
        "curvet labels check labels.db",
        "curvet labels check labels.db --scores scores.parquet",
        "curvet labels check labels.csv --format csv --out findings.csv",
        "curvet labels check postgresql://jane@host/labels --strict",
    ),
)
@click.argument("labels_", metavar="LABELS")
@click.option(
    "--scores",
    type=PATH,
    metavar="FILE",
    help="A table of scores, to find labels that are probably wrong and runs that are gone.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    help="How to print.  [default: table]",
)
@OUT
@CAUSES
@click.option("--strict", is_flag=True, help="Exit with 1 if annotators are in conflict.")
@click.pass_context
def check(
    ctx: click.Context,
    labels_: str,
    scores: Path | None,
    layout: str,
    out: Path | None,
    causes_file: Path | None,
    strict: bool,
) -> None:
    """Say how far labels can be trusted: agreement, conflicts, probable errors, gaps.

    LABELS may be a file as well; see curvet labels import.
    """
    from ..labels.check import check_labels
    from ..labels.files import read_labels
    from ..page.table import read_scores

    found = read_labels(labels_, causes=_causes(causes_file), tell=_note)
    checked = check_labels(found, None if scores is None else read_scores(scores))
    with sink(out) as stream:
        stream.write(_render(checked, layout, to_file=out is not None))
    if strict and checked.conflicts:
        complain(f"{checked.conflicts} conflicts, and --strict was given")
        ctx.exit(EXIT_LIMIT)


def _render(checked: Check, layout: str, *, to_file: bool) -> str:
    from ..labels import check_report

    if layout == "json":
        return check_report.check_to_json(checked)
    if layout == "csv":
        return check_report.check_to_csv(checked)
    lines = table_lines(lambda width: check_report.tables(checked), to_file=to_file)
    return "\n".join([check_report.check_to_text(checked), *lines, ""])


def _causes(path: Path | None) -> dict[str, TeamCause]:
    from ..labels.files import read_causes

    return {} if path is None else read_causes(path)


def _note(text: str) -> None:
    from ..report.as_text import clean

    click.echo(f"note: {clean(text)}", err=True)
