from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from device.audio.array.calibrate import chirp, measure
from device.audio.array.calibration import Calibration
from device.audio.array.geometry import load_geometry
from device.audio.array.processor import ArrayProcessor
from device.cli.calibrate import calibrate
from device.cli.common import Invocation
from device.errors import DragomanError
from tests.audio.array.scenes import noise, plane_wave, square

GAINS_DB = np.array([0.0, 2.0, -3.0, 1.0])
DELAYS = np.array([0.0, 40e-6, -30e-6, 20e-6])


def differing(sound):
    """The sound as channels hear it that differ in gain and delay."""
    frequency = np.fft.rfftfreq(len(sound), 1 / 16000)
    turns = np.exp(-2j * np.pi * frequency[:, None] * DELAYS) * 10 ** (GAINS_DB / 20)
    return np.fft.irfft(np.fft.rfft(sound, axis=0) * turns, len(sound), axis=0).astype(np.float32)


def assert_right(found):
    np.testing.assert_allclose(np.array(found.gains_db), GAINS_DB - np.median(GAINS_DB), atol=0.3)
    np.testing.assert_allclose(np.array(found.delays_us), (DELAYS - DELAYS.mean()) * 1e6, atol=5)
    assert not found.dead
    assert not found.inverted
    assert not found.swapped


def test_gains_and_delays_are_measured_from_a_chirp():
    assert_right(measure(differing(plane_wave(square(), chirp(3.0), 70.0)), square(), 70.0))


def test_gains_are_measured_from_noise_from_anywhere():
    found = measure(differing(plane_wave(square(), noise(3.0), 200.0)), square())
    np.testing.assert_allclose(np.array(found.gains_db), GAINS_DB - np.median(GAINS_DB), atol=0.3)


def test_gains_and_delays_are_measured_from_noise_from_all_sides():
    geometry = square()
    around = sum(plane_wave(geometry, noise(4.0, seed), 11.25 * seed) for seed in range(32))
    found = measure(differing(around.astype(np.float32)), geometry)
    assert found.azimuth is None
    np.testing.assert_allclose(np.array(found.gains_db), GAINS_DB - np.median(GAINS_DB), atol=0.5)
    np.testing.assert_allclose(np.array(found.delays_us), (DELAYS - DELAYS.mean()) * 1e6, atol=12)


def test_dead_and_inverted_channels_are_found():
    sound = plane_wave(square(), chirp(3.0), 10.0)
    sound[:, 2] = 0
    sound[:, 3] *= -1
    found = measure(sound, square(), 10.0)
    assert found.dead == (2,)
    assert found.inverted == (3,)
    assert found.calibration.gains[3] == pytest.approx(-1, abs=0.05)
    assert found.calibration.dead == (2,)


@pytest.mark.parametrize("pair", [(0, 1), (1, 2), (0, 2), (1, 3)])
def test_swapped_channels_are_found_where_the_direction_is_known(pair):
    one, other = pair
    sound = plane_wave(square(), chirp(3.0), 70.0)
    sound[:, [one, other]] = sound[:, [other, one]]
    assert measure(sound, square(), 70.0).swapped == (pair,)


def test_the_correction_makes_the_channels_alike_again(tmp_path):
    geometry = square()
    sound = differing(plane_wave(geometry, chirp(3.0), 70.0))
    path = tmp_path / "deep" / "square.toml"
    measure(sound, geometry, 70.0).calibration.save(path)
    processors = [
        ArrayProcessor(geometry, "delay-and-sum", azimuth=70.0, calibration=c) for c in (None, Calibration.load(path))
    ]
    heard = differing(plane_wave(geometry, noise(1.0), 70.0))
    plain, corrected = (processor.process(heard) for processor in processors)
    wanted = plane_wave(geometry, noise(1.0), 70.0)[: len(plain), 0]

    def distance(out):
        scaled = out * (out @ wanted) / (out @ out)
        return np.sum((scaled - wanted) ** 2)

    assert distance(corrected) < 0.5 * distance(plain)


@pytest.mark.parametrize(
    ("sound", "says"),
    [
        (np.zeros((32000, 3), np.float32), "has 4 microphones, the recording 3"),
        (np.zeros((3200, 4), np.float32), "too short"),
        (np.zeros((32000, 4), np.float32), "silent"),
    ],
)
def test_a_useless_recording_is_refused(sound, says):
    with pytest.raises(DragomanError, match=says):
        measure(sound, square())


@pytest.mark.parametrize("content", ["", "gains = 3", 'geometry = "x"\ngains = [nan]\ndelays = [0.0]\n', "{"])
def test_a_damaged_file_says_what_to_do(tmp_path, content):
    path = tmp_path / "c.toml"
    path.write_text(content)
    with pytest.raises(DragomanError, match="devices calibrate"):
        Calibration.load(path)


def test_a_calibration_of_another_array_is_refused():
    with pytest.raises(DragomanError, match="for 2 microphones"):
        Calibration("pair", (1.0, 1.0), (0.0, 0.0)).correction(4)


def run(*arguments):
    return CliRunner().invoke(calibrate, [str(a) for a in arguments], obj=Invocation(), catch_exceptions=True)


def test_the_command_writes_the_correction_from_a_recording(tmp_path):
    geometry = load_geometry("respeaker-usb-4mic")
    channels = np.zeros((48000, 6), np.float32)
    channels[:, list(geometry.channels)] = plane_wave(geometry, chirp(3.0), 45.0)
    channels[:, 2] *= 0.5
    soundfile.write(tmp_path / "r.wav", channels, 16000, subtype="FLOAT")
    output = tmp_path / "out.toml"
    result = run("--array", "respeaker-usb-4mic", "--recording", tmp_path / "r.wav", "--azimuth", 45, "-o", output)
    assert result.exit_code == 0, result.output
    assert "channel 2: -6.0 dB" in result.output
    assert Calibration.load(output).gains[1] == pytest.approx(2.0, rel=0.05)


def test_the_command_names_swapped_channels_and_writes_nothing(tmp_path):
    geometry = load_geometry("respeaker-4mic")
    sound = plane_wave(geometry, chirp(3.0), 45.0)[:, [1, 0, 2, 3]]
    soundfile.write(tmp_path / "r.wav", sound, 16000, subtype="FLOAT")
    output = tmp_path / "out.toml"
    result = run(
        "--array", "respeaker-4mic", "--recording", tmp_path / "r.wav", "--azimuth", 45, "-o", output, "--json"
    )
    assert isinstance(result.exception, DragomanError)
    assert [0, 1] in json.loads(result.output)["swapped"]
    assert not output.exists()


def test_the_command_is_part_of_devices():
    from device.cli.devices import devices

    assert devices.commands["calibrate"] is calibrate


@pytest.mark.e2e
def test_the_command_records_from_the_configured_microphone(tmp_path):
    sound = plane_wave(load_geometry("respeaker-4mic"), chirp(3.0), 45.0)
    sound[:, 3] = 0
    soundfile.write(tmp_path / "mic.wav", sound, 16000)
    invocation = Invocation(overrides={"audio.input": f"file:{tmp_path / 'mic.wav'}"})
    arguments = ["--array", "respeaker-4mic", "--seconds", "1.5", "--azimuth", "45", "-o", str(tmp_path / "c.toml")]
    result = CliRunner().invoke(calibrate, arguments, obj=invocation)
    assert result.exit_code == 0, result.output
    assert "channel 3: dead" in result.output
    assert Calibration.load(tmp_path / "c.toml").dead == (3,)
