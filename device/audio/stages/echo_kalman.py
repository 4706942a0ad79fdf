"""Acoustic echo cancellation by an adaptive filter that a person talking at the same time does not lead astray.

A partitioned-block frequency-domain Kalman filter: Kuech, Mabande & Enzner, "State-space architecture of the
partitioned-block-based acoustic echo controller", ICASSP 2014, after Enzner & Vary, "Frequency-domain adaptive Kalman
filter for acoustic echo control in hands-free telephones", Signal Processing 2006. What the filter cannot explain
counts as observation noise, so its steps shrink by themselves while somebody talks, and nothing but the estimated
echo is ever taken away: speech at the same time keeps its words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.stages.base import FRAME
from device.audio.stages.echo import Playback, Reduction
from device.audio.stages.framed import Framed
from device.events import Samples

PARTITIONS = 30
"""Blocks of 10 ms that the echo's path may be long, the delay of the sound card included: 0.3 s."""
_FORGET = 0.9998
"""How surely the path stays as it is from block to block."""
_UNCERTAIN = 0.05
"""Variance of each coefficient at first: more converges no faster, for the steps overshoot."""
_NOISE_SMOOTHING = 0.8
_BINS = FRAME + 1
_CONSTRAINED = 8
"""Partitions a block that are freed of circular wrapping, in turn; all of them each time gain 1 dB at most."""
_SILENT = 1e-12
"""Power below which there is no playback and nothing to learn."""


class KalmanEchoCanceller:
    """An ``EchoCanceller`` in pure numpy; under 1 % of a desktop core, and no delay of its own."""

    name = "echo"
    latency = 0
    frame = FRAME

    def __init__(self) -> None:
        self._framed = Framed(self._frame, 2, 0)
        self._playback = Playback()
        self._reduction = Reduction()
        self._forget_path()

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
        """Begin a new stream; the echo's path is kept, for the room stays as it is."""
        self._framed.reset()
        self._playback.clear()
        self._spectra[:] = 0
        self._before[:] = 0

    def _forget_path(self) -> None:
        self._path: NDArray[np.complex64] = np.zeros((PARTITIONS, _BINS), np.complex64)
        self._variance: NDArray[np.float32] = np.full((PARTITIONS, _BINS), _UNCERTAIN, np.float32)
        self._spectra: NDArray[np.complex64] = np.zeros((PARTITIONS, _BINS), np.complex64)
        self._noise: NDArray[np.float32] = np.zeros(_BINS, np.float32)
        self._before: Samples = np.zeros(FRAME, np.float32)
        self._turn = 0

    def _frame(self, captured: Samples, played: Samples) -> Samples:
        self._spectra = np.roll(self._spectra, 1, axis=0)
        self._spectra[0] = np.fft.rfft(np.concatenate([self._before, played]))
        self._before = played
        powers = self._spectra.real**2 + self._spectra.imag**2
        if powers.max() < _SILENT:
            return captured
        echo = np.fft.irfft((self._spectra * self._path).sum(0), 2 * FRAME)[FRAME:]
        left = (captured - echo).astype(np.float32)
        self._reduction.add(captured, left)
        self._adapt(left, powers)
        if not np.isfinite(self._path[0, 1]):
            # Cannot happen with finite samples within full scale; but a filter gone wrong must not last.
            self._forget_path()
            return captured
        return left

    def _adapt(self, left: Samples, powers: NDArray[np.float32]) -> None:
        error = np.fft.rfft(np.concatenate([np.zeros(FRAME, np.float32), left])).astype(np.complex64)
        self._noise += (1 - _NOISE_SMOOTHING) * (error.real**2 + error.imag**2 - self._noise)
        # Half of each error spectrum is the zeros before the block, hence the halves.
        expected = 0.5 * (self._variance * powers).sum(0) + self._noise + 1e-10
        step = self._variance / expected
        self._path += step * self._spectra.conj() * error
        chosen = (self._turn + np.arange(_CONSTRAINED)) % PARTITIONS
        self._turn = (self._turn + _CONSTRAINED) % PARTITIONS
        responses = np.fft.irfft(self._path[chosen], 2 * FRAME, axis=1)
        responses[:, FRAME:] = 0
        self._path[chosen] = np.fft.rfft(responses, axis=1)
        kept = np.maximum(1 - 0.5 * step * powers, 0) * self._variance
        size = self._path.real**2 + self._path.imag**2
        self._variance = (_FORGET**2 * kept + (1 - _FORGET**2) * size).astype(np.float32)
