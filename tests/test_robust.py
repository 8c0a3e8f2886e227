"""Running medians and noise levels: against the obvious way, at the ends, and at any length."""

from __future__ import annotations

import time

import numpy as np
import pytest

from curvet.robust import noise_level, running_median


@pytest.mark.parametrize(("n", "width"), [(9, 3), (40, 7), (40, 8), (7, 30)])
def test_running_median(n: int, width: int) -> None:
    x = np.random.default_rng(n).random(n)
    half = min(width // 2, n - 1)
    mirrored = np.concatenate([x[half:0:-1], x, x[-2 : -2 - half : -1]])
    expected = [np.median(mirrored[i : i + 2 * half + 1]) for i in range(n)]
    np.testing.assert_allclose(running_median(x, width), expected)


def test_a_spike_at_the_end_is_not_the_level_around_it() -> None:
    x = np.append(np.ones(50), 9.0)
    assert running_median(x, 7)[-1] == 1.0


def test_one_value_is_its_own_median() -> None:
    assert running_median(np.array([3.0]), 5).tolist() == [3.0]
    assert running_median(np.array([3.0, 4.0]), 1).tolist() == [3.0, 4.0]


def test_wide_windows_cost_no_more_than_a_bounded_number_of_neighbours() -> None:
    x = np.linspace(0, 1, 40_000) + np.random.default_rng(0).normal(0, 0.1, 40_000)
    begin = time.process_time()
    level = running_median(x, 8_000)
    assert time.process_time() - begin < 5  # the whole window would take a minute
    np.testing.assert_allclose(level[4000:-4000], np.linspace(0, 1, 40_000)[4000:-4000], atol=0.08)


def test_noise_level_is_the_standard_deviation_whatever_the_spikes() -> None:
    x = np.random.default_rng(1).normal(0, 0.3, 4000)
    x[::100] = 50
    assert noise_level(x) == pytest.approx(0.3, rel=0.08)
    assert noise_level(np.ones(5)) == 0
