"""``dragoman devices calibrate``: measure how the channels of a microphone array differ, and write the correction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.cli.common import OUTPUT_FILE, FiniteRange, json_option, print_json, require_writable, settings_from
from device.errors import DragomanError, UsageError
from device.wording import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from device.audio.array.calibrate import Measurement
    from device.audio.array.geometry import Geometry
    from device.config import AudioSettings, Settings


@click.command()
@click.option("--array", "name", metavar="NAME", help="The array's geometry; by default the configured one.")
@click.option(
    "--azimuth", type=FiniteRange(-360, 360), help="Where the sound comes from, in degrees; better results where known."
)
@click.option("--seconds", type=FiniteRange(1.5, 60), default=5.0, show_default=True, help="How long to listen.")
@click.option("--chirp", is_flag=True, help="Play a chirp on the configured speaker meanwhile; else record the room.")
@click.option(
    "--recording",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take this recording, with all channels of the device, instead of the microphone.",
)
@click.option("-o", "--output", type=OUTPUT_FILE, help="Where to write the correction.")
@click.option("--dry-run", is_flag=True, help="Measure only, write nothing.")
@json_option("measurement")
@click.pass_context
def calibrate(
    ctx: click.Context,
    name: str | None,
    azimuth: float | None,
    seconds: float,
    chirp: bool,
    recording: Path | None,
    output: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Compare the microphones of an array and write a correction of their gains, delays and polarity.

    Run it in a room with steady noise, or with --chirp, or play something from a known --azimuth. Dead and swapped
    channels are named.
    """
    from device.audio.array.calibrate import measure
    from device.config import state_directory

    settings = settings_from(ctx)
    geometry = _geometry(settings, name)
    path = output or state_directory(settings) / "calibration" / f"{geometry.name}.toml"
    if not dry_run:
        require_writable(path, folders=True)  # before anybody waits for a measurement
    if recording is not None:
        sound = _read(recording, geometry)
    else:
        sound = _record(settings.audio, geometry, seconds, chirp=chirp)
    found = measure(sound, geometry, azimuth)
    if as_json:
        print_json(_as_dict(found, geometry))
    else:
        _print(found, geometry)
    if found.swapped:
        raise DragomanError(
            "channels are swapped: mend the wiring or the geometry's channel order, then calibrate again"
        )
    if dry_run:
        return
    found.calibration.save(path)
    if not as_json:
        click.echo(f'written to {path}; use it with frontend.array.calibration = "{path}"')


def _geometry(settings: Settings, name: str | None) -> Geometry:
    from device.audio.array.geometry import load_geometry
    from device.audio.frontend import array_geometry

    if name is not None:
        return load_geometry(name)
    geometry = array_geometry(settings.frontend.array)
    if geometry is None:
        raise UsageError("no array is configured: name one with --array, or set frontend.array.geometry")
    return geometry


def _read(path: Path, geometry: Geometry) -> NDArray[np.float32]:
    """Read a recording with the device's channels, or with just the microphones, at 16 kHz."""
    import numpy as np

    from device.audio.files import probe, read_multichannel

    blocks = list(read_multichannel(path))
    if not blocks:
        raise DragomanError(f"{path} holds no sound")
    return _microphones(np.concatenate(blocks), probe(path).rate, geometry, str(path))


def _record(audio: AudioSettings, geometry: Geometry, seconds: float, *, chirp: bool) -> NDArray[np.float32]:
    """Record from the configured device, while a chirp is played or not."""
    import threading

    import numpy as np

    from device.audio.array.calibrate import chirp as make_chirp
    from device.audio.capture import open_capture
    from device.audio.playback import Player
    from device.audio.reports import AudioReport, Happening
    from device.events import SAMPLE_RATE

    blocks: list[NDArray[np.float32]] = []
    lost: list[str] = []
    enough = threading.Event()
    wanted = audio.model_copy(update={"channels": audio.channels or geometry.input_channels})

    def take(block: NDArray[np.float32]) -> None:
        blocks.append(block)
        if microphone.rate and sum(map(len, blocks)) >= seconds * microphone.rate:
            enough.set()

    def note(report: AudioReport) -> None:
        if report.kind in {Happening.LOST, Happening.ENDED}:
            lost.append(report.text)
            enough.set()

    microphone = open_capture(wanted, take, note)
    player = Player(audio) if chirp else None
    if player:
        player.start()
        player.play(make_chirp(seconds + 1), SAMPLE_RATE)
    microphone.start()
    try:
        # The capture reports a lost device by itself; this only bounds a device that says nothing at all.
        in_time = enough.wait(timeout=seconds + 20)
    finally:
        microphone.stop()
        if player:
            player.close()
    if not blocks:
        raise DragomanError(lost[0] if lost else "the microphone gives no sound")
    if not in_time:
        raise DragomanError("the microphone gives no sound; see `dragoman devices`")
    return _microphones(np.concatenate(blocks), microphone.rate, geometry, "the microphone")


def _microphones(sound: NDArray[np.float32], rate: int, geometry: Geometry, where: str) -> NDArray[np.float32]:
    import numpy as np
    import soxr

    from device.events import SAMPLE_RATE

    channels = sound.shape[1]
    if channels > max(geometry.channels):
        sound = sound[:, list(geometry.channels)]
    elif channels != geometry.size:
        raise DragomanError(
            f"{where} has {counted(channels, 'channel')}, but the array {geometry.name} needs "
            f"{max(geometry.channels) + 1}"
        )
    if rate != SAMPLE_RATE:
        sound = soxr.resample(sound, rate, SAMPLE_RATE)
    return np.asarray(sound, np.float32)


def _as_dict(found: Measurement, geometry: Geometry) -> dict[str, object]:
    return {
        "array": geometry.name,
        "azimuth": None if found.azimuth is None else round(found.azimuth, 1),
        "channels": [
            {
                "channel": channel,
                "gain_db": None if index in found.dead else round(found.gains_db[index], 2),
                "delay_us": round(found.delays_us[index], 1),
                "dead": index in found.dead,
                "inverted": index in found.inverted,
            }
            for index, channel in enumerate(geometry.channels)
        ],
        "swapped": [[geometry.channels[one], geometry.channels[other]] for one, other in found.swapped],
    }


def _print(found: Measurement, geometry: Geometry) -> None:
    click.echo(f"{geometry.title}")
    came = "from all sides" if found.azimuth is None else f"from {found.azimuth:.0f}°"
    click.echo(f"the sound came {came}")
    for index, channel in enumerate(geometry.channels):
        if index in found.dead:
            click.echo(f"  channel {channel}: dead, it will not be used")
            continue
        inverted = ", inverted" if index in found.inverted else ""
        click.echo(f"  channel {channel}: {found.gains_db[index]:+.1f} dB, {found.delays_us[index]:+.0f} µs{inverted}")
    if found.swapped:
        pairs = " or ".join(f"{geometry.channels[one]} and {geometry.channels[other]}" for one, other in found.swapped)
        click.echo(f"  swapped: channels {pairs}")
