"""Captions of the device's own conversation while it goes on: WebVTT and server-sent events over HTTP.

WebVTT (https://www.w3.org/TR/webvtt1/) comes as one answer that does not end, a caption as soon as it is known; its
times count from when the answer began. Events (https://html.spec.whatwg.org/multipage/server-sent-events.html) tell
partial texts as well. What is sent is what the device shows: offensive words and what is to be hidden are as the
owner set them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from device.config import canonical_language
from device.events import CONTROL_EVENTS, Event, Final, Partial, PartialTranslation, Speech, Translation
from device.remote import Remote, Status
from device.server.errors import HttpError
from device.server.options import Query, query_of
from device.server.outbox import LIMIT, Outbox, StalledError
from device.text.captioner import Captioner
from device.text.captionfiles import CaptionFormat, LiveCaptions, as_dict
from device.text.captions import CaptionStyle, Cue
from device.text.rules import primary

KEEP_ALIVE = 15.0
"""Seconds of silence after which a line without meaning shows both ends that the other is still there."""

_BOTH = {"": False, "0": False, "false": False, "1": True, "true": True}

Put = Callable[[str, object], None]
"""Sends text; a newer one with the same key, unless that is None, takes its place while it waits."""


class LiveRoom:
    """Answers those who want to read along.

    Parameters
    ----------
    remote
        The device; None where the server runs without one.
    """

    def __init__(self, remote: Remote | None) -> None:
        self._remote = remote
        self._open: set[_LiveResponse] = set()

    async def captions(self, request: Request) -> Response:
        """Send captions as WebVTT."""
        return self._answer(request, "text/vtt", _VttWriter)

    async def events(self, request: Request) -> Response:
        """Send what happens as server-sent events."""
        return self._answer(request, "text/event-stream", _EventWriter)

    def _answer(self, request: Request, media_type: str, writer: type[_VttWriter | _EventWriter]) -> Response:
        if self._remote is None:
            raise HttpError(404, "there is no microphone here: `dragoman run` with server.enabled serves its captions")
        target, both = _wanted(query_of(request.query_params.multi_items()), self._remote.languages())
        return _LiveResponse(self._remote, self._open, media_type, lambda put: writer(put, target, both=both))

    def close(self) -> None:
        """End every answer; called on the event loop's thread."""
        for response in tuple(self._open):
            response.end()


def _wanted(query: Query, known: Sequence[str]) -> tuple[str | None, bool]:
    """Return the language asked for, and whether the other one is wanted too.

    Raises
    ------
    HttpError
        What is asked for is nothing, or nothing that ever comes while the conversation's languages are the ``known``.
    """
    for name in ("to", "both"):
        if len(query.get(name, [])) > 1:
            raise HttpError(400, f"{name} is given {len(query[name])} times, and can be had once")
    target = query.get("to", [""])[0] or None
    chosen = query.get("both", [""])[0]
    if chosen.lower() not in _BOTH:
        raise HttpError(400, f"both: expected 1 or 0, not {chosen[:40]!r}")
    both = _BOTH[chosen.lower()]
    if both and target is None:
        raise HttpError(400, f"both=1 needs a language for the second text: to={known[-1]}")
    if target is None:
        return None, both
    try:
        target = canonical_language(target)
    except ValueError as error:
        raise HttpError(400, f"{target[:40]!r} is {error}") from None
    if primary(target) not in map(primary, known):
        raise HttpError(400, f"nothing comes in {target!r} now: write one of {', '.join(f'to={tag}' for tag in known)}")
    return target, both


class _VttWriter:
    """Makes WebVTT of a conversation's events."""

    head = LiveCaptions(CaptionFormat.VTT).head()
    still_there = "NOTE\n\n"

    def __init__(self, put: Put, target: str | None, *, both: bool) -> None:
        self._put = put
        self._captions = LiveCaptions(CaptionFormat.VTT)
        self._captioner = Captioner(CaptionStyle(), target, both=both, show=self._show)
        self._clock = _Clock()

    def __call__(self, event: Event) -> None:
        """Write what is known now."""
        shifted = self._clock.shifted(event)
        if shifted is not None:
            self._captioner(shifted)

    def _show(self, cue: Cue) -> None:
        self._put(self._captions.add(cue), None)


