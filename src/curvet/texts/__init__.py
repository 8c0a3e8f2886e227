"""What people read, in their language: one catalogue each, ``en.toml`` and ``zh.toml``.

Keys are the same in all catalogues, and stay English in every output for machines.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

from ..errors import LanguageError

LANGUAGES = ("en", "zh")
"""Languages with a catalogue; the first is the default."""

_chosen: str | None = None


def use_language(name: str | None) -> None:
    """Choose the language of all texts of this process.

    Parameters
    ----------
    name : str or None
        "en", "zh", or a locale of one of them such as "zh_CN.UTF-8". None: what the environment
        variable ``CURVET_LANG`` says, else English.

    Raises
    ------
    LanguageError
        There is no catalogue of that language.
    """
    global _chosen
    _chosen = None if name is None else _known(name)


@contextmanager
def in_language(name: str | None) -> Iterator[None]:
    """Write the texts of a block in another language; see `use_language`."""
    global _chosen
    before = _chosen
    if name is not None:
        use_language(name)
    try:
        yield
    finally:
        _chosen = before


def language() -> str:
    """Return the language of the texts: as chosen, else of ``CURVET_LANG``, else English."""
    return _chosen or _known(os.environ.get("CURVET_LANG") or LANGUAGES[0])


def say(key: str, /, **values: Any) -> str:
    """Look up a text and fill in its values.

    Parameters
    ----------
    key : str
        With dots: "evidence.spike".
    **values
        By the names in the text. The format ``step`` writes a step (see `as_step`), ``share`` a
        share as a percentage.

    Raises
    ------
    KeyError
        No such text.

    Examples
    --------
    >>> say("evidence.noisy", share=0.254)
    'noise from point to point is 25 % of all that was learnt'
    """
    return str(_FORMATTER.vformat(catalogue(language())[key], (), values))


def say_count(key: str, count: int, **values: Any) -> str:
    """Say how many of something, with the text ``<key>.one`` or ``<key>.many``.

    Examples
    --------
    >>> say_count("counts.points", 1), say_count("counts.points", 6)
    ('1 point', '6 points')
    """
    return say(f"{key}.{'one' if count == 1 else 'many'}", count=count, **values)


def as_step(step: float) -> str:
    """Write a step without loss of digits.

    Examples
    --------
    >>> as_step(1204000.0), as_step(2.5)
    ('1204000', '2.5')
    """
    return str(int(step)) if step == step // 1 else f"{step:.4g}"


def knows(key: str) -> bool:
    """Tell whether there is a text of that key."""
    return key in catalogue(language())


@cache
def catalogue(name: str) -> Mapping[str, Any]:
    """Read a catalogue: key with dots -> text, or list of texts."""
    content = files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return dict(_flat(tomllib.loads(content)))


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


@cache
def _known(name: str) -> str:
    short = name.replace("-", "_").partition("_")[0].partition(".")[0].lower()
    if short not in LANGUAGES:
        raise LanguageError(
            f"there are no texts in the language {name!r}; accepted: {', '.join(LANGUAGES)} "
            "(--lang, CURVET_LANG)"
        )
    return short


class _Numbers(Formatter):
    """Formats of our own for what people read often."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "step":
            return as_step(value)
        if format_spec == "share":
            # Few per cent, and fewer, keep two digits.
            digits = f"{100 * value:.2g}" if abs(value) < 0.1 else f"{100 * value:.0f}"
            return say("report.percent", number=digits)
        return str(super().format_field(value, format_spec))


_FORMATTER = _Numbers()
