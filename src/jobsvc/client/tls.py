"""Credentials for a channel over TLS."""

import ssl
from pathlib import Path

import grpc


def tls_credentials(ca: Path | None = None) -> grpc.ChannelCredentials:
    """Returns credentials that trust the certificates in the PEM file `ca`, by default gRPC's own.

    Raises:
        OSError: the file cannot be read, or has no certificate.
    """
    if ca is None:
        return grpc.ssl_channel_credentials()
    # gRPC would say no more than that it cannot connect.
    ssl.create_default_context(cafile=ca)
    return grpc.ssl_channel_credentials(ca.read_bytes())
