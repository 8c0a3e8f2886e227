"""Tasks of the workshop's later rounds: data that others collected, wrote or drew.

Tables that come with statsmodels, letters of matplotlib's fonts, photographs of scikit-learn, and
text: numpy's documentation, scikit-learn's sources, names of functions. Much of what these nets are
asked cannot be known, as with most real data: a healthy loss stays high.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

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
    classified,
    cut,
    standard,
)

_WINDOW = 28
_VAL_ROWS = 300
_TABLE_ROWS = 3000  # at most


def _table(name: str) -> Any:
    """Return one of statsmodels' tables, without the rows that lack a value."""
    loader = importlib.import_module(f"statsmodels.datasets.{name}")
    return loader.load_pandas().data.dropna()


def _columns(name: str, target: str, without: tuple[str, ...] = ()) -> tuple[Array, Array]:
    """Split a table into its columns and the target."""
    table = _table(name)
    return table.drop(columns=[target, *without]).to_numpy(float), table[target].to_numpy(float)


def _marriage() -> Data:
    """Tell how somebody rates a marriage, one to five."""
    x, y = _columns("fair", "rate_marriage")
    order = np.random.default_rng(71).permutation(len(x))[:_TABLE_ROWS]
    return classified(x[order], y[order] - 1)


def _party() -> Data:
    """Tell which of seven places between two parties somebody takes."""
    return classified(*_columns("anes96", "PID", ("popul",)))


def _travel() -> Data:
    """Tell whether a traveller takes this way of travelling."""
    return classified(*_columns("modechoice", "choice", ("individual",)))


def _schools() -> Data:
    """Regress the share of pupils above the median on what is known of a district."""
    table = _table("star98")
    share = table["NABOVE"] / (table["NABOVE"] + table["NBELOW"])
    x, raw = standard(table.drop(columns=["NABOVE", "NBELOW"]).to_numpy(float))
    y = share.to_numpy(float)
    return cut(x, standard(y[:, None])[0], 1, y, **raw)


def _visits() -> Data:
    """Tell how often somebody sees a doctor: never, up to twice, up to five times, more often."""
    x, y = _columns("randhie", "mdvis")
    order = np.random.default_rng(72).permutation(len(x))[:_TABLE_ROWS]
    return classified(x[order], np.digitize(y[order], [1, 3, 6]))


def _air() -> Data:
    """Forecast next week's carbon dioxide from the changes of half a year."""
    change = np.diff(_table("co2")["co2"].to_numpy(float))
    change = ((change - change.mean()) / change.std()).astype(np.float32)
    rows = np.lib.stride_tricks.sliding_window_view(change, 25)
    return cut(rows[:, :-1, None].copy(), rows[:, -1:].copy(), 1, np.arange(len(rows)))


_FONTS = ("DejaVuSans*[!y].ttf", "DejaVuSerif*[!y].ttf", "STIXGeneral*.ttf", "cm[rst][s1t]*.ttf")


