"""The command: what people read, what programs read, and what is said when it cannot be."""

import json
import socket
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from device.cli import main
from tests.update.support import ILL, MACHINE


@pytest.fixture
def run(device, tmp_path, capsys, monkeypatch):
    """Call ``dragoman update …`` on the device, and return exit code, output and errors."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def call(*arguments, keys=device.signer.public, **settings):
        sets = [f"--set=update.{name}={value}" for name, value in {"key_file": keys, **settings}.items()]
        places = ["--home", str(device.home.path), "--model-sets", str(device.home.model_sets)]
        with pytest.raises(SystemExit) as ended:
            main([*sets, "update", *places, *arguments])
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


def test_apply_takes_the_newest_of_a_folder(run, make, device):
    make("2.0", 200)
    newest = make("3.0", 300)
    code, out, err = run("apply", str(newest.parent), "--json")
    assert code == 0, err
    assert json.loads(out) == {
        "result": "installed", "kind": "program", "version": "3.0", "serial": 300, "machine": MACHINE, "notes": "",
    }  # fmt: skip
    assert device.runs() == "3.0"


def test_check_names_what_there_is_and_why_others_are_passed_over(run, make):
    make("2.0", 200)
    make("0.9", 90)
    code, out, _ = run("check", str(make("2.1", 210).parent), "--json")
    found = json.loads(out)
    assert code == 0
    assert [offer["version"] for offer in found["available"]] == ["2.1"]
    assert any("older" in reason for reason in found["passed_over"].values())


def test_check_with_nothing_newer_ends_with_one(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("check", str(tmp_path / "empty"))[:2] == (1, "nothing newer\n")


def test_check_reads_no_more_of_an_address_than_it_must(run, make, tmp_path):
    big = make("2.0", 200, big=bytes(range(256)) * 20000)
    served = tmp_path / "served"
    served.mkdir()
    big.rename(served / f"dragoman-{MACHINE}.update")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=served)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        code, out, err = run("check", source=address)
        applied = run("apply", source=address)
        server.shutdown()
    assert code == 0, err
    assert out.startswith("2.0 (200)  http://")
    assert applied[0] == 0, applied


def test_what_is_no_web_server_is_told_in_one_line(run):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            for _ in range(2):
                sock, _ = server.accept()
                with sock:
                    sock.recv(1000)
                    sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        Thread(target=answer, daemon=True).start()
        code, _, err = run("apply", f"http://127.0.0.1:{server.getsockname()[1]}")
    assert code == 1
    assert "no answer of a web server" in err
    assert "bug" not in err


def test_without_a_key_there_are_no_updates_and_it_says_so(run, make, tmp_path):
    code, _, err = run("apply", str(make("2.0", 200)), keys=tmp_path / "none.pub")
    assert code == 1
    assert err.startswith("dragoman: no updates without a key: put the public key")
    assert err.count("\n") == 1
    assert "none: without a key no update is taken" in run("status", keys=tmp_path / "none.pub")[1]


def test_a_failed_update_fails_the_command_and_status_remembers(run, make, device):
    code, _, err = run("apply", str(make("2.0", 200, doctor=ILL)))
    assert code == 1
    assert "2.0 (200) was taken back: the health check finds what was not so before" in err
    status = json.loads(run("status", "--json")[1])
    assert (status["phase"], status["current"]["version"], status["result"]) == ("idle", "1.0", "failed")
    assert status["failed"] == [200]


def test_rollback_and_finish(run, make):
    run("apply", str(make("2.0", 200)))
    assert json.loads(run("rollback", "--json")[1]) == {"result": "rolled back", "version": "1.0"}
    assert run("finish")[:2] == (0, "nothing was left to do\n")


def test_a_dragoman_that_no_package_installed_is_not_updated_here(device, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["update", "--home", str(tmp_path / "nowhere"), "status"])
    assert ended.value.code == 1
    assert "was not installed by its Debian package" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no update", b"\xfd7zXZ\x00 broken"], ids=["empty", "text", "broken"])
def test_what_is_no_update_is_refused_in_one_line(run, tmp_path, content):
    file = tmp_path / "strange.update"
    file.write_bytes(content)
    code, _, err = run("apply", str(file))
    assert (code, err.count("\n")) == (1, 1)
    assert "strange.update: " in err
