"""Standardised run -> named features: tsfresh's features, by tsfresh's names.

Each column is ``<series>__<tsfresh feature>``, for example ``loss__quantile__q_0.9``, and holds
what tsfresh computes for that series. Two kinds are ours: ``<series>__at__p_<share>`` is the
smoothed value after a share of the run, and ``run__...`` are counts that no series shows and the
numbers of `traits`.

Source: Christ et al., Time Series FeatuRe Extraction on basis of Scalable Hypothesis tests,
Neurocomputing 307 (2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernels import compute
from .standardise import OPTIONAL, SCALARS, Batch, Standardised
from .standardise import SERIES as STANDARD

SERIES = (
    "loss",
    "shape",
    "change",
    "noise",
    "val",
    "val_shape",
    "gap",
    "grad_norm",
    "grad_shape",
    "lr",
)
"""Series of which features are taken; ``change`` is the difference of ``loss``."""

CALCULATORS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "mean": [{}],
    "median": [{}],
    "standard_deviation": [{}],
    "skewness": [{}],
    "kurtosis": [{}],
    "minimum": [{}],
    "maximum": [{}],
    "first_location_of_maximum": [{}],
    "last_location_of_maximum": [{}],
    "first_location_of_minimum": [{}],
    "last_location_of_minimum": [{}],
    "mean_abs_change": [{}],
    "mean_change": [{}],
    "mean_second_derivative_central": [{}],
    "root_mean_square": [{}],
    "longest_strike_above_mean": [{}],
    "longest_strike_below_mean": [{}],
    "ratio_value_number_to_time_series_length": [{}],
    "absolute_sum_of_changes": [{}],
    "mean_n_absolute_max": [{"number_of_maxima": 7}],
    "count_above": [{"t": 0}],
    "quantile": [{"q": q} for q in (0.05, 0.1, 0.25, 0.75, 0.9, 0.95)],
    "ratio_beyond_r_sigma": [{"r": r} for r in (1, 2, 3, 5)],
    "autocorrelation": [{"lag": lag} for lag in (1, 2, 3, 5, 8, 16)],
    "c3": [{"lag": 1}, {"lag": 3}],
    "time_reversal_asymmetry_statistic": [{"lag": 1}, {"lag": 3}],
    "cid_ce": [{"normalize": True}, {"normalize": False}],
    "number_crossing_m": [{"m": 0}],
    "number_peaks": [{"n": 1}, {"n": 5}],
    "binned_entropy": [{"max_bins": 10}],
    "linear_trend": [{"attr": "slope"}, {"attr": "rvalue"}, {"attr": "stderr"}],
    "energy_ratio_by_chunks": [{"num_segments": 5, "segment_focus": i} for i in range(5)],
    "fft_coefficient": [{"attr": "abs", "coeff": c} for c in (1, 2, 3, 5, 8)],
    "fft_aggregated": [{"aggtype": a} for a in ("centroid", "variance", "skew", "kurtosis")],
    "permutation_entropy": [{"dimension": 3, "tau": 1}],
}
"""tsfresh's calculators and their parameters, in tsfresh's own form."""

_BLOCK = 2**15  # points that are looked at together: they and their order stay in the cache
_LARGEST = 1e6
_AT = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 1.0)


def _tsfresh_name(calculator: str, parameters: Mapping[str, Any]) -> str:
    """Name a feature as tsfresh does: strings in quotes, parameters in alphabetical order."""
    parts = [
        f'{key}_"{value}"' if isinstance(value, str) else f"{key}_{value}"
        for key, value in sorted(parameters.items())
    ]
    return "__".join([calculator, *parts])


_OF_SERIES = (
    *(_tsfresh_name(name, p) for name, ps in CALCULATORS.items() for p in ps),
    *(f"at__p_{share}" for share in _AT),
)
FEATURES = (
    *(f"{series}__{name}" for series in SERIES for name in _OF_SERIES),
    *(f"run__{name}" for name in SCALARS),
)
"""Name of every feature, in the order of the columns."""

_ASKED = tuple((name, tuple(sorted(p.items()))) for name, ps in CALCULATORS.items() for p in ps)
_CHANGE = SERIES.index("change")
_PLACES = np.array([STANDARD.index("loss" if name == "change" else name) for name in SERIES])


def channel_of(feature: str) -> str | None:
    """Name the optional channel that a feature needs; None for those of the training loss."""
    series, _, name = feature.partition("__")
    for channel, needed in OPTIONAL.items():
        if series in needed or (series == "run" and name.startswith(f"{channel}_")):
            return channel
    return None


def extract_features(runs: Sequence[Standardised]) -> NDArray[np.float32]:
    """Compute the features of many runs; a run's features do not depend on its neighbours.

    Parameters
    ----------
    runs : sequence of Standardised
        Any runs.

    Returns
    -------
    array of shape (run, feature), float32
        In the order of `FEATURES`; NaN where a series is missing or too short.
    """
    batch = Batch.of(runs)
    at = len(SERIES) * len(_OF_SERIES)
    out = np.full((len(batch), len(FEATURES)), np.nan, np.float32)
    of_series = out[:, :at].reshape(len(batch), len(SERIES), len(_OF_SERIES))
    out[:, at:] = np.clip(batch.numbers, -_LARGEST, _LARGEST)
    counts = batch.counts[:, _PLACES]
    counts[:, _CHANGE] -= 1
    order = np.argsort(counts.astype(np.int16), axis=None, kind="stable")  # quick for so few bits
    lengths, starts = np.unique(counts.reshape(-1)[order], return_index=True)
    ends = np.append(starts, len(order))[1:]
    for length, start, end in zip(lengths.tolist(), starts, ends, strict=True):
        if length < 2:
            continue
        rows, places = np.divmod(order[start:end], len(SERIES))
        size = max(1, _BLOCK // length)
        for begin in range(0, len(rows), size):
            row, place = rows[begin : begin + size], places[begin : begin + size]
            x = batch.values[row, _PLACES[place], :length]
            change = np.flatnonzero(place == _CHANGE)
            if len(change):
                x[change] = batch.values[row[change], _PLACES[_CHANGE], 1 : length + 1] - x[change]
            found = _of_series(x)
            of_series[row, place] = np.clip(found, -_LARGEST, _LARGEST, out=found)
    return out


def _of_series(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the features of series of one length, (series, point) -> (series, feature)."""
    from .compiled.series import levels

    centres = np.array([round(share * (x.shape[1] - 1)) for share in _AT])
    at = np.empty((len(x), len(_AT)))
    levels(x, centres, x.shape[1] // 50, at)
    return np.concatenate([compute(_ASKED, x), at], axis=1)
