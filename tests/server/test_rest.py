"""The REST interfaces: what they answer, how they refuse, and that batches survive whatever happens."""

import io
import itertools
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from device.audio.wav import to_pcm16, write_wav
from device.engines.protocols import Word
from device.errors import DragomanError
from device.server.batch_store import BatchStore, Status, StoreError
from device.server.recordings import Recording, _cut
from device.server.wave import wave_header
from tests.server.conftest import wait_for
from tests.support.engines import silence, speak

SHORT = "/speech/recognition/conversation/cognitiveservices/v1"
FAST = "/speechtotext/transcriptions:transcribe?api-version=2025-10-15"
JOBS = "/speechtotext/v3.2/transcriptions"
SPEECH = np.concatenate([silence(0.5), speak("one two three"), silence(1), speak("four five six"), silence(0.5)])
SSML = (
    '<speak xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US"><voice name="{}">Hello there.</voice></speak>'
)


def wav(samples=SPEECH):
    data = to_pcm16(samples)
    return wave_header(16_000, len(data)) + data


@pytest.fixture
def rest(served):
    with served.client() as client:
        yield client


@pytest.mark.parametrize("start", ["", "/stt"])
def test_a_mode_that_is_none_is_not_served(rest, served, start):
    path = f"{start}/speech/recognition/bogus/cognitiveservices/v1"
    answer = rest.post(f"{path}?language=en-US", content=wav(), headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 404
    assert "is not served here" in answer.json()["error"]["message"]
    with pytest.raises(InvalidStatus) as refused, connect(f"{served.ws}{path}?language=en-US"):
        pass
    assert refused.value.response.status_code == 404


def error(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["message"]


# Short audio


def test_short_audio(rest):
    answer = rest.post(f"{SHORT}?language=en-AU", content=wav())
    assert answer.headers["X-Dragoman-Locale"] == "en"
    body = answer.json()
    assert (body["RecognitionStatus"], body["DisplayText"]) == ("Success", "one two three four five six")
    assert body["Offset"] / 1e7 == pytest.approx(0.5, abs=0.1)


def test_short_audio_in_detail(rest):
    body = rest.post(f"{SHORT}?language=en-US&format=detailed", content=wav()).json()
    assert body["NBest"][0]["Lexical"] == "one two three four five six"
    assert "DisplayText" not in body


def test_short_audio_without_speech(rest):
    assert rest.post(f"{SHORT}?language=en-US", content=wav(silence(1))).json()["RecognitionStatus"] == "NoMatch"


@pytest.mark.parametrize(("container", "subtype"), [("OGG", "OPUS"), ("FLAC", "PCM_16"), ("WAV", "FLOAT")])
def test_short_audio_of_other_kinds(rest, container, subtype):
    file = io.BytesIO()
    soundfile.write(file, SPEECH, 16_000, format=container, subtype=subtype)
    assert rest.post(f"{SHORT}?language=en-US", content=file.getvalue()).json()["RecognitionStatus"] == "Success"


def test_short_audio_is_refused_with_the_reason(rest):
    assert "language" in error(rest.post(SHORT, content=wav()), 400)
    assert "installed: en" in error(rest.post(f"{SHORT}?language=ja-JP", content=wav()), 400)
    assert "audio" in error(rest.post(f"{SHORT}?language=en-US", content=b"no audio at all"), 400)
    assert "empty" in error(rest.post(f"{SHORT}?language=en-US"), 400)
    assert "60 s" in error(rest.post(f"{SHORT}?language=en-US", content=wav(silence(61))), 400)
    assert "pronunciation" in error(
        rest.post(f"{SHORT}?language=en-US", content=wav(), headers={"Pronunciation-Assessment": "e30="}), 400
    )


# Speech


@pytest.mark.parametrize("start", ["", "/tts"])
def test_speech(rest, start):
    answer = rest.post(f"{start}/cognitiveservices/v1", content=SSML.format("en-GB-SoniaNeural"))
    assert answer.headers["X-Dragoman-Voice"] == "en-US-BobNeural"
    assert answer.headers["Content-Type"] == "audio/x-wav"
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == 24_000
    assert len(samples) / rate == pytest.approx(2 * 11 * 100 / 16_000 + 0.25, abs=0.01)


def test_speech_in_a_format_of_choice(rest):
    headers = {"X-Microsoft-OutputFormat": "audio-24khz-48kbitrate-mono-mp3"}
    answer = rest.post("/cognitiveservices/v1", content=SSML.format("en-US-BobNeural"), headers=headers)
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert soundfile.info(io.BytesIO(answer.content)).samplerate == 24_000


def test_speech_is_refused_with_the_reason(rest):
    post = rest.post
    assert "installed" in error(post("/cognitiveservices/v1", content=SSML.format("ja-JP-NanamiNeural")), 400)
    assert "well formed" in error(post("/cognitiveservices/v1", content="<speak>"), 400)
    headers = {"X-Microsoft-OutputFormat": "pianola"}
    assert "riff-24khz" in error(post("/cognitiveservices/v1", content=SSML.format("x"), headers=headers), 400)
    assert "bytes" in error(post("/cognitiveservices/v1", content=bytes(2_000_000)), 413)


def test_a_voice_that_fails_at_once_is_told_with_its_status(rest, served):
    served.engines.tts.error = RuntimeError("no memory")
    headers = {"X-Microsoft-OutputFormat": "audio-16khz-32kbitrate-mono-mp3"}
    answer = rest.post("/cognitiveservices/v1", content=SSML.format("en-US-BobNeural"), headers=headers)
    assert answer.status_code == 500


def test_voices(rest):
    voices = rest.get("/cognitiveservices/voices/list").json()
    assert [voice["ShortName"] for voice in voices] == ["pt-BR-AnaNeural", "en-US-BobNeural"]
    assert voices[0]["LocaleName"] == "Portuguese (BR)"


def test_languages_in_their_three_scopes(rest):
    assert rest.get("/languages").json() == {
        "text": {"de": {"name": "German", "dir": "ltr"}, "pt": {"name": "Portuguese", "dir": "ltr"}}
    }
    body = rest.get("/Languages?api-version=1.0&scope=Speech,tts").json()
    assert body["speech"]["en-US"] == {"name": "English", "language": "en"}
    assert body["tts"]["pt-BR-Ana"]["languageName"] == "Portuguese"
    assert "unknown scope" in error(rest.get("/languages?scope=smell"), 400)


def test_a_method_that_is_not_served_is_told_with_those_that_are(rest):
    assert rest.put(JOBS).headers["Allow"] == "GET, HEAD, POST"
    assert rest.get("/cognitiveservices/v1").headers["Allow"] == "POST"


def test_an_address_with_parameters_without_end_is_refused(rest):
    assert "parameters" in error(rest.get(f"/healthz?{'a=1&' * 300}"), 400)


def test_names_of_languages_are_english_and_said_to_be(rest):
    answer = rest.get("/languages", headers={"Accept-Language": "pt-BR, en;q=0.5"})
    assert (answer.headers["Content-Language"], answer.json()["text"]["pt"]["name"]) == ("en", "Portuguese")


# Fast transcription


def fast(rest, definition='{"locales":["en-US"]}', data=None, path=FAST):
    return rest.post(path, files={"audio": ("a.wav", data or wav())}, data={"definition": definition})


def test_fast_transcription(rest):
    body = fast(rest).json()
    assert body["durationMilliseconds"] == pytest.approx(len(SPEECH) / 16, abs=2)
    assert body["combinedPhrases"] == [{"text": "one two three four five six"}]
    first = body["phrases"][0]
    assert (first["text"], first["locale"], first["confidence"]) == ("one two three", "en-US", 1.0)
    assert first["offsetMilliseconds"] == pytest.approx(500, abs=100)


class ToneAligner:
    """Finds where sound begins, and shares it out evenly among the words."""

    languages = frozenset({"en"})

    def align(self, samples, language, text):
        loud = np.flatnonzero(np.abs(samples) > 0.05) / 16_000
        words = text.split()
        step = (loud[-1] - loud[0]) / len(words)
        return tuple(Word(word, loud[0] + n * step, loud[0] + (n + 1) * step) for n, word in enumerate(words))


@pytest.mark.parametrize("redact", [(), ("phone",)])
def test_another_model_finds_the_words_where_the_recogniser_tells_no_times(served, rest, redact, monkeypatch):
    served.engines.word_model = ToneAligner()
    text = served.service.settings.text.model_copy(update={"redact": redact})
    monkeypatch.setattr(served.service, "settings", served.service.settings.model_copy(update={"text": text}))
    phrases = fast(rest).json()["phrases"]
    assert all(("words" in phrase) == (not redact) for phrase in phrases)  # what is hidden is not told by its times
    words = [word for phrase in phrases for word in phrase.get("words", ())]
    if not redact:
        assert [word["text"] for word in words] == ["one", "two", "three", "four", "five", "six"]
        begun = [500, 831, 1161, 2492, 2823, 3153]
        assert [word["offsetMilliseconds"] for word in words] == [pytest.approx(time, abs=60) for time in begun]


@given(sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=30), edges=st.lists(st.floats(0, 4), max_size=8))
def test_stretches_are_cut_where_they_were_said(sizes, edges):
    sound = np.arange(sum(sizes), dtype=np.float32)
    blocks = iter(np.split(sound, np.cumsum(sizes)[:-1]))
    edges = sorted(edges)
    spans = list(itertools.pairwise(edges))[::2]
    for (start, end), samples in zip(spans, _cut(blocks, spans), strict=True):
        assert np.array_equal(samples, sound[round(start * 16_000) : round(end * 16_000)])


def test_fast_transcription_by_channel(rest):
    file = io.BytesIO()
    left, right = speak("one two three"), speak("four five six")
    stereo = np.stack([np.concatenate([silence(0.3), x, silence(0.5)]) for x in (left, right)], 1)
    soundfile.write(file, stereo, 16_000, format="WAV")
    body = fast(rest, '{"locales":["en-US"],"channels":[1,0]}', file.getvalue()).json()
    assert {p["channel"]: p["text"] for p in body["combinedPhrases"]} == {0: "one two three", 1: "four five six"}
    assert "no channel 5" in error(fast(rest, '{"locales":["en"],"channels":[5]}', file.getvalue()), 400)


def test_fast_transcription_in_the_previews_shape(rest):
    body = fast(rest, path="/speechtotext/transcriptions:transcribe?api-version=2024-05-15-preview").json()
    assert body["phrases"][0]["offset"] == pytest.approx(500, abs=100)
    assert body["duration"] > 0


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "object"),
        ('{"locales":"en"}', "list"),
        ('{"locales":["ja-JP"]}', "installed"),
        ('{"locales":["en"],"profanityFilterMode":"Shout"}', "profanity"),
        ('{"locales":["en"],"diarization":{"maxSpeakers":2}}', "speakers"),
        ('{"locales":["en"],"models":{"en":"x"}}', "model"),
        ('{"locales":["en"],"channels":["a"]}', "channels"),
        ('{"locales":["en"],"enhancedMode":{"task":"x"}}', "enhanced"),
        ('{"locales":["en","pt"]}', "identifies languages"),
        (r'{"locales":["en"],"phraseList":{"phrases":["\ud800"]}}', "not valid JSON"),
    ],
)
def test_fast_transcription_is_refused_with_the_reason(rest, definition, reason):
    assert reason in error(fast(rest, definition), 400)


