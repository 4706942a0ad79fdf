"""The demo: somebody talks English to the daemon, and hears and reads Portuguese. ``make demo`` runs it.

Everything is the product's own or real: the daemon's code with a configuration file, a recording that is played in
real time into a four-channel microphone, gpiozero's mock pin under the button, a mosquitto and a client of it in a
process of its own. Only the air between a mouth and a microphone is missing. ``--live`` has that too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from device.audio.wav import WavWriter, write_wav
from device.config import Settings, load_settings
from device.controls.pins import mock_press, mock_release
from device.daemon import Daemon
from device.errors import DragomanError
from device.events import Event, Final, Partial, PartialTranslation, Speech, Translation, UtteranceEnded
from device.modelstore.store import open_store
from tools.demo_screen import Screen
from tools.local_broker import LocalBroker
from tools.virtual_mic import INPUT_DEVICE, OUTPUT_DEVICE, VirtualMicrophone

FOLDER = Path("build/demo")
PREFIX = "dragoman/demo/"
PIN = 17
AFTER_SPEECH = 0.3
"""Seconds after the last word at which a person lets go of the button."""
PATIENCE = 60.0

CONFIGURATION = """\
[[directions]]
source = "en"
targets = ["pt"]

[models]
prefer = {{ "asr:en" = "asr-moonshine-tiny-en" }}

[mqtt]
port = {port}
device = "demo"
"""
VIRTUAL = f"""
[audio]
input = "{INPUT_DEVICE}"
output = "{OUTPUT_DEVICE}"
channels = 4

[controls]
pins = "mock"
"""


@dataclass(frozen=True)
class Clip:
    """A stretch of a recording, in seconds."""

    file: str
    start: float = 0.0
    end: float | None = None

    def read(self, folder: Path, rate: int) -> NDArray[np.float32]:
        """Return the stretch at ``rate``, mono, with the moment that passes before the button is let go."""
        import soxr

        samples, own = soundfile.read(folder / self.file, dtype="float32", always_2d=True)
        mono = samples.mean(axis=1)[round(self.start * own) : None if self.end is None else round(self.end * own)]
        return np.concatenate((soxr.resample(mono, own, rate), np.zeros(round(AFTER_SPEECH * rate), np.float32)))


CLIPS = (
    Clip("audioeval/audio/en/quick_brown_fox.wav"),
    Clip("two_cities.wav", 0.9, 8.5),
    Clip("two_cities.wav", 21.1, 24.6),
)


class SecondClient:
    """A client of the broker that is none of ours: mosquitto_sub, in a process of its own."""

    def __init__(self, port: int) -> None:
        self.received: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        command = ["mosquitto_sub", "-V", "mqttv5", "-h", "127.0.0.1", "-p", str(port), "-q", "1"]
        self._process = subprocess.Popen(
            [*command, "-t", f"{PREFIX}#", "-F", "%t\t%p"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._read, name="second-client", daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            topic, _, content = line.decode("utf-8", errors="replace").rstrip("\n").partition("\t")
            with self._changed:
                self.received.append((topic.removeprefix(PREFIX), content))
                self._changed.notify_all()

    def wait(self, what: str, wanted: Callable[[str, str], bool], since: int = 0) -> None:
        """Wait for a message, of which ``what`` is the name in words.

        Raises
        ------
        DragomanError
            It does not come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: any(wanted(*m) for m in self.received[since:]), PATIENCE):
                raise DragomanError(f"the second client did not receive {what}")

    def documents(self, topic: str) -> list[dict[str, Any]]:
        """Return what came on one topic."""
        with self._changed:
            return [json.loads(content) for name, content in self.received if name == topic]

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


@dataclass
class Log:
    """The daemon's events by utterance, in order."""

    events: defaultdict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    released: list[float] = field(default_factory=list)
    """When the button was let go of, by turn, on the events' clock."""
    ended: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, event: Event) -> None:
        """Keep one event."""
        if utterance := getattr(event, "utterance", None):
            with self.ended:
                self.events[utterance].append(event)
                self.ended.notify_all()

    def of(self, kind: type[Event]) -> list[Any]:
        """Return all events of one type."""
        with self.ended:
            return [event for events in self.events.values() for event in events if isinstance(event, kind)]

    def wait_ended(self, count: int) -> None:
        """Wait until ``count`` utterances with words have been answered."""

        def answered() -> bool:
            kept = (event for events in self.events.values() for event in events)
            return sum(isinstance(event, UtteranceEnded) and event.has_text for event in kept) >= count

        with self.ended:
            if not self.ended.wait_for(answered, PATIENCE):
                raise DragomanError(f"utterance {count} was not answered")


