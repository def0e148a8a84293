"""A small authority with certificates of a server and of clients, for trying it."""

import ipaddress
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The trust domain of the clients' SPIFFE ids.
TRUST_DOMAIN = "jobsvc.dev"

_LIFE = timedelta(days=30)
#: Clocks of other machines may be late.
_EARLIER = timedelta(minutes=5)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


class Authority:
    """Signs certificates with a key that is made anew."""

    def __init__(self, name: str = "jobsvc dev-certs") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = _builder(self._name, self._name, self._key.public_key())
        self._certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def certificate(self) -> bytes:
        """Its own certificate, which others trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        """Its key, which makes anybody of anybody."""
        return _pem(self._key)

    def sign(
        self,
        name: str,
        alternatives: Sequence[x509.GeneralName],
        is_server: bool,
        life: timedelta = _LIFE,
    ) -> tuple[bytes, bytes]:
        """Returns a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = _builder(_named(name), self._name, key.public_key(), life)
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)


def make_certificates(folder: Path, hosts: Sequence[str], clients: Sequence[str]) -> list[Path]:
    """Writes `ca.pem`, `server.pem`, a file for each client, and their keys. Returns the files.

    Raises:
        FileExistsError: one is there; nothing is written.
        ValueError: a name cannot be that of a server or a client.
    """
    for client in clients:
        if not _NAME.fullmatch(client) or client in ("ca", "server"):
            raise ValueError(f"{client!r} cannot be the name of a client")
    authority = Authority()
    names = list(map(_general_name, dict.fromkeys(("localhost", "127.0.0.1", "::1", *hosts))))
    pairs = {
        "ca": (authority.certificate, authority.key),
        "server": authority.sign("jobsvc", names, is_server=True),
    }
    for client in clients:
        uri = x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/{client}")
        pairs[client] = authority.sign(client, [uri], is_server=False)
    files = {}
    for name, (certificate, key) in pairs.items():
        files[folder / f"{name}.pem"] = certificate
        files[folder / f"{name}.key"] = key
    for path in files:
        if path.exists():
            raise FileExistsError(0, "", str(path))
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        mode = 0o600 if path.suffix == ".key" else 0o644
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
    return list(files)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    life: timedelta = _LIFE,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + life)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
