"""CreateJob: every rule of the contract, broken once; each refusal names the path and writes
nothing."""

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.bad_input import BAD_DURATIONS, BAD_NAMES
from tests.api.support.fixtures import QUEUE, Tables
from tests.api.support.refusal import refused

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
_KEYS = ("", "Team", "1a", "a b", "a" * 64, "a\0", "ä")
_TIMES = (
    Timestamp(seconds=-62_135_596_801),
    Timestamp(seconds=253_402_300_800),
    Timestamp(seconds=2**63 - 1),
    Timestamp(nanos=-1),
    Timestamp(nanos=1_000_000_000),
    # A Date, as protobuf for JavaScript sends it.
    Timestamp(),
)


def _policy(**fields: Any) -> dict[str, Any]:
    return {"retry_policy": job_pb2.RetryPolicy(**fields)}


_BAD_SPECS: list[tuple[dict[str, Any], str]] = [
    *(({"queue": name}, "spec.queue") for name in BAD_NAMES),
    *(({"priority": n}, "spec.priority") for n in (-101, 101, -(2**31), 2**31 - 1)),
    *(({"schedule_time": t}, "spec.schedule_time") for t in _TIMES),
    *(({"expire_time": t}, "spec.expire_time") for t in _TIMES),
    (
        {"schedule_time": Timestamp(seconds=9), "expire_time": Timestamp(seconds=9)},
        "spec.expire_time",
    ),
    (
        {"schedule_time": Timestamp(seconds=9), "expire_time": Timestamp(seconds=8)},
        "spec.expire_time",
    ),
    *(({"schedule_delay": d}, "spec.schedule_delay") for d in BAD_DURATIONS),
    (
        {"schedule_time": Timestamp(seconds=9), "schedule_delay": Duration()},
        "spec.schedule_delay",
    ),
    ({"ttl": Duration(seconds=9), "schedule_delay": Duration(seconds=9)}, "spec.ttl"),
    ({"ttl": Duration()}, "spec.ttl"),
    *(({"ttl": d}, "spec.ttl") for d in BAD_DURATIONS),
    *(({"retention": d}, "spec.retention") for d in BAD_DURATIONS),
    *(
        ({"start_within": d}, "spec.start_within")
        for d in (*BAD_DURATIONS, Duration(), Duration(nanos=999_999))
    ),
    *(
        ({"attempt_timeout": d}, "spec.attempt_timeout")
        for d in (
            *BAD_DURATIONS,
            Duration(),
            Duration(nanos=999_999_999),
            Duration(seconds=604_801),
        )
    ),
    *((_policy(max_attempts=n), "spec.retry_policy.max_attempts") for n in (-1, 101, 2**31 - 1)),
    *((_policy(initial_backoff=d), "spec.retry_policy.initial_backoff") for d in BAD_DURATIONS),
    *(
        (_policy(max_backoff=d), "spec.retry_policy.max_backoff")
        for d in (*BAD_DURATIONS, Duration(seconds=86_401))
    ),
    *(
        (_policy(backoff_multiplier=x), "spec.retry_policy.backoff_multiplier")
        for x in (-0.1, 10.1, float("nan"), float("inf"), float("-inf"))
    ),
    ({"unique_key": "k" * 256}, "spec.unique_key"),
    ({"unique_key": "a\0b"}, "spec.unique_key"),
    ({"unique_key": "a\nb"}, "spec.unique_key"),
    ({"unique_conflict_policy": 9}, "spec.unique_conflict_policy"),
    ({"unique_conflict_policy": -1}, "spec.unique_conflict_policy"),
    ({"labels": {f"k{n}": "" for n in range(33)}}, "spec.labels"),
    *(({"labels": {key: ""}}, f"spec.labels[{key!r}]") for key in _KEYS),
    ({"labels": {"a": "v" * 256}}, "spec.labels['a']"),
    ({"labels": {"a": "\0"}}, "spec.labels['a']"),
    ({"labels": {"a": "\x1b[2J"}}, "spec.labels['a']"),
]

_BAD_REQUEST_IDS = (
    "1",
    "{018f4e7a-0000-7000-8000-000000000000}",
    "018F4E7A-0000-7000-8000-000000000000",
    "018f4e7a000070008000000000000000",
    "018f4e7a-0000-7000-8000-000000000000\n",
    "'; DROP TABLE job; --",
    "9" * 1_000_000,
)


