"""Writes spoken times of day: "half past three" as 3:30, "quinze horas e trinta" as 15:30.

Spans of time stay words: "uma hora e meia" is no half past one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from device.text.numbers_said import NUMBER as N
from device.text.numbers_said import Said

_HALF_DAY: Final = r"(?P<x>[ap])\.? ?m\b\.?(?=\W|$)"
_TOLD: Final = r"(?<=\bat )|(?<=\bis )|(?<=\bit's )|(?<=\buntil )|(?<=\btill )|(?<=\bbefore )|(?<=\bafter )"
_COUNTED: Final = "percent|dollars?|euros?|pounds?|meters|miles|people|years|minutes|hours|seconds|degrees"
"""What is counted after "at": no time then."""
_NOON: Final = 12


def _any_case(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_OH: Final = _any_case(rf"(?P<at>\b(?:at|until|till|by) )?({N}) ({N}) ({N})(?:\s+{_HALF_DAY}|(?! ?{N}))")
_WITH_HALF_DAY: Final = _any_case(rf"({N})(?: ({N}))?\s+{_HALF_DAY}")
_QUARTERS: Final = _any_case(rf"\b(half past|quarter past|quarter to|a quarter past|a quarter to)\s+({N})")
_OCLOCK: Final = _any_case(rf"({N})\s+o'clock\b")
_PAST: Final = _any_case(rf"({N})(?:\s+minutes)?\s+(past)\s+({N})")
_TO: Final = _any_case(rf"(?:{_TOLD})({N})(?:\s+minutes)?\s+(to)\s+({N})(?!\s+(?:\w+s|people)\b)")
_AT: Final = _any_case(rf"\b(at|until|till|by)\s+({N}) ({N})(?! ?{N})(?!\s+(?:{_COUNTED}))")


class EnglishClock:
    """Times as English tells them."""

    def before_digits(self, text: str, said: Said) -> str:
        """Write what would be taken for digits said one by one: "two oh five p m"."""
        return _OH.sub(partial(_with_oh, said), text)

    def write(self, text: str, said: Said) -> str:
        """Write all other times."""
        text = _WITH_HALF_DAY.sub(partial(_half_day, said), text)
        text = _QUARTERS.sub(partial(_quarter, said), text)
        text = _OCLOCK.sub(partial(_oclock, said), text)
        for pattern in (_PAST, _TO):
            text = pattern.sub(partial(_minutes, said), text)
        return _AT.sub(partial(_at, said), text)


def _with_oh(said: Said, match: re.Match[str]) -> str:
    hour, zero, minute = said.all(match[0])
    fits = hour.whole and 1 <= hour.value <= _NOON and zero.digits == "0" and minute.whole and 1 <= minute.value < 10
    if not fits or not (match["at"] or match["x"]):
        return match[0]
    half = f" {match['x'].lower()}.m." if match["x"] else ""
    return f"{match['at'] or ''}{hour.digits}:0{minute.digits}{half}"


def _half_day(said: Said, match: re.Match[str]) -> str:
    hour = said.at(match[1])
    minute = said.at(match[2]) if match[2] else None
    if not (hour.whole and 1 <= hour.value <= _NOON) or (minute and not (minute.whole and minute.value < 60)):
        return match[0]
    written = f"{hour.digits}:{int(minute.value):02d}" if minute else hour.digits
    return f"{written} {match['x'].lower()}.m."


def _quarter(said: Said, match: re.Match[str]) -> str:
    hour, quarter = said.at(match[2]), match[1].lower()
    if not (hour.whole and 1 <= hour.value <= _NOON):
        return match[0]
    if quarter.endswith("to"):
        return f"{_hour_before(hour.value)}:45"
    return f"{hour.digits}:{'30' if quarter.startswith('half') else '15'}"


def _minutes(said: Said, match: re.Match[str]) -> str:
    """Write "ten past four" and "at ten to five"."""
    minute, hour = said.at(match[1]), said.at(match[3])
    fits = minute.whole and hour.whole and minute.value in (5, 10, 20, 25) and 1 <= hour.value <= _NOON
    if not fits:
        return match[0]
    if match[2].lower() == "past":
        return f"{hour.digits}:{int(minute.value):02d}"
    return f"{_hour_before(hour.value)}:{60 - int(minute.value)}"


def _hour_before(hour: float) -> int:
    return int(hour - 2) % _NOON + 1


def _oclock(said: Said, match: re.Match[str]) -> str:
    hour = said.at(match[1])
    return f"{hour.digits} o'clock" if hour.whole and 1 <= hour.value <= _NOON else match[0]


def _at(said: Said, match: re.Match[str]) -> str:
    hour, minute = said.at(match[2]), said.at(match[3])
    fits = hour.whole and minute.whole and 1 <= hour.value <= 23 and 10 <= minute.value < 60
    return f"{match[1]} {hour.digits}:{minute.digits}" if fits else match[0]


class Clock:
    """Times in languages that name the hours: "quinze heures trente", "fünfzehn Uhr dreißig", "a las tres y media"."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._format = str(table.get("clock_format", ""))
        self._alone = table.get("hour_format")
        self._half_words = table.get("half", "").split()
        self._before = (table.get("clock_words", "") + " " + table.get("clock_verbs", "")).split()
        hours, clock = "|".join(table.get("hours", "").split()), "|".join(table.get("clock_words", "").split())
        joined = re.escape(table["and"])
        parts = "|".join((table.get("half", "") + " " + table.get("quarter", "")).split()) or "(?!)"
        minutes = rf"(?:(?P<m>{N})|(?P<q>{parts})\b)"
        tail = rf"(?:\s+(?:{joined}\s+)?{minutes}(?!\s+(?:{hours}|minut\w+)\b))?"
        self._hours = _any_case(rf"(?P<h>{N})\s+(?:{hours})\b{tail}") if hours else None
        self._clock = _any_case(rf"(?P<before>\b(?:{clock})\s+)(?P<h>{N})\s+{joined}\s+{minutes}") if clock else None

    def before_digits(self, text: str, said: Said) -> str:  # noqa: ARG002 - as in English
        """Leave the text as it is: digits are said one by one otherwise."""
        return text

    def write(self, text: str, said: Said) -> str:
        """Write the times of a text."""
        if self._hours is not None:
            text = self._hours.sub(partial(self._write_hours, said), text)
        if self._clock is not None:
            text = self._clock.sub(partial(self._write_clock, said), text)
        return text

    def _write_hours(self, said: Said, match: re.Match[str]) -> str:
        hour, minute = said.at(match["h"]), self._minute(said, match)
        if not (hour.whole and hour.value < 25) or minute is None:
            return match[0]
        # "trois heures" alone may be a span of time; only what names minutes, or says "Uhr", is surely a time.
        if not (match["m"] or match["q"]):
            return str(self._alone.format(h=hour.digits)) if self._alone else match[0]
        if self._before and match.string[: match.start()].rstrip().rsplit(" ", 1)[-1].lower() not in self._before:
            return match[0]
        return self._format.format(h=hour.digits, m=minute)

    def _write_clock(self, said: Said, match: re.Match[str]) -> str:
        hour, minute = said.at(match["h"]), self._minute(said, match)
        if not (hour.whole and 1 <= hour.value <= 24) or not minute or minute == 1:
            return match[0]
        return match["before"] + self._format.format(h=hour.digits, m=minute)

    def _minute(self, said: Said, match: re.Match[str]) -> int | None:
        if match["m"]:
            minute = said.at(match["m"])
            return int(minute.value) if minute.whole and minute.value < 60 else None
        if match["q"]:
            return 30 if match["q"].lower() in self._half_words else 15
        return 0
