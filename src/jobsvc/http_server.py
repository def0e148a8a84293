"""The HTTP listener for probes and Prometheus: `/metrics`, `/livez`, `/readyz`, on threads of its
own, so that a scrape takes no turn of the event loop."""

import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

log = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"
#: How long a client may take to send its request, and to read the answer.
_CLIENT_SECONDS = 5.0
#: Connections at a time. A probe and two scrapers need three.
_MAX_CONNECTIONS = 16


class Answer(NamedTuple):
    """What a path answers."""

    body: bytes
    is_ok: bool = True
    content_type: str = _TEXT


#: What each path answers, on any thread.
Paths = Mapping[str, Callable[[], Answer]]


class HttpListenFailed(Exception):
    """The address cannot be listened on. The text is one sentence for the user."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # What is open at the end is cut off: nobody waits for a slow reader.
    block_on_close = False

    def __init__(self, address: tuple[str, int], paths: Paths) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.paths = paths
        self._free = threading.Semaphore(_MAX_CONNECTIONS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Binds. Unlike that of the standard library, asks no name server for our name."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: object, client_address: object) -> None:
        """Serves a connection on a thread, unless there are too many: then cuts it."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serves a connection, on its thread."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: the client is gone, or too slow."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _CLIENT_SECONDS
    server_version = "jobsvc"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers one request; the connection ends with it."""
        answer_of = self.server.paths.get(self.path.partition("?")[0])
        if answer_of is None:
            self._send(HTTPStatus.NOT_FOUND, Answer(b"not found\n"))
            return
        answer = answer_of()
        self._send(HTTPStatus.OK if answer.is_ok else HTTPStatus.SERVICE_UNAVAILABLE, answer)

    def do_HEAD(self) -> None:
        """Answers as GET, without the body."""
        self.do_GET()

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Says nothing: a probe comes every second."""


@contextmanager
def http_listener(address: str | None, paths: Paths) -> Iterator[None]:
    """Serves `paths` on an address until the end of the block, if there is one, and says so in the
    log.

    Raises:
        HttpListenFailed: it cannot listen there.
    """
    if address is None:
        yield
        return
    with http_server(address, paths) as port:
        host = address.rpartition(":")[0]
        log.info("%s served at http://%s:%d", ", ".join(sorted(paths)), host, port)
        yield


@contextmanager
def http_server(address: str, paths: Paths) -> Iterator[int]:
    """Listens on `address` (HOST:PORT) until the end of the block, and yields the port. Each path
    is answered by its function, on a thread of the listener.

    Raises:
        HttpListenFailed: it cannot listen there.
    """
    host, _, port = address.rpartition(":")
    try:
        server = _Server((host.strip("[]"), int(port)), paths)
    except OSError as error:
        raise HttpListenFailed(
            f"JOBSVC_HTTP_LISTEN: cannot listen on {address}: {error.strerror or error}"
        ) from None
    thread = threading.Thread(
        target=server.serve_forever, args=(0.1,), name="http listener", daemon=True
    )
    with server:
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
