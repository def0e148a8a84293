"""Bulk operations on behalf of callers: started, tried, read, waited for, stopped. A duty of upkeep
runs them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jobsvc.domain.bulk_operation import (
    BulkOperation,
    BulkRequest,
    BulkState,
    check_operation_owner,
    touchable,
)
from jobsvc.domain.errors import BulkOperationLimit, BulkOperationNotFound, RequestIdReused
from jobsvc.domain.job import Job
from jobsvc.domain.job_id import new_job_id
from jobsvc.domain.owner import Owner
from jobsvc.jobs.followers import Hub
from jobsvc.jobs.list import JobLister
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

#: Operations of one caller, and of all callers, that may run at a time.
MAX_OF_CALLER = 4
MAX_OF_ALL = 64
_MAX_SAMPLE = 10
#: Statements that look for a sample.
_MAX_WALKS = 20


class Preview(NamedTuple):
    """What an operation would touch: how many jobs, and the first of them."""

    jobs: int
    is_estimate: bool
    sample: Sequence[Job]


class BulkOperations:
    """Keeps bulk operations."""

    def __init__(
        self,
        store: Store,
        lister: JobLister,
        hub: Hub,
        hints: Hints,
        on_started: Callable[[], None],
        settings: Settings,
    ) -> None:
        """`on_started` is called when an operation has begun."""
        self._store = store
        self._lister = lister
        self._hub = hub
        self._hints = hints
        self._on_started = on_started
        self._settings = settings

    async def start(
        self, request: BulkRequest, caller: Owner, request_id: str | None, digest: bytes
    ) -> tuple[BulkOperation, bool]:
        """Starts an operation. Returns it, and whether an earlier call with the same request id had
        started it.

        Raises:
            RequestIdReused: that call had another request, of which `digest` would be equal.
            BulkOperationLimit: too many operations run.
        """
        if request_id and (known := await self._known(caller, request_id, digest)):
            return known, True
        operation = await self._store.bulk_operations.create(
            new_job_id(), caller, request, request_id, digest, MAX_OF_CALLER, MAX_OF_ALL
        )
        if operation is not None:
            self._on_started()
            return operation, False
        # Another call with the request id was faster, or they are too many.
        if request_id and (known := await self._known(caller, request_id, digest)):
            return known, True
        raise BulkOperationLimit(
            f"a caller may have {MAX_OF_CALLER} bulk operations running, all callers {MAX_OF_ALL}",
            "bulk operations",
        )

    async def _known(self, caller: Owner, request_id: str, digest: bytes) -> BulkOperation | None:
        known = await self._store.bulk_operations.find(caller.service, request_id)
        if known is None:
            return None
        if known.digest != digest or known.operation.owner != caller.as_owner:
            raise RequestIdReused(request_id)
        return known.operation

    async def preview(self, request: BulkRequest, caller: Owner) -> Preview:
        """Returns what an operation would touch now, and touches nothing."""
        wanted, caller = touchable(request), caller.as_owner
        counted = await self._lister.count(wanted, caller)
        jobs = min(counted.jobs, request.most) if request.most else counted.jobs
        is_estimate = counted.is_estimate and jobs == counted.jobs
        most = min(request.most or _MAX_SAMPLE, _MAX_SAMPLE)
        before, sample = None, list[Job]()
        for _ in range(_MAX_WALKS):
            walk = await self._lister.find(wanted, caller, before, most - len(sample), False)
            ids = [found.job_id for found in walk.found]
            sample += await self._lister.read(ids, wanted, caller, with_payloads=False)
            before = walk.next_before
            if before is None or len(sample) >= most:
                break
        return Preview(jobs, is_estimate, sample)

    async def read(self, operation_id: str, caller: Owner) -> BulkOperation:
        """Returns an operation as it is now.

        Raises:
            BulkOperationNotFound: there is none.
            BulkOperationNotOwned: it belongs to somebody else.
        """
        operation = await self._store.bulk_operations.read(operation_id)
        if operation is None:
            raise BulkOperationNotFound(operation_id)
        check_operation_owner(caller, operation)
        return operation

    async def list(self, caller: Owner, before: str, most: int) -> Sequence[BulkOperation]:
        """Returns operations that the caller may see, newest first, with ids before `before`."""
        return await self._store.bulk_operations.list(caller, before, most)

    async def wait(
        self, operation_id: str, caller: Owner, seconds: float, after_version: int | None
    ) -> BulkOperation:
        """Waits until an operation has ended or has a version after `after_version`, at most
        `seconds`, and returns it as it is then.

        Raises: as `read`, and
            ServerDraining: the replica is about to exit.
        """
        # The hub knows ids, and not of what. Its poll finds no job of this one, and so says each
        # time that it may have changed.
        with self._hub.follow([operation_id]) as follower:
            operation = await self.read(operation_id, caller)
            try:
                async with asyncio.timeout(seconds):
                    while not _ends_wait(operation, after_version):
                        follower.seen[operation_id] = operation.version
                        await follower.changed()
                        operation = await self.read(operation_id, caller)
            except TimeoutError:
                pass
        return operation

    async def stop(self, operation_id: str, caller: Owner) -> BulkOperation:
        """Stops an operation unless it has ended, and returns it. It touches no job after that.

        Raises: as `read`.
        """
        operation = await self.read(operation_id, caller)
        if operation.state is not BulkState.RUNNING:
            return operation
        stopped = await self._store.bulk_operations.stop(
            operation_id, self._settings.retention_seconds
        )
        self._hints.tell([operation_id])
        return await self.read(operation_id, caller) if stopped is None else stopped


def _ends_wait(operation: BulkOperation, after_version: int | None) -> bool:
    if operation.state is not BulkState.RUNNING:
        return True
    return after_version is not None and operation.version > after_version
