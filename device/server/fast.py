"""Fast transcription: a recording in, its text out, in one request (``transcriptions:transcribe``)."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from device.events import Final
from device.server.diarization import people_asked
from device.server.errors import HttpError
from device.server.identification import identify
from device.server.jsons import parse_json
from device.server.languages import default_locale
from device.server.options import MOST_PHRASES, profanity_option
from device.server.recordings import Recording, Transcript, transcribe
from device.server.refusals import RefusedError
from device.server.service import Service
from device.server.sources import opened

MOST_PARTS = 8
LONGEST_DEFINITION = 1 << 20


class FastTranscription:
    """Answers requests; one object for all."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, request: Request) -> Response:
        """Transcribe the recording in the request."""
        preview = request.query_params.get("api-version") == "2024-05-15-preview"
        limited = Request(request.scope, _limited(request, self._service.settings.server.upload_mb << 20))
        try:
            form = await limited.form(max_files=1, max_fields=MOST_PARTS, max_part_size=LONGEST_DEFINITION)
        except HTTPException as error:
            raise HttpError(400, str(error.detail)) from None
        try:
            definition = _definition(form.get("definition"))
            self._refuse(definition)
            people = people_asked(definition)
            if people is not None:
                await self._service.work(self._service.engines.telling_apart)
            async with self._audio(form.get("audio"), definition) as path:
                recording = await self._service.work(Recording, path, self._service.settings.server.longest_audio)
                language, locale = await self._language(definition, recording)
                channels = _channels(definition)
                for channel in channels:
                    recording.check_channel(channel)
                phrases = _phrases(definition)
                profanity = profanity_option(definition.get("profanityFilterMode"))
                heard = []
                chosen: tuple[int | None, ...] = channels or (None,)
                for each in chosen:
                    transcript = await transcribe(
                        self._service, language, recording, each, profanity=profanity, phrases=phrases, words=True,
                        people=people,
                    )  # fmt: skip
                    heard.append((each, transcript))
        finally:
            await form.close()
        body = _body(heard, locale, preview=preview)
        headers = {"X-Dragoman-Locale": language}
        if people:
            headers["X-Dragoman-Speakers"] = str(people)
        return JSONResponse(body, headers=headers)

    def _refuse(self, definition: dict[str, Any]) -> None:
        enhanced = definition.get("enhancedMode")
        if isinstance(enhanced, dict) and enhanced.get("enabled", True):
            raise RefusedError("there is no enhanced mode here: leave enhancedMode out")
        if definition.get("models"):
            raise RefusedError("there are no custom models here: leave models out")

    @contextlib.asynccontextmanager
    async def _audio(self, part: object, definition: dict[str, Any]) -> AsyncIterator[Path]:
        """Give the file of the recording, sent along or named by its address."""
        address = definition.get("audioUrl")
        if isinstance(part, UploadFile):
            with tempfile.NamedTemporaryFile(prefix="dragoman-", suffix=".audio") as file:
                await self._service.work(shutil.copyfileobj, part.file, file)
                file.flush()
                yield Path(file.name)
        elif isinstance(address, str):
            with contextlib.ExitStack() as stack:
                source = opened(address, self._service.settings.server)
                yield await self._service.work(stack.enter_context, source)
        else:
            raise HttpError(400, "the request has no part 'audio' with a file")

    async def _language(self, definition: dict[str, Any], recording: Recording) -> tuple[str, str]:
        """Return the language to recognise, and the locale to name it by."""
        locales = definition.get("locales") or []
        if not isinstance(locales, list) or not all(isinstance(tag, str) for tag in locales):
            raise HttpError(400, "locales must be a list of tags such as en-US")
        languages = self._service.languages
        if len(locales) == 1:
            return languages.source(locales[0]), locales[0]
        known = {languages.source(tag): tag for tag in reversed(locales)}
        language = await self._service.work(identify, self._service, recording.blocks(None), tuple(known))
        return language, known.get(language, default_locale(language))


def _limited(request: Request, limit: int) -> Any:
    """Return the request's ``receive`` that refuses more than ``limit`` bytes."""
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HttpError(413, f"a body may have {limit} bytes")
        return message

    return receive


def _definition(part: object) -> dict[str, Any]:
    try:
        data = part if isinstance(part, str) else "{}"
        if isinstance(part, UploadFile):
            raise HttpError(400, "the part 'definition' must be JSON text, not a file")
        definition = parse_json(data)
    except ValueError:
        raise HttpError(400, "the part 'definition' is not valid JSON") from None
    if not isinstance(definition, dict):
        raise HttpError(400, "the part 'definition' must be a JSON object")
    return definition


def _phrases(definition: dict[str, Any]) -> list[str]:
    listed = definition.get("phraseList")
    phrases = listed.get("phrases") if isinstance(listed, dict) else []
    if not isinstance(phrases, list) or len(phrases) > MOST_PHRASES or not all(isinstance(p, str) for p in phrases):
        raise HttpError(400, f"phraseList.phrases must be a list of at most {MOST_PHRASES} texts")
    return phrases


def _channels(definition: dict[str, Any]) -> tuple[int, ...]:
    channels = definition.get("channels") or []
    if not isinstance(channels, list) or not all(type(c) is int for c in channels) or len(channels) > 8:
        raise HttpError(400, "channels must be a list of numbers such as [0, 1]")
    return tuple(dict.fromkeys(channels))


def _body(heard: list[tuple[int | None, Transcript]], locale: str, *, preview: bool) -> dict[str, Any]:
    unit = "" if preview else "Milliseconds"
    phrases, combined = [], []
    for channel, transcript in heard:
        own = {} if channel is None else {"channel": channel}
        combined.append({**own, "text": " ".join(final.text for final in transcript.finals)})
        phrases += [{**own, **_phrase(final, locale, unit)} for final in transcript.finals]
    phrases.sort(key=lambda phrase: phrase[f"offset{unit}"])
    duration = max((transcript.duration for _, transcript in heard), default=0.0)
    return {f"duration{unit}": round(duration * 1000), "combinedPhrases": combined, "phrases": phrases}


def _phrase(final: Final, locale: str, unit: str) -> dict[str, Any]:
    phrase: dict[str, Any] = {**_span(final.start, final.end, unit), "text": final.text, "locale": locale}
    if final.speaker is not None:
        phrase["speaker"] = final.speaker
    if final.words:
        phrase["words"] = [{"text": word.text, **_span(word.start, word.end, unit)} for word in final.words]
    if final.confidence is not None:
        phrase["confidence"] = round(final.confidence, 4)
    return phrase


def _span(start: float, end: float, unit: str) -> dict[str, int]:
    return {f"offset{unit}": round(start * 1000), f"duration{unit}": round((end - start) * 1000)}
