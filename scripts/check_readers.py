"""Compare what the readers and roles find in real logs with curves written down by hand.

Usage: python scripts/check_readers.py FIELD_DIR

FIELD_DIR holds index.csv, raw/<owner+name>/<path> and curves/<id>.csv (step, train_loss,
val_loss, lr, grad_norm; blank where nothing was logged).
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curvet.errors import CurvetError
from curvet.readers import read
from curvet.roles import Channels, assign
from curvet.run import Curve
from curvet.trials import read_curves

TOLERANCE = 1e-6  # the curves are written with 8 decimals
CHANNELS = {"train_loss": "loss", "val_loss": "val", "lr": "lr", "grad_norm": "grad_norm"}
NO_RAW = "raw file not there"


def raw_file(field: Path, row: dict[str, str]) -> Path | None:
    """Find the raw file of one row of the index; parts of notebooks have names of their own."""
    path = field / "raw" / row["repo"].replace("/", "+") / row["path"]
    if path.exists():
        # Keras's validation curve lies in the folder beside: read the run as a whole.
        return path.parent.parent if path.parent.name == "train" else path
    if cell := re.fullmatch(r"cell (\d+) stdout", row["run_in_file"]):
        path = path.with_name(f"{path.name}.cell{cell[1]}.stdout.txt")
    else:
        digits = re.findall(r"\d+", row["run_in_file"])
        parts = [part for part in path.parent.glob(f"{path.name}.*") if part.is_file()]
        named = [part for part in parts if digits and digits[0] in part.name[len(path.name) :]]
        path = (named or parts or [path])[0]
    return path if path.exists() else None


def expected(field: Path, row: dict[str, str]) -> dict[str, NDArray[np.float64]]:
    """Read the curves that a reader should find, one array (2, n) of step and value each."""
    found = read_curves(field / row["curve_csv"])
    none = np.empty((2, 0))
    return {
        name: np.stack([found[name].step, found[name].value]) if name in found else none
        for name in CHANNELS
    }


def last_by_step(curve: Curve, steps: set[float] | None = None) -> NDArray[np.float64]:
    """Keep the last value of each step, as the expected curves do."""
    last = dict(zip(curve.step.tolist(), curve.value.tolist(), strict=True))
    return np.array(sorted(p for p in last.items() if steps is None or p[0] in steps)).T


def difference(channels: Channels, want: dict[str, NDArray[np.float64]]) -> str:
    """Say how found and expected curves differ, "" where they do not.

    A step that the expected curves have no row for is left out for rates and norms: lines
    without a loss were not written down.
    """
    steps = {float(step) for one in want.values() if one.size for step in one[0]}
    for name, attribute in CHANNELS.items():
        curve: Curve | None = getattr(channels, attribute)
        if want[name].size == 0:
            if curve is not None:
                return f"{name}: nothing expected, found {curve.tag}"
            continue
        if curve is None:
            return f"{name}: not found"
        found = last_by_step(curve, None if name.endswith("loss") else steps)
        wanted = want[name][:, np.argsort(want[name][0])]
        if found.shape != wanted.shape:
            return f"{name}: {found.shape[1]} points in {curve.tag}, expected {wanted.shape[1]}"
        if not np.array_equal(found[0], wanted[0]):
            return f"{name}: other steps in {curve.tag}"
        if not np.allclose(found[1], wanted[1], rtol=TOLERANCE, atol=1e-8, equal_nan=True):
            return f"{name}: other values in {curve.tag}"
    return ""


def verdict(field: Path, row: dict[str, str]) -> str:
    path = raw_file(field, row)
    if path is None:
        return NO_RAW
    try:
        runs = list(read(path))
        if len(runs) != 1:
            return f"mismatch: {len(runs)} runs in one file"
        wrong = difference(assign(runs[0]), expected(field, row))
    except CurvetError as error:
        return f"refused: {str(error).replace(str(field), '')[:160]}"
    return f"mismatch: {wrong}" if wrong else "right"


def main(field: Path) -> int:
    with (field / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        found = verdict(field, row)
        kind = found if found == NO_RAW else found.split(":")[0]
        counts.setdefault(row["format"], Counter())[kind] += 1
        if kind not in ("right", NO_RAW):
            print(f"{row['id']}  {row['format']}  {found}")
    kinds = ("right", "mismatch", "refused", NO_RAW)
    print(f"{'format':28}" + "".join(f"{kind:>20}" for kind in kinds))
    for name, counter in sorted(counts.items()):
        print(f"{name:28}" + "".join(f"{counter[kind]:>20}" for kind in kinds))
    return int(any(c["mismatch"] + c["refused"] for c in counts.values()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
