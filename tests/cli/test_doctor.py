"""``dragoman doctor`` finds what is missing and says what to do about it."""

import json
import re
import socket
from functools import partial

import gpiozero
import pytest

from device.audio.devices import AudioDevice, held_devices
from device.cli import checks
from device.cli.findings import Finding, Status
from device.config import Settings
from device.controls.pins import mock_press
from device.errors import DragomanError
from tests.audio.pulse import virtual_mic
from tests.audio.test_devices import write_card
from tests.cli.test_main import dragoman
from tools.local_broker import LocalBroker

__all__ = ["dragoman", "virtual_mic"]  # the fixtures


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A model store with nothing in it."""
    folder = tmp_path / "models"
    monkeypatch.setenv("DRAGOMAN_MODELS", str(folder))
    return folder


@pytest.fixture
def quiet_port():
    """A port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def findings(check, **settings):
    return list(check(Settings.model_validate(settings)))


def test_every_line_has_a_status_and_every_trouble_a_remedy(dragoman, store, quiet_port):
    options = ("--set", f"mqtt.port={quiet_port}", "--set", "audio.output=null")
    code, out, _ = dragoman(*options, "doctor", "--json")
    told = [json.loads(line) for line in out.splitlines()]
    assert {finding["check"] for finding in told} >= {
        "configuration", "machine", "libraries", "models", "microphone", "speaker", "buttons", "broker", "storage",
        "memory", "clock",
    }  # fmt: skip
    assert all(finding["remedy"] for finding in told if finding["status"] != "ok")
    assert not any("the check failed" in finding["text"] for finding in told)
    assert code == 1


def test_exit_code_is_0_where_there_is_no_problem(dragoman, monkeypatch):
    monkeypatch.setattr(checks, "CHECKS", (checks.buttons,))
    assert dragoman("--set", "controls.pins=mock", "doctor")[0] == 0
    code, out, _ = dragoman("--set", "controls.pins=mock", "doctor")
    assert (code, out.splitlines()[-1]) == (0, "0 problems, 0 warnings")
    assert "\x1b" not in out


def test_wrong_configuration_is_told_and_the_rest_is_checked_all_the_same(dragoman, monkeypatch):
    monkeypatch.setattr(checks, "CHECKS", (checks.memory,))
    code, out, _ = dragoman("--set", "mqtt.prot=1", "doctor")
    assert code == 1
    assert "problem  configuration --set mqtt.prot: unknown key; did you mean mqtt.port?" in out
    assert "memory" in out


def test_a_check_that_fails_does_not_stop_the_others(dragoman, monkeypatch):
    def broken(_settings):
        raise RuntimeError("no\nluck")
        yield

    monkeypatch.setattr(checks, "CHECKS", (broken, checks.memory))
    code, out, _ = dragoman("doctor")
    assert code == 1
    assert "the check failed: RuntimeError: no luck" in out
    assert "memory" in out


def test_missing_models_are_named_with_the_command_that_fetches_them(store):
    told = findings(checks.models, directions=[{"source": "en", "targets": ["pt"]}])
    assert [finding.status for finding in told] == [Status.PROBLEM] * len(told)
    text = " ".join(finding.text for finding in told)
    assert "no recogniser for 'en'" in text
    assert "no voice for 'pt'" in text
    assert "dragoman models pull --for en:pt" in {finding.remedy for finding in told}


def test_models_that_tell_speakers_apart_are_missed_where_that_is_enabled(store):
    remedy = "dragoman models pull segment-pyannote speaker-wespeaker"
    told = findings(checks.models, speakers={"enabled": True})
    assert any(finding.remedy == remedy and "speakers apart" in finding.text for finding in told)
    assert remedy not in {finding.remedy for finding in findings(checks.models)}


def test_half_fetched_model_is_found(store):
    (store / "vad-silero").mkdir(parents=True)
    told = findings(checks.models)
    assert any("vad-silero is not complete or damaged" in finding.text for finding in told)


def test_voice_is_not_missed_where_nothing_is_spoken(store):
    told = findings(checks.models, speech={"enabled": False})
    assert not any("voice" in finding.text for finding in told)


def test_stand_ins_for_sound_devices_are_all_right():
    told = findings(checks.sound, audio={"input": "file:talk.wav", "output": "null"})
    assert [finding.status for finding in told] == [Status.OK, Status.OK]


def test_device_that_does_not_exist_is_a_problem():
    told = findings(checks.sound, audio={"input": "no such microphone", "output": "null"})
    assert told[0].status is Status.PROBLEM
    assert "audio.input" in f"{told[0].text} {told[0].remedy}"


