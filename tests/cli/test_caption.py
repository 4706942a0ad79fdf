import itertools
import json
import os
import signal
import subprocess
import sys
import threading

import pysubs2
import pytest
import soundfile
from click.testing import CliRunner

from device.cli.caption import caption
from device.cli.listen import listen
from device.errors import DragomanError
from device.events import Final, Translation, UtteranceEnded
from device.text.captioner import Captioner
from device.text.captions import CaptionStyle
from tests.audio.pulse import virtual_mic

__all__ = ["virtual_mic"]


def said(captioner, number, text, start, end, translated=None):
    common = {"emitted": end, "utterance": str(number), "sequence": number, "start": start, "end": end}
    captioner(Final(text=text, language="en", **common))
    if translated:
        captioner(Translation(text=translated, language="pt", source_language="en", **common))
    captioner(UtteranceEnded(emitted=end, utterance=str(number), has_text=True))


def test_live_captions_never_stand_over_one_another():
    shown = []
    captioner = Captioner(CaptionStyle(), None, both=False, show=shown.append)
    said(captioner, 1, "One moment.", 0.0, 0.2)
    said(captioner, 2, "Here it is.", 0.4, 0.9)
    assert [c.text for c in shown] == ["One moment.", "Here it is."]
    assert shown[0].end <= shown[1].start < shown[1].end


def test_captions_are_in_the_language_asked_for():
    captioner = Captioner(CaptionStyle(), "pt", both=False)
    said(captioner, 1, "Hello.", 0.0, 1.0, "Olá.")
    said(captioner, 2, "This has no translation.", 2.0, 3.0)
    assert [(c.text, c.language) for c in captioner.cues] == [("Olá.", "pt")]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["x.wav", "--both"], "--to"),
        (["x.wav", "-o", "x.foo"], "--format"),
        (["x.wav", "--live", "--format", "ttml"], "live"),
    ],
)
def test_mistakes_are_told(arguments, hint):
    answer = CliRunner().invoke(caption, arguments)
    assert answer.exit_code
    assert hint in str(answer.exception)


def test_a_file_that_cannot_be_written_is_told_before_anything_is_heard(tmp_path, monkeypatch):
    monkeypatch.setattr("device.cli.caption._hear_file", lambda *_: pytest.fail("it listened first"))
    out = tmp_path / "no" / "x.srt"
    answer = CliRunner().invoke(caption, ["x.wav", "-o", str(out)])
    assert isinstance(answer.exception, DragomanError)
    assert str(answer.exception) == f"{out} cannot be written: No such file or directory"


@pytest.mark.parametrize("command", [caption, listen])
def test_without_a_microphone_it_says_so_and_does_not_wait(command, monkeypatch):
    monkeypatch.setattr("device.audio.capture.list_devices", list)
    answer = CliRunner().invoke(command, [])
    assert isinstance(answer.exception, DragomanError)
    assert str(answer.exception) == "there is no microphone: the system has no audio input device"


@pytest.mark.models
def test_a_recording_without_speech_gets_no_captions_and_a_line_that_says_so(model_dir, tmp_path):
    for model in ("asr-moonshine-tiny-en", "vad-silero"):
        model_dir(model)
    soundfile.write(tmp_path / "quiet.wav", [0.0] * 32000, 16000)
    answer = CliRunner().invoke(caption, [str(tmp_path / "quiet.wav"), "--from", "en"])
    assert (answer.exit_code, answer.stdout.strip()) == (0, "")
    assert answer.stderr == f"dragoman: {tmp_path / 'quiet.wav'}: no speech was found\n"


@pytest.mark.models
def test_a_recording_gets_captions_in_both_languages(model_dir, recordings, tmp_path):
    for model in ("asr-moonshine-tiny-en", "mt-bergamot-en-pt", "vad-silero"):
        model_dir(model)
    out = tmp_path / "tale.json"
    file = str(recordings / "two_cities.wav")
    answer = CliRunner().invoke(caption, [file, "--from", "en", "--to", "pt", "--both", "-o", str(out)])
    assert answer.exit_code == 0, answer.output
    cues = json.loads(out.read_text(encoding="utf-8"))
    assert "best of times" in cues[0]["lines"][0]
    assert cues[0]["translation"]["language"] == "pt"
    assert all(a["end"] <= b["start"] for a, b in itertools.pairwise(cues))
    assert all(len(line) <= 42 for c in cues for line in c["lines"] + c["translation"]["lines"])


@pytest.mark.e2e
@pytest.mark.models
def test_the_microphone_gets_live_captions_until_it_is_interrupted(model_dir, recordings, virtual_mic, tmp_path):
    for model in ("asr-moonshine-tiny-en", "mt-bergamot-en-pt", "vad-silero"):
        model_dir(model)
    sound, rate = soundfile.read(recordings / "two_cities.wav")
    soundfile.write(tmp_path / "talk.wav", sound[: 16 * rate], rate)
    program = subprocess.Popen(
        [sys.executable, "-m", "device", "caption", "--from", "en", "--to", "pt", "--both", "--format", "vtt"],
        env={**os.environ, **virtual_mic.env()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == "WEBVTT\n"
        playing = threading.Thread(target=virtual_mic.play, args=(tmp_path / "talk.wav",), name="talk")
        playing.start()
        seen = ""
        while "incredulity" not in seen or "incredulidade" not in seen:
            line = program.stdout.readline()
            assert line, program.communicate()[1]
            seen += line
        program.send_signal(signal.SIGINT)
        rest, _ = program.communicate(timeout=60)
        playing.join()
    finally:
        program.kill()
    assert program.returncode == 0
    read = pysubs2.SSAFile.from_string("WEBVTT\n\n" + seen.lstrip() + rest, format_="vtt")
    assert any("incredulity" in cue.text and "incredulidade" in cue.text for cue in read)
    assert all(a.end <= b.start for a, b in itertools.pairwise(read))
