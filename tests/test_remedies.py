"""Every remedy has a use, a source and its words."""

from __future__ import annotations

import re

import pytest

from curvet import remedies
from curvet.causes import CAUSES
from curvet.remedies import REMEDIES, Remedy, Source
from curvet.texts import LANGUAGES, use_language

SOURCES = sorted(
    {source for remedy in REMEDIES.values() for source in remedy.sources},
    key=lambda source: source.title,
)


def test_every_remedy_is_used_and_every_one_in_use_is_known() -> None:
    used = [key for cause in CAUSES.values() for key in cause.remedies]
    assert set(used) == set(REMEDIES)
    for cause in CAUSES.values():
        assert len(set(cause.remedies)) == len(cause.remedies) >= 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=lambda remedy: remedy.key)
def test_a_remedy_is_a_sentence_with_its_sources(remedy: Remedy, language: str) -> None:
    use_language(language)
    assert remedy.text.endswith((".", "\u3002"))
    assert remedy.sources
    assert len(set(remedy.sources)) == len(remedy.sources)
    assert remedy.to_dict()["text"] == remedy.text


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.title)
def test_a_source_can_be_named_and_found(source: Source) -> None:
    assert re.fullmatch(r"https://[\w.-]+/\S+", source.url)
    assert 0 < len(source.title) <= 48
    if match := re.fullmatch(r"([\w./-]+)#(\d+)", source.title):
        assert re.fullmatch(
            rf"https://github\.com/{re.escape(match[1])}/(issues|pull)/{match[2]}", source.url
        )


def test_one_title_is_one_place() -> None:
    assert len({source.title for source in SOURCES}) == len(SOURCES)
    assert len({source.url for source in SOURCES}) == len(SOURCES)


def test_no_two_remedies_read_alike() -> None:
    assert len({remedy.text for remedy in REMEDIES.values()}) == len(REMEDIES)


def test_two_remedies_of_one_key_are_refused() -> None:
    one = REMEDIES["shuffle"]
    with pytest.raises(ValueError, match="share a key"):
        remedies._by_key(one, one)
