from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import Trigger
from device.errors import DragomanError, UsageError
from device.mqtt import commands
from device.mqtt.commands import COMMANDS, Command, parse
from device.mqtt.desk import MOST_WAITING, CommandDesk, Request
from device.mqtt.topics import Message, Topics


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("set/source", '{"language": "pt-br", "direction": 1}', commands.SetSource("pt-BR", 1)),
        ("set/source", '"en"', commands.SetSource("en")),
        ("set/targets", '["pt", "de"]', commands.SetTargets(("pt", "de"))),
        ("set/source", " pt\n", commands.SetSource("pt")),
        ("set/targets", "[]", commands.SetTargets(())),
        ("set/targets", "pt", commands.SetTargets(("pt",))),
        ("set/targets", "pt, de", commands.SetTargets(("pt", "de"))),
        ("set/mode", "open", commands.SetMode(Trigger.OPEN)),
        ("cmd/say", "Onde fica, afinal, a estação?", commands.Say("Onde fica, afinal, a estação?")),
        ("set/targets", "pt, de, PT", commands.SetTargets(("pt", "de"))),
        ("set/targets", '["pt", "pt"]', commands.SetTargets(("pt",))),
        *(("set/mute", on, commands.SetMute(muted=True)) for on in ("true", "ON", "on", '"On"', "TRUE", "1", "yes")),
        *(("set/mute", off, commands.SetMute(muted=False)) for off in ("false", "OFF", "off\n", "False", "0", "no")),
        ("set/mute", '{"muted": "ON"}', commands.SetMute(muted=True)),
        ("set/mute", '{"muted": false}', commands.SetMute(muted=False)),
        ("set/volume", "0.5", commands.SetVolume(0.5)),
        ("set/volume", " 1 ", commands.SetVolume(1.0)),
        ("set/mode", '"toggle"', commands.SetMode(Trigger.TOGGLE)),
        ("cmd/say", '{"text": "Olá 🙂", "language": "pt"}', commands.Say("Olá 🙂", "pt")),
        ("cmd/say", '"hello"', commands.Say("hello")),
        ("cmd/say", "42", commands.Say("42")),
        ("cmd/say", "true", commands.Say("true")),
        (
            "cmd/translate",
            '{"text": "x", "source": "en", "targets": ["pt"], "speak": true}',
            commands.Translate("x", "en", ("pt",), True),
        ),
        ("cmd/listen", "", commands.Listen()),
        ("cmd/listen", '{"direction": 1}', commands.Listen(1)),
        ("cmd/stop", "{}", commands.Stop()),
        ("cmd/repeat", "", commands.Repeat()),
    ],
)
def test_command_is_read_from_its_payload(name: str, payload: str, expected: Command) -> None:
    assert parse(name, payload.encode()) == expected


def test_every_command_of_the_table_is_known() -> None:
    assert set(COMMANDS) == {
        *(f"set/{name}" for name in ("source", "targets", "mute", "volume", "mode")),
        *(f"cmd/{name}" for name in ("say", "translate", "listen", "stop", "repeat")),
    }


