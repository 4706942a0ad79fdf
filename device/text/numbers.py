"""Writes spoken numbers as people write them: inverse text normalisation.

The library text2num finds the numbers among the words (https://github.com/allo-media/text2num-rs); the rules here
say how a number is written by what stands beside it: money, percentages, units, times, dates, years and telephone
numbers. Numbers below ten stay words where nothing asks for digits, as most style guides have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import text_to_num

from device.text.rules import primary, tables, words

_MARK: Final = re.compile("\ue000(\\d+)\ue001")
_NUMBER: Final = "\ue000\\d+\ue001"
"""A number among the words while the rules are applied: private characters around its place in a list."""
_PRIVATE: Final = re.compile("[\ue000\ue001]")
_PIECES: Final = re.compile(r"[^\W_]+(?:['’.][^\W_]+)*|[^\w\s]+|_+|\s+")  # noqa: RUF001
_SMALLEST_DIGITS: Final = 10
_SHORTEST_RUN: Final = 3
"""Digits said one by one that are written together."""
_COUNTED: Final = "percent|dollars?|euros?|pounds?|met(?:er|re)s|miles|people|years|minutes|hours|seconds|degrees"
"""What is counted after "at": no time then."""
_LARGE: Final = {
    "million": 6, "millions": 6, "milhão": 6, "milhões": 6, "millón": 6, "millones": 6, "millionen": 6, "milione": 6,
    "milioni": 6, "billion": 9, "billions": 9, "bilhão": 9, "bilhões": 9, "milliard": 9, "milliards": 9,
    "milliarde": 9, "milliarden": 9, "miliardo": 9, "miliardi": 9, "trillion": 12, "trillions": 12, "trilhão": 12,
    "trilhões": 12, "bilião": 12, "biliões": 12, "billón": 12, "billones": 12, "bilione": 12, "bilioni": 12,
}  # fmt: skip

_PERCENT: Final = frozenset({("por", "cento"), ("por", "ciento"), ("pour", "cent"), ("per", "cento"), ("per", "cent")})
"""Where a hundred is none."""


_DIGIT: Final = "zero|oh|one|two|three|four|five|six|seven|eight|nine"
_REPEATED: Final = re.compile(
    rf"(?P<before>\b(?:{_DIGIT})[ ,]+)?\b(?P<how>double|triple) (?P<what>{_DIGIT})\b"
    rf"(?=(?P<after>[ ,]+(?:{_DIGIT}|double|triple)\b)?)",
    re.IGNORECASE,
)
"""Digits of telephone numbers that are said as "double four"."""


def _repeat(match: re.Match[str]) -> str:
    if not (match["before"] or match["after"]):
        return match[0]
    return (match["before"] or "") + " ".join([match["what"]] * (2 if match["how"].lower() == "double" else 3))


@dataclass(frozen=True, slots=True)
class _Found:
    """A number as it was said."""

    spoken: str
    digits: str
    """As the library writes it: ``25``, ``3.14``, ``21st``."""
    value: float
    ordinal: bool

    @property
    def whole(self) -> bool:
        return not self.ordinal and self.digits.isdigit()

    @property
    def one_word(self) -> bool:
        return " " not in self.spoken and "-" not in self.spoken


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


def write_numbers(text: str, language: str) -> str:
    """Return ``text`` with its spoken numbers written; other text, and other languages, are left alone."""
    tag = primary(language)
    rules = _rules(tag)
    if rules is None or not text:
        return text
    return "".join(rules.write(line) for line in re.split(r"([\r\n]+)", _PRIVATE.sub("", text)))


@cache
def _rules(language: str) -> _Rules | None:
    table = tables(language).get("numbers")
    return None if table is None else _Rules(language, table)


class _Rules:
    """The rules of one language, compiled."""

    def __init__(self, language: str, table: Mapping[str, Any]) -> None:
        self._language, self._table = language, table
        self._zero = words(table["zero"])
        self._months = table["months"].split()
        self._found: list[_Found] = []

        def any_of(names: Mapping[str, str]) -> str:
            return "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in sorted(names, key=len, reverse=True))

        number, articles = _NUMBER, "|".join(table["articles"].split())
        article = rf"(?:\b(?:{articles})\s+)?" if articles else ""
        joined = re.escape(table["and"])
        self._money = re.compile(
            rf"{article}(?P<n>{number})\s+(?:(?:de|di|d')\s*)?(?P<unit>{any_of(table['currencies'])})\b"
            rf"(?:\s+(?:{joined}\s+)?(?P<c>{number})(?:\s+(?P<cent>{any_of(table['cents'])})\b)?)?",
            re.IGNORECASE,
        )
        self._percent = re.compile(
            rf"(?P<n>{number})\s+(?:{any_of(dict.fromkeys(table['percent'], ''))})\b", re.IGNORECASE
        )
        self._unit = re.compile(rf"(?P<n>{number})\s+(?P<unit>{any_of(table['units'])})\b", re.IGNORECASE)
        months = "|".join(self._months)
        of = rf"(?:{table['date_of']}\s+)" if table["date_of"] else ""
        year = rf"(?:,?\s+{of + '?' if of else ''}(?P<y>{number})(?P<y2>\s+{number})?)?"
        self._day_month = re.compile(rf"(?P<d>{number})\s+{of}(?P<m>{months})\b{year}", re.IGNORECASE)
        self.sure_months = words(table.get("bare_months", ""))
        self._month_day = (
            re.compile(
                rf"\b(?P<m>{months})\s+(?:the\s+)?(?P<d>{number}){year}(?!\s+(?:percent|dollars))", re.IGNORECASE
            )
            if table["date_order"] == "both"
            else None
        )
        self._no_numbers = words(f"{table.get('half', '')} {table.get('quarter', '')}") | (
            set(table["cents"]) - {"cent", "cents"}
        )

    def write(self, text: str) -> str:
        if self._language == "en":
            text = _REPEATED.sub(_repeat, text)
        found: list[_Found] = []
        marked = self._mark(text, found)
        if not found:
            return text
        writer = _Writer(self, self._language, self._table, found)
        return writer.write(marked)

    def _mark(self, text: str, found: list[_Found]) -> str:
        """Put a mark in the place of every number."""
        pieces = _PIECES.findall(text)
        if "".join(pieces) != text:
            return text
        spoken, tokens = self._words(pieces)
        out = list(pieces)
        for occurrence in text_to_num.find_numbers(tokens, self._language, threshold=0):
            first, last = spoken[occurrence.start], spoken[occurrence.end - 1]
            said = "".join(pieces[first : last + 1])
            # "$2.3 billion", "billions of": the figure stands before it, or there is none.
            if any(c.isdigit() for c in said) or said.lower() in _LARGE:
                continue
            found.append(_Found(said, occurrence.text, occurrence.value, occurrence.is_ordinal))
            out[first] = f"\ue000{len(found) - 1}\ue001"
            out[first + 1 : last + 1] = [""] * (last - first)
        marked = "".join(out)
        # "oh" and "zero" among digits that the library does not join.
        names = "|".join(sorted(self._zero))

        def zero(match: re.Match[str]) -> str:
            found.append(_Found(match[0], "0", 0, ordinal=False))
            return f"\ue000{len(found) - 1}\ue001"

        for pattern in (rf"(?<=\ue001 )\b(?:{names})\b(?= (?:\ue000|(?:{names})\b))", rf"\b(?:{names})\b(?= \ue000)"):
            if found:
                marked = re.sub(pattern, zero, marked, flags=re.IGNORECASE)
        return marked

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


class _Writer:
    """Writes the numbers of one text."""

    def __init__(self, rules: _Rules, language: str, table: Mapping[str, Any], found: list[_Found]) -> None:
        self._rules, self._language, self._table, self._found = rules, language, table, found

    def write(self, text: str) -> str:
        rules = self._rules
        text = self._join_digits(text)
        text = rules._day_month.sub(self._date, text)
        if rules._month_day is not None:
            text = rules._month_day.sub(self._date, text)
        text = self._times(text)
        text = rules._percent.sub(self._percent, text)
        text = rules._money.sub(self._money, text)
        text = rules._unit.sub(self._unit, text)
        if self._table.get("years") == "pairs":
            text = re.sub(rf"({_NUMBER}) ({_NUMBER})(?! ?{_NUMBER})", self._year_in_pairs, text)
        return _MARK.sub(lambda m: self._alone(self._found[int(m[1])], text, m), text)

    def _number(self, mark: str) -> _Found:
        match = _MARK.search(mark)
        assert match
        return self._found[int(match[1])]

    def _add(self, found: _Found) -> str:
        self._found.append(found)
        return f"\ue000{len(self._found) - 1}\ue001"

    # Telephone numbers and codes

    def _join_digits(self, text: str) -> str:
        run = rf"{_NUMBER}(?:[ ]{_NUMBER}){{{_SHORTEST_RUN - 1},}}"
        return re.sub(run, self._digits, text)

    def _digits(self, match: re.Match[str]) -> str:
        numbers = [self._found[int(m[1])] for m in _MARK.finditer(match[0])]
        if not all(n.whole for n in numbers):
            return match[0]
        if self._table.get("years") == "pairs" and _is_year_with_oh(numbers):
            return "".join(n.digits for n in numbers)
        one_by_one = all(len(n.digits) == len(n.spoken.split()) for n in numbers)
        total = "".join(n.digits for n in numbers)
        groups = self._table["phone_groups"].get(str(len(total)))
        if one_by_one or (groups and all(len(n.digits) <= 3 for n in numbers)):
            if groups:
                out, start = [], 0
                for size in groups:
                    out.append(total[start : start + size])
                    start += size
                return str(self._table["phone_joint"].join(out))
            return total
        return match[0]

    # Dates

    def _date(self, match: re.Match[str]) -> str:
        day = self._number(match["d"])
        if not 1 <= day.value <= 31 or not (day.whole or day.ordinal):
            return match[0]
        year = match["y"] and self._year(match["y"], match["y2"])
        if match["y"] and year is None:
            return match[0]
        month = match["m"]
        if match.start("d") > match.start("m") and not day.ordinal and month.lower() not in self._rules.sure_months:
            return match[0]  # "may five of them"
        if self._language in ("en", "de"):
            month = month.capitalize()
        written = day.digits
        if self._table.get("ordinal_days"):
            written = f"{int(day.value)}."
        if self._language == "fr" and day.value == 1:
            written = "1er"
        if match.start("d") > match.start("m"):
            return f"{month} {written}" + (f", {year}" if year else "")
        of = self._table["date_of"]
        joint = f" {of} " if of else " "
        return written + joint + month + (f"{joint if self._language != 'en' else ' '}{year}" if year else "")

    def _year(self, first: str, second: str | None) -> str | None:
        a = self._number(first)
        if second:
            b = self._number(second)
            return f"{a.digits}{b.digits}" if _is_pair(a, b) else None
        return a.digits if a.whole and 1000 <= a.value <= 2999 else None

    def _year_in_pairs(self, match: re.Match[str]) -> str:
        a, b = self._number(match[1]), self._number(match[2])
        if _is_pair(a, b) and not re.match(r"\s+(?:a\.?m|p\.?m|a m|p m)\b", match.string[match.end() :], re.IGNORECASE):
            return f"{a.digits}{b.digits}"
        return match[0]

    # Times

    def _times(self, text: str) -> str:
        n = _NUMBER
        if self._language == "en":
            half_day = r"(?P<x>[ap])\.? ?m\b\.?(?=\W|$)"
            text = re.sub(rf"({n})(?: ({n}))?\s+{half_day}", self._half_day, text, flags=re.IGNORECASE)
            quarter = r"half past|quarter past|quarter to|a quarter past|a quarter to"
            text = re.sub(rf"\b({quarter})\s+({n})", self._quarter, text, flags=re.IGNORECASE)
            text = re.sub(rf"({n})\s+o'clock\b", self._oclock, text, flags=re.IGNORECASE)
            text = re.sub(rf"({n})(?:\s+minutes)?\s+(past)\s+({n})", self._minutes, text, flags=re.IGNORECASE)
            told = r"(?<=\bat )|(?<=\bis )|(?<=\bit's )|(?<=\buntil )|(?<=\btill )|(?<=\bbefore )|(?<=\bafter )"
            text = re.sub(
                rf"(?:{told})({n})(?:\s+minutes)?\s+(to)\s+({n})(?!\s+(?:\w+s|people)\b)",
                self._minutes,
                text,
                flags=re.IGNORECASE,
            )
            text = re.sub(rf"({n}) in ({n})", self._one_in, text)
            units = (
                r"(?!\s+(?:percent|dollars?|euros?|pounds?|meters|miles|people|years|minutes|hours|seconds|degrees))"
            )
            return re.sub(rf"\b(at|until|till|by)\s+({n}) ({n})(?! ?{n}){units}", self._at, text, flags=re.IGNORECASE)
        hours = "|".join(self._table.get("hours", "").split())
        joined = re.escape(self._table["and"])
        halves = "|".join((self._table.get("half", "") + " " + self._table.get("quarter", "")).split())
        if hours:
            tail = rf"(?:\s+(?:{joined}\s+)?(?:(?P<m>{n})|(?P<q>{halves or '(?!)'})\b)(?!\s+(?:{hours})\b))?"
            text = re.sub(rf"(?P<h>{n})\s+(?:{hours})\b{tail}", self._hours, text, flags=re.IGNORECASE)
        clock = "|".join(self._table.get("clock_words", "").split())
        if clock:
            tail = rf"\s+{joined}\s+(?:(?P<m>{n})|(?P<q>{halves or '(?!)'})\b)"
            text = re.sub(rf"(?P<before>\b(?:{clock})\s+)(?P<h>{n}){tail}", self._clock, text, flags=re.IGNORECASE)
        return text

    def _half_day(self, match: re.Match[str]) -> str:
        hour = self._number(match[1])
        minute = self._number(match[2]) if match[2] else None
        if not (hour.whole and 1 <= hour.value <= 12) or (minute and not (minute.whole and minute.value < 60)):
            return match[0]
        written = f"{hour.digits}:{int(minute.value):02d}" if minute else hour.digits
        return f"{written} {match['x'].lower()}.m."

    def _quarter(self, match: re.Match[str]) -> str:
        hour, said = self._number(match[2]), match[1].lower()
        if not (hour.whole and 1 <= hour.value <= 12):
            return match[0]
        if said.endswith("to"):
            return f"{int(hour.value - 2) % 12 + 1}:45"
        return f"{hour.digits}:{'30' if said.startswith('half') else '15'}"

    def _minutes(self, match: re.Match[str]) -> str:
        """Write "ten past four" and "at ten to five"."""
        minute, hour = self._number(match[1]), self._number(match[3])
        fits = minute.whole and hour.whole and minute.value in (5, 10, 20, 25) and 1 <= hour.value <= 12
        if not fits:
            return match[0]
        if match[2].lower() == "past":
            return f"{hour.digits}:{int(minute.value):02d}"
        return f"{int(hour.value - 2) % 12 + 1}:{60 - int(minute.value)}"

    def _one_in(self, match: re.Match[str]) -> str:
        """Keep "one in ten" in words: one number of it in digits looks odd."""
        a, b = self._number(match[1]), self._number(match[2])
        return f"{a.spoken} in {b.spoken}" if max(a.value, b.value) <= _SMALLEST_DIGITS else match[0]

    def _oclock(self, match: re.Match[str]) -> str:
        hour = self._number(match[1])
        return f"{hour.digits} o'clock" if hour.whole and 1 <= hour.value <= 12 else match[0]

    def _at(self, match: re.Match[str]) -> str:
        hour, minute = self._number(match[2]), self._number(match[3])
        fits = hour.whole and minute.whole and 1 <= hour.value <= 23 and 10 <= minute.value < 60
        return f"{match[1]} {hour.digits}:{minute.digits}" if fits else match[0]

    def _hours(self, match: re.Match[str]) -> str:
        """Write "quinze horas e trinta", "quinze heures trente", "fünfzehn Uhr dreißig"."""
        hour = self._number(match["h"])
        minute = self._minute(match)
        if not (hour.whole and hour.value < 25) or minute is None:
            return match[0]
        # "trois heures" alone may be a span of time; only what names minutes, or says "Uhr", is surely a time.
        if not (match["m"] or match["q"]):
            alone = self._table.get("hour_format") if self._language == "de" else None
            return alone.format(h=hour.digits) if alone else match[0]
        return str(self._table["clock_format"].format(h=hour.digits, m=minute))

    def _clock(self, match: re.Match[str]) -> str:
        hour, minute = self._number(match["h"]), self._minute(match)
        if not (hour.whole and 1 <= hour.value <= 24) or not minute or minute == 1:
            return match[0]
        return str(match["before"] + self._table["clock_format"].format(h=hour.digits, m=minute))

    def _minute(self, match: re.Match[str]) -> int | None:
        if match["m"]:
            minute = self._number(match["m"])
            return int(minute.value) if minute.whole and minute.value < 60 else None
        if match["q"]:
            return 30 if match["q"].lower() in self._table.get("half", "").split() else 15
        return 0

    # Amounts

    def _percent(self, match: re.Match[str]) -> str:
        found = self._number(match["n"])
        return match[0] if found.ordinal else str(self._table["percent_format"].format(self._plain(found)))

    def _money(self, match: re.Match[str]) -> str:
        amount = self._number(match["n"])
        if amount.ordinal:
            return match[0]
        form = self._table["currencies"][" ".join(match["unit"].lower().split())]
        rest = ""
        written = self._plain(amount)
        if match["c"]:
            cents = self._number(match["c"])
            fits = amount.whole and cents.whole and cents.value < 100
            if fits and (match["cent"] or cents.value >= 10):
                written = f"{self._grouped(amount.digits)}{self._table['decimal']}{int(cents.value):02d}"
            else:
                rest = match[0][match.end("unit") - match.start() :]
        return str(form.format(written)) + rest

    def _unit(self, match: re.Match[str]) -> str:
        found = self._number(match["n"])
        if found.ordinal:
            return match[0]
        sign = self._table["units"][" ".join(match["unit"].lower().split())]
        return f"{self._plain(found)}{'' if sign == '°' else ' '}{sign}"

    def _plain(self, found: _Found) -> str:
        """Return the digits of a number; "three million" keeps its word."""
        large = found.spoken.split()[-1].lower()
        if found.whole and large in _LARGE and found.value % 10 ** (_LARGE[large] - 1) == 0:
            head = f"{found.value / 10 ** _LARGE[large]:g}".replace(".", self._table["decimal"])
            return f"{head} {found.spoken.split()[-1]}"
        return self._grouped(found.digits) if found.whole else found.digits

    def _grouped(self, digits: str) -> str:
        """Return 25000 as 25,000; four digits stay together, and so does what begins with a zero."""
        if len(digits) < 5 or digits[0] == "0":
            return digits
        out = digits
        for place in range(len(digits) - 3, 0, -3):
            out = out[:place] + self._table["group"] + out[place:]
        return out

    def _alone(self, found: _Found, text: str, match: re.Match[str]) -> str:
        """Write a number that nothing beside it explains."""
        if found.value < _SMALLEST_DIGITS and found.digits.lstrip("-").rstrip(".º°ªstndrhe").isdigit():
            return found.spoken
        if found.one_word and found.value in (100, 1000, 1_000_000):
            return found.spoken  # "a hundred", "mil vezes"
        if found.one_word and found.ordinal:
            return found.spoken if found.value <= 12 else found.digits
        before = text[: match.start()].rstrip().rsplit(" ", 1)[-1].lower()
        if before in self._table["articles"].split() and found.spoken.lower().split()[0] in {"hundred", "thousand"}:
            return found.spoken
        return self._plain(found)


def _is_hyphen(pieces: list[str], place: int) -> bool:
    """Whether the piece stands between two words: "twenty-five"."""
    return 0 < place < len(pieces) - 1 and pieces[place - 1][-1:].isalpha() and pieces[place + 1][:1].isalpha()


def _is_year_with_oh(numbers: list[_Found]) -> bool:
    """Whether numbers are a year such as nineteen oh five."""
    if len(numbers) != 3:
        return False
    century, zero, year = numbers
    return 11 <= century.value <= 20 and zero.digits == "0" and 1 <= year.value <= 9


def _is_pair(a: _Found, b: _Found) -> bool:
    """Whether two numbers are a year said in halves: nineteen eighty-four, twenty twenty-six."""
    return a.whole and b.whole and 11 <= a.value <= 20 and 10 <= b.value <= 99
