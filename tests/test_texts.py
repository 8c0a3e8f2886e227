"""What people read: whole in each language, and right where it is read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from click.testing import CliRunner, Result

import curvet
from curvet.causes import CAUSES
from curvet.cli import main
from curvet.errors import LanguageError
from curvet.lookalikes import EXPERIMENTS
from curvet.remedies import REMEDIES
from curvet.texts import LANGUAGES, catalogue, in_language, language, say, use_language

SOURCES = sorted(
    path
    for path in Path(curvet.__file__).parent.rglob("*.*")
    if path.suffix in (".py", ".js", ".html")
)
WIDE = re.compile(r"[\u4e00-\u9fff]")
OTHERS = [name for name in LANGUAGES if name != "en"]


def run(*words: object, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, [str(word) for word in words])


def fields(text: str) -> set[tuple[str, str]]:
    """Names and formats of what is filled in."""
    return {(name, spec or "") for _, name, spec, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("name", OTHERS)
def test_no_catalogue_lacks_a_text(name: str) -> None:
    assert set(catalogue(name)) == set(catalogue("en"))


@pytest.mark.parametrize("name", OTHERS)
def test_templates_fill_in_the_same(name: str) -> None:
    for key, text in catalogue("en").items():
        differ = fields(text) ^ fields(catalogue(name)[key])
        # "1 point" may name its number or not.
        assert not differ or (key.endswith(".one") and differ == {("count", "")}), key


def test_nothing_is_left_in_english() -> None:
    for key, text in catalogue("zh").items():
        words = re.sub(r"\{[^}]*\}", "", text)
        assert WIDE.search(words) or not re.search(r"\w", words), key


def test_no_text_is_left_over() -> None:
    """A key is written out in the sources, or belongs to an entry of a registry."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for key in set(catalogue("en")) - set(wanted()):
        # Named by the values, or made of parts.
        if key.startswith(("words.", "evidence.", "report_page.over_time_", "report_page.speaks_")):
            continue
        last = key.removesuffix(".one").removesuffix(".many").rpartition(".")[2]
        assert re.search(rf"""(["'.]|class ){last}\b""", code), key


def wanted() -> list[str]:
    """Keys that the registries need."""
    keys = [f"causes.{key}.{part}" for key in CAUSES for part in ("title", "sign")]
    keys += [f"remedies.{key}" for key in REMEDIES]
    for each in EXPERIMENTS:
        keys += [f"checks.{each.key}.{part}" for part in ("do", *each.outcomes)]
    return keys


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_registries_have_their_texts(name: str) -> None:
    known = catalogue(name)
    for part in ("causes.", "remedies.", "checks."):
        assert {key for key in wanted() if key.startswith(part)} == {
            key for key in known if key.startswith(part)
        }


def test_evidence_that_can_be_measured_has_its_text() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    kinds = set(re.findall(r'yield Evidence\(\s*"(\w+)"', code))
    assert kinds
    for kind in kinds:
        assert f"evidence.{kind}" in catalogue("en")


@pytest.mark.parametrize(
    ("name", "short"), [("zh", "zh"), ("zh_CN.UTF-8", "zh"), ("ZH-Hans", "zh"), ("en_GB", "en")]
)
def test_a_language_may_be_a_locale(name: str, short: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURVET_LANG", name)
    assert language() == short
    monkeypatch.setenv("CURVET_LANG", "en")
    curvet.use_language(name)
    assert language() == short
    curvet.use_language(None)
    assert language() == "en"


def test_an_unknown_language_names_the_known() -> None:
    with pytest.raises(LanguageError, match=r"language 'tlh'; accepted: en, zh \(--lang, CURVET"):
        use_language("tlh")
    assert language() == "en"


def test_a_block_in_another_language_ends() -> None:
    with in_language("zh"):
        assert language() == "zh"
        with in_language(None):
            assert language() == "zh"
    assert language() == "en"


def test_formats() -> None:
    use_language("zh")
    assert "25%" in say("evidence.validation_rises", step=3.0, least=0.5, rise=0.254)
    assert "1204000" in say("checks.look_at_batch.do", step=1204000.0)


# Through the command line


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "log.csv"
    losses = [3.0 - 0.02 * step for step in range(100)] + [float("nan")] * 20
    lines = [f"{step},{loss}" for step, loss in enumerate(losses)]
    path.write_text("\n".join(["step,train_loss", *lines, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize("command", ["diagnose", "score", "evaluate", "causes", "label"])
def test_commands_that_speak_have_the_option(command: str) -> None:
    assert "--lang [en|zh]" in run(command, "--help").stdout


def test_one_run_in_chinese(log: Path) -> None:
    result = run("diagnose", log, "--lang", "zh")
    assert result.exit_code == 0, result.output
    assert catalogue("zh")["report.remedies"] in result.stdout
    assert "\u7b2c 100 \u6b65" in result.stdout  # "step 100"
    assert "What" not in result.stdout
    assert "\u635f\u5931" not in run("diagnose", log).stdout


def test_the_demo_archive_in_chinese(demo: Path) -> None:
    result = run("diagnose", demo, CURVET_LANG="zh_CN.UTF-8")
    assert result.exit_code == 0, result.output
    assert "\u5b66\u4e60\u7387\u8fc7\u9ad8" in result.stdout  # "learning rate too high"
    assert "21 \u6b21\u8bad\u7ec3\uff1a" in result.stdout  # "21 runs:"
    assert "training loss" not in result.stdout
    assert "\u8df3\u8fc7" in result.stderr  # "skipped"


def test_the_option_wins_over_the_environment(log: Path) -> None:
    assert "What to try" in run("diagnose", log, "--lang", "en", CURVET_LANG="zh").stdout


def test_causes_in_chinese() -> None:
    result = run("causes", "overfitting", "--lang", "zh")
    assert result.stdout.startswith("overfitting: \u8fc7\u62df\u5408\n")


@pytest.mark.parametrize(
    ("words", "environment"), [(("--lang", "tlh"), {}), ((), {"CURVET_LANG": "tlh"})]
)
def test_an_unknown_language_is_one_line(
    words: tuple[str, ...], environment: Mapping[str, str], log: Path
) -> None:
    result = run("diagnose", log, *words, **environment)
    assert result.exit_code == 2
    assert re.fullmatch(r"error: .*'tlh'; accepted: en, zh .*\n", result.stderr)
    assert result.stdout == ""


def test_keys_stay_english(log: Path) -> None:
    here, there = (
        run("diagnose", log, "--format", "json", "--lang", name).stdout for name in LANGUAGES
    )
    assert keys_of(here) == keys_of(there)


def keys_of(document: str) -> Any:
    import json

    (row,) = json.loads(document)["runs"]
    facts = [fact["kind"] for fact in row["evidence"]]
    return list(row), row["cause"], row["likely"], facts, [r["key"] for r in row["remedies"]]


@pytest.mark.parametrize("words", [("causes",), ("diagnose", "{log}"), ("diagnose", "{folder}")])
def test_a_terminal_that_lacks_the_letters_is_no_crash(words: tuple[str, ...], log: Path) -> None:
    """Write what cannot be shown by its numbers."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "curvet"),
            *(word.format(log=log, folder=log.parent) for word in words),
            *("--lang", "zh"),
        ],
        capture_output=True,
        env={**environment, "PYTHONIOENCODING": "latin-1"},
        check=True,
    )
    assert rb"\u635f\u5931" in done.stdout
    assert done.stdout.isascii()
    assert done.stderr == b""
