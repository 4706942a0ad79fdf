"""Reads the settings: one TOML file, environment variables over it, flags over those.

Whatever is wrong is collected and told at once, each problem on one line with its place.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from device.config import problems
from device.config.files import read_text, warn_if_others_can_read
from device.config.places import Path as Place
from device.config.places import key_lines
from device.config.problems import DELIMITER, PREFIX, ConfigError, Problem, dotted, flag, resolve
from device.config.settings import Settings
from device.errors import UsageError

log = logging.getLogger(__name__)

OTHER_VARIABLES = frozenset({"DRAGOMAN_CONFIG", "DRAGOMAN_MODELS", "DRAGOMAN_CATALOGUE"})
"""Documented environment variables that are no settings."""

SYSTEM_FILE = Path("/etc/dragoman/dragoman.toml")
LARGEST = 1 << 20
"""Bytes of a configuration file."""


class _Variables(Settings, BaseSettings):
    """The settings' tree as pydantic-settings wants it to decode environment variables."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each value that is not a default came from."""

    settings: Settings
    file: Path | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    """Place of each given value by its dotted key; a list's elements may have places of their own."""

    def origin(self, key: str) -> str:
        """Tell where a dotted key's value came from: file and line, variable, flag, or ``default``."""
        while key:
            if key in self.origins:
                return self.origins[key]
            key = key.rpartition(".")[0]
        return "default"


def _toml_as_json(text: str) -> str:
    """Write one value of TOML as JSON; raises `ValueError` where the text is none."""
    found = tomllib.loads(f"value = {text}")
    if found.keys() != {"value"}:
        raise ValueError("more than one value")
    return json.dumps(found["value"], default=str)


def _form(path: Place, text: str) -> str:
    """Say how a list or a table is written, for what is neither."""
    usual: Any = Settings()
    for key in path:
        usual = getattr(usual, str(key), None)
    table = f'a table such as {{ key = "value" }} or {json.dumps({"key": "value"})}'
    words = [word.strip() for word in text.split(",")]
    plain = words if all(re.fullmatch(r"[\w-]{1,40}", word) for word in words) else ["one", "other"]
    many = f"a list such as {json.dumps(plain, ensure_ascii=False)}"
    if isinstance(usual, tuple):
        return f"expected {many}"
    return f"expected {table}" if isinstance(usual, dict) else f"expected {many}, or {table}"


@dataclass
class _Layers:
    """The layers merged so far, with the place of every value and everything that was wrong with them."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Place, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Place) -> str:
        """Find the place of a key, or of the nearest table above it that was given, or of a key below it."""
        above = (self.places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.places)
        below = (place for known, place in self.places.items() if known[: len(path)] == path)
        return next(above, next(below, ""))

    def complain(self, path: Place, message: str) -> None:
        problem = Problem(self.place(path), dotted(path), message)
        if not any((p.place, p.key) == (problem.place, problem.key) for p in self.problems):
            self.problems.append(problem)

    def add_file(self, file: Path) -> None:
        try:
            text = read_text(file, LARGEST)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"not UTF-8 at byte {error.start}"
            raise UsageError(f"{file}: cannot be read as configuration: {reason}") from None
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # ValueError: a number too long for Python, too
            raise ConfigError([_syntax_problem(file, text, str(error))]) from None
        self.places = {path: f"{file}:{line}" for path, line in key_lines(text).items()}
        self.values = values
        # The file has types of its own, so a string where a number belongs is a mistake here, though the
        # same string is right in the environment, which knows nothing else.
        self._validate(values, strict=True)
        order = list(self.places.values())
        self.problems.sort(key=lambda problem: order.index(problem.place) if problem.place in order else 0)

    def add_environment(self, environ: Mapping[str, str]) -> None:
        for name in sorted(environ):
            if name.upper().startswith(PREFIX) and name not in OTHER_VARIABLES and environ[name] != "":
                path = tuple(name[len(PREFIX) :].lower().split(DELIMITER))
                self._add_text(path, environ[name], name)

    def add_overrides(self, overrides: Mapping[str, object]) -> None:
        for key, value in overrides.items():
            path, place = tuple(key.split(".")), flag(key)
            if isinstance(value, str):
                self._add_text(path, value, place)
            else:
                self._merge(path, value, place)

    def _add_text(self, path: tuple[str, ...], text: str, place: str) -> None:
        name = f"{PREFIX}{DELIMITER.join(path)}".lower()
        source = EnvSettingsSource(_Variables, env_prefix=PREFIX, env_nested_delimiter=DELIMITER)
        source.env_vars = {name: text}
        try:
            value: Any = source()
        except SettingsError:
            try:  # not JSON, but perhaps TOML, as in the file
                source.env_vars = {name: _toml_as_json(text)}
                value = source()
            except (ValueError, RecursionError):
                self.problems.append(Problem(place, dotted(resolve(path)), _form(path, text)))
                return
        for key in path:
            if not isinstance(value, dict) or key not in value:
                self.problems.append(Problem(place, dotted(path), problems.unknown(place, path)))
                return
            value = value[key]
        self._merge(path, value, place)

    def _merge(self, path: tuple[str, ...], value: object, place: str) -> None:
        """Put a value into the tree; where nothing was given yet, a list's element is one of its defaults."""
        full = resolve(path)
        node: Any = self.values
        defaults: Any = Settings().model_dump(mode="json")
        for key, following in zip(full, [*full[1:], None], strict=True):
            defaults = _child(defaults, key)
            if isinstance(node, list) and isinstance(key, int):
                if key > len(node):
                    self.problems.append(Problem(place, dotted(full), f"there are only {len(node)} elements"))
                    return
                if key == len(node):
                    node.append({})
            elif not isinstance(node, dict):
                self.problems.append(Problem(place, dotted(path), problems.unknown(place, path)))
                return
            if following is None:
                node[key] = value
            else:
                if isinstance(node, dict) and key not in node:
                    node[key] = defaults if isinstance(following, int) and isinstance(defaults, list) else {}
                node = node[key]
        for known in [known for known in self.places if known[: len(full)] == full]:
            del self.places[known]
        self.places[full] = place

    def origins(self) -> dict[str, str]:
        """Place of each given value by its dotted key; a table's line says nothing about its other keys."""
        values: object = self.values
        return {
            dotted(path): place
            for path, place in self.places.items()
            if place.startswith((PREFIX, flag(""))) or not _is_table(functools.reduce(_child, path, values))
        }

    def settings(self) -> Settings:
        """Validate what was merged; raises `ConfigError` with every problem of every layer."""
        settings = self._validate(self.values, strict=False)
        if settings is not None:
            for path, message in problems.contradictions(settings):
                self.complain(path, message)
        if self.problems or settings is None:
            raise ConfigError(self.problems)
        return settings

    def _validate(self, values: Mapping[str, Any], *, strict: bool) -> Settings | None:
        try:
            if strict:
                return Settings.model_validate_json(json.dumps(values, default=str), strict=True)
            return Settings.model_validate(values)
        except ValidationError as error:
            for path, message in problems.describe(error, self.place):
                self.complain(path, message)
            return None


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _child(tree: object, key: str | int) -> object:
    if isinstance(tree, dict):
        return tree.get(key)
    return tree[key] if isinstance(tree, list) and isinstance(key, int) and key < len(tree) else None


