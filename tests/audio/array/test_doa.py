from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audio.array.covariance import covariance
from device.audio.array.doa import DirectionSmoother, SteeredResponse, angle_between
from device.audio.array.geometry import load_geometry
from device.audio.array.stft import BINS, Analysis
from tests.audio.array.scenes import noise, plane_wave, square

EVERYWHERE = np.ones(BINS, np.float32)


def locate(geometry, sound):
    finder = SteeredResponse(geometry)
    return finder.peak(finder.of_covariance(covariance(Analysis(geometry.size).push(sound)), EVERYWHERE))


@given(st.floats(0, 359.9))
@settings(max_examples=30, deadline=None)
def test_a_far_source_is_found_to_a_degree(azimuth):
    geometry = square()
    direction = locate(geometry, plane_wave(geometry, noise(0.5), azimuth))
    assert angle_between(direction.azimuth, azimuth) < 1
    assert direction.confidence > 0.9


@pytest.mark.parametrize("name", ["respeaker-2mic", "i2s-4mic-linear"])
@pytest.mark.parametrize("azimuth", [20.0, 90.0, 155.0])
def test_a_row_knows_one_side_and_takes_the_other_for_it(name, azimuth):
    geometry = load_geometry(name)
    front = locate(geometry, plane_wave(geometry, noise(0.5), azimuth))
    behind = locate(geometry, plane_wave(geometry, noise(0.5), -azimuth))
    assert angle_between(front.azimuth, azimuth) < 2.5
    assert behind.azimuth == pytest.approx(front.azimuth, abs=0.5)


def test_sound_without_direction_is_not_believed():
    random = np.random.default_rng(0)
    own = (0.1 * random.standard_normal((16000, 4))).astype(np.float32)
    assert locate(square(), own).confidence < 0.15


def test_the_direction_does_not_wrap_around_north():
    geometry = square()
    finder = SteeredResponse(geometry)
    smoother = DirectionSmoother(finder)
    for azimuth in (358.0, 2.0, 359.0, 1.0):
        matrix = covariance(Analysis(4).push(plane_wave(geometry, noise(0.3), azimuth)))
        direction = smoother.add(finder.of_covariance(matrix, EVERYWHERE))
    assert angle_between(direction.azimuth, 0) < 1.5


@pytest.mark.parametrize(("one", "other", "between"), [(350, 10, 20), (0, 180, 180), (90, 90, 0), (-10, 350, 0)])
def test_angles_are_measured_the_short_way(one, other, between):
    assert angle_between(one, other) == between
