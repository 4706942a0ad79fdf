"""People are told apart where a client asks for it, in the words of each interface, and nowhere else."""

import io

import numpy as np
import pytest
import soundfile

from device.audio.wav import to_pcm16, write_wav
from device.engines.protocols import VoiceTurn
from device.server import guests
from device.server.wave import wave_header
from tests.server.conftest import ServedEngines, bodies
from tests.server.test_recognition import Tongues
from tests.server.test_rest import FAST, JOBS, error, finished
from tests.support.engines import silence, speak

UNIVERSAL = "/speech/universal/v2"
INTERACTIVE = "/stt/speech/universal/v2"
DIARIZE = {"speakerDiarization": {"mode": "Anonymous", "audioSessionId": "x", "audioOffsetMS": 0}}
FRAME = 512
BETWEEN = 0.064
"""Seconds between two people's words: too little for an utterance to end."""


def talk(*said):
    """Return the sound of people who take turns without a pause; the tones of four words are one person's voice."""
    gap = silence(BETWEEN)
    parts = [part for text in said for part in (speak(text), gap)]
    return np.concatenate([silence(0.5), *parts, silence(1)])


LOW, HIGH, THIRD = "one two three four", "five six seven eight", "nine ten, stop. go;"
BOTH = talk(LOW, HIGH)
AGAIN = np.concatenate([BOTH, talk(LOW)])


def voice(frame):
    """Return which of three voices a frame is, if any."""
    if np.sqrt(np.mean(frame**2)) < 0.05:
        return None
    peak = np.argmax(np.abs(np.fft.rfft(frame * np.hanning(FRAME), 8192))) * 16_000 / 8192
    return round((peak - 400) / 150) // 4


class ToneVoices:
    """Hears whose tones sound; stands for both models."""

    def turns(self, samples):
        found = []
        for start in range(0, len(samples) - FRAME + 1, FRAME):
            who, end = voice(samples[start : start + FRAME]), (start + FRAME) / 16_000
            if found and found[-1].voice == who:
                found[-1] = VoiceTurn(found[-1].start, end, who)
            elif who is not None:
                found.append(VoiceTurn(start / 16_000, end, who))
        return found

    def voiceprint(self, samples):
        counts = np.zeros(4, np.float32)
        for start in range(0, len(samples) - FRAME + 1, FRAME):
            who = voice(samples[start : start + FRAME])
            counts[3 if who is None else who] += 1
        counts[3] = 0
        return counts / np.linalg.norm(counts) if counts.any() else None


@pytest.fixture
def engines():
    engines = ServedEngines()
    engines.voice_models = (ToneVoices(), ToneVoices())
    yield engines
    engines.close()


@pytest.fixture
def address(serve, engines):
    return serve(engines=engines)


def listen(dial, address, sound, context=None, path=UNIVERSAL, **detection):
    client = dial(address, path)
    client.context((context or {}) | {"phraseDetection": {"mode": "Conversation", **detection}})
    client.audio(sound)
    client.end()
    return client.turn()


def told(phrases):
    return [(p.get("SpeakerId"), p["DisplayText"]) for p in phrases]


# Sockets


def test_every_phrase_has_its_speaker_and_partials_have_none_yet(dial, address):
    messages = listen(dial, address, AGAIN, **DIARIZE)
    phrases = bodies(messages, "speech.phrase")
    assert told(phrases) == [("Guest-1", LOW), ("Guest-2", HIGH), ("Guest-1", LOW)]
    assert {p["SpeakerId"] for p in bodies(messages, "speech.hypothesis")} == {"Unknown"}


def test_what_one_utterance_is_divided_into_has_its_own_times(dial, address):
    messages = listen(dial, address, AGAIN, **DIARIZE)
    first, second, third = bodies(messages, "speech.phrase")
    whole = len(speak(LOW)) / 16_000
    for phrase, begins in ((first, 0.5), (second, 0.5 + whole + BETWEEN), (third, 0.5 + 2 * (whole + BETWEEN) + 1.5)):
        assert phrase["Offset"] / 1e7 == pytest.approx(begins, abs=0.1)
        assert phrase["Duration"] / 1e7 == pytest.approx(whole, abs=0.15)
    assert len({p["Id"] for p in (first, second, third)}) == 3
    assert messages[-1][0] == "turn.end"
    starts = [body["Offset"] for body in bodies(messages, "speech.startdetected")]
    assert sorted(starts) == [p["Offset"] for p in (first, second, third)]


