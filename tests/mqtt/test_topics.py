from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client

from device import events
from device.errors import DragomanError
from device.events import Error, Event, Final, Partial, PartialTranslation, State, Translation
from device.mqtt import topics as table
from device.mqtt.entry import Kind
from device.mqtt.topics import Lane, Topics, encode, level
from tests.mqtt.events import final, partial, partial_translation, translation

TOPICS = Topics("dragoman", "kitchen")
SILENT = Topics("dragoman", "kitchen", with_text=False)
SAYING = [final(7), translation(7), partial(7, 2), partial_translation(7, 2)]


@pytest.mark.parametrize(
    ("event", "topic", "qos", "lane"),
    [
        (final(1), "transcript/final", 1, Lane.DURABLE),
        (translation(1), "translation/pt", 1, Lane.DURABLE),
        (partial(1, 1), "transcript/partial", 0, Lane.VOLATILE),
        (partial_translation(1, 1), "translation/pt/partial", 0, Lane.VOLATILE),
        (Error(emitted=1.0, text="no voice"), "event/error", 1, Lane.DURABLE),
    ],
)
def test_event_goes_to_its_row_of_the_table(event: Event, topic: str, qos: int, lane: Lane) -> None:
    message = TOPICS.event(event)
    assert message is not None
    assert (message.topic, message.qos, message.lane) == (f"dragoman/kitchen/{topic}", qos, lane)
    assert json.loads(message.payload)["schema"] == table.SCHEMA


def test_every_event_of_the_house_has_a_topic_or_is_known_to_have_none() -> None:
    said = {Final, Translation, Partial, PartialTranslation, Error}
    unsaid = {events.SpeechStarted, events.Speech, events.UtteranceEnded}
    names = {event.__name__ for event in said | unsaid}
    assert {event.__name__ for event in Event.__subclasses__()} == names


def test_final_tells_all_that_the_table_promises() -> None:
    event = dataclasses.replace(final(3), confidence=0.91234, azimuth=45.0)
    message = TOPICS.event(event)
    assert message is not None
    document = json.loads(message.payload)
    assert document.pop("time").endswith("+00:00")
    assert document == {
        "schema": 1,
        "type": "final",
        "utterance": "c-00003",
        "sequence": 3,
        "text": "Where is the station?",
        "language": "en",
        "start": 3.0,
        "end": 4.0,
        "direction": 0,
        "confidence": 0.912,
        "azimuth": 45.0,
        "timings": {"endpoint": 0.6, "asr": 0.1},
        "emitted": 4.2,
    }


def test_translation_tells_its_source_and_route() -> None:
    message = TOPICS.event(translation(3))
    assert message is not None
    document = json.loads(message.payload)
    assert document["utterance"] == "c-00003"
    assert document["sequence"] == 3
    assert document["source_language"] == "en"
    assert document["route"] == ["en", "pt"]
    assert document["models"] == ["mt-bergamot-en-pt"]


def test_partials_expire_within_seconds_and_finals_never() -> None:
    for event in (partial(1, 1), partial_translation(1, 1)):
        message = TOPICS.event(event)
        assert message is not None
        assert 1 <= message.properties["MessageExpiryInterval"] <= 10
    for event in (final(1), translation(1)):
        message = TOPICS.event(event)
        assert message is not None
        assert "MessageExpiryInterval" not in message.properties
        assert message.kind is Kind.TRANSCRIPT


@pytest.mark.parametrize("event", SAYING)
def test_privacy_none_tells_that_something_was_said_but_not_what(event: Event) -> None:
    message = SILENT.event(dataclasses.replace(event, text="my PIN is 4711"))
    assert message is not None
    assert b"4711" not in message.payload
    assert json.loads(message.payload)["utterance"] == "c-00007"


@pytest.mark.parametrize("made", [TOPICS, SILENT])
def test_finals_and_translations_tell_who_spoke_where_that_is_known(made: Topics) -> None:
    for event in (final(7), translation(7)):
        known, unknown = made.event(dataclasses.replace(event, speaker=2)), made.event(event)
        assert known is not None
        assert unknown is not None
        assert json.loads(known.payload)["speaker"] == 2
        assert "speaker" not in json.loads(unknown.payload)


