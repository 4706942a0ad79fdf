"""What all connections share: models, threads to work on, limits, and the settings of one conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from device.config import DirectionSettings, Profanity, Settings, SpeakerSettings
from device.engines.registry import Engines
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Event, Samples
from device.interpreter import Interpreter
from device.server.ear import Ear
from device.server.guests import Guests
from device.server.languages import Languages
from device.server.views import Load, Shared, Unhurried
from device.speakers import Speakers

P = ParamSpec("P")
T = TypeVar("T")

AHEAD = 1.0
"""Seconds that audio may come ahead of real time before the sender has to wait for the work."""


class BusyError(DragomanError):
    """No further connection is served at the moment."""


class Service:
    """The shared part of the server.

    Parameters
    ----------
    engines
        Loaded models, also used by the device's own conversation.
    settings
        Everything; ``server`` holds the limits.
    """

    def __init__(self, engines: Engines, settings: Settings) -> None:
        self.engines, self.settings = engines, settings
        self.languages = Languages(engines)
        self.load = Load()
        self.guests = Guests(lambda: Speakers(*engines.telling_apart()))
        self._connections = 0
        self.ear = Ear()
        # Every connection may keep one thread waiting for the engines.
        threads = settings.server.connections + settings.server.batch_workers + 4
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="server")

    def close(self) -> None:
        """End the threads; the connections have ended before."""
        self.ear.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def connections(self) -> int:
        """How many are being served."""
        return self._connections

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        """Count one connection while the block runs.

        Raises
        ------
        BusyError
            There are as many as the settings allow.
        """
        limit = self.settings.server.connections
        if self._connections >= limit:
            raise BusyError(f"all {limit} connections are in use; try again later")
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1

    async def work(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``call`` on a thread of its own and wait for what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args, **kwargs))

    def conversation_settings(
        self, source: str, targets: tuple[str, ...] = (), *, speak: str | None = None, voice: str | None = None,
        silence: float | None = None, partials: bool = True, profanity: Profanity | None = None, fluent: bool = False,
        phrases: tuple[str, ...] = (), people: int | None = None,
    ) -> Settings:  # fmt: skip
        """Return the settings of one conversation of a client; what it does not ask for is as the owner set it.

        Only its speakers are told apart where it asks for that, and nowhere else: utterances end otherwise then.
        ``people`` is how many there are at most, 0 where nobody knows.
        """
        endpoint = self.settings.endpoint
        if silence is not None:
            endpoint = endpoint.model_copy(update={"silence": min(max(silence, 0.1), 10.0)})
        text: dict[str, object] = {"fluent": True} if fluent else {}
        if profanity is not None:
            text["profanity"] = profanity
        if phrases:
            text["phrases"] = (*phrases, *self.settings.text.phrases)
        direction = DirectionSettings.model_construct(source=source, targets=targets, speak=speak, voice=voice)
        return self.settings.model_copy(
            update={
                "directions": (direction,),
                "endpoint": endpoint,
                "text": self.settings.text.model_copy(update=text),
                "partials": self.settings.partials.model_copy(
                    update={"enabled": partials and self.settings.partials.enabled}
                ),
                "speech": self.settings.speech.model_copy(update={"enabled": speak is not None}),
                "speakers": SpeakerSettings(enabled=people is not None, most=people or 0),
            }
        )


class Conversation:
    """One `Interpreter` driven from an event loop.

    Parameters
    ----------
    service
        What is shared.
    settings
        From `Service.conversation_settings`.
    listener
        Receives every event, in order, on the event loop; nothing comes after `abandon`.
    live
        Whether somebody waits for each final; recordings give way to those who talk.
    people
        Whom to tell apart, where other conversations know them too.
    """

    def __init__(
        self, service: Service, settings: Settings, listener: Callable[[Event], None], *, live: bool = True,
        people: Speakers | None = None,
    ) -> None:  # fmt: skip
        self._service, self._settings, self._listener = service, settings, listener
        self._people = people
        self._loop = asyncio.get_running_loop()
        self._live = live
        self._interpreter: Interpreter | None = None
        self._abandoned = False
        self._began = self._loop.time()
        self._fed = self._unheard = 0
        self._hearing: Future[None] | None = None
        """What the ear does with the newest samples."""

    @property
    def heard(self) -> float:
        """Seconds of audio so far."""
        return self._fed / SAMPLE_RATE

    async def open(self) -> None:
        """Load what is needed and begin to listen.

        Raises
        ------
        DragomanError
            A model is not installed.
        """
        self._interpreter = await self._service.work(self._make)
        self._began = self._loop.time()

    def _make(self) -> Interpreter:
        view = Shared if self._live else Unhurried
        interpreter = Interpreter(
            cast("Engines", view(self._service.engines, self._service.load)), self._settings, self._sink, self._people
        )
        interpreter.begin_turn(hands_free=True)
        return interpreter

    async def feed(self, samples: Samples) -> None:
        """Hear 16 kHz mono samples; whoever is faster than real time is held up until the work is done."""
        if self._abandoned or not len(samples):
            return
        self._fed += len(samples)
        if self.heard > self._loop.time() - self._began + AHEAD:
            # Not more at once than an utterance can be long, so that it is answered while the rest is heard.
            for start in range(0, len(samples), SAMPLE_RATE):
                await self._hear(samples[start : start + SAMPLE_RATE], hurried=True)
        else:
            await self._hear(samples)

    async def _hear(self, samples: Samples, *, hurried: bool = False) -> None:
        interpreter = self._interpreter
        assert interpreter is not None
        hearing = self._put(interpreter, samples, urgent=hurried)
        if hurried or self._unheard > AHEAD * SAMPLE_RATE:
            await asyncio.wrap_future(hearing)
        if hurried and interpreter.behind:
            await self._service.work(interpreter.keep_up)

    def _put(self, interpreter: Interpreter, samples: Samples, *, urgent: bool) -> Future[None]:
        if self._hearing is not None and self._hearing.done():
            self._hearing.result()  # what failed is told with what comes next
        hearing = self._service.ear.put(interpreter, samples, urgent=urgent)
        self._unheard = len(samples) + (self._unheard if hearing is self._hearing else 0)
        self._hearing = hearing
        return hearing

    async def caught_up(self) -> None:
        """Wait until everything has been heard: the ear rests now and then."""
        if self._interpreter is not None and not self._abandoned:
            await asyncio.wrap_future(self._put(self._interpreter, np.zeros(0, np.float32), urgent=True))

    async def finish(self) -> None:
        """Take what was said so far as complete and wait until all of it has been answered."""
        if self._interpreter is not None and not self._abandoned:
            await self.caught_up()
            await self._service.work(self._interpreter.close)

    def abandon(self) -> None:
        """Hear and say nothing more: the client is gone or has what it wanted."""
        self._abandoned = True

    def _sink(self, event: Event) -> None:
        if not self._abandoned and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: Any) -> None:
        if not self._abandoned:
            self._listener(event)
