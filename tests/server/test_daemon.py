"""The daemon serves only where the owner wants it."""

import socket

import pytest

from device.config import load_settings
from device.daemon import Daemon
from device.engines.registry import Engines
from device.errors import DragomanError


def test_the_daemon_does_not_serve_unless_asked():
    assert not load_settings(None, {}).server.enabled
    assert load_settings(None, {}).server.host == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_alone_needs_no_key(serve, host):
    with serve(host=host).client() as client:
        assert client.get("/healthz").text == "ok"


def test_a_port_that_is_taken_is_told_before_models_are_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(Engines, "preload", lambda *_: pytest.fail("models were loaded"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = {"state_directory": str(tmp_path), "server.enabled": True, "server.port": port, "mqtt.enabled": False}
        with pytest.raises(DragomanError, match=f"127.0.0.1:{port} cannot be listened on"):
            Daemon(load_settings(None, wanted)).start()
