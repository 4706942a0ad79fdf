"""Many clients of the server in one process, made so cheaply that they hardly take from the cores they share with it.

Every client is a socket of its own that speaks WebSocket (RFC 6455) and plays recordings at their own pace. The
messages with audio are the same for all and made once, masked as the protocol wants it; one loop sends what is due
and reads what comes.
"""

from __future__ import annotations

import heapq
import json
import selectors
import socket
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.uri import parse_uri

from device.audio.wav import to_pcm16
from device.events import SAMPLE_RATE, Samples
from device.server.frames import parse_text, write_binary, write_text
from device.server.wave import wave_header

PATH = "/stt/speech/universal/v2"
CHUNK = 0.1
"""Seconds of audio in one message."""
TICK = 0.01
"""Seconds between two looks at what is due."""
PATIENCE = 120.0
"""Seconds to wait for the last answers."""
CONTEXT = {
    "phraseDetection": {"mode": "CONVERSATION", "language": "en-US"},
    "translation": {"targetLanguages": ["pt"]},
}
_REQUEST = uuid.uuid4().hex
"""Every client names its one turn alike: turns are known by their connection and this."""


class Track:
    """A stretch of audio as the messages that carry it."""

    def __init__(self, samples: Samples) -> None:
        step = round(CHUNK * SAMPLE_RATE)
        parts = [samples[start : start + step] for start in range(0, len(samples), step)]
        self.seconds = [len(part) / SAMPLE_RATE for part in parts]
        self.messages = [_masked(write_binary("audio", _REQUEST, to_pcm16(part), None)) for part in parts]


def _masked(data: bytes) -> bytes:
    return WebSocketFrame(Opcode.BINARY, data).serialize(mask=True)


@dataclass
class Client:
    """One conversation: it plays ``tracks`` in turn, from number ``first`` on, for at least ``seconds``."""

    address: str
    tracks: Sequence[Track]
    first: int
    seconds: float
    latencies: list[float] = field(default_factory=list)
    """Seconds from the end of an utterance's words to its final with translation."""
    partials: int = 0
    spoken: int = 0
    """Tracks begun: as many finals must come at least."""
    fed: float = 0.0
    """Seconds of audio sent."""
    over: bool = False
    _began: float = 0.0
    _message: int = 0
    _unsent: bytes = b""

    def connect(self, selector: selectors.BaseSelector) -> None:
        """Open the connection and ask for a turn."""
        uri = parse_uri(self.address + PATH)
        self._protocol = ClientProtocol(uri, max_size=None)
        self.socket = socket.create_connection((uri.host, uri.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._protocol.send_request(self._protocol.connect())
        self._flush_protocol()
        self.socket.setblocking(False)
        selector.register(self.socket, selectors.EVENT_READ, self)

    def due(self) -> float | None:
        """Return when the next message is due; ``None`` when there is none (yet)."""
        if not self._began or self.over or (self.fed >= self.seconds and not self._message):
            return None
        track = self.tracks[(self.first + self.spoken) % len(self.tracks)]
        # A microphone gives a block when its last sample has been heard.
        return self._began + self.fed + track.seconds[self._message]

    def send_next(self) -> None:
        """Send the message that is due; after the last one, the end of the audio."""
        track = self.tracks[(self.first + self.spoken) % len(self.tracks)]
        self._send(track.messages[self._message])
        self.fed += track.seconds[self._message]
        self._message += 1
        if self._message == len(track.messages):
            self._message = 0
            self.spoken += 1
            if self.fed >= self.seconds:
                self._send(_masked(write_binary("audio", _REQUEST, b"", "audio/x-wav")))

    def _send(self, data: bytes) -> None:
        data = self._unsent + data
        try:
            self._unsent = data[self.socket.send(data) :]
        except BlockingIOError:
            self._unsent = data

    def flush(self) -> None:
        """Send what the server had no room for."""
        if self._unsent:
            self._send(b"")

    def receive(self) -> bool:
        """Read what has come; true when the turn has just started."""
        now = time.monotonic()
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed a conversation")
        self._protocol.receive_data(data)
        started = False
        for event in self._protocol.events_received():
            if not isinstance(event, WebSocketFrame):
                self._ask()
            elif event.opcode is Opcode.TEXT:
                started |= self._heard(bytes(event.data).decode(), now)
            elif event.opcode is Opcode.CLOSE:
                raise ConnectionError(f"the server closed a conversation: {bytes(event.data)!r}")
        self._flush_protocol()
        return started

    def _ask(self) -> None:
        self._protocol.send_text(write_text("speech.context", _REQUEST, CONTEXT).encode())
        self._protocol.send_binary(write_binary("audio", _REQUEST, wave_header(SAMPLE_RATE), "audio/x-wav"))

    def _heard(self, message: str, now: float) -> bool:
        frame = parse_text(message)
        if frame.path == "turn.start":
            self._began = now
            return True
        if frame.path == "turn.end":
            self.over = True
        elif frame.path == "translation.response":
            body: dict[str, Any] = json.loads(frame.body)
            if phrase := body.get("SpeechPhrase"):
                if phrase["RecognitionStatus"] == "Success" and body["Translations"]:
                    self.latencies.append(now - self._began - (phrase["Offset"] + phrase["Duration"]) / 1e7)
            else:
                self.partials += 1
        return False

    def _flush_protocol(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._send(data)


def play(address: str, tracks: Sequence[Track], number: int, seconds: float, ramp: float) -> list[Client]:
    """Hold ``number`` conversations, begun within ``ramp`` seconds, for ``seconds`` each; return what they heard."""
    clients = [Client(address, tracks, n, seconds) for n in range(number)]
    with selectors.DefaultSelector() as selector:
        _Play(clients, selector, ramp).run()
    for client in clients:
        client.socket.close()
    return clients


class _Play:
    """The loop that plays for all clients."""

    def __init__(self, clients: Sequence[Client], selector: selectors.BaseSelector, ramp: float) -> None:
        self._clients, self._selector = clients, selector
        self._tick = time.monotonic()
        self._starting = deque((self._tick + n / len(clients) * ramp, client) for n, client in enumerate(clients))
        self._sending: list[tuple[float, int]] = []

    def run(self) -> None:
        """Play until every turn has ended, or nothing more is sent and the last answers do not come."""
        patience = time.monotonic() + PATIENCE
        while not all(client.over for client in self._clients) and time.monotonic() < patience:
            if self._starting or self._sending:
                patience = time.monotonic() + PATIENCE
            self._start()
            self._send()
            self._tick = max(self._tick + TICK, time.monotonic())
            while (left := self._tick - time.monotonic()) > 0:
                for key, _ in self._selector.select(left):
                    if key.data.receive():
                        self._plan(key.data)

    def _start(self) -> None:
        while self._starting and self._starting[0][0] <= self._tick:
            self._starting.popleft()[1].connect(self._selector)

    def _send(self) -> None:
        while self._sending and self._sending[0][0] <= self._tick:
            client = self._clients[heapq.heappop(self._sending)[1]]
            client.send_next()
            self._plan(client)
        for client in self._clients:
            client.flush()

    def _plan(self, client: Client) -> None:
        if (due := client.due()) is not None:
            heapq.heappush(self._sending, (due, client.first))
