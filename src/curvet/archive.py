"""Many paths -> one row each, failures included."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .diagnosis import Diagnosis
from .errors import CurvetError, ReadError, UnknownFormatError

if TYPE_CHECKING:
    from .predictor import Predictor
    from .run import Run

BATCH_SIZE = 2048  # runs that the predictor sees at once
BATCH_POINTS = 2**21  # points of the runs in one batch: bounds memory

Keep = Callable[["Run", Diagnosis], None]


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one run, or of one file that gave none.

    Parameters
    ----------
    run_id, source, format : str
        Which run: its path below the named folder, or the whole path if several were named.
        `format` names the reader and is "" for a file that none could read.
    status : "ok", "error" or "skipped"
        "skipped": a file of a folder that is no log, which is nobody's fault.
    diagnosis : Diagnosis or None
        None unless the status is "ok".
    error : str
        Why there is no diagnosis, else "".
    """

    run_id: str
    source: str
    format: str
    status: Literal["ok", "error", "skipped"]
    diagnosis: Diagnosis | None
    error: str


def diagnose_paths(
    paths: Iterable[Path], predictor: Predictor, *, keep: Keep | None = None
) -> Iterator[Row]:
    """Diagnose every run of files and folders; a run that fails is a row, too.

    Parameters
    ----------
    paths : iterable of Path
        Log files, or folders that are searched for them. A path named twice is read once.
    predictor : Predictor
        Gives the diagnoses.
    keep : callable (run, diagnosis), optional
        Called for each diagnosed run, for example to collect curves for a picture. Runs are
        not held otherwise.

    Yields
    ------
    Row
        In the order in which the runs are read.
    """
    batch: list[Run | Row] = []
    points = 0
    for entry in _entries(dict.fromkeys(paths)):
        batch.append(entry)
        if not isinstance(entry, Row):
            points += sum(map(len, entry.curves.values()))
        if len(batch) == BATCH_SIZE or points >= BATCH_POINTS:
            yield from _diagnose_batch(batch, predictor, keep)
            batch, points = [], 0
    yield from _diagnose_batch(batch, predictor, keep)


def _entries(paths: Collection[Path]) -> Iterator[Run | Row]:
    from .readers import read

    several = len(paths) > 1
    for path in paths:
        failed: list[ReadError] = []
        for run in read(path, on_error=failed.append):
            yield from _failure_rows(failed, path, several)
            yield replace(run, id=_full_name(run.id, path)) if several else run
        yield from _failure_rows(failed, path, several)


def _failure_rows(failed: list[ReadError], named: Path, several: bool) -> Iterator[Row]:
    """Turn the collected errors into rows and forget them."""
    for error in failed:
        path = Path(error.path)
        no_log = isinstance(error, UnknownFormatError) and path != named
        below = path.relative_to(named) if path.is_relative_to(named) else path
        run_id = path.name if below == Path() else below.as_posix()
        if several:
            run_id = path.as_posix()
        yield Row(run_id, error.path, "", "skipped" if no_log else "error", None, str(error))
    failed.clear()


def _full_name(run_id: str, named: Path) -> str:
    """Put the named path into a run's id, so that runs of several paths stay apart.

    Examples
    --------
    >>> _full_name("7/metrics.csv", Path("runs")), _full_name("log.csv#2", Path("a/log.csv"))
    ('runs/7/metrics.csv', 'a/log.csv#2')
    """
    name = named.absolute().name
    whole = run_id == name or run_id.startswith(f"{name}#")  # the path itself is the run
    return f"{named.as_posix()}{run_id[len(name) :] if whole else f'/{run_id}'}"


def _diagnose_batch(
    entries: list[Run | Row], predictor: Predictor, keep: Keep | None
) -> Iterator[Row]:
    runs = [entry for entry in entries if not isinstance(entry, Row)]
    answers = iter(_answers(runs, predictor))
    for entry in entries:
        if isinstance(entry, Row):
            yield entry
            continue
        answer = next(answers)
        if isinstance(answer, CurvetError):
            yield Row(entry.id, entry.source, entry.format, "error", None, str(answer))
            continue
        if keep is not None:
            keep(entry, answer)
        yield Row(entry.id, entry.source, entry.format, "ok", answer, "")


def _answers(runs: list[Run], predictor: Predictor) -> list[Diagnosis | CurvetError]:
    """Return one answer per run, where one bad run spoils only its own."""
    from .roles import assign

    answers: dict[int, Diagnosis | CurvetError] = {}
    for index, run in enumerate(runs):
        try:
            assign(run)
        except CurvetError as error:
            answers[index] = error
    sound = [index for index in range(len(runs)) if index not in answers]
    try:
        batch = predictor.diagnose_many([runs[index] for index in sound]) if sound else []
        answers.update(zip(sound, batch, strict=True))
    except CurvetError:  # found only on a closer look: ask one by one
        for index in sound:
            try:
                answers[index] = predictor.diagnose(runs[index])
            except CurvetError as error:
                answers[index] = error
    return [answers[index] for index in range(len(runs))]
