"""``dragoman say`` speaks text and SSML with the voice that is asked for, and tells what it did."""

import itertools
import json
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from device import cli
from device.audio.wav import WholeWavWriter
from device.cli.common import progress
from device.engines.voices import named, nearest, voices_of
from device.modelstore.catalogue import Model, Speaker
from tests.support.engines import RATE, BeepVoice

VOICES = voices_of([
    Model(id="tts-one", task="tts", engine="piper", name="One", licence="MIT", homepage="", languages=("pt-BR",),
          speakers=(Speaker("Ana", "pt-BR", gender="female"),)),
    Model(id="tts-many", task="tts", engine="kokoro", name="Many", licence="MIT", homepage="", languages=("en-US",),
          speakers=(Speaker("Bob", "en-US", "m_bob", "male"), Speaker("Eva", "en-GB", "f_eva", "female"))),
])  # fmt: skip


class Beeps(BeepVoice):
    def __init__(self, chosen):
        super().__init__()
        self.model_id, self.voice, self.language = chosen.model.id, chosen.name, chosen.language


class Engines:
    """The registry's part that ``say`` uses, with voices that beep."""

    @classmethod
    def open(cls, settings):
        return cls()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def voices(self):
        return VOICES

    def voice(self, language, name=None):
        return named(VOICES, name, language) if name else nearest(VOICES, language)

    def synthesizer(self, language, name=None):
        return Beeps(self.voice(language, name))


@pytest.fixture
def say(monkeypatch, tmp_path, capsys):
    """Run ``dragoman say`` in this process: exit code, standard output, standard error."""
    monkeypatch.setattr("device.engines.registry.Engines", Engines)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(["say", *map(str, words)])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    run.file = tmp_path / "said.wav"
    return run


def report(result):
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_a_text_is_written_and_every_word_has_its_time(say):
    told = report(say("Bom dia, amigo.", "--lang", "pt", "--out", say.file, "--json"))
    samples, rate = soundfile.read(say.file)
    assert (told["voice"], told["language"], rate) == ("tts-one", "pt-BR", RATE)
    assert told["duration"] == pytest.approx(len(samples) / rate, abs=0.01)
    assert [word["text"] for word in told["words"]] == ["Bom", "dia", "amigo"]
    assert all(word["start"] < word["end"] <= told["duration"] for word in told["words"])


def test_ssml_changes_voices_and_tells_its_bookmarks(say):
    document = (
        '<speak xml:lang="en-US"><voice name="en-GB-SoniaNeural">Hi.</voice><break time="1s"/>'
        '<bookmark mark="b"/><voice name="ana">Olá.</voice></speak>'
    )
    told = report(say(document, "--ssml", "--out", say.file, "--json"))
    assert told["voice"] == "tts-many/f_eva"
    assert told["bookmarks"] == [{"name": "b", "start": told["words"][1]["start"]}]
    assert told["words"][1]["start"] - told["words"][0]["end"] == pytest.approx(1.0, abs=0.011)


@pytest.mark.parametrize("name", ["bob", "m_bob", "tts-many/m_bob"])
def test_a_voice_is_chosen_by_any_of_its_names(say, name):
    assert report(say("Hi.", "--voice", name, "--out", say.file, "--json"))["voice"] == "tts-many/m_bob"


def test_the_voices_are_listed_for_people_and_programs(say):
    lines = say("--list-voices")[1].splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["tts-many/m_bob", "Bob", "en-US", "male"], ["tts-many/f_eva", "Eva", "en-GB", "female"],
        ["tts-one", "Ana", "pt-BR", "female"],
    ]  # fmt: skip
    (only,) = map(json.loads, say("--list-voices", "--lang", "pt", "--json")[1].splitlines())
    assert (only["id"], only["usual"]) == ("tts-one", True)


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ((), 2, "say what"),
        (("  ",), 2, "nothing to say"),
        (("bad \udcff text",), 2, "not UTF-8"),
        (("x", "--voice", "bobb"), 1, "no voice 'bobb' is installed"),
        (("<speak", "--ssml"), 1, "not well formed"),
        (("<speak><audio src='x'/></speak>", "--ssml"), 1, "<audio>"),
        (("<speak>…</speak>", "--ssml"), 1, "nothing to say"),
        (("--list-voices", "--lang", "fr"), 1, "no voice of 'fr' is installed"),
    ],
)
def test_what_cannot_be_said_is_told_in_one_line(say, words, code, reason, tmp_path):
    ended, out, err = say(*words, *(["--out", tmp_path / "x.wav"] if words else []))
    assert ended == code
    assert out == ""
    assert reason in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_older_file_stays_as_it_was_when_speech_is_not_finished(say, monkeypatch, stop):
    say.file.write_bytes(b"older")

    class Stops(Beeps):
        def speak(self, words):
            yield from itertools.islice(super().speak(words), 1)
            raise stop

    monkeypatch.setattr(f"{__name__}.Beeps", Stops)
    code, _, err = say("Bom dia. Boa noite.", "--lang", "pt", "--out", say.file)
    assert (code, len(err.strip().splitlines())) == ((130, 0) if isinstance(stop, KeyboardInterrupt) else (1, 1))
    assert say.file.read_bytes() == b"older"
    assert list(say.file.parent.glob("*said*")) + list(say.file.parent.glob(".*said*")) == [say.file]


