"""Bounded access to text files, and numbers as loggers write them."""

from __future__ import annotations

import codecs
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from ..errors import ReadError

HEAD = 65_536  # bytes that a reader may look at to recognise its format
LINE_LIMIT = 8 * 2**20  # bytes; a Keras epoch drawn with backspaces stays below 1 MiB

_NOT_LOGGED = frozenset({"", "-", "--", "na", "n/a", "<na>", "null", "none", "no log", "#n/a"})
_WRAPPED = re.compile(r"(?:tensor|np\.float\d\d|array)?[\[(]{1,2}\s*([-+\w.]+)\s*[,\])].*", re.S)
_MSVC = re.compile(r"(-?)(?:nan\([a-z]{1,9}\)|1\.#(?:(inf)|ind|[qs]nan)0{0,9})", re.I)
_BARE_RETURN = re.compile(r"(?<=\r)(?!\n|$)")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_head(head: bytes) -> str | None:
    """Decode the first bytes of a file, or None where they are no text that is read here.

    Parameters
    ----------
    head : bytes
        At most `HEAD` bytes; a character cut at the end is left out.

    Examples
    --------
    >>> text_head(b"step,loss")
    'step,loss'
    >>> text_head(bytes([0, 1, 2])) is None
    True
    """
    if not head or head.startswith(_UTF16) or b"\0" in head:
        return None
    return codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode(head)


_asked: tuple[bytes, str] = (b"", "")  # several readers ask about one file after the other


def first_line(head: bytes) -> str:
    """Return the first line that is not blank, "" where there is none or no text."""
    global _asked
    if _asked[0] is not head:  # to compare or hash all of it would take longer
        _asked = head, _first_line(head)
    return _asked[1]


def _first_line(head: bytes) -> str:
    if b"\0" in head:
        return ""
    start, ends, _ = head[:256].partition(b"\n")
    if ends and start.isascii():  # most files: nothing else is decoded
        found = start.decode().splitlines()
        if len(found) == 1 and found[0].strip():
            return found[0]
    found = head_lines(head[:256])
    if len(found) < 2:  # it may go on
        found = head_lines(head)
    return found[0] if found else ""


def head_lines(head: bytes) -> list[str]:
    """Split the first bytes into lines that are not blank; the last one may be cut."""
    return [line for line in (text_head(head) or "").splitlines() if line.strip()]


def lines(path: Path, *, strict: bool = True) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their ends, however large the file is.

    Parameters
    ----------
    path : Path
        A text file; a byte order mark is taken off.
    strict : bool
        Whether bytes that are no UTF-8 are an error; else they become U+FFFD.

    Raises
    ------
    ReadError
        A line longer than `LINE_LIMIT`, or bytes that are no UTF-8.
    """
    errors = "strict" if strict else "replace"
    with path.open("rb") as opened:
        # Files of other file systems cannot bound a line.
        local = isinstance(opened, io.BufferedReader)
        file = opened if local else io.BufferedReader(cast(io.RawIOBase, opened))
        for number in range(1, 2**62):
            raw = file.readline(LINE_LIMIT + 1)
            if not raw:
                return
            if len(raw) > LINE_LIMIT:
                raise ReadError(
                    path,
                    f"line {number} is longer than {LINE_LIMIT // 2**20} MiB",
                    "a log with one row a line is read",
                )
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8", errors=errors)
            except UnicodeDecodeError as error:
                raise ReadError(
                    path,
                    f"line {number} holds bytes that are no UTF-8 text "
                    f"(0x{raw[error.start]:02x} at place {error.start + 1})",
                    "save it as UTF-8",
                ) from error
            yield from _BARE_RETURN.split(line)


def ends_with_newline(path: Path) -> bool:
    """Tell whether the last line of a file was written to its end."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return file.read(1) in (b"\n", b"\r", b"")


def number(cell: str) -> float | None:
    """Turn one cell of a log into a number, or None where nothing was logged.

    A blank, "NA", "null", "None" and "-" mean that nothing was logged: so do Keras, pandas and R
    write a missing value. "nan", "inf" and their like are results of a computation and are kept.

    Parameters
    ----------
    cell : str
        Also with a percent sign, with commas every three digits, or wrapped by Python as in
        "tensor(0.5, device='cpu')" and "[0.5]".

    Raises
    ------
    ValueError
        Not a number.

    Examples
    --------
    >>> number(" 0.5 "), number("NA"), number("-Infinity"), number("85.2%"), number("tensor(2.)")
    (0.5, None, -inf, 85.2, 2.0)
    >>> number("-nan(ind)"), number("1.#INF00")
    (nan, inf)
    """
    cell = cell.strip()
    if cell.casefold() in _NOT_LOGGED:
        return None
    if "_" in cell:  # Python's float would take "1_0"
        raise ValueError(f"{cell!r:.40} is no number")
    try:
        return float(cell)
    except ValueError:
        return float(_unwrapped(cell))


def decimal_comma(cell: str) -> str:
    """Turn "0,5" of a semicolon table into "0.5", "1.234,5" into "1234.5"; leave anything else."""
    if re.fullmatch(r"\s*[-+]?\d{1,3}(\.\d{3})+,\d+\s*", cell):
        return cell.replace(".", "").replace(",", ".")
    return cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell


def value(item: object) -> float | None:
    """Turn one JSON value into a number, or None where it is none.

    Examples
    --------
    >>> value(2), value("NaN"), value(True), value("adam"), value(10**400)
    (2.0, nan, None, None, inf)
    """
    if isinstance(item, bool) or item is None:
        return None
    if isinstance(item, int | float):
        try:
            return float(item)
        except OverflowError:
            return math.inf if item > 0 else -math.inf
    if isinstance(item, str) and len(item) < 100:
        try:
            return number(item)
        except ValueError:
            return None
    return None


def _unwrapped(cell: str) -> str:
    if nan := _MSVC.fullmatch(cell):
        return f"{nan[1]}{'inf' if nan[2] else 'nan'}"
    if cell.endswith("%"):
        return cell[:-1]
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?", cell):
        return cell.replace(",", "")
    if len(cell) < 200 and (wrapped := _WRAPPED.fullmatch(cell)):
        return wrapped[1]
    return cell
