"""The Microsoft Translator Speech API of 2016 to 2018: one socket a conversation, WAVE up, JSON and speech down."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from device.config import Profanity
from device.config.languages import NAMES
from device.events import Final, Partial, Samples, SpeechStarted, UtteranceEnded
from device.modelstore.catalogue import primary
from device.server.encoding import Encoder, output_format
from device.server.errors import HttpError
from device.server.languages import Languages, default_locale
from device.server.options import Query, query_of
from device.server.replies import ticks
from device.server.service import Conversation, Service
from device.server.sockets import LAST_WORDS, UNSUPPORTED, RefusedSocketError, Socket, StoppingError
from device.server.speech_rest import with_sizes
from device.server.utterances import Utterance, Utterances
from device.server.wave import AudioFormatError, WaveStream

FEATURES = frozenset({"partial", "texttospeech", "timinginfo"})
FORMATS = {"audio/wav": "riff-16khz-16bit-mono-pcm", "audio/mp3": "audio-24khz-48kbitrate-mono-mp3"}
SCOPES = ("speech", "text", "tts")
_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur", "yi", "ps", "sd", "ug", "dv", "ckb"})


@dataclass(frozen=True, slots=True)
class LegacyOptions:
    """What the query asks for, checked."""

    source: str
    target: str
    partials: bool
    timing: bool
    voice: str | None
    """The catalogue id of the voice; ``None`` where nothing is to be spoken."""
    format: str
    profanity: Profanity = Profanity.MASKED

    @classmethod
    def of(cls, languages: Languages, query: Query) -> LegacyOptions:
        """Read and check the query.

        Raises
        ------
        DragomanError
            Something is missing, unknown or cannot be served.
        """
        values = {name: given[0] for name, given in query.items() if given}
        for name in ("from", "to"):
            if not values.get(name):
                raise HttpError(400, f"name the language in the query: {name}=en-US")
        features = {part.strip().lower() for part in values.get("features", "").split(",")} - {""}
        if unknown := features - FEATURES:
            raise HttpError(400, f"unknown feature {min(unknown)[:40]!r}; known: {', '.join(sorted(FEATURES))}")
        wanted = values.get("format", "audio/wav").lower()
        if wanted not in FORMATS:
            raise HttpError(400, f"speech cannot be written as {wanted[:40]!r}; formats: {', '.join(FORMATS)}")
        source = languages.source(values["from"])
        voice = None
        if "texttospeech" in features:
            voice = languages.voice(values.get("voice", ""), values["to"]).id
        return cls(
            source, languages.target(source, values["to"]), "partial" in features, "timinginfo" in features, voice,
            FORMATS[wanted], _profanity(values.get("profanityaction", ""), values.get("profanitymarker", "")),
        )  # fmt: skip


def _profanity(action: str, marker: str) -> Profanity:
    """Read what is to become of offensive words; the API's own default is to mark them with asterisks."""
    actions = {"": Profanity.MASKED, "marked": Profanity.MASKED, "deleted": Profanity.REMOVED,
               "noaction": Profanity.RAW}  # fmt: skip
    if action.lower() not in actions or marker.lower() not in {"", "asterisk", "tag"}:
        raise HttpError(400, "ProfanityAction is NoAction, Marked or Deleted; ProfanityMarker is Asterisk or Tag")
    chosen = actions[action.lower()]
    return Profanity.TAGGED if chosen is Profanity.MASKED and marker.lower() == "tag" else chosen


