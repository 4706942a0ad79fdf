"""What a conversation's events tell of each utterance, put together until it can be sent, in the order in which it may.

Whatever the interface: a guess is sent with the translations of just that guess; a phrase once, with all translations
that it will have, or when the utterance is over and some are missing; what is spoken, never before its phrase.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from device.events import (
    Error,
    Event,
    Final,
    Partial,
    PartialTranslation,
    Speech,
    SpeechStarted,
    Translation,
    UtteranceEnded,
)
from device.server.identification import Identified

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Utterance:
    """What is known of one utterance."""

    number: int
    """The first one is 1."""
    base: float
    """Seconds of the client's audio before that of the conversation it belongs to."""
    identified: Identified | None
    """Its language, where that was not known before."""
    partial: Partial | None = None
    guesses: dict[str, str] = field(default_factory=dict)
    """Translations of the partial by language."""
    final: Final | None = None
    translations: dict[str, str] = field(default_factory=dict)
    """By language."""
    failure: str = ""
    """What went wrong last."""
    speech: list[Speech] = field(default_factory=list)
    """What is spoken and was not sent yet; whoever sends it empties this."""
    answered: bool = False
    """Whether its phrase has been sent."""


class Listener(Protocol):
    """Sends what is known, in one interface's own words."""

    def began(self, said: Utterance, event: SpeechStarted) -> None:
        """Somebody begins to talk."""

    def guessed(self, said: Utterance, partial: Partial) -> None:
        """There is a partial, with translations of just that."""

    def failed(self, said: Utterance) -> None:
        """Something went wrong."""

    def answer(self, said: Utterance, final: Final) -> None:
        """Take what was said, with all translations that there will be."""

    def speak(self, said: Utterance) -> None:
        """Take what was spoken so far; the phrase has been sent."""

    def ended(self, said: Utterance, event: UtteranceEnded) -> None:
        """Nothing more comes."""


class Utterances:
    """Keeps account of all utterances of a turn or connection.

    Parameters
    ----------
    listener
        Sends what is known.
    targets
        The languages that are translated into.
    """

    def __init__(self, listener: Listener, targets: Collection[str] = ()) -> None:
        self._listener, self._targets = listener, frozenset(targets)
        self._open: dict[str, Utterance] = {}
        self._count = 0

    def take(self, event: Event, base: float = 0.0, identified: Identified | None = None) -> None:
        """Account one event of a conversation that began ``base`` seconds into the client's audio."""
        if isinstance(event, SpeechStarted):
            self._count += 1
            said = self._open[event.utterance] = Utterance(self._count, base, identified)
            self._listener.began(said, event)
        elif (known := self._open.get(getattr(event, "utterance", None) or "")) is not None:
            self._advance(known, event)
        elif isinstance(event, Error):
            log.warning("a conversation is served late: %s", event.text)

    def _advance(self, said: Utterance, event: Event) -> None:
        match event:
            case Partial():
                said.partial = event
                said.guesses.clear()
                self._guess(said, event.revision)
            case PartialTranslation():
                said.guesses[event.language] = event.text
                self._guess(said, event.revision)
            case Final():
                said.final = event
            case Translation():
                said.translations[event.language] = event.text
            case Speech():
                said.speech.append(event)
            case Error():
                said.failure = event.text
                log.warning("%s", event.text)
                self._listener.failed(said)
            case UtteranceEnded():
                self._end(said, event)
                return
        if self._targets <= set(said.translations):
            self._answer(said)

    def _guess(self, said: Utterance, revision: int) -> None:
        if said.partial is not None and said.partial.revision == revision and self._targets <= set(said.guesses):
            self._listener.guessed(said, said.partial)

    def _answer(self, said: Utterance) -> None:
        if said.final is None:
            return
        if not said.answered:
            said.answered = True
            self._listener.answer(said, said.final)
        if said.speech:
            self._listener.speak(said)

    def _end(self, said: Utterance, event: UtteranceEnded) -> None:
        del self._open[event.utterance]
        if event.has_text:
            self._answer(said)
        self._listener.ended(said, event)
