"""Labels in files, and wherever else a name or an address says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..causes.team import TeamCause
from ..errors import LabelError
from ..readers.sqlite import HEADER
from ..report.as_csv import write_header, write_records
from ..report.columns import schema_of
from ..whole import whole
from .exchange import EXCHANGES
from .formats import JSON_FORMAT, MAX_BYTES, MAX_LINE, PARSERS, causes_of, read_text
from .label import Labels
from .rows import (
    COLUMNS,
    OnBad,
    Progress,
    Tell,
    collect,
    show_nothing,
    tell_nobody,
    to_record,
)
from .store import is_url, masked, open_store


def read_labels(
    where: str | Path,
    *,
    annotator: str | None = None,
    causes: Mapping[str, TeamCause] | None = None,
    on_bad: OnBad | None = None,
    tell: Tell = tell_nobody,
    progress: Progress = show_nothing,
) -> Labels:
    """Read labels, wherever they are.

    Parameters
    ----------
    where : str or Path
        A file: .csv, .tsv, .jsonl, .json (our own, or Label Studio's export), .parquet, or an
        SQLite file; the URL of a database; or an address of one of `EXCHANGES`.
    annotator, causes, on_bad, tell, progress
        See `rows.collect`; causes that the source defines itself are known as well.

    Returns
    -------
    Labels
        In the order of the source.

    Raises
    ------
    LabelError
        No such file, one of another kind, too large or damaged; or, without `on_bad`, a row that
        is no label.
    ReadError
        A server that cannot be read.
    """
    text = str(where)
    known = dict(causes or {})
    for exchange in EXCHANGES:
        if exchange.matches(text):
            now = datetime.now(UTC)
            return collect(
                exchange.read(text, tell), masked(text), now,
                annotator=annotator, causes=known, on_bad=on_bad, tell=tell, progress=progress,
            )  # fmt: skip
    path = Path(text)
    if is_url(text) or (path.suffix.casefold() not in PARSERS and _is_sqlite(path)):
        return _of_store(text, known)
    kind = _check(path)
    try:
        entries, own = PARSERS[kind](path, on_bad, tell)
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror or error})") from error
    return collect(
        entries, text, written,
        annotator=annotator, causes=known | own, on_bad=on_bad, tell=tell, progress=progress,
    )  # fmt: skip


def _of_store(where: str, known: dict[str, TeamCause]) -> Labels:
    store = open_store(where, create=False)
    try:
        labels = store.labels()
    finally:
        store.close()
    return Labels(labels.rows, known | labels.causes, labels.source)


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(HEADER)) == HEADER
    except OSError:
        return False


def _check(path: Path) -> str:
    """Return the ending of a file that may be read."""
    kind = path.suffix.casefold()
    if not path.is_file():
        if path.is_dir():
            found = "a folder without any offline run of W&B"
        else:
            found = "no regular file" if path.exists() else "no such file"
        raise LabelError(f"{path}: {found}; accepted: {accepted()}")
    if kind not in PARSERS:
        raise LabelError(f"{path}: no labels, by its name; accepted: {accepted()}")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise LabelError(
            f"{path}: {size / 1e6:,.0f} MB; at most {MAX_BYTES / 1e6:,.0f} MB of labels are read "
            "at once, split the file"
        )
    return kind


def accepted() -> str:
    """Say what `read_labels` reads."""
    others = "; ".join(exchange.accepts for exchange in EXCHANGES)
    return (
        f"{', '.join(PARSERS)} files, an SQLite file that `curvet label` made, "
        f"postgresql://USER:PASSWORD@HOST/NAME; {others}"
    )


def write_labels(labels: Labels, path: Path) -> None:
    """Write all rows, also those that no longer count; reading them gives the same.

    Parameters
    ----------
    labels : Labels
        Any. Only .json holds the causes of the team as well; see `write_causes`.
    path : Path
        Ends in .csv, .jsonl, .json or .parquet; takes its name only when it is complete.

    Raises
    ------
    LabelError
        Another ending, or the file cannot be written.
    """
    writer = _WRITERS.get(path.suffix.casefold())
    if writer is None:
        raise LabelError(
            f"{path}: the ending {path.suffix!r} names no format; accepted: {', '.join(_WRITERS)}"
        )
    with _written(path) as unfinished:
        writer(labels, unfinished)


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    if path.is_dir():
        raise LabelError(f"{path}: a folder; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as unfinished:
            yield unfinished
    except OSError as error:
        raise LabelError(
            f"{path}: cannot be written ({error.strerror or error}); make room, or choose another "
            "folder"
        ) from error


def _write_csv(labels: Labels, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_header(stream, COLUMNS)
        write_records(stream, COLUMNS, map(to_record, labels.rows))


def _write_jsonl(labels: Labels, path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for label in labels.rows:
            stream.write(json.dumps(to_record(label), ensure_ascii=False) + "\n")


def _write_json(labels: Labels, path: Path) -> None:
    content = {
        "curvet_labels": JSON_FORMAT,
        "causes": _plain(labels.causes),
        "labels": [to_record(label) for label in labels.rows],
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write_parquet(labels: Labels, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [to_record(label) for label in labels.rows]
    pq.write_table(pa.Table.from_pylist(rows, schema_of(COLUMNS)), path)


_WRITERS: dict[str, Callable[[Labels, Path], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".json": _write_json,
    ".parquet": _write_parquet,
}


def read_causes(path: Path) -> dict[str, TeamCause]:
    """Read causes of a team.

    Parameters
    ----------
    path : Path
        JSON: ``{key: {"title": ..., "sign": ..., "remedies": [...]}}``.

    Raises
    ------
    LabelError
        Not there, or anything else.
    """
    if not path.is_file() or path.stat().st_size > MAX_LINE:
        found = "more than 1 MB" if path.is_file() else "no such file"
        raise LabelError(f"{path}: {found}; accepted is a JSON file of causes")
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: no JSON ({error!s:.200})") from error
    return causes_of(path, content)


def write_causes(causes: Mapping[str, TeamCause], path: Path) -> None:
    """Write causes of a team; see `read_causes`."""
    with _written(path) as unfinished:
        text = json.dumps(_plain(causes), ensure_ascii=False, indent=1)
        unfinished.write_text(text + "\n", encoding="utf-8")


def _plain(causes: Mapping[str, TeamCause]) -> dict[str, Any]:
    plain = {key: cause.to_dict() for key, cause in causes.items()}
    return {key: {k: v for k, v in each.items() if k != "key"} for key, each in plain.items()}
