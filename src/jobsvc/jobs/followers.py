"""Wakes the followers of jobs on this replica. Level-triggered: a follower learns only that a job
may have changed, and reads its status; one that reads late gets the latest status, once."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from jobsvc.domain.errors import ServerDraining
from jobsvc.domain.status_news import is_news
from jobsvc.store.jobs import JobStore
from jobsvc.store.repeat import repeat

_MAX_POLL_IDS = 1000


class Follower:
    """One reader of the status of some jobs."""

    def __init__(self, job_ids: Iterable[str]) -> None:
        #: Version last read of each job that has not ended; 0 before the first read.
        self.seen: dict[str, int] = dict.fromkeys(job_ids, 0)
        #: Jobs that the hub has it down for, those included that have ended.
        self.joined: set[str] = set()
        self._changed: dict[str, None] = {}
        self._event = asyncio.Event()
        self._draining = False

    def mark(self, job_id: str) -> None:
        """Notes that a job may have changed, and wakes the follower."""
        self._changed[job_id] = None
        self._event.set()

    def drain(self) -> None:
        """Ends the waiting: this replica is about to exit."""
        self._draining = True
        self._event.set()

    async def changed(self) -> list[str]:
        """Waits for changes, and takes the jobs that may have changed since the last call.

        Raises:
            ServerDraining: the replica is about to exit.
        """
        await self._event.wait()
        if self._draining:
            raise ServerDraining("the server is about to go; follow again")
        self._event.clear()
        changed, self._changed = self._changed, {}
        return [job_id for job_id in changed if job_id in self.seen]


class Hub:
    """All followers of this replica. `run` polls, so that a lost hint costs a second at most."""

    def __init__(self, jobs: JobStore, poll_seconds: float) -> None:
        self._jobs = jobs
        self._poll_seconds = poll_seconds
        self._followers: dict[str, set[Follower]] = {}
        self._open: set[Follower] = set()

    @contextmanager
    def follow(self, job_ids: Iterable[str]) -> Iterator[Follower]:
        """Follows jobs from now on: read them only after this."""
        follower = Follower(())
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

    def changed(self, job_ids: Iterable[str]) -> None:
        """Wakes the followers of jobs that may have changed."""
        if not self._followers:
            return
        for job_id in job_ids:
            for follower in self._followers.get(job_id, ()):
                follower.mark(job_id)

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
        """Wakes followers that missed a change. One that has not read yet cannot miss any."""
        watched = list(self._followers)
        for start in range(0, len(watched), _MAX_POLL_IDS):
            asked: dict[str, int] = {}
            for job_id in watched[start : start + _MAX_POLL_IDS]:
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
