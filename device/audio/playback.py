"""The speaker: what is to be said, one chunk after the other without gaps, and silence at once when asked.

The output stream stays open between the utterances of a conversation and is fed silence, so that the first sample
waits for no device to wake up. Where nobody talks it rests, which saves a few percent of a core and the room an
amplifier's hiss; `Player.prime` wakes it as soon as somebody begins to talk. With a tap it never rests: opened again, a
device has another delay, and an echo canceller would have to learn the echo's path anew. Stand-ins that keep the same
time need no device: ``null`` says nothing, ``file:PATH`` writes WAV.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from device.audio.capture import FIRST_RETRY, LAST_RETRY, REPORT_EVERY
from device.audio.filecapture import FILE_PREFIX
from device.audio.outputs import CLOCK_RATE, LOW, ClockOutput, DeviceOutput, Feed, Output, Tap
from device.audio.portaudio import portaudio
from device.audio.reports import AudioReport, Happening, OnReport, ignore
from device.audio.resample import Resampler
from device.audio.wav import WavWriter
from device.config import AudioSettings
from device.errors import DragomanError
from device.events import Samples
from device.wording import counted

_LOG = logging.getLogger(__name__)

OnPlaying = Callable[[bool], None]
"""Told, on the player's thread, when sound begins (before it does) and when it has ended."""

NULL_OUTPUT = "null"
MOST_WAITING = 120.0
"""Seconds of speech that may wait to be played."""
PERIOD = 0.014
"""Seconds that a device asks for at a time, and it holds two of them: a cut is heard within 50 ms."""
_LONGEST_PERIOD = 0.05
_STRAINED_AFTER = 3
"""Underruns after which a device is given longer periods: a busy machine cuts more slowly, but does not stutter."""
REST_AFTER = 5.0
"""Seconds of quiet after which the device is let go until it is needed."""
_PIECE = 0.5
_POLL = 0.25


@dataclass(frozen=True, slots=True)
class _Chunk:
    samples: Samples
    rate: int
    generation: int
    """Counts the cuts: what was queued before the last one is not played."""


