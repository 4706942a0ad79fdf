"""Superdirective: the narrowest beam in a diffuse field that does not boost the microphones' own noise too much.

Bitzer & Simmer, "Superdirective Microphone Arrays", in: Brandstein & Ward (eds.), Microphone Arrays, Springer 2001;
the limit on white noise gain follows Cox, Zeskind & Owen, "Robust adaptive beamforming", IEEE TASSP 1987.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.array.beamformers.base import Beamformer, Scene, Weights, only_reference
from device.audio.array.steering import diffuse_coherence, steering_vectors

WHITE_NOISE_GAIN = -10.0
"""The microphones' own noise is boosted by at most 10 dB in any bin; also bounds what a mismatch can do."""
_LOADINGS = np.geomspace(1e-4, 30.0, 24)
_STEP = 2.5
"""Degrees between two beams that are worth computing."""


class Superdirective(Beamformer):
    """Needs the azimuth and nothing else, so it is good from the first word on."""

    name = "superdirective"

    def __init__(self) -> None:
        self._beams: dict[tuple[int, int], Weights] = {}

    def weights(self, scene: Scene) -> Weights:
        """Return the weights towards the scene's azimuth; the reference alone until one is known."""
        if scene.azimuth is None:
            return only_reference(scene)
        key = (round(scene.azimuth / _STEP), scene.reference)
        if key not in self._beams:
            self._beams[key] = _design(scene, key[0] * _STEP)
        return self._beams[key]

    def reset(self) -> None:
        """Forget the beams."""
        self._beams.clear()


def _design(scene: Scene, azimuth: float) -> Weights:
    towards = steering_vectors(scene.geometry, azimuth)[0].astype(np.complex128)
    relative = towards / towards[:, scene.reference, None]
    # One eigendecomposition a bin serves every loading that is tried.
    powers, vectors = np.linalg.eigh(diffuse_coherence(scene.geometry))
    projected = np.einsum("fmk,fm->fk", vectors, relative)
    limit = 10 ** (-WHITE_NOISE_GAIN / 10)
    chosen: NDArray[np.complex128] = relative / scene.geometry.size
    for loading in _LOADINGS[::-1]:  # from robust to sharp; a bin keeps its last design within the limit
        solved = np.einsum("fmk,fk->fm", vectors, projected / (np.maximum(powers, 0) + loading))
        weights = solved / np.sum(relative.conj() * solved, -1, keepdims=True)
        robust = np.sum(np.abs(weights) ** 2, -1) <= limit
        chosen = np.where(robust[:, None], weights, chosen)
    return chosen.astype(np.complex64)
