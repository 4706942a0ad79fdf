"""``dragoman tls``: a certificate authority of the owner's own for the server."""

from __future__ import annotations

import socket

import click

from device.cli.common import settings_from

AZURE_NAMES = ("stt.speech.microsoft.com", "tts.speech.microsoft.com", "s2s.speech.microsoft.com")
"""After a region: the hosts that programs look for which know only a key and a region."""
FIXED_NAMES = ("dev.microsofttranslator.com", "api.cognitive.microsoft.com")


@click.group(short_help="Make certificates for `dragoman serve`.")
def tls() -> None:
    """Make certificates for the server's TLS port."""


@tls.command()
@click.option("--name", "names", multiple=True, metavar="NAME", help="Also for this host name or address.")
@click.option("--region", "regions", multiple=True, metavar="REGION", help="Also for Azure's hosts of this region.")
@click.pass_context
def init(ctx: click.Context, names: tuple[str, ...], regions: tuple[str, ...]) -> None:
    """Make an authority, if there is none, and a certificate signed by it.

    The certificate is for this machine's name, localhost, and what is named here. Tell the clients to trust ca.pem;
    for programs that know only key and region, also point the names of the region at this machine in their hosts file.

    \b
    Examples:
      dragoman tls init --name 192.168.1.20
      dragoman tls init --region westeurope
    """  # noqa: D301 - \b is click's mark for lines that stay
    from device.config import state_directory
    from device.server.certificates import make_certificates

    settings = settings_from(ctx)
    host = socket.gethostname()
    wanted = [host, f"{host}.local", "localhost", "127.0.0.1", "::1", *names]
    for region in regions:
        wanted += [f"{region}.{name}" for name in AZURE_NAMES]
        wanted.append(f"{region}.api.cognitive.microsoft.com")
    wanted += FIXED_NAMES if regions else ()
    files = make_certificates(state_directory(settings) / "tls", list(dict.fromkeys(wanted)))
    click.echo(f"certificate  {files.certificate}")
    click.echo(f"trust this   {files.ca}")
    click.echo("Python: SSL_CERT_FILE, Node.js: NODE_EXTRA_CA_CERTS, both with the path of ca.pem")
