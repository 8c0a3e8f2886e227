"""Labels as tags of W&B's runs: wandb:entity/project on a server, or folders of offline runs.

- ``cause:<key>`` is a cause, ``annotator:<name>`` who says so. Annotators who say different things
  of a run have ``cause:<key>/<name>`` each.
- Tags have no order and no time: of two causes none is the main one, and a label counts as given
  when the run began. Confidence and notes stay where they are.
- Offline runs are read only; the run_id is as in a table that `curvet score` wrote of the same
  folder, and W&B's own id on a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...errors import LabelError, ReadError
from ...readers import Unit, find
from ...readers.units import printable
from ...readers.wandb import read_tags
from ...readers.wandb_server import ACCEPTED, PAGE, connect, in_words, parts
from ..label import Label, Labels
from ..rows import IMPORTED, Entry, Tell
from .base import Exchange, Options, per_run, some

_SCHEME = "wandb:"
_CAUSE, _ANNOTATOR = "cause:", "annotator:"
MAX_TAG = 64  # letters, https://docs.wandb.ai/guides/runs/tags


def _matches(address: str) -> bool:
    if address.startswith(_SCHEME):
        return True
    path = Path(address)
    return "://" not in address and (path.suffix == ".wandb" or path.is_dir())


def _read(address: str, tell: Tell) -> Iterator[Entry]:
    on_server = address.startswith(_SCHEME)
    found = runs = 0
    for name, tags, began in _on_server(address) if on_server else _offline(address, tell):
        runs += 1
        for cause, annotator in said(tags):
            found += 1
            yield (
                f"the tags of the run {name}",
                {
                    "run_id": name,
                    "cause": cause,
                    "annotator": annotator,
                    "labelled_at": began,
                },
            )
    if not runs:
        raise LabelError(f"{address}: no run of W&B; accepted: {EXCHANGE.accepts}")
    if not found:
        tell(f"{address}: none of {runs} runs has a tag {_CAUSE}<key>")


def _offline(folder: str, tell: Tell) -> Iterator[tuple[str, Sequence[str], datetime]]:
    for unit in find(Path(folder), keep_unknown=False):
        if not isinstance(unit, Unit):
            if Path(folder).is_file() and isinstance(unit, ReadError):
                raise unit
            continue
        for path in unit.files if unit.reader.name == "wandb" else ():
            if path.suffix != ".wandb":
                continue
            try:
                tags, began = read_tags(path)
            except ReadError as error:
                tell(str(error))
                continue
            yield printable(unit.name), tags, datetime.fromtimestamp(began, UTC)


def _on_server(address: str) -> Iterator[tuple[str, Sequence[str], datetime]]:
    for run in _runs(address):
        yield printable(run.id), run.tags, datetime.fromisoformat(str(run.created_at))


def _runs(address: str) -> Iterator[Any]:
    address = address.removeprefix(_SCHEME)
    entity, project, key = parts(address)
    with in_words(address):
        api = connect()
        yield from [api.run(address)] if key else api.runs(f"{entity}/{project}", per_page=PAGE)


def _write(labels: Labels, address: str, options: Options) -> int:
    if not address.startswith(_SCHEME):
        raise LabelError(f"{address}: offline runs are read only; accepted: {ACCEPTED}")
    given = per_run(labels)
    on_server = {printable(run.id): run for run in _runs(address)}
    if missing := [run_id for run_id in given if run_id not in on_server]:
        options.tell(f"{len(missing)} runs are not in the project: {some(missing)}")
    present = [run_id for run_id in given if run_id in on_server]
    kept, long = [], list[str]()
    for done, run_id in enumerate(present, 1):
        run = on_server[run_id]
        known = {label.annotator for label in given[run_id].rows}
        if any((annotator or IMPORTED) not in known for _, annotator in said(run.tags)):
            kept.append(run_id)
        else:
            wanted = tags_of(given[run_id].current())
            long += [tag for tag in wanted if len(tag) > MAX_TAG]
            others = [tag for tag in run.tags if not tag.startswith((_CAUSE, _ANNOTATOR))]
            with in_words(address.removeprefix(_SCHEME)):
                run.tags = [*others, *(tag for tag in wanted if len(tag) <= MAX_TAG)]
                run.update()
        options.progress(done, len(present))
    if kept:
        options.tell(
            f"{len(kept)} runs have a tag {_CAUSE}<key> of somebody else and were left alone; "
            f"import it first: {some(kept)}"
        )
    if long:
        options.tell(f"tags of more than {MAX_TAG} letters were left out: {some(long)}")
    return len(present) - len(kept)


def said(tags: Sequence[str]) -> list[tuple[str, str]]:
    """Read the tags of one run.

    Returns
    -------
    list of tuple of str
        Cause and annotator of each label; "" where no annotator is named.

    Examples
    --------
    >>> said(["cause:lr_too_high", "cause:overfitting", "annotator:ann", "baseline"])
    [('lr_too_high;overfitting', 'ann')]
    >>> said(["cause:lr_too_high/ann", "cause:healthy/bob"])
    [('lr_too_high', 'ann'), ('healthy', 'bob')]
    """
    by_annotator: dict[str, list[str]] = {}
    everybody = [tag.removeprefix(_ANNOTATOR) for tag in tags if tag.startswith(_ANNOTATOR)]
    for tag in tags:
        if tag.startswith(_CAUSE):
            cause, _, annotator = tag.removeprefix(_CAUSE).partition("/")
            for name in [annotator] if annotator else everybody or [""]:
                by_annotator.setdefault(name.strip(), []).append(cause.strip())
    return [(";".join(dict.fromkeys(causes)), name) for name, causes in by_annotator.items()]


def tags_of(labels: Sequence[Label]) -> list[str]:
    """Write the labels of one run as tags; see `said`."""
    said_by = {label.annotator: label.causes for label in labels}
    if len({frozenset(causes) for causes in said_by.values()}) == 1:
        causes = next(iter(said_by.values()))
        return [*(_CAUSE + key for key in causes), *(_ANNOTATOR + name for name in said_by)]
    return [f"{_CAUSE}{key}/{name}" for name, causes in said_by.items() for key in causes]


EXCHANGE = Exchange(
    name="wandb",
    accepts=f"runs on W&B's server ({ACCEPTED}), a folder of its offline runs",
    matches=_matches,
    read=_read,
    write=_write,
)
