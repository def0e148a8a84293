"""A bulk operation as a peer sends it."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.v1 import job_service_pb2 as pb

OPERATION_ID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c"
RUNNING = pb.BULK_OPERATION_STATE_RUNNING
COMPLETED = pb.BULK_OPERATION_STATE_COMPLETED
STOPPED = pb.BULK_OPERATION_STATE_STOPPED


def operation(state: pb.BulkOperationState.ValueType = RUNNING, **fields: Any) -> pb.BulkOperation:
    """A retry of the failed jobs of one queue."""
    message = pb.BulkOperation(
        id=OPERATION_ID,
        filter=pb.JobFilter(queues=["news"], states=[4]),
        retry=pb.BulkRetry(extra_attempts=2),
        state=state,
        **({"version": 1, "create_time": Timestamp(seconds=1_700_000_000)} | fields),
    )
    if state != RUNNING:
        message.end_time.FromSeconds(1_700_000_100)
    return message