def test_no_gpio_is_a_warning_unless_it_was_asked_for(monkeypatch):
    def no_gpio():
        raise FileNotFoundError("this machine has no /dev/gpiochip*")

    monkeypatch.setattr("device.controls.pins._lgpio_factory", no_gpio)
    assert [f.status for f in findings(checks.buttons, controls={"pins": "auto"})] == [Status.WARNING]
    assert [f.status for f in findings(checks.buttons, controls={"pins": "lgpio"})] == [Status.PROBLEM]
    assert [f.status for f in findings(checks.buttons, controls={"pins": "mock"})] == [Status.OK]
    assert [f.status for f in findings(checks.buttons, controls={"pins": "none"})] == [Status.OK]


def test_broker_that_does_not_answer_is_a_problem(quiet_port):
    (told,) = findings(checks.broker, mqtt={"port": quiet_port})
    assert told.status is Status.PROBLEM
    assert f"127.0.0.1:{quiet_port}" in told.text
    assert findings(checks.broker, mqtt={"enabled": False})[0].status is Status.OK


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
@pytest.mark.parametrize(("content", "reason"), [(None, "No such file or directory"), ("scribble", "no PEM in there")])
def test_a_file_for_tls_that_is_wrong_is_named(tmp_path, quiet_port, key, content, reason):
    file = tmp_path / "file.pem"
    if content:
        file.write_text(content)
    (told,) = findings(checks.broker, mqtt={"port": quiet_port, "tls": True, key: file})
    assert told.status is Status.PROBLEM
    assert told.text.startswith(f"mqtt.{key} {file}")
    assert told.text.endswith(reason)


def test_state_that_cannot_be_written_is_a_problem(tmp_path, store):
    file = tmp_path / "file"
    file.write_text("")
    told = findings(checks.storage, state_directory=file / "state")
    assert told[0].status is Status.PROBLEM
    assert "cannot be written" in told[0].text


def test_full_disk_is_a_problem(tmp_path, store, monkeypatch):
    monkeypatch.setattr("device.modelstore.files.free_bytes", lambda _folder: 5_000_000)
    told = findings(checks.storage, state_directory=tmp_path)
    assert [finding.status for finding in told] == [Status.PROBLEM, Status.PROBLEM]
    assert "5.0 MB free" in told[0].text


def test_clock_before_the_program_was_installed_is_a_problem(monkeypatch):
    monkeypatch.setattr(checks.time, "time", lambda: 0.0)
    assert findings(checks.clock)[0].status is Status.PROBLEM


@pytest.mark.e2e
def test_real_broker_accepts_the_doctor_and_is_left_as_it_was(tmp_path):
    with LocalBroker(tmp_path) as broker:
        (told,) = findings(checks.broker, mqtt={"host": broker.host, "port": broker.port})
    assert told == Finding("broker", Status.OK, f"{broker.host}:{broker.port} accepts the device")


def test_damaged_models_are_named_by_their_checksums(monkeypatch):
    from device.modelstore.store import ModelStore

    monkeypatch.setattr(ModelStore, "is_installed", lambda _self, _model: True)
    monkeypatch.setattr(ModelStore, "verify", lambda _self, model: ["wrong hash"] * (model == "vad-silero"))
    (told,) = findings(checks.checksums)
    assert (told.status, told.remedy) == (Status.PROBLEM, "dragoman models pull vad-silero")
    assert told.text == "vad-silero: damaged"


def test_lights_that_cannot_be_opened_are_a_problem(tmp_path):
    (told,) = findings(checks.lights, leds={"kind": "apa102", "spi": str(tmp_path / "none")})
    assert told.status is Status.PROBLEM
    assert "dtparam=spi=on" in told.text
    (told,) = findings(checks.lights, leds={"kind": "plain", "pins": [22]}, controls={"pins": "mock"})
    assert (told.status, told.text) == (Status.OK, "plain")
    assert findings(checks.lights) == []


@pytest.mark.parametrize(
    ("degrees", "throttled", "statuses"),
    [
        (None, None, []),
        (50.0, None, ["ok"]),
        (83.0, {"under_voltage": True, "throttled": False}, ["warning", "warning"]),
        (60.0, {"under_voltage": False, "throttled": False}, ["ok", "ok"]),
    ],
)
def test_heat_and_throttling_are_told(monkeypatch, degrees, throttled, statuses):
    monkeypatch.setattr("device.diagnostics.temperature", lambda: degrees)
    monkeypatch.setattr("device.diagnostics.throttling", lambda: throttled)
    monkeypatch.setattr("device.diagnostics.throttled_before", list)
    told = findings(checks.heat)
    assert [finding.status for finding in told] == statuses
    assert all("under voltage" in f.text for f in told if f.check == "throttling" and f.status == "warning")


