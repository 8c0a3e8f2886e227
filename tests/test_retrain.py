"""Labels -> a bundle of a team's own: what is learned, what is refused, and what is in use then."""

from __future__ import annotations

import csv
import json
import lzma
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import curvet.causes
from curvet.bundle import Bundle, default_path, load_bundle
from curvet.causes import TeamCause
from curvet.cli import main
from curvet.errors import BundleError, LabelError, ReadError
from curvet.home import HISTORY, champion, history, install, next_version, versions
from curvet.labels.consensus import consensus
from curvet.labels.label import Label, Labels, curve_hash
from curvet.predictor import Predictor
from curvet.readers import read
from curvet.retrain import publish as publishing
from curvet.retrain.gate import Tolerance, chance_of_luck, judge
from curvet.retrain.groups import LEAST as LEAST_GROUPS
from curvet.retrain.groups import folds_of, group_runs
from curvet.retrain.job import FEW, LEAST, Lesson, labels_digest, learn, lesson_to_text
from curvet.retrain.publish import HELD_OUT, Outcome, publish
from curvet.retrain.runs import (
    ACCURACY,
    BROKEN,
    CHANGED,
    GONE,
    MOVED,
    SHORT,
    SILENT,
    TeamRuns,
    read_team_runs,
)

DATA = Path(__file__).parents[1] / "data"
TEAM = DATA / "team"
OWN = TeamCause("repeated_shard", "Repeated shard", "the loss falls", ("Print the shards.",))
AT = datetime(2026, 1, 31, tzinfo=UTC)
TOLERANT = Tolerance(log_loss=10.0, top1=1.0)


def truth() -> dict[str, str]:
    with (TEAM / "truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["run_id"]: row["cause"] for row in csv.DictReader(file)}


TRUTH = truth()
SPREAD = dict(list(TRUTH.items())[::6])
"""100 runs of all sweeps."""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Leave no words of a team to the other tests."""
    yield
    curvet.causes._TEAM.clear()


@pytest.fixture(scope="session")
def base() -> Bundle:
    return load_bundle(default_path())


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a field trial of few runs, where the trial itself is not the subject."""
    folder = tmp_path_factory.mktemp("field")
    with lzma.open(DATA / "real" / "runs.jsonl.xz", "rt", encoding="utf-8") as lines:
        some = [line for number, line in enumerate(lines) if number % 12 == 0]
    with lzma.open(folder / "runs.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(some)
    return folder


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 60 of the team's runs, none of a cause of its own."""
    folder = tmp_path_factory.mktemp("archive") / "runs"
    with zipfile.ZipFile(TEAM / "runs.zip") as packed:
        for name in SMALL:
            packed.extract(name, folder)
    return folder


SMALL = {
    run_id.removeprefix("runs.zip/"): cause
    for run_id, cause in list(TRUTH.items())[::4]
    if cause != OWN.key
}
SMALL = dict(list(SMALL.items())[:60])
FEWEST = dict(list(SMALL.items())[:24])


def labels_of(causes: Mapping[str, str], own: bool = False, annotator: str = "ann") -> Labels:
    rows = tuple(Label(run_id, (cause,), annotator, AT) for run_id, cause in causes.items())
    return Labels(rows, {OWN.key: OWN} if own else {}, "labels")


Row = tuple[str, str] | tuple[str, str, str, str]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write labels by one annotator at one time where none is given."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run_id", "cause", "annotator", "labelled_at"])
        writer.writerows((*row, "ann", AT.isoformat())[:4] for row in rows)
    return path


def words(folder: Path) -> Path:
    path = folder / "causes.json"
    plain = {"title": OWN.title, "sign": OWN.sign, "remedies": list(OWN.remedies)}
    path.write_text(json.dumps({OWN.key: plain}))
    return path


def call(labels: Path, runs: Path | str, home: Path, *more: object) -> Result:
    """Retrain on the command line."""
    options = ["--labels", labels, "--runs", runs, "--out", home, "--workers", 1, *more]
    return CliRunner().invoke(main, ["retrain", *map(str, options)])


def refused(result: Result, home: Path) -> str:
    """Return the one line with which a command refuses; it has left nothing behind."""
    assert result.exit_code == 2, result.output
    told = [line for line in result.stderr.splitlines() if not line[0].isdigit()]
    assert len(told) == 1, result.stderr
    assert told[0].startswith("error: ")
    assert "Traceback" not in result.output
    assert not home.exists() or not [path for path in home.iterdir() if path.is_dir()]
    return told[0]


# Groups


def test_runs_of_one_folder_or_one_name_stay_together() -> None:
    ids = ["a/lr-seed1.csv", "a/wd-seed1.csv", "b/lr-seed2.csv", "lr-seed3.csv"]
    none = [""] * 4
    assert group_runs(ids, none, "folder")[0].tolist() == [0, 0, 1, 2]
    assert group_runs(ids, none, "run")[0].tolist() == [0, 1, 2, 3]
    names = ["resnet-seed1", "resnet-seed2", "resnet_s3", "vgg-seed1", "vgg16"]
    assert group_runs(names, [""] * 5, "name")[0].tolist() == [0, 0, 1, 2, 3]
    assert group_runs(ids, none, r"(lr|wd)-")[0].tolist() == [0, 1, 0, 0]
    assert group_runs(ids, none, r"^\w+")[0].tolist() == [0, 0, 1, 2]
    assert group_runs([], [], "auto")[0].tolist() == []


