"""``dragoman listen``: live captions of the microphone."""

from __future__ import annotations

import signal
import threading

import click

from device.cli.captions import open_captions
from device.cli.common import LANGUAGE, json_option, settings_from, speakers_options, speakers_overrides
from device.config import DirectionSettings, Pins, Trigger


@click.command(short_help="Show live captions and translations of the microphone.")
@click.option("--from", "source", type=LANGUAGE, help="Language that is spoken [configured].")
@click.option("--to", "targets", type=LANGUAGE, multiple=True, help="Language wanted; may be given again [configured].")
@click.option("--speak/--no-speak", default=False, help="Speak the first target's translation [no].")
@click.option("--push-to-talk", is_flag=True, help="Listen only between two presses of the space bar.")
@speakers_options
@json_option("event")
@click.pass_context
def listen(
    ctx: click.Context, source: str | None, targets: tuple[str, ...], speak: bool, push_to_talk: bool,
    speakers: bool | None, speakers_most: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what is said into the microphone, and its translations, while it is said.

    Space begins and ends a turn with --push-to-talk, 1 and 2 choose the direction, q ends. Nothing is published.
    """
    from device.audio.capture import require_microphone
    from device.controls.keyboard import Key, Keyboard
    from device.daemon import Daemon

    loaded = settings_from(ctx, speakers_overrides(speakers, speakers_most))
    directions = list(loaded.directions)
    if source or targets:
        first = directions[0]
        directions = [DirectionSettings(source=source or first.source, targets=targets or first.targets)]
    settings = loaded.model_copy(
        update={
            "directions": tuple(directions),
            "speech": loaded.speech.model_copy(update={"enabled": speak}),
            "mqtt": loaded.mqtt.model_copy(update={"enabled": False}),
            "controls": loaded.controls.model_copy(
                update={"pins": Pins.NONE, "trigger": Trigger.TOGGLE if push_to_talk else Trigger.OPEN}
            ),
        }
    )
    require_microphone(settings.audio)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    hint = "space: talk · q: end" if push_to_talk else "listening · q: end"
    with open_captions(as_json=as_json, hint=hint) as captions, Daemon(settings, [captions]) as daemon:

        def pressed(key: Key) -> None:
            if key is Key.QUIT:
                stopping.set()
            elif key is Key.TALK:
                daemon.controller.toggle()
            elif key is Key.FIRST or len(directions) > 1:
                daemon.controller.toggle(0 if key is Key.FIRST else 1)

        with Keyboard(pressed):
            while not (stopping.wait(0.2) or captions.gone.is_set()):
                pass
        if captions.gone.is_set():
            raise captions.failure
