"""Finds names of people in written text: by lists of given names and surnames, and by what stands beside them.

No statistics: the rules are those of the gazetteer systems for named entities (Mikheev, Moens and Grover, "Named
Entity Recognition without Gazetteers", 1999, for the evidence inside and around a name: titles, introductions, a
name seen in full elsewhere). The lists are Faker's (MIT), of many countries at once, since people travel. A name
that is in no list and that nothing introduces is not found; the figures of ``make bench-text`` say how many are.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from typing import Any, Final

from device.text.rules import LANGUAGES, fluency, tables, words

_LOCALES: Final = (
    "en_US", "en_GB", "en_IE", "en_IN", "pt_PT", "pt_BR", "es_ES", "es_MX", "es_CO", "fr_FR", "fr_CH", "de_DE", "de_AT",
    "it_IT", "nl_NL", "pl_PL", "sv_SE", "tr_TR",
)  # fmt: skip
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")  # noqa: RUF001
_LINKS: Final = words("de da do dos das del della di du van von der den la le bin ibn al ter zu")
_ENDED: Final = re.compile(r"[.!?…:。！？\n\"“«„¿¡]\s*$")  # noqa: RUF001
_ABBREVIATIONS: Final = frozenset({"IBAN"})
"""Of all that is written in capitals, what the lists have as a name too."""
_OWNER: Final = re.compile(r"['’]s$")  # noqa: RUF001
_COUNTRIES: Final = {"en": "en_US", "pt": "pt_BR", "es": "es_ES", "fr": "fr_FR", "de": "de_DE", "it": "it_IT"}
_COUNTRIES_OF_A_NAME: Final = 3
_SHORTEST_SMALL: Final = 3
"""Letters of a word without a capital that is too short to be believed."""
_LONGEST: Final = 6
"""Words of the longest name."""
_FIRST: Final = 2
"""Letters of the shortest given name that is believed without a title."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a language says about names; all small and without accents."""

    language: str
    titles: frozenset[str]
    introductions: tuple[tuple[str, ...], ...]
    """Whatever follows them is a name."""
    presentations: tuple[tuple[str, ...], ...]
    """What follows them may be a name."""
    before: frozenset[str]
    after: frozenset[str]
    """Words that make places and institutions of the names beside them."""
    words: frozenset[str]
    """Given names that are also ordinary words."""
    places: frozenset[str]
    ordinary: frozenset[str]
    """Words that begin sentences."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int
    key: str
    large: bool
    first: bool
    """Whether it begins a sentence."""
    initial: bool
    """Whether it is one letter with a full stop."""
    joined: bool
    """Whether nothing but a space, or an initial's full stop, parts it from the word before."""


def find_names(text: str, language: str, known: Collection[str] = ()) -> tuple[list[tuple[int, int]], set[str]]:
    """Return where names of people stand in ``text``, in order, and the words that they are made of.

    Parameters
    ----------
    text
        Written with capitals; of text without, only what somebody introduces as a name is found.
    language
        A primary subtag; languages without rules have the lists alone.
    known
        Words of names that were found before, as this returned them: they are found again wherever they stand with
        a capital.
    """
    rules = _rules(language if language in LANGUAGES else "en")
    tokens = _tokens(text, rules.titles)
    cased = any(token.large and not token.first for token in tokens)
    spans: list[tuple[int, int]] = []
    learnt: set[str] = set()
    place = 0
    while place < len(tokens):
        last = _name_at(tokens, place, rules, cased=cased)
        if last is None:
            place += 1
            continue
        spans.append((tokens[place].start, tokens[last].end))
        said = {tokens[place], tokens[last]} if _listed(tokens[place].key) else {tokens[last]}
        learnt |= {t.key for t in said if len(t.key) > _FIRST and t.key not in _LINKS}
        place = last + 1
    sure = {*learnt, *known} - rules.words - rules.ordinary - rules.places
    taken = iter([*spans, (len(text), len(text))])
    now = next(taken)
    for token in tokens:
        while token.start >= now[1] and now[0] < len(text):
            now = next(taken)
        if token.large and token.key in sure and not now[0] <= token.start < now[1]:
            spans.append((token.start, token.end))
    return sorted(spans), learnt