def test_auto_takes_the_first_rule_that_gives_groups_enough() -> None:
    many = [f"sweep{i // 3}/run{i}" for i in range(3 * LEAST_GROUPS)]
    assert group_runs(many, [""] * len(many)) == (pytest.approx(np.arange(15) // 3), "folder")
    one = [f"sweep/{'abcdefgh'[i // 2]}-seed{i}" for i in range(16)]
    groups, rule = group_runs(one, [""] * 16)
    assert (groups.tolist(), rule) == ([i // 2 for i in range(16)], "name")
    alike = [f"sweep/run{i}" for i in range(8)]
    assert group_runs(alike, [""] * 8)[1] == "run"


@pytest.mark.parametrize("rule", ["folder", "name", "run", "auto", "[a-z]+"])
def test_copies_of_a_log_are_of_one_group(rule: str) -> None:
    ids = [f"{name}/{name}{i}" for name in "abcdefg" for i in range(2)]
    hashes = [""] * 14
    hashes[0] = hashes[5] = "1"
    hashes[4] = hashes[9] = "2"
    groups = group_runs(ids, hashes, rule)[0]
    assert groups[0] == groups[5]
    assert groups[4] == groups[9]
    if rule not in ("run", "name"):  # by way of folder c
        assert groups[0] == groups[9]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("(", r"--group \(: no regular expression .* accepted: auto, folder, name, run, or"),
        ("x+", r"--group x\+: finds nothing in the run 'a/1'; give an expression that finds"),
    ],
)
def test_an_expression_of_no_use_is_told(rule: str, told: str) -> None:
    with pytest.raises(LabelError, match=told):
        group_runs(["a/1"], [""], rule)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 7), st.integers(0, 3))
def test_folds_are_balanced_and_of_whole_groups(groups: list[int], n_folds: int, seed: int) -> None:
    folds = folds_of(np.array(groups), n_folds, seed)
    for group in set(groups):
        assert len(set(folds[np.array(groups) == group].tolist())) == 1
    filled = Counter(folds.tolist())
    assert set(filled) == set(range(min(n_folds, len(set(groups)))))
    assert max(filled.values()) - min(filled.values()) <= max(Counter(groups).values())
    assert (folds == folds_of(np.array(groups), n_folds, seed)).all()


# Reading


def read_small(
    archive: Path, labels: Labels | None = None, progress: Any = lambda done, total: None
) -> TeamRuns:
    votes = consensus(labels or labels_of(FEWEST))
    return read_team_runs(votes, [archive], load_bundle().causes, progress)


@pytest.fixture
def small(archive: Path, tmp_path: Path) -> Path:
    """Return a copy of 24 runs that may be spoilt."""
    for name in FEWEST:
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive / name, tmp_path / "runs" / name)
    return tmp_path / "runs"


