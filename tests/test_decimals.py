"""Numbers in text, many at once: the same doubles as Python's float makes of them."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvet.readers import decimals
from curvet.readers.decimals import rows_of_numbers

TEXTS = st.one_of(
    st.floats().map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.from_regex(r"[+-]?\d{0,25}\.?\d{0,25}(e[+-]?\d{1,3})?", fullmatch=True, alphabet="0159.e+-"),
    st.sampled_from(
        ["nan", "-inf", "Infinity", "1_0", "1e400", "-5e-324", " 2.5 ", "", "0x1p3", "\u0663"]
    ),
    st.sampled_from(["-NaN", "+nan", "Inf", "nin", "1enan", "2inf"]),
)


@pytest.fixture(autouse=True, params=[-1, 2**62], ids=["compiled", "simple"])
def _route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decimals, "_WORTH", request.param)


def assert_as_float(texts: Sequence[str]) -> None:
    found = rows_of_numbers("".join(f"{text}\n" for text in texts).encode(), b",", 1)
    try:
        expected = np.array([float(text.encode()) for text in texts])
    except ValueError:
        expected = None
    if expected is None or any("_" in text for text in texts):
        assert found is None
    else:
        assert found is not None
        assert found[0].tobytes() == expected.tobytes()  # the bits: 0.0 is not -0.0


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_each_number_is_as_float_reads_it(texts: list[str]) -> None:
    assert_as_float(texts)


def test_numbers_of_all_sizes() -> None:
    draw = random.Random(0)
    assert_as_float([repr(draw.random()) for _ in range(5000)])
    bits = [struct.pack("<Q", draw.getrandbits(64)) for _ in range(5000)]
    assert_as_float([repr(*struct.unpack("<d", one)) for one in bits])
    assert_as_float([f"{draw.getrandbits(64)}e{draw.randint(-70, 70)}" for _ in range(5000)])
    assert_as_float([f"{draw.lognormvariate(0, 9):.{draw.randint(0, 18)}e}" for _ in range(5000)])


def test_numbers_between_two_doubles_go_to_the_even_one() -> None:
    draw = random.Random(0)
    odd = [draw.getrandbits(53) | 1 << 53 | 1 for _ in range(2000)]
    assert_as_float([str(number) for number in odd])
    assert_as_float([f"{number * 5**power}e-{power}" for power in range(1, 5) for number in odd])
    assert_as_float([f"{number // 5**power}e{power}" for power in range(24) for number in odd])


@pytest.mark.parametrize(
    "body",
    [
        b"1,2\n3\n",
        b"1,2,3\n4,5,6\n",
        b"1,2\n\n3,4\n",
        b"1,2\n3,4",
        b"1,2\r\n",
        b'"1",2\n',
        b"1,2\t\n",
    ],
)
def test_what_is_no_table_of_two_columns(body: bytes) -> None:
    assert rows_of_numbers(body, b",", 2) is None