def _name_at(tokens: Sequence[_Token], place: int, rules: _Rules, *, cased: bool) -> int | None:
    """Return the last word of the name that begins at ``place``, if one does."""
    token = tokens[place]
    if _follows(tokens, place, rules.introductions):
        if token.large:
            return _end(tokens, place, rules)
        return None if cased else _small_name(tokens, place)
    presented = _follows(tokens, place, rules.presentations)
    if not token.large:
        plain = token.key not in rules.words | rules.places | rules.ordinary
        return _small_name(tokens, place) if presented and plain and not cased else None
    before = tokens[place - 1] if place else None
    if before is not None and before.key in rules.titles and token.joined and token.key not in rules.titles:
        return _end(tokens, place, rules)
    if before is not None and token.joined and before.key in rules.before and not before.first:
        return None
    last = _end(tokens, place, rules)
    follows = tokens[last + 1] if last + 1 < len(tokens) else None
    if last == place and follows is not None and follows.joined and follows.key in rules.after:
        return None
    return last if _is_name(tokens, place, last, rules, presented=presented) else None


def _is_name(tokens: Sequence[_Token], place: int, last: int, rules: _Rules, *, presented: bool) -> bool:
    first, final = tokens[place], tokens[last]
    if first.key in rules.titles or final.key in rules.after or first.key in rules.before:
        return False
    given, surnames = _lists()
    listed, several = first.key in given, last > place
    family = several and final.key in surnames and final.key not in rules.places
    if len(first.key) == 1:  # "J. R. Smith"
        return first.initial and (family or any(_listed(t.key) for t in tokens[place + 1 : last + 1]))
    if first.key in rules.ordinary and first.key not in rules.words:
        return False
    if first.key in rules.places:
        return family
    if first.key in rules.words:
        return family or (listed and (presented or (several and not first.first)))
    if listed and len(first.key) > _FIRST:
        # At a sentence's beginning a foreign name is more likely a word of this language.
        return several or not first.first or first.key in _lists_of(rules.language)
    if listed:
        return family
    # A surname that is listed after an unknown name: "Xiomara Castro". In German any two nouns may look like it.
    return (
        family
        and rules.language != "de"
        and not first.first
        and first.key not in rules.ordinary
        and final.key not in rules.words
    )


def _end(tokens: Sequence[_Token], place: int, rules: _Rules) -> int:
    """Return the last of the words with capitals that follow one another, "de" and "van" between them."""
    last = place
    for number in range(place + 1, min(place + _LONGEST, len(tokens))):
        token = tokens[number]
        if not token.joined or _OWNER.search(tokens[last].text):
            break
        if token.large and token.key not in rules.titles and token.key not in rules.before:
            if last < number - 2:
                break
            last = number
        elif token.key not in _LINKS or tokens[place].key in rules.words or not _listed(tokens[place].key):
            break
    return last


def _small_name(tokens: Sequence[_Token], place: int) -> int | None:
    """Return the last word of a name that is introduced in text without capitals."""
    given, surnames = _lists()
    if tokens[place].key not in given:
        return None
    following = place + 1
    listed = following < len(tokens) and tokens[following].joined and tokens[following].key in surnames
    return following if listed else place


def _follows(tokens: Sequence[_Token], place: int, phrases: Iterable[tuple[str, ...]]) -> bool:
    for phrase in phrases:
        start = place - len(phrase)
        if start >= 0 and all(tokens[start + n].key == word for n, word in enumerate(phrase)):
            return all(t.joined for t in tokens[start + 1 : place + 1])
    return False


def _tokens(text: str, titles: frozenset[str]) -> list[_Token]:
    out: list[_Token] = []
    end = 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        initial = bool(out) and (out[-1].initial or out[-1].key in titles) and between in (". ", ".")
        out.append(
            _Token(
                text=match[0], start=match.start(), end=match.end() - (2 if _OWNER.search(match[0]) else 0),
                key=_key(match[0]), large=match[0][:1].isupper() and match[0] not in _ABBREVIATIONS,
                initial=len(match[0]) == 1 and text[match.end() : match.end() + 1] == ".",
                first=not out or (bool(_ENDED.search(between)) and not initial), joined=between == " " or initial,
            )
        )  # fmt: skip
        end = match.end()
    return out


