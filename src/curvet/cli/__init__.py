"""Arguments in, one call, text out.

Exit codes: 0 done; 1 a --fail-on limit was met, or, with --strict, labels are in conflict; 2 wrong
usage, nothing could be read, or, with --strict, something could not; 130 interrupted; 141 whoever
read the output went away.
"""

from __future__ import annotations

import sys

import click

from ..terminal import announce_compiling
from .bundles import bundles
from .label import label
from .labels import labels
from .models import causes, evaluate, simulate, train
from .options import Group, examples
from .runs import diagnose, report, score
from .team import retrain


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "curvet diagnose runs/                 every run below a folder",
        "curvet diagnose runs/7/events.out.*   one run, in full",
        "curvet score runs/ --out scores.parquet   a table of all runs, resumable",
        "curvet report scores.parquet --out report.html   a page of that table",
        "curvet label scores.parquet   label its runs, one key each",
        "curvet retrain --labels labels.db --runs runs/ --out models/team   your own predictor",
        "curvet causes                         what can be found",
    ),
)
@click.version_option(package_name="curvet", prog_name="curvet")
def main() -> None:
    """Read the loss curves of training runs and say why a run went wrong."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a letter that the terminal lacks is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    announce_compiling()


for command in (
    diagnose,
    score,
    report,
    label,
    labels,
    retrain,
    bundles,
    simulate,
    train,
    evaluate,
    causes,
):
    main.add_command(command)
