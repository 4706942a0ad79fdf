"""What a kiosk page and the device say to each other, with small engines; tests/e2e/kiosk has the page itself."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from itertools import pairwise
from socket import create_connection
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from device.config import load_settings
from device.errors import DragomanError, UsageError
from device.server import kiosk_access
from device.server.auth import Gate
from device.server.kiosk_access import Kind, make_pass
from device.server.kiosk_messages import parse
from tests.server.conftest import ServedEngines
from tests.support.engines import silence, speak

NAMES = ("hello", "open", "begin", "end", "translate", "speak", "hush", "mute", "invite", "ping")
ASKED = st.fixed_dictionaries(
    {"do": st.sampled_from(NAMES)},
    optional={
        "side": st.integers(), "rate": st.integers(), "text": st.text(), "id": st.text(), "language": st.text(),
        "place": st.text(), "sides": st.lists(st.text()), "key": st.text(), "pass": st.text(), "muted": st.booleans(),
    },
).map(json.dumps)  # fmt: skip
KEY = "correct horse battery staple"


class Speechless(ServedEngines):
    """Speaks Portuguese and nothing else."""

    def synthesizer(self, language, voice=None):
        if not language.startswith("pt"):
            raise DragomanError(f"no voice for {language!r} is installed")
        return super().synthesizer(language, voice)


@pytest.fixture
def speechless(serve):
    engines = Speechless()
    yield serve(engines=engines)
    engines.close()


def pcm(samples) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


class Page:
    """What the page's script does, by hand."""

    def __init__(self, stack, address, **hello):
        self.socket = stack.enter_context(connect(f"{address.ws}/kiosk/socket", max_size=None))
        self.do("hello", **hello)

    def do(self, what, **more):
        self.socket.send(json.dumps({"do": what, **more}))

    def receive(self):
        message = self.socket.recv(30)
        return message if isinstance(message, bytes) else json.loads(message)

    def until(self, kind):
        """Return all that comes, up to the first message of a kind."""
        found = [self.receive()]
        while isinstance(found[-1], bytes) or found[-1]["type"] != kind:
            found.append(self.receive())
        return found

    def open(self, *sides, place="here", **more):
        self.do("open", place=place, sides=list(sides) or None, **more)
        return self.until("opened")[-1]

    def say(self, text, side=0, rate=16_000):
        self.do("begin", side=side, rate=rate)
        sound = np.concatenate([silence(0.2), speak(text), silence(0.3)])
        for start in range(0, len(sound), 3200):
            piece = sound[start : start + 3200]
            if rate != 16_000:
                piece = np.repeat(piece, rate // 16_000)
            self.socket.send(pcm(piece))
        self.do("end")

    def refused(self):
        return self.until("refused")[-1]["text"]

    def closed(self):
        try:
            while True:
                self.socket.recv(30)
        except ConnectionClosed as error:
            return error.rcvd.code, error.rcvd.reason


@pytest.fixture
def page():
    """Return a function that opens a page's socket and says hello."""
    with ExitStack() as stack:
        yield lambda address, **hello: Page(stack, address, **hello)


@pytest.fixture
def keyed(serve, tmp_path):
    """A server that asks for a key, as one does that others can reach."""
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    return serve(key_file=str(file), host="0.0.0.0")


def texts(messages, kind):
    return [m["text"] for m in messages if isinstance(m, dict) and m["type"] == kind]


# The files


def test_page_is_served_without_a_key_and_lets_nothing_in_from_outside(keyed):
    with keyed.client() as client:
        page = client.get("/kiosk/")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "//" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert KEY not in page.text
        assert client.get("/languages/").status_code == 401
    with keyed.client(follow_redirects=True) as client:
        assert client.get("/").url.path == "/kiosk/"


def test_every_file_of_the_page_has_its_type_and_is_sent_once(served):
    with served.client() as client:
        for name, kind in {"main.js": "text/javascript", "kiosk.css": "text/css", "icon.svg": "image/svg+xml"}.items():
            answer = client.get(f"/kiosk/{name}")
            assert answer.headers["content-type"].startswith(kind)
            again = client.get(f"/kiosk/{name}", headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["none.js", "..%2fkiosk.py", "%2e%2e/kiosk.py", "__init__.py", ".hidden"])
def test_nothing_but_the_pages_own_files_is_served(served, path):
    with served.client() as client:
        assert client.get(f"/kiosk/{path}").status_code == 404


# Who may come in


def test_page_of_somebody_else_cannot_open_the_socket(served, caplog):
    for origin in ("http://evil.example", "http://127.0.0.1:1", "null"):
        with pytest.raises(InvalidStatus) as refused, connect(f"{served.ws}/kiosk/socket", origin=origin):
            pass
        assert refused.value.response.status_code == 403
    with connect(f"{served.ws}/kiosk/socket", origin=served.http):
        pass
    assert not [record for record in caplog.records if record.levelname == "ERROR"]  # the server did what it should


def test_name_that_leads_here_from_elsewhere_cannot_open_the_socket(served):
    port = urlsplit(served.ws).port
    to_here = create_connection(("127.0.0.1", port))
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://evil.example:{port}/kiosk/socket", sock=to_here):
        pass
    assert refused.value.response.status_code == 403


def test_key_opens_the_page_and_a_wrong_one_does_not(keyed, page):
    assert page(keyed, key=KEY).receive()["type"] == "welcome"
    assert page(keyed).closed() == (4401, "missing")
    assert page(keyed, key="battery").closed() == (4401, "wrong")
    assert page(keyed, **{"pass": "visit.0.abc"}).closed() == (4401, "wrong")


def test_invitation_becomes_a_visit_and_neither_is_the_key(keyed, page):
    guest = page(keyed, key=KEY)
    guest.do("invite")
    invitation = guest.until("invitation")[-1]
    assert urlsplit(invitation["url"]).path == "/kiosk/"
    assert invitation["svg"].startswith("<svg")
    gate = keyed.server.app.state.gate
    passed = page(keyed, **{"pass": make_pass(gate, Kind.INVITATION, 60)}).receive()["pass"]
    assert passed.startswith("visit.")
    assert KEY not in json.dumps(invitation) + passed
    visitor = page(keyed, **{"pass": passed})
    assert visitor.receive()["pass"] is None
    visitor.do("invite")  # a visit ends, and so nobody may prolong it for himself
    assert "guests" in visitor.refused()
    with keyed.client() as client:
        for header in ({"Ocp-Apim-Subscription-Key": passed}, {"Authorization": f"Bearer {passed}"}):
            assert client.get("/cognitiveservices/voices/list", headers=header).status_code == 401


def test_passes_end_with_their_time_and_with_the_key():
    gate, other = Gate(KEY), Gate("another")
    assert kiosk_access.kind_of(gate, make_pass(gate, Kind.VISIT, None)) is Kind.VISIT
    assert kiosk_access.kind_of(gate, make_pass(gate, Kind.VISIT, -1)) is None
    assert kiosk_access.kind_of(other, make_pass(gate, Kind.VISIT, None)) is None
    longer = make_pass(gate, Kind.INVITATION, 60).replace("invitation", "visit")
    assert kiosk_access.kind_of(gate, longer) is None
    for nonsense in ("", ".", "visit", "visit.x.y", "visit.99999999999999999999.", "\0.0.ü"):
        assert kiosk_access.kind_of(gate, nonsense) is None


def test_who_says_nothing_is_not_waited_for(served, monkeypatch):
    monkeypatch.setattr("device.server.kiosk_socket.KNOCK", 0.1)
    with connect(f"{served.ws}/kiosk/socket") as socket, pytest.raises(ConnectionClosed):
        socket.recv(30)


def test_who_does_not_say_hello_first_is_shown_out(served):
    with connect(f"{served.ws}/kiosk/socket") as socket:
        socket.send('{"do": "ping"}')
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(30)
        assert closed.value.rcvd.code == 4401


# Where phones find it


@pytest.mark.parametrize(
    ("settings", "host", "port", "tls", "expected"),
    [
        ({}, "127.0.0.1:5000", 5000, False, None),
        ({"host": "0.0.0.0"}, "192.168.1.9:5000", 5000, False, "http://192.168.1.9:5000/kiosk/"),
        ({"host": "0.0.0.0", "tls_port": 443}, "192.168.1.9:5000", 5000, False, "https://192.168.1.9/kiosk/"),
        ({"host": "0.0.0.0", "tls_port": 5443}, "box.local:5443", 5443, True, "https://box.local:5443/kiosk/"),
        ({"host": "10.1.2.3"}, "127.0.0.1:80", 80, False, "http://10.1.2.3/kiosk/"),
        ({"host": "0.0.0.0"}, "[fd00::1]:5000", 5000, False, "http://[fd00::1]:5000/kiosk/"),
    ],
)
def test_address_for_phones(settings, host, port, tls, expected):
    chosen = load_settings(None, {f"server.{name}": value for name, value in settings.items()})
    found = kiosk_access.address(chosen, host, port, tls=tls)
    assert (found and found.url) == expected


def test_screen_of_the_device_itself_invites_to_its_address_in_the_house():
    chosen = load_settings(None, {"server.host": "0.0.0.0"})
    found = kiosk_access.address(chosen, "127.0.0.1:5000", 5000, tls=False)
    assert urlsplit(found.url).hostname not in {"127.0.0.1", "0.0.0.0", "localhost", None}


def test_loopback_has_nobody_to_invite(served, page):
    me = page(served)
    me.do("invite")
    assert me.until("invitation")[-1]["url"] is None


# A conversation


def test_what_is_said_is_shown_translated_and_spoken(served, page):
    me = page(served)
    welcome = me.receive()
    assert welcome["routes"]["en"] == ["de", "pt"]
    assert welcome["voices"] == ["en", "pt"]
    assert not welcome["device"]
    assert me.open("en", "pt")["talk"] == [True, False]
    me.say("one two three")
    messages = me.until("utterance_ended")
    assert texts(messages, "final") == ["one two three"]
    assert texts(messages, "translation") == ["ONE TWO THREE"]
    assert all(m["side"] == 0 for m in messages if isinstance(m, dict) and m["type"] in {"partial", "final"})
    for header, sound in pairwise(messages):
        if isinstance(sound, bytes):
            assert header["type"] == "speech"
            assert len(sound) / 2 / header["sample_rate"] == pytest.approx(header["duration"], abs=0.001)
    assert any(isinstance(m, bytes) for m in messages)


def test_browser_that_cannot_resample_sends_its_own_rate(served, page):
    me = page(served)
    me.open("en", "pt")
    me.say("four five six", rate=48_000)
    assert texts(me.until("utterance_ended"), "final") == ["four five six"]


def test_silence_is_told_and_costs_nothing_else(served, page):
    me = page(served)
    me.open("en", "pt")
    me.do("begin", side=0)
    me.socket.send(pcm(silence(0.5)))
    me.do("end")
    assert me.until("nothing")[-1] == {"type": "nothing"}


def test_languages_change_between_turns_and_a_side_that_cannot_talk_says_why(served, page):
    me = page(served)
    me.open("en", "pt")
    me.say("one two three")
    me.until("utterance_ended")
    opened = me.open("pt", "en")
    assert (opened["sides"], opened["talk"]) == (["pt", "en"], [False, True])
    me.do("begin", side=0)
    assert "'pt'" in me.refused()
    me.say("three four five", side=1)
    final = next(m for m in me.until("final") if isinstance(m, dict) and m["type"] == "final")
    assert (final["text"], final["side"]) == ("three four five", 1)


def test_languages_that_nobody_knows_are_refused_in_words_and_the_conversation_goes_on(served, page):
    me = page(served)
    me.open("en", "pt")
    me.do("open", place="here", sides=["cy", "gd"])
    assert "installed" in me.refused()
    me.say("one two three")
    assert texts(me.until("utterance_ended"), "final") == ["one two three"]


def test_language_without_a_voice_is_read(speechless, page):
    me = page(speechless)
    me.open("en", "de")
    me.say("one two three")
    messages = me.until("utterance_ended")
    assert texts(messages, "translation") == ["ONE TWO THREE"]
    assert not any(isinstance(m, bytes) for m in messages)


def test_nothing_is_spoken_where_sound_is_off(served, page):
    me = page(served)
    me.open("en", "pt", sound=False)
    me.say("one two three")
    assert not any(isinstance(m, bytes) for m in me.until("utterance_ended"))


def test_typed_text_is_translated_and_spoken_again(speechless, page):
    me = page(speechless)
    me.open("en", "pt")
    me.do("translate", id="a", source="en", target="pt", text="good morning")
    assert me.until("translated")[-1] == {
        "type": "translated", "id": "a", "text": "GOOD MORNING",
    }  # fmt: skip
    me.do("speak", id="b", language="pt", text="GOOD MORNING")
    messages = me.until("spoken")
    assert {m["utterance"] for m in messages if isinstance(m, dict) and m["type"] == "speech"} == {"b"}
    me.do("speak", id="c", language="fi", text="hyvää")
    assert "'fi'" in me.refused()


def test_turn_has_a_longest_length(serve, page, monkeypatch):
    address = serve()
    settings = address.service.settings
    controls = settings.controls.model_copy(update={"longest_turn": 2.0})
    monkeypatch.setattr(address.service, "settings", settings.model_copy(update={"controls": controls}))
    me = page(address)
    me.open("en", "pt")
    me.do("begin", side=0)
    for _ in range(10):
        me.socket.send(pcm(np.concatenate([speak("one"), silence(0.05)])))
    me.until("utterance_ended")
    me.do("ping")
    assert me.until("pong")


@pytest.mark.parametrize(
    "message",
    ["{}", "[]", "nonsense", '{"do":"begin"}', '{"do":"begin","side":2}', '{"do":"open","place":"moon"}',
     '{"do":"translate","id":"a","source":"en","target":"pt","text":""}',
     '{"do":"ping","more":1}', '{"do":"begin","side":0,"rate":1}'],
)  # fmt: skip
def test_message_that_is_none_ends_the_connection_with_its_reason(served, page, message):
    me = page(served)
    me.socket.send(message)
    code, reason = me.closed()
    assert code == 1007
    assert reason.startswith("the page sent what is not understood")


@given(st.text() | st.recursive(st.text() | st.integers() | st.none(), st.lists).map(json.dumps) | ASKED)
def test_any_text_is_a_message_or_refused_in_one_line(text):
    refused = ""
    try:
        parse(text)
    except UsageError as error:
        refused = str(error)
    assert "\n" not in refused
    assert len(refused) < 400


def test_audio_without_a_turn_is_left_out(served, page):
    me = page(served)
    me.socket.send(b"\1\2\3")
    me.open("en", "pt")
    me.socket.send(b"\1\2\3")
    me.do("ping")
    assert me.until("pong")


def test_only_the_device_has_a_device(served, page):
    me = page(served)
    me.do("open", place="device")
    assert "dragoman serve" in me.refused()
    me.open("en", "pt")
    me.do("mute", muted=True)
    assert "device" in me.refused()


def test_page_that_goes_in_mid_turn_leaves_nothing_behind(served, page):
    with ExitStack() as stack:
        me = Page(stack, served)
        me.open("en", "pt")
        me.do("begin", side=0)
        me.socket.send(pcm(speak("one two three")))
        me.until("speech_started")
    deadline = time.monotonic() + 20
    while served.service.connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not served.service.connections
