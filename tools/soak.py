"""Whether the device grows while it works: a day of audio, faster than real time, and the slopes of what could grow.

``python -m tools.soak --hours 24`` plays one sentence a minute, in silence, to the front end; everything behind it is
the real thing: models, outbox and a broker with a reader. Every few minutes of audio it notes memory, threads, open
files, messages that wait, and how long finals took. ``build/soak.json`` has the notes, and their slopes an hour: the
median of the slopes between every two notes (Theil 1950, Sen 1968), which a few bad moments do not move. Times are
compared with those of a fixed computation at the same moment, so that what else the machine does is no growth.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from device.audio.files import read_blocks
from device.audio.frontend import FrontendOutput
from device.audio.reports import AudioReport, Happening
from device.config import Settings
from device.ears import Ears
from device.engines.registry import Engines
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Event, Final, Samples, Translation
from device.interpreter import Interpreter
from device.modelstore.store import ModelStore
from device.mqtt import MqttRoom
from tools.local_broker import LocalBroker

SENTENCES = ("audioeval/audio/en/quick_brown_fox.wav", "audioeval/audio/en/counting.wav")
MINUTE = 60 * SAMPLE_RATE
BLOCK = 512
PAUSE = SAMPLE_RATE
"""Samples of silence in which the interpreter notices the end of a sentence."""
NOTE_EVERY = 10
"""Minutes of audio between two notes."""
WARM_UP = 3
"""Notes that are not counted: caches fill, allocators settle."""
SHORTEST = 12
NOISE = 1e-4
LIMITS = {"memory_mb": 1.0, "threads": 0.01, "files": 0.05, "waiting": 0.01, "latency_ms": 2.0, "processor_ms": 2.0}
"""Growth in an hour of audio that is taken for none."""
REFERENCE = 60
REFERENCES = {"latency_ms": "reference_ms", "processor_ms": "reference_processor_ms"}
UNITS = {"memory_mb": "MB", "latency_ms": "ms", "processor_ms": "ms"}


@dataclass(frozen=True)
class Note:
    """How the process was at one time of the audio."""

    hour: float
    memory_mb: float
    threads: float
    """The kernel's count, so the engines' own are among them."""
    files: float
    """Open descriptors."""
    waiting: float
    """Messages that the broker has not confirmed."""
    latency_ms: float
    """Median time that the last minutes' finals and translations took to be ready once all audio was heard."""
    processor_ms: float
    """Processor time of all threads for a minute of audio."""
    reference_ms: float = 1.0
    """How long a fixed computation took just then …"""
    reference_processor_ms: float = 1.0
    """… and its processor time, which a machine that does other things makes longer, too."""


class Soak:
    """One run: feeds the audio and takes the notes."""

    def __init__(self, room: MqttRoom, sentences: Sequence[Samples]) -> None:
        self.room, self._sentences = room, sentences
        self.finals = self.translations = 0
        self.notes: list[Note] = []
        self._took: list[float] = []
        self._processor = time.process_time()
        self._random = np.random.default_rng(1)

    def sink(self, event: Event) -> None:
        """Publish and count what comes out."""
        self.room.sink(event)
        if isinstance(event, Final):
            self.finals += 1
        self.translations += isinstance(event, Translation)

    def run(self, engines: Engines, settings: Settings, minutes: int) -> None:
        """Play so many minutes of audio."""
        interpreter = Interpreter(engines, settings, self.sink)
        ears = _ears(engines, settings, interpreter)
        interpreter.begin_turn(hands_free=True)
        for minute in range(minutes):
            sentence = self._sentences[minute % len(self._sentences)]
            audio = self._random.normal(0, NOISE, MINUTE).astype(np.float32)
            audio[SAMPLE_RATE : SAMPLE_RATE + len(sentence)] += sentence
            over = SAMPLE_RATE + len(sentence) + PAUSE
            _feed(ears, interpreter, audio[:over])
            began = time.monotonic()
            if not interpreter.wait(120):
                raise DragomanError("a final did not come in two minutes")
            self._took.append(time.monotonic() - began)
            _feed(ears, interpreter, audio[over:])
            if (minute + 1) % NOTE_EVERY == 0:
                self._note((minute + 1) / 60)
        interpreter.close()

    def _note(self, hour: float) -> None:
        deadline = time.monotonic() + 60
        while self.room.depth and time.monotonic() < deadline:
            time.sleep(0.05)
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        took, self._took = self._took, []
        before, busy = self._processor, time.process_time()
        self._processor = busy
        wall, processor = _reference()
        self._processor += processor / 1000
        note = Note(
            hour=round(hour, 3),
            memory_mb=round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2),
            threads=len(list(Path("/proc/self/task").iterdir())),
            files=len(list(Path("/proc/self/fd").iterdir())),
            waiting=self.room.depth,
            latency_ms=round(1000 * statistics.median(took), 1) if took else 0.0,
            processor_ms=round(1000 * (busy - before) / NOTE_EVERY, 1),
            reference_ms=round(wall, 1),
            reference_processor_ms=round(processor, 1),
        )
        self.notes.append(note)
        print(json.dumps(asdict(note)), flush=True)