def test_a_single_shot_is_over_with_the_first_of_several_people(dial, address):
    messages = listen(dial, address, AGAIN, path=INTERACTIVE, mode="Interactive", **DIARIZE)
    assert told(bodies(messages, "speech.phrase")) == [("Guest-1", LOW)]
    assert [path for path, _ in messages[-2:]] == ["speech.enddetected", "turn.end"]


def test_what_different_people_say_is_translated_each_by_itself(dial, address):
    context = {"translation": {"targetLanguages": ["pt", "de"]}}
    answers = bodies(listen(dial, address, BOTH, context, INTERACTIVE, **DIARIZE), "translation.response")
    spoken = [body["SpeechPhrase"] | body for body in answers if "SpeechPhrase" in body]
    assert told(spoken) == [("Guest-1", LOW), ("Guest-2", HIGH)]
    assert [[t["Text"] for t in body["Translations"]] for body in spoken] == [2 * [LOW.upper()], 2 * [HIGH.upper()]]


def test_detailed_phrases_have_their_own_words_only(dial, address):
    messages = listen(dial, address, BOTH, {"phraseOutput": {"format": "Detailed"}}, **DIARIZE)
    assert [p["NBest"][0]["Display"] for p in bodies(messages, "speech.phrase")] == [LOW, HIGH]


@pytest.mark.parametrize("speakers", [False, True])
def test_nobody_is_told_apart_for_those_who_do_not_ask(dial, serve, engines, speakers):
    served = serve(engines=engines, speakers=speakers)
    for detection in ({}, {"speakerDiarization": {"mode": "None"}}):
        assert told(bodies(listen(dial, served, BOTH, **detection), "speech.phrase")) == [(None, f"{LOW} {HIGH}")]


def test_another_connection_counts_people_anew(dial, address):
    for said in (LOW, HIGH):
        phrases = bodies(listen(dial, address, talk(said), **DIARIZE), "speech.phrase")
        assert told(phrases) == [("Guest-1", said)]


def test_conversations_at_once_have_their_own_people_with_one_worker_for_all(dial, serve):
    engines = ServedEngines(workers=1)
    engines.voice_models = (ToneVoices(), ToneVoices())
    address = serve(engines=engines)
    many = [LOW, HIGH, LOW, HIGH]  # as many pieces as a sender has to wait for
    said = [(many, DIARIZE), ([HIGH, LOW], DIARIZE), ([LOW, HIGH], {})]
    clients = [dial(address, UNIVERSAL) for _ in said]
    for client, (_, detection) in zip(clients, said, strict=True):
        client.context({"phraseDetection": {"mode": "Conversation", **detection}})
    for client, (words, _) in zip(clients, said, strict=True):
        client.audio(talk(*words))
        client.end()
    one, other, plain = (told(bodies(client.turn(), "speech.phrase")) for client in clients)
    engines.close()
    assert one == 2 * [("Guest-1", LOW), ("Guest-2", HIGH)]
    assert other == [("Guest-1", HIGH), ("Guest-2", LOW)]
    assert plain == [(None, f"{LOW} {HIGH}")]


def test_whoever_cannot_be_told_is_unknown(dial, address, engines):
    engines.voice_models[1].voiceprint = lambda samples: None
    assert told(bodies(listen(dial, address, talk(LOW), **DIARIZE), "speech.phrase")) == [("Unknown", LOW)]


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        (DIARIZE, "speakers cannot be told apart here; run `dragoman models pull "),
        ({"speakerDiarization": {"mode": "Identity"}}, "'Anonymous', not 'identity'"),
    ],
)
def test_a_socket_is_refused_with_the_reason(served, dial, closed, context, reason):
    client = dial(served, UNIVERSAL)
    client.context({"phraseDetection": context})
    code, said = closed(client)
    assert code == 1007
    assert reason in said


def heard(dial, address, said, session, offset):
    """Return who says what in one connection of an audio session."""
    diarization = {"mode": "Anonymous", "audioSessionId": session, "audioOffsetMs": offset}
    return told(bodies(listen(dial, address, talk(*said), speakerDiarization=diarization), "speech.phrase"))


def test_whoever_is_cut_off_and_comes_back_goes_on_with_the_same_people(dial, address):
    assert heard(dial, address, [LOW, HIGH], "one", 0) == [("Guest-1", LOW), ("Guest-2", HIGH)]
    assert heard(dial, address, [HIGH], "other", 0) == [("Guest-1", HIGH)]
    assert heard(dial, address, [HIGH, THIRD], "one", 2800) == [("Guest-2", HIGH), ("Guest-3", THIRD)]
    assert heard(dial, address, [THIRD], "one", 0) == [("Guest-1", THIRD)]  # it begins again


