"""Recognises what is written in figures, signs and abbreviations, one expression after the other.

Each kind of expression is a pattern and what says it; the first that fits where something may begin is it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from device.text.speech_words import FRACTIONS, NUMBERS, SpeechWords, words_of
from device.text.spell import Gender, cardinal, digits, inflected_ordinal, ordinal, year

_COUNTED: Final = {"en": r"\d+,\d{1,2}(?![\d,])|"}
"""Numbers of other languages that are surely one before a unit or beside money: "3,5 km"."""
_NUMBER_SIGNS: Final = frozenset({"number", "número", "numero", "Nummer", "numéro"})
"""Read so only before a number."""
_YEARS: Final = range(1100, 2100)
_MINUS: Final = "-\u2212\u2013"
_ADDRESS: Final = (
    r"(?<![\w.+-])(?:(?:https?://|www\.)[^\s<>\"']{1,200}|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,24}){1,4})"
)
_LOCAL_PHONES: Final = {
    "en": r"(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-.]\d{4}(?![\w-])|\d{3}-(?![1-9]\d[05]0)\d{4}(?![\w-])",
    "pt": r"\(\d{2}\)\s?\d{4,5}-\d{4}(?![\w-])|\d{5}-\d{4}(?![\w-])",
}
"""Telephone numbers with hyphens, which are no ranges: "555-1234" is one, "500-1000" is not."""
_DOTTED_TIMES: Final = {
    "de": r"(?P<h>[01]?\d|2[0-4])\.(?P<m>[0-5]\d)\s(?P<uhr>Uhr)\b",
    "it": r"(?:(?<=\balle )|(?<=\bore ))(?P<h>[01]?\d|2[0-4])\.(?P<m>[0-5]\d)(?![\d.])",
}
_DECADE_WORDS: Final = r"(?:\b(?:the|early|late|mid|his|her|my|your|our|their|and|or|to)[ -]|['’])$"  # noqa: RUF001
_ROMAN: Final = r"X{0,3}(?:IX|IV|V?I{1,3}|V|(?<=X))"
"""Below forty: kings, centuries, chapters and wars. More would take "CD" and "XL" for numbers."""
_ONES: Final = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
_ORDINALS: Final = {
    "en": r"(?P<n>\d{1,9})(?:st|nd|rd|th)\b",
    "fr": r"(?P<n>\d{1,9})(?P<f>er|re|ère|e|ème|nde?|d)\b",
    "": r"(?P<n>\d{1,9})\.?(?P<f>[ºªo°](?![\w°CF])|[ªº])",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A part of a text and how it is said."""

    start: int
    end: int
    spoken: str


@cache
def rules_of(language: str) -> SpeechRules | None:
    """Return the rules of a language given by its tag, None where there are none."""
    words = words_of(language)
    return None if words is None else SpeechRules(words, month_first=language.lower() in {"en", "en-us"})


