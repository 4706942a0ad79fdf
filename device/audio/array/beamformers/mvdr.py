"""Adaptive minimum variance distortionless response: the least noise that leaves the talker as he is.

Capon, "High-resolution frequency-wavenumber spectrum analysis", Proc. IEEE 1969; with relative transfer functions
after Gannot, Burshtein & Weinstein, "Signal enhancement using beamforming and nonstationarity", IEEE TSP 2001. The
noise is learnt only while nobody talks, so an error in the steering costs a little noise but never the talker.
"""

from __future__ import annotations

import numpy as np

from device.audio.array.beamformers.base import Beamformer, Scene, Weights, only_reference
from device.audio.array.steering import steering_vectors


class Mvdr(Beamformer):
    """Steered by the talker's relative transfer functions, or by his azimuth until they are known."""

    name = "mvdr"

    def weights(self, scene: Scene) -> Weights:
        """Return the weights for the scene; the reference alone until noise and talker are known."""
        towards = scene.transfer
        if towards is None and scene.azimuth is not None:
            steering = steering_vectors(scene.geometry, scene.azimuth)[0]
            towards = np.asarray(steering / steering[:, scene.reference, None], np.complex64)
        if towards is None or not scene.noise.seconds:
            return only_reference(scene)
        solved = (scene.field.inverse @ towards[..., None])[..., 0]
        gain = np.sum(towards.conj() * solved, -1, keepdims=True).real
        return np.asarray(solved / np.maximum(gain, np.finfo(np.float32).tiny), np.complex64)
