"""Recognition and translation sockets: what comes back for what is said, in the order that the SDKs need."""

import json
import re
import threading
import uuid
from dataclasses import replace

import numpy as np
import pytest

from device.engines.protocols import Recognition, Word
from device.interpreter import Interpreter
from device.server.frames import write_binary
from device.server.turn import Turn
from device.server.wave import wave_header
from tests.server.conftest import ServedEngines, bodies, wait_for
from tests.support.engines import silence, speak

UNIVERSAL = "/stt/speech/universal/v2"
INTERACTIVE = "/speech/recognition/interactive/cognitiveservices/v1"
TRANSLATION = "/speech/translation/cognitiveservices/v1"
THREE = np.concatenate([silence(0.5), speak("one two three"), silence(1.2)])
TWO_SENTENCES = np.concatenate([THREE, speak("four five six"), silence(1.2)])


def translate(*targets, **more):
    return {
        "phraseDetection": {"mode": "CONVERSATION", "language": "en-US", "onSuccess": {"action": "Translate"}},
        "translation": {"targetLanguages": list(targets), **more},
    }


def test_a_turn_has_its_beginning_its_phrases_and_its_end(served, dial):
    client = dial(served)
    client.context({})
    client.audio(TWO_SENTENCES)
    client.end()
    messages = client.turn()
    paths = [path for path, _ in messages]
    assert paths[0] == "turn.start"
    assert paths[-1] == "turn.end"
    assert bodies(messages, "turn.start")[0]["context"]["serviceTag"]
    phrases = bodies(messages, "speech.phrase")
    assert [p["DisplayText"].lower().rstrip(".") for p in phrases] == ["one two three", "four five six"]
    assert all(p["RecognitionStatus"] == "Success" for p in phrases)


def test_times_are_ticks_from_the_start_of_the_turns_audio(served, dial):
    client = dial(served)
    client.context({})
    client.audio(THREE)
    client.end()
    phrase = bodies(client.turn(), "speech.phrase")[0]
    assert phrase["Offset"] / 1e7 == pytest.approx(0.5, abs=0.1)
    assert phrase["Duration"] / 1e7 == pytest.approx(3 * 0.288 + 2 * 0.064, abs=0.15)


def test_hypotheses_come_while_somebody_talks(served, dial):
    client = dial(served)
    client.context({})
    client.audio(np.concatenate([silence(0.3), speak("one two three four five six")]))
    messages = client.until("speech.hypothesis")
    assert messages[-1][1]["Text"].lower().startswith("one")


def test_an_interactive_turn_ends_with_its_first_phrase(served, dial):
    client = dial(served, INTERACTIVE)
    client.context({})
    client.audio(np.concatenate([TWO_SENTENCES, silence(0.5)]))
    messages = client.turn()
    assert len(bodies(messages, "speech.phrase")) == 1
    assert messages[-2][0] == "speech.enddetected"


def test_silence_ends_an_interactive_turn(served, dial):
    client = dial(served, f"{INTERACTIVE}?initialSilenceTimeoutMs=1000")
    client.context({})
    client.audio(silence(3))
    assert bodies(client.turn(), "speech.phrase")[0]["RecognitionStatus"] == "InitialSilenceTimeout"


def test_whoever_talks_in_time_is_not_cut_off_although_the_ear_is_late(served, dial, monkeypatch):
    hearing = threading.Event()
    together = Interpreter.feed_together
    monkeypatch.setattr(Interpreter, "feed_together", lambda fed: hearing.wait(10) and together(fed))
    client = dial(served, f"{INTERACTIVE}?initialSilenceTimeoutMs=200")
    client.context({})
    client.until("turn.start")
    client.audio(np.concatenate([silence(0.2), speak("one two three")])[: round(0.9 * 16_000)])
    threading.Timer(0.3, hearing.set).start()
    assert client.until("speech.startdetected")[-1][0] == "speech.startdetected"
    client.audio(np.concatenate([speak("four five"), silence(1)]), header=False)
    assert [p["RecognitionStatus"] for p in bodies(client.turn(), "speech.phrase")] == ["Success"]


