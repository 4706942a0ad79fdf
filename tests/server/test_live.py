"""Reading along over HTTP: captions and events of the device's conversation, for whoever may."""

import contextlib
import json
import time
from types import SimpleNamespace

import httpx
import numpy as np
import pysubs2
import pytest

from device.config import load_settings
from device.events import Final, Partial, PartialTranslation, Translation, UtteranceEnded
from device.interpreter import Interpreter
from device.remote import Remote
from device.server import live, outbox
from tests.server.conftest import ServedEngines, wait_for
from tests.support.engines import silence, speak

VTT, EVENTS = "/captions/live.vtt", "/captions/events"


@pytest.fixture
def remote() -> Remote:
    """The device's conversation, with nobody at the microphone."""
    settings = load_settings(None, {"directions": [{"source": "en", "targets": ["pt"]}]})
    return Remote(SimpleNamespace(settings=settings), None)


@pytest.fixture
def address(serve, remote):
    return serve(remote=remote)


class Reader:
    """Reads one answer that does not end."""

    def __init__(self, response: httpx.Response) -> None:
        self.response, self._lines = response, response.iter_lines()

    def until(self, text: str) -> list[str]:
        found = []
        while not found or text not in found[-1]:
            found.append(next(self._lines))
        return found

    def event(self, name: str) -> dict:
        self.until(f"event: {name}")
        return json.loads(next(self._lines).removeprefix("data: "))


@pytest.fixture
def follow(remote):
    """Return a function that reads along at an address, from when it returns."""
    with contextlib.ExitStack() as stack:

        def read(address, path, **headers) -> Reader:
            before = len(remote._watchers)
            client = stack.enter_context(address.client(headers=headers))
            reader = Reader(stack.enter_context(client.stream("GET", path)))
            wait_for(lambda: reader.response.status_code != 200 or len(remote._watchers) == before + 1)
            return reader

        yield read


def say(remote, number, text, language="en", emitted=3.0, **translations):
    common = {"utterance": str(number), "sequence": number, "start": emitted - 2, "end": emitted - 0.5}
    remote.tell(Final(text=text, language=language, emitted=emitted, **common))
    for target, translated in translations.items():
        remote.tell(Translation(text=translated, language=target, source_language=language, emitted=emitted, **common))
    remote.tell(UtteranceEnded(utterance=str(number), has_text=True, emitted=emitted))


def test_captions_come_as_web_vtt_as_soon_as_they_are_known(address, remote, follow):
    reader = follow(address, VTT)
    assert reader.response.headers["content-type"].startswith("text/vtt")
    assert reader.response.headers["cache-control"] == "no-store"
    say(remote, 1, "The first sentence.", pt="A primeira frase.")
    first = reader.until("The first sentence.")
    say(remote, 2, "And <i>another</i> one.", emitted=8.0)
    second = reader.until("another")
    cues = pysubs2.SSAFile.from_string("\n".join(first + second), "vtt")
    assert len(cues) == 2
    assert first[0] == "WEBVTT"
    assert second[-1] == "And &lt;i&gt;another&lt;/i&gt; one."


def test_times_count_from_when_somebody_began_to_read(address, remote, follow):
    reader = follow(address, VTT)
    began = time.monotonic()
    say(remote, 1, "Long after the device began to listen.", emitted=40_000.0)
    cue = pysubs2.SSAFile.from_string("\n".join(reader.until("Long")), "vtt")[0]
    assert cue.start / 1000 <= time.monotonic() - began + 0.01
    assert cue.end > cue.start


def test_captions_may_be_in_another_language_or_in_both(address, remote, follow):
    one, both = follow(address, f"{VTT}?to=pt-BR"), follow(address, f"{VTT}?to=pt&both=1")
    say(remote, 1, "Good morning.", de="Guten Morgen.", pt="Bom dia.")
    say(remote, 2, "Bom dia!", language="pt", en="Good morning!")
    assert [line for line in one.until("Bom dia!") if "dia" in line or "or" in line] == ["Bom dia.", "Bom dia!"]
    lines = both.until("Bom dia!")
    assert lines[lines.index("Good morning.") + 1] == "Bom dia."
    assert "Guten Morgen." not in lines


def test_captions_and_events_tell_who_speaks_where_that_is_known(address, remote, follow):
    vtt, events = follow(address, f"{VTT}?to=pt"), follow(address, f"{EVENTS}?to=pt")
    for number, speaker in enumerate((2, None), 1):
        common = {"utterance": str(number), "sequence": number, "start": 1.0, "end": 2.0, "emitted": 3.0}
        remote.tell(Final(text="Yes.", language="en", speaker=speaker, **common))
        remote.tell(Translation(text="Sim.", language="pt", source_language="en", speaker=speaker, **common))
    assert vtt.until("Sim.")[-1] == "<v Speaker 2>Sim."
    assert vtt.until("Sim.")[-1] == "Sim."
    for speaker in (2, None):
        told = [events.event(name).get("speaker") for name in ("final", "translation", "caption")]
        assert told == [speaker] * 3


