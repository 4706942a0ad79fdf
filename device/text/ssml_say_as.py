"""``say-as``: how a text is read that is told to be a date, money, a telephone number and so on.

The values are those of W3C's note (https://www.w3.org/TR/ssml-sayas/) and of Azure. What does not look like what it is
said to be is read as any other text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from device.text.speech_words import SpeechWords, words_of
from device.text.spell import cardinal, ordinal
from device.text.verbalize import verbalize

_DATE_FORMATS: Final = ("mdy", "dmy", "ymd", "ydm", "ym", "my", "md", "dm", "d", "m", "y")
_NAMES: Final = {"@": "at", ".": "dot", "/": "slash", "-": "dash", "_": "underscore"}


def say_as(text: str, kind: str, form: str, language: str) -> str:
    """Return the words for ``text``.

    Parameters
    ----------
    text
        What stands in the element.
    kind
        Its ``interpret-as``.
    form
        Its ``format``, empty where there is none.
    language
        A BCP-47 tag.
    """
    words, text, kind = words_of(language), " ".join(text.split()), kind.strip().lower()
    if kind in {"characters", "spell-out", "verbatim", "letters"}:
        return _spelled(text, words)
    said = None
    if words is not None and (read := _READERS.get(kind)):
        said = read(text, form.strip().lower(), words)
    elif words is None and kind in {"digits", "number_digit", "telephone"}:
        said = " ".join(character for character in text if character.isalnum())
    return said or verbalize(text, language)


def _spelled(text: str, words: SpeechWords | None) -> str:
    """Name every character: capitals are letters to a voice, where a small one may be a word."""
    said = []
    for character in text:
        if character.isdecimal() and words is not None:
            said.append(cardinal(int(character), words.language))
        elif character.isalnum():
            said.append(character.upper())
        elif words is not None and character in _NAMES:
            said.append(words.table[_NAMES[character]])
        elif words is not None and character in words.table["signs"]:
            said.append(words.table["signs"][character])
    return ", ".join(said)


def _whole(text: str) -> int | None:
    bare = re.sub(r"(?<=\d)[\s.,\u00a0\u202f](?=\d{3}(?!\d))", "", text)
    return int(bare) if re.fullmatch(r"\d{1,15}", bare) else None


def _cardinal(text: str, form: str, words: SpeechWords) -> str | None:  # noqa: ARG001
    found = re.fullmatch(r"([-\u2212]?)\s*([\d.,\s\u00a0\u202f]*\d)", text)
    return words.number(found[2], minus=bool(found[1])) if found else None


def _ordinal(text: str, form: str, words: SpeechWords) -> str | None:
    number = _whole(re.sub(r"\D+$", "", text))
    gender = "f" if form.startswith("f") or text.endswith(("ª", "a")) else "m"
    return None if number is None else ordinal(number, words.language, "f" if gender == "f" else "m")


def _digits(text: str, form: str, words: SpeechWords) -> str | None:  # noqa: ARG001
    said = [cardinal(int(c), words.language) if c.isdecimal() else c.upper() for c in text if c.isalnum()]
    return " ".join(said) or None


def _fraction(text: str, form: str, words: SpeechWords) -> str | None:  # noqa: ARG001
    return words.fraction(text.replace("\u2044", "/").replace("+", " "))


def _telephone(text: str, form: str, words: SpeechWords) -> str | None:
    said = words.telephone(text)
    plus = text.lstrip().startswith("+")
    country = words.telephone(form) if re.fullmatch(r"\d{1,3}", form) and not plus else ""
    plus_word = words.table["signs"]["+"]
    return f"{plus_word} {country}, {said}" if country else f"{plus_word} {said}" if plus else said or None


def _currency(text: str, form: str, words: SpeechWords) -> str | None:
    found = re.fullmatch(r"(?P<a>[^\d\s]{1,4})?\s?(?P<n>\d[\d.,\s\u00a0\u202f]*)\s?(?P<b>[^\d\s]{1,4})?", text)
    if found is None:
        return None
    code = (form or found["a"] or found["b"] or "").strip()
    number = found["n"].strip()
    if words.language != "en" and re.fullmatch(r"\d+\.\d{1,2}", number):
        number = number.replace(".", ",")
    if re.search(r"[.,]\d$", number):
        number += "0"
    return words.money(number, code)


def _date(text: str, form: str, words: SpeechWords) -> str | None:
    parts = re.findall(r"\d+", text)
    order = form if form in _DATE_FORMATS else ""
    if not order or len(parts) != len(order):
        return None
    told = dict(zip(order, map(int, parts), strict=True))
    day, month, year = told.get("d"), told.get("m"), told.get("y")
    if (day is not None and not 1 <= day <= 31) or (month is not None and not 1 <= month <= 12):
        return None
    if day is not None and month is None:
        return ordinal(day, words.language) if words.language in {"en", "de"} else cardinal(day, words.language)
    return words.date(day, month, year)


def _time(text: str, form: str, words: SpeechWords) -> str | None:
    found = re.fullmatch(
        r"(?P<h>\d{1,2})(?:[:.hH](?P<m>\d{2}))?(?:[:.](?P<s>\d{2}))?\s?(?:(?P<half>[aApP])\.?[mM]\.?)?", text
    )
    if found is None or int(found["h"]) > 24 or int(found["m"] or 0) > 59 or int(found["s"] or 0) > 59:
        return None
    hour, half = int(found["h"]), found["half"] or ""
    if form == "hms12" and not half and hour > 12:
        hour, half = hour - 12, "p"
    return words.time(hour, int(found["m"] or 0), half, int(found["s"] or 0))


_READERS: Final[dict[str, Callable[[str, str, SpeechWords], str | None]]] = {
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    "digits": _digits,
    "number_digit": _digits,
    "fraction": _fraction,
    "telephone": _telephone,
    "currency": _currency,
    "date": _date,
    "time": _time,
}
KINDS: Final = frozenset({*_READERS, "characters", "spell-out", "verbatim", "letters", "address", "name", "unit"})
"""The values of ``interpret-as`` that change how something is read; others are read as they stand."""
