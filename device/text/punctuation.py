"""Gives capitals and marks to text that has none, as some recognisers write it ("WHERE ARE YOU").

Rules only: a capital and a full stop or question mark for every utterance, capitals for the words that always have
one (names of countries and people by Faker's lists), a comma before a contrast and behind a connecting adverb. Of
German nouns those get a capital whose ending or article tells, and an utterance of several sentences stays one.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from device.text.german_nouns import noun_finder
from device.text.names import countries, is_given_name, surnames
from device.text.rules import fluency, primary, tables, words
from device.text.sentences import is_abbreviation

_MARKS: Final = re.compile(r"[.!?,;:…。！？،؟]")  # noqa: RUF001
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")  # noqa: RUF001
_ENDED: Final = re.compile(r"[.!?…。！？؟][\"'”’)\]»]*\s*$")  # noqa: RUF001
_BEGUN_SMALL: Final = re.compile(r"(?<![\w.])(?P<word>[^\W\d_]{3,})[.?] [^\W\d_](?=[^\W\d_]*[ ,])")
"""A word that ends a sentence, and the small or capital letter of the next one's first word, which is not its last."""
_OWNER: Final = re.compile(r"['’]s$")  # noqa: RUF001
_ARTICLE: Final = re.compile(r"(?:[ldjmnstc]|qu|dell|all|nell|sull|dall|un)['’](?=\w{3})")  # noqa: RUF001
"""Joined to what follows it: "l'Italie", "dall'Italia"."""
_LINKS: Final = words("de do da del della of")
_SHORTEST_NOUN: Final = 5
_EITHER_SIDE: Final = 3
"""Words on both sides of a comma that is put in."""


def lacks_writing(text: str) -> bool:
    """Whether ``text`` has neither marks nor both kinds of letters: its recogniser writes none."""
    if _MARKS.search(re.sub(r"\d[.,:]\d|\b[ap]\.m\.", "", text)):
        return False
    letters = [c for c in text if c.isalpha()]
    return bool(letters) and (all(c.isupper() for c in letters) or all(not c.isupper() for c in letters))


def punctuate(text: str, language: str) -> str:
    """Return text that `lacks_writing` with capitals and marks; other languages only get a capital and a stop."""
    tag = primary(language)
    text = " ".join(text.split())
    if not text:
        return text
    rules = _rules(tag)
    if any(c.isupper() for c in text) and not any(c.islower() for c in text):
        text = text.lower()
    if rules is None:
        return text[:1].upper() + text[1:] + ("" if not text[-1].isascii() and not text[-1].islower() else ".")
    asks = _asks(text, rules)
    text = _with_commas(_with_nouns(capitalise(text, tag), rules), rules)
    if _ENDED.search(text) and not asks:
        return text
    return (rules.opener if asks else "") + text.rstrip(".") + ("?" if asks else ".")


def begin_sentences(text: str, language: str) -> str:
    """Return written text in which every sentence begins with a capital, which recognisers forget at times."""

    def begin(match: re.Match[str]) -> str:
        word = match["word"]
        return match[0] if is_abbreviation(word, language) else match[0][:-1] + match[0][-1].upper()

    return _BEGUN_SMALL.sub(begin, text)


def capitalise(text: str, language: str) -> str:
    """Return small text with a capital at its beginning and on the words that always have one."""
    tag = primary(language)
    rules = _rules(tag)
    if rules is not None:
        named = False  # the word before is a given name: what follows may be its surname

        def write(match: re.Match[str]) -> str:
            nonlocal named
            word = match[0].lower()
            article = _ARTICLE.match(word)
            core = _OWNER.sub("", word[article.end() :] if article else word)
            surname = named and core in surnames() and core not in rules.small
            named = is_given_name(core, tag)
            noun = len(core) > _SHORTEST_NOUN and core.endswith(rules.noun_endings)
            if not (surname or named or noun or core in rules.capitals or word in rules.capitals):
                return match[0]
            return match[0][: article.end()] + _capital(match[0][article.end() :]) if article else _capital(match[0])

        text = _WORD.sub(write, text)
        if rules.proper is not None:
            text = rules.proper.sub(lambda m: " ".join(map(_proper_word, m[0].split())), text)
    return _first_capital(text)


def _proper_word(word: str) -> str:
    return word if word in _LINKS else "-".join(map(_capital, word.split("-")))


class _Rules:
    def __init__(self, language: str, table: dict[str, object]) -> None:
        self.capitals = words(str(table["capitals"])) | countries(language)
        spoken = fluency(language)
        self.small = spoken.small if spoken else frozenset()
        self.noun_endings = tuple(str(table.get("noun_endings", "")).split())
        proper, starters = table.get("proper", []), table.get("starters", [])
        assert isinstance(proper, list)
        assert isinstance(starters, list)
        self.proper = _any_of(proper)
        self.starters = _any_of(starters, r"^(?:{}) (?=\w+ \w+ \w+)")
        self.questions = words(str(table["questions"]))
        starts, others = table.get("question_starts", []), table.get("not_questions", [])
        assert isinstance(starts, list)
        assert isinstance(others, list)
        self.starts, self.not_questions = tuple(starts), tuple(others)
        self.opener = str(table.get("question_opener", ""))
        self.nouns = noun_finder(language)
        names = "|".join(str(table["commas"]).split())
        self.comma = re.compile(rf"(?<=\w) (?=(?:{names}) )")


@cache
def _rules(language: str) -> _Rules | None:
    table = tables(language).get("writing")
    return None if table is None else _Rules(language, table)


def _any_of(phrases: list[str], pattern: str = r"(?<!\w)(?:{})(?!\w)") -> re.Pattern[str] | None:
    return re.compile(pattern.format("|".join(map(re.escape, phrases))), re.IGNORECASE) if phrases else None


def _asks(text: str, rules: _Rules) -> bool:
    small = text.lower()
    if any(small.startswith(f"{start} ") or small == start for start in rules.not_questions):
        return False
    if any(small.startswith(f"{start} ") for start in rules.starts):
        return True
    first = small.split(" ", 1)[0]
    return first in rules.questions and " " in small


def _with_nouns(text: str, rules: _Rules) -> str:
    """Write the nouns of German with capitals; of a growing text they are not known before the next word."""
    if rules.nouns is None:
        return text
    pieces = text.split(" ")
    for place in rules.nouns.find([piece.lower() for piece in pieces]):
        pieces[place] = _capital(pieces[place])
    return " ".join(pieces)


def _with_commas(text: str, rules: _Rules) -> str:
    if rules.starters is not None:
        text = rules.starters.sub(lambda m: f"{m[0].rstrip()}, ", text)
    out, start = "", 0
    for match in rules.comma.finditer(text):
        if len(text[start : match.start()].split()) >= _EITHER_SIDE and len(text[match.end() :].split()) > _EITHER_SIDE:
            out += text[start : match.start()] + ","
            start = match.start()
    return out + text[start:]


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _first_capital(text: str) -> str:
    for place, character in enumerate(text):
        if character.isalnum():
            return text[:place] + character.upper() + text[place + 1 :]
    return text
