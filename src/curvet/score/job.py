"""The whole job: search, score what waits, write the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ..archive import Row, find_in
from ..bundle import default_path, find_bundle
from ..errors import ScoreError
from ..predictor import Predictor
from ..prior import ARCHIVE
from ..readers import ServerRun, Unit
from ..readers.units import Log
from ..report.columns import columns
from ..texts import in_language, language
from .engine import Engine, open_engine
from .outputs import prepare, write
from .select import Candidate, compile_where, parse_since
from .settle import prior_of, settle
from .state import Met, Pending, State
from .summary import Summary, summarise
from .work import Result, Setting, Task, failed, score_batch, to_kept, write_place

BATCH_LOGS = 256
BATCH_BYTES = 64 * 2**20
_WAVE = 8  # batches for each worker between two looks at the state
_MEET = 4096  # logs that the search notes at once
Progress = Callable[[int, int | None], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an archive is scored.

    Parameters
    ----------
    bundle : Path or None
        Folder of the predictor, or a home of bundles for its champion when the work begins; see
        `bundle.find_bundle`.
    workers : int or None
        Processes; None for one a core.
    engine : str or None
        See `engine.open_engine`.
    where, since : str or None
        See `select.compile_where` and `select.parse_since`.
    limit : int or None
        Stop after so many logs.
    prior : str
        See `prior.ACCEPTED`; "archive" is estimated from all runs in the table.
    coverage : float
        Share of runs whose likely causes shall hold the true one, 0.5 to 0.99.
    lang : str or None
        Of the words in the table; None for the language of this process.
    """

    bundle: Path | None = None
    workers: int | None = None
    engine: str | None = None
    where: str | None = None
    since: str | None = None
    limit: int | None = None
    prior: str = "default"
    coverage: float = 0.9
    lang: str | None = None


def score(
    paths: Sequence[Path | str],
    out: Path | str,
    options: Options = Options(),
    *,
    found: Progress = lambda done, total: None,
    scored: Progress = lambda done, total: None,
) -> Summary:
    """Score all runs of an archive; goes on where an earlier call was stopped.

    What has been scored is kept in a file beside the output (its name and ``.state``): a second
    call reads only what is new or has changed.

    Parameters
    ----------
    paths : sequence of Path or str
        Files, folders, zip and tar files, URLs.
    out : Path or str
        Table to write: .parquet, .csv or .jsonl. See `report.columns` for what is in it.
    options : Options
        How.
    found, scored : callable (done, total)
        Called after each part of the search and of the work.

    Returns
    -------
    Summary
        Counts of what is in the table.

    Raises
    ------
    CurvetError
        Nothing to score, a file that cannot be written, no such engine, ...
    """
    with in_language(options.lang):
        return _score(paths, Path(out), options, found, scored)


def _score(
    paths: Sequence[Path | str], out: Path, options: Options, found: Progress, scored: Progress
) -> Summary:
    prepare(out)
    # Once: every process takes this version, though another may come into use meanwhile.
    place = find_bundle(options.bundle)
    predictor = Predictor.load(place, options.prior, options.coverage)
    bundle = predictor.bundle
    began = datetime.now(UTC)
    folder = None if place == default_path() else str(place.absolute())
    setting = Setting(bundle.name, folder, language())
    scorer = f"{bundle.name} {setting.language}"
    with closing(State(out.with_name(f"{out.name}.state"), scorer)) as state:
        search = _Search(state, options, began)
        search.run(paths, found)
        total, waiting = state.count()
        if total == 0:
            raise ScoreError(
                f"{', '.join(map(str, paths))}: no training log"
                + (" that --where, --since and --limit let through" if search.left_out else "")
            )
        _work(state, options, setting, (total, waiting), scored)
        asked = f"{predictor.prior_name} {predictor.prior} {predictor.coverage}"
        written = not state.is_written(out, asked)
        if written:
            prior = predictor.prior
            if options.prior == ARCHIVE:
                prior = prior_of(state.records(), predictor, total)
            judge = partial(settle, predictor=predictor, prior=prior)
            write(out, columns(bundle.causes), state.settle(judge), bundle.team_causes)
            state.set_written(out, asked)
        took = datetime.now(UTC) - began
        return summarise(state, search.skipped, took, written=written)