def test_a_sound_without_words_is_no_match(serve, dial):
    engines = ServedEngines()
    heard = engines.asr.recognize
    engines.asr.recognize = lambda samples, *, final: replace(heard(samples, final=final), text="")
    client = dial(serve(engines=engines), INTERACTIVE)
    client.context({})
    client.audio(np.concatenate([silence(0.3), speak("one two three"), silence(1)]))
    client.end()
    (phrase,) = bodies(client.turn(), "speech.phrase")
    engines.close()
    assert (phrase["RecognitionStatus"], phrase["DisplayText"]) == ("NoMatch", "")


def test_no_speech_before_the_end_of_the_audio_is_told(served, dial):
    client = dial(served, INTERACTIVE)
    client.context({})
    client.audio(silence(0.5))
    client.end()
    assert bodies(client.turn(), "speech.phrase")[0]["RecognitionStatus"] == "InitialSilenceTimeout"


def test_continuous_turns_tell_silence_only_where_that_was_asked_for_and_go_on(served, dial):
    client = dial(served)
    client.context({"phraseDetection": {"mode": "Conversation", "initialSilenceTimeout": 1000}})
    client.audio(np.concatenate([silence(2), THREE]))
    client.end()
    statuses = [p["RecognitionStatus"] for p in bodies(client.turn(), "speech.phrase")]
    assert statuses == ["InitialSilenceTimeout", "Success"]


@pytest.mark.parametrize(("milliseconds", "phrases"), [(300, 2), (1500, 1)])
def test_the_silence_between_segments_can_be_chosen(served, dial, milliseconds, phrases):
    client = dial(served, UNIVERSAL)
    client.context(
        {"phraseDetection": {"mode": "CONVERSATION", "CONVERSATION": {"segmentation": {
            "mode": "Custom", "segmentationSilenceTimeoutMs": milliseconds}}}}
    )  # fmt: skip
    client.audio(np.concatenate([speak("one two three"), silence(0.7), speak("four five six"), silence(0.2)]))
    client.end()
    assert len(bodies(client.turn(), "speech.phrase")) == phrases


@pytest.mark.parametrize("query", ["?format=detailed", ""])
def test_detailed_results_have_every_form(served, dial, query):
    client = dial(served, f"/speech/recognition/conversation/cognitiveservices/v1{query}")
    client.context({} if query else {"phraseOutput": {"format": "Detailed"}})
    client.audio(THREE)
    client.end()
    best = bodies(client.turn(), "speech.phrase")[0]["NBest"][0]
    assert best["Confidence"] == 1.0
    assert best["Lexical"] == "one two three"
    assert set(best) == {"Confidence", "Lexical", "ITN", "MaskedITN", "Display"}


def test_words_have_times_where_the_model_tells_them(serve, dial):
    engines = ServedEngines()
    tones = engines.asr.recognize

    def timed(samples, *, final):
        heard = tones(samples, final=final)
        words = tuple(Word(w, 0.3 + i * 0.352, 0.588 + i * 0.352, 0.5) for i, w in enumerate(heard.text.split()))
        return Recognition(heard.text, heard.language, heard.confidence, words)

    engines.asr.recognize = timed
    client = dial(serve(engines=engines), UNIVERSAL)
    client.context({"phraseOutput": {"format": "Detailed", "detailed": {"options": ["WordTimings"]}}})
    client.audio(THREE)
    client.end()
    words = bodies(client.turn(), "speech.phrase")[0]["NBest"][0]["Words"]
    engines.close()
    assert [w["Word"] for w in words] == ["one", "two", "three"]
    assert words[0]["Offset"] / 1e7 == pytest.approx(0.5, abs=0.1)
    assert words[0]["Duration"] == 2_880_000


