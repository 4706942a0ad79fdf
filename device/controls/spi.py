"""An SPI port, written to as the kernel offers it (``/dev/spidevB.C``), and what addressable lights want to hear.

A file or a pipe may stand in for the port: what would be sent is written to it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from device.controls.patterns import Colour
from device.errors import DragomanError

SET_SPEED = 0x40046B04
"""``SPI_IOC_WR_MAX_SPEED_HZ`` of linux/spi/spidev.h."""
LARGEST_TRANSFER = 4096
"""spidev's own buffer."""
APA102_SPEED = 4_000_000
WS2812_SPEED = 2_400_000
"""Three bits of SPI are one of WS2812: 0.42 µs each, within its 0.35 and 0.8 µs (± 0.15)."""
WS2812_RESET = bytes(90)
"""300 µs of silence, after which the lights take over what they were sent."""


class SpiPort:
    """An open port; chunks longer than the kernel takes are split.

    Raises
    ------
    DragomanError
        There is no such port, or it may not be used.
    """

    def __init__(self, path: Path, speed: int) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_WRONLY)
        except OSError as error:
            remedy = "switch SPI on (dtparam=spi=on in config.txt), and let the user into the group spi"
            raise DragomanError(f"SPI port {path}: {error.strerror}; {remedy}") from None
        try:
            fcntl.ioctl(self._file, SET_SPEED, struct.pack("I", speed))
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL):  # a stand-in has no speed
                os.close(self._file)
                raise DragomanError(f"SPI port {path}: {error.strerror}") from None

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises
        ------
        DragomanError
            The port is gone.
        """
        try:
            for at in range(0, len(data), LARGEST_TRANSFER):
                os.write(self._file, data[at : at + LARGEST_TRANSFER])
        except OSError as error:
            raise DragomanError(f"SPI port {self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Let the port go."""
        os.close(self._file)


def apa102(colours: Sequence[Colour], brightness: float) -> bytes:
    """Encode a frame for APA102 and SK9822 lights (APA102 data sheet, "serial data structure").

    Four zero bytes; per light 111 and five bits of global brightness, then blue, green, red; and at the end half a
    clock a light, as zeros, which SK9822 lights need to take over the frame.
    """
    level = 0xE0 | max(1, round(31 * brightness))
    lights = b"".join(bytes((level, *(round(255 * value) for value in reversed(colour)))) for colour in colours)
    return bytes(4) + lights + bytes(4 + (len(colours) + 15) // 16)


def ws2812(colours: Sequence[Colour], brightness: float) -> bytes:
    """Encode a frame for WS2812 lights at `WS2812_SPEED`: green, red, blue, each bit as 100 or 110."""
    out = bytearray()
    for red, green, blue in colours:
        for value in (green, red, blue):
            byte = round(255 * value * brightness)
            bits = 0
            for shift in range(7, -1, -1):
                bits = bits << 3 | (0b110 if byte >> shift & 1 else 0b100)
            out += bits.to_bytes(3)
    return bytes(out) + WS2812_RESET
