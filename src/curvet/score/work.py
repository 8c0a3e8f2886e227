"""What one process does with one batch of logs; all that it needs comes in the call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..archive import Row, diagnose_units
from ..errors import BundleError, ReadError
from ..readers import READERS, SERVERS, ServerRun, Unit
from ..readers.content import hand_on
from ..readers.locations import ARCHIVES_OPEN, PACKED, close_archives, is_local, locate
from ..report.columns import to_record
from ..texts import in_language

if TYPE_CHECKING:
    from ..predictor import Predictor
    from ..readers.units import Log

_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Setting:
    """What all processes have to agree on.

    Parameters
    ----------
    bundle : str
        Name of the predictor that has to answer.
    folder : str or None
        Its folder, never a home of bundles; None for the shipped one, wherever a machine has it.
    language : str
        Of the words in the rows.
    """

    bundle: str
    folder: str | None
    language: str


Task = Sequence[tuple[int, str, str, str]]
"""Id, name, place (see `write_place`) and digest of each log; the digest is "" if it is new."""
Result = list[tuple[int, str, list[dict[str, Any]] | None]]
"""Id, digest and records of each log; None in place of records: the content is unchanged."""


def write_place(log: Log) -> str:
    """Write down where a log lies, as JSON, so that any process can read it."""
    if isinstance(log, ServerRun):
        return json.dumps([log.format, log.source, log.address, log.key, log.fingerprint])
    paths = [_written(path) for path in (log.path, *log.files)]
    return json.dumps([log.format, *paths, log.named])


def _written(path: Path) -> str:
    return str(path.absolute()) if is_local(path) else str(path)


def read_place(name: str, place: str) -> Log:
    """Make the unit again; see `write_place`."""
    form, path, *rest = json.loads(place)
    if server := next((s for s in SERVERS if s.name == form), None):
        return ServerRun(server, rest[0], rest[1], name, rest[2])
    reader = next(r for r in READERS if r.name == form)
    *files, named = rest
    return Unit(reader, locate(path), tuple(locate(file) for file in files), name, named)


def score_batch(task: Task, setting: Setting) -> Result:
    """Read and diagnose some logs.

    Parameters
    ----------
    task : sequence of tuple
        See `Task`.
    setting : Setting
        Who answers, and how.

    Returns
    -------
    list of tuple
        See `Result`.

    Raises
    ------
    BundleError
        This process has another predictor in that folder, or none.
    """
    from threadpoolctl import threadpool_limits

    # As many processes as cores do the rest.
    with threadpool_limits(1), in_language(setting.language):
        return _score_batch(task, setting)


def _score_batch(task: Task, setting: Setting) -> Result:
    predictor = _predictor(setting.folder)
    if predictor.bundle.name != setting.bundle:
        raise BundleError(
            f"{setting.folder or 'the shipped predictor'}: a worker has {predictor.bundle.name}, "
            f"not {setting.bundle}; give all machines the same version of curvet and of the bundle"
        )
    result: Result = []
    changed: list[int] = []  # places in the result
    archives = set()

    def read_anew() -> Iterator[Log | Row]:
        """Yield what has changed, each to be read before the next is looked at."""
        for log, name, place, known in task:
            found, digest = _look(name, place)
            result.append((log, digest, None))
            if not digest or digest != known:
                changed.append(len(result) - 1)
                scheme, _, archive = place.partition("::")
                archives.add("" if f"{PACKED}://" in scheme else archive)  # never kept open
                yield found

    for number, rows in enumerate(diagnose_units(read_anew(), predictor)):
        log, digest, _ = result[changed[number]]
        result[changed[number]] = (log, digest, kept(rows))
    _close_some(len(archives - {""}))
    return result


def _look(name: str, place: str) -> tuple[Log | Row, str]:
    """Find a unit again and hash its content, which is "" where it cannot be read."""
    try:
        unit = read_place(name, place)
    except ReadError as error:
        return Row(name, error.path, "", "error", None, str(error), type(error).__name__), ""
    if isinstance(unit, ServerRun):
        return unit, unit.fingerprint
    digest = hashlib.blake2b(digest_size=16)
    try:
        for path in unit.files:
            digest.update(path.name.encode(errors="surrogateescape") + b"\0")
            content = hand_on(path, _CHUNK)
            digest.update(content)
            if len(content) == _CHUNK:
                with path.open("rb") as file:
                    file.seek(_CHUNK)
                    while chunk := file.read(_CHUNK):
                        digest.update(chunk)
    except Exception:  # the reader meets it again and tells
        return unit, ""
    return unit, digest.hexdigest()


@lru_cache(maxsize=1)
def _predictor(folder: str | None) -> Predictor:
    from ..bundle import default_path
    from ..predictor import Predictor

    # Left out it would be what the environment of this process names.
    return Predictor.load(default_path() if folder is None else Path(folder))


_opened = 0


def _close_some(archives: int) -> None:
    global _opened
    _opened += archives
    if _opened > ARCHIVES_OPEN:
        close_archives()
        _opened = 0


def kept(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what the state keeps of the rows of a log; nothing of what is no log after all."""
    return [to_kept(row) for row in rows if row.status != "skipped"]


def to_kept(row: Row) -> dict[str, Any]:
    """Return what the state keeps of a row."""
    return {**to_record(row), "kind": row.kind}


def failed(task: Task, problem: str) -> Result:
    """Make error rows for logs whose process ended before it could answer."""
    result: Result = []
    for log, name, place, _ in task:
        source = json.loads(place)[1]
        row = Row(name, source, "", "error", None, f"{source}: {problem}", "WorkerEnded")
        result.append((log, "", [to_kept(row)]))
    return result
