"""What ``dragoman doctor`` looks at: each check tells what it found, and what to do where something is wrong."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from device.cli.checks_pins import buttons, gpio, lights
from device.cli.checks_sound import hearing, round_trip, sound
from device.cli.findings import Check, Finding, ok, problem, warning
from device.config import Settings, state_directory
from device.errors import DragomanError
from device.wording import counted

if TYPE_CHECKING:
    from device.modelstore.catalogue import Catalogue, Model

MEMORY_WANTED = 700e6
"""Bytes that a pair of languages takes with its models loaded."""
DISK_WANTED = 1e9
DISK_NEEDED = 100e6
"""Bytes below which not even the outbox has room to grow."""

CERTIFICATE_DAYS = 14
"""Days before its end from which a certificate is worth a warning."""
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


def machine(_settings: Settings) -> Iterator[Finding]:
    """Look at Python, the machine, and whether every library can be imported here."""
    model = Path("/proc/device-tree/model")
    board = f", {model.read_text().strip(chr(0))}" if model.exists() else ""
    yield ok("machine", f"Python {platform.python_version()} on {platform.machine()}{board}, {os.cpu_count()} cores")
    if sys.maxsize < 2**32:
        yield problem("machine", "this is a 32-bit Python", "install the 64-bit system: the engines need it")
    broken = []
    for module, distribution in LIBRARIES.items():
        try:
            import_module(module)
            metadata.version(distribution)
        except (ImportError, OSError) as error:
            broken.append(f"{distribution} ({' '.join(str(error).split())})")
    if broken:
        yield problem("libraries", f"cannot be loaded: {', '.join(broken)}", "install dragoman again")
    else:
        yield ok("libraries", f"all {len(LIBRARIES)} can be loaded")


def models(settings: Settings) -> Iterator[Finding]:
    """Look whether every configured direction has its models, whole and of the right size."""
    from device.modelstore.store import open_store

    try:
        store = open_store(settings)
        installed = set(store.installed())
        begun = store.begun()
    except (DragomanError, OSError) as error:
        yield problem("models", str(error), "see models.directory in `dragoman config show`")
        return
    for model_id in begun:
        if model_id not in installed:
            remedy = f"dragoman models pull {model_id} (or remove it)"
            yield problem("models", f"{model_id} is not complete or damaged", remedy)
    missing = dict(_missing(settings, store.catalogue, [store.catalogue[model_id] for model_id in sorted(installed)]))
    for what, remedy in missing.items():
        yield problem("models", what, remedy)
    if not missing:
        ways = ", ".join(f"{way.source} → {' '.join(way.targets) or 'text'}" for way in settings.directions)
        yield ok("models", f"all there for {ways}; {len(installed)} in {store.directory}")


def _missing(settings: Settings, catalogue: Catalogue, installed: list[Model]) -> Iterator[tuple[str, str]]:
    """Yield what no installed model does, with the command that gets it."""
    from device.engines.routes import find_route
    from device.modelstore.choice import speaker_models

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
    if settings.speakers.enabled:
        apart = [model_id for model_id in speaker_models(catalogue) if not has(catalogue[model_id].task)]
        if apart:
            what = f"what tells speakers apart is not installed: {', '.join(apart)}"
            yield what, f"dragoman models pull {' '.join(apart)}"


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
        yield problem("checksums", f"{', '.join(damaged)}: damaged", f"dragoman models pull {' '.join(damaged)}")
    elif needed:
        yield ok("checksums", f"every byte of {counted(len(needed), 'model')} is right")


def heat(_settings: Settings) -> Iterator[Finding]:
    """Look at the temperature, and whether the machine slows itself down."""
    from device.diagnostics import HOT, temperature, throttled_before, throttling

    degrees, throttled, before = temperature(), throttling(), throttled_before()
    if degrees is not None:
        if degrees >= HOT:
            yield warning("temperature", f"{degrees:.0f} °C: the machine slows down", "give it air or a heat sink")
        else:
            yield ok("temperature", f"{degrees:.0f} °C")
    if throttled is not None:
        now = [name.replace("_", " ") for name, is_so in throttled.items() if is_so]
        if now:
            yield warning("throttling", ", ".join(now), "use the official power supply and a short cable; cool it")
        elif before:
            remedy = "nothing is wrong now; if it comes again: the official power supply, a short cable, a heat sink"
            text = f"none now, but since the start: {', '.join(name.replace('_', ' ') for name in before)}"
            yield warning("throttling", text, remedy)
        else:
            yield ok("throttling", "none")


def broker(settings: Settings) -> Iterator[Finding]:
    """Connect to the broker as the daemon does, under another name."""
    mqtt = settings.mqtt
    if not mqtt.enabled:
        yield ok("broker", "off")
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
        yield problem("broker", str(error), remedy)
        return
    expires = connection.certificate_expires
    connection.close()
    yield ok("broker", f"{where} accepts the device")
    if expires is not None:
        yield _lasting("the broker's certificate", expires, "without it nothing is published (finals are kept)")


def certificates(settings: Settings) -> Iterator[Finding]:
    """Look how long the device's own certificates are good for: to the broker, and of its server."""
    from cryptography import x509

    mqtt, server = settings.mqtt, settings.server
    files = {}
    if mqtt.tls and mqtt.cert_file is not None:
        files["the certificate for the broker"] = (mqtt.cert_file, "without it the broker refuses the device")
    if server.tls_port is not None:
        path = server.cert_file or state_directory(settings) / "tls" / "server.pem"
        files["the server's certificate"] = (path, "run `dragoman tls init`")
    for what, (path, why) in files.items():
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no certificate"
            yield problem("certificate", f"{what}: {path} cannot be read: {reason}", why)
        else:
            yield _lasting(what, certificate.not_valid_after_utc.timestamp(), why)


