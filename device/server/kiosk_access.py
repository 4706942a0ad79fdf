"""Who may open a kiosk page: whoever holds the key, or a pass that somebody who is in gave away as a QR code.

A pass opens the page and nothing else, and tells nobody the key. There are two kinds. An *invitation* is what the QR
code holds: within a few minutes it is exchanged for a *visit*, which is good for a day. `dragoman kiosk` makes visits
without an end for the device's own screen. All of them end when the owner changes the key.
"""

from __future__ import annotations

import hmac
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import segno

from device.config import Settings
from device.server.auth import Gate, is_loopback

PAGE = "/kiosk/"
INVITED = 600
"""Seconds in which an invitation must be used."""
VISIT = 24 * 3600
"""Seconds that a visit lasts."""
SOMEWHERE = ("192.0.2.1", "10.255.255.255", "192.168.255.255", "172.31.255.255")
"""Addresses in whose direction this machine looks for its own; nothing is sent there."""


class Kind(StrEnum):
    """What a pass is good for."""

    INVITATION = "invitation"
    VISIT = "visit"


def make_pass(gate: Gate, kind: Kind, seconds: float | None) -> str:
    """Return a pass that is good for ``seconds``, or with None as long as the key."""
    until = 0 if seconds is None else int(time.time() + seconds)
    return f"{kind}.{until}.{gate.seal(f'{kind}.{until}')}"


def kind_of(gate: Gate, shown: str) -> Kind | None:
    """Return what a pass is good for; None where it is none, or no longer."""
    body, _, seal = shown.rpartition(".")
    kind, _, until = body.partition(".")
    if (
        kind not in set(Kind)
        or not until.isdecimal()
        or not hmac.compare_digest(seal.encode(), gate.seal(body).encode())
    ):
        return None
    return Kind(kind) if until == "0" or int(until) > time.time() else None


def is_endless(shown: str) -> bool:
    """Whether a pass is as good as the key: whoever has one may invite others, and guests may not."""
    return shown.split(".")[1] == "0"


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a socket is asked for by a page of this server, or by no page at all.

    A page from elsewhere must not talk to the device with its visitor's rights (RFC 6455, 10.2).
    """
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


@dataclass(frozen=True, slots=True)
class Address:
    """Where others find the page."""

    url: str
    secure: bool
    """Whether browsers give it a microphone."""

    def qr(self, fragment: str) -> str:
        """Return the QR code of the address and a fragment, which no server is ever sent, as an SVG element."""
        code = segno.make(self.url + fragment, error="m", micro=False)
        return code.svg_inline(border=3, dark="#000", light="#fff", omitsize=True)


def address(settings: Settings, host: str, port: int, *, tls: bool) -> Address | None:
    """Return the address for other machines; None where none can reach the server.

    Parameters
    ----------
    settings
        ``server``: where it listens.
    host, port, tls
        How the page that asks came here.
    """
    server = settings.server
    if is_loopback(server.host):
        return None
    if server.tls_port and not tls:
        port, tls = server.tls_port, True
    name = urlsplit(f"//{host}").hostname or ""
    if not name or is_loopback(name):
        name = server.host if server.host not in {"0.0.0.0", "::"} else own_address()
    name = f"[{name}]" if ":" in name else name
    usual = port == (443 if tls else 80)
    return Address(f"{'https' if tls else 'http'}://{name}{'' if usual else f':{port}'}{PAGE}", tls)


def own_url(settings: Settings) -> str:
    """Return the address for this machine's own browser, which trusts loopback with its microphone."""
    host = settings.server.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}{PAGE}"


def own_address() -> str:
    """Return this machine's address in the house, or where it has none its name there (RFC 6762)."""
    for target in SOMEWHERE:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((target, 9))
                return str(probe.getsockname()[0])
            except OSError:
                continue
    return f"{socket.gethostname().split('.')[0]}.local"
