"""The results, kept by name in a JSON file: a row that is there is not computed again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from curvet.bundle import load_bundle
from curvet.errors import CorpusError, CurvetError
from curvet.simulate.corpus import LOGS_PER_RUN, read_manifest

from .base import note
from .exams import SHOWN, Bench
from .rows import Result, list_rows
from .rules import RULES


def run(bench: Bench, out: Path, only: Sequence[str]) -> int:
    """Compute the rows that are missing; return how many could not be computed."""
    about = {"corpus": read_manifest(bench.corpus), "seed": bench.seed, "size": bench.size}
    results = _read_results(out, about)
    rows = list_rows(bench.size, len(bench.parts[0].y) // LOGS_PER_RUN)
    if unknown := sorted(set(only) - set(rows)):
        raise CorpusError(f"no such row: {', '.join(unknown)}; rows are {', '.join(rows)}")
    failed = 0
    for name, row in rows.items():
        if (only and name not in only) or _is_done(results["rows"].get(name)):
            continue
        note(f"{name}: {row.text}")
        began = time.monotonic()
        try:
            made = row.make(bench)
        except CurvetError as error:
            failed += 1
            note(f"{name}: left out: {error}")
            continue
        seconds = round(time.monotonic() - began, 1)
        results["rows"][name] = {"table": row.table, "text": row.text, "seconds": seconds} | made
        # In the order of the list, whatever was computed first.
        results["rows"] = {key: results["rows"][key] for key in rows if key in results["rows"]}
        _write_results(out, results)
        note(f"{name}: {seconds:.0f} s, macro-F1 {_summary(made)}")
    return failed


def _is_done(row: Mapping[str, Any] | None) -> bool:
    """Tell whether a row is there, and of the bundle that is shipped now if it is of one."""
    if row is None:
        return False
    try:
        return "bundle" not in row or row["bundle"] == load_bundle().name
    except CurvetError:
        return True


def _read_results(out: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    if not out.is_file():
        rules = [{k: v for k, v in asdict(r).items() if k != "holds"} for r in RULES]
        return {**about, "rules": rules, "rows": {}}
    results = dict(json.loads(out.read_text(encoding="utf-8")))
    found = {key: results.get(key) for key in about}
    if found != about:
        raise CorpusError(
            f"{out}: holds rows of {found}, but asked for {dict(about)}; rows of both cannot be "
            "compared: delete it, or choose another --out"
        )
    return results


def _write_results(out: Path, results: Mapping[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_suffix(".part")
    temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    temporary.replace(out)


def _summary(made: Result) -> str:
    return ", ".join(f"{s} {v[SHOWN[0]]['macro_f1']:.3f}" for s, v in made["scores"].items())
