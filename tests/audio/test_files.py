"""Recordings of every kind, good and bad, and WAV files that are whole at every moment."""

import os
import resource
import struct
import tracemalloc
import wave
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from device.audio.files import probe, read_blocks, read_multichannel
from device.audio.wav import WavWriter, WholeWavWriter, write_wav
from device.errors import DragomanError

RATE = 48_000
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
FORMATS = {
    "unsigned8.wav": ("WAV", "PCM_U8"),
    "signed16.wav": ("WAV", "PCM_16"),
    "signed24.wav": ("WAV", "PCM_24"),
    "signed32.wav": ("WAV", "PCM_32"),
    "float.wav": ("WAV", "FLOAT"),
    "double.wav": ("WAV", "DOUBLE"),
    "mu-law.wav": ("WAV", "ULAW"),
    "apple.aiff": ("AIFF", "PCM_16"),
    "lossless.flac": ("FLAC", "PCM_16"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "opus.opus": ("OGG", "OPUS"),
    "layer3.mp3": ("MP3", "MPEG_LAYER_III"),
}


def heard(path, **how):
    return np.concatenate([np.zeros(0, np.float32), *read_blocks(path, **how)])


def frequency(samples, rate=16_000):
    return np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * rate / len(samples)


def message(path):
    """The one line that a person gets for a bad recording, the same from both ways of asking."""
    with pytest.raises(DragomanError) as failure:
        heard(path)
    text = str(failure.value)
    assert str(path) in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_16_khz_mono(tmp_path, name):
    container, codec = FORMATS[name]
    soundfile.write(tmp_path / name, TONE, RATE, format=container, subtype=codec)
    samples = heard(tmp_path / name)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(32_000, abs=200)
    assert frequency(samples) == pytest.approx(440, abs=1)
    assert np.std(samples[1000:-1000]) == pytest.approx(0.3 / np.sqrt(2), rel=0.02)
    info = probe(tmp_path / name)
    assert (info.rate, info.channels) == (RATE, 1)
    assert info.duration == pytest.approx(2.0, abs=0.1)


def test_aac_in_mp4(tmp_path):
    path = tmp_path / "phone.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE)
        stream.layout = "stereo"
        for at in range(0, len(TONE), 1024):
            part = TONE[at : at + 1024]
            frame = av.AudioFrame.from_ndarray(np.stack([part, part]), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert frequency(heard(path)) == pytest.approx(440, abs=1)
    assert probe(path).codec == "aac"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut off" in message(path)


def test_recordings_joined_end_to_end_are_heard_to_the_end(tmp_path):
    stereo = np.stack([TONE, TONE], axis=1)[:44_100]
    soundfile.write(tmp_path / "a.mp3", TONE, RATE, format="MP3")
    soundfile.write(tmp_path / "b.mp3", stereo, 44_100, format="MP3")
    joined = tmp_path / "joined.mp3"
    joined.write_bytes((tmp_path / "a.mp3").read_bytes() + (tmp_path / "b.mp3").read_bytes())
    samples = heard(joined)
    assert len(samples) / 16_000 == pytest.approx(3.0, abs=0.2)
    assert np.std(samples[-12_000:-4_000]) > 0.1


def test_eight_channels_at_96_khz_are_averaged_or_chosen_or_left_as_they_are(tmp_path):
    path = tmp_path / "array.wav"
    at = np.arange(96_000) / 96_000
    channels = np.stack([np.sin(2 * np.pi * 200 * (i + 1) * at) for i in range(8)], axis=1) * 0.5
    soundfile.write(path, channels, 96_000, subtype="PCM_24")
    spectrum = np.abs(np.fft.rfft(heard(path)))
    assert set(np.argsort(spectrum)[-8:]) == {200 * (i + 1) for i in range(8)}
    assert frequency(heard(path, channel=5)) == pytest.approx(1200, abs=1)
    raw = np.concatenate(list(read_multichannel(path)))
    np.testing.assert_allclose(raw, channels, atol=1e-5)
    with pytest.raises(DragomanError, match="no channel 8: its channels are 0 to 7"):
        heard(path, channel=8)


@pytest.mark.parametrize("sides", [(1, -1), (1, -0.5), (0.2, -1), (1, 1, -1), (-1, 1, 1, 1, 1, 1, 1, -1)])
def test_an_inverted_channel_takes_nothing_away(tmp_path, sides):
    noise = 0.01 * np.random.default_rng(0).standard_normal((len(TONE), len(sides)))
    soundfile.write(tmp_path / "inverted.wav", TONE[:, None] * sides + noise, RATE, subtype="FLOAT")
    samples = heard(tmp_path / "inverted.wav")[500:-500]
    expected = 0.3 / np.sqrt(2) * np.mean(np.abs(sides))
    assert np.std(samples) == pytest.approx(expected, rel=0.05)
    assert frequency(samples) == pytest.approx(440, abs=1)


def test_inversion_that_comes_and_goes_makes_no_click(tmp_path):
    sides = np.repeat([1.0, -1.0, 1.0], 2 * len(TONE))
    sound = np.tile(TONE, 6)
    soundfile.write(tmp_path / "wild.wav", np.stack([sound, sound * sides], 1), RATE, subtype="FLOAT")
    samples = heard(tmp_path / "wild.wav")
    assert np.abs(np.diff(samples)).max() < 1.3 * np.abs(np.diff(heard_mono(tmp_path, sound))).max()


def heard_mono(tmp_path, sound):
    soundfile.write(tmp_path / "mono.wav", sound, RATE, subtype="FLOAT")
    return heard(tmp_path / "mono.wav")


def test_channels_that_have_little_in_common_are_averaged_as_they_are(tmp_path):
    stereo = 0.1 * np.random.default_rng(1).standard_normal((3 * RATE, 2)).astype(np.float32)
    soundfile.write(tmp_path / "wide.wav", stereo, RATE, subtype="FLOAT")
    assert np.allclose(heard(tmp_path / "wide.wav"), heard_mono(tmp_path, stereo.mean(axis=1)), atol=1e-6)


def test_many_channels_in_a_container_are_all_read(tmp_path):
    path = tmp_path / "stage.mka"
    sound = np.random.default_rng(0).integers(-9000, 9000, (4_800, 16)).astype("<i2")
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="hexadecagonal")
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="hexadecagonal")
        frame.sample_rate = 48_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    np.testing.assert_allclose(np.concatenate(list(read_multichannel(path))), sound / 32768, atol=1e-6)


