"""Labels: the record, the store in SQLite and in PostgreSQL, files, the votes of several people."""

from __future__ import annotations

import csv
import json
import math
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from curvet.causes import CAUSES
from curvet.causes.team import TeamCause
from curvet.cli import main
from curvet.errors import LabelError
from curvet.labels import Label, Labels, Store, consensus, curve_hash, open_store
from curvet.labels.files import read_causes, read_labels, write_causes, write_labels
from curvet.labels.formats import MAX_BYTES, PARSERS
from curvet.labels.rows import COLUMNS, NAMES
from curvet.labels.store import masked
from curvet.run import Curve, Run

from .conftest import Postgres

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SHARD = TeamCause("repeated_shard", "Shard read twice", "the loss falls in steps", ("shuffle",))
NASTY = ["=1+1", "'=1", "''", "a;b", 'a"b', "two\nlines", "\u202e\U0001f469\u200d\U0001f52c", "ü,"]


def label(run_id: str = "run", *causes: str, by: str = "ann", hour: int = 0, **more: Any) -> Label:
    return Label(run_id, causes or ("healthy",), by, NOON + timedelta(hours=hour), **more)


Where = Callable[[], str]


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """Give the address of an empty database, each time another one."""
    numbers = count()
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"labels {next(numbers)}.db")
    server: Postgres = request.getfixturevalue("postgres")
    name = re.sub(r"\W", "", request.node.name)[:30].lower()
    return lambda: server.create(f"{name}_{next(numbers)}_{time.time_ns()}")


@pytest.fixture
def store(where: Where) -> Iterator[Store]:
    store = open_store(where())
    yield store
    store.close()