def test_fast_transcription_with_a_phrase_list(rest):
    body = fast(rest, '{"locales":["en-US"],"phraseList":{"phrases":["Onetwo"]}}').json()
    assert body["phrases"][0]["text"] == "Onetwo three"


def test_fast_transcription_needs_audio(rest):
    assert "audio" in error(rest.post(FAST, data={"definition": "{}"}), 400)
    assert "audio" in error(fast(rest, data=b"not a recording"), 400)


# Batch


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(3):
        write_wav(folder / f"{number}.wav", SPEECH, 16_000)
    return folder


def job(folder, **more):
    urls = [path.as_uri() for path in sorted(folder.glob("*.wav"))]
    return {"displayName": "a batch", "locale": "en-US", "contentUrls": urls} | more


def finished(client, address):
    pause = threading.Event()
    for _ in range(600):
        body = client.get(address).json()
        if body["status"] in {"Succeeded", "Failed"}:
            return body
        pause.wait(0.05)
    raise AssertionError(body)


def test_a_batch_from_beginning_to_end(serve, folder):
    with serve(batch_folders=[str(folder)]).client() as client:
        created = client.post(JOBS, json=job(folder))
        assert created.status_code == 201
        address = created.headers["Location"]
        assert created.json()["self"] == address
        body = finished(client, address)
        assert body["status"] == "Succeeded"
        files = client.get(body["links"]["files"]).json()["values"]
        assert [f["kind"] for f in files] == ["Transcription"] * 3 + ["TranscriptionReport"]
        assert [f["name"] for f in files][:2] == ["contenturl_0.json", "contenturl_1.json"]
        result = client.get(files[0]["links"]["contentUrl"])
        assert len(result.content) == files[0]["properties"]["size"]
        assert result.json()["combinedRecognizedPhrases"][0]["display"] == "one two three four five six"
        phrase = result.json()["recognizedPhrases"][0]
        assert phrase["nBest"][0]["lexical"] == "one two three"
        assert phrase["offsetInTicks"] / 1e7 == pytest.approx(0.5, abs=0.1)
        assert client.get(files[0]["self"]).json()["name"] == "contenturl_0.json"
        assert client.get(files[-1]["links"]["contentUrl"]).json()["successfulTranscriptionsCount"] == 3
        changed = client.patch(address, json={"displayName": "renamed"})
        assert changed.json()["displayName"] == "renamed"
        assert [v["displayName"] for v in client.get(JOBS).json()["values"]] == ["renamed"]
        assert client.delete(address).status_code == 204
        assert client.get(address).status_code == 404
        assert client.get(JOBS).json() == {"values": []}


