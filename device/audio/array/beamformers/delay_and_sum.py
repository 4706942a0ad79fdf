"""Delay and sum: the microphones are aligned towards the talker and averaged (Van Trees, Optimum Array Processing)."""

from __future__ import annotations

import numpy as np

from device.audio.array.beamformers.base import Beamformer, Scene, Weights, only_reference
from device.audio.array.steering import steering_vectors


class DelayAndSum(Beamformer):
    """Best against noise that differs from microphone to microphone; 1 to 2 dB against anything else."""

    name = "delay-and-sum"

    def weights(self, scene: Scene) -> Weights:
        """Return the weights towards the scene's azimuth; the reference alone until one is known."""
        if scene.azimuth is None:
            return only_reference(scene)
        towards = steering_vectors(scene.geometry, scene.azimuth)[0]
        relative = towards / towards[:, scene.reference, None]
        return np.asarray(relative / scene.geometry.size, np.complex64)
