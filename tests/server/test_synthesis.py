"""Text to speech on sockets: what the SDKs need, in their order, and each document in the voice it names."""

import threading
from contextlib import suppress

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from device.engines.voices import voices_of
from device.modelstore.catalogue import Speaker
from device.server.languages import Languages
from device.server.replies import ticks
from device.server.wave import Format
from tests.server.conftest import PacedVoice, ServedEngines, bodies, model

PATH = "/tts/cognitiveservices/websocket/v1"
ALL = {f"{name}Enabled": True for name in ("wordBoundary", "punctuationBoundary", "sentenceBoundary", "bookmark")}


def ssml(text, voice="en-US-BobNeural"):
    space = 'xmlns="http://www.w3.org/2001/10/synthesis"'
    return f'<speak {space} xml:lang="en-US"><voice name="{voice}">{text}</voice></speak>'


def ask(client, text):
    client.socket.send(f"Path:ssml\r\nX-RequestId:{client.request}\r\n\r\n{ssml(text)}")


@pytest.fixture
def say(served, dial):
    client = dial(served, PATH)

    def ask(text, name="raw-16khz-16bit-mono-pcm", options=ALL, request="ab" * 16, voice="en-US-BobNeural"):
        client.request = request
        audio = {"outputFormat": name, "metadataOptions": options}
        client.text("synthesis.context", {"synthesis": {"audio": audio}})
        head = f"Path:ssml\r\nX-RequestId:{request}\r\nContent-Type:application/ssml+xml\r\n\r\n"
        with suppress(ConnectionClosed):  # where what came before is refused already
            client.socket.send(head + ssml(text, voice))

    ask.client, ask.engines = client, served.engines
    return ask


def metadata(messages):
    return [item for body in bodies(messages, "audio.metadata") for item in body["Metadata"]]


def test_a_request_has_everything_in_the_order_that_the_sdks_need(say):
    say("Hello there.")
    messages = say.client.turn()
    paths = [path for path, _ in messages]
    assert paths[:2] == ["turn.start", "response"]
    assert paths.index("audio") < len(paths) - 2
    assert metadata(messages)[-1]["Type"] == "SessionEnd"
    assert paths[-2:] == ["audio.metadata", "turn.end"]


def test_every_sound_carries_the_streams_name(say):
    say("Hello there.")
    streams, announced = set(), None
    while (frame := say.client.receive()).path != "turn.end":
        if frame.path == "audio":
            streams.add(frame.headers["x-streamid"])
        elif frame.path == "response":
            announced = frame.json()["audio"]["streamid"]
    assert streams == {announced}


def test_the_session_lasts_as_long_as_the_sound(say):
    say("Hello there. <break time='700ms'/> Again.")
    messages = say.client.turn()
    samples = Format().decode(b"".join(bodies(messages, "audio")))
    end = metadata(messages)[-1]["Data"]["Offset"]
    assert end == pytest.approx(ticks(len(samples) / 16_000), abs=20_000)


def test_words_signs_sentences_and_bookmarks_are_told_with_their_times(say):
    say("Hello, you. <bookmark mark='m'/>Bye.")
    found = metadata(say.client.turn())
    texts = [(i["Data"]["text"]["BoundaryType"], i["Data"]["text"]["Text"]) for i in found if "text" in i["Data"]]
    assert texts == [
        ("SentenceBoundary", "Hello, you."), ("WordBoundary", "Hello"), ("PunctuationBoundary", ","),
        ("WordBoundary", "you"), ("PunctuationBoundary", "."), ("SentenceBoundary", "Bye."), ("WordBoundary", "Bye"),
        ("PunctuationBoundary", "."),
    ]  # fmt: skip
    bookmark = next(i for i in found if i["Type"] == "Bookmark")["Data"]
    bye = next(i for i in found if i["Data"].get("text", {}).get("Text") == "Bye.")["Data"]
    assert bookmark == {"Offset": bye["Offset"], "Bookmark": "m"}


