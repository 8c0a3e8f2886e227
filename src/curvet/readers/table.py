"""Tables of text: CSV, tab- or semicolon-separated, one column a series or one row a value.

What a table says is kept: steps may repeat and go backwards, NaN and inf stay. What it cannot
say without a guess is an error: two columns of one name, a row longer than the header, a word
among numbers.

- A blank cell was not logged, "nan" was; see `curvet.readers.text.number`. But where a column is
  filled to some row and blank in all after it, that was NaN; see `Rows.nan_for_blank_tails`. So
  is a series of one row a value.
- A column with more words than numbers is no series and is left out.
- A header that is repeated begins another run if the steps begin anew, else the same run goes on.
  Without a header it is epochs that begin anew; see `Rows.runs`.
- A column "run" or "run_id" tells runs apart.
- A last line that was cut off while it was written counts as far as it is whole.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path

from ..errors import ReadError, UnknownFormatError
from ..run import Curve, Run
from .base import Reader
from .content import start_of
from .decimals import rows_of_numbers
from .habits import unknown
from .layout import ACCEPTED, Layout, find_layout, is_number, split_cells
from .rows import RUN_NAMES, TAG_NAMES, VALUE_NAMES, Rows, plain, step_rank
from .text import (
    HEAD,
    LINE_LIMIT,
    decimal_comma,
    ends_with_newline,
    first_line,
    head_lines,
    lines,
    number,
)

SUFFIXES = frozenset({".csv", ".tsv"})
_MAYBE = frozenset({".txt", ".dat", ".log", ".out", ""})
_Runs = dict[str, Mapping[str, Curve]]


@dataclass(slots=True)
class _Words:
    """Cells of one column that are no numbers."""

    count: int = 0
    line: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True)
class _Places:
    """Columns with a meaning of their own."""

    run: int | None = None
    tag: int | None = None
    value: int | None = None
    step: int | None = None

    @classmethod
    def of(cls, layout: Layout) -> _Places:
        tag, value = layout.index(TAG_NAMES), layout.index(VALUE_NAMES)
        ranks = [
            (rank, place)
            for place, name in enumerate(layout.header)
            if (rank := step_rank(name)) is not None
        ]
        long = tag is not None and value is not None
        return cls(
            run=layout.index(RUN_NAMES),
            tag=tag if long else None,
            value=value if long else None,
            step=min(ranks)[1] if ranks else None,
        )


@dataclass(slots=True)
class _Series:
    """One series of a table with one row a value."""

    filled: bool = False
    blanks: list[list[tuple[str, float]]] = field(default_factory=list)  # rows without the value
    gaps: bool = False

    def add(self, cells: list[tuple[str, float]], *, blank: bool) -> None:
        """Add what a row says beside the value."""
        self.gaps |= bool(self.blanks) and not blank
        self.filled |= not blank
        if blank:
            self.blanks.append(cells)

    def blank_tail(self) -> list[list[tuple[str, float]]]:
        """Return the last rows, if only these are blank: pandas writes NaN as a blank."""
        return self.blanks if self.filled and len(self.blanks) > 1 and not self.gaps else []


@dataclass(slots=True)
class _Table:
    """What has been read so far."""

    runs: dict[tuple[int, str], Rows] = field(default_factory=dict)
    series: dict[tuple[int, str, str], _Series] = field(default_factory=dict)
    words: dict[str, _Words] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    block: int = 1
    start: float | None = None  # the first step of the block
    begins: bool = True  # whether the next row is the first below a header
    long: bool = False  # whether rows hold one value each, with its tag
    short: bool = False  # whether some rows end early: blanks say nothing then

    def begin(self, step: float | None) -> None:
        """Begin another run below a repeated header, unless its steps go on."""
        self.begins = False
        if self.runs and (step is None or self.start is None or step <= self.start):
            self.block += 1
        if not self.runs or self.start is None or (step is not None and step <= self.start):
            self.start = step


def read_table(path: Path) -> Iterator[Run]:
    """Read the runs of one table.

    Parameters
    ----------
    path : Path
        A UTF-8 file.

    Yields
    ------
    Run
        With an empty id where the file holds one run.

    Raises
    ------
    ReadError
        A cell, row or header that cannot be read without a guess; names the line.
    """
    try:
        runs = _all_numbers(path) or _cell_by_cell(path)
    except csv.Error as error:
        raise ReadError(path, f"a table that cannot be parsed ({error})", ACCEPTED) from error
    for run_id, curves in runs.items():
        if curves:
            yield Run(run_id, str(path), _export_tag(path, curves))


def _all_numbers(path: Path) -> _Runs | None:
    """Read a table of one run whose cells below the header are all numbers, in one go.

    Returns
    -------
    dict or None
        As `_cell_by_cell` returns it, in a small part of the time; None for any other file,
        however little it differs.
    """
    content = start_of(path, LINE_LIMIT + 1)
    if len(content) > LINE_LIMIT:
        return None
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    header, _, body = content.partition(b"\n")
    if len(header) > HEAD:  # kept for other files
        return None
    layout = _plain_layout(header, path.suffix.casefold())
    if layout is None:
        return None
    cells = rows_of_numbers(body, layout.delimiter.encode(), len(layout.header))
    if cells is None:
        return None
    runs = _runs(Rows.full(layout.header, cells).runs(), layout)
    return runs if any(runs.values()) else None


def _runs(
    stacked: Sequence[Rows],
    layout: Layout,
    parts: Sequence[str] = (),
    texts: Set[str] = frozenset(),
) -> _Runs:
    """Name runs that stand below each other and make their curves, but for columns of texts."""
    runs: _Runs = {}
    for place, rows in enumerate(stacked, 1):
        curves = rows.curves(unnamed=layout.unnamed)
        if texts:
            curves = {tag: curve for tag, curve in curves.items() if tag not in texts}
        names = [*parts, str(place)] if len(stacked) > 1 else parts
        runs |= {".".join(names): curves} if names else _chart_runs(curves)
    return runs


@lru_cache(maxsize=256)  # the files of an archive have the same header
def _plain_layout(header: bytes, suffix: str) -> Layout | None:
    """Find the layout of a table of numbers by its header alone; None for any other table."""
    mark = b"\t" if suffix == ".tsv" or b"\t" in header else b","
    if any(sign in header for sign in (b'"', b"#", b"\r")):
        return None
    width = header.count(mark) + 1
    try:
        first, below = header.decode("utf-8-sig"), mark.join([b"0"] * width).decode()
        layout = find_layout(Path(f"table{suffix}"), [first, below])
    except (ReadError, UnicodeDecodeError):
        return None
    plain_ = (
        first.strip() != ""
        and layout.named
        and layout.delimiter.encode() == mark
        and len(layout.header) == width
    )
    places = _Places.of(layout)
    return layout if plain_ and places == _Places(step=places.step) else None


def _cell_by_cell(path: Path) -> _Runs:
    layout = find_layout(path, list(islice((row for row in lines(path) if row.strip()), 20)))
    table = _Table()
    _fill(table, path, layout)
    texts = _text_columns(path, table)
    if not table.short:
        _nan_for_blank_tails(table)
    many_blocks, many_runs = table.block > 1, len({name for _, name in table.runs}) > 1
    runs: _Runs = {}
    for (block, name), rows in table.runs.items():
        parts = [name] * many_runs + [str(block)] * many_blocks
        # Where rows hold one value each, one series stands below the other.
        runs |= _runs([rows] if table.long else rows.runs(), layout, parts, texts)
    if not any(runs.values()):
        words = [f"{name}: {found.first!r:.40}" for name, found in table.words.items()]
        content = _some(words or layout.header)
        raise UnknownFormatError(
            path, f"a table without any column of numbers ({content})", ACCEPTED
        )
    return runs


def _nan_for_blank_tails(table: _Table) -> None:
    for (block, run, tag), series in table.series.items():
        for cells in series.blank_tail():
            table.runs[block, run].add([*cells, (tag, float("nan"))])
    if not table.long:
        for rows in table.runs.values():
            rows.nan_for_blank_tails()


def _fill(table: _Table, path: Path, layout: Layout) -> None:
    places = _Places.of(layout)
    table.long = places.tag is not None
    whole = ends_with_newline(path)
    for line, row, last in _marking_last(_split(path, layout)):
        if not any(row):
            continue
        if layout.is_header(row):
            table.begins = True
            continue
        cut = last and not whole
        row = _checked(path, line, row, layout, cut)
        table.short |= len(row) < len(layout.header)
        cells = _numbers(table, line, row, layout, cut, {places.run, places.tag})
        if table.begins:
            step = None if places.step is None else layout.header[places.step]
            table.begin(next((cell for name, cell in cells if name == step), None))
        run = row[places.run].strip() if places.run is not None and places.run < len(row) else ""
        if places.tag is not None and places.value is not None:
            tag = row[places.tag].strip() if places.tag < len(row) else ""
            cells = _long(cells, tag, layout.header[places.value])
            series = table.series.setdefault((table.block, run, tag), _Series())
            series.add(cells, blank=all(name != tag for name, _ in cells))
        table.runs.setdefault((table.block, run), Rows()).add(cells)


def _numbers(
    table: _Table, line: int, row: list[str], layout: Layout, cut: bool, skip: set[int | None]
) -> list[tuple[str, float]]:
    cells = []
    for place, text in enumerate(row):
        if not text or place in skip:
            continue
        name = layout.header[place]
        try:
            cell = number(decimal_comma(text) if layout.delimiter == ";" else text)
        except ValueError:
            if not cut:
                words = table.words.setdefault(name, _Words(0, line, text.strip()))
                words.count += 1
            continue
        if cell is not None:
            cells.append((name, cell))
            table.numbers[name] += 1
    return cells


def _long(cells: list[tuple[str, float]], tag: str, value: str) -> list[tuple[str, float]]:
    """Name the value of a row (step, tag, value) by its tag; drop clocks and the like."""
    return [
        (tag if name == value else name, cell)
        for name, cell in cells
        if name == value or step_rank(name) is not None
    ]


def _checked(path: Path, line: int, row: list[str], layout: Layout, cut: bool) -> list[str]:
    width = len(layout.header)
    if cut and len(row) < width:
        return row[:-1]  # "0.2" may be the start of "0.25"
    if any(cell.strip() for cell in row[width:]):
        raise ReadError(
            path,
            f"line {line} has {len(row)} cells, but there are {width} columns",
            "give every row the columns of the header, or a header of its own",
        )
    return row[:width]


def _text_columns(path: Path, table: _Table) -> set[str]:
    for name, words in table.words.items():
        if words.count < table.numbers[name]:
            raise ReadError(
                path,
                f"line {words.line}, column {name!r}: {words.first!r:.40} is no number",
                "numbers, nan, inf, or a blank cell where nothing was logged",
            )
    return set(table.words)


def _split(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) without the header line and comments."""
    texts = ("\n" if line.startswith("#") else line for line in lines(path))
    skip = layout.named
    if layout.delimiter:
        reader = csv.reader(texts, delimiter=layout.delimiter, skipinitialspace=True)
        numbered = ((reader.line_num, row) for row in reader)
    else:
        numbered = ((line, text.split()) for line, text in enumerate(texts, 1))
    for line, row in numbered:
        if skip and any(row):
            skip = False
            continue
        yield line, row


