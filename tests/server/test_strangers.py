"""Clients that are slow, many, half there or no clients at all: none of them holds what others need."""

import contextlib
import re
import socket
import threading
from urllib.parse import urlsplit

import pytest
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from websockets.sync.client import connect

from device.server import connections
from tests.server.conftest import wait_for

STT = "/speech/recognition/conversation/cognitiveservices/v1"
UPGRADE = (
    f"GET {STT} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()


@pytest.fixture
def phone():
    """Return a function that opens a bare connection to a server."""
    with contextlib.ExitStack() as stack:

        def call(address) -> socket.socket:
            place = urlsplit(address.http)
            return stack.enter_context(socket.create_connection((place.hostname, place.port), 30))

        yield call


def rest(line: socket.socket) -> bytes:
    """Read until the server ends the connection."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := line.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def healthy(address) -> bool:
    with address.client() as client:
        return client.get("/healthz").text == "ok"


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: local", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"],
    ids=["nothing", "a line", "a header", "no end"],
)
def test_a_head_that_does_not_end_is_cut_off(served, phone, monkeypatch, begun):
    monkeypatch.setattr(connections, "HEAD_TIME", 0.3)
    line = phone(served)
    line.sendall(begun)
    assert rest(line) == b""


def test_a_head_that_comes_byte_by_byte_has_no_more_time_than_another(served, phone, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_TIME", 0.5)
    line = phone(served)
    over = threading.Event()

    def drip():
        with contextlib.suppress(OSError):
            line.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
            while not over.wait(0.05):
                line.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    assert rest(line) == b""
    over.set()
    thread.join()


def test_the_second_head_of_a_connection_has_no_more_time_than_the_first(served, phone, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_TIME", 0.5)
    line = phone(served)
    line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert line.recv(12) == b"HTTP/1.1 200"
    line.sendall(b"GET /heal")
    assert rest(line).endswith(b"ok")


@pytest.mark.parametrize(
    "flood", [b"X: " + b"y" * 1000 + b"\r\n", b"a: b\r\n", b"y" * 1000], ids=["long", "many", "one line"]
)
def test_a_flood_of_headers_is_refused(served, phone, flood):
    line = phone(served)
    line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(20 * connections.HEAD_SIZE // len(flood)):
            line.sendall(flood)
    assert b"200 OK" not in rest(line)
    assert healthy(served)


def test_connections_that_ask_nothing_are_bounded(serve, phone, monkeypatch):
    monkeypatch.setattr(connections, "WAITING", 4)
    monkeypatch.setattr("device.server.serve.WAITING", 4)
    address = serve(connections=1)
    lines = [phone(address) for _ in range(5)]
    assert rest(phone(address)) == b""
    for line in lines:
        line.close()
    wait_for(lambda: _answers(address))


def _answers(address) -> bool:
    with contextlib.suppress(Exception):
        return healthy(address)
    return False


def test_a_flood_of_sockets_leaves_room_for_those_who_are_served(serve, phone):
    address = serve(connections=3)
    with connect(address.ws + STT) as kept:
        lines = [phone(address) for _ in range(20)]
        for line in lines:
            line.sendall(UPGRADE)
        heads = [line.recv(12) for line in lines]
        assert heads.count(b"HTTP/1.1 101") == 2
        assert heads.count(b"HTTP/1.1 429") == 18
        kept.ping().wait(10)
        for line in lines:
            line.close()
    wait_for(lambda: address.service.connections == 0)


def test_a_socket_whose_client_is_gone_without_a_word_is_let_go(serve, phone):
    address = serve(idle=1)
    line = phone(address)
    line.sendall(UPGRADE)
    assert b"101" in line.recv(200)
    wait_for(lambda: address.service.connections == 0)  # half open: the client neither says nor ends anything


def test_a_body_that_stops_coming_is_let_go(serve, phone):
    address = serve(idle=1)
    line = phone(address)
    line.sendall(b"POST /cognitiveservices/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n<speak>")
    assert b"HTTP/1.1 408" in rest(line)
    wait_for(lambda: address.service.connections == 0)


def test_a_body_that_turns_out_to_be_none_is_refused_and_no_fault_of_the_server(served, phone, caplog):
    line = phone(served)
    line.sendall(
        b"POST /cognitiveservices/v1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\nzz\r\n"
    )
    assert b"HTTP/1.1 400" in rest(line)
    wait_for(lambda: served.service.connections == 0)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_bytes_after_a_request_that_are_no_request_are_no_fault_of_the_server(served, phone, caplog):
    line = phone(served)
    line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n\xff\xff\xff\r\n\r\n")
    assert re.match(rb"HTTP/1.1 (200|400)", rest(line))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


MUCH = 100_000_000
"""Bytes that no buffer between two programs holds."""


async def whole(_request):
    return Response(bytes(MUCH))


async def piecemeal(_request):
    async def pieces():
        for _ in range(MUCH // 100_000):
            yield bytes(100_000)

    return StreamingResponse(pieces())


@pytest.mark.parametrize("answer", [whole, piecemeal])
def test_an_answer_that_is_not_read_is_given_up(serve, phone, caplog, monkeypatch, answer):
    monkeypatch.setattr(connections, "STUCK", 0.2)
    address = serve(idle=1)
    address.server.app.router.routes.insert(0, Route("/much", answer))
    (running,) = address.server._servers
    running.config.timeout_keep_alive = 1
    line = phone(address)
    line.sendall(b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_for(lambda: running.server_state.connections)
    wait_for(lambda: not running.server_state.connections)
    assert len(rest(line)) < MUCH
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(("length", "status"), [(9, b"401"), (9_000_000, b"413")])
def test_after_a_body_that_was_not_asked_for_the_connection_closes(serve, phone, tmp_path, length, status):
    key = tmp_path / "key"
    key.write_text("k")
    key.chmod(0o600)
    line = phone(serve(key_file=str(key)))
    shown = b"Ocp-Apim-Subscription-Key: k\r\n" if status == b"413" else b""
    head = b"POST /cognitiveservices/v1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
    line.sendall(head + shown + b"Content-Length: %d\r\n\r\n" % length)
    answer = rest(line)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in answer


@pytest.mark.parametrize(("header", "more"), [(b"", b"G"), (b"Connection: close\r\n", b"")], ids=["again", "last"])
def test_whoever_reads_no_answer_and_begins_another_request_or_none_is_let_go(serve, monkeypatch, header, more):
    monkeypatch.setattr(connections, "HEAD_TIME", 0.3)
    monkeypatch.setattr(connections, "STUCK", 0.3)
    address = serve()
    (listening, _), open_ = address.server._sockets[0], address.server._servers[0].server_state.connections
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        line.connect(listening.getsockname())
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n"
        line.sendall(request + b"\r\n" + request + header + b"\r\n")
        wait_for(lambda: any(each.transport.get_write_buffer_size() for each in open_))
        wait_for(lambda: not address.service.connections)
        line.sendall(more)
        wait_for(lambda: not open_)
