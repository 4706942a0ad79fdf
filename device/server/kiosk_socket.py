"""One kiosk page: lets it in, and lets it take part in a conversation of its own or in the device's."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Coroutine
from functools import cache
from importlib import metadata, resources
from typing import Any

from starlette.websockets import WebSocket

from device.audio.wav import to_pcm16
from device.config.languages import NAMES
from device.errors import DragomanError, UsageError
from device.events import Event, Final, Partial, PartialTranslation, Speech, SpeechStarted, Translation
from device.modelstore.catalogue import primary
from device.remote import Remote, Status
from device.server import kiosk_messages as ask
from device.server.auth import Gate, is_loopback
from device.server.kiosk_access import INVITED, VISIT, Kind, address, is_endless, kind_of, make_pass
from device.server.kiosk_device import DeviceConversation
from device.server.kiosk_own import OwnConversation
from device.server.service import Service
from device.server.sockets import RefusedSocketError, Socket

NO_KEY = 4401
"""Close code: the page must show the key, or another one."""
KNOCK = 10.0
"""Seconds in which a page must say who it is."""
WRONG = 1.0
"""Seconds before a wrong key is told to be one, so that keys cannot be tried out."""
TASKS = 4
"""Texts of one page that are translated or spoken at once."""


@cache
def version() -> str:
    """Return which version of the page this is; one that is another's loads itself anew."""
    files = sorted((resources.files("device.server") / "pages").iterdir(), key=lambda file: file.name)
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file()))
    return f"{metadata.version('dragoman')}+{digest.hexdigest()[:12]}"


