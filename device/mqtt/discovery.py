"""Makes the device known to Home Assistant: one retained message that describes the device and all its entities.

The format is Home Assistant's device-based MQTT discovery (https://www.home-assistant.io/integrations/mqtt, "Device
discovery payload"); its templates read the payloads that :mod:`device.mqtt.topics` writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from device.mqtt import topics
from device.mqtt.topics import Lane, Message, Topics, encode

LONGEST_STATE = 255
"""Characters of a Home Assistant state; what is longer is in the entity's attributes."""
BUTTON_ACTIONS = ("press", "release", "hold", "double")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """One direction as people may change it: its languages now, and those that could be chosen instead."""

    source: str
    targets: tuple[str, ...]
    sources: Sequence[str]
    choices: Sequence[str]
    """Languages it could be translated into."""


class Discovery:
    """Writes the discovery message of one device.

    Parameters
    ----------
    device_topics
        Where the device says and hears everything.
    prefix
        Home Assistant's discovery prefix, ``homeassistant`` unless somebody changed it there.
    """

    def __init__(self, device_topics: Topics, prefix: str = "homeassistant") -> None:
        self._topics = device_topics
        self._id = "dragoman-" + re.sub(r"[^a-zA-Z0-9_-]", "_", device_topics.device)
        self.topic = f"{prefix}/device/{self._id}/config"
        self.status_topic = f"{prefix}/status"
        """Where Home Assistant says ``online`` when it has started."""
        self._platforms: dict[str, str] = {}

    def message(self, ways: Sequence[Way]) -> Message:
        """Describe the device; ``ways`` are its directions."""
        entities = {
            name: {"unique_id": f"{self._id}-{name}", **self._availability(), **entity}
            for name, entity in self._entities(ways).items()
        }
        # An entity that is gone is removed by an entry with its platform alone.
        gone = {name: {"platform": platform} for name, platform in self._platforms.items() if name not in entities}
        self._platforms |= {name: entity["platform"] for name, entity in entities.items()}
        version = metadata.version("dragoman")
        document = {
            "dev": {
                "identifiers": [self._id],
                "name": f"Dragoman {self._topics.device}",
                "manufacturer": "Dragoman",
                "model": "Offline speech translator",
                "sw_version": version,
            },
            "o": {"name": "dragoman", "sw_version": version},
            "cmps": entities | gone,
        }
        return Message(self.topic, encode(document), 1, Lane.RETAINED)

    def _availability(self) -> Document:
        return {
            "availability_topic": self._topics.topic(topics.AVAILABILITY),
            "payload_available": topics.ONLINE.decode(),
            "payload_not_available": topics.OFFLINE.decode(),
        }

    def _entities(self, ways: Sequence[Way]) -> dict[str, Document]:
        return {
            **self._heard(ways),
            **self._state(),
            **self._problems(),
            **self._measured(),
            **{name: entity for index, way in enumerate(ways) for name, entity in self._selects(index, way, len(ways))},
            **self._controls(),
        }

    def _heard(self, ways: Sequence[Way]) -> dict[str, Document]:
        """Return the sensors of what was said; with privacy only where it came from."""
        final = self._topics.topic(topics.TRANSCRIPT_FINAL)
        entities = {
            "azimuth": _sensor(
                "Direction of arrival", final, "{{ value_json.azimuth | default('None') }}",
                icon="mdi:compass-outline", unit_of_measurement="°",
            ),
        }  # fmt: skip
        if not self._topics.with_text:
            return entities
        entities["transcript"] = self._text("Last transcript", final, icon="mdi:microphone-message")
        targets = dict.fromkeys(target for way in ways for target in way.targets)
        for target in targets:
            name = "Last translation" if len(targets) == 1 else f"Last translation ({target})"
            key = "translation" if len(targets) == 1 else f"translation-{target.lower()}"
            entities[key] = self._text(name, self._topics.topic(topics.TRANSLATION, target), icon="mdi:translate")
        return entities

    def _text(self, name: str, topic: str, **more: Any) -> Document:
        template = f"{{{{ value_json.text[:{LONGEST_STATE}] }}}}"
        return _sensor(name, topic, template, json_attributes_topic=topic, **more)

    def _state(self) -> dict[str, Document]:
        topic = self._topics.topic(topics.STATE)
        states = ["idle", "listening", "translating", "speaking", "muted", "error"]
        return {
            "state": _sensor("State", topic, "{{ value_json.state }}", device_class="enum", options=states),
            "button": {
                "platform": "event", "name": "Button", "device_class": "button", "icon": "mdi:gesture-tap-button",
                "state_topic": self._topics.topic(topics.EVENT_BUTTON), "event_types": list(BUTTON_ACTIONS),
                "value_template": "{{ {'event_type': value_json.action, 'button': value_json.name} | tojson }}",
            },
        }  # fmt: skip

    def _problems(self) -> dict[str, Document]:
        kinds = {
            "problem": ("Problem", "value_json.problems | length > 0"),
            "microphone": ("Microphone", "'microphone' in value_json.problems"),
            "speaker": ("Speaker", "'speaker' in value_json.problems"),
            "outbox": ("Storage", "'outbox-' in value_json.problems | join(' ')"),
            "hot": ("Overheating", "'hot' in value_json.problems"),
            "under-voltage": ("Power supply", "'under-voltage' in value_json.problems"),
        }
        topic = self._topics.topic(topics.STATE)
        return {
            f"problem-{key}": {
                "platform": "binary_sensor", "name": name, "device_class": "problem", "state_topic": topic,
                "value_template": f"{{{{ 'ON' if {condition} else 'OFF' }}}}", "entity_category": "diagnostic",
            }
            for key, (name, condition) in kinds.items()
        }  # fmt: skip

    def _measured(self) -> dict[str, Document]:
        def sensor(name: str, measured: str, template: str, **more: Any) -> Document:
            topic = self._topics.topic(topics.DIAG, measured)
            return _sensor(name, topic, template, entity_category="diagnostic", state_class="measurement", **more)

        return {
            "temperature": sensor(
                "Temperature", "temperature", "{{ value_json.value }}",
                device_class="temperature", unit_of_measurement="°C",
            ),
            "outbox": sensor("Waiting messages", "outbox", "{{ value_json.depth }}", icon="mdi:tray-full"),
        }  # fmt: skip

    def _selects(self, index: int, way: Way, count: int) -> list[tuple[str, Document]]:
        state = self._topics.topic(topics.STATE)
        suffix, number = ("", "") if count == 1 else (f"-{index + 1}", f" {index + 1}")
        here = f"value_json.directions[{index}]"

        def select(command: str, name: str, options: Sequence[str], template: str, sent: str) -> Document:
            return {
                "platform": "select", "name": name, "icon": "mdi:translate", "entity_category": "config",
                "state_topic": state, "value_template": template, "options": list(options),
                "command_topic": self._topics.prefix + command, "command_template": sent, "qos": 1,
            }  # fmt: skip

        sent_source = f'{{"language": {{{{ value | tojson }}}}, "direction": {index}}}'
        sent_target = f'{{"languages": [{{{{ value | tojson }}}}], "direction": {index}}}'
        return [
            (
                f"source{suffix}",
                select("set/source", f"Source language{number}", _with(way.sources, way.source),
                       f"{{{{ {here}.source }}}}", sent_source),
            ),
            (
                f"target{suffix}",
                select("set/targets", f"Target language{number}", _with(way.choices, *way.targets[:1]),
                       f"{{{{ {here}.targets | first | default('None') }}}}", sent_target),
            ),
        ]  # fmt: skip

    def _controls(self) -> dict[str, Document]:
        state, prefix = self._topics.topic(topics.STATE), self._topics.prefix
        buttons = {"listen": "mdi:microphone", "stop": "mdi:stop", "repeat": "mdi:repeat"}
        return {
            "mute": {
                "platform": "switch", "name": "Mute", "icon": "mdi:microphone-off", "qos": 1,
                "state_topic": state, "value_template": "{{ 'true' if value_json.muted else 'false' }}",
                "command_topic": f"{prefix}set/mute", "payload_on": "true", "payload_off": "false",
            },
            "volume": {
                "platform": "number", "name": "Volume", "icon": "mdi:volume-high", "qos": 1,
                "state_topic": state, "value_template": "{{ (value_json.volume * 100) | round }}",
                "command_topic": f"{prefix}set/volume", "command_template": '{"volume": {{ value / 100 }}}',
                "min": 0, "max": 100, "step": 1, "unit_of_measurement": "%", "mode": "slider",
            },
            "say": {
                "platform": "text", "name": "Say", "icon": "mdi:text-to-speech", "qos": 1,
                "command_topic": f"{prefix}cmd/say", "command_template": '{"text": {{ value | tojson }}}', "min": 1,
            },
            **{
                key: {"platform": "button", "name": key.capitalize(), "icon": icon, "qos": 1,
                      "command_topic": f"{prefix}cmd/{key}", "payload_press": "{}"}
                for key, icon in buttons.items()
            },
        }  # fmt: skip


def _sensor(name: str, topic: str, template: str, **more: Any) -> Document:
    return {"platform": "sensor", "name": name, "state_topic": topic, "value_template": template, **more}


def _with(options: Sequence[str], *now: str) -> list[str]:
    """Return the options with what is chosen now, which must be one of them."""
    return sorted({*options, *now})


def greets(payload: bytes) -> bool:
    """Whether a message on the status topic says that Home Assistant has started."""
    return payload.strip() == b"online"
