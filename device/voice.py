"""The device's own voice: what is spoken when, and when the microphone must not listen because of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from device.audio.outputs import Tap
from device.audio.playback import Player
from device.audio.reports import OnReport
from device.config import Settings
from device.events import Samples, Speech


class Voice:
    """Plays speech, holds it back while somebody holds the button, and repeats it.

    Parameters
    ----------
    settings
        ``speech`` and ``audio.output``.
    on_change
        Called, on the player's thread, when the device begins or stops to speak.
    on_report
        Is told about the speaker.
    tap
        Receives everything that is played (see `Player`).
    """

    def __init__(
        self, settings: Settings, on_change: Callable[[], None], on_report: OnReport, tap: Tap | None = None
    ) -> None:
        self._half_duplex, self._tail = settings.speech.half_duplex, settings.speech.tail
        self._on_change = on_change
        self._lock = threading.Lock()
        self._held: list[Speech] | None = None
        self._last: list[Speech] = []
        self._deaf_until = 0.0
        self._speaking = False
        self._cueing = False
        self.player = Player(settings.audio, settings.speech.volume, self._playing, on_report, tap)

    @property
    def speaking(self) -> bool:
        """Whether something is being said."""
        return self._speaking

    @property
    def deafens(self) -> bool:
        """Whether the microphone hears, or may still hear, the device's own voice (half duplex only)."""
        return self._half_duplex and (self._speaking or time.monotonic() < self._deaf_until)

    def say(self, speech: Speech) -> None:
        """Play a piece of speech after what is being said; while held back, when that is over."""
        with self._lock:
            if self._last and self._last[0].utterance != speech.utterance:
                self._last = []
            self._last.append(speech)
            if self._held is not None:
                self._held.append(speech)
                return
        self._play(speech)

    def cue(self, samples: Samples, rate: int) -> None:
        """Play a short sound that is no speech, unless there is speech: the microphone goes on listening."""
        if not self.player.playing:
            self._cueing = True
            self.player.play(samples, rate)

    def _play(self, speech: Speech) -> None:
        if self._cueing:
            self._cueing = False
            if self.player.playing:  # the player has told that it plays, and will not tell again
                self._playing(True)
        self.player.play(speech.samples, speech.sample_rate)

    def repeat(self) -> bool:
        """Say the last utterance's speech again; false when there is none."""
        with self._lock:
            again = list(self._last)
        for speech in again:
            self._play(speech)
        return bool(again)

    def hold_back(self) -> None:
        """Be silent at once and keep what comes for later: somebody has the floor."""
        with self._lock:
            self._held = []
        self.player.stop()
        self._deaf_until = 0.0

    def go_on(self) -> None:
        """Say what was held back, and what comes meanwhile after it."""
        while True:
            with self._lock:
                if not self._held:
                    self._held = None
                    return
                speech = self._held.pop(0)
            self._play(speech)

    def silence(self) -> None:
        """Be silent at once, and forget what was held back."""
        with self._lock:
            if self._held is not None:
                self._held = []
        self.player.stop()

    def _playing(self, playing: bool) -> None:
        if playing and self._cueing:
            return
        self._cueing = False
        if self._speaking == playing:
            return
        self._speaking = playing
        if not playing:
            self._deaf_until = time.monotonic() + self._tail
        self._on_change()
