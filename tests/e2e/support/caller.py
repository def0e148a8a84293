"""A caller that creates and follows jobs, and notes everything it is told."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from jobsvc.client import AsyncClient, CallFailed, Job, JobStateConflict
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.e2e.support.history import Close, Create, History, Result, Update

#: Longer than any job takes here; one that has not ended by then never will.
FOLLOW_SECONDS = 60.0
_ENDED = 3
_TEXT = payload_pb2.PAYLOAD_ENCODING_JSON_TEXT
_numbers = itertools.count(1)
#: A stream notices at once that the server is back.
_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
]


class Caller:
    """Creates by the client library; follows on plain streams, where nothing hides a repetition."""

    def __init__(
        self,
        target: str,
        history: History,
        follow_seconds: float = FOLLOW_SECONDS,
        client: AsyncClient | None = None,
    ) -> None:
        self.client = client or AsyncClient(target)
        self._target = target
        self._history = history
        self._follow_seconds = follow_seconds
        #: Statuses with which the jobs were seen to end.
        self.ended: dict[str, pb.JobUpdate] = {}

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        self._channel = aio.insecure_channel(self._target, options=_OPTIONS)
        self._jobs = JobServiceStub(self._channel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.close()
        await self.client.__aexit__(kind, error, traceback)

    async def create(self, queue: str, input_: dict[str, Any] | None = None, **options: Any) -> str:
        """Creates a job; says the same again, by the same request id, until it returns."""
        request_id = str(uuid4())
        while True:
            try:
                job = await self.client.create(
                    queue, input_ or {}, request_id=request_id, **options
                )
            except CallFailed as failure:
                unknown = failure.transient
                result: Result = "unknown" if unknown else "fail"
                self._history.note(Create(request_id=request_id, result=result))
                if not unknown:
                    raise
            else:
                self._history.note(
                    Create(request_id=request_id, result="ok", job_id=job.id, time=time.time())
                )
                return job.id

    async def cancel(self, job_id: str) -> str:
        """Cancels a job until an answer comes: its state then, or `""` if it had ended before."""
        while True:
            try:
                job = await self.client.cancel(job_id, "enough")
            except JobStateConflict:
                return ""
            except CallFailed as failure:
                if not failure.transient:
                    raise
                continue
            self._note(job)
            return job.status.state

    async def follow(self, job_ids: Iterable[str]) -> None:
        """Follows jobs over any number of streams, until each has been seen to end."""
        left = list(job_ids)
        async with asyncio.timeout(self._follow_seconds):
            while left := [job_id for job_id in left if job_id not in self.ended]:
                code, reason = await self._stream(left)
                if code is not grpc.StatusCode.OK:
                    assert code is grpc.StatusCode.UNAVAILABLE, (code, reason)
                    await asyncio.sleep(0.1)  # Between two tries.

    async def _stream(self, job_ids: Sequence[str]) -> tuple[grpc.StatusCode, str]:
        number = next(_numbers)
        call = self._jobs.StreamJobStatus(
            pb.StreamJobStatusRequest(job_ids=job_ids, payload_encoding=_TEXT)
        )
        code, reason = grpc.StatusCode.OK, ""
        try:
            async for response in call:
                if response.HasField("update"):
                    self._saw(number, response.update)
        except aio.AioRpcError as error:
            code, reason = error.code(), reason_of(error)
        finally:
            call.cancel()
        self._history.note(
            Close(stream=number, job_ids=list(job_ids), code=code.name, reason=reason)
        )
        return code, reason

    def _saw(self, stream: int, update: pb.JobUpdate) -> None:
        status = update.status
        self._history.note(
            Update(
                stream=stream,
                job_id=update.job_id,
                version=status.version,
                state=status.state,
                output=status.output.json_text,
                time=time.time(),
            )
        )
        if status.state >= _ENDED:
            self.ended[update.job_id] = update

    async def read(self, job_ids: Iterable[str]) -> dict[str, Job]:
        """Gets each job as it is now."""

        async def get(job_id: str) -> tuple[str, Job]:
            async with bound:
                job = await self.client.get(job_id)
            self._note(job)
            return job_id, job

        bound = asyncio.Semaphore(32)
        return dict(await asyncio.gather(*map(get, job_ids)))

    def _note(self, job: Job) -> None:
        """Notes the status of a job that was read, or changed, by a call."""
        status = job.status
        self._history.note(
            Update(
                stream=0,
                job_id=job.id,
                version=status.version,
                state=job_pb2.JobState.Value(f"JOB_STATE_{status.state}"),
                output=status.output_json or "",
            )
        )

    def output(self, job_id: str) -> Any:
        """The output with which a job was seen to end."""
        return json.loads(self.ended[job_id].status.output.json_text or "{}")


def reason_of(error: aio.AioRpcError) -> str:
    """The reason that the server gave; empty when the error did not come from it."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""