def test_a_whole_folder_is_a_batch(serve, folder):
    with serve(batch_folders=[str(folder)]).client() as client:
        definition = {"displayName": "x", "locale": "en", "contentContainerUrl": folder.as_uri()}
        body = finished(client, client.post(JOBS, json=definition).headers["Location"])
        assert len(client.get(body["links"]["files"]).json()["values"]) == 4


def test_a_folder_with_more_than_a_batch_may_have_is_refused_not_cut(serve, folder, monkeypatch):
    monkeypatch.setattr("device.server.batch.MOST_SOURCES", 2)
    with serve(batch_folders=[str(folder)]).client() as client:
        for change in ({"contentUrls": None, "contentContainerUrl": folder.as_uri()}, {}):
            reason = error(client.post(JOBS, json=job(folder, **change)), 400)
            assert reason == "a transcription may name 2 recordings, not 3"


def test_a_recording_that_fails_does_not_stop_the_others(serve, folder):
    (folder / "1.wav").write_bytes(b"damaged")
    with serve(batch_folders=[str(folder)]).client() as client:
        body = finished(client, client.post(JOBS, json=job(folder)).headers["Location"])
        assert body["status"] == "Succeeded"
        files = client.get(body["links"]["files"]).json()["values"]
        report = client.get(files[-1]["links"]["contentUrl"]).json()
        assert (report["successfulTranscriptionsCount"], report["failedTranscriptionsCount"]) == (2, 1)
        assert "cannot be read" in report["details"][1]["errorMessage"]


