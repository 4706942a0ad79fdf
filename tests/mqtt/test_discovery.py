"""Home Assistant finds the device: one retained message, entities that read what is published and are obeyed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from device.events import State
from device.mqtt import Command
from device.mqtt.commands import COMMANDS, parse
from device.mqtt.discovery import Discovery, Way
from device.mqtt.topics import Topics
from tests.mqtt.conftest import RoomMaker
from tests.mqtt.events import final, translation
from tests.support.mqtt_listener import Listener
from tools.local_broker import LocalBroker

TOPIC = "homeassistant/device/dragoman-kitchen/config"
WAY = Way("en", ("pt",), ["de", "en"], ["de", "pt"])
BOTH = [WAY, Way("pt", ("en", "de"), ["pt"], ["de", "en"])]
REQUIRED = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "select": {"command_topic", "options"},
    "switch": {"command_topic"},
    "number": {"command_topic"},
    "text": {"command_topic"},
    "button": {"command_topic"},
    "event": {"state_topic", "event_types"},
}
"""What each platform's schema in Home Assistant cannot do without."""
EVERYWHERE = {
    "platform", "name", "unique_id", "availability_topic", "payload_available", "payload_not_available", "icon",
    "entity_category", "json_attributes_topic", "qos",
}  # fmt: skip
KNOWN = {
    "sensor": {"state_topic", "value_template", "device_class", "options", "state_class", "unit_of_measurement"},
    "binary_sensor": {"state_topic", "value_template", "device_class"},
    "select": {"state_topic", "value_template", "command_topic", "command_template", "options"},
    "switch": {"state_topic", "value_template", "command_topic", "payload_on", "payload_off"},
    "number": {"state_topic", "value_template", "command_topic", "command_template", "min", "max", "step", "mode",
               "unit_of_measurement"},
    "text": {"command_topic", "command_template", "min", "max"},
    "button": {"command_topic", "payload_press"},
    "event": {"state_topic", "value_template", "event_types", "device_class"},
}  # fmt: skip
"""The keys of those schemas (homeassistant/components/mqtt) that are used: what is misspelt is dropped in silence."""
CLASSES = {"sensor": {"enum", "temperature"}, "binary_sensor": {"problem"}, "event": {"button"}}


def described(ways=(WAY,), device="kitchen", with_text=True) -> dict[str, Any]:
    message = Discovery(Topics("dragoman", device, with_text=with_text)).message(ways)
    return json.loads(message.payload)


def test_message_has_the_form_of_a_device() -> None:
    document = described()
    assert document.keys() == {"dev", "o", "cmps"}
    assert document["dev"]["identifiers"] == ["dragoman-kitchen"]
    assert {"name"} <= document["o"].keys()
    for name, entity in document["cmps"].items():
        assert REQUIRED[entity["platform"]] <= entity.keys(), name
        assert entity["availability_topic"] == "dragoman/kitchen/availability"
        assert (entity["payload_available"], entity["payload_not_available"]) == ("online", "offline")
        assert entity["unique_id"] == f"dragoman-kitchen-{name}"
    assert {entity["platform"] for entity in document["cmps"].values()} == REQUIRED.keys()


@pytest.mark.parametrize("ways", [(WAY,), BOTH])
@pytest.mark.parametrize("with_text", [True, False])
def test_every_entity_passes_its_platforms_schema(ways, with_text: bool) -> None:
    """The rules of Home Assistant's schemas (components/mqtt/schemas.py and the platforms'), one by one."""
    document = described(ways, with_text=with_text)
    assert document["dev"].keys() <= {"identifiers", "name", "manufacturer", "model", "sw_version"}
    assert document["o"].keys() <= {"name", "sw_version", "support_url"}
    for name, entity in document["cmps"].items():
        platform = entity["platform"]
        assert entity.keys() <= EVERYWHERE | KNOWN[platform], name
        assert entity.get("qos", 0) in (0, 1, 2)
        assert entity.get("entity_category") in (
            None,
            "diagnostic",
            *(() if platform.endswith("sensor") else ("config",)),
        )
        assert entity.get("device_class") in {None} | CLASSES.get(platform, set())
        for key in ("state_topic", "command_topic", "json_attributes_topic", "availability_topic"):
            assert not set("#+\0") & set(entity.get(key, "a")), name
        if platform == "sensor" and "options" in entity:
            assert entity["device_class"] == "enum"
            assert not {"state_class", "unit_of_measurement"} & entity.keys()
        if platform == "number":
            assert entity["min"] < entity["max"]
            assert entity["step"] >= 1e-3
            assert entity["mode"] in ("auto", "box", "slider")
        if platform == "text":
            assert 0 <= entity["min"] < entity.get("max", 255) <= 255
        if platform in ("select", "event"):
            listed = entity.get("options", entity.get("event_types"))
            assert all(isinstance(item, str) for item in listed)
            assert len(set(listed)) == len(listed)


def test_topic_is_one_that_home_assistant_takes() -> None:
    topic = Discovery(Topics("dragoman", "küche.2:@")).topic
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)


def test_two_directions_have_their_own_languages() -> None:
    entities = described(BOTH)["cmps"]
    assert entities["source-1"]["options"] == ["de", "en"]
    assert entities["target-2"]["options"] == ["de", "en"]
    assert entities["translation-de"]["state_topic"] == "dragoman/kitchen/translation/de"
    assert "directions[1].source" in entities["source-2"]["value_template"]


def test_what_is_chosen_can_always_be_shown() -> None:
    entities = described([Way("xh", ("zu",), ["en"], ["pt"])])["cmps"]
    assert entities["source"]["options"] == ["en", "xh"]
    assert entities["target"]["options"] == ["pt", "zu"]


