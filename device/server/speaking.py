"""Speaks an SSML document for a client: its voices, its limits, and the engines' scheduler."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

from device.engines.protocols import Synthesizer
from device.engines.scheduler import Priority
from device.engines.tts_reader import PUNCTUATION, SENTENCE, WORD, Boundary, Mark, Reader, Sound, Spoken
from device.errors import DragomanError
from device.server.languages import VoiceName
from device.server.service import Service
from device.text.ssml import Manner, Part, Say
from device.text.ssml_script import write_script

__all__ = ["PUNCTUATION", "SENTENCE", "WORD", "Boundary", "Mark", "Sound", "Speaker", "Spoken"]


class Speaker:
    """Speaks one document.

    Parameters
    ----------
    service
        Voices, and the scheduler that they run on.
    parts
        From `device.text.ssml.parse_ssml`.

    Raises
    ------
    LanguageError
        No voice of a wanted language is installed.
    """

    def __init__(self, service: Service, parts: Sequence[Part]) -> None:
        self._service, self._parts = service, parts
        self._voices: dict[tuple[str, str, str], VoiceName] = {}
        self._loaded: dict[str, Synthesizer] = {}
        for part in parts:
            if isinstance(part, Say) and (who := _who(part.manner)) not in self._voices:
                self._voices[who] = service.languages.voice(*who)
        self._reader = Reader(self._voice_of)

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of the voices that speak."""
        return tuple(dict.fromkeys(voice.short for voice in self._voices.values()))

    @property
    def duration(self) -> float:
        """Seconds of sound so far."""
        return self._reader.duration

    async def speak(self) -> AsyncIterator[Spoken]:
        """Yield sound and marks as they are made.

        Raises
        ------
        DragomanError
            There is more to say than the settings allow.
        """
        for voice in self._voices.values():
            if voice.id not in self._loaded:
                self._loaded[voice.id] = await self._service.work(
                    self._service.engines.synthesizer, voice.locale, voice.id
                )
        script = write_script(self._parts, lambda manner: self._voices[_who(manner)].locale)
        while (item := await self._service.work(next, script, None)) is not None:
            async for spoken in self._worked(self._reader.read(item)):
                yield self._checked(spoken)
        for spoken in self._reader.finish():
            yield self._checked(spoken)

    def _voice_of(self, manner: Manner) -> Synthesizer:
        return self._loaded[self._voices[_who(manner)].id]

    async def _worked(self, work: Iterator[Spoken]) -> AsyncIterator[Spoken]:
        """Yield what ``work`` makes on one of the engines' threads, as it is made."""
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[Spoken | Exception | None] = asyncio.Queue()  # as long as a sentence at most
        stopped = threading.Event()

        def run() -> None:
            ended: Exception | None = None
            try:
                for spoken in work:
                    if stopped.is_set():
                        return
                    loop.call_soon_threadsafe(made.put_nowait, spoken)
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                ended = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(made.put_nowait, ended)

        if (job := self._service.engines.scheduler.submit(Priority.SPEECH, run)) is None:
            raise DragomanError("the device is shutting down")
        try:
            while (spoken := await made.get()) is not None:
                if isinstance(spoken, Exception):
                    raise spoken
                yield spoken
        finally:
            stopped.set()
            job.cancel()

    def _checked(self, spoken: Spoken) -> Spoken:
        longest = self._service.settings.server.longest_audio
        if self.duration > longest:
            raise DragomanError(f"no more than {longest:g} s are spoken at once")
        return spoken


def _who(manner: Manner) -> tuple[str, str, str]:
    return manner.voice, manner.language, manner.gender