def test_labelled_runs_are_read_each_as_if_alone(archive: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    runs = read_small(archive, progress=lambda done, total: seen.append((done, total)))
    assert runs.run_ids == tuple(sorted(FEWEST))
    assert seen == [(n, 24) for n in range(1, 25)]
    assert runs.notes == {}
    causes = list(runs.causes)
    assert [causes[k] for k in runs.shares.argmax(1)] == [FEWEST[i] for i in runs.run_ids]
    np.testing.assert_allclose(runs.shares.sum(1), 1)
    one = read_small(archive, labels_of(dict([list(FEWEST.items())[3]])))
    row = runs.run_ids.index(one.run_ids[0])
    np.testing.assert_array_equal(one.inputs.table[0], runs.inputs.table[row])
    assert one.hashes[0] == runs.hashes[row]


def test_what_cannot_be_used_is_noted(small: Path) -> None:
    ids = list(FEWEST)
    (small / ids[0]).unlink()
    (small / ids[1]).write_text("")
    (small / ids[2]).write_text("step,lr\n" + "".join(f"{i},0.1\n" for i in range(30)))
    (small / ids[3]).write_text("step,loss\n1,2\n2,1\n")
    (small / ids[4]).write_text("step,loss\n" + "".join(f"{i},nan\n" for i in range(30)))
    rising = "".join(f"{i},{1 - 0.9 * np.exp(-i / 12):.5f}\n" for i in range(60))
    (small / ids[5]).write_text("step,loss\n" + rising)
    (small / ids[6]).write_bytes(bytes(range(256)) * 40)
    labels = labels_of(FEWEST)
    rows = [replace(row, curve_hash="00ff") if row.run_id == ids[7] else row for row in labels.rows]
    rows[8] = replace(rows[8], causes=("unknown",))
    runs = read_small(small, Labels(tuple(rows)))
    assert {reason: tuple(sorted(of)) for reason, of in runs.notes.items()} == {
        GONE: (ids[0],),
        BROKEN: (ids[1], ids[2], ids[6]),
        SHORT: (ids[3], ids[4]),
        ACCURACY: (ids[5],),
        CHANGED: (ids[7],),
        SILENT: (ids[8],),
    }
    assert set(runs.run_ids) == {ids[7], *ids[9:]}


def hashed(archive: Path, causes: Mapping[str, str]) -> Labels:
    """Label runs with the hashes of their curves, as the labelling page does."""
    hashes = {run.id: curve_hash(run) for run in read(archive)}
    rows = labels_of(causes).rows
    return Labels(tuple(replace(row, curve_hash=hashes[row.run_id]) for row in rows))


def test_runs_are_found_by_their_curves_when_the_archive_was_renamed(
    archive: Path, tmp_path: Path
) -> None:
    ids = list(FEWEST)
    labels = hashed(archive, FEWEST)
    with zipfile.ZipFile(tmp_path / "moved.zip", "w") as packed:
        for name in ids[1:]:
            packed.write(archive / name, f"elsewhere/{name}")
    runs = read_small(tmp_path, labels)
    assert runs.run_ids == tuple(sorted(ids[1:]))
    assert sorted(runs.notes[MOVED]) == sorted(ids[1:])
    assert runs.notes[GONE] == (ids[0],)
    assert runs.hashes == tuple(
        row.curve_hash for row in sorted(labels.rows, key=lambda row: row.run_id)[1:]
    ) or set(runs.hashes) == {row.curve_hash for row in labels.rows if row.run_id != ids[0]}
    # Without hashes nobody can tell which is which.
    with pytest.raises(LabelError, match=r"none of the 24 .* \(24 not in the archive; for example"):
        read_small(tmp_path)


def test_copies_that_moved_are_found_as_often_as_they_are_there(small: Path) -> None:
    first, second = list(FEWEST)[:2]
    shutil.copy(small / first, small / second)
    labels = hashed(small, FEWEST)
    (small / first).rename(small / "once.csv")
    (small / second).rename(small / "twice.csv")
    runs = read_small(small, labels)
    assert len(runs) == 24
    assert set(runs.notes[MOVED]) == {first, second}
    (small / "twice.csv").unlink()
    runs = read_small(small, labels)
    assert (len(runs), len(runs.notes[MOVED]), len(runs.notes[GONE])) == (23, 1, 1)


def test_a_moved_run_is_found_whatever_its_new_name_begins_with(small: Path) -> None:
    first, second = list(FEWEST)[:2]
    labels = hashed(small, FEWEST)
    (small / first).rename(small / second.removesuffix(".csv"))  # a labelled id begins with it
    assert read_small(small, labels).notes == {MOVED: (first,)}


def test_an_archive_that_is_not_there() -> None:
    with pytest.raises(ReadError, match="nowhere: no such file or folder; check the path"):
        read_small(Path("nowhere"))


def test_notes_are_told_on_the_command_line(small: Path, field: Path, tmp_path: Path) -> None:
    ids = list(FEWEST)
    (small / ids[0]).unlink()
    (small / ids[1]).write_text("step,loss\n1,2\n2,1\n")
    rows: list[Row] = [*FEWEST.items(), ("gone\x1b[31m.csv", "healthy")]
    home = tmp_path / "team"
    told = call(write(tmp_path / "l.csv", rows), small, home, "--field", field)
    assert told.exit_code in (0, 1), told.output
    assert f"22 labelled runs: only the calibration is adapted; with {FEW} or more" in told.stderr
    assert f"2 not in the archive: {ids[0]}, gone.csv\n" in told.stderr
    assert f"1 with too few points: {ids[1]}\n" in told.stderr
    made = json.loads((home / "0001" / "manifest.json").read_text())["team"]
    assert made["labels"]["not_used"] == {GONE: 2, SHORT: 1}
    assert made["learned"] == "recalibration"


# What people hand in by mistake


def small_rows(**changed: str) -> list[Row]:
    rows: list[Row] = [*FEWEST.items()]
    return [(next(iter(FEWEST)), changed["first"]), *rows[1:]] if changed else rows


ONE_CAUSE = [(f"run{number}.csv", "healthy") for number in range(10_000 - 24)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (small_rows(first="bad_luck"), "names the unknown cause 'bad_luck'; known: healthy, "),
        (small_rows(first=OWN.key), r"unknown cause 'repeated_shard'; .* in a file for --causes"),
        (small_rows()[:19], "19 labelled runs can be used, at least 20 are needed; label more "),
        ([(i, "unknown") for i in FEWEST], "0 labelled runs can be used, at least 20"),
        ([], "0 labelled runs can be used, at least 20 are needed"),
        ([(i, "healthy") for i in FEWEST], "100 % of the votes are for 'healthy', which cannot "),
        ([*((i, "healthy") for i in FEWEST), *ONE_CAUSE], "100 % of the votes are for 'healthy'"),
        ([*small_rows(), *ONE_CAUSE], "100 % of the votes are for 'healthy', which cannot teach"),
        (
            [*((i, "healthy") for i in list(SMALL)[2:]), *((i, "overfitting") for i in FEWEST)][:60]
            + [(i, "healthy") for i in list(SMALL)[2:]],
            "97 % of the votes are for 'healthy'",
        ),
        (
            [*small_rows()[:12], *((f"gone{n}.csv", "overfitting") for n in range(12))],
            r"12 labelled runs can be used, at least 20 are needed \(of the others: 12 not in the ",
        ),
    ],
    ids=[
        "unknown cause", "team cause without words", "19", "unsure", "none", "one cause",
        "10000 of one cause", "10000 nearly of one cause", "97 %", "gone",
    ],
)  # fmt: skip
def test_labels_that_teach_nothing(
    rows: list[Row], told: str, archive: Path, field: Path, tmp_path: Path
) -> None:
    labels, home = write(tmp_path / "l.csv", rows), tmp_path / "team"
    line = refused(call(labels, archive, home, "--field", field), home)
    assert str(labels) in line
    assert re.search(told, line), line