def test_only_what_was_asked_for_is_told(say):
    say("Hello, you.", options={"wordBoundaryEnabled": "true", "sessionEndEnabled": "false"})
    found = metadata(say.client.turn())
    assert {i["Type"] for i in found} == {"WordBoundary"}
    assert {i["Data"]["text"]["BoundaryType"] for i in found} == {"WordBoundary"}


def test_one_connection_serves_request_after_request(say):
    for number in range(3):
        say("Hello.", request=f"{number:032x}")
        assert say.client.turn()


def test_a_faster_pace_takes_less_time(say):
    lengths = []
    for rate in ("1", "2"):
        say(f"<prosody rate='{rate}'>Hello there.</prosody>")
        lengths.append(len(b"".join(bodies(say.client.turn(), "audio"))))
    assert lengths[1] == pytest.approx(lengths[0] / 2, rel=0.02)


def test_a_pitch_changes_no_duration(say):
    lengths = []
    for pitch in ("1", "+20%"):
        say(f"<prosody pitch='{pitch}'>Hello there.</prosody>")
        lengths.append(len(b"".join(bodies(say.client.turn(), "audio"))))
    assert lengths[1] == pytest.approx(lengths[0], rel=0.02)


def test_volume(say):
    say("<prosody volume='50'>Hello there.</prosody>")
    samples = Format().decode(b"".join(bodies(say.client.turn(), "audio")))
    assert np.abs(samples).max() == pytest.approx(0.05, abs=0.002)


def test_text_may_come_in_pieces(served, dial):
    client = dial(served, PATH)
    client.text("synthesis.context", {"synthesis": {"input": {"bidirectionalStreamingMode": True}}})
    for piece in ("Hello ", "there."):
        client.socket.send(f"Path:text.piece\r\nX-RequestId:{client.request}\r\nContent-Type:text/plain\r\n\r\n{piece}")
    client.text("text.end")
    client.turn()
    assert served.engines.tts.asked == ["Hello there."]


def test_speech_stops_when_the_client_says_so(say):
    say("Hello. " * 2000)
    say.client.until("audio")
    say.client.text("synthesis.control", {"action": "stop"})
    assert len(bodies(say.client.turn(), "audio")) < 1500


def test_after_a_stop_the_next_request_is_spoken(say):
    say("Hello. " * 2000)
    say.client.until("audio")
    say.client.text("synthesis.control", {"action": "stop"})
    say.client.turn()
    say("Hello.", request="cd" * 16)
    assert metadata(say.client.turn())


def test_a_voice_that_fails_closes_with_the_reason(say, closed):
    say.engines.tts.error = RuntimeError("no memory")
    say("Hello there.")
    assert closed(say.client) == (1007, "speaking failed: no memory")


def test_more_speech_than_allowed_closes_with_the_reason(serve, dial, closed):
    client = dial(serve(longest_audio=1), PATH)
    ask(client, "Hello there. How are you. " * 20)
    assert closed(client) == (1007, "no more than 1 s are spoken at once")


class SlowVoice(PacedVoice):
    """Takes longer for each piece than a client may say nothing."""

    def speak(self, words):
        for piece in super().speak(words):
            threading.Event().wait(0.7)
            yield piece


@pytest.fixture
def slow(serve):
    engines = ServedEngines()
    engines.tts = SlowVoice()
    yield serve(engines=engines, idle=1)
    engines.close()


def test_a_client_that_waits_for_speech_is_not_idle(slow, dial, closed):
    client = dial(slow, PATH)
    ask(client, "Hello there.")
    assert bodies(client.turn(), "audio")
    assert closed(client) == (1000, "nothing came for 1 s")


def test_a_client_that_waits_for_speech_over_http_is_not_idle(slow):
    with slow.client(headers={"X-Microsoft-OutputFormat": "raw-16khz-16bit-mono-pcm"}) as client:
        answer = client.post("/cognitiveservices/v1", content=ssml("Hello there. How are you?"))
    assert len(answer.content) > 1000


