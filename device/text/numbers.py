"""Writes spoken numbers as people write them: inverse text normalisation.

How a number is written is told by what stands beside it: money, percentages, units, times, dates, years and telephone
numbers. Numbers below ten stay words where nothing asks for digits, as most style guides have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from device.text.numbers_amounts import Amounts
from device.text.numbers_clock import Clock, EnglishClock
from device.text.numbers_dates import Dates
from device.text.numbers_said import MARK, NUMBER, PRIVATE, Finder, Found, Said
from device.text.rules import primary, tables

_SMALLEST_DIGITS: Final = 10
_SHORTEST_RUN: Final = 3
"""Digits said one by one that are written together."""
_SHORTEST_CODE: Final = 7
"""Numbers in a row that can only be a code, however they are grouped."""
_WITH_COUNTRY: Final = 11
"""Digits of an American number with its 1."""
_RUN: Final = re.compile(rf"{NUMBER}(?: {NUMBER}){{{_SHORTEST_RUN - 1},}}")
_ONE_IN: Final = re.compile(rf"({NUMBER}) in ({NUMBER})")
_PAIR: Final = re.compile(rf"(?<!\ue001 )({NUMBER}) ({NUMBER})(?! ?{NUMBER})")
_HUNDRED: Final = re.compile(r"(\w+) hundred (\w+)", re.IGNORECASE)
_SECONDS: Final = re.compile(r"(\w+) second", re.IGNORECASE)
_DIGIT: Final = "zero|oh|o|one|two|three|four|five|six|seven|eight|nine"
_REPEATED: Final = re.compile(
    rf"(?P<before>\b(?:{_DIGIT})[ ,]+)?\b(?P<how>double|triple) (?P<what>{_DIGIT})\b"
    rf"(?=(?P<after>[ ,]+(?:{_DIGIT}|double|triple)\b)?)",
    re.IGNORECASE,
)
"""Digits of telephone numbers that are said as "double four"."""


def write_numbers(text: str, language: str) -> str:
    """Return ``text`` with its spoken numbers written; other text, and other languages, are left alone."""
    rules = _rules(primary(language))
    if rules is None or not text:
        return text
    return "".join(rules.write(line) for line in re.split(r"([\r\n]+)", PRIVATE.sub("", text)))


@cache
def _rules(language: str) -> _Rules | None:
    table = tables(language).get("numbers")
    return None if table is None else _Rules(language, table)


class _Rules:
    """The rules of one language, in the order in which they are tried."""

    def __init__(self, language: str, table: Mapping[str, Any]) -> None:
        self._english, self._table = language == "en", table
        self._finder = Finder(language, table)
        self._clock = EnglishClock() if self._english else Clock(table)
        self._dates, self._amounts = Dates(language, table), Amounts(table)
        self._articles = table["articles"].split()
        self._fixed = frozenset(table.get("pairs", ()))

    def write(self, text: str) -> str:
        if self._english:
            text = _REPEATED.sub(_repeat, text)
        text, said = self._finder.mark(text)
        if not said:
            return text
        text = self._clock.before_digits(text, said)
        text = _RUN.sub(lambda m: self._digits(m, said), text)
        text = self._dates.write(text, said)
        text = self._clock.write(text, said)
        if self._english:
            text = _ONE_IN.sub(lambda m: _one_in(m, said), text)
        text = self._amounts.write(text, said)
        text = self._dates.write_years(text, said)
        text = _PAIR.sub(lambda m: self._pair(m, said), text)
        return MARK.sub(lambda m: self._alone(said.at(m[0]), text, m), text)

    def _digits(self, match: re.Match[str], said: Said) -> str:
        """Write telephone numbers, codes, and digits said one by one."""
        numbers = said.all(match[0])
        if not all(n.whole for n in numbers):
            return match[0]
        if self._dates.is_year(numbers):
            return "".join(n.digits for n in numbers)
        one_by_one = all(len(n.digits) == len(n.spoken.split()) for n in numbers)
        total = "".join(map(_as_dialled, numbers))
        groups = self._table["phone_groups"].get(str(len(total)))
        if self._english and len(total) == _WITH_COUNTRY and total[0] != "1":
            groups = None
        short = all(len(n.digits) <= 3 for n in numbers)
        if groups and (one_by_one or short):
            out, start = [], 0
            for size in groups:
                out.append(total[start : start + size])
                start += size
            return str(self._table["phone_joint"].join(out))
        return total if one_by_one or (short and len(numbers) >= _SHORTEST_CODE) else match[0]

    def _pair(self, match: re.Match[str], said: Said) -> str:
        """Write "twenty four seven" and the like."""
        pair = f"{said.at(match[1]).digits}/{said.at(match[2]).digits}"
        return pair if pair in self._fixed else match[0]

    def _alone(self, found: Found, text: str, match: re.Match[str]) -> str:
        """Write a number that nothing beside it explains."""
        small = found.value < _SMALLEST_DIGITS and not found.digits.startswith("00")
        if small and found.digits.lstrip("-").rstrip(".º°ªstndrhe").isdigit():
            return found.spoken
        if found.one_word and found.value in (100, 1000, 1_000_000):
            return found.spoken  # "a hundred", "mil vezes"
        if found.one_word and found.ordinal:
            return found.spoken if found.value <= 12 else found.digits
        before = text[: match.start()].rstrip().rsplit(" ", 1)[-1].lower()
        if before in self._articles:
            if found.spoken.lower().split()[0] in {"hundred", "thousand"}:
                return found.spoken
            if self._english and _SECONDS.fullmatch(found.spoken) and re.match(r" [^\W\d_]", text[match.end() :]):
                return f"{found.value - 2:g}-second"  # "a thirty second break" is half a minute
        return self._amounts.plain(found)


def _repeat(match: re.Match[str]) -> str:
    what = "zero" if match["what"].lower() in {"o", "oh"} else match["what"]
    if not (match["before"] or match["after"]):
        return match[0]
    return (match["before"] or "") + " ".join([what] * (2 if match["how"].lower() == "double" else 3))


def _as_dialled(number: Found) -> str:
    """Return the digits of a part of a telephone number: "eight hundred five" is 800 and 5 there."""
    parts = _HUNDRED.fullmatch(number.spoken)
    if parts is None or not 1 <= number.value % 100 < 10:
        return number.digits
    return f"{int(number.value // 100)}00{int(number.value % 10)}"


def _one_in(match: re.Match[str], said: Said) -> str:
    """Keep "one in ten" in words: one number of it in digits looks odd."""
    a, b = said.at(match[1]), said.at(match[2])
    return f"{a.spoken} in {b.spoken}" if max(a.value, b.value) <= _SMALLEST_DIGITS else match[0]
