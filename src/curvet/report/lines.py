"""Text -> lines of a width in cells: an East Asian letter takes two, and stands without spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Punctuation by its numbers, because much of it looks like ASCII: , . : ; ! ? ) ] } quotes, and %.
_CLOSING = r"\uff0c\u3001\u3002\uff1a\uff1b\uff01\uff1f\uff09\u300b\u300d\u300f\u3011\u201d\u2019%"
_OPENING = r"\uff08\u300a\u300c\u300e\u3010\u201c\u2018"
_WIDE = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60"
_PIECE = re.compile(rf"\s+|[{_OPENING}]*(?:[^\s{_WIDE}{_OPENING}{_CLOSING}]+|[^\s])[{_CLOSING}]*")


def width_of(text: str) -> int:
    """Return how many cells of a terminal a text takes.

    Examples
    --------
    >>> width_of("loss"), width_of("损失")
    (4, 4)
    """
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, width: int) -> str:
    """Fill a text up with spaces to a width in cells."""
    return text + " " * (width - width_of(text))


def pad_left(text: str, width: int) -> str:
    """Fill a text up with spaces before it."""
    return " " * (width - width_of(text)) + text


def wrap(text: str, width: int, indent: str) -> list[str]:
    """Wrap a text; further lines stand under the first one's text.

    Parameters
    ----------
    text : str
        Runs of white space count as one space.
    width : int
        Cells of a line, with its indent. A longer word is cut.
    indent : str
        What the first line begins with.

    Examples
    --------
    >>> wrap("the loss falls", 12, "- ")
    ['- the loss', '  falls']
    >>> wrap("损失下降。之后上升。", 12, "- ")
    ['- 损失下降。', '  之后上升。']
    """
    lines, gap, empty = [indent], "", True
    for piece in _pieces(text, width - width_of(indent)):
        if piece.isspace():
            gap = " "
            continue
        if not empty and width_of(lines[-1] + gap + piece) > width:
            lines.append(" " * width_of(indent))
            gap = ""
        lines[-1] += gap + piece
        gap, empty = "", False
    return [line.rstrip() for line in lines]


def _pieces(text: str, width: int) -> Iterator[str]:
    """Cut a text where a line may end: beside spaces and wide letters, and in endless words."""
    for piece in _PIECE.findall(text.strip()):
        while width_of(piece) > width:
            head = next(n for n in range(len(piece), 0, -1) if width_of(piece[:n]) <= width)
            yield piece[:head]
            piece = piece[head:]
        yield piece
