"""Parquet tables: one row a step, one row a value, or one row a run with lists in its cells.

- A null was not logged, NaN was. But pandas writes NaN as null: where it wrote the file, a column
  that is null from some row on was NaN; see `Rows.nan_for_blank_tails`.
- A column "run" or "run_id" tells runs apart. Rows of one run that stand together are read run by
  run, so that the file may be larger than the memory; else all runs are held at once.
- With columns "tag" and "value" each row is a point, or a whole curve where the value is a list;
  a list "step" beside it holds its steps.
- Columns within columns are named "train.loss". Texts, dates and the like are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError, UnknownFormatError
from ..run import Curve, Run
from .base import Reader
from .habits import unknown
from .rows import RUN_NAMES, TAG_NAMES, VALUE_NAMES, Block, Rows, plain, step_rank

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ACCEPTED = (
    "columns of numbers, one row a step; or run, tag, step, value; or a row a run, with lists"
)
_MAGIC = b"PAR1"
_INDEX = "__index_level_0__"  # what pandas calls an index without a name
CELL_LIMIT = 2**26  # of runs that are held at once: 1 GiB
_BATCH_ROWS, _FEW_ROWS = 65_536, 512
_BATCH_CELLS = 2**22  # of a wide table: 32 MiB
_BATCH_BYTES = 2**24  # of rows that hold whole curves
_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of a file are what."""

    run: str | None
    tag: str | None
    value: str | None
    numbers: tuple[str, ...]
    lists: tuple[str, ...]

    @classmethod
    def of(cls, schema: pa.Schema) -> _Columns:
        kinds = {name: _kind(schema.field(name).type) for name in schema.names}
        run = _first(RUN_NAMES, kinds, {"text", "number"})
        tag = _first(TAG_NAMES, kinds, {"text"})
        value = _first(VALUE_NAMES, kinds, {"number", "list"})
        if tag is None or value is None:
            tag = value = None
        return cls(
            run=run,
            tag=tag,
            value=value,
            numbers=tuple(n for n, kind in kinds.items() if kind == "number" and n != run),
            lists=tuple(n for n, kind in kinds.items() if kind == "list"),
        )

    @property
    def used(self) -> list[str]:
        """The columns that have to be read."""
        numbers, lists = self.numbers, self.lists
        if self.value is not None:
            numbers, lists = (
                tuple(n for n in names if n == self.value or step_rank(n) is not None)
                for names in (numbers, lists)
            )
        return [*(n for n in (self.run, self.tag) if n is not None), *numbers, *lists]

    @property
    def ragged(self) -> bool:
        """Whether a row holds whole curves."""
        return bool(self.lists) if self.value is None else self.value in self.lists


def _first(known: frozenset[str], kinds: Mapping[str, str], accepted: set[str]) -> str | None:
    found = (name for name in kinds if plain(name) in known and kinds[name] in accepted)
    return next(found, None)


def _kind(type_: pa.DataType) -> str:
    import pyarrow.types as kinds

    if kinds.is_dictionary(type_):
        type_ = type_.value_type
    if kinds.is_integer(type_) or kinds.is_floating(type_) or kinds.is_decimal(type_):
        return "number"
    if kinds.is_string(type_) or kinds.is_large_string(type_):
        return "text"
    if kinds.is_list(type_) or kinds.is_large_list(type_) or kinds.is_fixed_size_list(type_):
        return "list" if _kind(type_.value_type) == "number" else "other"
    return "other"


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            yield pq.ParquetFile(file)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system, not of pyarrow
        reason = (str(error).splitlines() or [""])[0]
        raise ReadError(
            path,
            f"a damaged or cut off Parquet file ({reason:.120})",
            "its columns are listed at its end, so nothing of it can be read; write it again",
        ) from error