class Player:
    """Plays speech.

    Parameters
    ----------
    settings
        ``output`` chooses the device: a name or index, None for the system's, ``null``, or ``file:PATH``.
    volume
        Factor from 0 to 1; may be set while it plays.
    on_playing
        Told true before the first sample of an utterance is heard, false when the last one has been.
    on_event
        Receives ``FOUND``, ``LOST``, ``DROPPED`` and ``UNDERRUN``, on the player's thread.
    tap
        Receives everything that is played, silence too, on the device's thread: an echo canceller's reference.
    """

    def __init__(
        self,
        settings: AudioSettings,
        volume: float = 1.0,
        on_playing: OnPlaying = lambda _playing: None,
        on_event: OnReport = ignore,
        tap: Tap | None = None,
    ) -> None:
        self._settings = settings
        self._volume = volume
        self._on_playing = on_playing
        self._on_event = on_event
        self._tap = tap
        self._mail: queue.SimpleQueue[_Chunk | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._generation = self._stream_generation = 0
        self._waiting = 0.0
        self._silent = threading.Event()
        self._silent.set()
        self._output: Output | None = None
        self._feed: Feed | None = None
        self._resampler: Resampler | None = None
        self._writer: WavWriter | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._told_playing = False
        self._next_try = 0.0
        self._retry = 0.0
        self._lost = False
        self._dropped = 0.0
        self._underruns = 0
        self._strain = 0
        self._period = PERIOD
        self._resting = False
        self._needed = 0.0
        self._reported = 0.0

    def start(self) -> None:
        """Open the output; a ``FOUND`` or ``LOST`` report follows. Does nothing while it runs."""
        if self._thread is None:
            self._closing.clear()
            self._thread = threading.Thread(target=self._run, name="player", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End at once and let go of the device. Does nothing when it has ended."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.stop()
        self._closing.set()
        self._mail.put(None)
        if thread is not threading.current_thread():
            thread.join(timeout=5.0)
            if thread.is_alive():
                _LOG.warning("the audio system does not let go of the speaker; left to itself")

    @property
    def playing(self) -> bool:
        """Whether something is being said or waits to be."""
        return not self._silent.is_set()

    @property
    def volume(self) -> float:
        """Factor from 0 to 1."""
        return self._volume

    @volume.setter
    def volume(self, factor: float) -> None:
        self._volume = min(1.0, max(0.0, factor))
        if (feed := self._feed) is not None:
            feed.volume = self._volume

    def play(self, samples: Samples, rate: int) -> None:
        """Say one chunk after all that were queued before; returns at once. A closed player says nothing.

        Parameters
        ----------
        samples
            Mono float32, shape ``(samples,)``.
        rate
            Their sample rate; any.
        """
        if not len(samples) or self._closing.is_set():
            return
        with self._lock:
            self._silent.clear()
            self._waiting += len(samples) / rate
            chunk = _Chunk(samples, rate, self._generation)
        self._mail.put(chunk)

    def prime(self) -> None:
        """Have the device open: something will be said soon. Returns at once."""
        self._needed = time.monotonic()
        self._mail.put(None)

    def stop(self) -> None:
        """Fall silent now, with a short fade, and forget what waits."""
        with self._lock:
            self._generation += 1
            if (feed := self._feed) is not None:
                feed.cut()
        self._mail.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all has been said; false when that took longer than ``timeout`` seconds."""
        return self._silent.wait(timeout)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._look_after_output()
            try:
                chunk = self._mail.get(timeout=_POLL)
            except queue.Empty:
                continue
            if chunk is not None:
                if self._resting:
                    self._resting = False
                    self._open_output()
                self._say(chunk)
            if self._mail.empty():
                self._finish()
        self._shut_output()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._tell(playing=False)
        self._silent.set()

    def _say(self, chunk: _Chunk) -> None:
        """Resample a chunk into the feed, piece by piece: a long one starts as soon as a short one."""
        with self._lock:
            waiting, feed = self._waiting, self._feed
            self._waiting -= len(chunk.samples) / chunk.rate
        if feed is None or feed.seconds > MOST_WAITING or waiting > MOST_WAITING:
            self._dropped += len(chunk.samples) / chunk.rate
            return
        self._tell(playing=True)
        if (self._resampler is None or self._resampler.rate_in != chunk.rate
                or self._stream_generation != chunk.generation):  # fmt: skip
            self._end_stream(feed)
            self._resampler = Resampler(chunk.rate, feed.rate)
            self._stream_generation = chunk.generation
        step = round(_PIECE * chunk.rate)
        for at in range(0, len(chunk.samples), step):
            piece = self._resampler.process(chunk.samples[at : at + step])
            with self._lock:
                if chunk.generation != self._generation:
                    return
                feed.push(piece)

    def _end_stream(self, feed: Feed) -> None:
        """Give out the resampler's rest, unless it was cut meanwhile."""
        if self._resampler is not None:
            rest = self._resampler.flush()
            self._resampler = None
            with self._lock:
                if self._stream_generation == self._generation:
                    feed.push(rest)

    def _finish(self) -> None:
        """Nothing more is queued: say the resampler's rest at the last moment, then tell that it is quiet.

        Not earlier: another piece of the same clause may follow, and the resampler must go on across the joint.
        """
        feed, output = self._feed, self._output
        if feed is not None:
            if feed.seconds <= LOW:
                self._end_stream(feed)
            if not feed.empty:
                # The feed's own message comes when it is low, and when it is empty.
                return
        if self._told_playing and output is not None:
            self._closing.wait(output.latency)
        with self._lock:
            if not self._mail.empty():
                return
            self._silent.set()
        self._tell(playing=False)

    def _tell(self, *, playing: bool) -> None:
        if playing is not self._told_playing:
            self._told_playing = playing
            self._needed = time.monotonic()
            try:
                self._on_playing(playing)
            except Exception:  # noqa: BLE001 - whatever it is, the device must not seem to speak for ever
                _LOG.exception("a listener of the speaker failed")

    def _look_after_output(self) -> None:
        output = self._output
        now = time.monotonic()
        if output is None:
            if self._resting:
                self._resting = now - self._needed > REST_AFTER
            if not self._resting and now >= self._next_try:
                self._open_output()
        elif self._tap is None and now - self._needed > REST_AFTER and not self.playing:
            self._shut_output()
            self._resting = True
        elif reason := self._failure(output):
            self._shut_output()
            self._lose(reason)
        else:
            self._ease(output.underruns())
        self._report_troubles()

    def _ease(self, underruns: int) -> None:
        """Give a device that is not fed in time more to hold, as soon as it is quiet."""
        self._underruns += underruns
        self._strain += underruns
        if self._strain >= _STRAINED_AFTER and self._period < _LONGEST_PERIOD and self._release():
            self._period = min(_LONGEST_PERIOD, self._period * 1.5)
            self._strain = 0
            self._open_output()

    def _failure(self, output: Output) -> str | None:
        with self._lock:
            # Released for a search for devices, in this very moment.
            return None if self._output is None else output.failure()

    def _open_output(self) -> None:
        if self._lost:
            portaudio.rescan(urgent=False)
        try:
            output = self._make_output()
            feed = Feed(output.rate, self._volume, lambda: self._mail.put(None), self._tap)
            output.begin(feed)
        except DragomanError as error:
            self._lose(str(error))
            return
        with self._lock:
            self._output, self._feed = output, feed
        self._needed = time.monotonic()
        if self._lost or not self._retry:
            text = f"speaking through {output.name!r}: {counted(output.channels, 'channel')} at {output.rate} Hz"
            self._report(Happening.FOUND, text, output)
        self._lost, self._retry = False, FIRST_RETRY

    def _make_output(self) -> Output:
        wanted = self._settings.output
        if wanted == NULL_OUTPUT:
            return ClockOutput(NULL_OUTPUT, None)
        if isinstance(wanted, str) and wanted.startswith(FILE_PREFIX):
            path = wanted.removeprefix(FILE_PREFIX)
            # Kept when writing fails, since opening it anew would lose what it holds.
            self._writer = self._writer or WavWriter(path, CLOCK_RATE)
            return ClockOutput(path, self._writer)
        return DeviceOutput(wanted, self._period, self._release)

    def _release(self) -> bool:
        """Let go of an idle speaker while somebody looks for devices; it is opened again at once."""
        with self._lock:
            if self.playing:
                return False
            output, self._output, self._feed = self._output, None, None
        if output is not None:
            output.close()
        self._next_try = 0.0
        self._mail.put(None)
        return True

    def _shut_output(self) -> None:
        with self._lock:
            output, self._output = self._output, None
            feed, self._feed = self._feed, None
        self._resampler = None
        if feed is not None:
            self._dropped += feed.seconds
        if output is not None:
            output.close()

    def _lose(self, reason: str) -> None:
        self._retry = min(LAST_RETRY, max(FIRST_RETRY, self._retry * 2)) if self._lost else FIRST_RETRY
        self._next_try = time.monotonic() + self._retry
        if not self._lost:
            self._lost = True
            self._report(Happening.LOST, reason, None)
        self._mail.put(None)

    def _report_troubles(self) -> None:
        if not (self._dropped or self._underruns) or time.monotonic() - self._reported < REPORT_EVERY:
            return
        self._reported = time.monotonic()
        if self._dropped:
            seconds, self._dropped = self._dropped, 0.0
            why = "there is no speaker" if self._output is None else "too much was waiting"
            self._report(Happening.DROPPED, f"{seconds:.1f} s of speech not played: {why}", None, seconds=seconds)
        if self._underruns:
            count, self._underruns = self._underruns, 0
            self._report(Happening.UNDERRUN, f"the speaker paused {counted(count, 'time')}", self._output, count=count)

    def _report(
        self, kind: Happening, text: str, output: Output | None, *, count: int = 0, seconds: float = 0.0
    ) -> None:
        name, rate, channels = (output.name, output.rate, output.channels) if output else ("", 0, 0)
        self._on_event(
            AudioReport(kind=kind, text=text, device=name, rate=rate, channels=channels, count=count, seconds=seconds)
        )
