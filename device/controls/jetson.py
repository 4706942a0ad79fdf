"""The 40-pin header of NVIDIA's boards, which is laid out as a Raspberry Pi's: same places, same names, other lines.

So ``17``, ``"GPIO17"`` and ``"BOARD11"`` mean the same contact there. The lines within their chip are those of NVIDIA's
own Jetson.GPIO (its gpio_pin_data.py); contacts that hang on another chip are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PI_4 = 0xC03114
"""The revision code of a Raspberry Pi 4, whose header gpiozero then takes this one for."""


@dataclass(frozen=True, slots=True)
class Header:
    """One board's header."""

    parts: tuple[str, ...]
    """What the device tree calls boards that have it."""
    chip: str
    """The GPIO chip's label."""
    lines: Mapping[int, int]
    """The chip's line by the number that a Raspberry Pi's GPIO has in that place."""


HEADERS = (
    Header(  # Orin Nano and Orin NX on their developer kits' boards
        ("p3768", "p3509-0000+p3767"),
        "tegra234-gpio",
        {4: 144, 5: 105, 6: 106, 7: 137, 8: 136, 9: 134, 10: 135, 11: 133, 12: 41, 13: 43, 16: 113, 17: 112, 18: 50,
         19: 53, 20: 52, 21: 51, 22: 85, 23: 126, 24: 125, 25: 123, 26: 124, 27: 122},
    ),
    Header(  # AGX Orin
        ("p3701",),
        "tegra234-gpio",
        {4: 106, 7: 137, 8: 136, 9: 134, 10: 135, 11: 133, 16: 113, 17: 112, 18: 50, 19: 53, 20: 52, 21: 51, 22: 85,
         24: 43, 25: 96, 27: 108},
    ),
    Header(  # Nano
        ("p3450", "jetson-nano"),
        "tegra-gpio",
        {4: 216, 5: 149, 6: 200, 7: 20, 8: 19, 9: 17, 10: 16, 11: 18, 12: 168, 13: 38, 16: 51, 17: 50, 18: 79, 19: 76,
         20: 77, 21: 78, 22: 194, 23: 232, 24: 15, 25: 13, 26: 12, 27: 14},
    ),
)  # fmt: skip


def find_header(root: Path = Path("/")) -> Header | None:
    """Return the header of this board; None on any other machine."""
    try:
        names = (root / "proc/device-tree/compatible").read_text(errors="replace")
    except OSError:
        return None
    if "nvidia," not in names:
        return None
    return next((header for header in HEADERS if any(part in names for part in header.parts)), None)


def header_factory(header: Header) -> Any:
    """Return a gpiozero pin factory for a board's header.

    Raises
    ------
    FileNotFoundError
        The board has no such GPIO chip.
    """
    import lgpio
    from gpiozero import PinInvalidPin
    from gpiozero.pins.lgpio import LGPIOFactory

    class HeaderFactory(LGPIOFactory):  # type: ignore[misc] # gpiozero has no types
        """Finds a contact as on a Raspberry Pi, and drives the line that is there."""

        def _get_revision(self) -> int:
            return _PI_4

        def pin(self, name: int | str) -> Any:
            for _, info in self.board_info.find_pin(name):
                number = re.fullmatch(r"GPIO(\d+)", info.name)
                line = header.lines.get(int(number[1])) if number else None
                if line is None:
                    raise PinInvalidPin(f"{name} is no GPIO of this board's header")
                if info not in self.pins:
                    self.pins[info] = self.pin_class(self, info._replace(name=f"GPIO{line}"))
                return self.pins[info]
            raise PinInvalidPin(f"{name} is not a valid pin name")

    return HeaderFactory(chip=_chip_number(lgpio, header.chip))


def _chip_number(lgpio: Any, label: str) -> int:
    """Return the number of the GPIO chip with a label: it is not the same in every kernel."""
    for path in sorted(Path("/dev").glob("gpiochip*")):
        number = int(path.name.removeprefix("gpiochip"))
        handle = lgpio.gpiochip_open(number)
        try:
            found = lgpio.gpio_get_chip_info(handle)[3]
        finally:
            lgpio.gpiochip_close(handle)
        if found == label:
            return number
    raise FileNotFoundError(f"there is no GPIO chip {label}")
