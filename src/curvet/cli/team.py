"""retrain: a bundle of a team's own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from ..terminal import progress
from .options import EXIT_LIMIT, LANG, PATH, examples


def _no_nan(ctx: click.Context, parameter: click.Parameter, value: float) -> float:
    """Refuse what is within any range, and is never exceeded."""
    if value != value:
        raise click.BadParameter("nan is no number.", ctx, parameter)
    return value


@click.command(
    epilog=examples(
        "curvet retrain --labels labels.db --runs runs/ --out models/team",
        "curvet retrain --labels labels.csv --causes ours.json --runs runs/ --out models/team",
        "curvet retrain --labels postgresql://host/labels --runs runs/ --out models/team",
        "curvet retrain --labels labels.db --runs runs/ --out models/team --leave-out wrong_loss",
        "curvet score runs/ --bundle models/team --out scores.parquet",
    )
)
@click.option(
    "--labels",
    required=True,
    metavar="LABELS",
    help="From curvet label: a database, its URL, or a .csv, .jsonl, .parquet or .json file.",
)
@click.option(
    "--runs",
    "paths",
    required=True,
    multiple=True,
    metavar="PATH",
    help="The archive that was labelled, named as it was for curvet score. Repeatable.",
)
@click.option(
    "--out", type=PATH, required=True, metavar="DIR", help="Home of the team's bundles, versioned."
)
@click.option(
    "--causes",
    type=PATH,
    metavar="FILE",
    help="Causes of your own, as JSON {key: {title, sign, remedies}}, for labels in a file.",
)
@click.option(
    "--leave-out",
    multiple=True,
    metavar="CAUSE",
    help="A cause that you do not use. Repeatable.",
)
@click.option(
    "--group",
    default="auto",
    show_default=True,
    metavar="RULE",
    help="Which runs stay on one side of every split: those of one folder, of one name but for its "
    "numbers, each by itself (folder, name, run), or a regular expression that finds the sweep.",
)
@click.option(
    "--learn",
    "depth",
    type=click.Choice(["auto", "recalibration", "features", "all"]),
    default="auto",
    show_default=True,
    help="How much is learned; auto: what the number of labelled runs allows.",
)
@click.option(
    "--corpus",
    "corpora",
    type=PATH,
    multiple=True,
    metavar="DIR",
    help="From curvet simulate; with it and 2,000 labels or more all classifiers are trained anew. "
    "May be given again.",
)
@click.option(
    "--field",
    type=PATH,
    metavar="DIR",
    help="Runs on which nothing may be unlearned.  [default: the field trial that ships]",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    callback=_no_nan,
    default=0.1,
    show_default=True,
    metavar="NATS",
    help="How much the log-loss on the field trial may rise.",
)
@click.option("--force", is_flag=True, help="Install the new bundle even if it is no better.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Same inputs, same bundle."
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@LANG
@click.pass_context
def retrain(
    ctx: click.Context,
    labels: str,
    paths: Sequence[str],
    out: Path,
    causes: Path | None,
    leave_out: Sequence[str],
    group: str,
    depth: str,
    corpora: Sequence[Path],
    field: Path | None,
    tolerance: float,
    force: bool,
    seed: int,
    workers: int,
) -> None:
    """Learn from runs that your team has labelled, and install the result if it is better.

    The new bundle is compared with the one in use, on labelled runs of sweeps that it was not
    fitted to, and on the field trial. A bundle that is not better is kept, but not installed: exit
    code 1.
    """
    from ..bundle import default_path, load_bundle
    from ..home import champion, check_home
    from ..labels.files import read_causes, read_labels
    from ..retrain.gate import Tolerance
    from ..retrain.job import STEPS, learn, lesson_to_text
    from ..retrain.publish import outcome_to_text, publish
    from ..trials import check_trial, default_trial

    check_home(out)
    if used := champion(out):
        load_bundle(used)  # what is damaged is told before the work
    if field:
        check_trial(field)
    given = read_labels(labels, causes=read_causes(causes) if causes else None)
    base = load_bundle(default_path())
    trial = field or (default_trial() if default_trial().is_dir() else None)
    with ExitStack() as stack:
        bars = {step: stack.enter_context(progress(step)) for step in STEPS}

        def show(step: str, done: int, total: int | None) -> None:
            bars[step](done, total)

        lesson = learn(
            base,
            given,
            paths,
            leave_out=leave_out,
            group=group,
            depth=depth,
            corpora=corpora,
            seed=seed,
            workers=workers,
            progress=show,
        )
        outcome = publish(
            lesson,
            out,
            field=trial,
            tolerance=Tolerance(log_loss=tolerance),
            force=force,
            progress=show,
        )
    click.echo(lesson_to_text(lesson), nl=False, err=True)
    click.echo(outcome_to_text(outcome, out), nl=False, err=True)
    if not outcome.installed:
        ctx.exit(EXIT_LIMIT)
