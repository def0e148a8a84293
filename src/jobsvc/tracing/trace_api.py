"""Traces by the HTTP APIs of Jaeger and of Grafana Tempo, and of whatever speaks like one of them.

Jaeger: `/api/services`, `/api/traces` to search, `/api/v3/traces/ID`
(https://www.jaegertracing.io/docs/latest/architecture/apis/). Tempo: `/api/search`,
`/api/v2/traces/ID`, `/api/traces/ID` (https://grafana.com/docs/tempo/latest/api_docs/).
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from jobsvc.telemetry import MESSAGE_ID
from jobsvc.tracing.otlp_json import decode_traces
from jobsvc.tracing.span import Span

_SECONDS = 10.0
_MAX_BYTES = 64 << 20
_MAX_TRACES = 20
#: A job is named by the span that sends it, as soon as it is created. Clocks differ.
_AROUND = timedelta(hours=1)
#: Tempo searches no longer time than this, by default.
_LAST = timedelta(days=7)
_JAEGER_TRACES = ("/api/v3/traces/",)
#: From 2.7 on, and before.
_TEMPO_TRACES = ("/api/v2/traces/", "/api/traces/")
#: Of a server, unless OpenTelemetry's variables give it another name.
_SERVICE = "jobsvc"


class SourceUnusable(Exception):
    """The backend cannot be asked, or answers otherwise than Jaeger and Tempo do. The text is a
    line for the user."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    # Any: as the parent has it.
    def redirect_request(self, *_: Any) -> None:
        """Follows none: the headers are for the one that was named."""


class _Named(msgspec.Struct):
    id: str = msgspec.field(name="traceID")


class _JaegerTraces(msgspec.Struct):
    data: list[_Named] | None = None


class _JaegerServices(msgspec.Struct):
    data: list[str] | None


class _TempoTraces(msgspec.Struct):
    traces: list[_Named] = []


class TraceApi:
    """The backend at a URL, without the path that its API adds."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json", **headers}
        self._opener = urllib.request.build_opener(_NoRedirects)

    def find_trace(self, trace_id: str) -> list[Span]:
        """As `SpanSource`."""
        for path in _TEMPO_TRACES if self._services is None else _JAEGER_TRACES:
            answer = self._get(path + trace_id)
            if answer is None:
                continue
            try:
                found = {s.span_id: s for s in decode_traces(answer) if s.trace_id == trace_id}
            except ValueError as error:
                raise SourceUnusable(f"{self._url}{path}…: {error}") from None
            if found:
                return sorted(found.values(), key=lambda s: (s.start_ns, s.span_id))
        return []

    def find_trace_ids(self, job_id: str, created: datetime | None) -> list[str]:
        """As `SpanSource`. Spans are searched that began at about `created`; in the last week, if
        that is not known."""
        now = datetime.now(UTC)
        if created is None:
            begin, end = now - _LAST, now
        else:
            begin, end = created - _AROUND, created + _AROUND
        if self._services is None:
            return self._search_tempo(job_id, begin, end)
        for name in sorted(self._services, key=lambda name: not name.startswith(_SERVICE)):
            if found := self._search_jaeger(name, job_id, begin, end):
                return found
        return []

    @cached_property
    def _services(self) -> Sequence[str] | None:
        """The names of all services, if this is Jaeger. Tempo has no such path."""
        answer = self._get("/api/services")
        return None if answer is None else self._read(answer, _JaegerServices).data or []

    def _search_jaeger(
        self, service: str, job_id: str, begin: datetime, end: datetime
    ) -> list[str]:
        found = self._get(
            "/api/traces",
            service=service,
            tags=json.dumps({MESSAGE_ID: job_id}),
            start=f"{_seconds(begin)}000000",
            end=f"{_seconds(end)}000000",
            limit=f"{_MAX_TRACES}",
        )
        return _ids([] if found is None else self._read(found, _JaegerTraces).data or [])

    def _search_tempo(self, job_id: str, begin: datetime, end: datetime) -> list[str]:
        found = self._get(
            "/api/search",
            q=f"{{ span.{MESSAGE_ID} = {json.dumps(job_id)} }}",
            start=f"{_seconds(begin)}",
            end=f"{_seconds(end)}",
            limit=f"{_MAX_TRACES}",
        )
        if found is None:
            raise SourceUnusable(
                f"{self._url} has neither the API of Jaeger nor that of Tempo: name what comes"
                " before /api"
            )
        return _ids(self._read(found, _TempoTraces).traces)

    def _read(self, answer: bytes, kind: type[Any]) -> Any:  # Any: an instance of `kind`
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.MsgspecError as error:
            raise SourceUnusable(f"{self._url} answers otherwise than expected: {error}") from None

    def _get(self, path: str, **query: str) -> bytes | None:
        """The body that a path answers; None if there is nothing."""
        url = f"{self._url}{quote(path)}{'?' if query else ''}{urlencode(query)}"
        try:
            request = urllib.request.Request(url, headers=self._headers)
            with self._opener.open(request, timeout=_SECONDS) as response:
                body: bytes = response.read(_MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.HTTPStatus.NOT_FOUND:
                    return None
                text = error.read(300).decode(errors="replace")
            raise SourceUnusable(f"{url}: {error.code} {error.reason}: {text}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise SourceUnusable(f"{self._url}: {reason}") from None
        if len(body) > _MAX_BYTES:
            raise SourceUnusable(f"{url}: the answer has more than {_MAX_BYTES >> 20} MiB")
        return body


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _ids(traces: Sequence[_Named]) -> list[str]:
    """Both leave out zeros in front."""
    return list(dict.fromkeys(trace.id.lower().rjust(32, "0") for trace in traces))
