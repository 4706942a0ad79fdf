"""Shares text out over lines and captions: even in length, ended at sentences and clauses, never inside a letter.

Cut is between words, and between characters where words are not parted by spaces.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from device.text.clauses import split_clauses
from device.text.rules import fluency, primary
from device.text.sentences import SPACELESS, is_joined

_SENTENCE_END: Final = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*$")  # noqa: RUF001
_CLAUSE_END: Final = re.compile(r"[,;:،、，；：–—-]+[\"'”’»)\]]*$")  # noqa: RUF001
_LONGEST_WORD: Final = 42
_LONGEST_FOREIGN: Final = 16
"""Characters of a word of another language among those that are not parted by spaces."""
_FOREIGN: Final = re.compile(r"[A-Za-z0-9À-ÿ.,:'’%-][A-Za-z0-9À-ÿ]|[A-Za-z0-9À-ÿ][.,:'’%-](?=[A-Za-z0-9À-ÿ])")  # noqa: RUF001
"""Two characters of such a word."""
_CLOSING: Final = "、。！？，」』）…ー.,:;!?)"  # noqa: RUF001
_SEARCHED: Final = 12
"""Words to either side of the even share among which a caption's end is looked for."""


def units_of(text: str, language: str) -> list[str]:
    """Return what a line can break between: words, or characters where words are not parted by spaces.

    A space between characters stays with the one before it.
    """
    if primary(language) not in SPACELESS:
        return [part for word in text.split() for part in _short(word, _LONGEST_WORD)]
    units: list[str] = []
    for place, character in enumerate(text):
        closes = character.isspace() or character in _CLOSING
        if units and (closes or is_joined(text, place) or _FOREIGN.match(text, place - 1)):
            units[-1] += character
        else:
            units.append(character)
    return [part for unit in units for part in _short(unit, _LONGEST_FOREIGN)]


def _short(word: str, longest: int) -> list[str]:
    """Cut what is too long for a line, but no letter from its marks."""
    parts = []
    start = 0
    while len(word) - start > longest:
        end = start + longest
        while end > start + 1 and is_joined(word, end):
            end -= 1
        parts.append(word[start:end])
        start = end
    return [*parts, word[start:]]


def glue(units: Sequence[str], language: str) -> str:
    """Put units together again."""
    return "".join(units).strip() if primary(language) in SPACELESS else " ".join(units)


def share_out(units: Sequence[str], language: str, count: int, label: str = "") -> list[str]:
    """Cut units into ``count`` pieces, even in length and at good places, by dynamic programming.

    The first is shorter by a label that will stand before it.
    """
    if count <= 1:
        return [glue(units, language)]
    ends = [0]
    for unit in units:
        ends.append(ends[-1] + len(unit) + 1)
    ends[0] = -len(label)
    ideal = (ends[-1] - ends[0]) / count
    penalties = _penalties(tuple(units), language)
    best = [0.0] + [math.inf] * len(units)
    back: list[list[int]] = []
    for piece in range(1, count + 1):
        new, came = [math.inf] * (len(units) + 1), [0] * (len(units) + 1)
        # A piece's end is looked for around its even share.
        around = piece * len(units) // count
        first = max(piece, around - _SEARCHED)
        for end in range(first, min(len(units) - (count - piece), around + _SEARCHED) + 1):
            for begin in range(end - 1, piece - 2, -1):
                size = ends[end] - ends[begin]
                if size > 1.6 * ideal and new[end] < math.inf:
                    break
                cost = best[begin] + ((size - ideal) / ideal) ** 2 + (penalties[end] if end < len(units) else 0.0)
                if cost < new[end]:
                    new[end], came[end] = cost, begin
        back.append(came)
        best = new
    if best[-1] == math.inf:  # words of very different length
        cuts = [round(len(units) * n / count) for n in range(count + 1)]
        return [glue(units[a:b], language) for a, b in itertools.pairwise(cuts)]
    return [glue(units[a:b], language) for a, b in itertools.pairwise(_traced(back, len(units)))]


def _traced(back: Sequence[Sequence[int]], end: int) -> list[int]:
    """Return the cuts that led to the best share."""
    cuts = [end]
    for came in reversed(back):
        end = came[end]
        cuts.append(end)
    return cuts[::-1]


@cache
def _small_words(language: str) -> frozenset[str]:
    rules = fluency(language)
    return rules.small if rules else frozenset()


def _penalties(units: tuple[str, ...], language: str) -> list[float]:
    """Return what it costs to end a line before each unit."""
    tag = primary(language)
    small = _small_words(tag)
    begins_clause = set()
    if tag not in SPACELESS:
        place = 0
        for clause in split_clauses(" ".join(units), tag):
            place += len(clause.split())
            begins_clause.add(place)
    out = [0.0]
    for place in range(1, len(units)):
        before = units[place - 1].rstrip()
        if _SENTENCE_END.search(before):
            cost = 0.0
        elif _CLAUSE_END.search(before):
            cost = 0.03
        elif place in begins_clause:
            cost = 0.06
        elif before.lower() in small:
            cost = 0.5
        else:
            cost = 0.2
        out.append(cost)
    return out
