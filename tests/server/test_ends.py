"""How things end: every close code and error that the SDKs show, every limit, and what it takes to come in."""

import asyncio
import json
import threading
import uuid
from contextlib import suppress

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from device.config import load_settings
from device.errors import DragomanError
from device.server import outbox
from device.server.frames import write_binary
from device.server.serve import Server
from device.server.wave import wave_header
from tests.server.conftest import ServedEngines, bodies, wait_for
from tests.support.engines import silence, speak

KEY = "a-key-of-the-owner"
STT = "/speech/recognition/conversation/cognitiveservices/v1"
SOCKETS = [
    STT,
    "/stt/speech/universal/v2",
    "/speech/translation/cognitiveservices/v1?from=en&to=pt",
    "/tts/cognitiveservices/websocket/v1",
    "/speech/translate?from=en&to=pt",
]


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    file.chmod(0o600)
    return str(file)


def status(address, path, **headers):
    try:
        with connect(address.ws + path, additional_headers=headers):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


# 401


@pytest.mark.parametrize("path", SOCKETS)
def test_sockets_are_refused_without_the_key(serve, key_file, path):
    address = serve(key_file=key_file)
    assert status(address, path) == 401
    assert status(address, path, **{"Ocp-Apim-Subscription-Key": "wrong"}) == 401
    assert status(address, path, **{"Ocp-Apim-Subscription-Key": "", "Authorization": "Bearer "}) == 401
    assert status(address, path, **{"Ocp-Apim-Subscription-Key": KEY}) == 101


@pytest.mark.parametrize("name", ["Ocp-Apim-Subscription-Key", "subscription-key", "SUBSCRIPTION-KEY"])
def test_the_key_may_be_in_the_query(serve, key_file, name):
    assert status(serve(key_file=key_file), f"{STT}?{name}={KEY}") == 101


def test_a_token_opens_for_whoever_has_shown_the_key(serve, key_file):
    address = serve(key_file=key_file)
    with address.client() as client:
        refused = client.post("/sts/v1.0/issueToken")
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "Unauthorized"
        token = client.post("/sts/v1.0/issueToken", headers={"Ocp-Apim-Subscription-Key": KEY}).text
    assert status(address, STT, Authorization=f"Bearer {token}") == 101
    assert status(address, f"{STT}?access_token={token}") == 101
    assert status(address, STT, Authorization=f"Bearer {token[:-4]}AAAA") == 401
    assert status(address, STT, Authorization="Bearer a.b.c") == 401


def test_a_token_ends(serve, key_file, monkeypatch):
    monkeypatch.setattr("device.server.auth.LIFETIME", -1)
    address = serve(key_file=key_file)
    with address.client() as client:
        token = client.post("/sts/v1.0/issueToken", headers={"Ocp-Apim-Subscription-Key": KEY}).text
    assert status(address, STT, Authorization=f"Bearer {token}") == 401


def test_what_tells_nothing_about_anybody_needs_no_key(serve, key_file):
    with serve(key_file=key_file).client() as client:
        assert client.get("/languages").status_code == 200
        assert client.get("/openapi.json").status_code == 200
        assert client.get("/cognitiveservices/voices/list").status_code == 401


def test_a_page_may_ask_for_voices_and_speech_but_for_nobodys_transcripts(serve, key_file):
    address = serve(key_file=key_file)
    with address.client() as client:
        asked = client.options("/cognitiveservices/voices/list", headers={"Origin": "https://example.org"})
        assert asked.headers["Access-Control-Allow-Origin"] == "*"
        assert "Ocp-Apim-Subscription-Key" in asked.headers["Access-Control-Allow-Headers"]
        assert client.options("/speechtotext/v3.2/transcriptions").status_code == 401
        answer = client.get("/speechtotext/v3.2/transcriptions", headers={"Ocp-Apim-Subscription-Key": KEY})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_key_is_in_no_log(serve, key_file, caplog):
    caplog.set_level("DEBUG")
    address = serve(key_file=key_file)
    with address.client() as client:
        client.get(f"/nothing?Ocp-Apim-Subscription-Key={KEY}")
    status(address, f"{STT}?Ocp-Apim-Subscription-Key={KEY}")
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore", "websockets.client"))]
    assert KEY not in "\n".join(ours)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "device.local"])
def test_no_other_address_without_a_key(host, tmp_path):
    settings = load_settings(None, {"server.host": host, "state_directory": str(tmp_path)})
    with pytest.raises(DragomanError, match="key_file"):
        Server(ServedEngines(), settings)


