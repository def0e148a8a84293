"""The result of a request for a job. Pure."""

from datetime import datetime

import msgspec

from jobsvc.domain.job import Job, JobState, JobStatus, NewJob


class Created(msgspec.Struct, frozen=True):
    """This call has created the job; `leased` if in the hands of a worker."""

    new: NewJob
    create_time: datetime
    leased: bool = False

    @property
    def job(self) -> Job:
        """The job as it now is, without its input."""
        return fresh_job(self.new, self.create_time)


class Existing(msgspec.Struct, frozen=True):
    """An earlier call has created the job."""

    job: Job


CreateResult = Created | Existing


def fresh_job(new: NewJob, create_time: datetime) -> Job:
    """A job that has just been created, as a read would return it, without its input."""
    options = new.options
    return Job(
        id=new.id,
        queue=options.queue,
        owner=new.owner,
        input=None,
        priority=options.priority,
        schedule_time=options.scheduled_at(create_time),
        expire_time=options.expires_at(create_time),
        run_policy=options.run_policy,
        unique_key=new.unique_key,
        labels=options.labels,
        traceparent=new.traceparent,
        tracestate=new.tracestate,
        create_time=create_time,
        request_id=new.request_id,
        request_digest=new.request_digest,
        status=JobStatus(
            state=JobState.PENDING,
            version=1,
            attempt=0,
            update_time=create_time,
            run_time=options.run_time(create_time),
        ),
        read_time=create_time,
    )
