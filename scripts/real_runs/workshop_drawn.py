"""Tasks of the workshop that are drawn, rows, rule and noise, for one base each.

A task that many bases share is soon known by heart: its lowest loss, its start, how noisy it is.
The name of such a task holds its kind and its seed, so that it can be had again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .data import Array, Data, cut, standard, validated_on
from .plan import Rng, between

_PREFIX = "drawn"
Kinds = dict[str, tuple[float, tuple[str, ...]]]
DRAWN_KINDS: Kinds = {
    "table": (0.5, ("mlp",)),
    "series": (0.2, ("mlp", "mlp", "cnn1d", "rnn", "rnn", "transformer")),
    "again": (0.13, ("autoencoder", "vae")),
    "picture": (0.07, ("mlp", "mlp", "cnn", "resnet")),
    "text": (0.1, ("rnn", "rnn", "transformer")),
}
"""Share and nets of each kind of task."""

PLAIN_KINDS: Kinds = {
    "plain": (0.27, ("mlp",)),
    "clear": (0.15, ("mlp",)),
    "table": (0.18, ("mlp",)),
    "series": (0.12, ("mlp", "mlp", "cnn1d", "rnn", "transformer")),
    "again": (0.1, ("autoencoder", "vae")),
    "picture": (0.1, ("mlp", "cnn", "resnet")),
    "text": (0.08, ("rnn", "transformer")),
}
"""The same where much is plain: a simple rule, or rows that stand well apart."""

TOY_KINDS: Kinds = {
    "toy": (0.45, ("mlp",)),
    "clear": (0.1, ("mlp",)),
    "plain": (0.1, ("mlp",)),
    "table": (0.05, ("mlp",)),
    "series": (0.09, ("mlp", "cnn1d", "rnn", "transformer")),
    "again": (0.07, ("autoencoder", "vae")),
    "picture": (0.09, ("mlp", "cnn", "resnet")),
    "text": (0.05, ("rnn", "transformer")),
}
"""The same where much is what a net is tried on first: few rows, and little of it by chance."""


def is_drawn(task: str) -> bool:
    """Tell whether a task's name says how it is drawn."""
    return task.startswith(f"{_PREFIX}-")


def draw_task(rng: Rng, kinds: Kinds) -> tuple[str, str]:
    """Draw the name of a task, of these kinds, and a net that suits it."""
    kind = str(rng.choice(list(kinds), p=[share for share, _ in kinds.values()]))
    return f"{_PREFIX}-{kind}-{rng.integers(2**31)}", str(rng.choice(kinds[kind][1]))


@lru_cache(maxsize=8)
def load_drawn(task: str) -> Data:
    """Draw the rows of a task by its name."""
    _, kind, seed = task.split("-")
    rng = np.random.default_rng(int(seed))
    return validated_on(_MAKERS[kind](rng), int(between(rng, 80, 1000)))


def _rows(rng: Rng) -> int:
    return int(between(rng, 600, 20_000))


def _told(value: Array, rng: Rng) -> Array:
    """Add what nobody can know, in a third of the tasks nothing."""
    noise = 0.0 if rng.random() < 1 / 3 else between(rng, 0.03, 1.0)
    told: Array = value + noise * value.std(0) * rng.normal(size=value.shape)
    return told


def _targets(x: Array, value: Array, rng: Rng, **raw: Any) -> Data:
    """Ask for the values of rows, or for classes that are cut out of them."""
    told = _told(value, rng)
    if rng.random() < 0.35:
        return cut(x, standard(told)[0], told.shape[1], told[:, 0], **raw)
    if told.shape[1] == 1:
        n = int(rng.integers(2, 9))
        alike = rng.random() >= 0.5
        shares = np.arange(1, n) / n if alike else np.sort(rng.uniform(0.05, 0.95, n - 1))
        kind = np.digitize(told[:, 0], np.quantile(told[:, 0], shares))
        return cut(x, kind.astype(np.int64), n, **raw)
    odds = told / told.std(0) + rng.normal(0, rng.choice([0.0, 0.7]), told.shape[1])
    return cut(x, odds.argmax(1).astype(np.int64), told.shape[1], **raw)


