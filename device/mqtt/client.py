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
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from device.config import MqttSettings
from device.mqtt.connection import Connection, ConnectionFailed, Unsendable
from device.mqtt.desk import Request
from device.mqtt.entry import Entry
from device.mqtt.outbox import Outbox
from device.mqtt.topics import AVAILABILITY, OFFLINE, ONLINE, Lane, Message, Topics

_LOG = logging.getLogger(__name__)

NO_MATCHING_SUBSCRIBERS = 0x10
NOT_AUTHORIZED = 0x87
TOPIC_NAME_INVALID = 0x90
PACKET_TOO_LARGE = 0x95
PAYLOAD_FORMAT_INVALID = 0x99
"""Reason codes of a PUBACK (MQTT 5.0, 3.4.2.1)."""

_REASONS = {
    NOT_AUTHORIZED: "not authorised",
    TOPIC_NAME_INVALID: "topic name invalid",
    PACKET_TOO_LARGE: "packet too large",
    0x97: "quota exceeded",
    PAYLOAD_FORMAT_INVALID: "payload format invalid",
}
MOST_VOLATILE = 256
"""Volatile messages that may wait to be sent."""
MOST_IN_FLIGHT = 8
"""QoS 1 messages without acknowledgement, all lanes together; the outbox has one of them."""
STABLE = 10.0
"""A connection that lived this many seconds, and twice as long as the last wait, was a good one: the next attempt is
made at once."""
SUSPICIOUS = 3
"""Good connects in a row that were cut before long: a second device of the same name does that, with brokers that do
not say why (mosquitto before 2.0.12)."""
RECENT_SECONDS = 10.0
"""Entries acknowledged in the last seconds of a connection that broke are sent again: a broker that was killed
took what it had neither saved nor its subscribers read with it. Readers know repeats by utterance and sequence."""
TICK = 1.0
"""Longest time the thread waits for anything, in seconds."""

REFUSED_ALERT = "mqtt-refused"
NAME_ALERT = "mqtt-name"


class Link(Enum):
    """Whether the broker is there."""

    STOPPED = auto()
    AWAY = auto()
    CONNECTED = auto()


@dataclass(frozen=True, slots=True)
class Pace:
    """Waiting times in seconds."""

    retry_first: float = 1.0
    retry_longest: float = 30.0
    refused_first: float = 10.0
    """First wait after a login that the broker refused, or after another client came under the same name;
    doubles up to ``refused_longest``."""
    refused_longest: float = 300.0
    hold_first: float = 30.0
    """First wait before a topic that may not be written is tried again; doubles up to ``hold_longest``."""
    hold_longest: float = 600.0
    quota_first: float = 1.0
    """First wait after a refusal that passes by itself; doubles up to ``retry_longest``."""
    subscriber_grace: float = 120.0
    """After a connect, how long subscribers have to come back too (paho's longest back-off): what the broker
    took but had nobody to give to is sent again until then, topic by topic. It closes the gap after a broker
    that lost its sessions."""
    unheard_first: float = 0.25
    unheard_longest: float = 1.0
    unacknowledged: float = 60.0
    """A publish without acknowledgement for this long means that the connection is dead."""


@dataclass(slots=True)
class _Retained:
    """The newest value of a retained topic."""

    message: Message
    version: int = 0
    sent: int = -1
    """Version that was sent on this connection."""


@dataclass(slots=True)
class _Hold:
    """Why and until when something is not sent."""

    until: float
    wait: float
    refused: bool = True
    """The broker said no; false where only nobody listens yet."""


