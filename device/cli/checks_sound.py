"""What ``dragoman doctor`` hears: the devices, every channel of the microphone, and the speaker through it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from device.cli.findings import Finding, ok, problem, warning
from device.cli.recording import Heard, find_echo, listen
from device.config import Settings
from device.errors import DragomanError

if TYPE_CHECKING:
    from device.audio.array.geometry import Geometry
    from device.audio.devices import AudioDevice, Direction

LISTEN = 2.2
"""Seconds for which the room is listened to: the health of an array is judged by the half second, twice."""
ROUND_TRIP = 3.0
"""Seconds in which a sound that was played must have come back."""
CHIRP = 0.5
CLIPPED = 0.99
QUIET = 1e-6
"""Root mean square below which a channel has no sound at all: even a silent room is louder."""
LET_GO = 1.0
"""Seconds after which a device that was missing is looked for once more."""
HELD = "a running daemon holds the sound card: stop it for this check (sudo systemctl stop dragoman)"
FAINT_DB = -60.0
"""Level of the chirp, in the microphone, below which echo cancelling and calibration have little to work with."""


def sound(settings: Settings) -> Iterator[Finding]:
    """Look for the microphone and the speaker."""
    from device.audio.devices import Direction, choose, list_devices

    wanted = {Direction.INPUT: settings.audio.input, Direction.OUTPUT: settings.audio.output}
    try:
        found = list_devices()
    except DragomanError as error:
        reason, _, remedy = str(error).partition("; ")
        for direction in wanted:
            yield problem(_name(direction), reason, remedy)
        return
    for direction, device in wanted.items():
        name = _name(direction)
        if _stands_in(device):
            yield ok(name, f"{device} stands in for it")
            continue
        try:
            chosen = choose(found, device, direction)
        except DragomanError as error:
            if direction is Direction.OUTPUT and not settings.speech.enabled:
                yield ok(name, f"not needed, for speech is off ({error})")
                continue
            if (held := _held(device, direction)) is not None:
                yield ok(name, f"{held} (in use)")
                continue
            let_go = _let_go(device, direction)
            if let_go is None:
                yield problem(name, str(error), _remedy(direction))
                continue
            chosen = let_go
        channels = chosen.channels(direction)
        yield ok(name, f"{chosen.name} ({channels} {'channel' if channels == 1 else 'channels'}, {chosen.rate} Hz)")


def hearing(settings: Settings) -> Iterator[Finding]:
    """Listen to every channel of the microphone for a moment."""
    import numpy as np

    from device.audio.frontend import array_geometry

    if _stands_in(settings.audio.input):
        return
    if not _there(settings):
        yield from _held_here(settings, "hearing")
        return
    try:
        geometry = array_geometry(settings.frontend.array)
    except DragomanError as error:
        yield problem("hearing", str(error), "see frontend.array.geometry")
        return
    heard = listen(settings, LISTEN)
    if isinstance(heard, str):
        yield warning("hearing", heard, HELD)
        return
    levels = np.sqrt(np.mean(heard.sound.astype(np.float64) ** 2, axis=0))
    text = "level " + ", ".join(f"{20 * np.log10(level + 1e-9):.0f} dB" for level in levels)
    dead = [channel for channel, level in enumerate(levels) if level < QUIET]
    if len(dead) == len(levels):
        remedy = "is the microphone switched off, or turned down in the mixer?"
        yield warning("hearing", f"{text}: complete silence", remedy)
        return
    sick = list(_health(heard, geometry, dead))
    if float(np.mean(np.abs(heard.sound) > CLIPPED)) > 0.01:
        sick.append(warning("hearing", "too loud", "turn the microphone down in the mixer (alsamixer)"))
    yield from (Finding(f.check, f.status, f"{text}: {f.text}", f.remedy) for f in sick)
    if not sick:
        yield ok("hearing", text)


def round_trip(settings: Settings) -> Iterator[Finding]:
    """Play a chirp on the speaker and look for it in the microphone."""
    import numpy as np

    from device.audio.array.calibrate import chirp
    from device.audio.frontend import array_geometry
    from device.events import SAMPLE_RATE

    if not settings.speech.enabled or _stands_in(settings.audio.input) or _stands_in(settings.audio.output):
        return
    if not _there(settings):
        yield from _held_here(settings, "round trip")
        return
    played = chirp(CHIRP)
    heard = listen(settings, ROUND_TRIP, played)
    if isinstance(heard, str):
        yield warning("round trip", heard, HELD)
        return
    try:
        geometry = array_geometry(settings.frontend.array)
    except DragomanError:
        geometry = None
    loopback = geometry.loopback if geometry is not None else ()
    echoes = {channel: find_echo(heard.at_16k()[:, channel], played) for channel in range(heard.sound.shape[1])}
    clear = {channel: echo for channel, echo in echoes.items() if echo is not None}
    microphones = [channel for channel in clear if channel not in loopback]
    if not microphones:
        remedy = "turn the speaker up, see audio.output and speech.volume; with headphones this is as it should be"
        yield warning("round trip", "the microphone does not hear the speaker", remedy)
        return
    level = max(clear[channel].level for channel in microphones)
    delay = min(clear[channel].at for channel in microphones) / SAMPLE_RATE - heard.played_at
    where = ", ".join(map(str, microphones))
    text = f"the speaker is heard on channel {where} at {20 * np.log10(level):.0f} dB after {max(0.0, delay):.2f} s"
    if playback := [channel for channel in clear if channel in loopback]:
        text += f", and on the loopback channel {', '.join(map(str, playback))}"
    if 20 * np.log10(level) < FAINT_DB:
        yield warning("round trip", text, "very faint: turn the speaker up in the mixer (alsamixer)")
        return
    yield from _placed(settings, heard, geometry, text)


def _placed(settings: Settings, heard: Heard, geometry: Geometry | None, text: str) -> Iterator[Finding]:
    """Tell where the array hears the speaker, and whether somebody is expected to talk from there."""
    from device.audio.array.calibrate import measure
    from device.audio.array.doa import Direction
    from device.audio.array.sectors import Sector, Sectors

    azimuth = None
    if geometry is not None and geometry.size > 1 and max(geometry.channels) < heard.sound.shape[1]:
        try:
            azimuth = measure(heard.at_16k()[:, list(geometry.channels)], geometry).azimuth
        except DragomanError:
            azimuth = None
    if azimuth is None:
        yield ok("round trip", text)
        return
    text += f", from {azimuth:.0f}°"
    array = settings.frontend.array
    sectors = Sectors(
        tuple(Sector(look.azimuth, look.width) for look in array.looks),
        tuple(Sector(out.azimuth, out.width) for out in array.exclude),
    )
    direction = Direction(azimuth, 1.0)
    look = sectors.look(direction)
    if look is not None and not sectors.unwanted(direction):
        remedy = f"move the speaker, or exclude its direction: [[frontend.array.exclude]] azimuth = {azimuth:.0f}"
        yield warning("round trip", f"{text}, where frontend.array.looks.{look} expects somebody to talk", remedy)
    else:
        yield ok("round trip", text)


def _health(heard: Heard, geometry: Geometry | None, dead: list[int]) -> Iterator[Finding]:
    """Judge the channels as the front end does while it runs; without an array, by their sound alone."""
    from device.audio.alerts import Fault
    from device.audio.array.health import ArrayHealth

    if geometry is None:
        if dead:
            which = ", ".join(map(str, dead))
            yield problem("hearing", f"no sound on channel {which}", "see the wiring of that microphone")
        return
    sound = heard.at_16k()
    missing = frozenset(m for m, channel in enumerate(geometry.channels) if channel >= sound.shape[1])
    health = ArrayHealth(geometry, missing)
    present = [min(channel, sound.shape[1] - 1) for channel in geometry.channels]
    for alert in health.check(sound[:, present]):
        if not alert.active or (geometry.channels.index(alert.channel), alert.fault) not in health.faults:
            continue
        text, _, remedy = alert.text.partition("; ")
        mild = alert.fault in {Fault.LOW, Fault.LOUD, Fault.INVERTED, Fault.CLIPPED, Fault.DROPOUT}
        yield (warning if mild else problem)("hearing", text, remedy)


def _there(settings: Settings) -> bool:
    """Whether there is the configured microphone and speaker; that there is none is told by `sound`."""
    from device.audio.devices import Direction, choose, list_devices

    try:
        found = list_devices()
        choose(found, settings.audio.input, Direction.INPUT)
    except DragomanError:
        return False
    return True


def _held(device: str | int | None, direction: Direction) -> str | None:
    """Return the name of a configured device that is not listed because somebody has it open."""
    from device.audio.devices import choose, held_devices

    try:
        return choose(held_devices(direction), device, direction).name
    except DragomanError:
        return None


def _let_go(device: str | int | None, direction: Direction) -> AudioDevice | None:
    """Look once more for a device: a daemon that had it open just now has it no longer."""
    from device.audio.devices import choose, list_devices
    from device.audio.portaudio import portaudio

    time.sleep(LET_GO)
    portaudio.rescan(urgent=False)
    try:
        return choose(list_devices(), device, direction)
    except DragomanError:
        return None


def _held_here(settings: Settings, check: str) -> Iterator[Finding]:
    """Say that a check was not made because the microphone is in use; that there is none is told by `sound`."""
    from device.audio.devices import Direction

    if held := _held(settings.audio.input, Direction.INPUT):
        yield warning(check, f"{held} is in use", HELD)


def _stands_in(device: str | int | None) -> bool:
    from device.audio.filecapture import FILE_PREFIX
    from device.audio.playback import NULL_OUTPUT

    return isinstance(device, str) and (device == NULL_OUTPUT or device.startswith(FILE_PREFIX))


def _name(direction: Direction) -> str:
    return "microphone" if direction == "input" else "speaker"


def _remedy(direction: Direction) -> str:
    devices = list(Path("/dev/snd").glob("pcm*")) if Path("/dev/snd").is_dir() else []
    if devices and not any(os.access(path, os.R_OK | os.W_OK) for path in devices):
        return "this user may not use the sound card: sudo usermod -aG audio $USER, then log in again"
    return f"plug one in, see `dragoman devices`, and choose it with audio.{direction}"
