"""From samples to utterances: who talks when, cut where it must be, with the moment before the first word."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from device.audio.endpoint import Change, Endpointer, quietest_point
from device.config import EndpointSettings
from device.engines.protocols import VoiceActivity, VoiceActivityModel
from device.engines.scheduler import Meter
from device.events import SAMPLE_RATE, Samples
from device.utterance import FRAME, Utterance

PAUSE = 0.16
"""Seconds of silence after which the end of the utterance is worked out ahead of time."""
CUT_FROM = 0.6
"""An utterance that is too long is cut after this share of its length, at the quietest point."""
LINGER = 3
"""Frames without speech after which a speaker who may have finished has."""
REMEMBERED = 2.0
"""Seconds of sound that are kept from before an utterance, at least."""


class Listener(Protocol):
    """What happens to utterances; called on the thread that feeds."""

    def began(self, start: int, speech_start: int) -> Utterance:
        """Make the utterance that begins with sample ``start`` and whose speech begins with ``speech_start``."""
        ...

    def grew(self, utterance: Utterance) -> None:
        """Take note that the utterance goes on; the speaker is in no pause."""
        ...

    def paused(self, utterance: Utterance) -> None:
        """Take note that the speaker may have stopped."""
        ...

    def ended(self, utterance: Utterance) -> None:
        """Take note that the utterance is complete."""
        ...

    def stopped(self) -> None:
        """Take note that nobody is listened to any more."""
        ...


class Hearing:
    """Listens to one stream of samples. Not safe for several threads at once.

    Sample and frame numbers count from the start of the audio, so the same recording always gives the same utterances.
    """

    def __init__(self, vad: VoiceActivity, settings: EndpointSettings, meter: Meter, listener: Listener) -> None:
        self._vad, self._settings, self._meter, self._listener = vad, settings, meter, listener
        self._endpointer = Endpointer(FRAME / SAMPLE_RATE, settings.min_speech, settings.silence, PAUSE)
        self._frames = 0
        self._rest = np.zeros(0, np.float32)
        self._heard_early = 0
        # Speech that is taken for some only after min_speech may have gaps.
        remembered = max(REMEMBERED, settings.padding + 2 * settings.min_speech)
        self._ring: deque[tuple[Samples, float]] = deque(maxlen=round(remembered * SAMPLE_RATE / FRAME))
        self._padding = round(settings.padding * SAMPLE_RATE / FRAME)
        self._active = False
        self._until: int | None = None
        self._open: Utterance | None = None
        self.azimuth: float | None = None
        """Where the sound comes from, in degrees, where an array knows."""

    def begin(self, *, hands_free: bool) -> None:
        """Listen from now on, and a moment before."""
        self._endpointer.set_silence(self._settings.silence if hands_free else self._settings.turn_silence)
        self._active = True
        self._vad.reset()
        early = list(self._ring)[-self._padding :] if self._padding else []
        self._ring.clear()
        self._endpointer.reset(self._frames - len(early))
        for frame, _ in early:
            self._follow(frame, self._speech(frame))

    def end(self, after: float = 0.0) -> None:
        """Listen no longer; what is being said is complete.

        While somebody is talking, listen on until he pauses, for at most ``after`` seconds of audio: what was said
        before a button was let go may be on its way from the microphone still, and fingers are quicker than tongues.
        """
        if after and self._open is not None and self._endpointer.quiet < LINGER:
            self._until = self._frames + round(after * SAMPLE_RATE / FRAME)
            return
        self._until = None
        self.end_utterance()
        self._active = False
        self._listener.stopped()

    @property
    def ending(self) -> bool:
        """Whether it listens only until what is being said is over."""
        return self._until is not None

    def end_utterance(self) -> None:
        """Take what is being said as complete, and go on listening."""
        if not self._active:
            return
        if len(self._rest):
            rest = np.zeros(FRAME, np.float32)
            rest[: len(self._rest)] = self._rest
            # Silence stands in for what has not come yet; it is passed over then, so that the clock stays right.
            self._heard_early = FRAME - len(self._rest)
            self._rest = self._rest[:0]
            self._frame(rest)
        if self._open is not None:
            self._finish(self._open)
        self._endpointer.reset(self._frames)

    def feed(self, samples: Samples) -> None:
        """Take samples, any number of them."""
        for frame in self.cut(samples):
            self._frame(frame)

    def cut(self, samples: Samples) -> list[Samples]:
        """Return the whole frames that ``samples`` complete, to be passed to `hear` in this order."""
        early = min(self._heard_early, len(samples))
        self._heard_early -= early
        samples = samples[early:]
        samples = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        whole = len(samples) // FRAME * FRAME
        self._rest = samples[whole:].copy()
        return [samples[start : start + FRAME] for start in range(0, whole, FRAME)]

    @property
    def vad(self) -> VoiceActivity | None:
        """What tells speech in the frames that are cut; ``None`` while nobody listens to them."""
        return self._vad if self._active else None

    def hear(self, frame: Samples, speech: float) -> None:
        """Take one frame, and how likely it is speech; 0 where none is going on."""
        self._frames += 1
        if self._active:
            self._follow(frame, speech)
            if self._until is not None and (self._frames >= self._until or self._endpointer.quiet >= LINGER):
                self.end()
        else:
            self._ring.append((frame.copy(), 0.0))

    def _frame(self, frame: Samples) -> None:
        self.hear(frame, self._speech(frame) if self._active else 0.0)

    def _speech(self, frame: Samples) -> float:
        with self._meter.stage("vad") as call:
            call.audio = FRAME / SAMPLE_RATE
            return self._vad.probability if self._vad.is_speech(frame) else 0.0

    def _follow(self, frame: Samples, speech: float) -> None:
        change = self._endpointer.step(speech > 0)
        utterance = self._open
        if utterance is None:
            self._ring.append((frame.copy(), speech))
            if change is Change.BEGAN:
                self._begin()
        else:
            utterance.append(frame, speech)
            if change is Change.PAUSED:
                self._listener.paused(utterance)
            if change is Change.ENDED:
                self._finish(utterance)
            elif utterance.full:
                self._cut(utterance)
        if (utterance := self._open) is not None:
            if speech:
                utterance.speech_end = self._endpointer.end * FRAME
                if self.azimuth is not None:
                    utterance.azimuths.append(self.azimuth)
            if not self._endpointer.paused:
                self._listener.grew(utterance)

    def _begin(self) -> None:
        end = self._endpointer.end
        wanted = end - self._endpointer.start + self._padding
        frames = list(self._ring)[-wanted:]
        self._ring.clear()
        self._open_utterance(frames, end - len(frames), self._endpointer.start)

    def _open_utterance(self, frames: Sequence[tuple[Samples, float]], first: int, start: int) -> None:
        """Open an utterance whose first frame has number ``first`` and whose speech begins in frame ``start``."""
        utterance = self._listener.began(first * FRAME, start * FRAME)
        for frame, speech in frames:
            utterance.append(frame, speech)
        utterance.speech_end = utterance.start + utterance.length
        self._open = utterance

    def _cut(self, utterance: Utterance) -> None:
        """End an utterance that grew too long, at its quietest point; the rest begins the next one."""
        if self._endpointer.paused:
            self._finish(utterance)
            self._endpointer.reset(self._frames)
            return
        length = utterance.length
        point = quietest_point(utterance.audio(length), round(length * CUT_FROM), length - SAMPLE_RATE // 5)
        point = point // FRAME * FRAME
        rest = utterance.tail(point)
        utterance.length = point
        utterance.speech_end = utterance.start + point
        self._finish(utterance)
        first = utterance.start // FRAME + point // FRAME
        self._open_utterance(rest, first, first)

    def _finish(self, utterance: Utterance) -> None:
        utterance.closed = True
        utterance.noticed = self._frames * FRAME
        self._open = None
        self._listener.ended(utterance)


def speech_in(hearings: Sequence[Hearing], frames: Sequence[Sequence[Samples]], meter: Meter) -> list[list[float]]:
    """How likely the frames that each of ``hearings`` has cut are speech; 0 where none is going on.

    The model is asked for the first frames of all, then for their second ones: that takes half the time of asking for
    one frame after the other.
    """
    answers = [[0.0] * len(each) for each in frames]
    together: defaultdict[VoiceActivityModel, list[int]] = defaultdict(list)
    for number, hearing in enumerate(hearings):
        if hearing.vad is not None:
            together[hearing.vad.model].append(number)
    for model, numbers in together.items():
        for step in range(max(len(frames[number]) for number in numbers)):
            asked = [number for number in numbers if len(frames[number]) > step]
            with meter.stage("vad") as call:
                call.audio = len(asked) * FRAME / SAMPLE_RATE
                found = model.are_speech([hearings[n].vad for n in asked], [frames[n][step] for n in asked])
            for number, going_on in zip(asked, found, strict=True):
                vad = hearings[number].vad
                answers[number][step] = vad.probability if going_on and vad is not None else 0.0
    return answers
