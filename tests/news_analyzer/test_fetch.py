"""Fetching from a real server on loopback: final failures, passing ones, and limits."""

import gzip
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from jobsvc.worker import Fail, Retry
from workers.news_analyzer.policy import ReadPolicy
from workers.news_analyzer.web import fetch_document

PAGE = b"<html><body><p>Hello, world.</p></body></html>"
BOMB = gzip.compress(bytes(20_000_000))
POLICY = ReadPolicy(allow_private=True, max_bytes=100_000, read_seconds=15, fetch_seconds=30)


class Handler(BaseHTTPRequestHandler):
    """Answers by path; `over` ends what would go on for ever."""

    over: threading.Event
    paths: list[str]

    def do_GET(self) -> None:
        self.paths.append(self.path)
        kind, _, argument = self.path.strip("/").partition("/")
        getattr(self, f"answer_{kind}")(argument)

    def answer_page(self, _: str) -> None:
        self.answer(200, PAGE, {"Content-Type": "Text/HTML; charset=ISO-8859-2"})

    def answer_status(self, status: str) -> None:
        self.answer(int(status), b"no")

    def answer_busy(self, retry_after: str) -> None:
        self.answer(429, b"", {"Retry-After": retry_after})

    def answer_hop(self, target: str) -> None:
        self.answer(302, b"", {"Location": unquote(target)})

    def answer_large(self, _: str) -> None:
        self.answer(200, b"x" * (POLICY.max_bytes + 1))

    def answer_endless(self, _: str) -> None:
        self.start(200, {"Content-Type": "text/plain"})
        while not self.over.is_set():
            self.wfile.write(b"x" * 10_000)

    def answer_bomb(self, _: str) -> None:
        self.answer(200, BOMB, {"Content-Encoding": "gzip"})

    def answer_gzip(self, _: str) -> None:
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/html"}
        self.answer(200, gzip.compress(PAGE), headers)

    def answer_broken_gzip(self, _: str) -> None:
        self.answer(200, b"this is not gzip", {"Content-Encoding": "gzip"})

    def answer_silent(self, _: str) -> None:
        self.over.wait()

    def answer_dripping(self, _: str) -> None:
        # Every single wait is shorter than the limit on one read.
        while not self.over.wait(0.02):
            self.wfile.write(b"H")

    def answer_cut(self, _: str) -> None:
        self.start(200, {"Content-Length": "1000"})
        self.wfile.write(b"only this")

    def answer_garbage(self, _: str) -> None:
        self.wfile.write(b"\xff\xfe\x00 nothing of HTTP\r\n\r\n")

    def answer_host(self, _: str) -> None:
        self.answer(200, self.headers["Host"].encode(), {"Content-Type": "text/plain"})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.start(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        # The client hangs up on purpose in many of these tests.
        try:
            super().handle()
        except OSError:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def serve(context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    handler = type("Bound", (Handler,), {"over": threading.Event(), "paths": []})
    server = Server(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        scheme = "http" if context is None else "https"
        yield f"{scheme}://127.0.0.1:{server.server_port}", handler.paths
    finally:
        handler.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    yield from serve()


@pytest.fixture
def site(server: tuple[str, list[str]]) -> str:
    return server[0]


def proceed() -> None:
    """The check of a job that nobody cancels."""


def fail(address: str, policy: ReadPolicy = POLICY) -> Fail:
    with pytest.raises(Fail) as caught:
        fetch_document(address, policy, proceed)
    return caught.value


def retry(address: str, policy: ReadPolicy = POLICY) -> Retry:
    with pytest.raises(Retry) as caught:
        fetch_document(address, policy, proceed)
    return caught.value


def test_page_arrives_with_its_type_and_charset(site: str) -> None:
    document = fetch_document(f"{site}/page#part", POLICY, proceed)
    assert document.body == PAGE
    assert (document.content_type, document.charset) == ("text/html", "iso-8859-2")
    assert document.url == f"{site}/page"


def test_content_encoding_is_undone(site: str) -> None:
    assert fetch_document(f"{site}/gzip", POLICY, proceed).body == PAGE


def test_server_sees_the_host_that_was_asked_for(site: str) -> None:
    port = site.rpartition(":")[2]
    document = fetch_document(f"http://localhost:{port}/host", POLICY, proceed)
    assert document.body == f"localhost:{port}".encode()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "DOCUMENT_NOT_FOUND"),
        (410, "DOCUMENT_NOT_FOUND"),
        (401, "ACCESS_DENIED"),
        (403, "ACCESS_DENIED"),
        (451, "ACCESS_DENIED"),
        (400, "REQUEST_REJECTED"),
        (418, "REQUEST_REJECTED"),
        (304, "REQUEST_REJECTED"),
    ],
)
def test_status_is_final(site: str, status: int, reason: str) -> None:
    assert fail(f"{site}/status/{status}").reason == reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (408, "SERVER_BUSY"),
        (425, "SERVER_BUSY"),
        (429, "SERVER_BUSY"),
        (500, "SERVER_UNAVAILABLE"),
        (503, "SERVER_UNAVAILABLE"),
    ],
)
def test_status_may_pass(site: str, status: int, reason: str) -> None:
    failure = retry(f"{site}/status/{status}")
    assert failure.reason == reason
    assert failure.delay_seconds is None


