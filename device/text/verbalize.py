"""Writes out what voices cannot read as it stands: figures, dates, times, money, units, abbreviations, signs.

The inverse of `device.text.numbers`, for what is about to be spoken, in the way of Ebden and Sproat ("The Kestrel TTS
text normalization system", 2015): first what kind of expression it is, then the words for it. Languages without rules
are left to the voice, which reads plain numbers well enough.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any, Final

from device.text.rules import primary
from device.text.spell import LARGEST, Gender, cardinal, digits, inflected_ordinal, ordinal, year

_CARDINALS: Final = {
    "en": r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?",
    "": r"\d{1,3}(?:[.\u00a0\u202f ]\d{3})+(?!\d)(?:,\d+)?|\d+(?:,\d+)?|\d+\.\d+",
}
_GROUPING: Final = re.compile(r"[\s\u00a0\u202f]")
_NUMBER_SIGNS: Final = frozenset({"number", "número", "numero", "Nummer", "numéro"})
"""Read so only before a number."""
_LONGEST_CARDINAL: Final = 12
_YEARS: Final = range(1100, 2100)
_MINUS: Final = "-\u2212\u2013"
_ADDRESS: Final = (
    r"(?<![\w.+-])(?:(?:https?://|www\.)[^\s<>\"']{1,200}|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,24}){1,4})"
)
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


def verbalize(text: str, language: str) -> str:
    """Return ``text`` as it is said in ``language``; all that needs no words of its own stays as it is."""
    found, done = [], 0
    for reading in readings(text, language):
        found += [text[done : reading.start], reading.spoken]
        done = reading.end
    return "".join([*found, text[done:]]) if done else text


def spoken_words(text: str, language: str) -> list[tuple[str, str]]:
    """Return the words of ``text`` between white space, as they are written and as they are said.

    What is said as one ("3 km") is one word, as it is written.
    """
    found: list[tuple[str, str]] = []
    start = end = 0  # of the word that is being put together
    spoken = ""
    for piece in _cut(text, readings(text, language)):
        written = text[piece.start : piece.end]
        if written.isspace():
            if spoken.strip():
                found.append((text[start:end].strip(), spoken.strip()))
            start, spoken = piece.end, ""
        else:
            spoken += piece.spoken
        end = piece.end
    if spoken.strip():
        found.append((text[start:end].strip(), spoken.strip()))
    return found


def readings(text: str, language: str) -> list[Reading]:
    """Return the parts of ``text`` that are said otherwise than they are written, in order."""
    rules = _rules(primary(language), _month_first(language))
    return rules.readings(text) if rules else []


def _cut(text: str, found: list[Reading]) -> list[Reading]:
    """Return all of ``text`` in pieces: readings, and between them white space and everything else."""
    pieces, done = [], 0
    for reading in [*found, Reading(len(text), len(text), "")]:
        between = re.finditer(r"\s+|\S+", text[done : reading.start])
        pieces += [Reading(done + match.start(), done + match.end(), match[0]) for match in between]
        if reading.spoken:
            pieces.append(reading)
        done = reading.end
    return pieces


def _month_first(language: str) -> bool:
    return language.lower() in {"en", "en-us"}


@cache
def _tables() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((resources.files("device.text") / "data" / "speech.toml").read_text(encoding="utf-8"))


@cache
def _rules(language: str, month_first: bool) -> Rules | None:
    table = _tables().get(language)
    return None if table is None else Rules(language, table, month_first)


def rules_of(language: str) -> Rules | None:
    """Return what is known of a language, None where nothing is."""
    return _rules(primary(language), _month_first(language))


class Rules:
    """The rules of one language, compiled."""

    def __init__(self, language: str, table: Mapping[str, Any], month_first: bool) -> None:
        self.language, self.table = language, table
        self._month_first = month_first
        self._months: list[str] = table["months"].split()
        short = [m.lower() for m in table["short_months"].split()]
        self._month_numbers = {name.lower(): i for i, name in enumerate(self._months, 1)}
        for name in short:
            self._month_numbers.setdefault(
                name, next((i for i, m in enumerate(self._months, 1) if m.lower().startswith(name[:3])), 1)
            )
        number = _CARDINALS.get(language, _CARDINALS[""])
        money = _any(table["money"])
        month = f"(?i:{'|'.join(sorted((re.escape(name) for name in self._month_numbers), key=len, reverse=True))})"
        scale = _any(table["scales"])
        day = r"(?P<d>0?[1-9]|[12]\d|3[01])"
        tail = r"(?:,?\s+(?:d[eo]l?\s+)?(?P<y>[12]\d{3})(?!\d))?"
        signed = rf"(?P<minus>[{_MINUS}])?(?P<n>{number})"
        rules: list[tuple[str, Callable[[re.Match[str]], str | None]]] = [
            (_ADDRESS, self._address),
            (r"(?P<y>[12]\d{3})-(?P<m>0[1-9]|1[0-2])-(?P<d>0[1-9]|[12]\d|3[01])(?!\d)", self._date),
            (r"(?P<a>\d{1,2})(?P<s>[/.])(?P<b>\d{1,2})(?P=s)(?P<y>[12]\d{3})(?!\d)", self._short_date),
            (rf"{day}(?:st|nd|rd|th|er|[ºo°]|\.)?\s+(?:(?:de|of)\s+)?(?P<mon>{month})\b\.?{tail}", self._date),
            *([(rf"(?P<mon>{month})\.?\s+{day}(?:st|nd|rd|th)?(?![:.,]?\d){tail}", self._date)] * (language == "en")),
            (rf"(?P<u>{money})\s?(?P<n>{number})(?:\s?(?P<k>{scale})\b)?", self._money),
            (rf"(?P<n>{number})(?:\s?(?P<k>{scale}))?\s?(?:(?:de|di)\s)?(?P<u>{money})(?!\w)", self._money),
            (r"\+\d[\d() -]{7,20}\d", self._phone),
            ((r"(?P<h>[01]?\d|2[0-4])(?::(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?|[hH](?P<mh>[0-5]\d)?)(?!\d)"
             r"(?:\s?(?P<half>[aApP])\.?\s?[mM]\b\.?)?(?:\s?(?P<uhr>Uhr|uhr|h))?(?!\w)"), self._time),
            (r"(?P<h>1[0-2]|[1-9])\s?(?P<half>[aApP])\.?[mM]\b\.?", self._time),
            *([(r"(?P<h>[01]?\d|2[0-4])\s(?P<uhr>Uhr)\b", self._time)] * (language == "de")),
            (r"[½⅓⅔¼¾]|(?P<over>\d{1,3})/(?P<under>\d{1,3})(?![\d/])", self._fraction),
            (r"\d+(?:\.\d+){2,}(?![\d,])", self._dotted),
            (rf"{signed}\s?(?P<pc>%)", self._percent),
            (rf"{signed}\s?(?P<u>{_any(table['units'])})(?![\w²³/])", self._unit),
            (rf"{signed}\s?°(?!\w)", self._degrees),
            (_ORDINALS.get(language, _ORDINALS[""]), self._ordinal),
            (r"(?P<a>\d{1,4})\s?[-\u2013]\s?(?P<b>\d{1,4})(?![\w-])", self._range),
            (rf"{signed}(?!\w)", self._plain),
        ]  # fmt: skip
        self._rules = [(re.compile(pattern), say) for pattern, say in rules]
        self._abbreviations = abbreviations = table["abbreviations"]
        self._abbreviation = re.compile(rf"(?:{_any(abbreviations)})(?!\w)")
        self._signs = table["signs"]
        # Where something may begin; what it is, the rules say.
        signs = "".join(map(re.escape, self._signs))
        self._begin = re.compile(
            rf"{_ADDRESS}|(?<![\w.,])[{_MINUS}]?\d|(?<!\w)(?:{money})\s?\d|(?<!\w)(?:{_any(abbreviations)})(?!\w)"
            rf"|[½⅓⅔¼¾]|[{signs}]" + (rf"|\b(?:{month})\.?\s+\d" if language == "en" else "")
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
                spoken = self.table.get("closing", {}).get(short[0], spoken)
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
        before = "" if not start or text[start - 1].isspace() else " "
        after = "" if text[start + 1 : start + 2].strip() == "" else " "
        return Reading(start, start + 1, f"{before}{self._signs[sign]}{after}")

    # What each kind of expression is called.

    def number(self, text: str, gender: Gender = "", minus: bool = False) -> str:
        """Say a number as it is written in this language."""
        whole, _, decimals = self._parts(text)
        sign = f"{self.table['minus']} " if minus else ""
        if len(whole) > _LONGEST_CARDINAL or (len(whole) > 1 and whole[0] == "0") or int(whole) >= LARGEST:
            said = digits(whole, self.language)
        else:
            said = cardinal(int(whole), self.language, "" if decimals else gender)
        if decimals:
            said += f" {self.table['decimal']} {self._decimals(decimals)}"
        return sign + said

    def _parts(self, text: str) -> tuple[str, str, str]:
        text = _GROUPING.sub("", text)
        if self.language == "en":
            whole, point, decimals = text.replace(",", "").partition(".")
        elif "," in text:
            whole, point, decimals = text.replace(".", "").partition(",")
        elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+", text):
            whole, point, decimals = text.replace(".", ""), "", ""
        else:
            whole, point, decimals = text.partition(".")
        return whole, point, decimals

    def _decimals(self, decimals: str) -> str:
        bare = decimals.lstrip("0")
        if self.language in {"en", "de"} or len(decimals) > 2 or not bare:
            return digits(decimals, self.language)
        zeros = digits("0" * (len(decimals) - len(bare)), self.language)
        return f"{zeros} {cardinal(int(bare), self.language)}".strip()

    def _plain(self, found: re.Match[str]) -> str | None:
        text = found["n"]
        if found["minus"] and found.start() and not found.string[found.start() - 1].isspace():
            return None
        if len(text) == 4 and text.isdigit() and not found["minus"] and int(text) in _YEARS and self._is_year(found):
            return year(int(text), self.language)
        if text.isdigit() and len(text) >= 7 and not self._counts(found):
            return ", ".join(digits(text[i : i + 3], self.language) for i in range(0, len(text), 3))
        return self.number(text, self._gender(found), bool(found["minus"]))

    def _is_year(self, found: re.Match[str]) -> bool:
        before = re.search(r"(\w+)\W*$", found.string[max(0, found.start() - 24) : found.start()])
        words = self.table.get("year_words", "").split()
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
        if after is None or after[1].lower() in self.table.get("function", "").split():
            return ""
        return self.gender_of(after[1])

    def gender_of(self, noun: str) -> Gender:
        """Return a noun's gender as its ending has it."""
        noun = noun.lower()
        ends = tuple(self.table.get("feminine_ends", "").split())
        exceptions = tuple(self.table.get("masculine_ends", "").split())
        if noun in self.table.get("masculine", "").split() or (exceptions and noun.endswith(exceptions)):
            return "m"
        if ends and noun.endswith(ends):
            return "f"
        return "m" if self.language in {"es", "de"} and len(noun) > 2 else ""

    def _range(self, found: re.Match[str]) -> str | None:
        a, b = int(found["a"]), int(found["b"])
        if a >= b:
            return None
        if a in _YEARS and b in _YEARS and len(found["a"]) == 4:
            return f"{year(a, self.language)} {self.table['to']} {year(b, self.language)}"
        return f"{cardinal(a, self.language)} {self.table['to']} {cardinal(b, self.language)}"

    def _percent(self, found: re.Match[str]) -> str:
        return f"{self.number(found['n'], minus=bool(found['minus']))} {self.table['percent']}"

    def _degrees(self, found: re.Match[str]) -> str:
        return self.counted(found["n"], self.table["degrees"], minus=bool(found["minus"]))

    def _unit(self, found: re.Match[str]) -> str | None:
        return self.counted(found["n"], self.table["units"][found["u"]], minus=bool(found["minus"]))

    def counted(self, number: str, names: str, minus: bool = False) -> str:
        """Say how many of something; ``names`` is ``one/many`` and perhaps its gender."""
        one, _, many = names.removesuffix(" f").removesuffix(" m").partition("/")
        feminine: Gender = "f" if names.endswith(" f") else "m"
        whole, _, decimals = self._parts(number)
        single = (whole == "1" and not decimals) or (self.language == "fr" and whole in {"0", "1"})
        return f"{self.number(number, feminine, minus)} {one if single else many or one}"

    def _money(self, found: re.Match[str]) -> str | None:
        name, gender, cent, _ = _currency(self.table["money"][found["u"]])
        names = f"{name} {gender}"
        if found["k"]:
            of = f"{self.table['of_scale']} ".lstrip()
            many = name.partition("/")[2]
            if of and self.table["scales"][found["k"]] in {"mil", "mila", "mille"}:
                of = ""
            elif of == "de " and self.language == "fr" and many[:1] in "aeiou":
                of = "d'"
            return f"{self.number(found['n'], 'm')} {self.table['scales'][found['k']]} {of}{many}"
        whole, _, decimals = self._parts(found["n"])
        if len(decimals) != 2:
            return self.counted(found["n"], names)
        said = self.counted(whole, names)
        if decimals == "00":
            return said
        if int(whole) == 0:
            return self.counted(str(int(decimals)), cent)
        if self.language in {"de", "fr"}:
            return f"{said} {cardinal(int(decimals), self.language)}"
        return f"{said} {self.table['and']} {self.counted(str(int(decimals)), cent)}"

    def money(self, amount: str, currency: str) -> str | None:
        """Say an amount of a currency given by its sign or ISO 4217 code; None where it is not known."""
        signs = {"USD": "$", "EUR": "€", "GBP": "£", "BRL": "R$", "JPY": "¥"}
        table = self.table["money"]
        unit = next((u for u in (currency, currency.upper(), signs.get(currency.upper(), "")) if u in table), None)
        if unit is None:
            return None
        found = re.fullmatch(rf"(?P<n>{_CARDINALS.get(self.language, _CARDINALS[''])})(?P<k>x)?(?P<u>)", amount)
        if found is None:
            return None
        pattern = re.compile(rf"(?P<u>{re.escape(unit)})(?P<n>.+)(?P<k>\Zx)?", re.DOTALL)
        return self._money(pattern.fullmatch(unit + amount))  # type: ignore[arg-type]

    def _phone(self, found: re.Match[str]) -> str:
        return f"{self.table['signs']['+']} {self.telephone(found[0][1:])}"

    def telephone(self, number: str) -> str:
        """Say a telephone number digit by digit, with a breath between its groups."""
        groups = re.findall(r"\d+", number)
        split = [g[i : i + 3] if len(g) > 4 else g for g in groups for i in range(0, len(g), 3 if len(g) > 4 else 9)]
        return ", ".join(digits(group, self.language) for group in split)

    def _fraction(self, found: re.Match[str]) -> str | None:
        if named := self.table["halves"].get(found[0]):
            return str(named)
        over, under = int(found["over"]), int(found["under"])
        if not under:
            return None
        if self.language == "en" and under <= 20 and over < under and under > 2:
            return f"{cardinal(over, 'en')} {ordinal(under, 'en')}{'s' if over > 1 else ''}"
        return f"{cardinal(over, self.language)} {self.table['over']} {cardinal(under, self.language)}"

    def fraction(self, text: str) -> str | None:
        """Say a fraction such as ``3/4``; None where it is none."""
        found = re.fullmatch(r"(?:(?P<whole>\d+)\s+)?(?P<f>(?P<over>\d{1,3})/(?P<under>\d{1,3})|[½⅓⅔¼¾])", text.strip())
        if found is None:
            return None
        inner = re.fullmatch(r"[½⅓⅔¼¾]|(?P<over>\d{1,3})/(?P<under>\d{1,3})", found["f"])
        said = self._fraction(inner) if inner else None
        if said and found["whole"]:
            joint = {"en": "and", "de": "und", "it": "e", "pt": "e", "es": "y", "fr": "et"}[self.language]
            return f"{cardinal(int(found['whole']), self.language)} {joint} {said}"
        return said

    def _dotted(self, found: re.Match[str]) -> str | None:
        if self.language != "en" and re.fullmatch(r"\d{1,3}(?:\.\d{3})+", found[0]):
            return None
        return f" {self.table['dot']} ".join(
            digits(part, self.language) if part[0] == "0" or len(part) > 3 else cardinal(int(part), self.language)
            for part in found[0].split(".")
        )

    def _ordinal(self, found: re.Match[str]) -> str:
        mark = found.groupdict().get("f") or ""
        return ordinal(int(found["n"]), self.language, "f" if mark in {"ª", "re", "ère", "nde"} else "m")

    def _short_date(self, found: re.Match[str]) -> str | None:
        a, b = int(found["a"]), int(found["b"])
        day, month = (b, a) if self._month_first and found["s"] == "/" and a <= 12 else (a, b)
        if month > 12 and day <= 12:
            day, month = month, day
        return self.date(day, month, int(found["y"])) if 1 <= month <= 12 and 1 <= day <= 31 else None

    def _date(self, found: re.Match[str]) -> str | None:
        groups = found.groupdict()
        name = groups.get("mon")
        if name and not name[0].isupper() and self.language in {"en", "de"}:
            return None  # "may" and "march" are no months
        month = self._month_numbers[name.lower()] if name else int(groups["m"])
        return self.date(int(groups["d"]), month, int(groups["y"]) if groups["y"] else None, found)

    def date(self, day: int | None, month: int | None, which: int | None, found: re.Match[str] | None = None) -> str:
        """Say a date, or what is known of it, in the language's own order."""
        language = self.language
        name = self._months[month - 1] if month else ""
        said_year = year(which, language) if which is not None else ""
        if language == "en":
            if day is None:
                return f"{name} {said_year}".strip()
            if found is not None and found[0][:1].isdigit() and found.groupdict().get("mon"):
                return f"the {ordinal(day, 'en')} of {name}{', ' if said_year else ''}{said_year}".removeprefix(
                    "the " if found.string[max(0, found.start() - 4) : found.start()].lower() == "the " else ""
                )
            return f"{name} {ordinal(day, 'en')}{', ' if said_year else ''}{said_year}".strip()
        if day is None:
            said_day = ""
        elif language == "de":
            before = found.string[max(0, found.start() - 5) : found.start()].lower() if found else ""
            said_day = inflected_ordinal(
                day, "de", "n" if re.search(r"\b(?:am|vom|zum|den|dem|im)\s$", before) else "r"
            )
        elif day == 1:
            said_day = {"pt": "primeiro", "fr": "premier", "it": "primo"}.get(language, "uno")
        else:
            said_day = cardinal(day, language)
        joint = {"pt": " de ", "es": " de "}.get(language, " ")
        return joint.join(part for part in (said_day, name, said_year) if part)

    def _time(self, found: re.Match[str]) -> str | None:
        groups = found.groupdict()
        minutes = groups.get("m") or groups.get("mh") or ""
        told = any(groups.get(name) is not None for name in ("m", "mh", "half", "uhr"))
        if not told and self.language in {"en", "de"}:
            return None  # "3h" may be a duration: it is a unit
        return self.time(int(groups["h"]), int(minutes or 0), groups.get("half") or "", int(groups.get("s") or 0))

    def time(self, hour: int, minute: int, half: str = "", second: int = 0) -> str:
        """Say a time of day; ``half`` is ``a`` or ``p`` for before and after noon."""
        language, said = self.language, partial(cardinal, language=self.language)
        if language == "en":
            tail = f" {self.table['am' if half.lower() == 'a' else 'pm']}" if half else ""
            if not minute:
                return said(hour) + (tail or (" o'clock" if 0 < hour <= 12 else " hundred"))
            low = f"oh {said(minute)}" if minute < 10 else said(minute)
            text = f"{said(hour)} {low}{tail}"
            return f"{text} and {said(second)} seconds" if second else text
        if half.lower() == "p" and hour < 12:
            hour += 12
        if language == "de":
            text = f"{cardinal(hour, 'de', 'm')} Uhr" + (f" {said(minute)}" if minute else "")
            return f"{text} und {said(second)} Sekunden" if second else text
        if language == "fr":
            return self.counted(str(hour), "heure/heures f") + (f" {said(minute)}" if minute else "")
        feminine = cardinal(hour, language, "f")
        if not minute:
            return f"{feminine} {'horas' if language == 'pt' else 'en punto'}" if language != "it" else feminine
        return f"{feminine} {self.table.get('time_and', self.table['and'])} {said(minute)}"

    def _address(self, found: re.Match[str]) -> str:
        text = re.sub(r"^https?://", "", found[0]).rstrip(".,;:!?)/")
        trailing = found[0][len(found[0].rstrip(".,;:!?)")) :]
        names = {"@": "at", ".": "dot", "/": "slash", "-": "dash", "_": "underscore"}
        said = re.sub(r"[@./_-]", lambda sign: f" {self.table[names[sign[0]]]} ", text)
        said = re.sub(r"\d+", lambda n: f" {digits(n[0], self.language)} ", said)
        said = re.sub(r"\bwww\b", "w w w", said)
        return " ".join(re.sub(r"[^\w\s']", " ", said).split()) + trailing


def _any(names: Mapping[str, Any]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def _currency(text: str) -> tuple[str, str, str, str]:
    """Read ``one/many m cent/cents m`` (names may hold spaces)."""
    found = re.fullmatch(r"(?P<a>.+?) (?P<g>[mf]) (?P<b>.+) (?P<h>[mf])", text)
    assert found is not None, text
    return found["a"], found["g"], f"{found['b']} {found['h']}", found["h"]
