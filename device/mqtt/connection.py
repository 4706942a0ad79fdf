"""One network connection to the broker: a paho client driven from the thread that owns it.

A new paho client is made for every connection, so that nothing of paho's own queue is sent again after a
reconnect: what must be repeated, and in which order, is the outbox's business alone.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt import MQTTException
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from device.config import MqttSettings, read_secret
from device.errors import DragomanError
from device.mqtt.desk import Request
from device.mqtt.topics import Message

SESSION_EXPIRY = 60
"""Seconds for which the broker keeps commands for a device that is away; later nobody wants them said."""
CONNECT_TIMEOUT = 5.0
"""Seconds for the TCP and TLS handshakes, and again for the broker's answer."""
FAREWELL_TIMEOUT = 0.5
"""Seconds for what is to be sent at the end; a broker that reads no more publishes the last will anyway."""
RECEIVE_MAXIMUM = 20
LARGEST_INCOMING = 1 << 20
"""Bytes of the largest packet a broker may send."""
DEFAULT_RECEIVE_MAXIMUM = 65535
_AUTHENTICATION = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C})
"""CONNACK reasons that only a person can mend (MQTT 5, 3.2.2.2)."""
_UNSUPPORTED_VERSION = 0x84
_SESSION_TAKEN_OVER = 0x8E
"""DISCONNECT reason: another client has connected with the same identifier (MQTT 5, 3.14.2.1)."""


