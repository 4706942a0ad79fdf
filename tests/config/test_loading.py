"""Settings come from a file, the environment and flags; whatever is wrong is told with its place."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.config import (
    ConfigError,
    Problem,
    Settings,
    Trigger,
    load,
    load_settings,
    read_secret,
    state_directory,
)
from device.errors import DragomanError, UsageError


@pytest.fixture(autouse=True)
def _nothing_configured(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("DRAGOMAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setattr("device.config.loading.SYSTEM_FILE", tmp_path / "no-system" / "dragoman.toml")


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "dragoman.toml") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write


def problems(file=None, overrides=None):
    with pytest.raises(ConfigError) as caught:
        load(file, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_configured_means_defaults():
    assert load_settings() == Settings()


def test_flags_win_over_environment_and_environment_over_file(write, monkeypatch):
    file = write('[mqtt]\nhost = "file"\nport = 1\nkeepalive = 10\n')
    monkeypatch.setenv("DRAGOMAN_MQTT__HOST", "variable")
    monkeypatch.setenv("DRAGOMAN_MQTT__PORT", "2")
    loaded = load(file, {"mqtt.host": "flag"})
    assert (loaded.settings.mqtt.host, loaded.settings.mqtt.port) == ("flag", 2)
    assert loaded.origin("mqtt.host") == "--set mqtt.host"
    assert loaded.origin("mqtt.port") == "DRAGOMAN_MQTT__PORT"
    assert loaded.origin("mqtt.keepalive") == f"{file}:4"
    assert loaded.origin("log.level") == "default"


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("mqtt.enabled", "no", False),
        ("audio.input", "3", 3),
        ("audio.input", "USB Array", "USB Array"),
        ("audio.rate", "48000", 48000),
        ("speech.volume", "0.5", 0.5),
        ("controls.trigger", "toggle", Trigger.TOGGLE),
        ("models.prefer", '{"asr:en": "asr-moonshine-base-en"}', {"asr:en": "asr-moonshine-base-en"}),
        ("directions.0.source", "PT_br", "pt-BR"),
        ("directions.0.targets", '["de", "fr"]', ("de", "fr")),
        ("directions.0.targets", "de,fr", ("de", "fr")),
        ("controls.buttons.0.pin", "GPIO4", "GPIO4"),
        ("models.directory", "~/models", Path("~/models").expanduser()),
    ],
)
@pytest.mark.parametrize("layer", ["variable", "flag"])
def test_text_becomes_the_type_of_its_key(key, text, expected, layer, monkeypatch):
    if layer == "variable":
        monkeypatch.setenv("DRAGOMAN_" + key.upper().replace(".", "__"), text)
        value = load_settings()
    else:
        value = load_settings(overrides={key: text})
    for part in key.split("."):
        value = value[int(part)] if part.isdecimal() else getattr(value, part)
    assert value == expected


def test_whole_lists_come_as_json_from_the_environment(monkeypatch):
    monkeypatch.setenv(
        "DRAGOMAN_DIRECTIONS", '[{"source": "en", "targets": ["pt"]}, {"source": "pt", "targets": ["en"]}]'
    )
    assert [way.source for way in load_settings().directions] == ["en", "pt"]


def test_one_element_of_a_list_is_overridden_and_one_is_added(write):
    file = write('[[directions]]\nsource = "es"\ntargets = ["en"]\n')
    settings = load_settings(file, {"directions.0.targets": "fr", "directions.1.source": "fr"})
    assert [(way.source, way.targets) for way in settings.directions] == [("es", ("fr",)), ("fr", ("pt",))]
    assert "there are only 1 elements" in problems(file, {"directions.5.source": "fr"})[0]


def test_empty_variable_is_no_value(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_AUDIO__RATE", "")
    assert load_settings().audio.rate is None


def test_every_wrong_key_is_told_with_its_line_what_was_expected_and_the_nearest_name(write):
    file = write(
        """\
