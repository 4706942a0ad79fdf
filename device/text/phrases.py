"""Corrects close misses of the phrases that a speaker is likely to say: names, products, terms.

A recogniser that cannot be biased writes "drag a man" where "Dragoman" was said. Every stretch of words is compared
with every phrase, by how it is spelled and by how it sounds. A stretch is only rewritten where it is very near in
both, and never where it is made of ordinary words that are spelled exactly as such words are.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.text.rules import fluency, primary, tables

_WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")  # noqa: RUF001
SHORTEST: Final = 4
"""Letters of the shortest phrase that is looked for: shorter ones are near too many words."""
_MOST_EDITS: Final = 0.34
"""Edits a letter in the spelling alone."""
_FIRST_LETTERS: Final = 0.12
"""What it costs that the first sounds differ."""
_LONG: Final = 10
"""Letters from which a single word is hardly another one."""
_MOST_WORDS: Final = 6
_BINS: Final = 32
"""Kinds of letters that are counted; letters that share one only make two words seem nearer."""
LONGEST: Final = 20_000
"""Characters of the longest text that is looked at."""


@dataclass(frozen=True, slots=True)
class _Phrase:
    written: str
    count: int
    key: str
    sound: str


class PhraseList:
    """Phrases that a recogniser's text is corrected by.

    Parameters
    ----------
    phrases
        As they are to be written; short ones only ever get their capitals.
    language
        A BCP-47 tag.
    """

    def __init__(self, phrases: Sequence[str], language: str = "en") -> None:
        self._language = primary(language)
        self._exact: dict[str, str] = {}
        self._phrases: list[_Phrase] = []
        for phrase in phrases:
            written = " ".join(phrase.split())
            words = _WORD.findall(written)
            key = _key(words)
            if not key or len(words) > _MOST_WORDS:
                continue
            self._exact[key] = written
            if len(key) >= SHORTEST:
                self._phrases.append(_Phrase(written, len(words), key, sound_of(key, self._language)))
        self._longest = max((p.count for p in self._phrases), default=0) + 2
        self._letters = np.array([_letters(p.key) for p in self._phrases], np.int16).reshape(-1, _BINS)
        self._sizes = self._letters.sum(axis=1)
        self._counts = np.array([p.count for p in self._phrases], np.int16)

    def apply(self, text: str) -> str:
        """Return ``text`` with close misses of the phrases written as the phrases are."""
        if not self._exact or len(text) > LONGEST:
            return text
        words = list(_WORD.finditer(text))
        out, done, place = [], 0, 0
        while place < len(words):
            found = self._at(text, words, place)
            if found is None:
                place += 1
                continue
            count, written = found
            first, last = words[place].start(), words[place + count - 1].end()
            out += [text[done:first], written]
            done = last
            place += count
        return "".join(out) + text[done:] if out else text

    def _at(self, text: str, words: Sequence[re.Match[str]], place: int) -> tuple[int, str] | None:
        """Return how many words at ``place`` are a phrase, and how it is written."""
        best: tuple[float, int, str] | None = None
        for count in range(1, min(self._longest, len(words) - place) + 1):
            part = words[place : place + count]
            between = [text[a.end() : b.start()] for a, b in itertools.pairwise(part)]
            if any(gap.strip(" -") for gap in between):
                break
            key = _key([w[0] for w in part])
            if key in self._exact:
                best = -1.0, count, self._exact[key]  # a longer one may follow
                continue
            distance = self._nearest(key, count, [w[0] for w in part])
            if distance is not None and (best is None or distance[0] < best[0]):
                best = distance[0], count, distance[1].written
        return None if best is None else best[1:]

    def _nearest(self, key: str, count: int, words: Sequence[str]) -> tuple[float, _Phrase] | None:
        if len(key) < SHORTEST or self._is_plain(words):
            return None
        best: tuple[float, _Phrase] | None = None
        near = self._with_like_letters(key, count)
        sound = sound_of(key, self._language) if near else ""
        for phrase in near:
            size = max(len(key), len(phrase.key))
            limit = _limit(size, count)
            spelled = _edits(key, phrase.key, round(_MOST_EDITS * size)) / size
            if spelled > _MOST_EDITS or _is_inflected(key, phrase):
                continue
            if count == phrase.count == 1 and size < _LONG and sound != phrase.sound:
                continue  # "costoso" is a word of its own and no "Contoso"
            heard = _edits(sound, phrase.sound, len(sound)) / max(len(sound), len(phrase.sound), 1)
            distance = 0.5 * spelled + 0.5 * heard
            if key[0] != phrase.key[0] and sound[:1] != phrase.sound[:1]:
                distance += _FIRST_LETTERS
            if distance < limit and (best is None or distance < best[0]):
                best = distance, phrase
        return best

    def _with_like_letters(self, key: str, count: int) -> list[_Phrase]:
        """Return the phrases that can be near: letters that only one of both has must all be edits."""
        other = self._letters - _letters(key)
        edits = np.maximum(np.maximum(other, 0).sum(axis=1), np.maximum(-other, 0).sum(axis=1))
        fits = edits <= _MOST_EDITS * np.maximum(self._sizes, len(key))
        return [self._phrases[n] for n in np.flatnonzero(fits & (abs(self._counts - count) <= 2))]

    def _is_plain(self, words: Sequence[str]) -> bool:
        """Whether the stretch is a common word, or begins or ends with a small one: neither is a misheard name."""
        known = _ordinary(self._language)
        if len(words) == 1:
            return words[0].lower() in known or words[0].lower() in _common(self._language)
        return words[0].lower() in known or words[-1].lower() in known


def _limit(size: int, count: int) -> float:
    """Return the edits a letter, spelling and sound together, below which a stretch is taken for the phrase.

    Long ones are like no other word; a single short word may well be a word of its own.
    """
    if size < 6:
        return 0.1
    if size >= 12:
        return 0.26
    return 0.22 if count > 1 or size >= 9 else 0.17


def _is_inflected(key: str, phrase: _Phrase) -> bool:
    """Whether a word is the phrase with an ending more or less: "whispers", "mosquitoes"."""
    if phrase.count == 1 and key[-1] == "s" != phrase.key[-1]:
        return True
    longer, shorter = (key, phrase.key) if len(key) > len(phrase.key) else (phrase.key, key)
    return phrase.count == 1 and len(longer) - len(shorter) in (1, 2) and longer.startswith(shorter)


@cache
def _ordinary(language: str) -> frozenset[str]:
    """Return words that are never taken for a miss of a name."""
    rules = fluency(language)
    if rules is None:
        return frozenset()
    writing = tables(language)["writing"]
    listed = f"{writing['questions']} {writing['capitals']}".split()
    return rules.small | rules.doubled | rules.linking | rules.digits | frozenset().union(*rules.alike) | {*listed}


@cache
def _common(language: str) -> frozenset[str]:
    return frozenset(str(tables(language).get("writing", {}).get("common", "")).split())


def _key(words: Sequence[str]) -> str:
    """Return the letters alone, small and without accents."""
    plain = unicodedata.normalize("NFKD", "".join(words).lower())
    return "".join(c for c in plain if c.isalnum())


def _letters(key: str) -> NDArray[np.int16]:
    """Return how often each kind of letter stands in a word."""
    return np.bincount([ord(c) % _BINS for c in key], minlength=_BINS).astype(np.int16)


_SOUNDS: Final = (
    (r"^(?:kn|gn|pn)", "n"), (r"^wr", "r"), (r"^ps", "s"), (r"^x", "s"), ("sch", "s"), ("tch", "c"), ("ph", "f"),
    ("gh(?=[^aeiouy]|$)", ""), ("ck", "k"), ("c(?=[eiy])", "s"), ("ch", "c"), ("sh", "s"), ("th", "t"), ("qu", "k"),
    ("[cq]", "k"), ("x", "ks"), ("z", "s"), ("g(?=[eiy])", "j"), ("w", "v"), ("y", "i"), ("h", ""), ("dg", "j"),
)  # fmt: skip
_VOWELS: Final = re.compile(r"[aeiou]+")
_DOUBLED: Final = re.compile(r"(.)\1+")


@lru_cache(maxsize=4096)
def sound_of(key: str, language: str) -> str:  # noqa: ARG001 - the same rough sounds serve all languages so far
    """Return how letters sound, roughly: consonants that are alike as one, vowels as one."""
    for pattern, instead in _SOUNDS:
        key = re.sub(pattern, instead, key)
    return _DOUBLED.sub(r"\1", _VOWELS.sub("a", key))


def _edits(a: str, b: str, most: int) -> int:
    """Return how many letters must be changed, added, left out or swapped; more than ``most`` is not counted on."""
    if a == b:
        return 0
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        earlier, before, row = before, row, [i] + [0] * len(b)
        for j, y in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], earlier[j - 2] + 1)
        if min(row) > most:
            return most + 1
    return row[-1]
