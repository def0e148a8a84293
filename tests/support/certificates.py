"""Certificates that are made for a test, and files that hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
from cryptography import x509

from jobsvc.auth.dev_certs import Authority
from tests.support.planted import plant_key

HOST: Sequence[x509.GeneralName] = [x509.DNSName("localhost")]


@dataclass(frozen=True, slots=True)
class Files:
    """Where the server's files are."""

    certificate: Path
    key: Path
    client_ca: Path

    def write(self, authority: Authority) -> None:
        """Puts a new certificate of `authority` there, for localhost, and lets it sign clients."""
        certificate, key = authority.sign("server", HOST, is_server=True)
        plant_key(key)
        self.client_ca.write_bytes(authority.certificate)
        # As a renewal does it: each file at once, one after the other.
        for path, data in ((self.key, key), (self.certificate, certificate)):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(data)
            fresh.replace(path)


def files_in(folder: Path) -> Files:
    """Names of files in a folder."""
    return Files(folder / "tls.crt", folder / "tls.key", folder / "client-ca.crt")


def spiffe(name: str) -> list[x509.GeneralName]:
    """The names of a client of the mesh."""
    return [x509.UniformResourceIdentifier(f"spiffe://test/{name}")]


def channel_credentials(
    trusted: Authority,
    signer: Authority | None = None,
    names: Sequence[x509.GeneralName] = (),
    life: timedelta = timedelta(days=1),
) -> grpc.ChannelCredentials:
    """Credentials that trust one authority, and show a certificate that `signer` has signed."""
    if signer is None:
        return grpc.ssl_channel_credentials(trusted.certificate)
    certificate, key = signer.sign("client", names, is_server=False, life=life)
    return grpc.ssl_channel_credentials(trusted.certificate, plant_key(key), certificate)
