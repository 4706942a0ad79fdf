"""A conversation in two languages with one open microphone, through the daemon's own configuration."""

from __future__ import annotations

import pytest

from tests.e2e.test_daemon import state, words

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]


def test_an_open_microphone_picks_the_direction_by_the_language_that_it_hears(
    start_here, listener, virtual_mic, recordings, configuration, model_dir
):
    for model in ("asr-whisper-base", "mt-bergamot-pt-en"):
        model_dir(model)
    configuration["controls"]["trigger"] = "open"
    configuration["identify"] = True
    configuration["speech"] = {"enabled": False}
    configuration["directions"] = [{"source": "en", "targets": ["pt"]}, {"source": "pt", "targets": ["en"]}]
    start_here()
    state(listener, "listening")
    spoken = [("en", "fox"), ("pt", ""), ("en", "fox")]
    said = []
    for number, (language, name) in enumerate(spoken, 1):
        path, text = next((p, t) for p, t in recordings.clips(language) if name in p.name)
        said.append(text)
        virtual_mic.play(path)
        listener.wait_on("transcript/final", number)
    finals = [message.json for message in listener.wait_on("transcript/final", len(spoken))]
    assert [final["language"] for final in finals] == [language for language, _ in spoken]
    assert [final["direction"] for final in finals] == [0, 1, 0]
    for final, text in zip(finals, said, strict=True):
        assert set(words(final["text"])) & set(words(text)), "it was heard in its language"
    into = {"pt": 2, "en": 1}
    for language, count in into.items():
        assert all(m.json["source_language"] != language for m in listener.wait_on(f"translation/{language}", count))
