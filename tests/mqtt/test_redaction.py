"""What single topics must not tell: neither the broker nor the outbox on disk ever has it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pydantic import ValidationError

from device.config import MqttSettings, Redaction
from device.events import Final, PartialTranslation, SpokenWord
from device.mqtt.topics import Topics
from tests.mqtt.conftest import RoomMaker
from tests.mqtt.events import final, partial, translation
from tests.support.mqtt_listener import Listener
from tools.local_broker import LocalBroker

SAID = "My name is Hannah Whitfield, call 202-456-1111."
TOLD = "Chamo-me Hannah Whitfield, ligue para 202-456-1111."


def _texts(redact: dict[str, tuple[Redaction, ...]], *events: Final | PartialTranslation) -> list[str]:
    topics = Topics("dragoman", "kitchen", redact=redact)
    messages = [topics.event(event) for event in events]
    return [message.payload.decode() for message in messages if message]


def test_each_topic_hides_what_it_is_told_to_hide() -> None:
    heard, told = _texts({"translation/+": (Redaction.NAME,)}, final(1, SAID), translation(1, TOLD))
    assert SAID in heard
    assert "Chamo-me [name], ligue para 202-456-1111." in told
    heard, told = _texts(
        {"#": (Redaction.PHONE,), "transcript/#": (Redaction.NAME,)}, final(1, SAID), translation(1, TOLD)
    )
    assert "My name is [name], call [phone]." in heard
    assert "Hannah Whitfield, ligue para [phone]." in told


def test_a_translation_hides_a_number_of_another_country_that_only_the_transcript_may_tell() -> None:
    heard, told = _texts({"translation/#": (Redaction.PHONE,)}, final(1, SAID), translation(1, TOLD))
    assert "202-456-1111" in heard
    assert "ligue para [phone]." in told


def test_a_translation_hides_an_address_that_it_copies_from_a_transcript_that_may_tell_it() -> None:
    heard, told = _texts(
        {"translation/#": (Redaction.ADDRESS,)}, final(1, "I live at 10 Downing Street."),
        translation(1, "Moro no 10 Downing Street."),
    )  # fmt: skip
    assert "10 Downing Street" in heard
    assert "Moro no [address]." in told


def test_numbers_in_words_and_words_with_times_are_hidden_too() -> None:
    event = dataclasses.replace(
        final(1, "Call two oh two four five six one one one one."), words=(SpokenWord("two", 0, 1),)
    )
    (text,) = _texts({"transcript/final": (Redaction.PHONE,)}, event)
    assert "Call [phone]." in text
    assert "words" not in text


def test_a_partial_hides_a_number_before_it_is_whole() -> None:
    (text,) = _texts({"transcript/partial": (Redaction.PHONE,)}, partial(1, 1, "call 202-45"))
    assert "call […]" in text


@pytest.mark.parametrize("name", ["", "/x", "a#", "#/a", "a+/b", "a/+b"])
def test_what_is_no_topic_filter_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="topic filter"):
        MqttSettings(redact={name: (Redaction.NAME,)})


@pytest.mark.e2e
def test_nothing_hidden_reaches_the_broker_or_the_outbox(
    broker: LocalBroker, make_room: RoomMaker, tmp_path: Path
) -> None:
    redact = {"transcript/#": ("name", "phone"), "translation/#": ("name", "phone")}
    with Listener(broker.host, broker.port, "#") as listener:
        room = make_room(broker, redact=redact, state_dir=tmp_path / "state")
        for event in (partial(1, 1, SAID), final(1, SAID), translation(1, TOLD)):
            room.sink(event)
        (heard,) = listener.wait_on("transcript/final")
        (told,) = listener.wait_on("translation/pt")
        assert heard.json["text"] == "My name is [name], call [phone]."
        assert told.json["text"] == "Chamo-me [name], ligue para [phone]."
        secrets = (b"Hannah", b"Whitfield", b"456-1111")
        assert not any(word in message.payload for word in secrets for message in listener.messages)
    broker.stop()
    room.sink(final(2, SAID))  # nobody takes it from the outbox
    assert room.depth >= 1
    files = [path for path in (tmp_path / "state").iterdir() if path.is_file()]
    assert any(b"[name]" in path.read_bytes() for path in files), "it waits on disk"
    assert not any(word in path.read_bytes() for word in secrets for path in files)
