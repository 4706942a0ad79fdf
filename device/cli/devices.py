"""``dragoman devices``: the microphones and speakers of this machine, and which of them are used."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from device.cli.calibrate import calibrate
from device.cli.common import json_option, print_json, settings_from
from device.errors import DragomanError
from device.wording import counted

if TYPE_CHECKING:
    from device.audio.devices import AudioDevice, Direction


@click.group(invoke_without_command=True)
@json_option("device")
@click.pass_context
def devices(ctx: click.Context, as_json: bool) -> None:
    """List microphones and speakers.

    An asterisk marks those that the configuration chooses. Choose others by index, name or part of a name, for
    this call with --set audio.input=NAME, or for good in the configuration file.
    """
    if ctx.invoked_subcommand is not None:
        return
    from device.audio.devices import Direction, list_devices

    audio = settings_from(ctx).audio
    found = list_devices()
    problems: list[str] = []
    chosen_input = _chosen(found, audio.input, Direction.INPUT, problems)
    chosen_output = _chosen(found, audio.output, Direction.OUTPUT, problems)
    if as_json:
        for device in found:
            print_json(
                {
                    **asdict(device),
                    "chosen_input": device.index == chosen_input,
                    "chosen_output": device.index == chosen_output,
                }
            )
        return
    if not found:
        click.echo("There is no sound system here: no microphone and no speaker was found.")
    else:
        _print_table("Microphones", found, Direction.INPUT, chosen_input)
        _print_table("Speakers", found, Direction.OUTPUT, chosen_output)
    for problem in problems if found else ():
        click.echo(f"! {problem}")
    for name, value in (("audio.input", audio.input), ("audio.output", audio.output)):
        if _is_stand_in(value):
            click.echo(f"{name} is {value}: no device is used.")


devices.add_command(calibrate)


def _is_stand_in(value: str | int | None) -> bool:
    from device.audio.filecapture import FILE_PREFIX
    from device.audio.playback import NULL_OUTPUT

    return isinstance(value, str) and (value == NULL_OUTPUT or value.startswith(FILE_PREFIX))


def _chosen(
    found: list[AudioDevice], wanted: str | int | None, direction: Direction, problems: list[str]
) -> int | None:
    """Return the index of the device that will be used; where there is none, note why."""
    from device.audio.devices import choose

    if _is_stand_in(wanted):
        return None
    try:
        return choose(found, wanted, direction).index
    except DragomanError as error:
        problems.append(str(error))
        return None


def _print_table(title: str, found: list[AudioDevice], direction: Direction, chosen: int | None) -> None:
    able = [device for device in found if device.channels(direction)]
    click.echo(f"{title}:" if able else f"{title}: none")
    width = max((len(device.name) for device in able), default=0)
    for device in able:
        mark = "*" if device.index == chosen else " "
        channels = device.channels(direction)
        default = ", the system's default" if device.is_default(direction) else ""
        click.echo(
            f"{mark}{device.index:3}  {device.name:{width}}  {counted(channels, 'channel'):>12}  "
            f"{device.rate:6} Hz  {device.host}{default}"
        )
