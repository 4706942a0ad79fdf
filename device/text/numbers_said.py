"""Finds the numbers that were said among the words, and marks their places for the rules that write them.

The library text2num finds them (https://github.com/allo-media/text2num-rs); the rules put back what it takes too far.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import text_to_num

from device.text.rules import words

NUMBER: Final = "\ue000\\d+\ue001"
"""A number among the words while the rules are applied: private characters around its place in a list."""
MARK: Final = re.compile("\ue000(\\d+)\ue001")
PRIVATE: Final = re.compile("[\ue000\ue001]")
LARGE: Final = {
    "million": 6, "millions": 6, "milhão": 6, "milhões": 6, "millón": 6, "millones": 6, "millionen": 6, "milione": 6,
    "milioni": 6, "billion": 9, "billions": 9, "bilhão": 9, "bilhões": 9, "milliard": 9, "milliards": 9,
    "milliarde": 9, "milliarden": 9, "miliardo": 9, "miliardi": 9, "trillion": 12, "trillions": 12, "trilhão": 12,
    "trilhões": 12, "bilião": 12, "biliões": 12, "billón": 12, "billones": 12, "bilione": 12, "bilioni": 12,
}  # fmt: skip
_PIECES: Final = re.compile(r"[^\W_]+(?:['’.][^\W_]+)*|[^\w\s]+|_+|\s+")  # noqa: RUF001
_PERCENT: Final = frozenset({("por", "cento"), ("por", "ciento"), ("pour", "cent"), ("per", "cento"), ("per", "cent")})
"""Where a hundred is none."""
_PLURAL: Final = "tens"
"""Counts as ten to the library: "tens of thousands"."""


@dataclass(frozen=True, slots=True)
class Found:
    """A number as it was said."""

    spoken: str
    digits: str
    """As the library writes it: ``25``, ``3.14``, ``21st``."""
    value: float
    ordinal: bool

    @property
    def whole(self) -> bool:
        """Whether it is neither a decimal nor an ordinal."""
        return not self.ordinal and self.digits.isdigit()

    @property
    def one_word(self) -> bool:
        """Whether it was said in one word."""
        return " " not in self.spoken and "-" not in self.spoken


class Said:
    """The numbers of one text, in the order of their marks."""

    def __init__(self) -> None:
        self._found: list[Found] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, found: Found) -> str:
        """Return the mark of one more number."""
        self._found.append(found)
        return f"\ue000{len(self._found) - 1}\ue001"

    def at(self, mark: str) -> Found:
        """Return the first number marked in ``mark``."""
        match = MARK.search(mark)
        assert match
        return self._found[int(match[1])]

    def all(self, text: str) -> list[Found]:
        """Return the numbers marked in ``text``."""
        return [self._found[int(m[1])] for m in MARK.finditer(text)]


class _Piece:
    """One word as text2num wants it."""

    def __init__(self, text: str, apart: bool) -> None:
        self._text, self._apart = text, apart

    def text(self) -> str:
        return self._text

    def nt_separated(self, previous: object) -> bool:  # noqa: ARG002 - the library's protocol
        return self._apart

    def not_a_number_part(self) -> bool:
        return not self._text[:1].isalpha()


class Finder:
    """Finds the numbers of one language."""

    def __init__(self, language: str, table: Mapping[str, Any]) -> None:
        self._language = language
        self._no_numbers = words(f"{table.get('half', '')} {table.get('quarter', '')}") | (
            set(table["cents"]) - {"cent", "cents"}
        )
        # "oh" and "zero" among digits that the library does not join.
        names = "|".join(sorted(words(table["zero"])))
        zeros = (rf"(?<=\ue001 )\b(?:{names})\b(?= (?:\ue000|(?:{names})\b))", rf"\b(?:{names})\b(?= \ue000)")
        self._zeros = [re.compile(pattern, re.IGNORECASE) for pattern in zeros]

    def mark(self, text: str) -> tuple[str, Said]:
        """Return the text with a mark in the place of every number, and the numbers."""
        said = Said()
        pieces = _PIECES.findall(text)
        if "".join(pieces) != text:
            return text, said
        spoken, tokens = self._words(pieces)
        out = list(pieces)
        for occurrence in text_to_num.find_numbers(tokens, self._language, threshold=0):
            first, last = spoken[occurrence.start], spoken[occurrence.end - 1]
            whole = "".join(pieces[first : last + 1])
            # "$2.3 billion", "billions of": the figure stands before it, or there is none.
            if any(c.isdigit() for c in whole) or whole.lower() in LARGE or whole.lower() == _PLURAL:
                continue
            out[first] = said.add(Found(whole, occurrence.text, occurrence.value, occurrence.is_ordinal))
            out[first + 1 : last + 1] = [""] * (last - first)
        marked = "".join(out)
        for pattern in self._zeros:
            if said:
                marked = pattern.sub(lambda m: said.add(Found(m[0], "0", 0, ordinal=False)), marked)
        return marked, said

    def _words(self, pieces: list[str]) -> tuple[list[int], list[_Piece]]:
        """Return which pieces are words, and the words as text2num wants them."""
        spoken: list[int] = []
        tokens: list[_Piece] = []
        apart = False
        for place, piece in enumerate(pieces):
            if piece[:1].isalnum():
                said = piece.lower()
                before = pieces[place - 2].lower() if place > 1 else ""
                no_number = said in self._no_numbers or (before, said) in _PERCENT
                spoken.append(place)
                tokens.append(_Piece("" if no_number else said, apart))
                apart = False
            elif piece != "-" or not _is_hyphen(pieces, place):
                apart |= not piece.isspace()
        return spoken, tokens


def _is_hyphen(pieces: list[str], place: int) -> bool:
    """Whether the piece stands between two words: "twenty-five"."""
    return 0 < place < len(pieces) - 1 and pieces[place - 1][-1:].isalpha() and pieces[place + 1][:1].isalpha()
