"""The certificate of the server, its key, and the authorities of its clients, read from files."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from jobsvc.auth.watched_files import FileUnusable
from jobsvc.settings import Settings


# No repr: it would show the key.
@dataclass(frozen=True, slots=True, repr=False)
class TlsMaterial:
    """PEM texts that fit each other. Without `client_ca` clients need no certificate."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None


class TlsFiles:
    """The files that `JOBSVC_TLS_CERT`, `JOBSVC_TLS_KEY` and `JOBSVC_TLS_CLIENT_CA` name."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca

    @classmethod
    def named(cls, settings: Settings) -> "TlsFiles | None":
        """Returns the files that the settings name; None without TLS."""
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        return cls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        return [path for path in (self._certificate, self._key, self._client_ca) if path]

    def read(self) -> TlsMaterial:
        """Returns what the files say.

        Raises:
            FileUnusable: one cannot be read, is of another kind, or the key is not that of the
                certificate.
        """
        material = self._read()
        # gRPC would say nothing, and refuse every connection.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # An encrypted key must not ask for its password on the terminal.
            context.load_cert_chain(self._certificate, self._key, password=lambda: b"")
        except (OSError, ValueError) as error:
            raise FileUnusable(
                f"JOBSVC_TLS_CERT {self._certificate} with JOBSVC_TLS_KEY {self._key}: {error}"
            ) from None
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ValueError) as error:
                raise FileUnusable(f"JOBSVC_TLS_CLIENT_CA {self._client_ca}: {error}") from None
        if self._read() != material:
            raise FileUnusable("the files of TLS are being replaced")
        return material

    def _read(self) -> TlsMaterial:
        return TlsMaterial(
            _read("JOBSVC_TLS_CERT", self._certificate),
            _read("JOBSVC_TLS_KEY", self._key),
            None if self._client_ca is None else _read("JOBSVC_TLS_CLIENT_CA", self._client_ca),
        )


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileUnusable(f"{setting} {path}: {error.strerror or error}") from None