def _tables(file: pq.ParquetFile, names: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Yield the rows of a file in parts, columns within columns taken apart."""
    import pyarrow as pa

    for group in range(file.num_row_groups):  # over all at once, it would read far ahead
        for batch in file.iter_batches(rows, [group], list(names)):
            yield _flat(pa.Table.from_batches([batch])).select(list(names))


def _flat(table: pa.Table) -> pa.Table:
    import pyarrow.types as kinds

    for _ in range(16):
        if any(kinds.is_struct(field.type) for field in table.schema):
            table = table.flatten()
    return table


def _words(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Return the words of a column, and which of them each row holds; a null is ""."""
    import pyarrow as pa

    encoded = column.cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _segments(codes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the stretches of one code."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
    yield from zip(starts, [*starts[1:], len(codes)], strict=True)


def _survey(file: pq.ParquetFile, run: str | None) -> tuple[bool, bool]:
    """Tell whether there are several runs, and whether the rows of each stand together."""
    if run is None:
        return False, True
    seen: set[str] = set()
    last, together = None, True
    for table in _tables(file, [run], _BATCH_ROWS):
        names, codes = _words(table[run])
        for start, _ in _segments(codes):
            name = names[codes[start]]
            together &= name == last or name not in seen
            seen.add(name)
            last = name
    return len(seen) > 1, together


def _blocks(file: pq.ParquetFile, columns: _Columns, together: bool) -> Iterator[tuple[str, Block]]:
    """Yield (run, some of its rows)."""
    rows = max(_FEW_ROWS, min(_BATCH_ROWS, _BATCH_CELLS // len(columns.used)))
    for table in _tables(file, columns.used, rows):
        names, codes = [""], np.zeros(len(table), dtype=np.int64)
        if columns.run is not None:
            names, codes = _words(table[columns.run])
            if not together:
                order = np.argsort(codes, kind="stable")
                table, codes = table.take(order), codes[order]
        cells = {name: _cells(table[name]) for name in columns.used if name in columns.numbers}
        tags, tag_codes = _words(table[columns.tag]) if columns.tag is not None else ([], codes)
        for start, end in _segments(codes):
            part = {name: (v[start:end], there[start:end]) for name, (v, there) in cells.items()}
            if columns.value is not None:
                value, logged = part.pop(columns.value)
                of = tag_codes[start:end]
                part |= {tags[tag]: (value, logged & (of == tag)) for tag in np.unique(of)}
            yield names[codes[start]], (end - start, [
                (name, np.flatnonzero(there), v[there]) for name, (v, there) in part.items()
            ])  # fmt: skip


def _cells(column: pa.ChunkedArray) -> tuple[_Numbers, NDArray[np.bool_]]:
    """Return the numbers of a column, and where there are any."""
    import pyarrow as pa

    there = column.is_valid().to_numpy()
    return column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64), there


def _lists(column: pa.ChunkedArray) -> list[_Numbers | None]:
    """Return the lists of a column; a null in a list holds a place and is NaN."""
    import pyarrow as pa

    array = column.cast(pa.large_list(pa.float64()), safe=False).combine_chunks()
    flat = array.values.to_numpy(zero_copy_only=False)
    ends = array.offsets.to_numpy()
    there = array.is_valid().to_numpy(zero_copy_only=False)
    return [flat[a:b].copy() if ok else None
            for a, b, ok in zip(ends[:-1], ends[1:], there, strict=True)]  # fmt: skip


def _check_size(path: Path, cells: int) -> None:
    """Refuse what would be held as a whole and is too large for that: most of it is data."""
    if cells > CELL_LIMIT:
        raise ReadError(
            path,
            f"a Parquet file with more than {CELL_LIMIT / 1e6:.0f} million cells that are not "
            "sorted by run",
            "sort its rows by a column run, or keep fewer columns",
        )


def _from_rows(
    path: Path, file: pq.ParquetFile, columns: _Columns, nan_is_null: bool
) -> Iterator[Run]:
    several, together = _survey(file, columns.run)
    if columns.run is None or not together:
        _check_size(path, file.metadata.num_rows * len(columns.used))
    open_runs: dict[str, Rows] = {}
    for name, block in _blocks(file, columns, together):
        if together and name not in open_runs:
            yield from _finished(path, open_runs, several, nan_is_null)
        open_runs.setdefault(name, Rows()).add_block(block)
    yield from _finished(path, open_runs, several, nan_is_null)


def _finished(
    path: Path, open_runs: dict[str, Rows], several: bool, nan_is_null: bool
) -> Iterator[Run]:
    for name, rows in open_runs.items():
        if nan_is_null:
            rows.nan_for_blank_tails()
        if curves := rows.curves(unnamed=_INDEX):
            yield Run(name if several else "", str(path), curves)
    open_runs.clear()


def _from_lists(path: Path, file: pq.ParquetFile, columns: _Columns) -> Iterator[Run]:
    several, together = _survey(file, columns.run)
    if columns.run is None:
        several = file.metadata.num_rows > 1 and columns.tag is None
    groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups) / max(1, file.metadata.num_rows)
    rows = int(max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, size))))
    open_runs: dict[str, dict[str, Curve]] = {}
    row = held = 0
    for table in _tables(file, columns.used, rows):
        names, codes = _words(table[columns.run]) if columns.run is not None else ([""], None)
        tags, tag_codes = _words(table[columns.tag]) if columns.tag is not None else ([], None)
        lists = {name: _lists(table[name]) for name in columns.lists if name in columns.used}
        for place in range(len(table)):
            name = names[codes[place]] if codes is not None else ""
            if codes is None and tag_codes is None:
                name = str(row)
            row += 1
            if together and name not in open_runs:
                yield from _listed(path, open_runs, several)
                held = 0
            tag = None if tag_codes is None else tags[tag_codes[place]]
            cells = {column: cell[place] for column, cell in lists.items()}
            held += sum(len(numbers) for numbers in cells.values() if numbers is not None)
            _check_size(path, held)
            _add_lists(path, name, open_runs.setdefault(name, {}), _curves(cells, columns, tag))
    yield from _listed(path, open_runs, several)


