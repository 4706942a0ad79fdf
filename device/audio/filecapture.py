"""A recording that stands in for the microphone."""

from __future__ import annotations

import logging
import time

import numpy as np
from numpy.typing import NDArray

from device.audio.files import probe, read_multichannel
from device.audio.reports import AudioReport, Happening, OnReport, ignore
from device.audio.source import OnBlock, Outlet, Source
from device.config import AudioSettings
from device.errors import DragomanError
from device.wording import counted

_LOG = logging.getLogger(__name__)

FILE_PREFIX = "file:"


class FileCapture(Source):
    """Plays a recording: the same blocks as a device at the same pace, then silence.

    Chosen by ``audio.input = "file:PATH"``. The parameters are those of `Capture`; rate and channels are
    the file's.
    """

    def __init__(self, settings: AudioSettings, on_block: OnBlock, on_event: OnReport = ignore) -> None:
        super().__init__("file-capture", on_block, on_event)
        self._path = str(settings.input).removeprefix(FILE_PREFIX)
        self._block = settings.block

    def _prepare(self) -> None:
        info = probe(self._path)
        self.rate, self.channels = info.rate, info.channels

    def _run(self) -> None:
        stopping = self._stopping
        outlet = Outlet(self._on_block)
        outlet.set_rate(self.rate)
        text = f"listening to {self._path}: {counted(self.channels, 'channel')} at {self.rate} Hz"
        self._report(Happening.FOUND, text)
        began = time.monotonic()

        def play(block: NDArray[np.float32]) -> bool:
            """Hand a block on at the moment at which its last sample would have been captured."""
            due = began + outlet.seconds + len(block) / self.rate
            if stopping.wait(max(0.0, due - time.monotonic())):
                return False
            outlet.put(block)
            return True

        try:
            for block in read_multichannel(self._path, self._block, self._warn):
                if not play(block):
                    return
        except DragomanError as error:
            self._report(Happening.LOST, str(error))
        self._report(Happening.ENDED, f"{self._path} is over")
        silence = np.zeros((round(self._block * self.rate), self.channels), np.float32)
        while play(silence):
            pass

    def _warn(self, line: str) -> None:
        _LOG.warning("%s", line)

    def _report(self, kind: Happening, text: str) -> None:
        self._on_event(AudioReport(kind=kind, text=text, device=self._path, rate=self.rate, channels=self.channels))