class ConnectionFailed(DragomanError):  # noqa: N818
    """No connection was made; ``refused`` when the broker or the certificates said no, not the network."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class Unsendable(DragomanError):  # noqa: N818
    """MQTT cannot carry this message at all."""


class Connection:
    """A connection to the broker, from :meth:`open` until :attr:`lost` or :meth:`close`; one thread only.

    Parameters
    ----------
    settings
        Where the broker is and how to log in.
    client_id, will
        Who connects, and the last will (retained).
    on_acknowledged
        Called with the packet id and the PUBACK's reason code.
    on_request
        Called for every message on a subscribed topic; the request's name is the whole topic.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will: Message,
        on_acknowledged: Callable[[int, int], None],
        on_request: Callable[[Request], None],
    ) -> None:
        self.lost: str | None = None
        """Why the connection ended, once it has."""
        self.farewell = False
        """Whether the end was announced, by the broker or by :meth:`close`."""
        self.taken_over = False
        """Whether it ended because another client connected under the same name."""
        self.receive_maximum = DEFAULT_RECEIVE_MAXIMUM
        """Unacknowledged publishes the broker takes."""
        self.maximum_packet: int | None = None
        """Bytes of the largest packet the broker takes; None without a limit."""
        self.session_present = False
        self.subscription_refused: str | None = None
        self._settings = settings
        self._where = f"{settings.host}:{settings.port}"
        self._answered: ReasonCode | None = None
        self._on_acknowledged = on_acknowledged
        self._on_request = on_request
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5)
        client.connect_timeout = CONNECT_TIMEOUT
        client.will_set(will.topic, will.payload, qos=will.qos, retain=True)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_subscribe = self._subscribed
        client.on_message = self._received
        self._client = client

    def open(self) -> None:
        """Connect and log in; returns when the broker has accepted.

        Raises
        ------
        ConnectionFailed
            With the reason in one line.
        """
        settings = self._settings
        try:
            self._secure()
            wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            wishes.SessionExpiryInterval = SESSION_EXPIRY
            wishes.ReceiveMaximum = RECEIVE_MAXIMUM
            wishes.MaximumPacketSize = LARGEST_INCOMING
            self._client.connect(settings.host, settings.port, settings.keepalive, clean_start=False, properties=wishes)
            if isinstance(sock := self._client.socket(), socket.socket):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", None) or error.reason or str(error)
            raise ConnectionFailed(f"TLS with {self._where} failed: {reason}", refused=True) from error
        except (OSError, ValueError) as error:
            raise ConnectionFailed(f"{self._where}: {_network_reason(error)}") from error
        deadline = time.monotonic() + CONNECT_TIMEOUT
        while self._answered is None and self.lost is None and time.monotonic() < deadline:
            self.step(deadline - time.monotonic())
        if self._answered is None:
            self._abandon()
            reason = "no answer from the broker" if self.lost is None else f"{self.lost} before the broker had answered"
            raise ConnectionFailed(f"{self._where}: {reason}: does it speak MQTT 5, and is mqtt.tls as it wants it?")
        if self._answered.is_failure:
            self._abandon()
            wanted = "; MQTT 5 is needed" if self._answered.value == _UNSUPPORTED_VERSION else ""
            raise ConnectionFailed(
                f"{self._where} refuses the login: {self._answered}{wanted}",
                refused=self._answered.value in _AUTHENTICATION,
            )

    def step(self, timeout: float, waker: socket.socket | None = None) -> None:
        """Wait up to ``timeout`` seconds for the network or for ``waker``, and do what is to be done."""
        sock = self._client.socket()
        if sock is None:
            self.lost = self.lost or "the connection was lost"
            return
        readable, writable = self._wait(sock, timeout, waker)
        try:
            if readable:
                self._check(self._client.loop_read())
            if writable and self.lost is None:
                self._check(self._client.loop_write())
            if self.lost is None:
                self._check(self._client.loop_misc())
        except Exception as error:  # noqa: BLE001 - paho raises many things for a malformed packet
            self.drop(f"the broker sent something that is not MQTT ({type(error).__name__}: {error})")

    def _wait(self, sock: Any, timeout: float, waker: socket.socket | None) -> tuple[bool, bool]:
        """Wait for something to read or to write, or for ``waker``; an error is something to read."""
        pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        try:
            poll = select.poll()  # unlike select(2), it takes descriptors above 1023: a busy server has those
            poll.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
            if waker is not None:
                poll.register(waker, select.POLLIN)
            ready = dict(poll.poll(0 if pending else max(0.0, timeout) * 1000))
            events = ready.get(sock.fileno(), 0)
            if waker is not None and waker.fileno() in ready:
                with contextlib.suppress(BlockingIOError):  # until it is empty
                    while waker.recv(4096):
                        pass
        except (OSError, ValueError):
            return True, False
        return pending or bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)

    @property
    def certificate_expires(self) -> float | None:
        """When the broker's certificate expires, in seconds since 1970; None without TLS."""
        sock = self._client.socket()
        certificate = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
        return ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None

    @property
    def congested(self) -> bool:
        """Whether something that was published has not yet left this machine."""
        return self._client.want_write()

    def publish(self, message: Message, *, retain: bool = False) -> int | None:
        """Send ``message`` and return its packet id; None when the connection is gone.

        Raises
        ------
        Unsendable
            Its topic, size or properties are none that MQTT knows.
        """
        try:
            properties = _properties(message)
            info = self._client.publish(message.topic, message.payload, message.qos, retain, properties)
        except (MQTTException, ValueError, TypeError, AttributeError, struct.error) as error:
            raise Unsendable(f"{message.topic[:80]!r} cannot be sent: {error}") from None
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def too_large(self, message: Message) -> bool:
        """Whether the broker said it takes no packet as large as ``message``'s."""
        if self.maximum_packet is None:
            return False
        try:
            properties: bytes = _properties(message).pack()  # type: ignore[no-untyped-call]
        except (MQTTException, ValueError, TypeError, AttributeError, struct.error) as error:
            raise Unsendable(f"{message.topic[:80]!r} cannot be sent: {error}") from None
        size = 2 + len(message.topic.encode()) + 2 + len(properties) + len(message.payload)
        return size + 5 > self.maximum_packet  # 5: the longest fixed header

    def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe to ``filters`` at QoS 1, with the retain flag as it was published."""
        options = SubscribeOptions(qos=1, retainAsPublished=True, retainHandling=1)
        self._client.subscribe([(name, options) for name in filters])

    def drop(self, reason: str) -> None:
        """Cut the connection without a farewell: the broker publishes the last will."""
        self.lost = self.lost or reason
        self._abandon()

    def close(self) -> None:
        """Say goodbye: no last will, and the broker forgets the session."""
        farewell = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
        farewell.SessionExpiryInterval = 0
        self._client.disconnect(properties=farewell)
        self.lost = self.lost or "closed"
        self.farewell = True
        poll, deadline = select.poll(), time.monotonic() + FAREWELL_TIMEOUT
        if (sock := self._client.socket()) is not None:
            poll.register(sock, select.POLLOUT)
        while self._client.want_write() and (left := deadline - time.monotonic()) > 0:
            poll.poll(left * 1000)
            if self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
        self._abandon()

    def _secure(self) -> None:
        settings = self._settings
        if settings.password_file is not None or settings.username is not None:
            password = read_secret(settings.password_file) if settings.password_file is not None else None
            self._client.username_pw_set(settings.username, password)
        if settings.tls:
            place = f"mqtt.ca_file {settings.ca_file}"
            try:
                context = ssl.create_default_context(cafile=settings.ca_file)
                if settings.cert_file is not None:
                    place = f"mqtt.cert_file {settings.cert_file}, mqtt.key_file {settings.key_file or 'none'}"
                    context.load_cert_chain(settings.cert_file, settings.key_file)
            except ssl.SSLError as error:
                reason = "these do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "no PEM in there"
                raise ConnectionFailed(f"{place}: {reason}", refused=True) from error
            except OSError as error:
                raise ConnectionFailed(f"{place}: {error.strerror}", refused=True) from error
            self._client.tls_set_context(context)

    def _abandon(self) -> None:
        if (sock := self._client.socket()) is not None:
            sock.close()

    def _check(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and self.lost is None:
            self.lost = paho.error_string(code).rstrip(".").lower()

    def _connected(
        self,
        _client: paho.Client,
        _userdata: Any,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._answered = reason
        self.session_present = flags.session_present
        self.receive_maximum = getattr(properties, "ReceiveMaximum", DEFAULT_RECEIVE_MAXIMUM)
        self.maximum_packet = getattr(properties, "MaximumPacketSize", None)

    def _disconnected(
        self,
        _client: paho.Client,
        _userdata: Any,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self.lost is None:
            self.farewell = flags.is_disconnect_packet_from_server
            self.taken_over = self.farewell and reason.value == _SESSION_TAKEN_OVER
            who = "the broker ended the connection" if self.farewell else "the connection was lost"
            self.lost = f"{who}: {str(reason).lower()}"

    def _published(
        self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Properties
    ) -> None:
        self._on_acknowledged(mid, reason.value)

    def _subscribed(
        self,
        _client: paho.Client,
        _userdata: Any,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self.subscription_refused = refused[0] if refused else None

    def _received(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        properties = message.properties
        self._on_request(
            Request(
                name=topic,
                payload=bytes(message.payload),
                retain=bool(message.retain),
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
            )
        )


def _properties(message: Message) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in message.properties.items():
        setattr(properties, name, value)
    return properties


def _network_reason(error: Exception) -> str:
    """Return why the network failed, for a person."""
    match error:
        case socket.gaierror():
            return "the host's name is unknown"
        case ConnectionRefusedError():
            return "nobody listens there"
        case TimeoutError():
            return "no answer"
        case OSError():
            return error.strerror or str(error)
    return str(error)
