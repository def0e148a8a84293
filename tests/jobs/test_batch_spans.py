"""The spans of a batch let other calls run in between."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.jobs.create import Creation
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

_OPTIONS = RequestedOptions("q", 0, None, None, None, RunPolicy(), fail_if_taken=False, labels={})
_JOBS = 40


@dataclass
class _Slow(SpanProcessor):
    """Takes a millisecond for each start and end of a span, and notes in which pass it was."""

    now: int = 0
    started: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    is_used: bool = True

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._take(self.started)

    def on_end(self, span: ReadableSpan) -> None:
        self._take(self.ended)

    def _take(self, passes: set[int]) -> None:
        if self.is_used:
            time.sleep(0.001)  # What a slow exporter takes.
            passes.add(self.now)

    async def count_passes(self) -> None:
        while True:
            await asyncio.sleep(0)  # a pass
            self.now += 1


@pytest.fixture
def spans() -> Iterator[_Slow]:
    """OpenTelemetry lets a provider be set only once."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    slow = _Slow()
    provider.add_span_processor(slow)
    yield slow
    slow.is_used = False


async def test_spans_of_a_batch_start_and_end_in_several_passes(
    store: Store, dsn: str, spans: _Slow
) -> None:
    hints = Hints(dsn, "test-server")
    creation = Creation(
        store,
        Catalog(store.queues),
        hints,
        lambda *_: None,
        Settings(),
        trace.get_tracer("test"),
    )
    requests = [JobRequest(_OPTIONS, None, {}) for _ in range(_JOBS)]
    counting = asyncio.create_task(spans.count_passes())
    results = await creation.create_all(requests, Owner())
    counting.cancel()
    assert len(results) == _JOBS
    assert len(spans.started) > 1
    assert len(spans.ended) > 1
