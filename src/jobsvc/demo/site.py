"""A web site for the demo: a page that works, one that fails at first, one that always fails."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Lock, Thread

ARTICLE = "/article.html"
#: 503 for the first request, then 200.
BUSY = "/busy.html"
#: Always 503.
BROKEN = "/broken.html"

_PAGES = {ARTICLE: "article.html", BUSY: "artikel.html"}


@contextmanager
def serve_site() -> Iterator[str]:
    """Serves on a free port of the loopback interface while the block runs; yields the base URL."""
    server = _Site()
    thread = Thread(target=server.serve_forever, args=(0.05,), name="demo site", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Site(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        folder = files("jobsvc.demo")
        self._pages = {path: folder.joinpath(name).read_bytes() for path, name in _PAGES.items()}
        self._visits: Counter[str] = Counter()
        self._lock = Lock()

    def respond(self, path: str) -> tuple[HTTPStatus, bytes]:
        """Returns status and body for one more request of `path`."""
        with self._lock:
            self._visits[path] += 1
            first = self._visits[path] == 1
        if path == BROKEN or (path == BUSY and first):
            return HTTPStatus.SERVICE_UNAVAILABLE, b"<p>Busy. Come back later.</p>"
        page = self._pages.get(path)
        if page is None:
            return HTTPStatus.NOT_FOUND, b"<p>No such page.</p>"
        return HTTPStatus.OK, page


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Site)
        status, body = self.server.respond(self.path)
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the terminal belongs to the demo."""