@pytest.mark.e2e
def test_each_channel_of_the_microphone_is_listened_to(virtual_mic, tmp_path):
    import numpy as np
    import soundfile

    noise = np.random.default_rng(1).normal(0, 0.05, (48_000 * 8, 4))
    noise[:, 2] = 0
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise, 48_000)
    player = virtual_mic.play(path, wait=False)
    (told,) = findings(checks.hearing, audio={"channels": 4})
    assert told.status is Status.PROBLEM, told
    assert told.text.endswith("no sound on channel 2")
    player.kill()
    player.wait()
    (told,) = findings(checks.hearing, audio={"channels": 4})
    assert (told.status, "complete silence" in told.text) == (Status.WARNING, True)


@pytest.mark.e2e
def test_the_speaker_is_heard_by_the_microphone_or_it_is_told(virtual_mic):
    (told,) = findings(checks.round_trip)
    assert (told.status, told.text) == (Status.WARNING, "the microphone does not hear the speaker")
    assert "headphones" in told.remedy
    virtual_mic.hear_speaker()
    (told,) = findings(checks.round_trip, audio={"channels": 4})
    found = re.fullmatch(r"the speaker is heard on channel 0, 1, 2, 3 at (-\d+) dB after (\d\.\d\d) s", told.text)
    assert found, told
    assert told.status is Status.OK
    assert -30 <= int(found[1]) <= -5
    assert 0.02 <= float(found[2]) <= 2.0
    assert findings(checks.round_trip, audio={"output": "null"}) == []
    assert findings(checks.round_trip, speech={"enabled": False}) == []


def test_where_an_array_hears_the_speaker_is_told_and_whether_somebody_should_talk_there():
    from device.audio.array.calibrate import chirp
    from device.audio.array.geometry import load_geometry
    from device.cli.checks_sound import _placed
    from device.cli.recording import Heard
    from tools.simulate_room import Room, simulate

    geometry = load_geometry("respeaker-4mic")
    sound = simulate(geometry, chirp(2.0), Room(0.0, talker_azimuth=90.0)).mixture
    for array, status in (
        ({}, Status.OK),
        ({"looks": [{"azimuth": 270}]}, Status.OK),
        ({"looks": [{"azimuth": 80}]}, Status.WARNING),
        ({"looks": [{"azimuth": 80}], "exclude": [{"azimuth": 90}]}, Status.OK),
    ):
        settings = Settings.model_validate({"frontend": {"array": {"geometry": "respeaker-4mic", **array}}})
        (told,) = _placed(settings, Heard(sound, 16_000, 0.0), geometry, "heard")
        assert told.status is status, (array, told)
        azimuth = re.search(r"from (\d+)°", told.text)
        assert azimuth, told
        assert abs(int(azimuth[1]) - 90) <= 8
        assert (told.remedy is None) == (status is Status.OK)


@pytest.mark.e2e
def test_each_sick_channel_of_an_array_is_named_with_what_to_do(virtual_mic, tmp_path):
    import numpy as np
    import soundfile

    noise = np.repeat(np.random.default_rng(1).normal(0, 0.05, (48_000 * 12, 1)), 4, axis=1)
    noise[:, 1] *= -1
    noise[:, 3] *= 0.0001
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise, 48_000, subtype="FLOAT")
    player = virtual_mic.play(path, wait=False)
    told = findings(checks.hearing, audio={"channels": 4}, frontend={"array": {"geometry": "respeaker-4mic"}})
    player.kill()
    player.wait()
    assert {(f.status, f.text.split(": ")[1], f.remedy) for f in told} == {
        (
            Status.WARNING,
            "channel 1 has inverted polarity",
            "corrected, `dragoman devices calibrate` makes it permanent",
        ),
        (Status.PROBLEM, "channel 3 is dead", "check its wiring"),
    }


def test_a_broken_sound_system_is_one_problem_a_device(monkeypatch):
    def broken():
        raise DragomanError("the sound system cannot be used: ALSA's configuration is missing; see /etc/asound.conf")

    monkeypatch.setattr("device.audio.devices.list_devices", broken)
    told = findings(checks.sound)
    assert [(f.check, f.status, f.remedy) for f in told] == [
        ("microphone", Status.PROBLEM, "see /etc/asound.conf"), ("speaker", Status.PROBLEM, "see /etc/asound.conf"),
    ]  # fmt: skip


