"""Connections below the app: how many there may be, how long a request may take to begin, and how to cut one off."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import h11
from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState
from websockets.http11 import Request

HEAD_TIME = 10.0
"""Seconds from a connection's first byte, or from its opening, until the head of its request is whole."""
HEAD_SIZE = 64 * 1024
"""Bytes that a head may have; keys and tokens in the query are the longest part of honest ones."""
WAITING = 64
"""Connections that may be open beyond those that are served: to ask, to be told to come again, to be kept alive."""
GOING = 1001
"""The code of a socket that closes because the server stops (RFC 6455, 7.4.1)."""
LINGER = 5.0
"""Seconds in which a client that was cut off can still read why."""
STUCK = 30.0
"""Seconds without a byte read after which what waits for a client is thrown away."""


class HttpProtocol(H11Protocol):
    """HTTP for strangers: nobody holds a connection open by sending a head slowly, or not at all."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:  # fmt: skip
        super().__init__(config, server_state, {**app_state, "abort": self._abort}, _loop)
        self._deadline: asyncio.TimerHandle | None = None

    def _abort(self) -> None:
        """End the connection with whatever its client has not read: the app finds this in its scope's state."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; a connection too many is closed at once."""
        super().connection_made(transport)
        if len(self.connections) > (self.limit_concurrency or WAITING):
            transport.abort()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        if not self.transport.is_closing() and self.transport.get_protocol() is self:
            self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over."""
        self._unwatch()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, also where the rest of a request that is being answered turns out to be none."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Go on to the next request, or see the client off after its last."""
        super().on_response_complete()
        if self.transport.is_closing():
            _see_off(self.loop, self.transport)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that asks nothing more."""
        super().timeout_keep_alive_handler()
        _see_off(self.loop, self.transport)

    def _watch(self) -> None:
        """See that a head that has begun ends; while a request is answered there is nothing to see."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIME, self._late)

    def _late(self) -> None:
        """Close a connection whose head takes too long."""
        self.transport.close()
        _see_off(self.loop, self.transport)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class TlsDoor(asyncio.Protocol):
    """Shakes hands before HTTP begins, in the time that a head may take; those who do so count as connections.

    The event loop's own TLS would let any number of connections wait a minute without a word.
    """

    def __init__(self, http: HttpProtocol, context: ssl.SSLContext) -> None:
        self._http, self._context = http, context
        self._early = b""
        self._shaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to shake hands; a connection too many is closed at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._http.connections) >= (self._http.limit_concurrency or WAITING):
            transport.abort()
            return
        self._http.connections.add(self)  # type: ignore[arg-type]
        self._shaking = asyncio.get_running_loop().create_task(self._shake())

    async def _shake(self) -> None:
        loop, http = asyncio.get_running_loop(), self._http
        try:
            secure = await loop.start_tls(
                self._transport, self, self._context, server_side=True, ssl_handshake_timeout=HEAD_TIME
            )
        except OSError:  # a certificate that is not trusted, a line that breaks, plain HTTP, or nothing at all
            self._transport.abort()
            return
        finally:
            http.connections.discard(self)
        if secure is None:
            return
        secure.set_protocol(http)
        http.connection_made(secure)
        if self._early:
            http.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        """Keep what comes with the end of the handshake."""
        self._early += data

    def shutdown(self) -> None:
        """Give up, because the server stops."""
        if self._shaking is not None:
            self._shaking.cancel()
        self._transport.abort()


QUEUED = 4
"""Messages of one client that may wait to be heard while more are read."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """WebSockets for strangers: a client that does not read holds nothing for longer than it takes to tell it why."""

    _cut = False

    def handle_connect(self, event: Request) -> None:
        """Hand the app the way to end the connection."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["state"]["cut_off"] = self._cut_off

    async def run_asgi(self) -> None:
        """Let the app serve, and see that the connection ends after it."""
        await super().run_asgi()
        self.loop.call_later(self.close_timeout, _see_off, self.loop, self.transport)

    async def send(self, message: ASGISendEvent) -> None:
        """Send; a socket that was refused in words has been answered too, which uvicorn takes for a mistake."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def data_received(self, data: bytes) -> None:
        """Take what came; from a client that was cut off, nothing."""
        if self._cut:
            return
        super().data_received(data)

    def send_receive_event_to_app(self) -> None:
        """Queue a message; a client that sends faster than it is heard is read no further.

        uvicorn reads no further after every message: with many clients, the two calls of the system that this takes
        are a good part of what a message costs.
        """
        paused, self.read_paused = self.read_paused, True
        super().send_receive_event_to_app()
        self.read_paused = paused
        if not paused and self.queue.qsize() > QUEUED:
            self.read_paused = True
            self.transport.pause_reading()

    def shutdown(self) -> None:
        """Tell the app that the server stops; it still answers what was said, and closes the socket."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.stop_keepalive()
        self.close_timeout = 1.0  # not every client answers the close frame
        self.queue.put_nowait({"type": "websocket.disconnect", "code": GOING})

    def _cut_off(self, code: int, reason: str) -> None:
        """Send a close frame behind what the client has not read, without waiting for the client.

        Until it has had the time to read that, what it sends is still taken off the line: closing over unread bytes
        resets the connection, and the client's system then throws away what it has not read.
        """
        self._cut = True
        with contextlib.suppress(InvalidState):
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(LINGER, self.transport.abort)


def _see_off(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, before: int = -1) -> None:
    """Wait until a closed connection has delivered everything, as long as its client goes on reading."""
    left = transport.get_write_buffer_size()
    if left == before:
        transport.abort()
    elif left:
        loop.call_later(STUCK, _see_off, loop, transport, left)
