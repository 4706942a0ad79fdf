from __future__ import annotations

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from device.audio.array.geometry import linear, load_geometry
from tests.audio.array.scenes import snr, voice
from tools.simulate_room import NOISES, Mismatch, Room, impulse_responses, main, simulate, true_azimuth

pytest.importorskip("pyroomacoustics")
GEOMETRY = load_geometry("i2s-4mic-square")
SPOKEN = np.concatenate([np.zeros(8000, np.float32), voice(1.5)])


@pytest.mark.parametrize("noise", NOISES)
def test_the_same_seed_gives_the_same_samples(noise):
    one, other = (simulate(GEOMETRY, SPOKEN, Room(0.2, 30.0, seed=3), noise) for _ in range(2))
    np.testing.assert_array_equal(one.mixture, other.mixture)
    assert one.mixture.shape == (len(SPOKEN), 4)
    assert np.isfinite(one.mixture).all()


def test_another_seed_gives_another_room():
    one, other = (simulate(GEOMETRY, SPOKEN, Room(0.2, 30.0, seed=seed), "point") for seed in (3, 4))
    assert not np.allclose(one.talker, other.talker)
    assert not np.allclose(one.noise, other.noise)


@pytest.mark.parametrize("noise", [noise for noise in NOISES if noise != "none"])
def test_the_signal_to_noise_ratio_is_what_was_asked_for(noise):
    heard = simulate(GEOMETRY, SPOKEN, Room(0.2, 30.0, seed=1), noise, 5.0)
    assert snr(heard.talker[8000:, 0], heard.noise[8000:, 0]) == pytest.approx(5.0, abs=0.5)


def test_the_room_rings_as_long_as_was_asked_for():
    response = impulse_responses(GEOMETRY, Room(0.4, 30.0, seed=1), "talker")[:, 0]
    left = np.cumsum(response[::-1] ** 2)[::-1]
    decay = 10 * np.log10(left / left[0] + 1e-12)
    times = [int(np.argmax(decay < level)) / 16000 for level in (-5, -25)]
    assert 3 * (times[1] - times[0]) == pytest.approx(0.4, rel=0.35)


def test_sound_comes_from_where_the_talker_stands():
    pair = linear("pair", 0.1, 2)
    near_first = simulate(pair, SPOKEN, Room(0.0, 0.0, seed=1)).talker
    match = np.fft.irfft(np.fft.rfft(near_first[:, 1], 65536).conj() * np.fft.rfft(near_first[:, 0], 65536))
    assert int(np.argmax(match)) == pytest.approx(0.1 / 343 * 16000, abs=1)


def test_a_mismatch_changes_gains_and_nothing_else():
    plain, uneven = (
        simulate(GEOMETRY, SPOKEN, Room(0.0, 30.0, seed=1), mismatch=m) for m in (None, Mismatch(gain_db=2.0))
    )
    for microphone in range(4):
        one, other = plain.talker[:, microphone], uneven.talker[:, microphone]
        factor = (one @ other) / (one @ one)
        np.testing.assert_allclose(other, factor * one, atol=1e-4)


@pytest.mark.parametrize(("azimuth", "known"), [(30, 30), (330, 30), (180, 180), (-90, 90)])
def test_a_row_of_microphones_knows_one_side(azimuth, known):
    assert true_azimuth(linear("row", 0.05, 4), azimuth) == pytest.approx(known)


def test_the_command_writes_all_channels_of_the_device(tmp_path):
    soundfile.write(tmp_path / "talk.wav", voice(1.0), 16000)
    output = tmp_path / "scene.wav"
    result = CliRunner().invoke(main, [str(tmp_path / "talk.wav"), "--rt60", "0.2", "--lead", "0.5", "-o", str(output)])
    assert result.exit_code == 0, result.output
    sound, rate = soundfile.read(output)
    assert rate == 16000
    assert sound.shape[1] == 6
    assert np.abs(sound[:, 0]).max() == 0
    assert np.abs(sound[:, 1]).max() > 0


def test_a_room_that_cannot_be_is_refused(tmp_path):
    soundfile.write(tmp_path / "talk.wav", voice(0.2), 16000)
    result = CliRunner().invoke(main, [str(tmp_path / "talk.wav"), "--rt60", "0.05", "-o", str(tmp_path / "o.wav")])
    assert result.exit_code == 2
    assert "cannot be as dry" in result.output
