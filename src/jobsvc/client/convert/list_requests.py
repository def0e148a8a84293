"""Builds the requests that select jobs by a filter. Pure."""

from jobsvc.client.convert.run_policy import duration_message
from jobsvc.client.job import JobState
from jobsvc.client.job_filter import JobFilter
from jobsvc.v1 import job_pb2, job_service_pb2, payload_pb2


def list_request(
    wanted: JobFilter, full: bool, page_size: int, page_token: str
) -> job_service_pb2.ListJobsRequest:
    """Returns the request for a page of jobs.

    Raises:
        ValueError: a state is unknown, or `page_size` is no number of jobs.
    """
    return job_service_pb2.ListJobsRequest(
        filter=filter_message(wanted),
        page_size=page_size,
        page_token=page_token,
        view=job_pb2.JOB_VIEW_FULL if full else job_pb2.JOB_VIEW_BASIC,
        payload_encoding=payload_pb2.PAYLOAD_ENCODING_JSON_TEXT,
    )


def count_request(wanted: JobFilter) -> job_service_pb2.CountJobsRequest:
    """Returns the request that counts jobs.

    Raises:
        ValueError: a state is unknown.
    """
    return job_service_pb2.CountJobsRequest(filter=filter_message(wanted))


def watch_request(
    wanted: JobFilter, full: bool, changes_only: bool, heartbeat_seconds: float
) -> job_service_pb2.WatchJobsRequest:
    """Returns the request that watches jobs.

    Raises:
        ValueError: a state is unknown.
    """
    return job_service_pb2.WatchJobsRequest(
        filter=filter_message(wanted),
        view=job_pb2.JOB_VIEW_FULL if full else job_pb2.JOB_VIEW_BASIC,
        payload_encoding=payload_pb2.PAYLOAD_ENCODING_JSON_TEXT,
        heartbeat_interval=duration_message(heartbeat_seconds),
        changes_only=changes_only,
    )


def filter_message(wanted: JobFilter) -> job_service_pb2.JobFilter:
    """Returns a filter as it is sent.

    Raises:
        ValueError: a state is unknown.
    """
    message = job_service_pb2.JobFilter(
        queues=wanted.get("queues", ()),
        states=[
            job_pb2.JobState.Value(f"JOB_STATE_{JobState(s)}") for s in wanted.get("states", ())
        ],
        labels=wanted.get("labels", {}),
        own_session=wanted.get("own_session", False),
        own_user=wanted.get("own_user", False),
    )
    if "create_time_from" in wanted:
        message.create_time_from.FromDatetime(wanted["create_time_from"])
    if "create_time_until" in wanted:
        message.create_time_until.FromDatetime(wanted["create_time_until"])
    return message
