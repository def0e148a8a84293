"""Responses to callers that create jobs."""

from collections.abc import Iterator, Sequence

from jobsvc.api.convert.jobs import write_job
from jobsvc.api.convert.repeated_item import repeat_item
from jobsvc.domain.created_job import Created, CreateResult, Existing
from jobsvc.v1 import job_service_pb2 as pb


def created(result: CreateResult) -> pb.CreateJobResponse:
    """The job, as it was created or found."""
    response = pb.CreateJobResponse(existing=isinstance(result, Existing))
    write_job(response.job, result.job, full=False)
    return response


def previewed(result: CreateResult) -> pb.CreateJobResponse:
    """The job as it would be, without the fields that only a created job has."""
    response = created(result)
    for field in ("id", "etag", "create_time", "traceparent", "status"):
        response.job.ClearField(field)
    return response


def runs(results: Sequence[CreateResult]) -> Iterator[list[CreateResult]]:
    """The results in their order, in runs that differ only in the ids of new jobs. Most batches are
    a single run."""
    run: list[CreateResult] = []
    for result in results:
        if run and not differ_in_id_only(run[0], result):
            yield run
            run = []
        run.append(result)
    if run:
        yield run


def differ_in_id_only(one: CreateResult, other: CreateResult) -> bool:
    """Whether two new jobs have the same in all that a response says but their ids."""
    if not (isinstance(one, Created) and isinstance(other, Created)):
        return False
    return (
        one.new.options is other.new.options
        and one.new.owner == other.new.owner
        and one.new.unique_key == other.new.unique_key
        and one.new.traceparent == other.new.traceparent
        and one.create_time == other.create_time
    )


def write_run(response: pb.BatchCreateJobsResponse, run: Sequence[CreateResult]) -> int:
    """Appends the results of one of the `runs`, and returns how many bytes that adds."""
    first = pb.BatchCreateJobsResponse(responses=[created(run[0])])
    if len(run) == 1:
        response.MergeFrom(first)
        return first.ByteSize()
    ids = [result.new.id for result in run if isinstance(result, Created)]
    all_items = repeat_item(first.SerializeToString(), ids)
    response.MergeFromString(all_items)
    return len(all_items)


def shorten(response: pb.BatchCreateJobsResponse) -> None:
    """Leaves out specs, which the caller knows, and errors. Ids and states remain."""
    for item in response.responses:
        queue = item.job.spec.queue
        item.job.spec.Clear()
        item.job.spec.queue = queue
        item.job.status.ClearField("error")
