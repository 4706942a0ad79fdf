"""One utterance while it is being heard and answered: its audio, its guesses, and the work already done for it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from device.engines.protocols import Recognition, RecognitionSession
from device.engines.scheduler import Priority
from device.events import SAMPLE_RATE, Event, Samples
from device.speakers import Piece, Voice
from device.text.steady import SteadyText

FRAME = 512
"""Samples of one voice-activity frame (32 ms): everything in an utterance is a whole number of them."""


@dataclass(slots=True)
class Settled:
    """Work begun in a pause, in the hope that the speaker has stopped."""

    length: int
    """How many samples of the utterance it covers."""
    job: Future[None]
    recognition: Future[Recognition]


@dataclass(slots=True, eq=False)
class Clause:
    """A clause that is being synthesised or ready."""

    text: str
    priority: Priority
    job: Future[None] | None = None
    pieces: list[Samples] = field(default_factory=list)
    done: bool = False
    error: str | None = None


@dataclass(slots=True)
class Spoken:
    """The clauses that are spoken for a final translation, and how much of them was handed out."""

    clauses: list[Clause]
    clause: int = 0
    piece: int = 0
    count: int = 0


@dataclass(slots=True)
class Guess:
    """What was last shown of an unfinished utterance."""

    revision: int = 0
    length: int = 0
    """How many samples it covers."""
    clauses: tuple[str, ...] = ()
    """Clauses of the last partial translation that would be spoken."""
    steady: dict[str, SteadyText] = field(default_factory=dict)
    """What is shown of each target's partial translations."""


@dataclass(slots=True, eq=False)
class Utterance:
    """Audio and work of one utterance. Guarded by its interpreter's lock, except the audio behind `audio`.

    Sample numbers count from the start of the conversation's audio.
    """

    id: str
    direction: int
    session: RecognitionSession
    start: int
    """The first sample kept (speech begins later, by the padding)."""
    speech_start: int
    capacity: int
    speech_end: int = 0
    closed: bool = False
    noticed: int = 0
    """The sample at which the end was noticed."""
    last_pass: int = 0
    """Length that the newest partial covered."""
    identified: int = 0
    """Length of what its language was told by, where that is asked for."""
    pass_running: bool = False
    pass_cost: float = 0.0
    """Seconds the last partial took."""
    settled: Settled | None = None
    guess: Guess = field(default_factory=Guess)
    clauses: dict[str, Clause] = field(default_factory=dict)
    spoken: Spoken | None = None
    posted: deque[Event] = field(default_factory=deque)
    azimuths: list[float] = field(default_factory=list)
    """Where the speech came from, in degrees, as often as it was measured."""
    told_apart: tuple[int, list[Piece]] | None = None
    """Who says what in so many samples, once it was looked for."""
    voice: Voice | None = None
    """Whose voice it is, where people are told apart."""
    speaker: int | None = None
    """The number of whoever talks; told when the final is."""
    sequence: int = 0
    outstanding: int = 0
    """Parts of the answer (translations, speech) that are still being made."""
    length: int = 0
    _samples: Samples = field(init=False, repr=False)
    _speech: Samples = field(init=False, repr=False)

    def __post_init__(self) -> None:
        frames = -(-self.capacity // FRAME)
        self._samples = np.zeros(frames * FRAME, np.float32)
        self._speech = np.zeros(frames, np.float32)

    def append(self, frame: Samples, speech: float) -> None:
        """Add one frame, and how likely it is speech; there must be room."""
        self._samples[self.length : self.length + FRAME] = frame
        self._speech[self.length // FRAME] = speech
        self.length += FRAME

    @property
    def full(self) -> bool:
        """Whether no further frame fits."""
        return self.length + FRAME > len(self._samples)

    def audio(self, length: int) -> Samples:
        """Return the first ``length`` samples: a view whose contents never change again."""
        return self._samples[:length]

    def speech(self, length: int) -> Samples:
        """Return how likely each frame in the first ``length`` samples is speech; 0 where none was going on."""
        return self._speech[: length // FRAME]

    def tail(self, first: int) -> list[tuple[Samples, float]]:
        """Return copies of the frames from sample ``first`` of this utterance on, and how likely they are speech."""
        return [
            (self._samples[i : i + FRAME].copy(), float(self._speech[i // FRAME]))
            for i in range(first, self.length, FRAME)
        ]

    def part(self, utterance: str, session: RecognitionSession, first: int, last: int) -> Utterance:
        """Return the samples from ``first`` up to ``last``, both whole frames, as a complete utterance of its own."""
        part = Utterance(
            id=utterance, direction=self.direction, session=session, start=self.start + first, speech_start=0,
            capacity=last - first, closed=True, noticed=self.noticed, azimuths=self.azimuths,
        )  # fmt: skip
        for frame, speech in self.tail(first)[: (last - first) // FRAME]:
            part.append(frame, speech)
        part.speech_start, part.speech_end = part._spoken()
        return part

    def shorten(self, length: int) -> None:
        """Forget what comes after ``length`` samples, a whole number of frames."""
        self.length, self.identified = length, 0
        self.speech_start, self.speech_end = self._spoken()

    def _spoken(self) -> tuple[int, int]:
        frames = np.flatnonzero(self.speech(self.length))
        first, last = (frames[0], frames[-1] + 1) if len(frames) else (0, self.length // FRAME)
        return self.start + int(first) * FRAME, self.start + int(last) * FRAME

    @property
    def azimuth(self) -> float | None:
        """The mean direction of the speech, in degrees from 0 to 360, where it was measured."""
        if not self.azimuths:
            return None
        return float(np.degrees(np.angle(np.mean(np.exp(1j * np.radians(self.azimuths)))))) % 360

    @property
    def begins(self) -> float:
        """When the speech began, in seconds."""
        return self.speech_start / SAMPLE_RATE

    @property
    def ends(self) -> float:
        """When the speech ended, as far as is known, in seconds."""
        return self.speech_end / SAMPLE_RATE
