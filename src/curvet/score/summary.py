"""What is in a table of scores, in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..causes import title_of
from ..texts import knows, say
from .state import State

_TOP = """
    CASE WHEN instr(run_id, '/') > 0 THEN substr(run_id, 1, instr(run_id, '/') - 1) ELSE '.' END
"""


@dataclass(frozen=True, slots=True)
class Source:
    """One top folder of an archive: its runs with a verdict, and how many are not healthy."""

    name: str
    runs: int
    faulty: int
    cause: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a table of scores.

    Parameters
    ----------
    rows : int
        Rows of the table.
    known : int
        Logs that an earlier call had scored.
    skipped : int
        Files that are no log.
    causes : mapping of str to int
        Runs by verdict, most frequent first; "" for runs without one.
    errors : mapping of str to int
        Error rows by kind, as `Row.kind` has it, most frequent first.
    worst : sequence of Source
        Top folders with the largest share of runs that are not healthy.
    took : timedelta
        From start to end.
    written : bool
        Whether the table was written: not if nothing has changed since it was.
    """

    rows: int
    known: int
    skipped: int
    causes: Mapping[str, int]
    errors: Mapping[str, int]
    worst: Sequence[Source]
    took: timedelta
    written: bool


def summarise(state: State, skipped: int, took: timedelta, *, written: bool) -> Summary:
    """Count what is in the state."""
    ((rows,),) = state.select("count(*) FROM rows")
    causes = state.select(
        "coalesce(cause, '') AS c, count(*) AS n FROM rows WHERE status = 'ok' "
        "GROUP BY c ORDER BY n DESC, c"
    )
    errors = state.select(
        "kind, count(*) AS n FROM rows WHERE status = 'error' GROUP BY kind ORDER BY n DESC, kind"
    )
    worst = state.select(
        f"{_TOP} AS top, count(*) AS n, sum(cause <> 'healthy') AS faulty FROM rows "
        "WHERE cause IS NOT NULL GROUP BY top HAVING faulty > 0 "
        "ORDER BY 1.0 * faulty / (n + 2) DESC, top LIMIT 5"
    )
    most = {
        top: cause
        for top, cause, _ in state.select(
            f"{_TOP} AS top, cause, count(*) AS n FROM rows WHERE cause <> 'healthy' "
            "GROUP BY top, cause ORDER BY n, cause DESC"
        )
    }
    return Summary(
        rows,
        state.known(),
        skipped + state.without_rows(),
        dict(causes),
        dict(errors),
        [Source(name, runs, faulty, most[name]) for name, runs, faulty in worst],
        took,
        written,
    )


def summary_to_text(summary: Summary) -> str:
    """Put the counts into words and columns, for a person."""
    from ..report.as_text import clean
    from ..report.lines import pad_left

    def head(*names: str) -> str:
        left, middle, right = (say(f"summary.{name}") for name in names)
        return f"{pad_left(left, 9)}  {pad_left(middle, 6)}  {right}"

    total = max(1, summary.rows)
    lines = [head("runs", "share", "verdict")]
    for cause, count in summary.causes.items():
        verdict = title_of(cause) if cause else say("report.no_verdict")
        lines.append(f"{count:>9,}  {count / total:>6.1%}  {verdict}")
    if summary.errors:
        kinds = (f"{count:,} {_kind(kind)}" for kind, count in summary.errors.items())
        failed = say("summary.failed", kinds=say("report.comma").join(kinds))
        lines.append(f"{sum(summary.errors.values()):>9,}  {failed}")
    if summary.worst:
        lines += ["", head("faulty", "of", "worst")]
        for source in summary.worst:
            folder, cause = clean(source.name), title_of(source.cause)
            mostly = say("summary.mostly", folder=folder, cause=cause)
            lines.append(f"{source.faulty:>9,}  {source.runs:>6,}  {mostly}")
    seconds = summary.took.total_seconds()
    new = summary.rows - summary.known
    lines += ["", say("summary.rows", rows=summary.rows, seconds=seconds)]
    if summary.known:
        lines[-1] += say("report.semicolon") + say("summary.known", count=summary.known)
    elif new and seconds > 1:
        lines[-1] += say("report.comma") + say("summary.rate", rate=new / seconds)
    if summary.skipped:
        lines.append(say("summary.skipped", count=summary.skipped))
    return "\n".join(lines) + "\n"


def _kind(name: str) -> str:
    key = f"summary.kinds.{name or 'unknown'}"
    return say(key) if knows(key) else name