def test_sessions_are_forgotten_in_time(dial, address, monkeypatch):
    heard(dial, address, [LOW, HIGH], "one", 0)
    monkeypatch.setattr(guests, "REMEMBERED", 0.0)
    assert heard(dial, address, [HIGH], "one", 2800) == [("Guest-1", HIGH)]


def test_no_more_sessions_are_remembered_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(guests, "MOST_SESSIONS", 2)
    known = guests.Guests(object)
    one, two, three = (known.of(name, resumed=False) for name in "123")
    assert known.of("2", resumed=True) is two
    assert known.of("3", resumed=True) is three
    assert known.of("1", resumed=True) is not one
    assert known.of("", resumed=True) is not known.of("", resumed=True)


@pytest.mark.parametrize("mode", ["DetectAtAudioStart", "DetectContinuous"])
def test_people_are_the_same_in_every_language(dial, address, engines, mode):
    engines.language_model = Tongues()
    languages = {"languageId": {"languages": ["en-US", "pt-BR"], "mode": mode}}
    phrases = bodies(listen(dial, address, AGAIN, languages, **DIARIZE), "speech.phrase")
    assert told(phrases) == [("Guest-1", LOW), ("Guest-2", HIGH), ("Guest-1", LOW)]
    assert {p["PrimaryLanguage"]["Language"] for p in phrases} == {"en-US"}


# Recordings


def wav(*channels):
    if len(channels) == 1:
        data = to_pcm16(channels[0])
        return wave_header(16_000, len(data)) + data
    file = io.BytesIO()
    longest = max(map(len, channels))
    soundfile.write(file, np.stack([np.pad(c, (0, longest - len(c))) for c in channels], 1), 16_000, format="WAV")
    return file.getvalue()


def fast(address, definition, sound=None):
    with address.client() as client:
        files = {"audio": ("x.wav", wav(AGAIN) if sound is None else sound)}
        return client.post(FAST, data={"definition": definition}, files=files)


@pytest.mark.parametrize(
    ("diarization", "most"),
    [('{"maxSpeakers":2}', "2"), ('{"maxSpeakers":36}', "16"), ('{"enabled":true}', None), ("{}", None)],
)
def test_fast_transcription_tells_who_says_what_and_how_many_at_most(address, diarization, most):
    answer = fast(address, f'{{"locales":["en-US"],"diarization":{diarization}}}')
    phrases = answer.json()["phrases"]
    assert [(p["speaker"], p["text"]) for p in phrases] == [(1, LOW), (2, HIGH), (1, LOW)]
    assert answer.json()["combinedPhrases"][0]["text"] == f"{LOW} {HIGH} {LOW}"
    assert answer.headers.get("X-Dragoman-Speakers") == most


@pytest.mark.parametrize("more", ["", ',"diarization":null', ',"diarization":{"maxSpeakers":3,"enabled":false}'])
def test_fast_transcription_tells_nobody_apart_unasked(address, more):
    answer = fast(address, f'{{"locales":["en-US"]{more}}}')
    assert [p["text"] for p in answer.json()["phrases"]] == [f"{LOW} {HIGH}", LOW]
    assert not any("speaker" in p for p in answer.json()["phrases"])


def test_no_more_people_are_told_apart_than_there_are(address):
    sound = wav(talk(LOW, HIGH, THIRD))
    three = fast(address, '{"locales":["en"],"diarization":{"maxSpeakers":3}}', sound).json()["phrases"]
    two = fast(address, '{"locales":["en"],"diarization":{"maxSpeakers":2}}', sound).json()["phrases"]
    assert [p["speaker"] for p in three] == [1, 2, 3]
    assert [p["text"] for p in two] == [LOW, HIGH, THIRD]
    assert {p["speaker"] for p in two} == {1, 2}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('"diarization":{"maxSpeakers":0}', "diarization.maxSpeakers must be a number from 1 to 36"),
        ('"diarization":{"maxSpeakers":37}', "from 1 to 36"),
        ('"diarization":{"maxSpeakers":true}', "from 1 to 36"),
        ('"diarization":{"maxSpeakers":2.5}', "from 1 to 36"),
        ('"diarization":{"enabled":"yes"}', "diarization.enabled must be"),
        ('"diarization":true', "diarization must be an object"),
        ('"diarization":{"maxSpeakers":2},"channels":[0,1]', "in one channel"),
    ],
)
def test_fast_transcription_is_refused_with_the_reason(address, more, reason):
    assert reason in error(fast(address, f'{{"locales":["en"],{more}}}'), 400)


