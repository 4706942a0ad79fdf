"""The room against a real mosquitto: security, retained states, commands, and who may do what."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client

from device.cli import checks
from device.config import Settings
from device.events import State
from device.mqtt import Command, MqttRoom, Pace, steadiness
from device.mqtt.commands import Say, SetVolume
from device.mqtt.discovery import Way
from tests.mqtt.conftest import RoomMaker
from tests.mqtt.events import final, partial, translation
from tests.mqtt.test_kills import publisher
from tests.support.mqtt_listener import Listener
from tools.local_broker import LocalBroker

pytestmark = pytest.mark.e2e
EXAMPLES = Path(__file__).parents[2] / "firmware_config" / "mosquitto"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority of our own, a broker for 127.0.0.1, a client ``kitchen``, and a stranger's CA."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for ca in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
    for name, extra in (("broker", ["-addext", "subjectAltName=IP:127.0.0.1"]), ("kitchen", [])):
        openssl("req", *key, "-subj", f"/CN={name}", *extra, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(
            *f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2".split(),
            *f"-copy_extensions copy -out {name}.crt".split(),
        )
    return folder


def secret(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def guarded(tmp_path: Path, certificates: Path) -> LocalBroker:
    """A broker that runs the example configuration, with only its paths replaced."""
    passwords = secret(tmp_path / "passwd", "kitchen:one\nhall:two\nhouse:three")
    subprocess.run([shutil.which("mosquitto_passwd") or "mosquitto_passwd", "-U", str(passwords)], check=True)
    acl = shutil.copy(EXAMPLES / "dragoman.acl", tmp_path / "dragoman.acl")
    Path(acl).chmod(0o600)
    text = (EXAMPLES / "dragoman.conf").read_text(encoding="utf-8")
    replaced = {
        "/etc/mosquitto/dragoman/": f"{certificates}/",
        "/etc/mosquitto/dragoman.passwd": str(passwords),
        "/etc/mosquitto/dragoman.acl": str(acl),
        "/var/lib/mosquitto/": f"{tmp_path}/",
    }
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "listener 8883"
    return LocalBroker(tmp_path / "guarded", config=lines[1:])


def login(certificates: Path, user: str, password: str) -> Callable[[Client], None]:
    def setup(client: Client) -> None:
        client.tls_set_context(ssl.create_default_context(cafile=certificates / "ca.crt"))
        client.username_pw_set(user, password)

    return setup


def test_example_configuration_lets_a_device_do_its_work_and_nothing_else(
    guarded: LocalBroker, certificates: Path, tmp_path: Path, make_room: RoomMaker
) -> None:
    tls: dict[str, Any] = {"tls": True, "ca_file": certificates / "ca.crt"}
    told: list[tuple[str, str | None]] = []
    carried_out: list[Command] = []
    refused = threading.Event()
    with (
        guarded as broker,
        Listener(broker.host, broker.port, "#", setup=login(certificates, "house", "three")) as house,
    ):
        room = make_room(
            broker,
            lambda command: carried_out.append(command) or {"done": True},
            username="kitchen",
            password_file=secret(tmp_path / "kitchen", "one"),
            on_alert=lambda *alert: told.append(alert),
            **tls,
        )
        house.wait_on("kitchen/availability", payload=b"online")
        room.sink(final(1))
        room.sink(translation(1))
        room.sink(partial(2, 1))
        room.button("talk", "press")
        room.alert("disk", "full")
        room.diag("rtf/asr", 0.1)
        room.publish_state(State.IDLE, directions=[("en", ["pt"])])
        for suffix in (
            "transcript/final",
            "translation/pt",
            "transcript/partial",
            "event/button",
            "alert/disk",
            "diag/rtf/asr",
            "kitchen/state",
        ):
            house.wait_on(suffix)
        house.publish("dragoman/kitchen/set/volume", "0.5", ResponseTopic="dragoman/kitchen/reply/house")
        (answer,) = house.wait_on("kitchen/reply/house")
        assert answer.json == {"schema": 1, "command": "set/volume", "ok": True, "done": True}
        assert carried_out == [SetVolume(0.5)]
        assert told == [("disk", "full")]

        intruder = make_room(
            broker,
            username="hall",
            password_file=secret(tmp_path / "hall", "two"),
            state_dir=tmp_path / "intruder",
            on_alert=lambda *alert: (told.append(alert), refused.set()),
            device="kitchen-2",  # the hall's login does not cover this name
            **tls,
        )
        intruder.sink(final(1, "forged"))
        assert refused.wait(60)
        assert told[-1][0] == "mqtt-refused"
        assert "not authorised" in (told[-1][1] or "")
        assert intruder.depth == 1  # kept, not lost
        assert house.on("kitchen-2/transcript/final") == []


def test_client_certificate_logs_in_and_a_missing_one_is_refused(
    tmp_path: Path, certificates: Path, make_room: RoomMaker
) -> None:
    config = [
        f"cafile {certificates}/ca.crt",
        f"certfile {certificates}/broker.crt",
        f"keyfile {certificates}/broker.key",
        "require_certificate true",
        "use_identity_as_username true",
    ]
    with LocalBroker(tmp_path / "broker", config=config) as broker:
        ca = certificates / "ca.crt"
        stranger = make_room(broker, tls=True, ca_file=ca, connect=False, state_dir=tmp_path / "stranger")
        mine = make_room(
            broker, tls=True, ca_file=ca, cert_file=certificates / "kitchen.crt", key_file=certificates / "kitchen.key"
        )
        assert mine.connected
        assert not stranger.wait_connected(0.5)


def test_broker_with_a_strangers_certificate_is_not_trusted_and_gets_no_password(
    guarded: LocalBroker, certificates: Path, tmp_path: Path, make_room: RoomMaker, caplog: pytest.LogCaptureFixture
) -> None:
    with guarded as broker:
        room = make_room(
            broker,
            tls=True,
            ca_file=certificates / "stranger.crt",
            username="kitchen",
            password_file=secret(tmp_path / "kitchen", "one"),
            pace=Pace(refused_first=0.05, refused_longest=0.1),
            connect=False,
        )
        assert not room.wait_connected(0.7)
        assert "certificate" in (room._publisher.last_failure or "")  # type: ignore[union-attr]
        assert sum("TLS with" in record.message for record in caplog.records) == 1


def test_wrong_password_is_reported_once_and_does_not_flood_the_broker(
    guarded: LocalBroker,
    certificates: Path,
    tmp_path: Path,
    make_room: RoomMaker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    password = secret(tmp_path / "kitchen", "wrong")
    with guarded as broker, caplog.at_level(logging.DEBUG):
        room = make_room(
            broker,
            tls=True,
            ca_file=certificates / "ca.crt",
            username="kitchen",
            password_file=password,
            pace=Pace(refused_first=0.2, refused_longest=0.4),
            connect=False,
        )
        room.sink(final(1))
        assert not room.wait_connected(2.0)
        refused = [record.message for record in caplog.records if "refuses the login" in record.message]
        assert len(refused) == 1
        assert "wrong" not in caplog.text
        attempts = broker.log.read_text(errors="replace").count("not authorised")
        assert 1 < attempts < 15
        assert room.depth == 1

        secret(password, "one")  # the owner mends it; no restart is needed
        assert room.wait_connected(30)


def test_example_acl_lets_a_device_describe_itself_to_home_assistant_and_no_other(
    guarded: LocalBroker, certificates: Path, tmp_path: Path, make_room: RoomMaker
) -> None:
    def setup(client: Client) -> None:
        client.tls_set(str(certificates / "ca.crt"))
        client.username_pw_set("house", "three")

    def start(name: str) -> MqttRoom:
        return make_room(
            broker, tls=True, ca_file=certificates / "ca.crt", username="kitchen", device=name,
            password_file=secret(tmp_path / "kitchen", "one"), state_dir=tmp_path / name,
        )  # fmt: skip

    way = Way("en", ("pt",), ["en"], ["pt"])
    with guarded as broker, Listener(broker.host, broker.port, "homeassistant/#", setup=setup) as home:
        start("hall").describe([way])
        room = start("kitchen")
        room.describe([way])
        home.wait_on("device/dragoman-kitchen/config")
        home.publish("homeassistant/status", "online")
        home.wait_on("device/dragoman-kitchen/config", count=2)
        assert not home.on("device/dragoman-hall/config")


def test_doctor_tells_when_the_certificate_of_the_broker_ends(
    guarded: LocalBroker, certificates: Path, tmp_path: Path
) -> None:
    with guarded as broker:
        mqtt = {
            "host": broker.host, "port": broker.port, "tls": True, "ca_file": certificates / "ca.crt",
            "username": "kitchen", "device": "kitchen", "password_file": secret(tmp_path / "kitchen", "one"),
        }  # fmt: skip
        accepted, certificate = checks.broker(Settings.model_validate({"mqtt": mqtt}))
    assert accepted.status == "ok"
    assert (certificate.status, certificate.check) == ("warning", "certificate")
    assert "another 2 days" in certificate.text


def test_two_devices_of_one_name_are_told_so_and_do_not_fight(
    broker: LocalBroker, make_room: RoomMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch
) -> None:
    monkeypatch.setattr(steadiness, "STABLE", 0.5)
    pace = Pace(retry_first=0.1, retry_longest=0.8)
    alerts: list[tuple[str, str | None]] = []
    changed = threading.Condition()

    def alert(name: str, text: str | None) -> None:
        with changed:
            alerts.append((name, text))
            changed.notify_all()

    with caplog.at_level(logging.INFO):
        make_room(broker, pace=pace, on_alert=alert)
        other = make_room(broker, pace=pace, state_dir=tmp_path / "other")
        with changed:
            assert changed.wait_for(lambda: any(text for name, text in alerts if name == "mqtt-name"), 60)
            before = broker.log.read_text(errors="replace").count("already connected")
            changed.wait_for(lambda: False, 3)
        told = next(text for name, text in alerts if name == "mqtt-name")
        assert told is not None
        assert "dragoman-kitchen" in told
        assert "mqtt.device" in told
        assert any("mqtt.device" in record.message for record in caplog.records)
        assert broker.log.read_text(errors="replace").count("already connected") - before <= 10

        other.stop(0.0)  # the owner gives it another name
        with changed:
            assert changed.wait_for(lambda: alerts[-1] == ("mqtt-name", None), 60)


def test_last_will_says_offline_when_the_device_is_killed(broker: LocalBroker, tmp_path: Path) -> None:
    with Listener(broker.host, broker.port, "dragoman/kitchen/#") as listener:
        process = publisher(broker, tmp_path / "state", 1, 5)
        listener.wait_on("transcript/final", 5)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        (offline,) = listener.wait_on("availability", payload=b"offline")
        assert offline.retain


def test_availability_is_online_while_running_and_offline_after_stop(broker: LocalBroker, make_room: RoomMaker) -> None:
    room = make_room(broker)
    with Listener(broker.host, broker.port, "dragoman/kitchen/#") as listener:
        listener.wait_on("availability", payload=b"online")
        room.stop(10)
        listener.wait_on("availability", payload=b"offline")


def test_state_and_alerts_survive_a_broker_that_forgets_everything(broker: LocalBroker, make_room: RoomMaker) -> None:
    room = make_room(broker)
    room.publish_state(State.IDLE, directions=[("en", ["pt"])])
    room.publish_state(State.MUTED, directions=[("en", ["pt"])])
    room.alert("disk", "the disk is full")
    room.alert("hot", "82 degrees")
    room.alert("hot", None)
    broker.kill()
    broker.start()
    with Listener(broker.host, broker.port, "dragoman/kitchen/#") as listener:
        (state,) = listener.wait_on("kitchen/state")
        listener.wait_on("alert/disk")
        listener.wait_on("availability", payload=b"online")
        assert state.json["state"] == "muted"
        assert [m for m in listener.on("alert/hot") if m.payload] == []


def test_alert_is_retained_while_it_lasts_and_gone_afterwards(broker: LocalBroker, make_room: RoomMaker) -> None:
    room = make_room(broker)
    with Listener(broker.host, broker.port, "dragoman/kitchen/alert/#") as listener:
        room.alert("microphone", "the microphone is gone")
        (raised,) = listener.wait_on("alert/microphone")
        assert raised.retain
        room.alert("microphone", None)
        listener.wait_on("alert/microphone", payload=b"")
    with Listener(broker.host, broker.port, "dragoman/kitchen/#") as later:
        later.wait_on("availability")
        assert later.on("alert/microphone") == []


def test_commands_are_answered_and_retained_ones_refused(broker: LocalBroker, make_room: RoomMaker) -> None:
    carried_out: list[Command] = []
    with Listener(broker.host, broker.port, "dragoman/kitchen/event/#", "house/reply") as house:
        house.publish("dragoman/kitchen/set/volume", "1", retain=True)
        make_room(broker, carried_out.append)
        (reported,) = house.wait_on("event/error")
        assert "retained command is refused" in reported.json["text"]
        assert reported.json["code"] == "command-refused"

        house.publish("dragoman/kitchen/set/mute", "true", retain=True, ResponseTopic="house/reply")
        (refused,) = house.wait_on("house/reply")
        assert refused.json["ok"] is False

        house.publish("dragoman/kitchen/cmd/say", '"olá"', ResponseTopic="house/reply", CorrelationData=b"\x07")
        answer = house.wait_on("house/reply", 2)[1]
        assert answer.json["ok"] is True
        assert answer.properties.CorrelationData == b"\x07"

        house.publish("dragoman/kitchen/cmd/say", b"{broken", ResponseTopic="house/reply")
        assert "not JSON" in house.wait_on("house/reply", 3)[2].json["error"]
        house.publish("dragoman/kitchen/set/colour", b"1", ResponseTopic="house/reply")
        assert "unknown command" in house.wait_on("house/reply", 4)[3].json["error"]
        house.publish("dragoman/kitchen/cmd/say", b'"' + b"x" * 200_000 + b'"', ResponseTopic="house/reply")
        assert "at most 65536" in house.wait_on("house/reply", 5)[4].json["error"]
        assert carried_out == [Say("olá")]


def test_privacy_none_puts_nothing_that_was_said_on_any_topic(broker: LocalBroker, make_room: RoomMaker) -> None:
    with Listener(broker.host, broker.port, "#") as listener:
        room = make_room(broker, text="none")
        for event in (partial(1, 1, "my PIN is 4711"), final(1, "my PIN is 4711"), translation(1, "4711")):
            room.sink(event)
        room.button("talk", "release")
        listener.wait_on("transcript/final")
        listener.wait_on("translation/pt")
        listener.wait_on("event/button")
        assert all(b"4711" not in message.payload for message in listener.messages)


def test_partials_reach_a_listener_before_their_final(broker: LocalBroker, make_room: RoomMaker) -> None:
    with Listener(broker.host, broker.port, "dragoman/kitchen/transcript/#") as listener:
        room = make_room(broker)
        for revision in range(1, 6):
            room.sink(partial(1, revision))
        room.sink(final(1))
        messages = listener.wait_on("transcript/final") and listener.messages
        assert [m.json["type"] for m in messages] == ["partial"] * 5 + ["final"]
        assert [m.json["revision"] for m in messages[:5]] == [1, 2, 3, 4, 5]
        assert messages[0].properties.MessageExpiryInterval <= 10
