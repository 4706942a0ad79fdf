"""The Speech SDK's sockets for recognition and translation: one connection, one turn after another."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

from device.errors import DragomanError
from device.server.frames import Frame, FrameError, write_binary, write_text
from device.server.options import Query, turn_options
from device.server.service import Service
from device.server.sockets import LAST_WORDS, Socket, StoppingError
from device.server.turn import Turn

log = logging.getLogger(__name__)

LONGEST_ID = 128
MOST_FINISHED = 64
"""Turns whose late audio is known not to begin a new one."""


class RecognitionSocket:
    """Serves one connection.

    Parameters
    ----------
    service
        What is shared.
    socket
        The accepted connection.
    path, query
        Of the address that the client asked for.
    """

    def __init__(self, service: Service, socket: Socket, path: str, query: Query) -> None:
        self._service, self._socket = service, socket
        self._path, self._query = path.lower(), query
        self._mode = ""
        self._turn: Turn | None = None
        self._request = ""
        self._finished: deque[str] = deque(maxlen=MOST_FINISHED)
        self._ending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until the client goes."""
        try:
            async for frame in self._socket.frames(self._answering):
                await self._take(frame)
        except TimeoutError:
            if self._turn is not None:
                self._turn.fail("Error", f"nothing was sent for {self._service.settings.server.idle:g} s")
            raise
        except StoppingError:
            await self._finish_soon()
            raise
        finally:
            if self._ending is not None:
                self._ending.cancel()
            if self._turn is not None:
                self._turn.abandon()

    served: dict[str, str] = {}  # noqa: RUF012 - never changed: the first message of a turn tells it

    def _answering(self) -> bool:
        return self._ending is not None and not self._ending.done()

    async def _take(self, frame: Frame) -> None:
        if frame.path == "speech.config":
            recognition = frame.json().get("context", {})
            wanted = recognition.get("recognition") if isinstance(recognition, dict) else None
            self._mode = wanted if isinstance(wanted, str) else ""
        elif frame.path == "speech.context":
            await self._begin(frame.request_id, frame.json())
        elif frame.path == "audio":
            if frame.request_id != self._request and frame.request_id not in self._finished:
                await self._begin(frame.request_id, {})
            if frame.request_id == self._request and self._turn is not None:
                await self._hear(self._turn, frame.body)
        # Everything else (telemetry, speech.event, audio.commit) needs no answer.

    async def _begin(self, request: str, context: Mapping[str, Any]) -> None:
        if not request or len(request) > LONGEST_ID:
            raise FrameError(f"a turn needs an X-RequestId header of at most {LONGEST_ID} characters")
        if self._turn is not None and not self._turn.over:
            self._turn.abandon()
        if self._ending is not None:
            # Its finals are still worked out, on a thread: no client has more than one for that.
            await asyncio.wait({self._ending})
        self._finished.append(self._request)
        self._request = request

        def reply(path: str, body: Mapping[str, Any] | bytes, *, key: object = None, final: str | None = None) -> None:
            if isinstance(body, bytes):
                self._socket.put(write_binary(path, request, body, "audio/x-wav"))
                return
            if final is not None:
                self._socket.drop((request, f"partial {final}"))
            self._socket.put(write_text(path, request, body), None if key is None else (request, key))

        options = turn_options(self._path, self._query, context, self._mode)
        turn = self._turn = Turn(self._service, options, reply, v2="universal" in self._path)
        tag = uuid.uuid4().hex
        try:
            served = await turn.open()
        except DragomanError as error:
            turn.abandon()
            # The reason to close is all that every SDK shows; it has room for 120 bytes, and this for all of it.
            reply("turn.start", {"context": {"serviceTag": tag}, "refused": str(error)})
            raise
        reply("turn.start", {"context": {"serviceTag": tag}, "served": served})

    async def _hear(self, turn: Turn, data: bytes) -> None:
        if not turn.listening:
            return
        if data:
            await turn.feed(data)
        if not data or turn.complete:
            self._end(turn)

    def _end(self, turn: Turn) -> None:
        """Hear no more; answers may take a while, and the client may go, or begin another turn, meanwhile."""
        turn.hear_no_more()
        self._ending = asyncio.create_task(self._finish(turn))

    async def _finish_soon(self) -> None:
        """Answer what was said before the server stops, as far as there is time for it."""
        turn = self._turn
        if turn is None or turn.over:
            return
        if turn.listening:
            self._end(turn)
        assert self._ending is not None
        await asyncio.wait({self._ending}, timeout=LAST_WORDS)
        turn.fail("Error", "the server stops")  # nothing is said where the turn is over by now

    async def _finish(self, turn: Turn) -> None:
        try:
            await turn.finish()
        except Exception:
            log.exception("a turn failed")
            turn.fail("Error", "the turn failed")