def test_the_newer_address_answers_translations_in_the_newer_shape(served, dial):
    client = dial(served, UNIVERSAL)
    client.context(translate("pt-BR", "de"))
    client.audio(THREE)
    client.end()
    messages = client.turn()
    replies = bodies(messages, "translation.response")
    phrase = next(r for r in replies if "SpeechPhrase" in r)
    assert phrase["SpeechPhrase"]["RecognitionStatus"] == "Success"
    assert {t["Language"]: t["Text"].lower().rstrip(".") for t in phrase["Translations"]} == {
        "pt-BR": "one two three", "de": "one two three",
    }  # fmt: skip
    assert not bodies(messages, "translation.phrase")


@pytest.mark.parametrize("query", ["to=pt&to=de", "to=pt,de"])
def test_the_older_address_answers_translations_in_the_older_shape(served, dial, query):
    client = dial(served, f"{TRANSLATION}?from=en-US&{query}")
    client.context({})
    client.audio(np.concatenate([silence(0.3), speak("one two three four five six"), silence(1.2)]))
    client.end()
    messages = client.turn()
    phrase = bodies(messages, "translation.phrase")[0]
    assert [t["Language"] for t in phrase["Translation"]["Translations"]] == ["pt", "de"]
    assert phrase["RecognitionStatus"] == "Success"
    partial = bodies(messages, "translation.hypothesis")[0]
    assert set(partial) == {"Text", "Offset", "Duration", "Translation"}


def test_a_target_that_fails_is_told_and_the_other_one_arrives(serve, dial):
    engines = ServedEngines()
    engines.other = type(engines.other)("capitals-de")
    engines.other.error = RuntimeError("no memory")
    client = dial(serve(engines=engines), UNIVERSAL)
    client.context(translate("pt", "de"))
    client.audio(THREE)
    client.end()
    reply = next(r for r in bodies(client.turn(), "translation.response") if "SpeechPhrase" in r)
    engines.close()
    assert reply["TranslationStatus"] == "Error"
    assert "no memory" in reply["FailureReason"]
    assert [t["Language"] for t in reply["Translations"]] == ["pt"]


def test_spoken_translations_follow_the_text_and_come_before_the_end(served, dial):
    client = dial(served, UNIVERSAL)
    context = translate("de", "pt", onSuccess={"action": "Synthesize"})
    context["synthesis"] = {"defaultVoices": {"de": "pt-BR-AnaNeural", "pt": "pt-BR-AnaNeural"}}
    client.context(context)
    client.audio(TWO_SENTENCES)
    client.end()
    messages = client.turn()
    paths = [path for path, body in messages if path != "translation.response" or "SpeechPhrase" in body]
    assert paths.count("translation.synthesis.end") == 2
    assert paths.index("translation.response") < paths.index("translation.synthesis")
    assert paths.index("translation.synthesis.end") < paths.index("turn.end")
    sound = bodies(messages, "translation.synthesis")
    assert sound[0].startswith(wave_header(16_000))
    assert served.engines.tts.asked  # the Portuguese, although German was named first
    assert bodies(messages, "turn.start")[0]["served"]["voice"] == "pt-BR-AnaNeural"


def test_the_nearest_voice_speaks_and_is_named(served, dial):
    client = dial(served, UNIVERSAL)
    context = translate("pt", onSuccess={"action": "Synthesize"})
    context["synthesis"] = {"defaultVoices": {"pt": "pt-PT-RaquelNeural"}}
    client.context(context)
    assert client.until("turn.start")[0][1]["served"] == {"locale": "en", "model": "tones", "voice": "pt-BR-AnaNeural"}


def test_one_connection_serves_turn_after_turn(served, dial):
    client = dial(served)
    for text in ("one two three", "four five six"):
        client.request = text.replace(" ", "")
        client.context({})
        client.audio(np.concatenate([silence(0.3), speak(text), silence(1)]))
        client.end()
        assert bodies(client.turn(), "speech.phrase")[0]["DisplayText"].lower().startswith(text.split()[0])


