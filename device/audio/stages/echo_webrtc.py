"""Acoustic echo cancellation by WebRTC's AEC3.

Quick to converge and thorough while only the device talks; but it also silences a person who talks at the same time,
so it suits half duplex. For barge-in there is the adaptive filter of ``echo_kalman``.
"""

from __future__ import annotations

from device.audio.stages.echo import Playback, Reduction
from device.audio.stages.framed import Framed
from device.audio.stages.webrtc import library
from device.events import SAMPLE_RATE, Samples

_DELAY = 128
"""Samples that AEC3 holds back at 16 kHz: two of its blocks; measured."""


class WebRtcEchoCanceller:
    """An ``EchoCanceller``; estimates the echo's delay by itself.

    Raises
    ------
    DragomanError
        The library is not installed.
    """

    name = "echo"

    def __init__(self) -> None:
        self._native = library().EchoCanceller(sample_rate=SAMPLE_RATE, num_channels=1)
        self._framed = Framed(self._frame, 2, _DELAY)
        self._reduction = Reduction()
        self.latency = self._framed.latency
        self.frame = self._framed.frame
        self._playback = Playback()

    @property
    def reduction_db(self) -> float:
        """How far the echo has been lowered of late."""
        return self._reduction.decibels

    def speech(self, active: bool) -> None:
        """Take the verdict of the voice activity detector."""
        self._reduction.speech(active)

    def played(self, samples: Samples) -> None:
        """Take what was played while the next samples were captured."""
        self._playback.add(samples)

    def process(self, samples: Samples) -> Samples:
        """Take a block of the capture and return what can be given out."""
        return self._framed.process(samples, self._playback.take(len(samples)))

    def flush(self) -> Samples:
        """Return what is held back."""
        self._playback.clear()
        return self._framed.flush()

    def reset(self) -> None:
        """Begin a new stream; the echo's path is learnt anew."""
        self._native.reset()
        self._framed.reset()
        self._playback.clear()

    def _frame(self, captured: Samples, played: Samples) -> Samples:
        left: Samples = self._native.process(captured, played)
        if played.any():
            self._reduction.add(captured, left)
        return left