def _by_net(x: Array, n: int, rng: Rng) -> Array:
    """Ask a net of one hidden layer that was never trained."""
    width, steep = int(between(rng, 3, 60)), between(rng, 0.3, 3)
    hidden = np.tanh(x @ rng.normal(0, steep / x.shape[1] ** 0.5, (x.shape[1], width)))
    return np.asarray(hidden @ rng.normal(size=(width, n)))


def _by_trees(x: Array, n: int, rng: Rng) -> Array:
    """Add up what small trees say."""
    value = np.zeros((len(x), n))
    for _ in range(int(rng.integers(2, 9))):
        columns = rng.integers(0, x.shape[1], 3)
        above = x[:, columns] > np.median(x[:, columns], 0) + rng.normal(0, 0.4, 3)
        value += rng.normal(size=(8, n))[above @ [1, 2, 4]]
    return value


def _by_products(x: Array, n: int, rng: Rng) -> Array:
    """Add up columns, and products of two."""
    first, second = rng.integers(0, x.shape[1], (2, n, int(rng.integers(1, 6))))
    line = x @ (rng.normal(size=(x.shape[1], n)) * (rng.random((x.shape[1], n)) < 0.4))
    return np.asarray(line * rng.uniform(0, 1) + (x[:, first] * x[:, second]).sum(2))


def _by_centres(x: Array, n: int, rng: Rng) -> Array:
    """Ask how near each of some places is."""
    places = x[rng.integers(0, len(x), n)]
    return np.stack([-np.sqrt(((x - place) ** 2).mean(1)) for place in places], 1)


_RULES = (_by_net, _by_net, _by_trees, _by_products, _by_centres)


def _value(x: Array, rng: Rng) -> Array:
    """Compute a value of each row, or several, by a rule that is drawn."""
    n = 1 if rng.random() < 0.4 else int(between(rng, 2, 40))
    rule = _RULES[int(rng.integers(len(_RULES)))]
    value: Array = rule(x, n, rng)
    return value + 1e-6 * rng.normal(size=value.shape)


def _table(rng: Rng) -> Data:
    """Draw columns that depend on each other: long tails, steps and units of their own."""
    n, width = _rows(rng), int(between(rng, 2, 60))
    fall = np.arange(1, width + 1) ** -rng.uniform(0, 1.5)
    mixing = np.linalg.qr(rng.normal(size=(width, width)))[0]
    x = standard(rng.normal(size=(n, width)) * fall @ mixing)[0].astype(np.float64)
    value, kind = _value(x, rng), rng.random(width)
    tails, steps = kind < rng.choice([0, 0.3]), kind > 1 - rng.choice([0, 0.4])
    x[:, tails] = np.exp(x[:, tails] * rng.uniform(0.3, 1))
    x[:, steps] = np.round(x[:, steps])
    units = 10 ** rng.uniform(-2, 3, width) if rng.random() < 0.6 else np.ones(width)
    seen, raw = standard(x * units + rng.normal(0, 1, width) * units)
    return _targets(seen, value, rng, **raw)


def _plain(rng: Rng) -> Data:
    """Draw many rows with a simple rule, so that hardly a net learns them by heart."""
    n, width = int(between(rng, 3000, 50_000)), int(between(rng, 2, 24))
    x = rng.normal(size=(n, width)) if rng.random() < 0.5 else rng.uniform(-2, 2, (n, width))
    n_values = 1 if rng.random() < 0.5 else int(rng.integers(2, 11))
    line = x @ rng.normal(size=(width, n_values))
    bent = _RULES[int(rng.integers(len(_RULES)))](x, n_values, rng)
    value = line + rng.choice([0.0, 0.3, 1.0]) * bent / bent.std(0) * line.std(0)
    units = 10 ** rng.uniform(-1, 3, width) if rng.random() < 0.6 else np.ones(width)
    seen, raw = standard((x + rng.normal(0, 1, width)) * units)
    return _targets(seen, value, rng, **raw)


