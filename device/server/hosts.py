"""Under which names, and by whose pages, the server may be asked for while it needs no key.

A page from elsewhere can lead its own name to this machine and then read what is served on loopback, as if it had come
from here (DNS rebinding). It cannot choose what the browser writes into ``Host``, so a name that nobody has given this
machine is refused. Addresses cannot be led anywhere, and nobody but Azure can lead Azure's names elsewhere for others.
It cannot choose ``Origin`` either: a page that says that it comes from elsewhere is refused too, whether or not it
could have read the answer.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from device.server.auth import is_loopback

AZURE = ("speech.microsoft.com", "cognitive.microsoft.com", "microsofttranslator.com", "cognitiveservices.azure.com")
"""What programs ask for that know only a key and a region; the hosts file leads them here."""


def is_known(host: str, allowed: Collection[str]) -> bool:
    """Whether a request's ``Host`` names this machine.

    Parameters
    ----------
    host
        The header's value, with or without a port; programs without one are no browsers.
    allowed
        Further names, as the owner set them; ``.home.arpa`` stands for every name below it.
    """
    name = _name(host)
    if not name or _is_address(name):
        return True
    if any(name == azure or name.endswith(f".{azure}") for azure in AZURE):
        return True
    return _is_own(name, allowed)


def is_own_origin(origin: str | None, host: str, allowed: Collection[str]) -> bool:
    """Whether a request is a program's, or that of a page that this machine served.

    Parameters
    ----------
    origin
        The header's value (RFC 6454), None without one; ``null`` is a page of nobody's.
    host
        The request's ``Host``: what comes from the same place is its own.
    allowed
        As for `is_known`.
    """
    if origin is None:
        return True
    try:
        place = urlsplit(origin)
        name = (place.hostname or "").rstrip(".")
    except ValueError:
        return False
    if not name:
        return False
    return place.netloc.lower() == host.lower() or is_loopback(name) or _is_own(name, allowed)


def _is_own(name: str, allowed: Collection[str]) -> bool:
    own = socket.gethostname().lower()
    first = own.partition(".")[0]  # multicast DNS tells only this (RFC 6762, 3)
    if name in {"localhost", own, first, f"{first}.local"} or name.endswith(".localhost"):
        return True
    names = [_name(each.rpartition("//")[2].partition("/")[0]) for each in allowed]  # also of a whole address
    return any(name == each or (each.startswith(".") and name.endswith(each)) for each in names)


def _name(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
