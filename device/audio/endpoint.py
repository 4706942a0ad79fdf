"""Decides where speech begins and ends, from one voice-activity decision a frame.

The machine knows nothing of audio or clocks: it counts frames, so the same recording always gives the same
utterances, however fast it is played.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from device.events import SAMPLE_RATE, Samples


class Phase(Enum):
    """Where in an utterance the endpointer is."""

    SILENCE = "silence"
    ONSET = "onset"
    SPEECH = "speech"
    PAUSE = "pause"


class Change(Enum):
    """What a frame brought."""

    NONE = "none"
    BEGAN = "began"
    """Speech has gone on for ``min_speech``; it started at `Endpointer.start`."""
    PAUSED = "paused"
    """Silence for ``pause``: the speaker may have stopped."""
    RESUMED = "resumed"
    """Speech after a pause."""
    ENDED = "ended"
    """Silence for ``silence``: the utterance is over; its last speech ended at `Endpointer.end`."""


class Endpointer:
    """Turns frame decisions into the beginning, the pauses and the end of utterances.

    Parameters
    ----------
    frame
        Seconds of one frame.
    min_speech
        Seconds of speech frames, with gaps of at most `ONSET_GAP`, that make a beginning.
    silence
        Seconds without speech that make an end.
    pause
        Seconds without speech that make a pause.
    """

    ONSET_GAP = 0.1

    def __init__(self, frame: float, min_speech: float, silence: float, pause: float) -> None:
        self._frame = frame
        self._min_speech = max(1, round(min_speech / frame))
        self._pause = max(1, round(pause / frame))
        self._onset_gap = max(1, round(self.ONSET_GAP / frame))
        self.set_silence(silence)
        self.reset()

    def set_silence(self, silence: float) -> None:
        """Change the silence that ends an utterance, in seconds."""
        self._silence = max(self._pause + 1, round(silence / self._frame))

    def reset(self, frame: int = 0) -> None:
        """Begin again in silence; the next frame has number ``frame``."""
        self.phase = Phase.SILENCE
        self.start = self.end = self._next = frame
        self._voiced = 0

    @property
    def quiet(self) -> int:
        """Frames since the last frame of speech."""
        return self._next - self.end

    @property
    def paused(self) -> bool:
        """Whether an utterance is going on and its speaker is in a pause."""
        return self.phase is Phase.PAUSE

    def step(self, voiced: bool) -> Change:
        """Account one frame; ``start`` and ``end`` (exclusive) are frame numbers of the current speech."""
        self._next += 1
        if voiced:
            if self.phase is Phase.SILENCE:
                self.phase, self.start, self._voiced = Phase.ONSET, self._next - 1, 0
            self.end = self._next
            self._voiced += 1
            if self.phase is Phase.ONSET and self._voiced >= self._min_speech:
                self.phase = Phase.SPEECH
                return Change.BEGAN
            if self.phase is Phase.PAUSE:
                self.phase = Phase.SPEECH
                return Change.RESUMED
            return Change.NONE
        if self.phase is Phase.ONSET and self.quiet > self._onset_gap:
            self.phase = Phase.SILENCE
        elif self.phase is Phase.SPEECH and self.quiet >= self._pause:
            self.phase = Phase.PAUSE
            return Change.PAUSED
        elif self.phase is Phase.PAUSE and self.quiet >= self._silence:
            self.phase = Phase.SILENCE
            return Change.ENDED
        return Change.NONE


def quietest_point(samples: Samples, first: int, last: int) -> int:
    """Return the sample in ``[first, last)`` around which 120 ms of ``samples`` hold the least energy."""
    hop, span = SAMPLE_RATE // 100, 12
    power = np.square(samples[first:last], dtype=np.float32)
    count = len(power) // hop
    if count <= span:
        return last
    energy = power[: count * hop].reshape(count, hop).sum(axis=1)
    smooth = np.convolve(energy, np.ones(span, np.float32), mode="valid")
    return first + (int(np.argmin(smooth)) + span // 2) * hop
