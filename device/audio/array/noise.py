"""The noise that a beamformer works against: what was heard while nobody talked, and what talking itself adds.

A talker fills the room: his late reverberation comes from all sides, as strong as he is, and belongs to no transfer
function. In a quiet room it is the only noise, and a beamformer that knew but the measured one would fit itself to the
microphones' own noise and colour the voice. So a share of the talker's power is counted as diffuse noise, after
Schwartz, Gannot & Habets, "Multi-microphone speech dereverberation and noise reduction using relative early transfer
functions", IEEE/ACM TASLP 2015.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.array.covariance import Covariance, RunningCovariance, loaded
from device.audio.array.geometry import Geometry
from device.audio.array.steering import diffuse_coherence

LOADING = 1e-4
REVERBERATION = 0.01
"""Share of the talker's power that is taken for diffuse noise."""
_OWN = 0.01
"""Share of the diffuse noise that differs from microphone to microphone."""
_PATIENCE = 3
"""Changes between two inversions; little changes in a quarter of a second."""


class NoiseField:
    """Keeps the covariance of the noise and its inverse."""

    def __init__(self, geometry: Geometry) -> None:
        coherence = diffuse_coherence(geometry) + _OWN * np.eye(geometry.size)
        self._diffuse: NDArray[np.float32] = coherence.astype(np.float32)
        # Until something was heard, sound from everywhere stands in for it.
        self.matrix: Covariance = np.asarray(self._diffuse, np.complex64)
        self.inverse: Covariance = np.linalg.inv(self.matrix)
        self._seen = -1

    def update(self, noise: RunningCovariance, speech: RunningCovariance) -> None:
        """Take in what was learnt, if it is enough to matter."""
        version = noise.version + speech.version
        if self._seen >= 0 and version < self._seen + _PATIENCE:
            return
        self._seen = version
        size = self.matrix.shape[-1]
        talker = np.trace(speech.value, axis1=1, axis2=2).real / size
        diffuse = (REVERBERATION * talker).astype(np.float32)[:, None, None] * self._diffuse
        self.matrix = loaded(noise.value + diffuse, LOADING)
        self.inverse = np.linalg.inv(self.matrix)
