"""Answers to who creates jobs."""

from collections.abc import Iterator, Sequence

from jobsvc.api.convert.copies import copies
from jobsvc.api.convert.jobs import write_job
from jobsvc.created import Answer, Found, Made
from jobsvc.v1 import job_service_pb2 as pb


def created(answer: Answer) -> pb.CreateJobResponse:
    """The job, as it was created or found."""
    response = pb.CreateJobResponse(existing=isinstance(answer, Found))
    write_job(response.job, answer.job, full=False)
    return response


def previewed(answer: Answer) -> pb.CreateJobResponse:
    """The job as it would be: without what only a created one has."""
    response = created(answer)
    for field in ("id", "etag", "create_time", "traceparent", "status"):
        response.job.ClearField(field)
    return response


def runs(answers: Sequence[Answer]) -> Iterator[list[Answer]]:
    """The answers in their order, in parts that differ in no more than the ids of new jobs. Most
    batches are a single one."""
    run: list[Answer] = []
    for answer in answers:
        if run and not _alike(run[0], answer):
            yield run
            run = []
        run.append(answer)
    if run:
        yield run


def _alike(one: Answer, other: Answer) -> bool:
    if not (isinstance(one, Made) and isinstance(other, Made)):
        return False
    return (
        one.new.options is other.new.options
        and one.new.unique_key == other.new.unique_key
        and one.new.traceparent == other.new.traceparent
        and one.create_time == other.create_time
    )


def write_run(response: pb.BatchCreateJobsResponse, run: Sequence[Answer]) -> int:
    """Appends the answers of one of the `runs`, and says how many bytes that adds."""
    one = pb.BatchCreateJobsResponse(responses=[created(run[0])])
    if len(run) == 1:
        response.MergeFrom(one)
        return one.ByteSize()
    ids = [answer.new.id for answer in run if isinstance(answer, Made)]
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