@pytest.mark.parametrize("block", [0.01, 0.032, 1.0])
def test_blocks_have_the_asked_length_and_nothing_is_lost(tmp_path, block):
    path = tmp_path / "odd.wav"
    soundfile.write(path, TONE[:70_001], 44_100)
    blocks = list(read_blocks(path, block))
    assert {len(part) for part in blocks[:-1]} <= {round(block * 16_000)}
    assert sum(map(len, blocks)) == round(70_001 * 16_000 / 44_100)


def test_a_long_recording_is_never_held_whole(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(16_000 * 10, np.float32))
    tracemalloc.start()
    seconds = sum(map(len, read_blocks(path))) / 16_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds == 600
    assert peak < 2_000_000  # all of it would be 38 MB


def test_a_recording_cut_short_gives_what_is_there_and_says_so(tmp_path):
    for name, (container, codec) in FORMATS.items():
        if name in {"vorbis.ogg", "opus.opus"}:
            continue  # Ogg says nowhere how long it is
        path = tmp_path / name
        soundfile.write(path, TONE, RATE, format=container, subtype=codec)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        warnings = []
        samples = heard(path, on_warning=warnings.append)
        assert 0.3 < len(samples) / 16_000 < 1.5, name
        assert len(warnings) == 1, name
        assert str(path) in warnings[0]
        assert "of 2.0 s" in warnings[0]


