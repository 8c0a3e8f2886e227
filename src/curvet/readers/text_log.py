"""Text logs: lines that name a step and a loss, by a short table of patterns.

`PATTERNS` says where a line counts its steps and how its numbers are written. Some lines need
what came before them: Keras's progress bars, of which the last complete one of each epoch counts,
lines below one that names only the epoch, and evaluations without a step ("Test set: Average
loss: 0.05"), which stand at the last step seen.

Colours are taken off; carriage returns and backspaces end a line, as they do on a screen. All
patterns are bounded, so that no line costs more than a fixed number of comparisons.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ReadError, UnknownFormatError
from ..run import Run
from .base import Reader
from .rows import STEP_NAMES, Rows, step_rank
from .text import text_head

ACCEPTED = "at least two lines that name a step and a loss, like 'step 10: loss 2.31'"
PIECE_LIMIT = 2**20  # characters without any line end: no log is written like that
LENGTH = 8_000  # characters of a line that are looked at
_CHUNK = 2**18  # bytes
_SUFFIXES = frozenset({"", ".log", ".txt", ".out", ".err", ".stdout", ".stderr"})

Cells = list[tuple[str, float]]

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|nan|inf(?:inity)?)"
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,20}[@-~]|\][^\x07\x1b]{0,200}\x07?)")
_ENDS = re.compile(r"[\r\n\b]+")
_PIPED = re.compile(rf"\s*([^|:]{{1,60}}):\s{{0,12}}({_NUMBER})\s*", re.I)
_QUOTED = re.compile(rf"['\"]([^'\"]{{1,80}})['\"]:\s?['\"]?({_NUMBER})(?![\w.])", re.I)
_NAMED = re.compile(
    r"(?<!\w)([a-z_][\w/@.\-]{0,60}(?: [a-z][\w.]{0,20}){0,2}?)\s{0,4}[:=]?\s{0,4}"
    rf"(?:tensor\()?({_NUMBER})(?![\w.:/])",
    re.I,
)
_DICTIONARY = re.compile(r"\{[^{}]{5,4000}\}")
_COUNTER = re.compile(
    r"(?<![\w/])(global[ _]?step|step|iteration|iter|it|batch|epoch|update)s?\W{0,4}"
    r"(\d+(?:\.\d+)?)(?:\s?/\s?\d+)?(?![\w.])",
    re.I,
)
_SPLIT = re.compile(r"\b(test|val|valid|validation|dev|eval|evaluation)\b(?: set)?\s?:", re.I)
_SPLIT_FIRST = re.compile(r"(train|training|test|val|valid|validation|dev|eval)\b", re.I)
_EPOCH = re.compile(r"\W{0,20}epoch\W{0,4}(\d+)(?:\s?/\s?\d+)?\W{0,20}", re.I)
_KERAS_BAR = re.compile(r"(\d+)/(\d+)\s")


def _piped(text: str) -> Cells:
    found = (_PIPED.fullmatch(part) for part in text.split("|"))
    return [(match[1].strip(), float(match[2])) for match in found if match]


def _named(text: str) -> Cells:
    return [(match[1], float(match[2])) for match in _NAMED.finditer(text)]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way to write a line of a training log.

    Parameters
    ----------
    tool : str
        Who writes it.
    anchor : compiled pattern
        Finds the step by its group "step", or by "epoch", "inner" and "of" (steps an epoch).
    pairs : callable (str) -> list of (name, number)
        Reads what comes behind the anchor.
    prefix : str
        Put before the names.
    """

    tool: str
    anchor: re.Pattern[str]
    pairs: Callable[[str], Cells]
    prefix: str = ""


PATTERNS = (
    Pattern("Megatron", re.compile(r"\biteration\s{1,12}(?P<step>\d+)/\s{0,12}\d+ \|"), _piped),
    Pattern(
        "Megatron",
        re.compile(r"\bvalidation loss at iteration (?P<step>\d+) \|"),
        _piped,
        "validation/",
    ),
    Pattern(  # PaddleDetection, mmengine, Flair, fairseq, the examples of PyTorch
        "epoch and step inside",
        re.compile(
            r"\bepoch(?:\(train\))?\W{0,4}(?P<epoch>\d+)(?:\s?/\s?\d+)?\W{1,6}"
            r"(?:(?:step|iteration|iter|batch)\W{0,4})?(?P<inner>\d+)\s?/\s?(?P<of>\d+)",
            re.I,
        ),
        _named,
    ),
    Pattern(  # "Epoch 3:  50%|#####     | 100/200 [00:10<00:10, 9.9it/s, loss=0.5]"
        "tqdm",
        re.compile(
            r"(?:\bepoch\W{0,4}(?P<epoch>\d+)\W{1,4})?\d{1,3}%\|[^|]{0,200}\|\s{0,8}"
            r"(?P<inner>\d+)/(?P<of>\d+) \[",
            re.I,
        ),
        _named,
    ),
)


