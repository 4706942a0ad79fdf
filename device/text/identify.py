"""Tells which language a text is written in: by its script, and in Latin letters by its small words.

No model, no statistics learnt from a corpus: lists of function words and rare letters, in the spirit of Grefenstette,
"Comparing two language identification schemes" (1995). It needs a few words; of a single name it says nothing.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter, defaultdict
from functools import cache
from importlib import resources
from typing import Final

from device.text.rules import fluency

LONGEST: Final = 4_000
"""Characters that are looked at."""

_SCRIPTS: Final = (
    ("HIRAGANA", "ja"), ("KATAKANA", "ja"), ("HANGUL", "ko"), ("CJK", "zh"), ("GREEK", "el"), ("HEBREW", "he"),
    ("THAI", "th"), ("DEVANAGARI", "hi"), ("BENGALI", "bn"), ("TAMIL", "ta"), ("TELUGU", "te"), ("GEORGIAN", "ka"),
    ("ARMENIAN", "hy"), ("ARABIC", "ar"), ("CYRILLIC", "ru"), ("LATIN", "latin"),
)  # fmt: skip
_NEIGHBOURS: Final = {
    "ru": (("uk", "іїєґ"), ("bg", "ъщ"), ("ru", "ыэё")),
    "ar": (("fa", "پچژگکی"), ("ur", "ٹڈڑےں")),
}
"""Languages of one script by the letters that the others have not."""
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")  # noqa: RUF001
_ADDRESS: Final = re.compile(r"\S*(?://|@|www\.)\S*")


def identify_text(text: str) -> list[tuple[str, float]]:
    """Return the languages that ``text`` may be in with their shares of the evidence, the likeliest first.

    Nothing is returned for text without letters, or in Latin letters without any known word.
    """
    text = unicodedata.normalize("NFC", _ADDRESS.sub(" ", text[:LONGEST]))
    scripts = Counter(filter(None, map(_script, text)))
    if not scripts:
        return []
    if scripts["ja"] and scripts["ja"] >= 0.1 * scripts["zh"]:
        scripts["ja"] += scripts.pop("zh", 0)
    script, count = scripts.most_common(1)[0]
    share = count / scripts.total()
    if script != "latin":
        return [(_neighbour(script, text), share)]
    scores = _score(text.lower())
    total = sum(scores.values())
    return sorted(((tag, share * score / total) for tag, score in scores.items()), key=lambda item: -item[1])


@cache
def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    name = unicodedata.name(character, "")
    return next((tag for start, tag in _SCRIPTS if name.startswith(start)), None)


def _neighbour(tag: str, text: str) -> str:
    small = text.lower()
    counts = [(sum(map(small.count, letters)), other) for other, letters in _NEIGHBOURS.get(tag, ())]
    best = max(counts, default=(0, tag))
    return best[1] if best[0] else tag


def _score(text: str) -> dict[str, float]:
    owners, letters = _lists()
    scores: defaultdict[str, float] = defaultdict(float)
    for word in _WORD.findall(text.replace("’", "'")):  # noqa: RUF001
        tags = owners.get(word) or owners.get(word[: word.find("'") + 1], ())  # "l'argent"
        for tag in tags:
            # A word of one language alone says more than one that many share.
            scores[tag] += (1 + (len(word) > 2)) / len(tags) ** 0.5
    for letter in set(text):
        for tag in letters.get(letter, ()):
            scores[tag] += 0.7 / len(letters[letter])
    return scores


@cache
def _lists() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the languages of each word and of each letter."""
    file = resources.files("device.text") / "data" / "common_words.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    owners: dict[str, tuple[str, ...]] = {}
    for tag, listed in table["words"].items():
        rules = fluency(tag)
        known = rules.small | rules.digits | frozenset().union(*rules.alike) if rules else frozenset()
        for word in known | set(listed.split()):
            owners[word] = (*owners.get(word, ()), tag)
    letters: dict[str, tuple[str, ...]] = {}
    for tag, listed in table["letters"].items():
        for letter in listed:
            letters[letter] = (*letters.get(letter, ()), tag)
    return owners, letters
