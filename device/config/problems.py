"""Says what is wrong with a configuration: the place, what was expected, and the nearest right name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from device.config.network import MqttSettings
from device.config.places import Path as Place
from device.config.settings import Settings
from device.errors import UsageError

PREFIX = "DRAGOMAN_"
DELIMITER = "__"

_SECRET = re.compile(r"password|passwd|passphrase|secret|token|api_?key|credential", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where."""

    place: str
    """File and line, environment variable, or flag; empty where only the key is known."""
    key: str
    """Dotted key, empty for a whole file."""
    message: str

    def __str__(self) -> str:
        key = "" if self.place in (variable(self.key), flag(self.key)) else self.key
        return ": ".join(part for part in (self.place, key, self.message) if part)


class ConfigError(UsageError):
    """A configuration that cannot be used; `problems` has all that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        count = f"{len(lines)} problems in the configuration:\n  "
        super().__init__(lines[0] if len(lines) == 1 else count + "\n  ".join(lines))


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as people do: ``directions.0.source``."""
    return ".".join(str(key) for key in path)


def variable(key: str) -> str:
    """Name the environment variable of a dotted key."""
    return PREFIX + key.upper().replace(".", DELIMITER)


def flag(key: str) -> str:
    """Name the flag that sets a dotted key."""
    return f"--set {key}"


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def table(path: Sequence[str | int]) -> type[BaseModel] | None:
    """Find the table of the settings that a path leads to, if it leads to one."""
    model: type[BaseModel] | None = Settings
    for key in path:
        if isinstance(key, int):
            continue
        info = model.model_fields.get(key) if model else None
        model = next(_models(info.annotation), None) if info else None
    return model


def resolve(path: Sequence[str]) -> Place:
    """Turn the numbers of a path of words into indexes."""
    return tuple(int(key) if key.isdecimal() else key for key in path)


def all_keys(model: type[BaseModel] = Settings, above: str = "") -> Iterator[str]:
    """Yield the dotted key of everything that can be configured; a list's element is shown as ``0``."""
    for name, info in model.model_fields.items():
        key = f"{above}{name}"
        yield key
        inner = next(_models(info.annotation), None)
        if inner:
            listed = inner is not info.annotation
            yield from all_keys(inner, f"{key}.0." if listed else f"{key}.")


def nearest_key(path: Sequence[str | int]) -> str | None:
    """Find the key that was most likely meant: in the same table, else of the same name in another."""
    *above, name = [str(key) for key in path]
    here = table(resolve(above))
    if here and (found := difflib.get_close_matches(name, here.model_fields, n=1)):
        return dotted([*above, found[0]])
    keys = list(all_keys())
    elsewhere = [key for key in keys if key.rpartition(".")[2] == name]
    return next(iter(elsewhere or difflib.get_close_matches(dotted(path), keys, n=1, cutoff=0.75)), None)


def unknown(place: str, path: Sequence[str | int]) -> str:
    """Say that there is no such key, and name the one that was likely meant the way ``place`` writes keys."""
    name = str(path[-1])
    write = variable if place.startswith(PREFIX) else str
    here = table(path[:-1])
    if _SECRET.search(name) and not (here and name in here.model_fields):
        return (
            "a secret is read only from a file: put it into one that only its owner can read (chmod 600) "
            f"and give that file's name as {write('mqtt.password_file')}"
        )
    if nearest := nearest_key(path):
        return f"unknown key; did you mean {write(nearest)}?"
    return f"unknown key; known here: {', '.join(here.model_fields)}" if here else "unknown key"


def describe(error: ValidationError, place: Callable[[Place], str]) -> Iterator[tuple[Place, str]]:
    """Yield the path and a message for people, for each thing that pydantic refused."""
    merged: dict[Place, list[dict[str, Any]]] = {}
    for item in error.errors(include_url=False):
        merged.setdefault(_real_path(item["loc"], item["type"]), []).append(dict(item))
    for path, items in merged.items():
        if items[0]["type"] == "extra_forbidden":
            yield path, unknown(place(path), path)
        elif items[0]["type"] == "too_short" and any(p[: len(path)] == path for p in merged if p != path):
            continue  # its elements were refused one by one, so none is left
        else:
            yield path, _expected(path, items)