def test_labels_of_one_cause_among_those_that_are_there(archive: Path, tmp_path: Path) -> None:
    """Enough of other causes are labelled, but not of this archive."""
    rows = [
        *((run_id, "healthy") for run_id in FEWEST),
        *((f"gone{n}.csv", "overfitting") for n in range(10_000)),
    ]
    with pytest.raises(LabelError, match="100 % of the votes are for 'overfitting'"):
        learn(load_bundle(), labels_of(dict(rows)), [archive])
    few = dict(
        [*((i, "healthy") for i in FEWEST), *((f"{n}.csv", "overfitting") for n in range(9))]
    )
    with pytest.raises(LabelError, match="100 % of the votes are for 'healthy'"):
        learn(load_bundle(), labels_of(few), [archive])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("l.csv", bytes(range(256)) * 20, "a file with NUL bytes"),
        ("l.csv", pickle.dumps({"run_id": 1}), "a pickle; accepted is text in UTF-8"),
        ("l.pkl", pickle.dumps({"run_id": 1}), "no labels, by its name; accepted: .csv"),
        ("l.csv", b"run_id,cause\na," + b"x" * 2_000_000 + b"\n", "l.csv, line 2: no row of a t"),
        ("l.jsonl", b'{"run_id": "' + b"x" * 2_000_000 + b'"}', "a line of 2,000,014 letters"),
        ("l.json", b"[" * 100_000, "no JSON"),
        ("l.parquet", b"PAR1" + b"\0" * 99, "no readable parquet file"),
        ("l.csv", b"run_id,cause,taxonomy\na,healthy,99\n", "taxonomy version 99, this curvet k"),
        ("l.csv", b"name,verdict\na,healthy\n", "does not name the columns run_id and cause"),
        ("l.csv", b"a," * 600_000, "line 1: 1,200,000 letters; accepted is a line that names"),
    ],
)
def test_poisoned_label_files(
    name: str, content: bytes, told: str, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    home = tmp_path / "team"
    assert told in refused(call(tmp_path / name, archive, home), home)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--leave-out", "healthy"], "--leave-out healthy: every answer needs a healthy run to"),
        (["--leave-out", "unknown"], "--leave-out unknown: no cause of default-"),
        (["--leave-out", "lr_too_high"], "--leave-out lr_too_high: 2 labels name it; change "),
        (["--group", "("], "--group (: no regular expression"),
        (["--group", "zzz"], "--group zzz: finds nothing in the run"),
        (["--group", "csv"], "all 24 labelled runs are of one group by the rule 'csv', so that"),
        (["--field", "nowhere"], "nowhere: no labelled runs; expected runs.jsonl.xz or index.csv"),
        (["--runs", "nowhere"], "nowhere: no such file or folder; check the path"),
        (["--out", "gone"], "gone: the version in use, 0001, is gone; bring it back from a copy"),
        (["--causes", "nowhere"], "nowhere: no such file; accepted is a JSON file of causes"),
    ],
)
def test_options_of_no_use(options: list[str], told: str, archive: Path, tmp_path: Path) -> None:
    labels, home = write(tmp_path / "l.csv", small_rows()), tmp_path / "team"
    if options[1] == "gone":
        options = ["--out", str(tmp_path / "gone")]
        (next_version(tmp_path / "gone") / "manifest.json").write_text("{}")
        install(tmp_path / "gone", "0001")
        shutil.rmtree(tmp_path / "gone" / "0001")
    assert told in refused(call(labels, archive, home, *options), home)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--tolerance", "nan", "nan is no number"),
        ("--tolerance", "-1", "not in the range"),
        ("--seed", "-1", "not in the range"),
        ("--workers", "0", "not in the range"),
    ],
)
def test_numbers_of_no_use(option: str, value: str, told: str, tmp_path: Path) -> None:
    found = call(tmp_path / "l.csv", tmp_path, tmp_path / "team", option, value)
    assert found.exit_code == 2
    assert told in found.stderr