stat_directory = "/x"
[mqtt]
portt = 1883
port = 99999
tls = "yes"
[[directions]]
source = "english"
targets = ["pt", "qq"]
[controls]
trigger = "hodl"
buttons = [
  { pin = 1 },
  { nam = "b" },
]
[broker]
host = "x"
"""
    )
    language = "not a language tag such as 'en' or 'pt-BR'"
    trigger = "expected 'hold', 'toggle' or 'open' (did you mean 'hold'?), not 'hodl'"
    assert problems(file) == [
        f"{file}:1: stat_directory: unknown key; did you mean state_directory?",
        f"{file}:3: mqtt.portt: unknown key; did you mean mqtt.port?",
        f"{file}:4: mqtt.port: expected at most 65535, not 99999",
        f"{file}:5: mqtt.tls: expected true or false, not 'yes'",
        f"{file}:7: directions.0.source: {language}; did you mean 'en' (English)?",
        f"{file}:8: directions.0.targets.1: {language}",
        f"{file}:10: controls.trigger: {trigger}",
        f"{file}:13: controls.buttons.1.nam: unknown key; did you mean controls.buttons.1.name?",
        f"{file}:15: broker: unknown key; known here: {', '.join(Settings.model_fields)}",
    ]


def test_key_in_the_wrong_table_is_found(write):
    assert problems(write("[audio]\nlongest_turn = 3\n"))[0].endswith("did you mean controls.longest_turn?")


def test_file_keeps_its_types(write):
    assert "expected a whole number, not '1883'" in problems(write('[mqtt]\nport = "1883"\n'))[0]


def test_table_where_a_value_belongs_and_value_where_a_table_belongs(write):
    assert problems(write("mqtt = 5\n"))[0].endswith("mqtt: expected a table of keys, not 5")
    assert "mqtt.host: expected text" in problems(write("[mqtt.host]\nname = 1\n"))[0]


def test_wrong_variables_are_told_by_their_names(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MQTT__PROT", "1")
    monkeypatch.setenv("DRAGOMAN_MQTT__KEEPALIVE", "long")
    monkeypatch.setenv("DRAGOMAN_CONTROLS__BUTTONS", "[oops")
    monkeypatch.setenv("DRAGOMAN_NONSENSE", "1")
    told = problems()
    assert "DRAGOMAN_MQTT__PROT: unknown key; did you mean DRAGOMAN_MQTT__PORT?" in told
    assert "DRAGOMAN_MQTT__KEEPALIVE: expected a whole number, not 'long'" in told
    assert any(line.startswith("DRAGOMAN_CONTROLS__BUTTONS: expected a ") for line in told)
    assert any(line.startswith("DRAGOMAN_NONSENSE: unknown key") for line in told)


def test_documented_variables_that_are_no_settings_are_let_be(monkeypatch, tmp_path):
    monkeypatch.setenv("DRAGOMAN_MODELS", str(tmp_path))
    monkeypatch.setenv("DRAGOMAN_CATALOGUE", str(tmp_path))
    assert load_settings() == Settings()


def test_wrong_flags_are_told_by_their_names():
    assert problems(overrides={"mqtt.hots": "x"}) == ["--set mqtt.hots: unknown key; did you mean mqtt.host?"]
    assert problems(overrides={"speech.volume": 7}) == ["--set speech.volume: expected at most 1, not 7"]
    assert problems(overrides={"mqtt.host.name": "x"}) == ["--set mqtt.host.name: mqtt.host: expected text"]


def test_syntax_errors_have_line_and_column(write):
    file = write("[mqtt]\nhost = \n")
    assert problems(file) == [f"{file}:2:8: not valid TOML: Invalid value"]


def test_byte_order_mark_is_no_mistake(tmp_path):
    file = tmp_path / "dragoman.toml"
    file.write_text("[mqtt]\r\nport = 7\r\n", encoding="utf-8-sig", newline="")
    assert load_settings(file).mqtt.port == 7


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = 1" + "0" * 10_000, "a = 1\na = 2", "[a]\n[a]", "\0"])
def test_strange_files_are_refused_in_one_line(text, write):
    (told,) = problems(write(text))
    assert "not valid TOML" in told
    assert "\n" not in told


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["[", "]", "[[", "mqtt", "port", "=", "1", '"', "'", "{", "}", "\n", ".", ",", "directions"])
    )
)
def test_no_file_whatever_ends_in_anything_but_settings_or_a_clear_refusal(tmp_path_factory, pieces):
    file = tmp_path_factory.mktemp("any") / "dragoman.toml"
    file.write_text("".join(pieces))
    try:
        assert isinstance(load(file, environ={}).settings, Settings)
    except ConfigError as error:
        told = str(error).splitlines()
        assert all(str(file) in line for line in told[len(told) > 1 :])


def test_file_that_is_no_text(tmp_path):
    file = tmp_path / "dragoman.toml"
    file.write_bytes(b"[mqtt]\nhost = '\xff'")
    with pytest.raises(UsageError, match="not UTF-8 at byte 15"):
        load(file)
    with pytest.raises(UsageError, match="cannot be read as configuration: Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize("where", ["file", "variable", "flag"])
def test_a_password_outside_a_file_is_refused_and_not_repeated(where, write, monkeypatch):
    file, overrides = None, {}
    if where == "file":
        file = write('[mqtt]\npassword = "hunter2"\n')
    elif where == "variable":
        monkeypatch.setenv("DRAGOMAN_MQTT__PASSWORD", "hunter2")
    else:
        overrides = {"mqtt.password": "hunter2"}
    (told,) = problems(file, overrides)
    assert "a secret is read only from a file" in told
    assert "password_file" in told.lower()
    assert "hunter2" not in told


def test_a_password_inside_the_host_is_refused_and_not_repeated(write):
    (told,) = problems(write('[mqtt]\nhost = "mqtt://me:hunter2@broker:1883"\n'))
    assert "expected a host name or address alone" in told
    assert "hunter2" not in told


def test_a_secret_is_read_without_its_newline_and_warned_about_when_others_can_read_it(tmp_path, caplog):
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    assert read_secret(secret) == "hunter2"
    assert not caplog.records
    secret.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        load_settings(overrides={"mqtt.password_file": str(secret), "mqtt.username": "me"})
    assert "every user of this machine can read" in caplog.text
    assert "hunter2" not in caplog.text
    secret.write_text("")
    with pytest.raises(DragomanError, match="the secret is empty"):
        read_secret(secret)
    with pytest.raises(DragomanError, match="No such file"):
        read_secret(tmp_path / "missing")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"directions.0.speak": "de"}, "'de' is not one of the targets (pt)"),
        ({"directions.0.targets": "pt,pt"}, "listed twice"),
        ({"controls.buttons.0.direction": "1"}, "there is no direction 1"),
        ({"controls.buttons": '[{"pin": 1}, {"name": "b", "pin": 1}]'}, "two buttons share the pin 1"),
        ({"controls.buttons": '[{"pin": 1}, {"pin": 2}]'}, "two buttons have the name 'talk'"),
        ({"mqtt.ca_file": "/ca.pem"}, "TLS is off"),
        ({"mqtt.password_file": "/p"}, "set mqtt.username too"),
        ({"mqtt.base": "a/#"}, "expected part of a topic"),
        ({"mqtt.device": "a/b"}, "one level of a topic"),
        ({"endpoint.max_utterance": "3", "endpoint.silence": "5"}, "must be longer than"),
    ],
)
def test_what_is_wrong_only_together_is_refused(overrides, told):
    assert told in problems(overrides=overrides)[0]


def test_the_first_file_there_is_is_read(write, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    write("[mqtt]\nport = 1\n", "home/dragoman/dragoman.toml")
    assert load_settings().mqtt.port == 1
    monkeypatch.setattr("device.config.loading.SYSTEM_FILE", write("[mqtt]\nport = 2\n", "system.toml"))
    assert load_settings().mqtt.port == 2
    monkeypatch.setenv("DRAGOMAN_CONFIG", str(write("[mqtt]\nport = 3\n", "variable.toml")))
    assert load_settings().mqtt.port == 3
    assert load_settings(write("[mqtt]\nport = 4\n", "flag.toml")).mqtt.port == 4
    monkeypatch.setenv("DRAGOMAN_CONFIG", str(tmp_path / "missing.toml"))
    with pytest.raises(UsageError, match="no such configuration file"):
        load_settings()


def test_state_is_kept_where_configured_else_where_systemd_says_else_in_the_users_folder(tmp_path):
    configured = Settings(state_directory=tmp_path)
    assert state_directory(configured, {"STATE_DIRECTORY": "/var/lib/dragoman"}) == tmp_path
    assert state_directory(Settings(), {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}) == Path("/var/lib/a")
    assert state_directory(Settings(), {"XDG_STATE_HOME": "/s"}) == Path("/s/dragoman")
    assert state_directory(Settings(), {}) == Path.home() / ".local/state/dragoman"


KEYS = st.sampled_from(["mqtt", "host", "port", "directions", "0", "1", "controls", "buttons", "pin", "x", "password"])


@settings(deadline=None)
@given(
    path=st.lists(KEYS, min_size=1, max_size=4).map(".".join),
    value=st.one_of(
        st.text(max_size=20),
        st.integers(),
        st.booleans(),
        st.none(),
        st.lists(st.text(max_size=3), max_size=2),
    ),
)
def test_no_override_whatever_ends_in_anything_but_settings_or_a_clear_refusal(path, value):
    wrong: tuple[Problem, ...] = ()
    settings = None
    try:
        settings = load(None, {path: value}, environ={}).settings
    except ConfigError as error:
        wrong = error.problems
    assert isinstance(settings, Settings) or wrong
    assert all(problem.place == f"--set {path}" for problem in wrong)
