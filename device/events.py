"""The vocabulary of the house: what the interpreter says, and nothing else passes between rooms.

All times are seconds as float from the start of the conversation's audio. ``emitted`` is when the event was
emitted, counted from the same start by the wall clock: where audio comes at its own pace, a log of events is also a log
of latencies (the habit is SimulStreaming's); where a recording is worked through faster, it tells the time that took.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono float32 samples in [-1, 1]; 16 kHz unless a sample rate is carried beside them."""

SAMPLE_RATE = 16_000
"""Sample rate of everything that is fed to an interpreter, in Hz."""


class State(StrEnum):
    """What the device is doing, as people see it on MQTT, LEDs and pages."""

    IDLE = "idle"
    LISTENING = "listening"
    TRANSLATING = "translating"
    SPEAKING = "speaking"
    MUTED = "muted"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in one conversation."""

    type: ClassVar[str] = "event"

    emitted: float
    """When the event was emitted: seconds by the wall clock since the audio began."""

    def to_dict(self) -> dict[str, Any]:
        """Return the event as one JSON-ready mapping, ``type`` first; audio is left out."""
        out: dict[str, Any] = {"type": self.type}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if value is None or isinstance(value, np.ndarray | TextForms) or (item.name == "words" and not value):
                continue
            if isinstance(value, float):
                value = round(value, 3)
            elif item.name == "words":
                value = [dataclasses.asdict(word) for word in value]
            elif isinstance(value, Mapping):
                value = {k: round(v, 3) if isinstance(v, float) else v for k, v in value.items()}
            out[item.name] = value
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted(Event):
    """Somebody began to talk; ``start`` is when."""

    type: ClassVar[str] = "speech_started"

    utterance: str
    start: float
    direction: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial(Event):
    """A transcript of an utterance that is still going on; a later one replaces it."""

    type: ClassVar[str] = "partial"

    utterance: str
    revision: int
    text: str
    language: str
    start: float
    end: float
    """How far into the audio this hypothesis reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialTranslation(Event):
    """A translation of a partial transcript; a later one replaces it."""

    type: ClassVar[str] = "translation_partial"

    utterance: str
    revision: int
    text: str
    language: str
    source_language: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word of a final and when it was said."""

    text: str
    start: float
    end: float
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class TextForms:
    """A final in the forms of Azure's detailed results; `display` is the final's own text."""

    lexical: str
    """The words as they were heard: small letters, no marks."""
    itn: str
    """The same with numbers written (inverse text normalisation)."""
    masked_itn: str
    """The same with offensive words masked."""
    display: str
    """What people read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(Event):
    """What was said in one utterance. Never taken back, never dropped."""

    type: ClassVar[str] = "final"

    utterance: str
    sequence: int
    """Counts the finals of this conversation from 1 without gaps."""
    text: str
    language: str
    start: float
    end: float
    """When the speech ended (not when its end was noticed)."""
    direction: int = 0
    confidence: float | None = None
    azimuth: float | None = None
    """Direction of arrival in degrees, where an array measured it."""
    speaker: int | None = None
    """Who said it, where people are told apart: they count from 1 in the order in which they first speak."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds each stage took: ``endpoint``, ``asr``."""
    words: tuple[SpokenWord, ...] = field(default=(), repr=False)
    """The words with their times, where the model tells them."""
    forms: TextForms | None = field(default=None, repr=False)
    """The text in further forms; programs ask for them, events that travel leave them out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation(Event):
    """The translation of one final into one target language."""

    type: ClassVar[str] = "translation"

    utterance: str
    sequence: int
    """The final's own sequence number."""
    text: str
    language: str
    source_language: str
    start: float
    end: float
    route: tuple[str, ...] = ()
    """Languages passed through, for example ``("zh", "en", "pt")``."""
    models: tuple[str, ...] = ()
    """Catalogue ids of the models along the route."""
    confidence: float | None = None
    speaker: int | None = None
    """The final's own."""
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech(Event):
    """A piece of synthesised speech; ``samples`` are mono float32 at ``sample_rate``.

    Pieces of one utterance are played one after another without a gap; `UtteranceEnded` follows the last.
    """

    type: ClassVar[str] = "speech"

    utterance: str
    index: int
    """Counts the pieces of one utterance and language from 0."""
    text: str
    """The clause that begins with this piece; empty where the piece goes on with one."""
    language: str
    voice: str
    sample_rate: int
    duration: float
    samples: Samples = field(repr=False, compare=False)
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceEnded(Event):
    """Everything that will ever be said about this utterance has been emitted.

    ``text`` is false where the utterance turned out to hold no words (noise, a cough): no final was emitted.
    """

    type: ClassVar[str] = "utterance_ended"

    utterance: str
    has_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Event):
    """Something failed that the listener should know; the conversation goes on."""

    type: ClassVar[str] = "error"

    text: str
    """One line for a person."""
    code: str = "failed"
    utterance: str | None = None
    language: str | None = None
    start: float | None = None
    """When the speech that it is about began and ended, where it is about some."""
    end: float | None = None


Sink = Callable[[Event], None]
"""Receives events in order, one at a time; must return quickly and must not raise."""

CONTROL_EVENTS = ("speech_started", "utterance_ended")
"""Event types for machinery; people and programs that ask for events are not shown them."""
