"""How the lines of text logs name their steps and numbers: a short table of patterns.

All patterns are bounded, so that no line costs more than a fixed number of comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..run import Logging
from .habits import BOOSTING, MEGATRON, MMCV, MMENGINE
from .rows import evaluates, step_rank

Cells = list[tuple[str, float]]

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|nan|inf(?:inity)?)"
_PIPED = re.compile(rf"\s*([^|:]{{1,60}}):\s{{0,12}}({_NUMBER})\s*", re.I)
_METRIC = re.compile(rf"\s*([^\t:]{{1,60}}):\s?({_NUMBER})(?![\w.]).{{0,40}}", re.I)
_QUOTED = re.compile(rf"['\"]([^'\"]{{1,80}})['\"]:\s?['\"]?({_NUMBER})(?![\w.])", re.I)
_NAMED = re.compile(
    r"(?<!\w)([a-z_][\w/@.\-]{0,60}(?: [a-z][\w.]{0,20}){0,2}?)\s{0,4}[:=]?\s{0,4}"
    rf"(?:tensor\()?({_NUMBER})(?![\w.:/])",
    re.I,
)
_ASSIGNED = re.compile(rf"(\w{{1,60}})=({_NUMBER})", re.I)
_COUNTER = re.compile(
    r"(?<![\w/])(global[ _]?step|step|iteration|iter|it|batch|epoch|update)s?\W{0,4} {0,8}"
    r"(\d+(?:\.\d+)?)(?:\s?/\s?\d+)?(?![\w.])",
    re.I,
)
# A word apart that says what the numbers behind it are of: "Test set:", "[Eval]", "DEV :".
_PART = re.compile(
    r"(?<![\w./\-])(?:train(?:ing)?|(test|val|valid|validation|dev|eval|evaluation))"
    r"(?![\w/\-]|\.\w|\s?=)",
    re.I,
)
_MEAN = re.compile(rf"{_NUMBER} {{0,2}}\( {{0,4}}({_NUMBER}) {{0,4}}\)", re.I)
_SCHEDULE = re.compile(r"\blr\([^()]{1,40}\)")  # PaddleClas names the schedule in brackets
_MSVC = re.compile(r"1\.#(?:(inf)|ind|qnan|snan)\d{0,9}", re.I)


def label(text: str, before: str = "") -> str:
    """Return the evaluation that a text says its numbers are of, "" for training.

    Parameters
    ----------
    text : str
        What stands before the numbers.
    before : str
        The answer where the text does not say.

    Examples
    --------
    >>> label("Test set: "), label("[Train]", "Eval"), label("step 5: ", "Eval")
    ('Test', '', 'Eval')
    """
    found = [match[1] or "" for match in _PART.finditer(text)]
    return found[-1] if found else before


def named(text: str, part: str = "") -> Cells:
    """Read "loss: 0.5 acc = 0.9 Val: loss 0.6"; names of an evaluation begin with it.

    Examples
    --------
    >>> named("loss: 0.5 Val: loss 0.6"), named("eval_loss 2", "eval")
    ([('loss', 0.5), ('Val/loss', 0.6)], [('eval_loss', 2.0)])
    """
    cells, end = [], 0
    for match in _NAMED.finditer(text):
        part = label(text[end : match.start()], part)
        end = match.end()
        cells.append((_below(part, match[1]), float(match[2])))
    return cells


def quoted(text: str) -> Cells:
    """Read a dictionary as Python or JSON writes it."""
    return [(match[1], float(match[2])) for match in _QUOTED.finditer(text)]


def assigned(text: str, part: str = "") -> Cells:
    """Read "loss=0.5, time=3 seconds, acc=nan", of which what is no number is left out.

    Examples
    --------
    >>> assigned("loss=0.5, time=3 seconds", "valid")
    [('valid/loss', 0.5)]
    """
    found = (_ASSIGNED.fullmatch(cell.strip()) for cell in text.split(","))
    return [(_below(part, match[1]), float(match[2])) for match in found if match]


def counted(line: str) -> tuple[Cells, str]:
    """Return the counters of a line, and the line without them."""
    counters = [(match[1], float(match[2])) for match in _COUNTER.finditer(line)]
    return counters, _COUNTER.sub(" ;", line)


def means(text: str) -> str:
    """Write "0.5 (0.6)", a value with the mean so far, as "0.6"."""
    return _MEAN.sub(r"\1", text)


def plain_numbers(line: str) -> str:
    """Write what some tools write in their own way as others do."""
    if "1.#" in line:
        line = _MSVC.sub(lambda match: "inf" if match[1] else "nan", line)
    return _SCHEDULE.sub("lr", line) if "lr(" in line else line


def _below(part: str, name: str) -> str:
    own = not part or evaluates(name) or step_rank(name) is not None
    return name if own else f"{part}/{name}"


def _piped(text: str, part: str) -> Cells:
    found = (_PIPED.fullmatch(cell) for cell in text.split("|"))
    return [(_below(part, match[1].strip()), float(match[2])) for match in found if match]


def _metrics(text: str, part: str) -> Cells:
    found = (_METRIC.fullmatch(cell) for cell in text.split("\t"))
    return [(match[1].strip(), float(match[2])) for match in found if match]


def _catboost(text: str, part: str) -> Cells:
    return [(f"{name}/loss", cell) for name, cell in _metrics(text, part)
            if name.startswith(("learn", "test"))]  # fmt: skip


def _loss_of(text: str, part: str) -> Cells:
    name, value = text.split()
    return [(f"{name}/loss", float(value))]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way to write a line of a training log.

    Parameters
    ----------
    tool : str
        Who writes it.
    hint : str
        Stands in every such line, in small letters: looked for first, as it costs less.
    anchor : compiled pattern
        Finds the step by its group "step", or by "epoch", "inner" and "of" (steps an epoch).
    pairs : callable (str, part) -> list of (name, number)
        Reads what comes behind the anchor.
    before : bool
        Whether the numbers stand before the anchor.
    unnamed : bool
        Whether the numbers count though none is called a loss.
    stale : bool
        Whether it is a bar, which shows old numbers until it is drawn with the new ones.
    logging : Logging, optional
        What the tool does to the values, where it is known.
    """

    tool: str
    hint: str
    anchor: re.Pattern[str]
    pairs: Callable[[str, str], Cells] = named
    before: bool = False
    unnamed: bool = False
    stale: bool = False
    logging: Logging | None = None