def test_privacy_none_keeps_the_code_of_an_error_only() -> None:
    message = SILENT.event(Error(emitted=1.0, text="cannot say '4711'", code="no-voice"))
    assert message is not None
    assert b"4711" not in message.payload
    assert json.loads(message.payload)["code"] == "no-voice"


def test_state_tells_languages_volume_and_direction() -> None:
    message = TOPICS.state(
        State.LISTENING, [("en", ["pt", "de"]), ("pt", ["en"])], direction=1, volume=0.8, muted=False, mode="hold"
    )
    document = json.loads(message.payload)
    assert document["state"] == "listening"
    assert document["directions"][0] == {"source": "en", "targets": ["pt", "de"]}
    assert (document["direction"], document["volume"], document["muted"]) == (1, 0.8, False)


def test_alert_is_retained_and_cleared_by_an_empty_message() -> None:
    raised, cleared = TOPICS.alert("disk", "the disk is full"), TOPICS.alert("disk", None)
    assert raised.topic == cleared.topic == "dragoman/kitchen/alert/disk"
    assert raised.lane is cleared.lane is Lane.RETAINED
    assert json.loads(raised.payload)["text"] == "the disk is full"
    assert cleared.payload == b""


@pytest.mark.parametrize("name", ["", "a#", "+", "a b", "a\0b", "a\nb", "x" * 65, "ü/ö", "$", "a%b"])
def test_device_names_that_mqtt_cannot_carry_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(DragomanError, match=r"mqtt\.device"):
        Topics("dragoman", name)
    if "/" not in name:
        with pytest.raises(DragomanError, match=r"mqtt\.base"):
            Topics(name, "kitchen")


def test_base_may_have_several_levels_but_none_empty() -> None:
    assert Topics("home/dragoman", "küche").prefix == "home/dragoman/küche/"
    with pytest.raises(DragomanError, match=r"mqtt\.base"):
        Topics("home//dragoman", "kitchen")


def test_device_is_named_after_the_host_by_default() -> None:
    assert len(Topics("dragoman").device) > 0


@given(st.text(max_size=200))
def test_any_name_becomes_one_legal_topic_level(name: str) -> None:
    encoded = level(name)
    Client._raise_for_invalid_topic(f"a/{encoded}/b".encode())
    assert 1 <= len(encoded) <= table.LONGEST_LEVEL
    assert not set(encoded) & set("/#+\0 ")
    assert encoded.isprintable()


@given(st.text(max_size=20), st.text(max_size=20))
def test_different_names_stay_different(one: str, other: str) -> None:
    if max(map(len, map(level, (one, other)))) < table.LONGEST_LEVEL and "\0" not in one + other:
        assert (level(one) == level(other)) == (one == other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_every_payload_is_strict_json_in_utf_8(document: dict) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(encode(document).decode("utf-8"), parse_constant=refuse)


@given(st.text(st.characters(codec="utf-8")))
def test_texts_of_any_language_arrive_unchanged(text: str) -> None:
    message = TOPICS.event(final(1, text))
    assert message is not None
    assert json.loads(message.payload)["text"] == text


def test_not_a_number_becomes_null() -> None:
    message = TOPICS.event(dataclasses.replace(final(1), confidence=math.nan))
    assert message is not None
    assert json.loads(message.payload)["confidence"] is None


def test_privacy_leaves_no_words_behind() -> None:
    from device.events import Final, SpokenWord

    said = Final(
        emitted=1.0, utterance="a-1", sequence=1, text="secret", language="en", start=0.0, end=1.0,
        words=(SpokenWord("secret", 0.0, 1.0, None),),
    )  # fmt: skip
    message = Topics("dragoman", "kitchen", with_text=False).event(said)
    assert message is not None
    assert b"secret" not in message.payload
