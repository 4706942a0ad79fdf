from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.config import MqttSettings
from device.mqtt import Command, MqttRoom, Pace
from tests.mqtt.pace import QUICK
from tools.local_broker import LocalBroker

RoomMaker = Callable[..., MqttRoom]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    with LocalBroker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def make_room(tmp_path: Path) -> Iterator[RoomMaker]:
    """Make and start rooms of the device ``kitchen``; stop them afterwards."""
    with contextlib.ExitStack() as stack:

        def make(
            broker: Any,
            on_command: Callable[[Command], Any] = lambda _command: None,
            *,
            pace: Pace = QUICK,
            state_dir: Path = tmp_path / "state",
            connect: bool = True,
            on_alert: Callable[[str, str | None], None] = lambda _id, _text: None,
            **settings: Any,
        ) -> MqttRoom:
            room = MqttRoom(
                MqttSettings(**{"host": broker.host, "port": broker.port, "device": "kitchen", **settings}),
                state_dir,
                on_command,
                pace=pace,
                on_alert=on_alert,
            )
            room.start()
            stack.callback(room.stop, 0.0)
            assert not connect or room.wait_connected(60)
            return room

        yield make