# 404, 429


def test_an_unknown_address_is_refused(served):
    assert status(served, "/speech/nothing/v1") == 404
    with served.client() as client:
        answer = client.get("/speech/nothing/v1")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NotFound"


def test_one_connection_too_many_is_told_to_come_again(serve):
    address = serve(connections=2)
    with connect(address.ws + STT), connect(address.ws + STT):
        assert status(address, STT) == 429
        with address.client() as client:
            answer = client.get("/cognitiveservices/voices/list")
        assert answer.status_code == 429
        assert answer.headers["Retry-After"]
        with address.client() as client:
            assert client.get("/healthz").status_code == 200  # busy, not ill
    wait_for(lambda: status(address, STT) == 101)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/cognitiveservices/voices/list"),
        ("GET", "/cognitiveservices/v1"),
        ("PUT", "/speechtotext/v3.2/transcriptions"),
    ],
)
def test_a_method_that_an_address_has_not_is_refused(served, method, path):
    with served.client() as client:
        answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "MethodNotAllowed"


def test_a_fault_of_the_server_itself_is_a_500_without_its_insides(served, monkeypatch):
    monkeypatch.setattr(served.service.languages, "spoken", lambda: 1 / 0)
    with served.client() as client:
        answer = client.get("/cognitiveservices/voices/list")
        assert answer.status_code == 500
        assert answer.json() == {"error": {"code": "InternalServerError", "message": "the server failed"}}
        assert client.get("/healthz").status_code == 200


# 1002 and 1007 for what is no WebSocket message


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x83\x80abcd", 1002),  # an opcode that nobody has given a meaning
        (b"\x81\x02ab", 1002),  # not masked
        (b"\x09\x80abcd", 1002),  # a ping in pieces
        (b"\x80\x80abcd", 1002),  # goes on with what has not begun
        (b"\x81\x81\0\0\0\0\xff", 1007),  # text that is not UTF-8
    ],
    ids=["opcode", "unmasked", "ping", "continuation", "text"],
)
def test_what_is_no_web_socket_message_closes_the_socket(served, dial, closed, frame, code):
    client = dial(served)
    client.socket.socket.sendall(frame)
    assert closed(client)[0] == code
    wait_for(lambda: served.service.connections == 0)