def main() -> int:
    """Run the demo and return 0 when all that it promises was seen."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--live", action="store_true", help="use this machine's own microphone and speaker")
    parser.add_argument("--svg", type=Path, help="also write what is shown as a picture")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("device.controls.pins").setLevel(logging.ERROR)
    screen = Screen(picture=options.svg is not None)
    try:
        missing = live(screen) if options.live else rehearsed(screen)
    except (DragomanError, RuntimeError) as error:
        screen.end_turn()
        print(f"demo: {error}", file=sys.stderr)
        return 1
    if options.svg:
        screen.save_picture(options.svg, "make demo")
    for promise in missing:
        print(f"demo: missing: {promise}", file=sys.stderr)
    return int(bool(missing))


def rehearsed(screen: Screen) -> list[str]:
    """Let recordings talk through the virtual microphone; return what was promised and not seen."""
    began = time.monotonic()
    screen.title("Dragoman: spoken English into spoken Portuguese, on this machine alone")
    with contextlib.ExitStack() as stack:
        broker, client = _broker(stack, screen)
        microphone = stack.enter_context(VirtualMicrophone(channels=4))
        os.environ.update(microphone.env())
        screen.fact("microphone", f"{microphone.channels} channels at {microphone.rate / 1000:g} kHz, virtual")
        screen.fact("button", f"GPIO{PIN}, a mock pin")
        settings = _settings(CONFIGURATION.format(port=broker.port) + VIRTUAL)
        recordings = open_store(settings).path("recordings")
        clips = [(clip.file, clip.read(recordings, microphone.rate)) for clip in CLIPS]
        log = Log()
        with _daemon(settings, screen, client, log) as daemon:
            tape = FOLDER / "speaker.wav"
            recorder = microphone.record_speaker(tape)
            for number, (name, samples) in enumerate(clips, 1):
                since = len(client.received)
                screen.turn(f"the button is down, and {Path(name).name} talks")
                mock_press(PIN)
                client.wait("that the device listens", _is_state("listening"), since)
                microphone.play(samples)
                log.released.append(daemon.interpreter.now())
                mock_release(PIN)
                log.wait_ended(number)
                client.wait("that the device speaks", _is_state("speaking"), since)
                daemon.voice.player.wait(PATIENCE)
            sequence = len(clips)
            client.wait("the last translation", lambda t, p: t == "translation/pt" and _sequence(p) == sequence)
            microphone.finish(recorder)
        client.wait("that the device went offline", lambda t, p: (t, p) == ("availability", "offline"))
        spoken = _save_spoken(tape)
    _report(screen, client, log, f"{FOLDER / 'spoken-pt.wav'} ({spoken:.1f} s)", began)
    return _missing(client, log, len(clips), spoken)


def live(screen: Screen) -> list[str]:
    """Let the person at the machine talk, with a key or the button, until they press q."""
    from device.audio.devices import Direction, choose, list_devices
    from device.controls.keyboard import Key, Keyboard

    began = time.monotonic()
    screen.title("Dragoman: speak English, hear Portuguese")
    with contextlib.ExitStack() as stack:
        broker, client = _broker(stack, screen)
        settings = load_settings().model_copy(update={"state_directory": FOLDER.resolve() / "state"})
        own = _settings(CONFIGURATION.format(port=broker.port))
        settings = settings.model_copy(update={"mqtt": own.mqtt, "directions": own.directions})
        devices = list_devices()
        microphone = choose(devices, settings.audio.input, Direction.INPUT)
        speaker = choose(devices, settings.audio.output, Direction.OUTPUT)
        screen.fact("microphone", microphone.name)
        screen.fact("speaker", speaker.name)
        log, done = Log(), threading.Event()
        path = FOLDER / "spoken-pt.wav"
        voice = stack.enter_context(WavWriter(path))
        with _daemon(settings, screen, client, log, lambda e: _append(voice, e)) as daemon:

            def pressed(key: Key) -> None:
                if key is Key.QUIT:
                    done.set()
                else:
                    daemon.controller.toggle()

            keyboard = stack.enter_context(Keyboard(pressed))
            if not keyboard.available and not any(Path("/dev").glob("gpiochip*")):
                raise DragomanError("there is neither a keyboard nor a GPIO button to talk with")
            screen.heading("Space: talk, and space again when you have said it. q: end.")
            with contextlib.suppress(KeyboardInterrupt):
                done.wait()
            daemon.voice.player.wait(PATIENCE)
        spoken = voice.duration
    _report(screen, client, log, f"{path} ({spoken:.1f} s)", began)
    return []


def _broker(stack: contextlib.ExitStack, screen: Screen) -> tuple[LocalBroker, SecondClient]:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    broker = stack.enter_context(LocalBroker(FOLDER / "broker"))
    client = stack.enter_context(contextlib.closing(SecondClient(broker.port)))
    screen.fact("broker", f"mosquitto on {broker.host}:{broker.port}")
    return broker, client


def _settings(text: str) -> Settings:
    file = FOLDER / "dragoman.toml"
    file.write_text(f'state_directory = "{FOLDER.resolve() / "state"}"\n\n{text}', encoding="utf-8")
    return load_settings(file)


@contextlib.contextmanager
def _daemon(
    settings: Settings, screen: Screen, client: SecondClient, *listeners: Callable[[Event], None]
) -> Iterator[Daemon]:
    began = time.monotonic()
    with Daemon(settings, [screen, *listeners]) as daemon:
        client.wait("that the device is idle", _is_state("idle"))
        screen.fact(
            "models",
            f"English speech, English to Portuguese, Brazilian voice: ready in {time.monotonic() - began:.1f} s",
        )
        yield daemon


def _append(voice: WavWriter, event: Event) -> None:
    if isinstance(event, Speech):
        voice.append(event.samples, event.sample_rate)


def _is_state(name: str) -> Callable[[str, str], bool]:
    return lambda topic, content: topic == "state" and json.loads(content)["state"] == name


def _sequence(content: str) -> int:
    return int(json.loads(content)["sequence"])


def _save_spoken(tape: Path) -> float:
    """Save what the speaker said, pauses of more than half a second shortened; return the seconds of sound."""
    samples, rate = soundfile.read(tape, dtype="float32")
    frame = rate // 100
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    loud = np.abs(frames).max(axis=1) > 1e-4
    if not loud.any():
        return 0.0
    since = np.arange(len(loud)) - np.maximum.accumulate(np.where(loud, np.arange(len(loud)), -1_000_000))
    kept = frames[since < 50].reshape(-1)
    write_wav(FOLDER / "spoken-pt.wav", kept, rate)
    return float(loud.sum() / 100)


def _latencies(log: Log) -> list[tuple[str, list[float]]]:
    """Return the first words of each final, and the seconds from the end of its speech to what followed."""
    rows = []
    for number, final in enumerate(log.of(Final)):
        events = log.events[final.utterance]
        times = [
            log.released[number] if number < len(log.released) else float("nan"),
            *(
                next((event.emitted for event in events if isinstance(event, kind)), float("nan"))
                for kind in (Final, Translation, Speech)
            ),
        ]
        rows.append((" ".join(final.text.split()[:5]) + " …", [seconds - final.end for seconds in times]))
    return rows


def _report(screen: Screen, client: SecondClient, log: Log, spoken: str, began: float) -> None:
    screen.heading(f"Spoken: {spoken}")
    screen.heading(f"What a second client, mosquitto_sub, received below {PREFIX}")
    counts = Counter(topic for topic, _ in client.received)
    last = dict(client.received)
    screen.messages((topic, count, _gist(last[topic])) for topic, count in sorted(counts.items()))
    rows = _latencies(log)
    if rows:
        median = [statistics.median(column) for column in zip(*(seconds for _, seconds in rows), strict=True)]
        screen.heading("Seconds after the last word")
        screen.figures(
            ["", "button up", "final", "translation", "first sound"],
            [[text, *(f"{value:.2f}" for value in seconds)] for text, seconds in [*rows, ("median", median)]],
        )
    screen.fact("\ndone", f"in {time.monotonic() - began:.0f} s")


def _gist(content: str) -> str:
    """Return what a person wants to see of a payload."""
    if not content.startswith("{"):
        return content
    document = json.loads(content)
    return str(document.get("text") or document.get("action") or document.get("state") or content)


def _missing(client: SecondClient, log: Log, turns: int, spoken: float) -> list[str]:
    """Return what was promised and not seen."""
    finals, translations, speech = log.of(Final), log.of(Translation), log.of(Speech)
    presses = [document["action"] for document in client.documents("event/button")]
    told = [(d["sequence"], d["text"]) for d in client.documents("transcript/final")]
    translated = [(d["sequence"], d["text"]) for d in client.documents("translation/pt")]
    shown = {event.utterance for event in log.of(Partial)}
    guessed = {event.utterance for event in log.of(PartialTranslation)}
    promises = {
        f"{turns} finals": len(finals) == turns and all(f.text for f in finals),
        "a translation of each": len(translations) == turns and all(t.text for t in translations),
        "partial transcripts of each": {f.utterance for f in finals} <= shown,
        "partial translations of each": {f.utterance for f in finals} <= guessed,
        "speech for each": {f.utterance for f in finals} <= {s.utterance for s in speech},
        "the sound of it at the speaker": spoken > 0.5 * sum(s.duration for s in speech) > 0,
        "each final at the second client, in order": told == [(f.sequence, f.text) for f in finals],
        "each translation there": translated == [(t.sequence, t.text) for t in translations],
        "the button there": presses.count("press") == presses.count("release") == turns,
        "partial results there": bool(client.documents("transcript/partial")),
        "online and offline there": {"online", "offline"} <= {p for t, p in client.received if t == "availability"},
    }
    return [promise for promise, kept in promises.items() if not kept]


if __name__ == "__main__":
    sys.exit(main())
