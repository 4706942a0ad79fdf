"""A server on a free port of loopback, with small deterministic engines, and clients as plain as can be."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from device.audio.wav import to_pcm16
from device.config import load_settings
from device.engines.registry import TELLING_APART
from device.engines.routes import Route, reachable_targets
from device.engines.voices import voices_of
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from device.server.frames import parse_binary, parse_text, write_binary, write_text
from device.server.serve import Server
from device.server.wave import wave_header
from tests.support.engines import BeepVoice, SmallEngines, UpperTranslator


def model(task, id_, **more):
    return Model(id=id_, task=task, engine="none", name=id_, licence="MIT", homepage="", **more)


class PacedVoice(BeepVoice):
    def stream(self, text, *, rate=1.0):
        for piece in super().stream(text):
            yield np.resize(piece, round(len(piece) / rate))


class ServedEngines(SmallEngines):
    """The small engines with what a server asks of a registry besides."""

    def __init__(self, workers=2):
        super().__init__(workers)
        self.tts = PacedVoice()
        self.models = [
            model("asr", "tones", languages=("en", "pt")),
            model("mt", "capitals", source="en", target="pt"),
            model("mt", "capitals-de", source="en", target="de"),
            model("tts", "tts-beep-pt-ana", languages=("pt-BR",)),
            model("tts", "tts-beep-en-bob", languages=("en-US",)),
        ]
        self.language_model = self.word_model = self.voice_models = None

    def installed(self, task):
        return [m for m in self.models if m.task == task]

    def voices(self):
        return voices_of(self.installed("tts"))

    def identifier(self):
        return self.language_model

    def aligner(self, language):
        return self.word_model

    def telling_apart(self):
        if self.voice_models is None:
            raise DragomanError(f"speakers cannot be told apart here; run `dragoman models pull {TELLING_APART[0]}`")
        return self.voice_models

    def route(self, source, target):
        for m in self.installed("mt"):
            if (m.source, m.target) == (source, target.split("-")[0]):
                return Route((source, m.target), (m.id,))
        known = ", ".join(reachable_targets(self.installed("mt"), source))
        raise DragomanError(f"no way to translate {source!r} into {target!r}: {known}")

    def translator(self, model_id):
        return self.mt if model_id == "capitals" else self.other

    other = UpperTranslator("capitals-de")


@dataclass
class Address:
    """A running server."""

    server: Server
    engines: ServedEngines

    @property
    def http(self) -> str:
        return self.server.addresses[0]

    @property
    def ws(self) -> str:
        return self.http.replace("http", "ws", 1)

    @property
    def service(self):
        return self.server.app.state.service

    def client(self, **more) -> httpx.Client:
        return httpx.Client(base_url=self.http, timeout=30, **more)


Serve = Callable[..., Address]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts a server; keywords are settings of ``server``."""
    with ExitStack() as stack:

        def start(*, engines=None, endpoint=None, remote=None, speakers=False, **server) -> Address:
            overrides = {"state_directory": str(tmp_path), "server.port": 0}
            overrides["speakers.enabled"] = speakers
            overrides |= {"text.numbers": False, "text.punctuation": False, "text.fluent": False}
            overrides |= {f"server.{name}": value for name, value in server.items()}
            overrides |= {f"endpoint.{name}": value for name, value in (endpoint or {}).items()}
            if engines is None:
                engines = ServedEngines()
                stack.callback(engines.close)
            running = Server(engines, load_settings(None, overrides), remote)
            stack.enter_context(running)
            return Address(running, engines)

        yield start


@pytest.fixture
def served(serve: Serve) -> Address:
    return serve()


class SpeechClient:
    """Speaks the Speech SDK's frames by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.request = uuid.uuid4().hex

    def context(self, context=None, **more) -> None:
        self.socket.send(write_text("speech.context", self.request, context or more))

    def text(self, path, body=None) -> None:
        self.socket.send(write_text(path, self.request, body))

    def audio(self, samples, header=True, chunk=3200) -> None:
        data = (wave_header(16_000) if header else b"") + to_pcm16(samples)
        for start in range(0, len(data), chunk):
            self.raw(data[start : start + chunk])

    def raw(self, data: bytes) -> None:
        self.socket.send(write_binary("audio", self.request, data, "audio/x-wav"))

    def end(self) -> None:
        self.raw(b"")

    def receive(self):
        message = self.socket.recv(30)
        frame = parse_text(message) if isinstance(message, str) else parse_binary(message)
        assert frame.request_id == self.request
        return frame

    def until(self, path: str):
        """Return every message up to the first of that path, as (path, body)."""
        found = []
        while not found or found[-1][0] != path:
            frame = self.receive()
            binary = frame.headers["content-type"].startswith("audio")
            found.append((frame.path, frame.body if binary else json.loads(frame.body)))
        return found

    def turn(self):
        return self.until("turn.end")


def bodies(messages, path):
    return [body for p, body in messages if p == path]


@pytest.fixture
def dial() -> Iterator[Callable[..., SpeechClient]]:
    """Return a function that connects to a path of a server."""
    with ExitStack() as stack:

        def connect_to(address: Address, path="/speech/recognition/conversation/cognitiveservices/v1", **more):
            socket = stack.enter_context(connect(address.ws + path, max_size=None, **more))
            return SpeechClient(socket)

        yield connect_to


@pytest.fixture
def closed():
    """Return a function that reads until the server closes, and gives the code and the reason."""

    def read(client: SpeechClient) -> tuple[int, str]:
        try:
            while True:
                client.socket.recv(30)
        except ConnectionClosed as error:
            return (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "")

    return read


def wait_for(true, seconds=10):
    pause = threading.Event()
    for _ in range(seconds * 20):
        if true():
            return
        pause.wait(0.05)
    raise AssertionError("it did not happen")
