"""Cuts text into sentences, so that each can be translated by itself and put back in its place.

Rules in the manner of Unicode's sentence boundaries (UAX #29), with what they lack: abbreviations, initials,
numbered lists, and an upper limit of length for text that has no full stops at all.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Final

SPACELESS: Final = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my"})
"""Languages written without spaces between words or sentences."""

LONGEST_SENTENCE: Final = 400
"""Characters; a longer sentence is cut where it hurts least."""

_CLOSERS: Final = "\"'’”»›)]}」』】》〉）"  # noqa: RUF001
_BOUNDARY: Final = re.compile(
    rf"(?<![.!?…؟۔।॥։።;])(?P<stop>[.!?…؟۔।॥։።;]++)(?P<close>[{re.escape(_CLOSERS)}]*)(?P<space>\s+|$)"  # noqa: RUF001
    rf"|(?P<full>[。！？｡]+)[{re.escape(_CLOSERS)}]*\s*"  # noqa: RUF001
    r"|(?P<line>[\r\n\u2028\u2029]\s*)"
)
_WORD_BEFORE: Final = re.compile(r"[^\s(\[\"'“‘«/]+$")  # noqa: RUF001
_LONGEST_WORD: Final = 24
_OPENERS: Final = "\"'“‘«¿¡([{-–— "  # noqa: RUF001


MARKUP: Final = re.compile(
    r"<!--.{0,4000}?-->|<(?P<verbatim>script|style|code|pre|kbd|samp)\b[^<>]{0,400}>.{0,4000}?</(?P=verbatim)\s*>"
    r"|</?[A-Za-z][^<>]{0,2000}>|<![A-Za-z][^<>]{0,400}>|&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,30});",
    re.DOTALL | re.IGNORECASE,
)
"""Tags and entities of HTML and XML, and what stands between tags that hold no prose."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON: Final = _words(
    "dr prof st vs etc e.g i.e cf al approx ca fig no nr vol pp ed eds jr sr ph.d m.d b.sc m.sc a.k.a"
)
_BY_LANGUAGE: Final = {
    "en": _words(
        "mr mrs ms messrs rev hon gen col capt lt sgt gov sen rep pres mt ft ave blvd rd dept est inc ltd co corp"
    ),
    "pt": _words(
        "sr sra srs sras srta dra profa exmo exma av r pág págs p.ex séc núm tel gen cel cap ten sgt eng arq ltda"
    ),
    "es": _words("sra srs sres sras srta dra ud uds vd vds pág págs núm av avda gral cap tel p.ej ee.uu"),
    "fr": _words("m mm mme mmes mlle mlles pr me av bd p.ex env tél éd ste"),
    "de": _words("a b d h o s u v z hr fr frl str z.b d.h u.a bzw usw evtl ggf inkl tel u.s.w v.a z.t bd jh dipl ing"),
    "it": _words("sig sig.ra sigg dott dott.ssa avv ing arch pag pagg n ecc"),
    "nl": _words("dhr mevr mw bijv d.w.z enz o.a t.a.v ir drs mr"),
    "pl": _words("np mgr inż ul al pl tzw tzn godz r w str"),
}
_NUMBERED: Final = _words("no nr n nº núm num pp p pág págs fig vol art sec § cap")
"""Abbreviations only where a number follows."""
_MONTHS: Final = _words("jan feb fev mar apr abr may mai jun jul aug ago sep sept set oct out nov dec dez")
_LEADING: Final = _words("e.g i.e ph.d p.ex p.ej z.b d.h sig.ra dott.ssa")
"""Abbreviations with inner full stops after which the sentence goes on, whatever follows."""


def split_sentences(text: str, language: str, *, limit: int = LONGEST_SENTENCE) -> list[str]:
    """Cut ``text`` into sentences; joined, they give the text back, character for character.

    Parameters
    ----------
    text
        Anything, of any length; the time taken grows linearly.
    language
        A BCP-47 tag; it chooses the abbreviations that end no sentence.
    limit
        No sentence is longer than this many characters.

    Returns
    -------
    list of str
        White space stays with the sentence before it. A new line always ends a sentence.
    """
    if limit < 1:
        raise ValueError("limit must be positive")
    primary = language.split("-", 1)[0].lower()
    pieces: list[str] = []
    start, first = 0, _skip_space(text, 0)
    tags = (m.span() for m in MARKUP.finditer(text)) if "<" in text else iter(())
    tag = next(tags, _NOWHERE)
    for match in _BOUNDARY.finditer(text):
        end = match.end()
        while tag[1] <= match.start():
            tag = next(tags, _NOWHERE)
        if tag[0] < match.start():
            continue
        if first < end and _ends_sentence(text, first, match, primary):
            pieces.append(text[start:end])
            start = end
            first = _skip_space(text, start)
    if start < len(text):
        rest = text[start:]
        if pieces and rest.isspace():
            pieces[-1] += rest
        else:
            pieces.append(rest)
    return [part for piece in pieces for part in _cut(piece, limit)]


