"""Backends that answer as Jaeger and Tempo do, over HTTP, with given spans."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from jobsvc.telemetry import MESSAGE_ID
from jobsvc.tracing.span import Span
from tests.tracing.support.otlp import otlp_json, protobuf_json

#: Status and body.
Reply = tuple[int, str]
#: Takes path and query.
Answer = Callable[[str, dict[str, str]], Reply]
_NOT_FOUND = (404, "404 page not found\n")
_SEARCH_SECONDS = 7 * 86_400


@contextmanager
def backend(answer: Answer) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serves at a URL, and notes the headers of requests."""
    headers: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append({name.lower(): value for name, value in self.headers.items()})
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, body = answer(url.path, query)
            self.send_response(status)
            if status == http.HTTPStatus.FOUND:
                self.send_header("Location", body)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", headers
        finally:
            server.shutdown()
            thread.join()


def jaeger(spans: Sequence[Span], others: Sequence[str] = ()) -> Answer:
    """Jaeger 2: any other path is its page. `others` are services besides."""

    def answer(path: str, query: dict[str, str]) -> Reply:
        if path == "/api/services":
            names = [*others, *dict.fromkeys(span.service for span in spans)]
            return 200, json.dumps({"data": names, "total": len(names), "errors": None})
        if path == "/api/traces":
            found = [
                span
                for span in spans
                if span.service == query["service"]
                and json.loads(query["tags"]).items() <= span.attributes.items()
                and int(query["start"]) <= span.start_ns // 1000 <= int(query["end"])
            ]
            ids = dict.fromkeys(span.trace_id for span in found)
            data = [{"traceID": id, "spans": [], "processes": {}} for id in ids]
            return 200, json.dumps({"data": data, "total": 0, "limit": 0, "errors": None})
        if path.startswith("/api/v3/traces/"):
            found = [span for span in spans if path.endswith(span.trace_id)]
            if found:
                return 200, f'{{"result":{{"resourceSpans":{otlp_json(found)}}}}}'
            error = {"httpCode": 404, "message": "No traces found"}
            return 404, json.dumps({"error": error})
        return 200, "<!doctype html>"

    return answer


def tempo(spans: Sequence[Span], has_second_api: bool = True) -> Answer:
    """Tempo: it searches a week at most."""

    def answer(path: str, query: dict[str, str]) -> Reply:
        if path == "/api/search":
            begin, end = int(query["start"]), int(query["end"])
            if end - begin > _SEARCH_SECONDS:
                return 400, "range specified by start and end exceeds 168h0m0s"
            found = [
                span
                for span in spans
                if query["q"] == f'{{ span.{MESSAGE_ID} = "{span.attributes.get(MESSAGE_ID)}" }}'
                and begin <= span.start_ns // 1_000_000_000 <= end
            ]
            ids = dict.fromkeys(span.trace_id.lstrip("0") for span in found)
            traces = [{"traceID": id, "rootServiceName": "caller"} for id in ids]
            return 200, json.dumps({"traces": traces, "metrics": {}})
        for prefix, form, is_there in (
            (
                "/api/v2/traces/",
                '{{"trace":{{"resourceSpans":{}}},"metrics":{{}}}}',
                has_second_api,
            ),
            ("/api/traces/", '{{"batches":{}}}', True),
        ):
            found = [s for s in spans if path == prefix + s.trace_id]
            if is_there and found:
                return 200, form.format(protobuf_json(found))
        return _NOT_FOUND

    return answer