def test_events_tell_partial_texts_too_and_no_language_that_was_not_asked_for(address, remote, follow):
    reader = follow(address, f"{EVENTS}?to=pt")
    assert reader.response.headers["content-type"].startswith("text/event-stream")
    common = {"utterance": "1", "revision": 1, "start": 0.0, "end": 1.0, "emitted": 1.0}
    remote.tell(Partial(text="good", language="en", **common))
    remote.tell(PartialTranslation(text="gut", language="de", source_language="en", **common))
    remote.tell(PartialTranslation(text="bom", language="pt", source_language="en", **common))
    assert reader.event("partial")["text"] == "good"
    assert reader.event("translation_partial")["text"] == "bom"
    say(remote, 1, "Good morning.", de="Guten Morgen.", pt="Bom dia.")
    assert reader.event("final")["text"] == "Good morning."
    assert reader.event("translation")["text"] == "Bom dia."
    assert reader.event("caption")["lines"] == ["Bom dia."]


def test_captions_obey_what_the_owner_wants_hidden(address, remote, follow):
    settings = load_settings(
        None, {"text.profanity": "masked", "text.profanity_words": {"en": ["two"]}, "text.numbers": False}
    )
    reader = follow(address, VTT)
    engines = ServedEngines()
    interpreter = Interpreter(engines, settings, remote.tell)
    interpreter.begin_turn(hands_free=True)
    interpreter.feed(np.concatenate([silence(0.3), speak("one two three"), silence(2)]))
    interpreter.close()
    engines.close()
    told = reader.until("three")[-1].lower()
    assert "two" not in told
    assert "***" in told


@pytest.mark.parametrize("path", [VTT, EVENTS])
def test_only_whoever_shows_the_key_reads_along(serve, remote, follow, tmp_path, path):
    key = tmp_path / "key"
    key.write_text("the-key")
    key.chmod(0o600)
    address = serve(remote=remote, key_file=str(key))
    assert follow(address, path).response.status_code == 401
    assert follow(address, f"{path}?subscription-key=the-key").response.status_code == 200
    shown = follow(address, path, **{"Ocp-Apim-Subscription-Key": "the-key", "Origin": "https://example.org"})
    assert shown.response.status_code == 200
    assert "access-control-allow-origin" not in shown.response.headers  # no page from elsewhere reads it


@pytest.mark.parametrize("path", [VTT, EVENTS])
def test_without_a_microphone_it_says_who_has_one(served, path):
    with served.client() as client:
        answer = client.get(path)
    assert answer.status_code == 404
    assert "dragoman run" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", [VTT, EVENTS])
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("to=xx", "'xx' is not a language tag such as 'en' or 'pt-BR'"),
        ("to=%3Cscript%3E", "'<script>' is not a language tag such as 'en' or 'pt-BR'"),
        ("both=1", "both=1 needs a language for the second text: to=pt"),
        ("to=pt&both=banana", "both: expected 1 or 0, not 'banana'"),
        ("to=pt&to=en", "to is given 2 times"),
        ("to=fr", "nothing comes in 'fr' now: write one of to=en, to=pt"),
    ],
)
def test_a_question_that_nothing_would_answer_is_refused_and_told_what_can_be_had(address, path, query, told):
    with address.client() as client, client.stream("GET", f"{path}?{query}") as answer:
        assert answer.status_code == 400
        answer.read()
        assert told in answer.json()["error"]["message"]


@pytest.mark.parametrize("query", ["", "to=", "to=en", "to=PT_br", "to=pt&both=0", "to=pt&both=true"])
def test_what_can_be_had_is_answered(address, query):
    with address.client() as client, client.stream("GET", f"{VTT}?{query}") as answer:
        assert answer.status_code == 200


def test_the_head_alone_ends(address):
    with address.client() as client:
        assert client.head(VTT).status_code == 200


def test_both_ends_show_in_silence_that_they_are_there(address, follow, monkeypatch):
    monkeypatch.setattr(live, "KEEP_ALIVE", 0.1)
    captions, events = follow(address, VTT), follow(address, EVENTS)
    assert "NOTE" in captions.until("NOTE")
    assert events.until(":")


def test_whoever_goes_leaves_nothing_behind(address, remote):
    with address.client() as client, client.stream("GET", VTT):
        wait_for(lambda: remote._watchers)
    wait_for(lambda: not remote._watchers and not address.service.connections)


@pytest.mark.parametrize("limit", ["bytes", "seconds"])
def test_whoever_does_not_read_is_let_go_and_others_read_on(address, remote, follow, monkeypatch, limit):
    if limit == "bytes":
        monkeypatch.setattr(live, "LIMIT", 200_000)
    else:
        monkeypatch.setattr(outbox, "STALLED", 0.3)
    slow, quick = follow(address, EVENTS), follow(address, VTT)
    common = {"sequence": 1, "start": 0.0, "end": 1.0, "language": "de", "source_language": "en"}
    for number in range(1000):  # many times what the buffers between two programs hold
        remote.tell(Translation(utterance=str(number), text="weiter " * 8000, emitted=1.0, **common))
        if number % 20 == 0:
            say(remote, number, f"Sentence number {number}.")
            quick.until(f"number {number}.")
        if len(remote._watchers) == 1:
            break
    wait_for(lambda: len(remote._watchers) == 1)
    say(remote, 9999, "Still there.")
    quick.until("Still there.")
    assert slow.response.status_code == 200


def test_a_server_that_stops_does_not_wait_for_those_who_read_along(address, follow):
    reader = follow(address, VTT)
    began = time.monotonic()
    address.server.stop()
    assert time.monotonic() - began < 4
    assert list(reader._lines) == ["WEBVTT", ""]
