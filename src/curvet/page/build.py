"""Scores and drawings -> one HTML page.

The page's data are compressed JSON in base 64, the table's rows in one part, and what an opened
run or a curve needs in parts of `BLOCK` rows, which are unpacked when one of their rows is shown.
So no letter of a run's name stands in the HTML itself, and 100,000 rows open quickly. The browser
runs the page's own script and nothing else: the Content-Security-Policy names its hash.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from ..causes import CAUSES, know_team_causes, title_of
from ..errors import ScoreError
from ..texts import catalogue, language, say
from ..whole import whole
from .curves import Drawing, changed, choose, find_known, read_drawings
from .table import Score, read_scores, read_team_causes

BLOCK = 100
SCRIPTS = ("tools.js", "plot.js", "page.js")
_STATUS = {"verdict": 0, "none": 1, "error": 2}
_LEAST = 0.005  # a smaller probability is not listed


@dataclass(frozen=True, slots=True)
class Made:
    """What has become of a table.

    Parameters
    ----------
    rows, curves, size : int
        Rows in the page, curves among them, and the bytes of the page.
    notes : tuple of str
        What went less well than it could have.
    """

    rows: int
    curves: int
    size: int
    notes: tuple[str, ...] = ()


def write_page(
    table: Path,
    out: Path,
    *,
    curves: int,
    title: str | None = None,
    progress: Callable[[int, int | None], object] = lambda done, total: None,
) -> Made:
    """Write the page of a table of scores.

    Parameters
    ----------
    table : Path
        As `curvet score` writes it. Its state file, where there is one, tells where the logs lie
        and when they changed.
    out : Path
        The page: .html or .htm. Takes its name only when it is complete.
    curves : int
        Of how many runs at most the logs are read again and drawn; see `curves.choose`.
    title : str, optional
        Of the page; the table's name if it is left out.
    progress : callable (done, total)
        Called after each log that was read.

    Raises
    ------
    ScoreError
        No table of scores, or a name that is no page's.
    """
    if out.suffix.casefold() not in (".html", ".htm"):
        raise ScoreError(f"{out}: the ending {out.suffix!r} is no page's; accepted: .html, .htm")
    if out.is_dir():
        raise ScoreError(f"{out}: a folder; give the name of a file")
    scores = read_scores(table)
    know_team_causes(read_team_causes(table))
    known, notes = find_known(table)
    drawings = read_drawings(scores, choose(scores, curves), known, progress)
    drawn = sum(bool(drawing.curves) for drawing in drawings.values())
    if drawn < len(drawings):
        place, first = next(item for item in drawings.items() if not item[1].curves)
        lost = f"{len(drawings) - drawn:,} logs could not be read again"
        notes = (*notes, f"{lost}, the first: {scores[place].run_id}: {first.note}")
    times = [changed(score, known.get(score.run_id)) for score in scores]
    content = render(title or table.stem, scores, times, drawings).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as unfinished:
        unfinished.write_bytes(content)
    return Made(len(scores), drawn, len(content), notes)


def render(
    title: str,
    scores: Sequence[Score],
    times: Sequence[float | None],
    drawings: Mapping[int, Drawing],
) -> str:
    """Return the page.

    Parameters
    ----------
    title : str
        Of any letters.
    scores : sequence of Score
        Its rows.
    times : sequence of float or None
        When the log of each changed last, in seconds since 1970.
    drawings : mapping of int to Drawing
        By the place of the row.
    """
    own = files(__package__)
    style = own.joinpath("page.css").read_text("utf-8")
    script = "\n".join(own.joinpath(name).read_text("utf-8") for name in SCRIPTS)
    causes = list(dict.fromkeys(key for score in scores for key in _named(score)))
    causes.sort(key=lambda key: (key != "healthy", *_rank(key)))
    parts = [
        ("rows", _rows(title, scores, times, drawings, causes)),
        *(
            (f"details-{number}", block)
            for number, block in enumerate(_details(scores, drawings, causes))
        ),
    ]
    return Template(own.joinpath("page.html").read_text("utf-8")).substitute(
        language=html.escape(language()),
        title=html.escape(title.encode("utf-8", "replace").decode()),
        needs_script=html.escape(say("report_page.needs_script")),
        cannot_show=html.escape(say("report_page.cannot_show")),
        style_hash=content_hash(style),
        script_hash=content_hash(script),
        style=style,
        script=script,
        data="\n".join(
            f'<script type="application/gzip" id="{name}">{_packed(part)}</script>'
            for name, part in parts
        ),
    )


def _rank(key: str) -> tuple[int, str]:
    order = list(CAUSES)
    return (order.index(key) if key in order else len(order), key)


def _named(score: Score) -> Iterator[str]:
    if score.cause:
        yield score.cause
    yield from score.likely
    yield from score.probabilities


def _rows(
    title: str,
    scores: Sequence[Score],
    times: Sequence[float | None],
    drawings: Mapping[int, Drawing],
    causes: Sequence[str],
) -> dict[str, Any]:
    """Return what the table, the filters and the overview need, column by column."""
    where = {key: place for place, key in enumerate(causes)}
    projects = _projects([score.run_id for score in scores])
    names = [name for name, _ in Counter(projects).most_common()]
    place_of = {name: place for place, name in enumerate(names)}
    prefix = "report_page."
    return {
        "title": title,
        "language": language(),
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "words": {
            key.removeprefix(prefix): text
            for key, text in catalogue(language()).items()
            if key.startswith(prefix)
        },
        "causes": [[key, title_of(key)] for key in causes],
        "projects": names,
        "predictors": sorted({score.bundle for score in scores} - {""}),
        "block": BLOCK,
        "drawn": sorted(place for place, drawing in drawings.items() if drawing.curves),
        "rows": {
            "run": [score.run_id for score in scores],
            "project": [place_of[name] for name in projects],
            "status": [_STATUS[_status(score)] for score in scores],
            "cause": [where[score.cause] if score.cause else -1 for score in scores],
            "chance": [_thousandths(score.probability) for score in scores],
            "points": [score.n_points for score in scores],
            "time": [None if time is None else round(time) for time in times],
            "text": [_said(score) for score in scores],
        },
    }


def _status(score: Score) -> str:
    if score.status == "error":
        return "error"
    return "verdict" if score.cause else "none"


def _said(score: Score) -> str:
    if score.status == "error":
        return score.error.removeprefix(f"{score.source}: ")
    return "; ".join(filter(None, ("" if score.cause else score.reason, score.evidence)))


def _projects(run_ids: Sequence[str]) -> list[str]:
    """Return the top folder of each run, "." without one; what all whole paths share is no folder.

    Examples
    --------
    >>> _projects(["vision/a/1.csv", "2.csv"]), _projects(["/runs/vision/1.csv", "/runs/2.csv"])
    (['vision', '.'], ['vision', '.'])
    """
    folders = [run_id.split("/")[:-1] for run_id in run_ids]
    shared = 0
    if all(run_id.startswith("/") or "://" in run_id for run_id in run_ids):
        ends = list(zip(min(folders), max(folders), strict=False))
        shared = next((n for n, (one, other) in enumerate(ends) if one != other), len(ends))
    return [(folder[shared:] or ["."])[0] for folder in folders]


def _details(
    scores: Sequence[Score], drawings: Mapping[int, Drawing], causes: Sequence[str]
) -> Iterator[list[list[Any]]]:
    """Yield what is shown of an opened run, `BLOCK` rows at a time."""
    where = {key: place for place, key in enumerate(causes)}
    for first in range(0, len(scores), BLOCK):
        yield [
            [
                score.source,
                score.format,
                [where[key] for key in score.likely],
                [
                    [where[key], _thousandths(chance)]
                    for key, chance in sorted(score.probabilities.items(), key=lambda p: -p[1])
                    if chance >= _LEAST
                ],
                score.bundle,
                "; ".join(filter(None, (score.reason, score.error)))
                if score.status == "ok"
                else "",
                *_drawn(drawings.get(first + place)),
            ]
            for place, score in enumerate(scores[first : first + BLOCK])
        ]


def _drawn(drawing: Drawing | None) -> list[Any]:
    if drawing is None:
        return []
    facts = [[fact.text, list(fact.steps), fact.speaks] for fact in drawing.facts]
    return [drawing.note, facts, drawing.curves]


def _thousandths(chance: float | None) -> int | None:
    return None if chance is None else round(1000 * chance)


def _packed(part: Any) -> str:
    text = json.dumps(part, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def content_hash(text: str) -> str:
    """Name a script or a style as a Content-Security-Policy does."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
