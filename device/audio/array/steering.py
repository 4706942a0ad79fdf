"""Steering vectors, and the coherence of diffuse sound between microphones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.array.geometry import SPEED_OF_SOUND, Geometry
from device.audio.array.stft import FREQUENCIES


def steering_vectors(
    geometry: Geometry, azimuths: NDArray[np.float64] | float, elevation: float = 0.0
) -> NDArray[np.complex64]:
    """Return what a far source at each azimuth (degrees) adds to each microphone, relative to the array's centre.

    Returns
    -------
    vectors
        Of shape ``(azimuths, bins, microphones)``, each entry of magnitude 1.
    """
    delays = geometry.delays(azimuths, elevation)
    return np.asarray(np.exp(2j * np.pi * FREQUENCIES[None, :, None] * delays[:, None]), np.complex64)


def diffuse_coherence(geometry: Geometry) -> NDArray[np.float64]:
    """Return the coherence of sound from all sides of a sphere: sinc(2 f d / c) (Cook et al., JASA 1955).

    Returns
    -------
    coherence
        Of shape ``(bins, microphones, microphones)``.
    """
    return np.sinc(2 * FREQUENCIES[:, None, None] * geometry.distances / SPEED_OF_SOUND)
