"""Relative transfer functions: how the talker's sound at each microphone relates to that at the reference.

Covariance whitening (Markovich, Gannot & Cohen, "Multichannel eigenspace beamforming in a reverberant noisy
environment with multiple interfering speech signals", IEEE TASLP 2009): the principal generalised eigenvector of
the covariances with and without the talker. It is followed from update to update by power iteration.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.array.covariance import Covariance
from device.audio.array.noise import NoiseField
from device.audio.array.stft import BINS, FRAME

_ITERATIONS = 2
_REACH = 16
"""Samples, 1 ms, that the transfer functions reach in time: what direct sound and the array's own differences
need. Later reflections are left out, so the beam does not ask for them: fewer words are lost in a room, at the
price of some tenths of a dB."""
_LATE = np.concatenate(
    [
        0.5 + 0.5 * np.cos(np.pi * np.arange(_REACH + 1) / (_REACH + 1)),
        np.zeros(FRAME - 2 * _REACH - 1),
        0.5 + 0.5 * np.cos(np.pi * np.arange(_REACH, 0, -1) / (_REACH + 1)),
    ]
).astype(np.float32)[:, None]


class TransferTracker:
    """Follows one talker's relative transfer functions."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.reset()

    def reset(self) -> None:
        """Forget the talker."""
        self._vector = np.ones((BINS, self._size), np.complex64)

    def update(
        self, speech: Covariance, noise: NoiseField, reference: int
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Take in the newest covariance of the talker with the noise.

        Returns
        -------
        transfer
            Of shape ``(bins, microphones)``, 1 at the reference.
        presence
            Of shape ``(bins,)``: 0 where the talker does not stand out of the noise, towards 1 where he does.
        """
        vector = self._vector[..., None]
        for _ in range(_ITERATIONS):
            vector = noise.inverse @ (speech @ vector)
            length = np.sqrt(np.sum(np.abs(vector) ** 2, axis=1, keepdims=True))
            vector = vector / np.maximum(length, 1e-30)
        # A bin without any sound would lose its direction for good.
        silent = ~(np.abs(vector).max(axis=1) > 0)[:, 0]
        vector[silent] = 1
        self._vector = vector[..., 0]
        coloured = noise.matrix @ vector
        with_talker = np.sum(vector.conj() * (speech @ vector), axis=1)[:, 0].real
        without = np.sum(vector.conj() * coloured, axis=1)[:, 0].real
        presence = np.clip(1 - without / np.maximum(with_talker, 1e-30), 0, 1).astype(np.float32)
        heard = coloured[:, reference]
        # Where the reference hears nothing of the talker the ratio means nothing.
        tiny = np.abs(heard) < 1e-3 * np.abs(coloured).max(axis=1)
        heard = np.where(tiny, np.abs(coloured).max(axis=1) + 1e-30, heard)
        responses = np.fft.irfft(coloured[..., 0] / heard, FRAME, axis=0) * _LATE
        transfer = np.fft.rfft(responses, axis=0)
        transfer[:, reference] = 1
        return transfer.astype(np.complex64), presence
