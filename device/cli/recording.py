"""Listening at the configured microphone for ``dragoman doctor``, while something is played or not."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.config import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from device.audio.reports import AudioReport

SETTLE = 0.3
"""Seconds after which a microphone that was just opened hears what is played."""
PATIENCE = 10.0
FOUND = 9.0
"""How far the correlation with the chirp must rise above its own root mean square. Noise rises to 5."""


@dataclass(frozen=True)
class Heard:
    """A recording with all channels of the device."""

    sound: NDArray[np.float32]
    rate: int
    played_at: float
    """Seconds into the recording at which a sound was given to the speaker, if one was."""

    def at_16k(self) -> NDArray[np.float32]:
        """Return the recording at the rate that everything behind capture has."""
        import numpy as np
        import soxr

        from device.events import SAMPLE_RATE

        if self.rate == SAMPLE_RATE:
            return self.sound
        return np.asarray(soxr.resample(self.sound, self.rate, SAMPLE_RATE), np.float32)


@dataclass(frozen=True)
class Echo:
    """A sound that was found again."""

    at: int
    """Where it begins, in samples at 16 kHz."""
    level: float
    """Its root mean square."""


def find_echo(channel: NDArray[np.float32], played: NDArray[np.float32]) -> Echo | None:
    """Look for a sound in a recording, by a matched filter; None where it is not."""
    import numpy as np

    size = len(channel) + len(played)
    product = np.fft.irfft(np.fft.rfft(channel, size) * np.conj(np.fft.rfft(played, size)), size)
    alike = np.abs(product[: len(channel)])
    at = int(np.argmax(alike))
    if alike[at] < FOUND * float(np.sqrt(np.mean(alike**2))) + 1e-9:
        return None
    gain = alike[at] / float(np.sum(played.astype(np.float64) ** 2))
    return Echo(at, float(gain * np.sqrt(np.mean(played**2))))


class _Recorder:
    """Collects what a microphone hears, and what goes wrong meanwhile."""

    def __init__(self, settings: Settings, seconds: float) -> None:
        from device.audio.capture import Capture

        self.blocks: list[NDArray[np.float32]] = []
        self.trouble: list[str] = []
        self.settled, self.done = threading.Event(), threading.Event()
        self._seconds = seconds
        self.capture = Capture(settings.audio, self._heard, self.reported)

    @property
    def heard(self) -> float:
        """Seconds so far."""
        return sum(map(len, self.blocks)) / self.capture.rate if self.blocks else 0.0

    def _heard(self, block: NDArray[np.float32]) -> None:
        self.blocks.append(block)
        if self.heard >= SETTLE:
            self.settled.set()
        if self.heard >= self._seconds:
            self.done.set()

    def reported(self, report: AudioReport) -> None:
        """Take note of a microphone or a speaker that cannot be used."""
        from device.audio.reports import Happening

        if report.kind is Happening.LOST:
            self.trouble.append(report.text)
            self.settled.set()
            self.done.set()


def listen(settings: Settings, seconds: float, play: NDArray[np.float32] | None = None) -> Heard | str:
    """Record the configured microphone, and meanwhile play something; return what was heard, or why nothing was."""
    import numpy as np

    from device.audio.playback import Player
    from device.events import SAMPLE_RATE

    recorder = _Recorder(settings, seconds)
    player, played_at = None, 0.0
    recorder.capture.start()
    try:
        if play is not None:
            player = Player(settings.audio, settings.speech.volume, on_event=recorder.reported)
            player.start()
            recorder.settled.wait(PATIENCE)
            played_at = recorder.heard
            player.play(play, SAMPLE_RATE)
        recorder.done.wait(PATIENCE + seconds)
    finally:
        recorder.capture.stop()
        if player is not None:
            player.close()
    if recorder.trouble or not recorder.blocks:
        return recorder.trouble[0] if recorder.trouble else "the microphone gives no sound at all"
    return Heard(np.concatenate(recorder.blocks), recorder.capture.rate, played_at)
