"""Catalogue entries and recordings that the tests of the speech engines share."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model

MOONSHINE = Model(
    id="asr-moonshine-tiny-en",
    task="asr",
    engine="moonshine",
    name="Moonshine tiny",
    licence="MIT",
    homepage="",
    languages=("en",),
    options={
        "files": {
            "encoder": "encoder_model.ort",
            "decoder": "decoder_model_merged.ort",
            "tokens": "tokens.txt",
        },
    },
)

MOONSHINE_ON_SHERPA = replace(MOONSHINE, engine="sherpa-offline", options={"type": "moonshine_v2", **MOONSHINE.options})
"""The same files behind sherpa-onnx's own decoder."""

TWO_CITIES = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the
season of darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had
nothing before us, we were all going direct to heaven, we were all going direct the other way in short, the period
was so far like the present period, that some of its noisiest authorities insisted on its being received, for good
or for evil, in the superlative degree of comparison only."""
"""What is read in ``two_cities.wav`` (Dickens, 1859)."""


def audio(path: Path) -> Samples:
    """Read a recording as 16 kHz mono."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE), np.float32)


def plain(text: str) -> str:
    """Return ``text`` in lower case without punctuation, as word error rates are counted."""
    return " ".join(re.sub(r"[^\w' ]", " ", text.lower()).split())


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    """White noise with the given root mean square."""
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def between_silence(samples: Samples, seconds: float = 1.0) -> Samples:
    """Put the faint noise of a quiet room before and after ``samples``."""
    return np.concatenate([noise(seconds, 3e-4, 1), samples, noise(seconds, 3e-4, 2)])
