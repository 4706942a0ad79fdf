"""The utterances that are measured: real recordings cut where their readers pause, with the end of speech known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.audio.files import read_blocks
from device.engines.protocols import VoiceActivity
from device.events import SAMPLE_RATE, Samples

FILES = {
    "en": (
        "two_cities.wav",
        "endgame_nagg_nell.wav",
        "audioeval/audio/en/counting.wav",
        "audioeval/audio/en/quick_brown_fox.wav",
    ),
    "pt": ("audioeval/audio/pt/contagem.wav", "audioeval/audio/pt/pangrama.wav"),
}
LEAD = 0.3
"""Seconds kept before the first word."""
PAUSE = 0.55
"""Silence that divides utterances; the interpreter's own endpoint is near it."""
SHORTEST, LONGEST = 1.2, 12.0
_HOP = SAMPLE_RATE // 100
_QUIET = 10 ** (-35 / 20)
"""A hundredth of a second this far below the loudest one is no longer speech."""


@dataclass(frozen=True)
class Utterance:
    """One recorded utterance, 16 kHz mono."""

    name: str
    samples: Samples
    speech_end: float
    """Where the sound of the last word ends, in seconds."""

    def released_after(self, seconds: float) -> Utterance:
        """Return the utterance as it is recorded when the button is let go ``seconds`` after the last word."""
        wanted = round((self.speech_end + seconds) * SAMPLE_RATE)
        padded = np.pad(self.samples, (0, max(0, wanted - len(self.samples))))
        return replace(self, samples=padded[:wanted])


def read(path: Path) -> Samples:
    """Return a whole recording."""
    return np.concatenate(list(read_blocks(path)))


def utterances(folder: Path, language: str, vad: VoiceActivity) -> list[Utterance]:
    """Return the utterances of the recordings in ``folder``, those that are very short or long left out."""
    found = []
    for name in FILES[language]:
        samples = read(folder / name)
        for number, (begin, end, limit) in enumerate(_stretches(samples, vad)):
            first = max(0, begin - round(LEAD * SAMPLE_RATE))
            last = _last_sound(samples, begin, min(limit, end + round(0.1 * SAMPLE_RATE)))
            if SHORTEST <= (last - begin) / SAMPLE_RATE <= LONGEST:
                cut = samples[first : min(limit, last + SAMPLE_RATE)]
                found.append(Utterance(f"{Path(name).stem}-{number}", cut, (last - first) / SAMPLE_RATE))
    return found


def _stretches(samples: Samples, vad: VoiceActivity) -> list[tuple[int, int, int]]:
    """Return the first and last sample of each stretch of speech, and where the next one begins."""
    vad.reset()
    whole = range(0, len(samples) - vad.frame, vad.frame)
    voiced = [start for start in whole if vad.is_speech(samples[start : start + vad.frame])]
    stretches: list[list[int]] = []
    for start in voiced:
        if stretches and start - stretches[-1][1] < PAUSE * SAMPLE_RATE:
            stretches[-1][1] = start + vad.frame
        else:
            stretches.append([start, start + vad.frame])
    limits = [following[0] for following in stretches[1:]] + [len(samples)]
    return [(begin, end, limit) for (begin, end), limit in zip(stretches, limits, strict=True)]


def _last_sound(samples: Samples, begin: int, end: int) -> int:
    """Return where the sound between two samples ends, to a hundredth of a second."""
    hops: NDArray[np.float32] = samples[begin : begin + (end - begin) // _HOP * _HOP].reshape(-1, _HOP)
    loudness = np.sqrt((hops**2).mean(axis=1))
    return begin + (int(np.flatnonzero(loudness > _QUIET * loudness.max())[-1]) + 1) * _HOP
