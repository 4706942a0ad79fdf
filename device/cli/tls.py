"""``dragoman tls``: a certificate authority of the owner's own for the server."""

from __future__ import annotations

import re
import socket

import click

from device.cli.common import settings_from
from device.errors import UsageError

AZURE_NAMES = ("stt.speech.microsoft.com", "tts.speech.microsoft.com", "s2s.speech.microsoft.com")
"""After a region: the hosts that programs look for which know only a key and a region."""
_REGION = re.compile(r"[a-z]+[0-9]?")
FIXED_NAMES = ("dev.microsofttranslator.com", "api.cognitive.microsoft.com")


@click.group(short_help="Make certificates for `dragoman serve`.")
def tls() -> None:
    """Make certificates for the server's TLS port."""


@tls.command()
@click.option("--name", "names", multiple=True, metavar="NAME", help="Also for this host name or address.")
@click.option("--region", "regions", multiple=True, metavar="REGION", help="Also for Azure's hosts of this region.")
@click.option("--fresh", is_flag=True, help="Leave out the names of the certificate that is there.")
@click.pass_context
def init(ctx: click.Context, names: tuple[str, ...], regions: tuple[str, ...], fresh: bool) -> None:
    """Make an authority, if there is none, and a certificate signed by it.

    The certificate is for this machine's name, localhost, what is named here, and what an earlier one was for. Tell the
    clients to trust ca.pem; for programs that know only key and region, also point the names of the region at this
    machine in their hosts file.

    \b
    Examples:
      dragoman tls init --name 192.168.1.20
      dragoman tls init --region westeurope
    """  # noqa: D301 - \b is click's mark for lines that stay
    from device.config import state_directory
    from device.server.certificates import Files, check_name, make_certificates, names_of

    settings = settings_from(ctx)
    folder = state_directory(settings) / "tls"
    before = [] if fresh else names_of(Files(folder).certificate)
    host = socket.gethostname()
    wanted = [host, f"{host}.local", "localhost", "127.0.0.1", "::1", *(check_name(name) for name in names)]
    for region in regions:
        if not _REGION.fullmatch(region.lower()):
            raise UsageError(f"{region[:80]!r} is no region: write it as programs do, westeurope or eastus2")
        wanted += [f"{region.lower()}.{name}" for name in AZURE_NAMES]
        wanted.append(f"{region.lower()}.api.cognitive.microsoft.com")
    wanted += FIXED_NAMES if regions else ()
    wanted = list(dict.fromkeys(wanted + before))
    replaced = Files(folder).certificate.exists()
    files = make_certificates(folder, wanted)
    click.echo(f"certificate  {files.certificate}{' (the earlier one is replaced)' if replaced else ''}")
    click.echo(f"for          {', '.join(wanted)}")
    click.echo(f"trust this   {files.ca}")
    click.echo("Python: SSL_CERT_FILE, Node.js: NODE_EXTRA_CA_CERTS, both with the path of ca.pem")
    if replaced:
        click.echo("A server that is running shows the new certificate when it is started again.")
