"""``dragoman kiosk``: how the page is opened, on this machine and on phones; and opens it on this machine's display."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.cli.common import json_option, print_json, settings_from
from device.errors import DragomanError, UsageError

if TYPE_CHECKING:
    from device.config import Settings
    from device.server.auth import Gate


@click.command(short_help="Show how the kiosk page is opened.")
@click.option("--url", "only_url", is_flag=True, help="Print this machine's own address and nothing else.")
@click.option("--display", is_flag=True, help="Show the page in Chromium on the whole of this machine's display.")
@click.option(
    "--address",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --display: the file holds what --url printed, for a user who may not read the settings.",
)
@click.argument("flags", nargs=-1)
@json_option("object with both addresses")
@click.pass_context
def kiosk(
    ctx: click.Context, only_url: bool, display: bool, address: Path | None, flags: tuple[str, ...], as_json: bool
) -> None:
    """Show how the kiosk page of the running daemon is opened: here, and as a QR code for phones.

    Where the server asks for a key, the address carries a pass in its place: this machine's is good until there is
    another key, and that for phones must be used within ten minutes, and is then good for a day.

    With --display the page is shown in this session from when the daemon answers until the command is ended, and
    Chromium is given FLAGS too. Without a desktop, `sudo dragoman-kiosk on` does so at every start of the machine.

    \b
    Examples:
      dragoman kiosk
      dragoman kiosk --display
      dragoman kiosk --display -- --force-device-scale-factor=1.5
    """  # noqa: D301 - \b is click's mark for lines that stay
    if not display and (address or flags):
        raise UsageError("--address and flags of Chromium go with --display")
    if display and (only_url or as_json):
        raise UsageError("--display prints nothing: leave out --url and --json")
    if display:
        _show(ctx, address, flags)
        return

    import segno

    from device.server.kiosk_access import INVITED, Kind, make_pass
    from device.server.kiosk_access import address as address_for

    settings = settings_from(ctx)
    server = settings.server
    here, gate = _here(settings)
    found = address_for(settings, "", server.port, tls=False)
    phones = None
    if found is not None and not only_url:
        phones = found.url + ("" if gate.open else f"#pass={make_pass(gate, Kind.INVITATION, INVITED)}")
    if only_url:
        click.echo(here)
    elif as_json:
        print_json({"here": here, "phones": phones, "seconds": INVITED if phones else None})
    else:
        click.echo(f"here    {here}")
        if phones is None or found is None:
            click.echo("phones  cannot reach it: set server.host and server.key_file, and server.tls_port")
            return
        click.echo(f"phones  {phones}")
        if not found.secure:
            click.echo("        without their microphones, for which browsers want TLS: set server.tls_port")
        segno.make(phones, error="m", micro=False).terminal(compact=True)


def _here(settings: Settings) -> tuple[str, Gate]:
    """Return this machine's own address of the page, with a pass where one is needed, and what makes passes."""
    from device.config import read_secret
    from device.server.auth import Gate
    from device.server.kiosk_access import Kind, make_pass, own_url

    server = settings.server
    if not server.enabled:
        raise DragomanError("the daemon serves no page: set server.enabled = true, and start it again")
    if not server.port:
        raise DragomanError("server.port is 0, so that nobody knows where the page is: name a port")
    gate = Gate(read_secret(server.key_file) if server.key_file else None)
    return own_url(settings) + ("" if gate.open else f"#pass={make_pass(gate, Kind.VISIT, None)}"), gate


def _show(ctx: click.Context, file: Path | None, flags: tuple[str, ...]) -> None:
    """Keep the page on the display until this command is told to stop."""
    from device.config import Settings, read_secret, state_directory
    from device.server.kiosk_screen import Screen, find_browser

    if file is not None:
        settings, address = Settings(), read_secret(file).strip()
    else:
        settings = settings_from(ctx)
        address, _ = _here(settings)
    screen = Screen(address, state_directory(settings) / "kiosk", find_browser(), flags)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, screen.stop)
    screen.run()
