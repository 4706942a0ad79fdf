"""Simulate what a microphone array hears: a talker in a room, noise, echoes, and channels that are not alike.

    python -m tools.simulate_room talk.wav --geometry respeaker-usb-4mic --rt60 0.4 --noise point --snr 5 -o scene.wav

Room impulse responses come from pyroomacoustics' image sources (Allen & Berkley, JASA 1979). The same seed gives the
same samples. Talker and noise are kept apart until the end, so that gains can be measured exactly.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from device.audio.array.geometry import Geometry, available, load_geometry
from device.events import SAMPLE_RATE, Samples

NOISES = ("none", "point", "talker", "babble", "fan", "music")
ROOM = (6.0, 5.0, 3.0)
SENSOR_NOISE = 10 ** (-65 / 20)
"""RMS of each microphone's own noise against the speech, as of a MEMS microphone with 65 dB."""
_BABBLERS = 24
_SPEAKER_DISTANCE = 0.08


@dataclass(frozen=True)
class Room:
    """Where talker, noise and array are."""

    rt60: float
    """Seconds; 0 is the open air."""
    talker_azimuth: float = 0.0
    talker_distance: float = 1.0
    noise_azimuth: float = 120.0
    noise_distance: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class Mismatch:
    """How the microphones differ from each other."""

    gain_db: float = 0.0
    """Standard deviation of the microphones' sensitivity."""
    delay: float = 0.0
    """Standard deviation of their delay in seconds."""


@dataclass
class Scene:
    """What the microphones hear, the talker and the noise apart; arrays of shape ``(samples, microphones)``."""

    talker: NDArray[np.float32]
    noise: NDArray[np.float32]
    room: Room
    positions: dict[str, float] = field(default_factory=dict)

    @property
    def mixture(self) -> NDArray[np.float32]:
        """Talker and noise together."""
        return self.talker + self.noise


def simulate(
    geometry: Geometry,
    speech: Samples,
    room: Room,
    noise: str = "none",
    snr_db: float = 5.0,
    *,
    material: Sequence[Samples] = (),
    mismatch: Mismatch | None = None,
) -> Scene:
    """Let the talker say ``speech`` in ``room``.

    Parameters
    ----------
    geometry, speech, room
        The array; mono samples at 16 kHz; the places.
    noise
        One of ``NOISES``: a point source with the spectrum of speech and its rhythm, one competing talker, babble
        from all sides, a fan, or music from the device's own loudspeaker.
    snr_db
        Signal-to-noise ratio at the first microphone while the talker talks.
    material
        Recordings that babble and the competing talker are cut from, and that give the point source its spectrum.
    mismatch
        How the microphones differ.
    """
    # The seed of the noise does not depend on its kind, nor on the geometry.
    random = np.random.default_rng([room.seed, 7])
    talker = _convolve(speech, impulse_responses(geometry, room, "talker"))[: len(speech)]
    heard = _noise(geometry, room, noise, len(speech), material or [speech], random)
    active = _active(talker[:, 0])
    level = float(np.sqrt(np.mean(talker[active, 0] ** 2))) if active.any() else 1.0
    if noise != "none":
        now = float(np.sqrt(np.mean(heard[active, 0] ** 2)))
        heard = heard * (level / max(now, 1e-12) / 10 ** (snr_db / 20))
    heard = heard + level * SENSOR_NOISE * random.standard_normal(talker.shape)
    if mismatch:
        talker, heard = (_mismatched(x, mismatch, room.seed) for x in (talker, heard))
    return Scene(talker.astype(np.float32), heard.astype(np.float32), room)


