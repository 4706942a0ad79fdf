"""A page from elsewhere that leads its own name to this machine (DNS rebinding) reads nothing here."""

import socket

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from device.server.hosts import is_known, is_own_origin

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


@pytest.mark.parametrize("host", ["pi", "pi.local:5000", "PI.home.lan", "pi.home.lan.", "[fe80::1%25eth0]:5000"])
def test_a_machine_with_a_whole_name_is_known_by_its_first_too(host, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "Pi.home.lan")
    assert is_known(host, ())
    assert not is_known("pi.evil.example", ())


def test_the_owner_may_add_names():
    assert is_known("kitchen.home.arpa:5000", ["kitchen.home.arpa"])
    assert is_known("kitchen.home.arpa", [".Home.Arpa"])
    assert not is_known("kitchen.home.arpa", ["home.arpa"])
    assert not is_known("kitchen.home.arpa", ["", ".", "arpa"])


@pytest.mark.parametrize("allowed", ["kitchen.lan:5000", "https://Kitchen.lan:5000/page", "kitchen.lan."])
def test_the_owner_may_write_names_as_addresses(allowed):
    assert is_known("kitchen.lan", [allowed])
    assert is_own_origin("http://kitchen.lan", "127.0.0.1:5000", [allowed])


def test_the_owner_may_let_programs_in_whose_pages_come_from_no_host():
    for origin in ("app://editor", "chrome-extension://abcdefgh"):
        assert not is_own_origin(origin, "127.0.0.1:5000", ())
        assert is_own_origin(origin, "127.0.0.1:5000", [origin])


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


FOREIGN = [
    "https://evil.example", "null", "", "http://203.0.113.9", "http://127.0.0.1.evil.example", "http://[", "file://",
    "https://api.cognitive.microsoft.com", "http://localhost@evil.example",
]  # fmt: skip
NATIVE = ["http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:1", "http://192.168.1.7:5000"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_from_elsewhere_are_strangers(origin):
    assert not is_own_origin(origin, "192.168.1.7:5000", ())


@pytest.mark.parametrize("origin", [None, *NATIVE, f"http://{socket.gethostname()}.local"])
def test_pages_of_this_machine_and_programs_are_its_own(origin):
    assert is_own_origin(origin, "192.168.1.7:5000", ())


def test_pages_of_hosts_that_the_owner_added_are_its_own():
    assert is_own_origin("https://kitchen.home.arpa:8443", "127.0.0.1:5000", [".home.arpa"])


SSML = '<speak version="1.0" xml:lang="en-US"><voice name="en-US-bob">Hello.</voice></speak>'
SPEAK = "/cognitiveservices/v1"


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_without_a_key_a_page_from_elsewhere_has_nothing_done_and_reads_nothing(served, method):
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    with served.client(headers=headers) as client:
        answer = client.request(method, SPEAK, content=SSML if method == "POST" else None)
    assert answer.status_code == 403
    assert "server.allowed_hosts" in answer.json()["error"]["message"]
    assert "access-control-allow-origin" not in answer.headers


def test_without_a_key_a_page_from_elsewhere_opens_no_socket(served):
    address = f"{served.ws}/stt/speech/universal/v2?language=en-US"
    with pytest.raises(InvalidStatus) as refused, connect(address, origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    with connect(address, origin=served.http):
        pass


def test_without_a_key_a_page_of_this_machine_reads_what_is_spoken(served):
    headers = {"Origin": "http://localhost:3000", "Content-Type": "application/ssml+xml"}
    with served.client(headers=headers) as client:
        asked, answer = client.options(SPEAK), client.post(SPEAK, content=SSML)
        assert client.options("/stt/speech/recognition/conversation/cognitiveservices/v1").status_code == 204
    assert (asked.status_code, answer.status_code) == (204, 200)
    for each in (asked, answer):
        assert each.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert each.headers["vary"] == "Origin"


def test_with_a_key_every_page_that_has_it_reads_what_is_spoken(serve, tmp_path):
    key = tmp_path / "key"
    key.write_text("the-key")
    key.chmod(0o600)
    headers = {"Origin": "https://shop.example", "Ocp-Apim-Subscription-Key": "the-key"}
    with serve(key_file=str(key)).client(headers=headers) as client:
        answer = client.post(SPEAK, content=SSML, headers={"Content-Type": "application/ssml+xml"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
