"""Submit: one caller creates and follows many jobs. Frames in, frames out; each job has the road of
CreateJob."""

import asyncio
import logging
from collections.abc import Sequence

from grpc import aio

from jobsvc.api.byte_budget import Charge, current_charge
from jobsvc.api.convert.submit_responses import Result
from jobsvc.api.guard import Context
from jobsvc.api.job_rates import JobRates
from jobsvc.api.submit_follows import MAX_FOLLOWED, SubmitFollows
from jobsvc.api.submit_outbox import MAX_UNCONFIRMED, SubmitOutbox
from jobsvc.api.submit_request import (
    MAX_ITEMS,
    JobsReader,
    decode_request,
    read_options,
)
from jobsvc.domain.errors import InvalidRequest, ServerDraining, Violation
from jobsvc.domain.job import NewJob
from jobsvc.domain.owner import Owner
from jobsvc.jobs.create import Asked, Creation
from jobsvc.jobs.followers import Hub
from jobsvc.jobs.read import JobReader
from jobsvc.settings import Settings
from jobsvc.v1 import job_service_pb2 as pb

log = logging.getLogger(__name__)

#: Transactions that the jobs of one stream have at a time, of those that need one of their own.
_MAX_ALONE = 8
_GOES = "the server is about to go; open another stream"


class SubmitStreams:
    """Serves all streams of a replica."""

    def __init__(
        self,
        creation: Creation,
        jobs: JobsReader,
        reader: JobReader,
        hub: Hub,
        job_rates: JobRates,
        settings: Settings,
    ) -> None:
        self._creation = creation
        self._job_rates = job_rates
        self._jobs = jobs
        self._reader = reader
        self._hub = hub
        self._heartbeat_seconds = settings.heartbeat_interval_seconds

    async def serve(self, context: Context, caller: Owner) -> None:
        """Serves one caller until either side ends the stream.

        Raises:
            InvalidRequest: a request breaks a rule of the contract.
            ServerDraining: the replica is about to exit.
        """
        with self._hub.follow(()) as follower:
            outbox = SubmitOutbox(_GOES)
            follows = SubmitFollows(self._reader, self._hub, follower, caller, outbox)
            stream = _Stream(self._creation, self._jobs, self._job_rates, follows, outbox, caller)
            await stream.serve(context, self._heartbeat_seconds)


class _Stream:
    def __init__(
        self,
        creation: Creation,
        jobs: JobsReader,
        job_rates: JobRates,
        follows: SubmitFollows,
        outbox: SubmitOutbox,
        caller: Owner,
    ) -> None:
        self._creation = creation
        self._jobs = jobs
        self._job_rates = job_rates
        self._follows = follows
        self._outbox = outbox
        self._caller = caller
        self._alone = asyncio.Semaphore(_MAX_ALONE)

    async def serve(self, context: Context, heartbeat_seconds: float) -> None:
        await context.write(
            pb.SubmitResponse(
                limits=pb.SubmitLimits(
                    max_unconfirmed_jobs=MAX_UNCONFIRMED,
                    max_request_jobs=MAX_ITEMS,
                    max_followed_jobs=MAX_FOLLOWED,
                )
            )
        )
        data = await context.read()
        if data is aio.EOF:
            return
        charge = current_charge.get()
        await charge.wait(len(data))
        first = await decode_request(data)
        options = read_options(first, heartbeat_seconds)
        first.ClearField("options")
        try:
            async with asyncio.TaskGroup() as tasks:
                follow = tasks.create_task(self._follows.run(options.payload_encoding))
                read = tasks.create_task(self._read(context, charge, first, len(data), tasks))
                del first, data
                await self._outbox.write(context, options.heartbeat_seconds)
                follow.cancel()
                read.cancel()
        except BaseExceptionGroup as group:
            # The first error ends the stream; the errors that it causes are logged.
            error, *rest = group.exceptions
            for other in rest:
                log.warning("stream of a caller: also %r", other)
            raise error from None
        if self._outbox.is_draining:
            raise ServerDraining(_GOES)

    async def _read(
        self,
        context: Context,
        charge: Charge,
        request: pb.SubmitRequest,
        size_bytes: int,
        tasks: asyncio.TaskGroup,
    ) -> None:
        while True:
            self._outbox.expect(len(request.jobs))
            await self._follows.follow(request.follow_job_ids)
            self._follows.leave(request.unfollow_job_ids)
            if request.jobs:
                tasks.create_task(self._create(request.jobs, charge, size_bytes))
            else:
                charge.give_back(size_bytes)
            del request
            # Requests that come meanwhile are read, so that their jobs share a commit.
            await self._outbox.until_room()
            data = await context.read()
            if data is aio.EOF or self._outbox.is_draining:
                self._outbox.end()
                return
            size_bytes = len(data)
            await charge.wait(size_bytes)
            request = await decode_request(data)
            del data
            if request.HasField("options"):
                raise InvalidRequest([Violation("options", "must come in the first request only")])

    async def _create(self, jobs: Sequence[pb.SubmitJob], charge: Charge, size_bytes: int) -> None:
        tags = [job.tag for job in jobs]
        followed = [job.follow for job in jobs]
        read = self._job_rates.take_each(await self._jobs.read(jobs, self._caller))
        del jobs
        checked = await self._creation.check_each(
            [each for each in read if isinstance(each, Asked)]
        )
        results: list[Result] = []
        asked: list[tuple[int, bool, Asked, NewJob]] = []
        others = iter(checked)
        for tag, follow, each in zip(tags, followed, read, strict=True):
            new = next(others) if isinstance(each, Asked) else each
            if isinstance(each, Asked) and isinstance(new, NewJob):
                asked.append((tag, follow, each, new))
                if follow:
                    self._follows.before_creation(new.id)
            else:
                assert isinstance(new, Exception)
                results.append((tag, new))
        del read, checked
        if asked:
            ends = await self._creation.create_each(
                [each for _, _, each, _ in asked], [new for _, _, _, new in asked], self._alone
            )
            for (tag, follow, _, new), end in zip(asked, ends, strict=True):
                results.append((tag, end))
                if follow:
                    self._follows.after_creation(new.id, end)
        charge.give_back(size_bytes)
        self._outbox.add_results(results)
        self._follows.tell_held()
