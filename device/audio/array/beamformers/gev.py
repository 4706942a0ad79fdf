"""Maximum signal-to-noise ratio with blind analytic normalisation, the generalised eigenvalue beamformer.

Warsitz & Haeb-Umbach, "Blind acoustic beamforming based on generalized eigenvalue decomposition", IEEE TASLP 2007.
Per bin it points where MVDR with relative transfer functions points; only the scale of each bin differs, and with it
the colour of the speech.
"""

from __future__ import annotations

import numpy as np

from device.audio.array.beamformers.base import Scene, Weights
from device.audio.array.beamformers.mvdr import Mvdr


class MaxSnr(Mvdr):
    """MVDR whose bins are scaled by the normalisation instead of by the reference microphone."""

    name = "gev"

    def weights(self, scene: Scene) -> Weights:
        """Return the weights for the scene; the reference alone until noise and talker are known."""
        weights = super().weights(scene)
        if scene.transfer is None or not scene.noise.seconds:
            return weights
        filtered = (scene.field.matrix @ weights[..., None])[..., 0]
        noise = np.sum(weights.conj() * filtered, -1).real
        scale = np.sqrt(np.sum(np.abs(filtered) ** 2, -1) / scene.geometry.size) / np.maximum(noise, 1e-20)
        return np.asarray(weights * np.clip(scale, 0.1, 3.0)[:, None], np.complex64)
