"""``dragoman devices calibrate`` on a microphone array and a speaker that PortAudio sees."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from device.audio.array.calibration import Calibration
from device.audio.array.geometry import load_geometry
from tests.audio.pulse import virtual_mic

__all__ = ["virtual_mic"]
pytestmark = pytest.mark.e2e
ARRAY = "i2s-4mic-square"
RATE = 48_000
FROM = 30.0


def noise_from_one_side(seconds=20.0):
    """What a perfect array hears of steady noise, shape ``(samples, 4)``."""
    random = np.random.default_rng(0)
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(0.1 * random.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / RATE)
    delays = load_geometry(ARRAY).delays(FROM, 0)[0]
    heard = np.stack([np.fft.irfft(spectrum * np.exp(2j * np.pi * frequency * delay), count) for delay in delays], 1)
    return (heard + 1e-3 * random.standard_normal(heard.shape)).astype(np.float32)


def calibrate(virtual_mic, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "device", "devices", "calibrate", "--array", ARRAY, "--seconds", "2", *arguments],
        env={**os.environ, **virtual_mic.env()},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_wrong_with_each_microphone_is_measured_and_written(virtual_mic, tmp_path):
    sound = noise_from_one_side()
    sound[:, 1] *= 10 ** (2 / 20)
    sound[:, 2] = np.roll(sound[:, 2], 2)
    sound[:, 3] *= -(10 ** (-3 / 20))
    playing = virtual_mic.play(sound, wait=False)
    file = tmp_path / "array.toml"
    done = calibrate(virtual_mic, "--azimuth", str(FROM), "--output", str(file), "--json")
    playing.kill()
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert [channel["gain_db"] for channel in told["channels"]] == pytest.approx([0, 2, 0, -3], abs=0.3)
    # Two samples more than the others, against the mean of all.
    late = 2e6 / RATE
    delays = [channel["delay_us"] for channel in told["channels"]]
    assert delays == pytest.approx([-late / 4, -late / 4, 3 * late / 4, -late / 4], abs=4)
    assert [channel["inverted"] for channel in told["channels"]] == [False, False, False, True]
    written = Calibration.load(file)
    assert written.geometry == ARRAY
    assert written.gains == pytest.approx([1, 10 ** (-2 / 20), 1, -(10 ** (3 / 20))], rel=0.03)


def test_a_dead_microphone_and_swapped_ones_are_named(virtual_mic, tmp_path):
    sound = noise_from_one_side()
    sound[:, [0, 1]] = sound[:, [1, 0]]
    playing = virtual_mic.play(sound, wait=False)
    file = tmp_path / "array.toml"
    done = calibrate(virtual_mic, "--azimuth", str(FROM), "--output", str(file))
    playing.kill()
    assert done.returncode == 1
    assert "swapped: channels 0 and 1" in done.stdout
    assert done.stderr.startswith("dragoman: channels are swapped")
    assert not file.exists()

    sound = noise_from_one_side()
    sound[:, 2] = 0
    playing = virtual_mic.play(sound, wait=False)
    done = calibrate(virtual_mic, "--dry-run")
    playing.kill()
    assert done.returncode == 0, done.stderr
    assert "channel 2: dead, it will not be used" in done.stdout


def test_a_chirp_from_the_devices_own_speaker_will_do(virtual_mic):
    virtual_mic.hear_speaker()
    done = calibrate(virtual_mic, "--chirp", "--dry-run", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    for channel in json.loads(done.stdout)["channels"]:
        assert channel["gain_db"] == pytest.approx(0, abs=0.1)
        assert channel["delay_us"] == pytest.approx(0, abs=1)


def test_silence_is_no_measurement(virtual_mic):
    done = calibrate(virtual_mic, "--dry-run")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("output", "reason"),
    [("{}/file/array.toml", "Not a directory"), ("{}", "is a directory")],
)
def test_a_file_that_cannot_be_written_is_told_before_anything_is_recorded(tmp_path, output, reason):
    (tmp_path / "file").touch()
    recording = tmp_path / "recording.wav"
    recording.write_bytes(b"no recording: reading this would fail, and be told instead")
    words = ["--array", ARRAY, "--recording", str(recording), "--output", output.format(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "device", "devices", "calibrate", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode in {1, 2}
    assert reason in done.stderr


def test_a_correction_may_be_thrown_away_and_harms_nothing_beside_it(tmp_path):
    Calibration(ARRAY, (1.0,) * 4, (0.0,) * 4, ()).save(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()
    file = tmp_path / "new" / "a.toml"
    beside = tmp_path / "new" / "a.partial"
    beside.parent.mkdir()
    beside.write_text("somebody's own")
    Calibration(ARRAY, (1.0,) * 4, (0.0,) * 4, ()).save(file)
    assert (beside.read_text(), sorted(p.name for p in beside.parent.iterdir())) == (
        "somebody's own", ["a.partial", "a.toml"],
    )  # fmt: skip