def test_recordings_are_refused_where_the_models_are_missing(serve, folder):
    address = serve(batch_folders=[str(folder)])
    hint = "speakers cannot be told apart here; run `dragoman models pull "
    assert hint in error(fast(address, '{"locales":["en"],"diarization":{"maxSpeakers":2}}'), 400)
    with address.client() as client:
        assert hint in error(client.post(JOBS, json=job(folder, diarizationEnabled=True)), 400)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    write_wav(folder / "0.wav", AGAIN, 16_000)
    return folder


def job(folder, **properties):
    urls = [path.as_uri() for path in sorted(folder.glob("*.wav"))]
    return {"displayName": "a batch", "locale": "en-US", "contentUrls": urls, "properties": properties}


def results(client, address):
    body = finished(client, address)
    assert body["status"] == "Succeeded"
    files = client.get(body["links"]["files"]).json()["values"]
    found = [client.get(f["links"]["contentUrl"]).json() for f in files if f["kind"] == "Transcription"]
    return [[(p.get("speaker"), p["nBest"][0]["display"]) for p in each["recognizedPhrases"]] for each in found]


@pytest.mark.parametrize(
    "properties",
    [
        {"diarizationEnabled": True},
        {"diarizationEnabled": True, "diarization": {"speakers": {"minCount": 1, "maxCount": 5}}},
        {"diarization": {"maxSpeakers": 4, "enabled": True}},
        {"diarization": {"maxSpeakers": 36}, "channels": [0]},
    ],
)
def test_a_batch_tells_who_says_what(serve, engines, folder, properties):
    with serve(engines=engines, batch_folders=[str(folder)]).client() as client:
        (heard,) = results(client, client.post(JOBS, json=job(folder, **properties)).headers["Location"])
    assert heard == [(1, LOW), (2, HIGH), (1, LOW)]


def test_a_batch_tells_nobody_apart_unasked(serve, engines, folder):
    with serve(engines=engines, batch_folders=[str(folder)]).client() as client:
        definition = job(folder, diarizationEnabled=False, diarization={"speakers": {"maxCount": 2}})
        (heard,) = results(client, client.post(JOBS, json=definition).headers["Location"])
    assert heard == [(None, f"{LOW} {HIGH}"), (None, LOW)]


def test_two_people_are_expected_where_a_batch_does_not_say_how_many(serve, engines, folder):
    write_wav(folder / "0.wav", talk(LOW, HIGH, THIRD), 16_000)
    with serve(engines=engines, batch_folders=[str(folder)]).client() as client:
        (heard,) = results(client, client.post(JOBS, json=job(folder, diarizationEnabled=True)).headers["Location"])
    assert {who for who, _ in heard} == {1, 2}


def test_people_who_are_recorded_on_two_channels_are_told_apart_in_both_together(serve, engines, folder):
    apart = np.concatenate([np.zeros_like(talk(LOW)), talk(HIGH)])
    (folder / "0.wav").write_bytes(wav(talk(LOW), apart))
    with serve(engines=engines, batch_folders=[str(folder)]).client() as client:
        (heard,) = results(client, client.post(JOBS, json=job(folder, diarizationEnabled=True)).headers["Location"])
        refused = client.post(JOBS, json=job(folder, diarizationEnabled=True, channels=[0, 1]))
    assert heard == [(1, LOW), (2, HIGH)]
    assert "in one channel" in error(refused, 400)


def test_a_batch_that_tells_people_apart_survives_a_restart(serve, engines, folder):
    write_wav(folder / "1.wav", talk(HIGH, LOW), 16_000)
    first = serve(engines=engines, batch_folders=[str(folder)], batch_workers=0)
    with first.client() as client:
        definition = job(folder, diarizationEnabled=True, diarization={"speakers": {"minCount": 1, "maxCount": 3}})
        address = client.post(JOBS, json=definition).json()["self"].partition(first.http)[2]
    first.server.stop()
    with serve(engines=engines, batch_folders=[str(folder)]).client() as client:
        heard = results(client, address)
    assert heard == [[(1, LOW), (2, HIGH), (1, LOW)], [(1, HIGH), (2, LOW)]]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"diarizationEnabled": "yes"}, "diarizationEnabled must be"),
        ({"diarization": {"speakers": {"maxCount": 37}}}, "maxCount must be a number from 1 to 36"),
        ({"diarization": {"speakers": {"minCount": 3, "maxCount": 2}}}, "larger"),
        ({"diarization": {"speakers": 2}}, "diarization.speakers must be"),
        ({"diarization": [2]}, "diarization must be an object"),
    ],
)
def test_a_batch_is_refused_with_the_reason(serve, engines, folder, properties, reason):
    with serve(engines=engines, batch_folders=[str(folder)]).client() as client:
        assert reason in error(client.post(JOBS, json=job(folder, **properties)), 400)
