"""Text logs: lines that name a step and a loss, by the table in line_patterns.py.

Some lines need what came before them: progress bars, of which the last complete one of each epoch
counts; lines below one that names only the epoch; evaluations without a step ("Test set: Average
loss: 0.05"), which stand at the last step seen; an evaluation that shows its progress, of which
the last line counts. Epochs that begin anew are another run.

ESPnet counts batches within an epoch; the means after it tell how many there are. The table that
spaCy prints is read by its columns: "E" is the epoch, "#" the step.

Colours are taken off; carriage returns and backspaces end a line, as they do on a screen. Where
every rank writes ("[rank0]: ..."), a series is that of the first one to write it.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ReadError, UnknownFormatError
from ..run import UNKNOWN, Logging, Run
from .base import Reader
from .habits import ESPNET, HUGGING_FACE, KERAS, PADDLENLP, SPACY, unknown
from .line_patterns import (
    PATTERNS,
    Cells,
    Pattern,
    assigned,
    counted,
    label,
    means,
    named,
    plain_numbers,
    quoted,
)
from .rows import STEP_NAMES, Rows, evaluates, plain, step_rank
from .text import text_head

ACCEPTED = "at least two lines that name a step and a loss, like 'step 10: loss 2.31'"
PIECE_LIMIT = 2**20  # characters without any line end: no log is written like that
LENGTH = 8_000  # characters of a line that are looked at
_CHUNK = 2**18  # bytes
_SUFFIXES = frozenset({"", ".log", ".txt", ".out", ".err", ".stdout", ".stderr"})
_TOTALS = frozenset({"globalstep", "trainerglobalstep", "numupdates"})  # never begin anew
_AGAIN = 2  # epochs that a run must have got on before epochs that begin anew are another one

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,20}[@-~]|\][^\x07\x1b]{0,200}\x07?)")
_ENDS = re.compile(r"[\r\n\b]+")
_RANK = re.compile(
    r"\[(?:rank|default|trainer|worker) ?(\d{1,5})\]:|\[\d{1,5},(\d{1,5})\]<\w{1,8}>:|"
    r"(\d{1,5}): (?=.{0,200}\b(?:step|iter|iteration|epoch)\b)",
    re.I,
)
_DICTIONARY = re.compile(r"\{[^{}]{5,4000}\}")
_EPOCH = re.compile(r"\W{0,20}epoch\W{0,4}(\d+)(?:\s?/\s?\d+)?\W{0,20}", re.I)
_KERAS_BAR = re.compile(r"(\d+)/(\d+)\s")
_COLUMNS = re.compile(r"epoch\s{1,20}gpu_mem\s", re.I)  # of Ultralytics and YOLOv5
_COLUMN_ROW = re.compile(r"(\d+)/\d+\s{1,12}[\d.]{1,8}[GM]?((?:\s{1,20}[\d.einf+-]{2,12}){2,20})")
_ESPNET = re.compile(r"\b(\d{1,6})epoch:(?:train|(valid)):\d{1,9}-(\d{1,9})batch: ")
_ESPNET_JOINT = re.compile(r"(=-?(?:\d+\.\d{3}(?:e[+-]\d{2,3})?|nan|inf))(?!e[+-])(?=[A-Za-z_])")
_ESPNET_EPOCH = re.compile(r"\b(\d{1,6})epoch results: ")
_ESPNET_PART = re.compile(r"\[(?:train|(valid))\] ([^\[\]]*)")
_SPACY = re.compile(r"E\s{2,12}#\s{2,12}(?=.{0,400}\bLOSS )")  # the head of a table
_CLOSING = "train_runtime"  # Hugging Face closes with means over the whole run: no points
_HEADING = re.compile(r"(?:test|val|valid|validation|eval|evaluation)\b[^\d:]{0,20}:", re.I)


@dataclass(slots=True)
class _Log:
    """What the lines so far said."""

    runs: list[Rows] = field(default_factory=lambda: [Rows()])
    tags: set[str] = field(default_factory=set)
    step: float | None = None  # the last one seen
    fine: bool = False  # whether lines count more finely than by epochs
    inside: bool = False  # whether lines count the steps inside an epoch
    others: set[str] = field(default_factory=set)  # counters that differ from the one taken
    base: float | None = None  # the number of the first epoch: 0 or 1
    inner: tuple[float, float] = (math.inf, 0.0)  # epoch and step inside it of the line before
    through: bool = False  # whether that step does not begin anew with an epoch: PaddleSeg
    first: float | None = None  # the epoch of the first row
    last: float | None = None  # the epoch of the row before
    epoch: float | None = None  # of a line of its own: Keras, and the tutorials of PyTorch
    bar: Cells = field(default_factory=list)
    bar_length: str = ""
    evaluated: bool = False  # whether another bar was drawn after that of the epoch
    columns: list[str] = field(default_factory=list)
    ends: dict[float, float] = field(default_factory=dict)  # epoch -> step, in logs of ESPnet
    table: list[str] = field(default_factory=list)  # columns of the table that spaCy prints
    part: str = ""  # the evaluation that is going on
    heading: str = ""  # the evaluation that the line before names
    progress: Cells = field(default_factory=list)  # the last line of an evaluation going on
    held: tuple[Cells, Cells] = field(default_factory=lambda: ([], []))  # place, cells of a bar
    rich: bool = False  # whether that bar may go on in the next line
    early: bool = False  # whether bars show numbers before they count the step: tqdm in a loop
    shown: dict[str, tuple[float | None, str]] = field(default_factory=dict)
    rank: str = ""  # who wrote the line
    owners: dict[str, str] = field(default_factory=dict)  # tag -> the first rank that wrote it
    skips: bool = False  # whether the next line repeats an earlier one
    logging: Logging = UNKNOWN  # of the tool that is known by its lines

    @property
    def rows(self) -> Rows:
        """The rows of the run that is being read."""
        return self.runs[-1]

    def add(self, cells: Cells, *, unnamed: bool = False, inside: bool = False) -> None:
        """Add one line that names a loss; leave others out."""
        cells = [(name, cell) for name, cell in cells
                 if self.owners.get(name, self.rank) == self.rank]  # fmt: skip
        if not unnamed and not any("loss" in name.casefold() for name, _ in cells):
            return
        counters = sorted(
            (rank, name, cell) for name, cell in cells if (rank := step_rank(name)) is not None
        )
        epochs = [cell for rank, _, cell in counters if STEP_NAMES[rank].startswith("epoch")]
        steps = [(plain(name), cell) for rank, name, cell in counters
                 if not STEP_NAMES[rank].startswith("epoch")]  # fmt: skip
        if steps and all(name in self.others for name, _ in steps) and self.step is not None:
            steps = [("step", self.step)]
        self._begin(epochs, [cell for _, cell in steps])
        numbers = [(name, cell) for name, cell in cells if step_rank(name) is None]
        self.owners |= dict.fromkeys((name for name, _ in numbers), self.rank)
        self.others |= {name for name, cell in steps if cell != steps[0][1]}
        mean = self.inside and not inside and bool(epochs)
        if self.fine and (mean or not steps):
            # The mean of an epoch among the lines of its steps is a series of its own.
            numbers = [(n if n not in self.tags or evaluates(n) else f"epoch/{n}", c)
                       for n, c in numbers]  # fmt: skip
        if steps:
            self.fine, self.step = True, steps[0][1]
        elif epochs and not self.fine:
            self.step = epochs[0]
        self.inside |= inside
        if not self.fine or steps:
            self.tags |= {name for name, _ in numbers}
        # "iter 10" and "step 10" of one log count the same.
        step = [("step", self.step)] if self.fine and self.step is not None else []
        epoch = [("epoch", epochs[0])] if epochs else []
        self.rows.add(dict([*step, *epoch, *numbers]).items())

    def _begin(self, epochs: list[float], steps: list[float]) -> None:
        """Begin another run where the epochs begin anew, unless the steps go on."""
        if not epochs:
            return
        epoch = epochs[0]
        if self.first is None or self.last is None:
            self.first = epoch
        elif epoch <= self.first and self.last >= self.first + _AGAIN and (
            not steps or self.step is None or steps[0] < self.step
        ):  # fmt: skip
            self.runs.append(Rows())
            self.tags, self.shown, self.step, self.first = set(), {}, None, epoch
        self.last = epoch

    def end_epoch(self) -> None:
        """Take over the last complete progress bar."""
        if self.bar:
            self.add(self.bar)
        self.bar, self.bar_length, self.evaluated = [], "", False

    def hold(self, place: Cells, cells: Cells, *, rich: bool) -> None:
        """Keep what a bar shows last before it gets on, or first where it counts behindhand."""
        if self.held[0] != place:
            self.end_bar()
        elif self.early:  # but for a validation after the last step
            known = {name for name, _ in self.held[1]}
            cells = [*self.held[1], *(cell for cell in cells if cell[0] not in known)]
        self.held, self.rich = (place, cells), rich

    def end_bar(self) -> None:
        """Take over what a bar showed last at one step, but for what was there before."""
        (place, cells), self.held, self.rich = self.held, ([], []), False
        if cells:
            self.add([*place, *self.changed(cells, place[-1][1])], inside=True)

    def end_evaluation(self) -> None:
        """Take over the last line of an evaluation."""
        self.end_bar()
        if self.progress:
            self.add(self.at_last_step(self.progress))
        self.progress = []

    def at_last_step(self, cells: Cells) -> Cells:
        """Put numbers without a step of their own at the last one seen."""
        if self.step is None:
            return [] if self.epoch is None else [("epoch", self.epoch), *cells]
        return [("step" if self.fine else "epoch", self.step), *cells]

    def changed(self, cells: Cells, step: float | None) -> Cells:
        """Leave out what a progress bar goes on to show: an old evaluation, the same step."""
        new = []
        for name, cell in cells:
            then, text = self.shown.get(name, (None, ""))
            if text != repr(cell) or (then != step and not evaluates(name)):
                new.append((name, cell))
                self.shown[name] = (step, repr(cell))
        return new

    def place(self, match: re.Match[str], cells: Cells) -> Cells:
        """Return the counters that a pattern found."""
        groups = match.groupdict()
        if step := groups.get("step"):
            return [("step", float(step))]
        own, inner = groups.get("epoch"), float(groups["inner"])
        epoch = float(own) if own else self.epoch
        counters = [] if epoch is None else [("epoch", epoch)]
        if any(plain(name) in _TOTALS for name, _ in cells):
            return counters
        if epoch is None or "of" not in groups:
            return [*counters, ("step", inner)]
        self.through |= epoch > self.inner[0] and inner > self.inner[1]
        self.inner = epoch, inner
        if self.through:
            return [*counters, ("step", inner)]
        if self.base is None:
            self.base = 1.0 if epoch == 1 else 0.0  # a resumed log does not tell: 0
        return [*counters, ("step", max(epoch - self.base, 0.0) * float(groups["of"]) + inner)]


def _read_line(log: _Log, line: str) -> None:
    log.rank = ""
    if match := _RANK.match(line):
        log.rank, line = match[1] or match[2] or match[3], line[match.end() :].strip()
    _read_words(log, plain_numbers(line))


def _read_words(log: _Log, line: str) -> None:
    lower = line.casefold()
    heading, log.heading = log.heading, ""
    if "epoch" in lower and _read_espnet(log, line):
        return
    if header := _EPOCH.fullmatch(line):
        log.end_evaluation()
        log.end_epoch()
        log.epoch, log.part = float(header[1]), ""
        return
    if "best iteration is" in lower:  # LightGBM writes the line of the best one again
        log.skips = True
        return
    if lower.startswith(("eval begin", "eval samples")):  # Paddle
        log.part = "eval" if lower.startswith("eval begin") else ""
        if not log.part:
            log.end_evaluation()
        return
    if log.columns and (row := _COLUMN_ROW.match(line)):
        _read_columns(log, row)
        return
    if _COLUMNS.match(line):
        log.columns = line.split()[2:]
        return
    if log.table and _read_row(log, line):
        return
    if _SPACY.match(line):
        log.table = ["epoch", "step", *re.split(r"\s{2,20}", line)[2:]]
        log.logging = SPACY
        return
    if _HEADING.fullmatch(line):  # "Test Error:" above a line with the numbers
        log.heading = label(line)
        return
    pattern, match = _anchored(line, lower)
    named_loss = "loss" in lower or (pattern is not None and pattern.tool == "CatBoost")
    if (not named_loss and not (pattern and pattern.unnamed)) or "improve" in lower:
        return  # "val_loss improved from 0.5 to 0.4"
    _read_numbers(log, line, pattern, match, heading)


def _anchored(line: str, lower: str) -> tuple[Pattern, re.Match[str]] | tuple[None, None]:
    for pattern in PATTERNS:
        if pattern.hint in lower and (match := pattern.anchor.search(line)):
            return pattern, match
    return None, None


def _read_numbers(
    log: _Log, line: str, pattern: Pattern | None, match: re.Match[str] | None, heading: str
) -> None:
    if log.epoch is not None and (bar := _KERAS_BAR.match(line)):
        _read_bar(log, log.epoch, bar, line[bar.end() :])
        return
    if dictionaries := _DICTIONARY.findall(line):
        for text in dictionaries:
            if _CLOSING not in text:
                log.end_evaluation()
                cells = _fairseq(quoted(text))
                if {"loss", "learning_rate", "epoch"} <= {name for name, _ in cells}:
                    log.logging = PADDLENLP if "interval_runtime" in text else HUGGING_FACE
                log.add(cells)
        return
    if _CLOSING in line:
        return
    if pattern is not None and match is not None:
        _read_anchored(log, line, pattern, match)
        return
    counters, rest = counted(line)
    cells = named(rest, "" if counters else heading)
    if log.rich and not counters and _says_part(cells):
        log.held[1].extend(cells)  # the bar goes on
        return
    if any(evaluates(name) for name, _ in cells):
        log.progress = []  # the sum of what it showed
    log.end_evaluation()
    if counters:
        log.add([*counters, *cells])
    # "Test set: Average loss: 0.05", or "train Loss: 0.6 Acc: 0.7" below "Epoch 3/25"
    elif heading or log.epoch is not None or label(line) or _says_part(cells):
        log.add(log.at_last_step(cells) if log.epoch is None or heading else
                [("epoch", log.epoch), *cells])  # fmt: skip


def _read_anchored(log: _Log, line: str, pattern: Pattern, match: re.Match[str]) -> None:
    part = label(line[: match.end()], log.part)
    if part and "inner" in match.groupdict():
        cells = pattern.pairs(means(line[match.end() :]), part)
        if any("loss" in name.casefold() for name, _ in cells):
            log.progress = cells
        return
    log.logging = pattern.logging or log.logging
    if pattern.stale:
        cells = pattern.pairs(line[match.end() :], part)
        place = [*log.place(match, cells), *(c for c in cells if plain(c[0]) in _TOTALS)]
        if float(match["inner"]) == 0:  # they are those of the epoch before, if there was one
            log.early |= bool(cells) and not log.rows.length and not log.held[1]
        elif place:
            log.hold(place, cells, rich=pattern.tool == "rich")
        return
    log.end_evaluation()
    if pattern.unnamed and log.skips:
        log.skips = False
        return
    text = line[: match.start()] if pattern.before else line[match.end() :]
    cells = pattern.pairs(text, part)
    place = log.place(match, cells)
    log.add([*place, *cells], unnamed=pattern.unnamed, inside="inner" in match.groupdict())


def _read_bar(log: _Log, epoch: float, bar: re.Match[str], text: str) -> None:
    """Read a bar of Keras; after that of the epoch, one that is longer or new is an evaluation."""
    full = bar[1] == bar[2]
    begins = not full or "ETA: " in text or text.startswith("- ")  # as verbose=2 writes it
    log.evaluated |= bool(log.bar) and begins
    if full and log.bar_length in ("", bar[2]) and not log.evaluated:
        log.bar_length = bar[2]
        log.bar = [("epoch", epoch), *named(text)]
        log.logging = KERAS


def _read_columns(log: _Log, row: re.Match[str]) -> None:
    epoch = float(row[1])
    if log.bar and log.bar[0][1] != epoch:
        log.end_epoch()
    try:
        numbers = [float(cell) for cell in row[2].split()]
    except ValueError:
        return
    cells = zip(log.columns, numbers, strict=False)
    log.bar = [("epoch", epoch), *((n, cell) for n, cell in cells if "loss" in n.casefold())]


def _read_espnet(log: _Log, line: str) -> bool:
    """Read what ESPnet logs within and after an epoch; tell whether the line was of that kind.

    The batches of an epoch are counted from 1, and all since the first epoch after it. Of as many
    numbers as there were batches in the epoch, ESPnet forgets the comma behind the last.
    """
    if match := _ESPNET.search(line):
        epoch = float(match[1])
        log.logging = ESPNET
        step = log.ends.get(epoch - 1, 0.0) + float(match[3])
        cells = assigned(_ESPNET_JOINT.sub(r"\1, ", line[match.end() :]), match[2] or "")
        log.add([("epoch", epoch), ("step", step), *cells], inside=True)
    elif match := _ESPNET_EPOCH.search(line):
        epoch = float(match[1])
        log.logging = ESPNET
        for part in _ESPNET_PART.finditer(line, match.end()):
            cells = assigned(part[2], part[1] or "")
            counts = [cell for name, cell in cells if name == "total_count"]
            if counts and log.fine:
                log.step = log.ends[epoch] = counts[0]
            log.add([("epoch", epoch), *((n, c) for n, c in cells if "total_count" not in n)])
    return match is not None


def _read_row(log: _Log, line: str) -> bool:
    """Read a row of spaCy's table; tell whether the line was one."""
    try:
        cells = list(zip(log.table, map(float, line.split()), strict=True))
    except ValueError:
        return False
    log.add(cells)
    return True