@cache
def _drawn_letters(side: int, n: int) -> tuple[Array, Array]:
    """Draw capital letters of many fonts: (n, side * side) from 0 to 1, and which letter."""
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    rng = np.random.default_rng(73)
    folder = Path(get_data_path(), "fonts", "ttf")
    fonts = sorted(str(path) for kind in _FONTS for path in folder.glob(kind))
    letter, font = rng.integers(0, 26, n), rng.integers(0, len(fonts), n)
    images = np.empty((n, side, side), np.float32)
    for image, which, name in zip(images, letter.tolist(), font.tolist(), strict=True):
        size = int(rng.integers(side * 2 // 3, side + 2))
        canvas = Image.new("L", (side, side))
        ImageDraw.Draw(canvas).text(
            tuple(side / 2 + rng.uniform(-1, 1, 2)), chr(65 + which), fill=255,
            font=ImageFont.truetype(fonts[name], size), anchor="mm",
        )  # fmt: skip
        image[:] = np.asarray(canvas.rotate(rng.uniform(-12, 12)), np.float32) / 255
    noisy = np.clip(images + rng.normal(0, 0.1, images.shape), 0, 1)
    return noisy.reshape(n, -1).astype(np.float32), letter.astype(np.int64)


def _letters() -> Data:
    """Tell a letter from its picture."""
    x, letter = _drawn_letters(14, 3000)
    return cut(x, letter, 26, raw_scale=255.0)


def _letters_again() -> Data:
    """Draw a letter again."""
    x, letter = _drawn_letters(10, 2400)
    return cut(x, x, 100, letter, raw_scale=255.0)


@cache
def _patches(side: int, n: int) -> tuple[Array, Array]:
    """Cut grey patches of two photographs: (n, side, side) from 0 to 1, and of which."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(74)
    found, which = np.empty((n, side, side), np.float32), rng.integers(0, 2, n)
    grey = [photo[::2, ::2].mean(2) / 255 for photo in load_sample_images().images]
    for patch, photo in zip(found, which.tolist(), strict=True):
        top, left = (int(rng.integers(0, size - side)) for size in grey[photo].shape)
        patch[:] = grey[photo][top : top + side, left : left + side]
    return found, which.astype(np.int64)


def _turned() -> Data:
    """Tell by how many quarters a patch of a photograph has been turned."""
    patch, _ = _patches(14, 3000)
    turn = np.random.default_rng(75).integers(0, 4, len(patch))
    x = np.stack([np.rot90(each, k) for each, k in zip(patch, turn.tolist(), strict=True)])
    return cut(x.reshape(len(x), -1), turn.astype(np.int64), 4, raw_scale=255.0)


def _photo() -> Data:
    """Tell from which of two photographs a patch is."""
    patch, which = _patches(12, 2400)
    return cut(patch.reshape(len(patch), -1), which, 2, raw_scale=255.0)


def _patches_again() -> Data:
    """Draw a patch of a photograph again."""
    patch, which = _patches(8, 2400)
    x = patch.reshape(len(patch), -1)
    return cut(x, x, 64, which, raw_scale=255.0)


def _written(*modules: str) -> Iterator[Any]:
    """Yield the public functions and classes of modules, each once."""
    seen = set()
    for module in map(importlib.import_module, modules):
        for name in sorted(vars(module)):
            thing = getattr(module, name)
            if callable(thing) and not name.startswith("_") and id(thing) not in seen:
                seen.add(id(thing))
                yield thing


@cache
def _manual() -> str:
    """Return the documentation of numpy."""
    modules = ("numpy", "numpy.linalg", "numpy.fft", "numpy.random", "numpy.ma")
    texts = (inspect.getdoc(thing) or "" for thing in _written(*modules))
    return "\n".join(sorted(set(texts)))[:400_000]


@cache
def _sources() -> str:
    """Return sources of scikit-learn."""
    names = ("linear_model._ridge", "cluster._kmeans", "metrics._classification", "pipeline",
             "preprocessing._data", "ensemble._forest")  # fmt: skip
    return "".join(inspect.getsource(importlib.import_module(f"sklearn.{name}")) for name in names)


def _next(codes: Array, n_symbols: int, rows: int, seed: int) -> Data:
    """Let every place of windows of a text be followed by its next symbol; the end validates."""
    rng = np.random.default_rng(seed)
    last = len(codes) * 9 // 10
    starts = np.concatenate([
        rng.integers(0, last - _WINDOW - 1, rows),
        rng.integers(last, len(codes) - _WINDOW - 1, _VAL_ROWS),
    ])  # fmt: skip
    windows = codes[starts[:, None] + np.arange(_WINDOW + 1)]
    x, y, group = windows[:, :-1], windows[:, 1:], starts * 8 // len(codes)
    return Data(
        x[:rows], y[:rows], x[rows:], y[rows:], n_symbols, group[:rows], group[rows:],
        n_symbols=n_symbols,
    )  # fmt: skip


def _characters(text: str, seed: int) -> Data:
    """Say the next character of a text; rare ones are one symbol."""
    common = [c for c, count in Counter(text).most_common() if count >= len(text) / 20_000]
    code = {c: i + 1 for i, c in enumerate(common)}
    return _next(np.array([code.get(c, 0) for c in text]), len(common) + 1, 8000, seed)


def _words() -> Data:
    """Say the next word of numpy's documentation; rare ones are one symbol."""
    words = re.findall(r"[a-z_]+|[^\sa-z_]", _manual().lower())
    code = {word: i + 1 for i, (word, _) in enumerate(Counter(words).most_common(299))}
    return _next(np.array([code.get(word, 0) for word in words]), 300, 6000, 77)


def _names() -> Data:
    """Say the next letter of the name of a function or class."""
    packages = ("numpy", "scipy.stats", "scipy.special", "scipy.signal", "pandas", "sklearn.utils",
                "matplotlib.axes", "torch", "torch.nn", "joblib", "scipy.optimize")  # fmt: skip
    found = {name for package in packages for name in dir(importlib.import_module(package))}
    found |= {name for thing in _written("pandas", "torch.nn") for name in dir(thing)}
    names = sorted({name.lower() for name in found if not name.startswith("_")})
    symbols = sorted(set("".join(names)) | {" "})
    code = {symbol: i for i, symbol in enumerate(symbols)}
    rows = np.array([[code[c] for c in f" {name}".ljust(17)[:17]] for name in names])
    return cut(rows[:, :-1], rows[:, 1:], len(symbols), rows[:, 1], n_symbols=len(symbols))


def _origin() -> Data:
    """Tell whether some characters are documentation or sources, and whether in their order."""
    texts = (_manual(), _sources(), _manual()[::-1], _sources()[::-1])
    rng = np.random.default_rng(78)
    kind = rng.integers(0, len(texts), 3000)
    cuts = [int(rng.integers(0, len(texts[k]) - 20)) for k in kind.tolist()]
    pieces = [texts[k][at : at + 20] for k, at in zip(kind.tolist(), cuts, strict=True)]
    x = np.array([[min(ord(c), 127) for c in piece] for piece in pieces])
    return cut(x, kind.astype(np.int64), len(texts), n_symbols=128)


FOUND_TASKS: Tasks = {
    "marriage": (_marriage, TABLE),
    "party": (_party, TABLE),
    "travel": (_travel, TABLE),
    "schools": (_schools, TABLE),
    "visits": (_visits, TABLE),
    "air": (_air, SERIES),
    "letters": (_letters, IMAGE),
    "turned": (_turned, ("cnn", "resnet")),
    "photo": (_photo, IMAGE),
    "letters_again": (_letters_again, ITSELF),
    "patches_again": (_patches_again, ITSELF),
    "manual": (lambda: _characters(_manual(), 76), LANGUAGE),
    "sources": (lambda: _characters(_sources(), 79), LANGUAGE),
    "words": (_words, LANGUAGE),
    "names": (_names, LANGUAGE),
    "origin": (_origin, LANGUAGE),
}
