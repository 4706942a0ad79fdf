"""``dragoman translate`` and ``say`` on real models, with what people really pass to them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from device.modelstore.store import default_directory

pytestmark = [pytest.mark.e2e, pytest.mark.models]
MODELS = ("asr-moonshine-tiny-en", "mt-bergamot-en-pt", "tts-piper-pt-faber", "vad-silero")


@pytest.fixture(scope="module", autouse=True)
def _models(model_dir):
    for model in MODELS:
        model_dir(model)


@pytest.fixture(scope="module")
def fox(recordings):
    return next((path, said) for path, said in recordings.clips("en") if "fox" in path.name)


def dragoman(*arguments, stdin=b"", **options):
    prefer = '--set=models.prefer={"asr:en": "asr-moonshine-tiny-en"}'
    given = {} if stdin is None else {"input": stdin}
    done = subprocess.run(
        [sys.executable, "-m", "device", prefer, *map(str, arguments)], capture_output=True, **given, **options
    )
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in done.err
    return done


def events(done):
    return [json.loads(line) for line in done.out.splitlines()]


def words(text):
    return "".join(c if c.isalnum() or c == " " else " " for c in text.lower()).split()


def test_a_recording_becomes_text_translation_and_a_voice(fox, tmp_path):
    path, said = fox
    out = tmp_path / "out.wav"
    done = dragoman("translate", path, "--from", "en", "--to", "pt", "--speak", out)
    assert done.returncode == 0, done.err
    source, target = done.out.splitlines()
    assert words(source)[3:] == words(said)
    assert target.split()[0] == "pt"
    assert "raposa" in target
    sound, rate = soundfile.read(out)
    assert rate == 22050
    assert len(sound) > 2 * rate
    assert np.abs(sound).max() > 0.1
    assert done.err == "", "no progress bar in a pipe"


def test_json_tells_every_event_and_when_it_was_told(fox, tmp_path):
    path, said = fox
    done = dragoman("translate", path, "--to", "pt", "--speak", tmp_path / "o.wav", "--json", "--realtime")
    told = events(done)
    assert {e["type"] for e in told} == {"partial", "translation_partial", "final", "translation", "speech"}
    for event in told:
        assert {"type", "emitted", "utterance", "text", "language", "start", "end"} <= set(event)
    final = next(e for e in told if e["type"] == "final")
    assert words(final["text"]) == words(said)
    assert final["emitted"] >= final["end"] > final["start"]
    assert [e["emitted"] for e in told] == sorted(e["emitted"] for e in told)


def test_every_common_format_gives_the_same_words(fox, tmp_path):
    path, said = fox
    sound, rate = soundfile.read(path, dtype="float32")
    wide = np.repeat(sound[:, None], 8, axis=1)
    fast = np.interp(np.arange(len(sound) * 96000 // rate) * rate / 96000, np.arange(len(sound)), sound)
    files = []
    for name, data, fs, kind in [
        ("8bit.wav", sound, rate, {"subtype": "PCM_U8"}),
        ("24bit.wav", sound, rate, {"subtype": "PCM_24"}),
        ("float.wav", sound, rate, {"subtype": "FLOAT"}),
        ("96k.wav", fast, 96000, {}),
        ("8ch.wav", wide, rate, {}),
        ("a.mp3", sound, rate, {}),
        ("a.flac", sound, rate, {}),
        ("a.opus", np.asarray(fast)[::2], 48000, {"format": "OGG", "subtype": "OPUS"}),
    ]:
        soundfile.write(tmp_path / name, data, fs, **kind)
        files.append(tmp_path / name)
    done = dragoman("translate", *files, "--to", "pt", "--json", "--no-partials")
    assert done.returncode == 0, done.err
    finals = [e for e in events(done) if e["type"] == "final"]
    assert [e["file"] for e in finals] == [str(f) for f in files]
    for final in finals:
        assert words(final["text"]) == words(said), final["file"]


def test_files_that_are_no_recordings_are_refused_each_in_one_line_and_the_others_are_done(fox, tmp_path):
    path, said = fox
    whole = path.read_bytes()
    bad = {
        "empty.wav": b"",
        "header.wav": whole[:44],
        "text.wav": b"This is a text, not a recording.\n" * 20,
        "noise.mp3": bytes(range(256)) * 8,
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.wav").mkdir()
    wrong = [tmp_path / name for name in [*bad, "folder.wav", "missing.wav"]]
    done = dragoman("translate", *wrong, path, "--to", "pt", "--json", "--no-partials")
    assert done.returncode == 1
    told = events(done)
    assert [e["file"] for e in told if e["type"] == "error"] == [str(p) for p in wrong]
    assert [words(e["text"]) for e in told if e["type"] == "final"] == [words(said)]
    assert len(done.err.splitlines()) == len(wrong)
    for line, file in zip(done.err.splitlines(), wrong, strict=True):
        assert line.startswith("dragoman: ")
        assert file.name in line


def test_a_truncated_recording_gives_what_is_there_and_says_so(fox, tmp_path):
    path, said = fox
    data = path.read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: len(data) * 2 // 3])
    done = dragoman("translate", tmp_path / "cut.wav", "--to", "pt")
    assert done.returncode == 0
    assert words(done.out)[3:7] == words(said)[:4]
    assert "cut.wav" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["silence", "noise", "hum", "click", "cut"])
def test_what_is_no_speech_gives_no_text(kind, fox, tmp_path):
    rng = np.random.default_rng(7)
    seconds = np.arange(5 * 16000) / 16000
    sound = {
        "silence": np.zeros(5 * 16000),
        "noise": rng.normal(0, 0.1, 5 * 16000),
        "hum": 0.3 * np.sin(2 * np.pi * 50 * seconds),
        "click": np.where(np.arange(5 * 16000) % 16000 == 8000, 0.9, 0.0),
    }.get(kind)
    if sound is None:
        speech, rate = soundfile.read(fox[0])
        sound = speech[int(1.0 * rate) : int(1.5 * rate)]
        soundfile.write(tmp_path / "x.wav", sound, rate)
    else:
        soundfile.write(tmp_path / "x.wav", sound, 16000)
    done = dragoman("translate", tmp_path / "x.wav", "--to", "pt", "--json")
    assert (done.returncode, done.out) == (0, "")
    assert done.err == f"dragoman: {tmp_path / 'x.wav'}: no speech was found\n"


def test_several_recordings_are_named_once_each_before_their_words(fox, tmp_path):
    for name in ("one.wav", "two.wav"):
        shutil.copy(fox[0], tmp_path / name)
    done = dragoman("translate", tmp_path / "one.wav", tmp_path / "none.wav", tmp_path / "two.wav", "--to", "pt")
    assert done.returncode == 1
    assert done.err == f"dragoman: {tmp_path / 'none.wav'}: no such file\n"
    shown = done.out.splitlines()
    assert [line for line in shown if line.endswith(".wav:")] == [
        f"{tmp_path / name}:" for name in ("one.wav", "none.wav", "two.wav")
    ]
    assert sum("fox" in line for line in shown) == 2
    assert shown[0] == f"{tmp_path / 'one.wav'}:"
    assert "fox" in shown[1]


def test_stereo_with_an_inverted_channel_gives_the_same_words(fox, tmp_path):
    path, said = fox
    sound, rate = soundfile.read(path)
    soundfile.write(tmp_path / "inverted.wav", np.stack([sound, -sound], axis=1), rate)
    done = dragoman("translate", tmp_path / "inverted.wav", "--to", "pt", "--json", "--no-partials")
    assert done.err == ""
    assert words(next(e["text"] for e in events(done) if e["type"] == "final")) == words(said)


def test_lines_of_text_give_one_line_each_whatever_is_in_them():
    lines = [
        "Good morning.", "", "   ", "🙂🙂🙂", "\x07\x1b[31mred", "مرحبا بالعالم", "Call 555-1234 now.",
        "See https://example.org/a?b=c for more.", "x" * 500, "\u2028two\u2029parts\x0bthree", "...",
    ]  # fmt: skip
    done = dragoman("translate", "--text", "--to", "pt", stdin="\n".join(lines).encode() + b"\n\xff\xfe broken\n")
    assert done.returncode == 0, done.err
    out = done.out.split("\n")
    assert out.pop() == ""
    assert len(out) == len(lines) + 1
    assert out[0] == "Bom dia."
    assert out[1:3] == ["", ""] or out[1] == ""
    assert "🙂" in out[3]
    assert "مرحبا" in out[5]
    assert "555-1234" in out[6]
    assert "https://example.org/a?b=c" in out[7]


def test_lines_tell_nothing_in_translation_that_is_hidden():
    lines = ["My card is 4111 1111 1111 1111.", "IBAN DE89370400440532013000", "I live at 10 Downing Street, London."]
    kinds = 'text.redact=["card","iban","address"]'
    done = dragoman("translate", "--text", "--to", "pt", "--set", kinds, stdin="\n".join(lines).encode())
    assert done.returncode == 0, done.err
    card, account, address = done.out.splitlines()
    assert "[card]" in card
    assert "[iban]" in account
    assert "[address]" in address
    assert not any(map(str.isdigit, done.out))


def test_a_text_of_a_hundred_thousand_characters_is_translated():
    sentence = "The train to the city leaves at nine o'clock in the morning. "
    text = (sentence * (100_000 // len(sentence) + 1))[:100_000]
    done = dragoman("translate", "--text", "--to", "pt", stdin=text.encode(), timeout=280)
    assert done.returncode == 0, done.err
    assert done.out.count("\n") == 1
    assert done.out.count("trem") + done.out.count("comboio") > 1500


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--to", "pt"], 2, "recordings or --text"),
        (["--text", "x.wav", "--to", "pt"], 2, "recordings or --text"),
        (["--text", "--to", "portuguese"], 2, "portuguese"),
        (["--text", "--to", "xx-YY-zz-qq"], 2, "xx-YY-zz-qq"),
        (["--text", "--to", "ja"], 1, "ja"),
        (["--text", "--from", "ja", "--to", "pt"], 1, "ja"),
        (["--text", "--speak", "x.wav"], 2, "--speak"),
        (["--nonsense"], 2, "--nonsense"),
    ],
)
def test_wrong_use_is_told_in_one_line(arguments, code, said):
    done = dragoman("translate", *arguments)
    assert (done.returncode, done.out) == (code, "")
    assert len(done.err.splitlines()) == 1
    assert said in done.err


def test_a_damaged_model_is_named_with_what_to_do(fox, tmp_path):
    store = tmp_path / "store"
    for model in MODELS:
        shutil.copytree(default_directory() / model, store / model)
    file = store / "asr-moonshine-tiny-en" / "decoder_model_merged.ort"
    file.write_bytes(file.read_bytes()[:1_000_000])
    done = dragoman("translate", fox[0], "--to", "pt", env={**os.environ, "DRAGOMAN_MODELS": str(store)})
    assert done.returncode == 1
    assert len(done.err.splitlines()) == 1
    assert "asr-moonshine-tiny-en" in done.err
    assert "dragoman models pull" in done.err


def test_a_full_disk_is_told_and_loses_no_text(fox):
    done = dragoman("translate", fox[0], "--to", "pt", "--speak", "/dev/full", "--json", "--no-partials")
    assert done.returncode == 1
    assert "space" in done.err or "full" in done.err


def test_a_reader_that_goes_away_ends_the_command_quietly(recordings):
    command = [sys.executable, "-m", "device", "translate", recordings / "two_cities.wav", "--to", "pt", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize("closed", [True, False])
def test_output_that_cannot_be_written_is_told_once_and_ends_the_command(fox, more, closed):
    command = [sys.executable, "-m", "device", "translate", fox[0], "--to", "pt", *more]
    with Path("/dev/full").open("wb") as full:
        options = {"preexec_fn": lambda: os.close(1)} if closed else {"stdout": full}
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, **options)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert ("closed" if closed else "No space left") in line


def test_a_recording_is_never_overwritten_by_its_own_translation(fox, tmp_path):
    path = tmp_path / "own.wav"
    shutil.copy(fox[0], path)
    for arguments in (
        ["translate", path, "--to", "pt", "--speak", path],
        ["caption", path, "-o", path, "--format=srt"],
    ):
        done = dragoman(*arguments)
        assert (done.returncode, len(done.err.splitlines())) == (2, 1)
    assert path.read_bytes() == fox[0].read_bytes()


def test_a_copied_store_is_as_good_as_the_first(fox, tmp_path):
    for model in MODELS:
        shutil.copytree(default_directory() / model, tmp_path / model, copy_function=shutil.copyfile)
    env = {**os.environ, "DRAGOMAN_MODELS": str(tmp_path)}
    assert dragoman("translate", fox[0], "--to", "pt", env=env).returncode == 0


def test_without_standard_input_there_is_one_clear_line():
    done = dragoman("translate", "--text", "--to", "pt", preexec_fn=lambda: os.close(0), stdin=None)
    assert done.returncode == 2
    assert "standard input" in done.err


def test_say_speaks_into_a_file_and_refuses_nothing_to_say(tmp_path):
    out = tmp_path / "say.wav"
    done = dragoman("say", "Bom dia, meu amigo.", "--lang", "pt", "--out", out, "--json")
    assert done.returncode == 0, done.err
    told = json.loads(done.out)
    assert told["duration"] == pytest.approx(soundfile.info(out).duration, abs=0.01)
    assert dragoman("say", "  ", "--lang", "pt", "--out", out).returncode == 2
    nothing = dragoman("say", "🙂", "--lang", "pt", "--out", out)
    assert (nothing.returncode, len(nothing.err.splitlines())) == (1, 1)