def test_privacy_none_describes_no_text() -> None:
    entities = described(with_text=False)["cmps"]
    assert not {"transcript", "translation"} & entities.keys()
    assert "azimuth" in entities


def test_entity_that_is_gone_is_removed() -> None:
    discovery = Discovery(Topics("dragoman", "kitchen"))
    discovery.message(BOTH)
    entities = json.loads(discovery.message([WAY]).payload)["cmps"]
    assert entities["translation-de"] == {"platform": "sensor"}
    assert entities["source-2"] == {"platform": "select"}
    assert entities["translation"].keys() > {"platform", "state_topic"}


@pytest.fixture
def render():
    """Render a template as Home Assistant does: the payload is ``value_json``, what is sent is ``value``."""
    jinja2 = pytest.importorskip("jinja2")

    def render(template: str, **values: Any) -> str:
        return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template).render(**values)

    return render


def test_templates_read_what_the_device_publishes(render) -> None:
    topics, entities = Topics("dragoman", "kitchen"), described(BOTH)["cmps"]
    state = topics.state(
        State.SPEAKING, [("en", ["pt"]), ("pt", [])], direction=0, volume=0.35, muted=True, mode="hold",
        problems=["outbox-full", "microphone"],
    )  # fmt: skip
    published = [
        state, topics.button("talk", "double"), topics.event(final(1, "x" * 300)), topics.event(translation(1)),
        topics.diag("temperature", 51.5), topics.diag("outbox", {"depth": 3}),
    ]  # fmt: skip
    payloads = {message.topic: json.loads(message.payload) for message in published if message}
    shown = {
        name: render(entity["value_template"], value_json=payloads[entity["state_topic"]])
        for name, entity in entities.items()
        if entity.get("state_topic") in payloads
    }
    assert shown["state"] == "speaking"
    assert shown["state"] in entities["state"]["options"]
    assert shown["transcript"] == "x" * 255
    assert shown["translation-pt"] == "Onde fica a estação?"
    assert shown["azimuth"] == "None"
    assert json.loads(shown["button"]) == {"event_type": "double", "button": "talk"}
    assert "double" in entities["button"]["event_types"]
    assert {key: value for key, value in shown.items() if key.startswith("problem-")} == {
        "problem-problem": "ON", "problem-microphone": "ON", "problem-outbox": "ON",
        "problem-speaker": "OFF", "problem-hot": "OFF", "problem-under-voltage": "OFF",
    }  # fmt: skip
    assert shown["mute"] == entities["mute"]["payload_on"]
    assert float(shown["volume"]) == 35
    assert (shown["source-1"], shown["target-1"], shown["source-2"], shown["target-2"]) == ("en", "pt", "pt", "None")
    assert (shown["temperature"], shown["outbox"]) == ("51.5", "3")


def test_who_said_it_is_an_attribute_of_the_texts() -> None:
    topics, entities = Topics("dragoman", "kitchen"), described()["cmps"]
    for name, event in (("transcript", final(1)), ("translation", translation(1))):
        message = topics.event(replace(event, speaker=2))
        assert message is not None
        assert entities[name]["json_attributes_topic"] == message.topic
        assert json.loads(message.payload)["speaker"] == 2


VALUES = {"select": "pt", "number": 55, "text": 'Say "hi", {you}', "switch": None, "button": None}


@pytest.mark.parametrize("name", [n for n, e in described(BOTH)["cmps"].items() if "command_topic" in e])
def test_what_home_assistant_sends_is_a_command_of_the_device(name: str, render) -> None:
    entity = described(BOTH)["cmps"][name]
    command = entity["command_topic"].removeprefix("dragoman/kitchen/")
    assert command in COMMANDS
    value = VALUES[entity["platform"]]
    if value is None:
        payloads = [entity[key] for key in ("payload_on", "payload_off", "payload_press") if key in entity]
    else:
        payloads = [render(entity["command_template"], value=value)]
    for payload in payloads:
        understood = parse(command, payload.encode())
        assert getattr(understood, "text", VALUES["text"]) == VALUES["text"]
        assert getattr(understood, "volume", 0.55) == 0.55


@pytest.mark.e2e
def test_device_is_found_again_when_home_assistant_starts_and_obeys_it(
    broker: LocalBroker, make_room: RoomMaker
) -> None:
    done: list[Command] = []
    room = make_room(broker, done.append)
    with Listener(broker.host, broker.port, "homeassistant/device/#", "dragoman/kitchen/reply/#") as home:
        room.describe([WAY])
        first = home.wait_on("/config")[0]
        assert first.topic == TOPIC
        home.publish("homeassistant/status", "offline")
        home.publish("homeassistant/status", "online")
        again = home.wait_on("/config", count=2)
        assert again[1].payload == first.payload
        home.publish("dragoman/kitchen/set/source", "de", ResponseTopic="dragoman/kitchen/reply/1")
        home.wait_on("reply/1")
        assert done == [parse("set/source", b"de")]
    with Listener(broker.host, broker.port, "homeassistant/device/#") as late:
        assert late.wait_on("/config")[0].retain


@pytest.mark.e2e
def test_device_stays_over_a_restart_and_is_removed_when_discovery_is_switched_off(
    broker: LocalBroker, make_room: RoomMaker
) -> None:
    with Listener(broker.host, broker.port, "homeassistant/device/#") as home:
        room = make_room(broker)
        room.describe([WAY])
        home.wait_on("/config")
        room.stop()
        room = make_room(broker)
        room.describe([WAY])
        home.wait_on("/config", count=2)
        assert all(message.payload for message in home.on("/config"))
        room.stop()
        room = make_room(broker, discovery=False)
        room.describe([WAY])
        home.wait_on("/config", payload=b"")
