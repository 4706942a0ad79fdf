"""Tells which words of a German sentence are nouns, which German writes with capitals.

By what goes before: an article or possessive opens a noun phrase, and its noun is the first word after it that does
not look like an adjective with another word of content behind it. Nouns without either are not found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from device.text.rules import fluency, tables, words

_STRONG: Final = ("e", "en", "er", "es", "em")
_WEAK: Final = ("e", "en")
"""Endings of adjectives, and those that they have after "der"."""
_VERB: Final = re.compile(r"\w+(?:t|te|ten)|\w*ge\w+en|\w*zu\w+en")
"""What follows a noun rather than an adjective: "die Erde gefallen", "die Straße liegt"."""
_FINITE: Final = ("t", "ete", "eten", "ierte", "ierten", "igte", "igten")
_PRONOUNS: Final = words("der die das den dem")
"""Articles that may also stand for a noun: "das bedeutet"."""
_MOST_ADJECTIVES: Final = 3
_SHORTEST: Final = 3


class NounFinder:
    """Finds nouns by the lists of ``de.toml``."""

    def __init__(self, table: dict[str, Any]) -> None:
        spoken = fluency("de")
        self._definite = words(table["definite"])
        self._openers = self._definite | words(table["indefinite"])
        self._never = words(table["never"])
        self._nouns, self._adjectives = tuple(table["nouns"].split()), tuple(table["adjectives"].split())
        self._subjects = (spoken.subjects if spoken else frozenset()) | {"man", "sie"}
        small = spoken.small | spoken.doubled if spoken else frozenset()
        self._others = small | self._openers | words(table["prepositions"])

    def find(self, said: Sequence[str]) -> set[int]:
        """Return which of some words, all small, are nouns."""
        found = set()
        for place, word in enumerate(said):
            noun = self._noun_after(said, place) if word in self._openers else None
            if noun is not None:
                found.add(noun)
        return found

    def _noun_after(self, said: Sequence[str], opener: int) -> int | None:
        inflections = _WEAK if said[opener] in self._definite else _STRONG
        for place in range(opener + 1, min(opener + 2 + _MOST_ADJECTIVES, len(said))):
            word, following = said[place], said[place + 1] if place + 1 < len(said) else ""
            first = place == opener + 1
            if not self._has_content(word) or (first and self._is_verb(said[opener], word, following)):
                return None
            inflected = word.endswith(inflections) and not word.endswith(self._nouns)
            known = word in self._never or (inflected and word.endswith(self._adjectives))
            if known and not inflected:
                return None
            # "die Ärzte sagen": after "die" an adjective in -e has no noun in -en behind it.
            verb = _VERB.fullmatch(following) or (said[opener] == "die" and word[-1] == "e" and following[-2:] == "en")
            if inflected and self._has_content(following) and (known or not verb):
                continue
            return None if known else place
        return None

    def _is_verb(self, opener: str, word: str, following: str) -> bool:
        """Whether an article is none: "das kostet", "den kenne ich"."""
        if opener not in _PRONOUNS or word.endswith(self._nouns):
            return False
        participle = not following and word.startswith("ge")
        return word.endswith(_FINITE) or following in self._subjects or participle

    def _has_content(self, word: str) -> bool:
        return len(word) >= _SHORTEST and word.isalpha() and word not in self._others


def noun_finder(language: str) -> NounFinder | None:
    """Return what finds the nouns of a language (a primary subtag), None where they are written small."""
    table = tables(language).get("nouns")
    return NounFinder(table) if table else None
