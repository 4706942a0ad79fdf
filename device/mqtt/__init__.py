"""The broker: durable outbox, topics, commands, and the room that the daemon uses."""

from device.mqtt.commands import Command
from device.mqtt.outbox import OutboxFull, OutboxLocked
from device.mqtt.pace import Pace
from device.mqtt.room import MqttRoom
from device.mqtt.topics import Topics

__all__ = ["Command", "MqttRoom", "OutboxFull", "OutboxLocked", "Pace", "Topics"]
