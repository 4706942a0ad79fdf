"""The values that SSML's attributes have: times, factors, changes of pitch and loudness."""

from __future__ import annotations

import re
from contextvars import ContextVar

from device.errors import DragomanError

LONGEST_BREAK = 20.0
RATES = {"x-slow": 0.5, "slow": 0.64, "medium": 1.0, "default": 1.0, "fast": 1.55, "x-fast": 2.0}
PITCHES = {"x-low": 0.7, "low": 0.85, "medium": 1.0, "default": 1.0, "high": 1.15, "x-high": 1.3}
_VOLUMES = {
    "silent": 0.0, "x-soft": 0.2, "soft": 0.4, "medium": 0.6, "loud": 0.8, "x-loud": 1.0, "default": 1.0,
}  # fmt: skip
_BREAKS = {"none": 0.0, "x-weak": 0.25, "weak": 0.5, "medium": 0.75, "strong": 1.0, "x-strong": 1.25}
_NUMBER = re.compile(r"([+-]?)(\d+(?:\.\d+)?|\.\d+)\s*(%|st|hz|db)?", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s)")
NOTES: ContextVar[list[str]] = ContextVar("notes")
"""Of the document that is being read."""


class SsmlError(DragomanError):
    """A document that cannot be spoken, in one line for whoever wrote it."""


def seconds(text: str) -> float:
    """Read a time such as ``500ms`` or ``2s``; a longer one than a break may be is cut."""
    found = _TIME.fullmatch(text.strip().lower().lstrip("+"))
    if found is None:
        raise SsmlError(f"a time is written like 500ms or 2s, not {text[:40]!r}")
    return clamped("a pause in seconds", float(found[1]) / (1000 if found[2] == "ms" else 1), 0.0, LONGEST_BREAK)


def break_seconds(time: str | None, strength: str) -> float:
    """Return how long a break is, by its ``time`` or else its ``strength``."""
    if time is not None:
        return seconds(time)
    if strength not in _BREAKS:
        raise SsmlError(f"a break's strength is one of {', '.join(_BREAKS)}, not {strength[:40]!r}")
    return _BREAKS[strength]


def factor(text: str | None, names: dict[str, float]) -> float:
    """Read a rate or pitch: a name, ``1.2``, or a change like ``+20%`` or ``-2st``."""
    if text is None or not text.strip():
        return 1.0
    word = text.strip().lower()
    if word in names:
        return names[word]
    found = _NUMBER.fullmatch(word)
    if found is None:
        raise SsmlError(f"prosody cannot be {text[:40]!r}: write a name, a factor, or a change such as +20%")
    sign, number, unit = found[1], float(found[2]), (found[3] or "").lower()
    signed = -number if sign == "-" else number
    if unit == "%":
        return max(0.0, 1 + signed / 100)
    if unit == "st":
        return float(2 ** (max(-24.0, min(24.0, signed)) / 12))
    if unit:
        raise SsmlError(f"prosody cannot be {text[:40]!r}")
    return max(0.0, 1 + signed if sign else number)


def loudness(volume: float, text: str | None) -> float:
    """Read a loudness: a name, 0 to 100, or a change like ``+10``, ``-20%`` or ``+6dB``."""
    if text is None or not text.strip():
        return volume
    word = text.strip().lower()
    if word in _VOLUMES:
        return _VOLUMES[word]
    found = _NUMBER.fullmatch(word)
    unit = (found[3] or "").lower() if found else "?"
    if found is None or unit in {"st", "hz"}:
        raise SsmlError(f"a volume is a name, 0 to 100, or a change such as +10%, not {text[:40]!r}")
    sign, number = found[1], float(found[2])
    signed = -number if sign == "-" else number
    if unit == "%":
        return clamped("a volume", volume * (1 + signed / 100), 0.0, 2.0)
    if unit == "db":
        return clamped("a volume", volume * float(10 ** (max(-120.0, min(40.0, signed)) / 20)), 0.0, 2.0)
    if sign:
        return clamped("a volume", volume + signed / 100, 0.0, 2.0)
    return clamped("a volume out of 100", number, 0.0, 100.0) / 100


def clamped(what: str, value: float, low: float, high: float) -> float:
    """Return the nearest value from ``low`` to ``high``, as Azure does, and note where that is another one."""
    nearest = min(high, max(low, value))
    if nearest != value:
        NOTES.get().append(f"{what} may be {low:g} to {high:g}, not {value:g}: {nearest:g} is spoken")
    return nearest
