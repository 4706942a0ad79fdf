"""The publisher against a scripted broker: what a real one does not do on demand."""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import threading
import time
from pathlib import Path

import pytest

from device.config import MqttSettings
from device.errors import DragomanError, UsageError
from device.events import Error, State
from device.mqtt import MqttRoom, Pace, steadiness
from device.mqtt.connection import Connection
from device.mqtt.refusals import REFUSED_ALERT
from device.mqtt.topics import Message
from tests.mqtt.conftest import RoomMaker
from tests.mqtt.events import final, partial, translation
from tests.support.fake_broker import FakeBroker, Peer, Published
from tools.local_broker import free_port

NOT_AUTHORISED, QUOTA_EXCEEDED, BAD_FORMAT, NO_SUBSCRIBERS = 0x87, 0x97, 0x99, 0x10


def sequences(broker: FakeBroker) -> list[int]:
    return [json.loads(publish.payload)["sequence"] for publish in broker.on("transcript/final")]


class Nobody:
    """An address where no broker listens."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = free_port()


def test_one_final_is_in_flight_at_a_time_and_slow_acknowledgements_repeat_nothing(make_room: RoomMaker) -> None:
    acknowledged: list[int] = []
    seen_before: list[int] = []

    def answer(peer: Peer, publish: Published) -> None:
        if publish.topic.endswith("transcript/final"):
            seen_before.append(len(acknowledged))
            acknowledged.append(publish.packet_id)
            threading.Timer(0.02, peer.acknowledge, (publish,)).start()
        else:
            peer.acknowledge(publish)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        for number in range(1, 21):
            room.sink(final(number))
        broker.wait_on("transcript/final", 20)
        room.stop(10)
        assert sequences(broker) == list(range(1, 21))
        assert seen_before == list(range(20))
        assert room.depth == 0


def test_receive_maximum_of_the_broker_is_respected_by_all_lanes(make_room: RoomMaker) -> None:
    unacknowledged = 0
    worst = 0
    pending: list[tuple[Peer, Published]] = []
    lock = threading.Lock()

    def release() -> None:
        nonlocal unacknowledged
        with lock:
            peer, publish = pending.pop(0)
            unacknowledged -= 1
            peer.acknowledge(publish)

    def answer(peer: Peer, publish: Published) -> None:
        nonlocal unacknowledged, worst
        if publish.qos:
            with lock:
                unacknowledged += 1
                worst = max(worst, unacknowledged)
                pending.append((peer, publish))
            threading.Timer(0.01, release).start()

    receive_maximum_1 = b"\x21\x00\x01"
    with FakeBroker(answer, properties=receive_maximum_1) as broker:
        room = make_room(broker)
        for number in range(1, 6):
            room.sink(final(number))
            room.button("talk", "press")
            room.publish_state(State.IDLE, directions=[("en", ["pt"])], volume=number / 10)
            room.alert(f"a{number}", "something")
        broker.wait_on("transcript/final", 5)
        broker.wait_on("event/button", 5)
        broker.wait_on("alert/a5")
        room.stop(10)
        assert worst == 1
        assert sequences(broker) == [1, 2, 3, 4, 5]


def test_not_authorised_raises_an_alert_holds_that_topic_and_lets_others_pass(make_room: RoomMaker) -> None:
    allowed = threading.Event()

    def answer(peer: Peer, publish: Published) -> None:
        refuse = "translation" in publish.topic and not allowed.is_set()
        peer.acknowledge(publish, NOT_AUTHORISED if refuse else 0)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        for number in range(1, 11):
            room.sink(translation(number))
            room.sink(final(number))
        broker.wait_on("transcript/final", 10)
        (raised,) = broker.wait_on(f"alert/{REFUSED_ALERT}")
        text = json.loads(raised.payload)["text"]
        assert "translation/pt (not authorised)" in text
        assert len(broker.on("translation/pt")) <= 3  # held, not hammered
        assert room.depth >= 10

        allowed.set()
        broker.wait(lambda b: any(p.payload == b"" for p in b.published if p.topic.endswith(REFUSED_ALERT)))
        broker.wait_on("translation/pt", 11)
        room.stop(10)
        assert room.depth == 0
        numbers = [json.loads(p.payload)["sequence"] for p in broker.on("translation/pt")]
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(1, 11))


def test_exceeded_quota_is_waited_out_in_order(make_room: RoomMaker) -> None:
    refusals = 3

    def answer(peer: Peer, publish: Published) -> None:
        nonlocal refusals
        if publish.topic.endswith("transcript/final") and b'"sequence":2,' in publish.payload and refusals:
            refusals -= 1
            peer.acknowledge(publish, QUOTA_EXCEEDED)
        else:
            peer.acknowledge(publish)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        for number in range(1, 5):
            room.sink(final(number))
        broker.wait(lambda b: any(p.payload == b"" for p in b.published if p.topic.endswith(REFUSED_ALERT)))
        broker.wait(lambda b: b'"sequence":4,' in b.on("transcript/final")[-1].payload)
        room.stop(10)
        assert sequences(broker) == [1, 2, 2, 2, 2, 3, 4]


def test_message_the_broker_can_never_take_is_kept_and_does_not_block_the_rest(make_room: RoomMaker) -> None:
    def answer(peer: Peer, publish: Published) -> None:
        peer.acknowledge(publish, BAD_FORMAT if b'"sequence":2,' in publish.payload else 0)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        for number in range(1, 5):
            room.sink(final(number))
        broker.wait_on(f"alert/{REFUSED_ALERT}")
        broker.wait_on("transcript/final", 4)
        room.stop(10)
        assert sequences(broker) == [1, 2, 3, 4]
        assert room.depth == 1


def test_final_larger_than_the_brokers_maximum_packet_is_kept_and_reported(make_room: RoomMaker) -> None:
    maximum_packet_1000 = b"\x27\x00\x00\x03\xe8"
    with FakeBroker(properties=maximum_packet_1000) as broker:
        room = make_room(broker)
        room.sink(final(1))
        room.sink(final(2, "long " * 300))
        room.sink(partial(3, 1, "long " * 300))
        room.sink(final(3))
        broker.wait_on("transcript/final", 2)
        (alert,) = broker.wait_on(f"alert/{REFUSED_ALERT}")
        assert "packet too large" in json.loads(alert.payload)["text"]
        room.stop(10)
        assert sequences(broker) == [1, 3]
        assert broker.on("transcript/partial") == []
        assert room.depth == 1


@pytest.mark.parametrize("ending", ["cut in the middle of a packet", "cut", "garbage", "disconnect packet"])
def test_final_without_acknowledgement_is_sent_again_on_the_next_connection(make_room: RoomMaker, ending: str) -> None:
    def answer(peer: Peer, publish: Published) -> None:
        if publish.topic.endswith("transcript/final") and peer.number == 1 and b'"sequence":3,' in publish.payload:
            if ending == "cut in the middle of a packet":
                peer.send(b"\x40\x04\x00")
                peer.cut()
            elif ending == "cut":
                peer.cut()
            elif ending == "garbage":
                peer.send(b"\x00\x07HTTP/1.1 400 Bad Request\r\n\r\n")
            else:
                peer.disconnect(0x8B)  # server shutting down
        else:
            peer.acknowledge(publish)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        for number in range(1, 6):
            room.sink(final(number))
        broker.wait(lambda b: b.connections >= 2 and b'"sequence":5,' in b.published[-1].payload)
        room.stop(10)
        # An announced end: nothing acknowledged is in doubt. A broken one: the last seconds are said again.
        repeats = [] if ending == "disconnect packet" else [1, 2]
        assert sequences(broker) == [1, 2, 3, *repeats, 3, 4, 5]
        assert broker.connections == 2
        assert room.depth == 0


def test_state_and_alerts_are_published_again_after_a_reconnect_and_online_comes_first(
    make_room: RoomMaker,
) -> None:
    peers: list[Peer] = []

    def answer(peer: Peer, publish: Published) -> None:
        peers.append(peer)
        peer.acknowledge(publish)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        room.publish_state(State.LISTENING, directions=[("en", ["pt"])])
        room.alert("disk", "the disk is full")
        broker.wait_on("kitchen/state")
        broker.wait_on("alert/disk")
        peers[-1].cut()
        broker.wait(lambda b: any(p.connection == 2 and p.topic.endswith("alert/disk") for p in b.published))
        broker.wait(lambda b: any(p.connection == 2 and p.topic.endswith("kitchen/state") for p in b.published))
        again = [p for p in broker.published if p.connection == 2]
        assert (again[0].topic, again[0].payload) == ("dragoman/kitchen/availability", b"online")


def test_broker_that_acknowledges_nothing_is_left_and_asked_again(make_room: RoomMaker) -> None:
    def answer(peer: Peer, publish: Published) -> None:
        if peer.number > 1:
            peer.acknowledge(publish)

    with FakeBroker(answer) as broker:
        room = make_room(broker, pace=Pace(retry_first=0.05, unacknowledged=0.2))
        room.sink(final(1))
        broker.wait(lambda b: any(p.connection == 2 for p in b.on("transcript/final")))


def test_final_that_reached_no_subscriber_is_sent_again_while_they_come_back(make_room: RoomMaker) -> None:
    nobody_for = 3

    def answer(peer: Peer, publish: Published) -> None:
        nonlocal nobody_for
        if publish.topic.endswith("transcript/final") and nobody_for:
            nobody_for -= 1
            peer.acknowledge(publish, NO_SUBSCRIBERS)
        else:
            peer.acknowledge(publish)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        room.sink(final(1))
        room.sink(final(2))
        broker.wait(lambda b: sequences(b)[-1:] == [2])
        assert sequences(broker) == [1, 1, 1, 1, 2]


def test_broker_that_forgot_its_sessions_is_told_the_last_finals_again_in_order(make_room: RoomMaker) -> None:
    peers: list[Peer] = []

    def answer(peer: Peer, publish: Published) -> None:
        peers.append(peer)
        if publish.topic.endswith("transcript/final") and (peer.number, publish.payload.count(b'"sequence":4,')) == (
            1,
            1,
        ):
            peer.cut()
        else:
            peer.acknowledge(publish)

    with FakeBroker(answer, remembers=False) as broker:
        room = make_room(broker)
        for number in range(1, 6):
            room.sink(final(number))
        broker.wait(lambda b: b.published[-1].connection == 2 and sequences(b)[-1:] == [5])
        room.stop(10)
        assert sequences(broker) == [1, 2, 3, 4, 1, 2, 3, 4, 5]
        assert room.depth == 0


def test_topic_that_nobody_reads_delays_no_other(make_room: RoomMaker) -> None:
    def answer(peer: Peer, publish: Published) -> None:
        peer.acknowledge(publish, NO_SUBSCRIBERS if "translation" in publish.topic else 0)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        for number in range(1, 21):
            room.sink(translation(number))
            room.sink(final(number))
        broker.wait_on("transcript/final", 20)
        assert len(broker.on("translation/pt")) < 10
        room.stop(10)
        assert room.depth == 20


def test_device_without_any_subscriber_does_not_keep_finals_forever(make_room: RoomMaker) -> None:
    def answer(peer: Peer, publish: Published) -> None:
        peer.acknowledge(publish, NO_SUBSCRIBERS)

    with FakeBroker(answer) as broker:
        room = make_room(broker, pace=Pace(subscriber_grace=0.0))
        room.sink(final(1))
        broker.wait_on("transcript/final")
        room.stop(10)
        assert room.depth == 0


def test_stop_leaves_what_nobody_received_for_the_next_start(make_room: RoomMaker) -> None:
    with FakeBroker(lambda peer, publish: peer.acknowledge(publish, NO_SUBSCRIBERS)) as broker:
        room = make_room(broker)
        room.sink(final(1))
        broker.wait_on("transcript/final")
        room.stop(10)
        assert room.depth == 1
    with FakeBroker() as broker:
        make_room(broker)
        broker.wait_on("transcript/final")


@pytest.mark.parametrize("reason", [0x86, 0x87])
def test_refused_login_is_reported_once_and_not_tried_in_a_hurry(
    make_room: RoomMaker, caplog: pytest.LogCaptureFixture, tmp_path: Path, reason: int
) -> None:
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    password.chmod(0o600)
    with caplog.at_level(logging.DEBUG), FakeBroker(connack=reason) as broker:
        room = make_room(
            broker,
            pace=Pace(refused_first=0.05, refused_longest=10.0),
            connect=False,
            username="kitchen",
            password_file=password,
        )
        broker.wait(lambda b: b.connections >= 4)
        assert not room.connected
        refused = [record.message for record in caplog.records if "refuses the login" in record.message]
        assert len(refused) == 1
        assert "hunter2" not in caplog.text
    assert Pace().refused_first >= 5


def test_device_pushed_out_by_one_of_the_same_name_says_so_waits_and_loses_nothing(
    make_room: RoomMaker, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(peer: Peer, publish: Published) -> None:
        if publish.connection < 3 and publish.topic.endswith("final"):
            peer.disconnect(0x8E)  # session taken over
        else:
            peer.acknowledge(publish)

    alerts: list[tuple[str, str | None]] = []
    with caplog.at_level(logging.INFO), FakeBroker(answer) as broker:
        began = time.monotonic()
        pace = Pace(retry_first=0.01, retry_longest=0.01, refused_first=0.5, refused_longest=2.0)
        room = make_room(broker, pace=pace, on_alert=lambda *alert: alerts.append(alert))
        room.sink(final(1))
        broker.wait(lambda b: b.connections >= 3 and any(p.connection == 3 for p in b.on("final")))
        assert time.monotonic() - began > 0.75 * (0.5 + 1.0), "each time it waits longer"
    told = dict(alerts)["mqtt-name"]
    assert told is not None
    assert "another client has connected as dragoman-kitchen" in told
    assert sum("another client has connected" in record.message for record in caplog.records) == 2


def test_alert_about_the_name_is_over_when_a_connection_lasts_though_the_broker_was_away_meanwhile(
    make_room: RoomMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steadiness, "STABLE", 0.1)
    alerts: list[tuple[str, str | None]] = []
    cleared = threading.Event()

    def answer(peer: Peer, publish: Published) -> None:
        if publish.connection == 1 and publish.topic.endswith("final"):
            broker.connack = 0x88  # server unavailable
            peer.disconnect(0x8E)  # session taken over
        else:
            peer.acknowledge(publish)

    def alert(name: str, text: str | None) -> None:
        alerts.append((name, text))
        if name == "mqtt-name" and text is None:
            cleared.set()

    with FakeBroker(answer) as broker:
        pace = Pace(retry_first=0.01, retry_longest=0.01, refused_first=0.05, refused_longest=0.05)
        make_room(broker, pace=pace, on_alert=alert).sink(final(1))
        broker.wait(lambda b: b.connections >= 4)
        assert dict(alerts)["mqtt-name"] is not None
        broker.connack = 0
        assert cleared.wait(60)


def test_daemon_starts_at_once_and_keeps_finals_while_there_is_no_broker(make_room: RoomMaker) -> None:
    room = make_room(Nobody(), connect=False)
    for number in range(1, 4):
        room.sink(final(number))
    room.sink(partial(4, 1))
    room.diag("rtf/asr", 0.1)
    room.publish_state(State.IDLE, directions=[("en", ["pt"])])
    room.stop(5)
    assert room.depth == 3
    assert not room.connected


def test_partials_from_before_the_connection_are_not_sent_late(make_room: RoomMaker) -> None:
    nobody = Nobody()
    room = make_room(nobody, connect=False)
    room.sink(partial(1, 1, "too late"))
    room.sink(final(1))
    room.stop(5)
    with FakeBroker() as broker:
        room = make_room(broker)
        room.sink(partial(2, 1))
        broker.wait_on("transcript/partial")
        broker.wait_on("transcript/final")
        assert b"too late" not in b"".join(publish.payload for publish in broker.published)


def test_alerts_of_a_device_that_died_are_cleared_when_it_comes_back(make_room: RoomMaker) -> None:
    with FakeBroker() as broker:
        room = make_room(broker)
        room.alert("microphone", "the microphone is gone")
        broker.wait_on("alert/microphone")
        room.stop(5)
        room = make_room(broker)
        broker.wait(lambda b: b.on("alert/microphone")[-1].payload == b"")
        room.alert("microphone", "gone again")
        broker.wait(lambda b: b"gone again" in b.on("alert/microphone")[-1].payload)


def test_alert_about_the_disk_does_not_outlive_a_power_cut(make_room: RoomMaker, tmp_path: Path) -> None:
    """It is raised when nothing can be written down, and the next start finds the disk in order."""
    with FakeBroker() as broker:
        (tmp_path / "full").write_text("a file where the folder should be")
        make_room(broker, state_dir=tmp_path / "full").stop(5)
        assert broker.wait_on("alert/outbox-disk")[-1].payload

        make_room(broker, state_dir=tmp_path / "mended")

        broker.wait(lambda b: b.on("alert/outbox-disk")[-1].payload == b"")


def test_alert_that_one_thread_raises_while_another_clears_it_is_the_same_everywhere(make_room: RoomMaker) -> None:
    heard: list[str | None] = []
    slow, go_on = threading.Event(), threading.Event()

    def listener(alert: str, text: str | None) -> None:
        if text is not None:
            slow.set()
            assert go_on.wait(60)
        if alert == "hot":
            heard.append(text)

    with FakeBroker() as broker:
        room = make_room(broker, on_alert=listener)
        raiser = threading.Thread(target=room.alert, args=("hot", "too hot"))
        raiser.start()
        assert slow.wait(60)
        room.alert("hot", None)
        go_on.set()
        raiser.join()
        assert heard[-1] is None
        broker.wait(lambda b: b.on("alert/hot") and b.on("alert/hot")[-1].payload == b"")


def test_final_that_mqtt_cannot_carry_is_kept_and_reported_and_holds_up_no_other(
    make_room: RoomMaker, tmp_path: Path
) -> None:
    from device.mqtt.outbox import Outbox

    outbox = Outbox(tmp_path / "state" / "outbox.sqlite", 1 << 20)
    outbox.put("dragoman/kitchen/transcript/final", b"{}", properties={"ContentTxpe": "a flipped bit"})
    outbox.close()
    with FakeBroker() as broker:
        room = make_room(broker)
        room.sink(final(1))
        broker.wait(lambda b: sequences(b) == [1])
        broker.wait_on(f"alert/{REFUSED_ALERT}")
        room.stop(5)
        assert room.depth == 1


def test_button_press_that_meets_the_end_of_a_connection_is_sent_on_the_next(
    make_room: RoomMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = Connection.publish, threading.Event()

    def publish(connection: Connection, message: Message, *, retain: bool = False) -> int | None:
        if message.topic.endswith("event/button") and not refused.is_set():
            refused.set()
            connection.drop("the network went away just now")
            return None
        return real(connection, message, retain=retain)

    monkeypatch.setattr(Connection, "publish", publish)
    with FakeBroker() as broker:
        room = make_room(broker)
        room.button("talk", "press")
        broker.wait_on("event/button")
        assert refused.is_set()


def test_many_open_descriptors_do_not_keep_the_publisher_spinning(
    make_room: RoomMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with many conversations has descriptors above 1023, which select(2) does not take."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 1400:
        pytest.skip("this system allows no more descriptors")
    real, ticks, steps = Connection.step, [], []

    def step(connection: Connection, timeout: float, waker: socket.socket | None = None) -> None:
        steps.append(timeout)
        real(connection, timeout, waker)

    resource.setrlimit(resource.RLIMIT_NOFILE, (1400, limits[1]))
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while taken[-1] < 1024:
            taken.append(os.dup(taken[0]))
        with FakeBroker() as broker:
            monkeypatch.setattr(Connection, "step", step)
            room = make_room(broker)
            publisher = room._publisher
            assert publisher is not None
            room.sink(final(1))
            broker.wait_on("transcript/final")
            second = threading.Event()
            monkeypatch.setattr(
                publisher, "_on_tick", lambda: (ticks.append(len(steps)), len(ticks) > 1 and second.set())
            )
            assert second.wait(60)
            assert ticks[1] - ticks[0] < 50
            room.stop(5)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"\x20\x02\x00\x01", "refuses the login: Unsupported protocol version; MQTT 5 is needed"),
        (b"", "does it speak MQTT 5, and is mqtt.tls as it wants it"),
    ],
)
def test_broker_of_mqtt_3_is_told_from_one_that_is_away(make_room: RoomMaker, answer: bytes, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        failed = threading.Event()

        class Old:
            host, port = server.getsockname()

        room = make_room(Old, connect=False)
        sock, _ = server.accept()
        with sock:
            sock.recv(1000)
            sock.sendall(answer)
        publisher = room._publisher
        assert publisher is not None
        while publisher.last_failure is None:
            failed.wait(0.01)
        assert says in publisher.last_failure


def test_device_of_another_name_leaves_nothing_of_the_old_one(make_room: RoomMaker) -> None:
    with FakeBroker() as broker:
        room = make_room(broker)
        room.publish_state(State.IDLE, directions=[("en", ["pt"])])
        broker.wait_on("kitchen/state")
        room.stop(5)

        make_room(broker, device="hall")

        for topic in ("kitchen/state", "kitchen/availability"):
            broker.wait(lambda b, topic=topic: b.on(topic)[-1].payload == b"")


def test_device_that_had_a_name_once_takes_nothing_from_the_one_that_has_it_now(make_room: RoomMaker) -> None:
    with FakeBroker() as broker:
        make_room(broker).stop(5)
        make_room(broker, device="hall").stop(5)
        before = len(broker.on("kitchen/availability"))
        assert broker.on("kitchen/availability")[-1].payload == b""

        room = make_room(broker, device="hall")
        room.sink(final(1))
        broker.wait_on("hall/transcript/final")
        room.stop(5)

        assert len(broker.on("kitchen/availability")) == before


def test_full_outbox_refuses_with_an_alert_and_takes_again_when_there_is_room(
    make_room: RoomMaker, tmp_path: Path
) -> None:
    told: list[tuple[str, str | None]] = []
    nobody = Nobody()
    room = make_room(nobody, connect=False, outbox_mb=1, on_alert=lambda *alert: told.append(alert))
    room.sink(Error(emitted=1.0, text="y" * 60_000))
    for number in range(1, 12):
        room.sink(final(number, "x" * 100_000))
    assert told[0][0] == "outbox-full"
    assert "transcripts are being refused" in (told[0][1] or "")
    assert room.depth == 10  # the error gave way, ten finals are there, the eleventh was refused
    room.stop(5)

    with FakeBroker() as broker:
        room = make_room(broker, outbox_mb=1)
        broker.wait_on("transcript/final", 10)
        assert sequences(broker) == list(range(1, 11))
        room.sink(final(12))
        broker.wait_on("transcript/final", 11)


def test_damaged_outbox_is_reported_and_the_device_goes_on(make_room: RoomMaker, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "outbox.sqlite").write_bytes(b"not a database" * 1000)
    with FakeBroker() as broker:
        room = make_room(broker)
        (alert,) = broker.wait_on("alert/outbox-damaged")
        assert "set aside as outbox.sqlite.damaged-" in json.loads(alert.payload)["text"]
        room.sink(final(1))
        broker.wait_on("transcript/final")


def test_unwritable_state_folder_is_reported_and_finals_are_still_sent(make_room: RoomMaker, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with FakeBroker() as broker:
        room = make_room(broker)
        room.sink(final(1))
        broker.wait_on("transcript/final")
        (alert,) = broker.wait_on("alert/outbox-disk")
        assert "cannot be written" in json.loads(alert.payload)["text"]


def test_second_daemon_with_the_same_outbox_is_refused(make_room: RoomMaker) -> None:
    nobody = Nobody()
    make_room(nobody, connect=False)
    with pytest.raises(DragomanError, match="in use by another process"):
        make_room(nobody, connect=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"username": "u", "password_file": "nowhere"}, "nowhere"),
        ({"password_file": "nowhere"}, r"mqtt\.username"),
        ({"tls": True, "ca_file": "nowhere"}, r"mqtt\.ca_file: .*nowhere.* cannot be read"),
        ({"ca_file": "nowhere"}, r"mqtt\.tls is not"),
        ({"tls": True, "key_file": "nowhere"}, r"mqtt\.cert_file is not"),
        ({"device": "a b"}, r"mqtt\.device"),
    ],
)
def test_settings_that_can_never_work_are_refused_at_the_start(
    make_room: RoomMaker, settings: dict, message: str
) -> None:
    with pytest.raises(DragomanError, match=message):
        make_room(Nobody(), connect=False, **settings)


def test_sink_never_raises_after_the_room_was_stopped(make_room: RoomMaker) -> None:
    room = make_room(Nobody(), connect=False)
    room.stop(5)
    room.sink(final(1))
    room.sink(partial(1, 1))


def test_stop_without_start_and_twice_is_harmless(make_room: RoomMaker, tmp_path: Path) -> None:
    room = make_room(Nobody(), connect=False)
    room.stop(5)
    room.stop(5)


def test_no_thread_is_left_behind(make_room: RoomMaker) -> None:
    with FakeBroker() as broker:
        room = make_room(broker)
        room.stop(10)
        assert not {thread.name for thread in threading.enumerate()} & {"mqtt", "mqtt-commands"}


def test_queue_of_a_stalled_network_is_bounded(make_room: RoomMaker) -> None:
    """A broker that stops reading must not make the device's memory grow with partials."""
    stalled, go_on = threading.Event(), threading.Event()

    def answer(peer: Peer, publish: Published) -> None:
        if publish.topic.endswith("transcript/partial"):
            stalled.set()
            go_on.wait(60)

    with FakeBroker(answer) as broker:
        room = make_room(broker)
        room.sink(partial(1, 1))
        assert stalled.wait(60)
        started = time.monotonic()
        for revision in range(2, 600):
            room.sink(partial(1, revision, "x" * 50_000))
        publisher = room._publisher
        assert publisher is not None
        assert len(publisher._volatile) <= 256
        assert publisher.dropped > 0
        assert time.monotonic() - started < 60
        go_on.set()


def test_stop_does_not_wait_for_a_broker_that_reads_no_more(make_room: RoomMaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        class Stalled:
            host, port = server.getsockname()

        room = make_room(Stalled, connect=False)
        sock, _ = server.accept()
        with sock:
            sock.recv(1000)
            sock.sendall(b"\x20\x03\0\0\0")
            assert room.wait_connected(60)
            for number in range(8):
                room.alert(f"large-{number}", "x" * 4_000_000)
            publisher = room._publisher
            assert publisher is not None
            room.stop(1.0)
            assert not publisher._thread.is_alive()


def test_an_outbox_in_a_folder_that_does_not_exist_is_refused_and_no_folder_is_made(tmp_path: Path) -> None:
    missing = tmp_path / "mistyped" / "deep"
    settings = MqttSettings(outbox=missing / "x.sqlite")
    with pytest.raises(UsageError, match=r"mqtt\.outbox: there is no folder .*mistyped/deep: make it"):
        MqttRoom(settings, tmp_path, lambda _command: None).start()
    assert not missing.parent.exists()
