"""Cuts a sentence into clauses for speech synthesis, so that the first can be heard while the rest is synthesised.

No engine streams inside a sentence: the sound of a clause starts when all of it is made. A clause must still sound
like one, so cuts are made where a reader would breathe: after punctuation, and in a long stretch without any, before
a conjunction.
"""

from __future__ import annotations

import re
from typing import Final

from device.text.sentences import SPACELESS, is_abbreviation, split_sentences, word_before

LONGEST_CLAUSE: Final = 60
"""Characters above which a clause is also cut before a conjunction."""

LONGEST_FIRST_CLAUSE: Final = 40
"""The same for the first clause: the listener waits for it."""

FEWEST_WORDS: Final = 3
"""Words a clause has at least, unless the sentence is shorter."""

_FEWEST_SPACELESS: Final = 4
"""Characters a clause has at least in a language without spaces."""

_CLOSERS: Final = "\"'’”»›)]}」』】》〉）"  # noqa: RUF001
_PUNCTUATION: Final = re.compile(
    # Followed by space, so that "1,000", "3,5" and "10:30" stay whole.
    rf"(?P<mark>[,;:،؛]|[.!?…]+)[{re.escape(_CLOSERS)}]*\s+"
    r"|(?P<dash>\s+[-–—]+\s+|—\s*)"  # noqa: RUF001
    rf"|(?P<full>[，、；：。！？])[{re.escape(_CLOSERS)}]*\s*"  # noqa: RUF001
    r"|[\r\n\u2028\u2029]\s*"
)

# Only words that begin a clause wherever they stand: no English "that" or "so", no German "der", no Portuguese "se".
_CONJUNCTIONS: Final = {
    "en": "and but or because which who when where while although though unless until since whereas",
    "pt": "e mas ou porque que quando onde pois enquanto embora porém para",
    "es": "y e pero o u porque que cuando donde pues mientras aunque para",
    "fr": "et mais ou parce que qui quand où car pendant tandis lorsque puisque pour",
    "de": "und aber oder weil dass wenn wo denn während obwohl damit",
    "it": "e ed ma o perché che quando dove mentre anche",
    "nl": "en maar of omdat dat wanneer waar want terwijl hoewel",
    "pl": "i a ale lub albo bo że który która które kiedy gdzie jeśli ponieważ",
}
_BEFORE_CONJUNCTION: Final = {
    language: re.compile(rf"\s+(?=(?:{'|'.join(words.split())})\s)", re.IGNORECASE)
    for language, words in _CONJUNCTIONS.items()
}
_CONJUNCTION_WORDS: Final = {language: frozenset(words.split()) for language, words in _CONJUNCTIONS.items()}
_WORD: Final = re.compile(r"\w[\w'’.,:-]*")  # noqa: RUF001
_SPOKEN: Final = re.compile(r"\w")


def split_clauses(text: str, language: str) -> list[str]:
    """Cut ``text`` (a sentence, or several) into clauses; joined, they give it back, character for character.

    White space stays with the clause before it. A sentence's end is always a clause's end. Numbers and abbreviations
    are never cut, and a clause has at least three words unless its sentence has fewer.
    """
    primary = language.split("-", 1)[0].lower()
    clauses: list[str] = []
    for sentence in split_sentences(text, primary):
        pieces = _merge_short(_cut_at_punctuation(sentence, primary), primary)
        for piece in pieces:
            limit = LONGEST_CLAUSE if clauses else LONGEST_FIRST_CLAUSE
            clauses += _cut_long(piece, primary, limit)
    return clauses


def _cut_at_punctuation(sentence: str, language: str) -> list[str]:
    pieces = []
    start = 0
    for match in _PUNCTUATION.finditer(sentence):
        if _is_break(sentence, match, language):
            pieces.append(sentence[start : match.end()])
            start = match.end()
    return [*pieces, sentence[start:]] if start < len(sentence) else pieces


def _is_break(sentence: str, match: re.Match[str], language: str) -> bool:
    mark = match["mark"]
    if mark is None:
        return True
    if mark == ".":
        word = word_before(sentence, match.start())
        number = sentence[match.end() : match.end() + 1].isdigit()
        return bool(word) and not is_abbreviation(word, language, before_number=number)
    # "1, 2" and "10: 30" are one number or one list of numbers to the ear.
    before = sentence[match.start() - 1 : match.start()]
    return not (before.isdigit() and sentence[match.end() : match.end() + 1].isdigit())


def _merge_short(pieces: list[str], language: str) -> list[str]:
    """Join what is too short to stand alone to what follows it, and at the end to what goes before."""
    out: list[str] = []
    waiting = ""
    for piece in pieces:
        waiting += piece
        if not _is_short(waiting, language):
            out.append(waiting)
            waiting = ""
    if waiting:
        if out:
            out[-1] += waiting
        else:
            out.append(waiting)
    return out


def _is_short(piece: str, language: str) -> bool:
    if language in SPACELESS:
        return len(_SPOKEN.findall(piece)) < _FEWEST_SPACELESS
    return len(_WORD.findall(piece)) < FEWEST_WORDS


def _cut_long(piece: str, language: str, limit: int) -> list[str]:
    """Cut a long clause before the conjunctions that leave enough on both sides; nearest to the limit first."""
    out: list[str] = []
    pattern = _BEFORE_CONJUNCTION.get(language)
    while pattern is not None and len(piece) > limit:
        cuts = [m.end() for m in pattern.finditer(piece) if _may_end_with(word_before(piece, m.start()), language)]
        cuts = [c for c in cuts if not (_is_short(piece[:c], language) or _is_short(piece[c:], language))]
        if not cuts:
            break
        cut = max((c for c in cuts if c <= limit), default=cuts[0])
        out.append(piece[:cut])
        piece = piece[cut:]
        limit = LONGEST_CLAUSE
    return [*out, piece]


def _may_end_with(word: str, language: str) -> bool:
    """Whether a clause may end with this word: not "o" before "que", nor "para" before "que"."""
    return len(word) > 2 and word.lower() not in _CONJUNCTION_WORDS[language]
