"""One HTTP request to one checked address, within one deadline."""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Url

from jobsvc.worker import Fail, Retry
from workers.news_analyzer.address import IpAddress, resolve
from workers.news_analyzer.policy import ReadPolicy
from workers.news_analyzer.reason import PassingReason, Reason, postpone, reject

_CHUNK_BYTES = 64 * 1024
_HEADERS = {
    "User-Agent": "jobsvc-news-analyzer/1",
    "Accept": "text/html,application/xhtml+xml,text/plain;q=0.9,text/markdown;q=0.8",
    "Accept-Encoding": "gzip, deflate",
}


@dataclass(frozen=True, slots=True)
class Response:
    """The response of a server; header names in lower case. The body is read for 200 only."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(url: Url, policy: ReadPolicy, check: Callable[[], None]) -> Response:
    """Sends a GET for `url`, which has a host and a scheme of http or https.

    The name is resolved once and the connection goes to the address that was
    checked; proxies from the environment are not used. `check` is called
    between the pieces of the body and may raise to stop. Raises Fail or Retry.
    """
    host = (url.host or "").strip("[]")
    port = url.port or (443 if url.scheme == "https" else 80)
    addresses = resolve(host, port, allow_private=policy.allow_private)
    late = threading.Event()
    try:
        with (
            closing(_connect(url, host, port, addresses, policy)) as connection,
            _deadline(connection, policy, late),
        ):
            headers = _HEADERS | {"Host": url.netloc or host}
            connection.request("GET", url.request_uri, headers=headers, preload_content=False)
            return _read_response(connection, policy, check)
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        raise _judge(error, host, late=late.is_set()) from error


def _connect(
    url: Url, host: str, port: int, addresses: list[IpAddress], policy: ReadPolicy
) -> HTTPConnection:
    """Connects to the first address that accepts; raises the error of the last one."""
    for address in addresses[:-1]:
        connection = _open(url, str(address), host, port, policy)
        with suppress(OSError, urllib3.exceptions.HTTPError):
            connection.connect()
            return connection
        connection.close()
    connection = _open(url, str(addresses[-1]), host, port, policy)
    connection.connect()
    return connection


def _open(url: Url, address: str, host: str, port: int, policy: ReadPolicy) -> HTTPConnection:
    if url.scheme != "https":
        return HTTPConnection(address, port, timeout=policy.connect_seconds)
    trust = ssl.create_default_context()
    if not trust.get_ca_certs():
        # A slim image brings no certificates.
        trust.load_verify_locations(certifi.where())
    return HTTPSConnection(
        address,
        port,
        timeout=policy.connect_seconds,
        ssl_context=trust,
        server_hostname=host,
        assert_hostname=host,
    )


@contextmanager
def _deadline(
    connection: HTTPConnection, policy: ReadPolicy, late: threading.Event
) -> Iterator[None]:
    """Limits each read, and all of them together: a cut after `fetch_seconds` sets `late`."""
    sock = connection.sock
    if sock is None:
        raise OSError("the connection is closed")
    # urllib3 sets the socket's timeout from this one before it reads.
    connection.timeout = policy.read_seconds

    def cut() -> None:
        late.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(policy.fetch_seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _read_response(
    connection: HTTPConnection, policy: ReadPolicy, check: Callable[[], None]
) -> Response:
    with closing(connection.getresponse()) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        pieces: list[bytes] = []
        size = 0
        while response.status == 200:
            check()
            # Decompresses no more than this at a time, so a bomb ends at the limit.
            piece = response.read1(_CHUNK_BYTES, decode_content=True)
            if not piece:
                break
            size += len(piece)
            if size > policy.max_bytes:
                message = f"the document is larger than {policy.max_bytes} bytes"
                raise reject(Reason.TOO_LARGE, message)
            pieces.append(piece)
        return Response(response.status, headers, b"".join(pieces))


def _judge(error: Exception, host: str, *, late: bool) -> Fail | Retry:
    """Returns the failure for an error of the network or of the protocol."""
    timed_out = isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)
    # urllib3 derives a refused connection from a timed out one.
    if late or (timed_out and not isinstance(error, urllib3.exceptions.NewConnectionError)):
        return postpone(PassingReason.FETCH_TIMEOUT, f"{host} took too long")
    if isinstance(error, urllib3.exceptions.DecodeError):
        message = "the document's content encoding is broken"
        return reject(Reason.UNSUPPORTED_CONTENT, message)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in (error, *error.args)):
        return reject(Reason.CERTIFICATE_INVALID, f"the certificate of {host} does not hold")
    return postpone(PassingReason.CONNECTION_FAILED, f"the connection to {host} failed")