@pytest.mark.parametrize(
    ("spec", "path"), _BAD_SPECS, ids=[f"{n}-{path}" for n, (_, path) in enumerate(_BAD_SPECS)]
)
async def test_broken_rule_is_refused_by_its_path(
    jobs: JobServiceStub, queue: str, tables: Tables, spec: dict[str, Any], path: str
) -> None:
    before = await tables()
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(**({"queue": queue} | spec)))
    refusal = await refused(jobs.CreateJob(request))
    assert refusal.what == _INVALID
    assert refusal.fields == [path]
    assert refusal.message.startswith(f"{path}: ")
    assert await tables() == before


@pytest.mark.parametrize("request_id", _BAD_REQUEST_IDS, ids=range(len(_BAD_REQUEST_IDS)))
async def test_malformed_request_id_is_refused(
    jobs: JobServiceStub, queue: str, tables: Tables, request_id: str
) -> None:
    before = await tables()
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue), request_id=request_id)
    refusal = await refused(jobs.CreateJob(request))
    assert refusal.what == _INVALID
    assert refusal.fields == ["request_id"]
    assert await tables() == before


async def test_unset_spec_is_refused(jobs: JobServiceStub, queue: str, tables: Tables) -> None:
    before = await tables()
    refusal = await refused(jobs.CreateJob(pb.CreateJobRequest()))
    assert (refusal.what, refusal.fields) == (_INVALID, ["spec"])
    assert await tables() == before


async def test_all_defects_are_named_at_once(jobs: JobServiceStub, queue: str) -> None:
    spec = job_pb2.JobSpec(queue="Q", priority=101, unique_key="k" * 256)
    refusal = await refused(jobs.CreateJob(pb.CreateJobRequest(spec=spec, request_id="1")))
    assert refusal.fields == ["spec.queue", "spec.priority", "spec.unique_key", "request_id"]
    assert refusal.message.startswith("spec.queue: ")


async def test_defects_are_named_up_to_twenty(jobs: JobServiceStub, queue: str) -> None:
    spec = job_pb2.JobSpec(queue=QUEUE, labels={f"K{n:02}": "v" * 1000 for n in range(32)})
    refusal = await refused(jobs.CreateJob(pb.CreateJobRequest(spec=spec)))
    assert refusal.what == _INVALID
    assert len(refusal.fields) == 20


async def test_bounds_themselves_are_accepted(jobs: JobServiceStub, queue: str) -> None:
    edges: list[dict[str, Any]] = [
        {"priority": -100, "attempt_timeout": Duration(seconds=1)},
        {"priority": 100, "attempt_timeout": Duration(seconds=604_800)},
        {"schedule_time": Timestamp(seconds=-62_135_596_800)},
        {"schedule_time": Timestamp(seconds=253_402_300_799, nanos=999_999_999)},
        {"ttl": Duration(nanos=1000), "retention": Duration()},
        _policy(max_attempts=100, max_backoff=Duration(seconds=86_400), backoff_multiplier=10),
        _policy(max_attempts=1, max_backoff=Duration(), initial_backoff=Duration()),
        {"labels": {"a" * 63: "v" * 255} | {f"k{n}": "" for n in range(31)}},
        {"unique_key": "\U0001f511" * 255, "unique_conflict_policy": 2},
    ]
    for edge in edges:
        request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue, **edge))
        assert (await jobs.CreateJob(request)).job.id


@pytest.mark.parametrize("validate_only", [False, True])
async def test_unknown_queue_is_not_found(
    jobs: JobServiceStub, queue: str, tables: Tables, validate_only: bool
) -> None:
    before = await tables()
    request = pb.CreateJobRequest(
        spec=job_pb2.JobSpec(queue="nowhere"), validate_only=validate_only
    )
    refusal = await refused(jobs.CreateJob(request))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    assert refusal.metadata == {"queue": "nowhere"}
    resource = refusal.details["ResourceInfo"]
    assert (resource.resource_type, resource.resource_name) == ("jobsvc.v1.Queue", "nowhere")
    assert await tables() == before
