"""Whether labels can be trusted: agreement, conflicts, probable errors."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from curvet.causes import CAUSES
from curvet.causes.team import TeamCause
from curvet.cli import main
from curvet.labels import Label, Labels
from curvet.labels.check import Check, Finding, check_labels
from curvet.labels.check_report import check_to_csv, check_to_json, check_to_text, tables
from curvet.labels.files import write_labels
from curvet.labels.findings import CONFLICTS, KINDS
from curvet.page.table import Score
from curvet.report.columns import columns

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEYS = list(CAUSES)


def label(run_id: str, *causes: str, by: str = "ann", hour: int = 0, **more: Any) -> Label:
    return Label(run_id, causes, by, NOON + timedelta(hours=hour), **more)


def score(run_id: str, chances: dict[str, float] | None) -> Score:
    best = max(chances, key=lambda key: chances[key]) if chances else None
    return Score(run_id, "", "", "ok", "", best, None, (), "", "", 9, "bundle", chances or {})


def found(check: Check, kind: str) -> list[Finding]:
    return [finding for finding in check.findings if finding.kind == kind]


def alpha(units: Sequence[Sequence[str]]) -> float:
    """Krippendorff's alpha from its definition: all pairs within units against all pairs."""
    pairable = [unit for unit in units if len(unit) > 1]
    values = [value for unit in pairable for value in unit]
    observed = sum(
        sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in pairable
    ) / len(values)
    expected = sum(a != b for a, b in permutations(values, 2)) / (len(values) * (len(values) - 1))
    return 1 - observed / expected


SAID = st.dictionaries(
    st.sampled_from([f"run {number}" for number in range(8)]),
    st.dictionaries(st.sampled_from(["ann", "bob", "cid"]), st.sampled_from(KEYS[:3]), min_size=1),
    min_size=1,
)


@given(SAID)
def test_agreement_is_that_of_its_definition(said: dict[str, dict[str, str]]) -> None:
    rows = [label(run, cause, by=by) for run, each in said.items() for by, cause in each.items()]
    check = check_labels(Labels(tuple(rows)))
    units = [list(each.values()) for each in said.values()]
    several = [unit for unit in units if len(unit) > 1]
    assert check.shared == len(several)
    if len({value for unit in several for value in unit}) < 2:
        assert check.alpha is None
    else:
        assert check.alpha == pytest.approx(alpha(units))
    for pair in check.pairs:
        both = [[each[by] for by in pair.annotators] for each in said.values()
                if set(pair.annotators) <= set(each)]  # fmt: skip
        assert pair.runs == len(both)
        assert pair.agreed == pytest.approx(np.mean([a == b for a, b in both]))
    assert len(found(check, "conflict")) == sum(len(set(unit)) > 1 for unit in units)


def test_who_cannot_tell_contradicts_nobody() -> None:
    rows = (
        label("a", "healthy"), label("a", "unknown", by="bob"),
        label("b", "lr_too_high", "overfitting"),
        label("b", "overfitting", "lr_too_high", by="bob"),
        label("c", "lr_too_high"), label("c", "lr_too_high", "overfitting", by="bob"),
    )  # fmt: skip
    check = check_labels(Labels(rows))
    assert [finding.run_ids for finding in found(check, "conflict")] == [("c",)]
    (conflict,) = found(check, "conflict")
    assert conflict.text == "ann: lr_too_high, bob: lr_too_high and overfitting"
    assert conflict.annotators == ("ann", "bob")
    assert (check.unsure, check.labels, check.runs, check.shared) == (1, 6, 3, 3)
    assert check.alpha is not None


def test_what_was_said_before_is_counted() -> None:
    first = label("a", "healthy")
    rows = (
        first, label("a", "overfitting", hour=1), label("a", "healthy", hour=2),
        label("b", "healthy"), label("b", "healthy").withdrawn(NOON + timedelta(hours=1)),
    )  # fmt: skip
    check = check_labels(Labels(rows))
    assert (check.rows, check.superseded, check.withdrawn, check.labels) == (5, 3, 1, 1)


def test_copies_of_a_curve() -> None:
    one, two, three = "1" * 32, "2" * 32, "3" * 32
    rows = (
        label("a", "healthy", curve_hash=one), label("copy of a", "overfitting", curve_hash=one),
        label("b", "healthy", curve_hash=two), label("copy of b", "healthy", curve_hash=two),
        label("c", "healthy", curve_hash=three), label("c", "healthy", by="bob", curve_hash=one),
        label("d", "healthy"), label("e", "overfitting"),
    )  # fmt: skip
    check = check_labels(Labels(rows))
    (conflict,) = found(check, "same_curve_conflict")
    assert conflict.run_ids == ("a", "copy of a", "c")
    assert conflict.text.startswith("a by ann: healthy; copy of a by ann: overfitting")
    assert [finding.run_ids for finding in found(check, "same_curve")] == [("b", "copy of b")]
    assert [finding.run_ids for finding in found(check, "changed_curve")] == [("c",)]
    assert check.conflicts == 1


