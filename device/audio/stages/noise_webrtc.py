"""Light noise suppression: WebRTC's, by spectral statistics. About 0.1 % of a desktop core."""

from __future__ import annotations

from device.audio.stages.framed import Framed
from device.audio.stages.webrtc import library
from device.events import SAMPLE_RATE, Samples

_DELAY = 96
"""Samples that WebRTC's overlapping windows hold back; measured."""


class WebRtcNoiseSuppressor:
    """Lowers steady noise by at most 6, 12, 18 or 21 dB, for ``level`` 0 to 3.

    Raises
    ------
    DragomanError
        The library is not installed.
    """

    name = "noise"

    def __init__(self, level: int = 1) -> None:
        self._native = library().NoiseSuppressor(sample_rate=SAMPLE_RATE, num_channels=1, level=level)
        self._framed = Framed(self._native.process, 1, _DELAY)
        self.latency = self._framed.latency
        self.frame = self._framed.frame

    def process(self, samples: Samples) -> Samples:
        """Take a block and return what can be given out."""
        return self._framed.process(samples)

    def flush(self) -> Samples:
        """Return what is held back."""
        tail = self._framed.flush()
        self._native.reset()
        return tail

    def reset(self) -> None:
        """Begin a new stream."""
        self._native.reset()
        self._framed.reset()
