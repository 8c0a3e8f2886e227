"""Which runs belong together: those of one sweep, of one seed group, and copies of one log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError

LEAST = 5
"""Groups below which a rule says too little."""

_SEED = re.compile(
    r"(?i)(?<![a-z])(seed|rep|repeat|trial|try|run|fold|s|r|v)?[-_=. ]?\d+(?![a-z0-9])"
)


def group_runs(
    run_ids: Sequence[str], curve_hashes: Sequence[str], rule: str = "auto"
) -> tuple[NDArray[np.int64], str]:
    """Put runs into groups that stay on one side of every split.

    Parameters
    ----------
    run_ids : sequence of str
        Paths below the archive.
    curve_hashes : sequence of str
        Copies of one log are always of one group; "" is no copy of anything.
    rule : str
        "folder": the folder that holds the run. "name": the name without its numbers, so that
        ``resnet-seed1`` and ``resnet-seed2`` belong together. "run": each by itself. A regular
        expression: what its first group (or all of it) finds. "auto": the first of "folder",
        "name" and "run" that gives at least `LEAST` groups.

    Returns
    -------
    array of shape (run,), int64
        Number of the group of each run, counted from 0 in the order of the runs.
    str
        The rule that was used.

    Raises
    ------
    LabelError
        An expression that is none, or that finds nothing in a run's id.

    Examples
    --------
    >>> group_runs(["a/1.csv", "a/2.csv", "b/1.csv"], ["", "", ""], "folder")[0].tolist()
    [0, 0, 1]
    """
    if rule == "auto":
        for each in ("folder", "name", "run"):
            groups, _ = group_runs(run_ids, curve_hashes, each)
            if groups.max(initial=-1) + 1 >= LEAST or each == "run":
                return groups, each
    names = (
        [_RULES[rule](run_id) for run_id in run_ids] if rule in _RULES else _found(run_ids, rule)
    )
    return _joined(names, curve_hashes), rule


def _folder(run_id: str) -> str:
    return run_id.rpartition("/")[0]


def _name(run_id: str) -> str:
    return _SEED.sub("#", run_id)


def _run(run_id: str) -> str:
    return run_id


_RULES = {"folder": _folder, "name": _name, "run": _run}


def _found(run_ids: Sequence[str], pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise LabelError(
            f"--group {pattern}: no regular expression ({error}); accepted: auto, "
            f"{', '.join(_RULES)}, or an expression that finds the sweep in a run's id"
        ) from error
    names = []
    for run_id in run_ids:
        match = expression.search(run_id)
        if match is None:
            raise LabelError(
                f"--group {pattern}: finds nothing in the run {run_id!r:.120}; give an expression "
                "that finds the sweep in every run's id"
            )
        names.append(match.group(1 if expression.groups else 0) or "")
    return names


def _joined(names: Sequence[str], curve_hashes: Sequence[str]) -> NDArray[np.int64]:
    """Give each name a number, the same to those that share a copy of a log."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for name, digest in zip(names, curve_hashes, strict=True):
        other = first.setdefault(digest, name) if digest else name
        parent[root(name)] = root(other)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(root(name), len(numbers)) for name in names], np.int64)


def folds_of(groups: NDArray[np.int64], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Deal groups to folds of about the same number of runs.

    Parameters
    ----------
    groups : array of shape (run,)
        See `group_runs`.
    n_folds : int
        At most; fewer where there are fewer groups.
    seed : int
        Breaks ties between groups of one size.

    Returns
    -------
    array of shape (run,), int64
        Fold of each run.
    """
    sizes = Counter(groups.tolist())
    names = np.random.default_rng(seed).permutation(sorted(sizes)).tolist()
    filled = [0] * min(n_folds, len(names))
    fold: dict[int, int] = {}
    for name in sorted(names, key=lambda name: -sizes[name]):
        place = filled.index(min(filled))
        fold[name] = place
        filled[place] += sizes[name]
    return np.array([fold[name] for name in groups.tolist()], np.int64)