def test_shares_of_the_causes() -> None:
    rows = [label(f"run {number}", "healthy") for number in range(19)]
    check = check_labels(Labels((*rows, label("odd", "overfitting"))))
    assert [finding.causes for finding in found(check, "one_example")] == [("overfitting",)]
    (one_sided,) = found(check, "one_sided")
    assert one_sided.text.startswith("healthy has 19 of 20 labels")
    few = check_labels(Labels(tuple(rows[:5])))
    assert not few.findings


def test_an_annotator_at_odds_with_the_others() -> None:
    rows = []
    for number in range(8):
        truth, other = KEYS[number % 3], KEYS[3 + number % 3]
        rows += [label(f"run {number}", truth, by=by) for by in ("ann", "bob")]
        rows.append(label(f"run {number}", other if number else truth, by="cid"))
    check = check_labels(Labels(tuple(rows)))
    (odd,) = found(check, "annotator_at_odds")
    assert odd.annotators == ("cid",)
    assert odd.text == "cid agrees with 12% of what others say of 8 runs"
    two = check_labels(Labels(tuple(row for row in rows if row.annotator != "bob")))
    assert not found(two, "annotator_at_odds")


def predicted(truth: Sequence[str], seed: int, keys: Sequence[str] = KEYS) -> list[Score]:
    """Scores of a predictor that is right nearly always."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, cause in enumerate(truth):
        chances = dict(zip(keys, rng.dirichlet(np.full(len(keys), 0.3)) * 0.3, strict=True))
        chances[cause] = chances.get(cause, 0.0) + 0.7
        rows.append(score(f"run {number}", {key: float(value) for key, value in chances.items()}))
    return rows


@pytest.mark.parametrize("annotators", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_are_found(annotators: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = [KEYS[number % 6] for number in range(120)]
    scores = predicted(truth, seed)
    wrong = set(rng.choice(len(truth), 10, replace=False).tolist())
    rows = []
    for number, cause in enumerate(truth):
        given = KEYS[(KEYS.index(cause) + 1) % 6] if number in wrong else cause
        several = annotators if number % 2 else 1
        rows += [label(f"run {number}", given, by=f"person {by}") for by in range(several)]
    check = check_labels(Labels(tuple(rows)), scores)
    told = {
        int(run_id.split()[1]) for each in found(check, "label_error") for run_id in each.run_ids
    }
    assert check.checked == 120
    assert len(told & wrong) >= 9
    assert len(told - wrong) <= 1
    worst = [each.score for each in found(check, "label_error")]
    assert worst == sorted(worst, key=lambda value: value or 0.0)
    assert "the scores say" in found(check, "label_error")[0].text


def test_what_scores_cannot_check() -> None:
    truth = [KEYS[number % 3] for number in range(12)]
    scores = [*predicted(truth, 0), score("failed", None)]
    rows = [label(f"run {number}", cause) for number, cause in enumerate(truth)]
    rows[0] = label("run 0", "repeated_shard")
    rows[1] = label("run 1", "unknown")
    rows += [label("failed", "healthy"), label("lost", "healthy"), label("lost too", "unknown")]
    team = {"repeated_shard": TeamCause("repeated_shard", "Shard read twice")}
    check = check_labels(Labels(tuple(rows), team), scores)
    assert check.checked == 10
    texts = [finding.text for finding in found(check, "unchecked")]
    assert texts[0].startswith("1 labels repeated_shard: the scores have no column p_repeated")
    assert texts[1] == "1 labels of runs that have no probabilities in the scores"
    assert [finding.run_ids for finding in found(check, "gone")] == [("lost",), ("lost too",)]
    assert not found(check, "label_error")
    nothing = check_labels(Labels(()), scores)
    assert (nothing.labels, nothing.alpha, nothing.findings) == (0, None, ())


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("keys", [KEYS[:1], KEYS[:2], KEYS])
def test_few_labels_are_no_trouble(n: int, keys: list[str]) -> None:
    truth = [keys[number % len(keys)] for number in range(n)]
    rows = [label(f"run {number}", keys[0], by=by) for number in range(n) for by in ("a", "b")]
    for part in (rows, rows[::2]):
        assert check_labels(Labels(tuple(part)), predicted(truth, 0, keys)).checked == n


@given(SAID, st.booleans())
def test_ties_are_broken_in_the_same_way_each_time(
    said: dict[str, dict[str, str]], flat: bool
) -> None:
    rows = [label(run, cause, by=by) for run, each in said.items() for by, cause in each.items()]
    even = dict.fromkeys(KEYS, 1 / len(KEYS))
    scores = [score(run, even if flat else {**even, KEYS[1]: 0.9}) for run in said]
    state = np.random.get_state()[1]  # noqa: NPY002
    first = check_labels(Labels(tuple(rows)), scores)
    assert check_labels(Labels(tuple(rows)), scores) == first
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_a_row_of_zeros_is_no_trouble() -> None:
    scores = [score(f"run {n}", dict.fromkeys(KEYS, 0.0)) for n in range(3)]
    rows = tuple(label(f"run {n}", KEYS[n]) for n in range(3))
    assert check_labels(Labels(rows), scores).checked == 3


def everything() -> Check:
    findings = [
        Finding(kind, f"=1 {kind} \x1b[31m", ("run \n1", "2"), ("healthy",), ("ann",), 0.5)
        for kind in KINDS
        for _ in range(30)
    ]
    rows = tuple(
        label("a", cause, by=by) for cause, by in (("healthy", "ann"), ("lr_too_low", "b"))
    )
    checked = check_labels(Labels(rows))
    fields = {name: getattr(checked, name) for name in Check.__dataclass_fields__}
    return Check(**{**fields, "findings": tuple(findings)})


def test_all_kinds_can_be_printed() -> None:
    from rich.console import Console

    check = everything()
    whole = json.loads(check_to_json(check))
    assert whole["check_version"] == 1
    assert whole["alpha"] == pytest.approx(0.0)
    assert len(whole["findings"]) == 30 * len(KINDS)
    text = check_to_csv(check)
    assert "'=1 conflict" in text
    assert text.count("annotator_at_odds") == 2 * 30
    lines = check_to_text(check)
    assert all(f"  30  {words}" in lines for words in KINDS.values())
    console = Console(width=100)
    with console.capture() as capture:
        for table in tables(check):
            console.print(table)
    assert "and 10 more: --format csv has them all" in capture.get()
    assert "\x1b[31m" not in capture.get()
    assert set(CONFLICTS) < set(KINDS)


def curvet(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    rows = [label(f"run {n}", KEYS[n % 3], by=by) for n in range(12) for by in ("ann", "bob")]
    rows[3] = label("run 1", "overfitting", by="bob")
    write_labels(Labels(tuple(rows)), path)
    return path


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_the_command(ending: str, sheet: Path, tmp_path: Path) -> None:
    from curvet.score.outputs import write

    table = tmp_path / f"scores{ending}"
    rows = predicted([KEYS[n % 3] for n in range(11)], 0)
    empty = {column.name: None for column in columns([])} | {"likely": [], "schema_version": 1}
    texts = {"source": "", "status": "ok", "evidence": ""}
    records = [
        {**empty, **texts, "run_id": row.run_id, "cause": row.cause, "probability": 0.9}
        | {f"p_{key}": value for key, value in row.probabilities.items()}
        for row in rows
    ]
    write(table, columns(KEYS), [records])
    done = curvet("labels", "check", sheet, "--scores", table)
    assert done.exit_code == 0, done.output
    assert "24 labels of 12 runs by 2 annotators" in done.stdout
    assert "several annotators: 12 runs (100%), Krippendorff's alpha 0.88" in done.stdout
    assert "   1  annotators who disagree" in done.stdout
    assert "   1  labelled runs that are not in the scores" in done.stdout
    assert "compared with scores: 11 runs" in done.stdout
    strict = curvet("labels", "check", sheet, "--strict", "--format", "json")
    assert strict.exit_code == 1
    assert json.loads(strict.stdout)["pairs"][0]["runs"] == 12
    assert "1 conflicts, and --strict was given" in strict.stderr
    out = tmp_path / "findings.csv"
    assert curvet("labels", "check", sheet, "--format", "csv", "--out", out).exit_code == 0
    with out.open(encoding="utf-8", newline="") as stream:
        kinds = [row["kind"] for row in csv.DictReader(stream)]
    assert kinds == ["conflict", "one_example"]
    wrong = curvet("labels", "check", sheet, "--scores", tmp_path / "no.parquet")
    assert wrong.exit_code == 2


def test_pairs_are_all_pairs() -> None:
    names = ["ann", "bob", "cid", "dan"]
    rows = tuple(label("a", "healthy", by=name) for name in names)
    check = check_labels(Labels(rows))
    assert {pair.annotators for pair in check.pairs} == set(combinations(names, 2))
