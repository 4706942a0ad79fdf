"""What the device measures of itself while it runs: heat, power, lost audio, and how fast each stage is.

Temperature and throttling are the kernel's own: ``/sys/class/thermal`` everywhere, and on a Raspberry Pi the
firmware's ``get_throttled`` (https://www.raspberrypi.com/documentation/computers/os.html, "vcgencmd get_throttled").
Elsewhere, as on a Jetson, the kernel's own cooling by a lower clock tells that heat slows the machine down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from device.engines.scheduler import Meter

EVERY = 30
"""Ticks (seconds) between two measurements."""
HOT, COOL = 80.0, 75.0
"""Degrees Celsius: a Raspberry Pi slows down at 80 to protect itself."""
THROTTLED = {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
"""Bits of ``get_throttled`` that tell what is so now …"""
SINCE_START = 16
"""… and how much higher those stand that tell what has been so since the start."""


def temperature(root: Path = Path("/")) -> float | None:
    """Return the hottest of the machine's sensors in degrees Celsius; None where there is none."""
    readings = []
    for zone in root.glob("sys/class/thermal/thermal_zone*/temp"):
        with suppress(OSError, ValueError):
            readings.append(int(zone.read_text()) / 1000)
    return max(readings, default=None)


def throttling(root: Path = Path("/")) -> dict[str, bool] | None:
    """Return what slows the machine down now, by name; None where nothing tells."""
    bits = _throttled(root)
    if bits is not None:
        return {name: bool(bits >> bit & 1) for bit, name in THROTTLED.items()}
    states = []
    for device in root.glob("sys/class/thermal/cooling_device*"):
        with suppress(OSError, ValueError):
            if "cpufreq" in (device / "type").read_text():
                states.append(int((device / "cur_state").read_text()))
    return {THROTTLED[1]: any(states)} if states else None


def throttled_before(root: Path = Path("/")) -> list[str]:
    """Return what has slowed a Raspberry Pi down at any time since its start."""
    bits = _throttled(root) or 0
    return [name for bit, name in THROTTLED.items() if bits >> (bit + SINCE_START) & 1]


def _throttled(root: Path) -> int | None:
    try:
        return int((root / "sys/devices/platform/soc/soc:firmware/get_throttled").read_text(), 16)
    except (OSError, ValueError):
        return None


def last_update(root: Path = Path("/")) -> dict[str, str] | None:
    """Return what became of the last update: result, text and time; None where there was none."""
    try:
        state = json.loads((root / "opt/dragoman/state.json").read_text(encoding="utf-8"))
        return {key: str(state[key]) for key in ("result", "text", "time")} if state["result"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Diagnostics:
    """Publishes measurements, and alerts ``hot`` and ``under-voltage``; called once a second by one thread.

    Parameters
    ----------
    publish
        Receives a measurement's name (``rtf/asr``) and its value or fields.
    alert
        Receives an alert's id and its text, or None when it is over.
    meter
        What the engine calls cost.
    overruns
        Returns how often audio was lost since the start.
    root
        Where the kernel's files are.
    """

    def __init__(
        self,
        publish: Callable[[str, Any], None],
        alert: Callable[[str, str | None], None],
        meter: Meter,
        overruns: Callable[[], int],
        root: Path = Path("/"),
    ) -> None:
        self._publish, self._alert = publish, alert
        self._meter, self._overruns, self._root = meter, overruns, root
        self._ticks = 0
        self._hot = False
        self._weak = False
        self._before: dict[str, tuple[float, float, int]] = {}

    def tick(self) -> None:
        """Measure, when it is time to."""
        if self._ticks % EVERY == 0:
            self.measure()
        self._ticks += 1

    def measure(self) -> None:
        """Measure and publish now."""
        self._heat()
        self._power()
        self._publish("overruns", self._overruns())
        self._update()
        self._speed()

    def _heat(self) -> None:
        degrees = temperature(self._root)
        if degrees is None:
            return
        self._publish("temperature", round(degrees, 1))
        hot = degrees >= (COOL if self._hot else HOT)
        if hot != self._hot:
            self._hot = hot
            text = f"{degrees:.0f} °C: the device slows down to protect itself; give it air or a heat sink"
            self._alert("hot", text if hot else None)

    def _power(self) -> None:
        now = throttling(self._root)
        if now is None:
            return
        self._publish("throttling", now)
        if (weak := now.get("under_voltage", False)) != self._weak:
            self._weak = weak
            text = "the power supply is too weak: use the official one, and a short cable"
            self._alert("under-voltage", text if self._weak else None)

    def _update(self) -> None:
        """Publish what became of the last update."""
        if (last := last_update(self._root)) is not None:
            self._publish("update", last)

    def _speed(self) -> None:
        """Publish what each stage took since the last time: seconds a call, and where it has audio the RTF."""
        meter = self._meter
        for stage, calls in dict(meter.calls).items():
            wall, audio = meter.wall[stage], meter.audio[stage]
            wall_before, audio_before, calls_before = self._before.get(stage, (0.0, 0.0, 0))
            self._before[stage] = (wall, audio, calls)
            if calls == calls_before:
                continue
            seconds, heard = wall - wall_before, audio - audio_before
            fields: dict[str, Any] = {"calls": calls - calls_before, "seconds": round(seconds, 4)}
            if heard > 0:
                fields |= {"audio": round(heard, 3), "value": round(seconds / heard, 4)}
            self._publish(f"rtf/{stage}", fields)
