"""A caller and a worker on code that an older protobuf generated: `python older_client.py TARGET`.

Runs apart from this project, with the packages of that time. Prints a line for each thing done.
"""

import queue
import sys
import uuid

import google.protobuf
import grpc

from jobsvc.v1 import (
    job_pb2,
    job_service_pb2,
    job_service_pb2_grpc,
    queue_service_pb2,
    queue_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)

_SECONDS = 30


def main(target: str) -> None:
    print("with", grpc.__version__, google.protobuf.__version__)
    with grpc.insecure_channel(target) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        queues = queue_service_pb2_grpc.QueueServiceStub(channel)
        workers = worker_service_pb2_grpc.WorkerServiceStub(channel)
        made = queues.CreateQueue(
            queue_service_pb2.CreateQueueRequest(queue=queue_service_pb2.Queue(name="old")),
            timeout=_SECONDS,
        )
        print("queue", made.queue.name)
        first = create(jobs)
        unary(workers, first)
        second = create(jobs)
        stream(workers, second)
        follow(jobs, [first, second])
        listed = jobs.ListJobs(job_service_pb2.ListJobsRequest(), timeout=_SECONDS)
        print("listed", len(listed.jobs))
        refused(jobs)


def create(jobs: job_service_pb2_grpc.JobServiceStub) -> str:
    request = job_service_pb2.CreateJobRequest(request_id=str(uuid.uuid4()))
    request.spec.queue = "old"
    request.spec.input.json_text = '{"n": 1}'
    made = [jobs.CreateJob(request, timeout=_SECONDS) for _ in range(2)]
    print("created", made[0].existing, made[1].existing, made[0].job.id == made[1].job.id)
    return made[0].job.id


def unary(workers: worker_service_pb2_grpc.WorkerServiceStub, job_id: str) -> None:
    info = worker_service_pb2.WorkerInfo(worker_id="older-unary")
    request = worker_service_pb2.LeaseJobsRequest(worker=info, queues=["old"], max_jobs=1)
    [lease] = workers.LeaseJobs(request, timeout=_SECONDS).leases
    extend = worker_service_pb2.ExtendLeasesRequest()
    extend.extensions.add(lease_id=lease.lease_id)
    [status] = workers.ExtendLeases(extend, timeout=_SECONDS).leases
    report = worker_service_pb2.ReportOutcomesRequest()
    report.outcomes.add(lease_id=lease.lease_id).success.output.json_text = '{"by": "unary"}'
    [result] = workers.ReportOutcomes(report, timeout=_SECONDS).results
    held = worker_service_pb2.LeaseState.Name(status.state)
    print("unary", lease.job_id == job_id, held, result.status.code)


def stream(workers: worker_service_pb2_grpc.WorkerServiceStub, job_id: str) -> None:
    frames: queue.SimpleQueue[worker_service_pb2.WorkRequest | None] = queue.SimpleQueue()
    hello = worker_service_pb2.WorkRequest()
    hello.subscribe.worker.worker_id = "older-stream"
    hello.subscribe.window = 1
    hello.subscribe.queues.add(queue="old")
    frames.put(hello)
    done = False
    for frame in workers.Work(iter(frames.get, None), timeout=_SECONDS):
        kind = frame.WhichOneof("frame")
        if kind == "dispatch":
            [lease] = frame.dispatch.leases
            answer = worker_service_pb2.WorkRequest()
            answer.report_outcomes.succeeded_lease_ids.append(lease.lease_id)
            frames.put(answer)
            done = lease.job_id == job_id
        elif kind == "outcome_results":
            frames.put(None)  # Half-closes.
    print("stream", done)


def follow(jobs: job_service_pb2_grpc.JobServiceStub, job_ids: list[str]) -> None:
    request = job_service_pb2.StreamJobStatusRequest(job_ids=job_ids)
    last = {}
    for answer in jobs.StreamJobStatus(request, timeout=_SECONDS):
        if answer.WhichOneof("event") == "update":
            last[answer.update.job_id] = answer.update.status.state
    print("followed", *(job_pb2.JobState.Name(last[job_id]) for job_id in job_ids))


def refused(jobs: job_service_pb2_grpc.JobServiceStub) -> None:
    try:
        jobs.GetJob(job_service_pb2.GetJobRequest(job_id=str(uuid.uuid4())), timeout=_SECONDS)
    except grpc.RpcError as error:
        print("refused", error.code().name)


if __name__ == "__main__":
    main(sys.argv[1])
