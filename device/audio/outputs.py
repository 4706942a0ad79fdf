"""Where speech goes: a speaker, a file, or nowhere; each pulls from a feed at its own pace."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pyaudio

from device.audio.capture import VANISHED_AFTER
from device.audio.devices import Direction, choose, list_devices
from device.audio.portaudio import hurry, portaudio
from device.audio.wav import WavWriter
from device.errors import DragomanError
from device.events import Samples
from device.wording import counted

CLOCK_RATE = 24_000
"""Sample rate of the outputs without a device; no voice of the catalogue has a higher one."""
FADE = 0.006
"""Seconds in which sound that is cut fades out."""
LOW = 0.06
"""Seconds of waiting sound below which whoever pushes is told."""
_CLOCK_PERIOD = 0.02


Tap = Callable[[Samples, int], None]
"""Receives what is played, and its sample rate, in the moment in which the device takes it."""


class Feed:
    """Samples on their way to an output: pushed by the player, pulled by the device.

    The lock is held for moments only, so the device's callback does not wait on anything that computes.
    """

    def __init__(self, rate: int, volume: float, on_low: Callable[[], None], tap: Tap | None = None) -> None:
        self.rate = rate
        self.volume = volume
        self._played_volume = volume
        self._on_low = on_low
        self._tap = tap
        self._lock = threading.Lock()
        self._parts: deque[Samples] = deque()
        self._held = 0
        self._cut = False

    def push(self, samples: Samples) -> None:
        """Add samples after those that wait."""
        if len(samples):
            with self._lock:
                self._parts.append(samples)
                self._held += len(samples)

    def cut(self) -> None:
        """Fade out what is being heard, and forget the rest."""
        with self._lock:
            self._cut = self._held > 0

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._held == 0

    @property
    def seconds(self) -> float:
        """How much waits to be pulled."""
        return self._held / self.rate

    def pull(self, frames: int) -> Samples | None:
        """Return the next ``frames`` samples, or None when there is nothing to play."""
        with self._lock:
            if not self._held:
                self._played_volume = self.volume
                if self._tap is not None:
                    self._tap(np.zeros(frames, np.float32), self.rate)
                return None
            enough = self.seconds > LOW
            out = self._take(frames)
            if self._cut:
                self._cut = False
                fade = min(frames, max(1, round(FADE * self.rate)))
                out[:fade] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
                out[fade:] = 0.0
                self._parts.clear()
                self._held = 0
            low = self.empty or (enough and self.seconds <= LOW)
        # A new volume is reached over one period, without a step.
        out *= np.linspace(self._played_volume, self.volume, frames, dtype=np.float32)
        self._played_volume = self.volume
        if low:
            self._on_low()
        if self._tap is not None:
            self._tap(out, self.rate)
        return out

    def _take(self, frames: int) -> Samples:
        out = np.zeros(frames, np.float32)
        filled = 0
        while filled < frames and self._parts:
            part = self._parts.popleft()
            take = min(len(part), frames - filled)
            out[filled : filled + take] = part[:take]
            filled += take
            if take < len(part):
                self._parts.appendleft(part[take:])
        self._held -= filled
        return out


class Output(Protocol):
    """Pulls from a feed at its own pace."""

    name: str
    rate: int
    channels: int
    latency: float
    """Seconds from a pull until it is heard."""

    def begin(self, feed: Feed) -> None:
        """Begin to pull."""
        ...

    def failure(self) -> str | None:
        """Why it does not work any more, or None while it does."""
        ...

    def underruns(self) -> int:
        """Count the underruns since the last call."""
        ...

    def close(self) -> None:
        """End; may be called again."""
        ...


class DeviceOutput:
    """A speaker, through PortAudio's callback."""

    def __init__(self, wanted: str | int | None, period: float, release: Callable[[], bool]) -> None:
        device = choose(list_devices(), wanted, Direction.OUTPUT)
        self._release = release
        self._device = device
        self.name = device.name
        self.rate = device.rate
        self.channels = min(2, device.outputs)
        self.latency = 0.0
        self._frames = round(period * self.rate)
        self._silence = bytes(4 * self.channels * self._frames)
        self._stream: Any = None
        self._underruns = 0
        self._called = 0.0

    def begin(self, feed: Feed) -> None:
        """Open the stream.

        Raises
        ------
        DragomanError
            The device refuses.
        """
        self._feed = feed
        try:
            self._stream = portaudio.open(
                self._release,
                format=pyaudio.paFloat32,
                channels=self.channels,
                rate=self.rate,
                output=True,
                output_device_index=self._device.index,
                frames_per_buffer=self._frames,
                stream_callback=self._callback,
            )
            self.latency = self._stream.get_output_latency()
        except (OSError, ValueError) as error:
            why = error.args[-1] if error.args else error
            what = f"{counted(self.channels, 'channel')} at {self.rate} Hz"
            raise DragomanError(f"the speaker {self.name!r} refuses {what}: {why}") from None
        self._opened = time.monotonic()

    def _callback(self, _data: None, frames: int, _timing: object, status: int) -> tuple[bytes, int]:
        if not self._called:
            hurry()
        self._called = time.monotonic()
        if status & pyaudio.paOutputUnderflow and not self._feed.empty:
            self._underruns += 1
        samples = self._feed.pull(frames)
        if samples is None:
            size = 4 * self.channels * frames
            return self._silence if len(self._silence) == size else bytes(size), pyaudio.paContinue
        return np.repeat(samples, self.channels).tobytes(), pyaudio.paContinue

    def failure(self) -> str | None:
        """Why it does not work any more: PortAudio says so, or has not asked for samples for too long."""
        try:
            if not self._stream.is_active():
                return f"the speaker {self.name!r} stopped"
        except OSError as error:
            return f"the speaker {self.name!r} failed: {error.args[-1] if error.args else error}"
        if time.monotonic() - max(self._called, self._opened) > VANISHED_AFTER:
            return f"the speaker {self.name!r} takes no more sound"
        return None

    def underruns(self) -> int:
        """Count the underruns since the last call."""
        count, self._underruns = self._underruns, 0
        return count

    def close(self) -> None:
        """Close the stream; may be called again."""
        stream, self._stream = self._stream, None
        if stream is not None:
            portaudio.close(stream)


class ClockOutput:
    """No speaker: takes samples at the pace of the clock, and writes them into a file where one is asked for."""

    channels = 1
    rate = CLOCK_RATE
    latency = 0.0

    def __init__(self, name: str, writer: WavWriter | None) -> None:
        self.name = name
        self._writer = writer
        self._reason: str | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, feed: Feed) -> None:
        """Begin to pull."""
        self._thread = threading.Thread(target=self._run, args=(feed,), name="clock-output", daemon=True)
        self._thread.start()

    def _run(self, feed: Feed) -> None:
        frames = round(_CLOCK_PERIOD * self.rate)
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            due += _CLOCK_PERIOD
            samples = feed.pull(frames)
            if samples is not None and self._writer is not None:
                try:
                    self._writer.append(samples, self.rate)
                except DragomanError as error:
                    self._reason = str(error)
                    return

    def failure(self) -> str | None:
        """Why nothing more can be written."""
        return self._reason

    def underruns(self) -> int:
        """Count none: a clock is never late."""
        return 0

    def close(self) -> None:
        """End; may be called again."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
