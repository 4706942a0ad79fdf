"""No final is lost and none is out of order, whoever is killed: device, broker, or both.

What is promised of the broker: an entry leaves the outbox when the broker has acknowledged it; from then on it
is the broker's. Mosquitto acknowledges before it saves, and before its subscribers have read; so after a
connection that broke, the device says the last ten seconds again, and waits up to two minutes for a subscriber
to come back. A subscriber that stays away longer gets what mosquitto had saved (``persistence`` with
``autosave_on_changes``).
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mqtt.conftest import RoomMaker
from tests.mqtt.events import final
from tests.support.mqtt_listener import Listener, Received
from tools.local_broker import LocalBroker

pytestmark = pytest.mark.e2e


def publisher(broker: LocalBroker, state: Path, first: int, last: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.mqtt.publisher_process", *map(str, (broker.port, state, first, last))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def sequences(messages: list[Received], suffix: str = "transcript/final") -> list[int]:
    return [message.json["sequence"] for message in messages if message.topic.endswith(suffix)]


def first_appearances(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


def test_no_final_is_lost_or_out_of_order_when_the_device_is_killed(broker: LocalBroker, tmp_path: Path) -> None:
    generator = random.Random(7)
    last = 6000  # more than a quick machine publishes before it is killed
    said = 0
    with Listener(broker.host, broker.port, "dragoman/#") as listener:
        for _ in range(8):
            process = publisher(broker, tmp_path / "state", said + 1, last)
            assert process.stdout is not None
            if generator.random() < 0.25:  # also while it starts, and while it only drains
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(generator.uniform(0.0, 1.2))
            else:
                for _ in range(generator.randrange(1, 110)):
                    said = int(process.stdout.readline())
            process.kill()
            lines = process.stdout.read().split()
            said = max([said, *(int(line) for line in lines if line.isdigit())])
            process.wait()
        assert 0 < said < last
        listener.wait_on("availability", payload=b"offline")

        process = publisher(broker, tmp_path / "state", said + 1, last)
        process.communicate()
        assert process.returncode == 0
        for suffix in ("transcript/final", "translation/pt"):
            messages = listener.wait(lambda messages, s=suffix: sequences(messages, s)[-1:] == [last])
            numbers = sequences(messages, suffix)
            assert first_appearances(numbers) == list(range(1, last + 1))
            assert {m.json["utterance"] for m in messages if m.topic.endswith(suffix)} == {
                f"c-{number:05d}" for number in range(1, last + 1)
            }


@pytest.mark.parametrize("persistence", [True, False])
def test_no_final_is_lost_or_out_of_order_when_the_broker_is_killed(
    make_room: RoomMaker, tmp_path: Path, persistence: bool
) -> None:
    generator = random.Random(11)
    last = 1200
    with (
        LocalBroker(tmp_path / "broker", persistence=persistence) as broker,
        Listener(broker.host, broker.port, "dragoman/kitchen/transcript/final") as listener,
    ):
        broker.restart()  # so that, where it is persistent, the subscription is on its disk
        room = make_room(broker)
        for number in range(1, last + 1):
            room.sink(final(number))
        for kill in range(1, 6):
            # Somewhere between two acknowledgements, with the backlog under way.
            moment = kill * last // 6 + generator.randrange(-90, 90)
            listener.wait(lambda messages, moment=moment: len(messages) >= moment)
            broker.kill()
            broker.start()
        messages = listener.wait(lambda messages: sequences(messages)[-1:] == [last])
        assert first_appearances(sequences(messages)) == list(range(1, last + 1))
        room.stop(10)
        assert room.depth == 0


def test_no_final_is_lost_when_device_and_broker_are_both_killed(tmp_path: Path) -> None:
    generator = random.Random(13)
    last = 600
    said = 0
    with (
        LocalBroker(tmp_path / "broker", persistence=True) as broker,
        Listener(broker.host, broker.port, "dragoman/#") as listener,
    ):
        broker.restart()
        for turn in range(6):
            process = publisher(broker, tmp_path / "state", said + 1, last)
            assert process.stdout is not None
            for _ in range(generator.randrange(20, 80)):
                line = process.stdout.readline()
                if not line.strip().isdigit():  # it was quicker than this test, and is done
                    break
                said = int(line)
            victims = [process.kill, broker.kill]
            generator.shuffle(victims)
            for kill in victims[: 1 + turn % 2]:
                kill()
            process.kill()
            said = max([said, *(int(n) for n in process.stdout.read().split() if n.isdigit())])
            process.wait()
            broker.start()
        process = publisher(broker, tmp_path / "state", said + 1, last)
        process.communicate()
        messages = listener.wait(lambda messages: sequences(messages)[-1:] == [last])
        assert first_appearances(sequences(messages)) == list(range(1, last + 1))


def test_thousands_of_finals_wait_for_an_absent_broker_and_come_in_order(make_room: RoomMaker, tmp_path: Path) -> None:
    last = 3000
    with (
        LocalBroker(tmp_path / "broker") as broker,
        Listener(broker.host, broker.port, "dragoman/kitchen/transcript/final") as listener,
    ):
        broker.stop()
        room = make_room(broker, connect=False)
        for number in range(1, last + 1):
            room.sink(final(number))
        assert room.depth == last
        assert listener.messages == []
        broker.start()
        messages = listener.wait(lambda messages: len(messages) >= last)
        assert sequences(messages) == list(range(1, last + 1))
        room.stop(10)
        assert room.depth == 0


def test_subscriber_that_was_away_gets_what_a_persistent_broker_saved(make_room: RoomMaker, tmp_path: Path) -> None:
    """A broker that ended in good order keeps finals for an absent subscriber through its own restart."""
    with LocalBroker(tmp_path / "broker", persistence=True) as broker:
        listener = Listener(broker.host, broker.port, "dragoman/kitchen/transcript/final")
        listener._client.loop_stop()  # away, without a goodbye
        room = make_room(broker)
        for number in range(1, 201):
            room.sink(final(number))
        room.stop(30)
        assert room.depth == 0
        broker.restart()
        listener._client.loop_start()
        messages = listener.wait(lambda messages: sequences(messages)[-1:] == [200])
        assert first_appearances(sequences(messages)) == list(range(1, 201))
        listener.__exit__()


def test_payloads_on_the_wire_are_what_the_table_says(broker: LocalBroker, make_room: RoomMaker) -> None:
    with Listener(broker.host, broker.port, "dragoman/kitchen/#") as listener:
        room = make_room(broker)
        room.sink(final(1, "Grüße, 世界 🙂 שלום"))
        (received,) = listener.wait_on("transcript/final")
        assert json.loads(received.payload)["text"] == "Grüße, 世界 🙂 שלום"
        assert (received.qos, received.retain) == (1, False)
        assert received.properties.ContentType == "application/json"
        assert received.properties.PayloadFormatIndicator == 1
