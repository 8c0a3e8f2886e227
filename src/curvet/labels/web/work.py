"""What the page is about: the runs of a table, their labels, and who is offered what."""

from __future__ import annotations

import threading
import zlib
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np

from ...causes import CAUSES, TeamCause, know_team_causes, sign_of, title_of
from ...errors import LabelError
from ...page.curves import Drawing, draw_run, read_drawings
from ...page.table import Score
from ...run import Run
from ...score.state import Known
from ...texts import say
from ..label import UNSURE, Label, Labels, curve_hash
from ..store import Store
from ..suggest import Suggestion, arrange, by_annotator, teaching_order
from .keys import strokes

Order = Literal["suggested", "random", "table"]
ORDERS: tuple[Order, ...] = ("suggested", "random", "table")

MAX_NAME = 60  # letters of an annotator
KEPT = 200  # runs whose curves stay in memory
LISTED = 500  # labels of one's own that are listed
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Opened:
    """A run whose log has been read.

    Parameters
    ----------
    drawing : Drawing
        Its curves, or why there are none.
    curve_hash : str
        "" without curves.
    """

    drawing: Drawing
    curve_hash: str


@dataclass(slots=True, eq=False)
class Work:
    """Runs to be labelled, and what is known of them; may be asked by several threads at once.

    Parameters
    ----------
    scores : sequence of Score
        All rows of the table.
    known : mapping of run id to Known
        Where their logs lie.
    store : Store
        Where labels go.
    order : str
        One of `ORDERS`.
    """

    scores: Sequence[Score]
    known: Mapping[str, Known]
    store: Store
    order: Order = "suggested"
    offered: list[Suggestion] = field(init=False)
    place_of: dict[str, int] = field(init=False)
    _opened: OrderedDict[int, Opened] = field(init=False, default_factory=OrderedDict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _labels: Labels = field(init=False)
    _here: dict[str, dict[str, Label]] = field(init=False)  # of the runs of this table
    _read_at: tuple[int, int] = field(init=False, default=(-1, -1))

    def __post_init__(self) -> None:
        sound = [place for place, score in enumerate(self.scores) if score.status == "ok"]
        if not sound:
            raise LabelError("none of these runs could be read, so there is nothing to label")
        self.place_of = {self.scores[place].run_id: place for place in sound}
        self.offered = teaching_order(self.scores) if self.order == "suggested" else []
        first = {each.place for each in self.offered}
        self.offered += [Suggestion(place, "") for place in sound if place not in first]
        self.labels()

    # --- what has been said ---------------------------------------------------------------------

    def labels(self) -> Labels:
        """Return all labels, read anew where somebody has added some."""
        counts = self.store.counts()
        with self._lock:
            if counts != self._read_at:
                self._read(self.store.labels(), counts)
            return self._labels

    def _read(self, labels: Labels, counts: tuple[int, int]) -> None:
        self._labels, self._read_at = labels, counts
        said = by_annotator(labels.current())
        self._here = {run_id: of_run for run_id, of_run in said.items() if run_id in self.place_of}
        know_team_causes(labels.causes)

    def _add(self, label: Label) -> None:
        """Add a label, without reading all the others again where it is the only new one."""
        before = self._read_at
        self.store.add([label])
        counts = self.store.counts()
        with self._lock:
            if counts != (before[0] + 1, before[1]) or self._read_at != before:
                return  # others have added some, too
            rows, causes = (*self._labels.rows, label), self._labels.causes
            self._labels, self._read_at = Labels(rows, causes, self._labels.source), counts
            of_run = dict(self._here.get(label.run_id, {}))
            of_run.pop(label.annotator, None)
            if label.causes:
                of_run[label.annotator] = label
            # Others may be looking at the old one.
            here = {**self._here, label.run_id: of_run}
            self._here = here if of_run else {k: v for k, v in here.items() if v}

    def news(self, annotator: str) -> dict[str, Any]:
        """Return the causes with their keys, and how far the work is."""
        labels = self.labels()
        here = self._here
        counts = Counter(key for of_run in here.values() for key in _causes_of(of_run.values()))
        keys = strokes(labels.causes)
        return {
            "causes": [
                {
                    "key": key,
                    "title": say("label_page.unsure") if key == UNSURE else title_of(key),
                    "sign": say("label_page.unsure_sign") if key == UNSURE else sign_of(key),
                    "stroke": stroke,
                    "count": counts[key],
                    "team": key in labels.causes,
                }
                for key, stroke in keys.items()
            ],
            "mine": sum(annotator in of_run for of_run in here.values()),
            "anyone": len(here),
            "total": len(self.place_of),
            # Changes when others have labelled: then another order may be due.
            "others": sum(label.annotator != annotator for label in labels.rows),
        }

    def queue(self, annotator: str) -> dict[str, Any]:
        """Return the places of the runs that wait for an annotator, and why each is offered."""
        labels = self.labels()
        if self.order == "suggested":
            waiting = arrange(self.offered, self.scores, labels, annotator)
        else:
            own = {label.run_id for label in labels.current() if label.annotator == annotator}
            waiting = [each for each in self.offered if self.scores[each.place].run_id not in own]
        if self.order == "random":
            salt = zlib.crc32(annotator.encode("utf-8", "replace"))
            mixed = np.random.default_rng(salt).permutation(len(self.offered))
            rank = {each.place: mixed[n] for n, each in enumerate(self.offered)}
            waiting.sort(key=lambda each: rank[each.place])
        return {"places": [each.place for each in waiting], "why": [each.why for each in waiting]}

    def mine(self, annotator: str) -> list[dict[str, Any]]:
        """Return an annotator's own labels, the latest first."""
        self.labels()
        own = [of_run[annotator] for of_run in self._here.values() if annotator in of_run]
        own.sort(key=lambda label: label.labelled_at, reverse=True)
        return [
            {"place": self.place_of[label.run_id], "run": label.run_id, **_plain(label)}
            for label in own[:LISTED]
        ]

    # --- one run --------------------------------------------------------------------------------

    def run(self, place: int, annotator: str) -> dict[str, Any]:
        """Return what is shown of a run; what others say of it only to one who has labelled it."""
        score = self._score(place)
        opened = self.open(place)
        self.labels()
        said = self._here.get(score.run_id, {})
        ranked = sorted(score.probabilities.items(), key=lambda item: -item[1])
        return {
            "place": place,
            "run": score.run_id,
            "source": score.source,
            "format": score.format,
            "points": score.n_points,
            "verdict": title_of(score.cause) if score.cause else "",
            "probability": score.probability,
            "likely": [title_of(key) for key in score.likely],
            "chances": [[key, title_of(key), round(chance, 6)] for key, chance in ranked],
            "novelty": score.novelty,
            "remark": "; ".join(filter(None, (score.reason, score.error))),
            "text": score.evidence,
            "limits": list(filter(None, score.limits.split("; "))),
            "note": opened.drawing.note,
            "facts": [[f.text, list(f.steps), f.speaks] for f in opened.drawing.facts],
            "curves": opened.drawing.curves,
            "mine": _plain(said[annotator]) if annotator in said else None,
            "others": _others(said, annotator),
        }

    def open(self, place: int) -> Opened:
        """Read the log of a run, unless that has been done lately."""
        with self._lock:
            if place in self._opened:
                self._opened.move_to_end(place)
                return self._opened[place]
        hashes: list[str] = []

        def draw(run: Run, score: Score) -> Drawing:
            hashes.append(curve_hash(run))
            return draw_run(run, score)

        score = self.scores[place]
        drawn = read_drawings([score], [0], self.known, lambda done, total: None, draw)
        opened = Opened(drawn[0], hashes[0] if hashes and drawn[0].curves else "")
        with self._lock:
            self._opened[place] = opened
            while len(self._opened) > KEPT:
                self._opened.popitem(last=False)
        return opened

    def _score(self, place: int) -> Score:
        score = self.scores[place] if 0 <= place < len(self.scores) else None
        if score is None or self.place_of.get(score.run_id) != place:
            raise LabelError(f"there is no run {place} to label")
        return score

    # --- what is said ---------------------------------------------------------------------------

    def label(
        self,
        place: int,
        annotator: str,
        causes: tuple[str, ...],
        confidence: float | None,
        note: str,
    ) -> dict[str, Any]:
        """Add a label; what is returned is what the page shows next.

        Raises
        ------
        LabelError
            It cannot be added, and was not.
        """
        score = self._score(place)
        if not causes:
            raise LabelError(say("label_page.choose_first"))
        label = Label(
            score.run_id,
            causes,
            annotator,
            self._now(score.run_id, annotator),
            confidence,
            note,
            self.open(place).curve_hash,
        )
        self._add(label)
        news = self.news(annotator)
        others = _others(self._here.get(score.run_id, {}), annotator)
        return {"others": others, "news": news}

    def undo(self, annotator: str) -> dict[str, Any]:
        """Withdraw an annotator's latest label; return the run that is open again."""
        own = self.mine(annotator)
        if not own:
            raise LabelError(say("label_page.nothing_to_undo"))
        run_id = own[0]["run"]
        label = self._here[run_id][annotator]
        self._add(label.withdrawn(self._now(run_id, annotator)))
        return {"place": own[0]["place"], "before": own[0], "news": self.news(annotator)}

    def _now(self, run_id: str, annotator: str) -> datetime:
        """Return the time, later than that of what the annotator has said of the run before.

        The labels may have been written by a computer whose clock is ahead.
        """
        before = [
            label.labelled_at + _TICK
            for label in self.labels().rows
            if label.run_id == run_id and label.annotator == annotator
        ]
        return max(datetime.now(UTC), *before) if before else datetime.now(UTC)

    def add_cause(self, cause: TeamCause, annotator: str) -> dict[str, Any]:
        """Add a cause of the team's own.

        Raises
        ------
        LabelError
            There is one of that key already.
        """
        if cause.key in self.labels().causes or cause.key in CAUSES or cause.key == UNSURE:
            raise LabelError(say("label_page.cause_known", key=cause.key))
        self.store.add_cause(cause, annotator)
        return {"news": self.news(annotator)}


def _causes_of(labels: Any) -> set[str]:
    return {key for label in labels for key in label.causes}


def _plain(label: Label) -> dict[str, Any]:
    return {
        "causes": list(label.causes),
        "confidence": label.confidence,
        "note": label.note,
        "at": f"{label.labelled_at:%Y-%m-%d %H:%M}",
    }


def _others(said: Mapping[str, Label], annotator: str) -> list[dict[str, Any]]:
    """Return what others say of a run: nothing to one who has not said anything."""
    if annotator not in said:
        return []
    return [
        {"annotator": name, **_plain(label)} for name, label in said.items() if name != annotator
    ]
