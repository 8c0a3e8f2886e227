"""What the modules may import: a list, and the import statements themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import curvet

PACKAGE = Path(curvet.__file__).parent

ORDER = [
    "errors",
    "whole",
    "shipped",
    "texts",
    "remedies",
    "run",
    "compiled",
    "robust",
    "readers",
    "roles",
    "coerce",
    "recipe",
    "causes",
    "prior",
    "simulate",
    "traits",
    "standardise",
    "kernels",
    "features",
    "classifiers",
    "calibrate",
    "adaptation",
    "diagnosis",
    "evidence",
    "lookalikes",
    "limits",
    "novelty",
    "home",
    "bundle",
    "predictor",
    "labelled",
    "trials",
    "evaluate",
    "train",
    "compare",
    "archive",
    "report",
    "score",
    "page",
    "labels",
    "retrain",
    "terminal",
    "cli",
    "__main__",
]
"""Each top-level module imports only from those before it."""

EXCUSED = {
    ("diagnosis", "report"): "print(diagnosis) writes the report's text; imported when called",
}

HEAVY = {
    "torch",
    "tsfresh",
    "pandas",
    "sklearn",
    "scipy",
    "ruptures",
    "matplotlib",
    "rich",
    "tensorboard",
    "pyarrow",
    "fsspec",
    "sqlalchemy",
    "cleanlab",
    "krippendorff",
}

SEEN = {"scipy"}
"""What numba asks for its version, and loads nothing of."""


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE) + sorted(
        path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"
    )


def top_level(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[str]:
    """Top-level modules of curvet that a file imports anywhere, also inside functions."""
    package = ["curvet", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        yield from (name[1] for name in names if name[0] == "curvet" and len(name) > 1)


def test_the_list_names_every_module() -> None:
    assert {top_level(path) for path in sources()} == set(ORDER)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_up(path: Path) -> None:
    own = top_level(path)
    allowed = {*ORDER[: ORDER.index(own) + 1], *(low for high, low in EXCUSED if high == own)}
    found = set(imported(path))
    assert found <= allowed, f"{own} comes before {sorted(found - allowed)}"


def test_no_excuse_is_stale() -> None:
    used = {(top_level(path), name) for path in sources() for name in imported(path)}
    assert set(EXCUSED) <= used


def test_the_page_shows_the_same_order(root: Path) -> None:
    page = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = page.split("src/curvet/\n")[1].split("```")[0]
    shown = [line.split()[0].removesuffix(".py").rstrip("/") for line in tree.splitlines() if line]
    assert shown == ORDER


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import curvet", HEAVY | {"numba", "numpy", "click"}),
        ("import curvet.cli", HEAVY | {"numba", "numpy"}),
        ("import curvet.readers, curvet.causes", HEAVY | {"numba"}),
        ("import curvet.labels.files, curvet.labels.check", HEAVY | {"numba"}),
        ("from curvet import read, Run, Diagnosis, CurvetError", HEAVY | {"numba"}),
        ("from curvet import predict_cause; predict_cause([3, 2, 1, 1, 1, 1])", HEAVY - SEEN),
        (
            "from curvet import predict_cause; predict_cause([1 / n for n in range(1, 500)])",
            HEAVY - SEEN,  # change points are looked for only where something changed
        ),
    ],
)
def test_imports_stay_light(statement: str, unwanted: set[str]) -> None:
    script = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not unwanted & set(done.stdout.split())


def test_public_names_can_be_had() -> None:
    for name in curvet.__all__:
        assert getattr(curvet, name) is not None
    assert set(curvet.__all__) <= set(dir(curvet))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = curvet.nonsense