def _listed(key: str) -> bool:
    return key in _lists()[0]


@cache
def _lists() -> tuple[frozenset[str], frozenset[str]]:
    """Return given names and surnames of all countries."""
    given: set[str] = set()
    surnames: set[str] = set()
    for locale in _LOCALES:
        given |= _given(locale)
        surnames |= _words(getattr(_provider(locale), "last_names", ()))
    return frozenset(given), frozenset(surnames)


@cache
def _lists_of(language: str) -> frozenset[str]:
    """Return the given names of the countries where ``language`` is spoken."""
    return frozenset(name for locale in _LOCALES if locale.startswith(language) for name in _given(locale))


def surnames() -> frozenset[str]:
    """Return surnames of many countries, small and without accents."""
    return _lists()[1]


def is_given_name(word: str, language: str) -> bool:
    """Whether a word can hardly be anything but a given name, even where it is written small."""
    if word.endswith(("à", "á")):
        return False  # "sarà" is no Sara
    key = _key(word)
    return len(key) > _SHORTEST_SMALL and key in _well_known() and key not in _ambiguous(language)


@cache
def _well_known() -> frozenset[str]:
    """Return given names of several countries: others are too often words of one language."""
    counts = Counter(name for locale in _LOCALES for name in _given(locale))
    return frozenset(name for name, count in counts.items() if count >= _COUNTRIES_OF_A_NAME)


@cache
def _ambiguous(language: str) -> frozenset[str]:
    rules = _rules(language if language in LANGUAGES else "en")
    said = fluency(language)
    listed = frozenset(map(_key, str(tables(language).get("writing", {}).get("common", "")).split()))
    spoken = frozenset(map(_key, said.small | said.doubled | said.digits)) if said else frozenset()
    return rules.words | rules.ordinary | rules.before | rules.after | rules.titles | listed | spoken


@cache
def countries(language: str) -> frozenset[str]:
    """Return countries whose name in ``language`` is one word, small."""
    locale = _COUNTRIES.get(language)
    if locale is None:
        return frozenset()
    listed = import_module(f"faker.providers.address.{locale}").Provider.countries
    return frozenset(str(name).lower() for name in listed if " " not in str(name) and len(str(name)) > _SHORTEST_SMALL)


@cache
def _given(locale: str) -> frozenset[str]:
    kinds = ("first_names", "first_names_male", "first_names_female")
    return frozenset(name for kind in kinds for name in _words(getattr(_provider(locale), kind, ())))


def _provider(locale: str) -> Any:
    return import_module(f"faker.providers.person.{locale}").Provider


def _words(names: object) -> set[str]:
    if not isinstance(names, Iterable):  # some are made up anew each time
        return set()
    return {_key(part) for name in names for part in str(name).split() if len(part) > 1} - _LINKS


@cache
def _rules(language: str) -> _Rules:
    folder = resources.files("device.text") / "data"
    table = tomllib.loads((folder / "names.toml").read_text(encoding="utf-8"))[language]
    common = tomllib.loads((folder / "common_words.toml").read_text(encoding="utf-8"))["words"][language]

    def phrases(name: str) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(map(_key, phrase.split())) for phrase in table[name])

    def keys(text: str) -> frozenset[str]:
        return frozenset(map(_key, text.split()))

    return _Rules(
        language=language,
        titles=keys(table["titles"]),
        introductions=phrases("introductions"),
        presentations=phrases("presentations"),
        before=keys(table["before"]),
        after=keys(table["after"]),
        words=keys(table["words"]),
        places=keys(table["places"]),
        ordinary=keys(common),
    )


def _key(word: str) -> str:
    """Return a word small, without accents, and without the genitive's ending."""
    plain = unicodedata.normalize("NFKD", _OWNER.sub("", word).lower().replace("’", "'"))  # noqa: RUF001
    return "".join(c for c in plain if not unicodedata.combining(c))