def _syntax_problem(file: Path, text: str, message: str) -> Problem:
    """Say where TOML could not be read; ``tomllib`` says it at the end of its message."""
    what, _, where = message.rpartition(" (at ")
    found = re.fullmatch(r"line (\d+), column (\d+)\)", where)
    lines = text.count("\n") + 1
    place = f"{file}:{found[1]}:{found[2]}" if found else f"{file}:{lines}"
    return Problem(place, "", f"not valid TOML: {what or message}")


def find_file(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Path | None:
    """Find the configuration file: the given one, ``$DRAGOMAN_CONFIG``, the system's, the user's; or none.

    Raises
    ------
    UsageError
        When a file that was asked for by name does not exist.
    """
    environ = os.environ if environ is None else environ
    asked = file or environ.get("DRAGOMAN_CONFIG")
    if asked:
        path = Path(asked).expanduser()
        if not path.exists():
            raise UsageError(
                f"{path}: no such configuration file (named by {'--config' if file else 'DRAGOMAN_CONFIG'})"
            )
        return path
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return next((path for path in (SYSTEM_FILE, home / "dragoman" / "dragoman.toml") if path.is_file()), None)


def load(
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Read the settings with the place of each value.

    Parameters
    ----------
    file
        The configuration file; by default the first that `find_file` finds, which may be none.
    overrides
        Values over all others, by dotted key (``mqtt.host``, ``directions.0.source``). Text is read as an
        environment variable's is: numbers and booleans as written, lists and tables as JSON.
    environ
        The environment variables; by default the process's.

    Raises
    ------
    ConfigError
        Listing everything that is wrong, a line each, with its place.
    """
    environ = os.environ if environ is None else environ
    found = find_file(file, environ)
    layers = _Layers()
    if found:
        layers.add_file(found)
    layers.add_environment(environ)
    layers.add_overrides(overrides or {})
    settings = layers.settings()
    if settings.mqtt.password_file:
        warn_if_others_can_read(settings.mqtt.password_file)
    return Loaded(settings, found, layers.origins())


def load_settings(file: Path | None = None, overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the settings from file, environment and ``overrides`` (see `load`)."""
    return load(file, overrides).settings


def state_directory(settings: Settings, environ: Mapping[str, str] | None = None) -> Path:
    """Find the folder of durable state: configured, else systemd's ``$STATE_DIRECTORY``, else the user's."""
    environ = os.environ if environ is None else environ
    if settings.state_directory:
        return settings.state_directory
    if given := environ.get("STATE_DIRECTORY", "").split(":")[0]:  # systemd separates several by colons
        return Path(given)
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "dragoman"
