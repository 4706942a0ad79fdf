"""What the device promises, shown on real models, a real broker, real audio and mock pins."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import sqlite3
from contextlib import closing
from difflib import SequenceMatcher

import numpy as np
import pytest

from device.audio.files import read_blocks
from device.config import Settings
from device.controls.pins import mock_press, mock_release
from device.engines.registry import Engines
from device.events import Final
from tests.audio.pulse import until

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]


def words(text):
    return "".join(c if c.isalnum() or c == " " else " " for c in text.lower()).split()


def fox(recordings):
    path, said = next((p, t) for p, t in recordings.clips("en") if "fox" in p.name)
    return path, said


def state(listener, value):
    listener.wait(lambda messages: any(m.topic.endswith("/state") and m.json.get("state") == value for m in messages))


def wait_ready(listener):
    state(listener, "idle")


def test_speech_becomes_text_translation_and_voice_at_the_press_of_a_button(
    start_here, listener, virtual_mic, recordings, tmp_path
):
    path, said = fox(recordings)
    heard = tmp_path / "spoken.wav"
    start_here()
    wait_ready(listener)
    recorder = virtual_mic.record_speaker(heard)
    mock_press(17)
    state(listener, "listening")
    virtual_mic.play(path)
    mock_release(17)
    listener.wait_on("translation/pt")
    state(listener, "speaking")
    listener.wait(lambda messages: [m.json["state"] for m in messages if m.topic.endswith("/state")][-1] == "idle")
    virtual_mic.finish(recorder)

    final = listener.on("transcript/final")[0].json
    translation = listener.on("translation/pt")[0].json
    assert words(final["text"])[-8:] == words(said)[-8:]
    assert {"raposa", "marrom"} <= set(words(translation["text"]))
    assert (final["utterance"], final["sequence"]) == (translation["utterance"], translation["sequence"])
    assert translation["route"] == ["en", "pt"]
    assert "timings" in final
    actions = [m.json["action"] for m in listener.on("event/button")]
    assert actions[0] == "press"
    assert actions[-1] == "release"
    topics = [m.topic.rsplit("/", 2)[-1] for m in listener.messages]
    assert topics.index("final") < topics.index("pt")

    # What came out of the speaker is Portuguese that a recogniser of another kind understands.
    with Engines.open(Settings()) as engines:
        spoken = np.concatenate(list(read_blocks(heard)))
        loud = np.flatnonzero(np.abs(spoken) > 0.01)
        spoken = spoken[max(0, loud[0] - 4000) : loud[-1] + 4000]
        back = engines.recognizer("pt").session("pt").recognize(spoken, final=True).text
    alike = SequenceMatcher(None, " ".join(words(back)), " ".join(words(translation["text"]))).ratio()
    assert alike > 0.6, back  # no two voicings sound the same


def test_partial_texts_and_translations_are_published_while_somebody_talks(
    start_here, listener, virtual_mic, recordings
):
    start_here()
    wait_ready(listener)
    mock_press(17)
    state(listener, "listening")
    long = virtual_mic.play(recordings / "two_cities.wav", wait=False)
    listener.wait_on("translation/pt/partial")
    assert not listener.on("transcript/final")
    long.kill()
    mock_release(17)
    final = listener.wait_on("transcript/final")[0].json
    partial = listener.on("transcript/partial")[0].json
    assert partial["utterance"] == final["utterance"]
    assert words(partial["text"])[:1] == words(final["text"])[:1]


def test_an_open_microphone_hears_sentences_and_not_the_devices_own_voice(
    start_here, configuration, listener, virtual_mic, recordings
):
    configuration["controls"]["trigger"] = "open"
    path, said = fox(recordings)
    finals = []
    daemon = start_here(listeners=[lambda e: finals.append(e) if isinstance(e, Final) else None])
    state(listener, "listening")
    virtual_mic.play(path)
    listener.wait_on("translation/pt")
    assert [words(f.text)[-8:] for f in finals] == [words(said)[-8:]]
    until(lambda: not daemon.voice.deafens and not daemon.voice.speaking)

    listener.publish(
        "dragoman/bench/cmd/say",
        json.dumps("Uma frase muito comprida, com muitas palavras, que demora bastante tempo, mais do que o cão."),
    )
    until(lambda: daemon.voice.speaking)
    virtual_mic.play(path)
    assert daemon.voice.speaking, "the recording must end before the voice does"
    until(lambda: not daemon.voice.speaking)
    assert daemon.interpreter.wait(30)
    assert len(finals) == 1

    until(lambda: not daemon.voice.deafens)
    virtual_mic.play(path)
    listener.wait_on("translation/pt", count=2)


def test_a_stuck_button_is_cut_at_the_longest_turn_and_reported(
    start_here, configuration, listener, virtual_mic, recordings
):
    configuration["controls"]["longest_turn"] = 4.0
    path, said = fox(recordings)
    start_here()
    wait_ready(listener)
    mock_press(17)
    state(listener, "listening")
    virtual_mic.play(path, wait=False)
    final = listener.wait_on("transcript/final")[0].json
    assert words(final["text"])[:4] == words(said)[:4]
    alert = listener.wait(lambda messages: any("/alert/" in m.topic and m.payload for m in messages))
    text = next(m.json["text"] for m in alert if "/alert/" in m.topic and m.payload)
    assert "'talk'" in text
    mock_release(17)
    listener.wait(lambda messages: any("/alert/" in m.topic and not m.payload for m in messages))


def test_a_microphone_that_vanishes_is_reported_and_found_again(
    start_here, configuration, listener, virtual_mic, recordings
):
    configuration["controls"]["trigger"] = "open"
    configuration["audio"] = {"output": "null"}
    path, said = fox(recordings)
    start_here()
    state(listener, "listening")
    virtual_mic.kill()
    listener.wait(lambda messages: any(m.topic.endswith("alert/microphone") and m.payload for m in messages))
    state(listener, "error")
    virtual_mic.start()
    listener.wait(lambda messages: any(m.topic.endswith("alert/microphone") and not m.payload for m in messages))
    virtual_mic.play(path)
    assert words(listener.wait_on("transcript/final")[0].json["text"])[-8:] == words(said)[-8:]


def test_commands_change_what_the_device_does(start_here, listener, virtual_mic, recordings):
    daemon = start_here()
    wait_ready(listener)
    numbers = itertools.count()

    def ask(topic, payload):
        answer = f"dragoman/bench/reply/{next(numbers)}"
        listener.publish(
            f"dragoman/bench/{topic}", json.dumps(payload), ResponseTopic=answer, CorrelationData=topic.encode()
        )
        message = listener.wait_on(answer)[0]
        assert message.properties.CorrelationData == topic.encode()
        return message.json

    assert ask("cmd/translate", "Good morning.")["translations"] == {"pt": "Bom dia."}
    assert ask("cmd/say", "Bom dia.")["duration"] > 0.3
    until(lambda: daemon.voice.speaking)
    assert ask("cmd/repeat", {})["ok"]
    assert ask("cmd/stop", {})["ok"]
    until(lambda: not daemon.voice.speaking)
    assert ask("set/volume", 0.25)["ok"]
    assert daemon.voice.player.volume == 0.25
    assert ask("set/mode", "open")["ok"]
    state(listener, "listening")
    assert ask("set/mute", True)["ok"]
    state(listener, "muted")
    refused = ask("set/targets", ["pt", "ja"])
    assert not refused["ok"]
    assert "ja" in refused["error"]
    assert daemon.settings.directions[0].targets == ("pt",)
    assert not ask("set/volume", 7)["ok"]
    assert ask("set/targets", [])["ok"]
    assert daemon.settings.directions[0].targets == ()


def test_final_survives_a_killed_daemon_and_an_absent_broker(
    start_process, configuration, broker, listener, virtual_mic, recordings, tmp_path
):
    configuration["controls"]["trigger"] = "open"
    configuration["audio"] = {"output": "null"}
    path, said = fox(recordings)
    daemon = start_process()
    state(listener, "listening")
    broker.stop()
    outbox = tmp_path / "state" / "outbox.sqlite"

    def waiting():
        """Return what is in the outbox, from a copy: the daemon lets nobody else in."""
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in outbox.parent.glob("outbox.sqlite*"):
            shutil.copy(file, copy)
        with closing(sqlite3.connect(copy / outbox.name)) as database:
            return [json.loads(p) for (p,) in database.execute("SELECT payload FROM entries ORDER BY id")]

    virtual_mic.play(path)
    until(lambda: any(p.get("type") == "translation" for p in waiting()))
    daemon.kill()
    kept = waiting()
    broker.start()
    start_process()
    listener.wait_on("translation/pt")
    got = listener.on("transcript/final")[0].json
    assert words(got["text"])[-8:] == words(said)[-8:]
    assert got["utterance"] == kept[0]["utterance"]
    until(lambda: not waiting())


def test_a_sentence_in_progress_is_finished_when_the_daemon_is_told_to_stop(
    start_process, listener, virtual_mic, recordings
):
    daemon = start_process()
    wait_ready(listener)
    listener.publish("dragoman/bench/cmd/listen", "{}")
    state(listener, "listening")
    virtual_mic.play(recordings / "two_cities.wav", wait=False)
    partial = listener.wait_on("transcript/partial")[0].json
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(60) == 0, daemon.text()
    final = listener.wait_on("transcript/final")[0].json
    assert final["utterance"] == partial["utterance"]
    assert words(final["text"])[:3] == ["it", "was", "the"]
    listener.wait_on("translation/pt")
    listener.wait_on("availability", payload=b"offline")
    assert "times" not in daemon.text(), "what was said is not logged"


def test_a_second_daemon_is_refused_in_one_line(start_process, listener):
    first = start_process()
    wait_ready(listener)
    second = start_process()
    assert second.process.wait(60) == 1
    assert second.text().count("\n") == 1, second.text()
    assert "in use by another process" in second.text()
    assert first.process.poll() is None
