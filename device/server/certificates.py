"""A certificate authority of the owner's own, and the server's certificate signed by it (RFC 5280)."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from device.errors import DragomanError, UsageError

CA_YEARS = 10
DAYS = 397
"""How long the server's certificate is good for: browsers take no longer ones."""
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Files:
    """What lies in the folder."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The authority's certificate: what clients are told to trust."""
        return self.folder / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """The authority's key."""
        return self.folder / "ca.key"

    @property
    def certificate(self) -> Path:
        """The server's certificate."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.folder / "server.key"


def make_certificates(folder: Path, names: Sequence[str]) -> Files:
    """Make the server's certificate for ``names`` (host names and addresses), and the authority if there is none.

    An authority that is already there stays, so that clients need not be told again.

    Raises
    ------
    DragomanError
        A name is none, the authority's key is gone, or the folder cannot be written.
    """
    files = Files(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not files.ca.exists():
            _make_authority(files)
        elif not files.ca_key.exists():
            raise DragomanError(
                f"{files.ca_key} is gone: put it back, or remove {files.ca} and tell all clients of a new one"
            )
        authority = x509.load_pem_x509_certificate(files.ca.read_bytes())
        ca_key = serialization.load_pem_private_key(files.ca_key.read_bytes(), None)
        if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
            raise DragomanError(f"{files.ca_key}: not a key that this command made")
        key = ec.generate_private_key(ec.SECP256R1())
        found = [_general_name(name) for name in names]
        builder = (
            _builder(_named(names[0]), authority.subject, key.public_key(), timedelta(days=DAYS))
            .add_extension(x509.SubjectAlternativeName(found), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        certificate = builder.sign(ca_key, hashes.SHA256())
        _write_key(files.key, key)
        chain = certificate.public_bytes(serialization.Encoding.PEM) + files.ca.read_bytes()
        files.certificate.write_bytes(chain)
    except (OSError, ValueError) as error:
        raise DragomanError(f"{folder}: the certificate cannot be made: {error}") from None
    return files


def names_of(certificate: Path) -> list[str]:
    """Return the names and addresses that a certificate is for; none where it is missing or no certificate."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return []
    return [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]


def check_name(name: str) -> str:
    """Return a host name or address as certificates write it.

    Raises
    ------
    UsageError
        It is neither (RFC 1123, 2.1; a wildcard may stand for the first label, RFC 6125, 6.4.3).
    """
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        plain = name.rstrip(".").lower().encode("idna").decode()
    except UnicodeError:
        plain = ""
    labels = plain.removeprefix("*.").split(".")
    numeric = labels[-1].isdigit()  # an address with a mistake in it
    if len(plain) > 253 or numeric or not all(_LABEL.fullmatch(label) for label in labels):
        raise UsageError(f"{name[:80]!r} is no host name or address: write kitchen.local or 192.168.1.20")
    return plain


def _make_authority(files: Files) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("Dragoman's own authority")
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(name, name, key.public_key(), timedelta(days=365 * CA_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(files.ca_key, key)
    files.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks of small devices are often late
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