def test_the_nearest_voice_is_named(say):
    say("Olá.", voice="pt-PT-RaquelNeural")
    assert bodies(say.client.turn(), "turn.start")[0]["served"] == {"voice": "pt-BR-AnaNeural"}


@pytest.mark.parametrize(
    ("text", "voice", "name", "reason"),
    [
        ("<audio src='x'/>", "en-US-BobNeural", "raw-16khz-16bit-mono-pcm", "<audio>"),
        ("Hallo", "de-DE-KatjaNeural", "raw-16khz-16bit-mono-pcm", "installed: pt-BR-AnaNeural, en-US-BobNeural"),
        ("Hello", "en-US-BobNeural", "raw-16khz-16bit-mono-truesilk", "formats: raw-8khz"),
    ],
)
def test_what_cannot_be_said_closes_with_the_reason(say, closed, text, voice, name, reason):
    say(text, voice=voice, name=name)
    code, said = closed(say.client)
    assert code == 1007
    assert reason in said


@pytest.mark.parametrize(
    ("name", "gender", "locale", "short"),
    [
        ("en-US-JennyNeural", "", "", "en-US-EvaNeural"),
        ("en-GB-RyanNeural", "", "", "en-GB-LeoNeural"),
        ("en-US-JennyMultilingualNeural", "", "", "en-US-EvaNeural"),
        ("Microsoft Server Speech Text to Speech Voice (en-US, AriaNeural)", "", "", "en-US-EvaNeural"),
        ("en-GB-NobodyNeural", "", "", "en-GB-LeoNeural"),
        ("", "Female", "en-GB", "en-US-EvaNeural"),
        ("", "", "en-GB", "en-GB-LeoNeural"),
        ("tts-beep/leo", "", "pt-BR", "en-GB-LeoNeural"),
        ("en-US-BobNeural", "Female", "", "en-US-BobNeural"),
    ],
)
def test_the_nearest_voice_is_of_the_same_gender(name, gender, locale, short):
    beep = model("tts", "tts-beep", languages=("en-US",), speakers=(
        Speaker("Bob", "en-US", "bob", "male"), Speaker("Eva", "en-US", "eva", "female"),
        Speaker("Leo", "en-GB", "leo", "male"),
    ))  # fmt: skip

    class Engines:
        def voices(self):
            return voices_of([beep])

    assert Languages(Engines()).voice(name, locale, gender).short == short


def test_a_document_may_ask_for_a_gender_and_a_language(say, served):
    served.engines.models += [
        model("tts", "tts-beep-en-eva", languages=("en-US",), speakers=(Speaker("Eva", "en-US", gender="female"),))
    ]
    say("Hello.<lang xml:lang='pt-BR'>Olá.</lang>", voice="en-US-JennyNeural")
    assert bodies(say.client.turn(), "turn.start")[0]["served"] == {"voice": "en-US-EvaNeural, pt-BR-AnaNeural"}


def test_words_are_told_as_they_are_written_when_they_are_said_otherwise(say):
    say("It costs $5 <sub alias='World Wide Web'>WWW</sub>.")
    found = metadata(say.client.turn())
    told = [i["Data"]["text"] for i in found if "text" in i["Data"]]
    words = [text["Text"] for text in told if text["BoundaryType"] == "WordBoundary"]
    assert words == ["It", "costs", "$5", "WWW"]
    assert say.engines.tts.asked[-1] == "It costs five dollars World Wide Web."


UNUSUAL = ["\u202eשלום\u202c", "a\u200bb\u200d c", "\ufeffHello", "مرحبا", "日本語", "😀", "&#0;"]  # noqa: RUF001


@pytest.mark.parametrize("text", UNUSUAL)
def test_unusual_text_is_spoken_or_refused_and_the_connection_lives(say, text):
    say(text)
    with suppress(ConnectionClosed):
        say.client.turn()
    if text != "&#0;":
        say("Hello.", request="cd" * 16)
        assert metadata(say.client.turn())