class KioskSocket:
    """Serves one page.

    Parameters
    ----------
    service
        What all connections share.
    gate
        Knows the key.
    socket, websocket
        The connection.
    remote
        The device, where the server runs in its daemon.
    """

    def __init__(
        self, service: Service, gate: Gate, socket: Socket, websocket: WebSocket, remote: Remote | None
    ) -> None:
        self._service, self._gate, self._socket, self._websocket = service, gate, socket, websocket
        self._remote = remote
        self._conversation: OwnConversation | DeviceConversation | None = None
        self._guest = False
        self._place = ""
        self._told_sides: object = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def served(self) -> dict[str, str]:
        """Nothing that the head of the answer could tell."""
        return {}

    async def run(self) -> None:
        """Serve until the page goes."""
        messages = self._socket.messages()
        try:
            await self._admit(messages)
            async for message in messages:
                if isinstance(message, bytes):
                    if self._conversation is not None:
                        await self._conversation.hear(message)
                    continue
                await self._take(ask.parse(message))
        except UsageError as error:
            raise RefusedSocketError(1007, str(error)) from None
        finally:
            for task in self._tasks:
                task.cancel()
            if self._conversation is not None:
                await self._conversation.close()

    async def _admit(self, messages: AsyncIterator[str | bytes]) -> None:
        """Read who the page is, and let it in.

        Raises
        ------
        RefusedSocketError
            It shows neither key nor pass.
        """
        async with asyncio.timeout(KNOCK):
            try:
                first = await anext(messages)
            except StopAsyncIteration:
                return
        hello = ask.parse(first) if isinstance(first, str) else None
        if not isinstance(hello, ask.Hello):
            raise RefusedSocketError(NO_KEY, "say hello first")
        passed = None
        if not self._gate.open and not (hello.key and self._gate.is_key(hello.key)):
            kind = kind_of(self._gate, hello.pass_) if hello.pass_ else None
            if kind is None or hello.pass_ is None:
                if hello.key or hello.pass_:
                    await asyncio.sleep(WRONG)
                raise RefusedSocketError(NO_KEY, "wrong" if hello.key or hello.pass_ else "missing")
            self._guest = not is_endless(hello.pass_)
            if kind is Kind.INVITATION:
                passed = make_pass(self._gate, Kind.VISIT, VISIT)
        self._say(await self._service.work(self._welcome) | {"pass": passed})

    def _welcome(self) -> dict[str, Any]:
        languages = self._service.languages
        translated = {primary(model.source) for model in self._service.engines.installed("mt") if model.source}
        routes = {source: languages.targets(source) for source in languages.recognized() if source in translated}
        tags = {*routes, *(target for targets in routes.values() for target in targets)}
        spoken = {primary(tag) for model in self._service.engines.installed("tts") for tag in model.languages}
        settings = self._service.settings
        return {
            "type": "welcome",
            "version": version(),
            "languages": {tag: NAMES.get(primary(tag), tag) for tag in sorted(tags)},
            "routes": {source: targets for source, targets in routes.items() if targets},
            "voices": sorted(spoken),
            "device": self._remote is not None,
            "local": is_loopback(self._websocket.url.hostname or ""),
            "longest_turn": settings.controls.longest_turn,
            "tls_port": settings.server.tls_port,
            "guest": self._guest,
        }

    async def _take(self, message: ask.Message) -> None:
        """Do what the page asks; what cannot be done is told, and the conversation goes on."""
        match message:
            case ask.Ping():
                self._say({"type": "pong"})
            case ask.Translate() | ask.Speak():
                self._later(message)
            case ask.Open():
                await self._guarded(message.do, self._open(message))
            case ask.Invite():
                await self._guarded(message.do, self._invite())
            case _:
                await self._guarded(message.do, self._do(message))

    async def _guarded(self, what: str, doing: Coroutine[Any, Any, None], id_: str | None = None) -> None:
        try:
            await doing
        except DragomanError as error:
            self._say({"type": "refused", "what": what, "id": id_, "text": str(error)})

    def _later(self, message: ask.Translate | ask.Speak) -> None:
        """Do what takes a while beside the conversation."""
        doing = self._do(message) if len(self._tasks) < TASKS else _refuse("one thing at a time, please")
        task = asyncio.create_task(self._guarded(message.do, doing, message.id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, message: ask.Message) -> None:
        conversation = self._conversation
        if conversation is None:
            raise DragomanError("no conversation is open")
        match message:
            case ask.Begin():
                await conversation.begin(message)
                self._say({"type": "listening", "side": message.side})
            case ask.End():
                await conversation.end()
            case ask.Translate():
                self._say({"type": "translated", "id": message.id} | await conversation.translate(message))
            case ask.Speak():
                await conversation.speak(message)
                self._say({"type": "spoken", "id": message.id})
            case ask.Hush():
                await conversation.hush()
            case ask.Mute():
                if not isinstance(conversation, DeviceConversation):
                    raise DragomanError("only the device's own microphone can be muted")
                await conversation.mute(message)

    async def _open(self, message: ask.Open) -> None:
        if message.place == "device" and self._remote is None:
            raise DragomanError("this server has no microphone of its own: it was started by `dragoman serve`")
        if self._place != message.place:
            await self._leave()
            made: OwnConversation | DeviceConversation
            if message.place == "device":
                assert self._remote is not None
                made = DeviceConversation(self._service, self._remote, self._tell)
            else:
                made = OwnConversation(self._service, self._tell, lambda: self._say({"type": "nothing"}))
            self._conversation, self._place = made, message.place
        assert self._conversation is not None
        try:
            await self._conversation.open(message.sides, sound=message.sound)
        finally:
            self._tell_sides(always=True)

    async def _leave(self) -> None:
        if self._conversation is not None:
            await self._conversation.close()
        self._conversation, self._place = None, ""

    def _tell_sides(self, *, always: bool = False) -> None:
        conversation = self._conversation
        if conversation is None or not conversation.sides[0]:
            return
        told = {"place": self._place, "sides": conversation.sides, "talk": conversation.talk}
        if always or told != self._told_sides:
            self._told_sides = told
            self._say({"type": "opened"} | told)

    def _tell(self, news: Event | Status) -> None:
        """Pass on what happens in the conversation."""
        if isinstance(news, Status):
            self._tell_sides()
            body = {"state": news.state, "mode": news.mode, "direction": news.direction, "muted": news.muted}
            self._say({"type": "status", **body, "volume": news.volume, "problems": news.problems}, key="status")
            return
        body = news.to_dict()
        match news:
            case SpeechStarted():
                body["side"] = self._side(None, news.direction)
            case Partial() | Final():
                body["side"] = self._side(news.language, 0)
            case PartialTranslation() | Translation():
                body["side"] = self._side(news.source_language, 0)
                if primary(news.language) not in map(primary, self._sides):
                    return  # the device may translate into further languages
            case Speech():
                self._say(body)
                self._socket.put(to_pcm16(news.samples))
                return
        passing = isinstance(news, Partial | PartialTranslation)
        self._say(body, key=(news.type, body["utterance"]) if passing else None)

    @property
    def _sides(self) -> tuple[str, str]:
        return self._conversation.sides if self._conversation is not None else ("", "")

    def _side(self, language: str | None, direction: int) -> int:
        """Return whose words these are; ``direction`` decides until the language is known."""
        if language is not None:
            return int(primary(language) == primary(self._sides[1]) and primary(language) != primary(self._sides[0]))
        if isinstance(self._conversation, OwnConversation):
            return self._conversation.side(direction)
        return direction

    async def _invite(self) -> None:
        if self._guest:
            raise DragomanError("guests cannot invite others: use the screen of the device, or its key")
        url = self._websocket.url
        secure = url.scheme == "wss"
        port = (self._websocket.scope.get("server") or ("", self._service.settings.server.port))[1]
        found = address(self._service.settings, url.netloc, port, tls=secure)
        if found is None:
            self._say({"type": "invitation", "url": None})
            return
        fragment = "" if self._gate.open else f"#pass={make_pass(self._gate, Kind.INVITATION, INVITED)}"
        self._say(
            {"type": "invitation", "url": found.url, "svg": found.qr(fragment), "secure": found.secure,
             "seconds": INVITED}
        )  # fmt: skip

    def _say(self, body: dict[str, Any], key: object = None) -> None:
        self._socket.put(json.dumps(body, ensure_ascii=False), key)


async def _refuse(why: str) -> None:
    raise DragomanError(why)
