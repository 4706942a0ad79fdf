"""``dragoman kiosk`` tells how the page is opened, and tells nobody the key."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from device import cli
from device.server.auth import Gate
from device.server.kiosk_access import Kind, kind_of

KEY = "correct horse battery staple"


@pytest.fixture
def run(tmp_path, capsys):
    """Return a function that runs the command with settings, and gives its exit code and what it printed."""

    def command(*flags, **server):
        chosen = {"enabled": "true", **server}
        arguments = [f"--set=server.{name}={value}" for name, value in chosen.items()]
        with pytest.raises(SystemExit) as ended:
            cli.main([f"--set=state_directory={tmp_path}", *arguments, "kiosk", *flags])
        return ended.value.code, "".join(capsys.readouterr())

    return command


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    return str(file)


def test_address_on_this_machine_needs_no_pass_where_there_is_no_key(run):
    assert run("--url")[1] == "http://127.0.0.1:5000/kiosk/\n"
    assert "server.host" in run()[1]


def test_passes_stand_where_the_key_would(run, key_file):
    _, told = run("--json", host="0.0.0.0", key_file=key_file, tls_port="5443")
    assert KEY not in told
    told = json.loads(told)
    here, phones = urlsplit(told["here"]), urlsplit(told["phones"])
    assert (here.scheme, here.netloc) == ("http", "127.0.0.1:5000")
    assert (phones.scheme, phones.port) == ("https", 5443)
    assert kind_of(Gate(KEY), here.fragment.removeprefix("pass=")) is Kind.VISIT
    assert kind_of(Gate(KEY), phones.fragment.removeprefix("pass=")) is Kind.INVITATION


def test_phones_get_a_code_and_hear_what_they_cannot_do(run, key_file):
    shown = run(host="0.0.0.0", key_file=key_file)[1]
    assert "tls_port" in shown
    assert any(block in shown for block in "█▀▄")


@pytest.mark.parametrize(("settings", "said"), [({"enabled": "false"}, "server.enabled"), ({"port": "0"}, "port")])
def test_page_that_nobody_serves_is_said_to_be_none(run, settings, said):
    code, told = run(**settings)
    assert code == 1
    assert said in told


@pytest.mark.parametrize(
    "flags", [("--address", "file"), ("--", "--flag"), ("--display", "--url"), ("--display", "--json")]
)
def test_options_that_do_not_go_together_are_refused(run, flags):
    code, told = run(*flags)
    assert code == 2
    assert "--display" in told


def test_display_says_in_one_line_why_it_cannot_be_had(run, tmp_path, monkeypatch):
    assert run("--display", enabled="false") == (
        1,
        "dragoman: the daemon serves no page: set server.enabled = true, and start it again\n",
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("--display") == (1, "dragoman: no Chromium is installed: apt install chromium\n")
    assert run("--display", "--address", str(tmp_path / "none"))[1].startswith(
        f"dragoman: {tmp_path}/none: the secret "
    )
