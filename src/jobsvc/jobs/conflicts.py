"""Jobs with unique keys and request ids: in one transaction, each is created, or found because an
earlier call created it."""

from collections.abc import Container, Mapping, Sequence

import msgspec

from jobsvc.domain.created_job import Created, CreateResult, Existing
from jobsvc.domain.errors import DatabaseUnavailable, QueueNotFound, RequestIdReused, UniqueKeyTaken
from jobsvc.domain.job import Job, NewJob
from jobsvc.domain.job_request import JobRequest
from jobsvc.domain.owner import Owner, check_owner
from jobsvc.settings import Settings
from jobsvc.store.database import Connection
from jobsvc.store.jobs import KeyTaken
from jobsvc.store.store import Store
from jobsvc.store.upkeep import ExpiredJob

_MAX_TRIES = 5

#: A queue and a unique key of one of its jobs.
Key = tuple[str, str]


class Resolution(msgspec.Struct, frozen=True):
    """The result of each request, and the jobs that were failed because their time was over."""

    results: list[CreateResult]
    expired: Sequence[ExpiredJob]


async def create_or_find(
    store: Store,
    settings: Settings,
    requests: Sequence[JobRequest],
    new_jobs: Sequence[NewJob],
    owner: Owner,
    dry_run: bool = False,
) -> Resolution:
    """Creates all jobs or none, except those that exist already. A waiting job whose time is over
    keeps no key: it is failed first. `dry_run` writes nothing and returns the results that the call
    would have.

    Raises:
        RequestIdReused: a request id was used for another spec.
        UniqueKeyTaken: a unique key is held, and the request wants to fail then.
        JobNotOwned: an existing job is somebody else's.
        InvalidRequest: a job would expire before it may first run.
        DatabaseUnavailable: the jobs may or may not have been created.
    """
    for _ in range(_MAX_TRIES):
        try:
            async with store.database.transaction() as connection:
                holders, expired = await _key_holders(store, settings, connection, requests)
                results = await _create_or_find(
                    store, connection, requests, new_jobs, holders, owner
                )
                if dry_run:
                    raise _DryRunDone(results)
            return Resolution(results, expired)
        except _DryRunDone as done:
            return Resolution(done.results, ())
        except (KeyTaken, _ConflictGone):
            # Another call took a key, or the job in the way ended meanwhile.
            continue
    raise DatabaseUnavailable("other calls came in between every time; try again")


class _DryRunDone(Exception):
    """Rolls the transaction back, and carries its results."""

    def __init__(self, results: list[CreateResult]) -> None:
        super().__init__()
        self.results = results


class _ConflictGone(Exception):
    """The job that was in the way has ended or been removed before it could be read."""


async def _create_or_find(
    store: Store,
    connection: Connection,
    requests: Sequence[JobRequest],
    new_jobs: Sequence[NewJob],
    holders: Mapping[Key, Job],
    owner: Owner,
) -> list[CreateResult]:
    repeated = await _find_by_request_id(store, connection, rivals(requests, holders), owner)
    sorted_out = sort_out(requests, new_jobs, holders, owner, repeated)
    results: dict[int, CreateResult] = {**repeated, **sorted_out.existing}
    if sorted_out.to_write:
        to_write = {index: new_jobs[index] for index in sorted_out.to_write}
        results |= await _write_or_find(store, connection, requests, to_write, owner)
    for index, first in sorted_out.same_key_as.items():
        results[index] = Existing(results[first].job)
    return [results[index] for index in range(len(requests))]


async def _key_holders(
    store: Store, settings: Settings, connection: Connection, requests: Sequence[JobRequest]
) -> tuple[dict[Key, Job], Sequence[ExpiredJob]]:
    """The jobs that hold the keys of the requests, without free keys; and the jobs that held one
    though their time was over, which are failed by now."""
    keys = {key for request in requests if (key := _key(request)) is not None}
    found = await store.jobs.find_key_holders(keys, connection) if keys else {}
    overdue = [holder.job_id for holder in found.values() if holder.overdue]
    expired: Sequence[ExpiredJob] = ()
    if overdue:
        # One that is missing was ended or leased meanwhile; the write finds out whether its key is
        # free.
        expired = await store.upkeep.expire_named(
            overdue, settings.failed_retention_seconds, connection
        )
    holders = {key: holder.job_id for key, holder in found.items() if not holder.overdue}
    if not holders:
        return {}, expired
    jobs = await store.jobs.read(list(holders.values()), False, False, connection)
    if any(i not in jobs or jobs[i].status.state.ended for i in holders.values()):
        raise _ConflictGone
    return {key: jobs[job_id] for key, job_id in holders.items()}, expired


def rivals(requests: Sequence[JobRequest], holders: Mapping[Key, Job]) -> Mapping[int, JobRequest]:
    """Returns by index the requests with a request id whose key another job holds. Pure. One that
    repeats an earlier call has a job of its own, which has ended."""
    if not holders:
        return {}
    return {
        index: request
        for index, request in enumerate(requests)
        if request.request_id is not None
        and (key := _key(request)) is not None
        and (holder := holders.get(key)) is not None
        and not _same_request_id(request, holder.request_id)
    }