def test_a_button_that_is_down_is_a_warning(monkeypatch):
    class Held(gpiozero.DigitalInputDevice):
        def __init__(self, *args, **how):
            super().__init__(*args, **how)
            mock_press(17)

    with monkeypatch.context() as patched:
        patched.setattr(gpiozero, "DigitalInputDevice", Held)
        (told,) = findings(checks.buttons, controls={"pins": "mock"})
    assert (told.status, told.text) == (Status.WARNING, "talk on 17 is down")
    assert findings(checks.buttons, controls={"pins": "mock"})[0].status is Status.OK


def test_pins_that_this_user_may_not_use_are_a_problem(monkeypatch, tmp_path):
    chip = tmp_path / "gpiochip0"
    chip.touch()
    monkeypatch.setattr("device.controls.pins.GPIO_CHIPS", str(tmp_path / "gpiochip*"))
    (told,) = findings(checks.gpio)
    assert (told.status, told.text) == (Status.OK, f"{chip} can be used")
    monkeypatch.setattr("os.access", lambda *_: False)
    (told,) = findings(checks.gpio)
    assert told.status is Status.PROBLEM
    assert "usermod -aG gpio" in told.remedy
    assert findings(checks.gpio, controls={"pins": "none"}) == []


def test_certificates_that_end_soon_are_told_before_they_do(tmp_path, monkeypatch):
    from device.server.certificates import DAYS, make_certificates

    settings = {"server": {"tls_port": 8443}, "state_directory": tmp_path}
    (told,) = findings(checks.certificates, **settings)
    assert told.status is Status.PROBLEM
    assert "dragoman tls init" in told.remedy
    make_certificates(tmp_path / "tls", ["kitchen"])
    (told,) = findings(checks.certificates, **settings)
    assert told.status is Status.OK
    now = checks.time.time()
    for days, status, text in (
        (DAYS - 5, Status.WARNING, "valid for another 5 days"),
        (DAYS + 1, Status.PROBLEM, "expired"),
    ):
        monkeypatch.setattr(checks.time, "time", lambda days=days: now + days * 86_400)
        (told,) = findings(checks.certificates, **settings)
        assert (told.status, text in told.text) == (status, True), told
    assert findings(checks.certificates) == []


def test_a_microphone_that_somebody_else_holds_is_told(monkeypatch):
    monkeypatch.setattr("device.cli.checks_sound._there", lambda _settings: True)
    monkeypatch.setattr("device.cli.checks_sound.listen", lambda *_: "the microphone 'x' refuses 1 channel: busy")
    for check in (checks.hearing, checks.round_trip):
        (told,) = findings(check)
        assert (told.status, "busy" in told.text, "stop dragoman" in told.remedy) == (Status.WARNING, True, True)


def test_devices_that_a_running_daemon_has_open_are_no_problem(monkeypatch, tmp_path):
    write_card(tmp_path, 1, "ReSpeaker", capture=0, playback=0)
    monkeypatch.setattr("device.audio.devices.list_devices", list)
    monkeypatch.setattr("device.audio.devices.held_devices", partial(held_devices, cards=tmp_path))
    settings = {"audio": {"input": "respeaker", "output": "respeaker"}}
    assert [(f.status, f.text) for f in findings(checks.sound, **settings)] == [
        (Status.OK, "ReSpeaker Array: USB Audio (hw:1,0) (in use)")
    ] * 2
    for check in (checks.hearing, checks.round_trip):
        (told,) = findings(check, **settings)
        assert (told.status, "stop dragoman" in told.remedy) == (Status.WARNING, True)
    other = {"audio": {"input": "uma8", "output": "uma8"}}
    assert [f.status for f in findings(checks.sound, **other)] == [Status.PROBLEM] * 2


def test_a_device_that_was_let_go_meanwhile_is_found(monkeypatch):
    there = AudioDevice(
        index=3, name="ReSpeaker Array: USB Audio (hw:1,0)", host="ALSA", inputs=6, outputs=2, rate=16000
    )
    lists = [[], [there], [there]]
    monkeypatch.setattr("device.audio.devices.list_devices", lambda: lists.pop(0))
    monkeypatch.setattr("device.audio.devices.held_devices", lambda *_: [])
    told = findings(checks.sound, audio={"input": "respeaker", "output": "respeaker"})
    assert [finding.status for finding in told] == [Status.OK] * 2
    assert lists == []


def test_silent_plays_nothing(dragoman, monkeypatch):
    monkeypatch.setattr(checks, "CHECKS", (checks.round_trip, checks.memory))
    monkeypatch.setattr("device.cli.checks_sound.listen", lambda *_: pytest.fail("it listened"))
    code, out, _ = dragoman("doctor", "--silent")
    assert (code, "round trip" in out) == (0, False)
    monkeypatch.setenv("INVOCATION_ID", "0123")
    assert dragoman("doctor")[0] == 0