def _marking_last(
    rows: Iterator[tuple[int, list[str]]],
) -> Iterator[tuple[int, list[str], bool]]:
    """Tell with each row whether it is the last one."""
    previous = next(rows, None)
    for row in rows:
        if previous is not None:
            yield *previous, False
        previous = row
    if previous is not None:
        yield *previous, True


def _chart_runs(curves: Mapping[str, Curve]) -> dict[str, Mapping[str, Curve]]:
    """Split the columns of a chart that W&B exported: "run - tag", "run - tag__MIN", ..."""
    bases = [tag[:-5] for tag in curves if tag.endswith("__MIN") and tag[:-5] in curves]
    runs: dict[str, dict[str, Curve]] = {}
    for base in bases:
        run, _, tag = base.rpartition(" - ")
        runs.setdefault(run, {})[tag] = Curve(tag, curves[base].step, curves[base].value)
    if not runs:
        return {"": curves}
    return {"": next(iter(runs.values()))} if len(runs) == 1 else dict(runs)


def _export_tag(path: Path, curves: Mapping[str, Curve]) -> Mapping[str, Curve]:
    """Name a series by its file where it is called "value": so does TensorBoard export one."""
    if curves.keys() == {"value"} and "loss" in path.stem.casefold():
        return {path.stem: Curve(path.stem, curves["value"].step, curves["value"].value)}
    if {plain(name) for name in curves} == {"walltime", "value"} and "-tag-" in path.stem:
        tag = path.stem.partition("-tag-")[2]
        (curve,) = (curve for name, curve in curves.items() if plain(name) == "value")
        return {tag: Curve(tag, curve.step, curve.value)}
    return curves


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _matches(path: Path, head: bytes) -> bool:
    suffix = path.suffix.casefold()
    if suffix in SUFFIXES:
        return bool(first_line(head))
    first = head_lines(head)
    if suffix not in _MAYBE or len(first) < 3:
        return False
    first = first[:20] if len(first) > 20 else first[:-1]  # the last one may be cut
    try:
        layout = find_layout(path, first)
    except (ReadError, csv.Error):
        return False
    below = [line for line in first if not line.startswith("#")][int(layout.named) :]
    rows = [split_cells(line, layout.delimiter) for line in below]
    numbers = sum(is_number(cell) for row in rows for cell in row)
    words = not any(is_number(name) for name in layout.header)
    return (
        words
        and {len(row) for row in rows} == {len(layout.header)}
        and (numbers > sum(map(len, rows)) / 2)
    )


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    # An algoperf trial holds its evaluation rows twice: alone, and among all rows.
    whole = [path for path in paths if path.name != "eval_measurements.csv"] or paths
    for path in whole:
        yield from read_table(path)


def _unit(path: Path) -> Path:
    if path.name != "eval_measurements.csv":
        return path
    whole = path.with_name("measurements.csv")
    return whole if whole.exists() else path


READER = Reader(
    name="table",
    accepts="tables with a header (.csv, .tsv, or text with equal columns)",
    matches=_matches,
    read=_read,
    logging=unknown("a table does not say which tool wrote it"),
    unit=_unit,
    suffixes=SUFFIXES | _MAYBE,
)
