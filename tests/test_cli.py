from __future__ import annotations

import csv
import io
import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from curvet import compiled
from curvet.causes import CAUSES, title_of
from curvet.cli import main
from curvet.terminal import announce_compiling

CURVET = [sys.executable, "-m", "curvet"]


def curvet(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def write_log(path: Path, losses: Any = None, name: str = "train_loss") -> Path:
    if losses is None:
        noise = np.random.default_rng(len(path.name)).random(120)
        losses = 2 * np.exp(-np.arange(120) / 40) + 0.1 + 0.02 * noise
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{step},{loss:.5f}" for step, loss in enumerate(losses)]
    path.write_text("\n".join([f"step,{name}", *lines, ""]))
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder of two sound runs, one that is none, and two files that are no log."""
    folder = tmp_path / "runs"
    write_log(folder / "first.csv")
    write_log(folder / "second" / "log.csv")
    (folder / "third.csv").touch()
    (folder / "net.py").write_text("import torch\n")
    (folder / "notes.md").write_text("# Notes\n\nwords\n")
    return folder


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return a log and what is said about it."""
    log = write_log(tmp_path_factory.mktemp("one") / "log.csv")
    (record,) = json.loads(curvet("diagnose", log, "--format", "json").stdout)["runs"]
    return log, record


def test_help_is_instant() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "curvet", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(re.findall(r"\| +(\w+)", done.stderr))
    assert "click" in loaded
    assert not loaded & {"numpy", "torch", "pandas", "rich", "matplotlib", "sklearn", "tsfresh"}


@pytest.mark.parametrize("command", [None, *main.commands])
def test_every_help_has_examples(command: str | None) -> None:
    result = curvet(*([command] if command else []), "--help")
    assert result.exit_code == 0
    assert re.search(r"Examples:\n +curvet " + (command or ""), result.stdout)


def test_version() -> None:
    from importlib.metadata import version

    assert curvet("--version").stdout == f"curvet, version {version('curvet')}\n"


def test_one_run_is_written_out_in_full(verdict: tuple[Path, dict[str, Any]]) -> None:
    log, record = verdict
    result = curvet("diagnose", log)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert result.stdout.startswith("log.csv  (")
    assert "points of training loss" in result.stdout
    if record["cause"]:
        assert title_of(record["cause"]) in result.stdout


def test_a_folder_is_a_table(runs: Path) -> None:
    result = curvet("diagnose", runs)
    assert result.exit_code == 0, result.output
    for name in ("first.csv", "second/log.csv", "third.csv"):
        assert name in result.stdout
    assert "net.py" not in result.stdout
    assert "2 runs: " in result.stdout
    assert "; 1 could not be diagnosed" in result.stdout
    assert result.stderr == "skipped 2 files that are no log: 1 .py, 1 .md\n"


def test_skipped_files_are_shown_on_request(runs: Path) -> None:
    result = curvet("diagnose", runs, "--show-skipped", "--format", "jsonl")
    rows = {row["run_id"]: row["status"] for row in map(json.loads, result.stdout.splitlines())}
    assert rows["net.py"] == rows["notes.md"] == "skipped"


def test_the_machine_formats_agree(runs: Path) -> None:
    document = json.loads(curvet("diagnose", runs, "--format", "json").stdout)
    lines = curvet("diagnose", runs, "--format", "jsonl").stdout.splitlines()
    table = curvet("diagnose", runs, "--format", "csv").stdout
    assert document["schema_version"] == 1
    assert [json.loads(line) for line in lines] == document["runs"]
    for flat, row in zip(csv.DictReader(io.StringIO(table)), document["runs"], strict=True):
        assert flat["run_id"] == row["run_id"]
        assert flat["status"] == row["status"]
        for cause, probability in row["probabilities"].items():
            assert float(flat[f"p_{cause}"]) == probability
    first = document["runs"][0]
    if first["probabilities"]:
        assert sum(first["probabilities"].values()) == pytest.approx(1)
        assert set(first["probabilities"]) == set(CAUSES)


def test_out_takes_the_data(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "verdicts.json"
    result = curvet("diagnose", runs, "--format", "json", "--out", out)
    assert result.stdout == ""
    assert len(json.loads(out.read_text())["runs"]) == 3
    assert [path.name for path in out.parent.iterdir()] == ["verdicts.json"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "verdicts.json"
    out.write_text("old")
    assert curvet("diagnose", tmp_path, "--bundle", tmp_path, "--out", out).exit_code == 2
    assert out.read_text() == "old"


def test_a_prior_changes_the_answers(runs: Path) -> None:
    def healthy(*words: str) -> list[float]:
        lines = curvet("diagnose", runs, "--format", "jsonl", *words).stdout.splitlines()
        found = [json.loads(line) for line in lines]
        return [row["probabilities"]["healthy"] for row in found if row["probabilities"]]

    usual, sure = healthy(), healthy("--prior", "healthy=0.99")
    assert usual
    assert all(a < b for a, b in zip(usual, sure, strict=True))
    assert len(healthy("--prior", "archive")) == len(usual)
    for words, message in (
        (("--prior", "seldom"), "neither a known prior nor a file"),
        (("--prior", "fate=1"), "unknown cause 'fate'"),
    ):
        refused = curvet("diagnose", runs, *words)
        assert refused.exit_code == 2
        assert message in refused.stderr
    assert curvet("diagnose", runs, "--coverage", "1").exit_code == 2


def test_more_coverage_lists_more_causes(runs: Path) -> None:
    def likely(coverage: str) -> int:
        lines = curvet("diagnose", runs, "--format", "jsonl", "--coverage", coverage).stdout
        return sum(len(json.loads(line)["likely"]) for line in lines.splitlines())

    assert likely("0.5") < likely("0.9") < likely("0.99")


@pytest.mark.parametrize("name", ["one.png", "one.svg", "one.pdf"])
def test_plot_draws_one_run(
    name: str, verdict: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    result = curvet("diagnose", verdict[0], "--plot", tmp_path / "out" / name)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("picture: ")
    assert (tmp_path / "out" / name).stat().st_size > 1000


def test_plot_draws_a_folder(runs: Path, tmp_path: Path) -> None:
    assert curvet("diagnose", runs, "--plot", tmp_path / "all.png").exit_code == 0
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")


def test_plot_refuses_other_endings_at_once(runs: Path) -> None:
    result = curvet("diagnose", runs, "--plot", "all.gif")
    assert result.exit_code == 2
    assert result.stderr == "error: all.gif: a picture's name must end in one of .png, .pdf, .svg\n"


def test_fail_on_a_verdict(verdict: tuple[Path, dict[str, Any]]) -> None:
    log, record = verdict
    assert record["cause"] is not None
    others = [key for key in CAUSES if key != record["cause"]]
    result = curvet("diagnose", log, "--fail-on", others[0], "--fail-on", record["cause"])
    assert result.exit_code == 1
    assert f"--fail-on {record['cause']}: log.csv" in result.stderr
    assert curvet("diagnose", log, "--fail-on", others[0]).exit_code == 0


def test_fail_on_a_probability(verdict: tuple[Path, dict[str, Any]]) -> None:
    log, record = verdict
    cause, least = record["cause"], record["probability"]
    assert curvet("diagnose", log, "--fail-on", f"{cause}:{least}").exit_code == 1
    above = f"{cause}:{min(1.0, least * 1.001)}"
    assert curvet("diagnose", log, "--fail-on", above).exit_code == (1 if least == 1 else 0)


@pytest.mark.parametrize("limit", ["gremlins", "gremlins:0.5", "", "Learning rate too high"])
def test_fail_on_an_unknown_cause_names_the_known(limit: str, runs: Path) -> None:
    result = curvet("diagnose", runs, "--fail-on", limit)
    assert result.exit_code == 2
    assert "known causes: healthy, lr_too_high, " in result.stderr


@pytest.mark.parametrize("number", ["", "2", "0", "-1", "nan", "80%"])
def test_fail_on_needs_a_probability(number: str, runs: Path) -> None:
    result = curvet("diagnose", runs, "--fail-on", f"overfitting:{number}")
    assert result.exit_code == 2
    assert "no probability above 0 and at most 1" in result.stderr


def test_strict_minds_what_could_not_be_read(runs: Path) -> None:
    result = curvet("diagnose", runs, "--strict")
    assert result.exit_code == 2
    assert "1 could not be diagnosed, and --strict was given" in result.stderr
    (runs / "third.csv").unlink()
    assert curvet("diagnose", runs, "--strict").exit_code == 0


@pytest.mark.parametrize("layout", ["table", "json", "jsonl", "csv"])
@pytest.mark.parametrize("name", ["missing.csv", "net.py", "third.csv"])
def test_one_path_that_fails_is_one_line(name: str, layout: str, runs: Path) -> None:
    result = curvet("diagnose", runs / name, "--format", layout)
    assert result.exit_code == 2
    assert re.fullmatch(r"error: .*\n", result.stderr)
    assert str(runs / name) in result.stderr
    assert (result.stdout == "") == (layout == "table")


def test_a_folder_without_logs(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("import torch\n")
    result = curvet("diagnose", tmp_path)
    assert result.exit_code == 2
    assert "error: no training log; curvet reads " in result.stderr


def test_a_bad_bundle_is_one_line(runs: Path, tmp_path: Path) -> None:
    result = curvet("diagnose", runs, "--bundle", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert re.fullmatch(r"error: .*nowhere.*\n", result.stderr)


def test_an_output_that_cannot_be_written_is_one_line(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = curvet("diagnose", runs, "--out", tmp_path / "file" / "x.csv", "--format", "csv")
    assert result.exit_code == 2
    assert re.fullmatch(r"error: .*file.*\n", result.stderr)


def test_names_cannot_talk_to_the_terminal(runs: Path) -> None:
    write_log(runs / "\x1b[31mred\nline\x1b]0;title\x07.csv")
    (runs / "\x1b[2J.csv").touch()
    (runs / "x.\x1b[31m").write_text("words\n")
    result = curvet("diagnose", runs)
    assert result.exit_code == 0
    assert "red line.csv" in result.stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.output)


def test_names_need_not_be_utf8(runs: Path) -> None:
    write_log(runs / os.fsdecode(b"caf\xe9.csv"))
    for layout in ("table", "json", "jsonl", "csv"):
        assert curvet("diagnose", runs, "--format", layout).exit_code == 0


def test_causes_are_listed() -> None:
    result = curvet("causes")
    assert result.exit_code == 0
    for key in CAUSES:
        assert f"{key}: {title_of(key)}\n" in result.stdout
    assert "https://" not in result.stdout


def test_one_cause() -> None:
    result = curvet("causes", "overfitting")
    assert result.stdout.startswith("overfitting: ")
    assert "\n       Prechelt 1998  https://doi.org/10.1007/3-540-49430-8_3\n" in result.stdout
    assert "lr_too_high" not in result.stdout


def test_causes_as_json() -> None:
    document = json.loads(curvet("causes", "--format", "json").stdout)
    assert [record["key"] for record in document["causes"]] == list(CAUSES)
    assert document["schema_version"] == 2
    for record in document["causes"]:
        for remedy in record["remedies"]:
            assert set(remedy) == {"key", "text", "sources"}
            assert {tuple(source) for source in remedy["sources"]} == {("title", "url")}


def test_an_unknown_cause_names_the_known() -> None:
    result = curvet("causes", "gremlins")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: unknown cause 'gremlins'; known causes: healthy, ")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    with subprocess.Popen(
        [*CURVET, "causes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(cause: object, with_links: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("curvet.report.as_text.cause_to_text", interrupt)
    result = curvet("causes")
    assert result.exit_code == 130
    assert result.stderr == "error: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
@pytest.mark.parametrize("no_colour", [False, True])
def test_a_terminal_gets_colours_unless_refused(no_colour: bool, runs: Path) -> None:
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    if no_colour:
        environment["NO_COLOR"] = "1"
    with subprocess.Popen(
        [*CURVET, "diagnose", str(runs)], stdout=slave, stderr=subprocess.PIPE, env=environment
    ) as process:
        os.close(slave)
        shown = b""
        while select.select([master], [], [], 60)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:  # the other end is closed
                break
        assert process.stderr is not None
        assert process.stderr.read().startswith(b"skipped 2 files")
    os.close(master)
    assert process.returncode == 0
    assert b"second/log.csv" in shown
    assert (re.search(rb"\x1b\[[\d;]*3\dm", shown) is None) == no_colour


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_is_told_of_compiling_and_once(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def double(x: Any, out: Any) -> None:
        out[0] = 2 * x[0]

    def halve(x: Any, out: Any) -> None:
        out[0] = x[0] / 2

    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    announce_compiling()
    found = np.empty(1)
    for function in (double, halve):
        compiled.kernel("float64[::1]", "float64[::1]")(function)(np.ones(1), found)
    assert found[0] == 0.5
    said = "compiling for the first time: up to half a minute, once\n"
    assert capfd.readouterr().err == said * terminal


def test_the_demo_archive(demo: Path, tmp_path: Path) -> None:
    result = curvet("diagnose", demo, "--plot", tmp_path / "demo.png", "--format", "json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["runs"]
    assert len(rows) >= 8
    assert [row["error"] for row in rows if row["status"] != "ok"] == []
