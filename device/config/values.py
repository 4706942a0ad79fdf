"""Values that many settings have, and how they are read from a file, a flag or the environment."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from device.config.languages import canonical_language


def _number_or_name(value: object) -> object:
    """Read a device or pin given as text: "17" from a flag or the environment means the number."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _list_of_languages(value: object) -> object:
    """Read ``pt,de`` or ``["pt", "de"]`` from a flag or the environment as a list."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    if value.lstrip().startswith("["):
        try:
            return tuple(json.loads(value))
        except ValueError as error:
            raise ValueError(f'expected a list such as pt,de or ["pt", "de"] ({error})') from None
    return tuple(tag.strip() for tag in value.split(",") if tag.strip())


def _host(value: str) -> str:
    """Refuse an address with a scheme, a login or a port; it is not repeated, for it may hold a password."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.%]+(%[A-Za-z0-9]+)?\]?", value):
        raise ValueError("expected a host name or address alone, without scheme, login, port or path")
    return value.strip("[]")


def _topic_part(value: str) -> str:
    """Refuse text that MQTT cannot carry in a topic's name (MQTT 5, 4.7)."""
    if not value or re.search(r"[#+\x00-\x1f\x7f]", value) or value.startswith(("/", "$")) or value.endswith("/"):
        raise ValueError("expected part of a topic: no '#', '+' or control character, no '/' at an end, no '$' first")
    return value


def _topic_level(value: str) -> str:
    if "/" in value:
        raise ValueError("expected one level of a topic, without '/'")
    return _topic_part(value)


Language = Annotated[str, AfterValidator(canonical_language)]
"""A BCP-47 tag such as ``en`` or ``pt-BR``, of a language that exists."""

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
"""A path; a leading ``~`` is the user's home."""

NumberOrName = Annotated[int | str, BeforeValidator(_number_or_name)]

Languages = Annotated[tuple[Language, ...], BeforeValidator(_list_of_languages)]
"""Languages; from a flag or the environment ``pt,de`` or ``["pt", "de"]``."""

Host = Annotated[str, AfterValidator(_host)]

TopicPart = Annotated[str, AfterValidator(_topic_part)]

TopicLevel = Annotated[str, AfterValidator(_topic_level)]
