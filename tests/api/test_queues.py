"""UpdateQueue, GetQueue and ListQueues."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from jobsvc.v1 import job_pb2
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.bad_input import BAD_DURATIONS, BAD_NAMES
from tests.api.support.fixtures import Tables
from tests.api.support.full_queue import EVERYTHING, TEXT, schema
from tests.api.support.refusal import refused

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
_NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")


async def _update(
    queues: QueueServiceStub, mask: list[str] | None = None, allow_missing: bool = False, **f: Any
) -> pb.Queue:
    request = pb.UpdateQueueRequest(
        queue=pb.Queue(**({"name": "q"} | f)),
        update_mask=None if mask is None else FieldMask(paths=mask),
        allow_missing=allow_missing,
    )
    return (await queues.UpdateQueue(request)).queue


async def _get(queues: QueueServiceStub, name: str = "q") -> pb.Queue:
    return (await queues.GetQueue(pb.GetQueueRequest(name=name))).queue


async def test_queue_comes_back_as_it_was_declared(queues: QueueServiceStub) -> None:
    declared = await _update(queues, allow_missing=True, **EVERYTHING)
    assert declared == await _get(queues)
    assert declared.state == pb.QUEUE_STATE_ACTIVE
    assert declared.HasField("create_time")
    assert declared.etag
    for name, value in EVERYTHING.items():
        assert getattr(declared, name) == value, name


async def test_queue_with_defaults_leaves_them_unset(queues: QueueServiceStub) -> None:
    declared = await _update(queues, allow_missing=True)
    names = {field.name for field, _ in declared.ListFields()}
    assert names == {"name", "state", "create_time", "update_time", "etag"}


async def test_unknown_queue_is_not_found(queues: QueueServiceStub, tables: Tables) -> None:
    before = await tables()
    for call in (_update(queues, name="nowhere"), _get(queues, "nowhere")):
        refusal = await refused(call)
        assert refusal.what == _NOT_FOUND
        resource = refusal.details["ResourceInfo"]
        assert (resource.resource_type, resource.resource_name) == ("jobsvc.v1.Queue", "nowhere")
    assert await tables() == before


async def test_unset_mask_changes_what_is_set(queues: QueueServiceStub) -> None:
    await _update(queues, allow_missing=True, **EVERYTHING)
    changed = await _update(queues, lease_duration=Duration(seconds=5))
    assert changed.lease_duration == Duration(seconds=5)
    for name in EVERYTHING.keys() - {"lease_duration"}:
        assert getattr(changed, name) == EVERYTHING[name], name


async def test_mask_changes_what_it_names_and_unsets_what_is_unset(
    queues: QueueServiceStub,
) -> None:
    await _update(queues, allow_missing=True, **EVERYTHING)
    changed = await _update(
        queues,
        mask=["input_schema", "retry_policy", "retention"],
        retention=Duration(seconds=9),
        lease_duration=Duration(seconds=5),
    )
    assert changed.retention == Duration(seconds=9)
    assert changed.lease_duration == EVERYTHING["lease_duration"]
    assert not changed.HasField("input_schema")
    assert not changed.HasField("retry_policy")
    assert changed.output_schema == EVERYTHING["output_schema"]


async def test_star_replaces_everything(queues: QueueServiceStub) -> None:
    await _update(queues, allow_missing=True, **EVERYTHING)
    changed = await _update(queues, mask=["*"], retention=Duration(seconds=9))
    names = {field.name for field, _ in changed.ListFields()}
    assert names == {"name", "state", "create_time", "update_time", "etag", "retention"}


async def test_etag_changes_with_the_queue_only(queues: QueueServiceStub) -> None:
    first = await _update(queues, allow_missing=True, retention=Duration(seconds=9))
    same = await _update(queues, allow_missing=True, retention=Duration(seconds=9))
    assert same == first
    other = await _update(queues, retention=Duration(seconds=8))
    assert other.etag != first.etag
    assert other.create_time == first.create_time
    assert other.update_time.ToDatetime() > first.update_time.ToDatetime()


async def test_stale_etag_is_refused(queues: QueueServiceStub, tables: Tables) -> None:
    first = await _update(queues, allow_missing=True)
    second = await _update(queues, etag=first.etag, retention=Duration(seconds=1))
    before = await tables()
    refusal = await refused(_update(queues, etag=first.etag, retention=Duration(seconds=2)))
    assert refusal.what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    refusal = await refused(_update(queues, name="new", allow_missing=True, etag=second.etag + "0"))
    assert refusal.what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await tables() == before


async def test_of_changes_at_once_under_one_etag_one_wins(queues: QueueServiceStub) -> None:
    etag = (await _update(queues, allow_missing=True)).etag
    calls = (_update(queues, etag=etag, retention=Duration(seconds=1 + n)) for n in range(20))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    (winner,) = [answer for answer in answers if isinstance(answer, pb.Queue)]
    assert await _get(queues) == winner


async def test_queue_declared_at_once_is_made_once(queues: QueueServiceStub) -> None:
    fields = {"allow_missing": True, "input_schema": schema(TEXT)}
    declared = await asyncio.gather(*(_update(queues, **fields) for _ in range(20)))
    assert {queue.create_time.ToNanoseconds() for queue in declared} == {
        declared[0].create_time.ToNanoseconds()
    }


_POLICY = job_pb2.RetryPolicy
_BAD: list[tuple[dict[str, Any], str]] = [
    *(({"name": name}, "queue.name") for name in BAD_NAMES),
    ({"attempt_timeout": Duration(seconds=604_801)}, "queue.attempt_timeout"),
    ({"attempt_timeout": Duration()}, "queue.attempt_timeout"),
    ({"lease_duration": Duration(seconds=4)}, "queue.lease_duration"),
    ({"lease_duration": Duration(seconds=3601)}, "queue.lease_duration"),
    *(({"retention": d}, "queue.retention") for d in BAD_DURATIONS),
    *(({"start_within": d}, "queue.start_within") for d in (*BAD_DURATIONS, Duration())),
    ({"retry_policy": _POLICY(max_attempts=101)}, "queue.retry_policy.max_attempts"),
    ({"retry_policy": _POLICY(max_attempts=-1)}, "queue.retry_policy.max_attempts"),
    (
        {"retry_policy": _POLICY(backoff_multiplier=float("nan"))},
        "queue.retry_policy.backoff_multiplier",
    ),
    (
        {"retry_policy": _POLICY(max_backoff=Duration(seconds=86_401))},
        "queue.retry_policy.max_backoff",
    ),
    (
        {"retry_policy": _POLICY(initial_backoff=Duration(seconds=-1))},
        "queue.retry_policy.initial_backoff",
    ),
    *(({"mask": [path]}, "update_mask") for path in ("name", "state", "etag", "nothing", "")),
    ({"mask": ["retry_policy.max_attempts"]}, "update_mask"),
]


@pytest.mark.parametrize(
    ("fields", "path"), _BAD, ids=[f"{n}-{path}" for n, (_, path) in enumerate(_BAD)]
)
async def test_broken_rule_is_refused_by_its_path(
    queues: QueueServiceStub, tables: Tables, fields: dict[str, Any], path: str
) -> None:
    before = await tables()
    refusal = await refused(_update(queues, allow_missing=True, **fields))
    assert (refusal.what, refusal.fields) == (_INVALID, [path])
    assert await tables() == before


_TWICE = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(14)}
_NO_SCHEMAS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown type": ({"type": "thing"}, ".type"),
    "type of the wrong kind": ({"type": 7}, ".type"),
    "properties is a list": ({"properties": []}, ".properties"),
    "bad pattern": ({"properties": {"a": {"pattern": "("}}}, ".properties.a.pattern"),
    "look-around": ({"properties": {"a": {"pattern": "(?=b)"}}}, ".properties.a.pattern"),
    "external reference": ({"$ref": "https://example.com/schema.json"}, ""),
    "file reference": ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, ""),
    "dangling reference": ({"$ref": "#/$defs/none"}, ""),
    "too costly": ({"$ref": "#/$defs/d0", "$defs": _TWICE | {"d14": {}}}, ".$defs.d2"),
}


@pytest.mark.parametrize("field", ["input_schema", "output_schema"])
@pytest.mark.parametrize(("definition", "place"), _NO_SCHEMAS.values(), ids=_NO_SCHEMAS.keys())
async def test_what_is_no_schema_of_its_own_is_refused(
    queues: QueueServiceStub, tables: Tables, field: str, definition: dict[str, Any], place: str
) -> None:
    before = await tables()
    refusal = await refused(_update(queues, allow_missing=True, **{field: schema(definition)}))
    assert refusal.what == _INVALID
    assert refusal.fields == [f"queue.{field}.json_schema{place}"]
    assert await tables() == before


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_malformed_name_is_refused(queues: QueueServiceStub, name: str) -> None:
    refusal = await refused(_get(queues, name))
    assert (refusal.what, refusal.fields) == (_INVALID, ["name"])


async def _pages(queues: QueueServiceStub, size: int) -> list[list[str]]:
    pages: list[list[str]] = []
    token = ""
    while token or not pages:
        request = pb.ListQueuesRequest(page_size=size, page_token=token)
        page = await queues.ListQueues(request)
        pages.append([queue.name for queue in page.queues])
        token = page.next_page_token
    return pages


async def test_pages_hold_every_queue_once_by_name(queues: QueueServiceStub) -> None:
    assert await _pages(queues, 1) == [[]]
    names = [f"q{n:02}" for n in range(55)]
    await asyncio.gather(*(_update(queues, name=n, allow_missing=True) for n in reversed(names)))
    assert await _pages(queues, 2) == [names[n : n + 2] for n in range(0, 55, 2)]
    assert await _pages(queues, 55) == [names]
    # Default 50; more than 1000 counts as 1000.
    assert [len(page) for page in await _pages(queues, 0)] == [50, 5]
    assert [len(page) for page in await _pages(queues, 2**31 - 1)] == [55]


async def test_page_of_large_schemas_fits_into_a_message(queues: QueueServiceStub) -> None:
    large = schema({"description": "x" * 1_000_000})
    names = [f"q{n}" for n in range(4)]
    for name in names:
        await _update(
            queues, name=name, input_schema=large, output_schema=large, allow_missing=True
        )
    assert await _pages(queues, 5) == [[name] for name in names]
    await _update(queues, name="q1", mask=["output_schema"])
    assert await _pages(queues, 5) == [["q0", "q1"], ["q2"], ["q3"]]


async def test_schema_that_is_too_large_is_refused(
    queues: QueueServiceStub, tables: Tables
) -> None:
    before = await tables()
    large = schema({"description": "x" * 1024 * 1024})
    refusal = await refused(_update(queues, name="q", input_schema=large, allow_missing=True))
    assert (refusal.what, refusal.fields) == (_INVALID, ["queue.input_schema"])
    assert await tables() == before


@pytest.mark.parametrize("token", ["Q", "x" * 64, "'; DROP TABLE queue; --", "a\0", "é"])
async def test_foreign_page_token_is_refused(queues: QueueServiceStub, token: str) -> None:
    refusal = await refused(queues.ListQueues(pb.ListQueuesRequest(page_token=token)))
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason in ("PAGE_TOKEN_INVALID", "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"page_size": -1}, "page_size"), ({"page_token": "x" * 1025}, "page_token")],
)
async def test_page_out_of_range_is_refused(
    queues: QueueServiceStub, fields: dict[str, Any], path: str
) -> None:
    refusal = await refused(queues.ListQueues(pb.ListQueuesRequest(**fields)))
    assert (refusal.what, refusal.fields) == (_INVALID, [path])
