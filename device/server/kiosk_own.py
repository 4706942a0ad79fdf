"""A conversation of a kiosk page's own: the browser's microphone and speaker, the device's models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from device.audio.resample import Resampler
from device.config import DirectionSettings
from device.engines.protocols import Synthesizer
from device.engines.registry import Engines
from device.engines.scheduler import Priority
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Event, Samples, Speech, SpeechStarted
from device.interpreter import Interpreter
from device.server.kiosk_messages import Begin, Speak, Translate
from device.server.languages import LanguageError
from device.server.service import AHEAD, Service
from device.server.views import Shared
from device.text.room import TextRoom
from device.translation import TextTranslator

Tell = Callable[[Event], None]


class Willing(Shared):
    """The shared engines for a page, which shows a translation that nobody can speak."""

    def synthesizer(self, language: str, voice: str | None = None) -> Synthesizer | None:
        """Return a voice as `Engines.synthesizer` does; None where there is none."""
        try:
            return self._engines.synthesizer(language, voice)
        except DragomanError:
            return None


class OwnConversation:
    """Runs on an event loop.

    Parameters
    ----------
    service
        What all connections share.
    tell
        Receives every event, on the event loop; nothing comes after `close`.
    nothing
        Called when a turn is over in which nobody spoke.
    """

    def __init__(self, service: Service, tell: Tell, nothing: Callable[[], None]) -> None:
        self._service, self._tell, self._nothing = service, tell, nothing
        self._loop = asyncio.get_running_loop()
        self._engines = cast("Engines", Willing(service.engines, service.load))
        self._text = TextRoom(service.settings.text)
        self._interpreter: Interpreter | None = None
        self._directions: dict[int, int] = {}
        self._turn: Begin | None = None
        self._resampler: Resampler | None = None
        self._heard = self._began = 0.0
        self._spoke = False
        self._wanted: str | None = None
        self.sides = ("", "")

    @property
    def talk(self) -> list[bool]:
        """Whether each side can be heard and translated."""
        return [side in self._directions for side in (0, 1)]

    def side(self, direction: int) -> int:
        """Return the side that talks in a direction of the interpreter's."""
        return next((side for side, number in self._directions.items() if number == direction), 0)

    async def open(self, sides: tuple[str, str] | None, *, sound: bool) -> None:
        """Load what two languages need.

        Raises
        ------
        DragomanError
            No installed models lead from either to the other.
        """
        directions = self._service.settings.directions
        first = directions[0]
        sides = sides or (first.source, next(iter(first.targets), directions[-1].source))
        ways: dict[int, DirectionSettings] = {}
        for side in (0, 1):
            try:
                source = self._service.languages.source(sides[side])
                target = self._service.languages.target(source, sides[1 - side])
            except LanguageError as error:
                refusal = error
                continue
            ways[side] = DirectionSettings(source=source, targets=(target,))
        if not ways:
            raise refusal
        made = await self._service.work(self._make, tuple(ways.values()), sound)
        await self.end()
        self._interpreter = made
        self._directions = {side: number for number, side in enumerate(ways)}
        self.sides = sides

    def _make(self, directions: tuple[DirectionSettings, ...], sound: bool) -> Interpreter:
        settings = self._service.settings
        settings = settings.model_copy(
            update={
                "directions": directions,
                "identify": False,
                "speech": settings.speech.model_copy(update={"enabled": sound}),
            }
        )
        return Interpreter(self._engines, settings, self._happened)

    def _happened(self, event: Event) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: Event) -> None:
        if isinstance(event, SpeechStarted):
            self._spoke = True
        if self._interpreter is not None:
            self._tell(event)

    async def begin(self, message: Begin) -> None:
        """Begin a turn.

        Raises
        ------
        DragomanError
            This side cannot be heard or translated.
        """
        await self.end()
        if self._interpreter is None:
            raise DragomanError("no conversation is open")
        if message.side not in self._directions:
            there, back = self.sides[message.side], self.sides[1 - message.side]
            raise DragomanError(f"no installed models lead from {there!r} to {back!r}")
        self._wanted = None
        self._resampler = Resampler(message.rate, SAMPLE_RATE)
        self._heard, self._began, self._spoke = 0.0, time.monotonic(), False
        self._turn = message
        await self._service.work(self._interpreter.begin_turn, self._directions[message.side])

    async def hear(self, data: bytes) -> None:
        """Take PCM of the turn that runs; what comes without one is left out. A turn has a longest length."""
        if self._turn is None or self._interpreter is None or self._resampler is None:
            return
        pcm = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
        await self._feed(self._resampler.process(pcm.astype(np.float32) / np.float32(32768)))
        if self._heard > self._service.settings.controls.longest_turn:
            await self.end()

    async def _feed(self, samples: Samples) -> None:
        assert self._interpreter is not None
        self._heard += len(samples) / SAMPLE_RATE
        hurried = self._heard > time.monotonic() - self._began + AHEAD
        for start in range(0, len(samples), SAMPLE_RATE):
            piece = samples[start : start + SAMPLE_RATE]
            await asyncio.wrap_future(self._service.ear.put(self._interpreter, piece, urgent=True))
            if hurried and self._interpreter.behind:
                await self._service.work(self._interpreter.keep_up)

    async def end(self) -> None:
        """End the turn, if one runs: what was said is answered."""
        if self._turn is None or self._interpreter is None or self._resampler is None:
            return
        self._turn = None
        await self._feed(self._resampler.flush())
        await self._service.work(self._interpreter.end_turn)
        self._loop.call_soon(self._over)  # after the events that wait to be delivered

    def _over(self) -> None:
        if not self._spoke and self._turn is None:
            self._nothing()

    async def translate(self, message: Translate) -> dict[str, Any]:
        """Translate what somebody typed."""
        return {"text": await self._work(self._translate, message.text, message.source, message.target)}

    def _translate(self, text: str, source: str, target: str) -> str:
        glossary = self._service.settings.text.glossary
        (translator,) = TextTranslator.for_targets(self._engines, source, [target], glossary)
        return self._text.shown(translator.translate(self._text.typed(text, source)).text, target)

    async def speak(self, message: Speak) -> None:
        """Speak a text again, in place of what is being repeated.

        Raises
        ------
        DragomanError
            No voice of that language is installed.
        """
        voice = await self._service.work(self._service.engines.synthesizer, message.language)
        self._wanted = message.id
        await self._work(self._speak, message, voice)

    def _speak(self, message: Speak, voice: Synthesizer) -> None:
        for index, samples in enumerate(voice.stream(self._text.spoken(message.text, message.language))):
            if self._wanted != message.id:
                break
            self._happened(
                Speech(
                    emitted=0.0, utterance=message.id, index=index, text="", language=voice.language,
                    voice=voice.voice, sample_rate=voice.sample_rate, duration=len(samples) / voice.sample_rate,
                    samples=samples,
                )
            )  # fmt: skip

    async def hush(self) -> None:
        """Speak no further."""
        self._wanted = None

    async def _work(self, call: Callable[..., Any], *args: Any) -> Any:
        job = self._service.engines.scheduler.submit(Priority.SPEECH, call, *args)
        if job is None:
            raise DragomanError("the device is stopping")
        return await asyncio.wrap_future(job)

    async def close(self) -> None:
        """Hear and say nothing more."""
        self._interpreter = self._turn = self._wanted = None
