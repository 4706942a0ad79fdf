"""Acoustic echo cancellation: WebRTC's AEC3, which estimates the echo's delay and path by itself."""

from __future__ import annotations

import numpy as np

from device.audio.stages.framed import Framed
from device.audio.stages.webrtc import library
from device.events import SAMPLE_RATE, Samples

_DELAY = 128
"""Samples that AEC3 holds back at 16 kHz: two of its blocks; measured."""
_LONGEST = 2 * SAMPLE_RATE
"""Playback that waits for its capture; more means that nobody takes it."""


class EchoCanceller:
    """Removes from the microphone what the device itself is playing.

    The playback is told with ``played`` before the capture of the same time is processed; where it was not, silence
    is assumed.

    Raises
    ------
    DragomanError
        The library is not installed.
    """

    name = "echo"

    def __init__(self) -> None:
        self._native = library().EchoCanceller(sample_rate=SAMPLE_RATE, num_channels=1)
        self._framed = Framed(self._native.process, 2, _DELAY)
        self.latency = self._framed.latency
        self.frame = self._framed.frame
        self._playback = np.zeros(0, np.float32)

    def played(self, samples: Samples) -> None:
        """Take what was played while the next samples were captured."""
        self._playback = np.concatenate([self._playback, samples])[-_LONGEST:]

    def process(self, samples: Samples) -> Samples:
        """Take a block of the capture and return what can be given out."""
        playback = self._playback[: len(samples)]
        self._playback = self._playback[len(samples) :]
        missing = len(samples) - len(playback)
        return self._framed.process(samples, np.pad(playback, (0, missing)) if missing else playback)

    def flush(self) -> Samples:
        """Return what is held back."""
        self._playback = np.zeros(0, np.float32)
        return self._framed.flush()

    def reset(self) -> None:
        """Begin a new stream; the echo's path is learnt anew."""
        self._native.reset()
        self._framed.reset()
        self._playback = np.zeros(0, np.float32)
