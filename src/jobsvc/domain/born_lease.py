"""Jobs that are born leased: the statement that creates them gives them to a worker. Pure."""

from datetime import datetime, timedelta

from jobsvc.domain.job import JobState, JobStatus, NewJob, NewStatus
from jobsvc.domain.lease import Delivery, LeasedJob, LeaseTerms, NewLease
from jobsvc.domain.retry import RetryPolicy


def may_be_born_leased(new: NewJob) -> bool:
    """Whether a job that is created now may begin now. One with a unique key is written in a
    transaction, which may wait, and one with a schedule waits for its time."""
    options = new.options
    return (
        new.unique_key is None
        and options.schedule_time is None
        and options.schedule_delay_seconds is None
    )


def born_leased_status(new: NewJob, lease: NewLease, start_time: datetime) -> NewStatus:
    """The status of the job: what a read would say."""
    slot = lease.slot
    status = JobStatus(
        state=JobState.PROCESSING,
        version=2,
        attempt=1,
        update_time=start_time,
        start_time=start_time,
        worker_id=slot.worker_id,
        lease_expire_time=start_time
        + timedelta(microseconds=round(slot.duration_seconds * 1_000_000)),
    )
    return NewStatus(new.id, new.options.queue, status, start_time)


def born_leased_job(
    new: NewJob, lease: NewLease, create_time: datetime, start_time: datetime, now: float
) -> LeasedJob:
    """The job as its worker gets it: what `records.leased_jobs_from` would read at the time `now`
    (of `time.monotonic`)."""
    options, policy, slot = new.options, new.options.run_policy, lease.slot
    # Resolved: `JobOptions` leaves open only what is OPTIONAL.
    assert policy.max_attempts is not None
    assert policy.initial_backoff_seconds is not None
    assert policy.max_backoff_seconds is not None
    assert policy.backoff_multiplier is not None
    assert policy.attempt_timeout_seconds is not None
    timeout_seconds = policy.attempt_timeout_seconds
    expire_time = options.expires_at(create_time)
    if expire_time is not None:
        timeout_seconds = min(timeout_seconds, (expire_time - start_time).total_seconds())
    terms = LeaseTerms(
        queue=options.queue,
        worker_id=slot.worker_id,
        attempt=1,
        retry=RetryPolicy(
            policy.max_attempts,
            policy.initial_backoff_seconds,
            policy.max_backoff_seconds,
            policy.backoff_multiplier,
        ),
        cancel_requested=False,
        retention_seconds=policy.retention_seconds,
        output_schema_id=options.output_schema_id,
        traceparent=new.traceparent,
        tracestate=new.tracestate,
        lease_time=now,
    )
    delivery = Delivery(
        terms=terms,
        duration_seconds=slot.duration_seconds,
        attempt_timeout_seconds=timeout_seconds,
        labels=options.labels,
        owner_service=new.owner.service,
        owner_user=new.owner.user_id,
        has_session=new.owner.session_hash is not None,
        previous_error=None,
    )
    return LeasedJob(lease.id, create_time, new.input, delivery)