class _EventWriter:
    """Makes server-sent events of a conversation's, and of its captions."""

    head = "retry: 2000\n\n"
    still_there = ":\n\n"

    def __init__(self, put: Put, target: str | None, *, both: bool) -> None:
        self._put, self._target = put, target
        self._captioner = Captioner(CaptionStyle(), target, both=both, show=self._show)

    def __call__(self, event: Event) -> None:
        """Write what is known now."""
        if event.type not in CONTROL_EVENTS and self._is_wanted(event):
            key = None
            if isinstance(event, Partial | PartialTranslation):
                key = (event.type, event.utterance, event.language)
            self._say(event.type, event.to_dict(), key)
        self._captioner(event)

    def _is_wanted(self, event: Event) -> bool:
        """Whether a translation is into the language asked for, where one was."""
        if not isinstance(event, Translation | PartialTranslation) or self._target is None:
            return True
        return primary(event.language) == primary(self._target)

    def _show(self, cue: Cue) -> None:
        self._say("caption", as_dict(cue), None)

    def _say(self, name: str, data: dict[str, Any], key: object) -> None:
        self._put(f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n", key)


class _Clock:
    """Tells when something was said from when somebody began to read along.

    A conversation's own clock begins again when its languages change; an event tells how that clock stood when it
    happened.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()

    def shifted(self, event: Event) -> Event | None:
        """Return a final or translation in this clock's time; anything else as it is."""
        if not isinstance(event, Final | Translation):
            return event
        shift = time.monotonic() - self._began - event.emitted
        return replace(event, start=max(0.0, event.start + shift), end=max(0.0, event.end + shift))


class _LiveResponse(Response):
    """An answer that goes on until its client, or the server, goes."""

    def __init__(
        self, remote: Remote, others: set[_LiveResponse], media_type: str,
        make: Callable[[Put], _VttWriter | _EventWriter],
    ) -> None:  # fmt: skip
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._remote, self._others, self._make = remote, others, make
        self._over = asyncio.Event()

    def end(self) -> None:
        """End the answer."""
        self._over.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what happens from now on."""
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        loop = asyncio.get_running_loop()

        async def body(text: str | bytes) -> None:
            data = text if isinstance(text, bytes) else text.encode()
            await send({"type": "http.response.body", "body": data, "more_body": True})

        outbox = Outbox(body)
        writer = self._make(outbox.put)

        def deliver(event: Event) -> None:
            writer(event)
            if outbox.bytes > LIMIT:
                self.end()  # whoever reads so slowly begins anew

        def happened(news: Event | Status) -> None:
            if isinstance(news, Event) and not isinstance(news, Speech) and not loop.is_closed():
                loop.call_soon_threadsafe(deliver, news)

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        outbox.put(writer.head)
        leave = self._remote.watch(happened)
        self._others.add(self)
        try:
            await self._serve(outbox, receive, writer.still_there)
        finally:
            leave()
            self._others.discard(self)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(self, outbox: Outbox, receive: Receive, still_there: str) -> None:
        """Send until somebody goes.

        Raises
        ------
        TimeoutError
            The client does not read; whoever set the limits cuts it off.
        """
        sending = asyncio.create_task(outbox.run())
        waiting = [sending, asyncio.create_task(_gone(receive)), asyncio.create_task(self._over.wait())]
        try:
            while not (await asyncio.wait(waiting, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED))[0]:
                outbox.put(still_there, "still there")
            if sending.done() and isinstance(sending.exception(), StalledError):
                raise TimeoutError
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    """Wait until the client goes; it has nothing to say meanwhile."""
    while (await receive())["type"] != "http.disconnect":
        pass
