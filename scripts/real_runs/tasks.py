"""The tasks: bundled tables and images, text of the standard library, drawn data."""

from __future__ import annotations

from functools import cache

import numpy as np

from make_demo_runs import docs_text, shapes

from .data import Data, Tasks, bundled, classes, cut, regression, standard
from .team_tasks import TEAM_TASKS
from .workshop_drawn import is_drawn, load_drawn
from .workshop_easy import EASY_TASKS
from .workshop_found import FOUND_TASKS
from .workshop_plenty import PLENTY_TASKS
from .workshop_tasks import WORKSHOP_TASKS


def _spirals() -> Data:
    rng = np.random.default_rng(1)
    arm = rng.integers(0, 3, 1500)
    t = rng.uniform(0.3, 3, 1500)
    angle = t * 1.5 + arm * 2 * np.pi / 3
    x = np.stack([t * np.cos(angle), t * np.sin(angle)], 1) + rng.normal(0, 0.08, (1500, 2))
    return cut(standard(x)[0], arm, 3)


def _digits(itself: bool) -> Data:
    x, y = bundled("load_digits")
    x = (x / 16).astype(np.float32)
    if itself:
        return cut(x, x, 64, y, raw_scale=16.0)
    return cut(x, y.astype(np.int64), 10, raw_scale=16.0)


def _shapes() -> Data:
    x, y = shapes(1700, 12, seed=3)
    return cut(x, y, 4, raw_scale=255.0)


def _sine() -> Data:
    """Forecast the next value of a noisy sum of two sines; grouped by the first's period."""
    rng = np.random.default_rng(2)
    period = rng.uniform(5, 25, 1600)
    t = np.arange(21)[None] + rng.uniform(0, 50, (1600, 1))
    second = 0.5 * np.sin(2 * np.pi * t / rng.uniform(3, 8, (1600, 1)))
    wave = np.sin(2 * np.pi * t / period[:, None]) + second + rng.normal(0, 0.1, t.shape)
    wave = wave.astype(np.float32)
    return cut(wave[:, :-1, None], wave[:, -1:], 1, period)


def _addition() -> Data:
    """Add the two marked of twelve numbers; grouped by the sum."""
    rng = np.random.default_rng(3)
    number = rng.random((2200, 12))
    mark = np.zeros((2200, 12))
    mark[np.arange(2200), rng.integers(0, 6, 2200)] = 1
    mark[np.arange(2200), rng.integers(6, 12, 2200)] = 1
    total = (number * mark).sum(1, keepdims=True).astype(np.float32) * 2 - 2
    x = np.stack([number * 2 - 1, mark], 2).astype(np.float32)
    return cut(x, total, 1, total[:, 0])


def _copy() -> Data:
    """Repeat five symbols after they have all been seen; grouped by the first symbol."""
    rng = np.random.default_rng(4)
    word = rng.integers(1, 7, (2200, 5))
    blank = np.zeros_like(word)
    x, y = np.hstack([word, blank]), np.hstack([blank, word])
    return cut(x, y, 7, word[:, 0], n_symbols=7)


@cache
def _sources() -> list[str]:
    import _pydecimal
    import argparse as prose_like
    import inspect

    docs = docs_text()
    return [docs[:60_000], inspect.getsource(prose_like)[:60_000], inspect.getsource(_pydecimal)]


def _text() -> Data:
    """Next character, of documentation and of two modules' source; grouped by source."""
    symbols = sorted(set("".join(_sources())))
    code = {c: i for i, c in enumerate(symbols)}
    rng = np.random.default_rng(5)
    rows, group = [], []
    for number, text in enumerate(_sources()):
        codes = np.array([code[c] for c in text])
        starts = rng.integers(0, len(codes) - 33, 700)
        rows.append(codes[starts[:, None] + np.arange(33)])
        group.append(np.full(700, number))
    row = np.concatenate(rows)
    n = len(symbols)
    return cut(row[:, :-1], row[:, 1:], n, np.concatenate(group), n_symbols=n)


TASKS: Tasks = {
    "digits": (lambda: _digits(False), ("mlp", "cnn", "resnet")),
    "wine": (lambda: classes("load_wine"), ("mlp",)),
    "breast_cancer": (lambda: classes("load_breast_cancer"), ("mlp",)),
    "moons": (lambda: classes("make_moons", n_samples=1500, noise=0.2, random_state=0), ("mlp",)),
    "spirals": (_spirals, ("mlp",)),
    "clusters": (
        lambda: classes(
            "make_classification", n_samples=4000, n_features=20, n_informative=12,
            n_classes=20, n_clusters_per_class=1, class_sep=2.0, random_state=0,
        ),
        ("mlp",),
    ),
    "diabetes": (lambda: regression("load_diabetes", scaled=False), ("mlp",)),
    "friedman": (
        lambda: regression("make_friedman1", n_samples=1500, noise=0.5, random_state=0), ("mlp",),
    ),
    "shapes": (_shapes, ("cnn", "resnet")),
    "digits_again": (lambda: _digits(True), ("autoencoder", "vae")),
    "sine": (_sine, ("rnn", "transformer")),
    "addition": (_addition, ("rnn", "transformer")),
    "copy": (_copy, ("rnn", "transformer")),
    "text": (_text, ("rnn", "transformer")),
}  # fmt: skip


def load(task: str) -> Data:
    """Load or draw a task's rows, be it one of the trial, of a team or of the workshop."""
    return load_drawn(task) if is_drawn(task) else _load_shared(task)


@cache
def _load_shared(task: str) -> Data:
    """Load or draw the rows of a task that has a name."""
    if task in TEAM_TASKS:
        return TEAM_TASKS[task].load()
    return (TASKS | WORKSHOP_TASKS | FOUND_TASKS | PLENTY_TASKS | EASY_TASKS)[task][0]()
