"""The device as pages see it: those that fail hold nobody up, and one that is not there yet says so."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from device.errors import DragomanError
from device.events import SpeechStarted
from device.mqtt import commands
from device.remote import Remote

EVENT = SpeechStarted(emitted=0.0, utterance="u-1", start=0.0)


@pytest.fixture
def remote():
    """The remote of a device that starts."""
    return Remote(SimpleNamespace(ready=False), orders=None)


def test_page_that_fails_stops_neither_the_device_nor_other_pages(remote, caplog):
    told = []

    def fail(_news):
        raise RuntimeError("the loop is closed")

    remote.watch(fail)
    leave = remote.watch(told.append)
    remote.tell(EVENT)
    assert told == [EVENT]
    assert "a page could not be told" in caplog.text
    leave()
    remote.tell(EVENT)
    assert told == [EVENT]


@pytest.mark.parametrize(
    "ask",
    [lambda r: r.press(0), lambda r: r.converse("en", "pt"), lambda r: r.obey(commands.Repeat())],
    ids=["press", "converse", "obey"],
)
def test_device_that_starts_asks_for_a_moment(remote, ask):
    with pytest.raises(DragomanError, match="try again in a moment"):
        ask(remote)


def test_device_that_starts_has_no_state_and_no_turn_to_end(remote):
    assert remote.status() is None
    remote.changed()
    remote.release()
