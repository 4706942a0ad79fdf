"""Finds in a text what a translation model would turn into junk: addresses, codes, and what it cannot spell."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from device.config import Redaction
from device.engines.mt_spelling import Speller

ADDRESS: Final = re.compile(
    r"(?:https?://|www\.)[^\s<>\"”]*[^\s<>\"”.,;:!?)\]}']"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
    r"|(?<!\w)[#@][^\W\d]\w{0,63}"
    r"|(?P<mark>\[(?:" + "|".join(Redaction) + r"|…)\])"
    r"|(?P<number>(?<![A-Za-z0-9])(?<!\d[.,])(?![12]\d{3}[ -][12]\d{3}(?!\d|[ -]\d))"
    r"(?:\+?\d+(?:[ -]\d+){2,}|0\d* \d+|\d{3}-\d{4}|\+?\d{7,}"
    r"|[A-Z]{2}\d{2}(?=(?: ?[A-Z]{0,4} ?\d){6})(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)"
    r"(?![A-Za-z0-9]|[.,]\d))"
    r"|(?P<code>`[^`\n]{1,200}`|[$%#]?\{[\w.:,! -]{0,64}\}{1,2}|%\(\w{1,40}\)[sdif]|%(?:\d{1,2}\$)?[sdif](?!\w))"
)
"""Web and mail addresses, hashtags and handles; marks of what is hidden; numbers of several groups, long ones and
accounts, but no two years; code and the placeholders of programs."""

_ADDRESS_OR_SOLID: Final = re.compile(rf"{ADDRESS.pattern}|(?P<solid>\w{{81,}})")
"""Letters without end are no word of a language that is written with spaces."""

INVISIBLE: Final = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ud800-\udfff]"
)
"""Control and direction characters and lone surrogates: nothing to translate, and some break terminals."""

_JOINERS: Final = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""Zero-width characters that belong to what stands before them."""

_ARROWS: Final = "\u2190"
"""From here on, Unicode's signs are pictures rather than parts of words."""


def cut_unknown(text: str, speller: Speller, *, spaceless: bool) -> list[tuple[str, bool]]:
    """Cut into pieces that the vocabulary can spell, or that are addresses, and literals that it cannot."""
    out: list[tuple[str, bool]] = []
    start = 0
    for match in (ADDRESS if spaceless else _ADDRESS_OR_SOLID).finditer(text):
        _cut_characters(text[start : match.start()], speller, out)
        _append(out, match[0], literal=match.lastgroup == "solid")
        start = match.end()
    _cut_characters(text[start:], speller, out)
    return out


def _cut_characters(text: str, speller: Speller, out: list[tuple[str, bool]]) -> None:
    for place, character in enumerate(text):
        literal = speller.character(character) is None
        if literal and out and (character in _JOINERS or unicodedata.combining(character)):
            literal = out[-1][1]
        elif literal and _is_attached(text, place, speller):
            literal = False
        elif literal and len(out) > 1 and not out[-1][1] and out[-1][0].isspace():
            _append(out, out.pop()[0], literal=True)  # only space since the last literal: one literal
        _append(out, character, literal=literal)


def _is_attached(text: str, place: int, speller: Speller) -> bool:
    """Whether a sign belongs to the word or number beside it ("#1", "~5", "C#"), unlike an emoji."""
    if text[place] >= _ARROWS or unicodedata.category(text[place])[0] not in "PSN":
        return False
    beside = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
    return any(c.isalnum() and speller.character(c) is not None for c in beside)


def _append(out: list[tuple[str, bool]], text: str, *, literal: bool) -> None:
    if out and out[-1][1] == literal:
        out[-1] = (out[-1][0] + text, literal)
    else:
        out.append((text, literal))
