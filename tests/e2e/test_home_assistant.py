"""Home Assistant's view of a running device: found, described, obeyed and measured."""

from __future__ import annotations

import pytest

from tests.e2e.test_daemon import state, wait_ready
from tests.support.mqtt_listener import Listener

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]


def test_a_running_device_is_found_and_obeys_what_home_assistant_sends(start_here, broker, listener):
    with Listener(broker.host, broker.port, "homeassistant/device/#") as home:
        daemon = start_here()
        wait_ready(listener)
        entities = home.wait_on("/config")[0].json["cmps"]
    assert "en" in entities["source"]["options"]
    assert "pt" in entities["target"]["options"]
    listener.publish(entities["mute"]["command_topic"], entities["mute"]["payload_on"])
    state(listener, "muted")
    listener.publish(entities["mute"]["command_topic"], entities["mute"]["payload_off"])
    listener.publish(entities["source"]["command_topic"], "en")
    listener.publish(entities["say"]["command_topic"], "Bom dia.")
    state(listener, "speaking")
    assert listener.wait_on("diag/overruns")[0].json["value"] == 0
    listener.publish("dragoman/bench/cmd/translate", "Good morning.", ResponseTopic="dragoman/bench/reply/1")
    listener.wait_on("reply/1")
    daemon.diagnostics.measure()
    assert listener.wait_on("diag/rtf/mt")[0].json["seconds"] > 0
    assert listener.on("/state")[-1].json["problems"] == []
