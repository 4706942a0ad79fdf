"""The device's end of the broker: one thread that connects, publishes, listens, and comes back.

Order is guaranteed by having one outbox entry in flight: with more, one that the broker refuses would be overtaken
by those behind it, and MQTT itself keeps QoS 1 messages in order across reconnects only where one at a time is
unacknowledged (OASIS MQTT 5.0, 4.6).
Everything else may overtake the outbox, so a partial or a state never waits behind a backlog of finals.

Two precautions serve brokers that are killed and forget: subscribers get time to come back, and what was
acknowledged in the last seconds is said again (see :class:`Pace` and :data:`RECENT_SECONDS`). So a repeat may
come after a later final; the first appearances are always in order.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from device.config import MqttSettings
from device.mqtt.connection import Connection, ConnectionFailed, Unsendable
from device.mqtt.desk import Request
from device.mqtt.entry import Entry
from device.mqtt.lanes import Retained, Volatile, VolatileQueue
from device.mqtt.outbox import Outbox
from device.mqtt.pace import Pace
from device.mqtt.refusals import FIRST_FAILURE, PACKET_TOO_LARGE, PAYLOAD_FORMAT_INVALID, Refusals, reason_text
from device.mqtt.steadiness import Steadiness
from device.mqtt.topics import AVAILABILITY, OFFLINE, ONLINE, Lane, Message, Topics

_LOG = logging.getLogger(__name__)

MOST_IN_FLIGHT = 8
"""QoS 1 messages without acknowledgement, all lanes together; the outbox has one of them."""
RECENT_SECONDS = 10.0
"""Entries acknowledged in the last seconds of a connection that broke are sent again: a broker that was killed
took what it had neither saved nor its subscribers read with it. Readers know repeats by utterance and sequence."""
TICK = 1.0
"""Longest time the thread waits for anything, in seconds."""

NAME_ALERT = "mqtt-name"


class Link(Enum):
    """Whether the broker is there."""

    STOPPED = auto()
    AWAY = auto()
    CONNECTED = auto()


@dataclass(slots=True)
class _Flight:
    """What was sent on this connection and is not yet acknowledged, by packet id."""

    retained: dict[int, tuple[str, int]] = field(default_factory=dict)
    volatile: dict[int, Volatile] = field(default_factory=dict)
    entry: tuple[int, Entry] | None = None
    oldest: float = 0.0
    """When the broker last answered, or the first of these was sent."""

    def __len__(self) -> int:
        return len(self.retained) + len(self.volatile) + (self.entry is not None)


class MqttPublisher:
    """Publishes until it is stopped, whatever the broker does.

    Parameters
    ----------
    settings, topics, outbox
        The broker, the device's topics, and the entries to publish.
    on_request
        Called on the publisher's thread with every request on the device's ``set/`` and ``cmd/`` topics.
    on_alert
        Called with an alert's id and text when the broker refuses something, None when that is over.
    on_tick
        Called about once a second on the publisher's thread, connected or not.
    on_retained
        Called with the topic of a retained message that the broker has acknowledged.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        outbox: Outbox,
        *,
        on_request: Callable[[Request], None],
        on_alert: Callable[[str, str | None], None],
        on_tick: Callable[[], None] = lambda: None,
        on_retained: Callable[[str], None] = lambda _topic: None,
        pace: Pace | None = None,
    ) -> None:
        self.link = Link.STOPPED
        self.last_failure: str | None = None
        """Why the broker is away, in one line; None while connected."""
        self._settings = settings
        self._topics = topics
        self._outbox = outbox
        self._on_request = on_request
        self._on_alert = on_alert
        self._on_tick = on_tick
        self._on_retained = on_retained
        self._pace = pace or Pace()
        self._refusals = Refusals(self._pace, on_alert)
        self._retained = Retained()
        self._volatile = VolatileQueue()
        self._flight = _Flight()
        self._broken = False
        """The last connection ended without the broker's farewell."""
        self._steadiness = Steadiness(self._pace)
        self._name_told = False
        """Whether it was told that another device has the same name."""
        self._ticked_at = 0.0
        self._waker, self._wake_end = socket.socketpair()
        self._waker.setblocking(False)
        self._wake_end.setblocking(False)
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._stop_by = 0.0
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker is there now."""
        return self.link is Link.CONNECTED

    @property
    def dropped(self) -> int:
        """Volatile messages that could not be sent while they were fresh."""
        return self._volatile.dropped

    def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until the broker has accepted the device; False when it did not in time."""
        return self._connected.wait(timeout)

    def start(self) -> None:
        """Begin to connect; returns at once, whether or not there is a broker."""
        self.link = Link.AWAY
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Send what can be sent within ``timeout`` seconds, say ``offline``, disconnect, end the thread."""
        if self._thread.ident is None:
            self.link = Link.STOPPED
        else:
            self._stop_by = time.monotonic() + timeout
            self._stopping.set()
            self.wake()
            self._thread.join(timeout + 1.0)
            if self._thread.is_alive():
                _LOG.warning("the MQTT thread is still connecting; it is left to end with the process")
                return
        self._waker.close()
        self._wake_end.close()

    def wake(self) -> None:
        """Tell the thread that there is something to publish."""
        with contextlib.suppress(OSError):  # a full pipe wakes it as well
            self._wake_end.send(b"\0")

    def publish(self, message: Message) -> None:
        """Send a volatile message soon or not at all, or set the newest value of a retained one."""
        if message.lane is Lane.RETAINED:
            self._retained.set(message)
        else:
            self._volatile.append(message)
        self.wake()

    @property
    def _client_id(self) -> str:
        return f"{self._topics.base}-{self._topics.device}".replace("/", "-")

    def _run(self) -> None:
        while not self._stopping.is_set():
            connection = Connection(
                self._settings,
                self._client_id,
                self._availability(OFFLINE),
                self._acknowledged,
                self._requested,
            )
            refused = False
            try:
                connection.open()
            except ConnectionFailed as error:
                self._report_away(str(error))
                refused = error.refused
                self._steadiness.failed()
            except Exception as error:  # noqa: BLE001 - a password file may have gone: try again
                self._report_away(str(error) or type(error).__name__)
                refused = True
            else:
                self._serve(connection)
                refused = connection.taken_over
            if not self._stopping.is_set():
                self._idle(self._steadiness.wait(refused=refused))
        self.link = Link.STOPPED

    def _idle(self, seconds: float) -> None:
        """Wait without a connection; the outbox and the device's alerts are looked after meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopping.wait(min(left, TICK)):
            self._tick()

    def _serve(self, connection: Connection) -> None:
        """Use one connection until it is lost or the publisher stops."""
        self._begin(connection)
        while connection.lost is None:
            if self._stopping.is_set() and self._flushed():
                self._leave(connection)
                break
            self._pump(connection)
            connection.step(self._refusals.patience(TICK), self._waker)
            self._watch(connection)
            if self._tick():
                self._outbox.purge(RECENT_SECONDS)
        self._end(connection)

    def _begin(self, connection: Connection) -> None:
        now = time.monotonic()
        self._steadiness.began()
        self._flight = _Flight(oldest=now)
        self._refusals.connected()
        self._retained.connected()
        self._volatile.connected()
        self.link = Link.CONNECTED
        if self._broken or not connection.session_present:
            self._outbox.doubt()
        connection.subscribe(self._topics.subscriptions)
        if (mid := connection.publish(self._availability(ONLINE), retain=True)) is not None:
            self._flight.retained[mid] = (self._topics.topic(AVAILABILITY), 0)
        _LOG.info("connected to the broker at %s:%d", self._settings.host, self._settings.port)
        self.last_failure = None
        self._connected.set()

    def _end(self, connection: Connection) -> None:
        flight, self._flight = self._flight, _Flight()
        self._outbox.purge(RECENT_SECONDS)
        self._broken = not connection.farewell
        self.link = Link.AWAY
        self._volatile.lost(flight.volatile.values())
        self._connected.clear()
        if self._stopping.is_set():
            return
        self._steadiness.ended(farewell=connection.farewell, taken_over=connection.taken_over)
        reason = connection.lost or "the connection was lost"
        if connection.taken_over:
            reason = f"another client has connected as {self._client_id}: give one of the two another mqtt.device"
        elif self._steadiness.is_suspicious:
            reason += f"; if another device is called {self._client_id} as well, give it another mqtt.device"
        if connection.taken_over or self._steadiness.is_suspicious:
            self._name_told = True
            self._on_alert(NAME_ALERT, reason)
        self._report_away(reason)

    def _flushed(self) -> bool:
        """Whether nothing is left that could be sent now, or no time is left."""
        if time.monotonic() > self._stop_by - 0.5:
            return True
        busy = self._volatile or self._retained.unsent() or self._flight
        return not busy and self._next_entry() is None

    def _leave(self, connection: Connection) -> None:
        """Say ``offline`` and wait for the acknowledgement, as long as there is time."""
        mid = connection.publish(self._availability(OFFLINE), retain=True)
        if mid is not None:
            self._flight.retained[mid] = (self._topics.topic(AVAILABILITY), 0)
        while connection.lost is None and mid in self._flight.retained and time.monotonic() < self._stop_by:
            connection.step(max(0.0, self._stop_by - time.monotonic()))
        connection.close()

    def _pump(self, connection: Connection) -> None:
        """Send whatever may be sent now."""
        room = min(connection.receive_maximum, MOST_IN_FLIGHT)
        self._send_retained(connection, room)
        self._send_volatile(connection, room)
        flight = self._flight
        if flight.entry is not None or len(flight) >= room or connection.lost is not None:
            return
        while (entry := self._next_entry()) is not None:
            message = Message(entry.topic, entry.payload, entry.qos, Lane.DURABLE, properties=entry.properties)
            self._before_sending()
            try:
                if connection.too_large(message):
                    self._entry_acknowledged(entry, PACKET_TOO_LARGE)
                    continue
                mid = connection.publish(message, retain=entry.retain)
            except Unsendable:
                self._entry_acknowledged(entry, PAYLOAD_FORMAT_INVALID)
                continue
            if mid is not None:
                flight.entry = (mid, entry)
            return

    def _send_retained(self, connection: Connection, room: int) -> None:
        for version, message in self._retained.unsent():
            if len(self._flight) >= room:
                return
            if connection.too_large(message):
                _LOG.warning("the broker takes no packet as large as %s", message.topic)
                mid = None
            else:
                self._before_sending()
                mid = connection.publish(message, retain=True)
            self._retained.sent(message.topic, version)
            if mid is not None:
                self._flight.retained[mid] = (message.topic, version)

    def _send_volatile(self, connection: Connection, room: int) -> None:
        while not connection.congested:  # what cannot leave waits here, where it is bounded
            if (item := self._volatile.next(acknowledged=len(self._flight) < room)) is None:
                return
            message = item[1]
            try:
                if connection.too_large(message):
                    self._volatile.drop()
                    continue
                if message.qos > 0:
                    self._before_sending()
                mid = connection.publish(message)
            except Unsendable as error:
                self._volatile.drop()
                _LOG.warning("%s", error)
                continue
            if mid is None:  # the connection is gone: another may come in time
                self._volatile.put_back(item)
                return
            if message.qos > 0:
                self._flight.volatile[mid] = item

    def _before_sending(self) -> None:
        if len(self._flight) == 0:
            self._flight.oldest = time.monotonic()

    def _next_entry(self) -> Entry | None:
        held = self._refusals.held_topics()
        return None if held is None else self._outbox.next(held, self._refusals.parked)

    def _watch(self, connection: Connection) -> None:
        """Cut a connection on which the broker answers pings but acknowledges nothing."""
        if self._flight and time.monotonic() - self._flight.oldest > self._pace.unacknowledged:
            connection.drop("the broker acknowledges nothing")
        if self._name_told and self._steadiness.lasts():
            self._name_told = False
            self._on_alert(NAME_ALERT, None)
        if connection.subscription_refused is not None:
            _LOG.error("the broker refuses the device's own commands: %s", connection.subscription_refused)
            connection.subscription_refused = None

    def _tick(self) -> bool:
        """Do what is due once a second; True when it was."""
        now = time.monotonic()
        if now - self._ticked_at < TICK:
            return False
        self._ticked_at = now
        self._outbox.retry()
        self._on_tick()
        return True

    def _acknowledged(self, mid: int, reason: int) -> None:
        """Take one PUBACK."""
        flight = self._flight
        flight.oldest = time.monotonic()
        if mid in flight.retained:
            topic, _ = flight.retained.pop(mid)
            if reason >= FIRST_FAILURE:
                _LOG.warning("the broker refuses %s: %s", topic, reason_text(reason))
            else:
                self._on_retained(topic)
        elif mid in flight.volatile:
            _, message = flight.volatile.pop(mid)
            if reason >= FIRST_FAILURE:
                self._volatile.drop()
                _LOG.warning("the broker refuses %s: %s", message.topic, reason_text(reason))
        elif flight.entry is not None and flight.entry[0] == mid:
            entry, flight.entry = flight.entry[1], None
            self._entry_acknowledged(entry, reason)

    def _entry_acknowledged(self, entry: Entry, reason: int) -> None:
        if self._refusals.judge(entry, reason):
            self._outbox.acknowledge(entry.id)

    def _requested(self, request: Request) -> None:
        self._on_request(replace(request, name=request.name.removeprefix(self._topics.prefix)))

    def _availability(self, value: bytes) -> Message:
        return Message(self._topics.topic(AVAILABILITY), value, AVAILABILITY.qos, Lane.RETAINED)

    def _report_away(self, reason: str) -> None:
        """Log why the broker is away, once for each reason."""
        if reason != self.last_failure:
            _LOG.warning("no broker: %s; messages are kept and sent later", reason)
        self.last_failure = reason
