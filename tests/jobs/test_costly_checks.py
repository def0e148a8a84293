"""A check by a costly schema waits for its turn; others are done at once."""

import asyncio
import json
from dataclasses import replace

from opentelemetry import trace

from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.jobs.create import Creation
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

_OPTIONS = RequestedOptions("q", 0, None, None, None, RunPolicy(), fail_if_taken=False, labels={})
_PATTERNS = {"anyOf": [{"pattern": f"^[a-z]{{1,9}}{n}$"} for n in range(20)]}
_SCHEMA = json.dumps({"properties": {"a": {"items": _PATTERNS}}})


def _request(items: int) -> JobRequest:
    payload = {"a": ["abcdefgh19"] * items}
    return JobRequest(_OPTIONS, json.dumps(payload), payload)


async def test_costly_check_takes_a_turn_and_another_none(store: Store, dsn: str) -> None:
    await store.queues.update("q", True, lambda queue: replace(queue.policy, input_schema=_SCHEMA))
    tracer, hints = trace.get_tracer("test"), Hints(dsn, "test-server")
    creation = Creation(store, Catalog(store.queues), hints, lambda *_: None, Settings(), tracer)
    await creation.check([_request(1)], Owner())  # compiles the schema
    costly = asyncio.create_task(creation.check([_request(1500)], Owner()))
    cheap = asyncio.create_task(creation.check([_request(3)], Owner()))
    await asyncio.sleep(0)  # a pass, in which both have begun
    assert cheap.done()
    assert not costly.done()
    assert len(await costly) == 1