def test_values_that_no_voice_can_speak_are_told_and_the_nearest_are_spoken(say):
    inside = "<break time='60s'/><prosody rate='5' volume='300'>Hello.</prosody><prosody rate='5'>You.</prosody>"
    code, _, err = say(f"<speak>{inside}</speak>", "--ssml", "--lang", "en", "--out", say.file)
    assert code == 0
    assert err.splitlines() == [
        "dragoman: a pause in seconds may be 0 to 20, not 60: 20 is spoken",
        "dragoman: a volume out of 100 may be 0 to 100, not 300: 100 is spoken",
        "dragoman: a rate may be 0.5 to 2, not 5: 2 is spoken",
    ]
    assert say("<speak><prosody rate='x-fast' pitch='+20%'>Hi.</prosody></speak>", "--ssml", "--out", say.file)[2] == ""


KILLED = """
import os, signal, sys
from device.audio.wav import WholeWavWriter
import numpy as np
with WholeWavWriter(sys.argv[1]) as writer:
    writer.append(np.zeros(1600, np.float32), 16_000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_program_left_beside_the_file_goes_with_the_next_one(say):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(say.file)], check=False)
    assert ended.returncode == -9
    (left,) = say.file.parent.glob(".said.wav.*.partial")
    with WholeWavWriter(say.file) as other:  # which goes on meanwhile
        other.append(np.zeros(1600, np.float32), 16_000)
        beside = set(say.file.parent.glob(".said.wav.*.partial"))
        assert say("Hello.", "--lang", "en", "--out", f"{say.file}.other.wav")[0] == 0
        assert beside == set(say.file.parent.glob(".said.wav.*.partial")) == {other.path}
    assert left not in beside
    assert say("Hello.", "--lang", "en", "--out", say.file)[0] == 0
    assert not list(say.file.parent.glob(".*.partial"))


def test_nothing_to_say_leaves_no_file(say):
    assert say("<speak>…</speak>", "--ssml", "--out", say.file)[0] == 1
    assert not say.file.exists()


@pytest.mark.parametrize("name", ["said.mp3", "said"])
def test_a_name_that_promises_another_format_is_refused(say, name):
    code, _, err = say("Oi.", "--lang", "pt", "--out", say.file.with_name(name))
    assert code == 2
    assert "must end in .wav" in err


def test_a_long_text_shows_its_progress_where_a_person_watches(say, monkeypatch):
    shown = []

    @contextmanager
    def watched(*, hidden):
        with progress(hidden=True) as bars:
            yield bars
        shown.append((hidden, [(task.completed, task.total) for task in bars.tasks]))

    monkeypatch.setattr("device.cli.say.progress", watched)
    for count in (2, 20):
        report(say("Bom dia, amigo. " * count, "--lang", "pt", "--out", say.file, "--json"))
    assert shown == [(True, [(2, 2)]), (False, [(20, 20)])]


def test_one_endless_word_is_spoken_in_pieces(say, monkeypatch):
    asked = []

    class Notes(Beeps):
        def speak(self, words):
            asked.append(sum(len(word.text) for word in words))
            return super().speak(words)

    monkeypatch.setattr(f"{__name__}.Beeps", Notes)
    assert say("a" * 20_000, "--lang", "pt", "--out", say.file)[0] == 0
    assert sum(asked) == 20_000
    assert max(asked) <= 400
