"""Jobs, statuses and updates, as a server sends them."""

from jobsvc.v1 import job_pb2, job_service_pb2

JOB_ID = "0198c0de-0000-7000-8000-000000000001"
OTHER_ID = "0198c0de-0000-7000-8000-000000000002"


def job(
    state: job_pb2.JobState.ValueType = job_pb2.JOB_STATE_PENDING,
    version: int = 1,
    job_id: str = JOB_ID,
    output: str | None = None,
) -> job_pb2.Job:
    """Returns a job as the server sends it."""
    return job_pb2.Job(
        id=job_id,
        spec=job_pb2.JobSpec(queue="news"),
        status=status(state, version, output),
    )


def status(
    state: job_pb2.JobState.ValueType, version: int, output: str | None = None
) -> job_pb2.JobStatus:
    """Returns a status as the server sends it."""
    message = job_pb2.JobStatus(state=state, version=version)
    if state >= job_pb2.JOB_STATE_COMPLETED:
        message.end_time.FromSeconds(1_700_000_000)
    if output is not None:
        message.output.json_text = output
    return message


def update(
    state: job_pb2.JobState.ValueType,
    version: int,
    job_id: str = JOB_ID,
    output: str | None = None,
) -> job_service_pb2.StreamJobStatusResponse:
    """Returns an update as the server sends it."""
    return job_service_pb2.StreamJobStatusResponse(
        update=job_service_pb2.JobUpdate(
            job_id=job_id, queue="news", status=status(state, version, output)
        )
    )
