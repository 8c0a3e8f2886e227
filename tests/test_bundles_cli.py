"""curvet bundles: list, use, compare, rollback."""

from __future__ import annotations

import csv
import io
import json
import lzma
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from curvet.cli import main
from curvet.home import HISTORY, champion, history, install, next_version, refuse

from .test_bundle import edit, make_bundle
from .test_comparison_page import compared

REAL = Path(__file__).parents[1] / "data" / "real"


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["bundles", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "made"
    make_bundle(folder)
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """Return a home of three versions: installed, refused, and cut short."""
    folder = tmp_path / "team"
    for seed in range(2):
        version = next_version(folder)
        shutil.copytree(made, version, dirs_exist_ok=True)
        labels = {"runs": 40 + seed, "sha256": f"{seed}" * 64}
        told = {"seed": seed, "code": "c0de", "labels": labels}
        edit(version, lambda manifest, told=told: manifest.update(team=told))  # type: ignore[misc]
        record = {"held_out": compared(180, seed)}
        (version / "comparison.json").write_text(json.dumps(record))
    install(folder, "0001", "better")
    refuse(folder, "0002", "no better")
    next_version(folder)
    return folder


def test_list_shows_what_is_known(home: Path) -> None:
    lines = run("list", home).stdout.splitlines()
    assert lines[0].split()[:4] == ["version", "standing", "made", "labels"]
    assert lines[1].split()[:3] == ["0001", "*", "champion"]
    assert lines[1].split()[4:] == [
        *("40", "000000000000", "c0de", "0", "1.400", "1.300", "0.600", "0.700")
    ]
    assert lines[2].split()[:2] == ["0002", "refused"]
    assert lines[3].split() == ["0003", "unfinished", *["-"] * 9]
    assert len(lines) == 4
    run("rollback", home)
    assert run("list", home).stdout.splitlines()[-1].startswith("no version is in use: the home")


def test_list_for_machines(home: Path) -> None:
    document = json.loads(run("list", home, "--format", "json").stdout)
    assert document["schema_version"] == 1
    first = document["versions"][0]
    assert (first["standing"], first["labels"], first["labels_hash"]) == ("champion", 40, "0" * 64)
    assert first["made"] == history(home)[0].at
    rows = list(csv.DictReader(io.StringIO(run("list", home, "--format", "csv").stdout)))
    assert [row["standing"] for row in rows] == ["champion", "refused", "unfinished"]
    assert list(rows[0]) == list(first)


def test_list_survives_what_is_damaged(home: Path) -> None:
    (home / "0001" / "comparison.json").write_text("{")
    (home / "0002" / "manifest.json").write_text("[" * 200_000)
    found = run("list", home)
    assert found.exit_code == 0
    assert found.stdout.splitlines()[1].split()[-2:] == ["-", "-"]


def test_use_and_rollback_say_from_what_to_what(home: Path) -> None:
    used = run("use", home, "0002", "--reason", "we trust it")
    assert used.exit_code == 0
    assert used.stderr.endswith("team: 0002 is in use, before it 0001\n")
    assert history(home)[-1].reason == "we trust it"
    back = run("rollback", home)
    assert back.stderr.endswith("team: 0001 is in use, before it 0002\n")
    assert run("rollback", home).stderr.endswith("team: shipped is in use, before it 0001\n")
    assert champion(home) is None
    nothing = run("rollback", home)
    assert nothing.exit_code == 2
    assert nothing.stderr.startswith("error: ")
    assert "there is none before it" in nothing.stderr
    assert run("use", home, "0001").exit_code == run("use", home, "shipped").exit_code == 0


def test_a_version_in_use_that_is_gone_is_told(home: Path) -> None:
    shutil.rmtree(home / "0001")
    lines = run("list", home).stdout.splitlines()
    assert lines[1].split()[:2] == ["0001", "gone"]
    assert "the version in use, 0001, is gone" in lines[-1]
    assert run("use", home, "0002").stderr.endswith("0002 is in use, before it 0001\n")
    assert run("use", home, "0002").stderr.endswith("0002 is in use, as before\n")


def test_a_bundle_that_would_not_load_is_not_taken_into_use(home: Path) -> None:
    content = bytearray((home / "0002" / "cnn.safetensors").read_bytes())
    content[-1] ^= 1
    (home / "0002" / "cnn.safetensors").write_bytes(content)
    before = (home / HISTORY).read_bytes()
    for version, told in (
        ("0002", "cnn.safetensors: missing or changed since the bundle was made"),
        ("0003", "version 0003 is unfinished"),
        ("0009", "no version '0009'; there are: 0001, 0002, 0003"),
    ):
        found = run("use", home, version)
        assert found.exit_code == 2
        assert told in found.stderr
        assert found.stderr.count("\n") == 1
    edit(home / "0001", lambda manifest: manifest.update(format=99))
    assert "bundle format 99, but this curvet reads" in run("use", home, "0001").stderr
    assert (home / HISTORY).read_bytes() == before
    for command in (("list",), ("rollback",)):
        assert "no home of bundles" in run(*command, home / "0001").stderr


def test_compare_on_the_field_trial(home: Path, tmp_path: Path) -> None:
    with lzma.open(REAL / "runs.jsonl.xz", "rt") as lines:
        some = [line for number, line in enumerate(lines) if number % 60 == 0]
    field = tmp_path / "field"
    field.mkdir()
    with lzma.open(field / "runs.jsonl.xz", "wt") as out:
        out.writelines(some)
    page = tmp_path / "pages" / "page.html"
    words = ("compare", home, "shipped", "0001", "--field", field)
    found = run(*words, "--page", page)
    assert found.exit_code == 0, found.output
    assert "all sources: " in found.stdout
    assert "Most probable cause is right" in found.stdout
    assert "Bundle 0001 compared with the one that ships" in page.read_text()
    record = json.loads(run(*words, "--format", "json").stdout)
    assert (record["old"], record["new"]) == ("shipped", "0001")
    assert record["field"]["per step"]["new"]["bundle"].startswith("team-0001-")
    assert "nothing to compare on; name --field" in run("compare", home, "0001", "0002").stderr
    missing = run("compare", home, "0001", "0003", "--field", field)
    assert "no bundle '0003'; there are: 0001, 0002, shipped" in missing.stderr


@pytest.mark.parametrize("command", ["list", "use", "compare", "rollback"])
def test_every_command_has_examples(command: str) -> None:
    shown = run(command, "--help").stdout
    assert "Examples:" in shown
    assert f"curvet bundles {command} models" in shown
