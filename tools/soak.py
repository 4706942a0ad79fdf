"""Whether the device grows while it works: a day of audio, faster than real time, and the slopes of what could grow.

``python -m tools.soak --hours 24`` plays one sentence a minute, in silence, to the interpreter; everything behind it is
the real thing: models, outbox and a broker with a reader. Every few minutes of audio it notes memory, threads, open
files, messages that wait, and how long finals took. ``build/soak.json`` has the notes, and their slopes an hour.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from device.audio.files import read_blocks
from device.config import Settings
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
LIMITS = {"memory_mb": 1.0, "threads": 0.01, "files": 0.05, "latency_ms": 2.0, "waiting": 0.01}
"""Growth in an hour of audio that is taken for none."""


@dataclass(frozen=True)
class Note:
    """How the process was at one time of the audio."""

    hour: float
    memory_mb: float
    threads: float
    files: float
    waiting: float
    latency_ms: float
    """Median time that the last minutes' finals and translations took to be ready once all audio was heard."""


class Soak:
    """One run: feeds the audio and takes the notes."""

    def __init__(self, room: MqttRoom, sentences: Sequence[Samples]) -> None:
        self.room, self._sentences = room, sentences
        self.finals = self.translations = 0
        self.notes: list[Note] = []
        self._took: list[float] = []
        self._random = np.random.default_rng(1)

    def sink(self, event: Event) -> None:
        """Publish and count what comes out."""
        self.room.sink(event)
        if isinstance(event, Final):
            self.finals += 1
        self.translations += isinstance(event, Translation)

    def run(self, interpreter: Interpreter, minutes: int) -> None:
        """Play so many minutes of audio."""
        interpreter.begin_turn(hands_free=True)
        for minute in range(minutes):
            sentence = self._sentences[minute % len(self._sentences)]
            audio = self._random.normal(0, NOISE, MINUTE).astype(np.float32)
            audio[SAMPLE_RATE : SAMPLE_RATE + len(sentence)] += sentence
            over = SAMPLE_RATE + len(sentence) + PAUSE
            _feed(interpreter, audio[:over])
            began = time.monotonic()
            if not interpreter.wait(120):
                raise DragomanError("a final did not come in two minutes")
            self._took.append(time.monotonic() - began)
            _feed(interpreter, audio[over:])
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
        note = Note(
            hour=round(hour, 3),
            memory_mb=round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2),
            threads=threading.active_count(),
            files=len(list(Path("/proc/self/fd").iterdir())),
            waiting=self.room.depth,
            latency_ms=round(1000 * statistics.median(took), 1) if took else 0.0,
        )
        self.notes.append(note)
        print(json.dumps(asdict(note)), flush=True)


def _feed(interpreter: Interpreter, audio: Samples) -> None:
    for at in range(0, len(audio), BLOCK):
        interpreter.feed(audio[at : at + BLOCK])
        interpreter.keep_up()


def slopes(notes: Sequence[Note]) -> dict[str, float]:
    """Return the least-squares growth in an hour of audio of everything that is noted, after the warm-up."""
    settled = notes[WARM_UP:]
    hours = [note.hour for note in settled]
    return {name: round(float(np.polyfit(hours, [getattr(n, name) for n in settled], 1)[0]), 4) for name in LIMITS}


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
        reader.on_connect = lambda client, *_: client.subscribe("#", 1)
        reader.connect(broker.host, broker.port)
        reader.loop_start()
        with Engines.open(settings) as engines:
            room.start()
            soak = Soak(room, _sentences(ModelStore().path("recordings")))
            soak.run(Interpreter(engines, settings, soak.sink), minutes)
            room.stop()
        reader.disconnect()
        reader.loop_stop()
    growth = slopes(soak.notes)
    grown = [name for name, slope in growth.items() if slope > LIMITS[name]]
    missing = soak.finals < minutes or soak.translations != soak.finals
    report = {
        "hours": minutes / 60, "took_s": round(time.monotonic() - began), "finals": soak.finals,
        "translations": soak.translations, "slopes_per_hour": growth, "grown": grown,
        "notes": [asdict(note) for note in soak.notes],
    }  # fmt: skip
    build = Path("build")
    build.mkdir(exist_ok=True)
    (build / "soak.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name, slope in growth.items():
        print(f"{name:12} {slope:+.4f} an hour{'  GROWS' if name in grown else ''}")
    print(
        f"{soak.finals} finals of {minutes} minutes, {soak.translations} translations{'  MISSING' if missing else ''}"
    )
    return 1 if grown or missing else 0


if __name__ == "__main__":
    sys.exit(main())
