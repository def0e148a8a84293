"""Who may see which job: each call, made by each kind of caller for a job of each kind of owner, is
held against `Owner.owns`. Calls that name a job ask that rule in code, lists and counts in SQL."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from grpc import aio

from jobsvc.domain.identity import ADMIN, ROLES
from jobsvc.domain.job_id import new_job_id
from jobsvc.domain.owner import Owner
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.identities import Metadata, authenticating, bearer
from tests.api.support.refusal import Refusal
from tests.api.support.refusal import refusal as refusal_of
from tests.support.issuer import Issuer

_SERVICES = ("shop", "bank")
#: Session and user of owners and callers: nothing, one's own, another's, both, crossed.
_NAMES = ("", "ann", "bob")
_OWNERS = [Owner(s, u, x.encode() or None) for s, u, x in product(_SERVICES, _NAMES, _NAMES)]
_CALLERS = [Owner(s, u, x.encode() or None) for s, u, x in product(("shop",), _NAMES, _NAMES)]
_ADMIN = Owner("root", sees_all=True)
_NOT_OWNED = (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
_NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
#: Calls of JobService that name jobs: every other field that they need, so that those who may make
#: the call change nothing by it.
_BY_ID: Mapping[str, Mapping[str, Any]] = {
    "GetJob": {},
    "WaitJob": {"timeout": {"seconds": 0}},
    "StreamJobStatus": {},
    "UpdateJob": {"etag": "0", "spec": {"priority": 1}, "update_mask": {"paths": ["priority"]}},
    "CancelJob": {"etag": "0"},
    "RetryJob": {"etag": "0"},
    "DeleteJob": {"etag": "0"},
}


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    return replace(authenticating(settings, tmp_path, issuer), session_key="k" * 32)


class Cast:
    """Callers, and a job of each owner."""

    def __init__(self, channel: aio.Channel, issuer: Issuer) -> None:
        self.stub: Any = JobServiceStub(channel)
        self._tokens = {
            service: issuer.token(service, tuple(r for r in ROLES if r != ADMIN))
            for service in _SERVICES
        } | {"root": issuer.token("root", (ADMIN,))}
        self.jobs: dict[str, Owner] = {}

    def metadata(self, caller: Owner) -> Metadata:
        """What a caller sends."""
        named = {"x-user-id": caller.user_id, "x-session-id": (caller.session_hash or b"").decode()}
        more = [(name, text) for name, text in named.items() if text]
        return bearer(self._tokens[caller.service], *more)

    async def create(self, owner: Owner, **fields: Any) -> str:
        """Creates a job as its owner."""
        request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"), **fields)
        created = await self.stub.CreateJob(request, metadata=self.metadata(owner))
        self.jobs[created.job.id] = owner
        return str(created.job.id)

    async def outcome(self, name: str, job_id: str, caller: Owner) -> Refusal | None:
        """How a call that names a job ends; None if it succeeds."""
        method = pb.DESCRIPTOR.services_by_name["JobService"].methods_by_name[name]
        request: Any = getattr(pb, f"{name}Request")(**_BY_ID[name])
        if method.input_type.fields_by_name.get("job_id"):
            request.job_id = job_id
        else:
            request.job_ids.append(job_id)
        call = getattr(self.stub, name)(request, metadata=self.metadata(caller))
        try:
            if method.server_streaming:
                await call.read()
                call.cancel()
            else:
                await call
        except aio.AioRpcError as error:
            return refusal_of(error)
        return None

    def seen_by(self, caller: Owner) -> set[str]:
        """The jobs that a caller may see by the rule in code."""
        return {job_id for job_id, owner in self.jobs.items() if caller.owns(owner)}


@pytest.fixture
async def cast(channel: aio.Channel, issuer: Issuer) -> Cast:
    queue = queue_pb.UpdateQueueRequest(queue=queue_pb.Queue(name="q"), allow_missing=True)
    admin = bearer(issuer.token("root", (ADMIN,)))
    await QueueServiceStub(channel).UpdateQueue(queue, metadata=admin)
    made = Cast(channel, issuer)
    for owner in _OWNERS:
        await made.create(owner)
    return made


def test_every_call_that_names_a_job_is_made() -> None:
    methods = pb.DESCRIPTOR.services_by_name["JobService"].methods_by_name
    by_id = {
        name
        for name, method in methods.items()
        if {"job_id", "job_ids"} & set(method.input_type.fields_by_name)
    }
    assert by_id == _BY_ID.keys()
    for name in ("UpdateJob", "CancelJob", "RetryJob", "DeleteJob"):
        field = methods[name].input_type.fields_by_name["etag"]
        assert field.type == FieldDescriptor.TYPE_STRING


@pytest.mark.parametrize("name", _BY_ID)
async def test_job_that_is_named_is_shown_to_whom_the_rule_says(cast: Cast, name: str) -> None:
    missing = new_job_id()
    for caller in (*_CALLERS, _ADMIN):
        refusals = set()
        for job_id, owner in cast.jobs.items():
            seen = await cast.outcome(name, job_id, caller)
            if caller.owns(owner):
                assert seen is None or seen.what not in (_NOT_OWNED, _NOT_FOUND), (caller, owner)
            else:
                assert seen is not None, (caller, owner)
                assert seen.what == _NOT_OWNED, (caller, owner)
                refusals.add(re.sub(job_id, "ID", str(seen)))
        # Whoever owns it, in whatever service, the answer is the same.
        assert len(refusals) == (not caller.sees_all)
        nothing = await cast.outcome(name, missing, caller)
        assert nothing is not None
        assert nothing.what == _NOT_FOUND


async def test_lists_counts_and_previews_show_what_the_rule_shows(cast: Cast) -> None:
    for caller in (*_CALLERS, _ADMIN):
        metadata = cast.metadata(caller)
        listed = await cast.stub.ListJobs(pb.ListJobsRequest(page_size=100), metadata=metadata)
        assert {job.id for job in listed.jobs} == cast.seen_by(caller), caller
        counted = await cast.stub.CountJobs(pb.CountJobsRequest(), metadata=metadata)
        assert counted.count == len(cast.seen_by(caller)), caller
        bulk = pb.BulkJobsRequest(filter=pb.JobFilter(), cancel=pb.BulkCancel(), validate_only=True)
        preview = await cast.stub.BulkJobs(bulk, metadata=metadata)
        # Of an operation the caller is an owner as others are: it may not touch everybody's jobs.
        touched = cast.seen_by(caller.as_owner)
        assert preview.matching_count == len(touched), caller
        assert {job.id for job in preview.sample} <= touched


async def test_watch_tells_of_new_jobs_as_the_rule_says(cast: Cast) -> None:
    for caller in (*_CALLERS[::2], _ADMIN):
        watch = cast.stub.WatchJobs(
            pb.WatchJobsRequest(filter=pb.JobFilter(queues=["q"]), changes_only=True),
            metadata=cast.metadata(caller),
        )
        while not (await watch.read()).HasField("synced"):
            pass
        new = {await cast.create(owner) for owner in _OWNERS}
        last = await cast.create(caller)
        told: set[str] = set()
        async with asyncio.timeout(60):
            while not told >= (new & cast.seen_by(caller)) | {last}:
                told.add((await watch.read()).update.job_id)
        watch.cancel()
        assert told - {last, ""} == new & cast.seen_by(caller), caller


async def test_request_ids_of_others_are_as_good_as_unused(cast: Cast) -> None:
    request_id = new_job_id()
    first = await cast.create(Owner("bank", "ann"), request_id=request_id)
    mine = await cast.create(Owner("shop", "bob"), request_id=request_id)
    assert mine != first
