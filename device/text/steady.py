"""Shows of a growing translation only what will most likely stay.

A translation of half a sentence changes with every further word. Shown are the words that two successive guesses
share (local agreement; Liu et al., "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial
Hypothesis Selection", 2020) but the last ones (mask-k; Arivazhagan et al., "Re-Translation Strategies for Long Form,
Simultaneous, Spoken Language Translation", 2020), and what was shown stays until the final. Until two guesses agree
the first third of the first one is shown.
"""

from __future__ import annotations

from typing import Final

from device.text.rules import primary
from device.text.sentences import SPACELESS

HELD_BACK: Final = 3
"""Words at the end of a guess that are not trusted."""
_FIRST_PART: Final = 3
"""One word in so many of a first guess is shown, and always one."""


class SteadyText:
    """One growing text in ``language``."""

    def __init__(self, language: str) -> None:
        self._joint = "" if primary(language) in SPACELESS else " "
        self._before: list[str] = []
        self._shown: list[str] = []
        self._first: list[str] = []
        """What is shown until two guesses agree: rather something that may change once than nothing."""

    def update(self, text: str) -> str:
        """Return what to show now that ``text`` is the newest guess.

        It begins with what was shown before, but for one time: when the first two guesses agree on something else.
        """
        words = text.split() if self._joint else list("".join(text.split()))
        agreed = words[: max(0, min(_shared(self._before, words), len(words) - HELD_BACK))]
        self._before = words
        if _shared(self._shown, agreed) == len(self._shown):
            self._shown += agreed[len(self._shown) :]
        if not self._first:
            self._first = words[: max(1, len(words) // _FIRST_PART)]
        return self._joint.join(self._shown or self._first)


def _shared(first: list[str], second: list[str]) -> int:
    """Return how many words two texts begin with alike, but for capitals and marks."""
    count = 0
    for a, b in zip(first, second, strict=False):
        if _bare(a) != _bare(b):
            break
        count += 1
    return count


def _bare(word: str) -> str:
    return word.strip(".,;:!?…").casefold() or word