class SpeechRules:
    """The rules of one language, compiled."""

    def __init__(self, words: SpeechWords, month_first: bool) -> None:
        self._words, self._month_first = words, month_first
        language, table = words.language, words.table
        self._language, self._table = language, table
        short = [m.lower() for m in table["short_months"].split()]
        self._month_numbers = {name.lower(): i for i, name in enumerate(words.months, 1)}
        for name in short:
            self._month_numbers.setdefault(
                name, next((i for i, m in enumerate(words.months, 1) if m.lower().startswith(name[:3])), 1)
            )
        number = NUMBERS.get(language, NUMBERS[""])
        money = _any(table["money"])
        month = f"(?i:{'|'.join(sorted((re.escape(name) for name in self._month_numbers), key=len, reverse=True))})"
        scale = _any(table["scales"])
        day = r"(?P<d>0?[1-9]|[12]\d|3[01])"
        tail = r"(?:,?\s+(?:d[eo]l?\s+)?(?P<y>[12]\d{3})(?!\d))?"
        amount = _COUNTED.get(language, "") + number
        minus = rf"(?P<minus>[{_MINUS}])?"
        signed, counted = rf"{minus}(?P<n>{number})", rf"{minus}(?P<n>{amount})"
        unit = rf"(?P<u>{_any(table['units'])})(?![\w²³/])"
        hyphen, scaled = r"\s?[-\u2013]\s?", rf"(?:\s?(?P<k>{scale})(?!\w))?"
        mixed = rf"(?:(?P<whole>\d{{1,3}})\s?)?(?P<sign>[{FRACTIONS}])"
        vulgar = r"(?:(?P<wholes>\d{1,3})\s)?(?P<over>\d{1,3})/(?P<under>\d{1,3})(?![\d/])"
        rules: list[tuple[str, Callable[[re.Match[str]], str | None]]] = [
            (_ADDRESS, self._address),
            (r"(?P<y>[12]\d{3})-(?P<m>0[1-9]|1[0-2])-(?P<d>0[1-9]|[12]\d|3[01])(?!\d)", self._date),
            (r"(?P<a>\d{1,2})(?P<s>[/.])(?P<b>\d{1,2})(?P=s)(?P<y>[12]\d{3})(?!\d)", self._short_date),
            (rf"{day}(?:st|nd|rd|th|er|[ºo°]|\.)?\s+(?:(?:de|of)\s+)?(?P<mon>{month})\b\.?{tail}", self._date),
            *([(rf"(?P<mon>{month})\.?\s+{day}(?:st|nd|rd|th)?(?![:.,]?\d){tail}", self._date)] * (language == "en")),
            (rf"(?P<u>{money})\s?(?P<a>{number}){hyphen}(?:(?P=u)\s?)?(?P<n>{amount}){scaled}", self._prices),
            (rf"(?P<a>{number}){hyphen}(?P<n>{amount})(?:\s?(?P<k>{scale}))?\s?(?P<u>{money})(?!\w)", self._prices),
            (rf"{minus}(?P<u>{money})\s?(?P<after>[{_MINUS}])?(?P<n>{amount}){scaled}", self._money),
            (rf"{minus}(?P<n>{amount})(?:\s?(?P<k>{scale}))?\s?(?:(?:de|di)\s)?(?P<u>{money})(?!\w)", self._money),
            (r"\+\d[\d() -]{7,20}\d", self._phone),
            *([(pattern, self._local_phone) for pattern in [_LOCAL_PHONES.get(language)] if pattern]),
            ((r"(?P<h>[01]?\d|2[0-4])(?::(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?|[hH](?P<mh>[0-5]\d)?)(?!\d)"
             r"(?:\s?(?P<half>[aApP])\.?\s?[mM]\b\.?)?(?:\s?(?P<uhr>Uhr|uhr|h))?(?!\w)"), self._time),
            *([(pattern, self._time) for pattern in [_DOTTED_TIMES.get(language)] if pattern]),
            (r"(?P<h>1[0-2]|[1-9])\s?(?P<half>[aApP])\.?[mM]\b\.?", self._time),
            *([(r"(?P<h>[01]?\d|2[0-4])\s(?P<uhr>Uhr)\b", self._time)] * (language == "de")),
            (rf"(?:{mixed}|{vulgar})(?:\s?{unit})?", self._fraction),
            (r"\d+(?:\.\d+){2,}(?![\d,])", self._dotted),
            *([(r"(?P<n>[1-9]\d{0,2}0)s(?!\w)", self._decade)] * (language == "en")),
            *([(r"(?P<n>[1-9]\d{0,2}0)er(?!\w)", self._decade)] * (language == "de")),
            (rf"{counted}\s?(?P<pc>%)", self._percent),
            (rf"{counted}\s?{unit}", self._unit),
            (rf"{signed}\s?°(?!\w)", self._degrees),
            (_ORDINALS.get(language, _ORDINALS[""]), self._ordinal),
            (rf"(?P<n>{_ROMAN})(?P<e>e|er|\.(?=\s|$))?(?!\w)", self._roman),
            (rf"(?P<a>\d{{1,4}}){hyphen}(?P<b>\d{{1,4}})(?:\s?(?:(?P<pc>%)|{unit})|(?![\w-]))", self._range),
            (rf"{signed}(?!\w)", self._plain),
        ]  # fmt: skip
        self._rules = [(re.compile(pattern), say) for pattern, say in rules]
        self._abbreviations = abbreviations = table["abbreviations"]
        self._abbreviation = re.compile(rf"(?:{_any(abbreviations)})(?!\w)")
        self._signs = table["signs"]
        self._romans = table.get("roman")
        # Where something may begin; what it is, the rules say.
        signs = "".join(map(re.escape, self._signs))
        self._begin = re.compile(
            rf"{_ADDRESS}|(?<![\w.,])[{_MINUS}]?\d|(?<!\w)[{_MINUS}]?(?:{money})\s?[{_MINUS}]?\d"
            rf"|(?<!\w)(?:{_any(abbreviations)})(?!\w)|\(\d{{2,3}}\)\s?\d{{3}}|[{FRACTIONS}]|[{signs}]"
            + (rf"|\b(?:{month})\.?\s+\d" if language == "en" else "")
            + (rf"|(?<=\w ){_ROMAN}(?:er?)?(?!\w)" if self._romans else "")
        )

    def readings(self, text: str) -> list[Reading]:
        """See `readings`."""
        found: list[Reading] = []
        place = 0
        while start := self._begin.search(text, place):
            reading = self._read(text, start.start())
            if reading is None:
                place = start.end()
            else:
                found.append(reading)
                place = max(reading.end, start.start() + 1)
        return found

    def _read(self, text: str, start: int) -> Reading | None:
        if short := self._abbreviation.match(text, start):
            spoken = self._abbreviations[short[0]]
            after = text[short.end() : short.end() + 3]
            if not (after[:1].isspace() and after[1:2].isupper()):  # a street is closed by what a saint begins with
                spoken = self._table.get("closing", {}).get(short[0], spoken)
            if spoken in _NUMBER_SIGNS and not re.match(r"\s?\d", after):
                return None
            return Reading(start, short.end(), spoken + "." * (not after.strip() and short[0].endswith(".")))
        for pattern, say in self._rules:
            if (found := pattern.match(text, start)) and (spoken := say(found)) is not None:
                return Reading(start, found.end(), self._apart(text, start, found.end(), spoken))
        return self._sign(text, start)

    @staticmethod
    def _apart(text: str, start: int, end: int, spoken: str) -> str:
        """Put spaces where the text has a letter directly beside what is said."""
        before = " " if start and (text[start - 1].isalnum()) else ""
        after = " " if text[end : end + 1].isalnum() else ""
        return f"{before}{spoken}{after}"

    def _sign(self, text: str, start: int) -> Reading | None:
        sign = text[start]
        if sign not in self._signs:
            return None
        named, last = self._signs[sign], text[start - 1 : start] if start else ""
        if sign == "#" and not text[start + 1 : start + 2].isdigit():
            if last.isalnum() or not text[start + 1 : start + 2].isalpha():
                return None  # "C#"
            named = "hashtag"
        before = "" if not last or last.isspace() else " "
        after = "" if text[start + 1 : start + 2].strip() == "" else " "
        return Reading(start, start + 1, f"{before}{named}{after}")

    def _plain(self, found: re.Match[str]) -> str | None:
        text = found["n"]
        if found["minus"] and found.start() and not found.string[found.start() - 1].isspace():
            return None
        if len(text) == 4 and text.isdigit() and not found["minus"] and int(text) in _YEARS and self._is_year(found):
            return year(int(text), self._language)
        if text.isdigit() and len(text) >= 7 and not text.endswith("000") and not self._counts(found):
            return ", ".join(digits(text[i : i + 3], self._language) for i in range(0, len(text), 3))
        return self._words.number(text, self._gender(found), bool(found["minus"]))

    def _is_year(self, found: re.Match[str]) -> bool:
        before = re.search(r"(\w+)\W*$", found.string[max(0, found.start() - 24) : found.start()])
        words = self._table.get("year_words", "").split()
        return (
            not words
            or (before is not None and before[1].lower() in words)
            or (found.string[max(0, found.start() - 1) : found.start()] == "(")
        )

    @staticmethod
    def _counts(found: re.Match[str]) -> bool:
        """Whether a long number counts something: a word follows."""
        return bool(re.match(r"\s[^\W\d_]{3,}", found.string[found.end() : found.end() + 5]))

    def _gender(self, found: re.Match[str]) -> Gender:
        """Guess, by its ending, the gender of the noun that follows."""
        after = re.match(r"\s([^\W\d_]+)", found.string[found.end() : found.end() + 30])
        if after is None or after[1].lower() in self._table.get("function", "").split():
            return ""
        return self._words.gender_of(after[1])

    def _range(self, found: re.Match[str]) -> str | None:
        a, b = int(found["a"]), int(found["b"])
        if a >= b:
            return None
        to = self._table["to"]
        if found["pc"]:
            return f"{cardinal(a, self._language)} {to} {self._words.number(found['b'])} {self._table['percent']}"
        if found["u"]:
            names = self._table["units"][found["u"]]
            gender: Gender = "f" if names.endswith(" f") else "m"
            return f"{cardinal(a, self._language, gender)} {to} {self._words.counted(found['b'], names)}"
        if a in _YEARS and b in _YEARS and len(found["a"]) == 4:
            return f"{year(a, self._language)} {to} {year(b, self._language)}"
        return f"{cardinal(a, self._language)} {to} {cardinal(b, self._language)}"

    def _decade(self, found: re.Match[str]) -> str | None:
        number = int(found["n"])
        if number > 99 and number not in _YEARS:
            return None
        before = found.string[max(0, found.start() - 8) : found.start()].lower()
        if self._language == "en" and number < 100 and re.search(_DECADE_WORDS, before) is None:
            return None  # "30s" is half a minute
        return self._words.decade(number)

    def _percent(self, found: re.Match[str]) -> str:
        return f"{self._words.number(found['n'], minus=bool(found['minus']))} {self._table['percent']}"

    def _degrees(self, found: re.Match[str]) -> str:
        return self._words.counted(found["n"], self._table["degrees"], minus=bool(found["minus"]))

    def _unit(self, found: re.Match[str]) -> str | None:
        return self._words.counted(found["n"], self._table["units"][found["u"]], minus=bool(found["minus"]))

    def _money(self, found: re.Match[str]) -> str | None:
        said, groups = self._words.price(found["n"], found["u"], found["k"]), found.groupdict()
        return f"{self._table['minus']} {said}" if groups.get("minus") or groups.get("after") else said

    def _prices(self, found: re.Match[str]) -> str:
        highest = self._words.price(found["n"], found["u"], found["k"])
        return f"{self._words.number(found['a'], 'm')} {self._table['to']} {highest}"

    def _local_phone(self, found: re.Match[str]) -> str:
        return self._words.telephone(found[0])

    def _phone(self, found: re.Match[str]) -> str:
        return f"{self._table['signs']['+']} {self._words.telephone(found[0][1:])}"

    def _fraction(self, found: re.Match[str]) -> str | None:
        whole = found["whole"] or found["wholes"]
        said = self._words.fraction(f"{whole or ''} {found['sign'] or found['over'] + '/' + found['under']}")
        if said is None or not found["u"]:
            return said
        one, _, many = self._table["units"][found["u"]].removesuffix(" f").removesuffix(" m").partition("/")
        return f"{said} {many if whole and many else one}"

    def _dotted(self, found: re.Match[str]) -> str | None:
        if self._language != "en" and re.fullmatch(r"\d{1,3}(?:\.\d{3})+", found[0]):
            return None
        return f" {self._table['dot']} ".join(
            digits(part, self._language) if part[0] == "0" or len(part) > 3 else cardinal(int(part), self._language)
            for part in found[0].split(".")
        )

    def _ordinal(self, found: re.Match[str]) -> str:
        mark = found.groupdict().get("f") or ""
        return ordinal(int(found["n"]), self._language, "f" if mark in {"ª", "re", "ère", "nde"} else "m")

    def _roman(self, found: re.Match[str]) -> str | None:
        """Say "Louis XIV", "Chapter IV", "XIXe siècle": the word before tells what it is."""
        before = re.search(r"(\w+) $", found.string[max(0, found.start() - 24) : found.start()])
        number, ending = _roman_value(found["n"]), found["e"] or ""
        if before is None or number is None or not self._romans:
            return None
        word, language = before[1], self._language
        if language == "fr" and ending in {"e", "er"}:
            return "premier" if number == 1 else ordinal(number, "fr")
        alone = number in {1, 5, 10} and word.lower() not in self._table["roman_words"].split()
        if alone or not word[0].isupper() or ending.isalpha():
            return None  # "Vitamin I", "the XX"
        closed = "." if ending and (language != "de" or found.end() == len(found.string)) else ""
        if word not in self._romans.split():
            return cardinal(number, language) + closed
        return (
            f"the {ordinal(number, 'en')}" if language == "en" else f"der {inflected_ordinal(number, 'de', 'e')}"
        ) + closed

    def _short_date(self, found: re.Match[str]) -> str | None:
        a, b = int(found["a"]), int(found["b"])
        day, month = (b, a) if self._month_first and found["s"] == "/" and a <= 12 else (a, b)
        if month > 12 and day <= 12:
            day, month = month, day
        return self._words.date(day, month, int(found["y"])) if 1 <= month <= 12 and 1 <= day <= 31 else None

    def _date(self, found: re.Match[str]) -> str | None:
        groups = found.groupdict()
        name = groups.get("mon")
        if name and not name[0].isupper() and self._language in {"en", "de"}:
            return None  # "may" and "march" are no months
        month = self._month_numbers[name.lower()] if name else int(groups["m"])
        before = found.string[max(0, found.start() - 5) : found.start()].lower()
        case = "n" if re.search(r"\b(?:am|vom|zum|den|dem|im)\s$", before) else "r"
        day_first = bool(name) and found[0][:1].isdigit()
        which = int(groups["y"]) if groups["y"] else None
        said = self._words.date(int(groups["d"]), month, which, day_first=day_first, case=case)
        return said.removeprefix("the ") if before.endswith("the ") else said

    def _time(self, found: re.Match[str]) -> str | None:
        groups = found.groupdict()
        minutes = groups.get("m") or groups.get("mh") or ""
        told = any(groups.get(name) is not None for name in ("m", "mh", "half", "uhr"))
        if not told and self._language in {"en", "de"}:
            return None  # "3h" may be a duration: it is a unit
        return self._words.time(
            int(groups["h"]), int(minutes or 0), groups.get("half") or "", int(groups.get("s") or 0)
        )

    def _address(self, found: re.Match[str]) -> str:
        text = re.sub(r"^https?://", "", found[0]).rstrip(".,;:!?)/")
        trailing = found[0][len(found[0].rstrip(".,;:!?)")) :]
        names = {"@": "at", ".": "dot", "/": "slash", "-": "dash", "_": "underscore"}
        said = re.sub(r"[@./_-]", lambda sign: f" {self._table[names[sign[0]]]} ", text)
        said = re.sub(r"\d+", lambda n: f" {digits(n[0], self._language)} ", said)
        said = re.sub(r"\bwww\b", "w w w", said)
        return " ".join(re.sub(r"[^\w\s']", " ", said).split()) + trailing


def _roman_value(numeral: str) -> int | None:
    """Return a Roman numeral below forty as a number."""
    tens, ones = len(numeral) - len(numeral.lstrip("X")), numeral.lstrip("X")
    return 10 * tens + _ONES.index(ones) if ones in _ONES else None


def _any(names: Mapping[str, Any]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
