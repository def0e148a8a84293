"""Credentials for a channel over TLS, for callers and workers."""

import ssl
from pathlib import Path
from typing import TypeAlias

import grpc

Credentials: TypeAlias = grpc.ChannelCredentials


def tls_credentials(
    ca: Path | None = None, cert: Path | None = None, key: Path | None = None
) -> Credentials:
    """Returns credentials that trust the certificates in the PEM file `ca`, by default gRPC's own,
    and show that in `cert`, whose key is in `key`.

    Raises:
        OSError: a file cannot be read, or has no certificate, or the key is another one's.
        ValueError: `cert` comes without `key`, or the other way round.
    """
    if (cert is None) != (key is None):
        raise ValueError("a certificate and its key need each other: --cert and --key")
    # gRPC would say no more than that it cannot connect.
    context = ssl.create_default_context(cafile=ca)
    if cert is not None:
        # An encrypted key must not ask for its password on the terminal.
        context.load_cert_chain(cert, key, password=lambda: b"")
    return grpc.ssl_channel_credentials(
        None if ca is None else ca.read_bytes(),
        None if key is None else key.read_bytes(),
        None if cert is None else cert.read_bytes(),
    )


def describe_files(ca: Path | None, cert: Path | None, key: Path | None) -> str:
    """Names the files, for one line on what is wrong with them."""
    named = {"--ca": ca, "--cert": cert, "--key": key}
    return " ".join(f"{option} {path}" for option, path in named.items() if path is not None)
