"""Wakes the followers of jobs on this replica. Level-triggered: a follower learns only that a job
may have changed, and reads its status; one that reads late gets the latest status, once.

Where this replica committed the change, its new status may come along. It stands in for the read
that is due, is bounded in bytes, and is dropped when anything else is heard of the job."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from jobsvc.domain.errors import ServerDraining
from jobsvc.domain.job import NewStatus
from jobsvc.domain.status_news import is_later, is_news
from jobsvc.store.jobs import JobStore
from jobsvc.store.repeat import repeat

_MAX_POLL_IDS = 1000
#: What is known of changes and waits for followers, all together; beyond, they read.
_MAX_KNOWN_BYTES = 8 << 20
#: What a status has beside its texts, roughly.
_STATUS_BYTES = 1000
_NOTHING_KNOWN: Mapping[str, NewStatus] = {}


class KnownBytes:
    """What the followers of a replica hold of statuses that they have not taken."""

    def __init__(self, max_bytes: int = _MAX_KNOWN_BYTES) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0

    def take(self, known: NewStatus) -> bool:
        """Whether there is room for one more."""
        size_bytes = _size_bytes(known)
        if self.held_bytes + size_bytes > self._max_bytes:
            return False
        self.held_bytes += size_bytes
        return True

    def give_back(self, known: NewStatus) -> None:
        """Undoes `take`."""
        self.held_bytes -= _size_bytes(known)


class Follower:
    """One reader of the status of some jobs."""

    def __init__(self, job_ids: Iterable[str], known_bytes: KnownBytes) -> None:
        #: Version last read of each job that has not ended; 0 before the first read.
        self.seen: dict[str, int] = dict.fromkeys(job_ids, 0)
        #: Jobs that the hub has it down for, those included that have ended.
        self.joined: set[str] = set()
        self._changed: dict[str, None] = {}
        #: Jobs that have to be read, and the new status of others.
        self._unread: set[str] = set()
        self._known: dict[str, NewStatus] = {}
        self._known_bytes = known_bytes
        self._event = asyncio.Event()
        self._draining = False

    def mark(self, job_id: str) -> None:
        """Notes that a job may have changed, and wakes the follower."""
        self._forget(job_id)
        self._unread.add(job_id)
        self.look_again(job_id)

    def push(self, known: NewStatus) -> None:
        """Notes the new status of a job right after the commit, and wakes the follower."""
        job_id = known.id
        if job_id in self._unread:
            return  # A read after this is due.
        before = self._known.get(job_id)
        if before is not None and not is_later(before.status.version, known.status.version):
            self.mark(job_id)
            return
        self._forget(job_id)
        if not self._known_bytes.take(known):
            self.mark(job_id)
            return
        self._known[job_id] = known
        self.look_again(job_id)

    def look_again(self, job_id: str) -> None:
        """Wakes the follower as if what it has heard of a job were new."""
        self._changed[job_id] = None
        self._event.set()

    def take(self, job_id: str) -> NewStatus | None:
        """Returns the new status of a job, if it is known. Otherwise, or if the follower has seen
        the same or a later one, or none yet, the job must be read after this, whatever was heard
        before."""
        self._unread.discard(job_id)
        known = self._known.get(job_id)
        self._forget(job_id)
        if known is None or not is_later(self.seen.get(job_id, 0), known.status.version):
            return None
        return known

    def doubt(self, job_id: str) -> None:
        """Has the new status of a job read, if one is held: the database may have gone back since
        its commit."""
        if job_id in self._known:
            self.mark(job_id)

    def drop(self, job_id: str) -> None:
        """Forgets what was heard of a job."""
        self._unread.discard(job_id)
        self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        known = self._known.pop(job_id, None)
        if known is not None:
            self._known_bytes.give_back(known)

    def drain(self) -> None:
        """Ends the waiting: this replica is about to exit."""
        self._draining = True
        self._event.set()

    async def changed(self) -> list[str]:
        """Waits for changes, and takes the jobs that may have changed since the last call. All of
        them must be read.

        Raises:
            ServerDraining: the replica is about to exit.
        """
        changed = await self.woken()
        for job_id in changed:
            self.drop(job_id)
        return changed

    async def woken(self) -> list[str]:
        """Does the same, but each job is to be read only if `take` has nothing.

        Raises: as `changed`.
        """
        await self._event.wait()
        if self._draining:
            raise ServerDraining("the server is about to go; follow again")
        self._event.clear()
        changed, self._changed = self._changed, {}
        followed = []
        for job_id in changed:
            if job_id in self.seen:
                followed.append(job_id)
            else:
                self.drop(job_id)
        return followed


def _size_bytes(known: NewStatus) -> int:
    """Characters, which is near enough."""
    status = known.status
    error = status.error
    texts = len(error.message) + len(error.stack_trace) if error is not None else 0
    return _STATUS_BYTES + texts + len(status.output or "")


class Hub:
    """All followers of this replica. `run` polls, so that a lost hint costs a second at most."""

    def __init__(
        self, jobs: JobStore, poll_seconds: float, max_known_bytes: int = _MAX_KNOWN_BYTES
    ) -> None:
        self._jobs = jobs
        self._poll_seconds = poll_seconds
        self._followers: dict[str, set[Follower]] = {}
        self._open: set[Follower] = set()
        self._known_bytes = KnownBytes(max_known_bytes)

    @contextmanager
    def follow(self, job_ids: Iterable[str]) -> Iterator[Follower]:
        """Follows jobs from now on: read them only after this."""
        follower = Follower((), self._known_bytes)
        self._open.add(follower)
        try:
            self.join(follower, job_ids)
            yield follower
        finally:
            self._open.discard(follower)
            self.leave(follower, list(follower.joined))

    def join(self, follower: Follower, job_ids: Iterable[str], version: int = 0) -> None:
        """Has a follower follow more jobs, whose `version` it knows, until it leaves them or
        `follow` ends."""
        for job_id in job_ids:
            follower.seen.setdefault(job_id, version)
            follower.joined.add(job_id)
            self._followers.setdefault(job_id, set()).add(follower)

    def leave(self, follower: Follower, job_ids: Iterable[str]) -> None:
        """Has a follower follow jobs no longer, if it does."""
        for job_id in job_ids:
            follower.seen.pop(job_id, None)
            follower.joined.discard(job_id)
            follower.drop(job_id)
            if followers := self._followers.get(job_id):
                followers.discard(follower)
                if not followers:
                    del self._followers[job_id]

    def leave_unless_seen(self, follower: Follower, job_id: str) -> bool:
        """Has a follower leave a job that has been removed, and says whether it followed it."""
        if job_id in follower.seen or job_id not in follower.joined:
            return False
        self.leave(follower, (job_id,))
        return True

    def is_followed(self, job_id: str) -> bool:
        """Whether anybody follows a job here."""
        return job_id in self._followers

    def changed(
        self, job_ids: Iterable[str], known: Mapping[str, NewStatus] = _NOTHING_KNOWN
    ) -> None:
        """Wakes the followers of jobs that may have changed. `known` has the new status of jobs
        whose change this replica has just committed."""
        if not self._followers:
            return
        for job_id in job_ids:
            status = known.get(job_id)
            for follower in self._followers.get(job_id, ()):
                if status is None:
                    follower.mark(job_id)
                else:
                    follower.push(status)

    def gap(self) -> None:
        """Wakes all followers: hints were lost, so any job may have changed."""
        self.changed(list(self._followers))

    def drain(self) -> None:
        """Ends the waiting of all followers: this replica is about to exit."""
        for follower in self._open:
            follower.drain()

    async def run(self) -> None:
        """Compares versions once a poll, until cancelled."""
        await asyncio.sleep(self._poll_seconds)
        await repeat(self._poll_seconds, self._poll)

    async def _poll(self) -> None:
        """Wakes followers that missed a change. One that has not read yet cannot miss any. Who has
        not taken a status by now reads it."""
        watched = list(self._followers)
        for start in range(0, len(watched), _MAX_POLL_IDS):
            asked: dict[str, int] = {}
            for job_id in watched[start : start + _MAX_POLL_IDS]:
                for follower in self._followers.get(job_id, ()):
                    follower.doubt(job_id)
                versions = {
                    version
                    for follower in self._followers.get(job_id, ())
                    if (version := follower.seen.get(job_id))
                }
                if versions:
                    # No job has version 0: that asks for whatever it has.
                    asked[job_id] = versions.pop() if len(versions) == 1 else 0
            for job_id, latest in (await self._jobs.find_changed(asked)).items():
                for follower in self._followers.get(job_id, ()):
                    version = follower.seen.get(job_id)
                    # None: it has ended, or was removed.
                    if version and is_news(version, latest, latest is None):
                        follower.mark(job_id)