# 1007: wrong for ever, so the SDKs do not try again


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("no headers at all", "Header: value"),
        ("X-RequestId: a\r\n\r\n{}", "needs a Path"),
        ("Path: speech.context\r\n\r\n{}", "X-RequestId"),
        ("Path: speech.context\r\nX-RequestId: a\r\n\r\n{not json", "not valid JSON"),
        ("Path: speech.context\r\nX-RequestId: a\r\n\r\n[1]", "JSON object"),
        ('Path: speech.context\r\nX-RequestId: a\r\n\r\n{"a": "\\ud800"}', "not valid JSON"),
        (b"\xff\xff", "promises"),
        (b"", "two bytes"),
        (write_binary("audio", "a", b"RIFF\0\0\0\0AVI LIST", None), "WAVE"),
        (write_binary("audio", "a", b"fLaC", None), "compressed"),
        (write_binary("audio", "a", bytes(320), None), "WAVE header"),
    ],
)
def test_a_message_that_is_none_closes_with_1007(served, dial, closed, message, reason):
    client = dial(served)
    client.socket.send(message)
    code, said = closed(client)
    assert code == 1007
    assert reason in said


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        ({"phraseDetection": {"language": "xx-YY"}}, "'xx-YY'"),
        ({"phraseDetection": {"language": "ja-JP"}}, "installed: en"),
        ({"translation": {"targetLanguages": ["ja"]}}, "installed: de, pt"),
        ({"phraseDetection": {"speakerDiarization": {"mode": "Anonymous"}}}, "speakers"),
        ({"phraseDetection": {"enrichment": {"pronunciationAssessment": {}}}}, "pronunciation"),
        ({"phraseDetection": {"enrichment": {"profanity": "loud"}}}, "profanity"),
        ({"languageId": {"languages": ["en-US", "pt-BR"]}}, "identifies languages"),
        ({"translation": {"targetLanguages": ["pt"] * 99}}, "at most"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_can(served, dial, closed, context, reason):
    client = dial(served, "/stt/speech/universal/v2")
    client.context(context)
    code, said = closed(client)
    assert code == 1007
    assert reason in said


def test_a_voice_that_no_model_has_is_refused_with_those_that_are_there(served, dial, closed):
    client = dial(served, "/stt/speech/universal/v2")
    client.context({"translation": {"targetLanguages": ["de"], "onSuccess": {"action": "Synthesize"}}})
    assert closed(client) == (1007, "no voice speaks 'de' here; installed: pt-BR-AnaNeural, en-US-BobNeural")


def test_a_reason_too_long_for_the_close_frame_is_whole_in_the_first_message(serve, dial, closed):
    engines = ServedEngines()
    engines.models += [m for m in engines.models if m.task == "tts"] * 20
    client = dial(serve(engines=engines), "/stt/speech/universal/v2")
    client.context({"translation": {"targetLanguages": ["de"], "onSuccess": {"action": "Synthesize"}}})
    refused = client.until("turn.start")[0][1]["refused"]
    code, said = closed(client)
    engines.close()
    assert code == 1007
    assert refused.startswith(said)
    assert len(refused) > 200


# 1009, 1000, 1008: limits


def test_a_message_that_is_too_long_closes_with_1009(serve, dial, closed):
    client = dial(serve(message_kb=64))
    client.raw(bytes(100_000))
    assert closed(client)[0] == 1009


def test_a_client_that_says_nothing_is_let_go(serve, dial, closed):
    client = dial(serve(idle=1))
    assert closed(client) == (1000, "nothing came for 1 s")


def test_a_turn_that_stalls_ends_with_an_error_phrase(serve, dial):
    client = dial(serve(idle=1))
    client.context({})
    client.audio(silence(0.5))
    messages = client.turn()
    assert bodies(messages, "speech.phrase")[-1]["RecognitionStatus"] == "Error"


def test_more_audio_than_allowed_is_refused(serve, dial, closed):
    client = dial(serve(longest_audio=2))
    client.context({})
    client.audio(silence(3))
    assert closed(client) == (1007, "a turn may hold 2 seconds of audio")


def test_a_reader_that_does_not_read_is_not_heard_and_then_let_go(serve, dial, closed, monkeypatch):
    monkeypatch.setattr(outbox, "STALLED", 1.0)
    address = serve(connections=2)
    client = dial(address, "/tts/cognitiveservices/websocket/v1", max_queue=1)
    letting_go = threading.Event()

    def ask():
        document = f"<speak>{'A sentence of some length to be spoken. ' * 1000}</speak>"
        with suppress(ConnectionClosed, OSError):
            while True:
                client.socket.send(f"Path:ssml\r\nX-RequestId:{client.request}\r\n\r\n{document}")
        letting_go.set()

    threading.Thread(target=ask, daemon=True).start()
    wait_for(lambda: address.service.connections == 1)
    wait_for(lambda: address.service.connections == 0, 60)
    assert closed(client) == (1008, "what was sent is not read")  # whoever reads on after all is told
    assert letting_go.wait(10)


def test_what_was_said_is_answered_before_a_server_that_stops_closes_with_1001(served, dial, closed):
    client = dial(served)
    client.context({})
    client.audio(np.concatenate([silence(0.3), speak("one two three"), silence(0.3)]))
    client.until("speech.startdetected")
    stopping = threading.Thread(target=served.server.stop)
    stopping.start()
    messages = client.turn()
    assert bodies(messages, "speech.phrase")[-1]["DisplayText"] == "one two three"
    assert closed(client) == (1001, "the server stops")
    stopping.join(10)
    assert not stopping.is_alive()


@pytest.mark.parametrize("path", ["/tts/cognitiveservices/websocket/v1", "/speech/translate?from=en&to=pt", STT])
def test_a_server_that_stops_closes_every_socket_with_1001(served, dial, closed, path):
    client = dial(served, path)
    stopping = threading.Thread(target=served.server.stop)
    stopping.start()
    assert closed(client) == (1001, "the server stops")
    stopping.join(10)
    assert not stopping.is_alive()


def test_a_turn_that_cannot_be_answered_in_time_fails_when_the_server_stops(served, dial, monkeypatch):
    async def slowly(_conversation):
        await asyncio.sleep(60)

    monkeypatch.setattr("device.server.recognition.LAST_WORDS", 0.2)
    monkeypatch.setattr("device.server.service.Conversation.finish", slowly)
    client = dial(served)
    client.context({})
    client.audio(np.concatenate([silence(0.3), speak("one two three"), silence(0.3)]))
    client.until("speech.startdetected")
    stopping = threading.Thread(target=served.server.stop)
    stopping.start()
    phrase = bodies(client.turn(), "speech.phrase")[-1]
    assert (phrase["RecognitionStatus"], phrase["DisplayText"]) == ("Error", "the server stops")
    stopping.join(20)
    assert not stopping.is_alive()


def test_an_id_without_end_is_refused_and_many_turns_keep_nothing(served, dial, closed):
    client = dial(served)
    for _ in range(200):
        client.request = uuid.uuid4().hex
        client.context({})
    client.request = "x" * 1000
    client.context({})
    assert closed(client) == (1007, "a turn needs an X-RequestId header of at most 128 characters")


def test_a_text_to_speak_may_not_come_in_pieces_without_end(serve, dial, closed):
    client = dial(serve(message_kb=64), "/tts/cognitiveservices/websocket/v1")
    streaming = {"synthesis": {"input": {"bidirectionalStreamingMode": True}}}
    client.text("synthesis.context", streaming)
    for _ in range(70):
        client.socket.send(f"Path:text.piece\r\nX-RequestId:{client.request}\r\n\r\n{'word ' * 200}")
    assert closed(client) == (1007, "there is too much text to speak in one request")


def test_a_text_in_pieces_is_spoken_though_its_context_was_followed_by_many(served, dial):
    client = dial(served, "/tts/cognitiveservices/websocket/v1")
    first = client.request
    client.text("synthesis.context", {"synthesis": {"input": {"bidirectionalStreamingMode": True}}})
    client.socket.send(f"Path:text.piece\r\nX-RequestId:{first}\r\n\r\nHello.")
    for _ in range(12):
        client.request = uuid.uuid4().hex
        client.text("synthesis.context", {})
    client.request = first
    client.text("text.end")
    assert bodies(client.turn(), "audio")


def test_a_failed_recognition_is_told_as_an_error_phrase_and_the_turn_goes_on(serve, dial):
    engines = ServedEngines()
    engines.asr.error = RuntimeError("no memory")
    client = dial(serve(engines=engines))
    client.context({})
    client.audio(np.concatenate([silence(0.3), speak("one two three"), silence(1)]))
    assert client.until("speech.phrase")[-1][1]["RecognitionStatus"] == "Error"
    engines.asr.error = None
    client.audio(np.concatenate([speak("four five six"), silence(1)]), header=False)
    client.end()
    statuses = [b["RecognitionStatus"] for b in bodies(client.turn(), "speech.phrase")]
    engines.close()
    assert statuses == ["Success"]


def test_a_fault_of_the_server_itself_closes_with_1011(served, dial, closed, monkeypatch):
    monkeypatch.setattr(served.service, "conversation_settings", lambda *a, **k: 1 / 0)
    client = dial(served)
    client.context({})
    assert closed(client) == (1011, "the server failed")


# The older interface


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("to=pt", "InvalidRequest"),
        ("from=en", "InvalidRequest"),
        ("from=en&to=ja", "InvalidRequest"),
        ("from=en&to=pt&features=mindreading", "InvalidRequest"),
        ("from=en&to=pt&format=audio/aac", "InvalidRequest"),
        ("from=en&to=pt&ProfanityAction=Shout", "InvalidRequest"),
    ],
)
def test_the_older_interface_refuses_a_wrong_address_with_400(served, query, code):
    with pytest.raises(InvalidStatus) as refused, connect(f"{served.ws}/speech/translate?{query}"):
        pass
    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body)["error"]["code"] == code


@pytest.mark.parametrize("message", ["text", b"no header, but long enough", b"RIFF\0\0\0\0AVI LIST"])
def test_the_older_interface_closes_with_1003_on_what_is_no_audio(served, dial, closed, message):
    client = dial(served, "/speech/translate?from=en&to=pt")
    client.socket.send(message)
    assert closed(client)[0] == 1003


def test_the_older_interface_lets_go_of_a_client_that_says_nothing(serve, dial, closed):
    client = dial(serve(idle=1), "/speech/translate?from=en&to=pt")
    client.socket.send(wave_header(16_000))
    assert closed(client)[0] == 1000


def test_too_large_a_body_is_refused_before_it_is_read(serve):
    with serve(upload_mb=1).client() as client:
        url = f"{STT}?language=en-US"
        assert client.post(url, content=bytes(2_000_000)).status_code == 413

        def endless():
            for _ in range(100):
                yield bytes(100_000)

        with suppress(httpx.WriteError):  # where the server has closed before all of it was sent
            assert client.post(url, content=endless()).status_code == 413
