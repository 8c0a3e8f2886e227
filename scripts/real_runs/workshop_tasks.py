"""Tasks of the workshop: what the default predictor learns from, and neither trial nor team has."""

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
    bundled,
    classes,
    cut,
    spelled,
    standard,
)


def _bands() -> Data:
    """Tell on which band between sines a point lies."""
    rng = np.random.default_rng(51)
    x = rng.uniform(-2, 2, (2200, 2))
    height = x[:, 1] - 0.6 * np.sin(2.5 * x[:, 0]) + rng.normal(0, 0.12, 2200)
    return cut(standard(x)[0], np.digitize(height, [-1, 0, 1]), 4)


def _rule() -> Data:
    """Tell whether one of three noisy rules over sixteen bits holds."""
    rng = np.random.default_rng(52)
    bits = rng.integers(0, 2, (2400, 16))
    holds = (
        (bits[:, [0, 3, 7]].all(1)) | (bits[:, [2, 9]].all(1)) | (bits[:, [5, 11, 14]].sum(1) < 1)
    )
    seen = np.where(rng.random(2400) < 0.04, ~holds, holds)
    return cut((bits * 2 - 1).astype(np.float32), seen.astype(np.int64), 2)


def _codewords() -> Data:
    """Tell which of thirty words of 32 bits was sent over a noisy line."""
    rng = np.random.default_rng(53)
    words, sent = rng.integers(0, 2, (30, 32)), rng.integers(0, 30, 3000)
    received = words[sent] ^ (rng.random((3000, 32)) < 0.18)
    return cut((received * 2 - 1).astype(np.float32), sent.astype(np.int64), 30)


def _signs() -> Data:
    """Tell the sign of a noisy polynomial of eight numbers."""
    rng = np.random.default_rng(54)
    x = rng.normal(size=(2600, 8))
    value = x[:, 0] * x[:, 1] + x[:, 2] - 0.5 * x[:, 3] ** 2 + 0.7 * x[:, 4] * x[:, 5] + 0.3
    seen = value + rng.normal(0, 0.3, 2600) > 0
    return cut(x.astype(np.float32), seen.astype(np.int64), 2)


def _s_curve() -> Data:
    """Regress the place along a bent sheet."""
    x, y = bundled("make_s_curve", n_samples=1700, noise=0.25, random_state=0)
    return cut(standard(x)[0], standard(y[:, None])[0], 1, y)


def _waves() -> Data:
    """Regress a sum of waves in three directions."""
    rng = np.random.default_rng(55)
    x = rng.uniform(-1, 1, (2200, 3))
    y = np.sin(4 * x @ rng.normal(size=(3, 4))).sum(1) + rng.normal(0, 0.3, 2200)
    return cut(standard(x)[0], standard(y[:, None])[0], 1, y)


def _prices() -> Data:
    """Regress a value with heavy tails on twelve columns of other scales."""
    rng = np.random.default_rng(56)
    parts = rng.normal(size=(2000, 12))
    y = parts[:, 0] + parts[:, 1] * np.maximum(parts[:, 2], 0) + np.abs(parts[:, 3])
    y += 0.25 * rng.standard_t(3, 2000)
    x, raw = standard(np.exp(parts * rng.uniform(0.2, 0.8, 12)) * 10 ** rng.uniform(-1, 3, 12))
    return cut(x, standard(y[:, None])[0], 1, y, **raw)


def _sparse() -> Data:
    """Regress on four of forty columns."""
    x, y = bundled("make_sparse_uncorrelated", n_samples=1600, n_features=40, random_state=0)
    return cut(standard(x)[0], standard(y[:, None])[0], 1, y)