@dataclass(slots=True)
class _Log:
    """What the lines so far said."""

    rows: Rows = field(default_factory=Rows)
    tags: set[str] = field(default_factory=set)
    step: float | None = None  # the last one seen
    fine: bool = False  # whether lines count more finely than by epochs
    epoch: float | None = None  # of a line of its own: Keras, and the tutorials of PyTorch
    bar: Cells = field(default_factory=list)
    bar_length: str = ""

    def add(self, cells: Cells) -> None:
        """Add one line that names a loss; leave others out."""
        if not any("loss" in name.casefold() for name, _ in cells):
            return
        counters = sorted(
            (rank, cell) for name, cell in cells if (rank := step_rank(name)) is not None
        )
        epochs = [cell for rank, cell in counters if STEP_NAMES[rank].startswith("epoch")]
        steps = [cell for rank, cell in counters if not STEP_NAMES[rank].startswith("epoch")]
        numbers = [(name, cell) for name, cell in cells if step_rank(name) is None]
        if steps:
            self.fine, self.step = True, steps[0]
        elif self.fine:
            # The mean of an epoch among the lines of its steps is a series of its own.
            numbers = [(n if n not in self.tags else f"epoch/{n}", c) for n, c in numbers]
        elif epochs:
            self.step = epochs[0]
        if not self.fine or steps:
            self.tags |= {name for name, _ in numbers}
        # "iter 10" and "step 10" of one log count the same.
        step = [("step", self.step)] if self.fine and self.step is not None else []
        epoch = [("epoch", epochs[0])] if epochs else []
        self.rows.add(dict([*step, *epoch, *numbers]).items())

    def end_epoch(self) -> None:
        """Take over the last complete progress bar of Keras."""
        if self.bar:
            self.add(self.bar)
        self.bar, self.bar_length = [], ""


def _read_line(log: _Log, line: str) -> None:
    lower = line.casefold()
    if header := _EPOCH.fullmatch(line):
        log.end_epoch()
        log.epoch = float(header[1])
        return
    if "loss" not in lower or "improve" in lower:  # "val_loss improved from 0.5 to 0.4"
        return
    if log.epoch is not None and (bar := _KERAS_BAR.match(line)):
        # A bar of another length after that of the epoch shows an evaluation.
        if bar[1] == bar[2] and log.bar_length in ("", bar[2]):
            log.bar_length = bar[2]
            log.bar = [("epoch", log.epoch), *_named(line[bar.end() :])]
        return
    if dictionaries := _DICTIONARY.findall(line):
        for text in dictionaries:
            # Hugging Face closes with means over the whole run: no points of a curve.
            if "train_runtime" not in text:
                log.add([(match[1], float(match[2])) for match in _QUOTED.finditer(text)])
        return
    for pattern in PATTERNS:
        if match := pattern.anchor.search(line):
            pairs = [(pattern.prefix + n, c) for n, c in pattern.pairs(line[match.end() :])]
            log.add([*_counted(match), *pairs])
            return
    counters = [(match[1], float(match[2])) for match in _COUNTER.finditer(line)]
    if counters:
        log.add([*counters, *_named(_COUNTER.sub(" ;", line))])
    elif log.step is not None and (split := _SPLIT.search(line)):
        pairs = [(f"{split[1]}/{name}", cell) for name, cell in _named(line[split.end() :])]
        log.add([("step" if log.fine else "epoch", log.step), *pairs])
    elif log.epoch is not None:  # "train Loss: 0.6 Acc: 0.7" below "Epoch 3/25"
        log.add([("epoch", log.epoch), *_named(line)])
    elif log.step is not None and _SPLIT_FIRST.match(line):
        log.add([("step" if log.fine else "epoch", log.step), *_named(line)])


def _counted(match: re.Match[str]) -> Cells:
    groups = match.groupdict()
    if step := groups.get("step"):
        return [("step", float(step))]
    epoch, inner, of = float(groups["epoch"] or 0), float(groups["inner"]), float(groups["of"])
    return [("epoch", epoch), ("step", epoch * of + inner)]


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
        log.end_epoch()
        if log.rows.length < 2:
            raise UnknownFormatError(path, "text without lines of a training log", ACCEPTED)
        yield Run("", str(path), log.rows.curves())


def _matches(path: Path, head: bytes) -> bool:
    suffix = path.suffix.casefold()
    return text_head(head) is not None and (suffix in _SUFFIXES or suffix[1:].isdecimal())


READER = Reader(
    name="text_log",
    accepts="text logs with a step and a loss in each line (.log, .txt, .out)",
    matches=_matches,
    read=_read,
)
