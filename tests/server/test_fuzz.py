"""Whatever strangers send to a socket: an answer or a close code, never a fault, a hang or memory that stays.

`make fuzz` sends a hundred thousand inputs to a server with real models; these few keep the suite quick.
"""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.server.conftest import wait_for
from tools.fuzz_inputs import MESSAGES, encodable

COUNT = 30
PATHS = [
    "/stt/speech/universal/v2",
    "/speech/recognition/interactive/cognitiveservices/v1?language=en-US",
    "/tts/cognitiveservices/websocket/v1",
    "/speech/translate?from=en&to=pt&features=partial,texttospeech",
]


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

    many(10)
    before = resident()
    many(COUNT)
    assert resident() - before < 50 << 20
    with address.client() as client:
        assert client.get("/healthz").text == "ok"