# --- the record


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"run_id": ""}, "needs a run_id and an annotator"),
        ({"annotator": " "}, "needs a run_id and an annotator"),
        ({"causes": ("healthy", "healthy")}, "names a cause twice"),
        ({"causes": ("unknown", "healthy")}, "or unknown beside a cause"),
        ({"confidence": 1.5}, "a confidence of 1.5; accepted: 0 to 1"),
        ({"confidence": math.nan}, "a confidence of nan"),
        ({"note": "x" * 2001}, "a note of 2001 letters; at most 2000"),
        ({"run_id": "x" * 5000}, "a run_id of 5000 letters; at most 4096"),
        ({"annotator": "x" * 201}, "an? annotator of 201 letters"),
        ({"run_id": "a\0b"}, "the run_id holds a letter that is none"),
        ({"note": "\ud800"}, "the note holds a letter that is none"),
        ({"curve_hash": "no hash"}, "'no hash' is no curve_hash; accepted"),
        ({"taxonomy": 0}, "a taxonomy of 0; accepted: 1 and above"),
        (
            {"labelled_at": datetime.fromisoformat("0001-01-01T00:00:00+09:00")},
            "is none in UTC",
        ),
    ],
)
def test_what_cannot_be_a_label(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(LabelError, match=found):
        replace(label(), **changes)


def test_a_hash_does_not_depend_on_names_and_kinds_of_nan() -> None:
    values = [2.0, math.nan, 1.0, -0.0]
    odd_nan = np.array(values)
    odd_nan.view(np.uint64)[1] |= 7
    runs = [
        Run("a", "a", {"loss": Curve.of("loss", values)}),
        Run("b", "b", {"train/loss": Curve.of("train/loss", odd_nan.tolist())}),
    ]
    assert len({curve_hash(run) for run in runs}) == 1
    other = Run("c", "c", {"loss": Curve.of("loss", [2.0, math.nan, 1.0, 0.1])})
    assert curve_hash(other) != curve_hash(runs[0])


# --- the store


def test_a_store_only_grows_and_the_newest_counts(store: Store) -> None:
    first, second = label("r", "lr_too_high"), label("r", "overfitting", hour=1)
    assert store.add([first]) == 1
    assert store.add([second, label("r", by="bob")]) == 2
    assert store.labels().rows == (first, second, label("r", by="bob"))
    assert [each.causes for each in store.labels().current()] == [("overfitting",), ("healthy",)]
    store.add([label("r", "noisy_labels", hour=-1)])  # an older one that comes late
    assert store.labels().current()[0] == second
    store.add([second.withdrawn(NOON + timedelta(hours=2))])
    assert [each.annotator for each in store.labels().current()] == ["bob"]
    assert len(store.labels().rows) == 5


def test_a_label_is_there_once(store: Store) -> None:
    labels = [label(f"run {number}") for number in range(2500)]
    assert store.add(labels) == 2500
    assert store.add([*labels, label("new")]) == 1
    assert store.add(labels[:1] * 3) == 0
    assert len(store.labels().rows) == 2501


@pytest.mark.parametrize("text", [*NASTY, "x" * 2000, "\U0001f469" * 200])
def test_texts_come_back_as_they_were(store: Store, text: str) -> None:
    given = label(text, by=text[:200], note=text, confidence=1 / 3, curve_hash="0" * 32)
    store.add([given])
    assert store.labels().rows == (given,)


def test_long_ids_find_room(store: Store) -> None:
    rng = np.random.default_rng(0)
    text = "".join(chr(letter) for letter in rng.integers(0x4E00, 0x9FFF, 4096))
    assert store.add([label(text), label(text)]) == 1
    assert store.labels().rows[0].run_id == text


def test_unknown_causes_add_nothing(store: Store) -> None:
    with pytest.raises(LabelError, match=r"unknown cause 'gremlins'; known: healthy, .*--causes"):
        store.add([label("a"), label("b", "gremlins")])
    assert store.labels().rows == ()
    with pytest.raises(LabelError, match="taxonomy version 99, this curvet knows"):
        store.add([label("a", taxonomy=99)])


def test_causes_of_a_team(store: Store) -> None:
    store.add_cause(SHARD, "ann")
    assert store.add([label("a", "repeated_shard", "overfitting")]) == 1
    better = replace(SHARD, title="A shard is read twice")
    store.add_cause(better, "bob")
    assert store.causes() == store.labels().causes == {"repeated_shard": better}
    with pytest.raises(LabelError, match="'overfitting' is known already"):
        store.add_cause(TeamCause("overfitting", "Ours"), "ann")


WRITER = """
import sys
from datetime import UTC, datetime
from curvet.labels import Label, open_store
store = open_store(sys.argv[1])
for number in range(int(sys.argv[3])):
    store.add([Label(f"run {number}", ("healthy",), sys.argv[2], datetime.now(UTC))])
    print(number, flush=True)
"""


def writer(address: str, name: str, n: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, address, name, str(n)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )


def test_several_processes_write_at_once(where: Where) -> None:
    address = where()  # none of them finds the tables made
    processes = [writer(address, f"writer {number}", 20) for number in range(4)]
    for process in processes:
        _, complaints = process.communicate(timeout=300)
        assert process.returncode == 0, complaints
    with closing(open_store(address)) as store:
        said = {(row.run_id, row.annotator) for row in store.labels().rows}
        assert len(store.labels().rows) == len(said) == 80


def test_what_a_killed_writer_has_reported_is_there(where: Where) -> None:
    address = where()
    process = writer(address, "killed", 1_000_000)
    assert process.stdout is not None
    assert process.stderr is not None
    reported = -1
    while reported < 50:
        reported = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    reported = max([reported, *map(int, process.stdout.read().split("\n")[:-1])])
    process.wait()
    process.stdout.close()
    process.stderr.close()
    with closing(open_store(address)) as store:
        numbers = [int(row.run_id.split()[1]) for row in store.labels().rows]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) in (reported + 1, reported + 2)
        assert store.add([label("after")]) == 1


def test_a_newer_store_is_refused(where: Where) -> None:
    from sqlalchemy import text

    address = where()
    with closing(open_store(address)) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE curvet_meta SET value = '2'"))
        connection.execute(text("DROP TABLE curvet_causes"))
    with pytest.raises(LabelError, match="labels of format 2, this curvet reads 1; install the ne"):
        open_store(address)


