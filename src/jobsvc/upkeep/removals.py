"""Goes on with forced removals of queues whose caller has left."""

import time

from jobsvc.queues.control import QueueControl
from jobsvc.store.queue_control import FIRST_ID, QueueControlStore

#: A removal that began so long ago is helped. Should its caller still be there, both do the same,
#: and whoever comes second finds less to do.
GIVEN_UP_SECONDS = 60.0
#: Longest time of one run.
_RUN_SECONDS = 1.0


class Removals:
    """Where this replica is in the removal that it goes on with."""

    def __init__(self, store: QueueControlStore, control: QueueControl) -> None:
        self._store = store
        self._control = control
        self._name: str | None = None
        self._after = FIRST_ID
        #: Whether others were about to move jobs that are behind us.
        self._left_over = False

    async def run_once(self) -> int:
        """Removes jobs of one queue, for a second or so, and then the queue. Returns how many jobs
        were removed."""
        name = await self._store.removal_given_up(GIVEN_UP_SECONDS)
        if name != self._name:
            self._name, self._after, self._left_over = name, FIRST_ID, False
        end, count = time.monotonic() + _RUN_SECONDS, 0
        while name is not None and time.monotonic() < end:
            removed = await self._control.delete_some_jobs(name, self._after)
            count += len(removed.job_ids)
            self._left_over = self._left_over or removed.left_over > 0
            self._after = removed.last or FIRST_ID
            if removed.last is None:
                if not self._left_over:
                    await self._control.delete_if_empty(name)
                self._left_over = False
                break
        return count
