"""CreateJob over a real channel."""

from grpc import aio

from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub


async def test_created_job_is_pending(channel: aio.Channel) -> None:
    queues, jobs = QueueServiceStub(channel), JobServiceStub(channel)
    await queues.UpdateQueue(
        queue_pb.UpdateQueueRequest(queue=queue_pb.Queue(name="q"), allow_missing=True)
    )
    spec = job_pb2.JobSpec(queue="q", input=payload_pb2.Payload(json_text='{"a": 1}'))
    created = (await jobs.CreateJob(pb.CreateJobRequest(spec=spec))).job
    assert created.status.state == job_pb2.JOB_STATE_PENDING
    read = (await jobs.GetJob(pb.GetJobRequest(job_id=created.id))).job
    assert read.spec.input.json["a"] == 1
    assert read.status.wait_reason == job_pb2.WAIT_REASON_NO_WORKER
