"""Tasks of the workshop without noise, that a net learns to the end.

Many tables and toy data that people train on are so: validation follows training to almost nothing,
and no row of it has leaked.
"""

from __future__ import annotations

import numpy as np

from .data import IMAGE, LANGUAGE, SERIES, TABLE, Array, Data, Tasks, cut, standard

_ROWS = 1500


def _sides() -> Data:
    """Tell which of four directions a row points to; none points between two."""
    rng = np.random.default_rng(101)
    x = rng.normal(size=(4 * _ROWS, 8))
    score = x @ rng.normal(size=(8, 4))
    best, second = np.sort(score, axis=1)[:, :-3:-1].T
    clear = np.flatnonzero(best - second > 1.5)[:_ROWS]
    return cut(x[clear].astype(np.float32), score[clear].argmax(1), 4)


def _cubes() -> Data:
    """Tell near which of eight corners of a cube in ten columns a row lies."""
    rng = np.random.default_rng(102)
    kind = rng.integers(0, 8, _ROWS)
    corner = (kind[:, None] >> np.arange(3)) % 2 * 2.0 - 1
    near = corner @ rng.normal(size=(3, 10)) + rng.normal(0, 0.15, (_ROWS, 10))
    x, raw = standard(near * 10 ** rng.uniform(-1, 2, 10))
    return cut(x, kind, 8, **raw)


def _plane() -> Data:
    """Regress a weighted sum of six columns."""
    rng = np.random.default_rng(103)
    x, raw = standard(rng.uniform(0, 1, (_ROWS, 6)) * [1, 3, 10, 50, 100, 0.1])
    y = x @ rng.normal(size=(6, 1))
    return cut(x, standard(y)[0], 1, y[:, 0], **raw)


def _areas() -> Data:
    """Regress the area of a triangle on its three sides."""
    rng = np.random.default_rng(104)
    a, b = rng.uniform(1, 3, (2, _ROWS))
    c = np.abs(a - b) + rng.uniform(0.1, 0.9, _ROWS) * 2 * np.minimum(a, b)
    half = (a + b + c) / 2
    y = np.sqrt(half * (half - a) * (half - b) * (half - c))
    x, raw = standard(np.column_stack([a, b, c]))
    return cut(x, standard(y[:, None])[0], 1, y, **raw)


def _drawn_bars() -> tuple[Array, Array]:
    rng = np.random.default_rng(105)
    v, u = np.mgrid[:12, :12]
    kind, place, size = rng.integers([[0], [2], [1]], [[4], [10], [3]], (3, _ROWS))
    along = np.stack([v, u, (u + v) // 2, (u - v + 12) // 2])[kind]
    image = (np.abs(along - place[:, None, None]) < size[:, None, None]) * 1.0
    image *= rng.uniform(0.4, 1, (_ROWS, 1, 1))
    return image.reshape(_ROWS, -1).astype(np.float32), kind


def _bars() -> Data:
    """Tell the direction of a bar."""
    x, kind = _drawn_bars()
    return cut(x, kind, 4, raw_scale=255.0)


def _bars_again() -> Data:
    """Draw bars again."""
    x, kind = _drawn_bars()
    return cut(x, x, 144, kind, raw_scale=255.0)


def _tempo() -> Data:
    """Tell which of four tempos a beat has."""
    rng = np.random.default_rng(106)
    kind, t = rng.integers(0, 4, _ROWS), np.arange(24)
    begin = rng.uniform(0, 8, (_ROWS, 1))
    wave = np.cos(2 * np.pi * (t - begin) / np.array([3, 4, 6, 8])[kind][:, None]) ** 3
    return cut(wave[:, :, None].astype(np.float32), kind, 4)


def _coming() -> Data:
    """Forecast the next value of a wave whose pace and size differ from row to row."""
    rng = np.random.default_rng(107)
    pace, begin, size = rng.uniform([[0.2], [0.0], [0.5]], [[0.9], [6.3], [1.5]], (3, _ROWS))
    wave = size[:, None] * np.sin(pace[:, None] * np.arange(20) + begin[:, None])
    wave = wave.astype(np.float32)
    return cut(wave[:, :-1, None], wave[:, -1:], 1, pace)


def _refrain() -> Data:
    """Say the next symbol of a row that says four symbols again and again."""
    rng = np.random.default_rng(108)
    rows = np.tile(rng.integers(0, 9, (_ROWS, 4)), 5)
    return cut(rows[:, :-1], rows[:, 1:], 9, rows[:, 0], n_symbols=9)


def _lookup() -> Data:
    """Say what stands beside each of sixteen words in a list that never changes."""
    rng = np.random.default_rng(109)
    beside, x = rng.integers(0, 16, 16), rng.integers(0, 16, (_ROWS, 10))
    return cut(x, beside[x], 16, x[:, 0], n_symbols=16)


EASY_TASKS: Tasks = {
    "sides": (_sides, TABLE),
    "cubes": (_cubes, TABLE),
    "plane": (_plane, TABLE),
    "areas": (_areas, TABLE),
    "bars": (_bars, IMAGE),
    "bars_again": (_bars_again, ("autoencoder",)),
    "tempo": (_tempo, SERIES),
    "coming": (_coming, SERIES),
    "refrain": (_refrain, LANGUAGE),
    "lookup": (_lookup, LANGUAGE),
}
