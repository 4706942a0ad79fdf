"""``dragoman kiosk``: how the page is opened, on this machine and on phones."""

from __future__ import annotations

import click

from device.cli.common import json_option, print_json, settings_from
from device.errors import DragomanError


@click.command(short_help="Show how the kiosk page is opened.")
@click.option("--url", "only_url", is_flag=True, help="Print this machine's own address and nothing else.")
@json_option("object with both addresses")
@click.pass_context
def kiosk(ctx: click.Context, only_url: bool, as_json: bool) -> None:
    """Show how the kiosk page of the running daemon is opened: here, and as a QR code for phones.

    Where the server asks for a key, the address carries a pass in its place: this machine's is good until there is
    another key, and that for phones must be used within ten minutes, and is then good for a day.

    \b
    Examples:
      chromium --kiosk "$(dragoman kiosk --url)"
      dragoman kiosk
    """  # noqa: D301 - \b is click's mark for lines that stay
    import segno

    from device.config import read_secret
    from device.server.auth import Gate
    from device.server.kiosk_access import INVITED, Kind, address, make_pass, own_url

    settings = settings_from(ctx)
    server = settings.server
    if not server.enabled:
        raise DragomanError("the daemon serves no page: set server.enabled = true, and start it again")
    if not server.port:
        raise DragomanError("server.port is 0, so that nobody knows where the page is: name a port")
    gate = Gate(read_secret(server.key_file) if server.key_file else None)
    here = own_url(settings) + ("" if gate.open else f"#pass={make_pass(gate, Kind.VISIT, None)}")
    found = address(settings, "", server.port, tls=False)
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
