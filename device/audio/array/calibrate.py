"""Measuring how an array's channels differ, from a recording of noise or of a chirp.

All microphones of a small array hear the same sound at the same level; what differs after the geometry's own delays
have been taken off is the channels' doing. The direction of the sound is taken as given, or found first; sound
without direction, as in a busy room, is taken for diffuse, where the phases of low frequencies agree by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from device.audio.array.calibration import Calibration
from device.audio.array.covariance import Covariance, covariance
from device.audio.array.doa import SteeredResponse
from device.audio.array.geometry import SPEED_OF_SOUND, Geometry
from device.audio.array.steering import steering_vectors
from device.audio.array.stft import BINS, FREQUENCIES, HOP, Analysis
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.wording import counted

SHORTEST = 1.0
"""Seconds of sound that are needed."""
_DEAD_DB = -40.0
_MOST_GAIN_DB = 20.0
_BAND = (300.0, 5000.0)
_LOW = (100.0, 500.0)
_DIRECTED = 0.2
"""How far the steered response must rise above its mean for the sound to have a direction."""
_LEAST_DELAY = 1.5e-5
"""Seconds; less is what a room's echoes do to the measurement, and is left alone."""
_MOST_DELAY = 1.2e-4
"""Seconds; more is no tolerance of a converter but another clock."""
_BETTER, _FITS = 0.08, 0.6
"""How much better another order must fit, and how well, to be believed."""
_QUIETEST = 1e-5


@dataclass(frozen=True)
class Measurement:
    """What was found; microphones are counted from 0 in the geometry's order."""

    calibration: Calibration
    azimuth: float | None
    """Where the sound came from; None where it had no direction."""
    gains_db: tuple[float, ...]
    """How much each microphone is louder than the middle one; nan where it is dead."""
    delays_us: tuple[float, ...]
    """How much each microphone is later than the mean, in microseconds."""
    dead: tuple[int, ...]
    inverted: tuple[int, ...]
    swapped: tuple[tuple[int, int], ...]
    """Pairs that seem exchanged; several where they cannot be told apart."""


def chirp(seconds: float = 3.0) -> Samples:
    """Return a sound to calibrate with: a sweep from 150 Hz to 7 kHz, repeated twice a second."""
    once = SAMPLE_RATE // 2
    time = np.arange(once) / SAMPLE_RATE
    rate = np.log(7000 / 150) / time[-1]
    sweep = np.sin(2 * np.pi * 150 / rate * (np.exp(rate * time) - 1)) * np.hanning(once) ** 0.25
    repeated = np.tile(sweep, max(1, round(seconds * 2)))
    return np.asarray(0.3 * repeated, np.float32)


def measure(recording: NDArray[np.float32], geometry: Geometry, azimuth: float | None = None) -> Measurement:
    """Compare the channels of a recording.

    Parameters
    ----------
    recording
        Of shape ``(samples, microphones)`` at 16 kHz, in the geometry's order.
    geometry
        The array.
    azimuth
        Where the sound came from, where that is known. Without it, a mirrored array cannot be seen, and delays that
        look like another direction are missed.

    Raises
    ------
    DragomanError
        The recording is too short or too quiet, or has another number of channels.
    """
    sound = _checked(recording, geometry)
    level = np.sqrt(np.mean(sound**2, axis=0))
    typical = float(np.median(level)) if geometry.size > 2 else float(level.max())
    dead = tuple(int(m) for m in np.flatnonzero(20 * np.log10(np.maximum(level, 1e-9) / typical) < _DEAD_DB))
    alive = [m for m in range(geometry.size) if m not in dead]
    matrix = covariance(Analysis(len(alive)).push(sound[:, alive].astype(np.float32)))
    part = geometry.subset(alive)
    flips = _polarity(matrix)
    matrix = matrix * (flips[:, None] * flips[None]).astype(np.float32)
    gains = _gains(matrix)
    found, swapped = _direction(matrix, part, azimuth)
    # Delays mean nothing until the microphones are where they should be.
    delays = np.zeros(len(alive)) if swapped else _delays(matrix, part, found)
    if np.abs(delays).max() < _LEAST_DELAY:
        delays[:] = 0
    factors, lags, louder = np.ones(geometry.size), np.zeros(geometry.size), np.full(geometry.size, np.nan)
    most = 10 ** (_MOST_GAIN_DB / 20)
    factors[alive] = np.clip(1 / gains, 1 / most, most) * flips
    lags[alive] = delays
    louder[alive] = 20 * np.log10(gains)
    return Measurement(
        Calibration(geometry.name, tuple(map(float, factors)), tuple(map(float, lags)), dead),
        found,
        tuple(map(float, louder)),
        tuple(float(lag * 1e6) for lag in lags),
        dead,
        tuple(m for m, flip in zip(alive, flips, strict=True) if flip < 0),
        tuple((alive[one], alive[other]) for one, other in swapped),
    )


