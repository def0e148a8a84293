"""A check by a costly schema waits for its turn; others are done at once."""

import asyncio
import json
from dataclasses import replace

import msgspec
from opentelemetry import trace

from jobsvc.domain.job import JobState
from jobsvc.domain.job_id import new_job_ids
from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outcome import Finish, Success
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.jobs.job_checks import JobChecks
from jobsvc.jobs.settle import DecidedEnd, Report, Settlement
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from tests.support.samples import JOB_ID, leased_job

_OPTIONS = RequestedOptions("q", 0, None, None, None, RunPolicy(), fail_if_taken=False, labels={})
_PATTERNS = {"anyOf": [{"pattern": f"^[a-z]{{1,9}}{n}$"} for n in range(20)]}
_SCHEMA = json.dumps({"properties": {"a": {"items": _PATTERNS}}})


def _request(items: int) -> JobRequest:
    payload = {"a": ["abcdefgh19"] * items}
    return JobRequest(_OPTIONS, json.dumps(payload), payload)


async def test_costly_check_takes_a_turn_and_another_none(store: Store) -> None:
    await store.queues.update("q", True, lambda queue: replace(queue.policy, input_schema=_SCHEMA))
    checks = JobChecks(Catalog(store.queues), Settings(), new_job_ids)
    await checks.check([_request(1)], Owner())  # compiles the schema
    costly = asyncio.create_task(checks.check([_request(1500)], Owner()))
    cheap = asyncio.create_task(checks.check([_request(3)], Owner()))
    await asyncio.sleep(0)  # a pass, in which both have begun
    assert cheap.done()
    assert not costly.done()
    assert len(await costly) == 1


async def test_costly_output_takes_a_turn_and_another_none(store: Store, dsn: str) -> None:
    """The decision alone: what it decides is written afterwards."""
    await store.queues.update("q", True, lambda queue: replace(queue.policy, output_schema=_SCHEMA))
    queue = (await store.queues.read(["q"]))["q"]
    catalog, settings = Catalog(store.queues), Settings()
    assert queue.output_schema_id is not None
    await catalog.schema(queue.output_schema_id)  # compiles it
    tracer, hints = trace.get_tracer("test"), Hints(dsn, "test-server")
    settlement = Settlement(store, catalog, hints, lambda *_: None, settings, tracer)
    terms = msgspec.structs.replace(
        leased_job(1).delivery.terms, output_schema_id=queue.output_schema_id
    )

    def deciding(items: int) -> asyncio.Task[dict[int, DecidedEnd]]:
        output = json.dumps({"a": ["abcdefgh19"] * items})
        report = Report(LeaseId.of(JOB_ID, 1), Success(output), terms)
        return asyncio.create_task(settlement._decide([report], {0: terms}, [None]))

    costly, cheap = deciding(1500), deciding(3)
    await asyncio.sleep(0)  # a pass, in which both have begun
    assert cheap.done()
    assert not costly.done()
    verdict = (await costly)[0].end.verdict
    assert isinstance(verdict, Finish)
    assert verdict.state is JobState.COMPLETED
