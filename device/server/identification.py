"""Which language is spoken: once at the start of the audio, or anew for every utterance."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from device.audio.endpoint import Change, Endpointer
from device.events import SAMPLE_RATE, Samples
from device.server.languages import LanguageError, default_locale
from device.server.options import TurnOptions
from device.server.service import Service
from device.utterance import FRAME

ENOUGH = 2.5
"""Seconds of speech from which a language is told."""
_HEARD = 30
BEFORE = 0.5
"""Seconds of audio before the first speech that go with it."""


@dataclass(frozen=True, slots=True)
class Identified:
    """An identified language."""

    language: str
    """The primary subtag that is recognised."""
    locale: str
    """As the client wrote it."""
    confidence: str
    """``High``, ``Medium`` or ``Low``."""


@dataclass(frozen=True, slots=True)
class Begin:
    """From here on, ``base`` seconds into the turn's audio, a language is spoken."""

    identified: Identified
    base: float


@dataclass(frozen=True, slots=True)
class Finish:
    """The utterance is over; the next one may be in another language."""


Step = Begin | Finish | Samples


class LanguageSplitter:
    """Cuts a turn's audio into stretches of one language. One thread at a time uses it.

    Parameters
    ----------
    service
        Has the model that tells languages apart.
    options
        ``candidates``, ``identify_continuously`` and ``end_silence`` of the turn.

    Raises
    ------
    LanguageError
        No installed model tells languages apart, or none recognises any candidate.
    """

    def __init__(self, service: Service, options: TurnOptions) -> None:
        identifier = service.engines.identifier()
        if identifier is None:
            raise LanguageError("no installed model identifies languages; install a Whisper model")
        self._identifier = identifier
        known = set(service.languages.recognized()) & identifier.languages
        if any(tag.lower() == "und" for tag in options.candidates):
            self._locales = {tag: default_locale(tag) for tag in sorted(known)}
        else:
            self._locales = {service.languages.source(tag): tag for tag in reversed(options.candidates)}
        self.languages = tuple(self._locales)
        endpoint = service.settings.endpoint
        silence = options.end_silence or endpoint.silence
        self._vad = service.engines.vad(endpoint)
        self._endpointer = Endpointer(FRAME / SAMPLE_RATE, endpoint.min_speech, silence + 0.2, 0.16)
        self._continuous = options.identify_continuously
        self._rest = np.zeros(0, np.float32)
        self._frames = 0
        self._recent: deque[Samples] = deque(maxlen=round((BEFORE + endpoint.min_speech) * SAMPLE_RATE / FRAME))
        self._undecided: list[Samples] | None = None
        self._first = 0
        self._decided = False

    @property
    def speaking(self) -> bool:
        """Whether somebody is talking."""
        return self._undecided is not None or self._decided

    @property
    def settled(self) -> bool:
        """Whether all that comes is in the language that was told: nothing need be split any more."""
        return self._decided and not self._continuous

    def feed(self, samples: Samples, *, last: bool = False) -> list[Step]:
        """Return what follows from ``samples``; with ``last`` they are the end of the audio."""
        if self._decided and not self._continuous:
            return [samples]
        samples = np.concatenate((self._rest, samples))
        steps: list[Step] = []
        whole = len(samples) // FRAME * FRAME
        for start in range(0, whole, FRAME):
            steps += self._frame(samples[start : start + FRAME])
        self._rest = samples[whole:]
        if self._decided and not self._continuous:
            steps.append(self._rest)
        if last and self._undecided is not None:
            steps += self._decide()
        return steps

    def _frame(self, frame: Samples) -> list[Step]:
        self._frames += 1
        if self._decided and not self._continuous:
            return [frame]
        change = self._endpointer.step(self._vad.is_speech(frame))
        if self._decided:
            if change is Change.ENDED:
                self._decided = False
                self._recent.clear()
                return [frame, Finish()]
            return [frame]
        if self._undecided is None:
            self._recent.append(frame)
            if change is Change.BEGAN:
                self._undecided = list(self._recent)
                self._first = self._frames - len(self._recent)
            return []
        self._undecided.append(frame)
        enough = len(self._undecided) * FRAME / SAMPLE_RATE > ENOUGH + BEFORE
        if not enough and change is not Change.ENDED:
            return []
        steps = self._decide()
        if change is Change.ENDED and self._continuous:
            self._decided = False
            self._recent.clear()
            steps.append(Finish())
        return steps

    def _decide(self) -> list[Step]:
        assert self._undecided is not None
        audio = np.concatenate(self._undecided)
        self._undecided = None
        self._decided = True
        shares = {tag: share for tag, share in self._identifier.detect_language(audio) if tag in self._locales}
        total = sum(shares.values()) or 1.0
        language = max(shares, key=shares.__getitem__, default=self.languages[0])
        share = shares.get(language, 0.0) / total
        confidence = "High" if share > 0.8 else "Medium" if share > 0.5 else "Low"
        identified = Identified(language, self._locales[language], confidence)
        return [Begin(identified, self._first * FRAME / SAMPLE_RATE), audio]


def identify(service: Service, blocks: Iterable[Samples], candidates: tuple[str, ...]) -> str:
    """Return which of the languages is spoken at the start of a recording.

    Parameters
    ----------
    service
        Has the model that tells languages apart.
    blocks
        The recording, 16 kHz mono.
    candidates
        Primary subtags; none allows every language that is recognised.

    Raises
    ------
    LanguageError
        No installed model tells languages apart.
    """
    identifier = service.engines.identifier()
    if identifier is None:
        raise LanguageError("no installed model identifies languages: name one locale")
    known = set(candidates or service.languages.recognized())
    parts: list[Samples] = []
    for block in blocks:
        parts.append(block)
        if sum(map(len, parts)) > _HEARD * SAMPLE_RATE:
            break
    audio = np.concatenate([*parts, np.zeros(0, np.float32)])
    found = [tag for tag, _ in identifier.detect_language(audio) if tag in known]
    return next(iter([*found, *sorted(known)]))
