"""Settings of how what was said is written."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from device.config.languages import canonical_language
from device.config.section import Section


def _glossary(value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Refuse pairs that are none, and terms that nobody can follow."""
    for pair, terms in value.items():
        source, arrow, target = pair.partition(">")
        if not arrow:
            raise ValueError(f"expected a pair of languages such as en>pt, not {pair[:40]!r}")
        canonical_language(source.strip())
        canonical_language(target.strip())
        _check_terms(terms)
    return value


def _check_terms(terms: dict[str, str]) -> None:
    """Refuse terms that are empty, come twice, or lead back to themselves through others."""
    folded: dict[str, str] = {}
    for source, target in terms.items():
        if not source.strip() or not target.strip():
            raise ValueError("a glossary has no empty terms")
        if source.strip().casefold() in folded:
            raise ValueError(f"the glossary has {source!r} twice")
        folded[source.strip().casefold()] = target.strip().casefold()
    for start in folded:
        way = [start]
        while (following := folded.get(way[-1], way[-1])) != way[-1]:
            if following in way:
                raise ValueError("the glossary goes round in a circle: " + " → ".join([*way, following]))
            way.append(following)


class Redaction(StrEnum):
    """What can be taken out of text, since it tells who somebody is."""

    PHONE = "phone"
    CARD = "card"
    EMAIL = "email"
    IBAN = "iban"
    ID = "id"
    ADDRESS = "address"
    NAME = "name"
    """Of people, found by lists and by what stands beside them: some are missed."""


class Profanity(StrEnum):
    """What becomes of offensive words."""

    RAW = "raw"
    MASKED = "masked"
    REMOVED = "removed"
    TAGGED = "tagged"


class TextSettings(Section):
    """How what was said is written."""

    fluent: bool = True
    """Leave out hesitations, repetitions, false starts and what speakers take back."""
    numbers: bool = True
    """Write numbers, times, dates and amounts in digits."""
    punctuation: bool = True
    """Put capitals and marks where the recogniser writes none."""
    profanity: Profanity = Profanity.RAW
    """In transcripts, translations and captions; what is masked or removed is not spoken either."""
    profanity_words: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Further offensive words by language, ``{"en": ["dratted", "blast*"]}``; ``*`` stands for any ending, and a
    word with ``!`` before it is innocent."""
    redact: tuple[Redaction, ...] = ()
    """What is taken out of transcripts, translations, captions and speech."""
    phrases: tuple[str, ...] = ()
    """Names and terms that speakers are likely to say: what was heard nearly like them is written like them."""
    glossary: Annotated[dict[str, dict[str, str]], AfterValidator(_glossary)] = Field(default_factory=dict)
    """How terms are translated, by pair of languages: ``{"en>pt": {"gateway": "porta de ligação"}}``."""