@functools.lru_cache(maxsize=64)
def impulse_responses(geometry: Geometry, room: Room, source: str) -> NDArray[np.float64]:
    """Return the impulse responses from ``talker``, ``noise`` or ``speaker`` to each microphone, one a column."""
    import pyroomacoustics

    random = np.random.default_rng([room.seed, 1])
    # Never in the room's middle, where images fall together.
    centre = np.array([2.7, 2.3, 1.2]) + random.uniform(-0.3, 0.3, 3)
    heights = random.uniform(0.0, 0.3, 2)
    place = {
        "talker": (room.talker_azimuth, room.talker_distance, heights[0]),
        "noise": (room.noise_azimuth, room.noise_distance, heights[1]),
        "speaker": (room.noise_azimuth, _SPEAKER_DISTANCE, -0.03),
    }[source]
    azimuth, distance, height = np.radians(place[0]), place[1], place[2]
    at = centre + np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), height])
    at = np.clip(at, 0.2, np.array(ROOM) - 0.2) if distance > _SPEAKER_DISTANCE else at
    if room.rt60:
        try:
            absorption, order = pyroomacoustics.inverse_sabine(room.rt60, ROOM)
        except ValueError as error:
            size = " by ".join(f"{side:g}" for side in ROOM)
            raise click.UsageError(f"a room of {size} m cannot be as dry as {room.rt60:g} s; take 0.2 or 0") from error
        box = pyroomacoustics.ShoeBox(
            ROOM, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(absorption), max_order=order
        )
    else:
        box = pyroomacoustics.ShoeBox(ROOM, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(1.0), max_order=0)
    box.add_microphone_array((centre + geometry.positions).T)
    box.add_source(at)
    box.compute_rir()
    responses = [box.rir[microphone][0] for microphone in range(geometry.size)]
    longest = max(map(len, responses))
    return np.stack([np.pad(response, (0, longest - len(response))) for response in responses], 1)


def true_azimuth(geometry: Geometry, azimuth: float) -> float:
    """Return the azimuth that the array can know: on a linear array, the one in front of its axis."""
    if geometry.axis is None:
        return azimuth % 360
    relative = (azimuth - geometry.axis) % 360
    return (geometry.axis + min(relative, 360 - relative)) % 360


def _noise(
    geometry: Geometry,
    room: Room,
    kind: str,
    count: int,
    material: Sequence[Samples],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    if kind == "none":
        return np.zeros((count, geometry.size))
    if kind == "babble":
        return _diffuse(geometry, [_cut(material, count, random) for _ in range(_BABBLERS)], random)
    source = {"point": _speech_shaped, "talker": _cut, "fan": _fan, "music": _music}[kind]
    sound = source(material, count, random)
    where = "speaker" if kind == "music" else "noise"
    return _convolve(sound, impulse_responses(geometry, room, where))[:count]


def _speech_shaped(material: Sequence[Samples], count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return noise with the spectrum of speech, its loudness swaying a little like a crowd's."""
    spoken = np.concatenate(list(material))
    frames = np.lib.stride_tricks.sliding_window_view(spoken, 1024)[::512] * np.hanning(1024)
    envelope = np.sqrt((np.abs(np.fft.rfft(frames, axis=1)) ** 2).mean(0))
    spectrum = np.fft.rfft(random.standard_normal(count))
    shaped = np.fft.irfft(
        spectrum * np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, 513), envelope), count
    )
    steps = np.arange(0, count + 4000, 4000)
    slow = np.interp(np.arange(count), steps, random.standard_normal(len(steps)))
    return np.asarray(shaped * 10 ** (np.clip(slow, -1.5, 1.5) * 2 / 20))


