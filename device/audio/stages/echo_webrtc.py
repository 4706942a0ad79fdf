"""Acoustic echo cancellation by WebRTC's AEC3.

Quick to converge and thorough while only the device talks; but it also silences a person who talks at the same time,
so it suits half duplex. For barge-in there is the adaptive filter of ``echo_kalman``.
"""

from __future__ import annotations

from device.audio.stages.echo import EchoCanceller
from device.audio.stages.webrtc import library
from device.events import SAMPLE_RATE, Samples

_DELAY = 128
"""Samples that AEC3 holds back at 16 kHz: two of its blocks; measured."""


class WebRtcEchoCanceller(EchoCanceller):
    """Estimates the echo's delay by itself; its path is learnt anew after a reset.

    Raises
    ------
    DragomanError
        The library is not installed.
    """

    def __init__(self) -> None:
        self._native = library().EchoCanceller(sample_rate=SAMPLE_RATE, num_channels=1)
        super().__init__(_DELAY)

    def reset(self) -> None:
        """Begin a new stream."""
        super().reset()
        self._native.reset()

    def _frame(self, captured: Samples, played: Samples) -> Samples:
        left: Samples = self._native.process(captured, played)
        if played.any():
            self._reduction.add(captured, left)
        return left
