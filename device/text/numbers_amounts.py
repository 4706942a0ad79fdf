"""Writes spoken amounts: money, percentages, measures, and the digits of any number as a language groups them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from device.text.numbers_said import LARGE, NUMBER, Found, Said

_ROUND: Final = frozenset(LARGE) | {"hundred", "thousand", "hundert", "tausend"}
"""Before these an article is part of the number: "a hundred dollars" is $100, "a twenty dollar bill" keeps it."""
_MINUS: Final = r"(?P<minus>\b(?:minus|menos|moins|meno)\s+)?"
_SCALES: Final = (100, 1_000, 1_000_000, 1_000_000_000)
_WEIGHED: Final = re.compile(r"\bweigh\w*\s+(?:\w+\s+)?$", re.IGNORECASE)
_WEIGHT: Final = re.compile(
    r"\s+(?:of (?!debt|money|the|that|this|it|public|tax)|heavier|lighter|overweight)", re.IGNORECASE
)


class Amounts:
    """The amounts of one language."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table
        articles, joined = "|".join(table["articles"].split()), re.escape(table["and"])
        article = rf"(?P<article>\b(?:{articles})\s+)?" if articles else "(?P<article>(?!))?"
        cents = "|".join([joined, *map(re.escape, table.get("and_cents", "").split())])
        self._money = re.compile(
            rf"{article}(?P<n>{NUMBER})\s+(?:(?:de|di|d')\s*)?(?P<unit>{_any_of(table['currencies'])})\b"
            rf"(?:\s+(?:(?:{cents})\s+)?(?P<c>{NUMBER})(?:\s+(?P<cent>{_any_of(table['cents'])})\b)?)?",
            re.IGNORECASE,
        )
        self._percent = re.compile(rf"{article}(?P<n>{NUMBER})\s+(?:{_any_of(table['percent'])})\b", re.IGNORECASE)
        self._unit = re.compile(rf"{_MINUS}(?P<n>{NUMBER})\s+(?P<unit>{_any_of(table['units'])})\b", re.IGNORECASE)
        self._either = re.compile(rf"({NUMBER})\s+({table['either']})\s+({NUMBER})", re.IGNORECASE)

    def write(self, text: str, said: Said) -> str:
        """Write percentages, money and measures."""
        text = self._either.sub(partial(_keep_either, said), text)
        text = self._percent.sub(partial(self._write_percent, said), text)
        text = self._money.sub(partial(self._write_money, said), text)
        return self._unit.sub(partial(self._write_unit, said), text)

    def plain(self, found: Found) -> str:
        """Return the digits of a number; "three million" keeps its word."""
        large = found.spoken.split()[-1].lower()
        if found.whole and large in LARGE and found.value % 10 ** (LARGE[large] - 1) == 0:
            head = f"{found.value / 10 ** LARGE[large]:g}".replace(".", self._table["decimal"])
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

    def _write_percent(self, said: Said, match: re.Match[str]) -> str:
        found = said.at(match["n"])
        if found.ordinal:
            return match[0]
        return _article(match, found) + str(self._table["percent_format"].format(self.plain(found)))

    def _write_money(self, said: Said, match: re.Match[str]) -> str:
        amount, unit = said.at(match["n"]), " ".join(match["unit"].lower().split())
        if amount.ordinal:
            return match[0]
        if unit.startswith("pound") and _is_weight(match):
            return match[0]
        form = self._table["currencies"][unit]
        rest = ""
        written = self.plain(amount)
        if match["c"]:
            cents = said.at(match["c"])
            fits = amount.whole and cents.whole and cents.value < 100
            if fits and (match["cent"] or cents.value >= 10):
                written = f"{self._grouped(amount.digits)}{self._table['decimal']}{int(cents.value):02d}"
            else:
                rest = match[0][match.end("unit") - match.start() :]
        return _article(match, amount) + str(form.format(written)) + rest

    def _write_unit(self, said: Said, match: re.Match[str]) -> str:
        found = said.at(match["n"])
        if found.ordinal:
            return match[0]
        sign = self._table["units"][" ".join(match["unit"].lower().split())]
        minus = match["minus"] or ""
        if sign.startswith("°"):
            minus = "-" * bool(minus)
        return f"{minus}{self.plain(found)}{'' if sign == '°' else ' '}{sign}"


def _any_of(names: Iterable[str]) -> str:
    return "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in sorted(names, key=len, reverse=True))


def _article(match: re.Match[str], found: Found) -> str:
    first = re.split(r"[\s-]", found.spoken, maxsplit=1)[0].lower()
    return "" if first in _ROUND else match["article"] or ""


def _is_weight(match: re.Match[str]) -> bool:
    """Whether pounds are no money: "five pounds of sugar"."""
    return bool(_WEIGHED.search(match.string, 0, match.start()) or _WEIGHT.match(match.string, match.end()))


def _keep_either(said: Said, match: re.Match[str]) -> str:
    """Keep "two or three hundred" in words: "two or 300" is something else."""
    a, b = said.at(match[1]), said.at(match[3])
    shared = any(a.value < b.value / scale < 10 and b.value % scale == 0 for scale in _SCALES)
    return f"{a.spoken} {match[2]} {b.spoken}" if shared and a.whole and b.whole else match[0]
