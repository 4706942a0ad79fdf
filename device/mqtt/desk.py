"""Where commands arrive: checks them, hands them to the daemon off the network thread, and answers."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from device.errors import DragomanError
from device.mqtt.commands import COMMANDS, Command, Translate, parse
from device.mqtt.topics import EVENT_EXPIRY, JSON_PROPERTIES, REPLY, SCHEMA, Lane, Message, Topics, encode

_LOG = logging.getLogger(__name__)

MOST_WAITING = 32
"""Commands that may be unanswered at once; further ones are refused as busy."""
STOPPING = "the device is stopping"
_SPOKEN_KEYS = ("text", "texts", "translation", "translations")

Reply = Mapping[str, Any]
Handler = Callable[[Command], "Reply | Future[Reply] | None"]
"""Carries out a command; runs on the desk's thread, so what takes long is a future. A ``DragomanError`` is
told to whoever asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """One message on a ``set/`` or ``cmd/`` topic."""

    name: str
    """``set/volume``"""
    payload: bytes
    retain: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None


class CommandDesk:
    """Takes requests from the network thread and answers through ``publish``.

    Parameters
    ----------
    topics
        The device's topics; answers do not go onto its own commands or states.
    handler
        What carries out a command.
    publish
        Sends an answer; callable from any thread.
    report
        Is told in one line of requests that were refused, for those who gave no Response-Topic.
    """

    def __init__(
        self,
        topics: Topics,
        handler: Handler,
        publish: Callable[[Message], None],
        report: Callable[[str], None],
    ) -> None:
        self._topics = topics
        self._handler = handler
        self._publish = publish
        self._report = report
        self._waiting: queue.Queue[tuple[Request, Command] | None] = queue.Queue(MOST_WAITING + 1)
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mqtt-commands", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Finish the command in hand and end; those waiting, and all that come later, are answered with an error."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        while True:
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                break
            if item is not None:
                self._answer(item[0], {"ok": False, "error": STOPPING})
                self._room.release()
        self._waiting.put(None)
        self._thread.join(timeout)

    def receive(self, request: Request) -> None:
        """Take one request; returns at once and never raises for what a stranger may have sent."""
        if request.retain:
            if request.payload:  # an empty one only clears what a broker retained
                self._refuse(request, f"{request.name}: a retained command is refused: publish it without retain")
            return
        if self._stopping.is_set():
            self._answer(request, {"ok": False, "error": STOPPING})
            return
        try:
            command = parse(request.name, request.payload)
        except DragomanError as error:
            self._refuse(request, str(error))
            return
        if not self._room.acquire(blocking=False):
            self._refuse(request, f"{request.name}: busy, {MOST_WAITING} commands are waiting already")
            return
        self._waiting.put((request, command))

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            request, command = item
            try:
                outcome = self._handler(command)
            except Exception as error:  # noqa: BLE001 - a failing command must not end the thread
                self._finish(request, command, self._failure(request, error))
                continue
            if isinstance(outcome, Future):
                outcome.add_done_callback(
                    lambda future, request=request, command=command: self._finish_later(  # type: ignore[misc]
                        request, command, future
                    )
                )
            else:
                self._finish(request, command, {"ok": True, **(outcome or {})})

    def _finish_later(self, request: Request, command: Command, future: Future[Reply]) -> None:
        if future.cancelled():
            self._finish(request, command, {"ok": False, "error": f"{request.name} was cancelled"})
        elif (error := future.exception()) is not None:
            self._finish(request, command, self._failure(request, error))
        else:
            self._finish(request, command, {"ok": True, **(future.result() or {})})

    def _finish(self, request: Request, command: Command, reply: Reply) -> None:
        self._room.release()
        own = isinstance(command, Translate) and request.response_topic is not None
        if not self._topics.with_text and not own:
            # A `cmd/translate` has its asker's own text, and goes where only the asker is told of; everything else
            # may be what somebody said.
            reply = {key: value for key, value in reply.items() if key not in _SPOKEN_KEYS}
        if request.response_topic is None and not reply["ok"]:
            self._report(str(reply["error"]))
        self._answer(request, reply)

    def _failure(self, request: Request, error: BaseException) -> Reply:
        if isinstance(error, DragomanError):
            return {"ok": False, "error": str(error)}
        _LOG.error("%s failed", request.name, exc_info=error)
        return {"ok": False, "error": f"{request.name} failed inside the device; its log says why"}

    def _refuse(self, request: Request, reason: str) -> None:
        _LOG.warning("refused an MQTT command: %s", reason)
        self._report(reason)
        self._answer(request, {"ok": False, "error": reason})

    def _answer(self, request: Request, reply: Reply) -> None:
        topic = request.response_topic
        if topic is None:  # MQTT 3.1.1 knows no Response-Topic, nor do many programs of MQTT 5
            known = request.name if request.name in COMMANDS else "unknown"
            topic = self._topics.topic(REPLY, known)
        elif not self._may_answer_on(topic):
            _LOG.warning("no answer to %s: its Response-Topic %r cannot be used", request.name, topic[:80])
            return
        properties: dict[str, Any] = {**JSON_PROPERTIES, "MessageExpiryInterval": 60}
        if request.correlation is not None:
            properties["CorrelationData"] = request.correlation
        payload = encode({"schema": SCHEMA, "command": request.name, **reply})
        self._publish(Message(topic, payload, 1, Lane.VOLATILE, expiry=EVENT_EXPIRY, properties=properties))

    def _may_answer_on(self, topic: str) -> bool:
        """Whether an answer on ``topic`` could be mistaken for nothing else the device says or hears."""
        if not topic or topic.startswith("$") or any(bad in topic for bad in "#+\0"):
            return False
        own = self._topics.prefix
        return not topic.startswith(own) or topic.startswith(own + "reply/")