def _drawn_gratings(n: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(57)
    v, u = np.mgrid[:12, :12]
    kind = rng.integers(0, 6, n)
    angle = (kind * np.pi / 6 + rng.normal(0, 0.08, n))[:, None, None]
    pace, phase, size = rng.uniform(0, 1, (3, n)) * [[1.0], [6.3], [0.7]] + [[0.6], [0.0], [0.3]]
    along = u * np.cos(angle) + v * np.sin(angle)
    wave = np.sin(pace[:, None, None] * along + phase[:, None, None])
    image = 0.5 + 0.5 * size[:, None, None] * wave + rng.normal(0, 0.2, wave.shape)
    return np.clip(image, 0, 1).reshape(n, -1).astype(np.float32), kind.astype(np.int64)


def _gratings() -> Data:
    """Tell the direction of blurred stripes."""
    x, kind = _drawn_gratings(2000)
    return cut(x, kind, 6, raw_scale=255.0)


def _stripes_again() -> Data:
    """Draw blurred stripes again."""
    x, kind = _drawn_gratings(2000)
    return cut(x, x, 144, kind, raw_scale=255.0)


def _counting() -> Data:
    """Say how many spots there are."""
    rng = np.random.default_rng(58)
    v, u = np.mgrid[:14, :14]
    count = rng.integers(1, 7, 2000)
    image = rng.normal(0, 0.1, (2000, 14, 14))
    for picture, spots in zip(image, count, strict=True):
        for x, y in rng.uniform(1, 13, (spots, 2)):
            picture += np.exp(-((u - x) ** 2 + (v - y) ** 2) / 1.2)
    seen = np.clip(image, 0, 2).reshape(2000, -1).astype(np.float32)
    return cut(seen, standard(count[:, None])[0], 1, count, raw_scale=255.0)


_SEGMENTS = "1110111 0010010 1011101 1011011 0111010 1101011 1101111 1010010 1111111 1111011"


def _displays() -> Data:
    """Read a digit of seven segments, moved and blurred."""
    rng = np.random.default_rng(59)
    digit = rng.integers(0, 10, 2200)
    lit = np.array([[bit == "1" for bit in word] for word in _SEGMENTS.split()])
    places = [(0, 1, 1, 4), (1, 0, 4, 1), (1, 4, 4, 5), (4, 1, 5, 4), (5, 0, 8, 1), (5, 4, 8, 5),
              (8, 1, 9, 4)]  # fmt: skip
    image = rng.normal(0, 0.25, (2200, 12, 12))
    for picture, number in zip(image, digit, strict=True):
        down, right = rng.integers(0, 3), rng.integers(0, 7)
        for on, (top, left, bottom, end) in zip(lit[number], places, strict=True):
            bright = rng.uniform(0.5, 1) * on
            picture[top + down : max(bottom, top + 1) + down, left + right : end + right] += bright
    return cut(
        np.clip(image, 0, 1).reshape(2200, -1).astype(np.float32), digit.astype(np.int64), 10,
        raw_scale=255.0,
    )  # fmt: skip


def _tones() -> Data:
    """Tell which of five pitches a noisy tone has."""
    rng = np.random.default_rng(60)
    kind = rng.integers(0, 5, 2000)
    pitch = np.array([0.05, 0.09, 0.14, 0.2, 0.27])[kind] * np.exp(rng.normal(0, 0.1, 2000))
    turn = pitch[:, None] * np.arange(28) + rng.random((2000, 1))
    wave = np.sin(2 * np.pi * turn) * rng.uniform(0.5, 1.5, (2000, 1))
    heard = wave + rng.normal(0, 0.5, wave.shape)
    return cut(heard[:, :, None].astype(np.float32), kind.astype(np.int64), 5)


def _logistic() -> Data:
    """Forecast a logistic map that is measured badly."""
    rng = np.random.default_rng(61)
    pace, x = rng.uniform(3.4, 3.9, 1800), rng.uniform(0.1, 0.9, (1800, 1))
    for _ in range(24):
        last = x[:, -1]
        x = np.column_stack([x, pace * last * (1 - last)])
    seen = (x + rng.normal(0, 0.05, x.shape) - 0.6) * 3
    return cut(seen[:, 5:-1, None].astype(np.float32), seen[:, -1:].astype(np.float32), 1, pace)


def _bursts() -> Data:
    """Say how long a noisy series was loud."""
    rng = np.random.default_rng(62)
    begin, length = rng.integers(0, 12, 2000), rng.integers(2, 14, 2000)
    t = np.arange(26)[None]
    loud = (t >= begin[:, None]) & (t < (begin + length)[:, None])
    wave = rng.normal(0, 1, (2000, 26)) * np.where(loud, 1.6, 0.4)
    return cut(wave[:, :, None].astype(np.float32), standard(length[:, None])[0], 1, length)


def _sums() -> Data:
    """Say the next symbol of written sums."""
    rng = np.random.default_rng(63)
    pairs = rng.integers(0, 1000, (2400, 2))
    return spelled([f"{a:03d}+{b:03d}={a + b:04d}" for a, b in pairs.tolist()], pairs[:, 0] // 100)


def _phrases() -> Data:
    """Say the next letter of sentences that a small grammar makes."""
    rng = np.random.default_rng(64)
    parts = (
        ["the", "a", "one", "no", "every"],
        ["small", "old", "grey", "quick", "loud", ""],
        ["cat", "clerk", "river", "train", "storm", "guest"],
        ["saw", "left", "feared", "crossed", "kept"],
        ["the", "a", "some"],
        ["house", "bridge", "letter", "garden", "coast", "road"],
    )
    picks = [[str(rng.choice(words)) for words in parts] for _ in range(2400)]
    rows = [" ".join(word for word in pick if word).ljust(36)[:25] for pick in picks]
    return spelled(rows, np.array([parts[2].index(pick[2]) for pick in picks]))


def _sorting() -> Data:
    """Say six symbols in order once all are known."""
    rng = np.random.default_rng(65)
    word = rng.integers(1, 8, (2400, 6))
    blank = np.zeros_like(word)
    x, y = np.hstack([word, blank]), np.hstack([blank, np.sort(word, 1)])
    return cut(x, y, 8, word[:, 0], n_symbols=8)


def _clock() -> Data:
    """Say the next of numbers that rise by a hidden amount, modulo eleven, now and then misread."""
    rng = np.random.default_rng(66)
    pace = rng.integers(1, 6, 2000)
    rows = (rng.integers(0, 11, (2000, 1)) + pace[:, None] * np.arange(18)) % 11
    seen = np.where(rng.random(rows.shape) < 0.08, rng.integers(0, 11, rows.shape), rows)
    return cut(seen[:, :-1], seen[:, 1:], 11, pace, n_symbols=11)


WORKSHOP_TASKS: Tasks = {
    "circles": (lambda: classes(
        "make_circles", n_samples=1600, noise=0.12, factor=0.6, random_state=0), TABLE),
    "bands": (_bands, TABLE),
    "rule": (_rule, TABLE),
    "codewords": (_codewords, TABLE),
    "signs": (_signs, TABLE),
    "s_curve": (_s_curve, TABLE),
    "waves": (_waves, TABLE),
    "prices": (_prices, TABLE),
    "sparse": (_sparse, TABLE),
    "gratings": (_gratings, IMAGE),
    "counting": (_counting, ("cnn", "resnet")),
    "displays": (_displays, IMAGE),
    "stripes_again": (_stripes_again, ITSELF),
    "tones": (_tones, SERIES),
    "logistic": (_logistic, SERIES),
    "bursts": (_bursts, SERIES),
    "sums": (_sums, LANGUAGE),
    "phrases": (_phrases, LANGUAGE),
    "sorting": (_sorting, LANGUAGE),
    "clock": (_clock, LANGUAGE),
}  # fmt: skip