def _lasting(what: str, expires: float, why: str) -> Finding:
    """Tell how long a certificate is good for."""
    left = expires - time.time()
    days = round(left / 86_400)
    if left < 0:
        return problem("certificate", f"{what} has expired", f"renew it: {why}")
    text = f"{what} is valid for another {counted(days, 'day')}"
    if days < CERTIFICATE_DAYS:
        return warning("certificate", text, f"renew it: {why}")
    return ok("certificate", text)


def storage(settings: Settings) -> Iterator[Finding]:
    """Look whether state can be written, and how much room there is."""
    from device.modelstore.files import free_bytes, human
    from device.modelstore.store import default_directory

    state = state_directory(settings)
    nearest = next(folder for folder in (state, *state.parents) if folder.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield problem("storage", f"{state} cannot be written", "set state_directory, or run as the service's user")
    for folder, what in ((state, "state"), (default_directory(settings), "models")):
        free = free_bytes(folder)
        text = f"{human(free)} free for {what} in {folder}"
        if free < DISK_NEEDED:
            yield problem("storage", text, "free some space: transcripts that the broker has not taken need it")
        elif free < DISK_WANTED:
            yield warning("storage", text, "free some space before fetching models")
        else:
            yield ok("storage", text)


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
        yield warning("memory", text, f"a pair of languages takes {human(int(MEMORY_WANTED))}: end other programs")
    else:
        yield ok("memory", text)


def clock(_settings: Settings) -> Iterator[Finding]:
    """Look whether the clock can be right: certificates and time stamps depend on it."""
    now = time.strftime("%Y-%m-%d %H:%M:%S %z")
    if time.time() < Path(__file__).stat().st_mtime - 86_400:
        remedy = "set it (timedatectl set-time), or connect to a network once; TLS fails until then"
        yield problem("clock", f"{now} is before this program was installed", remedy)
    elif _synchronised() is False:
        remedy = "times in transcripts may be off; without a network use a real-time clock module"
        yield warning("clock", f"{now}, not synchronised", remedy)
    else:
        yield ok("clock", now)


def _synchronised() -> bool | None:
    """Ask the kernel whether something keeps its clock right (adjtimex(2)); None where it does not say."""
    unsynchronised = 5  # TIME_ERROR
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != unsynchronised)


CHECKS: tuple[Check, ...] = (
    machine, models, checksums, sound, hearing, round_trip, gpio, buttons, lights, broker, certificates, storage,
    memory, heat, clock,
)  # fmt: skip
