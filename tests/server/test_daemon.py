"""The daemon serves only where the owner wants it."""

import pytest

from device.config import load_settings


def test_the_daemon_does_not_serve_unless_asked():
    assert not load_settings(None, {}).server.enabled
    assert load_settings(None, {}).server.host == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_alone_needs_no_key(serve, host):
    with serve(host=host).client() as client:
        assert client.get("/healthz").text == "ok"
