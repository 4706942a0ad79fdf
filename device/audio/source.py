"""What a microphone and its stand-in have in common: a thread that hands on blocks and keeps their time."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from device.audio.reports import OnReport

_LOG = logging.getLogger(__name__)

OnBlock = Callable[[NDArray[np.float32]], None]
"""Receives each block of shape ``(frames, channels)``, on the capture thread."""

SILENCE_STEP = 0.1
"""Seconds of a block of silence at most."""


class Outlet:
    """Hands blocks to their receiver, and counts their time."""

    def __init__(self, on_block: OnBlock) -> None:
        self._on_block = on_block
        self._rate = 0
        self._failing = False
        self.seconds = 0.0
        """Audio handed on since the start."""

    def set_rate(self, rate: int) -> None:
        """Expect blocks of another sample rate from here on."""
        self._rate = rate

    def put(self, block: NDArray[np.float32]) -> None:
        """Hand on a block. A receiver that fails is logged, once until it works again, and stops nothing."""
        self.seconds += len(block) / self._rate
        if not len(block):
            return
        try:
            self._on_block(block)
        except Exception:  # noqa: BLE001 - whatever it is, the next block is heard
            if not self._failing:
                _LOG.exception("a block from the microphone was not taken")
            self._failing = True
        else:
            self._failing = False

    def put_silence(self, seconds: float, channels: int) -> None:
        """Hand on silence, in blocks of a tenth of a second at most."""
        frames = round(seconds * self._rate)
        step = round(SILENCE_STEP * self._rate)
        for at in range(0, frames, step):
            self.put(np.zeros((min(step, frames - at), channels), np.float32))


class Source(ABC):
    """Hands on blocks from `start` to `stop`, on a thread of its own."""

    def __init__(self, name: str, on_block: OnBlock, on_event: OnReport) -> None:
        self._name = name
        self._on_block = on_block
        self._on_event = on_event
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self.rate = 0
        """Sample rate of the blocks; 0 until it is known."""
        self.channels = 0

    def start(self) -> None:
        """Begin; a ``FOUND`` or a ``LOST`` report follows. Does nothing while it runs.

        Raises
        ------
        DragomanError
            There is no such recording.
        """
        if self._thread is not None:
            return
        self._prepare()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; no block comes after this has returned. Does nothing when it has ended."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        self._wake()
        if thread is not threading.current_thread():
            thread.join(timeout=5.0)
            if thread.is_alive():
                _LOG.warning("the audio system does not let go of the microphone; left to itself")

    def _prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Find out what can be known before the start."""

    def _wake(self) -> None:  # noqa: B027 - most wait for nothing but the order to stop
        """Wake the thread, so that it sees that it is to stop."""

    @abstractmethod
    def _run(self) -> None:
        """Hand on blocks until ``_stopping`` is set."""
