"""Full duplex with real streams: the microphone hears the speaker, and people talk over the device's voice."""

from __future__ import annotations

import json

import pytest

from device.events import Final
from tests.audio.pulse import until
from tests.e2e.test_daemon import fox, state, words

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]

LONG = (
    "Uma frase muito comprida, com muitas palavras, que demora bastante tempo, e depois dela ainda outra frase, que "
    "também demora, porque quem fala com o aparelho não precisa de esperar que ele acabe de falar, e pode dizer o que "
    "quiser quando quiser, mesmo que a voz do aparelho ainda se ouça na sala inteira e no microfone. "
)
TRIES = 6
"""A busy machine makes PulseAudio stumble, which shifts the echo; then its path must be learnt again."""


def test_who_talks_over_the_devices_voice_is_heard_and_the_device_does_not_hear_itself(
    start_here, configuration, listener, virtual_mic, recordings, monkeypatch
):
    # As after a few underruns, which a busy machine brings; each shifts the echo.
    monkeypatch.setattr("device.audio.playback.PERIOD", 0.05)
    configuration["controls"]["trigger"] = "open"
    configuration["frontend"] = {"echo": {"enabled": True}}
    configuration["audio"] = {"channels": 1}
    path, said = fox(recordings)
    finals = []
    virtual_mic.hear_speaker()
    daemon = start_here(listeners=[lambda e: finals.append(e.text) if isinstance(e, Final) else None])
    state(listener, "listening")
    for _ in range(TRIES):
        finals.clear()
        listener.publish("dragoman/bench/cmd/say", json.dumps(3 * LONG))
        until(lambda: daemon.voice.speaking)
        # Half duplex until the echo's path is known; then the device listens while it talks.
        until(lambda: daemon._ears.full_duplex or not daemon.voice.speaking)
        if daemon.voice.speaking:
            virtual_mic.play(path)
            spoke_on = daemon.voice.speaking
            until(lambda: finals or not daemon.voice.speaking)
            if spoke_on and [words(text)[-6:] for text in finals] == [words(said)[-6:]]:
                return
        daemon.voice.silence()
        until(lambda: not daemon.voice.speaking)
        assert daemon.interpreter.wait(60)
    pytest.fail(f"nobody was understood over the device's voice in {TRIES} tries; at last: {finals}")
