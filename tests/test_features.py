"""Features against tsfresh itself, on easy and on hard series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from curvet.compiled.series import COLUMNS, calculator
from curvet.features import CALCULATORS, FEATURES, _tsfresh_name, extract_features
from curvet.kernels import compute
from curvet.roles import Channels
from curvet.run import Curve
from curvet.standardise import standardise

RNG = np.random.default_rng(0)
WALK = np.where(RNG.random(150) < 0.1, np.nan, RNG.standard_normal(150).cumsum())
SERIES = {
    "noise": RNG.standard_normal(100),
    "walk": RNG.standard_normal(256).cumsum(),
    "ties": RNG.integers(0, 3, 64).astype(float),
    "constant": np.full(30, 0.7),
    "zeros": np.zeros(20),
    "two points": np.array([1.0, 0.5]),
    "three points": np.array([1.0, 0.5, 0.75]),
    "four points": np.array([1.0, 0.5, 0.75, 0.75]),
    "short": RNG.standard_normal(9),
    "spike": np.where(np.arange(80) == 40, 50.0, 1.0),
    "falling": np.exp(-np.arange(120) / 30),
    "tiny": 1e-9 * RNG.standard_normal(50),
    "large": 1e6 * RNG.standard_normal(50),
    "alternating": np.tile([1.0, -1.0], 20),
    "steps": np.repeat([2.0, 2.0, 1.0, 1.5, 1.0], 9),
    "rounded": np.round(RNG.standard_normal(200).cumsum(), 1),
    "one that differs": np.where(np.arange(31) == 30, 1.0, 2.0),
    "eleven": RNG.integers(0, 2, 11).astype(float),
    "fifteen": -np.arange(15.0),
    "not finite removed": WALK[np.isfinite(WALK)],
    "hundred thousandth": 1.0 + 1e-5 * RNG.standard_normal(300),
    "long": np.exp(-np.arange(2000) / 400) + 0.01 * RNG.standard_normal(2000),
}

EXCUSED = {
    ("linear_trend", "constant"): "tsfresh correlates the rounding error of the mean; ours is NaN",
}


@pytest.fixture(scope="module")
def by_tsfresh() -> pd.DataFrame:
    from tsfresh import extract_features as tsfresh_extract

    frame = pd.concat(
        pd.DataFrame({"id": name, "t": np.arange(len(x)), "x": x}) for name, x in SERIES.items()
    )
    settings = {name: (None if ps == [{}] else list(ps)) for name, ps in CALCULATORS.items()}
    return tsfresh_extract(
        frame,
        column_id="id",
        column_sort="t",
        default_fc_parameters=settings,
        n_jobs=0,
        disable_progressbar=True,
    )


def test_every_calculator_has_a_kernel() -> None:
    needed = [calculator(name, **p) for name, ps in CALCULATORS.items() for p in ps]
    assert sorted(COLUMNS) == sorted(needed)


@pytest.mark.filterwarnings("ignore")  # tsfresh's own, on constant series
@pytest.mark.parametrize("name", CALCULATORS)
def test_kernel_equals_tsfresh(name: str, by_tsfresh: pd.DataFrame) -> None:
    columns = [f"x__{_tsfresh_name(name, p)}" for p in CALCULATORS[name]]
    for series, x in SERIES.items():
        if (name, series) in EXCUSED:
            continue
        expected = by_tsfresh.loc[series, columns].to_numpy(float)
        found = compute(tuple(calculator(name, **p) for p in CALCULATORS[name]), x[None])[0]
        np.testing.assert_allclose(
            found, expected, rtol=1e-6, atol=1e-9, err_msg=f"{name} of {series}"
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("number_cwt_peaks", [{"n": 1}, {"n": 5}]),
        ("ar_coefficient", [{"coeff": 0, "k": 10}, {"coeff": 1, "k": 10}]),
    ],
)
def test_without_a_kernel_tsfresh_itself_is_asked(name: str, parameters: list[Any]) -> None:
    from tsfresh import extract_features as tsfresh_extract

    x = np.stack([SERIES["noise"], SERIES["noise"][::-1].cumsum()])
    frame = pd.DataFrame({"id": np.repeat([0, 1], 100), "x": x.ravel()})
    expected = tsfresh_extract(
        frame,
        column_id="id",
        default_fc_parameters={name: parameters},
        n_jobs=0,
        disable_progressbar=True,
    )
    columns = [f"x__{_tsfresh_name(name, p)}" for p in parameters]
    asked = tuple(calculator(name, **p) for p in parameters)
    np.testing.assert_allclose(compute(asked, x), expected[columns].to_numpy(), rtol=1e-6)


def _run(n: int, seed: int) -> Channels:
    rng = np.random.default_rng(seed)
    loss = np.exp(-np.linspace(0, 3, n)) + 0.05 * rng.standard_normal(n) ** 2
    return Channels(Curve.of("loss", loss), Curve.of("val", loss[::2] + 0.1), None, None)


def test_a_run_ignores_its_neighbours() -> None:
    runs = [standardise(_run(n, seed)) for seed, n in enumerate((7, 40, 40, 300, 1000))]
    together = extract_features(runs)
    alone: list[NDArray[np.float32]] = [extract_features([run])[0] for run in runs]
    np.testing.assert_array_equal(together, np.stack(alone))
    assert together.shape == (5, len(FEATURES))


def test_no_runs_have_no_features() -> None:
    assert extract_features([]).shape == (0, len(FEATURES))


def test_missing_channels_are_nan_and_nothing_else() -> None:
    run = standardise(_run(50, 0))
    row = dict(zip(FEATURES, extract_features([run])[0], strict=True))
    assert np.isnan(row["grad_norm__mean"])
    assert np.isfinite(row["gap__mean"])
    assert np.isfinite(row["loss__mean"])