def _checked(recording: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float64]:
    if recording.ndim != 2 or recording.shape[1] != geometry.size:
        channels = 1 if recording.ndim == 1 else recording.shape[1]
        microphones = counted(geometry.size, "microphone")
        raise DragomanError(f"the array {geometry.name} has {microphones}, the recording {channels}")
    if len(recording) < SHORTEST * SAMPLE_RATE + HOP:
        raise DragomanError(f"the recording is too short: at least {SHORTEST:g} s are needed")
    sound: NDArray[np.float64] = np.nan_to_num(recording.astype(float), posinf=0.0, neginf=0.0)
    sound = np.asarray(sound - sound.mean(0), np.float64)
    if np.sqrt(np.mean(sound**2, axis=0)).max() < _QUIETEST:
        raise DragomanError("the recording is silent; play the chirp louder, or make some noise")
    return sound


def _polarity(matrix: Covariance) -> NDArray[np.float64]:
    """Return -1 for each microphone that is in opposite phase to most at low frequencies, else 1."""
    band = (_LOW[0] < FREQUENCIES) & (_LOW[1] > FREQUENCIES)
    alike = _coherence(matrix)[band].real.mean(0)
    side = np.sign(np.linalg.eigh(alike)[1][:, -1])
    side[side == 0] = 1
    turned = side.sum() < 0 or (side.sum() == 0 and side[0] < 0)
    return np.asarray(-side if turned else side, float)


def _gains(matrix: Covariance) -> NDArray[np.float64]:
    """Return how loud each microphone is, relative to the median microphone."""
    band = (_BAND[0] < FREQUENCIES) & (_BAND[1] > FREQUENCIES)
    power = np.einsum("fmm->fm", matrix).real[band].astype(float)
    relative = 10 * np.log10(np.maximum(power, 1e-20) / np.maximum(np.median(power, 1, keepdims=True), 1e-20))
    decibels = np.median(relative, axis=0)
    return np.asarray(10 ** ((decibels - np.median(decibels)) / 20), float)


def _direction(
    matrix: Covariance, geometry: Geometry, azimuth: float | None
) -> tuple[float | None, list[tuple[int, int]]]:
    """Return where the sound came from, and which microphones should be exchanged for it to fit."""
    if geometry.size < 2:
        return azimuth, []
    finder = SteeredResponse(geometry)
    everywhere: NDArray[np.float32] = np.ones(BINS, np.float32)

    def fit(order: list[int]) -> float:
        response = finder.of_covariance(matrix[:, order][:, :, order], everywhere)
        if azimuth is None:
            return float(response.max())
        return float(np.interp((azimuth - finder.azimuths[0]) % 360, finder.azimuths - finder.azimuths[0], response))

    straight = list(range(geometry.size))
    exchanges = {}
    for one, other in combinations(straight, 2):
        order = straight.copy()
        order[one], order[other] = other, one
        exchanges[one, other] = fit(order)
    as_is = fit(straight)
    best = max(exchanges.values())
    # Where sound has no direction nothing fits well, and one order fits by chance a little better than another.
    believed = best > max(as_is + _BETTER, _FITS)
    swapped = [pair for pair, value in exchanges.items() if value > best - 0.02] if believed else []
    if azimuth is not None:
        return azimuth % 360, swapped
    response = finder.of_covariance(matrix, everywhere)
    if not swapped and response.max() - response.mean() < _DIRECTED:
        return None, []
    return finder.peak(response).azimuth, swapped


def _delays(matrix: Covariance, geometry: Geometry, azimuth: float | None) -> NDArray[np.float64]:
    """Return by how many seconds each microphone is late, against their mean."""
    if geometry.size < 2:
        return np.zeros(geometry.size)
    band = (_BAND[0] < FREQUENCIES) & (_BAND[1] > FREQUENCIES)
    if azimuth is None:
        # In a diffuse field phases agree up to the first zero of the coherence.
        band &= 0.4 * SPEED_OF_SOUND / max(float(geometry.distances.max()), 1e-3) > FREQUENCIES
        band |= (_LOW[0] < FREQUENCIES) & (_LOW[1] > FREQUENCIES)
        expected = np.ones((BINS, geometry.size), complex)
    else:
        expected = steering_vectors(geometry, azimuth)[0].astype(complex)
    coherence = _coherence(matrix)
    tried = np.linspace(-_MOST_DELAY, _MOST_DELAY, 961)
    turns = np.exp(-2j * np.pi * FREQUENCIES[band][:, None] * tried)
    lags = np.zeros((geometry.size, geometry.size))
    for one, other in combinations(range(geometry.size), 2):
        rest = coherence[:, one, other] * np.conj(expected[:, one] * np.conj(expected[:, other]))
        match = np.real(np.conj(turns).T @ rest[band])
        lags[one, other] = tried[int(np.argmax(match))]
        lags[other, one] = -lags[one, other]
    # Least squares over all pairs, with a mean of zero.
    return np.asarray(lags.mean(axis=1), float)


def _coherence(matrix: Covariance) -> NDArray[np.complex128]:
    power = np.sqrt(np.maximum(np.einsum("fmm->fm", matrix).real, 1e-20)).astype(float)
    return np.asarray(matrix / (power[:, :, None] * power[:, None, :]), np.complex128)
