"""Sounds and scenes in the open air, made without models and without a room simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.audio.array.geometry import Geometry, parse_geometry
from device.events import SAMPLE_RATE, Samples

BLOCK = 512


def square() -> Geometry:
    """Four microphones on a circle of 32 mm radius."""
    angles = np.radians([45, 135, 225, 315])
    places = np.round(0.032 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1), 6)
    microphones = [{"channel": n, "position": place} for n, place in enumerate(places.tolist())]
    return parse_geometry({"microphones": microphones}, "square")


def voice(seconds: float, seed: int = 0) -> Samples:
    """Return something like speech: shaped noise in syllables, with a pitch."""
    random = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(random.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    spectrum *= 1 / (1 + (frequency / 600) ** 1.5) * (frequency > 90)
    time = np.arange(count) / SAMPLE_RATE
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time + random.uniform(0, 6)), 0.02, 1)
    sound = np.fft.irfft(spectrum, count) * syllables * (1 + 0.7 * np.sign(np.sin(2 * np.pi * 130 * time)))
    return (0.05 * sound / np.sqrt(np.mean(sound**2))).astype(np.float32)


def noise(seconds: float, seed: int = 1, rms: float = 0.03) -> Samples:
    """Return steady coloured noise."""
    random = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE)
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    sound = np.fft.irfft(np.fft.rfft(random.standard_normal(count)) / (1 + frequency / 800), count)
    return (rms * sound / np.sqrt(np.mean(sound**2))).astype(np.float32)


def plane_wave(geometry: Geometry, sound: Samples, azimuth: float) -> NDArray[np.float32]:
    """Return what the microphones hear of a far source, of shape ``(samples, microphones)``."""
    frequency = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    turns = np.exp(2j * np.pi * frequency[:, None] * geometry.delays(azimuth)[0])
    return np.fft.irfft(np.fft.rfft(sound)[:, None] * turns, len(sound), axis=0).astype(np.float32)


@dataclass
class Scene:
    """A talker who begins after ``lead`` seconds, and noise from elsewhere all the time."""

    talker: NDArray[np.float32]
    noise: NDArray[np.float32]
    active: NDArray[np.bool_]

    @property
    def mixture(self) -> NDArray[np.float32]:
        return self.talker + self.noise


def scene(
    geometry: Geometry,
    azimuth: float = 30.0,
    noise_azimuth: float = 150.0,
    lead: float = 2.0,
    seconds: float = 4.0,
    seed: int = 0,
) -> Scene:
    """Return a talker at about 5 dB over a point source of noise, with a little noise of the microphones' own."""
    quiet = np.zeros(int(lead * SAMPLE_RATE), np.float32)
    spoken = np.concatenate([quiet, voice(seconds, seed)])
    active = np.zeros(len(spoken), bool)
    active[len(quiet) :] = True
    random = np.random.default_rng(seed + 99)
    heard = plane_wave(geometry, noise(lead + seconds, seed + 7)[: len(spoken)], noise_azimuth)
    heard += (3e-5 * random.standard_normal(heard.shape)).astype(np.float32)
    return Scene(plane_wave(geometry, spoken, azimuth), heard, active)


def stream(
    process: Callable[[NDArray[np.float32]], Samples],
    tell: Callable[[bool], None],
    sound: NDArray[np.float32],
    active: NDArray[np.bool_],
    block: int = BLOCK,
) -> Samples:
    """Send ``sound`` through in blocks, telling after each whether somebody talked."""
    outputs = []
    for start in range(0, len(sound), block):
        outputs.append(process(sound[start : start + block]))
        tell(bool(active[start : start + block].any()))
    return np.concatenate(outputs)


def snr(signal: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the ratio of powers in dB."""
    return float(10 * np.log10(np.sum(signal.astype(float) ** 2) / np.sum(other.astype(float) ** 2)))


def sisdr(reference: Samples, estimate: Samples) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB."""
    wanted, got = reference.astype(float), estimate.astype(float)
    scaled = wanted * (wanted @ got) / (wanted @ wanted)
    return float(10 * np.log10(np.sum(scaled**2) / max(np.sum((got - scaled) ** 2), 1e-20)))
