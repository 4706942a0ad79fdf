"""Azure's JavaScript SDK, and the client of the Translator Speech API, under Node.js against the device."""

import pytest

from tests.e2e.azure.conftest import events, plain, word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.models]

FOX = "quick_brown_fox"


def clip(recordings, stem, language="en"):
    return next(found for found in recordings.clips(language) if found[0].stem == stem)


def test_recognize_once(node, recordings):
    for path, said in recordings.clips("en"):
        (told,) = node.javascript("client.js", "once", path, "en-US")
        assert told["reason"] == "RecognizedSpeech"
        assert word_errors(said, told["text"]) <= 0.2, told["text"]


@pytest.mark.parametrize("shape", ["", "v1"])
def test_translation_with_voice_in_both_shapes(node, recordings, shape):
    path, said = clip(recordings, FOX)
    told = node.javascript("client.js", "translate", path, "en-US", "pt", "pt-BR-AntonioNeural", shape)
    (final,) = events(told, "recognized")
    assert word_errors(said, final["text"]) <= 0.2
    assert "raposa" in plain(final["translations"]["pt"])
    pieces = events(told, "synthesizing")
    assert pieces[0]["audio"].startswith(b"RIFF".hex())
    assert pieces[-1]["reason"] == "SynthesizingAudioCompleted"


def test_two_targets_one_direct_and_one_routed(node, recordings):
    path, _ = recordings.clips("zh")[1]
    told = node.javascript("client.js", "translate", path, "zh-CN", "en,pt")
    (final,) = events(told, "recognized")
    assert "world" in final["translations"]["en"].lower()
    assert "mundo" in final["translations"]["pt"].lower()


def test_speech_is_heard_back(node, tmp_path):
    said = "The weather is fine today, and we would like to walk along the river to the old bridge."
    told = node.javascript("client.js", "speak", "en-US-JennyNeural", said, tmp_path / "x.wav")
    assert events(told, "spoken")[0]["reason"] == "SynthesizingAudioCompleted"
    assert [e["text"] for e in events(told, "boundary")][:3] == ["The", "weather", "is"]
    (heard,) = node.javascript("client.js", "once", tmp_path / "x.wav", "en-US")
    assert word_errors(said, heard["text"]) <= 0.2, heard["text"]  # no two voicings of a sentence sound the same


def test_errors_say_what_is_wrong(node, recordings, tmp_path):
    told = node.javascript("client.js", "translate", clip(recordings, FOX)[0], "en-US", "ja")
    assert "cannot be translated into 'ja' here; installed: " in events(told, "canceled")[0]["details"]
    (told,) = node.javascript("client.js", "speak", "de-DE-KatjaNeural", "Hallo", tmp_path / "x")
    assert "installed: en-US-JoeNeural" in told["error"]


def test_the_translator_speech_client_of_2017(node, recordings, tmp_path):
    path, said = clip(recordings, FOX)
    out = tmp_path / "x.wav"
    told = node.javascript("legacy.js", "no-key-needed", path, "en-US", "pt-BR", "pt-BR-Faber", out)
    final = next(line for line in told if line.get("type") == "final")
    assert word_errors(said, final["recognition"]) <= 0.2
    assert "raposa" in plain(final["translation"])
    assert final["audioTimeSize"] > 10_000_000
    partials = [line for line in told if line.get("type") == "partial"]
    assert partials
    assert all(line["id"].startswith(f"{final['id']}.") for line in partials)
    assert out.read_bytes().startswith(b"RIFF")


def test_what_the_translator_speech_client_hears_is_the_translation(node, recordings, tmp_path):
    path, _ = clip(recordings, "contagem", "pt")
    out = tmp_path / "x.wav"
    told = node.javascript("legacy.js", "no-key-needed", path, "pt-BR", "en-US", "en-US-Joe", out)
    final = next(line for line in told if line.get("type") == "final")
    (heard,) = node.javascript("client.js", "once", out, "en-US")
    assert word_errors(final["translation"], heard["text"]) <= 0.2, (final, heard)
