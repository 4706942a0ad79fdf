"""The kiosk page on the device itself: its microphones, its speaker, and its button under a finger."""

from __future__ import annotations

import socket

import pytest
from playwright.sync_api import expect

from device.controls.pins import mock_press, mock_release
from tests.e2e.test_daemon import fox, state, wait_ready

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]


@pytest.fixture
def device(start_here, configuration, listener, open_page):
    """Return a function that starts the daemon and opens its page."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration["server"] = {"enabled": True, "port": port}

    def start():
        daemon = start_here()
        wait_ready(listener)
        return daemon, open_page(address=f"http://127.0.0.1:{port}", fragment="place=device")

    return start


def test_page_is_a_button_of_the_device_and_shows_what_it_hears(device, listener, virtual_mic, recordings):
    path, _ = fox(recordings)
    daemon, kiosk = device()
    kiosk.press()
    state(listener, "listening")
    virtual_mic.play(path)
    kiosk.release()
    final = listener.wait_on("transcript/final")[0].json["text"]
    expect(kiosk.half(0).locator(".words")).to_have_text(final)
    expect(kiosk.half(1).locator(".words")).to_contain_text("raposa")
    kiosk.ready()
    assert not kiosk.sounds, "the device speaks for itself"

    # The button on the table does the same, and is seen in the page.
    mock_press(17)
    expect(kiosk.half(0).locator(".talk")).to_have_attribute("data-state", "talking")
    mock_release(17)
    kiosk.ready()

    kiosk.press()
    kiosk.page.close()  # whose button must not stay down
    listener.wait(lambda messages: [m.json["state"] for m in messages if m.topic.endswith("/state")][-1] == "idle")
    assert daemon.controller.direction is None


def test_page_mutes_the_device_and_turns_it_round(device, model_dir, listener):
    for model in ("asr-whisper-base", "mt-bergamot-pt-en", "tts-piper-en-joe"):
        model_dir(model)
    daemon, kiosk = device()
    assert len(daemon.settings.directions) == 1
    kiosk.press(1)
    expect(kiosk.half(1).locator(".talk")).to_have_text("Solte para traduzir")
    kiosk.page.wait_for_timeout(400)
    kiosk.release()
    assert [(way.source, way.targets) for way in daemon.settings.directions] == [("en", ("pt",)), ("pt", ("en",))]
    kiosk.ready()

    kiosk.page.locator("#mute").click()
    state(listener, "muted")
    expect(kiosk.page.locator("#state")).to_have_text("The device is muted")
    expect(kiosk.half(0).locator(".talk")).to_be_disabled()
    listener.publish("dragoman/bench/set/mute", "false")
    kiosk.ready()

    listener.publish("dragoman/bench/set/mode", "open")
    expect(kiosk.half(0).locator(".hint")).to_contain_text("just talk")
    expect(kiosk.half(0).locator(".talk")).to_be_disabled()