def test_a_store_that_may_not_be_made(where: Where, tmp_path: Path) -> None:
    missing = tmp_path / "nothing.db"
    with pytest.raises(LabelError, match=r"nothing\.db: no such file; accepted: the path"):
        open_store(missing, create=False)
    assert not missing.exists()
    address = where()
    if "://" in address:
        with pytest.raises(LabelError, match="a database without labels; accepted is one that"):
            open_store(address, create=False)
    open_store(address).close()
    open_store(address, create=False).close()


def test_files_that_are_no_store(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE experiments (id)")
        database.commit()
    before = other.read_bytes()
    with pytest.raises(LabelError, match=r"a database of something else .*experiments"):
        open_store(other)
    assert other.read_bytes() == before
    (tmp_path / "labels.csv").write_text("run_id,cause\n")
    with pytest.raises(LabelError, match=r"no SQLite file; .* use `curvet labels import`"):
        open_store(tmp_path / "labels.csv")
    with pytest.raises(LabelError, match="a folder; give the name of a file"):
        open_store(tmp_path)
    with pytest.raises(LabelError, match=r"is no \.json file; give it another ending"):
        open_store(tmp_path / "labels.json")
    damaged = tmp_path / "damaged.db"
    open_store(damaged).close()
    damaged.write_bytes(damaged.read_bytes()[:100] + b"\xff" * 8000)
    with pytest.raises(LabelError, match=r"damaged\.db: the labels cannot be read or written"):
        open_store(damaged)


def test_rows_that_somebody_else_wrote(where: Where) -> None:
    from sqlalchemy import text

    with closing(open_store(where())) as store:
        store.add([label("a"), label("b")])
        for change in ("labelled_at = 'noon'", "run_id = ''", "cause = 'healthy;healthy'"):
            with store.engine.begin() as connection:
                connection.execute(text(f"UPDATE curvet_labels SET {change} WHERE id = 2"))
            with pytest.raises(LabelError, match="holds what curvet did not write"):
                store.labels()


@pytest.mark.parametrize("package", ["sqlalchemy", "krippendorff", "cleanlab"])
def test_a_package_that_is_not_installed(package: str, tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules[{package!r}] = None
from curvet.errors import LabelError
from curvet.labels import Labels, open_store
from curvet.labels.check import check_labels
from curvet.labels.files import read_labels
from curvet.page.table import Score
labels = read_labels("labels.csv")  # needs none of them
try:
    open_store("labels.db")
    chances = {{"healthy": 0.5, "lr_too_high": 0.5}}
    scores = [Score("a", "", "", "ok", "", None, None, (), "", "", 0, "", chances)]
    check_labels(labels, scores)
except LabelError as error:
    print(error)
"""
    write(tmp_path / "labels.csv", "run_id,cause,annotator\na,healthy,ann\na,lr_too_high,bob\n")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert f"the package {package}; pip install 'curvet[label]'" in done.stdout


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("nonsense://host/labels", "an unknown kind of database; accepted: the path of an SQLite"),
        ("postgresql://me:secret@", "cannot be read|no URL of a database"),
        (
            "mysql://me:secret@host/labels",
            "mysql://me:\\*\\*\\*@host/labels: a kind of database not",
        ),
    ],
)
def test_addresses_that_are_none(address: str, found: str) -> None:
    with pytest.raises(LabelError, match=found) as caught:
        open_store(address)
    assert "secret" not in str(caught.value)


def test_passwords_are_not_told(postgres: Postgres, closed_port: int) -> None:
    wrong = postgres.url().replace("se%2Fcret", "hush")
    with pytest.raises(
        LabelError, match=r"team:\*\*\*@127.*password authentication failed"
    ) as told:
        open_store(wrong)
    assert "hush" not in str(told.value)
    asked = f"postgresql://127.0.0.1:{closed_port}/labels?user=team&password=hush"
    with pytest.raises(LabelError, match=r"password=\*\*\*: the labels cannot be") as told:
        open_store(asked)
    assert "hush" not in str(told.value)
    assert masked("labels.db") == "labels.db"


def test_a_server_that_goes_away_and_comes_back(postgres: Postgres) -> None:
    with closing(open_store(postgres.create("restarted"))) as store:
        store.add([label("before")])
        postgres.stop()
        try:
            with pytest.raises(LabelError, match=r"cannot be read or written .*Connection refused"):
                store.add([label("meanwhile")])
            with pytest.raises(LabelError, match="what was added before is not lost"):
                store.labels()
        finally:
            postgres.start()
        assert store.add([label("after")]) == 1
        assert [row.run_id for row in store.labels().rows] == ["before", "after"]


# --- the votes


def test_votes_weigh_as_much_as_their_confidence() -> None:
    rows = (
        label("a", "lr_too_high", "exploding_gradients", confidence=0.5, curve_hash="aa"),
        label("a", "overfitting", by="bob", note="late", curve_hash="bb"),
        label("a", "unknown", by="cid", note="?", curve_hash="aa"),
        label("b", "unknown"),
        label("c", "healthy"),
        label("c", by="ann", hour=1).withdrawn(NOON + timedelta(hours=2)),
        label("d", "healthy", confidence=0.0),
    )
    said = consensus(Labels(rows))
    assert list(said) == ["a", "b", "d"]
    assert said["a"].shares == pytest.approx(
        {"overfitting": 2 / 3, "lr_too_high": 1 / 6, "exploding_gradients": 1 / 6}
    )
    assert next(iter(said["a"].shares)) == "overfitting"
    assert (said["a"].annotators, said["a"].unsure) == (("ann", "bob"), ("cid",))
    assert (said["a"].curve_hashes, said["a"].notes) == (("aa", "bb"), ("late", "?"))
    assert (said["b"].shares, said["b"].unsure) == ({}, ("ann",))
    assert said["d"].shares == {"healthy": 1.0}


# --- files

KEYS = st.lists(st.sampled_from([*CAUSES, SHARD.key]), max_size=3, unique=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40)
NAMED = TEXTS.filter(lambda text: text.strip() == text != "")
LABELS = st.builds(
    Label,
    run_id=NAMED,
    causes=KEYS.map(tuple) | st.just(("unknown",)),
    annotator=NAMED,
    labelled_at=st.datetimes(datetime(1970, 1, 2), datetime(2999, 1, 1)),
    confidence=st.none() | st.floats(0, 1),
    note=TEXTS,
    curve_hash=st.sampled_from(["", "0123456789abcdef" * 2]),
)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".json", ".parquet"])
def test_what_is_written_is_read_again(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"labels{ending}"

    @settings(max_examples=60)
    @given(st.lists(LABELS, max_size=5))
    def check(rows: list[Label]) -> None:
        write_labels(Labels(tuple(rows), {SHARD.key: SHARD}), path)
        known = {} if ending == ".json" else {SHARD.key: SHARD}
        again = read_labels(path, causes=known)
        assert again.rows == tuple(rows)
        assert again.causes == {SHARD.key: SHARD}
        assert not list(tmp_path.glob(".*"))

    check()


def test_a_spreadsheet_meets_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    write_labels(Labels(tuple(label(text, by=text, note=text) for text in NASTY)), path)
    with path.open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]


def test_the_columns_are_those_of_a_label() -> None:
    assert sorted(NAMES) == sorted(
        name.replace("causes", "cause") for name in Label.__dataclass_fields__
    )
    assert len({column.meaning for column in COLUMNS}) == len(COLUMNS)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "run_id,cause\nr,lr_too_high\n",
        "\ufeffrun_id,cause\r\nr,lr_too_high\r\n",
        "run_id;cause\nr;lr_too_high\n",
        "run_id\tcause\nr\tlr_too_high\n",
        '"Run_ID" , CAUSE\nr, lr_too_high \n\n'.replace(" ,", ","),
        "cause,extra,run_id\nlr_too_high,7,r\n",
        "cause;run_id;;\nlr_too_high;r;;\n",
    ],
)
def test_small_files_and_those_of_spreadsheets(content: str, tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", content)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    notes: list[str] = []
    (row,) = read_labels(path, tell=notes.append).rows
    assert (row.run_id, row.causes, row.annotator) == ("r", ("lr_too_high",), "imported")
    assert row.labelled_at.timestamp() == 1_000_000_000
    assert any("extra" in note for note in notes) == ("extra" in content)
    assert read_labels(path, annotator="jane").rows[0].annotator == "jane"


def test_two_causes_unknown_and_withdrawn(tmp_path: Path) -> None:
    text = (
        "run_id;cause;labelled_at;annotator\n"
        'a;"lr_too_high; overfitting";2026-01-31T13:00:00+01:00;ann\n'
        "b;unknown;2026-01-31;ann\n"
        "c;;2026-01-31T12:00:00Z;ann\n"
        "d;;;\n"
    )
    notes: list[str] = []
    labels = read_labels(write(tmp_path / "l.csv", text), tell=notes.append)
    assert [row.causes for row in labels.rows] == [("lr_too_high", "overfitting"), ("unknown",), ()]
    assert labels.rows[0].labelled_at == NOON
    assert [row.run_id for row in labels.current()] == ["a", "b"]
    assert "1 rows without cause and labelled_at are no labels yet" in notes[0]


BAD_CSV = [
    ("r,gremlins,,\n", 2, r"line 2: .*unknown cause 'gremlins'; known: healthy"),
    ("r,healthy,,1.5\n", 2, r"line 2: the confidence '1.5'; accepted: a number from 0 to 1"),
    ("r,healthy,,0.5%\n", 2, r"line 2: the confidence '0.5%'; accepted"),
    ("r,healthy,31/01/2026,\n", 2, r"line 2: the labelled_at '31/01/2026'; accepted: a time as in"),
    ("r,healthy\n", 2, "line 2: 2 cells; accepted are 4, as in the first line"),
    ("r,healthy,,,surplus\n", 2, "line 2: 5 cells; accepted are 4"),
    (",healthy,,\n", 2, "line 2: .*needs a run_id and an annotator"),
    ("r,healthy;healthy,,\n", 2, "line 2: .*names a cause twice"),
    ('r,"healthy"x,,\n', 2, "line 2: no row of a table .*accepted are cells between ','"),
    (f"r,healthy,,,{'x' * 200_000}\n", 2, "line 2: no row of a table .*field larger than"),
]


@pytest.mark.parametrize(("line", "number", "found"), BAD_CSV)
def test_a_damaged_row_is_named(line: str, number: int, found: str, tmp_path: Path) -> None:
    head = "run_id,cause,labelled_at,confidence\n"
    path = write(tmp_path / "labels.csv", f"{head}{line}good,healthy,,\n")
    with pytest.raises(LabelError, match=rf"labels\.csv, {found}"):
        read_labels(path)
    bad: list[LabelError] = []
    assert [row.run_id for row in read_labels(path, on_bad=bad.append).rows] == ["good"]
    assert len(bad) == 1


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{", r"line 1: '\{' is no JSON object .*accepted is one object a line"),
        ("[1]", "a list"),
        ('{"run_id": "r"', "no JSON object"),
        ('{"run_id": "r", "cause": {"choices": []}}', "the cause {'choices': .*accepted: keys of"),
        ('{"run_id": "r", "cause": ["healthy", 3]}', "the cause"),
        ('{"run_id": ["r"], "cause": "healthy"}', r"the run_id \['r'\]; accepted: a text"),
        ('{"run_id": "r", "cause": "healthy", "confidence": true}', "the confidence True"),
        ('{"run_id": "r", "cause": "healthy", "confidence": NaN}', "the confidence nan"),
        ('{"run_id": "r", "cause": "healthy", "taxonomy": 1.5}', "the taxonomy 1.5; accepted"),
        ('{"run_id": "r", "cause": "healthy", "taxonomy": 1e999}', "the taxonomy inf"),
        ('{"run_id": "r", "cause": "healthy", "labelled_at": 5}', "the labelled_at 5; accepted"),
        ('{"run_id": "a\\u0000b", "cause": "healthy"}', "a letter that is none"),
        ('{"run_id": "\\ud800", "cause": "healthy"}', "a letter that is none"),
        ('{"run_id": "r", "cause": "healthy", "confidence": ' + "9" * 5000 + "}", "line 1: "),
        ("[" * 900_000, "no JSON object"),
        (
            f'{{"run_id": "{"x" * 1_000_000}"}}',
            r"a line of 1,000,\d\d\d letters, at most 1,000,000",
        ),
    ],
)
def test_a_damaged_line_is_named(line: str, found: str, tmp_path: Path) -> None:
    good = '{"run_id": 7, "cause": ["healthy"], "more": 1}'
    path = write(tmp_path / "labels.jsonl", f"{line}\n\n{good}\n")
    with pytest.raises(LabelError, match=found) as caught:
        read_labels(path)
    assert "labels.jsonl, line 1: " in str(caught.value)
    assert len(str(caught.value)) < 2000
    bad: list[LabelError] = []
    notes: list[str] = []
    (row,) = read_labels(path, on_bad=bad.append, tell=notes.append).rows
    assert (row.run_id, len(bad)) == ("7", 1)
    assert "keys that are not part of a label are left out: more" in notes[0]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (pickle.dumps({"run_id": "r"}), "a pickle; accepted is text in UTF-8"),
        (b"PK\3\4" + b"x" * 100, "a zip file or a spreadsheet"),
        (b"run_id,cause\na\0b,healthy\n", "NUL bytes"),
        ("run_id,cause\n".encode("utf-16"), "UTF-16 text"),
        ("run_id,cause\nr\xe9,healthy\n".encode("latin-1"), "line 2: byte 0xe9 is no UTF-8"),
        (b"", r"line 1: '' does not name|no JSON"),
        (b"[" * 5_000_000, "line 1: |no JSON"),
        (b'{"labels": 5}', "line 1: |neither a list of labels"),
        (b"\xff" * 1000, "line 1: byte 0xff is no UTF-8"),
        (np.random.default_rng(0).bytes(10_000), "NUL bytes"),
    ],
)
@pytest.mark.parametrize("ending", sorted(PARSERS))
def test_poisoned_files(content: bytes, found: str, ending: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"labels{ending}", content)
    found = f"no readable parquet file|{found}" if ending == ".parquet" else found
    if not content and ending in (".jsonl", ".ndjson"):
        assert read_labels(path).rows == ()
        return
    with pytest.raises(LabelError, match=found) as caught:
        read_labels(path)
    assert f"labels{ending}" in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with path.open("wb") as file:
        file.truncate(2**31)  # one line of NUL bytes; takes no room on the disk
    before = time.monotonic()
    with pytest.raises(LabelError, match="2,147 MB; at most 100 MB of labels are read at once"):
        read_labels(path)
    assert time.monotonic() - before < 1


def test_a_small_file_that_stands_for_a_large_table(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "labels.parquet"
    note = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(2000, np.int32)), pa.array(["x" * 100_000])
    )
    texts = {"run_id": ["r"] * 2000, "cause": ["healthy"] * 2000}
    pq.write_table(pa.table({**texts, "note": note}), path)
    assert path.stat().st_size < MAX_BYTES / 100
    with pytest.raises(LabelError, match=r"once unpacked|a note of 100000 letters"):
        read_labels(path)
    with pytest.raises(LabelError, match="more than 100 MB once unpacked"):
        read_labels(path, on_bad=lambda error: None)
    pq.write_table(pa.table({**texts, "note": [["nested"]] * 2000}), path)
    with pytest.raises(LabelError, match=r"the column note holds list.*accepted are texts"):
        read_labels(path)


def test_places_that_are_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for name, found in (
        ("nothing.csv", "no such file; accepted: .csv"),
        ("pipe.csv", "no regular file; accepted"),
        ("picture.png", "no such file"),
    ):
        with pytest.raises(LabelError, match=found):
            read_labels(tmp_path / name)
    with pytest.raises(LabelError, match=r"no labels, by its name; accepted: \.csv, "):
        read_labels(write(tmp_path / "picture.png", b"\x89PNG"))
    with pytest.raises(LabelError, match=r"the ending '\.xlsx' names no format; accepted: \.csv"):
        write_labels(Labels(()), tmp_path / "labels.xlsx")
    with pytest.raises(LabelError, match="labels of format 9, this curvet reads 1"):
        read_labels(write(tmp_path / "l.json", '{"curvet_labels": 9, "labels": []}'))


def test_causes_of_a_team_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "causes.json"
    write_causes({SHARD.key: SHARD}, path)
    assert read_causes(path) == {SHARD.key: SHARD}
    assert set(json.loads(path.read_text())[SHARD.key]) == {"title", "sign", "remedies"}
    for text, found in (
        ("[]", "no causes of a team; accepted"),
        ('{"No Key": {"title": "x"}}', "is no key of a cause"),
        ('{"key": {}}', "needs a title"),
        ('{"key": {"title": "x", "remedies": "shuffle"}}', "are one text, not a list"),
        ('{"key": {"title": "x", "remedies": 5}}', "accepted"),
        ('{"key": {"title": 5}}', "that is no text"),
        ("{" * 5000, "no JSON"),
    ):
        with pytest.raises(LabelError, match=found):
            read_causes(write(path, text))


# --- the commands


def curvet(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_import_and_export(where: Where, tmp_path: Path) -> None:
    address = where()
    causes = tmp_path / "causes.json"
    write_causes({SHARD.key: SHARD}, causes)
    sheet = write(tmp_path / "sheet.csv", "run_id,cause\na,lr_too_high\nb,repeated_shard\n")
    refused = curvet("labels", "import", sheet, "--into", address)
    assert refused.exit_code == 2
    assert "sheet.csv, line 3: " in refused.stderr
    assert "unknown cause 'repeated_shard'" in refused.stderr
    with closing(open_store(address)) as store:
        assert store.labels().rows == ()
    done = curvet("labels", "import", sheet, "--into", address, "--causes", causes,
                  "--annotator", "jane")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stderr == f"added: 2 labels of 2 runs; {masked(address)}\n"
    again = curvet("labels", "import", sheet, "--into", address, "--annotator", "jane")
    assert "added: 0 labels of 2 runs, 2 were there already" in again.stderr

    out, said = tmp_path / "out" / "labels.json", tmp_path / "out" / "causes.json"
    written = curvet("labels", "export", address, "--out", out, "--causes", said)
    assert written.exit_code == 0, written.output
    assert read_causes(said) == {SHARD.key: SHARD}
    with closing(open_store(address)) as store:
        assert read_labels(out).rows == store.labels().rows
        assert read_labels(address) == store.labels()
    other = where()
    assert curvet("labels", "import", out, "--into", other).exit_code == 0
    moved = curvet("labels", "import", address, "--into", other)
    assert "2 were there already" in moved.stderr


def test_rows_that_are_skipped_are_listed(tmp_path: Path) -> None:
    sheet = write(tmp_path / "s.csv", "run_id,cause\na,gremlins\nb,healthy\n\x1b[31mc,,\n")
    into = tmp_path / "labels.db"
    assert curvet("labels", "import", sheet, "--into", into).exit_code == 2
    done = curvet("labels", "import", sheet, "--into", into, "--skip-bad")
    assert done.exit_code == 0
    assert "s.csv, line 2: the label of 'a' by 'imported' names the unknown cause" in done.stderr
    assert "added: 1 labels of 1 runs, 2 skipped" not in done.stderr  # a surplus empty cell is fine
    assert "added: 1 labels of 1 runs, 1 skipped" in done.stderr
    assert "\x1b" not in done.stderr
    nothing = curvet("labels", "import", write(sheet, "run_id,cause\na,x\n"), "--into", into,
                     "--skip-bad")  # fmt: skip
    assert nothing.exit_code == 2
    assert "none of 1 rows is a label" in nothing.stderr


def test_export_says_what_it_cannot(tmp_path: Path) -> None:
    store = tmp_path / "labels.db"
    open_store(store).close()
    for out, found in (
        ("postgresql://me:secret@host/db", "a database; use `curvet labels import"),
        (tmp_path / "l.xlsx", "names no format"),
        (tmp_path, "offline runs are read only"),
    ):
        done = curvet("labels", "export", store, "--out", out)
        assert done.exit_code == 2
        assert found in done.stderr
        assert "secret" not in done.stderr
    assert curvet("labels", "export", tmp_path / "no.db", "--out", "x.csv").exit_code == 2