class LegacySocket:
    """Serves one connection, which is one conversation."""

    def __init__(self, service: Service, socket: Socket, path: str, query: Query) -> None:  # noqa: ARG002
        self._service, self._socket = service, socket
        self._options = LegacyOptions.of(service.languages, query)
        self._audio = WaveStream()
        self._utterances = Utterances(self, [self._options.target])

    async def run(self) -> None:
        """Serve until the client goes."""
        options = self._options
        settings = self._service.conversation_settings(
            options.source, (options.target,), speak=options.target if options.voice else None, voice=options.voice,
            partials=options.partials, profanity=options.profanity,
        )  # fmt: skip
        conversation = Conversation(self._service, settings, self._utterances.take)
        try:
            await conversation.open()
            await self._hear_all(conversation)
        except StoppingError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await conversation.finish()
            raise
        finally:
            conversation.abandon()

    async def _hear_all(self, conversation: Conversation) -> None:
        longest = self._service.settings.server.longest_audio
        async for message in self._socket.messages():
            if isinstance(message, str):
                raise RefusedSocketError(UNSUPPORTED, "send audio in binary messages")
            await conversation.feed(self._hear(message))
            if conversation.heard > longest:
                raise RefusedSocketError(1000, f"a session may last {longest:g} s")

    @property
    def served(self) -> dict[str, str]:
        """What answers, for the head of the answer."""
        options = self._options
        return {"locale": options.source, "target": options.target}

    def _hear(self, message: bytes) -> Samples:
        try:
            return self._audio.feed(message)
        except AudioFormatError as error:
            raise RefusedSocketError(UNSUPPORTED, str(error)) from None

    # What is known of utterances

    def began(self, said: Utterance, event: SpeechStarted) -> None:
        """Say nothing: the interface has no words for it."""

    def guessed(self, said: Utterance, partial: Partial) -> None:
        """Send what was understood so far."""
        number, translation = f"{said.number}.{partial.revision}", said.guesses[self._options.target]
        self._send("partial", number, partial, translation, key=said.number)

    def failed(self, said: Utterance) -> None:
        """Say nothing: the interface has no words for it."""

    def answer(self, said: Utterance, final: Final) -> None:
        """Send what was said; its translation is empty where that failed."""
        self._socket.drop(said.number)
        self._send("final", str(said.number), final, said.translations.get(self._options.target, ""))

    def _send(self, kind: str, number: str, heard: Partial | Final, translation: str, key: object = None) -> None:
        body: dict[str, Any] = {"type": kind, "id": number, "recognition": heard.text, "translation": translation}
        if self._options.timing:
            assert self._audio.format is not None
            rate, frame = self._audio.format.rate, self._audio.format.frame
            body |= {
                "audioStreamPosition": round(heard.start * rate) * frame,
                "audioSizeBytes": round((heard.end - heard.start) * rate) * frame,
                "audioTimeOffset": ticks(heard.start), "audioTimeSize": ticks(heard.end - heard.start),
            }  # fmt: skip
        self._socket.put(json.dumps(body, ensure_ascii=False), key)

    def speak(self, said: Utterance) -> None:
        """Wait: what is spoken of one utterance leaves as one message."""

    def ended(self, said: Utterance, event: UtteranceEnded) -> None:  # noqa: ARG002
        """Send what was spoken."""
        if not said.speech:
            return
        wanted = output_format(self._options.format)
        encoder = Encoder(wanted)
        data = b"".join([encoder.encode(piece.samples, piece.sample_rate) for piece in said.speech])
        data += encoder.finish()
        self._socket.put(with_sizes(data) if wanted.riff else data)


class LegacyLanguages:
    """Answers ``/languages``."""

    def __init__(self, service: Service) -> None:
        self._languages = service.languages

    async def __call__(self, request: Request) -> Response:
        """List what can be recognised, translated and spoken, in the scopes asked for.

        Names are English, to which Azure falls back as well where it has none in the language asked for; the answer
        says so.
        """
        query = query_of(request.query_params.multi_items())
        scopes = [s.strip().lower() for s in (query.get("scope") or ["text"])[0].split(",") if s.strip()]
        for scope in scopes:
            if scope not in SCOPES:
                raise HttpError(400, f"unknown scope {scope[:40]!r}; known: {', '.join(SCOPES)}")
        made = {"speech": self._speech, "text": self._text, "tts": self._tts}
        body = {scope: made[scope]() for scope in dict.fromkeys(scopes)}
        return JSONResponse(body, headers={"Content-Language": "en"})

    def _speech(self) -> dict[str, Any]:
        return {
            default_locale(tag): {"name": NAMES[tag], "language": tag}
            for tag in self._languages.recognized() if tag in NAMES
        }  # fmt: skip

    def _text(self) -> dict[str, Any]:
        sources = self._languages.recognized()
        tags = {target for source in sources for target in self._languages.targets(source)}
        return {
            tag: {"name": NAMES[primary(tag)], "dir": "rtl" if primary(tag) in _RIGHT_TO_LEFT else "ltr"}
            for tag in sorted(tags) if primary(tag) in NAMES
        }  # fmt: skip

    def _tts(self) -> dict[str, Any]:
        return {
            f"{voice.locale}-{voice.given}": {
                "displayName": voice.given, "gender": voice.gender.lower(), "locale": voice.locale,
                "language": primary(voice.locale), "languageName": NAMES[primary(voice.locale)],
                "regionName": voice.locale.rpartition("-")[2],
            }
            for voice in self._languages.spoken()
        }  # fmt: skip
