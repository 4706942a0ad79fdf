"""The daemon that also serves programs: they talk to it while its own microphone works, and neither hears the other."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from device.controls.pins import mock_press, mock_release
from tests.e2e.azure.conftest import events, word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]

CLIENT = Path(__file__).parent / "azure" / "client.py"


@pytest.fixture
def port(configuration) -> int:
    """Let the daemon serve, and return the port."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    configuration["server"] = {"enabled": True, "port": number}
    return number


def listening(listener):
    listener.wait(lambda messages: any(m.topic.endswith("/state") and m.json["state"] == "listening" for m in messages))


def test_a_speech_sdk_program_is_served_while_somebody_talks_to_the_device(
    start_here, port, listener, virtual_mic, recordings
):
    pytest.importorskip("azure.cognitiveservices.speech")
    clips = {path.stem: (path, said) for path, said in recordings.clips("en")}
    (spoken, said), (sent, written) = clips["quick_brown_fox"], clips["counting"]
    start_here()
    listener.wait(lambda messages: any(m.topic.endswith("/state") and m.json["state"] == "idle" for m in messages))
    mock_press(17)
    listening(listener)
    told = []
    command = [sys.executable, str(CLIENT), f"ws://127.0.0.1:{port}", "continuous", str(sent), "en-US"]
    program = threading.Thread(
        target=lambda: told.append(subprocess.run(command, capture_output=True, text=True, timeout=120, check=False))
    )
    program.start()
    virtual_mic.play(spoken)
    program.join(120)
    mock_release(17)
    listener.wait_on("translation/pt")

    lines = [json.loads(line) for line in told[0].stdout.splitlines() if line.startswith("{")]
    heard = " ".join(line["text"] for line in events(lines, "recognized"))
    assert word_errors(written, heard) <= 0.2, told[0]
    finals = [message.json["text"] for message in listener.on("transcript/final")]
    assert word_errors(said, " ".join(finals)) <= 0.2, finals


def test_a_second_daemon_or_server_on_one_state_folder_ends_with_a_line_that_says_so(
    start_here, port, configuration, listener
):
    daemon = start_here()
    for name, more in {"outbox": ("run",), "transcriptions": ("serve", "--port", "0")}.items():
        flags = [f"--set=state_directory={configuration['state_directory']}", "--set=controls.pins=none"]
        flags += [f"--set=mqtt.port={configuration['mqtt']['port']}", "--set=mqtt.device=bench"]
        second = subprocess.run(
            [sys.executable, "-m", "device", *flags, *more], capture_output=True, text=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL, env=os.environ,
        )  # fmt: skip
        assert second.returncode == 1, second
        assert f"{name}.sqlite is in use by another" in second.stderr.splitlines()[-1]
        assert "Traceback" not in second.stderr
    assert httpx.get(f"http://127.0.0.1:{port}/healthz").text == "ok"
    assert daemon.state


def test_what_is_said_to_the_device_is_read_along_over_http(start_here, port, listener, virtual_mic, recordings):
    spoken, said = next(clip for clip in recordings.clips("en") if clip[0].stem == "quick_brown_fox")
    start_here()
    listener.wait(lambda messages: any(m.topic.endswith("/state") and m.json["state"] == "idle" for m in messages))
    base = f"http://127.0.0.1:{port}/captions"
    with (
        httpx.stream("GET", f"{base}/live.vtt?to=pt", timeout=60) as captions,
        httpx.stream("GET", f"{base}/events?to=pt", timeout=60) as happenings,
    ):
        mock_press(17)
        listening(listener)
        virtual_mic.play(spoken)
        mock_release(17)
        seen = []
        for line in captions.iter_lines():
            seen.append(line)
            if "raposa" in line:
                break
        names, texts = [], {}
        for line in happenings.iter_lines():
            kind, _, value = line.partition(": ")
            if kind == "event":
                names.append(value)
            elif kind == "data":
                texts[names[-1]] = json.loads(value)
            if names[-1:] == ["caption"] and kind == "data":
                break
    assert seen[0] == "WEBVTT"
    assert any("-->" in line for line in seen)
    assert names.index("partial") < names.index("final") < names.index("translation") < names.index("caption")
    assert word_errors(said, texts["final"]["text"]) <= 0.2
    assert "raposa" in texts["translation"]["text"]