def test_a_continuation_after_a_dropped_connection_is_a_turn_like_any_other(served, dial):
    first = dial(served)
    first.context({})
    first.audio(np.concatenate([silence(0.3), speak("one two three")]))
    tag = first.until("turn.start")[0][1]["context"]["serviceTag"]
    first.socket.close()
    second = dial(served)
    second.context({"continuation": {"previousServiceTag": tag, "audio": {"streams": {"1": {"offset": "3000000"}}}}})
    second.audio(THREE)
    second.end()
    assert len(bodies(second.turn(), "speech.phrase")) == 1


def test_audio_without_a_context_begins_a_turn(served, dial):
    client = dial(served)
    client.audio(THREE)
    client.end()
    assert bodies(client.turn(), "speech.phrase")


def test_audio_after_the_end_is_not_heard(served, dial):
    client = dial(served, INTERACTIVE)
    client.context({})
    client.audio(np.concatenate([THREE, silence(1)]))
    client.turn()
    client.audio(THREE, header=False)
    client.socket.ping().wait(10)
    client.request = "ab" * 16
    client.context({})
    assert client.receive().path == "turn.start"


def test_headers_and_keys_may_be_written_in_any_case(served, dial):
    client = dial(served, UNIVERSAL.upper().replace("/V2", "/v2").lower())
    client.socket.send(
        f"PATH: Speech.Context\r\nX-REQUESTID: {client.request}\r\n\r\n"
        + json.dumps({"PHRASEDETECTION": {"Mode": "INTERACTIVE", "LANGUAGE": "en-us"}})
    )
    client.audio(np.concatenate([THREE, silence(1)]))
    assert len(bodies(client.turn(), "speech.phrase")) == 1


def test_what_is_not_understood_is_left_alone(served, dial):
    client = dial(served)
    client.text("speech.config", {"context": {"system": {"version": "1.53.0"}}})
    client.text("telemetry", {"ReceivedMessages": []})
    client.text("something.new", {"a": 1})
    client.context({"agent": {"a": 1}})
    assert client.receive().path == "turn.start"


