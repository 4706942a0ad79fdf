"""Whatever strangers send to a socket: an answer or a close code, never a fault, a hang or memory that stays.

`FUZZ` sets how many conversations are tried; the default keeps the suite quick.
"""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from device.server.frames import write_binary
from device.server.wave import wave_header
from tests.server.conftest import wait_for

COUNT = int(os.environ.get("FUZZ", "30"))
PATHS = [
    "/stt/speech/universal/v2",
    "/speech/recognition/interactive/cognitiveservices/v1?language=en-US",
    "/tts/cognitiveservices/websocket/v1",
    "/speech/translate?from=en&to=pt&features=partial,texttospeech",
]
KEYS = st.sampled_from(
    [
        "phraseDetection", "mode", "language", "translation", "targetLanguages", "onSuccess", "action", "synthesis",
        "defaultVoices", "languageId", "languages", "phraseOutput", "format", "detailed", "options", "dgi", "Groups",
        "Items", "Text", "segmentation", "segmentationSilenceTimeoutMs", "initialSilenceTimeout", "enrichment",
        "profanity", "audio", "outputFormat", "metadataOptions", "input", "bidirectionalStreamingMode", "context",
    ]
)  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["en-US", "pt", "INTERACTIVE", "Synthesize", "masked", "raw-16khz-16bit-mono-pcm", "Detailed"])
)  # fmt: skip
TREES = st.recursive(LEAVES, lambda c: st.lists(c, max_size=3) | st.dictionaries(KEYS, c, max_size=4), max_leaves=12)
NAMES = st.sampled_from(
    ["speech.config", "speech.context", "synthesis.context", "ssml", "audio", "text.piece", "text.end", "telemetry"]
)
IDS = st.sampled_from(["", "a" * 32, "b" * 32]) | st.text(max_size=5)
SAMPLES = st.binary(max_size=400)
HEADS = st.sampled_from([b"", wave_header(16_000), wave_header(8_000)]) | st.binary(max_size=60).map(b"RIFF".__add__)


@st.composite
def texts(draw):
    body = draw(TREES.map(json.dumps) | st.text(max_size=50) | st.just("<speak>a</speak>"))
    return f"Path:{draw(NAMES)}\r\nX-RequestId:{draw(IDS)}\r\n\r\n{body}"


@st.composite
def sounds(draw):
    return write_binary("audio", draw(IDS).replace("\r", "").replace("\n", ""), draw(HEADS) + draw(SAMPLES), None)


MESSAGES = texts() | sounds() | st.text(max_size=60) | st.binary(max_size=60)


def encodable(message):
    return message if isinstance(message, bytes) else message.encode("utf-8", "replace").decode()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("path", PATHS, ids=["recognition", "interactive", "synthesis", "translator"])
def test_whatever_is_sent_to_a_socket(serve, path):
    address = serve(message_kb=64)

    def talk(messages):
        with connect(address.ws + path, close_timeout=20) as socket:
            with suppress(ConnectionClosed):
                for message in messages:
                    socket.send(encodable(message))
            began = time.monotonic()
        code = socket.protocol.close_code
        assert code in {1000, 1003, 1007, 1009}, (code, time.monotonic() - began)

    def many(count):
        settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)(
            given(st.lists(MESSAGES, max_size=6))(talk)
        )()
        wait_for(lambda: address.service.connections == 0)

    many(max(10, COUNT // 10))
    before = resident()
    many(COUNT)
    assert resident() - before < 50 << 20
    with address.client() as client:
        assert client.get("/healthz").text == "ok"