class SortedOut(msgspec.Struct, frozen=True):
    """Indexes of requests, each in one of three: its result is the holder of its key, or the result
    of an earlier request of the call (at that index), or its job must be written."""

    existing: dict[int, Existing]
    same_key_as: dict[int, int]
    to_write: list[int]


def sort_out(
    requests: Sequence[JobRequest],
    new_jobs: Sequence[NewJob],
    holders: Mapping[Key, Job],
    owner: Owner,
    repeated: Container[int] = (),
) -> SortedOut:
    """Decides by their unique keys which requests have a job already; those in `repeated` have one
    by their request id, and are left out. Pure.

    Raises:
        UniqueKeyTaken: a key is held, by a job or within the call, and the request wants to fail,
            or the job is one of another service.
        JobNotOwned: the holder is somebody else's.
    """
    sorted_out = SortedOut({}, {}, [])
    first_with: dict[Key, int] = {}
    for index, request in enumerate(requests):
        if index in repeated:
            continue
        key = _key(request)
        if key is not None:
            first = first_with.setdefault(key, index)
            if first != index and not _same_request_id(request, requests[first].request_id):
                _check_may_join(request, new_jobs[first].id)
                sorted_out.same_key_as[index] = first
                continue
            holder = holders.get(key)
            if holder is not None and not owner.knows_of(holder.owner):
                raise UniqueKeyTaken(request.unique_key or "", "", **request.error_metadata)
            # A holder with the same request id is this very call, repeated: found by that id.
            if holder is not None and not _same_request_id(request, holder.request_id):
                _check_may_join(request, holder.id)
                with request.marking_errors():
                    check_owner(owner, holder.owner, holder.id)
                sorted_out.existing[index] = Existing(holder)
                continue
        sorted_out.to_write.append(index)
    return sorted_out


async def _write_or_find(
    store: Store,
    connection: Connection,
    requests: Sequence[JobRequest],
    to_write: Mapping[int, NewJob],
    owner: Owner,
) -> dict[int, CreateResult]:
    """Writes jobs by the index of their request, or finds those whose request id is taken."""
    now, times = await store.jobs.create_all(connection, list(to_write.values()))
    written = zip(to_write.items(), times, strict=True)
    results: dict[int, CreateResult] = {
        index: Created(job, time) for (index, job), time in written if time is not None
    }
    passed_over = {index: requests[index] for index in to_write if index not in results}
    results |= await _find_by_request_id(store, connection, passed_over, owner)
    missing = {i: to_write[i].options.queue for i in passed_over if i not in results}
    queues = await store.queues.find_open(set(missing.values()), connection) if missing else ()
    for index, request in passed_over.items():
        if index not in results:
            with request.marking_errors():
                if missing[index] not in queues:
                    raise QueueNotFound(missing[index])
            raise _ConflictGone if to_write[index].options.can_begin(now) else request.cannot_begin
    return results


async def find_repeated(
    store: Store, requests: Sequence[JobRequest], owner: Owner
) -> dict[int, CreateResult]:
    """Returns by index the jobs that earlier calls created under the request ids of the requests.

    Raises:
        RequestIdReused: a request id was used for another spec.
        JobNotOwned: an existing job is somebody else's.
    """
    async with store.database.transaction() as connection:
        return await _find_by_request_id(store, connection, dict(enumerate(requests)), owner)


async def _find_by_request_id(
    store: Store, connection: Connection, requests: Mapping[int, JobRequest], owner: Owner
) -> dict[int, CreateResult]:
    """The jobs that earlier calls created under the request ids of these requests."""
    ids = {i: (owner.service, r.request_id) for i, r in requests.items() if r.request_id}
    if not ids:
        return {}
    job_ids = await store.jobs.find_requests(list(ids.values()), connection)
    found_ids = list(set(job_ids.values()))
    jobs = await store.jobs.read(found_ids, False, False, connection, emptied_too=True)
    found: dict[int, CreateResult] = {}
    for index, (_, request_id) in ids.items():
        job, request = jobs.get(job_ids.get(ids[index], "")), requests[index]
        if job is None:
            continue
        with request.marking_errors():
            check_owner(owner, job.owner, job.id)
            if job.request_digest != request.request_digest:
                raise RequestIdReused(request_id)
        found[index] = Existing(job)
    return found


def _key(request: JobRequest) -> Key | None:
    key = request.unique_key
    return None if key is None else (request.options.queue, key)


def _check_may_join(request: JobRequest, holder_id: str) -> None:
    if request.options.fail_if_taken:
        raise UniqueKeyTaken(request.unique_key or "", holder_id, **request.error_metadata)


def _same_request_id(request: JobRequest, request_id: str | None) -> bool:
    return request.request_id is not None and request.request_id == request_id
