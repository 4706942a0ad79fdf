"""Every format that is offered can be written, and holds what was said."""

import io

import av
import numpy as np
import pytest

from device.server.encoding import FORMATS, Encoder, OutputFormatError, output_format
from device.server.wave import Format

RATE = 22_050
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)


def decoded(name, data):
    wanted = FORMATS[name]
    if name.startswith("raw"):
        kind, bits = {"pcm": (1, 16), "alaw": (6, 8), "mulaw": (7, 8)}[wanted.codec]
        return Format(kind, 1, wanted.rate, bits).decode(data), wanted.rate
    with av.open(io.BytesIO(data), format="g722" if wanted.codec == "g722" else None) as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray().astype(np.float64).reshape(-1) for frame in frames])
    return samples, frames[0].sample_rate


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_what_was_said(name):
    encoder = Encoder(output_format(name))
    data = b"".join(encoder.encode(TONE[i : i + 5000], RATE) for i in range(0, len(TONE), 5000)) + encoder.finish()
    samples, rate = decoded(name, data)
    assert len(samples) / rate == pytest.approx(2, abs=0.1)
    assert np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples) == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    "name", ["audio-16khz-32kbitrate-mono-mp3", "ogg-24khz-16bit-mono-opus", "webm-24khz-16bit-mono-opus"]
)
def test_sound_leaves_before_all_of_it_is_there(name):
    encoder = Encoder(output_format(name))
    first = sum(len(encoder.encode(TONE, RATE)) for _ in range(4))
    assert first > len(encoder.finish())


def test_voices_of_other_rates_may_follow_each_other():
    encoder = Encoder(output_format("raw-16khz-16bit-mono-pcm"))
    data = encoder.encode(TONE, RATE) + encoder.encode(np.zeros(16_000, np.float32), 16_000) + encoder.finish()
    assert len(data) / 2 / 16_000 == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize(
    "name", ["raw-16khz-16bit-mono-truesilk", "audio-16khz-16kbps-mono-siren", "amr-wb-16000hz", ""]
)
def test_a_format_without_encoder_is_refused_with_those_that_can_be_written(name):
    with pytest.raises(OutputFormatError, match="riff-24khz-16bit-mono-pcm"):
        output_format(name)
