"""``dragoman serve`` and ``dragoman tls init`` on the command line."""

import signal
import socket
import ssl
import subprocess
import sys

import pytest

from device.cli import main


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code or 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_others_are_not_let_in_without_a_key(tmp_path, capsys, host):
    assert run(f"--set=state_directory={tmp_path}", "serve", "--host", host) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"others can reach {host}: name a file with the key" in told
    assert "--key-file" in told


@pytest.fixture
def _own_signals():
    """Give the signals that the command takes back to the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_own_signals")
def test_a_port_that_is_taken_is_told_before_any_model_is_loaded(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run(f"--set=state_directory={tmp_path}", "serve", "--port", str(port)) == 1
    told = capsys.readouterr().err
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in told
    assert "loading models" not in told


@pytest.mark.usefixtures("_own_signals")
def test_a_certificate_that_is_missing_is_told_before_any_model_is_loaded(tmp_path, capsys):
    assert run(f"--set=state_directory={tmp_path}", "serve", "--port", "0", "--tls-port", "0") == 1
    told = capsys.readouterr().err
    assert "no such certificate; run `dragoman tls init`" in told
    assert "loading models" not in told


def subjects(folder) -> set[str]:
    return {name for _, name in ssl._ssl._test_decode_cert(str(folder / "tls" / "server.pem"))["subjectAltName"]}


@pytest.mark.parametrize(
    "name",
    ["", "two words", "http://x/", "a..b", "-a.local", "192.168.1.256", "x" * 64, "a/b", "*", "a.*.b", "\u00e4 b"],
)
def test_names_that_are_none_are_refused(tmp_path, capsys, name):
    assert run(f"--set=state_directory={tmp_path}", "tls", "init", "--name", name) == 2
    assert "is no host name or address" in capsys.readouterr().err
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize("region", ["", "West Europe", "west.europe", "westus.stt.speech.microsoft.com", "a" * 3 + "/"])
def test_regions_that_are_none_are_refused(tmp_path, capsys, region):
    assert run(f"--set=state_directory={tmp_path}", "tls", "init", "--region", region) == 2
    assert "is no region" in capsys.readouterr().err


def test_a_later_certificate_is_for_the_earlier_names_too(tmp_path, capsys):
    at = f"--set=state_directory={tmp_path}"
    assert run(at, "tls", "init", "--region", "WestUS2", "--name", "10.1.2.3", "--name", "K\u00fcche.local") == 0
    assert run(at, "tls", "init", "--name", "*.home.arpa") == 0
    told = capsys.readouterr().out
    assert "the earlier one is replaced" in told
    names = subjects(tmp_path)
    assert {"westus2.stt.speech.microsoft.com", "10.1.2.3", "xn--kche-0ra.local", "*.home.arpa", "localhost"} <= names
    assert all(name in told.splitlines()[-4] for name in ("10.1.2.3", "*.home.arpa"))
    assert run(at, "tls", "init", "--fresh", "--name", "a.local") == 0
    assert "10.1.2.3" not in subjects(tmp_path)


def served(tmp_path, *flags) -> tuple[str, str]:
    """Start a server, stop it when it serves, and return what it printed and what it said beside."""
    command = [sys.executable, "-m", "device", f"--set=state_directory={tmp_path}", *flags, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        process.terminate()
        _, told = process.communicate(timeout=60)
    return first, told


@pytest.mark.models
@pytest.mark.e2e
def test_the_models_are_loaded_before_the_first_client_is_let_in(tmp_path, model_dir):
    wanted = ["asr-moonshine-tiny-en", "mt-bergamot-en-pt", "tts-piper-pt-faber"]
    for model in wanted:
        model_dir(model)
    first, told = served(tmp_path, '--set=models.prefer={"asr:en": "asr-moonshine-tiny-en"}')
    assert first.startswith("serving on http://127.0.0.1:")
    loading, loaded = [line for line in told.splitlines() if line.startswith("load")]
    assert loading == "loading models ..."
    assert all(model in loaded for model in wanted)


@pytest.mark.e2e
def test_a_missing_model_is_told_and_the_rest_is_served(tmp_path):
    first, told = served(tmp_path, f"--set=models.directory={tmp_path / 'none'}", "--set=models.offline=true")
    assert first.startswith("serving on ")
    (line,) = [line for line in told.splitlines() if line.startswith("not loaded: ")]
    assert "run `dragoman models" in line or "see `dragoman models" in line
