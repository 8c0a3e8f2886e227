"""Fill docs/labels.md: the columns of a file, and what a check of labels prints.

With --check nothing is written: the exit code is 1 if the page says anything else.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from click.testing import CliRunner

from blocks import filled
from curvet.cli import main as curvet
from curvet.labels.rows import COLUMNS

ROOT = Path(__file__).resolve().parents[1]
LABELS = ROOT / "tests" / "labels" / "demo.csv"
KINDS = {"text": "text", "whole": "integer", "number": "number"}


def columns() -> list[str]:
    """Return the rows of the table of columns."""
    return [f"| `{c.name}` | {KINDS[c.kind]} | {c.meaning} |" for c in COLUMNS]


def check() -> list[str]:
    """Score data/demo, check its labels, and return what a person sees."""
    os.environ.pop("COLUMNS", None)  # the page does not depend on a terminal
    with tempfile.TemporaryDirectory() as folder:
        scores = Path(folder) / "scores.csv"
        for words in (
            ["score", ROOT / "data" / "demo", "--out", scores, "--workers", 1],
            ["labels", "check", LABELS, "--scores", scores],
        ):
            done = CliRunner().invoke(curvet, list(map(str, words)), catch_exceptions=False)
            if done.exit_code:
                raise SystemExit(done.output)
    shown = ["$ curvet labels check labels.db --scores scores.csv", *done.stdout.splitlines()]
    return ["```console", *shown, "```"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    page = ROOT / "docs" / "labels.md"
    text = before = page.read_text(encoding="utf-8")
    for name, lines in (("columns", columns()), ("check", check())):
        text = filled(text, name, lines)
    if not parser.parse_args().check:
        page.write_text(text, encoding="utf-8")
    elif text != before:
        raise SystemExit(f"{page}: out of date; run scripts/labels_page.py")


if __name__ == "__main__":
    main()
