"""What the rules of the text room know of each language: one TOML file a language in ``device/text/data``.

``[fluency]`` says what people say without meaning it, ``[numbers]`` how numbers are written, ``[writing]`` where
capitals and marks go. A language without a file is left as the recogniser wrote it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

LANGUAGES: Final = ("en", "pt", "es", "fr", "de", "it")
"""Languages with rules."""


def primary(language: str) -> str:
    """Return the primary subtag: ``pt`` of ``pt-BR``."""
    return language.split("-", 1)[0].lower()


@dataclass(frozen=True, slots=True)
class Fluency:
    """What goes out of fluent text."""

    hesitations: frozenset[str]
    """Sounds that are no words."""
    meant: tuple[tuple[str, ...], ...]
    """Such sounds that mean something together: "uh huh" is a yes."""
    asides: tuple[tuple[str, ...], ...]
    """Phrases that mean nothing where commas set them off, the longest first."""
    edits: tuple[tuple[str, ...], ...]
    """Phrases by which a speaker takes something back, the longest first."""
    doubled: frozenset[str]
    """Words that people repeat on purpose."""
    linking: frozenset[str]
    """Words of chains such as "step by step by step"."""
    small: frozenset[str]
    """Function words: nobody repeats them on purpose."""
    subjects: frozenset[str]
    """Those of them that a clause begins with."""
    digits: frozenset[str]
    """Number words up to ten, but for articles: in telephone numbers they are repeated."""
    sounds: frozenset[str]
    """What transcribers write in brackets."""
    verb_last: bool
    """Whether a subordinate clause ends with its verb, so that the next may begin with the same one."""
    phrasal: frozenset[str]
    """Verbs that take a particle, after which a preposition may be the same word: "come in in the morning"."""
    particles: frozenset[str]
    clefts: frozenset[str]
    """Words that open a clause which may end with a verb that comes again: "what it is is"."""
    alike: tuple[frozenset[str], ...]
    """Sets of words of which one may correct another: days, months, colours."""


@cache
def tables(language: str) -> Mapping[str, Any]:
    """Return a language's file as it is, empty where there is none."""
    if language not in LANGUAGES:
        return {}
    file = resources.files("device.text") / "data" / f"{language}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def fluency(language: str) -> Fluency | None:
    """Return what goes out of fluent text in ``language`` (a primary subtag)."""
    table = tables(language).get("fluency")
    if table is None:
        return None
    return Fluency(
        hesitations=words(table["hesitations"]),
        meant=_phrases(table.get("meant", [])),
        asides=_phrases(table["asides"]),
        edits=_phrases(table["edits"]),
        doubled=words(table["doubled"]),
        linking=words(table["linking"]),
        small=words(table["small"]),
        subjects=words(table["subjects"]),
        digits=words(table["digits"]),
        sounds=words(table["sounds"]),
        verb_last=bool(table.get("verb_last", False)),
        phrasal=words(table.get("phrasal", "")),
        particles=words(table.get("particles", "")),
        clefts=words(table.get("clefts", "")),
        alike=tuple(words(group) for group in table["alike"]),
    )


def words(text: str) -> frozenset[str]:
    """Return the words of a list that is written in one line."""
    return frozenset(text.split())


def _phrases(listed: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted((tuple(phrase.split()) for phrase in listed), key=lambda p: -len(p)))