@dataclass(slots=True)
class _Flight:
    """What was sent on this connection and is not yet acknowledged, by packet id."""

    retained: dict[int, tuple[str, int]] = field(default_factory=dict)
    volatile: dict[int, tuple[float, Message]] = field(default_factory=dict)
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
        pace: Pace | None = None,
    ) -> None:
        self.dropped = 0
        """Volatile messages that could not be sent while they were fresh."""
        self.link = Link.STOPPED
        self.last_failure: str | None = None
        """Why the broker is away, in one line; None while connected."""
        self._settings = settings
        self._topics = topics
        self._outbox = outbox
        self._on_request = on_request
        self._on_alert = on_alert
        self._on_tick = on_tick
        self._pace = pace or Pace()
        self._lock = threading.Lock()
        self._retained: dict[str, _Retained] = {}
        self._volatile: deque[tuple[float, Message]] = deque()
        self._flight = _Flight()
        self._topic_holds: dict[str, _Hold] = {}
        self._queue_hold: _Hold | None = None
        self._parked: set[int] = set()
        self._broken = False
        """The last connection ended without the broker's farewell."""
        self._refusal: str | None = None
        self._cut = 0
        """How often in a row a connection was made and cut before long."""
        self._good_after = STABLE
        self._short = False
        """Whether the last connection was no good one."""
        self._connected_at = 0.0
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
        with self._lock:
            if message.lane is Lane.RETAINED:
                held = self._retained.get(message.topic)
                if held is None:
                    self._retained[message.topic] = _Retained(message)
                else:
                    held.message = message
                    held.version += 1
            else:
                if message.qos == 0 and not self.connected:
                    self.dropped += 1
                    return
                if len(self._volatile) >= MOST_VOLATILE:
                    self._volatile.popleft()
                    self.dropped += 1
                expires = float("inf") if message.expiry is None else time.monotonic() + message.expiry
                self._volatile.append((expires, message))
        self.wake()

    @property
    def _client_id(self) -> str:
        return f"{self._topics.base}-{self._topics.device}".replace("/", "-")

    def _run(self) -> None:
        failures = 0
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
                self._cut = 0
            except Exception as error:  # noqa: BLE001 - a password file may have gone: try again
                self._report_away(str(error) or type(error).__name__)
                refused = True
            else:
                self._serve(connection)
                if not self._short:
                    failures = 0
                refused = connection.taken_over
            if not self._stopping.is_set():
                wait = self._back_off(failures, refused=refused)
                self._good_after = max(STABLE, 2 * wait)
                self._idle(wait)
                failures += 1
        self.link = Link.STOPPED

    def _back_off(self, failures: int, *, refused: bool) -> float:
        """Return the seconds to wait: doubling, bounded, and spread so that devices do not return as one."""
        first, longest = self._pace.retry_first, self._pace.retry_longest
        if refused:
            first, longest = self._pace.refused_first, self._pace.refused_longest
        return float(min(longest, first * 2 ** min(failures, 16)) * random.uniform(0.75, 1.0))

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
            connection.step(self._patience(), self._waker)
            self._watch(connection)
            if self._tick():
                self._outbox.purge(RECENT_SECONDS)
        self._end(connection)

    def _begin(self, connection: Connection) -> None:
        now = time.monotonic()
        self._connected_at = now
        self._flight = _Flight(oldest=now)
        self._parked.clear()
        self._topic_holds.clear()
        self._queue_hold = None
        with self._lock:
            self.link = Link.CONNECTED
            for held in self._retained.values():
                held.sent = -1
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
        with self._lock:
            self.link = Link.AWAY
            unsent = [item for item in self._volatile if item[1].qos > 0]
            self.dropped += len(self._volatile) - len(unsent)
            self._volatile = deque([*flight.volatile.values(), *unsent])
        self._connected.clear()
        if self._stopping.is_set():
            return
        self._short = time.monotonic() - self._connected_at < self._good_after
        self._cut = self._cut + 1 if self._short and not connection.farewell else int(connection.taken_over)
        reason = connection.lost or "the connection was lost"
        if connection.taken_over:
            reason = f"another client has connected as {self._client_id}: give one of the two another mqtt.device"
        elif self._cut >= SUSPICIOUS:
            reason += f"; if another device is called {self._client_id} as well, give it another mqtt.device"
        if connection.taken_over or self._cut >= SUSPICIOUS:
            self._on_alert(NAME_ALERT, reason)
        self._report_away(reason)

    def _flushed(self) -> bool:
        """Whether nothing is left that could be sent now, or no time is left."""
        if time.monotonic() > self._stop_by - 0.5:
            return True
        with self._lock:
            busy = bool(self._volatile) or any(h.sent != h.version for h in self._retained.values())
        return not busy and len(self._flight) == 0 and self._next_entry() is None

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
        with self._lock:
            waiting = [(t, h.version, h.message) for t, h in self._retained.items() if h.sent != h.version]
        for topic, version, message in waiting:
            if len(self._flight) >= room:
                return
            if connection.too_large(message):
                _LOG.warning("the broker takes no packet as large as %s", topic)
                mid = None
            else:
                self._before_sending()
                mid = connection.publish(message, retain=True)
            with self._lock:
                self._retained[topic].sent = version
            if mid is not None:
                self._flight.retained[mid] = (topic, version)

    def _send_volatile(self, connection: Connection, room: int) -> None:
        while not connection.congested:  # what cannot leave waits here, where it is bounded
            with self._lock:
                if not self._volatile or (self._volatile[0][1].qos > 0 and len(self._flight) >= room):
                    return
                expires, message = self._volatile.popleft()
            if time.monotonic() > expires or connection.too_large(message):
                self.dropped += 1
                continue
            if message.qos > 0:
                self._before_sending()
            try:
                mid = connection.publish(message)
            except Unsendable as error:
                self.dropped += 1
                _LOG.warning("%s", error)
                continue
            if message.qos > 0 and mid is not None:
                self._flight.volatile[mid] = (expires, message)
            elif mid is None:  # the connection is gone: another may come in time
                with self._lock:
                    self._volatile.appendleft((expires, message))
                return

    def _before_sending(self) -> None:
        if len(self._flight) == 0:
            self._flight.oldest = time.monotonic()

    def _next_entry(self) -> Entry | None:
        now = time.monotonic()
        if self._queue_hold is not None and now < self._queue_hold.until:
            return None
        held = [topic for topic, hold in self._topic_holds.items() if now < hold.until]
        return self._outbox.next(held, self._parked)

    def _patience(self) -> float:
        """Return how long to wait for the network: until something that is held may be tried again."""
        holds = [*self._topic_holds.values(), *([self._queue_hold] if self._queue_hold else [])]
        now = time.monotonic()
        return min([TICK, *(max(0.01, hold.until - now) for hold in holds if hold.until > now)])

    def _watch(self, connection: Connection) -> None:
        """Cut a connection on which the broker answers pings but acknowledges nothing."""
        if self._flight and time.monotonic() - self._flight.oldest > self._pace.unacknowledged:
            connection.drop("the broker acknowledges nothing")
        if self._cut and time.monotonic() - self._connected_at > self._good_after:
            self._cut = 0
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
            if reason >= 0x80:
                _LOG.warning("the broker refuses %s: %s", topic, _reason(reason))
        elif mid in flight.volatile:
            _, message = flight.volatile.pop(mid)
            if reason >= 0x80:
                self.dropped += 1
                _LOG.warning("the broker refuses %s: %s", message.topic, _reason(reason))
        elif flight.entry is not None and flight.entry[0] == mid:
            entry, flight.entry = flight.entry[1], None
            self._entry_acknowledged(entry, reason)

    def _entry_acknowledged(self, entry: Entry, reason: int) -> None:
        now = time.monotonic()
        pace, last = self._pace, self._topic_holds.get(entry.topic)
        if reason == NO_MATCHING_SUBSCRIBERS and now - self._connected_at < pace.subscriber_grace:
            wait = min(last.wait * 2, pace.unheard_longest) if last else pace.unheard_first
            self._topic_holds[entry.topic] = _Hold(now + wait, wait, refused=False)
        elif reason < 0x80:
            self._outbox.acknowledge(entry.id)
            self._queue_hold = None
            self._topic_holds.pop(entry.topic, None)
            refused = any(hold.refused for hold in self._topic_holds.values())
            if self._refusal is not None and not refused and not self._parked:
                self._refusal = None
                self._on_alert(REFUSED_ALERT, None)
        elif reason in (PAYLOAD_FORMAT_INVALID, PACKET_TOO_LARGE):
            self._parked.add(entry.id)  # it stays in the outbox, and the next has its turn
            self._refused(entry, reason)
        elif reason in (NOT_AUTHORIZED, TOPIC_NAME_INVALID):
            wait = min(last.wait * 2, pace.hold_longest) if last else 0.0
            wait = max(wait, pace.hold_first)
            self._topic_holds[entry.topic] = _Hold(now + wait, wait)
            self._refused(entry, reason)
        else:
            wait = min(self._queue_hold.wait * 2, pace.retry_longest) if self._queue_hold else pace.quota_first
            self._queue_hold = _Hold(now + wait, wait)
            self._refused(entry, reason)

    def _refused(self, entry: Entry, reason: int) -> None:
        text = (
            f"the broker refuses {entry.topic} ({_reason(reason)}): mend its permissions or limits;"
            " the messages are kept and tried again"
        )
        if text != self._refusal:
            self._refusal = text
            _LOG.error("%s", text)
            self._on_alert(REFUSED_ALERT, text)

    def _requested(self, request: Request) -> None:
        self._on_request(replace(request, name=request.name.removeprefix(self._topics.prefix)))

    def _availability(self, value: bytes) -> Message:
        return Message(self._topics.topic(AVAILABILITY), value, AVAILABILITY.qos, Lane.RETAINED)

    def _report_away(self, reason: str) -> None:
        """Log why the broker is away, once for each reason."""
        if reason != self.last_failure:
            _LOG.warning("no broker: %s; messages are kept and sent later", reason)
        self.last_failure = reason


def _reason(code: int) -> str:
    return _REASONS.get(code, f"reason 0x{code:02X}")
