"""The device tells two people apart: on MQTT, and to those who read along."""

import socket
import threading
from contextlib import closing

import httpx
import pytest
import soundfile

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]


def test_the_daemon_says_who_said_it(start_here, configuration, listener, virtual_mic, recordings, model_dir, tmp_path):
    for model in ("segment-pyannote", "speaker-wespeaker"):
        model_dir(model)
    configuration["controls"]["trigger"] = "open"
    configuration["speakers"] = {"enabled": True}
    configuration["speech"] = {"enabled": False}
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration["server"] = {"enabled": True, "port": port}
    sound, rate = soundfile.read(recordings / "endgame_nagg_nell.wav")
    soundfile.write(tmp_path / "talk.wav", sound[round(4.7 * rate) : round(14.4 * rate)], rate)  # Nagg, Nell, Nagg
    start_here()
    listener.wait(lambda messages: any(m.topic.endswith("/state") and m.json["state"] == "listening" for m in messages))
    captions = []

    def follow():
        with httpx.stream("GET", f"http://127.0.0.1:{port}/captions/live.vtt?to=pt", timeout=120) as answer:
            for line in answer.iter_lines():
                following.set()
                captions.append(line)
                if "Speaker 2" in line:
                    return

    following = threading.Event()
    reader = threading.Thread(target=follow, name="reader", daemon=True)
    reader.start()
    assert following.wait(60)
    virtual_mic.play(tmp_path / "talk.wav")
    translations = [message.json for message in listener.wait_on("translation/pt", count=3)]
    finals = [message.json for message in listener.on("transcript/final")]
    assert [final["speaker"] for final in finals] == [1, 2, 1], [final["text"] for final in finals]
    assert [t["speaker"] for t in translations] == [1, 2, 1]
    reader.join(60)
    voices = [line.split(">")[0] for line in captions if line.startswith("<v ")]
    assert (voices[0], voices[-1]) == ("<v Speaker 1", "<v Speaker 2")