def _says_part(cells: Cells) -> bool:
    """Tell whether a line without a step begins by saying what it is of: "eval loss: 0.5"."""
    return bool(cells) and (evaluates(cells[0][0]) or "train" in cells[0][0].casefold())


def _fairseq(cells: Cells) -> Cells:
    """Name the counter of fairseq as such, and its means of an epoch apart."""
    names = {name for name, _ in cells}
    epoch = "train_num_updates" in names
    return [
        ("num_updates" if name.endswith("_num_updates") else
         f"epoch/{name[6:]}" if epoch and name.startswith("train_") else name, cell)
        for name, cell in cells
    ]  # fmt: skip


def _pieces(path: Path) -> Iterator[str]:
    """Yield what a screen would show as lines, without colours."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    rest = ""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            *pieces, rest = _ENDS.split(rest + decoder.decode(chunk))
            if len(rest) > PIECE_LIMIT:
                raise ReadError(
                    path,
                    f"a line longer than {PIECE_LIMIT // 2**20} MiB",
                    "a log with one row a line is read",
                )
            for piece in pieces:
                yield _ANSI.sub("", piece[:LENGTH]).strip()
    yield _ANSI.sub("", rest[:LENGTH]).strip()


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    for path in paths:
        log = _Log()
        for line in _pieces(path):
            if line:
                _read_line(log, line)
        log.end_evaluation()
        log.end_epoch()
        if sum(rows.length for rows in log.runs) < 2:
            raise UnknownFormatError(path, "text without lines of a training log", ACCEPTED)
        for number, rows in enumerate(log.runs, 1):
            name = str(number) if len(log.runs) > 1 else ""
            yield Run(name, str(path), rows.curves(), logging=log.logging)


def _matches(path: Path, head: bytes) -> bool:
    suffix = path.suffix.casefold()
    return text_head(head) is not None and (suffix in _SUFFIXES or suffix[1:].isdecimal())


READER = Reader(
    name="text_log",
    accepts="text logs with a step and a loss in each line (.log, .txt, .out)",
    matches=_matches,
    read=_read,
    logging=unknown("lines of a form that many programs write"),
)
