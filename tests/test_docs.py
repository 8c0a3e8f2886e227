"""The pages name what there is, and what they name is there."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from curvet.causes import CAUSES, sign_of, title_of
from curvet.cli import main
from curvet.readers import READERS, SERVERS
from curvet.report.columns import columns

PAGES = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/label.md",
    "docs/labels.md",
    "docs/report.md",
    "docs/scores.md",
    "docs/team.md",
]
TEXTS = {name: (Path(__file__).parents[1] / name).read_text(encoding="utf-8") for name in PAGES}
README, SCORES = TEXTS["README.md"], TEXTS["docs/scores.md"]


def table(name: str, page: str = README) -> list[str]:
    """Rows of a page between two comments."""
    block = page.split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]
    return block.strip().splitlines()


def every(group: click.Group) -> Iterator[click.Command]:
    """All commands, also those of groups."""
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from every(command)


def examples() -> list[str]:
    """Calls of curvet in the README and in the help texts."""
    pages = "".join(TEXTS.values())
    shown = re.findall(r"^\$ (curvet .*?)(?: \|.*)?$", pages, re.MULTILINE)
    epilogs = [command.epilog or "" for command in [main, *every(main)]]
    helps = [line.strip() for epilog in epilogs for line in epilog.splitlines()]
    return shown + [re.split(r" {2,}", line)[0] for line in helps if line.startswith("curvet ")]


def test_the_readme_starts_with_setting_up() -> None:
    first = re.search(r"```console\n(.*?)```", README, re.DOTALL)
    assert first is not None
    assert first[1].startswith("$ make demo")
    assert "$ make test" in first[1]


def test_every_command_is_in_the_readme() -> None:
    for name in main.commands:
        assert f"curvet {name}" in README


def test_every_cause_is_in_the_readme() -> None:
    assert table("causes") == [f"| `{key}` | {title_of(key)} | {sign_of(key)} |" for key in CAUSES]


def test_every_reader_is_in_the_readme() -> None:
    assert table("readers") == [f"| `{reader.name}` | {reader.accepts} |" for reader in READERS]


def test_every_server_is_in_the_readme() -> None:
    assert table("servers") == [
        f"| `{server.name}` | {server.accepts} | `pip install 'curvet[{server.scheme}]'` |"
        for server in SERVERS
    ]


def test_every_column_is_on_its_page() -> None:
    kinds = {"text": "text", "whole": "integer", "number": "number", "texts": "list of texts"}
    *rows, chances = table("columns", SCORES)
    assert rows == [f"| `{c.name}` | {kinds[c.kind]} | {c.meaning} |" for c in columns([])]
    assert chances.startswith("| `p_<cause>` |")


def test_the_page_of_labels_is_filled(root: Path) -> None:
    command = [sys.executable, root / "scripts/labels_page.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("call", examples())
def test_examples_parse(call: str) -> None:
    _, *words = shlex.split(call)
    group: click.Command = main
    while isinstance(group, click.Group):
        name, command, words = group.resolve_command(click.Context(group), words)
        assert command is not None
        group = command
    group.make_context(name, list(words))  # raises on an unknown option or a missing one


def test_python_examples_compile() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        ast.parse(block)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str, root: Path) -> None:
    text = (root / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (root / page).parent.joinpath(target).exists(), (
            f"{page}: {target}"
        )


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str, root: Path) -> None:
    text = (root / page).read_text(encoding="utf-8")
    for name in re.findall(r"`((?:scripts|src|data|models|tests)/[\w./]+)`", text):
        assert (root / name).exists(), f"{page}: {name}"


def test_make_targets_of_the_pages_exist(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(r"make (demo|test|model|clean)\b", (root / page).read_text()):
            assert f"\n{target}:" in makefile


def test_the_lock_covers_the_dependencies(root: Path) -> None:
    import tomllib

    locked = set(re.findall(r"^([\w.-]+)==", (root / "constraints.txt").read_text(), re.MULTILINE))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert {re.split(r"[\[<>=!~ ]", name)[0].replace("-", "_").lower() for name in wanted} <= {
        name.replace("-", "_").lower() for name in locked
    }


def test_the_page_of_cases_has_a_table_for_each() -> None:
    page = (Path(__file__).parents[1] / "docs/cases.md").read_text(encoding="utf-8")
    names = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert len(names) == 10
    assert [row.split("](#")[1].split(")")[0] for row in table("summary", page)[2:12]] == names
    for name in names:
        assert any(row.startswith("| verdict |") for row in table(name, page))