@pytest.mark.parametrize(
    ("name", "payload", "message"),
    [
        ("set/source", b"not a language", "language: not a language tag"),
        ("set/source", b'"en', "not JSON"),
        ("set/volume", b"loud", "volume: expected a number$"),
        ("set/volume", b'0.5, "x": 1', "volume: expected a number$"),
        ("set/mute", b"perhaps", "muted: expected on or off$"),
        ("cmd/say", b"\xff", "not JSON"),
        ("set/source", b'"xx"', "language: not a language tag"),
        ("set/source", b'{"langauge": "en"}', "'langauge'; known: language, direction|'language' is missing"),
        ("set/source", b'{"language": "en", "direction": 2}', "direction: expected at most 1$"),
        ("set/volume", b"1.5", "volume: expected at most 1$"),
        ("set/volume", b'"loud"', "volume: expected a number$"),
        ("set/volume", b"true", "volume: expected a number$"),
        ("set/volume", b"NaN", "volume: "),
        ("set/mute", b"2", "muted: expected on or off$"),
        ("set/mute", b"1.0", "muted: expected on or off$"),
        ("set/mute", b'{"muted": null}', "muted: expected on or off$"),
        ("set/mode", b'"shout"', "'hold', 'toggle' or 'open'"),
        ("cmd/say", b"", "'text' is missing"),
        ("cmd/say", b'""', "text: .*at least 1"),
        ("cmd/say", b'"' + b"x" * 10_001 + b'"', "text: .*at most 10000"),
        ("cmd/say", b'"' + b"x" * 100_000 + b'"', "the payload has 100002 bytes"),
        ("cmd/say", b'{"text": "hi", "speed": 2}', "unknown key 'speed'; known: text, language"),
        ("cmd/say", b'"a", "language": "pt"', "not JSON"),
        ("cmd/say", b'{"text": "\xff"}', "not JSON"),
        ("cmd/say", b"[" * 60_000, "not JSON"),
        ("cmd/stop", b'"now"', "must be a JSON object"),
        ("cmd/explode", b"", "unknown command 'cmd/explode'.*set/source"),
        ("", b"", "unknown command"),
    ],
)
def test_wrong_command_is_refused_with_what_was_wrong(name: str, payload: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse(name, payload)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_refusal_does_not_repeat_the_text_that_was_sent() -> None:
    with pytest.raises(UsageError) as caught:
        parse("cmd/say", b'{"text": "my PIN is 4711", "language": 4711}')
    assert "4711" not in str(caught.value)


@given(st.sampled_from([*COMMANDS, "cmd/other", "set/"]), st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(name: str, payload: bytes) -> None:
    try:
        command = parse(name, payload)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert isinstance(command, COMMANDS[name])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["text", "language", "languages", "direction", "volume", "muted", "mode", "targets", "x"])


@given(st.sampled_from(list(COMMANDS)), st.one_of(VALUES, st.dictionaries(KEYS, VALUES)))
def test_no_json_does_more_than_be_refused(name: str, document: Any) -> None:
    try:
        command = parse(name, json.dumps(document).encode())
    except UsageError:
        return
    assert isinstance(command, COMMANDS[name])


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300))
def test_any_text_to_say_arrives_unchanged(text: str) -> None:
    assert parse("cmd/say", json.dumps(text).encode()) == commands.Say(text)
    assert parse("cmd/say", json.dumps({"text": text}, ensure_ascii=False).encode()) == commands.Say(text)


class Office:
    """A desk with recorded answers."""

    def __init__(self, handler: Any, *, with_text: bool = True) -> None:
        self.answers: list[Message] = []
        self.reports: list[str] = []
        self.changed = threading.Condition()
        self.desk = CommandDesk(
            Topics("dragoman", "kitchen", with_text=with_text), handler, self._publish, self.reports.append
        )
        self.desk.start()

    def _publish(self, message: Message) -> None:
        with self.changed:
            self.answers.append(message)
            self.changed.notify_all()

    def ask(self, name: str, payload: bytes = b"", **request: Any) -> None:
        request = {"response_topic": "house/reply", "correlation": b"\x00\x01", **request}
        self.desk.receive(Request(name, payload, **request))

    def wait(self, count: int = 1) -> list[dict[str, Any]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.answers) >= count, 60)
            return [json.loads(message.payload) for message in self.answers]


def test_answer_goes_to_the_response_topic_with_the_correlation_data() -> None:
    office = Office(lambda command: {"spoken": command.text})
    office.ask("cmd/say", b'"hi"')
    (answer,) = office.wait()
    office.desk.stop(5)
    assert answer == {"schema": 1, "command": "cmd/say", "ok": True, "spoken": "hi"}
    assert office.answers[0].topic == "house/reply"
    assert office.answers[0].properties["CorrelationData"] == b"\x00\x01"


def test_answer_of_a_future_comes_when_it_is_done_and_others_overtake_it() -> None:
    slow: Future[dict[str, Any]] = Future()
    office = Office(lambda command: slow if isinstance(command, commands.Say) else {"stopped": True})
    office.ask("cmd/say", b'"a long story"')
    office.ask("cmd/stop")
    assert office.wait()[0]["command"] == "cmd/stop"
    slow.set_result({"spoken": 2.5})
    assert office.wait(2)[1] == {"schema": 1, "command": "cmd/say", "ok": True, "spoken": 2.5}
    office.desk.stop(5)


def test_failure_inside_the_device_is_told_in_one_line_and_the_desk_goes_on() -> None:
    def handler(command: Command) -> dict[str, Any]:
        if isinstance(command, commands.Say):
            raise DragomanError("no voice for 'ja': dragoman models pull")
        if isinstance(command, commands.Repeat):
            raise KeyError("a bug")
        failed: Future[Any] = Future()
        failed.set_exception(DragomanError("no microphone"))
        return failed  # type: ignore[return-value]

    office = Office(handler)
    office.ask("cmd/say", b'"x"')
    office.ask("cmd/repeat")
    office.ask("cmd/listen")
    answers = office.wait(3)
    office.desk.stop(5)
    assert [answer["ok"] for answer in answers] == [False] * 3
    assert answers[0]["error"] == "no voice for 'ja': dragoman models pull"
    assert "log says why" in answers[1]["error"]
    assert "a bug" not in answers[1]["error"]
    assert answers[2]["error"] == "no microphone"


