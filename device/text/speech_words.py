"""What is written in figures and signs, in the words of one language: numbers, money, fractions, dates and times.

The words stand in ``device/text/data/speech.toml``; numbers are spelt by Unicode's rules (`device.text.spell`).
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache, partial
from importlib import resources
from typing import Any, Final

from device.text.rules import primary
from device.text.spell import LARGEST, Gender, cardinal, digits, inflected_ordinal, ordinal, year

FRACTIONS: Final = "½⅓⅔¼¾⅐-⅞"
"""Signs of fractions, for a class of characters."""
NUMBERS: Final = {
    "en": (r"\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)|\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?"),
    "": (
        r"\d{1,3}(?:,\d{3})+\.\d{1,2}(?!\d)|\d{1,3}(?:,\d{3}){2,}(?!\d)"
        r"|\d{1,3}(?:[.\u00a0\u202f ]\d{3})+(?!\d)(?:,\d+)?|\d+\.\d+(?![\d.])|\d+(?:,\d+)?"
    ),
}
"""As the language writes them, and as others do where that can only mean one thing: translators copy numbers."""
_GROUPING: Final = re.compile(r"[\s\u00a0\u202f]")
_LONGEST_CARDINAL: Final = 12
_HALF_AS_TOLD: Final = "1/2"
_SIGNS_OF_CODES: Final = {"USD": "$", "EUR": "€", "GBP": "£", "BRL": "R$", "JPY": "¥"}


@cache
def words_of(language: str) -> SpeechWords | None:
    """Return the words of a language given by its tag, None where there are none."""
    tag = primary(language)
    table = _tables().get(tag)
    return None if table is None else SpeechWords(tag, table)


@cache
def _tables() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((resources.files("device.text") / "data" / "speech.toml").read_text(encoding="utf-8"))


class SpeechWords:
    """How one language says what is not written in words."""

    def __init__(self, language: str, table: Mapping[str, Any]) -> None:
        self.language, self.table = language, table
        self.months: list[str] = table["months"].split()

    def number(self, text: str, gender: Gender = "", minus: bool = False) -> str:
        """Say a number as it is written in this language."""
        whole, _, decimals = self.parts(text)
        sign = f"{self.table['minus']} " if minus else ""
        if len(whole) > _LONGEST_CARDINAL or (len(whole) > 1 and whole[0] == "0") or int(whole) >= LARGEST:
            said = digits(whole, self.language)
        else:
            said = cardinal(int(whole), self.language, "" if decimals else gender)
        if decimals:
            said += f" {self.table['decimal']} {self._decimals(decimals)}"
        return sign + said

    def parts(self, text: str) -> tuple[str, str, str]:
        """Return a number's whole part, its sign and its decimals, whichever language wrote it."""
        text = _GROUPING.sub("", text)
        point = "." if self.language == "en" else ","
        other = "," if point == "." else "."
        if point in text and other in text:
            point = max(point, other, key=text.rfind)
        elif point in text:
            point = other if re.fullmatch(rf"\d{{1,3}}(?:{re.escape(point)}\d{{3}}){{2,}}", text) else point
        elif not re.fullmatch(rf"\d{{1,3}}(?:{re.escape(other)}\d{{3}})+", text):
            point = other
        return text.replace("," if point == "." else ".", "").partition(point)

    def _decimals(self, decimals: str) -> str:
        bare = decimals.lstrip("0")
        if self.language in {"en", "de"} or len(decimals) > 2 or not bare:
            return digits(decimals, self.language)
        zeros = digits("0" * (len(decimals) - len(bare)), self.language)
        return f"{zeros} {cardinal(int(bare), self.language)}".strip()

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

    def counted(self, number: str, names: str, minus: bool = False) -> str:
        """Say how many of something; ``names`` is ``one/many`` and perhaps its gender."""
        one, _, many = names.removesuffix(" f").removesuffix(" m").partition("/")
        feminine: Gender = "f" if names.endswith(" f") else "m"
        whole, _, decimals = self.parts(number)
        single = (whole == "1" and not decimals) or (self.language == "fr" and whole in {"0", "1"})
        return f"{self.number(number, feminine, minus)} {one if single else many or one}"

    def price(self, number: str, unit: str, scale: str | None = None) -> str:
        """Say an amount of money; ``unit`` and ``scale`` are as the table has them."""
        name, gender, cent, _ = _currency(self.table["money"][unit])
        names = f"{name} {gender}"
        if scale:
            of = f"{self.table['of_scale']} ".lstrip()
            many = name.partition("/")[2]
            if of and self.table["scales"][scale] in {"mil", "mila", "mille"}:
                of = ""
            elif of == "de " and self.language == "fr" and many[:1] in "aeiou":
                of = "d'"
            return f"{self.number(number, 'm')} {self.table['scales'][scale]} {of}{many}"
        whole, _, decimals = self.parts(number)
        if len(decimals) != 2:
            return self.counted(number, names)
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
        signs = (currency, currency.upper(), _SIGNS_OF_CODES.get(currency.upper(), ""))
        unit = next((sign for sign in signs if sign in self.table["money"]), None)
        if unit is None or not re.fullmatch(NUMBERS.get(self.language, NUMBERS[""]), amount):
            return None
        return self.price(amount, unit)

    def telephone(self, number: str) -> str:
        """Say a telephone number digit by digit, with a breath between its groups."""
        groups = re.findall(r"\d+", number)
        split = [g[i : i + 3] if len(g) > 4 else g for g in groups for i in range(0, len(g), 3 if len(g) > 4 else 9)]
        return ", ".join(digits(group, self.language) for group in split)

    def fraction(self, text: str) -> str | None:
        """Say a fraction such as ``3/4`` or ``1 1/2``; None where it is none."""
        found = re.fullmatch(rf"(?:(?P<whole>\d+)\s+)?(?P<f>\d{{1,3}}/\d{{1,3}}|[{FRACTIONS}])", text.strip())
        if found is None:
            return None
        written = unicodedata.normalize("NFKC", found["f"]).replace("\u2044", "/")
        if found["whole"] and written == _HALF_AS_TOLD:
            whole = cardinal(int(found["whole"]), self.language, "m")
            return f"{whole}{'' if self.language == 'de' else ' '}{self.table['and_half']}"
        over, _, under = written.partition("/")
        said = self._part(int(over), int(under), self.table["halves"].get(written))
        if said and found["whole"]:
            joint = {"en": "and", "de": "und", "it": "e", "pt": "e", "es": "y", "fr": "et"}[self.language]
            return f"{cardinal(int(found['whole']), self.language)} {joint} {said}"
        return said

    def _part(self, over: int, under: int, named: str | None) -> str | None:
        if named or not under:
            return named
        if self.language == "en" and under <= 20 and over < under and under > 2:
            return f"{cardinal(over, 'en')} {ordinal(under, 'en')}{'s' if over > 1 else ''}"
        return f"{cardinal(over, self.language)} {self.table['over']} {cardinal(under, self.language)}"

    def decade(self, number: int) -> str:
        """Say "1980s" or "80er"."""
        said = year(number, self.language) if number > 99 else cardinal(number, self.language)
        if self.language == "de":
            return f"{said}er"
        return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"

    def date(
        self, day: int | None, month: int | None, which: int | None, *, day_first: bool = False, case: str = "r"
    ) -> str:
        """Say a date, or what is known of it, in the language's own order.

        ``day_first`` is English as it is written with the day first; ``case`` the ending of German's ordinal.
        """
        language = self.language
        name = self.months[month - 1] if month else ""
        said_year = year(which, language) if which is not None else ""
        if language == "en":
            if day is None:
                return f"{name} {said_year}".strip()
            after = f", {said_year}" if said_year else ""
            said = ordinal(day, "en")
            return f"the {said} of {name}{after}" if day_first else f"{name} {said}{after}".strip()
        if day is None:
            said_day = ""
        elif language == "de":
            said_day = inflected_ordinal(day, "de", case)
        elif day == 1:
            said_day = {"pt": "primeiro", "fr": "premier", "it": "primo"}.get(language, "uno")
        else:
            said_day = cardinal(day, language)
        joint = {"pt": " de ", "es": " de "}.get(language, " ")
        return joint.join(part for part in (said_day, name, said_year) if part)

    def time(self, hour: int, minute: int, half: str = "", second: int = 0) -> str:
        """Say a time of day; ``half`` is ``a`` or ``p`` for before and after noon."""
        language, said = self.language, partial(cardinal, language=self.language)
        if language == "en":
            tail = f" {self.table['am' if half.lower() == 'a' else 'pm']}" if half else ""
            if not minute and not second:
                return said(hour) + (tail or (" o'clock" if 0 < hour <= 12 else " hundred"))
            low = f"oh {said(minute)}" if minute < 10 else said(minute)
            text = f"{said(hour)} {low}{tail}"
            return f"{text} and {said(second)} seconds" if second else text
        if half:
            hour = hour % 12 + 12 * (half.lower() == "p")
        if language == "de":
            text = f"{cardinal(hour, 'de', 'm')} Uhr" + (f" {said(minute)}" if minute else "")
            return f"{text} und {said(second)} Sekunden" if second else text
        joint = self.table.get("time_and", self.table["and"])
        after = f" {joint} {self.counted(str(second), self.table['units']['s'])}" if second else ""
        if language == "fr":
            return self.counted(str(hour), "heure/heures f") + (f" {said(minute)}" if minute else "") + after
        feminine = cardinal(hour, language, "f")
        if not minute:
            exactly = {"pt": " horas", "es": "" if second else " en punto"}.get(language, "")
            return f"{feminine}{exactly}{after}"
        return f"{feminine} {joint} {said(minute)}{after}"


def _currency(text: str) -> tuple[str, str, str, str]:
    """Read ``one/many m cent/cents m`` (names may hold spaces)."""
    found = re.fullmatch(r"(?P<a>.+?) (?P<g>[mf]) (?P<b>.+) (?P<h>[mf])", text)
    assert found is not None, text
    return found["a"], found["g"], f"{found['b']} {found['h']}", found["h"]
