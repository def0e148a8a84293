"""Jobs that others may stand in the way of: every conflict with an earlier one is resolved, in one
transaction, before anything is confirmed."""

from collections.abc import Sequence

from jobsvc.domain.created_job import Created, CreateResult, Existing
from jobsvc.domain.errors import DatabaseUnavailable, RequestIdReused, UniqueKeyTaken
from jobsvc.domain.job import Job, NewJob
from jobsvc.domain.job_request import JobRequest
from jobsvc.domain.owner import Owner, check_owner
from jobsvc.store.database import Connection
from jobsvc.store.jobs import KeyTaken
from jobsvc.store.store import Store

_TRIES = 5


class Placing:
    """Writes jobs with unique keys and request ids, all or none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def place(
        self,
        requests: Sequence[JobRequest],
        news: Sequence[NewJob],
        owner: Owner,
        keep: bool = True,
    ) -> list[CreateResult]:
        """Creates the jobs, or finds those that are there already; with `keep` False only says
        what that would bring.

        Raises:
            RequestIdReused: a request id was used for another spec.
            UniqueKeyTaken: a unique key is held, and the request wants to fail then.
            JobNotOwned: a job that is there is somebody else's.
            DatabaseUnavailable: they may or may not have been created.
        """
        for _ in range(_TRIES):
            try:
                return await self._try(requests, news, owner, keep)
            except _NotKept as done:
                return done.answers
            except (KeyTaken, _InBetween):
                # Another call took a key, or what stood in the way ended: look again.
                continue
        raise DatabaseUnavailable("other calls came in between every time; try again")

    async def _try(
        self, requests: Sequence[JobRequest], news: Sequence[NewJob], owner: Owner, keep: bool
    ) -> list[CreateResult]:
        answers: dict[int, CreateResult] = {}
        twins: dict[int, int] = {}
        first_of: dict[tuple[str, str], int] = {}
        async with self._store.database.transaction() as connection:
            keys = {
                index: (request.options.queue, request.unique_key)
                for index, request in enumerate(requests)
                if request.unique_key is not None
            }
            holders = await self._key_holders(set(keys.values()), connection) if keys else {}
            for index, key in keys.items():
                request, first = requests[index], first_of.setdefault(key, index)
                if first != index and not _same_call(requests[first], request):
                    if request.options.fail_if_taken:
                        raise UniqueKeyTaken(key[1], news[first].id, **request.place)
                    twins[index] = first
                elif key in holders and (found := _found(request, holders[key], owner)):
                    answers[index] = found
            todo = [i for i in range(len(requests)) if i not in answers and i not in twins]
            missing = []
            if todo:
                written = await self._store.jobs.create_all(connection, [news[i] for i in todo])
                for index, create_time in zip(todo, written, strict=True):
                    if create_time is None:
                        missing.append(index)
                    else:
                        answers[index] = Created(news[index], create_time)
            if missing:
                ids = {i: (owner.service, _request_id(requests[i])) for i in missing}
                made = await self._store.jobs.find_requests(list(ids.values()), connection)
                jobs = await self._store.jobs.read(
                    list(set(made.values())), False, False, connection
                )
                for index, request_id in ids.items():
                    job = jobs.get(made[request_id]) if request_id in made else None
                    if job is None:
                        raise _InBetween
                    with requests[index].placed():
                        check_owner(owner, job.owner, job.id)
                    if job.request_digest != requests[index].request_digest:
                        raise RequestIdReused(request_id[1], **requests[index].place)
                    answers[index] = Existing(job)
            for index, first in twins.items():
                answers[index] = Existing(answers[first].job)
            in_order = [answers[index] for index in range(len(requests))]
            if not keep:
                raise _NotKept(in_order)
        return in_order

    async def _key_holders(
        self, keys: set[tuple[str, str]], connection: Connection
    ) -> dict[tuple[str, str], Job]:
        """The jobs that hold these pairs of queue and unique key; free ones are missing."""
        holders = await self._store.jobs.find_key_holders(keys, connection)
        if not holders:
            return {}
        jobs = await self._store.jobs.read(list(holders.values()), False, False, connection)
        if any(i not in jobs or jobs[i].status.state.ended for i in holders.values()):
            raise _InBetween
        return {key: jobs[job_id] for key, job_id in holders.items()}


class _InBetween(Exception):
    """What stood in the way was gone when it was looked for."""


class _NotKept(Exception):
    """Rolls back what was placed for a preview, and carries its answers."""

    def __init__(self, answers: list[CreateResult]) -> None:
        super().__init__()
        self.answers = answers


def _found(request: JobRequest, holder: Job, owner: Owner) -> Existing | None:
    """The answer to a request whose unique key is held; None when that is by itself."""
    if request.request_id is not None and holder.request_id == request.request_id:
        return None  # This very call, repeated: found again by its request id.
    if request.options.fail_if_taken:
        raise UniqueKeyTaken(request.unique_key or "", holder.id, **request.place)
    with request.placed():
        check_owner(owner, holder.owner, holder.id)
    return Existing(holder)


def _same_call(one: JobRequest, other: JobRequest) -> bool:
    return one.request_id is not None and one.request_id == other.request_id


def _request_id(request: JobRequest) -> str:
    assert request.request_id is not None, "only a request id can be taken"
    return request.request_id
