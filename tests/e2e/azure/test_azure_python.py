"""Azure's own Python SDK against the device: real recordings, real models, and no network but loopback."""

from pathlib import Path

import pytest

from tests.e2e.azure.conftest import events, plain, word_errors
from tests.engines.speech import TWO_CITIES

pytestmark = [pytest.mark.e2e, pytest.mark.models]

SSML = (
    "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='en-US'><voice name='{voice}'>"
    "{text}</voice></speak>"
)
FOX = "The quick brown fox jumps over the lazy dog."


def test_recognize_once(served, recordings):
    for path, said in recordings.clips("en"):
        (told,) = served.python("once", path)
        assert told["reason"] == "RecognizedSpeech"
        assert word_errors(said, told["text"]) <= 0.2, told["text"]


def test_continuous_recognition_with_partials(served, recordings):
    told = served.python("continuous", recordings / "two_cities.wav", "en-US", "detailed")
    finals = events(told, "recognized")
    assert events(told, "recognizing")
    assert word_errors(TWO_CITIES, " ".join(e["text"] for e in finals)) <= 0.15
    assert events(told, "canceled") == [{"event": "canceled", "reason": "EndOfStream", "details": ""}]
    assert [e["offset"] for e in finals] == sorted(e["offset"] for e in finals)
    best = finals[0]["json"]["NBest"][0]
    assert best["Display"] == finals[0]["text"]
    assert plain(best["Lexical"]) == best["Lexical"].replace("'", " ")


def test_two_targets_one_direct_and_one_routed(served, recordings):
    path, said = recordings.clips("zh")[1]
    told = served.python("translate", path, "zh-CN", "en,pt-BR")
    (final,) = events(told, "recognized")
    assert said.rstrip("。") == "你好世界"
    assert final["reason"] == "TranslatedSpeech"
    assert plain(final["translations"]["en"]) in {"hello world", "hello the world", "hi world"}
    assert plain(final["translations"]["pt-BR"]).split()[0] in {"olá", "oi"}


def test_spoken_translation_is_heard_back(served, recordings, tmp_path):
    path, _ = next(clip for clip in recordings.clips("pt") if clip[0].stem == "contagem")
    told = served.python("translate", path, "pt-BR", "en", "en-US-JennyNeural")
    (final,) = events(told, "recognized")
    pieces = events(told, "synthesizing")
    assert pieces[-1]["reason"] == "SynthesizingAudioCompleted"
    sound = tmp_path / "spoken.wav"
    sound.write_bytes(with_sizes(b"".join(bytes.fromhex(piece["audio"]) for piece in pieces)))
    (heard,) = served.python("once", sound)
    assert word_errors(final["translations"]["en"], heard["text"]) <= 0.2, (final, heard)


def with_sizes(data: bytes) -> bytes:
    size = len(data) - 44
    return data[:4] + (size + 36).to_bytes(4, "little") + data[8:40] + size.to_bytes(4, "little") + data[44:]


def test_language_identification(served, recordings):
    for language, locale in (("en", "en-US"), ("pt", "pt-BR"), ("zh", "zh-CN")):
        path, _ = max(recordings.clips(language), key=lambda clip: clip[0].stat().st_size)
        (told,) = served.python("identify", path, "en-US", "pt-BR", "zh-CN")
        assert told["language"] == locale


def test_words_have_times_where_the_model_tells_them(served, recordings):
    path, said = max(recordings.clips("pt"), key=lambda clip: clip[0].stat().st_size)
    (told,) = events(served.python("continuous", path, "pt-BR", "words"), "recognized")
    words = told["json"]["NBest"][0]["Words"]
    assert word_errors(said, " ".join(word["Word"] for word in words)) <= 0.3
    begins = [word["Offset"] for word in words]
    assert begins == sorted(begins)
    assert told["json"]["Offset"] - 5_000_000 <= begins[0]
    assert words[-1]["Offset"] + words[-1]["Duration"] <= told["json"]["Offset"] + told["json"]["Duration"] + 5_000_000


def test_options_that_programs_set_are_taken(served, recordings):
    path, said = recordings.clips("en")[0]
    told = served.python("continuous", path, "en-US", "masked", "truetext", "phrases")
    assert word_errors(said, events(told, "recognized")[0]["text"]) <= 0.2


@pytest.mark.parametrize(
    "name", ["", "Audio16Khz32KBitRateMonoMp3", "Ogg24Khz16BitMonoOpus", "Audio24Khz16Bit48KbpsMonoOpus"]
)
def test_speech_in_a_format_of_choice_is_heard_back(served, tmp_path, name):
    out = tmp_path / "speech"
    told = served.python("speak", SSML.format(voice="en-US-JennyNeural", text=FOX), out, name)
    assert events(told, "spoken")[0]["reason"] == "SynthesizingAudioCompleted"
    sound = as_wav(out, tmp_path / "speech.wav")
    (heard,) = served.python("once", sound)
    assert word_errors(FOX, heard["text"]) <= 0.34, heard["text"]  # the voice varies, the first word is short


def as_wav(path: Path, out: Path) -> Path:
    import numpy as np

    from device.audio.files import read_blocks
    from device.audio.wav import write_wav

    write_wav(out, np.concatenate(list(read_blocks(path))), 16_000)
    return out


def test_boundaries_bookmarks_and_duration(served, tmp_path):
    text = f"{FOX} <bookmark mark='here'/><break time='500ms'/> That is all."
    told = served.python("speak", SSML.format(voice="en-US-JoeNeural", text=text), tmp_path / "x.wav")
    words = [e for e in events(told, "boundary") if e["kind"] == "Word"]
    assert [e["text"] for e in words] == [*FOX.rstrip(".").split(), "That", "is", "all"]
    assert [e["offset"] for e in words] == sorted(e["offset"] for e in words)
    (mark,) = events(told, "bookmark")
    after = next(e["offset"] for e in words if e["text"] == "That")
    assert after - mark["offset"] == pytest.approx(0.5, abs=0.01)
    sentences = [e["text"] for e in events(told, "boundary") if e["kind"] == "Sentence"]
    assert sentences == [FOX, "That is all."]
    samples = (tmp_path / "x.wav").stat().st_size - 44
    assert events(told, "spoken")[0]["duration"] == pytest.approx(samples / 2 / 16_000, abs=0.05)


def test_voices_list(served):
    (told,) = served.python("voices")
    assert told["names"] == ["en-US-JoeNeural", "pt-BR-FaberNeural"]


def test_errors_say_what_is_wrong_and_come_at_once(served, recordings, tmp_path):
    path, _ = recordings.clips("en")[0]
    told = served.python("translate", path, "en-US", "ja")
    (canceled,) = events(told, "canceled")
    assert canceled["reason"] == "Error"
    assert "cannot be translated into 'ja' here; installed: " in canceled["details"]
    told = served.python("speak", SSML.format(voice="de-DE-KatjaNeural", text="Hallo"), tmp_path / "x")
    assert "installed: en-US-JoeNeural, pt-BR-FaberNeural" in events(told, "spoken")[0]["error"]


def test_a_wrong_key_is_an_authentication_failure(start_server, recordings, tmp_path):
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(0o600)
    guarded = start_server(key_file=str(key))
    (told,) = guarded.python("once", recordings.clips("en")[0][0])
    assert told["reason"] == "Canceled"
    assert "Authentication" in told["error"] or "401" in told["error"]
