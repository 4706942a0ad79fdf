"""What people and programs tell the device over MQTT, as typed commands.

A payload is one JSON object with the command's fields. Where a command has one obvious field, its bare
value will do (``set/volume`` takes ``0.5`` as well as ``{"volume": 0.5}``), and where that field is text, it needs no
quotes: ``set/source`` takes ``pt``, ``set/targets`` takes ``pt,de``, ``set/mute`` takes ``ON``, ``cmd/say`` takes
``42``. A command without required fields may come with an empty payload.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from device.config import Language, Trigger
from device.config.problems import expectation
from device.errors import UsageError

LARGEST_PAYLOAD = 64 * 1024
"""Bytes of a command's payload."""
LONGEST_TEXT = 10_000
"""Characters of a text to say or to translate."""

_STRICT = ConfigDict(extra="forbid", strict=True)

Direction = Annotated[int, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
Targets = Annotated[
    tuple[Language, ...], Field(max_length=16), AfterValidator(lambda languages: tuple(dict.fromkeys(languages)))
]
"""Languages in the order they were given, each once."""

_SWITCH = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


def _switched(value: object) -> bool:
    """Read a switch as people and Home Assistant write it."""
    meant = _SWITCH.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if meant is None:
        raise ValueError("expected on or off")
    return meant


Switch = Annotated[bool, BeforeValidator(_switched)]
"""``ON`` and ``off``, ``true``, ``yes``, ``1`` and their opposites, in any case."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class Command:
    """Something the device is told to do."""

    name: ClassVar[str] = ""
    """Its topic below ``<base>/<device>/``."""
    bare: ClassVar[str | None] = None
    """The field that a payload which is no object fills."""
    words: ClassVar[bool] = False
    """Whether that field is text, or a list of texts, so that a payload which is no JSON is the text itself."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class SetSource(Command):
    """Change the language that is spoken in one direction."""

    name: ClassVar[str] = "set/source"
    bare: ClassVar[str | None] = "language"
    words: ClassVar[bool] = True

    language: Language
    direction: Direction = 0


@dataclass(frozen=True, slots=True, config=_STRICT)
class SetTargets(Command):
    """Change the languages that one direction is translated into; none only transcribes."""

    name: ClassVar[str] = "set/targets"
    bare: ClassVar[str | None] = "languages"
    words: ClassVar[bool] = True

    languages: Targets
    direction: Direction = 0


@dataclass(frozen=True, slots=True, config=_STRICT)
class SetMute(Command):
    """Stop or begin to listen at all."""

    name: ClassVar[str] = "set/mute"
    bare: ClassVar[str | None] = "muted"
    words: ClassVar[bool] = True

    muted: Switch


@dataclass(frozen=True, slots=True, config=_STRICT)
class SetVolume(Command):
    """Change the volume of the device's voice, from 0 to 1."""

    name: ClassVar[str] = "set/volume"
    bare: ClassVar[str | None] = "volume"

    volume: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class SetMode(Command):
    """Change what starts a turn: ``hold``, ``toggle`` or ``open``."""

    name: ClassVar[str] = "set/mode"
    bare: ClassVar[str | None] = "mode"
    words: ClassVar[bool] = True

    mode: Trigger


@dataclass(frozen=True, slots=True, config=_STRICT)
class Say(Command):
    """Speak a text; ``language`` None is the language that direction 0 speaks."""

    name: ClassVar[str] = "cmd/say"
    bare: ClassVar[str | None] = "text"
    words: ClassVar[bool] = True

    text: Text
    language: Language | None = None


@dataclass(frozen=True, slots=True, config=_STRICT)
class Translate(Command):
    """Translate a text and answer with it; what is None is taken from direction 0."""

    name: ClassVar[str] = "cmd/translate"
    bare: ClassVar[str | None] = "text"
    words: ClassVar[bool] = True

    text: Text
    source: Language | None = None
    targets: Targets | None = None
    speak: bool = False


@dataclass(frozen=True, slots=True, config=_STRICT)
class Listen(Command):
    """Begin a turn, as a press of the button does."""

    name: ClassVar[str] = "cmd/listen"

    direction: Direction = 0


@dataclass(frozen=True, slots=True, config=_STRICT)
class Stop(Command):
    """End the turn and be silent."""

    name: ClassVar[str] = "cmd/stop"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Repeat(Command):
    """Speak the last translation again."""

    name: ClassVar[str] = "cmd/repeat"


COMMANDS: Mapping[str, type[Command]] = {
    command.name: command
    for command in (
        SetSource,
        SetTargets,
        SetMute,
        SetVolume,
        SetMode,
        Say,
        Translate,
        Listen,
        Stop,
        Repeat,
    )
}

_READERS: Mapping[str, Callable[[Any], Command]] = {
    name: TypeAdapter(command).validate_json for name, command in COMMANDS.items()
}
_JSON = TypeAdapter(Any)


def parse(name: str, payload: bytes) -> Command:
    """Read the command ``name`` (``set/volume``) from its payload.

    Raises
    ------
    UsageError
        Unknown name, too large, no JSON, an unknown or missing key, a wrong value; the message says which,
        and repeats nothing of the payload's text.
    """
    if name not in COMMANDS:
        raise UsageError(f"unknown command {name[:80]!r}: there are {', '.join(COMMANDS)}")
    if len(payload) > LARGEST_PAYLOAD:
        raise UsageError(f"{name}: the payload has {len(payload)} bytes; at most {LARGEST_PAYLOAD} are taken")
    payload = payload.strip() or b"{}"
    command = COMMANDS[name]
    if command.bare is not None and not payload.startswith(b"{"):
        if _is_plain(payload, words=command.words):
            payload = _quoted(payload, as_list=command is SetTargets)
        _check_json(name, payload)
        payload = b'{"' + command.bare.encode() + b'":' + payload + b"}"
    try:
        return _READERS[name](payload)
    except ValidationError as error:
        raise UsageError(f"{name}: {_explain(error, name)}") from None


def _is_plain(payload: bytes, *, words: bool) -> bool:
    """Whether a payload is text without quotes: what is no JSON, and where ``words`` are wanted a number too.

    What begins like a string or a list wants to be JSON.
    """
    if payload.startswith((b'"', b"[")):
        return False
    try:
        _JSON.validate_json(payload)
    except ValidationError:
        return True
    return words


def _quoted(payload: bytes, *, as_list: bool) -> bytes:
    """Return plain text as a JSON string, or what stands between its commas as a list of strings."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return payload  # which the check for JSON refuses
    return json.dumps([word.strip() for word in text.split(",")] if as_list else text).encode()


def _check_json(name: str, payload: bytes) -> None:
    """Refuse a bare payload that would become JSON only by being put into an object."""
    try:
        _JSON.validate_json(payload)
    except ValidationError as error:
        raise UsageError(f"{name}: {_explain(error, name)}") from None


def _explain(error: ValidationError, name: str) -> str:
    """Return the first thing that is wrong, without the text that was sent."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:80]
    if first["type"] == "json_invalid":
        why = first["msg"].removeprefix("Invalid JSON: ")
        return f"the payload is not JSON ({why})"
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = ", ".join(item.name for item in dataclasses.fields(COMMANDS[name])) or "none"
        return f"unknown key {where!r}; known: {known}"
    if first["type"] in ("missing", "missing_argument"):
        return f"the key {where!r} is missing"
    if first["type"] in ("dataclass_type", "dataclass_exact_type"):
        return "the payload must be a JSON object"
    wanted = expectation(first)
    message = wanted if first["type"] == "value_error" else f"expected {wanted}"
    return f"{where}: {message}" if where else message
