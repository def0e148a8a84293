"""Credentials for a channel over TLS, for callers and workers."""

import ssl
from pathlib import Path
from typing import TypeAlias

import grpc

Credentials: TypeAlias = grpc.ChannelCredentials


def tls_credentials(ca: Path | None = None) -> Credentials:
    """Returns credentials that trust the certificates in the PEM file `ca`, by default gRPC's own.

    Raises:
        OSError: the file cannot be read, or has no certificate.
    """
    if ca is None:
        return grpc.ssl_channel_credentials()
    # gRPC would say no more than that it cannot connect.
    ssl.create_default_context(cafile=ca)
    return grpc.ssl_channel_credentials(ca.read_bytes())