def _ears(engines: Engines, settings: Settings, interpreter: Interpreter) -> Ears:
    """Return the daemon's own way from a microphone to the interpreter."""

    def heard(output: FrontendOutput) -> None:
        interpreter.feed(output.samples, output.azimuth)

    ears = Ears(settings.frontend, settings.endpoint, engines, heard, lambda _id, _text: None)
    ears.open(AudioReport(kind=Happening.FOUND, text="soak", rate=SAMPLE_RATE, channels=1))
    return ears


def _feed(ears: Ears, interpreter: Interpreter, audio: Samples) -> None:
    for at in range(0, len(audio), BLOCK):
        ears.hear(audio[at : at + BLOCK, None])
        interpreter.keep_up()


def _reference() -> tuple[float, float]:
    """Return the milliseconds that a fixed computation takes now: by the clock, and of the processor."""
    sound = np.random.default_rng(2).normal(size=1 << 16)
    began, busy = time.monotonic(), time.thread_time()
    for _ in range(REFERENCE):
        sound = np.fft.irfft(np.fft.rfft(sound))
    return 1000 * (time.monotonic() - began), 1000 * (time.thread_time() - busy)


def _compared(note: Note, name: str) -> float:
    """Return what was noted; times as multiples of the reference's."""
    value = float(getattr(note, name))
    return value / getattr(note, REFERENCES[name]) if name in REFERENCES else value


def slopes(notes: Sequence[Note]) -> dict[str, float]:
    """Return the growth in an hour of audio of everything that is noted, after the warm-up.

    Times are those of a machine that is as busy as it was in the median.
    """
    settled = notes[WARM_UP:]
    usual = {name: statistics.median(getattr(note, ref) for note in settled) for name, ref in REFERENCES.items()}
    hours = np.array([note.hour for note in settled])
    early, late = np.triu_indices(len(hours), 1)

    def slope(values: NDArray[np.float64]) -> float:
        return round(float(np.median((values[late] - values[early]) / (hours[late] - hours[early]))), 4)

    return {
        name: slope(np.array([usual.get(name, 1.0) * _compared(note, name) for note in settled])) for name in LIMITS
    }


def _sentences(folder: Path) -> list[Samples]:
    return [np.concatenate(list(read_blocks(folder / name))) for name in SENTENCES]


def main() -> int:
    """Run the soak; returns 1 when something grows or is missing."""
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0, help="hours of audio")
    minutes = round(parser.parse_args().hours * 60)
    if minutes < SHORTEST * 60:
        parser.error(f"at least {SHORTEST} hours: in less, the allocator's ups and downs look like slopes")
    settings = Settings()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, LocalBroker(Path(folder) / "broker") as broker:
        mqtt = settings.mqtt.model_copy(update={"host": broker.host, "port": broker.port, "device": "soak"})
        room = MqttRoom(mqtt, Path(folder), lambda _command: None)
        reader = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        read: set[int] = set()

        def take(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
            if message.topic.endswith("transcript/final"):
                read.add(json.loads(message.payload)["sequence"])

        reader.on_connect = lambda client, *_: client.subscribe("#", 1)
        reader.on_message = take
        reader.connect(broker.host, broker.port)
        reader.loop_start()
        with Engines.open(settings) as engines:
            room.start()
            soak = Soak(room, _sentences(ModelStore().path("recordings")))
            soak.run(engines, settings, minutes)
            room.stop()
        reader.disconnect()
        reader.loop_stop()
    growth = slopes(soak.notes)
    grown = [name for name, slope in growth.items() if slope > LIMITS[name]]
    lost = len(set(range(1, soak.finals + 1)) - read)
    missing = soak.finals < minutes or soak.translations != soak.finals or lost > 0
    report = {
        "hours": minutes / 60, "took_s": round(time.monotonic() - began), "finals": soak.finals,
        "translations": soak.translations, "lost": lost, "slopes_per_hour": growth, "grown": grown,
        "notes": [asdict(note) for note in soak.notes],
    }  # fmt: skip
    build = Path("build")
    build.mkdir(exist_ok=True)
    (build / "soak.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{'':12} {'at first':>10} {'at last':>10} {'an hour':>10}  verdict")
    settled = soak.notes[WARM_UP:]
    for name, slope in growth.items():
        first, last = (statistics.median(getattr(note, name) for note in part) for part in (settled[:6], settled[-6:]))
        verdict = (
            "GROWS" if name in grown else f"steady (at most {LIMITS[name]:g} {UNITS.get(name, '')})".replace(" )", ")")
        )
        print(f"{name:12} {first:10.1f} {last:10.1f} {slope:+10.4f}  {verdict}")
    counts = f"{soak.finals} finals of {minutes} minutes, {soak.translations} translations, {lost} lost"
    print(f"{counts}{'  MISSING' if missing else ''}")
    return 1 if grown or missing else 0


if __name__ == "__main__":
    sys.exit(main())