def test_a_batch_waits_for_a_worker_and_survives_a_restart(serve, folder):
    first = serve(batch_folders=[str(folder)], batch_workers=0)
    with first.client() as client:
        address = client.post(JOBS, json=job(folder)).json()["self"].partition("/speechtotext")[2]
        assert client.get(f"/speechtotext{address}").json()["status"] == "NotStarted"
    first.server.stop()
    with serve(batch_folders=[str(folder)]).client() as client:
        assert finished(client, f"/speechtotext{address}")["status"] == "Succeeded"


def test_what_was_done_before_a_crash_is_not_done_again(serve, folder, tmp_path):
    store = BatchStore(tmp_path / "transcriptions.sqlite")
    definition = job(folder)
    kept = store.add(definition, tuple(definition["contentUrls"]))
    store.take()
    store.add_result(kept.id, 0, {"display": "kept from before"}, None)
    store.close()
    address = serve(batch_folders=[str(folder)])
    with address.client() as client:
        body = finished(client, f"{JOBS}/{kept.id}")
        files = client.get(body["links"]["files"]).json()["values"]
        assert client.get(files[0]["links"]["contentUrl"]).json() == {"display": "kept from before"}
        assert len(files) == 4
    assert len({c for c, final in address.engines.asr.calls if final}) >= 1


