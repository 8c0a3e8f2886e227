"""What the accuracy rests on: the same classifier trained on other runs, and yardsticks.

    python scripts/ablation.py corpus              # every row that docs/ablation.json lacks
    python scripts/ablation.py corpus --only rules "drawn curves"
    python scripts/ablation.py --markdown          # print the tables, compute nothing

A row says what was trained on, how many runs, and how it does on simulated rounds that nothing was
trained on (`labelled.split`'s third part, weighted to the prior) and on the field trial as logged
per step and per epoch; with all channels, and with the training loss alone. Every comparison uses
the feature classifier alone with its shipped settings; the shipped bundle is asked as it is. Rows
are kept by name in the JSON: a row that is there is not computed again (delete it to redo it).
Intervals are 95 % bootstraps over bases of the runs that are scored; they do not hold what another
draw of the training runs would change.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ablations.base import ROOT
from ablations.exams import Bench
from ablations.render import as_markdown
from ablations.results import run
from ablations.rows import list_rows
from curvet.errors import CurvetError
from curvet.simulate.corpus import read_manifest


def main() -> None:
    """Compute what is missing, or print what is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, nargs="?", help="made by `curvet simulate`")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "ablation.json")
    parser.add_argument("--field", type=Path, default=ROOT / "data" / "real", help="real runs")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="rows to compute")
    parser.add_argument("--size", type=int, default=4000, help="labelled runs in comparisons")
    parser.add_argument("--seed", type=int, default=0, help="as given to `curvet train`")
    parser.add_argument("--workers", type=int, default=1, help="processes that read the corpus")
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "ablation")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--markdown", action="store_true", help="print the tables and stop")
    args = parser.parse_args()
    if args.markdown:
        print("\n".join(as_markdown(json.loads(args.out.read_text(encoding="utf-8")))))
        return
    if args.corpus is None:
        parser.error("name a corpus, or give --markdown")
    try:
        if args.list:
            print("\n".join(list_rows(args.size, round(0.8 * read_manifest(args.corpus)["runs"]))))
            return
        bench = Bench(args.corpus, args.field, args.cache, args.seed, args.size, args.workers)
        sys.exit(min(1, run(bench, args.out, args.only)))
    except CurvetError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
