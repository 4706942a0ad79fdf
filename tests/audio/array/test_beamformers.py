from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audio.array.beamformers import BEAMFORMERS, Scene
from device.audio.array.beamformers.superdirective import WHITE_NOISE_GAIN
from device.audio.array.covariance import RunningCovariance, covariance
from device.audio.array.geometry import load_geometry
from device.audio.array.noise import NoiseField
from device.audio.array.steering import diffuse_coherence, steering_vectors
from device.audio.array.stft import BINS, FREQUENCIES
from tests.audio.array.scenes import square

STEERED = ["delay-and-sum", "superdirective", "mvdr"]
SPEECH = (FREQUENCIES > 200) & (FREQUENCIES < 7000)


def known_scene(geometry, azimuth, seed=0, reference=0):
    """A scene with a noise that was heard and a talker whose direction is known."""
    random = np.random.default_rng(seed)
    shape = (12, geometry.size, BINS)
    heard = (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)
    coming = steering_vectors(geometry, azimuth + 100)[0]
    heard += (3 * random.standard_normal((12, 1, BINS)) * coming.T).astype(np.complex64)
    noise, speech = RunningCovariance(geometry.size, 4.0), RunningCovariance(geometry.size, 1.0)
    noise.add(covariance(heard), 1.0)
    field = NoiseField(geometry)
    field.update(noise, speech)
    return Scene(geometry, noise, field, speech, reference, azimuth)


@pytest.mark.parametrize("name", STEERED)
@given(azimuth=st.floats(0, 359), seed=st.integers(0, 1000), reference=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_the_talker_is_left_as_the_reference_hears_him(name, azimuth, seed, reference):
    geometry = square()
    # The superdirective beams are computed on a grid.
    azimuth = round(azimuth / 2.5) * 2.5
    weights = BEAMFORMERS[name]().weights(known_scene(geometry, azimuth, seed, reference))
    towards = steering_vectors(geometry, azimuth)[0]
    response = np.sum(weights.conj() * towards, axis=1) / towards[:, reference]
    np.testing.assert_allclose(response, 1, atol=2e-3)


@pytest.mark.parametrize("name", [*STEERED, "gev"])
def test_relative_transfer_functions_steer_where_no_plane_wave_fits(name):
    geometry = square()
    scene = known_scene(geometry, 40)
    random = np.random.default_rng(3)
    scene.transfer = (1 + 0.5 * random.standard_normal((BINS, 4)) + 0.5j * random.standard_normal((BINS, 4))).astype(
        np.complex64
    )
    scene.transfer[:, 0] = 1
    weights = BEAMFORMERS[name]().weights(scene)
    response = np.sum(weights.conj() * scene.transfer, axis=1)
    if name == "mvdr":
        np.testing.assert_allclose(response, 1, atol=2e-3)
    assert np.isfinite(weights).all()


@pytest.mark.parametrize("name", STEERED)
def test_a_beam_lets_less_noise_through_than_one_microphone(name):
    geometry = square()
    scene = known_scene(geometry, 40)
    weights = BEAMFORMERS[name]().weights(scene)
    beam = np.einsum("fm,fmn,fn->f", weights.conj(), scene.noise.value, weights).real[SPEECH].mean()
    alone = scene.noise.value[:, 0, 0].real[SPEECH].mean()
    assert beam < {"delay-and-sum": 1.0, "superdirective": 12.0, "mvdr": 0.5}[name] * alone


def test_mvdr_takes_the_least_noise_of_all_that_leave_the_talker_alone():
    geometry = square()
    scene = known_scene(geometry, 40)

    def noise(weights):
        return np.einsum("fm,fmn,fn->f", weights.conj(), scene.field.matrix, weights).real

    best = noise(BEAMFORMERS["mvdr"]().weights(scene))
    for name in ("single", "delay-and-sum", "superdirective"):
        assert np.all(best <= noise(BEAMFORMERS[name]().weights(scene)) * 1.001)


@pytest.mark.parametrize("name", ["respeaker-2mic", "respeaker-4mic", "respeaker-6mic", "uma-8", "i2s-4mic-linear"])
def test_superdirective_never_boosts_the_microphones_noise_beyond_its_limit(name):
    geometry = load_geometry(name)
    scene = known_scene(geometry, 60)
    weights = BEAMFORMERS["superdirective"]().weights(scene)
    assert np.sum(np.abs(weights) ** 2, axis=1).max() <= 10 ** (-WHITE_NOISE_GAIN / 10) * 1.01


@pytest.mark.parametrize("name", ["respeaker-4mic", "uma-8"])
def test_superdirective_beats_delay_and_sum_in_a_diffuse_field(name):
    geometry = load_geometry(name)
    scene = known_scene(geometry, 60)
    diffuse = diffuse_coherence(geometry)

    def left(beamformer):
        weights = BEAMFORMERS[beamformer]().weights(scene)
        return np.einsum("fm,fmn,fn->f", weights.conj(), diffuse, weights).real[
            (FREQUENCIES > 200) & (FREQUENCIES < 3000)
        ]

    assert 10 * np.log10(left("delay-and-sum").mean() / left("superdirective").mean()) > 2


@pytest.mark.parametrize("name", list(BEAMFORMERS))
def test_before_anything_is_known_the_reference_is_heard(name):
    geometry = square()
    scene = known_scene(geometry, 0)
    scene.azimuth = scene.transfer = None
    scene.noise = RunningCovariance(4, 4.0)
    weights = BEAMFORMERS[name]().weights(scene)
    np.testing.assert_array_equal(weights, np.eye(4, dtype=np.complex64)[[0] * BINS])
