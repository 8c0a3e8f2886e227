"""Labels as tags of runs on an MLflow server: mlflow:URI#experiment.

- ``curvet.cause``, ``curvet.annotator``, ``curvet.labelled_at``, ``curvet.confidence``,
  ``curvet.note``, ``curvet.curve_hash`` and ``curvet.taxonomy`` hold the latest label of a run: it
  is found by ``tags.`curvet.cause` = 'lr_too_high'``. A person may set the first alone, by hand.
- Of a run with several annotators, the label of each is in ``curvet.cause.<annotator>`` and so on.
  A name that MLflow does not allow in a key is written without its other letters and with a hash;
  ``curvet.annotator.<annotator>`` holds it in full.
- The run_id is MLflow's own, as in a table that `curvet score mlflow:URI#experiment` wrote.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ...readers.mlflow_server import (
    ACCEPTED,
    all_pages,
    connect,
    experiments_of,
    in_words,
    parts,
)
from ...readers.units import printable
from ..label import Label, Labels
from ..rows import IMPORTED, Entry, Tell, to_record
from ..store import masked
from .base import Exchange, Options, per_run, some

_SCHEME = "mlflow:"
_PREFIX = "curvet."
_FIELDS = ("cause", "annotator", "labelled_at", "confidence", "note", "curve_hash", "taxonomy")


def _matches(address: str) -> bool:
    return address.startswith(_SCHEME)


def _read(address: str, tell: Tell) -> Iterator[Entry]:
    found = 0
    for run in _runs(address.removeprefix(_SCHEME)):
        for entry in entries_of(run):
            found += 1
            yield entry
    if not found:
        tell(f"{masked(address)}: no run has a tag {_PREFIX}cause")


def _runs(address: str) -> Iterator[Any]:
    uri, name = parts(address)
    with in_words(address):
        client = connect(uri)
        experiments = experiments_of(client, address, name)
        yield from all_pages(client.search_runs, experiments, order_by=["start_time ASC"])


def entries_of(run: Any) -> Iterator[Entry]:
    """Yield the labels in the tags of a run.

    One that does not say when it was given counts as given when the run ended, so that importing
    it twice adds it once.
    """
    tags: Mapping[str, str] = run.data.tags
    ended = run.info.end_time or run.info.start_time or 0
    start = f"{_PREFIX}cause."
    seen = set()
    for slug in ("", *sorted(key.removeprefix(start) for key in tags if key.startswith(start))):
        end = f".{slug}" if slug else ""
        record: dict[str, Any] = {name: tags.get(f"{_PREFIX}{name}{end}") for name in _FIELDS}
        if record["cause"] is None:
            continue
        record["annotator"] = record["annotator"] or slug
        if record["cause"] and not record["labelled_at"]:
            record["labelled_at"] = datetime.fromtimestamp(ended / 1000, UTC)
        key = (record["annotator"], str(record["labelled_at"]), record["cause"])
        if key not in seen:
            seen.add(key)
            record["run_id"] = printable(run.info.run_id)
            yield f"the tag {_PREFIX}cause{end} of the run {run.info.run_id}", record


def _write(labels: Labels, address: str, options: Options) -> int:
    from mlflow.entities import RunTag

    address = address.removeprefix(_SCHEME)
    given = per_run(labels)
    uri, _ = parts(address)
    on_server = {printable(run.info.run_id): run for run in _runs(address)}
    if missing := [run_id for run_id in given if run_id not in on_server]:
        options.tell(f"{len(missing)} runs are not on the server: {some(missing)}")
    kept = []
    present = [run_id for run_id in given if run_id in on_server]
    with in_words(address):
        client = connect(uri)
        for done, run_id in enumerate(present, 1):
            run = on_server[run_id]
            wanted, unwanted, own = tags_of(given[run_id], run.data.tags)
            if not own:
                kept.append(run_id)
            tags = [RunTag(key, text) for key, text in wanted.items()]
            for place in range(0, len(tags), 100):  # what MLflow takes in one request
                client.log_batch(run.info.run_id, tags=tags[place : place + 100])
            for key in unwanted:
                client.delete_tag(run.info.run_id, key)
            options.progress(done, len(present))
    if kept:
        options.tell(
            f"{len(kept)} runs have a tag {_PREFIX}cause of somebody else, which is kept; import "
            f"it first to count it: {some(kept)}"
        )
    return len(present)


def tags_of(labels: Labels, present: Mapping[str, str]) -> tuple[dict[str, str], list[str], bool]:
    """Decide what becomes of the tags of one run.

    Parameters
    ----------
    labels : Labels
        All of the run.
    present : mapping
        The tags that it has.

    Returns
    -------
    tuple of dict, list of str, bool
        Tags to set, tags to remove, and whether ``curvet.cause`` is ours to set: one whose
        annotator has no label here is somebody else's.
    """
    current = sorted(labels.current(), key=lambda label: label.labelled_at)
    known = {label.annotator for label in labels.rows}
    own = f"{_PREFIX}cause" not in present or present.get(f"{_PREFIX}annotator", IMPORTED) in known
    wanted: dict[str, str] = {}
    if len(current) > 1 or not own:
        for label in current:
            wanted |= _tags(label, f".{slug(label.annotator)}")
    if own and current:
        wanted |= _tags(current[-1], "")
    ends = {f".{slug(name)}" for name in known} | ({""} if own else set())
    ours = {f"{_PREFIX}{name}{end}" for name in _FIELDS for end in ends}
    return wanted, sorted(key for key in present if key in ours - set(wanted)), own


def _tags(label: Label, end: str) -> dict[str, str]:
    record = to_record(label)
    texts = {name: "" if record[name] is None else str(record[name]) for name in _FIELDS}
    return {f"{_PREFIX}{name}{end}": text for name, text in texts.items() if text}


def slug(annotator: str) -> str:
    """Write a name so that it may be part of a tag's key.

    Examples
    --------
    >>> slug("ann"), slug("ann@example.org")
    ('ann', 'ann-example-org-438c4c7a')
    """
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", annotator)[:100]
    if plain == annotator:
        return plain
    return f"{plain}-{hashlib.sha256(annotator.encode()).hexdigest()[:8]}"


EXCHANGE = Exchange(
    name="mlflow",
    accepts=f"runs on an MLflow server ({ACCEPTED})",
    matches=_matches,
    read=_read,
    write=_write,
)
