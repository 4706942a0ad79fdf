"""Keeps to a user's glossary: how certain terms are to be translated.

A model often knows the right word already, inflected as the sentence asks for it; then nothing is done. Else the
model's own word for the term is looked for in its translation and replaced. Only where that fails too is the term
hidden from the model behind a web address, which models copy, and the wanted one put in its place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from device.text.sentences import SPACELESS

_STAND_IN: Final = "www.t{}.com"
_SHORTEST_STEM: Final = 4


@dataclass(frozen=True, slots=True)
class Term:
    """One term and how it is to be translated."""

    source: str
    target: str
    pattern: re.Pattern[str]
    """Finds the source, in any case, as a whole word."""


class Glossary:
    """The terms of one pair of languages.

    Parameters
    ----------
    terms
        Target by source.
    source, target
        Language tags; in languages without spaces a term need not be a whole word.
    """

    def __init__(self, terms: Mapping[str, str], source: str, target: str) -> None:
        spaceless = source.split("-", 1)[0].lower() in SPACELESS
        self._tight = target.split("-", 1)[0].lower() in SPACELESS
        edge = ("", "") if spaceless else (r"(?<!\w)", r"(?!\w)")
        self._terms = [
            Term(s, t, re.compile(edge[0] + re.escape(_normal(s)).replace(r"\ ", r"\s+") + edge[1], re.IGNORECASE))
            for s, t in sorted(terms.items(), key=lambda item: -len(item[0]))
        ]

    def __bool__(self) -> bool:
        return bool(self._terms)

    def translate(self, text: str, translate: Callable[[str], str]) -> str:
        """Return ``translate(text)`` with the terms as the glossary wants them.

        ``translate`` may be called several times; it should remember what it was asked.
        """
        text = _normal(text)
        hidden: list[tuple[str, str]] = []
        present = self._present(text)
        if not present:
            return translate(text)
        answer = translate(text)
        missing = [term for term in present if not _holds(answer, term.target)]
        for term in missing:
            replaced = self._replace(answer, term, translate)
            if replaced is None:
                break
            answer = replaced
        else:
            return answer
        for term in present:
            stand_in = _STAND_IN.format(len(hidden) + 1)
            text = term.pattern.sub(stand_in, text)
            hidden.append((stand_in, term.target))
        answer = translate(text)
        for stand_in, target in hidden:
            answer = answer.replace(stand_in, target)
        return answer[:1].upper() + answer[1:] if text.startswith("www.") else answer

    def _present(self, text: str) -> list[Term]:
        """Return the terms in a text, the longest first; one inside another's place does not count."""
        taken: list[tuple[int, int]] = []
        found = []
        for term in self._terms:
            places = [m.span() for m in term.pattern.finditer(text)]
            free = [p for p in places if all(p[1] <= a or p[0] >= b for a, b in taken)]
            if free:
                taken += free
                found.append(term)
        return found

    def _replace(self, answer: str, term: Term, translate: Callable[[str], str]) -> str | None:
        """Return the translation with the model's own word for a term replaced; None where it is not found once."""
        own = translate(term.source).strip().rstrip(".!?")
        if not own or self._tight:
            return None
        pattern = re.compile(rf"(?<!\w){re.escape(own)}(?!\w)", re.IGNORECASE)
        if len(pattern.findall(answer)) != 1:
            return None
        return pattern.sub(lambda m: _cased(term.target, m[0]), answer)


def _holds(answer: str, target: str) -> bool:
    """Whether a translation has the wanted term, be it in another form: "gateways", "casas azuis"."""
    words = [_stem(word) for word in re.findall(r"\w+", _fold(target))]
    text = _fold(answer)
    if not words:
        return target in answer
    return re.search(r"(?<!\w)" + r"\w{0,3}\W+".join(map(re.escape, words)) + r"\w{0,3}(?!\w)", text) is not None


def _stem(word: str) -> str:
    return word[:-1] if len(word) > _SHORTEST_STEM and word[-1] in "aeos" else word


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _cased(target: str, instead_of: str) -> str:
    return target[:1].upper() + target[1:] if instead_of[:1].isupper() and target[:1].islower() else target
