"""Many runs -> one row each, failures included."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .diagnosis import Diagnosis
from .errors import CurvetError, ReadError, UnknownFormatError

if TYPE_CHECKING:
    from .predictor import Predictor
    from .readers.units import Log
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
        Why there is no diagnosis; or, beside one, what of the log could not be read. Else "".
    kind : str
        Of the error, for counting: "NoLossError". "" without one.
    """

    run_id: str
    source: str
    format: str
    status: Literal["ok", "error", "skipped"]
    diagnosis: Diagnosis | None
    error: str
    kind: str = ""


def find_in(paths: Iterable[Path | str]) -> Iterator[Log | Row]:
    """Search several paths for logs; what cannot be read is a row.

    Parameters
    ----------
    paths : iterable of Path or str
        Log files, folders, archives or URLs. One named twice is searched once.

    Yields
    ------
    Unit, ServerRun or Row
        By the path below the named folder, or by the whole path if several were named.
    """
    from .readers import find

    named = list(dict.fromkeys(paths))
    for path in named:
        for unit in find(path):
            if isinstance(unit, ReadError):
                yield _failure(unit, path, several=len(named) > 1)
            else:
                yield replace(unit, name=_full_name(unit.name, path)) if len(named) > 1 else unit


def diagnose_paths(
    paths: Collection[Path | str], predictor: Predictor, *, keep: Keep | None = None
) -> Iterator[Row]:
    """Diagnose every run of files and folders; a run that fails is a row, too.

    Parameters
    ----------
    paths : collection of Path or str
        See `find_in`.
    predictor : Predictor
        Gives the diagnoses.
    keep : callable (run, diagnosis), optional
        Called for each diagnosed run, for example to collect curves for a picture. Runs are
        not held otherwise.

    Yields
    ------
    Row
        In the order in which the runs are found.
    """
    for rows in diagnose_units(find_in(paths), predictor, keep=keep):
        yield from rows


def diagnose_units(
    units: Iterable[Log | Row], predictor: Predictor, *, keep: Keep | None = None
) -> Iterator[list[Row]]:
    """Read and diagnose units, many runs at once.

    Parameters
    ----------
    units : iterable of Unit, ServerRun or Row
        Rows pass through.
    predictor, keep
        See `diagnose_paths`.

    Yields
    ------
    list of Row
        Those of each unit, in the same order.
    """
    batch = _Batch()
    for unit in units:
        batch.open()
        if isinstance(unit, Row):
            batch.add(unit)
            continue
        try:
            for run in unit.read():
                batch.add(run)
                if batch.full:
                    batch.answer(predictor, keep)
        except ReadError as error:
            batch.add_error(unit, error)
        except Exception as error:  # one log that we stumble over must not cost all the others
            batch.add_error(unit, _stumbled(unit.source, error))
        if batch.full:
            batch.answer(predictor, keep)
            yield from batch.close()
    batch.answer(predictor, keep)
    yield from batch.close()


def under_own_prior(rows: Sequence[Row], predictor: Predictor) -> list[Row]:
    """Answer again under the prior that the rows of an archive show.

    Parameters
    ----------
    rows : sequence of Row
        Of any status.
    predictor : Predictor
        Whose answers they hold; see `predictor.Predictor.under_own_prior`.
    """
    answers = iter(predictor.under_own_prior([r.diagnosis for r in rows if r.diagnosis]))
    return [replace(row, diagnosis=next(answers)) if row.diagnosis else row for row in rows]


