"""Writes settings as TOML that can be saved and read again."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from device.config.settings import Settings

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(settings: Settings, origin: Callable[[str], str] | None = None) -> str:
    """Write all settings as TOML; what has no value is written as a comment, for TOML has no null.

    With ``origin`` each line ends with a comment that tells where the value came from.
    """
    return "\n".join(_table(settings.model_dump(mode="json"), "", "", origin)) + "\n"


def _table(values: Mapping[str, Any], header: str, path: str, origin: Callable[[str], str] | None) -> Iterator[str]:
    """Yield the lines of one table: its own keys first, then the tables below it."""
    plain = {key: value for key, value in values.items() if not _is_table(value)}
    below = {key: value for key, value in values.items() if _is_table(value)}
    width = 0
    lines = []
    for key, value in plain.items():
        name = _key(key)
        line = f"# {name} =" if value is None else f"{name} = {_value(value)}"
        lines.append((line, origin(f"{path}{key}") if origin else ""))
        width = max(width, len(line))
    for line, place in lines:
        yield f"{line:<{min(width, 60)}}  # {place}" if place else line
    for key, value in below.items():
        dotted = f"{header}.{_key(key)}" if header else _key(key)
        elements = value if isinstance(value, list) else [value]
        for index, element in enumerate(elements):
            yield ""
            yield f"[[{dotted}]]" if isinstance(value, list) else f"[{dotted}]"
            inner = f"{path}{key}.{index}." if isinstance(value, list) else f"{path}{key}."
            yield from _table(element, dotted, inner, origin)


def _is_table(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(element, dict) for element in value)
    return isinstance(value, dict)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf and nan are written alike
    if isinstance(value, list):
        return f"[{', '.join(_value(element) for element in value)}]"
    return repr(value)
