"""The Speech SDK's sockets for text to speech: SSML in; sound, boundaries and bookmarks out."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from device.errors import DragomanError
from device.server.encoding import Encoder, OutputFormat, output_format
from device.server.frames import Frame, FrameError, write_binary, write_text
from device.server.options import Query
from device.server.replies import ticks
from device.server.service import Service
from device.server.sockets import Socket
from device.server.speaking import PUNCTUATION, SENTENCE, WORD, Boundary, Mark, Sound, Speaker
from device.text.ssml import Manner, Part, Say, parse_ssml

log = logging.getLogger(__name__)

CHUNK = 16_384
"""Bytes of sound in one message."""
DEFAULT_FORMAT = "raw-16khz-16bit-mono-pcm"
MOST_PIECES = 10_000


class _Wanted:
    """What ``synthesis.context`` asks for."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        synthesis = _table(context, "synthesis")
        audio = _table(synthesis, "audio")
        meta = _table(audio, "metadataoptions")
        name = audio.get("outputformat")
        self.format: OutputFormat = output_format(name if isinstance(name, str) else DEFAULT_FORMAT)
        self.kinds = {
            kind
            for kind, key in ((WORD, "word"), (PUNCTUATION, "punctuation"), (SENTENCE, "sentence"))
            if _true(meta.get(f"{key}boundaryenabled"))
        }
        self.bookmarks = _true(meta.get("bookmarkenabled"))
        self.session_end = _true(meta.get("sessionendenabled", True))
        streaming = _table(synthesis, "input").get("bidirectionalstreamingmode")
        self.streams_text = _true(streaming)
        voice = _table(synthesis, "voice") or _table(synthesis, "input")
        self.manner = Manner(_string(voice.get("name") or voice.get("voicename")), _string(voice.get("language")))


class SynthesisSocket:
    """Serves one connection; requests are answered one after another, each under its own id."""

    def __init__(self, service: Service, socket: Socket, path: str, query: Query) -> None:  # noqa: ARG002
        self._service, self._socket = service, socket
        self._wanted: dict[str, _Wanted] = {}
        self._pieces: dict[str, list[str]] = {}
        self._length = 0
        self._speaking: asyncio.Task[None] | None = None
        self._request = ""

    async def run(self) -> None:
        """Serve until the client goes.

        Raises
        ------
        DragomanError
            A message is none, or something cannot be spoken.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                try:
                    async for frame in self._socket.frames(self._answering):
                        await self._take(frame)
                finally:
                    self._stop()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _answering(self) -> bool:
        return self._speaking is not None and not self._speaking.done()

    served: dict[str, str] = {}  # noqa: RUF012 - never changed: the first message of a turn tells it

    def _stop(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()

    async def _take(self, frame: Frame) -> None:
        request = frame.request_id
        if frame.path == "synthesis.context":
            if len(self._wanted) > 8:
                self._wanted.pop(next(iter(self._wanted)))
            self._wanted[request] = _Wanted(frame.json())
            if self._wanted[request].streams_text:
                self._pieces, self._length = {request: []}, 0
        elif frame.path == "ssml":
            await self._begin(request, parse_ssml(frame.body))
        elif frame.path == "text.piece" and request in self._pieces:
            pieces = self._pieces[request]
            pieces.append(frame.body.decode("utf-8", errors="replace"))
            self._length += len(frame.body)
            if len(pieces) > MOST_PIECES or self._length > self._service.settings.server.message_kb * 1024:
                raise FrameError("there is too much text to speak in one request")
        elif frame.path == "text.end" and request in self._pieces:
            wanted = self._wanted.get(request) or _Wanted({})
            await self._begin(request, [Say("".join(self._pieces.pop(request)), wanted.manner)])
        elif frame.path == "synthesis.control" and _string(frame.json().get("action")).lower() == "stop":
            await self._interrupt()

    async def _interrupt(self) -> None:
        """Stop speaking in the middle, as the client asked."""
        if self._speaking is not None and self._answering():
            self._stop()
            await asyncio.wait({self._speaking})
            self._socket.put(write_text("turn.end", self._request, {}))

    async def _begin(self, request: str, parts: list[Part]) -> None:
        if not request:
            raise FrameError("a request needs an X-RequestId header")
        if self._speaking is not None:
            await asyncio.wait({self._speaking})
        wanted = self._wanted.pop(request, None) or _Wanted({})
        speaker = Speaker(self._service, parts)
        self._request = request
        self._speaking = self._tasks.create_task(self._try_to_speak(request, wanted, speaker))

    async def _try_to_speak(self, request: str, wanted: _Wanted, speaker: Speaker) -> None:
        try:
            await self._speak(request, wanted, speaker)
        except DragomanError:
            raise
        except Exception as error:
            log.exception("speaking failed")
            raise DragomanError(f"speaking failed: {error}") from None

    async def _speak(self, request: str, wanted: _Wanted, speaker: Speaker) -> None:
        stream, tag = uuid.uuid4().hex.upper(), uuid.uuid4().hex
        put = self._socket.put
        context = {"serviceTag": tag}
        put(write_text("turn.start", request, {"context": context, "served": {"voice": ", ".join(speaker.voices)}}))
        put(write_text("response", request, {"context": context, "audio": {"type": "inline", "streamId": stream}}))
        encoder = Encoder(wanted.format)

        def sound(data: bytes) -> None:
            for start in range(0, len(data), CHUNK):
                chunk = data[start : start + CHUNK]
                put(write_binary("audio", request, chunk, wanted.format.media_type, X_StreamId=stream))

        def metadata(kind: str, data: dict[str, Any]) -> None:
            put(write_text("audio.metadata", request, {"Metadata": [{"Type": kind, "Data": data}]}))

        async for item in speaker.speak():
            if isinstance(item, Sound):
                sound(await self._service.work(encoder.encode, item.samples, item.rate))
            elif isinstance(item, Mark):
                if wanted.bookmarks:
                    metadata("Bookmark", {"Offset": ticks(item.start), "Bookmark": item.name})
            elif item.kind in wanted.kinds:
                metadata(SENTENCE if item.kind == SENTENCE else WORD, _boundary(item))
            await self._socket.room()
        sound(await self._service.work(encoder.finish))
        if wanted.session_end:
            metadata("SessionEnd", {"Offset": ticks(speaker.duration)})
        put(write_text("turn.end", request, {}))


def _boundary(item: Boundary) -> dict[str, Any]:
    text = {"Text": item.text, "Length": len(item.text), "BoundaryType": item.kind}
    return {"Offset": ticks(item.start), "Duration": ticks(item.duration), "text": text}


def _table(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def _true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
