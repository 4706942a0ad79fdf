"""What a beamformer is given and what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from device.audio.array.covariance import RunningCovariance
from device.audio.array.geometry import Geometry
from device.audio.array.noise import NoiseField
from device.audio.array.stft import BINS

Weights = NDArray[np.complex64]
"""Of shape ``(bins, microphones)``: the output is the sum over the microphones of ``conj(weights) * spectra``."""


@dataclass
class Scene:
    """What is known of the talker and of the noise; a beamformer reads it and changes nothing."""

    geometry: Geometry
    """The microphones that are in use."""
    noise: RunningCovariance
    """Of the sound while nobody talks."""
    field: NoiseField
    """What the beam has to work against, and its inverse."""
    speech: RunningCovariance
    """Of the sound while the talker talks, noise included."""
    reference: int = 0
    """The microphone whose speech the output equals, index into ``geometry``."""
    azimuth: float | None = None
    """Where the talker is, in degrees."""
    transfer: NDArray[np.complex64] | None = None
    """The talker's relative transfer functions, ``(bins, microphones)``, 1 at the reference; None when unknown."""
    presence: NDArray[np.float32] | None = None
    """How far the talker stands out of the noise in each bin, 0 to 1."""


class Beamformer(ABC):
    """One algorithm. Instances may remember; ``weights`` is called several times a second with the newest scene."""

    name: ClassVar[str]

    @abstractmethod
    def weights(self, scene: Scene) -> Weights:
        """Return the weights for the scene; they leave the talker as the reference microphone hears them."""

    def reset(self) -> None:  # noqa: B027 - most algorithms remember nothing
        """Forget everything; the scene changed its microphones."""


def only_reference(scene: Scene) -> Weights:
    """Return the weights that pass the reference microphone through."""
    weights = np.zeros((BINS, scene.geometry.size), np.complex64)
    weights[:, scene.reference] = 1
    return weights
