"""What the doctor finds beside the database: names of settings, their files, certificates."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from jobsvc.auth.policy_file import PolicyFile
from jobsvc.auth.tls_files import TlsFiles
from jobsvc.auth.watched_files import FileUnusable
from jobsvc.domain.certificate import validities
from jobsvc.domain.finding import Check, Finding, finding
from jobsvc.domain.settings_checks import check_certificates, check_names
from jobsvc.settings import Settings, unknown_names

_CONNECT_SECONDS = 5.0


def check_files(settings: Settings) -> Iterator[Finding]:
    """Looks at the files that the settings name, as a server would, and at the settings' names."""
    yield from check_names(unknown_names(os.environ))
    now = datetime.now(UTC)
    try:
        PolicyFile(settings.policy, lambda _: None)
        files = TlsFiles.named(settings)
        if files is None:
            return
        material = files.read()
    except FileUnusable as error:
        yield finding(
            Check.FILE_UNUSABLE,
            f"a file of the settings cannot be used, so no server starts with it: {error}",
        )
        return
    with suppress(ValueError):  # OpenSSL could read them.
        yield from check_certificates(
            f"the certificate in JOBSVC_TLS_CERT ({settings.tls_cert})",
            validities(material.certificate),
            now,
        )
        yield from check_certificates(
            f"the authority in JOBSVC_TLS_CLIENT_CA ({settings.tls_client_ca})",
            validities(material.client_ca or b""),
            now,
            is_bundle=True,
        )


def check_shown_certificate(target: str) -> Iterator[Finding]:
    """Looks at the certificate that a server, or a proxy before it, shows."""
    host, _, port = target.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whatever it is: whether clients trust it is for them to say.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    name = host.strip("[]")
    # That nobody answers, or without TLS, is told already.
    with (
        suppress(OSError, ValueError),
        socket.create_connection((name, int(port)), _CONNECT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as shown,
    ):
        der = shown.getpeercert(binary_form=True)
        if der is not None:
            pem = ssl.DER_cert_to_PEM_cert(der).encode()
            yield from check_certificates(
                f"the certificate that {target} shows", validities(pem), datetime.now(UTC)
            )
