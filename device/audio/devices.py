"""What microphones and speakers there are, and which one a configuration means."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from device.audio.portaudio import portaudio
from device.errors import DragomanError

MOST_CHANNELS = 8
"""Channels that are captured at most."""
CARDS = Path("/proc/asound")
"""What ALSA tells of its cards (https://docs.kernel.org/sound/designs/procfile.html)."""


class Direction(StrEnum):
    """Which way sound goes through a device."""

    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """One device as PortAudio sees it."""

    index: int
    name: str
    host: str
    """The system it belongs to: ALSA, JACK, ..."""
    inputs: int
    outputs: int
    rate: int
    """Its default sample rate."""
    default_input: bool = False
    default_output: bool = False

    def channels(self, direction: Direction) -> int:
        """How many channels it says that it has in a direction."""
        return self.inputs if direction is Direction.INPUT else self.outputs

    def is_default(self, direction: Direction) -> bool:
        """Whether it is the system's choice for a direction."""
        return self.default_input if direction is Direction.INPUT else self.default_output

    @property
    def capture_channels(self) -> int:
        """How many channels to capture when the configuration does not say.

        A sound card says what it has. A sound server's device claims 32 or more whatever microphone is
        behind it; there one channel is asked for, which the server mixes.
        """
        is_card = re.search(r"\(hw:\d+,\d+\)", self.name) is not None
        return min(self.inputs, MOST_CHANNELS) if is_card or self.inputs <= MOST_CHANNELS else 1


def list_devices() -> list[AudioDevice]:
    """Return every device that PortAudio knows of; none where there is no sound system."""
    library = portaudio.library
    hosts = [library.get_host_api_info_by_index(i)["name"] for i in range(library.get_host_api_count())]
    default_input = _default(library.get_default_input_device_info)
    default_output = _default(library.get_default_output_device_info)
    devices = []
    for index in range(library.get_device_count()):
        info = library.get_device_info_by_index(index)
        name = info["name"]
        devices.append(
            AudioDevice(
                index=index,
                name=name if isinstance(name, str) else name.decode(errors="replace"),
                host=hosts[info["hostApi"]],
                inputs=info["maxInputChannels"],
                outputs=info["maxOutputChannels"],
                rate=round(info["defaultSampleRate"]),
                default_input=index == default_input,
                default_output=index == default_output,
            )
        )
    return devices


def _default(ask: Any) -> int | None:
    try:
        index: int = ask()["index"]
    except OSError:
        return None
    return index


def held_devices(direction: Direction, cards: Path = CARDS) -> list[AudioDevice]:
    """Return the devices of sound cards that a program has open, and nobody else can open meanwhile.

    PortAudio opens a device to learn what it can do, so these are not in its list. They are named as it would name
    them; their index, channels and rate are not known.
    """
    found = []
    kind = "c" if direction is Direction.INPUT else "p"
    for path in sorted(cards.glob(f"card*/pcm*{kind}/info")):
        with suppress(OSError, KeyError, ValueError):
            info = dict(line.split(": ", 1) for line in path.read_text().splitlines() if ": " in line)
            if int(info["subdevices_avail"]) > 0:
                continue
            card, number = int(info["card"]), int(info["device"])
            name = f"{_card_names(cards)[card]}: {info['name']} (hw:{card},{number})"
            heard = int(direction is Direction.INPUT)
            found.append(AudioDevice(index=-1, name=name, host="ALSA", inputs=heard, outputs=1 - heard, rate=0))
    return found


def _card_names(cards: Path) -> dict[int, str]:
    """Return the short name of each card: ``1 [Intel  ]: HDA-Intel - HDA Intel`` is the Intel's."""
    lines = re.findall(r"^ *(\d+) \[[^]]*\]: .*? - (.*)$", (cards / "cards").read_text(), re.MULTILINE)
    return {int(number): name.strip() for number, name in lines}


def choose(devices: list[AudioDevice], wanted: str | int | None, direction: Direction) -> AudioDevice:
    """Return the device that a configuration means.

    Parameters
    ----------
    devices
        As `list_devices` gives them.
    wanted
        An index, a name or part of one in any case (a whole name goes before a beginning, and that before a
        part), or None for the system's default.
    direction
        What the device is needed for.

    Raises
    ------
    DragomanError
        There is no such device; the message names those that there are.
    """
    kind = "microphone" if direction is Direction.INPUT else "speaker"
    able = [device for device in devices if device.channels(direction) > 0]
    if not able:
        raise DragomanError(f"there is no {kind}: the system has no audio {direction} device")
    if wanted is None:
        flagged = [device for device in able if device.is_default(direction)]
        return (flagged or able)[0]
    if isinstance(wanted, int) or wanted.isdecimal():
        for device in able:
            if device.index == int(wanted):
                return device
    else:
        text = wanted.casefold()
        for matches in (str.__eq__, str.startswith, str.__contains__):
            for device in able:
                if matches(device.name.casefold(), text):
                    return device
    names = ", ".join(f"{device.index} {device.name!r}" for device in able)
    raise DragomanError(f"there is no {kind} {wanted!r}: choose audio.{direction} from {names}")
