"""Checks signatures in the format of minisign (https://jedisct1.github.io/minisign/, "Signature format").

A signature is Ed25519 (RFC 8032) over the file, or over its BLAKE2b-512 hash; a second one covers the first and the
trusted comment. The owner makes keys and signatures with ``minisign`` itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from device.errors import DragomanError

WHOLE, HASHED = b"Ed", b"ED"
"""What was signed: the file itself, or its hash."""
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "
_KEY_BYTES, _SIGNATURE_BYTES, _ED25519_BYTES = 42, 74, 64


class SignatureError(DragomanError):
    """A key or a signature is damaged, of another key, or wrong."""


@dataclass(frozen=True)
class PublicKey:
    """One of the owner's keys; ``id`` is the number by which a signature names its key."""

    id: bytes
    key: Ed25519PublicKey

    @property
    def name(self) -> str:
        """The id as minisign prints it."""
        return self.id[::-1].hex().upper()


def read_keys(path: Path) -> list[PublicKey]:
    """Read one or more public keys; with two in the file, old and new are both good while a key is replaced.

    Raises
    ------
    SignatureError
        The file cannot be read, or has no key in it.
    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise SignatureError(f"the key {path} cannot be read: {reason}") from None
    keys = []
    for line in text.splitlines():
        if not line.strip() or line.startswith(_UNTRUSTED.rstrip()):
            continue
        data = _decode(line, _KEY_BYTES, f"{path} is no public key of minisign")
        if data[:2] != WHOLE:
            raise SignatureError(f"{path} is a key of another kind than Ed25519")
        keys.append(PublicKey(data[2:10], Ed25519PublicKey.from_public_bytes(data[10:])))
    if not keys:
        raise SignatureError(f"there is no key in {path}")
    return keys


def verify(data: bytes, signature: str, keys: Sequence[PublicKey]) -> str:
    """Check that one of ``keys`` signed ``data``, and return the trusted comment.

    Raises
    ------
    SignatureError
        It is not so; the message tells a wrong key from wrong bytes.
    """
    lines = signature.splitlines()
    if len(lines) != 4 or not lines[0].startswith(_UNTRUSTED) or not lines[2].startswith(_TRUSTED):
        raise SignatureError("the signature is damaged")
    head = _decode(lines[1], _SIGNATURE_BYTES, "the signature is damaged")
    sealed = _decode(lines[3], _ED25519_BYTES, "the signature is damaged")
    kind, key_id, signed = head[:2], head[2:10], head[10:]
    if kind not in {WHOLE, HASHED}:
        raise SignatureError("the signature is of a kind that is not known here")
    comment = lines[2].removeprefix(_TRUSTED)
    candidates = [key for key in keys if key.id == key_id]
    if not candidates:
        name = key_id[::-1].hex().upper()
        raise SignatureError(f"signed with the key {name}, which is none of yours ({_names(keys)})")
    message = data if kind == WHOLE else hashlib.blake2b(data, digest_size=64).digest()
    for key in candidates:
        try:
            key.key.verify(signed, message)
            key.key.verify(sealed, signed + comment.encode())
        except InvalidSignature:
            continue
        return comment
    raise SignatureError("the signature is wrong: this is not what was signed")


def _decode(line: str, size: int, complaint: str) -> bytes:
    try:
        data = base64.b64decode(line.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError(complaint) from None
    if len(data) != size:
        raise SignatureError(complaint)
    return data


def _names(keys: Sequence[PublicKey]) -> str:
    return ", ".join(key.name for key in keys)