def _clear(rng: Rng) -> Data:
    """Draw kinds of rows that stand well apart, few rows or many."""
    n, width, kinds = int(between(rng, 150, 30_000)), int(between(rng, 2, 40)), rng.integers(2, 13)
    places = rng.normal(size=(kinds, width)) + 1e-3 * np.arange(kinds)[:, None]
    apart = np.sqrt(((places[:, None] - places) ** 2).sum(2))
    nearest = apart[apart > 0].min()
    kind = rng.choice(kinds, n, p=rng.dirichlet(np.full(kinds, rng.choice([3.0, 30.0]))))
    x = places[kind] + rng.normal(0, nearest * between(rng, 0.1, 0.4), (n, width))
    units = 10 ** rng.uniform(-1, 3, width) if rng.random() < 0.6 else np.ones(width)
    seen, raw = standard(x * units)
    return cut(seen, kind, int(kinds), **raw)


def _rings(n: int, rng: Rng) -> tuple[Array, Array]:
    """Draw rings, or shells, about each other."""
    kinds, width = int(rng.integers(2, 6)), int(rng.integers(2, 6))
    kind, way = rng.integers(0, kinds, n), rng.normal(size=(n, width))
    x = (kind[:, None] + 1.0) * way / np.sqrt((way**2).sum(1, keepdims=True))
    return x + rng.normal(0, between(rng, 0.05, 0.35), x.shape), kind


def _boards(n: int, rng: Rng) -> tuple[Array, Array]:
    """Draw the fields of a board, in colours that take turns; near its lines some are wrong."""
    fields, kinds = int(rng.integers(2, 5)), int(rng.integers(2, 4))
    x = rng.uniform(0, fields, (n, 2))
    kind = np.floor(x + rng.normal(0, between(rng, 0.01, 0.1), x.shape)).sum(1).astype(int) % kinds
    return x, kind


def _heaps(n: int, rng: Rng) -> tuple[Array, Array]:
    """Draw heaps of rows, of which some touch."""
    kinds, width = int(rng.integers(2, 11)), int(between(rng, 2, 64))
    kind = rng.integers(0, kinds, n)
    places = rng.normal(size=(kinds, width))
    return places[kind] + rng.normal(0, between(rng, 0.1, 0.8), (n, width)), kind


def _waves(n: int, rng: Rng) -> tuple[Array, Array]:
    """Draw a smooth function of some columns, measured almost exactly."""
    x = rng.uniform(-1, 1, (n, int(rng.integers(1, 9))))
    pace = rng.normal(0, between(rng, 0.5, 4), (x.shape[1], 3))
    value = np.sin(x @ pace + rng.uniform(0, 6, 3)) @ rng.normal(size=3) + x @ x[0]
    return x, value + rng.choice([0.0, 0.02, 0.1]) * value.std() * rng.normal(size=n)


_TOYS = (_rings, _boards, _heaps, _heaps, _waves, _waves)


def _toy(rng: Rng) -> Data:
    """Draw few rows with a rule that they tell, now and then beside columns that say nothing."""
    n = int(between(rng, 120, 3000))
    x, y = _TOYS[int(rng.integers(len(_TOYS)))](n, rng)
    idle = rng.normal(size=(n, int(rng.choice([0, 0, 0, 2, 8]))))
    x = np.column_stack([x, idle]) * 10 ** rng.uniform(-1, 2)
    seen, raw = standard(x + rng.normal(0, 3, x.shape[1]))
    if y.dtype.kind == "i":
        return cut(seen, y, int(y.max()) + 1, **raw)
    return cut(seen, standard(y[:, None])[0], 1, y, **raw)