def is_abbreviation(word: str, language: str, *, before_number: bool = False) -> bool:
    """Whether ``word``, written before a full stop and without it, is an abbreviation rather than a sentence's end."""
    bare = word.lower().rstrip(".")
    if len(bare) == 1 and bare.isalpha() and word != "I":
        return word.isupper() or before_number or bare in _BY_LANGUAGE.get(language, frozenset())
    if before_number and (bare in _NUMBERED or bare in _MONTHS):
        return True
    if bare in _NUMBERED and bare in _COMMON:
        return before_number
    if bare in _COMMON or bare in _BY_LANGUAGE.get(language, frozenset()):
        return True
    # U.S.A, a.m: single letters between full stops.
    parts = bare.split(".")
    return len(parts) > 1 and all(len(part) == 1 and part.isalpha() for part in parts)


def word_before(text: str, end: int, start: int = 0) -> str:
    """Return the word that ends at ``end``, without what opens a quotation before it; "" where there is none."""
    match = _WORD_BEFORE.search(text, max(start, end - _LONGEST_WORD), end)
    return match[0] if match else ""


def _ends_sentence(text: str, first: int, match: re.Match[str], language: str) -> bool:
    stop = match["stop"]
    if stop is None:
        return True
    after = text[match.end() : match.end() + 8].lstrip(_OPENERS)
    if not after and match.end() >= len(text):
        return True
    if ";" in stop:
        return stop == ";" and language == "el"
    if after[:1].islower():
        return False
    if stop != ".":
        return True
    if match["close"]:
        return True
    word = word_before(text, match.start(), first)
    if not word:
        return True
    if match.start() - len(word) == first and (word.isdigit() or len(word) == 1):
        return False  # "1. First", "A. Smith"
    if is_abbreviation(word, language, before_number=after[:1].isdigit()):
        # "at 5 p.m. The" ends a sentence where a capital follows; "Dr. Smith" and "the U.S. Army" do not.
        return word.islower() and "." in word and after[:1].isupper() and word not in _LEADING
    return True


def _skip_space(text: str, start: int) -> int:
    match = _VISIBLE.search(text, start)
    return match.start() if match else len(text)


_NOWHERE: Final = (sys.maxsize, sys.maxsize)
_VISIBLE: Final = re.compile(r"\S")
_BREAKS: Final = (re.compile(r"[;:；：]\s*"), re.compile(r"[,、，،]\s+|[、，]|\s[-–—]\s"), re.compile(r"\s+"))  # noqa: RUF001


def _cut(piece: str, limit: int) -> list[str]:
    """Cut a sentence that is longer than ``limit`` at the latest good place of each stretch."""
    out = []
    start = 0
    while len(piece) - start > limit:
        end = _break_point(piece, start, limit)
        out.append(piece[start:end])
        start = end
    out.append(piece[start:])
    return out


def _break_point(piece: str, start: int, limit: int) -> int:
    latest, earliest = start + limit, start + limit // 2
    for pattern in _BREAKS:
        ends = [m.end() for m in pattern.finditer(piece, earliest, latest)]
        if ends:
            return ends[-1]
    # No space either: at least do not part a letter from its accents, or an emoji from its modifiers.
    end = latest
    while end > earliest + 1 and is_joined(piece, end):
        end -= 1
    return end


_JOINERS: Final = frozenset("\u200c\u200d\u0e30\u0e32\u0e33\u0e45\u0e46\u0eb0\u0eb2\u0eb3")
"""Joiners, and vowels of Thai and Lao that follow their consonant."""
_LEADING_VOWELS: Final = frozenset("\u200d\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4")
_SKINS: Final = range(0x1F3FB, 0x1F400)


def is_joined(text: str, place: int) -> bool:
    """Whether the character at ``place`` belongs to the one before: an accent, a vowel sign, part of an emoji."""
    character = text[place]
    marks = unicodedata.category(character)[0] == "M" or character in _JOINERS or ord(character) in _SKINS
    return marks or (place > 0 and text[place - 1] in _LEADING_VOWELS)
