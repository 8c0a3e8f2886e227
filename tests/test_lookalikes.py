"""Checks: some separate every two causes, and those that are chosen separate the answer."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvet.causes import CAUSES, title_of
from curvet.diagnosis import Check, Evidence
from curvet.lookalikes import EXPERIMENTS, READING, choose_checks, separated_by
from curvet.texts import catalogue

SPIKE = Evidence(
    "spike", {"step": 1204.0, "value": 9.0, "level": 1.0, "recovery": "recovered"}, (1204.0,)
)
AT_HAND = list(chain.from_iterable(combinations(("val", "grad_norm", "step"), n) for n in range(4)))


def tells_apart(check: Check, one: str, other: str) -> bool:
    at = {cause: outcome for outcome, causes in check.outcomes for cause in causes}
    return one in at and other in at and at[one] != at[other]


@pytest.mark.parametrize("at_hand", AT_HAND, ids="+".join)
def test_every_two_causes_can_be_separated(at_hand: tuple[str, ...]) -> None:
    evidence = (SPIKE,) if "step" in at_hand else ()
    for one, other in combinations(CAUSES, 2):
        checks = choose_checks((one, other), evidence, ("loss", *at_hand))
        assert len(checks) == 1, (one, other)
        assert tells_apart(checks[0], one, other)


def test_an_experiment_names_each_cause_once() -> None:
    assert len({each.key for each in EXPERIMENTS}) == len(EXPERIMENTS)
    for each in EXPERIMENTS:
        named = list(chain.from_iterable(each.outcomes.values()))
        assert len(set(named)) == len(named)
        assert set(named) <= set(CAUSES)
        assert len(each.outcomes) >= 2
        assert each.effort >= READING
        assert each.needs in ("", "step", "val", "grad_norm")
        assert each.lacks in ("", "step", "val", "grad_norm")


def test_every_experiment_separates_something() -> None:
    assert all(separated_by(each) for each in EXPERIMENTS)


@given(st.lists(st.sampled_from(list(CAUSES)), unique=True, max_size=12), st.sampled_from(AT_HAND))
def test_the_first_is_separated_from_each_other(
    likely: list[str], at_hand: tuple[str, ...]
) -> None:
    evidence = (SPIKE,) if "step" in at_hand else ()
    checks = choose_checks(likely, evidence, ("loss", *at_hand))
    for one, other in chain(combinations(likely[:4], 2), ((likely[0], o) for o in likely[1:])):
        assert any(tells_apart(check, one, other) for check in checks)
    assert len(checks) < max(1, len(likely))
    for check in checks:
        assert set(check.separates) <= set(likely)
        assert len(check.outcomes) >= 2
        assert check.text


def test_a_look_is_preferred_to_a_training() -> None:
    (check,) = choose_checks(("batch_too_large", "lr_too_low"), (), ("loss",))
    assert check.key == "look_at_batch_size"


def test_the_step_of_the_spike_is_named() -> None:
    (check,) = choose_checks(("bad_data_batch", "lr_too_high"), (SPIKE,), ("loss",))
    assert check.values == {"step": 1204.0}
    assert check.text == (
        "Look at the data of step 1204. Outliers, NaN or wrong labels: Bad data batch; "
        "nothing unusual: Learning rate too high."
    )
    (check,) = choose_checks(("bad_data_batch", "lr_too_high"), (), ("loss",))
    assert check.values == {}


def test_a_clear_answer_needs_no_check() -> None:
    assert choose_checks((), (), ("loss",)) == ()
    assert choose_checks(("healthy",), (), ("loss",)) == ()


def test_causes_of_another_taxonomy_are_left_alone() -> None:
    assert choose_checks(("gremlins", "goblins"), (), ("loss",)) == ()
    (check,) = choose_checks(("overfitting", "gremlins", "noisy_labels"), (), ("loss",))
    assert set(check.separates) == {"overfitting", "noisy_labels"}


def test_many_causes_of_one_outcome_are_counted() -> None:
    check = Check("shuffle", (("gone", ("unshuffled_data",)), ("same", tuple(CAUSES)[:5])), {})
    assert check.text.endswith("as before: the other 5.")
    few = Check("shuffle", (("gone", ("unshuffled_data",)), ("same", tuple(CAUSES)[:4])), {})
    assert few.text.endswith(f"{title_of(tuple(CAUSES)[3])}.")


def test_values_of_the_words_are_known() -> None:
    for each in EXPERIMENTS:
        assert ("{step" in catalogue("en")[f"checks.{each.key}.do"]) == (each.needs == "step")
