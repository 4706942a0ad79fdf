"""What the interpreter asks of an engine. One model is loaded once and shared; sessions belong to one utterance.

Every method may be called from any thread. An engine that is not safe for concurrent calls holds its own lock.
No object of the library underneath (sherpa-onnx, CTranslate2, onnxruntime, piper) leaks through these types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from device.events import Samples


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word with its times in seconds from the start of the samples that were recognised."""

    text: str
    start: float
    end: float
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recogniser heard; ``text`` is empty when it heard no words."""

    text: str
    language: str
    confidence: float | None = None
    words: tuple[Word, ...] = ()


class RecognitionSession(Protocol):
    """Recognises one growing utterance."""

    def recognize(self, samples: Samples, *, final: bool) -> Recognition:
        """Recognise all of ``samples``: the whole utterance so far, 16 kHz mono.

        Successive calls pass the same utterance grown longer. An offline model decodes it again; a streaming
        model decodes only what is new. With ``final`` the utterance is complete: the answer is the best one
        that the model can give, and no call follows.
        """
        ...


@runtime_checkable
class Recognizer(Protocol):
    """A loaded speech recognition model."""

    model_id: str
    languages: frozenset[str]
    """Primary language subtags it understands; Whisper understands many, Moonshine one."""
    suits_partials: bool
    """Whether recognising a few seconds is cheap enough to repeat while somebody talks."""
    incremental: bool
    """Whether a session decodes only what is new (a streaming model), so that its final may be asked for once."""

    def session(self, language: str) -> RecognitionSession:
        """Begin an utterance spoken in ``language`` (a primary subtag from ``languages``)."""
        ...


@runtime_checkable
class PhraseRecognizer(Protocol):
    """A recogniser that can listen for phrases: names and terms that a speaker is likely to say."""

    takes_phrases: bool
    """Whether this model can; some can only as they are configured."""

    def session(self, language: str, phrases: Sequence[str] = ()) -> RecognitionSession:
        """Begin an utterance in which the phrases, written as here, may be said."""
        ...


@runtime_checkable
class TogetherRecognizer(Protocol):
    """A recogniser that takes less time for several utterances together than one after the other."""

    def prepare(self, utterances: Sequence[tuple[RecognitionSession, Samples]]) -> None:
        """Do what can be done together, so that the sessions' `recognize` of just these samples takes less."""
        ...


@runtime_checkable
class LanguageIdentifier(Protocol):
    """A loaded model that tells which language is spoken."""

    languages: frozenset[str]
    """Primary language subtags it knows."""

    def detect_language(self, samples: Samples) -> list[tuple[str, float]]:
        """Return languages with their probabilities, the likeliest first; nothing for too little sound."""
        ...


@dataclass(frozen=True, slots=True)
class VoiceTurn:
    """A stretch of time in which one person talks, in seconds; ``voice`` counts people within one call only."""

    start: float
    end: float
    voice: int


@runtime_checkable
class Segmenter(Protocol):
    """A loaded model that tells who talks when in a few seconds of sound."""

    def turns(self, samples: Samples) -> list[VoiceTurn]:
        """Return the turns in the order in which they begin; two may overlap."""
        ...


@runtime_checkable
class Voiceprints(Protocol):
    """A loaded model that tells people by their voices."""

    def voiceprint(self, samples: Samples) -> Samples | None:
        """Return a vector of length 1, alike for the same person; nothing where there is too little to tell by."""
        ...


@runtime_checkable
class Punctuator(Protocol):
    """A loaded model that writes what a recogniser without capitals and marks has heard."""

    def punctuate(self, text: str, language: str) -> str:
        """Return ``text`` with capitals and marks; its words stay as they are."""
        ...


@runtime_checkable
class Aligner(Protocol):
    """A loaded model that tells when each word of a known text was said."""

    languages: frozenset[str]
    """Primary language subtags it knows."""

    def align(self, samples: Samples, language: str, text: str) -> tuple[Word, ...]:
        """Return the words of ``text`` in up to 30 s of ``samples``; none where it cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class Translated:
    """One translated sentence. ``confidence`` is the mean log-probability of its tokens, where known."""

    text: str
    confidence: float | None = None


@runtime_checkable
class Translator(Protocol):
    """A loaded translation model: one direction."""

    model_id: str
    source: str
    target: str

    def translate(self, sentences: Sequence[str]) -> list[Translated]:
        """Translate each sentence by itself; the answer has the same length. An empty sentence stays empty."""
        ...


@dataclass(frozen=True, slots=True)
class Pronounced:
    """One word as a voice shall say it."""

    text: str
    """Letters, with the punctuation around them; numbers are written out (see `device.text.verbalize`)."""
    phonemes: str = ""
    """How it is pronounced, in the International Phonetic Alphabet; where empty, the text tells."""
    rate: float = 1.0
    """Pace of this word; 2 is twice as fast."""


@dataclass(frozen=True, slots=True)
class SpeechPiece:
    """A piece of a spoken sentence or clause.

    The first piece tells ``words``: when each word begins and ends, in seconds from the first sample. ``lead`` is the
    near silence before the first word; ``tail``, which the last piece tells, is what follows the last word.
    """

    samples: Samples
    words: tuple[tuple[float, float], ...] = ()
    lead: float = 0.0
    tail: float = 0.0


@runtime_checkable
class Synthesizer(Protocol):
    """A loaded voice."""

    model_id: str
    language: str
    voice: str
    """The voice's own name: ``Joe``."""
    sample_rate: int

    def stream(self, text: str, *, rate: float = 1.0) -> Iterator[Samples]:
        """Speak one clause or sentence: mono float32 at ``sample_rate``, in pieces as they are made.

        ``rate`` is the pace: 2 is twice as fast. The first piece comes as soon as the engine can; nothing comes for
        text with nothing to say.
        """
        ...

    def speak(self, words: Sequence[Pronounced]) -> Iterator[SpeechPiece]:
        """Speak one sentence or clause whose words are known, and tell when each is heard.

        No pause follows: it is for whoever knows what comes next. Nothing comes where there is nothing to say.
        """
        ...


class VoiceActivityModel(Protocol):
    """A loaded voice activity model."""

    def are_speech(self, conversations: Sequence[Any], frames: Sequence[Samples]) -> list[bool]:
        """Ask for a frame of each of several conversations (`VoiceActivity` of this model) in one call."""
        ...


class VoiceActivity(Protocol):
    """Tells speech from other sound, frame by frame; one instance per conversation (it has state).

    Unlike the others it is used by one thread at a time.
    """

    @property
    def model(self) -> VoiceActivityModel:
        """Conversations with the same one can be asked together."""
        ...

    frame: int
    """Samples in a frame (512: 32 ms)."""

    @property
    def probability(self) -> float:
        """How likely there is speech in the frame that was heard last, from 0 to 1."""
        ...

    def is_speech(self, frame: Samples) -> bool:
        """Whether speech is going on in this frame; frames are passed in order."""
        ...

    def reset(self) -> None:
        """Forget what was heard."""
        ...
