"""Writes text with the characters that a translation model's vocabulary has."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

_SIMILAR: Final = str.maketrans(
    {
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "`": "'", "´": "'",  # noqa: RUF001
        "–": "-", "—": "-", "―": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "·": ".",  # noqa: RUF001
        "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe",
        "Œ": "Oe", "ı": "i", "þ": "th", "Þ": "Th", "ð": "d",  # noqa: RUF001
    }
)  # fmt: skip
"""What to write for a character that the vocabulary lacks."""


class Speller:
    """Spells for one vocabulary; ``knows`` tells whether it has a given character."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows
        self._known: dict[str, bool] = {}

    def character(self, character: str) -> str | None:
        """Return what to write for a character, or None where the vocabulary has nothing like it."""
        if character.isspace() or self.has(character):
            return character
        similar = character.translate(_SIMILAR)
        if similar == character:
            similar = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
        similar = similar.strip()
        return similar if similar and all(map(self.has, similar)) else None

    def text(self, text: str) -> str:
        """Return a text without the characters that cannot be written, nor space at its ends."""
        return "".join(self.character(character) or "" for character in text).strip()

    def names(self, text: str) -> tuple[tuple[str, str], ...]:
        """Return the words that cannot be written as they are, each with how it is written."""
        names: dict[str, str] = {}
        word = ""
        for character in text + " ":
            if character.isalnum() or self.character(character) is None:
                word += character
                continue
            spelled = self.text(word)
            if spelled not in ("", word):
                names[spelled] = word
            word = ""
        return tuple(names.items())

    def has(self, character: str) -> bool:
        """Whether the vocabulary has a character."""
        known = self._known.get(character)
        if known is None:
            known = self._known[character] = self._knows(character)
        return known
