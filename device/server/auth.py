"""Who may come in: a key in a header or in the query, or a token that was issued for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
import time
from collections.abc import Mapping

from device.server.options import Query

LIFETIME = 600
"""Seconds that a token is good for."""


class Gate:
    """Compares what a client shows with the key.

    Parameters
    ----------
    key
        The key; with ``None`` everybody may come in.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._signing = secrets.token_bytes(32)

    @property
    def open(self) -> bool:
        """Whether no key is needed."""
        return self._key is None

    def admits(self, headers: Mapping[str, str], query: Query) -> bool:
        """Whether a request may come in; names in ``headers`` are lower case. An empty key is no key."""
        if self._key is None:
            return True
        keys = [headers.get("ocp-apim-subscription-key", "")]
        keys += query.get("ocp-apim-subscription-key", []) + query.get("subscription-key", [])
        tokens = [headers.get("authorization", ""), *query.get("authorization", []), *query.get("access_token", [])]
        return any(self.is_key(key) for key in keys) or any(self._is_token(token) for token in tokens)

    def is_key(self, key: str) -> bool:
        """Whether ``key`` is the key, compared in constant time."""
        return self._key is not None and hmac.compare_digest(key.encode(), self._key.encode())

    def issue(self) -> str:
        """Return a token for whoever has shown the key: a JWT (RFC 7519), signed with HS256."""
        parts = [{"alg": "HS256", "typ": "JWT"}, {"iss": "dragoman", "exp": int(time.time()) + LIFETIME}]
        body = ".".join(_encode(json.dumps(part).encode()) for part in parts)
        return f"{body}.{self._sign(body)}"

    def seal(self, text: str) -> str:
        """Return a signature of ``text`` that only the key makes; it is good until there is another key."""
        assert self._key is not None
        return _encode(hmac.digest(self._key.encode(), b"seal:" + text.encode(), hashlib.sha256))

    def _is_token(self, shown: str) -> bool:
        token = shown[7:].strip() if shown[:7].lower() == "bearer " else shown.strip()
        body, _, signature = token.rpartition(".")
        if not body or not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return False
        payload = body.partition(".")[2]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return bool(claims["exp"] > time.time())

    def _sign(self, body: str) -> str:
        return _encode(hmac.digest(self._signing, body.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def is_loopback(host: str) -> bool:
    """Whether an address or name leads to this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
