"""A WebSocket as the rooms of this server see it: frames in, an outbox out, and every way to end told by its code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from device.errors import DragomanError
from device.server.connections import GOING
from device.server.frames import Frame, parse_binary, parse_text
from device.server.outbox import Outbox, StalledError
from device.server.patience import Patience
from device.server.service import Service

log = logging.getLogger(__name__)

NORMAL, UNSUPPORTED, INVALID, POLICY, INTERNAL = 1000, 1003, 1007, 1008, 1011
"""Close codes (RFC 6455, 7.4.1). The SDKs give up at once on 1003 and 1007, and try again on 1011."""
PATIENCE = 5.0
"""Seconds for the last messages to leave."""
LAST_WORDS = 3.0
"""Seconds in which what was said may still be answered when the server stops."""
LONGEST_REASON = 120
"""Bytes that fit into a close frame, with some to spare."""


class Room(Protocol):
    """What serves one socket."""

    async def run(self) -> None:
        """Serve until the client goes."""
        ...

    @property
    def served(self) -> dict[str, str]:
        """What answers, as far as the address tells it; each becomes a header ``X-Dragoman-…``."""
        ...


class RefusedSocketError(Exception):
    """The conversation cannot go on; ``code`` and the message close the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class StoppingError(RefusedSocketError):
    """The server stops."""


class Socket:
    """One accepted WebSocket.

    Parameters
    ----------
    websocket
        The connection.
    service
        Has the limits.
    """

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self._websocket, self._service = websocket, service
        self._patience = Patience(service.settings.server.idle)
        self._outbox = Outbox(self._send)
        self.put, self.drop, self.room = self._outbox.put, self._outbox.drop, self._outbox.room

    async def messages(self, answering: Callable[[], bool] = lambda: False) -> AsyncIterator[str | bytes]:
        """Yield what the client sends, text or bytes, until it goes; nothing is read while its outbox is full.

        Parameters
        ----------
        answering
            Whether the client waits for an answer, and so has nothing to say.

        Raises
        ------
        TimeoutError
            Nothing came for the settings' ``server.idle`` seconds, and the client waited for nothing.
        RefusedSocketError
            A message is longer than the settings allow.
        StoppingError
            The server stops; what is put now still leaves.
        """
        settings = self._service.settings.server
        while True:
            await self.room()
            try:
                message = await self._patience.wait(self._websocket.receive())
            except TimeoutError:
                if answering():
                    continue
                raise
            if message["type"] == "websocket.disconnect":
                if message.get("code") == GOING:
                    raise StoppingError(GOING, "the server stops")
                return
            text, data = message.get("text"), message.get("bytes")
            if len(text or data or b"") > settings.message_kb * 1024:
                raise RefusedSocketError(1009, f"a message may have {settings.message_kb} KiB")
            yield text if text is not None else data or b""

    async def frames(self, answering: Callable[[], bool]) -> AsyncIterator[Frame]:
        """Yield what the client sends as frames (see `messages`).

        Raises
        ------
        FrameError
            A message is none.
        """
        async for message in self.messages(answering):
            yield parse_text(message) if isinstance(message, str) else parse_binary(message)

    async def sent(self) -> None:
        """Wait until everything has left."""
        await self._outbox.sent()

    async def serve(self, room: Room) -> None:
        """Let ``room`` serve the socket, send what it says, and close with the code that fits the end."""
        sending = asyncio.create_task(self._outbox.run())
        serving = asyncio.create_task(room.run())
        code, reason = NORMAL, ""
        try:
            await asyncio.wait({sending, serving}, return_when=asyncio.FIRST_COMPLETED)
            for task in (sending, serving):
                if task.done():
                    task.result()
        except TimeoutError:
            reason = f"nothing came for {self._service.settings.server.idle:g} s"
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told how it ends
            code, reason = _verdict(error)
        finally:
            self._patience.stop()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            if not sending.done() and code != POLICY:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(PATIENCE):
                        await self._outbox.sent()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        await self._close(code, reason)

    async def _close(self, code: int, reason: str) -> None:
        """Say how it ends; whoever does not take that is cut off."""
        reason = _short(reason)
        with contextlib.suppress(Exception):
            try:
                # A client that stopped reading is not waited for once more.
                async with asyncio.timeout(0 if code == POLICY else PATIENCE):
                    await self._websocket.close(code, reason)
            except TimeoutError:
                self._websocket.scope["state"]["cut_off"](code, reason)

    async def _send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._websocket.send_text(message)
        else:
            await self._websocket.send_bytes(message)


def _verdict(error: Exception) -> tuple[int, str]:
    """Return the code and the reason that a failure closes the socket with."""
    match error:
        case RefusedSocketError():
            return error.code, str(error)
        case DragomanError():
            return INVALID, str(error)
        case StalledError():
            return POLICY, "what was sent is not read"
        case WebSocketDisconnect() | OSError():
            return NORMAL, ""
    log.error("a connection failed", exc_info=error)
    return INTERNAL, "the server failed"


def _short(reason: str) -> str:
    """Cut a reason to what a close frame holds, at a character."""
    return reason.encode()[:LONGEST_REASON].decode("utf-8", errors="ignore")


Endpoint = Callable[[WebSocket], Awaitable[None]]
