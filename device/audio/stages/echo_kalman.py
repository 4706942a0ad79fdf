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
from device.audio.stages.echo import EchoCanceller
from device.events import Samples

PARTITIONS = 30
"""Blocks of 10 ms that the echo's path may be long, the delay of the sound card included: 0.3 s."""
_DRIFT = 1e-4
"""How much of the path may change from block to block: little, so that a talker does not lead the filter astray …"""
_EAGER = 0.5
_EAGER_BLOCKS = 10
"""… but at first much more, falling as one over the blocks that were learnt from. In rooms of 0.3 and 0.5 s this gives
23 dB of reduction in the third second instead of 13, and speech at the same time comes out 2 dB cleaner."""
_UNCERTAIN = 0.02
"""Variance of each coefficient at first: more converges no faster, for the steps overshoot."""
_NOISE_SMOOTHING = 0.8
_BINS = FRAME + 1
_CONSTRAINED = 8
"""Partitions a block that are freed of circular wrapping, in turn; all of them each time gain 1 dB at most."""
_SILENT = 1e-12
"""Power below which there is no playback and nothing to learn."""
_JUDGED = 0.05
"""Share of the newest block in the powers that tell whether the path still holds: about 0.2 s."""
_NOTABLE = 0.5
"""Share of the capture that the estimated echo must have for that."""
_PROVED = 20
"""Blocks in a row after which a path is called wrong."""
_TRIED = 100
"""Blocks that a new path is given before it is judged."""


class KalmanEchoCanceller(EchoCanceller):
    """In pure numpy; under 1 % of a desktop core, and no delay of its own. A reset keeps the echo's path."""

    def __init__(self) -> None:
        super().__init__(0)
        self._spectra: NDArray[np.complex64] = np.zeros((PARTITIONS, _BINS), np.complex64)
        self._before: Samples = np.zeros(FRAME, np.float32)
        self._forget_path()

    def reset(self) -> None:
        """Begin a new stream; the echo's path is kept, for the room stays as it is."""
        super().reset()
        self._spectra[:] = 0
        self._before[:] = 0

    def _forget_path(self) -> None:
        self._path: NDArray[np.complex64] = np.zeros((PARTITIONS, _BINS), np.complex64)
        self._variance: NDArray[np.float32] = np.full((PARTITIONS, _BINS), _UNCERTAIN, np.float32)
        self._noise: NDArray[np.float32] = np.zeros(_BINS, np.float32)
        self._turn = 0
        self._learnt = self._wrong = 0
        self._powers: NDArray[np.float64] = np.zeros(3)
        self._reduction.forget()

    def _frame(self, captured: Samples, played: Samples) -> Samples:
        self._spectra = np.roll(self._spectra, 1, axis=0)
        self._spectra[0] = np.fft.rfft(np.concatenate([self._before, played]))
        self._before = played
        powers = self._spectra.real**2 + self._spectra.imag**2
        if powers.max() < _SILENT:
            return captured
        echo = np.fft.irfft((self._spectra * self._path).sum(0), 2 * FRAME)[FRAME:].astype(np.float32)
        left = captured - echo
        self._reduction.add(captured, left)
        self._adapt(left, powers)
        if not np.isfinite(self._path[0, 1]) or self._adds_echo(captured, left, echo):
            # The first cannot happen with finite samples within full scale; but a filter gone wrong must not last.
            self._forget_path()
            return captured
        return left

    def _adds_echo(self, captured: Samples, left: Samples, echo: Samples) -> bool:
        """Whether the path holds no longer: the sound card stumbled, or somebody moved the device.

        The right echo taken away leaves less by its power, whoever talks meanwhile; a wrong one adds its power.
        """
        now = [float(sound @ sound) for sound in (captured, left, echo)]
        self._powers += _JUDGED * (np.array(now) - self._powers)
        before, after, taken = self._powers
        wrong = after > before and taken > _NOTABLE * before
        self._wrong = self._wrong + 1 if wrong and self._learnt > _TRIED else 0
        return self._wrong >= _PROVED

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
        stays = 1 - max(_DRIFT, _EAGER / (_EAGER_BLOCKS + self._learnt))
        self._learnt += 1
        self._variance = (stays**2 * kept + (1 - stays**2) * size).astype(np.float32)
