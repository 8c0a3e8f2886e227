"""Tasks of the workshop with more rows than a training sees more than a few times.

Much of what people train has so much data that validation follows training all the way: with a
thousand rows that is rare, and a sign of a leak.
"""

from __future__ import annotations

import numpy as np

from .data import (
    IMAGE,
    ITSELF,
    LANGUAGE,
    SERIES,
    TABLE,
    Array,
    Data,
    Tasks,
    cut,
    spelled,
    standard,
    validated_on,
)
from .plan import Rng

_ROWS = 24_000
_VAL_ROWS = 600


def _plenty(data: Data) -> Data:
    return validated_on(data, _VAL_ROWS)


def _teacher() -> Data:
    """Tell which of ten outputs of an untrained net is the largest."""
    rng = np.random.default_rng(81)
    x = rng.normal(size=(_ROWS, 20))
    hidden = np.tanh(x @ rng.normal(0, 0.5, (20, 24)))
    seen = hidden @ rng.normal(size=(24, 10)) + rng.normal(0, 0.4, (_ROWS, 10))
    return _plenty(cut(x.astype(np.float32), seen.argmax(1), 10))


def _branches() -> Data:
    """Tell at which of sixteen leaves of a tree of questions a row ends; one in twenty is wrong."""
    rng = np.random.default_rng(82)
    x, leaf = rng.normal(size=(_ROWS, 12)), np.zeros(_ROWS, np.int64)
    column, height = rng.integers(0, 12, 16), rng.normal(0, 0.5, 16)
    for _ in range(4):
        node = leaf + 1
        leaf = 2 * leaf + (x[np.arange(_ROWS), column[node % 16]] > height[node % 16])
    seen = np.where(rng.random(_ROWS) < 0.05, rng.permutation(leaf), leaf)
    return _plenty(cut(x.astype(np.float32), seen, 16))


def _throws() -> Data:
    """Regress how far a ball flies: speed, angle, height, drag and wind are measured badly."""
    rng = np.random.default_rng(83)
    speed, angle = rng.uniform(5, 40, _ROWS), rng.uniform(0.1, 1.4, _ROWS)
    height, drag = rng.uniform(0, 10, _ROWS), rng.exponential(0.3, _ROWS)
    wind = rng.normal(size=_ROWS)
    rise = speed * np.sin(angle)
    time = (rise + np.sqrt(rise**2 + 2 * 9.81 * height)) / 9.81
    far = speed * np.cos(angle) * (1 - np.exp(-drag * time)) / drag + wind * time
    measured = np.column_stack([speed, angle, height, np.log(drag), wind])
    x, raw = standard(measured + rng.normal(0, 0.05, measured.shape) * measured.std(0))
    return _plenty(cut(x, standard(far[:, None])[0], 1, far, **raw))


def _corners() -> Data:
    """Say how many corners a filled figure has, three to six, or whether it is round."""
    rng = np.random.default_rng(84)
    v, u = np.mgrid[:14, :14] - 6.5
    kind = rng.integers(0, 5, _ROWS)
    n = np.array([3, 4, 5, 6, 40])[kind][:, None, None]
    turned, size = rng.uniform(0, 6.3, (_ROWS, 1, 1)), rng.uniform(3, 6, (_ROWS, 1, 1))
    right, down = rng.normal(0, 1, (2, _ROWS, 1, 1))
    angle = np.arctan2(v - down, u - right) - turned
    edge = size * np.cos(np.pi / n) / np.cos((angle % (2 * np.pi / n)) - np.pi / n)
    image = (np.hypot(u - right, v - down) < edge) * 0.8 + rng.normal(0, 0.15, (_ROWS, 14, 14))
    seen = np.clip(image, 0, 1).reshape(_ROWS, -1).astype(np.float32)
    return _plenty(cut(seen, kind, 5, raw_scale=255.0))


