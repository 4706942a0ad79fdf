"""The MQTT room as the daemon sees it: events go in, commands come out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from device.config import MqttSettings, read_secret
from device.errors import DragomanError, UsageError
from device.events import Event, State
from device.mqtt.client import MqttPublisher
from device.mqtt.desk import CommandDesk, Handler, Request
from device.mqtt.discovery import Discovery, Way, greets
from device.mqtt.entry import Kind
from device.mqtt.outbox import Outbox
from device.mqtt.pace import Pace
from device.mqtt.topics import AVAILABILITY, EVENT_ERROR, STATE, Lane, Message, Topics

_LOG = logging.getLogger(__name__)

DIAG_TICKS = 30
"""Ticks of the publisher (seconds) between two measurements of the outbox."""
FULL_UNTIL = 0.9
"""Part of the outbox's size below which transcripts count as being taken again."""

FULL_ALERT = "outbox-full"
DISK_ALERT = "outbox-disk"
DAMAGED_ALERT = "outbox-damaged"


class MqttRoom:
    """Connects one device with its broker.

    Parameters
    ----------
    settings
        The broker and the outbox.
    state_dir
        Where ``outbox.sqlite`` lives unless the settings name another file.
    on_command
        Carries out a command (:mod:`device.mqtt.commands`); called on the thread ``mqtt-commands``, one
        command at a time. It returns the answer's fields, None, or a future of them; a ``DragomanError``
        becomes an answer with ``ok`` false.
    on_alert
        Is told of the room's own troubles too (id, and text or None when over), for displays and logs.
    on_tick
        Called about once a second on the publisher's thread, whether or not the broker is there.

    Raises
    ------
    DragomanError
        A name that cannot be part of a topic, a password or certificate file that cannot be read.
    """

    def __init__(
        self,
        settings: MqttSettings,
        state_dir: Path,
        on_command: Handler,
        *,
        on_alert: Callable[[str, str | None], None] = lambda _id, _text: None,
        on_tick: Callable[[], None] = lambda: None,
        pace: Pace | None = None,
    ) -> None:
        _check(settings)
        self.topics = Topics(settings.base, settings.device, with_text=settings.text == "full", redact=settings.redact)
        self._discovery = Discovery(self.topics, settings.discovery_prefix)
        self._described: Message | None = None
        if settings.discovery:
            self.topics.subscriptions += (self._discovery.status_topic,)
        self._settings = settings
        self._path = settings.outbox or state_dir / "outbox.sqlite"
        self._on_command = on_command
        self._listener = on_alert
        self._on_tick = on_tick
        self._pace = pace
        self._outbox: Outbox | None = None
        self._publisher: MqttPublisher | None = None
        self._desk: CommandDesk | None = None
        self._lock = threading.Lock()
        self._alerts: dict[str, str] = {}
        self._refused = 0
        self._ticks = 0

    @property
    def connected(self) -> bool:
        """Whether the broker is there now."""
        return self._publisher is not None and self._publisher.connected

    @property
    def depth(self) -> int:
        """Messages that wait in the outbox."""
        return self._outbox.depth if self._outbox is not None else 0

    def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until the broker has accepted the device; False when it did not in time."""
        return self._publisher is not None and self._publisher.wait_connected(timeout)

    def start(self) -> None:
        """Open the outbox and begin to connect; does not wait for the broker.

        Raises
        ------
        OutboxLocked
            Another process works with the outbox.
        UsageError
            The outbox is configured to be in a folder that does not exist.
        """
        if self._settings.outbox and not self._path.parent.exists():
            # A name that is mistyped, or a disk that is not mounted, must not become a folder on another disk.
            raise UsageError(f"mqtt.outbox: there is no folder {self._path.parent}: make it, or name another file")
        outbox = Outbox(self._path, self._settings.outbox_mb << 20)
        publisher = MqttPublisher(
            self._settings,
            self.topics,
            outbox,
            on_request=self._requested,
            on_alert=self.alert,
            on_tick=self._tick,
            on_retained=self._retained,
            pace=self._pace,
        )
        desk = CommandDesk(self.topics, self._on_command, publisher.publish, self._report_refused)
        self._outbox, self._publisher, self._desk = outbox, publisher, desk
        said_anyway = (self.topics.topic(AVAILABILITY), self.topics.topic(STATE))
        for topic in outbox.retained_topics():
            # Alerts of a process that died are over until raised again. A device is no longer described, unless it
            # will be again: removed and found again, it would lose what people named it.
            if topic not in said_anyway and not (self._settings.discovery and topic == self._discovery.topic):
                publisher.publish(Message(topic, b"", 1, Lane.RETAINED))
        for alert in (FULL_ALERT, DISK_ALERT, DAMAGED_ALERT):
            # These come when nothing can be written down, so after a power cut nobody knows that the broker has them.
            publisher.publish(self.topics.alert(alert, None))
        for topic in said_anyway:  # a device that gets another name leaves nothing of the old one behind
            outbox.remember_retained(topic)
        self._look_after_outbox()
        desk.start()
        publisher.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Send what can be sent within ``timeout`` seconds, say ``offline``, and let the outbox go."""
        if self._publisher is None or self._outbox is None or self._desk is None:
            return
        self._desk.stop(timeout)
        self._publisher.stop(timeout)
        self._outbox.close()

    def sink(self, event: Event) -> None:
        """Take one event of a conversation: an ``events.Sink``.

        A ``Final`` and a ``Translation`` are in the outbox, durably, when this returns. Partials are handed
        over and never wait. Nothing raises: what the outbox cannot take is counted and raises the alert
        ``outbox-full``.
        """
        message = self.topics.event(event)
        if message is not None:
            self._send(message)

    def publish_state(
        self,
        state: State,
        *,
        directions: Sequence[tuple[str, Sequence[str]]],
        direction: int = 0,
        volume: float = 1.0,
        muted: bool = False,
        mode: str | None = None,
    ) -> None:
        """Publish what the device is doing; ``directions`` are pairs of a source language and its targets."""
        with self._lock:
            problems = sorted(self._alerts)
        self._send(
            self.topics.state(
                state, directions, direction=direction, volume=volume, muted=muted, mode=mode, problems=problems
            )
        )

    def describe(self, ways: Sequence[Way]) -> None:
        """Make the device and its entities known to Home Assistant, unless ``mqtt.discovery`` is off."""
        if not self._settings.discovery:
            return
        message = self._discovery.message(ways)
        if message == self._described:
            return
        self._described = message
        if self._outbox is not None:
            # With discovery switched off, the next start removes the device again.
            self._outbox.remember_retained(message.topic)
        self._send(message)

    def button(self, name: str, action: str) -> None:
        """Publish what a button did: ``press``, ``release``, ``hold`` or ``double_press``."""
        self._send(self.topics.button(name, action))

    def alert(self, alert_id: str, text: str | None) -> None:
        """Raise an alert, change its text, or with None clear it; the same again does nothing."""
        with self._lock:
            if self._alerts.get(alert_id) == text:
                return
            if text is None:
                del self._alerts[alert_id]
            else:
                self._alerts[alert_id] = text
            message = self.topics.alert(alert_id, text)
            if self._outbox is not None and text is not None:
                # Never forgotten before the next start: a broker that was away may still show it.
                self._outbox.remember_retained(message.topic)
            self._send(
                message
            )  # with the lock held: raised and cleared by two threads, the last one stands at the broker
        while True:  # and with the listener, which may be slow, and so is not told under the lock
            self._listener(alert_id, text)
            with self._lock:
                if (now := self._alerts.get(alert_id)) == text:
                    return
            text = now

    def diag(self, name: str, value: Any) -> None:
        """Publish one measurement (``rtf/asr``); dropped while the broker is away."""
        self._send(self.topics.diag(name, value))

    def _send(self, message: Message) -> None:
        outbox, publisher = self._outbox, self._publisher
        if outbox is None or publisher is None:
            raise DragomanError("the MQTT room is not started")
        if message.lane is not Lane.DURABLE:
            publisher.publish(message)
            return
        try:
            outbox.put(
                message.topic,
                message.payload,
                qos=message.qos,
                kind=message.kind,
                properties=message.properties,
            )
        except DragomanError as error:
            if message.kind is Kind.TRANSCRIPT:
                self._refused += 1
                _LOG.error("a transcript was refused: %s", error)
                self.alert(FULL_ALERT, "transcripts are being refused: the outbox is full")
            return
        publisher.wake()
        self._look_after_outbox()

    def _look_after_outbox(self) -> None:
        outbox = self._outbox
        if outbox is None:
            return
        self.alert(DISK_ALERT, outbox.problem)
        if outbox.set_aside is not None:
            self.alert(
                DAMAGED_ALERT,
                f"the outbox was damaged: set aside as {outbox.set_aside.name},"
                f" {outbox.recovered} messages were read back",
            )

    def _tick(self) -> None:
        self._on_tick()
        self._look_after_outbox()
        outbox = self._outbox
        if outbox is not None and outbox.problem is None and outbox.bytes_used < FULL_UNTIL * outbox.max_bytes:
            self.alert(FULL_ALERT, None)
        self._ticks += 1
        if self._ticks % DIAG_TICKS == 0 and self._outbox is not None and self._publisher is not None:
            measured: Mapping[str, int] = {
                "depth": self._outbox.depth,
                "bytes": self._outbox.bytes_used,
                "refused": self._refused,
                "evicted": self._outbox.evicted,
                "dropped": self._publisher.dropped,
            }
            self.diag("outbox", measured)

    def _retained(self, topic: str) -> None:
        own = topic.startswith(self.topics.prefix) or topic == self._discovery.topic
        if not own and self._outbox is not None:  # of an old name, and cleared: the next there is another device's
            self._outbox.forget_retained(topic)

    def _requested(self, request: Request) -> None:
        if request.name == self._discovery.status_topic:
            if greets(request.payload) and self._described is not None:
                self._send(self._described)
            return
        if self._desk is not None:
            self._desk.receive(request)

    def _report_refused(self, reason: str) -> None:
        document = {"type": "error", "code": "command-refused", "text": reason}
        self._send(self.topics.message(EVENT_ERROR, document))


def _check(settings: MqttSettings) -> None:
    """Find at the start what would otherwise fail at every connect."""
    if settings.password_file is not None:
        if settings.username is None:
            raise DragomanError("mqtt.password_file is set but mqtt.username is not")
        read_secret(settings.password_file)
        if not settings.tls and settings.host not in ("127.0.0.1", "::1", "localhost"):
            _LOG.warning("the MQTT password travels unprotected to %s: set mqtt.tls", settings.host)
    if settings.key_file is not None and settings.cert_file is None:
        raise DragomanError("mqtt.key_file is set but mqtt.cert_file is not")
    for key in ("ca_file", "cert_file", "key_file"):
        path: Path | None = getattr(settings, key)
        if path is None:
            continue
        if not settings.tls:
            raise DragomanError(f"mqtt.{key} is set but mqtt.tls is not: set mqtt.tls = true")
        try:
            path.read_bytes()
        except OSError as error:
            raise DragomanError(f"mqtt.{key}: {path} cannot be read: {error.strerror}") from None
