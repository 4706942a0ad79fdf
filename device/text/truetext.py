"""Readable text out of what a recogniser heard: Azure calls it TrueText and enrichment.

Of every final four forms are kept, as Azure's detailed results have them: the words alone (*lexical*), with numbers
written (*ITN*, inverse text normalisation), that with profanity masked (*masked ITN*), and what people read
(*display*).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from device.config import TextSettings
from device.text.fluency import remove_disfluencies, remove_disfluencies_so_far
from device.text.numbers import write_numbers
from device.text.punctuation import begin_sentences, capitalise, lacks_writing, punctuate
from device.text.sentences import SPACELESS

Punctuate = Callable[[str, str], str]
"""Returns a text with capitals and marks; the second argument is its language."""
_by_rules: Final = punctuate

LONGEST: Final = 20_000
"""Characters of the longest text that is worked on; no utterance is as long, and the rest passes unchanged."""

_EDGES: Final = re.compile(r"^[^\w$€£¥%°+#@&-]+|[^\w$€£¥%°+#@&]+$")
_INVISIBLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\u00ad\u200b\u2060\ufeff\ue000\ue001\ud800-\udfff]")
_TWICE: Final = re.compile(r"([,;])\1+")
"""Moonshine writes some commas twice."""


def clean_characters(text: str) -> str:
    """Return ``text`` composed (NFC) and without characters that nobody sees and that hide words from the rules.

    Joiners and direction marks stay: emoji, Persian and Hebrew need them.
    """
    return _TWICE.sub(r"\1", unicodedata.normalize("NFC", _INVISIBLE.sub("", text)))


def lexical(text: str, *, keep: str = "") -> str:
    """Return the bare words: lower case, no marks at their edges; words in the brackets ``keep`` stay as they are."""
    parts = (part.rstrip(".,;:!?") if keep and part[0] == keep[0] else _EDGES.sub("", part) for part in text.split())
    return " ".join(part.lower() for part in parts if part)


def display(text: str, language: str, settings: TextSettings, punctuate: Punctuate = punctuate) -> str:
    """Return what people read of a final transcript; empty where nobody said a word.

    ``punctuate`` puts capitals and marks into text without: the rules, or a model.
    """
    head, tail = text[:LONGEST], text[LONGEST:]
    unwritten = lacks_writing(head)
    if unwritten and head.isupper():
        head = head.lower()
    if settings.fluent:
        head = remove_disfluencies(head, language)
    written = settings.punctuation and unwritten
    if written and punctuate is not _by_rules:
        # A model knows numbers as words, and where they end.
        head = punctuate(head, language)
    if settings.numbers:
        head = write_numbers(head, language)
    if written and punctuate is _by_rules and language.split("-", 1)[0].lower() not in SPACELESS:
        head = punctuate(head, language)
    if settings.punctuation and not unwritten:
        head = begin_sentences(head, language)
    return head + tail


def display_so_far(text: str, language: str, settings: TextSettings) -> str:
    """Return what people read of a transcript that still grows: as `display`, but never taking back a word.

    Repairs and numbers wait for the final, since the next word may change them.
    """
    head, tail = text[:LONGEST], text[LONGEST:]
    if settings.punctuation and lacks_writing(head):
        if head.isupper():
            head = head.lower()
        head = capitalise(head, language)
    elif settings.punctuation:
        head = begin_sentences(head, language)
    if settings.fluent and not tail:
        head = remove_disfluencies_so_far(head, language)
    return head + tail


def itn(text: str, language: str, settings: TextSettings) -> str:
    """Return the words with numbers written, without capitals and marks."""
    head = text[:LONGEST]
    if settings.fluent:
        head = remove_disfluencies(head, language)
    return lexical(write_numbers(head, language) + text[LONGEST:])