@pytest.mark.parametrize("share", [0.999, 0.7, 0.3])
@pytest.mark.parametrize("name", ["lossless.flac", "layer3.mp3", "vorbis.ogg", "opus.opus", "plain.mp3"])
def test_a_compressed_recording_cut_short_says_so_and_a_whole_one_does_not(tmp_path, name, share):
    path = tmp_path / name
    noise = np.random.default_rng(2).standard_normal(3 * len(TONE)).astype(np.float32)
    sound = np.tile(TONE, 3) + 0.05 * noise
    if name == "plain.mp3":
        # As streams are recorded: nothing at the beginning tells how long it is.
        with av.open(str(path), "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as container:
            stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
            for at in range(0, len(sound), 1152):
                frame = av.AudioFrame.from_ndarray(sound[None, at : at + 1152], format="fltp", layout="mono")
                frame.sample_rate, frame.pts = RATE, at
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    else:
        container, codec = FORMATS[name]
        soundfile.write(path, sound, RATE, format=container, subtype=codec)
    told = []
    assert len(heard(path, on_warning=told.append)) == pytest.approx(96_000, abs=1000)
    assert told == []
    whole = path.read_bytes()
    # Not between two of plain.mp3's frames, which all are as long: nobody can tell such an end.
    path.write_bytes(whole[: int(share * len(whole)) - 7])
    samples = heard(path, on_warning=told.append)
    assert len(samples) > 0.15 * 96_000
    (line,) = told
    assert line.startswith(f"{path} is cut short or damaged: ")
    assert f"{len(samples) / 16_000:.1f} s" in line


@pytest.mark.parametrize("name", ["lossless.flac", "layer3.mp3", "opus.opus"])
def test_damage_in_the_middle_loses_only_the_middle(tmp_path, name):
    container, codec = FORMATS[name]
    path = tmp_path / name
    soundfile.write(path, np.tile(TONE, 5), RATE, format=container, subtype=codec)
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + third // 2] = np.random.default_rng(0).bytes(third // 2)
    path.write_bytes(data)
    warnings = []
    samples = heard(path, on_warning=warnings.append)
    assert len(samples) > 4 * 16_000
    assert np.isfinite(samples).all()
    assert len(warnings) == 1


def test_what_is_no_recording_gets_one_clear_line(tmp_path, capfd):
    def write(name, data):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    soundfile.write(tmp_path / "none.wav", TONE[:0], RATE)
    soundfile.write(tmp_path / "good.wav", TONE, RATE, subtype="PCM_16")
    good = (tmp_path / "good.wav").read_bytes()
    pcm = (TONE * 32767).astype("<i2").tobytes()
    os.mkfifo(tmp_path / "pipe.wav")
    expected = {
        write("empty.wav", b""): "is empty (0 bytes)",
        tmp_path / "none.wav": "holds no audio",
        write("header.wav", good[:44]): "holds no audio|no sample of it can be read",
        write("half-a-header.wav", good[:30]): "header is damaged",
        tmp_path: "is a directory",
        tmp_path / "missing.wav": "no such file",
        tmp_path / "pipe.wav": "not a regular file",
        write("notes.wav", "olá, é só texto\n".encode() * 99): "it is text",
        write("raw.wav", pcm): "raw samples must first be wrapped as WAV",
        write("noise.mp3", np.random.default_rng(0).bytes(200_000)): "not a recording|header is damaged",
        write("picture.wav", b"\x89PNG\r\n\x1a\n" + bytes(5000)): "no header of a known audio format",
        write("rate.wav", good[:24] + struct.pack("<I", 4_000_000_000) + good[28:]): "header is damaged",
        write("no-rate.wav", good[:24] + struct.pack("<I", 0) + good[28:]): "header is damaged",
        write("channels.wav", good[:22] + struct.pack("<H", 65_535) + good[24:]): "header is damaged",
        write("no-channels.wav", good[:22] + struct.pack("<H", 0) + good[24:]): "header is damaged",
    }
    for path, words in expected.items():
        assert any(word in message(path) for word in words.split("|")), message(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", FORMATS)
def test_random_damage_never_brings_anything_but_samples_or_one_line(tmp_path, name):
    container, codec = FORMATS[name]
    path = tmp_path / name
    soundfile.write(path, TONE[:20_000], RATE, format=container, subtype=codec)
    whole = path.read_bytes()
    random, lines = np.random.default_rng(0), []
    for _ in range(25):
        data = bytearray(whole[: random.integers(20, len(whole) + 1)])
        for _ in range(random.choice([1, 4, 20])):
            within = min(len(data), random.choice([64, 400, len(data)]))
            data[random.integers(within)] = random.choice([0, 1, 9, 127, 128, 255])
        path.write_bytes(data)
        try:
            samples = heard(path)
        except DragomanError as error:
            lines.append(str(error))
        else:
            assert np.isfinite(samples).all()
    assert all("\n" not in line and str(path) in line for line in lines)


def test_a_playlist_opens_nothing_else(tmp_path):
    soundfile.write(tmp_path / "private.wav", TONE, RATE)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXTINF:2,\n{tmp_path / 'private.wav'}\n#EXT-X-ENDLIST\n")
    assert "not a recording" in message(playlist)
    script = tmp_path / "list.ffconcat"
    script.write_text(f"ffconcat version 1.0\nfile {tmp_path / 'private.wav'}\n")
    assert "not a recording" in message(script)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "secret.wav"
    soundfile.write(path, TONE, RATE)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything, so refuse it as the kernel would
        monkeypatch.setattr(type(path), "open", lambda *_: os.open("/proc/self/mem/x", 0))
        assert "cannot be read" in message(path)
    else:
        assert "cannot be read: Permission denied" in message(path)


def test_impossible_samples_are_made_harmless(tmp_path):
    path = tmp_path / "broken-driver.wav"
    samples = TONE.copy()
    samples[100:200], samples[300], samples[400] = np.nan, np.inf, -1e30
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    out = heard(path)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 1


# Writing


def read_wav(path):
    """Read strictly, with the standard library: sizes in the header must be right."""
    with wave.open(str(path)) as file:
        data = file.readframes(file.getnframes())
        assert len(data) == file.getnframes() * file.getnchannels() * 2
        assert 44 + len(data) == path.stat().st_size
        samples = np.frombuffer(data, "<i2").reshape(-1, file.getnchannels()) / 32767
        return samples, file.getframerate()


@contextmanager
def files_limited_to(size):
    """A disk that is full after ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("shape", [(1000,), (1000, 4)])
def test_written_wav_reads_back(tmp_path, shape):
    samples = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    write_wav(tmp_path / "out.wav", samples, 22_050)
    back, rate = read_wav(tmp_path / "out.wav")
    assert rate == 22_050
    np.testing.assert_allclose(back, samples.reshape(1000, -1), atol=1 / 32767)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "out.wav"
    write_wav(path, TONE[:1000], RATE)
    old = path.read_bytes()
    with files_limited_to(4096), pytest.raises(DragomanError, match=r"out\.wav cannot be written"):
        write_wav(path, TONE, RATE)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.wav"]


def test_places_that_cannot_be_written_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "out.wav"):
        with pytest.raises(DragomanError, match="cannot be written"):
            write_wav(path, TONE, RATE)
        with pytest.raises(DragomanError, match="cannot be written"):
            WavWriter(path)
    with pytest.raises(DragomanError, match="No space left on device"):
        WavWriter("/dev/full")
    write_wav("/dev/null", TONE, RATE)
    assert not os.path.isfile("/dev/null")  # noqa: PTH113 - it must still be the device


def test_a_growing_wav_is_whole_after_every_clause(tmp_path):
    path = tmp_path / "speech.wav"
    with WavWriter(path) as writer:
        assert len(read_wav(path)[0]) == 0
        for count in range(1, 4):
            writer.append(TONE[:22_050], 22_050)
            samples, rate = read_wav(path)
            assert (len(samples), rate) == (count * 22_050, 22_050)
        assert writer.duration == 3.0


def test_what_was_there_is_kept_until_something_is_written(tmp_path):
    path = tmp_path / "old.wav"
    write_wav(path, TONE[:1000], RATE)
    WavWriter(path).close()
    assert len(read_wav(path)[0]) == 1000
    with WavWriter(path) as writer:
        writer.append(TONE[:10], RATE)
    assert len(read_wav(path)[0]) == 10


def test_names_in_any_bytes_can_be_read(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.wav"))
    write_wav(path, TONE[:1000], RATE)
    assert sum(map(len, read_blocks(path))) > 0


def test_a_growing_wav_keeps_its_rate(tmp_path):
    path = tmp_path / "voices.wav"
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    with WavWriter(path, 24_000) as writer:
        writer.append(tone, 16_000)
    samples, rate = read_wav(path)
    assert (len(samples), rate) == (24_000, 24_000)
    assert frequency(samples[:, 0], 24_000) == pytest.approx(440, abs=1)


def test_a_full_disk_costs_only_the_clause_that_did_not_fit(tmp_path):
    path = tmp_path / "speech.wav"
    with WavWriter(path) as writer:
        writer.append(TONE[:1000], RATE)
        with files_limited_to(4096), pytest.raises(DragomanError, match=r"speech\.wav cannot be written"):
            writer.append(TONE, RATE)
        assert len(read_wav(path)[0]) == 1000
        writer.append(TONE[:500], RATE)  # somebody made room
    assert len(read_wav(path)[0]) == 1500


def test_whole_file_has_its_name_only_after_its_block(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(b"older")

    def interrupted():
        with WholeWavWriter(path) as writer:
            writer.append(np.ones(100, np.float32), 16_000)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"older"
    with WholeWavWriter(path) as writer:
        writer.append(np.ones(100, np.float32), 16_000)
        assert path.read_bytes() == b"older"
    assert soundfile.info(path).frames == 100
    assert list(tmp_path.iterdir()) == [path]


def test_whole_file_that_cannot_be_written_is_named_as_it_was_given(tmp_path):
    path = tmp_path / "no" / "x.wav"
    with pytest.raises(DragomanError, match=f"^{path} cannot be written: No such file or directory$"):
        WholeWavWriter(path)
    with pytest.raises(DragomanError, match=r"^/dev/full cannot be written"):
        WholeWavWriter("/dev/full")