def _clouds(rng: Rng) -> tuple[Array, Array]:
    """Draw pictures of clouds, and how rough each is."""
    rough = rng.uniform(0.5, 3, _ROWS)
    pace = np.hypot(np.fft.fftfreq(12)[:, None], np.fft.rfftfreq(12)[None])
    pace[0, 0] = 1.0
    waves = np.fft.rfft2(rng.normal(size=(_ROWS, 12, 12))) * pace ** -rough[:, None, None]
    image = np.fft.irfft2(waves, (12, 12))
    image -= image.mean((1, 2), keepdims=True)
    image = np.clip(0.5 + 0.2 * image / image.std((1, 2), keepdims=True), 0, 1)
    return image.reshape(_ROWS, -1).astype(np.float32), rough


def _rough() -> Data:
    """Regress how rough a cloud is."""
    x, rough = _clouds(np.random.default_rng(85))
    return _plenty(cut(x, standard(rough[:, None])[0], 1, rough, raw_scale=255.0))


def _clouds_again() -> Data:
    """Draw clouds again."""
    x, rough = _clouds(np.random.default_rng(86))
    return _plenty(cut(x, x, 144, rough, raw_scale=255.0))


def _knocks() -> Data:
    """Say how often somebody knocks, none to five times, in a noisy recording."""
    rng = np.random.default_rng(87)
    count, t = rng.integers(0, 6, _ROWS), np.arange(30)
    wave = rng.normal(0, 0.3, (_ROWS, 30))
    for i in range(5):
        since = t - rng.integers(0, 26, (_ROWS, 1))
        decay = np.exp(-np.maximum(since, 0) / 1.5) * np.cos(2.5 * since)
        wave += np.where((since >= 0) & (i < count)[:, None], decay, 0) * rng.uniform(1, 2)
    return _plenty(cut(wave[:, :, None].astype(np.float32), count, 6))


def _pulls() -> Data:
    """Forecast what is pulled back to one of two levels, and now and then changes sides."""
    rng = np.random.default_rng(88)
    side, now = rng.choice([-1.0, 1.0], _ROWS), rng.normal(size=_ROWS)
    pull, path = rng.uniform(0.1, 0.6, _ROWS), []
    for _ in range(24):
        side = np.where(rng.random(_ROWS) < 0.06, -side, side)
        now = now + pull * (side - now) + rng.normal(0, 0.15, _ROWS)
        path.append(now)
    rows = np.stack(path, 1).astype(np.float32)
    return _plenty(cut(rows[:, :-1, None], rows[:, -1:], 1, pull))


def _products() -> Data:
    """Say the next symbol of written products."""
    pairs = np.random.default_rng(89).integers(0, 100, (_ROWS, 2))
    return _plenty(
        spelled([f"{a:02d}*{b:02d}={a * b:04d}" for a, b in pairs.tolist()], pairs[:, 0] // 10)
    )


def _dates() -> Data:
    """Say the next symbol of a date that is written in two ways."""
    rng = np.random.default_rng(90)
    names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    parts = rng.integers([1, 0, 1900], [29, 12, 2050], (_ROWS, 3)).tolist()
    rows = [f"{day:02d} {names[m]} {year} {year}-{m + 1:02d}-{day:02d}" for day, m, year in parts]
    return _plenty(spelled(rows, np.array([m for _, m, _ in parts])))


def _machine() -> Data:
    """Say what a machine of eight states shows next; each state shows one of two signs."""
    rng = np.random.default_rng(91)
    follows, shows = rng.integers(0, 8, (8, 2)), rng.integers(0, 6, (8, 2))
    state = start = rng.integers(0, 8, _ROWS)
    signs = []
    for _ in range(21):
        way = (rng.random(_ROWS) < 0.3).astype(np.int64)
        signs.append(shows[state, way])
        state = follows[state, way]
    rows = np.stack(signs, 1)
    return _plenty(cut(rows[:, :-1], rows[:, 1:], 6, start, n_symbols=6))


PLENTY_TASKS: Tasks = {
    "teacher": (_teacher, TABLE),
    "branches": (_branches, TABLE),
    "throws": (_throws, TABLE),
    "corners": (_corners, IMAGE),
    "rough": (_rough, IMAGE),
    "clouds_again": (_clouds_again, ITSELF),
    "knocks": (_knocks, SERIES),
    "pulls": (_pulls, SERIES),
    "products": (_products, LANGUAGE),
    "dates": (_dates, LANGUAGE),
    "machine": (_machine, LANGUAGE),
}