@dataclass(slots=True)
class _Batch:
    """Rows of units that are under way, and the runs among them that await an answer."""

    units: list[list[Row]] = field(default_factory=list)
    waiting: list[tuple[list[Row], int, Run]] = field(default_factory=list)
    points: int = 0  # of the runs that wait

    @property
    def full(self) -> bool:
        return max(len(self.waiting), len(self.units)) >= BATCH_SIZE or self.points >= BATCH_POINTS

    def open(self) -> None:
        """Begin the rows of the next unit."""
        self.units.append([])

    def add(self, entry: Run | Row) -> None:
        rows = self.units[-1]
        if isinstance(entry, Row):
            rows.append(entry)
            return
        rows.append(Row(entry.id, entry.source, entry.format, "ok", None, ""))
        self.waiting.append((rows, len(rows) - 1, entry))
        self.points += sum(map(len, entry.curves.values()))

    def add_error(self, unit: Log, error: ReadError) -> None:
        """Note what of a unit could not be read: beside its last run, or as a row of its own."""
        kind = type(error).__name__
        rows = self.units[-1]
        if rows:
            rows[-1] = replace(rows[-1], error=rows[-1].error or str(error), kind=kind)
        else:
            no_log = isinstance(error, UnknownFormatError) and not unit.named
            status: Literal["error", "skipped"] = "skipped" if no_log else "error"
            name = "" if no_log else unit.format
            rows.append(Row(unit.name, error.path, name, status, None, str(error), kind))

    def answer(self, predictor: Predictor, keep: Keep | None) -> None:
        """Diagnose the runs that wait."""
        answers = _answers([run for _, _, run in self.waiting], predictor)
        for (rows, place, run), answer in zip(self.waiting, answers, strict=True):
            if isinstance(answer, Diagnosis):
                if keep is not None:
                    keep(run, answer)
                rows[place] = replace(rows[place], diagnosis=answer)
            else:
                kind = type(answer).__name__
                rows[place] = replace(rows[place], status="error", error=str(answer), kind=kind)
        self.waiting.clear()
        self.points = 0

    def close(self) -> Iterator[list[Row]]:
        """Hand over the rows of all units."""
        yield from self.units
        self.units = []


def _stumbled(source: str, error: Exception) -> ReadError:
    return ReadError(source, f"cannot be read ({type(error).__name__}: {error!s:.200})")


def _failure(error: ReadError, named: Path | str, *, several: bool) -> Row:
    """Turn a file that is no readable log into a row."""
    from .readers.units import printable

    where = str(named) if "://" in str(named) else str(Path(named))
    no_log = isinstance(error, UnknownFormatError) and error.path != where
    status: Literal["error", "skipped"] = "skipped" if no_log else "error"
    below = error.path
    if not several:
        below = error.path.removeprefix(where).lstrip("/") or Path(error.path).name
    kind = type(error).__name__
    return Row(printable(below), error.path, "", status, None, str(error), kind)


def _full_name(run_id: str, named: Path | str) -> str:
    """Put the named path into a unit's name, so that runs of several paths stay apart.

    Examples
    --------
    >>> _full_name("7/metrics.csv", "runs"), _full_name("log.csv#table", "a/log.csv")
    ('runs/7/metrics.csv', 'a/log.csv#table')
    >>> _full_name("7/metrics.csv", "s3://bucket/runs/"), _full_name("a.zip/7.csv", "b/a.zip")
    ('s3://bucket/runs/7/metrics.csv', 'b/a.zip/7.csv')
    """
    from .readers.locations import archive_kind

    text = str(named).rstrip("/")
    name = Path(text.partition("::")[0]).absolute().name
    ends = ("#", "/") if archive_kind(Path(name)) else ("#",)
    itself = run_id == name or run_id.startswith(tuple(name + end for end in ends))
    return f"{text}{run_id[len(name) :] if itself else f'/{run_id}'}"


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
    except Exception:  # found only on a closer look: ask one by one
        for index in sound:
            answers[index] = _answer(runs[index], predictor)
    return [answers[index] for index in range(len(runs))]


def _answer(run: Run, predictor: Predictor) -> Diagnosis | CurvetError:
    try:
        return predictor.diagnose_many([run])[0]
    except CurvetError as error:
        return error
    except Exception as error:
        return _stumbled(run.source, error)
