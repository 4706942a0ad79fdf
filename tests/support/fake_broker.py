"""A scripted MQTT 5 broker for what a real one will not do on demand.

It knows just enough of the wire format (OASIS MQTT 5.0, chapter 3) to accept one client, to read what it
publishes, and to answer each publish as the test says.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

PATIENCE = 60.0


@dataclass(frozen=True)
class Published:
    topic: str
    payload: bytes
    qos: int
    packet_id: int
    dup: bool
    connection: int
    """Counts the client's connections from 1."""


Answer = Callable[["Peer", Published], None]


class Peer:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.number = number
        self._sock = sock

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def acknowledge(self, publish: Published, reason: int = 0) -> None:
        if publish.qos:
            self.send(bytes([0x40, 4]) + publish.packet_id.to_bytes(2, "big") + bytes([reason, 0]))

    def disconnect(self, reason: int) -> None:
        self.send(bytes([0xE0, 2, reason, 0]))
        self.cut()

    def cut(self) -> None:
        _cut(self._sock)


class FakeBroker:
    """Listens on a free loopback port; ``answer`` is called for each PUBLISH and acknowledges by default."""

    host = "127.0.0.1"

    def __init__(
        self, answer: Answer | None = None, *, connack: int = 0, properties: bytes = b"", remembers: bool = True
    ) -> None:
        self.published: list[Published] = []
        self.connections = 0
        self._answer = answer or (lambda peer, publish: peer.acknowledge(publish))
        self.connack = connack
        self._properties = properties
        self._remembers = remembers
        self._changed = threading.Condition()
        self._server = socket.create_server((self.host, 0))
        self.port = self._server.getsockname()[1]
        self._closing = False
        self._peers: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, name="fake-broker", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for sock in self._peers:
            _cut(sock)
        self._thread.join(PATIENCE)

    def on(self, suffix: str) -> list[Published]:
        with self._changed:
            return [publish for publish in self.published if publish.topic.endswith(suffix)]

    def wait(self, enough: Callable[[FakeBroker], Any], timeout: float = PATIENCE) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self), timeout):
                raise AssertionError(f"the client did not do it: {self.published[-5:]}")

    def wait_on(self, suffix: str, count: int = 1) -> list[Published]:
        self.wait(lambda broker: sum(p.topic.endswith(suffix) for p in broker.published) >= count)
        return self.on(suffix)

    def _accept(self) -> None:
        while not self._closing:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self._peers.append(sock)
            with self._changed:
                self.connections += 1
                self._changed.notify_all()
            try:
                self._serve(sock, Peer(sock, self.connections))
            except (OSError, EOFError):
                pass
            finally:
                sock.close()

    def _serve(self, sock: socket.socket, peer: Peer) -> None:
        while True:
            header = _exactly(sock, 1)[0]
            body = _exactly(sock, _length(sock))
            match header >> 4:
                case 1:
                    present = self._remembers and peer.number > 1 and not self.connack
                    variable = bytes([present, self.connack, len(self._properties)]) + self._properties
                    peer.send(bytes([0x20, len(variable)]) + variable)
                    if self.connack:
                        return
                case 3:
                    publish = _publish(header, body, peer.number)
                    with self._changed:
                        self.published.append(publish)
                        self._changed.notify_all()
                    self._answer(peer, publish)
                case 8:
                    peer.send(bytes([0x90, 5]) + body[:2] + b"\0\1\1")
                case 12:
                    peer.send(b"\xd0\0")
                case 14:
                    return


def _cut(sock: socket.socket) -> None:
    """End a connection, also under a thread that waits for it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _publish(header: int, body: bytes, connection: int) -> Published:
    size = int.from_bytes(body[:2], "big")
    topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
    qos = header >> 1 & 3
    packet_id = 0
    if qos:
        packet_id, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    payload = rest[1 + rest[0] :]  # the tests' properties are shorter than 128 bytes
    return Published(topic, payload, qos, packet_id, bool(header & 8), connection)


def _length(sock: socket.socket) -> int:
    value = shift = 0
    while True:
        byte = _exactly(sock, 1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data
