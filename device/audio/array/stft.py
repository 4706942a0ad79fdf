"""A filter bank with long analysis and short synthesis windows: fine in frequency and low in delay.

Mauler & Martin, "A low delay, variable resolution, perfect reconstruction spectral analysis-synthesis system for
speech enhancement", EUSIPCO 2007. The analysis window covers ``frame`` samples; only the newest two hops of it are
synthesised, and there the product of the windows is a Hann window, which adds up to one. So the delay is two hops
whatever the length of the frame, which is what a beamformer for reverberant rooms wants: long filters, early output.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.events import SAMPLE_RATE

Spectra = NDArray[np.complex64]
"""Of shape ``(frames, channels, bins)``; without channels after beamforming."""

FRAME = 1024
"""64 ms: long enough for the early reflections of a room."""
HOP = 160
"""10 ms, also the frame of WebRTC's processing, which so adds no delay of its own. The delay is two hops, 20 ms."""
BINS = FRAME // 2 + 1
FREQUENCIES: NDArray[np.float64] = np.asarray(np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE), np.float64)
"""Centre of each bin in Hz."""


def windows(frame: int = FRAME, hop: int = HOP) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the analysis window, ``frame`` long, and the synthesis window, two hops long."""
    hann = np.hanning(2 * hop + 1)[:-1]
    rise = frame - hop
    analysis = np.concatenate([np.sqrt(np.hanning(2 * rise + 1)[:rise]), np.sqrt(hann[hop:])])
    newest = analysis[-2 * hop :]
    synthesis = np.concatenate([hann[:hop] / newest[:hop], np.sqrt(hann[hop:])])
    return analysis.astype(np.float32), synthesis.astype(np.float32)


class Analysis:
    """Turns a stream of blocks of shape ``(samples, channels)`` into spectra; any block size gives the same spectra."""

    def __init__(self, channels: int) -> None:
        self._window = windows()[0]
        self._buffer = np.zeros((channels, FRAME - HOP), np.float32)

    def push(self, samples: NDArray[np.float32]) -> Spectra:
        """Return the frames that these samples complete; the first one ends at the first hop."""
        joined = np.concatenate([self._buffer, samples.T], axis=1)
        count = max(0, (joined.shape[1] - FRAME) // HOP + 1)
        self._buffer = joined[:, count * HOP :].copy()
        if not count:
            return np.zeros((0, len(joined), BINS), np.complex64)
        frames = np.lib.stride_tricks.sliding_window_view(joined, FRAME, axis=1)[:, : count * HOP : HOP]
        spectra = np.fft.rfft(frames.transpose(1, 0, 2) * self._window, axis=-1)
        return np.asarray(spectra, np.complex64)


class Synthesis:
    """Turns spectra of shape ``(frames, bins)`` back into samples, each in its place.

    After the analysis of n hops, n - 1 hops of samples have come out: sample i out belongs to sample i in.
    """

    def __init__(self) -> None:
        self._window = windows()[1]
        self._tail = np.zeros(HOP, np.float32)
        self._started = False

    def push(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the samples that these frames complete: one hop a frame, but none for the stream's first."""
        if not len(spectra):
            return np.zeros(0, np.float32)
        newest = np.fft.irfft(spectra, FRAME, axis=-1)[:, -2 * HOP :] * self._window
        ends = np.concatenate([self._tail[None], newest[:-1, HOP:]])
        self._tail = newest[-1, HOP:].astype(np.float32)
        out: NDArray[np.float32] = (newest[:, :HOP] + ends).astype(np.float32).ravel()
        if not self._started:
            self._started = True
            out = out[HOP:]
        return out
