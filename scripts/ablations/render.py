"""The results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .exams import SHOWN


def as_markdown(results: Mapping[str, Any]) -> Iterator[str]:
    """Write the results as Markdown, line by line: a table for each question and view.

    Parameters
    ----------
    results : mapping
        What docs/ablation.json holds.
    """
    runs, seed = results["corpus"]["runs"], results["seed"]
    yield f"Made with a corpus of {runs:,} runs, seed {seed}; not always the predictor's own.\n"
    tables: dict[str, list[Mapping[str, Any]]] = {}
    for row in results["rows"].values():
        tables.setdefault(row["table"], []).append(row)
    for title, rows in tables.items():
        yield f"### {title}\n"
        yield from (
            f"Of `{name}`.\n" for name in sorted({r["bundle"] for r in rows if "bundle" in r})
        )
        sources = list(dict.fromkeys(source for row in rows for source in row["scores"]))
        for view in SHOWN:
            yield f"{view[0].upper()}{view[1:]}:\n"
            yield from _table(rows, sources, view)
    if any(row["text"].startswith("rules") for row in results["rows"].values()):
        yield "### The rules, in the order in which they are tried\n"
        yield "| cause | sign | source |"
        yield "| --- | --- | --- |"
        for rule in results["rules"]:
            yield f"| `{rule['cause']}` | {rule['sign']} | {rule['source']} |"
        yield ""


def _table(rows: Sequence[Mapping[str, Any]], sources: Sequence[str], view: str) -> Iterator[str]:
    scored = {
        s: row["scores"][s][view]["runs"] for row in rows for s in sources if s in row["scores"]
    }
    names = [f"{s}, {scored[s]:,} runs" for s in sources]
    heads = [f"{s}: macro-F1 (95 %) | {s}: top-1 | {s}: top-3" for s in names]
    yield "| trained on | runs | logs | " + " | ".join(heads) + " |"
    yield "| --- |" + " --- |" * (2 + 3 * len(sources))
    for row in rows:
        cells = []
        for source in sources:
            f = row["scores"].get(source, {}).get(view)
            if f is None:
                cells += ["", "", ""]
                continue
            low, high = f["intervals"]["macro_f1"]
            cells += [f"{f['macro_f1']:.3f} ({low:.3f} to {high:.3f})"]
            cells += [f"{f['top1']:.3f}", f"{f['top3']:.3f}"]
        counts = [f"{row[name]:,}" if row[name] else "none" for name in ("runs", "logs")]
        yield f"| {row['text']} | " + " | ".join([*counts, *cells]) + " |"
    yield ""