def test_a_second_server_on_one_state_folder_is_told_so_and_harms_nothing(serve, folder):
    first = serve(batch_folders=[str(folder)], batch_workers=0)
    with first.client() as client:
        address = client.post(JOBS, json=job(folder)).json()["self"].partition(first.http)[2]
        with pytest.raises(
            DragomanError, match=r"transcriptions\.sqlite is in use by another server: .* state_directory"
        ):
            serve()
        assert client.get(address).json()["status"] == "NotStarted"
    first.server.stop()
    with serve(batch_folders=[str(folder)]).client() as client:
        assert finished(client, address)["status"] == "Succeeded"


def test_a_fault_in_one_recording_does_not_stop_the_others(serve, folder, monkeypatch):
    fault = ZeroDivisionError("a fault of the program")
    monkeypatch.setattr("device.server.batch.Recording", lambda path, _: Recording(path, 60) if "1" not in path.name
                        else (_ for _ in ()).throw(fault))  # fmt: skip
    with serve(batch_folders=[str(folder)]).client() as client:
        body = finished(client, client.post(JOBS, json=job(folder)).headers["Location"])
        files = client.get(body["links"]["files"]).json()["values"]
        details = client.get(files[-1]["links"]["contentUrl"]).json()["details"]
    assert body["status"] == "Succeeded"
    assert [d["status"] for d in details] == ["Succeeded", "Failed", "Succeeded"]
    assert "a fault" not in details[1]["errorMessage"]


def test_batches_go_on_once_a_full_disk_has_room(serve, folder, monkeypatch, caplog):
    monkeypatch.setattr("device.server.batch._LOOK", 0.1)
    address = serve(batch_folders=[str(folder)])
    store = address.server.app.state.store
    many = job(folder, contentUrls=4 * job(folder)["contentUrls"])  # whose results need more than is left of a page
    address.engines.asr.gate.clear()
    with address.client() as client:
        begun = client.post(JOBS, json=many).headers["Location"]
        wait_for(lambda: client.get(begun).json()["status"] == "Running")
        (pages,) = store._base.execute("PRAGMA page_count").fetchone()
        store._base.execute(f"PRAGMA max_page_count = {pages}")
        with suppress(StoreError):
            while store.add({}, ()):
                pass
        assert "disk is full" in error(client.post(JOBS, json=job(folder, description="x" * 50_000)), 503)
        address.engines.asr.gate.set()
        wait_for(lambda: "batch transcription waits" in caplog.text)
        store._base.execute("PRAGMA max_page_count = 1000000")
        assert finished(client, begun)["status"] == "Succeeded"
        assert finished(client, client.post(JOBS, json=job(folder)).headers["Location"])["status"] == "Succeeded"


def test_a_batch_lives_as_long_as_was_asked_for(tmp_path):
    from datetime import timedelta

    store = BatchStore(tmp_path / "x.sqlite")
    short, long = (store.add({"n": n}, ()) for n in range(2))
    store.finish(short.id, Status.SUCCEEDED, timedelta(seconds=-1))
    store.finish(long.id, Status.SUCCEEDED, timedelta(days=1))
    store.expire()
    assert store.get(short.id) is None
    assert store.get(long.id) is not None