def test_retry_after_is_the_delay(site: str) -> None:
    assert retry(f"{site}/busy/7").delay_seconds == 7


def test_retry_after_is_capped(site: str) -> None:
    delay_seconds = retry(f"{site}/busy/86400").delay_seconds
    assert delay_seconds == POLICY.max_retry_delay_seconds


def test_redirects_are_followed(site: str) -> None:
    document = fetch_document(f"{site}/hop//hop//page", POLICY, proceed)
    assert document.url == f"{site}/page"


def test_redirect_loop_ends(server: tuple[str, list[str]]) -> None:
    site, paths = server
    assert fail(f"{site}/hop/./").reason == "TOO_MANY_REDIRECTS"
    assert len(paths) == POLICY.max_redirects + 1


def test_redirect_to_a_file_is_refused(site: str) -> None:
    assert fail(f"{site}/hop/file:///etc/hosts").reason == "SCHEME_NOT_ALLOWED"


def test_redirect_to_nonsense_is_refused(site: str) -> None:
    assert fail(f"{site}/hop/http://[").reason == "URL_INVALID"


def test_private_address_is_refused_unless_allowed(server: tuple[str, list[str]]) -> None:
    site, paths = server
    assert fail(f"{site}/page", ReadPolicy()).reason == "ADDRESS_NOT_ALLOWED"
    assert paths == []


@pytest.mark.parametrize("path", ["large", "endless", "bomb"])
def test_too_large_document_is_not_read_to_its_end(site: str, path: str) -> None:
    assert fail(f"{site}/{path}").reason == "TOO_LARGE"


def test_broken_content_encoding_is_final(site: str) -> None:
    assert fail(f"{site}/broken_gzip").reason == "UNSUPPORTED_CONTENT"


def test_silent_server_times_out(site: str) -> None:
    policy = ReadPolicy(allow_private=True, read_seconds=0.3, fetch_seconds=30)
    assert retry(f"{site}/silent", policy).reason == "FETCH_TIMEOUT"


def test_dripping_server_is_cut_at_the_deadline(site: str) -> None:
    policy = ReadPolicy(allow_private=True, read_seconds=5, fetch_seconds=0.3)
    assert retry(f"{site}/dripping", policy).reason == "FETCH_TIMEOUT"


@pytest.mark.parametrize("path", ["cut", "garbage"])
def test_broken_answer_may_pass(site: str, path: str) -> None:
    assert retry(f"{site}/{path}").reason == "CONNECTION_FAILED"


def test_refused_connection_may_pass() -> None:
    # Bound but not listening: nobody else can take the port meanwhile.
    server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.server_bind()
    try:
        failure = retry(f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.server_close()
    assert failure.reason == "CONNECTION_FAILED"


def test_cancelled_fetch_stops_at_the_next_piece(site: str) -> None:
    calls = iter(range(3))

    class Stopped(Exception):
        pass

    def stop_later() -> None:
        if next(calls, None) is None:
            raise Stopped

    policy = ReadPolicy(allow_private=True, max_bytes=10**12)
    with pytest.raises(Stopped):
        fetch_document(f"{site}/endless", policy, stop_later)


def test_certificate_nobody_vouches_for_is_final(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key -out cert"
    subprocess.run([openssl, *made.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    for site, _ in serve(context):
        assert fail(f"{site}/page").reason == "CERTIFICATE_INVALID"
