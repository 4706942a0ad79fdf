"""Speaks an SSML document: sound, and when each sentence, word and bookmark comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from device.audio.resample import Resampler
from device.engines.protocols import Synthesizer
from device.engines.scheduler import Priority
from device.errors import DragomanError
from device.events import Samples
from device.modelstore.catalogue import primary
from device.server.languages import VoiceName
from device.server.service import Service
from device.text.sentences import SPACELESS, split_sentences
from device.text.ssml import Bookmark, Manner, Part, Pause, Say

WORD, PUNCTUATION, SENTENCE = "WordBoundary", "PunctuationBoundary", "SentenceBoundary"
_TOKEN = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
_PAUSE_WEIGHT = 2.0
"""A comma or full stop lasts about as long as so many letters."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound: mono float32 at ``rate``."""

    samples: Samples
    rate: int


@dataclass(frozen=True, slots=True)
class Boundary:
    """A word, a sign or a sentence. Times are seconds from the start of the sound."""

    kind: str
    text: str
    start: float
    duration: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A bookmark was reached."""

    name: str
    start: float


Spoken = Sound | Boundary | Mark


class Speaker:
    """Speaks one document.

    Sentences begin and end where they are heard; a word's time within its sentence is estimated from the letters
    before it, for the voices do not tell.

    Parameters
    ----------
    service
        Voices, and the scheduler that they run on.
    parts
        From `device.text.ssml.parse_ssml`.

    Raises
    ------
    LanguageError
        No voice of a wanted language is installed.
    """

    def __init__(self, service: Service, parts: Sequence[Part]) -> None:
        self._service, self._parts = service, parts
        self._voices: dict[Manner, VoiceName] = {}
        for part in parts:
            if isinstance(part, Say) and part.manner not in self._voices:
                named, language = part.manner.voice, part.manner.language
                voice = service.languages.voice(named, language)
                self._voices[part.manner] = voice
        self.duration = 0.0

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of the voices that speak."""
        return tuple(dict.fromkeys(voice.short for voice in self._voices.values()))

    async def speak(self) -> AsyncIterator[Spoken]:
        """Yield sound and marks as they are made.

        Raises
        ------
        DragomanError
            There is more to say than the settings allow.
        """
        rate = 16_000
        for part in self._parts:
            if isinstance(part, Bookmark):
                yield Mark(part.name, self.duration)
            elif isinstance(part, Pause):
                yield self._sound(np.zeros(round(part.seconds * rate), np.float32), rate)
            else:
                voice = self._voices[part.manner]
                synthesizer = await self._service.work(self._service.engines.synthesizer, voice.locale, voice.model.id)
                rate = synthesizer.sample_rate
                for sentence in split_sentences(part.text, voice.locale):
                    samples = await self._synthesize(synthesizer, sentence, part.manner)
                    for boundary in _boundaries(sentence, primary(voice.locale), self.duration, len(samples) / rate):
                        yield boundary
                    yield self._sound(samples, rate)

    async def _synthesize(self, voice: Synthesizer, text: str, manner: Manner) -> Samples:
        job = self._service.engines.scheduler.submit(Priority.SPEECH, _speak, voice, text, manner)
        if job is None:
            raise DragomanError("the device is shutting down")
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            job.cancel()
            raise

    def _sound(self, samples: Samples, rate: int) -> Sound:
        self.duration += len(samples) / rate
        longest = self._service.settings.server.longest_audio
        if self.duration > longest:
            raise DragomanError(f"no more than {longest:g} s are spoken at once")
        return Sound(samples, rate)


def _speak(voice: Synthesizer, text: str, manner: Manner) -> Samples:
    """Say one sentence.

    A pitch is changed by speaking slower and playing faster, or the other way about, which keeps the pace.
    """
    pace = manner.rate / manner.pitch
    pieces = list(voice.stream(text) if pace == 1 else voice.stream(text, rate=pace))
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if manner.pitch != 1 and len(samples):
        resampler = Resampler(round(voice.sample_rate * manner.pitch), voice.sample_rate)
        samples = np.concatenate((resampler.process(samples), resampler.flush()))
    if manner.volume != 1:
        samples = np.clip(samples * np.float32(manner.volume), -1, 1)
    return samples


def _boundaries(sentence: str, language: str, start: float, duration: float) -> list[Boundary]:
    text = sentence.strip()
    tokens = _TOKEN.findall(text)
    if language in SPACELESS:
        tokens = [part for token in tokens for part in token]
    if not tokens or not duration:
        return []
    weights = [float(len(t)) + 1 if t[0].isalnum() else _PAUSE_WEIGHT for t in tokens]
    times = start + duration * np.concatenate(([0.0], np.cumsum(weights))) / sum(weights)
    found = [Boundary(SENTENCE, text, start, duration)]
    for token, at, end in zip(tokens, times, times[1:], strict=False):
        kind = WORD if token[0].isalnum() else PUNCTUATION
        found.append(Boundary(kind, token, float(at), float(end - at)))
    return found