@dataclass(slots=True)
class _Search:
    """Finds logs and notes them in the state."""

    state: State
    options: Options
    now: datetime
    met: list[Met] = field(default_factory=list)
    failures: list[tuple[str, Row]] = field(default_factory=list)
    position: int = 0
    batch: int = 0
    batch_logs: int = 0
    batch_bytes: int = 0
    skipped: int = 0
    left_out: int = 0

    def run(self, paths: Sequence[Path | str], progress: Progress) -> None:
        """Search to the end, or to the limit."""
        where, since, limit = self.options.where, self.options.since, self.options.limit
        keep = compile_where(where) if where else None
        after = parse_since(since, self.now).timestamp() if since else None
        for entry in find_in(paths):
            if isinstance(entry, Row) and entry.status == "skipped":
                self.skipped += 1
                continue
            size, stamp, changed = _stamp(entry.files if isinstance(entry, Unit) else ())
            if isinstance(entry, ServerRun):
                stamp = entry.fingerprint
            if (after is not None and changed is not None and changed < after) or (
                keep is not None and not keep(_candidate(entry, size, changed))
            ):
                self.left_out += 1
                continue
            self._add(entry, size, stamp)
            progress(self.position, None)
            if self.position == limit:
                break
        self._note()
        if not (where or since or limit):
            self.state.forget_others()

    def _add(self, entry: Log | Row, size: int, stamp: str) -> None:
        if self.batch_logs == BATCH_LOGS or self.batch_bytes + size > BATCH_BYTES:
            self.batch, self.batch_logs, self.batch_bytes = self.batch + 1, 0, 0
        self.batch_logs, self.batch_bytes = self.batch_logs + 1, self.batch_bytes + size
        if not isinstance(entry, Row):
            self.met.append(Met(entry.name, write_place(entry), stamp, self.batch))
        else:  # of a name that no log has
            name = f"{entry.run_id}\n{entry.source}"
            self.met.append(Met(name, entry.error, "", self.batch))
            self.failures.append((name, entry))
        self.position += 1
        if len(self.met) == _MEET:
            self._note()

    def _note(self) -> None:
        self.state.meet(self.met, self.position - len(self.met))
        self.state.keep_failures((name, to_kept(row)) for name, row in self.failures)
        self.met.clear()
        self.failures.clear()


def _stamp(files: Sequence[Path]) -> tuple[int, str, float | None]:
    """Return the size of some files, a text that changes with them, and their last change."""
    size, parts = 0, []
    changed: float | None = None
    for path in files:
        try:
            status = path.stat()
        except OSError:
            parts.append("gone")
            continue
        size += status.st_size
        when = float(status.st_mtime)
        tag = getattr(status, "info", {}).get("ETag", "")
        parts.append(f"{status.st_size}:{when!r}:{tag}")
        if when:
            changed = max(when, changed or 0.0)
    return size, ",".join(parts), changed


def _candidate(entry: Log | Row, size: int, changed: float | None) -> Candidate:
    modified = (
        "" if changed is None else f"{datetime.fromtimestamp(changed, UTC):%Y-%m-%d %H:%M:%S}"
    )
    name = entry.run_id if isinstance(entry, Row) else entry.name
    return Candidate(name, entry.source, entry.format, size, modified)


def _work(
    state: State, options: Options, setting: Setting, counts: tuple[int, int], progress: Progress
) -> None:
    """Score what waits, wave by wave."""
    total, waiting = counts
    progress(total - waiting, total)
    if not waiting:
        return
    after = -1
    engine = partial(open_engine, options.engine, _workers(options, waiting))
    with engine() as (_, at_once):
        pass  # a cluster tells only when asked how many it runs at once
    while wave := state.pending(after, _WAVE * at_once):
        after = wave[-1][-1].batch
        for result in run_tasks(engine, [_task(batch) for batch in wave], setting):
            state.keep(result)
            waiting -= len(result)
            progress(total - waiting, total)


def _workers(options: Options, waiting: int) -> int:
    """Return how many processes of this machine are of use."""
    import joblib

    batches = -(-waiting // BATCH_LOGS)
    return min(options.workers or joblib.cpu_count(), max(1, batches))


def _task(batch: Sequence[Pending]) -> Task:
    return [(one.id, one.name, one.place, one.digest) for one in batch]


def run_tasks(
    engine: Engine,
    tasks: Sequence[Task],
    setting: Setting,
    call: Callable[..., Result] = score_batch,
) -> Iterator[Result]:
    """Run tasks; where a process is ended from outside, find the log that it was about.

    A log that takes too much memory ends the process that reads it. The logs without an answer
    are run again one by one, and what ends a process again, alone, becomes an error row.

    Parameters
    ----------
    engine : callable
        Opens an engine anew: after its processes were ended, the old one is of no use.
    tasks, setting
        See `work.score_batch`.
    call : callable
        What is run.

    Yields
    ------
    Result
        In any order; those of one task may come in parts.
    """
    waiting = list(tasks)
    while waiting:
        unanswered = dict(enumerate(waiting))
        try:
            with engine() as (run, at_once):
                for number, result in run(call, [(task, setting) for task in waiting]):
                    del unanswered[number]
                    yield result
            return
        except Exception as error:
            if not _ended(error):
                raise
        waiting = [[log] for task in unanswered.values() for log in task]
        if all(len(task) == 1 for task in unanswered.values()):
            # Calls are begun in their order: the culprit is among the first.
            for suspect in waiting[:at_once]:
                yield _alone(engine, suspect, setting, call)
            waiting = waiting[at_once:]


def _alone(engine: Engine, task: Task, setting: Setting, call: Callable[..., Result]) -> Result:
    try:
        with engine() as (run, _):
            return [one for _, result in run(call, [(task, setting)]) for one in result]
    except Exception as error:
        if not _ended(error):
            raise
    return failed(task, "the process that read it was ended from outside (out of memory?)")


def _ended(error: Exception) -> bool:
    """Tell whether a worker process died, by the names that joblib and Dask have for it."""
    return type(error).__name__ in {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker"}