def _series(rng: Rng) -> Data:
    """Draw waves with noise, and ask for their pace, or for what comes next."""
    n, length = _rows(rng), int(rng.integers(12, 33))
    width = int(rng.integers(1, 4))
    pace = rng.uniform(0.02, rng.uniform(0.1, 0.45), (n, 1, 1))
    turn = pace * np.arange(length + 1)[:, None] * rng.uniform(0.5, 1.5, width)
    wave = np.sin(2 * np.pi * (turn + rng.random((n, 1, width))))
    drift = np.cumsum(rng.normal(0, rng.uniform(0, 0.4), wave.shape), 1)
    seen = wave * rng.uniform(0.5, 1.5, (n, 1, 1)) + drift
    seen = seen + rng.normal(0, between(rng, 0.03, 0.8), wave.shape)
    x = (seen[:, :-1] / seen.std()).astype(np.float32)
    if rng.random() < 0.4:
        return cut(x, standard(seen[:, -1])[0], width, pace[:, 0, 0])
    return _targets(x, pace[:, :, 0] if rng.random() < 0.6 else _value(seen[:, -1], rng), rng)


def _smooth(shape: tuple[int, ...], rng: Rng) -> Array:
    """Draw pictures without sharp edges."""
    side = shape[-1]
    pace = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) + 1 / side
    waves = np.fft.rfft2(rng.normal(size=shape)) * pace ** -rng.uniform(1, 2.5)
    picture = np.fft.irfft2(waves, shape[-2:])
    return np.asarray(picture / picture.std((-2, -1), keepdims=True))


def _picture(rng: Rng) -> Data:
    """Draw patterns that are moved about, and ask which one it is, or how strong."""
    n, side = min(_rows(rng), 5000), int(rng.integers(8, 14))
    patterns = _smooth((int(rng.integers(2, 13)), side, side), rng)
    kind, far = rng.integers(0, len(patterns), n), int(rng.integers(0, 4))
    moved = rng.integers(-far, far + 1, (n, 2))
    strength = rng.uniform(0.3, 1.3, n)
    image = np.stack([np.roll(patterns[k], m, (0, 1)) for k, m in zip(kind, moved, strict=True)])
    image = 0.5 + 0.2 * strength[:, None, None] * image
    image += rng.normal(0, between(rng, 0.02, 0.5), image.shape)
    x = np.clip(image, 0, 1).reshape(n, -1).astype(np.float32)
    if rng.random() < 0.25:
        return _targets(x, strength[:, None], rng, raw_scale=255.0)
    wrong = rng.random(n) < rng.choice([0, 0, 0.1])
    seen = np.where(wrong, rng.integers(0, len(patterns), n), kind)
    return cut(x, seen, len(patterns), kind, raw_scale=255.0)


def _again(rng: Rng) -> Data:
    """Draw rows that have fewer causes than columns."""
    n, width = _rows(rng), int(rng.integers(8, 80))
    hidden = rng.normal(size=(n, max(2, int(width * rng.uniform(0.05, 0.4)))))
    x = np.tanh(_by_net(hidden, width, rng)) if rng.random() < 0.5 else _by_net(hidden, width, rng)
    seen = standard(_told(x, rng))[0]
    return cut(seen, seen, width, hidden[:, 0])


def _text(rng: Rng) -> Data:
    """Draw what a chain of symbols says, now and then from its beginning again."""
    n, length, symbols = _rows(rng), int(rng.integers(10, 25)), int(rng.integers(4, 24))
    odds = np.exp(rng.normal(size=(symbols, symbols, symbols)) * rng.uniform(0.5, 4))
    reach = np.cumsum(odds / odds.sum(2, keepdims=True), 2)
    row = rng.integers(0, symbols, (n, length + 1))
    for place in range(2, length + 1):
        at = reach[row[:, place - 2], row[:, place - 1] if rng.random() < 0.7 else 0]
        row[:, place] = np.minimum((rng.random((n, 1)) > at).sum(1), symbols - 1)
    if rng.random() < 0.4:
        half = (length + 1) // 2
        row[:, -half:] = row[:, :half]
    return cut(row[:, :-1], row[:, 1:], symbols, row[:, 0], n_symbols=symbols)


_MAKERS: dict[str, Callable[[Rng], Data]] = {
    "table": _table,
    "plain": _plain,
    "clear": _clear,
    "toy": _toy,
    "series": _series,
    "again": _again,
    "picture": _picture,
    "text": _text,
}
