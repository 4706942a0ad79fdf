"""``dragoman config show`` and ``dragoman config check``."""

import json
import os
import tomllib

import pytest

from device.config import Settings
from tests.cli.test_main import dragoman

__all__ = ["dragoman"]  # the fixture


def test_show_prints_what_is_in_effect_as_toml(dragoman):
    code, out, _ = dragoman("--set", "mqtt.port=1884", "config", "show")
    assert code == 0
    shown = tomllib.loads(out)
    assert shown["mqtt"]["port"] == 1884
    assert Settings.model_validate(shown) == Settings(mqtt={"port": 1884})


def test_show_tells_where_each_value_came_from(dragoman, tmp_path, monkeypatch):
    file = tmp_path / "dragoman.toml"
    file.write_text("[mqtt]\nport = 1884\n")
    monkeypatch.setenv("DRAGOMAN_LOG__LEVEL", "debug")
    _, out, _ = dragoman("--config", str(file), "--set", "mqtt.host=h", "config", "show", "--origin")
    section = out[out.index("[mqtt]") :].split("\n[")[0] + out[out.index("[log]") :]
    lines = {line.partition("=")[0].strip(): line.partition("  # ")[2] for line in section.splitlines()}
    assert lines["port"] == f"{file}:2"
    assert lines["level"] == "DRAGOMAN_LOG__LEVEL"
    assert lines["host"] == "--set mqtt.host"
    assert lines["keepalive"] == "default"


def test_show_as_json(dragoman):
    _, out, _ = dragoman("config", "show", "--json")
    assert Settings.model_validate(json.loads(out)) == Settings()
    _, out, _ = dragoman("--set", "mqtt.port=1", "config", "show", "--json", "--origin")
    assert json.loads(out)["origins"] == {"mqtt.port": "--set mqtt.port"}


def test_check_says_ok(dragoman, tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("[mqtt]\nport = 1884\n")
    assert dragoman("config", "check", str(file)) == (0, f"{file}: ok\n", "")
    assert dragoman("config", "check") == (0, "no configuration file: defaults: ok\n", "")


def test_check_lists_every_problem_a_line_each_and_ends_with_2(dragoman, tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("[mqtt]\nprot = 1884\nport = true\n")
    code, out, err = dragoman("config", "check", str(file))
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "dragoman: 2 problems in the configuration:",
        f"  {file}:2: mqtt.prot: unknown key; did you mean mqtt.port?",
        f"  {file}:3: mqtt.port: expected a whole number, not true",
    ]


def test_check_looks_for_the_files_that_are_named(dragoman, tmp_path):
    file, empty = tmp_path / "a.toml", tmp_path / "empty"
    empty.touch()
    file.write_text(
        f'[mqtt]\nusername = "a"\npassword_file = "{tmp_path}/none"\ntls = true\nca_file = "{tmp_path}"\n'
        f'[server]\nkey_file = "{empty}"\n'
    )
    code, _, err = dragoman("config", "check", str(file))
    assert code == 2
    assert err.splitlines()[1:] == [
        f"  {file}:3: mqtt.password_file: {tmp_path}/none: the secret cannot be read: No such file or directory",
        f"  {file}:7: server.key_file: {empty}: the secret is empty",
        f"  {file}:5: mqtt.ca_file: {tmp_path} cannot be read: it is no plain file",
    ]


def test_a_configuration_that_never_ends_is_refused(dragoman, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.toml").write_text("#" * 2_000_000)
    for file, why in (
        ("/dev/zero", "no plain file"),
        (tmp_path / "pipe", "no plain file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "large.toml", "larger than 1024 KiB"),
    ):
        code, _, err = dragoman("--config", str(file), "config", "check")
        assert (code, why in err, len(err.splitlines())) == (2, True, 1), err
    code, _, err = dragoman("--set", "mqtt.username=a", "--set", "mqtt.password_file=/dev/zero", "config", "check")
    assert (code, "no plain file" in err) == (2, True)


def test_check_of_a_file_looks_at_that_file_alone(dragoman, tmp_path, monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MQTT__PORT", "wrong")
    file = tmp_path / "a.toml"
    file.write_text("")
    assert dragoman("config", "check", str(file))[0] == 0
    assert dragoman("config", "check")[0] == 2


def test_missing_file_is_wrong_use(dragoman, tmp_path):
    code, _, err = dragoman("--config", str(tmp_path / "no.toml"), "config", "check")
    assert code == 2
    assert "no such configuration file" in err


@pytest.mark.parametrize(
    ("given", "section", "value"),
    [
        ("text.redact=['name', 'phone']", "text", {"redact": ["name", "phone"]}),
        ('text.glossary={ "en>pt" = { gateway = "porta" } }', "text", {"glossary": {"en>pt": {"gateway": "porta"}}}),
        ('text.glossary={"en>pt": {"gateway": "porta"}}', "text", {"glossary": {"en>pt": {"gateway": "porta"}}}),
        ('models.voices={ pt = "tts-own" }', "models", {"voices": {"pt": "tts-own"}}),
    ],
)
def test_a_flag_takes_a_list_or_a_table_as_toml_and_as_json(dragoman, given, section, value):
    code, out, err = dragoman("--set", given, "config", "show", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)[section].items() >= value.items()


@pytest.mark.parametrize(
    ("given", "example"),
    [
        ("text.redact=name", 'a list such as ["name"]'),
        ("text.redact=name,phone", 'a list such as ["name", "phone"]'),
        ("text.glossary=x", 'a table such as { key = "value" } or {"key": "value"}'),
        ('models.voices={}\nmqtt.host="x"', "a table"),
    ],
)
def test_a_list_or_table_in_another_form_brings_an_example(dragoman, given, example):
    code, out, err = dragoman("--set", given, "config", "check")
    key = given.partition("=")[0]
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"dragoman: --set {key}: expected {example}")
