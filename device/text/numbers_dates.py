"""Writes spoken dates and years: "the twenty first of may two thousand and ten", "nineteen eighty-four"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from device.text.numbers_said import NUMBER, Found, Said
from device.text.rules import words

_PAIR: Final = re.compile(rf"({NUMBER}) ({NUMBER})(?! ?{NUMBER})")
_HALF_DAY: Final = re.compile(r"\s+(?:a\.?m|p\.?m|a m|p m)\b", re.IGNORECASE)
_CENTURIES: Final = range(11, 21)
_DECADES: Final = {
    "tens": 10, "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70,
    "eighties": 80, "nineties": 90,
}  # fmt: skip
_DECADE: Final = re.compile(rf"({NUMBER}) ({'|'.join(_DECADES)})\b", re.IGNORECASE)


class Dates:
    """The dates of one language."""

    def __init__(self, language: str, table: Mapping[str, Any]) -> None:
        self._language, self._of = language, str(table["date_of"])
        self._ordinal_days, self._pairs = bool(table.get("ordinal_days")), table.get("years") == "pairs"
        self._sure_months = words(table.get("bare_months", ""))
        months = "|".join(table["months"].split())
        of = rf"(?:{self._of}\s+)" if self._of else ""
        year = rf"(?:,?\s+{of + '?' if of else ''}(?P<y>{NUMBER})(?P<y2>\s+{NUMBER})?)?"
        patterns = [rf"(?P<d>{NUMBER})\s+{of}(?P<m>{months})\b{year}"]
        if table["date_order"] == "both":
            patterns.append(rf"\b(?P<m>{months})\s+(?:the\s+)?(?P<d>{NUMBER}){year}(?!\s+(?:percent|dollars))")
        self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]

    def write(self, text: str, said: Said) -> str:
        """Write days with their months."""
        for pattern in self._patterns:
            text = pattern.sub(partial(self._date, said), text)
        return text

    def write_years(self, text: str, said: Said) -> str:
        """Write years that are said in halves, and decades."""
        if not self._pairs:
            return text
        return _DECADE.sub(partial(_decade, said), _PAIR.sub(partial(_year_in_pairs, said), text))

    def is_year(self, numbers: list[Found]) -> bool:
        """Whether numbers are a year such as nineteen oh five."""
        if len(numbers) != 3 or not self._pairs:
            return False
        century, zero, year = numbers
        return century.value in _CENTURIES and zero.digits == "0" and 1 <= year.value <= 9

    def _date(self, said: Said, match: re.Match[str]) -> str:
        day = said.at(match["d"])
        if not 1 <= day.value <= 31 or not (day.whole or day.ordinal):
            return match[0]
        year = match["y"] and _year(said.at(match["y"]), said.at(match["y2"]) if match["y2"] else None)
        if match["y"] and year is None:
            return match[0]
        month, month_first = match["m"], match.start("d") > match.start("m")
        if month_first and not day.ordinal and month.lower() not in self._sure_months:
            return match[0]  # "may five of them"
        if self._language in ("en", "de"):
            month = month.capitalize()
        written = day.digits
        if self._ordinal_days:
            written = f"{int(day.value)}."
        if self._language == "fr" and day.value == 1:
            written = "1er"
        if month_first:
            return f"{month} {written}" + (f", {year}" if year else "")
        joint = f" {self._of} " if self._of else " "
        return written + joint + month + (f"{joint if self._language != 'en' else ' '}{year}" if year else "")


def _year(first: Found, second: Found | None) -> str | None:
    if second is not None:
        return f"{first.digits}{second.digits}" if _is_pair(first, second) else None
    return first.digits if first.whole and 1000 <= first.value <= 2999 else None


def _year_in_pairs(said: Said, match: re.Match[str]) -> str:
    a, b = said.at(match[1]), said.at(match[2])
    if _is_pair(a, b) and not _HALF_DAY.match(match.string, match.end()):
        return f"{a.digits}{b.digits}"
    return match[0]


def _decade(said: Said, match: re.Match[str]) -> str:
    century = said.at(match[1])
    if not (century.whole and century.value in _CENTURIES):
        return match[0]
    return f"{century.digits}{_DECADES[match[2].lower()]}s"


def _is_pair(a: Found, b: Found) -> bool:
    """Whether two numbers are a year said in halves: nineteen eighty-four, twenty twenty-six."""
    return a.whole and b.whole and a.value in _CENTURIES and 10 <= b.value <= 99
