"""The microphone: blocks of samples from PortAudio, from a device that may stumble, vanish and come back.

PortAudio's callback only puts a block into a bounded queue. A thread takes it out, keeps the clock, and
hands it on. The clock is the point: whatever is lost on the way is replaced by as much silence, so that the
time of a sample, counted from the start, stays the time at which it was heard.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import numpy as np
import pyaudio

from device.audio.clock import AudioClock
from device.audio.devices import AudioDevice, Direction, choose, list_devices
from device.audio.filecapture import FILE_PREFIX, FileCapture
from device.audio.files import probe
from device.audio.portaudio import hurry, portaudio
from device.audio.reports import AudioReport, Happening, OnReport, ignore
from device.audio.source import SILENCE_STEP, OnBlock, Outlet, Source
from device.config import AudioSettings
from device.errors import DragomanError
from device.wording import counted

QUEUE_SECONDS = 4.0
"""Audio that waits for a slow receiver at most."""
VANISHED_AFTER = 2.0
"""Seconds without a callback after which a device is given up."""
FIRST_RETRY = 0.5
LAST_RETRY = 30.0
"""Seconds between two searches for a lost device; each search waits twice as long as the one before."""
REPORT_EVERY = 1.0
_POLL = 0.25
_RELEASED = "released"


def open_capture(settings: AudioSettings, on_block: OnBlock, on_event: OnReport = ignore) -> Source:
    """Return the microphone that the configuration chooses, not started: a device, or ``file:PATH``.

    The parameters are those of `Capture`.
    """
    if _is_file(settings):
        return FileCapture(settings, on_block, on_event)
    return Capture(settings, on_block, on_event)


def require_microphone(settings: AudioSettings) -> None:
    """Make sure that there is something to listen to now, for a command that need not wait until there is.

    Raises
    ------
    DragomanError
        There is no such microphone, or no such recording that stands in for one.
    """
    if _is_file(settings):
        probe(str(settings.input).removeprefix(FILE_PREFIX))
    else:
        choose(list_devices(), settings.input, Direction.INPUT)


def _is_file(settings: AudioSettings) -> bool:
    return isinstance(settings.input, str) and settings.input.startswith(FILE_PREFIX)


class _Intake:
    """One stream's queue; `callback` is PortAudio's and does as little as possible."""

    def __init__(self, blocks: int) -> None:
        self._limit = blocks
        self._dropped = 0
        self._hurried = False
        # SimpleQueue.put is one C call that neither blocks nor waits for the reader.
        self.blocks: queue.SimpleQueue[tuple[bytes, int, int, float] | None] = queue.SimpleQueue()

    def callback(self, data: bytes, frames: int, _timing: object, status: int) -> tuple[None, int]:
        if not self._hurried:
            self._hurried = True
            hurry()
        if self.blocks.qsize() >= self._limit:
            self._dropped += frames
        else:
            self.blocks.put((data, self._dropped, status, time.monotonic()))
            self._dropped = 0
        return None, pyaudio.paContinue


class Capture(Source):
    """Captures from a device, for as long as it takes.

    Parameters
    ----------
    settings
        Which device, rate, channels and block length.
    on_block
        Receives blocks float32 of shape ``(frames, channels)`` at the device's rate, after a ``FOUND``
        report has told both. While the device is away it receives silence.
    on_event
        Receives ``FOUND``, ``LOST`` and, at most once a second, ``OVERRUN``.
    """

    def __init__(self, settings: AudioSettings, on_block: OnBlock, on_event: OnReport = ignore) -> None:
        super().__init__("capture", on_block, on_event)
        self._settings = settings
        self._intake = _Intake(0)
        self._stream: Any = None
        self._lock = threading.Lock()
        """Guards ``_stream``, which another thread may close."""
        self._device: AudioDevice | None = None
        self.overruns = 0
        """How often audio was lost since the start."""
        self.lost = 0.0
        """Seconds of audio that silence took the place of while the device was there."""

    def _wake(self) -> None:
        self._intake.blocks.put(None)

    def _run(self) -> None:
        stopping = self._stopping
        self._outlet = Outlet(self._on_block)
        self._clock = AudioClock()
        self._pending_overruns, self._pending_lost, self._reported = 0, 0.0, 0.0
        retry = 0.0
        lost = False
        while not stopping.is_set():
            if (reason := self._open(rescan=retry > 0)) is None:
                retry, lost = 0.0, False
                reason = self._pump(stopping)
                self._close()
            if reason is None:
                return
            if reason == _RELEASED:
                continue
            if not lost:
                lost = True
                name = self._device.name if self._device else str(self._settings.input or "")
                self._on_event(AudioReport(kind=Happening.LOST, text=reason, device=name))
            retry = min(LAST_RETRY, max(FIRST_RETRY, retry * 2))
            self._wait(stopping, retry)

    def _open(self, *, rescan: bool) -> str | None:
        """Open the device and report it; return why that could not be done."""
        settings = self._settings
        if rescan and not portaudio.rescan(urgent=True):
            return "the microphone cannot be looked for while the device speaks"
        try:
            device = choose(list_devices(), settings.input, Direction.INPUT)
            rate = settings.rate or device.rate
            channels = settings.channels or device.capture_channels
            if channels > device.inputs:
                return f"the microphone {device.name!r} has {counted(device.inputs, 'channel')}, not {channels}"
            self._intake = _Intake(max(4, round(QUEUE_SECONDS / settings.block)))
            self._stream = portaudio.open(
                self._release,
                format=pyaudio.paFloat32,
                channels=channels,
                rate=rate,
                input=True,
                input_device_index=device.index,
                frames_per_buffer=round(settings.block * rate),
                stream_callback=self._intake.callback,
            )
        except DragomanError as error:
            return str(error)
        except (OSError, ValueError) as error:
            why = error.args[-1] if error.args else error
            return f"the microphone {device.name!r} refuses {counted(channels, 'channel')} at {rate} Hz: {why}"
        self._device, self.rate, self.channels = device, rate, channels
        self._outlet.set_rate(rate)
        self._clock.restart()
        text = f"listening to {device.name!r}: {counted(channels, 'channel')} at {rate} Hz"
        self._on_event(AudioReport(kind=Happening.FOUND, text=text, device=device.name, rate=rate, channels=channels))
        return None

    def _close(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            portaudio.close(stream)

    def _release(self) -> bool:
        """Let go of the microphone while somebody looks for devices; it is opened again at once."""
        self._close()
        self._intake.blocks.put(None)
        return True

    def _pump(self, stopping: threading.Event) -> str | None:
        """Hand on what comes until the device fails; return why, or None when asked to stop."""
        last = time.monotonic()
        first = self._outlet.seconds > 0
        while not stopping.is_set():
            try:
                item = self._intake.blocks.get(timeout=_POLL)
            except queue.Empty:
                self._report_overruns()
                if reason := self._failure(time.monotonic() - last):
                    return reason
                continue
            if item is None:
                if self._stream is None:
                    # Released for a search for devices.
                    return _RELEASED
                continue
            data, dropped, status, last = item
            block = np.frombuffer(data, np.float32).reshape(-1, self.channels)
            length = len(block) / self.rate
            if first:
                # What the device missed while it was away, less what silence has stood in for already.
                first = False
                self._insert(self._clock.behind(last, self._outlet.seconds + length))
            if dropped:
                self._count(dropped / self.rate)
            elif status & pyaudio.paInputOverflow:
                self._count(0.0)
            if gap := self._clock.missing(last, self._outlet.seconds + length):
                self._lose(gap)
            self._outlet.put(block)
            self._report_overruns()
        return None

    def _failure(self, quiet_for: float) -> str | None:
        name = self._device.name if self._device else ""
        try:
            with self._lock:
                active = self._stream is None or self._stream.is_active()
        except OSError as error:
            return f"the microphone {name!r} failed: {error.args[-1] if error.args else error}"
        if not active:
            return f"the microphone {name!r} stopped"
        if quiet_for >= VANISHED_AFTER:
            return f"the microphone {name!r} gives no more sound"
        return None

    def _wait(self, stopping: threading.Event, seconds: float) -> None:
        """Wait for the next search; silence goes on meanwhile, so that what was being said can end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not stopping.wait(min(left, SILENCE_STEP)):
            if self._outlet.seconds:
                self._insert(self._clock.behind(time.monotonic(), self._outlet.seconds))

    def _insert(self, seconds: float) -> None:
        self._outlet.put_silence(seconds, self.channels)

    def _count(self, seconds: float) -> None:
        self.overruns += 1
        self._pending_overruns += 1
        self._lose(seconds)

    def _lose(self, seconds: float) -> None:
        self.lost += seconds
        self._pending_lost += seconds
        self._insert(seconds)

    def _report_overruns(self) -> None:
        now = time.monotonic()
        if not (self._pending_overruns or self._pending_lost) or now - self._reported < REPORT_EVERY:
            return
        count, seconds = self._pending_overruns, self._pending_lost
        self._pending_overruns, self._pending_lost, self._reported = 0, 0.0, now
        text = f"the microphone was not heard in time: {seconds:.2f} s lost in {counted(max(1, count), 'overrun')}"
        name = self._device.name if self._device else ""
        self._on_event(AudioReport(kind=Happening.OVERRUN, text=text, device=name, count=count, seconds=seconds))
