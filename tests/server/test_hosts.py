"""A page from elsewhere that leads its own name to this machine (DNS rebinding) reads nothing here."""

import socket

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from device.server.hosts import is_known

STRANGE = [
    "evil.example",
    "evil.example:5000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notmicrosofttranslator.com",
]
OWN = [
    "", "localhost", "localhost:5000", "LOCALHOST", "localhost.", "box.localhost", "127.0.0.1:5000", "[::1]:5000",
    "192.168.1.7", socket.gethostname(), f"{socket.gethostname()}.local:443", "westus.stt.speech.microsoft.com",
    "api.cognitive.microsoft.com", "dev.microsofttranslator.com", "myres.cognitiveservices.azure.com",
]  # fmt: skip


@pytest.mark.parametrize("host", STRANGE)
def test_names_that_nobody_gave_this_machine_are_strange(host):
    assert not is_known(host, ())


@pytest.mark.parametrize("host", OWN)
def test_the_machines_own_names_and_azures_are_known(host):
    assert is_known(host, ())


def test_the_owner_may_add_names():
    assert is_known("kitchen.home.arpa:5000", ["kitchen.home.arpa"])
    assert is_known("kitchen.home.arpa", [".Home.Arpa"])
    assert not is_known("kitchen.home.arpa", ["home.arpa"])


@pytest.mark.parametrize("path", ["/cognitiveservices/voices/list", "/speechtotext/v3.2/transcriptions", "/healthz"])
def test_a_request_under_a_strange_name_is_refused_and_told_why(served, path):
    with served.client(headers={"Host": "evil.example"}) as client:
        answer = client.get(path)
    assert answer.status_code == 403
    assert "server.allowed_hosts" in answer.json()["error"]["message"]


def test_a_socket_under_a_strange_name_is_refused(served):
    address = served.ws.replace("127.0.0.1", "evil.example") + "/stt/speech/universal/v2"
    line = socket.create_connection(served.server.addresses[0].rpartition("/")[2].split(":"))
    with pytest.raises(InvalidStatus) as refused, connect(address, sock=line):
        pass
    assert refused.value.response.status_code == 403


def test_an_allowed_name_is_served(serve):
    with serve(allowed_hosts=["kitchen.home.arpa"]).client(headers={"Host": "kitchen.home.arpa"}) as client:
        assert client.get("/cognitiveservices/voices/list").status_code == 200


def test_whoever_shows_the_key_may_use_any_name(serve, tmp_path):
    key = tmp_path / "key"
    key.write_text("the-key")
    key.chmod(0o600)
    headers = {"Host": "any.example", "Ocp-Apim-Subscription-Key": "the-key"}
    with serve(key_file=str(key)).client(headers=headers) as client:
        assert client.get("/cognitiveservices/voices/list").status_code == 200
