"""The device's own conversation in a kiosk page: its microphones and speaker, and its button under a finger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from device.events import Event, Speech
from device.mqtt import commands
from device.remote import Remote, Status
from device.server.kiosk_messages import Begin, Mute, Speak, Translate
from device.server.service import Service

Tell = Callable[["Event | Status"], None]


class DeviceConversation:
    """Runs on an event loop.

    Parameters
    ----------
    service
        What all connections share.
    remote
        The device.
    tell
        Receives its events but for the sound, and each new state of it, on the event loop.
    """

    def __init__(self, service: Service, remote: Remote, tell: Tell) -> None:
        self._service, self._remote, self._tell = service, remote, tell
        self._loop = asyncio.get_running_loop()
        self._pressed = False
        self._leave: Callable[[], None] | None = None
        self.sides = ("", "")
        self.talk = [True, True]

    async def open(self, sides: tuple[str, str] | None, *, sound: bool) -> None:  # noqa: ARG002
        """Watch the device, and have it talk two other languages if they are given."""
        if self._leave is None:
            self._leave = self._remote.watch(self._happened)
        status = self._remote.status()
        if sides is not None and (status is None or status.sides != sides):
            await self._service.work(self._remote.converse, *sides)
            status = self._remote.status()
        if status is not None:
            self.sides = status.sides
            self._deliver(status)

    def _happened(self, news: Event | Status) -> None:
        if not isinstance(news, Speech) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, news)

    def _deliver(self, news: Event | Status) -> None:
        if self._leave is not None:
            if isinstance(news, Status):
                self.sides = news.sides
            self._tell(news)

    async def begin(self, message: Begin) -> None:
        """Press the button of a side."""
        await self._service.work(self._remote.press, message.side)
        self._pressed = True

    async def hear(self, data: bytes) -> None:
        """Leave out what a browser hears: the device hears for itself."""

    async def end(self) -> None:
        """Release the button that the page pressed."""
        if self._pressed:
            self._pressed = False
            await self._service.work(self._remote.release)

    async def translate(self, message: Translate) -> dict[str, Any]:
        """Translate what somebody typed."""
        wanted = commands.Translate(text=message.text, source=message.source, targets=(message.target,))
        answer = await self._obey(wanted)
        return {"text": answer["translations"][message.target]}

    async def speak(self, message: Speak) -> None:
        """Have the device say a text."""
        await self._obey(commands.Say(text=message.text, language=message.language))

    async def hush(self) -> None:
        """Have the device be silent."""
        await self._obey(commands.Stop())

    async def mute(self, message: Mute) -> None:
        """Have the device stop or begin to listen."""
        await self._obey(commands.SetMute(muted=message.muted))

    async def _obey(self, command: commands.Command) -> Any:
        answer = await self._service.work(self._remote.obey, command)
        return await asyncio.wrap_future(answer) if isinstance(answer, Future) else answer

    async def close(self) -> None:
        """Let the device alone."""
        if self._leave is not None:
            self._leave()
            self._leave = None
        await self.end()
