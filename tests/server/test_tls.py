"""TLS with a certificate authority of the owner's own."""

import socket
import ssl
from contextlib import suppress

import httpx
import pytest
from websockets.sync.client import connect

from device.cli import main
from device.errors import DragomanError
from device.server import connections
from device.server.certificates import make_certificates


def trusting(files):
    context = ssl.create_default_context(cafile=str(files.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def test_a_second_port_speaks_tls_to_whoever_trusts_the_authority(serve, tmp_path):
    files = make_certificates(tmp_path / "tls", ["localhost", "127.0.0.1"])
    address = serve(tls_port=0)
    plain, secure = address.server.addresses
    assert plain.startswith("http://")
    assert httpx.get(f"{secure}/healthz", verify=trusting(files)).text == "ok"
    path = "/stt/speech/universal/v2"
    with connect(secure.replace("https", "wss") + path, ssl=trusting(files)) as socket:
        assert socket.response.status_code == 101
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(f"{secure}/healthz")


def test_whoever_does_not_shake_hands_is_cut_off_and_counts_while_waiting(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_TIME", 0.5)
    monkeypatch.setattr("device.server.serve.WAITING", 4)
    files = make_certificates(tmp_path / "tls", ["127.0.0.1"])
    secure = serve(tls_port=0, connections=1).server.addresses[1]
    place = ("127.0.0.1", int(secure.rpartition(":")[2]))
    lines = [socket.create_connection(place, 10) for _ in range(9)]
    for line in lines:  # five wait until their time is over, four are one too many
        with suppress(ConnectionError):
            assert line.recv(1) == b""
        line.close()
    with socket.create_connection(place, 10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionError):
            assert b"HTTP" not in plain.recv(100)
    assert httpx.get(f"{secure}/healthz", verify=trusting(files)).text == "ok"


def test_the_owners_own_certificate_is_used(serve, tmp_path):
    files = make_certificates(tmp_path / "own", ["127.0.0.1"])
    address = serve(tls_port=0, cert_file=str(files.certificate), cert_key_file=str(files.key))
    assert httpx.get(f"{address.server.addresses[1]}/healthz", verify=trusting(files)).text == "ok"


def test_without_a_certificate_the_way_to_one_is_told(serve):
    with pytest.raises(DragomanError, match="dragoman tls init"):
        serve(tls_port=0)


def test_after_a_start_that_failed_everything_is_free_for_the_next(serve, tmp_path):
    with pytest.raises(DragomanError, match="dragoman tls init"):
        serve(tls_port=0)
    make_certificates(tmp_path / "tls", ["127.0.0.1"])
    with serve(tls_port=0).client() as client:
        assert client.get("/healthz").text == "ok"


def test_a_damaged_certificate_is_told_in_one_line(serve, tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    with pytest.raises(DragomanError, match=r"bad\.pem"):
        serve(tls_port=0, cert_file=str(bad), cert_key_file=str(bad))


def test_a_new_certificate_keeps_the_authority(tmp_path):
    first = make_certificates(tmp_path, ["a.local"])
    authority, certificate = first.ca.read_bytes(), first.certificate.read_bytes()
    again = make_certificates(tmp_path, ["a.local", "westus.stt.speech.microsoft.com"])
    assert again.ca.read_bytes() == authority
    assert again.certificate.read_bytes() != certificate
    assert again.key.stat().st_mode & 0o077 == 0
    assert again.ca_key.stat().st_mode & 0o077 == 0


def test_an_authority_whose_key_is_kept_elsewhere_is_not_replaced_without_a_word(tmp_path):
    files = make_certificates(tmp_path, ["localhost"])
    trusted, key = files.ca.read_bytes(), files.ca_key.read_bytes()
    files.ca_key.unlink()
    with pytest.raises(DragomanError, match=r"ca\.key is gone: put it back, or remove .*ca\.pem"):
        make_certificates(tmp_path, ["localhost", "kitchen.local"])
    assert files.ca.read_bytes() == trusted
    files.ca_key.write_bytes(key)
    make_certificates(tmp_path, ["localhost", "kitchen.local"])
    assert files.ca.read_bytes() == trusted


def test_the_command_says_what_to_trust(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([f"--set=state_directory={tmp_path}", "tls", "init", "--region", "westus", "--name", "10.1.2.3"])
    assert ended.value.code == 0
    assert str(tmp_path / "tls" / "ca.pem") in capsys.readouterr().out
    names = ssl._ssl._test_decode_cert(str(tmp_path / "tls" / "server.pem"))["subjectAltName"]
    assert ("DNS", "westus.stt.speech.microsoft.com") in names
    assert ("IP Address", "10.1.2.3") in names
