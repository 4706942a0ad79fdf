"""Finds offensive words, and masks, removes or marks them.

Words are compared as people write them to get past a filter: with letters drawn out ("fuuuck"), spaced out
("f u c k"), starred ("f*ck"), in digits and signs ("sh1t"), with accents and invisible characters. A word is only
ever compared whole, never a part of it, so that Scunthorpe, "assess" and "Cockburn" stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Final

from device.config import Profanity
from device.text.rules import LANGUAGES, primary

_HIDDEN: Final = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_WORD: Final = re.compile(
    rf"[^\W_](?:[^\W_]|[*@$!'’·{_HIDDEN}\u0300-\u036f-](?=[^\W_])|[*@$\u0300-\u036f])*"  # noqa: RUF001
    r"|[$@](?=\w)(?:[^\W_]|[*@$!])+"
)
_SPACED: Final = re.compile(
    r"(?<![^\W_])[^\W\d_](?P<gap>[ .\-_*·])(?:[^\W\d_](?P=gap)){1,14}[^\W\d_](?![^\W_]|[*'’])"  # noqa: RUF001
)
"""Single letters with the same sign between them."""
_LETTERS: Final = {"es": "ñ", "pt": "ç", "fr": "ç", "de": "äöü"}
"""Letters that are no accented others: in Spanish a "cono" is a cone."""
_SPACE: Final = re.compile(r"[ .\-_*·]+")
_SIGNS: Final = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
)
_RUNS: Final = re.compile(r"(.)\1+")
_LONGEST: Final = 64
"""Letters of the longest word that is looked at."""
_PART: Final = re.compile(r"[^-]{3,}")
_TAG: Final = "<profanity>{}</profanity>"
_LEFT_OVER: Final = (
    (re.compile(r"\"\"|“”|«\s*»|\(\)"), ""),
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r"[ \t]+(?=[,.;:!?…])"), ""),
    (re.compile(r"(?:^|(?<=[,(¿¡]))\s*,"), ""),
    (re.compile(r",(?=[.;:!?])"), ""),
)


class ProfanityFilter:
    """The offensive words of one language.

    Parameters
    ----------
    language
        A BCP-47 tag; a language without a list has the words of ``more`` alone.
    more
        Further words: ``*`` at the end stands for any ending, ``!`` at the beginning marks an innocent word.
    """

    def __init__(self, language: str, more: Iterable[str] = ()) -> None:
        tag = primary(language)
        self._letters = _LETTERS.get(tag, "")
        entries = [*_listed(tag), *(word for entry in more for word in entry.lower().split())]
        innocent = {self._folded(e[1:]) for e in entries if e.startswith("!")}
        entries = [e for e in entries if not e.startswith("!")]
        self._innocent = frozenset(innocent)
        self._exact = frozenset(self._folded(e) for e in entries if not e.endswith("*")) - innocent
        # A stem also stands for itself; "*" alone is none.
        self._stems = tuple(sorted({self._folded(e) for e in entries if e.endswith("*") and len(e) > 2}))
        self._starts = frozenset(stem[:2] for stem in self._stems)
        self._plain_exact = frozenset(_RUNS.sub(r"\1", word) for word in self._exact)
        self._plain_stems = tuple(_RUNS.sub(r"\1", stem) for stem in self._stems)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return where the offensive words of ``text`` begin and end, in order, none overlapping another."""
        found = [m.span() for m in _SPACED.finditer(text) if self._is_spaced_out(m[0])]
        taken = {place for start, end in found for place in range(start, end)}
        for match in _WORD.finditer(text):
            if match.start() in taken:
                continue
            if self.is_offensive(match[0]):
                found.append(match.span())
            elif "-" in match[0] and match[0].lower() not in self._innocent:  # "kick-ass"
                parts = ((m.start() + match.start(), m[0]) for m in _PART.finditer(match[0]))
                found += [(start, start + len(part)) for start, part in parts if self.is_offensive(part)]
        return sorted(found)

    def is_offensive(self, word: str) -> bool:
        """Whether one word, as it is written, is offensive."""
        if len(word) > _LONGEST:
            return False
        if "*" in word.rstrip("*"):
            return self._is_starred(word)
        plain = self._folded(word)
        for spoken in dict.fromkeys(
            (plain, plain.removesuffix("'s"), plain.rpartition("'")[2], plain.translate(_SIGNS))
        ):
            if spoken in self._innocent:
                return False
            if self._matches(spoken, self._exact, self._stems):
                return True
        if word.isdigit() or not _drawn_out(plain):
            return False
        short = _RUNS.sub(r"\1", plain.translate(_SIGNS))
        return short not in self._innocent and self._matches(short, self._plain_exact, self._plain_stems)

    def apply(self, text: str, mode: Profanity) -> str:
        """Return ``text`` with its offensive words treated as ``mode`` says."""
        if mode is Profanity.RAW:
            return text
        found = self.find(text)
        if not found:
            return text
        out, start = [], 0
        for first, last in found:
            out.append(text[start:first])
            word = text[first:last]
            if mode is Profanity.MASKED:
                out.append("".join("*" if not c.isspace() else c for c in word))
            elif mode is Profanity.TAGGED:
                out.append(_TAG.format(word))
            start = last
        out.append(text[start:])
        joined = "".join(out)
        if mode is Profanity.REMOVED:
            for pattern, instead in _LEFT_OVER:
                joined = pattern.sub(instead, joined)
            joined = joined.strip()
            if text[:1].isupper():
                joined = joined[:1].upper() + joined[1:]
            joined = joined if any(c.isalnum() for c in joined) else ""
        return joined

    def _is_spaced_out(self, text: str) -> bool:
        word = _SPACE.sub("", text)
        folded = self._folded(word)
        # Only a whole word, and none that is short: "a s s" may be initials.
        return len(folded) > 3 and folded not in self._innocent and self._matches(folded, self._exact, self._stems)

    def _is_starred(self, word: str) -> bool:
        """Whether "f*ck" or "sh*t" can only be one of the words."""
        folded = self._folded(word)
        letters = sum(c.isalpha() for c in folded)
        if letters < 2 or not folded[0].isalpha():
            return False
        pattern = re.compile("".join("[^\\W\\d_]" if c == "*" else re.escape(c) for c in folded))
        return any(pattern.fullmatch(w) for w in self._exact) or any(
            len(folded) >= len(stem) and pattern.fullmatch(stem + folded[len(stem) :].replace("*", "x"))
            for stem in self._stems
        )

    def _folded(self, word: str) -> str:
        """Return a word small, without accents but the language's own, hidden signs and last stars."""
        small = unicodedata.normalize("NFKC", word.lower().replace("’", "'"))  # noqa: RUF001
        plain = (c if c in self._letters else unicodedata.normalize("NFKD", c) for c in small)
        return "".join(c for c in "".join(plain) if not unicodedata.combining(c) and c not in _HIDDEN).rstrip("*!")

    def _matches(self, word: str, exact: frozenset[str], stems: Sequence[str]) -> bool:
        if word in exact:
            return True
        return word[:2] in self._starts and any(word.startswith(stem) for stem in stems)


@cache
def _listed(language: str) -> tuple[str, ...]:
    if language not in LANGUAGES:
        return ()
    file = resources.files("device.text") / "data" / "profanity" / f"{language}.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(word for line in lines if not line.startswith("#") for word in line.lower().split())


def _drawn_out(word: str) -> bool:
    """Whether a letter stands three times or more."""
    return any(len(m[0]) > 2 for m in _RUNS.finditer(word))
