"""Under which names the server may be asked for while it needs no key.

A page from elsewhere can lead its own name to this machine and then read what is served on loopback, as if it had come
from here (DNS rebinding). It cannot choose what the browser writes into ``Host``, so a name that nobody has given this
machine is refused. Addresses cannot be led anywhere, and nobody but Azure can lead Azure's names elsewhere for others.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

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
    own = socket.gethostname().lower()
    if name in {"localhost", own, f"{own}.local"} or name.endswith(".localhost"):
        return True
    if any(name == azure or name.endswith(f".{azure}") for azure in AZURE):
        return True
    return any(name == each or (each.startswith(".") and name.endswith(each)) for each in map(str.lower, allowed))


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
