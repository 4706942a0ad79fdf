"""The REST side of speech: text to speech, the voices, short audio, and tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from device.config.languages import NAMES
from device.errors import DragomanError
from device.events import Final
from device.modelstore.catalogue import primary
from device.server import replies
from device.server.auth import Gate
from device.server.bodies import read_body, saved_body
from device.server.encoding import DEFAULT, Encoder, output_format
from device.server.errors import HttpError
from device.server.languages import VoiceName
from device.server.options import query_of, turn_options
from device.server.recordings import Recording, transcribe
from device.server.refusals import refuse_what_is_missing
from device.server.service import Service
from device.server.speaking import Sound, Speaker
from device.text.ssml import parse_ssml

SHORT_AUDIO = 60.0
"""Seconds that short audio may last."""


class SpeechRest:
    """Answers requests; one object for all."""

    def __init__(self, service: Service, gate: Gate) -> None:
        self._service, self._gate = service, gate

    def _readable(self, request: Request) -> dict[str, str]:
        return readable(self._gate, request.headers.get("origin"))

    async def voices(self, request: Request) -> Response:
        """List the installed voices."""
        return JSONResponse(
            [describe(voice) for voice in self._service.languages.spoken()], headers=self._readable(request)
        )

    async def token(self, _request: Request) -> Response:
        """Issue a token; whoever comes here has shown the key."""
        return PlainTextResponse(self._gate.issue(), media_type="application/jwt")

    async def speak(self, request: Request) -> Response:
        """Speak an SSML document."""
        limit = self._service.settings.server.message_kb * 1024
        document = await read_body(request, limit)
        wanted = output_format(request.headers.get("x-microsoft-outputformat") or DEFAULT)
        speaker = Speaker(self._service, parse_ssml(document))
        headers = {"X-Dragoman-Voice": ", ".join(speaker.voices), **self._readable(request)}
        if not wanted.riff:
            sound = self._encoded(speaker, Encoder(wanted))
            first = await anext(sound)  # a voice that cannot be loaded, or fails at once, is told with its own status
            return StreamingResponse(_joined(first, sound), 200, headers, wanted.media_type)
        sounds = [item async for item in speaker.speak() if isinstance(item, Sound)]
        encoder = Encoder(wanted, 0)
        data = b"".join([await self._service.work(encoder.encode, s.samples, s.rate) for s in sounds])
        data += await self._service.work(encoder.finish)
        return Response(with_sizes(data), 200, headers, wanted.media_type)

    async def _encoded(self, speaker: Speaker, encoder: Encoder) -> AsyncIterator[bytes]:
        async for item in speaker.speak():
            if isinstance(item, Sound):
                yield await self._service.work(encoder.encode, item.samples, item.rate)
        yield await self._service.work(encoder.finish)

    async def recognize(self, request: Request) -> Response:
        """Recognise up to a minute of audio."""
        query = query_of(request.query_params.multi_items())
        if not query.get("language"):
            raise HttpError(400, "name the language in the query: ?language=en-US", "MissingParameter")
        options = turn_options(request.url.path, query, {})
        refuse_what_is_missing(options)
        if request.headers.get("pronunciation-assessment"):
            raise HttpError(400, "pronunciation is not assessed here")
        language = self._service.languages.source(options.locale)
        async with saved_body(request, self._service.settings.server.upload_mb << 20) as path:
            recording = await self._service.work(Recording, path, SHORT_AUDIO)
            heard = await transcribe(
                self._service, language, recording, profanity=options.profanity, words=options.words
            )
        finals = heard.finals
        headers = {"X-Dragoman-Locale": language, **self._readable(request)}
        if not finals:
            body = replies.status("NoMatch", 0.0, heard.duration)
            return JSONResponse(body, headers=headers)
        text = " ".join(final.text for final in finals)
        start, end = finals[0].start, finals[-1].end
        body = {
            "RecognitionStatus": "Success", "Offset": replies.ticks(start), "Duration": replies.ticks(end - start),
        }  # fmt: skip
        if not options.detailed:
            return JSONResponse({**body, "DisplayText": text}, headers=headers)
        return JSONResponse({**body, "NBest": [_best(text, finals, words=options.words)]}, headers=headers)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _best(text: str, finals: Sequence[Final], *, words: bool) -> dict[str, Any]:
    known = [f.confidence for f in finals if f.confidence is not None]
    whole = replace(
        finals[0],
        text=text,
        forms=replies.forms(*finals),
        confidence=min(known, default=None),
        words=tuple(w for f in finals for w in f.words),
    )
    return replies.best(whole, 0.0, words=words)


def readable(gate: Gate, origin: str | None) -> dict[str, str]:
    """Return the headers that let a page read an answer (https://fetch.spec.whatwg.org/#http-cors-protocol).

    With a key, every page may that has it. Without one, only those of this machine do: no others come so far.
    """
    if not gate.open:
        return {"Access-Control-Allow-Origin": "*"}
    return {"Vary": "Origin"} | ({"Access-Control-Allow-Origin": origin} if origin else {})


def describe(voice: VoiceName) -> dict[str, Any]:
    """Return a voice as the voices list shows it."""
    name = NAMES[primary(voice.locale)]
    region = voice.locale.rpartition("-")[2]
    return {
        "Name": f"Microsoft Server Speech Text to Speech Voice ({voice.locale}, {voice.given}Neural)",
        "DisplayName": voice.given, "LocalName": voice.given, "ShortName": voice.short, "Gender": voice.gender,
        "Locale": voice.locale, "LocaleName": f"{name} ({region})", "StyleList": [], "SampleRateHertz": "24000",
        "VoiceType": "Neural", "Status": "GA", "WordsPerMinute": "150", "ExtendedPropertyMap": {},
        "VoiceTag": {"ModelId": [voice.id], "Licence": [voice.voice.model.licence]},
    }  # fmt: skip


def with_sizes(data: bytes) -> bytes:
    """Write the true sizes into the WAVE header that ``data`` begins with."""
    if len(data) < 44:
        raise DragomanError("nothing was said")
    size = len(data) - 44
    return data[:4] + (size + 36).to_bytes(4, "little") + data[8:40] + size.to_bytes(4, "little") + data[44:]