def test_pages(serve, folder):
    with serve(batch_folders=[str(folder)], batch_workers=0).client() as client:
        for number in range(5):
            client.post(JOBS, json=job(folder, displayName=str(number)))
        first = client.get(f"{JOBS}?top=3").json()
        assert [v["displayName"] for v in first["values"]] == ["0", "1", "2"]
        assert [v["displayName"] for v in client.get(first["@nextLink"]).json()["values"]] == ["3", "4"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"displayName": None}, "displayName"),
        ({"locale": None}, "locale"),
        ({"locale": "ja-JP"}, "installed"),
        ({"contentUrls": []}, "contentUrls"),
        ({"contentUrls": ["file:///etc/passwd"]}, "server.batch_folders"),
        ({"contentUrls": ["http://169.254.169.254/x"]}, "server.batch_hosts"),
        ({"contentUrls": ["gopher://x/"]}, "address"),
        ({"properties": {"diarizationEnabled": True}}, "speakers"),
        ({"properties": {"timeToLive": "soon"}}, "timeToLive"),
        ({"properties": []}, "properties"),
        ({"model": {"self": "x"}}, "model"),
        ({"contentContainerUrl": 1}, "contentContainerUrl"),
        ({"contentUrls": None, "contentContainerUrl": "file:///FOLDER/" + "a" * 300}, "name too long"),
        ({"contentUrls": ["file:///FOLDER/circle/a.wav"]}, "cannot be read"),
        ({"displayName": "\ud800"}, "not valid JSON"),
        ({"customProperties": {"a": float("nan")}}, "not valid JSON"),
        ({"customProperties": {"a": float("inf")}}, "not valid JSON"),
    ],
)
def test_a_batch_is_refused_with_the_reason(serve, folder, change, reason):
    (folder / "circle").symlink_to(folder / "circle")
    body = json.dumps(job(folder, **change)).replace("/FOLDER", str(folder))
    with serve(batch_folders=[str(folder)]).client() as client:
        assert reason.lower() in error(client.post(JOBS, content=body), 400).lower()


def test_a_page_of_nothing_leads_to_no_other(serve, folder):
    with serve(batch_folders=[str(folder)], batch_workers=0).client() as client:
        client.post(JOBS, json=job(folder))
        assert client.get(f"{JOBS}?top=0").json() == {"values": []}


def test_numbers_beyond_all_bounds_are_refused(rest):
    body = '{"displayName": "x", "locale": "en-US", "contentUrls": [], "customProperties": {"a": 1e999}}'
    assert "not valid JSON" in error(rest.post(JOBS, content=body), 400)


def test_a_link_leads_out_of_no_folder(serve, folder, tmp_path):
    secret = tmp_path / "secret.wav"
    write_wav(secret, SPEECH, 16_000)
    (folder / "link.wav").symlink_to(secret)
    with serve(batch_folders=[str(folder)]).client() as client:
        definition = job(folder, contentUrls=[(folder / "link.wav").as_uri()])
        assert "may not be read" in error(client.post(JOBS, json=definition), 400)
        definition = job(folder, contentUrls=[f"{folder.as_uri()}/../secret.wav"])
        assert "may not be read" in error(client.post(JOBS, json=definition), 400)


class Files(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://elsewhere.invalid/x.wav")
            self.end_headers()
        elif self.path == "/a.wav":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(wav())
        else:
            self.send_error(404)

    def log_message(self, *arguments):
        pass


def test_recordings_are_fetched_from_hosts_that_are_allowed(serve):
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{files.server_port}"
        urls = [f"{base}/a.wav", f"{base}/missing.wav", f"{base}/away"]
        with serve(batch_hosts=["127.0.0.1"]).client() as client:
            definition = {"displayName": "x", "locale": "en-US", "contentUrls": urls}
            body = finished(client, client.post(JOBS, json=definition).headers["Location"])
            values = client.get(body["links"]["files"]).json()["values"]
            details = client.get(values[-1]["links"]["contentUrl"]).json()["details"]
        files.shutdown()
    assert [d["status"] for d in details] == ["Succeeded", "Failed", "Failed"]
    assert "404" in details[1]["errorMessage"]
    assert "elsewhere.invalid" in details[2]["errorMessage"]


def test_results_can_be_fetched_without_the_key_only_by_their_own_address(serve, folder, tmp_path):
    key = tmp_path / "key"
    key.write_text("k")
    key.chmod(0o600)
    with serve(batch_folders=[str(folder)], key_file=str(key)).client() as client:
        client.headers["Ocp-Apim-Subscription-Key"] = "k"
        body = finished(client, client.post(JOBS, json=job(folder)).headers["Location"])
        link = client.get(body["links"]["files"]).json()["values"][0]["links"]["contentUrl"]
        del client.headers["Ocp-Apim-Subscription-Key"]
        assert client.get(link).status_code == 200
        assert client.get(link.partition("?")[0]).status_code == 401