def _curves(
    cells: Mapping[str, _Numbers | None], columns: _Columns, tag: str | None
) -> Iterator[Curve]:
    """Make the curves of one row: each list on the best list of steps that is as long."""
    ranked = sorted((rank, name) for name in cells if (rank := step_rank(name)) is not None)
    for name, values in cells.items():
        if values is None or (step_rank(name) is not None and name != columns.value):
            continue
        steps = (cells[column] for _, column in ranked)
        step = next((s for s in steps if s is not None and len(s) == len(values)), None)
        yield Curve.of(name if tag is None else tag, values, step)


def _add_lists(path: Path, run: str, curves: dict[str, Curve], found: Iterator[Curve]) -> None:
    for curve in found:
        if curve.tag in curves:
            raise ReadError(
                path,
                f"two rows hold the list {curve.tag!r} of run {run!r}",
                "one row a run, or a row for each run and tag",
            )
        curves[curve.tag] = curve


def _listed(path: Path, open_runs: dict[str, dict[str, Curve]], several: bool) -> Iterator[Run]:
    for name, curves in open_runs.items():
        if curves:
            yield Run(name if several else "", str(path), curves)
    open_runs.clear()


def _read(paths: Sequence[Path]) -> Iterator[Run]:
    for path in paths:
        with _opened(path) as file:
            schema = _flat(file.schema_arrow.empty_table()).schema
            twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
            if twice is not None:
                found = f"two columns are called {twice!r}"
                raise ReadError(path, found, "give every column a name of its own")
            columns = _Columns.of(schema)
            pandas = b"pandas" in (file.schema_arrow.metadata or {}) and columns.value is None
            runs = 0
            found_runs = (
                _from_lists(path, file, columns) if columns.ragged
                else _from_rows(path, file, columns, pandas) if columns.numbers else iter(())
            )  # fmt: skip
            for run in found_runs:
                runs += 1
                yield run
        if not runs:
            names = ", ".join(schema.names[:8]) + (", ..." if len(schema.names) > 8 else "")
            kind = "a Parquet file without rows" if not file.metadata.num_rows else (
                f"a Parquet file without any column of numbers ({names})"
            )  # fmt: skip
            raise UnknownFormatError(path, kind, ACCEPTED)


def _matches(path: Path, head: bytes) -> bool:
    return head.startswith(_MAGIC)


READER = Reader(
    name="parquet",
    accepts="Parquet tables (.parquet), also with a run a row",
    matches=_matches,
    read=_read,
    logging=unknown("a table does not say which tool wrote it"),
)
