"""A second, independent MQTT client that remembers what it received, with a session that the broker keeps."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE = 60.0


@dataclass(frozen=True)
class Received:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Any

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.payload)


class Listener:
    def __init__(self, host: str, port: int, *filters: str, setup: Callable[[paho.Client], None] | None = None):
        self.messages: list[Received] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._filters = filters or ("#",)
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"listener-{id(self)}", protocol=paho.MQTTv5
        )
        self._client.reconnect_delay_set(0.1, 0.2)  # type: ignore[arg-type]
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        if setup is not None:
            setup(self._client)
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        session.ReceiveMaximum = 65535
        self._client.connect(host, port, clean_start=False, properties=session)
        self._client.loop_start()
        assert self._subscribed.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes | str, *, retain: bool = False, **properties: Any) -> None:
        given = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(given, name, value)
        self._client.publish(topic, payload, 1, retain, given).wait_for_publish(PATIENCE)

    def on(self, suffix: str) -> list[Received]:
        with self._changed:
            return [message for message in self.messages if message.topic.endswith(suffix)]

    def wait(self, enough: Callable[[list[Received]], Any], timeout: float = PATIENCE) -> list[Received]:
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self.messages), timeout):
                last = [(m.topic, m.payload[:80]) for m in self.messages[-5:]]
                raise AssertionError(f"not received in time; {len(self.messages)} messages, the last: {last}")
            return list(self.messages)

    def wait_on(self, suffix: str, count: int = 1, payload: bytes | None = None) -> list[Received]:
        def fits(message: Received) -> bool:
            return message.topic.endswith(suffix) and payload in (None, message.payload)

        messages = self.wait(lambda messages: sum(map(fits, messages)) >= count)
        return [message for message in messages if fits(message)]

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(name, SubscribeOptions(qos=1, retainAsPublished=True)) for name in self._filters])

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.messages.append(
                Received(message.topic, message.payload, message.qos, bool(message.retain), message.properties)
            )
            self._changed.notify_all()
