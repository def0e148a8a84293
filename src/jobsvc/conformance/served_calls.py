"""The server's end of the calls of a client, which the script of a point answers."""

import asyncio
import time
import uuid
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2
from grpc import aio

from jobsvc.conformance.payloads import JsonObject, spell
from jobsvc.conformance.refusal import Refusal
from jobsvc.conformance.unknown import UNKNOWN_FIELD
from jobsvc.v1 import job_service_pb2 as wire
from jobsvc.v1.job_pb2 import Job, JobError, JobState, JobStatus, StreamHeartbeat

#: Time of version 0.
_EPOCH_SECONDS = 1_600_000_000


class ServedCreation:
    """One call of CreateJob."""

    def __init__(self, request: wire.CreateJobRequest) -> None:
        self.request = request
        self.time = time.monotonic()
        self._answer: asyncio.Future[wire.CreateJobResponse | Refusal] = asyncio.Future()

    def refuse(self, refusal: Refusal) -> None:
        """Ends the call."""
        self._answer.set_result(refusal)

    def answer(self, existing: bool = False) -> str:
        """Answers with a new job, or one that an earlier call has created; returns its id."""
        job_id = str(uuid.uuid4())
        status = JobStatus(state=JobState.JOB_STATE_PENDING, version=1)
        job = Job(id=job_id, spec=self.request.spec, status=status)
        response = wire.CreateJobResponse(job=job, existing=existing)
        response.MergeFromString(UNKNOWN_FIELD)
        self._answer.set_result(response)
        return job_id

    async def serve(self, context: "aio.ServicerContext[Any, Any]") -> wire.CreateJobResponse:
        """Returns the answer, or ends the call."""
        answer = await self._answer
        if isinstance(answer, Refusal):
            await answer.end(context)
        return answer


class ServedFollowing:
    """One call of StreamJobStatus. `cancelled` is set when the client has ended it."""

    def __init__(
        self,
        request: wire.StreamJobStatusRequest,
        context: "aio.ServicerContext[Any, wire.StreamJobStatusResponse]",
    ) -> None:
        self.request = request
        self.opened_at = time.monotonic()
        self.cancelled = False
        self._context = context
        self._to_send: asyncio.Queue[wire.StreamJobStatusResponse | None] = asyncio.Queue()
        self._end: Refusal | None = None

    async def serve(self) -> None:
        """Passes messages until the stream ends."""
        try:
            while (response := await self._to_send.get()) is not None:
                await self._context.write(response)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        except aio.BaseError:  # the client is gone
            self.cancelled = True
            return
        if self._end is not None:
            await self._end.end(self._context)

    def update(
        self,
        state: str | int,
        version: int,
        *,
        ended: bool = False,
        output: JsonObject | None = None,
        error: str = "",
    ) -> None:
        """Sends a status; a `state` that is a number is one of a later contract."""
        status = JobStatus(
            version=version,
            attempt=1,
            # The same each time that the same status is told.
            update_time=Timestamp(seconds=_EPOCH_SECONDS + version),
        )
        # As bytes of field 1, which may have a number that the enum lacks.
        number = JobState.Value(f"JOB_STATE_{state}") if isinstance(state, str) else state
        status.MergeFromString(bytes((8, number)))
        if ended:
            status.end_time.CopyFrom(_now())
        if output is not None:
            payload = spell(output, self.request.payload_encoding)
            if payload is not None:
                status.output.CopyFrom(payload)
        if error:
            status.error.CopyFrom(JobError(code=code_pb2.INVALID_ARGUMENT, message=error))
        update = wire.JobUpdate(job_id=self.request.job_ids[0], queue="conformance", status=status)
        self.send(wire.StreamJobStatusResponse(update=update))

    def finish(self, version: int, output: JsonObject) -> None:
        """Sends the status of a job that COMPLETED, and ends the stream."""
        self.update("COMPLETED", version, ended=True, output=output)
        self.end()

    def synced(self) -> None:
        """Ends the first round."""
        self.send(wire.StreamJobStatusResponse(synced=wire.StreamSynced()))

    def heartbeat(self) -> None:
        """Sends a heartbeat."""
        beat = StreamHeartbeat(server_time=_now())
        self.send(wire.StreamJobStatusResponse(heartbeat=beat))

    def send_unknown(self) -> None:
        """Sends an event of a kind that no contract has yet."""
        response = wire.StreamJobStatusResponse()
        response.MergeFromString(UNKNOWN_FIELD)
        self.send(response)

    def send(self, response: wire.StreamJobStatusResponse) -> None:
        """Sends a message."""
        self._to_send.put_nowait(response)

    def end(self, refusal: Refusal | None = None) -> None:
        """Ends the stream once all is sent; with OK unless there is a refusal."""
        self._end = refusal
        self._to_send.put_nowait(None)


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now