def _real_path(loc: Sequence[str | int], kind: str) -> Place:
    """Leave out of pydantic's location what is no key: the members of a union, the validators."""
    path: list[str | int] = []
    model: type[BaseModel] | None = Settings
    for index, key in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(key, int):
            path.append(key)
        elif model is None:
            break
        elif key in model.model_fields:
            path.append(key)
            annotation = model.model_fields[key].annotation
            inner = next(_models(annotation), None)
            if inner is None and not last and "dict" in str(annotation):
                path.append(loc[index + 1])
                break
            model = inner
        elif last and kind == "extra_forbidden":
            path.append(key)
    return tuple(path)


_EXPECTED = {
    "model_type": "a table of keys",
    "model_attributes_type": "a table of keys",
    "dict_type": "a table of keys",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
}
_BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
}


def expectation(item: Mapping[str, Any]) -> str:
    """Say in a few words what one of pydantic's errors wanted: ``a number``, ``at most 1``."""
    kind, limits = item["type"], item.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**{name: str(limit).removesuffix(".0") for name, limit in limits.items()})
    message = item["msg"].removeprefix("Value error, ")
    message = re.sub(r"^Input should be (a |an )?(valid )?", r"\1", message)
    return str(message[0].lower() + message[1:])


def _expected(path: Place, items: list[dict[str, Any]]) -> str:
    parts = [expectation(item) for item in items]
    first, value = items[0], items[0]["input"]
    wanted = " or ".join(dict.fromkeys(parts))
    if first["type"] in ("enum", "literal_error"):
        choices = re.findall(r"'([^']*)'", first["msg"])
        near = difflib.get_close_matches(str(value), choices, n=1)
        wanted += f" (did you mean {near[0]!r}?)" if near else ""
    said = "" if first["type"] in ("value_error", "missing") or _hidden(path) else _said(value)
    return wanted + said if first["type"] in ("value_error", "missing") else f"expected {wanted}{said}"


def _hidden(path: Place) -> bool:
    return any(_SECRET.search(str(key)) or key == "host" for key in path)


def _said(value: object) -> str:
    if not isinstance(value, str | int | float | bool):
        return ""
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    return f", not {shown if len(shown) <= 60 else shown[:57] + '...'}"


def contradictions(settings: Settings) -> Iterator[tuple[Place, str]]:
    """Yield what is right by itself and wrong together."""
    for index, way in enumerate(settings.directions):
        if way.speak is not None and way.speak not in way.targets:
            targets = ", ".join(way.targets) or "none"
            yield ("directions", index, "speak"), f"{way.speak!r} is not one of the targets ({targets})"
        if len(set(way.targets)) < len(way.targets):
            yield ("directions", index, "targets"), "a language is listed twice"
    yield from _button_contradictions(settings)
    yield from _mqtt_contradictions(settings.mqtt)
    end = settings.endpoint
    if end.max_utterance <= end.min_speech + end.silence:
        yield ("endpoint", "max_utterance"), "must be longer than min_speech and silence together"


def _button_contradictions(settings: Settings) -> Iterator[tuple[Place, str]]:
    buttons = settings.controls.buttons
    for index, button in enumerate(buttons):
        path = ("controls", "buttons", index)
        if button.direction >= len(settings.directions):
            yield (
                (*path, "direction"),
                f"there is no direction {button.direction}; add a second [[directions]]",
            )
        if any(button.name == other.name for other in buttons[:index]):
            yield (*path, "name"), f"two buttons have the name {button.name!r}"
        if any(button.pin == other.pin for other in buttons[:index]):
            yield (*path, "pin"), f"two buttons share the pin {button.pin}"


def _mqtt_contradictions(mqtt: MqttSettings) -> Iterator[tuple[Place, str]]:
    if mqtt.key_file and not mqtt.cert_file:
        yield ("mqtt", "key_file"), "a key needs its certificate: set mqtt.cert_file too"
    if (mqtt.ca_file or mqtt.cert_file) and not mqtt.tls:
        yield ("mqtt", "tls"), "a certificate is configured but TLS is off: set mqtt.tls = true"
    if mqtt.password_file and not mqtt.username:
        yield ("mqtt", "password_file"), "a password needs a user: set mqtt.username too"