def _cut(material: Sequence[Samples], count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return speech from anywhere in the material, without pauses between the pieces."""
    pieces: list[NDArray[np.float64]] = []
    while sum(map(len, pieces)) < count:
        chosen = material[int(random.integers(len(material)))].astype(float)
        chosen = np.roll(chosen, -int(random.integers(len(chosen))))
        pieces.append(chosen / max(float(np.sqrt(np.mean(chosen**2))), 1e-9))
    return np.concatenate(pieces)[:count]


def _fan(_material: Sequence[Samples], count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a fan: falling noise and the tones of its blades."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    air = np.fft.irfft(spectrum / np.sqrt(1 + (frequency / 250) ** 2), count)
    air /= np.sqrt(np.mean(air**2))
    time = np.arange(count) / SAMPLE_RATE
    turns = 118 * (1 + 0.004 * np.sin(2 * np.pi * 0.3 * time))
    phase = 2 * np.pi * np.cumsum(turns) / SAMPLE_RATE
    blades = sum(0.3 / n * np.sin(n * phase) for n in range(1, 7))
    return np.asarray(air + blades)


def _music(_material: Sequence[Samples], count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a tune over chords, with overtones and decay."""
    out = np.zeros(count + SAMPLE_RATE)
    beat = SAMPLE_RATE // 3
    scale = np.array([0, 2, 4, 7, 9, 12, 14, 16])
    for number, start in enumerate(range(0, count, beat)):
        notes = [int(random.choice(scale))]
        if number % 4 == 0:
            notes += [-12, -12 + int(random.choice([4, 5, 7]))]
        time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
        for note in notes:
            pitch = 261.63 * 2 ** (note / 12)
            tone = sum(np.sin(2 * np.pi * n * pitch * time) / n**1.2 for n in range(1, 12) if n * pitch < 7500)
            out[start : start + SAMPLE_RATE] += tone * np.exp(-3 * time)
    return out[:count]


def _diffuse(
    geometry: Geometry, sounds: Sequence[NDArray[np.float64]], random: np.random.Generator
) -> NDArray[np.float64]:
    """Let each sound come as a plane wave from its own point of a sphere, the points spread evenly."""
    count = len(sounds[0])
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    out = np.zeros((geometry.size, len(frequency)), complex)
    number = np.arange(len(sounds))
    elevations = np.degrees(np.arcsin(1 - 2 * (number + 0.5) / len(sounds)))
    turn = random.uniform(0, 360)
    for sound, azimuth, elevation in zip(sounds, turn + number * 137.508, elevations, strict=True):
        delays = geometry.delays(azimuth, elevation)[0]
        out += np.fft.rfft(sound) * np.exp(2j * np.pi * frequency * delays[:, None])
    return np.fft.irfft(out, count, axis=1).T


def _mismatched(sound: NDArray[np.float64], mismatch: Mismatch, seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng([seed, 3])
    gains = 10 ** (random.normal(0, mismatch.gain_db, sound.shape[1]) / 20)
    delays = random.normal(0, mismatch.delay, sound.shape[1])
    frequency = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    turn = np.exp(-2j * np.pi * frequency[:, None] * delays)
    return np.fft.irfft(np.fft.rfft(sound, axis=0) * turn * gains, len(sound), axis=0)


def _convolve(sound: NDArray[np.float32] | NDArray[np.float64], responses: NDArray[np.float64]) -> NDArray[np.float64]:
    length = len(sound) + len(responses) - 1
    size = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(sound, size)[:, None] * np.fft.rfft(responses, size, axis=0)
    return np.fft.irfft(spectrum, size, axis=0)[:length]


def _active(sound: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the samples where somebody talks: within 35 dB of the loudest 50 ms."""
    size = SAMPLE_RATE // 20
    blocks = np.pad(sound, (0, -len(sound) % size)).reshape(-1, size)
    level = (blocks**2).mean(1)
    return np.repeat(level > level.max() * 10**-3.5, size)[: len(sound)]


def read_speech(path: Path) -> Samples:
    """Read a recording as mono samples at 16 kHz."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(sound[:, 0], rate, SAMPLE_RATE), np.float32)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("speech", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--geometry", default="respeaker-usb-4mic", type=click.Choice(list(available())), show_default=True)
@click.option("--rt60", default=0.4, show_default=True, help="Reverberation time in seconds.")
@click.option("--noise", default="point", type=click.Choice(NOISES), show_default=True)
@click.option("--snr", default=5.0, show_default=True, help="dB at the first microphone.")
@click.option("--azimuth", default=0.0, show_default=True, help="Of the talker, in degrees.")
@click.option("--distance", default=1.0, show_default=True, help="Of the talker, in metres.")
@click.option("--noise-azimuth", default=120.0, show_default=True)
@click.option("--noise-distance", default=2.0, show_default=True)
@click.option("--gain-mismatch", default=0.0, help="Standard deviation in dB.")
@click.option("--delay-mismatch", default=0.0, help="Standard deviation in microseconds.")
@click.option("--lead", default=2.0, show_default=True, help="Seconds of noise before the talker begins.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
def main(
    speech: Path, geometry: str, rt60: float, noise: str, snr: float, azimuth: float, distance: float,
    noise_azimuth: float, noise_distance: float, gain_mismatch: float, delay_mismatch: float, lead: float, seed: int,
    output: Path,
) -> None:  # fmt: skip
    """Write what the array hears of a recording, with all channels of the geometry's capture device."""
    array = load_geometry(geometry)
    spoken = np.concatenate([np.zeros(int(lead * SAMPLE_RATE), np.float32), read_speech(speech)])
    scene = simulate(
        array,
        spoken,
        Room(rt60, azimuth, distance, noise_azimuth, noise_distance, seed),
        noise,
        snr,
        mismatch=Mismatch(gain_mismatch, delay_mismatch * 1e-6),
    )
    channels = np.zeros((len(spoken), array.input_channels), np.float32)
    channels[:, list(array.channels)] = scene.mixture
    loudest = float(np.abs(channels).max())
    soundfile.write(output, channels * min(1.0, 0.9 / max(loudest, 1e-9)), SAMPLE_RATE)
    click.echo(f"{output}: {len(spoken) / SAMPLE_RATE:.1f} s, {array.input_channels} channels")


if __name__ == "__main__":
    main()
