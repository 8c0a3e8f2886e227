"""Fill the tables of docs/cases.md anew: what the shipped predictor says of ten public runs.

The runs are those of a folder with index.csv and raw/<owner+name>/<path>, which does not ship. The
text between the tables is left as it is.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

from blocks import filled
from curvet.causes import title_of
from curvet.diagnosis import Diagnosis
from curvet.predictor import Predictor
from curvet.readers import read
from curvet.report.as_text import clean, percent, verdict

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cases.md"
CASES = {  # id in the index -> what the name of the raw file has behind the path
    "r0005": "",
    "r0006": "",
    "r0013": "",
    "d0125": "",
    "r0108": "",
    "r0110": "",
    "r0228": ".cell53.stdout.txt",
    "r0236": ".cell151.stdout.txt",
    "r0378": ".17060.log_lines.txt",
    "r0407": "",
}
SHOWN = 3  # causes beside the verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--field", type=Path, required=True, help="folder with index.csv and raw")
    parser.add_argument("--bundle", type=Path, help="another predictor than the one that ships")
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    predictor = Predictor.load(arguments.bundle)
    with (arguments.field / "index.csv").open(newline="", encoding="utf-8") as file:
        index = {row["id"]: row for row in csv.DictReader(file)}
    found = {
        key: predictor.diagnose(next(read(_raw(arguments.field, index[key], ending))))
        for key, ending in CASES.items()
    }
    page = arguments.page.read_text(encoding="utf-8")
    summary = [
        f"| [{key}](#{key}) | {index[key]['format']} | `{index[key]['cause_label']}` "
        f"| {_verdict(found[key])} | {_outcome(index[key], found[key])} |"
        for key in CASES
    ]
    head = [
        "| run | format | known cause | verdict | which is |",
        "| --- | --- | --- | --- | --- |",
    ]
    page = filled(page, "summary", [*head, *summary, "", f"Predictor: `{predictor.bundle.name}`."])
    for key, diagnosis in found.items():
        page = filled(page, key, _table(index[key], diagnosis))
    arguments.page.write_text(page, encoding="utf-8")


def _raw(field: Path, row: Mapping[str, str], ending: str) -> Path:
    return field / "raw" / row["repo"].replace("/", "+") / f"{row['path']}{ending}"


def _verdict(diagnosis: Diagnosis) -> str:
    if diagnosis.probability is None:
        return verdict(diagnosis)
    return f"{verdict(diagnosis)}, {percent(diagnosis.probability)}"


def _outcome(row: Mapping[str, str], diagnosis: Diagnosis) -> str:
    known = row["cause_label"]
    if diagnosis.cause == known:
        return "right"
    if diagnosis.cause is None:
        return "open, among the likely" if known in diagnosis.likely else "open"
    return "wrong, but among the likely" if known in diagnosis.likely else "wrong"


def _table(row: Mapping[str, str], diagnosis: Diagnosis) -> list[str]:
    others = list(diagnosis.probabilities.items())[1 : SHOWN + 1]
    url = f"https://github.com/{row['repo']}/blob/{row['commit']}/{row['path']}"
    where = f", {row['run_in_file']}" if row["run_in_file"] else ""
    cells = {
        "source": f"[{row['repo']}]({url.replace(' ', '%20')}){where} ({row['licence']})",
        "known cause": f"`{row['cause_label']}`, {row['confidence']} confidence "
        f"({row['label_basis'].replace('_', ' ')})",
        "found": f"{diagnosis.n_points} points of training loss; {', '.join(diagnosis.channels)}",
        "verdict": f"{_verdict(diagnosis)}: {_outcome(row, diagnosis)}",
        "then": ", ".join(f"{title_of(key)} {percent(p)}" for key, p in others),
        "likely set": ", ".join(title_of(key) for key in diagnosis.likely),
        "measured": "<br>".join(clean(fact.text) for fact in diagnosis.evidence),
        "not shown by the log": "<br>".join(clean(fact.text) for fact in diagnosis.limits),
    }
    rows = [f"| {name} | {text.replace('|', '&#124;')} |" for name, text in cells.items() if text]
    return ["| | |", "| --- | --- |", *rows]


if __name__ == "__main__":
    main()
