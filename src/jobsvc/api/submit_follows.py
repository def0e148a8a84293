"""The jobs that one stream of Submit follows: each has the road of StreamJobStatus."""

from collections.abc import Iterable, Sequence

from jobsvc.api.auth import reads_jobs, sees_payloads
from jobsvc.api.status_writer import StatusWriter
from jobsvc.api.submit_outbox import SubmitOutbox
from jobsvc.domain.created_job import CreateResult
from jobsvc.domain.errors import (
    JobNotFound,
    JobsvcError,
    RoleRequired,
    ServerDraining,
    StreamLimit,
)
from jobsvc.domain.identity import PAYLOADS_VIEWER, VIEWER
from jobsvc.domain.owner import Owner
from jobsvc.jobs.followers import Follower, Hub
from jobsvc.jobs.read import JobReader, check_visible
from jobsvc.v1 import job_service_pb2 as pb

#: Jobs that one stream follows.
MAX_FOLLOWED = 10_000
#: Jobs whose status is read in one go.
_READ_IDS = 100


class SubmitFollows:
    """Joins and leaves the hub, and adds updates and failures to the outbox."""

    def __init__(
        self, reader: JobReader, hub: Hub, follower: Follower, caller: Owner, outbox: SubmitOutbox
    ) -> None:
        self._reader = reader
        self._hub = hub
        self._follower = follower
        self._caller = caller
        self._outbox = outbox
        #: Followed jobs of which nothing may be told yet, and those of them that may have changed
        #: already: their result is not in the outbox, or their owner is being checked.
        self._held: set[str] = set()
        self._changed_early: set[str] = set()

    def before_creation(self, job_id: str) -> None:
        """Follows a job that is about to be written, if there is room: a change right after is not
        missed. Nothing is told of it before `after_creation` and `tell_held`."""
        if self._has_room and reads_jobs():
            self._held.add(job_id)
            self._hub.join(self._follower, (job_id,), version=1)

    def after_creation(self, job_id: str, result: CreateResult | Exception) -> None:
        """Follows the job of a result; `job_id` is the one that it has if it is new."""
        joined = job_id in self._held
        self._held.discard(job_id)
        job = None if isinstance(result, Exception) else result.job
        if joined and (job is None or job.id != job_id):
            self._hub.leave(self._follower, (job_id,))
        if job is None or job.id in self._follower.seen or (joined and job.id == job_id):
            return
        # Its result says nothing of its output.
        if self._join([job.id]):
            self._follower.mark(job.id)

    def tell_held(self) -> None:
        """Lets what was held of jobs be told, whose results are in the outbox now."""
        for job_id in self._changed_early - self._held:
            self._changed_early.discard(job_id)
            self._follower.look_again(job_id)

    async def follow(self, job_ids: Sequence[str]) -> None:
        """Follows jobs from now on, and has their status told."""
        for start in range(0, len(job_ids), _READ_IDS):
            await self._follow(job_ids[start : start + _READ_IDS])

    async def _follow(self, job_ids: Sequence[str]) -> None:
        # Before they are read: a change in between is then read again.
        new = self._join(dict.fromkeys(job_ids))
        self._held.update(new)
        jobs = await self._reader.read_statuses(new, False)
        self._held.difference_update(new)
        self._changed_early.difference_update(new)  # They are about to be marked.
        for job_id in new:
            try:
                check_visible(jobs, [job_id], self._caller)
            except JobsvcError as error:
                self._hub.leave(self._follower, (job_id,))
                self._outbox.add_failure(job_id, error)
            else:
                self._follower.mark(job_id)

    def leave(self, job_ids: Iterable[str]) -> None:
        """Follows jobs no longer."""
        self._hub.leave(self._follower, job_ids)

    def _join(self, job_ids: Iterable[str]) -> list[str]:
        """Follows jobs, and returns those that are new; those without room are follow failures."""
        new = []
        for job_id in job_ids:
            if job_id in self._follower.seen:
                continue
            if not reads_jobs():
                self._outbox.add_failure(job_id, RoleRequired([VIEWER, PAYLOADS_VIEWER]))
            elif self._has_room:
                self._hub.join(self._follower, (job_id,))
                new.append(job_id)
            else:
                text = f"a stream follows {MAX_FOLLOWED} jobs at most"
                self._outbox.add_failure(job_id, StreamLimit(text, "jobs of a stream"))
        return new

    @property
    def _has_room(self) -> bool:
        return len(self._follower.seen) < MAX_FOLLOWED

    async def run(self, payload_encoding: int) -> None:
        """Adds the status of jobs that have changed, until the server drains."""
        writer = StatusWriter(
            self._reader, self._follower, sees_payloads(), payload_encoding, self._send
        )
        try:
            while True:
                changed = await self._follower.woken()
                self._changed_early.update(self._held.intersection(changed))
                job_ids = [job_id for job_id in changed if job_id not in self._held]
                await writer.write_changed(job_ids)
                for job_id in job_ids:
                    if self._hub.leave_unless_seen(self._follower, job_id):
                        self._outbox.add_failure(job_id, JobNotFound(job_id))
        except ServerDraining:
            self._outbox.drain()
        finally:
            writer.charge.close()

    async def _send(self, update: pb.JobUpdate) -> None:
        if update.job_id not in self._follower.seen:  # It has ended.
            self._hub.leave(self._follower, (update.job_id,))
        await self._outbox.add_update(update)
