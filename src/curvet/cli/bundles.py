"""bundles: the versions of a home, which one is in use, and which is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..terminal import progress, sink
from .options import LANG, OUT, PATH, Group, examples

if TYPE_CHECKING:
    from ..home import Event, Version

SCHEMA_VERSION = 1  # goes up when a key is renamed, removed or changes its meaning

_COLUMNS = (
    ("version", "version"),
    ("standing", "standing"),
    ("made", "made"),
    ("labels", "labels"),
    ("labels_hash", "hash"),
    ("code", "code"),
    ("seed", "seed"),
    ("log_loss_old", "log-loss old"),
    ("log_loss_new", "new"),
    ("top1_old", "top-1 old"),
    ("top1_new", "new"),
)


@click.group(
    cls=Group,
    epilog=examples(
        "curvet bundles list models/team",
        "curvet bundles compare models/team 0001 0002 --field data/real",
        "curvet bundles use models/team 0001",
        "curvet bundles rollback models/team",
    ),
)
def bundles() -> None:
    """List, compare and choose the versions of a home of bundles.

    A home is a folder such as models/team, in which curvet retrain keeps its versions. One of
    them, the champion, is what --bundle models/team and CURVET_BUNDLE=models/team stand for.
    """


@bundles.command(
    "list", epilog=examples("curvet bundles list models/team", "... --format csv --out team.csv")
)
@click.argument("home", type=PATH)
@click.option("--format", "layout", type=click.Choice(["table", "json", "csv"]), default="table")
@OUT
def list_(home: Path, layout: str, out: Path | None) -> None:
    """List the versions of HOME: made when, from which labels, how good, which one is in use.

    The figures are those on the held-out runs of a version's comparison with the bundle before.
    """
    import csv
    import json

    from ..errors import BundleError
    from ..home import champion, history, versions

    found = versions(home)
    missing = ""
    try:
        champion(home)
    except BundleError as error:
        missing = str(error)
    at = {event.version: event.at for event in reversed(history(home))}
    records = [_record(version, at) for version in found]
    with sink(out) as stream:
        if layout == "json":
            document = {"schema_version": SCHEMA_VERSION, "versions": records}
            stream.write(json.dumps(document, indent=2) + "\n")
        elif layout == "csv":
            writer = csv.DictWriter(stream, list(_empty()), lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)
        else:
            stream.write("\n".join(_table(records, missing)) + "\n")


@bundles.command(
    epilog=examples(
        "curvet bundles use models/team 0001",
        "curvet bundles use models/team shipped   the bundle that comes with curvet",
    )
)
@click.argument("home", type=PATH)
@click.argument("version")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
def use(home: Path, version: str, reason: str) -> None:
    """Take VERSION of HOME into use, whatever the gate said of it."""
    from ..bundle import load_bundle
    from ..home import SHIPPED
    from ..home import use as use_version

    if version != SHIPPED and (home / version / "manifest.json").is_file():
        load_bundle(home / version)  # one that is damaged or newer is told now, not when it is used
    _tell(home, use_version(home, version, reason))


@bundles.command(epilog=examples("curvet bundles rollback models/team"))
@click.argument("home", type=PATH)
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
def rollback(home: Path, reason: str) -> None:
    """Go back to the version of HOME that was in use before; again goes further back."""
    from ..home import rollback as roll_back

    _tell(home, roll_back(home, reason))


@bundles.command(
    epilog=examples(
        "curvet bundles compare models/team 0001 0002 --field data/real",
        "curvet bundles compare models/team shipped 0002 --labels labels.db --runs runs/",
        "curvet bundles compare models/team shipped 0002 --field data/real --format json",
        "curvet bundles compare models default own --field data/real --page comparison.html",
    )
)
@click.argument("folder", type=PATH)
@click.argument("old")
@click.argument("new")
@click.option("--field", type=PATH, metavar="DIR", help="Real labelled runs to compare on.")
@click.option("--labels", metavar="LABELS", help="Labels of your own runs, to compare on these.")
@click.option("--runs", "paths", multiple=True, metavar="PATH", help="The archive of those runs.")
@click.option("--causes", type=PATH, metavar="FILE", help="Causes of your own; see curvet retrain.")
@click.option("--format", "layout", type=click.Choice(["table", "json"]), default="table")
@click.option("--page", type=PATH, metavar="FILE", help="Write a page of it, too: .html.")
@OUT
@LANG
def compare(
    folder: Path,
    old: str,
    new: str,
    field: Path | None,
    labels: str | None,
    paths: Sequence[str],
    causes: Path | None,
    layout: str,
    page: Path | None,
    out: Path | None,
) -> None:
    """Compare OLD and NEW on runs whose cause is known, with 95 % intervals.

    Both are names of bundles in FOLDER (versions, if it is a home), or shipped. As in the gate of
    curvet retrain, NEW answers under the prior of OLD on the field trial, which has its own mix of
    causes; and of labelled runs that a version has learned from, what it said before it did counts.
    """
    import json

    from ..page.comparison import write_comparison
    from ..predictor import Predictor
    from ..report.comparison_as_text import comparison_to_text
    from ..retrain.gate import on_trial

    if field is None and labels is None:
        raise click.UsageError("nothing to compare on; name --field, or --labels and --runs")
    if (labels is None) != (not paths):
        raise click.UsageError("--labels and --runs belong together")
    places = _folder(folder, old), _folder(folder, new)
    record: dict[str, Any] = {"old": old, "new": new}
    if labels is not None:
        from ..labels.files import read_causes, read_labels
        from ..retrain.publish import compare_on_runs

        given = read_labels(labels, causes=read_causes(causes) if causes else None)
        with progress("labelled runs") as show:
            record["held_out"] = compare_on_runs(
                places, given, paths, progress=lambda step, done, total: show(done, total)
            )
    if field is not None:
        first, second = (Predictor.load(place) for place in places)
        record["field"] = on_trial(first, second, field)
    with sink(out) as stream:
        stream.write(
            json.dumps(record, indent=2, allow_nan=False) + "\n"
            if layout == "json"
            else comparison_to_text(record)
        )
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_comparison(page, record)
        click.echo(f"page: {page}", err=True)


def _folder(folder: Path, name: str) -> Path:
    from ..bundle import default_path
    from ..errors import BundleError
    from ..home import SHIPPED

    if name == SHIPPED:
        return default_path()
    if not (folder / name / "manifest.json").is_file():
        there = sorted(path.parent.name for path in folder.glob("*/manifest.json"))
        raise BundleError(
            f"{folder}: no bundle {name!r}; there are: {', '.join([*there, SHIPPED])}"
        )
    return folder / name


def _tell(home: Path, event: Event) -> None:
    before = "as before" if event.version == event.before else f"before it {event.before}"
    click.echo(f"{home}: {event.version} is in use, {before}", err=True)


def _empty() -> dict[str, Any]:
    return dict.fromkeys(dict(_COLUMNS), None)


def _record(version: Version, at: Mapping[str, str]) -> dict[str, Any]:
    """Say what is known of a version; None where its manifest or comparison does not tell."""
    manifest = _json(version.folder / "manifest.json")
    comparison = _json(version.folder / "comparison.json")
    libraries = _mapping(manifest.get("libraries"))
    made = _mapping(manifest.get("team")) or manifest  # one of `curvet train` has no team
    labels = _mapping(made.get("labels"))
    record = _empty() | {
        "version": version.name,
        "standing": version.standing,
        "made": _made(version, at),
        "labels": labels.get("runs"),
        "labels_hash": labels.get("sha256"),
        "code": made.get("code") or libraries.get("curvet"),
        "seed": made.get("seed"),
    }
    held_out = _mapping(comparison.get("held_out"))
    for name in ("log_loss", "top1"):
        for side in ("old", "new"):
            figures = _mapping(_mapping(held_out.get(side)).get("figures"))
            record[f"{name}_{side}"] = _mapping(figures.get(name)).get("value")
    return record


def _made(version: Version, at: Mapping[str, str]) -> str | None:
    """Return when a version was first spoken of, else when its manifest was written."""
    from datetime import UTC, datetime

    if version.name in at:
        return at[version.name]
    try:
        written = (version.folder / "manifest.json").stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")


def _json(path: Path) -> Mapping[str, Any]:
    import json

    try:
        return _mapping(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):  # what is listed need not be sound
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _table(records: Sequence[Mapping[str, Any]], missing: str) -> Iterator[str]:
    from ..report.as_text import clean

    rows = [[title for _, title in _COLUMNS]]
    for record in records:
        cells = [_cell(name, record[name]) for name, _ in _COLUMNS]
        cells[1] = f"* {cells[1]}" if record["standing"] == "champion" else cells[1]
        rows.append([clean(cell) for cell in cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
    if missing:
        yield missing
    elif not any(record["standing"] == "champion" for record in records):
        yield "no version is in use: the home stands for the bundle that ships"


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)[:12] if name == "labels_hash" else str(value)