_INNER = r"(?P<inner>\d{1,12})\s?/\s{0,8}(?P<of>\d{1,12})"

PATTERNS = (
    Pattern(
        "Megatron",
        "iteration ",
        re.compile(r"\biteration\s{1,12}(?P<step>\d+)/\s{0,12}\d+ \|"),
        _piped,
        logging=MEGATRON,
    ),
    Pattern(
        "Megatron",
        "validation loss at",
        re.compile(r"\bvalidation loss at iteration (?P<step>\d+)(?: on [\w\- ]{1,40})? \|"),
        _piped,
    ),
    Pattern(
        "XGBoost and LightGBM",
        "]\t",
        re.compile(r"^(?:\[[\d:]{8}\] )?\[(?P<step>\d{1,9})\]\t(?=[^\t:]{1,60}: ?[-\dni])"),
        _metrics,
        unnamed=True,
        logging=BOOSTING,
    ),
    Pattern(
        "CatBoost",
        ":\tlearn",
        re.compile(r"^(?P<step>\d{1,9}):\t(?=learn|test)"),
        _catboost,
        logging=BOOSTING,
    ),
    Pattern(
        "mmengine", "iter(", re.compile(rf"\bIter\((?:val|test)\)\s{{0,4}}\[\s{{0,8}}{_INNER}\]")
    ),
    Pattern(
        "mmengine",
        "iter(train",
        re.compile(r"\bIter\(train\)\s{0,4}\[\s{0,8}(?P<step>\d+)/\s{0,8}\d+\]"),
        logging=MMENGINE,
    ),
    Pattern(
        "mmcv",
        "info - epoch [",
        re.compile(rf" - mm\w{{1,20}} - INFO - Epoch \[(?P<epoch>\d+)\]\[{_INNER}\]"),
        logging=MMCV,
    ),
    Pattern(
        "mmcv",
        "info - iter [",
        re.compile(r" - mm\w{1,20} - INFO - Iter \[(?P<step>\d+)/\d+\]"),
        logging=MMCV,
    ),
    Pattern(  # PaddleDetection, PaddleClas, mmengine, Flair, fairseq, the examples of PyTorch
        "epoch and step inside",
        "epoch",
        re.compile(
            r"\bepoch(?:\((?:train|val|test)\))?\W{0,4}(?P<epoch>\d+)(?:\s?/\s?\d+)?\W{1,8}"
            rf"(?:(?:step|iteration|iter|batch)\W{{0,4}})?{_INNER}",
            re.I,
        ),
    ),
    Pattern("timm", "train", re.compile(rf"\btrain:? (?P<epoch>\d+) \[\s{{0,8}}{_INNER}", re.I)),
    Pattern(
        "timm, torchvision",
        ": [",
        re.compile(
            rf"\b(?:test|eval|val|valid|validation)\w{{0,8}}:\s{{1,4}}\[\s{{0,8}}{_INNER}\]", re.I
        ),
    ),
    Pattern(  # "Epoch 3:  50%|#####     | 100/200 [00:10<00:10, 9.9it/s, loss=0.5]"
        "tqdm",
        "%|",
        re.compile(
            r"(?:\bepoch\W{0,4}(?P<epoch>\d+)\W{1,4})?\d{1,3}%\|[^|]{0,200}\|\s{0,8}"
            rf"{_INNER} \[",
            re.I,
        ),
        stale=True,
    ),
    Pattern(
        "PyTorch's tutorials", "[", re.compile(r"^\[(?P<epoch>\d{1,6}),\s{1,8}(?P<inner>\d{1,9})\]")
    ),
    Pattern(  # "Epoch 0/2  ━━━━━━━━ 10/10 0:00:00 • 0:00:00 290.3it/s train_loss: 0.034"
        "rich",
        "it/s",
        re.compile(
            rf"\bepoch (?P<epoch>\d{{1,6}})/\d{{1,6}}\s{{1,4}}[━╸╺]{{1,200}}\s{{1,4}}{_INNER}"
            r"\s{1,4}[\d:\-]{1,12} • [\d:\-]{0,12}\s{1,12}[\d.]{1,12}it/s",
            re.I,
        ),
        stale=True,
    ),
    Pattern("PyTorch's tutorials", "[", re.compile(rf"\s\[\s{{0,8}}{_INNER}\]$"), before=True),
    *(  # "250 val 6.0127": step, set and loss
        Pattern(
            "build-nanogpt",
            f" {name} ",
            re.compile(rf"^(?P<step>\d{{1,12}}) (?={name} {_NUMBER}$)", re.I),
            _loss_of,
            unnamed=True,
        )
        for name in ("train", "val")
    ),
    Pattern("Paddle", "step ", re.compile(rf"^step\s{{1,8}}{_INNER}(?= \[| - )")),
)
