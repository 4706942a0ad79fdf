"""The Translator Speech API of 2016 to 2018: what its programs receive for what is said."""

import io
import json
import struct
import threading

import numpy as np
import pytest
import soundfile

from device.audio.wav import to_pcm16
from device.server.wave import wave_header
from tests.server.conftest import ServedEngines, wait_for
from tests.support.engines import silence, speak

PATH = "/speech/translate?from=en-US&to=pt-BR"
THREE = np.concatenate([silence(0.5), speak("one two three"), silence(1.2)])


def send(client, samples, rate=16_000, chunk=3200):
    data = wave_header(rate) + to_pcm16(samples)
    for start in range(0, len(data), chunk):
        client.socket.send(data[start : start + chunk])


def results(client, until="final"):
    """Return what comes up to the first result of that kind."""
    found = []
    while not found or found[-1]["type"] != until:
        found.append(json.loads(client.socket.recv(30)))
    return found


def test_a_final_has_what_was_heard_and_its_translation(served, dial):
    client = dial(served, PATH)
    send(client, THREE)
    (final,) = results(client)
    assert final == {"type": "final", "id": "1", "recognition": "one two three", "translation": "ONE TWO THREE"}


def test_partials_come_where_they_were_asked_for(served, dial):
    client = dial(served, f"{PATH}&Features=Partial")
    send(client, np.concatenate([silence(0.3), speak("one two three four five six")]))
    partial = results(client, "partial")[-1]
    assert partial["id"] == "1.1"
    assert partial["recognition"].upper().startswith(partial["translation"])  # which may wait until it is steady


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_positions_are_bytes_of_the_audio_that_was_sent(served, dial, rate):
    client = dial(served, f"{PATH}&features=timinginfo")
    send(client, THREE[:: 16_000 // rate], rate)
    final = results(client)[-1]
    assert final["audioTimeOffset"] / 1e7 == pytest.approx(0.5, abs=0.1)
    assert final["audioStreamPosition"] == pytest.approx(final["audioTimeOffset"] / 1e7 * rate * 2, abs=4)
    assert final["audioSizeBytes"] == pytest.approx(final["audioTimeSize"] / 1e7 * rate * 2, abs=4)
    assert final["audioStreamPosition"] % 2 == final["audioSizeBytes"] % 2 == 0


def test_a_header_may_come_in_many_pieces(served, dial):
    client = dial(served, PATH)
    data = wave_header(16_000) + to_pcm16(THREE)
    for start in range(0, 44, 7):
        client.socket.send(data[start : min(start + 7, 44)])
    client.socket.send(data[44:])
    assert results(client)[-1]["recognition"] == "one two three"


def test_what_was_heard_is_told_although_its_translation_failed(serve, dial):
    engines = ServedEngines()
    engines.mt.error = RuntimeError("no memory")
    client = dial(serve(engines=engines), PATH)
    send(client, THREE)
    final = results(client)[-1]
    engines.close()
    assert (final["recognition"], final["translation"]) == ("one two three", "")


def test_speech_follows_its_text_as_one_message(served, dial):
    client = dial(served, f"{PATH}&features=texttospeech&voice=pt-BR-Ana")
    send(client, THREE)
    results(client)
    sound = client.socket.recv(30)
    info = soundfile.info(io.BytesIO(sound))
    assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
    assert struct.unpack_from("<I", sound, 40)[0] == len(sound) - 44 > 0


def test_what_was_said_is_answered_before_a_server_that_stops_closes_the_socket(served, dial, closed):
    client = dial(served, f"{PATH}&features=partial")
    send(client, np.concatenate([silence(0.3), speak("one two three four five"), silence(0.3)]))
    results(client, "partial")
    stopping = threading.Thread(target=served.server.stop)
    stopping.start()
    assert results(client)[-1]["recognition"] == "one two three four five"
    assert closed(client) == (1001, "the server stops")
    stopping.join(10)
    assert not stopping.is_alive()
    wait_for(lambda: served.service.connections == 0)
