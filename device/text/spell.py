"""Numbers in words, by the rules that Unicode's CLDR keeps for each language (UTS #35, rule-based number formats)."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Literal

from unicode_rbnf import FormatPurpose, RbnfEngine

Gender = Literal["m", "f", ""]
_GENDERS = {"m": ("masculine", "neuter"), "f": ("feminine",)}
LARGEST = 10**15
"""Larger numbers are said digit by digit."""


@cache
def _engine(language: str) -> RbnfEngine:
    return RbnfEngine.for_language(language)


def cardinal(number: int, language: str, gender: Gender = "") -> str:
    """Say how many; ``gender`` is that of what is counted, empty for a number that stands by itself."""
    return _said(number, language, FormatPurpose.CARDINAL, "spellout-cardinal" if gender else "numbering", gender)


def ordinal(number: int, language: str, gender: Gender = "m") -> str:
    """Say which one in a row."""
    return _said(number, language, FormatPurpose.ORDINAL, "spellout-ordinal", gender)


def inflected_ordinal(number: int, language: str, case: str) -> str:
    """Say which one in a row in one of German's endings (``n``: *ersten*)."""
    found = _engine(language).format_number(number, purpose=FormatPurpose.ORDINAL).text_by_ruleset
    return found.get(f"spellout-ordinal-{case}") or ordinal(number, language)


def year(number: int, language: str) -> str:
    """Say a year: English and German count hundreds."""
    return (
        _said(number, language, FormatPurpose.YEAR, "", "") if language in {"en", "de"} else cardinal(number, language)
    )


def digits(text: str, language: str) -> str:
    """Say one digit after the other."""
    return " ".join(cardinal(int(character), language) for character in text if character.isdecimal())


@lru_cache(4096)
def _said(number: int, language: str, purpose: FormatPurpose, kind: str, gender: Gender) -> str:
    found = _engine(language).format_number(number, purpose=purpose).text_by_ruleset
    for ending in _GENDERS.get(gender, ()):
        for name, text in found.items():
            if name.startswith(kind) and name.endswith(ending):
                return text.replace("\u00ad", "")
    named = next((text for name, text in found.items() if kind and name.endswith(kind)), None)
    return (named or next(iter(found.values()))).replace("\u00ad", "")
