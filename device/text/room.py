"""The text room of one conversation: what the interpreter asks between hearing, translating and speaking."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from device.config import Profanity, TextSettings
from device.events import SpokenWord, TextForms
from device.text import truetext
from device.text.numbers import write_numbers
from device.text.phrases import PhraseList
from device.text.profanity import ProfanityFilter
from device.text.punctuation import lacks_writing
from device.text.rules import primary

if TYPE_CHECKING:
    from device.text.redaction import Redactor

_HIDDEN: Final = "[]"
"""What stands around the kind of what is hidden."""
_UNSPOKEN: Final = str.maketrans("", "", "[]")


class Punctuates(Protocol):
    """What puts capitals and marks into text without."""

    def punctuate(self, text: str, language: str) -> str:
        """Return ``text`` with capitals and marks."""
        ...


@dataclass(frozen=True, slots=True)
class Readable:
    """What was said, ready to be shown and to be translated."""

    shown: str
    """What people see: offensive words are treated as configured."""
    meant: str
    """What is translated: nothing is masked, since a translator makes nonsense of asterisks, and numbers are words,
    which it knows how to inflect; but what is to be hidden is hidden already, lest a translation tell it."""
    forms: TextForms | None = None
    """Of a final."""
    hidden: bool = False
    """Whether something in a final is hidden."""


class TextRoom:
    """Makes text readable as one conversation's settings ask for it. May be called from any thread.

    ``punctuator`` returns, for a language, what puts capitals and marks into text without; where it has none, or is
    none, rules do it.
    """

    def __init__(self, settings: TextSettings, punctuator: Callable[[str], Punctuates | None] | None = None) -> None:
        self._settings, self._punctuator = settings, punctuator
        self._lock = threading.Lock()
        self._filters: dict[str, ProfanityFilter] = {}
        self._phrases: dict[str, PhraseList] = {}
        self._redactor: Redactor | None = None

    def partial(self, text: str, language: str) -> Readable:
        """Return an unfinished transcript; words that were shown are not taken back as it grows."""
        heard = self._corrected(truetext.clean_characters(text), language)
        meant = truetext.display_so_far(heard, language, self._settings)
        meant = self._redacted_so_far(meant, language)
        return Readable(self._filtered(meant, language), meant)

    def final(self, text: str, language: str) -> Readable:
        """Return a finished transcript with its forms; both texts are empty where nobody said a word."""
        text = self._corrected(truetext.clean_characters(text), language)
        written = self._display(text, language, self._settings)
        if not any(c.isalnum() for c in written):
            return Readable("", "")
        meant = written
        if self._settings.numbers and not self._settings.redact:
            meant = self._display(text, language, self._settings.model_copy(update={"numbers": False}))
        itn, lexical = truetext.itn(text, language, self._settings), truetext.lexical(text)
        hidden = self.typed(written, language)  # numbers may have been left as words
        if hidden != written:
            # What is hidden must not be read from its words, and names are not known without their capitals.
            itn = lexical = truetext.lexical(hidden, keep=_HIDDEN)
        else:
            itn = self._redacted(itn, language)
            lexical = lexical if "[" not in itn else itn
        masked = Profanity.MASKED if self._settings.profanity is Profanity.RAW else self._settings.profanity
        shown = self._filtered(hidden, language)
        forms = TextForms(
            lexical=lexical,
            itn=itn,
            masked_itn=self._filter(language).apply(itn, masked),
            display=shown,
        )
        return Readable(shown, hidden if self._settings.redact else meant, forms, hidden != written)

    def _display(self, text: str, language: str, settings: TextSettings) -> str:
        if self._punctuator is not None and settings.punctuation and lacks_writing(text):
            model = self._punctuator(language)
            if model is not None:
                return truetext.display(text, language, settings, model.punctuate)
        return truetext.display(text, language, settings)

    def shown(self, text: str, language: str) -> str:
        """Return a transcript or translation as people may read it."""
        return self._filtered(self._redacted(text, language), language)

    def shown_so_far(self, text: str, language: str) -> str:
        """Return an unfinished transcript or translation as people may read it."""
        return self._filtered(self._redacted_so_far(text, language), language)

    def typed(self, text: str, language: str) -> str:
        """Return a text that somebody wrote as it is to be translated: what is to be hidden is hidden already.

        Numbers may be words; a text with nothing to hide is returned as it is.
        """
        return self._hide().hide_said(text, language) if self._settings.redact else text

    def spoken(self, text: str, language: str) -> str:
        """Return a translation as it may be spoken: what is masked in writing is not said."""
        text = self._redacted(text, language).translate(_UNSPOKEN)
        if self._settings.profanity in (Profanity.MASKED, Profanity.REMOVED):
            return self._filter(language).apply(text, Profanity.REMOVED)
        return text

    def words(self, words: tuple[SpokenWord, ...], heard: Readable, language: str) -> tuple[SpokenWord, ...]:
        """Return a final's words as people may read them; none where something in the text is hidden."""
        if heard.hidden or (heard.forms and "[" in heard.forms.lexical):
            return ()
        if self._settings.profanity is Profanity.RAW:
            return words
        shown = ((word, self.shown(word.text, language)) for word in words)
        return tuple(SpokenWord(text, word.start, word.end, word.confidence) for word, text in shown if text.strip())

    def _redacted(self, text: str, language: str) -> str:
        return self._hide().hide(text, language) if self._settings.redact else text

    def _redacted_so_far(self, text: str, language: str) -> str:
        if not self._settings.redact:
            return text
        # Digits that are said one by one must be seen as the number that they may become.
        return self._hide().hide_so_far(write_numbers(text, language), language)

    def _hide(self) -> Redactor:
        from device.text.redaction import Redactor  # numbering plans are large, and few ask for them

        with self._lock:
            if self._redactor is None:
                self._redactor = Redactor(self._settings.redact)
            return self._redactor

    def _filtered(self, text: str, language: str) -> str:
        if self._settings.profanity is Profanity.RAW:
            return text
        return self._filter(language).apply(text, self._settings.profanity)

    def _corrected(self, text: str, language: str) -> str:
        if not self._settings.phrases:
            return text
        with self._lock:
            if language not in self._phrases:
                self._phrases[language] = PhraseList(self._settings.phrases, language)
            phrases = self._phrases[language]
        return phrases.apply(text)

    def _filter(self, language: str) -> ProfanityFilter:
        tag = primary(language)
        with self._lock:
            if tag not in self._filters:
                more = self._settings.profanity_words
                self._filters[tag] = ProfanityFilter(
                    tag, [word for key, listed in more.items() if primary(key) == tag for word in listed]
                )
            return self._filters[tag]
