"""``--speakers``: who said it, in the terminal and in caption files."""

import json

import pytest
import soundfile

from device.cli.captions import JsonCaptions, PlainCaptions
from device.cli.common import speakers_overrides
from device.config import load_settings
from device.events import Final, Translation
from tests.audio.pulse import virtual_mic
from tests.cli.test_main import dragoman

__all__ = ["dragoman", "virtual_mic"]

MISSING = (
    "dragoman: speakers cannot be told apart here; run `dragoman models pull segment-pyannote speaker-wespeaker`\n"
)


@pytest.fixture
def quiet(tmp_path):
    """A recording, and no models."""
    soundfile.write(tmp_path / "quiet.wav", [0.0] * 16000, 16000)
    return str(tmp_path / "quiet.wav")


@pytest.fixture
def talk(model_dir, recordings, tmp_path):
    """Nagg, Nell, and Nagg once more."""
    for model in ("asr-moonshine-tiny-en", "mt-bergamot-en-pt", "vad-silero", "segment-pyannote", "speaker-wespeaker"):
        model_dir(model)
    sound, rate = soundfile.read(recordings / "endgame_nagg_nell.wav")
    soundfile.write(tmp_path / "talk.wav", sound[round(4.7 * rate) : round(14.4 * rate)], rate)
    return str(tmp_path / "talk.wav")


@pytest.mark.parametrize("command", [("translate", "--speak"), ("caption", "-o")])
def test_missing_models_are_told_in_one_line_before_any_work(dragoman, monkeypatch, tmp_path, quiet, command):
    monkeypatch.setenv("DRAGOMAN_MODELS", str(tmp_path / "models"))
    name, option = command
    out = tmp_path / ("out.wav" if name == "translate" else "out.srt")
    more = [quiet] if name == "translate" else []
    assert dragoman(name, quiet, *more, "--speakers", option, str(out)) == (1, "", MISSING)
    assert not out.exists()


@pytest.mark.e2e
@pytest.mark.parametrize("command", ["listen", "caption"])
def test_the_microphone_is_not_listened_to_without_the_models(dragoman, virtual_mic, monkeypatch, tmp_path, command):
    monkeypatch.setenv("DRAGOMAN_MODELS", str(tmp_path / "models"))
    code, out, err = dragoman("--set", 'directions=[{ source = "en", targets = [] }]', command, "--speakers")
    assert (code, err.count("\n")) == (1, 1), err
    assert "dragoman models pull segment-pyannote speaker-wespeaker" in err
    assert out.strip() in {"", "WEBVTT"}


@pytest.mark.parametrize("flags", [("--speakers",), ("--speakers-most", "2")])
def test_lines_of_text_have_no_speakers(dragoman, flags):
    code, out, err = dragoman("translate", "--text", "--to", "pt", *flags)
    assert (code, out) == (2, "")
    assert err == "dragoman: --speakers goes with recordings: lines of text have no voices\n"


@pytest.mark.parametrize("command", ["translate", "caption", "listen"])
def test_flags_that_contradict_each_other_are_refused(dragoman, quiet, command):
    files = () if command == "listen" else (quiet,)
    code, _, err = dragoman(command, *files, "--no-speakers", "--speakers-most", "2")
    assert (code, err) == (2, "dragoman: --no-speakers and --speakers-most contradict each other\n")
    code, _, err = dragoman(command, *files, "--speakers-most", "17")
    assert code == 2
    assert "0<=x<=16" in err


@pytest.mark.parametrize(
    ("flags", "enabled", "most"),
    [
        ((None, None), True, 3),
        ((True, None), True, 3),
        ((False, None), False, 3),
        ((None, 2), True, 2),
        ((True, 0), True, 0),
    ],
)
def test_flags_win_over_the_configuration(flags, enabled, most):
    configured = {"speakers.enabled": True, "speakers.most": 3}
    speakers = load_settings(None, configured | speakers_overrides(*flags)).speakers
    assert (speakers.enabled, speakers.most) == (enabled, most)


def final(number, speaker):
    return Final(
        emitted=1.0, utterance=str(number), sequence=number, text="Yes.", language="en", start=0.0, end=1.0,
        speaker=speaker,
    )  # fmt: skip


def test_every_line_tells_who_said_it_where_that_is_known(capsys):
    captions = PlainCaptions()
    for number, speaker in enumerate((1, 1, None, 2), 1):
        captions(final(number, speaker))
    assert [line.split("] ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "1: Yes.", "1: Yes.", "Yes.", "2: Yes.",
    ]  # fmt: skip


def test_programs_are_told_by_a_field(capsys):
    captions = JsonCaptions()
    captions(final(1, 2))
    captions(final(2, None))
    captions(
        Translation(
            emitted=1.0, utterance="1", sequence=1, text="Sim.", language="pt", source_language="en", start=0.0,
            end=1.0, speaker=2,
        )
    )  # fmt: skip
    assert [json.loads(line).get("speaker") for line in capsys.readouterr().out.splitlines()] == [2, None, 2]


@pytest.mark.models
def test_a_recording_of_two_people_tells_who_said_what(dragoman, talk):
    code, out, _ = dragoman("translate", talk, "--from", "en", "--to", "pt", "--speakers")
    assert code == 0
    said = [line.split("] ")[1] for line in out.splitlines() if line.startswith("[")]
    assert [line.split(":")[0] for line in said] == ["1", "2", "1"]
    assert "resource" in said[1]


@pytest.mark.models
def test_a_caption_file_tells_who_speaks_where_that_changes(dragoman, talk):
    code, out, _ = dragoman("caption", talk, "--from", "en", "--speakers-most", "2")
    assert code == 0
    lines = out.splitlines()
    assert [line[:2] for line in lines if ": " in line[:4]] == ["1:", "2:", "1:"]
    assert all(len(line) <= 42 for line in lines)
