"""The virtual four-channel microphone and speaker for tests that drive the real PortAudio.

The tests of this folder get the fixture `virtual_mic` from their conftest; others import it into theirs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from device.audio.portaudio import portaudio
from device.audio.reports import AudioReport, Happening
from tools.virtual_mic import VirtualMicrophone

PATIENCE = 60.0
"""Seconds after which something that should happen is given up; far more than a busy machine needs."""


@pytest.fixture
def virtual_mic(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualMicrophone]:
    """A virtual microphone array and speaker that this process's PortAudio sees, and nothing else."""
    with VirtualMicrophone(channels=4) as mic:
        for name, value in mic.env().items():
            monkeypatch.setenv(name, value)
        portaudio.terminate()
        yield mic
        portaudio.terminate()


class Watch:
    """Collects blocks and reports, and waits for what is looked for among them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.blocks: list[NDArray[np.float32]] = []
        self.reports: list[AudioReport] = []
        self.playing: list[bool] = []

    def on_block(self, block: NDArray[np.float32]) -> None:
        with self._changed:
            self.blocks.append(block)
            self._changed.notify_all()

    def on_report(self, report: AudioReport) -> None:
        with self._changed:
            self.reports.append(report)
            self._changed.notify_all()

    def on_playing(self, playing: bool) -> None:
        with self._changed:
            self.playing.append(playing)
            self._changed.notify_all()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds; it is asked again after each block and report."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), f"{what}: waited in vain; {self.reports}"

    def until_reported(self, kind: Happening, count: int = 1) -> AudioReport:
        """Wait for a report of a kind, the ``count``-th, and return it."""
        self.until(lambda: len(self.of(kind)) >= count, f"{kind} report")
        return self.of(kind)[count - 1]

    def until_heard(self, frames: int) -> None:
        """Wait until so many frames have come from now on."""
        target = self.frames + frames
        self.until(lambda: self.frames >= target, f"{frames} frames")

    def of(self, kind: Happening) -> list[AudioReport]:
        return [report for report in self.reports if report.kind is kind]

    @property
    def frames(self) -> int:
        return sum(map(len, self.blocks))

    @property
    def audio(self) -> NDArray[np.float32]:
        with self._changed:
            return np.concatenate(self.blocks)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def likeness(heard: NDArray[np.float32], played: NDArray[np.float32]) -> float:
    """Return the highest normalised correlation of what was played with any stretch of what was heard.

    It is the median over short parts of what was played, each found by itself: a busy machine makes PulseAudio
    stumble here and there.
    """
    size = len(heard) + len(played)
    spectrum = np.fft.rfft(heard, size)
    found = []
    parts = np.array_split(played, 30)
    for part in [part for part in parts if np.std(part) > 0.3 * np.std(played)]:
        product = np.fft.irfft(spectrum * np.conj(np.fft.rfft(part, size)), size)
        at = int(np.argmax(product[: len(heard)]))
        stretch = heard[at : at + len(part)]
        found.append(product[at] / (np.linalg.norm(stretch) * np.linalg.norm(part) + 1e-9))
    return float(np.median(found))
