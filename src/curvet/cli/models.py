"""simulate, train, evaluate, causes: how the predictor is made, and what it knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ..terminal import progress, sink
from .options import BUNDLE, LANG, OUT, PATH, examples


@click.command(
    epilog=examples(
        "curvet simulate --runs 2000 --out corpus",
        "curvet simulate --runs 60000 --out corpus --seed 1 --device cuda",
    )
)
@click.option("--runs", type=click.IntRange(1), required=True, help="How many runs to train.")
@click.option("--out", type=PATH, required=True, metavar="DIR", help="Folder of the corpus.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same runs.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
def simulate(runs: int, out: Path, seed: int, device: str, workers: int) -> None:
    """Train tiny networks with known faults and log their curves: a labelled corpus.

    Stopped half-way, the same command goes on where it was.
    """
    from ..simulate.corpus import simulate as simulate_corpus

    with progress("runs") as show:
        simulate_corpus(out, runs, seed, device, workers, show)
    click.echo(f"corpus: {out}", err=True)


@click.command(
    epilog=examples(
        "curvet train --corpus corpus --out models/own",
        "curvet train --corpus corpus --corpus data/workshop --out models/own",
    )
)
@click.option(
    "--corpus",
    "corpora",
    type=PATH,
    required=True,
    multiple=True,
    metavar="DIR",
    help="From curvet simulate; may be given again, as for real trainings beside simulated ones.",
)
@click.option("--out", type=PATH, required=True, metavar="DIR", help="Folder of the bundle.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same predictor.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
def train(corpora: Sequence[Path], out: Path, seed: int, workers: int) -> None:
    """Fit, calibrate and save a predictor."""
    from ..train import train as train_bundle

    with progress("steps") as show:
        train_bundle(corpora, out, seed, show, workers)
    click.echo(f"bundle: {out}", err=True)


@click.command(
    epilog=examples(
        "curvet evaluate --corpus corpus",
        "curvet evaluate --bundle models/own --field labelled_runs --format json --out scores.json",
    )
)
@BUNDLE
@click.option("--corpus", type=PATH, metavar="DIR", help="Simulated runs to score on.")
@click.option("--field", type=PATH, metavar="DIR", help="Real labelled runs to score on.")
@click.option("--format", "layout", type=click.Choice(["table", "json"]), default="table")
@OUT
@LANG
def evaluate(
    bundle: Path | None, corpus: Path | None, field: Path | None, layout: str, out: Path | None
) -> None:
    """Score a predictor on runs whose cause is known."""
    import json

    from ..evaluate import evaluate as score
    from ..report.scores_as_text import scores_to_text

    scores = score(bundle=bundle, corpus=corpus, field=field)
    with sink(out) as stream:
        stream.write(
            json.dumps(scores, indent=2) + "\n" if layout == "json" else scores_to_text(scores)
        )


@click.command(
    epilog=examples(
        "curvet causes",
        "curvet causes lr_too_high",
        "curvet causes --format json",
        "curvet causes --bundle models/team",
    )
)
@click.argument("key", required=False)
@click.option("--format", "layout", type=click.Choice(["table", "json"]), default="table")
@BUNDLE
@LANG
def causes(key: str | None, layout: str, bundle: Path | None) -> None:
    """Show the causes that can be found: what the curves show and what to try.

    Those that the predictor in use knows, a team's own among them.
    """
    import json

    from ..bundle import default_path, find_bundle, load_bundle
    from ..causes import CAUSES
    from ..errors import UnknownCauseError
    from ..report.as_json import cause_to_dict
    from ..report.as_text import cause_to_text

    place = find_bundle(bundle)
    known = list(CAUSES) if place == default_path() else list(load_bundle(place).causes)
    if key is not None and key not in known:
        advice = "" if bundle else "a team's own are known to its bundle, which --bundle names"
        raise UnknownCauseError(key, known, advice)
    chosen = known if key is None else [key]
    if layout == "json":
        records = [cause_to_dict(cause) for cause in chosen]
        click.echo(json.dumps({"schema_version": 2, "causes": records}, indent=2))
    else:
        texts = (cause_to_text(cause, with_links=key is not None) for cause in chosen)
        click.echo("\n\n".join(texts))
