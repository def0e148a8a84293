"""Answers to who creates jobs."""

from collections.abc import Iterator, Sequence

from jobsvc.api.convert.item_template import copies
from jobsvc.api.convert.jobs import write_job
from jobsvc.domain.created_job import Created, CreateResult, Existing
from jobsvc.v1 import job_service_pb2 as pb


def created(answer: CreateResult) -> pb.CreateJobResponse:
    """The job, as it was created or found."""
    response = pb.CreateJobResponse(existing=isinstance(answer, Existing))
    write_job(response.job, answer.job, full=False)
    return response


def previewed(answer: CreateResult) -> pb.CreateJobResponse:
    """The job as it would be: without what only a created one has."""
    response = created(answer)
    for field in ("id", "etag", "create_time", "traceparent", "status"):
        response.job.ClearField(field)
    return response


def runs(answers: Sequence[CreateResult]) -> Iterator[list[CreateResult]]:
    """The answers in their order, in parts that differ in no more than the ids of new jobs. Most
    batches are a single one."""
    run: list[CreateResult] = []
    for answer in answers:
        if run and not _alike(run[0], answer):
            yield run
            run = []
        run.append(answer)
    if run:
        yield run


def _alike(one: CreateResult, other: CreateResult) -> bool:
    if not (isinstance(one, Created) and isinstance(other, Created)):
        return False
    return (
        one.new.options is other.new.options
        and one.new.unique_key == other.new.unique_key
        and one.new.traceparent == other.new.traceparent
        and one.create_time == other.create_time
    )


def write_run(response: pb.BatchCreateJobsResponse, run: Sequence[CreateResult]) -> int:
    """Appends the answers of one of the `runs`, and says how many bytes that adds."""
    one = pb.BatchCreateJobsResponse(responses=[created(run[0])])
    if len(run) == 1:
        response.MergeFrom(one)
        return one.ByteSize()
    ids = [answer.new.id for answer in run if isinstance(answer, Created)]
    all_of_them = copies(one.SerializeToString(), ids)
    response.MergeFromString(all_of_them)
    return len(all_of_them)


def shorten(response: pb.BatchCreateJobsResponse) -> None:
    """Leaves out what the caller knows, and errors: ids and states are what it must learn."""
    for answer in response.responses:
        queue = answer.job.spec.queue
        answer.job.spec.Clear()
        answer.job.spec.queue = queue
        answer.job.status.ClearField("error")
