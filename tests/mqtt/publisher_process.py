"""A process that says numbered finals through an MqttRoom, for tests that kill it.

``python -m tests.mqtt.publisher_process PORT STATE_DIR FIRST LAST`` prints each number once its final is durable,
then ``done``, and ends when its standard input is closed, having flushed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from device.config import MqttSettings
from device.mqtt import MqttRoom
from tests.mqtt.events import final, partial, translation
from tests.mqtt.pace import QUICK


def main() -> None:
    port, state_dir, first, last = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    room = MqttRoom(MqttSettings(port=port, device="kitchen"), state_dir, lambda _command: None, pace=QUICK)
    room.start()
    for number in range(first, last + 1):
        room.sink(partial(number, 1))
        room.sink(final(number))
        room.sink(translation(number))
        print(number, flush=True)
    print("done", flush=True)
    sys.stdin.read()
    room.stop(60)


if __name__ == "__main__":
    main()
