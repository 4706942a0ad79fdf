"""Audio off the wire: every header that clients send, in pieces of any size; nothing else crashes."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.audio.wav import to_pcm16
from device.server.encoding import _plain
from device.server.wave import AudioFormatError, Format, WaveStream, wave_header

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)


def heard(data, size=3200, **more):
    stream = WaveStream(**more)
    parts = [stream.feed(data[i : i + size]) for i in range(0, len(data), size)]
    return np.concatenate([*parts, stream.flush()])


def riff(fmt: bytes, data: bytes, before: bytes = b"") -> bytes:
    return b"RIFF\0\0\0\0WAVE" + before + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data\0\0\0\0" + data


def fmt(kind=1, channels=1, rate=16_000, bits=16) -> bytes:
    return struct.pack("<HHIIHH", kind, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)


@given(size=st.integers(1, 5000))
def test_pieces_of_any_size_give_the_same_samples(size):
    assert np.allclose(heard(wave_header(16_000) + to_pcm16(TONE), size), TONE, atol=1e-4)


@pytest.mark.parametrize("extra", [b"", b"\0\0"], ids=["44 bytes", "46 bytes"])
def test_both_header_lengths_of_real_clients(extra):
    assert np.allclose(heard(riff(fmt() + extra, to_pcm16(TONE))), TONE, atol=1e-4)


def test_other_chunks_before_the_samples_are_stepped_over():
    assert len(heard(riff(fmt(), to_pcm16(TONE), b"LIST\x03\0\0\0abc\0"))) == 16_000


@pytest.mark.parametrize("law", ["alaw", "mulaw"])
def test_telephone_codecs(law):
    samples = heard(riff(fmt({"alaw": 6, "mulaw": 7}[law], bits=8), _plain(law, TONE)))
    assert np.abs(samples - TONE).max() < 0.02


@pytest.mark.parametrize(("bits", "kind"), [(8, 1), (24, 1), (32, 1), (32, 3), (64, 3)])
def test_other_sample_widths(bits, kind):
    data = {
        (8, 1): lambda: ((TONE + 1) * 127.5).astype(np.uint8).tobytes(),
        (24, 1): lambda: b"".join(int(v * 2**23).to_bytes(3, "little", signed=True) for v in TONE),
        (32, 1): lambda: (TONE.astype(np.float64) * 2**31).astype("<i4").tobytes(),
        (32, 3): lambda: TONE.astype("<f4").tobytes(),
        (64, 3): lambda: TONE.astype("<f8").tobytes(),
    }[bits, kind]()
    assert np.abs(heard(riff(fmt(kind, bits=bits), data)) - TONE).max() < 0.02


def test_floats_under_the_header_of_integers_as_the_javascript_sdk_sends_them():
    data = np.concatenate([np.zeros(800, np.float32), TONE]).astype("<f4").tobytes()
    assert np.abs(heard(riff(fmt(1, bits=32), data))[800:] - TONE).max() < 0.01


@pytest.mark.parametrize("rate", [8000, 24_000, 44_100, 48_000])
def test_other_rates_become_16_khz(rate):
    seconds = 2
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate * seconds) / rate)).astype(np.float32)
    samples = heard(riff(fmt(rate=rate), to_pcm16(tone)))
    assert abs(len(samples) - 16_000 * seconds) <= 1
    assert np.argmax(np.abs(np.fft.rfft(samples))) == 440 * seconds


def test_two_channels_are_mixed():
    stereo = np.stack([TONE, np.zeros_like(TONE)], 1).reshape(-1)
    assert np.allclose(heard(riff(fmt(channels=2), to_pcm16(stereo))), TONE / 2, atol=1e-4)


@pytest.mark.parametrize("head", [b"OggS", b"#!SILK_V3", b"fLaC"])
def test_compressed_audio_is_refused_in_so_many_words(head):
    with pytest.raises(AudioFormatError, match="compressed"):
        WaveStream().feed(head + bytes(50))


@given(
    st.binary(max_size=200).map(lambda b: b"RIFF" + b) | st.binary(max_size=200).map(lambda b: b"RIFF\0\0\0\0WAVE" + b)
)
def test_any_header_is_understood_or_refused(data):
    stream = WaveStream(headerless=Format())
    with suppress(AudioFormatError):
        stream.feed(data)
        stream.feed(bytes(5000))


def test_a_header_without_end_is_not_kept():
    with pytest.raises(AudioFormatError):
        heard(b"RIFF\0\0\0\0WAVE" + b"junk\x10\0\0\0" * 10_000)


@pytest.mark.parametrize("size", [1, 7, 3200])
def test_what_has_no_header_is_refused_and_not_kept(size):
    stream = WaveStream()
    stream.feed(b"RIF"[:size])
    with pytest.raises(AudioFormatError, match="begins with a WAVE header"):
        stream.feed(bytes(size))