def test_homes_of_no_use_are_told_before_the_work(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curvet.labels.files.read_labels", lambda *words, **more: 1 / 0)
    labels = write(tmp_path / "l.csv", small_rows())
    told = call(labels, archive, default_path())
    assert told.exit_code == 2
    assert "a bundle, not a home of bundles; name another folder" in told.stderr
    (tmp_path / "file").write_text("")
    line = refused(call(labels, archive, tmp_path / "file" / "team"), tmp_path / "file" / "team")
    assert "file/team: cannot be written to" in line
    home = tmp_path / "team"
    home.mkdir()
    (home / HISTORY).write_text('{"at": 3}\n')
    assert "line 1: no event" in refused(call(labels, archive, home), home)
    assert (home / HISTORY).read_text() == '{"at": 3}\n'
    (home / HISTORY).unlink()
    (next_version(home) / "manifest.json").write_text("{}")
    install(home, "0001")
    assert "0001: manifest.json is damaged" in call(labels, archive, home).stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; see the test below")
def test_a_folder_that_may_not_be_written_to(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    home = tmp_path / "locked" / "team"
    line = refused(call(write(tmp_path / "l.csv", small_rows()), archive, home), home)
    assert "team: cannot be written to (Permission denied); what is in use stays so" in line


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that nobody may write to")
def test_a_home_where_nothing_can_be_made(archive: Path, field: Path, tmp_path: Path) -> None:
    home = Path("/proc/curvet-team")
    labels = write(tmp_path / "l.csv", small_rows())
    line = refused(call(labels, archive, home, "--field", field), home)
    assert "/proc/curvet-team: cannot be written to" in line


def test_a_rare_cause_of_the_team_is_told_and_the_rest_works(
    archive: Path, field: Path, tmp_path: Path
) -> None:
    rows = small_rows(first=OWN.key)
    home, labels = tmp_path / "team", write(tmp_path / "l.csv", rows)
    told = call(labels, archive, home, "--causes", words(tmp_path), "--field", field)
    assert told.exit_code in (0, 1), told.output
    assert "too few runs to learn the cause repeated_shard: 1 of at least 2" in told.stderr
    assert f"1 without a vote for a cause: {next(iter(FEWEST))}" in told.stderr
    made = load_bundle(home / "0001")
    assert made.causes == load_bundle().causes
    assert made.manifest["team"]["not_learned"] == {OWN.key: 1}


def test_a_cause_is_rare_if_its_runs_are_not_in_the_archive(archive: Path, base: Bundle) -> None:
    rows = {**FEWEST, **{f"gone{n}.csv": OWN.key for n in range(8)}, next(iter(FEWEST)): OWN.key}
    lesson = learn(base, labels_of(rows, own=True), [archive])
    assert lesson.causes == base.causes
    assert lesson.team_causes == {}
    assert len(lesson.runs) == 23
    assert lesson.runs.notes[SILENT] == (next(iter(FEWEST)),)
    assert "repeated_shard: 9 of at least" not in lesson_to_text(lesson)
    assert "too few runs to learn the cause repeated_shard: 1 of" in lesson_to_text(lesson)


def test_the_latest_label_of_one_annotator_counts(archive: Path, base: Bundle) -> None:
    ids = list(FEWEST)
    rows = list(labels_of(FEWEST).rows)
    early = [replace(rows[0], causes=("lr_too_low",), labelled_at=AT.replace(day=1))]
    same = [replace(rows[1], causes=("lr_too_low",))]
    late = [replace(rows[2], causes=("noisy_labels",), labelled_at=AT.replace(year=2027))]
    lesson = learn(base, Labels((*same, *rows, *early, *late)), [archive])
    expected = {**FEWEST, ids[2]: "noisy_labels"}
    said = [lesson.causes[k] for k in lesson.runs.shares.argmax(1)]
    assert dict(zip(lesson.runs.run_ids, said, strict=True)) == expected
    assert (lesson.runs.shares.max(1) == 1).all()


def test_annotators_who_disagree_share_the_vote(archive: Path, base: Bundle) -> None:
    rows = labels_of(FEWEST).rows
    other = replace(rows[0], causes=("noisy_labels",), annotator="bob")
    lesson = learn(base, Labels((*rows, other)), [archive])
    shares = lesson.runs.shares[lesson.runs.run_ids.index(rows[0].run_id)]
    assert sorted(shares[shares > 0].tolist()) == [0.5, 0.5]
    assert lesson.made["labels"]["annotators"] == 2


def test_all_runs_in_one_sweep(small: Path, base: Bundle, tmp_path: Path) -> None:
    one = tmp_path / "one" / "sweep"
    one.mkdir(parents=True)
    causes = {}
    for number, (name, cause) in enumerate(FEWEST.items()):
        shutil.copy(small / name, one / f"run-{number:02d}.csv")
        causes[f"sweep/run-{number:02d}.csv"] = cause
    with pytest.raises(LabelError, match="all 24 labelled runs are of one group by the rule 'fol"):
        learn(base, labels_of(causes), [tmp_path / "one"], group="folder")
    assert learn(base, labels_of(causes), [tmp_path / "one"]).made["labels"]["group_rule"] == "run"


def test_causes_that_are_not_used_are_left_out(archive: Path, base: Bundle) -> None:
    gone = [key for key in base.causes if key not in {"healthy", *FEWEST.values()}]
    lesson = learn(base, labels_of(FEWEST), [archive], leave_out=gone)
    assert set(lesson.causes) == {"healthy", *FEWEST.values()}
    assert lesson.made["left_out"] == sorted(gone)
    np.testing.assert_allclose(lesson.held_out.sum(1), 1)


def test_a_digest_of_labels_that_differ_in_what_may_be_missing() -> None:
    rows = labels_of(FEWEST).rows
    sure = replace(rows[0], confidence=0.5)
    assert len({labels_digest(Labels(each)) for each in (rows, (sure, *rows[1:]), rows[1:])}) == 3
    assert labels_digest(Labels(rows)) == labels_digest(Labels(rows[::-1]))
    # Two annotators, and a run that comes twice but for what is None beside a number.
    twins = (rows[0], replace(rows[0], annotator="ann "), replace(sure, annotator="bob"))
    assert labels_digest(Labels(twins)) == labels_digest(Labels(twins[::-1]))


# The gate


@pytest.fixture(scope="module")
def lesson(base: Bundle) -> Lesson:
    """Return what 100 labels of all sweeps teach."""
    return learn(base, labels_of(SPREAD, own=True), [TEAM])


def put(lesson: Lesson, home: Path, field: Path, **more: Any) -> Outcome:
    return publish(lesson, home, field=field, tolerance=more.pop("tolerance", TOLERANT), **more)


@pytest.fixture(scope="module")
def installed(lesson: Lesson, base: Bundle, field: Path, tmp_path_factory: Any) -> Path:
    """Return a home with one champion."""
    home = Path(tmp_path_factory.mktemp("installed")) / "team"
    assert put(lesson, home, field).installed
    curvet.causes._TEAM.clear()
    return home


@pytest.fixture
def home(installed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(installed, tmp_path / "team")


def test_a_hundred_labels_make_a_better_bundle(tmp_path: Path) -> None:
    """By the command, on the whole field trial."""
    labels, home = write(tmp_path / "l.csv", list(SPREAD.items())), tmp_path / "team"
    told = call(labels, TEAM, home, "--causes", words(tmp_path))
    assert told.exit_code == 0, told.output
    assert "100 labelled runs: the calibration is adapted, and what the nets see" in told.stderr
    assert f"installed: {home / '0001'}, in use wherever --bundle {home} is given" in told.stderr
    (event,) = history(home)
    assert (event.action, event.version, event.before) == ("install", "0001", "shipped")
    assert "on the team's held-out runs the log-loss changes by -" in event.reason
    comparison = json.loads((home / "0001" / "comparison.json").read_text())
    gate = comparison["gate"]
    assert (gate["passed"], gate["forced"]) == (True, False)
    assert gate["luck"] < 0.01
    assert comparison["held_out"]["difference"]["log_loss"]["value"] < -0.3
    assert comparison["field"]["all sources"]["runs"] > 900
    assert comparison["provenance"]["labels"]["causes"]["healthy"] == 28
    assert "<html" in (home / "0001" / "comparison.html").read_text()
    bundle = load_bundle(home)
    assert OWN.key in bundle.causes
    assert bundle.name.startswith("team-0001-")


def test_shuffled_labels_are_refused_and_force_says_what_it_costs(
    base: Bundle, field: Path, tmp_path: Path
) -> None:
    mixed = np.random.default_rng(0).permutation(list(SPREAD.values())).tolist()
    shuffled = dict(zip(SPREAD, mixed, strict=True))
    labels, home = write(tmp_path / "l.csv", list(shuffled.items())), tmp_path / "team"
    options = ["--causes", words(tmp_path), "--field", field, "--tolerance", 10]
    told = call(labels, TEAM, home, *options)
    assert told.exit_code == 1, told.output
    assert f"refused: {home / '0001'} is kept, but what was in use stays so" in told.stderr
    assert champion(home) is None
    (event,) = history(home)
    assert event.action == "refuse"
    assert event.reason.startswith("shuffled labels would fit the answers for held-out runs as")
    forced = call(labels, TEAM, home, *options, "--force")
    assert forced.exit_code == 0
    assert "the labels say nothing about the curves" in forced.stderr
    assert f"installed by --force: {home / '0002'}; it costs what is said above" in forced.stderr
    assert champion(home) == home / "0002"
    assert json.loads((home / "0002" / "comparison.json").read_text())["gate"]["forced"]


def test_luck_is_a_share_of_shuffles() -> None:
    shares = np.eye(3)[np.arange(60) % 3]
    assert chance_of_luck(0.9 * shares + 0.1 / 3, shares, 0) == pytest.approx(1 / 401)
    assert chance_of_luck(np.full((60, 3), 1 / 3), shares, 0) == 1


def figures(value: float, below: float = 1.0, top1: float = 0.0) -> dict[str, Any]:
    of = {"value": value, "low": value, "high": value, "below": below}
    return {"difference": {"log_loss": of, "top1": {**of, "value": top1}}}


@pytest.mark.parametrize(
    ("held_out", "trial", "luck", "passed", "told"),
    [
        (figures(-0.1), figures(0.1), 0.0, True, "by -0.100 nats"),
        (figures(-0.1), figures(0.101), 0.0, False, "beyond the tolerance of +0.1 and -0.03"),
        (figures(-0.1), figures(0.0, top1=-0.031), 0.0, False, "beyond the tolerance"),
        (figures(-0.1), figures(-0.5, top1=-0.03), 0.0, True, "by -0.100 nats"),
        (figures(-0.1, below=0.89), None, 0.0, False, "which is not surely better"),
        (figures(0.0), None, 0.0, False, "which is not surely better"),
        (figures(-0.1), None, 0.06, False, "shuffled labels would fit"),
        (figures(-0.1), None, 0.05, True, "by -0.100 nats"),
    ],
)
def test_what_the_gate_lets_pass(
    held_out: Any, trial: Any, luck: float, passed: bool, told: str
) -> None:
    both = None if trial is None else {"all sources": trial}
    found = judge(held_out, both, luck, Tolerance())
    assert found["passed"] is passed
    assert told in found["reasons"][0]
    if trial is None:
        assert "there is no field trial to compare on" in found["reasons"][-1]


def test_the_tolerance_decides(lesson: Lesson, base: Bundle, field: Path, tmp_path: Path) -> None:
    first = put(lesson, tmp_path / "team", field)
    rise = first.comparison["field"]["all sources"]["difference"]["log_loss"]["value"]
    for change, passed in ((-1e-6, False), (1e-6, True)):
        tolerance = Tolerance(log_loss=rise + change, top1=1.0)
        outcome = put(lesson, tmp_path / f"{passed}", field, tolerance=tolerance)
        assert outcome.installed is passed


def test_a_champion_is_asked_only_what_it_has_not_learned(
    home: Path, base: Bundle, field: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {**SPREAD, **dict(list(TRUTH.items())[3::12])}
    caught: list[Any] = []
    real = publishing.compare_answers

    def catch(old: Any, new: Any, *rest: Any) -> Any:
        caught.append((old, new))
        return real(old, new, *rest)

    monkeypatch.setattr(publishing, "compare_answers", catch)
    second = learn(base, labels_of(more, own=True), [TEAM])
    outcome = put(second, home, field)
    old, new = caught[0]
    before = Predictor(load_bundle(home / "0001"))
    with np.load(home / "0001" / HELD_OUT) as kept:
        answers = dict(zip(kept["hashes"].tolist(), kept["probabilities"], strict=True))
        novelty = dict(zip(kept["hashes"].tolist(), kept["novelty"], strict=True))
    in_sample = before.probabilities(second.runs.inputs)
    learned = np.array([digest in answers for digest in second.runs.hashes])
    assert learned.sum() == 100
    assert len(learned) > 140
    expected = [answers[digest] for digest in second.runs.hashes if digest in answers]
    np.testing.assert_array_equal(old.probabilities[learned], np.array(expected))
    np.testing.assert_array_equal(old.probabilities[~learned], in_sample[~learned])
    assert (np.abs(old.probabilities - in_sample)[learned].max(1) > 1e-6).mean() > 0.95
    np.testing.assert_array_equal(new.probabilities, second.held_out)
    # Verdicts follow from the same answers, and from a novelty that knows other sweeps alone.
    likely = before.bundle.calibration.likely(old.probabilities, 0.9)
    np.testing.assert_array_equal(old.likely, likely)
    known = before.bundle.novelty.rank(second.runs.inputs.table)
    far = np.array([novelty.get(d, k) for d, k in zip(second.runs.hashes, known, strict=True)])
    assert (far[learned] > known[learned]).mean() > 0.9
    long = likely.sum(1) > len(before.bundle.causes) / 3
    np.testing.assert_array_equal(old.answered, ~((far > 0.99) | long))
    assert outcome.comparison["old"] == before.bundle.name
    assert outcome.comparison["held_out"]["old"]["figures"]["log_loss"]["value"] < 1.6


def test_held_out_answers_come_from_other_groups(lesson: Lesson) -> None:
    for group in np.unique(lesson.groups)[:5]:
        rows = lesson.groups == group
        sweeps = {lesson.runs.run_ids[row].rsplit("/", 1)[0] for row in np.flatnonzero(rows)}
        assert len(sweeps) == 1
    assert lesson.made["labels"]["group_rule"] == "folder"


def test_rollback_after_a_retrain(home: Path, lesson: Lesson, base: Bundle, field: Path) -> None:
    put(lesson, home, field, force=True)
    assert champion(home) == home / "0002"
    back = CliRunner().invoke(main, ["bundles", "rollback", str(home)])
    assert back.exit_code == 0, back.output
    assert champion(home) == home / "0001"
    CliRunner().invoke(main, ["bundles", "rollback", str(home)])
    assert champion(home) is None
    assert load_bundle(home).name == base.name


@pytest.mark.parametrize("name", ["adaptation.npz", "novelty.npz", HELD_OUT, "mlp.safetensors"])
def test_a_bundle_edited_by_hand_is_refused(name: str, home: Path) -> None:
    path = home / "0001" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}: missing or changed since the bundle was"):
        load_bundle(home)


def test_nothing_is_left_of_a_version_that_nobody_judged(
    home: Path, lesson: Lesson, base: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "runs.jsonl.xz").write_bytes(b"no archive at all")
    with pytest.raises(Exception, match=r"format|supported|corrupt"):
        put(lesson, home, tmp_path / "bad")
    assert [version.name for version in versions(home)] == ["0001"]


def test_who_was_quicker_is_compared_with(
    home: Path, lesson: Lesson, base: Bundle, field: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version comes into use while this one is being compared."""
    real, goes = publishing.on_trial, []

    def slow(*words_: Any) -> Any:
        if not goes:
            other = next_version(home)
            shutil.copytree(home / "0001", other, dirs_exist_ok=True)
            install(home, other, "quicker")
        goes.append(words_[0].bundle.name[:9])
        return real(*words_)

    monkeypatch.setattr(publishing, "on_trial", slow)
    outcome = put(lesson, home, field, force=True)
    assert goes == ["team-0001", "team-0003"]
    assert [(event.version, event.before) for event in history(home)][1:] == [
        ("0003", "0001"),
        ("0002", "0003"),
    ]
    assert outcome.comparison["old"].startswith("team-0003")
    assert json.loads((home / "0002" / "comparison.json").read_text())["old"].startswith("team-000")


# The same again


def files_of(version: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(version.iterdir())}


def test_same_inputs_same_bytes(archive: Path, field: Path, tmp_path: Path) -> None:
    made = []
    rows: list[Row] = [*SMALL.items()]
    disagreed: list[Row] = [
        (run_id, cause, who, AT.isoformat())
        for run_id, _ in list(SMALL.items())[::3]
        for who, cause in (("bob", "noisy_labels"), ("cid", "healthy"), ("dan", "overfitting"))
    ]
    rows += disagreed
    mixed = [rows[place] for place in np.random.default_rng(1).permutation(len(rows))]
    one_more: list[Row] = [*rows, (list(SMALL)[1], "healthy", "bob", AT.isoformat())]
    for name, order, more in (
        ("first", rows, ()),
        ("again", rows, ("--workers", 2)),
        ("mixed", mixed, ()),
        ("seed", rows, ("--seed", 1)),
        ("label", one_more, ()),
    ):
        folder = tmp_path / name
        folder.mkdir()
        labels = write(folder / "l.csv", order)
        found = call(labels, archive, folder / "team", "--field", field, *more)
        assert found.exit_code in (0, 1), found.output
        made.append(files_of(folder / "team" / "0001"))
    first, again, shuffled, seed, label = made
    assert set(first) >= {"manifest.json", "adaptation.npz", HELD_OUT, "comparison.html"}
    assert again == first
    assert shuffled == first
    for name in ("manifest.json", "comparison.json", "comparison.html"):
        assert str(archive.parent).encode() not in first[name]
        assert str(tmp_path).encode() not in first[name]
    digests = [json.loads(each["manifest.json"])["team"]["labels"]["sha256"] for each in made]
    assert digests[0] == digests[3] != digests[4]
    assert seed["manifest.json"] != first["manifest.json"]
    assert seed[HELD_OUT] != first[HELD_OUT]
    assert label["adaptation.npz"] != first["adaptation.npz"]


# Several at once, and the end of a process in the middle


def begin(labels: Path, runs: Path, home: Path, field: Path, *more: str) -> subprocess.Popen[str]:
    options = ["--labels", labels, "--runs", runs, "--out", home, "--field", field]
    command = [sys.executable, "-m", "curvet", "retrain", *map(str, options), "--workers", "1"]
    return subprocess.Popen(
        [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_home_without_a_champion_is_not_compared_with_another_home(
    home: Path, archive: Path, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURVET_BUNDLE", str(home))
    labels, new = write(tmp_path / "l.csv", small_rows()), tmp_path / "new"
    told = call(labels, archive, new, "--field", field, "--force")
    assert told.exit_code == 0, told.output
    assert history(new)[0].before == "shipped"
    assert json.loads((new / "0001" / "comparison.json").read_text())["old"].startswith("default-")


def test_two_retrains_at_once(archive: Path, field: Path, tmp_path: Path) -> None:
    labels, home = write(tmp_path / "l.csv", list(SMALL.items())), tmp_path / "team"
    both = [begin(labels, archive, home, field, "--force", "--seed", str(n)) for n in range(2)]
    told = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    events = history(home)
    assert sorted(event.version for event in events) == ["0001", "0002"]
    assert [event.before for event in events] == ["shipped", events[0].version]
    standings = [version.standing for version in versions(home)]
    assert sorted(standings) == ["champion", "former"]
    assert champion(home) == home / events[-1].version
    for version in ("0001", "0002"):
        load_bundle(home / version)


@pytest.mark.parametrize("moment", ["held-out fits", "0002", "manifest.json"])
def test_killed_in_the_middle(
    moment: str, home: Path, archive: Path, field: Path, tmp_path: Path
) -> None:
    labels = write(tmp_path / "l.csv", list(FEWEST.items()))
    # The whole field trial takes seconds: time enough to be killed before the end.
    process = begin(labels, archive, home, DATA / "real", "--force")
    until = time.monotonic() + 120
    with process:
        assert process.stderr is not None
        if moment == "held-out fits":
            assert any(moment in line for line in process.stderr)
        else:
            awaited = home / "0002" / ("manifest.json" if moment == "manifest.json" else "")
            while not awaited.exists() and time.monotonic() < until:
                time.sleep(0.001)
        process.kill()
    assert len(history(home)) == 1
    assert champion(home) == home / "0001"
    load_bundle(home)
    told = call(labels, archive, home, "--field", field, "--force")
    assert told.exit_code == 0, told.output
    last = versions(home)[-1]
    assert (last.name, last.standing) == (
        "0002" if moment == "held-out fits" else "0003",
        "champion",
    )
    assert LEAST <= len(FEWEST) < FEW
