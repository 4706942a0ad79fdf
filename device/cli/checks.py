"""What ``dragoman doctor`` looks at: each check tells what it found, and what to do where something is wrong."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.config import Pins, Settings, state_directory
from device.errors import DragomanError
from device.wording import counted

if TYPE_CHECKING:
    from device.modelstore.catalogue import Model

MEMORY_WANTED = 700e6
"""Bytes that a pair of languages takes with its models loaded."""
DISK_WANTED = 1e9
DISK_NEEDED = 100e6
"""Bytes below which not even the outbox has room to grow."""

CERTIFICATE_DAYS = 14
LISTEN = 1.0
"""Seconds for which the microphone is listened to."""
CLIPPED = 0.99
QUIET = 1e-6
"""Root mean square below which a channel has no sound at all: even a silent room is louder."""

LIBRARIES = {
    "sherpa_onnx": "sherpa-onnx",
    "ctranslate2": "ctranslate2",
    "onnxruntime": "onnxruntime",
    "sentencepiece": "sentencepiece",
    "piper": "piper-tts",
    "pyaudio": "PyAudio",
    "soxr": "soxr",
    "av": "av",
    "paho.mqtt": "paho-mqtt",
    "gpiozero": "gpiozero",
}
"""What must be importable, by module, with the distribution it comes from."""


class Status(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Something works less well, or not now."""
    PROBLEM = "problem"
    """Something that is configured cannot work."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    text: str
    remedy: str | None = None


Check = Callable[[Settings], Iterator[Finding]]


def _ok(check: str, text: str) -> Finding:
    return Finding(check, Status.OK, text)


def _warning(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Status.WARNING, text, remedy)


def _problem(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Status.PROBLEM, text, remedy)


def machine(_settings: Settings) -> Iterator[Finding]:
    """Look at Python, the machine, and whether every library can be imported here."""
    model = Path("/proc/device-tree/model")
    board = f", {model.read_text().strip(chr(0))}" if model.exists() else ""
    yield _ok("machine", f"Python {platform.python_version()} on {platform.machine()}{board}, {os.cpu_count()} cores")
    if sys.maxsize < 2**32:
        yield _problem("machine", "this is a 32-bit Python", "install the 64-bit system: the engines need it")
    broken = []
    for module, distribution in LIBRARIES.items():
        try:
            import_module(module)
            metadata.version(distribution)
        except (ImportError, OSError) as error:
            broken.append(f"{distribution} ({' '.join(str(error).split())})")
    if broken:
        yield _problem("libraries", f"cannot be loaded: {', '.join(broken)}", "install dragoman again")
    else:
        yield _ok("libraries", f"all {len(LIBRARIES)} can be loaded")


def models(settings: Settings) -> Iterator[Finding]:
    """Look whether every configured direction has its models, whole and of the right size."""
    from device.modelstore.store import open_store

    try:
        store = open_store(settings)
        installed = set(store.installed())
        begun = store.begun()
    except (DragomanError, OSError) as error:
        yield _problem("models", str(error), "see models.directory in `dragoman config show`")
        return
    for model_id in begun:
        if model_id not in installed:
            remedy = f"dragoman models pull {model_id} (or remove it)"
            yield _problem("models", f"{model_id} is not complete or damaged", remedy)
    missing = dict(_missing(settings, [store.catalogue[model_id] for model_id in sorted(installed)]))
    for what, remedy in missing.items():
        yield _problem("models", what, remedy)
    if not missing:
        ways = ", ".join(f"{way.source} → {' '.join(way.targets) or 'text'}" for way in settings.directions)
        yield _ok("models", f"all there for {ways}; {len(installed)} in {store.directory}")


def _missing(settings: Settings, installed: list[Model]) -> Iterator[tuple[str, str]]:
    """Yield what no installed model does, with the command that gets it."""
    from device.engines.routes import find_route

    def has(task: str, language: str | None = None) -> bool:
        return any(model.task == task and (language is None or model.speaks(language)) for model in installed)

    if not has("vad"):
        yield "nothing that detects speech is installed", "dragoman models pull"
    for way in settings.directions:
        if not has("asr", way.source):
            first = next(iter(way.targets), way.source)
            yield f"no recogniser for {way.source!r} is installed", f"dragoman models pull --for {way.source}:{first}"
        for target in way.targets:
            pull = f"dragoman models pull --for {way.source}:{target}"
            try:
                find_route(installed, way.source, target)
            except DragomanError as error:
                yield str(error), pull
            spoken = way.speak or way.targets[0]
            if target == spoken and settings.speech.enabled and not has("tts", target):
                yield f"no voice for {target!r} is installed", pull


def sound(settings: Settings) -> Iterator[Finding]:
    """Look for the microphone and the speaker."""
    from device.audio.capture import FILE_PREFIX
    from device.audio.devices import Direction, choose, list_devices
    from device.audio.playback import NULL_OUTPUT

    found = list_devices()
    wanted = {Direction.INPUT: settings.audio.input, Direction.OUTPUT: settings.audio.output}
    for direction, device in wanted.items():
        name = "microphone" if direction is Direction.INPUT else "speaker"
        if isinstance(device, str) and (device == NULL_OUTPUT or device.startswith(FILE_PREFIX)):
            yield _ok(name, f"{device} stands in for it")
            continue
        try:
            chosen = choose(found, device, direction)
        except DragomanError as error:
            if direction is Direction.OUTPUT and not settings.speech.enabled:
                yield _ok(name, f"not needed, for speech is off ({error})")
            else:
                yield _problem(name, str(error), _sound_remedy(direction))
            continue
        channels = chosen.channels(direction)
        yield _ok(name, f"{chosen.name} ({counted(channels, 'channel')}, {chosen.rate} Hz)")


def hearing(settings: Settings) -> Iterator[Finding]:
    """Listen to every channel of the microphone for a moment."""
    import numpy as np

    from device.audio.capture import FILE_PREFIX, Capture
    from device.audio.reports import AudioReport, Happening

    if isinstance(settings.audio.input, str) and settings.audio.input.startswith(FILE_PREFIX):
        return
    blocks: list[Any] = []
    done = threading.Event()

    def heard(block: Any) -> None:
        blocks.append(block)
        if sum(map(len, blocks)) >= LISTEN * capture.rate:
            done.set()

    def reported(report: AudioReport) -> None:
        if report.kind is Happening.LOST:
            done.set()

    capture = Capture(settings.audio, heard, reported)
    capture.start()
    done.wait(10 * LISTEN)
    capture.stop()
    if not blocks:
        return  # that there is no microphone is told already
    sound = np.concatenate(blocks)
    levels = np.sqrt(np.mean(sound.astype(np.float64) ** 2, axis=0))
    text = "level " + ", ".join(f"{20 * np.log10(level + 1e-9):.0f} dB" for level in levels)
    dead = [str(channel + 1) for channel, level in enumerate(levels) if level < QUIET]
    if len(dead) == len(levels):
        yield _warning(
            "hearing", f"{text}: complete silence", "is the microphone switched off, or turned down in the mixer?"
        )
    elif dead:
        yield _problem("hearing", f"{text}: no sound on channel {', '.join(dead)}", "see the wiring of that microphone")
    elif float(np.mean(np.abs(sound) > CLIPPED)) > 0.01:
        yield _warning("hearing", f"{text}: too loud", "turn the microphone down in the mixer (alsamixer)")
    else:
        yield _ok("hearing", text)


def _sound_remedy(direction: str) -> str:
    devices = list(Path("/dev/snd").glob("pcm*")) if Path("/dev/snd").is_dir() else []
    if devices and not any(os.access(path, os.R_OK | os.W_OK) for path in devices):
        return "this user may not use the sound card: sudo usermod -aG audio $USER, then log in again"
    return f"plug one in, see `dragoman devices`, and choose it with audio.{direction}"


def buttons(settings: Settings) -> Iterator[Finding]:
    """Look whether the configured buttons have pins."""
    from device.controls.pins import open_factory

    pins = settings.controls.pins
    names = ", ".join(f"{button.name} on {button.pin}" for button in settings.controls.buttons) or "none"
    if pins in (Pins.NONE, Pins.MOCK):
        yield _ok("buttons", "off" if pins is Pins.NONE else f"mock pins, which programs press: {names}")
        return
    try:
        factory = open_factory(Pins.LGPIO)
    except DragomanError as error:
        reason, _, remedy = str(error).partition("; ")
        status = Status.PROBLEM if pins is Pins.LGPIO else Status.WARNING
        yield Finding("buttons", status, reason, remedy)
        return
    if factory is not None:
        factory.close()
    yield _ok("buttons", names)


def lights(settings: Settings) -> Iterator[Finding]:
    """Open the configured lights and the display."""
    from device.controls.display import Display
    from device.controls.leds import Leds

    pins = settings.controls.pins
    for name, kind, make in (
        ("lights", settings.leds.kind, lambda: Leds(settings.leds, pins)),
        ("display", settings.display.kind, lambda: Display(settings.display, pins)),
    ):
        if kind == "none":
            continue
        try:
            make().close()
        except DragomanError as error:
            yield _problem(name, str(error), f"see [{'leds' if name == 'lights' else name}] in the configuration")
        else:
            yield _ok(name, kind)


def checksums(settings: Settings) -> Iterator[Finding]:
    """Read every byte of the installed models that the configuration needs."""
    from device.modelstore.choice import configured_models
    from device.modelstore.store import open_store

    try:
        store = open_store(settings)
        needed = [model for model in configured_models(store.catalogue, settings) if store.is_installed(model)]
    except (DragomanError, OSError):
        return  # told already
    damaged = [model for model in needed if store.verify(model)]
    if damaged:
        yield _problem("checksums", f"{', '.join(damaged)}: damaged", f"dragoman models pull {' '.join(damaged)}")
    elif needed:
        yield _ok("checksums", f"every byte of {counted(len(needed), 'model')} is right")


def heat(_settings: Settings) -> Iterator[Finding]:
    """Look at the temperature, and whether the machine slows itself down."""
    from device.diagnostics import HOT, temperature, throttling

    degrees, throttled = temperature(), throttling()
    if degrees is not None:
        if degrees >= HOT:
            yield _warning("temperature", f"{degrees:.0f} °C: the machine slows down", "give it air or a heat sink")
        else:
            yield _ok("temperature", f"{degrees:.0f} °C")
    if throttled is not None:
        now = [name.replace("_", " ") for name, is_so in throttled.items() if is_so]
        if now:
            yield _warning("throttling", ", ".join(now), "use the official power supply and a short cable; cool it")
        else:
            yield _ok("throttling", "none")


def broker(settings: Settings) -> Iterator[Finding]:
    """Connect to the broker as the daemon does, under another name."""
    mqtt = settings.mqtt
    if not mqtt.enabled:
        yield _ok("broker", "off")
        return
    from device.mqtt.connection import Connection
    from device.mqtt.topics import Lane, Message, Topics

    where = f"{mqtt.host}:{mqtt.port}{' with TLS' if mqtt.tls else ''}"
    try:
        will = Message(f"{Topics(mqtt.base, mqtt.device).prefix}diag/doctor", b"", 0, Lane.VOLATILE)
        connection = Connection(mqtt, f"dragoman-doctor-{os.getpid()}", will, lambda *_: None, lambda _: None)
        connection.open()
    except DragomanError as error:
        remedy = "see mqtt.host, mqtt.port and the login; finals are kept until it answers, or set mqtt.enabled = false"
        yield _problem("broker", str(error), remedy)
        return
    expires = connection.certificate_expires
    connection.close()
    yield _ok("broker", f"{where} accepts the device")
    if expires is not None:
        days = (expires - time.time()) / 86_400
        text = f"the broker's certificate is valid for another {days:.0f} days"
        if days < CERTIFICATE_DAYS:
            yield _warning("certificate", text, "renew it: without it nothing is published (finals are kept)")
        else:
            yield _ok("certificate", text)


def storage(settings: Settings) -> Iterator[Finding]:
    """Look whether state can be written, and how much room there is."""
    from device.modelstore.files import free_bytes, human
    from device.modelstore.store import default_directory

    state = state_directory(settings)
    nearest = next(folder for folder in (state, *state.parents) if folder.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield _problem("storage", f"{state} cannot be written", "set state_directory, or run as the service's user")
    for folder, what in ((state, "state"), (default_directory(settings), "models")):
        free = free_bytes(folder)
        text = f"{human(free)} free for {what} in {folder}"
        if free < DISK_NEEDED:
            yield _problem("storage", text, "free some space: transcripts that the broker has not taken need it")
        elif free < DISK_WANTED:
            yield _warning("storage", text, "free some space before fetching models")
        else:
            yield _ok("storage", text)


def memory(_settings: Settings) -> Iterator[Finding]:
    """Look at the memory that is left."""
    from device.modelstore.files import human

    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return
    values = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    available = values.get("MemAvailable", 0)
    text = f"{human(available)} of {human(values.get('MemTotal', 0))} available"
    if available < MEMORY_WANTED:
        yield _warning("memory", text, f"a pair of languages takes {human(int(MEMORY_WANTED))}: end other programs")
    else:
        yield _ok("memory", text)


def clock(_settings: Settings) -> Iterator[Finding]:
    """Look whether the clock can be right: certificates and time stamps depend on it."""
    now = time.strftime("%Y-%m-%d %H:%M:%S %z")
    if time.time() < Path(__file__).stat().st_mtime - 86_400:
        remedy = "set it (timedatectl set-time), or connect to a network once; TLS fails until then"
        yield _problem("clock", f"{now} is before this program was installed", remedy)
    elif _synchronised() is False:
        remedy = "times in transcripts may be off; without a network use a real-time clock module"
        yield _warning("clock", f"{now}, not synchronised", remedy)
    else:
        yield _ok("clock", now)


def _synchronised() -> bool | None:
    """Ask the kernel whether something keeps its clock right (adjtimex(2)); None where it does not say."""
    unsynchronised = 5  # TIME_ERROR
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != unsynchronised)


CHECKS: tuple[Check, ...] = (
    machine, models, checksums, sound, hearing, buttons, lights, broker, storage, memory, heat, clock,
)  # fmt: skip