def test_two_clients_never_see_each_other(served, dial):
    said = {"one two three four": [], "five six seven eight": []}
    clients = {text: dial(served, UNIVERSAL) for text in said}
    for client in clients.values():
        client.context(translate("pt"))

    def run(text):
        clients[text].audio(np.concatenate([silence(0.3), speak(text), silence(1)] * 3))
        clients[text].end()
        said[text] = clients[text].turn()

    threads = [threading.Thread(target=run, args=(text,)) for text in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for text, messages in said.items():
        other = next(t for t in said if t != text)
        heard = re.findall(r'"(?:Text|DisplayText)": "([^"]*)"', json.dumps([b for _, b in messages]))
        assert heard
        assert not set(" ".join(heard).lower().replace(".", "").split()) & set(other.split())
        assert sum("SpeechPhrase" in body for body in bodies(messages, "translation.response")) == 3


def test_the_language_is_identified_once_at_the_start(serve, dial):
    engines = ServedEngines()
    engines.language_model = Tongues()
    client = dial(serve(engines=engines), UNIVERSAL)
    client.context({"languageId": {"languages": ["en-GB", "pt-BR"], "mode": "DetectAtAudioStart"}})
    client.audio(TWO_SENTENCES)
    client.end()
    phrases = bodies(client.turn(), "speech.phrase")
    engines.close()
    assert [p["PrimaryLanguage"] for p in phrases] == [{"Language": "en-GB", "Confidence": "High"}] * 2
    assert engines.language_model.asked == 1
    assert phrases[0]["Offset"] / 1e7 == pytest.approx(0.5, abs=0.15)


def test_the_language_of_every_utterance_is_identified_where_that_is_asked_for(serve, dial):
    engines = ServedEngines()
    engines.language_model = Tongues()
    client = dial(serve(engines=engines), UNIVERSAL)
    client.context({"languageId": {"languages": ["en-GB", "pt-BR"], "mode": "DetectContinuous"}})
    client.audio(np.concatenate([TWO_SENTENCES, silence(0.5)]))
    client.end()
    phrases = bodies(client.turn(), "speech.phrase")
    engines.close()
    assert engines.language_model.asked == 2
    assert len(phrases) == 2
    assert phrases[1]["Offset"] / 1e7 == pytest.approx(2.7, abs=0.2)


class Tongues:
    """Tells English with certainty."""

    languages = frozenset({"en", "pt"})

    def __init__(self):
        self.asked = 0

    def detect_language(self, samples):
        self.asked += 1
        return [("en", 0.9), ("pt", 0.1)]


def test_phrases_that_are_likely_are_written_and_translated_as_they_were_given(served, dial):
    client = dial(served, UNIVERSAL)
    phrases = {"dgi": {"Groups": [{"Type": "Generic", "Items": [{"Text": "Onetwo"}]}]}}
    client.context(translate("pt") | phrases)
    client.audio(THREE)
    client.end()
    final = next(b for b in bodies(client.turn(), "translation.response") if "SpeechPhrase" in b)
    assert final["SpeechPhrase"]["DisplayText"] == "Onetwo three"
    assert final["Translations"][0]["Text"] == "ONETWO THREE"


def test_a_client_that_goes_leaves_nothing_behind(served, dial):
    for _ in range(3):
        client = dial(served)
        client.context({})
        client.audio(speak("one two three"))
        client.socket.close()
    wait_for(lambda: not served.service.connections)


def test_a_client_that_waits_for_its_final_is_not_idle(serve, dial, closed):
    engines = ServedEngines()
    client = dial(serve(engines=engines, idle=1))
    client.context({})
    client.audio(np.concatenate([silence(0.3), speak("one two three")]))
    client.until("speech.hypothesis")
    engines.asr.gate.clear()
    client.end()
    threading.Timer(2.5, engines.asr.gate.set).start()
    phrases = bodies(client.turn(), "speech.phrase")
    assert [(p["RecognitionStatus"], p["DisplayText"]) for p in phrases] == [("Success", "one two three")]
    assert closed(client) == (1000, "nothing came for 1 s")
    engines.close()


def test_a_turn_ends_once_although_its_client_goes_on_sending(served, dial, monkeypatch):
    ends = []
    finish = Turn.finish
    monkeypatch.setattr(Turn, "finish", lambda turn: ends.append(turn) or finish(turn))
    client = dial(served)
    client.context({})
    client.audio(THREE)
    frames = [write_binary("audio", client.request, data, None) for data in (b"", b"", bytes(320), b"")]
    together = b"".join(b"\x82\xfe" + len(f).to_bytes(2, "big") + bytes(4) + f for f in frames)  # masked, with zeros
    client.socket.socket.sendall(together)
    assert len(bodies(client.turn(), "speech.phrase")) == 1
    client.socket.ping().wait(10)
    assert len(ends) == 1


def test_turns_that_nobody_waits_for_keep_nobody_else_waiting(serve, dial, monkeypatch):
    closing = threading.Semaphore(0)
    close = Interpreter.close
    monkeypatch.setattr(Interpreter, "close", lambda interpreter: closing.release() or close(interpreter))
    engines = ServedEngines()
    address = serve(engines=engines, connections=2)
    engines.asr.gate.clear()
    client = dial(address)
    for _ in range(8):  # one more than there are threads
        client.request = uuid.uuid4().hex
        client.context({})
        client.audio(np.concatenate([silence(0.2), speak("one")]))
        client.end()
        closing.acquire(timeout=0.3)
    with address.client() as other:
        assert other.get("/speechtotext/v3.2/transcriptions", timeout=15).status_code == 200
    engines.asr.gate.set()
    engines.close()


def test_sockets_tell_their_request_id_when_they_open(served, dial):
    client = dial(served)
    assert len(client.socket.response.headers["X-RequestId"]) == 32


def test_compressed_audio_is_refused_in_so_many_words(served, dial, closed):
    client = dial(served)
    client.context({})
    client.socket.send(write_binary("audio", client.request, b"OggS" + bytes(40), None))
    assert closed(client) == (1007, "compressed audio is not understood here; send PCM with a WAVE header")
