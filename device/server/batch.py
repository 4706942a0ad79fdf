"""Batch transcription v3.2: the work behind it, one recording at a time for each worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from device.errors import DragomanError
from device.events import Final
from device.server.batch_store import BatchStore, Job, Status, StoreError
from device.server.diarization import people_asked
from device.server.errors import HttpError
from device.server.identification import identify
from device.server.languages import default_locale
from device.server.options import profanity_option
from device.server.recordings import Recording, Transcript, transcribe
from device.server.refusals import RefusedError
from device.server.replies import forms, lexical, ticks
from device.server.service import Service
from device.server.sources import check, folder_contents, opened

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

MOST_SOURCES = 1000
_LOOK = 30.0
"""Seconds between two looks for what has expired."""
_DURATION = re.compile(r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?")


def definition_sources(service: Service, definition: Mapping[str, Any]) -> tuple[str, ...]:
    """Check what was asked for, and return the addresses of the recordings.

    Raises
    ------
    DragomanError
        Something is wrong, not allowed, or cannot be done.
    """
    server = service.settings.server
    if not _text(definition, "displayName"):
        raise HttpError(400, "displayName is missing")
    properties = _properties(definition)
    candidates = _candidates(properties)
    for locale in candidates or (_text(definition, "locale"),):
        if not locale:
            raise HttpError(400, "locale is missing")
        service.languages.source(locale)
    _refuse(definition, properties)
    if people_asked(properties) is not None:
        service.engines.telling_apart()
    lifetime(definition)
    urls, container = definition.get("contentUrls"), definition.get("contentContainerUrl")
    if container is not None:
        if urls is not None or not isinstance(container, str):
            raise HttpError(400, "name either contentUrls or one contentContainerUrl")
        return _few(folder_contents(container, server))
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise HttpError(400, "contentUrls must be a list of addresses")
    for url in _few(urls):
        check(url, server)
    return tuple(urls)


def _few(sources: Sequence[str]) -> tuple[str, ...]:
    if len(sources) > MOST_SOURCES:
        raise HttpError(400, f"a transcription may name {MOST_SOURCES} recordings, not {len(sources)}")
    return tuple(sources)


def lifetime(definition: Mapping[str, Any]) -> timedelta | None:
    """Return how long a finished transcription is kept (``timeToLive``, ISO 8601); ``None`` for ever.

    Raises
    ------
    HttpError
        It cannot be read.
    """
    wanted = _properties(definition).get("timeToLive")
    if wanted is None:
        return None
    found = _DURATION.fullmatch(wanted) if isinstance(wanted, str) and len(wanted) > 2 else None
    if found is None:
        raise HttpError(400, "timeToLive is written like PT12H or P7D")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _refuse(definition: Mapping[str, Any], properties: Mapping[str, Any]) -> None:
    profanity_option(properties.get("profanityFilterMode"))
    if properties.get("destinationContainerUrl") is not None:
        raise RefusedError("results are kept here only: leave destinationContainerUrl out")
    if definition.get("model") is not None:
        raise RefusedError("there are no custom models here: leave model out")
    if _text(properties, "punctuationMode").lower() in {"none", "dictated"}:
        raise RefusedError("punctuation is always written: leave punctuationMode out")
    channels = properties.get("channels")
    if channels is not None and not (isinstance(channels, list) and all(type(c) is int for c in channels)):
        raise HttpError(400, "channels must be a list of numbers such as [0, 1]")


class BatchWorkers:
    """Works on the transcriptions that wait.

    Parameters
    ----------
    service
        What is shared.
    store
        The transcriptions.
    """

    def __init__(self, service: Service, store: BatchStore) -> None:
        self._service, self._store = service, store
        self._waiting = asyncio.Condition()
        self._current: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Work until cancelled; what was begun is taken up again by the next start."""
        await self._kept(self._store.give_back)
        workers = self._service.settings.server.batch_workers
        async with asyncio.TaskGroup() as group:
            group.create_task(self._expire())
            for _ in range(workers):
                group.create_task(self._work())

    async def wake(self) -> None:
        """Look for work now."""
        async with self._waiting:
            self._waiting.notify_all()

    def cancel(self, job_id: str) -> None:
        """Stop working on a transcription that was deleted."""
        if job_id in self._current:
            self._current[job_id].cancel()

    async def _expire(self) -> None:
        while True:
            await self._kept(self._store.expire)
            await asyncio.sleep(_LOOK)

    async def _work(self) -> None:
        while True:
            job = await self._kept(self._store.take)
            if job is None:
                async with self._waiting:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._waiting.wait(), _LOOK)
                continue
            task = self._current[job.id] = asyncio.create_task(self._transcribe(job))
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                task.cancel()
                raise
            finally:
                del self._current[job.id]
            if not task.cancelled() and (error := task.exception()):
                log.error("a batch transcription failed", exc_info=error)
                await self._kept(self._store.finish, job.id, Status.FAILED, lifetime(job.definition))

    async def _kept(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a call of the store returns, and wait while the disk is full or fails: it may be mended."""
        while True:
            try:
                return await self._service.work(call, *args, **kwargs)
            except StoreError as error:
                log.error("batch transcription waits: %s", error)
                await asyncio.sleep(_LOOK)

    async def _transcribe(self, job: Job) -> None:
        if await self._kept(self._store.get, job.id) is None:
            return  # deleted before it was begun
        done = {result.number: result for result in await self._kept(self._store.results, job.id)}
        failed = sum(result.error is not None for result in done.values())
        for number, source in enumerate(job.sources):
            if number in done:
                continue
            body, error = None, None
            try:
                body = await self._one(job, source)
            except DragomanError as failure:
                error = str(failure)
            except Exception:
                log.exception("a recording could not be transcribed")
                error = "the recording could not be transcribed"
            failed += error is not None
            await self._kept(self._store.add_result, job.id, number, body, error)
        status = Status.FAILED if failed == len(job.sources) else Status.SUCCEEDED
        await self._kept(self._store.finish, job.id, status, lifetime(job.definition))

    async def _one(self, job: Job, source: str) -> dict[str, Any]:
        settings = self._service.settings.server
        properties = _properties(job.definition)
        with contextlib.ExitStack() as stack:
            path = await self._service.work(stack.enter_context, opened(source, settings))
            recording = await self._service.work(Recording, path, settings.longest_audio)
            locale = _text(job.definition, "locale")
            candidates = _candidates(properties)
            if candidates:
                known = {self._service.languages.source(tag): tag for tag in reversed(candidates)}
                language = await self._service.work(identify, self._service, recording.blocks(None), tuple(known))
                locale = known.get(language, default_locale(language))
            else:
                language = self._service.languages.source(locale)
            wanted, words = properties.get("channels"), properties.get("wordLevelTimestampsEnabled") is True
            people = people_asked(properties)
            # Azure takes the first two channels, each by itself, where nothing is said. People are told apart in one.
            channels = wanted or ([None] if people is not None else list(range(min(2, recording.info.channels))))
            heard = []
            for channel in channels:
                if channel is not None:
                    recording.check_channel(channel)
                profanity = profanity_option(properties.get("profanityFilterMode"))
                transcript = await transcribe(
                    self._service, language, recording, channel, profanity=profanity, words=words, people=people
                )
                heard.append((channel or 0, transcript))
        return result_body(source, locale, heard, words=words)


def result_body(source: str, locale: str, heard: Sequence[tuple[int, Transcript]], *, words: bool) -> dict[str, Any]:
    """Return a recording's result file."""
    duration = max((transcript.duration for _, transcript in heard), default=0.0)
    combined, phrases = [], []
    for channel, transcript in heard:
        combined.append({"channel": channel, **_forms(*transcript.finals)})
        phrases += [_phrase(final, channel, locale, words=words) for final in transcript.finals]
    phrases.sort(key=lambda phrase: phrase["offsetInTicks"])
    return {
        "source": source, "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "durationInTicks": ticks(duration), "duration": _iso(duration),
        "combinedRecognizedPhrases": combined, "recognizedPhrases": phrases,
    }  # fmt: skip


def _phrase(final: Final, channel: int, locale: str, *, words: bool) -> dict[str, Any]:
    best: dict[str, Any] = _forms(final)
    if final.confidence is not None:
        best = {"confidence": round(final.confidence, 4), **best}
    if words and final.words:
        best["words"] = [{"word": lexical(w.text) or w.text, **_span(w.start, w.end)} for w in final.words]
    speaker = {} if final.speaker is None else {"speaker": final.speaker}
    return {
        "recognitionStatus": "Success", "channel": channel, **speaker, "locale": locale,
        **_span(final.start, final.end), "nBest": [best],
    }  # fmt: skip


def _forms(*finals: Final) -> dict[str, Any]:
    known = forms(*finals)
    return {"lexical": known.lexical, "itn": known.itn, "maskedITN": known.masked_itn, "display": known.display}


def _span(start: float, end: float) -> dict[str, Any]:
    return {
        "offset": _iso(start), "duration": _iso(end - start), "offsetInTicks": ticks(start),
        "durationInTicks": ticks(end - start),
    }  # fmt: skip


def _iso(seconds: float) -> str:
    """Write a duration as ISO 8601: ``PT1M4.12S``."""
    minutes, rest = divmod(max(0.0, round(seconds, 2)), 60)
    hours, minutes = divmod(int(minutes), 60)
    whole = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    return f"PT{whole}{round(rest, 2):g}S"


def _properties(definition: Mapping[str, Any]) -> dict[str, Any]:
    value = definition.get("properties")
    if value is not None and not isinstance(value, dict):
        raise HttpError(400, "properties must be an object")
    return value or {}


def _candidates(properties: Mapping[str, Any]) -> tuple[str, ...]:
    identification = properties.get("languageIdentification")
    found = identification.get("candidateLocales") if isinstance(identification, dict) else None
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(tag, str) for tag in found):
        raise HttpError(400, "candidateLocales must be a list of tags such as en-US")
    return tuple(found)


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""
