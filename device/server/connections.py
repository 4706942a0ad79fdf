"""Connections below the app: how many there may be, how long a request may take to begin, and how to cut one off."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

HEAD_TIME = 10.0
"""Seconds from a connection's first byte, or from its opening, until the head of its request is whole."""
HEAD_SIZE = 64 * 1024
"""Bytes that a head may have; keys and tokens in the query are the longest part of honest ones."""
WAITING = 64
"""Connections that may be open beyond those that are served: to ask, to be told to come again, to be kept alive."""


class HttpProtocol(H11Protocol):
    """HTTP for strangers: nobody holds a connection open by sending a head slowly, or not at all."""

    _deadline: asyncio.TimerHandle | None = None

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

    def _watch(self) -> None:
        """See that a head that has begun ends; while a request is answered there is nothing to see."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIME, self.transport.close)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class SocketProtocol(WebSocketsSansIOProtocol):
    """Lets the app end a connection whose client does not read: closing it would wait for that client."""

    def handle_connect(self, event: Request) -> None:
        """Hand the app the way to end the connection."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["state"]["abort"] = self.transport.abort
