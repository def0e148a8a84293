"""A client as small as can be, that keeps every rule but the one which its argument names."""

import json
import os
import sys
import time
import uuid
from typing import Any

import grpc
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import error_details_pb2, status_pb2

from jobsvc.v1.job_pb2 import JobSpec, JobState, JobStatus
from jobsvc.v1.job_service_pb2 import CreateJobRequest, StreamJobStatusRequest
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PayloadEncoding

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
TARGET = os.environ["JOBSVC_TARGET"]
JSON_TEXT = PayloadEncoding.PAYLOAD_ENCODING_JSON_TEXT
HEARTBEAT_SECONDS = 5
SERVER_SAYS_NO = ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "ALREADY_EXISTS")


def judge(error: Any) -> tuple[bool, float]:
    """Whether the same call would fail again, and how long to wait before it."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    status = status_pb2.Status.FromString(details)
    code, reason, delay = error.code().name, "", 0.2
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            reason = info.reason
        if detail.Unpack(retry) and FAULT != "retry-info":
            delay = retry.retry_delay.ToNanoseconds() / 1e9
    if reason and FAULT != "code-in-details":
        code = next(each.name for each in grpc.StatusCode if each.value[0] == status.code)
    if FAULT == "broken-call" and code == "INTERNAL":
        return True, 0
    if FAULT == "in-doubt" and code == "DEADLINE_EXCEEDED":
        return True, 0
    if FAULT in ("refused", "not-found"):
        return False, 0.2
    return bool(reason) and code in SERVER_SAYS_NO, delay


def new_id() -> str:
    return str(uuid.uuid4()).upper() if FAULT == "request-id" else str(uuid.uuid4())


def create(jobs: JobServiceStub) -> str:
    request = CreateJobRequest(spec=JobSpec(queue="conformance"), request_id=new_id())
    while True:
        try:
            response = jobs.CreateJob(request, timeout=10)
        except grpc.RpcError as error:
            final, delay = judge(error)
            if final:
                raise SystemExit(1) from None
            time.sleep(delay)  # As the server asks.
            if FAULT == "same-request-id":
                request.request_id = new_id()
            if FAULT == "same-request-id:spec":
                request.spec.priority += 1
            continue
        if FAULT == "existing" and response.existing:
            raise SystemExit(1)
        job_id: str = response.job.id
        return job_id


def tell(status: JobStatus) -> None:
    version = status.version % 2**32 if FAULT == "large-version" else status.version
    name = dict(JobState.items())
    known = {number: text for text, number in name.items()}
    state = known.get(status.state, str(status.state))
    if FAULT == "failed" and state == "JOB_STATE_FAILED":
        state = "JOB_STATE_COMPLETED"
    if FAULT == "cancelled" and state == "JOB_STATE_CANCELLED":
        state = "JOB_STATE_FAILED"
    line: dict[str, Any] = {"version": version, "state": state}
    if status.state == JobState.JOB_STATE_COMPLETED:
        output = json.loads(status.output.json_text or "{}")
        if FAULT == "large-numbers":
            output = {k: v % 2**32 if isinstance(v, int) else v for k, v in output.items()}
        line["output"] = None if FAULT == "empty-output" and not output else output
    print(json.dumps(line), flush=True)


def has_ended(status: JobStatus) -> bool:
    if FAULT == "unknown-state" and status.state > JobState.JOB_STATE_CANCELLED:
        return True
    if FAULT == "end-time":
        return JobState.JOB_STATE_COMPLETED <= status.state <= JobState.JOB_STATE_CANCELLED
    return status.HasField("end_time")


def follow(jobs: JobServiceStub, job_id: str) -> int:
    seen = 0
    while True:
        request = StreamJobStatusRequest(job_ids=[job_id], payload_encoding=JSON_TEXT)
        request.heartbeat_interval.seconds = HEARTBEAT_SECONDS
        silence = None if FAULT == "silent-stream" else 3 * HEARTBEAT_SECONDS
        # The kit is silent only where it should be given up, so a deadline will do.
        stream = jobs.StreamJobStatus(request, timeout=silence)
        try:
            for response in stream:
                if FAULT == "unknown-events" and len(UnknownFieldSet(response)):
                    raise SystemExit(3)
                if FAULT == "follow" and response.HasField("heartbeat"):
                    raise SystemExit(3)
                if not response.HasField("update"):
                    continue
                status = response.update.status
                ended = has_ended(status)
                news = status.version != seen or ended
                if FAULT == "repeated-version":
                    news = True
                if FAULT == "repeated-end":
                    news = status.version != seen
                if FAULT == "lower-version":
                    news = status.version > seen
                if not news:
                    continue
                seen = status.version
                tell(status)
                if ended:
                    stream.cancel()
                    done = status.state == JobState.JOB_STATE_COMPLETED
                    return 0 if done or FAULT == "failed:code" else 1
        except grpc.RpcError as error:
            if FAULT == "broken-stream":
                raise SystemExit(3) from None
            final, delay = judge(error)
            error.__traceback__ = (
                None  # The call itself: in a cycle it may keep Python from ending.
            )
            if final:
                return 1
            time.sleep(delay)  # As the server asks.
            continue
        time.sleep(0.2)  # A stream that ended too early is opened again.


with grpc.insecure_channel(TARGET, [("grpc.enable_retries", 0)]) as channel:
    stub = JobServiceStub(channel)
    code = follow(stub, create(stub))
sys.exit(code)
