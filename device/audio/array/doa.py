"""Direction of arrival: steered response power with phase transform.

DiBiase, "A high-accuracy, low-latency technique for talker localization in reverberant environments using microphone
arrays", PhD thesis, Brown University 2000. Computed from a covariance or from relative transfer functions rather than
frame by frame: the phases of every pair of microphones against those a far source at each azimuth would have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.audio.array.geometry import Geometry
from device.audio.array.steering import steering_vectors
from device.audio.array.stft import FREQUENCIES

_LOW, _HIGH = 300.0, 6000.0
_EVERY = 3
"""Every third bin is enough; neighbours overlap."""
_STEP = 5.0


@dataclass(frozen=True, slots=True)
class Direction:
    """Where sound comes from."""

    azimuth: float
    """Degrees in [0, 360)."""
    confidence: float
    """0 for sound without direction, 1 for a single far source in the open."""


class SteeredResponse:
    """Finds azimuths for one array; on a linear array those on one side of its axis."""

    def __init__(self, geometry: Geometry) -> None:
        axis = geometry.axis
        self.circular = axis is None
        start, span = (0.0, 360.0) if axis is None else (axis, 180.0)
        self.azimuths: NDArray[np.float64] = start + np.arange(0, span + (axis is not None), _STEP)
        chosen = np.flatnonzero((FREQUENCIES >= _LOW) & (FREQUENCIES <= _HIGH))[::_EVERY]
        self._bins = chosen
        self._left, self._right = np.triu_indices(geometry.size, 1)
        steering = steering_vectors(geometry, self.azimuths)[:, chosen]
        expected = steering[..., self._left] * steering[..., self._right].conj()
        self._expected = expected.conj().reshape(len(self.azimuths), -1)

    def response(self, pairs: NDArray[np.complex64], weight: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the steered response per azimuth, at most 1, about 0 for sound without direction.

        Parameters
        ----------
        pairs
            Cross-spectra of the pairs of microphones, ``(chosen bins, pairs)``.
        weight
            What each bin counts, ``(chosen bins,)``.
        """
        phases = pairs / np.maximum(np.abs(pairs), 1e-30)
        total = float(weight.sum()) * pairs.shape[1]
        weighted = (phases * weight[:, None]).ravel()
        return np.asarray((self._expected @ weighted).real / max(total, 1e-12), float)

    def of_covariance(self, value: NDArray[np.complex64], weight: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the response of a covariance ``(bins, microphones, microphones)``; ``weight`` is per bin."""
        chosen = value[self._bins]
        return self.response(chosen[:, self._left, self._right], weight[self._bins])

    def of_transfer(self, value: NDArray[np.complex64], weight: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the response of relative transfer functions ``(bins, microphones)``; ``weight`` is per bin."""
        chosen = value[self._bins]
        return self.response(chosen[:, self._left] * chosen[:, self._right].conj(), weight[self._bins])

    def peak(self, response: NDArray[np.float64]) -> Direction:
        """Return the highest point of a response, between the grid's azimuths by a parabola."""
        top = int(np.argmax(response))
        count = len(response)
        at = self.azimuths[top]
        if self.circular or 0 < top < count - 1:
            before, here, after = response[top - 1], response[top], response[(top + 1) % count]
            bend = before - 2 * here + after
            if bend < 0:
                at += _STEP * 0.5 * (before - after) / bend
        return Direction(float(at % 360), float(np.clip(response[top], 0, 1)))


class DirectionSmoother:
    """Averages steered responses over about ``memory`` updates before the peak is taken."""

    def __init__(self, finder: SteeredResponse, memory: float = 10.0) -> None:
        self._finder = finder
        self._memory = memory
        self.reset()

    def reset(self) -> None:
        """Begin again: somebody else may be talking."""
        self._mean = np.zeros(len(self._finder.azimuths))
        self._count = 0.0

    def add(self, response: NDArray[np.float64]) -> Direction:
        """Take in one response and return the smoothed direction."""
        self._count = min(self._count + 1, self._memory)
        self._mean += (response - self._mean) / self._count
        return self._finder.peak(self._mean)


def angle_between(one: float, other: float) -> float:
    """Return the angle between two azimuths, 0 to 180 degrees."""
    return abs((one - other + 180) % 360 - 180)
