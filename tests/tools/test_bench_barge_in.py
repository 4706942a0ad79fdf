"""The measurement of barge-in measures what it says."""

import numpy as np
import pytest

from device.audio.array.geometry import load_geometry
from tools.bench_barge_in import LEAD, LEVEL, distortion_db, loudspeaker, scene
from tools.speech_corpus import Utterance

pytest.importorskip("pyroomacoustics")


def corpus(count=6):
    random = np.random.default_rng(1)
    return [
        Utterance(f"{n}", (0.05 * random.standard_normal(16_000)).astype(np.float32), f"number {n}")
        for n in range(count)
    ]


def test_the_loudspeaker_distorts_by_about_20_db():
    sound = (0.05 * np.random.default_rng(0).standard_normal(160_000)).astype(np.float32)
    assert 12 < distortion_db(sound) < 30
    assert np.abs(loudspeaker(sound)).max() < 1


def test_the_talker_is_as_loud_as_the_device_which_begins_when_he_has_spoken_alone():
    place = scene(load_geometry("i2s-4mic-square"), corpus(), 0, 2)
    spoken = np.concatenate([np.arange(start, end) for start, end, _ in place.spans])
    for sound in (place.talker, *place.echoes.values()):
        assert np.sqrt(np.mean(sound[spoken, 0] ** 2)) == pytest.approx(LEVEL, rel=0.01)
    assert not place.played[: place.begins].any()
    assert place.played[place.begins :].any()
    assert place.spans[0][0] == place.begins + int(LEAD * 16_000)
    assert len(place.spans) == 2