def test_retained_command_is_refused_and_reported_and_not_carried_out() -> None:
    done: list[Command] = []
    office = Office(done.append)
    office.ask("set/volume", b"1", retain=True)
    (answer,) = office.wait()
    office.desk.stop(5)
    assert answer["ok"] is False
    assert answer["error"].startswith("set/volume: a retained command is refused")
    assert office.reports == [answer["error"]]
    assert done == []


def test_clearing_a_retained_command_is_no_command() -> None:
    done: list[Command] = []
    office = Office(done.append)
    office.ask("cmd/stop", b"", retain=True)
    office.desk.stop(5)
    assert (done, office.answers, office.reports) == ([], [], [])


def test_command_without_response_topic_is_carried_out_and_errors_are_reported() -> None:
    carried_out = threading.Event()
    office = Office(lambda _command: carried_out.set())
    office.ask("cmd/stop", response_topic=None)
    office.ask("cmd/stop", b"nonsense", response_topic=None)
    assert carried_out.wait(60)
    office.desk.stop(5)
    assert len(office.reports) == 1


def test_command_without_response_topic_is_answered_on_a_topic_of_its_own() -> None:
    office = Office(lambda command: {"translations": {"pt": f"{command.text} em português"}})
    office.ask("cmd/translate", b"hello", response_topic=None, correlation=None)
    (answer,) = office.wait()
    office.ask("cmd/explode", response_topic=None)
    refused = office.wait(2)[1]
    office.desk.stop(5)
    assert answer["ok"] is True
    assert answer["translations"] == {"pt": "hello em português"}
    assert [message.topic for message in office.answers] == [
        "dragoman/kitchen/reply/cmd/translate", "dragoman/kitchen/reply/unknown",
    ]  # fmt: skip
    assert refused["ok"] is False


def test_privacy_none_tells_a_topic_that_all_may_read_nothing_of_a_text() -> None:
    office = Office(lambda _command: {"translations": {"pt": "segredo"}, "source": "en"}, with_text=False)
    office.ask("cmd/translate", b"secret", response_topic=None)
    (answer,) = office.wait()
    office.desk.stop(5)
    assert answer == {"schema": 1, "command": "cmd/translate", "ok": True, "source": "en"}


def test_more_commands_than_the_device_can_hold_are_answered_busy() -> None:
    first: Future[Any] = Future()
    office = Office(lambda _command: first)
    for _ in range(MOST_WAITING + 3):
        office.ask("cmd/listen")
    answers = office.wait(3)
    assert all("busy" in answer["error"] for answer in answers)
    first.set_result({})
    assert sum(answer["ok"] for answer in office.wait(MOST_WAITING + 3)) == MOST_WAITING
    office.ask("cmd/stop")
    assert office.wait(MOST_WAITING + 4)[-1]["ok"] is True
    office.desk.stop(5)


def test_commands_that_wait_when_the_device_stops_are_answered() -> None:
    entered, leave = threading.Event(), threading.Event()

    def handler(_command: Command) -> None:
        entered.set()
        leave.wait(60)

    office = Office(handler)
    office.ask("cmd/listen")
    assert entered.wait(60)
    office.ask("cmd/stop")
    stopper = threading.Thread(target=office.desk.stop, args=(60,))
    stopper.start()
    assert "stopping" in office.wait()[0]["error"]
    leave.set()
    stopper.join()
    assert office.wait(2)[1]["ok"] is True

    office.ask("cmd/say", b"too late")  # the broker is still there while the last finals are sent
    assert "stopping" in office.wait(3)[2]["error"]


@pytest.mark.parametrize(
    "topic",
    ["dragoman/kitchen/state", "dragoman/kitchen/cmd/say", "a/#", "+/a", "$SYS/x", "", "a\0b"],
)
def test_answers_cannot_be_made_to_forge_the_devices_own_messages(topic: str) -> None:
    office = Office(lambda _command: None)
    office.ask("cmd/stop", response_topic=topic)
    office.ask("cmd/stop", response_topic="dragoman/kitchen/reply/7")
    office.wait()
    office.desk.stop(5)
    assert [message.topic for message in office.answers] == ["dragoman/kitchen/reply/7"]


def test_privacy_none_answers_without_what_was_said_except_to_who_sent_the_text() -> None:
    office = Office(lambda _command: {"text": "segredo", "language": "pt"}, with_text=False)
    office.ask("cmd/repeat")
    office.wait()
    office.ask("cmd/translate", b'"secret"')
    repeated, translated = office.wait(2)
    office.desk.stop(5)
    assert repeated == {"schema": 1, "command": "cmd/repeat", "ok": True, "language": "pt"}
    assert translated["text"] == "segredo"
