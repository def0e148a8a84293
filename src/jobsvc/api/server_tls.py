"""TLS of the server's port, with files that may be replaced while it serves."""

from datetime import UTC, datetime

import grpc

from jobsvc.auth.tls_files import TlsFiles, TlsMaterial
from jobsvc.auth.watched_files import WatchedFiles
from jobsvc.domain.certificate import validities
from jobsvc.settings import Settings


class ServerTls:
    """Credentials of ports. New connections get what the files said last; connections that are
    open live on. gRPC speaks TLS 1.2 and 1.3 only."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises FileUnusable."""
        self._files = files
        self._material = files.read()
        self.files = WatchedFiles("certificate and key", files.paths, self._load)

    @classmethod
    def named(cls, settings: Settings) -> "ServerTls | None":
        """TLS by the files that the settings name; None without TLS. Raises FileUnusable."""
        files = TlsFiles.named(settings)
        return None if files is None else cls(files)

    @property
    def remaining_seconds(self) -> float | None:
        """For how long new connections get a certificate that is still valid, with its chain; None
        if that is not known. May be read by any thread."""
        try:
            ends = [one.end for one in validities(self._material.certificate)]
        except ValueError:  # OpenSSL has read it; so it is we who cannot.
            return None
        return (min(ends) - datetime.now(UTC)).total_seconds() if ends else None

    def credentials(self) -> grpc.ServerCredentials:
        """Returns the credentials of one address: each asks by itself whether there is something
        new, and would not hear what another one was told."""
        told = self._material

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            """gRPC asks, in a thread of its own, before each handshake; None means as before."""
            nonlocal told
            if told is self._material:
                return None
            told = self._material
            return _configuration(told)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(told),
            fetch,  # type: ignore[arg-type]  # it may return None, as gRPC says
            require_client_authentication=told.client_ca is not None,
        )

    def _load(self) -> None:
        material = self._files.read()
        if material != self._material:
            self._material = material


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], material.client_ca
    )
