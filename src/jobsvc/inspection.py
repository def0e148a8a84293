"""Jobs as plain values, read from the database beside any server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobsvc.api.whole_job import read_whole_job
from jobsvc.client.convert.job_replies import read_job
from jobsvc.client.job import Job
from jobsvc.store.migrate import check_current
from jobsvc.store.store import Store, open_store

_STATEMENT_SECONDS = 30.0


class Inspector:
    """Shows every job, whoever owns it: having the database is the right to see it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def inspect(self, job_id: str) -> Job:
        """Returns a job as its owner would get it.

        Raises:
            InvalidRequest: the id is none.
            JobNotFound: there is no such job, or its retention is over.
            DatabaseUnavailable: the database does not answer.
        """
        return read_job(await read_whole_job(self._store, job_id))


@asynccontextmanager
async def open_inspector(dsn: str, schema: str) -> AsyncIterator[Inspector]:
    """Opens a look at the database until the end of the block. Writes nothing.

    Raises:
        DsnInvalid, DatabaseUnavailable: no connection can be made.
        DatabaseUnsuitable: there are no tables of this release.
    """
    await check_current(dsn, schema)
    async with open_store(dsn, "inspector", 1, _STATEMENT_SECONDS, 0, schema) as store:
        yield Inspector(store)
